//! A Markdown table (GFM). What Markdown or HTML could take for markup that breaks the table is escaped; `*` and `_`
//! stay, so that column names are readable as text.

use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;

use super::Writer;
use super::cell::{OutColumn, cell};
use super::sink::TextSink;
use crate::Result;

pub(super) struct Markdown {
    columns: Vec<OutColumn>,
    sink: TextSink,
}

impl Markdown {
    pub fn start(columns: Vec<OutColumn>, sink: Box<dyn Write + Send>, name: &Path) -> Result<Self> {
        let mut sink = TextSink::new(sink, name);
        for column in &columns {
            sink.text.push_str("| ");
            escape(&column.name, &mut sink.text);
            sink.text.push(' ');
        }
        sink.text.push_str("|\n");
        for column in &columns {
            sink.text.push_str(if column.ty.is_numeric() { "| ---: " } else { "| --- " });
        }
        sink.text.push_str("|\n");
        Ok(Markdown { columns, sink })
    }
}

impl Writer for Markdown {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            for (column, array) in self.columns.iter().zip(batch.columns()) {
                text.clear();
                cell(array, row).write(&column.ty, &mut text);
                self.sink.text.push_str("| ");
                escape(&text, &mut self.sink.text);
                self.sink.text.push(' ');
            }
            self.sink.text.push_str("|\n");
            self.sink.row_done()?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.sink.finish()
    }
}

fn escape(text: &str, out: &mut String) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '|' => out.push_str("\\|"),
            '\\' => out.push_str("\\\\"),
            '`' => out.push_str("\\`"),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' | '\r' => out.push_str("<br>"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_cell_ends_the_cell() {
        let mut out = String::new();
        escape("a|b\\|c\r\nd\ne <b> & `x` snake_case", &mut out);
        assert_eq!(out, "a\\|b\\\\\\|c<br>d<br>e &lt;b> &amp; \\`x\\` snake_case");
    }
}
