//! Text → value: what `cast(string as …)` and typed literals read.

use crate::column::{Type, Unit, Value, days_from_civil};

/// Reads `text` (white space around it aside) as a value of type `ty`, widened to its class.
pub(crate) fn parse_value(text: &str, ty: &Type) -> Result<Value, String> {
    let body = text.trim();
    let wrong = || Err(format!("'{text}' is not {}", describe(ty)));
    let found = match ty {
        Type::Bool => parse_bool(body).map(Value::Bool),
        Type::Float64 => body.parse().ok().map(Value::Float),
        // Read as binary32 at once: through binary64 it would be rounded twice.
        Type::Float32 => body.parse::<f32>().ok().map(|v| Value::Float(v.into())),
        Type::Decimal { precision, scale } => match parse_decimal(body, *scale) {
            Some(Some(v)) if v.unsigned_abs() < 10u128.pow((*precision).into()) => Some(Value::Wide(v)),
            Some(_) => return Err(format!("'{text}' does not fit {ty}")),
            None => None,
        },
        Type::Date => parse_date(body).filter(|d| i32::try_from(*d).is_ok()).map(Value::Int),
        Type::Timestamp(unit) => match parse_timestamp(body, *unit) {
            Some(Some(v)) => Some(Value::Int(v)),
            Some(None) => return Err(format!("'{text}' does not fit {ty}")),
            None => None,
        },
        Type::Str => Some(Value::Str(text.into())),
        ty => match (ty.integer_range(), body.parse::<i128>()) {
            (Some((min, max)), Ok(v)) if (min..=max).contains(&v) => Some(match i64::try_from(v) {
                Ok(v) if *ty != Type::UInt64 => Value::Int(v),
                _ => Value::Wide(v),
            }),
            (Some(_), Ok(_)) => return Err(format!("'{text}' does not fit {ty}")),
            _ => None,
        },
    };
    found.map_or_else(wrong, Ok)
}

fn describe(ty: &Type) -> String {
    match ty {
        Type::Date => "a date (YYYY-MM-DD)".into(),
        Type::Timestamp(_) => "a timestamp (YYYY-MM-DD hh:mm:ss)".into(),
        Type::Bool => "a bool (true, false)".into(),
        ty => format!("{} {ty}", if ty.to_string().starts_with('i') { "an" } else { "a" }),
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    let is = |words: [&str; 5]| words.iter().any(|w| w.eq_ignore_ascii_case(text));
    match () {
        _ if is(["true", "t", "yes", "y", "1"]) => Some(true),
        _ if is(["false", "f", "no", "n", "0"]) => Some(false),
        _ => None,
    }
}

/// `None`: not a number. `Some(None)`: more digits than an i128 holds. Digits beyond the scale are rounded, halves
/// away from zero.
fn parse_decimal(text: &str, scale: u8) -> Option<Option<i128>> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + part.len() == 0 || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The digits kept end at this index into whole ++ part; the next one rounds.
    let keep = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut value: i128 = 0;
    let all: Vec<u8> = whole.bytes().chain(part.bytes()).map(|b| b - b'0').collect();
    for i in 0..keep.max(0) {
        let digit = all.get(i as usize).copied().unwrap_or(0);
        if i as usize >= all.len() && value == 0 {
            break;
        }
        value = match value.checked_mul(10).and_then(|v| v.checked_add(digit.into())) {
            Some(v) => v,
            None => return Some(None),
        };
    }
    if keep >= 0 && all.get(keep as usize).is_some_and(|d| *d >= 5) {
        value = value.checked_add(1)?;
    }
    Some(Some(if negative { -value } else { value }))
}

/// Digits, all of them, `least` to `most`.
fn number(text: &str, least: usize, most: usize) -> Option<i64> {
    let ok = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if ok { text.parse().ok() } else { None }
}

/// `YYYY-MM-DD`; years beyond 9999 and before 0 carry a sign: `+10000-01-01`, `-0001-12-31`.
fn parse_date(text: &str) -> Option<i64> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut fields = body.split('-');
    let (year, month, day) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    let most = if sign == 1 && body.len() == text.len() { 4 } else { 12 };
    days_from_civil(sign * number(year, 4, most)?, number(month, 1, 2)? as u32, number(day, 1, 2)? as u32)
}

/// A date, or a date and a time: `YYYY-MM-DD[ T]hh:mm[:ss[.fraction]][Z]`. Digits beyond the unit are cut.
/// `None`: not a timestamp. `Some(None)`: beyond what the unit holds.
fn parse_timestamp(text: &str, unit: Unit) -> Option<Option<i64>> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim_start()),
        None => (text, ""),
    };
    let days = parse_date(date)?;
    let mut ticks = 0;
    if date.len() != text.len() {
        let time = time.strip_suffix(['Z', 'z']).unwrap_or(time);
        let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut fields = clock.split(':');
        let hour = number(fields.next()?, 1, 2).filter(|h| *h < 24)?;
        let minute = number(fields.next()?, 2, 2).filter(|m| *m < 60)?;
        let second = match fields.next() {
            Some(second) => number(second, 2, 2).filter(|s| *s < 60)?,
            None if clock.len() == time.len() => 0,
            None => return None,
        };
        if fields.next().is_some() || number(fraction, 1, 18).is_none() {
            return None;
        }
        let digits = unit.digits() as usize;
        let cut: String = fraction.chars().chain(std::iter::repeat('0')).take(digits).collect();
        let part = if digits == 0 { 0 } else { cut.parse::<i64>().ok()? };
        ticks = ((hour * 60 + minute) * 60 + second) * unit.per_second() + part;
    }
    let whole = i128::from(days) * 86_400 * i128::from(unit.per_second()) + i128::from(ticks);
    Some(i64::try_from(whole).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str, ty: Type) -> Value {
        parse_value(text, &ty).unwrap_or_else(|e| panic!("{e}"))
    }

    fn dec(precision: u8, scale: u8) -> Type {
        Type::Decimal { precision, scale }
    }

    #[test]
    fn numbers() {
        assert_eq!(ok(" -128 ", Type::Int8), Value::Int(-128));
        assert_eq!(ok("18446744073709551615", Type::UInt64), Value::Wide(u64::MAX.into()));
        assert_eq!(ok("0", Type::UInt64), Value::Wide(0));
        assert_eq!(ok("1e-3", Type::Float64), Value::Float(0.001));
        assert_eq!(ok("inf", Type::Float64), Value::Float(f64::INFINITY));
        assert_eq!(ok("0.1", Type::Float32), Value::Float(0.1f32.into()));
        assert_eq!(ok("12.345", dec(5, 2)), Value::Wide(1235));
        assert_eq!(ok("-12.345", dec(5, 2)), Value::Wide(-1235));
        assert_eq!(ok("12.344999", dec(5, 2)), Value::Wide(1234));
        assert_eq!(ok(".5", dec(1, 0)), Value::Wide(1));
        assert_eq!(ok("5.", dec(1, 0)), Value::Wide(5));
        assert_eq!(ok("1.5e2", dec(5, 1)), Value::Wide(1500));
        assert_eq!(ok("15e-2", dec(5, 1)), Value::Wide(2));
        assert_eq!(ok("15e-3", dec(5, 1)), Value::Wide(0));
        assert_eq!(ok("0e999999", dec(5, 1)), Value::Wide(0));
        let most = "99999999999999999999999999999999999999";
        assert_eq!(ok(most, dec(38, 0)), Value::Wide(10i128.pow(38) - 1));
        for (text, ty) in [
            ("128", Type::Int8),
            ("-1", Type::UInt64),
            ("1.5", Type::Int64),
            ("", Type::Int64),
            ("1 2", Type::Int64),
            ("99.995", dec(4, 2)),
            ("100000000000000000000000000000000000000", dec(38, 0)),
            ("999999999999999999999999999999999999999999", dec(38, 0)),
            ("1e99", dec(38, 0)),
            (".", dec(3, 1)),
            ("-", dec(3, 1)),
            ("1,5", Type::Float64),
            ("maybe", Type::Bool),
        ] {
            let message = parse_value(text, &ty).unwrap_err();
            assert!(message.contains(text) && message.contains(&ty.to_string()), "{message}");
        }
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(ok("1970-01-01", Type::Date), Value::Int(0));
        assert_eq!(ok("0000-03-01", Type::Date), Value::Int(-719_468));
        assert_eq!(ok("9999-12-31", Type::Date), Value::Int(2_932_896));
        assert_eq!(ok("+10000-01-01", Type::Date), Value::Int(2_932_897));
        assert_eq!(ok("-0001-12-31", Type::Date), Value::Int(-719_529));
        assert_eq!(ok("2024-2-29", Type::Date), Value::Int(19_782));
        for text in
            ["2023-02-29", "2013-13-01", "13-01-01", "2013-01", "2013-01-01-01", "10000-01-01", "2013-01-01 05:00"]
        {
            assert!(parse_value(text, &Type::Date).unwrap_err().contains("YYYY-MM-DD"), "{text}");
        }
        let ts = |text, unit| ok(text, Type::Timestamp(unit));
        assert_eq!(ts("1970-01-02", Unit::Second), Value::Int(86_400));
        assert_eq!(ts("1970-01-01T00:00:01.5Z", Unit::Milli), Value::Int(1_500));
        assert_eq!(ts("1970-01-01 00:01", Unit::Micro), Value::Int(60_000_000));
        assert_eq!(ts("1969-12-31 23:59:59.999999999", Unit::Nano), Value::Int(-1));
        assert_eq!(ts("1969-12-31 23:59:59.999999999", Unit::Second), Value::Int(-1));
        for text in [
            "1970-01-01T24:00:00",
            "1970-01-01T00:60:00",
            "1970-01-01 1",
            "1970-01-01 00:00:00+01:00",
            "1970-01-01 00:01.5",
        ] {
            assert!(parse_value(text, &Type::Timestamp(Unit::Micro)).is_err(), "{text}");
        }
        assert!(parse_value("2262-04-12", &Type::Timestamp(Unit::Nano)).unwrap_err().contains("does not fit"));
        assert_eq!(ts("2262-04-11 23:47:16.854775807", Unit::Nano), Value::Int(i64::MAX));
    }
}
