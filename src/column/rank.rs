//! The order of a dictionary's strings.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use super::{Strings, Text};
use crate::sort::radix;

/// A dictionary's strings in byte order.
#[derive(Debug, Default, Clone)]
pub struct StringOrder {
    /// For every code, the rank of its string.
    pub ranks: Arc<Vec<u32>>,
    /// For every rank, the code of its string.
    pub codes: Arc<Vec<u32>>,
}

/// Codes that a thread takes at a time.
const PART: usize = 1 << 14;
/// Bytes behind the shared prefix that a word is made of.
const WINDOW: usize = 16;

/// The order of `strings`, found on all threads of the pool it is called in.
///
/// Sorted by radix are words of 64 bits that order as the strings do up to ties: of the bytes that follow the prefix that all
/// strings share, the bits in which any two strings differ. Digits differ in four bits of eight, so sixteen of them fit in. Strings
/// whose words tie are compared in full.
pub(super) fn order(strings: &Strings) -> StringOrder {
    if strings.is_empty() {
        return StringOrder::default();
    }
    let first = strings.get(0);
    let shared = over_parts(strings, first.as_bytes().len(), |shared, text| common(&first, text, shared), usize::min);
    let window = |text: &Text<'_>| {
        let rest = text.as_bytes().get(shared..).unwrap_or_default();
        match rest.first_chunk::<WINDOW>() {
            Some(whole) => u128::from_be_bytes(*whole),
            None => {
                let mut padded = [0; WINDOW];
                padded[..rest.len()].copy_from_slice(rest);
                u128::from_be_bytes(padded)
            }
        }
    };
    let one = window(&first);
    let differ = over_parts(strings, 0, |differ, text| differ | (window(text) ^ one), |a, b| a | b);
    let bits = Bits::highest(differ);
    let mut sorted: Vec<(u64, u32)> = (0..strings.len() as u32)
        .into_par_iter()
        .with_min_len(PART)
        .map(|code| (bits.extract(window(&strings.get(code))), code))
        .collect();
    radix::sort(&mut sorted);
    untie(strings, &mut sorted);
    let ranks: Vec<AtomicU32> = (0..sorted.len()).map(|_| AtomicU32::new(0)).collect();
    let place = |(rank, &(_, code)): (usize, &(u64, u32))| ranks[code as usize].store(rank as u32, Ordering::Relaxed);
    sorted.par_iter().enumerate().with_min_len(PART).for_each(place);
    let ranks = ranks.into_iter().map(AtomicU32::into_inner).collect();
    StringOrder { ranks: Arc::new(ranks), codes: Arc::new(sorted.into_iter().map(|(_, code)| code).collect()) }
}

/// Folds all strings, a part of them on every thread, and joins what came.
fn over_parts<T: Copy + Send + Sync>(
    strings: &Strings,
    start: T,
    fold: impl Fn(T, &Text<'_>) -> T + Sync,
    join: impl Fn(T, T) -> T + Sync + Send,
) -> T {
    let part = |range: Range<usize>| range.fold(start, |folded, code| fold(folded, &strings.get(code as u32)));
    let parts = (0..strings.len().div_ceil(PART)).into_par_iter();
    parts.map(|i| part(i * PART..strings.len().min((i + 1) * PART))).reduce(|| start, join)
}

/// Bytes with which both begin, at most `most`, which the first has.
fn common(first: &Text<'_>, text: &Text<'_>, most: usize) -> usize {
    let (first, text) = (&first.as_bytes()[..most], text.as_bytes());
    if text.starts_with(first) {
        return most;
    }
    std::iter::zip(first, text).take_while(|(a, b)| a == b).count()
}

/// Sorts those that have the same word by their strings.
fn untie(strings: &Strings, mut sorted: &mut [(u64, u32)]) {
    let mut parts = Vec::new();
    while !sorted.is_empty() {
        let mut end = PART.min(sorted.len());
        while end < sorted.len() && sorted[end].0 == sorted[end - 1].0 {
            end += 1;
        }
        let (part, rest) = std::mem::take(&mut sorted).split_at_mut(end);
        parts.push(part);
        sorted = rest;
    }
    parts.into_par_iter().for_each(|part| {
        for ties in part.chunk_by_mut(|a, b| a.0 == b.0).filter(|ties| ties.len() > 1) {
            ties.par_sort_unstable_by(|a, b| strings.get(a.1).cmp(&strings.get(b.1)));
        }
    });
}

/// Some bits of a word, drawn together in their order.
struct Bits {
    /// Of every run of neighbouring bits, the highest first: whether it is in the lower half, how far it is shifted down there, its
    /// length, and its mask then.
    runs: Vec<(usize, u32, u32, u64)>,
}

impl Bits {
    /// The 64 highest bits of `mask`.
    fn highest(mask: u128) -> Bits {
        let (mut runs, mut left) = (Vec::new(), u64::BITS);
        for (half, mut mask) in halves(mask).into_iter().enumerate() {
            while mask != 0 && left > 0 {
                let above = mask.leading_zeros();
                let len = (mask << above).leading_ones().min(left);
                let shift = u64::BITS - above - len;
                let ones = u64::MAX >> (u64::BITS - len);
                runs.push((half, shift, len, ones));
                mask &= !(ones << shift);
                left -= len;
            }
        }
        Bits { runs }
    }

    #[inline]
    fn extract(&self, word: u128) -> u64 {
        let halves = halves(word);
        // The only run of 64 bits is the only run.
        let draw = |out: u64, &(half, shift, len, ones): &(usize, u32, u32, u64)| {
            out.checked_shl(len).unwrap_or(0) | halves[half & 1] >> shift & ones
        };
        self.runs.iter().fold(0, draw)
    }
}

/// The upper half and the lower.
fn halves(word: u128) -> [u64; 2] {
    [(word >> 64) as u64, word as u64]
}

#[cfg(test)]
mod tests {
    use super::super::Dictionary;
    use super::*;

    #[test]
    fn bits_are_drawn_together_in_their_order() {
        let bits = Bits::highest(0xf0 << 120 | 0x0f0f << 16 | 1);
        assert_eq!(bits.extract(0xab << 120 | 0x1234 << 16 | 0xff), 0b1010_0010_0100_1);
        assert_eq!(Bits::highest(u128::MAX).extract(7 << 64 | 9), 7);
        assert_eq!(Bits::highest(u128::MAX >> 1).extract(1 << 63 | 5 << 64), 11);
        assert_eq!(Bits::highest(0).extract(5), 0);
    }

    #[test]
    fn strings_of_all_lengths_stand_in_byte_order() {
        let number = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let cases: [Vec<String>; 4] = [
            // Equal in the first sixteen bytes and beyond, one a prefix of the other, with zeros at their end.
            (0..3000).map(|i| format!("shared {}", "x".repeat(i))).collect(),
            (0..3000).map(|i| format!("{}{}", "a".repeat(i % 40), "\0".repeat(i / 40))).collect(),
            (0..40_000).map(|i| format!("user-{:012}", number(i) >> 30)).collect(),
            (0..40_000).map(|i| format!("{:x}{}", number(i), "é".repeat(i as usize % 3))).collect(),
        ];
        for texts in cases {
            let dict = Dictionary::new();
            let codes = dict.intern_all(texts.iter().map(String::as_str)).unwrap();
            let order = order(&dict.read());
            let mut expected: Vec<(&String, u32)> = texts.iter().zip(codes).collect();
            expected.sort();
            expected.dedup();
            assert!(expected.iter().map(|(_, code)| code).eq(&*order.codes), "{:?}", &texts[..2]);
            assert!(order.codes.iter().zip(0..).all(|(&code, rank)| order.ranks[code as usize] == rank));
        }
    }
}
