//! Queries over streams: what they give is what the batch engine gives over the same rows, whatever happens on the way.

mod crashes;
mod devices;
mod disk;
mod kills;
mod late;
mod mistakes;
mod queries;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "an example is a program of its own, too")]
#[path = "../../examples/ysb.rs"]
mod ysb;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tidemill::aggregate::{count, max, sum};
use tidemill::input::OpenOptions;
use tidemill::output::Format;
use tidemill::stream::{
    Disk, FileOrder, FolderSink, FolderSource, Limits, Lookup, OutputMode, Query, RateSource, Sink, Summary, Trigger,
};
use tidemill::{Device, Engine, Job, Result, col, lit};

use disk::SimulatedDisk;

/// The checkpoint and the output, on a simulated disk.
const CHECKPOINT: &str = "/checkpoint";
const OUTPUT: &str = "/output";

/// The files of an output, by name.
type Output = BTreeMap<String, String>;

fn engine() -> Engine {
    Engine::new().device(Device::Cpu).threads(1)
}

/// 8 batches of 20 rows, a second each: windows, a string key, floats whose sum depends on the order unless it is exact.
fn query(disk: &SimulatedDisk, mode: OutputMode) -> Query {
    query_on(Arc::new(disk.clone()), folder_sink(Arc::new(disk.clone())), mode)
}

fn folder_sink(disk: Arc<dyn Disk>) -> FolderSink {
    FolderSink::on(disk, OUTPUT, Format::Csv)
}

/// The same with a log on any disk, and into any sink.
fn query_on(disk: Arc<dyn Disk>, sink: impl Sink + 'static, mode: OutputMode) -> Query {
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
    let source = RateSource::new(20, "1s".parse().unwrap(), Some(8)).unwrap();
    Query::new(source, job, sink)
        .window("sliding 4s every 2s on timestamp".parse().unwrap())
        .watermark("1s".parse().unwrap())
        .mode(mode)
        .trigger(Trigger::AvailableNow)
        .checkpoint(CHECKPOINT)
        .keep(3)
        .disk(disk)
}

/// Six files of a folder, one a batch: keys that are strings, new ones in every file; rows without a time or a key; late rows.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        let folder = tempfile::tempdir().unwrap();
        for file in 0..6 {
            let mut text = String::from("time,city,fare\n");
            for row in 0..12 {
                let second = (file * 4 + row * 7 % 5) % 60;
                let city = ["Rome", "Oslo", "", "Ulaanbaatar", "Bern"][(file + row) % 5];
                text += &match row {
                    11 => format!(",{city},1\n"),
                    9 => format!("2026-01-01T00:00:00,Late {file},2.5\n"),
                    _ => format!("2026-01-01T00:00:{second:02},{city}{},{row}.1\n", file / 2),
                };
            }
            std::fs::write(folder.path().join(format!("{file}.csv")), text).unwrap();
        }
        Files(folder)
    }

    /// Without a window in mode complete, where all groups are kept; tumbling else.
    fn query(&self, disk: &SimulatedDisk, mode: OutputMode) -> Query {
        let pattern = self.0.path().to_str().unwrap();
        let source = FolderSource::new(pattern, FileOrder::Name, OpenOptions::default()).unwrap();
        let job = Job::new()
            .by(["city"])
            .aggregate(count().named("trips"))
            .aggregate(sum(col("fare")).named("total"))
            .aggregate(max(col("city")).named("last"));
        let query = Query::new(source, job, folder_sink(Arc::new(disk.clone())))
            .mode(mode)
            .limits(Limits { files: Some(1), ..Limits::default() })
            .trigger(Trigger::AvailableNow)
            .checkpoint(CHECKPOINT)
            .keep(2)
            .disk(Arc::new(disk.clone()));
        match mode {
            OutputMode::Complete => query,
            _ => query.window("tumbling 5s on time".parse().unwrap()).watermark("1s".parse().unwrap()),
        }
    }
}

/// A query by what it is called; what makes it on a disk.
type Case<'a> = (&'static str, Box<dyn Fn(&SimulatedDisk) -> Query + 'a>);

impl Files {
    /// Queries over the files that have more to remember than groups of windows.
    fn cases(&self) -> Vec<Case<'_>> {
        // A name that begins with a dot is none of the stream's.
        let cities = self.0.path().join(".cities.csv");
        std::fs::write(&cities, "name,country\nRome0,it\nRome1,it\nOslo0,no\nBern1,ch\nUlaanbaatar2,mn\n").unwrap();
        let on = move |disk: &SimulatedDisk, job: Job| {
            let pattern = self.0.path().to_str().unwrap();
            let source = FolderSource::new(pattern, FileOrder::Name, OpenOptions::default()).unwrap();
            Query::new(source, job, folder_sink(Arc::new(disk.clone())))
                .watermark("1s".parse().unwrap())
                .limits(Limits { files: Some(1), ..Limits::default() })
                .trigger(Trigger::AvailableNow)
                .checkpoint(CHECKPOINT)
                .keep(2)
                .disk(Arc::new(disk.clone()))
        };
        let window = |query: Query, text: &str| query.window(text.parse().unwrap());
        let totals =
            || Job::new().by(["city"]).aggregate(count().named("trips")).aggregate(sum(col("fare")).named("total"));
        let countries = move || {
            let table = tidemill::Input::open(&[&cities], &OpenOptions::default()).unwrap();
            Lookup::new(table, "city", "name")
        };
        let by_country = countries.clone();
        let for_late = countries.clone();
        vec![
            ("sessions", Box::new(move |disk| window(on(disk, totals()), "session 2s on time"))),
            (
                "several windows",
                Box::new(move |disk| {
                    window(window(on(disk, totals()), "tumbling 2s on time"), "sliding 6s every 4s on time")
                }),
            ),
            (
                "the first of each window",
                Box::new(move |disk| {
                    let first = Job::new().by(["city", "total"]).order_by("total desc, city").unwrap().limit(1);
                    window(on(disk, totals()), "tumbling 3s on time").then(first)
                }),
            ),
            (
                "distinct rows with a table's columns",
                Box::new(move |disk| {
                    let job = Job::new().select(col("time")).select(col("city")).select(col("country"));
                    let distinct = [tidemill::plan::Named::from(col("city"))];
                    on(disk, job).lookup(countries()).distinct(distinct).event_time(col("time"))
                }),
            ),
            (
                "late rows",
                Box::new(move |disk| {
                    let late = FolderSink::on(Arc::new(disk.clone()), format!("{OUTPUT}/late"), Format::Csv);
                    window(on(disk, totals()), "tumbling 2s on time").late(late)
                }),
            ),
            (
                "late rows behind distinct ones of a table",
                Box::new(move |disk| {
                    let late = FolderSink::on(Arc::new(disk.clone()), format!("{OUTPUT}/late"), Format::Csv);
                    let job = Job::new().by(["country"]).aggregate(sum(col("fare")).named("total"));
                    let distinct = [tidemill::plan::Named::from(col("city")), tidemill::plan::Named::from(col("fare"))];
                    window(on(disk, job).lookup(for_late()).distinct(distinct), "tumbling 3s on time").late(late)
                }),
            ),
            (
                "groups by a table's column",
                Box::new(move |disk| {
                    let job = Job::new().by(["country"]).aggregate(sum(col("fare")).named("total"));
                    window(on(disk, job).lookup(by_country()), "tumbling 3s on time").finish(true)
                }),
            ),
        ]
    }
}

fn run(query: Query) -> Result<Summary> {
    query.start(&engine())?.wait()
}

fn output(disk: &SimulatedDisk) -> Output {
    let mut all = disk.output(Path::new(OUTPUT));
    let late = disk.output(&Path::new(OUTPUT).join("late"));
    all.extend(late.into_iter().map(|(name, text)| (format!("late/{name}"), text)));
    all
}

#[test]
fn the_example_counts_views_as_a_loop_does() {
    ysb::run(60_000).unwrap();
}
