//! `tidemill agg`: a job over files.

use std::sync::Arc;

use tidemill::{Error, Input, Result, RunReport};

use crate::args::{Agg, Explain, Stats};
use crate::exit::say;
use crate::interrupt::Interrupt;
use crate::job::{Resolved, resolve};
use crate::progress::Watch;
use crate::rejects::Rejects;
use crate::sink::{self, Choice};

/// Runs the job and writes its result.
pub fn run(args: &Agg) -> Result<()> {
    let Resolved { files, job, engine, reading } = resolve(args)?;
    let choice = Choice::make(args.format, args.output.as_deref(), args.limit.is_some())?;
    let interrupt = Interrupt::listen()?;
    let input = Input::open(&files, &reading)?;
    if let Some(explain) = args.explain {
        return sink::print(&engine.explain(&job, &input, explain == Explain::Wgsl)?);
    }
    let sink = choice.begin()?;
    let rejects = args.rejects.as_deref().map(Rejects::begin).transpose()?;
    let watch = Arc::new(Watch::new());
    interrupt.heed();
    let engine = engine.cancel_on(Arc::clone(&interrupt.flag)).observe(Arc::clone(&watch) as _);
    let ran = engine.run(&job, &input);
    watch.clear();
    let report = match ran {
        Ok(report) => report,
        Err(error) => {
            // What was set aside before it failed is worth having; an interrupted run leaves nothing.
            if let (Some(rejects), false) = (rejects, matches!(error, Error::Cancelled)) {
                rejects.write(&watch.set_aside())?;
            }
            return Err(error);
        }
    };
    interrupt.check()?;
    // First what was set aside: a result must not appear without it.
    if let Some(rejects) = rejects {
        let path = rejects.path().to_owned();
        rejects.write(&report.rejects)?;
        if !report.rejects.is_empty() {
            say(&format!("tidemill: note: {} rows rejected, see {}", report.rejects.len(), path.display()));
        }
    }
    sink.write(&report, &interrupt)?;
    tell(&report, args.stats, &args.device);
    Ok(())
}

/// What the user should know of a run that went well: the ledger if asked for, else what did not go as planned.
fn tell(report: &RunReport, stats: Option<Stats>, device: &str) {
    let ledger = &report.ledger;
    match stats {
        Some(Stats::Json) => say(&ledger.to_json().to_string()),
        Some(Stats::Text) => say(&ledger.to_string()),
        None => {
            if device != "auto" && ledger.device_reason != "asked for" {
                say(&format!("tidemill: note: ran on {}: {}", ledger.device, ledger.device_reason));
            }
            ledger.notes.iter().for_each(|note| say(&format!("tidemill: note: {note}")));
        }
    }
}
