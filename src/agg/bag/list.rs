//! All words of every group: fresh ones in chains, as they came; counted ones sorted, each once with its times.
//!
//! While rows come in nothing is sorted, unless most words are repetitions (or may be forgotten): then they are counted,
//! so that memory grows with what is distinct and not with what was read.

use super::Keep;
use super::chains::Chains;
use super::word::Word;

#[derive(Debug, Clone)]
pub(super) struct List<W> {
    keep: Keep,
    fresh: Chains<W>,
    /// Sorted by (group, word); a word that came too often for one entry has several.
    counted: Vec<Entry<W>>,
    /// So many fresh words are looked at for repetitions.
    due: usize,
    /// For `Keep::Distinct`: pairs seen lately, to drop them at once.
    seen: Vec<(u32, W)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry<W> {
    pub(super) group: u32,
    pub(super) times: u32,
    pub(super) word: W,
}

/// Below this many fresh words no tidying is worth its while.
const TIDY_AT: usize = 1 << 20;
/// Words that are no repetitions are looked at again when there are so many times as many.
const GROWTH: usize = 4;
/// Fresh words of the groups that are sampled, if there are many groups.
const SAMPLE: usize = 1 << 18;
/// Pairs remembered, a power of two.
const SEEN: usize = 1 << 12;

impl<W: Word> List<W> {
    pub(super) fn new(keep: Keep) -> Self {
        List { keep, fresh: Chains::new(), counted: Vec::new(), due: TIDY_AT, seen: Vec::new() }
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.fresh.resize(groups);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.fresh.heap_bytes()
            + self.counted.capacity() * size_of::<Entry<W>>()
            + self.seen.capacity() * size_of::<(u32, W)>()
    }

    #[inline]
    pub(super) fn push(&mut self, group: u32, word: W, times: u32) {
        if self.keep == Keep::Distinct {
            if self.seen.is_empty() {
                // No group has this number: there is memory for fewer.
                self.seen = vec![(u32::MAX, W::default()); SEEN];
            }
            let slot = &mut self.seen[(hash(group, word) >> 32) as usize % SEEN];
            if *slot != (group, word) {
                *slot = (group, word);
                self.fresh.push(group, word);
            }
            return;
        }
        (0..times).for_each(|_| self.fresh.push(group, word));
    }

    /// Takes rows in.
    pub(super) fn push_all(&mut self, rows: impl Iterator<Item = (u32, W)>) {
        if self.keep == Keep::Distinct {
            rows.for_each(|(group, word)| self.push(group, word, 1));
        } else {
            rows.for_each(|(group, word)| self.fresh.push(group, word));
        }
    }

    /// Takes in what was counted elsewhere: in any order, a word of many times as one entry.
    pub(super) fn import(&mut self, groups: usize, entries: impl Iterator<Item = Entry<W>>) {
        let few = 4;
        let mut many = Vec::new();
        for entry in entries {
            if entry.times <= few { self.push(entry.group, entry.word, entry.times) } else { many.push(entry) }
        }
        if !many.is_empty() {
            many.sort_unstable_by_key(|e| (e.group, e.word));
            self.counted = merged(std::mem::take(&mut self.counted), many, groups, self.keep);
        }
        self.tidy_if_due(groups);
    }

    /// Merges `other`, whose group `i` is group `map[i]` here.
    pub(super) fn absorb(&mut self, groups: usize, other: List<W>, map: &[u32]) {
        // Neither was full of repetitions when it was last looked at.
        self.due = self.due.max(GROWTH * other.fresh.about());
        self.fresh.absorb(other.fresh, map);
        if !other.counted.is_empty() {
            let mut theirs = other.counted;
            theirs.iter_mut().for_each(|e| e.group = map[e.group as usize]);
            // The groups' runs are whole: sorting them by group is nearly free where the map ascends.
            theirs.sort_by_key(|e| e.group);
            self.counted = merged(std::mem::take(&mut self.counted), theirs, groups, self.keep);
        }
        self.tidy_if_due(groups);
    }

    /// The listed groups, in the listed order.
    pub(super) fn gather(&self, groups: &[u32]) -> Self {
        let mut taken = List::new(self.keep);
        taken.resize(groups.len());
        for (&group, to) in groups.iter().zip(0..) {
            self.fresh.each_run(group as usize, |words| words.iter().for_each(|&word| taken.fresh.push(to, word)));
            taken.counted.extend(self.counted_of(group).iter().map(|e| Entry { group: to, ..*e }));
        }
        taken.due = TIDY_AT.max(GROWTH * taken.fresh.about());
        taken
    }

    pub(super) fn tidy_if_due(&mut self, groups: usize) {
        if self.fresh.about() < self.due {
            return;
        }
        if matches!(self.keep, Keep::Largest(_) | Keep::Smallest(_)) || self.repeats(groups) {
            self.tidy(groups);
            self.due = TIDY_AT.max(self.counted.len());
        } else {
            self.due = GROWTH * self.fresh.about();
        }
    }

    /// Whether most fresh words are repetitions, by a sample: of many groups some, of their words those with some hashes,
    /// so that of equal words all are looked at or none.
    fn repeats(&self, groups: usize) -> bool {
        let step = (self.fresh.about() / SAMPLE).min(groups / 16).max(1);
        let mut sample = Vec::new();
        for group in (0..groups).step_by(step) {
            self.fresh.each_run(group, |words| {
                let hashes = words.iter().map(|&word| hash(group as u32, word));
                sample.extend(hashes.filter(|hash| hash >> 60 == 0));
            });
        }
        let all = sample.len();
        sample.sort_unstable();
        sample.dedup();
        sample.len() * 2 <= all
    }

    /// Counts all fresh words.
    pub(super) fn tidy(&mut self, groups: usize) {
        if self.fresh.is_empty() {
            return;
        }
        let mut fresh = Vec::new();
        let mut words = Vec::new();
        for group in 0..groups {
            words.clear();
            self.fresh.each_run(group, |run| words.extend_from_slice(run));
            words.sort_unstable();
            let first = fresh.len();
            let group = group as u32;
            fold(&mut fresh, first, self.keep, words.iter().map(|&word| Entry { group, times: 1, word }));
        }
        self.fresh.clear();
        self.counted = merged(std::mem::take(&mut self.counted), fresh, groups, self.keep);
    }

    /// Appends the fresh words of a group.
    pub(super) fn fresh_of(&self, group: usize, out: &mut Vec<W>) {
        self.fresh.each_run(group, |words| out.extend_from_slice(words));
    }

    /// The counted words of a group, ascending.
    pub(super) fn counted_of(&self, group: u32) -> &[Entry<W>] {
        if self.counted.is_empty() {
            return &[];
        }
        let first = self.counted.partition_point(|e| e.group < group);
        let rest = &self.counted[first..];
        let ahead = rest.partition_point(|e| e.group == group);
        &rest[..ahead]
    }
}

/// A hash for sampling; equal pairs have equal ones.
#[inline]
fn hash<W: Word>(group: u32, word: W) -> u64 {
    let mixed = word.low() ^ word.high().rotate_left(32) ^ u64::from(group).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let folded = u128::from(mixed).wrapping_mul(0xd6e8_feb8_6659_fd93_a076_1d64_78bd_642f);
    (folded >> 64) as u64 ^ folded as u64
}

/// Two sorted lists as one.
fn merged<W: Word>(a: Vec<Entry<W>>, b: Vec<Entry<W>>, groups: usize, keep: Keep) -> Vec<Entry<W>> {
    if a.is_empty() {
        return folded(b, groups, keep);
    }
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (&a[..], &b[..]);
    for group in 0..groups as u32 {
        let run = |list: &[Entry<W>]| list.iter().take_while(|e| e.group == group).count();
        let (mine, theirs);
        (mine, a) = a.split_at(run(a));
        (theirs, b) = b.split_at(run(b));
        let first = out.len();
        let (mut i, mut j) = (0, 0);
        let next = || match (mine.get(i), theirs.get(j)) {
            (Some(x), Some(y)) if x.word <= y.word => {
                i += 1;
                Some(*x)
            }
            (Some(x), None) => {
                i += 1;
                Some(*x)
            }
            (_, y) => {
                j += 1;
                y.copied()
            }
        };
        fold(&mut out, first, keep, std::iter::from_fn(next));
    }
    out.shrink_to_fit();
    out
}

/// A sorted list with equal entries made one.
fn folded<W: Word>(list: Vec<Entry<W>>, groups: usize, keep: Keep) -> Vec<Entry<W>> {
    let sound = |pair: &[Entry<W>]| (pair[0].group, pair[0].word) < (pair[1].group, pair[1].word);
    if matches!(keep, Keep::All) && list.windows(2).all(sound) {
        return list;
    }
    let mut out = Vec::with_capacity(list.len());
    let mut rest = &list[..];
    for group in 0..groups as u32 {
        let (run, left) = rest.split_at(rest.iter().take_while(|e| e.group == group).count());
        let first = out.len();
        fold(&mut out, first, keep, run.iter().copied());
        rest = left;
    }
    out.shrink_to_fit();
    out
}

/// Appends one group's entries, which ascend, to `out[first..]`: equal ones as one, without what may be forgotten.
fn fold<W: Word>(out: &mut Vec<Entry<W>>, first: usize, keep: Keep, entries: impl Iterator<Item = Entry<W>>) {
    let mut budget = match keep {
        Keep::Smallest(k) => u64::from(k),
        _ => u64::MAX,
    };
    for mut entry in entries {
        if budget == 0 {
            break;
        }
        entry.times = match keep {
            Keep::Distinct => 1,
            _ => u64::from(entry.times).min(budget) as u32,
        };
        budget = budget.saturating_sub(u64::from(entry.times));
        if let Some(last) = out[first..].last_mut().filter(|last| last.word == entry.word) {
            if keep == Keep::Distinct {
                continue;
            }
            // A count past u32 stays in two entries: readers add up.
            if let Some(times) = last.times.checked_add(entry.times) {
                last.times = times;
                continue;
            }
        }
        out.push(entry);
    }
    if let Keep::Largest(k) = keep {
        let mut left = u64::from(k);
        let mut from = out.len();
        while from > first && left > 0 {
            from -= 1;
            out[from].times = u64::from(out[from].times).min(left) as u32;
            left -= u64::from(out[from].times);
        }
        out.drain(first..from);
    }
}
