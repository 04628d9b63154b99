//! `tidemill agg`: a job over files.

use std::sync::Arc;

use tidemill::{Result, RunReport};

use crate::args::{Agg, Explain, Stats};
use crate::exit::say;
use crate::interrupt::Interrupt;
use crate::job::{Resolved, resolve};
use crate::progress::Watch;
use crate::sink::Sink;
use crate::{rejects, sink};

/// Runs the job and writes its result.
pub fn run(args: &Agg) -> Result<()> {
    let Resolved { files, job, engine, reading } = resolve(args)?;
    let sink = Sink::choose(args.format, args.output.as_deref(), args.limit.is_some())?;
    let interrupt = Interrupt::listen()?;
    let input = reading.open(&files)?;
    if let Some(explain) = args.explain {
        return sink::print(&engine.explain(&job, &input, explain == Explain::Wgsl)?);
    }
    let watch = Arc::new(Watch::new());
    interrupt.heed();
    let engine = engine.cancel_on(Arc::clone(&interrupt.flag)).observe(Arc::clone(&watch) as _);
    let ran = engine.run(&job, &input);
    watch.clear();
    let report = ran?;
    if let Some(path) = &args.rejects {
        rejects::write(path, &report.rejects)?;
    }
    interrupt.check()?;
    sink.write(&report, &interrupt)?;
    tell(&report, args.stats);
    Ok(())
}

/// What the user should know of a run that went well: the ledger if asked for, else what did not go as planned.
fn tell(report: &RunReport, stats: Option<Stats>) {
    let ledger = &report.ledger;
    match stats {
        Some(Stats::Json) => say(&ledger.to_json().to_string()),
        Some(Stats::Text) => say(&ledger.to_string()),
        None => ledger.notes.iter().for_each(|note| say(&format!("tidemill: note: {note}"))),
    }
}
