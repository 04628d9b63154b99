//! Arrow arrays become columns: fixed-width buffers are shared, strings become run-wide dictionary codes.
//!
//! What Arrow can hold but tidemill cannot mean is a [`Fault`] of its row, never another value: a `Date64` that is
//! not a whole day (the format forbids it), a decimal with more digits than its type says.

use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};

use crate::column::{Column, ColumnData, Dictionary, Interner, Type, Word};
use crate::{Error, Result};

/// A value that cannot be read as its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The row in the chunk.
    pub row: usize,
    /// What is wrong.
    pub message: String,
    /// The value as it stands there.
    pub found: String,
}

/// The faults of one column. A strict scan stops at the first, so only that one is kept.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub strict: bool,
    pub list: Vec<Fault>,
}

impl Faults {
    /// Notes a fault at `row`; rows come in ascending order.
    pub fn add(&mut self, row: usize, message: impl FnOnce() -> String, found: impl ToString) {
        if !self.strict || self.list.is_empty() {
            self.list.push(Fault { row, message: message(), found: found.to_string() });
        }
    }
}

/// The run-wide codes of the dictionaries a column has come with, so that each is interned once and not for every
/// slice of its rows.
#[derive(Default)]
pub(crate) struct CodeMaps(Mutex<Vec<(ArrayRef, Arc<Vec<u32>>)>>);

impl CodeMaps {
    /// Dictionaries remembered: enough for the row groups in flight on a big machine.
    const MOST: usize = 16;
    /// A bigger dictionary is not kept alive only to be recognised.
    const MOST_BYTES: usize = 16 << 20;

    fn get(&self, values: &ArrayRef, dict: &Dictionary) -> Result<Arc<Vec<u32>>> {
        let known: Vec<_> = {
            let maps = self.0.lock().unwrap_or_else(|e| e.into_inner());
            maps.iter()
                .filter(|(v, _)| v.len() == values.len() && v.data_type() == values.data_type())
                .cloned()
                .collect()
        };
        let data = values.to_data();
        for (seen, codes) in known {
            if seen.to_data().ptr_eq(&data) || seen.as_ref() == values.as_ref() {
                return Ok(codes);
            }
        }
        let codes = Arc::new(intern(values.as_ref(), dict)?);
        if values.get_buffer_memory_size() <= Self::MOST_BYTES {
            let mut maps = self.0.lock().unwrap_or_else(|e| e.into_inner());
            if maps.len() == Self::MOST {
                maps.remove(0);
            }
            maps.push((Arc::clone(values), Arc::clone(&codes)));
        }
        Ok(codes)
    }
}

/// What a conversion needs to know of its column.
pub(crate) struct Target<'a> {
    /// The column's own type, by [`Type::from_arrow`].
    pub ty: &'a Type,
    /// Where its strings go.
    pub dict: Option<&'a Arc<Dictionary>>,
    /// Its known dictionaries.
    pub maps: &'a CodeMaps,
}

impl Target<'_> {
    pub(crate) fn dict(&self) -> Result<&Arc<Dictionary>> {
        self.dict.ok_or_else(|| Error::internal("a string column was requested without a dictionary"))
    }
}

/// `array` as a column of type `target.ty`.
pub(crate) fn column(array: &dyn Array, target: &Target, faults: &mut Faults) -> Result<Column> {
    let nulls = array.nulls().filter(|n| n.null_count() > 0).cloned();
    let present = |row: usize| nulls.as_ref().is_none_or(|n| n.is_valid(row));
    macro_rules! share {
        ($arrow:ty, $arm:ident) => {
            ColumnData::$arm(array.as_primitive::<$arrow>().values().clone())
        };
    }
    let data = match array.data_type() {
        DataType::Null => return Ok(all_null(Type::Null, array.len(), None)),
        DataType::Boolean => ColumnData::Bool(array.as_boolean().values().clone()),
        DataType::Int8 => share!(Int8Type, I8),
        DataType::Int16 => share!(Int16Type, I16),
        DataType::Int32 => share!(Int32Type, I32),
        DataType::Int64 => share!(Int64Type, I64),
        DataType::UInt8 => share!(UInt8Type, U8),
        DataType::UInt16 => share!(UInt16Type, U16),
        DataType::UInt32 => share!(UInt32Type, U32),
        DataType::UInt64 => share!(UInt64Type, U64),
        DataType::Float16 => {
            ColumnData::F32(array.as_primitive::<Float16Type>().values().iter().map(|v| v.to_f32()).collect())
        }
        DataType::Float32 => share!(Float32Type, F32),
        DataType::Float64 => share!(Float64Type, F64),
        DataType::Date32 => share!(Date32Type, I32),
        DataType::Date64 => ColumnData::I32(whole_days(array, &present, faults)),
        DataType::Timestamp(TimeUnit::Second, _) => share!(TimestampSecondType, I64),
        DataType::Timestamp(TimeUnit::Millisecond, _) => share!(TimestampMillisecondType, I64),
        DataType::Timestamp(TimeUnit::Microsecond, _) => share!(TimestampMicrosecondType, I64),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => share!(TimestampNanosecondType, I64),
        DataType::Decimal32(_, _) => {
            let values = array.as_primitive::<Decimal32Type>().values().iter().map(|&v| v.into()).collect();
            ColumnData::I128(within_precision(values, target.ty, &present, faults))
        }
        DataType::Decimal64(_, _) => {
            let values = array.as_primitive::<Decimal64Type>().values().iter().map(|&v| v.into()).collect();
            ColumnData::I128(within_precision(values, target.ty, &present, faults))
        }
        DataType::Decimal128(_, _) => {
            let values = array.as_primitive::<Decimal128Type>().values().clone();
            ColumnData::I128(within_precision(values, target.ty, &present, faults))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let dict = target.dict()?;
            ColumnData::Str { codes: intern(array, dict)?.into(), dict: Arc::clone(dict) }
        }
        DataType::Dictionary(_, _) => return dictionary(array, target, faults),
        other => return Err(Error::internal(format!("an array of type {other} was taken for {}", target.ty))),
    };
    Ok(Column { ty: target.ty.clone(), data, nulls })
}

/// A column of `rows` nulls.
pub(crate) fn all_null(ty: Type, rows: usize, dict: Option<&Arc<Dictionary>>) -> Column {
    use ColumnData as D;
    let data = match &ty {
        Type::Null | Type::Bool | Type::List(_) => D::Bool(BooleanBuffer::new_unset(rows)),
        Type::Int8 => D::I8(vec![0; rows].into()),
        Type::Int16 => D::I16(vec![0; rows].into()),
        Type::Int32 | Type::Date => D::I32(vec![0; rows].into()),
        Type::Int64 | Type::Timestamp(_) => D::I64(vec![0; rows].into()),
        Type::UInt8 => D::U8(vec![0; rows].into()),
        Type::UInt16 => D::U16(vec![0; rows].into()),
        Type::UInt32 => D::U32(vec![0; rows].into()),
        Type::UInt64 => D::U64(vec![0; rows].into()),
        Type::Float32 => D::F32(vec![0.0; rows].into()),
        Type::Float64 => D::F64(vec![0.0; rows].into()),
        Type::Decimal { .. } => D::I128(vec![0; rows].into()),
        Type::Str => D::Str { codes: vec![0; rows].into(), dict: dict.cloned().unwrap_or_else(Dictionary::new) },
    };
    Column { ty, data, nulls: (rows > 0).then(|| NullBuffer::new_null(rows)) }
}

/// Rows `rows` of a column, in that order.
pub(crate) fn take(column: &Column, rows: &[u32]) -> Column {
    macro_rules! gather {
        ($values:expr) => {
            rows.iter().map(|&row| $values[row as usize]).collect()
        };
    }
    use ColumnData as D;
    let data = match &column.data {
        D::Bool(v) => D::Bool(rows.iter().map(|&row| v.value(row as usize)).collect()),
        D::I8(v) => D::I8(gather!(v)),
        D::I16(v) => D::I16(gather!(v)),
        D::I32(v) => D::I32(gather!(v)),
        D::I64(v) => D::I64(gather!(v)),
        D::U8(v) => D::U8(gather!(v)),
        D::U16(v) => D::U16(gather!(v)),
        D::U32(v) => D::U32(gather!(v)),
        D::U64(v) => D::U64(gather!(v)),
        D::F32(v) => D::F32(gather!(v)),
        D::F64(v) => D::F64(gather!(v)),
        D::I128(v) => D::I128(gather!(v)),
        D::Str { codes, dict } => D::Str { codes: gather!(codes), dict: Arc::clone(dict) },
    };
    let nulls = column.nulls.as_ref().map(|n| rows.iter().map(|&row| n.is_valid(row as usize)).collect::<NullBuffer>());
    Column { ty: column.ty.clone(), data, nulls: nulls.filter(|n| n.null_count() > 0) }
}

/// Days of a `Date64` array, which counts milliseconds.
fn whole_days(array: &dyn Array, present: &dyn Fn(usize) -> bool, faults: &mut Faults) -> ScalarBuffer<i32> {
    const DAY: i64 = 86_400_000;
    let days = |(row, &ms): (usize, &i64)| match i32::try_from(ms.div_euclid(DAY)) {
        Ok(day) if ms.rem_euclid(DAY) == 0 => day,
        _ if !present(row) => 0,
        Ok(_) => {
            faults.add(row, || "a date in milliseconds that is not a whole day".into(), ms);
            0
        }
        Err(_) => {
            faults.add(row, || "a date out of range".into(), ms);
            0
        }
    };
    array.as_primitive::<Date64Type>().values().iter().enumerate().map(days).collect()
}

/// Checks what Arrow's readers do not: that no value has more digits than its type.
fn within_precision(
    values: ScalarBuffer<i128>,
    ty: &Type,
    present: &dyn Fn(usize) -> bool,
    faults: &mut Faults,
) -> ScalarBuffer<i128> {
    let Type::Decimal { precision, .. } = ty else { return values };
    let limit = 10u128.pow((*precision).into());
    if values.iter().all(|v| v.unsigned_abs() < limit) {
        return values;
    }
    let check = |(row, &value): (usize, &i128)| {
        if value.unsigned_abs() < limit {
            return value;
        }
        if present(row) {
            faults.add(row, || format!("a decimal of more digits than {ty} has"), value);
        }
        0
    };
    values.iter().enumerate().map(check).collect()
}

/// The words of strings that lie one after the other.
struct Words<'a, O> {
    /// Where those to come lie in `data`: each from an edge to the next.
    edges: &'a [O],
    data: &'a [u8],
    nulls: Option<&'a NullBuffer>,
    row: usize,
    /// Edges that are left when memory must be asked for more text.
    asked: usize,
}

/// Strings whose text is asked for together.
const ASKED: usize = 128;

impl<O: OffsetSizeTrait> Words<'_, O> {
    /// Has the text of the next strings brought into the cache, all lines at once. The processor does not see them coming from
    /// loads that begin anywhere in a line, and would wait for one after the other.
    #[inline(never)]
    fn ask(&mut self) {
        let next = &self.edges[..self.edges.len().min(ASKED + 1)];
        if let [start, .., end] = next {
            let lines = self.data[start.as_usize()..end.as_usize()].iter().step_by(64);
            std::hint::black_box(lines.fold(0, |all, byte| all | byte));
        }
        self.asked = self.edges.len().saturating_sub(ASKED);
    }
}

impl<'a, O: OffsetSizeTrait> Iterator for Words<'a, O> {
    type Item = Option<Word<'a>>;

    // A word that comes back from a call goes through memory, which costs as much as all else.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let [start, rest @ ..] = self.edges else { return None };
        let [end, ..] = rest else { return None };
        if self.edges.len() <= self.asked {
            self.ask();
        }
        self.edges = rest;
        let row = self.row;
        self.row += 1;
        let valid = self.nulls.is_none_or(|nulls| nulls.is_valid(row));
        Some(valid.then(|| Word::within(self.data, start.as_usize(), end.as_usize())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.edges.len().saturating_sub(1);
        (len, Some(len))
    }
}

/// The codes of strings one after the other in `data`: each from an edge to the next, which ascend and lie in it. Any code under
/// a null. Strings that are no UTF-8 are named to `bad` as [`Interner::extend`] does.
pub(crate) fn intern_within<O: OffsetSizeTrait>(
    edges: &[O],
    data: &[u8],
    nulls: Option<&NullBuffer>,
    dict: &Dictionary,
    bad: impl FnMut(usize) -> bool,
) -> Result<Vec<u32>> {
    let mut codes = Vec::with_capacity(edges.len());
    let words = Words { edges, data, nulls, row: 0, asked: edges.len() };
    Interner::new().extend(dict, words, &mut codes, bad)?;
    Ok(codes)
}

/// The codes of a string array; any code under a null.
fn intern(array: &dyn Array, dict: &Dictionary) -> Result<Vec<u32>> {
    let nulls = array.nulls().filter(|n| n.null_count() > 0);
    // What Arrow holds as strings is UTF-8: none is refused.
    macro_rules! within {
        ($offset:ty) => {{
            let strings = array.as_string::<$offset>();
            intern_within(strings.value_offsets(), strings.value_data(), nulls, dict, |_| true)
        }};
    }
    match array.data_type() {
        DataType::Utf8 => within!(i32),
        DataType::LargeUtf8 => within!(i64),
        DataType::Utf8View => {
            let strings = array.as_string_view();
            // A short string stands in its view, behind four bytes of length.
            let (views, bytes) = (strings.views(), bytemuck::cast_slice::<u128, u8>(strings.views()));
            let word = |row: usize| match views[row] as u32 {
                len @ 0..=12 => Word::within(bytes, row * 16 + 4, row * 16 + 4 + len as usize),
                _ => Word::of(strings.value(row).as_bytes()),
            };
            let words = (0..array.len()).map(|row| nulls.is_none_or(|n| n.is_valid(row)).then(|| word(row)));
            let mut codes = Vec::with_capacity(array.len());
            Interner::new().extend(dict, words, &mut codes, |_| true)?;
            Ok(codes)
        }
        other => Err(Error::internal(format!("an array of type {other} was taken for strings"))),
    }
}

/// A dictionary array: its values are read once, its keys become codes (or gather the values, if those are no strings).
fn dictionary(array: &dyn Array, target: &Target, faults: &mut Faults) -> Result<Column> {
    let dictionary = array.as_any_dictionary();
    let (keys, values) = (dictionary.keys(), dictionary.values());
    let entries = entry_numbers(keys, values.len())?;
    if values.is_empty() {
        return Ok(all_null(target.ty.clone(), array.len(), target.dict));
    }
    let value_nulls = values.logical_nulls().filter(|n| n.null_count() > 0);
    let nulls = match value_nulls {
        None => keys.nulls().filter(|n| n.null_count() > 0).cloned(),
        Some(n) => {
            let valid = (0..keys.len()).map(|row| keys.is_valid(row) && n.is_valid(entries[row] as usize));
            Some(valid.collect::<NullBuffer>()).filter(|n| n.null_count() > 0)
        }
    };
    if matches!(values.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        let dict = target.dict()?;
        let codes = target.maps.get(values, dict)?;
        let codes = entries.iter().map(|&entry| codes[entry as usize]).collect();
        return Ok(Column { ty: target.ty.clone(), data: ColumnData::Str { codes, dict: Arc::clone(dict) }, nulls });
    }
    let mut entry_faults = Faults::default();
    let read = column(values.as_ref(), target, &mut entry_faults)?;
    if !entry_faults.list.is_empty() {
        for (row, &entry) in entries.iter().enumerate() {
            let valid = nulls.as_ref().is_none_or(|n| n.is_valid(row));
            if let (true, Some(f)) = (valid, entry_faults.list.iter().find(|f| f.row == entry as usize)) {
                faults.add(row, || f.message.clone(), &f.found);
            }
        }
    }
    Ok(Column { nulls, ..take(&read, &entries) })
}

/// The dictionary entry of every row; 0 under a null.
fn entry_numbers(keys: &dyn Array, entries: usize) -> Result<Vec<u32>> {
    macro_rules! read {
        ($key:ty) => {{
            let number =
                |(row, &key): (usize, &<$key as arrow_array::types::ArrowPrimitiveType>::Native)| match u32::try_from(
                    key,
                ) {
                    Ok(entry) if (entry as usize) < entries => Some(entry),
                    _ => keys.is_null(row).then_some(0),
                };
            let values = keys.as_primitive::<$key>().values();
            // Most often all keys are good, whether null or not: to see that takes no branch.
            let good = |&key| u32::try_from(key).is_ok_and(|entry| (entry as usize) < entries);
            match values.iter().fold(true, |all, key| all & good(key)) {
                true => Some(values.iter().map(|&key| key as u32).collect()),
                false => values.iter().enumerate().map(number).collect::<Option<Vec<u32>>>(),
            }
        }};
    }
    let numbers = match keys.data_type() {
        DataType::Int8 => read!(Int8Type),
        DataType::Int16 => read!(Int16Type),
        DataType::Int32 => read!(Int32Type),
        DataType::Int64 => read!(Int64Type),
        DataType::UInt8 => read!(UInt8Type),
        DataType::UInt16 => read!(UInt16Type),
        DataType::UInt32 => read!(UInt32Type),
        DataType::UInt64 => read!(UInt64Type),
        _ => None,
    };
    numbers.ok_or_else(|| Error::Data {
        place: Box::default(),
        message: format!("a dictionary key points beyond the {entries} entries of its dictionary"),
        found: None,
        help: None,
    })
}
