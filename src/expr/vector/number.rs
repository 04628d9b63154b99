//! Conversions between classes, and dates, in machine integers.

use crate::expr::program::{DateField, DatePeriod, Rounding};

/// 10^0 to 10^38.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// The doubles up to 10^22 are exact.
const EXACT_POWERS: [f64; 23] = {
    let mut powers = [1.0; 23];
    let mut i = 1;
    while i < 23 {
        powers[i] = powers[i - 1] * 10.0;
        i += 1;
    }
    powers
};

/// 10^digits.
pub(super) fn power(digits: u8) -> i128 {
    POWERS[digits as usize]
}

/// Whether a value has at most 38 digits.
pub(super) fn is_wide(value: i128) -> bool {
    -POWERS[38] < value && value < POWERS[38]
}

/// value · 10^−scale, rounded once to nearest, ties to even.
pub(super) fn wide_to_float(value: i128, scale: u8) -> f64 {
    if scale == 0 {
        return value as f64;
    }
    let magnitude = value.unsigned_abs();
    let result = if magnitude < 1 << 53 && scale <= 22 {
        // Both exact, so the division is the only rounding.
        magnitude as f64 / EXACT_POWERS[scale as usize]
    } else {
        quotient_to_float(magnitude, POWERS[scale as usize].unsigned_abs())
    };
    if value < 0 { -result } else { result }
}

/// a / b to nearest, ties to even; b at most 10^38.
fn quotient_to_float(a: u128, b: u128) -> f64 {
    let (mut quotient, mut rest) = (a / b, a % b);
    if quotient == 0 && rest == 0 {
        return 0.0;
    }
    // One bit more at a time, to 55 bits: 53, one to round by, one that says whether anything is left.
    let mut exponent = 0;
    while quotient >> 54 == 0 {
        rest <<= 1;
        quotient = quotient << 1 | u128::from(rest >= b);
        if rest >= b {
            rest -= b;
        }
        exponent -= 1;
    }
    // The lowest bit stands for all that is cut off; the conversion to f64 then rounds rightly.
    let rounded = (quotient | u128::from(rest != 0)) as f64;
    // The least is 10^−38, so the result is normal and both factors are powers of two: exact.
    rounded * f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// The real value · 10^scale, to nearest, ties to even; `None` for more than 38 digits, infinities and NaN.
pub(super) fn float_to_wide(value: f64, scale: u8) -> Option<i128> {
    let bits = value.abs().to_bits();
    let (raw, fraction) = ((bits >> 52) as i32, bits & ((1 << 52) - 1));
    if raw == 0x7ff {
        return None;
    }
    let (mantissa, exponent) = if raw == 0 { (fraction, -1074) } else { (fraction | 1 << 52, raw - 1075) };
    // value · 10^scale = mantissa · 5^scale · 2^(exponent + scale); 53 + 89 bits, in two limbs of 96 and 64.
    let five = 5u128.pow(scale.into());
    let low = u128::from(mantissa) * (five & u128::from(u64::MAX));
    let high = u128::from(mantissa) * (five >> 64) + (low >> 64);
    let low = low as u64;
    let shift = exponent + i32::from(scale);
    let magnitude = if shift >= 0 {
        // Not below 2^127 once any bit would leave: too large.
        if high >> 64 != 0 {
            return None;
        }
        let whole = high << 64 | u128::from(low);
        if whole == 0 {
            0
        } else if shift >= 127 || whole.leading_zeros() as i32 <= shift {
            return None;
        } else {
            whole << shift
        }
    } else {
        let cut = shift.unsigned_abs();
        let (quotient, half, rest) = shift_right(high, low, cut);
        quotient? + u128::from(half && (rest || quotient? & 1 == 1))
    };
    let result = i128::try_from(magnitude).ok().filter(|m| is_wide(*m))?;
    Some(if value < 0.0 { -result } else { result })
}

/// (high · 2^64 + low) without its last `cut` bits: what is left (`None` if that is above 128 bits), the first bit cut,
/// and whether any bit after it is set.
fn shift_right(high: u128, low: u64, cut: u32) -> (Option<u128>, bool, bool) {
    let bit = |at: u32| match at {
        0..64 => low >> at & 1 == 1,
        64..192 => high >> (at - 64) & 1 == 1,
        _ => false,
    };
    let rest_below = |at: u32| match at {
        0 => false,
        1..64 => low & ((1 << at) - 1) != 0,
        64..192 => low != 0 || (at > 64 && high & ((1 << (at - 64)) - 1) != 0),
        _ => low != 0 || high != 0,
    };
    let left = match cut {
        0 => (high >> 64 == 0).then_some(high << 64 | u128::from(low)),
        1..64 => (high >> (64 + cut) == 0).then_some((high << (64 - cut)) | u128::from(low >> cut)),
        64..192 => Some(high >> (cut - 64)),
        _ => Some(0),
    };
    (left, cut > 0 && bit(cut - 1), cut > 1 && rest_below(cut - 1))
}

/// value / 10^digits, rounded to an integer.
pub(super) fn divide(value: i128, by: i128, rounding: Rounding) -> i128 {
    let (quotient, rest) = (value / by, value % by);
    let step = match rounding {
        Rounding::Trunc => 0,
        Rounding::Floor => -i128::from(rest < 0),
        Rounding::Ceil => i128::from(rest > 0),
        Rounding::Nearest => {
            // 2 · |rest| ≥ by, without leaving i128.
            let up = rest.abs() >= by - rest.abs();
            if up { rest.signum() } else { 0 }
        }
    };
    quotient + step
}

/// A date of the proleptic Gregorian calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The date of a day number, |days| < 2^47. Neri and Schneider, "Euclidean affine functions and their application to
/// calendar algorithms" (2023).
fn date(days: i64) -> Date {
    // A row that is null or an error may hold anything.
    let shifted = days.wrapping_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097) as u64);
    let n1 = 4 * day_of_era + 3;
    let (century, day_of_century) = (n1 / 146_097, n1 % 146_097 / 4);
    let p2 = 2_939_745 * (4 * day_of_century + 3);
    let (year_of_century, day_of_year) = (p2 >> 32, (p2 & 0xffff_ffff) / 2_939_745 / 4);
    let n3 = 2_141 * day_of_year + 197_913;
    let (month, day) = (n3 >> 16, (n3 & 0xffff) / 2_141);
    // The computational year starts in March.
    let next = day_of_year >= 306;
    let year = era * 400 + (100 * century + year_of_century) as i64 + i64::from(next);
    let day_of_year = if next { day_of_year as i64 - 305 } else { day_of_year as i64 + 60 + i64::from(is_leap(year)) };
    Date { year, month: if next { month - 12 } else { month } as i64, day: day as i64 + 1, day_of_year }
}

/// Monday 0 to Sunday 6.
fn weekday(days: i64) -> i64 {
    (days.rem_euclid(7) + 3) % 7
}

/// Whether a year has an ISO week 53: it ends on a Thursday, or the year before ended on a Wednesday.
fn has_week_53(year: i64) -> bool {
    let last = |y: i64| (y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400)).rem_euclid(7);
    last(year) == 4 || last(year - 1) == 3
}

/// The ISO 8601 year and week.
fn iso_week(days: i64, date: &Date) -> (i64, i64) {
    match (date.day_of_year - weekday(days) + 9) / 7 {
        0 => (date.year - 1, 52 + i64::from(has_week_53(date.year - 1))),
        53 if !has_week_53(date.year) => (date.year + 1, 1),
        week => (date.year, week),
    }
}

/// The function that gives a field of a day number.
pub(super) fn date_part(field: DateField) -> fn(i64) -> i64 {
    match field {
        DateField::Year => |d| date(d).year,
        DateField::Quarter => |d| (date(d).month + 2) / 3,
        DateField::Month => |d| date(d).month,
        DateField::Week => |d| iso_week(d, &date(d)).1,
        DateField::IsoYear => |d| iso_week(d, &date(d)).0,
        DateField::Day => |d| date(d).day,
        DateField::Dow => |d| (d.rem_euclid(7) + 4) % 7,
        DateField::IsoDow => |d| weekday(d) + 1,
        DateField::Doy => |d| date(d).day_of_year,
    }
}

/// The function that gives the start of the period of a day number.
pub(super) fn date_trunc(period: DatePeriod) -> fn(i64) -> i64 {
    match period {
        DatePeriod::Year => |d| d.wrapping_sub(date(d).day_of_year - 1),
        DatePeriod::Quarter => |d| {
            let date = date(d);
            let quarter = (date.month - 1) / 3;
            let before = [0, 90, 181, 273][quarter as usize] + i64::from(quarter > 0 && is_leap(date.year));
            d.wrapping_sub(date.day_of_year - 1 - before)
        },
        DatePeriod::Month => |d| d.wrapping_sub(date(d).day - 1),
        DatePeriod::Week => |d| d.wrapping_sub(weekday(d)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_the_nearest_doubles() {
        for (value, scale) in [
            (1, 1),
            (3, 1),
            (-12_345, 3),
            (i64::MAX.into(), 0),
            (9_007_199_254_740_993, 0),
            (9_007_199_254_740_993, 5),
            (10i128.pow(38) - 1, 38),
            (1, 38),
            (-(10i128.pow(38) - 1), 1),
            (15, 23),
            // A tie that only the last digit breaks.
            (90_071_992_547_409_925_000_000_000_000_000_000_001, 22),
        ] {
            let want: f64 = format!("{value}e-{scale}").parse().unwrap();
            assert_eq!(wide_to_float(value, scale).to_bits(), want.to_bits(), "{value} {scale}");
        }
    }

    #[test]
    fn doubles_become_the_nearest_decimals() {
        for (value, scale, want) in [
            (0.5, 0, Some(0)),
            (1.5, 0, Some(2)),
            (2.5, 0, Some(2)),
            (-2.5, 0, Some(-2)),
            (0.15, 1, Some(1)),
            (0.25, 1, Some(2)),
            (1e37, 0, Some(9_999_999_999_999_999_538_762_658_202_121_142_272)),
            (1e37, 1, Some(99_999_999_999_999_995_387_626_582_021_211_422_720)),
            (1e38, 0, Some(99_999_999_999_999_997_748_809_823_456_034_029_568)),
            (1e39, 0, None),
            (1.0, 38, None),
            (0.5, 38, Some(5 * 10i128.pow(37))),
            (5e-324, 38, Some(0)),
            (0.0, 38, Some(0)),
            (f64::MAX, 0, None),
            (f64::NAN, 0, None),
            (f64::INFINITY, 5, None),
            (1e-38, 38, Some(1)),
        ] {
            assert_eq!(float_to_wide(value, scale), want, "{value} {scale}");
        }
    }
}
