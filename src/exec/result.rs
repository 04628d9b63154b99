//! From groups to the result: finish the states, evaluate what stands over them, having, unnest, order, limit.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{Field, Schema};

use super::sort::{Term, sort};
use crate::agg::{Finished, Partial, key_column, key_text};
use crate::column::{Chunk, Column, ColumnData, RowsFrom, Type, Value};
use crate::expr::{self, Evaluator, NodeId};
use crate::plan::{Output, OutputValue, Plan, PostInput, SortBy};
use crate::{Error, Result};

/// Rows of a record batch of the result.
const BATCH_ROWS: usize = 65_536;

/// The schema of a plan's result.
pub(super) fn result_schema(outputs: &[Output]) -> Arc<Schema> {
    Arc::new(Schema::new(outputs.iter().map(|o| Field::new(&o.name, o.ty.to_arrow(), true)).collect::<Vec<_>>()))
}

/// Finishes the groups of `partial` as the plan says.
pub(super) fn finish(plan: &Plan, mut partial: Partial) -> Result<Vec<RecordBatch>> {
    // A job without keys gives one row, even of nothing.
    if plan.stage.keys.is_empty() && partial.groups == 0 {
        partial.groups = 1;
        partial.states.iter_mut().for_each(|s| s.resize(1));
    }
    let groups = partial.groups;
    let order: Vec<u32> = if plan.unordered && plan.order.is_empty() {
        (0..groups as u32).collect()
    } else {
        sort(groups, &partial.keys.iter().cloned().map(Term::key).collect::<Vec<_>>())
    };
    let (chunk, lists) = finish_states(plan, &mut partial, &order)?;
    drop(partial);
    let mut table = Table { plan, evaluator: Evaluator::new(Arc::clone(&plan.post)), chunk, lists };
    table.having()?;
    table.emit()
}

/// The finished lists of one call: those of row `i` are `items[starts[i]..ends[i]]`.
struct Lists {
    call: usize,
    items: Column,
    starts: Vec<u32>,
    ends: Vec<u32>,
}

/// The columns of the post program, and all lists, rows in `order`.
fn finish_states(plan: &Plan, partial: &mut Partial, order: &[u32]) -> Result<(Chunk, Vec<Lists>)> {
    let Partial { groups, keys, states } = partial;
    let all: Vec<u32> = (0..*groups as u32).collect();
    let key = |group: usize| {
        let columns =
            plan.stage.keys.iter().zip(&*keys).map(|(k, words)| key_column(words, &k.ty, &all[group..=group]));
        columns.collect::<Result<Vec<_>>>().map_or_else(|e| e.to_string(), |columns| key_text(&columns, 0))
    };
    let mut scalars: Vec<Option<Column>> = Vec::new();
    let mut lists = Vec::new();
    for (index, call) in plan.calls.iter().enumerate() {
        match call.function.finish(states, &call.states, order, &call.args, &call.ty, &call.text, &key)? {
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
        .collect::<Result<_>>()?;
    Ok((Chunk { rows: order.len(), columns, origin: Arc::new(RowsFrom { first: 0 }) }, lists))
}

struct Table<'a> {
    plan: &'a Plan,
    evaluator: Evaluator,
    chunk: Chunk,
    lists: Vec<Lists>,
}

impl Table<'_> {
    /// Nodes of the post program as columns.
    fn columns(&mut self, nodes: &[NodeId]) -> Result<Vec<Column>> {
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

    /// Unnests, sorts, limits, evaluates, and writes batches. What the order needs is evaluated for every row; the rest
    /// only for the rows that are left: an error in a row nobody asked for is none.
    fn emit(mut self) -> Result<Vec<RecordBatch>> {
        let plan = self.plan;
        // From here on a row of the table is a row of the result: with an unnest, item `step` of its lists.
        let (rows, mut step) = self.unnested_rows()?;
        self.keep(&rows);
        if !plan.order.is_empty() {
            let order = self.order(&step)?;
            step = order.iter().map(|&row| step[row as usize]).collect();
            self.keep(&order);
        }
        if let Some(limit) = plan.limit.and_then(|l| u32::try_from(l).ok()).filter(|l| (*l as usize) < step.len()) {
            step.truncate(limit as usize);
            self.keep(&(0..limit).collect::<Vec<_>>());
        }
        let nodes: Vec<NodeId> = plan.outputs.iter().filter_map(Output::node).collect();
        let mut columns = self.columns(&nodes)?.into_iter();
        let mut outputs = Vec::new();
        for output in &plan.outputs {
            outputs.push(match output.value {
                OutputValue::Node(_) => columns.next(),
                OutputValue::Unnest(call) => Some(self.items(call, &step)?),
                OutputValue::List(_) => None,
            });
        }
        let schema = result_schema(&plan.outputs);
        let all: Vec<u32> = (0..self.chunk.rows as u32).collect();
        let mut batches = Vec::new();
        for part in all.chunks(BATCH_ROWS) {
            let arrays = plan.outputs.iter().zip(&outputs).map(|(output, column)| match (output.value, column) {
                (OutputValue::List(call), _) => list_array(self.list(call)?, &output.ty, part),
                (_, Some(column)) => column.take(part).to_arrow(),
                (_, None) => Err(Error::internal("an output has no column")),
            });
            let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
            let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(part.len()));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options);
            batches.push(batch.map_err(|e| Error::internal(format!("result batch: {e}")))?);
        }
        Ok(batches)
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

    /// The table's row of every result row, and the index of the unnested item there.
    fn unnested_rows(&self) -> Result<(Vec<u32>, Vec<u32>)> {
        let unnest = |o: &Output| if let OutputValue::Unnest(call) = o.value { Some(call) } else { None };
        let lists: Vec<&Lists> =
            self.plan.outputs.iter().filter_map(unnest).map(|call| self.list(call)).collect::<Result<_>>()?;
        if lists.is_empty() {
            return Ok(((0..self.chunk.rows as u32).collect(), vec![0; self.chunk.rows]));
        }
        let (mut rows, mut step) = (Vec::new(), Vec::new());
        for row in 0..self.chunk.rows {
            let items = lists.iter().map(|l| l.ends[row] - l.starts[row]).max().unwrap_or(0);
            rows.extend(std::iter::repeat_n(row as u32, items as usize));
            step.extend(0..items);
        }
        Ok((rows, step))
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

fn list_array(list: &Lists, ty: &Type, rows: &[u32]) -> Result<ArrayRef> {
    let range = |r: &u32| list.starts[*r as usize]..list.ends[*r as usize];
    let items: Vec<u32> = rows.iter().flat_map(range).collect();
    let item = match ty {
        Type::List(item) => item.to_arrow(),
        other => other.to_arrow(),
    };
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|r| range(r).len()));
    let values = list.items.take(&items).to_arrow()?;
    let field = Arc::new(Field::new("item", item, true));
    let array = ListArray::try_new(field, offsets, values, None);
    Ok(Arc::new(array.map_err(|e| Error::internal(format!("list column: {e}")))?))
}
