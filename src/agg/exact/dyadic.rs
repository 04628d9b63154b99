//! Exact values: an integer times a power of two, and the specials beside it.

use num_bigint::{BigInt, BigUint};

use super::round::{ratio_u128, round_big, round_parts, round_ratio, round_sqrt_ratio};

/// What a sum is worth exactly: a dyadic rational, or a special from which no finite value returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exact {
    /// A number.
    Finite(Dyadic),
    /// Some addend was NaN, or both infinities were seen.
    Nan,
    /// Some addend was +∞.
    PosInf,
    /// Some addend was −∞.
    NegInf,
}

impl Exact {
    /// The value of one `f64`, exactly.
    pub fn from_f64(value: f64) -> Self {
        if value.is_nan() {
            return Exact::Nan;
        }
        if value.is_infinite() {
            return if value > 0.0 { Exact::PosInf } else { Exact::NegInf };
        }
        let (mantissa, exponent) = super::sum::decode(value);
        Exact::Finite(Dyadic::from_i128(i128::from(mantissa), exponent))
    }

    /// The number, unless it is a special.
    pub fn finite(&self) -> Option<&Dyadic> {
        match self {
            Exact::Finite(value) => Some(value),
            _ => None,
        }
    }

    /// Rounded once to `f64`; an exact zero is +0.
    pub fn to_f64(&self) -> f64 {
        match self {
            Exact::Finite(value) => value.to_f64(),
            Exact::Nan => f64::NAN,
            Exact::PosInf => f64::INFINITY,
            Exact::NegInf => f64::NEG_INFINITY,
        }
    }
}

/// An exact number `mantissa · 2^exponent`, kept with an odd mantissa (zero: 0·2^0), so that equal numbers are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dyadic {
    mantissa: Mantissa,
    exponent: i32,
}

/// `Big` only where 128 bits do not do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mantissa {
    Small(i128),
    Big(BigInt),
}

impl Dyadic {
    /// `mantissa · 2^exponent`.
    pub fn from_i128(mantissa: i128, exponent: i32) -> Self {
        if mantissa == 0 {
            return Dyadic { mantissa: Mantissa::Small(0), exponent: 0 };
        }
        let zeros = mantissa.trailing_zeros();
        Dyadic { mantissa: Mantissa::Small(mantissa >> zeros), exponent: exponent.saturating_add(zeros as i32) }
    }

    /// `mantissa · 2^exponent`.
    pub fn from_big(mantissa: BigInt, exponent: i32) -> Self {
        if let Ok(small) = i128::try_from(&mantissa) {
            return Dyadic::from_i128(small, exponent);
        }
        let zeros = mantissa.trailing_zeros().unwrap_or(0);
        let mantissa = mantissa >> zeros;
        let exponent = exponent.saturating_add(zeros as i32);
        match i128::try_from(&mantissa) {
            Ok(small) => Dyadic { mantissa: Mantissa::Small(small), exponent },
            Err(_) => Dyadic { mantissa: Mantissa::Big(mantissa), exponent },
        }
    }

    /// The odd mantissa (or 0).
    pub fn mantissa(&self) -> BigInt {
        match &self.mantissa {
            Mantissa::Small(small) => BigInt::from(*small),
            Mantissa::Big(big) => big.clone(),
        }
    }

    /// The power of two that goes with [`Dyadic::mantissa`].
    pub fn exponent(&self) -> i32 {
        self.exponent
    }

    /// Whether this is 0.
    pub fn is_zero(&self) -> bool {
        self.mantissa == Mantissa::Small(0)
    }

    /// Whether this is below 0.
    pub fn is_negative(&self) -> bool {
        match &self.mantissa {
            Mantissa::Small(small) => *small < 0,
            Mantissa::Big(big) => big.sign() == num_bigint::Sign::Minus,
        }
    }

    /// Rounded once to `f64`; zero is +0, too large is ±∞.
    pub fn to_f64(&self) -> f64 {
        let exponent = i64::from(self.exponent);
        match &self.mantissa {
            Mantissa::Small(small) => round_parts(*small < 0, small.unsigned_abs(), exponent, false),
            Mantissa::Big(_) => round_big(self.is_negative(), &self.magnitude(), exponent, false),
        }
    }

    /// The integer this is, if it is one and fits.
    pub fn to_i128(&self) -> Option<i128> {
        match self.mantissa {
            Mantissa::Small(small) if (0..128).contains(&self.exponent) => {
                let shifted = small << self.exponent;
                (shifted >> self.exponent == small).then_some(shifted)
            }
            _ => None,
        }
    }

    /// The product.
    pub(super) fn times(&self, other: &Dyadic) -> Dyadic {
        let exponent = self.exponent + other.exponent;
        if let (Mantissa::Small(a), Mantissa::Small(b)) = (&self.mantissa, &other.mantissa)
            && let Some(product) = a.checked_mul(*b)
        {
            return Dyadic::from_i128(product, exponent);
        }
        Dyadic::from_big(self.mantissa() * other.mantissa(), exponent)
    }

    /// The difference.
    pub(super) fn minus(&self, other: &Dyadic) -> Dyadic {
        let low = match (self.is_zero(), other.is_zero()) {
            (_, true) => return self.clone(),
            (true, _) => other.exponent,
            _ => self.exponent.min(other.exponent),
        };
        let lift = |value: &Dyadic| value.exponent.saturating_sub(low).max(0) as u32;
        let (up, other_up) = (lift(self), lift(other));
        if let (Mantissa::Small(a), Mantissa::Small(b)) = (&self.mantissa, &other.mantissa)
            && let (Some(a), Some(b)) = (lifted(*a, up), lifted(*b, other_up))
            && let Some(difference) = a.checked_sub(b)
        {
            return Dyadic::from_i128(difference, low);
        }
        Dyadic::from_big((self.mantissa() << up) - (other.mantissa() << other_up), low)
    }

    /// `10^power`.
    pub(super) fn power_of_ten(power: u32) -> Dyadic {
        match 10i128.checked_pow(power) {
            Some(small) => Dyadic::from_i128(small, 0),
            None => Dyadic::from_big(BigInt::from(10u8).pow(power), 0),
        }
    }

    /// `self / den`, rounded once; `den` is above 0.
    pub(super) fn ratio(&self, den: &Dyadic) -> f64 {
        let exponent = self.exponent.saturating_sub(den.exponent);
        if let (Mantissa::Small(a), Mantissa::Small(b)) = (&self.mantissa, &den.mantissa)
            && let Some(value) = ratio_u128(*a < 0, a.unsigned_abs(), b.unsigned_abs(), i64::from(exponent))
        {
            return value;
        }
        round_ratio(&self.mantissa(), &den.magnitude(), exponent)
    }

    /// `sqrt(self / den)`, rounded once; neither is below 0, and `den` is not 0.
    pub(super) fn sqrt_ratio(&self, den: &Dyadic) -> f64 {
        round_sqrt_ratio(&self.magnitude(), &den.magnitude(), self.exponent.saturating_sub(den.exponent))
    }

    fn magnitude(&self) -> BigUint {
        match &self.mantissa {
            Mantissa::Small(small) => BigUint::from(small.unsigned_abs()),
            Mantissa::Big(big) => big.magnitude().clone(),
        }
    }
}

impl From<u64> for Dyadic {
    fn from(value: u64) -> Self {
        Dyadic::from_i128(i128::from(value), 0)
    }
}

/// `value · 2^by` if it fits.
fn lifted(value: i128, by: u32) -> Option<i128> {
    let shifted = value.checked_shl(by)?;
    (shifted >> by == value).then_some(shifted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dyadic() -> impl Strategy<Value = (BigInt, i32)> {
        (any::<i128>(), any::<i64>(), 0..190u32, -90..90i32)
            .prop_map(|(a, b, cut, exponent)| ((BigInt::from(a) * BigInt::from(b)) >> cut, exponent))
    }

    /// As integers over 2^400: the plainest way.
    fn plain(value: &Dyadic) -> BigInt {
        value.mantissa() << (value.exponent() + 400) as u32
    }

    proptest! {
        #[test]
        fn arithmetic_equals_big_integers((a, ea) in dyadic(), (b, eb) in dyadic()) {
            let (x, y) = (Dyadic::from_big(a.clone(), ea), Dyadic::from_big(b.clone(), eb));
            prop_assert_eq!(plain(&x), &a << (ea + 400) as u32);
            prop_assert_eq!(plain(&x.minus(&y)), plain(&x) - plain(&y));
            prop_assert_eq!(plain(&x.times(&y)) << 400u32, plain(&x) * plain(&y));
            prop_assert_eq!(x.minus(&x), Dyadic::from(0));
            prop_assert_eq!(&x, &Dyadic::from_big(a << 5u32, ea - 5));
            prop_assert_eq!(x.is_negative(), plain(&x) < BigInt::from(0));
            let whole = (plain(&x) >> 400u32) << 400u32 == plain(&x);
            prop_assert_eq!(x.to_i128(), i128::try_from(plain(&x) >> 400u32).ok().filter(|_| whole));
        }
    }

    #[test]
    fn edges_of_i128() {
        assert_eq!(Dyadic::from_i128(i128::MIN, 0).to_i128(), Some(i128::MIN));
        assert_eq!(Dyadic::from_i128(i128::MIN, 1).to_i128(), None);
        assert_eq!(Dyadic::from_i128(1, -1).to_i128(), None);
        assert_eq!(Dyadic::from(0).to_i128(), Some(0));
        assert_eq!(Dyadic::from_i128(i128::MAX, 0).minus(&Dyadic::from_i128(-1, 0)), Dyadic::from_i128(1, 127));
        assert_eq!(Dyadic::power_of_ten(76).mantissa(), BigInt::from(5u8).pow(76));
    }
}
