//! The keystone: distinct keys and their states, as columns. Chunks, threads, devices, spill runs and micro-batches all
//! give a [`Partial`], and one merge serves them all.

use std::sync::{Arc, Mutex, PoisonError};

use super::portable::put_groups;
use super::records::Records;
use super::state::take_off_nulls;
use super::{Arg, GroupTable, KeyRows, State, StateSpec};
use crate::column::{Class, Dictionary, KeyColumn};

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
    /// Once there are many groups: part of what [`Merger::update`] took in, still to be taken in by `rows` and the states.
    records: Option<Records>,
}

/// From this many groups on, states are kept by record: their columns do not stay in a core's cache.
const BY_RECORD: usize = 1 << 14;

impl Merger {
    /// Nothing yet; `keys` give the shape of the key columns.
    pub fn new(keys: &[KeyColumn], specs: &[StateSpec]) -> Self {
        let states = specs.iter().map(|s| State::new(s.kind)).collect();
        Merger { table: GroupTable::new(keys), states, ids: Vec::new(), rows: Vec::new(), records: None }
    }

    /// Numbers the groups of `rows` keys, making new ones; the numbers index the states given beside them.
    pub fn intern(&mut self, rows: usize, keys: &[KeyColumn]) -> (&[u32], &mut [State]) {
        self.settle();
        self.table.intern(rows, &KeyRows::of(keys), &mut self.ids);
        self.resize();
        (&self.ids, &mut self.states)
    }

    fn resize(&mut self) {
        self.states.iter_mut().for_each(|state| state.resize(self.table.len()));
    }

    /// Brings records home.
    fn settle(&mut self) {
        if let Some(records) = self.records.take() {
            records.settle(self.table.len(), &mut self.states, &mut self.rows);
            self.resize();
        }
    }

    /// Takes `rows` rows in: their keys, and the arguments that `specs`, those of the states, name.
    pub fn update(&mut self, rows: usize, keys: &[KeyRows<'_>], specs: &[StateSpec], args: &[Arg<'_>]) {
        self.table.intern(rows, keys, &mut self.ids);
        if self.records.as_ref().is_some_and(|records| !records.has_room(rows)) {
            self.settle();
        }
        if self.records.is_none() && self.table.len() >= BY_RECORD {
            self.records = Records::new(&self.states, specs, args);
        }
        if let Some(records) = &mut self.records {
            return records.update(self.table.len(), &self.ids, &mut self.states, specs, args);
        }
        self.resize();
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
                    let valid = spec.first().and_then(|&arg| args[arg].valid);
                    valid.iter().for_each(|valid| take_off_nulls(counts, &self.ids, valid));
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

    /// Merges in what another merger holds.
    pub fn push_all(&mut self, other: &Merger) {
        if other.records.is_some() || !other.rows.is_empty() {
            return self.push(&other.partial());
        }
        let (ids, states) = self.intern(other.table.len(), other.table.keys());
        states.iter_mut().zip(&other.states).for_each(|(state, from)| state.merge(from, ids));
    }

    /// Merges a partial in that is not needed any more: what can be taken over is not copied. Works on at most `threads`
    /// threads. Gives the number that each of its groups has here.
    pub fn absorb(&mut self, partial: Partial, threads: usize) -> &[u32] {
        if self.table.is_empty() {
            self.ids.clear();
            self.ids.extend(0..partial.groups as u32);
            self.table = GroupTable::of(partial.groups, partial.keys);
            self.states = partial.states;
            return &self.ids;
        }
        let (ids, states) = self.intern(partial.groups, &partial.keys);
        let pairs = states.iter_mut().zip(partial.states);
        let threads = if ids.len() < BY_RECORD { 1 } else { threads.min(pairs.len()) };
        if threads < 2 {
            pairs.for_each(|(state, from)| state.absorb(from, ids));
            return &self.ids;
        }
        let pairs = Mutex::new(pairs);
        // The lock is held no longer than it takes to get the next pair.
        let next = || pairs.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || std::iter::from_fn(next).for_each(|(state, from)| state.absorb(from, ids));
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        &self.ids
    }

    /// Merges partials in as [`Merger::absorb`] does, and finds out first how large they will be together.
    pub fn absorb_all(&mut self, partials: Vec<Partial>, threads: usize) {
        let mut partials = partials.into_iter().filter(|partial| partial.groups > 0);
        if self.table.is_empty()
            && let Some(first) = partials.next()
        {
            let rest: Vec<Partial> = partials.collect();
            let coming: Vec<(usize, &[KeyColumn])> = rest.iter().map(|p| (p.groups, &p.keys[..])).collect();
            self.table = GroupTable::for_all(first.groups, first.keys, &coming);
            self.states = first.states;
            return rest.into_iter().for_each(|partial| _ = self.absorb(partial, threads));
        }
        partials.for_each(|partial| _ = self.absorb(partial, threads));
    }

    /// All of it, copied.
    pub fn partial(&self) -> Partial {
        if self.records.is_some() {
            return self.clone().finish();
        }
        // Without the index of the table, which is larger than the keys.
        let mut states = self.states.clone();
        add_rows(&mut states, &self.rows);
        Partial { groups: self.table.len(), keys: self.table.keys().to_vec(), states }
    }

    /// Appends the bytes of all groups, as [`Partial::put`].
    pub fn put(&self, out: &mut Vec<u8>) {
        if self.records.is_some() || !self.rows.is_empty() {
            return self.partial().put(out);
        }
        put_groups(self.table.len(), self.table.keys(), &self.states, out);
    }

    /// The listed groups, in the listed order, as a partial of their own.
    pub fn gather(&self, groups: &[u32]) -> Partial {
        if self.records.is_some() {
            let mut settled = self.clone();
            settled.settle();
            return settled.gather(groups);
        }
        let keys = self.table.keys().iter().map(|key| key.gather(groups)).collect();
        let mut states: Vec<State> = self.states.iter().map(|state| state.gather(groups)).collect();
        for state in &mut states {
            if let (State::Count(counts), false) = (state, self.rows.is_empty()) {
                let rows = groups.iter().map(|&group| self.rows.get(group as usize).copied().unwrap_or(0));
                counts.iter_mut().zip(rows).for_each(|(count, rows)| *count = count.wrapping_add(rows));
            }
        }
        Partial { groups: groups.len(), keys, states }
    }

    /// The codes of strings in keys and states, by dictionary; some may come more than once.
    pub fn strings(&self) -> Vec<(Arc<Dictionary>, Vec<u32>)> {
        let of_key = |key: &KeyColumn| {
            let dict = key.dict.clone().filter(|_| key.class == Class::Str)?;
            let codes = key.lo.iter().enumerate().filter(|(group, _)| key.is_valid(*group));
            Some((dict, codes.map(|(_, &code)| code as u32).collect()))
        };
        let of_state = |state: &State| state.strings().map(|(dict, codes)| (Arc::clone(dict), codes));
        let keys = self.table.keys().iter().filter_map(of_key);
        keys.chain(self.states.iter().filter_map(of_state)).collect()
    }

    /// Distinct keys so far.
    pub fn groups(&self) -> usize {
        self.table.len()
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let states: usize = self.states.iter().map(State::heap_bytes).sum();
        let records = self.records.as_ref().map_or(0, Records::heap_bytes);
        self.table.heap_bytes() + states + self.rows.capacity() * 8 + records
    }

    /// All of it as one partial.
    pub fn finish(mut self) -> Partial {
        self.settle();
        add_rows(&mut self.states, &self.rows);
        Partial { groups: self.table.len(), keys: self.table.into_keys(), states: self.states }
    }
}

/// Adds the rows of groups to all counts of them.
fn add_rows(states: &mut [State], rows: &[u64]) {
    for state in states {
        if let State::Count(counts) = state {
            counts.iter_mut().zip(rows).for_each(|(count, rows)| *count = count.wrapping_add(*rows));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Keep, Slice, StateKind};
    use super::*;
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

    /// Rows of keys 0, 1, …, over and over, with arguments of every kind that a record takes in.
    struct Morsel {
        keys: Vec<i64>,
        small: Vec<i32>,
        large: Vec<i64>,
        floats: Vec<f64>,
        valid: Option<Vec<u8>>,
    }

    fn morsel(rows: usize, groups: usize) -> Morsel {
        let at = |i: usize| i as i64 * 7919 % 1000 - 500;
        Morsel {
            keys: (0..rows).map(|i| (i % groups) as i64).collect(),
            small: (0..rows).map(|i| at(i) as i32).collect(),
            large: (0..rows).map(|i| at(i) << 20).collect(),
            floats: (0..rows).map(|i| at(i) as f64 / 16.0).collect(),
            valid: None,
        }
    }

    /// Takes the morsels in by record and by column, and compares all that can be read. The merger, by record.
    fn by_record(morsels: &[Morsel]) -> Merger {
        let kinds = [
            (StateKind::Rows, vec![]),
            (StateKind::Count, vec![1]),
            (StateKind::Sum(Class::Int), vec![0]),
            (StateKind::Sum(Class::Int), vec![1]),
            (StateKind::Sum(Class::Float), vec![2]),
            (StateKind::Min(Class::Int), vec![0]),
            (StateKind::Max(Class::Int), vec![0]),
            (StateKind::Min(Class::Int), vec![1]),
            (StateKind::Max(Class::Float), vec![2]),
            (StateKind::Min(Class::Float), vec![2]),
            (StateKind::Product(Class::Int), vec![0, 1]),
        ];
        let specs = kinds.map(|(kind, args)| StateSpec { kind, args });
        let mut columns: Vec<State> = specs.iter().map(|spec| State::new(spec.kind)).collect();
        let mut merger = Merger::new(&[KeyColumn::new(Class::Int, None)], &specs);
        for morsel in morsels {
            let args = [
                Arg { values: Slice::Int32(&morsel.small), valid: None },
                Arg { values: Slice::Int(&morsel.large), valid: morsel.valid.as_deref() },
                Arg { values: Slice::Float(&morsel.floats), valid: None },
            ];
            merger.update(morsel.keys.len(), &[KeyRows::Int(&morsel.keys)], &specs, &args);
            assert!(merger.records.is_some());
            for (column, spec) in columns.iter_mut().zip(&specs) {
                column.resize(merger.groups());
                column.update(&merger.ids, &spec.args.iter().map(|&arg| args[arg]).collect::<Vec<_>>());
            }
        }
        let found = merger.clone().finish();
        for (spec, (state, column)) in specs.iter().zip(found.states.iter().zip(&columns)) {
            let same = match (state, column) {
                (State::Count(a), State::Count(b)) => a == b,
                (State::IntSum(a), State::IntSum(b)) => a == b,
                (State::FloatSum(a), State::FloatSum(b)) => a == b,
                (State::IntProduct(a), State::IntProduct(b)) => a == b,
                (State::Extreme(a), State::Extreme(b)) => {
                    (0..found.groups).all(|group| format!("{:?}", a.value(group)) == format!("{:?}", b.value(group)))
                }
                _ => false,
            };
            assert!(same, "{spec:?}");
        }
        merger
    }

    #[test]
    fn records_take_in_what_columns_do() {
        let rows = BY_RECORD + 5000;
        let mut odd = morsel(rows, rows - 77);
        odd.small[3] = i32::MIN;
        odd.small[4] = i32::MAX;
        odd.large[5] = i64::MIN;
        odd.large[6] = i64::MAX;
        odd.floats[7] = f64::NAN;
        odd.floats[8] = f64::NEG_INFINITY;
        odd.floats[9] = 1e300;
        odd.floats[10] = -0.0;
        odd.floats[11] = f64::from_bits(u64::MAX);
        let mut holes = morsel(rows, 300);
        holes.valid = Some((0..rows).map(|i| u8::from(i % 3 != 0)).collect());
        by_record(&[morsel(rows, rows), odd, holes, morsel(rows, rows + 40)]);
    }

    #[test]
    fn sums_that_grow_too_large_for_a_record_leave_it() {
        let rows = BY_RECORD;
        // What the rows seen first promise does not hold later: one group's sums go beyond 32 and 64 bits.
        let mut many = vec![morsel(rows, rows)];
        for sign in [1, 1, -1, -1, -1] {
            let mut large = morsel(rows, 1);
            large.small.fill(sign * (1 << 18));
            large.large.fill(i64::from(sign) << 50);
            large.floats.fill(f64::from(sign) * 1e13);
            many.push(large);
        }
        by_record(&many);
    }

    #[test]
    fn records_whose_rows_cannot_be_counted_further_are_brought_home() {
        let rows = BY_RECORD;
        let specs = [StateSpec { kind: StateKind::Rows, args: vec![] }];
        let mut merger = Merger::new(&[KeyColumn::new(Class::Int, None)], &specs);
        let keys: Vec<i64> = (0..rows as i64).collect();
        for _ in 0..3 {
            merger.update(rows, &[KeyRows::Int(&keys)], &specs, &[]);
            let Some(records) = &mut merger.records else { panic!() };
            assert_eq!(records.rows, rows as u64, "begun anew");
            records.rows = u64::from(u32::MAX) - rows as u64 + 1;
        }
        assert!(matches!(&merger.finish().states[0], State::Count(counts) if *counts == vec![3; rows]));
    }

    fn empty_of(partial: &Partial) -> Partial {
        partial.gather(&[])
    }

    proptest! {
        #[test]
        fn merging_obeys_its_laws(a in rows(), b in rows(), c in rows()) {
            let (pa, pb, pc) = (of(&a), of(&b), of(&c));
            let whole = read(of(&[a, b, c].concat()));
            prop_assert_eq!(&read(merged(&[&pa, &pb, &pc])), &whole); // merge ∘ split = id
            prop_assert_eq!(&read(merged(&[&pc, &pa, &pb])), &whole); // commutative
            let mut absorbed = Merger::new(&pa.keys, &specs());
            [&pb, &pa, &pc].into_iter().for_each(|p| _ = absorbed.absorb(p.clone(), 2));
            prop_assert_eq!(&read(absorbed.finish()), &whole);
            let mut at_once = Merger::new(&pa.keys, &specs());
            at_once.absorb_all(vec![pb.clone(), empty_of(&pa), pa.clone(), pc.clone()], 1);
            let mut of_mergers = Merger::new(&pa.keys, &specs());
            of_mergers.push_all(&at_once);
            let mut bytes = [Vec::new(), Vec::new()];
            at_once.put(&mut bytes[0]);
            at_once.partial().put(&mut bytes[1]);
            prop_assert_eq!(&bytes[0], &bytes[1]);
            prop_assert_eq!(&read(at_once.finish()), &whole);
            prop_assert_eq!(&read(of_mergers.finish()), &whole);
            prop_assert_eq!(&read(merged(&[&pa, &merged(&[&pb, &pc])])), &whole); // associative
            let empty = of(&[]);
            prop_assert_eq!(read(merged(&[&empty, &pa, &empty])), read(pa)); // identity
        }
    }
}
