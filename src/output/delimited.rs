//! CSV and TSV by RFC 4180, but lines end in LF.

use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;

use super::Writer;
use super::cell::OutColumn;
use super::cells::{Cell, cells};
use super::sink::TextSink;
use crate::Result;
use crate::column::Value;

pub(super) struct Delimited {
    columns: Vec<OutColumn>,
    delimiter: u8,
    sink: TextSink,
}

impl Delimited {
    pub fn start(columns: Vec<OutColumn>, delimiter: u8, sink: Box<dyn Write + Send>, name: &Path) -> Result<Self> {
        let mut writer = Delimited::go_on(columns, delimiter, sink, name);
        let out = &mut writer.sink.text;
        for (i, column) in writer.columns.iter().enumerate() {
            if i > 0 {
                out.push(delimiter.into());
            }
            write_text(&column.name, delimiter, out);
        }
        out.push('\n');
        Ok(writer)
    }

    /// Without a header.
    pub fn go_on(columns: Vec<OutColumn>, delimiter: u8, sink: Box<dyn Write + Send>, name: &Path) -> Self {
        Delimited { columns, delimiter, sink: TextSink::new(sink, name) }
    }
}

impl Writer for Delimited {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut cells = cells(&self.columns, batch);
        let mut list = String::new();
        for row in 0..batch.num_rows() {
            for (i, (column, cells)) in self.columns.iter().zip(&mut cells).enumerate() {
                let out = &mut self.sink.text;
                if i > 0 {
                    out.push(self.delimiter.into());
                }
                match cells.at(row) {
                    Cell::Null => {}
                    Cell::Text(text) => write_text(text, self.delimiter, out),
                    Cell::Value(value @ Value::List(_)) => {
                        list.clear();
                        value.write(&column.ty, &mut list);
                        write_text(&list, self.delimiter, out);
                    }
                    // Neither delimiters nor quotes nor line ends occur in these.
                    Cell::Plain(write, _) => write(row, out),
                    Cell::Value(value) => value.write(&column.ty, out),
                }
            }
            self.sink.text.push('\n');
            self.sink.row_done()?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.sink.finish()
    }
}

/// Texts that readers take for null if they stand without quotes.
const NULLS: [&str; 7] = ["na", "n/a", "null", "nan", "none", "nil", "\\n"];

/// A string as a field: quoted if it would be cut, trimmed or taken for something else without.
fn write_text(text: &str, delimiter: u8, out: &mut String) {
    let special = |b: u8| b == delimiter || matches!(b, b'"' | b'\n' | b'\r');
    let quoted = text.is_empty()
        || text.bytes().any(special)
        || text.starts_with(|c: char| c.is_whitespace() || c == '\u{feff}')
        || text.ends_with(char::is_whitespace)
        || NULLS.iter().any(|n| n.eq_ignore_ascii_case(text));
    if !quoted {
        out.push_str(text);
        return;
    }
    out.push('"');
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_could_mistake_is_quoted() {
        let field = |text: &str, delimiter| {
            let mut out = String::new();
            write_text(text, delimiter, &mut out);
            out
        };
        for (text, csv) in [
            ("plain text", "plain text"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("\"", "\"\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("cr\r", "\"cr\r\""),
            (" x", "\" x\""),
            ("x\t", "\"x\t\""),
            ("NA", "\"NA\""),
            ("Null", "\"Null\""),
            ("NAB", "NAB"),
            ("\u{feff}x", "\"\u{feff}x\""),
            ("a\tb", "a\tb"),
            ("-1", "-1"),
        ] {
            assert_eq!(field(text, b','), csv);
        }
        assert_eq!(field("a\tb", b'\t'), "\"a\tb\"");
        assert_eq!(field("a,b", b'\t'), "a,b");
    }
}
