//! What a batch computes: rows in, output and what has changed of the state out. Nothing of it is durable here.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::going::{Going, Grouping};
use super::state::{put_pane, take_apart, take_panes};
use super::{OutputMode, Progress};
use crate::agg::Partial;
use crate::exec::{Ledger, RowsRun};
use crate::input::{self, MemorySource, Reject};
use crate::plan::{Job, lower_rows};
use crate::{Engine, Error, Result};

/// What a batch is computed with.
#[derive(Clone, Copy)]
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
    /// Late rows, if they are wanted.
    pub late: Vec<RecordBatch>,
    /// What it changed of the state, to be merged in again.
    pub delta: Vec<u8>,
    /// The watermark after it.
    pub watermark: Option<i64>,
}

/// What a batch has changed of a state, or all of one, as it was read.
#[derive(Default)]
pub(super) struct Kept {
    /// Of rows that were seen: as bytes.
    keys: Vec<u8>,
    panes: Vec<(i64, Partial)>,
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
        let mut keys = Vec::new();
        // The rows of the batch before they are grouped: to be read, or given as they are.
        let (mut made, mut whole) = (None, None);
        let mut advance = setting.advance;
        if let (Some(front), Some(source)) = (&mut self.front, source) {
            let rows = front.run(source, setting, progress, &mut keys)?;
            advance = advance.max(front.watermark(progress.latest));
            if self.grouping.is_none() && front.is_whole() {
                whole = Some(rows);
            } else {
                made = Some(MemorySource::new(SchemaRef::clone(&front.schema), rows)?);
            }
        }
        let from = source;
        let source = made.as_deref().or(source);
        let setting = &Setting { advance, ..*setting };
        let mut found = match (&mut self.grouping, whole) {
            (Some(grouping), _) => grouping.batch(source, setting, progress)?,
            (None, Some(rows)) => Found::of(rows, setting),
            (None, None) => match source {
                None => Found::of(Vec::new(), setting),
                Some(source) => {
                    // A plan of its own for each batch: its dictionaries are gone with it.
                    let plan = lower_rows(setting.job, source.schema())?;
                    let found = RowsRun { engine: setting.engine, plan: &plan }.over(source)?;
                    account(progress, found.ledger, found.rejects);
                    Found::of(found.batches, setting)
                }
            },
        };
        for then in &self.then {
            found.rows = then.run(found.rows)?;
        }
        if let (Some(source), true) = (from, progress.rows_late > 0) {
            found.late = self.late_rows(source, setting, progress.rows_late)?;
        }
        if let Some(front) = &mut self.front {
            if let (Some(watermark), true) = (found.watermark, setting.mode != OutputMode::Complete) {
                front.evict(watermark);
            }
            let (seen, bytes) = front.held();
            progress.keys_seen = seen as u64;
            progress.state_bytes += bytes as u64;
            found.delta = with_keys(&keys, &found.delta);
        }
        Ok(found)
    }

    /// The late rows of a batch over `source`, if they are wanted.
    fn late_rows(&self, source: &dyn input::Source, setting: &Setting<'_>, count: u64) -> Result<Vec<RecordBatch>> {
        let (Some(late), Some(watermark)) = (&self.late, setting.watermark) else { return Ok(Vec::new()) };
        let attached = match &self.front {
            Some(front) => front.attached(source, setting.engine, &mut Progress::default())?,
            None => None,
        };
        let made = match attached {
            Some(rows) => {
                rows.first().map(RecordBatch::schema).map(|schema| MemorySource::new(schema, rows)).transpose()?
            }
            None => None,
        };
        late.rows(setting.engine, made.as_deref().unwrap_or(source), watermark, count)
    }

    /// The bytes of the whole state, as [`Going::take`] reads them.
    ///
    /// # Errors
    /// Internal ones.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<()> {
        if let Some(front) = &self.front {
            let mut keys = Vec::new();
            front.put(&mut keys)?;
            out.extend_from_slice(&with_keys(&keys, &[]));
        }
        if let Some(grouping) = &self.grouping {
            grouping.state.put(out);
        }
        Ok(())
    }

    /// Reads what was put, or what a batch has changed.
    ///
    /// # Errors
    /// Bytes that are not whole.
    pub fn decode(&self, mut bytes: &[u8]) -> Result<Kept> {
        let wrong = || Error::internal("a state's checksum is right, and its bytes are not");
        let mut kept = Kept::default();
        if self.front.is_some() {
            let length = bytes.split_off(..8).and_then(|length| length.try_into().ok()).map(u64::from_le_bytes);
            let keys = length.and_then(|length| bytes.split_off(..usize::try_from(length).ok()?));
            kept.keys = keys.ok_or_else(wrong)?.to_vec();
        }
        match &self.grouping {
            Some(grouping) => kept.panes = take_panes(&grouping.shape, bytes)?,
            None if bytes.is_empty() => {}
            None => return Err(wrong()),
        }
        Ok(kept)
    }

    /// Merges in what was read, in this order.
    ///
    /// # Errors
    /// Bytes that are not whole.
    pub fn take(&mut self, all: Vec<Kept>) -> Result<()> {
        if let Some(front) = &mut self.front {
            all.iter().try_for_each(|kept| front.take(&kept.keys))?;
        }
        if let Some(grouping) = &mut self.grouping {
            grouping.state.take_over(all.into_iter().flat_map(|kept| kept.panes));
        }
        Ok(())
    }

    /// Forgets what is closed at a watermark that has been reached before.
    pub fn forget(&mut self, watermark: i64) {
        if let Some(grouping) = &mut self.grouping {
            grouping.forget(watermark);
        }
        if let Some(front) = &mut self.front {
            front.evict(watermark);
        }
    }
}

/// The bytes of a state whose query has keys that were seen: their length, they, and the groups.
fn with_keys(keys: &[u8], groups: &[u8]) -> Vec<u8> {
    [&(keys.len() as u64).to_le_bytes(), keys, groups].concat()
}

impl Found {
    /// Rows, and no groups.
    fn of(rows: Vec<RecordBatch>, setting: &Setting<'_>) -> Found {
        Found { rows, late: Vec::new(), delta: Vec::new(), watermark: setting.watermark.max(setting.advance) }
    }
}

/// Takes what a run has counted into the account of the batch. What one run lets through is what the next one reads.
pub(super) fn account(progress: &mut Progress, ledger: Ledger, rejects: Vec<Reject>) {
    if progress.device.is_empty() {
        progress.rows_read = ledger.rows_read;
        progress.bytes_read = ledger.bytes_read;
    }
    progress.rows_filtered += ledger.rows_filtered;
    progress.rows_rejected += ledger.rows_rejected;
    progress.rows_grouped = ledger.rows_grouped;
    progress.rejects.extend(rejects);
    progress.device = ledger.device;
    progress.device_steps.extend(ledger.stages);
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
            progress.rows_late += taken.late;
            progress.rows_untimed += taken.untimed;
            progress.rows_grouped -= taken.late + taken.untimed;
            progress.latest = progress.latest.max(taken.latest);
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
        }
        watermark = watermark.max(setting.advance);
        let (rows, forgotten) = self.output(setting.mode, before, watermark, &changed)?;
        self.give_back_strings()?;
        progress.groups_evicted = forgotten as u64;
        progress.groups = self.state.groups() as u64;
        let (strings, _) = self.session.strings();
        progress.state_bytes = (self.state.heap_bytes() + strings) as u64;
        if let Some(windows) = &self.windows {
            progress.time = Some(windows.ty.clone());
        }
        Ok(Found { rows, late: Vec::new(), delta, watermark })
    }
}
