//! How input is found and read.

use crate::support::Bench;

#[test]
fn several_files_are_one_input() {
    let bench = Bench::with("a.csv", "k,n\nx,1\ny,2\n");
    bench.write("b.csv", "n,k\n10,x\n0.5,z\n");
    assert_eq!(bench.agg(&["a.csv", "b.csv", "--by", "k", "sum(n)"]), "k,sum(n)\nx,11.0\ny,2.0\nz,0.5\n");
    // Files and aggregates may stand in any order.
    assert_eq!(bench.agg(&["count()", "a.csv", "max(k)", "b.csv"]), "count(),max(k)\n4,z\n");
}

#[test]
fn standard_input_is_a_dash() {
    let bench = Bench::with("a.csv", "k,n\nx,1\n");
    let ran = bench.run_with(["agg", "-", "a.csv", "--by", "k", "sum(n)"], "k,n\ny,2\nx,3\n");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "k,sum(n)\nx,4\ny,2\n", ""));
}

#[test]
fn a_file_of_any_name_is_a_file_if_it_exists() {
    let bench = Bench::with("sum(x)", "x\n1\n2\n");
    assert_eq!(bench.agg(&["sum(x)", "count()"]), "count()\n2\n");
    let bench = Bench::with("-odd name, with;.csv", "x\n1\n2\n");
    assert_eq!(bench.agg(&["./-odd name, with;.csv", "sum(x)"]), "sum(x)\n3\n");
    assert_eq!(bench.agg(&["--", "-odd name, with;.csv", "-sum(x)"]), "-sum(x)\n-3\n");
}

#[test]
fn the_dialect_of_csv_can_be_told() {
    let bench = Bench::with("a.csv", "2012;7\n2013;8\n");
    assert_eq!(bench.agg(&["a.csv", "sum(c1)"]), "sum(c1)\n4025\n", "all numbers: no header");
    assert_eq!(bench.agg(&["a.csv", "--no-header", "sum(c2)"]), "sum(c2)\n15\n");
    assert_eq!(bench.agg(&["a.csv", "--header", "sum(\"2012\") as s"]), "s\n2013\n");
    bench.write("b.csv", "a|b\n1|2\n");
    assert_eq!(bench.agg(&["b.csv", "--delimiter", "|", "sum(b)"]), "sum(b)\n2\n");
    assert_eq!(bench.agg(&["b.csv", "--delimiter", ",", "--by", "\"a|b\""]), "a|b\n1|2\n");
    bench.write("c.txt", "a\tb,c\n1\t2\n");
    for tab in ["\\t", "tab", "\t"] {
        assert_eq!(bench.agg(&["c.txt", "--delimiter", tab, "sum(a)"]), "sum(a)\n1\n");
    }
}

#[test]
fn null_texts_and_types_can_be_told() {
    let bench = Bench::with("a.csv", "k,n\nNA,1\n-,2\n,3\n-,NA\n");
    let ran = bench.agg(&["a.csv", "--by", "k", "count(n)"]);
    assert_eq!(ran, "k,count(n)\n-,1\n,2\n");
    let ran = bench.agg(&["a.csv", "--by", "k", "count(n)", "--null-values=-"]);
    assert_eq!(ran, "k,count(n)\n\"\",1\n\"NA\",1\n,2\n");
    let ran = bench.agg(&["a.csv", "--schema", "n:decimal(10,2)", "sum(n)", "max(n) * 2 as m"]);
    assert_eq!(ran, "sum(n),m\n6.00,6.00\n");
}

#[test]
fn raw_records_need_a_schema() {
    let bench = Bench::new();
    let records: Vec<u8> = [(1i32, 0.5f64), (2, 1.5), (1, 2.0)]
        .iter()
        .flat_map(|(k, x)| [&k.to_le_bytes()[..], &x.to_le_bytes()].concat())
        .collect();
    bench.write("r.bin", records);
    let out = bench.agg(&["r.bin", "--schema", "k:int32,x:float64", "--by", "k", "sum(x)"]);
    assert_eq!(out, "k,sum(x)\n1,2.5\n2,1.5\n");
    let ran = bench.run(["agg", "r.bin", "count()"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("r.bin is a raw file and needs a schema"), "{}", ran.err);
}

#[test]
fn files_without_rows() {
    let bench = Bench::with("h.csv", "k,n\n");
    assert_eq!(bench.agg(&["h.csv", "count()", "max(k)"]), "count(),max(k)\n0,\n", "one total row, even of nothing");
    assert_eq!(bench.agg(&["h.csv", "--by", "k", "count()"]), "k,count()\n");
    assert_eq!(bench.agg(&["h.csv", "--schema", "n:int64", "sum(n)", "count(n)"]), "sum(n),count(n)\n,0\n");
    assert_eq!(bench.agg(&["h.csv", "--by", "k", "count()", "--format", "json"]), "[]\n");
    assert_eq!(bench.agg(&["h.csv", "--by", "k", "count()", "--format", "table"]).lines().count(), 4);
    bench.write("e.csv", "");
    assert_eq!(bench.agg(&["e.csv", "--schema", "n:int64", "sum(n)", "count()"]), "sum(n),count()\n,0\n");
}

#[test]
fn a_huge_key_and_many_of_them() {
    let huge = "x".repeat(3 << 20);
    let bench = Bench::with("a.csv", format!("k,n\n{huge},1\n{huge},2\ny,3\n"));
    let out = bench.agg(&["a.csv", "--by", "k", "sum(n)", "--chunk-size", "64K"]);
    assert!(out == format!("k,sum(n)\n{huge},3\ny,3\n"));
    let many: String = (0..20_000).map(|i| format!("k{i:05},{i}\n")).collect();
    bench.write("b.csv", format!("k,n\n{many}"));
    let out = bench.agg(&["b.csv", "--by", "k", "sum(n)"]);
    assert!(out == format!("k,sum(n)\n{many}"));
}

#[test]
fn a_type_that_turns_out_wider_is_read_again_and_said() {
    let rows: String = (0..30_000).map(|i| format!("{i}\n")).collect();
    let bench = Bench::with("a.csv", format!("n\n{rows}0.5\n"));
    let ran = bench.run(["agg", "a.csv", "sum(n)"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "sum(n)\n449985000.5\n"));
    assert!(ran.err.starts_with("tidemill: note: column 'n' was read again as float64: a.csv:30002, "), "{}", ran.err);
}

#[test]
fn objects_a_line_are_an_input() {
    let rows = "{\"k\":\"x\",\"n\":1,\"at\":{\"city\":\"Rome\"}}\n{\"n\":2.5,\"k\":\"y\"}\n{\"k\":\"x\",\"n\":4,\"tags\":[1]}\n";
    let bench = Bench::with("a.ndjson", rows);
    assert_eq!(
        bench.agg(&["a.ndjson", "--by", "k", "sum(n)", "count(at.city) as c"]),
        "k,sum(n),c\nx,5.0,1\ny,2.5,0\n"
    );
    // Beside CSV, under another name, and from a pipe.
    bench.write("b.csv", "n,k\n10,x\n");
    assert_eq!(bench.agg(&["a.ndjson", "b.csv", "--by", "k", "sum(n)"]), "k,sum(n)\nx,15.0\ny,2.5\n");
    let ran = bench.run_with(["agg", "-", "sum(n)"], rows);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "sum(n)\n7.5\n"));
    bench.write("c.txt", rows);
    assert_eq!(bench.agg(&["c.txt", "max(n)"]), "max(n)\n4.0\n");
    assert_eq!(
        bench.agg(&["c.txt", "--input-format", "csv", "--delimiter", ";", "--no-header", "count()"]),
        "count()\n3\n"
    );
    // What comes out goes in.
    bench.agg(&["a.ndjson", "--by", "k", "sum(n) as n", "-o", "out.ndjson"]);
    assert_eq!(bench.agg(&["out.ndjson", "--by", "k", "sum(n)"]), "k,sum(n)\nx,5.0\ny,2.5\n");
    let ran = bench.run(["agg", "a.ndjson", "max(tags)"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("column `tags` has type JSON array"), "{}", ran.err);
    assert_eq!(bench.agg(&["a.ndjson", "--schema", "tags:string", "max(tags)"]), "max(tags)\n[1]\n");
    let ran = bench.run(["agg", "a.ndjson", "--input-format", "xml", "count()"]);
    assert!(ran.err.contains("'xml' is no format of text input"), "{}", ran.err);
    bench.write("d.json", "[{\"k\":1}]");
    let ran = bench.run(["agg", "d.json", "count()"]);
    assert!(ran.err.contains("d.json: a JSON array") && ran.err.contains("jq -c"), "{}", ran.err);
}

#[test]
fn bad_objects_stop_or_are_set_aside() {
    let bench = Bench::with("a.jsonl", "{\"n\":1}\n{\"n\":\n{\"n\":\"x\"}\n{\"n\":4}\n");
    let ran = bench.run(["agg", "a.jsonl", "--schema", "n:int64", "sum(n)"]);
    assert!(ran.err.contains("a.jsonl:2: the line ends before its object does, at byte 6 of the line"), "{}", ran.err);
    let aside = ["a.jsonl", "--schema", "n:int64", "sum(n)", "--rejects", "r.csv"];
    let ran = bench.run(["agg"].iter().chain(&aside));
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "sum(n)\n5\n"), "{}", ran.err);
    let rejects = bench.read("r.csv");
    assert!(
        rejects.contains("a.jsonl,2,") && rejects.contains("a.jsonl,3,") && rejects.contains("not an integer"),
        "{rejects}"
    );
}
