//! min and max: one word a group. Both keep a minimum; `max` keeps it of the flipped words.

use std::sync::Arc;

use super::exact::Strided;
use super::{Arg, Slice};
use crate::column::key::{float_order, int_word, wide_word, word_float, word_int, word_wide};
use crate::column::{Class, Dictionary, Value, pick};
use crate::simd::widest;

/// The smallest (or largest) value of each group: floats by the total order (−0 < +0, NaN largest), strings by bytes.
#[derive(Debug, Clone)]
pub struct Extreme {
    class: Class,
    largest: bool,
    /// Order-preserving words, flipped for `max`; for class Str, codes, not flipped.
    words: Vec<u64>,
    /// The same for class Wide.
    wides: Vec<u128>,
    seen: Vec<u8>,
    dict: Option<Arc<Dictionary>>,
}

/// Floats whose words are made together.
const BLOCK: usize = 256;

widest! {
    fn float_orders(values: &[f64], flip: u64, words: &mut [u64; BLOCK]) {
        for (word, value) in words.iter_mut().zip(values) {
            *word = float_order(*value) ^ flip;
        }
    }
}

impl Extreme {
    /// No groups.
    pub fn new(class: Class, largest: bool) -> Self {
        Extreme { class, largest, words: Vec::new(), wides: Vec::new(), seen: Vec::new(), dict: None }
    }

    /// Makes room for `groups` groups; new ones are empty.
    pub fn resize(&mut self, groups: usize) {
        self.seen.resize(groups, 0);
        if self.class == Class::Wide {
            self.wides.resize(groups, u128::MAX);
        } else {
            self.words.resize(groups, u64::MAX);
        }
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.words.capacity() * 8 + self.wides.capacity() * 16 + self.seen.capacity()
    }

    /// Takes in `arg`; row `i` belongs to group `groups[i]`.
    pub fn update(&mut self, groups: &[u32], arg: Arg<'_>) {
        match arg.values {
            Slice::Bool(v) => self.update_words(groups, arg, |i| v[i].into()),
            Slice::Int(v) => self.update_words(groups, arg, |i| int_word(v[i])),
            Slice::Int32(v) => self.update_words(groups, arg, |i| int_word(v[i].into())),
            Slice::Float(v) => self.update_floats(groups, v, arg.valid),
            Slice::Wide(v) => {
                for (i, &group) in groups.iter().enumerate() {
                    if arg.is_valid(i) {
                        self.combine_wide(group as usize, wide_word(v[i]));
                    }
                }
            }
            Slice::Str(codes, dict) => self.combine_codes(
                dict,
                groups.iter().enumerate().filter(|(i, _)| arg.is_valid(*i)).map(|(i, &group)| (group, codes[i])),
            ),
        }
    }

    #[inline]
    fn update_words(&mut self, groups: &[u32], arg: Arg<'_>, word: impl Fn(usize) -> u64) {
        let flip = if self.largest { u64::MAX } else { 0 };
        let Extreme { words, seen, .. } = self;
        // Few values are better than the best before them: the rest costs a comparison and no store.
        let mut combine = |group: u32, word: u64| {
            let best = &mut words[group as usize];
            if word < *best || word == u64::MAX {
                *best = word.min(*best);
                seen[group as usize] = 1;
            }
        };
        match arg.valid {
            None => groups.iter().enumerate().for_each(|(i, &group)| combine(group, word(i) ^ flip)),
            Some(valid) => {
                let rows = groups.iter().zip(valid).enumerate().filter(|(_, (_, ok))| **ok != 0);
                rows.for_each(|(i, (&group, _))| combine(group, word(i) ^ flip));
            }
        }
    }

    fn update_floats(&mut self, groups: &[u32], values: &[f64], valid: Option<&[u8]>) {
        let flip = if self.largest { u64::MAX } else { 0 };
        let Extreme { words, seen, .. } = self;
        // No float's word is u64::MAX, flipped or not.
        let mut combine = |group: u32, word: u64| {
            let best = &mut words[group as usize];
            if word < *best {
                *best = word;
                seen[group as usize] = 1;
            }
        };
        let mut block = [0; BLOCK];
        for (at, (groups, values)) in groups.chunks(BLOCK).zip(values.chunks(BLOCK)).enumerate() {
            float_orders(values, flip, &mut block);
            match valid {
                None => groups.iter().zip(&block).for_each(|(&group, &word)| combine(group, word)),
                Some(valid) => {
                    let rows = groups.iter().zip(&block).zip(&valid[at * BLOCK..]).filter(|(_, ok)| **ok != 0);
                    rows.for_each(|((&group, &word), _)| combine(group, word));
                }
            }
        }
    }

    /// Takes in values, none null, as bests that lie elsewhere: the largest word of a group, after [`Extreme::flip`]; 0 is
    /// none yet, and says nothing of a value whose word that is. Says whether there was no such value.
    #[inline]
    pub(super) fn update_beside<W: Copy + Ord + Default>(
        mut bests: Strided<'_, W>,
        groups: &[u32],
        words: impl Iterator<Item = W>,
    ) -> bool {
        let mut all = true;
        for (&group, word) in groups.iter().zip(words) {
            let best = bests.cell(group);
            if word > *best {
                *best = word;
            }
            all &= word != W::default();
        }
        all
    }

    /// What is to be flipped of words for [`Extreme::update_beside`].
    pub(super) fn flip(&self) -> u64 {
        if self.largest { 0 } else { u64::MAX }
    }

    /// Takes in the bests of all groups, as words flipped back, that [`Extreme::update_beside`] has found.
    pub(super) fn take_in(&mut self, groups: usize, bests: impl Iterator<Item = Option<u64>>) {
        self.resize(groups);
        for (group, best) in bests.enumerate() {
            if let Some(word) = best {
                self.combine_word(group, word);
            }
        }
    }

    /// Takes one word (see [`crate::column::key`]; floats by `float_order`) into a group.
    #[inline]
    pub fn combine_word(&mut self, group: usize, word: u64) {
        let word = if self.largest { !word } else { word };
        self.words[group] = self.words[group].min(word);
        self.seen[group] = 1;
    }

    /// Takes one 128-bit word into a group.
    #[inline]
    pub fn combine_wide(&mut self, group: usize, word: u128) {
        let word = if self.largest { !word } else { word };
        self.wides[group] = self.wides[group].min(word);
        self.seen[group] = 1;
    }

    /// Takes (group, code) pairs in.
    pub fn combine_codes(&mut self, dict: &Arc<Dictionary>, pairs: impl Iterator<Item = (u32, u32)>) {
        let dict = self.dict.get_or_insert_with(|| Arc::clone(dict));
        let strings = dict.read();
        for (group, code) in pairs {
            let group = group as usize;
            let (code, best) = (u64::from(code), self.words[group]);
            let better = self.seen[group] == 0
                || code != best && {
                    let (a, b) = (strings.get(code as u32), strings.get(best as u32));
                    if self.largest { a > b } else { a < b }
                };
            if better {
                self.words[group] = code;
                self.seen[group] = 1;
            }
        }
    }

    /// Merges `other`, whose group `i` is group `map[i]` here.
    pub fn merge(&mut self, other: &Extreme, map: &[u32]) {
        if let Some(dict) = &other.dict {
            let pairs = map.iter().enumerate().filter(|(i, _)| other.seen[*i] != 0);
            self.combine_codes(dict, pairs.map(|(i, &group)| (group, other.words[i] as u32)));
            return;
        }
        for (i, &group) in map.iter().enumerate() {
            let group = group as usize;
            if other.seen[i] != 0 {
                self.seen[group] = 1;
                if self.class == Class::Wide {
                    self.wides[group] = self.wides[group].min(other.wides[i]);
                } else {
                    self.words[group] = self.words[group].min(other.words[i]);
                }
            }
        }
    }

    /// The listed groups, in the listed order, as a column of their own.
    pub fn gather(&self, groups: &[u32]) -> Self {
        // The words of the other width are not there.
        let (narrow, wide) = if self.class == Class::Wide { (&[][..], groups) } else { (groups, &[][..]) };
        Extreme {
            words: pick(&self.words, narrow),
            wides: pick(&self.wides, wide),
            seen: pick(&self.seen, groups),
            dict: self.dict.clone(),
            ..*self
        }
    }

    /// For class Str: other codes for the same strings, those of `dict`; `code` is asked for each code that is there.
    pub fn recode(&mut self, dict: Option<&Arc<Dictionary>>, mut code: impl FnMut(u32) -> u32) {
        for (word, _) in self.words.iter_mut().zip(&self.seen).filter(|(_, seen)| **seen != 0) {
            *word = code(*word as u32).into();
        }
        self.dict = dict.cloned();
    }

    /// Appends the bytes of the groups; [`Extreme::take`] reads them back.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seen);
        self.words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        self.wides.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    /// Reads `groups` groups of the kind of `self` off the front of `bytes`; `None` if they are not whole.
    pub fn take(&self, bytes: &mut &[u8], groups: usize) -> Option<Extreme> {
        let seen = bytes.split_off(..groups)?.to_vec();
        let (mut words, mut wides) = (Vec::new(), Vec::new());
        if self.class == Class::Wide {
            let bytes = bytes.split_off(..groups.checked_mul(16)?)?;
            wides.extend(bytes.chunks_exact(16).map(|b| b.try_into().map_or(u128::MAX, u128::from_le_bytes)));
        } else {
            let bytes = bytes.split_off(..groups.checked_mul(8)?)?;
            words.extend(bytes.chunks_exact(8).map(|b| b.try_into().map_or(u64::MAX, u64::from_le_bytes)));
        }
        Some(Extreme { class: self.class, largest: self.largest, words, wides, seen, dict: self.dict.clone() })
    }

    /// The value of a group; null if it saw none.
    pub fn value(&self, group: usize) -> Value {
        if self.seen[group] == 0 {
            return Value::Null;
        }
        let flip = |w: u64| if self.largest { !w } else { w };
        match self.class {
            Class::Bool => Value::Bool(flip(self.words[group]) != 0),
            Class::Int => Value::Int(word_int(flip(self.words[group]))),
            Class::Float => Value::Float(word_float(flip(self.words[group]))),
            Class::Wide => {
                let word = self.wides[group];
                Value::Wide(word_wide(if self.largest { !word } else { word }))
            }
            Class::Str => match &self.dict {
                Some(dict) => Value::Str(dict.read().get(self.words[group] as u32).into()),
                None => Value::Null,
            },
        }
    }

    /// For class Str: the codes of `groups` (any code under a null), which of them are there, and their dictionary.
    pub fn codes(&self) -> (impl Iterator<Item = (u32, bool)>, Option<&Arc<Dictionary>>) {
        let codes = self.words.iter().zip(&self.seen).map(|(&w, &s)| (if s != 0 { w as u32 } else { 0 }, s != 0));
        (codes, self.dict.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: Class, largest: bool, arg: Arg<'_>, rows: usize) -> Value {
        let mut state = Extreme::new(class, largest);
        state.resize(1);
        state.update(&vec![0; rows], arg);
        state.value(0)
    }

    #[test]
    fn floats_use_the_total_order() {
        let v = [0.0, -0.0, 1.5];
        let arg = Arg { values: Slice::Float(&v), valid: None };
        let Value::Float(min) = of(Class::Float, false, arg, 3) else { panic!() };
        assert_eq!(min.to_bits(), (-0.0f64).to_bits());
        let v = [f64::INFINITY, f64::NAN, 1.0];
        let arg = Arg { values: Slice::Float(&v), valid: None };
        assert_eq!(of(Class::Float, false, arg, 3), Value::Float(1.0));
        assert!(matches!(of(Class::Float, true, arg, 3), Value::Float(x) if x.is_nan()));
        assert_eq!(of(Class::Float, true, Arg { valid: Some(&[1, 0, 1]), ..arg }, 3), Value::Float(f64::INFINITY));
    }

    #[test]
    fn many_floats_go_by_blocks() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from((i * 7919) % 1000) / 8.0 - 60.0).collect();
        let groups: Vec<u32> = (0..1000).map(|i| i % 3).collect();
        let valid: Vec<u8> = (0..1000).map(|i| u8::from(i % 7 != 0)).collect();
        for valid in [None, Some(&valid[..])] {
            for largest in [false, true] {
                let mut state = Extreme::new(Class::Float, largest);
                state.resize(4);
                state.update(&groups, Arg { values: Slice::Float(&values), valid });
                for group in 0..3 {
                    let rows = (0..1000).filter(|&i| groups[i] == group && valid.is_none_or(|v| v[i] != 0));
                    let values = rows.map(|i| values[i]);
                    let want = values.reduce(if largest { f64::max } else { f64::min }).unwrap();
                    assert_eq!(state.value(group as usize), Value::Float(want), "{group} {largest}");
                }
                assert_eq!(state.value(3), Value::Null);
            }
        }
    }

    #[test]
    fn extremes_of_each_class_and_of_nothing() {
        let arg = Arg { values: Slice::Int(&[i64::MIN, i64::MAX]), valid: None };
        assert_eq!(of(Class::Int, false, arg, 2), Value::Int(i64::MIN));
        assert_eq!(of(Class::Int, true, arg, 2), Value::Int(i64::MAX));
        assert_eq!(of(Class::Int, true, Arg { valid: Some(&[0, 0]), ..arg }, 2), Value::Null);
        let arg = Arg { values: Slice::Wide(&[i128::MIN, -1, i128::MAX]), valid: None };
        assert_eq!(of(Class::Wide, false, arg, 3), Value::Wide(i128::MIN));
        assert_eq!(of(Class::Wide, true, arg, 3), Value::Wide(i128::MAX));
        let arg = Arg { values: Slice::Bool(&[1, 0]), valid: None };
        assert_eq!(of(Class::Bool, false, arg, 2), Value::Bool(false));
        let dict = Dictionary::new();
        let codes = dict.intern_all(["b", "é", "a", ""]).unwrap();
        let arg = Arg { values: Slice::Str(&codes, &dict), valid: Some(&[1, 1, 1, 0]) };
        assert_eq!(of(Class::Str, false, arg, 4), Value::Str("a".into()));
        assert_eq!(of(Class::Str, true, arg, 4), Value::Str("é".into()));
    }

    #[test]
    fn merging_maps_groups() {
        let mut a = Extreme::new(Class::Int, true);
        a.resize(2);
        a.update(&[0, 1], Arg { values: Slice::Int(&[1, 2]), valid: None });
        let mut b = Extreme::new(Class::Int, true);
        b.resize(3);
        b.update(&[0, 1], Arg { values: Slice::Int(&[5, -7]), valid: None });
        a.merge(&b, &[1, 0, 1]);
        assert_eq!((a.value(0), a.value(1)), (Value::Int(1), Value::Int(5)));
    }
}
