//! The log of a query, a folder of small files from which it goes on after anything:
//!
//! ```text
//! metadata, metadata.copy   which query this is, and what it computes
//! offsets/N                 before batch N is worked on: what it reads
//! state/N                   after its work: all groups (full), or those of the batch (delta)
//! commits/N                 last: batch N is done, and its state begins with the full one it names
//! ```
//!
//! Every file is written under another name, synced, renamed, and its folder synced; in a frame with length and checksum. A batch
//! without `commits/N` is done again, over the range in `offsets/N`: the same rows give the same bytes.

mod disk;
pub(crate) mod frame;
mod inspect;
mod once;
mod recover;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use disk::{Disk, DiskFile, SystemDisk};
pub(crate) use disk::{temporary, write_whole};
pub use inspect::{CheckpointReport, FileReport, inspect};
pub(crate) use once::ReadOnce;
pub(crate) use recover::{Observed, Recovery, recover};

use serde_json::{Value as Json, json};

use crate::{Error, Result};

/// The files of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Offsets,
    State,
    Commits,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Offsets, Kind::State, Kind::Commits];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Offsets => "offsets",
            Kind::State => "state",
            Kind::Commits => "commits",
        }
    }
}

/// What is written before a batch is worked on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offsets {
    /// What the batch reads, in its source's words.
    pub range: Json,
    /// The watermark by which its rows are late, in ticks of the event time.
    pub watermark: Option<i64>,
    /// When it was planned, in milliseconds since 1970: the processing time of its rows.
    pub at: i64,
    /// What a batch without a range moves the watermark to.
    pub advance: Option<i64>,
    /// Checksums of the tables that are looked up.
    pub tables: Vec<u32>,
}

impl Offsets {
    pub(crate) fn to_json(&self) -> Json {
        json!({ "range": self.range, "watermark": self.watermark, "at": self.at, "advance": self.advance, "tables": self.tables })
    }

    pub(crate) fn of_json(json: &Json) -> Option<Offsets> {
        let ticks = |name: &str| match json.get(name)? {
            Json::Null => Some(None),
            ticks => ticks.as_i64().map(Some),
        };
        Some(Offsets {
            range: json.get("range")?.clone(),
            watermark: ticks("watermark")?,
            at: json.get("at")?.as_i64()?,
            advance: ticks("advance")?,
            tables: serde_json::from_value(json.get("tables")?.clone()).ok()?,
        })
    }
}

/// What stands in a file of the log, within its frame.
pub(crate) struct Payload {
    bytes: Vec<u8>,
    at: usize,
}

impl std::ops::Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.at..]
    }
}

/// The folder of a log.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

/// The name of the file that says which query a log is of, and that of its copy.
const METADATA: [&str; 2] = ["metadata", "metadata.copy"];

impl Log {
    /// The log in `folder`, which is made if it is not there.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Log> {
        for kind in Kind::ALL {
            let path = folder.join(kind.name());
            disk.create_folder(&path).map_err(|e| Error::io("cannot create", &path, e))?;
        }
        Ok(Log { disk, folder: folder.into() })
    }

    pub(crate) fn path(&self, kind: Kind, batch: u64) -> PathBuf {
        self.folder.join(kind.name()).join(batch.to_string())
    }

    /// Writes a batch's file, durably.
    pub(crate) fn write(&self, kind: Kind, batch: u64, payload: &[u8]) -> Result<()> {
        write_whole(&*self.disk, &self.path(kind, batch), &[&frame::head(kind.name(), payload), payload])
    }

    /// What two pieces of work give that do not wait for one another, `here` on this thread: see [`Disk::both`].
    pub(crate) fn both<A, B: Send>(
        &self,
        here: impl FnOnce() -> A,
        beside: impl FnOnce() -> B + Send,
    ) -> Result<(A, B)> {
        let (mut here, mut beside) = (Some(here), Some(beside));
        let (mut one, mut other) = (None, None);
        self.disk.both(&mut || one = here.take().map(|work| work()), &mut || other = beside.take().map(|work| work()));
        one.zip(other).ok_or_else(|| Error::internal("a file system did one of two things only"))
    }

    /// The payload of a batch's file: `Ok(None)` if there is none; the inner error says what is wrong with it.
    pub(crate) fn read(&self, kind: Kind, batch: u64) -> Result<Option<Result<Payload, String>>> {
        self.read_file(&self.path(kind, batch), kind.name())
    }

    fn read_file(&self, path: &Path, kind: &str) -> Result<Option<Result<Payload, String>>> {
        let bytes = match self.disk.read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("cannot read", path, e)),
        };
        // Not copied out of its frame: a state may be hundreds of megabytes.
        let at = frame::open(kind, &bytes).map(|payload| bytes.len() - payload.len());
        Ok(Some(at.map(|at| Payload { bytes, at })))
    }

    /// The batches that have such a file, ascending.
    pub(crate) fn batches(&self, kind: Kind) -> Result<Vec<u64>> {
        let folder = self.folder.join(kind.name());
        let names = self.disk.list(&folder).map_err(|e| Error::io("cannot list", &folder, e))?;
        let mut batches: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        batches.sort_unstable();
        Ok(batches)
    }

    /// Removes the files of batches before `batch`. What cannot be removed is left: it only takes room.
    pub(crate) fn forget_before(&self, kind: Kind, batch: u64) -> Result<()> {
        for old in self.batches(kind)?.into_iter().take_while(|old| *old < batch) {
            _ = self.disk.remove(&self.path(kind, old));
        }
        Ok(())
    }

    /// Writes which query this is.
    pub(crate) fn write_metadata(&self, metadata: &Json) -> Result<()> {
        let payload = pretty(metadata);
        let head = frame::head("metadata", &payload);
        METADATA.iter().try_for_each(|name| write_whole(&*self.disk, &self.folder.join(name), &[&head, &payload]))
    }

    /// Which query this is, and what is wrong with a file that should say so; `None` in a new folder.
    ///
    /// # Errors
    /// Both files that say it are damaged.
    pub(crate) fn metadata(&self) -> Result<(Option<Json>, Vec<String>)> {
        let mut wrong = Vec::new();
        let mut found = None;
        let mut missing = 0;
        for name in METADATA {
            let path = self.folder.join(name);
            let payload = match self.read_file(&path, "metadata")? {
                None => {
                    missing += 1;
                    continue;
                }
                Some(payload) => payload,
            };
            match payload.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string())) {
                Ok(json) => found = found.or(Some(json)),
                Err(what) => wrong.push(format!("{}: {what}", path.display())),
            }
        }
        if found.is_none() && !wrong.is_empty() {
            return Err(Error::Format {
                path: self.folder.join(METADATA[0]),
                message: format!("it does not say any more which query this checkpoint is of: {}", wrong.join("; ")),
                help: Some("restore one of the two files, or begin anew with an empty folder".into()),
            });
        }
        // Written one after the other: a crash between leaves the first alone.
        if found.is_some() && missing > 0 {
            wrong.push(format!("{}: one of {} is missing", self.folder.display(), METADATA.join(" and ")));
        }
        Ok((found, wrong))
    }
}

/// JSON as it stands in files: a person may read it.
pub(crate) fn pretty(json: &Json) -> Vec<u8> {
    let mut text = format!("{json:#}").into_bytes();
    text.push(b'\n');
    text
}

impl Observed for Log {
    fn commits(&self) -> Result<Vec<u64>> {
        self.batches(Kind::Commits)
    }

    fn offsets(&self) -> Result<Vec<u64>> {
        self.batches(Kind::Offsets)
    }

    fn commit(&self, batch: u64) -> Result<Option<Result<u64, String>>> {
        let full = |bytes: Payload| {
            let json: Json = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
            json.get("full").and_then(Json::as_u64).ok_or("it does not name a state".to_owned())
        };
        Ok(self.read(Kind::Commits, batch)?.map(|payload| payload.and_then(full)))
    }

    fn state(&self, batch: u64) -> Result<Option<Result<(), String>>> {
        Ok(self.read(Kind::State, batch)?.map(|payload| payload.map(|_| ())))
    }

    fn range(&self, batch: u64) -> Result<Option<Result<(), String>>> {
        let sound = |bytes: Payload| {
            let json: Json = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
            Offsets::of_json(&json).map(|_| ()).ok_or("it does not say what the batch reads".to_owned())
        };
        Ok(self.read(Kind::Offsets, batch)?.map(|payload| payload.and_then(sound)))
    }
}
