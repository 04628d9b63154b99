//! Late rows as rows. They are grouped before it is known that they are late, so a batch that has some reads its range once more, for
//! them alone.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;

use super::front::{Front, hidden};
use super::plan::{Windows, pane_of, tick_of};
use super::query::Query;
use super::window::{Cut, Time};
use crate::agg::Function;
use crate::column::{Schema, Type};
use crate::exec::RowsRun;
use crate::expr::{Expr, ExprNode, col};
use crate::input::{self, Reject};
use crate::plan::{Job, Named, lower_rows};
use crate::{Engine, Error, Result};

/// How late rows are found in a range.
pub(super) struct Late {
    /// The columns of the source, then the time, then all that a row must have to be grouped: without it, it is rejected, not late.
    job: Job,
    rule: Rule,
    /// The columns of the source.
    pub schema: SchemaRef,
}

/// Which rows are late.
enum Rule {
    /// Those behind the watermark.
    Time,
    /// Those for panes that are over.
    Panes(Cut),
}

/// What rows are asked for by an expression over groups: the arguments of its aggregates.
fn arguments(expr: &Expr, found: &mut Vec<Expr>) {
    match &expr.node {
        ExprNode::Call { name, args } if Function::by_name(name).is_some() => {
            found.extend(args.iter().filter(|arg| !matches!(&arg.node, ExprNode::Column(all) if all == "*")).cloned());
        }
        _ => expr.children().into_iter().for_each(|child| arguments(child, found)),
    }
}

impl Late {
    /// How the late rows of `query` are found; `None` if nobody wants them.
    ///
    /// # Errors
    /// The query has none, or cannot give them.
    pub fn new(
        query: &Query,
        schema: &Schema,
        front: Option<&Front>,
        windows: Option<&Windows>,
    ) -> Result<Option<Late>> {
        if query.aside.late.is_none() {
            return Ok(None);
        }
        let refuse = |message: &str, help: &str| Err(Error::Usage { message: message.into(), help: Some(help.into()) });
        let job = &query.job;
        let (mut late, time, must, rule) = match (front.and_then(Front::rows), windows, query.windows.first()) {
            _ if query.watermark.is_none() => {
                return refuse("nothing is late without a watermark", "add --watermark 5s, or leave out --late");
            }
            (Some((rows, Some(time))), ..) => {
                let must = rows.select.iter().map(|item| item.expr.clone()).collect();
                (rows.clone(), time, must, Rule::Time)
            }
            (None, Some(windows), Some(window)) => {
                let Time::Event(on) = &window.on else {
                    return refuse("the time at which rows are processed is never late", "leave out --late");
                };
                let mut must: Vec<Expr> = job.keys.iter().map(|key| key.expr.clone()).collect();
                let of_groups = job.aggregates.iter().map(|item| &item.expr).chain(&job.having);
                of_groups.for_each(|expr| arguments(expr, &mut must));
                (job.clone(), pane_of(&windows.cut, tick_of(&windows.ty), on)?, must, Rule::Panes(windows.cut.clone()))
            }
            _ => return refuse("late rows are those of windows, or of distinct rows", "leave out --late"),
        };
        late = Job { filter: late.filter.take(), maps: std::mem::take(&mut late.maps), ..Job::new() };
        let schema = schema.to_arrow();
        late.select = schema.fields().iter().map(|field| Named::from(col(field.name()))).collect();
        late.select.push(hidden("late time", time.cast(Type::Int64)));
        late.select.extend(must.into_iter().enumerate().map(|(at, expr)| hidden(&format!("late {at}"), expr)));
        Ok(Some(Late { job: late, rule, schema }))
    }

    /// The rows of `source` that are late at `watermark`, of which there are `count`.
    ///
    /// # Errors
    /// As [`Engine::run`]; a late row that has a bad value in a column that only this reads.
    pub fn rows(
        &self,
        engine: &Engine,
        source: &dyn input::Source,
        watermark: i64,
        count: u64,
    ) -> Result<Vec<RecordBatch>> {
        let plan = lower_rows(&self.job, source.schema())?;
        // Whatever is bad has been rejected, or ended the batch, unless it is in a column that was not read before.
        let engine = engine.clone().max_rejects(u64::MAX);
        let found = RowsRun { engine: &engine, plan: &plan }.over(source)?;
        let wrong = |e| Error::internal(format!("late rows: {e}"));
        let columns: Vec<usize> = (0..self.schema.fields().len()).collect();
        let mut rows = Vec::new();
        for batch in found.batches {
            let times = batch.column(columns.len()).as_primitive::<Int64Type>();
            let is_late = |row: usize| times.is_valid(row) && self.rule.is_late(times.value(row), watermark);
            let late: BooleanArray = (0..batch.num_rows()).map(|row| Some(is_late(row))).collect();
            if late.true_count() == 0 {
                continue;
            }
            let kept = filter_record_batch(&batch.project(&columns).map_err(wrong)?, &late).map_err(wrong)?;
            rows.push(RecordBatch::try_new(Arc::clone(&self.schema), kept.columns().to_vec()).map_err(wrong)?);
        }
        let given: u64 = rows.iter().map(|rows| rows.num_rows() as u64).sum();
        if given != count {
            return Err(missing(count, given, found.rejects));
        }
        Ok(rows)
    }
}

/// Why rows that were counted are not there.
fn missing(count: u64, given: u64, rejects: Vec<Reject>) -> Error {
    match rejects.into_iter().next_back() {
        Some(reject) if given < count => Error::Data {
            place: Box::new(reject.place),
            message: format!("{} late rows cannot be given with all their columns: {}", count - given, reject.message),
            found: None,
            help: Some("leave out --late, or read that column as a string: --schema NAME:string".into()),
        },
        _ => Error::internal(format!("{count} rows were late, and {given} were found")),
    }
}

impl Rule {
    fn is_late(&self, time: i64, watermark: i64) -> bool {
        match self {
            Rule::Time => time < watermark,
            Rule::Panes(cut) => cut.is_over(time, watermark),
        }
    }
}
