//! Random programs, filters among them, over random rows; and what a kernel promises beside its values.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use tidemill::column::{Type, Value};
use tidemill::expr::wgsl::{Form, MapOutput};
use tidemill::expr::{Binder, parse};

use crate::generate::{KINDS, Kind, expr, rows};
use crate::operations::of_program;
use crate::run::{check, everywhere, run};
use crate::table::{columns, schema};

#[test]
fn random_programs_agree() {
    let cases = std::env::var("TIDEMILL_MAP_CASES").map_or(60, |n| n.parse().expect("a number of cases"));
    everywhere(|engine, place| {
        let engine = RefCell::new(engine);
        let config =
            ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() };
        let output = (prop::sample::select(&KINDS[..]).prop_flat_map(|kind| expr(kind, 3)), any::<bool>());
        let outputs = prop::collection::vec(output, 1..4);
        let filter = prop::option::of(expr(Kind::Condition, 2));
        let result = TestRunner::new(config).run(&(filter, outputs, rows()), |(filter, outputs, rows)| {
            let schema = schema(&columns());
            let mut binder = Binder::new(&schema);
            let mut bind = |expr| binder.bind(expr).ok();
            // Not every tree has types that fit.
            let filter_id = filter.as_ref().and_then(&mut bind);
            let wanted: Vec<MapOutput> = outputs
                .iter()
                .filter_map(|(expr, key)| {
                    Some(MapOutput { node: bind(expr)?, form: if *key { Form::Key } else { Form::Value } })
                })
                .collect();
            let program = binder.finish();
            let filter_id = filter_id.filter(|id| program.node(*id).ty == Type::Bool);
            let rows = of_program(&program, &rows);
            check(&mut engine.borrow_mut(), &program, filter_id, &wanted, &rows).map(|_| ()).map_err(|error| {
                let shown: Vec<String> = outputs.iter().map(|(expr, _)| expr.to_string()).collect();
                let filter = filter.map(|expr| format!("{expr}"));
                TestCaseError::fail(format!("{error}\nwhere {filter:?}\n{shown:#?}"))
            })
        });
        if let Err(error) = result {
            panic!("{place}: {error}");
        }
    });
}

/// A program as large as people write them compiles in seconds also where every call is inlined.
#[test]
fn a_large_program_compiles_in_time() {
    let schema = schema(&columns());
    let mut binder = Binder::new(&schema);
    let mut outputs = Vec::new();
    let keys = ["year(d)", "month(tm)", "dow(tn)", "date_trunc('week', ts)", "i32 // 10", "s", "u16", "dec"];
    let values = [
        "i64 * i32 - i16",
        "f64 * 1.1 + f32 / f64",
        "sqrt(f64 * f64 + f32 * f32)",
        "dec * (1 - dec) * (1 + dec)",
        "dec / i32",
        "whole // 7",
        "long % dec",
        "case when f64 > 0 then f64 when f32 > 0 then f32 * 2 else i32 / 7 end",
        "greatest(f64, f32, i64)",
        "cast(f64 as decimal(20,4))",
        "cast(dec as float64) - f64",
        "round(f64, 2)",
        "coalesce(try(i64 // i32), 0)",
        "if(b, i64 % 1000, i64 % 999)",
    ];
    let mut bind = |text: &str, form| {
        let node = binder.bind(&parse(text).unwrap()).unwrap();
        outputs.push(MapOutput { node, form });
    };
    keys.iter().for_each(|text| bind(text, Form::Key));
    values.iter().for_each(|text| bind(text, Form::Value));
    let filter = binder.bind(&parse("d >= '2013-01-01' and f64 between 0 and 1e9 and i32 % 3 <> 1 or not b").unwrap());
    let filter = filter.unwrap();
    let program = binder.finish();
    let row: Vec<Value> =
        columns().iter().map(|(_, ty)| crate::table::hostile(ty).pop().unwrap_or(Value::Null)).collect();
    let rows = of_program(&program, &vec![row; 100]);
    everywhere(|engine, place| {
        let took = check(engine, &program, Some(filter), &outputs, &rows).unwrap_or_else(|error| panic!("{error}"));
        println!("{place}: {took:.1?}");
        assert!(took.as_secs() < 60, "{place}: {took:?}");
    });
}

#[test]
fn equal_outputs_share_planes_and_flags_that_nobody_needs_have_none() {
    let schema = schema(&[("a", Type::Int64), ("b", Type::Bool), ("c", Type::Float64)]);
    let mut binder = Binder::new(&schema);
    let mut bind = |text: &str| binder.bind(&parse(text).unwrap()).unwrap();
    let (a, filter, one) = (bind("a"), bind("a // a = 1"), bind("a is null"));
    let program = binder.finish();
    let outputs = [
        MapOutput { node: a, form: Form::Value },
        MapOutput { node: a, form: Form::Key },
        MapOutput { node: a, form: Form::Value },
        MapOutput { node: one, form: Form::Key },
    ];
    // Column 0 is said to be nullable.
    let rows = [Value::Int(5), Value::Null, Value::Int(0)].map(|value| vec![value]);
    everywhere(|engine, _| {
        let got = run(engine, &program, Some(filter), &outputs, &rows);
        // The filter is true, null, and an error.
        assert_eq!([0, 1, 2].map(|row| got.status(row)), [1, 0, 2]);
        let places = &got.kernel.outputs;
        assert_eq!(places[0], places[2]);
        assert_ne!(places[0].first, places[1].first);
        assert_eq!((places[3].words, places[3].valid), (1, None));
        assert_eq!(got.kernel.planes, 1 + 3 + 3 + 1);
        assert_eq!(got.output(0, 0), (5, true));
        assert_eq!(got.output(1, 0), (5 | 1 << 63, true));
        assert_eq!(got.output(3, 0), (0, true));
    });
}

/// More rows than one dimension of workgroups holds.
#[test]
fn rows_are_found_in_folded_workgroups() {
    let schema = schema(&[("a", Type::Int32)]);
    let mut binder = Binder::new(&schema);
    let node = binder.bind(&parse("a + 1").unwrap()).unwrap();
    let program = binder.finish();
    let count = 64 * 65_537 + 5;
    let rows: Vec<Vec<Value>> = (0..count).map(|i| vec![Value::Int(i)]).collect();
    everywhere(|engine, _| {
        let got = run(engine, &program, None, &[MapOutput { node, form: Form::Value }], &rows);
        for row in 0..rows.len() {
            assert_eq!(got.output(0, row), (row as u128 + 1, true));
        }
    });
}
