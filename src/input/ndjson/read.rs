//! One chunk: its lines become columns, a batch at a time.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::keys::Keys;
use super::records::Records;
use super::source::{File, Origin};
use super::trouble::Trouble;
use crate::input::Read;
use crate::input::csv::{Builder, Nulls, Wanted};
use crate::{Result, column::Chunk};

/// Bytes of a batch: they and the places found stay in a second-level cache.
const BATCH: usize = 1 << 15;

/// What a scan was asked for.
pub(super) struct Plan {
    pub(super) wanted: Vec<Wanted>,
    /// The keys of the columns, each of which has a slot.
    pub(super) keys: Keys,
    /// The slot of each wanted column, and the column of each slot.
    pub(super) slots: Vec<usize>,
    pub(super) columns: Vec<usize>,
    /// For each slot: whether strings are wanted.
    pub(super) strings: Vec<bool>,
    pub(super) tolerant: bool,
}

/// Reads the records of `range`, which begins and ends where a line does.
pub(super) fn read(file: &Arc<File>, plan: &Plan, range: Range<usize>) -> Result<Read> {
    let data = &file.map[..range.end];
    // Nothing is a missing value; a string is never null.
    let nulls = Nulls::new(&[String::new()]);
    let mut builders = plan.wanted.iter().map(Wanted::builder).collect::<Result<Vec<_>>>()?;
    let mut records = Records::new(&plan.keys, &plan.strings);
    let known = std::str::from_utf8(&data[range.start..]).is_ok();
    let mut troubles = vec![];
    let mut rows = 0;
    let mut at = range.start;
    while at < data.len() {
        at = records.fill(data, at, BATCH, known);
        if rows == 0 {
            // As many rows as there would be if all were as long as the first.
            let share = (range.len() as u64 * records.rows() as u64).div_ceil((at - range.start) as u64) as usize;
            builders.iter_mut().for_each(|b| b.reserve(share + share / 16));
        }
        let first = troubles.len();
        let most = if plan.tolerant { usize::MAX } else { 1 };
        troubles
            .extend(records.bad.iter().take(most).map(|&bad| Trouble::record(file, bad, |slot| plan.columns[slot])));
        // A bad value means that the batch is parsed once more without its row.
        loop {
            let bad = parse(data, &records, &mut builders, &nulls, plan)?;
            for &(row, slot) in bad.iter().take(most) {
                let (wanted, text) = (&plan.wanted[slot], records.text(data, row, plan.slots[slot]));
                let start = records.start(row);
                troubles.push(Trouble::value(file, start, wanted.column, text, &wanted.ty, wanted.inferred));
            }
            if bad.is_empty() || !plan.tolerant {
                break;
            }
            builders.iter_mut().for_each(|b| b.truncate(rows));
            records.remove(&bad.iter().map(|&(row, _)| row).collect::<Vec<_>>());
        }
        troubles[first..].sort_by_key(|t| t.start);
        let stops = |t: &Trouble| !plan.tolerant || t.is_widening();
        if let Some(i) = troubles[first..].iter().position(stops) {
            return Err(troubles.swap_remove(first + i).into_error(file));
        }
        rows += records.rows();
    }
    let columns = plan.wanted.iter().zip(builders).map(|(wanted, builder)| wanted.finish(builder, rows)).collect();
    file.map.release(range.clone());
    let rejected = troubles.iter().map(|t| t.start).collect();
    let bytes = range.len() as u64;
    let origin = Arc::new(Origin { file: Arc::clone(file), range, rejected, starts: OnceLock::new() });
    let rejects = troubles.into_iter().map(|t| t.into_reject(file)).collect();
    Ok(Read { bytes, chunk: Chunk { rows, columns, origin }, rejects })
}

/// Appends the batch to every column. Returns the bad rows in order, each with the first wanted column to blame; in a strict job
/// just the rows found before each column stopped.
fn parse(
    data: &[u8],
    records: &Records<'_>,
    builders: &mut [Builder],
    nulls: &Nulls,
    plan: &Plan,
) -> Result<Vec<(usize, usize)>> {
    let mut bad = vec![];
    for (at, (builder, &slot)) in builders.iter_mut().zip(&plan.slots).enumerate() {
        records.column(data, slot, |texts, places| {
            builder.append(texts, places, nulls, |row| {
                bad.push((row, at));
                plan.tolerant
            })
        })?;
    }
    bad.sort_by_key(|&(row, at)| (row, plan.wanted[at].column));
    bad.dedup_by_key(|&mut (row, _)| row);
    Ok(bad)
}
