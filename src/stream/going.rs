//! What a query is once the columns of its source are known, and what a batch gives.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};

use super::OutputMode;
use super::front::Front;
use super::late::Late;
use super::plan::{StreamPlan, WINDOW_END, Windows, plan};
use super::query::Query;
use super::state::State;
use super::then::Then;
use super::window::{Cut, Spans};
use crate::agg::{Merger, Partial, PartialShape};
use crate::column::Schema;
use crate::exec::{RowsRun, Session, on_cpu};
use crate::input::arrow_columns;
use crate::plan::lower_rows;
use crate::{Device, Engine, Error, Result};

/// Groups of windows that are finished together.
const TOGETHER: usize = 1 << 14;
/// What is made as soon as the columns are known.
pub(super) struct Going {
    /// The columns of the source.
    pub schema: Schema,
    /// What is done with rows before.
    pub front: Option<Front>,
    /// How rows are grouped; `None` if they are given as they are.
    pub grouping: Option<Grouping>,
    /// How late rows are found, if they are wanted.
    pub late: Option<Late>,
    /// The stages after.
    pub then: Vec<Then>,
    /// The columns of the output.
    pub output: SchemaRef,
}

impl Going {
    /// What a query needs over a source with these columns.
    ///
    /// # Errors
    /// The query does not fit the columns.
    pub fn new(engine: &Engine, query: &Query, schema: Schema) -> Result<Going> {
        let front = Front::new(engine, query, &schema)?;
        let columns = front.as_ref().map_or_else(|| schema.clone(), |front| arrow_columns(&front.schema));
        if query.job.is_of_rows() {
            if let Device::Gpu(_) = engine.device {
                return Err(on_cpu());
            }
            let output = match &front {
                Some(front) if front.is_whole() => Arc::clone(&front.schema),
                _ => RowsRun { engine, plan: &lower_rows(&query.job, &columns)? }.schema(),
            };
            let late = Late::new(query, &schema, front.as_ref(), None)?;
            return Ok(Going { schema, front, grouping: None, late, then: Vec::new(), output });
        }
        let job = front.as_ref().map_or_else(|| query.job.clone(), |front| front.rest(&query.job));
        let (windows, watermark) = (query.windows.clone(), query.watermark.filter(|_| !query.windows.is_empty()));
        let grouping = Grouping::new(engine, Box::new(move || plan(&job, &windows, watermark, &columns)))?;
        let late = Late::new(query, &schema, front.as_ref(), grouping.windows.as_ref())?;
        let mut output = Arc::clone(&grouping.output);
        let mut then = Vec::new();
        for job in &query.then {
            let stage = Then::new(engine, job, output, grouping.windows.is_some())?;
            output = Arc::clone(&stage.output);
            then.push(stage);
        }
        Ok(Going { schema, front, grouping: Some(grouping), late, then, output })
    }
}

/// A session that groups, and the state that its groups are merged into.
pub(super) struct Grouping {
    pub session: Session,
    pub windows: Option<Windows>,
    pub shape: PartialShape,
    pub state: State,
    /// The columns of the result, with the ends of windows.
    pub output: SchemaRef,
    /// Makes the plan, with dictionaries of its own.
    pub plan: MakePlan,
    /// Strings that its dictionaries held when it was last looked whose they are.
    pub looked: usize,
}

/// Makes a plan.
type MakePlan = Box<dyn Fn() -> Result<StreamPlan> + Send + Sync>;

impl Grouping {
    /// Opens what the plan needs.
    ///
    /// # Errors
    /// As `make` and [`Session::new`].
    pub fn new(engine: &Engine, make: MakePlan) -> Result<Grouping> {
        let StreamPlan { plan, windows } = make()?;
        let session = Session::new(engine, plan)?;
        let mut shape = session.shape();
        if let Some(windows) = &windows {
            shape.keys.drain(..windows.keys());
        }
        let state = State::new(&shape, &session.plan().stage.states);
        let has_ends = windows.as_ref().is_some_and(|windows| matches!(windows.cut, Cut::Spans(_)));
        let output = if has_ends { output_schema(&session.schema()) } else { session.schema() };
        Ok(Grouping { session, windows, shape, state, output, plan: make, looked: 0 })
    }

    /// What a batch gives that moves the watermark from `before` to `after`. Windows that are closed after it are forgotten, but
    /// in mode complete; how many groups they had.
    ///
    /// # Errors
    /// A value of the result does not fit its type.
    pub fn output(
        &mut self,
        mode: OutputMode,
        before: Option<i64>,
        after: Option<i64>,
        changed: &HashMap<i64, Vec<u32>>,
    ) -> Result<(Vec<RecordBatch>, usize)> {
        let Some(windows) = &self.windows else {
            let groups = match mode {
                OutputMode::Update => self.state.all(Some(changed.get(&0).map_or(&[], Vec::as_slice))),
                _ => self.state.all(None),
            };
            return Ok((self.session.result(groups)?, 0));
        };
        let spans = match &windows.cut {
            Cut::Spans(spans) => spans,
            Cut::Sessions(sessions) => {
                let until = match (mode, after) {
                    (OutputMode::Complete, _) => None,
                    (_, None) => return Ok((Vec::new(), 0)),
                    (_, after) => after,
                };
                let (groups, forgotten) = self.state.sessions(*sessions, windows.time, until);
                return Ok((self.session.result(groups)?, forgotten));
            }
        };
        let only = (mode == OutputMode::Update).then_some(changed);
        // In complete mode there may be an order over all windows.
        let together = if mode == OutputMode::Complete { usize::MAX } else { TOGETHER };
        let mut rows = Vec::new();
        for &spans in spans {
            let starts = match (mode, after) {
                (OutputMode::Append, Some(after)) => self.state.closed(spans, before, after),
                (OutputMode::Append, None) => BTreeSet::new(),
                (OutputMode::Update, _) => {
                    let mut starts = self.state.open(spans, before);
                    starts.retain(|&window| spans.panes(window).any(|pane| changed.contains_key(&pane)));
                    starts
                }
                (OutputMode::Complete, _) => self.state.open(spans, None),
            };
            let mut waiting: Vec<Partial> = Vec::new();
            let mut count = 0;
            for window in starts {
                let groups = self.state.window(spans, window, only);
                count += groups.groups;
                waiting.push(groups);
                if count >= together {
                    rows.extend(self.finish(spans, std::mem::take(&mut waiting))?);
                    count = 0;
                }
            }
            if !waiting.is_empty() {
                rows.extend(self.finish(spans, waiting)?);
            }
        }
        let forgotten = match (mode, after) {
            (OutputMode::Complete, _) | (_, None) => 0,
            (_, Some(after)) => self.state.evict(windows, after),
        };
        Ok((rows, forgotten))
    }

    /// Whether something closes, or is forgotten, that would not be at watermark `before` and is at `to`.
    pub fn is_due(&self, mode: OutputMode, before: Option<i64>, to: i64) -> bool {
        let Some(windows) = &self.windows else { return false };
        match (mode, &windows.cut) {
            (OutputMode::Complete, _) => false,
            (OutputMode::Update, cut) => self.state.has(|pane| cut.is_over(pane, to)),
            (OutputMode::Append, Cut::Spans(spans)) => {
                spans.iter().any(|&spans| !self.state.closed(spans, before, to).is_empty())
            }
            // What such a pane has is closed, or has become part of a later one.
            (OutputMode::Append, Cut::Sessions(sessions)) => {
                let ends = |pane: i64| pane.saturating_add(sessions.pane).saturating_add(sessions.gap);
                self.state.has(|pane| ends(pane) <= sessions.bound(to))
            }
        }
    }

    /// The watermark at which every window that has groups is closed; `None` if there is none.
    pub fn last_end(&self) -> Option<i64> {
        let windows = self.windows.as_ref()?;
        match &windows.cut {
            Cut::Spans(spans) => {
                let pane = self.state.last_pane()?;
                spans.iter().map(|spans| spans.last_end(pane)).max()
            }
            // All rows of the last pane that can be: no later than its end.
            Cut::Sessions(sessions) => {
                let end = self.state.last_pane()?.saturating_add(sessions.pane).saturating_add(sessions.gap);
                Some(sessions.pane_of(end.saturating_add(sessions.pane - 1)))
            }
        }
    }

    /// Forgets what is closed at a watermark that has been reached before.
    pub fn forget(&mut self, watermark: i64) {
        match self.windows.as_ref().map(|windows| (windows, &windows.cut)) {
            None => {}
            Some((windows, Cut::Sessions(sessions))) => {
                self.state.sessions(*sessions, windows.time, Some(watermark));
            }
            Some((windows, Cut::Spans(_))) => _ = self.state.evict(windows, watermark),
        }
    }

    /// The rows of windows, each with its end beside its start.
    fn finish(&self, spans: Spans, partials: Vec<Partial>) -> Result<Vec<RecordBatch>> {
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
        rows.into_iter().map(|rows| with_ends(&rows, spans.width, &self.output)).collect()
    }
}

/// The columns of the output: the end of the window beside its start.
fn output_schema(schema: &SchemaRef) -> SchemaRef {
    let mut fields = schema.fields().to_vec();
    if let Some(start) = fields.first() {
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
