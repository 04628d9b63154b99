//! The two widths of a group's window: 128 and 256 bits, two's complement.

use super::dyadic::Dyadic;
use super::wide::Wide;

/// A fixed-width signed integer that can say when it does not fit.
pub(super) trait Fixed: Copy + Default + PartialEq + std::fmt::Debug {
    /// Its width.
    const BITS: u32;
    /// The sum, if it fits.
    fn checked_add(self, other: Self) -> Option<Self>;
    /// `self · 2^by`, if it fits.
    fn checked_shl(self, by: u32) -> Option<Self>;
    /// `self / 2^by` where `by` is at most [`Fixed::trailing_zeros`].
    fn shr(self, by: u32) -> Self;
    /// How often 2 divides it; [`Fixed::BITS`] for zero.
    fn trailing_zeros(self) -> u32;
    /// Bits of the magnitude, about (exact but for negative powers of two).
    fn magnitude_bits(self) -> u32;
    /// Adds `self · 2^exponent` to `wide`.
    fn add_to(self, wide: &mut Wide, exponent: i32);
    /// `self · 2^exponent`.
    fn dyadic(self, exponent: i32) -> Dyadic;
    /// A value from 128 bits.
    fn from_i128(value: i128) -> Self;
    /// A value from 128 unsigned bits, if it fits.
    fn from_u128(value: u128) -> Option<Self>;
    /// The same in 128 bits, if it fits.
    fn to_i128(self) -> Option<i128>;
    /// Appends its little-endian bytes, [`Fixed::BITS`] / 8 of them.
    fn put(self, out: &mut Vec<u8>);
    /// From as many little-endian bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Fixed for i128 {
    const BITS: u32 = 128;

    #[inline]
    fn checked_add(self, other: Self) -> Option<Self> {
        i128::checked_add(self, other)
    }

    #[inline]
    fn checked_shl(self, by: u32) -> Option<Self> {
        if by >= 128 {
            return (self == 0).then_some(0);
        }
        let shifted = self << by;
        (shifted >> by == self).then_some(shifted)
    }

    #[inline]
    fn shr(self, by: u32) -> Self {
        self.checked_shr(by).unwrap_or(0)
    }

    #[inline]
    fn trailing_zeros(self) -> u32 {
        i128::trailing_zeros(self)
    }

    #[inline]
    fn magnitude_bits(self) -> u32 {
        128 - (self ^ (self >> 127)).leading_zeros()
    }

    fn add_to(self, wide: &mut Wide, exponent: i32) {
        wide.add(self, exponent);
    }

    fn dyadic(self, exponent: i32) -> Dyadic {
        Dyadic::from_i128(self, exponent)
    }

    #[inline]
    fn from_i128(value: i128) -> Self {
        value
    }

    fn from_u128(value: u128) -> Option<Self> {
        i128::try_from(value).ok()
    }

    #[inline]
    fn to_i128(self) -> Option<i128> {
        Some(self)
    }

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i128::from_le_bytes)
    }
}

/// 256 bits, two's complement: `high · 2^128 + low`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct I256 {
    low: u128,
    high: i128,
}

impl I256 {
    /// `±magnitude · 2^by`, `by < 128`, `magnitude < 2^127`: always fits.
    #[inline]
    pub(super) fn shifted(negative: bool, magnitude: u128, by: u32) -> Self {
        // Multiplying words by powers of two is cheaper than shifting across four registers.
        let power = u128::from(1u64 << (by & 63));
        let first = u128::from(magnitude as u64) * power;
        let upper = u128::from((magnitude >> 64) as u64) * power + (first >> 64);
        let (zero, one) = (u128::from(first as u64) | upper << 64, u128::from(first as u64) << 64);
        let (low, high) = if by < 64 { (zero, upper >> 64) } else { (one, upper) };
        let flip = 0u128.wrapping_sub(u128::from(negative));
        let (low, carry) = (low ^ flip).overflowing_add(u128::from(negative));
        I256 { low, high: ((high ^ flip) as i128).wrapping_add(i128::from(carry)) }
    }

    /// The product of two 128-bit integers, which always fits.
    #[inline]
    pub(super) fn product(a: i128, b: i128) -> Self {
        if let Some(small) = a.checked_mul(b) {
            return I256::from_i128(small);
        }
        let (x, y) = (a.unsigned_abs(), b.unsigned_abs());
        let (x1, x0) = (x >> 64, x & u128::from(u64::MAX));
        let (y1, y0) = (y >> 64, y & u128::from(u64::MAX));
        // Magnitudes are at most 2^127, so upper halves at most 2^63: the sum of two cross products fits.
        let middle = x1 * y0 + x0 * y1;
        let (low, carry) = (x0 * y0).overflowing_add(middle << 64);
        let high = x1 * y1 + (middle >> 64) + u128::from(carry);
        let magnitude = I256 { low, high: high as i128 };
        if (a < 0) != (b < 0) { magnitude.negated() } else { magnitude }
    }

    #[inline]
    fn negated(self) -> Self {
        let (low, carry) = (!self.low).overflowing_add(1);
        I256 { low, high: (!self.high).wrapping_add(i128::from(carry)) }
    }

    #[inline]
    fn wrapping_shl(self, by: u32) -> Self {
        match by {
            0 => self,
            1..128 => I256 { low: self.low << by, high: self.high << by | (self.low >> (128 - by)) as i128 },
            _ => I256 { low: 0, high: (self.low << (by - 128)) as i128 },
        }
    }
}

impl Fixed for I256 {
    const BITS: u32 = 256;

    #[inline]
    fn checked_add(self, other: Self) -> Option<Self> {
        let (low, carry) = self.low.overflowing_add(other.low);
        // Two steps for the carry: two overflows have opposite signs and cancel.
        let (high, first) = self.high.overflowing_add(other.high);
        let (high, second) = high.overflowing_add(i128::from(carry));
        (first == second).then_some(I256 { low, high })
    }

    #[inline]
    fn checked_shl(self, by: u32) -> Option<Self> {
        if by >= 256 {
            return (self == I256::default()).then_some(self);
        }
        let shifted = self.wrapping_shl(by);
        (shifted.shr(by) == self).then_some(shifted)
    }

    #[inline]
    fn shr(self, by: u32) -> Self {
        match by {
            0 => self,
            1..128 => I256 { low: self.low >> by | (self.high << (128 - by)) as u128, high: self.high >> by },
            128..256 => I256 { low: (self.high >> (by - 128)) as u128, high: self.high >> 127 },
            _ => I256::from_i128(self.high >> 127),
        }
    }

    #[inline]
    fn trailing_zeros(self) -> u32 {
        if self.low != 0 { self.low.trailing_zeros() } else { 128 + self.high.trailing_zeros() }
    }

    #[inline]
    fn magnitude_bits(self) -> u32 {
        let sign = self.high >> 127;
        let high = self.high ^ sign;
        if high != 0 { 256 - high.leading_zeros() } else { 128 - (self.low ^ sign as u128).leading_zeros() }
    }

    fn add_to(self, wide: &mut Wide, exponent: i32) {
        wide.add_magnitude(false, self.low, exponent);
        wide.add(self.high, exponent.saturating_add(128));
    }

    fn dyadic(self, exponent: i32) -> Dyadic {
        if self.high == (self.low as i128) >> 127 {
            return Dyadic::from_i128(self.low as i128, exponent);
        }
        let value = (num_bigint::BigInt::from(self.high) << 128u32) + self.low;
        Dyadic::from_big(value, exponent)
    }

    #[inline]
    fn from_i128(value: i128) -> Self {
        I256 { low: value as u128, high: value >> 127 }
    }

    fn from_u128(value: u128) -> Option<Self> {
        Some(I256 { low: value, high: 0 })
    }

    #[inline]
    fn to_i128(self) -> Option<i128> {
        (self.high == (self.low as i128) >> 127).then_some(self.low as i128)
    }

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.low.to_le_bytes());
        out.extend_from_slice(&self.high.to_le_bytes());
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (low, high) = bytes.split_at_checked(16)?;
        Some(I256 { low: u128::from_le_bytes(low.try_into().ok()?), high: i128::from_le_bytes(high.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    fn big(value: I256) -> BigInt {
        (BigInt::from(value.high) << 128u32) + value.low
    }

    fn fits(value: &BigInt) -> bool {
        let limit = BigInt::from(1) << 255u32;
        value < &limit && value >= &-limit
    }

    fn any256() -> impl Strategy<Value = I256> {
        (any::<u128>(), any::<i128>(), 0..256u32).prop_map(|(low, high, cut)| I256 { low, high }.shr(cut))
    }

    proptest! {
        #[test]
        fn i256_equals_big_integers(a in any256(), b in any256(), by in 0..300u32) {
            let sum = big(a) + big(b);
            prop_assert_eq!(a.checked_add(b).map(big), Some(sum.clone()).filter(fits));
            let shifted = big(a) << by;
            prop_assert_eq!(a.checked_shl(by).map(big), Some(shifted).filter(fits));
            prop_assert_eq!(big(a.shr(by)), big(a) >> by);
            prop_assert_eq!(a.dyadic(-3), Dyadic::from_big(big(a), -3));
            prop_assert_eq!(u64::from(a.trailing_zeros()), big(a).trailing_zeros().unwrap_or(256));
            let mut wide = Wide::default();
            a.add_to(&mut wide, 17);
            prop_assert_eq!(wide.dyadic(), Dyadic::from_big(big(a), 17));
            let bits = if a.high < 0 { (-big(a) - BigInt::from(1)).bits() } else { big(a).bits() };
            prop_assert_eq!(u64::from(a.magnitude_bits()), bits);
        }

        #[test]
        fn products_are_whole(a in any::<i128>(), b in any::<i128>(), cut in 0..128u32, by in 0..128u32, negative: bool) {
            let a = a >> cut;
            prop_assert_eq!(big(I256::product(a, b)), BigInt::from(a) * b);
            let magnitude = b.unsigned_abs() >> 1;
            let want = BigInt::from(magnitude) << by;
            prop_assert_eq!(big(I256::shifted(negative, magnitude, by)), if negative { -want } else { want });
        }
    }

    #[test]
    fn edges() {
        let least = I256 { low: 0, high: i128::MIN };
        assert_eq!(least.checked_add(I256::from_i128(-1)), None);
        assert_eq!(least.checked_shl(1), None);
        assert_eq!(I256::from_i128(-1).checked_shl(255), Some(least));
        assert_eq!(I256::product(i128::MIN, i128::MIN), I256 { low: 0, high: 1 << 126 });
        assert_eq!(I256::product(i128::MIN, 1), I256::from_i128(i128::MIN));
        // −1 + 1: the carry undoes the high half's borrow.
        assert_eq!(I256::from_i128(-1).checked_add(I256::from_i128(1)), Some(I256::default()));
        assert_eq!(Fixed::checked_shl(5i128, 200), None);
        assert_eq!(Fixed::checked_shl(5i128, 125), None);
        assert_eq!(Fixed::checked_shl(-8i128, 124), Some(i128::MIN));
        assert_eq!(Fixed::magnitude_bits(-1i128), 0);
    }
}
