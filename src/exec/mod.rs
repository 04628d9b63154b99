//! The chunk loop: read, run, merge, finish, and the ledger of it all. No terminal code: progress goes to an observer.

mod adapt;
mod emit;
mod engine;
mod explain;
mod ledger;
mod memory;
mod read;
mod result;
mod rows;
mod run;
mod session;
mod shuffle;
mod sort;
mod spill;
mod table;
mod threads;

pub use engine::{Engine, RunReport};
pub use ledger::Ledger;
pub(crate) use rows::{RowsRun, on_cpu};
pub(crate) use session::Session;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::Result;
use crate::input::Reject;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Input bytes read.
    pub bytes: u64,
    /// Input bytes in all, if known.
    pub total_bytes: Option<u64>,
    /// Rows read.
    pub rows: u64,
}

/// Is told of progress, after every chunk, from any thread.
pub trait Observer: Send + Sync {
    /// A chunk has been read.
    fn progress(&self, progress: Progress);

    /// The run fails; these rows had been set aside until then, in the order of the input.
    fn failed(&self, rejects: &[Reject]) {
        _ = rejects;
    }
}

/// Takes the result of a run, on the thread that runs it.
pub trait Receiver {
    /// All input has been read; these rows have been set aside, in the order of the input. Called once, before any batch.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn begin(&mut self, schema: &SchemaRef, rejects: &[Reject]) -> Result<()>;

    /// The next rows of the result, in its order.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn batch(&mut self, batch: RecordBatch) -> Result<()>;
}

impl Receiver for Vec<RecordBatch> {
    fn begin(&mut self, _: &SchemaRef, _: &[Reject]) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.push(batch);
        Ok(())
    }
}
