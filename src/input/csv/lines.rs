//! Line numbers, counted only when a message needs one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use memchr::memchr_iter;

/// Remembers the lines counted so far, so that many messages about one file count each byte about once.
#[derive(Default)]
pub(in crate::input) struct Lines {
    /// LFs before a byte.
    known: Mutex<BTreeMap<usize, u64>>,
    /// Lines that came before the data.
    before: u64,
}

impl Lines {
    /// Counts are kept at most this often.
    const STEP: usize = 1 << 16;

    /// Of data that comes after so many lines.
    pub(in crate::input) fn after(before: u64) -> Lines {
        Lines { before, ..Lines::default() }
    }

    /// The 1-based line that byte `at` stands in.
    pub(in crate::input) fn line(&self, data: &[u8], at: usize) -> u64 {
        let nearest = |known: &BTreeMap<usize, u64>| known.range(..=at).next_back().map_or((0, 0), |(&b, &n)| (b, n));
        // Not held while counting: another thread's message need not wait for this one's.
        let (from, before) = nearest(&self.known.lock().unwrap_or_else(|e| e.into_inner()));
        let count = before + memchr_iter(b'\n', &data[from..at]).count() as u64;
        if at - from >= Lines::STEP {
            self.known.lock().unwrap_or_else(|e| e.into_inner()).insert(at, count);
        }
        self.before + count + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_in_any_order_of_asking() {
        let data: Vec<u8> = (0..500_000u32).map(|i| if i % 7 == 3 { b'\n' } else { b'x' }).collect();
        let lines = Lines::default();
        for at in [499_999, 3, 4, 250_000, 70_000, 0, 499_999, 499_998] {
            let plain = data[..at].iter().filter(|&&b| b == b'\n').count() as u64 + 1;
            assert_eq!(lines.line(&data, at), plain, "{at}");
        }
        assert!(lines.known.lock().unwrap().len() <= 8);
        assert_eq!(Lines::after(41).line(&data, 4), 43);
    }
}
