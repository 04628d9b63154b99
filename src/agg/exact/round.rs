//! The rounding core: an exact quotient, or the square root of one, to the nearest `f64`, ties to even.

use num_bigint::{BigInt, BigUint, Sign};
use num_integer::Integer;
use num_traits::Zero;

/// Bits a truncated quotient must have, so that the bits cut off decide nothing but a tie: 53 and two more.
const ENOUGH: u64 = 55;

/// `num / den · 2^exp2`, rounded once to `f64` (nearest, ties to even; subnormals; overflow to ±∞).
///
/// A zero numerator gives +0; a zero denominator gives NaN. A negative result too small for a subnormal is −0.
///
/// ```
/// use num_bigint::{BigInt, BigUint};
/// use tidemill::agg::exact::round_ratio;
/// assert_eq!(round_ratio(&BigInt::from(1), &BigUint::from(3u8), 0), 1.0 / 3.0);
/// assert_eq!(round_ratio(&BigInt::from(-1), &BigUint::from(1u8), -1074), -5e-324);
/// ```
pub fn round_ratio(num: &BigInt, den: &BigUint, exp2: i32) -> f64 {
    if den.is_zero() {
        return f64::NAN;
    }
    let negative = num.sign() == Sign::Minus;
    let magnitude = num.magnitude();
    let shift = (ENOUGH + 1).saturating_add(den.bits()).saturating_sub(magnitude.bits());
    let (quotient, rest) = (magnitude << shift).div_rem(den);
    round_big(negative, &quotient, i64::from(exp2) - shift as i64, !rest.is_zero())
}

/// `sqrt(num / den · 2^exp2)`, rounded once to `f64`. A zero numerator gives +0; a zero denominator gives NaN.
///
/// ```
/// use num_bigint::BigUint;
/// use tidemill::agg::exact::round_sqrt_ratio;
/// assert_eq!(round_sqrt_ratio(&BigUint::from(2u8), &BigUint::from(1u8), 0), 2f64.sqrt());
/// assert_eq!(round_sqrt_ratio(&BigUint::from(9u8), &BigUint::from(4u8), 2), 3.0);
/// ```
pub fn round_sqrt_ratio(num: &BigUint, den: &BigUint, exp2: i32) -> f64 {
    if den.is_zero() {
        return f64::NAN;
    }
    // The root has half the quotient's bits, and only an even power of two can leave the root.
    let mut shift = (2 * ENOUGH + 2).saturating_add(den.bits()).saturating_sub(num.bits());
    if (i64::from(exp2) - shift as i64) % 2 != 0 {
        shift += 1;
    }
    let (quotient, rest) = (num << shift).div_rem(den);
    let exponent = (i64::from(exp2) - shift as i64) / 2;
    // floor(sqrt(floor(q))) = floor(sqrt(q)): cutting the quotient first changes no bit of the root.
    match u128::try_from(&quotient) {
        Ok(quotient) => {
            let root = quotient.isqrt();
            round_parts(false, root, exponent, !rest.is_zero() || root * root != quotient)
        }
        Err(_) => {
            let root = quotient.sqrt();
            let inexact = !rest.is_zero() || &root * &root != quotient;
            round_big(false, &root, exponent, inexact)
        }
    }
}

/// The `f64` nearest to a decimal: `unscaled / 10^scale` (a negative scale multiplies), rounded once.
///
/// ```
/// use tidemill::agg::exact::decimal_to_f64;
/// assert_eq!(decimal_to_f64(-12345, 2), -123.45);
/// assert_eq!(decimal_to_f64(7, -2), 700.0);
/// ```
pub fn decimal_to_f64(unscaled: i128, scale: i32) -> f64 {
    let power = 10u128.checked_pow(scale.unsigned_abs());
    if let (Some(power), true) = (power, scale >= 0)
        && let Some(value) = ratio_u128(unscaled < 0, unscaled.unsigned_abs(), power, 0)
    {
        return value;
    }
    let power = BigUint::from(10u8).pow(scale.unsigned_abs());
    if scale >= 0 {
        round_ratio(&BigInt::from(unscaled), &power, 0)
    } else {
        round_big(unscaled < 0, &(BigUint::from(unscaled.unsigned_abs()) * power), 0, false)
    }
}

/// [`round_ratio`] without big integers, where the denominator is small enough to leave a quotient of enough bits.
pub(super) fn ratio_u128(negative: bool, num: u128, den: u128, exp2: i64) -> Option<f64> {
    if num == 0 {
        return Some(0.0);
    }
    if den.is_power_of_two() {
        return Some(round_parts(negative, num, exp2 - i64::from(den.trailing_zeros()), false));
    }
    let shift = num.leading_zeros();
    let num = num << shift;
    // num ≥ 2^127, so a denominator below 2^72 leaves at least 55 bits.
    if den == 0 || den >> 72 != 0 {
        return None;
    }
    let quotient = num / den;
    Some(round_parts(negative, quotient, exp2 - i64::from(shift), quotient * den != num))
}

/// ±(magnitude + ε)·2^exponent to the nearest `f64`, where 0 < ε < 1 if `inexact` (then `magnitude` needs 55 bits).
pub(super) fn round_big(negative: bool, magnitude: &BigUint, exponent: i64, inexact: bool) -> f64 {
    let bits = magnitude.bits();
    if bits <= 128 {
        return round_parts(negative, low_u128(magnitude.iter_u64_digits()), exponent, inexact);
    }
    let cut = bits - 128;
    let lost = magnitude.trailing_zeros().is_some_and(|zeros| zeros < cut);
    let top = magnitude >> cut;
    round_parts(negative, low_u128(top.iter_u64_digits()), exponent.saturating_add(cut as i64), inexact || lost)
}

fn low_u128(digits: impl Iterator<Item = u64>) -> u128 {
    digits.take(2).enumerate().fold(0, |sum, (i, digit)| sum | u128::from(digit) << (64 * i))
}

/// ±(magnitude + ε)·2^exponent to the nearest `f64`, where 0 < ε < 1 if `inexact` (then `magnitude` needs 55 bits).
pub(super) fn round_parts(negative: bool, magnitude: u128, exponent: i64, inexact: bool) -> f64 {
    debug_assert!(!inexact || magnitude >> (ENOUGH - 1) != 0, "too few bits to round");
    if magnitude == 0 {
        return 0.0;
    }
    let sign = u64::from(negative) << 63;
    let top = exponent.saturating_add(127 - i64::from(magnitude.leading_zeros()));
    if top > 1023 {
        return f64::from_bits(sign | f64::INFINITY.to_bits());
    }
    // The weight of the result's last bit: 52 below the leading bit, but never below the smallest subnormal.
    let last = (top - 52).max(-1074);
    let drop = last - exponent;
    let mantissa = if drop <= 0 {
        (magnitude << -drop) as u64
    } else if drop > 128 {
        0
    } else {
        let kept = if drop == 128 { 0 } else { (magnitude >> drop) as u64 };
        let half = 1u128 << (drop - 1);
        let rest = magnitude & (half | (half - 1));
        let up = rest > half || (rest == half && (inexact || kept & 1 == 1));
        kept + u64::from(up)
    };
    // The leading bit, where there is one, adds itself to the exponent field; so does a carry, up to infinity.
    f64::from_bits(sign | ((((last + 1074) as u64) << 52) + mantissa))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ratio(num: i128, den: u128, exp2: i32) -> f64 {
        round_ratio(&BigInt::from(num), &BigUint::from(den), exp2)
    }

    fn root(num: u128, den: u128, exp2: i32) -> f64 {
        round_sqrt_ratio(&BigUint::from(num), &BigUint::from(den), exp2)
    }

    /// Every 6-bit numerator over every 6-bit denominator: the hardware divides (and takes roots) correctly rounded.
    #[test]
    fn small_ratios_and_roots_equal_the_hardware() {
        for num in 0..64i128 {
            for den in 1..64u128 {
                for exp2 in [-1000, -3, 0, 7, 900] {
                    let scaled = num as f64 * 2f64.powi(exp2);
                    assert_eq!(
                        ratio(num, den, exp2).to_bits(),
                        (scaled / den as f64).to_bits(),
                        "{num}/{den}·2^{exp2}"
                    );
                    assert_eq!(ratio(-num, den, exp2), -(scaled / den as f64));
                    let fast = ratio_u128(false, num as u128, den, i64::from(exp2));
                    assert_eq!(fast.map(f64::to_bits), Some(ratio(num, den, exp2).to_bits()));
                }
            }
            for exp2 in [-1074, -7, -4, -1, 0, 1, 2, 3, 1000] {
                let square = num as f64 * 2f64.powi(exp2.max(-1000)) * 2f64.powi(exp2.min(-1000) + 1000);
                assert_eq!(root(num as u128, 1, exp2), square.sqrt(), "sqrt({num}·2^{exp2})");
            }
        }
    }

    #[test]
    fn ties_go_to_even_and_one_bit_more_does_not() {
        let half = 1i128 << 53; // the next float is half + 2
        assert_eq!(ratio(half + 1, 1, 0), half as f64);
        assert_eq!(ratio(half + 3, 1, 0), (half + 4) as f64);
        assert_eq!(ratio(3 * (half + 1), 3, 0), half as f64);
        assert_eq!(ratio(3 * (half + 1) + 1, 3, 0), (half + 2) as f64);
        assert_eq!(ratio(3 * (half + 1) - 1, 3, 0), half as f64);
        let far = (BigInt::from(half + 1) << 4000u32) + 1;
        assert_eq!(round_ratio(&far, &BigUint::from(1u8), -4000), (half + 2) as f64);
        assert_eq!(round_ratio(&(far - 1), &BigUint::from(1u8), -4000), half as f64);
    }

    #[test]
    fn subnormals_round_once() {
        let least = f64::from_bits(1);
        assert_eq!(ratio(1, 2, -1074).to_bits(), 0); // a tie goes to even: zero
        assert_eq!(ratio(3, 2, -1074), 2.0 * least);
        assert_eq!(ratio(1, 3, -1074).to_bits(), 0);
        assert_eq!(ratio(2, 3, -1074), least);
        assert_eq!(ratio(-1, 3, -1074).to_bits(), (-0.0f64).to_bits());
        assert_eq!(ratio((1 << 53) - 1, 1, -1075), f64::MIN_POSITIVE); // carries into the normals
        // Rounding to 53 bits first would make this a tie that goes up; once, it goes down.
        assert_eq!(ratio((5 << 60) | ((1 << 59) - 1), 1, -1074 - 60), 5.0 * least);
        assert_eq!(ratio(1, 1, -5000), 0.0);
        assert_eq!(root(1, 1, -2148), least);
        assert_eq!(root(1, 4, -2148).to_bits(), 0);
        assert_eq!(root(9, 16, -2148), least);
        assert_eq!(round_parts(false, u128::MAX, -1074 - 128, false), least);
        assert_eq!(round_parts(false, 1 << 127, -1074 - 128, false), 0.0);
        assert_eq!(round_parts(false, 1 << 127, -1074 - 128, true), least);
        assert_eq!(round_parts(false, u128::MAX, -1074 - 129, false), 0.0);
    }

    #[test]
    fn too_large_is_infinite() {
        let most = (1i128 << 53) - 1;
        assert_eq!(ratio(most, 1, 971), f64::MAX);
        assert_eq!(ratio(2 * most + 1, 1, 970), f64::INFINITY); // the tie above the largest
        assert_eq!(ratio(4 * most + 1, 1, 969), f64::MAX);
        assert_eq!(ratio(-1, 1, 1024), f64::NEG_INFINITY);
        assert_eq!(root(1, 1, 2048), f64::INFINITY);
        assert_eq!(root(1, 1, 2046), 2f64.powi(1023));
        assert_eq!(ratio(1, 1, i32::MAX), f64::INFINITY);
        assert_eq!(ratio(1, 1, i32::MIN), 0.0);
    }

    #[test]
    fn nothing_divides_by_zero() {
        assert!(ratio(1, 0, 0).is_nan() && root(1, 0, 0).is_nan());
        assert_eq!(ratio_u128(false, 1, 0, 0), None);
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal_to_f64(1, 1), 0.1);
        assert_eq!(decimal_to_f64(99_999_999_999_999_999_999_999_999_999_999_999_999, 38), 1.0);
        assert_eq!(decimal_to_f64(-123_456_789_012_345_678_901_234_567_890, 20), -1234567890.123456789);
        assert_eq!(decimal_to_f64(3, -30), 3e30);
        assert_eq!(decimal_to_f64(1, 320), 1e-320);
        assert_eq!(decimal_to_f64(0, 5).to_bits(), 0);
    }

    proptest! {
        #[test]
        fn quotients_equal_the_hardware(a in any::<i64>(), b in 1..u64::MAX) {
            // 53-bit operands, so that the hardware's one division is the whole computation.
            let (a, b) = (a >> 11, (b >> 11).max(1));
            let want = a as f64 / b as f64;
            prop_assert_eq!(ratio(i128::from(a), u128::from(b), 0), want);
            prop_assert_eq!(ratio_u128(a < 0, u128::from(a.unsigned_abs()), u128::from(b), 0), Some(want));
        }

        #[test]
        fn wide_denominators_agree(a in any::<u128>(), b in 1..=u128::MAX, cut in 0..128u32, exp2 in -1200..1000i32) {
            let b = (b >> cut).max(1);
            let want = round_ratio(&BigInt::from(a), &BigUint::from(b), exp2);
            if let Some(fast) = ratio_u128(false, a, b, i64::from(exp2)) {
                prop_assert_eq!(fast.to_bits(), want.to_bits());
            }
        }

        /// A root is right if the square of its midpoints encloses the number: checked in integers.
        #[test]
        fn roots_lie_between_their_midpoints(a in 1..u128::MAX, b in 1..u128::MAX, exp2 in -600..600i32) {
            let got = root(a, b, exp2);
            // got = m·2^e; the midpoints are (2m ± 1)·2^(e-1).
            let bits = got.to_bits();
            let (m, e) = ((bits & ((1 << 52) - 1)) | 1 << 52, (bits >> 52) as i32 - 1075);
            let side = |twice: u64| (BigUint::from(twice).pow(2) * b, 2 * (e - 1));
            let number = (BigUint::from(a), exp2);
            let less = |l: &(BigUint, i32), r: &(BigUint, i32)| {
                let low = l.1.min(r.1);
                (&l.0 << (l.1 - low) as u32) < (&r.0 << (r.1 - low) as u32)
            };
            prop_assert!(!less(&number, &side(2 * m - 1)) && !less(&side(2 * m + 1), &number));
        }
    }
}
