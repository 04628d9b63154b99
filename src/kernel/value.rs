//! What rows contribute to reductions, and how contributions combine: the host side of `shared/value.wgsl` and
//! `shared/state.wgsl`.
//!
//! A **value** stands in `u32` planes of one buffer: word `w` of row `r` at `at + w · stride + r`, the least significant
//! word first. A **validity** plane holds one word per row, 0 for null. One word per row, not one bit, lets the map
//! kernel's invocations write each row on its own.
//!
//! A **state** is up to four words, the least significant first. States combine associatively and commutatively.

use num_bigint::{BigInt, BigUint, Sign};

/// Stands for "no validity plane: every row is valid".
pub const NO_PLANE: u32 = u32::MAX;

/// Bits of one window of an exact sum.
pub const WINDOW_BITS: u32 = 96;

/// How the words of a value are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Two's complement, two words.
    I64,
    /// Two's complement, four words.
    I128,
    /// IEEE 754 binary64, two words.
    F64,
    /// An unsigned word: a boolean, a dictionary rank.
    Word,
    /// Two words in unsigned order.
    TwoWords,
    /// Four words in unsigned order.
    FourWords,
}

impl Kind {
    const ALL: [(&'static str, Kind); 6] = [
        ("KIND_I64", Kind::I64),
        ("KIND_I128", Kind::I128),
        ("KIND_F64", Kind::F64),
        ("KIND_WORD", Kind::Word),
        ("KIND_TWO_WORDS", Kind::TwoWords),
        ("KIND_FOUR_WORDS", Kind::FourWords),
    ];

    /// Planes a value of this kind takes.
    pub fn words(self) -> u32 {
        match self {
            Kind::Word => 1,
            Kind::I64 | Kind::F64 | Kind::TwoWords => 2,
            Kind::I128 | Kind::FourWords => 4,
        }
    }
}

/// What is made of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// How many rows are valid; one word.
    Count,
    /// Which values that are no numbers occur: bit 0 NaN, bit 1 +∞, bit 2 −∞; one word.
    Flags,
    /// The sum of the values' (or products') slices in one window, in 128-bit two's complement; four words.
    Sum,
    /// The smallest value, as ordered words ([`ordered`]); all ones if there is none.
    Min,
    /// The largest value, as ordered words; zeros if there is none.
    Max,
}

/// A reduction: what is made of which values. With `y`, sums are of products and a row is valid if both values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reduction {
    /// What is made of them.
    pub op: Op,
    /// The first value.
    pub x: Kind,
    /// The second value of a product.
    pub y: Option<Kind>,
}

impl Reduction {
    /// A reduction of one value.
    pub fn of(op: Op, x: Kind) -> Self {
        Self { op, x, y: None }
    }

    /// The sum of products.
    pub fn products(x: Kind, y: Kind) -> Self {
        Self { op: Op::Sum, x, y: Some(y) }
    }

    /// Words of a state in memory.
    pub fn words(&self) -> u32 {
        match self.op {
            Op::Count | Op::Flags => 1,
            Op::Sum => 4,
            Op::Min | Op::Max => self.x.words(),
        }
    }

    /// The state of no row.
    pub fn identity(&self) -> [u32; 4] {
        let mut state = [0; 4];
        if self.op == Op::Min {
            state[..self.words() as usize].fill(u32::MAX);
        }
        state
    }

    /// Combines two states.
    pub fn combine(&self, a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        match self.op {
            Op::Count | Op::Sum => to_words(from_words(a).wrapping_add(from_words(b))),
            Op::Flags => to_words(from_words(a) | from_words(b)),
            Op::Min => to_words(from_words(a).min(from_words(b))),
            Op::Max => to_words(from_words(a).max(from_words(b))),
        }
    }

    /// The state of one row, `x` and `y` being its words; the window starts at bit `base`.
    pub fn reference(&self, x: Option<[u32; 4]>, y: Option<[u32; 4]>, base: i32) -> [u32; 4] {
        let (Some(x), true) = (x, self.y.is_none() || y.is_some()) else { return self.identity() };
        let y = self.y.zip(y);
        match self.op {
            Op::Count => [1, 0, 0, 0],
            Op::Flags => [flags(self.x, x) | y.map_or(0, |(kind, y)| flags(kind, y)), 0, 0, 0],
            Op::Min | Op::Max => ordered(self.x, x),
            Op::Sum => {
                let (mut value, mut exponent) = real(self.x, x);
                if let Some((kind, y)) = y {
                    let (factor, more) = real(kind, y);
                    value *= factor;
                    exponent += more;
                }
                slice(&value, exponent, base)
            }
        }
    }

    /// The constants that make the shared shaders this reduction, of values that stand in `values`.
    pub(crate) fn constants_for(&self, values: &ValuePlanes) -> Vec<(&'static str, u32)> {
        let mut constants = self.constants();
        let nullable = |plane: u32| u32::from(plane != NO_PLANE);
        constants.extend([("X_NULLABLE", nullable(values.x_valid)), ("Y_NULLABLE", nullable(values.y_valid))]);
        constants
    }

    /// The constants that make the shared shaders this reduction. The names of operations and kinds get their numbers
    /// here alone.
    pub(crate) fn constants(&self) -> Vec<(&'static str, u32)> {
        let ops = [Op::Count, Op::Flags, Op::Sum, Op::Min, Op::Max];
        let op_names = ["OP_COUNT", "OP_FLAGS", "OP_SUM", "OP_MIN", "OP_MAX"];
        // Zero is "no kind".
        let number = |kind: Kind| Kind::ALL.iter().zip(1..).find(|((_, k), _)| *k == kind).map_or(0, |(_, n)| n);
        let mut constants = vec![("KIND_NONE", 0)];
        constants.extend(Kind::ALL.map(|(name, kind)| (name, number(kind))));
        constants.extend(op_names.into_iter().zip(0..));
        let (x_words, y_words) = (self.x.words(), self.y.map_or(0, Kind::words));
        constants.extend([
            ("OP", ops.iter().zip(0..).find(|(op, _)| **op == self.op).map_or(0, |(_, n)| n)),
            ("X_KIND", number(self.x)),
            ("Y_KIND", self.y.map_or(0, number)),
            ("WORDS", self.words()),
            ("X_WORDS", x_words),
            ("Y_WORDS", y_words),
            ("MAGNITUDE", x_words + y_words),
        ]);
        constants
    }
}

/// Where the values of a reduction stand, in words from the start of the planes buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValuePlanes {
    /// The first value's first plane.
    pub x_at: u32,
    /// The second value's first plane; not read where there is no second value.
    pub y_at: u32,
    /// The first value's validity plane, or [`NO_PLANE`].
    pub x_valid: u32,
    /// The second value's validity plane, or [`NO_PLANE`].
    pub y_valid: u32,
    /// Words from one plane of a value to the next.
    pub stride: u32,
}

impl ValuePlanes {
    /// One value.
    pub fn one(at: u32, valid: Option<u32>, stride: u32) -> Self {
        Self { x_at: at, y_at: at, x_valid: valid.unwrap_or(NO_PLANE), y_valid: NO_PLANE, stride }
    }

    /// Two values; a square, if both are the same.
    pub fn two(x: (u32, Option<u32>), y: (u32, Option<u32>), stride: u32) -> Self {
        let y_valid = if x.1 == y.1 { NO_PLANE } else { y.1.unwrap_or(NO_PLANE) };
        Self { x_at: x.0, y_at: y.0, x_valid: x.1.unwrap_or(NO_PLANE), y_valid, stride }
    }
}

/// Words of a value or a state as one number.
pub fn from_words(words: [u32; 4]) -> u128 {
    words.iter().rev().fold(0, |number, word| number << 32 | u128::from(*word))
}

/// The words of a number, the least significant first.
pub fn to_words(number: u128) -> [u32; 4] {
    [0, 32, 64, 96].map(|shift| (number >> shift) as u32)
}

/// Bit 0 NaN, bit 1 +∞, bit 2 −∞.
pub fn flags(kind: Kind, words: [u32; 4]) -> u32 {
    let value = f64::from_bits(from_words(words) as u64);
    match kind {
        Kind::F64 if value.is_nan() => 1,
        Kind::F64 if value == f64::INFINITY => 2,
        Kind::F64 if value == f64::NEG_INFINITY => 4,
        _ => 0,
    }
}

/// The value as an integer times a power of two; zero for NaN and the infinities.
pub fn real(kind: Kind, words: [u32; 4]) -> (BigInt, i32) {
    let number = from_words(words);
    match kind {
        Kind::I64 => ((number as i64).into(), 0),
        Kind::F64 => {
            let bits = number as u64;
            let (biased, fraction) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
            let (magnitude, exponent) = match biased {
                0x7ff => (0, 0),
                0 => (fraction, -1074),
                _ => (fraction | 1 << 52, biased - 1075),
            };
            let sign = if bits >> 63 == 0 { Sign::Plus } else { Sign::Minus };
            (BigInt::from_biguint(sign, magnitude.into()), exponent)
        }
        _ => ((number as i128).into(), 0),
    }
}

/// The signed slice of `value · 2^exponent` in bits `base..base + 96`, in 128-bit two's complement.
pub fn slice(value: &BigInt, exponent: i32, base: i32) -> [u32; 4] {
    let shift = exponent - base;
    let magnitude = value.magnitude();
    let shifted = if shift < 0 { magnitude >> shift.unsigned_abs() } else { magnitude << shift.unsigned_abs() };
    let digits = (shifted % (BigUint::from(1u32) << WINDOW_BITS)).to_u32_digits();
    let mut words = [0; 4];
    words[..digits.len()].copy_from_slice(&digits);
    match value.sign() {
        Sign::Minus => to_words(from_words(words).wrapping_neg()),
        _ => words,
    }
}

/// Words whose unsigned order is the value's: integers by sign, floats in total order with −0 < +0 and one NaN above all.
pub fn ordered(kind: Kind, words: [u32; 4]) -> [u32; 4] {
    let number = from_words(words);
    to_words(match kind {
        Kind::I64 => number ^ 1 << 63,
        Kind::I128 => number ^ 1 << 127,
        Kind::F64 if flags(kind, words) == 1 => u64::MAX.into(),
        Kind::F64 if number >> 63 == 1 => (!(number as u64)).into(),
        Kind::F64 => number ^ 1 << 63,
        Kind::Word | Kind::TwoWords | Kind::FourWords => number,
    })
}

/// The value whose ordered words these are.
pub fn unordered(kind: Kind, words: [u32; 4]) -> [u32; 4] {
    let number = from_words(words);
    to_words(match kind {
        Kind::I64 => number ^ 1 << 63,
        Kind::I128 => number ^ 1 << 127,
        Kind::F64 if number == u128::from(u64::MAX) => 0x7ff8_0000_0000_0000,
        Kind::F64 if number >> 63 == 0 => (!(number as u64)).into(),
        Kind::F64 => number ^ 1 << 63,
        Kind::Word | Kind::TwoWords | Kind::FourWords => number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> [u32; 4] {
        to_words(value.to_bits().into())
    }

    #[test]
    fn windows_of_a_value_add_up_to_it() {
        for value in [1.0, -0.1, 1e300, -1e-300, f64::MIN_POSITIVE / 8.0, f64::MAX] {
            let (number, exponent) = real(Kind::F64, float(value));
            let exact = number.clone() << (exponent + 1152) as usize;
            let sum: BigInt = (0..24)
                .map(|k| {
                    let words = slice(&number, exponent, -1152 + 96 * k);
                    BigInt::from(from_words(words) as i128) << (96 * k) as usize
                })
                .sum();
            assert_eq!(sum, exact, "{value}");
        }
    }

    #[test]
    fn ordered_floats_sort_and_come_back() {
        let values = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 5e-324, 2.0, f64::INFINITY, f64::NAN];
        let keys: Vec<u128> = values.iter().map(|v| from_words(ordered(Kind::F64, float(*v)))).collect();
        assert!(keys.is_sorted() && keys.windows(2).all(|w| w[0] < w[1]));
        for value in values {
            let back = unordered(Kind::F64, ordered(Kind::F64, float(value)));
            assert_eq!(from_words(back) as u64, value.to_bits(), "{value}");
        }
        let payload = to_words(0xfff8_0000_0000_0007);
        assert_eq!(from_words(ordered(Kind::F64, payload)), u128::from(u64::MAX));
    }
}
