//! What every columnar reader does with a request: check the columns, convert the arrays, set bad rows aside.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::ArrayRef;

use super::cast::cast_column;
use super::from_arrow::{CodeMaps, Fault, Faults, Target, column, take};
use super::{Read, Reject, Request};
use crate::column::{Chunk, Column, Dictionary, FieldType, Locate, Schema, Type};
use crate::{Error, Place, Result};

/// The requested columns of one source, for one scan; shared by all its tasks.
pub(crate) struct Projection {
    columns: Vec<Wanted>,
    /// The distinct source columns in ascending order: what a reader has to decode.
    decode: Vec<usize>,
    tolerant: bool,
}

struct Wanted {
    name: String,
    /// Index in the source.
    index: usize,
    /// Index among [`Projection::decode`].
    slot: usize,
    own: Type,
    ty: Type,
    dict: Option<Arc<Dictionary>>,
    maps: CodeMaps,
}

impl Projection {
    /// Checks `request` against the columns of the source called `source`.
    ///
    /// # Errors
    /// A column is of a type tidemill cannot read.
    pub fn new(source: &str, schema: &Schema, request: &Request) -> Result<Arc<Projection>> {
        let mut decode = request.columns.clone();
        decode.sort_unstable();
        decode.dedup();
        let wanted = |(at, &index): (usize, &usize)| -> Result<Wanted> {
            let field = schema.fields.get(index).ok_or_else(|| Error::internal("a column beyond the schema"))?;
            let own = readable(source, &field.name, &field.ty)?;
            Ok(Wanted {
                name: field.name.clone(),
                index,
                slot: decode.binary_search(&index).unwrap_or_default(),
                ty: request.types.get(at).cloned().unwrap_or_else(|| own.clone()),
                own,
                dict: request.dictionaries.get(at).cloned().flatten(),
                maps: CodeMaps::default(),
            })
        };
        let columns = request.columns.iter().enumerate().map(wanted).collect::<Result<_>>()?;
        Ok(Arc::new(Projection { columns, decode, tolerant: request.tolerant }))
    }

    /// The source columns to decode, ascending.
    pub fn decode(&self) -> &[usize] {
        &self.decode
    }

    /// The type and the dictionary of the column that is decoded as `slot`, if it is wanted only once.
    pub fn sole(&self, slot: usize) -> Option<(&Type, Option<&Arc<Dictionary>>)> {
        let mut wanted = self.columns.iter().filter(|w| w.slot == slot);
        match (wanted.next(), wanted.next()) {
            (Some(w), None) => Some((&w.own, w.dict.as_ref())),
            _ => None,
        }
    }

    /// Converts `rows` rows from `bytes` of the input; `arrays` are the columns of [`Projection::decode`].
    pub fn read(&self, rows: usize, bytes: u64, arrays: &[ArrayRef], origin: Arc<dyn Locate>) -> Result<Read> {
        self.assemble(rows, bytes, origin, |slot, target, faults| {
            let array = arrays.get(slot).filter(|a| a.len() == rows);
            let array = array.ok_or_else(|| Error::internal("a decoded column is missing or short"))?;
            column(array.as_ref(), target, faults)
        })
    }

    /// Builds the chunk from columns made by `make(slot, target, faults)`.
    pub fn assemble(
        &self,
        rows: usize,
        bytes: u64,
        origin: Arc<dyn Locate>,
        make: impl Fn(usize, &Target, &mut Faults) -> Result<Column>,
    ) -> Result<Read> {
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut bad: Vec<(Fault, usize)> = Vec::new();
        for (at, wanted) in self.columns.iter().enumerate() {
            let mut faults = Faults { strict: !self.tolerant, list: Vec::new() };
            let target = Target { ty: &wanted.own, dict: wanted.dict.as_ref(), maps: &wanted.maps };
            let made = make(wanted.slot, &target, &mut faults).map_err(|e| named(e, &*origin, wanted))?;
            let mut widened = Faults { strict: !self.tolerant, list: Vec::new() };
            columns.push(cast_column(made, &wanted.ty, wanted.dict.as_ref(), &mut widened)?);
            bad.extend(faults.list.into_iter().chain(widened.list).map(|fault| (fault, at)));
        }
        if bad.is_empty() {
            return Ok(Read { bytes, chunk: Chunk { rows, columns, origin }, rejects: Vec::new() });
        }
        // A row is bad once: for its first bad column.
        bad.sort_by_key(|(fault, at)| (fault.row, *at));
        bad.dedup_by_key(|(fault, _)| fault.row);
        if !self.tolerant {
            let (fault, at) = bad.swap_remove(0);
            let place = place(&*origin, fault.row, &self.columns[at]);
            return Err(Error::Data {
                place: Box::new(place),
                message: fault.message,
                found: Some(fault.found),
                help: Some("set bad rows aside with --rejects".into()),
            });
        }
        let mut kept = Vec::with_capacity(rows - bad.len());
        let mut next = bad.iter().map(|(fault, _)| fault.row).peekable();
        for row in 0..rows {
            match next.next_if_eq(&row) {
                Some(_) => {}
                None => kept.push(row as u32),
            }
        }
        let reject = |(fault, at): (Fault, usize)| Reject {
            place: place(&*origin, fault.row, &self.columns[at]),
            column_index: Some(self.columns[at].index + 1),
            error_type: "cast",
            raw: fault.found,
            message: fault.message,
        };
        let rejects = bad.into_iter().map(reject).collect();
        let columns = columns.iter().map(|c| take(c, &kept)).collect();
        let chunk = Chunk { rows: kept.len(), columns, origin: Arc::new(Kept { origin, kept }) };
        Ok(Read { bytes, chunk, rejects })
    }
}

/// The type of a column that is used.
fn readable(source: &str, name: &str, ty: &FieldType) -> Result<Type> {
    match ty {
        FieldType::Known(ty) => Ok(ty.clone()),
        FieldType::Unsupported(ty) => Err(Error::Usage {
            message: format!("column '{name}' of {source} has type {ty}, which tidemill cannot read"),
            help: Some("leave the column out, or flatten it before".into()),
        }),
    }
}

fn place(origin: &dyn Locate, row: usize, wanted: &Wanted) -> Place {
    Place { column: Some(wanted.name.clone()), ..origin.place(row) }
}

/// Gives an error that lacks its place the file and the column.
fn named(error: Error, origin: &dyn Locate, wanted: &Wanted) -> Error {
    match error {
        Error::Data { place, message, found, help } if *place == Place::default() => {
            let place = Place { row: None, byte: None, ..self::place(origin, 0, wanted) };
            Error::Data { place: Box::new(place), message, found, help }
        }
        other => other,
    }
}

/// The rows of a chunk that were not set aside.
struct Kept {
    origin: Arc<dyn Locate>,
    kept: Vec<u32>,
}

impl Locate for Kept {
    fn place(&self, row: usize) -> Place {
        self.origin.place(self.kept.get(row).map_or(row, |&r| r as usize))
    }

    fn raw(&self, row: usize) -> Option<String> {
        self.origin.raw(self.kept.get(row).map_or(row, |&r| r as usize))
    }
}

/// Rows of a file without lines.
pub(crate) struct FileRows {
    pub path: Arc<PathBuf>,
    /// Rows of the file before this chunk.
    pub first: u64,
    /// Bytes of a row, if all have the same: then a row has a byte offset.
    pub width: Option<u64>,
}

impl Locate for FileRows {
    fn place(&self, row: usize) -> Place {
        let row = self.first + row as u64;
        Place {
            file: Some(self.path.to_path_buf()),
            row: Some(row + 1),
            byte: self.width.map(|w| row.saturating_mul(w)),
            ..Place::default()
        }
    }

    fn raw(&self, _: usize) -> Option<String> {
        None
    }
}

/// A file that is not what it should be.
pub(crate) fn damaged(path: &Path, message: impl std::fmt::Display) -> Error {
    Error::Format { path: path.into(), message: message.to_string(), help: None }
}

/// Runs a decoder that is known to panic on some damaged files, and makes that an error of the file.
pub(crate) fn guarded<T, E: std::fmt::Display>(path: &Path, decode: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(damaged(path, error)),
        Err(_) => Err(damaged(path, "damaged in a way its decoder does not expect")),
    }
}

/// Cuts `rows` into ranges of at most `most` rows, about equal.
pub(crate) fn ranges(rows: u64, most: u64) -> impl Iterator<Item = std::ops::Range<u64>> + Send {
    let pieces = rows.div_ceil(most.max(1)).max(1);
    let step = rows.div_ceil(pieces).max(1);
    (0..pieces).map(move |i| (i * step).min(rows)..((i + 1) * step).min(rows)).filter(|r| !r.is_empty())
}

/// Rows of a chunk of `rows` rows that hold `bytes` bytes, by the request's two limits.
pub(crate) fn rows_per_chunk(request: &Request, rows: u64, bytes: u64) -> u64 {
    let by_bytes = (rows as u128 * request.chunk_bytes.max(1) as u128 / bytes.max(1) as u128).min(u64::MAX.into());
    // Not more than a reader can hold at once, not less than one; row numbers in a chunk are 32 bits wide.
    (by_bytes as u64).min(request.chunk_rows as u64).clamp(1, u32::MAX as u64 / 2)
}

/// Bytes a value takes in a chunk, about.
pub(crate) fn width(ty: &FieldType) -> u64 {
    match ty {
        FieldType::Known(Type::Null | Type::Bool | Type::Int8 | Type::UInt8) => 1,
        FieldType::Known(Type::Int16 | Type::UInt16) => 2,
        FieldType::Known(Type::Int32 | Type::UInt32 | Type::Float32 | Type::Date | Type::Str) => 4,
        FieldType::Known(Type::Decimal { .. }) => 16,
        _ => 8,
    }
}
