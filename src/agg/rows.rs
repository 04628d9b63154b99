//! Rows on their way to their groups: packed keys and the arguments of the states, as columns.
//!
//! Where nearly every row has a group of its own, a table of groups only costs: rows are kept as they are, brought into
//! the order of their keys, and grouped then.

use std::sync::Arc;

use super::{Arg, Layout, Slice};
use crate::column::{Dictionary, KeyColumn};

/// Some rows. Their keys are packed as their own layout says.
#[derive(Debug, Clone)]
pub struct Rows {
    /// How many.
    pub rows: usize,
    /// How the keys are packed.
    pub layout: Layout,
    /// The packed keys.
    pub keys: Vec<Vec<u64>>,
    /// The arguments of the states.
    pub args: Vec<ArgColumn>,
}

/// The values of one argument, owned.
#[derive(Debug, Clone)]
pub struct ArgColumn {
    /// One value a row; under a null, any.
    pub data: ArgData,
    /// 1 where the value is not null; `None` if all are.
    pub valid: Option<Vec<u8>>,
}

/// The values of an argument by class.
#[derive(Debug, Clone)]
pub enum ArgData {
    /// 0 or 1.
    Bool(Vec<u8>),
    /// Class Int.
    Int(Vec<i64>),
    /// Class Wide.
    Wide(Vec<i128>),
    /// Class Float.
    Float(Vec<f64>),
    /// Class Str: codes.
    Str(Vec<u32>, Arc<Dictionary>),
}

impl Rows {
    /// `rows` rows with the keys `keys` and the arguments `args`.
    pub fn new(rows: usize, keys: &[KeyColumn], args: &[Arg<'_>]) -> Rows {
        let mut layout = Layout::new(keys);
        layout.cover(keys);
        let mut packed = Vec::new();
        layout.pack(keys, rows, &mut packed);
        Rows { rows, layout, keys: packed, args: args.iter().map(ArgColumn::of).collect() }
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(|plane| plane.capacity() * 8).sum();
        keys + self.args.iter().map(ArgColumn::heap_bytes).sum::<usize>()
    }
}

impl ArgColumn {
    fn of(arg: &Arg<'_>) -> ArgColumn {
        let data = match arg.values {
            Slice::Bool(v) => ArgData::Bool(v.to_vec()),
            Slice::Int(v) => ArgData::Int(v.to_vec()),
            Slice::Wide(v) => ArgData::Wide(v.to_vec()),
            Slice::Float(v) => ArgData::Float(v.to_vec()),
            Slice::Str(v, dict) => ArgData::Str(v.to_vec(), Arc::clone(dict)),
        };
        ArgColumn { data, valid: arg.valid.map(<[u8]>::to_vec) }
    }

    /// No values of the same class yet, but room for `rows`: the caller overwrites what stands there.
    pub fn like(&self, rows: usize, nullable: bool) -> ArgColumn {
        let data = match &self.data {
            ArgData::Bool(_) => ArgData::Bool(vec![0; rows]),
            ArgData::Int(_) => ArgData::Int(vec![0; rows]),
            ArgData::Wide(_) => ArgData::Wide(vec![0; rows]),
            ArgData::Float(_) => ArgData::Float(vec![0.0; rows]),
            ArgData::Str(_, dict) => ArgData::Str(vec![0; rows], Arc::clone(dict)),
        };
        ArgColumn { data, valid: nullable.then(|| vec![0; rows]) }
    }

    /// Rows `range` as the argument of a state.
    pub fn arg(&self, range: std::ops::Range<usize>) -> Arg<'_> {
        let valid = self.valid.as_ref().map(|v| &v[range.clone()]);
        let values = match &self.data {
            ArgData::Bool(v) => Slice::Bool(&v[range]),
            ArgData::Int(v) => Slice::Int(&v[range]),
            ArgData::Wide(v) => Slice::Wide(&v[range]),
            ArgData::Float(v) => Slice::Float(&v[range]),
            ArgData::Str(v, dict) => Slice::Str(&v[range], dict),
        };
        Arg { values, valid }
    }

    fn heap_bytes(&self) -> usize {
        let data = match &self.data {
            ArgData::Bool(v) => v.capacity(),
            ArgData::Int(v) => v.capacity() * 8,
            ArgData::Wide(v) => v.capacity() * 16,
            ArgData::Float(v) => v.capacity() * 8,
            ArgData::Str(v, _) => v.capacity() * 4,
        };
        data + self.valid.as_ref().map_or(0, Vec::capacity)
    }
}
