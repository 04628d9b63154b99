//! The keystone: distinct keys and their states, as columns. Chunks, threads, devices, spill runs and micro-batches all
//! give a [`Partial`], and one merge serves them all.

use super::{Arg, GroupTable, KeyRows, State, StateSpec};
use crate::column::KeyColumn;

/// Distinct keys and one state for each of them and each [`StateSpec`].
#[derive(Debug, Clone)]
pub struct Partial {
    /// Distinct keys.
    pub groups: usize,
    /// The keys; none for a job without `--by`, which has one group or none.
    pub keys: Vec<KeyColumn>,
    /// The states, in the order of the stage's specs.
    pub states: Vec<State>,
}

impl Partial {
    /// The listed groups, in the listed order, as a partial of their own.
    pub fn gather(&self, groups: &[u32]) -> Partial {
        let keys = self.keys.iter().map(|key| key.gather(groups)).collect();
        let states = self.states.iter().map(|state| state.gather(groups)).collect();
        Partial { groups: groups.len(), keys, states }
    }
}

/// Merges partials, and takes rows in directly.
///
/// Merging is associative and commutative, and an empty partial is its identity, up to the order of groups: what is read
/// from a merged partial depends only on the multiset of rows behind it.
#[derive(Debug, Clone)]
pub struct Merger {
    table: GroupTable,
    states: Vec<State>,
    ids: Vec<u32>,
    /// Rows of each group that [`Merger::update`] took in: counted once for all states that count, which hold what is to
    /// be added to this (nothing, unless there are nulls or merged partials).
    rows: Vec<u64>,
}

impl Merger {
    /// Nothing yet; `keys` give the shape of the key columns.
    pub fn new(keys: &[KeyColumn], specs: &[StateSpec]) -> Self {
        let states = specs.iter().map(|s| State::new(s.kind)).collect();
        Merger { table: GroupTable::new(keys), states, ids: Vec::new(), rows: Vec::new() }
    }

    /// Numbers the groups of `rows` keys, making new ones; the numbers index the states given beside them.
    pub fn intern(&mut self, rows: usize, keys: &[KeyColumn]) -> (&[u32], &mut [State]) {
        self.number(rows, &KeyRows::of(keys));
        (&self.ids, &mut self.states)
    }

    fn number(&mut self, rows: usize, keys: &[KeyRows<'_>]) {
        self.table.intern(rows, keys, &mut self.ids);
        for state in &mut self.states {
            state.resize(self.table.len());
        }
    }

    /// Takes `rows` rows in: their keys, and the arguments that `specs`, those of the states, name.
    pub fn update(&mut self, rows: usize, keys: &[KeyRows<'_>], specs: &[StateSpec], args: &[Arg<'_>]) {
        self.number(rows, keys);
        if self.states.iter().any(|state| matches!(state, State::Count(_))) {
            self.rows.resize(self.table.len(), 0);
            match &mut self.rows[..] {
                // One group: adding to it row by row would wait for the row before.
                [count] => *count += self.ids.len() as u64,
                counts => self.ids.iter().for_each(|&group| counts[group as usize] += 1),
            }
        }
        for (state, spec) in self.states.iter_mut().zip(specs) {
            match (state, &spec.args[..]) {
                (State::Count(counts), spec) => {
                    let Some(valid) = spec.first().and_then(|&arg| args[arg].valid) else { continue };
                    for (&group, &ok) in self.ids.iter().zip(valid) {
                        let count = &mut counts[group as usize];
                        *count = count.wrapping_sub(u64::from(ok ^ 1));
                    }
                }
                (state, []) => state.update(&self.ids, &[]),
                (state, &[x]) => state.update(&self.ids, &[args[x]]),
                (state, &[x, y, ..]) => state.update(&self.ids, &[args[x], args[y]]),
            }
        }
    }

    /// Merges a partial in.
    pub fn push(&mut self, partial: &Partial) {
        let (ids, states) = self.intern(partial.groups, &partial.keys);
        for (state, from) in states.iter_mut().zip(&partial.states) {
            state.merge(from, ids);
        }
    }

    /// Merges a partial in that is not needed any more: what can be taken over is not copied. Gives the number that each of its
    /// groups has here.
    pub fn absorb(&mut self, partial: Partial) -> &[u32] {
        let (ids, states) = self.intern(partial.groups, &partial.keys);
        for (state, from) in states.iter_mut().zip(partial.states) {
            state.absorb(from, ids);
        }
        &self.ids
    }

    /// All of it, copied.
    pub fn partial(&self) -> Partial {
        self.clone().finish()
    }

    /// The listed groups, in the listed order, as a partial of their own.
    pub fn gather(&self, groups: &[u32]) -> Partial {
        let keys = self.table.keys().iter().map(|key| key.gather(groups)).collect();
        let mut states: Vec<State> = self.states.iter().map(|state| state.gather(groups)).collect();
        for state in &mut states {
            if let (State::Count(counts), false) = (state, self.rows.is_empty()) {
                let rows = groups.iter().map(|&group| self.rows[group as usize]);
                counts.iter_mut().zip(rows).for_each(|(count, rows)| *count = count.wrapping_add(rows));
            }
        }
        Partial { groups: groups.len(), keys, states }
    }

    /// Distinct keys so far.
    pub fn groups(&self) -> usize {
        self.table.len()
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let states: usize = self.states.iter().map(State::heap_bytes).sum();
        self.table.heap_bytes() + states + self.rows.capacity() * 8
    }

    /// All of it as one partial.
    pub fn finish(mut self) -> Partial {
        for state in &mut self.states {
            if let State::Count(counts) = state {
                counts.iter_mut().zip(&self.rows).for_each(|(count, rows)| *count = count.wrapping_add(*rows));
            }
        }
        Partial { groups: self.table.len(), keys: self.table.into_keys(), states: self.states }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Keep, Slice, StateKind};
    use super::*;
    use crate::column::Class;
    use crate::column::key::int_word;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn specs() -> Vec<StateSpec> {
        [
            (StateKind::Rows, vec![]),
            (StateKind::Count, vec![0]),
            (StateKind::Sum(Class::Float), vec![0]),
            (StateKind::Product(Class::Float), vec![0, 0]),
            (StateKind::Min(Class::Float), vec![0]),
            (StateKind::Bag(Class::Float, Keep::Largest(2)), vec![0]),
            (StateKind::Sum(Class::Int), vec![1]),
        ]
        .map(|(kind, args)| StateSpec { kind, args })
        .to_vec()
    }

    type Row = (Option<i64>, f64, bool, i64);

    fn of(rows: &[Row]) -> Partial {
        let mut key = KeyColumn::new(Class::Int, None);
        key.lo = rows.iter().map(|r| r.0.map_or(0, int_word)).collect();
        key.valid = Some(rows.iter().map(|r| u8::from(r.0.is_some())).collect());
        let mut merger = Merger::new(std::slice::from_ref(&key), &specs());
        let floats: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let valid: Vec<u8> = rows.iter().map(|r| u8::from(r.2)).collect();
        let ints: Vec<i64> = rows.iter().map(|r| r.3).collect();
        let args = [
            Arg { values: Slice::Float(&floats), valid: Some(&valid) },
            Arg { values: Slice::Int(&ints), valid: None },
        ];
        merger.update(rows.len(), &[KeyRows::Words(&key)], &specs(), &args);
        merger.finish()
    }

    /// Everything that can be read, by key.
    fn read(partial: Partial) -> BTreeMap<(bool, u64), Vec<String>> {
        let Partial { groups, keys, states } = partial;
        let mut out = BTreeMap::new();
        for group in 0..groups {
            let texts = states
                .iter()
                .map(|state| match state {
                    State::Count(n) => n[group].to_string(),
                    State::FloatSum(s) => format!("{:x}", s.value(group).to_bits()),
                    State::FloatProduct(s) => format!("{:x}", s.value(group).to_bits()),
                    State::IntSum(s) => format!("{:?}", s.value_i128(group)),
                    State::Extreme(e) => format!("{:?}", e.value(group)),
                    State::Bag(bag) => format!("{:?}", bag.map_groups(|values| values.runs())[group]),
                    State::IntProduct(_) => String::new(),
                })
                .collect();
            out.insert((keys[0].is_valid(group), keys[0].lo[group]), texts);
        }
        out
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let float = prop_oneof![Just(1e300), Just(-1e300), Just(1e-300), Just(f64::NAN), Just(-0.0), any::<f64>()];
        let key = prop_oneof![4 => (0..3i64).prop_map(Some), 1 => Just(None)];
        prop::collection::vec((key, float, any::<bool>(), any::<i64>()), 0..20)
    }

    fn merged(parts: &[&Partial]) -> Partial {
        let mut merger = Merger::new(&parts[0].keys, &specs());
        parts.iter().for_each(|p| merger.push(p));
        merger.finish()
    }

    proptest! {
        #[test]
        fn merging_obeys_its_laws(a in rows(), b in rows(), c in rows()) {
            let (pa, pb, pc) = (of(&a), of(&b), of(&c));
            let whole = read(of(&[a, b, c].concat()));
            prop_assert_eq!(&read(merged(&[&pa, &pb, &pc])), &whole); // merge ∘ split = id
            prop_assert_eq!(&read(merged(&[&pc, &pa, &pb])), &whole); // commutative
            let mut absorbed = Merger::new(&pa.keys, &specs());
            [&pb, &pa, &pc].into_iter().for_each(|p| _ = absorbed.absorb(p.clone()));
            prop_assert_eq!(&read(absorbed.finish()), &whole);
            prop_assert_eq!(&read(merged(&[&pa, &merged(&[&pb, &pc])])), &whole); // associative
            let empty = of(&[]);
            prop_assert_eq!(read(merged(&[&empty, &pa, &empty])), read(pa)); // identity
        }
    }
}
