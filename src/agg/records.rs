//! States by record: what the states of a group hold, side by side.
//!
//! States are columns, which is best as long as these stay in a cache. Of hundreds of thousands of groups they do not, and
//! every row brings lines into the cache and out again: one for each state, and how many there are sets the pace, not how
//! long one takes. A record has the states of one group in one line, or two, and each as narrow as values allow.
//!
//! Records take what is common. A block of rows with anything else goes to the columns: columns and records hold parts
//! of the same multiset of rows, and in the end columns take records in.

use bytemuck::{Pod, Zeroable, cast_slice_mut};

use super::exact::{Integer, Strided, SumColumn};
use super::state::take_off_nulls;
use super::{Arg, Extreme, Slice, State, StateKind, StateSpec};
use crate::column::Class;
use crate::column::key::{float_order, int_word};

/// Rows that all states take in before the next: their records stay in the L1 cache, or close to it.
const BLOCK: usize = 1024;

/// Integers up to this, in the rows seen first, are summed in 32 bits.
const SMALL: u128 = 1 << 16;

/// A cache line: records of a power of two of words lie in as few as they can.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u64; 8]);

/// Records of many groups.
#[derive(Debug, Clone)]
pub(super) struct Records {
    lines: Vec<Line>,
    /// Words of a record. The first has the number of rows, if that is counted, in its first half.
    words: usize,
    is_counted: bool,
    /// Rows taken in.
    pub(super) rows: u64,
    /// One for each state.
    fields: Vec<Option<Field>>,
}

/// Where a state is in a record.
#[derive(Debug, Clone, Copy)]
struct Field {
    kind: Kind,
    /// Words before it, or halves of words, as its kind needs.
    at: usize,
    /// The magnitude of a sum of integers is at most this.
    most: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Σx of small integers: half a word.
    SmallSum,
    /// Σx of integers.
    IntSum,
    /// Σx of floats.
    FloatSum,
    /// min or max of 32-bit integers: half a word.
    SmallExtreme,
    /// min or max of integers or floats.
    Extreme,
}

impl Kind {
    /// What may hold `state` for values like those of `arg`.
    fn of(state: &State, kind: StateKind, arg: &Arg<'_>) -> Option<Kind> {
        let most = match arg.values {
            Slice::Int32(xs) => Integer::most_of(xs),
            Slice::Int(xs) => Integer::most_of(xs),
            _ => u128::MAX,
        };
        Some(match (state, kind, arg.values) {
            _ if arg.valid.is_some() => return None,
            (State::IntSum(_), _, Slice::Int32(_) | Slice::Int(_)) if most <= SMALL => Kind::SmallSum,
            (State::IntSum(_), _, Slice::Int32(_) | Slice::Int(_)) => Kind::IntSum,
            (State::FloatSum(_), _, Slice::Float(_)) => Kind::FloatSum,
            (State::Extreme(_), _, Slice::Int32(_)) => Kind::SmallExtreme,
            (
                State::Extreme(_),
                StateKind::Min(Class::Int | Class::Float) | StateKind::Max(Class::Int | Class::Float),
                _,
            ) => Kind::Extreme,
            _ => return None,
        })
    }

    /// Halves of words.
    fn halves(self) -> usize {
        match self {
            Kind::SmallSum | Kind::SmallExtreme => 1,
            Kind::IntSum | Kind::Extreme => 2,
            Kind::FloatSum => 2 * SumColumn::WORDS,
        }
    }
}

impl Records {
    /// For the states `states`, of which the next rows have the arguments `args`; `None` if nothing is to be gained.
    pub(super) fn new(states: &[State], specs: &[StateSpec], args: &[Arg<'_>]) -> Option<Self> {
        let is_counted = states.iter().any(|state| matches!(state, State::Count(_)));
        let kind = |(state, spec): (&State, &StateSpec)| match spec.args[..] {
            [arg] => Kind::of(state, spec.kind, &args[arg]),
            _ => None,
        };
        let kinds: Vec<Option<Kind>> = states.iter().zip(specs).map(kind).collect();
        // Halves of words first: behind them, whole words stand where words begin.
        let mut halves = usize::from(is_counted);
        let mut fields = vec![None; kinds.len()];
        for is_half in [true, false] {
            for (field, kind) in fields.iter_mut().zip(&kinds) {
                let Some(kind) = kind.filter(|kind| (kind.halves() == 1) == is_half) else { continue };
                *field = Some(Field { kind, at: if is_half { halves } else { halves / 2 }, most: 0 });
                halves += kind.halves();
            }
            halves = halves.next_multiple_of(2);
        }
        let words = match halves / 2 {
            3 => 4,
            words => words,
        };
        (words > 0).then(|| Records { lines: Vec::new(), words, is_counted, rows: 0, fields })
    }

    /// Whether `rows` more rows can be counted.
    pub(super) fn has_room(&self, rows: usize) -> bool {
        self.rows + rows as u64 <= u32::MAX.into()
    }

    /// Takes rows in, for which there is room: row `i` belongs to group `ids[i]` of `groups`.
    pub(super) fn update(
        &mut self,
        groups: usize,
        ids: &[u32],
        states: &mut [State],
        specs: &[StateSpec],
        args: &[Arg<'_>],
    ) {
        self.rows += ids.len() as u64;
        let lines = (groups * self.words).div_ceil(8);
        if lines > self.lines.len() {
            self.lines.resize(lines, Line::default());
        }
        for start in (0..ids.len()).step_by(BLOCK) {
            let range = start..(start + BLOCK).min(ids.len());
            let ids = &ids[range.clone()];
            if self.is_counted {
                let mut rows = Strided::<u32>::new(cast_slice_mut(&mut self.lines), 2 * self.words, 0, groups);
                ids.iter().for_each(|&group| *rows.cell(group) += 1);
            }
            for ((state, spec), field) in states.iter_mut().zip(specs).zip(&mut self.fields) {
                let (Some(field), &[arg]) = (field, &spec.args[..]) else { continue };
                let arg = args[arg].slice(range.clone());
                if !field.update(&mut self.lines, self.words, groups, ids, state, arg) {
                    state.resize(groups);
                    state.update(ids, &[arg]);
                }
            }
        }
        for ((state, spec), field) in states.iter_mut().zip(specs).zip(&self.fields) {
            match (state, &spec.args[..]) {
                _ if field.is_some() => {}
                (State::Count(counts), &[arg, ..]) => {
                    if let Some(valid) = args[arg].valid {
                        counts.resize(groups, 0);
                        take_off_nulls(counts, ids, valid);
                    }
                }
                (State::Count(_), []) => {}
                (state, spec) => {
                    state.resize(groups);
                    match *spec {
                        [] => state.update(ids, &[]),
                        [x] => state.update(ids, &[args[x]]),
                        [x, y, ..] => state.update(ids, &[args[x], args[y]]),
                    }
                }
            }
        }
    }

    /// Gives what the records of `groups` groups hold to the columns, rows to `rows`.
    pub(super) fn settle(mut self, groups: usize, states: &mut [State], rows: &mut Vec<u64>) {
        self.lines.resize((groups * self.words).div_ceil(8), Line::default());
        if self.is_counted {
            rows.resize(groups, 0);
            let counted: Strided<u32> = Strided::new(cast_slice_mut(&mut self.lines), 2 * self.words, 0, groups);
            rows.iter_mut().zip(counted.all()).for_each(|(rows, [more])| *rows += u64::from(more));
        }
        for (state, field) in states.iter_mut().zip(&self.fields) {
            if let Some(field) = field {
                field.settle(&mut self.lines, self.words, groups, state);
            }
        }
    }

    /// Bytes held, and as many again for the columns that are to take them in.
    pub(super) fn heap_bytes(&self) -> usize {
        2 * self.lines.capacity() * size_of::<Line>()
    }
}

impl Field {
    /// Takes rows in, if values are as they were expected; else the column has to take them.
    fn update(
        &mut self,
        lines: &mut [Line],
        words: usize,
        groups: usize,
        ids: &[u32],
        state: &mut State,
        arg: Arg<'_>,
    ) -> bool {
        if arg.valid.is_some() {
            return false;
        }
        match (self.kind, state, arg.values) {
            (Kind::SmallSum, State::IntSum(sums), Slice::Int32(xs)) => {
                let cells = Strided::<i32>::new(cast_slice_mut(lines), 2 * words, self.at, groups);
                sums.add_beside(cells, &mut self.most, ids, xs)
            }
            (Kind::SmallSum, State::IntSum(sums), Slice::Int(xs)) => {
                let cells = Strided::<i32>::new(cast_slice_mut(lines), 2 * words, self.at, groups);
                sums.add_beside(cells, &mut self.most, ids, xs)
            }
            (Kind::IntSum, State::IntSum(sums), Slice::Int32(xs)) => {
                let cells = Strided::<i64>::new(cast_slice_mut(lines), words, self.at, groups);
                sums.add_beside(cells, &mut self.most, ids, xs)
            }
            (Kind::IntSum, State::IntSum(sums), Slice::Int(xs)) => {
                let cells = Strided::<i64>::new(cast_slice_mut(lines), words, self.at, groups);
                sums.add_beside(cells, &mut self.most, ids, xs)
            }
            (Kind::FloatSum, State::FloatSum(sums), Slice::Float(xs)) => {
                sums.add_beside(Strided::new(cast_slice_mut(lines), words, self.at, groups), ids, xs);
                true
            }
            (Kind::SmallExtreme, State::Extreme(extreme), Slice::Int32(xs)) => {
                let cells = Strided::<u32>::new(cast_slice_mut(lines), 2 * words, self.at, groups);
                let flip = extreme.flip() as u32;
                Extreme::update_beside(cells, ids, xs.iter().map(|&x| small_word(x) ^ flip))
            }
            (Kind::Extreme, State::Extreme(extreme), values) => {
                let cells = Strided::<u64>::new(cast_slice_mut(lines), words, self.at, groups);
                let flip = extreme.flip();
                match values {
                    Slice::Int32(xs) => {
                        Extreme::update_beside(cells, ids, xs.iter().map(|&x| int_word(x.into()) ^ flip))
                    }
                    Slice::Int(xs) => Extreme::update_beside(cells, ids, xs.iter().map(|&x| int_word(x) ^ flip)),
                    Slice::Float(xs) => Extreme::update_beside(cells, ids, xs.iter().map(|&x| float_order(x) ^ flip)),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn settle(&self, lines: &mut [Line], words: usize, groups: usize, state: &mut State) {
        match (self.kind, state) {
            (Kind::SmallSum, State::IntSum(sums)) => {
                let cells = Strided::<i32>::new(cast_slice_mut(lines), 2 * words, self.at, groups);
                sums.take_in(&cells, self.most);
            }
            (Kind::IntSum, State::IntSum(sums)) => {
                let cells = Strided::<i64>::new(cast_slice_mut(lines), words, self.at, groups);
                sums.take_in(&cells, self.most);
            }
            (Kind::FloatSum, State::FloatSum(sums)) => {
                sums.take_in(&Strided::new(cast_slice_mut(lines), words, self.at, groups));
            }
            (Kind::SmallExtreme, State::Extreme(extreme)) => {
                let cells = Strided::<u32>::new(cast_slice_mut(lines), 2 * words, self.at, groups);
                let flip = extreme.flip() as u32;
                extreme.take_in(groups, cells.all().map(|[best]| (best != 0).then(|| small_int_word(best ^ flip))));
            }
            (Kind::Extreme, State::Extreme(extreme)) => {
                let cells = Strided::<u64>::new(cast_slice_mut(lines), words, self.at, groups);
                let flip = extreme.flip();
                extreme.take_in(groups, cells.all().map(|[best]| (best != 0).then_some(best ^ flip)));
            }
            _ => debug_assert!(false, "a field is of its state"),
        }
    }
}

/// An order-preserving word of 32 bits.
fn small_word(x: i32) -> u32 {
    x as u32 ^ 1 << 31
}

/// [`int_word`] of the integer whose [`small_word`] is given.
fn small_int_word(word: u32) -> u64 {
    int_word(i64::from((word ^ 1 << 31) as i32))
}
