//! What is done with finished groups: expressions over keys and aggregates, having, unnest, order, limit.

use std::cmp::Ordering;

use super::aggregate::NAMES;
use super::key::Key;
use super::{Refusal, Table, as_call};
use crate::Error;
use crate::column::{Field, Schema, Type, Value};
use crate::expr::{Binder, Expr, ExprNode, NodeId, Program, col, eval};
use crate::plan::Job;

/// Every aggregate call of a job, each once: of its outputs, of having, of the order.
pub(super) fn calls(job: &Job) -> Vec<Expr> {
    let mut calls = Vec::new();
    let outputs = job.aggregates.iter().map(|o| &o.expr);
    for expr in outputs.chain(&job.having).chain(job.order.iter().map(|o| &o.expr)) {
        find(expr, &mut calls);
    }
    calls
}

fn find(expr: &Expr, calls: &mut Vec<Expr>) {
    if is_aggregate(expr) {
        if !calls.contains(expr) {
            calls.push(expr.clone());
        }
        return;
    }
    expr.children().into_iter().for_each(|child| find(child, calls));
}

fn is_aggregate(expr: &Expr) -> bool {
    as_call(&expr.node).is_some_and(|(name, _)| NAMES.contains(&name))
}

fn key_name(i: usize) -> String {
    format!("key\u{0}{i}")
}

fn call_name(i: usize) -> String {
    format!("call\u{0}{i}")
}

/// `expr` with keys and aggregates replaced by columns.
fn replace(expr: &Expr, job: &Job, calls: &[Expr]) -> Expr {
    let is_key = |k: &crate::plan::Named| k.expr == *expr || expr.node == ExprNode::Column(k.title());
    if let Some(key) = job.keys.iter().position(is_key) {
        return col(key_name(key));
    }
    if let Some(call) = calls.iter().position(|c| c == expr) {
        return col(call_name(call));
    }
    let replaced: Result<Expr, std::convert::Infallible> =
        expr.try_map_children(|child| Ok(replace(child, job, calls)));
    match replaced {
        Ok(expr) => expr,
    }
}

/// A column of the result.
enum Output {
    /// A node over keys and aggregates.
    Scalar(NodeId),
    /// A list, as it is.
    List(usize),
    /// A list, one row an item.
    Unnest(usize),
}

/// From groups, each its key and its aggregates in key order, to the result.
pub(super) fn finish(
    job: &Job,
    calls: &[Expr],
    key_types: &[Type],
    call_types: &[Type],
    groups: Vec<Vec<Value>>,
    texts: &[String],
) -> Result<Table, Refusal> {
    let keys = key_types.len();
    let mut fields: Vec<Field> =
        key_types.iter().enumerate().map(|(i, ty)| Field::new(key_name(i), ty.clone())).collect();
    fields.extend(call_types.iter().enumerate().map(|(i, ty)| Field::new(call_name(i), ty.clone())));
    let schema = Schema { fields };
    let mut binder = Binder::new(&schema);
    let list = |expr: &Expr| calls.iter().position(|c| c == expr).filter(|i| matches!(call_types[*i], Type::List(_)));

    // The columns: keys, then outputs.
    let mut columns: Vec<(String, Type)> = Vec::new();
    let mut outputs = Vec::new();
    for (i, key) in job.keys.iter().enumerate() {
        outputs.push(Output::Scalar(binder.bind(&col(key_name(i)))?));
        columns.push((key.title(), key_types[i].clone()));
    }
    for named in &job.aggregates {
        let (output, ty) = match (list(&named.expr), as_call(&named.expr.node)) {
            (Some(call), _) => (Output::List(call), call_types[call].clone()),
            (None, Some(("unnest", [inner]))) if list(inner).is_some() => {
                let call = list(inner).unwrap_or_default();
                let item = if let Type::List(item) = &call_types[call] { (**item).clone() } else { Type::Null };
                (Output::Unnest(call), item)
            }
            _ => {
                let node = binder.bind(&replace(&named.expr, job, calls))?;
                binder.define(named.title(), node);
                (Output::Scalar(node), binder.node(node).ty.clone())
            }
        };
        outputs.push(output);
        columns.push((named.title(), ty));
    }
    let names: Vec<&String> = columns.iter().map(|c| &c.0).collect();
    if let Some(twice) = (1..names.len()).find(|i| names[..*i].contains(&names[*i])) {
        return Err(Error::usage(format!("two columns are called {}", names[twice])).into());
    }
    let having = match &job.having {
        Some(expr) => Some(binder.bind_condition(&replace(expr, job, calls))?),
        None => None,
    };
    // A term is an output by name, or an expression.
    let mut terms: Vec<Result<usize, NodeId>> = Vec::new();
    for term in &job.order {
        let named = |name: &String| columns.iter().position(|c| c.0 == *name);
        terms.push(match &term.expr.node {
            ExprNode::Column(name) if named(name).is_some() => Ok(named(name).unwrap_or_default()),
            _ => Err(binder.bind(&replace(&term.expr, job, calls))?),
        });
    }
    let program = binder.finish();
    let value = |node: NodeId, group: usize| -> Result<Value, Refusal> {
        post(&program, node, &groups[group]).map_err(|()| Refusal::Group(texts[group].clone()))
    };

    // Having.
    let mut kept = Vec::new();
    for group in 0..groups.len() {
        if having.map_or(Ok(Value::Bool(true)), |node| value(node, group))? == Value::Bool(true) {
            kept.push(group);
        }
    }
    // A row is a group, and with an unnest the number of an item.
    let items = |group: usize, call: usize| match &groups[group][keys + call] {
        Value::List(items) => items.as_slice(),
        _ => &[],
    };
    let unnested: Vec<usize> =
        outputs.iter().filter_map(|o| if let Output::Unnest(call) = o { Some(*call) } else { None }).collect();
    let mut rows: Vec<(usize, usize)> = Vec::new();
    for group in kept {
        let count = unnested.iter().map(|call| items(group, *call).len()).max().unwrap_or(1);
        rows.extend((0..count).map(|item| (group, item)));
    }
    let cell = |output: &Output, (group, item): (usize, usize)| match output {
        Output::Scalar(node) => value(*node, group),
        Output::List(call) => Ok(groups[group][keys + call].clone()),
        Output::Unnest(call) => Ok(items(group, *call).get(item).cloned().unwrap_or(Value::Null)),
    };
    // Order: what it needs of every row, what the result needs only of the rows that stay.
    if !terms.is_empty() {
        let mut sortable = Vec::new();
        for row in rows {
            let mut by = Vec::new();
            for term in &terms {
                by.push(match term {
                    Ok(output) => cell(&outputs[*output], row)?,
                    Err(node) => value(*node, row.0)?,
                });
            }
            sortable.push((by, row));
        }
        sortable.sort_by(|(a, _), (b, _)| {
            let mut terms = job.order.iter().zip(a.iter().zip(b));
            terms.find_map(|(term, (a, b))| Some(compare(term, a, b)).filter(|o| o.is_ne())).unwrap_or(Ordering::Equal)
        });
        rows = sortable.into_iter().map(|(_, row)| row).collect();
    }
    rows.truncate(job.limit.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX)));
    let rows = rows
        .into_iter()
        .map(|row| outputs.iter().map(|o| cell(o, row)).collect())
        .collect::<Result<Vec<Vec<Value>>, Refusal>>()?;
    Ok(Table { columns, rows })
}

fn post(program: &Program, node: NodeId, group: &[Value]) -> Result<Value, ()> {
    let row: Vec<Value> = program.columns.iter().map(|c| group[c.column].clone()).collect();
    eval(program, node, &row).map_err(|_| ())
}

fn compare(term: &crate::plan::Order, a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (false, false) => {
            let order = Key::new(a).cmp(&Key::new(b));
            if term.descending { order.reverse() } else { order }
        }
        (first, _) => {
            if first == term.nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
    }
}
