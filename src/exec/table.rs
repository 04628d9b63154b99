//! Some groups of the result, finished: their calls and keys as columns, and what is computed over them.

use std::sync::Arc;

use super::emit::{Piece, PieceColumn};
use super::sort::{Term, sort};
use crate::agg::{Finished, Partial, key_column, key_text};
use crate::column::{Chunk, Column, ColumnData, RowsFrom, Value};
use crate::expr::{self, Evaluator, NodeId, Op};
use crate::plan::{Output, OutputValue, Plan, PostInput, SortBy};
use crate::{Error, Result};

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
            Finished::Scalar(column) if in_order => scalars.push(Some(column)),
            Finished::Scalar(column) => scalars.push(Some(column.take(order))),
            Finished::List { items, ends } => {
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

pub(super) struct Table<'a> {
    plan: &'a Plan,
    evaluator: Evaluator,
    chunk: Chunk,
    lists: Vec<Lists>,
}

impl<'a> Table<'a> {
    /// The groups of `partial` in the order `order`, their calls finished. An error comes with the number of its call.
    pub fn new(plan: &'a Plan, mut partial: Partial, order: Vec<u32>) -> Result<Table<'a>, (usize, Error)> {
        let (chunk, lists) = finish_states(plan, &mut partial, &order)?;
        Ok(Table { plan, evaluator: Evaluator::new(Arc::clone(&plan.post)), chunk, lists })
    }

    /// Tables one after the other as one. There is at least one.
    pub fn join(tables: Vec<Table<'a>>) -> Result<Table<'a>> {
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

    /// Rows of the table.
    pub fn rows(&self) -> usize {
        self.chunk.rows
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

    pub fn having(&mut self) -> Result<()> {
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

    /// Keeps the first `limit` rows in the order of the result, in the order of the keys; all if there are lists to unnest.
    pub fn first(&mut self, limit: Option<u64>) -> Result<()> {
        let Some(limit) = limit.and_then(|l| usize::try_from(l).ok()).filter(|l| *l < self.chunk.rows) else {
            return Ok(());
        };
        if self.unnest()?.is_empty() {
            let mut rows = match self.plan.order.is_empty() {
                true => (0..self.chunk.rows as u32).collect(),
                false => self.order(&vec![0; self.chunk.rows])?,
            };
            rows.truncate(limit);
            rows.sort_unstable();
            self.keep(&rows);
        }
        Ok(())
    }

    /// Unnests, sorts, limits and evaluates. What the order needs is evaluated for every row; the rest only for the rows
    /// that are left: an error in a row nobody asked for is none.
    pub fn piece(mut self, limit: Option<u64>) -> Result<Piece> {
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
    pub fn unnested(&self) -> Result<usize> {
        let lists = self.unnest()?;
        let items = |row: usize| lists.iter().map(|l| l.ends[row] - l.starts[row]).max().unwrap_or(0) as usize;
        Ok(if lists.is_empty() { self.chunk.rows } else { (0..self.chunk.rows).map(items).sum() })
    }

    /// The table's row of every result row, and the index of the unnested item there; `None` if nothing is unnested.
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
