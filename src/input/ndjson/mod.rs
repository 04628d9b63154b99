//! NDJSON (JSON Lines): an object a line, from the memory map, its wanted values parsed column by column as those of CSV are.
//!
//! What it reads:
//! - **Records** are JSON objects (RFC 8259), one a line; lines end with LF or CRLF, the last one needs no end. Blank lines are
//!   nothing. A byte order mark is skipped. Every line is checked whole, also where nothing is wanted of it; text after the object is
//!   an error, and so is a line that is no object.
//! - **Columns** are the keys of the sample, in the order of first appearance. Objects in objects are flattened: `{"a":{"b":1}}` has
//!   column `a.b`, and so has `{"a.b":1}`. Keys that the sample does not show are columns only if the schema names them.
//! - **Null** is `null` and a key that is not there. The texts that mean null in CSV do not here: `"NA"` is a string.
//! - **A key that stands twice** in one record is an error if its column is wanted.
//! - **Types** are declared or inferred from the first 20,000 records or 4 MiB: of numbers int64, decimal(38,0) (integers beyond
//!   int64) or float64, of truth values bool, of strings that are all dates or timestamps date or timestamp, else string. Values of
//!   different kinds make a string column, in which a number is its text. Arrays, and objects with more than 1,000 keys in the sample,
//!   are columns that cannot be used until they are declared as strings: then they are their JSON. A later value that does not fit is
//!   what it is in CSV: [`Error::Misfit`](crate::Error::Misfit) where the type was inferred.
//! - **A string in another column** is what its text is: `"5"` is 5 in an int64 column. An empty one is an error there, and no null.
//! - **Numbers** are exact in int64 and decimal columns and rounded to the nearest in float64. JSON has no NaN and no infinity: among
//!   numbers the strings `"NaN"`, `"inf"`, `"-inf"`, `"Infinity"` and `"-Infinity"` are those.

mod infer;
mod json;
mod keys;
mod read;
mod records;
mod source;
mod trouble;

pub use source::NdjsonSource;

/// Whether a text looks like NDJSON: its first object begins before anything else does.
pub(super) fn sniff(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let inside = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| matches!(inside.first(), Some(b'"' | b'}')))
}
