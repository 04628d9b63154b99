//! Every aggregate × every type of argument × null patterns × types of key, against the oracle.

use std::sync::Arc;

use tidemill::backend::oracle::Table;
use tidemill::column::{Type, Unit, Value};
use tidemill::expr::{Expr, call, col};
use tidemill::{Job, lit};

use super::support::{check, finish, targets};

/// Values to draw from, hostile ones first.
fn pool(ty: &Type) -> Vec<Value> {
    let ints = |values: &[i64]| values.iter().map(|&v| Value::Int(v)).collect();
    let wides = |values: &[i128]| values.iter().map(|&v| Value::Wide(v)).collect();
    match ty {
        Type::Bool => vec![Value::Bool(true), Value::Bool(false)],
        Type::Int8 => ints(&[-128, 127, 0, 1, -1, 5]),
        Type::Int16 => ints(&[-32768, 32767, 0, 300, -7]),
        Type::Int32 => ints(&[i32::MIN.into(), i32::MAX.into(), 0, 1, -1]),
        Type::Int64 => ints(&[1 << 53, (1 << 53) + 1, -(1 << 60), 0, 3, -3, 1 << 60]),
        Type::UInt8 => ints(&[255, 0, 1, 7]),
        Type::UInt16 => ints(&[65535, 0, 300]),
        Type::UInt32 => ints(&[u32::MAX.into(), 0, 1, 77]),
        Type::UInt64 => wides(&[u64::MAX.into(), 0, 1, 1 << 63, 12345]),
        Type::Decimal { precision: 38, .. } => wides(&[10i128.pow(36), -(10i128.pow(36)) + 1, 0, 1, -1, 250]),
        Type::Decimal { .. } => wides(&[99_999, -99_999, 0, 1, 12_345]),
        Type::Date => ints(&[0, -1, 20_000, -719_528, 2_932_896]),
        Type::Timestamp(_) => ints(&[0, -1, 1_700_000_000_000, -5, i64::MAX, i64::MIN]),
        Type::Float32 => {
            [f32::MAX, f32::MIN_POSITIVE, -0.0, 0.1, -3.5, 1e-45, f32::MIN, 0.0].map(|v| Value::Float(v.into())).into()
        }
        Type::Float64 => [1e300, 1e-300, -1e300, 5e-324, 0.1, -0.0, 0.0, 1e16, 1.0, -1e16, 3.5, f64::MAX, -f64::MAX]
            .map(Value::Float)
            .into(),
        Type::Str => ["b", "", "a", "é", "aa", "B", "zz top"].map(|s| Value::Str(s.into())).into(),
        Type::Null | Type::List(_) => vec![Value::Null],
    }
}

/// A generator of numbers: reproducible, and not the subject here.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n.max(1) as u64) as usize
    }
}

/// Which rows of a column are null.
#[derive(Clone, Copy, Debug)]
enum Nulls {
    None,
    Some,
    Most,
    All,
    /// All of one group.
    Runs,
}

fn column(ty: &Type, rows: usize, nulls: Nulls, draw: &mut Draw) -> Vec<Value> {
    let pool = pool(ty);
    let value = |row: usize| {
        let value = pool[draw.below(pool.len())].clone();
        let null = match nulls {
            Nulls::None => false,
            Nulls::Some => draw.below(5) == 0,
            Nulls::Most => draw.below(8) != 0,
            Nulls::All => true,
            Nulls::Runs => (row / 16).is_multiple_of(2),
        };
        if null { Value::Null } else { value }
    };
    (0..rows).map(value).collect()
}

fn table(columns: Vec<(&str, Type, Vec<Value>)>) -> Table {
    let rows = columns[0].2.len();
    Table {
        rows: (0..rows).map(|r| columns.iter().map(|c| c.2[r].clone()).collect()).collect(),
        columns: columns.into_iter().map(|(n, t, _)| (n.to_owned(), t)).collect(),
    }
}

fn types() -> Vec<Type> {
    vec![
        Type::Bool,
        Type::Int8,
        Type::Int16,
        Type::Int32,
        Type::Int64,
        Type::UInt8,
        Type::UInt16,
        Type::UInt32,
        Type::UInt64,
        Type::Float32,
        Type::Float64,
        Type::Decimal { precision: 5, scale: 2 },
        Type::Decimal { precision: 38, scale: 10 },
        Type::Date,
        Type::Timestamp(Unit::Second),
        Type::Timestamp(Unit::Nano),
        Type::Str,
    ]
}

/// Every aggregate that takes an argument of this type.
fn aggregates(ty: &Type) -> Vec<Expr> {
    let x = || col("x");
    let mut all = vec![call("count", []), call("count", [x()])];
    for name in ["min", "max", "any_value", "count_distinct"] {
        all.push(call(name, [x()]));
    }
    for (name, k) in [("top_k", 1), ("top_k", 3), ("bottom_k", 2), ("bottom_k", 100)] {
        all.push(call(name, [x(), lit(k)]));
    }
    if *ty == Type::Bool {
        all.extend([call("bool_and", [x()]), call("bool_or", [x()])]);
    }
    if ty.is_numeric() {
        for name in ["sum", "mean", "median", "var_samp", "var_pop", "stddev_samp", "stddev_pop"] {
            all.push(call(name, [x()]));
        }
        for p in [0.0, 0.1, 0.25, 0.9, 1.0] {
            all.push(call("quantile", [x(), lit(p)]));
        }
        for name in ["corr", "covar_samp", "covar_pop"] {
            all.push(call(name, [x(), col("y")]));
            all.push(call(name, [col("y"), x()]));
            all.push(call(name, [x(), x()]));
        }
    }
    if matches!(ty.class(), Some(tidemill::column::Class::Int | tidemill::column::Class::Float)) {
        for name in ["max_by", "min_by"] {
            all.push(call(name, [x(), col("y")]));
            all.push(call(name, [col("y"), x()]));
            all.push(call(name, [x(), x()]));
        }
    }
    all
}

fn job(keys: &[&str], aggregates: Vec<Expr>) -> Job {
    aggregates.into_iter().fold(Job::new().by(keys.iter().copied()), |job, a| job.aggregate(a))
}

#[test]
fn every_aggregate_of_every_type_under_every_null_pattern() {
    let mut wrong = Vec::new();
    let mut draw = Draw(7);
    for ty in types() {
        for nulls in [Nulls::None, Nulls::Some, Nulls::Most, Nulls::All, Nulls::Runs] {
            let rows = 90;
            let keys = (0..rows).map(|r| Value::Int((r / 16 * 3 % 7) as i64)).collect();
            let y = column(&Type::Float64, rows, Nulls::Some, &mut draw);
            let x = column(&ty, rows, nulls, &mut draw);
            let table = table(vec![("k", Type::Int16, keys), ("x", ty.clone(), x), ("y", Type::Float64, y)]);
            wrong.extend(check(&format!("{ty}, nulls {nulls:?}"), &job(&["k"], aggregates(&ty)), &table, targets()));
        }
    }
    finish(wrong);
}

#[test]
fn pairs_of_every_two_types() {
    let mut wrong = Vec::new();
    let mut draw = Draw(11);
    let numbers: Vec<Type> = types().into_iter().filter(Type::is_numeric).collect();
    for a in &numbers {
        let mut columns = vec![("x".to_owned(), a.clone(), column(a, 40, Nulls::Some, &mut draw))];
        let mut pairs = Vec::new();
        for (i, b) in numbers.iter().enumerate() {
            columns.push((format!("y{i}"), b.clone(), column(b, 40, Nulls::Some, &mut draw)));
            for name in ["corr", "covar_samp", "covar_pop"] {
                pairs.push(call(name, [col("x"), col(format!("y{i}"))]));
            }
        }
        let table = table(columns.iter().map(|(n, t, v)| (n.as_str(), t.clone(), v.clone())).collect());
        wrong.extend(check(&format!("pairs with {a}"), &job(&[], pairs), &table, targets()));
    }
    finish(wrong);
}

#[test]
fn every_type_is_a_key() {
    let mut wrong = Vec::new();
    let mut draw = Draw(5);
    for ty in types() {
        for nulls in [Nulls::None, Nulls::Some, Nulls::All] {
            let mut keys = column(&ty, 120, nulls, &mut draw);
            if ty.is_float() {
                let nan = |bits: u64| Value::Float(f64::from_bits(bits));
                keys[3] = nan(0x7ff8_0000_0000_0001);
                keys[40] = nan(0xfff8_0000_0000_0000);
                keys[41] = Value::Float(f64::INFINITY);
                keys[42] = Value::Float(f64::NEG_INFINITY);
            }
            let x = column(&Type::Float64, 120, Nulls::Some, &mut draw);
            let small = column(&Type::Bool, 120, Nulls::Some, &mut draw);
            let table = table(vec![("k", ty.clone(), keys), ("b", Type::Bool, small), ("x", Type::Float64, x)]);
            let outputs = || ["sum", "min", "median"].map(|n| call(n, [col("x")])).to_vec();
            let name = format!("key {ty}, nulls {nulls:?}");
            wrong.extend(check(&name, &job(&["k"], outputs()), &table, targets()));
            wrong.extend(check(&format!("{name}, two keys"), &job(&["b", "k"], outputs()), &table, targets()));
            wrong.extend(check(&format!("{name}, distinct"), &job(&["k"], Vec::new()), &table, targets()));
        }
    }
    finish(wrong);
}

#[test]
fn many_keys_at_once_are_wider_than_a_word() {
    let mut draw = Draw(3);
    let types = types();
    let mut columns: Vec<(String, Type, Vec<Value>)> = Vec::new();
    for (i, ty) in types.iter().enumerate() {
        // Few distinct keys in all, so that groups have rows: every column repeats after a few rows.
        let few = column(ty, 6, Nulls::Some, &mut draw);
        let values = (0..150).map(|r| few[(r * (i % 3 + 1)) % 6].clone()).collect();
        columns.push((format!("k{i}"), ty.clone(), values));
    }
    let x = column(&Type::Float64, 150, Nulls::Some, &mut draw);
    columns.push(("x".into(), Type::Float64, x));
    let table = table(columns.iter().map(|(n, t, v)| (n.as_str(), t.clone(), v.clone())).collect());
    let mut wrong = Vec::new();
    for count in [2, 5, 9, types.len()] {
        let names: Vec<&str> = columns[..count].iter().map(|c| c.0.as_str()).collect();
        let outputs = vec![call("sum", [col("x")]), call("count", []), call("top_k", [col("x"), lit(2)])];
        wrong.extend(check(&format!("{count} keys"), &job(&names, outputs), &table, targets()));
        let names: Vec<&str> = names.into_iter().rev().collect();
        wrong.extend(check(&format!("{count} keys"), &job(&names, Vec::new()), &table, targets()));
    }
    finish(wrong);
}

#[test]
fn no_rows_one_row_one_group_all_distinct() {
    let mut wrong = Vec::new();
    let outputs = || {
        let mut all = aggregates(&Type::Float64);
        all.push(call("max", [col("s")]));
        all
    };
    // The last is more than one morsel of the CPU.
    for rows in [0, 1, 2, 9_000] {
        for distinct in [false, true] {
            let mut draw = Draw(rows as u64);
            let k = (0..rows).map(|r| if distinct { Value::Int((r as i64) * 7_919 % 9_001) } else { Value::Int(4) });
            // Large groups of small numbers: the oracle is patient, but not forever.
            let float = |draw: &mut Draw| Value::Float(draw.below(1000) as f64 / 8.0 - 20.0);
            let x = (0..rows).map(|_| float(&mut draw)).collect();
            let y = (0..rows).map(|_| float(&mut draw)).collect();
            let s = column(&Type::Str, rows, Nulls::Some, &mut draw);
            let table = table(vec![
                ("k", Type::Int32, k.collect()),
                ("x", Type::Float64, x),
                ("y", Type::Float64, y),
                ("s", Type::Str, s),
            ]);
            let name = format!("{rows} rows, {}", if distinct { "all distinct" } else { "one group" });
            let some = || {
                let names = ["sum", "mean", "max", "var_samp", "median", "count_distinct"];
                let mut some = names.map(|n| call(n, [col("x")])).to_vec();
                some.push(call("corr", [col("x"), col("y")]));
                some.push(call("min", [col("s")]));
                some
            };
            let big = rows > 2;
            wrong.extend(check(&name, &job(&["k"], if big { some() } else { outputs() }), &table, targets()));
            wrong.extend(check(
                &format!("{name}, no key"),
                &job(&[], if big { some() } else { outputs() }),
                &table,
                targets(),
            ));
            wrong.extend(check(&format!("{name}, strings"), &job(&["s"], some()), &table, targets()));
        }
    }
    finish(wrong);
}

#[test]
fn hostile_floats_in_one_group() {
    let mut wrong = Vec::new();
    let mut all: Vec<f64> = Vec::new();
    // Every exponent, both signs; cancelling pairs; subnormals.
    for exponent in 0..2047u64 {
        all.push(f64::from_bits(exponent << 52 | (exponent * 0x9_e377_9b97) & ((1 << 52) - 1)));
        all.push(-f64::from_bits((2046 - exponent) << 52 | 1));
    }
    let cases: Vec<(&str, Vec<f64>)> = vec![
        ("every exponent", all.clone()),
        ("far apart", vec![1e300, 1e-300, -1e300]),
        ("cancelling", all[..600].iter().flat_map(|v| [*v, -v]).chain([5e-324]).collect()),
        ("subnormals", (1..200u64).map(f64::from_bits).collect()),
        ("at the edge", vec![f64::MAX, f64::MAX, -f64::MAX, 2f64.powi(970)]),
        ("beyond and back", vec![f64::MAX, f64::MAX, f64::MAX, -f64::MAX, -f64::MAX]),
        ("a tie", vec![1.0, 2f64.powi(-53)]),
        ("a broken tie", vec![1.0, 2f64.powi(-53), 5e-324]),
        ("zeros", vec![-0.0, -0.0]),
        ("NaN", vec![1.0, f64::NAN, f64::INFINITY]),
        ("both infinities", vec![f64::INFINITY, 1.0, f64::NEG_INFINITY]),
        ("one infinity", vec![f64::NEG_INFINITY, f64::MAX, -1.0]),
    ];
    for (name, values) in cases {
        let outputs = ["sum", "mean", "min", "max", "var_pop", "stddev_samp", "median", "count_distinct"]
            .map(|n| call(n, [col("x")]))
            .to_vec();
        let values: Vec<Value> = values.into_iter().map(Value::Float).collect();
        let k = (0..values.len()).map(|r| Value::Str(Arc::from(if r % 3 == 0 { "a" } else { "b" }))).collect();
        let table = table(vec![("x", Type::Float64, values), ("k", Type::Str, k)]);
        wrong.extend(check(name, &job(&[], outputs.clone()), &table, targets()));
        wrong.extend(check(name, &job(&["k"], outputs), &table, targets()));
    }
    finish(wrong);
}
