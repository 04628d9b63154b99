//! Every operation on every class, over all pairs of hostile values.

use std::collections::BTreeSet;
use std::time::Duration;

use tidemill::backend::gpu::Engine;
use tidemill::column::{Schema, Type, Unit, Value};
use tidemill::expr::wgsl::{Form, MapOutput};
use tidemill::expr::{Binder, NodeId, Op, Program, parse};

use crate::run::{check, everywhere};
use crate::table::{DECIMAL, LONG, WHOLE, columns, pairs, schema};

/// Outputs that show an expression's value, null and error in one kernel with others: one that fails has no value, but
/// `try` of it does, and whether it was an error is told by `try(x is null)`.
fn outputs(binder: &mut Binder, text: &str) -> Option<(NodeId, Vec<MapOutput>)> {
    let mut bind = |text: String| binder.bind(&parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"))).ok();
    let id = bind(text.to_owned())?;
    let value = bind(format!("try({text})"))?;
    let failed = bind(format!("try(({text}) is null)"))?;
    Some((
        id,
        vec![
            MapOutput { node: value, form: Form::Value },
            MapOutput { node: value, form: Form::Key },
            MapOutput { node: failed, form: Form::Value },
        ],
    ))
}

/// Tests expressions, some in each kernel; on a difference, says which node of which expression differs.
fn check_all(engine: &mut Engine, schema: &Schema, texts: &[String], rows: &[Vec<Value>], seen: &mut Seen) -> Duration {
    let mut took = Duration::ZERO;
    let bound: Vec<&String> = texts.iter().filter(|text| outputs(&mut Binder::new(schema), text).is_some()).collect();
    for texts in bound.chunks(8) {
        let mut binder = Binder::new(schema);
        let mut ids = Vec::new();
        let mut wanted = Vec::new();
        for text in texts {
            let (id, outputs) = outputs(&mut binder, text).expect("it was bound alone");
            ids.push(id);
            wanted.extend(outputs);
        }
        let program = binder.finish();
        let rows = of_program(&program, rows);
        seen.program(&program);
        match check(engine, &program, None, &wanted, &rows) {
            Ok(time) => took += time,
            Err(error) => {
                for (text, id) in texts.iter().zip(ids) {
                    for node in program.needed(&[id]) {
                        let outputs = [MapOutput { node, form: Form::Value }, MapOutput { node, form: Form::Key }];
                        if let Err(error) = check(engine, &program, None, &outputs, &rows) {
                            panic!("{text}, at node {}: {error}", node.0);
                        }
                    }
                }
                panic!("{texts:?}: {error}");
            }
        }
    }
    took
}

/// Rows of the schema's columns, as the program reads them.
pub fn of_program(program: &Program, rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    rows.iter().map(|row| program.columns.iter().map(|c| row[c.column].clone()).collect()).collect()
}

/// Which operations, with which constants and classes, were run, and whether they were checked.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    fn program(&mut self, program: &Program) {
        for node in &program.nodes {
            let op = format!("{:?}", node.op);
            // Columns, literals and ranges have too many constants to list.
            let name = match node.op {
                Op::DatePart(_) | Op::DateTrunc(_) | Op::FloatRound(_) => op,
                Op::WideRound { rounding, .. } => format!("WideRound({rounding:?})"),
                _ => op.split(['(', ' ']).next().unwrap_or_default().to_owned(),
            };
            let class = node.args.first().map_or(node.class, |arg| program.node(*arg).class);
            self.0.insert(format!("{name} {class:?}{}", if node.checks { " checked" } else { "" }));
            self.0.insert(name);
        }
    }
}

const UNARY: &[&str] = &[
    "a",
    "-a",
    "abs(a)",
    "sign(a)",
    "floor(a)",
    "ceil(a)",
    "trunc(a)",
    "round(a)",
    "round(a, 1)",
    "round(a, -2)",
    "sqrt(a)",
    "is_nan(a)",
    "is_finite(a)",
    "a is null",
    "a is not null",
    "try(cast(a as int8)) is null",
    "coalesce(a, b)",
    "not a",
    "a is true",
    "a is not false",
    "a + 1",
    "a - 1",
    "a * 3",
    "a // 7",
    "a % 7",
    "a // -1",
    "a % -1",
    "a // 0",
    "a % 0",
    "a / 0",
    "a < 5",
    "5 <= a",
    "a in (1, 5, null)",
    "a between -7 and 10",
];

const BINARY: &[&str] = &[
    "a + b",
    "a - b",
    "a * b",
    "a / b",
    "a // b",
    "a % b",
    "a = b",
    "a <> b",
    "a < b",
    "a <= b",
    "a > b",
    "a >= b",
    "a is distinct from b",
    "greatest(a, b)",
    "least(a, b)",
    "greatest(b, a, b)",
    "nullif(a, b)",
    "coalesce(try(a // b), b, a)",
    "if(a < b, a, b)",
    "case when a = b then a + b when a > b then null else a // b end",
    "case when a // b > 1 then 1 else 2 end",
    "(a // b) is null",
    "a < b and a // b > 1",
    "a // b > 1 and b < a",
    "a < b or a // b > 1",
    "a // b > 1 or b < a",
    "a % b = 0 and a // b = 1",
    "a % b = 0 or a // b = 1",
    "not (a // b > 1)",
    "if(b < a, null, a // b)",
    "greatest(a // b, a)",
    "a and b",
    "a or b",
    "a and not b",
    "not a or b",
];

const TIME: &[&str] = &[
    "year(a)",
    "quarter(a)",
    "month(a)",
    "week(a)",
    "isoyear(a)",
    "day(a)",
    "dow(a)",
    "isodow(a)",
    "doy(a)",
    "hour(a)",
    "minute(a)",
    "second(a)",
    "millisecond(a)",
    "microsecond(a)",
    "date_trunc('year', a)",
    "date_trunc('quarter', a)",
    "date_trunc('month', a)",
    "date_trunc('week', a)",
    "date_trunc('day', a)",
    "date_trunc('hour', a)",
    "date_trunc('second', a)",
    "date_trunc('millisecond', a)",
    "cast(a as date)",
    "cast(a as int64)",
    "cast(a as int8)",
    "cast(a as timestamp(s))",
    "cast(a as timestamp(ms))",
    "cast(a as timestamp(ns))",
    "a + 1",
    "a - 1",
];

fn casts() -> Vec<String> {
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float32",
        "float64",
        "decimal(3,3)",
        "decimal(10,2)",
        "decimal(38,0)",
        "decimal(38,30)",
        "decimal(38,38)",
        "date",
        "timestamp(us)",
    ]
    .iter()
    .map(|ty| format!("cast(a as {ty})"))
    .collect()
}

fn numbers() -> Vec<(&'static str, Type)> {
    columns().into_iter().filter(|(_, ty)| ty.is_numeric()).collect()
}

/// (type of a, type of b, what is computed)
fn cases() -> Vec<(Type, Type, Vec<String>)> {
    let of = |lists: &[&[&str]]| lists.concat().iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let mut cases = Vec::new();
    for (_, ty) in numbers() {
        cases.push((ty.clone(), ty, [of(&[UNARY, BINARY]), casts()].concat()));
    }
    let mixed = of(&[&["a + b", "a * b", "a // b", "a % b", "a = b", "a < b", "b <= a", "least(a, b)"]]);
    for (a, b) in [
        (Type::Int32, Type::UInt16),
        (Type::Int64, Type::UInt64),
        (DECIMAL, LONG),
        (Type::Int8, DECIMAL),
        (WHOLE, Type::Float64),
        (Type::Float32, Type::Float64),
        (Type::UInt32, Type::UInt8),
        (Type::UInt64, LONG),
    ] {
        cases.push((a, b, mixed.clone()));
    }
    cases.push((Type::Bool, Type::Bool, [of(&[UNARY, BINARY]), casts()].concat()));
    cases.push((Type::Null, Type::Int64, [of(&[UNARY, BINARY]), casts()].concat()));
    for unit in [None, Some(Unit::Second), Some(Unit::Milli), Some(Unit::Micro), Some(Unit::Nano)] {
        let ty = unit.map_or(Type::Date, Type::Timestamp);
        cases.push((
            ty.clone(),
            ty,
            of(&[TIME, &["a - b", "a = b", "a < b", "a <= b", "greatest(a, b)", "a is null"]]),
        ));
    }
    cases.push((
        Type::Date,
        Type::Timestamp(Unit::Milli),
        of(&[&["a - b", "a = b", "a < b", "b <= a", "least(a, b)"]]),
    ));
    cases.push((Type::Date, Type::Int64, of(&[&["a + b", "a - b"]])));
    // Strings are the host's; the device moves their codes and takes what the host made of them, errors included.
    cases.push((
        Type::Str,
        Type::Int64,
        of(&[&[
            "a",
            "upper(a)",
            "a is null",
            "length(a) + b",
            "cast(a as int64)",
            "cast(a as int64) + b",
            "cast(a as float64) * 2.0",
            "coalesce(try(cast(a as int64)), b)",
            "a = '12' and cast(a as int64) = b",
            "ln(b)",
            "cast(a as decimal(10,2))",
            "cast(a as bool)",
            "cast(a as date) + 1",
        ]]),
    ));
    cases
}

#[test]
fn every_operation_agrees_on_hostile_values() {
    everywhere(|engine, place| {
        let mut seen = Seen::default();
        let mut took = Duration::ZERO;
        for (a, b, texts) in cases() {
            let schema = schema(&[("a", a.clone()), ("b", b.clone())]);
            let time = check_all(engine, &schema, &texts, &pairs(&a, &b), &mut seen);
            println!("{place}: {a}, {b}: {time:.1?}");
            took += time;
        }
        println!("{place}: {took:.1?}");
        for name in "Column Literal Null Retype BoolToInt IntToFloat IntToWide WideToInt WideToFloat WideScaleUp \
            FloatToInt FloatToWide FloatToFloat32 IntRange WideRange IntScale IntFloorDiv IntFloorMod Neg Abs Sign \
            Sqrt IsNan IsFinite And Or Not IsNull Select Try \
            WideRound(Floor) WideRound(Ceil) WideRound(Trunc) WideRound(Nearest) \
            FloatRound(Floor) FloatRound(Ceil) FloatRound(Trunc) FloatRound(Nearest) \
            DatePart(Year) DatePart(Quarter) DatePart(Month) DatePart(Week) DatePart(IsoYear) DatePart(Day) \
            DatePart(Dow) DatePart(IsoDow) DatePart(Doy) \
            DateTrunc(Year) DateTrunc(Quarter) DateTrunc(Month) DateTrunc(Week)"
            .split_whitespace()
        {
            assert!(seen.0.contains(name), "{name} was not run");
        }
        for name in ["Neg", "Abs", "Sign", "Add", "Sub", "Mul", "Div", "Rem"] {
            for class in ["Int", "Wide", "Float"] {
                let name = format!("{name} {class}");
                assert!(seen.0.iter().any(|seen| seen.starts_with(&name)), "{name} was not run");
            }
        }
        for name in ["Eq", "Lt", "Le", "Min2", "Max2", "IsNull", "Select", "Try"] {
            for class in ["Bool", "Int", "Wide", "Float"] {
                let name = format!("{name} {class}");
                // The condition is the first argument of a choice.
                assert!(name.starts_with("Select") || seen.0.contains(&name), "{name} was not run");
            }
        }
        for name in [
            "Add Int",
            "Sub Int",
            "Mul Int",
            "Div Int",
            "Rem Int",
            "Neg Int",
            "Abs Int",
            "Add Wide",
            "Sub Wide",
            "Mul Wide",
            "WideToInt Wide",
            "WideScaleUp Wide",
            "IntScale Int",
            "Div Wide",
            "Rem Wide",
            "Div Float",
        ] {
            for checked in ["", " checked"] {
                let name = format!("{name}{checked}");
                assert!(seen.0.contains(&name), "{name} was not run");
            }
        }
    });
}
