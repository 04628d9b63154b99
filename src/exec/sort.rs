//! The order of rows by several columns: every column becomes order-preserving words, packed into the fewest bits.

use rayon::prelude::*;

use crate::column::key::{float_word, int_word, wide_word};
use crate::column::{Class, Column, KeyColumn};
use crate::sort::radix;

/// A column to sort by.
pub(super) struct Term {
    /// Its words; strings as ranks.
    words: KeyColumn,
    descending: bool,
    nulls_first: bool,
}

impl Term {
    /// A key of groups: ascending, nulls last.
    pub fn key(mut key: KeyColumn) -> Term {
        if let (Class::Str, Some(dict)) = (key.class, &key.dict) {
            let ranks = dict.ranks();
            // The word under a null may be no code.
            key.lo.iter_mut().for_each(|w| *w = ranks.get(*w as usize).copied().unwrap_or(0).into());
        }
        Term { words: key, descending: false, nulls_first: false }
    }

    /// A column of a result.
    pub fn column(column: &Column, descending: bool, nulls_first: bool) -> Term {
        let class = column.ty.class().unwrap_or(Class::Bool);
        let mut key = KeyColumn::new(class, None);
        let rows = 0..column.len();
        match (class, &column.data) {
            (_, crate::column::ColumnData::Bool(v)) => key.lo.extend(v.iter().map(u64::from)),
            (_, crate::column::ColumnData::Str { codes, dict }) => {
                key.lo.extend(codes.iter().map(|&c| u64::from(c)));
                key.dict = Some(std::sync::Arc::clone(dict));
            }
            (Class::Float, _) => {
                let mut floats = Vec::new();
                if column.widen_float(rows, &mut floats) {
                    key.lo.extend(floats.into_iter().map(float_word));
                }
            }
            (Class::Wide, _) => {
                let mut wides = Vec::new();
                if column.widen_wide(rows, &mut wides) {
                    key.lo.extend(wides.iter().map(|&w| wide_word(w) as u64));
                    key.hi.extend(wides.iter().map(|&w| (wide_word(w) >> 64) as u64));
                }
            }
            _ => {
                let mut ints = Vec::new();
                if column.widen_int(rows, &mut ints) {
                    key.lo.extend(ints.into_iter().map(int_word));
                }
            }
        }
        key.valid = column.nulls.as_ref().map(|n| n.iter().map(u8::from).collect());
        Term { descending, nulls_first, ..Term::key(key) }
    }

    /// Adds this term's words, as (word of a row, bits), most significant first. A null's words are all alike.
    fn words(&self, out: &mut Vec<(Vec<u64>, u32)>) {
        if let Some(valid) = &self.words.valid {
            out.push((valid.iter().map(|&ok| u64::from((ok == 0) != self.nulls_first)).collect(), 1));
        }
        for values in [&self.words.hi, &self.words.lo] {
            if values.is_empty() {
                continue;
            }
            let is_valid = |row: usize| self.words.is_valid(row);
            let valid = || values.iter().enumerate().filter(|(row, _)| is_valid(*row)).map(|(_, &w)| w);
            let (Some(min), Some(max)) = (valid().min(), valid().max()) else { continue };
            let word = |(row, &w): (usize, &u64)| match (is_valid(row), self.descending) {
                (false, _) => 0,
                (true, false) => w - min,
                (true, true) => max - w,
            };
            out.push((values.iter().enumerate().map(word).collect(), 64 - (max - min).leading_zeros()));
        }
    }
}

/// The rows `0..rows` in the order of `terms`; rows that compare equal keep their order.
pub(super) fn sort(rows: usize, terms: &[Term]) -> Vec<u32> {
    let mut words = Vec::new();
    terms.iter().for_each(|term| term.words(&mut words));
    let bits: u32 = words.iter().map(|(_, bits)| bits).sum();
    if bits <= 64 {
        let mut packed: Vec<(u64, u32)> = (0..rows as u32).map(|row| (0, row)).collect();
        for (word, bits) in words.iter().filter(|(_, bits)| *bits > 0) {
            // The only word of 64 bits is the only word.
            packed.iter_mut().zip(word).for_each(|(p, w)| p.0 = p.0.checked_shl(*bits).unwrap_or(0) | w);
        }
        // Stable: equal keys keep the order of their rows.
        radix::sort(&mut packed);
        return packed.into_iter().map(|(_, row)| row).collect();
    }
    let mut order: Vec<u32> = (0..rows as u32).collect();
    order.par_sort_unstable_by(|&a, &b| {
        let by_word = |(word, _): &(Vec<u64>, u32)| word[a as usize].cmp(&word[b as usize]);
        words.iter().map(by_word).find(|o| o.is_ne()).unwrap_or_else(|| a.cmp(&b))
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Type, Value};

    fn column(ty: Type, values: &[Value]) -> Column {
        Column::from_values(&ty, values, None).unwrap()
    }

    #[test]
    fn nulls_go_where_they_are_told_and_ties_keep_their_order() {
        let ints = column(Type::Int64, &[Value::Int(2), Value::Null, Value::Int(-5), Value::Int(2)]);
        assert_eq!(sort(4, &[Term::column(&ints, false, false)]), [2, 0, 3, 1]);
        assert_eq!(sort(4, &[Term::column(&ints, true, false)]), [0, 3, 2, 1]);
        assert_eq!(sort(4, &[Term::column(&ints, true, true)]), [1, 0, 3, 2]);
        assert_eq!(sort(4, &[]), [0, 1, 2, 3]);
    }

    #[test]
    fn wide_terms_compare_word_by_word() {
        let a = column(Type::Int64, &[Value::Int(i64::MIN), Value::Int(i64::MAX), Value::Int(i64::MIN)]);
        let decimal = Type::Decimal { precision: 38, scale: 0 };
        let b = column(decimal, &[Value::Wide(5), Value::Wide(-1), Value::Wide(-(1 << 100))]);
        assert_eq!(sort(3, &[Term::column(&a, false, false), Term::column(&b, false, false)]), [2, 0, 1]);
        assert_eq!(sort(3, &[Term::column(&b, true, false)]), [0, 1, 2]);
    }

    #[test]
    fn strings_sort_by_bytes_and_floats_by_the_total_order() {
        let s =
            column(Type::Str, &[Value::Str("b".into()), Value::Null, Value::Str("a".into()), Value::Str("B".into())]);
        assert_eq!(sort(4, &[Term::column(&s, false, false)]), [3, 2, 0, 1]);
        let f = column(Type::Float64, &[f64::NAN, 1.0, f64::NEG_INFINITY, -0.0].map(Value::Float));
        assert_eq!(sort(4, &[Term::column(&f, false, false)]), [2, 3, 1, 0]);
        assert_eq!(sort(4, &[Term::column(&f, true, false)]), [0, 1, 3, 2]);
    }
}
