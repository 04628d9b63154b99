//! Rows that pass: the selection of a morsel, and what is picked by it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::agg::{Arg, KeyRows, Slice};
use crate::column::key::{float_word, int_word, wide_word};
use crate::column::{Class, Dictionary, KeyColumn};
use crate::expr::{Vector, VectorData};

/// Which rows of a morsel go on, which were dropped by the filter, which have no result.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Rows that go on, ascending; only meaningful if not `all`.
    pub rows: Vec<u32>,
    /// Every row goes on.
    pub all: bool,
    /// Rows without a result, ascending.
    pub failed: Vec<u32>,
    /// Rows dropped by the filter.
    pub filtered: usize,
}

impl Selection {
    /// Selects among `len` rows by the filter and by the errors of everything else.
    pub fn select<'a>(
        &mut self,
        len: usize,
        filter: Option<&Vector<'_>>,
        others: impl Iterator<Item = &'a Vector<'a>>,
    ) {
        self.rows.clear();
        self.failed.clear();
        self.filtered = 0;
        self.all = true;
        if let Some(filter) = filter {
            let VectorData::Bool(truth) = &filter.data else {
                debug_assert!(false, "a filter is a bool");
                return;
            };
            let truth = &truth[..len];
            match (filter.valid.as_deref(), filter.error.as_deref()) {
                (None, None) => self.keep(len, |row| truth[row]),
                (Some(valid), None) => self.keep(len, |row| truth[row] & valid[row]),
                (valid, Some(errors)) => {
                    self.keep(len, |row| truth[row] & valid.map_or(1, |v| v[row]) & (1 - errors[row]));
                }
            }
            if let Some(errors) = &filter.error {
                self.failed.extend((0..len).filter(|&row| errors[row] != 0).map(|row| row as u32));
            }
            self.filtered = len - self.rows.len() - self.failed.len();
            self.all = self.rows.len() == len;
        }
        for errors in others.filter_map(|v| v.error.as_deref()).filter(|e| e.contains(&1)) {
            if self.all {
                self.rows.clear();
                self.rows.extend(0..len as u32);
                self.all = false;
            }
            let failed = &mut self.failed;
            self.rows.retain(|&row| {
                let bad = errors[row as usize] != 0;
                if bad {
                    failed.push(row);
                }
                !bad
            });
        }
        self.failed.sort_unstable();
    }

    /// The rows where `keep` is 1 and not 0: each is written down, and the next one over it unless it is kept.
    fn keep(&mut self, len: usize, keep: impl Fn(usize) -> u8) {
        self.rows.resize(len, 0);
        let mut count = 0;
        for row in 0..len {
            self.rows[count] = row as u32;
            count += usize::from(keep(row));
        }
        self.rows.truncate(count);
    }

    /// How many rows go on, of `len`.
    pub fn count(&self, len: usize) -> usize {
        if self.all { len } else { self.rows.len() }
    }
}

/// The values of a node, before rows are selected.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values<'a> {
    /// As they lie in the chunk; none is null or an error.
    Stored(&'a [i32]),
    Vector(&'a Vector<'a>),
}

impl<'a> Values<'a> {
    pub fn vector(&self) -> Option<&'a Vector<'a>> {
        match self {
            Values::Stored(_) => None,
            Values::Vector(vector) => Some(vector),
        }
    }
}

/// Selected values, and which of them are not null.
#[derive(Debug)]
pub(super) struct Picked<'a> {
    data: PickedData<'a>,
    valid: Option<Cow<'a, [u8]>>,
}

#[derive(Debug)]
enum PickedData<'a> {
    Bool(Cow<'a, [u8]>),
    Int32(Cow<'a, [i32]>),
    Int(Cow<'a, [i64]>),
    Wide(Cow<'a, [i128]>),
    Float(Cow<'a, [f64]>),
    Str(Cow<'a, [u32]>, &'a Arc<Dictionary>),
}

impl<'a> Picked<'a> {
    /// Picks the selected rows: nothing is copied if all are.
    pub fn new(values: Values<'a>, selection: &Selection) -> Self {
        fn pick<'a, T: Clone + Copy>(selection: &Selection, values: &'a [T]) -> Cow<'a, [T]> {
            if selection.all {
                return Cow::Borrowed(values);
            }
            Cow::Owned(selection.rows.iter().map(|&row| values[row as usize]).collect())
        }
        let vector = match values {
            Values::Stored(v) => return Picked { data: PickedData::Int32(pick(selection, v)), valid: None },
            Values::Vector(vector) => vector,
        };
        let data = match &vector.data {
            VectorData::Bool(v) => PickedData::Bool(pick(selection, v)),
            VectorData::Int(v) => PickedData::Int(pick(selection, v)),
            VectorData::Wide(v) => PickedData::Wide(pick(selection, v)),
            VectorData::Float(v) => PickedData::Float(pick(selection, v)),
            VectorData::Str { codes, dict } => PickedData::Str(pick(selection, codes), dict),
        };
        let valid = vector.valid.as_ref().map(|v| pick(selection, v)).filter(|v| v.contains(&0));
        Picked { data, valid }
    }

    /// As the argument of a state.
    pub fn arg(&self) -> Arg<'_> {
        let values = match &self.data {
            PickedData::Bool(v) => Slice::Bool(v),
            PickedData::Int32(v) => Slice::Int32(v),
            PickedData::Int(v) => Slice::Int(v),
            PickedData::Wide(v) => Slice::Wide(v),
            PickedData::Float(v) => Slice::Float(v),
            PickedData::Str(codes, dict) => Slice::Str(codes, dict),
        };
        Arg { values, valid: self.valid.as_deref() }
    }

    /// As keys: as they are if that will do, else as words in `words`.
    pub fn keys<'b>(&'b self, words: &'b mut KeyColumn) -> KeyRows<'b> {
        match (&self.data, &self.valid) {
            (PickedData::Int32(v), None) => KeyRows::Int32(v),
            (PickedData::Int(v), None) => KeyRows::Int(v),
            (PickedData::Str(codes, dict), None) => KeyRows::Str(codes, dict),
            _ => {
                self.words(words);
                KeyRows::Words(words)
            }
        }
    }

    fn words(&self, key: &mut KeyColumn) {
        key.clear();
        match &self.data {
            PickedData::Bool(v) => key.lo.extend(v.iter().map(|&b| u64::from(b))),
            PickedData::Int32(v) => key.lo.extend(v.iter().map(|&i| int_word(i.into()))),
            PickedData::Int(v) => key.lo.extend(v.iter().map(|&i| int_word(i))),
            PickedData::Float(v) => key.lo.extend(v.iter().map(|&f| float_word(f))),
            PickedData::Wide(v) => {
                key.lo.extend(v.iter().map(|&w| wide_word(w) as u64));
                key.hi.extend(v.iter().map(|&w| (wide_word(w) >> 64) as u64));
            }
            PickedData::Str(codes, dict) => {
                key.lo.extend(codes.iter().map(|&c| u64::from(c)));
                key.dict = Some(Arc::clone(dict));
            }
        }
        debug_assert!(key.class != Class::Wide || key.hi.len() == key.lo.len());
        if let Some(valid) = self.valid.as_deref() {
            // What stands under a null is arbitrary: the key's word there is 0.
            for words in [&mut key.lo, &mut key.hi] {
                words.iter_mut().zip(valid).for_each(|(word, &ok)| *word &= u64::from(ok).wrapping_neg());
            }
            key.valid = Some(valid.to_vec());
        }
    }
}
