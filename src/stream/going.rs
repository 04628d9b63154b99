//! What a query is once the columns of its source are known, and what a batch gives.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};

use super::OutputMode;
use super::plan::{WINDOW_END, Windows};
use super::state::State;
use crate::agg::{Merger, Partial, PartialShape};
use crate::column::Schema;
use crate::exec::Session;
use crate::{Error, Result};

/// Groups of windows that are finished together.
const TOGETHER: usize = 1 << 14;
/// What is made as soon as the columns are known.
pub(super) struct Going {
    pub schema: Schema,
    pub session: Session,
    pub windows: Option<Windows>,
    pub shape: PartialShape,
    pub state: State,
    pub output: SchemaRef,
}

impl Going {
    /// What a batch gives that moves the watermark from `before` to `after`.
    pub fn output(
        &self,
        mode: OutputMode,
        before: Option<i64>,
        after: Option<i64>,
        changed: &HashMap<i64, Vec<u32>>,
    ) -> Result<Vec<RecordBatch>> {
        let Some(windows) = &self.windows else {
            let groups = match mode {
                OutputMode::Update => self.state.all(Some(changed.get(&0).map_or(&[], Vec::as_slice))),
                _ => self.state.all(None),
            };
            return self.session.result(groups);
        };
        let starts = match (mode, after) {
            (OutputMode::Append, Some(after)) => self.state.closed(windows, before, after),
            (OutputMode::Append, None) => return Ok(Vec::new()),
            (OutputMode::Update, _) => {
                let mut starts = self.state.open(windows, before);
                starts.retain(|&window| windows.spans.panes(window).any(|pane| changed.contains_key(&pane)));
                starts
            }
            (OutputMode::Complete, _) => self.state.open(windows, None),
        };
        let only = (mode == OutputMode::Update).then_some(changed);
        // In complete mode there may be an order over all windows.
        let together = if mode == OutputMode::Complete { usize::MAX } else { TOGETHER };
        let mut rows = Vec::new();
        let mut waiting: Vec<Partial> = Vec::new();
        let mut count = 0;
        for window in starts {
            let groups = self.state.window(windows, window, only);
            count += groups.groups;
            waiting.push(groups);
            if count >= together {
                rows.extend(self.finish(windows, std::mem::take(&mut waiting))?);
                count = 0;
            }
        }
        if !waiting.is_empty() {
            rows.extend(self.finish(windows, waiting)?);
        }
        Ok(rows)
    }

    /// The rows of windows, each with its end beside its start.
    fn finish(&self, windows: &Windows, partials: Vec<Partial>) -> Result<Vec<RecordBatch>> {
        let groups = match <[Partial; 1]>::try_from(partials) {
            Ok([one]) => one,
            Err(partials) => {
                let stage = &self.session.plan().stage;
                let mut merger = Merger::new(&stage.key_shape(), &stage.states);
                partials.into_iter().for_each(|partial| _ = merger.absorb(partial, 1));
                merger.finish()
            }
        };
        let rows = self.session.result(groups)?;
        rows.into_iter().map(|rows| with_ends(&rows, windows.spans.width, &self.output)).collect()
    }
}

/// The columns of the output: with windows, the end of the window beside its start.
pub(super) fn output_schema(schema: &SchemaRef, windows: bool) -> SchemaRef {
    let mut fields = schema.fields().to_vec();
    if let (Some(start), true) = (fields.first(), windows) {
        let end = Field::new(WINDOW_END, start.data_type().clone(), true);
        fields.insert(1, Arc::new(end));
    }
    Arc::new(ArrowSchema::new(fields))
}

fn with_ends(rows: &RecordBatch, width: i64, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut columns = rows.columns().to_vec();
    macro_rules! ends {
        ($type:ty) => {
            Arc::new(columns[0].as_primitive::<$type>().unary::<_, $type>(|start| start.saturating_add(width)))
                as ArrayRef
        };
    }
    let ends = match columns[0].data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => ends!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => ends!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => ends!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => ends!(TimestampNanosecondType),
        _ => {
            let width = i32::try_from(width).unwrap_or(i32::MAX);
            let starts = columns[0].as_primitive::<Date32Type>();
            Arc::new(starts.unary::<_, Date32Type>(|start| start.saturating_add(width)))
        }
    };
    columns.insert(1, ends);
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|e| Error::internal(format!("the ends of windows: {e}")))
}
