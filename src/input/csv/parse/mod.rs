//! Field texts to values. Pure functions over bytes: `None` where the text is no value of the type.

mod lanes;
mod number;
mod time;

use std::borrow::Cow;

pub(super) use lanes::{LANES, Left, Texts};
pub(super) use number::{decimal, float32, float64, float64_at, int, int_at, wide};
pub(super) use time::{date, timestamp};

use super::QUOTE;

/// The text of a field without its quotes. Only a field that begins with a quote is quoted.
pub(super) fn unquote(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = quoted(raw) else { return Cow::Borrowed(raw) };
    if memchr::memchr(QUOTE, inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(QUOTE, rest) {
        text.extend_from_slice(&rest[..=at]);
        // Inside quotes every quote is doubled.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    Cow::Owned(text)
}

/// What stands between the quotes of a quoted field.
pub(super) fn quoted(raw: &[u8]) -> Option<&[u8]> {
    match raw {
        [QUOTE, inner @ .., QUOTE] => Some(inner),
        _ => None,
    }
}

/// A truth value as a declared bool column may write it, in any case: true/false, t/f, yes/no, y/n, 1/0.
pub(super) fn bool(text: &[u8]) -> Option<bool> {
    let is = |words: [&str; 5]| words.iter().any(|w| text.eq_ignore_ascii_case(w.as_bytes()));
    if is(["true", "t", "yes", "y", "1"]) {
        Some(true)
    } else if is(["false", "f", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// A truth value as inference knows it: true or false, in any case.
pub(super) fn plain_bool(text: &[u8]) -> Option<bool> {
    bool(text).filter(|_| text.len() >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_come_off_and_doubled_ones_become_one() {
        let cases =
            [("a", "a"), ("\"a\"", "a"), ("\"\"", ""), ("\"a\"\"b\"\"\"", "a\"b\""), ("5\"", "5\""), ("\"", "\"")];
        for (raw, text) in cases {
            assert_eq!(&*unquote(raw.as_bytes()), text.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn truth_has_many_names_when_declared_and_two_when_inferred() {
        for (text, loose, plain) in [
            ("TRUE", Some(true), Some(true)),
            ("False", Some(false), Some(false)),
            ("y", Some(true), None),
            ("0", Some(false), None),
            ("2", None, None),
            ("", None, None),
            ("tru", None, None),
        ] {
            assert_eq!((bool(text.as_bytes()), plain_bool(text.as_bytes())), (loose, plain), "{text}");
        }
    }
}
