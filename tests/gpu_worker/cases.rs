//! Every state over every class, by every way to find groups.

use std::sync::Arc;

use tidemill::backend::cpu::Cpu;
use tidemill::backend::gpu::{Adapter, GpuOptions, Strategy};
use tidemill::column::Chunk;
use tidemill::plan::Stage;

use crate::data::{Fill, columns, table};
use crate::oracle;
use crate::rig::{everywhere, gpu, project, run, stage};

const PLAIN: Fill = Fill { keys: 9, nulls: 0, finite: true };
const NULLS: Fill = Fill { keys: 9, nulls: 5, finite: false };

fn options(strategy: Strategy, rows: Option<usize>) -> GpuOptions {
    GpuOptions { strategy, rows, ..GpuOptions::default() }
}

/// GPU and CPU give what the row loop gives.
fn check(
    adapter: &Adapter,
    place: &str,
    options: &[GpuOptions],
    stage: &Arc<Stage>,
    chunks: &[Arc<Chunk>],
) -> Vec<String> {
    let chunks = project(stage, chunks);
    let want = oracle::run(stage, &chunks);
    let (cpu, _) = run(&Cpu::new(1), stage, &chunks).expect("the CPU runs every stage");
    cpu.assert_is(&want, &format!("{place}, cpu"));
    let mut details = Vec::new();
    for options in options {
        let place = format!("{place}, {:?}, {:?} rows", options.strategy, options.rows);
        let (got, more) =
            run(&gpu(adapter, options.clone()), stage, &chunks).unwrap_or_else(|e| panic!("{place}: {e:?}"));
        got.assert_is(&want, &place);
        details.extend(more);
    }
    details
}

#[test]
fn sums_counts_and_extremes_by_an_int_key_through_the_sort() {
    everywhere(|adapter, place| {
        let stage = stage(&columns(), None, &["k"], &["rows", "sum; i", "count; i", "min; i", "max; i"]);
        let details = check(adapter, place, &[options(Strategy::Sort, None)], &stage, &table(1, &[3000], PLAIN));
        assert!(details[0].contains("sort, "), "{details:?}");
    });
}

#[test]
fn every_state_of_every_class() {
    let integers = ["i", "h", "w", "u", "q", "d"];
    let others = ["f", "e", "b", "s", "t"];
    everywhere(|adapter, place| {
        let mut states = vec!["rows".to_owned()];
        for x in integers.iter().chain(&others) {
            states.extend(["count", "min", "max"].map(|name| format!("{name}; {x}")));
        }
        for x in ["i", "h", "w", "u", "f", "e"] {
            states.push(format!("sum; {x}"));
            states.push(format!("product; {x}; {x}"));
        }
        states.extend(["product; f; g", "product; i; h", "product; w; u", "sum; f * g", "min; -f"].map(String::from));
        let states: Vec<&str> = states.iter().map(String::as_str).collect();
        let stage = stage(&columns(), None, &["k"], &states);
        let ways = [options(Strategy::Sort, None), options(Strategy::Direct, Some(1000))];
        check(adapter, place, &ways, &stage, &table(2, &[2500, 1111], NULLS));
    });
}

#[test]
fn bags_of_every_class() {
    everywhere(|adapter, place| {
        let mut states = Vec::new();
        for (x, name) in
            ["f", "i", "w", "s", "b", "h", "e", "c"].iter().zip(["all", "top", "bottom", "distinct"].iter().cycle())
        {
            states.push(format!("{name}; {x}"));
        }
        states.extend(["distinct; f", "bottom; f", "top; s", "count; f", "max; s"].map(String::from));
        let states: Vec<&str> = states.iter().map(String::as_str).collect();
        // Nothing but bags: groups whose values are all null are groups all the same.
        let nulls = Fill { nulls: 2, ..NULLS };
        for keys in [&["id"][..], &["s"], &[]] {
            let stage = stage(&columns(), Some("k < 5"), keys, &["all; f", "distinct; s"]);
            check(
                adapter,
                &format!("{place}, by {keys:?}"),
                &[options(Strategy::Auto, None)],
                &stage,
                &table(9, &[900], nulls),
            );
        }
        for keys in [&["k"][..], &[], &["s", "b"]] {
            let stage = stage(&columns(), None, keys, &states);
            let ways = [options(Strategy::Auto, None), options(Strategy::Sort, Some(700))];
            check(adapter, &format!("{place}, by {keys:?}"), &ways, &stage, &table(3, &[1500, 600], NULLS));
        }
    });
}

#[test]
fn keys_of_every_class_and_several_at_once() {
    everywhere(|adapter, place| {
        for keys in [
            &["k"][..],
            &["s"],
            &["f"],
            &["c"],
            &["w"],
            &["u"],
            &["b"],
            &["id"],
            &["d", "s", "b"],
            &["w", "c", "k", "i"],
            &["k + h", "lower(s)", "w > 3"],
            &["null", "k"],
        ] {
            let stage = stage(&columns(), None, keys, &["rows", "sum; g", "min; s"]);
            let ways = [options(Strategy::Auto, None), options(Strategy::Sort, Some(1024))];
            check(adapter, &format!("{place}, by {keys:?}"), &ways, &stage, &table(4, &[900, 1300], NULLS));
        }
    });
}

#[test]
fn one_group_all_distinct_and_few() {
    everywhere(|adapter, place| {
        let states = ["rows", "sum; f", "max; i", "count; f", "product; i; i"];
        for (keys, way) in [(&[][..], "one group"), (&["id"], "sort"), (&["z"], "direct"), (&["1 + 1"], "one group")] {
            let stage = stage(&columns(), None, keys, &states);
            let details = check(
                adapter,
                place,
                &[options(Strategy::Auto, None)],
                &stage,
                &table(5, &[5000], Fill { nulls: 0, ..NULLS }),
            );
            assert!(details[0].contains(way), "{keys:?}: {details:?}");
        }
        // No state at all: distinct keys; no key and no state: nothing but a count of rows.
        for keys in [&["s"][..], &[]] {
            check(
                adapter,
                place,
                &[options(Strategy::Auto, None)],
                &stage(&columns(), None, keys, &[]),
                &table(5, &[500], NULLS),
            );
        }
    });
}

#[test]
fn filters_and_errors_are_counted_and_named() {
    everywhere(|adapter, place| {
        for (filter, keys, states) in [
            (Some("h > 0 and b"), &["k"][..], &["rows", "sum; f", "min; s", "all; q"][..]),
            (Some("h > 40000"), &["k"], &["rows", "sum; i"]),
            (None, &["k"], &["sum; i + h", "count; i * 3"]),
            (None, &["100 // z"], &["rows", "max; h"]),
            (Some("10 // z > 2"), &["k"], &["sum; cast(h as int8)", "distinct; 7 // z"]),
            (Some("starts_with(s, 'a') or k > 3"), &["upper(s)"], &["rows", "max; length(s)", "sum; try(100 // z)"]),
            (Some("s < 'm'"), &["k"], &["min; concat(s, '!')", "top; cast(cast(q as string) as int8)"]),
        ] {
            let stage = stage(&columns(), filter, keys, states);
            let place = format!("{place}, where {filter:?} by {keys:?}");
            let ways = [options(Strategy::Auto, None), options(Strategy::Sort, Some(1024))];
            check(adapter, &place, &ways, &stage, &table(6, &[0, 1400, 1, 1500], NULLS));
        }
    });
}

#[test]
fn wide_exponents_take_several_windows() {
    everywhere(|adapter, place| {
        let stage = stage(&columns(), None, &["z"], &["sum; f", "product; f; f", "product; w; w", "sum; w"]);
        let details = check(adapter, place, &[options(Strategy::Auto, None)], &stage, &table(7, &[2000], PLAIN));
        let windows = details[0].split(" windows").next().and_then(|s| s.rsplit(' ').next()).map(str::parse::<u32>);
        assert!(matches!(windows, Some(Ok(20..))), "{details:?}");
    });
}

#[test]
fn sizes_around_workgroups_and_batches() {
    everywhere(|adapter, place| {
        let stage = stage(&columns(), Some("q > 20"), &["k", "b"], &["rows", "sum; i", "min; f", "distinct; z"]);
        for rows in [1, 2, 31, 32, 33, 63, 64, 65, 257] {
            let ways = [options(Strategy::Auto, None), options(Strategy::Sort, Some(rows / 3 + 1))];
            check(adapter, &format!("{place}, {rows} rows"), &ways, &stage, &table(8, &[rows], NULLS));
        }
    });
}

#[test]
fn an_explanation_names_what_runs_where() {
    everywhere(|adapter, place| {
        let stage = stage(&columns(), Some("s like 'a%'"), &["k"], &["sum; exp(g)", "max; s", "all; i"]);
        let explained = gpu(adapter, options(Strategy::Auto, Some(5000))).explanation(&stage).expect(place);
        assert!(explained.wgsl.contains("fn main"), "{place}");
        assert!(explained.source.contains(&explained.wgsl), "{place}");
        assert_eq!(explained.rows, 5000);
        assert!(
            explained.host.iter().any(|line| line.contains("exp(g)") && line.contains("libm")),
            "{:?}",
            explained.host
        );
        assert!(explained.host.iter().any(|line| line.contains("once per distinct value")), "{:?}", explained.host);
        assert!(explained.inputs.iter().any(|line| line.starts_with("column k: I32")), "{:?}", explained.inputs);
        assert!(
            explained.reductions.iter().any(|line| line.contains("in as many windows")),
            "{:?}",
            explained.reductions
        );
        let lines = explained.lines(false).join("\n");
        assert!(lines.contains("strategy by the bits"), "{lines}");
    });
}

#[test]
fn rates_are_positive() {
    everywhere(|adapter, place| {
        let rates = gpu(adapter, GpuOptions::default()).measure().expect(place);
        println!("{place}: {rates:?}");
        assert!(
            rates.upload > 0.0 && rates.readback > 0.0 && rates.reduce > 0.0 && rates.submission > 0.0,
            "{rates:?}"
        );
    });
}
