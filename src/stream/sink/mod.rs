//! Where the output of batches goes.

mod file;
mod folder;
mod lines;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

pub use file::FileSink;
pub use folder::FolderSink;
pub use lines::LinesSink;

use crate::Result;

/// The output of a batch.
#[derive(Debug, Clone)]
pub struct BatchOutput {
    /// The number of the batch, from 0. A batch that is done again has the same number and the same rows.
    pub batch: u64,
    /// Its rows, in the order of their windows and keys; none for most batches of mode append.
    pub rows: Vec<RecordBatch>,
}

impl BatchOutput {
    /// Rows in all.
    pub fn len(&self) -> usize {
        self.rows.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A sink of a stream.
///
/// A batch is given to [`Sink::prepare`] and then made visible by [`Sink::commit`]. If the process ends anywhere on the way, the same
/// batch comes again, of the same query and number, and with the same rows: a sink that [is idempotent](Sink::is_idempotent) shows
/// it once all the same.
pub trait Sink: Send {
    /// What to call it in messages and progress.
    fn description(&self) -> String;

    /// Whether a batch that comes twice is there once.
    fn is_idempotent(&self) -> bool;

    /// The query, by a name that no other has, and the columns of its output. Called once, before any batch.
    ///
    /// # Errors
    /// It cannot be written to, or is another query's.
    fn begin(&mut self, query: &str, schema: &SchemaRef) -> Result<()>;

    /// Takes a batch, durably where that means something, but shows nothing of it yet.
    ///
    /// # Errors
    /// It cannot be written.
    fn prepare(&mut self, output: &BatchOutput) -> Result<()>;

    /// Shows the batch that was prepared.
    ///
    /// # Errors
    /// It cannot be written.
    fn commit(&mut self, batch: u64) -> Result<()>;
}

/// A function as a sink: it is called at the commit. A batch that is done again comes again.
impl<F: FnMut(&BatchOutput) -> Result<()> + Send> Sink for Callback<F> {
    fn description(&self) -> String {
        "callback".into()
    }

    fn is_idempotent(&self) -> bool {
        false
    }

    fn begin(&mut self, _: &str, _: &SchemaRef) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, output: &BatchOutput) -> Result<()> {
        self.waiting = Some(output.clone());
        Ok(())
    }

    fn commit(&mut self, _: u64) -> Result<()> {
        self.waiting.take().map_or(Ok(()), |output| (self.function)(&output))
    }
}

/// A function that is given every batch.
pub struct Callback<F> {
    function: F,
    waiting: Option<BatchOutput>,
}

impl<F: FnMut(&BatchOutput) -> Result<()> + Send> Callback<F> {
    /// Calls `function` for every batch, those without rows too.
    pub fn new(function: F) -> Callback<F> {
        Callback { function, waiting: None }
    }
}
