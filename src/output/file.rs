//! An output file that is there whole or not at all.
//!
//! It is written under a temporary name in the same folder, synced, and renamed over its own name when it is done. One
//! that is dropped before is removed; one that is open when a signal arrives is removed by [`remove_unfinished`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::{Error, Result};

/// The temporary files of this process, and whether there may be new ones.
static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished { paths: Vec::new(), closed: false });

struct Unfinished {
    paths: Vec<PathBuf>,
    closed: bool,
}

fn unfinished() -> MutexGuard<'static, Unfinished> {
    UNFINISHED.lock().unwrap_or_else(|e| e.into_inner())
}

/// Removes every output file that is not finished yet; from then on none can be begun or finished. For the way out
/// after a signal: call it from the thread that handles it, then end the process.
pub fn remove_unfinished() {
    let mut unfinished = unfinished();
    unfinished.closed = true;
    for path in unfinished.paths.drain(..) {
        // Nothing more can be done about one that cannot be removed.
        _ = fs::remove_file(path);
    }
}

/// An output file in the making.
///
/// ```
/// use std::io::Write;
/// use tidemill::output::OutputFile;
///
/// let path = std::env::temp_dir().join(format!("tidemill-doc-{}.txt", std::process::id()));
/// let file = OutputFile::create(&path)?;
/// file.sink().write_all(b"done\n").unwrap();
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path).unwrap(), b"done\n");
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), tidemill::Error>(())
/// ```
#[derive(Debug)]
pub struct OutputFile {
    /// As the caller named it.
    path: PathBuf,
    file: Arc<File>,
    /// The temporary name and the one it will get; `None` for a device or pipe, which is written directly.
    rename: Option<(PathBuf, PathBuf)>,
}

impl OutputFile {
    /// Begins the file that will be `path`. An existing file stays as it is until [`OutputFile::commit`]; a symbolic link
    /// is followed; a device or a pipe is written directly.
    ///
    /// # Errors
    /// The folder cannot be written, or `path` is a folder.
    pub fn create(path: impl AsRef<Path>) -> Result<OutputFile> {
        let path = path.as_ref();
        let cannot = |e: io::Error| Error::io("cannot create", path, e);
        let old = match fs::metadata(path) {
            Ok(old) if old.is_dir() => return Err(cannot(io::ErrorKind::IsADirectory.into())),
            Ok(old) if !old.is_file() => {
                let file = OpenOptions::new().write(true).open(path).map_err(cannot)?;
                return Ok(OutputFile { path: path.into(), file: Arc::new(file), rename: None });
            }
            Ok(old) if old.permissions().readonly() => {
                return Err(cannot(io::ErrorKind::PermissionDenied.into()));
            }
            Ok(old) => Some(old),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(cannot(e)),
        };
        // A rename would replace a link and not what it points to.
        let target = if old.is_some() { fs::canonicalize(path).map_err(cannot)? } else { path.into() };
        let folder = folder_of(&target);
        // Else the error would speak of a temporary name nobody has typed.
        fs::metadata(folder).map_err(cannot)?;
        let name = target.file_name().ok_or_else(|| cannot(io::ErrorKind::InvalidInput.into()))?;
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".part");
        #[cfg(unix)]
        let builder = {
            use std::os::unix::fs::PermissionsExt;
            // As any new file: what the umask leaves of these.
            builder.permissions(fs::Permissions::from_mode(0o666))
        };
        let mut registry = unfinished();
        if registry.closed {
            return Err(Error::Cancelled);
        }
        let (file, temporary) = builder.tempfile_in(folder).and_then(|f| Ok(f.keep()?)).map_err(cannot)?;
        registry.paths.push(temporary.clone());
        drop(registry);
        let output = OutputFile { path: path.into(), file: Arc::new(file), rename: Some((temporary, target)) };
        if let Some(old) = old {
            output.file.set_permissions(old.permissions()).map_err(cannot)?;
        }
        Ok(output)
    }

    /// The path it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A sink into the file, without a buffer of its own, for [`writer`](super::writer).
    pub fn sink(&self) -> Box<dyn Write + Send> {
        Box::new(Sink(Arc::clone(&self.file)))
    }

    /// Makes the file durable and gives it its name. To be called after the writer has finished.
    ///
    /// # Errors
    /// Syncing or renaming failed, or [`remove_unfinished`] was called: then there is no new file.
    pub fn commit(mut self) -> Result<()> {
        let cannot = |e: io::Error| Error::io("cannot write", &self.path, e);
        let Some((temporary, target)) = self.rename.take() else { return Ok(()) };
        let mut registry = unfinished();
        let registered = registry.paths.iter().position(|p| *p == temporary);
        let Some(at) = registered.filter(|_| !registry.closed) else { return Err(Error::Cancelled) };
        let renamed = self.file.sync_all().and_then(|()| fs::rename(&temporary, &target));
        registry.paths.swap_remove(at);
        if let Err(e) = renamed {
            _ = fs::remove_file(&temporary);
            return Err(cannot(e));
        }
        drop(registry);
        // The name is durable once its folder is. Not every system can sync a folder.
        #[cfg(unix)]
        File::open(folder_of(&target)).and_then(|folder| folder.sync_all()).or_else(|e| match e.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Ok(()),
            _ => Err(cannot(e)),
        })?;
        Ok(())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        let Some((temporary, _)) = self.rename.take() else { return };
        let mut registry = unfinished();
        if let Some(at) = registry.paths.iter().position(|p| *p == temporary) {
            registry.paths.swap_remove(at);
            _ = fs::remove_file(temporary);
        }
    }
}

/// The folder that a path is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

struct Sink(Arc<File>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_only_when_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.csv");
        fs::write(&path, "old").unwrap();
        let file = OutputFile::create(&path).unwrap();
        file.sink().write_all(b"new").unwrap();
        assert_eq!(names(dir.path()).len(), 2);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(names(dir.path()), ["out.csv"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let file = OutputFile::create(&path).unwrap();
        file.sink().write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(names(dir.path()), ["out.csv"]);
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn what_cannot_be_created_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = OutputFile::create(dir.path()).unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");
        let error = OutputFile::create(dir.path().join("none/out.csv")).unwrap_err().to_string();
        assert!(error.starts_with("cannot create ") && error.contains("none/out.csv"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_are_kept_and_devices_written_directly() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("a"), dir.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let file = OutputFile::create(&link).unwrap();
        file.sink().write_all(b"new").unwrap();
        file.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let plain = dir.path().join("plain");
        fs::write(&plain, "").unwrap();
        let fresh = dir.path().join("fresh");
        OutputFile::create(&fresh).unwrap().commit().unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&fresh), mode(&plain));
        let null = OutputFile::create("/dev/null").unwrap();
        null.sink().write_all(b"x").unwrap();
        null.commit().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
