//! Parquet: only the needed columns are decoded, row groups (and ranges of big ones) on any thread, and the
//! dictionaries of string columns are kept: their pages' keys become run-wide codes without a look at the strings.
//!
//! Decimals of any storage, dates, and timestamps of any unit and time zone (INT96 too) are read; `binary` without
//! a string annotation, nested columns, times and intervals are not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, LargeStringArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelectionPolicy,
};
use parquet::basic::{ConvertedType, Encoding, Type as Physical};
use parquet::schema::types::Type as ParquetType;

use super::mmap::Map;
use super::projection::{FileRows, Projection, damaged, guarded, ranges, rows_per_chunk, width};
use super::{ChunkTask, Request, Scan, Source};
use crate::column::{Field, FieldType, Schema, Type};
use crate::{Error, Result};

/// A Parquet file.
pub struct ParquetSource {
    schema: Schema,
    file: Arc<ParquetFile>,
}

struct ParquetFile {
    path: Arc<PathBuf>,
    map: Arc<Map>,
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
    /// The same with INT96 columns as microseconds, if there is one: what nanoseconds cannot hold shows there.
    micros: Option<ArrowReaderMetadata>,
    /// For each column: whether it is stored as INT96.
    int96: Vec<bool>,
}

/// The mapped file as the owner of `Bytes`.
struct Mapped(Arc<Map>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl ParquetSource {
    /// Opens the file at `path` and reads its footer.
    ///
    /// # Errors
    /// It cannot be read, or is no Parquet file, or its footer is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<dyn Source>> {
        ParquetSource::of(Map::open(path)?)
    }

    pub(super) fn of(map: Arc<Map>) -> Result<Arc<dyn Source>> {
        let path = &map.path().to_path_buf();
        let bytes = Bytes::from_owner(Mapped(Arc::clone(&map)));
        let (metadata, micros, int96) = guarded(path, || read_footer(&bytes))?;
        for (i, group) in metadata.metadata().row_groups().iter().enumerate() {
            if group.num_rows() < 0 || group.total_byte_size() < 0 || group.compressed_size() < 0 {
                return Err(damaged(path, format!("row group {} has a negative size", i + 1)));
            }
            // Decoders make room for what the footer says before they look.
            let flat = group.columns().iter().filter(|c| c.column_descr().max_rep_level() == 0);
            if flat.clone().any(|c| c.num_values() != group.num_rows()) {
                return Err(damaged(path, format!("row group {}: its columns differ in length", i + 1)));
            }
        }
        let field = |f: &Arc<ArrowField>| Field {
            name: f.name().clone(),
            ty: match Type::from_arrow(f.data_type()) {
                Some(ty) => FieldType::Known(ty),
                None => FieldType::Unsupported(f.data_type().to_string()),
            },
            inferred: false,
        };
        let schema = Schema { fields: metadata.schema().fields().iter().map(field).collect() };
        let file = ParquetFile { path: Arc::new(path.into()), map, bytes, metadata, micros, int96 };
        Ok(Arc::new(ParquetSource { schema, file: Arc::new(file) }))
    }
}

type Footer = (ArrowReaderMetadata, Option<ArrowReaderMetadata>, Vec<bool>);

fn read_footer(bytes: &Bytes) -> parquet::errors::Result<Footer> {
    let plain = match ArrowReaderMetadata::load(bytes, ArrowReaderOptions::new()) {
        Ok(metadata) => metadata,
        // An Arrow schema that was embedded wrongly is no reason to refuse the file.
        Err(_) => ArrowReaderMetadata::load(bytes, ArrowReaderOptions::new().with_skip_arrow_metadata(true))?,
    };
    let roots = plain.parquet_schema().root_schema().get_fields();
    let is_int96 = |t: &Arc<ParquetType>| t.is_primitive() && t.get_physical_type() == Physical::INT96;
    let int96: Vec<bool> = roots.iter().map(is_int96).collect();
    let with = |unit: TimeUnit| {
        let fields = plain.schema().fields().iter().zip(roots).enumerate();
        let fields = fields.map(|(column, (field, root))| match hint(field, root, unit, || coded(&plain, column)) {
            Some(ty) => Arc::new(field.as_ref().clone().with_data_type(ty)),
            None => Arc::clone(field),
        });
        let schema = ArrowSchema::new(fields.collect::<Vec<_>>());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options)
    };
    let metadata = with(TimeUnit::Nanosecond)?;
    let micros = int96.contains(&true).then(|| with(TimeUnit::Microsecond)).transpose()?;
    Ok((metadata, micros, int96))
}

/// Whether no page of root column `root` holds strings themselves instead of keys of a dictionary, as far as the file says.
fn coded(metadata: &ArrowReaderMetadata, root: usize) -> bool {
    let schema = metadata.parquet_schema();
    metadata.metadata().row_groups().iter().all(|group| {
        let leaves = group.columns().iter().enumerate().filter(|(leaf, _)| schema.get_column_root_idx(*leaf) == root);
        let mut pages = leaves.filter_map(|(_, column)| column.page_encoding_stats_mask());
        let dictionary = |&e: &Encoding| matches!(e, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
        pages.all(|mask| mask.encodings().all(|e| dictionary(&e)))
    })
}

/// The Arrow type to ask for instead of the one the file suggests.
fn hint(field: &ArrowField, root: &ParquetType, int96: TimeUnit, coded: impl Fn() -> bool) -> Option<DataType> {
    if !root.is_primitive() {
        return None;
    }
    let text = Type::from_arrow(field.data_type()) == Some(Type::Str);
    match root.get_physical_type() {
        // Only these are checked to be UTF-8 while decoding; the others are checked by `checked_text`.
        // Strings that are not all keys of a dictionary would have to be made a dictionary of: views of them are cheaper.
        Physical::BYTE_ARRAY if text && root.get_basic_info().converted_type() == ConvertedType::UTF8 => {
            match coded() {
                true => Some(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))),
                false => Some(DataType::Utf8View),
            }
        }
        Physical::BYTE_ARRAY if text => Some(DataType::LargeUtf8),
        Physical::INT96 => Some(DataType::Timestamp(int96, None)),
        _ => None,
    }
}

impl Source for ParquetSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn name(&self) -> String {
        self.file.path.display().to_string()
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.file.bytes.len() as u64)
    }

    fn rows(&self) -> Option<u64> {
        u64::try_from(self.file.metadata.metadata().file_metadata().num_rows()).ok()
    }

    fn format(&self) -> &'static str {
        "parquet"
    }

    fn chunk_bytes(&self) -> usize {
        // A range of a row group decodes the page it begins in from that page's start, so small ranges cost more; but what a
        // range of 16 MiB decodes to has left the caches, and its memory the allocator, before it is used.
        4 << 20
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let projection = Projection::new(&self.name(), &self.schema, request)?;
        let mut pieces = Vec::new();
        let mut first = 0;
        for (group, meta) in self.file.metadata.metadata().row_groups().iter().enumerate() {
            let rows = meta.num_rows() as u64;
            let parquet_schema = self.file.metadata.parquet_schema();
            // Dictionary pages make a column smaller in the file than in a chunk, long strings make it bigger.
            let stored = |root: usize| -> u64 {
                let leaves = meta.columns().iter().enumerate();
                let of_root = leaves.filter(|(leaf, _)| parquet_schema.get_column_root_idx(*leaf) == root);
                of_root.map(|(_, column)| column.uncompressed_size().max(0) as u64).sum()
            };
            let held =
                projection.decode().iter().map(|&c| stored(c).max(rows * width(&self.schema.fields[c].ty))).sum();
            for range in ranges(rows, rows_per_chunk(request, rows, held)) {
                let share = (range.end - range.start) as u128 * meta.compressed_size() as u128 / rows.max(1) as u128;
                pieces.push(Piece { group, first, range, bytes: share as u64 });
            }
            first += rows;
        }
        Ok(Box::new(ParquetScan { file: Arc::clone(&self.file), projection, pieces: pieces.into_iter() }))
    }

    fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
        None
    }
}

/// Some rows of a row group.
struct Piece {
    group: usize,
    /// Rows of the file before the row group.
    first: u64,
    range: std::ops::Range<u64>,
    bytes: u64,
}

struct ParquetScan {
    file: Arc<ParquetFile>,
    projection: Arc<Projection>,
    pieces: std::vec::IntoIter<Piece>,
}

impl Scan for ParquetScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        let Some(piece) = self.pieces.next() else { return Ok(None) };
        let (file, projection) = (Arc::clone(&self.file), Arc::clone(&self.projection));
        let bytes = piece.bytes;
        let read = move || {
            let rows = (piece.range.end - piece.range.start) as usize;
            let origin = FileRows { path: Arc::clone(&file.path), first: piece.first + piece.range.start, width: None };
            let arrays = match projection.decode() {
                [] => Vec::new(),
                columns => file.decode(&piece, columns)?,
            };
            let read = projection.read(rows, &arrays, Arc::new(origin));
            // Nothing of a chunk lies in the file. Other pieces of the row group will read their pages again, from the cache.
            drop(arrays);
            file.release(&piece, projection.decode());
            read
        };
        Ok(Some(ChunkTask { bytes, read: Box::new(read) }))
    }
}

impl ParquetFile {
    fn decode(&self, piece: &Piece, columns: &[usize]) -> Result<Vec<ArrayRef>> {
        let batch = self.batch(&self.metadata, piece, columns)?;
        let mut arrays = batch.columns().to_vec();
        for array in &mut arrays {
            *array = checked_text(array).map_err(|e| self.broken(piece, e))?;
        }
        let int96: Vec<usize> = columns.iter().copied().filter(|&c| self.int96[c]).collect();
        if let (Some(micros), false) = (&self.micros, int96.is_empty()) {
            let micros = self.batch(micros, piece, &int96)?;
            for (at, column) in int96.iter().enumerate() {
                let slot = columns.iter().position(|c| c == column).unwrap_or_default();
                check_int96(&arrays[slot], micros.column(at)).map_err(|row| Error::Data {
                    place: Box::new(crate::Place {
                        file: Some(self.path.to_path_buf()),
                        row: Some(piece.first + piece.range.start + row as u64 + 1),
                        column: Some(self.metadata.schema().field(*column).name().clone()),
                        ..crate::Place::default()
                    }),
                    message: "an INT96 timestamp beyond the years 1677 to 2262 that nanoseconds can hold".into(),
                    found: None,
                    help: None,
                })?;
            }
        }
        Ok(arrays)
    }

    /// Decodes root columns `columns` (ascending) of the piece's rows as one batch.
    fn batch(&self, metadata: &ArrowReaderMetadata, piece: &Piece, columns: &[usize]) -> Result<RecordBatch> {
        let rows = (piece.range.end - piece.range.start) as usize;
        let decode = || -> Result<Option<RecordBatch>, String> {
            let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.bytes.clone(), metadata.clone())
                .with_row_groups(vec![piece.group])
                .with_projection(mask)
                .with_batch_size(rows)
                // Pages before the range are skipped whole; a mask would decode them.
                .with_row_selection_policy(RowSelectionPolicy::Selectors)
                .with_offset(piece.range.start as usize)
                .with_limit(rows);
            builder.build().map_err(|e| e.to_string())?.next().transpose().map_err(|e| e.to_string())
        };
        let batch = guarded(&self.path, decode).map_err(|e| match e {
            Error::Format { message, .. } => self.broken(piece, message),
            other => other,
        })?;
        match batch {
            Some(batch) if batch.num_rows() == rows && batch.num_columns() == columns.len() => Ok(batch),
            _ => Err(self.broken(piece, "it has fewer rows than the footer says")),
        }
    }

    /// Gives back the pages of root columns `columns` of the piece's row group.
    fn release(&self, piece: &Piece, columns: &[usize]) {
        let schema = self.metadata.parquet_schema();
        for (leaf, column) in self.metadata.metadata().row_group(piece.group).columns().iter().enumerate() {
            if columns.contains(&schema.get_column_root_idx(leaf)) {
                let (start, length) = column.byte_range();
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                self.map.release(place(start)..place(start.saturating_add(length)));
            }
        }
    }

    fn broken(&self, piece: &Piece, message: impl std::fmt::Display) -> Error {
        damaged(&self.path, format!("row group {}: {message}", piece.group + 1))
    }
}

/// Strings without a UTF-8 annotation (JSON, or an Arrow schema's word for it) come unchecked from the decoder.
fn checked_text(array: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let (offsets, values, nulls) = array.as_string::<i32>().clone().into_parts();
            Arc::new(StringArray::try_new(offsets, values, nulls)?)
        }
        DataType::LargeUtf8 => {
            let (offsets, values, nulls) = array.as_string::<i64>().clone().into_parts();
            Arc::new(LargeStringArray::try_new(offsets, values, nulls)?)
        }
        _ => Arc::clone(array),
    })
}

/// INT96 holds more than 64 bits of nanoseconds, and the decoder wraps. The first row where it did is the error.
fn check_int96(nanos: &ArrayRef, micros: &ArrayRef) -> Result<(), usize> {
    let (Some(nanos), Some(micros)) =
        (nanos.as_primitive_opt::<TimestampNanosecondType>(), micros.as_primitive_opt::<TimestampMicrosecondType>())
    else {
        return Ok(());
    };
    let wrapped = |row: &usize| nanos.is_valid(*row) && nanos.value(*row).div_euclid(1000) != micros.value(*row);
    match (0..nanos.len().min(micros.len())).find(wrapped) {
        Some(row) => Err(row),
        None => Ok(()),
    }
}
