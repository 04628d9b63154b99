//! The strings of a chunk, each distinct one once.

use std::borrow::Cow;
use std::hash::BuildHasher;

use arrow_buffer::ScalarBuffer;
use hashbrown::HashTable;

use super::parse;
use crate::Result;
use crate::column::Dictionary;

/// The distinct strings of a chunk, and each row's index among them.
#[derive(Default)]
pub(super) struct Distinct<'d> {
    /// A row's index each.
    pub(super) codes: Vec<u32>,
    texts: Vec<Cow<'d, str>>,
    table: HashTable<(u32, u32)>,
    hasher: foldhash::fast::FixedState,
}

impl<'d> Distinct<'d> {
    /// The index of a raw field's text, or `None` if it is no UTF-8. Each distinct text is checked once.
    #[inline]
    pub(super) fn code(&mut self, raw: &'d [u8]) -> Option<u32> {
        let text = if raw.first() == Some(&super::QUOTE) { parse::unquote(raw) } else { Cow::Borrowed(raw) };
        let hash = self.hasher.hash_one(&*text);
        let tag = (hash >> 16) as u32;
        let texts = &self.texts;
        if let Some(&(_, code)) =
            self.table.find(hash, |&(t, code)| t == tag && same(texts[code as usize].as_bytes(), &text))
        {
            return Some(code);
        }
        self.add(hash, tag, text)
    }

    fn add(&mut self, hash: u64, tag: u32, text: Cow<'d, [u8]>) -> Option<u32> {
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(std::str::from_utf8(text).ok()?),
            Cow::Owned(text) => Cow::Owned(String::from_utf8(text).ok()?),
        };
        let code = self.texts.len() as u32;
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.table.insert_unique(hash, (tag, code), |&(_, c)| hasher.hash_one(texts[c as usize].as_bytes()));
        self.texts.push(text);
        Some(code)
    }

    /// The rows' codes in `dict`, which gets all texts in one batch.
    pub(super) fn intern(mut self, dict: &Dictionary) -> Result<ScalarBuffer<u32>> {
        let global = dict.intern_all(self.texts.iter().map(|t| &**t))?;
        if !global.is_empty() {
            for code in &mut self.codes {
                *code = global[*code as usize];
            }
        }
        Ok(self.codes.into())
    }
}

/// Equality without a call where the texts are short, as most are.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(a0), Some(b0), Some(a1), Some(b1)) if a.len() <= 16 => a0 == b0 && a1 == b1,
        (None, None, None, None) => std::iter::zip(a, b).all(|(a, b)| a == b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_compared_whole() {
        for len in 0..20 {
            let text = vec![b'x'; len];
            assert!(same(&text, &text.clone()));
            assert!(!same(&text, &vec![b'x'; len + 1]));
            for i in 0..len {
                let mut other = text.clone();
                other[i] = b'y';
                assert!(!same(&text, &other), "{len} {i}");
            }
        }
    }

    #[test]
    fn rows_of_one_text_share_a_code() {
        let mut distinct = Distinct::default();
        for raw in ["b", "a", "\"b\"", "\"a\"\"\"", "a\""] {
            let code = distinct.code(raw.as_bytes()).unwrap();
            distinct.codes.push(code);
        }
        let dict = Dictionary::new();
        dict.intern("a").unwrap();
        assert_eq!(*distinct.intern(&dict).unwrap(), [1, 0, 1, 2, 2]);
        assert_eq!(dict.len(), 3);
    }
}
