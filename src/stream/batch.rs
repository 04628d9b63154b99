//! What a batch computes: rows in, output and what has changed of the state out. Nothing of it is durable here.

use std::collections::HashMap;

use arrow_array::RecordBatch;

use super::going::{Going, Grouping};
use super::state::{put_pane, take_apart};
use super::{OutputMode, Progress};
use crate::exec::{Ledger, RowsRun};
use crate::input::{self, Reject};
use crate::plan::{Job, lower_rows};
use crate::{Engine, Result};

/// What a batch is computed with.
pub(super) struct Setting<'a> {
    pub engine: &'a Engine,
    pub job: &'a Job,
    pub mode: OutputMode,
    /// The watermark before the batch.
    pub watermark: Option<i64>,
    /// When the batch was planned, in milliseconds since 1970.
    pub at: i64,
    /// What the watermark moves to without a row.
    pub advance: Option<i64>,
    /// Whether what changes of the state is to be kept as bytes.
    pub keeps: bool,
}

/// What a batch gave.
pub(super) struct Found {
    pub rows: Vec<RecordBatch>,
    /// What it changed of the state, to be merged in again.
    pub delta: Vec<u8>,
    /// The watermark after it.
    pub watermark: Option<i64>,
}

impl Going {
    /// Does a batch over `source`; without one, a batch that only moves the watermark.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn batch(
        &mut self,
        source: Option<&dyn input::Source>,
        setting: &Setting<'_>,
        progress: &mut Progress,
    ) -> Result<Found> {
        match (&mut self.grouping, source) {
            (Some(grouping), source) => grouping.batch(source, setting, progress),
            (None, None) => Ok(Found { rows: Vec::new(), delta: Vec::new(), watermark: setting.watermark }),
            (None, Some(source)) => {
                // A plan of its own for each batch: its dictionaries are gone with it.
                let plan = lower_rows(setting.job, &self.schema)?;
                let run = RowsRun { engine: setting.engine, plan: &plan };
                let found = run.over(source)?;
                account(progress, found.ledger, found.rejects);
                Ok(Found { rows: found.batches, delta: Vec::new(), watermark: setting.watermark })
            }
        }
    }
}

/// Takes what a run has counted into the account of the batch.
fn account(progress: &mut Progress, ledger: Ledger, rejects: Vec<Reject>) {
    progress.rows_read = ledger.rows_read;
    progress.rows_filtered = ledger.rows_filtered;
    progress.rows_rejected = ledger.rows_rejected;
    progress.rows_grouped = ledger.rows_grouped;
    progress.rejects = rejects;
    progress.bytes_read = ledger.bytes_read;
    progress.device = ledger.device;
    progress.device_steps = ledger.stages;
}

impl Grouping {
    fn batch(
        &mut self,
        source: Option<&dyn input::Source>,
        setting: &Setting<'_>,
        progress: &mut Progress,
    ) -> Result<Found> {
        let before = setting.watermark;
        let mut watermark = before;
        let mut delta = Vec::new();
        let mut changed: HashMap<i64, Vec<u32>> = HashMap::new();
        if let Some(source) = source {
            // What is read does not depend on the mode; what is late does.
            let late = if setting.mode == OutputMode::Complete { None } else { before };
            let groups = self.session.groups(source)?;
            account(progress, groups.ledger, groups.rejects);
            let taken = take_apart(groups.partial, self.windows.as_ref(), late, setting.at);
            progress.rows_late = taken.late;
            progress.rows_untimed = taken.untimed;
            progress.rows_grouped -= taken.late + taken.untimed;
            progress.latest = taken.latest;
            if let Some(delay) = self.windows.as_ref().and_then(|windows| windows.delay) {
                watermark = watermark.max(taken.latest.map(|latest| latest.saturating_sub(delay)));
            }
            for (pane, partial) in taken.panes {
                if setting.keeps {
                    put_pane(pane, &partial, &mut delta);
                }
                progress.groups_changed += partial.groups as u64;
                let ids = self.state.merge(pane, partial);
                if setting.mode == OutputMode::Update {
                    changed.insert(pane, ids);
                }
            }
        } else {
            watermark = watermark.max(setting.advance);
        }
        let (rows, forgotten) = self.output(setting.mode, before, watermark, &changed)?;
        progress.groups_evicted = forgotten as u64;
        progress.groups = self.state.groups() as u64;
        let (strings, _) = self.session.strings();
        progress.state_bytes = (self.state.heap_bytes() + strings) as u64;
        progress.time = self.windows.as_ref().map(|windows| windows.ty.clone());
        Ok(Found { rows, delta, watermark })
    }
}
