//! Rows on their way to their groups: packed keys and the arguments of the states, as columns.
//!
//! Where nearly every row has a group of its own, a table of groups only costs: rows are kept as they are, brought into
//! the order of their keys, and grouped then.

use std::sync::Arc;

use super::{Arg, KeyRows, Layout, Slice};
use crate::column::{Dictionary, KeyColumn, pick};

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
    /// `rows` rows with the keys `keys`, of the shape of `shape`, and the arguments `args`.
    pub fn new(rows: usize, shape: &[KeyColumn], keys: &[KeyRows<'_>], args: &[Arg<'_>]) -> Rows {
        let mut layout = Layout::new(shape);
        layout.cover(keys);
        let mut packed = Vec::new();
        layout.pack(keys, rows, &mut packed);
        Rows { rows, layout, keys: packed, args: args.iter().map(ArgColumn::of).collect() }
    }

    /// The listed rows, in the listed order; their keys stay packed as they are.
    pub fn gather(&self, rows: &[u32]) -> Rows {
        let pick = |plane: &Vec<u64>| rows.iter().map(|&row| plane[row as usize]).collect();
        Rows {
            rows: rows.len(),
            layout: self.layout.clone(),
            keys: self.keys.iter().map(pick).collect(),
            args: self.args.iter().map(|arg| arg.gather(rows)).collect(),
        }
    }

    /// Appends the bytes of the rows: keys, then arguments. [`Rows::take`] reads them back.
    pub fn put(&self, out: &mut Vec<u8>) {
        self.layout.put_keys(&self.keys, out);
        self.args.iter().for_each(|arg| arg.put(out));
    }

    /// Reads `rows` rows off the front of `bytes`, with keys packed as `layout` says and arguments of the classes of `like`;
    /// `None` if the bytes are not whole.
    pub fn take(bytes: &mut &[u8], rows: usize, layout: &Layout, like: &[ArgColumn]) -> Option<Rows> {
        let keys = layout.take_keys(bytes, rows)?;
        let args = like.iter().map(|arg| arg.take(bytes, rows)).collect::<Option<_>>()?;
        Some(Rows { rows, layout: layout.clone(), keys, args })
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
            Slice::Int32(v) => ArgData::Int(v.iter().map(|&v| v.into()).collect()),
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
        let values = match &self.data {
            ArgData::Bool(v) => Slice::Bool(v),
            ArgData::Int(v) => Slice::Int(v),
            ArgData::Wide(v) => Slice::Wide(v),
            ArgData::Float(v) => Slice::Float(v),
            ArgData::Str(v, dict) => Slice::Str(v, dict),
        };
        Arg { values, valid: self.valid.as_deref() }.slice(range)
    }

    fn gather(&self, rows: &[u32]) -> ArgColumn {
        let data = match &self.data {
            ArgData::Bool(v) => ArgData::Bool(pick(v, rows)),
            ArgData::Int(v) => ArgData::Int(pick(v, rows)),
            ArgData::Wide(v) => ArgData::Wide(pick(v, rows)),
            ArgData::Float(v) => ArgData::Float(pick(v, rows)),
            ArgData::Str(v, dict) => ArgData::Str(pick(v, rows), Arc::clone(dict)),
        };
        ArgColumn { data, valid: self.valid.as_ref().map(|valid| pick(valid, rows)) }
    }

    /// The bytes as this machine has them: they never leave it.
    fn put(&self, out: &mut Vec<u8>) {
        match &self.data {
            ArgData::Bool(v) => out.extend_from_slice(v),
            ArgData::Int(v) => out.extend_from_slice(bytemuck::cast_slice(v)),
            ArgData::Wide(v) => out.extend_from_slice(bytemuck::cast_slice(v)),
            ArgData::Float(v) => out.extend_from_slice(bytemuck::cast_slice(v)),
            ArgData::Str(v, _) => out.extend_from_slice(bytemuck::cast_slice(v)),
        }
        out.push(self.valid.is_some().into());
        if let Some(valid) = &self.valid {
            out.extend_from_slice(valid);
        }
    }

    fn take(&self, bytes: &mut &[u8], rows: usize) -> Option<ArgColumn> {
        fn values<T: bytemuck::AnyBitPattern>(bytes: &mut &[u8], rows: usize) -> Option<Vec<T>> {
            let bytes = bytes.split_off(..rows.checked_mul(size_of::<T>())?)?;
            Some(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect())
        }
        let data = match &self.data {
            ArgData::Bool(_) => ArgData::Bool(values(bytes, rows)?),
            ArgData::Int(_) => ArgData::Int(values(bytes, rows)?),
            ArgData::Wide(_) => ArgData::Wide(values(bytes, rows)?),
            ArgData::Float(_) => ArgData::Float(values(bytes, rows)?),
            ArgData::Str(_, dict) => ArgData::Str(values(bytes, rows)?, Arc::clone(dict)),
        };
        let valid = match bytes.split_off_first()? {
            0 => None,
            _ => Some(values(bytes, rows)?),
        };
        Some(ArgColumn { data, valid })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::key::{int_word, wide_word};
    use crate::column::{Class, KeyColumn};

    #[test]
    fn rows_come_back_from_their_bytes() {
        let dict = Dictionary::new();
        let mut int = KeyColumn::new(Class::Int, None);
        int.lo = [5, -1, 70_000, 0].map(int_word).to_vec();
        int.lo[3] = 0;
        int.valid = Some(vec![1, 1, 1, 0]);
        let mut wide = KeyColumn::new(Class::Wide, None);
        let wides = [1, i128::MAX, -9, 4].map(wide_word);
        wide.lo = wides.iter().map(|&w| w as u64).collect();
        wide.hi = wides.iter().map(|&w| (w >> 64) as u64).collect();
        let args = [
            Arg { values: Slice::Bool(&[1, 0, 1, 1]), valid: Some(&[1, 1, 0, 1]) },
            Arg { values: Slice::Int(&[1, i64::MIN, 3, 4]), valid: None },
            Arg { values: Slice::Wide(&[i128::MIN, 2, 3, 4]), valid: None },
            Arg { values: Slice::Float(&[-0.0, 2.5, f64::INFINITY, 4.0]), valid: None },
            Arg { values: Slice::Str(&[7, 0, 9, 1], &dict), valid: Some(&[0, 0, 1, 1]) },
        ];
        for keys in [vec![int.clone()], vec![int, wide], vec![]] {
            let rows = Rows::new(4, &keys, &KeyRows::of(&keys), &args);
            let mut bytes = Vec::new();
            rows.put(&mut bytes);
            bytes.push(77);
            let mut rest = &bytes[..];
            let read = Rows::take(&mut rest, 4, &rows.layout, &rows.args).unwrap();
            assert_eq!(rest, [77]);
            assert_eq!(format!("{read:?}"), format!("{rows:?}"));
            let some = rows.gather(&[3, 1]);
            assert_eq!(some.keys[0], [rows.keys[0][3], rows.keys[0][1]]);
            let (mut cut, whole) = (&bytes[..bytes.len() - 2], rows.rows);
            assert!(Rows::take(&mut cut, whole, &rows.layout, &rows.args).is_none());
        }
    }
}
