//! Readers: memory-mapped CSV, NDJSON, Parquet, Arrow IPC, raw columns, rows made by a rule, and Arrow batches in
//! memory become chunks.
//!
//! A [`Source`] knows its schema. A scan over it hands out [`ChunkTask`]s in input order: finding the next one is
//! cheap and sequential, running one (parsing, decoding) is the expensive part and may happen on any thread.

mod arrow_ipc;
mod arrow_text;
mod cast;
mod conform;
pub mod csv;
mod detect;
mod files;
mod from_arrow;
mod made;
mod memory;
mod mmap;
pub mod ndjson;
mod parquet;
pub(crate) mod part;
mod projection;
mod raw;

pub use conform::Conformed;
pub use csv::{CsvOptions, CsvSource};
use detect::is_ndjson;
pub use detect::{OpenOptions, TextFormat, open};
pub use files::MultiSource;
pub use ndjson::NdjsonSource;

use std::sync::Arc;

pub use self::arrow_ipc::ArrowSource;
pub use self::made::{MadeSource, Rule};
pub use self::memory::MemorySource;
pub(crate) use self::memory::arrow_columns;
pub use self::parquet::ParquetSource;
pub use self::raw::RawSource;
use crate::column::{Chunk, Dictionary, Schema, Type};
use crate::{Error, Place, Result};

/// An input that can be scanned any number of times.
pub trait Source: Send + Sync {
    /// All columns, also those tidemill cannot read.
    fn schema(&self) -> &Schema;

    /// What to call it in messages: a path, `memory` …
    fn name(&self) -> String;

    /// Bytes in all, if known: for progress and planning.
    fn bytes(&self) -> Option<u64>;

    /// Rows in all, if they are known without reading them.
    fn rows(&self) -> Option<u64> {
        None
    }

    /// The format: `csv`, `ndjson`, `parquet`, `arrow`, `raw`, `memory` …
    fn format(&self) -> &'static str {
        "custom"
    }

    /// Input bytes of a chunk that suit the CPU best: few enough that a chunk's columns are used while they are in a
    /// second-level cache, if the input can be read in such small pieces.
    fn chunk_bytes(&self) -> usize {
        16 << 20
    }

    /// Starts a scan.
    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>>;

    /// The same source with inferred column `column` read as `ty`; `None` if its types are not inferred.
    fn widened(&self, column: &str, ty: &Type) -> Option<Arc<dyn Source>>;

    /// Whether the type of column `column` is a mere guess, because the sample it was inferred from held no value of it.
    fn unseen(&self, column: usize) -> bool {
        let _ = column;
        false
    }
}

/// An input of a job: a file, several as one, or batches in memory. Cheap to clone; can be run any number of times.
#[derive(Clone)]
pub struct Input(Arc<dyn Source>);

impl Input {
    /// Files of any formats as one input, by [`MultiSource`]: columns are matched by name.
    ///
    /// # Errors
    /// There is none, or see [`open`].
    ///
    /// ```no_run
    /// use tidemill::Input;
    /// use tidemill::input::OpenOptions;
    ///
    /// let input = Input::open(&["2023.csv", "2024.parquet"], &OpenOptions::default())?;
    /// # Ok::<(), tidemill::Error>(())
    /// ```
    pub fn open(paths: &[impl AsRef<std::path::Path>], options: &OpenOptions) -> Result<Input> {
        let sources = paths.iter().map(|path| open(path, options)).collect::<Result<_>>()?;
        MultiSource::new(sources).map(Input)
    }

    /// Arrow record batches, without a copy.
    ///
    /// # Errors
    /// Batches of another schema.
    pub fn batches(schema: arrow_schema::SchemaRef, batches: Vec<arrow_array::RecordBatch>) -> Result<Input> {
        MemorySource::new(schema, batches).map(Input)
    }

    /// Any source.
    pub fn from_source(source: Arc<dyn Source>) -> Input {
        Input(source)
    }

    /// The source behind it.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.0
    }

    /// Its columns.
    pub fn schema(&self) -> &Schema {
        self.0.schema()
    }
}

/// What a scan is to deliver.
#[derive(Clone)]
pub struct Request {
    /// The columns wanted, as indices into the schema, in the order wanted.
    pub columns: Vec<usize>,
    /// For each of `columns`: the dictionary its strings go into (string columns only).
    pub dictionaries: Vec<Option<Arc<Dictionary>>>,
    /// The type each of `columns` is to have: its own, or a wider one of several files' (an int64 as float64 …).
    pub types: Vec<Type>,
    /// Input bytes a chunk should have, about.
    pub chunk_bytes: usize,
    /// Rows a chunk may have at most.
    pub chunk_rows: usize,
    /// Threads that will read: a reader that would rather not cut the input cuts it into enough tasks for them.
    pub threads: usize,
    /// Whether bad rows are set aside ([`Read::rejects`]) instead of failing the task.
    pub tolerant: bool,
}

impl Request {
    /// Refuses one whose parts do not belong together.
    fn check(&self) -> Result<()> {
        let columns = self.columns.len();
        if columns != self.types.len() || columns != self.dictionaries.len() {
            return Err(Error::internal("a request's columns, types and dictionaries differ in number"));
        }
        Ok(())
    }
}

/// A scan in progress.
pub trait Scan: Send {
    /// The next piece of work, or `None` at the end. Cheap.
    fn next(&mut self) -> Result<Option<ChunkTask>>;
}

/// All that a scan of `source` gives, chunk after chunk, read on this thread. Ends after an error.
///
/// # Errors
/// The scan cannot begin.
pub fn read_in_order(source: &dyn Source, request: &Request) -> Result<impl Iterator<Item = Result<Read>> + use<>> {
    let mut scan = Some(source.scan(request)?);
    let mut task: Option<ChunkTask> = None;
    Ok(std::iter::from_fn(move || {
        loop {
            if let Some(read) = task.as_mut().and_then(Iterator::next) {
                if read.is_err() {
                    (scan, task) = (None, None);
                }
                return Some(read);
            }
            task = match scan.as_mut()?.next() {
                Ok(Some(next)) => Some(next),
                Ok(None) => return None,
                Err(error) => {
                    (scan, task) = (None, None);
                    return Some(Err(error));
                }
            };
        }
    }))
}

/// Some chunks, to be read one after the other on any one thread: what follows in the input is often cheaper to read where
/// what comes before it was read. Ends after an error.
pub struct ChunkTask(Box<dyn Iterator<Item = Result<Read>> + Send>);

impl ChunkTask {
    /// Of the chunks that `reads` gives.
    pub fn new(reads: impl Iterator<Item = Result<Read>> + Send + 'static) -> ChunkTask {
        ChunkTask(Box::new(reads))
    }

    /// Of one chunk.
    pub fn one(read: impl FnOnce() -> Result<Read> + Send + 'static) -> ChunkTask {
        ChunkTask::new(std::iter::once_with(read))
    }
}

impl Iterator for ChunkTask {
    type Item = Result<Read>;

    fn next(&mut self) -> Option<Result<Read>> {
        self.0.next()
    }
}

/// What reading a chunk gave.
pub struct Read {
    /// Input bytes it covers.
    pub bytes: u64,
    /// The good rows.
    pub chunk: Chunk,
    /// The bad ones (only if the request is tolerant). Rows read = `chunk.rows + rejects.len()`.
    pub rejects: Vec<Reject>,
}

/// A row set aside.
#[derive(Debug, Clone)]
pub struct Reject {
    /// File, line, row, byte and column name.
    pub place: Place,
    /// 1-based index of the column in the file, if one column is to blame.
    pub column_index: Option<usize>,
    /// A short word for the kind of error: `cast`, `missing_columns`, `too_many_columns`, `unterminated_quote`, `invalid_utf8`, `arithmetic` …
    pub error_type: &'static str,
    /// The message.
    pub message: String,
    /// The raw text of the row.
    pub raw: String,
}
