//! Appending to many lists at once: every group's words in a chain of chunks, 8 bytes a word and little beside.
//!
//! Chunks are cut from slabs and grow with their group, so that a group of two words and one of a million waste about as
//! little. A chain is a ring: each chunk knows the next, the last knows the first. Two rings are made one by exchanging
//! what their last chunks know, so chains are concatenated without touching a word; and since a chunk knows its next as
//! a distance, slabs can be taken over from elsewhere as they are.

use super::word::Word;

/// Words of a slab.
const SLAB: usize = 1 << 14;
/// Words of the smallest and the largest chunk, its head included.
const LEAST: usize = 4;
const MOST: usize = 64;

/// The words of every group, in no order that means anything.
#[derive(Debug, Clone)]
pub(super) struct Chains<W> {
    slabs: Vec<Box<[W]>>,
    /// The slab that new chunks are cut from, and where.
    open: usize,
    cut: usize,
    lasts: Vec<Last>,
    /// Words in all chunks but the last ones.
    closed: usize,
}

/// The last chunk of a group's chain.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    /// Where its head is.
    at: u64,
    used: u32,
    /// 0 if there is no chunk.
    room: u32,
}

/// The head of a chunk: how far ahead the next one's head is (around the 2^48 there can be), and the words in this one.
/// The last chunk's words are known by its [`Last`] only.
#[derive(Debug, Clone, Copy)]
struct Head {
    ahead: u64,
    words: u64,
}

const AROUND: u64 = (1 << 48) - 1;

impl<W: Word> Chains<W> {
    pub(super) fn new() -> Self {
        Chains { slabs: Vec::new(), open: 0, cut: SLAB, lasts: Vec::new(), closed: 0 }
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.lasts.resize(groups, Last::default());
    }

    /// Words of all groups, up to the few in last chunks: cheap to ask, and exact enough to decide by.
    pub(super) fn about(&self) -> usize {
        self.closed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slabs.is_empty()
    }

    /// Forgets all words and gives the memory back.
    pub(super) fn clear(&mut self) {
        *self = Chains { lasts: std::mem::take(&mut self.lasts), ..Chains::new() };
        self.lasts.fill(Last::default());
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let words = self.slabs.len().saturating_sub(1) * SLAB + self.cut.min(self.slabs.len() * SLAB);
        words * W::BYTES + self.lasts.capacity() * size_of::<Last>()
    }

    #[inline]
    pub(super) fn push(&mut self, group: u32, word: W) {
        let last = &mut self.lasts[group as usize];
        if last.used == last.room {
            let full = *last;
            let fresh = self.grow(full);
            self.lasts[group as usize] = fresh;
        }
        // One field is written, not the whole: a copy read back in one piece would wait for its parts to be stored.
        let last = &mut self.lasts[group as usize];
        let at = last.at as usize + 1 + last.used as usize;
        last.used += 1;
        self.slabs[at / SLAB][at % SLAB] = word;
    }

    /// A new last chunk behind `last`.
    #[inline(never)]
    fn grow(&mut self, last: Last) -> Last {
        if SLAB - self.cut < LEAST || self.slabs.is_empty() {
            self.slabs.push(vec![W::default(); SLAB].into_boxed_slice());
            self.open = self.slabs.len() - 1;
            self.cut = 0;
        }
        let size = (2 * (last.room as usize + 1)).clamp(LEAST, MOST).min(SLAB - self.cut);
        let at = (self.open * SLAB + self.cut) as u64;
        self.cut += size;
        let fresh = Last { at, used: 0, room: size as u32 - 1 };
        // A ring of one, then one with the chain's.
        self.set_head(at, Head { ahead: 0, words: 0 });
        if last.room == 0 { fresh } else { self.join(last, fresh) }
    }

    fn head(&self, at: u64) -> Head {
        let word = self.slabs[at as usize / SLAB][at as usize % SLAB].low();
        Head { ahead: word & AROUND, words: word >> 48 }
    }

    fn set_head(&mut self, at: u64, head: Head) {
        self.slabs[at as usize / SLAB][at as usize % SLAB] = W::join(0, head.ahead | head.words << 48);
    }

    /// One ring of two; `second` stays its last chunk.
    fn join(&mut self, first: Last, second: Last) -> Last {
        let (a, b) = (self.head(first.at), self.head(second.at));
        let (after_a, after_b) = ((first.at + a.ahead) & AROUND, (second.at + b.ahead) & AROUND);
        let ahead = |from: u64, to: u64| to.wrapping_sub(from) & AROUND;
        self.closed += first.used as usize;
        self.set_head(first.at, Head { ahead: ahead(first.at, after_b), words: first.used.into() });
        self.set_head(second.at, Head { ahead: ahead(second.at, after_a), words: b.words });
        second
    }

    /// Adds the words of `other`, whose group `i` is group `map[i]` here.
    pub(super) fn absorb(&mut self, mut other: Chains<W>, map: &[u32]) {
        // Slabs that are hardly used are not worth keeping.
        if other.closed < SLAB * other.slabs.len() / 4 || other.slabs.len() < 2 {
            for (i, &group) in map.iter().enumerate() {
                other.each_run(i, |words| words.iter().for_each(|&word| self.push(group, word)));
            }
            return;
        }
        let moved = (self.slabs.len() * SLAB) as u64;
        if SLAB - self.cut < SLAB - other.cut {
            (self.open, self.cut) = (self.slabs.len() + other.open, other.cut);
        }
        self.slabs.append(&mut other.slabs);
        self.closed += other.closed;
        for (theirs, &group) in other.lasts.iter().zip(map) {
            if theirs.room == 0 {
                continue;
            }
            let (mine, theirs) = (self.lasts[group as usize], Last { at: theirs.at + moved, ..*theirs });
            let left = |last: Last| last.room - last.used;
            self.lasts[group as usize] = match mine.room {
                0 => theirs,
                _ if left(mine) > left(theirs) => self.join(theirs, mine),
                _ => self.join(mine, theirs),
            };
        }
    }

    /// Calls `each` with the words of a group, some at a time.
    #[inline]
    pub(super) fn each_run(&self, group: usize, mut each: impl FnMut(&[W])) {
        let last = self.lasts[group];
        if last.room == 0 {
            return;
        }
        let mut at = last.at;
        loop {
            let head = self.head(at);
            let words = if at == last.at { last.used as usize } else { head.words as usize };
            let first = at as usize % SLAB + 1;
            each(&self.slabs[at as usize / SLAB][first..first + words]);
            at = (at + head.ahead) & AROUND;
            if at == last.at {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(chains: &Chains<u64>, group: usize) -> Vec<u64> {
        let mut words = Vec::new();
        chains.each_run(group, |run| words.extend_from_slice(run));
        words.sort_unstable();
        words
    }

    fn of(rows: &[(u32, u64)], groups: usize) -> Chains<u64> {
        let mut chains = Chains::new();
        chains.resize(groups);
        rows.iter().for_each(|&(group, word)| chains.push(group, word));
        chains
    }

    #[test]
    fn long_chains_are_joined_without_a_copy() {
        let groups = 7u32;
        let rows = |n: u64, seed: u64| (0..n).map(|i| ((i * seed % 11 % 7) as u32, i * seed)).collect::<Vec<_>>();
        let (a, b, c) = (rows(70_001, 3), rows(50_000, 5), rows(9, 8));
        let mut chains = of(&a, 7);
        let map: Vec<u32> = (0..groups).map(|g| (g + 3) % groups).collect();
        chains.absorb(of(&b, 7), &map);
        chains.absorb(of(&c, 7), &map);
        chains.push(2, 77);
        let mapped = |rows: &[(u32, u64)]| rows.iter().map(|r| (map[r.0 as usize], r.1)).collect::<Vec<_>>();
        let all = [a, mapped(&b), mapped(&c), vec![(2, 77)]].concat();
        assert!((all.len() - 7 * MOST..=all.len()).contains(&chains.about()));
        for group in 0..groups {
            let mut want: Vec<u64> = all.iter().filter(|r| r.0 == group).map(|r| r.1).collect();
            want.sort_unstable();
            assert_eq!(words(&chains, group as usize), want, "group {group}");
        }
        assert!(chains.heap_bytes() < all.len() * 10, "{} bytes for {} words", chains.heap_bytes(), all.len());
        chains.clear();
        assert_eq!((chains.about(), chains.is_empty(), words(&chains, 2)), (0, true, vec![]));
        chains.push(2, 5);
        assert_eq!(words(&chains, 2), [5]);
    }

    proptest! {
        #[test]
        fn chains_hold_what_was_pushed(
            parts in prop::collection::vec((prop::collection::vec((0..5u32, any::<u64>()), 0..300), 0..40usize), 1..5),
        ) {
            let mut chains = of(&[], 5);
            let mut all = Vec::new();
            for (i, (rows, times)) in parts.iter().enumerate() {
                let map: Vec<u32> = (0..5).map(|g| (g + i as u32) % 5).collect();
                let rows = rows.repeat(*times);
                chains.absorb(of(&rows, 5), &map);
                all.extend(rows.iter().map(|r| (map[r.0 as usize], r.1)));
            }
            for group in 0..5 {
                let mut want: Vec<u64> = all.iter().filter(|r| r.0 == group).map(|r| r.1).collect();
                want.sort_unstable();
                prop_assert_eq!(words(&chains, group as usize), want);
            }
        }
    }
}
