//! The hash table of one shard of a dictionary: from a hash to the codes that may be its string's.
//!
//! Open addressing with linear probing. Slots are only ever added, by one thread at a time, while others read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A shard's hash table. A slot is 0 (free) or bits of the hash above a code plus one.
#[derive(Clone)]
pub(super) enum Table {
    /// 8 bits of hash above 24 of code. To grow, it asks the views for the rest of the hashes.
    Narrow(Arc<[AtomicU32]>),
    /// The 32 bits of hash that choose the slot above 32 of code.
    Wide(Arc<[AtomicU64]>),
}

/// Slots of a narrow table at most: those of all shards are then 8 MiB, and a larger one is in no cache anyway.
const MOST_NARROW: usize = 1 << 15;
/// Bits of code in a narrow slot.
pub(super) const NARROW_CODE: u32 = 24;

/// The slot at `index`, which may be any number.
#[inline(always)]
fn slot<S>(slots: &[S], index: usize) -> &S {
    // The length is a power of two.
    &slots[index & (slots.len() - 1)]
}

impl Table {
    pub(super) fn new(slots: usize) -> Table {
        if slots <= MOST_NARROW {
            Table::Narrow((0..slots).map(|_| AtomicU32::new(0)).collect())
        } else {
            Table::wide(slots)
        }
    }

    pub(super) fn wide(slots: usize) -> Table {
        Table::Wide((0..slots).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Table::Narrow(slots) => slots.len(),
            Table::Wide(slots) => slots.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Table::Narrow(slots) => size_of_val(&**slots),
            Table::Wide(slots) => size_of_val(&**slots),
        }
    }

    /// The code that one of the few slots in which a hash most often is has for it. Any number if none has.
    #[inline(always)]
    pub(super) fn candidate(&self, hash: u64) -> u32 {
        let at = hash as u32 as usize;
        // Which of them is no branch: it would be mispredicted every fourth time.
        let code = match self {
            Table::Narrow(slots) => {
                let load = |at| slot(slots, at).load(Ordering::Acquire);
                let (first, second, third) = (load(at), load(at + 1), load(at + 2));
                let tag = narrow_tag(hash);
                let found = if second >> NARROW_CODE == tag { second } else { third };
                let found = if first >> NARROW_CODE == tag { first } else { found };
                found & ((1 << NARROW_CODE) - 1)
            }
            Table::Wide(slots) => {
                let load = |at| slot(slots, at).load(Ordering::Acquire);
                let (first, second) = (load(at), load(at + 1));
                // None rather than another's: a view would be loaded for nothing.
                let found = if second >> 32 == hash << 32 >> 32 { second } else { 0 };
                (if first >> 32 == hash << 32 >> 32 { first } else { found }) as u32
            }
        };
        code.wrapping_sub(1)
    }

    /// The codes that may be a hash's.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let start = hash as u32 as usize;
        (start..).map_while(move |at| self.entry(at, hash)).flatten()
    }

    /// What the slot at `at` says of a hash: nothing more (it is free), nothing, or a code.
    #[inline]
    fn entry(&self, at: usize, hash: u64) -> Option<Option<u32>> {
        let (tag, wanted, code) = match self {
            Table::Narrow(slots) => {
                let slot = slot(slots, at).load(Ordering::Acquire);
                (slot >> NARROW_CODE, narrow_tag(hash), slot & ((1 << NARROW_CODE) - 1))
            }
            Table::Wide(slots) => {
                let slot = slot(slots, at).load(Ordering::Acquire);
                ((slot >> 32) as u32, hash as u32, slot as u32)
            }
        };
        // A slot that is in use has a code, plus one.
        code.checked_sub(1).map(|code| (tag == wanted).then_some(code))
    }

    /// Writes a code that is not there yet and that it [holds](Table::holds); the caller holds the shard's lock.
    pub(super) fn add(&self, hash: u64, code: u32) {
        let start = hash as u32 as usize;
        match self {
            Table::Narrow(slots) => {
                let mut free = (start..).map(|at| slot(slots, at)).filter(|slot| slot.load(Ordering::Relaxed) == 0);
                if let Some(free) = free.next() {
                    free.store(narrow_tag(hash) << NARROW_CODE | (code + 1), Ordering::Release);
                }
            }
            Table::Wide(slots) => {
                let mut free = (start..).map(|at| slot(slots, at)).filter(|slot| slot.load(Ordering::Relaxed) == 0);
                if let Some(free) = free.next() {
                    free.store(hash << 32 | u64::from(code + 1), Ordering::Release);
                }
            }
        }
    }

    /// Whether `used` slots are no more than it should hold, the last of them with `code`: half of a small table, so that most
    /// strings are where they are first looked for; 3/4 of one that would not fit into a cache anyway.
    pub(super) fn holds(&self, used: usize, code: u32) -> bool {
        let full = if self.len() <= 1 << 13 { used * 2 > self.len() } else { used * 4 > self.len() * 3 };
        !full && (matches!(self, Table::Wide(_)) || code < (1 << NARROW_CODE) - 1)
    }

    /// Hashes and codes of all that it holds, if its slots know the hashes: only the bits that choose a slot or stand in one.
    pub(super) fn hashes(&self) -> Option<impl Iterator<Item = (u64, u32)>> {
        let Table::Wide(slots) = self else { return None };
        let slots = slots.iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|&slot| slot != 0);
        Some(slots.map(|slot| (slot >> 32, slot as u32 - 1)))
    }

    /// The codes of all that it holds.
    pub(super) fn codes(&self) -> Vec<u32> {
        let code = |slot: u32| (slot & ((1 << NARROW_CODE) - 1)).checked_sub(1);
        match self {
            Table::Narrow(slots) => slots.iter().filter_map(|slot| code(slot.load(Ordering::Relaxed))).collect(),
            Table::Wide(slots) => {
                slots.iter().filter_map(|s| (s.load(Ordering::Relaxed) as u32).checked_sub(1)).collect()
            }
        }
    }
}

/// The bits of a hash that stand in a narrow slot: none that choose it or the shard.
#[inline(always)]
fn narrow_tag(hash: u64) -> u32 {
    (hash >> 40) as u32 & 0xff
}

#[cfg(test)]
mod tests {
    use super::super::text::Word;
    use super::*;

    #[test]
    fn tables_of_either_width_hold_and_give_back_their_codes() {
        let hash = |code: u32| Word::of(code.to_string().as_bytes()).hash;
        for table in [Table::new(2048), Table::wide(2048)] {
            assert_eq!(table.candidates(hash(7)).next(), None);
            (0..1000).for_each(|code| table.add(hash(code), code));
            assert!((0..1000).all(|code| table.candidates(hash(code)).any(|found| found == code)));
            let found = (0..1000).filter(|&code| table.candidate(hash(code)) == code).count();
            assert!(found > 800, "{found} at the first look");
        }
        // A code that a narrow slot has no room for.
        let most = (1 << NARROW_CODE) - 2;
        assert!(Table::new(8).holds(4, most) && !Table::new(8).holds(4, most + 1) && !Table::new(8).holds(5, 0));
        let wide = Table::new(MOST_NARROW * 2);
        assert!(matches!(wide, Table::Wide(_)) && wide.holds(wide.len() / 4 * 3, most + 1));
        wide.add(hash(1), u32::MAX - 2);
        assert_eq!(wide.candidates(hash(1)).next(), Some(u32::MAX - 2));
    }
}
