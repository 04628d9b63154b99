//! JSON: one array of objects, or an object a line.
//!
//! Integers and decimals are numbers of as many digits as they have; dates and timestamps are strings.

use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;

use super::Writer;
use super::cell::OutColumn;
use super::cells::{Cell, cells};
use super::sink::TextSink;
use crate::Result;
use crate::column::{Type, Value};

pub(super) struct Json {
    columns: Vec<OutColumn>,
    /// For each column: `"name":`.
    names: Vec<String>,
    array: bool,
    rows: u64,
    sink: TextSink,
}

impl Json {
    pub fn start(columns: Vec<OutColumn>, array: bool, sink: Box<dyn Write + Send>, name: &Path) -> Result<Self> {
        let named = |column: &OutColumn| {
            let mut out = String::new();
            write_string(&column.name, &mut out);
            out.push(':');
            out
        };
        let names = columns.iter().map(named).collect();
        let mut sink = TextSink::new(sink, name);
        if array {
            sink.text.push('[');
        }
        Ok(Json { columns, names, array, rows: 0, sink })
    }
}

impl Writer for Json {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut cells = cells(&self.columns, batch);
        for row in 0..batch.num_rows() {
            let out = &mut self.sink.text;
            if self.array {
                out.push_str(if self.rows == 0 { "\n" } else { ",\n" });
            }
            out.push('{');
            for (i, (column, cells)) in self.columns.iter().zip(&mut cells).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&self.names[i]);
                match cells.at(row) {
                    Cell::Null => out.push_str("null"),
                    Cell::Text(text) => write_string(text, out),
                    Cell::Plain(write, quoted) => {
                        let quote = if quoted { "\"" } else { "" };
                        out.push_str(quote);
                        write(row, out);
                        out.push_str(quote);
                    }
                    Cell::Value(value) => write_value(&value, &column.ty, out),
                }
            }
            out.push('}');
            if !self.array {
                out.push('\n');
            }
            self.rows += 1;
            self.sink.row_done()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.array {
            self.sink.text.push_str(if self.rows == 0 { "]\n" } else { "\n]\n" });
        }
        self.sink.finish()
    }
}

fn write_value(value: &Value, ty: &Type, out: &mut String) {
    match (value, ty) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Float(v), _) if !v.is_finite() => write_string(&value.text(ty), out),
        (Value::Str(text), _) => write_string(text, out),
        (_, Type::Date | Type::Timestamp(_)) => write_string(&value.text(ty), out),
        _ => value.write(ty, out),
    }
}

fn write_string(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        out.push_str(&rest[..at]);
        // All of them are ASCII: one byte.
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte => _ = write!(out, "\\u{byte:04x}"),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_through_another_parser() {
        for text in ["", "a\"b\\c", "\u{0}\u{1f}\n\r\t\u{7f}", "é𝄞\u{2028}", "</script>"] {
            let mut out = String::new();
            write_string(text, &mut out);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text, "{out}");
        }
    }

    #[test]
    fn numbers_are_numbers_and_what_json_lacks_is_a_string() {
        let json = |value: Value, ty: &Type| {
            let mut out = String::new();
            write_value(&value, ty, &mut out);
            out
        };
        assert_eq!(json(Value::Float(-0.0), &Type::Float64), "-0.0");
        assert_eq!(json(Value::Float(f64::NAN), &Type::Float64), "\"NaN\"");
        assert_eq!(json(Value::Float(f64::NEG_INFINITY), &Type::Float32), "\"-inf\"");
        assert_eq!(json(Value::Wide(-105), &Type::Decimal { precision: 38, scale: 2 }), "-1.05");
        assert_eq!(json(Value::Int(0), &Type::Date), "\"1970-01-01\"");
        assert_eq!(json(Value::Int(i64::MIN), &Type::Int64), "-9223372036854775808");
        assert_eq!(json(Value::Null, &Type::Str), "null");
        for float in [1e300, 5e-324, 0.1, 1e21, 123456789.0] {
            let text = json(Value::Float(float), &Type::Float64);
            assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), float.to_bits(), "{text}");
        }
    }
}
