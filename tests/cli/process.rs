//! Pipes, signals, terminals and full disks.
#![cfg(unix)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Bench, FLIGHTS, names, skip};

/// More output than a pipe holds.
const LONG: [&str; 5] = ["agg", FLIGHTS, "--by", "month, day, hour, carrier, flight, tailnum, dest", "count()"];

#[test]
fn a_reader_who_has_read_enough_is_no_error() {
    for format in ["csv", "table", "json", "markdown", "parquet", "arrow"] {
        let mut child = Bench::new()
            .command(LONG)
            .args(["--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = vec![0; 4];
        BufReader::with_capacity(4, child.stdout.take().unwrap()).read_exact(&mut first).unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]), "{format}");
    }
    let mut child =
        Bench::new().command(["agg", "--help"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_closed_stderr_does_not_matter() {
    let bench = Bench::new();
    let mut child = bench
        .command([&LONG[..], &["--stats"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert!(done.stdout.len() > 1 << 16);
}

#[test]
fn a_full_device_is_an_error() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return skip("there is no /dev/full") };
    let bench = Bench::new();
    let want = "No space left on device (os error 28)\n";
    for format in ["csv", "table", "json", "parquet", "arrow"] {
        let full = full.try_clone().unwrap();
        let done = bench.command(LONG).args(["--format", format]).stdout(full).output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(
            (done.status.code(), err),
            (Some(1), format!("tidemill: cannot write standard output: {want}")),
            "{format}"
        );
    }
    for args in [["schema", FLIGHTS].as_slice(), &["agg", FLIGHTS, "count()", "--explain"]] {
        let done = bench.command(args).stdout(full.try_clone().unwrap()).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{args:?}");
    }
    let ran = bench.run([&LONG[..], &["--format", "csv", "--output", "/dev/full"]].concat());
    assert_eq!((ran.code, ran.err), (Some(1), format!("tidemill: cannot write /dev/full: {want}")));
}

#[test]
fn a_full_disk_leaves_no_file() {
    let bench = Bench::new();
    let disk = bench.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=32k", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|m| m.status.success()) {
        return skip("this user cannot mount a small tmpfs");
    }
    let mut seen = Vec::new();
    for file in ["disk/o.csv", "disk/o.parquet", "disk/o.arrow"] {
        // Parquet compresses: many rows of few bytes each still fit, unlike these.
        let by = "month, day, hour, carrier, flight, tailnum, dest, arr_time, sched_arr_time, air_time";
        seen.push(bench.run(["agg", FLIGHTS, "--by", by, "sum(distance * 1.1)", "--output", file]));
    }
    let left = names(&disk);
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    for ran in seen {
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.ends_with("No space left on device (os error 28)\n"), "{}", ran.err);
    }
    assert_eq!(left, [""; 0]);
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let started = Instant::now();
    while !there() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let bench = Bench::new();
    let rows: String = (0..60_000).map(|i| format!("{},{}.25\n", i % 1000, i)).collect();
    let mut text = String::from("k,x\n");
    (0..60).for_each(|_| text.push_str(&rows));
    bench.write("big.csv", text);
    bench.write("o.csv", "old\n");
    for name in ["INT", "TERM"] {
        let mut child = bench
            .command(["agg", "big.csv", "--by", "k", "sum(pow(x, 0.5) * exp(x / 1e9))", "median(x)", "--threads", "1"])
            .args(["--chunk-size", "64K", "--output", "o.csv", "--rejects", "r.csv", "--device", "cpu"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The output is begun just before the run.
        wait_for("the temporary file", || bench.names().iter().any(|n| n.starts_with(".r.csv")));
        std::thread::sleep(Duration::from_millis(50));
        assert!(child.try_wait().unwrap().is_none(), "the run is too short to be interrupted");
        signal(&child, name);
        let done = child.wait_with_output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!((done.status.code(), err.as_str()), (Some(130), "tidemill: interrupted\n"));
        assert_eq!(bench.names(), ["big.csv", "o.csv"]);
        assert_eq!(bench.read("o.csv"), "old\n");
    }
}

#[test]
fn one_ctrl_c_is_enough_while_standard_input_is_read() {
    let Ok(_) = File::open("/proc/self/status") else { return skip("there is no /proc") };
    let mut child =
        Bench::new().command(["agg", "-", "count()"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let catches_int = || {
        let lines = BufReader::new(File::open(&status).unwrap()).lines().map_while(Result::ok);
        let mask = lines.filter_map(|l| u64::from_str_radix(l.strip_prefix("SigCgt:")?.trim(), 16).ok()).next();
        mask.unwrap() & 0b10 != 0
    };
    wait_for("the handler of SIGINT", catches_int);
    let held = child.stdin.take();
    signal(&child, "INT");
    let done = child.wait_with_output().unwrap();
    drop(held);
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(130), &b"tidemill: interrupted\n"[..]));
}

/// What a terminal of `columns` columns gets.
fn on_terminal(bench: &Bench, columns: u32, setup: &str, args: &[&str]) -> Option<String> {
    let quoted: Vec<String> = args.iter().map(|a| format!("'{a}'")).collect();
    let line = format!("stty cols {columns}; {setup} '{}' {}", env!("CARGO_BIN_EXE_tidemill"), quoted.join(" "));
    let done = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(bench.path(""))
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|done| done.status.success())?;
    Some(String::from_utf8(done.stdout).unwrap().replace("\r\n", "\n"))
}

#[test]
fn on_a_terminal_a_table_keeps_to_the_screen() {
    let bench = Bench::new();
    let job = ["agg", FLIGHTS, "--by", "tailnum", "count()", "min(origin)", "sum(distance)", "mean(air_time)"];
    let Some(text) = on_terminal(&bench, 60, "NO_COLOR=1", &job) else {
        return skip("script(1) cannot give a terminal here");
    };
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().take(lines.len() - 1).all(|l| l.chars().count() <= 60), "{text}");
    assert_eq!(lines.len(), 3 + 41 + 1 + 1, "{text}");
    assert_eq!(lines[1], "│ tailnum ┆ count() ┆ min(origin) ┆ … ┆     mean(air_time) │");
    assert!(lines[lines.len() - 1].starts_with("40 of 2,195 rows shown, "), "{text}");
    assert!(lines[lines.len() - 1].ends_with("4 of 5 columns shown; for all of it: --format csv, or --output FILE"));
    assert!(!text.contains('\u{1b}'), "no colour was asked for");

    let coloured = on_terminal(&bench, 200, "", &["agg", FLIGHTS, "--by", "origin", "any_value(null) as x"]).unwrap();
    assert!(coloured.contains("\u{1b}[1morigin\u{1b}[0m"), "{coloured:?}");
    let all = on_terminal(&bench, 200, "NO_COLOR=1", &["agg", FLIGHTS, "--by", "tailnum", "--limit", "100"]).unwrap();
    assert_eq!(all.lines().count(), 104, "a limit says how many rows are wanted");
    let binary = on_terminal(&bench, 80, "", &["agg", FLIGHTS, "count()", "--format", "parquet"]);
    assert_eq!(binary, None, "no binary on a terminal");
}
