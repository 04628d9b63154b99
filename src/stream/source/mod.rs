//! Where a stream comes from: something that knows what is new, and can give a range of it again.

mod folder;
mod lines;
mod nexmark;
mod numbered;
mod rate;
mod tail;

use std::sync::Arc;

pub use folder::{FileOrder, FolderSource};
pub use lines::LinesSource;
pub use nexmark::{NexmarkRows, NexmarkSource};
pub use rate::RateSource;
use serde_json::Value as Json;
pub use tail::TailSource;

use crate::Result;
use crate::column::Schema;
use crate::input;

/// A source of a stream.
///
/// It has a *position*: what comes next. [`Source::plan`] moves it over a *range* of what is new; the range is logged before it is
/// read, and a batch that fails reads the same range again. Position and ranges are JSON, in the source's own words.
pub trait Source: Send {
    /// What to call it in messages and progress.
    fn description(&self) -> String;

    /// Whether a range can be read again, by another process too. If not, rows may be lost with a process.
    fn is_replayable(&self) -> bool;

    /// The columns; `None` as long as there is nothing from which they could be known. `known` are those of an earlier process.
    ///
    /// # Errors
    /// What is there cannot be read.
    fn schema(&mut self, known: Option<&Schema>) -> Result<Option<Schema>>;

    /// Moves over what the next batch is to read, no more than `limits` say; `None` if there is nothing new.
    ///
    /// # Errors
    /// It cannot be found out what is new.
    fn plan(&mut self, limits: &Limits) -> Result<Option<Json>>;

    /// How much a range is, in what this source counts before it reads; nothing is said of the rest.
    fn extent(&self, range: &Json) -> Limits {
        let _ = range;
        Limits::default()
    }

    /// Moves over a range that was planned by an earlier process.
    ///
    /// # Errors
    /// The range is none of this source.
    fn replay(&mut self, range: &Json) -> Result<()>;

    /// The rows of a range, with the columns of `schema`.
    ///
    /// # Errors
    /// It is not there any more, or not as it was.
    fn open(&mut self, range: &Json, schema: &Schema) -> Result<Arc<dyn input::Source>>;

    /// The position, to be kept.
    fn position(&self) -> Json;

    /// Goes to a position that was kept.
    ///
    /// # Errors
    /// It is none of this source.
    fn restore(&mut self, position: &Json) -> Result<()>;

    /// Whether nothing new can come any more.
    fn is_over(&self) -> bool {
        false
    }
}

/// What a batch may read at most. One file, or one row, is always read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Files.
    pub files: Option<u64>,
    /// Bytes of input.
    pub bytes: Option<u64>,
    /// Rows, where a source counts them before it reads them.
    pub rows: Option<u64>,
}

/// A range or a position that a source does not understand.
pub(crate) fn foreign(source: &str, json: &Json) -> crate::Error {
    crate::Error::Usage {
        message: format!("the checkpoint has a range that is none of {source}: {json}"),
        help: Some("a query goes on over the source it began with; for another one take another checkpoint".into()),
    }
}
