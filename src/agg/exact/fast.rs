//! What sums of floats would cost if they were rounded: the same columns over plain `f64`, for measuring only.
//!
//! The cargo feature `fast-float` puts these in the place of [`super::sum`] and [`super::product`]. Results then depend
//! on the order of rows, and every test of exactness fails or is left out.

use super::dyadic::Exact;
use super::strided::Strided;
use super::wide::take_array;

/// One `f64` a group.
#[derive(Debug, Clone, PartialEq)]
pub struct SumColumn {
    sums: Vec<f64>,
}

/// One `f64` a group.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductColumn {
    sums: Vec<f64>,
}

impl SumColumn {
    /// Adds one value.
    #[inline]
    pub fn add(&mut self, group: usize, x: f64) {
        self.sums[group] += x;
    }

    /// Adds `xs[i]` to group `groups[i]`.
    pub fn add_all(&mut self, groups: &[u32], xs: &[f64]) {
        groups.iter().zip(xs).for_each(|(&group, &x)| self.sums[group as usize] += x);
    }

    /// Adds `xs[i]` to group `groups[i]` where `valid(i)`.
    pub fn add_valid(&mut self, groups: &[u32], xs: &[f64], valid: impl Fn(usize) -> bool) {
        for (i, (&group, &x)) in groups.iter().zip(xs).enumerate() {
            self.sums[group as usize] += if valid(i) { x } else { 0.0 };
        }
    }

    /// Adds all of `xs` to one group.
    pub fn add_slice(&mut self, group: usize, xs: &[f64]) {
        self.sums[group] += xs.iter().sum::<f64>();
    }

    /// Words of a sum that lies elsewhere.
    pub(in crate::agg) const WORDS: usize = 1;

    /// [`SumColumn::add_all`], to sums that lie elsewhere, as the bits of a float.
    pub(in crate::agg) fn add_beside(&mut self, mut sums: Strided<'_, i64>, groups: &[u32], xs: &[f64]) {
        for (&group, x) in groups.iter().zip(xs) {
            let sum = sums.cell(group);
            *sum = (f64::from_bits(*sum as u64) + x).to_bits() as i64;
        }
    }

    /// Takes in the sums of all groups that [`SumColumn::add_beside`] has added to.
    pub(in crate::agg) fn take_in(&mut self, sums: &Strided<'_, i64>) {
        self.resize(sums.groups());
        self.sums.iter_mut().zip(sums.all()).for_each(|(sum, [bits])| *sum += f64::from_bits(bits as u64));
    }

    /// Adds `values[i] · 2^exponent` to group `groups[i]`.
    pub fn add_scaled_all(&mut self, groups: &[u32], values: &[i128], exponent: i32) {
        groups.iter().zip(values).for_each(|(&group, &value)| self.add_scaled(group as usize, value, exponent));
    }
}

impl ProductColumn {
    /// Adds `x · y`.
    #[inline]
    pub fn add(&mut self, group: usize, x: f64, y: f64) {
        self.sums[group] += x * y;
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]`.
    pub fn add_all(&mut self, groups: &[u32], xs: &[f64], ys: &[f64]) {
        groups.iter().zip(xs).zip(ys).for_each(|((&group, &x), &y)| self.sums[group as usize] += x * y);
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]` where `valid(i)`.
    pub fn add_valid(&mut self, groups: &[u32], xs: &[f64], ys: &[f64], valid: impl Fn(usize) -> bool) {
        for (i, ((&group, &x), &y)) in groups.iter().zip(xs).zip(ys).enumerate() {
            self.sums[group as usize] += if valid(i) { x * y } else { 0.0 };
        }
    }

    /// Adds all of `xs[i] · ys[i]` to one group.
    pub fn add_slice(&mut self, group: usize, xs: &[f64], ys: &[f64]) {
        self.sums[group] += xs.iter().zip(ys).map(|(x, y)| x * y).sum::<f64>();
    }
}

/// What both columns do alike.
macro_rules! float_column {
    ($column:ident) => {
        impl $column {
            /// `groups` sums of nothing (0).
            pub fn new(groups: usize) -> Self {
                $column { sums: vec![0.0; groups] }
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
                self.sums.is_empty()
            }

            /// Makes it `groups` groups.
            pub fn resize(&mut self, groups: usize) {
                self.sums.resize(groups, 0.0);
            }

            /// Adds `value · 2^exponent`.
            pub fn add_scaled(&mut self, group: usize, value: i128, exponent: i32) {
                self.sums[group] += value as f64 * f64::from(exponent).exp2();
            }

            /// Adds the little-endian two's complement integer `limbs`, times 2^exponent.
            pub fn add_limbs(&mut self, group: usize, limbs: &[u32], exponent: i32) {
                let top = limbs.len().saturating_sub(1);
                for (i, &limb) in limbs.iter().enumerate() {
                    let value = if i == top { i128::from(limb as i32) } else { i128::from(limb) };
                    self.add_scaled(group, value, exponent + 32 * i as i32);
                }
            }

            /// Records that the group has seen NaN, +∞, −∞.
            pub fn add_special(&mut self, group: usize, nan: bool, pos_inf: bool, neg_inf: bool) {
                for (seen, value) in [(nan, f64::NAN), (pos_inf, f64::INFINITY), (neg_inf, f64::NEG_INFINITY)] {
                    self.sums[group] += if seen { value } else { 0.0 };
                }
            }

            /// Adds group `i` of `other` to group `map[i]` of this.
            pub fn merge_from(&mut self, other: &$column, map: &[u32]) {
                map.iter().zip(&other.sums).for_each(|(&group, sum)| self.sums[group as usize] += sum);
            }

            /// The listed groups, in the listed order, as a column of their own.
            pub fn gather(&self, groups: &[u32]) -> Self {
                $column { sums: groups.iter().map(|&group| self.sums[group as usize]).collect() }
            }

            /// The sum.
            pub fn value(&self, group: usize) -> f64 {
                self.sums[group]
            }

            /// The sum as if it were exact.
            pub fn exact(&self, group: usize) -> Exact {
                Exact::from_f64(self.sums[group])
            }

            /// Appends the column's bytes to `out`; `take` reads them back.
            pub fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(self.sums.len() as u64).to_le_bytes());
                self.sums.iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
            }

            /// Reads a column off the front of `bytes`; `None` if they are not whole.
            pub fn take(bytes: &mut &[u8]) -> Option<Self> {
                let groups = usize::try_from(u64::from_le_bytes(take_array(bytes)?)).ok()?;
                let sums = bytes.split_off(..groups.checked_mul(8)?)?;
                Some($column { sums: sums.as_chunks().0.iter().map(|&sum| f64::from_le_bytes(sum)).collect() })
            }

            /// Bytes held on the heap.
            pub fn heap_bytes(&self) -> usize {
                self.sums.capacity() * size_of::<f64>()
            }
        }
    };
}

float_column!(SumColumn);
float_column!(ProductColumn);
