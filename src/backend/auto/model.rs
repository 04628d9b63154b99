//! What a job costs on each device, by measured rates. Pure functions: no clock, no device, no file.

use super::rates::{AdapterRates, Cost, CpuRates, Row};
use crate::backend::gpu::Strategy;
use crate::column::Class;
use crate::expr::Op;
use crate::plan::Stage;

/// What a stage does to every row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Work {
    /// Bytes of a row a device is given.
    pub bytes: f64,
    /// Operations that are no mere columns or constants.
    pub operations: f64,
    /// How many states of each kind of [`Cost::ALL`].
    pub states: [f64; 6],
    /// Key columns.
    pub keys: usize,
}

impl Work {
    /// That of `stage`.
    pub fn of(stage: &Stage) -> Work {
        let program = &stage.program;
        let width = |class: Class| match class {
            Class::Bool => 1.0,
            Class::Int | Class::Float => 8.0,
            Class::Wide => 16.0,
            Class::Str => 4.0,
        };
        let mut states = [0.0; 6];
        for state in &stage.states {
            states[Cost::of(state.kind) as usize] += 1.0;
        }
        let works = |op: &Op| !matches!(op, Op::Column(_) | Op::Literal(_) | Op::Null | Op::Retype);
        Work {
            bytes: program.columns.iter().map(|c| c.ty.class().map_or(0.0, width)).sum(),
            operations: program.nodes.iter().filter(|node| works(&node.op)).count() as f64,
            states,
            keys: stage.keys.len(),
        }
    }

    fn states(&self, row: &Row) -> f64 {
        self.states.iter().zip(row.states).map(|(count, seconds)| count * seconds).sum()
    }

    /// Seconds a row on `threads` threads of the CPU, with `groups` groups in all; reading it not counted.
    pub fn cpu_row(&self, rates: &CpuRates, threads: usize, groups: f64) -> f64 {
        let row = |row: &Row| row.group * (self.keys.max(1) as f64) + self.states(row);
        let found = between(&rates.rows, groups, row) + self.operations * rates.operation;
        found * rates.threads as f64 / threads.max(1) as f64
    }

    /// Seconds a row on an adapter, in chunks of `rows` rows; reading it not counted.
    pub fn gpu_row(&self, rates: &AdapterRates, groups: f64, rows: f64) -> f64 {
        let bits = groups.max(1.0).log2().ceil();
        let found = if bits <= f64::from(Strategy::DIRECT_BITS) {
            rates.direct.group + self.states(&rates.direct)
        } else {
            rates.sorted.group * (bits / 8.0).ceil() + self.states(&rates.sorted)
        };
        let rows = rows.max(1.0);
        let moved = self.bytes / rates.upload + rates.chunk / rows + groups.min(rows) / rows * rates.group;
        found + moved + self.operations * rates.operation
    }

    /// Whether there is any number of groups and size of chunks for which a row could be cheaper on the adapter.
    pub fn gpu_may_win(&self, cpu: &CpuRates, threads: usize, adapter: &AdapterRates) -> bool {
        let groups = [1.0, 1e3, 1e4, 1e5, 1e6, 1e7];
        groups.iter().any(|g| self.gpu_row(adapter, *g, 1e8) < self.cpu_row(cpu, threads, *g))
    }
}

/// Along the line between two measured numbers of groups, in their logarithms; beyond the ends as at the ends.
fn between(rows: &[(u64, Row)], groups: f64, cost: impl Fn(&Row) -> f64) -> f64 {
    let at = rows.partition_point(|(measured, _)| (*measured as f64) < groups);
    match (at.checked_sub(1).and_then(|below| rows.get(below)), rows.get(at)) {
        (Some((g0, r0)), Some((g1, r1))) => {
            let (l0, l1) = ((*g0 as f64).ln(), (*g1 as f64).ln());
            let share = (groups.ln() - l0) / (l1 - l0);
            cost(r0) + share * (cost(r1) - cost(r0))
        }
        (None, Some((_, row))) | (Some((_, row)), None) => cost(row),
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rates::tests::rates;
    use super::*;

    fn work() -> Work {
        Work { bytes: 16.0, operations: 1.0, states: [1.0, 0.0, 2.0, 0.0, 0.0, 0.0], keys: 1 }
    }

    #[test]
    fn the_cpu_pays_for_groups_along_the_line_between_what_was_measured() {
        let (rates, work) = (rates(10.0), work());
        let at = |groups| work.cpu_row(&rates.cpu, 2, groups);
        // 2 ns for the group, 0.5 + 2 × 2 for the states, 0.5 for the operation.
        assert!((at(1.0) - 7e-9).abs() < 1e-15 && (at(64.0) - 7e-9).abs() < 1e-15);
        assert!((at(1024.0) - 8e-9).abs() < 1e-15, "halfway between 2^6 and 2^14");
        assert!((at(1e9) - 45e-9).abs() < 1e-13);
        assert_eq!(work.cpu_row(&rates.cpu, 4, 64.0), at(64.0) / 2.0, "more threads");
    }

    #[test]
    fn the_gpu_pays_for_bytes_chunks_digits_and_groups_that_come_back() {
        let (rates, work) = (rates(10.0), work());
        let card = &rates.adapters[0];
        let at = |groups, rows| work.gpu_row(card, groups, rows);
        let bus = 16.0 / 12e9;
        let direct = bus + 0.2e-9 + 0.45e-9 + 0.05e-9;
        assert!((at(1.0, 1e12) - direct).abs() < 1e-13);
        assert!(
            (at(1.0, 1e6) - direct - 1e-9 - 1e-14).abs() < 1e-13,
            "a millisecond over a million rows, one group back"
        );
        let sorted = |digits: f64| bus + digits * 0.2e-9 + 0.45e-9 + 0.05e-9;
        assert!((at(2048.0, 1e12) - sorted(2.0)).abs() < 1e-13);
        assert!((at(1e6, 1e12) - sorted(3.0) - 1e-14).abs() < 1e-13);
        assert!((at(1e9, 1e6) - sorted(4.0) - 1e-9 - 1e-8).abs() < 1e-13, "every row of the chunk comes back");
    }

    #[test]
    fn a_card_behind_a_slow_bus_cannot_win() {
        let mut rates = rates(10.0);
        assert!(work().gpu_may_win(&rates.cpu, 2, &rates.adapters[0]));
        assert!(!work().gpu_may_win(&rates.cpu, 64, &rates.adapters[0]), "many cores");
        rates.adapters[0].upload = 1e8;
        assert!(!work().gpu_may_win(&rates.cpu, 2, &rates.adapters[0]));
    }
}
