//! Files that grow, and are renamed: known by what they are, not by what they are called.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value as Json, json};

use crate::{Error, Result};

/// The first bytes of a file that are remembered, at most.
const HEAD: u64 = 256;
/// A line longer than this is no line of a stream.
const LONGEST: usize = 64 << 20;

/// Which file it is among those that are there now.
pub(super) type Id = (u64, u64);

#[cfg(unix)]
fn id(about: &Metadata) -> Result<Id> {
    use std::os::unix::fs::MetadataExt;
    Ok((about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn id(about: &Metadata) -> Result<Id> {
    // Elsewhere a file has no number that the standard library would tell; when it was made tells it from its neighbours.
    let made = about.created().ok().and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
    Ok((0, made.map_or(0, |made| made.as_nanos() as u64)))
}

/// A file as a log knows it: its number, and a checksum of its first bytes, for numbers are given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: Id,
    head: u64,
    checksum: u32,
}

impl Identity {
    pub(super) fn to_json(&self) -> Json {
        json!({ "device": self.id.0, "inode": self.id.1, "head": self.head, "headChecksum": self.checksum })
    }

    pub(super) fn of_json(json: &Json) -> Option<Identity> {
        let number = |name| json.get(name).and_then(Json::as_u64);
        Some(Identity {
            id: (number("device")?, number("inode")?),
            head: number("head").filter(|head| *head <= HEAD)?,
            checksum: number("headChecksum")?.try_into().ok()?,
        })
    }
}

/// A file that is open, and read up to a place.
#[derive(Debug)]
pub(super) struct Tracked {
    /// What it was called when it was opened.
    pub(super) path: PathBuf,
    file: File,
    pub(super) id: Id,
    /// Bytes and lines that have been read.
    pub(super) at: u64,
    pub(super) lines: u64,
}

impl Tracked {
    /// Opens the file; `None` if there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Tracked>> {
        let gone = |e: &std::io::Error| e.kind() == ErrorKind::NotFound;
        // To open a pipe is to wait for whoever writes into it.
        match std::fs::metadata(path) {
            Ok(about) if about.is_file() => {}
            Ok(_) => return Self::refuse(path),
            Err(e) if gone(&e) => return Ok(None),
            Err(e) => return Err(Error::io("cannot read", path, e)),
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if gone(&e) => return Ok(None),
            Err(e) => return Err(Error::io("cannot open", path, e)),
        };
        let about = file.metadata().map_err(|e| Error::io("cannot read", path, e))?;
        Ok(Some(Tracked { path: path.into(), file, id: id(&about)?, at: 0, lines: 0 }))
    }

    fn refuse<T>(path: &Path) -> Result<T> {
        Err(Error::Format {
            path: path.into(),
            message: "no regular file, which alone can be followed".into(),
            help: Some("read a pipe by its redirection: --source - <PIPE".into()),
        })
    }

    fn about(&self) -> Result<Metadata> {
        self.file.metadata().map_err(|e| Error::io("cannot read", &self.path, e))
    }

    /// Its bytes now.
    ///
    /// # Errors
    /// There are fewer than have been read.
    pub(super) fn len(&self) -> Result<u64> {
        let len = self.about()?.len();
        if len < self.at {
            return Err(self.cut(len, self.at));
        }
        Ok(len)
    }

    fn cut(&self, len: u64, known: u64) -> Error {
        let help = "lines may be lost; rotate by renaming, not by copying and cutting, and begin a new checkpoint";
        Error::Format {
            path: self.path.clone(),
            message: format!("it has {len} bytes, and {known} of it have been read: it was cut"),
            help: Some(help.into()),
        }
    }

    pub(super) fn changed(&self) -> Result<SystemTime> {
        self.about()?.modified().map_err(|e| Error::io("cannot read", &self.path, e))
    }

    /// Bytes `from` to `from + bytes`, or as far as it goes.
    pub(super) fn read(&self, from: u64, bytes: usize) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes);
        let read = |out: &mut Vec<u8>| {
            (&self.file).seek(SeekFrom::Start(from))?;
            (&self.file).take(bytes as u64).read_to_end(out)
        };
        read(&mut out).map_err(|e| Error::io("cannot read", &self.path, e))?;
        Ok(out)
    }

    /// Who it is, by what is there of its first bytes.
    pub(super) fn identity(&self) -> Result<Identity> {
        let head = self.read(0, HEAD.min(self.at) as usize)?;
        Ok(Identity { id: self.id, head: head.len() as u64, checksum: crc32fast::hash(&head) })
    }

    /// Whether it is the file that was logged.
    ///
    /// # Errors
    /// It has its number, but begins otherwise, or is shorter.
    pub(super) fn is(&self, known: &Identity) -> Result<bool> {
        if self.id != known.id {
            return Ok(false);
        }
        let head = self.read(0, known.head as usize)?;
        if head.len() as u64 == known.head && crc32fast::hash(&head) == known.checksum {
            return Ok(true);
        }
        if (head.len() as u64) < known.head {
            return Err(self.cut(head.len() as u64, known.head));
        }
        Err(Error::Format {
            path: self.path.clone(),
            message: "it does not begin as it did when it was logged: it was written anew".into(),
            help: Some("lines may be lost; rotate by renaming, and begin a new checkpoint".into()),
        })
    }

    /// The lines that come next: as many as fit into `bytes` and number at most `rows`, but one at least, if one is whole. `all`: the
    /// last needs no end, for nothing will be added.
    pub(super) fn next_lines(&self, bytes: usize, rows: usize, all: bool) -> Result<Vec<u8>> {
        let left = usize::try_from(self.len()? - self.at).unwrap_or(usize::MAX);
        let mut want = bytes.clamp(1, left.max(1));
        loop {
            let mut text = self.read(self.at, want)?;
            let is_end = want >= left;
            let ends = || memchr::memchr_iter(b'\n', &text).map(|at| at + 1);
            let end = match ends().nth(rows.max(1) - 1) {
                Some(end) => end,
                None if is_end && all => text.len(),
                None => ends().next_back().unwrap_or(0),
            };
            if end > 0 || is_end {
                text.truncate(end);
                return Ok(text);
            }
            if want >= LONGEST {
                return Err(Error::Format {
                    path: self.path.clone(),
                    message: format!("the line at byte {} has no end within 64 MiB", self.at),
                    help: Some("a stream is read by lines".into()),
                });
            }
            want = want.saturating_mul(2).min(left);
        }
    }

    /// Goes past lines that were read.
    pub(super) fn pass(&mut self, text: &[u8]) {
        self.at += text.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', text).count() as u64;
    }
}

/// The files beside `path` whose names begin with its own and go on as `and` says.
fn beside(path: &Path, and: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let cannot = |e| Error::io("cannot list", folder, e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let other = entry.file_name().to_string_lossy().into_owned();
        let is_file = || entry.file_type().is_ok_and(|ty| ty.is_file());
        if other.strip_prefix(name.as_str()).is_some_and(|rest| !rest.is_empty() && and(rest)) && is_file() {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The file that was logged as `known`, by whatever name it goes now.
pub(super) fn find(path: &Path, known: &Identity) -> Result<Option<Tracked>> {
    let others = match beside(path, |_| true) {
        Ok(others) => others,
        // Where there is no folder there is no file.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(e),
    };
    for candidate in std::iter::once(path.to_owned()).chain(others) {
        if let Some(file) = Tracked::open(&candidate)?
            && file.is(known)?
        {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Files that took the name `path` after `last` and have lost it again, the oldest first: those whose names go on as rotation has it
/// (`.1`, `-20260101`), changed no earlier than `last`, and known neither to `is_known` nor as the one that has the name now.
pub(super) fn between(path: &Path, last: &Tracked, now: Id, is_known: impl Fn(Id) -> bool) -> Result<Vec<Tracked>> {
    let since = last.changed()?;
    let rotated = |rest: &str| {
        rest.starts_with(['.', '-', '_']) && rest.chars().skip(1).all(|c| c.is_ascii_digit() || "-_.:T".contains(c))
    };
    let mut found = Vec::new();
    for candidate in beside(path, rotated)? {
        if let Some(file) = Tracked::open(&candidate)?
            && file.id != now
            && !is_known(file.id)
            && file.changed()? >= since
        {
            found.push((file.changed()?, file));
        }
    }
    // Of two of one time the higher number is the older.
    found.sort_by(|a, b| (a.0, &b.1.path).cmp(&(b.0, &a.1.path)));
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

/// The number of the file of that name; `None` if there is none, or nothing in it.
pub(super) fn id_at(path: &Path) -> Result<Option<Id>> {
    match std::fs::metadata(path) {
        Ok(about) if about.len() > 0 => id(&about).map(Some),
        Ok(_) => Ok(None),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("cannot read", path, e)),
    }
}
