//! Bags as bytes, and with other codes for the same strings.

use std::sync::Arc;

use super::word::Word;
use super::{Bag, Store, Words};
use crate::column::{Class, Dictionary};

impl Bag {
    /// For class Str: other codes for the same strings, those of `dict`; `code` is asked for each code that is there.
    pub fn recode(&mut self, dict: Option<&Arc<Dictionary>>, mut code: impl FnMut(u32) -> u32) {
        let mut bag = Bag::new(self.class, self.keep);
        bag.resize(self.groups);
        if let Words::Narrow(store) = &self.words {
            let mut fresh = Vec::new();
            for group in 0..self.groups {
                let counted = store.read(group, &mut fresh);
                let words = fresh.iter().map(|&word| (word, 1)).chain(counted.iter().map(|e| (e.word, e.times)));
                let entries: Vec<_> =
                    words.map(|(word, times)| (group as u32, 0, code(word as u32).into(), times)).collect();
                bag.import(dict, entries.into_iter());
            }
        }
        bag.dict = dict.cloned();
        *self = bag;
    }

    /// For class Str: calls `each` with every code that is there, and gives the dictionary; `None` for other classes, or if
    /// there is none.
    pub fn codes(&self, mut each: impl FnMut(u32)) -> Option<&Arc<Dictionary>> {
        if let (Words::Narrow(store), Class::Str) = (&self.words, self.class) {
            let mut fresh = Vec::new();
            for group in 0..self.groups {
                let counted = store.read(group, &mut fresh);
                fresh.iter().for_each(|&word| each(word as u32));
                counted.iter().for_each(|e| each(e.word as u32));
            }
            return self.dict.as_ref();
        }
        None
    }

    /// Appends the bytes of all groups; [`Bag::take`] reads them back.
    pub fn put(&self, out: &mut Vec<u8>) {
        match &self.words {
            Words::Narrow(store) => self.put_store(store, out),
            Words::Wide(store) => self.put_store(store, out),
        }
    }

    fn put_store<W: Word>(&self, store: &Store<W>, out: &mut Vec<u8>) {
        let mut fresh = Vec::new();
        for group in 0..self.groups {
            let counted = store.read(group, &mut fresh);
            let count = (fresh.len() + counted.len()) as u64;
            out.extend_from_slice(&count.to_le_bytes());
            let entries = fresh.iter().map(|&word| (word, 1)).chain(counted.iter().map(|e| (e.word, e.times)));
            for (word, times) in entries {
                out.extend_from_slice(&word.low().to_le_bytes());
                if W::BYTES > 8 {
                    out.extend_from_slice(&word.high().to_le_bytes());
                }
                out.extend_from_slice(&times.to_le_bytes());
            }
        }
    }

    /// Reads the bags of `groups` groups, of the kind and dictionary of `self`, off the front of `bytes`; `None` if they are
    /// not whole.
    pub fn take(&self, bytes: &mut &[u8], groups: usize) -> Option<Bag> {
        let mut bag = Bag::new(self.class, self.keep);
        bag.resize(groups);
        let wide = matches!(self.words, Words::Wide(_));
        let size = if wide { 20 } else { 12 };
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        for group in 0..groups as u32 {
            let count = usize::try_from(word(bytes.split_off(..8)?)).ok()?;
            let entries = bytes.split_off(..count.checked_mul(size)?)?.chunks_exact(size);
            let entry = |entry: &[u8]| {
                let (words, times) = entry.split_at(size - 4);
                let high = if wide { word(&words[8..]) } else { 0 };
                (group, high, word(&words[..8]), times.try_into().map_or(0, u32::from_le_bytes))
            };
            bag.import(self.dict.as_ref(), entries.map(entry));
        }
        Some(bag)
    }
}
