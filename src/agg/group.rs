//! Keys to dense group numbers.
//!
//! Every key column is order-preserving words ([`KeyColumn`]). The table packs a key into as few bits as its words have
//! shown to need ([`Layout`]): one u64 in the common case, several otherwise. The stored keys are packed anew when a word
//! falls outside.

use hashbrown::HashTable;

use super::{KeyRows, Layout};
use crate::column::KeyColumn;
use crate::column::key::int_word;

/// A table of distinct keys.
#[derive(Debug, Clone)]
pub struct GroupTable {
    columns: Vec<KeyColumn>,
    layout: Layout,
    index: Index,
    groups: usize,
    packed: Vec<Vec<u64>>,
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
/// Where there are many keys, so do packed keys up to this many bits, if at least one slot in so many is likely to be used.
const DIRECT_BITS_MOST: u32 = 22;
const DIRECT_SPARSITY: usize = 16;
/// And up to this many if at least every second slot is: a slot of an array takes a fifth of what an entry of a hash table does.
const DIRECT_BITS_DENSE: u32 = 28;

/// Multiply and fold: good enough to spread packed keys over a hash table, and one multiplication.
#[inline]
fn hash(key: u64) -> u64 {
    let wide = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
    (wide >> 64) as u64 ^ wide as u64
}

fn hash_row(row: &[u64]) -> u64 {
    row.iter().fold(row.len() as u64, |h, &w| hash(h.rotate_left(29) ^ w))
}

/// Whether packed keys of `bits` bits index an array, for a table that has met `keys` keys.
fn is_direct(bits: u32, keys: usize) -> bool {
    bits <= DIRECT_BITS
        || bits <= DIRECT_BITS_MOST && 1 << bits <= keys.saturating_mul(DIRECT_SPARSITY)
        || bits <= DIRECT_BITS_DENSE && 1 << bits <= keys.saturating_mul(2)
}

impl GroupTable {
    /// An empty table for keys of the shape of `columns` (their groups are ignored).
    pub fn new(columns: &[KeyColumn]) -> Self {
        let layout = Layout::new(columns);
        let columns = columns.iter().map(|k| KeyColumn::new(k.class, k.dict.clone())).collect();
        GroupTable { columns, layout, index: Index::Direct(vec![0]), groups: 0, packed: Vec::new() }
    }

    /// The table of `groups` distinct keys, which get their numbers in the order they have.
    pub fn of(groups: usize, keys: Vec<KeyColumn>) -> Self {
        GroupTable::for_all(groups, keys, &[])
    }

    /// The same, with room for keys that are going to be interned, so many of each.
    pub fn for_all(groups: usize, keys: Vec<KeyColumn>, coming: &[(usize, &[KeyColumn])]) -> Self {
        let mut table = GroupTable::new(&keys);
        table.layout.cover(&KeyRows::of(&keys));
        // All at once: each that made the layout wider would have the table built anew.
        coming.iter().filter(|(rows, _)| *rows > 0).for_each(|(_, keys)| _ = table.layout.cover(&KeyRows::of(keys)));
        (table.columns, table.groups) = (keys, groups);
        table.rebuild(groups + coming.iter().map(|(rows, _)| rows).sum::<usize>());
        table
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
        let packed: usize = self.packed.iter().map(|plane| plane.capacity() * 8).sum();
        index + packed + self.columns.iter().map(KeyColumn::heap_bytes).sum::<usize>()
    }

    /// The group number of each of the `rows` keys; new keys get new numbers, in the order they are met.
    pub fn intern(&mut self, rows: usize, keys: &[KeyRows<'_>], groups: &mut Vec<u32>) {
        groups.clear();
        if rows == 0 {
            return;
        }
        groups.reserve(rows);
        let is_hash = matches!(self.index, Index::Hash(_));
        if self.layout.cover(keys) || is_hash && is_direct(self.layout.bits(), self.groups) {
            self.rebuild(rows);
        }
        let fresh_from = self.groups;
        let mut fresh_rows: Vec<u32> = Vec::new();
        let next = &mut self.groups;
        let mut packed = std::mem::take(&mut self.packed);
        let base = match (&self.index, keys) {
            (Index::Direct(_), [KeyRows::Int32(_) | KeyRows::Int(_) | KeyRows::Str(..)]) => self.layout.single(),
            _ => None,
        };
        if base.is_none() {
            self.layout.pack(keys, rows, &mut packed);
        }
        match &mut self.index {
            Index::Direct(slots) => {
                let mut group_of = |(row, key): (usize, u64)| {
                    let slot = &mut slots[key as usize];
                    if *slot == 0 {
                        *next += 1;
                        *slot = *next as u32;
                        fresh_rows.push(row as u32);
                    }
                    *slot - 1
                };
                // One column of integers or codes is its own packed key, less a base.
                match (base, keys) {
                    (Some(base), [KeyRows::Int32(v)]) => {
                        groups.extend(v.iter().map(|&v| int_word(v.into()) - base).enumerate().map(group_of));
                    }
                    (Some(base), [KeyRows::Int(v)]) => {
                        groups.extend(v.iter().map(|&v| int_word(v) - base).enumerate().map(group_of));
                    }
                    (Some(base), [KeyRows::Str(v, _)]) => {
                        groups.extend(v.iter().map(|&v| u64::from(v) - base).enumerate().map(group_of));
                    }
                    _ => groups.extend(packed[0].iter().copied().enumerate().map(&mut group_of)),
                }
            }
            Index::Hash(table) => {
                for (row, &key) in packed[0].iter().enumerate() {
                    let entry = table.entry(hash(key), |e| e.0 == key, |e| hash(e.0)).or_insert_with(|| {
                        *next += 1;
                        fresh_rows.push(row as u32);
                        (key, *next as u32 - 1)
                    });
                    groups.push(entry.get().1);
                }
            }
            Index::Wide { table, keys } => {
                let stride = packed.len();
                let at = |group: u32| group as usize * stride..(group as usize + 1) * stride;
                let mut key = vec![0; stride];
                for row in 0..rows {
                    key.iter_mut().zip(&packed).for_each(|(word, plane)| *word = plane[row]);
                    let hash = hash_row(&key);
                    let group = match table.find(hash, |&group| keys[at(group)] == *key) {
                        Some(&group) => group,
                        None => {
                            let group = *next as u32;
                            *next += 1;
                            keys.extend_from_slice(&key);
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
            key.append_to(own, fresh_from, &fresh_rows);
        }
    }

    /// Makes the index anew for the layout as it is; `coming` keys are about to be interned.
    fn rebuild(&mut self, coming: usize) {
        let mut packed = std::mem::take(&mut self.packed);
        self.layout.pack(&KeyRows::of(&self.columns), self.groups, &mut packed);
        let bits = self.layout.bits();
        let likely = self.groups.max(coming);
        // Twice as many as there are, for more will come; a large table takes long to fill, though, and much memory, and of what comes
        // some is there.
        let room = if likely < LARGE { self.groups * 2 } else { (self.groups + likely) / 2 * 9 / 8 };
        self.index = if is_direct(bits, likely) {
            let mut slots = vec![0; 1 << bits];
            for (group, &key) in packed[0].iter().enumerate() {
                slots[key as usize] = group as u32 + 1;
            }
            Index::Direct(slots)
        } else if packed.len() == 1 {
            let mut table = HashTable::with_capacity(room);
            fill(&mut table, &packed[0]);
            Index::Hash(table)
        } else {
            let stride = packed.len();
            let mut keys = Vec::with_capacity(self.groups * stride);
            (0..self.groups).for_each(|group| keys.extend(packed.iter().map(|plane| plane[group])));
            let mut table = HashTable::with_capacity(room);
            let at = |group: u32| group as usize * stride..(group as usize + 1) * stride;
            for group in 0..self.groups as u32 {
                table.insert_unique(hash_row(&keys[at(group)]), group, |&g| hash_row(&keys[at(g)]));
            }
            Index::Wide { table, keys }
        };
        self.packed = packed;
    }
}

/// Keys from which on a table does not fit into a cache.
const LARGE: usize = 1 << 20;
/// Parts of a table that are filled one after the other.
const PARTS: usize = 256;

/// Enters distinct packed keys, numbered in their order, into an empty table. A large one is filled part by part, from so many keys at
/// a time: each insertion would wait for memory otherwise, and for the address of its page.
fn fill(table: &mut HashTable<(u64, u32)>, keys: &[u64]) {
    if keys.len() < LARGE {
        for (group, &key) in keys.iter().enumerate() {
            table.insert_unique(hash(key), (key, group as u32), |e| hash(e.0));
        }
        return;
    }
    // The low bits of a hash say where an entry stands: parts are what the highest of them name. Were that not so, it would be slow.
    let shift = (table.capacity() * 8 / 7).next_power_of_two().trailing_zeros() - PARTS.trailing_zeros();
    let part = |key: u64| (hash(key) >> shift) as usize % PARTS;
    let mut entries = vec![(0, 0); LARGE];
    for (keys, first) in keys.chunks(LARGE).zip((0..).step_by(LARGE)) {
        let mut ends = [0; PARTS];
        keys.iter().for_each(|&key| ends[part(key)] += 1);
        let mut end = 0;
        for count in &mut ends {
            (*count, end) = (end, end + *count);
        }
        for (&key, group) in keys.iter().zip(first..) {
            let at = &mut ends[part(key)];
            entries[*at] = (key, group);
            *at += 1;
        }
        for &(key, group) in &entries[..keys.len()] {
            table.insert_unique(hash(key), (key, group), |e| hash(e.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Class;
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
        table.intern(2, &KeyRows::of(&[ints(&[Some(5), Some(6)])]), &mut groups);
        table.intern(3, &KeyRows::of(&[ints(&[None, Some(i64::MIN), Some(5)])]), &mut groups);
        assert_eq!(groups, [2, 3, 0]);
        table.intern(3, &KeyRows::of(&[ints(&[Some(i64::MAX), None, Some(i64::MIN)])]), &mut groups);
        assert_eq!(groups, [4, 2, 3]);
        assert_eq!(table.keys()[0].valid.as_deref(), Some([1, 1, 0, 1, 1].as_slice()));
        assert_eq!(table.keys()[0].lo[0], int_word(5));
    }

    #[test]
    fn a_large_table_finds_what_it_was_made_of_and_what_came_after() {
        // Far apart, so that they do not index an array; and neighbours, which do.
        for step in [1 << 20, 1] {
            let groups = LARGE + 1000;
            let key = |from: usize, to: usize| ints(&(from..to).map(|i| Some(i as i64 * step)).collect::<Vec<_>>());
            let (old, new) = (key(0, groups), key(groups - 5, groups + 5));
            let mut table = GroupTable::for_all(groups, vec![old.clone()], &[(10, std::slice::from_ref(&new))]);
            assert_eq!(matches!(table.index, Index::Direct(_)), step == 1);
            let mut found = Vec::new();
            table.intern(groups, &KeyRows::of(&[old]), &mut found);
            assert!(found.iter().zip(0..).all(|(group, at)| *group == at));
            table.intern(10, &KeyRows::of(&[new]), &mut found);
            assert_eq!(found, (groups as u32 - 5..groups as u32 + 5).collect::<Vec<_>>());
            assert_eq!(table.len(), groups + 5);
        }
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
                table.intern(batch.len(), &KeyRows::of(&[ints(&a), wides(&b), ints(&c)]), &mut groups);
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
