//! From what a run has found to the result: in one piece if it is small, else partition by partition.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};

use super::emit::{BATCH_ROWS, Make, Piece, Source, Threads, emit, emit_one};
use super::shuffle::{Found, PARTITION, Shuffled};
use super::sort::{Term, sort};
use super::spill::Distributed;
use super::table::Table;
use crate::agg::{Function, Partial};
use crate::column::{Class, Type};
use crate::expr::{NodeId, Op};
use crate::plan::{Call, Output, Plan};
use crate::{Error, Result};

/// Bytes of a value that waits to be sorted, with what sorting needs.
const KEPT_BYTES: usize = 24;
/// Groups up to this many are finished as one.
const ONE_PIECE: usize = 1 << 16;

/// The schema of a plan's result.
pub(super) fn result_schema(outputs: &[Output]) -> Arc<Schema> {
    Arc::new(Schema::new(outputs.iter().map(|o| Field::new(&o.name, o.ty.to_arrow(), true)).collect::<Vec<_>>()))
}

/// How much there was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Finished {
    pub groups: u64,
    pub rows: u64,
}

/// Finishes what a run has found as the plan says; the batches of the result go to `sink` as they are made. If an error can
/// come of the values, none goes there before all have been made.
pub(super) fn finish(
    plan: &Plan,
    mut found: Found,
    threads: &Threads<'_>,
    sink: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<Finished> {
    // A job without keys gives one row, even of nothing.
    if plan.stage.keys.is_empty() && found.groups.groups == 0 && found.rows.is_empty() && found.spilled.is_none() {
        found.groups.groups = 1;
        found.groups.states.iter_mut().for_each(|s| s.resize(1));
    }
    if let Some(spilled) = found.spilled.take() {
        let partitioned = Partitioned::Disk(spilled.distribute(threads)?);
        return finish_partitions(plan, &partitioned, threads, sink);
    }
    if found.rows.is_empty() && found.groups.groups <= ONE_PIECE {
        let groups = found.groups.groups as u64;
        let piece = threads.pool.install(|| {
            let order = key_order(plan, &found.groups);
            let mut table = Table::new(plan, found.groups, order).map_err(|(_, error)| error)?;
            table.having()?;
            table.piece(plan.limit)
        })?;
        threads.go_on()?;
        // Starting threads takes longer than making a batch.
        let rows = match piece.rows <= BATCH_ROWS {
            true => emit_one(plan, piece, sink)?,
            false => emit(plan, threads, pieces([move || Ok(piece)]), None, sink)?,
        };
        return Ok(Finished { groups, rows });
    }
    let shuffled = threads.pool.install(|| Shuffled::new(found, &plan.stage.states, PARTITION));
    finish_partitions(plan, &Partitioned::Memory(Arc::new(shuffled)), threads, sink)
}

/// Partitions of neighbouring keys: all in memory, or to be read from disk some at a time.
enum Partitioned {
    Memory(Arc<Shuffled>),
    Disk(Distributed),
}

impl Partitioned {
    /// One partition after the other, as a function that gives its groups.
    fn each<'a>(
        &'a self,
        threads: &'a Threads<'a>,
    ) -> impl FnMut() -> Result<Option<Box<dyn FnOnce() -> Partial + Send>>> + Send + 'a {
        let (mut part, mut now, mut next) = (0, None, 0);
        move || {
            loop {
                let shuffled: &Arc<Shuffled> = match &now {
                    Some(shuffled) => shuffled,
                    None => {
                        let shuffled = match self {
                            Partitioned::Memory(shuffled) => (part == 0).then(|| Arc::clone(shuffled)),
                            Partitioned::Disk(disk) => disk.part(part, threads)?.map(Arc::new),
                        };
                        let Some(shuffled) = shuffled else { return Ok(None) };
                        (part, next) = (part + 1, 0);
                        now.insert(shuffled)
                    }
                };
                if next < shuffled.partitions() {
                    let (shuffled, partition) = (Arc::clone(shuffled), next);
                    next += 1;
                    return Ok(Some(Box::new(move || shuffled.partition(partition))));
                }
                now = None;
            }
        }
    }
}

/// Pieces that are there to be made.
fn pieces<'a, F: FnOnce() -> Result<Piece> + Send + 'a>(
    all: impl IntoIterator<Item = F, IntoIter: Send + 'a>,
) -> Source<'a> {
    let mut all = all.into_iter();
    Box::new(move || Ok(all.next().map(|make| Box::new(make) as Make<'a>)))
}

fn finish_partitions(
    plan: &Plan,
    partitioned: &Partitioned,
    threads: &Threads<'_>,
    sink: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<Finished> {
    let groups = &AtomicU64::new(0);
    let table = move |partial: Partial| -> Result<Table<'_>, (usize, Error)> {
        groups.fetch_add(partial.groups as u64, Ordering::Relaxed);
        let order = (0..partial.groups as u32).collect();
        let mut table = Table::new(plan, partial, order)?;
        table.having().map_err(|error| (plan.calls.len(), error))?;
        Ok(table)
    };
    let stream = |sink: &mut dyn FnMut(RecordBatch) -> Result<()>| {
        let mut each = partitioned.each(threads);
        let source: Source<'_> = Box::new(move || {
            Ok(each()?
                .map(|partial| Box::new(move || table(partial()).map_err(|(_, error)| error)?.piece(None)) as Make<'_>))
        });
        emit(plan, threads, source, plan.limit, sink)
    };
    let reads_twice = matches!(partitioned, Partitioned::Disk(_)) && plan.order.is_empty() && plan.limit.is_none();
    if plan.order.is_empty() && !can_fail(plan) {
        let rows = stream(sink)?;
        return Ok(Finished { groups: groups.load(Ordering::Relaxed), rows });
    }
    // All tables first: an error in any of them is the result. What is on disk is read twice rather than kept.
    let kept = Mutex::new(Kept::default());
    let failed: Mutex<Option<(usize, usize, Error)>> = Mutex::new(None);
    let mut number = 0;
    let mut each = partitioned.each(threads);
    let check: Source<'_> = {
        let (kept, failed) = (&kept, &failed);
        Box::new(move || {
            let at = number;
            number += 1;
            Ok(each()?.map(|partial| {
                let make = move || {
                    match table(partial()) {
                        Ok(table) if reads_twice => _ = table.piece(None)?,
                        Ok(mut table) => {
                            // No more rows of a partition can come than of the whole.
                            table.first(plan.limit)?;
                            let mut kept = lock(kept);
                            kept.insert(at, table, plan.limit)?;
                            if let Partitioned::Disk(disk) = partitioned {
                                disk.keeps(kept.rows * (plan.post_inputs.len() + 1) * KEPT_BYTES)?;
                            }
                        }
                        Err((call, error)) => {
                            // Of the calls the first that failed, of its groups the first in order.
                            let mut failed = lock(failed);
                            if failed.as_ref().is_none_or(|(c, a, _)| (call, at) < (*c, *a)) {
                                *failed = Some((call, at, error));
                            }
                        }
                    }
                    Ok(Piece::default())
                };
                Box::new(make) as Make<'_>
            }))
        })
    };
    emit(plan, threads, check, None, &mut |_| Ok(()))?;
    if let Some((_, _, error)) = lock(&failed).take() {
        return Err(error);
    }
    let count = groups.load(Ordering::Relaxed);
    if reads_twice {
        return Ok(Finished { groups: count, rows: stream(sink)? });
    }
    let tables: Vec<Table<'_>> =
        std::mem::take(&mut *lock(&kept)).tables.into_values().map(|(_, table)| table).collect();
    let mut batches = Vec::new();
    let mut keep = |batch| {
        batches.push(batch);
        Ok(())
    };
    let rows = if plan.order.is_empty() {
        // What each piece may still give.
        let mut left = plan.limit.unwrap_or(u64::MAX);
        let mut all = Vec::new();
        for table in tables {
            let (rows, limit) = (table.unnested()?, left);
            all.push(move || table.piece(Some(limit)));
            left = left.saturating_sub(rows as u64);
        }
        emit(plan, threads, pieces(all), None, &mut keep)?
    } else {
        let piece = threads.pool.install(|| Table::join(tables)?.piece(plan.limit))?;
        emit(plan, threads, pieces([move || Ok(piece)]), None, &mut keep)?
    };
    batches.into_iter().try_for_each(sink)?;
    Ok(Finished { groups: count, rows })
}

/// Tables that wait for all others.
#[derive(Default)]
struct Kept<'a> {
    /// By the first of the partitions they hold; with the last.
    tables: BTreeMap<usize, (usize, Table<'a>)>,
    rows: usize,
    /// Rows at which it is tried again to keep fewer.
    most: usize,
}

impl<'a> Kept<'a> {
    /// Keeps the table of partition `at`. Under a limit, tables of neighbouring partitions become one, and lose the rows that
    /// cannot be among the first any more.
    fn insert(&mut self, at: usize, table: Table<'a>, limit: Option<u64>) -> Result<()> {
        self.rows += table.rows();
        self.tables.insert(at, (at, table));
        let Some(limit) = limit.and_then(|l| usize::try_from(l).ok()) else { return Ok(()) };
        if self.rows <= self.most.max(limit.saturating_mul(4)) {
            return Ok(());
        }
        let (mut run, mut next) = (Vec::new(), 0);
        while let Some((last, table)) = self.tables.remove(&next) {
            self.rows -= table.rows();
            run.push(table);
            next = last + 1;
        }
        if !run.is_empty() {
            let mut first = Table::join(run)?;
            first.first(Some(limit as u64))?;
            self.rows += first.rows();
            self.tables.insert(0, (next - 1, first));
        }
        // Lists that are unnested cannot be cut.
        self.most = self.rows * 2;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the run anyway.
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// The groups in the order of their keys; as they are if nobody asked for an order.
fn key_order(plan: &Plan, groups: &Partial) -> Vec<u32> {
    if plan.unordered && plan.order.is_empty() {
        return (0..groups.groups as u32).collect();
    }
    sort(groups.groups, &groups.keys.iter().cloned().map(Term::key).collect::<Vec<_>>())
}

/// Whether the values of groups can make an error. If not, what has been made may be given away at once.
fn can_fail(plan: &Plan) -> bool {
    let class = |ty: &Type| ty.class();
    let overflows =
        |call: &Call| call.function == Function::Sum && call.args.first().and_then(class) != Some(Class::Float);
    let is_column = |node: NodeId| matches!(plan.post.node(node).op, Op::Column(_));
    let nodes = plan.outputs.iter().filter_map(Output::node).chain(plan.having);
    plan.calls.iter().any(overflows) || !nodes.into_iter().all(is_column)
}
