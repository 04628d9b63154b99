//! What a state is fed: the values of one argument for some rows.

use std::sync::Arc;

use crate::column::Dictionary;

/// The values of an argument, widened to its class.
#[derive(Debug, Clone, Copy)]
pub enum Slice<'a> {
    /// 0 or 1.
    Bool(&'a [u8]),
    /// Class Int.
    Int(&'a [i64]),
    /// Class Int, as stored: these are the most common, and not worth widening first.
    Int32(&'a [i32]),
    /// Class Wide.
    Wide(&'a [i128]),
    /// Class Float.
    Float(&'a [f64]),
    /// Class Str: codes.
    Str(&'a [u32], &'a Arc<Dictionary>),
}

/// The values of an argument and which of them are not null.
#[derive(Debug, Clone, Copy)]
pub struct Arg<'a> {
    /// One value a row; under a null, any.
    pub values: Slice<'a>,
    /// 1 where the value is not null; `None` if all are.
    pub valid: Option<&'a [u8]>,
}

impl<'a> Arg<'a> {
    /// The rows `range`.
    pub(super) fn slice(&self, range: std::ops::Range<usize>) -> Arg<'a> {
        let valid = self.valid.map(|valid| &valid[range.clone()]);
        let values = match self.values {
            Slice::Bool(v) => Slice::Bool(&v[range]),
            Slice::Int(v) => Slice::Int(&v[range]),
            Slice::Int32(v) => Slice::Int32(&v[range]),
            Slice::Wide(v) => Slice::Wide(&v[range]),
            Slice::Float(v) => Slice::Float(&v[range]),
            Slice::Str(v, dict) => Slice::Str(&v[range], dict),
        };
        Arg { values, valid }
    }

    /// Whether row `row` has a value.
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        self.valid.is_none_or(|v| v[row] != 0)
    }
}
