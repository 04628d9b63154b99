//! The CPU evaluator: a program over the rows of a chunk, morsel by morsel.
//!
//! Every operation is one loop over a morsel; the loops are simple enough for the compiler to vectorise. Columns that
//! are stored as their class computes (int64, timestamp, float64, decimal, string codes) are borrowed, not copied.
//! What stands under a null is computed along with the rest; only a failure on a row that is there is an error.
//!
//! `kernels.rs` has the loops, `ops.rs` says which operation is which loop, `number.rs` the conversions and dates,
//! `strings.rs` what works on dictionaries.

mod kernels;
mod number;
mod ops;
mod strings;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};

use super::program::{NodeId, Op, Program};
use crate::column::{Chunk, Class, Column, ColumnData, Dictionary, Type};
use crate::{Error, Result};

/// The rows of one node in one morsel.
#[derive(Debug, Clone)]
pub struct Vector<'c> {
    /// The values; anything where a row is null or an error.
    pub data: VectorData<'c>,
    /// For each row 1 if it is not null, else 0; `None` if no row is null.
    pub valid: Option<Cow<'c, [u8]>>,
    /// For each row 1 if it is an error, else 0; `None` if no row is. An error counts before a null.
    pub error: Option<Vec<u8>>,
}

/// The values of a vector by class.
#[derive(Debug, Clone)]
pub enum VectorData<'c> {
    /// 0 or 1
    Bool(Cow<'c, [u8]>),
    /// Class Int.
    Int(Cow<'c, [i64]>),
    /// Class Wide.
    Wide(Cow<'c, [i128]>),
    /// Class Float.
    Float(Cow<'c, [f64]>),
    /// Class Str.
    Str {
        /// Codes of the dictionary; of a null, any number.
        codes: Cow<'c, [u32]>,
        /// The dictionary; the same one for this node all through a run.
        dict: Arc<Dictionary>,
    },
}

impl Vector<'_> {
    /// Rows.
    pub fn len(&self) -> usize {
        match &self.data {
            VectorData::Bool(v) => v.len(),
            VectorData::Int(v) => v.len(),
            VectorData::Wide(v) => v.len(),
            VectorData::Float(v) => v.len(),
            VectorData::Str { codes, .. } => codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether row `row` is an error.
    pub fn is_error(&self, row: usize) -> bool {
        self.error.as_ref().is_some_and(|e| e[row] != 0)
    }

    /// Whether row `row` is null (and no error).
    pub fn is_null(&self, row: usize) -> bool {
        !self.is_error(row) && self.valid.as_ref().is_some_and(|v| v[row] == 0)
    }
}

/// A node's rows of a whole chunk.
#[derive(Debug)]
pub struct Evaluated {
    /// The values, in the stored width of the node's type. An error row is null here.
    pub column: Column,
    /// For each row 1 if it is an error; `None` if none is.
    pub errors: Option<Vec<u8>>,
}

/// Evaluates one program; one for each thread. Look-up tables and dictionaries are shared through the program.
#[derive(Debug)]
pub struct Evaluator {
    program: Arc<Program>,
    pool: Pool,
}

/// Buffers for results, used again from morsel to morsel.
#[derive(Debug, Default)]
struct Pool {
    bytes: Vec<Vec<u8>>,
    ints: Vec<Vec<i64>>,
    wides: Vec<Vec<i128>>,
    floats: Vec<Vec<f64>>,
    codes: Vec<Vec<u32>>,
}

macro_rules! pooled {
    ($($take:ident $field:ident $ty:ty),+) => {$(
        fn $take(&mut self) -> Vec<$ty> {
            self.$field.pop().unwrap_or_default()
        }
    )+};
}

impl Pool {
    pooled!(take_bytes bytes u8, take_ints ints i64, take_wides wides i128, take_floats floats f64, take_codes codes u32);

    fn give(&mut self, vector: Vector<'_>) {
        fn keep<T: Clone>(kept: &mut Vec<Vec<T>>, data: Cow<'_, [T]>) {
            if let Cow::Owned(mut buffer) = data {
                buffer.clear();
                kept.push(buffer);
            }
        }
        match vector.data {
            VectorData::Bool(v) => keep(&mut self.bytes, v),
            VectorData::Int(v) => keep(&mut self.ints, v),
            VectorData::Wide(v) => keep(&mut self.wides, v),
            VectorData::Float(v) => keep(&mut self.floats, v),
            VectorData::Str { codes, .. } => keep(&mut self.codes, codes),
        }
        if let Some(valid) = vector.valid {
            keep(&mut self.bytes, valid);
        }
        if let Some(error) = vector.error {
            keep(&mut self.bytes, Cow::Owned(error));
        }
    }
}

impl Evaluator {
    /// An evaluator of its own for a thread. Cheap.
    pub fn new(program: Arc<Program>) -> Self {
        Evaluator { program, pool: Pool::default() }
    }

    /// The program.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Rows `rows` of a chunk, nothing evaluated yet. 1,024 to 16,384 rows keep the results in the cache.
    ///
    /// Column `i` of the chunk is column `i` of the program.
    pub fn morsel<'e, 'c>(&'e mut self, chunk: &'c Chunk, rows: Range<usize>) -> Morsel<'e, 'c> {
        let slots = (0..self.program.nodes.len()).map(|_| None).collect();
        Morsel { program: Arc::clone(&self.program), pool: &mut self.pool, chunk, rows, slots }
    }

    /// The rows of some nodes for a whole chunk, as columns.
    ///
    /// # Errors
    /// If a dictionary is full, or the chunk is not what the program was bound to.
    pub fn columns(&mut self, chunk: &Chunk, nodes: &[NodeId]) -> Result<Vec<Evaluated>> {
        const ROWS: usize = 4096;
        let mut parts: Vec<Gather> = nodes.iter().map(|_| Gather::default()).collect();
        let mut start = 0;
        // Once even without rows, for the dictionaries.
        while start < chunk.rows || start == 0 {
            let end = chunk.rows.min(start + ROWS);
            let mut morsel = self.morsel(chunk, start..end);
            morsel.eval(nodes)?;
            for (part, id) in parts.iter_mut().zip(nodes) {
                part.add(morsel.get(*id)?, start);
            }
            start += ROWS;
        }
        let types = nodes.iter().map(|id| self.program.node(*id).ty.clone());
        parts.into_iter().zip(types).map(|(part, ty)| part.finish(ty, chunk.rows)).collect()
    }
}

/// Rows of one node put together from morsels.
#[derive(Default)]
struct Gather {
    bytes: Vec<u8>,
    ints: Vec<i64>,
    wides: Vec<i128>,
    floats: Vec<f64>,
    codes: Vec<u32>,
    dict: Option<Arc<Dictionary>>,
    valid: Option<BooleanBufferBuilder>,
    errors: Option<Vec<u8>>,
}

impl Gather {
    fn add(&mut self, vector: &Vector<'_>, before: usize) {
        match &vector.data {
            VectorData::Bool(v) => self.bytes.extend_from_slice(v),
            VectorData::Int(v) => self.ints.extend_from_slice(v),
            VectorData::Wide(v) => self.wides.extend_from_slice(v),
            VectorData::Float(v) => self.floats.extend_from_slice(v),
            VectorData::Str { codes, dict } => {
                self.codes.extend_from_slice(codes);
                self.dict = Some(Arc::clone(dict));
            }
        }
        let rows = vector.len();
        if vector.error.is_some() || self.errors.is_some() {
            let errors = self.errors.get_or_insert_with(|| vec![0; before]);
            match &vector.error {
                Some(error) => errors.extend_from_slice(error),
                None => errors.resize(before + rows, 0),
            }
        }
        if vector.error.is_some() || vector.valid.is_some() || self.valid.is_some() {
            let valid = self.valid.get_or_insert_with(|| {
                let mut all = BooleanBufferBuilder::new(before + rows);
                all.append_n(before, true);
                all
            });
            for row in 0..rows {
                valid.append(!vector.is_error(row) && !vector.is_null(row));
            }
        }
    }

    fn finish(mut self, ty: Type, rows: usize) -> Result<Evaluated> {
        macro_rules! narrow {
            ($variant:ident, $ty:ty) => {
                ColumnData::$variant(self.ints.iter().map(|v| *v as $ty).collect())
            };
        }
        let data = match &ty {
            Type::Null | Type::Bool => ColumnData::Bool(BooleanBuffer::collect_bool(rows, |i| self.bytes[i] != 0)),
            Type::Int8 => narrow!(I8, i8),
            Type::Int16 => narrow!(I16, i16),
            Type::Int32 | Type::Date => narrow!(I32, i32),
            Type::UInt8 => narrow!(U8, u8),
            Type::UInt16 => narrow!(U16, u16),
            Type::UInt32 => narrow!(U32, u32),
            Type::Int64 | Type::Timestamp(_) => ColumnData::I64(self.ints.into()),
            Type::UInt64 => ColumnData::U64(self.wides.iter().map(|v| *v as u64).collect()),
            Type::Decimal { .. } => ColumnData::I128(self.wides.into()),
            Type::Float32 => ColumnData::F32(self.floats.iter().map(|v| *v as f32).collect()),
            Type::Float64 => ColumnData::F64(self.floats.into()),
            Type::Str => {
                let dict = self.dict.ok_or_else(|| Error::internal("strings without a dictionary"))?;
                ColumnData::Str { codes: self.codes.into(), dict }
            }
            Type::List(_) => return Err(Error::internal("a list among expressions")),
        };
        let nulls = self.valid.as_mut().map(|valid| NullBuffer::new(valid.finish())).filter(|n| n.null_count() > 0);
        Ok(Evaluated { column: Column { ty, data, nulls }, errors: self.errors.filter(|e| e.contains(&1)) })
    }
}

/// Some rows of a chunk and what has been evaluated of them.
pub struct Morsel<'e, 'c> {
    program: Arc<Program>,
    pool: &'e mut Pool,
    chunk: &'c Chunk,
    rows: Range<usize>,
    slots: Vec<Option<Vector<'c>>>,
}

impl<'c> Morsel<'_, 'c> {
    /// Evaluates nodes and what they need, if that has not been done.
    ///
    /// # Errors
    /// If a dictionary is full, or the chunk is not what the program was bound to. Rows that fail are no error here.
    pub fn eval(&mut self, nodes: &[NodeId]) -> Result<()> {
        let mut wanted = vec![false; self.slots.len()];
        for id in nodes {
            wanted[self.root(*id).index()] = true;
        }
        let program = Arc::clone(&self.program);
        for i in (0..wanted.len()).rev().filter(|i| self.slots[*i].is_none()) {
            if !std::mem::take(&mut wanted[i]) {
                continue;
            }
            wanted[i] = true;
            for arg in &program.nodes[i].args {
                let root = self.root(*arg);
                // Most loops take constants as they are; those that do not ask for them.
                if !matches!(program.node(root).op, Op::Literal(_) | Op::Null) {
                    wanted[root.index()] = true;
                }
            }
        }
        for (i, wanted) in wanted.into_iter().enumerate() {
            if wanted && self.slots[i].is_none() {
                let vector = self.compute(NodeId(i as u32))?;
                self.slots[i] = Some(vector);
            }
        }
        Ok(())
    }

    /// The rows of a node that has been evaluated.
    ///
    /// # Errors
    /// If it has not.
    pub fn get(&self, id: NodeId) -> Result<&Vector<'c>> {
        self.slots[self.root(id).index()].as_ref().ok_or_else(|| Error::internal("a node read before it was evaluated"))
    }

    /// The rows of a node that is an int32 column, as they lie in the chunk, if none of them is null: it need not be
    /// evaluated.
    pub fn stored(&self, id: NodeId) -> Option<&'c [i32]> {
        let Op::Column(index) = self.program.node(self.root(id)).op else { return None };
        let chunk: &'c Chunk = self.chunk;
        let column = chunk.columns.get(index)?;
        let ColumnData::I32(values) = &column.data else { return None };
        let nulls = column.nulls.as_ref().map_or(0, |n| n.slice(self.rows.start, self.rows.len()).null_count());
        (nulls == 0).then(|| &values[self.rows.clone()])
    }

    /// [`Morsel::eval`] and [`Morsel::get`] of one node.
    ///
    /// # Errors
    /// As they.
    pub fn vector(&mut self, id: NodeId) -> Result<&Vector<'c>> {
        self.eval(&[id])?;
        self.get(id)
    }

    /// Rows in the morsel.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The node whose rows a node has: a change of type alone is no work, nor is a choice that is always the same.
    fn root(&self, mut id: NodeId) -> NodeId {
        loop {
            let node = self.program.node(id);
            id = match (&node.op, &node.args[..]) {
                (Op::Retype, [arg]) => *arg,
                // Strings would change their dictionary from chunk to chunk.
                (Op::Select, [condition, value, _]) if node.class != Class::Str && self.is_true(*condition) => *value,
                _ => return id,
            };
        }
    }

    /// Whether a condition is that a column is not null which has no null in this chunk.
    fn is_true(&self, condition: NodeId) -> bool {
        let arg_of = |id: NodeId, op: &Op| {
            let node = self.program.node(id);
            node.args.first().copied().filter(|_| node.op == *op)
        };
        let Some(mut id) = arg_of(condition, &Op::Not).and_then(|id| arg_of(id, &Op::IsNull)) else { return false };
        while let Some(arg) = arg_of(id, &Op::Retype) {
            id = arg;
        }
        let Op::Column(index) = self.program.node(id).op else { return false };
        let full =
            |column: &Column| column.ty != Type::Null && column.nulls.as_ref().is_none_or(|n| n.null_count() == 0);
        self.chunk.columns.get(index).is_some_and(full)
    }

    /// A column's rows, widened to their class.
    fn column(&mut self, index: usize, class: Class) -> Result<Vector<'c>> {
        let chunk: &'c Chunk = self.chunk;
        let rows = self.rows.clone();
        let column =
            chunk.columns.get(index).ok_or_else(|| Error::internal("the chunk lacks a column of the program"))?;
        let wrong = || Error::internal(format!("column {index} of the chunk is {}, not of class {class:?}", column.ty));
        let data = match &column.data {
            ColumnData::Bool(v) => {
                let mut bytes = self.pool.take_bytes();
                kernels::bits_to_bytes(&v.slice(rows.start, rows.len()), &mut bytes);
                VectorData::Bool(Cow::Owned(bytes))
            }
            ColumnData::I64(v) => VectorData::Int(Cow::Borrowed(&v[rows.clone()])),
            ColumnData::F64(v) => VectorData::Float(Cow::Borrowed(&v[rows.clone()])),
            ColumnData::I128(v) => VectorData::Wide(Cow::Borrowed(&v[rows.clone()])),
            ColumnData::Str { codes, dict } => {
                VectorData::Str { codes: Cow::Borrowed(&codes[rows.clone()]), dict: Arc::clone(dict) }
            }
            _ => match class {
                Class::Int => {
                    let mut out = self.pool.take_ints();
                    if !column.widen_int(rows.clone(), &mut out) {
                        return Err(wrong());
                    }
                    VectorData::Int(Cow::Owned(out))
                }
                Class::Wide => {
                    let mut out = self.pool.take_wides();
                    if !column.widen_wide(rows.clone(), &mut out) {
                        return Err(wrong());
                    }
                    VectorData::Wide(Cow::Owned(out))
                }
                _ => {
                    let mut out = self.pool.take_floats();
                    if !column.widen_float(rows.clone(), &mut out) {
                        return Err(wrong());
                    }
                    VectorData::Float(Cow::Owned(out))
                }
            },
        };
        let found = match data {
            VectorData::Bool(_) => Class::Bool,
            VectorData::Int(_) => Class::Int,
            VectorData::Wide(_) => Class::Wide,
            VectorData::Float(_) => Class::Float,
            VectorData::Str { .. } => Class::Str,
        };
        if found != class {
            return Err(wrong());
        }
        let valid = if column.ty == Type::Null {
            let mut bytes = self.pool.take_bytes();
            bytes.resize(rows.len(), 0);
            Some(Cow::Owned(bytes))
        } else {
            column.nulls.as_ref().map(|n| n.slice(rows.start, rows.len())).filter(|n| n.null_count() > 0).map(|n| {
                let mut bytes = self.pool.take_bytes();
                kernels::bits_to_bytes(n.inner(), &mut bytes);
                Cow::Owned(bytes)
            })
        };
        Ok(Vector { data, valid, error: None })
    }
}

impl Drop for Morsel<'_, '_> {
    fn drop(&mut self) {
        for vector in self.slots.drain(..).flatten() {
            self.pool.give(vector);
        }
    }
}
