//! Files as memory: the one door in tidemill behind which `unsafe` stands.
//!
//! The risk, stated once (ripgrep and many others take the same): a memory map is only as constant as its file. If
//! another process shortens the file while it is read, touching the lost pages raises SIGBUS and ends the process; if
//! it rewrites bytes in place, a reader may see the old and the new. No file system gives a portable way to forbid
//! it. tidemill therefore maps input files only, reads each byte as plain data (whatever it is, it is checked before
//! it is believed), and never maps a file it writes. Do not edit a file while it is being aggregated.

use std::fs::File;
use std::io::Read;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_buffer::{Buffer, MutableBuffer};
use memmap2::Mmap;

use crate::{Error, Result};

/// Bytes around a touched page that the system maps with it, at most: Linux takes the 64 KiB around it, and since 6.18 all of the
/// folio it is in, which is 2 MiB long at most where pages are 4 KiB.
#[cfg(unix)]
const AROUND: usize = 2 << 20;

/// The bytes of a file, mapped where that is possible and read into memory where it is not.
///
/// Standard input (`-`), pipes, devices and files whose size is unknown (`/proc`) are read into memory.
#[derive(Debug)]
pub(crate) struct Map {
    path: PathBuf,
    bytes: Buffer,
    /// The map, if the file is mapped.
    mapped: Option<Arc<Mmap>>,
}

impl Map {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Arc<Map>> {
        let path = path.as_ref();
        let cannot_read = |e| Error::io("cannot read", path, e);
        if path == Path::new("-") {
            let bytes = read_all(std::io::stdin().lock()).map_err(cannot_read)?;
            return Ok(Arc::new(Map { path: path.into(), bytes, mapped: None }));
        }
        let file = File::open(path).map_err(|e| Error::io("cannot open", path, e))?;
        let about = file.metadata().map_err(cannot_read)?;
        if about.is_dir() {
            return Err(Error::io("cannot read", path, std::io::ErrorKind::IsADirectory.into()));
        }
        // An empty map is an error on most systems, and a size of 0 may mean "unknown". A file system that cannot map
        // can still read.
        let mapped = if about.is_file() && about.len() > 0 { map(&file).ok() } else { None };
        let (bytes, mapped) = match mapped {
            Some((bytes, map)) => (bytes, Some(map)),
            None => (read_all(file).map_err(cannot_read)?, None),
        };
        Ok(Arc::new(Map { path: path.into(), bytes, mapped }))
    }

    /// Bytes in memory, copied, as if they were a file called `path`.
    pub(crate) fn of_bytes(path: &Path, bytes: &[u8]) -> Arc<Map> {
        let mut all = MutableBuffer::new(bytes.len());
        all.extend_from_slice(bytes);
        Arc::new(Map { path: path.into(), bytes: all.into(), mapped: None })
    }

    /// The path it was opened by (`-` for standard input).
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Says that `range` has been read and may not be read again soon: its pages no longer count as this process's memory.
    /// Reading it again is right, only slower.
    ///
    /// What the system mapped along with it goes too: it maps the neighbours of a page that is touched, which for the first
    /// page of a range are the last of the one before, long given back.
    #[allow(unsafe_code, reason = "only the owner of a map may say what may be dropped from it")]
    pub(crate) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Some(map) = &self.mapped
            && range.start < range.end
            && range.end <= map.len()
        {
            let range = range.start.saturating_sub(AROUND)..(range.end + AROUND).min(map.len());
            // SAFETY: the map is of a file, shared and read-only, so there is nothing in memory that is not in the file: a
            // page that is touched again is the file's page again, for every thread that holds a reference into it.
            let advice =
                unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
            // It is advice: what is not taken costs memory only.
            _ = advice;
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// The bytes as an Arrow buffer, without a copy; it (and every slice of it) keeps the map alive.
    ///
    /// It starts at a page or at least at a 64-byte boundary; what a slice is aligned to is the file's doing.
    pub(crate) fn buffer(&self) -> Buffer {
        self.bytes.clone()
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Maps the whole of a file.
#[allow(unsafe_code, reason = "mapping a file is unsafe by nature; the module's header states the risk")]
fn map(file: &File) -> std::io::Result<(Buffer, Arc<Mmap>)> {
    // SAFETY: the map is private to this process and read-only; see the module's header for what remains.
    let map = Arc::new(unsafe { Mmap::map(file)? });
    let (start, len) = (NonNull::from(&map[..]).cast::<u8>(), map.len());
    // SAFETY: `start` and `len` describe the map, which the buffer owns from here on and whose address does not
    // change when the `Mmap` moves. The map is readable for as long as its owner lives and is never written.
    let buffer = unsafe { Buffer::from_custom_allocation(start, len, Arc::<Mmap>::clone(&map)) };
    Ok((buffer, map))
}

/// Reads to the end, into memory aligned for Arrow.
fn read_all(mut from: impl Read) -> std::io::Result<Buffer> {
    let mut all = MutableBuffer::new(0);
    let mut block = vec![0; 1 << 18];
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok(all.into()),
            Ok(n) => all.extend_from_slice(&block[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_mapped_and_its_buffer_is_not_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"hello, map").unwrap();
        let map = Map::open(&path).unwrap();
        assert_eq!(map.as_ptr().align_offset(4096), 0, "a map starts at a page");
        assert_eq!(&map[..], b"hello, map");
        assert_eq!(map.path(), path);
        let slice = map.buffer().slice_with_length(7, 3);
        assert_eq!(slice.as_ptr(), map[7..].as_ptr());
        drop(map);
        assert_eq!(slice.as_slice(), b"map");
    }

    #[test]
    fn what_is_released_can_be_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i / 7) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let map = Map::open(&path).unwrap();
        assert_eq!(map[..], bytes);
        let buffer = map.buffer();
        for range in [0..100_000, 5000..5001, 4096..8192, 99_999..100_000, 7..7, 0..200_000] {
            map.release(range);
            assert_eq!(map[..], bytes);
            assert_eq!(buffer.as_slice(), bytes);
        }
    }

    #[test]
    fn an_empty_file_is_empty_and_a_missing_one_is_an_error_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty");
        std::fs::write(&path, b"").unwrap();
        let map = Map::open(&path).unwrap();
        assert!(map.is_empty() && map.buffer().is_empty());
        let error = Map::open(dir.path().join("none")).unwrap_err().to_string();
        assert!(error.starts_with("cannot open ") && error.contains("none"), "{error}");
        let error = Map::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_mapped_is_read() {
        let map = Map::open("/proc/self/cmdline").unwrap();
        assert!(!map.is_empty());
        let error = Map::open("/proc/self/mem").unwrap_err();
        assert!(matches!(error, Error::Io { action: "cannot read", .. }));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || std::fs::write(path, vec![b'x'; 700_000]).unwrap())
        };
        let map = Map::open(&path).unwrap();
        writer.join().unwrap();
        assert_eq!(map.len(), 700_000);
        assert!(map.iter().all(|&b| b == b'x'));
    }
}
