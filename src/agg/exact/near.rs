//! Sums in a few 64-bit limbs a group: what most blocks of floats need, in loops without a branch a value.
//!
//! A block of values is cut by the hardware's own rounding, as in `block`: adding 1.5·2^(52+k) and taking it away
//! rounds to a multiple of 2^k, and the bits of the sum less those of the constant are that multiple as an integer. What
//! is left is cut further down, the last time at 2^base. A block with a value that is too large, or still has bits left,
//! goes the general way.
//!
//! The exact product of two floats is itself a sum of two: the rounded product and its error, found by multiplying
//! halves of the factors, of 26 bits each, without error (Dekker, 1971). Both are cut, into the same limbs.

use super::cells::{Cells, Range};
use super::dyadic::Exact;
use super::fixed::Fixed;
use super::strided::Strided;
use crate::simd::widest;

/// Bits of a limb of one value.
const LIMB: i32 = 44;
/// Values cut together.
pub(super) const BLOCK: usize = 256;
/// Σ limbs[i]·2^(LIMB·i): of one value, each limb within ±2^(LIMB + 1); of a group, within ±2^62 between blocks.
type Limbs<const N: usize> = [i64; N];
/// The limbs of sums and of sums of products.
pub(super) type SumLimbs = Limbs<2>;
pub(super) type ProductLimbs = Limbs<3>;

/// Exact sums, one per group: what whole blocks of ordinary values have been added to, and all else. A group's sum is the
/// sum of the two; either may have no groups yet.
#[derive(Debug, Clone)]
pub(super) struct Sums<A, const N: usize> {
    groups: usize,
    near: Near<N>,
    far: Cells<A>,
}

impl<A: Fixed, const N: usize> Sums<A, N> {
    pub(super) fn new(range: Range, groups: usize) -> Self {
        Sums { groups, near: Near::new(), far: Cells::new(range, 0) }
    }

    /// Sums of nothing with the same window.
    pub(super) fn alike(&self, groups: usize) -> Self {
        Sums { groups, near: Near::new(), far: self.far.alike(0) }
    }

    pub(super) fn len(&self) -> usize {
        self.groups
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.groups = groups;
        self.near.resize(groups);
        if self.far.len() > 0 {
            self.far.resize(groups);
        }
    }

    /// The cells, for values of any size.
    #[inline]
    pub(super) fn far(&mut self) -> &mut Cells<A> {
        if self.far.len() < self.groups {
            self.far.resize(self.groups);
        }
        &mut self.far
    }

    /// Whether the limbs wait for their place, to be given by [`Sums::set_first_window`].
    pub(super) fn is_fresh(&self) -> bool {
        self.near.limbs.is_empty()
    }

    /// Places the limbs so that values below 2^`top` fit; `bases` are those that the cutting allows.
    pub(super) fn set_first_window(&mut self, top: i32, bases: std::ops::RangeInclusive<i32>) {
        // A little above, and in steps of 4, so that threads are likely to choose the same.
        let base = (top + 3 - N as i32 * LIMB).div_euclid(4) * 4;
        self.near.base = base.clamp(*bases.start(), *bases.end());
        self.near.limbs = vec![[0; N]; self.groups];
    }

    /// Adds a block of at most [`BLOCK`] values, if all of them can be cut; says whether it did.
    pub(super) fn add_block(&mut self, groups: &[u32], cut: impl FnOnce(i32, &mut [Limbs<N>]) -> bool) -> bool {
        let mut block = [[0; N]; BLOCK];
        let block = &mut block[..groups.len()];
        let done = self.near.cut(block, cut);
        if done {
            self.near.add(groups, block, &mut self.far);
        }
        done
    }

    /// The same, for limbs that lie elsewhere until [`Sums::take_in`] takes them.
    pub(super) fn add_block_beside(
        &mut self,
        sums: &mut Strided<'_, i64>,
        groups: &[u32],
        cut: impl FnOnce(i32, &mut [Limbs<N>]) -> bool,
    ) -> bool {
        let mut block = [[0; N]; BLOCK];
        let block = &mut block[..groups.len()];
        let done = self.near.cut(block, cut);
        if done {
            let mut high = [0; N];
            for (&group, value) in groups.iter().zip(&*block) {
                add(sums.cells(group), value, &mut high);
            }
            if is_high(high) {
                self.resize(sums.groups());
                groups.iter().for_each(|&group| self.carry(group as usize, sums.cells(group)));
            }
        }
        done
    }

    fn carry(&mut self, group: usize, limbs: &mut Limbs<N>) {
        if let Some(value) = carry(limbs) {
            let base = self.near.base;
            self.far().add(group, value, base);
        }
    }

    /// Takes in the limbs of all groups that [`Sums::add_block_beside`] has added to.
    pub(super) fn take_in(&mut self, sums: &Strided<'_, i64>) {
        self.resize(sums.groups());
        for (group, value) in sums.all().enumerate() {
            // Nothing has been added beside before the limbs had their place.
            let Some(limbs) = self.near.limbs.get_mut(group) else { return };
            let mut high = [0; N];
            add(limbs, &value, &mut high);
            if is_high(high) {
                self.near.carry(group, &mut self.far);
            }
        }
    }

    /// Adds group `i` of `other` to group `map[i]` of this.
    pub(super) fn merge_from(&mut self, other: &Sums<A, N>, map: &[u32]) {
        if other.far.len() > 0 {
            self.far().merge_from(&other.far, map);
        }
        self.near.merge_from(&other.near, map, self.groups, &mut self.far);
    }

    pub(super) fn gather(&self, groups: &[u32]) -> Self {
        let far = if self.far.len() > 0 { self.far.gather(groups) } else { self.far.clone() };
        Sums { groups: groups.len(), near: self.near.gather(groups), far }
    }

    /// The group's integer and exponent, if that is all there is to it.
    #[inline]
    pub(super) fn simple(&self, group: usize) -> Option<(A, i32)> {
        match (self.far.len(), self.is_fresh()) {
            (0, _) => Some(self.near.value(group)),
            (_, true) => self.far.simple(group),
            _ => None,
        }
    }

    /// A group's limbs and base, if that is all there is to it.
    #[inline]
    pub(super) fn limbs(&self, group: usize) -> Option<(Limbs<N>, i32)> {
        let limbs = self.near.limbs.get(group)?;
        (self.far.len() == 0).then_some((*limbs, self.near.base))
    }

    pub(super) fn exact(&self, group: usize) -> Exact {
        assert!(group < self.groups, "group {group} of {}", self.groups);
        let (value, base) = self.near.value(group);
        if self.far.len() == 0 {
            return Exact::Finite(A::dyadic(value, base));
        }
        if value == A::default() {
            return self.far.exact(group);
        }
        let mut both = self.far.gather(&[group as u32]);
        both.add(0, value, base);
        both.exact(0)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let mut far = self.far.clone();
        far.resize(self.groups);
        for group in 0..self.groups {
            let (value, base) = self.near.value::<A>(group);
            if value != A::default() {
                far.add(group, value, base);
            }
        }
        far.put(out);
    }

    pub(super) fn take(range: Range, bytes: &mut &[u8]) -> Option<Self> {
        Cells::take(range, bytes).map(|far| Sums { groups: far.len(), near: Near::new(), far })
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.near.limbs.capacity() * size_of::<Limbs<N>>() + self.far.heap_bytes()
    }
}

/// Columns are equal if their sums are, however they are held.
impl<A: Fixed, const N: usize> PartialEq for Sums<A, N> {
    fn eq(&self, other: &Self) -> bool {
        self.groups == other.groups && (0..self.groups).all(|group| self.exact(group) == other.exact(group))
    }
}

#[derive(Debug, Clone)]
struct Near<const N: usize> {
    /// No groups before the first block.
    limbs: Vec<Limbs<N>>,
    base: i32,
    /// Blocks that went the general way less those that did not: at some point it is not tried any more.
    missed: u32,
}

/// Blocks that may be tried in vain.
const PATIENCE: u32 = 64;

impl<const N: usize> Near<N> {
    fn new() -> Self {
        Near { limbs: Vec::new(), base: 0, missed: 0 }
    }

    fn resize(&mut self, groups: usize) {
        if !self.limbs.is_empty() {
            self.limbs.resize(groups, [0; N]);
        }
    }

    /// Cuts a block, if that is worth trying; says whether it could.
    #[inline]
    fn cut(&mut self, block: &mut [Limbs<N>], cut: impl FnOnce(i32, &mut [Limbs<N>]) -> bool) -> bool {
        if self.limbs.is_empty() || self.missed >= PATIENCE {
            return false;
        }
        let done = cut(self.base, block);
        self.missed = if done { self.missed.saturating_sub(1) } else { self.missed + 1 };
        done
    }

    /// Adds a block that has been cut. Sums that grow too large go to `far`.
    #[inline]
    fn add<A: Fixed>(&mut self, groups: &[u32], block: &[Limbs<N>], far: &mut Cells<A>) {
        let mut high = [0; N];
        if let [limbs] = &mut self.limbs[..] {
            // One sum after the other would wait for the one before.
            let sum = block.iter().fold([0; N], |sum, value| std::array::from_fn(|i| sum[i] + value[i]));
            add(limbs, &sum, &mut high);
        } else {
            let limbs = &mut self.limbs[..];
            for (&group, value) in groups.iter().zip(block) {
                add(&mut limbs[group as usize], value, &mut high);
            }
        }
        if is_high(high) {
            groups.iter().for_each(|&group| self.carry(group as usize, far));
        }
    }

    /// Makes a group's limbs small again.
    #[cold]
    fn carry<A: Fixed>(&mut self, group: usize, far: &mut Cells<A>) {
        if let Some(value) = carry(&mut self.limbs[group]) {
            if far.len() < self.limbs.len() {
                far.resize(self.limbs.len());
            }
            far.add(group, value, self.base);
        }
    }

    /// What a group holds: an integer and its exponent.
    #[inline]
    fn value<A: Fixed>(&self, group: usize) -> (A, i32) {
        (self.limbs.get(group).map_or(A::default(), whole), self.base)
    }

    fn merge_from<A: Fixed>(&mut self, other: &Near<N>, map: &[u32], groups: usize, far: &mut Cells<A>) {
        if other.limbs.is_empty() {
            return;
        }
        if self.limbs.is_empty() {
            (self.limbs, self.base) = (vec![[0; N]; groups], other.base);
        }
        if self.base != other.base {
            far.resize(groups);
            for (limbs, &group) in other.limbs.iter().zip(map) {
                far.add(group as usize, whole(limbs), other.base);
            }
            return;
        }
        for (value, &group) in other.limbs.iter().zip(map) {
            let mut high = [0; N];
            add(&mut self.limbs[group as usize], value, &mut high);
            if is_high(high) {
                self.carry(group as usize, far);
            }
        }
    }

    fn gather(&self, groups: &[u32]) -> Self {
        let gathered = |limbs: &[Limbs<N>]| groups.iter().map(|&g| limbs[g as usize]).collect();
        let limbs = if self.limbs.is_empty() { Vec::new() } else { gathered(&self.limbs) };
        Near { limbs, ..*self }
    }
}

/// Makes limbs small again; if even the highest is large, takes all of them out.
#[cold]
fn carry<A: Fixed, const N: usize>(limbs: &mut Limbs<N>) -> Option<A> {
    for limb in 1..N {
        limbs[limb] += limbs[limb - 1] >> LIMB;
        limbs[limb - 1] &= (1 << LIMB) - 1;
    }
    (limbs[N - 1].unsigned_abs() >= 1 << 60).then(|| whole(&std::mem::replace(limbs, [0; N])))
}

/// The integer of limbs within ±2^63: `A` is wide enough for as many as there are.
#[inline]
fn whole<A: Fixed, const N: usize>(limbs: &Limbs<N>) -> A {
    limbs.iter().rev().fold(A::default(), |sum, &limb| {
        let sum = sum.checked_shl(LIMB as u32).and_then(|sum| sum.checked_add(A::from_i128(limb.into())));
        debug_assert!(sum.is_some(), "limbs beyond the width of their sum");
        sum.unwrap_or_default()
    })
}

/// The value of two limbs, rounded once, where one addition does that: both limbs are floats without rounding, and nothing is
/// near the ends of the range.
#[inline]
pub(super) fn rounded([low, high]: SumLimbs, base: i32) -> Option<f64> {
    let small = (low.unsigned_abs() | high.unsigned_abs()) < 1 << 53;
    let power = |exponent: i32| f64::from_bits(((exponent + 1023) as u64) << 52);
    (small && base.abs() < 800).then(|| high as f64 * power(base + LIMB) + low as f64 * power(base))
}

/// Adds limb by limb, and notes in `high` whether a limb is now beyond ±2^62: far from an overflow yet, as a block adds
/// less than 2^54.
#[inline(always)]
fn add<const N: usize>(sum: &mut Limbs<N>, value: &Limbs<N>, high: &mut Limbs<N>) {
    for limb in 0..N {
        sum[limb] = sum[limb].wrapping_add(value[limb]);
        high[limb] |= sum[limb].wrapping_add(1 << 62);
    }
}

/// Whether [`add`] has met such a limb.
fn is_high<const N: usize>(high: Limbs<N>) -> bool {
    high.iter().fold(0, |all, limb| all | limb) < 0
}

/// 1.5 · 2^(52 + unit): adding it rounds to a multiple of 2^unit.
#[inline(always)]
fn rounder(unit: i32) -> f64 {
    f64::from_bits((((52 + unit + 1023) as u64) << 52) | 1 << 51)
}

/// `x` rounded by adding `rounder`, as an integer, and what is left.
#[inline(always)]
fn cut(x: f64, rounder: f64) -> (i64, f64) {
    let sum = x + rounder;
    (sum.to_bits().wrapping_sub(rounder.to_bits()) as i64, x - (sum - rounder))
}

/// Bits set where the topmost limb of a value is beyond ±2^LIMB: where the sum has left the binade of the rounder (or is no
/// number), its bits are further away than that.
#[inline(always)]
fn beyond(limb: i64) -> u64 {
    (limb as u64).wrapping_add(1 << LIMB)
}

/// Bases for [`cut_sums`].
pub(super) const SUM_BASES: std::ops::RangeInclusive<i32> = -1074..=900;

widest! {
/// Cuts each value in its limbs; false if one of them is not the sum of its limbs.
pub(super) fn cut_sums(xs: &[f64], base: i32, out: &mut [SumLimbs]) -> bool {
    let rounders = [rounder(base), rounder(base + LIMB)];
    let (mut left, mut wide) = (0u64, 0u64);
    for (&x, out) in xs.iter().zip(out) {
        let (high, rest) = cut(x, rounders[1]);
        let (low, rest) = cut(rest, rounders[0]);
        // −0 is nothing left.
        left |= rest.to_bits() << 1;
        wide |= beyond(high);
        *out = [low, high];
    }
    left == 0 && wide >> (LIMB + 1) == 0
}
}

/// Bases for [`cut_products`].
pub(super) const PRODUCT_BASES: std::ops::RangeInclusive<i32> = -900..=800;

/// Factors of products are zero or within 2^±480: then neither their product nor its error, nor what comes up on the way,
/// is subnormal or overflows.
const FACTOR: i32 = 480;

widest! {
/// Cuts each exact product in its limbs; false if one of them is not the sum of its limbs.
pub(super) fn cut_products(xs: &[f64], ys: &[f64], base: i32, out: &mut [ProductLimbs]) -> bool {
    let rounders = [rounder(base), rounder(base + LIMB), rounder(base + 2 * LIMB)];
    let (least, most) = (2.0f64.powi(-FACTOR), 2.0f64.powi(FACTOR));
    let (mut left, mut wide, mut fair) = (0u64, 0u64, true);
    for ((&x, &y), out) in xs.iter().zip(ys).zip(out) {
        fair &= (x.abs() >= least) & (x.abs() <= most) | (x == 0.0);
        fair &= (y.abs() >= least) & (y.abs() <= most) | (y == 0.0);
        let product = x * y;
        let error = {
            let ((x1, x0), (y1, y0)) = (halves(x), halves(y));
            ((x1 * y1 - product) + x1 * y0 + x0 * y1) + x0 * y0
        };
        let (high, rest) = cut(product, rounders[2]);
        let (middle, rest) = cut(rest, rounders[1]);
        let (low, rest) = cut(rest, rounders[0]);
        // The error is at most 2^−53 of the product: far below the highest limb.
        let (error_middle, error_rest) = cut(error, rounders[1]);
        let (error_low, error_rest) = cut(error_rest, rounders[0]);
        left |= rest.to_bits() << 1 | error_rest.to_bits() << 1;
        wide |= beyond(high);
        // Beyond the limits, anything: no overflow is an error yet.
        *out = [low.wrapping_add(error_low), middle.wrapping_add(error_middle), high];
    }
    fair && left == 0 && wide >> (LIMB + 1) == 0
}
}

/// The upper 26 bits of a float (rounded) and the others, as floats (Veltkamp, 1968).
#[inline(always)]
fn halves(x: f64) -> (f64, f64) {
    let large = x * 134_217_729.0; // 2^27 + 1
    let high = large - (large - x);
    (high, x - high)
}
