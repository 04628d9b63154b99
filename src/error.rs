//! One error type: what went wrong, where, whose fault it is, and what to do next.

use std::fmt;
use std::path::PathBuf;

/// The result of everything fallible in tidemill.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in an input: as much of it as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, or `-` for standard input.
    pub file: Option<PathBuf>,
    /// 1-based line in a text file.
    pub line: Option<u64>,
    /// 1-based row of the whole input (header not counted).
    pub row: Option<u64>,
    /// Byte offset of the record in its file.
    pub byte: Option<u64>,
    /// Column name.
    pub column: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sep = "";
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            sep = ", ";
        } else if let Some(line) = self.line {
            write!(f, "line {line}")?;
            sep = ", ";
        }
        if let (Some(row), None) = (self.row, self.line) {
            write!(f, "{sep}row {row}")?;
            sep = ", ";
        }
        if let Some(column) = &self.column {
            write!(f, "{sep}column '{column}'")?;
        }
        Ok(())
    }
}

/// Everything that can go wrong, by whose fault it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that cannot be: a wrong flag, an impossible combination.
    #[error("{message}{}", help_text(.help))]
    Usage {
        /// What is wrong.
        message: String,
        /// What would fix it.
        help: Option<String>,
    },
    /// An expression or job does not parse or does not type-check.
    #[error("{message}{}{}", caret(.text, *.at), help_text(.help))]
    Query {
        /// What is wrong.
        message: String,
        /// The expression's text.
        text: String,
        /// Byte position in `text`.
        at: usize,
        /// What would fix it.
        help: Option<String>,
    },
    /// A value in the input cannot be what it must be.
    #[error("{place}: {message}{}{}", found_text(.found), help_text(.help))]
    Data {
        /// Where.
        place: Box<Place>,
        /// What is wrong.
        message: String,
        /// The text or value found there.
        found: Option<String>,
        /// What would fix it.
        help: Option<String>,
    },
    /// A type that was inferred from a sample does not hold for a later value; `wider` would. Either the engine
    /// reads again with the wider type, or this is shown with the `--schema` that would work.
    #[error("{place}: '{found}' is not {inferred}, the type inferred from the first rows (add --schema '{column}:{wider}')", column = .place.column.as_deref().unwrap_or("?"))]
    Misfit {
        /// Where.
        place: Box<Place>,
        /// The text found there.
        found: String,
        /// The inferred type.
        inferred: crate::column::Type,
        /// The type that would hold the value.
        wider: crate::column::Type,
    },
    /// Arithmetic on a row has no result: overflow, division by zero, a bad cast.
    #[error("{}{message} in `{expr}`{}", place_text(.place), help_text(.help))]
    Arithmetic {
        /// Where.
        place: Box<Place>,
        /// What happened, with the operands.
        message: String,
        /// The expression.
        expr: String,
        /// What would fix it.
        help: Option<String>,
    },
    /// A finished aggregate does not fit its type.
    #[error("{column}: {message} for key {key}{}", help_text(.help))]
    Overflow {
        /// The output column.
        column: String,
        /// The group's key, printed.
        key: String,
        /// What happened.
        message: String,
        /// What would fix it.
        help: Option<String>,
    },
    /// Reading or writing failed.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was being done: "cannot open", "cannot write" …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file is not the format it should be, or is damaged.
    #[error("{}: {message}{}", .path.display(), help_text(.help))]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// What would fix it.
        help: Option<String>,
    },
    /// More rows were rejected than allowed.
    #[error("{rejected} rows rejected, more than --max-rejects {limit}; the last: {last}")]
    TooManyRejects {
        /// Rows rejected so far.
        rejected: u64,
        /// The limit.
        limit: u64,
        /// The last one's error.
        last: String,
    },
    /// A device was asked for that is not there, or failed where the CPU may not take over.
    #[error("{message}{}", help_text(.help))]
    Device {
        /// What went wrong.
        message: String,
        /// What would fix it.
        help: Option<String>,
    },
    /// Memory or another resource is not enough.
    #[error("{message}{}", help_text(.help))]
    Resource {
        /// What went wrong.
        message: String,
        /// What would fix it.
        help: Option<String>,
    },
    /// The caller cancelled the job.
    #[error("cancelled")]
    Cancelled,
    /// tidemill contradicts itself: a bug. Please report it.
    #[error("internal error: {0} (this is a bug in tidemill; please report it)")]
    Internal(String),
}

impl Error {
    /// A [`Error::Usage`] without help.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::Usage { message: message.into(), help: None }
    }

    /// An [`Error::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Error::Internal(message.into())
    }

    /// An [`Error::Io`] for `path`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { action, path: path.into(), source }
    }

    /// The place in the input this error names, if it names one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Error::Data { place, .. } | Error::Misfit { place, .. } | Error::Arithmetic { place, .. } => Some(place),
            _ => None,
        }
    }
}

/// A place and a colon; nothing for a place nothing is known of, such as a group's.
fn place_text(place: &Place) -> String {
    if *place == Place::default() { String::new() } else { format!("{place}: ") }
}

fn help_text(help: &Option<String>) -> String {
    help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default()
}

fn found_text(found: &Option<String>) -> String {
    found.as_ref().map(|t| format!(": found '{}'", shorten(t))).unwrap_or_default()
}

/// Long field texts are cut: an error message is read on a terminal.
fn shorten(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The expression on a line of its own with a caret under the byte position.
fn caret(text: &str, at: usize) -> String {
    if text.is_empty() {
        return String::new();
    }
    let at = (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    let line_start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let pad = text[line_start..at].chars().count();
    format!("\n  {line}\n  {:pad$}^\n ", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_like_compiler_messages() {
        let place = Place { file: Some("a.csv".into()), line: Some(7), column: Some("x".into()), ..Place::default() };
        assert_eq!(place.to_string(), "a.csv:7, column 'x'");
        let place = Place { row: Some(3), ..Place::default() };
        assert_eq!(place.to_string(), "row 3");
    }

    #[test]
    fn a_caret_stands_under_its_character() {
        let error = Error::Query { message: "unknown column".into(), text: "é + b".into(), at: 5, help: None };
        assert_eq!(error.to_string(), "unknown column\n  é + b\n      ^\n ");
    }

    #[test]
    fn long_findings_are_cut_at_a_character() {
        let text = "é".repeat(500);
        assert_eq!(shorten(&text).chars().count(), 121);
    }
}
