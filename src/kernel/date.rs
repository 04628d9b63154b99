//! Dates and timestamps on u32 words: the twin of `shaders/shared/date.wgsl`, function for function and line for line.
//!
//! A date is days since 1970-01-01 in the proleptic Gregorian calendar; a timestamp is ticks since that midnight, with `tps`
//! ticks per second. The civil calendar is Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".

use super::i64::*;
use super::word::{Vec2, Word, select, vec2, word};

/// A day of the proleptic Gregorian calendar; months and days count from 1, `leap` is 1 in a leap year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year, as an i64.
    pub year: Vec2,
    /// 1 to 12.
    pub month: Word,
    /// 1 to 31.
    pub day: Word,
    /// 1 to 366.
    pub day_of_year: Word,
    /// 1 in a leap year, else 0.
    pub leap: Word,
}

/// Truncate to the year.
pub const UNIT_YEAR: Word = Word(0);
/// Truncate to the quarter.
pub const UNIT_QUARTER: Word = Word(1);
/// Truncate to the month.
pub const UNIT_MONTH: Word = Word(2);
/// Truncate to the ISO week's Monday.
pub const UNIT_WEEK: Word = Word(3);
/// Truncate to the day.
pub const UNIT_DAY: Word = Word(4);
/// Truncate to the hour.
pub const UNIT_HOUR: Word = Word(5);
/// Truncate to the minute.
pub const UNIT_MINUTE: Word = Word(6);
/// Truncate to the second.
pub const UNIT_SECOND: Word = Word(7);

/// Days in 400 years.
pub const DAYS_IN_ERA: Word = Word(146097);

/// Years start in March here: the leap day comes last. An era is 400 years.
pub fn date_civil(days: Vec2) -> Civil {
    let t = i64_divmod_floor(days, vec2(DAYS_IN_ERA, 0));
    // 0000-03-01 is 719468 = 4 eras + 135080 days before 1970-01-01.
    let since = t.z + 135080;
    let wrap = since >= DAYS_IN_ERA;
    let doe = select(since, since - DAYS_IN_ERA, wrap);
    let era = i64_add(t.xy(), vec2(select(Word(4), Word(5), wrap), 0));
    let yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = select(mp + 3, mp - 9, mp >= 10);
    let next = word(mp >= 10);
    let year = i64_add(i64_mul(era, vec2(400, 0)), vec2(yoe + next, 0));
    let y = yoe + next;
    let leap = word(y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
    let day_of_year = select(doy + 60 + leap, doy - 305, mp >= 10);
    Civil { year, month, day, day_of_year, leap }
}

/// Days since 1970-01-01 of a civil date.
pub fn date_from_civil(year: Vec2, month: Word, day: Word) -> Vec2 {
    let early = month <= 2;
    let t = i64_divmod_floor(i64_sub(year, vec2(early, 0)), vec2(400, 0));
    let yoe = t.z;
    let doy = (153 * select(month - 3, month + 9, early) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let days = i64_add(i64_mul(t.xy(), vec2(DAYS_IN_ERA, 0)), vec2(doe, 0));
    i64_sub(days, vec2(719468, 0))
}

/// The year.
pub fn date_year(days: Vec2) -> Vec2 {
    date_civil(days).year
}

/// The quarter, 1 to 4.
pub fn date_quarter(days: Vec2) -> Vec2 {
    vec2((date_civil(days).month + 2) / 3, 0)
}

/// The month, 1 to 12.
pub fn date_month(days: Vec2) -> Vec2 {
    vec2(date_civil(days).month, 0)
}

/// The Thursday of the day's week: the week of a year is numbered by it.
pub fn date_thursday(days: Vec2) -> Vec2 {
    i64_sub(i64_add(days, vec2(4, 0)), date_day_of_week(days))
}

/// The ISO 8601 week, 1 to 53.
pub fn date_week(days: Vec2) -> Vec2 {
    vec2((date_civil(date_thursday(days)).day_of_year - 1) / 7 + 1, 0)
}

/// The year the ISO 8601 week belongs to.
pub fn date_iso_year(days: Vec2) -> Vec2 {
    date_civil(date_thursday(days)).year
}

/// The day of the month, from 1.
pub fn date_day(days: Vec2) -> Vec2 {
    vec2(date_civil(days).day, 0)
}

/// 1970-01-01 was a Thursday.
pub fn date_day_of_week(days: Vec2) -> Vec2 {
    let t = i64_divmod_floor(days, vec2(7, 0));
    vec2((t.z + 3) % 7 + 1, 0)
}

/// The day of the year, from 1.
pub fn date_day_of_year(days: Vec2) -> Vec2 {
    vec2(date_civil(days).day_of_year, 0)
}

/// The first day of the year, quarter, month, ISO week or day.
pub fn date_trunc(days: Vec2, unit: Word) -> Vec2 {
    let c = date_civil(days);
    let quarter = (c.month - 1) / 3;
    // 90, 181 and 273 days lie before the second, third and fourth quarter, and the leap day.
    let before = select(90 * quarter + quarter * (quarter - 1) / 2 + c.leap, Word(0), quarter == 0);
    let mut back = Word(0);
    back = select(back, c.day_of_year - 1, unit == UNIT_YEAR);
    back = select(back, c.day_of_year - 1 - before, unit == UNIT_QUARTER);
    back = select(back, c.day - 1, unit == UNIT_MONTH);
    back = select(back, date_day_of_week(days).x - 1, unit == UNIT_WEEK);
    i64_sub(days, vec2(back, 0))
}

/// The date of a timestamp.
pub fn timestamp_days(t: Vec2, tps: Word) -> Vec2 {
    i64_divmod_floor(t, u32_mul_wide(tps, Word(86400))).xy()
}

/// Midnight of a date, if it fits.
pub fn timestamp_from_days(days: Vec2, tps: Word) -> I64Result {
    i64_mul_checked(days, u32_mul_wide(tps, Word(86400)))
}

/// Seconds since midnight.
pub fn timestamp_clock(t: Vec2, tps: Word) -> Word {
    let seconds = i64_divmod_floor(t, vec2(tps, 0)).xy();
    i64_divmod_floor(seconds, vec2(86400, 0)).z
}

/// The hour, 0 to 23.
pub fn timestamp_hour(t: Vec2, tps: Word) -> Vec2 {
    vec2(timestamp_clock(t, tps) / 3600, 0)
}

/// The minute, 0 to 59.
pub fn timestamp_minute(t: Vec2, tps: Word) -> Vec2 {
    vec2(timestamp_clock(t, tps) / 60 % 60, 0)
}

/// The second, 0 to 59, without its fraction.
pub fn timestamp_second(t: Vec2, tps: Word) -> Vec2 {
    vec2(timestamp_clock(t, tps) % 60, 0)
}

/// The start of a unit of time, if it fits.
pub fn timestamp_trunc(t: Vec2, tps: Word, unit: Word) -> I64Result {
    if unit < UNIT_DAY {
        return timestamp_from_days(date_trunc(timestamp_days(t, tps), unit), tps);
    }
    let mut seconds = Word(1);
    seconds = select(seconds, Word(86400), unit == UNIT_DAY);
    seconds = select(seconds, Word(3600), unit == UNIT_HOUR);
    seconds = select(seconds, Word(60), unit == UNIT_MINUTE);
    i64_sub_checked(t, i64_divmod_floor(t, u32_mul_wide(tps, seconds)).zw())
}
