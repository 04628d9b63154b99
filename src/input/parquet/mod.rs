//! Parquet: only the needed columns are decoded, row groups (and ranges of them where threads are many) on any thread.
//!
//! A [task](task::Task) reads a range of a row group front to back, in chunks small enough to be used while they are in a cache.
//! There are two ways to read a column: the encodings that files are full of (PLAIN and dictionary keys of numbers and strings)
//! go from the pages straight to the chunk's columns ([`leaf`]), all else through the arrow reader ([`batches`]). What a column
//! holds is the same by both.
//!
//! Decimals of any storage, dates, and timestamps of any unit and time zone (INT96 too) are read; `binary` without
//! a string annotation, nested columns, times and intervals are not.

mod batches;
mod footer;
mod hybrid;
mod leaf;
mod pages;
mod task;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::Field as ArrowField;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use self::footer::read_footer;
use self::task::ParquetScan;
use super::mmap::Map;
use super::projection::{damaged, guarded};
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
        Ok(Arc::new(ParquetSource::new(map)?))
    }

    fn new(map: Arc<Map>) -> Result<ParquetSource> {
        let path = &map.path().to_path_buf();
        let bytes = Bytes::from_owner(Mapped(Arc::clone(&map)));
        let (metadata, micros, int96) = guarded(path, || read_footer(&bytes))?;
        for (i, group) in metadata.metadata().row_groups().iter().enumerate() {
            if group.num_rows() < 0 || group.total_byte_size() < 0 || group.compressed_size() < 0 {
                return Err(damaged(path, format!("row group {} has a negative size", i + 1)));
            }
            let places = group.columns().iter();
            let mut places = places
                .flat_map(|c| [c.data_page_offset(), c.dictionary_page_offset().unwrap_or(0), c.compressed_size()]);
            if places.any(|place| place < 0) {
                return Err(damaged(path, format!("row group {} has a column at a negative place", i + 1)));
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
        Ok(ParquetSource { schema, file: Arc::new(file) })
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
        1 << 20
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        Ok(Box::new(ParquetScan::new(self, request, true)?))
    }

    fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
        None
    }
}

impl ParquetFile {
    /// The leaves of root column `root`.
    fn leaves(&self, root: usize) -> impl Iterator<Item = usize> + Clone {
        let schema = self.metadata.parquet_schema();
        (0..schema.num_columns()).filter(move |&leaf| schema.get_column_root_idx(leaf) == root)
    }

    /// What is wrong with row group `group`.
    fn broken(&self, group: usize, message: impl std::fmt::Display) -> Error {
        damaged(&self.path, format!("row group {}: {message}", group + 1))
    }
}
