//! `tidemill agg`: a job over files.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use tidemill::exec::Receiver;
use tidemill::input::Reject;
use tidemill::{Error, Input, Result, RunReport};

use crate::args::{Agg, Explain, Stats};
use crate::exit::say;
use crate::interrupt::Interrupt;
use crate::job::{Resolved, resolve};
use crate::progress::Watch;
use crate::rejects::Rejects;
use crate::sink::{self, Choice, Sink};

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
    let mut delivery = Delivery { sink, rejects, kept: Vec::new(), watch: &watch, interrupt: &interrupt };
    let ran = engine.run_into(&job, &input, &mut delivery);
    watch.clear();
    let Delivery { sink, rejects, kept, .. } = delivery;
    let report = match ran {
        Ok(report) => RunReport { batches: kept, ..report },
        Err(error) => {
            // What was set aside before it failed is worth having; an interrupted run leaves nothing.
            if let (Some(rejects), false) = (rejects, matches!(error, Error::Cancelled)) {
                rejects.write(&watch.set_aside())?;
            }
            return Err(error);
        }
    };
    sink.finish(&report, &interrupt)?;
    tell(&report, args.stats, &args.device);
    Ok(())
}

/// Brings a result to its place while the run still makes it.
struct Delivery<'a> {
    sink: Sink,
    rejects: Option<Rejects>,
    /// The batches of a table.
    kept: Vec<RecordBatch>,
    watch: &'a Watch,
    interrupt: &'a Interrupt,
}

impl Receiver for Delivery<'_> {
    fn begin(&mut self, _: &SchemaRef, rejects: &[Reject]) -> Result<()> {
        self.watch.clear();
        self.interrupt.check()?;
        // First what was set aside: a result must not appear without it.
        if let Some(file) = self.rejects.take() {
            let path = file.path().to_owned();
            file.write(rejects)?;
            if !rejects.is_empty() {
                say(&format!("tidemill: note: {} rows rejected, see {}", rejects.len(), path.display()));
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.interrupt.check()?;
        if !self.sink.streams() {
            self.kept.push(batch);
            return Ok(());
        }
        self.sink.write(&batch)
    }
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
