//! What the functions must give, in the plainest way there is.

use std::cmp::Ordering;
use std::sync::LazyLock;

use num_bigint::BigInt;

use super::Out;

pub fn four(v: u128) -> Out {
    [v as u32, (v >> 32) as u32, (v >> 64) as u32, (v >> 96) as u32, 1]
}

pub fn two(v: u64) -> Out {
    four(v as u128)
}

/// With the lowest bit set if anything is left.
pub fn jammed(v: u128, rest: u128) -> Out {
    four(v | (rest != 0) as u128)
}

pub fn flag(v: bool) -> Out {
    two(v as u64)
}

pub fn f(bits: u128) -> f64 {
    f64::from_bits(bits as u64)
}

const NAN: u64 = 0x7ff8_0000_0000_0000;

/// The bits of a double, with the one NaN.
pub fn float(v: f64) -> Out {
    two(if v.is_nan() { NAN } else { v.to_bits() })
}

pub fn checked64(v: Option<i64>) -> Out {
    v.map_or([0; 5], |v| two(v as u64))
}

/// Valid with at most 38 digits.
pub fn checked128(v: Option<i128>) -> Out {
    v.filter(|v| v.unsigned_abs() < 10u128.pow(38)).map_or([0; 5], |v| four(v as u128))
}

pub fn sql_order(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if a < b => Ordering::Less,
        (false, false) if a > b => Ordering::Greater,
        (a, b) => a.cmp(&b),
    }
}

pub fn float_key(v: f64) -> u64 {
    let bits = if v.is_nan() { NAN } else { v.to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Rust's parser rounds a decimal text once.
pub fn parsed_decimal(v: i128, scale: u32) -> f64 {
    if v == 0 { 0.0 } else { format!("{v}e-{scale}").parse().expect("a number") }
}

pub fn float_to_i64(v: f64) -> Out {
    let near = v.round_ties_even();
    let inside = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&near);
    checked64(inside.then_some(near as i64))
}

pub fn float_to_decimal(v: f64, scale: u32) -> Out {
    if !v.is_finite() || v.abs() >= 1e39 {
        return [0; 5];
    }
    let bits = v.abs().to_bits();
    let (exponent, fraction) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
    let (significand, power) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    let product = BigInt::from(significand) * BigInt::from(10u128.pow(scale));
    let near = if power >= 0 {
        product << power
    } else {
        // Halves to even, on the magnitude.
        let (floor, half) = (&product >> -power, BigInt::from(1) << (-power - 1));
        let rest = product - (&floor << -power);
        if rest > half || (rest == half && floor.bit(0)) { floor + 1 } else { floor }
    };
    let near = i128::try_from(near).ok();
    checked128(if v < 0.0 { near.map(|n| -n) } else { near })
}

pub fn quotient_by_pow10(v: i128, k: u32, mode: u32) -> i128 {
    let d = 10i128.pow(k);
    let (q, r) = (v / d, v % d);
    let away = q + v.signum();
    let half = r.unsigned_abs().cmp(&(d.unsigned_abs() - r.unsigned_abs()));
    match mode {
        0 => q,
        1 => {
            if half.is_ge() {
                away
            } else {
                q
            }
        }
        2 => v.div_euclid(d),
        3 => v.div_euclid(d) + (r != 0) as i128,
        _ => {
            if half.is_gt() || (half.is_eq() && q % 2 != 0) {
                away
            } else {
                q
            }
        }
    }
}

/// The upper half of a product, by the half words.
pub fn product_high(a: u128, b: u128) -> u128 {
    let (ah, al, bh, bl) = (a >> 64, a as u64 as u128, b >> 64, b as u64 as u128);
    let mid = ((al * bl) >> 64) + (ah * bl) as u64 as u128 + (al * bh) as u64 as u128;
    ah * bh + ((ah * bl) >> 64) + ((al * bh) >> 64) + (mid >> 64)
}

/// A day's place in the calendar, counted out.
#[derive(Clone, Copy)]
pub struct Day {
    pub year: i64,
    pub month: u32,
    pub day: u32,
    pub day_of_year: u32,
    pub weekday: u32,
    pub week: u32,
}

const ERA: i64 = 146_097;
/// 2000-01-01, which was a Saturday.
const START: i64 = 10_957;

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The 400 years from 2000 on, day by day; the calendar repeats after them, weekdays included.
static CALENDAR: LazyLock<Vec<Day>> = LazyLock::new(|| {
    let mut days = Vec::new();
    let mut weekday = 6;
    for year in 2000..2400 {
        let mut day_of_year = 1;
        // The first week of a year is the one with its first Thursday; before that runs the last one of the year before.
        let first = weekday;
        for (month, length) in (1..).zip([31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
        {
            for day in 1..=length {
                // Mondays since the Monday on or before the first of January.
                let mondays = (day_of_year - 1 + first - 1) / 7;
                let week = if first <= 4 { mondays + 1 } else { mondays };
                days.push(Day { year, month, day, day_of_year, weekday, week });
                day_of_year += 1;
                weekday = weekday % 7 + 1;
            }
        }
        // The last days belong to week 1 if the next year's first Thursday is in their week.
        if weekday <= 4 {
            let n = days.len();
            days[n + 1 - weekday as usize..].iter_mut().for_each(|day| day.week = 1);
        }
    }
    // Week 0 is the last week of the year before.
    for i in 0..days.len() {
        if days[i].week == 0 {
            days[i].week = if i == 0 { 52 } else { days[i - 1].week };
        }
    }
    assert_eq!(days.len() as i64, ERA);
    days
});

impl Day {
    pub fn of(days: i64) -> Day {
        let since = days as i128 - START as i128;
        let day = CALENDAR[since.rem_euclid(ERA as i128) as usize];
        Day { year: day.year + 400 * since.div_euclid(ERA as i128) as i64, ..day }
    }
}

pub fn day_start(days: i64, unit: u32) -> i64 {
    let today = Day::of(days);
    let begins = |d: &Day| match unit {
        0 => d.day_of_year == 1,
        1 => d.day == 1 && d.month % 3 == 1,
        2 => d.day == 1,
        3 => d.weekday == 1,
        _ => true,
    };
    if begins(&today) {
        return days;
    }
    // Back by months' lengths at most, then day by day.
    let mut at = days;
    while !begins(&Day::of(at)) {
        at -= 1;
    }
    at
}

/// The ticks per second of a test's second operand.
pub fn ticks(b: u128) -> i64 {
    b as u32 as i64
}

/// Seconds since midnight.
pub fn clock(t: i64, b: u128) -> i64 {
    t.div_euclid(ticks(b)).rem_euclid(86_400)
}

pub fn timestamp_start(t: i64, b: u128) -> Option<i64> {
    let unit = (b >> 32) as u32;
    let day = 86_400 * ticks(b);
    let step = match unit {
        0..=3 => return day_start(t.div_euclid(day), unit).checked_mul(day),
        4 => day,
        5 => 3600 * ticks(b),
        6 => 60 * ticks(b),
        _ => ticks(b),
    };
    t.checked_sub(t.rem_euclid(step))
}
