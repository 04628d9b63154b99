//! The multiset of a group's values: what `median`, `quantile`, `count_distinct`, `top_k` and `bottom_k` are made from.
//!
//! A bag is a list of (group, value, times). New entries are appended; when the unsorted part has outgrown the sorted
//! one, all is sorted by (group, value) and equal entries become one. The GPU builds the same entries by sorting
//! (key, value) words, so merging does not care who made them.

use std::sync::Arc;

use super::{Arg, Slice};
use crate::column::key::{float_word, int_word, wide_word, word_float, word_int, word_wide};
use crate::column::{Class, Dictionary, Value};

/// What a bag may forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// Nothing.
    All,
    /// How often a value came is forgotten: `count_distinct`.
    Distinct,
    /// All but the `k` largest values (equal ones counted).
    Largest(u32),
    /// All but the `k` smallest.
    Smallest(u32),
}

/// The values of every group.
#[derive(Debug, Clone)]
pub struct Bag {
    class: Class,
    keep: Keep,
    groups: usize,
    dict: Option<Arc<Dictionary>>,
    entries: Entries,
}

/// Words of 64 bits, or of 128 for class Wide.
#[derive(Debug, Clone)]
enum Entries {
    Narrow(List<u64>),
    Wide(List<u128>),
}

#[derive(Debug, Clone)]
struct List<W> {
    items: Vec<Entry<W>>,
    /// `items[..sorted]` are sorted by (group, value), without equals.
    sorted: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry<W> {
    group: u32,
    times: u32,
    word: W,
}

/// Below this many unsorted entries no tidying is worth its while.
const TIDY_AT: usize = 1 << 20;

impl<W: Copy + Ord> List<W> {
    fn new() -> Self {
        List { items: Vec::new(), sorted: 0 }
    }

    fn push(&mut self, group: u32, word: W, times: u32) {
        self.items.push(Entry { group, times, word });
    }

    fn tidy_if_due(&mut self, groups: usize, keep: Keep) {
        let fresh = self.items.len() - self.sorted;
        if fresh > TIDY_AT.max(self.sorted) {
            self.tidy(groups, keep);
        }
    }

    fn tidy(&mut self, groups: usize, keep: Keep) {
        if self.sorted == self.items.len() {
            return;
        }
        // Counting sort by group, then every group's slice by value: cache-sized sorts instead of one large one.
        let mut starts = vec![0usize; groups + 1];
        for entry in &self.items {
            starts[entry.group as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut items = self.items.clone();
        for entry in &self.items {
            let slot = &mut next[entry.group as usize];
            items[*slot] = *entry;
            *slot += 1;
        }
        let mut kept = 0;
        for group in 0..groups {
            let range = starts[group]..starts[group + 1];
            items[range.clone()].sort_unstable_by_key(|e| e.word);
            kept = Self::fold(&mut items, range, kept, keep);
        }
        items.truncate(kept);
        self.items = items;
        self.sorted = kept;
    }

    /// Writes the sorted entries of `range` to `items[kept..]`, equal ones as one, forgetting what may be; the new end.
    fn fold(items: &mut [Entry<W>], range: std::ops::Range<usize>, mut kept: usize, keep: Keep) -> usize {
        let first = kept;
        let mut budget = match keep {
            Keep::Smallest(k) => u64::from(k),
            _ => u64::MAX,
        };
        for i in range {
            let mut entry = items[i];
            if budget == 0 {
                break;
            }
            entry.times = u64::from(entry.times).min(budget) as u32;
            budget = budget.saturating_sub(u64::from(entry.times));
            if keep == Keep::Distinct {
                entry.times = 1;
            }
            if kept > first && items[kept - 1].word == entry.word {
                if keep == Keep::Distinct {
                    continue;
                }
                // A count past u32 stays in two entries: readers add up.
                if let Some(times) = items[kept - 1].times.checked_add(entry.times) {
                    items[kept - 1].times = times;
                    continue;
                }
            }
            items[kept] = entry;
            kept += 1;
        }
        if let Keep::Largest(k) = keep {
            let mut left = u64::from(k);
            let mut from = kept;
            while from > first && left > 0 {
                from -= 1;
                items[from].times = u64::from(items[from].times).min(left) as u32;
                left -= u64::from(items[from].times);
            }
            items.copy_within(from..kept, first);
            kept = first + (kept - from);
        }
        kept
    }
}

impl Bag {
    /// No groups.
    pub fn new(class: Class, keep: Keep) -> Self {
        let entries = match class {
            Class::Wide => Entries::Wide(List::new()),
            _ => Entries::Narrow(List::new()),
        };
        // Codes are not in string order: nothing of a string bag may be forgotten before its ranks are known.
        let keep = match (class, keep) {
            (Class::Str, Keep::Largest(_) | Keep::Smallest(_)) => Keep::All,
            _ => keep,
        };
        Bag { class, keep, groups: 0, dict: None, entries }
    }

    /// Makes room for `groups` groups.
    pub fn resize(&mut self, groups: usize) {
        self.groups = groups;
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        match &self.entries {
            Entries::Narrow(list) => list.items.capacity() * size_of::<Entry<u64>>(),
            Entries::Wide(list) => list.items.capacity() * size_of::<Entry<u128>>(),
        }
    }

    /// Takes in `arg`; row `i` belongs to group `groups[i]`.
    pub fn update(&mut self, groups: &[u32], arg: Arg<'_>) {
        if let Slice::Str(_, dict) = arg.values {
            self.dict.get_or_insert_with(|| Arc::clone(dict));
        }
        let rows = groups.iter().enumerate().filter(|(i, _)| arg.is_valid(*i));
        match (&mut self.entries, arg.values) {
            (Entries::Narrow(list), Slice::Bool(v)) => rows.for_each(|(i, &g)| list.push(g, v[i].into(), 1)),
            (Entries::Narrow(list), Slice::Int(v)) => rows.for_each(|(i, &g)| list.push(g, int_word(v[i]), 1)),
            (Entries::Narrow(list), Slice::Float(v)) => rows.for_each(|(i, &g)| list.push(g, float_word(v[i]), 1)),
            (Entries::Narrow(list), Slice::Str(v, _)) => rows.for_each(|(i, &g)| list.push(g, v[i].into(), 1)),
            (Entries::Wide(list), Slice::Wide(v)) => rows.for_each(|(i, &g)| list.push(g, wide_word(v[i]), 1)),
            _ => debug_assert!(false, "the argument's class is the bag's"),
        }
        self.tidy_if_due();
    }

    /// Takes in entries made elsewhere: value words (of [`crate::column::key`], `hi` for class Wide) and how often each came.
    pub fn import(&mut self, dict: Option<&Arc<Dictionary>>, entries: impl Iterator<Item = (u32, u64, u64, u32)>) {
        if let Some(dict) = dict {
            self.dict.get_or_insert_with(|| Arc::clone(dict));
        }
        match &mut self.entries {
            Entries::Narrow(list) => entries.for_each(|(group, _, lo, times)| list.push(group, lo, times)),
            Entries::Wide(list) => entries.for_each(|(group, hi, lo, times)| {
                list.push(group, u128::from(hi) << 64 | u128::from(lo), times);
            }),
        }
        self.tidy_if_due();
    }

    /// Merges `other`, whose group `i` is group `map[i]` here.
    pub fn merge(&mut self, other: &Bag, map: &[u32]) {
        if self.dict.is_none() {
            self.dict.clone_from(&other.dict);
        }
        match (&mut self.entries, &other.entries) {
            (Entries::Narrow(list), Entries::Narrow(from)) => {
                list.items.extend(from.items.iter().map(|e| Entry { group: map[e.group as usize], ..*e }));
            }
            (Entries::Wide(list), Entries::Wide(from)) => {
                list.items.extend(from.items.iter().map(|e| Entry { group: map[e.group as usize], ..*e }));
            }
            _ => debug_assert!(false, "bags of one class are merged"),
        }
        self.tidy_if_due();
    }

    fn tidy_if_due(&mut self) {
        match &mut self.entries {
            Entries::Narrow(list) => list.tidy_if_due(self.groups, self.keep),
            Entries::Wide(list) => list.tidy_if_due(self.groups, self.keep),
        }
    }

    /// Sorts all entries. Call it before reading.
    pub fn tidy(&mut self) {
        if let (Class::Str, Entries::Narrow(list), Some(dict)) = (self.class, &mut self.entries, &self.dict) {
            // For reading, strings stand in their own order: the words become ranks for the sort, then codes again.
            let ranks = dict.ranks();
            let mut codes = vec![0u32; ranks.len()];
            for (code, &rank) in ranks.iter().enumerate() {
                codes[rank as usize] = code as u32;
            }
            list.items.iter_mut().for_each(|e| e.word = ranks[e.word as usize].into());
            list.sorted = 0;
            list.tidy(self.groups, self.keep);
            list.items.iter_mut().for_each(|e| e.word = codes[e.word as usize].into());
            return;
        }
        match &mut self.entries {
            Entries::Narrow(list) => list.tidy(self.groups, self.keep),
            Entries::Wide(list) => list.tidy(self.groups, self.keep),
        }
    }

    /// Calls `each` once for every group in order with its values, ascending, and how often each came (a value may come
    /// in two runs). [`Bag::tidy`] must have been called since the last change.
    pub fn for_each_group(&self, mut each: impl FnMut(usize, &mut dyn Iterator<Item = (Value, u64)>)) {
        let strings = self.dict.as_ref().map(|d| d.read());
        let mut at = 0;
        for group in 0..self.groups {
            let in_group = |g: u32| g as usize == group;
            match &self.entries {
                Entries::Narrow(list) => {
                    let run = list.items[at..].iter().take_while(|e| in_group(e.group)).count();
                    let mut values = list.items[at..at + run].iter().map(|e| {
                        let value = match self.class {
                            Class::Bool => Value::Bool(e.word != 0),
                            Class::Float => Value::Float(word_float(e.word)),
                            Class::Str => {
                                strings.as_ref().map_or(Value::Null, |s| Value::Str(s.get(e.word as u32).into()))
                            }
                            Class::Int | Class::Wide => Value::Int(word_int(e.word)),
                        };
                        (value, u64::from(e.times))
                    });
                    each(group, &mut values);
                    at += run;
                }
                Entries::Wide(list) => {
                    let run = list.items[at..].iter().take_while(|e| in_group(e.group)).count();
                    let mut values =
                        list.items[at..at + run].iter().map(|e| (Value::Wide(word_wide(e.word)), u64::from(e.times)));
                    each(group, &mut values);
                    at += run;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups_of(bag: &Bag) -> Vec<Vec<(Value, u64)>> {
        let mut out = Vec::new();
        bag.for_each_group(|_, values| out.push(values.collect()));
        out
    }

    fn ints(keep: Keep, rows: &[(u32, i64)], groups: usize) -> Bag {
        let mut bag = Bag::new(Class::Int, keep);
        bag.resize(groups);
        let values: Vec<i64> = rows.iter().map(|r| r.1).collect();
        let ids: Vec<u32> = rows.iter().map(|r| r.0).collect();
        bag.update(&ids, Arg { values: Slice::Int(&values), valid: None });
        bag
    }

    const ROWS: [(u32, i64); 7] = [(1, 5), (0, -2), (1, 5), (0, 7), (0, 7), (1, 4), (0, 7)];

    #[test]
    fn values_come_sorted_with_their_times() {
        let mut bag = ints(Keep::All, &ROWS, 3);
        bag.tidy();
        let expected =
            vec![vec![(Value::Int(-2), 1), (Value::Int(7), 3)], vec![(Value::Int(4), 1), (Value::Int(5), 2)], vec![]];
        assert_eq!(groups_of(&bag), expected);
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let mut bag = ints(Keep::Largest(2), &ROWS, 2);
        bag.tidy();
        assert_eq!(groups_of(&bag), vec![vec![(Value::Int(7), 2)], vec![(Value::Int(5), 2)]]);
        let mut bag = ints(Keep::Smallest(2), &ROWS, 2);
        bag.tidy();
        let expected =
            vec![vec![(Value::Int(-2), 1), (Value::Int(7), 1)], vec![(Value::Int(4), 1), (Value::Int(5), 1)]];
        assert_eq!(groups_of(&bag), expected);
        let mut bag = ints(Keep::Distinct, &ROWS, 2);
        bag.tidy();
        assert_eq!(groups_of(&bag)[0], vec![(Value::Int(-2), 1), (Value::Int(7), 1)]);
    }

    #[test]
    fn merging_equals_one_bag_whatever_was_tidied_before() {
        for keep in [Keep::All, Keep::Distinct, Keep::Largest(3), Keep::Smallest(2)] {
            let mut whole = ints(keep, &ROWS, 2);
            whole.tidy();
            for cut in 0..=ROWS.len() {
                for tidied in [false, true] {
                    let mut a = ints(keep, &ROWS[..cut], 2);
                    let swapped: Vec<_> = ROWS[cut..].iter().map(|&(g, v)| (1 - g, v)).collect();
                    let mut b = ints(keep, &swapped, 2);
                    if tidied {
                        a.tidy();
                        b.tidy();
                    }
                    a.merge(&b, &[1, 0]);
                    a.tidy();
                    assert_eq!(groups_of(&a), groups_of(&whole));
                }
            }
        }
    }

    #[test]
    fn strings_come_in_byte_order_and_zeros_are_one() {
        let dict = Dictionary::new();
        let codes = dict.intern_all(["pear", "apple", "é", "pear"]).unwrap();
        let mut bag = Bag::new(Class::Str, Keep::Smallest(1));
        bag.resize(1);
        bag.update(&[0; 4], Arg { values: Slice::Str(&codes, &dict), valid: None });
        bag.tidy();
        let texts: Vec<_> = groups_of(&bag)[0].iter().map(|(v, n)| (v.text(&crate::column::Type::Str), *n)).collect();
        assert_eq!(texts, [("apple".into(), 1), ("pear".into(), 2), ("é".into(), 1)]);
        let mut bag = Bag::new(Class::Float, Keep::All);
        bag.resize(1);
        bag.update(&[0; 2], Arg { values: Slice::Float(&[0.0, -0.0]), valid: None });
        bag.tidy();
        assert_eq!(groups_of(&bag), vec![vec![(Value::Float(0.0), 2)]]);
    }
}
