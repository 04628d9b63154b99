//! Columns from single values: results, literals, tests.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Decimal128Array, NullArray, PrimitiveArray, StringArray, types as arrow};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::key::CANONICAL_NAN;
use super::{Column, ColumnData, Dictionary, Type, Unit, Value};
use crate::{Error, Result};

impl Column {
    /// A column of type `ty` from values of its class. Strings are interned into `dict`.
    ///
    /// # Errors
    /// A value of another class, a list, or an integer outside its type is an internal error.
    pub fn from_values(ty: &Type, values: &[Value], dict: Option<&Arc<Dictionary>>) -> Result<Column> {
        let wrong = |v: &Value| Error::internal(format!("{v:?} in a column of {ty}"));
        let valid: Vec<bool> = values.iter().map(|v| !v.is_null()).collect();
        let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
        let int = |v: &Value| match v {
            Value::Null => Ok(0),
            Value::Int(i) => Ok(*i),
            v => Err(wrong(v)),
        };
        let wide = |v: &Value| match v {
            Value::Null => Ok(0),
            Value::Wide(i) => Ok(*i),
            v => Err(wrong(v)),
        };
        macro_rules! ints {
            ($arm:ident, $to:ty) => {{
                let cast = |v| int(v).and_then(|i| <$to>::try_from(i).map_err(|_| wrong(v)));
                ColumnData::$arm(values.iter().map(cast).collect::<Result<ScalarBuffer<$to>>>()?)
            }};
        }
        let data = match ty {
            Type::Null | Type::Bool => {
                let bit = |v: &Value| match v {
                    Value::Null => Ok(false),
                    Value::Bool(b) => Ok(*b),
                    v => Err(wrong(v)),
                };
                ColumnData::Bool(BooleanBuffer::from(values.iter().map(bit).collect::<Result<Vec<bool>>>()?))
            }
            Type::Int8 => ints!(I8, i8),
            Type::Int16 => ints!(I16, i16),
            Type::Int32 | Type::Date => ints!(I32, i32),
            Type::Int64 | Type::Timestamp(_) => ints!(I64, i64),
            Type::UInt8 => ints!(U8, u8),
            Type::UInt16 => ints!(U16, u16),
            Type::UInt32 => ints!(U32, u32),
            Type::UInt64 => {
                let cast = |v| wide(v).and_then(|i| u64::try_from(i).map_err(|_| wrong(v)));
                ColumnData::U64(values.iter().map(cast).collect::<Result<_>>()?)
            }
            Type::Decimal { .. } => ColumnData::I128(values.iter().map(wide).collect::<Result<_>>()?),
            Type::Float32 | Type::Float64 => {
                let float = |v: &Value| match v {
                    Value::Null => Ok(0.0),
                    Value::Float(f) => Ok(*f),
                    v => Err(wrong(v)),
                };
                let floats = values.iter().map(float).collect::<Result<Vec<f64>>>()?;
                match ty {
                    Type::Float32 => ColumnData::F32(floats.iter().map(|&f| f as f32).collect()),
                    _ => ColumnData::F64(floats.into()),
                }
            }
            Type::Str => {
                let dict = dict.map_or_else(Dictionary::new, Arc::clone);
                let text = |v| match v {
                    &Value::Null => Ok(""),
                    Value::Str(s) => Ok(&**s),
                    v => Err(wrong(v)),
                };
                let texts = values.iter().map(text).collect::<Result<Vec<&str>>>()?;
                ColumnData::Str { codes: dict.intern_all(texts)?.into(), dict }
            }
            Type::List(_) => return Err(Error::internal("a list is no column")),
        };
        Ok(Column { ty: ty.clone(), data, nulls })
    }

    /// The Arrow array of this column; strings are written out.
    ///
    /// # Errors
    /// A decimal out of its precision is an internal error.
    pub fn to_arrow(&self) -> Result<ArrayRef> {
        fn primitive<T: arrow_array::ArrowPrimitiveType>(
            values: &ScalarBuffer<T::Native>,
            nulls: Option<NullBuffer>,
        ) -> ArrayRef {
            Arc::new(PrimitiveArray::<T>::new(values.clone(), nulls))
        }
        let nulls = self.nulls.clone();
        Ok(match (&self.data, &self.ty) {
            (_, Type::Null) => Arc::new(NullArray::new(self.len())),
            (ColumnData::Bool(v), _) => Arc::new(BooleanArray::new(v.clone(), nulls)),
            (ColumnData::I8(v), _) => primitive::<arrow::Int8Type>(v, nulls),
            (ColumnData::I16(v), _) => primitive::<arrow::Int16Type>(v, nulls),
            (ColumnData::I32(v), Type::Date) => primitive::<arrow::Date32Type>(v, nulls),
            (ColumnData::I32(v), _) => primitive::<arrow::Int32Type>(v, nulls),
            (ColumnData::I64(v), Type::Timestamp(unit)) => match unit {
                Unit::Second => primitive::<arrow::TimestampSecondType>(v, nulls),
                Unit::Milli => primitive::<arrow::TimestampMillisecondType>(v, nulls),
                Unit::Micro => primitive::<arrow::TimestampMicrosecondType>(v, nulls),
                Unit::Nano => primitive::<arrow::TimestampNanosecondType>(v, nulls),
            },
            (ColumnData::I64(v), _) => primitive::<arrow::Int64Type>(v, nulls),
            (ColumnData::U8(v), _) => primitive::<arrow::UInt8Type>(v, nulls),
            (ColumnData::U16(v), _) => primitive::<arrow::UInt16Type>(v, nulls),
            (ColumnData::U32(v), _) => primitive::<arrow::UInt32Type>(v, nulls),
            (ColumnData::U64(v), _) => primitive::<arrow::UInt64Type>(v, nulls),
            (ColumnData::F32(v), _) => {
                let one_nan = v.iter().map(|&f| if f.is_nan() { f32::from_bits(0x7fc0_0000) } else { f });
                primitive::<arrow::Float32Type>(&one_nan.collect(), nulls)
            }
            (ColumnData::F64(v), _) => {
                // Which NaN arithmetic gives differs between processors; what is written must not.
                let one_nan = v.iter().map(|&f| if f.is_nan() { f64::from_bits(CANONICAL_NAN) } else { f });
                primitive::<arrow::Float64Type>(&one_nan.collect(), nulls)
            }
            (ColumnData::I128(v), ty) => {
                let array = Decimal128Array::new(v.clone(), nulls);
                let (precision, scale) = match ty {
                    Type::Decimal { precision, scale } => (*precision, *scale as i8),
                    _ => (38, 0),
                };
                let array = array
                    .with_precision_and_scale(precision, scale)
                    .map_err(|e| Error::internal(format!("decimal column: {e}")))?;
                Arc::new(array)
            }
            (ColumnData::Str { .. }, _) => strings_to_arrow(std::slice::from_ref(self))?,
        })
    }

    /// Columns of one type one after the other. There must be one at least.
    ///
    /// # Errors
    /// Columns of several types are an internal error; a dictionary may be full.
    pub fn concat(columns: &[Column]) -> Result<Column> {
        let [first, rest @ ..] = columns else { return Err(Error::internal("no columns to concatenate")) };
        if rest.is_empty() {
            return Ok(first.clone());
        }
        let rows = columns.iter().map(Column::len).sum();
        let wrong = || Error::internal(format!("a column of {} is no {}", columns[rest.len()].ty, first.ty));
        macro_rules! concat {
            ($arm:ident) => {{
                let mut values = Vec::with_capacity(rows);
                for column in columns {
                    let ColumnData::$arm(more) = &column.data else { return Err(wrong()) };
                    values.extend_from_slice(more);
                }
                ColumnData::$arm(values.into())
            }};
        }
        let data = match &first.data {
            ColumnData::Bool(_) => {
                let mut bits = BooleanBufferBuilder::new(rows);
                for column in columns {
                    let ColumnData::Bool(more) = &column.data else { return Err(wrong()) };
                    bits.append_buffer(more);
                }
                ColumnData::Bool(bits.finish())
            }
            ColumnData::I8(_) => concat!(I8),
            ColumnData::I16(_) => concat!(I16),
            ColumnData::I32(_) => concat!(I32),
            ColumnData::I64(_) => concat!(I64),
            ColumnData::U8(_) => concat!(U8),
            ColumnData::U16(_) => concat!(U16),
            ColumnData::U32(_) => concat!(U32),
            ColumnData::U64(_) => concat!(U64),
            ColumnData::F32(_) => concat!(F32),
            ColumnData::F64(_) => concat!(F64),
            ColumnData::I128(_) => concat!(I128),
            ColumnData::Str { .. } => {
                // A column without rows may have a dictionary of its own.
                let dict = columns.iter().find_map(|column| match &column.data {
                    ColumnData::Str { codes, dict } if !codes.is_empty() => Some(Arc::clone(dict)),
                    _ => None,
                });
                let dict = dict.unwrap_or_default();
                let mut values: Vec<u32> = Vec::with_capacity(rows);
                for column in columns {
                    let ColumnData::Str { codes, dict: own } = &column.data else { return Err(wrong()) };
                    if !codes.is_empty() && !Arc::ptr_eq(own, &dict) {
                        return Err(Error::internal("a column of strings with two dictionaries"));
                    }
                    values.extend_from_slice(codes);
                }
                ColumnData::Str { codes: values.into(), dict }
            }
        };
        Ok(Column { ty: first.ty.clone(), data, nulls: join_nulls(columns, rows) })
    }

    /// The Arrow array of columns of one type one after the other. There must be one at least.
    ///
    /// # Errors
    /// As [`Column::concat`] and [`Column::to_arrow`].
    pub fn join_to_arrow(columns: &[Column]) -> Result<ArrayRef> {
        match columns {
            [Column { data: ColumnData::Str { .. }, .. }, ..] => strings_to_arrow(columns),
            _ => Column::concat(columns)?.to_arrow(),
        }
    }

    /// The rows `rows`, in that order.
    pub fn take(&self, rows: &[u32]) -> Column {
        macro_rules! take {
            ($($arm:ident),+) => {
                match &self.data {
                    $(ColumnData::$arm(v) => ColumnData::$arm(rows.iter().map(|&r| v[r as usize]).collect()),)+
                    ColumnData::Bool(v) => {
                        ColumnData::Bool(BooleanBuffer::from_iter(rows.iter().map(|&r| v.value(r as usize))))
                    }
                    ColumnData::Str { codes, dict } => ColumnData::Str {
                        codes: rows.iter().map(|&r| codes[r as usize]).collect(),
                        dict: Arc::clone(dict),
                    },
                }
            };
        }
        let data = take!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
        let nulls = self.nulls.as_ref().map(|n| rows.iter().map(|&r| n.is_valid(r as usize)).collect::<NullBuffer>());
        Column { ty: self.ty.clone(), data, nulls }
    }
}

/// Strings written out, column after column.
fn strings_to_arrow(columns: &[Column]) -> Result<ArrayRef> {
    let rows: usize = columns.iter().map(Column::len).sum();
    let mut ends: Vec<i32> = Vec::with_capacity(rows + 1);
    ends.push(0);
    let mut bytes: Vec<u8> = Vec::new();
    for column in columns {
        let ColumnData::Str { codes, dict } = &column.data else {
            return Err(Error::internal(format!("a column of {} holds no strings", column.ty)));
        };
        dict.read().each(codes, |row, text| {
            // The code under a null may be any.
            let text = if column.is_null(row) { &[] } else { text };
            if bytes.len() + text.len() > i32::MAX as usize {
                return Err(Error::Resource {
                    message: format!("a batch of {rows} rows has more than 2 GiB of text in one column"),
                    help: None,
                });
            }
            if bytes.is_empty() {
                bytes.reserve((text.len() + 2) * rows.min(1 << 20));
            }
            bytes.extend_from_slice(text);
            ends.push(bytes.len() as i32);
            Ok(())
        })?;
    }
    let nulls = join_nulls(columns, rows);
    let array = StringArray::try_new(OffsetBuffer::new(ends.into()), bytes.into(), nulls);
    Ok(Arc::new(array.map_err(|e| Error::internal(format!("string column: {e}")))?))
}

/// Which rows of columns one after the other are not null; `None` if all are.
fn join_nulls(columns: &[Column], rows: usize) -> Option<NullBuffer> {
    if columns.iter().all(|column| column.nulls.is_none()) {
        return None;
    }
    let mut valid = BooleanBufferBuilder::new(rows);
    for column in columns {
        match &column.nulls {
            Some(nulls) => valid.append_buffer(nulls.inner()),
            None => valid.append_n(column.len(), true),
        }
    }
    Some(NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nan_is_written_as_one() {
        let nans = [-f64::NAN, f64::from_bits(0x7ff0_0000_0000_0001)].map(Value::Float);
        let array = Column::from_values(&Type::Float64, &nans, None).unwrap().to_arrow().unwrap();
        let floats = array.as_any().downcast_ref::<arrow_array::Float64Array>().unwrap();
        assert!(floats.values().iter().all(|f| f.to_bits() == CANONICAL_NAN));
    }

    #[test]
    fn columns_join_with_their_nulls() {
        let dict = Dictionary::new();
        let text = |values: &[Option<&str>]| {
            let values: Vec<Value> = values.iter().map(|v| v.map_or(Value::Null, |v| Value::Str(v.into()))).collect();
            Column::from_values(&Type::Str, &values, Some(&dict)).unwrap()
        };
        let parts = [text(&[Some("b"), Some("b"), None]), text(&[]), text(&[Some(""), Some("é"), Some("b")])];
        let array = Column::join_to_arrow(&parts).unwrap();
        let strings = array.as_any().downcast_ref::<StringArray>().unwrap();
        let read: Vec<_> = strings.iter().collect();
        assert_eq!(read, [Some("b"), Some("b"), None, Some(""), Some("é"), Some("b")]);
        let joined = Column::concat(&parts).unwrap();
        assert_eq!((joined.len(), joined.value(2), joined.value(5)), (6, Value::Null, Value::Str("b".into())));
        let ints = |values: &[i64]| {
            Column::from_values(&Type::Int16, &values.iter().map(|&v| Value::Int(v)).collect::<Vec<_>>(), None).unwrap()
        };
        let joined = Column::concat(&[ints(&[1, 2]), ints(&[-3])]).unwrap();
        assert_eq!((0..3).map(|r| joined.value(r)).collect::<Vec<_>>(), [1, 2, -3].map(Value::Int));
        assert!(Column::concat(&[ints(&[1]), text(&[None])]).is_err());
        assert!(Column::concat(&[]).is_err());
    }

    #[test]
    fn values_go_in_and_come_out_in_any_order() {
        let decimal = Type::Decimal { precision: 38, scale: 2 };
        let cases: Vec<(Type, Vec<Value>)> = vec![
            (Type::Bool, vec![Value::Bool(true), Value::Null, Value::Bool(false)]),
            (Type::Int8, vec![Value::Int(-128), Value::Int(127), Value::Null]),
            (Type::UInt64, vec![Value::Wide(u64::MAX.into()), Value::Null, Value::Wide(0)]),
            (decimal, vec![Value::Wide(-5), Value::Wide(10i128.pow(37)), Value::Null]),
            (Type::Float64, vec![Value::Float(-0.0), Value::Null, Value::Float(1e300)]),
            (Type::Float32, vec![Value::Float(1.5), Value::Null, Value::Float(0.1f32.into())]),
            (Type::Str, vec![Value::Str("b".into()), Value::Null, Value::Str("".into())]),
            (Type::Date, vec![Value::Int(-1), Value::Null, Value::Int(20_000)]),
            (Type::Timestamp(Unit::Nano), vec![Value::Int(i64::MIN), Value::Null, Value::Int(1)]),
        ];
        for (ty, values) in cases {
            let column = Column::from_values(&ty, &values, None).unwrap();
            let read: Vec<_> = (0..3).map(|row| column.value(row)).collect();
            assert_eq!(read, values, "{ty}");
            let taken = column.take(&[2, 0, 0]);
            let read: Vec<_> = (0..3).map(|row| taken.value(row)).collect();
            assert_eq!(read, [values[2].clone(), values[0].clone(), values[0].clone()], "{ty}");
            let array = column.to_arrow().unwrap();
            assert_eq!((array.len(), array.null_count(), array.data_type()), (3, 1, &ty.to_arrow()));
        }
        assert!(Column::from_values(&Type::Int8, &[Value::Int(128)], None).is_err());
        assert!(Column::from_values(&Type::Int8, &[Value::Bool(true)], None).is_err());
    }
}
