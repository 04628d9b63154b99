//! Field texts become the values of one column, a batch of rows at a time.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use num_traits::AsPrimitive;

use super::parse::{LANES, Left, Texts};
use super::{QUOTE, parse};
use crate::column::{Column, ColumnData, Dictionary, Interner, Missed, Type, Word};
use crate::{Error, Result};

/// The texts that stand for null.
#[derive(Debug, Clone, Default)]
pub(in crate::input) struct Nulls {
    texts: Vec<Vec<u8>>,
    /// Bit n: some text has n bytes (bit 63: 63 or more).
    lengths: u64,
}

impl Nulls {
    pub(in crate::input) fn new(texts: &[String]) -> Nulls {
        let lengths = texts.iter().fold(0, |bits, t| bits | 1 << t.len().min(63));
        Nulls { texts: texts.iter().map(|t| t.clone().into_bytes()).collect(), lengths }
    }

    #[inline]
    pub(super) fn has(&self, text: &[u8]) -> bool {
        self.lengths >> text.len().min(63) & 1 != 0 && self.texts.iter().any(|t| t == text)
    }

    /// Whether some text could also be read as a value.
    fn any<T>(&self, parse: impl Fn(&[u8]) -> Option<T>) -> bool {
        self.texts.iter().any(|t| parse(t).is_some())
    }
}

/// Without the spaces and tabs around it: a number, date or truth value may be padded.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// A column being read.
pub(in crate::input) struct Builder {
    ty: Type,
    plain_bool: bool,
    values: Values,
    /// The rows that are null.
    nulls: Vec<u32>,
}

enum Values {
    Bool(Vec<bool>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    Str(Strings),
}

/// The strings of a chunk as codes.
struct Strings {
    codes: Vec<u32>,
    dict: Arc<Dictionary>,
    interner: Interner,
    /// For strings that read otherwise than they stand in the file: the other's cache must not take an unquoted null, or the
    /// quotes around a field, for such a string.
    apart: Interner,
}

/// Runs `$body` on the vector of rows, whatever its items.
macro_rules! each_vec {
    ($values:expr, $v:ident => $body:expr) => {
        match $values {
            Values::Bool($v) => $body,
            Values::I8($v) => $body,
            Values::I16($v) => $body,
            Values::I32($v) => $body,
            Values::I64($v) => $body,
            Values::U8($v) => $body,
            Values::U16($v) => $body,
            Values::U32($v) => $body,
            Values::U64($v) => $body,
            Values::F32($v) => $body,
            Values::F64($v) => $body,
            Values::I128($v) => $body,
            Values::Str(Strings { codes: $v, .. }) => $body,
        }
    };
}

impl Builder {
    /// An empty column; an inferred bool knows only the spellings that inference does. Strings go into `dict`, through an interner
    /// that may have been one's of the same column before.
    pub(super) fn new(
        ty: &Type,
        inferred: bool,
        dict: Option<&Arc<Dictionary>>,
        interner: Option<Interner>,
    ) -> Result<Builder> {
        let values = match ty {
            Type::Bool => Values::Bool(vec![]),
            Type::Int8 => Values::I8(vec![]),
            Type::Int16 => Values::I16(vec![]),
            Type::Int32 | Type::Date => Values::I32(vec![]),
            Type::Int64 | Type::Timestamp(_) => Values::I64(vec![]),
            Type::UInt8 => Values::U8(vec![]),
            Type::UInt16 => Values::U16(vec![]),
            Type::UInt32 => Values::U32(vec![]),
            Type::UInt64 => Values::U64(vec![]),
            Type::Float32 => Values::F32(vec![]),
            Type::Float64 => Values::F64(vec![]),
            Type::Decimal { .. } => Values::I128(vec![]),
            Type::Str => {
                let dict = dict.ok_or_else(|| Error::internal("a string column was asked for without a dictionary"))?;
                let interner = interner.unwrap_or_else(Interner::lasting);
                Values::Str(Strings { codes: vec![], dict: Arc::clone(dict), interner, apart: Interner::new() })
            }
            Type::Null | Type::List(_) => return Err(Error::internal(format!("a CSV column cannot be read as {ty}"))),
        };
        Ok(Builder { ty: ty.clone(), plain_bool: inferred, values, nulls: vec![] })
    }

    /// Appends a value for each field of `data`. Texts that are none are named to `bad` by their index; while it returns true,
    /// the rest is read too (some value stands for the bad one).
    ///
    /// # Errors
    /// The dictionary is full.
    pub(in crate::input) fn append(
        &mut self,
        data: &[u8],
        fields: impl ExactSizeIterator<Item = Range<usize>> + Clone,
        nulls: &Nulls,
        bad: impl FnMut(usize) -> bool,
    ) -> Result<()> {
        let texts = (data, fields);
        let out = Out { nulls: &mut self.nulls, known: nulls, bad };
        match (&mut self.values, &self.ty) {
            (Values::Bool(v), _) if self.plain_bool => out.each(v, texts, parse::plain_bool),
            (Values::Bool(v), _) => out.each(v, texts, parse::bool),
            (Values::I8(v), _) => out.ints(v, texts),
            (Values::I16(v), _) => out.ints(v, texts),
            (Values::I32(v), Type::Date) => out.each(v, texts, parse::date),
            (Values::I32(v), _) => out.ints(v, texts),
            (Values::I64(v), Type::Timestamp(unit)) => out.each(v, texts, |t| parse::timestamp(t, *unit)),
            (Values::I64(v), _) => out.ints(v, texts),
            (Values::U8(v), _) => out.ints(v, texts),
            (Values::U16(v), _) => out.ints(v, texts),
            (Values::U32(v), _) => out.ints(v, texts),
            (Values::U64(v), _) => out.each(v, texts, |t| parse::wide(t)?.try_into().ok()),
            (Values::F32(v), _) => out.each(v, texts, parse::float32),
            (Values::F64(v), _) => out.numbers(v, texts, Texts::floats, parse::float64_at, parse::float64),
            (Values::I128(v), Type::Decimal { precision, scale }) => {
                out.each(v, texts, |t| parse::decimal(t, *precision, *scale))
            }
            (Values::I128(v), _) => out.each(v, texts, parse::wide),
            (Values::Str(v), _) => return out.strings(v, texts),
        }
        Ok(())
    }

    /// Makes room for so many rows in all.
    pub(in crate::input) fn reserve(&mut self, rows: usize) {
        each_vec!(&mut self.values, v => v.reserve(rows.saturating_sub(v.len())));
    }

    /// Forgets all rows from `len` on.
    pub(in crate::input) fn truncate(&mut self, len: usize) {
        each_vec!(&mut self.values, v => v.truncate(len));
        let kept = self.nulls.partition_point(|&row| (row as usize) < len);
        self.nulls.truncate(kept);
    }

    /// The finished column, and its interner.
    pub(super) fn finish(self, rows: usize) -> (Column, Option<Interner>) {
        let mut interner = None;
        let data = match self.values {
            Values::Bool(v) => ColumnData::Bool(BooleanBuffer::from(v)),
            Values::I8(v) => ColumnData::I8(v.into()),
            Values::I16(v) => ColumnData::I16(v.into()),
            Values::I32(v) => ColumnData::I32(v.into()),
            Values::I64(v) => ColumnData::I64(v.into()),
            Values::U8(v) => ColumnData::U8(v.into()),
            Values::U16(v) => ColumnData::U16(v.into()),
            Values::U32(v) => ColumnData::U32(v.into()),
            Values::U64(v) => ColumnData::U64(v.into()),
            Values::F32(v) => ColumnData::F32(v.into()),
            Values::F64(v) => ColumnData::F64(v.into()),
            Values::I128(v) => ColumnData::I128(v.into()),
            Values::Str(v) => {
                interner = Some(v.interner);
                ColumnData::Str { codes: v.codes.into(), dict: v.dict }
            }
        };
        let nulls = (!self.nulls.is_empty()).then(|| {
            let mut valid = BooleanBufferBuilder::new(rows);
            valid.append_n(rows, true);
            for &row in &self.nulls {
                valid.set_bit(row as usize, false);
            }
            NullBuffer::new(valid.finish())
        });
        (Column { ty: self.ty, data, nulls }, interner)
    }
}

/// Where the outcome of a batch goes.
struct Out<'a, B> {
    nulls: &'a mut Vec<u32>,
    known: &'a Nulls,
    bad: B,
}

impl<B: FnMut(usize) -> bool> Out<'_, B> {
    fn ints<T>(self, values: &mut Vec<T>, texts: (&[u8], impl Iterator<Item = Range<usize>>))
    where
        T: Copy + Default + TryFrom<i64> + AsPrimitive<i64>,
        i64: AsPrimitive<T>,
    {
        let quick = |texts: &Texts, values: &mut [T; LANES], left: &mut Left| {
            let mut wide = [0i64; LANES];
            let mut any = texts.ints(&mut wide, left);
            for ((value, wide), left) in values.iter_mut().zip(wide).zip(left) {
                *value = wide.as_();
                let outside = value.as_() != wide;
                *left |= u64::from(outside);
                any |= outside;
            }
            any
        };
        let usual = |d: &[u8], s, e| parse::int_at(d, s, e)?.try_into().ok();
        self.numbers(values, texts, quick, usual, |text| parse::int(text)?.try_into().ok());
    }

    fn each<T: Copy + Default>(
        mut self,
        values: &mut Vec<T>,
        (data, fields): (&[u8], impl Iterator<Item = Range<usize>>),
        read: impl Fn(&[u8]) -> Option<T>,
    ) {
        let null_first = self.known.any(&read);
        for (i, Range { start, end }) in fields.enumerate() {
            let value = match if null_first { None } else { read(&data[start..end]) } {
                Some(value) => value,
                None => {
                    let value = other(data, start..end, null_first, self.known, |d: &[u8], s, e| read(&d[s..e]), &read);
                    match self.taken(i, values.len(), value) {
                        Some(value) => value,
                        None => return,
                    }
                }
            };
            values.push(value);
        }
    }

    /// `quick` reads many texts at once and says which it left; `usual` reads one where it stands in the data, `read` one that
    /// stands anywhere. All do the same, but the first two may leave a text to the next.
    #[inline(always)]
    fn numbers<T: Copy + Default>(
        mut self,
        values: &mut Vec<T>,
        (data, mut fields): (&[u8], impl Iterator<Item = Range<usize>>),
        quick: impl Fn(&Texts, &mut [T; LANES], &mut Left) -> bool,
        usual: impl Fn(&[u8], usize, usize) -> Option<T>,
        read: impl Fn(&[u8]) -> Option<T>,
    ) {
        // Where a null text could be read as a value (-999, say), null wins, so it must be looked for first.
        let null_first = self.known.any(&read);
        let first = values.len();
        let (mut texts, mut lanes, mut left) = (Texts::new(), [T::default(); LANES], [0; LANES]);
        loop {
            let len = texts.take(data, &mut fields);
            let mut any = quick(&texts, &mut lanes, &mut left);
            if null_first {
                (left, any) = ([1; LANES], true);
            }
            let at = values.len();
            values.extend_from_slice(&lanes[..len]);
            if any {
                for lane in texts.left(&left) {
                    let value = other(data, texts.place(lane), null_first, self.known, &usual, &read);
                    match self.taken(at - first + lane, at + lane, value) {
                        Some(value) => values[at + lane] = value,
                        None => return,
                    }
                }
            }
            if len < LANES {
                return;
            }
        }
    }

    /// The value that stands for what was read of text `i` in row `row`; none if no more are wanted.
    fn taken<T: Default>(&mut self, i: usize, row: usize, value: Option<Option<T>>) -> Option<T> {
        match value {
            Some(Some(value)) => Some(value),
            Some(None) => {
                self.nulls.push(row as u32);
                Some(T::default())
            }
            None => (self.bad)(i).then(T::default),
        }
    }

    fn strings(
        mut self,
        strings: &mut Strings,
        (data, fields): (&[u8], impl ExactSizeIterator<Item = Range<usize>> + Clone),
    ) -> Result<()> {
        let first = strings.codes.len();
        let quoted = |field: Range<usize>| data.get(field.start) == Some(&QUOTE);
        // Of quoted fields none is found as it stands.
        let bad = if strings.interner.is_warm() && !fields.clone().next().is_some_and(quoted) {
            let mut missed = vec![];
            strings.interner.recall(data, fields, &mut strings.codes, &mut missed);
            let mut codes = Vec::with_capacity(missed.len());
            let row = |i: usize| missed[i].index as usize;
            let places = missed.iter().map(Missed::place);
            let mut bad = self.other_strings::<true>(strings, data, places, &mut codes, |i| first + row(i))?;
            for (i, code) in codes.into_iter().enumerate() {
                strings.codes[first + row(i)] = code;
            }
            bad.iter_mut().for_each(|i| *i = row(*i));
            bad
        } else {
            let mut codes = std::mem::take(&mut strings.codes);
            let bad = self.other_strings::<false>(strings, data, fields, &mut codes, |i| first + i);
            strings.codes = codes;
            bad?
        };
        _ = bad.into_iter().all(|i| (self.bad)(i));
        Ok(())
    }

    /// Appends a code for each field to `codes`, whatever it is; `MISSED`: the cache has missed them all. `row` is a field's row.
    /// Returns the fields that are no text.
    fn other_strings<const MISSED: bool>(
        &mut self,
        Strings { dict, interner, apart, .. }: &mut Strings,
        data: &[u8],
        fields: impl Iterator<Item = Range<usize>>,
        codes: &mut Vec<u32>,
        row: impl Fn(usize) -> usize,
    ) -> Result<Vec<usize>> {
        let first = codes.len();
        let (nulls, known) = (&mut *self.nulls, self.known);
        // Fields with doubled quotes, which are not in the file as they read, and quoted ones that would be null if they were not.
        let mut others: Vec<(usize, Cow<'_, [u8]>)> = vec![];
        let words = fields.enumerate().map(|(i, Range { start, end })| {
            let raw = &data[start..end];
            if raw.first() == Some(&QUOTE) {
                // A quoted field is a string whatever it says: only an unquoted one is null.
                return match parse::unquote(raw) {
                    Cow::Borrowed(text) if text.len() + 2 == raw.len() && !known.has(text) => {
                        Some(Word::within(data, start + 1, end - 1))
                    }
                    text => {
                        others.push((i, text));
                        None
                    }
                };
            }
            if known.has(raw) {
                nulls.push(row(i) as u32);
                return None;
            }
            Some(Word::within(data, start, end))
        });
        let mut bad = vec![];
        let add = |i| {
            bad.push(i);
            true
        };
        if MISSED {
            interner.extend_missed(dict, words, codes, add)?;
        } else {
            interner.extend(dict, words, codes, add)?;
        }
        if !others.is_empty() {
            let mut own = Vec::with_capacity(others.len());
            let words = others.iter().map(|(_, text)| Some(Word::of(text)));
            apart.extend(dict, words, &mut own, |i| {
                bad.push(others[i].0);
                true
            })?;
            for ((i, _), code) in others.iter().zip(own) {
                codes[first + i] = code;
            }
            bad.sort_unstable();
        }
        Ok(bad)
    }
}

/// A value that the quick way left. `Some(None)` is null.
#[inline(never)]
fn other<T>(
    data: &[u8],
    Range { start, end }: Range<usize>,
    null_first: bool,
    nulls: &Nulls,
    usual: impl Fn(&[u8], usize, usize) -> Option<T>,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<Option<T>> {
    let raw = &data[start..end];
    // A doubled quote between the quotes is in no value's text, so they may come off unseen.
    let inside = usize::from(parse::quoted(raw).is_some());
    match if null_first { None } else { usual(data, start + inside, end - inside) } {
        Some(value) => Some(Some(value)),
        None => careful(raw, nulls, read),
    }
}

/// The slow way to a value: quotes, nulls and padding looked at. `Some(None)` is null.
#[cold]
fn careful<T>(raw: &[u8], nulls: &Nulls, parse: impl Fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    let text = parse::unquote(raw);
    let trimmed = trim(&text);
    if nulls.has(&text) || nulls.has(trimmed) { Some(None) } else { parse(trimmed).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Unit, Value};

    /// The texts one after the other, and where they stand.
    fn joined<T: AsRef<[u8]>>(texts: &[T]) -> (Vec<u8>, Vec<Range<usize>>) {
        let mut data = vec![];
        let place = |t: &T| {
            data.extend_from_slice(t.as_ref());
            data.len() - t.as_ref().len()..data.len()
        };
        let places = texts.iter().map(place).collect();
        (data, places)
    }

    fn read(ty: Type, texts: &[&str], nulls: &[&str]) -> (Column, Vec<usize>) {
        let nulls = Nulls::new(&nulls.iter().map(|n| n.to_string()).collect::<Vec<_>>());
        let mut builder = Builder::new(&ty, false, Some(&Dictionary::new()), None).unwrap();
        let mut bad = vec![];
        let (data, places) = joined(texts);
        let add = |i| {
            bad.push(i);
            true
        };
        builder.append(&data, places.into_iter(), &nulls, add).unwrap();
        (builder.finish(texts.len()).0, bad)
    }

    fn values(ty: Type, texts: &[&str]) -> Vec<String> {
        let (column, bad) = read(ty.clone(), texts, &["", "NA"]);
        (0..texts.len())
            .map(|i| match column.value(i) {
                _ if bad.contains(&i) => "bad".into(),
                Value::Null => "null".into(),
                value => value.text(&ty),
            })
            .collect()
    }

    #[test]
    fn every_type_reads_its_values_nulls_and_bad_texts() {
        assert_eq!(
            values(Type::Int8, &["-128", "127", "128", "", " 7\t", "\"8\"", "NA", "\" NA \""]),
            ["-128", "127", "bad", "null", "7", "8", "null", "null"]
        );
        assert_eq!(values(Type::UInt8, &["255", "-1", "256"]), ["255", "bad", "bad"]);
        assert_eq!(values(Type::Int16, &["-32768", "32768"]), ["-32768", "bad"]);
        assert_eq!(values(Type::UInt16, &["65535", "65536"]), ["65535", "bad"]);
        assert_eq!(values(Type::Int32, &["-2147483648", "2147483648"]), ["-2147483648", "bad"]);
        assert_eq!(values(Type::UInt32, &["4294967295", "4294967296"]), ["4294967295", "bad"]);
        assert_eq!(
            values(Type::Int64, &["9223372036854775807", "9223372036854775808"]),
            ["9223372036854775807", "bad"]
        );
        assert_eq!(
            values(Type::UInt64, &["18446744073709551615", "18446744073709551616", "-1"]),
            ["18446744073709551615", "bad", "bad"]
        );
        assert_eq!(values(Type::Float32, &["0.1", "x"]), ["0.1", "bad"]);
        assert_eq!(values(Type::Float64, &["0.1", "nan", "-inf", "1,5"]), ["0.1", "NaN", "-inf", "bad"]);
        assert_eq!(values(Type::Decimal { precision: 4, scale: 2 }, &["1.5", "1.234", "100"]), ["1.50", "bad", "bad"]);
        assert_eq!(values(Type::Bool, &["t", "FALSE", "2", "NA"]), ["true", "false", "bad", "null"]);
        assert_eq!(values(Type::Date, &["2013-01-01", "2013-02-30"]), ["2013-01-01", "bad"]);
        assert_eq!(
            values(Type::Timestamp(Unit::Milli), &["2013-01-01 05:06:07.089", "NA", "x"]),
            ["2013-01-01T05:06:07.089", "null", "bad"]
        );
    }

    #[test]
    fn a_quoted_string_is_never_null_and_never_trimmed() {
        let texts = ["a", "", "\"\"", "NA", "\"NA\"", " NA", "\"x\"\"y\"", "a", "5\""];
        assert_eq!(values(Type::Str, &texts), ["a", "null", "", "null", "NA", " NA", "x\"y", "a", "5\""]);
    }

    #[test]
    fn what_is_remembered_reads_as_it_stands() {
        let nulls = Nulls::new(&["NA".into()]);
        let mut builder = Builder::new(&Type::Str, false, Some(&Dictionary::new()), None).unwrap();
        // `"NA"` is a string, NA is none; """b""" is `"b"` with its quotes, "b" without.
        let texts =
            ["a", "\"NA\"", "NA", "\"\"\"b\"\"\"", "\"b\"", "b", "a text that is longer", "NA", "\"a\"\"\"", "a\"\""];
        let want = ["a", "NA", "null", "\"b\"", "b", "b", "a text that is longer", "null", "a\"", "a\"\""];
        let (data, places) = joined(&texts);
        for shift in 0..texts.len() {
            // Batches that begin with a quoted text go another way.
            let fields: Vec<_> = (0..texts.len()).map(|i| places[(i + shift) % texts.len()].clone()).collect();
            builder.append(&data, fields.into_iter(), &nulls, |_| false).unwrap();
        }
        let column = builder.finish(texts.len() * texts.len()).0;
        for row in 0..column.len() {
            let text = match column.value(row) {
                Value::Null => "null".into(),
                value => value.text(&Type::Str),
            };
            assert_eq!(text, want[(row + row / want.len()) % want.len()], "{row}");
        }
    }

    #[test]
    fn a_null_text_that_could_be_a_value_is_null() {
        let (column, bad) = read(Type::Int64, &["-999", "1", "\"-999\"", "x"], &["-999"]);
        assert_eq!((column.value(0), column.value(1), column.value(2)), (Value::Null, Value::Int(1), Value::Null));
        assert_eq!(bad, [3]);
    }

    #[test]
    fn text_that_is_not_utf8_is_bad_every_time() {
        let mut builder = Builder::new(&Type::Str, false, Some(&Dictionary::new()), None).unwrap();
        let mut bad = vec![];
        let texts: [&[u8]; 4] = [b"a\xff", b"b", b"a\xff", b"\"\xc3\"\"\""];
        let (data, places) = joined(&texts);
        let add = |i| {
            bad.push(i);
            true
        };
        builder.append(&data, places.into_iter(), &Nulls::default(), add).unwrap();
        assert_eq!(bad, [0, 2, 3]);
        builder.truncate(0);
        builder.append(b"c", std::iter::once(0..1), &Nulls::default(), |_| false).unwrap();
        let column = builder.finish(1).0;
        assert_eq!(column.value(0), Value::Str("c".into()));
    }

    #[test]
    fn all_null_strings_have_no_dictionary_entry() {
        let dict = Dictionary::new();
        let mut builder = Builder::new(&Type::Str, false, Some(&dict), None).unwrap();
        builder.append(b"", [0..0, 0..0].into_iter(), &Nulls::new(&[String::new()]), |_| false).unwrap();
        let column = builder.finish(2).0;
        assert_eq!((column.value(0), column.value(1), dict.len()), (Value::Null, Value::Null, 0));
    }
}
