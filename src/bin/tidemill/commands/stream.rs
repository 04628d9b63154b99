//! `tidemill stream`: a job over a stream.

use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tidemill::expr;
use tidemill::input::{CsvOptions, OpenOptions};
use tidemill::output::Format;
use tidemill::stream::{
    FileOrder, FileSink, FolderSink, FolderSource, Guarantee, Limits, LinesSink, LinesSource, Lookup, Metrics,
    NexmarkSource, OutputMode, Query, RateSource, Sink, Source, TailSource, Trigger,
};
use tidemill::{Device, Error, Input, Job, Result};

use crate::args::{GroupingArgs, InputArgs, StreamArgs};
use crate::board::{Picture, TableSink};
use crate::exit::say;
use crate::interrupt::Interrupt;
use crate::live::{Beside, Live};
use crate::metrics::Server;
use crate::{job, screen, values};

/// What stdout is called in messages.
const STDOUT: &str = "standard output";
/// From one look at whether the query has ended, or is to end, to the next.
const LOOK: Duration = Duration::from_millis(20);
/// From one drawing of the terminal to the next.
const DRAW: Duration = Duration::from_millis(100);

/// Runs the query until its input ends, or it is interrupted.
pub fn run(args: &StreamArgs) -> Result<()> {
    let job = job_of(args)?;
    let trigger = Trigger::from_str(&args.trigger)?;
    let source = source(args)?;
    let mode = OutputMode::from_str(&args.mode)?;
    let live = Live::new(screen::can_draw() && !args.progress);
    // In mode update a row is known by its window and its keys.
    let keys = job.keys.len() + if args.window.is_empty() { 0 } else { 2 };
    let (sink, picture) = sink(args.sink.as_deref(), mode, keys, &live)?;
    let mut query =
        Query::boxed(source, job, sink).mode(mode).trigger(trigger).keep(args.keep).finish(args.finish).limits(
            Limits {
                files: args.max_files,
                bytes: args.max_bytes.as_deref().map(values::size).transpose()?.map(|bytes| bytes as u64),
                rows: args.max_rows,
            },
        );
    for window in &args.window {
        query = query.window(window.parse()?);
    }
    for text in &args.lookup {
        query = query.lookup(lookup(text, &args.input)?);
    }
    query = query.distinct(job::items(&args.distinct)?);
    if let Some(on) = &args.event_time {
        query = query.event_time(expr::parse(on)?);
    }
    if let Some(job) = then(args)? {
        query = query.then(job);
    }
    if let Some(delay) = &args.watermark {
        query = query.watermark(delay.parse()?);
    }
    if let Some(target) = &args.max_latency {
        query = query.max_latency(target.parse()?);
    }
    if let Some(after) = &args.idle {
        query = query.idle(after.parse()?);
    }
    if let Some(guarantee) = &args.guarantee {
        query = query.guarantee(Guarantee::from_str(guarantee)?);
    }
    if let Some(folder) = &args.checkpoint {
        query = query.checkpoint(folder);
    }
    let metrics = Metrics::new();
    let server = {
        let metrics = metrics.clone();
        args.metrics.as_deref().map(|at| Server::begin(at, move || metrics.render())).transpose()?
    };
    let (prints, line) = (args.progress, live.clone());
    query = query.listen(move |progress| {
        metrics.note(progress);
        line.note(progress);
        if prints {
            say(&progress.to_json().to_string());
        }
    });
    let mut engine = job::engine(&args.run)?.device(Device::from_str(&args.device)?);
    if let Some(text) = &args.rejects {
        engine = engine.max_rejects(args.max_rejects);
        query = query.rejects_boxed(aside(text)?);
    }
    if let Some(text) = &args.late {
        query = query.late_boxed(aside(text)?);
    }
    let interrupt = Interrupt::listen()?;
    let going = query.start(&engine)?;
    interrupt.heed();
    if let Some(server) = &server {
        say(&format!("tidemill: metrics: {}", server.url()));
    }
    going.notes().iter().for_each(|note| say(&format!("tidemill: note: {note}")));
    let mut asked = false;
    let mut drawn = Instant::now();
    let mut ended = Ok(());
    while !going.is_over() {
        // The first Ctrl-C: what is running comes to its end.
        if interrupt.flag.load(Ordering::Relaxed) && !asked {
            asked = true;
            going.stop();
        }
        if drawn.elapsed() >= DRAW && ended.is_ok() {
            drawn = Instant::now();
            ended = picture.as_ref().map_or(Ok(()), |picture| picture.draw(&live));
            live.draw();
            // A query whose table nobody sees ends after its batch.
            if ended.is_err() {
                going.stop();
            }
        }
        std::thread::sleep(LOOK);
    }
    let summary = going.wait();
    if let (Some(picture), Ok(())) = (&picture, &ended) {
        ended = picture.draw(&live);
    }
    live.clear();
    let summary = summary?;
    ended?;
    if screen::is_terminal() || args.progress || summary.rows_late > 0 {
        let late = if summary.rows_late > 0 { format!(", {} of them late", summary.rows_late) } else { String::new() };
        say(&format!(
            "tidemill: {} rows in {} batches{late}; {} rows given; {:.1} s",
            summary.rows_read,
            summary.batches,
            summary.rows_emitted,
            summary.wall.as_secs_f64()
        ));
    }
    Ok(())
}

fn job_of(args: &StreamArgs) -> Result<Job> {
    let job = job::grouping(&args.grouping, job::items(&args.aggregates)?)?;
    let mut job = job::narrowed(job, &args.having, &args.order_by, args.limit)?;
    job.select = job::items(&args.select)?;
    job::check_computes(&job)?;
    Ok(job)
}

/// The second stage, if there is one.
fn then(args: &StreamArgs) -> Result<Option<Job>> {
    let grouping = GroupingArgs { by: args.then_by.clone(), filter: args.then_where.clone(), map: Vec::new() };
    let job = job::grouping(&grouping, job::items(&args.then)?)?;
    let job = job::narrowed(job, &[], &args.then_order_by, args.then_limit)?;
    if job == Job::new() {
        return Ok(None);
    }
    if job.keys.is_empty() && job.aggregates.is_empty() {
        return Err(Error::Usage {
            message: "the second stage has nothing to compute".into(),
            help: Some("give it aggregates, --then 'max(n)', or keys, --then-by auction,n".into()),
        });
    }
    Ok(Some(job))
}

/// A table: `FILE on COLUMN = KEY`.
fn lookup(text: &str, input: &InputArgs) -> Result<Lookup> {
    let wrong = || Error::Usage {
        message: format!("'{text}' is no table to look up in"),
        help: Some("write 'FILE on COLUMN' or 'FILE on COLUMN = KEY'".into()),
    };
    let (file, keys) = text.rsplit_once(" on ").ok_or_else(wrong)?;
    let (on, key) = keys.split_once('=').unwrap_or((keys, keys));
    let (on, key) = (on.trim(), key.trim());
    if file.trim().is_empty() || on.is_empty() || key.is_empty() {
        return Err(wrong());
    }
    // What is said of the columns of the stream is not of those of the table.
    let reading =
        OpenOptions { csv: CsvOptions { schema: Vec::new(), ..job::reading(input)?.csv }, ..OpenOptions::default() };
    Ok(Lookup::new(Input::open(&[file.trim()], &reading)?, on, key))
}

fn source(args: &StreamArgs) -> Result<Box<dyn Source>> {
    let reading: OpenOptions = job::reading(&args.input)?;
    match args.source.split_once(':') {
        Some(("dir", pattern)) if !pattern.is_empty() => {
            Ok(Box::new(FolderSource::new(pattern, FileOrder::from_str(&args.file_order)?, reading)?))
        }
        Some(("rate", words)) => Ok(Box::new(RateSource::parse(words)?)),
        Some(("tail", path)) if !path.is_empty() => Ok(Box::new(TailSource::new(path, reading))),
        Some(("nexmark", words)) => Ok(Box::new(NexmarkSource::parse(words)?)),
        Some(("tcp", address)) if !address.is_empty() => Ok(Box::new(LinesSource::tcp(address, reading)?)),
        None if args.source == "-" => Ok(Box::new(LinesSource::of(std::io::stdin(), "-", reading)?)),
        _ => Err(Error::Usage {
            message: format!("'{}' is no source", args.source),
            help: Some(
                "write 'dir:incoming/*.csv', tail:FILE, - for standard input, tcp:HOST:PORT, rate:rows=1000,advance=1s, or \
                 nexmark:bid,events=1000000".into(),
            ),
        }),
    }
}

/// Where rows go that are not in the output: a file, or a folder.
fn aside(text: &str) -> Result<Box<dyn Sink>> {
    match text.split_once(':') {
        Some((name, folder)) if !folder.is_empty() && Format::from_str(name).is_ok() => {
            Ok(Box::new(FolderSink::new(folder, Format::from_str(name)?)))
        }
        _ => Ok(Box::new(FileSink::new(text, Format::of_path(Path::new(text)).unwrap_or(Format::Csv))?)),
    }
}

/// The sink, and what is to be drawn of it.
fn sink(text: Option<&str>, mode: OutputMode, keys: usize, live: &Live) -> Result<(Box<dyn Sink>, Option<Picture>)> {
    let text = text.unwrap_or(if screen::is_terminal() { "table" } else { "csv" });
    let (name, folder) = text.split_once(':').unwrap_or((text, ""));
    if text == "table" {
        let (sink, picture) = TableSink::new(mode, keys, live);
        return Ok((Box::new(sink), picture));
    }
    if name == "table" {
        return Err(Error::Usage {
            message: format!("the sink '{text}': a table is for eyes, and has no folder"),
            help: Some("write table, or csv:out".into()),
        });
    }
    let format = Format::from_str(name)?;
    if folder.is_empty() {
        if text.ends_with(':') {
            return Err(Error::Usage {
                message: format!("the sink '{text}' does not name its folder"),
                help: Some(format!("write {}:out", format.name())),
            });
        }
        let to: Box<dyn Write + Send> =
            if screen::is_terminal() { Box::new(Beside(live.clone())) } else { Box::new(std::io::stdout()) };
        return Ok((Box::new(LinesSink::new(to, STDOUT, format)?), None));
    }
    Ok((Box::new(FolderSink::new(folder, format)), None))
}
