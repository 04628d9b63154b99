//! One file for all batches, which grows: `late.csv`. The first column says which batch a row is of.
//!
//! Batches are appended in their order and synced before they are committed. So when a batch comes that the file has already, of a
//! process that ended before the commit, it has that batch last, whole or in part: the file is cut there, and the batch is written again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};

use super::lines::text;
use super::{BatchOutput, Sink};
use crate::output::{Format, folder_of};
use crate::{Error, Result};

/// The name of the first column.
const BATCH: &str = "batch";

/// A file of CSV, TSV or NDJSON that is appended to. It has what a query has given, each batch once.
///
/// A batch that comes first in a process takes out what the file has of that batch and of later ones. So a query that begins anew begins
/// the file anew, if that has the same columns; a file that has others, or is no such file, is refused.
pub struct FileSink {
    path: PathBuf,
    format: Format,
    schema: Option<SchemaRef>,
    file: Option<File>,
    waiting: Vec<u8>,
}

impl FileSink {
    /// The file `path`, which is made if it is not there.
    ///
    /// # Errors
    /// The format has more than lines.
    pub fn new(path: impl Into<PathBuf>, format: Format) -> Result<FileSink> {
        if !matches!(format, Format::Csv | Format::Tsv | Format::Ndjson) {
            return Err(Error::Usage {
                message: format!("{} cannot be appended to", format.name()),
                help: Some(format!("take csv, tsv or ndjson, or a folder: {}:FOLDER", format.name())),
            });
        }
        Ok(FileSink { path: path.into(), format, schema: None, file: None, waiting: Vec::new() })
    }

    fn failed(&self, action: &'static str) -> impl Fn(io::Error) -> Error {
        let path = self.path.clone();
        move |e| Error::io(action, &path, e)
    }

    /// Opens the file with what it has of batches before `batch`.
    fn open(&self, batch: u64, header: &[u8]) -> Result<File> {
        let is_new = !self.path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path);
        let mut file = file.map_err(self.failed("cannot open"))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::Usage {
                message: format!("{} is being written already", self.path.display()),
                help: Some("name another file: two queries, or two of a query, would write over each other".into()),
            });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(self.failed("cannot read"))?;
        let keep = kept(&bytes, header, self.format, batch).ok_or_else(|| Error::Format {
            path: self.path.clone(),
            message: "it is not the file of a query with these columns, so it is not written to".into(),
            help: Some("name another file, or remove it".into()),
        })?;
        let cut = file.set_len(keep as u64).and_then(|()| file.seek(SeekFrom::End(0)));
        let begun = cut.and_then(|_| if keep == 0 { file.write_all(header) } else { Ok(()) });
        begun.and_then(|()| file.sync_all()).map_err(self.failed("cannot write"))?;
        if is_new {
            sync_folder(folder_of(&self.path)).map_err(self.failed("cannot create"))?;
        }
        Ok(file)
    }

    fn schema(&self) -> Result<SchemaRef> {
        self.schema.clone().ok_or_else(|| Error::internal("a sink that was not begun"))
    }

    /// The header of the file, which for NDJSON is empty.
    fn header(&self) -> Result<Vec<u8>> {
        if self.format == Format::Ndjson {
            Ok(Vec::new())
        } else {
            text(self.format, &self.schema()?, &[], &self.path, false)
        }
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

impl Sink for FileSink {
    fn description(&self) -> String {
        self.path.display().to_string()
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    fn begin(&mut self, _: &str, schema: &SchemaRef) -> Result<()> {
        if schema.fields().iter().any(|field| field.name() == BATCH) {
            return Err(Error::Usage {
                message: format!("{} has a column '{BATCH}' of its own, and there is one already", self.path.display()),
                help: Some(format!("write to a folder: {}:FOLDER", self.format.name())),
            });
        }
        let batch = Arc::new(Field::new(BATCH, DataType::UInt64, false));
        let fields: Vec<_> = std::iter::once(batch).chain(schema.fields().iter().cloned()).collect();
        self.schema = Some(Arc::new(ArrowSchema::new(fields)));
        // A file that cannot be written is found out before the run; nothing is cut off yet but a record that is not whole.
        self.open(u64::MAX, &self.header()?).map(|_| ())
    }

    fn prepare(&mut self, output: &BatchOutput) -> Result<()> {
        let header = self.header()?;
        if self.file.is_none() {
            self.file = Some(self.open(output.batch, &header)?);
        }
        self.waiting.clear();
        if output.is_empty() {
            return Ok(());
        }
        let schema = self.schema()?;
        let rows: Result<Vec<RecordBatch>> = output
            .rows
            .iter()
            .map(|rows| {
                let batch = UInt64Array::from(vec![output.batch; rows.num_rows()]);
                let columns = std::iter::once(Arc::new(batch) as _).chain(rows.columns().iter().cloned()).collect();
                RecordBatch::try_new(Arc::clone(&schema), columns)
                    .map_err(|e| Error::internal(format!("rows of a batch: {e}")))
            })
            .collect();
        self.waiting = text(self.format, &schema, &rows?, &self.path, true)?;
        Ok(())
    }

    fn commit(&mut self, _: u64) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(file) = self.file.as_mut().filter(|_| !waiting.is_empty()) else { return Ok(()) };
        let written = file.write_all(&waiting).and_then(|()| file.sync_data());
        written.map_err(|e| Error::io("cannot write", &self.path, e))
    }
}

/// How many bytes a file has of batches before `batch`: up to the first record of that or a later one, or the first that is not whole.
/// `None` if it is no such file.
fn kept(bytes: &[u8], header: &[u8], format: Format, batch: u64) -> Option<usize> {
    if bytes.len() < header.len() && header.starts_with(bytes) {
        return Some(0);
    }
    let mut at = header.len();
    if !bytes.starts_with(header) {
        return None;
    }
    let separator = if format == Format::Tsv { b'\t' } else { b',' };
    while let Some(end) = record_end(&bytes[at..], format) {
        let record = &bytes[at..at + end];
        let record = if format == Format::Ndjson { record.strip_prefix(b"{\"batch\":")? } else { record };
        let digits = record.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number: u64 = std::str::from_utf8(&record[..digits]).ok()?.parse().ok()?;
        if ![separator, b'}', b'\n'].contains(record.get(digits)?) {
            return None;
        }
        if number >= batch {
            break;
        }
        at += end;
    }
    Some(at)
}

/// The length of the record that `bytes` begin with, with its line end; line ends in quotes are none.
fn record_end(bytes: &[u8], format: Format) -> Option<usize> {
    let mut quoted = false;
    let end = bytes.iter().position(|&byte| {
        quoted ^= byte == b'"' && format != Format::Ndjson;
        byte == b'\n' && !quoted
    })?;
    Some(end + 1)
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::*;

    fn output(batch: u64, texts: &[&str]) -> BatchOutput {
        let column = Arc::new(StringArray::from(texts.to_vec())) as _;
        BatchOutput { batch, rows: vec![RecordBatch::try_from_iter([("text", column)]).unwrap()] }
    }

    fn give(path: &Path, format: Format, outputs: &[BatchOutput]) -> Result<String> {
        let mut sink = FileSink::new(path, format)?;
        sink.begin("q", &output(0, &[]).rows[0].schema())?;
        for output in outputs {
            sink.prepare(output)?;
            sink.commit(output.batch)?;
        }
        Ok(std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn a_batch_that_comes_again_is_there_once_whatever_was_written_of_it() {
        let folder = tempfile::tempdir().unwrap();
        for format in [Format::Csv, Format::Tsv, Format::Ndjson] {
            let path = folder.path().join(format.name());
            let (first, second) = (output(3, &["a\n4,\"b", "c"]), output(12, &["5,\n12,x", "e"]));
            let one = give(&path, format, std::slice::from_ref(&first)).unwrap();
            let both = give(&path, format, &[output(4, &[]), second.clone()]).unwrap();
            assert!(both.starts_with(&one) && both.len() > one.len());
            // The process ended at any byte of the second batch.
            for end in one.len()..=both.len() {
                std::fs::write(&path, &both.as_bytes()[..end]).unwrap();
                assert_eq!(give(&path, format, std::slice::from_ref(&second)).unwrap(), both, "{format} {end}");
            }
            // From the beginning.
            assert_eq!(give(&path, format, &[first, second]).unwrap(), both);
            assert_eq!(give(&path, format, &[output(0, &["z"])]).unwrap().matches('z').count(), 1);
        }
        let text = std::fs::read_to_string(folder.path().join("csv")).unwrap();
        assert_eq!(text, "batch,text\n0,z\n");
    }

    #[test]
    fn a_file_that_is_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for (format, text) in [
            (Format::Csv, "a,b\n1,2\n"),
            (Format::Csv, "batch,text,more\n1,2,3\n"),
            (Format::Csv, "batch,text\nx,2\n"),
            (Format::Ndjson, "{\"a\":1}\n"),
        ] {
            let path = folder.path().join("f");
            std::fs::write(&path, text).unwrap();
            let error = give(&path, format, &[output(0, &["z"])]).unwrap_err().to_string();
            assert!(error.contains("is not the file of a query"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert!(FileSink::new("x", Format::Parquet).err().unwrap().to_string().contains("parquet:FOLDER"));
        let batch = RecordBatch::try_from_iter([("batch", Arc::new(StringArray::from(vec!["a"])) as _)]).unwrap();
        let mut sink = FileSink::new(folder.path().join("g"), Format::Csv).unwrap();
        assert!(sink.begin("q", &batch.schema()).unwrap_err().to_string().contains("a column 'batch'"));
    }
}
