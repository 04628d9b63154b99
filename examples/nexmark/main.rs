//! The queries of Nexmark over generated bids: `cargo run --release --example nexmark -- q5 10000000`.
//!
//! A third argument names files to read instead (`'bids/*.parquet'`, written by the example `nexmark_bids`), of which the second is
//! then the number a batch has. What is measured is the whole run; results are counted, not written.

mod queries;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use queries::{Nexmark, QUERIES};
use tidemill::input::OpenOptions;
use tidemill::stream::{Callback, FileOrder, FolderSource, Limits, NexmarkSource, Source, Trigger};
use tidemill::{Device, Engine, Error, Result};

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, number, files) = match &args[..] {
        [name, number] => (name, number, None),
        [name, number, files] => (name, number, Some(files)),
        _ => {
            for query in QUERIES {
                println!("{:4} {}", query.name, query.about);
            }
            return Err(Error::usage("nexmark QUERY EVENTS, or nexmark QUERY FILES_A_BATCH PATTERN"));
        }
    };
    let number: u64 = number.replace('_', "").parse().map_err(|_| Error::usage(format!("'{number}' is no number")))?;
    let query = Nexmark::named(name)?;
    let source: Box<dyn Source> = match files {
        None => Box::new(NexmarkSource::parse(&format!("bid,events={number},rows=500000"))?),
        Some(pattern) => Box::new(FolderSource::new(pattern, FileOrder::Name, OpenOptions::default())?),
    };
    let given = Arc::new(AtomicU64::new(0));
    let sink = {
        let given = Arc::clone(&given);
        Callback::new(move |output: &tidemill::stream::BatchOutput| {
            given.fetch_add(output.len() as u64, Ordering::Relaxed);
            Ok(())
        })
    };
    let limits = Limits { files: files.map(|_| number), ..Limits::default() };
    let query = query.query(source, Box::new(sink))?.limits(limits).trigger(Trigger::AvailableNow).finish(true);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let summary = query.start(&Engine::new().device(Device::Cpu))?.wait()?;
    let seconds = summary.wall.as_secs_f64();
    let rate = summary.rows_read as f64 / seconds / cores as f64;
    println!(
        "{name}: {} events in {seconds:.3} s, {:.0} K events/s/core; {} rows given in {} batches",
        summary.rows_read,
        rate / 1e3,
        given.load(Ordering::Relaxed),
        summary.batches
    );
    Ok(())
}
