//! WGSL's `u32` and its vectors on the host: arithmetic wraps, shifts take their amount modulo 32. With them a twin reads
//! line for line like its shader.

use std::ops::{Add, BitAnd, BitOr, BitOrAssign, BitXor, Div, Mul, MulAssign, Not, Rem, Shl, Shr, Sub, SubAssign};

/// A `u32` with WGSL's arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Word(pub u32);

impl From<u32> for Word {
    #[inline(always)]
    fn from(value: u32) -> Word {
        Word(value)
    }
}

/// The type of a bare literal: the bits are kept.
impl From<i32> for Word {
    #[inline(always)]
    fn from(value: i32) -> Word {
        Word(value as u32)
    }
}

impl From<bool> for Word {
    #[inline(always)]
    fn from(value: bool) -> Word {
        Word(value as u32)
    }
}

impl PartialEq<u32> for Word {
    #[inline(always)]
    fn eq(&self, other: &u32) -> bool {
        self.0 == *other
    }
}

impl PartialOrd<u32> for Word {
    #[inline(always)]
    fn partial_cmp(&self, other: &u32) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(other)
    }
}

macro_rules! operators {
    ($($operator:ident $method:ident ($a:ident, $b:ident) $apply:expr;)*) => {$(
        impl $operator for Word {
            type Output = Word;
            #[inline(always)]
            fn $method(self, other: Word) -> Word {
                let ($a, $b) = (self.0, other.0);
                Word($apply)
            }
        }
        impl $operator<u32> for Word {
            type Output = Word;
            #[inline(always)]
            fn $method(self, other: u32) -> Word {
                $operator::$method(self, Word(other))
            }
        }
        impl $operator<Word> for u32 {
            type Output = Word;
            #[inline(always)]
            fn $method(self, other: Word) -> Word {
                $operator::$method(Word(self), other)
            }
        }
    )*};
}

operators! {
    Add add (a, b) a.wrapping_add(b);
    Sub sub (a, b) a.wrapping_sub(b);
    Mul mul (a, b) a.wrapping_mul(b);
    // WGSL defines division by 0 too: the dividend, and a remainder of 0.
    Div div (a, b) a.checked_div(b).unwrap_or(a);
    Rem rem (a, b) a.checked_rem(b).unwrap_or(0);
    BitAnd bitand (a, b) a & b;
    BitOr bitor (a, b) a | b;
    BitXor bitxor (a, b) a ^ b;
    Shl shl (a, b) a.wrapping_shl(b);
    Shr shr (a, b) a.wrapping_shr(b);
}

impl Not for Word {
    type Output = Word;
    #[inline(always)]
    fn not(self) -> Word {
        Word(!self.0)
    }
}

impl BitOrAssign for Word {
    #[inline(always)]
    fn bitor_assign(&mut self, other: Word) {
        *self = *self | other;
    }
}

impl SubAssign for Word {
    #[inline(always)]
    fn sub_assign(&mut self, other: Word) {
        *self = *self - other;
    }
}

impl MulAssign<u32> for Word {
    #[inline(always)]
    fn mul_assign(&mut self, other: u32) {
        *self = *self * other;
    }
}

/// `vec2<u32>`: a 64-bit value, low word first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Vec2 {
    /// The low word.
    pub x: Word,
    /// The high word.
    pub y: Word,
}

/// `vec3<u32>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Vec3 {
    /// The first word.
    pub x: Word,
    /// The second word.
    pub y: Word,
    /// The third word.
    pub z: Word,
}

/// `vec4<u32>`: a 128-bit value, lowest word first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Vec4 {
    /// The lowest word.
    pub x: Word,
    /// The second word.
    pub y: Word,
    /// The third word.
    pub z: Word,
    /// The highest word.
    pub w: Word,
}

/// A [`Vec2`] of its words.
#[inline(always)]
pub fn vec2(x: impl Into<Word>, y: impl Into<Word>) -> Vec2 {
    Vec2 { x: x.into(), y: y.into() }
}

/// A [`Vec3`] of its words.
#[inline(always)]
pub fn vec3(x: impl Into<Word>, y: impl Into<Word>, z: impl Into<Word>) -> Vec3 {
    Vec3 { x: x.into(), y: y.into(), z: z.into() }
}

/// A [`Vec4`] of its words.
#[inline(always)]
pub fn vec4(x: impl Into<Word>, y: impl Into<Word>, z: impl Into<Word>, w: impl Into<Word>) -> Vec4 {
    Vec4 { x: x.into(), y: y.into(), z: z.into(), w: w.into() }
}

impl Vec3 {
    /// The first two words.
    #[inline(always)]
    pub fn xy(self) -> Vec2 {
        Vec2 { x: self.x, y: self.y }
    }
}

impl Vec4 {
    /// The lower two words.
    #[inline(always)]
    pub fn xy(self) -> Vec2 {
        Vec2 { x: self.x, y: self.y }
    }

    /// The upper two words.
    #[inline(always)]
    pub fn zw(self) -> Vec2 {
        Vec2 { x: self.z, y: self.w }
    }
}

/// WGSL's order: the second value where the condition holds.
#[inline(always)]
pub fn select<T>(no: T, yes: T, condition: bool) -> T {
    if condition { yes } else { no }
}

/// WGSL's `u32(..)` of a bool or an i32.
#[inline(always)]
pub fn word(value: impl Into<Word>) -> Word {
    value.into()
}

/// WGSL's `i32(..)` of a u32: the bits are kept.
#[inline(always)]
pub fn i32_of(value: Word) -> i32 {
    value.0 as i32
}

/// WGSL's `countLeadingZeros`.
#[inline(always)]
pub fn count_leading_zeros(value: Word) -> Word {
    Word(value.0.leading_zeros())
}

/// A `u64` as words.
impl From<u64> for Vec2 {
    #[inline(always)]
    fn from(value: u64) -> Vec2 {
        Vec2 { x: Word(value as u32), y: Word((value >> 32) as u32) }
    }
}

/// An `i64` as words.
impl From<i64> for Vec2 {
    #[inline(always)]
    fn from(value: i64) -> Vec2 {
        (value as u64).into()
    }
}

/// The bits of an `f64` as words.
impl From<f64> for Vec2 {
    #[inline(always)]
    fn from(value: f64) -> Vec2 {
        value.to_bits().into()
    }
}

/// A `u128` as words.
impl From<u128> for Vec4 {
    #[inline(always)]
    fn from(value: u128) -> Vec4 {
        let part = |shift: u32| Word((value >> shift) as u32);
        Vec4 { x: part(0), y: part(32), z: part(64), w: part(96) }
    }
}

/// An `i128` as words.
impl From<i128> for Vec4 {
    #[inline(always)]
    fn from(value: i128) -> Vec4 {
        (value as u128).into()
    }
}

impl Vec2 {
    /// The words as one value.
    #[inline(always)]
    pub fn to_u64(self) -> u64 {
        self.x.0 as u64 | (self.y.0 as u64) << 32
    }

    /// The words as one value in two's complement.
    #[inline(always)]
    pub fn to_i64(self) -> i64 {
        self.to_u64() as i64
    }

    /// The words as the bits of a double.
    #[inline(always)]
    pub fn to_f64(self) -> f64 {
        f64::from_bits(self.to_u64())
    }
}

impl Vec4 {
    /// The words as one value.
    #[inline(always)]
    pub fn to_u128(self) -> u128 {
        self.xy().to_u64() as u128 | (self.zw().to_u64() as u128) << 64
    }

    /// The words as one value in two's complement.
    #[inline(always)]
    pub fn to_i128(self) -> i128 {
        self.to_u128() as i128
    }
}
