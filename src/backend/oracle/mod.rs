//! The oracle: the meaning of a job in the plainest code there is. For tests; slow on purpose.
//!
//! One loop over rows with the plain row evaluator, a `BTreeMap` from keys to the list of each group's rows, and every
//! aggregate by its definition over that list, in integers without limit. It takes the *job*, not the plan: how
//! aggregates are taken out of expressions, which type they have and when a row fails is said here a second time. It
//! shares with the engine the expression tree, its binder and the plain evaluator, and nothing of `agg`, `plan::lower`
//! or `exec`, so that it can disagree with all of them.
//!
//! ```
//! use tidemill::backend::oracle::{self, Table};
//! use tidemill::column::{Type, Value};
//! use tidemill::{Job, aggregate::sum, col};
//!
//! let table = Table {
//!     columns: vec![("k".into(), Type::Int64), ("x".into(), Type::Float64)],
//!     rows: vec![
//!         vec![Value::Int(1), Value::Float(1e300)],
//!         vec![Value::Int(1), Value::Float(1e-300)],
//!         vec![Value::Int(1), Value::Float(-1e300)],
//!     ],
//! };
//! let job = Job::new().by(["k"]).aggregate(sum(col("x")));
//! let answer = oracle::run(&job, &table, false).unwrap();
//! assert_eq!(answer.table.rows, [[Value::Int(1), Value::Float(1e-300)]]);
//! ```

mod aggregate;
mod key;
mod post;
mod real;

use std::collections::BTreeMap;

use self::aggregate::Aggregate;
use self::key::Key;
use crate::Error;
use crate::column::{Chunk, Field, Schema, Type, Value};
use crate::expr::{Binder, ExprNode, NodeId, Program, eval};
use crate::plan::Job;

/// Rows of values. A list stands in a column of type list only.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Names and types.
    pub columns: Vec<(String, Type)>,
    /// The values of each row, one a column.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// The columns as a schema.
    pub fn schema(&self) -> Schema {
        Schema { fields: self.columns.iter().map(|(name, ty)| Field::new(name, ty.clone())).collect() }
    }

    /// A table of chunks whose columns are called `names`.
    pub fn from_chunks(names: &[String], types: &[Type], chunks: &[Chunk]) -> Table {
        let row = |chunk: &Chunk, row: usize| chunk.columns.iter().map(|c| c.value(row)).collect();
        Table {
            columns: names.iter().cloned().zip(types.iter().cloned()).collect(),
            rows: chunks.iter().flat_map(|c| (0..c.rows).map(move |r| row(c, r))).collect(),
        }
    }
}

/// What a job gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub table: Table,
    /// Rows for which the filter was not true.
    pub filtered: u64,
    /// Rows that went into a group.
    pub grouped: u64,
    /// Rows set aside, counted from 1.
    pub rejected: Vec<u64>,
}

/// Why a job gives nothing.
#[derive(Debug)]
pub enum Refusal {
    /// The job does not fit the table.
    Query(Error),
    /// This row, counted from 1, has no result.
    Row(u64),
    /// An aggregate does not fit its type.
    Overflow {
        /// The aggregate's text.
        column: String,
        /// The group's key.
        key: String,
    },
    /// An expression over a finished group has no result.
    Group(String),
}

impl Refusal {
    /// Whether an error says the same.
    pub fn is(&self, error: &Error) -> bool {
        match (self, error) {
            (Refusal::Query(_), Error::Query { .. } | Error::Usage { .. }) => true,
            (Refusal::Row(row), Error::Arithmetic { place, .. }) => place.row == Some(*row),
            (Refusal::Overflow { column, key }, Error::Overflow { column: c, key: k, .. }) => c == column && k == key,
            (Refusal::Group(key), Error::Arithmetic { message, .. }) => message.starts_with(&format!("group {key}: ")),
            _ => false,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Query(error)
    }
}

/// Runs a job over a table. With `tolerant`, rows without a result are set aside.
///
/// # Errors
/// What must go wrong.
pub fn run(job: &Job, table: &Table, tolerant: bool) -> Result<Answer, Refusal> {
    let schema = table.schema();
    let mut binder = Binder::new(&schema);
    for (name, expr) in &job.maps {
        let node = binder.bind(expr)?;
        binder.define(name, node);
    }
    let filter = job.filter.as_ref().map(|f| binder.bind_condition(f)).transpose()?;
    let keys = job.keys.iter().map(|k| binder.bind(&k.expr)).collect::<Result<Vec<_>, _>>()?;
    let calls = post::calls(job);
    let aggregates = calls.iter().map(|call| Aggregate::new(call, &mut binder)).collect::<Result<Vec<_>, _>>()?;
    let key_types: Vec<Type> = keys.iter().map(|k| binder.node(*k).ty.clone()).collect();
    let program = binder.finish();

    // Rows into groups: for each group the arguments of each aggregate, row by row.
    let mut groups: BTreeMap<Vec<Key>, Vec<Vec<Vec<Value>>>> = BTreeMap::new();
    let none: Vec<Vec<Vec<Value>>> = vec![Vec::new(); aggregates.len()];
    if job.keys.is_empty() {
        groups.insert(Vec::new(), none.clone());
    }
    let mut answer = Answer {
        table: Table { columns: Vec::new(), rows: Vec::new() },
        filtered: 0,
        grouped: 0,
        rejected: Vec::new(),
    };
    for (number, row) in (1..).zip(&table.rows) {
        match one_row(&program, row, filter, &keys, &aggregates) {
            Fate::Filtered => answer.filtered += 1,
            Fate::Grouped(key, arguments) => {
                answer.grouped += 1;
                let group = groups.entry(key).or_insert_with(|| none.clone());
                for (values, argument) in group.iter_mut().zip(arguments) {
                    values.push(argument);
                }
            }
            Fate::Failed if tolerant => answer.rejected.push(number),
            Fate::Failed => return Err(Refusal::Row(number)),
        }
    }

    // Groups into values. The first aggregate that does not fit is told of, for its first group.
    let mut finished: Vec<Vec<Value>> =
        groups.keys().map(|key| key.iter().map(Key::value).collect::<Vec<Value>>()).collect();
    let texts: Vec<String> = finished.iter().map(|key| key_text(key, &key_types)).collect();
    for (index, aggregate) in aggregates.iter().enumerate() {
        for ((group, key), out) in groups.values().zip(&texts).zip(&mut finished) {
            out.push(
                aggregate
                    .value(&group[index])
                    .ok_or_else(|| Refusal::Overflow { column: calls[index].to_string(), key: key.clone() })?,
            );
        }
    }
    let call_types: Vec<Type> = aggregates.iter().map(|a| a.ty.clone()).collect();
    answer.table = post::finish(job, &calls, &key_types, &call_types, finished, &texts)?;
    Ok(answer)
}

enum Fate {
    Filtered,
    Failed,
    Grouped(Vec<Key>, Vec<Vec<Value>>),
}

fn one_row(
    program: &Program,
    row: &[Value],
    filter: Option<NodeId>,
    keys: &[NodeId],
    aggregates: &[Aggregate],
) -> Fate {
    let used: Vec<Value> = program.columns.iter().map(|c| row[c.column].clone()).collect();
    let value = |node: NodeId| eval(program, node, &used);
    match filter.map(value) {
        None | Some(Ok(Value::Bool(true))) => {}
        Some(Ok(_)) => return Fate::Filtered,
        Some(Err(_)) => return Fate::Failed,
    }
    let key: Result<Vec<Key>, _> = keys.iter().map(|k| value(*k).map(|v| Key::new(&v))).collect();
    let argument = |a: &Aggregate| a.arguments.iter().map(|n| value(*n)).collect::<Result<Vec<Value>, _>>();
    match (key, aggregates.iter().map(argument).collect()) {
        (Ok(key), Ok(arguments)) => Fate::Grouped(key, arguments),
        _ => Fate::Failed,
    }
}

/// The key as messages show it.
fn key_text(key: &[Value], types: &[Type]) -> String {
    if key.is_empty() {
        return "(all rows)".into();
    }
    let text = |(value, ty): (&Value, &Type)| if value.is_null() { "null".into() } else { value.text(ty) };
    format!("({})", key.iter().zip(types).map(text).collect::<Vec<String>>().join(", "))
}

/// The name and the arguments of a call.
fn as_call(node: &ExprNode) -> Option<(&str, &[crate::expr::Expr])> {
    match node {
        ExprNode::Call { name, args } => Some((name, args)),
        _ => None,
    }
}
