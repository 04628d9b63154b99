//! Results and listings as a table for eyes.
//!
//! On a terminal a table keeps to the screen: long texts are cut (`…`), middle columns that do not fit are left out, and of
//! more than [`MOST_ROWS`] rows the first and last are shown; a line below says what is missing and how to get it. In a pipe or
//! a file everything is there. Null is `null`, dim where there is colour; a text that could be taken for it, or that begins or
//! ends in white space, stands in quotes. Control characters are written as escapes.

use std::fmt::Write;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use tidemill::RunReport;
use tidemill::column::{Type, Value};
use tidemill::output::cell;

use crate::progress::grouped;

/// On a terminal, a result with more rows than this is cut.
pub const MOST_ROWS: usize = 60;
/// Of a result that is cut: rows at its beginning, and as many at its end.
const SHOWN: usize = 20;
/// On a terminal, texts longer than this are cut.
const MOST_TEXT: usize = 60;

/// What a table has to keep to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Columns of the screen, if it has said.
    pub width: Option<u16>,
    /// Whether long texts are cut.
    pub screen: bool,
    /// Of more rows than this, the first and last are shown.
    pub most_rows: Option<usize>,
    /// Whether there is colour.
    pub colour: bool,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Nothing known.
    Null,
    /// A number: right-aligned, never cut.
    Number(String),
    /// A text.
    Text(String),
}

impl Entry {
    /// A value of type `ty`.
    pub fn of(value: &Value, ty: &Type) -> Entry {
        match value {
            Value::Null => Entry::Null,
            Value::Str(text) => Entry::Text(plain(text)),
            value if ty.is_numeric() => Entry::Number(value.text(ty)),
            value => Entry::Text(value.text(ty)),
        }
    }

    fn text(&self) -> &str {
        match self {
            Entry::Null => "null",
            Entry::Number(text) | Entry::Text(text) => text,
        }
    }

    fn cell(&self, numbers: bool, limits: Limits) -> Cell {
        let text = match self {
            Entry::Text(text) if limits.screen => shorten(text),
            entry => entry.text().to_owned(),
        };
        let cell = Cell::new_owned(text);
        let cell = if numbers { cell.set_alignment(CellAlignment::Right) } else { cell };
        if *self == Entry::Null && limits.colour { cell.add_attribute(Attribute::Dim) } else { cell }
    }
}

/// A text as it can stand on a screen.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Also the marks that turn the direction of text around, which could make a table say what it does not.
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if text.is_empty() || text == "null" || text.trim() != text { format!("\"{out}\"") } else { out }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A result as a table.
pub fn result(report: &RunReport, limits: Limits) -> String {
    let columns = Columns::new(&report.schema, report.types.clone());
    let chosen = Chosen::of(&columns, &report.batches, limits.most_rows);
    chosen.text(&columns, limits, "for all of it: --format csv, or --output FILE")
}

/// The columns of a table.
pub struct Columns {
    names: Vec<String>,
    types: Vec<Type>,
}

impl Columns {
    /// Columns by their names, and how their values are to be written.
    pub fn new(schema: &Schema, types: Vec<Type>) -> Columns {
        Columns { names: schema.fields().iter().map(|f| plain(f.name())).collect(), types }
    }

    /// The entries of a row.
    pub fn entries(&self, batch: &RecordBatch, row: usize) -> Vec<Entry> {
        batch.columns().iter().zip(&self.types).map(|(array, ty)| Entry::of(&cell(array, row), ty)).collect()
    }
}

/// The rows of a table that are shown.
pub struct Chosen {
    /// Their entries.
    pub entries: Vec<Vec<Entry>>,
    /// The row before which there is one of dots.
    pub gap: Option<usize>,
    /// Which they are, if not all.
    pub note: Option<String>,
}

impl Chosen {
    /// All rows, or the first and the last if they are more than `most`.
    pub fn of(columns: &Columns, batches: &[RecordBatch], most: Option<usize>) -> Chosen {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        // At either end: with the row of dots no more than there may be, if that is three or more.
        let gap = most.filter(|&most| rows > most.max(2)).map(|most| SHOWN.min(most.saturating_sub(1) / 2).max(1));
        let mut entries = Vec::new();
        let mut first = 0;
        for batch in batches {
            for row in 0..batch.num_rows() {
                if gap.is_none_or(|shown| first + row < shown || first + row + shown >= rows) {
                    entries.push(columns.entries(batch, row));
                }
            }
            first += batch.num_rows();
        }
        let note = gap.map(|_| format!("{} of {} rows shown", entries.len(), grouped(rows as u64)));
        Chosen { entries, gap, note }
    }

    /// The table. What is left out is said below it, and `help`.
    pub fn text(&self, columns: &Columns, limits: Limits, help: &str) -> String {
        let Columns { names, types } = columns;
        let numbers: Vec<bool> = types.iter().map(Type::is_numeric).collect();
        let (mut text, hidden) = draw(names, &numbers, &self.entries, self.gap, limits);
        let mut notes: Vec<String> = self.note.iter().cloned().collect();
        if hidden > 0 {
            notes.push(format!("{} of {} columns shown", names.len() - hidden, names.len()));
        }
        if !notes.is_empty() {
            _ = writeln!(text, "{}; {help}", notes.join(", "));
        }
        text
    }
}

/// A listing: columns of names and rows of entries.
pub fn listing(names: &[&str], rows: &[Vec<Entry>], limits: Limits) -> String {
    let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
    let is_number = |c: usize| {
        rows.iter().any(|r| matches!(r[c], Entry::Number(_))) && !rows.iter().any(|r| matches!(r[c], Entry::Text(_)))
    };
    let numbers: Vec<bool> = (0..names.len()).map(is_number).collect();
    draw(&names, &numbers, rows, None, limits).0
}

/// Draws a table, with a row of dots before row `gap`. Also says how many columns were left out.
fn draw(
    names: &[String],
    numbers: &[bool],
    rows: &[Vec<Entry>],
    gap: Option<usize>,
    limits: Limits,
) -> (String, usize) {
    let all: Vec<usize> = (0..names.len()).collect();
    let table = build(names, numbers, rows, gap, limits, &all);
    let Some(width) = limits.width.map(usize::from) else { return (text_of(&table), 0) };
    // A column takes its content, a blank on both sides and a line.
    let widths: Vec<usize> = table.column_max_content_widths().iter().map(|&w| usize::from(w) + 3).collect();
    if widths.iter().sum::<usize>() < width {
        return (text_of(&table), 0);
    }
    let shown = fitting(&widths, width);
    let table = build(names, numbers, rows, gap, limits, &shown);
    (text_of(&table), names.len() - shown.iter().filter(|&&c| c < names.len()).count())
}

/// The columns that fit, from both ends inwards, with `widths.len()` standing for those left out. At least the first is there.
fn fitting(widths: &[usize], width: usize) -> Vec<usize> {
    // The line at the left, and a column of dots.
    let mut left = width.saturating_sub(1 + 4);
    let (mut low, mut high) = (0, widths.len());
    let (mut from_left, mut last) = (true, false);
    while low < high {
        let column = if from_left { low } else { high - 1 };
        if widths[column] > left {
            if last {
                break;
            }
            // Perhaps the other end still has a narrow one.
            last = true;
        } else {
            left -= widths[column];
            if from_left {
                low += 1
            } else {
                high -= 1
            }
            last = false;
        }
        from_left = !from_left;
    }
    let low = low.max(1);
    let mut shown: Vec<usize> = (0..low).collect();
    if low < high {
        shown.push(widths.len());
    }
    shown.extend(low.max(high)..widths.len());
    shown
}

fn build(
    names: &[String],
    numbers: &[bool],
    rows: &[Vec<Entry>],
    gap: Option<usize>,
    limits: Limits,
    shown: &[usize],
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    if limits.colour {
        table.enforce_styling();
        table.style_text_only();
    }
    let dots = || Cell::new("…");
    table.set_header(shown.iter().map(|&c| match names.get(c) {
        Some(name) => {
            let name = if limits.screen { shorten(name) } else { name.clone() };
            let cell = Cell::new_owned(name);
            let cell = if numbers[c] { cell.set_alignment(CellAlignment::Right) } else { cell };
            if limits.colour { cell.add_attribute(Attribute::Bold) } else { cell }
        }
        None => dots(),
    }));
    for (index, row) in rows.iter().enumerate() {
        if gap == Some(index) {
            table.add_row(shown.iter().map(|&c| match numbers.get(c) {
                Some(true) => dots().set_alignment(CellAlignment::Right),
                _ => dots(),
            }));
        }
        table.add_row(shown.iter().map(|&c| row.get(c).map_or_else(dots, |entry| entry.cell(numbers[c], limits))));
    }
    table
}

fn text_of(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: i64) -> Entry {
        Entry::Number(n.to_string())
    }

    #[test]
    fn numbers_stand_right_and_null_is_no_text() {
        let rows = vec![
            vec![Entry::of(&Value::Str("AA".into()), &Type::Str), number(7)],
            vec![Entry::of(&Value::Str("null".into()), &Type::Str), number(1234)],
            vec![Entry::Null, Entry::Null],
            vec![Entry::of(&Value::Str("".into()), &Type::Str), number(-1)],
            vec![Entry::of(&Value::Str("a\n\u{1b}[31m".into()), &Type::Str), number(0)],
        ];
        let want = [
            "┌───────────────┬──────┐",
            "│ carrier       ┆    n │",
            "╞═══════════════╪══════╡",
            "│ AA            ┆    7 │",
            "│ \"null\"        ┆ 1234 │",
            "│ null          ┆ null │",
            "│ \"\"            ┆   -1 │",
            "│ a\\n\\u{1b}[31m ┆    0 │",
            "└───────────────┴──────┘",
        ];
        let got = listing(&["carrier", "n"], &rows, Limits::default());
        assert_eq!(got.lines().collect::<Vec<_>>(), want);
    }

    #[test]
    fn what_does_not_fit_is_left_out_in_the_middle() {
        assert_eq!(fitting(&[10, 10, 10, 10, 10], 46), [0, 1, 5, 3, 4]);
        assert_eq!(fitting(&[10, 10, 10, 10, 10], 40), [0, 1, 5, 4]);
        assert_eq!(fitting(&[100, 10], 30), [0, 1], "the first is always there");
        assert_eq!(fitting(&[10, 100, 10], 30), [0, 3, 2]);
    }

    #[test]
    fn of_many_rows_the_ends_are_shown() {
        let batch = |n: std::ops::Range<i64>| {
            let column = arrow_array::Int64Array::from_iter_values(n);
            RecordBatch::try_from_iter([("n", std::sync::Arc::new(column) as _)]).unwrap()
        };
        let batches = [batch(0..4), batch(4..9)];
        let columns = Columns::new(&batches[0].schema(), vec![Type::Int64]);
        let lines = |most_rows| {
            let text = Chosen::of(&columns, &batches, most_rows).text(&columns, Limits::default(), "more elsewhere");
            let cells = |line: &str| line.trim_matches(['│', ' ']).to_owned();
            text.lines().skip(3).map(cells).collect::<Vec<_>>()
        };
        assert_eq!(lines(Some(6)), ["0", "1", "…", "7", "8", "└───┘", "4 of 9 rows shown; more elsewhere"]);
        assert_eq!(lines(Some(1)), ["0", "…", "8", "└───┘", "2 of 9 rows shown; more elsewhere"]);
        assert_eq!(lines(Some(9)).len(), 10);
        assert_eq!(lines(None).len(), 10);
    }
}
