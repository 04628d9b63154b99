//! Guesses from the first records: the delimiter, the header, and each column's type.
//!
//! The rule for types: the first of int64, decimal(38,0) (integers beyond int64), float64, date, timestamp(us),
//! timestamp(ns), bool (`true` and `false` only) that reads every value that is not null; else string. A column without a
//! value is a string. [`wider`] is the rule for a later value that does not fit.

use super::boundary::{cut, records};
use super::column::{Nulls, trim};
use super::parse;
use super::tokenize::{Fields, split};
use crate::column::{Type, Unit};

/// Records that are looked at, at most.
pub(in crate::input) const RECORDS: usize = 20_000;
/// Bytes that are looked at, at most (one record at least).
pub(in crate::input) const BYTES: usize = 4 << 20;

/// Types in the order of the rule, but string.
pub(in crate::input) const LADDER: [Type; 7] = [
    Type::Int64,
    Type::Decimal { precision: 38, scale: 0 },
    Type::Float64,
    Type::Date,
    Type::Timestamp(Unit::Micro),
    Type::Timestamp(Unit::Nano),
    Type::Bool,
];

/// Whether an inferred column of type `ty` can hold the text.
fn fits(ty: &Type, text: &[u8]) -> bool {
    match ty {
        Type::Int64 => parse::int(text).is_some(),
        Type::Decimal { .. } => parse::wide(text).is_some(),
        Type::Float64 => parse::float64(text).is_some(),
        Type::Date => parse::date(text).is_some(),
        Type::Timestamp(unit) => parse::timestamp(text, *unit).is_some(),
        Type::Bool => parse::plain_bool(text).is_some(),
        _ => false,
    }
}

/// What a column's values were so far.
#[derive(Clone)]
struct Guess {
    /// Bit i: `LADDER[i]` still fits.
    fit: u8,
    any: bool,
}

impl Guess {
    fn see(&mut self, raw: &[u8], nulls: &Nulls) {
        if self.fit == 0 {
            return;
        }
        let text = parse::unquote(raw);
        let text = trim(&text);
        if nulls.has(text) {
            return;
        }
        self.any = true;
        self.fit = narrow(self.fit, text);
    }
}

/// The types of the ladder, a bit each, of those in `fit` that also hold the text.
pub(in crate::input) fn narrow(mut fit: u8, text: &[u8]) -> u8 {
    for (i, ty) in LADDER.iter().enumerate() {
        if fit >> i & 1 != 0 {
            if fits(ty, text) {
                // What an int64 is, the wider numbers are too: they need no look.
                if i == 0 {
                    return fit & 0b111;
                }
            } else {
                fit &= !(1 << i);
            }
        }
    }
    fit
}

/// A column's inferred type.
#[derive(Clone)]
pub(super) struct Inferred {
    /// The type.
    pub(super) ty: Type,
    /// Whether the sample held no value of it.
    pub(super) empty: bool,
}

/// Infers the types of all columns from the records that begin at `start`.
pub(super) fn types(data: &[u8], start: usize, columns: usize, delimiter: u8, nulls: &Nulls) -> Vec<Inferred> {
    let end = cut(data, start, delimiter, BYTES, RECORDS).end;
    let data = &data[..end];
    let mut guesses = vec![Guess { fit: u8::MAX >> (8 - LADDER.len()), any: false }; columns];
    let mut fields = Fields::new(columns);
    let mut at = start;
    while at < end {
        at = fields.fill(data, at, 1 << 16, delimiter);
        for (c, guess) in guesses.iter_mut().enumerate() {
            for field in fields.column(c) {
                guess.see(&data[field], nulls);
            }
        }
    }
    let infer = |g: Guess| {
        let first = g.fit.trailing_zeros() as usize;
        let ty = if g.any { LADDER.get(first).cloned().unwrap_or(Type::Str) } else { Type::Str };
        Inferred { ty, empty: !g.any }
    };
    guesses.into_iter().map(infer).collect()
}

/// The type that holds what `ty` holds and also `text`: int64, then decimal(38,0), then float64; date, then timestamp(us),
/// then timestamp(ns); string where none of them does.
pub(in crate::input) fn wider(ty: &Type, text: &[u8]) -> Type {
    let text = trim(text);
    let ladder = match ty {
        ty if ty.is_integer() => &LADDER[1..3],
        Type::Decimal { .. } => &LADDER[2..3],
        Type::Date => &LADDER[4..6],
        Type::Timestamp(Unit::Second | Unit::Milli) => &LADDER[4..6],
        Type::Timestamp(Unit::Micro) => &LADDER[5..6],
        _ => &[],
    };
    ladder.iter().find(|t| fits(t, text)).cloned().unwrap_or(Type::Str)
}

/// The delimiter: of `,`, tab, `;` and `|` the one that divides the most of the first 100 records as it divides the first,
/// then the one that divides it most finely, then `first`. A file that none divides has one column.
pub(super) fn delimiter(data: &[u8], first: u8) -> u8 {
    const LOOK: usize = 100;
    let score = |&d: &u8| {
        let end = cut(data, 0, d, 1 << 20, LOOK).end;
        let counts: Vec<usize> = records(data, 0, end, d, false).take(LOOK).map(|r| split(&data[r], d).len()).collect();
        let same = counts.iter().filter(|&&n| n == counts[0]).count();
        // No file shows more than LOOK records, so integers can compare the shares.
        if counts.first().is_some_and(|&n| n > 1) {
            (same * 1000 / counts.len(), counts[0], d == first)
        } else {
            (0, 0, d == first)
        }
    };
    [b'|', b';', b'\t', b','].into_iter().max_by_key(score).unwrap_or(first)
}

/// Whether the first record is a header: it is one unless every field of it is a number, a date, a timestamp or null, and not
/// all are null.
pub(super) fn header(record: &[&[u8]], nulls: &Nulls) -> bool {
    let mut values = 0;
    for raw in record {
        let text = parse::unquote(raw);
        let text = trim(&text);
        if nulls.has(text) {
            continue;
        }
        // `nan`, `inf` and `true` may well be names.
        if !text.iter().any(u8::is_ascii_digit) || !LADDER[..6].iter().any(|ty| fits(ty, text)) {
            return true;
        }
        values += 1;
    }
    values == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(text: &str, columns: usize) -> Vec<String> {
        let nulls = Nulls::new(&["", "NA"].map(String::from));
        types(text.as_bytes(), 0, columns, b',', &nulls)
            .into_iter()
            .map(|i| format!("{}{}", i.ty, if i.empty { "?" } else { "" }))
            .collect()
    }

    #[test]
    fn a_column_has_the_narrowest_type_that_holds_its_values() {
        for (text, want) in [
            ("1\n-2\nNA\n", "int64"),
            ("1\n18446744073709551615\n", "decimal(38,0)"),
            ("1\n1.5\n", "float64"),
            ("18446744073709551615\n1.5\n", "float64"),
            ("nan\ninf\n", "float64"),
            ("2013-01-01\nNA\n", "date"),
            ("2013-01-01\n2013-01-01T05:00:00Z\n", "timestamp(us)"),
            ("2013-01-01\n2013-01-01T05:00:00.000000001\n", "timestamp(ns)"),
            ("true\nFALSE\n", "bool"),
            ("true\n1\n", "string"),
            ("t\nf\n", "string"),
            ("1\nx\n", "string"),
            ("1\n2013-01-01\n", "string"),
            ("NA\n\n", "string?"),
            ("\"7\"\n \"8\"\n", "string"),
            ("\"7\"\n 8 \n\"\"\n", "int64"),
            ("", "string?"),
        ] {
            assert_eq!(infer(text, 1), [want], "{text:?}");
        }
        assert_eq!(infer("1,x\n1\n2.5,NA\n", 2), ["float64", "string"], "a bad record decides nothing");
    }

    #[test]
    fn only_the_first_records_are_looked_at() {
        let text = format!("{}x\n", "1\n".repeat(RECORDS));
        assert_eq!(infer(&text, 1), ["int64"]);
        let text = format!("{}x\n", "1\n".repeat(RECORDS - 1));
        assert_eq!(infer(&text, 1), ["string"]);
    }

    #[test]
    fn a_misfit_widens_up_its_ladder() {
        use Type::*;
        let us = Timestamp(Unit::Micro);
        let huge = Decimal { precision: 38, scale: 0 };
        for (ty, text, want) in [
            (Int64, "1.5", Float64),
            (Int64, "9223372036854775808", huge.clone()),
            (Int64, "x", Str),
            (Int64, "2013-01-01", Str),
            (huge, "1e3", Float64),
            (Date, "2013-01-01 00:00", us.clone()),
            (Date, "x", Str),
            (us.clone(), "2013-01-01 00:00:00.000000001", Timestamp(Unit::Nano)),
            (us, "1", Str),
            (Float64, "x", Str),
            (Bool, "1", Str),
        ] {
            assert_eq!(wider(&ty, text.as_bytes()), want, "{ty} {text}");
        }
    }

    #[test]
    fn the_delimiter_divides_evenly() {
        for (text, want) in [
            ("a,b\n1,2\n", b','),
            ("a\tb,c\n1\t2\n3\t4,5\n", b'\t'),
            ("a;b\n1,5;2,5\n", b';'),
            ("a|b|c\n1|\"x;y\"|3\n", b'|'),
            ("a\n1\n", b','),
            ("", b','),
            ("\"a;b;c\",d\n\"1;2\",3\n", b','),
        ] {
            assert_eq!(delimiter(text.as_bytes(), b','), want, "{text:?}");
        }
        assert_eq!(delimiter(b"a\n1\n", b'\t'), b'\t');
    }

    #[test]
    fn a_header_is_there_unless_all_are_values() {
        let nulls = Nulls::new(&["", "NA"].map(String::from));
        for (text, want) in [
            ("a,b", true),
            ("country,2013,2014", true),
            ("1,2", false),
            ("2013-01-01,NA,1.5", false),
            ("NA,", true),
            ("inf,nan", true),
            ("true,1", true),
        ] {
            assert_eq!(header(&split(text.as_bytes(), b','), &nulls), want, "{text}");
        }
    }
}
