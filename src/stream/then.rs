//! A second stage: a job over the rows of each window that a batch gives, or over all rows if there are no windows.
//!
//! It keeps nothing: a window comes whole or, in mode complete, whole each time.

use arrow_array::cast::AsArray;
use arrow_array::types::Date32Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, SchemaRef};

use super::plan::{WINDOW_END, WINDOW_START};
use crate::expr::col;
use crate::plan::{Job, Named};
use crate::{Device, Engine, Input, Result};

/// A second stage over rows of a known schema.
pub(super) struct Then {
    job: Job,
    engine: Engine,
    input: SchemaRef,
    windows: bool,
    /// The columns of its result.
    pub output: SchemaRef,
}

impl Then {
    /// `job` over rows of `input`. With `windows`, its keys begin with those of the window.
    ///
    /// # Errors
    /// The job does not fit the columns.
    pub fn new(engine: &Engine, job: &Job, input: SchemaRef, windows: bool) -> Result<Then> {
        let mut job = job.clone();
        if windows && !job.is_of_rows() {
            let keys = [WINDOW_START, WINDOW_END].map(|name| Named::from(col(name)));
            job.keys.splice(0..0, keys);
        }
        // A few rows at a time: one thread, here.
        let engine = engine.clone().device(Device::Cpu).threads(1);
        let output = engine.run(&job, &Input::batches(SchemaRef::clone(&input), Vec::new())?)?.schema;
        Ok(Then { job, engine, input, windows, output })
    }

    /// The rows that come of a batch's rows.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run(&self, rows: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        let mut given = Vec::new();
        let parts = if self.windows { by_window(&rows) } else { vec![rows] };
        for part in parts {
            let input = Input::batches(SchemaRef::clone(&self.input), part)?;
            given.extend(self.engine.run(&self.job, &input)?.batches);
        }
        Ok(given)
    }
}

/// A column of times as numbers.
fn ticks(times: &dyn Array) -> Vec<i64> {
    match times.data_type() {
        DataType::Date32 => times.as_primitive::<Date32Type>().values().iter().map(|&day| day.into()).collect(),
        _ => times.to_data().buffer::<i64>(0).iter().take(times.len()).copied().collect(),
    }
}

/// Rows that stand together and have one start and one end.
fn by_window(rows: &[RecordBatch]) -> Vec<Vec<RecordBatch>> {
    let mut windows: Vec<Vec<RecordBatch>> = Vec::new();
    let mut last = None;
    for batch in rows.iter().filter(|batch| batch.num_rows() > 0) {
        let (starts, ends) = (ticks(batch.column(0)), ticks(batch.column(1)));
        let mut row = 0;
        while row < batch.num_rows() {
            let window = (starts[row], ends[row]);
            let next = (row + 1..batch.num_rows()).find(|&row| (starts[row], ends[row]) != window);
            let part = batch.slice(row, next.unwrap_or(batch.num_rows()) - row);
            row += part.num_rows();
            match windows.last_mut() {
                Some(parts) if last == Some(window) => parts.push(part),
                _ => windows.push(vec![part]),
            }
            last = Some(window);
        }
    }
    windows
}
