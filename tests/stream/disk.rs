//! A file system in memory that keeps apart what is visible and what is durable, counts what is asked of it, dies at a chosen
//! moment, and shows what a crash at that moment may leave.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tidemill::stream::{Disk, DiskFile};

/// What a crash does with what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing of it is there.
    LosesAll,
    /// All of it is there: the process died, the machine did not.
    KeepsAll,
    /// Names are there, the bytes behind them are not.
    KeepsNames,
    /// Of the names that were not synced, the later half is there and the earlier is not; of bytes, the first half.
    Reorders,
}

impl Crash {
    pub const ALL: [Crash; 4] = [Crash::LosesAll, Crash::KeepsAll, Crash::KeepsNames, Crash::Reorders];
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Change {
    Add(PathBuf, usize),
    Remove(PathBuf),
}

#[derive(Debug, Clone, Default)]
struct Inner {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    /// Changes of names that were not synced, in order.
    pending: Vec<Change>,
    folders: BTreeSet<PathBuf>,
    operations: u64,
    /// The operation at which the process dies; it and all after fail.
    dies_at: Option<u64>,
    /// The operation that fails, alone.
    fails_at: Option<(u64, io::ErrorKind)>,
    /// Whether syncs do nothing: a file system, or a program, that forgets them.
    ignores_sync: bool,
    /// Of two pieces of work that do not wait for one another, which is done first.
    beside_first: bool,
}

/// See the module. Clones share the file system.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<Inner>>);

impl SimulatedDisk {
    pub fn new() -> SimulatedDisk {
        SimulatedDisk::default()
    }

    pub fn dies_at(self, operation: u64) -> SimulatedDisk {
        self.0.lock().unwrap().dies_at = Some(operation);
        self
    }

    pub fn fails_at(self, operation: u64, kind: io::ErrorKind) -> SimulatedDisk {
        self.0.lock().unwrap().fails_at = Some((operation, kind));
        self
    }

    pub fn ignores_sync(self) -> SimulatedDisk {
        self.0.lock().unwrap().ignores_sync = true;
        self
    }

    pub fn beside_first(self, first: bool) -> SimulatedDisk {
        self.0.lock().unwrap().beside_first = first;
        self
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// Whether the fault has come.
    pub fn has_failed(&self) -> bool {
        let inner = self.0.lock().unwrap();
        let past = |at: u64| inner.operations > at;
        inner.dies_at.is_some_and(past) || inner.fails_at.is_some_and(|(at, _)| past(at))
    }

    /// What is there after a crash, on a file system without faults.
    pub fn after(&self, crash: Crash) -> SimulatedDisk {
        let inner = self.0.lock().unwrap();
        let mut names = inner.durable.clone();
        let kept: Vec<&Change> = match crash {
            Crash::LosesAll => Vec::new(),
            Crash::KeepsAll | Crash::KeepsNames => inner.pending.iter().collect(),
            Crash::Reorders => inner.pending.iter().skip(inner.pending.len() / 2).collect(),
        };
        for change in kept {
            match change {
                Change::Add(path, file) => _ = names.insert(path.clone(), *file),
                Change::Remove(path) => _ = names.remove(path),
            }
        }
        let files = inner.files.iter().map(|file| {
            let bytes = match crash {
                Crash::KeepsAll => file.now.clone(),
                Crash::LosesAll | Crash::KeepsNames => file.durable.clone(),
                Crash::Reorders if file.now.len() > file.durable.len() => {
                    file.now[..(file.now.len() + file.durable.len()) / 2].to_vec()
                }
                Crash::Reorders => file.durable.clone(),
            };
            Content { durable: bytes.clone(), now: bytes }
        });
        let after = Inner {
            files: files.collect(),
            durable: names.clone(),
            names,
            folders: inner.folders.clone(),
            beside_first: inner.beside_first,
            ..Inner::default()
        };
        SimulatedDisk(Arc::new(Mutex::new(after)))
    }

    /// The files below `folder` that are no markers and not unfinished, and their bytes.
    pub fn output(&self, folder: &Path) -> BTreeMap<String, String> {
        let inner = self.0.lock().unwrap();
        let files = inner.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        let named = files.map(|(path, file)| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                String::from_utf8(inner.files[*file].now.clone()).unwrap(),
            )
        });
        named.filter(|(name, _)| !name.starts_with('.')).collect()
    }

    /// All paths.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.0.lock().unwrap().names.keys().cloned().collect()
    }

    /// Changes a byte of a file.
    pub fn damage(&self, path: &Path, at: usize) -> bool {
        let mut inner = self.0.lock().unwrap();
        let file = inner.names[path];
        let Some(byte) = inner.files[file].now.get_mut(at) else { return false };
        *byte ^= 0x10;
        true
    }

    fn operation<T>(&self, what: impl FnOnce(&mut Inner) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.0.lock().unwrap();
        let number = inner.operations;
        inner.operations += 1;
        if inner.dies_at.is_some_and(|at| number >= at) {
            return Err(io::Error::other("killed"));
        }
        if let Some((at, kind)) = inner.fails_at
            && number == at
        {
            return Err(kind.into());
        }
        what(&mut inner)
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

impl Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = self.file;
        self.disk.operation(|inner| {
            let content = &mut inner.files[file].now;
            // Short writes are allowed, and seldom met.
            let some = if content.is_empty() { &bytes[..bytes.len().div_ceil(2)] } else { bytes };
            content.extend_from_slice(some);
            Ok(some.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn sync(&mut self) -> io::Result<()> {
        let file = self.file;
        self.disk.operation(|inner| {
            if !inner.ignores_sync {
                let content = &mut inner.files[file];
                content.durable = content.now.clone();
            }
            Ok(())
        })
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.operation(|inner| {
            inner.folders.extend(path.ancestors().map(Path::to_path_buf));
            Ok(())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.operation(|inner| {
            if !inner.folders.contains(path.parent().unwrap()) {
                return Err(io::ErrorKind::NotFound.into());
            }
            inner.files.push(Content::default());
            let file = inner.files.len() - 1;
            inner.names.insert(path.into(), file);
            inner.pending.push(Change::Add(path.into(), file));
            Ok(file)
        })?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.operation(|inner| {
            let file = *inner.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(inner.files[file].now.clone())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation(|inner| {
            let file = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            inner.names.insert(to.into(), file);
            // One change: a rename is whole or not.
            inner.pending.push(Change::Add(to.into(), file));
            inner.pending.push(Change::Remove(from.into()));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation(|inner| {
            if inner.names.remove(path).is_some() {
                inner.pending.push(Change::Remove(path.into()));
            }
            Ok(())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.operation(|inner| {
            let inside = inner.names.keys().filter(|path| path.parent() == Some(folder));
            Ok(inside.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.operation(|inner| {
            if inner.ignores_sync {
                return Ok(());
            }
            let (synced, rest) = std::mem::take(&mut inner.pending).into_iter().partition(|change| match change {
                Change::Add(path, _) | Change::Remove(path) => path.parent() == Some(folder),
            });
            inner.pending = rest;
            let synced: Vec<Change> = synced;
            for change in synced {
                match change {
                    Change::Add(path, file) => _ = inner.durable.insert(path, file),
                    Change::Remove(path) => _ = inner.durable.remove(&path),
                }
            }
            Ok(())
        })
    }

    /// One after the other, so that a number names the same operation in every run. What the two do is in other folders: other ways to
    /// mix them leave no other states than these two orders and [`Crash`] do.
    fn both(&self, here: &mut dyn FnMut(), beside: &mut (dyn FnMut() + Send)) {
        if self.0.lock().unwrap().beside_first {
            beside();
            here();
        } else {
            here();
            beside();
        }
    }
}
