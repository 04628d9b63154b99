//! String functions, one value at a time. Programs call them once for each distinct string ([`Op::StrLut`]) or, where
//! an argument changes from row to row, once a row ([`Op::StrRow`]).
//!
//! [`Op::StrLut`]: super::Op::StrLut
//! [`Op::StrRow`]: super::Op::StrRow

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::parse_value::parse_value;
use crate::column::{Type, Value};

/// The functions.
#[derive(Debug, Clone, PartialEq)]
pub enum TextFn {
    /// (a, b): a = b
    Eq,
    /// (a, b): a < b, by bytes
    Lt,
    /// (a, b): a ≤ b
    Le,
    /// (s, a, b, …): whether s is one of the others
    In,
    /// (s, pattern)
    Like {
        /// `ilike`
        case_insensitive: bool,
        /// The escape character.
        escape: Option<char>,
    },
    /// (s, regular expression): whether it matches somewhere
    Regexp,
    /// (s, regular expression) or (s, regular expression, group): what matches first, or that group of it; '' if nothing does
    RegexpExtract,
    /// (s, separator, n): part n of those between separators, counted from 1; a negative n counts from the end; '' if there is none
    SplitPart,
    /// (s, prefix)
    StartsWith,
    /// (s, suffix)
    EndsWith,
    /// (s, part)
    Contains,
    /// (s)
    Lower,
    /// (s)
    Upper,
    /// (s): without white space at the ends chosen; (s, characters): without those
    Trim {
        /// At the start.
        start: bool,
        /// At the end.
        end: bool,
    },
    /// (s): characters
    Length,
    /// (s, from) or (s, from, length), counted in characters from 1; a negative `from` counts from the end
    Substr,
    /// (s, n): the first n characters; all but the last −n if n is negative
    Left,
    /// (s, n): the last n characters; all but the first −n if n is negative
    Right,
    /// (s, old, new)
    Replace,
    /// (a, b, …): one after the other
    Concat,
    /// (a, b, …): likewise, nulls skipped
    ConcatSkipNull,
    /// (s): read as a value of this type
    Parse(Type),
}

impl TextFn {
    /// Its name, for messages and plans.
    pub fn name(&self) -> &'static str {
        match self {
            TextFn::Eq => "=",
            TextFn::Lt => "<",
            TextFn::Le => "<=",
            TextFn::In => "in",
            TextFn::Like { case_insensitive: false, .. } => "like",
            TextFn::Like { case_insensitive: true, .. } => "ilike",
            TextFn::Regexp => "regexp_matches",
            TextFn::RegexpExtract => "regexp_extract",
            TextFn::SplitPart => "split_part",
            TextFn::StartsWith => "starts_with",
            TextFn::EndsWith => "ends_with",
            TextFn::Contains => "contains",
            TextFn::Lower => "lower",
            TextFn::Upper => "upper",
            TextFn::Trim { start: true, end: true } => "trim",
            TextFn::Trim { start: true, .. } => "ltrim",
            TextFn::Trim { .. } => "rtrim",
            TextFn::Length => "length",
            TextFn::Substr => "substr",
            TextFn::Left => "left",
            TextFn::Right => "right",
            TextFn::Replace => "replace",
            TextFn::Concat => "||",
            TextFn::ConcatSkipNull => "concat",
            TextFn::Parse(_) => "cast",
        }
    }
}

/// A function with those of its parameters that are constant.
#[derive(Clone)]
pub struct TextCall {
    /// The function.
    pub function: TextFn,
    /// Its parameters in order: the constants, and `None` for each one that a node's argument fills.
    pub params: Vec<Option<Value>>,
    /// What is worked out once: the pattern of `like` and `regexp_matches`, the set of `in`.
    prepared: Prepared,
}

#[derive(Clone)]
enum Prepared {
    Nothing,
    Pattern(Regex),
    Set(Arc<HashSet<Arc<str>>>),
}

impl std::fmt::Debug for TextCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}{:?}", self.function, self.params)
    }
}

impl PartialEq for TextCall {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function && self.params == other.params
    }
}

impl TextCall {
    /// A call; an error says what is wrong with a constant pattern.
    pub(crate) fn new(function: TextFn, params: Vec<Option<Value>>) -> Result<Self, String> {
        let prepared = match (&function, params.get(1)) {
            (TextFn::Like { .. } | TextFn::Regexp | TextFn::RegexpExtract, Some(Some(Value::Str(pattern)))) => {
                Prepared::Pattern(pattern_of(&function, pattern)?)
            }
            (TextFn::In, _) if params[1..].iter().all(|p| matches!(p, Some(Value::Str(_)))) => {
                let set = params[1..].iter().filter_map(|p| match p {
                    Some(Value::Str(text)) => Some(Arc::clone(text)),
                    _ => None,
                });
                Prepared::Set(Arc::new(set.collect()))
            }
            _ => Prepared::Nothing,
        };
        if let (TextFn::RegexpExtract, Prepared::Pattern(regex), Some(Some(Value::Int(group)))) =
            (&function, &prepared, params.get(2))
        {
            group_of(regex, *group)?;
        }
        Ok(TextCall { function, params, prepared })
    }

    /// Whether a call may give an error.
    pub(crate) fn can_fail(&self) -> bool {
        match &self.function {
            TextFn::Parse(ty) => *ty != Type::Str,
            TextFn::Like { .. } | TextFn::Regexp => !matches!(self.prepared, Prepared::Pattern(_)),
            // A pattern that is none, or a group that it does not have; those that are constant have been looked at.
            TextFn::RegexpExtract => {
                !matches!((&self.prepared, self.params.get(2)), (Prepared::Pattern(_), None | Some(Some(_))))
            }
            TextFn::Substr => self.params.get(2).is_some_and(|p| !matches!(p, Some(Value::Int(0..)))),
            _ => false,
        }
    }

    /// The result for the arguments that fill the open parameters, in order.
    ///
    /// # Errors
    /// What went wrong, for a message: a text that cannot be read as the type, a bad pattern.
    pub fn apply(&self, args: &[Value]) -> Result<Value, String> {
        let mut args = args.iter();
        let values: Vec<&Value> =
            self.params.iter().map(|p| p.as_ref().or_else(|| args.next()).unwrap_or(&Value::Null)).collect();
        if self.function == TextFn::ConcatSkipNull {
            return Ok(Value::Str(values.iter().map(|v| text_of(v)).collect::<String>().into()));
        }
        if values.iter().any(|v| v.is_null()) {
            return Ok(Value::Null);
        }
        let s = |i: usize| values.get(i).map_or("", |v| text_of(v));
        let n = |i: usize| match values.get(i) {
            Some(Value::Int(n)) => *n,
            _ => 0,
        };
        Ok(match &self.function {
            TextFn::Eq => Value::Bool(s(0) == s(1)),
            TextFn::Lt => Value::Bool(s(0) < s(1)),
            TextFn::Le => Value::Bool(s(0) <= s(1)),
            TextFn::In => Value::Bool(match &self.prepared {
                Prepared::Set(set) => set.contains(s(0)),
                _ => (1..values.len()).any(|i| s(i) == s(0)),
            }),
            TextFn::Like { .. } | TextFn::Regexp => Value::Bool(match &self.prepared {
                Prepared::Pattern(regex) => regex.is_match(s(0)),
                _ => pattern_of(&self.function, s(1))?.is_match(s(0)),
            }),
            TextFn::RegexpExtract => {
                let made;
                let regex = match &self.prepared {
                    Prepared::Pattern(regex) => regex,
                    _ => {
                        made = pattern_of(&self.function, s(1))?;
                        &made
                    }
                };
                let group = group_of(regex, if values.len() > 2 { n(2) } else { 0 })?;
                string(regex.captures(s(0)).and_then(|found| found.get(group)).map_or("", |found| found.as_str()))
            }
            TextFn::SplitPart => string(split_part(s(0), s(1), n(2))),
            TextFn::StartsWith => Value::Bool(s(0).starts_with(s(1))),
            TextFn::EndsWith => Value::Bool(s(0).ends_with(s(1))),
            TextFn::Contains => Value::Bool(s(0).contains(s(1))),
            TextFn::Lower => string(s(0).to_lowercase()),
            TextFn::Upper => string(s(0).to_uppercase()),
            TextFn::Trim { start, end } => {
                let cut = |c: char| if values.len() > 1 { s(1).contains(c) } else { c.is_whitespace() };
                let text = if *start { s(0).trim_start_matches(cut) } else { s(0) };
                string(if *end { text.trim_end_matches(cut) } else { text })
            }
            TextFn::Length => Value::Int(s(0).chars().count() as i64),
            TextFn::Substr => {
                let length = if values.len() > 2 { n(2) } else { i64::MAX };
                if length < 0 {
                    return Err(format!("substr with a negative length ({length})"));
                }
                string(substr(s(0), n(1), length))
            }
            TextFn::Left => string(left(s(0), n(1))),
            TextFn::Right => string(right(s(0), n(1))),
            // An empty text is found nowhere (Rust would find it everywhere).
            TextFn::Replace if s(1).is_empty() => string(s(0)),
            TextFn::Replace => string(s(0).replace(s(1), s(2))),
            TextFn::Concat | TextFn::ConcatSkipNull => string(values.iter().map(|v| text_of(v)).collect::<String>()),
            TextFn::Parse(ty) => return parse_value(s(0), ty),
        })
    }
}

fn text_of(value: &Value) -> &str {
    match value {
        Value::Str(text) => text,
        _ => "",
    }
}

fn string<'a>(text: impl Into<Cow<'a, str>>) -> Value {
    Value::Str(text.into().into())
}

/// The byte at which character `n` (0-based) starts, or the end.
fn byte_of(text: &str, n: i64) -> usize {
    usize::try_from(n).ok().and_then(|n| text.char_indices().nth(n)).map_or(text.len(), |(at, _)| at)
}

/// A group of a pattern, if it has so many.
fn group_of(regex: &Regex, group: i64) -> Result<usize, String> {
    let has = regex.captures_len();
    usize::try_from(group)
        .ok()
        .filter(|group| *group < has)
        .ok_or_else(|| format!("the pattern '{regex}' has no group {group}: it has {}", has - 1))
}

fn split_part<'t>(text: &'t str, separator: &str, n: i64) -> &'t str {
    let at = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
    let Some(at) = at.checked_sub(1) else { return "" };
    let part = match separator {
        // Nothing separates nothing: the text is its only part.
        "" => (at == 0).then_some(text),
        _ if n > 0 => text.split(separator).nth(at),
        _ => text.rsplit(separator).nth(at),
    };
    part.unwrap_or("")
}

fn substr(text: &str, from: i64, length: i64) -> &str {
    let first = if from < 0 { text.chars().count() as i64 + from } else { from - 1 };
    let last = first.saturating_add(length).max(0);
    let (start, end) = (byte_of(text, first.max(0)), byte_of(text, last));
    text.get(start..end).unwrap_or("")
}

fn left(text: &str, n: i64) -> &str {
    let n = if n < 0 { (text.chars().count() as i64).saturating_add(n).max(0) } else { n };
    &text[..byte_of(text, n)]
}

fn right(text: &str, n: i64) -> &str {
    let skip = if n < 0 { n.saturating_neg() } else { (text.chars().count() as i64).saturating_sub(n).max(0) };
    &text[byte_of(text, skip)..]
}

fn pattern_of(function: &TextFn, pattern: &str) -> Result<Regex, String> {
    let (source, insensitive) = match function {
        TextFn::Like { case_insensitive, escape } => (like_to_regex(pattern, *escape)?, *case_insensitive),
        _ => (pattern.to_owned(), false),
    };
    RegexBuilder::new(&source)
        .case_insensitive(insensitive)
        .build()
        .map_err(|e| format!("bad pattern '{pattern}': {e}"))
}

/// `%` is any text, `_` one character, the escape character takes the meaning from the one after it.
fn like_to_regex(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut regex = String::from("(?s)^");
    let mut chars = pattern.chars();
    let mut buffer = [0; 4];
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) => regex.push_str(&regex::escape(next.encode_utf8(&mut buffer))),
                None => return Err(format!("the pattern '{pattern}' ends with its escape character")),
            },
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut buffer))),
        }
    }
    regex.push('$');
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(function: TextFn, args: &[Value]) -> Result<Value, String> {
        // Open parameters and constants must agree.
        let open = TextCall::new(function.clone(), vec![None; args.len()])?.apply(args);
        let constant = TextCall::new(function, args.iter().cloned().map(Some).collect()).and_then(|c| c.apply(&[]));
        assert_eq!(open.is_ok(), constant.is_ok());
        if let (Ok(a), Ok(b)) = (&open, &constant) {
            assert_eq!(a, b);
        }
        open
    }

    fn s(text: &str) -> Value {
        Value::Str(text.into())
    }

    #[test]
    fn parts_of_texts_are_found_by_pattern_and_by_separator() {
        let extract = |args: &[Value]| run(TextFn::RegexpExtract, args);
        let url = "https://a.b/c?x=1&channel_id=7e&y=2";
        assert_eq!(extract(&[s(url), s("[?&]channel_id=([^&]*)"), Value::Int(1)]), Ok(s("7e")));
        assert_eq!(extract(&[s(url), s("c.x=.")]), Ok(s("c?x=1")));
        assert_eq!(extract(&[s(url), s("z=(.)"), Value::Int(1)]), Ok(s("")));
        assert_eq!(extract(&[s("b"), s("(a)|b"), Value::Int(1)]), Ok(s("")));
        assert_eq!(extract(&[Value::Null, s("a")]), Ok(Value::Null));
        assert!(extract(&[s(url), s("z"), Value::Int(1)]).unwrap_err().contains("no group 1: it has 0"));
        assert!(extract(&[s(url), s("("), Value::Int(1)]).unwrap_err().contains("bad pattern"));
        let part = |text, separator, n| run(TextFn::SplitPart, &[s(text), s(separator), Value::Int(n)]).unwrap();
        for (n, want) in
            [(1, "https:"), (2, ""), (3, "a.b"), (4, "c"), (5, ""), (0, ""), (-1, "c"), (-4, "https:"), (-5, "")]
        {
            assert_eq!(part("https://a.b/c", "/", n), s(want), "part {n}");
        }
        assert_eq!((part("a--b", "--", 2), part("a", "", 1), part("a", "", 2)), (s("b"), s("a"), s("")));
    }

    #[test]
    fn like_matches_whole_texts() {
        let like =
            |text, pattern, escape| run(TextFn::Like { case_insensitive: false, escape }, &[s(text), s(pattern)]);
        for (text, pattern, want) in [
            ("", "", true),
            ("", "%", true),
            ("a", "", false),
            ("a", "_", true),
            ("é", "_", true),
            ("ab", "_", false),
            ("abc", "a%", true),
            ("abc", "%b%", true),
            ("abc", "b%", false),
            ("a\nb", "a%b", true),
            ("a.c", "a.c", true),
            ("abc", "a.c", false),
            ("ABC", "abc", false),
            ("a%c", "a[%]c", false),
            ("abc\n", "abc", false),
        ] {
            assert_eq!(like(text, pattern, None), Ok(Value::Bool(want)), "{text:?} like {pattern:?}");
        }
        assert_eq!(like("10%", "10!%", Some('!')), Ok(Value::Bool(true)));
        assert_eq!(like("10x", "10!%", Some('!')), Ok(Value::Bool(false)));
        assert!(like("x", "x!", Some('!')).unwrap_err().contains("escape"));
        let ilike = TextFn::Like { case_insensitive: true, escape: None };
        assert_eq!(run(ilike, &[s("ÉA"), s("é_")]), Ok(Value::Bool(true)));
    }

    #[test]
    fn parts_of_texts_count_characters_from_one() {
        let sub = |text, from, len| {
            let got = match len {
                Some(len) => run(TextFn::Substr, &[s(text), Value::Int(from), Value::Int(len)]),
                None => run(TextFn::Substr, &[s(text), Value::Int(from)]),
            };
            match got {
                Ok(Value::Str(text)) => text.to_string(),
                other => format!("{other:?}"),
            }
        };
        for (text, from, len, want) in [
            ("héllo", 2, Some(2), "él"),
            ("héllo", 1, None, "héllo"),
            ("héllo", 0, Some(2), "h"),
            ("héllo", -2, None, "lo"),
            ("héllo", -2, Some(1), "l"),
            ("héllo", -9, Some(5), "h"),
            ("héllo", 6, None, ""),
            ("héllo", 5, Some(i64::MAX), "o"),
            ("héllo", i64::MIN, Some(i64::MAX), "héll"),
            ("héllo", i64::MAX, None, ""),
            ("héllo", 2, Some(0), ""),
            ("", 1, Some(1), ""),
        ] {
            assert_eq!(sub(text, from, len), want, "substr({text}, {from}, {len:?})");
        }
        assert!(run(TextFn::Substr, &[s("a"), Value::Int(1), Value::Int(-1)]).is_err());
        for (n, l, r) in
            [(2, "hé", "lo"), (0, "", ""), (-2, "hél", "llo"), (9, "héllo", "héllo"), (-9, "", ""), (i64::MIN, "", "")]
        {
            assert_eq!(run(TextFn::Left, &[s("héllo"), Value::Int(n)]), Ok(s(l)), "left {n}");
            assert_eq!(run(TextFn::Right, &[s("héllo"), Value::Int(n)]), Ok(s(r)), "right {n}");
        }
    }

    #[test]
    fn the_rest_of_the_functions() {
        let both = TextFn::Trim { start: true, end: true };
        for (function, args, want) in [
            (TextFn::Eq, vec![s("a"), s("a")], Value::Bool(true)),
            (TextFn::Lt, vec![s("Z"), s("a")], Value::Bool(true)),
            (TextFn::Le, vec![s("é"), s("z")], Value::Bool(false)),
            (TextFn::In, vec![s("b"), s("a"), s("b")], Value::Bool(true)),
            (TextFn::In, vec![s("c"), s("a"), s("b")], Value::Bool(false)),
            (TextFn::Regexp, vec![s("flight 12"), s(r"\d+$")], Value::Bool(true)),
            (TextFn::StartsWith, vec![s("abc"), s("ab")], Value::Bool(true)),
            (TextFn::EndsWith, vec![s("abc"), s("bc")], Value::Bool(true)),
            (TextFn::Contains, vec![s("abc"), s("")], Value::Bool(true)),
            (TextFn::Contains, vec![s("abc"), s("x")], Value::Bool(false)),
            (TextFn::Lower, vec![s("ÀB")], s("àb")),
            (TextFn::Upper, vec![s("straße")], s("STRASSE")),
            (both.clone(), vec![s(" \ta b\n")], s("a b")),
            (both.clone(), vec![s("xxaxx"), s("x")], s("a")),
            (both, vec![s("xyx"), s("xy")], s("")),
            (TextFn::Trim { start: true, end: false }, vec![s(" a ")], s("a ")),
            (TextFn::Trim { start: false, end: true }, vec![s(" a ")], s(" a")),
            (TextFn::Length, vec![s("héllo")], Value::Int(5)),
            (TextFn::Replace, vec![s("aXbX"), s("X"), s("--")], s("a--b--")),
            (TextFn::Replace, vec![s("ab"), s(""), s("-")], s("ab")),
            (TextFn::Concat, vec![s("a"), s(""), s("b")], s("ab")),
            (TextFn::Concat, vec![s("a"), Value::Null], Value::Null),
            (TextFn::ConcatSkipNull, vec![s("a"), Value::Null, s("b")], s("ab")),
            (TextFn::Parse(Type::Int64), vec![s("12")], Value::Int(12)),
            (TextFn::Lower, vec![Value::Null], Value::Null),
        ] {
            assert_eq!(run(function.clone(), &args), Ok(want), "{function:?} {args:?}");
        }
        assert!(TextCall::new(TextFn::Regexp, vec![None, Some(s("("))]).unwrap_err().contains("bad pattern '('"));
    }
}
