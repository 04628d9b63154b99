//! Queries over streams: what they give is what the batch engine gives over the same rows, whatever happens on the way.

mod crashes;
mod disk;
mod kills;
mod queries;

use std::path::Path;
use std::sync::Arc;

use tidemill::aggregate::{count, max, sum};
use tidemill::output::Format;
use tidemill::stream::{FolderSink, OutputMode, Query, RateSource, Summary, Trigger};
use tidemill::{Device, Engine, Job, Result, col, lit};

use disk::SimulatedDisk;

/// The checkpoint and the output, on a simulated disk.
const CHECKPOINT: &str = "/checkpoint";
const OUTPUT: &str = "/output";

fn engine() -> Engine {
    Engine::new().device(Device::Cpu).threads(1)
}

/// 8 batches of 20 rows, a second each: windows, a string key, floats whose sum depends on the order unless it is exact.
fn query(disk: &SimulatedDisk, mode: OutputMode) -> Query {
    let job = Job::new()
        .filter(col("value").ne(lit(17)))
        .map(
            "kind",
            tidemill::expr::parse("case value % 3 when 0 then 'zero' when 1 then 'one' else null end").unwrap(),
        )
        .by(["kind"])
        .aggregate(count().named("rows"))
        .aggregate(sum(tidemill::expr::parse("cast(value as float64) * 0.1").unwrap()).named("total"))
        .aggregate(max(col("kind")).named("last"));
    let sink = FolderSink::on(Arc::new(disk.clone()), OUTPUT, Format::Csv);
    let source = RateSource::new(20, "1s".parse().unwrap(), Some(8)).unwrap();
    Query::new(source, job, sink)
        .window("sliding 4s every 2s on timestamp".parse().unwrap())
        .watermark("1s".parse().unwrap())
        .mode(mode)
        .trigger(Trigger::AvailableNow)
        .checkpoint(CHECKPOINT)
        .keep(3)
        .disk(Arc::new(disk.clone()))
}

fn run(query: Query) -> Result<Summary> {
    query.start(&engine())?.wait()
}

fn output(disk: &SimulatedDisk) -> std::collections::BTreeMap<String, String> {
    disk.output(Path::new(OUTPUT))
}
