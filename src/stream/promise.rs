//! What a query may promise, and what it needs for that: a name of its own, and a checkpoint that nobody else writes.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};

use super::Guarantee;
use super::query::Query;
use crate::{Error, Result};

/// The most that source and sink can promise, or what was asked for, if they can.
pub(super) fn guarantee(query: &Query) -> Result<Guarantee> {
    let source = &query.source;
    let sinks = || std::iter::once(&query.sink).chain(query.aside.sinks());
    let refuse = |what: Guarantee, why: String, help: &str| {
        Err(Error::Usage { message: format!("{what} cannot be promised: {why}"), help: Some(help.into()) })
    };
    let lost = || format!("{} cannot be read again after a failure", source.description());
    match (query.guarantee, query.checkpoint.is_some()) {
        (None | Some(Guarantee::None), false) => Ok(Guarantee::None),
        (Some(Guarantee::None), true) => Err(Error::Usage {
            message: "a checkpoint without a guarantee would never be read".into(),
            help: Some("leave out the checkpoint, or take another guarantee".into()),
        }),
        (Some(what), false) => refuse(what, "there is no checkpoint".into(), "add --checkpoint FOLDER"),
        (None, true) if !source.is_replayable() => Ok(Guarantee::AtMostOnce),
        (None, true) if !sinks().all(|sink| sink.is_idempotent()) => Ok(Guarantee::AtLeastOnce),
        (None, true) => Ok(Guarantee::ExactlyOnce),
        (Some(what @ (Guarantee::ExactlyOnce | Guarantee::AtLeastOnce)), true) if !source.is_replayable() => {
            refuse(what, lost(), "take at-most-once, or write to files and read those")
        }
        (Some(what @ Guarantee::ExactlyOnce), true) if !sinks().all(|sink| sink.is_idempotent()) => {
            let Some(sink) = sinks().find(|sink| !sink.is_idempotent()) else { return Ok(what) };
            let why = format!("{} shows a batch that comes twice twice", sink.description());
            refuse(what, why, "take at-least-once, or a folder of files as the sink")
        }
        (Some(what), true) => Ok(what),
    }
}

/// A name that no other query has.
pub(super) fn fresh_name() -> String {
    // The keys of a hasher are from the system's own source of randomness.
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", random(), random())
}

/// Locks a checkpoint for this process.
pub(super) fn lock(folder: &std::path::Path) -> Result<File> {
    let path = folder.join("lock");
    if !folder.is_dir() {
        // A file system of the caller's: whoever made it knows who uses it.
        return tempfile::tempfile().map_err(|e| Error::io("cannot create", path, e));
    }
    let file = File::create(&path).map_err(|e| Error::io("cannot create", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Usage {
            message: format!("the checkpoint {} is in use by another process", folder.display()),
            help: Some("end that one first: two would write over each other".into()),
        }),
        Err(std::fs::TryLockError::Error(e)) => Err(Error::io("cannot lock", path, e)),
    }
}
