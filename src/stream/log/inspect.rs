//! What a checkpoint holds, for people: every file, and how the query would go on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::{Disk, Kind, Log, recover};
use crate::{Error, Result};

/// A checkpoint, read as a whole.
#[derive(Debug, Clone)]
pub struct CheckpointReport {
    /// The name of the query.
    pub query: String,
    /// What it computes, part by part; parts that it does not have are left out.
    pub job: Vec<(String, String)>,
    /// The columns of its source and their types.
    pub columns: Vec<String>,
    /// The files of its batches: offsets, states, commits, each in the order of their batches.
    pub files: Vec<FileReport>,
    /// How the query would go on.
    pub next: String,
}

/// A file of a checkpoint.
#[derive(Debug, Clone)]
pub struct FileReport {
    /// `offsets`, `state` or `commits`.
    pub kind: &'static str,
    /// Its batch.
    pub batch: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its length without the frame.
    pub bytes: u64,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

/// Reads a checkpoint and changes nothing of it.
///
/// # Errors
/// There is none in `folder`; both files that say which query it is of are damaged.
pub fn inspect(disk: Arc<dyn Disk>, folder: &Path) -> Result<CheckpointReport> {
    let log = Log { disk, folder: folder.into() };
    let (metadata, wrong) = log.metadata()?;
    let metadata = metadata.ok_or_else(|| Error::Usage {
        message: format!("{} is no checkpoint: it has no file 'metadata'", folder.display()),
        help: Some("name the folder that was given with --checkpoint".into()),
    })?;
    let mut files = Vec::new();
    for kind in Kind::ALL {
        for batch in log.batches(kind)? {
            let Some(payload) = log.read(kind, batch)? else { continue };
            files.push(FileReport {
                kind: kind.name(),
                batch,
                path: log.path(kind, batch),
                bytes: payload.as_ref().map_or(0, |payload| payload.len()) as u64,
                wrong: payload.err(),
            });
        }
    }
    let mut next = match recover(&log) {
        Err(error) => format!("it cannot go on: {error}"),
        Ok(recovery) => {
            let from = recovery.last.map_or("from the beginning".into(), |(batch, _)| format!("after batch {batch}"));
            let again = match recovery.again[..] {
                [] => String::new(),
                [one] => format!(", and does batch {one} again"),
                [first, .., last] => format!(", and does batches {first} to {last} again"),
            };
            [vec![format!("it goes on {from}{again}")], recovery.warnings].concat().join("; ")
        }
    };
    if !wrong.is_empty() {
        next = format!("{}; {next}", wrong.join("; "));
    }
    let shown = |json: &Json| match json {
        Json::String(text) => Some(text.clone()),
        Json::Array(list) if !list.is_empty() => {
            Some(list.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "))
        }
        _ => None,
    };
    let job = metadata.get("job").and_then(Json::as_object).into_iter().flatten();
    let column = |json: &Json| {
        let text = |name| json.get(name).and_then(Json::as_str);
        Some(format!("{}:{}", text("name")?, text("type").or_else(|| text("unsupported"))?))
    };
    let columns = metadata.get("schema").and_then(Json::as_array).into_iter().flatten();
    Ok(CheckpointReport {
        query: metadata.get("query").and_then(Json::as_str).unwrap_or_default().into(),
        job: job.filter_map(|(part, json)| Some((part.clone(), shown(json)?))).collect(),
        columns: columns.filter_map(column).collect(),
        files,
        next,
    })
}
