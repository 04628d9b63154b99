//! A run-wide dictionary: every distinct string of a column once, with a 32-bit code.
//!
//! All chunks of a run share one dictionary a column, so codes compare across chunks and threads. A reader first
//! finds the distinct strings of its chunk, then interns those in one batch: the lock is taken once a chunk, not
//! once a row. Codes are given in the order of arrival, which depends on threads; nothing that leaves the engine
//! may depend on them, only on the strings.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

use hashbrown::HashTable;

use crate::{Error, Result};

/// Distinct strings and their codes. Grows, never shrinks; a code once given stays.
#[derive(Default)]
pub struct Dictionary {
    inner: RwLock<Inner>,
    ranks: Mutex<Arc<Vec<u32>>>,
}

#[derive(Default)]
struct Inner {
    bytes: String,
    /// String `i` is `bytes[ends[i - 1]..ends[i]]`.
    ends: Vec<usize>,
    codes: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
}

impl Inner {
    fn get(&self, code: u32) -> &str {
        let code = code as usize;
        let start = if code == 0 { 0 } else { self.ends[code - 1] };
        &self.bytes[start..self.ends[code]]
    }

    fn intern(&mut self, text: &str) -> Result<u32> {
        let hash = self.hasher.hash_one(text);
        let Inner { bytes, ends, codes, hasher } = self;
        let get = |code: u32| {
            let code = code as usize;
            &bytes[if code == 0 { 0 } else { ends[code - 1] }..ends[code]]
        };
        if let Some(&code) = codes.find(hash, |&code| get(code) == text) {
            return Ok(code);
        }
        let code = u32::try_from(ends.len()).ok().filter(|&c| c < Dictionary::MOST).ok_or_else(|| Error::Resource {
            message: "a string column has more than 4 billion distinct values".into(),
            help: None,
        })?;
        codes.insert_unique(hash, code, |&code| hasher.hash_one(get(code)));
        bytes.push_str(text);
        ends.push(bytes.len());
        Ok(code)
    }
}

impl Dictionary {
    /// Codes stay below this, so that one value of u32 is free to mean "none".
    pub const MOST: u32 = u32::MAX - 1;

    /// An empty dictionary.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The codes of `texts`, in order; new strings get new codes. One lock for the whole batch.
    pub fn intern_all<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<u32>> {
        let mut inner = self.inner.write().unwrap_or_else(|e| e.into_inner());
        texts.into_iter().map(|text| inner.intern(text)).collect()
    }

    /// The code of one string.
    pub fn intern(&self, text: &str) -> Result<u32> {
        self.inner.write().unwrap_or_else(|e| e.into_inner()).intern(text)
    }

    /// The code of a string that is already there.
    pub fn find(&self, text: &str) -> Option<u32> {
        let inner = self.inner.read().unwrap_or_else(|e| e.into_inner());
        let hash = inner.hasher.hash_one(text);
        inner.codes.find(hash, |&code| inner.get(code) == text).copied()
    }

    /// Distinct strings so far.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is no string yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, for memory budgets.
    pub fn heap_bytes(&self) -> usize {
        let inner = self.inner.read().unwrap_or_else(|e| e.into_inner());
        inner.bytes.capacity() + inner.ends.capacity() * 8 + inner.codes.allocation_size()
    }

    /// Read access for many look-ups under one lock. Do not intern into the same dictionary while it is held.
    pub fn read(&self) -> Strings<'_> {
        Strings(self.inner.read().unwrap_or_else(|e| e.into_inner()))
    }

    /// For every code, the rank of its string in byte order. Covers at least the codes given before the call.
    pub fn ranks(&self) -> Arc<Vec<u32>> {
        let mut ranks = self.ranks.lock().unwrap_or_else(|e| e.into_inner());
        let strings = self.read();
        if ranks.len() != strings.len() {
            let mut order: Vec<u32> = (0..strings.len() as u32).collect();
            order.sort_unstable_by(|&a, &b| strings.get(a).cmp(strings.get(b)));
            let mut fresh = vec![0; order.len()];
            for (rank, &code) in order.iter().enumerate() {
                fresh[code as usize] = rank as u32;
            }
            *ranks = Arc::new(fresh);
        }
        Arc::clone(&ranks)
    }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({} strings)", self.len())
    }
}

/// Read access to a [`Dictionary`].
pub struct Strings<'a>(RwLockReadGuard<'a, Inner>);

impl Strings<'_> {
    /// The string of a code. The code must have been given by this dictionary.
    pub fn get(&self, code: u32) -> &str {
        self.0.get(code)
    }

    /// Distinct strings.
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_has_one_code_for_ever() {
        let dict = Dictionary::new();
        assert_eq!(dict.intern_all(["b", "", "a", "b"]).unwrap(), [0, 1, 2, 0]);
        assert_eq!(dict.intern("a").unwrap(), 2);
        assert_eq!(dict.find("a"), Some(2));
        assert_eq!(dict.find("c"), None);
        let strings = dict.read();
        assert_eq!((strings.get(0), strings.get(1), strings.get(2)), ("b", "", "a"));
    }

    #[test]
    fn ranks_follow_byte_order_and_growth() {
        let dict = Dictionary::new();
        dict.intern_all(["b", "a", "é", "B"]).unwrap();
        assert_eq!(*dict.ranks(), [2, 1, 3, 0]);
        dict.intern("").unwrap();
        assert_eq!(*dict.ranks(), [3, 2, 4, 1, 0]);
    }

    #[test]
    fn many_strings_from_many_threads() {
        let dict = Dictionary::new();
        std::thread::scope(|scope| {
            for t in 0..4 {
                let dict = &dict;
                scope.spawn(move || {
                    let texts: Vec<String> = (0..5000).map(|i| format!("{}", i * (t % 2 + 1))).collect();
                    let codes = dict.intern_all(texts.iter().map(String::as_str)).unwrap();
                    let strings = dict.read();
                    for (text, code) in texts.iter().zip(codes) {
                        assert_eq!(strings.get(code), text);
                    }
                });
            }
        });
        assert_eq!(dict.len(), 7500);
    }
}
