//! How much memory a run may use, and what is left of it for groups.

use std::path::PathBuf;
use std::sync::Arc;

use crate::column::Dictionary;
use crate::{Error, Result};

/// What the process takes before it holds a group: code, threads, batches on their way out.
const BASE: u64 = 40 << 20;
/// What a GPU's driver takes besides: its libraries and its compiler.
const DRIVER: u64 = 64 << 20;
/// How much larger a chunk is in memory than in its file: the mapped pages, its columns, what is computed from them.
const CHUNK_GROWTH: u64 = 4;

/// The limit of a run.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    /// Bytes the process may take.
    pub bytes: u64,
    /// Those of them that a GPU may take for staging, and for buffers where it has no memory of its own; 0 without one.
    pub device: u64,
    /// Where temporary files go.
    pub folder: PathBuf,
}

impl Memory {
    /// The bytes a run may use if nobody says: three quarters of what the machine has, or of what the control group of the
    /// process is allowed; `None` where the system does not say.
    pub fn usual() -> Option<u64> {
        let total = told("/proc/meminfo", "MemTotal:")?;
        let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        let allowed = group.iter().find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
        Some(allowed.map_or(total, |allowed| allowed.min(total)) / 4 * 3)
    }

    /// The most memory the process has had so far; `None` where the system does not say.
    pub fn peak() -> Option<u64> {
        told("/proc/self/status", "VmHWM:")
    }

    /// The bytes of a chunk that go well with the limit.
    pub fn chunk_bytes(&self, wanted: usize, threads: usize) -> usize {
        let fitting = self.bytes / (32 * threads as u64);
        wanted.min(usize::try_from(fitting).unwrap_or(usize::MAX).max(1 << 16))
    }

    /// Bytes left for rows and groups.
    ///
    /// # Errors
    /// There is hardly anything left: dictionaries cannot be spilled.
    pub fn room(&self, threads: usize, chunk_bytes: usize, dictionaries: &[Arc<Dictionary>]) -> Result<u64> {
        // A rank and its inverse for each string, and the sort that finds them.
        let of_one = |dict: &Arc<Dictionary>| (dict.heap_bytes() + dict.len() * 16) as u64;
        let strings: u64 = dictionaries.iter().map(of_one).sum();
        let device = if self.device > 0 { self.device + DRIVER } else { 0 };
        let taken = BASE + device + threads as u64 * chunk_bytes as u64 * CHUNK_GROWTH + strings;
        let room = self.bytes.saturating_sub(taken);
        if room < self.bytes / 32 {
            return Err(Error::Resource {
                message: format!(
                    "{} of memory are not enough: the distinct strings of text columns take {}, the program and the \
                     chunks of {threads} threads {}",
                    size(self.bytes),
                    size(strings),
                    size(taken - strings)
                ),
                help: Some("allow more (--memory), or use fewer threads (--threads)".into()),
            });
        }
        Ok(room)
    }
}

/// Bytes as one says them.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// The bytes that the kernel's file at `path` tells in kB after `name`.
fn told(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_shrinks_with_strings_until_it_is_an_error() {
        let memory = Memory { bytes: 64 << 20, device: 0, folder: PathBuf::from("/tmp") };
        assert_eq!(memory.chunk_bytes(16 << 20, 2), 1 << 20);
        assert_eq!(memory.chunk_bytes(1000, 2), 1000);
        let dict = Dictionary::new();
        let before = memory.room(2, 1 << 20, &[Arc::clone(&dict)]).unwrap();
        assert!(before <= (64 - 40 - 8) << 20);
        dict.intern_all(
            (0..50_000).map(|i| format!("a string of some length {i}")).collect::<Vec<_>>().iter().map(String::as_str),
        )
        .unwrap();
        assert!(memory.room(2, 1 << 20, &[Arc::clone(&dict)]).unwrap() < before - (1 << 20));
        let device = Memory { bytes: 164 << 20, device: 4 << 20, folder: PathBuf::new() };
        assert_eq!(
            device.room(2, 1 << 20, &[]).unwrap(),
            memory.room(2, 1 << 20, &[]).unwrap() + (100 << 20) - (68 << 20)
        );
        let error = Memory { bytes: 40 << 20, ..memory }.room(2, 1 << 20, &[dict]).unwrap_err().to_string();
        assert!(error.contains("--memory") && error.contains("distinct strings"), "{error}");
        let error = Memory { bytes: 5000, ..device }.room(2, 1 << 20, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("4 KiB of memory are not enough: the distinct strings of text columns take 0 bytes"),
            "{error}"
        );
    }
}
