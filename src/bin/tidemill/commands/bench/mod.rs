//! `tidemill bench`: the CPU against the GPU, for users who choose hardware.
//!
//! Read in this order: `stats` (medians, ratios), `data` (the tables), `machine` (processors, bandwidths, load), `report` (what was
//! measured, as data), `measure` (runs and times), `doubts`, then how it shows: `text`, `svg`, `html`.

mod data;
mod doubts;
mod html;
mod machine;
mod measure;
mod report;
mod stats;
mod svg;
mod text;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidemill::input::OpenOptions;
use tidemill::output::{Format, OutputFile, writer};
use tidemill::{Device, Error, Input, Job, Result, aggregate, col, plan};

use self::data::{Keys, Table, Values};
use self::measure::{Go, Meter};
use self::report::{Cell, Report, Scope};
use crate::args::{BenchArgs, GroupingArgs};
use crate::exit::say;
use crate::interrupt::Interrupt;
use crate::job::{check_computes, engine, grouping, reading};
use crate::positional::{Positional, sort_out};
use crate::table::Limits;
use crate::{screen, sink, values};

/// Generated tables of more rows than this are not written to files.
const MOST_ROWS_WRITTEN: u64 = 2_000_000;
/// Rows of a user's data held in memory, unless --rows asks for more.
const MOST_ROWS_HELD: u64 = 20_000_000;

/// What is measured.
enum Subject {
    Generated { rows: Vec<u64>, groups: Vec<u64> },
    Files { files: Vec<PathBuf>, job: Box<Job>, reading: OpenOptions, rows: Option<Vec<u64>> },
}

/// Measures, prints, and writes the reports asked for.
pub fn run(args: &BenchArgs) -> Result<()> {
    let subject = subject(args)?;
    let engine = engine(&args.run)?;
    if args.html.is_some() && args.html == args.json {
        return Err(Error::usage("--html and --json name the same file"));
    }
    let interrupt = Interrupt::listen()?;
    // Begun before anything is measured: a folder that cannot be written is found out now.
    let begin = |path: &Option<PathBuf>| path.as_deref().map(OutputFile::create).transpose();
    let files = [begin(&args.html)?, begin(&args.json)?];
    let gpus = machine::gpus(&args.device)?;
    if gpus.is_empty() {
        say("tidemill: note: no GPU adapter found; the CPU is measured alone");
    }
    let threads = args.run.threads.map_or_else(cores, usize::from);
    let before = machine::Load::now();
    let mut report = Report {
        subject: title(&subject),
        processors: vec![machine::cpu(threads)],
        threads,
        runs: args.runs.into(),
        complete: true,
        ..Report::default()
    };
    let mut devices = vec![Device::Cpu];
    for info in &gpus {
        report.processors.push(machine::gpu(info)?);
        devices.push(Device::Gpu(Some(info.index)));
    }
    interrupt.heed();
    let time = Duration::from_secs(args.seconds.into());
    let mut meter = Meter::new(report, engine, devices, time, interrupt.clone());
    let measured = match &subject {
        Subject::Generated { rows, groups } => generated(&mut meter, rows, groups),
        Subject::Files { files, job, reading, rows } => own(&mut meter, files, job, reading, rows.as_deref()),
    };
    let mut report = meter.done();
    if measured? == Go::Stop || interrupt.check().is_err() {
        report.complete = false;
        report.left_out.push("everything after Ctrl-C".into());
        if report.cells.is_empty() {
            return Err(Error::Cancelled);
        }
    }
    report.doubts = doubts::doubts(&report, before);
    let [html, json] = files;
    if let Some(file) = html {
        write(file, &html::page(&report))?;
    }
    if let Some(file) = json {
        write(file, &format!("{:#}\n", report.to_json()))?;
    }
    let limits = Limits { width: screen::width(), colour: screen::has_colour(), ..Limits::default() };
    sink::print(&text::text(&report, limits))?;
    interrupt.check()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn subject(args: &BenchArgs) -> Result<Subject> {
    let Positional { files, aggregates } = sort_out(&args.arguments)?;
    let rows = args.rows.as_deref().map(values::counts).transpose()?;
    let groups = args.groups.as_deref().map(values::counts).transpose()?;
    if files.is_empty() {
        let GroupingArgs { by, filter, map } = &args.grouping;
        if !(aggregates.is_empty() && by.is_empty() && filter.is_empty() && map.is_empty()) {
            return Err(Error::Usage {
                message: "a job needs an input file".into(),
                help: Some("name one, or leave the job out: then generated tables are measured".into()),
            });
        }
        let rows = rows.unwrap_or_else(|| vec![10_000, 100_000, 1_000_000, 10_000_000]);
        return Ok(Subject::Generated { rows, groups: groups.unwrap_or_else(|| vec![100, 10_000, 1_000_000]) });
    }
    if groups.is_some() {
        return Err(Error::Usage {
            message: "--groups is for generated tables".into(),
            help: Some("a file has the groups it has; leave --groups out, or the file".into()),
        });
    }
    let job = grouping(&args.grouping, aggregates)?;
    check_computes(&job)?;
    Ok(Subject::Files { files, job: Box::new(job), reading: reading(&args.input)?, rows })
}

fn title(subject: &Subject) -> String {
    match subject {
        Subject::Generated { .. } => "generated tables".into(),
        Subject::Files { files, job, .. } => {
            let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
            format!("{}: {}", files.join(", "), workload(job))
        }
    }
}

/// A job in words.
fn workload(job: &Job) -> String {
    let titles = |named: &[plan::Named]| named.iter().map(plan::Named::title).collect::<Vec<_>>().join(", ");
    let mut text = if job.aggregates.is_empty() { "distinct keys".to_owned() } else { titles(&job.aggregates) };
    if !job.keys.is_empty() {
        text.push_str(&format!(" by {}", titles(&job.keys)));
    }
    if let Some(filter) = &job.filter {
        text.push_str(&format!(" where {filter}"));
    }
    text
}

fn write(file: OutputFile, text: &str) -> Result<()> {
    let mut out = file.sink();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Error::io("cannot write", file.path(), e))?;
    file.commit()
}

/// Measures generated tables: rung by rung, so that what does not fit in the time are the largest.
fn generated(meter: &mut Meter, rows: &[u64], groups: &[u64]) -> Result<Go> {
    let kinds = [
        (Keys::Uniform, Values::Floats),
        (Keys::Uniform, Values::Ints),
        (Keys::Skewed, Values::Floats),
        (Keys::Skewed, Values::Ints),
    ];
    let job = Job::new().by(["k"]).aggregate(aggregate::sum(col("v")));
    let middle = groups[groups.len() / 2];
    for &rows in rows {
        for (keys, values) in kinds {
            for &groups in groups {
                let mut cell = cell(Scope::Resident, named(keys, values), Some(groups), "memory", rows);
                cell.bytes = rows * 16;
                cell.states = 1;
                // Before the table is made: that takes time too.
                if !meter.fits(&cell) {
                    continue;
                }
                let Some(table) = Table::generate(keys, values, rows, groups, &meter.interrupt.flag)? else {
                    return Ok(Go::Stop);
                };
                if meter.resident(cell, &job, &table.input()?)? == Go::Stop {
                    return Ok(Go::Stop);
                }
            }
        }
        if rows > MOST_ROWS_WRITTEN {
            let most = text::count(MOST_ROWS_WRITTEN);
            meter.report.left_out.push(format!(
                "end to end, {} rows: generated files have at most {most}; name a file of your own for more",
                text::count(rows)
            ));
            continue;
        }
        let (keys, values) = kinds[0];
        let Some(table) = Table::generate(keys, values, rows, middle, &meter.interrupt.flag)? else {
            return Ok(Go::Stop);
        };
        let folder = tempfile::tempdir().map_err(|e| Error::io("cannot make a folder in", std::env::temp_dir(), e))?;
        for format in [Format::Csv, Format::Arrow] {
            let path = folder.path().join("generated").with_extension(format.name());
            let bytes = save(&table, format, &path)?;
            let mut cell = cell(Scope::EndToEnd, named(keys, values), Some(middle), format.name(), rows);
            cell.bytes = bytes;
            cell.states = 1;
            let open = || Input::open(&[&path], &OpenOptions::default());
            if meter.end_to_end(cell, &job, open)? == Go::Stop {
                return Ok(Go::Stop);
            }
        }
    }
    Ok(Go::On)
}

fn named(keys: Keys, values: Values) -> String {
    let keys = if keys == Keys::Uniform { "uniform" } else { "skewed" };
    let values = if values == Values::Ints { "integers" } else { "floats" };
    format!("{keys} keys, sum of {values}")
}

fn cell(scope: Scope, workload: String, ladder: Option<u64>, format: &str, rows: u64) -> Cell {
    let format = format.to_owned();
    Cell { scope, workload, ladder, format, rows, groups: 0, bytes: 0, states: 0, sides: Vec::new() }
}

/// Writes a table; the bytes of the file.
fn save(table: &Table, format: Format, path: &Path) -> Result<u64> {
    let cannot = |e| Error::io("cannot write", path, e);
    let file = std::fs::File::create(path).map_err(cannot)?;
    let mut writer = writer(format, table.schema.clone(), Box::new(file), path)?;
    for batch in &table.batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(std::fs::metadata(path).map_err(cannot)?.len())
}

/// Measures a user's job over a user's data: the first rows of it in memory, rung by rung, then the whole from its files.
fn own(meter: &mut Meter, files: &[PathBuf], job: &Job, reading: &OpenOptions, rows: Option<&[u64]>) -> Result<Go> {
    let input = Input::open(files, reading)?;
    let most = rows.and_then(|rows| rows.last().copied()).unwrap_or(MOST_ROWS_HELD);
    let Some(table) = Table::load(job, &input, most, &meter.interrupt.flag)? else { return Ok(Go::Stop) };
    let held = table.rows();
    let states = plan::lower(job, table.input()?.schema())?.stage.states.len() as u64;
    let mut rungs: Vec<u64> = rows.unwrap_or(&[10_000, 100_000, 1_000_000, 10_000_000]).to_vec();
    rungs.retain(|rung| *rung < held);
    rungs.push(held);
    if rows.is_none() && held == MOST_ROWS_HELD {
        let most = text::count(held);
        meter.report.left_out.push(format!("resident, more than the first {most} rows (--rows asks for more)"));
    }
    for rung in rungs {
        let part = table.first(rung);
        let mut cell = cell(Scope::Resident, workload(job), None, "memory", rung);
        cell.bytes = rung * part.row_bytes();
        cell.states = states;
        if meter.resident(cell, job, &part.input()?)? == Go::Stop {
            return Ok(Go::Stop);
        }
    }
    drop(table);
    if files.iter().any(|file| file.as_os_str() == "-") {
        meter.report.left_out.push("end to end: standard input can be read only once".into());
        return Ok(Go::On);
    }
    let source = input.source();
    let mut cell = cell(Scope::EndToEnd, workload(job), None, source.format(), source.rows().unwrap_or(held));
    cell.bytes = source.bytes().unwrap_or_default();
    cell.states = states;
    meter.end_to_end(cell, job, || Input::open(files, reading))
}
