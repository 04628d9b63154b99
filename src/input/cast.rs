//! Exact widening of a decoded column: what lets files of different types be one input.
//!
//! Only casts that keep every value are known here; [`common`] never asks for another. An integer becomes a float64 if the
//! float is that integer; one beyond 2^53 that is not is an error, not a rounded value.

use std::sync::Arc;

use arrow_buffer::ScalarBuffer;

use super::from_arrow::{Faults, all_null};
use crate::column::{Class, Column, ColumnData, Dictionary, Type};
use crate::{Error, Result};

/// The type that holds every value of both, or `None` if there is none.
///
/// Integers widen to the narrowest integer type that holds both (int64 with uint64: decimal(38,0)), integers and
/// float32 to float64, integers and decimals to a decimal with room for both (38 digits at most), dates to
/// timestamps, timestamps to the finer unit.
pub(crate) fn common(a: &Type, b: &Type) -> Option<Type> {
    use Type::*;
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (Float32 | Float64, Float32 | Float64) => Float64,
        (i, Float32 | Float64) | (Float32 | Float64, i) if i.is_integer() => Float64,
        (Date, Timestamp(unit)) | (Timestamp(unit), Date) => Timestamp(*unit),
        (Timestamp(a), Timestamp(b)) => Timestamp(*a.max(b)),
        (a, b) if a.is_integer() && b.is_integer() => common_integer(a, b)?,
        (a, b) => {
            let ((whole_a, scale_a), (whole_b, scale_b)) = (digits(a)?, digits(b)?);
            let scale = scale_a.max(scale_b);
            Decimal { precision: (whole_a.max(whole_b) + scale).min(38), scale }
        }
    })
}

/// The narrowest integer type that holds both, or decimal(38,0).
fn common_integer(a: &Type, b: &Type) -> Option<Type> {
    use Type::*;
    let ((low_a, high_a), (low_b, high_b)) = (a.integer_range()?, b.integer_range()?);
    let (low, high) = (low_a.min(low_b), high_a.max(high_b));
    let holds = |ty: &Type| ty.integer_range().is_some_and(|(l, h)| l <= low && h >= high);
    let narrowest = [Int8, UInt8, Int16, UInt16, Int32, UInt32, Int64, UInt64].into_iter().find(holds);
    Some(narrowest.unwrap_or(Decimal { precision: 38, scale: 0 }))
}

/// Digits before and after the point that a type of exact numbers needs.
fn digits(ty: &Type) -> Option<(u8, u8)> {
    Some(match ty {
        Type::Int8 | Type::UInt8 => (3, 0),
        Type::Int16 | Type::UInt16 => (5, 0),
        Type::Int32 | Type::UInt32 => (10, 0),
        Type::Int64 => (19, 0),
        Type::UInt64 => (20, 0),
        Type::Decimal { precision, scale } => (precision - scale, *scale),
        _ => return None,
    })
}

/// The column as one of type `ty`, every value unchanged. A value that has no equal in `ty` is a fault.
///
/// # Errors
/// [`Error::Internal`] if the pair is none that [`common`] makes.
pub(crate) fn cast_column(
    column: Column,
    ty: &Type,
    dict: Option<&Arc<Dictionary>>,
    faults: &mut Faults,
) -> Result<Column> {
    if column.ty == *ty {
        return Ok(column);
    }
    let data = match (&column.ty, ty) {
        (Type::Null, _) => return Ok(all_null(ty.clone(), column.len(), dict)),
        (from, Type::Float64) if from.is_float() => floats(&column)?,
        (from, to) if from.is_integer() && to.is_integer() => integers(&column, to, faults)?,
        (from, Type::Float64) if from.is_integer() => {
            let exact = |v: i128| Some(v as f64).filter(|f| *f as i128 == v);
            ColumnData::F64(each(&column, ty, 0.0, exact, faults)?)
        }
        (from, Type::Decimal { precision, scale }) if digits(from).is_some() => {
            let most = 10i128.pow((*precision).into());
            let factor =
                scale.checked_sub(from.scale()).map(|up| 10i128.pow(up.into())).ok_or_else(|| no_such(from, ty))?;
            let scaled = |v: i128| v.checked_mul(factor).filter(|v| v.abs() < most);
            ColumnData::I128(each(&column, ty, 0, scaled, faults)?)
        }
        (Type::Date, Type::Timestamp(unit)) => ColumnData::I64(finer(&column, ty, 86_400 * unit.per_second(), faults)?),
        (Type::Timestamp(from), Type::Timestamp(to)) if from <= to => {
            ColumnData::I64(finer(&column, ty, to.per_second() / from.per_second(), faults)?)
        }
        (from, to) => return Err(no_such(from, to)),
    };
    Ok(Column { ty: ty.clone(), data, nulls: column.nulls })
}

fn no_such(from: &Type, to: &Type) -> Error {
    Error::internal(format!("no exact cast from {from} to {to}"))
}

/// Every value through `convert`; under a null and at a fault stands `none`.
fn each<T: arrow_buffer::ArrowNativeType>(
    column: &Column,
    ty: &Type,
    none: T,
    convert: impl Fn(i128) -> Option<T>,
    faults: &mut Faults,
) -> Result<ScalarBuffer<T>> {
    let len = column.len();
    let mut wide = Vec::with_capacity(len);
    if column.ty.class() == Some(Class::Wide) {
        if !column.widen_wide(0..len, &mut wide) {
            return Err(no_such(&column.ty, ty));
        }
    } else {
        let mut narrow = Vec::with_capacity(len);
        if !column.widen_int(0..len, &mut narrow) {
            return Err(no_such(&column.ty, ty));
        }
        wide.extend(narrow.into_iter().map(i128::from));
    }
    let value = |(row, value): (usize, i128)| {
        convert(value).unwrap_or_else(|| {
            if !column.is_null(row) {
                let message = || format!("this {} has no equal in {ty}, the common type of the input files", column.ty);
                faults.add(row, message, column.value(row).text(&column.ty));
            }
            none
        })
    };
    Ok(wide.into_iter().enumerate().map(value).collect())
}

fn finer(column: &Column, ty: &Type, factor: i64, faults: &mut Faults) -> Result<ScalarBuffer<i64>> {
    each(column, ty, 0, |v| i64::try_from(v).ok()?.checked_mul(factor), faults)
}

fn integers(column: &Column, to: &Type, faults: &mut Faults) -> Result<ColumnData> {
    Ok(match to {
        Type::Int8 => ColumnData::I8(each(column, to, 0, |v| v.try_into().ok(), faults)?),
        Type::Int16 => ColumnData::I16(each(column, to, 0, |v| v.try_into().ok(), faults)?),
        Type::Int32 => ColumnData::I32(each(column, to, 0, |v| v.try_into().ok(), faults)?),
        Type::Int64 => ColumnData::I64(each(column, to, 0, |v| v.try_into().ok(), faults)?),
        Type::UInt8 => ColumnData::U8(each(column, to, 0, |v| v.try_into().ok(), faults)?),
        Type::UInt16 => ColumnData::U16(each(column, to, 0, |v| v.try_into().ok(), faults)?),
        Type::UInt32 => ColumnData::U32(each(column, to, 0, |v| v.try_into().ok(), faults)?),
        Type::UInt64 => ColumnData::U64(each(column, to, 0, |v| v.try_into().ok(), faults)?),
        _ => return Err(no_such(&column.ty, to)),
    })
}

fn floats(column: &Column) -> Result<ColumnData> {
    let mut out = Vec::with_capacity(column.len());
    if !column.widen_float(0..column.len(), &mut out) {
        return Err(no_such(&column.ty, &Type::Float64));
    }
    Ok(ColumnData::F64(out.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Unit, Value};
    use arrow_buffer::{BooleanBuffer, NullBuffer};

    /// The cast column and the faults as (row, found).
    fn cast(column: &Column, ty: &Type) -> (Column, Vec<(usize, String)>) {
        let mut faults = Faults::default();
        let cast = cast_column(column.clone(), ty, None, &mut faults).unwrap();
        (cast, faults.list.into_iter().map(|f| (f.row, f.found)).collect())
    }

    fn whole(column: &Column, ty: &Type) -> Column {
        let (column, faults) = cast(column, ty);
        assert_eq!(faults, []);
        column
    }

    fn decimal(precision: u8, scale: u8) -> Type {
        Type::Decimal { precision, scale }
    }

    #[test]
    fn the_common_type_holds_both() {
        use Type::*;
        let cases = [
            (Int8, Int64, Some(Int64)),
            (Int8, UInt8, Some(Int16)),
            (UInt16, UInt32, Some(UInt32)),
            (Int32, UInt32, Some(Int64)),
            (Int64, UInt64, Some(decimal(38, 0))),
            (Int64, Float64, Some(Float64)),
            (Int8, Float32, Some(Float64)),
            (Float32, Float64, Some(Float64)),
            (Int64, decimal(10, 2), Some(decimal(21, 2))),
            (decimal(10, 2), decimal(5, 4), Some(decimal(12, 4))),
            (decimal(38, 30), UInt64, Some(decimal(38, 30))),
            (decimal(5, 2), Float64, None),
            (Date, Timestamp(Unit::Milli), Some(Timestamp(Unit::Milli))),
            (Timestamp(Unit::Nano), Timestamp(Unit::Second), Some(Timestamp(Unit::Nano))),
            (Null, Str, Some(Str)),
            (Str, Int64, None),
            (Bool, Int8, None),
            (Date, Int32, None),
            (Str, Date, None),
        ];
        for (a, b, want) in cases {
            assert_eq!(common(&a, &b), want, "{a} {b}");
            assert_eq!(common(&b, &a), want, "{b} {a}");
        }
    }

    #[test]
    fn values_and_nulls_survive_widening() {
        let nulls = Some(NullBuffer::from(vec![true, false, true]));
        let bytes = Column { ty: Type::Int8, data: ColumnData::I8(vec![-128, 7, 127].into()), nulls: nulls.clone() };
        let wide = whole(&bytes, &Type::Int32);
        assert_eq!((wide.value(0), wide.value(1), wide.value(2)), (Value::Int(-128), Value::Null, Value::Int(127)));
        let float = whole(&bytes, &Type::Float64);
        assert_eq!((float.value(0), float.value(1)), (Value::Float(-128.0), Value::Null));
        let dec = whole(&bytes, &decimal(9, 3));
        assert_eq!(dec.value(2), Value::Wide(127_000));
        let date = Column { ty: Type::Date, data: ColumnData::I32(vec![-1, 0, 2].into()), nulls };
        let stamp = whole(&date, &Type::Timestamp(Unit::Milli));
        assert_eq!((stamp.value(0), stamp.value(2)), (Value::Int(-86_400_000), Value::Int(172_800_000)));
        let f = Column { ty: Type::Float32, data: ColumnData::F32(vec![0.1].into()), nulls: None };
        assert_eq!(whole(&f, &Type::Float64).value(0), Value::Float(0.1f32.into()));
        let none = Column { ty: Type::Null, data: ColumnData::Bool(BooleanBuffer::new_unset(2)), nulls: None };
        for ty in [Type::Int8, Type::Str, Type::Float32, decimal(3, 1), Type::Bool] {
            let c = whole(&none, &ty);
            assert_eq!((c.len(), c.value(0), c.value(1)), (2, Value::Null, Value::Null));
        }
    }

    #[test]
    fn a_value_without_an_equal_is_an_error_that_shows_it() {
        let odd = (1i64 << 53) + 1;
        let ints = Column { ty: Type::Int64, data: ColumnData::I64(vec![1 << 53, odd].into()), nulls: None };
        assert_eq!(cast(&ints, &Type::Float64).1, [(1, "9007199254740993".to_string())]);
        let under_null = Some(NullBuffer::from(vec![true, false]));
        whole(&Column { nulls: under_null, ..ints.clone() }, &Type::Float64);
        let ends = Column { ty: Type::Int64, data: ColumnData::I64(vec![i64::MIN, i64::MAX - 1].into()), nulls: None };
        assert_eq!(cast(&ends, &Type::Float64).1.len(), 1, "-2^63 is a float, 2^63 - 2 is not");
        assert_eq!(cast(&ints, &decimal(10, 0)).1.len(), 2);
        let mut first = Faults { strict: true, ..Faults::default() };
        cast_column(ints.clone(), &decimal(10, 0), None, &mut first).unwrap();
        assert_eq!(first.list.len(), 1, "a strict scan needs the first only");
        let stamp = Column { ty: Type::Timestamp(Unit::Second), data: ints.data.clone(), nulls: None };
        assert_eq!(cast(&stamp, &Type::Timestamp(Unit::Nano)).1.len(), 2);
        let none = cast_column(ints, &Type::Str, None, &mut Faults::default());
        assert!(matches!(none, Err(Error::Internal(_))));
    }
}
