//! From lines to the places of the wanted values, a batch at a time.

use std::ops::Range;

use super::json::{Key, Kind, Wrong, members, space, unescape, value};
use super::keys::{Below, Keys};

/// Where the text of a value stands, from the batch's first byte on: of a string what is between its quotes. Nothing is null. The text
/// of a string that reads otherwise than it stands in the file is in the scratch space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    start: u32,
    end: u32,
}

impl Cell {
    /// The bit of `start` that says: in the scratch space.
    const APART: u32 = 1 << 31;
    /// A longer batch has no cells.
    const MOST: usize = Cell::APART as usize - 1;
    const NULL: Cell = Cell { start: 0, end: 0 };
    /// A value that has not been found yet.
    const MISSING: Cell = Cell { start: u32::MAX, end: 0 };

    fn range(self, base: usize) -> Range<usize> {
        base + self.start as usize..base + self.end as usize
    }
}

/// Why a line is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is not JSON.
    Syntax(Wrong),
    /// It is JSON, but no object.
    NoObject,
    /// There is text after the object.
    After { at: usize },
    /// It is not UTF-8.
    Encoding { at: usize },
    /// A key of the column in this slot stands in it twice.
    Twice { at: usize, slot: usize },
    /// The column in this slot lies within a value that is no object here.
    Outside { at: usize, slot: usize },
    /// An empty string, in a column that is none of strings.
    Empty { at: usize, slot: usize },
    /// It has 2 GiB or more.
    TooLong,
}

impl From<Wrong> for Broken {
    fn from(wrong: Wrong) -> Broken {
        Broken::Syntax(wrong)
    }
}

/// A bad line, and the byte it starts at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadRecord {
    pub(super) start: usize,
    pub(super) broken: Broken,
}

/// The wanted values of some records.
pub(super) struct Records<'k> {
    keys: &'k Keys,
    /// For each slot: whether it is a column of strings.
    strings: &'k [bool],
    /// The record being read.
    row: Vec<Cell>,
    /// For each slot: a cell a record.
    cells: Vec<Vec<Cell>>,
    /// For each slot: whether a cell of it is in the scratch space.
    apart: Vec<bool>,
    scratch: Vec<u8>,
    /// The first byte of the batch.
    base: usize,
    /// Where records start.
    starts: Vec<usize>,
    /// Lines that are none.
    pub(super) bad: Vec<BadRecord>,
}

impl<'k> Records<'k> {
    pub(super) fn new(keys: &'k Keys, strings: &'k [bool]) -> Records<'k> {
        let slots = strings.len();
        Records {
            keys,
            strings,
            row: vec![Cell::MISSING; slots],
            cells: vec![vec![]; slots],
            apart: vec![false; slots],
            scratch: vec![],
            base: 0,
            starts: vec![],
            bad: vec![],
        }
    }

    /// Good records of the batch.
    pub(super) fn rows(&self) -> usize {
        self.starts.len()
    }

    /// The byte record `row` starts at.
    pub(super) fn start(&self, row: usize) -> usize {
        self.starts[row]
    }

    /// Reads the records of `data` that begin at `from` or later and before `from + bytes`. `known`: all of it is known to be UTF-8.
    /// Returns where the next begins.
    pub(super) fn fill(&mut self, data: &[u8], from: usize, bytes: usize, known: bool) -> usize {
        self.base = from;
        self.starts.clear();
        self.bad.clear();
        self.scratch.clear();
        self.apart.fill(false);
        self.cells.iter_mut().for_each(Vec::clear);
        let stop = from.saturating_add(bytes);
        let mut at = from;
        while at < stop && at < data.len() {
            let first = space(data, at);
            let start = at;
            match data.get(first) {
                None => return data.len(),
                Some(b'\n') => {
                    at = first + 1;
                    continue;
                }
                _ => {}
            }
            let read = self.record(data, first);
            // What was read whole ends where the line ends; else the end has to be found.
            at = match read {
                Ok(end) => end,
                Err(_) => memchr::memchr(b'\n', &data[first..]).map_or(data.len(), |i| first + i + 1),
            };
            let read = match read {
                Ok(_) if known => Ok(()),
                Ok(_) | Err(_) => match std::str::from_utf8(&data[start..at]) {
                    Ok(_) => read.map(|_| ()),
                    Err(e) => Err(Broken::Encoding { at: start + e.valid_up_to() }),
                },
            };
            let read = if at - self.base > Cell::MOST { Err(Broken::TooLong) } else { read };
            match read {
                Ok(()) => {
                    self.starts.push(start);
                    for (cells, cell) in self.cells.iter_mut().zip(&self.row) {
                        cells.push(if *cell == Cell::MISSING { Cell::NULL } else { *cell });
                    }
                }
                Err(broken) => self.bad.push(BadRecord { start, broken }),
            }
        }
        at
    }

    /// Reads the record at `at`; returns the place after its line.
    fn record(&mut self, data: &[u8], at: usize) -> Result<usize, Broken> {
        self.row.fill(Cell::MISSING);
        if data.get(at) != Some(&b'{') {
            value(data, at)?;
            return Err(Broken::NoObject);
        }
        let end = space(data, self.object(data, at + 1, self.keys)?);
        match data.get(end) {
            None => Ok(end),
            Some(b'\n') => Ok(end + 1),
            Some(_) => Err(Broken::After { at: end }),
        }
    }

    /// Reads the object whose `{` is the byte before `at`; returns the place after it.
    fn object(&mut self, data: &[u8], at: usize, keys: &Keys) -> Result<usize, Broken> {
        let mut expected = 0;
        members(data, at, |key, at| {
            let below =
                if key.escaped { self.escaped(data, &key, keys)? } else { keys.find(&data[key.text], &mut expected) };
            match below {
                Some(below) => self.wanted(data, at, below),
                None => Ok(value(data, at)?.1),
            }
        })
    }

    /// A key that reads otherwise than it stands there.
    #[cold]
    fn escaped<'a>(&self, data: &[u8], key: &Key, keys: &'a Keys) -> Result<Option<&'a Below>, Broken> {
        let mut name = vec![];
        if !unescape(&data[key.text.clone()], &mut name) {
            return Err(Wrong { at: key.text.start, what: "half a surrogate pair" }.into());
        }
        Ok(keys.find(&name, &mut 0))
    }

    /// Reads a value of which something is wanted; returns the place after it.
    #[inline]
    fn wanted(&mut self, data: &[u8], at: usize, below: &Below) -> Result<usize, Broken> {
        let (kind, end) = match (data.get(at), below.keys.is_empty()) {
            (Some(b'{'), false) => (Kind::Object, self.object(data, at + 1, &below.keys)?),
            (_, is_leaf) => {
                let (kind, end) = value(data, at)?;
                if !is_leaf
                    && kind != Kind::Null
                    && let Some(slot) = below.keys.slot().filter(|_| below.slot.is_none())
                {
                    return Err(Broken::Outside { at, slot });
                }
                (kind, end)
            }
        };
        let Some(slot) = below.slot else { return Ok(end) };
        if self.row[slot] != Cell::MISSING {
            return Err(Broken::Twice { at, slot });
        }
        self.row[slot] = match kind {
            Kind::Null => Cell::NULL,
            Kind::Text { escaped: true } => self.unescaped(data, at, end, slot)?,
            Kind::Text { escaped: false } => {
                let text = &data[at + 1..end - 1];
                if text.first().is_none_or(|byte| matches!(byte, b' ' | b'\t'))
                    && text.iter().all(|byte| matches!(byte, b' ' | b'\t'))
                {
                    if !self.strings[slot] {
                        return Err(Broken::Empty { at, slot });
                    }
                    // Nothing is null; the two quotes are the empty string.
                    let quotes = usize::from(!text.is_empty());
                    self.cell(at + quotes, end - quotes)
                } else {
                    self.cell(at + 1, end - 1)
                }
            }
            _ => self.cell(at, end),
        };
        Ok(end)
    }

    #[inline]
    fn cell(&self, start: usize, end: usize) -> Cell {
        // Of a longer batch the row is refused.
        Cell { start: (start - self.base) as u32 & !Cell::APART, end: (end - self.base) as u32 }
    }

    /// The string at `at` as it reads. One that begins with a quote is put between quotes, its own doubled, as in CSV.
    #[cold]
    fn unescaped(&mut self, data: &[u8], at: usize, end: usize, slot: usize) -> Result<Cell, Broken> {
        let start = self.scratch.len();
        if !unescape(&data[at + 1..end - 1], &mut self.scratch) {
            return Err(Wrong { at, what: "half a surrogate pair in a string" }.into());
        }
        if self.scratch.get(start) == Some(&b'"') {
            let text = self.scratch.split_off(start);
            self.scratch.push(b'"');
            for byte in text {
                self.scratch.push(byte);
                if byte == b'"' {
                    self.scratch.push(byte);
                }
            }
            self.scratch.push(b'"');
        }
        self.apart[slot] = true;
        if self.scratch.len() > Cell::MOST {
            return Err(Broken::TooLong);
        }
        Ok(Cell { start: start as u32 | Cell::APART, end: self.scratch.len() as u32 })
    }

    /// The text of a value, for a message.
    pub(super) fn text<'a>(&'a self, data: &'a [u8], row: usize, slot: usize) -> &'a [u8] {
        let cell = self.cells[slot][row];
        if cell.start & Cell::APART != 0 {
            &self.scratch[(cell.start & !Cell::APART) as usize..cell.end as usize]
        } else {
            &data[cell.range(self.base)]
        }
    }

    /// Calls `read` with the texts of a column's values: data, and where they stand in it.
    pub(super) fn column<R>(&self, data: &[u8], slot: usize, read: impl FnOnce(&[u8], Places<'_>) -> R) -> R {
        let cells = &self.cells[slot];
        if !self.apart[slot] {
            return read(data, Places { cells: cells.iter(), base: self.base });
        }
        // Values of a column lie in one place.
        let mut texts = vec![];
        let mut moved = Vec::with_capacity(cells.len());
        for row in 0..cells.len() {
            let start = texts.len() as u32;
            texts.extend_from_slice(self.text(data, row, slot));
            moved.push(Cell { start, end: texts.len() as u32 });
        }
        read(&texts, Places { cells: moved.iter(), base: 0 })
    }

    /// Takes rows (ascending) out.
    pub(super) fn remove(&mut self, rows: &[usize]) {
        fn without<T: Copy>(items: &mut Vec<T>, rows: &[usize]) {
            let mut gone = rows.iter().peekable();
            let mut row = 0;
            items.retain(|_| {
                row += 1;
                gone.next_if(|&&gone| gone == row - 1).is_none()
            });
        }
        without(&mut self.starts, rows);
        self.cells.iter_mut().for_each(|cells| without(cells, rows));
    }
}

/// Where the values of a column stand.
#[derive(Clone)]
pub(super) struct Places<'a> {
    cells: std::slice::Iter<'a, Cell>,
    base: usize,
}

impl Iterator for Places<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        self.cells.next().map(|cell| cell.range(self.base))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.cells.size_hint()
    }
}

impl ExactSizeIterator for Places<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of columns a and b.c (strings) and n (not), as their texts.
    fn rows(text: &str, batch: usize) -> (Vec<Vec<String>>, Vec<BadRecord>) {
        let mut keys = Keys::default();
        keys.add(&["a"], 0);
        keys.add(&["b", "c"], 1);
        keys.add(&["n"], 2);
        let strings = [true, true, false];
        let mut records = Records::new(&keys, &strings);
        let (mut out, mut bad, mut at) = (vec![], vec![], 0);
        while at < text.len() {
            at = records.fill(text.as_bytes(), at, batch, true);
            for row in 0..records.rows() {
                let text = |slot| {
                    records.column(text.as_bytes(), slot, |data, mut places| {
                        String::from_utf8(data[places.nth(row).unwrap()].to_vec()).unwrap()
                    })
                };
                out.push((0..3).map(text).collect());
            }
            bad.extend(&records.bad);
        }
        (out, bad)
    }

    #[test]
    fn values_are_found_by_their_keys_in_any_batch() {
        let text = concat!(
            "{\"a\":\"x\",\"other\":[1,{\"a\":2}],\"n\":1.5}\n",
            "\r\n \n",
            "{\"n\":\"7\",\"b\":{\"d\":{},\"c\":\"y\"},\"a\":\"\"}\r\n",
            "{\"b\":null,\"a\":null}\n",
            "{\"\\u0061\":\"\\\"q\\\"\",\"b\":{\"c\":\"1\\t2\"}}\n",
            "{}\n",
            "{\"a\":{\"k\":[]},\"b\":{\"c\":true}}",
        );
        let want = [
            ["x", "", "1.5"],
            ["\"\"", "y", "7"],
            ["", "", ""],
            ["\"\"\"q\"\"\"", "1\t2", ""],
            ["", "", ""],
            ["{\"k\":[]}", "true", ""],
        ];
        for batch in [1, 30, 1000] {
            assert_eq!(rows(text, batch), (want.map(|row| row.map(String::from).to_vec()).to_vec(), vec![]));
        }
    }

    #[test]
    fn bad_lines_are_left_out_and_told() {
        let text = "{\"a\":1}\n[1]\n{\"a\":1,\"a\":2}\n{\"b\":3}\n{\"n\":\" \"}\n{\"a\":1} x\n{\"a\":\"x\n{\"a\":2}\n";
        let (good, bad) = rows(text, 1000);
        assert_eq!(good, [["1", "", ""], ["2", "", ""]].map(|row| row.map(String::from).to_vec()));
        let at = |start, broken| BadRecord { start, broken };
        let open = "nothing closes the string before the line ends";
        assert_eq!(
            bad,
            [
                at(8, Broken::NoObject),
                at(12, Broken::Twice { at: 23, slot: 0 }),
                at(26, Broken::Outside { at: 31, slot: 1 }),
                at(34, Broken::Empty { at: 39, slot: 2 }),
                at(44, Broken::After { at: 52 }),
                at(54, Broken::Syntax(Wrong { at: 61, what: open })),
            ]
        );
    }
}
