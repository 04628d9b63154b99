//! The core all exact columns share: one fixed-point window per group, and a side table for what does not fit.
//!
//! A group's value is `cells[group] · 2^base`, plus its entry in `rare` (a wide accumulator and seen specials), if it
//! has one. The base is one for the whole column, taken from the first data and moved when later data keeps missing
//! the window. It decides how much is rare, never what the sums are: whatever does not fit goes to `rare`.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::dyadic::Exact;
use super::fixed::Fixed;
use super::wide::Wide;

/// The base before any value has been seen: no exponent is within a window of it.
const UNSET: i32 = i32::MAX;

/// Where a column's window may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// The lowest base.
    pub(super) least: i32,
    /// The highest base.
    pub(super) most: i32,
    /// How far above the base a value's exponent may lie on the fast path.
    pub(super) width: i32,
}

impl Range {
    /// Integers: the base is 0.
    pub(super) const INTEGERS: Range = Range { least: 0, most: 0, width: 0 };
}

/// Some addend was NaN.
const NAN: u8 = 1;
/// Some addend was +∞.
const POS_INF: u8 = 2;
/// Some addend was −∞.
const NEG_INF: u8 = 4;

/// What a group has beside its cell.
#[derive(Debug, Clone, Default)]
struct Rare {
    wide: Wide,
    specials: u8,
}

/// Exact sums of integers times powers of two, one per group.
#[derive(Debug, Clone)]
pub(super) struct Cells<A> {
    range: Range,
    base: i32,
    cells: Vec<A>,
    rare: HashMap<u32, Box<Rare>, FixedState>,
    /// Exponents of the latest values that missed the window, and how many missed since the window last moved.
    missed: Vec<i32>,
    misses: usize,
    /// How often the window moved; each move must be earned by twice as many misses.
    moves: u32,
}

/// How many missed exponents are remembered.
const SAMPLE: usize = 64;

impl<A: Fixed> Cells<A> {
    pub(super) fn new(range: Range, groups: usize) -> Self {
        let base = if range.least == range.most { range.least } else { UNSET };
        let cells = vec![A::default(); groups];
        Cells { range, base, cells, rare: HashMap::default(), missed: Vec::new(), misses: 0, moves: 0 }
    }

    /// An empty column with the same window, so that merging the two back needs no shifting.
    pub(super) fn alike(&self, groups: usize) -> Self {
        Cells { base: self.base, ..Cells::new(self.range, groups) }
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(super) fn resize(&mut self, groups: usize) {
        if groups < self.cells.len() {
            self.rare.retain(|&group, _| (group as usize) < groups);
        }
        self.cells.resize(groups, A::default());
    }

    /// The base, and the cells for loops that check the window themselves.
    #[inline]
    pub(super) fn parts(&mut self) -> (i32, &mut [A]) {
        (self.base, &mut self.cells)
    }

    pub(super) fn has_base(&self) -> bool {
        self.base != UNSET
    }

    /// Adds `value · 2^exponent`.
    #[inline]
    pub(super) fn add(&mut self, group: usize, value: A, exponent: i32) {
        let cell = &mut self.cells[group];
        let shift = exponent.wrapping_sub(self.base) as u32;
        if shift < A::BITS
            && let Some(value) = value.checked_shl(shift)
            && let Some(sum) = cell.checked_add(value)
        {
            *cell = sum;
        } else {
            self.add_rarely(group, value, exponent);
        }
    }

    #[cold]
    #[inline(never)]
    fn add_rarely(&mut self, group: usize, value: A, exponent: i32) {
        if value == A::default() {
            return;
        }
        if self.base == UNSET {
            // Room below for smaller values, but not so much that this one would not fit or could not grow.
            let room = A::BITS.saturating_sub(value.magnitude_bits() + 16).min(self.range.width as u32 / 2);
            self.set_first_base(exponent - room as i32);
        }
        // Factors of two may bring a value into the window from below.
        let zeros = value.trailing_zeros();
        let (odd, odd_exponent) = (value.shr(zeros), exponent + zeros as i32);
        let shift = odd_exponent.wrapping_sub(self.base) as u32;
        if let Some(value) = (shift < A::BITS).then(|| odd.checked_shl(shift)).flatten() {
            let cell = &mut self.cells[group];
            match cell.checked_add(value) {
                Some(sum) => *cell = sum,
                None => {
                    let full = std::mem::replace(cell, value);
                    full.add_to(&mut self.rare.entry(group as u32).or_default().wide, self.base);
                }
            }
            return;
        }
        value.add_to(&mut self.rare.entry(group as u32).or_default().wide, exponent);
        self.missed(exponent);
    }

    /// Sets the base for data whose exponents are known, unless there is one already.
    pub(super) fn set_first_window(&mut self, exponents: &mut [i32]) {
        if self.base == UNSET
            && let Some((low, high)) = densest(exponents, self.range.width)
        {
            self.set_first_base(low - (self.range.width - (high - low)) / 2);
        }
    }

    fn set_first_base(&mut self, base: i32) {
        self.base = base.clamp(self.range.least, self.range.most);
    }

    fn missed(&mut self, exponent: i32) {
        if self.range.least == self.range.most {
            return;
        }
        match self.missed.get_mut(self.misses % SAMPLE) {
            Some(slot) => *slot = exponent,
            None => self.missed.push(exponent),
        }
        self.misses += 1;
        // Moving the window costs a pass over the groups: it must be paid for by misses, and soon stops.
        if self.misses >= (1024 + self.cells.len() / 4) << self.moves.min(24) {
            let mut sample = std::mem::take(&mut self.missed);
            if let Some((low, high)) = densest(&mut sample, self.range.width) {
                let (from, to) = (high - self.range.width, low);
                // As near to the old window as covers the new values, and a little beyond.
                let base = if self.base > to { to - 8.min(to - from) } else { self.base.max(from) };
                self.move_base(base.clamp(self.range.least, self.range.most));
            }
            self.misses = 0;
            self.moves += 1;
        }
    }

    /// Moves the window; cells that do not fit the new one become rare.
    fn move_base(&mut self, base: i32) {
        let down = self.base.saturating_sub(base);
        for (group, cell) in self.cells.iter_mut().enumerate() {
            let moved = if down >= 0 {
                cell.checked_shl(down as u32)
            } else {
                (cell.trailing_zeros() >= down.unsigned_abs()).then(|| cell.shr(down.unsigned_abs()))
            };
            *cell = moved.unwrap_or_else(|| {
                cell.add_to(&mut self.rare.entry(group as u32).or_default().wide, self.base);
                A::default()
            });
        }
        self.base = base;
    }

    /// Makes the window suitable for `count` cells that lie at `base`.
    fn approach(&mut self, base: i32, count: usize) {
        if self.base == UNSET {
            self.set_first_base(base);
        } else if base < self.base
            && base >= self.range.least
            && ((self.base - base) as u32) < A::BITS / 3
            && count >= self.cells.len() / 2
        {
            self.move_base(base);
        }
    }

    pub(super) fn add_special(&mut self, group: usize, nan: bool, pos_inf: bool, neg_inf: bool) {
        assert!(group < self.cells.len(), "group {group} of {}", self.cells.len());
        let specials = u8::from(nan) * NAN | u8::from(pos_inf) * POS_INF | u8::from(neg_inf) * NEG_INF;
        if specials != 0 {
            self.rare.entry(group as u32).or_default().specials |= specials;
        }
    }

    /// Adds the little-endian two's complement integer `limbs`, times 2^exponent.
    pub(super) fn add_limbs(&mut self, group: usize, limbs: &[u32], exponent: i32) {
        assert!(group < self.cells.len(), "group {group} of {}", self.cells.len());
        let zeros = limbs.iter().take_while(|&&limb| limb == 0).count();
        let exponent = exponent + 32 * zeros as i32;
        let mut limbs = &limbs[zeros..];
        let sign = limbs.last().map_or(0, |&top| ((top as i32) >> 31) as u32);
        // Copies of the sign say nothing, but one bit of the sign must stay.
        while let [rest @ .., below, top] = limbs
            && *top == sign
            && (*below as i32 >> 31) as u32 == sign
        {
            limbs = &limbs[..rest.len() + 1];
        }
        // Pieces of 128 bits: the top one signed, the others not. What fits is added as one value.
        let value = limbs.chunks(4).rev().enumerate().try_fold(A::default(), |sum, (i, piece)| {
            let lifted = sum.checked_shl(32 * piece.len() as u32)?;
            lifted.checked_add(if i == 0 { A::from_i128(signed(piece)) } else { A::from_u128(unsigned(piece))? })
        });
        match value {
            Some(value) => self.add(group, value, exponent),
            None => {
                let wide = &mut self.rare.entry(group as u32).or_default().wide;
                let top = limbs.len().div_ceil(4) - 1;
                for (i, piece) in limbs.chunks(4).enumerate() {
                    let at = exponent + 128 * i as i32;
                    match i == top {
                        true => wide.add(signed(piece), at),
                        false => wide.add_magnitude(false, unsigned(piece), at),
                    }
                }
                self.missed(exponent);
            }
        }
    }

    /// Adds group `i` of `other` to group `map[i]` of this, for every `i` in `map`.
    pub(super) fn merge_from(&mut self, other: &Cells<A>, map: &[u32]) {
        if other.base != UNSET {
            self.approach(other.base, map.len());
            for (&cell, &group) in other.cells.iter().zip(map) {
                self.add(group as usize, cell, other.base);
            }
        }
        for (&group, rare) in &other.rare {
            if let Some(&group) = map.get(group as usize) {
                assert!((group as usize) < self.cells.len(), "group {group} of {}", self.cells.len());
                let mine = self.rare.entry(group).or_default();
                mine.wide.merge(&rare.wide);
                mine.specials |= rare.specials;
            }
        }
    }

    /// Adds `values[i] · 2^exponent` to group `groups[i]`: a whole device window at once.
    pub(super) fn merge_scaled(&mut self, groups: &[u32], values: &[i128], exponent: i32) {
        if self.base != UNSET {
            self.approach(exponent, groups.len());
        }
        for (&group, &value) in groups.iter().zip(values) {
            self.add(group as usize, A::from_i128(value), exponent);
        }
    }

    /// The listed groups, in the listed order, as a column of their own.
    pub(super) fn gather(&self, groups: &[u32]) -> Self {
        let cells = groups.iter().map(|&group| self.cells[group as usize]).collect();
        let mut taken = Cells { cells, ..self.alike(0) };
        if !self.rare.is_empty() {
            for (i, group) in groups.iter().enumerate() {
                if let Some(rare) = self.rare.get(group) {
                    taken.rare.insert(i as u32, rare.clone());
                }
            }
        }
        taken
    }

    /// The cell's own integer and exponent, if that is all there is to the group.
    #[inline]
    pub(super) fn simple(&self, group: usize) -> Option<(A, i32)> {
        let cell = self.cells[group];
        let rare = !self.rare.is_empty() && self.rare.contains_key(&(group as u32));
        (!rare).then_some((cell, self.base))
    }

    pub(super) fn exact(&self, group: usize) -> Exact {
        let cell = self.cells[group];
        let base = if self.base == UNSET { 0 } else { self.base };
        let Some(rare) = self.rare.get(&(group as u32)) else {
            return Exact::Finite(cell.dyadic(base));
        };
        match rare.specials {
            0 => {
                let mut wide = rare.wide.clone();
                cell.add_to(&mut wide, base);
                Exact::Finite(wide.dyadic())
            }
            POS_INF => Exact::PosInf,
            NEG_INF => Exact::NegInf,
            _ => Exact::Nan,
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let table = self.rare.allocation_size() + self.rare.len() * size_of::<Rare>();
        let digits: usize = self.rare.values().map(|rare| rare.wide.heap_bytes()).sum();
        self.cells.capacity() * size_of::<A>() + self.missed.capacity() * size_of::<i32>() + table + digits
    }
}

/// Columns are equal if their sums are, whatever their windows.
impl<A: Fixed> PartialEq for Cells<A> {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        if self.base == other.base && self.rare.is_empty() && other.rare.is_empty() {
            return self.cells == other.cells;
        }
        (0..self.len()).all(|group| self.exact(group) == other.exact(group))
    }
}

/// Up to four limbs as an unsigned integer.
fn unsigned(limbs: &[u32]) -> u128 {
    limbs.iter().rev().fold(0, |sum, &limb| sum << 32 | u128::from(limb))
}

/// Up to four limbs, not none, as a two's complement integer.
fn signed(limbs: &[u32]) -> i128 {
    let unused = 128 - 32 * limbs.len() as u32;
    ((unsigned(limbs) << unused) as i128) >> unused
}

/// The most exponents that lie within `width` of each other: their lowest and highest.
fn densest(exponents: &mut [i32], width: i32) -> Option<(i32, i32)> {
    exponents.sort_unstable();
    let mut best: Option<(usize, i32, i32)> = None;
    let mut first = 0;
    for (last, &high) in exponents.iter().enumerate() {
        while high - exponents[first] > width {
            first += 1;
        }
        let count = last - first + 1;
        if best.is_none_or(|(most, ..)| count > most) {
            best = Some((count, exponents[first], high));
        }
    }
    best.map(|(_, low, high)| (low, high))
}
