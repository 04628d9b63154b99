//! A run that gives rows: threads read chunks and evaluate them on the CPU, and what they made is put in the order of the input.
//!
//! There is nothing in it for a device: every row that went there would have to come back.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};

use super::adapt::SMALL;
use super::emit::BATCH_ROWS;
use super::read::Sequence;
use super::run::{Settings, Shared};
use super::threads::on_threads;
use super::{Engine, Ledger};
use crate::backend::{Counts, FailedRows};
use crate::column::{Chunk, Column, ColumnData};
use crate::expr::Evaluator;
use crate::input::{Reject, Source};
use crate::plan::{RowsPlan, Stage, dictionaries};
use crate::{Error, Result};

/// What a run of rows gave.
pub(crate) struct Rows {
    /// In the order of the input, in batches whose cut depends on nothing but the number of rows.
    pub batches: Vec<RecordBatch>,
    /// Rows that were set aside, in the order of the input.
    pub rejects: Vec<Reject>,
    /// What was counted; rows that are given count as grouped.
    pub ledger: Ledger,
}

/// How rows are run.
pub(crate) struct RowsRun<'a> {
    pub engine: &'a Engine,
    pub plan: &'a RowsPlan,
}

/// A job of rows was to run on a GPU.
pub(crate) fn on_cpu() -> Error {
    Error::Usage {
        message: "rows that are not grouped stay on the CPU: there is no kernel for them".into(),
        help: Some("take --device auto or --device cpu".into()),
    }
}

impl RowsRun<'_> {
    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        let field = |(name, ty): &(String, crate::column::Type)| Field::new(name, ty.to_arrow(), true);
        Arc::new(Schema::new(self.plan.outputs.iter().map(field).collect::<Vec<_>>()))
    }

    /// The rows of `source`.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn over(&self, source: &dyn Source) -> Result<Rows> {
        let RowsRun { engine, plan } = self;
        let small = source.bytes().is_some_and(|bytes| bytes <= SMALL);
        let threads = if small { 1 } else { engine.threads_used() };
        let mut ledger = Ledger {
            device: "cpu".into(),
            device_reason: "every row that went to a device would have to come back".into(),
            ..Ledger::default()
        };
        let settings = Settings {
            // All rows are kept until they are given.
            memory: None,
            threads,
            chunk_bytes: engine.chunk_bytes.unwrap_or_else(|| source.chunk_bytes()),
            max_rejects: engine.max_rejects,
            cancel: &engine.cancel,
            observer: engine.observer.as_deref(),
            auto: None,
            pool: None,
        };
        let shared = Shared::begin(&plan.stage, source, dictionaries(&plan.stage.program), &settings)?;
        let work = |()| {
            let mut evaluator = Evaluator::new(Arc::clone(&plan.stage.program));
            let mut made: Vec<(Sequence, Vec<Column>)> = Vec::new();
            for chunk in shared.reader() {
                let sequence = shared.sequence(&chunk);
                match evaluate(&mut evaluator, &plan.stage, chunk) {
                    Ok((columns, counts)) => {
                        shared.count(counts);
                        made.push((sequence, columns));
                    }
                    Err(error) => shared.fail(sequence, error),
                }
            }
            made
        };
        let mut made: Vec<_> = on_threads(None, vec![(); threads], work).into_iter().flatten().collect();
        let (rejects, _) = shared.settle(&mut ledger)?;
        made.sort_unstable_by_key(|(sequence, _)| *sequence);
        let batches = cut(made.into_iter().map(|(_, columns)| columns), plan.limit, &self.schema())?;
        ledger.rows_emitted = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        Ok(Rows { batches, rejects, ledger })
    }
}

/// The columns of the rows that pass the filter. A row without a result that does not pass it has none to miss.
fn evaluate(evaluator: &mut Evaluator, stage: &Stage, chunk: Arc<Chunk>) -> Result<(Vec<Column>, Counts)> {
    let all = evaluator.columns(&chunk, &stage.outputs())?;
    let (filter, outputs) = all.split_at(usize::from(stage.filter.is_some()));
    let mut counts = Counts::default();
    let (mut kept, mut failed) = (Vec::with_capacity(chunk.rows), Vec::new());
    let is_error = |e: &crate::expr::Evaluated, row: usize| e.errors.as_ref().is_some_and(|errors| errors[row] != 0);
    for row in 0..chunk.rows {
        if let Some(filter) = filter.first() {
            if is_error(filter, row) {
                failed.push(row as u32);
                continue;
            }
            let ColumnData::Bool(truth) = &filter.column.data else {
                return Err(Error::internal("a filter that is no bool"));
            };
            if filter.column.is_null(row) || !truth.value(row) {
                counts.filtered += 1;
                continue;
            }
        }
        if outputs.iter().any(|output| is_error(output, row)) {
            failed.push(row as u32);
        } else {
            kept.push(row as u32);
        }
    }
    counts.grouped = kept.len() as u64;
    let whole = kept.len() == chunk.rows;
    let columns = outputs.iter().map(|o| if whole { o.column.clone() } else { o.column.take(&kept) }).collect();
    if !failed.is_empty() {
        counts.failed.push(FailedRows { chunk, rows: failed });
    }
    Ok((columns, counts))
}

/// Batches of a fixed number of rows, out of pieces of any.
fn cut(pieces: impl Iterator<Item = Vec<Column>>, limit: Option<u64>, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut left = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut batches = Vec::new();
    let mut waiting: Vec<Vec<Column>> = vec![Vec::new(); schema.fields().len()];
    let mut rows = 0;
    let mut give = |waiting: &mut Vec<Vec<Column>>| -> Result<()> {
        let columns = waiting.iter_mut().map(|parts| Column::join_to_arrow(&std::mem::take(parts)));
        let batch = RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_>>()?);
        batches.push(batch.map_err(|e| Error::internal(format!("the columns of rows: {e}")))?);
        Ok(())
    };
    for piece in pieces {
        let length = piece.first().map_or(0, Column::len).min(left);
        left -= length;
        let mut start = 0;
        while start < length {
            let end = length.min(start + BATCH_ROWS - rows);
            waiting.iter_mut().zip(&piece).for_each(|(parts, column)| parts.push(column.slice(start..end)));
            rows += end - start;
            start = end;
            if rows == BATCH_ROWS {
                give(&mut waiting)?;
                rows = 0;
            }
        }
    }
    if rows > 0 {
        give(&mut waiting)?;
    }
    Ok(batches)
}
