//! Where records end: exact cuts of a file into chunks, and the walk over the records of a chunk.
//!
//! The grammar (RFC 4180, with its gaps closed; the tokenizer follows the same):
//! - a field that begins with `"` is quoted up to the next `"` that is not doubled; a `"` anywhere else is text;
//! - outside quotes a record ends at LF, CRLF or the end of the file; a CR elsewhere is text.
//!
//! So a `"` outside quotes opens a field exactly if a delimiter, an LF or nothing stands before it, which is why the
//! splitter may leap from quote to quote and never looks at the delimiters.

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use super::QUOTE;

/// A piece of a file that ends where a record ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// One past its last byte.
    pub(super) end: usize,
    /// The byte of an opening quote that nothing closes before the end of the file.
    pub(super) unclosed: Option<usize>,
    /// Whether it may hold a quote.
    pub(super) quotes: bool,
}

/// Whether a quote at `at`, outside quotes, opens a field of a record that begins at or before `start`.
#[inline]
pub(super) fn opens(data: &[u8], at: usize, start: usize, delimiter: u8) -> bool {
    at == start || matches!(data[at - 1], b if b == delimiter || b == b'\n')
}

/// The end of the quoted field that `open` opens: the place after its closing quote, or `None` if nothing closes it.
pub(super) fn close(data: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr(QUOTE, &data[at..])?;
        if data.get(at + 1) != Some(&QUOTE) {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Cuts a piece off `data` that begins at the record start `from`: as many whole records as fit into `bytes` and number
/// at most `rows`, but one at least.
pub(super) fn cut(data: &[u8], from: usize, delimiter: u8, bytes: usize, rows: usize) -> Cut {
    let target = from.saturating_add(bytes.max(1)).min(data.len());
    // No record is shorter than one byte.
    let mut left = if rows < target - from { rows.max(1) } else { usize::MAX };
    let mut end = from;
    let mut at = from;
    let mut quotes = false;
    // Invariant: `at` is outside quotes; `end` is the last record end found; all of it lies below `target`.
    while at < target {
        let quote = memchr(QUOTE, &data[at..target]).map_or(target, |i| at + i);
        if left == usize::MAX {
            if let Some(i) = memrchr(b'\n', &data[at..quote]) {
                end = at + i + 1;
            }
        } else {
            for i in memchr_iter(b'\n', &data[at..quote]) {
                end = at + i + 1;
                left -= 1;
                if left == 0 {
                    return Cut { end, unclosed: None, quotes };
                }
            }
        }
        at = quote;
        if quote < target {
            quotes = true;
            at = quote + 1;
            if opens(data, quote, from, delimiter) {
                match close(data, quote) {
                    Some(after) => at = after,
                    None => return Cut { end: data.len(), unclosed: Some(quote), quotes },
                }
            }
        }
    }
    if target == data.len() {
        // The last record needs no LF.
        return Cut { end: target, unclosed: None, quotes };
    }
    if end > from { Cut { end, unclosed: None, quotes } } else { record_end(data, at, from, delimiter, quotes) }
}

/// The end of the record that `at`, outside quotes, lies in; `start` is where it or an earlier record begins.
fn record_end(data: &[u8], mut at: usize, start: usize, delimiter: u8, mut quotes: bool) -> Cut {
    while let Some(i) = data.get(at..).and_then(|rest| memchr2(b'\n', QUOTE, rest)) {
        let found = at + i;
        at = found + 1;
        if data[found] == b'\n' {
            return Cut { end: at, unclosed: None, quotes };
        }
        quotes = true;
        if opens(data, found, start, delimiter) {
            match close(data, found) {
                Some(after) => at = after,
                None => return Cut { end: data.len(), unclosed: Some(found), quotes },
            }
        }
    }
    Cut { end: data.len(), unclosed: None, quotes }
}

/// The records of a piece of a file, without their line ends.
pub(super) struct Records<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
    delimiter: u8,
    keep_blank: bool,
}

/// Walks the records of `data[from..end]`; blank lines are records only if `keep_blank`.
pub(super) fn records(data: &[u8], from: usize, end: usize, delimiter: u8, keep_blank: bool) -> Records<'_> {
    Records { data: &data[..end], at: from, end, delimiter, keep_blank }
}

impl Iterator for Records<'_> {
    type Item = std::ops::Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.end {
            let start = self.at;
            let cut = record_end(self.data, start, start, self.delimiter, false);
            self.at = cut.end;
            let end = if cut.unclosed.is_some() { cut.end } else { trimmed(self.data, start, cut.end) };
            if end > start || self.keep_blank {
                return Some(start..end);
            }
        }
        None
    }
}

/// The end of the record `data[start..end]` without its LF, CRLF or, at the end of the file, CR.
pub(super) fn trimmed(data: &[u8], start: usize, mut end: usize) -> usize {
    if end > start && data[end - 1] == b'\n' {
        end -= 1;
    }
    if end > start && data[end - 1] == b'\r' {
        end -= 1;
    }
    end
}

/// The first place at or after `at` that is not a blank line.
pub(super) fn skip_blank(data: &[u8], mut at: usize) -> usize {
    loop {
        match data.get(at..) {
            Some([b'\n', ..]) => at += 1,
            Some([b'\r', b'\n', ..]) => at += 2,
            Some([b'\r']) => at += 1,
            _ => return at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(data: &str, bytes: usize, rows: usize) -> Vec<&str> {
        let mut at = 0;
        let mut out = vec![];
        while at < data.len() {
            let end = cut(data.as_bytes(), at, b',', bytes, rows).end;
            out.push(&data[at..end]);
            at = end;
        }
        out
    }

    #[test]
    fn a_cut_is_never_inside_quotes_and_holds_a_record() {
        let data = "a,b\n\"x\ny\",1\n\"q\"\"\n\",\"\"\nlast";
        let records = ["a,b\n", "\"x\ny\",1\n", "\"q\"\"\n\",\"\"\n", "last"];
        for bytes in [0, 1, 3] {
            assert_eq!(cuts(data, bytes, usize::MAX), records);
        }
        assert_eq!(cuts(data, 12, usize::MAX), ["a,b\n\"x\ny\",1\n", records[2], records[3]]);
        assert_eq!(cuts(data, 13, usize::MAX), ["a,b\n\"x\ny\",1\n", records[2], records[3]]);
        assert_eq!(cuts(data, 14, usize::MAX), ["a,b\n\"x\ny\",1\n", "\"q\"\"\n\",\"\"\nlast"]);
        assert_eq!(cuts(data, 1000, usize::MAX).concat(), data);
        assert_eq!(cuts(data, 1000, 2), ["a,b\n\"x\ny\",1\n", "\"q\"\"\n\",\"\"\nlast"]);
        assert_eq!(cuts(data, 1000, 1), records);
    }

    #[test]
    fn a_quote_inside_a_field_is_text() {
        assert_eq!(cuts("5\" disk,a\nb\"\n", 1, usize::MAX), ["5\" disk,a\n", "b\"\n"]);
        // After a closing quote the field goes on as text: no new quote can open there.
        assert_eq!(cuts("\"a\"\"\"x\"\nb\n", 1, usize::MAX), ["\"a\"\"\"x\"\n", "b\n"]);
        assert_eq!(cuts("a\r\"b\nc\n", 1, usize::MAX), ["a\r\"b\n", "c\n"]);
    }

    #[test]
    fn an_unclosed_quote_reaches_to_the_end_and_is_known() {
        let data = b"a,b\n1,\"x\n2,3\n";
        assert_eq!(cut(data, 0, b',', 1000, usize::MAX), Cut { end: 13, unclosed: Some(6), quotes: true });
        assert_eq!(cut(data, 0, b',', 1, usize::MAX), Cut { end: 4, unclosed: None, quotes: false });
        assert_eq!(cut(data, 4, b',', 1, usize::MAX), Cut { end: 13, unclosed: Some(6), quotes: true });
        assert_eq!(cut(b"\"\"\"", 0, b',', 1, 1), Cut { end: 3, unclosed: Some(0), quotes: true });
    }

    #[test]
    fn records_come_without_line_ends_and_blank_lines() {
        let data = b"a\r\n\r\n\nb\r\r\n\"\n\"\r\nc\r";
        let all: Vec<_> = records(data, 0, data.len(), b',', false).map(|r| &data[r]).collect();
        assert_eq!(all, [&b"a"[..], b"b\r", b"\"\n\"", b"c"]);
        assert_eq!(records(data, 0, data.len(), b',', true).count(), 6);
        assert_eq!(skip_blank(b"\r\n\n\r\nx", 0), 5);
        assert_eq!(skip_blank(b"\rx", 0), 0);
    }
}
