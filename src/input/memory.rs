//! Arrow batches a library caller hands in: fixed-width columns are used where they lie.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::projection::{Projection, ranges, rows_per_chunk, width};
use super::{ChunkTask, Request, Scan, Source};
use crate::column::{Field, FieldType, RowsFrom, Schema, Type};
use crate::{Error, Result};

/// Record batches of one schema.
pub struct MemorySource {
    schema: Schema,
    batches: Arc<Vec<RecordBatch>>,
}

impl MemorySource {
    /// A source of `batches`, in that order. There may be none.
    ///
    /// # Errors
    /// A batch has other column names or types than `schema`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow_array::{Int64Array, RecordBatch};
    /// use tidemill::input::MemorySource;
    ///
    /// let batch = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1, 2])) as _)]).unwrap();
    /// let source = MemorySource::new(batch.schema(), vec![batch]).unwrap();
    /// assert_eq!(source.schema().fields[0].name, "x");
    /// ```
    #[expect(clippy::new_ret_no_self, reason = "every source is used behind the trait")]
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Arc<dyn Source>> {
        for (i, batch) in batches.iter().enumerate() {
            let theirs = batch.schema();
            let same = theirs.fields().len() == schema.fields().len()
                && theirs
                    .fields()
                    .iter()
                    .zip(schema.fields())
                    .all(|(a, b)| a.name() == b.name() && a.data_type().equals_datatype(b.data_type()));
            if !same {
                return Err(Error::usage(format!("record batch {} has another schema than the source", i + 1)));
            }
        }
        Ok(Arc::new(MemorySource { schema: arrow_columns(&schema), batches: Arc::new(batches) }))
    }
}

/// The columns of an Arrow schema.
pub(crate) fn arrow_columns(schema: &arrow_schema::Schema) -> Schema {
    let field = |f: &Arc<arrow_schema::Field>| Field {
        name: f.name().clone(),
        ty: match Type::from_arrow(f.data_type()) {
            Some(ty) => FieldType::Known(ty),
            None => FieldType::Unsupported(f.data_type().to_string()),
        },
        inferred: false,
    };
    Schema { fields: schema.fields().iter().map(field).collect() }
}

impl Source for MemorySource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn name(&self) -> String {
        "memory".into()
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.batches.iter().map(|b| b.get_array_memory_size() as u64).sum())
    }

    fn rows(&self) -> Option<u64> {
        Some(self.batches.iter().map(|b| b.num_rows() as u64).sum())
    }

    fn format(&self) -> &'static str {
        "memory"
    }

    fn chunk_bytes(&self) -> usize {
        1 << 20
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let projection = Projection::new("memory", &self.schema, request)?;
        let row_bytes: u64 = projection.decode().iter().map(|&c| width(&self.schema.fields[c].ty)).sum();
        let mut pieces = Vec::new();
        let mut first = 0;
        for (index, batch) in self.batches.iter().enumerate() {
            let (rows, size) = (batch.num_rows() as u64, batch.get_array_memory_size() as u128);
            for range in ranges(rows, rows_per_chunk(request, rows, rows.saturating_mul(row_bytes))) {
                let bytes = (size * (range.end - range.start) as u128 / rows.max(1) as u128) as u64;
                pieces.push(Piece { index, first: first + range.start, range, bytes });
            }
            first += rows;
        }
        Ok(Box::new(MemoryScan { batches: Arc::clone(&self.batches), projection, pieces: pieces.into_iter() }))
    }

    fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
        None
    }
}

struct Piece {
    index: usize,
    /// Rows of all batches before this piece.
    first: u64,
    range: std::ops::Range<u64>,
    bytes: u64,
}

struct MemoryScan {
    batches: Arc<Vec<RecordBatch>>,
    projection: Arc<Projection>,
    pieces: std::vec::IntoIter<Piece>,
}

impl Scan for MemoryScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        let Some(piece) = self.pieces.next() else { return Ok(None) };
        let (batches, projection) = (Arc::clone(&self.batches), Arc::clone(&self.projection));
        let read = move || {
            let batch = &batches[piece.index];
            let (start, rows) = (piece.range.start as usize, (piece.range.end - piece.range.start) as usize);
            let arrays: Vec<_> = projection.decode().iter().map(|&c| batch.column(c).slice(start, rows)).collect();
            projection.read(rows, piece.bytes, &arrays, Arc::new(RowsFrom { first: piece.first }))
        };
        Ok(Some(ChunkTask::one(read)))
    }
}
