//! Keys to dense group numbers.
//!
//! Every key column is order-preserving words ([`KeyColumn`]). The table packs a key into as few bits as its words have
//! shown to need, offset from the smallest word seen: one u64 in the common case, a row of several otherwise. The
//! packing is widened, and the stored keys packed anew, when a word falls outside; spans grow by powers of two, so
//! that this happens a few times a run and not once a chunk.

use hashbrown::HashTable;

use crate::column::{Class, KeyColumn};

/// A table of distinct keys.
#[derive(Debug, Clone)]
pub struct GroupTable {
    columns: Vec<KeyColumn>,
    words: Vec<Word>,
    layout_bits: u32,
    index: Index,
    groups: usize,
    packed: Vec<u64>,
}

/// One 64-bit word of a key and the span it has been seen in.
#[derive(Debug, Clone, Copy)]
struct Word {
    column: usize,
    high: bool,
    /// The smallest word of the span.
    base: u64,
    /// `word - base` is kept in this many bits.
    bits: u32,
    /// Whether any value has been seen.
    seen: bool,
    /// Whether a bit before this word says that the column's key is not null.
    flag: bool,
}

impl Word {
    /// The largest `word - base` that fits.
    fn span(&self) -> u64 {
        if self.bits == 0 { 0 } else { u64::MAX >> (64 - self.bits) }
    }
}

#[derive(Debug, Clone)]
enum Index {
    /// Packed keys of few bits index this: group + 1, or 0.
    Direct(Vec<u32>),
    /// (packed key, group).
    Hash(HashTable<(u64, u32)>),
    /// Packed keys of several u64, one after the other in `keys`; the table holds groups.
    Wide { table: HashTable<u32>, keys: Vec<u64> },
}

/// Packed keys up to this many bits index an array (256 KiB of it) instead of a hash table.
const DIRECT_BITS: u32 = 16;

/// Multiply and fold: good enough to spread packed keys over a hash table, and one multiplication.
#[inline]
fn hash(key: u64) -> u64 {
    let wide = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
    (wide >> 64) as u64 ^ wide as u64
}

fn hash_row(row: &[u64]) -> u64 {
    row.iter().fold(row.len() as u64, |h, &w| hash(h.rotate_left(29) ^ w))
}

fn bits_for(span: u64) -> u32 {
    64 - span.leading_zeros()
}

impl GroupTable {
    /// An empty table for keys of the shape of `columns` (their groups are ignored).
    pub fn new(columns: &[KeyColumn]) -> Self {
        let mut words = Vec::new();
        for (column, key) in columns.iter().enumerate() {
            let word = Word { column, high: false, base: 0, bits: 0, seen: false, flag: false };
            if key.class == Class::Wide {
                words.push(Word { high: true, ..word });
            }
            words.push(word);
        }
        let columns = columns.iter().map(|k| KeyColumn::new(k.class, k.dict.clone())).collect();
        GroupTable { columns, words, layout_bits: 0, index: Index::Direct(vec![0]), groups: 0, packed: Vec::new() }
    }

    /// Distinct keys so far.
    pub fn len(&self) -> usize {
        self.groups
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups == 0
    }

    /// The distinct keys, in the order of their group numbers.
    pub fn keys(&self) -> &[KeyColumn] {
        &self.columns
    }

    /// The distinct keys, taken out.
    pub fn into_keys(self) -> Vec<KeyColumn> {
        self.columns
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let index = match &self.index {
            Index::Direct(slots) => slots.capacity() * 4,
            Index::Hash(table) => table.allocation_size(),
            Index::Wide { table, keys } => table.allocation_size() + keys.capacity() * 8,
        };
        index + self.packed.capacity() * 8 + self.columns.iter().map(KeyColumn::heap_bytes).sum::<usize>()
    }

    /// The group number of each of the `rows` keys; new keys get new numbers, in the order they are met.
    pub fn intern(&mut self, rows: usize, keys: &[KeyColumn], groups: &mut Vec<u32>) {
        groups.clear();
        if rows == 0 {
            return;
        }
        groups.reserve(rows);
        self.widen(keys);
        let mut packed = std::mem::take(&mut self.packed);
        let stride = self.layout_bits.div_ceil(64).max(1) as usize;
        pack(&self.words, keys, rows, stride, &mut packed);
        let fresh_from = self.groups;
        let mut fresh_rows: Vec<u32> = Vec::new();
        let next = &mut self.groups;
        match &mut self.index {
            Index::Direct(slots) => {
                for (row, &key) in packed.iter().enumerate() {
                    let slot = &mut slots[key as usize];
                    if *slot == 0 {
                        *next += 1;
                        *slot = *next as u32;
                        fresh_rows.push(row as u32);
                    }
                    groups.push(*slot - 1);
                }
            }
            Index::Hash(table) => {
                for (row, &key) in packed.iter().enumerate() {
                    let entry = table.entry(hash(key), |e| e.0 == key, |e| hash(e.0)).or_insert_with(|| {
                        *next += 1;
                        fresh_rows.push(row as u32);
                        (key, *next as u32 - 1)
                    });
                    groups.push(entry.get().1);
                }
            }
            Index::Wide { table, keys } => {
                for (row, key) in packed.chunks_exact(stride).enumerate() {
                    let hash = hash_row(key);
                    let at = |group: u32| group as usize * stride..(group as usize + 1) * stride;
                    let group = match table.find(hash, |&group| &keys[at(group)] == key) {
                        Some(&group) => group,
                        None => {
                            let group = *next as u32;
                            *next += 1;
                            keys.extend_from_slice(key);
                            table.insert_unique(hash, group, |&group| hash_row(&keys[at(group)]));
                            fresh_rows.push(row as u32);
                            group
                        }
                    };
                    groups.push(group);
                }
            }
        }
        self.packed = packed;
        for (own, key) in self.columns.iter_mut().zip(keys) {
            own.lo.extend(fresh_rows.iter().map(|&row| key.lo[row as usize]));
            if own.class == Class::Wide {
                own.hi.extend(fresh_rows.iter().map(|&row| key.hi[row as usize]));
            }
            if own.dict.is_none() {
                own.dict.clone_from(&key.dict);
            }
            if let Some(valid) = &key.valid {
                let own_valid = own.valid.get_or_insert_with(|| vec![1; fresh_from]);
                own_valid.extend(fresh_rows.iter().map(|&row| valid[row as usize]));
            } else if let Some(own_valid) = &mut own.valid {
                own_valid.resize(self.groups, 1);
            }
        }
    }

    /// Makes the layout hold every word of `keys`, packing the stored keys anew if it changed.
    fn widen(&mut self, keys: &[KeyColumn]) {
        let mut changed = false;
        for word in &mut self.words {
            let key = &keys[word.column];
            let values = if word.high { &key.hi } else { &key.lo };
            let (min, max) = match &key.valid {
                None => values.iter().fold((u64::MAX, 0), |(lo, hi), &v| (lo.min(v), hi.max(v))),
                Some(valid) => values
                    .iter()
                    .zip(valid)
                    .fold((u64::MAX, 0), |(lo, hi), (&v, &ok)| if ok == 0 { (lo, hi) } else { (lo.min(v), hi.max(v)) }),
            };
            // The flag stands before the first word of its column.
            let first = word.high || key.class != Class::Wide;
            if first && !word.flag && key.valid.as_ref().is_some_and(|v| v.contains(&0)) {
                word.flag = true;
                changed = true;
            }
            if min > max {
                continue; // only nulls
            }
            let top = word.base.saturating_add(word.span());
            if !word.seen {
                (word.seen, word.base, word.bits) = (true, min, bits_for(max - min));
                changed = true;
            } else if min < word.base || max > top {
                // Half as much again below, and whatever the power of two leaves above: room for the next chunk.
                let (low, high) = (min.min(word.base), max.max(top));
                word.base = if low < word.base { low.saturating_sub((high - low) / 2) } else { low };
                word.bits = bits_for(high - word.base);
                changed = true;
            }
        }
        if changed {
            self.layout_bits = self.words.iter().map(|w| w.bits + u32::from(w.flag)).sum();
            self.rebuild();
        }
    }

    fn rebuild(&mut self) {
        let stride = self.layout_bits.div_ceil(64).max(1) as usize;
        let mut packed = std::mem::take(&mut self.packed);
        pack(&self.words, &self.columns, self.groups, stride, &mut packed);
        self.index = if self.layout_bits <= DIRECT_BITS {
            let mut slots = vec![0; 1 << self.layout_bits];
            for (group, &key) in packed.iter().enumerate() {
                slots[key as usize] = group as u32 + 1;
            }
            Index::Direct(slots)
        } else if stride == 1 {
            let mut table = HashTable::with_capacity(self.groups * 2);
            for (group, &key) in packed.iter().enumerate() {
                table.insert_unique(hash(key), (key, group as u32), |e| hash(e.0));
            }
            Index::Hash(table)
        } else {
            let keys = packed.clone();
            let mut table = HashTable::with_capacity(self.groups * 2);
            let at = |group: u32| group as usize * stride..(group as usize + 1) * stride;
            for group in 0..self.groups as u32 {
                table.insert_unique(hash_row(&keys[at(group)]), group, |&g| hash_row(&keys[at(g)]));
            }
            Index::Wide { table, keys }
        };
        self.packed = packed;
    }
}

/// Packs the first `rows` of `keys` into `stride` u64 each, most significant word first.
fn pack(words: &[Word], keys: &[KeyColumn], rows: usize, stride: usize, out: &mut Vec<u64>) {
    out.clear();
    out.resize(rows * stride, 0);
    let mut at = 0; // bits placed so far, from the least significant end of the first u64 of a row
    for word in words {
        let key = &keys[word.column];
        let valid = key.valid.as_deref();
        if word.flag {
            match valid {
                Some(valid) => place(out, stride, &mut at, 1, |row| u64::from(valid[row])),
                None => place(out, stride, &mut at, 1, |_| 1),
            }
        }
        let values = if word.high { &key.hi } else { &key.lo };
        let base = word.base;
        match valid {
            _ if word.bits == 0 => {}
            Some(valid) => place(out, stride, &mut at, word.bits, |row| {
                // All bits of a valid word, none of a null one.
                values[row].wrapping_sub(base) & u64::from(valid[row]).wrapping_neg()
            }),
            None => place(out, stride, &mut at, word.bits, |row| values[row] - base),
        }
    }
}

/// Ors `bits` bits of `value(row)` into every row from bit `at` on.
#[inline]
fn place(out: &mut [u64], stride: usize, at: &mut u32, bits: u32, value: impl Fn(usize) -> u64) {
    let (first, shift) = ((*at / 64) as usize, *at % 64);
    if stride == 1 {
        for (row, slot) in out.iter_mut().enumerate() {
            *slot |= value(row) << shift;
        }
    } else {
        for (row, slots) in out.chunks_exact_mut(stride).enumerate() {
            let value = value(row);
            slots[first] |= value << shift;
            if shift + bits > 64 {
                slots[first + 1] |= value >> (64 - shift);
            }
        }
    }
    *at += bits;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::key::int_word;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn ints(values: &[Option<i64>]) -> KeyColumn {
        let mut key = KeyColumn::new(Class::Int, None);
        key.lo = values.iter().map(|v| v.map_or(0, int_word)).collect();
        key.valid = values.contains(&None).then(|| values.iter().map(|v| u8::from(v.is_some())).collect());
        key
    }

    fn wides(values: &[u128]) -> KeyColumn {
        let mut key = KeyColumn::new(Class::Wide, None);
        key.lo = values.iter().map(|&v| v as u64).collect();
        key.hi = values.iter().map(|&v| (v >> 64) as u64).collect();
        key
    }

    #[test]
    fn no_key_columns_make_one_group() {
        let mut table = GroupTable::new(&[]);
        let mut groups = Vec::new();
        table.intern(3, &[], &mut groups);
        assert_eq!((groups.as_slice(), table.len()), ([0, 0, 0].as_slice(), 1));
    }

    #[test]
    fn nulls_are_a_group_and_come_late() {
        let mut table = GroupTable::new(&[ints(&[])]);
        let mut groups = Vec::new();
        table.intern(2, &[ints(&[Some(5), Some(6)])], &mut groups);
        table.intern(3, &[ints(&[None, Some(i64::MIN), Some(5)])], &mut groups);
        assert_eq!(groups, [2, 3, 0]);
        table.intern(3, &[ints(&[Some(i64::MAX), None, Some(i64::MIN)])], &mut groups);
        assert_eq!(groups, [4, 2, 3]);
        assert_eq!(table.keys()[0].valid.as_deref(), Some([1, 1, 0, 1, 1].as_slice()));
        assert_eq!(table.keys()[0].lo[0], int_word(5));
    }

    proptest! {
        #[test]
        fn groups_are_those_of_a_hash_map(
            batches in prop::collection::vec(prop::collection::vec((
                prop_oneof![3 => (0..5i64).prop_map(Some), 1 => any::<i64>().prop_map(Some), 1 => Just(None)],
                prop_oneof![(0..3u128), any::<u128>()],
                0..4i64,
            ), 0..40), 0..6),
        ) {
            let mut table = GroupTable::new(&[ints(&[]), wides(&[]), ints(&[])]);
            let mut plain: HashMap<(Option<i64>, u128, i64), u32> = HashMap::new();
            let mut groups = Vec::new();
            for batch in batches {
                let a: Vec<_> = batch.iter().map(|r| r.0).collect();
                let b: Vec<_> = batch.iter().map(|r| r.1).collect();
                let c: Vec<_> = batch.iter().map(|r| Some(r.2)).collect();
                table.intern(batch.len(), &[ints(&a), wides(&b), ints(&c)], &mut groups);
                let expected: Vec<u32> = batch.iter().map(|r| {
                    let next = plain.len() as u32;
                    *plain.entry(*r).or_insert(next)
                }).collect();
                prop_assert_eq!(&groups, &expected);
            }
            prop_assert_eq!(table.len(), plain.len());
            for (key, group) in plain {
                let g = group as usize;
                let keys = table.keys();
                prop_assert_eq!(keys[0].is_valid(g), key.0.is_some());
                prop_assert_eq!(keys[0].lo[g], key.0.map_or(0, int_word));
                prop_assert_eq!(u128::from(keys[1].hi[g]) << 64 | u128::from(keys[1].lo[g]), key.1);
            }
        }
    }
}
