//! Sums of floats in two 64-bit limbs a group: what most blocks of values need, in loops without a branch a value.
//!
//! A block of values is cut in two by the hardware's own rounding, as in `block`: adding 1.5·2^(52+k) and taking it away
//! rounds to a multiple of 2^k, and the bits of the sum less those of the constant are that multiple as an integer. What
//! is left is cut at 2^base. A block with a value that is too large, or still has bits left, goes the general way.

use super::cells::Cells;
use super::dyadic::{Dyadic, Exact};
use crate::simd::widest;

/// Bits of the lower limb.
const LOW: i32 = 44;
/// Values are below 2^(base + TOP): the upper limb of one has LOW bits too.
const TOP: i32 = 2 * LOW;
/// Values cut together.
pub(super) const BLOCK: usize = 256;
/// Limbs of a group: (limbs[0] + limbs[1]·2^LOW) · 2^base, each within ±2^62 between blocks.
type Limbs = [i64; 2];

#[derive(Debug, Clone)]
pub(super) struct Near {
    /// No groups before the first block.
    limbs: Vec<Limbs>,
    base: i32,
    /// Blocks that went the general way less those that did not: at some point it is not tried any more.
    missed: u32,
}

/// Blocks that may be tried in vain.
const PATIENCE: u32 = 64;

impl Near {
    pub(super) fn new() -> Self {
        Near { limbs: Vec::new(), base: 0, missed: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.limbs.is_empty()
    }

    pub(super) fn resize(&mut self, groups: usize) {
        if !self.is_empty() {
            self.limbs.resize(groups, [0; 2]);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.limbs.capacity() * size_of::<Limbs>()
    }

    /// Makes room, if there is none yet, for values whose mantissas' exponents are at most `highest`.
    pub(super) fn set_first_window(&mut self, groups: usize, highest: i32) {
        if self.is_empty() {
            // In steps of 4, so that threads are likely to choose the same.
            self.base = ((highest + 53 + 3 - TOP).div_euclid(4) * 4).clamp(-1074, 900);
            self.limbs = vec![[0; 2]; groups];
        }
    }

    /// Whether blocks are still worth trying.
    pub(super) fn is_open(&self) -> bool {
        !self.is_empty() && self.missed < PATIENCE
    }

    /// Adds a block of at most [`BLOCK`] values, if all fit; says whether it did. Sums that grow too large go to `far`.
    pub(super) fn add(&mut self, groups: &[u32], xs: &[f64], far: &mut Cells<i128>) -> bool {
        let mut cut = [[0i64; 2]; BLOCK];
        let cut = &mut cut[..xs.len()];
        if !split(xs, self.base, cut) {
            self.missed += 1;
            return false;
        }
        self.missed = self.missed.saturating_sub(1);
        let mut high = [0; 2];
        if let [limbs] = &mut self.limbs[..] {
            // One sum after the other would wait for the one before.
            let block = cut.iter().fold([0; 2], |sum, value| [sum[0] + value[0], sum[1] + value[1]]);
            add(limbs, &block, &mut high);
        } else {
            let limbs = &mut self.limbs[..];
            for (&group, value) in groups.iter().zip(&*cut) {
                add(&mut limbs[group as usize], value, &mut high);
            }
        }
        if is_high(high) {
            groups.iter().for_each(|&group| self.carry(group as usize, far));
        }
        true
    }

    /// Makes a group's limbs small again.
    #[cold]
    fn carry(&mut self, group: usize, far: &mut Cells<i128>) {
        let [low, high] = &mut self.limbs[group];
        *high += *low >> LOW;
        *low &= (1 << LOW) - 1;
        if high.unsigned_abs() >= 1 << 60 {
            if far.len() < self.limbs.len() {
                far.resize(self.limbs.len());
            }
            let value = std::mem::take(&mut self.limbs[group]);
            far.add(group, whole(&value), self.base);
        }
    }

    /// What a group holds: an integer and its exponent.
    #[inline]
    pub(super) fn value(&self, group: usize) -> (i128, i32) {
        (self.limbs.get(group).map_or(0, whole), self.base)
    }

    pub(super) fn exact(&self, group: usize) -> Exact {
        let (value, base) = self.value(group);
        Exact::Finite(Dyadic::from_i128(value, base))
    }

    /// Adds group `i` of `other` to group `map[i]` of this, which has `groups` groups.
    pub(super) fn merge_from(&mut self, other: &Near, map: &[u32], groups: usize, far: &mut Cells<i128>) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            (self.limbs, self.base) = (vec![[0; 2]; groups], other.base);
        }
        if self.base != other.base {
            far.resize(groups);
            for (limbs, &group) in other.limbs.iter().zip(map) {
                far.add(group as usize, whole(limbs), other.base);
            }
            return;
        }
        for (value, &group) in other.limbs.iter().zip(map) {
            let mut high = [0; 2];
            add(&mut self.limbs[group as usize], value, &mut high);
            if is_high(high) {
                self.carry(group as usize, far);
            }
        }
    }

    pub(super) fn gather(&self, groups: &[u32]) -> Self {
        let limbs = if self.is_empty() { Vec::new() } else { groups.iter().map(|&g| self.limbs[g as usize]).collect() };
        Near { limbs, ..*self }
    }
}

fn whole(limbs: &Limbs) -> i128 {
    (i128::from(limbs[1]) << LOW) + i128::from(limbs[0])
}

/// Adds limb by limb, and notes in `high` whether a limb is now beyond ±2^62: far from an overflow yet, as a block adds
/// less than 2^54.
#[inline(always)]
fn add(sum: &mut Limbs, value: &Limbs, high: &mut Limbs) {
    for limb in 0..2 {
        sum[limb] = sum[limb].wrapping_add(value[limb]);
        high[limb] |= sum[limb] ^ (sum[limb] << 1);
    }
}

/// Whether [`add`] has met such a limb.
fn is_high(high: Limbs) -> bool {
    (high[0] | high[1]) < 0
}

/// 1.5 · 2^(52 + unit): adding it rounds to a multiple of 2^unit.
fn rounder(unit: i32) -> f64 {
    f64::from_bits((((52 + unit + 1023) as u64) << 52) | 1 << 51)
}

widest! {
/// Cuts each value in its two limbs; false if one of them is not the sum of its limbs.
fn split(xs: &[f64], base: i32, out: &mut [Limbs]) -> bool {
    let (upper, lower) = (rounder(base + LOW), rounder(base));
    let (mut left, mut wide) = (0u64, 0u64);
    for (&x, out) in xs.iter().zip(out) {
        let above = x + upper;
        let rest = x - (above - upper);
        let below = rest + lower;
        // −0 is nothing left.
        left |= (rest - (below - lower)).to_bits() << 1;
        let high = above.to_bits().wrapping_sub(upper.to_bits());
        // Where the sum has left the binade of the constant (or is no number) its bits are further away than 2^LOW.
        wide |= high.wrapping_add(1 << LOW);
        *out = [below.to_bits().wrapping_sub(lower.to_bits()) as i64, high as i64];
    }
    left == 0 && wide >> (LOW + 1) == 0
}
}
