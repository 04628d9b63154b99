//! Files that appear in a folder: `dir:incoming/*.csv`.
//!
//! A file is to appear whole: written elsewhere or under a name that begins with a dot, and renamed. It is known by its path, size and
//! time of change; one that has changed after it was logged is refused, for its rows would not be the same again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde_json::{Value as Json, json};

use super::{Limits, Source, foreign};
use crate::column::Schema;
use crate::input::part::open_as;
use crate::input::{self, Conformed, MultiSource, OpenOptions};
use crate::{Error, Result};

/// In which order files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileOrder {
    /// By their paths, byte by byte.
    #[default]
    Name,
    /// By the time of their last change, then by path.
    Time,
}

impl FromStr for FileOrder {
    type Err = Error;

    fn from_str(text: &str) -> Result<FileOrder> {
        match text {
            "name" => Ok(FileOrder::Name),
            "mtime" => Ok(FileOrder::Time),
            _ => Err(Error::Usage {
                message: format!("'{text}' is no order of files"),
                help: Some("name, mtime".into()),
            }),
        }
    }
}

/// Files that match a pattern, each read once.
#[derive(Debug)]
pub struct FolderSource {
    pattern: String,
    order: FileOrder,
    reading: OpenOptions,
    /// Paths of files that have been planned.
    seen: HashSet<PathBuf>,
}

/// A file as it was when it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds since 1970.
    changed: i64,
}

impl Seen {
    /// `None` if it is no file, or none any more.
    fn look(path: &Path) -> Result<Option<Seen>> {
        let about = match std::fs::metadata(path) {
            Ok(about) => about,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("cannot read", path, e)),
        };
        let changed = about.modified().map_err(|e| Error::io("cannot read", path, e))?;
        let changed = match changed.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
        };
        Ok(about.is_file().then(|| Seen { path: path.into(), bytes: about.len(), changed }))
    }

    fn to_json(&self) -> Result<Json> {
        let path = text(&self.path)?;
        Ok(json!({ "path": path, "bytes": self.bytes, "changed": self.changed }))
    }

    fn of_json(json: &Json) -> Option<Seen> {
        Some(Seen {
            path: json.get("path")?.as_str()?.into(),
            bytes: json.get("bytes")?.as_u64()?,
            changed: json.get("changed")?.as_i64()?,
        })
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .ok_or_else(|| Error::usage(format!("the name of {} is no UTF-8 text, and cannot be logged", path.display())))
}

impl FolderSource {
    /// Files whose paths match `pattern`: `incoming/*.csv`, `logs/**/*.parquet`; a folder alone means all files in it.
    ///
    /// # Errors
    /// A pattern that is none.
    pub fn new(pattern: &str, order: FileOrder, reading: OpenOptions) -> Result<FolderSource> {
        let pattern = match Path::new(pattern) {
            folder if folder.is_dir() => format!("{}/*", glob::Pattern::escape(pattern.trim_end_matches('/'))),
            _ => pattern.to_owned(),
        };
        glob::Pattern::new(&pattern).map_err(|e| Error::Usage {
            message: format!("'{pattern}' is no pattern of file names: {e}"),
            help: Some("write 'incoming/*.csv', or 'logs/**/*.csv' for folders in folders".into()),
        })?;
        Ok(FolderSource { pattern, order, reading, seen: HashSet::new() })
    }

    /// Files that have not been planned yet, in their order.
    fn fresh(&self) -> Result<Vec<Seen>> {
        let paths = glob::glob(&self.pattern).map_err(|e| Error::usage(format!("'{}': {e}", self.pattern)))?;
        let mut fresh = Vec::new();
        for path in paths {
            let path = path.map_err(|e| Error::io("cannot list", e.path().to_owned(), e.into()))?;
            // Whoever writes a file gives it such a name until it is whole.
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && !self.seen.contains(&path) {
                fresh.extend(Seen::look(&path)?);
            }
        }
        match self.order {
            FileOrder::Name => fresh.sort_by(|a, b| a.path.cmp(&b.path)),
            FileOrder::Time => fresh.sort_by(|a, b| (a.changed, &a.path).cmp(&(b.changed, &b.path))),
        }
        Ok(fresh)
    }

    /// The files of a range.
    fn files(&self, range: &Json) -> Result<Vec<Seen>> {
        let files = range.get("files").and_then(Json::as_array);
        let files = files.and_then(|files| files.iter().map(Seen::of_json).collect::<Option<Vec<_>>>());
        files.ok_or_else(|| foreign(&self.description(), range))
    }
}

impl Source for FolderSource {
    fn description(&self) -> String {
        format!("dir:{}", self.pattern)
    }

    fn is_replayable(&self) -> bool {
        true
    }

    fn schema(&mut self, known: Option<&Schema>) -> Result<Option<Schema>> {
        if let Some(known) = known {
            return Ok(Some(known.clone()));
        }
        let Some(first) = self.fresh()?.into_iter().next() else { return Ok(None) };
        Ok(Some(input::open(&first.path, &self.reading)?.schema().clone()))
    }

    fn plan(&mut self, limits: &Limits) -> Result<Option<Json>> {
        let mut files = Vec::new();
        let mut bytes = 0u64;
        for file in self.fresh()? {
            bytes = bytes.saturating_add(file.bytes);
            let full = limits.files.is_some_and(|most| files.len() as u64 >= most);
            if !files.is_empty() && (full || limits.bytes.is_some_and(|most| bytes > most)) {
                break;
            }
            files.push(file);
        }
        if files.is_empty() {
            return Ok(None);
        }
        let range = files.iter().map(Seen::to_json).collect::<Result<Vec<_>>>()?;
        self.seen.extend(files.into_iter().map(|file| file.path));
        Ok(Some(json!({ "files": range })))
    }

    fn extent(&self, range: &Json) -> Limits {
        let Ok(files) = self.files(range) else { return Limits::default() };
        let bytes = files.iter().map(|file| file.bytes).sum();
        Limits { files: Some(files.len() as u64), bytes: Some(bytes), rows: None }
    }

    fn replay(&mut self, range: &Json) -> Result<()> {
        let files = self.files(range)?;
        self.seen.extend(files.into_iter().map(|file| file.path));
        Ok(())
    }

    fn open(&mut self, range: &Json, schema: &Schema) -> Result<Arc<dyn input::Source>> {
        let mut sources = Vec::new();
        for file in self.files(range)? {
            let now = Seen::look(&file.path)?;
            let help = Some("a file of a stream is placed whole, and then neither changed nor removed".into());
            match now {
                Some(now) if now == file => {}
                Some(_) => {
                    let message = "it has changed since it was logged: its rows would not be the same again".into();
                    return Err(Error::Format { path: file.path, message, help });
                }
                None => {
                    let message = "it was logged, and is gone before its batch was done".into();
                    return Err(Error::Format { path: file.path, message, help });
                }
            }
            // The columns and types of the first file hold for all.
            sources.push(open_as(&file.path, &self.reading, schema)?);
        }
        Conformed::over(MultiSource::new(sources)?, schema)
    }

    fn position(&self) -> Json {
        let mut seen: Vec<&str> = self.seen.iter().filter_map(|path| path.to_str()).collect();
        seen.sort_unstable();
        json!({ "seen": seen })
    }

    fn restore(&mut self, position: &Json) -> Result<()> {
        let seen = position.get("seen").and_then(Json::as_array);
        let seen = seen.and_then(|seen| seen.iter().map(|path| path.as_str().map(PathBuf::from)).collect());
        self.seen = seen.ok_or_else(|| foreign(&self.description(), position))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(range: &Json) -> Vec<String> {
        let files = range["files"].as_array().unwrap();
        files.iter().map(|f| f["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_file_is_read_once_in_order_and_within_limits() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let pattern = format!("{}/*.csv", dir.path().display());
        let mut source = FolderSource::new(&pattern, FileOrder::Name, OpenOptions::default()).unwrap();
        assert_eq!(source.schema(None).unwrap(), None);
        assert_eq!(source.plan(&Limits::default()).unwrap(), None);
        write("b.csv", "x,y\n1,a\n");
        write("a.csv", "y,x\nb,2\n");
        write(".c.csv", "not whole");
        write("d.txt", "not asked for");
        let schema = source.schema(None).unwrap().unwrap();
        assert_eq!(schema.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["y", "x"]);
        let one = Limits { files: Some(1), ..Limits::default() };
        let first = source.plan(&one).unwrap().unwrap();
        assert_eq!(paths(&first), ["a.csv"]);
        write("c.csv", "x,y\n3,c\n");
        let rest = source.plan(&Limits { bytes: Some(1000), ..Limits::default() }).unwrap().unwrap();
        assert_eq!(paths(&rest), ["b.csv", "c.csv"]);
        assert_eq!(source.plan(&one).unwrap(), None);
        // Another process, from the position, and from the ranges.
        let mut other = FolderSource::new(&pattern, FileOrder::Name, OpenOptions::default()).unwrap();
        other.restore(&source.position()).unwrap();
        assert_eq!(other.plan(&one).unwrap(), None);
        let mut other = FolderSource::new(&pattern, FileOrder::Name, OpenOptions::default()).unwrap();
        other.replay(&first).unwrap();
        assert_eq!(paths(&other.plan(&Limits::default()).unwrap().unwrap()), ["b.csv", "c.csv"]);
        // Columns stand where they like.
        let rows = other.open(&rest, &schema).unwrap();
        let job = crate::Job::new().by(["y"]).aggregate(crate::aggregate::sum(crate::col("x")));
        let report = crate::Engine::new().run(&job, &crate::Input::from_source(rows)).unwrap();
        assert_eq!(report.rows(), 2);
    }

    #[test]
    fn a_file_that_changed_or_went_after_it_was_logged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "x\n1\n").unwrap();
        let mut source =
            FolderSource::new(dir.path().to_str().unwrap(), FileOrder::Time, OpenOptions::default()).unwrap();
        let schema = source.schema(None).unwrap().unwrap();
        let range = source.plan(&Limits::default()).unwrap().unwrap();
        source.open(&range, &schema).unwrap();
        std::fs::write(&path, "x\n1\n2\n").unwrap();
        let error = source.open(&range, &schema).err().unwrap().to_string();
        assert!(error.contains("a.csv: it has changed since it was logged"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = source.open(&range, &schema).err().unwrap().to_string();
        assert!(error.contains("gone before its batch was done"), "{error}");
        assert!(source.replay(&json!({ "rows": 3 })).unwrap_err().to_string().contains("none of dir:"));
    }
}
