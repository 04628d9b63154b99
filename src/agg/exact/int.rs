//! Σx and Σx·y of integers and unscaled decimals.

use super::cells::{Cells, Range};
use super::dyadic::Exact;
use super::fixed::{Fixed, I256};

/// The exact sum of integers, for many groups: 16 bytes a group, and sums beyond 128 bits are exact too.
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
    cells: Cells<i128>,
}

/// The exact sum of products of integers, for many groups: 32 bytes a group.
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
    cells: Cells<I256>,
}

impl IntSumColumn {
    /// Adds one value.
    #[inline]
    pub fn add(&mut self, group: usize, x: i128) {
        let cell = &mut self.cells.parts().1[group];
        match cell.checked_add(x) {
            Some(sum) => *cell = sum,
            None => self.cells.add(group, x, 0),
        }
    }

    /// Adds `xs[i]` to group `groups[i]`.
    pub fn add_all(&mut self, groups: &[u32], xs: &[i64]) {
        for (&group, &x) in groups.iter().zip(xs) {
            self.add(group as usize, i128::from(x));
        }
    }

    /// Adds `xs[i]` to group `groups[i]`.
    pub fn add_all_i128(&mut self, groups: &[u32], xs: &[i128]) {
        for (&group, &x) in groups.iter().zip(xs) {
            self.add(group as usize, x);
        }
    }

    /// Adds `xs[i]` to group `groups[i]` where `valid(i)`.
    pub fn add_valid(&mut self, groups: &[u32], xs: &[i64], valid: impl Fn(usize) -> bool) {
        for (i, (&group, &x)) in groups.iter().zip(xs).enumerate() {
            if valid(i) {
                self.add(group as usize, i128::from(x));
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
        self.cells.add(group, I256::product(x, y), 0);
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]`.
    pub fn add_all(&mut self, groups: &[u32], xs: &[i64], ys: &[i64]) {
        for ((&group, &x), &y) in groups.iter().zip(xs).zip(ys) {
            // The product of two 64-bit integers fits 128 bits.
            self.cells.add(group as usize, I256::from_i128(i128::from(x) * i128::from(y)), 0);
        }
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]`.
    pub fn add_all_i128(&mut self, groups: &[u32], xs: &[i128], ys: &[i128]) {
        for ((&group, &x), &y) in groups.iter().zip(xs).zip(ys) {
            self.add(group as usize, x, y);
        }
    }

    /// Adds all of `xs[i] · ys[i]` to one group.
    pub fn add_slice(&mut self, group: usize, xs: &[i64], ys: &[i64]) {
        for (&x, &y) in xs.iter().zip(ys) {
            self.cells.add(group, I256::from_i128(i128::from(x) * i128::from(y)), 0);
        }
    }
}

/// What both integer columns do alike.
macro_rules! integer_column {
    ($column:ident) => {
        impl $column {
            /// `groups` sums of nothing (0).
            pub fn new(groups: usize) -> Self {
                $column { cells: Cells::new(Range::INTEGERS, groups) }
            }

            /// `groups` sums of nothing.
            pub fn new_like(&self, groups: usize) -> Self {
                $column::new(groups)
            }

            /// How many groups there are.
            pub fn len(&self) -> usize {
                self.cells.len()
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Makes it `groups` groups: new ones are sums of nothing, those beyond are dropped.
            pub fn resize(&mut self, groups: usize) {
                self.cells.resize(groups);
            }

            /// Adds a device's sum: the little-endian two's complement integer `limbs`.
            pub fn add_limbs(&mut self, group: usize, limbs: &[u32]) {
                self.cells.add_limbs(group, limbs, 0);
            }

            /// Adds group `i` of `other` to group `map[i]` of this.
            pub fn merge_from(&mut self, other: &$column, map: &[u32]) {
                self.cells.merge_from(&other.cells, map);
            }

            /// The listed groups, in the listed order, as a column of their own.
            pub fn gather(&self, groups: &[u32]) -> Self {
                $column { cells: self.cells.gather(groups) }
            }

            /// The sum, if it fits 128 bits.
            pub fn value_i128(&self, group: usize) -> Option<i128> {
                self.exact(group).finite().and_then(|sum| sum.to_i128())
            }

            /// The sum, exactly.
            pub fn exact(&self, group: usize) -> Exact {
                self.cells.exact(group)
            }

            /// Bytes held on the heap.
            pub fn heap_bytes(&self) -> usize {
                self.cells.heap_bytes()
            }
        }
    };
}

integer_column!(IntSumColumn);
integer_column!(IntProductColumn);
