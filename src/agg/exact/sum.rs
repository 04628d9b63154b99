//! Σx of floats.

use super::block;
use super::cells::{Cells, Range};
use super::dyadic::Exact;
use super::near::{self, Sums};
use super::round::round_parts;
use super::strided::Strided;

/// The window of a sum: 53-bit mantissas moved by up to 62, so at least 2^12 additions to overflow (which is harmless).
/// The limits keep subnormals (below) and specials (above) off the fast path.
const RANGE: Range = Range { least: -1074, most: 900, width: 62 };

pub(super) const FRACTION: u64 = (1 << 52) - 1;

/// 2^0 … 2^62, and 0 in the end: multiplying is cheaper than shifting across two registers.
const POWERS: [i64; 64] = {
    let mut powers = [0; 64];
    let mut i = 0;
    while i < 63 {
        powers[i] = 1 << i;
        i += 1;
    }
    powers
};

/// The exact sum of floats, for many groups: 16 bytes a group.
///
/// Adding is associative and commutative, so any split, order and merge of the same values is the same state;
/// `==` compares the sums, not how they are held. Group indices out of range panic, as slice indices do.
///
/// ```
/// use tidemill::agg::exact::SumColumn;
/// let mut sums = SumColumn::new(2);
/// sums.add_all(&[0, 1, 0, 0], &[1e300, 0.1, 1e-300, -1e300]);
/// assert_eq!(sums.value(0), 1e-300);
/// assert_eq!(sums.value(1), 0.1);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SumColumn {
    sums: Sums<i128, 2>,
}

impl SumColumn {
    /// `groups` sums of nothing (0).
    pub fn new(groups: usize) -> Self {
        SumColumn { sums: Sums::new(RANGE, groups) }
    }

    /// `groups` sums of nothing, holding the same range of exponents best as this: merging the two back is cheapest.
    pub fn new_like(&self, groups: usize) -> Self {
        SumColumn { sums: self.sums.alike(groups) }
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes it `groups` groups: new ones are sums of nothing, those beyond are dropped.
    pub fn resize(&mut self, groups: usize) {
        self.sums.resize(groups);
    }

    /// The cells, for values of any size.
    #[inline]
    fn far(&mut self) -> &mut Cells<i128> {
        self.sums.far()
    }

    /// Adds one value.
    #[inline]
    pub fn add(&mut self, group: usize, x: f64) {
        let (base, cells) = self.far().parts();
        match easy(x, base).and_then(|value| cells[group].checked_add(value)) {
            Some(sum) => cells[group] = sum,
            None => self.add_rarely(group, x),
        }
    }

    #[cold]
    fn add_rarely(&mut self, group: usize, x: f64) {
        if x.is_finite() {
            let (mantissa, exponent) = decode(x);
            self.far().add(group, i128::from(mantissa), exponent);
        } else {
            self.far().add_special(group, x.is_nan(), x > 0.0, x < 0.0);
        }
    }

    /// Adds `xs[i]` to group `groups[i]`.
    pub fn add_all(&mut self, groups: &[u32], xs: &[f64]) {
        if self.sums.is_fresh()
            && let Some(&highest) = sample(xs).iter().max()
        {
            self.sums.set_first_window(highest + 53, near::SUM_BASES);
        }
        let count = groups.len().min(xs.len());
        for (groups, xs) in groups[..count].chunks(near::BLOCK).zip(xs[..count].chunks(near::BLOCK)) {
            if !self.sums.add_block(groups, |base, limbs| near::cut_sums(xs, base, limbs)) {
                self.add_far(groups, xs);
            }
        }
    }

    /// Words of a sum that lies elsewhere.
    pub(in crate::agg) const WORDS: usize = 2;

    /// [`SumColumn::add_all`], to sums that lie elsewhere; values that these cannot hold come here.
    pub(in crate::agg) fn add_beside(&mut self, mut sums: Strided<'_, i64>, groups: &[u32], xs: &[f64]) {
        for (groups, xs) in groups.chunks(near::BLOCK).zip(xs.chunks(near::BLOCK)) {
            if !self.sums.add_block_beside(&mut sums, groups, |base, limbs| near::cut_sums(xs, base, limbs)) {
                self.resize(sums.groups());
                match self.sums.is_fresh() {
                    true => self.add_all(groups, xs),
                    false => self.add_far(groups, xs),
                }
            }
        }
    }

    /// Takes in the sums of all groups that [`SumColumn::add_beside`] has added to; they are not to be used any more.
    pub(in crate::agg) fn take_in(&mut self, sums: &Strided<'_, i64>) {
        self.resize(sums.groups());
        self.sums.take_in(sums);
    }

    fn add_far(&mut self, groups: &[u32], xs: &[f64]) {
        self.choose_window(xs);
        let mut rest = (groups, xs);
        loop {
            let done = self.add_while_easy(rest.0, rest.1);
            match (rest.0.get(done), rest.1.get(done)) {
                (Some(&group), Some(&x)) => self.add(group as usize, x),
                _ => return,
            }
            rest = (&rest.0[done + 1..], &rest.1[done + 1..]);
        }
    }

    /// Adds `xs[i]` to group `groups[i]` where `valid(i)`.
    pub fn add_valid(&mut self, groups: &[u32], xs: &[f64], valid: impl Fn(usize) -> bool) {
        // Compacted by block, so that the fast loop has no branch on validity.
        let (mut some_groups, mut some_xs) = ([0; BLOCK], [0.0; BLOCK]);
        for (block, (groups, xs)) in groups.chunks(BLOCK).zip(xs.chunks(BLOCK)).enumerate() {
            let mut count = 0;
            for (i, (&group, &x)) in groups.iter().zip(xs).enumerate() {
                some_groups[count] = group;
                some_xs[count] = x;
                count += usize::from(valid(block * BLOCK + i));
            }
            self.add_all(&some_groups[..count], &some_xs[..count]);
        }
    }

    /// Adds all of `xs` to one group.
    pub fn add_slice(&mut self, group: usize, xs: &[f64]) {
        self.choose_window(xs);
        let mut slices = 2;
        let mut blocks = xs.chunks_exact(block::VALUES);
        for xs in blocks.by_ref() {
            slices = match slices {
                2 if self.add_block::<2>(group, xs) => 2,
                2 | 3 if self.add_block::<3>(group, xs) => 3,
                _ => {
                    xs.iter().for_each(|&x| self.add(group, x));
                    4
                }
            };
        }
        blocks.remainder().iter().for_each(|&x| self.add(group, x));
    }

    fn add_block<const SLICES: usize>(&mut self, group: usize, xs: &[f64]) -> bool {
        let Some(sums) = block::condense::<SLICES>(xs) else { return false };
        sums.iter().flatten().for_each(|&sum| self.add(group, sum));
        true
    }

    /// Adds `value · 2^exponent`, as a device's fixed-point window holds it. Exponents within ±2^20.
    #[inline]
    pub fn add_scaled(&mut self, group: usize, value: i128, exponent: i32) {
        self.far().add(group, value, exponent);
    }

    /// Adds `values[i] · 2^exponent` to group `groups[i]`: a device's window of a whole chunk.
    pub fn add_scaled_all(&mut self, groups: &[u32], values: &[i128], exponent: i32) {
        self.far().merge_scaled(groups, values, exponent);
    }

    /// Adds a window of any width: the little-endian two's complement integer `limbs`, times 2^exponent.
    pub fn add_limbs(&mut self, group: usize, limbs: &[u32], exponent: i32) {
        self.far().add_limbs(group, limbs, exponent);
    }

    /// Records that the group has seen NaN, +∞, −∞.
    pub fn add_special(&mut self, group: usize, nan: bool, pos_inf: bool, neg_inf: bool) {
        self.far().add_special(group, nan, pos_inf, neg_inf);
    }

    /// Adds group `i` of `other` to group `map[i]` of this.
    pub fn merge_from(&mut self, other: &SumColumn, map: &[u32]) {
        self.sums.merge_from(&other.sums, map);
    }

    /// The listed groups, in the listed order, as a column of their own.
    pub fn gather(&self, groups: &[u32]) -> Self {
        SumColumn { sums: self.sums.gather(groups) }
    }

    /// The sum, rounded once to `f64`. Nothing sums to +0 here; that `sum` of nothing is null is [`super::sum`]'s rule.
    pub fn value(&self, group: usize) -> f64 {
        if let Some(sum) = self.sums.limbs(group).and_then(|(limbs, base)| near::rounded(limbs, base)) {
            return sum;
        }
        match self.sums.simple(group) {
            Some((value, base)) => round_parts(value < 0, value.unsigned_abs(), i64::from(base), false),
            None => self.exact(group).to_f64(),
        }
    }

    /// The sum, exactly.
    pub fn exact(&self, group: usize) -> Exact {
        self.sums.exact(group)
    }

    /// Appends the column's bytes to `out`; [`SumColumn::take`] reads them back.
    pub fn put(&self, out: &mut Vec<u8>) {
        self.sums.put(out);
    }

    /// Reads a column off the front of `bytes`; `None` if they are not whole or not sound.
    pub fn take(bytes: &mut &[u8]) -> Option<Self> {
        Sums::take(RANGE, bytes).map(|sums| SumColumn { sums })
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.sums.heap_bytes()
    }

    /// Takes the first window from a sample of the data, not from the one value that happens to come first.
    fn choose_window(&mut self, xs: &[f64]) {
        if !self.far().has_base() {
            self.far().set_first_window(&mut sample(xs));
        }
    }

    /// Adds values as long as they lie in the window, and says how many did.
    fn add_while_easy(&mut self, groups: &[u32], xs: &[f64]) -> usize {
        let (base, cells) = self.far().parts();
        let count = groups.len().min(xs.len());
        for (i, (&group, &x)) in groups[..count].iter().zip(&xs[..count]).enumerate() {
            let Some(value) = easy(x, base) else { return i };
            let cell = &mut cells[group as usize];
            match cell.checked_add(value) {
                Some(sum) => *cell = sum,
                None => return i,
            }
        }
        count
    }
}

/// Exponents of some values' mantissas.
fn sample(xs: &[f64]) -> Vec<i32> {
    let step = xs.len() / 1024 + 1;
    xs.iter().step_by(step).filter(|x| x.is_finite() && **x != 0.0).map(|&x| decode(x).1).collect()
}

/// `x / 2^base`, if `x` is a zero or lies in the window of `base`.
#[inline(always)]
fn easy(x: f64, base: i32) -> Option<i128> {
    // Exponent fields in the window: low ..= low + 62. The window's limits keep 0 and 2047 out of it.
    let low = base.wrapping_add(1075) as u64;
    let bits = x.to_bits();
    let magnitude = bits & (u64::MAX >> 1);
    let zero = magnitude == 0;
    let shift = (magnitude >> 52).wrapping_sub(low);
    // Zeros are common in data: they pass as 0 · 2^0 without a branch of their own.
    let shift = if zero { 0 } else { shift };
    let mantissa = (bits & FRACTION) | (u64::from(!zero) << 52);
    if shift > RANGE.width as u64 {
        return None;
    }
    let sign = (bits as i64) >> 63;
    let signed = (mantissa as i64 ^ sign) - sign;
    Some(i128::from(signed) * i128::from(POWERS[(shift & 63) as usize]))
}

/// Rows looked at together where nulls are to be dropped.
const BLOCK: usize = 512;

/// A finite float as `mantissa · 2^exponent`.
#[inline]
pub(super) fn decode(x: f64) -> (i64, i32) {
    let bits = x.to_bits();
    let field = ((bits >> 52) & 0x7ff) as i32;
    let mantissa = (bits & FRACTION) | (u64::from(field != 0) << 52);
    let sign = (bits as i64) >> 63;
    ((mantissa as i64 ^ sign) - sign, field.max(1) - 1075)
}
