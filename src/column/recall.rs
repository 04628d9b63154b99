//! A cache of strings and their codes: what most rows of a column of few strings need, without a look at the dictionary.

use std::ops::Range;

use super::dictionary::NO_VIEW;
use super::text::{Key, MEDIUM, SHORT, Word, medium_hash, within_16};
use crate::simd::prefetch;

/// Entries of either kind at first, and where a cache is kept for many chunks: few enough to be made quickly, so many that
/// few strings share one. Only those in use take room in a first-level cache.
const FEW: usize = 1 << 11;
const MANY: usize = 1 << 13;

/// A short string that was seen, and its code. One that was not has a key that no string has.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Short {
    key: Key,
    code: u32,
}

/// A string of 16 to [`MEDIUM`] bytes: the first 16, the last 16, and how many it has (0: none was seen).
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Medium {
    head: u128,
    tail: u128,
    len: usize,
    code: u32,
}

/// A text that is not in the cache: its place, and its number among those looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) start: usize,
    pub(crate) len: u32,
    pub(crate) index: u32,
}

impl Missed {
    pub(crate) fn place(&self) -> Range<usize> {
        self.start..self.start + self.len as usize
    }
}

/// How far ahead of a text the file is asked for: as far as a reader looks before it comes back to read strings.
const AHEAD: usize = 1 << 15;
/// Texts looked for together.
const BATCH: usize = 256;

/// Empty until first used.
pub(super) struct Cache {
    entries: usize,
    short: Vec<Short>,
    medium: Vec<Medium>,
}

impl Cache {
    /// To be made anew for each chunk.
    pub(super) fn new() -> Cache {
        Cache { entries: FEW, short: Vec::new(), medium: Vec::new() }
    }

    /// To be kept for many.
    pub(super) fn lasting() -> Cache {
        Cache { entries: MANY, ..Cache::new() }
    }

    /// The code of a short word if it is there, or any, and whether it is.
    #[inline(always)]
    pub(super) fn short(&self, word: &Word<'_>) -> (u32, bool) {
        let Some(seen) = self.short.get(word.hash as usize & (self.entries - 1)) else { return (0, false) };
        (seen.code, seen.key.is(word.key))
    }

    /// Makes room for words.
    pub(super) fn prepare(&mut self) {
        if self.short.is_empty() {
            self.short = vec![Short { key: NO_VIEW, code: 0 }; self.entries];
        }
    }

    /// Remembers a word's code.
    #[inline(always)]
    pub(super) fn insert(&mut self, word: &Word<'_>, code: u32) {
        if word.key.is_long() {
            self.insert_medium(word, code);
        } else if let Some(seen) = self.short.get_mut(word.hash as usize & (self.entries - 1)) {
            *seen = Short { key: word.key, code };
        }
    }

    fn insert_medium(&mut self, word: &Word<'_>, code: u32) {
        let bytes = word.bytes;
        let (Some(head), Some(tail), ..=MEDIUM) = (bytes.first_chunk(), bytes.last_chunk(), bytes.len()) else {
            return;
        };
        if self.medium.is_empty() {
            self.medium = vec![Medium { head: 0, tail: 0, len: 0, code: 0 }; self.entries / 4];
        }
        let (head, tail) = (u128::from_le_bytes(*head), u128::from_le_bytes(*tail));
        let at = word.hash as usize & (self.medium.len() - 1);
        self.medium[at] = Medium { head, tail, len: bytes.len(), code };
    }

    /// Gives each of `texts`, which lie in `data`, the code of its string in `codes` if it is there, or any, and appends those
    /// that are not there to `missed`.
    pub(super) fn recall(
        &mut self,
        data: &[u8],
        mut texts: impl Iterator<Item = Range<usize>>,
        codes: &mut [u32],
        missed: &mut Vec<Missed>,
    ) {
        self.prepare();
        let mut waiting = [Missed::default(); BATCH];
        let mut index = 0;
        for codes in codes.chunks_mut(BATCH) {
            let mut len = 0;
            let mask = self.short.len() - 1;
            // Without a branch on what a text is: most are here, but which are longer nobody knows.
            for (code, Range { start, end }) in codes.iter_mut().zip(&mut texts) {
                prefetch(data, start + AHEAD);
                let (key, hash) = within_16(data, start, end);
                let seen = &self.short[hash as usize & mask];
                *code = seen.code;
                waiting[len % BATCH] = Missed { start, len: (end - start) as u32, index };
                len += usize::from(!seen.key.is(key));
                index += 1;
            }
            for text in &waiting[..len.min(BATCH)] {
                match self.medium(data, text) {
                    Some(code) => codes[text.index as usize % BATCH] = code,
                    None => missed.push(*text),
                }
            }
        }
    }

    /// The code of a text if it is one of medium length that is there.
    #[inline(always)]
    fn medium(&self, data: &[u8], text: &Missed) -> Option<u32> {
        let len = text.len as usize;
        if !(SHORT + 1..=MEDIUM).contains(&len) {
            return None;
        }
        let bytes = data.get(text.place())?;
        let (head, tail) = (u128::from_le_bytes(*bytes.first_chunk()?), u128::from_le_bytes(*bytes.last_chunk()?));
        let seen = self.medium.get(medium_hash(head, tail, len) as usize & self.medium.len().wrapping_sub(1))?;
        (seen.len == len && seen.head == head && seen.tail == tail).then_some(seen.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_recalled_and_nothing_else() {
        let mut cache = Cache::new();
        cache.prepare();
        let texts: Vec<String> = (0..40).map(|len| "abcdefghij".repeat(4)[..len].into()).collect();
        let mut data = vec![];
        let mut places = vec![];
        // Each twice, then some that only begin or end like one of them.
        let others = (1..40).flat_map(|len| [format!("x{}", &texts[len][1..]), format!("{}x", &texts[len - 1])]);
        for text in texts.iter().chain(&texts).cloned().chain(others) {
            places.push(data.len()..data.len() + text.len());
            data.extend_from_slice(text.as_bytes());
        }
        let mut codes = vec![7; places.len()];
        let mut missed = vec![];
        cache.recall(&data, places.iter().cloned(), &mut codes, &mut missed);
        assert!(missed.iter().map(Missed::place).eq(places.iter().cloned()), "nothing was inserted");
        for (code, text) in (100..).zip(&texts) {
            cache.insert(&Word::of(text.as_bytes()), code);
        }
        missed.clear();
        // The last texts have no 16 bytes after them: they are missed too.
        data.extend_from_slice(&[b'-'; 16]);
        cache.recall(&data, places.iter().cloned(), &mut codes, &mut missed);
        let mut recalled = 0;
        for (index, place) in places.iter().enumerate() {
            if missed.iter().any(|missed| missed.index == index as u32) {
                continue;
            }
            let known = texts.iter().position(|text| text.as_bytes() == &data[place.clone()]);
            assert_eq!(known.map(|known| 100 + known), Some(codes[index] as usize), "{index}");
            assert!(known.is_some_and(|known| known <= MEDIUM), "{index}");
            recalled += 1;
        }
        // Few share an entry.
        assert!(recalled > (MEDIUM + 1) * 2 - 8, "{recalled}");
    }
}
