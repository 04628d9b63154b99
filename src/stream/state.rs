//! The state of a query: the groups of all panes that are still open, each pane's for itself, so that a closed one is dropped whole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::plan::{WindowTime, Windows};
use super::window::{Sessions, Spans};
use crate::agg::{Merger, Partial, PartialShape, State as Column, StateSpec};
use crate::column::key::{int_word, word_int};
use crate::column::{Class, KeyColumn, Value};
use crate::{Error, Result};

/// Panes by their start; without windows there is one, which starts at 0.
pub(crate) struct State {
    /// The keys, without that of the pane, of no groups.
    keys: Vec<KeyColumn>,
    specs: Vec<StateSpec>,
    panes: BTreeMap<i64, Merger>,
}

/// What a batch has found, by pane.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The groups of each pane that is open, without the pane's key.
    pub panes: Vec<(i64, Partial)>,
    /// Rows for panes that are over.
    pub late: u64,
    /// Rows without an event time.
    pub untimed: u64,
    /// The latest event time, of late rows too.
    pub latest: Option<i64>,
}

/// Takes the groups of a batch apart by pane. Those over at `watermark` are left out, and their rows counted. `at` is the time
/// of the batch.
pub(crate) fn take_apart(mut partial: Partial, windows: Option<&Windows>, watermark: Option<i64>, at: i64) -> Taken {
    let Some(windows) = windows else {
        let panes = if partial.groups == 0 { Vec::new() } else { vec![(0, partial)] };
        return Taken { panes, ..Taken::default() };
    };
    let WindowTime::Event { rows, latest, .. } = windows.time else {
        partial.keys.remove(0);
        let pane = at - at.rem_euclid(windows.cut.pane());
        let panes = if partial.groups == 0 { Vec::new() } else { vec![(pane, partial)] };
        return Taken { panes, latest: Some(at), ..Taken::default() };
    };
    let mut taken = Taken { latest: times(&partial, latest).max(), ..Taken::default() };
    let rows = |group: usize| match &partial.states[rows] {
        Column::Count(counts) => counts[group],
        _ => 0,
    };
    let start = &partial.keys[0];
    let mut panes: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for group in 0..partial.groups {
        if !start.is_valid(group) {
            taken.untimed += rows(group);
            continue;
        }
        let pane = word_int(start.lo[group]);
        if watermark.is_some_and(|watermark| windows.cut.is_over(pane, watermark)) {
            taken.late += rows(group);
        } else {
            panes.entry(pane).or_default().push(group as u32);
        }
    }
    let whole = panes.len() == 1 && panes.values().all(|groups| groups.len() == partial.groups);
    partial.keys.drain(..windows.keys());
    taken.panes = if whole {
        panes.into_keys().map(|pane| (pane, std::mem::replace(&mut partial, EMPTY))).collect()
    } else {
        panes.into_iter().map(|(pane, groups)| (pane, partial.gather(&groups))).collect()
    };
    taken
}

/// The times that a state of extremes has, of the groups that have one.
fn times(partial: &Partial, state: usize) -> impl Iterator<Item = i64> {
    let times = match &partial.states[state] {
        Column::Extreme(times) => Some(times),
        _ => None,
    };
    (0..partial.groups).filter_map(move |group| match times?.value(group) {
        Value::Int(ticks) => Some(ticks),
        _ => None,
    })
}

const EMPTY: Partial = Partial { groups: 0, keys: Vec::new(), states: Vec::new() };

impl State {
    /// No groups, of the keys (that of the pane is not one of them) and states of `shape`.
    pub fn new(shape: &PartialShape, specs: &[StateSpec]) -> State {
        let keys = shape.keys.iter().map(|(class, dict)| KeyColumn::new(*class, dict.clone())).collect();
        State { keys, specs: specs.to_vec(), panes: BTreeMap::new() }
    }

    /// Groups in all.
    pub fn groups(&self) -> usize {
        self.panes.values().map(Merger::groups).sum()
    }

    /// The groups of each pane.
    pub fn mergers(&self) -> impl Iterator<Item = &Merger> {
        self.panes.values()
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.panes.values().map(Merger::heap_bytes).sum()
    }

    /// Merges groups of a pane in; which of the pane's groups they are.
    pub fn merge(&mut self, pane: i64, partial: Partial) -> Vec<u32> {
        self.pane(pane).absorb(partial, 1).to_vec()
    }

    /// The last pane that has groups.
    pub fn last_pane(&self) -> Option<i64> {
        self.panes.last_key_value().map(|(&pane, _)| pane)
    }

    /// Whether there is a pane of which this is true.
    pub fn has(&self, is: impl Fn(i64) -> bool) -> bool {
        self.panes.keys().any(|&pane| is(pane))
    }

    /// The starts of the windows that have groups and end after `before` and not after `until`, ascending.
    pub fn closed(&self, spans: Spans, before: Option<i64>, until: i64) -> BTreeSet<i64> {
        let ends = |window: i64| spans.end(window) <= until && before.is_none_or(|before| spans.end(window) > before);
        self.panes.keys().flat_map(|&pane| spans.windows(pane)).filter(|&window| ends(window)).collect()
    }

    /// The starts of all windows that have groups and are not over at `watermark`, ascending.
    pub fn open(&self, spans: Spans, watermark: Option<i64>) -> BTreeSet<i64> {
        let open = |window: i64| watermark.is_none_or(|watermark| spans.end(window) > watermark);
        self.panes.keys().flat_map(|&pane| spans.windows(pane)).filter(|&window| open(window)).collect()
    }

    /// The groups of a window, its start their first key; with `changed`, only those of each pane named there.
    pub fn window(&self, spans: Spans, window: i64, changed: Option<&HashMap<i64, Vec<u32>>>) -> Partial {
        let mut panes = spans.panes(window).filter_map(|pane| Some((pane, self.panes.get(&pane)?)));
        let mut partial = match (panes.next(), panes.next()) {
            (None, _) => return EMPTY,
            // Most windows are of one pane.
            (Some((pane, merger)), None) => match changed {
                None => merger.partial(),
                Some(changed) => merger.gather(changed.get(&pane).map_or(&[], Vec::as_slice)),
            },
            (Some(first), Some(second)) => {
                let all = [first, second].into_iter().chain(panes);
                match changed {
                    None => {
                        // Neighbouring panes have much the same keys: with the table of the largest, few of the others' are new.
                        let mut all: Vec<&Merger> = all.map(|(_, merger)| merger).collect();
                        all.sort_by_key(|merger| Reverse(merger.groups()));
                        let mut whole = all[0].clone();
                        all[1..].iter().for_each(|merger| whole.push_all(merger));
                        whole.finish()
                    }
                    Some(changed) => {
                        let mut whole = Merger::new(&self.keys, &self.specs);
                        // Those that changed come first, so that they have the first numbers.
                        for pane in spans.panes(window) {
                            if let (Some(groups), Some(merger)) = (changed.get(&pane), self.panes.get(&pane)) {
                                let keys = merger.gather(groups).keys;
                                whole.intern(groups.len(), &keys);
                            }
                        }
                        let count = whole.groups() as u32;
                        all.for_each(|(_, merger)| whole.push_all(merger));
                        whole.gather(&(0..count).collect::<Vec<_>>())
                    }
                }
            }
        };
        let starts = vec![int_word(window); partial.groups];
        partial.keys.insert(0, time_key(starts));
        partial
    }

    /// The sessions that have groups, their start and end their first keys. With `until`, only those that are closed
    /// there; they are forgotten, and what is left of the others is put together. How many groups were forgotten.
    pub fn sessions(&mut self, sessions: Sessions, time: WindowTime, until: Option<i64>) -> (Partial, usize) {
        let WindowTime::Event { latest, first: Some(first), .. } = time else { return (EMPTY, 0) };
        let bound = until.map_or(i64::MAX, |until| sessions.bound(until));
        // What begins at the bound or later cannot belong to a session that is closed there.
        let later = if bound == i64::MAX { BTreeMap::new() } else { self.panes.split_off(&bound) };
        let mut keys = Merger::new(&self.keys, &[]);
        let mut all: Vec<(u32, i64, i64, usize, u32)> = Vec::new();
        let parts: Vec<Partial> = self.panes.values().map(Merger::partial).collect();
        for (part, partial) in parts.iter().enumerate() {
            let only_keys = Partial { groups: partial.groups, keys: partial.keys.clone(), states: Vec::new() };
            let ids = keys.absorb(only_keys, 1).to_vec();
            let spans = times(partial, first).zip(times(partial, latest));
            all.extend(ids.iter().zip(spans).zip(0..).map(|((&id, (from, to)), group)| (id, from, to, part, group)));
        }
        all.sort_unstable();
        // From the first group of a session to that of the next: its start and its last time.
        let mut runs: Vec<(i64, i64)> = Vec::new();
        let mut run_of: Vec<Vec<u32>> = parts.iter().map(|partial| vec![0; partial.groups]).collect();
        let mut key = None;
        for (id, from, to, part, group) in all {
            match runs.last_mut() {
                Some((_, last)) if key == Some(id) && from.saturating_sub(*last) < sessions.gap => {
                    *last = to.max(*last)
                }
                _ => runs.push((from, to)),
            }
            key = Some(id);
            run_of[part][group as usize] = runs.len() as u32 - 1;
        }
        let end = |run: u32| runs[run as usize].1.saturating_add(sessions.gap);
        let mut closed = Merger::new(&with_times(&self.keys), &self.specs);
        let mut open: BTreeMap<i64, Merger> = BTreeMap::new();
        let mut forgotten = 0;
        for (partial, run_of) in parts.into_iter().zip(run_of) {
            let is_closed = |group: &u32| end(run_of[*group as usize]) <= bound;
            let (over, rest): (Vec<u32>, Vec<u32>) = (0..partial.groups as u32).partition(is_closed);
            let mut part = partial.gather(&over);
            forgotten += over.len();
            let start = over.iter().map(|&group| int_word(runs[run_of[group as usize] as usize].0)).collect();
            let ends = over.iter().map(|&group| int_word(end(run_of[group as usize]))).collect();
            part.keys.splice(0..0, [time_key(start), time_key(ends)]);
            closed.push(&part);
            // A session that goes on is one group, in the pane of its last time.
            let mut panes: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
            for group in rest {
                let last = runs[run_of[group as usize] as usize].1;
                panes.entry(sessions.pane_of(last)).or_default().push(group);
            }
            for (pane, groups) in panes {
                let merger = open.entry(pane).or_insert_with(|| Merger::new(&self.keys, &self.specs));
                merger.push(&partial.gather(&groups));
            }
        }
        if until.is_some() {
            self.panes = open;
            self.panes.extend(later);
        }
        (closed.finish(), forgotten)
    }

    /// All groups of a query without windows; with `changed`, only those.
    pub fn all(&self, changed: Option<&[u32]>) -> Partial {
        match (self.panes.get(&0), changed) {
            (Some(merger), Some(changed)) => merger.gather(changed),
            (Some(merger), None) => merger.partial(),
            (None, _) => Merger::new(&self.keys, &self.specs).finish(),
        }
    }

    /// Forgets the panes that are over at `watermark`; how many groups they had.
    pub fn evict(&mut self, windows: &Windows, watermark: i64) -> usize {
        let before = self.groups();
        self.panes.retain(|&pane, _| !windows.cut.is_over(pane, watermark));
        before - self.groups()
    }

    /// Appends the bytes of all groups, as [`put_pane`].
    pub fn put(&self, out: &mut Vec<u8>) {
        for (&pane, merger) in &self.panes {
            out.extend_from_slice(&pane.to_le_bytes());
            merger.put(out);
        }
    }

    /// Merges groups of panes in that came from a checkpoint.
    pub fn take_over(&mut self, all: impl IntoIterator<Item = (i64, Partial)>) {
        let mut panes: BTreeMap<i64, Vec<Partial>> = BTreeMap::new();
        all.into_iter().for_each(|(pane, partial)| panes.entry(pane).or_default().push(partial));
        panes.into_iter().for_each(|(pane, partials)| self.pane(pane).absorb_all(partials, 1));
    }

    fn pane(&mut self, pane: i64) -> &mut Merger {
        self.panes.entry(pane).or_insert_with(|| Merger::new(&self.keys, &self.specs))
    }
}

/// Reads what [`put_pane`] has put, to the end of `bytes`.
///
/// # Errors
/// Bytes that are not whole, though their checksum is right; a dictionary is full.
pub(crate) fn take_panes(shape: &PartialShape, mut bytes: &[u8]) -> Result<Vec<(i64, Partial)>> {
    let mut panes = Vec::new();
    while !bytes.is_empty() {
        let pane = bytes.split_off(..8).and_then(|pane| pane.try_into().ok()).map(i64::from_le_bytes);
        let (Some(pane), Some(partial)) = (pane, shape.take(&mut bytes)?) else {
            return Err(Error::internal("a state's checksum is right, and its bytes are not"));
        };
        panes.push((pane, partial));
    }
    Ok(panes)
}

/// A key of times.
fn time_key(words: Vec<u64>) -> KeyColumn {
    KeyColumn { lo: words, ..KeyColumn::new(Class::Int, None) }
}

/// The keys of sessions: their starts and ends before those of the job.
fn with_times(keys: &[KeyColumn]) -> Vec<KeyColumn> {
    [KeyColumn::new(Class::Int, None), KeyColumn::new(Class::Int, None)].iter().chain(keys).cloned().collect()
}

/// Appends the bytes of a pane's groups.
pub(crate) fn put_pane(pane: i64, partial: &Partial, out: &mut Vec<u8>) {
    out.extend_from_slice(&pane.to_le_bytes());
    partial.put(out);
}
