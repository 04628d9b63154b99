//! A file that grows: `tail:server.log`.
//!
//! It is read from its first line on, by whole lines: the last one waits for its end. A record is a line: a line end in quotes ends it all
//! the same. It may be *rotated*: renamed, and another made by its name. Then what is left of the old one is read first, its last line even
//! without an end, so whoever rotates must be done with the old file when the new one has its first byte. A file that was cut, or written
//! anew, is an error: what was in it cannot be known any more.
//!
//! A range names the file by its number on the device and a checksum of its first bytes, and has a checksum of what was read; a range is read
//! again from the file under whatever name beginning with the first it has then.

mod tracked;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use self::tracked::{Id, Identity, Tracked, between, find, id_at};
use super::{Limits, Source, foreign};
use crate::column::Schema;
use crate::input::part::{Beginning, Dialect};
use crate::input::{self, Conformed, MultiSource, OpenOptions};
use crate::{Error, Result};

/// Bytes from which the columns are inferred, and bytes of a batch if nobody says.
const SAMPLE: usize = 1 << 20;
const BATCH: usize = 64 << 20;
/// Files that have been read and are remembered, so that they are not taken for others.
const REMEMBERED: usize = 16;

/// The lines of a file that grows.
#[derive(Debug)]
pub struct TailSource {
    path: PathBuf,
    reading: OpenOptions,
    /// What the first lines were; nothing before they have been looked at.
    begun: Option<Begun>,
    /// Where an earlier process came to; its file is looked for before anything else is read.
    place: Option<Place>,
    /// The file being read, and those that took its name after it.
    files: VecDeque<Tracked>,
    /// Files that have been read.
    done: VecDeque<Id>,
    /// Parts that were planned and not opened.
    ready: VecDeque<(Part, Vec<u8>)>,
}

/// What is the same in all files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Begun {
    dialect: Dialect,
    /// The header with its line end, or nothing: other files may begin with it, too.
    header: String,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    file: Identity,
    at: u64,
    lines: u64,
}

/// Lines of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    file: Identity,
    /// What the file was called.
    path: String,
    from: u64,
    to: u64,
    /// Lines before it, and its own.
    before: u64,
    lines: u64,
    checksum: u32,
}

impl Begun {
    fn of_json(json: &Json) -> Option<Begun> {
        let text = |name| json.get(name).and_then(Json::as_str);
        Some(Begun { dialect: Dialect::of_word(text("dialect")?)?, header: text("header")?.to_owned() })
    }
}

impl Part {
    fn to_json(&self) -> Json {
        let mut json = self.file.to_json();
        json["path"] = self.path.as_str().into();
        json["from"] = self.from.into();
        json["to"] = self.to.into();
        json["afterLine"] = self.before.into();
        json["lines"] = self.lines.into();
        json["checksum"] = self.checksum.into();
        json
    }

    fn of_json(json: &Json) -> Option<Part> {
        let number = |name| json.get(name).and_then(Json::as_u64);
        let part = Part {
            file: Identity::of_json(json)?,
            path: json.get("path")?.as_str()?.to_owned(),
            from: number("from")?,
            to: number("to")?,
            before: number("afterLine")?,
            lines: number("lines")?,
            checksum: number("checksum")?.try_into().ok()?,
        };
        (part.from <= part.to).then_some(part)
    }
}

impl TailSource {
    /// Follows `path`; there need not be such a file yet.
    pub fn new(path: impl Into<PathBuf>, reading: impl Into<OpenOptions>) -> TailSource {
        TailSource {
            path: path.into(),
            reading: reading.into(),
            begun: None,
            place: None,
            files: VecDeque::new(),
            done: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Finds the file to read, and those that took its name since.
    fn look(&mut self) -> Result<()> {
        if self.files.is_empty() {
            let file = match &self.place {
                Some(place) => Some(self.resumed(place)?),
                None => Tracked::open(&self.path)?,
            };
            self.place = None;
            self.files.extend(file);
        }
        let Some(last) = self.files.back() else { return Ok(()) };
        let Some(now) = id_at(&self.path)?.filter(|now| *now != last.id) else { return Ok(()) };
        let known = |id| self.done.contains(&id) || self.files.iter().any(|file| file.id == id);
        let missed = between(&self.path, last, now, known)?;
        self.files.extend(missed);
        // If it has been renamed meanwhile, the next look finds it.
        self.files.extend(Tracked::open(&self.path)?.filter(|file| file.id == now));
        Ok(())
    }

    /// The file that an earlier process read, where it stopped.
    fn resumed(&self, place: &Place) -> Result<Tracked> {
        let mut file = find(&self.path, &place.file)?.ok_or_else(|| {
            let message = format!(
                "the file of which {} bytes ({} lines) have been read is neither there nor beside it under a name that begins so",
                place.at, place.lines
            );
            self.lost(message, "what came after them is missing: put the file back, or begin a new checkpoint")
        })?;
        (file.at, file.lines) = (place.at, place.lines);
        // Shorter than it was: an error.
        file.len()?;
        Ok(file)
    }

    fn lost(&self, message: String, help: &str) -> Error {
        Error::Format { path: self.path.clone(), message, help: Some(help.into()) }
    }

    fn parts(&self, range: &Json) -> Result<(Begun, Vec<Part>)> {
        let parts = range.get("parts").and_then(Json::as_array).filter(|parts| !parts.is_empty());
        let parts = parts.and_then(|parts| parts.iter().map(Part::of_json).collect::<Option<Vec<_>>>());
        Begun::of_json(range).zip(parts).ok_or_else(|| foreign(&self.description(), range))
    }

    /// What a part was when it was planned.
    fn text(&mut self, part: &Part) -> Result<Vec<u8>> {
        let ready = self.ready.iter().position(|(ready, _)| ready == part);
        if let Some((_, text)) = ready.and_then(|at| self.ready.remove(at)) {
            return Ok(text);
        }
        let gone = || {
            let message =
                format!("bytes {} to {} of {} were logged, and the file is gone", part.from, part.to, part.path);
            self.lost(message, "put the file back under a name that begins so, or begin a new checkpoint")
        };
        let file = find(&self.path, &part.file)?.ok_or_else(gone)?;
        let text = file.read(part.from, usize::try_from(part.to - part.from).unwrap_or(usize::MAX))?;
        if text.len() as u64 == part.to - part.from && crc32fast::hash(&text) == part.checksum {
            return Ok(text);
        }
        Err(Error::Format {
            path: file.path,
            message: format!("bytes {} to {} are not those that were logged", part.from, part.to),
            help: Some("a file that is followed only grows; begin a new checkpoint".into()),
        })
    }

    fn forget(&mut self, id: Id) {
        if !self.done.contains(&id) {
            self.done.push_back(id);
        }
        while self.done.len() > REMEMBERED {
            self.done.pop_front();
        }
    }
}

impl Source for TailSource {
    fn description(&self) -> String {
        format!("tail:{}", self.path.display())
    }

    fn is_replayable(&self) -> bool {
        true
    }

    fn schema(&mut self, known: Option<&Schema>) -> Result<Option<Schema>> {
        self.look()?;
        let (text, Beginning { dialect, schema, header }) = loop {
            let more = self.files.len() > 1;
            let Some(front) = self.files.front() else { return Ok(known.cloned()) };
            if self.begun.is_some() && known.is_some() {
                return Ok(known.cloned());
            }
            let text = front.next_lines(SAMPLE, usize::MAX, more)?;
            let begin = match text.trim_ascii().is_empty() {
                true => None,
                false => Some(Dialect::begin(&self.path, &text, &self.reading)?),
            };
            match begin {
                // A header alone says nothing of types.
                Some(begin) if known.is_some() || begin.header < text.len() => break (text, begin),
                _ if !more => return Ok(known.cloned()),
                // A file that has no rows, and will have none.
                _ => {
                    let id = front.id;
                    self.files.pop_front();
                    self.forget(id);
                }
            }
        };
        let Ok(first) = std::str::from_utf8(&text[..header]) else {
            return Err(self.lost("its header is not valid UTF-8".into(), "convert the file to UTF-8"));
        };
        self.begun = Some(Begun { dialect, header: first.to_owned() });
        if let Some(front) = self.files.front_mut() {
            front.pass(&text[..header]);
        }
        Ok(Some(known.cloned().unwrap_or(schema)))
    }

    fn plan(&mut self, limits: &Limits) -> Result<Option<Json>> {
        self.look()?;
        if self.begun.is_none() {
            self.schema(None)?;
        }
        let Some(Begun { dialect, header }) = self.begun.clone() else { return Ok(None) };
        let limit = |most: Option<u64>, usual| most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usual);
        let (mut bytes, mut rows) = (limit(limits.bytes, BATCH).max(1), limit(limits.rows, usize::MAX).max(1));
        let mut parts = Vec::new();
        while bytes > 0 && rows > 0 {
            let more = self.files.len() > 1;
            let Some(front) = self.files.front_mut() else { break };
            let mut text = front.next_lines(bytes, rows, more)?;
            if front.at == 0 && !header.is_empty() && text.starts_with(header.as_bytes()) {
                front.pass(header.as_bytes());
                text = front.next_lines(bytes, rows, more)?;
            }
            // What goes beyond the limit is read with the next batch, unless it is the first line.
            if text.len() > bytes && !parts.is_empty() {
                break;
            }
            if !text.is_empty() {
                let (from, before) = (front.at, front.lines);
                front.pass(&text);
                let part = Part {
                    file: front.identity()?,
                    path: front.path.display().to_string(),
                    from,
                    to: front.at,
                    before,
                    lines: front.lines - before,
                    checksum: crc32fast::hash(&text),
                };
                bytes = bytes.saturating_sub(text.len());
                // A last line without an end is one, too.
                rows = rows.saturating_sub(part.lines.max(1) as usize);
                parts.push(part.to_json());
                self.ready.push_back((part, text));
            }
            // The next file is read when this one has come to its end.
            if !more || front.at < front.len()? {
                break;
            }
            let id = front.id;
            self.files.pop_front();
            self.forget(id);
        }
        if parts.is_empty() {
            return Ok(None);
        }
        Ok(Some(json!({ "dialect": dialect.to_word(), "header": header, "parts": parts })))
    }

    fn replay(&mut self, range: &Json) -> Result<()> {
        let (begun, parts) = self.parts(range)?;
        self.begun = Some(begun);
        self.files.clear();
        for part in parts {
            // The last one may go on.
            if let Some(before) =
                self.place.replace(Place { lines: part.before + part.lines, at: part.to, file: part.file })
                && self.place.as_ref().is_some_and(|now| now.file.id != before.file.id)
            {
                self.forget(before.file.id);
            }
        }
        Ok(())
    }

    fn open(&mut self, range: &Json, schema: &Schema) -> Result<Arc<dyn input::Source>> {
        let (Begun { dialect, .. }, parts) = self.parts(range)?;
        let mut sources = Vec::new();
        for part in parts {
            let text = self.text(&part)?;
            let (name, before) = (Path::new(&part.path), (part.from, part.before));
            sources.push(dialect.part(name, &text, before, &self.reading, schema)?);
        }
        Conformed::over(MultiSource::new(sources)?, schema)
    }

    fn position(&self) -> Json {
        // A file that cannot be read at this moment cannot be read by the next batch either, which says so.
        let now = self
            .files
            .front()
            .and_then(|file| Some(Place { file: file.identity().ok()?, at: file.at, lines: file.lines }));
        let place = now.or_else(|| self.place.clone()).map(|place| {
            let mut json = place.file.to_json();
            json["at"] = place.at.into();
            json["lines"] = place.lines.into();
            json
        });
        json!({
            "dialect": self.begun.as_ref().map(|begun| begun.dialect.to_word()),
            "header": self.begun.as_ref().map(|begun| begun.header.as_str()),
            "file": place,
            "done": self.done.iter().map(|(device, inode)| json!([device, inode])).collect::<Vec<_>>(),
        })
    }

    fn restore(&mut self, position: &Json) -> Result<()> {
        let foreign = || foreign(&self.description(), position);
        let number = |json: &Json, name: &str| json.get(name).and_then(Json::as_u64);
        let place = match position.get("file").ok_or_else(foreign)? {
            Json::Null => None,
            json => Some(Place {
                file: Identity::of_json(json).ok_or_else(foreign)?,
                at: number(json, "at").ok_or_else(foreign)?,
                lines: number(json, "lines").ok_or_else(foreign)?,
            }),
        };
        let id = |json: &Json| Some((json.get(0)?.as_u64()?, json.get(1)?.as_u64()?));
        let done = position.get("done").and_then(Json::as_array).ok_or_else(foreign)?;
        let done = done.iter().map(id).collect::<Option<VecDeque<Id>>>().ok_or_else(foreign)?;
        self.begun = Begun::of_json(position);
        (self.place, self.done) = (place, done);
        self.files.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
