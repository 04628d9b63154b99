//! The `k` largest (or smallest) words of every group, for small `k`: `k` slots a group, filled in place.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::word::Word;

/// Words are flipped where the smallest are wanted, so that the largest are always kept.
#[derive(Debug, Clone)]
pub(super) struct Best<W> {
    k: usize,
    flip: bool,
    /// `k` slots a group, descending. An empty slot is the lowest word: no comparison needs to know how many there are.
    slots: Vec<W>,
    /// How often the lowest word itself came, by group: it cannot be told from an empty slot.
    lowest: HashMap<u32, usize, FixedState>,
}

impl<W: Word> Best<W> {
    /// The most slots: beyond, moving them costs more than sorting now and then.
    pub(super) const MOST: u32 = 32;

    pub(super) fn new(k: u32, flip: bool) -> Self {
        Best { k: k as usize, flip, slots: Vec::new(), lowest: HashMap::default() }
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.slots.resize(groups * self.k, W::default());
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * W::BYTES + self.lowest.allocation_size()
    }

    #[inline]
    pub(super) fn push(&mut self, group: u32, word: W, times: u32) {
        let word = if self.flip { !word } else { word };
        (0..times.min(self.k as u32)).for_each(|_| self.keep(group, word));
    }

    /// Takes rows in.
    pub(super) fn push_all(&mut self, rows: impl Iterator<Item = (u32, W)>) {
        match (self.k, self.flip) {
            (1, false) => self.push_few::<1>(rows),
            (1, true) => self.push_few::<1>(rows.map(|(group, word)| (group, !word))),
            (2, false) => self.push_few::<2>(rows),
            (2, true) => self.push_few::<2>(rows.map(|(group, word)| (group, !word))),
            (3, false) => self.push_few::<3>(rows),
            (3, true) => self.push_few::<3>(rows.map(|(group, word)| (group, !word))),
            _ => rows.for_each(|(group, word)| self.push(group, word, 1)),
        }
    }

    /// Rows whose words have been flipped, for `K` slots: so few that exchanging them all costs less than a branch.
    fn push_few<const K: usize>(&mut self, rows: impl Iterator<Item = (u32, W)>) {
        for (group, word) in rows {
            if word == W::default() {
                self.keep_lowest(group);
                continue;
            }
            let slots = &mut self.slots.as_chunks_mut::<K>().0[group as usize];
            let mut rest = word;
            for slot in slots {
                (*slot, rest) = if *slot < rest { (rest, *slot) } else { (*slot, rest) };
            }
        }
    }

    #[inline]
    fn keep(&mut self, group: u32, word: W) {
        let slots = &mut self.slots[group as usize * self.k..][..self.k];
        let Some(least) = slots.last() else { return };
        if word <= *least {
            if word == W::default() {
                self.keep_lowest(group);
            }
            return;
        }
        let mut at = slots.len() - 1;
        while at > 0 && slots[at - 1] < word {
            slots[at] = slots[at - 1];
            at -= 1;
        }
        slots[at] = word;
    }

    #[cold]
    fn keep_lowest(&mut self, group: u32) {
        let times = self.lowest.entry(group).or_default();
        *times = (*times + 1).min(self.k);
    }

    /// Merges `other`, whose group `i` is group `map[i]` here.
    pub(super) fn merge(&mut self, other: &Best<W>, map: &[u32]) {
        if self.k == 0 {
            return;
        }
        for (slots, &group) in other.slots.chunks_exact(self.k).zip(map) {
            slots.iter().take_while(|word| **word != W::default()).for_each(|&word| self.keep(group, word));
        }
        for (&group, &times) in &other.lowest {
            if let Some(&group) = map.get(group as usize) {
                let mine = self.lowest.entry(group).or_default();
                *mine = (*mine + times).min(self.k);
            }
        }
    }

    /// The listed groups, in the listed order.
    pub(super) fn gather(&self, groups: &[u32]) -> Self {
        let slots = groups.iter().flat_map(|&g| &self.slots[g as usize * self.k..][..self.k]).copied().collect();
        let mut taken = Best { slots, lowest: HashMap::default(), ..*self };
        if !self.lowest.is_empty() {
            let lowest = groups.iter().zip(0..).filter_map(|(group, i)| Some((i, *self.lowest.get(group)?)));
            taken.lowest = lowest.collect();
        }
        taken
    }

    /// Appends the words kept for a group, ascending.
    pub(super) fn words(&self, group: usize, out: &mut Vec<W>) {
        let slots = &self.slots[group * self.k..][..self.k];
        let count = slots.iter().take_while(|word| **word != W::default()).count();
        let lowest = self.lowest.get(&(group as u32)).map_or(0, |&times| times.min(self.k - count));
        // Descending: the slots, then the lowest; flipped words ascend the other way round.
        let words = slots[..count].iter().copied().chain(std::iter::repeat_n(W::default(), lowest));
        let first = out.len();
        out.extend(words.map(|word| if self.flip { !word } else { word }));
        if !self.flip {
            out[first..].reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_what_sorting_would(
            k in 0..5u32, flip: bool, cut in 0..60usize,
            rows in prop::collection::vec((0..3u32, prop_oneof![0..4u64, Just(u64::MAX), any::<u64>()], 1..3u32), 0..60),
        ) {
            let of = |rows: &[(u32, u64, u32)]| {
                let mut best = Best::new(k, flip);
                best.resize(3);
                rows.iter().for_each(|&(group, word, times)| best.push(group, word, times));
                let mut all = Best::new(k, flip);
                all.resize(3);
                all.push_all(rows.iter().flat_map(|&(group, word, times)| std::iter::repeat_n((group, word), times as usize)));
                assert_eq!((&all.slots, &all.lowest), (&best.slots, &best.lowest));
                best
            };
            let cut = cut.min(rows.len());
            let mut merged = of(&rows[..cut]);
            merged.merge(&of(&rows[cut..]), &[0, 1, 2]);
            let turned = merged.gather(&[2, 0]);
            for group in 0..3 {
                let mut want: Vec<u64> = Vec::new();
                for row in rows.iter().filter(|r| r.0 == group) {
                    want.extend(std::iter::repeat_n(row.1, row.2 as usize));
                }
                want.sort_unstable();
                let forget = want.len().saturating_sub(k as usize);
                if flip { want.truncate(k as usize) } else { drop(want.drain(..forget)) }
                let mut got = Vec::new();
                merged.words(group as usize, &mut got);
                prop_assert_eq!(&got, &want);
                if let Some(at) = [2, 0].iter().position(|g| *g == group) {
                    let mut got = Vec::new();
                    turned.words(at, &mut got);
                    prop_assert_eq!(&got, &want);
                }
            }
        }
    }
}
