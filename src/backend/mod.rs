//! Where a stage runs: the trait, and behind it the CPU and the GPU. The oracle, which tests compare them with, stands
//! beside them.

use std::sync::Arc;

use crate::agg::{Partial, Rows};
use crate::column::Chunk;
use crate::plan::Stage;
use crate::{Error, Result};

mod auto;
pub mod cpu;
mod device;
pub mod gpu;
pub mod oracle;

pub use auto::{
    AdapterRates, Choice, Cost, Course, CpuRates, Pilot, Progress, Rates, Rival, Row, Work, choose, measure_adapter,
    measure_cpu,
};
pub use device::Device;

/// A device that runs stages. What it computes is a function of the rows alone: every backend gives the same partials,
/// up to the order of groups and the way a state is held.
pub trait Backend: Send + Sync {
    /// What to call it: "cpu", or the adapter's name.
    fn name(&self) -> String;

    /// How its workers get their chunks.
    fn feed(&self) -> Feed;

    /// Makes a worker for a stage.
    ///
    /// # Errors
    /// A device that cannot run the stage, or is not there any more.
    fn worker(&self, stage: &Arc<Stage>) -> Result<Box<dyn Worker>>;

    /// How this device would run the stage, in lines of `word  text`. With `kernels`, also the generated shader text.
    ///
    /// # Errors
    /// A stage the device cannot run.
    fn explain(&self, stage: &Arc<Stage>, kernels: bool) -> Result<Vec<String>>;
}

/// How the workers of a backend get their chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// So many workers, each fed by the thread that reads its chunks.
    Threads(usize),
    /// One worker on a thread of its own; the others only read, and queue up.
    Queue,
}

/// Runs a stage over chunks and holds the groups found so far.
pub trait Worker: Send {
    /// Takes a chunk in. A device may answer for a chunk before it has worked on it: the counts are complete after
    /// [`Worker::finish`].
    ///
    /// # Errors
    /// See [`Failure`].
    fn push(&mut self, chunk: Arc<Chunk>) -> Result<Counts, Failure>;

    /// Waits for all chunks and gives the groups.
    ///
    /// # Errors
    /// See [`Failure`]; the groups of chunks that are not handed back are not lost: call `finish` again.
    fn finish(&mut self) -> Result<(Partial, Counts), Failure>;

    /// Groups it holds, as far as it knows.
    fn groups(&self) -> usize {
        0
    }

    /// Rows it has taken in and not grouped, to be asked for after [`Worker::finish`].
    fn rows(&mut self) -> Vec<Rows> {
        Vec::new()
    }

    /// Bytes of rows and groups it holds in this machine's memory. A worker that holds too much is asked to
    /// [`finish`](Worker::finish), and goes on with nothing.
    fn held(&self) -> usize {
        0
    }

    /// Time spent, by name, for the ledger: "upload", "kernel", "readback" …
    fn timings(&self) -> Vec<(&'static str, std::time::Duration)>;

    /// What was chosen and moved, in words, for the ledger.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What became of rows.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Rows for which the filter was not true.
    pub filtered: u64,
    /// Rows that went into a group.
    pub grouped: u64,
    /// Rows whose filter, key or argument has no value. They are in no group.
    pub failed: Vec<FailedRows>,
}

impl Counts {
    /// Adds `other` to this.
    pub fn add(&mut self, other: Counts) {
        self.filtered += other.filtered;
        self.grouped += other.grouped;
        self.failed.extend(other.failed);
    }
}

/// Rows of one chunk that have no result.
#[derive(Clone)]
pub struct FailedRows {
    /// The chunk.
    pub chunk: Arc<Chunk>,
    /// Its rows, ascending.
    pub rows: Vec<u32>,
}

impl std::fmt::Debug for FailedRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FailedRows({:?})", self.rows)
    }
}

/// Why a worker could not go on.
#[derive(Debug)]
pub enum Failure {
    /// The job cannot be done, here or elsewhere.
    Job(Error),
    /// The device failed. The chunks in `unfinished` have left no trace in the worker's groups: run them elsewhere.
    Device {
        /// What happened.
        error: Error,
        /// Chunks handed back.
        unfinished: Vec<UnfinishedChunk>,
    },
}

/// A chunk a device has not worked off.
#[derive(Clone)]
pub struct UnfinishedChunk(pub Arc<Chunk>);

impl std::fmt::Debug for UnfinishedChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UnfinishedChunk({} rows)", self.0.rows)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Job(error)
    }
}
