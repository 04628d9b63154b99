//! What a stage must give, in the plainest way: row by row, values in lists, sums by big integers.

use std::collections::BTreeMap;
use std::sync::Arc;

use num_bigint::BigInt;
use tidemill::agg::exact::{Dyadic, Exact};
use tidemill::agg::{Keep, StateKind, StateSpec};
use tidemill::column::key::{float_order, float_word, int_word, wide_word, word_float};
use tidemill::column::{Chunk, Class, Value};
use tidemill::expr::eval;
use tidemill::plan::Stage;

use crate::rig::Got;

/// Runs the stage.
pub fn run(stage: &Stage, chunks: &[Arc<Chunk>]) -> Got {
    let mut got = Got::default();
    let mut groups: BTreeMap<Vec<String>, Vec<Vec<Value>>> = BTreeMap::new();
    for (c, chunk) in chunks.iter().enumerate() {
        for r in 0..chunk.rows {
            let row: Vec<Value> = chunk.columns.iter().map(|column| column.value(r)).collect();
            let all = |nodes: &mut dyn Iterator<Item = _>| -> Result<Vec<Value>, _> {
                nodes.map(|node| eval(&stage.program, node, &row)).collect()
            };
            match stage.filter.map(|filter| eval(&stage.program, filter, &row)) {
                None | Some(Ok(Value::Bool(true))) => {}
                Some(Ok(_)) => {
                    got.filtered += 1;
                    continue;
                }
                Some(Err(_)) => {
                    got.failed.push((c, r as u32));
                    continue;
                }
            }
            let keys = all(&mut stage.keys.iter().map(|key| key.node));
            let args = all(&mut stage.args.iter().copied());
            match (keys, args) {
                (Ok(keys), Ok(args)) => {
                    got.grouped += 1;
                    groups.entry(keys.iter().map(key).collect()).or_default().push(args);
                }
                _ => got.failed.push((c, r as u32)),
            }
        }
    }
    got.groups = groups
        .into_iter()
        .map(|(key, rows)| (key, stage.states.iter().map(|state| finish(state, &rows)).collect()))
        .collect();
    got
}

fn key(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(v) => format!("{:x}", u8::from(*v)),
        Value::Int(v) => format!("{:x}", int_word(*v)),
        Value::Float(v) => format!("{:x}", float_word(*v)),
        Value::Wide(v) => format!("{:x}.{:x}", (wide_word(*v) >> 64) as u64, wide_word(*v) as u64),
        Value::Str(v) => format!("{v:?}"),
        Value::List(_) => panic!("no list is a key"),
    }
}

fn finish(state: &StateSpec, rows: &[Vec<Value>]) -> String {
    let values = |at: usize| rows.iter().map(move |row| &row[state.args[at]]);
    let valid = || values(0).filter(|v| !v.is_null());
    match state.kind {
        StateKind::Rows => rows.len().to_string(),
        StateKind::Count => valid().count().to_string(),
        StateKind::Sum(_) => format!("{:?}", sum(valid().map(number))),
        StateKind::Product(_) => {
            let pairs = values(0).zip(values(1)).filter(|(x, y)| !x.is_null() && !y.is_null());
            let sum = sum(pairs.map(|(x, y)| match (number(x), number(y)) {
                (Number::Finite(a, e), Number::Finite(b, f)) => Number::Finite(a * b, e + f),
                _ => Number::Special(Exact::Nan),
            }));
            sum.finite().map_or("special".into(), |_| format!("{sum:?}"))
        }
        StateKind::Min(_) => {
            format!("{:?}", valid().min_by(|a, b| order(a).cmp(&order(b))).map_or(Value::Null, canonical))
        }
        StateKind::Max(_) => {
            format!("{:?}", valid().max_by(|a, b| order(a).cmp(&order(b))).map_or(Value::Null, canonical))
        }
        StateKind::Bag(class, keep) => {
            let mut sorted: Vec<Value> = valid().map(bagged).collect();
            sorted.sort_by_key(order);
            // Of strings nothing is forgotten before their order is known.
            let n = sorted.len();
            match keep {
                Keep::Largest(k) if class != Class::Str => drop(sorted.drain(..n.saturating_sub(k as usize))),
                Keep::Smallest(k) if class != Class::Str => sorted.truncate(k as usize),
                Keep::Distinct => sorted.dedup_by_key(|v| order(v)),
                _ => {}
            }
            let mut runs: Vec<(Value, u64)> = Vec::new();
            for value in sorted {
                match runs.last_mut() {
                    Some((last, times)) if order(last) == order(&value) => *times += 1,
                    _ => runs.push((value, 1)),
                }
            }
            format!("{runs:?}")
        }
    }
}

enum Number {
    /// integer · 2^exponent
    Finite(BigInt, i32),
    Special(Exact),
}

fn number(value: &Value) -> Number {
    match value {
        Value::Int(v) => Number::Finite((*v).into(), 0),
        Value::Wide(v) => Number::Finite((*v).into(), 0),
        Value::Float(v) => match Exact::from_f64(*v) {
            Exact::Finite(exact) => Number::Finite(exact.mantissa(), exact.exponent()),
            special => Number::Special(special),
        },
        _ => panic!("{value:?} is no number"),
    }
}

/// The exact sum, over one common exponent below all products of floats.
fn sum(numbers: impl Iterator<Item = Number>) -> Exact {
    const LOW: i32 = -2200;
    let mut total = BigInt::default();
    let mut specials: Vec<Exact> = Vec::new();
    for number in numbers {
        match number {
            Number::Finite(value, exponent) => total += value << (exponent - LOW) as usize,
            Number::Special(special) => specials.push(special),
        }
    }
    match specials.first() {
        None => Exact::Finite(Dyadic::from_big(total, LOW)),
        Some(first) if specials.iter().all(|s| s == first) => first.clone(),
        _ => Exact::Nan,
    }
}

/// Words in the order of values.
fn order(value: &Value) -> (u128, String) {
    match value {
        Value::Bool(v) => (u128::from(*v), String::new()),
        Value::Int(v) => (int_word(*v).into(), String::new()),
        Value::Wide(v) => (wide_word(*v), String::new()),
        Value::Float(v) => (float_order(*v).into(), String::new()),
        Value::Str(v) => (0, v.to_string()),
        Value::Null | Value::List(_) => panic!("{value:?} has no place in an order"),
    }
}

/// One NaN.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Float(v) => Value::Float(word_float(float_order(*v))),
        value => value.clone(),
    }
}

/// One NaN, one zero.
fn bagged(value: &Value) -> Value {
    match value {
        Value::Float(v) => Value::Float(word_float(float_word(*v))),
        value => value.clone(),
    }
}
