//! Raw fixed-width records: no header, no padding, no nulls; the schema comes from the caller.
//!
//! A file is a sequence of records of equal width. A record is its columns' values one after the other in the
//! order of the schema, little-endian and packed: bool one byte (0 or 1), integers and floats their width, decimals
//! 16 bytes (the unscaled two's-complement integer), date 4 bytes (days since 1970-01-01), timestamps 8 bytes (ticks).
//! Strings have no fixed width and cannot be read.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::from_arrow::Faults;
use super::mmap::Map;
use super::projection::{FileRows, Projection, damaged, ranges, rows_per_chunk};
use super::{ChunkTask, Request, Scan, Source};
use crate::column::{Column, ColumnData, Field, Schema, Type};
use crate::{Error, Result};

/// A file of packed fixed-width records.
pub struct RawSource {
    schema: Schema,
    file: Arc<RawFile>,
}

struct RawFile {
    path: Arc<PathBuf>,
    map: Arc<Map>,
    /// Byte offset of each column in a record, and its type.
    columns: Vec<(usize, Type)>,
    width: usize,
}

impl RawSource {
    /// Opens the file at `path` as records of `columns`.
    ///
    /// # Errors
    /// It cannot be read; a column's type has no fixed width; the file is not a whole number of records.
    pub fn open(path: impl AsRef<Path>, columns: &[(String, Type)]) -> Result<Arc<dyn Source>> {
        RawSource::of(Map::open(path)?, columns)
    }

    pub(super) fn of(map: Arc<Map>, columns: &[(String, Type)]) -> Result<Arc<dyn Source>> {
        let path = map.path();
        let mut width = 0;
        let mut places = Vec::with_capacity(columns.len());
        for (name, ty) in columns {
            places.push((width, ty.clone()));
            width += width_of(ty).ok_or_else(|| Error::Usage {
                message: format!("column '{name}' of {}: {ty} has no fixed width in raw files", path.display()),
                help: Some("raw files hold bool, integers, floats, decimals, dates and timestamps".into()),
            })?;
        }
        if width == 0 {
            return Err(Error::Usage {
                message: format!("{} is a raw file and needs a schema", path.display()),
                help: Some("for example --schema 'id:int32,v:float64'".into()),
            });
        }
        if !map.len().is_multiple_of(width) {
            return Err(Error::Format {
                path: path.into(),
                message: format!("its {} bytes are not a whole number of records of {width} bytes", map.len()),
                help: Some("check the schema: the widths of its columns add up to the record's".into()),
            });
        }
        let schema = Schema { fields: columns.iter().map(|(name, ty)| Field::new(name, ty.clone())).collect() };
        let file = RawFile { path: Arc::new(path.into()), map: Arc::clone(&map), columns: places, width };
        Ok(Arc::new(RawSource { schema, file: Arc::new(file) }))
    }
}

fn width_of(ty: &Type) -> Option<usize> {
    Some(match ty {
        Type::Bool | Type::Int8 | Type::UInt8 => 1,
        Type::Int16 | Type::UInt16 => 2,
        Type::Int32 | Type::UInt32 | Type::Float32 | Type::Date => 4,
        Type::Int64 | Type::UInt64 | Type::Float64 | Type::Timestamp(_) => 8,
        Type::Decimal { .. } => 16,
        Type::Null | Type::Str | Type::List(_) => return None,
    })
}

impl Source for RawSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn name(&self) -> String {
        self.file.path.display().to_string()
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.file.map.len() as u64)
    }

    fn rows(&self) -> Option<u64> {
        Some((self.file.map.len() / self.file.width) as u64)
    }

    fn format(&self) -> &'static str {
        "raw"
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let projection = Projection::new(&self.name(), &self.schema, request)?;
        let bytes = self.file.map.len() as u64;
        let rows = bytes / self.file.width as u64;
        let pieces = Box::new(ranges(rows, rows_per_chunk(request, rows, bytes)));
        Ok(Box::new(RawScan { file: Arc::clone(&self.file), projection, pieces }))
    }

    fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
        None
    }
}

struct RawScan {
    file: Arc<RawFile>,
    projection: Arc<Projection>,
    pieces: Box<dyn Iterator<Item = Range<u64>> + Send>,
}

impl Scan for RawScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        let Some(range) = self.pieces.next() else { return Ok(None) };
        let (file, projection) = (Arc::clone(&self.file), Arc::clone(&self.projection));
        let rows = (range.end - range.start) as usize;
        let width = file.width as u64;
        let read = move || {
            let origin = FileRows { path: Arc::clone(&file.path), first: range.start, width: Some(width) };
            let records = range.start as usize * file.width..range.end as usize * file.width;
            projection.assemble(rows, rows as u64 * width, Arc::new(origin), |slot, _, faults| {
                let column = projection.decode().get(slot).and_then(|&index| file.columns.get(index));
                let (at, ty) = column.ok_or_else(|| Error::internal("a column beyond the schema"))?;
                let records = file.map.get(records.clone());
                let records = records.ok_or_else(|| damaged(&file.path, "it is shorter than when it was opened"))?;
                read_column(records, file.width, *at, ty, faults)
            })
        };
        Ok(Some(ChunkTask::one(read)))
    }
}

/// Column `ty` at byte `at` of every record.
fn read_column(records: &[u8], width: usize, at: usize, ty: &Type, faults: &mut Faults) -> Result<Column> {
    macro_rules! values {
        ($native:ty) => {
            records.chunks_exact(width).map(|record| {
                let mut bytes = [0; size_of::<$native>()];
                bytes.copy_from_slice(&record[at..at + size_of::<$native>()]);
                <$native>::from_le_bytes(bytes)
            })
        };
    }
    let data = match ty {
        Type::Bool => {
            let bytes = values!(u8).enumerate().map(|(row, byte)| {
                if byte > 1 {
                    faults.add(row, || "a bool that is neither 0 nor 1".into(), byte);
                }
                byte == 1
            });
            ColumnData::Bool(bytes.collect())
        }
        Type::Int8 => ColumnData::I8(values!(i8).collect()),
        Type::Int16 => ColumnData::I16(values!(i16).collect()),
        Type::Int32 | Type::Date => ColumnData::I32(values!(i32).collect()),
        Type::Int64 | Type::Timestamp(_) => ColumnData::I64(values!(i64).collect()),
        Type::UInt8 => ColumnData::U8(values!(u8).collect()),
        Type::UInt16 => ColumnData::U16(values!(u16).collect()),
        Type::UInt32 => ColumnData::U32(values!(u32).collect()),
        Type::UInt64 => ColumnData::U64(values!(u64).collect()),
        Type::Float32 => ColumnData::F32(values!(f32).collect()),
        Type::Float64 => ColumnData::F64(values!(f64).collect()),
        Type::Decimal { precision, .. } => {
            let limit = 10u128.pow((*precision).into());
            let checked = values!(i128).enumerate().map(|(row, value)| {
                if value.unsigned_abs() < limit {
                    return value;
                }
                faults.add(row, || format!("a decimal of more digits than {ty} has"), value);
                0
            });
            ColumnData::I128(checked.collect())
        }
        Type::Null | Type::Str | Type::List(_) => return Err(Error::internal(format!("a raw column of type {ty}"))),
    };
    Ok(Column { ty: ty.clone(), data, nulls: None })
}
