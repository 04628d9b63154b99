//! A column read as a wider type: what several files with different types of one column need.
//!
//! Lossless but for one case: integers and decimals beyond 2⁵³ as float64 are rounded to nearest-even, as `cast` does.

use std::sync::Arc;

use arrow_buffer::ScalarBuffer;

use super::from_arrow::{Faults, all_null, intern_each};
use crate::column::{Class, Column, ColumnData, Dictionary, Type};
use crate::{Error, Result};

/// `column` as type `to`.
///
/// # Errors
/// A usage error if `to` is not wider; a value that does not fit (a date beyond a timestamp's range …) is a fault.
pub(crate) fn widen(column: Column, to: &Type, dict: Option<&Arc<Dictionary>>, faults: &mut Faults) -> Result<Column> {
    let from = column.ty.clone();
    if from == *to {
        return Ok(column);
    }
    if from == Type::Null {
        return Ok(all_null(to.clone(), column.len(), dict));
    }
    let data = match to {
        Type::Str => Some(as_text(&column, dict)?),
        Type::Float32 | Type::Float64 => as_float(&column, to),
        Type::Timestamp(_) => as_timestamp(&column, to, faults),
        _ if to.is_integer() && *to != Type::UInt64 => as_int(&column, to, faults),
        Type::UInt64 | Type::Decimal { .. } => as_wide(&column, to, faults),
        _ => None,
    };
    let data = data.ok_or_else(|| Error::Usage {
        message: format!("a column of type {from} cannot be read as {to}"),
        help: Some("give the file a schema of its own, or cast the column in an expression".into()),
    })?;
    Ok(Column { ty: to.clone(), data, nulls: column.nulls })
}

fn as_text(column: &Column, dict: Option<&Arc<Dictionary>>) -> Result<ColumnData> {
    let dict = dict.ok_or_else(|| Error::internal("a column was requested as string without a dictionary"))?;
    let text = |row| (!column.is_null(row)).then(|| column.value(row).text(&column.ty));
    let texts: Vec<Option<String>> = (0..column.len()).map(text).collect();
    let codes = intern_each(texts.len(), texts.iter().map(Option::as_deref), dict)?;
    Ok(ColumnData::Str { codes: codes.into(), dict: Arc::clone(dict) })
}

fn as_float(column: &Column, to: &Type) -> Option<ColumnData> {
    let rows = 0..column.len();
    let mut values = Vec::with_capacity(column.len());
    match column.ty.class()? {
        Class::Float => _ = column.widen_float(rows, &mut values),
        Class::Int if column.ty.is_integer() => {
            let mut ints = Vec::with_capacity(column.len());
            _ = column.widen_int(rows, &mut ints);
            if *to == Type::Float32 {
                // One rounding, not two.
                return Some(ColumnData::F32(ints.into_iter().map(|v| v as f32).collect()));
            }
            values.extend(ints.into_iter().map(|v| v as f64));
        }
        Class::Wide if *to == Type::Float64 => {
            let mut wide = Vec::with_capacity(column.len());
            _ = column.widen_wide(rows, &mut wide);
            values.extend(wide.into_iter().map(|v| match column.ty.scale() {
                0 => v as f64,
                // The text of a decimal is exact, and parsing it rounds once.
                _ => crate::column::Value::Wide(v).text(&column.ty).parse().unwrap_or(f64::NAN),
            }));
        }
        _ => return None,
    }
    match to {
        Type::Float64 => Some(ColumnData::F64(values.into())),
        _ => None,
    }
}

fn as_timestamp(column: &Column, to: &Type, faults: &mut Faults) -> Option<ColumnData> {
    let Type::Timestamp(unit) = to else { return None };
    let factor = match &column.ty {
        Type::Date => 86_400 * unit.per_second(),
        Type::Timestamp(from) if from <= unit => unit.per_second() / from.per_second(),
        _ => return None,
    };
    let mut values = Vec::with_capacity(column.len());
    _ = column.widen_int(0..column.len(), &mut values);
    for (row, value) in values.iter_mut().enumerate() {
        *value = value.checked_mul(factor).unwrap_or_else(|| {
            misfit(column, row, to, faults);
            0
        });
    }
    Some(ColumnData::I64(values.into()))
}

fn as_int(column: &Column, to: &Type, faults: &mut Faults) -> Option<ColumnData> {
    if !column.ty.is_integer() || column.ty == Type::UInt64 {
        return None;
    }
    let mut values = Vec::with_capacity(column.len());
    _ = column.widen_int(0..column.len(), &mut values);
    macro_rules! narrow {
        ($arm:ident, $native:ty) => {{
            let fit = |(row, &value): (usize, &i64)| {
                <$native>::try_from(value).unwrap_or_else(|_| {
                    misfit(column, row, to, faults);
                    0
                })
            };
            ColumnData::$arm(values.iter().enumerate().map(fit).collect::<ScalarBuffer<$native>>())
        }};
    }
    Some(match to {
        Type::Int8 => narrow!(I8, i8),
        Type::Int16 => narrow!(I16, i16),
        Type::Int32 => narrow!(I32, i32),
        Type::Int64 => ColumnData::I64(values.into()),
        Type::UInt8 => narrow!(U8, u8),
        Type::UInt16 => narrow!(U16, u16),
        Type::UInt32 => narrow!(U32, u32),
        _ => return None,
    })
}

fn as_wide(column: &Column, to: &Type, faults: &mut Faults) -> Option<ColumnData> {
    let rows = 0..column.len();
    let mut values: Vec<i128> = Vec::with_capacity(column.len());
    if column.ty.is_integer() && column.ty != Type::UInt64 {
        let mut ints = Vec::with_capacity(column.len());
        _ = column.widen_int(rows, &mut ints);
        values.extend(ints.into_iter().map(i128::from));
    } else if !column.widen_wide(rows, &mut values) {
        return None;
    }
    let factor = 10i128.pow(to.scale().checked_sub(column.ty.scale())?.into());
    let (low, high) = match to {
        Type::Decimal { precision, .. } => {
            let limit = 10i128.pow((*precision).into());
            (1 - limit, limit - 1)
        }
        _ => to.integer_range()?,
    };
    for (row, value) in values.iter_mut().enumerate() {
        *value = match value.checked_mul(factor) {
            Some(v) if (low..=high).contains(&v) => v,
            _ => {
                misfit(column, row, to, faults);
                0
            }
        };
    }
    Some(match to {
        // In range by the check above.
        Type::UInt64 => ColumnData::U64(values.into_iter().map(|v| v as u64).collect()),
        _ => ColumnData::I128(values.into()),
    })
}

fn misfit(column: &Column, row: usize, to: &Type, faults: &mut Faults) {
    if !column.is_null(row) {
        faults.add(row, || format!("a value that does not fit {to}"), column.value(row).text(&column.ty));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Unit, Value};

    fn ints(values: &[i64]) -> Column {
        Column { ty: Type::Int64, data: ColumnData::I64(values.to_vec().into()), nulls: None }
    }

    fn values(column: &Column) -> Vec<Value> {
        (0..column.len()).map(|row| column.value(row)).collect()
    }

    fn ok(column: Column, to: Type) -> Vec<Value> {
        let mut faults = Faults::default();
        let dict = Dictionary::new();
        let wide = widen(column, &to, Some(&dict), &mut faults).unwrap();
        assert_eq!((faults.list.len(), wide.ty.clone()), (0, to));
        values(&wide)
    }

    #[test]
    fn integers_widen_to_floats_decimals_and_text() {
        assert_eq!(ok(ints(&[-1, 1 << 53]), Type::Float64), [Value::Float(-1.0), Value::Float(9007199254740992.0)]);
        let decimal = Type::Decimal { precision: 20, scale: 2 };
        assert_eq!(ok(ints(&[-1, 7]), decimal), [Value::Wide(-100), Value::Wide(700)]);
        assert_eq!(ok(ints(&[-1, 7]), Type::Str), [Value::Str("-1".into()), Value::Str("7".into())]);
        let small = Column { ty: Type::UInt8, data: ColumnData::U8(vec![0, 255].into()), nulls: None };
        assert_eq!(ok(small.clone(), Type::Int16), [Value::Int(0), Value::Int(255)]);
        assert_eq!(ok(small, Type::UInt64), [Value::Wide(0), Value::Wide(255)]);
    }

    #[test]
    fn decimals_round_once_on_the_way_to_floats() {
        let ty = Type::Decimal { precision: 38, scale: 20 };
        let column = Column { ty, data: ColumnData::I128(vec![10i128.pow(19), 1].into()), nulls: None };
        assert_eq!(ok(column, Type::Float64), [Value::Float(0.1), Value::Float(1e-20)]);
    }

    #[test]
    fn dates_and_timestamps_become_finer() {
        let dates = Column { ty: Type::Date, data: ColumnData::I32(vec![-1, 1].into()), nulls: None };
        assert_eq!(ok(dates, Type::Timestamp(Unit::Second)), [Value::Int(-86_400), Value::Int(86_400)]);
        let ticks = Column { ty: Type::Timestamp(Unit::Milli), data: ColumnData::I64(vec![3].into()), nulls: None };
        assert_eq!(ok(ticks, Type::Timestamp(Unit::Nano)), [Value::Int(3_000_000)]);
    }

    #[test]
    fn what_does_not_fit_is_a_fault_and_what_is_not_wider_an_error() {
        let mut faults = Faults::default();
        let to = Type::Decimal { precision: 3, scale: 1 };
        let wide = widen(ints(&[1, 100, 99]), &to, None, &mut faults).unwrap();
        assert_eq!(faults.list.iter().map(|f| (f.row, f.found.as_str())).collect::<Vec<_>>(), [(1, "100")]);
        assert_eq!(wide.value(2), Value::Wide(990));
        assert!(matches!(widen(ints(&[1]), &Type::Date, None, &mut faults), Err(Error::Usage { .. })));
        assert!(matches!(widen(ints(&[1]), &Type::Bool, None, &mut faults), Err(Error::Usage { .. })));
        let far = Column { ty: Type::Date, data: ColumnData::I32(vec![i32::MAX].into()), nulls: None };
        let mut faults = Faults::default();
        widen(far, &Type::Timestamp(Unit::Nano), None, &mut faults).unwrap();
        assert_eq!(faults.list.len(), 1);
    }

    #[test]
    fn nothing_becomes_null_of_any_type() {
        let column = all_null(Type::Null, 2, None);
        assert_eq!(ok(column, Type::Float32), [Value::Null, Value::Null]);
    }
}
