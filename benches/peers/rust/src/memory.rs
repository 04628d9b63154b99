//! tidemill as a library: the clock runs from a job and batches in memory to batches in memory.

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use clap::Args as Arguments;
use serde_json::json;
use tidemill::output::{Format, OutputFile, writer};
use tidemill::plan::Named;
use tidemill::{Device, Engine, Input, Job, expr};

use crate::Result;

#[derive(Arguments)]
pub struct Args {
    /// The Arrow IPC file
    file: PathBuf,
    /// Group keys, between commas
    #[arg(long)]
    by: String,
    /// Let groups come in any order
    #[arg(long)]
    unordered: bool,
    /// Threads of the engine
    #[arg(long)]
    threads: usize,
    /// Write the answer to this Arrow file, after the clock has stopped
    #[arg(long)]
    output: Option<PathBuf>,
    /// Aggregates, as `tidemill agg` understands them
    #[arg(required = true)]
    aggregates: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    // Read, not mapped: the peers' tables are in memory too.
    let reader = FileReader::try_new(File::open(&args.file)?, None)?;
    let schema = reader.schema();
    let batches = reader.collect::<std::result::Result<Vec<RecordBatch>, _>>()?;
    let before = anonymous()?;

    let started = Instant::now();
    let mut job = Job::new();
    let named = |(expr, name)| Named { name, expr };
    job.keys.extend(expr::parse_items(&args.by)?.into_iter().map(named));
    for text in &args.aggregates {
        job.aggregates.push(named(expr::parse_item(text)?));
    }
    if args.unordered {
        job = job.unordered();
    }
    let input = Input::batches(schema, batches)?;
    let report = Engine::new().device(Device::Cpu).threads(args.threads).run(&job, &input)?;
    let seconds = started.elapsed().as_secs_f64();

    println!("{}", json!({ "seconds": seconds, "anonymous_before": before }));
    if let Some(path) = &args.output {
        let file = OutputFile::create(path)?;
        let mut writer = writer(Format::Arrow, report.schema.clone(), file.sink(), path)?;
        for batch in &report.batches {
            writer.write(batch)?;
        }
        writer.finish()?;
        file.commit()?;
    }
    Ok(())
}

/// Bytes of memory of this process that are no mapped file's.
fn anonymous() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon in /proc/self/status")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
