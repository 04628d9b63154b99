//! The vector evaluator against the plain one, on random programs over random chunks.

use std::sync::Arc;

use proptest::prelude::*;

use super::{chunk_for, column, same, vector_results};
use crate::column::{Class, Field, Schema, Type, Unit, Value};
use crate::expr::{BinaryOp, Binder, Evaluator, Expr, ExprNode, call, case, col, eval, lit};

const DECIMAL: Type = Type::Decimal { precision: 10, scale: 2 };
const LONG: Type = Type::Decimal { precision: 38, scale: 30 };

fn columns() -> Vec<(&'static str, Type)> {
    vec![
        ("i8", Type::Int8),
        ("i32", Type::Int32),
        ("i64", Type::Int64),
        ("u16", Type::UInt16),
        ("u64", Type::UInt64),
        ("f32", Type::Float32),
        ("f64", Type::Float64),
        ("dec", DECIMAL),
        ("long", LONG),
        ("b", Type::Bool),
        ("d", Type::Date),
        ("ts", Type::Timestamp(Unit::Second)),
        ("tm", Type::Timestamp(Unit::Milli)),
        ("tn", Type::Timestamp(Unit::Nano)),
        ("s", Type::Str),
        ("t", Type::Str),
        ("n", Type::Null),
    ]
}

fn value(ty: &Type) -> BoxedStrategy<Value> {
    let present: BoxedStrategy<Value> = match ty {
        Type::Null => Just(Value::Null).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Date => prop_oneof![-800_000i64..3_000_000, Just(i32::MIN.into()), Just(i32::MAX.into()), -2i64..2,]
            .prop_map(Value::Int)
            .boxed(),
        Type::UInt64 => prop_oneof![any::<u64>(), 0u64..4].prop_map(|v| Value::Wide(v.into())).boxed(),
        Type::Decimal { precision, .. } => {
            let most = 10i128.pow((*precision).into()) - 1;
            prop_oneof![-most..=most, -5i128..=5, Just(most), Just(-most)].prop_map(Value::Wide).boxed()
        }
        Type::Float32 => prop::num::f32::ANY.prop_map(|v| Value::Float(v.into())).boxed(),
        Type::Float64 => prop_oneof![
            prop::num::f64::ANY,
            (-50i32..50).prop_map(|v| f64::from(v) / 2.0),
            prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, 9.3e18, -9.3e18])
        ]
        .prop_map(Value::Float)
        .boxed(),
        Type::Str => {
            prop::sample::select(vec!["", "a", "B", "ab", "é", " 12 ", "7", "-3.5", "2013-01-31", "true", "%_"])
                .prop_map(|s| Value::Str(s.into()))
                .boxed()
        }
        ty => {
            let (min, max) = ty.integer_range().unwrap_or((i64::MIN.into(), i64::MAX.into()));
            let (min, max) = (min as i64, max as i64);
            prop_oneof![min..=max, min.max(-3)..=3, Just(min), Just(max)].prop_map(Value::Int).boxed()
        }
    };
    prop_oneof![4 => present, 1 => Just(Value::Null)].boxed()
}

/// Expressions that mostly bind. `kind` is what they are: 0 numbers, 1 conditions, 2 strings, 3 dates and times.
fn expr(kind: usize, depth: u32) -> BoxedStrategy<Expr> {
    let names: Vec<&str> = match kind {
        0 => vec!["i8", "i32", "i64", "u16", "u64", "f32", "f64", "dec", "long"],
        1 => vec!["b"],
        2 => vec!["s", "t"],
        _ => vec!["d", "ts", "tm", "tn"],
    };
    let column = prop::sample::select(names).prop_map(col).boxed();
    let constant = match kind {
        0 => prop_oneof![
            (-3i64..4).prop_map(lit),
            any::<i64>().prop_map(lit),
            (-4i32..5).prop_map(|v| lit(f64::from(v) / 4.0))
        ]
        .boxed(),
        1 => any::<bool>().prop_map(lit).boxed(),
        2 => prop::sample::select(vec!["", "a", "ab", "%a%", "_"]).prop_map(lit).boxed(),
        _ => (-1000i64..50_000).prop_map(|d| Expr::from(ExprNode::Literal(Value::Int(d), Type::Date))).boxed(),
    };
    let leaf = prop_oneof![6 => column, 2 => constant, 1 => Just(col("n"))].boxed();
    if depth == 0 {
        return leaf;
    }
    // Made when chosen: all of them together would be exponentially many.
    let of = move |kind| Just(()).prop_flat_map(move |()| expr(kind, depth - 1)).boxed();
    let number = || of(0);
    let test = || of(1);
    let text = || of(2);
    let time = || of(3);
    let binary = |op: BinaryOp, a: Expr, b: Expr| Expr::from(ExprNode::Binary(op, Box::new(a), Box::new(b)));
    let choice = (test(), of(kind), of(kind)).prop_map(|(c, a, b)| case([(c, a)], b));
    let common = prop_oneof![
        choice,
        (of(kind), of(kind)).prop_map(|(a, b)| call("coalesce", [a, b])),
        of(kind).prop_map(|a| call("try", [a])),
        (of(kind), of(kind), prop::sample::select(vec!["greatest", "least", "nullif"]))
            .prop_map(|(a, b, name)| call(name, [a, b])),
    ]
    .boxed();
    let own = match kind {
        0 => prop_oneof![
            5 => (
                prop::sample::select(vec![
                    BinaryOp::Add,
                    BinaryOp::Sub,
                    BinaryOp::Mul,
                    BinaryOp::Div,
                    BinaryOp::IntDiv,
                    BinaryOp::Rem
                ]),
                number(),
                number()
            )
                .prop_map(move |(op, a, b)| binary(op, a, b)),
            2 => (
                number(),
                prop::sample::select(vec![
                    Type::Int8,
                    Type::Int64,
                    Type::UInt64,
                    Type::UInt32,
                    Type::Float32,
                    Type::Float64,
                    DECIMAL,
                    LONG,
                    Type::Decimal { precision: 38, scale: 0 },
                    Type::Decimal { precision: 3, scale: 3 },
                ])
            )
                .prop_map(|(a, ty)| a.cast(ty)),
            2 => (
                number(),
                prop::sample::select(vec!["abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "exp", "ln", "log10"])
            )
                .prop_map(|(a, name)| call(name, [a])),
            1 => (number(), -3i64..4).prop_map(|(a, d)| call("round", [a, lit(d)])),
            1 => number().prop_map(|a| -a),
            1 => (
                time(),
                prop::sample::select(vec![
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
                    "microsecond"
                ])
            )
                .prop_map(|(a, name)| call(name, [a])),
            1 => (time(), time()).prop_map(|(a, b)| a - b),
            1 => text().prop_map(|a| call("length", [a])),
            1 => (text(), prop::sample::select(vec![Type::Int64, Type::Float64, DECIMAL, Type::UInt64, Type::Float32]))
                .prop_map(|(a, ty)| a.cast(ty)),
            1 => (number(), number()).prop_map(|(a, b)| call("pow", [a, b])),
        ]
        .boxed(),
        1 => {
            let compare = prop::sample::select(vec![
                BinaryOp::Eq,
                BinaryOp::Ne,
                BinaryOp::Lt,
                BinaryOp::Le,
                BinaryOp::Gt,
                BinaryOp::Ge,
            ]);
            let logic = prop::sample::select(vec![BinaryOp::And, BinaryOp::Or, BinaryOp::Eq, BinaryOp::Lt]);
            prop_oneof![
                3 => (compare.clone(), number(), number()).prop_map(move |(op, a, b)| binary(op, a, b)),
                1 => (compare.clone(), text(), text()).prop_map(move |(op, a, b)| binary(op, a, b)),
                1 => (compare, time(), time()).prop_map(move |(op, a, b)| binary(op, a, b)),
                3 => (logic, test(), test()).prop_map(move |(op, a, b)| binary(op, a, b)),
                1 => test().prop_map(|a| !a),
                1 => (0usize..4).prop_flat_map(of).prop_map(Expr::is_null),
                1 => (number(), number(), number()).prop_map(|(a, b, c)| a.between(b, c)),
                1 => (number(), prop::collection::vec(number(), 1..4)).prop_map(|(a, list)| a.in_list(list)),
                1 => (text(), prop::collection::vec(text(), 1..4)).prop_map(|(a, list)| a.in_list(list)),
                1 => (text(), text()).prop_map(|(a, b)| a.like(b)),
                1 => (text(), text(), prop::sample::select(vec!["starts_with", "ends_with", "contains"]))
                    .prop_map(|(a, b, name)| call(name, [a, b])),
                1 => number().prop_map(|a| call("is_nan", [a])),
            ]
            .boxed()
        }
        2 => prop_oneof![
            (text(), prop::sample::select(vec!["lower", "upper", "trim"])).prop_map(|(a, name)| call(name, [a])),
            (text(), number()).prop_map(|(a, n)| call("substr", [a, n.cast(Type::Int64), lit(1)])),
            (text(), text()).prop_map(|(a, b)| a.concat(b)),
            (text(), text()).prop_map(|(a, b)| call("concat", [a, b])),
            number().prop_map(|a| a.cast(Type::Str)),
            time().prop_map(|a| a.cast(Type::Str)),
            (text(), text(), text()).prop_map(|(a, b, c)| call("replace", [a, b, c])),
        ]
        .boxed(),
        _ => prop_oneof![
            (time(), prop::sample::select(vec!["year", "quarter", "month", "week", "day", "hour", "millisecond"]))
                .prop_map(|(a, unit)| call("date_trunc", [lit(unit), a])),
            (time(), prop::sample::select(vec!["1 day", "3 days", "1 week", "9999 weeks"]))
                .prop_map(|(a, width)| call("time_bucket", [lit(width), a])),
            (time(), prop::sample::select(vec![
                Type::Date,
                Type::Timestamp(Unit::Second),
                Type::Timestamp(Unit::Micro),
                Type::Timestamp(Unit::Nano)
            ]))
                .prop_map(|(a, ty)| a.cast(ty)),
            number().prop_map(|n| col("d") + n.cast(Type::Int64)),
            text().prop_map(|a| a.cast(Type::Date)),
        ]
        .boxed(),
    };
    prop_oneof![4 => own, 1 => common, 1 => leaf].boxed()
}

fn rows() -> impl Strategy<Value = Vec<Vec<Value>>> {
    let row: Vec<_> = columns().iter().map(|(_, ty)| value(ty)).collect();
    prop_oneof![Just(0usize), Just(1), 2usize..80].prop_flat_map(move |n| prop::collection::vec(row.clone(), n))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn vectors_and_rows_agree(
        expr in (0usize..4).prop_flat_map(|kind| expr(kind, 3)),
        rows in rows(),
    ) {
        let schema = Schema { fields: columns().into_iter().map(|(name, ty)| Field::new(name, ty)).collect() };
        let mut binder = Binder::new(&schema);
        // Not every tree has types that fit; binding must say so without panicking.
        let Ok(id) = binder.bind(&expr) else { return Ok(()) };
        let program = Arc::new(binder.finish());
        let node = program.node(id).clone();
        let stored: Vec<_> = columns()
            .iter()
            .enumerate()
            .map(|(i, (_, ty))| column(ty, &rows.iter().map(|row| row[i].clone()).collect::<Vec<_>>()))
            .collect();
        let chunk = chunk_for(&program, &stored, rows.len());
        let got = vector_results(Arc::clone(&program), id, &chunk);
        for (row, got) in rows.iter().zip(&got) {
            let input: Vec<Value> = program.columns.iter().map(|c| row[c.column].clone()).collect();
            let want = eval(&program, id, &input);
            match (got, &want) {
                (Some(got), Ok(want)) => {
                    prop_assert!(same(got, want), "{expr}: {got:?}, not {want:?} for {input:?}");
                    prop_assert!(node.nullable || !want.is_null(), "{expr} is null for {input:?}");
                    if let (Class::Int, Value::Int(v)) = (node.class, want) {
                        prop_assert!(node.range.0 <= *v && *v <= node.range.1, "{expr} = {v}, out of {:?}", node.range);
                    }
                    if let (Type::Decimal { precision, .. }, Value::Wide(v)) = (&node.ty, want) {
                        prop_assert!(v.unsigned_abs() < 10u128.pow((*precision).into()), "{expr} = {v} in {}", node.ty);
                    }
                }
                (None, Err(_)) => prop_assert!(node.can_fail, "{expr} fails for {input:?}"),
                (got, want) => prop_assert!(false, "{expr}: {got:?}, not {want:?} for {input:?}"),
            }
        }
        // Whole columns, from morsels of another evaluator.
        let whole = Evaluator::new(Arc::clone(&program)).columns(&chunk, &[id]).unwrap().remove(0);
        prop_assert_eq!(whole.column.len(), rows.len());
        for (row, got) in got.iter().enumerate() {
            let failed = whole.errors.as_ref().is_some_and(|e| e[row] != 0);
            prop_assert_eq!(failed, got.is_none());
            let want = got.clone().unwrap_or(Value::Null);
            let stored = whole.column.value(row);
            prop_assert!(same(&stored, &want), "{expr}: {stored:?} in the column, not {want:?}");
        }
    }
}
