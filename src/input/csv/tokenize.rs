//! From the bytes of whole records to the edges of their fields.
//!
//! Regular records are read by the loop of [`simd`](super::simd). The one here reads any record: what is bad is found and told
//! by it, and so are blank lines, quotes in the middle of text, and the record that the end of the file ends.

use std::ops::Range;

use super::QUOTE;
use super::boundary::close;
use super::simd::{Level, Run};
use super::swar::{BLOCK, Masks};

/// Why a record has no fields to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It has `found` fields, which is not what the file has.
    Fields {
        /// How many it has.
        found: usize,
    },
    /// Text follows the closing quote of a field; `at` is its byte.
    AfterQuote {
        /// The byte.
        at: usize,
    },
    /// Nothing closes the quote at byte `at` before the end of the file.
    Unclosed {
        /// The byte.
        at: usize,
    },
    /// It has 4 GiB or more.
    TooLong,
}

/// A record that is not as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadRecord {
    /// The byte it starts at.
    pub(super) start: usize,
    /// What is wrong.
    pub(super) broken: Broken,
}

/// The fields of some whole records: where each row starts, and where each of its fields ends (at its separator, or at the CR
/// of a CRLF). A field starts where its row does or one after the end of the field before.
pub(super) struct Fields {
    columns: usize,
    level: Level,
    base: usize,
    /// For each row; places count from `base`.
    starts: Vec<u32>,
    /// `columns` for each row; what follows is scratch.
    ends: Vec<u32>,
    /// The records that were left out, in order.
    pub(super) bad: Vec<BadRecord>,
}

/// Records read the plain way before the quick one is tried again.
const PLAIN: usize = 32;

/// The state of the record being read.
struct Row {
    start: usize,
    field: usize,
    fields: usize,
    after_quote: Option<usize>,
}

impl Row {
    fn at(start: usize) -> Row {
        Row { start, field: start, fields: 0, after_quote: None }
    }
}

impl Fields {
    /// For a file of `columns` columns (at least one).
    pub(super) fn new(columns: usize) -> Fields {
        Fields::with(columns, Level::all().next().unwrap_or(Level::Plain))
    }

    fn with(columns: usize, level: Level) -> Fields {
        Fields { columns, level, base: 0, starts: vec![], ends: vec![], bad: vec![] }
    }

    /// Good rows.
    pub(super) fn rows(&self) -> usize {
        self.starts.len()
    }

    /// The byte row `row` starts at.
    pub(super) fn start(&self, row: usize) -> usize {
        self.base + self.starts[row] as usize
    }

    /// The raw text of row `row`'s field `column`.
    pub(super) fn field<'d>(&self, data: &'d [u8], row: usize, column: usize) -> &'d [u8] {
        let ends = &self.ends[row * self.columns..][..self.columns];
        let start = if column == 0 { self.starts[row] } else { ends[column - 1] + 1 };
        &data[self.base + start as usize..self.base + ends[column] as usize]
    }

    /// Where every row's field `column` stands, quotes included.
    #[inline]
    pub(super) fn column(&self, column: usize) -> impl ExactSizeIterator<Item = Range<usize>> + Clone {
        let base = self.base;
        let rows = self.starts.iter().zip(self.ends.chunks_exact(self.columns));
        rows.map(move |(&start, ends)| {
            let start = if column == 0 { start } else { ends[column - 1] + 1 };
            base + start as usize..base + ends[column] as usize
        })
    }

    /// Leaves out the rows that `drop` names (in ascending order).
    pub(super) fn remove(&mut self, drop: &[usize]) {
        let width = self.columns;
        let mut drop = drop.iter().peekable();
        let mut kept = 0;
        for row in 0..self.rows() {
            if drop.next_if(|&&d| d == row).is_none() {
                self.ends.copy_within(row * width..(row + 1) * width, kept * width);
                self.starts[kept] = self.starts[row];
                kept += 1;
            }
        }
        self.starts.truncate(kept);
    }

    /// Reads whole records from `from` on until they have `bytes` bytes or `data` ends; returns where it stopped.
    ///
    /// `data` must end where a record ends.
    pub(super) fn fill(&mut self, data: &[u8], from: usize, bytes: usize, delimiter: u8) -> usize {
        self.base = from;
        self.starts.clear();
        self.bad.clear();
        let stop = from.saturating_add(bytes);
        let mut at = from;
        while at < stop && at < data.len() {
            let run = Run {
                data: &data[at..],
                delimiter,
                columns: self.columns,
                stop: stop - at,
                base: (at - from) as u32,
                starts: &mut self.starts,
                ends: &mut self.ends,
            };
            at += run.go(self.level);
            if at < stop && at < data.len() {
                at = self.scan(data, at, stop, delimiter);
            }
        }
        at
    }

    /// Reads some records the plain way, the first at `at`.
    fn scan(&mut self, data: &[u8], mut at: usize, stop: usize, delimiter: u8) -> usize {
        let mut row = Row::at(at);
        let mut ends = vec![];
        let mut left = PLAIN;
        'blocks: while at < data.len() {
            let Masks { newlines, quotes, mut hits } = if let Some(block) = data[at..].first_chunk::<BLOCK>() {
                Masks::of::<true>(block, delimiter)
            } else {
                let rest = &data[at..];
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                Masks::of::<true>(&block, delimiter).first(rest.len())
            };
            while hits != 0 {
                let bit = hits.trailing_zeros();
                hits &= hits - 1;
                let here = at + bit as usize;
                if newlines >> bit & 1 != 0 {
                    self.end_row(data, &row, here, &mut ends);
                    row = Row::at(here + 1);
                    left -= 1;
                    if here + 1 >= stop || left == 0 {
                        return here + 1;
                    }
                } else if data[here] == delimiter {
                    row.fields += 1;
                    row.field = here + 1;
                    if row.fields <= self.columns {
                        ends.push(here - self.base);
                    }
                } else if here == row.field {
                    let closed = close_within(quotes, bit);
                    let Some(after) = closed.map_or_else(|| close(data, here), |bit| Some(at + bit as usize + 1))
                    else {
                        self.refuse(row.start, Broken::Unclosed { at: here });
                        return data.len();
                    };
                    let goes_on = match &data[after..] {
                        [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..] => false,
                        [next, ..] => *next != delimiter,
                    };
                    if goes_on {
                        row.after_quote.get_or_insert(after);
                    }
                    match closed {
                        Some(bit) => hits &= above(bit),
                        None => {
                            at = after;
                            continue 'blocks;
                        }
                    }
                }
            }
            at += BLOCK;
        }
        // What follows the last LF is a record too, if there is anything.
        if row.start < data.len() {
            self.end_row(data, &row, data.len(), &mut ends);
        }
        data.len()
    }

    /// The record `row` ends at `end` (an LF or the end of the data). `ends` has the ends of all but its last field.
    fn end_row(&mut self, data: &[u8], row: &Row, end: usize, ends: &mut Vec<usize>) {
        let end = if end > row.field && data[end - 1] == b'\r' { end - 1 } else { end };
        let found = row.fields + 1;
        if found != self.columns || row.after_quote.is_some() || end - self.base >= u32::MAX as usize {
            if found == 1 && end == row.start {
                // A blank line.
            } else if end - self.base >= u32::MAX as usize {
                self.refuse(row.start, Broken::TooLong);
            } else if let Some(at) = row.after_quote {
                self.refuse(row.start, Broken::AfterQuote { at });
            } else {
                self.refuse(row.start, Broken::Fields { found });
            }
        } else {
            self.ends.truncate(self.rows() * self.columns);
            self.ends.extend(ends.iter().chain([&(end - self.base)]).map(|&end| end as u32));
            self.starts.push((row.start - self.base) as u32);
        }
        ends.clear();
    }

    #[cold]
    fn refuse(&mut self, start: usize, broken: Broken) {
        self.bad.push(BadRecord { start, broken });
    }
}

/// The raw fields of one record, the plain way: for headers and guesses.
pub(super) fn split(record: &[u8], delimiter: u8) -> Vec<&[u8]> {
    let mut fields = vec![];
    let mut start = 0;
    loop {
        let text_from = match record.get(start) {
            Some(&QUOTE) => close(record, start).unwrap_or(record.len()),
            _ => start,
        };
        match memchr::memchr(delimiter, &record[text_from..]) {
            Some(i) => {
                fields.push(&record[start..text_from + i]);
                start = text_from + i + 1;
            }
            None => {
                fields.push(&record[start..]);
                return fields;
            }
        }
    }
}

/// The bits above `bit`.
#[inline(always)]
fn above(bit: u32) -> u64 {
    (!1u64).checked_shl(bit).unwrap_or(0)
}

/// The bit of the quote that closes the field that the quote at bit `open` opens, if this block alone can tell.
#[inline(always)]
fn close_within(quotes: u64, open: u32) -> Option<u32> {
    let mut rest = quotes & above(open);
    while rest != 0 {
        let bit = rest.trailing_zeros();
        if bit == u64::BITS - 1 {
            // Whether it is doubled stands in the next block.
            return None;
        }
        if quotes >> (bit + 1) & 1 == 0 {
            return Some(bit);
        }
        rest &= above(bit + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(data: &str, columns: usize) -> (Vec<Vec<&str>>, Vec<BadRecord>) {
        let all: Vec<_> = Level::all().map(|level| rows_by(data, Fields::with(columns, level))).collect();
        assert!(all.iter().all(|one| *one == all[0]), "{:?} differ on {data:?}", Level::all().collect::<Vec<_>>());
        all.into_iter().next().unwrap()
    }

    fn rows_by(data: &str, mut fields: Fields) -> (Vec<Vec<&str>>, Vec<BadRecord>) {
        let columns = fields.columns;
        let mut out = vec![];
        let mut bad = vec![];
        let mut at = 0;
        while at < data.len() {
            at = fields.fill(data.as_bytes(), at, 20, b',');
            let first = out.len();
            out.resize(first + fields.rows(), vec![]);
            for c in 0..columns {
                for (row, text) in out[first..].iter_mut().zip(fields.column(c)) {
                    row.push(&data[text]);
                }
            }
            bad.extend(&fields.bad);
        }
        (out, bad)
    }

    #[test]
    fn a_block_finds_closing_quotes_where_it_can() {
        for (text, want) in
            [("\"a\"", Some(2)), ("\"\"\"\"", Some(3)), ("\"a\"\"", None), ("\"", None), ("\"\",", Some(1))]
        {
            let mut block = [b'x'; BLOCK];
            block[..text.len()].copy_from_slice(text.as_bytes());
            let quotes = Masks::of::<true>(&block, b',').quotes;
            assert_eq!(close_within(quotes, 0), want, "{text}");
        }
        assert_eq!(close_within(1 << 63 | 1, 0), None);
        assert_eq!(close_within(0b11 << 62 | 1, 0), None);
        assert_eq!(close_within(1 << 63, 63), None);
        assert_eq!((above(63), above(0), above(62)), (0, !1, 1 << 63));
    }

    #[test]
    fn fields_lie_between_separators() {
        let long = "x".repeat(200);
        let text = format!("a,b\r\n\r\n,\n\n1,{long}\n{long},\r\n,é");
        let (got, bad) = rows(&text, 2);
        assert_eq!(got, [["a", "b"], ["", ""], ["1", &long], [&long, ""], ["", "é"]]);
        assert_eq!(bad, []);
        assert_eq!(rows("a\n\n\r\nb\n", 1).0, [["a"], [""], [""], ["b"]]);
        assert_eq!(rows(&",".repeat(9999), 10_000).0[0].len(), 10_000);
        assert_eq!(rows("a\r", 1).0, [["a"]]);
    }

    #[test]
    fn quoted_fields_keep_their_separators() {
        let text = "\"a,\n\"\"b\",1\r\n5\"x,\"\"\n\"\",\"\r\n\"";
        let (got, bad) = rows(text, 2);
        assert_eq!(got, [["\"a,\n\"\"b\"", "1"], ["5\"x", "\"\""], ["\"\"", "\"\r\n\""]]);
        assert_eq!(bad, []);
    }

    #[test]
    fn bad_records_are_left_out_and_told() {
        let (got, bad) = rows("a,b\n1\n1,2,3\n\"x\"y,2\nc,d\n\"x\" ,\",\"\n1,\"x\n", 2);
        assert_eq!(got, [["a", "b"], ["c", "d"]]);
        let at = |start, broken| BadRecord { start, broken };
        assert_eq!(
            bad,
            [
                at(4, Broken::Fields { found: 1 }),
                at(6, Broken::Fields { found: 3 }),
                at(12, Broken::AfterQuote { at: 15 }),
                at(23, Broken::AfterQuote { at: 26 }),
                at(32, Broken::Unclosed { at: 34 }),
            ]
        );
        assert_eq!(rows(&"1,".repeat(100_000), 3).1, [at(0, Broken::Fields { found: 100_001 })]);
    }

    #[test]
    fn one_record_splits_the_same_way() {
        for (text, want) in [
            ("", vec![""]),
            (",", vec!["", ""]),
            ("a,\"b,c\",d\"", vec!["a", "\"b,c\"", "d\""]),
            ("\"a\"\"\"x,b", vec!["\"a\"\"\"x", "b"]),
            ("a,\"b,c", vec!["a", "\"b,c"]),
        ] {
            let want: Vec<_> = want.iter().map(|t| t.as_bytes()).collect();
            assert_eq!(split(text.as_bytes(), b','), want, "{text}");
        }
    }

    #[test]
    fn removed_rows_leave_the_others_aligned() {
        let data = b"a,1\nb,2\nc,3\nd,4\n";
        let mut fields = Fields::new(2);
        fields.fill(data, 0, 100, b',');
        fields.remove(&[0, 2]);
        let column: Vec<_> = fields.column(1).map(|field| &data[field]).collect();
        assert_eq!(column, [b"2", b"4"]);
        assert_eq!((fields.rows(), fields.start(1)), (2, 12));
    }

    /// The plain way alone, record by record.
    fn plain(data: &str, columns: usize) -> (Vec<Vec<&str>>, Vec<BadRecord>) {
        let (mut out, mut bad, mut at) = (vec![], vec![], 0);
        while at < data.len() {
            let mut fields = Fields::with(columns, Level::Plain);
            fields.base = at;
            at = fields.scan(data.as_bytes(), at, at + 1, b',');
            for row in 0..fields.rows() {
                let text = |c| std::str::from_utf8(fields.field(data.as_bytes(), row, c)).unwrap();
                out.push((0..columns).map(text).collect());
            }
            bad.extend(fields.bad);
        }
        (out, bad)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn quick_records_are_what_plain_ones_are(
            text in "(a,b\n|\"\",\"a\"\"\"\r\n|\"|\"\"|aaaaaaaaaa|,|\n|\r\n|\",\"|\"\n\"|x,aaaaaaaaaaaaaaaaaaaa\n){0,60}",
            columns in 1usize..4,
        ) {
            prop_assert_eq!(rows(&text, columns), plain(&text, columns));
        }

        #[test]
        fn regular_records_need_no_plain_way(
            cells in proptest::collection::vec("(x{0,70}|\"(x|,|\n|\"\"){0,70}\")", 0..100),
            crlf: bool,
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let records: Vec<_> = cells.chunks_exact(2).collect();
            let text: String = records.iter().map(|c| format!("{},{}{end}", c[0], c[1])).collect();
            for level in Level::all() {
                let (mut starts, mut ends) = (vec![], vec![]);
                let run = Run {
                    data: text.as_bytes(),
                    delimiter: b',',
                    columns: 2,
                    stop: usize::MAX,
                    base: 0,
                    starts: &mut starts,
                    ends: &mut ends,
                };
                prop_assert_eq!((run.go(level), starts.len()), (text.len(), records.len()));
            }
            let (got, _) = rows(&text, 2);
            prop_assert_eq!(got, records);
        }
    }
}
