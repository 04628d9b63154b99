//! What is wrong with a record, as the error that stops a strict job or the reject a tolerant one keeps.

use super::records::{BadRecord, Broken};
use super::source::File;
use crate::column::Type;
use crate::input::Reject;
use crate::input::csv::{lossy, why, wider};
use crate::{Error, Place};

/// Bytes of a line that are shown before the one that is wrong.
const BEFORE: usize = 40;

/// A bad record.
pub(super) struct Trouble {
    /// The byte its line starts at.
    pub(super) start: usize,
    /// The column to blame.
    column: Option<usize>,
    kind: &'static str,
    message: String,
    found: String,
    help: String,
    /// The inferred type and the one that would hold the value.
    misfit: Option<(Type, Type)>,
}

impl Trouble {
    /// A line that is no row; `column` is that of a slot.
    pub(super) fn record(file: &File, bad: BadRecord, column: impl Fn(usize) -> usize) -> Trouble {
        let start = bad.start;
        let at = |at: usize| format!("at byte {} of the line", at - start + 1);
        let line_only = "NDJSON has one whole JSON object a line";
        let name = |slot| file.names.get(column(slot)).map_or("", String::as_str);
        let mut blame = None;
        let (shown, kind, message, help) = match bad.broken {
            Broken::Syntax(wrong) => {
                (wrong.at, "json", format!("{}, {}", wrong.what, at(wrong.at)), line_only.to_owned())
            }
            Broken::NoObject => (start, "no_object", "the line is JSON, but no object".into(), line_only.to_owned()),
            Broken::After { at: byte } => {
                (byte, "json", format!("text after the object, {}", at(byte)), line_only.to_owned())
            }
            Broken::Encoding { at: byte } => (
                byte,
                "invalid_utf8",
                format!("not valid UTF-8, {}", at(byte)),
                "convert the file to UTF-8, for example with iconv".to_owned(),
            ),
            Broken::Twice { at: byte, slot } => {
                blame = Some(column(slot));
                (
                    byte,
                    "duplicate_key",
                    format!("a second value, {}", at(byte)),
                    "a record has each key once".to_owned(),
                )
            }
            Broken::Outside { at: byte, slot } => {
                blame = Some(column(slot));
                let message = format!("the object it stands in is another value here, {}", at(byte));
                (byte, "cast", message, "leave the column out, or set such rows aside with --rejects".to_owned())
            }
            Broken::Empty { at: byte, slot } => {
                blame = Some(column(slot));
                let help = format!("write null, or read strings: --schema '{}:string'", name(slot));
                (byte, "cast", format!("an empty string is no value of the column's type, {}", at(byte)), help)
            }
            Broken::TooLong => (start, "too_long", "the line has 2 GiB or more".into(), line_only.to_owned()),
        };
        let line = file.raw(start);
        let from = shown.saturating_sub(BEFORE).max(start);
        let found = if from > start { format!("…{}", lossy(file.rest(from))) } else { line };
        Trouble { start, column: blame, kind, message, found, help, misfit: None }
    }

    /// A value of the record at `start` that is none of its column's type.
    pub(super) fn value(file: &File, start: usize, column: usize, text: &[u8], ty: &Type, inferred: bool) -> Trouble {
        let name = file.names.get(column).map_or("", String::as_str);
        let wide = wider(ty, text);
        Trouble {
            start,
            column: Some(column),
            kind: "cast",
            message: why(ty, text),
            found: lossy(text),
            help: format!("--schema '{name}:{wide}' would read it"),
            misfit: inferred.then(|| (ty.clone(), wide)),
        }
    }

    /// Whether it stops even a tolerant job: the column is merely wider than the sample showed.
    pub(super) fn is_widening(&self) -> bool {
        matches!(&self.misfit, Some((_, wider)) if *wider != Type::Str)
    }

    fn place(&self, file: &File) -> Place {
        Place { column: self.column.and_then(|c| file.names.get(c).cloned()), ..file.place(self.start) }
    }

    /// The error that stops the job.
    pub(super) fn into_error(self, file: &File) -> Error {
        let place = Box::new(self.place(file));
        match self.misfit {
            Some((inferred, wider)) => Error::Misfit { place, found: self.found, inferred, wider },
            None => Error::Data { place, message: self.message, found: Some(self.found), help: Some(self.help) },
        }
    }

    /// The row set aside.
    pub(super) fn into_reject(self, file: &File) -> Reject {
        let by_value = self.column.is_some() && self.kind == "cast";
        Reject {
            place: self.place(file),
            column_index: self.column.map(|c| c + 1),
            error_type: self.kind,
            message: if by_value { format!("'{}': {}", self.found, self.message) } else { self.message },
            raw: file.raw(self.start),
        }
    }
}
