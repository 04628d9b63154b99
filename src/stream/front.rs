//! What is done with rows before they are grouped or given: tables are looked up, and rows seen before are left out. Then they are
//! rows in memory, on the CPU; a query that needs none of it goes straight from its source to the groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, SchemaRef};

use super::Progress;
use super::batch::{Setting, account};
use super::distinct::{Counts, Distinct};
use super::lookup::Table;
use super::plan::event_ticks;
use super::query::Query;
use super::window::Time;
use crate::column::{FieldType, Schema, Type};
use crate::exec::RowsRun;
use crate::expr::{Expr, ExprNode, col};
use crate::input::{self, MemorySource, arrow_columns};
use crate::plan::{Job, Named, lower_rows};
use crate::{Engine, Error, Result};

/// See the module.
pub(super) struct Front {
    tables: Vec<Table>,
    /// The columns of the source that are fetched for the tables; empty if there are none.
    fetch: Job,
    /// Filter, maps, columns that are needed after, keys and time of `distinct`; `None` if there is nothing to be left out.
    rows: Option<Job>,
    distinct: Option<Distinct>,
    /// Columns of the rows that are not keys or time of `distinct`.
    columns: usize,
    /// Whether there is an event time.
    has_time: bool,
    /// The delay of the watermark behind it, in ticks.
    pub delay: Option<i64>,
    /// Its type.
    pub time: Option<Type>,
    /// The columns that come out of it.
    pub schema: SchemaRef,
}

/// An expression under a name that no user can type.
pub(super) fn hidden(name: &str, expr: Expr) -> Named {
    Named { name: Some(format!("\u{1}{name}")), expr }
}

/// The columns that a query names, maps of its own among them; `None` if it asks for all.
fn named(query: &Query) -> Option<BTreeSet<String>> {
    fn walk(expr: &Expr, names: &mut BTreeSet<String>) {
        if let ExprNode::Column(name) = &expr.node {
            names.insert(name.clone());
        }
        expr.children().into_iter().for_each(|child| walk(child, names));
    }
    let mut names = BTreeSet::new();
    let job = &query.job;
    let items = job.keys.iter().chain(&job.aggregates).chain(&job.select).chain(&query.distinct);
    let maps = job.maps.iter().map(|(_, expr)| expr);
    let all = items.map(|item| &item.expr).chain(maps).chain(&job.filter).chain(&query.event_time);
    all.for_each(|expr| walk(expr, &mut names));
    for window in &query.windows {
        if let Time::Event(on) = &window.on {
            walk(on, &mut names);
        }
    }
    names.extend(query.lookups.iter().map(|lookup| lookup.on().to_owned()));
    (!names.contains("*")).then_some(names)
}

impl Front {
    /// What `query` needs over a source with these columns; `None` if that is nothing.
    ///
    /// # Errors
    /// A table that cannot be read or looked up in; expressions that do not fit the columns.
    pub fn new(engine: &Engine, query: &Query, schema: &Schema) -> Result<Option<Front>> {
        if query.lookups.is_empty() && query.distinct.is_empty() {
            return Ok(None);
        }
        let wanted = named(query);
        let mut fetch = Job::new();
        let mut tables = Vec::new();
        let mut columns = schema.clone();
        if !query.lookups.is_empty() {
            // Late rows are given with all their columns.
            let all = query.aside.late.is_some();
            let is_wanted = |name: &String| all || wanted.as_ref().is_none_or(|wanted| wanted.contains(name));
            columns.fields.retain(|field| is_wanted(&field.name) && matches!(field.ty, FieldType::Known(_)));
            fetch.select = columns.fields.iter().map(|field| Named::from(col(&field.name))).collect();
            for lookup in &query.lookups {
                let table = Table::read(engine, lookup, &columns, wanted.as_ref())?;
                columns = arrow_columns(&table.schema(&columns.to_arrow()));
                tables.push(table);
            }
        }
        let mut front = Front {
            tables,
            fetch,
            rows: None,
            distinct: None,
            columns: 0,
            has_time: false,
            delay: None,
            time: None,
            schema: columns.to_arrow(),
        };
        if query.distinct.is_empty() {
            return Ok(Some(front));
        }
        // What comes after sees columns and maps by their names.
        let job = &query.job;
        let mut rows = Job { filter: job.filter.clone(), maps: job.maps.clone(), ..Job::new() };
        rows.select = if job.is_of_rows() {
            job.select.clone()
        } else {
            let is_there = |name: &String| {
                job.maps.iter().any(|(map, _)| map == name) || columns.fields.iter().any(|field| field.name == *name)
            };
            let names = wanted.into_iter().flatten().filter(is_there);
            names.map(|name| Named { name: Some(name.clone()), expr: col(name) }).collect()
        };
        let on = match (&query.event_time, query.windows.first().map(|window| &window.on)) {
            (Some(on), _) | (None, Some(Time::Event(on))) => Some(on),
            _ => None,
        };
        front.columns = lower_rows(&rows, &columns)?.outputs.len();
        let keys = query.distinct.iter().enumerate();
        rows.select.extend(keys.map(|(at, key)| hidden(&format!("distinct {at}"), key.expr.clone())));
        if let Some(on) = on {
            let (ty, tick) = event_ticks(&job.maps, on, &columns)?;
            front.delay = query.watermark.map(|delay| super::plan::ceil(delay.nanos(), tick));
            front.time = Some(ty);
            front.has_time = true;
            rows.select.push(hidden("time", on.clone().cast(Type::Int64)));
        }
        let plan = lower_rows(&rows, &columns)?;
        let all = RowsRun { engine, plan: &plan }.schema();
        let fields = all.fields();
        front.schema = Arc::new(arrow_schema::Schema::new(fields[..front.columns].to_vec()));
        let keys: Vec<&Field> =
            fields[front.columns..front.columns + query.distinct.len()].iter().map(AsRef::as_ref).collect();
        front.distinct = Some(Distinct::new(&keys, front.delay)?);
        front.rows = Some(rows);
        Ok(Some(front))
    }

    /// The job that is left to do: filter and maps are done already if rows were left out.
    pub fn rest(&self, job: &Job) -> Job {
        match &self.rows {
            Some(_) => Job { filter: None, maps: Vec::new(), ..job.clone() },
            None => job.clone(),
        }
    }

    /// The job whose rows are looked at for distinct ones, and their event time in ticks, if rows can be late by it.
    pub fn rows(&self) -> Option<(&Job, Option<Expr>)> {
        let job = self.rows.as_ref()?;
        let time = job.select.last().filter(|_| self.has_time && self.delay.is_some());
        Some((job, time.map(|time| time.expr.clone())))
    }

    /// The rows of a source with what is looked up for them; `None` if nothing is.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn attached(
        &self,
        source: &dyn input::Source,
        engine: &Engine,
        progress: &mut Progress,
    ) -> Result<Option<Vec<RecordBatch>>> {
        if !self.fetch.is_of_rows() {
            return Ok(None);
        }
        let plan = lower_rows(&self.fetch, source.schema())?;
        let found = RowsRun { engine, plan: &plan }.over(source)?;
        account(progress, found.ledger, found.rejects);
        let mut rows = found.batches;
        for table in &self.tables {
            rows = rows.iter().map(|batch| table.attach(batch)).collect::<Result<_>>()?;
        }
        Ok(Some(rows))
    }

    /// Whether it gives the rows that a job of rows asks for.
    pub fn is_whole(&self) -> bool {
        self.rows.is_some()
    }

    /// The rows of a batch; what it remembers of them goes to `delta`.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run(
        &mut self,
        source: &dyn input::Source,
        setting: &Setting<'_>,
        progress: &mut Progress,
        delta: &mut Vec<u8>,
    ) -> Result<Vec<RecordBatch>> {
        let mut rows = Vec::new();
        let mut fetched = None;
        if let Some(attached) = self.attached(source, setting.engine, progress)? {
            rows = attached;
            if self.rows.is_none() {
                return Ok(rows);
            }
            let schema = rows.first().map(RecordBatch::schema);
            let Some(schema) = schema else { return Ok(rows) };
            fetched = Some(MemorySource::new(schema, std::mem::take(&mut rows))?);
        }
        let (Some(job), Some(distinct)) = (&self.rows, &mut self.distinct) else { return Ok(rows) };
        let source = fetched.as_deref().unwrap_or(source);
        let plan = lower_rows(job, source.schema())?;
        let found = RowsRun { engine: setting.engine, plan: &plan }.over(source)?;
        account(progress, found.ledger, found.rejects);
        let mut counts = Counts::default();
        let mut kept = Vec::new();
        for batch in found.batches {
            let (columns, rest): (Vec<ArrayRef>, &[ArrayRef]) =
                (batch.columns()[..self.columns].to_vec(), &batch.columns()[self.columns..]);
            let (keys, time) = rest.split_at(rest.len() - usize::from(self.has_time));
            let visible = RecordBatch::try_new(Arc::clone(&self.schema), columns)
                .map_err(|e| Error::internal(format!("the columns of distinct rows: {e}")))?;
            let delta = setting.keeps.then_some(&mut *delta);
            kept.push(distinct.keep(&visible, keys, time.first(), setting.watermark, &mut counts, delta)?);
        }
        progress.rows_late += counts.late;
        progress.rows_untimed += counts.untimed;
        progress.rows_duplicate += counts.duplicates;
        progress.rows_grouped -= counts.late + counts.untimed + counts.duplicates;
        progress.latest = counts.latest;
        progress.time.clone_from(&self.time);
        Ok(kept)
    }

    /// The watermark after a batch with these times.
    pub fn watermark(&self, latest: Option<i64>) -> Option<i64> {
        self.delay.and_then(|delay| Some(latest?.saturating_sub(delay)))
    }

    /// Forgets keys that the watermark has passed; how many.
    pub fn evict(&mut self, watermark: i64) -> usize {
        self.distinct.as_mut().map_or(0, |distinct| distinct.evict(watermark))
    }

    /// Keys that are remembered, and the bytes they take.
    pub fn held(&self) -> (usize, usize) {
        self.distinct.as_ref().map_or((0, 0), |distinct| (distinct.len(), distinct.heap_bytes()))
    }

    /// Appends what is remembered.
    ///
    /// # Errors
    /// Internal ones.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<()> {
        self.distinct.as_ref().map_or(Ok(()), |distinct| distinct.put(out))
    }

    /// Remembers what was put.
    ///
    /// # Errors
    /// Bytes that are not whole.
    pub fn take(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.distinct {
            Some(distinct) => distinct.take(bytes),
            None if bytes.is_empty() => Ok(()),
            None => Err(Error::internal("a state has keys of distinct rows, and the query has none")),
        }
    }

    /// The checksums of the tables.
    pub fn tables(&self) -> Vec<u32> {
        self.tables.iter().map(|table| table.checksum).collect()
    }
}
