//! Dates and timestamps (ISO 8601, as RFC 3339 narrows it, with a space or no zone allowed).

use crate::column::{Unit, days_from_civil};

/// Two digits.
#[inline]
fn two(text: &[u8]) -> Option<u32> {
    match text {
        &[a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')),
        _ => None,
    }
}

/// `YYYY-MM-DD` as a day number. A year beyond 9999 or before 0 has a sign: `+12345-01-01`.
#[inline]
pub(in super::super) fn date(text: &[u8]) -> Option<i32> {
    let [year @ .., b'-', m1, m0, b'-', d1, d0] = text else { return None };
    let year = match year {
        [a, b, c, d] => i64::from(two(&[*a, *b])? * 100 + two(&[*c, *d])?),
        [b'+' | b'-', digits @ ..] if (4..=7).contains(&digits.len()) => super::int(year)?,
        _ => return None,
    };
    days_from_civil(year, two(&[*m1, *m0])?, two(&[*d1, *d0])?)?.try_into().ok()
}

/// A date, or a date and a time: `2013-01-01T05:06:07.089`, with a space for the `T`, without seconds, with `Z`, `UTC` or an
/// offset `±HH:MM`, `±HHMM`, `±HH` that is subtracted. `None` too if it has digits finer than the unit, zeros excepted.
pub(in super::super) fn timestamp(text: &[u8], unit: Unit) -> Option<i64> {
    let split = text.iter().position(|b| matches!(b, b'T' | b't' | b' ')).unwrap_or(text.len());
    let days = i128::from(date(&text[..split])?);
    let mut seconds = 0;
    let mut ticks = 0;
    if let Some(mut rest) = text.get(split + 1..) {
        let &[h1, h0, b':', m1, m0, ref after @ ..] = rest else { return None };
        let (hour, minute) = (two(&[h1, h0])?, two(&[m1, m0])?);
        rest = after;
        let mut second = 0;
        if let &[b':', s1, s0, ref after @ ..] = rest {
            second = two(&[s1, s0])?;
            rest = after;
            if let [b'.', after @ ..] = rest {
                let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
                ticks = fraction(&after[..digits], unit)?;
                rest = &after[digits..];
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        seconds = i128::from(hour * 3600 + minute * 60 + second) - i128::from(offset(rest)?);
    }
    i64::try_from((days * 86_400 + seconds) * i128::from(unit.per_second()) + i128::from(ticks)).ok()
}

/// The digits after the point, in ticks.
fn fraction(digits: &[u8], unit: Unit) -> Option<i64> {
    let places = usize::from(unit.digits());
    let (kept, excess) = digits.split_at(digits.len().min(places));
    if digits.is_empty() || excess.iter().any(|&b| b != b'0') {
        return None;
    }
    let value = kept.iter().fold(0, |v, b| v * 10 + i64::from(b - b'0'));
    Some(value * 10i64.pow((places - kept.len()) as u32))
}

/// Seconds east of UTC; no zone counts as UTC.
fn offset(zone: &[u8]) -> Option<i32> {
    let zone = zone.strip_prefix(b" ").filter(|z| !z.is_empty()).unwrap_or(zone);
    let (sign, h1, h0, minutes) = match zone {
        [] | [b'Z' | b'z'] | b"UTC" => return Some(0),
        [s @ (b'+' | b'-'), h1, h0] => (*s, *h1, *h0, 0),
        [s @ (b'+' | b'-'), h1, h0, m1, m0] | [s @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            (*s, *h1, *h0, two(&[*m1, *m0])?)
        }
        _ => return None,
    };
    let hours = two(&[h1, h0])?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 3600 + minutes * 60) as i32;
    Some(if sign == b'-' { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Type, Value};
    use proptest::prelude::*;

    #[test]
    fn dates_exist_or_are_refused() {
        let cases = [
            ("1970-01-01", Some(0)),
            ("2024-02-29", Some(19_782)),
            ("0000-01-01", Some(-719_528)),
            ("+10000-01-01", Some(2_932_897)),
            ("-0001-12-31", Some(-719_529)),
            ("2023-02-29", None),
            ("2023-13-01", None),
            ("2023-1-01", None),
            ("2023-01-1", None),
            ("23-01-01", None),
            ("12345-01-01", None),
            ("+99999999-01-01", None),
            ("+9999999-01-01", None),
            ("2023/01/01", None),
            ("2023-01-01 ", None),
            ("--01-01", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(date(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn timestamps_in_every_spelling() {
        const T: i64 = 1_357_016_767;
        let cases = [
            ("2013-01-01T05:06:07", Unit::Second, Some(T)),
            ("2013-01-01 05:06:07.089", Unit::Milli, Some(T * 1000 + 89)),
            ("2013-01-01T05:06:07.089Z", Unit::Micro, Some(T * 1_000_000 + 89_000)),
            ("2013-01-01t05:06:07.000000001z", Unit::Nano, Some(T * 1_000_000_000 + 1)),
            ("2013-01-01T05:06:07.0890000000000", Unit::Milli, Some(T * 1000 + 89)),
            ("2013-01-01T05:06:07.0891", Unit::Milli, None),
            ("2013-01-01T05:06:07.000", Unit::Second, Some(T)),
            ("2013-01-01T05:06:07.1", Unit::Second, None),
            ("2013-01-01T07:06:07+02:00", Unit::Second, Some(T)),
            ("2013-01-01 00:06:07 -0500", Unit::Second, Some(T)),
            ("2013-01-01 00:36:07-04:30", Unit::Second, Some(T)),
            ("2013-01-01 06:06:07+01", Unit::Second, Some(T)),
            ("2013-01-01 05:06:07 UTC", Unit::Second, Some(T)),
            ("2013-01-01 05:06", Unit::Second, Some(T - 7)),
            ("2013-01-01", Unit::Second, Some(1_356_998_400)),
            ("1969-12-31T23:59:59.999", Unit::Milli, Some(-1)),
            ("2013-01-01T24:00:00", Unit::Second, None),
            ("2013-01-01T05:60:00", Unit::Second, None),
            ("2013-01-01T05:06:60", Unit::Second, None),
            ("2013-01-01T05:06:07.", Unit::Milli, None),
            ("2013-01-01T05:06:07+24:00", Unit::Second, None),
            ("2013-01-01T05:06:07 ", Unit::Second, None),
            ("2013-01-01T05:06:07 CET", Unit::Second, None),
            ("2013-01-01T", Unit::Second, None),
            ("2013-01-01T5:06:07", Unit::Second, None),
            ("2013-02-30T05:06:07", Unit::Second, None),
            ("2262-04-11T23:47:16.854775807", Unit::Nano, Some(i64::MAX)),
            ("2262-04-11T23:47:16.854775808", Unit::Nano, None),
            ("9999-12-31", Unit::Nano, None),
            ("", Unit::Second, None),
        ];
        for (text, unit, want) in cases {
            assert_eq!(timestamp(text.as_bytes(), unit), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_dates_and_timestamps_read_back(days in -2_000_000_000i64..2_000_000_000, ticks: i64) {
            let text = Value::Int(days).text(&Type::Date);
            let year = text.split('-').rev().nth(2).map_or(0, str::len);
            if year <= 8 {
                prop_assert_eq!(date(text.as_bytes()).map(i64::from), Some(days));
            }
            for unit in [Unit::Milli, Unit::Micro, Unit::Nano] {
                let ticks = if unit == Unit::Milli { ticks / 1000 } else { ticks };
                let text = Value::Int(ticks).text(&Type::Timestamp(unit));
                if text.find('T').is_some_and(|t| t <= 14) {
                    prop_assert_eq!(timestamp(text.as_bytes(), unit), Some(ticks), "{}", text);
                }
            }
        }
    }
}
