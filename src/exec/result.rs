//! From what a run has found to the result: in one piece if it is small, else partition by partition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use rayon::prelude::*;

use super::emit::{Threads, emit};
use super::shuffle::{Found, PARTITION, Shuffled};
use super::sort::{Term, sort};
use super::table::Table;
use crate::agg::{Function, Partial};
use crate::column::{Class, Type};
use crate::expr::{NodeId, Op};
use crate::plan::{Call, Output, Plan};
use crate::{Error, Result};

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
    if plan.stage.keys.is_empty() && found.groups.groups == 0 && found.rows.is_empty() {
        found.groups.groups = 1;
        found.groups.states.iter_mut().for_each(|s| s.resize(1));
    }
    if found.rows.is_empty() && found.groups.groups <= ONE_PIECE {
        let groups = found.groups.groups as u64;
        let piece = threads.pool.install(|| {
            let order = key_order(plan, &found.groups);
            let mut table = Table::new(plan, found.groups, order).map_err(|(_, error)| error)?;
            table.having()?;
            table.piece(plan.limit)
        })?;
        let pieces = Mutex::new(Some(piece));
        let piece =
            |_| pieces.lock().ok().and_then(|mut p| p.take()).ok_or_else(|| Error::internal("one piece, asked twice"));
        let rows = emit(plan, threads, 1, &piece, None, sink)?;
        return Ok(Finished { groups, rows });
    }
    let shuffled = threads.pool.install(|| Shuffled::new(found, &plan.stage.states, PARTITION));
    let groups = AtomicU64::new(0);
    let table = |partition: usize| {
        let partial = shuffled.partition(partition);
        groups.fetch_add(partial.groups as u64, Ordering::Relaxed);
        let order = (0..partial.groups as u32).collect();
        let mut table = Table::new(plan, partial, order)?;
        table.having().map_err(|error| (plan.calls.len(), error))?;
        Ok(table)
    };
    let partitions = shuffled.partitions();
    if plan.order.is_empty() && !can_fail(plan) {
        let piece = |partition| table(partition).map_err(|(_, error)| error)?.piece(None);
        let rows = emit(plan, threads, partitions, &piece, plan.limit, sink)?;
        return Ok(Finished { groups: groups.into_inner(), rows });
    }
    let tables: Vec<Result<Table<'_>, (usize, Error)>> = threads.pool.install(|| {
        (0..partitions).into_par_iter().map(|p| threads.go_on().map_err(|e| (0, e)).and_then(|()| table(p))).collect()
    });
    drop(shuffled);
    let mut whole = Vec::new();
    let mut first: Option<(usize, Error)> = None;
    for table in tables {
        match table {
            Ok(table) => whole.push(table),
            // Of the calls the first that failed, of its groups the first in order.
            Err(error) => first = Some(first.filter(|f| f.0 <= error.0).unwrap_or(error)),
        }
    }
    if let Some((_, error)) = first {
        return Err(error);
    }
    let mut batches = Vec::new();
    let mut keep = |batch| {
        batches.push(batch);
        Ok(())
    };
    let rows = if plan.order.is_empty() {
        // What each piece may still give.
        let mut left = plan.limit.unwrap_or(u64::MAX);
        let mut tables = Vec::new();
        for table in whole {
            let rows = table.unnested()?;
            tables.push(Mutex::new(Some((table, left))));
            left = left.saturating_sub(rows as u64);
        }
        let piece = |at: usize| {
            let table = tables[at].lock().ok().and_then(|mut t| t.take());
            let (table, limit) = table.ok_or_else(|| Error::internal("a piece asked for twice"))?;
            table.piece(Some(limit))
        };
        emit(plan, threads, tables.len(), &piece, None, &mut keep)?
    } else {
        let piece = threads.pool.install(|| Table::join(whole)?.piece(plan.limit))?;
        let piece = Mutex::new(Some(piece));
        let piece =
            |_| piece.lock().ok().and_then(|mut p| p.take()).ok_or_else(|| Error::internal("one piece, asked twice"));
        emit(plan, threads, 1, &piece, None, &mut keep)?
    };
    batches.into_iter().try_for_each(sink)?;
    Ok(Finished { groups: groups.into_inner(), rows })
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
