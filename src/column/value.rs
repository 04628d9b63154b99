//! One value, widened to its class: what literals, messages and the plain evaluator use.

use std::sync::Arc;

use super::{Type, Unit};

/// A value of one of the five classes, null, or a list. Its [`Type`] stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL null.
    Null,
    /// Class Bool.
    Bool(bool),
    /// Class Int.
    Int(i64),
    /// Class Wide (unscaled).
    Wide(i128),
    /// Class Float.
    Float(f64),
    /// Class Str.
    Str(Arc<str>),
    /// What `top_k` gives.
    List(Vec<Value>),
}

impl Value {
    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text of this value as a value of type `ty`: dates as `2013-01-31`, timestamps as `2013-01-31T05:06:07.089`,
    /// decimals with their point, floats as the shortest text that reads back to the same bits, lists as JSON arrays.
    pub fn text(&self, ty: &Type) -> String {
        let mut out = String::new();
        self.write(ty, &mut out);
        out
    }

    /// Appends [`Value::text`] to `out`. Null appends nothing.
    pub fn write(&self, ty: &Type, out: &mut String) {
        match (self, ty) {
            (Value::Null, _) => {}
            (Value::Bool(v), _) => out.push_str(if *v { "true" } else { "false" }),
            (Value::Int(v), Type::Date) => write_date(*v, out),
            (Value::Int(v), Type::Timestamp(unit)) => write_timestamp(*v, *unit, out),
            (Value::Int(v), _) => out.push_str(itoa::Buffer::new().format(*v)),
            (Value::Wide(v), _) => write_decimal(*v, ty.scale(), out),
            (Value::Float(v), Type::Float32) => write_float32(*v as f32, out),
            (Value::Float(v), _) => write_float(*v, out),
            (Value::Str(v), _) => out.push_str(v),
            (Value::List(items), Type::List(item)) => {
                out.push('[');
                for (i, value) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    match value {
                        Value::Null => out.push_str("null"),
                        Value::Bool(_) | Value::Int(_) | Value::Wide(_)
                            if !matches!(**item, Type::Date | Type::Timestamp(_)) =>
                        {
                            value.write(item, out)
                        }
                        Value::Float(v) if v.is_finite() => value.write(item, out),
                        _ => out.push_str(&serde_json::Value::String(value.text(item)).to_string()),
                    }
                }
                out.push(']');
            }
            (Value::List(_), _) => out.push_str("[]"),
        }
    }
}

/// The shortest decimal that reads back to the same bits; `NaN`, `inf`, `-inf`. Integral values keep a `.0`.
pub fn write_float(v: f64, out: &mut String) {
    if v.is_finite() {
        out.push_str(zmij::Buffer::new().format_finite(v));
    } else {
        out.push_str(if v.is_nan() {
            "NaN"
        } else if v > 0.0 {
            "inf"
        } else {
            "-inf"
        });
    }
}

fn write_float32(v: f32, out: &mut String) {
    if v.is_finite() {
        out.push_str(zmij::Buffer::new().format_finite(v));
    } else {
        write_float(v.into(), out);
    }
}

fn write_decimal(v: i128, scale: u8, out: &mut String) {
    if v < 0 {
        out.push('-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(v.unsigned_abs());
    let (whole, part) = digits.split_at(digits.len().saturating_sub(scale.into()));
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        out.push('.');
        (part.len()..scale.into()).for_each(|_| out.push('0'));
        out.push_str(part);
    }
}

/// (year, month, day) of a day number, by the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level
/// date algorithms").
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Days since 0000-03-01, of which there are 4 eras and 135,080 days before 1970; apart, as together they may not fit.
    let shifted = days.rem_euclid(146_097) + 135_080;
    let era = days.div_euclid(146_097) + 4 + shifted / 146_097;
    let doe = shifted % 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u32;
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// The day number of a date, or `None` if there is no such date.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = i64::from((month + 9) % 12);
    let doy = (153 * mp + 2) / 5 + i64::from(day) - 1;
    Some(era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468)
}

fn write_date(days: i64, out: &mut String) {
    use std::fmt::Write;
    let (year, month, day) = civil_from_days(days);
    if (0..=9999).contains(&year) {
        write_digits(year, 4, out);
    } else {
        _ = write!(out, "{year:+05}");
    }
    for part in [month, day] {
        out.push('-');
        write_digits(part.into(), 2, out);
    }
}

/// A number that is not negative, with zeros before it if it has less than `width` digits.
fn write_digits(number: i64, width: usize, out: &mut String) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    (digits.len()..width).for_each(|_| out.push('0'));
    out.push_str(digits);
}

fn write_timestamp(ticks: i64, unit: Unit, out: &mut String) {
    let per_day = 86_400 * unit.per_second();
    write_date(ticks.div_euclid(per_day), out);
    let tick = ticks.rem_euclid(per_day);
    let (second, part) = (tick / unit.per_second(), tick % unit.per_second());
    for (mark, number) in [('T', second / 3600), (':', second / 60 % 60), (':', second % 60)] {
        out.push(mark);
        write_digits(number, 2, out);
    }
    if part != 0 {
        out.push('.');
        write_digits(part, unit.digits() as usize, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_in_their_type() {
        let decimal = Type::Decimal { precision: 10, scale: 3 };
        assert_eq!(Value::Wide(-1).text(&decimal), "-0.001");
        assert_eq!(Value::Wide(12_345).text(&decimal), "12.345");
        assert_eq!(Value::Wide(0).text(&decimal), "0.000");
        let narrow = Type::Decimal { precision: 38, scale: 38 };
        assert_eq!(Value::Wide(i128::MIN).text(&narrow), "-1.70141183460469231731687303715884105728");
        assert_eq!(Value::Wide(i128::MIN).text(&Type::UInt64), "-170141183460469231731687303715884105728");
        assert_eq!(Value::Int(0).text(&Type::Date), "1970-01-01");
        assert_eq!(Value::Int(-1).text(&Type::Timestamp(Unit::Milli)), "1969-12-31T23:59:59.999");
        assert_eq!(Value::Int(1).text(&Type::Timestamp(Unit::Second)), "1970-01-01T00:00:01");
        assert_eq!(Value::Int(1_000_000_007).text(&Type::Timestamp(Unit::Nano)), "1970-01-01T00:00:01.000000007");
        assert_eq!(Value::Int(45_296_000_120).text(&Type::Timestamp(Unit::Micro)), "1970-01-01T12:34:56.000120");
        assert_eq!(Value::Int(-719_529).text(&Type::Date), "-0001-12-31");
        assert_eq!(Value::Int(2_932_897).text(&Type::Date), "+10000-01-01");
        assert_eq!(Value::Float(0.1).text(&Type::Float64), "0.1");
        assert_eq!(Value::Float(0.1f32.into()).text(&Type::Float32), "0.1");
        assert_eq!(Value::Float(f64::NEG_INFINITY).text(&Type::Float64), "-inf");
        let list = Value::List(vec![Value::Float(1.5), Value::Float(f64::NAN), Value::Null]);
        assert_eq!(list.text(&Type::List(Box::new(Type::Float64))), r#"[1.5,"NaN",null]"#);
        let list = Value::List(vec![Value::Str("a\"b".into())]);
        assert_eq!(list.text(&Type::List(Box::new(Type::Str))), r#"["a\"b"]"#);
    }

    #[test]
    fn every_day_of_800_years_goes_there_and_back() {
        let mut last = civil_from_days(-146_098);
        for days in -146_097..146_097 {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), Some(days));
            assert!((y, m, d) > last);
            last = (y, m, d);
        }
        assert_eq!(days_from_civil(2023, 2, 29), None);
        assert_eq!(days_from_civil(2024, 2, 29), Some(19_782));
        assert_eq!(days_from_civil(1900, 2, 29), None);
        assert_eq!(civil_from_days(i64::MAX).1.clamp(1, 12), civil_from_days(i64::MAX).1);
    }
}
