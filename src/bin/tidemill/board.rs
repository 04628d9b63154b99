//! Batches of a stream as tables on standard output: one after the other, or one that is drawn anew.
//!
//! On a terminal, modes complete and update have one table that stays in its place. Update shows the rows that changed last, as they
//! are now, by their keys. It is drawn a few times a second, by whoever waits for the query: only the newest state of it is kept. In a
//! pipe or a file, and in mode append, every batch that has rows is a table of its own, written when it is given.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_row::{OwnedRow, RowConverter, SortField};
use arrow_schema::{SchemaRef, SortOptions};
use tidemill::output::type_of;
use tidemill::stream::{BatchOutput, OutputMode, Sink};
use tidemill::{Error, Result};

use crate::live::Live;
use crate::progress::grouped;
use crate::screen;
use crate::table::{Chosen, Columns, Entry, Limits, MOST_ROWS};

/// What stdout is called in messages.
const STDOUT: &str = "standard output";
/// How to see what a table leaves out.
const HELP: &str = "for all of it: --sink csv";
/// Lines of a table that are no rows, and those below it.
const FRAME: u16 = 7;

/// A sink that draws tables.
pub struct TableSink {
    to: Box<dyn Write + Send>,
    /// Asked for every batch: a terminal changes its size.
    limits: fn() -> Limits,
    picture: Option<Picture>,
    mode: OutputMode,
    /// Columns that a row of mode update is known by.
    keys: usize,
    columns: Option<Arc<Columns>>,
    converter: Option<RowConverter>,
    /// The table of mode update, and the batch that a row is of.
    rows: BTreeMap<OwnedRow, (u64, Vec<Entry>)>,
    waiting: Waiting,
}

/// A batch that is prepared.
enum Waiting {
    Nothing,
    Text(String),
    All(Chosen),
    Changed(Vec<(OwnedRow, Vec<Entry>)>, usize),
}

impl TableSink {
    /// Tables of a query whose rows are known by their first `keys` columns. The picture, if there is one, is to be drawn.
    pub fn new(mode: OutputMode, keys: usize, live: &Live) -> (TableSink, Option<Picture>) {
        let picture = (screen::can_redraw() && mode != OutputMode::Append).then(Picture::default);
        let to: Box<dyn Write + Send> =
            if screen::is_terminal() { Box::new(crate::live::Beside(live.clone())) } else { Box::new(io::stdout()) };
        let limits = match (&picture, screen::is_terminal()) {
            (Some(_), _) => of_picture,
            (None, true) => of_block,
            (None, false) => Limits::default,
        };
        (TableSink::into(to, limits, picture.clone(), mode, keys), picture)
    }

    fn into(
        to: Box<dyn Write + Send>,
        limits: fn() -> Limits,
        picture: Option<Picture>,
        mode: OutputMode,
        keys: usize,
    ) -> TableSink {
        let (rows, waiting) = (BTreeMap::new(), Waiting::Nothing);
        TableSink { to, limits, picture, mode, keys, columns: None, converter: None, rows, waiting }
    }

    /// Rows by their keys, of the last `most` rows.
    fn keyed(&self, output: &BatchOutput, columns: &Columns, most: usize) -> Result<Vec<(OwnedRow, Vec<Entry>)>> {
        let internal = |e: arrow_schema::ArrowError| Error::internal(format!("the keys of a table: {e}"));
        let converter = self.converter.as_ref().ok_or_else(|| Error::internal("a table that was not begun"))?;
        let mut skip = output.len().saturating_sub(most);
        let mut keyed = Vec::new();
        for batch in &output.rows {
            let skipped = skip.min(batch.num_rows());
            skip -= skipped;
            let batch = batch.slice(skipped, batch.num_rows() - skipped);
            // Without keys there is one row, and all rows are that one.
            let keys: Vec<ArrayRef> = batch.columns().iter().take(self.keys).cloned().collect();
            let keys = if keys.is_empty() { one_key(&batch) } else { keys };
            let rows = converter.convert_columns(&keys).map_err(internal)?;
            keyed.extend((0..batch.num_rows()).map(|row| (rows.row(row).owned(), columns.entries(&batch, row))));
        }
        Ok(keyed)
    }

    /// The table of mode update: what changed last, as far as there is room.
    fn changed(&mut self, batch: u64, changed: Vec<(OwnedRow, Vec<Entry>)>, most: usize, cut: bool) -> Chosen {
        self.rows.extend(changed.into_iter().map(|(key, entries)| (key, (batch, entries))));
        let over = self.rows.len().saturating_sub(most);
        if over > 0 {
            let mut ages: Vec<(u64, OwnedRow)> = self.rows.iter().map(|(key, row)| (row.0, key.clone())).collect();
            ages.sort();
            ages.iter().take(over).for_each(|(_, key)| _ = self.rows.remove(key));
        }
        let note = (cut || over > 0).then(|| format!("the {} rows that changed last", self.rows.len()));
        Chosen { entries: self.rows.values().map(|row| row.1.clone()).collect(), gap: None, note }
    }
}

fn one_key(batch: &RecordBatch) -> Vec<ArrayRef> {
    vec![Arc::new(arrow_array::BooleanArray::from(vec![true; batch.num_rows()]))]
}

/// A block of many: as results of files are shown.
fn of_block() -> Limits {
    Limits { width: screen::width(), screen: true, most_rows: Some(MOST_ROWS), colour: screen::has_colour() }
}

/// The one table: it must be on the screen whole, or it could not be drawn over.
fn of_picture() -> Limits {
    let most = screen::height().map_or(20, |height| usize::from(height.saturating_sub(FRAME).max(3)));
    Limits { most_rows: Some(most.min(MOST_ROWS)), ..of_block() }
}

impl Sink for TableSink {
    fn description(&self) -> String {
        format!("table:{STDOUT}")
    }

    fn is_idempotent(&self) -> bool {
        false
    }

    fn begin(&mut self, _: &str, schema: &SchemaRef) -> Result<()> {
        let unknown = |name: &str| Error::internal(format!("the column {name} has a type that no table shows"));
        let types = schema.fields().iter().map(|f| type_of(f.data_type()).ok_or_else(|| unknown(f.name())));
        self.columns = Some(Arc::new(Columns::new(schema, types.collect::<Result<_>>()?)));
        let order = SortOptions { descending: false, nulls_first: false };
        let field = |ty: &arrow_schema::DataType| SortField::new_with_options(ty.clone(), order);
        let mut fields: Vec<SortField> = schema.fields().iter().take(self.keys).map(|f| field(f.data_type())).collect();
        if fields.is_empty() {
            fields.push(field(&arrow_schema::DataType::Boolean));
        }
        let converter = RowConverter::new(fields);
        self.converter = Some(converter.map_err(|e| Error::internal(format!("the keys of a table: {e}")))?);
        Ok(())
    }

    fn prepare(&mut self, output: &BatchOutput) -> Result<()> {
        let columns = self.columns.clone().ok_or_else(|| Error::internal("a table that was not begun"))?;
        let limits = (self.limits)();
        self.waiting = match (&self.picture, self.mode) {
            (None, _) if output.is_empty() => Waiting::Nothing,
            (None, _) => {
                let mut text = format!("batch {}, {} rows\n", output.batch, grouped(output.len() as u64));
                text += &Chosen::of(&columns, &output.rows, limits.most_rows).text(&columns, limits, HELP);
                Waiting::Text(text)
            }
            (Some(_), OutputMode::Update) => {
                let most = limits.most_rows.unwrap_or(MOST_ROWS);
                Waiting::Changed(self.keyed(output, &columns, most)?, output.len())
            }
            (Some(_), _) => Waiting::All(Chosen::of(&columns, &output.rows, limits.most_rows)),
        };
        Ok(())
    }

    fn commit(&mut self, batch: u64) -> Result<()> {
        let chosen = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => return Ok(()),
            Waiting::Text(text) => {
                let written = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush());
                return written.map_err(|e| Error::io("cannot write", STDOUT, e));
            }
            Waiting::All(chosen) => chosen,
            Waiting::Changed(changed, rows) => {
                let (most, cut) = ((self.limits)().most_rows.unwrap_or(MOST_ROWS), changed.len() < rows);
                self.changed(batch, changed, most, cut)
            }
        };
        if let (Some(picture), Some(columns)) = (&self.picture, &self.columns) {
            picture.0.lock().unwrap_or_else(PoisonError::into_inner).next = Some((Arc::clone(columns), chosen));
        }
        Ok(())
    }
}

/// The table that is drawn anew. A clone is the same table.
#[derive(Clone, Default)]
pub struct Picture(Arc<Mutex<Drawn>>);

#[derive(Default)]
struct Drawn {
    /// What is not on the screen yet.
    next: Option<(Arc<Columns>, Chosen)>,
    /// Lines that are.
    lines: usize,
}

impl Picture {
    /// Draws what is new, in the place of what was drawn before.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&self, live: &Live) -> Result<()> {
        let Some(text) = self.next(of_picture()) else { return Ok(()) };
        let written = live.aside(|| {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        written.map_err(|e| Error::io("cannot write", STDOUT, e))
    }

    /// What is to be written, if there is something new: up to the first line of what was drawn, the rest of the screen
    /// cleared, the table.
    fn next(&self, limits: Limits) -> Option<String> {
        // Not held while it is written: the query does not wait for a terminal.
        let mut drawn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (columns, chosen) = drawn.next.take()?;
        let table = chosen.text(&columns, limits, HELP);
        let mut text = String::new();
        if drawn.lines > 0 {
            _ = write!(text, "\x1b[{}A\x1b[J", drawn.lines);
        }
        drawn.lines = table.lines().count();
        Some(text + &table)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray};

    use super::*;

    fn rows(list: &[(&str, i64)]) -> RecordBatch {
        let keys = StringArray::from_iter_values(list.iter().map(|row| row.0));
        let counts = Int64Array::from_iter_values(list.iter().map(|row| row.1));
        RecordBatch::try_from_iter([("k", Arc::new(keys) as ArrayRef), ("n", Arc::new(counts) as ArrayRef)]).unwrap()
    }

    fn give(sink: &mut TableSink, batch: u64, list: &[(&str, i64)]) {
        sink.prepare(&BatchOutput { batch, rows: vec![rows(list)] }).unwrap();
        sink.commit(batch).unwrap();
    }

    /// A table in one place that has room for four rows.
    fn redrawn(mode: OutputMode) -> (TableSink, Picture) {
        let picture = Picture::default();
        let limits = || Limits { most_rows: Some(4), ..Limits::default() };
        let mut sink = TableSink::into(Box::new(io::sink()), limits, Some(picture.clone()), mode, 1);
        sink.begin("q", &rows(&[]).schema()).unwrap();
        (sink, picture)
    }

    /// What is written to draw it: how it goes back, and the lines that are rows or notes.
    fn drawn(picture: &Picture) -> Option<(String, Vec<String>)> {
        let text = picture.next(Limits::default())?;
        let (back, table) = text.split_at(text.find('┌').unwrap());
        let line = |line: &str| line.trim_matches(['│', ' ']).replace(" ┆ ", " ");
        let lines = table.lines().skip(3).filter(|line| !line.starts_with('└')).map(line);
        Some((back.to_owned(), lines.collect()))
    }

    fn is(back: &str, lines: &[&str]) -> Option<(String, Vec<String>)> {
        Some((back.to_owned(), lines.iter().map(|&line| line.to_owned()).collect()))
    }

    #[test]
    fn complete_is_drawn_over_itself() {
        let (mut sink, picture) = redrawn(OutputMode::Complete);
        assert_eq!(drawn(&picture), None);
        give(&mut sink, 0, &[("a", 1)]);
        give(&mut sink, 1, &[("a", 2), ("b", 1)]);
        assert_eq!(drawn(&picture), is("", &["a 2", "b 1"]), "only the newest");
        assert_eq!(drawn(&picture), None, "nothing is new");
        give(&mut sink, 2, &[("a", 2), ("b", 1), ("c", 1), ("d", 1), ("e", 1)]);
        let note = "2 of 5 rows shown; for all of it: --sink csv";
        assert_eq!(drawn(&picture), is("\x1b[6A\x1b[J", &["a 2", "… …", "e 1", note]));
        give(&mut sink, 3, &[]);
        assert_eq!(drawn(&picture), is("\x1b[8A\x1b[J", &[]));
    }

    #[test]
    fn update_keeps_what_changed_last() {
        let (mut sink, picture) = redrawn(OutputMode::Update);
        give(&mut sink, 0, &[("a", 1), ("c", 1), ("d", 1)]);
        give(&mut sink, 1, &[("b", 1), ("c", 2)]);
        assert_eq!(drawn(&picture), is("", &["a 1", "b 1", "c 2", "d 1"]), "by key, each once");
        give(&mut sink, 2, &[("e", 1)]);
        let note = "the 4 rows that changed last; for all of it: --sink csv";
        assert_eq!(drawn(&picture).unwrap().1, ["b 1", "c 2", "d 1", "e 1", note]);
        give(&mut sink, 3, &[("f", 1), ("g", 1), ("h", 1), ("i", 1), ("j", 1)]);
        assert_eq!(drawn(&picture).unwrap().1, ["g 1", "h 1", "i 1", "j 1", note]);
    }

    #[test]
    fn a_row_without_keys_is_one() {
        let (mut sink, picture) = redrawn(OutputMode::Update);
        sink.keys = 0;
        sink.begin("q", &rows(&[]).schema()).unwrap();
        give(&mut sink, 0, &[("x", 1)]);
        give(&mut sink, 1, &[("y", 2)]);
        assert_eq!(drawn(&picture), is("", &["y 2"]));
    }
}
