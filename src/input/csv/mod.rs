//! CSV and TSV, from the memory map, split on exact record boundaries and parsed column by column.
//!
//! What it reads (RFC 4180, with its gaps closed):
//! - **Records** end with LF or CRLF; the last one needs neither. A blank line is nothing, except in a file of one column,
//!   where it is an empty field. A UTF-8 byte order mark is skipped. UTF-16 is refused with the command that converts it.
//! - **Quotes.** A field that begins with `"` is quoted: it may hold delimiters, line ends and `""` for a quote, and must
//!   end with `"`; text after that is an error. A `"` elsewhere is text.
//! - **Every record has as many fields as the first.** One that has not is a bad row, also if the missing field is not
//!   wanted.
//! - **Header.** The first record is the header unless [`CsvOptions::header`] says no, or all its fields are numbers,
//!   dates or null. Names lose the spaces around them unless quoted. A column without a name is `c` and its
//!   number; columns of the same name `x` are `x_1`, `x_2` …, never one silently before the other. Without a header columns
//!   are `c1`, `c2` …, or named by a schema that has as many columns.
//! - **Null** is an unquoted field that is one of [`CsvOptions::null_values`]. In a string column a quoted field is never
//!   null; in others, where a quoted field is read as if it were not quoted, it may be.
//! - **Padding**: spaces and tabs around numbers, dates and truth values are ignored; strings keep theirs.
//! - **Types** are declared or inferred from the first 20,000 records or 4 MiB; see `infer` for the rule. A later value
//!   that does not fit an inferred type is [`Error::Misfit`](crate::Error::Misfit), one that does not fit a declared type
//!   [`Error::Data`](crate::Error::Data). A tolerant scan sets the row aside in either case, unless a wider number or time
//!   type would hold the value: that is a `Misfit` still, because the row is not bad, the guess was.
//! - **Numbers**: digits with a sign; floats also `1e-3`, `inf`, `nan`, rounded to the nearest; decimals must be exact.

mod boundary;
mod column;
mod file;
mod infer;
mod lines;
mod parse;
mod read;
mod simd;
mod source;
mod swar;
mod tokenize;
mod trouble;

pub use source::CsvSource;

pub(in crate::input) use column::{Builder, Nulls};
pub(in crate::input) use infer::{BYTES, LADDER, RECORDS, narrow, wider};
pub(in crate::input) use lines::Lines;
pub(in crate::input) use read::Wanted;
pub(in crate::input) use trouble::{lossy, why};

use crate::column::Type;

const QUOTE: u8 = b'"';

/// How to read a CSV file. The default infers everything.
#[derive(Debug, Clone)]
pub struct CsvOptions {
    /// The delimiter, an ASCII byte; `None`: the one of `,`, tab, `;`, `|` that divides the first records most evenly.
    pub delimiter: Option<u8>,
    /// Whether the first record is a header; `None`: yes, unless all its fields are numbers, dates or null.
    pub header: Option<bool>,
    /// The texts that mean null.
    pub null_values: Vec<String>,
    /// Types of columns by name; the others are inferred.
    pub schema: Vec<(String, Type)>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        let null_values = ["", "NA", "N/A", "NULL", "null"].map(String::from).into();
        CsvOptions { delimiter: None, header: None, null_values, schema: vec![] }
    }
}
