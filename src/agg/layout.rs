//! How the words of a key are packed into the fewest bits, in the order of the keys.
//!
//! A packed key lies in one u64 or more, as *planes*: plane 0 has the least significant 64 bits of every key, plane 1 the
//! next. The first key column has the most significant bits, above its words stands, where nulls have been seen, a bit
//! that says null: packed keys compare as keys do, nulls last (strings once their codes have been made ranks).

use std::sync::Arc;

use super::KeyRows;
use crate::column::key::int_word;
use crate::column::{Class, Dictionary, KeyColumn, StringOrder};

/// The columns of a key, the span their words have been seen in, and the place of each in a packed key.
#[derive(Debug, Clone)]
pub struct Layout {
    columns: Vec<(Class, Option<Arc<Dictionary>>)>,
    /// Most significant first.
    words: Vec<Word>,
    bits: u32,
}

/// One 64-bit word of a key.
#[derive(Debug, Clone, Copy)]
struct Word {
    column: usize,
    /// Whether it is the high half of a 128-bit word.
    high: bool,
    /// Whether it is the column's first: the bit for null stands above it.
    first: bool,
    /// Whether any value has been seen.
    seen: bool,
    /// The smallest word that fits, and the largest that was seen.
    base: u64,
    top: u64,
    /// `word - base` is kept in this many bits, from bit `at` on.
    bits: u32,
    at: u32,
    /// Whether there is a bit for null.
    flag: bool,
}

impl Word {
    /// The largest `word - base` that fits.
    fn span(&self) -> u64 {
        mask(self.bits)
    }
}

fn mask(bits: u32) -> u64 {
    if bits == 0 { 0 } else { u64::MAX >> (64 - bits) }
}

fn bits_for(span: u64) -> u32 {
    64 - span.leading_zeros()
}

impl Layout {
    /// No bits yet, for keys of the shape of `columns` (their groups are ignored).
    pub fn new(columns: &[KeyColumn]) -> Self {
        let mut words = Vec::new();
        for (column, key) in columns.iter().enumerate() {
            let word =
                Word { column, high: false, first: true, seen: false, base: 0, top: 0, bits: 0, at: 0, flag: false };
            if key.class == Class::Wide {
                words.push(Word { high: true, ..word });
                words.push(Word { first: false, ..word });
            } else {
                words.push(word);
            }
        }
        Layout { columns: columns.iter().map(|k| (k.class, k.dict.clone())).collect(), words, bits: 0 }
    }

    /// Bits of a packed key.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Planes of packed keys: at least one.
    pub fn planes(&self) -> usize {
        self.bits.div_ceil(64).max(1) as usize
    }

    /// Makes every word of `keys` fit; true if that changed the packing. A span that grows does so by more than it must, so
    /// that it grows a few times a run and not once a chunk.
    pub fn cover(&mut self, keys: &[KeyRows<'_>]) -> bool {
        let mut changed = false;
        for word in &mut self.words {
            let key = &keys[word.column];
            let dict = &mut self.columns[word.column].1;
            if dict.is_none() {
                *dict = key.dict().cloned();
            }
            let (min, max) = key.span(word.high);
            if word.first && !word.flag && key.valid().is_some_and(|v| v.contains(&0)) {
                word.flag = true;
                changed = true;
            }
            if min > max {
                continue; // only nulls
            }
            if !word.seen {
                (word.seen, word.base, word.top, word.bits) = (true, min, max, bits_for(max - min));
                changed = true;
                continue;
            }
            let room = word.base.saturating_add(word.span());
            word.top = word.top.max(max);
            if min < word.base || max > room {
                // Half as much again below, and whatever the power of two leaves above: room for the next chunk.
                let (low, high) = (min.min(word.base), max.max(room));
                word.base = if low < word.base { low.saturating_sub((high - low) / 2) } else { low };
                word.bits = bits_for(high - word.base);
                changed = true;
            }
        }
        if changed {
            self.place_words();
        }
        changed
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.words.capacity() * size_of::<Word>() + self.columns.capacity() * 24
    }

    /// The tightest layout for all keys of `layouts`, with the ranks of strings in place of their codes. The keys have the
    /// shape of `columns`.
    pub fn ranked<'a>(columns: &[KeyColumn], layouts: impl Iterator<Item = &'a Layout>) -> (Layout, Ranks) {
        let mut all = Layout::new(columns);
        for layout in layouts {
            for (mine, dict) in all.columns.iter_mut().zip(&layout.columns) {
                if mine.1.is_none() {
                    mine.1.clone_from(&dict.1);
                }
            }
            for (mine, word) in all.words.iter_mut().zip(&layout.words) {
                mine.flag |= word.flag;
                if word.seen {
                    mine.base = if mine.seen { mine.base.min(word.base) } else { word.base };
                    mine.top = mine.top.max(word.top);
                    mine.seen = true;
                }
            }
        }
        let ranks = Ranks::of(&all.columns);
        for word in &mut all.words {
            if let Some(ranks) = &ranks.0[word.column] {
                (word.base, word.top) = (0, ranks.codes.len().saturating_sub(1) as u64);
            }
            word.bits = if word.seen { bits_for(word.top - word.base) } else { 0 };
        }
        all.place_words();
        (all, ranks)
    }

    fn place_words(&mut self) {
        self.bits = 0;
        for word in self.words.iter_mut().rev() {
            word.at = self.bits;
            self.bits += word.bits + u32::from(word.flag);
        }
    }

    /// Where a packed key is one word less a base: that base.
    pub fn single(&self) -> Option<u64> {
        match self.words[..] {
            [Word { base, flag: false, .. }] => Some(base),
            _ => None,
        }
    }

    /// Packs the first `rows` of `keys`, which fit, into `planes`.
    pub fn pack(&self, keys: &[KeyRows<'_>], rows: usize, planes: &mut Vec<Vec<u64>>) {
        clear(planes, self.planes(), rows);
        for word in &self.words {
            let Word { base, at, bits, .. } = *word;
            match keys[word.column] {
                KeyRows::Int32(v) => place(planes, at, bits, v.iter().map(|&v| int_word(v.into()).wrapping_sub(base))),
                KeyRows::Int(v) => place(planes, at, bits, v.iter().map(|&v| int_word(v).wrapping_sub(base))),
                KeyRows::Str(v, _) => place(planes, at, bits, v.iter().map(|&v| u64::from(v).wrapping_sub(base))),
                KeyRows::Words(key) => {
                    let values = if word.high { &key.hi } else { &key.lo };
                    let values = values.iter().map(|v| v.wrapping_sub(base));
                    let Some(valid) = key.valid.as_deref() else {
                        place(planes, at, bits, values);
                        continue;
                    };
                    // All bits of a valid word, none of a null one.
                    let masks = valid.iter().map(|&ok| u64::from(ok).wrapping_neg());
                    place(planes, at, bits, values.zip(masks).map(|(value, mask)| value & mask));
                    if word.flag {
                        place(planes, at + bits, 1, valid.iter().map(|&ok| u64::from(ok ^ 1)));
                    }
                }
            }
        }
    }

    /// Packs keys that are packed as `self` says anew as `to` says, which covers them; strings by their ranks.
    pub fn repack(&self, from: &[Vec<u64>], to: &Layout, ranks: &Ranks, planes: &mut Vec<Vec<u64>>) {
        let rows = from.first().map_or(0, Vec::len);
        clear(planes, to.planes(), rows);
        let (mut values, mut nulls) = (Vec::new(), Vec::new());
        for (old, new) in self.words.iter().zip(&to.words) {
            if old.first {
                nulls.clear();
                if old.flag {
                    extract(from, old.at + old.bits, 1, &mut nulls);
                    place(planes, new.at + new.bits, 1, nulls.iter().copied());
                }
            }
            if new.bits == 0 {
                continue;
            }
            // The word under a null is 0.
            let (base, null) = (old.base, |row: usize| nulls.get(row).map_or(0, |null| *null));
            let lift = base.wrapping_sub(new.base);
            let rank = |ranks: &[u32], v: u64| u64::from(ranks.get((base + v) as usize).copied().unwrap_or(0));
            let codes = ranks.0[old.column].as_ref().map(|ranks| &ranks.ranks[..]);
            match (within(from, old.at, old.bits), codes) {
                (Some(old), Some(codes)) if nulls.is_empty() => {
                    place(planes, new.at, new.bits, old.map(|v| rank(codes, v)));
                }
                (Some(old), None) if nulls.is_empty() => {
                    place(planes, new.at, new.bits, old.map(|v| v.wrapping_add(lift)))
                }
                _ => {
                    extract(from, old.at, old.bits, &mut values);
                    let value = |(row, &v): (usize, &u64)| {
                        let value = codes.map_or(v.wrapping_add(lift), |codes| rank(codes, v));
                        value & null(row).wrapping_sub(1)
                    };
                    place(planes, new.at, new.bits, values.iter().enumerate().map(value));
                }
            }
        }
    }

    /// Bytes that every plane's part of a key needs.
    fn plane_bytes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.planes()).map(|plane| (self.bits.saturating_sub(64 * plane as u32)).min(64).div_ceil(8) as usize)
    }

    /// Appends packed keys in as few whole bytes as they need.
    pub fn put_keys(&self, planes: &[Vec<u64>], out: &mut Vec<u8>) {
        for (plane, bytes) in planes.iter().zip(self.plane_bytes()) {
            plane.iter().for_each(|key| out.extend_from_slice(&key.to_le_bytes()[..bytes]));
        }
    }

    /// Reads `rows` packed keys off the front of `bytes`; `None` if they are not whole.
    pub fn take_keys(&self, bytes: &mut &[u8], rows: usize) -> Option<Vec<Vec<u64>>> {
        let mut plane = |size: usize| {
            if size == 0 {
                return Some(vec![0; rows]);
            }
            let bytes = bytes.split_off(..rows.checked_mul(size)?)?;
            let key = |bytes: &[u8]| {
                let mut word = [0; 8];
                word[..size].copy_from_slice(bytes);
                u64::from_le_bytes(word)
            };
            Some(bytes.chunks_exact(size).map(key).collect())
        };
        self.plane_bytes().map(&mut plane).collect()
    }

    /// The keys packed in `planes`; `ranks` say which codes stand behind the ranks of strings.
    pub fn unpack(&self, planes: &[Vec<u64>], ranks: &Ranks) -> Vec<KeyColumn> {
        let rows = planes.first().map_or(0, Vec::len);
        let mut keys: Vec<KeyColumn> =
            self.columns.iter().map(|(class, dict)| KeyColumn::new(*class, dict.clone())).collect();
        let mut nulls = Vec::new();
        for word in &self.words {
            let key = &mut keys[word.column];
            if word.first && word.flag {
                extract(planes, word.at + word.bits, 1, &mut nulls);
                key.valid =
                    Some(nulls.iter().map(|&null| null as u8 ^ 1).collect()).filter(|v: &Vec<u8>| v.contains(&0));
            }
            let codes = ranks.0[word.column].as_ref().map(|ranks| &ranks.codes[..]);
            let code = |codes: &[u32], v: u64| u64::from(codes.get(v as usize).copied().unwrap_or(0));
            let mut values = Vec::with_capacity(rows);
            match (within(planes, word.at, word.bits), codes) {
                (Some(words), Some(codes)) => values.extend(words.map(|v| code(codes, v))),
                (Some(words), None) => values.extend(words.map(|v| v.wrapping_add(word.base))),
                (None, _) => {
                    extract(planes, word.at, word.bits, &mut values);
                    let value = |v: u64| codes.map_or(v.wrapping_add(word.base), |codes| code(codes, v));
                    values.iter_mut().for_each(|v| *v = value(*v));
                }
            }
            if let Some(valid) = &key.valid {
                values.iter_mut().zip(valid).for_each(|(v, &ok)| *v &= u64::from(ok).wrapping_neg());
            }
            if word.high { key.hi = values } else { key.lo = values }
        }
        keys
    }
}

/// For each key column that holds strings, its dictionary in order.
#[derive(Debug)]
pub struct Ranks(Vec<Option<Arc<StringOrder>>>);

impl Ranks {
    fn of(columns: &[(Class, Option<Arc<Dictionary>>)]) -> Ranks {
        let order = |(class, dict): &(Class, Option<Arc<Dictionary>>)| {
            (*class == Class::Str).then(|| dict.as_ref().map(|d| d.order()).unwrap_or_default())
        };
        Ranks(columns.iter().map(order).collect())
    }
}

fn clear(planes: &mut Vec<Vec<u64>>, count: usize, rows: usize) {
    planes.resize_with(count, Vec::new);
    for plane in planes {
        plane.clear();
        plane.resize(rows, 0);
    }
}

/// Ors the values, of `bits` bits, into the keys from bit `at` on.
#[inline]
fn place(planes: &mut [Vec<u64>], at: u32, bits: u32, values: impl Iterator<Item = u64> + Clone) {
    if bits == 0 {
        return;
    }
    let (first, shift) = ((at / 64) as usize, at % 64);
    if shift + bits > 64 {
        let high = values.clone();
        planes[first + 1].iter_mut().zip(high).for_each(|(slot, value)| *slot |= value >> (64 - shift));
    }
    planes[first].iter_mut().zip(values).for_each(|(slot, value)| *slot |= value << shift);
}

/// The `bits` bits from bit `at` on of every key, if they lie in one plane.
fn within(planes: &[Vec<u64>], at: u32, bits: u32) -> Option<impl Iterator<Item = u64> + Clone> {
    let (shift, mask) = (at % 64, mask(bits));
    let plane = planes.get((at / 64) as usize).filter(|_| shift + bits <= 64)?;
    Some(plane.iter().map(move |key| key >> shift & mask))
}

/// The `bits` bits from bit `at` on of every key.
fn extract(planes: &[Vec<u64>], at: u32, bits: u32, out: &mut Vec<u64>) {
    out.clear();
    let (first, shift) = ((at / 64) as usize, at % 64);
    let mask = mask(bits);
    match planes.get(first) {
        Some(low) if shift + bits > 64 => {
            let pairs = low.iter().zip(&planes[first + 1]);
            out.extend(pairs.map(|(low, high)| (low >> shift | high << (64 - shift)) & mask));
        }
        Some(low) => out.extend(low.iter().map(|low| low >> shift & mask)),
        // A word of no bits above the last full plane.
        None => out.resize(planes.first().map_or(0, Vec::len), 0),
    }
}
