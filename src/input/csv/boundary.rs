//! Where records end: exact cuts of a file into chunks, and the walk over the records of a chunk.
//!
//! The grammar (RFC 4180, with its gaps closed; the tokenizer follows the same):
//! - a field that begins with `"` is quoted up to the next `"` that is not doubled; a `"` anywhere else is text;
//! - outside quotes a record ends at LF, CRLF or the end of the file; a CR elsewhere is text.
//!
//! So a `"` outside quotes opens a field exactly if a delimiter, an LF or nothing stands before it. Where there is no quote
//! the splitter searches for LFs only; where quotes are as they should be, [`leap`] reads 64 bytes at a time; where not, it
//! goes from quote to quote.

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use super::QUOTE;
use super::swar::{BLOCK, Masks, parity};
use crate::simd::prefetch;

/// A piece of a file that ends where a record ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// One past its last byte.
    pub(super) end: usize,
    /// The byte of an opening quote that nothing closes before the end of the file.
    pub(super) unclosed: Option<usize>,
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
    let mut slow_to = from;
    // Invariant: `at` is outside quotes; `end` is the last record end found; all of it lies below `target`.
    while at < target {
        let quote = next_quote(data, at, target);
        if left == usize::MAX {
            if let Some(i) = memrchr(b'\n', &data[at..quote]) {
                end = at + i + 1;
            }
        } else {
            for i in memchr_iter(b'\n', &data[at..quote]) {
                end = at + i + 1;
                left -= 1;
                if left == 0 {
                    return Cut { end, unclosed: None };
                }
            }
        }
        at = quote;
        if quote == target {
            break;
        }
        if quote >= slow_to {
            let leap = leap(data, from, quote, target, delimiter, &mut left);
            (end, at, slow_to) = (leap.end.unwrap_or(end), leap.at, leap.at + BLOCK);
            if let Some(open) = leap.open {
                match close(data, leap.at - 1) {
                    Some(after) => at = after,
                    None => return Cut { end: data.len(), unclosed: Some(open) },
                }
            }
        } else {
            at = quote + 1;
            if opens(data, quote, from, delimiter) {
                match close(data, quote) {
                    Some(after) => at = after,
                    None => return Cut { end: data.len(), unclosed: Some(quote) },
                }
            }
        }
    }
    if target == data.len() {
        // The last record needs no LF.
        return Cut { end: target, unclosed: None };
    }
    if end > from { Cut { end, unclosed: None } } else { record_end(data, at, from, delimiter) }
}

/// The first quote in `data[at..target]`, or `target`. The pages ahead are asked for: the processor by itself looks ahead only
/// within one page, and nobody has looked at these bytes before.
fn next_quote(data: &[u8], at: usize, target: usize) -> usize {
    const PAGE: usize = 1 << 12;
    let data = &data[..target];
    let mut from = at;
    while from < target {
        let to = (from + PAGE).min(target);
        if let Some(i) = memchr(QUOTE, &data[from..to]) {
            return from + i;
        }
        (0..PAGE).step_by(BLOCK).for_each(|byte| prefetch(data, to + PAGE + byte));
        from = to;
    }
    target
}

/// How far a leap came.
struct Leap {
    /// Where it stopped.
    at: usize,
    /// The quote that opened the field that byte `at` is inside of.
    open: Option<usize>,
    /// The last record end before `at`.
    end: Option<usize>,
}

/// Goes over whole blocks of `data[at..target]` in which every quote outside quotes opens a field, from `at` outside quotes
/// on. Counts record ends down from `left` and stops before a block that would bring it to 0.
///
/// Inside quotes is where an odd number of quotes stands before: a doubled quote leaves and enters at once. A quote that
/// enters must follow a delimiter, an LF or the quote that left just before.
fn leap(data: &[u8], start: usize, mut at: usize, target: usize, delimiter: u8, left: &mut usize) -> Leap {
    // Bit 0 of each: what the byte before the block is.
    let mut may_open = u64::from(opens(data, at, start, delimiter));
    let mut after_quote = 0;
    let mut inside = 0;
    let mut open = at;
    let mut end = None;
    while let Some(block) = data[at..target].first_chunk::<BLOCK>() {
        let Masks { newlines, quotes, hits } = Masks::of::<true>(block, delimiter);
        let within = parity(quotes) ^ inside;
        let opening = quotes & within;
        let ends = newlines & !within;
        let count = ends.count_ones() as usize;
        if opening & !(hits << 1 | may_open) != 0 || count >= *left {
            break;
        }
        let first = opening & !(quotes << 1 | after_quote);
        if first != 0 {
            open = at + (63 - first.leading_zeros()) as usize;
        }
        if ends != 0 {
            end = Some(at + 64 - ends.leading_zeros() as usize);
            *left -= if *left == usize::MAX { 0 } else { count };
        }
        (may_open, after_quote, inside) = (hits >> 63, quotes >> 63, 0u64.wrapping_sub(within >> 63));
        at += BLOCK;
    }
    if inside == 0 && after_quote != 0 && data.get(at) == Some(&QUOTE) {
        // The two are one doubled quote.
        return Leap { at: at + 1, open: Some(open), end };
    }
    Leap { at, open: (inside != 0).then_some(open), end }
}

/// The end of the record that `at`, outside quotes, lies in; `start` is where it or an earlier record begins.
fn record_end(data: &[u8], mut at: usize, start: usize, delimiter: u8) -> Cut {
    while let Some(i) = data.get(at..).and_then(|rest| memchr2(b'\n', QUOTE, rest)) {
        let found = at + i;
        at = found + 1;
        if data[found] == b'\n' {
            return Cut { end: at, unclosed: None };
        }
        if opens(data, found, start, delimiter) {
            match close(data, found) {
                Some(after) => at = after,
                None => return Cut { end: data.len(), unclosed: Some(found) },
            }
        }
    }
    Cut { end: data.len(), unclosed: None }
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
            let cut = record_end(self.data, start, start, self.delimiter);
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
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_cut_is_the_last_record_end_in_reach(
            text in "(\"|\"\"|a|,|\n|\r\n|\",\"|\"\n\"|aaaaaaaaaaaaa){0,150}",
            bytes in 1usize..400,
            rows in prop_oneof![Just(usize::MAX), 1usize..20],
        ) {
            let data = text.as_bytes();
            let mut from = 0;
            while from < data.len() {
                let mut end = from;
                let mut unclosed = None;
                for count in 0..rows {
                    let next = record_end(data, end, end, b',');
                    if count > 0 && (next.end - from > bytes || next.unclosed.is_some_and(|q| q >= from + bytes)) {
                        break;
                    }
                    (end, unclosed) = (next.end, next.unclosed);
                    if end == data.len() {
                        break;
                    }
                }
                let got = cut(data, from, b',', bytes, rows);
                // An unclosed quote is taken along as soon as it is in reach.
                if got.unclosed.is_none() {
                    prop_assert_eq!((got.end, None), (end, unclosed), "{:?} from {}", text, from);
                } else {
                    let walked = records(data, from, data.len(), b',', true).last().map(|r| r.start);
                    let last = record_end(data, walked.unwrap_or(0), walked.unwrap_or(0), b',');
                    prop_assert_eq!((got.end, got.unclosed), (data.len(), last.unclosed), "{:?} from {}", text, from);
                }
                from = got.end;
            }
        }
    }

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
    fn leaping_cuts_where_walking_does() {
        // Every phase of the blocks over every kind of quote, and a stray one that ends the leap.
        let pieces = ["\"a,\n\",b\n", "\"\"\"\",\"\"\n", "x\"y,\"\n\"\"\n\"\n", "\"\"\"\n\"\"\",1\n", "plain,\"q\"z\n"];
        for phase in 0..70 {
            let mut data = format!("{},1\n", "p".repeat(phase));
            for i in 0..60 {
                data += pieces[(i * i + phase) % pieces.len()];
            }
            let walked: Vec<_> = records(data.as_bytes(), 0, data.len(), b',', true).map(|r| &data[r]).collect();
            for (bytes, rows) in [(100, usize::MAX), (200, usize::MAX), (usize::MAX, 1), (usize::MAX, 7), (150, 3)] {
                let cuts = cuts(&data, bytes, rows);
                assert_eq!(cuts.concat(), data);
                let split: Vec<_> =
                    cuts.iter().flat_map(|c| records(c.as_bytes(), 0, c.len(), b',', true).map(|r| &c[r])).collect();
                assert_eq!(split, walked, "{phase} {bytes} {rows}");
            }
        }
        let open = format!("{}\"open\n{}", "\"a\",b\n".repeat(20), "\"\"x\n".repeat(50));
        assert_eq!(cut(open.as_bytes(), 0, b',', 1000, usize::MAX).unclosed, Some(120));
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
        assert_eq!(cut(data, 0, b',', 1000, usize::MAX), Cut { end: 13, unclosed: Some(6) });
        assert_eq!(cut(data, 0, b',', 1, usize::MAX), Cut { end: 4, unclosed: None });
        assert_eq!(cut(data, 4, b',', 1, usize::MAX), Cut { end: 13, unclosed: Some(6) });
        assert_eq!(cut(b"\"\"\"", 0, b',', 1, 1), Cut { end: 3, unclosed: Some(0) });
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
