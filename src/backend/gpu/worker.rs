//! The worker: chunks in, batches over the device, groups merged once all of a chunk's batches are back.
//!
//! One batch is in flight: while the device reduces it, the next one's bytes go into staging memory. Nothing of a chunk is
//! merged before all of it is here, so a device that fails leaves whole chunks done and whole chunks to be done.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batch::{Batch, Deck, Flying, LEAST_ROWS, Landed, advance, land, start};
use super::engine::Engine;
use super::import::import;
use super::layout::{Layout, Nulls, host_nodes};
use super::notes::{Clock, Notes};
use super::strategy::GpuOptions;
use crate::agg::{Merger, Partial};
use crate::backend::{Counts, FailedRows, Failure, UnfinishedChunk, Worker};
use crate::column::Chunk;
use crate::expr::{Evaluated, Evaluator, NodeId};
use crate::plan::Stage;
use crate::{Error, Result};

/// One engine for all workers of a backend.
pub(super) type Shared = Arc<Mutex<Engine>>;

pub(super) fn lock(engine: &Shared) -> MutexGuard<'_, Engine> {
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A chunk on its way.
struct Task {
    chunk: Arc<Chunk>,
    hosts: HashMap<NodeId, Evaluated>,
    layout: Arc<Layout>,
    /// The first row of no batch yet.
    next: usize,
    landed: Vec<Landed>,
}

pub(super) struct GpuWorker {
    engine: Shared,
    stage: Arc<Stage>,
    options: GpuOptions,
    host_nodes: Vec<NodeId>,
    evaluator: Evaluator,
    nulls: Nulls,
    layout: Option<Arc<Layout>>,
    /// The most rows of a batch, once it is known.
    rows: usize,
    merger: Merger,
    counts: Counts,
    /// Chunks not merged yet, the oldest first.
    tasks: VecDeque<Task>,
    /// The batch in flight, of the first task, and its first row.
    flying: Option<(usize, Flying)>,
    clock: Clock,
    notes: Notes,
}

/// A batch that failed on the device: its first row, its length.
struct Setback {
    error: Error,
    task: usize,
    first: usize,
    rows: usize,
}

impl GpuWorker {
    pub fn new(engine: Shared, stage: &Arc<Stage>, options: GpuOptions) -> Self {
        GpuWorker {
            engine,
            options,
            host_nodes: host_nodes(stage),
            evaluator: Evaluator::new(Arc::clone(&stage.program)),
            nulls: Nulls::default(),
            layout: None,
            rows: usize::MAX,
            merger: Merger::new(&stage.key_shape(), &stage.states),
            counts: Counts::default(),
            tasks: VecDeque::new(),
            flying: None,
            clock: Clock::default(),
            notes: Notes::default(),
            stage: Arc::clone(stage),
        }
    }

    /// What the host must know of a chunk before any of it goes to the device.
    fn task(&mut self, chunk: Arc<Chunk>) -> Result<Task> {
        let begun = Instant::now();
        let columns = match self.host_nodes.is_empty() {
            true => Vec::new(),
            false => self.evaluator.columns(&chunk, &self.host_nodes)?,
        };
        let hosts: HashMap<_, _> = self.host_nodes.iter().copied().zip(columns).collect();
        let changed = self.nulls.note(&chunk, &hosts);
        let layout = match &self.layout {
            Some(layout) if !changed => Arc::clone(layout),
            _ => {
                let engine = lock(&self.engine);
                let layout = Arc::new(Layout::new(&self.stage, &engine.shape(), &self.nulls)?);
                let fitting = layout.most_rows(engine.gpu(), self.options.memory.unwrap_or(GpuOptions::MEMORY));
                self.rows = self.rows.min(self.options.rows.unwrap_or(fitting).min(fitting)).max(1);
                self.layout = Some(Arc::clone(&layout));
                layout
            }
        };
        self.clock.host += begun.elapsed();
        Ok(Task { chunk, hosts, layout, next: 0, landed: Vec::new() })
    }

    /// Works until every row is in a batch, and with `drain` until none is in flight.
    fn drive(&mut self, drain: bool) -> Result<(), Failure> {
        loop {
            let next = self.tasks.iter().position(|task| task.next < task.chunk.rows);
            let result = match next {
                Some(task) => self.batch(task),
                None if drain => self.land(),
                None => Ok(()),
            };
            if let Err(setback) = result {
                self.recover(setback)?;
                continue;
            }
            self.settle()?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Starts the next batch of a task, brings the one in flight home, and leaves the new one in flight.
    fn batch(&mut self, at: usize) -> Result<(), Setback> {
        let task = &mut self.tasks[at];
        let first = task.next;
        let end = task.chunk.rows.min(first.saturating_add(self.rows));
        task.next = end;
        let setback = |error| Setback { error, task: at, first, rows: end - first };
        let engine = Arc::clone(&self.engine);
        let mut engine = lock(&engine);
        let mut deck = Deck { engine: &mut engine, clock: &mut self.clock };
        let batch = Batch { layout: Arc::clone(&task.layout), rows: first..end };
        let started = start(&mut deck, &self.stage, batch, &task.chunk, &task.hosts);
        if let (Ok(started), Some((_, flying))) = (&started, &self.flying) {
            deck.clock.count_overlap(started.uploading, flying.is_in_flight(deck.engine));
        }
        // Whatever became of the new one: the old one's memory is what a new attempt may need.
        if let Some((old, flying)) = self.flying.take() {
            let rows = flying.rows();
            match land(&mut deck, flying) {
                Ok(landed) => {
                    self.notes.batch(landed.note.clone());
                    self.tasks[0].landed.push(landed);
                }
                Err(error) => return Err(Setback { error, task: 0, first: old, rows }),
            }
        }
        let flying = started.and_then(|started| advance(&mut deck, started, self.options.strategy)).map_err(setback)?;
        self.flying = Some((first, flying));
        Ok(())
    }

    fn land(&mut self) -> Result<(), Setback> {
        let Some((first, flying)) = self.flying.take() else { return Ok(()) };
        let rows = flying.rows();
        let engine = Arc::clone(&self.engine);
        let mut engine = lock(&engine);
        let landed = land(&mut Deck { engine: &mut engine, clock: &mut self.clock }, flying);
        let landed = landed.map_err(|error| Setback { error, task: 0, first, rows })?;
        self.notes.batch(landed.note.clone());
        self.tasks[0].landed.push(landed);
        Ok(())
    }

    /// Too little memory: again with half the rows. Anything else, and chunks are handed back.
    fn recover(&mut self, setback: Setback) -> Result<(), Failure> {
        let Setback { error, task, first, rows } = setback;
        // A batch that landed in the same step may have completed the task before.
        if matches!(error, Error::Resource { .. }) && rows > LEAST_ROWS {
            self.rows = (rows / 2).max(LEAST_ROWS);
            self.notes.events.push(format!("{error}; batches are of {} rows from here on", self.rows));
            if let Some(task) = self.tasks.get_mut(task) {
                task.next = first;
            }
            return self.settle();
        }
        self.flying = None;
        self.settle()?;
        let unfinished: Vec<_> = self.tasks.drain(..).map(|task| UnfinishedChunk(task.chunk)).collect();
        self.notes.events.push(format!("{error}; {} chunks handed back", unfinished.len()));
        Err(Failure::Device { error, unfinished })
    }

    /// Merges the chunks of which everything is back.
    fn settle(&mut self) -> Result<(), Failure> {
        while let Some(task) = self.tasks.front() {
            let back: usize = task.landed.iter().map(|landed| landed.note.rows as usize).sum();
            if back < task.chunk.rows {
                return Ok(());
            }
            let Some(task) = self.tasks.pop_front() else { return Ok(()) };
            let begun = Instant::now();
            let mut failed = Vec::new();
            for landed in task.landed {
                self.counts.filtered += landed.filtered;
                self.counts.grouped += landed.selected;
                failed.extend(landed.failed);
                if let (Some(groups), Some(layout)) = (landed.groups, landed.layout) {
                    import(&mut self.merger, &self.stage, &layout, &task.chunk, &task.hosts, groups)?;
                }
            }
            if !failed.is_empty() {
                failed.sort_unstable();
                self.counts.failed.push(FailedRows { chunk: task.chunk, rows: failed });
            }
            self.clock.host += begun.elapsed();
        }
        Ok(())
    }
}

impl Worker for GpuWorker {
    fn push(&mut self, chunk: Arc<Chunk>) -> Result<Counts, Failure> {
        let task = self.task(chunk)?;
        self.tasks.push_back(task);
        self.drive(false)?;
        Ok(std::mem::take(&mut self.counts))
    }

    fn finish(&mut self) -> Result<(Partial, Counts), Failure> {
        self.drive(true)?;
        lock(&self.engine).save_pipelines();
        let fresh = Merger::new(&self.stage.key_shape(), &self.stage.states);
        Ok((std::mem::replace(&mut self.merger, fresh).finish(), std::mem::take(&mut self.counts)))
    }

    fn held(&self) -> usize {
        self.merger.heap_bytes()
    }

    fn timings(&self) -> Vec<(&'static str, Duration)> {
        let Clock { host, upload, kernel, readback, .. } = self.clock;
        vec![("upload", upload), ("kernel", kernel), ("readback", readback), ("host", host)]
    }

    fn details(&self) -> Vec<String> {
        self.notes.lines(&self.clock)
    }
}
