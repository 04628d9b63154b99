//! The few things that the log and the sinks ask of a file system, so that tests can put one that fails, loses or reorders
//! in its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::output::folder_of;
use crate::{Error, Result};

/// A file system. What has been written is durable after [`DiskFile::sync`], a name after [`Disk::sync_folder`]; nothing is before.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it; one that is there already is fine.
    ///
    /// # Errors
    /// As the system says.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Creates a file, or empties it.
    ///
    /// # Errors
    /// As the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::NotFound`] if it is not there.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Gives a file another name, in place of a file that has it.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; one that is not there is fine.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, in any order; none if it is not there.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// As the system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Does two pieces of work that do not wait for one another, `here` on this thread: at the same time, for most of writing durably
    /// is waiting. A file system that counts or chooses what is asked of it, when, may do one after the other, in either order.
    fn both(&self, here: &mut dyn FnMut(), beside: &mut (dyn FnMut() + Send)) {
        let beside = Mutex::new(Some(beside));
        let go = || {
            let beside = beside.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(beside) = beside {
                beside();
            }
        };
        std::thread::scope(|scope| {
            _ = std::thread::Builder::new().name("tidemill-log".into()).spawn_scoped(scope, go);
            here();
        });
        // There was no thread to be had.
        go();
    }
}

/// A file that is being written.
pub trait DiskFile: Write + Send {
    /// Makes what has been written durable.
    ///
    /// # Errors
    /// As the system says: then nothing may be taken for durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The system's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Disk for SystemDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        // Each new name must be durable in the folder above it, or a crash takes all that is below.
        let mut missing = Vec::new();
        let mut at = Some(path);
        while let Some(folder) = at.filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
            missing.push(folder);
            at = folder.parent();
        }
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                other => other?,
            }
            self.sync_folder(folder_of(folder))?;
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        // Names that are no text are none of ours.
        entries.map(|entry| Ok(entry?.file_name().into_string().ok())).filter_map(io::Result::transpose).collect()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        #[cfg(unix)]
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            // Not every file system can sync a folder; those that cannot keep names in order by themselves.
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
            other => other?,
        }
        #[cfg(not(unix))]
        let _ = folder;
        Ok(())
    }
}

/// Writes a file that is there whole and durable, or not at all: a temporary file, synced, renamed, and its folder synced.
///
/// # Errors
/// [`Error::Io`] with the path.
pub(crate) fn write_whole(disk: &dyn Disk, path: &Path, parts: &[&[u8]]) -> Result<()> {
    let temporary = temporary(path);
    let written = (|| {
        let mut file = disk.create(&temporary)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.flush()?;
        file.sync()?;
        drop(file);
        disk.rename(&temporary, path)?;
        disk.sync_folder(folder_of(path))
    })();
    written.map_err(|error| {
        // It cannot be relied on, and would only take room.
        _ = disk.remove(&temporary);
        Error::io("cannot write", path, error)
    })
}

/// The name under which a file is written before it is whole. Nothing that reads takes it for one of its own.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}
