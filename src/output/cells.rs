//! The columns of a batch as text, cell after cell. What an array is, is found out once and not for each of its rows.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

use super::cell::{OutColumn, cell, text};
use crate::column::{Type, Value};

/// The cells of a column.
pub(super) struct Cells<'a> {
    array: &'a dyn Array,
    nulls: Option<&'a NullBuffer>,
    write: Write<'a>,
}

/// What there is in a row.
pub(super) enum Cell<'a, 'w> {
    Null,
    /// A string.
    Text(&'a str),
    /// Something whose text has no letters but those of numbers, dates and times: `true` to be set in quotes where numbers are not.
    Plain(&'w mut WriteCell<'a>, bool),
    /// Anything else.
    Value(Value),
}

/// Appends the text of the value in a row, which is not null.
pub(super) type WriteCell<'a> = Box<dyn FnMut(usize, &mut String) + 'a>;

enum Write<'a> {
    Texts,
    Plain(WriteCell<'a>, bool),
    Values,
}

/// The cells of each column of a batch.
pub(super) fn cells<'a>(columns: &'a [OutColumn], batch: &'a RecordBatch) -> Vec<Cells<'a>> {
    columns.iter().zip(batch.columns()).map(|(column, array)| Cells::new(&column.ty, array.as_ref())).collect()
}

impl<'a> Cells<'a> {
    fn new(ty: &'a Type, array: &'a dyn Array) -> Cells<'a> {
        let number = |write| Write::Plain(write, false);
        let time = |write| Write::Plain(write, true);
        let write = match array.data_type() {
            DataType::Int8 => number(integers::<Int8Type>(array)),
            DataType::Int16 => number(integers::<Int16Type>(array)),
            DataType::Int32 => number(integers::<Int32Type>(array)),
            DataType::Int64 => number(integers::<Int64Type>(array)),
            DataType::UInt8 => number(integers::<UInt8Type>(array)),
            DataType::UInt16 => number(integers::<UInt16Type>(array)),
            DataType::UInt32 => number(integers::<UInt32Type>(array)),
            DataType::UInt64 => number(integers::<UInt64Type>(array)),
            DataType::Decimal128(_, 0) => number(integers::<Decimal128Type>(array)),
            DataType::Date32 => time(times::<Date32Type>(ty, array)),
            DataType::Timestamp(TimeUnit::Second, _) => time(times::<TimestampSecondType>(ty, array)),
            DataType::Timestamp(TimeUnit::Millisecond, _) => time(times::<TimestampMillisecondType>(ty, array)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => time(times::<TimestampMicrosecondType>(ty, array)),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => time(times::<TimestampNanosecondType>(ty, array)),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Write::Texts,
            _ => Write::Values,
        };
        Cells { array, nulls: array.nulls(), write }
    }

    pub fn at(&mut self, row: usize) -> Cell<'a, '_> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Cell::Null;
        }
        match &mut self.write {
            Write::Texts => text(self.array, row).map_or(Cell::Null, Cell::Text),
            Write::Plain(write, quoted) => Cell::Plain(write, *quoted),
            Write::Values => Cell::Value(cell(self.array, row)),
        }
    }
}

fn integers<T: ArrowPrimitiveType<Native: itoa::Integer>>(array: &dyn Array) -> WriteCell<'_> {
    let values = array.as_primitive::<T>().values();
    Box::new(move |row, out| out.push_str(itoa::Buffer::new().format(values[row])))
}

/// Times often come many rows alike, as the starts of windows do: the last text is kept.
fn times<'a, T: ArrowPrimitiveType<Native: Into<i64>>>(ty: &'a Type, array: &'a dyn Array) -> WriteCell<'a> {
    let values = array.as_primitive::<T>().values();
    let (mut last, mut text) = (None, String::new());
    Box::new(move |row, out| {
        let time = values[row];
        if last != Some(time) {
            text.clear();
            Value::Int(time.into()).write(ty, &mut text);
            last = Some(time);
        }
        out.push_str(&text);
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int8Array, Int64Array, StringArray,
        StringViewArray, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
    };

    use super::*;
    use crate::output::type_of;

    #[test]
    fn cells_are_the_texts_of_values() {
        let decimals = |scale| {
            Decimal128Array::from(vec![Some(i128::MIN / 2), None, Some(-7), Some(-7), Some(0)])
                .with_precision_and_scale(38, scale)
                .unwrap()
        };
        let times = vec![Some(1_767_225_600_000_001), None, Some(-1), Some(-1), Some(0)];
        let arrays: [ArrayRef; 12] = [
            Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(5), Some(5), Some(0)])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX), Some(10), Some(0)])),
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(99), Some(100), Some(0)])),
            Arc::new(decimals(0)),
            Arc::new(decimals(3)),
            Arc::new(Date32Array::from(vec![Some(20_000), None, Some(i32::MIN), Some(i32::MIN), Some(0)])),
            Arc::new(TimestampMicrosecondArray::from(times.clone())),
            Arc::new(TimestampSecondArray::from(times)),
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(0.1), Some(-0.0), Some(1e300)])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(false), Some(true)])),
            Arc::new(StringArray::from(vec![Some(""), None, Some("a,b"), Some("é"), Some("null")])),
            Arc::new(StringViewArray::from(vec![
                Some(""),
                None,
                Some("longer than twelve bytes"),
                Some("é"),
                Some("x"),
            ])),
        ];
        for array in arrays {
            let ty = type_of(array.data_type()).unwrap();
            let mut cells = Cells::new(&ty, &array);
            // Backwards too: what is kept of one row must not show in another.
            for row in [0, 1, 2, 3, 4, 3, 2, 1, 0] {
                let mut found = String::new();
                match cells.at(row) {
                    Cell::Null => found.push_str("none"),
                    Cell::Text(text) => found.push_str(text),
                    Cell::Plain(write, quoted) => {
                        assert_eq!(quoted, matches!(ty, Type::Date | Type::Timestamp(_)), "{ty}");
                        write(row, &mut found);
                    }
                    Cell::Value(value) => value.write(&ty, &mut found),
                }
                let expected = if array.is_null(row) { "none".into() } else { cell(&array, row).text(&ty) };
                assert_eq!(found, expected, "{ty} {row}");
            }
        }
    }
}
