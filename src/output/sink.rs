//! Where writers write: errors get the sink's name, and an operating system's error survives the libraries between.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::{Error, Result};

/// Text, gathered into blocks.
pub(super) struct TextSink {
    sink: Box<dyn Write + Send>,
    name: PathBuf,
    /// What is not written yet; writers append to it.
    pub text: String,
}

impl TextSink {
    const BLOCK: usize = 1 << 16;

    pub fn new(sink: Box<dyn Write + Send>, name: &Path) -> TextSink {
        TextSink { sink, name: name.into(), text: String::with_capacity(Self::BLOCK + 1024) }
    }

    /// To be called after a row: writes a block if there is enough.
    pub fn row_done(&mut self) -> Result<()> {
        if self.text.len() >= Self::BLOCK { self.flush_text() } else { Ok(()) }
    }

    pub fn finish(mut self) -> Result<()> {
        self.flush_text()?;
        self.sink.flush().map_err(|e| cannot_write(&self.name, e))
    }

    fn flush_text(&mut self) -> Result<()> {
        self.sink.write_all(self.text.as_bytes()).map_err(|e| cannot_write(&self.name, e))?;
        self.text.clear();
        Ok(())
    }
}

fn cannot_write(name: &Path, error: io::Error) -> Error {
    Error::io("cannot write", name, error)
}

/// A sink that remembers why it failed, under libraries that would turn that into text.
pub(super) struct WatchedSink {
    sink: Box<dyn Write + Send>,
    failure: Failure,
}

/// Why a [`WatchedSink`] failed, if it did.
#[derive(Clone)]
pub(super) struct Failure {
    name: PathBuf,
    error: Arc<Mutex<Option<io::Error>>>,
}

impl WatchedSink {
    pub fn new(sink: Box<dyn Write + Send>, name: &Path) -> (WatchedSink, Failure) {
        let failure = Failure { name: name.into(), error: Arc::default() };
        (WatchedSink { sink, failure: failure.clone() }, failure)
    }

    fn watch<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            *self.failure.error.lock().unwrap_or_else(|e| e.into_inner()) = Some(error);
            kind.into()
        })
    }
}

impl Write for WatchedSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.sink.write(bytes);
        match &result {
            // The caller tries again.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => result,
            _ => self.watch(result),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.sink.flush();
        self.watch(result)
    }
}

impl Failure {
    /// The error behind `error`: the sink's own, or else one of the format.
    pub fn explain(&self, error: impl std::fmt::Display) -> Error {
        match self.error.lock().unwrap_or_else(|e| e.into_inner()).take() {
            Some(error) => cannot_write(&self.name, error),
            None => Error::Format { path: self.name.clone(), message: error.to_string(), help: None },
        }
    }
}
