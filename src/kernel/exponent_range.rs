//! Which bits the values of a column use, to choose the windows of its exact sums.

use super::shader::{Kernel, Shape, assemble, params};
use super::value::{Kind, Op, Reduction, ValuePlanes, WINDOW_BITS, flags, real};

/// Added to exponents on the device, where words have no sign.
const BIAS: u32 = 2048;

params! {
    /// Parameters of `exponent_range`.
    ExponentRangeParams {
        /// Items.
        n,
        /// Tiles that cover them.
        tiles,
        /// 1 if item `i` is row `i`.
        iota,
        /// The value's first plane.
        x_at,
        /// Not used: there is one value.
        y_at,
        /// The value's validity plane, or [`NO_PLANE`](super::value::NO_PLANE).
        x_valid,
        /// [`NO_PLANE`](super::value::NO_PLANE).
        y_valid,
        /// Words from one plane of a value to the next.
        stride,
        /// Not used: there is no window yet.
        base,
    }
}

/// The bits in use, and which values are no numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExponentRange {
    /// Powers of two of the lowest and the highest bit set in any finite value; `None` if all are zero.
    pub bits: Option<(i32, i32)>,
    /// Bit 0 NaN, bit 1 +∞, bit 2 −∞.
    pub flags: u32,
}

impl ExponentRange {
    /// Reads the kernel's three words.
    pub fn from_words(words: [u32; 3]) -> Self {
        let bits = (words[1] != 0).then(|| ((!words[0]).wrapping_sub(BIAS) as i32, words[1].wrapping_sub(BIAS) as i32));
        Self { bits, flags: words[2] }
    }

    /// The range that holds all products of values of the two.
    pub fn times(self, other: Self) -> Self {
        let bits = self.bits.zip(other.bits).map(|((a, b), (c, d))| (a + c, b + d + 1));
        Self { bits, flags: self.flags | other.flags }
    }

    /// First bits of the windows that together hold every bit in use; none if all values are zero.
    pub fn windows(self) -> Vec<i32> {
        let Some((low, high)) = self.bits else { return Vec::new() };
        (low..=high).step_by(WINDOW_BITS as usize).collect()
    }
}

/// The kernel for values of one kind that stand as in `values`.
pub fn kernel(shape: &Shape, kind: Kind, values: &ValuePlanes) -> Kernel {
    let mut constants = Reduction::of(Op::Sum, kind).constants_for(values);
    constants.push(("BIAS", BIAS));
    let parts = [
        include_str!("../../shaders/shared/state.wgsl"),
        include_str!("../../shaders/exponent_range.wgsl"),
        include_str!("../../shaders/shared/value.wgsl"),
    ];
    Kernel::new("exponent_range", "main", assemble(shape, &constants, &parts))
}

/// The range of valid values given by their words.
pub fn reference(kind: Kind, values: impl Iterator<Item = [u32; 4]>) -> ExponentRange {
    let mut range = ExponentRange::default();
    for words in values {
        range.flags |= flags(kind, words);
        let (value, exponent) = real(kind, words);
        let magnitude = value.magnitude();
        if let Some(low) = magnitude.trailing_zeros() {
            let (low, high) = (low as i32 + exponent, magnitude.bits() as i32 - 1 + exponent);
            range.bits = Some(range.bits.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
        }
    }
    range
}
