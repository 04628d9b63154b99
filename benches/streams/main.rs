//! What streams cost besides grouping, in numbers: `cargo bench --bench streams -- NAME`.
//!
//! ```text
//! latency [ROWS [BATCHES]]      how long small batches take, without a checkpoint and exactly once with fsync
//! recovery [KEYS [TIMES]]       from the start of a process after kill -9 to its first commit
//! memory [SECONDS]              memory at full speed, with keys that are others in every window
//! sliding [KEYS]                windows that overlap beside windows that do not
//! guarantee [ROWS [BATCHES]]    exactly once beside the same without a guarantee
//! ```

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidemill::aggregate::{count, sum};
use tidemill::output::Format;
use tidemill::stream::{BatchOutput, Callback, FolderSink, OutputMode, Progress, Query, RateSource, Trigger};
use tidemill::{Engine, Job, Result, col, expr};

type Done = std::result::Result<(), Box<dyn Error>>;

fn main() -> Done {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = |at: usize, default: u64| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    match args.first().map(String::as_str) {
        Some("latency") => latency(number(1, 1000), number(2, 2000)),
        Some("recovery") => recovery(number(1, 10_000_000), number(2, 3)),
        Some("go-on") => go_on(Path::new(&args[1]), number(2, 0), number(3, 1)),
        Some("memory") => memory(Duration::from_secs(number(1, 60))),
        Some("sliding") => sliding(number(1, 100_000)),
        Some("guarantee") => guarantee(number(1, 500_000), number(2, 20)),
        // Without a name, as `cargo test` calls it: nothing.
        _ => Ok(println!("name one of latency, recovery, memory, sliding, guarantee")),
    }
}

/// Rows are counted and forgotten.
fn nowhere() -> Callback<impl FnMut(&BatchOutput) -> Result<()> + Send> {
    Callback::new(|_| Ok(()))
}

fn rate(rows: u64, advance: &str, batches: Option<u64>) -> Result<RateSource> {
    RateSource::new(rows, advance.parse()?, batches)
}

/// Runs a query to the end; what it said of each batch.
fn run(query: Query, engine: &Engine) -> Result<Vec<Progress>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&all);
    let query = query.trigger(Trigger::AvailableNow).listen(move |batch| told.lock().unwrap().push(batch.clone()));
    query.start(engine)?.wait()?;
    let all = std::mem::take(&mut *all.lock().unwrap());
    Ok(all)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Wall times of batches, but for the first tenth: median, 99th percentile, largest; and the medians of their steps.
fn say_times(what: &str, batches: &[Progress]) {
    let batches = &batches[batches.len() / 10..];
    let at = |mut times: Vec<Duration>, part: f64| {
        times.sort_unstable();
        milliseconds(times[((times.len() - 1) as f64 * part).ceil() as usize])
    };
    let walls: Vec<Duration> = batches.iter().map(|batch| batch.wall).collect();
    let [middle, late, last] = [0.5, 0.99, 1.0].map(|part| at(walls.clone(), part));
    println!("{what}: {} batches, p50 {middle:.3} ms, p99 {late:.3} ms, max {last:.3} ms", batches.len());
    let names: Vec<&str> = batches.first().map(|b| b.steps.iter().map(|s| s.0).collect()).unwrap_or_default();
    for name in names {
        let of = |batch: &Progress| batch.steps.iter().find(|step| step.0 == name).map(|step| step.1);
        let times: Vec<Duration> = batches.iter().filter_map(of).collect();
        println!("  {name:<14} p50 {:.3} ms, p99 {:.3} ms", at(times.clone(), 0.5), at(times, 0.99));
    }
}

/// A tumbling count of 10 s by one of 100 keys; a batch is half a second of events.
fn counted(rows: u64, batches: u64) -> Result<(RateSource, Job)> {
    let job = Job::new().map("key", expr::parse("value % 100")?).by(["key"]).aggregate(count().named("rows"));
    Ok((rate(rows, "500ms", Some(batches))?, job))
}

fn latency(rows: u64, batches: u64) -> Done {
    let engine = Engine::new();
    let query = |sink: Box<dyn tidemill::stream::Sink>| -> Result<Query> {
        let (source, job) = counted(rows, batches)?;
        let query = Query::boxed(Box::new(source), job, sink);
        Ok(query.window("tumbling 10s on timestamp".parse()?).watermark("1s".parse()?))
    };
    say_times("no checkpoint", &run(query(Box::new(nowhere()))?, &engine)?);
    let folder = scratch()?;
    let sink = FolderSink::new(folder.path().join("out"), Format::Csv);
    say_times("exactly once", &run(query(Box::new(sink))?.checkpoint(folder.path().join("ckpt")), &engine)?);
    Ok(())
}

/// A folder in the working directory: what is to be durable must not be in memory only.
fn scratch() -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("streams-").tempdir_in("target")
}

/// How many batches make the state of [`recovery`].
const PIECES: u64 = 10;

fn recovery(keys: u64, times: u64) -> Done {
    let folder = scratch()?;
    let piece = keys.div_ceil(PIECES);
    let begin = |from: u64, batches: u64| -> std::result::Result<(std::process::Child, Duration), Box<dyn Error>> {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["go-on".into(), folder.path().to_owned().into_os_string()])
            .args([piece.to_string(), (from + batches).to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut first = None;
        if let Some(out) = child.stdout.take() {
            for (line, number) in BufReader::new(out).lines().zip(1..) {
                line?;
                first.get_or_insert(started.elapsed());
                if number == batches {
                    break;
                }
            }
        }
        Ok((child, first.ok_or("the query ended before its first commit")?))
    };
    let mut from = 0;
    let started = Instant::now();
    let (mut child, _) = begin(0, PIECES)?;
    println!("{keys} keys made in {:.2} s", started.elapsed().as_secs_f64());
    for _ in 0..times {
        from += if from == 0 { PIECES } else { 1 };
        child.kill()?;
        child.wait()?;
        let first;
        (child, first) = begin(from, 1)?;
        println!("first commit after {:.3} s", first.as_secs_f64());
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// The process that is killed: `piece` new keys a batch until all are there, then a thousand old ones.
fn go_on(folder: &Path, piece: u64, batches: u64) -> Done {
    let keys = piece * PIECES;
    // Far apart: neighbours would index an array instead of a hash table.
    let key = format!("case when value < {keys} then value else value % 1000 end * 1000003");
    let job = Job::new().map("key", expr::parse(&key)?).by(["key"]).aggregate(count().named("rows"));
    // A batch that must come once the keys are there is small.
    let rows = if batches > PIECES { 1000 } else { piece };
    let batches = if batches > PIECES { keys / 1000 + batches } else { batches };
    let query = Query::new(rate(rows, "1s", Some(batches))?, job, nowhere())
        .mode(OutputMode::Update)
        .checkpoint(folder)
        .listen(|batch| println!("{}", batch.batch));
    query.start(&Engine::new())?.wait()?;
    std::thread::sleep(Duration::from_secs(3600));
    Ok(())
}

/// Resident memory of this process in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// A hundred thousand rows a batch, by texts that no other window has.
fn memory(time: Duration) -> Done {
    let key = "concat('key ', cast(value - value % 10 as text))";
    let job = Job::new().map("key", expr::parse(key)?).by(["key"]);
    let job = job.aggregate(count().named("rows")).aggregate(sum(col("value")).named("total"));
    let last = Arc::new(Mutex::new(Progress::default()));
    let told = Arc::clone(&last);
    let folder = scratch()?;
    let query = Query::new(rate(100_000, "1s", None)?, job, FolderSink::new(folder.path().join("out"), Format::Csv))
        .window("tumbling 10s on timestamp".parse()?)
        .watermark("1s".parse()?)
        .checkpoint(folder.path().join("ckpt"))
        .listen(move |batch| *told.lock().unwrap() = batch.clone());
    let going = query.start(&Engine::new())?;
    let started = Instant::now();
    println!("seconds,batches,groups,state_mib,resident_mib");
    while started.elapsed() < time && !going.is_over() {
        std::thread::sleep(Duration::from_secs(10).min(time));
        let last = last.lock().unwrap().clone();
        let (batch, groups, state) = (last.batch, last.groups, last.state_bytes as f64 / 1048576.0);
        println!("{:.0},{batch},{groups},{state:.1},{:.1}", started.elapsed().as_secs_f64(), resident());
        // What has been given takes no room for ever on the disk it is measured on.
        for file in std::fs::read_dir(folder.path().join("out"))?.flatten() {
            // One whose name begins with a dot is being written.
            if file.path().is_file() && !file.file_name().as_encoded_bytes().starts_with(b".") {
                _ = std::fs::remove_file(file.path());
            }
        }
    }
    going.stop();
    going.wait()?;
    Ok(())
}

/// Ten million rows, two seconds of events a batch.
fn sliding(keys: u64) -> Done {
    for window in ["tumbling 10s on timestamp", "sliding 10s every 2s on timestamp"] {
        let key = format!("value * 7919 % {keys}");
        let job = Job::new().map("key", expr::parse(&key)?).by(["key"]);
        let job = job.aggregate(count().named("rows")).aggregate(sum(col("value")).named("total"));
        let query = Query::new(rate(500_000, "5s", Some(20))?, job, nowhere()).window(window.parse()?);
        let started = Instant::now();
        let batches = run(query.watermark("5s".parse()?).finish(true), &Engine::new())?;
        let given: u64 = batches.iter().map(|batch| batch.rows_emitted).sum();
        println!("{window}: {:.3} s, {given} rows given", started.elapsed().as_secs_f64());
    }
    Ok(())
}

fn guarantee(rows: u64, batches: u64) -> Done {
    let query = |checkpoint: Option<PathBuf>, out: PathBuf| -> Result<Query> {
        let job = Job::new().map("key", expr::parse("value * 7919 % 100000")?).by(["key"]);
        let job = job.aggregate(count().named("rows")).aggregate(sum(col("value")).named("total"));
        let query = Query::new(rate(rows, "5s", Some(batches))?, job, FolderSink::new(out, Format::Csv));
        let query = query.window("tumbling 10s on timestamp".parse()?).watermark("5s".parse()?).finish(true);
        Ok(match checkpoint {
            Some(folder) => query.checkpoint(folder),
            None => query,
        })
    };
    let (mut without, mut exactly) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let folder = scratch()?;
        for (times, checkpoint) in [(&mut without, None), (&mut exactly, Some(folder.path().join("ckpt")))] {
            let out = folder.path().join(if checkpoint.is_some() { "exactly" } else { "without" });
            let started = Instant::now();
            run(query(checkpoint, out)?, &Engine::new())?;
            times.push(started.elapsed().as_secs_f64());
        }
    }
    without.sort_by(f64::total_cmp);
    exactly.sort_by(f64::total_cmp);
    let (without, exactly) = (without[2], exactly[2]);
    println!("without {without:.3} s, exactly once {exactly:.3} s: {:+.1} %", (exactly / without - 1.0) * 100.0);
    Ok(())
}
