//! Output formats and output files.

use crate::support::{Bench, FLIGHTS};

/// A key of each kind of trouble, a number, a null, a float and a list.
const DATA: &str = "k,n,x\nplain,1,0.1\n\"a,\"\"b\"\"\",2,1e300\n\"NA\",,\nNA,4,-0.5\n<|>,5,1\n";
const JOB: [&str; 7] = ["t.csv", "--by", "k", "sum(n) as n", "max(x) as x", "top_k(n, 1) as t", "--format"];

#[test]
fn every_text_format() {
    let bench = Bench::with("t.csv", DATA);
    let as_format = |format| bench.agg(&[&JOB[..], &[format]].concat());
    assert_eq!(
        as_format("csv"),
        "k,n,x,t\n<|>,5,1.0,[5]\n\"NA\",,,[]\n\"a,\"\"b\"\"\",2,1e+300,[2]\nplain,1,0.1,[1]\n,4,-0.5,[4]\n"
    );
    assert_eq!(
        as_format("tsv"),
        "k\tn\tx\tt\n<|>\t5\t1.0\t[5]\n\"NA\"\t\t\t[]\n\"a,\"\"b\"\"\"\t2\t1e+300\t[2]\nplain\t1\t0.1\t[1]\n\t4\t-0.5\t[4]\n"
    );
    let objects = [
        r#"{"k":"<|>","n":5,"x":1.0,"t":[5]}"#,
        r#"{"k":"NA","n":null,"x":null,"t":[]}"#,
        r#"{"k":"a,\"b\"","n":2,"x":1e+300,"t":[2]}"#,
        r#"{"k":"plain","n":1,"x":0.1,"t":[1]}"#,
        r#"{"k":null,"n":4,"x":-0.5,"t":[4]}"#,
    ];
    assert_eq!(as_format("ndjson"), objects.join("\n") + "\n");
    let parsed: serde_json::Value = serde_json::from_str(&as_format("json")).unwrap();
    let want: Vec<serde_json::Value> = objects.iter().map(|o| serde_json::from_str(o).unwrap()).collect();
    assert_eq!(parsed, serde_json::Value::Array(want));
    let markdown = as_format("markdown");
    assert_eq!(markdown.lines().next(), Some("| k | n | x | t |"));
    assert!(markdown.contains("\\|"), "a bar in a cell is escaped: {markdown}");
    assert_eq!(
        as_format("table"),
        "\
┌───────┬──────┬────────┬─────┐
│ k     ┆    n ┆      x ┆ t   │
╞═══════╪══════╪════════╪═════╡
│ <|>   ┆    5 ┆    1.0 ┆ [5] │
│ NA    ┆ null ┆   null ┆ []  │
│ a,\"b\" ┆    2 ┆ 1e+300 ┆ [2] │
│ plain ┆    1 ┆    0.1 ┆ [1] │
│ null  ┆    4 ┆   -0.5 ┆ [4] │
└───────┴──────┴────────┴─────┘
"
    );
}

#[test]
fn binary_formats_read_back() {
    let bench = Bench::with("t.csv", DATA);
    let want = bench.agg(&["t.csv", "--by", "k", "sum(n) as n", "max(x) as x"]);
    for file in ["o.parquet", "o.arrow", "o.feather", "o.csv", "o.tsv"] {
        assert_eq!(bench.agg(&["t.csv", "--by", "k", "sum(n) as n", "max(x) as x", "--output", file]), "");
        assert_eq!(bench.agg(&[file, "--by", "k", "sum(n) as n", "max(x) as x"]), want, "{file}");
    }
    let piped = bench.command(["agg", "t.csv", "count()", "--format", "parquet"]).output().unwrap();
    assert!(piped.stdout.starts_with(b"PAR1") && piped.stdout.ends_with(b"PAR1"));
}

#[test]
fn the_extension_says_the_format_and_the_option_overrules_it() {
    let bench = Bench::with("t.csv", DATA);
    bench.agg(&["t.csv", "count()", "-o", "o.json"]);
    assert_eq!(bench.read("o.json"), "[\n{\"count()\":5}\n]\n");
    bench.agg(&["t.csv", "count()", "-o", "o.md"]);
    assert!(bench.read("o.md").starts_with("| count() |\n| ---: |\n"));
    bench.agg(&["t.csv", "count()", "-o", "o.dat", "--format", "tsv"]);
    assert_eq!(bench.read("o.dat"), "count()\n5\n");
    bench.agg(&["t.csv", "count()", "-o", "o.txt", "--format", "table"]);
    assert!(bench.read("o.txt").contains("│       5 │"));
    assert_eq!(bench.agg(&["t.csv", "count()", "-o", "-"]), "count()\n5\n", "a dash is stdout");
}

#[test]
fn an_output_file_is_replaced_whole_or_not_at_all() {
    let bench = Bench::with("t.csv", DATA);
    bench.write("o.csv", "old");
    // Even the input itself can be replaced by what is made of it.
    bench.agg(&["t.csv", "--by", "k", "count()", "-o", "o.csv"]);
    assert_eq!(bench.read("o.csv").lines().count(), 6);
    let bad = bench.run(["agg", "t.csv", "sum(1 // (n - n))", "-o", "o.csv"]);
    assert_eq!(bad.code, Some(1), "{}", bad.err);
    assert_eq!(bench.read("o.csv").lines().count(), 6, "a failed run leaves the old file");
    assert_eq!(bench.names(), ["o.csv", "t.csv"], "and nothing beside it");
    bench.agg(&["t.csv", "--by", "k", "count() as n", "-o", "t.csv"]);
    assert_eq!(bench.agg(&["t.csv", "sum(n)"]), "sum(n)\n5\n");
}

#[test]
fn listings_are_for_eyes_and_for_programs() {
    let bench = Bench::with("t.csv", "id,when,x,none\n1,2013-01-01,1.5,NA\n2,,NA,NA\n");
    let table = bench.run(["schema", "t.csv"]);
    assert_eq!(
        table.out,
        "\
t.csv: csv, 44 B
┌───┬────────┬─────────┬────────────────────────┐
│ # ┆ column ┆ type    ┆ from                   │
╞═══╪════════╪═════════╪════════════════════════╡
│ 1 ┆ id     ┆ int64   ┆ inferred               │
│ 2 ┆ when   ┆ date    ┆ inferred               │
│ 3 ┆ x      ┆ float64 ┆ inferred               │
│ 4 ┆ none   ┆ string  ┆ guessed: no value seen │
└───┴────────┴─────────┴────────────────────────┘
"
    );
    let json = bench.run(["schema", "t.csv", "--format", "json", "--schema", "id:int32"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["format"], "csv");
    assert_eq!(json["rows"], serde_json::Value::Null);
    let first = serde_json::json!({"name": "id", "type": "int32", "inferred": false, "supported": true});
    assert_eq!(json["columns"][0], first);
    bench.agg(&[FLIGHTS, "--by", "carrier", "-o", "c.parquet"]);
    let parquet = bench.run(["schema", "c.parquet"]).out;
    assert!(parquet.starts_with("c.parquet: parquet, ") && parquet.contains(", 16 rows\n"), "{parquet}");
}

#[test]
fn devices_are_listed() {
    let ran = Bench::new().run(["devices", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let listed: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let adapters = listed["adapters"].as_array().unwrap();
    if adapters.is_empty() {
        assert!(ran.err.contains("no GPU adapter found"), "{}", ran.err);
    }
    for (index, adapter) in adapters.iter().enumerate() {
        assert_eq!(adapter["device"], format!("gpu:{index}"));
        assert!(adapter["max_binding_bytes"].as_u64().unwrap() > 0);
        assert_eq!(adapter["measured"], serde_json::Value::Null);
    }
}
