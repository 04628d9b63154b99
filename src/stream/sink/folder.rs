//! A folder of files, one a batch: `parquet:out/`.
//!
//! ```text
//! out/part-00000007.parquet      the rows of batch 7; none for a batch without rows
//! out/_tidemill/query            the query whose output this is
//! out/_tidemill/7                the marker of batch 7: its files, their rows, bytes and checksums
//! ```
//! A file is written under another name and renamed when it is whole and durable, and then its marker is written. A batch whose marker
//! is there is not written again. Who wants nothing but whole batches reads the files that markers name.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::SchemaRef;
use serde_json::{Value as Json, json};

use super::{BatchOutput, Sink};
use crate::output::{Format, folder_of, writer};
use crate::stream::log::{Disk, DiskFile, SystemDisk, frame, pretty, temporary, write_whole};
use crate::{Error, Result};

/// Files of a format in a folder.
pub struct FolderSink {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    format: Format,
    query: String,
    schema: Option<SchemaRef>,
    /// The batch that is prepared, its temporary file and what its marker will say.
    prepared: Option<(u64, PathBuf, Json)>,
}

impl FolderSink {
    /// Files of `format` in `folder`, which is made if it is not there.
    pub fn new(folder: impl Into<PathBuf>, format: Format) -> FolderSink {
        FolderSink::on(Arc::new(SystemDisk), folder, format)
    }

    /// The same on a file system of the caller's.
    pub fn on(disk: Arc<dyn Disk>, folder: impl Into<PathBuf>, format: Format) -> FolderSink {
        FolderSink { disk, folder: folder.into(), format, query: String::new(), schema: None, prepared: None }
    }

    fn markers(&self) -> PathBuf {
        self.folder.join("_tidemill")
    }

    fn marker(&self, batch: u64) -> PathBuf {
        self.markers().join(batch.to_string())
    }

    fn part(&self, batch: u64) -> PathBuf {
        self.folder.join(format!("part-{batch:08}.{}", self.format.name()))
    }

    /// What a marker says; `None` if it is not there.
    fn read(&self, path: &Path) -> Result<Option<Json>> {
        let bytes = match self.disk.read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("cannot read", path, e)),
        };
        let json = frame::open("manifest", &bytes)
            .and_then(|payload| serde_json::from_slice(payload).map_err(|e| e.to_string()));
        json.map(Some).map_err(|message| Error::Format {
            path: path.into(),
            message,
            help: Some("it says what has been written of this query; without it a batch might come twice".into()),
        })
    }

    fn write(&self, path: &Path, json: &Json) -> Result<()> {
        let payload = pretty(json);
        write_whole(&*self.disk, path, &[&frame::head("manifest", &payload), &payload])
    }
}

impl Sink for FolderSink {
    fn description(&self) -> String {
        format!("{}:{}", self.format.name(), self.folder.display())
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    fn begin(&mut self, query: &str, schema: &SchemaRef) -> Result<()> {
        let markers = self.markers();
        self.disk.create_folder(&markers).map_err(|e| Error::io("cannot create", &markers, e))?;
        let owner = markers.join("query");
        match self.read(&owner)? {
            Some(json) if json.get("query").and_then(Json::as_str) == Some(query) => {}
            Some(_) => {
                return Err(Error::Usage {
                    message: format!("{} has the output of another query", self.folder.display()),
                    help: Some("name another folder, or go on with that query's checkpoint".into()),
                });
            }
            None => self.write(&owner, &json!({ "query": query, "format": self.format.name() }))?,
        }
        self.query = query.into();
        self.schema = Some(Arc::clone(schema));
        Ok(())
    }

    fn prepare(&mut self, output: &BatchOutput) -> Result<()> {
        self.prepared = None;
        if output.is_empty() || self.read(&self.marker(output.batch))?.is_some() {
            return Ok(());
        }
        let schema = self.schema.as_ref().ok_or_else(|| Error::internal("a sink that was not begun"))?;
        let path = self.part(output.batch);
        let part = temporary(&path);
        let cannot = |e| Error::io("cannot write", &path, e);
        let file = Shared::new(self.disk.create(&part).map_err(cannot)?);
        let written = (|| {
            let mut writer = writer(self.format, Arc::clone(schema), Box::new(file.clone()), &path)?;
            output.rows.iter().try_for_each(|rows| writer.write(rows))?;
            writer.finish()?;
            file.sync().map_err(cannot)
        })();
        match written {
            Ok((bytes, checksum)) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let file =
                    json!({ "name": name, "rows": output.len(), "bytes": bytes, "crc32": format!("{checksum:08x}") });
                let marker = json!({ "query": self.query, "batch": output.batch, "files": [file] });
                self.prepared = Some((output.batch, part, marker));
                Ok(())
            }
            Err(error) => {
                _ = self.disk.remove(&part);
                Err(error)
            }
        }
    }

    fn commit(&mut self, batch: u64) -> Result<()> {
        let Some((prepared, part, marker)) = self.prepared.take() else { return Ok(()) };
        if prepared != batch {
            return Err(Error::internal("a batch is committed that was not the last prepared"));
        }
        let path = self.part(batch);
        let renamed = self.disk.rename(&part, &path).and_then(|()| self.disk.sync_folder(folder_of(&path)));
        renamed.map_err(|e| Error::io("cannot write", &path, e))?;
        self.write(&self.marker(batch), &marker)
    }
}

/// A file that a writer owns and its maker syncs; it counts its bytes.
#[derive(Clone)]
struct Shared(Arc<Mutex<Counted>>);

struct Counted {
    file: Box<dyn DiskFile>,
    bytes: u64,
    hasher: crc32fast::Hasher,
}

impl Shared {
    fn new(file: Box<dyn DiskFile>) -> Shared {
        Shared(Arc::new(Mutex::new(Counted { file, bytes: 0, hasher: crc32fast::Hasher::new() })))
    }

    /// Makes it durable; its length and CRC-32.
    fn sync(&self) -> io::Result<(u64, u32)> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.file.flush()?;
        counted.file.sync()?;
        Ok((counted.bytes, counted.hasher.clone().finalize()))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = counted.file.write(bytes)?;
        counted.bytes += written as u64;
        counted.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).file.flush()
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, RecordBatch};

    use super::*;

    fn output(batch: u64, values: Vec<i64>) -> BatchOutput {
        let rows = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(values)) as _)]).unwrap();
        BatchOutput { batch, rows: vec![rows] }
    }

    fn put(sink: &mut FolderSink, output: &BatchOutput) {
        sink.prepare(output).unwrap();
        sink.commit(output.batch).unwrap();
    }

    #[test]
    fn a_batch_that_comes_twice_is_there_once_and_another_query_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("deep/out");
        let schema = output(0, vec![1]).rows[0].schema();
        let mut sink = FolderSink::new(&folder, Format::Csv);
        sink.begin("q1", &schema).unwrap();
        put(&mut sink, &output(0, vec![1, 2]));
        put(&mut sink, &output(1, vec![]));
        sink.prepare(&output(2, vec![3])).unwrap();
        let part = |batch: u64| folder.join(format!("part-{batch:08}.csv"));
        assert!(!part(2).exists() && !part(1).exists());
        // Another process, and the same batch with other rows: what was shown stays.
        let mut sink = FolderSink::new(&folder, Format::Csv);
        sink.begin("q1", &schema).unwrap();
        put(&mut sink, &output(0, vec![9]));
        put(&mut sink, &output(2, vec![3]));
        assert_eq!(std::fs::read_to_string(part(0)).unwrap(), "x\n1\n2\n");
        assert_eq!(std::fs::read_to_string(part(2)).unwrap(), "x\n3\n");
        let marker = sink.read(&sink.marker(0)).unwrap().unwrap();
        assert_eq!(
            marker["files"][0],
            json!({ "name": "part-00000000.csv", "rows": 2, "bytes": 6, "crc32": format!("{:08x}", crc32fast::hash(b"x\n1\n2\n")) })
        );
        let mut other = FolderSink::new(&folder, Format::Csv);
        let error = other.begin("q2", &schema).unwrap_err().to_string();
        assert!(error.contains("another query"), "{error}");
        // A marker that is damaged is no marker that is missing.
        std::fs::write(sink.marker(2), "tidemill").unwrap();
        assert!(sink.prepare(&output(2, vec![3])).is_err());
    }
}
