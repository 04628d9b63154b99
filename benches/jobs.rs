//! Whole jobs, CPU against GPU, over a ladder of rows and of groups, in memory and from files.
//!
//! ```sh
//! cargo bench --bench jobs                   # some minutes
//! cargo bench --bench jobs -- 'sums/.*/cpu'  # what matches
//! TIDEMILL_ROWS=10000000 cargo bench --bench jobs
//! ```
//!
//! A measurement is `Engine::run` as a user calls it: read, upload, compute, read back, finish. The device has been opened and
//! its kernels compiled by a run before. After each measurement a line has the time by stage, from the run's own ledger;
//! stages of several threads overlap and add up to more than the wall time. Every adapter takes part that is found
//! (`TIDEMILL_ADAPTER` picks by name, `TIDEMILL_NO_GPU=1` none); one that is software is called so: its times say nothing
//! of a GPU. Before it is measured each job's result on a GPU is compared with the CPU's.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use criterion::{BenchmarkId, Criterion, Throughput};
use tidemill::aggregate::{count, mean, median, stddev_samp, sum};
use tidemill::backend::gpu::{Kind, adapters_from_env, no_adapter};
use tidemill::input::OpenOptions;
use tidemill::output::{Format, OutputFile, writer};
use tidemill::{Device, Engine, Input, Job, Result, RunReport, col};

/// Groups, where the number of rows is what varies.
const GROUPS: usize = 1000;

/// A bijection that leaves no pattern (the finaliser of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// A key as an integer and as text, an integer and a float of four decimals.
fn table(rows: usize, groups: usize) -> Result<RecordBatch> {
    let draw = |row: usize, column: u64| mix(4 * row as u64 + column);
    let key = |row| draw(row, 0) % groups as u64;
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| key(row) as i64)));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("id{:08}", key(row)))));
    let ints = (0..rows).map(|row| (draw(row, 1) % 1000) as i64);
    let ints: ArrayRef = Arc::new(Int64Array::from_iter_values(ints));
    let floats = (0..rows).map(|row| (draw(row, 2) % 1_000_000) as f64 / 1e4);
    let floats: ArrayRef = Arc::new(Float64Array::from_iter_values(floats));
    let columns = [("key", keys), ("name", names), ("n", ints), ("x", floats)];
    RecordBatch::try_from_iter(columns)
        .map_err(|error| tidemill::Error::Resource { message: error.to_string(), help: None })
}

fn jobs() -> Vec<(&'static str, Job)> {
    vec![
        ("counts", Job::new().by(["key"]).aggregate(count()).aggregate(sum(col("n")))),
        ("sums", Job::new().by(["key"]).aggregate(sum(col("x"))).aggregate(stddev_samp(col("x")))),
        ("medians", Job::new().by(["key"]).aggregate(median(col("x")))),
        ("names", Job::new().by(["name"]).aggregate(count()).aggregate(mean(col("x")))),
    ]
}

/// An engine, what to call it, and the adapter it must have run on.
struct Runner {
    name: String,
    engine: Engine,
    adapter: Option<String>,
}

fn runners() -> Vec<Runner> {
    let mut all = vec![Runner { name: "cpu".into(), engine: Engine::new().device(Device::Cpu), adapter: None }];
    let skip = std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1");
    let found = if skip { Vec::new() } else { adapters_from_env() };
    if found.is_empty() {
        let why = if skip { "TIDEMILL_NO_GPU=1".to_owned() } else { no_adapter().to_string() };
        eprintln!("SKIPPED on the GPU: {why}; only the CPU is measured");
    }
    for adapter in found {
        let info = adapter.info;
        let software = if info.kind == Kind::Software { ", software" } else { "" };
        eprintln!("gpu:{} is {} ({}{software})", info.index, info.name, info.driver);
        all.push(Runner {
            name: format!("gpu:{}{}", info.index, if software.is_empty() { "" } else { " (software)" }),
            engine: Engine::new().device(Device::Gpu(Some(info.index))),
            adapter: Some(info.name),
        });
    }
    all
}

/// Why a run is none of the runner's: another result than the CPU's, or not run where it was to run.
fn objection(runner: &Runner, report: &RunReport, expected: &RunReport) -> Option<String> {
    let ledger = &report.ledger;
    let elsewhere =
        runner.adapter.as_ref().is_some_and(|name| !ledger.device.contains(name) || !ledger.notes.is_empty());
    if elsewhere {
        return Some(format!("ran on {}: {} {:?}", ledger.device, ledger.device_reason, ledger.notes));
    }
    (report.batches != expected.batches).then(|| "another result than the CPU's".to_owned())
}

/// Time by stage, added up over runs.
#[derive(Default)]
struct Stages {
    runs: u32,
    times: Vec<(String, Duration)>,
}

impl Stages {
    fn add(&mut self, report: &RunReport) {
        self.runs += 1;
        for (name, time) in &report.ledger.stages {
            match self.times.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += *time,
                None => self.times.push((name.clone(), *time)),
            }
        }
    }

    fn tell(&self) {
        if self.runs > 0 {
            let each =
                |(name, sum): &(String, Duration)| format!("{name} {:.2} ms", (*sum / self.runs).as_secs_f64() * 1e3);
            println!("    stages: {}", self.times.iter().map(each).collect::<Vec<_>>().join(", "));
        }
    }
}

/// Measures a job over an input on every runner.
fn measure(c: &mut Criterion, runners: &[Runner], name: &str, job: &Job, input: &Input, what: &str, rows: usize) {
    let mut group = c.benchmark_group(format!("{name}/{what}"));
    group.throughput(Throughput::Elements(rows as u64));
    let expected = RefCell::new(None);
    for runner in runners {
        let stages = RefCell::new(Stages::default());
        let refused = RefCell::new(None);
        let run = |engine: &Engine| engine.run(job, input).map_err(|error| error.to_string());
        // The closure is called only if the filter lets it, several times.
        group.bench_function(BenchmarkId::from_parameter(&runner.name), |bencher| {
            if stages.borrow().runs == 0 && refused.borrow().is_none() {
                let first = expected.borrow_mut().get_or_insert_with(|| run(&runners[0].engine)).clone();
                let checked = first.and_then(|first| match objection(runner, &run(&runner.engine)?, &first) {
                    None => Ok(()),
                    Some(why) => Err(why),
                });
                *refused.borrow_mut() = checked.err();
            }
            bencher.iter_custom(|rounds| {
                // Criterion wants a time; what was refused is told below, and its time means nothing.
                if refused.borrow().is_some() {
                    return Duration::from_millis(rounds);
                }
                let timed = |_| match run(&runner.engine) {
                    Ok(report) => {
                        stages.borrow_mut().add(&report);
                        report.ledger.wall
                    }
                    Err(error) => {
                        *refused.borrow_mut() = Some(error);
                        Duration::from_millis(1)
                    }
                };
                (0..rounds).map(timed).sum()
            });
        });
        match refused.borrow().as_ref() {
            Some(why) => println!("    NOT MEASURED, the time above means nothing: {why}"),
            None => stages.borrow().tell(),
        }
    }
    group.finish();
}

/// Writes a table to a file and opens it.
fn on_disk(folder: &Path, table: &RecordBatch, format: Format) -> Result<Input> {
    let path = folder.join(format!("table.{}", format.name()));
    let file = OutputFile::create(&path)?;
    let mut writer = writer(format, table.schema(), file.sink(), &path)?;
    writer.write(table)?;
    writer.finish()?;
    file.commit()?;
    Input::open(&[path], &OpenOptions::default())
}

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let most = std::env::var("TIDEMILL_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let runners = runners();
    let folder = tempfile::tempdir().map_err(|e| tidemill::Error::Resource { message: e.to_string(), help: None })?;

    let ladder = [most / 100, most / 10, most].map(|rows| (rows, GROUPS.min(rows)));
    let shapes = ladder.into_iter().chain([(most, 10), (most, most / 10)]);
    for (rows, groups) in shapes {
        let table = table(rows, groups)?;
        let input = Input::batches(table.schema(), vec![table.clone()])?;
        for (name, job) in jobs() {
            let what = format!("memory, {rows} rows, {groups} groups");
            measure(&mut criterion, &runners, name, &job, &input, &what, rows);
        }
        if (rows, groups) == (most, GROUPS) {
            for format in [Format::Csv, Format::Parquet] {
                let input = on_disk(folder.path(), &table, format)?;
                for (name, job) in jobs() {
                    let what = format!("{}, {rows} rows, {groups} groups", format.name());
                    measure(&mut criterion, &runners, name, &job, &input, &what, rows);
                }
            }
        }
    }
    criterion.final_summary();
    Ok(())
}
