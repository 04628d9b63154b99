//! `tidemill bench`, on ladders that take no time.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Bench, FLIGHTS};

/// A driver list without a driver: as on a machine without a GPU.
const NO_DRIVER: [(&str, &str); 2] =
    [("VK_DRIVER_FILES", "/nonexistent.json"), ("VK_ICD_FILENAMES", "/nonexistent.json")];

fn json(bench: &Bench, name: &str) -> Value {
    serde_json::from_str(&bench.read(name)).unwrap()
}

/// What must hold of every report, whatever was measured.
fn consistent(report: &Value) {
    assert_eq!((&report["format"], &report["version"]), (&"tidemill-bench".into(), &1.into()));
    let cells = report["cells"].as_array().unwrap();
    assert!(!cells.is_empty());
    let processors = report["processors"].as_array().unwrap();
    for cell in cells {
        let sides = cell["sides"].as_array().unwrap();
        assert_eq!(sides.len(), processors.len());
        let median = |side: &Value| {
            let mut seconds: Vec<f64> =
                side["seconds"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
            seconds.sort_by(f64::total_cmp);
            assert!(seconds.len() >= 3 && seconds.iter().all(|s| *s > 0.0), "{cell}");
            let middle = seconds.len() / 2;
            let middle =
                if seconds.len() % 2 == 1 { seconds[middle] } else { (seconds[middle - 1] + seconds[middle]) / 2.0 };
            assert!((middle - side["median_seconds"].as_f64().unwrap()).abs() < 1e-12);
            middle
        };
        let cpu = median(&sides[0]);
        assert_eq!(sides[0]["device"], "cpu");
        assert_eq!(sides[0]["cpu_time_over_this"], Value::Null);
        for side in &sides[1..] {
            assert_eq!((&side["problem"], &side["identical"]), (&Value::Null, &true.into()), "{cell}");
            let ratio = &side["cpu_time_over_this"];
            let [value, low, high] = ["value", "low", "high"].map(|field| ratio[field].as_f64().unwrap());
            assert!((value - cpu / median(side)).abs() < 1e-9, "{cell}");
            assert!(low <= value && value <= high);
            let faster = if low > 1.0 {
                "gpu"
            } else if high < 1.0 {
                "cpu"
            } else {
                "neither"
            };
            assert_eq!(ratio["faster"], faster);
        }
    }
}

#[test]
fn generated_tables_on_every_device() {
    let bench = Bench::new();
    let ran = bench
        .run(["bench", "--rows", "1000,3k", "--groups", "10", "--runs", "3", "--html", "r.html", "--json", "r.json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let report = json(&bench, "r.json");
    consistent(&report);
    let cells = report["cells"].as_array().unwrap();
    let of = |scope: &str| cells.iter().filter(|cell| cell["scope"] == scope).count();
    assert_eq!((of("resident"), of("end_to_end")), (8, 4), "four workloads; csv and arrow; two rungs");
    for cell in cells {
        let (rows, bytes) = (cell["rows"].as_u64().unwrap(), cell["bytes"].as_u64().unwrap());
        assert!(cell["scope"] != "resident" || bytes == rows * 16);
        assert!((8..=10).contains(&cell["groups"].as_u64().unwrap()), "{cell}");
    }
    assert_eq!(report["complete"], true);
    // The page: alone, and its numbers are there without a script.
    let page = bench.read("r.html");
    for outside in ["http", "src=", "href=", "<script", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for part in ["<!DOCTYPE html>", "prefers-color-scheme:dark", "Where the time goes", "Roofline", "3,000", "</html>"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("NaN"));
    assert!(
        ran.out.contains("skewed keys, sum of integers") && ran.out.contains("end to end (from the file"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("built without optimisation") || !cfg!(debug_assertions), "{}", ran.out);
    assert_eq!(bench.names(), ["r.html", "r.json"]);
}

#[test]
fn a_users_own_data() {
    let bench = Bench::new();
    let ran = bench.run([
        "bench",
        FLIGHTS,
        "--by",
        "carrier",
        "mean(dep_delay)",
        "count()",
        "--where",
        "distance > 500",
        "--rows",
        "100,1e9",
        "--runs",
        "3",
        "--json",
        "r.json",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let report = json(&bench, "r.json");
    consistent(&report);
    let rungs: Vec<_> =
        report["cells"].as_array().unwrap().iter().map(|c| (c["scope"].clone(), c["rows"].clone())).collect();
    let want =
        [("resident", 100), ("resident", 5027), ("end_to_end", 5027)].map(|(s, n)| (Value::from(s), Value::from(n)));
    assert_eq!(rungs, want);
    assert!(report["subject"].as_str().unwrap().ends_with("mean(dep_delay), count() by carrier where distance > 500"));
}

#[test]
fn without_a_gpu_the_cpu_is_measured_alone_unless_a_gpu_was_asked_for() {
    let bench = Bench::new();
    let args = ["bench", "--rows", "1000", "--groups", "10", "--runs", "3", "--json", "r.json"];
    let done = bench.command(args).envs(NO_DRIVER).output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{err}");
    assert!(err.contains("note: no GPU adapter found; the CPU is measured alone"), "{err}");
    let report = json(&bench, "r.json");
    consistent(&report);
    assert_eq!(report["processors"].as_array().unwrap().len(), 1);
    assert!(String::from_utf8(done.stdout).unwrap().contains("No GPU was measured"));
    let done = bench.command(args).args(["--device", "gpu"]).envs(NO_DRIVER).output().unwrap();
    assert_eq!(done.status.code(), Some(3));
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_measured() {
    let started = Instant::now();
    for (args, want) in [
        (&["--rows", "0"][..], "'0' is not a count"),
        (&["--rows", "1,,2"], "'' is not a count"),
        (&["--groups", "many"], "'many' is not a count"),
        (&["--runs", "2"], "--runs"),
        (&["--device", "cpu"], "bench compares GPUs with the CPU"),
        (&["--device", "tpu"], "unknown device 'tpu'"),
        (&["sum(x)"], "a job needs an input file"),
        (&["--by", "k"], "a job needs an input file"),
        (&[FLIGHTS], "nothing to compute"),
        (&[FLIGHTS, "count()", "--groups", "10"], "--groups is for generated tables"),
        (&["--html", "x", "--json", "x"], "--html and --json name the same file"),
    ] {
        let bench = Bench::new();
        let ran = bench.run([&["bench"], args].concat());
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(want), "{args:?}: {}", ran.err);
        assert_eq!(bench.names(), [""; 0], "{args:?}");
    }
    let bench = Bench::new();
    let ran = bench.run(["bench", "--json", "none/r.json"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.starts_with("tidemill: cannot create none/r.json"), "{}", ran.err);
    let ran = bench.run(["bench", FLIGHTS, "sum(no_such_column)", "--rows", "10"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(started.elapsed() < Duration::from_secs(40), "nothing of the ladder was measured");
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_error_and_the_files_are_there() {
    let bench = Bench::new();
    let args = ["bench", "--rows", "1000", "--groups", "10", "--runs", "3", "--json", "r.json"];
    let mut child = bench.command(args).envs(NO_DRIVER).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    consistent(&json(&bench, "r.json"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_what_was_measured_or_nothing() {
    for wait in [50, 1500, 3000] {
        let bench = Bench::new();
        let args = ["bench", "--rows", "1000,1e6,1e7", "--runs", "50", "--json", "r.json"];
        let mut child =
            bench.command(args).envs(NO_DRIVER).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        // Before the handler stands, the signal itself ends the process.
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(130) | None), "{code:?}");
        match bench.names().as_slice() {
            [] => {}
            [name] => {
                assert_eq!(name, "r.json");
                let report = json(&bench, "r.json");
                assert_eq!(report["complete"], false);
                consistent(&report);
            }
            more => panic!("{more:?}"),
        }
    }
}
