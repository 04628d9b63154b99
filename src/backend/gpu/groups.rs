//! Groups of a batch: found by sort, described by their first rows' keys, reduced pass by pass, and read back.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::engine::Outcome;
use super::layout::Layout;
use super::passes::Pass;
use super::pool::Kept;
use super::record::{Download, Recording, View};
use super::stages::{Along, gather, pack_keys, segments, sort, sort_words};
use super::strategy::Chosen;
use super::survey::Survey;
use super::unpack::key_column;
use crate::column::{Dictionary, KeyColumn};
use crate::expr::NodeId;
use crate::kernel::Shape;
use crate::kernel::pack_keys::Packing;
use crate::{Error, Result};

/// Rows in key order whose number of groups is still on the device.
pub(super) struct Arranging {
    /// Slots of kept buffers: see [`Arranged`].
    keys: usize,
    order: Option<usize>,
    starts: usize,
    reduced: Option<(usize, Option<usize>)>,
    stride: u32,
    words: u32,
    count: Download,
}

/// Rows in key order, cut into groups, on the device.
pub(super) struct Arranged {
    keys: Kept,
    /// Where each sorted row's key stands in `keys`; `None`: at its own place.
    order: Option<Kept>,
    starts: Kept,
    /// The group of every sorted row, and the row, if that is not its number.
    reduced: Option<(Kept, Option<Kept>)>,
    stride: u32,
    words: u32,
    pub groups: u32,
}

/// Sorts `n` selected rows by the keys of `packing`. With `reduced`, keeps what reductions need; `slots` counts the
/// recording's kept buffers.
#[expect(clippy::too_many_arguments, reason = "each is one independent fact about the data")]
pub(super) fn arrange(
    rec: &mut Recording,
    shape: &Shape,
    packing: &Packing,
    planes: View,
    rows: Option<View>,
    n: u32,
    reduced: bool,
    slots: &mut usize,
) -> Arranging {
    let packed = pack_keys(rec, shape, packing, planes, rows, n);
    let varying = packing.varying();
    // Keys of one word can take along what is wanted of each row: its number, or nothing.
    let carried = packing.words() == 1 && n > 1;
    let sorted = if let (true, &[bits]) = (carried, &varying[..]) {
        let along = match rows {
            _ if !reduced => Along::Nothing,
            Some(rows) => Along::Value(rows),
            None => Along::Position,
        };
        sort_words(rec, shape, packed.keys.words(0, n.into()), along, bits, n)
    } else {
        sort(rec, shape, packed.keys.into(), packed.stride, &varying, n)
    };
    let (keys, stride, words, order) = match sorted.keys {
        Some(keys) if packing.words() == 1 => (keys, n, 1, None),
        _ => (packed.keys, packed.stride, packing.words().max(1), sorted.order),
    };
    let found = segments(rec, shape, keys.into(), stride, words, order.map(View::from), n);
    let mut slot = |rec: &mut Recording, buf| {
        rec.keep(buf);
        *slots += 1;
        *slots - 1
    };
    // One buffer may be both the order of the keys and that of the rows.
    let order_slot = order.map(|order| slot(rec, order));
    let reduced = reduced.then(|| {
        let of_rows = match (rows, sorted.order) {
            (None, Some(positions)) if order == Some(positions) => order_slot,
            (None, Some(positions)) => Some(slot(rec, positions)),
            (_, None) => None,
            (Some(_), Some(of_rows)) if carried => Some(slot(rec, of_rows)),
            (Some(rows), Some(positions)) => {
                let gathered = gather(rec, shape, rows, 0, positions.into(), n);
                Some(slot(rec, gathered))
            }
        };
        (slot(rec, found.ids), of_rows)
    });
    let (keys, starts) = (slot(rec, keys), slot(rec, found.starts));
    Arranging { keys, order: order_slot, starts, reduced, stride, words, count: rec.download(found.count) }
}

impl Arranging {
    pub fn read(self, outcome: &mut Outcome) -> Result<Arranged> {
        let groups = outcome.take_words(self.count).first().copied().unwrap_or(0);
        let kept = |slot: usize| {
            outcome.kept.get(slot).cloned().ok_or_else(|| Error::internal(format!("no kept buffer {slot}")))
        };
        Ok(Arranged {
            keys: kept(self.keys)?,
            order: self.order.map(kept).transpose()?,
            starts: kept(self.starts)?,
            reduced: match self.reduced {
                Some((ids, rows)) => Some((kept(ids)?, rows.map(kept).transpose()?)),
                None => None,
            },
            stride: self.stride,
            words: self.words,
            groups,
        })
    }
}

impl Arranged {
    /// The group of every sorted row.
    pub fn import_ids(&self, rec: &mut Recording) -> Result<View> {
        let (ids, _) = self.reduced.as_ref().ok_or_else(|| Error::internal("rows sorted for no reduction"))?;
        Ok(rec.import(ids).all())
    }

    /// The row of every sorted row, unless it is its number among the selected ones.
    pub fn import_rows(&self, rec: &mut Recording) -> Option<View> {
        let (_, rows) = self.reduced.as_ref()?;
        rows.as_ref().map(|rows| rec.import(rows).all())
    }
}

/// Records the download of every group's packed key, word by word, and of its first sorted row.
pub(super) fn heads(rec: &mut Recording, shape: &Shape, of: &Arranged) -> (Vec<Download>, Download) {
    let (keys, starts) = (rec.import(&of.keys), rec.import(&of.starts).words(0, of.groups.into()));
    let at = match &of.order {
        None => starts,
        Some(order) => {
            let order = rec.import(order);
            gather(rec, shape, order.into(), 0, starts, of.groups).into()
        }
    };
    let heads = (0..of.words)
        .map(|word| {
            let head = gather(rec, shape, keys.into(), word * of.stride, at, of.groups);
            rec.download(head.words(0, of.groups.into()))
        })
        .collect();
    (heads, rec.download(starts))
}

/// Where a bag's entries come back.
pub(super) struct Heads {
    pub packing: Packing,
    pub heads: Vec<Download>,
    pub starts: Download,
    pub groups: u32,
}

/// All that is needed to read a batch's groups once they are back.
pub(super) struct Laid {
    pub rows: Range<usize>,
    pub selected: u32,
    pub failed: u32,
    pub failed_rows: Vec<u32>,
    /// The dictionary and the ranks of strings whose extremes are taken.
    ranks: HashMap<NodeId, (Arc<Dictionary>, Arc<Vec<u32>>)>,
    pub chosen: Chosen,
    pub packing: Packing,
    pub survey: Survey,
    pub reductions: Vec<Pass>,
    /// Groups, or cells of the direct strategy.
    pub groups: u32,
    pub heads: Vec<Download>,
    pub starts: Option<Download>,
    pub counts: Option<Download>,
    /// For each pass, which of the last submissions it is in.
    pub states: Vec<(usize, Download)>,
    pub bags: Vec<Heads>,
}

/// The groups of a batch.
pub(super) struct Reduced {
    pub groups: usize,
    /// Their keys; strings as codes, without their dictionaries.
    pub keys: Vec<KeyColumn>,
    /// Their rows.
    pub rows: Vec<u64>,
    /// For each pass the groups' states.
    pub passes: Vec<(Pass, Vec<u32>)>,
    pub bags: Vec<Entries>,
    pub ranks: HashMap<NodeId, (Arc<Dictionary>, Arc<Vec<u32>>)>,
}

/// The distinct (key, value) pairs of a bag.
pub(super) struct Entries {
    pub count: usize,
    pub keys: Vec<KeyColumn>,
    pub values: KeyColumn,
    pub times: Vec<u32>,
}

impl Laid {
    pub fn new(
        rows: Range<usize>,
        selected: u32,
        failed: u32,
        ranks: HashMap<NodeId, (Arc<Dictionary>, Arc<Vec<u32>>)>,
    ) -> Self {
        Laid {
            rows,
            selected,
            failed,
            failed_rows: Vec::new(),
            ranks,
            chosen: Chosen::One,
            packing: Packing::default(),
            survey: Survey::default(),
            reductions: Vec::new(),
            groups: 0,
            heads: Vec::new(),
            starts: None,
            counts: None,
            states: Vec::new(),
            bags: Vec::new(),
        }
    }

    /// Reads what the batch's last submissions gave, in their order.
    pub fn read(self, layout: &Layout, mut outcomes: Vec<Outcome>) -> Result<Reduced> {
        let of_states = self.states.into_iter().map(|(submission, states)| match outcomes.get_mut(submission) {
            Some(outcome) => outcome.take_words(states),
            None => Vec::new(),
        });
        let mut states: Vec<Vec<u32>> = of_states.collect();
        let mut nothing = Outcome::default();
        let outcome = outcomes.first_mut().unwrap_or(&mut nothing);
        let mut groups = self.groups as usize;
        let mut heads: Vec<Vec<u32>> = self.heads.into_iter().map(|head| outcome.take_words(head)).collect();
        let rows = match (self.chosen, self.starts, self.counts) {
            (Chosen::Sort, Some(starts), _) => lengths(&outcome.take_words(starts), self.selected),
            (Chosen::Direct, _, Some(counts)) => {
                let counts = outcome.take_words(counts);
                let codes: Vec<u32> = (0..counts.len() as u32).filter(|&code| counts[code as usize] > 0).collect();
                for (states, pass) in states.iter_mut().zip(&self.reductions) {
                    *states = pick(states, &codes, pass.reduction.words() as usize);
                }
                groups = codes.len();
                let rows = codes.iter().map(|&code| counts[code as usize]).collect();
                heads = vec![codes];
                rows
            }
            _ => vec![self.selected],
        };
        let short = states.iter().zip(&self.reductions).any(|(s, p)| s.len() < groups * p.reduction.words() as usize);
        if short || rows.len() < groups || heads.iter().any(|head| head.len() < groups) {
            return Err(Error::internal("fewer groups came back than there are"));
        }
        let keys_of = |packing: &Packing, heads: &[Vec<u32>], groups: usize| -> Vec<KeyColumn> {
            let keys = layout.keys.iter().zip(&self.survey.keys);
            keys.map(|(of, shape)| key_column(of, shape, packing, heads, groups)).collect()
        };
        let bags = self.bags.into_iter().zip(layout.bags.iter().zip(&self.survey.bags));
        let bags = bags
            .map(|(bag, (of, words))| {
                let heads: Vec<Vec<u32>> = bag.heads.into_iter().map(|head| outcome.take_words(head)).collect();
                let times = lengths(&outcome.take_words(bag.starts), self.selected);
                let count = bag.groups as usize;
                if times.len() < count || heads.iter().any(|head| head.len() < count) {
                    return Err(Error::internal("fewer values came back than there are"));
                }
                let values = key_column(of, words, &bag.packing, &heads, count);
                Ok(Entries { count, keys: keys_of(&bag.packing, &heads, count), values, times })
            })
            .collect::<Result<_>>()?;
        Ok(Reduced {
            groups,
            keys: keys_of(&self.packing, &heads, groups),
            rows: rows.into_iter().map(u64::from).collect(),
            passes: self.reductions.into_iter().zip(states).collect(),
            bags,
            ranks: self.ranks,
        })
    }
}

/// The lengths of runs that start at `starts` and together are `n` rows.
fn lengths(starts: &[u32], n: u32) -> Vec<u32> {
    let ends = starts.iter().skip(1).chain([&n]);
    starts.iter().zip(ends).map(|(start, end)| end.saturating_sub(*start)).collect()
}

/// The states of some keys.
fn pick(states: &[u32], codes: &[u32], words: usize) -> Vec<u32> {
    codes
        .iter()
        .flat_map(|&code| states.get(code as usize * words..).and_then(|s| s.get(..words)).unwrap_or(&[]))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_picks() {
        assert_eq!(lengths(&[0, 3, 4], 9), [3, 1, 5]);
        assert_eq!(lengths(&[], 0), [0u32; 0]);
        assert_eq!(pick(&[1, 2, 3, 4, 5, 6], &[0, 2], 2), [1, 2, 5, 6]);
    }
}
