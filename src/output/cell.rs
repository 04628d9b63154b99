//! One cell of an Arrow array: as a value, and as text.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, Schema, TimeUnit};

use crate::column::{Type, Value};
use crate::{Error, Result};

/// A column to write.
pub(super) struct OutColumn {
    pub name: String,
    pub ty: Type,
}

/// The columns of a schema.
pub(super) fn columns(schema: &Schema) -> Result<Vec<OutColumn>> {
    let column = |f: &std::sync::Arc<arrow_schema::Field>| match type_of(f.data_type()) {
        // What is written is what the engine makes, not all that can be read.
        Some(ty) if ty.to_arrow().equals_datatype(f.data_type()) => Ok(OutColumn { name: f.name().clone(), ty }),
        _ => Err(Error::usage(format!("column '{}' of type {} cannot be written", f.name(), f.data_type()))),
    };
    schema.fields().iter().map(column).collect()
}

/// The type of an output column: [`Type::from_arrow`], and lists.
pub fn type_of(ty: &DataType) -> Option<Type> {
    match ty {
        DataType::List(item) => Some(Type::List(Box::new(type_of(item.data_type())?))),
        other => Type::from_arrow(other),
    }
}

/// The value at `row` of an output column; null if the row is null, or the array is of a type the engine never makes.
pub fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    macro_rules! int {
        ($ty:ty) => {
            array.as_primitive::<$ty>().value(row).into()
        };
    }
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Value::Int(int!(Int8Type)),
        DataType::Int16 => Value::Int(int!(Int16Type)),
        DataType::Int32 => Value::Int(int!(Int32Type)),
        DataType::Int64 => Value::Int(int!(Int64Type)),
        DataType::UInt8 => Value::Int(int!(UInt8Type)),
        DataType::UInt16 => Value::Int(int!(UInt16Type)),
        DataType::UInt32 => Value::Int(int!(UInt32Type)),
        DataType::UInt64 => Value::Wide(int!(UInt64Type)),
        DataType::Float32 => Value::Float(int!(Float32Type)),
        DataType::Float64 => Value::Float(int!(Float64Type)),
        DataType::Decimal128(_, _) => Value::Wide(int!(Decimal128Type)),
        DataType::Date32 => Value::Int(int!(Date32Type)),
        DataType::Timestamp(TimeUnit::Second, _) => Value::Int(int!(TimestampSecondType)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Value::Int(int!(TimestampMillisecondType)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Value::Int(int!(TimestampMicrosecondType)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Value::Int(int!(TimestampNanosecondType)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Value::List((0..items.len()).map(|i| cell(items.as_ref(), i)).collect())
        }
        _ => text(array, row).map_or(Value::Null, |t| Value::Str(t.into())),
    }
}

/// The text at `row` of an output column, as CSV has it but for the quotes: nothing for null.
///
/// # Errors
/// The array is of a type the engine never makes.
pub fn value_text(array: &dyn Array, row: usize) -> Result<String> {
    let ty = type_of(array.data_type());
    let ty = ty.ok_or_else(|| Error::usage(format!("a value of type {} has no text", array.data_type())))?;
    Ok(cell(array, row).text(&ty))
}

/// The string at `row` of a string array, without a copy.
pub(super) fn text(array: &dyn Array, row: usize) -> Option<&str> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}
