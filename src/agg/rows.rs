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
    pub args: Vec<Values>,
}

/// The values of one argument, owned.
#[derive(Debug, Clone)]
pub struct Values {
    /// One value a row; under a null, any.
    pub data: ValuesData,
    /// 1 where the value is not null; `None` if all are.
    pub valid: Option<Vec<u8>>,
}

/// The values of an argument by class.
#[derive(Debug, Clone)]
pub enum ValuesData {
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
        Rows { rows, layout, keys: packed, args: args.iter().map(Values::of).collect() }
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(|plane| plane.capacity() * 8).sum();
        keys + self.args.iter().map(Values::heap_bytes).sum::<usize>()
    }
}

impl Values {
    fn of(arg: &Arg<'_>) -> Values {
        let data = match arg.values {
            Slice::Bool(v) => ValuesData::Bool(v.to_vec()),
            Slice::Int(v) => ValuesData::Int(v.to_vec()),
            Slice::Wide(v) => ValuesData::Wide(v.to_vec()),
            Slice::Float(v) => ValuesData::Float(v.to_vec()),
            Slice::Str(v, dict) => ValuesData::Str(v.to_vec(), Arc::clone(dict)),
        };
        Values { data, valid: arg.valid.map(<[u8]>::to_vec) }
    }

    /// No values of the same class yet, but room for `rows`: the caller overwrites what stands there.
    pub fn like(&self, rows: usize, nullable: bool) -> Values {
        let data = match &self.data {
            ValuesData::Bool(_) => ValuesData::Bool(vec![0; rows]),
            ValuesData::Int(_) => ValuesData::Int(vec![0; rows]),
            ValuesData::Wide(_) => ValuesData::Wide(vec![0; rows]),
            ValuesData::Float(_) => ValuesData::Float(vec![0.0; rows]),
            ValuesData::Str(_, dict) => ValuesData::Str(vec![0; rows], Arc::clone(dict)),
        };
        Values { data, valid: nullable.then(|| vec![0; rows]) }
    }

    /// Rows `range` as the argument of a state.
    pub fn arg(&self, range: std::ops::Range<usize>) -> Arg<'_> {
        let valid = self.valid.as_ref().map(|v| &v[range.clone()]);
        let values = match &self.data {
            ValuesData::Bool(v) => Slice::Bool(&v[range]),
            ValuesData::Int(v) => Slice::Int(&v[range]),
            ValuesData::Wide(v) => Slice::Wide(&v[range]),
            ValuesData::Float(v) => Slice::Float(&v[range]),
            ValuesData::Str(v, dict) => Slice::Str(&v[range], dict),
        };
        Arg { values, valid }
    }

    fn heap_bytes(&self) -> usize {
        let data = match &self.data {
            ValuesData::Bool(v) => v.capacity(),
            ValuesData::Int(v) => v.capacity() * 8,
            ValuesData::Wide(v) => v.capacity() * 16,
            ValuesData::Float(v) => v.capacity() * 8,
            ValuesData::Str(v, _) => v.capacity() * 4,
        };
        data + self.valid.as_ref().map_or(0, Vec::capacity)
    }
}
