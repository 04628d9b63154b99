//! A state column: one mergeable state for each of many groups.

use std::sync::Arc;

use super::exact::{IntProductColumn, IntSumColumn, ProductColumn, SumColumn};
use super::{Arg, Bag, Extreme, Slice, StateKind};
use crate::column::{Class, Dictionary};

/// The states of all groups for one [`StateKind`].
///
/// Laws, for any rows and any way to cut them: a fresh state is the identity of [`State::merge`]; merging is associative
/// and commutative; updating with rows equals merging the states of their parts. What can be read from a state is a
/// function of the multiset of rows it has taken in.
#[derive(Debug, Clone)]
pub enum State {
    /// Rows, or rows with a value.
    Count(Vec<u64>),
    /// Σx of integers and decimals.
    IntSum(IntSumColumn),
    /// Σx of floats.
    FloatSum(SumColumn),
    /// Σxy of integers and decimals.
    IntProduct(IntProductColumn),
    /// Σxy of floats.
    FloatProduct(ProductColumn),
    /// min and max.
    Extreme(Extreme),
    /// The values themselves.
    Bag(Bag),
}

impl State {
    /// No groups. A sum of bools or strings does not exist; asking for one gives a count.
    pub fn new(kind: StateKind) -> Self {
        match kind {
            StateKind::Rows | StateKind::Count => State::Count(Vec::new()),
            StateKind::Sum(Class::Float) => State::FloatSum(SumColumn::new(0)),
            StateKind::Sum(_) => State::IntSum(IntSumColumn::new(0)),
            StateKind::Product(Class::Float) => State::FloatProduct(ProductColumn::new(0)),
            StateKind::Product(_) => State::IntProduct(IntProductColumn::new(0)),
            StateKind::Min(class) => State::Extreme(Extreme::new(class, false)),
            StateKind::Max(class) => State::Extreme(Extreme::new(class, true)),
            StateKind::Bag(class, keep) => State::Bag(Bag::new(class, keep)),
        }
    }

    /// Makes room for `groups` groups; new ones have seen nothing.
    pub fn resize(&mut self, groups: usize) {
        match self {
            State::Count(counts) => counts.resize(groups, 0),
            State::IntSum(sums) => sums.resize(groups),
            State::FloatSum(sums) => sums.resize(groups),
            State::IntProduct(sums) => sums.resize(groups),
            State::FloatProduct(sums) => sums.resize(groups),
            State::Extreme(extreme) => extreme.resize(groups),
            State::Bag(bag) => bag.resize(groups),
        }
    }

    /// Takes rows in; row `i` belongs to group `groups[i]`. `args` are those of the [`super::StateSpec`].
    pub fn update(&mut self, groups: &[u32], args: &[Arg<'_>]) {
        match (self, args) {
            (State::Count(counts), args) => match (&mut counts[..], args.first().and_then(|arg| arg.valid)) {
                // One group: adding to it row by row would wait for the row before.
                ([count], None) => *count += groups.len() as u64,
                ([count], Some(valid)) => *count += valid.iter().map(|&ok| u64::from(ok)).sum::<u64>(),
                (counts, None) => groups.iter().for_each(|&g| counts[g as usize] += 1),
                (counts, Some(valid)) => {
                    groups.iter().zip(valid).for_each(|(&g, &ok)| counts[g as usize] += u64::from(ok));
                }
            },
            (State::FloatSum(sums), [arg]) => {
                if let Slice::Float(xs) = arg.values {
                    match arg.valid {
                        None => sums.add_all(groups, xs),
                        Some(valid) => sums.add_valid(groups, xs, |i| valid[i] != 0),
                    }
                }
            }
            (State::IntSum(sums), [arg]) => match (arg.values, arg.valid) {
                (Slice::Int(xs), None) => sums.add_all(groups, xs),
                (Slice::Int32(xs), None) => sums.add_all(groups, xs),
                (Slice::Int(xs), Some(valid)) => sums.add_valid(groups, xs, valid),
                (Slice::Int32(xs), Some(valid)) => sums.add_valid(groups, xs, valid),
                (Slice::Wide(xs), None) => sums.add_all_i128(groups, xs),
                (Slice::Wide(xs), Some(_)) => {
                    for (i, &group) in groups.iter().enumerate().filter(|(i, _)| arg.is_valid(*i)) {
                        sums.add(group as usize, xs[i]);
                    }
                }
                _ => debug_assert!(false, "sums are of numbers"),
            },
            (State::FloatProduct(sums), [x, y]) => {
                if let (Slice::Float(xs), Slice::Float(ys)) = (x.values, y.values) {
                    match (x.valid, y.valid) {
                        (None, None) => sums.add_all(groups, xs, ys),
                        _ => sums.add_valid(groups, xs, ys, |i| x.is_valid(i) && y.is_valid(i)),
                    }
                }
            }
            (State::IntProduct(sums), [x, y]) => match (x.values, y.values, x.valid, y.valid) {
                (Slice::Int(xs), Slice::Int(ys), None, None) => sums.add_all(groups, xs, ys),
                (Slice::Int32(xs), Slice::Int32(ys), None, None) => sums.add_all(groups, xs, ys),
                (Slice::Int32(xs), Slice::Int(ys), None, None) => sums.add_all(groups, xs, ys),
                (Slice::Int(xs), Slice::Int32(ys), None, None) => sums.add_all(groups, xs, ys),
                (Slice::Wide(xs), Slice::Wide(ys), None, None) => sums.add_all_i128(groups, xs, ys),
                (Slice::Int(xs), Slice::Int(ys), a, b) => sums.add_valid(groups, (xs, a), (ys, b)),
                (Slice::Int32(xs), Slice::Int32(ys), a, b) => sums.add_valid(groups, (xs, a), (ys, b)),
                (Slice::Int32(xs), Slice::Int(ys), a, b) => sums.add_valid(groups, (xs, a), (ys, b)),
                (Slice::Int(xs), Slice::Int32(ys), a, b) => sums.add_valid(groups, (xs, a), (ys, b)),
                (xs, ys, _, _) => {
                    for (i, &group) in groups.iter().enumerate() {
                        if x.is_valid(i) && y.is_valid(i) {
                            sums.add(group as usize, integer(xs, i), integer(ys, i));
                        }
                    }
                }
            },
            (State::Extreme(extreme), [arg]) => extreme.update(groups, *arg),
            (State::Bag(bag), [arg]) => bag.update(groups, *arg),
            _ => debug_assert!(false, "a state is fed as its spec says"),
        }
    }

    /// Merges `other`, whose group `i` is group `map[i]` here.
    pub fn merge(&mut self, other: &State, map: &[u32]) {
        match (self, other) {
            (State::Count(counts), State::Count(from)) => {
                map.iter().zip(from).for_each(|(&g, n)| counts[g as usize] += n);
            }
            (State::IntSum(sums), State::IntSum(from)) => sums.merge_from(from, map),
            (State::FloatSum(sums), State::FloatSum(from)) => sums.merge_from(from, map),
            (State::IntProduct(sums), State::IntProduct(from)) => sums.merge_from(from, map),
            (State::FloatProduct(sums), State::FloatProduct(from)) => sums.merge_from(from, map),
            (State::Extreme(extreme), State::Extreme(from)) => extreme.merge(from, map),
            (State::Bag(bag), State::Bag(from)) => bag.merge(from, map),
            _ => debug_assert!(false, "only states of one kind are merged"),
        }
    }

    /// [`State::merge`] of states that are not needed any more: what can be taken over is not copied.
    pub fn absorb(&mut self, other: State, map: &[u32]) {
        match (self, other) {
            (State::Bag(bag), State::Bag(from)) => bag.absorb(from, map),
            (state, other) => state.merge(&other, map),
        }
    }

    /// The listed groups, in the listed order, as states of their own.
    pub fn gather(&self, groups: &[u32]) -> Self {
        match self {
            State::Count(counts) => State::Count(groups.iter().map(|&group| counts[group as usize]).collect()),
            State::IntSum(sums) => State::IntSum(sums.gather(groups)),
            State::FloatSum(sums) => State::FloatSum(sums.gather(groups)),
            State::IntProduct(sums) => State::IntProduct(sums.gather(groups)),
            State::FloatProduct(sums) => State::FloatProduct(sums.gather(groups)),
            State::Extreme(extreme) => State::Extreme(extreme.gather(groups)),
            State::Bag(bag) => State::Bag(bag.gather(groups)),
        }
    }

    /// The dictionary of a state of strings, and the codes that it holds, ascending, each once. `None` for states of anything
    /// else, and for those that have seen no string.
    pub(super) fn strings(&self) -> Option<(&Arc<Dictionary>, Vec<u32>)> {
        let mut codes = Vec::new();
        let dict = match self {
            State::Extreme(extreme) => {
                let (all, dict) = extreme.codes();
                let dict = dict?;
                codes.extend(all.filter(|(_, seen)| *seen).map(|(code, _)| code));
                dict
            }
            State::Bag(bag) => bag.codes(|code| codes.push(code))?,
            _ => return None,
        };
        codes.sort_unstable();
        codes.dedup();
        Some((dict, codes))
    }

    /// Other codes for the same strings in a state of strings: those of `dict`.
    pub(super) fn recode(&mut self, dict: Option<&Arc<Dictionary>>, code: impl FnMut(u32) -> u32) {
        match self {
            State::Extreme(extreme) => extreme.recode(dict, code),
            State::Bag(bag) => bag.recode(dict, code),
            _ => {}
        }
    }

    /// Appends the bytes of the states; [`State::take`] reads them back.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            State::Count(counts) => super::portable::put_words(counts, out),
            State::IntSum(sums) => sums.put(out),
            State::FloatSum(sums) => sums.put(out),
            State::IntProduct(sums) => sums.put(out),
            State::FloatProduct(sums) => sums.put(out),
            State::Extreme(extreme) => extreme.put(out),
            State::Bag(bag) => bag.put(out),
        }
    }

    /// Reads the states of `groups` groups off the front of `bytes`; `like` is of the same kind and knows the dictionary.
    /// `None` if the bytes are not whole or not sound.
    pub fn take(like: &State, bytes: &mut &[u8], groups: usize) -> Option<State> {
        let state = match like {
            State::Count(_) => {
                let bytes = bytes.split_off(..groups.checked_mul(8)?)?;
                let count = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
                return Some(State::Count(bytes.chunks_exact(8).map(count).collect()));
            }
            State::IntSum(_) => State::IntSum(IntSumColumn::take(bytes)?),
            State::FloatSum(_) => State::FloatSum(SumColumn::take(bytes)?),
            State::IntProduct(_) => State::IntProduct(IntProductColumn::take(bytes)?),
            State::FloatProduct(_) => State::FloatProduct(ProductColumn::take(bytes)?),
            State::Extreme(like) => State::Extreme(like.take(bytes, groups)?),
            State::Bag(like) => State::Bag(like.take(bytes, groups)?),
        };
        let whole = match &state {
            State::IntSum(sums) => sums.len() == groups,
            State::FloatSum(sums) => sums.len() == groups,
            State::IntProduct(sums) => sums.len() == groups,
            State::FloatProduct(sums) => sums.len() == groups,
            _ => true,
        };
        whole.then_some(state)
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        match self {
            State::Count(counts) => counts.capacity() * 8,
            State::IntSum(sums) => sums.heap_bytes(),
            State::FloatSum(sums) => sums.heap_bytes(),
            State::IntProduct(sums) => sums.heap_bytes(),
            State::FloatProduct(sums) => sums.heap_bytes(),
            State::Extreme(extreme) => extreme.heap_bytes(),
            State::Bag(bag) => bag.heap_bytes(),
        }
    }
}

/// Takes nulls off counts of rows.
pub(super) fn take_off_nulls(counts: &mut [u64], groups: &[u32], valid: &[u8]) {
    for (&group, &ok) in groups.iter().zip(valid) {
        let count = &mut counts[group as usize];
        *count = count.wrapping_sub(u64::from(ok ^ 1));
    }
}

fn integer(values: Slice<'_>, row: usize) -> i128 {
    match values {
        Slice::Int(v) => v[row].into(),
        Slice::Int32(v) => v[row].into(),
        Slice::Wide(v) => v[row],
        _ => 0,
    }
}
