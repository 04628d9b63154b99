//! The flags of a job, on real data.

use crate::support::{Bench, FLIGHTS, flights};

#[test]
fn the_command_of_the_readme() {
    let table = flights(&["--by", "carrier", "count()", "mean(dep_delay)", "max(distance)", "--format", "table"]);
    let want = "\
┌─────────┬─────────┬─────────────────────┬───────────────┐
│ carrier ┆ count() ┆     mean(dep_delay) ┆ max(distance) │
╞═════════╪═════════╪═════════════════════╪═══════════════╡
│ 9E      ┆     296 ┆  19.602941176470587 ┆          1587 │
│ AA      ┆     489 ┆   8.758835758835758 ┆          2586 │
│ AS      ┆      11 ┆ -2.3636363636363638 ┆          2402 │
│ B6      ┆     798 ┆  11.539141414141413 ┆          2586 │
│ DL      ┆     722 ┆  10.715277777777779 ┆          2586 │
│ EV      ┆     772 ┆  19.064738292011018 ┆          1325 │
│ F9      ┆      10 ┆                30.0 ┆          1620 │
│ FL      ┆      48 ┆   29.76595744680851 ┆           762 │
│ HA      ┆       2 ┆                -3.0 ┆          4983 │
│ MQ      ┆     433 ┆   8.422062350119903 ┆          1147 │
│ OO      ┆       1 ┆                 4.0 ┆          1008 │
│ UA      ┆     861 ┆  11.911556603773585 ┆          4963 │
│ US      ┆     296 ┆  1.0035087719298246 ┆          2153 │
│ VX      ┆      95 ┆  11.021052631578947 ┆          2586 │
│ WN      ┆     182 ┆   22.01129943502825 ┆          2133 │
│ YV      ┆      11 ┆                 8.0 ┆           544 │
└─────────┴─────────┴─────────────────────┴───────────────┘
";
    assert_eq!(table, want);
}

#[test]
fn na_is_null_and_totals_are_exact() {
    let out = flights(&[
        "count()",
        "count(dep_delay)",
        "sum(dep_delay)",
        "min(dep_delay)",
        "max(dep_delay)",
        "median(dep_delay)",
        "count_distinct(dep_delay)",
        "var_samp(dep_delay)",
        "stddev_samp(dep_delay)",
        "sum(distance * 1.609344) as km",
        "count() - count(tailnum) as no_tail",
        "min(tailnum)",
    ]);
    let (header, values) = out.split_once('\n').unwrap();
    assert!(header.starts_with("count(),count(dep_delay),sum(dep_delay),"), "{header}");
    assert_eq!(
        values,
        "5027,4894,60811,-19,373,-2.0,230,1497.3003120476606,38.69496494439116,8394500.847744001,50,N0EGMQ\n"
    );
}

#[test]
fn where_filters_and_several_are_joined() {
    let cancelled = flights(&["--by", "origin", "count() as n", "--where", "dep_delay is null"]);
    assert_eq!(cancelled, "origin,n\nEWR,50\nJFK,30\nLGA,53\n");
    let both = flights(&["count()", "--where", "dep_delay is null", "--where", "origin = 'JFK'"]);
    assert_eq!(both, "count()\n30\n");
}

#[test]
fn maps_keys_having_order_and_limit() {
    let out = flights(&[
        "--map",
        "late = dep_delay > 60",
        "--map",
        "very = late and dep_delay > 60",
        "--by",
        "carrier",
        "sum(case when very then 1 else 0 end) as n",
        "--having",
        "n > 50",
        "--order-by",
        "n desc, carrier",
        "--limit",
        "3",
    ]);
    assert_eq!(out, "carrier,n\nEV,95\nB6,55\nDL,52\n");
}

#[test]
fn by_takes_expressions_with_names() {
    let out = flights(&[
        "--by",
        "year(time_hour) as y, month(time_hour) as m",
        "count()",
        "--order-by",
        "y desc, m",
        "--limit",
        "3",
    ]);
    assert_eq!(out, "y,m,count()\n2014,1,2\n2013,1,402\n2013,2,371\n");
    let out = flights(&["--by", "lower(origin)", "--by", "hour < 12 as am", "count()", "--limit", "2"]);
    assert!(out.starts_with("lower(origin),am,count()\newr,false,"), "{out}");
}

#[test]
fn keys_alone_are_distinct_values() {
    assert_eq!(flights(&["--by", "origin"]), "origin\nEWR\nJFK\nLGA\n");
}

#[test]
fn unordered_gives_the_same_groups() {
    let mut lines: Vec<String> =
        flights(&["--by", "dest", "count()", "--unordered"]).lines().map(str::to_owned).collect();
    let sorted = flights(&["--by", "dest", "count()"]);
    lines[1..].sort();
    assert_eq!(lines.join("\n") + "\n", sorted);
}

#[test]
fn lists_and_unnest() {
    assert_eq!(flights(&["top_k(distance, 3) as far"]), "far\n\"[4983,4983,4963]\"\n");
    assert_eq!(flights(&["unnest(bottom_k(distance, 2)) as near"]), "near\n80\n94\n");
}

#[test]
fn neither_threads_nor_chunks_matter() {
    let job = ["--by", "carrier,dest", "mean(air_time / 60)", "stddev_samp(distance * 1.609344)", "median(arr_delay)"];
    let want = flights(&job);
    assert_eq!(want.lines().count(), 1 + flights(&["--by", "carrier,dest"]).lines().count() - 1);
    for (threads, size) in [("1", "1K"), ("2", "4096"), ("3", "1MiB"), ("1", "64MB")] {
        assert_eq!(
            flights(&[&job[..], &["--threads", threads, "--chunk-size", size]].concat()),
            want,
            "{threads} {size}"
        );
    }
}

#[test]
fn the_gpu_gives_the_same_bytes_and_software_is_named() {
    let bench = Bench::new();
    let listed = bench.run(["devices", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    let Some(first) = listed["adapters"].as_array().and_then(|a| a.first()) else {
        return crate::support::skip("no GPU adapter, not even a software one");
    };
    let job = ["agg", FLIGHTS, "--by", "carrier", "count()", "mean(dep_delay)", "sum(distance * 1.609344)"];
    let cpu = bench.run([&job[..], &["--device", "cpu"]].concat());
    let gpu = bench.run([&job[..], &["--device", "gpu:0"]].concat());
    assert_eq!((gpu.code, &gpu.out), (Some(0), &cpu.out), "{}", gpu.err);
    if first["kind"] == "software" {
        assert!(gpu.err.contains("tidemill: note: ran on ") && gpu.err.contains("a software adapter"), "{}", gpu.err);
    }
}

#[test]
fn explain_plans_and_does_not_run() {
    let bench = Bench::new();
    let out = bench.agg(&[
        FLIGHTS,
        "--by",
        "carrier",
        "mean(dep_delay) as m",
        "--where",
        "month = 1",
        "--explain",
        "--output",
        "no.csv",
    ]);
    for line in
        ["input    ", "device   cpu", "filter   month = 1", "key      carrier string = carrier", "output   m float64"]
    {
        assert!(out.lines().any(|l| l.starts_with(line)), "{line:?} in {out}");
    }
    assert!(out.contains("3 of 19 columns"), "{out}");
    assert!(bench.names().is_empty());
}

#[test]
fn the_ledger_adds_up() {
    let bench = Bench::new();
    let job = ["agg", FLIGHTS, "--by", "origin", "count()", "--where", "month <= 6", "--limit", "2", "--device", "cpu"];
    let json = bench.run([&job[..], &["--stats=json"]].concat());
    let ledger: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    let number = |name: &str| ledger[name].as_u64().unwrap_or_else(|| panic!("{name} in {ledger}"));
    assert_eq!((number("rows_read"), number("rows_grouped"), number("rows_filtered")), (5027, 2481, 2546));
    assert_eq!((number("rows_rejected"), number("groups"), number("rows_emitted")), (0, 3, 2));
    assert_eq!(ledger["device_reason"], "asked for");
    let text = bench.run([&job[..], &["--stats"]].concat());
    assert!(text.err.starts_with("rows     5027 read = 2546 filtered + 0 rejected + 2481 grouped\n"), "{}", text.err);
    assert_eq!(text.out, json.out);
}
