//! Key words: every key value as an unsigned integer whose order is the value's order.
//!
//! | class | word |
//! |---|---|
//! | Bool | 0, 1 |
//! | Int | the two's complement with the sign bit flipped |
//! | Wide | the same in 128 bits (`hi`, `lo`) |
//! | Float | −0 becomes +0, every NaN one NaN; then the bits, all flipped if negative, else the sign bit flipped |
//! | Str | the dictionary code: equal words are equal strings, but only [`Dictionary::ranks`] has their order |

use std::sync::Arc;

use super::{Class, Dictionary, pick};

/// The one NaN that keys and lists hold.
pub const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

/// The word of an Int.
#[inline]
pub fn int_word(v: i64) -> u64 {
    v as u64 ^ (1 << 63)
}

/// The Int of a word.
#[inline]
pub fn word_int(w: u64) -> i64 {
    (w ^ (1 << 63)) as i64
}

/// The word of a Wide.
#[inline]
pub fn wide_word(v: i128) -> u128 {
    v as u128 ^ (1 << 127)
}

/// The Wide of a word.
#[inline]
pub fn word_wide(w: u128) -> i128 {
    (w ^ (1 << 127)) as i128
}

/// The total order of binary64 with −0 below +0 and every NaN, made one, on top: for `min` and `max`.
#[inline]
pub fn float_order(v: f64) -> u64 {
    let bits = if v.is_nan() { CANONICAL_NAN } else { v.to_bits() };
    bits ^ ((((bits as i64) >> 63) as u64) | (1 << 63))
}

/// The word of a Float as a key: as [`float_order`], but −0 and +0 are one key.
#[inline]
pub fn float_word(v: f64) -> u64 {
    // −0 + 0 = +0; every other value stays.
    float_order(v + 0.0)
}

/// The Float of a word (of either order).
#[inline]
pub fn word_float(w: u64) -> f64 {
    f64::from_bits(w ^ (!((w as i64) >> 63) as u64 | (1 << 63)))
}

/// What is ordered by `first` and then by `second`.
#[inline]
pub fn pair(first: i64, second: i64) -> i128 {
    i128::from(first) << 64 | i128::from(int_word(second))
}

/// The second of a [`pair`].
#[inline]
pub fn second_of(pair: i128) -> i64 {
    word_int(pair as u64)
}

/// The words of one key column of many groups.
#[derive(Debug, Clone)]
pub struct KeyColumn {
    /// What the words mean.
    pub class: Class,
    /// The word, or its low 64 bits for class Wide.
    pub lo: Vec<u64>,
    /// The high 64 bits; empty unless the class is Wide.
    pub hi: Vec<u64>,
    /// 1 where the key is not null; `None` if no key is. The word under a null is 0.
    pub valid: Option<Vec<u8>>,
    /// What the codes of class Str mean.
    pub dict: Option<Arc<Dictionary>>,
}

impl KeyColumn {
    /// A column without groups.
    pub fn new(class: Class, dict: Option<Arc<Dictionary>>) -> Self {
        KeyColumn { class, lo: Vec::new(), hi: Vec::new(), valid: None, dict }
    }

    /// Groups.
    pub fn len(&self) -> usize {
        self.lo.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.lo.is_empty()
    }

    /// Whether group `group` has a key that is not null.
    pub fn is_valid(&self, group: usize) -> bool {
        self.valid.as_ref().is_none_or(|v| v[group] != 0)
    }

    /// The listed groups, in the listed order, as a column of their own.
    pub fn gather(&self, groups: &[u32]) -> Self {
        let valid = self.valid.as_ref().map(|valid| pick(valid, groups));
        KeyColumn {
            class: self.class,
            lo: pick(&self.lo, groups),
            hi: if self.hi.is_empty() { Vec::new() } else { pick(&self.hi, groups) },
            valid: valid.filter(|valid| valid.contains(&0)),
            dict: self.dict.clone(),
        }
    }

    /// Forgets the groups, keeps the memory.
    pub fn clear(&mut self) {
        self.lo.clear();
        self.hi.clear();
        self.valid = None;
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        (self.lo.capacity() + self.hi.capacity()) * 8 + self.valid.as_ref().map_or(0, Vec::capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_words_keep_the_order() {
        let sorted = [f64::NEG_INFINITY, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, f64::INFINITY, f64::NAN];
        for pair in sorted.windows(2) {
            assert!(float_order(pair[0]) < float_order(pair[1]), "{pair:?}");
        }
        for v in sorted {
            assert_eq!(word_float(float_order(v)).to_bits(), if v.is_nan() { CANONICAL_NAN } else { v.to_bits() });
        }
        let ints = [i64::MIN, -5, -1, 0, 1, 7, i64::MAX];
        let pairs: Vec<i128> = ints.iter().flat_map(|&a| ints.map(|b| pair(a, b))).collect();
        assert!(pairs.is_sorted_by(|a, b| a < b));
        assert!(pairs.iter().zip(ints.iter().cycle()).all(|(&pair, &b)| second_of(pair) == b));
        assert_eq!(float_word(-0.0), float_word(0.0));
        assert_eq!(float_word(-f64::NAN), float_word(f64::from_bits(0x7ff0_0000_0000_0001)));
    }

    #[test]
    fn integer_words_keep_the_order() {
        for pair in [i64::MIN, -1, 0, 1, i64::MAX].windows(2) {
            assert!(int_word(pair[0]) < int_word(pair[1]));
            assert_eq!(word_int(int_word(pair[0])), pair[0]);
        }
        for pair in [i128::MIN, -1, 0, 1, i128::MAX].windows(2) {
            assert!(wide_word(pair[0]) < wide_word(pair[1]));
            assert_eq!(word_wide(wide_word(pair[0])), pair[0]);
        }
    }
}
