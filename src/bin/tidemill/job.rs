//! Typed arguments → the job, the input, the engine.

use std::path::PathBuf;
use std::str::FromStr;

use tidemill::input::{CsvOptions, OpenOptions, TextFormat};
use tidemill::plan::Named;
use tidemill::{Device, Engine, Error, Job, Result, expr};

use crate::args::{Agg, GroupingArgs, InputArgs, RunArgs};
use crate::positional::{Positional, sort_out};
use crate::values;

/// What `tidemill agg` is to do, all texts understood.
pub struct Resolved {
    /// Input files.
    pub files: Vec<PathBuf>,
    /// The job.
    pub job: Job,
    /// The engine, set but not yet watched.
    pub engine: Engine,
    /// How to read the files.
    pub reading: OpenOptions,
}

/// Understands the options of input.
pub fn reading(args: &InputArgs) -> Result<OpenOptions> {
    let mut csv = CsvOptions {
        schema: args.schema.as_deref().map(values::schema).transpose()?.unwrap_or_default(),
        delimiter: args.delimiter.as_deref().map(values::delimiter).transpose()?,
        header: match (args.no_header, args.header) {
            (true, _) => Some(false),
            (_, true) => Some(true),
            _ => None,
        },
        ..CsvOptions::default()
    };
    if let Some(texts) = &args.null_values {
        csv.null_values = values::null_values(texts);
    }
    let text = args.input_format.as_deref().map(TextFormat::from_str).transpose()?;
    Ok(OpenOptions { csv, text })
}

/// An engine as the options of the run ask for it.
///
/// # Errors
/// A size that is none.
pub fn engine(args: &RunArgs) -> Result<Engine> {
    let mut engine = Engine::new();
    if let Some(threads) = args.threads {
        engine = engine.threads(threads.into());
    }
    if let Some(size) = &args.chunk_size {
        engine = engine.chunk_bytes(values::size(size)?);
    }
    Ok(engine)
}

/// Refuses a job without keys and aggregates.
///
/// # Errors
/// It is one.
pub fn check_computes(job: &Job) -> Result<()> {
    if job.keys.is_empty() && job.aggregates.is_empty() && !job.is_of_rows() {
        return Err(Error::Usage {
            message: "nothing to compute".into(),
            help: Some("give an aggregate such as count() or sum(x), or --by for the distinct values".into()),
        });
    }
    Ok(())
}

/// Understands the arguments of `agg`.
///
/// # Errors
/// Usage and query errors only: nothing is opened yet.
pub fn resolve(args: &Agg) -> Result<Resolved> {
    let Positional { files, aggregates } = sort_out(&args.arguments)?;
    if files.is_empty() {
        return Err(Error::Usage {
            message: "no input file".into(),
            help: Some("name one or more, or - for standard input".into()),
        });
    }
    if files.iter().filter(|f| f.as_os_str() == "-").count() > 1 {
        return Err(Error::usage("standard input (-) can be read only once"));
    }
    if let (Some(rejects), Some(output)) = (&args.rejects, &args.output)
        && rejects == output
    {
        return Err(Error::usage("--rejects and --output name the same file"));
    }
    let job = job(args, aggregates)?;
    check_computes(&job)?;
    let device = Device::from_str(&args.device)?;
    let mut engine = engine(&args.run)?.device(device);
    if let Some(size) = &args.memory {
        engine = engine.memory(values::size(size)? as u64);
    }
    if let Some(folder) = &args.temp_dir {
        engine = engine.temp_dir(folder);
    }
    if args.rejects.is_some() {
        engine = engine.max_rejects(args.max_rejects);
    }
    Ok(Resolved { files, job, engine, reading: reading(&args.input)? })
}

fn job(args: &Agg, aggregates: Vec<Named>) -> Result<Job> {
    let mut job = grouping(&args.grouping, aggregates)?;
    job.unordered = args.unordered;
    narrowed(job, &args.having, &args.order_by, args.limit)
}

/// The job with what is said of its result.
///
/// # Errors
/// Texts that do not parse.
pub fn narrowed(mut job: Job, having: &[String], order_by: &[String], limit: Option<u64>) -> Result<Job> {
    job.limit = limit;
    for text in having {
        job = job.having(expr::parse(text)?);
    }
    for text in order_by {
        job = job.order_by(text)?;
    }
    Ok(job)
}

/// The part of a job that groups and aggregates.
///
/// # Errors
/// Texts that do not parse.
pub fn grouping(args: &GroupingArgs, aggregates: Vec<Named>) -> Result<Job> {
    let mut job = Job { aggregates, ..Job::new() };
    for text in &args.filter {
        job = job.filter(expr::parse(text)?);
    }
    for text in &args.map {
        let (name, value) = expr::parse_assignment(text)?;
        job = job.map(name, value);
    }
    job.keys = items(&args.by)?;
    Ok(job)
}

/// What an option that may be given several times lists.
///
/// # Errors
/// Texts that do not parse.
pub fn items(texts: &[String]) -> Result<Vec<Named>> {
    let lists = texts.iter().map(|text| Named::parse_list(text)).collect::<Result<Vec<_>>>()?;
    Ok(lists.concat())
}
