//! Random jobs over random tables: the oracle, the CPU and every GPU adapter give the same bytes, or the same error.
//!
//! `TIDEMILL_RANDOM_CASES=N` runs N cases, each on every target (by default 64, the GPU
//! adapters every eighth), `TIDEMILL_RANDOM_SEED=S` others than the usual ones.

#![cfg(not(feature = "fast-float"))]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use support::{Target, input, targets};
use tidemill::Job;
use tidemill::backend::oracle::{self, Table};
use tidemill::column::{Type, Unit, Value};
use tidemill::expr::{Expr, call, case, col, lit, null};
use tidemill::plan::{Named, Order};

/// The columns every table has, so that expressions can be made before the rows are.
fn columns() -> Vec<(&'static str, Type)> {
    vec![
        ("b", Type::Bool),
        ("i8", Type::Int8),
        ("i32", Type::Int32),
        ("i64", Type::Int64),
        ("u16", Type::UInt16),
        ("u64", Type::UInt64),
        ("f32", Type::Float32),
        ("f", Type::Float64),
        ("g", Type::Float64),
        ("d", Type::Decimal { precision: 7, scale: 2 }),
        ("e", Type::Decimal { precision: 38, scale: 12 }),
        ("day", Type::Date),
        ("at", Type::Timestamp(Unit::Milli)),
        ("s", Type::Str),
        ("t", Type::Str),
    ]
}

fn float() -> BoxedStrategy<f64> {
    prop_oneof![
        4 => (-50i32..50).prop_map(|v| f64::from(v) / 4.0),
        2 => any::<u64>().prop_map(f64::from_bits),
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MAX, 1e300, -1e300, 1e-300]),
        1 => (-1074i32..1024).prop_map(power_of_two),
    ]
    .boxed()
}

fn power_of_two(e: i32) -> f64 {
    if e < -1022 { f64::from_bits(1 << (e + 1074)) } else { f64::from_bits(((e + 1023) as u64) << 52) }
}

fn value(ty: &Type) -> BoxedStrategy<Value> {
    let ints = |low: i64, high: i64| {
        prop_oneof![3 => (-4i64..9).prop_map(move |v| v.clamp(low, high)), 1 => low..=high, 1 => prop::sample::select(vec![low, high])]
            .prop_map(Value::Int)
            .boxed()
    };
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Int8 => ints(-128, 127),
        Type::UInt16 => ints(0, 65535),
        Type::Int32 => ints(i32::MIN.into(), i32::MAX.into()),
        Type::Date => prop_oneof![(-3i64..3), (-719_162i64..2_932_896), (i64::from(i32::MIN)..=i64::from(i32::MAX))]
            .prop_map(Value::Int)
            .boxed(),
        Type::Timestamp(_) => prop_oneof![3 => -90_000_000i64..90_000_000, 1 => -62_135_596_800_000i64..253_402_300_799_999, 1 => any::<i64>()]
            .prop_map(Value::Int)
            .boxed(),
        Type::UInt64 => prop_oneof![3 => 0u64..6, 1 => any::<u64>(), 1 => Just(u64::MAX)]
            .prop_map(|v| Value::Wide(v.into()))
            .boxed(),
        Type::Decimal { precision, .. } => {
            let limit = 10i128.pow((*precision).into()) - 1;
            prop_oneof![3 => -600i128..600, 1 => -limit..=limit, 1 => prop::sample::select(vec![limit, -limit])]
                .prop_map(Value::Wide)
                .boxed()
        }
        Type::Float32 => prop_oneof![
            3 => (-50i32..50).prop_map(|v| v as f32 / 4.0),
            1 => any::<u32>().prop_map(f32::from_bits),
        ]
        .prop_map(|v| Value::Float(v.into()))
        .boxed(),
        Type::Float64 => float().prop_map(Value::Float).boxed(),
        Type::Str => prop_oneof![4 => "[abAé%_ ]{0,3}", 1 => "\\PC{0,6}", 1 => Just("12".to_owned())]
            .prop_map(|s| Value::Str(s.into()))
            .boxed(),
        _ => ints(i64::MIN, i64::MAX),
    }
}

/// A column: its values drawn from a few (skewed), or each its own; with no, some or only nulls.
fn column(ty: Type, rows: usize) -> BoxedStrategy<Vec<Value>> {
    let few = prop::collection::vec(value(&ty), 1..5);
    let skewed = (few, prop::collection::vec(any::<prop::sample::Index>(), rows)).prop_map(|(few, picks)| {
        picks.iter().map(|p| few[p.index(few.len() * few.len()) % few.len()].clone()).collect()
    });
    let own = prop::collection::vec(value(&ty), rows);
    let values = prop_oneof![skewed.boxed(), own.boxed()];
    let nulls = prop_oneof![
        3 => Just(vec![false; rows]).boxed(),
        3 => prop::collection::vec(prop::bool::weighted(0.2), rows).boxed(),
        1 => prop::collection::vec(prop::bool::weighted(0.9), rows).boxed(),
        1 => Just(vec![true; rows]).boxed(),
    ];
    (values, nulls)
        .prop_map(|(values, nulls): (Vec<Value>, Vec<bool>)| {
            values.into_iter().zip(nulls).map(|(v, n)| if n { Value::Null } else { v }).collect()
        })
        .boxed()
}

fn table() -> impl Strategy<Value = Table> {
    // The largest are more than one morsel of the CPU.
    let rows =
        prop_oneof![20 => Just(0usize), 20 => Just(1), 140 => 2usize..40, 20 => 100usize..300, 1 => 8_000usize..9_000];
    rows.prop_flat_map(|rows| {
        let all: Vec<_> = columns().into_iter().map(|(_, ty)| column(ty, rows)).collect();
        all.prop_map(move |all| Table {
            columns: columns().into_iter().map(|(n, t)| (n.to_owned(), t)).collect(),
            rows: (0..rows).map(|r| all.iter().map(|c| c[r].clone()).collect()).collect(),
        })
    })
}

/// What an expression is; which type exactly is the binder's to say.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Bool,
    Int,
    Wide,
    Float,
    Day,
    Time,
    Str,
}

const KINDS: [Kind; 7] = [Kind::Bool, Kind::Int, Kind::Wide, Kind::Float, Kind::Day, Kind::Time, Kind::Str];
const NUMBERS: [Kind; 3] = [Kind::Int, Kind::Wide, Kind::Float];

fn leaf(kind: Kind) -> BoxedStrategy<Expr> {
    let columns = |names: &'static [&'static str]| prop::sample::select(names).prop_map(col);
    match kind {
        Kind::Bool => prop_oneof![5 => Just(col("b")), 1 => any::<bool>().prop_map(lit)].boxed(),
        Kind::Int => prop_oneof![4 => columns(&["i8", "i32", "i64", "u16"]), 1 => (-3i64..8).prop_map(lit)].boxed(),
        Kind::Wide => columns(&["u64", "d", "e"]).boxed(),
        Kind::Float => prop_oneof![
            5 => columns(&["f32", "f", "g"]),
            1 => float().prop_map(lit),
        ]
        .boxed(),
        Kind::Day => Just(col("day")).boxed(),
        Kind::Time => Just(col("at")).boxed(),
        Kind::Str => prop_oneof![5 => columns(&["s", "t"]), 1 => "[abé]{0,2}".prop_map(lit)].boxed(),
    }
}

fn same(of: impl Fn(Kind) -> BoxedStrategy<Expr> + 'static) -> BoxedStrategy<(Expr, Expr)> {
    prop::sample::select(KINDS.as_slice()).prop_flat_map(move |k| (of(k), of(k))).boxed()
}

fn number(depth: u32) -> BoxedStrategy<Expr> {
    prop::sample::select(NUMBERS.as_slice()).prop_flat_map(move |k| expr(k, depth)).boxed()
}

/// A scalar expression of a kind.
fn expr(kind: Kind, depth: u32) -> BoxedStrategy<Expr> {
    if depth == 0 {
        return leaf(kind);
    }
    let d = depth - 1;
    let sub = move |k: Kind| expr(k, d);
    let any_kind = || prop::sample::select(KINDS.as_slice()).prop_flat_map(move |k| expr(k, d)).boxed();
    let arithmetic = |kind: Kind| {
        (prop::sample::select(vec!['+', '-', '*', '/', '%']), sub(kind), prop_oneof![sub(kind), leaf(Kind::Int)])
            .prop_map(move |(op, a, b)| match op {
                '+' => a + b,
                '-' => a - b,
                '*' => a * b,
                '/' if kind == Kind::Float => a / b,
                '/' => a.int_div(b),
                _ => a % b,
            })
    };
    let one = |names: &'static [&'static str], arg: BoxedStrategy<Expr>| {
        (prop::sample::select(names), arg).prop_map(|(name, x)| call(name, [x])).boxed()
    };
    let own: BoxedStrategy<Expr> = match kind {
        Kind::Bool => prop_oneof![
            4 => (prop::sample::select(vec!["<", "<=", "=", "<>", ">", ">="]), same(sub)).prop_map(|(op, (a, b))| match op {
                "<" => a.lt(b),
                "<=" => a.le(b),
                "=" => a.eq(b),
                "<>" => a.ne(b),
                ">" => a.gt(b),
                _ => a.ge(b),
            }),
            2 => (number(d), number(d)).prop_map(|(a, b)| a.lt(b)),
            2 => (sub(Kind::Bool), sub(Kind::Bool), any::<bool>()).prop_map(|(a, b, and)| if and { a.and(b) } else { a.or(b) }),
            1 => sub(Kind::Bool).prop_map(|a| !a),
            1 => (any_kind(), any::<bool>()).prop_map(|(a, not)| if not { a.is_not_null() } else { a.is_null() }),
            1 => (sub(Kind::Int), sub(Kind::Int), sub(Kind::Int)).prop_map(|(a, b, c)| a.between(b, c)),
            1 => (sub(Kind::Int), prop::collection::vec(leaf(Kind::Int), 1..4)).prop_map(|(a, list)| a.in_list(list)),
            1 => (sub(Kind::Str), "[ab%_é]{0,3}").prop_map(|(a, pattern)| a.like(pattern.as_str())),
            1 => one(&["is_nan", "is_finite"], sub(Kind::Float)),
        ]
        .boxed(),
        Kind::Int => prop_oneof![
            4 => arithmetic(Kind::Int),
            1 => one(&["abs", "sign"], sub(Kind::Int)),
            1 => sub(Kind::Int).prop_map(|a| -a),
            1 => sub(Kind::Bool).prop_map(|a| a.cast(Type::Int64)),
            1 => number(d).prop_map(|a| a.cast(Type::Int64)),
            1 => (number(d), prop::sample::select(vec![Type::Int8, Type::Int32, Type::UInt32, Type::Int64])).prop_map(|(a, ty)| a.try_cast(ty)),
            1 => one(&["year", "month", "day", "quarter", "week", "isoyear", "dow", "isodow", "doy"], sub(Kind::Day)),
            1 => one(&["year", "hour", "minute", "second", "day", "week"], sub(Kind::Time)),
            1 => one(&["length"], sub(Kind::Str)),
            1 => (sub(Kind::Day), sub(Kind::Day)).prop_map(|(a, b)| a - b),
        ]
        .boxed(),
        Kind::Wide => prop_oneof![
            4 => arithmetic(Kind::Wide),
            1 => one(&["abs", "floor", "ceil", "trunc", "round"], sub(Kind::Wide)),
            1 => (sub(Kind::Wide), 0i64..4).prop_map(|(a, digits)| call("round", [a, lit(digits)])),
            1 => (number(d), 0u8..6).prop_map(|(a, scale)| a.try_cast(Type::Decimal { precision: 20, scale })),
            1 => number(d).prop_map(|a| a.cast(Type::Decimal { precision: 38, scale: 3 })),
            1 => number(d).prop_map(|a| a.try_cast(Type::UInt64)),
        ]
        .boxed(),
        Kind::Float => prop_oneof![
            5 => arithmetic(Kind::Float),
            2 => (number(d), number(d)).prop_map(|(a, b)| a / b),
            1 => one(&["abs", "floor", "ceil", "trunc", "round", "sqrt"], sub(Kind::Float)),
            1 => number(d).prop_map(|a| a.cast(Type::Float64)),
            1 => number(d).prop_map(|a| a.try_cast(Type::Float32)),
            1 => (sub(Kind::Float), sub(Kind::Int)).prop_map(|(a, b)| a * b),
            1 => one(&["exp", "ln", "log10"], sub(Kind::Float)),
            1 => (sub(Kind::Float), sub(Kind::Float)).prop_map(|(a, b)| call("pow", [a, b])),
        ]
        .boxed(),
        Kind::Day => prop_oneof![
            2 => (sub(Kind::Day), leaf(Kind::Int)).prop_map(|(a, n)| a + n),
            1 => (prop::sample::select(vec!["year", "quarter", "month", "week"]), sub(Kind::Day)).prop_map(|(p, a)| call("date_trunc", [lit(p), a])),
            1 => sub(Kind::Time).prop_map(|a| a.try_cast(Type::Date)),
        ]
        .boxed(),
        Kind::Time => prop_oneof![
            2 => (prop::sample::select(vec!["year", "month", "week", "day", "hour", "minute", "second"]), sub(Kind::Time)).prop_map(|(p, a)| call("date_trunc", [lit(p), a])),
            1 => sub(Kind::Day).prop_map(|a| a.try_cast(Type::Timestamp(Unit::Milli))),
        ]
        .boxed(),
        Kind::Str => prop_oneof![
            2 => one(&["lower", "upper", "trim"], sub(Kind::Str)),
            1 => (sub(Kind::Str), sub(Kind::Str)).prop_map(|(a, b)| call("concat", [a, b])),
            1 => (sub(Kind::Str), -2i64..4, 0i64..3).prop_map(|(a, from, n)| call("substr", [a, lit(from), lit(n)])),
            1 => any_kind().prop_map(|a| a.cast(Type::Str)),
        ]
        .boxed(),
    };
    prop_oneof![
        3 => leaf(kind),
        6 => own,
        1 => (sub(Kind::Bool), sub(kind), sub(kind)).prop_map(|(c, a, b)| case([(c, a)], b)),
        1 => (sub(kind), sub(kind)).prop_map(|(a, b)| call("coalesce", [a, b])),
        1 => (sub(kind), sub(kind)).prop_map(|(a, b)| call("nullif", [a, b])),
        1 => (sub(kind), sub(kind), any::<bool>()).prop_map(|(a, b, least)| call(if least { "least" } else { "greatest" }, [a, b])),
        2 => sub(kind).prop_map(|a| call("try", [a])),
        1 => (sub(Kind::Bool), sub(kind)).prop_map(|(c, a)| case([(c, a)], null())),
    ]
    .boxed()
}

fn any_expr(depth: u32) -> BoxedStrategy<Expr> {
    prop::sample::select(KINDS.as_slice()).prop_flat_map(move |k| expr(k, depth)).boxed()
}

/// Mostly shallow, often wrapped so that errors do not end every job.
fn argument(kind: BoxedStrategy<Expr>) -> BoxedStrategy<Expr> {
    (kind, prop::bool::weighted(0.6)).prop_map(|(e, safe)| if safe { call("try", [e]) } else { e }).boxed()
}

fn aggregate() -> BoxedStrategy<Expr> {
    let one = |names: &'static [&'static str], arg: BoxedStrategy<Expr>| {
        (prop::sample::select(names), argument(arg)).prop_map(|(name, x)| call(name, [x])).boxed()
    };
    let pair = (
        prop::sample::select(vec!["corr", "covar_samp", "covar_pop", "max_by", "arg_min"]),
        argument(number(1)),
        argument(number(1)),
    );
    prop_oneof![
        1 => Just(call("count", [])),
        1 => one(&["count"], any_expr(1)),
        5 => one(&["sum", "mean", "var_samp", "var_pop", "stddev_samp", "stddev_pop", "median"], number(2)),
        3 => one(&["min", "max", "any_value", "count_distinct"], any_expr(2)),
        1 => one(&["bool_and", "bool_or"], expr(Kind::Bool, 2)),
        1 => (argument(number(1)), prop::sample::select(vec![0.0, 0.1, 1.0 / 3.0, 0.5, 0.75, 0.9999, 1.0])).prop_map(|(x, p)| call("quantile", [x, lit(p)])),
        3 => pair.prop_map(|(name, x, y)| call(name, [x, y])),
    ]
    .boxed()
}

/// Over aggregates.
fn output() -> BoxedStrategy<Expr> {
    let list = (prop::sample::select(vec!["top_k", "bottom_k"]), argument(any_expr(1)), 1i64..5)
        .prop_map(|(name, x, k)| call(name, [x, lit(k)]));
    let list = list.boxed();
    prop_oneof![
        6 => aggregate(),
        1 => (argument(number(1)), argument(number(1))).prop_map(|(a, b)| call("max", [a]) - call("min", [b])),
        1 => aggregate().prop_map(|a| call("count", [col("i8")]).int_div(call("count", [])) + a.is_null().cast(Type::Int64)),
        1 => aggregate().prop_map(|a| call("coalesce", [a.clone().is_null(), a.is_not_null()])),
        1 => list.clone(),
        1 => list.prop_map(|l| call("unnest", [l])),
    ]
    .boxed()
}

fn job() -> impl Strategy<Value = Job> {
    let filter = prop::option::weighted(0.5, argument(expr(Kind::Bool, 2)));
    let maps = prop::collection::vec(any_expr(2), 0..3);
    let keys = prop::collection::vec(prop_oneof![2 => any_expr(0), 1 => argument(any_expr(2))], 0..4);
    let outputs = prop::collection::vec(output(), 0..5);
    let having =
        prop::option::weighted(0.2, (aggregate(), aggregate()).prop_map(|(a, b)| a.is_not_null().or(b.is_null())));
    let terms = prop::collection::vec(
        (any::<prop::sample::Index>(), any::<bool>(), any::<bool>(), prop::option::weighted(0.3, aggregate())),
        0..3,
    );
    let limit = prop::option::weighted(0.3, 0u64..6);
    (filter, maps, keys, outputs, having, terms, limit).prop_map(|(filter, maps, keys, outputs, having, terms, limit)| {
        let mut job = Job { filter, having, limit, ..Job::default() };
        let named = |prefix: &str, i: usize, expr: Expr| Named { name: Some(format!("{prefix}{i}")), expr };
        job.maps = maps.into_iter().enumerate().map(|(i, e)| (format!("m{i}"), e)).collect();
        job.keys = keys.into_iter().enumerate().map(|(i, e)| named("k", i, e)).collect();
        job.aggregates = outputs.into_iter().enumerate().map(|(i, e)| named("o", i, e)).collect();
        // Every map is used once.
        for (i, (name, _)) in job.maps.clone().iter().enumerate() {
            job.aggregates.push(named("used", i, call("max", [call("try", [col(name)])])));
        }
        let is_list = |o: &&Named| !matches!(&o.expr.node, tidemill::expr::ExprNode::Call { name, .. } if name.ends_with("_k"));
        let names: Vec<String> =
            job.keys.iter().chain(job.aggregates.iter().filter(is_list)).filter_map(|n| n.name.clone()).collect();
        for (pick, descending, nulls_first, aggregate) in terms {
            let expr = match aggregate {
                Some(aggregate) => aggregate,
                None if names.is_empty() => continue,
                None => col(names[pick.index(names.len())].as_str()),
            };
            job.order.push(Order { expr, descending, nulls_first });
        }
        job
    })
}

fn splits() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1usize..4, 1usize..20, Just(usize::MAX)], 1..4)
}

fn agree(job: &Job, table: &Table, splits: &[usize], chunk: usize, target: &Target) -> Option<String> {
    let input = input(table, splits);
    let engine = target.engine.clone().chunk_bytes(chunk);
    let expected = oracle::run(job, table, false);
    if let Some(text) = target.difference(&engine, job, &input, &expected) {
        return Some(format!("{}: {text}", target.name));
    }
    if let Err(oracle::Refusal::Row(_)) = expected {
        let text = target.difference(&engine.max_rejects(u64::MAX), job, &input, &oracle::run(job, table, true))?;
        return Some(format!("{} (tolerant): {text}", target.name));
    }
    None
}

/// Rows and job in a form that can be read.
#[derive(Clone)]
struct Shown(Arc<(Table, Job)>);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (table, job) = &*self.0;
        let named = |n: &Named| format!("{} as {}", n.expr, n.title());
        let list = |l: &[Named]| l.iter().map(named).collect::<Vec<_>>().join(", ");
        let parts = format!("{job:?}");
        let used: Vec<usize> = (0..table.columns.len())
            .filter(|i| parts.contains(&format!("Column({:?})", table.columns[*i].0)))
            .collect();
        let shown = Table {
            columns: used.iter().map(|i| table.columns[*i].clone()).collect(),
            rows: table.rows.iter().map(|row| used.iter().map(|i| row[*i].clone()).collect()).collect(),
        };
        writeln!(f, "\n{}", support::render::table(&shown))?;
        job.filter.iter().try_for_each(|e| writeln!(f, "where {e}"))?;
        job.maps.iter().try_for_each(|(n, e)| writeln!(f, "map {n} = {e}"))?;
        writeln!(f, "by {}\nagg {}", list(&job.keys), list(&job.aggregates))?;
        job.having.iter().try_for_each(|e| writeln!(f, "having {e}"))?;
        job.order.iter().try_for_each(|o| {
            writeln!(f, "order {} descending: {} nulls first: {}", o.expr, o.descending, o.nulls_first)
        })?;
        writeln!(f, "limit {:?}", job.limit)
    }
}

/// A case as it runs.
#[derive(Clone, Debug)]
struct Case {
    shown: Shown,
    splits: Vec<usize>,
    chunk: usize,
    /// Whether the GPU adapters run it too.
    gpu: bool,
}

impl Case {
    fn fails(&self) -> Option<String> {
        let (table, job) = &*self.shown.0;
        targets()
            .iter()
            .filter(|t| self.gpu || t.gpu.is_none())
            .find_map(|target| agree(job, table, &self.splits, self.chunk, target))
    }

    fn with(&self, table: Table, job: Job) -> Case {
        Case { shown: Shown(Arc::new((table, job))), ..self.clone() }
    }

    /// Smaller cases: fewer rows, fewer parts of the job, an expression's operand for the expression.
    fn smaller(&self) -> Vec<Case> {
        let (table, job) = &*self.shown.0;
        let mut all = Vec::new();
        let mut length = table.rows.len();
        while length > 0 {
            for at in (0..table.rows.len()).step_by(length) {
                let mut less = table.clone();
                less.rows.drain(at..(at + length).min(table.rows.len()));
                all.push(self.with(less, job.clone()));
            }
            length /= 2;
        }
        let mut jobs = vec![
            Job { filter: None, ..job.clone() },
            Job { having: None, ..job.clone() },
            Job { limit: None, ..job.clone() },
        ];
        macro_rules! parts {
            ($part:ident) => {
                for i in 0..job.$part.len() {
                    let mut less = job.clone();
                    less.$part.remove(i);
                    jobs.push(less);
                }
            };
        }
        parts!(keys);
        parts!(aggregates);
        parts!(order);
        parts!(maps);
        for (i, key) in job.keys.iter().enumerate() {
            jobs.extend(simpler(&key.expr).into_iter().map(|e| {
                let mut less = job.clone();
                less.keys[i].expr = e;
                less
            }));
        }
        for (i, output) in job.aggregates.iter().enumerate() {
            jobs.extend(simpler(&output.expr).into_iter().map(|e| {
                let mut less = job.clone();
                less.aggregates[i].expr = e;
                less
            }));
        }
        for (i, (_, expr)) in job.maps.iter().enumerate() {
            jobs.extend(simpler(expr).into_iter().map(|e| {
                let mut less = job.clone();
                less.maps[i].1 = e;
                less
            }));
        }
        for expr in job.filter.iter().flat_map(simpler) {
            jobs.push(Job { filter: Some(expr), ..job.clone() });
        }
        all.extend(jobs.into_iter().filter(|j| j != job).map(|j| self.with(table.clone(), j)));
        if self.splits != [usize::MAX] {
            all.push(Case { splits: vec![usize::MAX], ..self.clone() });
        }
        if self.chunk < 1 << 24 {
            all.push(Case { chunk: 1 << 24, ..self.clone() });
        }
        all
    }
}

/// The expression with one of its parts in its place.
fn simpler(expr: &Expr) -> Vec<Expr> {
    let children = expr.children();
    let mut all: Vec<Expr> = children.iter().map(|child| (*child).clone()).collect();
    for (i, child) in children.iter().enumerate() {
        for less in simpler(child) {
            let mut at = 0..;
            let replaced: Result<Expr, ()> =
                expr.try_map_children(|c| Ok(if at.next() == Some(i) { less.clone() } else { c.clone() }));
            all.extend(replaced);
        }
    }
    all
}

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_jobs_agree() {
    let asked = number_from_env("TIDEMILL_RANDOM_CASES");
    let cases = asked.unwrap_or(64);
    // Shrinking is done below: it knows what a job is made of.
    let config = Config { max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    let mut seed = [7u8; 32];
    seed[..8].copy_from_slice(&number_from_env("TIDEMILL_RANDOM_SEED").unwrap_or(0).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let chunk = prop::sample::select(vec![1usize, 64, 4096, 1 << 24]);
    let strategy = (table(), job(), splits(), chunk).prop_map(|(table, job, splits, chunk)| Case {
        shown: Shown(Arc::new((table, job))),
        splits,
        chunk,
        gpu: true,
    });
    let (mut ok, mut failed, mut refused) = (0u64, 0u64, 0u64);
    for number in 0..cases {
        let mut case = strategy.new_tree(&mut runner).unwrap().current();
        // Software adapters are slow: unless more is asked for, they take some.
        case.gpu = asked.is_some() || number % 8 == 0;
        let (table, job) = &*case.shown.0;
        match oracle::run(job, table, false) {
            Ok(_) => ok += 1,
            Err(oracle::Refusal::Query(_)) => refused += 1,
            Err(_) => failed += 1,
        }
        let Some(mut why) = case.fails() else { continue };
        support::say(&format!("case {number} fails and is made smaller: {why}"));
        while let Some((less, reason)) = case.smaller().into_iter().find_map(|c| c.fails().map(|why| (c, why))) {
            (case, why) = (less, reason);
        }
        panic!("case {number}: {case:?}\n{why}");
    }
    support::say(&format!("random jobs: {ok} with a result, {failed} with an error, {refused} that do not type-check"));
    // Jobs that do not type-check prove little: the generator must not drift there.
    assert!(refused * 3 <= cases.max(1), "{refused} of {cases} jobs do not type-check");
}
