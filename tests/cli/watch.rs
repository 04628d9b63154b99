//! What a stream shows while it runs: metrics, tables.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use crate::stream::{FIRST, bench, stream};
use crate::support::Bench;

#[test]
fn metrics_are_served_as_long_as_the_query_runs() {
    let bench = Bench::new();
    let args = ["stream", "--source", "-", "--by", "region", "count()", "--mode", "update", "--metrics"];
    let mut child =
        bench.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut said = String::new();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    err.read_line(&mut said).unwrap();
    let address = said.strip_prefix("tidemill: metrics: http://").and_then(|rest| rest.strip_suffix("/metrics\n"));
    let address = address.unwrap_or_else(|| panic!("{said}")).to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let ask = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    assert!(ask().contains("\ntidemill_stream_rows_read_total 0\n"));
    // A client that says nothing and reads nothing holds nobody.
    let _idle = TcpStream::connect(&address).unwrap();
    input.write_all(FIRST.as_bytes()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Vec<String> = lines.by_ref().take(3).map(Result::unwrap).collect();
    assert_eq!(first, ["region,count()", "north,2", "south,1"]);
    // The batch is counted after its rows are out.
    let text = loop {
        let text = ask();
        if text.contains("\ntidemill_stream_rows_read_total 3\n") {
            break text;
        }
        assert!(text.contains("\ntidemill_stream_rows_read_total 0\n"), "{text}");
    };
    for line in
        ["rows_total{fate=\"grouped\"} 3", "rows_emitted_total 2", "state_groups 2", "batch_duration_seconds_count 1"]
    {
        assert!(text.contains(&format!("\ntidemill_stream_{line}\n")), "{line} in {text}");
    }
    let on = text.lines().filter(|line| line.starts_with("tidemill_stream_device_batches_total{device=\""));
    assert_eq!(on.map(|line| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>(), ["1"], "{text}");
    drop(input);
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!((child.wait().unwrap().code(), rest.as_str()), (Some(0), ""));
    assert!(TcpStream::connect(&address).is_err());
    let ran = stream(&bench, &["--mode", "update", "--metrics=nowhere"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--metrics=9184"), "{}", ran.err);
}

#[test]
fn in_a_pipe_every_batch_is_a_table() {
    let bench = bench();
    let ran =
        stream(&bench, &["--mode", "update", "--trigger", "available-now", "--max-files", "1", "--sink", "table"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let want = "\
batch 0, 2 rows
┌────────┬────────────────────┬─────────┐
│ region ┆        sum(amount) ┆ count() │
╞════════╪════════════════════╪═════════╡
│ north  ┆ 0.7999999999999999 ┆       2 │
│ south  ┆                0.2 ┆       1 │
└────────┴────────────────────┴─────────┘
batch 1, 2 rows
┌────────┬─────────────┬─────────┐
│ region ┆ sum(amount) ┆ count() │
╞════════╪═════════════╪═════════╡
│ north  ┆        10.8 ┆       4 │
│ south  ┆         5.2 ┆       2 │
└────────┴─────────────┴─────────┘
";
    assert_eq!(ran.out, want);
    let ran = stream(&bench, &["--mode", "update", "--sink", "table:out"]);
    assert!(ran.code == Some(2) && ran.err.contains("a table is for eyes"), "{}", ran.err);
}

#[test]
fn a_reader_who_has_read_enough_ends_the_query() {
    let bench = Bench::new();
    for sink in ["table", "csv"] {
        let args = ["stream", "--source", "rate:rows=10,advance=1s", "count()", "--mode", "update", "--sink", sink];
        let mut child = bench.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut first).unwrap();
        assert_eq!(first, if sink == "table" { "batch 0, 1 rows\n" } else { "count()\n" });
        drop(out);
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), String::from_utf8(done.stderr).unwrap().as_str()), (Some(0), ""), "{sink}");
    }
}
