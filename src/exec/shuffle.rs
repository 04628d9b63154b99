//! Groups in key order, partition by partition.
//!
//! Rows that were not grouped on the way, and groups that were, are brought into partitions of neighbouring keys, each
//! about as large as a cache. A partition is then sorted by key and its equal keys become groups, by whichever thread
//! takes it: keys of different partitions differ, so nothing is merged across them, and one partition after the other is
//! the whole in key order. The bounds are taken from a sample (Frazer & McKellar, "Samplesort", 1970), so that no
//! distribution of keys makes one thread wait for another; equal keys always share a partition.

use std::ops::Range;
use std::slice::IterMut;
use std::sync::Arc;

use rayon::prelude::*;

use super::spill::Spilled;
use crate::agg::{ArgColumn, ArgData, KeyRows, Layout, Partial, Ranks, Rows, State, StateSpec};

/// Rows or groups of a partition, about: with their keys and arguments, less than a core's own cache holds.
pub(super) const PARTITION: usize = 1 << 14;
/// Partitions at most: their numbers are u16, and a block still has some rows for each.
const MOST_PARTITIONS: usize = 1 << 12;
/// Keys of the sample for each partition.
const SAMPLE: usize = 32;

/// What a run has found: groups, and rows without one.
#[derive(Debug)]
pub(super) struct Found {
    pub groups: Partial,
    pub rows: Vec<Rows>,
    /// What did not fit the memory: then all of it, and the rest is empty.
    pub spilled: Option<Spilled>,
}

/// How the keys of a whole run are packed, in their order.
#[derive(Debug)]
pub(super) struct Frame {
    pub layout: Layout,
    pub ranks: Ranks,
}

impl Frame {
    /// The keys of `groups`, which `own` covers.
    pub fn pack(&self, own: &Layout, groups: &Partial) -> Vec<Vec<u64>> {
        let (mut packed, mut keys) = (Vec::new(), Vec::new());
        own.pack(&KeyRows::of(&groups.keys), groups.groups, &mut packed);
        own.repack(&packed, &self.layout, &self.ranks, &mut keys);
        keys
    }
}

/// Rows and groups by partition.
#[derive(Debug)]
pub(super) struct Shuffled {
    frame: Arc<Frame>,
    states: Vec<StateSpec>,
    /// The packed keys of the rows, and their arguments.
    keys: Vec<Vec<u64>>,
    args: Vec<ArgColumn>,
    /// Where each partition's rows begin, and the end of the last one's.
    bounds: Vec<usize>,
    /// The groups, their packed keys by partition, and which group each is.
    groups: Partial,
    group_keys: Vec<Vec<u64>>,
    group_order: Vec<u32>,
    group_bounds: Vec<usize>,
}

impl Shuffled {
    /// Brings what has been found into partitions of about `size` rows or groups. Runs on the threads of the pool it is
    /// called in.
    pub fn new(found: Found, states: &[StateSpec], size: usize) -> Shuffled {
        let Found { groups, mut rows, .. } = found;
        let mut own = Layout::new(&groups.keys);
        own.cover(&KeyRows::of(&groups.keys));
        let layouts = rows.iter().map(|rows| &rows.layout).chain([&own]);
        let (layout, ranks) = Layout::ranked(&groups.keys, layouts);
        let frame = Arc::new(Frame { layout, ranks });
        rows.par_iter_mut().for_each(|rows| {
            let mut keys = Vec::new();
            rows.layout.repack(&rows.keys, &frame.layout, &frame.ranks, &mut keys);
            rows.keys = keys;
        });
        let group_keys = frame.pack(&own, &groups);
        Self::of_packed(&frame, groups, group_keys, rows, states, size)
    }

    /// The same of groups and rows whose keys are packed as `frame` says: those of the groups are `group_keys`.
    pub fn of_packed(
        frame: &Arc<Frame>,
        mut groups: Partial,
        group_keys: Vec<Vec<u64>>,
        rows: Vec<Rows>,
        states: &[StateSpec],
        size: usize,
    ) -> Shuffled {
        // From here on the packed keys are all that is needed.
        groups.keys.clear();
        let layout = &frame.layout;
        let count: usize = rows.iter().map(|rows| rows.rows).sum();
        let bounds = Bounds::sample(
            (count + groups.groups).div_ceil(size).clamp(1, MOST_PARTITIONS),
            count + groups.groups,
            rows.iter().map(|rows| &rows.keys).chain([&group_keys]),
            layout.bits(),
        );
        let (group_keys, group_order, group_bounds) = partition_groups(&group_keys, layout, &bounds);
        let (keys, args, row_bounds) = partition_rows(rows, count, layout, &bounds);
        Shuffled {
            frame: Arc::clone(frame),
            states: states.to_vec(),
            keys,
            args,
            bounds: row_bounds,
            groups,
            group_keys,
            group_order,
            group_bounds,
        }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The groups of a partition, in key order.
    pub fn partition(&self, partition: usize) -> Partial {
        let rows = self.bounds[partition]..self.bounds[partition + 1];
        let known = self.group_bounds[partition]..self.group_bounds[partition + 1];
        let order = &self.group_order[known.clone()];
        let (ids, keys) = self.sort(rows.clone(), known);
        let groups = keys.first().map_or(0, Vec::len);
        let state = |(spec, found): (&StateSpec, &State)| {
            if rows.is_empty() {
                // Every group has a key of its own: they only have to stand in order.
                let mut sorted = vec![0; groups];
                ids.iter().zip(order).for_each(|(&id, &group)| sorted[id as usize] = group);
                return found.gather(&sorted);
            }
            let mut state = State::new(spec.kind);
            state.resize(groups);
            let args: Vec<_> = spec.args.iter().map(|&arg| self.args[arg].arg(rows.clone())).collect();
            state.update(&ids[..rows.len()], &args);
            if !order.is_empty() {
                state.merge(&found.gather(order), &ids[rows.len()..]);
            }
            state
        };
        let states = self.states.iter().zip(&self.groups.states).map(state).collect();
        Partial { groups, keys: self.frame.layout.unpack(&keys, &self.frame.ranks), states }
    }

    /// The group of every row and then of every known group of a partition, numbered in key order, and the groups' keys.
    fn sort(&self, rows: Range<usize>, known: Range<usize>) -> (Vec<u32>, Vec<Vec<u64>>) {
        let count = rows.len() + known.len();
        let key = |plane: usize, item: usize| match item.checked_sub(rows.len()) {
            None => self.keys[plane][rows.start + item],
            Some(item) => self.group_keys[plane][known.start + item],
        };
        let planes = self.frame.layout.planes();
        let mut items: Vec<(u64, u32)> = Vec::with_capacity(count);
        items.extend(self.keys[0][rows.clone()].iter().chain(&self.group_keys[0][known.clone()]).copied().zip(0..));
        let mut spare = vec![(0, 0); count];
        sort_items(&mut items, &mut spare);
        for plane in 1..planes {
            items.iter_mut().for_each(|item| item.0 = key(plane, item.1 as usize));
            sort_items(&mut items, &mut spare);
        }
        let mut ids = vec![0; count];
        let mut keys: Vec<Vec<u64>> = (0..planes).map(|_| Vec::with_capacity(count)).collect();
        if planes == 1 {
            let mut last = None;
            for &(word, item) in &items {
                if last != Some(word) {
                    keys[0].push(word);
                    last = Some(word);
                }
                ids[item as usize] = keys[0].len() as u32 - 1;
            }
            return (ids, keys);
        }
        let mut last: Option<u32> = None;
        for &(_, item) in &items {
            let same = |before: u32| (0..planes).all(|p| key(p, before as usize) == key(p, item as usize));
            if !last.is_some_and(same) {
                keys.iter_mut().enumerate().for_each(|(plane, out)| out.push(key(plane, item as usize)));
                last = Some(item);
            }
            ids[item as usize] = keys[0].len() as u32 - 1;
        }
        (ids, keys)
    }
}

/// Bits sorted by at a time: counters for their values fit the L1 cache.
const DIGIT: u32 = 11;

/// Sorts by the word, stably: least significant digits first, and only those in which words differ. Of the bits in which they
/// differ, two digits from the top on nearly tell so few items apart: what is left is sorted by comparison, unless it is much.
fn sort_items(items: &mut Vec<(u64, u32)>, spare: &mut Vec<(u64, u32)>) {
    let first = items.first().map_or(0, |item| item.0);
    let differ = items.iter().fold(0, |bits, item| bits | (item.0 ^ first));
    let skip = (64 - differ.leading_zeros()).saturating_sub(2 * DIGIT);
    if skip <= DIGIT {
        return sort_by_bits(items, spare, differ);
    }
    sort_by_bits(items, spare, differ >> skip << skip);
    let same = |a: &(u64, u32), b: &(u64, u32)| a.0 >> skip == b.0 >> skip;
    let runs = || items.chunk_by(same).filter(|run| run.len() > 1);
    if runs().map(|run| run.len() * run.len().ilog2() as usize).sum::<usize>() > items.len() {
        // Stable: of equal upper digits, the lower ones first, then the upper ones again.
        sort_by_bits(items, spare, differ & ((1 << skip) - 1));
        return sort_by_bits(items, spare, differ >> skip << skip);
    }
    // The sort by digits has kept the order of equal words.
    items.chunk_by_mut(same).filter(|run| run.len() > 1).for_each(|run| run.sort_by_key(|item| item.0));
}

/// Sorts by those digits that have one of the bits `differ`, stably.
fn sort_by_bits(items: &mut Vec<(u64, u32)>, spare: &mut Vec<(u64, u32)>, mut differ: u64) {
    let mut shift = 0;
    while differ != 0 {
        shift += differ.trailing_zeros();
        let digit = |item: &(u64, u32)| (item.0 >> shift) as usize & ((1 << DIGIT) - 1);
        let mut starts = [0u32; 1 << DIGIT];
        items.iter().for_each(|item| starts[digit(item)] += 1);
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        for item in items.iter() {
            let start = &mut starts[digit(item)];
            spare[*start as usize] = *item;
            *start += 1;
        }
        std::mem::swap(items, spare);
        differ = (differ >> differ.trailing_zeros()) >> DIGIT;
        shift += DIGIT;
    }
}

/// The bounds of partitions, by the most significant 64 bits of keys.
pub(super) struct Bounds {
    /// Ascending; partition `i` begins at splitter `i - 1`.
    splitters: Vec<u64>,
    /// For the upper bits of a prefix, the partitions it can be in.
    cells: Vec<(u16, u16)>,
}

impl Bounds {
    const CELL_BITS: u32 = 12;

    /// Bounds of about `partitions` partitions, from a sample of the `count` packed keys of `blocks`.
    pub fn sample<'a>(
        partitions: usize,
        count: usize,
        blocks: impl Iterator<Item = &'a Vec<Vec<u64>>>,
        bits: u32,
    ) -> Bounds {
        let step = (count / (partitions * SAMPLE)).max(1);
        let mut sample = Vec::with_capacity(partitions * SAMPLE + 1);
        let mut next = step / 2;
        for keys in blocks {
            let rows = keys[0].len();
            while next < rows {
                sample.push(prefix(keys, bits, next));
                next += step;
            }
            next -= rows;
        }
        sample.sort_unstable();
        let at = |partition: usize| sample.get(partition * sample.len() / partitions).copied();
        let mut splitters: Vec<u64> = (1..partitions).filter_map(at).collect();
        splitters.dedup();
        let before = |end: u64| splitters.partition_point(|&s| s <= end) as u16;
        let cell = |cell: u64| {
            let low = cell << (64 - Self::CELL_BITS);
            (before(low), before(low | u64::MAX >> Self::CELL_BITS))
        };
        let cells = (0..1 << Self::CELL_BITS).map(cell).collect();
        Bounds { splitters, cells }
    }

    pub fn partitions(&self) -> usize {
        self.splitters.len() + 1
    }

    #[inline]
    fn of(&self, prefix: u64) -> u16 {
        let (first, last) = self.cells[(prefix >> (64 - Self::CELL_BITS)) as usize];
        if first == last {
            return first;
        }
        first + self.splitters[first as usize..last as usize].partition_point(|&s| s <= prefix) as u16
    }

    /// The partition of every key.
    pub fn all(&self, keys: &[Vec<u64>], bits: u32) -> Vec<u16> {
        if let ([keys], 1..=64) = (keys, bits) {
            return keys.iter().map(|key| self.of(key << (64 - bits))).collect();
        }
        (0..keys[0].len()).map(|row| self.of(prefix(keys, bits, row))).collect()
    }
}

/// The most significant 64 bits of a key of `bits` bits; fewer stand at the upper end.
fn prefix(keys: &[Vec<u64>], bits: u32, row: usize) -> u64 {
    let top = keys[keys.len() - 1][row];
    match bits % 64 {
        _ if bits == 0 => 0,
        0 => top,
        upper => {
            let below = if keys.len() > 1 { keys[keys.len() - 2][row] >> upper } else { 0 };
            top << (64 - upper) | below
        }
    }
}

fn running(counts: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut sum = 0;
    std::iter::once(0)
        .chain(counts.map(|count| {
            sum += count;
            sum
        }))
        .collect()
}

/// Packed keys by partition, which group each was, and where each partition begins.
fn partition_groups(keys: &[Vec<u64>], layout: &Layout, bounds: &Bounds) -> (Vec<Vec<u64>>, Vec<u32>, Vec<usize>) {
    let partitions = bounds.all(keys, layout.bits());
    let mut counts = vec![0; bounds.partitions()];
    partitions.iter().for_each(|&p| counts[p as usize] += 1);
    let starts = running(counts.into_iter());
    let mut next = starts.clone();
    let mut order = vec![0; partitions.len()];
    for (group, &p) in partitions.iter().enumerate() {
        order[next[p as usize]] = group as u32;
        next[p as usize] += 1;
    }
    let keys = keys.iter().map(|plane| order.iter().map(|&group| plane[group as usize]).collect()).collect();
    (keys, order, starts)
}

/// Some blocks of rows, and the partition of every row.
type Task = Vec<(Rows, Vec<u16>)>;

/// The packed keys of rows and their arguments by partition, and where each partition begins.
fn partition_rows(
    rows: Vec<Rows>,
    count: usize,
    layout: &Layout,
    bounds: &Bounds,
) -> (Vec<Vec<u64>>, Vec<ArgColumn>, Vec<usize>) {
    let partitions = bounds.partitions();
    let mut args: Vec<ArgColumn> = Vec::new();
    if let Some(first) = rows.first() {
        for (arg, values) in first.args.iter().enumerate() {
            args.push(values.like(count, rows.iter().any(|rows| rows.args[arg].valid.is_some())));
        }
    }
    // A task has many blocks, so that there are few places to find for each partition.
    let size = rows.len().div_ceil(rayon::current_num_threads() * 4).max(1);
    let mut tasks: Vec<Task> = Vec::new();
    for rows in rows {
        match tasks.last_mut().filter(|task| task.len() < size) {
            Some(task) => task.push((rows, Vec::new())),
            None => tasks.push(vec![(rows, Vec::new())]),
        }
    }
    let counts: Vec<Vec<usize>> = tasks
        .par_iter_mut()
        .map(|task| {
            let mut counts = vec![0; partitions];
            for (rows, found) in task {
                *found = bounds.all(&rows.keys, layout.bits());
                found.iter().for_each(|&p| counts[p as usize] += 1);
            }
            counts
        })
        .collect();
    let take = std::mem::take::<Vec<u64>>;
    let keys = (0..layout.planes()).map(|plane| {
        let mut out = vec![0; count];
        scatter(&mut out, &counts, &mut tasks, 0, |rows| Some(take(&mut rows.keys[plane])));
        out
    });
    let keys = keys.collect();
    for (arg, values) in args.iter_mut().enumerate() {
        macro_rules! scatter_as {
            ($out:expr, $arm:ident, $zero:expr) => {
                scatter($out, &counts, &mut tasks, $zero, |rows| match &mut rows.args[arg].data {
                    ArgData::$arm(v, ..) => Some(std::mem::take(v)),
                    _ => None,
                })
            };
        }
        match &mut values.data {
            ArgData::Bool(out) => scatter_as!(out, Bool, 0),
            ArgData::Int(out) => scatter_as!(out, Int, 0),
            ArgData::Wide(out) => scatter_as!(out, Wide, 0),
            ArgData::Float(out) => scatter_as!(out, Float, 0.0),
            ArgData::Str(out, _) => scatter_as!(out, Str, 0),
        }
        if let Some(valid) = &mut values.valid {
            scatter(valid, &counts, &mut tasks, 1, |rows| rows.args[arg].valid.take());
        }
    }
    let starts = running((0..partitions).map(|p| counts.iter().map(|counts| counts[p]).sum()));
    (keys, args, starts)
}

/// Brings a column of all tasks' rows into `out` by partition; it is `default` throughout a block without it. `counts` has
/// every task's rows in each partition.
fn scatter<T: Copy + Send + Sync>(
    out: &mut [T],
    counts: &[Vec<usize>],
    tasks: &mut [Task],
    default: T,
    column: impl Fn(&mut Rows) -> Option<Vec<T>> + Sync,
) {
    // Every task's places, by partition.
    let mut places: Vec<Vec<IterMut<'_, T>>> = counts.iter().map(|counts| Vec::with_capacity(counts.len())).collect();
    let mut rest = out;
    for partition in 0..counts.first().map_or(0, Vec::len) {
        for (places, counts) in places.iter_mut().zip(counts) {
            let (own, after) = rest.split_at_mut(counts[partition]);
            places.push(own.iter_mut());
            rest = after;
        }
    }
    tasks.par_iter_mut().zip(places).for_each(|(task, mut places)| {
        for (rows, partitions) in task {
            let mut put = |partition: u16, value| {
                if let Some(place) = places[partition as usize].next() {
                    *place = value;
                }
            };
            match column(rows) {
                Some(values) => partitions.iter().zip(values).for_each(|(&p, value)| put(p, value)),
                None => partitions.iter().for_each(|&p| put(p, default)),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agg::{Arg, Merger, Slice, StateKind};
    use crate::column::key::{int_word, wide_word};
    use crate::column::{Class, Dictionary, KeyColumn};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    type Row = (Option<i64>, i128, Option<&'static str>, f64, bool, i64);

    fn specs() -> Vec<StateSpec> {
        [
            (StateKind::Rows, vec![]),
            (StateKind::Count, vec![0]),
            (StateKind::Sum(Class::Float), vec![0]),
            (StateKind::Product(Class::Float), vec![0, 0]),
            (StateKind::Max(Class::Int), vec![1]),
            (StateKind::Min(Class::Str), vec![2]),
            (StateKind::Sum(Class::Int), vec![1]),
        ]
        .map(|(kind, args)| StateSpec { kind, args })
        .to_vec()
    }

    fn shape() -> Vec<KeyColumn> {
        [Class::Int, Class::Wide, Class::Str].map(|class| KeyColumn::new(class, None)).to_vec()
    }

    fn valid<T>(values: &[Option<T>]) -> Option<Vec<u8>> {
        values.iter().any(Option::is_none).then(|| values.iter().map(|v| u8::from(v.is_some())).collect())
    }

    fn keys(rows: &[Row], dict: &Arc<Dictionary>) -> Vec<KeyColumn> {
        let mut keys = shape();
        let ints: Vec<_> = rows.iter().map(|r| r.0).collect();
        keys[0].lo = ints.iter().map(|v| v.map_or(0, int_word)).collect();
        keys[0].valid = valid(&ints);
        keys[1].lo = rows.iter().map(|r| wide_word(r.1) as u64).collect();
        keys[1].hi = rows.iter().map(|r| (wide_word(r.1) >> 64) as u64).collect();
        let texts: Vec<_> = rows.iter().map(|r| r.2).collect();
        keys[2].lo = texts.iter().map(|t| t.map_or(0, |t| dict.intern(t).unwrap().into())).collect();
        keys[2].valid = valid(&texts);
        keys[2].dict = Some(Arc::clone(dict));
        keys
    }

    /// Calls `each` with the keys and arguments of `rows`.
    fn with<T>(rows: &[Row], dict: &Arc<Dictionary>, each: impl FnOnce(&[KeyColumn], &[Arg<'_>]) -> T) -> T {
        let floats: Vec<f64> = rows.iter().map(|r| r.3).collect();
        let ok: Vec<u8> = rows.iter().map(|r| r.4.into()).collect();
        let ints: Vec<i64> = rows.iter().map(|r| r.5).collect();
        let codes: Vec<u32> = rows.iter().map(|r| dict.intern(r.2.unwrap_or("none")).unwrap()).collect();
        let args = [
            Arg { values: Slice::Float(&floats), valid: ok.contains(&0).then_some(&ok) },
            Arg { values: Slice::Int(&ints), valid: None },
            Arg { values: Slice::Str(&codes, dict), valid: None },
        ];
        each(&keys(rows, dict), &args)
    }

    fn of(rows: &[Row], keys: &[KeyColumn], args: &[Arg<'_>]) -> Rows {
        Rows::new(rows.len(), keys, &KeyRows::of(keys), args)
    }

    fn grouped(rows: &[Row], dict: &Arc<Dictionary>) -> Partial {
        with(rows, dict, |keys, args| {
            let mut merger = Merger::new(&shape(), &specs());
            let (ids, states) = merger.intern(rows.len(), keys);
            for (state, spec) in states.iter_mut().zip(specs()) {
                state.update(ids, &spec.args.iter().map(|&arg| args[arg]).collect::<Vec<_>>());
            }
            merger.finish()
        })
    }

    type Key = (bool, i64, i128, bool, String);

    /// The keys of groups, as they sort, and what their states say.
    fn read(partial: &Partial, dict: &Dictionary) -> Vec<(Key, Vec<String>)> {
        let strings = dict.read();
        let text = |group: usize| {
            let [int, wide, text] = &partial.keys[..] else { panic!("three keys") };
            let string =
                if text.is_valid(group) { strings.get(text.lo[group] as u32).to_string() } else { String::new() };
            let wide = u128::from(wide.hi[group]) << 64 | u128::from(wide.lo[group]);
            let int_value = crate::column::key::word_int(int.lo[group]);
            let int_value = if int.is_valid(group) { int_value } else { 0 };
            (!int.is_valid(group), int_value, crate::column::key::word_wide(wide), !text.is_valid(group), string)
        };
        let state = |state: &State, group: usize| match state {
            State::Count(n) => n[group].to_string(),
            State::FloatSum(s) => format!("{:x}", s.value(group).to_bits()),
            State::FloatProduct(s) => format!("{:x}", s.value(group).to_bits()),
            State::IntSum(s) => format!("{:?}", s.value_i128(group)),
            State::Extreme(e) => format!("{:?}", e.value(group)),
            _ => String::new(),
        };
        (0..partial.groups).map(|g| (text(g), partial.states.iter().map(|s| state(s, g)).collect())).collect()
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let int = prop_oneof![4 => (0..40i64).prop_map(Some), 1 => any::<i64>().prop_map(Some), 1 => Just(None)];
        let wide = prop_oneof![3 => 0..3i128, 1 => any::<i128>()];
        let text = prop_oneof![Just(None), Just(Some("")), Just(Some("b")), Just(Some("a")), Just(Some("é"))];
        let float = prop_oneof![Just(1e300), Just(-1e-300), Just(f64::NAN), Just(0.25), any::<f64>()];
        prop::collection::vec((int, wide, text, float, any::<bool>(), any::<i64>()), 0..60)
    }

    proptest! {
        /// However rows and groups come, partitions give the groups one merge gives, in key order.
        #[test]
        fn partitions_are_the_merge_in_key_order(
            known in rows(),
            blocks in prop::collection::vec(rows(), 0..5),
            narrow: bool,
            size in 1..50usize,
        ) {
            // Narrow keys are one word, the others several.
            let cut = |rows: Vec<Row>| -> Vec<Row> {
                let small = |r: Row| (r.0.map(|v| v & 63), r.1 & 3, r.2, r.3, r.4, r.5);
                rows.into_iter().map(|r| if narrow { small(r) } else { r }).collect()
            };
            let known = cut(known);
            let blocks: Vec<_> = blocks.into_iter().map(cut).collect();
            let dict = Dictionary::new();
            let whole = grouped(&[&known[..], &blocks.concat()[..]].concat(), &dict);
            let rows = blocks.iter().map(|b| with(b, &dict, |keys, args| of(b, keys, args))).collect();
            let shuffled = Shuffled::new(Found { groups: grouped(&known, &dict), rows, spilled: None }, &specs(), size);
            let parts: Vec<_> = (0..shuffled.partitions()).flat_map(|p| read(&shuffled.partition(p), &dict)).collect();
            let expected: BTreeMap<_, _> = read(&whole, &dict).into_iter().collect();
            prop_assert_eq!(parts, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn equal_keys_share_a_partition_whatever_their_number() {
        let dict = Dictionary::new();
        let row = |key: i64| -> Row { (Some(key), 0, None, 1.0, true, 1) };
        let many: Vec<Row> = (0..20_000).map(|i| row(if i % 10 < 9 { 7 } else { i })).collect();
        let rows = many.chunks(500).map(|b| with(b, &dict, |keys, args| of(b, keys, args))).collect();
        let shuffled = Shuffled::new(Found { groups: grouped(&[], &dict), rows, spilled: None }, &specs(), 1000);
        let sizes: Vec<usize> = (0..shuffled.partitions()).map(|p| shuffled.partition(p).groups).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 2001);
        assert!(sizes.len() > 2, "{sizes:?}");
    }

    #[test]
    fn items_sort_by_word_and_stay_in_order() {
        let words = [u64::MAX, 0, 1 << 40, 7, 7, u64::MAX, 1 << 63, 0];
        let mut items: Vec<(u64, u32)> = words.into_iter().zip(0..).collect();
        let mut expected = items.clone();
        expected.sort();
        sort_items(&mut items, &mut vec![(0, 0); words.len()]);
        assert_eq!(items, expected);
        // Words that the upper digits tell apart, that they hardly do, and that they do not.
        for cut in [u64::MAX, u64::MAX << 50 | 7, 0x3ff << 54 | 0xffff_ffff] {
            let random = |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) & cut;
            let mut items: Vec<(u64, u32)> = (0..3000).map(|i| random(i % 2900)).zip(0..).collect();
            let mut expected = items.clone();
            expected.sort();
            sort_items(&mut items, &mut vec![(0, 0); 3000]);
            assert_eq!(items, expected);
        }
    }
}
