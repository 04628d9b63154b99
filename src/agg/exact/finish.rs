//! From exact sums to results: every function rounds once, and `None` is SQL's null.
//!
//! `n` is how many values (pairs, for two columns) were summed. Decimals are summed unscaled, and `scale` says that
//! a value is its integer over 10^scale; it is 0 for floats and integers. The policy is `docs/numerics.md`.

use super::dyadic::{Dyadic, Exact};

/// `sum(x)` of floats: null if there was nothing to sum.
pub fn sum(sum: &Exact, n: u64) -> Option<f64> {
    (n > 0).then(|| sum.to_f64())
}

/// `mean(x)`: Σx / n.
///
/// ```
/// use tidemill::agg::exact::{Dyadic, Exact, mean};
/// let sum = Exact::Finite(Dyadic::from_i128(1001, 0));
/// assert_eq!(mean(&sum, 3, 2), Some(1001.0 / 300.0)); // of three decimals with two places
/// assert_eq!(mean(&sum, 0, 0), None);
/// ```
pub fn mean(sum: &Exact, n: u64, scale: i32) -> Option<f64> {
    if n == 0 {
        return None;
    }
    Some(sum.finite().map_or_else(|| sum.to_f64(), |sum| Quotient::new(sum.clone(), Dyadic::from(n), scale).value()))
}

/// `var_pop(x)`: (nΣx² − (Σx)²) / n².
pub fn var_pop(sum: &Exact, sum_of_squares: &Exact, n: u64, scale: i32) -> Option<f64> {
    covar_pop(sum, sum, sum_of_squares, n, scale, scale)
}

/// `var_samp(x)`: (nΣx² − (Σx)²) / n(n−1); null for fewer than two values.
pub fn var_samp(sum: &Exact, sum_of_squares: &Exact, n: u64, scale: i32) -> Option<f64> {
    covar_samp(sum, sum, sum_of_squares, n, scale, scale)
}

/// `stddev_pop(x)`: the square root of the unrounded population variance.
pub fn stddev_pop(sum: &Exact, sum_of_squares: &Exact, n: u64, scale: i32) -> Option<f64> {
    let variance = population(sum, sum, sum_of_squares, n, scale.saturating_mul(2))?;
    Some(variance.map_or(f64::NAN, |variance| variance.root()))
}

/// `stddev_samp(x)`: the square root of the unrounded sample variance; null for fewer than two values.
pub fn stddev_samp(sum: &Exact, sum_of_squares: &Exact, n: u64, scale: i32) -> Option<f64> {
    let variance = sample(sum, sum, sum_of_squares, n, scale.saturating_mul(2))?;
    Some(variance.map_or(f64::NAN, |variance| variance.root()))
}

/// `covar_pop(x, y)`: (nΣxy − ΣxΣy) / n².
pub fn covar_pop(sum_x: &Exact, sum_y: &Exact, sum_xy: &Exact, n: u64, scale_x: i32, scale_y: i32) -> Option<f64> {
    let covariance = population(sum_x, sum_y, sum_xy, n, scale_x.saturating_add(scale_y))?;
    Some(covariance.map_or(f64::NAN, |covariance| covariance.value()))
}

/// `covar_samp(x, y)`: (nΣxy − ΣxΣy) / n(n−1); null for fewer than two pairs.
pub fn covar_samp(sum_x: &Exact, sum_y: &Exact, sum_xy: &Exact, n: u64, scale_x: i32, scale_y: i32) -> Option<f64> {
    let covariance = sample(sum_x, sum_y, sum_xy, n, scale_x.saturating_add(scale_y))?;
    Some(covariance.map_or(f64::NAN, |covariance| covariance.value()))
}

/// `corr(x, y)`: (nΣxy − ΣxΣy) / √((nΣx² − (Σx)²)(nΣy² − (Σy)²)); null if either variance is 0, or without pairs.
///
/// A scale cancels, so decimals need none. The result is never beyond ±1: rounding cannot leave what Cauchy and
/// Schwarz allow.
pub fn corr(sum_x: &Exact, sum_y: &Exact, sum_xx: &Exact, sum_yy: &Exact, sum_xy: &Exact, n: u64) -> Option<f64> {
    if n == 0 {
        return None;
    }
    let (Some(covariance), Some(var_x), Some(var_y)) =
        (spread(sum_x, sum_y, sum_xy, n), spread(sum_x, sum_x, sum_xx, n), spread(sum_y, sum_y, sum_yy, n))
    else {
        return Some(f64::NAN);
    };
    let both = var_x.times(&var_y);
    if both.is_zero() {
        return None;
    }
    let root = covariance.times(&covariance).sqrt_ratio(&both);
    Some(if covariance.is_negative() { -root } else { root })
}

/// nΣxy − ΣxΣy, if all are numbers.
fn spread(sum_x: &Exact, sum_y: &Exact, sum_xy: &Exact, n: u64) -> Option<Dyadic> {
    let (x, y, xy) = (sum_x.finite()?, sum_y.finite()?, sum_xy.finite()?);
    Some(xy.times(&Dyadic::from(n)).minus(&x.times(y)))
}

/// The outer `None` is null, the inner one NaN.
fn population(sum_x: &Exact, sum_y: &Exact, sum_xy: &Exact, n: u64, scale: i32) -> Option<Option<Quotient>> {
    let den = Dyadic::from(n).times(&Dyadic::from(n));
    (n >= 1).then(|| spread(sum_x, sum_y, sum_xy, n).map(|num| Quotient::new(num, den, scale)))
}

/// The outer `None` is null, the inner one NaN.
fn sample(sum_x: &Exact, sum_y: &Exact, sum_xy: &Exact, n: u64, scale: i32) -> Option<Option<Quotient>> {
    let den = Dyadic::from(n).times(&Dyadic::from(n.saturating_sub(1)));
    (n >= 2).then(|| spread(sum_x, sum_y, sum_xy, n).map(|num| Quotient::new(num, den, scale)))
}

/// An exact rational.
struct Quotient {
    num: Dyadic,
    den: Dyadic,
}

impl Quotient {
    /// `num / den / 10^scale`.
    fn new(num: Dyadic, den: Dyadic, scale: i32) -> Self {
        let power = || Dyadic::power_of_ten(scale.unsigned_abs());
        match scale {
            0 => Quotient { num, den },
            1.. => Quotient { num, den: den.times(&power()) },
            _ => Quotient { num: num.times(&power()), den },
        }
    }

    fn value(&self) -> f64 {
        self.num.ratio(&self.den)
    }

    fn root(&self) -> f64 {
        self.num.sqrt_ratio(&self.den)
    }
}
