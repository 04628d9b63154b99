//! One worker: morsel by morsel through filter, keys and states.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{Counts, FailedRows, Failure, Worker};
use super::select::{Picked, Selection};
use crate::agg::{Arg, Merger, Partial};
use crate::column::{Chunk, KeyColumn};
use crate::expr::{Evaluator, NodeId};
use crate::plan::Stage;

/// Rows of a morsel: a few columns of it stay in the L2 cache.
const MORSEL: usize = 8192;

pub(super) struct CpuWorker {
    stage: Arc<Stage>,
    outputs: Vec<NodeId>,
    evaluator: Evaluator,
    merger: Merger,
    keys: Vec<KeyColumn>,
    selection: Selection,
    spent: Duration,
}

impl CpuWorker {
    pub fn new(stage: &Arc<Stage>) -> Self {
        let keys = stage.key_shape();
        CpuWorker {
            outputs: stage.outputs(),
            evaluator: Evaluator::new(Arc::clone(&stage.program)),
            merger: Merger::new(&keys, &stage.states),
            keys,
            selection: Selection::default(),
            spent: Duration::ZERO,
            stage: Arc::clone(stage),
        }
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
        morsel.eval(&self.outputs)?;
        let filter = self.stage.filter.map(|node| morsel.get(node)).transpose()?;
        let others = &self.outputs[usize::from(filter.is_some())..];
        let vectors = others.iter().map(|node| morsel.get(*node)).collect::<crate::Result<Vec<_>>>()?;
        let selection = &mut self.selection;
        selection.select(len, filter, &vectors);
        counts.filtered += selection.filtered as u64;
        failed.extend(selection.failed.iter().map(|row| first + row));
        let rows = selection.count(len);
        counts.grouped += rows as u64;
        if rows == 0 {
            return Ok(());
        }
        let picked: Vec<Picked> = vectors.into_iter().map(|v| Picked::new(v, selection)).collect();
        let (key_vectors, arg_vectors) = picked.split_at(self.keys.len());
        for (key, vector) in self.keys.iter_mut().zip(key_vectors) {
            vector.key(key);
        }
        let args: Vec<Arg> = arg_vectors.iter().map(Picked::arg).collect();
        let (groups, states) = self.merger.intern(rows, &self.keys);
        for (state, spec) in states.iter_mut().zip(&self.stage.states) {
            match spec.args[..] {
                [] => state.update(groups, &[]),
                [x] => state.update(groups, &[args[x]]),
                [x, y, ..] => state.update(groups, &[args[x], args[y]]),
            }
        }
        Ok(())
    }
}

impl Worker for CpuWorker {
    fn push(&mut self, chunk: Arc<Chunk>) -> Result<Counts, Failure> {
        let started = Instant::now();
        let mut counts = Counts::default();
        let mut failed = Vec::new();
        let mut at = 0;
        while at < chunk.rows {
            let end = (at + MORSEL).min(chunk.rows);
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
        self.merger.groups()
    }

    fn timings(&self) -> Vec<(&'static str, Duration)> {
        vec![("compute", self.spent)]
    }
}
