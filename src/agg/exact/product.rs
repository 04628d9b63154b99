//! Σx·y and Σx² of floats.

use super::cells::{Cells, Range};
use super::dyadic::Exact;
use super::fixed::{Fixed, I256};
use super::near::{self, Sums};
use super::sum::{FRACTION, decode};

/// Products of 53-bit mantissas have 106 bits; moved by up to 127 they leave room for 2^22 additions.
const RANGE: Range = Range { least: -2148, most: 1900, width: 127 };

/// The exact sum of products of floats, for many groups: 24 bytes a group.
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
    sums: Sums<I256, 3>,
}

impl ProductColumn {
    /// `groups` sums of nothing (0).
    pub fn new(groups: usize) -> Self {
        ProductColumn { sums: Sums::new(RANGE, groups) }
    }

    /// `groups` sums of nothing, holding the same range of exponents best as this: merging the two back is cheapest.
    pub fn new_like(&self, groups: usize) -> Self {
        ProductColumn { sums: self.sums.alike(groups) }
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
    fn far(&mut self) -> &mut Cells<I256> {
        self.sums.far()
    }

    /// Adds `x · y`.
    #[inline]
    pub fn add(&mut self, group: usize, x: f64, y: f64) {
        let (base, cells) = self.far().parts();
        match easy(x, y, base).and_then(|value| cells[group].checked_add(value)) {
            Some(sum) => cells[group] = sum,
            None => self.add_rarely(group, x, y),
        }
    }

    #[cold]
    fn add_rarely(&mut self, group: usize, x: f64, y: f64) {
        if x.is_finite() && y.is_finite() {
            let ((a, ea), (b, eb)) = (decode(x), decode(y));
            self.far().add(group, I256::from_i128(i128::from(a) * i128::from(b)), ea + eb);
        } else {
            let product = x * y;
            self.far().add_special(group, product.is_nan(), product > 0.0, product < 0.0);
        }
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]`.
    pub fn add_all(&mut self, groups: &[u32], xs: &[f64], ys: &[f64]) {
        if self.sums.is_fresh()
            && let Some(&highest) = sample(xs, ys).iter().max()
        {
            self.sums.set_first_window(highest + 106, near::PRODUCT_BASES);
        }
        let count = groups.len().min(xs.len()).min(ys.len());
        let xs = xs[..count].chunks(near::BLOCK).zip(ys[..count].chunks(near::BLOCK));
        for (groups, (xs, ys)) in groups[..count].chunks(near::BLOCK).zip(xs) {
            if !self.sums.add_block(groups, |base, limbs| near::cut_products(xs, ys, base, limbs)) {
                self.choose_window(xs, ys);
                for ((&group, &x), &y) in groups.iter().zip(xs).zip(ys) {
                    self.add(group as usize, x, y);
                }
            }
        }
    }

    /// Adds `xs[i] · ys[i]` to group `groups[i]` where `valid(i)`.
    pub fn add_valid(&mut self, groups: &[u32], xs: &[f64], ys: &[f64], valid: impl Fn(usize) -> bool) {
        // Compacted by block, so that the fast loop has no branch on validity.
        let (mut some, mut some_xs, mut some_ys) = ([0; near::BLOCK], [0.0; near::BLOCK], [0.0; near::BLOCK]);
        let count = groups.len().min(xs.len()).min(ys.len());
        for start in (0..count).step_by(near::BLOCK) {
            let mut taken = 0;
            for i in start..count.min(start + near::BLOCK) {
                (some[taken], some_xs[taken], some_ys[taken]) = (groups[i], xs[i], ys[i]);
                taken += usize::from(valid(i));
            }
            self.add_all(&some[..taken], &some_xs[..taken], &some_ys[..taken]);
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
        self.far().add(group, I256::from_i128(value), exponent);
    }

    /// Adds a device's window of any width: the little-endian two's complement integer `limbs`, times 2^exponent.
    pub fn add_limbs(&mut self, group: usize, limbs: &[u32], exponent: i32) {
        self.far().add_limbs(group, limbs, exponent);
    }

    /// Records that a product was NaN, +∞, −∞.
    pub fn add_special(&mut self, group: usize, nan: bool, pos_inf: bool, neg_inf: bool) {
        self.far().add_special(group, nan, pos_inf, neg_inf);
    }

    /// Adds group `i` of `other` to group `map[i]` of this.
    pub fn merge_from(&mut self, other: &ProductColumn, map: &[u32]) {
        self.sums.merge_from(&other.sums, map);
    }

    /// The listed groups, in the listed order, as a column of their own.
    pub fn gather(&self, groups: &[u32]) -> Self {
        ProductColumn { sums: self.sums.gather(groups) }
    }

    /// The sum, rounded once to `f64`.
    pub fn value(&self, group: usize) -> f64 {
        self.exact(group).to_f64()
    }

    /// The sum, exactly.
    pub fn exact(&self, group: usize) -> Exact {
        self.sums.exact(group)
    }

    /// Appends the column's bytes to `out`; [`ProductColumn::take`] reads them back.
    pub fn put(&self, out: &mut Vec<u8>) {
        self.sums.put(out);
    }

    /// Reads a column off the front of `bytes`; `None` if they are not whole or not sound.
    pub fn take(bytes: &mut &[u8]) -> Option<Self> {
        Sums::take(RANGE, bytes).map(|sums| ProductColumn { sums })
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.sums.heap_bytes()
    }

    fn choose_window(&mut self, xs: &[f64], ys: &[f64]) {
        if !self.far().has_base() {
            self.far().set_first_window(&mut sample(xs, ys));
        }
    }
}

/// Exponents of some products' mantissas.
fn sample(xs: &[f64], ys: &[f64]) -> Vec<i32> {
    let step = xs.len() / 1024 + 1;
    let numbers = xs.iter().zip(ys).step_by(step).filter(|(x, y)| {
        let product = **x * **y;
        x.is_finite() && y.is_finite() && product != 0.0
    });
    numbers.map(|(&x, &y)| decode(x).1 + decode(y).1).collect()
}

/// `x · y / 2^base`, if it lies in the window of `base` and both are normal.
#[inline(always)]
fn easy(x: f64, y: f64, base: i32) -> Option<I256> {
    let (a, b) = (x.to_bits(), y.to_bits());
    let (a_field, b_field) = ((a >> 52) & 0x7ff, (b >> 52) & 0x7ff);
    // Each mantissa's exponent is its field less 1075. Subnormals, zeros and specials have other rules.
    let shift = (a_field + b_field).wrapping_sub(base.wrapping_add(2 * 1075) as u64);
    if shift > RANGE.width as u64 || a_field.wrapping_sub(1) >= 2046 || b_field.wrapping_sub(1) >= 2046 {
        let zero = x == 0.0 && y.is_finite() || y == 0.0 && x.is_finite();
        return zero.then(I256::default);
    }
    let product = u128::from((a & FRACTION) | 1 << 52) * u128::from((b & FRACTION) | 1 << 52);
    Some(I256::shifted((a ^ b) >> 63 == 1, product, shift as u32))
}
