//! The multiset of a group's values: what `median`, `quantile`, `count_distinct`, `top_k` and `bottom_k` are made from.
//!
//! - [`List`]: all values, or all distinct ones. Appended to a chain a group, sorted by nobody before the end.
//! - [`Best`]: the few largest or smallest, in a few slots a group.
//!
//! The GPU gives (group, value, times) entries; merging does not care who made them.

mod best;
mod bytes;
mod chains;
mod list;
mod word;

use std::sync::Arc;

use rayon::prelude::*;

use self::best::Best;
use self::list::{Entry, List};
use self::word::Word;
use super::{Arg, Slice};
use crate::column::key::{float_word, int_word, wide_word, word_float, word_int, word_wide};
use crate::column::{Class, Dictionary, StringOrder, Value};

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
    words: Words,
}

/// Words of 64 bits, or of 128 for class Wide.
#[derive(Debug, Clone)]
enum Words {
    Narrow(Store<u64>),
    Wide(Store<u128>),
}

#[derive(Debug, Clone)]
enum Store<W> {
    List(List<W>),
    Best(Best<W>),
}

impl<W: Word> Store<W> {
    fn new(keep: Keep) -> Self {
        match keep {
            Keep::Largest(k) if k <= Best::<W>::MOST => Store::Best(Best::new(k, false)),
            Keep::Smallest(k) if k <= Best::<W>::MOST => Store::Best(Best::new(k, true)),
            _ => Store::List(List::new(keep)),
        }
    }

    fn resize(&mut self, groups: usize) {
        match self {
            Store::List(list) => list.resize(groups),
            Store::Best(best) => best.resize(groups),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Store::List(list) => list.heap_bytes(),
            Store::Best(best) => best.heap_bytes(),
        }
    }

    /// Takes in the words of rows: row `i` has `word(i)`, unless it is null.
    fn update(&mut self, total: usize, groups: &[u32], valid: Option<&[u8]>, word: impl Fn(usize) -> W) {
        let rows = groups.iter().enumerate();
        let row = |(i, &group): (usize, &u32)| (group, word(i));
        match valid {
            None => self.push_all(total, rows.map(row)),
            Some(valid) => self.push_all(total, rows.filter(|(i, _)| valid[*i] != 0).map(row)),
        }
    }

    fn push_all(&mut self, total: usize, rows: impl Iterator<Item = (u32, W)>) {
        match self {
            Store::List(list) => {
                list.push_all(rows);
                list.tidy_if_due(total);
            }
            Store::Best(best) => best.push_all(rows),
        }
    }

    fn import(&mut self, groups: usize, entries: impl Iterator<Item = Entry<W>>) {
        match self {
            Store::List(list) => list.import(groups, entries),
            Store::Best(best) => entries.for_each(|e| best.push(e.group, e.word, e.times)),
        }
    }

    fn absorb(&mut self, groups: usize, other: Store<W>, map: &[u32]) {
        match (self, other) {
            (Store::List(list), Store::List(from)) => list.absorb(groups, from, map),
            (Store::Best(best), Store::Best(from)) => best.merge(&from, map),
            _ => debug_assert!(false, "bags that keep the same are merged"),
        }
    }

    fn gather(&self, groups: &[u32]) -> Self {
        match self {
            Store::List(list) => Store::List(list.gather(groups)),
            Store::Best(best) => Store::Best(best.gather(groups)),
        }
    }

    /// A group's words: those that were counted, ascending, and all others in `fresh`.
    fn read<'a>(&'a self, group: usize, fresh: &mut Vec<W>) -> &'a [Entry<W>] {
        fresh.clear();
        match self {
            Store::List(list) => {
                list.fresh_of(group, fresh);
                list.counted_of(group as u32)
            }
            Store::Best(best) => {
                best.words(group, fresh);
                &[]
            }
        }
    }
}

impl Bag {
    /// No groups.
    pub fn new(class: Class, keep: Keep) -> Self {
        // Codes are not in string order: nothing of a string bag may be forgotten before its ranks are known.
        let keep = match (class, keep) {
            (Class::Str, Keep::Largest(_) | Keep::Smallest(_)) => Keep::All,
            _ => keep,
        };
        let words = match class {
            Class::Wide => Words::Wide(Store::new(keep)),
            _ => Words::Narrow(Store::new(keep)),
        };
        Bag { class, keep, groups: 0, dict: None, words }
    }

    /// Makes room for `groups` groups.
    pub fn resize(&mut self, groups: usize) {
        self.groups = groups;
        match &mut self.words {
            Words::Narrow(store) => store.resize(groups),
            Words::Wide(store) => store.resize(groups),
        }
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        match &self.words {
            Words::Narrow(store) => store.heap_bytes(),
            Words::Wide(store) => store.heap_bytes(),
        }
    }

    /// Takes in `arg`; row `i` belongs to group `groups[i]`.
    pub fn update(&mut self, groups: &[u32], arg: Arg<'_>) {
        if let Slice::Str(_, dict) = arg.values {
            self.dict.get_or_insert_with(|| Arc::clone(dict));
        }
        let total = self.groups;
        match (&mut self.words, arg.values) {
            (Words::Narrow(store), Slice::Bool(v)) => store.update(total, groups, arg.valid, |i| v[i].into()),
            (Words::Narrow(store), Slice::Int(v)) => store.update(total, groups, arg.valid, |i| int_word(v[i])),
            (Words::Narrow(store), Slice::Int32(v)) => {
                store.update(total, groups, arg.valid, |i| int_word(v[i].into()));
            }
            (Words::Narrow(store), Slice::Float(v)) => store.update(total, groups, arg.valid, |i| float_word(v[i])),
            (Words::Narrow(store), Slice::Str(v, _)) => store.update(total, groups, arg.valid, |i| v[i].into()),
            (Words::Wide(store), Slice::Wide(v)) => store.update(total, groups, arg.valid, |i| wide_word(v[i])),
            _ => debug_assert!(false, "the argument's class is the bag's"),
        }
    }

    /// Takes in entries made elsewhere: value words (of [`crate::column::key`], `hi` for class Wide) and how often each came.
    pub fn import(&mut self, dict: Option<&Arc<Dictionary>>, entries: impl Iterator<Item = (u32, u64, u64, u32)>) {
        if let Some(dict) = dict {
            self.dict.get_or_insert_with(|| Arc::clone(dict));
        }
        fn of<W: Word>((group, hi, lo, times): (u32, u64, u64, u32)) -> Entry<W> {
            Entry { group, times, word: W::join(hi, lo) }
        }
        match &mut self.words {
            Words::Narrow(store) => store.import(self.groups, entries.map(of)),
            Words::Wide(store) => store.import(self.groups, entries.map(of)),
        }
    }

    /// Merges `other`, whose group `i` is group `map[i]` here.
    pub fn merge(&mut self, other: &Bag, map: &[u32]) {
        self.absorb(other.clone(), map);
    }

    /// [`Bag::merge`] of a bag that is not needed any more: its values are not copied.
    pub fn absorb(&mut self, other: Bag, map: &[u32]) {
        if self.dict.is_none() {
            self.dict = other.dict;
        }
        match (&mut self.words, other.words) {
            (Words::Narrow(store), Words::Narrow(from)) => store.absorb(self.groups, from, map),
            (Words::Wide(store), Words::Wide(from)) => store.absorb(self.groups, from, map),
            _ => debug_assert!(false, "bags of one class are merged"),
        }
    }

    /// The listed groups, in the listed order, as a bag of their own.
    pub fn gather(&self, groups: &[u32]) -> Self {
        let words = match &self.words {
            Words::Narrow(store) => Words::Narrow(store.gather(groups)),
            Words::Wide(store) => Words::Wide(store.gather(groups)),
        };
        Bag { groups: groups.len(), dict: self.dict.clone(), words, ..*self }
    }

    /// Calls `each` for every group, on all threads of the pool, and gives what it gave, in order.
    pub fn map_groups<T: Send>(&self, each: impl Fn(&mut dyn GroupValues) -> T + Sync) -> Vec<T> {
        let ranks = self.ranks();
        match &self.words {
            Words::Narrow(store) => self.map_store(store, &ranks, each),
            Words::Wide(store) => self.map_store(store, &ranks, each),
        }
    }

    fn map_store<W: Word, T: Send>(
        &self,
        store: &Store<W>,
        ranks: &Ranks,
        each: impl Fn(&mut dyn GroupValues) -> T + Sync,
    ) -> Vec<T> {
        let groups = (0..self.groups).into_par_iter();
        let read = |fresh: &mut Vec<W>, group| {
            let mut counted = store.read(group, fresh);
            let ranked: Vec<Entry<W>>;
            if let Some(order) = ranks {
                let rank = |word: W| W::join(0, order.ranks[word.low() as usize].into());
                fresh.iter_mut().for_each(|word| *word = rank(*word));
                let mut entries: Vec<_> = counted.iter().map(|e| Entry { word: rank(e.word), ..*e }).collect();
                entries.sort_unstable_by_key(|e| e.word);
                ranked = entries;
                counted = &ranked;
            }
            each(&mut Group { bag: self, ranks, fresh, counted })
        };
        groups.map_init(Vec::new, read).collect()
    }

    /// For strings whose order matters.
    fn ranks(&self) -> Ranks {
        let dict = self.dict.as_ref().filter(|_| self.class == Class::Str && self.keep != Keep::Distinct)?;
        Some(dict.order())
    }

    /// The value of a word; of a string, of its code.
    fn value<W: Word>(&self, word: W) -> Value {
        match self.class {
            Class::Bool => Value::Bool(word.low() != 0),
            Class::Float => Value::Float(word_float(word.low())),
            Class::Str => match &self.dict {
                Some(dict) => Value::Str(dict.read().get(word.low() as u32).into()),
                None => Value::Null,
            },
            Class::Int => Value::Int(word_int(word.low())),
            Class::Wide => Value::Wide(word_wide(u128::from(word.high()) << 64 | u128::from(word.low()))),
        }
    }
}

/// The order of strings, where it matters.
type Ranks = Option<Arc<StringOrder>>;

/// The values of one group.
pub trait GroupValues {
    /// How many there are.
    fn count(&self) -> u64;
    /// How many distinct ones there are.
    fn distinct(&mut self) -> u64;
    /// The values number `index` and `index + 1` in order, from 0; the last is its own next. There must be one.
    fn at(&mut self, index: u64) -> (Value, Value);
    /// The `k` first in order, or the `k` last in reverse order.
    fn first(&mut self, k: u64, from_the_end: bool) -> Vec<Value>;
    /// All in order, each once with its times.
    fn runs(&mut self) -> Vec<(Value, u64)>;
}

struct Group<'a, W> {
    bag: &'a Bag,
    ranks: &'a Ranks,
    /// In any order, each once.
    fresh: &'a mut Vec<W>,
    /// Ascending.
    counted: &'a [Entry<W>],
}

impl<W: Word> Group<'_, W> {
    fn value(&self, word: W) -> Value {
        match self.ranks {
            Some(order) => self.bag.value(u64::from(order.codes[word.low() as usize])),
            None => self.bag.value(word),
        }
    }

    /// All words ascending, each once with its times.
    fn sorted(&mut self) -> Vec<(W, u64)> {
        self.fresh.sort_unstable();
        let mut all: Vec<(W, u64)> = Vec::with_capacity(self.fresh.len() + self.counted.len());
        let once = self.bag.keep == Keep::Distinct;
        let mut push = |word: W, times: u64| match all.last_mut().filter(|last| last.0 == word) {
            Some(last) if once => last.1 = 1,
            Some(last) => last.1 += times,
            None => all.push((word, times)),
        };
        let mut counted = self.counted.iter().peekable();
        for &word in &*self.fresh {
            while let Some(entry) = counted.next_if(|e| e.word <= word) {
                push(entry.word, entry.times.into());
            }
            push(word, 1);
        }
        counted.for_each(|e| push(e.word, e.times.into()));
        // What might have been forgotten and was not yet.
        match self.bag.keep {
            Keep::Smallest(k) => forget(&mut all, k.into()),
            Keep::Largest(k) => {
                all.reverse();
                forget(&mut all, k.into());
                all.reverse();
            }
            Keep::All | Keep::Distinct => {}
        }
        all
    }
}

/// Drops all but the first `k`, each run counted by its times.
fn forget<W>(runs: &mut Vec<(W, u64)>, k: u64) {
    let mut left = k;
    runs.retain_mut(|(_, times)| {
        *times = left.min(*times);
        left -= *times;
        *times > 0
    });
}

impl<W: Word> GroupValues for Group<'_, W> {
    fn count(&self) -> u64 {
        self.fresh.len() as u64 + self.counted.iter().map(|e| u64::from(e.times)).sum::<u64>()
    }

    fn distinct(&mut self) -> u64 {
        if let Keep::Largest(_) | Keep::Smallest(_) = self.bag.keep {
            return self.sorted().len() as u64;
        }
        self.fresh.extend(self.counted.iter().map(|e| e.word));
        self.fresh.sort_unstable();
        self.fresh.dedup();
        self.fresh.len() as u64
    }

    fn at(&mut self, index: u64) -> (Value, Value) {
        if self.counted.is_empty() {
            let (_, &mut low, above) = self.fresh.select_nth_unstable(index as usize);
            let high = above.iter().min().copied().unwrap_or(low);
            return (self.value(low), self.value(high));
        }
        let all = self.sorted();
        let find = |index: u64| {
            let mut before = 0;
            let found = all.iter().find(|(_, times)| {
                before += times;
                index < before
            });
            found.or(all.last()).map_or(Value::Null, |run| self.value(run.0))
        };
        (find(index), find(index + 1))
    }

    fn first(&mut self, k: u64, from_the_end: bool) -> Vec<Value> {
        let sorted = self.sorted();
        let mut left = k;
        let mut out = Vec::new();
        let mut push = |&(word, times): &(W, u64)| {
            let times = left.min(times);
            left -= times;
            out.extend(std::iter::repeat_n(word, times as usize));
        };
        if from_the_end {
            sorted.iter().rev().for_each(&mut push)
        } else {
            sorted.iter().for_each(&mut push)
        }
        out.into_iter().map(|word| self.value(word)).collect()
    }

    fn runs(&mut self) -> Vec<(Value, u64)> {
        let mut runs: Vec<_> = self.sorted().into_iter().map(|(word, times)| (self.value(word), times)).collect();
        if self.bag.class == Class::Str && self.ranks.is_none() {
            // Counting distinct strings needs no ranks: only who reads them pays for their order.
            runs.sort_by(|(a, _), (b, _)| match (a, b) {
                (Value::Str(a), Value::Str(b)) => a.cmp(b),
                _ => std::cmp::Ordering::Equal,
            });
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups_of(bag: &Bag) -> Vec<Vec<(Value, u64)>> {
        bag.map_groups(|values| values.runs())
    }

    fn ints(keep: Keep, rows: &[(u32, i64)], groups: usize) -> Bag {
        let mut bag = Bag::new(Class::Int, keep);
        bag.resize(groups);
        let values: Vec<i64> = rows.iter().map(|r| r.1).collect();
        let ids: Vec<u32> = rows.iter().map(|r| r.0).collect();
        bag.update(&ids, Arg { values: Slice::Int(&values), valid: None });
        bag
    }

    /// As after very many rows: what can be counted is.
    fn tidy(mut bag: Bag) -> Bag {
        if let Words::Narrow(Store::List(list)) = &mut bag.words {
            list.tidy(bag.groups);
        }
        bag
    }

    const ROWS: [(u32, i64); 7] = [(1, 5), (0, -2), (1, 5), (0, 7), (0, 7), (1, 4), (0, 7)];

    #[test]
    fn values_come_sorted_with_their_times() {
        let bag = ints(Keep::All, &ROWS, 3);
        let expected =
            vec![vec![(Value::Int(-2), 1), (Value::Int(7), 3)], vec![(Value::Int(4), 1), (Value::Int(5), 2)], vec![]];
        assert_eq!(groups_of(&bag), expected);
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let bag = ints(Keep::Largest(2), &ROWS, 2);
        assert_eq!(groups_of(&bag), vec![vec![(Value::Int(7), 2)], vec![(Value::Int(5), 2)]]);
        let bag = ints(Keep::Smallest(2), &ROWS, 2);
        let expected =
            vec![vec![(Value::Int(-2), 1), (Value::Int(7), 1)], vec![(Value::Int(4), 1), (Value::Int(5), 1)]];
        assert_eq!(groups_of(&bag), expected);
        let bag = ints(Keep::Distinct, &ROWS, 2);
        assert_eq!(groups_of(&bag)[0], vec![(Value::Int(-2), 1), (Value::Int(7), 1)]);
    }

    #[test]
    fn merging_equals_one_bag_whatever_was_tidied_before() {
        for keep in [Keep::All, Keep::Distinct, Keep::Largest(3), Keep::Smallest(2)] {
            let whole = ints(keep, &ROWS, 2);
            for cut in 0..=ROWS.len() {
                for tidied in [false, true] {
                    let mut a = ints(keep, &ROWS[..cut], 2);
                    let swapped: Vec<_> = ROWS[cut..].iter().map(|&(g, v)| (1 - g, v)).collect();
                    let mut b = ints(keep, &swapped, 2);
                    if tidied {
                        a = tidy(a);
                        b = tidy(b);
                    }
                    a.merge(&b, &[1, 0]);
                    let mut turned = groups_of(&a.gather(&[1, 0, 1]));
                    let again = turned.pop().unwrap();
                    assert_eq!(turned[0], again);
                    turned.reverse();
                    assert_eq!(turned, groups_of(&a));
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
        let texts: Vec<_> = groups_of(&bag)[0].iter().map(|(v, n)| (v.text(&crate::column::Type::Str), *n)).collect();
        assert_eq!(texts, [("apple".into(), 1), ("pear".into(), 2), ("é".into(), 1)]);
        let mut bag = Bag::new(Class::Float, Keep::All);
        bag.resize(1);
        bag.update(&[0; 2], Arg { values: Slice::Float(&[0.0, -0.0]), valid: None });
        assert_eq!(groups_of(&bag), vec![vec![(Value::Float(0.0), 2)]]);
    }

    #[test]
    fn few_values_read_often_take_little_memory() {
        for keep in [Keep::All, Keep::Distinct, Keep::Largest(40), Keep::Smallest(40)] {
            let (mut bag, mut rows) = (Bag::new(Class::Int, keep), 0u32);
            bag.resize(3);
            let groups: Vec<u32> = (0..8192).map(|i| i % 3).collect();
            let values: Vec<i64> = (0..8192).map(|i| i % 10).collect();
            while rows < 5 << 20 {
                bag.update(&groups, Arg { values: Slice::Int(&values), valid: None });
                rows += 8192;
            }
            assert!(bag.heap_bytes() < 12 << 20, "{keep:?}: {} bytes", bag.heap_bytes());
            let found = groups_of(&bag);
            let total: u64 = found.iter().flatten().map(|v| v.1).sum();
            match keep {
                Keep::All => assert_eq!((total, found[1].len()), (rows.into(), 10)),
                Keep::Distinct => assert_eq!((total, found[1].len()), (30, 10)),
                Keep::Largest(_) => assert_eq!((total, found[1][0].0.clone()), (120, Value::Int(9))),
                Keep::Smallest(_) => assert_eq!((total, found[1][0].0.clone()), (120, Value::Int(0))),
            }
            let distinct = if let Keep::All | Keep::Distinct = keep { 10 } else { 1 };
            assert!(found.iter().all(|runs| runs.len() == distinct));
            assert_eq!(bag.map_groups(|v| v.distinct()), found.iter().map(|f| f.len() as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn counted_values_are_found_by_their_place() {
        let mut bag = Bag::new(Class::Int, Keep::All);
        bag.resize(2);
        let word = |v| int_word(v);
        bag.import(None, [(1, 0, word(7), 1000), (1, 0, word(-3), u32::MAX), (1, 0, word(9), 2)].into_iter());
        bag.import(None, [(1, 0, word(-3), 10), (1, 0, word(8), 1)].into_iter());
        let many = u64::from(u32::MAX) + 10;
        let at = |index| bag.map_groups(|v| (v.count() > 0).then(|| v.at(index)))[1].clone();
        assert_eq!(bag.map_groups(|v| v.count()), [0, many + 1003]);
        assert_eq!(at(many - 1), Some((Value::Int(-3), Value::Int(7))));
        assert_eq!(at(many + 999), Some((Value::Int(7), Value::Int(8))));
        assert_eq!(at(many + 1002), Some((Value::Int(9), Value::Int(9))));
        assert_eq!(bag.map_groups(|v| v.first(3, true))[1], [9, 9, 8].map(Value::Int));
        assert_eq!(bag.map_groups(|v| v.first(2, false))[1], [-3, -3].map(Value::Int));
    }
}
