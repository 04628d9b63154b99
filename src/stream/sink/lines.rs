//! Batches as lines into whatever can be written: standard output, a pipe.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{BatchOutput, Sink};
use crate::output::{Format, more_lines, writer};
use crate::{Error, Result};

/// Lines of CSV, TSV or NDJSON. A header comes once. What was written cannot be taken back: a batch that is done again comes again.
pub struct LinesSink {
    to: Box<dyn Write + Send>,
    name: PathBuf,
    format: Format,
    schema: Option<SchemaRef>,
    has_header: bool,
    waiting: Vec<u8>,
}

impl LinesSink {
    /// Lines of `format` into `to`, which messages call `name`.
    ///
    /// # Errors
    /// The format has more than lines.
    pub fn new(to: Box<dyn Write + Send>, name: impl Into<PathBuf>, format: Format) -> Result<LinesSink> {
        if !matches!(format, Format::Csv | Format::Tsv | Format::Ndjson) {
            return Err(Error::Usage {
                message: format!("{} cannot be written a few lines at a time", format.name()),
                help: Some("take csv, tsv or ndjson, or write to a folder".into()),
            });
        }
        Ok(LinesSink { to, name: name.into(), format, schema: None, has_header: false, waiting: Vec::new() })
    }
}

/// Bytes that a writer is given and its maker takes.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Rows as text; for CSV and TSV with a header, unless they go on after others.
pub(super) fn text(
    format: Format,
    schema: &SchemaRef,
    rows: &[RecordBatch],
    name: &Path,
    more: bool,
) -> Result<Vec<u8>> {
    let kept = Kept::default();
    let writer_of = if more { more_lines } else { writer };
    let mut writer = writer_of(format, Arc::clone(schema), Box::new(kept.clone()), name)?;
    rows.iter().try_for_each(|rows| writer.write(rows))?;
    writer.finish()?;
    Ok(std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner)))
}

impl Sink for LinesSink {
    fn description(&self) -> String {
        format!("{}:{}", self.format.name(), self.name.display())
    }

    fn is_idempotent(&self) -> bool {
        false
    }

    fn begin(&mut self, _: &str, schema: &SchemaRef) -> Result<()> {
        self.schema = Some(Arc::clone(schema));
        Ok(())
    }

    fn prepare(&mut self, output: &BatchOutput) -> Result<()> {
        self.waiting.clear();
        if output.is_empty() {
            return Ok(());
        }
        let schema = self.schema.as_ref().ok_or_else(|| Error::internal("a sink that was not begun"))?;
        let more = self.has_header;
        self.waiting = text(self.format, schema, &output.rows, &self.name, more)?;
        Ok(())
    }

    fn commit(&mut self, _: u64) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = self.to.write_all(&self.waiting).and_then(|()| self.to.flush());
        written.map_err(|e| Error::io("cannot write", &self.name, e))?;
        self.has_header = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, RecordBatch};

    use super::*;

    #[test]
    fn the_header_comes_once() {
        for (format, expected) in
            [(Format::Csv, "\"a\nb\"\n1\n2\n3\n"), (Format::Ndjson, "{\"a\\nb\":1}\n{\"a\\nb\":2}\n{\"a\\nb\":3}\n")]
        {
            let kept = Kept::default();
            let mut sink = LinesSink::new(Box::new(kept.clone()), "standard output", format).unwrap();
            let rows =
                |v: Vec<i64>| RecordBatch::try_from_iter([("a\nb", Arc::new(Int64Array::from(v)) as _)]).unwrap();
            sink.begin("q", &rows(vec![]).schema()).unwrap();
            for (batch, values) in [(0, vec![]), (1, vec![1, 2]), (2, vec![]), (3, vec![3])] {
                sink.prepare(&BatchOutput { batch, rows: vec![rows(values)] }).unwrap();
                sink.commit(batch).unwrap();
            }
            assert_eq!(String::from_utf8(kept.0.lock().unwrap().clone()).unwrap(), expected);
        }
        assert!(LinesSink::new(Box::new(Kept::default()), "x", Format::Parquet).is_err());
    }
}
