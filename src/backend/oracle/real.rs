//! Real numbers of a group, and the nearest float of what comes out, by the definitions.
//!
//! All values of a group become integers of one unit: of 2⁻¹⁰⁷⁴ for floats (the smallest subnormal), of 10^−scale
//! for decimals. A result is compared with floats as exact fractions until the nearest one is found.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::Signed;

use crate::column::{Type, Value};

/// Finite values as integers of one unit, and which others were among them.
pub(super) struct Reals {
    /// The finite values, in units.
    pub values: Vec<BigInt>,
    /// Units in one.
    pub unit: BigInt,
    nan: bool,
    up: bool,
    down: bool,
}

impl Reals {
    /// The values, none of them null, of a column of type `ty`.
    pub fn new<'a>(values: impl Iterator<Item = &'a Value>, ty: &Type) -> Reals {
        let unit = if ty.is_float() { BigInt::from(1) << 1074 } else { BigInt::from(10).pow(ty.scale().into()) };
        let mut reals = Reals { values: Vec::new(), unit, nan: false, up: false, down: false };
        for value in values {
            match value {
                Value::Int(v) => reals.values.push((*v).into()),
                Value::Wide(v) => reals.values.push((*v).into()),
                Value::Float(v) if v.is_nan() => reals.nan = true,
                Value::Float(v) if v.is_infinite() => *(if *v > 0.0 { &mut reals.up } else { &mut reals.down }) = true,
                Value::Float(v) => {
                    let size = units(v.abs().to_bits());
                    reals.values.push(if *v < 0.0 { -size } else { size });
                }
                _ => {}
            }
        }
        reals
    }

    /// What NaN and infinities among the values make of a sum of them; `None` if all are finite.
    pub fn special_sum(&self) -> Option<f64> {
        match (self.nan, self.up, self.down) {
            (false, false, false) => None,
            (false, true, false) => Some(f64::INFINITY),
            (false, false, true) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    /// Whether all values are finite.
    pub fn finite(&self) -> bool {
        self.special_sum().is_none()
    }

    /// Their sum, in units.
    pub fn sum(&self) -> BigInt {
        self.values.iter().sum()
    }

    /// n·x − Σx for every value x: n times its distance from the mean, in units.
    pub fn deviations(&self) -> Vec<BigInt> {
        let (n, sum) = (BigInt::from(self.values.len()), self.sum());
        self.values.iter().map(|x| x * &n - &sum).collect()
    }
}

/// The float of these bits (not negative, not NaN) in units of 2⁻¹⁰⁷⁴; for +∞ what would come after the largest float.
fn units(bits: u64) -> BigInt {
    let (exponent, fraction) = (bits >> 52, bits & ((1 << 52) - 1));
    if exponent == 0 { fraction.into() } else { BigInt::from(fraction | 1 << 52) << (exponent - 1) as usize }
}

const INFINITY: u64 = 0x7ff << 52;

/// The float nearest to a real ≥ 0, ties to the even one. `compare` says how the real compares with a fraction over
/// 2¹⁰⁷⁵ (half the smallest subnormal: so that the middle between two floats is one).
fn nearest(compare: impl Fn(&BigInt) -> Ordering) -> f64 {
    // The last float that is not above the real, by halving.
    let (mut low, mut high) = (0, INFINITY);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if compare(&(units(middle) * 2)).is_lt() { high = middle - 1 } else { low = middle }
    }
    if low == INFINITY {
        return f64::INFINITY;
    }
    let up = match compare(&(units(low) + units(low + 1))) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => low % 2 == 1,
    };
    f64::from_bits(low + u64::from(up))
}

fn with_sign(negative: bool, size: f64) -> f64 {
    if negative { -size } else { size }
}

/// The float nearest to `a / b`, b > 0. Zero is +0; what rounds to zero keeps its sign.
pub(super) fn ratio(a: &BigInt, b: &BigInt) -> f64 {
    let scaled: BigInt = a.abs() << 1075;
    with_sign(a.is_negative(), nearest(|q| scaled.cmp(&(q * b))))
}

/// The float nearest to √(a / b), a ≥ 0, b > 0.
pub(super) fn root(a: &BigInt, b: &BigInt) -> f64 {
    let scaled: BigInt = a << 2150;
    nearest(|q| scaled.cmp(&(q * q * b)))
}

/// The float nearest to `a / √b`, b > 0.
pub(super) fn ratio_of_root(a: &BigInt, b: &BigInt) -> f64 {
    with_sign(a.is_negative(), root(&(a * a), b))
}

/// The value at position `p · (n − 1)`, a product of floats, among values that ascend by the total order.
pub(super) fn quantile(values: &[Value], ty: &Type, p: f64) -> f64 {
    let position = p * (values.len() - 1) as f64;
    let (index, weight) = (position.floor() as usize, position - position.floor());
    let two = Reals::new([&values[index], &values[if weight > 0.0 { index + 1 } else { index }]].into_iter(), ty);
    let [low, high] = two.values.as_slice() else {
        let float = |i: usize| if let Value::Float(v) = values[i] { v } else { f64::NAN };
        let (low, high) = (float(index), float(if weight > 0.0 { index + 1 } else { index }));
        return match () {
            _ if low.is_nan() || high.is_nan() => f64::NAN,
            _ if low == high || high.is_finite() => low,
            _ if low.is_finite() => high,
            _ => f64::NAN,
        };
    };
    // weight = w / 2¹⁰⁷⁴
    let (w, one) = (units(weight.to_bits()), BigInt::from(1) << 1074);
    ratio(&(low * (&one - &w) + high * &w), &(&one * &two.unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nearest_agrees_with_the_hardware(a in any::<i64>(), b in 1i64..=i64::MAX, x in any::<f64>()) {
            // i64 → f64 is correctly rounded by the hardware, and so are / and √ of floats.
            prop_assert_eq!(ratio(&a.into(), &1.into()).to_bits(), (a as f64).to_bits());
            let (a, b) = (a >> 11, (b >> 11).max(1));
            let sign = if a == 0 { 0.0 } else { a as f64 / b as f64 };
            prop_assert_eq!(ratio(&a.into(), &b.into()).to_bits(), sign.to_bits());
            let size = x.abs();
            if size.is_finite() {
                let exact = units(size.to_bits());
                let one = BigInt::from(1) << 1074;
                prop_assert_eq!(ratio(&exact, &one).to_bits(), size.to_bits());
                prop_assert_eq!(root(&exact, &one).to_bits(), size.sqrt().to_bits());
            }
        }
    }

    #[test]
    fn ties_and_ends() {
        let one = BigInt::from(1);
        assert_eq!(ratio(&((BigInt::from(1) << 53) + 1), &one), 9007199254740992.0);
        assert_eq!(ratio(&((BigInt::from(1) << 53) + 3), &one), 9007199254740996.0);
        assert_eq!(ratio(&one, &(BigInt::from(1) << 1075)).to_bits(), 0);
        assert_eq!(ratio(&(-one.clone()), &(BigInt::from(1) << 1075)).to_bits(), 1 << 63);
        assert_eq!(ratio(&3.into(), &(BigInt::from(1) << 1076)).to_bits(), 1);
        assert_eq!(ratio(&((BigInt::from(1) << 1024) - (BigInt::from(1) << 970)), &one), f64::INFINITY);
        assert_eq!(ratio(&((BigInt::from(1) << 1024) - (BigInt::from(1) << 970) - 1), &one), f64::MAX);
        assert_eq!(ratio(&BigInt::from(0), &one).to_bits(), 0);
    }
}
