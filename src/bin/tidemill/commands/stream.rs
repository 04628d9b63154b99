//! `tidemill stream`: a job over a stream.

use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidemill::expr;
use tidemill::input::OpenOptions;
use tidemill::output::Format;
use tidemill::plan::Named;
use tidemill::stream::{
    FileOrder, FolderSink, FolderSource, Guarantee, Limits, LinesSink, LinesSource, NexmarkSource, OutputMode, Query,
    RateSource, Sink, Source, TailSource, Trigger,
};
use tidemill::{Device, Error, Job, Result};

use crate::args::StreamArgs;
use crate::exit::say;
use crate::interrupt::Interrupt;
use crate::{job, screen, values};

/// What stdout is called in messages.
const STDOUT: &str = "standard output";
/// From one look at whether the query has ended, or is to end, to the next.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the query until its input ends, or it is interrupted.
pub fn run(args: &StreamArgs) -> Result<()> {
    let job = job_of(args)?;
    let trigger = Trigger::from_str(&args.trigger)?;
    let source = source(args)?;
    let sink = sink(&args.sink)?;
    let mut query = Query::boxed(source, job, sink)
        .mode(OutputMode::from_str(&args.mode)?)
        .trigger(trigger)
        .keep(args.keep)
        .finish(args.finish)
        .limits(Limits {
            files: args.max_files,
            bytes: args.max_bytes.as_deref().map(values::size).transpose()?.map(|bytes| bytes as u64),
            rows: args.max_rows,
        });
    if let Some(window) = &args.window {
        query = query.window(window.parse()?);
    }
    if let Some(delay) = &args.watermark {
        query = query.watermark(delay.parse()?);
    }
    if let Some(guarantee) = &args.guarantee {
        query = query.guarantee(Guarantee::from_str(guarantee)?);
    }
    if let Some(folder) = &args.checkpoint {
        query = query.checkpoint(folder);
    }
    if args.progress {
        query = query.listen(|progress| say(&progress.to_json().to_string()));
    }
    let engine = job::engine(&args.run)?.device(Device::from_str(&args.device)?);
    let interrupt = Interrupt::listen()?;
    let going = query.start(&engine)?;
    interrupt.heed();
    going.notes().iter().for_each(|note| say(&format!("tidemill: note: {note}")));
    let mut asked = false;
    while !going.is_over() {
        // The first Ctrl-C: what is running comes to its end.
        if interrupt.flag.load(Ordering::Relaxed) && !asked {
            asked = true;
            going.stop();
        }
        std::thread::sleep(LOOK);
    }
    let summary = going.wait()?;
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
    let mut aggregates = Vec::new();
    for text in &args.aggregates {
        aggregates.extend(expr::parse_items(text)?.into_iter().map(|(expr, name)| Named { name, expr }));
    }
    let job = job::grouping(&args.grouping, aggregates)?;
    let job = job::narrowed(job, &args.having, &args.order_by, args.limit)?;
    job::check_computes(&job)?;
    Ok(job)
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

fn sink(text: &str) -> Result<Box<dyn Sink>> {
    let (format, folder) = text.split_once(':').unwrap_or((text, ""));
    let format = Format::from_str(format)?;
    if folder.is_empty() {
        if text.ends_with(':') {
            return Err(Error::Usage {
                message: format!("the sink '{text}' does not name its folder"),
                help: Some(format!("write {}:out", format.name())),
            });
        }
        return Ok(Box::new(LinesSink::new(Box::new(std::io::stdout()), STDOUT, format)?));
    }
    Ok(Box::new(FolderSink::new(folder, format)))
}
