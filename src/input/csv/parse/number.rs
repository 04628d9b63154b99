//! Integers, decimals and floats.

/// Splits a sign off: whether the number is negative, and the rest.
#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

pub(super) const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The number that the first `len` bytes (1 to 8) of a little-endian word spell in decimal digits; `None` if they are not all
/// digits. Eight digits are added up in three multiplications, pairs first.
#[inline(always)]
fn digits(word: u64, len: usize) -> Option<u64> {
    // The bytes move to the end; zeros come in before them.
    let digits = (word ^ ZEROS) << (64 - len * 8);
    if ((digits + 0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = digits * 10 + (digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    Some(low.wrapping_add(high) >> 32)
}

/// The eight bytes of `data` from `at` on.
#[inline(always)]
fn word(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// [`int`] of `data[start..end]`, quick where it has up to 16 digits.
#[inline]
pub(in super::super) fn int_at(data: &[u8], start: usize, end: usize) -> Option<i64> {
    let quick = signed(data, start).and_then(|(negative, first)| {
        let value = match end.wrapping_sub(first) {
            len @ 1..=8 => digits(word(data, first)?, len)?,
            len @ 9..=16 => digits(word(data, first)?, len - 8)? * 100_000_000 + digits(word(data, end - 8)?, 8)?,
            _ => return None,
        };
        Some(with_sign(value, negative))
    });
    quick.or_else(|| int(&data[start..end]))
}

/// Whether the number at `start` is negative, and where its digits begin.
#[inline(always)]
fn signed(data: &[u8], start: usize) -> Option<(bool, usize)> {
    let negative = *data.get(start)? == b'-';
    Some((negative, start + usize::from(negative)))
}

/// Without a branch: signs may come in any order.
#[inline(always)]
fn with_sign(value: u64, negative: bool) -> i64 {
    (value as i64 ^ -i64::from(negative)) + i64::from(negative)
}

/// [`float64`] of `data[start..end]` if it has up to 7 digits before the point and up to 8 after it, no exponent, and some bytes
/// follow it.
#[inline(always)]
fn short_float_at(data: &[u8], start: usize, end: usize) -> Option<f64> {
    let (negative, first) = signed(data, start)?;
    let value = short_float(data, first, end.wrapping_sub(first))?;
    Some(f64::from_bits(value.to_bits() | u64::from(negative) << 63))
}

/// [`float64`] of `data[start..end]`.
#[inline]
pub(in super::super) fn float64_at(data: &[u8], start: usize, end: usize) -> Option<f64> {
    short_float_at(data, start, end).or_else(|| float64(&data[start..end]))
}

/// A number without a sign, below 10^15 units of at most 10^-8: integer and power of ten are floats, and one division rounds
/// once (see [`float64`]).
#[inline(always)]
fn short_float(data: &[u8], first: usize, len: usize) -> Option<f64> {
    if !(1..=16).contains(&len) {
        return None;
    }
    let head = word(data, first)?;
    // The lowest set bit is exact; a byte after a point may seem to be one (Warren, "Hacker's Delight", 6-1).
    let apart = head ^ 0x2e2e_2e2e_2e2e_2e2e;
    let points = apart.wrapping_sub(0x0101_0101_0101_0101) & !apart & 0x8080_8080_8080_8080;
    let point = points.trailing_zeros() as usize / 8;
    if points == 0 || point >= len {
        return (len <= 8).then(|| digits(head, len))?.map(|value| value as i64 as f64);
    }
    let places = len - 1 - point;
    if places > 8 || len == 1 {
        return None;
    }
    if len <= 8 {
        // One word: the digits behind the point move up to those before it.
        let before = (1 << (point * 8)) - 1;
        let value = digits(head & before | head >> 8 & !before, len - 1)?;
        return Some(value as i64 as f64 / POWERS[places]);
    }
    let whole = if point == 0 { 0 } else { digits(head, point)? };
    let part = if places == 0 { 0 } else { digits(word(data, first + point + 1)?, places)? };
    // Signed numbers become floats in one step.
    Some((whole * WHOLE_POWERS[places] + part) as i64 as f64 / POWERS[places])
}

/// Decimal digits only, with a sign or none; exact or `None`.
#[inline]
pub(in super::super) fn int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || digits.len() > 18 {
        return wide(text)?.try_into().ok();
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// The same up to ±(10^38 - 1).
pub(in super::super) fn wide(text: &[u8]) -> Option<i128> {
    decimal(text, 38, 0)
        .filter(|_| text.last().is_some_and(u8::is_ascii_digit) && !text.iter().any(|b| !is_integer(*b)))
}

fn is_integer(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-' || byte == b'+'
}

/// A decimal number with a point or an exponent or neither, as an integer of units of 10^-scale; `None` too if it has more
/// than `precision` digits or is no multiple of the unit.
pub(in super::super) fn decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (negative, body) = sign(text);
    let mut value = 0u128;
    let mut any = false;
    let mut fraction = None;
    // Zeros after the point count only if another digit follows.
    let mut zeros = 0usize;
    let mut exponent = 0i64;
    for (i, &byte) in body.iter().enumerate() {
        match (byte, &mut fraction) {
            (b'0', Some(_)) => (zeros, any) = (zeros + 1, true),
            (b'1'..=b'9', Some(places)) => {
                value = shift(value, zeros as i64 + 1)?.checked_add((byte - b'0').into())?;
                *places += zeros as i64 + 1;
                (zeros, any) = (0, true);
            }
            (b'0'..=b'9', None) => {
                value = value.checked_mul(10)?.checked_add((byte - b'0').into())?;
                any = true;
            }
            (b'.', None) => fraction = Some(0i64),
            (b'e' | b'E', _) if any => {
                let (_, digits) = sign(&body[i + 1..]);
                // Whatever has more digits is zero or out of range anyhow, but no text is worth a special case.
                if digits.len() > 9 {
                    return None;
                }
                exponent = int(&body[i + 1..])?;
                break;
            }
            _ => return None,
        }
    }
    if !any {
        return None;
    }
    let value = shift(value, i64::from(scale) - fraction.unwrap_or(0) + exponent)?;
    let value = i128::try_from(value).ok().filter(|&v| v < 10i128.pow(precision.into()))?;
    Some(if negative { -value } else { value })
}

/// value · 10^places, exactly.
fn shift(value: u128, places: i64) -> Option<u128> {
    if value == 0 || places == 0 {
        return Some(value);
    }
    let factor = 10u128.checked_pow(u32::try_from(places.unsigned_abs()).ok()?)?;
    if places > 0 { value.checked_mul(factor) } else { value.is_multiple_of(factor).then(|| value / factor) }
}

/// 10^0 … 10^22: the powers of ten that are floats.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// 10^0 … 10^8.
const WHOLE_POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The nearest float64; also `inf`, `infinity` and `nan` in any case.
#[inline]
pub(in super::super) fn float64(text: &[u8]) -> Option<f64> {
    let (negative, body) = sign(text);
    // Up to 16 digits without an exponent: an integer below 2^53 over a power of ten that is a float, both exact, so one
    // division rounds once (Clinger, "How to Read Floating Point Numbers Accurately", 1990).
    if body.len() <= 17 {
        let (mut digits, mut mantissa, mut point) = (0, 0u64, usize::MAX);
        for (i, &byte) in body.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                mantissa = mantissa * 10 + u64::from(digit);
                digits += 1;
            } else if byte == b'.' && point == usize::MAX {
                point = i;
            } else {
                return general(body).map(|v: f64| if negative { -v } else { v });
            }
        }
        if digits > 0 && mantissa <= 1 << 53 {
            let places = if point == usize::MAX { 0 } else { body.len() - 1 - point };
            let value = mantissa as f64 / POWERS[places];
            return Some(if negative { -value } else { value });
        }
    }
    general(body).map(|v: f64| if negative { -v } else { v })
}

/// The nearest float32, rounded once.
pub(in super::super) fn float32(text: &[u8]) -> Option<f32> {
    let (negative, body) = sign(text);
    general(body).map(|v: f32| if negative { -v } else { v })
}

/// Any float without a sign. A NaN has one canonical form.
fn general<T: fast_float2::FastFloat + num_traits::Float>(body: &[u8]) -> Option<T> {
    if matches!(body.first(), Some(b'+' | b'-') | None) {
        return None;
    }
    let value: T = fast_float2::parse(body).ok()?;
    Some(if value.is_nan() { T::nan().abs() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_to_the_last_digit() {
        let cases = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("+17", Some(17)),
            ("007", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("00000000000000000000000000000000000000000000000000001", Some(1)),
            ("", None),
            ("-", None),
            ("--1", None),
            ("1.0", None),
            ("1e3", None),
            ("1 ", None),
            ("1_000", None),
            ("１", None),
            ("1-", None),
            ("1000000000000000000+", None),
            ("1000000000000000000-1", None),
        ];
        for (text, want) in cases {
            assert_eq!(int(text.as_bytes()), want, "{text}");
        }
        let nines = "9".repeat(38);
        assert_eq!(wide(nines.as_bytes()), Some(10i128.pow(38) - 1));
        assert_eq!(wide(format!("-{nines}").as_bytes()), Some(1 - 10i128.pow(38)));
        assert_eq!(wide(b"100000000000000000000000000000000000000"), None);
        assert_eq!(wide(b"5."), None);
        assert_eq!(wide(&[b'9'; 5000]), None);
    }

    #[test]
    fn decimals_are_exact_or_nothing() {
        let cases = [
            ("1.5", 5, 2, Some(150)),
            ("-0.01", 5, 2, Some(-1)),
            ("1.50000000000000000000000000000000000000000000000000", 5, 2, Some(150)),
            ("1.005", 5, 2, None),
            ("999.99", 5, 2, Some(99_999)),
            ("1000", 5, 2, None),
            ("-1000", 5, 2, None),
            (".5", 5, 2, Some(50)),
            ("5.", 5, 2, Some(500)),
            (".", 5, 2, None),
            ("", 5, 2, None),
            ("1e2", 5, 2, Some(10_000)),
            ("12.5e-1", 5, 2, Some(125)),
            ("125e-3", 5, 2, None),
            ("1e", 5, 2, None),
            ("e1", 5, 2, None),
            ("0e999999999", 5, 2, Some(0)),
            ("1e999999999", 5, 2, None),
            ("1e-999999999", 5, 2, None),
            ("1.2.3", 5, 2, None),
            ("0.00000000000000000000000000000000000001", 38, 38, Some(1)),
        ];
        for (text, p, s, want) in cases {
            assert_eq!(decimal(text.as_bytes(), p, s), want, "{text}");
        }
        let all = format!("{}.{}", "9".repeat(20), "9".repeat(18));
        assert_eq!(decimal(all.as_bytes(), 38, 18), Some(10i128.pow(38) - 1));
        assert_eq!(decimal(&[b'9'; 40], 38, 0), None);
        let zeros = format!("{}1.5", "0".repeat(100));
        assert_eq!(decimal(zeros.as_bytes(), 3, 1), Some(15));
    }

    #[test]
    fn floats_spell_their_ends() {
        for text in ["inf", "+inf", "Infinity", "INF"] {
            assert_eq!(float64(text.as_bytes()), Some(f64::INFINITY), "{text}");
        }
        assert_eq!(float64(b"-inf"), Some(f64::NEG_INFINITY));
        for text in ["nan", "NaN", "NAN"] {
            assert_eq!(float64(text.as_bytes()).unwrap().to_bits(), f64::NAN.to_bits(), "{text}");
            assert!(float32(text.as_bytes()).unwrap().is_nan());
        }
        assert_eq!(float64(b"-0.0").unwrap().to_bits(), (-0.0f64).to_bits());
        assert_eq!(float64(b"-0").unwrap().to_bits(), (-0.0f64).to_bits());
        assert_eq!(float64(b"9007199254740993"), Some(9007199254740992.0));
        assert_eq!(float64(b"4.9e-324").unwrap().to_bits(), 1);
        assert_eq!(float64(b"1e400"), Some(f64::INFINITY));
        // 1 + 2^-24 + a little: rounding to float64 first would fall on the tie and go down.
        assert_eq!(float32(b"1.00000005960464477540"), Some(1.0000001));
        for text in
            ["", "-", ".", "+-1", "--1", "1e", "1e+", "0x10", "1_0", "1,5", "1 ", " 1", "na", "1.2.3", "infx", "é"]
        {
            assert_eq!(float64(text.as_bytes()), None, "{text}");
            assert_eq!(float32(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn floats_are_what_the_standard_library_reads(text in "[-+]?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][-+]?[0-9]{1,3})?") {
            let want = text.parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(float64(text.as_bytes()).map(f64::to_bits), want);
            let want = text.parse::<f32>().ok().map(f32::to_bits);
            prop_assert_eq!(float32(text.as_bytes()).map(f32::to_bits), want);
        }

        #[test]
        fn numbers_within_text_are_what_they_are_alone(
            text in "[-+]?[0-9]{0,9}[.,e/:x]?[0-9]{0,9}[0-9.]?",
            before in "[-0-9.,]{0,3}",
            after in "[-0-9.,]{0,20}",
        ) {
            let all = format!("{before}{text}{after}");
            let (start, end) = (before.len(), before.len() + text.len());
            prop_assert_eq!(int_at(all.as_bytes(), start, end), int(text.as_bytes()));
            let bits = |float: Option<f64>| float.map(f64::to_bits);
            if let Some(float) = short_float_at(all.as_bytes(), start, end) {
                prop_assert_eq!(bits(Some(float)), bits(float64(text.as_bytes())));
            }
            prop_assert_eq!(bits(float64_at(all.as_bytes(), start, end)), bits(float64(text.as_bytes())));
        }

        #[test]
        fn every_float_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(float64(format!("{value:e}").as_bytes()).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn every_integer_reads_back(v: i64, w in -(10i128.pow(38) - 1)..10i128.pow(38)) {
            prop_assert_eq!(int(v.to_string().as_bytes()), Some(v));
            prop_assert_eq!(wide(w.to_string().as_bytes()), Some(w));
        }
    }
}
