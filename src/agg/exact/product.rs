//! Σx·y and Σx² of floats.

use super::cells::{Cells, Range};
use super::dyadic::Exact;
use super::fixed::I256;
use super::sum::decode;

/// Products of 53-bit mantissas have 106 bits; moved by up to 127 they leave room for 2^22 additions.
const RANGE: Range = Range { least: -2148, most: 1900, width: 127 };

/// The exact sum of products of floats, for many groups: 32 bytes a group.
///
/// The products are never rounded: Σx² is `add(group, x, x)`. NaN and infinities follow IEEE-754 multiplication
/// (∞·0 is NaN). Group indices out of range panic, as slice indices do.
///
/// ```
/// use tidemill::agg::exact::ProductColumn;
/// let mut sums = ProductColumn::new(1);
/// sums.add_all(&[0, 0], &[1e200, 0.5], &[1e-200, 3.0]);
/// assert_eq!(sums.value(0), 2.5);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ProductColumn {
    cells: Cells<I256>,
}

impl ProductColumn {
    /// `groups` sums of nothing (0).
    pub fn new(groups: usize) -> Self {
        ProductColumn { cells: Cells::new(RANGE, groups) }
    }

    /// `groups` sums of nothing, holding the same range of exponents best as this: merging the two back is cheapest.
    pub fn new_like(&self, groups: usize) -> Self {
        ProductColumn { cells: self.cells.alike(groups) }
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

    /// Adds `x · y`.
    #[inline]
    pub fn add(&mut self, group: usize, x: f64, y: f64) {
        if x.is_finite() && y.is_finite() {
            let ((a, ea), (b, eb)) = (decode(x), decode(y));
            let product = i128::from(a) * i128::from(b);
            let exponent = ea + eb;
            let (base, cells) = self.cells.parts();
            let shift = exponent.wrapping_sub(base) as u32;
            if shift <= RANGE.width as u32 {
                let cell = &mut cells[group];
                let value = I256::shifted(product < 0, product.unsigned_abs(), shift);
                if let Some(sum) = super::fixed::Fixed::checked_add(*cell, value) {
                    *cell = sum;
                    return;
                }
            }
            self.cells.add(group, super::fixed::Fixed::from_i128(product), exponent);
        } else {
            let product = x * y;
            self.cells.add_special(group, product.is_nan(), product > 0.0, product < 0.0);
        }
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]`.
    pub fn add_all(&mut self, groups: &[u32], xs: &[f64], ys: &[f64]) {
        self.choose_window(xs, ys);
        for ((&group, &x), &y) in groups.iter().zip(xs).zip(ys) {
            self.add(group as usize, x, y);
        }
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]` where `valid(i)`.
    pub fn add_valid(&mut self, groups: &[u32], xs: &[f64], ys: &[f64], valid: impl Fn(usize) -> bool) {
        self.choose_window(xs, ys);
        for (i, ((&group, &x), &y)) in groups.iter().zip(xs).zip(ys).enumerate() {
            if valid(i) {
                self.add(group as usize, x, y);
            }
        }
    }

    /// Adds all of `xs[i] · ys[i]` to one group.
    pub fn add_slice(&mut self, group: usize, xs: &[f64], ys: &[f64]) {
        self.choose_window(xs, ys);
        for (&x, &y) in xs.iter().zip(ys) {
            self.add(group, x, y);
        }
    }

    /// Adds `value · 2^exponent`. Exponents within ±2^20.
    #[inline]
    pub fn add_scaled(&mut self, group: usize, value: i128, exponent: i32) {
        self.cells.add(group, super::fixed::Fixed::from_i128(value), exponent);
    }

    /// Adds a device's window of any width: the little-endian two's complement integer `limbs`, times 2^exponent.
    pub fn add_limbs(&mut self, group: usize, limbs: &[u32], exponent: i32) {
        self.cells.add_limbs(group, limbs, exponent);
    }

    /// Records that a product was NaN, +∞, −∞.
    pub fn add_special(&mut self, group: usize, nan: bool, pos_inf: bool, neg_inf: bool) {
        self.cells.add_special(group, nan, pos_inf, neg_inf);
    }

    /// Adds group `i` of `other` to group `map[i]` of this.
    pub fn merge_from(&mut self, other: &ProductColumn, map: &[u32]) {
        self.cells.merge_from(&other.cells, map);
    }

    /// The listed groups, in the listed order, as a column of their own.
    pub fn gather(&self, groups: &[u32]) -> Self {
        ProductColumn { cells: self.cells.gather(groups) }
    }

    /// The sum, rounded once to `f64`.
    pub fn value(&self, group: usize) -> f64 {
        self.exact(group).to_f64()
    }

    /// The sum, exactly.
    pub fn exact(&self, group: usize) -> Exact {
        self.cells.exact(group)
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.cells.heap_bytes()
    }

    fn choose_window(&mut self, xs: &[f64], ys: &[f64]) {
        if !self.cells.has_base() {
            let step = xs.len() / 1024 + 1;
            let numbers = xs.iter().zip(ys).step_by(step).filter(|(x, y)| {
                let product = **x * **y;
                x.is_finite() && y.is_finite() && product != 0.0
            });
            let mut exponents: Vec<i32> = numbers.map(|(&x, &y)| decode(x).1 + decode(y).1).collect();
            self.cells.set_first_window(&mut exponents);
        }
    }
}
