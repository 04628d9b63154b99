//! Random expressions over the columns of `table`, and random rows.

use proptest::prelude::*;
use tidemill::column::{Type, Unit, Value};
use tidemill::expr::{BinaryOp, Expr, ExprNode, call, case, col, lit};

use crate::table::{DECIMAL, LONG, WHOLE, columns, hostile};

/// What an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    Condition,
    Text,
    Time,
}

pub const KINDS: [Kind; 4] = [Kind::Number, Kind::Condition, Kind::Text, Kind::Time];

fn value(ty: &Type) -> BoxedStrategy<Value> {
    if *ty == Type::Null {
        return Just(Value::Null).boxed();
    }
    let any: BoxedStrategy<Value> = match ty {
        Type::Float64 => prop_oneof![prop::num::f64::ANY, (-50i32..50).prop_map(|v| f64::from(v) / 2.0)]
            .prop_map(Value::Float)
            .boxed(),
        Type::Float32 => prop::num::f32::ANY.prop_map(|v| Value::Float(v.into())).boxed(),
        Type::Decimal { precision, .. } => {
            let most = 10i128.pow((*precision).into()) - 1;
            (-most..=most).prop_map(Value::Wide).boxed()
        }
        Type::UInt64 => any::<u64>().prop_map(|v| Value::Wide(v.into())).boxed(),
        Type::Bool | Type::Str => prop::sample::select(hostile(ty)).boxed(),
        Type::Date => (-800_000i64..3_000_000).prop_map(Value::Int).boxed(),
        ty => {
            let (low, high) = ty.integer_range().unwrap_or((i64::MIN.into(), i64::MAX.into()));
            (low as i64..=high as i64).prop_map(Value::Int).boxed()
        }
    };
    prop_oneof![2 => any, 3 => prop::sample::select(hostile(ty)), 1 => Just(Value::Null)].boxed()
}

/// Rows of all columns.
pub fn rows() -> impl Strategy<Value = Vec<Vec<Value>>> {
    let row: Vec<_> = columns().iter().map(|(_, ty)| value(ty)).collect();
    prop_oneof![1 => Just(1usize), 9 => 2usize..200].prop_flat_map(move |n| prop::collection::vec(row.clone(), n))
}

fn binary(op: BinaryOp, a: Expr, b: Expr) -> Expr {
    Expr::from(ExprNode::Binary(op, Box::new(a), Box::new(b)))
}

fn leaf(kind: Kind) -> BoxedStrategy<Expr> {
    let names: &[&str] = match kind {
        Kind::Number => &["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "dec", "whole", "long"],
        Kind::Condition => &["b"],
        Kind::Text => &["s"],
        Kind::Time => &["d", "ts", "tm", "tu", "tn"],
    };
    let constant = match kind {
        Kind::Number => prop_oneof![
            (-3i64..4).prop_map(lit),
            any::<i64>().prop_map(lit),
            (-4i32..5).prop_map(|v| lit(f64::from(v) / 4.0))
        ]
        .boxed(),
        Kind::Condition => any::<bool>().prop_map(lit).boxed(),
        Kind::Text => prop::sample::select(vec!["", "a", "12"]).prop_map(lit).boxed(),
        Kind::Time => (-1000i64..50_000).prop_map(|d| Expr::from(ExprNode::Literal(Value::Int(d), Type::Date))).boxed(),
    };
    prop_oneof![8 => prop::sample::select(names).prop_map(col), 2 => constant, 1 => Just(col("n"))].boxed()
}

/// Expressions of which most bind.
pub fn expr(kind: Kind, depth: u32) -> BoxedStrategy<Expr> {
    if depth == 0 {
        return leaf(kind);
    }
    // Made when chosen: all of them together would be exponentially many.
    let of = move |kind| Just(()).prop_flat_map(move |()| expr(kind, depth - 1)).boxed();
    let number = || of(Kind::Number);
    let common = prop_oneof![
        2 => (of(Kind::Condition), of(kind), of(kind)).prop_map(|(c, a, b)| case([(c, a)], b)),
        1 => of(kind).prop_map(|a| call("try", [a])),
        2 => (of(kind), of(kind), prop::sample::select(vec!["greatest", "least", "nullif", "coalesce"]))
            .prop_map(|(a, b, name)| call(name, [a, b])),
    ];
    let own = match kind {
        Kind::Number => numbers(number(), of(Kind::Time), of(Kind::Text)),
        Kind::Condition => conditions(
            of(Kind::Condition),
            number(),
            of(Kind::Time),
            prop::sample::select(&KINDS[..]).prop_flat_map(of).boxed(),
        ),
        Kind::Text => prop_oneof![
            of(Kind::Text).prop_map(|a| call("upper", [a])),
            number().prop_map(|a| a.cast(Type::Str)),
            (of(Kind::Text), of(Kind::Text)).prop_map(|(a, b)| a.concat(b)),
        ]
        .boxed(),
        Kind::Time => times(of(Kind::Time), number()),
    };
    prop_oneof![5 => own, 2 => common, 1 => leaf(kind)].boxed()
}

fn numbers(number: BoxedStrategy<Expr>, time: BoxedStrategy<Expr>, text: BoxedStrategy<Expr>) -> BoxedStrategy<Expr> {
    use BinaryOp::{Add, Div, IntDiv, Mul, Rem, Sub};
    let types = vec![
        Type::Int8,
        Type::Int32,
        Type::Int64,
        Type::UInt64,
        Type::UInt32,
        Type::Float32,
        Type::Float64,
        DECIMAL,
        LONG,
        WHOLE,
        Type::Decimal { precision: 3, scale: 3 },
    ];
    let functions = vec!["abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "exp"];
    let fields = vec![
        "year",
        "quarter",
        "month",
        "week",
        "isoyear",
        "day",
        "dow",
        "isodow",
        "doy",
        "hour",
        "minute",
        "second",
        "millisecond",
        "microsecond",
    ];
    prop_oneof![
        6 => (prop::sample::select(vec![Add, Sub, Mul, Div, IntDiv, Rem]), number.clone(), number.clone())
            .prop_map(|(op, a, b)| binary(op, a, b)),
        2 => (number.clone(), prop::sample::select(types)).prop_map(|(a, ty)| a.cast(ty)),
        2 => (number.clone(), prop::sample::select(functions)).prop_map(|(a, name)| call(name, [a])),
        1 => (number.clone(), -3i64..4).prop_map(|(a, d)| call("round", [a, lit(d)])),
        1 => number.prop_map(|a| -a),
        2 => (time.clone(), prop::sample::select(fields)).prop_map(|(a, name)| call(name, [a])),
        1 => (time.clone(), time).prop_map(|(a, b)| a - b),
        1 => (text, prop::sample::select(vec![Type::Int64, Type::Float64, DECIMAL])).prop_map(|(a, ty)| a.cast(ty)),
    ]
    .boxed()
}

fn conditions(
    test: BoxedStrategy<Expr>,
    number: BoxedStrategy<Expr>,
    time: BoxedStrategy<Expr>,
    any: BoxedStrategy<Expr>,
) -> BoxedStrategy<Expr> {
    use BinaryOp::{And, Eq, Ge, Gt, Le, Lt, Ne, Or};
    let compare = prop::sample::select(vec![Eq, Ne, Lt, Le, Gt, Ge]);
    prop_oneof![
        4 => (compare.clone(), number.clone(), number.clone()).prop_map(|(op, a, b)| binary(op, a, b)),
        1 => (compare, time.clone(), time).prop_map(|(op, a, b)| binary(op, a, b)),
        4 => (prop::sample::select(vec![And, Or, Eq, Lt]), test.clone(), test.clone())
            .prop_map(|(op, a, b)| binary(op, a, b)),
        1 => test.prop_map(|a| !a),
        1 => any.prop_map(Expr::is_null),
        1 => (number.clone(), prop::collection::vec(number.clone(), 1..4)).prop_map(|(a, list)| a.in_list(list)),
        1 => number.prop_map(|a| call("is_nan", [a])),
    ]
    .boxed()
}

fn times(time: BoxedStrategy<Expr>, number: BoxedStrategy<Expr>) -> BoxedStrategy<Expr> {
    let periods = vec!["year", "quarter", "month", "week", "day", "hour", "millisecond"];
    let types =
        vec![Type::Date, Type::Timestamp(Unit::Second), Type::Timestamp(Unit::Micro), Type::Timestamp(Unit::Nano)];
    prop_oneof![
        (time.clone(), prop::sample::select(periods)).prop_map(|(a, period)| call("date_trunc", [lit(period), a])),
        (time, prop::sample::select(types)).prop_map(|(a, ty)| a.cast(ty)),
        number.prop_map(|n| col("d") + n.cast(Type::Int64)),
    ]
    .boxed()
}
