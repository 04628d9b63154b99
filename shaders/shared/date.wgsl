// Dates and timestamps on u32 words, in the proleptic Gregorian calendar, without time zones.
//
// A date is an i64 (vec2<u32>) of days since 1970-01-01; a timestamp an i64 of ticks since that midnight, with
// `tps` ticks per second: 1, 10^3, 10^6 or 10^9. Fields come out as i64.
// Every i64 is a valid date and timestamp; only the week and date_trunc wrap, within a year of the ends of i64.
// The civil calendar is Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
// The twin, line for line, is src/kernel/date.rs. Needs i64.wgsl.
//
//   struct Civil { year: vec2<u32>, month: u32, day: u32, day_of_year: u32, leap: u32 }   month and days from 1
//
//   date_civil(days) -> Civil       date_from_civil(year: vec2<u32>, month: u32, day: u32) -> vec2<u32>
//   date_year(days)  date_quarter(days)  date_month(days)  date_week(days)  ISO 8601 week, 1 to 53
//   date_iso_year(days)  the year its ISO 8601 week belongs to
//   date_day(days)   date_day_of_week(days)  ISO, Monday = 1 .. Sunday = 7   date_day_of_year(days)  from 1
//   date_trunc(days, unit: u32)     the first day; unit is one of
//       UNIT_YEAR (0)  UNIT_QUARTER (1)  UNIT_MONTH (2)  UNIT_WEEK (3, Monday)  UNIT_DAY (4)
//
//   timestamp_days(t, tps: u32)     the date; fields of the date are taken from it
//   timestamp_from_days(days, tps: u32) -> I64Result
//   timestamp_hour(t, tps: u32)     timestamp_minute(t, tps: u32)       timestamp_second(t, tps: u32)
//   timestamp_trunc(t, tps: u32, unit: u32) -> I64Result    a unit as above, or
//       UNIT_HOUR (5)  UNIT_MINUTE (6)  UNIT_SECOND (7); not ok where the start lies before the first i64

struct Civil {
    year: vec2<u32>,
    month: u32,
    day: u32,
    day_of_year: u32,
    leap: u32,
}

const UNIT_YEAR: u32 = 0u;
const UNIT_QUARTER: u32 = 1u;
const UNIT_MONTH: u32 = 2u;
const UNIT_WEEK: u32 = 3u;
const UNIT_DAY: u32 = 4u;
const UNIT_HOUR: u32 = 5u;
const UNIT_MINUTE: u32 = 6u;
const UNIT_SECOND: u32 = 7u;

const DAYS_IN_ERA: u32 = 146097u;

// Years start in March here: the leap day comes last. An era is 400 years.
fn date_civil(days: vec2<u32>) -> Civil {
    let t = i64_divmod_floor(days, vec2<u32>(DAYS_IN_ERA, 0u));
    // 0000-03-01 is 719468 = 4 eras + 135080 days before 1970-01-01.
    let since = t.z + 135080u;
    let wrap = since >= DAYS_IN_ERA;
    let doe = select(since, since - DAYS_IN_ERA, wrap);
    let era = i64_add(t.xy, vec2<u32>(select(4u, 5u, wrap), 0u));
    let yoe = (doe - doe / 1460u + doe / 36524u - doe / 146096u) / 365u;
    let doy = doe - (365u * yoe + yoe / 4u - yoe / 100u);
    let mp = (5u * doy + 2u) / 153u;
    let day = doy - (153u * mp + 2u) / 5u + 1u;
    let month = select(mp + 3u, mp - 9u, mp >= 10u);
    let next = u32(mp >= 10u);
    let year = i64_add(i64_mul(era, vec2<u32>(400u, 0u)), vec2<u32>(yoe + next, 0u));
    let y = yoe + next;
    let leap = u32(y % 4u == 0u && (y % 100u != 0u || y % 400u == 0u));
    let day_of_year = select(doy + 60u + leap, doy - 305u, mp >= 10u);
    return Civil(year, month, day, day_of_year, leap);
}

fn date_from_civil(year: vec2<u32>, month: u32, day: u32) -> vec2<u32> {
    let early = month <= 2u;
    let t = i64_divmod_floor(i64_sub(year, vec2<u32>(u32(early), 0u)), vec2<u32>(400u, 0u));
    let yoe = t.z;
    let doy = (153u * select(month - 3u, month + 9u, early) + 2u) / 5u + day - 1u;
    let doe = yoe * 365u + yoe / 4u - yoe / 100u + doy;
    let days = i64_add(i64_mul(t.xy, vec2<u32>(DAYS_IN_ERA, 0u)), vec2<u32>(doe, 0u));
    return i64_sub(days, vec2<u32>(719468u, 0u));
}

fn date_year(days: vec2<u32>) -> vec2<u32> {
    return date_civil(days).year;
}

fn date_quarter(days: vec2<u32>) -> vec2<u32> {
    return vec2<u32>((date_civil(days).month + 2u) / 3u, 0u);
}

fn date_month(days: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(date_civil(days).month, 0u);
}

// The week of a year is numbered by its Thursday.
fn date_thursday(days: vec2<u32>) -> vec2<u32> {
    return i64_sub(i64_add(days, vec2<u32>(4u, 0u)), date_day_of_week(days));
}

fn date_week(days: vec2<u32>) -> vec2<u32> {
    return vec2<u32>((date_civil(date_thursday(days)).day_of_year - 1u) / 7u + 1u, 0u);
}

fn date_iso_year(days: vec2<u32>) -> vec2<u32> {
    return date_civil(date_thursday(days)).year;
}

fn date_day(days: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(date_civil(days).day, 0u);
}

// 1970-01-01 was a Thursday.
fn date_day_of_week(days: vec2<u32>) -> vec2<u32> {
    let t = i64_divmod_floor(days, vec2<u32>(7u, 0u));
    return vec2<u32>((t.z + 3u) % 7u + 1u, 0u);
}

fn date_day_of_year(days: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(date_civil(days).day_of_year, 0u);
}

fn date_trunc(days: vec2<u32>, unit: u32) -> vec2<u32> {
    let c = date_civil(days);
    let quarter = (c.month - 1u) / 3u;
    // 90, 181 and 273 days lie before the second, third and fourth quarter, and the leap day.
    let before = select(90u * quarter + quarter * (quarter - 1u) / 2u + c.leap, 0u, quarter == 0u);
    var back = 0u;
    back = select(back, c.day_of_year - 1u, unit == UNIT_YEAR);
    back = select(back, c.day_of_year - 1u - before, unit == UNIT_QUARTER);
    back = select(back, c.day - 1u, unit == UNIT_MONTH);
    back = select(back, date_day_of_week(days).x - 1u, unit == UNIT_WEEK);
    return i64_sub(days, vec2<u32>(back, 0u));
}

fn timestamp_days(t: vec2<u32>, tps: u32) -> vec2<u32> {
    return i64_divmod_floor(t, u32_mul_wide(tps, 86400u)).xy;
}

fn timestamp_from_days(days: vec2<u32>, tps: u32) -> I64Result {
    return i64_mul_checked(days, u32_mul_wide(tps, 86400u));
}

// Seconds since midnight.
fn timestamp_clock(t: vec2<u32>, tps: u32) -> u32 {
    let seconds = i64_divmod_floor(t, vec2<u32>(tps, 0u)).xy;
    return i64_divmod_floor(seconds, vec2<u32>(86400u, 0u)).z;
}

fn timestamp_hour(t: vec2<u32>, tps: u32) -> vec2<u32> {
    return vec2<u32>(timestamp_clock(t, tps) / 3600u, 0u);
}

fn timestamp_minute(t: vec2<u32>, tps: u32) -> vec2<u32> {
    return vec2<u32>(timestamp_clock(t, tps) / 60u % 60u, 0u);
}

fn timestamp_second(t: vec2<u32>, tps: u32) -> vec2<u32> {
    return vec2<u32>(timestamp_clock(t, tps) % 60u, 0u);
}

fn timestamp_trunc(t: vec2<u32>, tps: u32, unit: u32) -> I64Result {
    if (unit < UNIT_DAY) {
        return timestamp_from_days(date_trunc(timestamp_days(t, tps), unit), tps);
    }
    var seconds = 1u;
    seconds = select(seconds, 86400u, unit == UNIT_DAY);
    seconds = select(seconds, 3600u, unit == UNIT_HOUR);
    seconds = select(seconds, 60u, unit == UNIT_MINUTE);
    return i64_sub_checked(t, i64_divmod_floor(t, u32_mul_wide(tps, seconds)).zw);
}
