//! From groups to the result: finish the states, evaluate what stands over them, having, unnest, order, limit.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{Field, Schema};

use super::sort::{Term, sort};
use crate::agg::{Finished, Partial, State, key_column, key_text};
use crate::column::{Chunk, Column, ColumnData, RowsFrom, Type, Value};
use crate::expr::{self, Evaluator, NodeId};
use crate::plan::{Output, OutputValue, Plan, PostInput, SortBy};
use crate::{Error, Place, Result};

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
        let mut used = pick(states, &call.states);
        match call.function.finish(&mut used, *groups, &call.arg, &call.ty, &call.text, &key)? {
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

/// Mutable references to the states at `indices` (each at most once).
fn pick<'a>(states: &'a mut [State], indices: &[usize]) -> Vec<&'a mut State> {
    let mut all: Vec<Option<&mut State>> = states.iter_mut().map(Some).collect();
    indices.iter().filter_map(|&i| all[i].take()).collect()
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
        let values: Vec<Value> = self.chunk.columns.iter().map(|c| c.value(at)).collect();
        match expr::eval(&self.plan.post, node, &values) {
            Err(fault) => Error::Arithmetic {
                place: Box::new(Place { column: None, ..Place::default() }),
                message: format!("group {}: {}", key_text(&keys, at), fault.message),
                expr: self.plan.post.node(fault.node).text.clone(),
                help: Some("try(…) gives null instead".into()),
            },
            Ok(_) => Error::internal("a group failed and then did not"),
        }
    }

    fn keep(&mut self, rows: &[u32]) {
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
        if rows.len() < self.chunk.rows {
            self.keep(&rows);
        }
        Ok(())
    }

    fn list(&self, call: usize) -> Result<&Lists> {
        self.lists.iter().find(|l| l.call == call).ok_or_else(|| Error::internal("a list call gave no list"))
    }

    /// Evaluates outputs and order, unnests, sorts, limits, and writes batches.
    fn emit(mut self) -> Result<Vec<RecordBatch>> {
        let plan = self.plan;
        // Without an order and an unnest, only the first rows are ever looked at.
        let unnests = plan.outputs.iter().any(|o| matches!(o.value, OutputValue::Unnest(_)));
        if let (Some(limit), true, false) = (plan.limit, plan.order.is_empty(), unnests) {
            let rows = limit.min(self.chunk.rows as u64) as u32;
            self.keep(&(0..rows).collect::<Vec<_>>());
        }
        let mut nodes: Vec<NodeId> = Vec::new();
        let scalar = |o: &Output| if let OutputValue::Node(node) = o.value { Some(node) } else { None };
        nodes.extend(plan.outputs.iter().filter_map(scalar));
        nodes.extend(plan.order.iter().filter_map(|t| if let SortBy::Node(node) = t.by { Some(node) } else { None }));
        let mut columns = self.columns(&nodes)?.into_iter();
        let mut next = || columns.next().ok_or_else(|| Error::internal("a column is missing"));
        let scalars: Vec<Option<Column>> =
            plan.outputs.iter().map(|o| scalar(o).map(|_| next()).transpose()).collect::<Result<_>>()?;
        let sort_nodes: Vec<Option<Column>> = plan
            .order
            .iter()
            .map(|t| matches!(t.by, SortBy::Node(_)).then(&mut next).transpose())
            .collect::<Result<_>>()?;

        // A row of the result is a row of the table and, with an unnest, an item of each unnested list.
        let (rows, step) = self.unnested_rows()?;
        let unnested = |call: usize| -> Result<Column> {
            let list = self.list(call)?;
            let rows = rows.iter().zip(&step);
            // Lists of different lengths side by side: the shorter one is filled with nulls.
            let item = |(&row, &k): (&u32, &u32)| {
                let at = list.starts[row as usize] + k;
                (at < list.ends[row as usize]).then_some(at)
            };
            Ok(take_or_null(&list.items, &rows.map(item).collect::<Vec<_>>()))
        };
        let outputs: Vec<Option<Column>> = plan
            .outputs
            .iter()
            .zip(scalars)
            .map(|(output, scalar)| match (output.value, scalar) {
                (OutputValue::Unnest(call), _) => unnested(call).map(Some),
                (_, Some(column)) if unnests => Ok(Some(column.take(&rows))),
                (_, scalar) => Ok(scalar),
            })
            .collect::<Result<_>>()?;
        let mut order: Vec<u32> = if plan.order.is_empty() {
            (0..rows.len() as u32).collect()
        } else {
            let terms = plan
                .order
                .iter()
                .zip(&sort_nodes)
                .map(|(term, node)| {
                    let column = match (term.by, node) {
                        (SortBy::Output(output), _) => outputs[output].clone(),
                        (SortBy::Node(_), Some(column)) if unnests => Some(column.take(&rows)),
                        (SortBy::Node(_), column) => column.clone(),
                    };
                    let column = column.ok_or_else(|| Error::internal("an order term has no column"))?;
                    Ok(Term::column(&column, term.descending, term.nulls_first))
                })
                .collect::<Result<Vec<_>>>()?;
            sort(rows.len(), &terms)
        };
        order.truncate(plan.limit.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX)));
        let schema = result_schema(&plan.outputs);
        let mut batches = Vec::new();
        for part in order.chunks(BATCH_ROWS) {
            let arrays = plan.outputs.iter().zip(&outputs).map(|(output, column)| match (output.value, column) {
                (OutputValue::List(call), _) => {
                    let rows: Vec<u32> = part.iter().map(|&r| rows[r as usize]).collect();
                    list_array(self.list(call)?, &output.ty, &rows)
                }
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
