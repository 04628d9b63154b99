//! A chunk: some rows of the columns a job needs, as Arrow buffers.

use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};

use super::{Dictionary, Type, Value};
use crate::Place;

/// One column of a chunk. Buffers are shared, never copied by slicing.
#[derive(Debug, Clone)]
pub struct Column {
    /// The logical type.
    pub ty: Type,
    /// The values; what stands under a null is any valid value of its kind.
    pub data: ColumnData,
    /// Which rows are not null; `None` if all are.
    pub nulls: Option<NullBuffer>,
}

/// The values of a column in their stored width.
#[derive(Debug, Clone)]
pub enum ColumnData {
    /// bool (and null)
    Bool(BooleanBuffer),
    /// int8
    I8(ScalarBuffer<i8>),
    /// int16
    I16(ScalarBuffer<i16>),
    /// int32, date
    I32(ScalarBuffer<i32>),
    /// int64, timestamp
    I64(ScalarBuffer<i64>),
    /// uint8
    U8(ScalarBuffer<u8>),
    /// uint16
    U16(ScalarBuffer<u16>),
    /// uint32
    U32(ScalarBuffer<u32>),
    /// uint64
    U64(ScalarBuffer<u64>),
    /// float32
    F32(ScalarBuffer<f32>),
    /// float64
    F64(ScalarBuffer<f64>),
    /// decimal: the unscaled integer
    I128(ScalarBuffer<i128>),
    /// string: codes into a dictionary; the code under a null is any (even one the dictionary lacks)
    Str {
        /// One code a row.
        codes: ScalarBuffer<u32>,
        /// What the codes mean.
        dict: Arc<Dictionary>,
    },
}

/// Runs `$body` with `$values` bound to the slice of a fixed-width column that widens to i64.
macro_rules! widen {
    ($data:expr, $range:expr, $out:expr, $to:ty, $($arm:ident),+) => {
        match $data {
            $(ColumnData::$arm(values) => { $out.extend(values[$range].iter().map(|&v| <$to>::from(v))); true })+
            _ => false,
        }
    };
}

impl Column {
    /// Rows.
    pub fn len(&self) -> usize {
        match &self.data {
            ColumnData::Bool(v) => v.len(),
            ColumnData::I8(v) => v.len(),
            ColumnData::I16(v) => v.len(),
            ColumnData::I32(v) => v.len(),
            ColumnData::I64(v) => v.len(),
            ColumnData::U8(v) => v.len(),
            ColumnData::U16(v) => v.len(),
            ColumnData::U32(v) => v.len(),
            ColumnData::U64(v) => v.len(),
            ColumnData::F32(v) => v.len(),
            ColumnData::F64(v) => v.len(),
            ColumnData::I128(v) => v.len(),
            ColumnData::Str { codes, .. } => codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether row `row` is null.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }

    /// Appends rows `range` of a column of class Int, widened.
    ///
    /// Returns false, and appends nothing, if the column is of another class.
    #[must_use]
    pub fn widen_int(&self, range: Range<usize>, out: &mut Vec<i64>) -> bool {
        widen!(&self.data, range, out, i64, I8, I16, I32, I64, U8, U16, U32)
    }

    /// Appends rows `range` of a column of class Wide, widened. False if the column is of another class.
    #[must_use]
    pub fn widen_wide(&self, range: Range<usize>, out: &mut Vec<i128>) -> bool {
        widen!(&self.data, range, out, i128, U64, I128)
    }

    /// Appends rows `range` of a column of class Float, widened. False if the column is of another class.
    #[must_use]
    pub fn widen_float(&self, range: Range<usize>, out: &mut Vec<f64>) -> bool {
        widen!(&self.data, range, out, f64, F32, F64)
    }

    /// Rows `range`, sharing the buffers.
    pub fn slice(&self, range: Range<usize>) -> Column {
        let (at, len) = (range.start, range.len());
        let data = match &self.data {
            ColumnData::Bool(v) => ColumnData::Bool(v.slice(at, len)),
            ColumnData::I8(v) => ColumnData::I8(v.slice(at, len)),
            ColumnData::I16(v) => ColumnData::I16(v.slice(at, len)),
            ColumnData::I32(v) => ColumnData::I32(v.slice(at, len)),
            ColumnData::I64(v) => ColumnData::I64(v.slice(at, len)),
            ColumnData::U8(v) => ColumnData::U8(v.slice(at, len)),
            ColumnData::U16(v) => ColumnData::U16(v.slice(at, len)),
            ColumnData::U32(v) => ColumnData::U32(v.slice(at, len)),
            ColumnData::U64(v) => ColumnData::U64(v.slice(at, len)),
            ColumnData::F32(v) => ColumnData::F32(v.slice(at, len)),
            ColumnData::F64(v) => ColumnData::F64(v.slice(at, len)),
            ColumnData::I128(v) => ColumnData::I128(v.slice(at, len)),
            ColumnData::Str { codes, dict } => ColumnData::Str { codes: codes.slice(at, len), dict: Arc::clone(dict) },
        };
        Column { ty: self.ty.clone(), data, nulls: self.nulls.as_ref().map(|n| n.slice(at, len)) }
    }

    /// One value, widened to its class. Slow: for messages, tests and the plain evaluator.
    pub fn value(&self, row: usize) -> Value {
        if self.is_null(row) || self.ty == Type::Null {
            return Value::Null;
        }
        match &self.data {
            ColumnData::Bool(v) => Value::Bool(v.value(row)),
            ColumnData::I8(v) => Value::Int(v[row].into()),
            ColumnData::I16(v) => Value::Int(v[row].into()),
            ColumnData::I32(v) => Value::Int(v[row].into()),
            ColumnData::I64(v) => Value::Int(v[row]),
            ColumnData::U8(v) => Value::Int(v[row].into()),
            ColumnData::U16(v) => Value::Int(v[row].into()),
            ColumnData::U32(v) => Value::Int(v[row].into()),
            ColumnData::U64(v) => Value::Wide(v[row].into()),
            ColumnData::F32(v) => Value::Float(v[row].into()),
            ColumnData::F64(v) => Value::Float(v[row]),
            ColumnData::I128(v) => Value::Wide(v[row]),
            ColumnData::Str { codes, dict } => Value::Str(dict.read().get(codes[row]).into()),
        }
    }
}

/// Knows where the rows of a chunk came from. Asked only when a message must name a place.
pub trait Locate: Send + Sync {
    /// The place of row `row` of the chunk (no column).
    fn place(&self, row: usize) -> Place;

    /// The row's text as it stands in the input, where the input is text.
    fn raw(&self, row: usize) -> Option<String>;
}

/// Some rows of the columns a scan was asked for, in the order it was asked for them.
#[derive(Clone)]
pub struct Chunk {
    /// Rows in every column (columns may be none: then the chunk only counts).
    pub rows: usize,
    /// The columns.
    pub columns: Vec<Column>,
    /// Where the rows came from.
    pub origin: Arc<dyn Locate>,
}

impl Chunk {
    /// Rows `range` of every column, sharing the buffers.
    pub fn slice(&self, range: Range<usize>) -> Chunk {
        struct Shifted(Arc<dyn Locate>, usize);
        impl Locate for Shifted {
            fn place(&self, row: usize) -> Place {
                self.0.place(self.1 + row)
            }
            fn raw(&self, row: usize) -> Option<String> {
                self.0.raw(self.1 + row)
            }
        }
        Chunk {
            rows: range.len(),
            columns: self.columns.iter().map(|c| c.slice(range.clone())).collect(),
            origin: Arc::new(Shifted(Arc::clone(&self.origin), range.start)),
        }
    }
}

/// Rows that came from memory: a place is a row number from `first` (0-based) on.
pub struct RowsFrom {
    /// The number of rows before this chunk.
    pub first: u64,
}

impl Locate for RowsFrom {
    fn place(&self, row: usize) -> Place {
        Place { row: Some(self.first + row as u64 + 1), ..Place::default() }
    }

    fn raw(&self, _: usize) -> Option<String> {
        None
    }
}
