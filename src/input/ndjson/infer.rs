//! The columns of a sample: its keys, and the types of their values.

use std::collections::HashMap;

use super::json::{Kind, Wrong, members, space, unescape, value};
use crate::column::{FieldType, Type};
use crate::input::csv::{BYTES, LADDER, RECORDS, narrow};

/// Keys that an object in another has at most: one with more is a map, and its keys are data.
const MOST_KEYS: usize = 1000;

/// Types of the ladder, a bit each, that a number can be; a string; a truth value.
const NUMBERS: u8 = 0b000_0111;
const TEXTS: u8 = 0b011_1000;
const BOOLS: u8 = 0b100_0000;

/// The keys of the objects at one place.
#[derive(Default)]
struct Seen {
    index: HashMap<Vec<u8>, usize>,
    keys: Vec<(Vec<u8>, Guess)>,
}

/// What the values of a key were so far.
struct Guess {
    /// Bit i: `LADDER[i]` still fits.
    fit: u8,
    /// Whether there was a value that is no null, array or object.
    any: bool,
    /// Whether a string was a number that JSON has not.
    special: bool,
    arrays: bool,
    objects: bool,
    below: Seen,
}

impl Seen {
    /// Sees the object whose `{` is the byte before `at`.
    fn object(&mut self, data: &[u8], at: usize) -> Result<usize, Wrong> {
        let mut plain = vec![];
        members(data, at, |key, at| {
            let mut name = data[key.text.clone()].to_vec();
            if key.escaped {
                name.clear();
                if !unescape(&data[key.text], &mut name) {
                    return Err(Wrong { at, what: "half a surrogate pair" });
                }
            }
            let next = self.keys.len();
            let slot = *self.index.entry(name.clone()).or_insert(next);
            if slot == next {
                let below = Seen::default();
                let guess = Guess {
                    fit: u8::MAX >> (8 - LADDER.len()),
                    any: false,
                    special: false,
                    arrays: false,
                    objects: false,
                    below,
                };
                self.keys.push((name, guess));
            }
            let guess = &mut self.keys[slot].1;
            if data.get(at) == Some(&b'{') {
                guess.objects = true;
                // A map's keys are not looked at any more.
                if guess.below.keys.len() <= MOST_KEYS {
                    return guess.below.object(data, at + 1);
                }
            }
            let (kind, end) = value(data, at)?;
            let (among, text) = match kind {
                Kind::Null | Kind::Object => return Ok(end),
                Kind::Array => {
                    guess.arrays = true;
                    return Ok(end);
                }
                Kind::Number => (NUMBERS, &data[at..end]),
                Kind::Bool => (BOOLS, &data[at..end]),
                Kind::Text { escaped } => {
                    plain.clear();
                    let inside = &data[at + 1..end - 1];
                    let text = match escaped && unescape(inside, &mut plain) {
                        true => &plain[..],
                        false => inside,
                    };
                    if is_special(text) {
                        guess.special = true;
                        return Ok(end);
                    }
                    (TEXTS, text)
                }
            };
            guess.any = true;
            guess.fit = narrow(guess.fit & among, text);
            Ok(end)
        })
    }

    fn columns(&self, path: &[Vec<u8>], out: &mut Vec<Found>) {
        for (name, guess) in &self.keys {
            let path = [path, std::slice::from_ref(name)].concat();
            let many = guess.below.keys.len() > MOST_KEYS;
            let unsupported = match (guess.arrays, guess.objects, guess.any) {
                (true, ..) => Some("JSON array".to_owned()),
                (_, true, _) if many => Some(format!("JSON object with more than {MOST_KEYS} keys")),
                (_, true, true) => Some("JSON object in some records and other values in others".to_owned()),
                (_, true, false) if guess.below.keys.is_empty() => Some("JSON object without keys".to_owned()),
                _ => None,
            };
            let ty = match unsupported {
                Some(why) => FieldType::Unsupported(why),
                None if guess.special => {
                    let numbers = guess.any && guess.fit & NUMBERS != 0;
                    FieldType::Known(if numbers { Type::Float64 } else { Type::Str })
                }
                None if guess.any => {
                    FieldType::Known(LADDER.get(guess.fit.trailing_zeros() as usize).cloned().unwrap_or(Type::Str))
                }
                None => FieldType::Known(Type::Str),
            };
            // An object is its values.
            if ty != FieldType::Known(Type::Str) || !guess.objects {
                let empty = !(guess.any || guess.special || guess.arrays || guess.objects);
                out.push(Found { paths: vec![path.clone()], ty, empty });
            }
            if !many {
                guess.below.columns(&path, out);
            }
        }
    }
}

/// Whether a string is a number that JSON has not: among numbers it is one.
fn is_special(text: &[u8]) -> bool {
    matches!(text, b"NaN" | b"inf" | b"-inf" | b"Infinity" | b"-Infinity")
}

/// A column of the sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The keys that lead to it, from the outermost on; there may be several ways, by the same name.
    pub(super) paths: Vec<Vec<Vec<u8>>>,
    /// Its type.
    pub(super) ty: FieldType,
    /// Whether the sample held no value of it.
    pub(super) empty: bool,
}

impl Found {
    /// Its keys, between dots.
    pub(super) fn name(&self) -> String {
        let keys = self.paths.first().map(|path| path.join(&b'.')).unwrap_or_default();
        String::from_utf8_lossy(&keys).into_owned()
    }
}

/// The columns of the first records of `data` from `start` on, each name once.
pub(super) fn columns(data: &[u8], start: usize) -> Vec<Found> {
    let mut seen = Seen::default();
    let (mut at, mut records) = (start, 0);
    while at < data.len() && at - start < BYTES && records < RECORDS {
        let end = memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |i| at + i + 1);
        let line = &data[..end];
        let first = space(line, at);
        at = end;
        // A bad record decides nothing.
        if line.get(first) == Some(&b'{')
            && value(line, first).is_ok_and(|(_, end)| matches!(line.get(space(line, end)), None | Some(b'\n')))
        {
            _ = seen.object(line, first + 1);
            records += 1;
        }
    }
    let mut all = vec![];
    seen.columns(&[], &mut all);
    let mut once: Vec<Found> = Vec::with_capacity(all.len());
    let mut names: HashMap<String, usize> = HashMap::new();
    for found in all {
        let next = once.len();
        match *names.entry(found.name()).or_insert(next) {
            at if at == next => once.push(found),
            at => {
                let first = &mut once[at];
                if first.ty != found.ty {
                    first.ty = FieldType::Unsupported("of two keys of one name, whose types differ".into());
                }
                first.empty &= found.empty;
                first.paths.extend(found.paths);
            }
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(text: &str) -> String {
        let show = |f: &Found| {
            let ty = match &f.ty {
                FieldType::Known(ty) => ty.to_string(),
                FieldType::Unsupported(why) => format!("({why})"),
            };
            format!("{}:{ty}{}", f.name(), if f.empty { "?" } else { "" })
        };
        columns(text.as_bytes(), 0).iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_column_has_the_narrowest_type_that_holds_its_values() {
        for (text, want) in [
            ("{\"a\":1}\n{\"a\":null}\n{\"a\":-2}", "a:int64"),
            ("{\"a\":1}\n{\"a\":18446744073709551616}", "a:decimal(38,0)"),
            ("{\"a\":1}\n{\"a\":1.0}", "a:float64"),
            ("{\"a\":1}\n{\"a\":\"NaN\"}\n{\"a\":\"-inf\"}", "a:float64"),
            ("{\"a\":\"NaN\"}", "a:string"),
            ("{\"a\":\"NaN\"}\n{\"a\":\"x\"}", "a:string"),
            ("{\"a\":true}\n{\"a\":false}", "a:bool"),
            ("{\"a\":\"true\"}", "a:string"),
            ("{\"a\":\"7\"}", "a:string"),
            ("{\"a\":\"2024-01-01\"}", "a:date"),
            ("{\"a\":\"2024-01-01\"}\n{\"a\":\"2024-01-01T00:00:00Z\"}", "a:timestamp(us)"),
            ("{\"a\":\"2024-01-01\"}\n{\"a\":\"\"}", "a:string"),
            ("{\"a\":1}\n{\"a\":\"x\"}", "a:string"),
            ("{\"a\":1}\n{\"a\":true}", "a:string"),
            ("{\"a\":null}", "a:string?"),
            (
                "{\"b\":1,\"a\":{\"y\":1.5,\"x\":{\"z\":\"s\"}}}\n{\"c\":1,\"b\":2}",
                "b:int64 a.y:float64 a.x.z:string c:int64",
            ),
            ("{\"a\":[1]}\n{\"a\":null,\"b\":{}}", "a:(JSON array) b:(JSON object without keys)"),
            ("{\"a\":1}\n{\"a\":{\"b\":2}}", "a:(JSON object in some records and other values in others) a.b:int64"),
            ("{\"a\":{\"b\":1},\"a.b\":2}", "a.b:int64"),
            ("{\"a\":{\"b\":1},\"a.b\":true}", "a.b:(of two keys of one name, whose types differ)"),
            ("{\"a\":1}\n{\"a\":x}\n[\"a\"]\n\n{\"a\":2}", "a:int64"),
            ("{\"\\u0061\":1}\n{\"a\":1.5}", "a:float64"),
            ("", ""),
        ] {
            assert_eq!(infer(text), want, "{text}");
        }
    }

    #[test]
    fn a_map_is_no_thousand_columns() {
        let record = |from: usize| {
            let keys: Vec<_> = (from..from + 600).map(|i| format!("\"k{i}\":{i}")).collect();
            format!("{{\"a\":{{{}}},\"b\":1}}\n", keys.join(","))
        };
        assert_eq!(infer(&(record(0) + &record(600))), "a:(JSON object with more than 1000 keys) b:int64");
        assert_eq!(infer(&record(0)).matches("a.k").count(), 600);
    }

    #[test]
    fn only_the_first_records_are_looked_at() {
        let text = |ones| format!("{}{{\"a\":\"x\"}}\n", "{\"a\":1}\n".repeat(ones));
        assert_eq!((infer(&text(RECORDS)), infer(&text(RECORDS - 1))), ("a:int64".into(), "a:string".into()));
    }
}
