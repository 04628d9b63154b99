//! What must be known of a batch's selected rows before they are grouped and summed: which bits of their keys differ, and
//! which bits their values use.
//!
//! Integers on both sides of zero differ in all their upper bits, which say nothing but the sign. Where that is so, one
//! more look at the least and the largest key tells how few bits hold them all.

use super::batch::Deck;
use super::engine::Outcome;
use super::layout::{Layout, Words};
use super::notes::BatchNote;
use super::record::{Download, Recording, View};
use super::stages::{exponent_range, gather, key_bits, reduce};
use crate::Result;
use crate::column::Class;
use crate::kernel::Shape;
use crate::kernel::exponent_range::ExponentRange;
use crate::kernel::pack_keys::Packing;
use crate::kernel::value::{Kind, Op, Reduction, ValuePlanes};

/// A key word: its plane (as a word offset), the bits in which rows differ, and any row's word.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyWord {
    pub plane_at: u32,
    pub varying: u32,
    pub constant: u32,
}

/// The words of a key, the most significant first.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyShape {
    pub words: Vec<KeyWord>,
    /// All integers of the column are told from each other by so many of their lowest bits.
    pub narrow: Option<Narrow>,
}

/// The lowest bits of integers that hold them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Narrow {
    pub bits: u32,
    /// Whether the highest of them is the sign.
    pub signed: bool,
}

impl Narrow {
    /// For integers from `min` to `max`.
    pub fn of(min: i128, max: i128) -> Self {
        let length = |v: i128| 128 - (v ^ (v >> 127)).leading_zeros();
        let signed = min < 0;
        Narrow { bits: length(min).max(length(max)) + u32::from(signed), signed }
    }

    /// Bit mask of word `word`, counted from the least significant.
    pub fn mask(&self, word: u32) -> u32 {
        match self.bits.saturating_sub(word * 32) {
            0 => 0,
            bits => u32::MAX >> (32 - bits.min(32)),
        }
    }

    /// The integer whose lowest bits these are.
    pub fn extend(&self, word: u128) -> i128 {
        let unused = 128 - self.bits;
        match (unused, self.signed) {
            (128, _) => 0,
            (_, true) => ((word << unused) as i128) >> unused,
            (_, false) => ((word << unused) >> unused) as i128,
        }
    }
}

/// What is known of a batch's selected rows.
#[derive(Default)]
pub(super) struct Survey {
    pub keys: Vec<KeyShape>,
    /// Of bags' arguments.
    pub bags: Vec<KeyShape>,
    /// For each ranged operand its bits.
    pub ranges: Vec<ExponentRange>,
}

impl Survey {
    /// The packing of the keys, and of a bag's argument after them.
    pub fn packing(&self, bag: Option<usize>) -> Packing {
        let bag = bag.and_then(|bag| self.bags.get(bag));
        let words = self.keys.iter().chain(bag).flat_map(|key| &key.words);
        Packing::new(&words.map(|word| (word.plane_at, word.varying)).collect::<Vec<_>>())
    }
}

/// Where a survey comes back.
pub(super) struct SurveyDownloads {
    /// For each plane of keys and bags, in order of significance: varying bits, one row's word.
    words: Vec<(Download, Download)>,
    ranges: Vec<Download>,
}

/// Looks at `n` selected rows.
pub(super) fn survey_of(
    rec: &mut Recording,
    shape: &Shape,
    layout: &Layout,
    planes: View,
    rows: Option<View>,
    stride: u32,
    n: u32,
) -> SurveyDownloads {
    let mut words = Vec::new();
    for plane in layout.keys.iter().chain(&layout.bags).flat_map(|words| words.by_significance()) {
        let at = plane * stride;
        let varying = key_bits(rec, shape, planes, at, stride, 1, rows, n);
        let varying = rec.download(varying);
        let constant = match rows {
            None => rec.download(planes.buf.words(at.into(), 1)),
            Some(rows) => {
                let constant = gather(rec, shape, planes, at, rows, 1);
                rec.download(constant)
            }
        };
        words.push((varying, constant));
    }
    let ranges = layout
        .ranged
        .iter()
        .map(|x| {
            let (at, valid) = (x.first * stride, x.valid.map(|plane| plane * stride));
            let range = exponent_range(rec, shape, x.kind, planes, at, valid, stride, rows, n);
            rec.download(range)
        })
        .collect();
    SurveyDownloads { words, ranges }
}

impl SurveyDownloads {
    pub fn read(self, layout: &Layout, outcome: &mut Outcome, stride: u32) -> Survey {
        let mut words = self.words.into_iter();
        let mut read = |of: &Words| -> KeyShape {
            let words = of
                .by_significance()
                .zip(words.by_ref())
                .map(|(plane, (varying, constant))| {
                    let mut word = |download| outcome.take_words(download).first().copied().unwrap_or(0);
                    KeyWord { plane_at: plane * stride, varying: word(varying), constant: word(constant) }
                })
                .collect();
            KeyShape { words, narrow: None }
        };
        let keys = layout.keys.iter().map(&mut read).collect();
        let bags = layout.bags.iter().map(&mut read).collect();
        let range = |download| {
            let words = outcome.take_words(download);
            ExponentRange::from_words(std::array::from_fn(|i| words.get(i).copied().unwrap_or(0)))
        };
        Survey { keys, bags, ranges: self.ranges.into_iter().map(range).collect() }
    }
}

/// Whether rows differ in more of a column's upper bits than a few far-off values explain: it may be the sign alone.
fn is_crossing(of: &Words, key: &KeyShape) -> bool {
    let values = key.words.len() - usize::from(of.planes.valid.is_some());
    let top = key.words.get(key.words.len() - values).map_or(0, |word| word.varying);
    matches!(of.class, Class::Int | Class::Wide) && top >> 31 == 1 && top.count_ones() > 8
}

/// Looks again at the integer keys that seem to differ in everything, and keeps only the bits that hold them.
pub(super) fn narrow(
    deck: &mut Deck,
    note: &mut BatchNote,
    layout: &Layout,
    survey: &mut Survey,
    import: impl FnOnce(&mut Recording) -> (View, Option<View>),
    stride: u32,
    n: u32,
) -> Result<()> {
    let columns = layout.keys.iter().zip(&mut survey.keys).chain(layout.bags.iter().zip(&mut survey.bags));
    let crossing: Vec<_> = columns.filter(|(of, key)| is_crossing(of, key)).collect();
    if crossing.is_empty() {
        return Ok(());
    }
    let shape = deck.engine.shape();
    let mut rec = Recording::new();
    let (planes, rows) = import(&mut rec);
    let ids = rec.words("one segment", n.into());
    rec.clear(ids);
    let mut extremes = Vec::new();
    for (of, _) in &crossing {
        let kind = if of.class == Class::Wide { Kind::FourWords } else { Kind::TwoWords };
        let values = ValuePlanes::one(of.planes.first * stride, of.planes.valid.map(|plane| plane * stride), stride);
        for op in [Op::Min, Op::Max] {
            let reduction = Reduction::of(op, kind);
            let state = reduce(&mut rec, &shape, &reduction, planes, values, 0, rows, ids.into(), n, 1);
            extremes.push(rec.download(state.words(0, kind.words().into())));
        }
    }
    let mut outcome = deck.run(rec, note)?;
    for ((of, key), pair) in crossing.into_iter().zip(extremes.chunks_exact(2)) {
        let bits = 32 * of.planes.words;
        let mut integer = |download: Download| -> i128 {
            let words = outcome.take_words(download);
            let word = words.iter().rev().fold(0u128, |v, w| v << 32 | u128::from(*w));
            // The order's flipped sign, and then the sign itself.
            (((word ^ 1 << (bits - 1)) << (128 - bits)) as i128) >> (128 - bits)
        };
        let (min, max) = (integer(pair[0]), integer(pair[1]));
        // Without a valid row the identities come back, crossed.
        if min > max {
            continue;
        }
        let narrow = Narrow::of(min, max);
        // Integers that need their highest bit, which the order has flipped, stay as they are.
        if narrow.bits >= bits {
            continue;
        }
        for (word, at) in key.words.iter_mut().rev().zip(0..of.planes.words) {
            word.varying &= narrow.mask(at);
        }
        key.narrow = Some(narrow);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_bits_tell_integers_apart_and_give_them_back() {
        for (min, max, bits, signed) in [
            (-2, 2, 3, true),
            (0, 0, 0, false),
            (-1, 0, 1, true),
            (5, 255, 8, false),
            (i64::MIN.into(), i64::MAX.into(), 64, true),
            (-300, 70_000, 18, true),
            (i128::MIN, i128::MAX, 128, true),
        ] {
            let narrow = Narrow::of(min, max);
            assert_eq!(narrow, Narrow { bits, signed });
            for v in [min, max, 0i128.clamp(min, max), (min / 2).clamp(min, max), max - max / 3] {
                let masks = (0..4).rev().fold(0u128, |m, word| m << 32 | u128::from(narrow.mask(word)));
                assert_eq!(narrow.extend(v as u128 & masks), v, "{v} of {min}..={max}");
            }
        }
    }
}
