//! Columns of any encoding and shape, through the arrow reader.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, LargeStringArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelectionPolicy,
};

use super::ParquetFile;
use super::task::Piece;
use crate::input::projection::guarded;
use crate::{Error, Place, Result};

/// Some root columns of a piece, read front to back.
pub(super) struct Batches {
    /// The columns, ascending.
    columns: Vec<usize>,
    reader: ParquetRecordBatchReader,
    /// Those that are INT96, as microseconds.
    int96: Vec<usize>,
    micros: Option<ParquetRecordBatchReader>,
}

impl Batches {
    /// Of the piece's rows from its `skip`th on, `rows` at a time.
    pub(super) fn new(
        file: &ParquetFile,
        piece: &Piece,
        columns: Vec<usize>,
        skip: usize,
        rows: usize,
    ) -> Result<Batches> {
        let int96: Vec<usize> = columns.iter().copied().filter(|&c| file.int96[c]).collect();
        let open = |metadata: &ArrowReaderMetadata, columns: &[usize]| {
            let start = piece.range.start as usize + skip;
            let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.bytes.clone(), metadata.clone())
                .with_row_groups(vec![piece.group])
                .with_projection(mask)
                .with_batch_size(rows)
                // Pages before the range are skipped whole; a mask would decode them.
                .with_row_selection_policy(RowSelectionPolicy::Selectors)
                .with_offset(start)
                .with_limit(piece.range.end as usize - start);
            guarded(&file.path, || builder.build()).map_err(|e| unwrapped(e, file, piece))
        };
        let micros = match &file.micros {
            Some(micros) if !int96.is_empty() => Some(open(micros, &int96)?),
            _ => None,
        };
        Ok(Batches { reader: open(&file.metadata, &columns)?, columns, int96, micros })
    }

    /// The next `rows` rows, the first of which is row `first` of the file (from 0): root columns and their arrays.
    pub(super) fn next(
        &mut self,
        file: &ParquetFile,
        piece: &Piece,
        first: u64,
        rows: usize,
    ) -> Result<impl Iterator<Item = (usize, ArrayRef)>> {
        let batch = next_batch(&mut self.reader, file, piece, rows, self.columns.len())?;
        let mut arrays = batch.columns().to_vec();
        for array in &mut arrays {
            *array = checked_text(array).map_err(|e| file.broken(piece.group, e))?;
        }
        if let Some(micros) = &mut self.micros {
            let micros = next_batch(micros, file, piece, rows, self.int96.len())?;
            for (at, column) in self.int96.iter().enumerate() {
                let slot = self.columns.iter().position(|c| c == column).unwrap_or_default();
                check_int96(&arrays[slot], micros.column(at)).map_err(|row| Error::Data {
                    place: Box::new(Place {
                        file: Some(file.path.to_path_buf()),
                        row: Some(first + row as u64 + 1),
                        column: Some(file.metadata.schema().field(*column).name().clone()),
                        ..Place::default()
                    }),
                    message: "an INT96 timestamp beyond the years 1677 to 2262 that nanoseconds can hold".into(),
                    found: None,
                    help: None,
                })?;
            }
        }
        Ok(self.columns.clone().into_iter().zip(arrays))
    }
}

fn next_batch(
    reader: &mut ParquetRecordBatchReader,
    file: &ParquetFile,
    piece: &Piece,
    rows: usize,
    columns: usize,
) -> Result<RecordBatch> {
    let batch = guarded(&file.path, || reader.next().transpose()).map_err(|e| unwrapped(e, file, piece))?;
    match batch {
        Some(batch) if batch.num_rows() == rows && batch.num_columns() == columns => Ok(batch),
        _ => Err(file.broken(piece.group, "it has fewer rows than the footer says")),
    }
}

/// An error of the file as one of the piece's row group.
fn unwrapped(error: Error, file: &ParquetFile, piece: &Piece) -> Error {
    match error {
        Error::Format { message, .. } => file.broken(piece.group, message),
        other => other,
    }
}

/// Strings without a UTF-8 annotation (JSON, or an Arrow schema's word for it) come unchecked from the decoder.
fn checked_text(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
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
