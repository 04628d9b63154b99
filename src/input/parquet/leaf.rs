//! A flat column of numbers or strings, from its pages straight to a chunk's column.

use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, ScalarBuffer};
use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::hybrid::{Hybrid, Validity};
use super::pages::{Head, PageBytes, Pages};
use crate::Error;
use crate::column::{Column, ColumnData, Dictionary, Interner, Type, Word};

/// Why a column could not be read here.
pub(super) enum Trouble {
    /// The file is not what it should be.
    Damaged(String),
    /// It is stored in a way that is not read here, which the footer did not tell.
    Foreign,
    /// Another error.
    Failed(Error),
}

impl Trouble {
    pub(super) fn damaged(message: impl std::fmt::Display) -> Trouble {
        Trouble::Damaged(message.to_string())
    }
}

impl From<ParquetError> for Trouble {
    fn from(error: ParquetError) -> Trouble {
        Trouble::damaged(error)
    }
}

/// How a column's values become those of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    I8,
    I16,
    I32,
    U8,
    U16,
    U32,
    F32,
    I64,
    U64,
    F64,
    Str,
}

/// The kind of a column chunk whose type is `ty`, if it can be read here as far as the footer tells.
fn kind(chunk: &ColumnChunkMetaData, ty: &Type) -> Option<Kind> {
    let descr = chunk.column_descr();
    // The path of a column that lies in no group is its name.
    if descr.max_rep_level() > 0 || descr.max_def_level() > 1 || descr.path().parts().len() != 1 {
        return None;
    }
    let known = |e: Encoding| {
        matches!(e, Encoding::PLAIN | Encoding::RLE | Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY)
    };
    if !chunk.encodings().all(known) {
        return None;
    }
    match (chunk.column_type(), ty) {
        (Physical::INT32, Type::Int8) => Some(Kind::I8),
        (Physical::INT32, Type::Int16) => Some(Kind::I16),
        (Physical::INT32, Type::Int32 | Type::Date) => Some(Kind::I32),
        (Physical::INT32, Type::UInt8) => Some(Kind::U8),
        (Physical::INT32, Type::UInt16) => Some(Kind::U16),
        (Physical::INT32, Type::UInt32) => Some(Kind::U32),
        (Physical::INT64, Type::Int64 | Type::Timestamp(_)) => Some(Kind::I64),
        (Physical::INT64, Type::UInt64) => Some(Kind::U64),
        (Physical::FLOAT, Type::Float32) => Some(Kind::F32),
        (Physical::DOUBLE, Type::Float64) => Some(Kind::F64),
        (Physical::BYTE_ARRAY, Type::Str) => Some(Kind::Str),
        _ => None,
    }
}

/// Whether a column chunk whose type is `ty` can be read here, as far as the footer tells.
pub(super) fn reads(chunk: &ColumnChunkMetaData, ty: &Type) -> bool {
    kind(chunk, ty).is_some()
}

/// A reader of a column. It is kept from one column chunk to the next: so are its buffers.
pub(super) enum Leaf {
    Narrow(Reader<Numbers<u32>>),
    Wide(Reader<Numbers<u64>>),
    Text(Reader<Strings>),
}

impl Leaf {
    /// A reader of column chunks like `chunk`, whose type is `ty`; strings go to `dict`.
    pub(super) fn new(chunk: &ColumnChunkMetaData, ty: &Type, dict: Option<&Arc<Dictionary>>) -> Option<Leaf> {
        Some(match kind(chunk, ty)? {
            Kind::I64 | Kind::U64 | Kind::F64 => Leaf::Wide(Reader::new(Numbers::default())),
            Kind::Str => Leaf::Text(Reader::new(Strings::new(dict?))),
            _ => Leaf::Narrow(Reader::new(Numbers::default())),
        })
    }

    /// Begins to read a column chunk, of a row group of `rows` rows, at its row `first`.
    pub(super) fn open(
        &mut self,
        file: &Bytes,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        first: usize,
    ) -> Result<(), Trouble> {
        match self {
            Leaf::Narrow(reader) => reader.open(file, chunk, rows, first),
            Leaf::Wide(reader) => reader.open(file, chunk, rows, first),
            Leaf::Text(reader) => reader.open(file, chunk, rows, first),
        }
    }

    /// The next `rows` rows of `chunk`, as a column of type `ty`.
    pub(super) fn read(&mut self, chunk: &ColumnChunkMetaData, ty: &Type, rows: usize) -> Result<Column, Trouble> {
        let (buffer, nulls) = match self {
            Leaf::Narrow(reader) => reader.read(rows)?,
            Leaf::Wide(reader) => reader.read(rows)?,
            Leaf::Text(reader) => reader.read(rows)?,
        };
        fn values<T: ArrowNativeType>(buffer: Buffer, rows: usize) -> ScalarBuffer<T> {
            ScalarBuffer::new(buffer, 0, rows)
        }
        // Small integers are stored as big ones. One that is too big for its type is cut, as the arrow reader does.
        macro_rules! cut {
            ($to:ty) => {
                values::<i32>(buffer, rows).iter().map(|&value| value as $to).collect()
            };
        }
        let data = match (kind(chunk, ty).ok_or(Trouble::Foreign)?, &*self) {
            (Kind::I8, _) => ColumnData::I8(cut!(i8)),
            (Kind::I16, _) => ColumnData::I16(cut!(i16)),
            (Kind::U8, _) => ColumnData::U8(cut!(u8)),
            (Kind::U16, _) => ColumnData::U16(cut!(u16)),
            (Kind::I32, _) => ColumnData::I32(values(buffer, rows)),
            (Kind::U32, _) => ColumnData::U32(values(buffer, rows)),
            (Kind::F32, _) => ColumnData::F32(values(buffer, rows)),
            (Kind::I64, _) => ColumnData::I64(values(buffer, rows)),
            (Kind::U64, _) => ColumnData::U64(values(buffer, rows)),
            (Kind::F64, _) => ColumnData::F64(values(buffer, rows)),
            (Kind::Str, Leaf::Text(reader)) => {
                ColumnData::Str { codes: values(buffer, rows), dict: Arc::clone(&reader.values.dict) }
            }
            (Kind::Str, _) => return Err(Trouble::Foreign),
        };
        Ok(Column { ty: ty.clone(), data, nulls })
    }
}

/// What a column's values are.
pub(super) trait Values {
    /// A value in a chunk.
    type Item: Copy + Default + ArrowNativeType;

    /// Reads plain values from byte `at` of `data` on until `out` is full. The byte after the last.
    fn read(&mut self, data: &[u8], at: usize, out: &mut [Self::Item]) -> Result<usize, Trouble>;

    /// Passes over `count` plain values.
    fn skip(&self, data: &[u8], at: usize, count: usize) -> Result<usize, Trouble>;

    /// How many bytes `count` values have at least.
    fn least_bytes(count: usize) -> usize;
}

fn short() -> Trouble {
    Trouble::damaged("a page has fewer values than it says")
}

/// Numbers of four or eight bytes, as their bits.
#[derive(Default)]
pub(super) struct Numbers<T>(std::marker::PhantomData<T>);

macro_rules! numbers {
    ($number:ty) => {
        impl Values for Numbers<$number> {
            type Item = $number;

            fn read(&mut self, data: &[u8], at: usize, out: &mut [$number]) -> Result<usize, Trouble> {
                let end = self.skip(data, at, out.len())?;
                let stored = data[at..end].as_chunks().0;
                for (out, bytes) in out.iter_mut().zip(stored) {
                    *out = <$number>::from_le_bytes(*bytes);
                }
                Ok(end)
            }

            fn skip(&self, data: &[u8], at: usize, count: usize) -> Result<usize, Trouble> {
                let end = at.saturating_add(Self::least_bytes(count));
                if end <= data.len() { Ok(end) } else { Err(short()) }
            }

            fn least_bytes(count: usize) -> usize {
                count.saturating_mul(size_of::<$number>())
            }
        }
    };
}
numbers!(u32);
numbers!(u64);

/// Strings, as their codes.
pub(super) struct Strings {
    dict: Arc<Dictionary>,
    interner: Interner,
    codes: Vec<u32>,
}

impl Strings {
    fn new(dict: &Arc<Dictionary>) -> Strings {
        Strings { dict: Arc::clone(dict), interner: Interner::new(), codes: Vec::new() }
    }
}

/// The strings of a page: each is its length and its bytes.
struct Words<'d> {
    data: &'d [u8],
    at: usize,
    left: usize,
}

impl<'d> Words<'d> {
    /// Where the string at `at` lies.
    #[inline(always)]
    fn string(&self) -> Option<Range<usize>> {
        let length = u32::from_le_bytes(*self.data.get(self.at..)?.first_chunk()?);
        let start = self.at + 4;
        let end = start.checked_add(length as usize)?;
        (end <= self.data.len()).then_some(start..end)
    }
}

impl<'d> Iterator for Words<'d> {
    type Item = Option<Word<'d>>;

    /// Stops before its end at a string that goes beyond the page.
    #[inline(always)]
    fn next(&mut self) -> Option<Option<Word<'d>>> {
        if self.left == 0 {
            return None;
        }
        let place = self.string()?;
        self.left -= 1;
        self.at = place.end;
        Some(Some(Word::within(self.data, place.start, place.end)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.min(self.data.len() / 4), Some(self.left))
    }
}

impl Values for Strings {
    type Item = u32;

    fn read(&mut self, data: &[u8], at: usize, out: &mut [u32]) -> Result<usize, Trouble> {
        self.codes.clear();
        let mut words = Words { data, at, left: out.len() };
        let mut text = true;
        let not_text = |_| {
            text = false;
            false
        };
        self.interner.extend(&self.dict, &mut words, &mut self.codes, not_text).map_err(Trouble::Failed)?;
        if !text {
            return Err(Trouble::damaged("a string is no UTF-8"));
        }
        if self.codes.len() != out.len() {
            return Err(short());
        }
        out.copy_from_slice(&self.codes);
        Ok(words.at)
    }

    fn skip(&self, data: &[u8], at: usize, count: usize) -> Result<usize, Trouble> {
        let mut words = Words { data, at, left: count };
        for _ in 0..count {
            words.at = words.string().ok_or_else(short)?.end;
        }
        Ok(words.at)
    }

    fn least_bytes(count: usize) -> usize {
        count.saturating_mul(4)
    }
}

/// Reads the rows of a column chunk front to back.
pub(super) struct Reader<V: Values> {
    values: V,
    /// The column chunk, once one is opened.
    pages: Option<Pages>,
    bytes: PageBytes,
    page: Page,
    dictionary: Vec<V::Item>,
    /// The values given last: once nobody else holds them, their memory is used for the next.
    last: Option<Buffer>,
}

/// What is left of the page in hand.
#[derive(Default)]
struct Page {
    rows: usize,
    levels: Option<Hybrid>,
    values: Stored,
}

enum Stored {
    /// Plain, from this byte on.
    Plain(usize),
    Keys(Hybrid),
}

impl Default for Stored {
    fn default() -> Stored {
        Stored::Plain(0)
    }
}

impl<V: Values> Reader<V> {
    fn new(values: V) -> Reader<V> {
        let (bytes, page) = (PageBytes::default(), Page::default());
        Reader { values, pages: None, bytes, page, dictionary: Vec::new(), last: None }
    }

    fn open(&mut self, file: &Bytes, chunk: &ColumnChunkMetaData, rows: usize, first: usize) -> Result<(), Trouble> {
        self.page = Page::default();
        self.dictionary.clear();
        self.pages = Some(Pages::new(file, chunk, rows)?);
        self.skip(first)
    }

    /// Passes over `rows` rows: pages that lie before the end of them are not even decompressed.
    fn skip(&mut self, mut rows: usize) -> Result<(), Trouble> {
        while rows > 0 {
            if self.page.rows == 0 {
                let pages = self.pages.as_mut().ok_or_else(short)?;
                match pages.rows_ahead()? {
                    Some(ahead) if ahead <= rows => {
                        pages.skip()?;
                        rows -= ahead;
                    }
                    _ => self.turn()?,
                }
                continue;
            }
            let data = self.bytes.data();
            let now = rows.min(self.page.rows);
            let values = match &mut self.page.levels {
                Some(levels) => levels.levels(data, now, &mut Validity::default())?,
                None => now,
            };
            match &mut self.page.values {
                Stored::Plain(at) => *at = self.values.skip(data, *at, values)?,
                Stored::Keys(keys) => keys.skip(data, values)?,
            }
            self.page.rows -= now;
            rows -= now;
        }
        Ok(())
    }

    /// Goes on to the next page.
    fn turn(&mut self) -> Result<(), Trouble> {
        let pages = self.pages.as_mut().ok_or_else(short)?;
        let fewer = || Trouble::damaged("it has fewer rows than the footer says");
        match pages.next(&mut self.bytes)?.ok_or_else(fewer)? {
            Head::Dictionary { entries } => {
                let data = self.bytes.data();
                if V::least_bytes(entries) > data.len() {
                    return Err(Trouble::damaged("a dictionary has fewer entries than it says"));
                }
                self.dictionary.resize(entries, V::Item::default());
                self.values.read(data, 0, &mut self.dictionary)?;
            }
            Head::Data { rows, keys, levels, values } => {
                let stored = match (keys, self.bytes.data().get(values.start)) {
                    (true, Some(&width)) => Stored::Keys(Hybrid::new(values.start + 1..values.end, width)?),
                    // Nothing but nulls.
                    (true, None) => Stored::Keys(Hybrid::new(values, 0)?),
                    (false, _) => Stored::Plain(values.start),
                };
                let levels = levels.map(|levels| Hybrid::new(levels, 1)).transpose()?;
                self.page = Page { rows, levels, values: stored };
            }
        }
        Ok(())
    }

    /// The next `rows` rows; under a null stands any value.
    fn read(&mut self, rows: usize) -> Result<(Buffer, Option<NullBuffer>), Trouble> {
        let mut out: Vec<V::Item> = self.last.take().and_then(|last| last.into_vec().ok()).unwrap_or_default();
        out.truncate(rows);
        let mut valid = Validity::default();
        let mut at = 0;
        while at < rows {
            if self.page.rows == 0 {
                self.turn()?;
                continue;
            }
            let data = self.bytes.data();
            let now = self.page.rows.min(rows - at);
            let values = match &mut self.page.levels {
                Some(levels) => levels.levels(data, now, &mut valid)?,
                None => {
                    valid.run(now, true);
                    now
                }
            };
            // Not before there are levels that say so many rows: a header may lie.
            if out.len() < at + now {
                out.resize(at + now, V::Item::default());
            }
            let slots = &mut out[at..at + now];
            match &mut self.page.values {
                Stored::Plain(place) => *place = self.values.read(data, *place, &mut slots[..values])?,
                Stored::Keys(keys) => keys.look_up(data, &self.dictionary, &mut slots[..values])?,
            }
            if values < now {
                spread(slots, values, |row| valid.get(at + row));
            }
            self.page.rows -= now;
            at += now;
        }
        let buffer = Buffer::from_vec(out);
        self.last = Some(buffer.clone());
        Ok((buffer, valid.finish()))
    }
}

/// Moves the first `values` of `slots` to the rows that are not null, in their order.
fn spread<T: Copy>(slots: &mut [T], mut values: usize, valid: impl Fn(usize) -> bool) {
    for row in (0..slots.len()).rev() {
        if values == row + 1 {
            return;
        }
        slots[row] = slots[values.saturating_sub(1)];
        values -= usize::from(valid(row)).min(values);
    }
}
