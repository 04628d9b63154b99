//! What is wrong with a record, as the error that stops a strict job or the reject a tolerant one keeps.

use super::file::File;
use super::infer::wider;
use super::parse;
use super::tokenize::{BadRecord, Broken};
use crate::column::{Type, Unit};
use crate::input::Reject;
use crate::{Error, Place};

/// Raw text of a reject or a message has at most so many bytes.
const RAW: usize = 4096;

/// A bad record.
pub(super) struct Trouble {
    /// The byte it starts at.
    pub(super) start: usize,
    /// The byte whose line is named.
    line_of: usize,
    /// The column to blame, 0-based.
    column: Option<usize>,
    kind: &'static str,
    message: String,
    found: Option<String>,
    help: String,
    /// The inferred type and the one that would hold the value.
    misfit: Option<(Type, Type)>,
}

impl Trouble {
    /// A record the tokenizer refused.
    pub(super) fn record(file: &File, bad: BadRecord) -> Trouble {
        let (start, expected) = (bad.start, file.names.len());
        let (line_of, kind, message, help) = match bad.broken {
            Broken::Fields { found } => (
                start,
                if found < expected { "missing_columns" } else { "too_many_columns" },
                format!("{found} fields found, {expected} expected"),
                "a field that holds the delimiter or a line end must be quoted",
            ),
            Broken::AfterQuote { at } => (
                at,
                "bad_quote",
                format!("text after the closing quote of a field, at byte {at}"),
                "inside a quoted field write a quote as two",
            ),
            Broken::Unclosed { at } => (
                at,
                "unterminated_quote",
                "nothing closes the quoted field that begins here".to_owned(),
                "add the closing quote, or quote a field that begins with a quote",
            ),
            Broken::TooLong => {
                (start, "too_long", "the record has 4 GiB or more".to_owned(), "a quote may be out of place")
            }
        };
        let found = Some(file.raw(start));
        Trouble { start, line_of, column: None, kind, message, found, help: help.to_owned(), misfit: None }
    }

    /// A field of the record at `start` that is no value of its column's type.
    pub(super) fn field(file: &File, start: usize, column: usize, raw: &[u8], ty: &Type, inferred: bool) -> Trouble {
        let text = parse::unquote(raw);
        let found = Some(lossy(&text));
        let line_of = start;
        let column_name = &file.names[column];
        if *ty == Type::Str {
            let message = "not valid UTF-8".to_owned();
            let help = "convert the file to UTF-8, for example with iconv".to_owned();
            return Trouble {
                start,
                line_of,
                column: Some(column),
                kind: "invalid_utf8",
                message,
                found,
                help,
                misfit: None,
            };
        }
        let wide = wider(ty, &text);
        Trouble {
            start,
            line_of,
            column: Some(column),
            kind: "cast",
            message: why(ty, &text),
            found,
            help: format!("--schema '{column_name}:{wide}' would read it; --null-values names texts that mean null"),
            misfit: inferred.then(|| (ty.clone(), wide)),
        }
    }

    /// Whether it stops even a tolerant job: the column is merely wider than the sample showed (int64 to float64, date to
    /// timestamp …). A text among numbers, which only a string column would hold, is a bad row instead.
    pub(super) fn is_widening(&self) -> bool {
        matches!(&self.misfit, Some((_, wider)) if *wider != Type::Str)
    }

    fn place(&self, file: &File) -> Place {
        Place {
            line: Some(file.line(self.line_of)),
            column: self.column.map(|c| file.names[c].clone()),
            ..file.place(self.start)
        }
    }

    /// The error that stops the job.
    pub(super) fn into_error(self, file: &File) -> Error {
        let place = Box::new(self.place(file));
        match self.misfit {
            Some((inferred, wider)) => Error::Misfit { place, found: self.found.unwrap_or_default(), inferred, wider },
            None => Error::Data { place, message: self.message, found: self.found, help: Some(self.help) },
        }
    }

    /// The row set aside.
    pub(super) fn into_reject(self, file: &File) -> Reject {
        Reject {
            place: self.place(file),
            column_index: self.column.map(|c| c + 1),
            error_type: self.kind,
            message: match (&self.found, self.column) {
                (Some(found), Some(_)) => format!("'{found}': {}", self.message),
                _ => self.message,
            },
            raw: file.raw(self.start),
        }
    }
}

/// Text for a message: capped, and with whatever is no UTF-8 replaced.
pub(in crate::input) fn lossy(text: &[u8]) -> String {
    let mut out = String::from_utf8_lossy(&text[..text.len().min(RAW)]).into_owned();
    if text.len() > RAW {
        // The cap may have cut a character.
        let cut = out.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
        if text[..RAW].last().is_some_and(|b| !b.is_ascii()) {
            out.truncate(cut);
        }
        out.push('…');
    }
    out
}

/// Why a text is no value of the type.
pub(in crate::input) fn why(ty: &Type, text: &[u8]) -> String {
    let text = super::column::trim(text);
    let number = parse::decimal(text, 38, 0).is_some() || parse::float64(text).is_some();
    match ty {
        Type::Decimal { precision, scale } if number => {
            format!("does not fit {ty}: at most {} digits before the point and {scale} after", precision - scale)
        }
        ty if ty.is_integer() && is_integer(text) => match ty.integer_range() {
            Some((low, high)) => format!("out of range for {ty} ({low} to {high})"),
            None => format!("out of range for {ty}"),
        },
        ty if ty.is_integer() => format!("not an integer ({ty})"),
        Type::Date => "not a date (YYYY-MM-DD)".into(),
        Type::Timestamp(unit) => {
            let finest = parse::timestamp(text, Unit::Nano).is_some();
            if finest {
                format!("finer than {ty}, which has {} digits after the second", unit.digits())
            } else {
                format!("not a {ty} (YYYY-MM-DDTHH:MM:SS[.fraction][Z|±HH:MM], and in its range)")
            }
        }
        Type::Bool => "not a bool (true or false)".into(),
        _ => format!("not a {ty}"),
    }
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_the_limit() {
        let dec = Type::Decimal { precision: 5, scale: 2 };
        for (ty, text, want) in [
            (Type::Int8, "300", "out of range for int8 (-128 to 127)"),
            (Type::UInt8, "-1", "out of range for uint8 (0 to 255)"),
            (Type::Int8, "x", "not an integer (int8)"),
            (Type::Int8, "1.5", "not an integer (int8)"),
            (dec.clone(), "1.234", "does not fit decimal(5,2): at most 3 digits before the point and 2 after"),
            (dec, "x", "not a decimal(5,2)"),
            (
                Type::Timestamp(Unit::Milli),
                "2013-01-01 00:00:00.0001",
                "finer than timestamp(ms), which has 3 digits after the second",
            ),
            (Type::Float64, "x", "not a float64"),
        ] {
            assert_eq!(why(&ty, text.as_bytes()), want);
        }
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let text = format!("x{}", "é".repeat(5000));
        let cut = lossy(text.as_bytes());
        assert!(cut.len() <= RAW + 3 && cut.ends_with("é…"), "{}", cut.len());
        assert_eq!(lossy(b"a\xffb"), "a\u{fffd}b");
    }
}
