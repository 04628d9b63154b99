//! Rows that a rule makes when they are asked for: only the columns wanted, on whichever thread reads them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;

use super::memory::arrow_columns;
use super::projection::{Projection, ranges, rows_per_chunk, width};
use super::{ChunkTask, Request, Scan, Source};
use crate::Result;
use crate::column::{RowsFrom, Schema, Type};

/// A rule for rows, each a function of its number.
pub trait Rule: Send + Sync {
    /// The columns.
    fn schema(&self) -> SchemaRef;

    /// Column `column` of the rows `rows`: as many values, in that order.
    fn column(&self, column: usize, rows: Range<u64>) -> ArrayRef;
}

/// The rows of a range, by a rule.
pub struct MadeSource {
    name: String,
    schema: Schema,
    rule: Arc<dyn Rule>,
    rows: Range<u64>,
}

impl MadeSource {
    /// The rows `rows` of what messages call `name`.
    #[expect(clippy::new_ret_no_self, reason = "every source is used behind the trait")]
    pub fn new(name: impl Into<String>, rule: Arc<dyn Rule>, rows: Range<u64>) -> Arc<dyn Source> {
        Arc::new(MadeSource { name: name.into(), schema: arrow_columns(&rule.schema()), rule, rows })
    }
}

impl fmt::Debug for MadeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeSource").field("name", &self.name).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Source for MadeSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn bytes(&self) -> Option<u64> {
        None
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows.end.saturating_sub(self.rows.start))
    }

    fn format(&self) -> &'static str {
        "made"
    }

    fn chunk_bytes(&self) -> usize {
        1 << 20
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let projection = Projection::new(&self.name, &self.schema, request)?;
        let row_bytes: u64 = projection.decode().iter().map(|&c| width(&self.schema.fields[c].ty)).sum();
        let (first, rows) = (self.rows.start, self.rows.end.saturating_sub(self.rows.start));
        let pieces = ranges(rows, rows_per_chunk(request, rows, rows.saturating_mul(row_bytes)));
        let pieces = Box::new(pieces.map(move |piece| first + piece.start..first + piece.end));
        Ok(Box::new(MadeScan { rule: Arc::clone(&self.rule), projection, first, row_bytes, pieces }))
    }

    fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
        None
    }
}

struct MadeScan {
    rule: Arc<dyn Rule>,
    projection: Arc<Projection>,
    /// The first row of the scan.
    first: u64,
    row_bytes: u64,
    pieces: Box<dyn Iterator<Item = Range<u64>> + Send>,
}

impl Scan for MadeScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        let Some(piece) = self.pieces.next() else { return Ok(None) };
        let (rule, projection) = (Arc::clone(&self.rule), Arc::clone(&self.projection));
        let (before, row_bytes) = (piece.start - self.first, self.row_bytes);
        Ok(Some(ChunkTask::one(move || {
            let rows = (piece.end - piece.start) as usize;
            let arrays: Vec<_> = projection.decode().iter().map(|&column| rule.column(column, piece.clone())).collect();
            projection.read(rows, rows as u64 * row_bytes, &arrays, Arc::new(RowsFrom { first: before }))
        })))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema as ArrowSchema};

    use super::*;
    use crate::{Engine, Input, Job, aggregate, col};

    struct Squares;

    impl Rule for Squares {
        fn schema(&self) -> SchemaRef {
            let field = |name, ty| Field::new(name, ty, false);
            Arc::new(ArrowSchema::new(vec![
                field("n", DataType::Int64),
                field("parity", DataType::Utf8),
                field("never", DataType::Int64),
            ]))
        }

        fn column(&self, column: usize, rows: Range<u64>) -> ArrayRef {
            match column {
                0 => Arc::new(rows.map(|n| (n * n) as i64).collect::<Int64Array>()),
                1 => Arc::new(rows.map(|n| Some(if n % 2 == 0 { "even" } else { "odd" })).collect::<StringArray>()),
                _ => panic!("a column nobody asked for"),
            }
        }
    }

    #[test]
    fn only_wanted_columns_are_made_and_all_rows_once() {
        let source = MadeSource::new("squares", Arc::new(Squares), 3..1003);
        assert_eq!((source.rows(), source.format()), (Some(1000), "made"));
        let job = Job::new().by(["parity"]).aggregate(aggregate::sum(col("n"))).aggregate(aggregate::count());
        for bytes in [1, 100, 1 << 20] {
            let report = Engine::new()
                .threads(3)
                .chunk_bytes(bytes)
                .run(&job, &Input::from_source(Arc::clone(&source)))
                .unwrap();
            let shown: Vec<String> = (0..2)
                .map(|row| {
                    let cell = |c| crate::output::value_text(report.batches[0].column(c), row).unwrap();
                    [cell(0), cell(1), cell(2)].join(" ")
                })
                .collect();
            let sum = |odd: u64| (3..1003).filter(|n| n % 2 == odd).map(|n: u64| n * n).sum::<u64>();
            assert_eq!(shown, [format!("even {} 500", sum(0)), format!("odd {} 500", sum(1))]);
        }
    }
}
