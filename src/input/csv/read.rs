//! One chunk: its bytes become columns.
//!
//! A batch of records small enough for the cache is tokenized, then each wanted column is parsed in a loop of its own.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use super::column::Builder;
use super::file::{File, Origin};
use super::tokenize::Fields;
use super::trouble::Trouble;
use crate::Result;
use crate::column::{Chunk, Column, Dictionary, Interner, Type};
use crate::input::Read;

/// Bytes of a batch: they and their edges stay in a second-level cache.
const BATCH: usize = 1 << 15;

/// A column wanted.
pub(in crate::input) struct Wanted {
    /// Its index in the file.
    pub(in crate::input) column: usize,
    /// The type to read it as.
    pub(in crate::input) ty: Type,
    /// Whether its type was inferred.
    pub(in crate::input) inferred: bool,
    /// Where its strings go.
    pub(in crate::input) dict: Option<Arc<Dictionary>>,
    /// Interners of that dictionary that chunks before have left, with what they remember.
    pub(in crate::input) interners: Mutex<Vec<Interner>>,
}

impl Wanted {
    fn interners(&self) -> MutexGuard<'_, Vec<Interner>> {
        self.interners.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(in crate::input) fn builder(&self) -> Result<Builder> {
        Builder::new(&self.ty, self.inferred, self.dict.as_ref(), self.interners().pop())
    }

    pub(in crate::input) fn finish(&self, builder: Builder, rows: usize) -> Column {
        let (column, interner) = builder.finish(rows);
        self.interners().extend(interner);
        column
    }
}

/// What a scan was asked for.
pub(super) struct Plan {
    pub(super) wanted: Vec<Wanted>,
    pub(super) tolerant: bool,
}

/// Reads the records of `range`, which begins and ends where a record does.
pub(super) fn read(file: &Arc<File>, plan: &Plan, range: Range<usize>) -> Result<Read> {
    let data = &file.map[..range.end];
    let mut builders = plan.wanted.iter().map(Wanted::builder).collect::<Result<Vec<_>>>()?;
    let mut fields = Fields::new(file.names.len());
    let mut troubles = vec![];
    let mut rows = 0;
    let mut at = range.start;
    while at < data.len() {
        at = fields.fill(data, at, BATCH, file.delimiter);
        if rows == 0 {
            // As many rows as there would be if all were as long as the first.
            let share = (range.len() as u64 * fields.rows() as u64).div_ceil((at - range.start) as u64) as usize;
            builders.iter_mut().for_each(|b| b.reserve(share + share / 16));
        }
        let first = troubles.len();
        if plan.tolerant {
            troubles.extend(fields.bad.iter().map(|&bad| Trouble::record(file, bad)));
        } else {
            troubles.extend(fields.bad.first().map(|&bad| Trouble::record(file, bad)));
        }
        // A bad field means that the batch is parsed once more without its row, so that no column has to take back a
        // value in its middle.
        loop {
            let bad = parse(data, &fields, &mut builders, file, plan)?;
            if bad.is_empty() {
                break;
            }
            let drop: Vec<usize> = bad.iter().map(|&(row, _)| row).collect();
            for (row, slot) in bad {
                let wanted = &plan.wanted[slot];
                let raw = fields.field(data, row, wanted.column);
                let start = fields.start(row);
                troubles.push(Trouble::field(file, start, wanted.column, raw, &wanted.ty, wanted.inferred));
                if !plan.tolerant {
                    break;
                }
            }
            if !plan.tolerant {
                break;
            }
            builders.iter_mut().for_each(|b| b.truncate(rows));
            fields.remove(&drop);
        }
        troubles[first..].sort_by_key(|t| t.start);
        let stops = |t: &Trouble| !plan.tolerant || t.is_widening();
        if let Some(i) = troubles[first..].iter().position(stops) {
            return Err(troubles.swap_remove(first + i).into_error(file));
        }
        rows += fields.rows();
    }
    let columns = plan.wanted.iter().zip(builders).map(|(wanted, builder)| wanted.finish(builder, rows)).collect();
    file.map.release(range.clone());
    let rejected = troubles.iter().map(|t| t.start).collect();
    let bytes = range.len() as u64;
    let origin = Arc::new(Origin { file: Arc::clone(file), range, rejected, starts: OnceLock::new() });
    let rejects = troubles.into_iter().map(|t| t.into_reject(file)).collect();
    Ok(Read { bytes, chunk: Chunk { rows, columns, origin }, rejects })
}

/// Appends the batch to every column. Returns the bad rows in order, each with the first wanted column (by its place in
/// the file) that is to blame; in a strict job just the rows found before each column stopped.
fn parse(
    data: &[u8],
    fields: &Fields,
    builders: &mut [Builder],
    file: &File,
    plan: &Plan,
) -> Result<Vec<(usize, usize)>> {
    let mut bad = vec![];
    for (slot, (builder, wanted)) in builders.iter_mut().zip(&plan.wanted).enumerate() {
        builder.append(data, fields.column(wanted.column), &file.nulls, |row| {
            bad.push((row, slot));
            plan.tolerant
        })?;
    }
    bad.sort_by_key(|&(row, slot)| (row, plan.wanted[slot].column));
    bad.dedup_by_key(|&mut (row, _)| row);
    Ok(bad)
}
