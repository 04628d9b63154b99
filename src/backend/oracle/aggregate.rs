//! Every aggregate by its definition, over the list of a group's values.

use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};

use super::key::{Key, Total};
use super::real::{self, Reals};
use super::{Refusal, as_call};
use crate::Error;
use crate::column::{Class, Type, Value};
use crate::expr::{BinaryOp, Binder, Expr, ExprNode, NodeId, UnaryOp, null};

/// The names of all aggregates.
pub(super) const NAMES: &[&str] = &[
    "count",
    "sum",
    "mean",
    "avg",
    "min",
    "max",
    "any_value",
    "bool_and",
    "bool_or",
    "var_samp",
    "var",
    "variance",
    "var_pop",
    "stddev_samp",
    "stddev",
    "std",
    "stddev_pop",
    "covar_samp",
    "covar_pop",
    "corr",
    "median",
    "quantile",
    "count_distinct",
    "top_k",
    "bottom_k",
    "max_by",
    "arg_max",
    "min_by",
    "arg_min",
];

/// Those that find the value beside an extreme.
const BY: [&str; 4] = ["max_by", "arg_max", "min_by", "arg_min"];

/// One call.
pub(super) struct Aggregate {
    name: String,
    /// What it is called with, less constants.
    pub arguments: Vec<NodeId>,
    types: Vec<Type>,
    /// The p of `quantile`, the k of `top_k`.
    parameter: f64,
    /// The type of its result.
    pub ty: Type,
}

impl Aggregate {
    /// A call whose arguments are bound with `binder`.
    pub fn new(call: &Expr, binder: &mut Binder<'_>) -> Result<Aggregate, Refusal> {
        let refuse = || Refusal::Query(Error::Query { message: String::new(), text: String::new(), at: 0, help: None });
        let (name, args) = as_call(&call.node).ok_or_else(refuse)?;
        let (values, parameter) = match (name, args) {
            ("quantile" | "top_k" | "bottom_k", [x, p]) => {
                let p = constant(p).ok_or_else(refuse)?;
                let fits = if name == "quantile" { (0.0..=1.0).contains(&p) } else { p.fract() == 0.0 && p >= 1.0 };
                if !fits {
                    return Err(refuse());
                }
                (std::slice::from_ref(x), p)
            }
            ("median", [_]) => (args, 0.5),
            ("count", [] | [_]) => (args, 0.0),
            ("covar_samp" | "covar_pop" | "corr", [_, _]) => (args, 0.0),
            ("max_by" | "arg_max" | "min_by" | "arg_min", [_, _]) => (args, 0.0),
            ("max_by" | "arg_max" | "min_by" | "arg_min", _) => return Err(refuse()),
            ("quantile" | "top_k" | "bottom_k" | "covar_samp" | "covar_pop" | "corr", _) => return Err(refuse()),
            (_, [_]) => (args, 0.0),
            _ => return Err(refuse()),
        };
        let mut arguments = Vec::new();
        for value in values {
            let mut node = binder.bind(value)?;
            // A null of no type is a null number.
            if binder.node(node).ty == Type::Null && name != "count" {
                node = binder.bind(&null().cast(Type::Int64))?;
            }
            arguments.push(node);
        }
        let types: Vec<Type> = arguments.iter().map(|a| binder.node(*a).ty.clone()).collect();
        if BY.contains(&name) {
            if types.iter().any(|ty| !matches!(ty.class(), Some(Class::Int | Class::Float))) {
                return Err(refuse());
            }
            let ty = types[0].clone();
            return Ok(Aggregate { name: name.into(), arguments, types, parameter, ty });
        }
        // Beside a float, a number is a float too, as in arithmetic.
        if let ([x, y], [a, b]) = (&types[..], values)
            && x.is_float() != y.is_float()
            && x.is_numeric()
            && y.is_numeric()
        {
            let as_float = |e: &Expr| e.clone().cast(Type::Float64);
            let (a, b) = (as_float(a), as_float(b));
            let arguments = vec![binder.bind(&a)?, binder.bind(&b)?];
            let types = vec![Type::Float64; 2];
            return Ok(Aggregate { name: name.into(), arguments, types, parameter, ty: Type::Float64 });
        }
        let Some(ty) = result_type(name, &types) else { return Err(refuse()) };
        Ok(Aggregate { name: name.into(), arguments, types, parameter, ty })
    }

    /// The value over a group's rows; `None` if it does not fit its type.
    pub fn value(&self, rows: &[Vec<Value>]) -> Option<Value> {
        if self.arguments.is_empty() {
            return Some(Value::Int(rows.len() as i64));
        }
        let present: Vec<&Vec<Value>> = rows.iter().filter(|row| !row.iter().any(Value::is_null)).collect();
        let values: Vec<&Value> = present.iter().map(|row| &row[0]).collect();
        let n = values.len();
        let ty = &self.types[0];
        let float = |v: Option<f64>| Some(v.map_or(Value::Null, Value::Float));
        match self.name.as_str() {
            "count" => Some(Value::Int(n as i64)),
            "sum" => sum(&values, ty, &self.ty),
            "mean" | "avg" => float(mean(&values, ty)),
            "min" | "any_value" | "bool_and" => Some(ordered(&values).first().map_or(Value::Null, |v| (*v).clone())),
            "max" | "bool_or" => Some(ordered(&values).last().map_or(Value::Null, |v| (*v).clone())),
            "median" | "quantile" => {
                let sorted: Vec<Value> = ordered(&values).into_iter().cloned().collect();
                float((n > 0).then(|| real::quantile(&sorted, ty, self.parameter)))
            }
            "count_distinct" => {
                let distinct: std::collections::BTreeSet<Key> = values.iter().map(|v| Key::new(v)).collect();
                Some(Value::Int(distinct.len() as i64))
            }
            "top_k" | "bottom_k" => {
                let mut keys: Vec<Key> = values.iter().map(|v| Key::new(v)).collect();
                keys.sort();
                if self.name == "top_k" {
                    keys.reverse();
                }
                keys.truncate(self.parameter as usize);
                Some(Value::List(keys.iter().map(Key::value).collect()))
            }
            name if BY.contains(&name) => {
                let mut pairs: Vec<(Key, Key, &Value)> =
                    present.iter().map(|row| (place(&row[1]), place(&row[0]), &row[0])).collect();
                pairs.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
                let best = if name.contains("max") { pairs.last() } else { pairs.first() };
                Some(best.map_or(Value::Null, |(_, _, value)| (*value).clone()))
            }
            "covar_samp" | "covar_pop" | "corr" => {
                let others: Vec<&Value> = present.iter().map(|row| &row[1]).collect();
                float(self.pair(&values, &others))
            }
            _ => float(self.variance(&values)),
        }
    }

    /// The variances and their roots: Σ(x − mean)² over n or n − 1.
    fn variance(&self, values: &[&Value]) -> Option<f64> {
        let n = values.len();
        let pop = self.name.ends_with("_pop");
        if n < if pop { 1 } else { 2 } {
            return None;
        }
        let reals = Reals::new(values.iter().copied(), &self.types[0]);
        if !reals.finite() {
            return Some(f64::NAN);
        }
        let squares: BigInt = reals.deviations().iter().map(|d| d * d).sum();
        let per_square = BigInt::from(n) * n * &reals.unit * &reals.unit;
        let over = per_square * if pop { n } else { n - 1 };
        Some(if self.name.starts_with("std") { real::root(&squares, &over) } else { real::ratio(&squares, &over) })
    }

    /// Covariances, Σ(x − mean x)(y − mean y) over n or n − 1, and the correlation.
    fn pair(&self, xs: &[&Value], ys: &[&Value]) -> Option<f64> {
        let n = xs.len();
        if n < if self.name == "covar_samp" { 2 } else { 1 } {
            return None;
        }
        let (x, y) = (Reals::new(xs.iter().copied(), &self.types[0]), Reals::new(ys.iter().copied(), &self.types[1]));
        if !x.finite() || !y.finite() {
            return Some(f64::NAN);
        }
        let (dx, dy) = (x.deviations(), y.deviations());
        let products: BigInt = dx.iter().zip(&dy).map(|(a, b)| a * b).sum();
        if self.name == "corr" {
            let squares = |d: &[BigInt]| d.iter().map(|v| v * v).sum::<BigInt>();
            let both = squares(&dx) * squares(&dy);
            return (!both.is_zero()).then(|| real::ratio_of_root(&products, &both));
        }
        let over = BigInt::from(n) * n * x.unit * y.unit * if self.name == "covar_pop" { n } else { n - 1 };
        Some(real::ratio(&products, &over))
    }
}

/// A value's place in the order of `min` and `max`, where −0 stands before +0.
fn place(value: &Value) -> Key {
    match value {
        Value::Float(v) => Key::Float(Total::new(*v)),
        other => Key::new(other),
    }
}

fn sum(values: &[&Value], ty: &Type, result: &Type) -> Option<Value> {
    if values.is_empty() {
        return Some(Value::Null);
    }
    let reals = Reals::new(values.iter().copied(), ty);
    if ty.is_float() {
        return Some(Value::Float(reals.special_sum().unwrap_or_else(|| real::ratio(&reals.sum(), &reals.unit))));
    }
    let sum = reals.sum();
    match result {
        Type::Decimal { .. } => {
            let limit = BigInt::from(10).pow(38);
            (sum > -limit.clone() && sum < limit).then(|| sum.to_i128().map(Value::Wide)).flatten()
        }
        Type::UInt64 => sum.to_u64().map(|v| Value::Wide(v.into())),
        _ => sum.to_i64().map(Value::Int),
    }
}

fn mean(values: &[&Value], ty: &Type) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let reals = Reals::new(values.iter().copied(), ty);
    let n = BigInt::from(values.len());
    Some(reals.special_sum().unwrap_or_else(|| real::ratio(&reals.sum(), &(n * &reals.unit))))
}

/// Sorted; floats by the total order, every NaN as the one.
fn ordered<'a>(values: &[&'a Value]) -> Vec<&'a Value> {
    static NAN: Value = Value::Float(f64::from_bits(0x7ff8 << 48));
    let mut sorted: Vec<&Value> =
        values.iter().map(|v| if matches!(v, Value::Float(f) if f.is_nan()) { &NAN } else { *v }).collect();
    sorted.sort_by(|a, b| match (a, b) {
        (Value::Float(a), Value::Float(b)) => Total::new(*a).cmp(&Total::new(*b)),
        _ => Key::new(a).cmp(&Key::new(b)),
    });
    sorted
}

/// The type of a result; `None` where the arguments do not suit the function.
fn result_type(name: &str, types: &[Type]) -> Option<Type> {
    let numbers = types.iter().all(Type::is_numeric);
    match name {
        "count" | "count_distinct" => Some(Type::Int64),
        "min" | "max" | "any_value" => types.first().cloned(),
        "bool_and" | "bool_or" => match types {
            [Type::Bool] => Some(Type::Bool),
            // The null that became a number.
            [Type::Int64] => Some(Type::Int64),
            _ => None,
        },
        "top_k" | "bottom_k" => types.first().map(|ty| Type::List(Box::new(ty.clone()))),
        "sum" if numbers => match types {
            [Type::Decimal { scale, .. }] => Some(Type::Decimal { precision: 38, scale: *scale }),
            [Type::UInt64] => Some(Type::UInt64),
            [ty] if ty.is_float() => Some(Type::Float64),
            _ => Some(Type::Int64),
        },
        _ if numbers => Some(Type::Float64),
        _ => None,
    }
}

/// A constant parameter.
fn constant(expr: &Expr) -> Option<f64> {
    match &expr.node {
        ExprNode::Literal(Value::Int(v), _) => Some(*v as f64),
        ExprNode::Literal(Value::Float(v), _) => Some(*v),
        ExprNode::Unary(UnaryOp::Neg, x) => constant(x).map(|v| -v),
        ExprNode::Binary(BinaryOp::Div, a, b) => Some(constant(a)? / constant(b)?),
        _ => None,
    }
}
