//! Writers: record batches become CSV, TSV, JSON, NDJSON, Markdown, Parquet or Arrow IPC, in a file that is there
//! whole or not at all. Imports `column` and the error only.
//!
//! In text a float is the shortest text that reads back to the same bits, a list is a JSON array, a null is
//! - in CSV and TSV an empty field (an empty string is `""`, and so is every text a reader could take for null),
//! - in JSON and NDJSON `null`. JSON has no NaN and no infinities; they are the strings `"NaN"`, `"inf"`, `"-inf"`,
//! - in Markdown an empty cell.
//!
//! Parquet has no timestamps in seconds: they are written in milliseconds there.

mod cell;
mod cells;
mod delimited;
mod file;
mod format;
mod json;
mod markdown;
mod native;
mod sink;

use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

pub use cell::{cell, type_of, value_text};
pub(crate) use file::folder_of;
pub use file::{OutputFile, remove_unfinished};
pub use format::Format;

use crate::{Error, Result};

/// Writes record batches of one schema, one after the other.
pub trait Writer {
    /// Writes a batch.
    ///
    /// # Errors
    /// [`Error::Io`] if the sink fails (a closed pipe as `BrokenPipe`); a value the format cannot hold.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what ends the output, and flushes the sink.
    ///
    /// # Errors
    /// As [`Writer::write`].
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A writer of `format` into `sink`; `name` is what errors call the sink: its path, or `standard output`.
///
/// # Errors
/// A column's type has no place in the format, or the sink fails.
///
/// ```
/// use std::{path::Path, sync::Arc};
/// use arrow_array::{Float64Array, RecordBatch};
/// use tidemill::output::{Format, writer};
///
/// let batch = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![0.1, -0.0])) as _)]).unwrap();
/// let mut writer = writer(Format::Csv, batch.schema(), Box::new(std::io::stdout()), Path::new("standard output"))?;
/// writer.write(&batch)?;
/// writer.finish()?;
/// # Ok::<(), tidemill::Error>(())
/// ```
pub fn writer(format: Format, schema: SchemaRef, sink: Box<dyn Write + Send>, name: &Path) -> Result<Box<dyn Writer>> {
    let columns = cell::columns(&schema)?;
    Ok(match format {
        Format::Csv => Box::new(delimited::Delimited::start(columns, b',', sink, name)?),
        Format::Tsv => Box::new(delimited::Delimited::start(columns, b'\t', sink, name)?),
        Format::Json => Box::new(json::Json::start(columns, true, sink, name)?),
        Format::Ndjson => Box::new(json::Json::start(columns, false, sink, name)?),
        Format::Markdown => Box::new(markdown::Markdown::start(columns, sink, name)?),
        Format::Parquet => Box::new(native::Parquet::start(&schema, sink, name)?),
        Format::Arrow => Box::new(native::Arrow::start(&schema, sink, name)?),
    })
}

/// As [`writer`], after lines of the same columns: a format that has a header does not get another.
///
/// # Errors
/// As [`writer`]; the format has more than lines.
pub(crate) fn more_lines(
    format: Format,
    schema: SchemaRef,
    sink: Box<dyn Write + Send>,
    name: &Path,
) -> Result<Box<dyn Writer>> {
    let columns = cell::columns(&schema)?;
    Ok(match format {
        Format::Csv => Box::new(delimited::Delimited::go_on(columns, b',', sink, name)),
        Format::Tsv => Box::new(delimited::Delimited::go_on(columns, b'\t', sink, name)),
        Format::Ndjson => Box::new(json::Json::start(columns, false, sink, name)?),
        _ => return Err(Error::internal(format!("{} is not written by lines", format.name()))),
    })
}
