//! One worker: morsel by morsel through filter, keys and states.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{Counts, FailedRows, Failure, Worker};
use super::select::{Picked, Selection, Values};
use crate::agg::{Arg, KeyRows, Merger, Partial, Rows};
use crate::column::{Chunk, ColumnData, KeyColumn};
use crate::expr::{Evaluator, NodeId, Op};
use crate::plan::Stage;

/// Rows of a morsel: a few columns of it stay in the L2 cache.
const MORSEL: usize = 8192;
/// The same where nothing is computed, and groups are so many that each state's lines are brought into the cache anew for
/// every morsel: better for more rows at a time.
const LARGE_MORSEL: usize = 1 << 16;
const LARGE_FROM: usize = 1 << 14;

/// From this many groups on it is asked whether grouping pays.
const FIRST_LOOK: usize = 1 << 14;
/// Where as many groups as this are to be expected, rows are kept as they are: of ten rows a group, a shuffle takes as long as
/// grouping a million groups, and half as long from two million on.
const MANY: usize = 3 << 19;
/// A table of so many groups is as far out of the caches as that.
const LARGE: usize = 1 << 20;

pub(super) struct CpuWorker {
    stage: Arc<Stage>,
    /// The filter, keys and arguments.
    outputs: Vec<NodeId>,
    evaluator: Evaluator,
    merger: Merger,
    /// Rows kept as they are, once grouping has turned out not to pay.
    rows: Vec<Rows>,
    rows_bytes: usize,
    keeps_rows: bool,
    look: Look,
    /// Key columns without keys, and such as hold those of a morsel that are not grouped by as they are.
    shape: Vec<KeyColumn>,
    words: Vec<KeyColumn>,
    selection: Selection,
    spent: Duration,
}

impl CpuWorker {
    pub fn new(stage: &Arc<Stage>) -> Self {
        let shape = stage.key_shape();
        CpuWorker {
            outputs: stage.outputs(),
            evaluator: Evaluator::new(Arc::clone(&stage.program)),
            merger: Merger::new(&shape, &stage.states),
            rows: Vec::new(),
            rows_bytes: 0,
            keeps_rows: false,
            look: Look::new(stage),
            words: shape.clone(),
            shape,
            selection: Selection::default(),
            spent: Duration::ZERO,
            stage: Arc::clone(stage),
        }
    }

    /// Whether keys and arguments are anything but columns as they lie in the chunk.
    fn copies(&self, chunk: &Chunk) -> bool {
        let program = &self.stage.program;
        let lies = |node: &NodeId| match program.node(*node).op {
            Op::Column(column) => chunk.columns.get(column).is_some_and(|column| {
                use ColumnData::{F64, I32, I64, Str};
                column.nulls.is_none() && matches!(column.data, I32(_) | I64(_) | F64(_) | Str { .. })
            }),
            _ => false,
        };
        self.stage.filter.is_some() || !self.outputs.iter().all(lies)
    }

    fn morsel(
        &mut self,
        chunk: &Chunk,
        range: std::ops::Range<usize>,
        counts: &mut Counts,
        failed: &mut Vec<u32>,
    ) -> crate::Result<()> {
        let len = range.len();
        let first = range.start as u32;
        let mut morsel = self.evaluator.morsel(chunk, range);
        let filters = usize::from(self.stage.filter.is_some());
        let stored: Vec<Option<&[i32]>> = self.outputs[filters..].iter().map(|node| morsel.stored(*node)).collect();
        let nodes = self.outputs[filters..].iter().zip(&stored).filter(|(_, stored)| stored.is_none());
        let nodes: Vec<NodeId> = self.stage.filter.into_iter().chain(nodes.map(|(node, _)| *node)).collect();
        morsel.eval(&nodes)?;
        let filter = self.stage.filter.map(|node| morsel.get(node)).transpose()?;
        let values = self.outputs[filters..].iter().zip(stored).map(|(node, stored)| match stored {
            Some(stored) => Ok(Values::Stored(stored)),
            None => morsel.get(*node).map(Values::Vector),
        });
        let values = values.collect::<crate::Result<Vec<_>>>()?;
        let selection = &mut self.selection;
        selection.select(len, filter, values.iter().filter_map(Values::vector));
        counts.filtered += selection.filtered as u64;
        failed.extend(selection.failed.iter().map(|row| first + row));
        let rows = selection.count(len);
        counts.grouped += rows as u64;
        if rows == 0 {
            return Ok(());
        }
        let picked: Vec<Picked> = values.into_iter().map(|v| Picked::new(v, selection)).collect();
        let (keys, args) = picked.split_at(self.words.len());
        let keys: Vec<KeyRows> = keys.iter().zip(&mut self.words).map(|(key, words)| key.keys(words)).collect();
        let args: Vec<Arg> = args.iter().map(Picked::arg).collect();
        if self.keeps_rows {
            let rows = Rows::new(rows, &self.shape, &keys, &args);
            self.rows_bytes += rows.heap_bytes();
            self.rows.push(rows);
            return Ok(());
        }
        self.merger.update(rows, &keys, &self.stage.states, &args);
        self.keeps_rows = self.look.rows_are_better(rows, self.merger.groups());
        Ok(())
    }
}

/// Watches whether grouping rows as they come leaves fewer groups than rows.
struct Look {
    rows: usize,
    /// Groups at which to look next; rows and groups at the look before.
    next: usize,
    before: (usize, usize),
}

impl Look {
    fn new(stage: &Stage) -> Look {
        Look { rows: 0, next: if stage.keys.is_empty() { usize::MAX } else { FIRST_LOOK }, before: (0, 0) }
    }

    /// To be told of `more` rows after which there are `groups` groups.
    fn rows_are_better(&mut self, more: usize, groups: usize) -> bool {
        self.rows += more;
        if groups < self.next {
            return false;
        }
        let (rows, found) = (self.rows - self.before.0, groups - self.before.1);
        let again = rows.saturating_sub(found);
        // Of keys drawn from n with equal chances, r(r − 1) / 2n of r are drawn again, about (the birthday problem).
        let many = self.before.1 == 0 && rows as u128 * rows as u128 > 2 * again as u128 * MANY as u128;
        // Later, what counts is how many of the latest rows found no group.
        let large = groups >= LARGE && found * 4 > rows;
        (self.before, self.next) = ((self.rows, groups), groups * 2);
        many || large
    }
}

impl Worker for CpuWorker {
    fn push(&mut self, chunk: Arc<Chunk>) -> Result<Counts, Failure> {
        let started = Instant::now();
        let mut counts = Counts::default();
        let mut failed = Vec::new();
        let mut at = 0;
        let copies = self.copies(&chunk);
        while at < chunk.rows {
            let large = !copies && self.merger.groups() >= LARGE_FROM;
            let end = (at + if large { LARGE_MORSEL } else { MORSEL }).min(chunk.rows);
            self.morsel(&chunk, at..end, &mut counts, &mut failed)?;
            at = end;
        }
        if !failed.is_empty() {
            counts.failed.push(FailedRows { chunk, rows: failed });
        }
        self.spent += started.elapsed();
        Ok(counts)
    }

    fn finish(&mut self) -> Result<(Partial, Counts), Failure> {
        let fresh = Merger::new(&self.stage.key_shape(), &self.stage.states);
        Ok((std::mem::replace(&mut self.merger, fresh).finish(), Counts::default()))
    }

    fn groups(&self) -> usize {
        // Rows are kept where most of them would be groups of their own.
        self.merger.groups() + self.rows.iter().map(|rows| rows.rows).sum::<usize>()
    }

    fn rows(&mut self) -> Vec<Rows> {
        self.rows_bytes = 0;
        std::mem::take(&mut self.rows)
    }

    fn held(&self) -> usize {
        self.merger.heap_bytes() + self.rows_bytes
    }

    fn timings(&self) -> Vec<(&'static str, Duration)> {
        vec![("compute", self.spent)]
    }
}
