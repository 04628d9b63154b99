//! From states to result columns.

use arrow_buffer::NullBuffer;
use rayon::prelude::*;

use super::exact::{self, Dyadic, Exact};
use super::{Function, GroupValues, Moment, State};
use crate::column::key::{int_word, second_of, word_float};
use crate::column::{Column, ColumnData, Type, Value};
use crate::{Error, Result};

/// Groups that are not worth a thread of their own.
const LEAST: usize = 1024;

/// A finished aggregate: one value a group, or one list a group.
#[derive(Debug, Clone)]
pub enum Finished {
    /// A column with a row for each group.
    Scalar(Column),
    /// Lists: those of group `i` are rows `ends[i - 1]..ends[i]` of `items`.
    List {
        /// The items of all lists.
        items: Column,
        /// Where each group's items end.
        ends: Vec<u32>,
    },
}

impl Function {
    /// Finishes all groups. The states of [`Function::states`] are, in that order, those of `states` at `used`, where one
    /// may come twice; `args` and `result` are the types of the arguments and of the result.
    ///
    /// # Errors
    /// An integer or decimal sum that does not fit its type is an [`Error::Overflow`] whose column is `name` and whose
    /// key is what `key` prints for the group: of several, the one that comes first in `order` (which has every group).
    #[expect(clippy::too_many_arguments, reason = "one call site, which would only wrap them up")]
    pub fn finish(
        &self,
        states: &[State],
        used: &[usize],
        order: &[u32],
        args: &[Type],
        result: &Type,
        name: &str,
        key: &dyn Fn(usize) -> String,
    ) -> Result<Finished> {
        let groups = order.len();
        let scale_of = |arg: usize| args.get(arg).map_or(0, |ty| i32::from(ty.scale()));
        let scale = scale_of(0);
        let states: Vec<&State> = used.iter().map(|&state| &states[state]).collect();
        let scalar = |values: Vec<Value>| Column::from_values(result, &values, None).map(Finished::Scalar);
        let column = |values: Vec<Option<f64>>| {
            let nulls = Some(values.iter().map(Option::is_some).collect::<NullBuffer>()).filter(|n| n.null_count() > 0);
            let values: Vec<f64> = values.into_iter().map(|value| value.unwrap_or(0.0)).collect();
            Ok(Finished::Scalar(Column { ty: Type::Float64, data: ColumnData::F64(values.into()), nulls }))
        };
        let floats = |value: &(dyn Fn(usize) -> Option<f64> + Sync)| {
            column((0..groups).into_par_iter().with_min_len(LEAST).map(value).collect())
        };
        match (self, &states[..]) {
            (Function::CountRows | Function::Count, [State::Count(counts)]) => {
                let values: Vec<i64> = counts[..groups].iter().map(|&n| n as i64).collect();
                Ok(Finished::Scalar(Column { ty: Type::Int64, data: ColumnData::I64(values.into()), nulls: None }))
            }
            (Function::Sum, [State::Count(counts), State::FloatSum(sums)]) => {
                floats(&|group| (counts[group] > 0).then(|| sums.value(group)))
            }
            (Function::Sum, [State::Count(counts), State::IntSum(sums)]) => {
                let value = |group: usize| {
                    if counts[group] == 0 {
                        return Ok(Value::Null);
                    }
                    fit(sums.value_i128(group), result).map_err(|message| Error::Overflow {
                        column: name.to_owned(),
                        key: key(group),
                        message,
                        help: Some(match result {
                            Type::Decimal { .. } => "cast the argument to float64".into(),
                            _ => "cast the argument to decimal(38,0) or float64".into(),
                        }),
                    })
                };
                if *result == Type::Int64 {
                    let sum = |group| sums.value_i128(group).and_then(|sum| i64::try_from(sum).ok());
                    let values: Option<Vec<i64>> = (0..groups).map(sum).collect();
                    // Where one does not fit, the loop below finds the first in `order`.
                    if let Some(values) = values {
                        let nulls = NullBuffer::from_iter(counts[..groups].iter().map(|&n| n > 0));
                        let nulls = Some(nulls).filter(|n| n.null_count() > 0);
                        let data = ColumnData::I64(values.into());
                        return Ok(Finished::Scalar(Column { ty: Type::Int64, data, nulls }));
                    }
                }
                let mut values = vec![Value::Null; groups];
                for &group in order {
                    values[group as usize] = value(group as usize)?;
                }
                scalar(values)
            }
            (Function::Mean, [State::Count(counts), State::FloatSum(sums)]) => {
                floats(&|group| exact::mean(&sums.exact(group), counts[group], 0))
            }
            (Function::Mean, [State::Count(counts), State::IntSum(sums)]) => {
                floats(&|group| exact::mean(&sums.exact(group), counts[group], scale))
            }
            (Function::Min | Function::Max, [State::Extreme(extreme)]) => match extreme.codes() {
                (codes, Some(dict)) => {
                    let (codes, valid): (Vec<u32>, Vec<bool>) = codes.take(groups).unzip();
                    let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
                    let data = ColumnData::Str { codes: codes.into(), dict: std::sync::Arc::clone(dict) };
                    Ok(Finished::Scalar(Column { ty: Type::Str, data, nulls }))
                }
                (_, None) => scalar((0..groups).map(|group| extreme.value(group)).collect()),
            },
            (Function::MaxBy | Function::MinBy, [State::Extreme(extreme)]) => {
                let value = |group| match (extreme.value(group), result.is_float()) {
                    (Value::Wide(pair), true) => Value::Float(word_float(int_word(second_of(pair)))),
                    (Value::Wide(pair), false) => Value::Int(second_of(pair)),
                    _ => Value::Null,
                };
                scalar((0..groups).map(value).collect())
            }
            (Function::Moment(moment), [State::Count(counts), sums @ ..]) => {
                floats(&|group| moment.value(counts[group], sums, group, [scale, scale_of(1)]))
            }
            (Function::CountDistinct, [State::Bag(bag)]) => {
                let values: Vec<i64> = bag.map_groups(|values| values.distinct() as i64);
                Ok(Finished::Scalar(Column { ty: Type::Int64, data: ColumnData::I64(values.into()), nulls: None }))
            }
            (Function::Quantile(p), [State::Bag(bag)]) => column(bag.map_groups(|values| quantile(values, *p, scale))),
            (Function::TopK(k) | Function::BottomK(k), [State::Bag(bag)]) => {
                let largest = matches!(self, Function::TopK(_));
                let lists = bag.map_groups(|values| values.first(u64::from(*k), largest));
                let ends = lists.iter().scan(0, |end, list| {
                    *end += list.len() as u32;
                    Some(*end)
                });
                let ends = ends.collect();
                let items: Vec<Value> = lists.into_iter().flatten().collect();
                let item = match result {
                    Type::List(item) => item,
                    other => other,
                };
                Ok(Finished::List { items: Column::from_values(item, &items, None)?, ends })
            }
            _ => Err(Error::internal(format!("{name} has states of another function"))),
        }
    }
}

/// An exact integer sum as a value of type `ty`.
fn fit(sum: Option<i128>, ty: &Type) -> Result<Value, String> {
    let beyond = || match sum {
        Some(sum) => format!("the exact sum {} does not fit {ty}", Value::Wide(sum).text(ty)),
        None => format!("the exact sum does not fit {ty}"),
    };
    let sum = sum.ok_or_else(beyond)?;
    match ty {
        Type::Decimal { .. } => {
            if sum.unsigned_abs() < 10u128.pow(38) {
                Ok(Value::Wide(sum))
            } else {
                Err(beyond())
            }
        }
        Type::UInt64 => u64::try_from(sum).map(|v| Value::Wide(v.into())).map_err(|_| beyond()),
        _ => i64::try_from(sum).map(Value::Int).map_err(|_| beyond()),
    }
}

impl Moment {
    fn value(self, n: u64, sums: &[&State], group: usize, [scale, scale_y]: [i32; 2]) -> Option<f64> {
        let of = |i: usize| match sums[i] {
            State::FloatSum(s) => s.exact(group),
            State::IntSum(s) => s.exact(group),
            State::FloatProduct(s) => s.exact(group),
            State::IntProduct(s) => s.exact(group),
            _ => Exact::from_f64(f64::NAN),
        };
        match self {
            Moment::VarPop => exact::var_pop(&of(0), &of(1), n, scale),
            Moment::VarSamp => exact::var_samp(&of(0), &of(1), n, scale),
            Moment::StddevPop => exact::stddev_pop(&of(0), &of(1), n, scale),
            Moment::StddevSamp => exact::stddev_samp(&of(0), &of(1), n, scale),
            Moment::CovarPop => exact::covar_pop(&of(0), &of(1), &of(2), n, scale, scale_y),
            Moment::CovarSamp => exact::covar_samp(&of(0), &of(1), &of(2), n, scale, scale_y),
            Moment::Corr => exact::corr(&of(0), &of(1), &of(3), &of(4), &of(2), n),
        }
    }
}

/// The p-quantile: linear between the two values around position p·(n − 1) (type 7 of Hyndman & Fan, 1996), the position
/// one float multiplication, the interpolation exact and rounded once. `values` ascend, NaN last.
fn quantile(values: &mut dyn GroupValues, p: f64, scale: i32) -> Option<f64> {
    let last = values.count().checked_sub(1)?;
    let position = p * last as f64;
    let exact = |value| match value {
        Value::Int(v) => Exact::Finite(Dyadic::from_i128(v.into(), 0)),
        Value::Wide(v) => Exact::Finite(Dyadic::from_i128(v, 0)),
        Value::Float(v) => Exact::from_f64(v),
        _ => Exact::Nan,
    };
    let (low, high) = values.at((position.floor() as u64).min(last));
    Some(exact::interpolate(&exact(low), &exact(high), position - position.floor(), scale))
}

/// The text of a group's key, for messages.
pub fn key_text(columns: &[Column], group: usize) -> String {
    if columns.is_empty() {
        return "(all rows)".into();
    }
    let texts: Vec<String> = columns
        .iter()
        .map(|column| match column.value(group) {
            Value::Null => "null".into(),
            value => value.text(&column.ty),
        })
        .collect();
    format!("({})", texts.join(", "))
}

/// The key words of groups as a column of type `ty`.
pub fn key_column(key: &super::super::column::KeyColumn, ty: &Type, groups: &[u32]) -> Result<Column> {
    use crate::column::Class;
    use crate::column::key::{word_float, word_int, word_wide};
    let nulls = key
        .valid
        .as_ref()
        .map(|valid| groups.iter().map(|&g| valid[g as usize] != 0).collect::<NullBuffer>())
        .filter(|n| n.null_count() > 0);
    let word = |group: &u32| key.lo[*group as usize];
    let valid = |group: &u32| key.is_valid(*group as usize);
    // A key's values are of its type: the cast loses nothing.
    macro_rules! narrow {
        ($arm:ident, $ty:ty) => {
            ColumnData::$arm(groups.iter().map(|g| if valid(g) { word_int(word(g)) as $ty } else { 0 }).collect())
        };
    }
    let data = match (key.class, ty) {
        (Class::Str, _) => {
            let dict = key.dict.clone().unwrap_or_default();
            ColumnData::Str { codes: groups.iter().map(|g| word(g) as u32).collect(), dict }
        }
        (Class::Int, Type::Int8) => narrow!(I8, i8),
        (Class::Int, Type::Int16) => narrow!(I16, i16),
        (Class::Int, Type::Int32 | Type::Date) => narrow!(I32, i32),
        (Class::Int, Type::UInt8) => narrow!(U8, u8),
        (Class::Int, Type::UInt16) => narrow!(U16, u16),
        (Class::Int, Type::UInt32) => narrow!(U32, u32),
        (Class::Int, Type::Int64 | Type::Timestamp(_)) => narrow!(I64, i64),
        (Class::Float, Type::Float64) => {
            ColumnData::F64(groups.iter().map(|g| if valid(g) { word_float(word(g)) } else { 0.0 }).collect())
        }
        (class, ty) => {
            let value = |group: &u32| match class {
                _ if !valid(group) => Value::Null,
                Class::Bool => Value::Bool(word(group) != 0),
                Class::Int => Value::Int(word_int(word(group))),
                Class::Float => Value::Float(word_float(word(group))),
                Class::Wide => {
                    let word = u128::from(key.hi[*group as usize]) << 64 | u128::from(word(group));
                    Value::Wide(word_wide(word))
                }
                Class::Str => Value::Null,
            };
            return Column::from_values(ty, &groups.iter().map(value).collect::<Vec<_>>(), None);
        }
    };
    Ok(Column { ty: ty.clone(), data, nulls })
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::{Arg, Bag, Keep, Slice};
    use crate::column::Class;

    fn quantile_of(class: Class, values: Slice<'_>, rows: usize, p: f64, scale: i32) -> Option<f64> {
        let mut bag = Bag::new(class, Keep::All);
        bag.resize(1);
        bag.update(&vec![0; rows], Arg { values, valid: None });
        bag.map_groups(|values| quantile(values, p, scale))[0]
    }

    fn q(values: &[f64], p: f64) -> Option<f64> {
        quantile_of(Class::Float, Slice::Float(values), values.len(), p, 0)
    }

    #[test]
    fn quantiles_interpolate_exactly() {
        assert_eq!(q(&[], 0.5), None);
        assert_eq!(q(&[3.0], 0.9), Some(3.0));
        assert_eq!(q(&[1.0, 2.0], 0.5), Some(1.5));
        assert_eq!(q(&[1.0, 2.0, 4.0], 0.25), Some(1.5));
        assert_eq!(q(&[1.0, 2.0, 4.0], 0.0), Some(1.0));
        assert_eq!(q(&[1.0, 2.0, 4.0], 1.0), Some(4.0));
        // The sum of the two middles overflows binary64, their exact mean does not.
        assert_eq!(q(&[f64::MAX, f64::MAX], 0.5), Some(f64::MAX));
        assert_eq!(q(&[5e-324, 5e-324], 0.5), Some(5e-324));
        assert_eq!(q(&[-f64::MAX, f64::MAX], 0.5), Some(0.0));
        let tens: Vec<f64> = (0..=10).map(f64::from).collect();
        assert_eq!(q(&tens, 0.1), Some(1.0));
        assert!(q(&[1.0, f64::NAN], 0.5).unwrap().is_nan());
        assert_eq!(q(&[1.0, f64::NAN], 0.0), Some(1.0));
        assert!(q(&[f64::NEG_INFINITY, f64::INFINITY], 0.5).unwrap().is_nan());
        assert_eq!(q(&[1.0, f64::INFINITY], 0.5), Some(f64::INFINITY));
        assert_eq!(quantile_of(Class::Wide, Slice::Wide(&[15, 10]), 2, 0.5, 1), Some(1.25));
        assert_eq!(quantile_of(Class::Int, Slice::Int(&[1, 9, 1, 1]), 4, 0.5, 0), Some(1.0));
    }
}
