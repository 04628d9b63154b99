//! The grammar of JSON (RFC 8259) as a walk over bytes: nothing is built, what is found is told as ranges of the data.
//!
//! A record is a line, and no line end can stand in it: white space does not go over one, and a string cannot hold one.

use std::ops::Range;

/// Arrays and objects in each other, at most: each is a call on the stack.
const DEEPEST: usize = 128;

/// What is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The byte at which it shows.
    pub(super) at: usize,
    /// What was to stand there, or what is wrong.
    pub(super) what: &'static str,
}

fn wrong<T>(at: usize, what: &'static str) -> Result<T, Wrong> {
    Err(Wrong { at, what })
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    /// A string; whether some character of it is escaped.
    Text {
        escaped: bool,
    },
    Object,
    Array,
}

/// A key, without its quotes.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) text: Range<usize>,
    pub(super) escaped: bool,
}

/// The first byte at or after `at` that is no white space within a line.
#[inline(always)]
pub(super) fn space(data: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r') = data.get(at) {
        at += 1;
    }
    at
}

/// The members of the object whose `{` is the byte before `at`: `each` is told the key and where its value begins, and says where it
/// ends. Returns the place after the `}`.
#[inline]
pub(super) fn members<E: From<Wrong>>(
    data: &[u8],
    at: usize,
    mut each: impl FnMut(Key, usize) -> Result<usize, E>,
) -> Result<usize, E> {
    let mut at = space(data, at);
    if data.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        if data.get(at) != Some(&b'"') {
            return Err(Wrong { at, what: "expected a key in double quotes" }.into());
        }
        let (end, escaped) = string(data, at + 1)?;
        let key = Key { text: at + 1..end, escaped };
        at = space(data, end + 1);
        if data.get(at) != Some(&b':') {
            return Err(Wrong { at, what: "expected ':' after the key" }.into());
        }
        at = space(data, at + 1);
        at = space(data, each(key, at)?);
        match data.get(at) {
            Some(b',') => at = space(data, at + 1),
            Some(b'}') => return Ok(at + 1),
            _ => return Err(Wrong { at, what: "expected ',' or '}'" }.into()),
        }
    }
}

/// The value at `at`: its kind, and the place after it.
#[inline]
pub(super) fn value(data: &[u8], at: usize) -> Result<(Kind, usize), Wrong> {
    match data.get(at) {
        Some(b'"') => string(data, at + 1).map(|(end, escaped)| (Kind::Text { escaped }, end + 1)),
        Some(b'-' | b'0'..=b'9') => Ok((Kind::Number, number(data, at)?)),
        _ => other(data, at, DEEPEST),
    }
}

/// A value within `deep` more arrays or objects.
fn other(data: &[u8], at: usize, deep: usize) -> Result<(Kind, usize), Wrong> {
    let within = |at| match data.get(at) {
        Some(b'{' | b'[') if deep == 0 => wrong(at, "more than 128 arrays and objects in each other"),
        Some(b'{' | b'[') => other(data, at, deep - 1).map(|(_, end)| end),
        _ => value(data, at).map(|(_, end)| end),
    };
    match data.get(at) {
        Some(b'{') => Ok((Kind::Object, members(data, at + 1, |_, at| within(at))?)),
        Some(b'[') => {
            let mut at = space(data, at + 1);
            if data.get(at) == Some(&b']') {
                return Ok((Kind::Array, at + 1));
            }
            loop {
                at = space(data, within(at)?);
                match data.get(at) {
                    Some(b',') => at = space(data, at + 1),
                    Some(b']') => return Ok((Kind::Array, at + 1)),
                    _ => return wrong(at, "expected ',' or ']'"),
                }
            }
        }
        Some(b't') if data[at..].starts_with(b"true") => Ok((Kind::Bool, at + 4)),
        Some(b'f') if data[at..].starts_with(b"false") => Ok((Kind::Bool, at + 5)),
        Some(b'n') if data[at..].starts_with(b"null") => Ok((Kind::Null, at + 4)),
        Some(b'N' | b'I' | b'i') => wrong(at, "JSON has no such number; write it as a string, or null"),
        Some(b'\'') => wrong(at, "strings stand in double quotes"),
        None | Some(b'\n') => wrong(at, "the line ends before its object does"),
        _ => wrong(at, "expected a value"),
    }
}

/// The place after the number at `at`.
fn number(data: &[u8], at: usize) -> Result<usize, Wrong> {
    let digits = |mut at: usize| {
        let from = at;
        while let Some(b'0'..=b'9') = data.get(at) {
            at += 1;
        }
        if at == from { wrong(at, "expected a digit") } else { Ok(at) }
    };
    let first = at + usize::from(data.get(at) == Some(&b'-'));
    let mut at = digits(first)?;
    if data.get(first) == Some(&b'0') && at > first + 1 {
        return wrong(first, "a number does not begin with a zero");
    }
    if data.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = data.get(at) {
        at = digits(at + 1 + usize::from(matches!(data.get(at + 1), Some(b'+' | b'-'))))?;
    }
    Ok(at)
}

/// The place of the quote that closes the string that begins at `at`, and whether some character of it is escaped.
#[inline]
fn string(data: &[u8], mut at: usize) -> Result<(usize, bool), Wrong> {
    let mut escaped = false;
    loop {
        at = plain(data, at);
        match data.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = match data.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
                    Some(b'u') if unit(data, at + 2).is_some() => at + 6,
                    Some(b'u') => return wrong(at, "expected four hexadecimal digits after \\u"),
                    _ => return wrong(at, "no escape of JSON"),
                }
            }
            None | Some(b'\n') => return wrong(at, "nothing closes the string before the line ends"),
            _ => return wrong(at, "a control character in a string; write it as \\u and four digits"),
        }
    }
}

/// The first byte at or after `at` that is a quote, a backslash or a control character.
#[inline(always)]
fn plain(data: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    // Of each sum only the lowest set bit is exact (Warren, "Hacker's Delight", 6-1), and the lowest of all is wanted.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(chunk) = data.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let low = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | low) & TOPS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while data.get(at).is_some_and(|&byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        at += 1;
    }
    at
}

/// The number that four hexadecimal digits at `at` are.
fn unit(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.iter().try_fold(0, |unit, &byte| Some(unit << 4 | char::from(byte).to_digit(16)?))
}

/// Appends the text of a string, whose escapes are well-formed, as it reads. False if a surrogate in it has no partner.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let code = match rest.get(at + 1) {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => 10,
            Some(b'r') => 13,
            Some(b't') => 9,
            Some(b'u') => {
                let Some(high) = unit(rest, at + 2) else { return false };
                rest = &rest[4..];
                match high {
                    0xd800..0xdc00 if rest.get(at + 2..at + 4) == Some(b"\\u") => match unit(rest, at + 4) {
                        Some(low @ 0xdc00..0xe000) => {
                            rest = &rest[6..];
                            0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00))
                        }
                        _ => return false,
                    },
                    high => high,
                }
            }
            Some(&byte) => byte.into(),
            None => return false,
        };
        let Some(character) = char::from_u32(code) else { return false };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str) -> Result<Kind, Wrong> {
        let data = text.as_bytes();
        let (kind, end) = value(data, space(data, 0))?;
        let end = space(data, end);
        if end == data.len() { Ok(kind) } else { wrong(end, "more") }
    }

    #[test]
    fn values_are_known_by_their_kinds() {
        for (text, want) in [
            ("null", Kind::Null),
            ("true", Kind::Bool),
            ("-0.5e+7", Kind::Number),
            ("\"abcdefghijk\"", Kind::Text { escaped: false }),
            ("\"abcdefgh\\u00e9\"", Kind::Text { escaped: true }),
            (" {\t\"a\" : [ 1 ,{ } , [] ],\r\"b\":\"\"} ", Kind::Object),
            ("[[[]]]", Kind::Array),
        ] {
            assert_eq!(whole(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_where_it_stands() {
        for (text, at, what) in [
            ("{\"a\":01}", 5, "begin with a zero"),
            ("{\"a\":1,}", 7, "expected a key"),
            ("{\"a\" 1}", 5, "expected ':'"),
            ("[1 2]", 3, "expected ',' or ']'"),
            ("{\"a\":NaN}", 5, "no such number"),
            ("{\"a\":1.}", 7, "expected a digit"),
            ("\"\t\"", 1, "control character"),
            ("\"\\x\"", 1, "no escape"),
            ("\"\\u12g4\"", 1, "four hexadecimal"),
            ("\"ab", 3, "nothing closes"),
            ("{\"a\":\n1}", 5, "the line ends"),
            ("'a'", 0, "double quotes"),
            ("tru", 0, "expected a value"),
        ] {
            let found = whole(text).unwrap_err();
            assert!(found.at == at && found.what.contains(what), "{text}: {found:?}");
        }
        assert!(whole(&"[".repeat(200_000)).is_err());
        let deep = |n| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert_eq!((whole(&deep(128)), whole(&deep(130)).is_err()), (Ok(Kind::Array), true));
    }

    #[test]
    fn escapes_read_as_what_they_mean() {
        let read = |text: &str| {
            let mut out = vec![];
            unescape(text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
        };
        assert_eq!(read(r#"a\"\\\/\b\f\n\r\t\u00e9\uD83d\ude00z"#).unwrap(), "a\"\\/\u{8}\u{c}\n\r\té😀z");
        for text in [r"\ud83d", r"\ud83dx", r"\ud83d\u0041", r"\ude00"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_another_reader_takes_is_taken(
            text in r#"([{}\[\],: ]|"a"|"\\n"|"\\u00e9"|-?(0|1|10|01)|1\.5|1e|2E-3|true|null|nul|"[a-z]{0,20}"|\t|"){0,14}"#,
        ) {
            let other = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(whole(&text).is_ok(), other, "{:?}", text);
        }

        #[test]
        fn a_string_ends_where_it_ends(text in r#"[a-zé\u{0}-\u{1f}"\\\u{7f}-\u{a0}]{0,40}"#, tail in "[a-z]{0,9}") {
            let json = serde_json::to_string(&text).unwrap();
            let data = format!("{json}{tail}");
            let (kind, end) = value(data.as_bytes(), 0).unwrap();
            prop_assert_eq!(end, json.len());
            let mut out = vec![];
            prop_assert!(unescape(&data.as_bytes()[1..end - 1], &mut out));
            prop_assert_eq!(out == json.as_bytes()[1..end - 1], kind == Kind::Text { escaped: false });
            prop_assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
