//! Σx and Σx·y of integers and unscaled decimals.

use super::dyadic::Exact;
use super::fixed::{Fixed, I256};
use super::whole::{Integer, Whole, most_of_wide};

/// The exact sum of integers, for many groups: 8 bytes a group, 24 where sums outgrow 64 bits, and those
/// beyond 128 bits are exact too.
///
/// Decimals are summed unscaled; [`super::mean`] takes their scale. Group indices out of range panic.
///
/// ```
/// use tidemill::agg::exact::IntSumColumn;
/// let mut sums = IntSumColumn::new(1);
/// sums.add_all(&[0, 0], &[i64::MAX, 1]);
/// assert_eq!(sums.value_i128(0), Some(1 << 63));
/// sums.add(0, i128::MAX);
/// assert_eq!(sums.value_i128(0), None);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IntSumColumn {
    sums: Whole<i128>,
}

/// The exact sum of products of integers, for many groups: 8 bytes a group, 40 where sums outgrow 64 bits.
///
/// Factors may have all 128 bits. Group indices out of range panic, as slice indices do.
///
/// ```
/// use tidemill::agg::exact::IntProductColumn;
/// let mut sums = IntProductColumn::new(1);
/// sums.add_all(&[0, 0], &[3, 4], &[5, -1]);
/// assert_eq!(sums.value_i128(0), Some(11));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct IntProductColumn {
    sums: Whole<I256>,
}

/// Rows whose bound is found together.
const BLOCK: usize = 8192;
/// Rows whose nulls become 0 together: few enough that they stay in a first-level cache.
const MASKED: usize = 1024;

impl IntSumColumn {
    /// Adds one value.
    #[inline]
    pub fn add(&mut self, group: usize, x: i128) {
        self.sums.far().add(group, x, 0);
    }

    /// Adds `xs[i]` to group `groups[i]`.
    pub fn add_all<X: Integer>(&mut self, groups: &[u32], xs: &[X]) {
        for (_, groups, xs) in blocks(groups, xs) {
            let xs = &xs[..groups.len()];
            if !self.sums.add_bounded(groups, X::most_of(xs), |i| xs[i].into()) {
                groups.iter().zip(xs).for_each(|(&group, &x)| self.add(group as usize, x.into().into()));
            }
        }
    }

    /// Adds `xs[i]` to group `groups[i]` where `valid[i]` is 1 and not 0.
    pub fn add_valid<X: Integer>(&mut self, groups: &[u32], xs: &[X], valid: &[u8]) {
        let mut some = [X::default(); MASKED];
        let parts = groups.chunks(MASKED).zip(xs.chunks(MASKED)).zip(valid.chunks(MASKED));
        parts.for_each(|((groups, xs), valid)| self.add_all(groups, mask(&mut some, xs, Some(valid))));
    }

    /// Adds `xs[i]` to group `groups[i]`.
    pub fn add_all_i128(&mut self, groups: &[u32], xs: &[i128]) {
        for (_, groups, xs) in blocks(groups, xs) {
            let xs = &xs[..groups.len()];
            let most = most_of_wide(xs.iter().copied());
            if !most.is_some_and(|most| self.sums.add_bounded(groups, most, |i| xs[i] as i64)) {
                groups.iter().zip(xs).for_each(|(&group, &x)| self.add(group as usize, x));
            }
        }
    }

    /// Adds all of `xs` to one group.
    pub fn add_slice(&mut self, group: usize, xs: &[i64]) {
        // 2^31 values of 63 bits stay below 2^94: nothing to check inside a block.
        for xs in xs.chunks(1 << 31) {
            self.add(group, xs.iter().map(|&x| i128::from(x)).sum());
        }
    }
}

impl IntProductColumn {
    /// Adds `x · y`.
    #[inline]
    pub fn add(&mut self, group: usize, x: i128, y: i128) {
        self.sums.far().add(group, I256::product(x, y), 0);
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]`.
    pub fn add_all<X: Integer, Y: Integer>(&mut self, groups: &[u32], xs: &[X], ys: &[Y]) {
        for ((_, groups, xs), (_, _, ys)) in blocks(groups, xs).zip(blocks(groups, ys)) {
            let (xs, ys) = (&xs[..groups.len()], &ys[..groups.len()]);
            // Each at most 2^64: the product fits.
            let most = X::most_of(xs).checked_mul(Y::most_of(ys));
            if !most
                .is_some_and(|most| self.sums.add_bounded(groups, most, |i| xs[i].into().wrapping_mul(ys[i].into())))
            {
                let far = self.sums.far();
                for ((&group, &x), &y) in groups.iter().zip(xs).zip(ys) {
                    far.add(group as usize, I256::from_i128(i128::from(x.into()) * i128::from(y.into())), 0);
                }
            }
        }
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]` where both are valid: have a 1 and not a 0 in what says so, if anything does.
    pub fn add_valid<X: Integer, Y: Integer>(
        &mut self,
        groups: &[u32],
        (xs, valid_xs): (&[X], Option<&[u8]>),
        (ys, valid_ys): (&[Y], Option<&[u8]>),
    ) {
        let (mut some_xs, mut some_ys) = ([X::default(); MASKED], [Y::default(); MASKED]);
        for (at, groups) in (0..).step_by(MASKED).zip(groups.chunks(MASKED)) {
            let rows = at..at + groups.len();
            let xs = mask(&mut some_xs, &xs[rows.clone()], valid_xs.map(|valid| &valid[rows.clone()]));
            let ys = mask(&mut some_ys, &ys[rows.clone()], valid_ys.map(|valid| &valid[rows]));
            self.add_all(groups, xs, ys);
        }
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]`.
    pub fn add_all_i128(&mut self, groups: &[u32], xs: &[i128], ys: &[i128]) {
        for ((_, groups, xs), (_, _, ys)) in blocks(groups, xs).zip(blocks(groups, ys)) {
            let (xs, ys) = (&xs[..groups.len()], &ys[..groups.len()]);
            let both = (most_of_wide(xs.iter().copied()), most_of_wide(ys.iter().copied()));
            let most = if let (Some(x), Some(y)) = both { x.checked_mul(y) } else { None };
            let value = |i: usize| (xs[i] as i64).wrapping_mul(ys[i] as i64);
            if !most.is_some_and(|most| self.sums.add_bounded(groups, most, value)) {
                groups.iter().zip(xs).zip(ys).for_each(|((&group, &x), &y)| self.add(group as usize, x, y));
            }
        }
    }

    /// Adds all of `xs[i] · ys[i]` to one group.
    pub fn add_slice(&mut self, group: usize, xs: &[i64], ys: &[i64]) {
        for (xs, ys) in xs.chunks(BLOCK).zip(ys.chunks(BLOCK)) {
            self.add_all(&[group as u32; BLOCK][..xs.len().min(ys.len())], xs, ys);
        }
    }
}

/// `xs` with 0 in the place of those that are not valid: adding that changes no sum, and is no branch.
fn mask<'a, X: Integer>(some: &'a mut [X; MASKED], xs: &'a [X], valid: Option<&[u8]>) -> &'a [X] {
    let Some(valid) = valid else { return xs };
    for ((some, &x), &ok) in some.iter_mut().zip(xs).zip(valid) {
        *some = x.if_valid(ok);
    }
    &some[..xs.len().min(valid.len())]
}

/// Rows a block at a time: where it starts, its groups and its values.
fn blocks<'a, T>(groups: &'a [u32], xs: &'a [T]) -> impl Iterator<Item = (usize, &'a [u32], &'a [T])> {
    let count = groups.len().min(xs.len());
    let starts = (0..count).step_by(BLOCK);
    starts.map(move |at| {
        let end = (at + BLOCK).min(count);
        (at, &groups[at..end], &xs[at..end])
    })
}

/// What both integer columns do alike.
macro_rules! integer_column {
    ($column:ident) => {
        impl $column {
            /// `groups` sums of nothing (0).
            pub fn new(groups: usize) -> Self {
                $column { sums: Whole::new(groups) }
            }

            /// `groups` sums of nothing.
            pub fn new_like(&self, groups: usize) -> Self {
                $column::new(groups)
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

            /// Adds a device's sum: the little-endian two's complement integer `limbs`.
            pub fn add_limbs(&mut self, group: usize, limbs: &[u32]) {
                self.sums.far().add_limbs(group, limbs, 0);
            }

            /// Adds group `i` of `other` to group `map[i]` of this.
            pub fn merge_from(&mut self, other: &$column, map: &[u32]) {
                self.sums.merge_from(&other.sums, map);
            }

            /// The listed groups, in the listed order, as a column of their own.
            pub fn gather(&self, groups: &[u32]) -> Self {
                $column { sums: self.sums.gather(groups) }
            }

            /// The sum, if it fits 128 bits.
            pub fn value_i128(&self, group: usize) -> Option<i128> {
                match self.sums.simple(group) {
                    Some(sum) => sum.to_i128(),
                    None => self.exact(group).finite().and_then(|sum| sum.to_i128()),
                }
            }

            /// The sum, exactly.
            pub fn exact(&self, group: usize) -> Exact {
                self.sums.exact(group)
            }

            /// Appends the column's bytes to `out`; `take` reads them back.
            pub fn put(&self, out: &mut Vec<u8>) {
                self.sums.put(out);
            }

            /// Reads a column off the front of `bytes`; `None` if they are not whole or not sound.
            pub fn take(bytes: &mut &[u8]) -> Option<Self> {
                Whole::take(bytes).map(|sums| $column { sums })
            }

            /// Bytes held on the heap.
            pub fn heap_bytes(&self) -> usize {
                self.sums.heap_bytes()
            }
        }
    };
}

integer_column!(IntSumColumn);
integer_column!(IntProductColumn);
