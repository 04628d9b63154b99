//! Results as text in which equal means equal bytes: names, types, values; floats with their bits.

use arrow_array::cast::AsArray;
use arrow_array::types as arrow;
use arrow_array::{Array, ArrayRef};
use tidemill::RunReport;
use tidemill::backend::oracle::Table;
use tidemill::column::{Type, Unit, Value};

/// A table: a line of `name:type`, then a line a row.
pub fn table(table: &Table) -> String {
    let mut out = String::new();
    let columns = table.columns.iter().map(|(name, ty)| format!("{name}:{ty}"));
    out += &columns.collect::<Vec<_>>().join(" | ");
    out.push('\n');
    for row in &table.rows {
        let cells = row.iter().zip(&table.columns).map(|(value, (_, ty))| cell(value, ty));
        out += &cells.collect::<Vec<_>>().join(" | ");
        out.push('\n');
    }
    out
}

/// A run's result, as [`table`].
pub fn report(report: &RunReport) -> String {
    table(&result(report))
}

/// A run's result as a table. Arrow's schema must say what the types say.
pub fn result(report: &RunReport) -> Table {
    let names = report.schema.fields().iter().map(|f| f.name().clone());
    let columns: Vec<(String, Type)> = names.zip(report.types.iter().cloned()).collect();
    for (field, (_, ty)) in report.schema.fields().iter().zip(&columns) {
        assert_eq!(*field.data_type(), ty.to_arrow(), "{}", field.name());
    }
    let mut rows = Vec::new();
    for batch in &report.batches {
        assert_eq!(batch.schema(), report.schema);
        for row in 0..batch.num_rows() {
            rows.push(batch.columns().iter().zip(&columns).map(|(array, (_, ty))| value(array, row, ty)).collect());
        }
    }
    Table { columns, rows }
}

fn cell(value: &Value, ty: &Type) -> String {
    match (value, ty) {
        (Value::Null, _) => "null".into(),
        (Value::Float(v), _) => format!("{}#{:x}", value.text(ty), v.to_bits()),
        (Value::Str(v), _) => format!("{v:?}"),
        (Value::List(items), Type::List(item)) => {
            format!("[{}]", items.iter().map(|v| cell(v, item)).collect::<Vec<_>>().join(", "))
        }
        _ => value.text(ty),
    }
}

/// One value of an Arrow array.
fn value(array: &ArrayRef, row: usize, ty: &Type) -> Value {
    if array.is_null(row) || *ty == Type::Null {
        return Value::Null;
    }
    macro_rules! int {
        ($ty:ident) => {
            Value::Int(array.as_primitive::<arrow::$ty>().value(row).into())
        };
    }
    match ty {
        Type::Null => Value::Null,
        Type::Bool => Value::Bool(array.as_boolean().value(row)),
        Type::Int8 => int!(Int8Type),
        Type::Int16 => int!(Int16Type),
        Type::Int32 => int!(Int32Type),
        Type::Int64 => int!(Int64Type),
        Type::UInt8 => int!(UInt8Type),
        Type::UInt16 => int!(UInt16Type),
        Type::UInt32 => int!(UInt32Type),
        Type::UInt64 => Value::Wide(array.as_primitive::<arrow::UInt64Type>().value(row).into()),
        Type::Float32 => Value::Float(array.as_primitive::<arrow::Float32Type>().value(row).into()),
        Type::Float64 => Value::Float(array.as_primitive::<arrow::Float64Type>().value(row)),
        Type::Decimal { .. } => Value::Wide(array.as_primitive::<arrow::Decimal128Type>().value(row)),
        Type::Date => int!(Date32Type),
        Type::Timestamp(Unit::Second) => int!(TimestampSecondType),
        Type::Timestamp(Unit::Milli) => int!(TimestampMillisecondType),
        Type::Timestamp(Unit::Micro) => int!(TimestampMicrosecondType),
        Type::Timestamp(Unit::Nano) => int!(TimestampNanosecondType),
        Type::Str => Value::Str(array.as_string::<i32>().value(row).into()),
        Type::List(item) => {
            let items = array.as_list::<i32>().value(row);
            Value::List((0..items.len()).map(|i| value(&items, i, item)).collect())
        }
    }
}
