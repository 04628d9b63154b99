//! From groups to the result: finish the states, evaluate what stands over them, having, unnest, order, limit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use rayon::prelude::*;

use super::emit::{Piece, PieceColumn, Threads, emit};
use super::shuffle::{Found, PARTITION, Shuffled};
use super::sort::{Term, sort};
use crate::agg::{Finished as Finish, Function, Partial, State, key_column, key_text};
use crate::column::{Chunk, Class, Column, ColumnData, RowsFrom, Type, Value};
use crate::expr::{self, Evaluator, NodeId, Op};
use crate::plan::{Call, Output, OutputValue, Plan, PostInput, SortBy};
use crate::{Error, Result};

/// Groups up to this many are finished as one.
const ONE_PIECE: usize = 1 << 16;

/// The schema of a plan's result.
pub(super) fn result_schema(outputs: &[Output]) -> Arc<Schema> {
    Arc::new(Schema::new(outputs.iter().map(|o| Field::new(&o.name, o.ty.to_arrow(), true)).collect::<Vec<_>>()))
}

/// How much there was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Finished {
    pub groups: u64,
    pub rows: u64,
}

/// Finishes what a run has found as the plan says; the batches of the result go to `sink` as they are made. If an error can
/// come of the values, none goes there before all have been made.
pub(super) fn finish(
    plan: &Plan,
    mut found: Found,
    threads: &Threads<'_>,
    sink: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<Finished> {
    // A job without keys gives one row, even of nothing.
    if plan.stage.keys.is_empty() && found.groups.groups == 0 && found.rows.is_empty() {
        found.groups.groups = 1;
        found.groups.states.iter_mut().for_each(|s| s.resize(1));
    }
    let splits = found.groups.states.iter().all(|state| !matches!(state, State::Bag(_)));
    if found.rows.is_empty() && (found.groups.groups <= ONE_PIECE || !splits) {
        let groups = found.groups.groups as u64;
        let piece = threads.pool.install(|| {
            let order = key_order(plan, &found.groups);
            let mut table = Table::new(plan, found.groups, order).map_err(|(_, error)| error)?;
            table.having()?;
            table.piece(plan.limit)
        })?;
        let pieces = Mutex::new(Some(piece));
        let piece =
            |_| pieces.lock().ok().and_then(|mut p| p.take()).ok_or_else(|| Error::internal("one piece, asked twice"));
        let rows = emit(plan, threads, 1, &piece, None, sink)?;
        return Ok(Finished { groups, rows });
    }
    let shuffled = threads.pool.install(|| Shuffled::new(found, &plan.stage.states, PARTITION));
    let groups = AtomicU64::new(0);
    let table = |partition: usize| {
        let partial = shuffled.partition(partition);
        groups.fetch_add(partial.groups as u64, Ordering::Relaxed);
        let order = (0..partial.groups as u32).collect();
        let mut table = Table::new(plan, partial, order)?;
        table.having().map_err(|error| (plan.calls.len(), error))?;
        Ok(table)
    };
    let partitions = shuffled.partitions();
    if plan.order.is_empty() && !can_fail(plan) {
        let piece = |partition| table(partition).map_err(|(_, error)| error)?.piece(None);
        let rows = emit(plan, threads, partitions, &piece, plan.limit, sink)?;
        return Ok(Finished { groups: groups.into_inner(), rows });
    }
    let tables: Vec<Result<Table<'_>, (usize, Error)>> = threads.pool.install(|| {
        (0..partitions).into_par_iter().map(|p| threads.go_on().map_err(|e| (0, e)).and_then(|()| table(p))).collect()
    });
    drop(shuffled);
    let mut whole = Vec::new();
    let mut first: Option<(usize, Error)> = None;
    for table in tables {
        match table {
            Ok(table) => whole.push(table),
            // Of the calls the first that failed, of its groups the first in order.
            Err(error) => first = Some(first.filter(|f| f.0 <= error.0).unwrap_or(error)),
        }
    }
    if let Some((_, error)) = first {
        return Err(error);
    }
    let mut batches = Vec::new();
    let mut keep = |batch| {
        batches.push(batch);
        Ok(())
    };
    let rows = if plan.order.is_empty() {
        // What each piece may still give.
        let mut left = plan.limit.unwrap_or(u64::MAX);
        let mut tables = Vec::new();
        for table in whole {
            let rows = table.unnested()?;
            tables.push(Mutex::new(Some((table, left))));
            left = left.saturating_sub(rows as u64);
        }
        let piece = |at: usize| {
            let table = tables[at].lock().ok().and_then(|mut t| t.take());
            let (table, limit) = table.ok_or_else(|| Error::internal("a piece asked for twice"))?;
            table.piece(Some(limit))
        };
        emit(plan, threads, tables.len(), &piece, None, &mut keep)?
    } else {
        let piece = threads.pool.install(|| Table::join(whole)?.piece(plan.limit))?;
        let piece = Mutex::new(Some(piece));
        let piece =
            |_| piece.lock().ok().and_then(|mut p| p.take()).ok_or_else(|| Error::internal("one piece, asked twice"));
        emit(plan, threads, 1, &piece, None, &mut keep)?
    };
    batches.into_iter().try_for_each(sink)?;
    Ok(Finished { groups: groups.into_inner(), rows })
}

/// The groups in the order of their keys; as they are if nobody asked for an order.
fn key_order(plan: &Plan, groups: &Partial) -> Vec<u32> {
    if plan.unordered && plan.order.is_empty() {
        return (0..groups.groups as u32).collect();
    }
    sort(groups.groups, &groups.keys.iter().cloned().map(Term::key).collect::<Vec<_>>())
}

/// Whether the values of groups can make an error. If not, what has been made may be given away at once.
fn can_fail(plan: &Plan) -> bool {
    let class = |ty: &Type| ty.class();
    let overflows =
        |call: &Call| call.function == Function::Sum && call.args.first().and_then(class) != Some(Class::Float);
    let is_column = |node: NodeId| matches!(plan.post.node(node).op, Op::Column(_));
    let nodes = plan.outputs.iter().filter_map(Output::node).chain(plan.having);
    plan.calls.iter().any(overflows) || !nodes.into_iter().all(is_column)
}

/// The finished lists of one call: those of row `i` are `items[starts[i]..ends[i]]`.
struct Lists {
    call: usize,
    items: Column,
    starts: Vec<u32>,
    ends: Vec<u32>,
}

/// The columns of the post program, and all lists, rows in `order`. An error comes with the number of its call.
fn finish_states(plan: &Plan, partial: &mut Partial, order: &[u32]) -> Result<(Chunk, Vec<Lists>), (usize, Error)> {
    let Partial { groups, keys, states } = partial;
    let in_order = order.len() == *groups && order.iter().zip(0..).all(|(group, same)| *group == same);
    let key = |group: usize| {
        let columns = plan.stage.keys.iter().zip(&*keys).map(|(k, words)| key_column(words, &k.ty, &[group as u32]));
        columns.collect::<Result<Vec<_>>>().map_or_else(|e| e.to_string(), |columns| key_text(&columns, 0))
    };
    let mut scalars: Vec<Option<Column>> = Vec::new();
    let mut lists = Vec::new();
    for (index, call) in plan.calls.iter().enumerate() {
        let finished = call.function.finish(states, &call.states, order, &call.args, &call.ty, &call.text, &key);
        match finished.map_err(|error| (index, error))? {
            Finish::Scalar(column) if in_order => scalars.push(Some(column)),
            Finish::Scalar(column) => scalars.push(Some(column.take(order))),
            Finish::List { items, ends } => {
                let start = |g: &u32| if *g == 0 { 0 } else { ends[*g as usize - 1] };
                let starts = order.iter().map(start).collect();
                lists.push(Lists {
                    call: index,
                    items,
                    starts,
                    ends: order.iter().map(|&g| ends[g as usize]).collect(),
                });
                scalars.push(None);
            }
        }
    }
    let columns = plan
        .post_inputs
        .iter()
        .map(|input| match input {
            PostInput::Key(key) => key_column(&keys[*key], &plan.stage.keys[*key].ty, order),
            PostInput::Call(call) => {
                scalars[*call].clone().ok_or_else(|| Error::internal("a list stands in an expression"))
            }
        })
        .collect::<Result<_>>()
        .map_err(|error| (plan.calls.len(), error))?;
    Ok((Chunk { rows: order.len(), columns, origin: Arc::new(RowsFrom { first: 0 }) }, lists))
}

struct Table<'a> {
    plan: &'a Plan,
    evaluator: Evaluator,
    chunk: Chunk,
    lists: Vec<Lists>,
}

impl<'a> Table<'a> {
    /// The groups of `partial` in the order `order`, their calls finished. An error comes with the number of its call.
    fn new(plan: &'a Plan, mut partial: Partial, order: Vec<u32>) -> Result<Table<'a>, (usize, Error)> {
        let (chunk, lists) = finish_states(plan, &mut partial, &order)?;
        Ok(Table { plan, evaluator: Evaluator::new(Arc::clone(&plan.post)), chunk, lists })
    }

    /// Tables one after the other as one. There is at least one.
    fn join(tables: Vec<Table<'a>>) -> Result<Table<'a>> {
        let mut tables = tables.into_iter();
        let Some(mut first) = tables.next() else { return Err(Error::internal("no table to join")) };
        let rest: Vec<Table<'a>> = tables.collect();
        let all = || std::iter::once(&first).chain(&rest);
        let columns = (0..first.chunk.columns.len())
            .map(|c| Column::concat(&all().map(|t| t.chunk.columns[c].clone()).collect::<Vec<_>>()))
            .collect::<Result<_>>()?;
        let rows = all().map(|t| t.chunk.rows).sum();
        let mut lists = Vec::new();
        for (at, list) in first.lists.iter().enumerate() {
            let items = Column::concat(&all().map(|t| t.lists[at].items.clone()).collect::<Vec<_>>())?;
            let (mut starts, mut ends, mut before) = (Vec::new(), Vec::new(), 0);
            for list in all().map(|t| &t.lists[at]) {
                starts.extend(list.starts.iter().map(|start| start + before));
                ends.extend(list.ends.iter().map(|end| end + before));
                before += list.items.len() as u32;
            }
            lists.push(Lists { call: list.call, items, starts, ends });
        }
        first.chunk = Chunk { rows, columns, origin: Arc::clone(&first.chunk.origin) };
        first.lists = lists;
        Ok(first)
    }

    /// Nodes of the post program as columns.
    fn columns(&mut self, nodes: &[NodeId]) -> Result<Vec<Column>> {
        // A column as it is needs no evaluation.
        let plain = |node: &NodeId| match self.plan.post.node(*node).op {
            Op::Column(column) => self.chunk.columns.get(column).cloned(),
            _ => None,
        };
        if let Some(columns) = nodes.iter().map(plain).collect() {
            return Ok(columns);
        }
        let evaluated = self.evaluator.columns(&self.chunk, nodes)?;
        let failed = evaluated.iter().zip(nodes).filter_map(|(e, node)| {
            let row = e.errors.as_ref()?.iter().position(|&e| e != 0)?;
            Some((row, *node))
        });
        match failed.min_by_key(|(row, _)| *row) {
            Some((row, node)) => Err(self.row_error(row, node)),
            None => Ok(evaluated.into_iter().map(|e| e.column).collect()),
        }
    }

    /// The error of a group that has no result, naming its key.
    fn row_error(&self, at: usize, node: NodeId) -> Error {
        let keys: Vec<Column> = (0..self.plan.stage.keys.len())
            .filter_map(|key| {
                let input = self.plan.post_inputs.iter().position(|i| *i == PostInput::Key(key))?;
                Some(self.chunk.columns[input].clone())
            })
            .collect();
        match expr::eval_row(&self.plan.post, node, &self.chunk, at) {
            Err(fault) => Error::Arithmetic {
                place: Box::default(),
                message: format!("group {}: {}", key_text(&keys, at), fault.message),
                expr: self.plan.post_text(fault.node),
                help: Some("try(…) gives null instead".into()),
            },
            Ok(_) => Error::internal("a group failed and then did not"),
        }
    }

    fn keep(&mut self, rows: &[u32]) {
        if rows.len() == self.chunk.rows && rows.iter().zip(0..).all(|(row, same)| *row == same) {
            return;
        }
        let columns = self.chunk.columns.iter().map(|c| c.take(rows)).collect();
        self.chunk = Chunk { rows: rows.len(), columns, origin: Arc::clone(&self.chunk.origin) };
        for list in &mut self.lists {
            list.starts = rows.iter().map(|&r| list.starts[r as usize]).collect();
            list.ends = rows.iter().map(|&r| list.ends[r as usize]).collect();
        }
    }

    fn having(&mut self) -> Result<()> {
        let Some(node) = self.plan.having else { return Ok(()) };
        let column = self.columns(&[node])?.remove(0);
        let ColumnData::Bool(truth) = &column.data else { return Err(Error::internal("having is no bool")) };
        let rows: Vec<u32> =
            (0..self.chunk.rows).filter(|&r| truth.value(r) && !column.is_null(r)).map(|r| r as u32).collect();
        self.keep(&rows);
        Ok(())
    }

    fn list(&self, call: usize) -> Result<&Lists> {
        self.lists.iter().find(|l| l.call == call).ok_or_else(|| Error::internal("a list call gave no list"))
    }

    /// Unnests, sorts, limits and evaluates. What the order needs is evaluated for every row; the rest only for the rows
    /// that are left: an error in a row nobody asked for is none.
    fn piece(mut self, limit: Option<u64>) -> Result<Piece> {
        let plan = self.plan;
        // From here on a row of the table is a row of the result: with an unnest, item `step` of its lists.
        let mut step = vec![0; self.chunk.rows];
        if let Some((rows, items)) = self.unnested_rows()? {
            step = items;
            self.keep(&rows);
        }
        if !plan.order.is_empty() {
            let order = self.order(&step)?;
            step = order.iter().map(|&row| step[row as usize]).collect();
            self.keep(&order);
        }
        if let Some(limit) = limit.and_then(|l| u32::try_from(l).ok()).filter(|l| (*l as usize) < step.len()) {
            step.truncate(limit as usize);
            self.keep(&(0..limit).collect::<Vec<_>>());
        }
        let nodes: Vec<NodeId> = plan.outputs.iter().filter_map(Output::node).collect();
        let mut columns = self.columns(&nodes)?.into_iter();
        let mut outputs = Vec::new();
        for output in &plan.outputs {
            outputs.push(match output.value {
                OutputValue::Node(_) => {
                    PieceColumn::Flat(columns.next().ok_or_else(|| Error::internal("an output has no column"))?)
                }
                OutputValue::Unnest(call) => PieceColumn::Flat(self.items(call, &step)?),
                OutputValue::List(call) => {
                    let Lists { items, starts, ends, .. } = self.list(call)?;
                    PieceColumn::Lists { items: items.clone(), starts: starts.clone(), ends: ends.clone() }
                }
            });
        }
        Ok(Piece { rows: self.chunk.rows, columns: outputs })
    }

    /// The rows in the order of the result.
    fn order(&mut self, step: &[u32]) -> Result<Vec<u32>> {
        let plan = self.plan;
        let node = |by: &SortBy| match by {
            SortBy::Node(node) => Some(*node),
            SortBy::Output(output) => plan.outputs[*output].node(),
        };
        let nodes: Vec<NodeId> = plan.order.iter().filter_map(|term| node(&term.by)).collect();
        let mut columns = self.columns(&nodes)?.into_iter();
        let mut terms = Vec::new();
        for term in &plan.order {
            let column = match (node(&term.by), term.by) {
                (None, SortBy::Output(output)) => match plan.outputs[output].value {
                    OutputValue::Unnest(call) => Some(self.items(call, step)?),
                    _ => None,
                },
                _ => columns.next(),
            };
            let column = column.ok_or_else(|| Error::internal("an order term has no column"))?;
            terms.push(Term::column(&column, term.descending, term.nulls_first));
        }
        Ok(sort(self.chunk.rows, &terms))
    }

    /// Item `step` of every row's list. Lists of different lengths side by side: the shorter one is filled with nulls.
    fn items(&self, call: usize, step: &[u32]) -> Result<Column> {
        let list = self.list(call)?;
        let bounds = list.starts.iter().zip(&list.ends).zip(step);
        let items: Vec<Option<u32>> = bounds.map(|((start, end), k)| (start + k < *end).then_some(start + k)).collect();
        Ok(take_or_null(&list.items, &items))
    }

    /// The lists that give a row for each item.
    fn unnest(&self) -> Result<Vec<&Lists>> {
        let unnest = |o: &Output| if let OutputValue::Unnest(call) = o.value { Some(call) } else { None };
        self.plan.outputs.iter().filter_map(unnest).map(|call| self.list(call)).collect()
    }

    /// How many rows of the result it gives.
    fn unnested(&self) -> Result<usize> {
        let lists = self.unnest()?;
        let items = |row: usize| lists.iter().map(|l| l.ends[row] - l.starts[row]).max().unwrap_or(0) as usize;
        Ok(if lists.is_empty() { self.chunk.rows } else { (0..self.chunk.rows).map(items).sum() })
    }

    /// The table's row of every result row, and the index of the unnested item there; `None` if nothing is unnested.
    #[expect(clippy::type_complexity, reason = "two columns of numbers")]
    fn unnested_rows(&self) -> Result<Option<(Vec<u32>, Vec<u32>)>> {
        let lists = self.unnest()?;
        if lists.is_empty() {
            return Ok(None);
        }
        let (mut rows, mut step) = (Vec::new(), Vec::new());
        for row in 0..self.chunk.rows {
            let items = lists.iter().map(|l| l.ends[row] - l.starts[row]).max().unwrap_or(0);
            rows.extend(std::iter::repeat_n(row as u32, items as usize));
            step.extend(0..items);
        }
        Ok(Some((rows, step)))
    }
}

/// The rows `rows` of `column`; null where there is none.
fn take_or_null(column: &Column, rows: &[Option<u32>]) -> Column {
    if column.is_empty() {
        // Every row is `None`: a null of the column's type.
        let nulls = vec![Value::Null; rows.len()];
        return Column::from_values(&column.ty, &nulls, None).unwrap_or_else(|_| column.clone());
    }
    let mut taken = column.take(&rows.iter().map(|r| r.unwrap_or(0)).collect::<Vec<_>>());
    if rows.contains(&None) {
        let valid = rows.iter().enumerate().map(|(i, r)| r.is_some() && !taken.is_null(i));
        taken.nulls = Some(valid.collect());
    }
    taken
}
