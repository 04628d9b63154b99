//! The keys of rows as they come: words, or values as they stand in a chunk.

use std::sync::Arc;

use crate::column::key::int_word;
use crate::column::{Dictionary, KeyColumn};
use crate::simd::widest;

/// The keys of some rows in one key column.
#[derive(Debug, Clone, Copy)]
pub enum KeyRows<'a> {
    /// Key words of any class.
    Words(&'a KeyColumn),
    /// Class Int, no nulls.
    Int32(&'a [i32]),
    /// Class Int, no nulls.
    Int(&'a [i64]),
    /// Class Str, no nulls: codes.
    Str(&'a [u32], &'a Arc<Dictionary>),
}

impl<'a> KeyRows<'a> {
    /// All key columns of some groups.
    pub fn of(keys: &'a [KeyColumn]) -> Vec<KeyRows<'a>> {
        keys.iter().map(KeyRows::Words).collect()
    }

    /// What codes mean.
    pub(super) fn dict(&self) -> Option<&'a Arc<Dictionary>> {
        match self {
            KeyRows::Words(key) => key.dict.as_ref(),
            KeyRows::Str(_, dict) => Some(dict),
            _ => None,
        }
    }

    /// 1 where a key is not null; `None` if none is.
    pub(super) fn valid(&self) -> Option<&'a [u8]> {
        match self {
            KeyRows::Words(key) => key.valid.as_deref(),
            _ => None,
        }
    }

    /// The words, or their high halves, from the smallest to the largest; (u64::MAX, 0) if there is none but of nulls.
    pub(super) fn span(&self, high: bool) -> (u64, u64) {
        match self {
            KeyRows::Words(key) => {
                let words = if high { &key.hi } else { &key.lo };
                match &key.valid {
                    None => span_u64(words),
                    Some(valid) => words.iter().zip(valid).fold((u64::MAX, 0), |(lo, hi), (&v, &ok)| {
                        if ok == 0 { (lo, hi) } else { (lo.min(v), hi.max(v)) }
                    }),
                }
            }
            KeyRows::Int32([]) | KeyRows::Int([]) | KeyRows::Str([], _) => (u64::MAX, 0),
            KeyRows::Int32(v) => {
                let (lo, hi) = span_i32(v);
                (int_word(lo.into()), int_word(hi.into()))
            }
            KeyRows::Int(v) => {
                let (lo, hi) = span_i64(v);
                (int_word(lo), int_word(hi))
            }
            KeyRows::Str(v, _) => {
                let (lo, hi) = span_u32(v);
                (lo.into(), hi.into())
            }
        }
    }

    /// Appends the words of the listed rows to `key`, which has `before` keys.
    pub(super) fn append_to(&self, key: &mut KeyColumn, before: usize, rows: &[u32]) {
        let rows = rows.iter().map(|&row| row as usize);
        match self {
            KeyRows::Words(from) => {
                key.lo.extend(rows.clone().map(|row| from.lo[row]));
                if !from.hi.is_empty() {
                    key.hi.extend(rows.clone().map(|row| from.hi[row]));
                }
            }
            KeyRows::Int32(v) => key.lo.extend(rows.clone().map(|row| int_word(v[row].into()))),
            KeyRows::Int(v) => key.lo.extend(rows.clone().map(|row| int_word(v[row]))),
            KeyRows::Str(v, _) => key.lo.extend(rows.clone().map(|row| u64::from(v[row]))),
        }
        if key.dict.is_none() {
            key.dict = self.dict().cloned();
        }
        if let Some(valid) = self.valid() {
            let own = key.valid.get_or_insert_with(|| vec![1; before]);
            own.extend(rows.map(|row| valid[row]));
        } else if let Some(own) = &mut key.valid {
            own.resize(key.lo.len(), 1);
        }
    }
}

macro_rules! span {
    ($($name:ident $ty:ident),+) => {$(
        widest! {
            fn $name(values: &[$ty]) -> ($ty, $ty) {
                values.iter().fold(($ty::MAX, $ty::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v)))
            }
        }
    )+};
}

span!(span_i32 i32, span_i64 i64, span_u32 u32, span_u64 u64);
