//! Bad rows set aside.

use crate::support::Bench;

const DATA: &str = "k,n\na,1\nb,zz\n\"c\",2\nd\ne,3,4\nf,0\ng,\"x,\ny\"\n";
const HEADER: &str = "file,line,byte,column_index,column,error_type,message,raw\n";

#[test]
fn every_bad_row_has_its_record_and_the_ledger_adds_up() {
    let bench = Bench::with("t.csv", DATA);
    let ran = bench.run([
        "agg",
        "t.csv",
        "--schema",
        "n:int64",
        "count()",
        "sum(6 // n)",
        "--rejects",
        "r.csv",
        "--stats=json",
        "--device",
        "cpu",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "count(),sum(6 // n)\n2,9\n"), "{}", ran.err);
    let records = [
        "t.csv,3,8,2,n,cast,'zz': not an integer (int64),\"b,zz\"",
        "t.csv,5,19,,,missing_columns,\"1 fields found, 2 expected\",d",
        "t.csv,6,21,,,too_many_columns,\"3 fields found, 2 expected\",\"e,3,4\"",
        "t.csv,7,27,,,arithmetic,6 // 0 divides by zero in `6 // n`,\"f,0\"",
        "t.csv,8,31,2,n,cast,\"'x,\ny': not an integer (int64)\",\"g,\"\"x,\ny\"\"\"",
    ];
    assert_eq!(bench.read("r.csv"), format!("{HEADER}{}\n", records.join("\n")));
    let (note, ledger) = ran.err.split_once('\n').unwrap();
    assert_eq!(note, "tidemill: note: 5 rows rejected, see r.csv");
    let ledger: serde_json::Value = serde_json::from_str(ledger).unwrap();
    assert_eq!(
        (&ledger["rows_read"], &ledger["rows_rejected"], &ledger["rows_grouped"]),
        (&7.into(), &5.into(), &2.into())
    );
}

#[test]
fn the_rejects_of_any_chunk_size_are_the_same() {
    let rows: String = (0..500).map(|i| if i % 7 == 0 { format!("r{i},x\n") } else { format!("r{i},{i}\n") }).collect();
    let bench = Bench::with("t.csv", format!("k,n\n{rows}"));
    let mut seen = Vec::new();
    for (size, threads) in [("64", "2"), ("1K", "1"), ("1M", "3")] {
        let ran = bench.run([
            "agg",
            "t.csv",
            "--schema",
            "n:int64",
            "sum(n)",
            "--rejects",
            "r.csv",
            "--chunk-size",
            size,
            "--threads",
            threads,
        ]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        seen.push((ran.out, bench.read("r.csv")));
    }
    assert_eq!(seen[0].1.lines().count(), 1 + 72);
    assert!(seen.iter().all(|s| *s == seen[0]));
}

#[test]
fn too_many_stop_the_run_but_what_was_collected_is_kept() {
    let bench = Bench::with("t.csv", DATA);
    let ran = bench.run([
        "agg",
        "t.csv",
        "--schema",
        "n:int64",
        "sum(n)",
        "--rejects",
        "r.csv",
        "--max-rejects",
        "3",
        "-o",
        "o.csv",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(
        ran.err.starts_with("tidemill: 4 rows rejected, more than --max-rejects 3; the last: t.csv:8, column 'n': "),
        "{}",
        ran.err
    );
    assert_eq!(bench.names(), ["r.csv", "t.csv"]);
    assert_eq!(
        bench.read("r.csv").lines().count(),
        1 + 3 + 3,
        "the last record has a line end in its message and in its raw text"
    );
    let ran = bench.run(["agg", "t.csv", "--schema", "n:int64", "sum(n)", "--rejects", "r.csv", "--max-rejects", "4"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "sum(n)\n3\n"));
}

#[test]
fn rejects_of_a_run_that_fails_at_the_end_are_kept() {
    let bench = Bench::with("t.csv", "k,n\na,9223372036854775807\na,1\nb,x\n");
    let ran = bench.run(["agg", "t.csv", "--schema", "n:int64", "--by", "k", "sum(n)", "--rejects", "r.csv"]);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.err.contains("sum(n)"), "{}", ran.err);
    assert_eq!(bench.read("r.csv"), format!("{HEADER}t.csv,4,30,2,n,cast,'x': not an integer (int64),\"b,x\"\n"));
}

#[test]
fn no_bad_row_gives_the_header_alone() {
    let bench = Bench::with("t.csv", "n\n1\n");
    assert_eq!(bench.agg(&["t.csv", "sum(n)", "--rejects", "r.csv"]), "sum(n)\n1\n");
    assert_eq!(bench.read("r.csv"), HEADER);
}
