//! What was measured, as data; its JSON is described in docs/bench.md.

use serde_json::{Value, json};

use super::stats::{Faster, Ratio, crossover, mad, median};

/// The version of the JSON's fields. It changes when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// A whole report.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What was asked: the job or the generated workloads, in words.
    pub subject: String,
    /// The CPU first, then the GPUs.
    pub processors: Vec<Processor>,
    /// Threads used.
    pub threads: usize,
    /// Counted runs of each measurement.
    pub runs: usize,
    /// All measurements, in the order in which they were taken.
    pub cells: Vec<Cell>,
    /// What makes measurements doubtful.
    pub doubts: Vec<String>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
    /// Whether everything asked for was measured.
    pub complete: bool,
}

/// A CPU or a GPU, and its bandwidths in bytes a second.
#[derive(Debug, Clone, Default)]
pub struct Processor {
    /// `cpu`, `gpu:0` …
    pub device: String,
    /// Its name.
    pub name: String,
    /// Kind, API and driver, or the threads used.
    pub about: String,
    /// A driver that runs on the CPU.
    pub software: bool,
    /// Its own memory.
    pub memory: f64,
    /// From the host.
    pub upload: Option<f64>,
    /// To the host.
    pub readback: Option<f64>,
    /// Seconds from one kernel to the next.
    pub launch: Option<f64>,
    /// Seconds of a submission that does almost nothing.
    pub submission: Option<f64>,
}

/// What a measurement includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Data in memory, device warm.
    Resident,
    /// From the file to the result, device opened anew.
    EndToEnd,
}

impl Scope {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Scope::Resident => "resident",
            Scope::EndToEnd => "end to end",
        }
    }
}

/// One job over one table, on every device.
#[derive(Debug, Clone)]
pub struct Cell {
    /// What is included.
    pub scope: Scope,
    /// The workload, in words.
    pub workload: String,
    /// The group count the table was made for; `None` for a user's data. Ladders are told apart by it.
    pub ladder: Option<u64>,
    /// The format of the file; `memory` where there is none.
    pub format: String,
    /// Rows.
    pub rows: u64,
    /// Groups found.
    pub groups: u64,
    /// Bytes of the columns in memory, or of the file.
    pub bytes: u64,
    /// States fed by every row.
    pub states: u64,
    /// One for each processor of the report, in its order; the CPU's first.
    pub sides: Vec<Side>,
}

/// One device's runs of a cell.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Seconds of the first, uncounted run.
    pub first: f64,
    /// Seconds of the counted runs, as they came.
    pub seconds: Vec<f64>,
    /// Seconds by stage of the run nearest to the median, summed over threads.
    pub stages: Vec<(String, f64)>,
    /// What the device did.
    pub details: Vec<String>,
    /// Whether the result has the CPU's bits.
    pub identical: bool,
    /// Why there is no measurement.
    pub problem: Option<String>,
}

impl Side {
    /// The median of the counted runs; `None` if there are none.
    pub fn median(&self) -> Option<f64> {
        (!self.seconds.is_empty()).then(|| median(&self.seconds))
    }

    /// The spread of the counted runs as a share of their median.
    pub fn noise(&self) -> f64 {
        self.median().map_or(0.0, |middle| mad(&self.seconds) / middle)
    }
}

impl Cell {
    /// CPU time / time of the processor of this index; above 1 the GPU is faster.
    pub fn ratio(&self, gpu: usize) -> Option<Ratio> {
        let (cpu, gpu) = (self.sides.first()?, self.sides.get(gpu)?);
        (!cpu.seconds.is_empty() && !gpu.seconds.is_empty()).then(|| Ratio::of(&cpu.seconds, &gpu.seconds))
    }

    /// Whether two cells are rungs of one ladder.
    pub fn same_ladder(&self, other: &Cell) -> bool {
        (self.scope, &self.workload, self.ladder, &self.format)
            == (other.scope, &other.workload, other.ladder, &other.format)
    }

    /// What tells its ladder from others of the same scope.
    pub fn ladder_name(&self) -> String {
        let format = if self.scope == Scope::EndToEnd { format!(", from {}", self.format) } else { String::new() };
        match self.ladder {
            Some(groups) => format!("{}{format}, {} groups", self.workload, super::text::count(groups)),
            None => format!("{}{format}", self.workload),
        }
    }
}

impl Report {
    /// The ladders of a scope, each a list of cells in ascending order of rows.
    pub fn ladders(&self, scope: Scope) -> Vec<Vec<&Cell>> {
        let mut ladders: Vec<Vec<&Cell>> = Vec::new();
        for cell in self.cells.iter().filter(|cell| cell.scope == scope) {
            match ladders.iter_mut().find(|ladder| ladder[0].same_ladder(cell)) {
                Some(ladder) => ladder.push(cell),
                None => ladders.push(vec![cell]),
            }
        }
        ladders.iter_mut().for_each(|ladder| ladder.sort_by_key(|cell| cell.rows));
        ladders
    }

    /// The largest rung of every ladder of the first workload measured.
    pub fn largest(&self) -> Vec<&Cell> {
        let Some(first) = self.cells.first() else { return Vec::new() };
        let of = |scope| self.ladders(scope).into_iter().filter_map(|ladder| ladder.last().copied());
        of(Scope::Resident).chain(of(Scope::EndToEnd)).filter(|cell| cell.workload == first.workload).collect()
    }

    /// Which device wins where, a sentence for each scope and GPU; then one for each crossing.
    pub fn verdicts(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (gpu, processor) in self.processors.iter().enumerate().skip(1) {
            for scope in [Scope::Resident, Scope::EndToEnd] {
                let ratios: Vec<(&Cell, Ratio)> = self
                    .cells
                    .iter()
                    .filter(|cell| cell.scope == scope)
                    .filter_map(|cell| Some((cell, cell.ratio(gpu)?)))
                    .collect();
                if ratios.is_empty() {
                    continue;
                }
                let times = |which: Faster| ratios.iter().filter(|(_, ratio)| ratio.faster() == which).count();
                let (cpu, device, open) = (times(Faster::Cpu), times(Faster::Gpu), times(Faster::Neither));
                let count = ratios.len();
                let name = &processor.device;
                let mut text = match (cpu, device) {
                    (0, 0) => format!("{}: no difference could be told in {count} measurements", scope.title()),
                    (_, 0) => format!("{}: the CPU wins {cpu} of {count} measurements, {name} none", scope.title()),
                    (0, _) => format!("{}: {name} wins {device} of {count} measurements, the CPU none", scope.title()),
                    _ => format!("{}: the CPU wins {cpu} and {name} {device} of {count} measurements", scope.title()),
                };
                if open > 0 && (cpu, device) != (0, 0) {
                    text.push_str(&format!("; {open} cannot be told apart"));
                }
                let most = |best: Option<&(&Cell, Ratio)>, turned: bool| {
                    best.map(|(cell, ratio)| {
                        let times = if turned { 1.0 / ratio.value } else { ratio.value };
                        let rows = super::text::count(cell.rows);
                        format!("{} times, at {rows} rows: {}", super::text::factor(times), cell.ladder_name())
                    })
                };
                if device > 0
                    && let Some(best) = most(ratios.iter().max_by(|a, b| a.1.value.total_cmp(&b.1.value)), false)
                {
                    text.push_str(&format!("; {name} is at best faster by {best}"));
                }
                if cpu > 0
                    && let Some(best) = most(ratios.iter().min_by(|a, b| a.1.value.total_cmp(&b.1.value)), true)
                {
                    text.push_str(&format!("; the CPU is at best faster by {best}"));
                }
                all.push(text + ".");
            }
            for scope in [Scope::Resident, Scope::EndToEnd] {
                for ladder in self.ladders(scope) {
                    let rungs: Vec<(f64, f64)> =
                        ladder.iter().filter_map(|cell| Some((cell.rows as f64, cell.ratio(gpu)?.value))).collect();
                    if let (Some(rows), Some(last)) = (crossover(&rungs), rungs.last()) {
                        let faster = if last.1 > 1.0 { processor.device.as_str() } else { "the CPU" };
                        all.push(format!(
                            "{}, {}: {faster} is faster from about {} rows on.",
                            scope.title(),
                            ladder[0].ladder_name(),
                            super::text::count(super::text::rough(rows))
                        ));
                    }
                }
            }
        }
        if self.processors.len() < 2 {
            all.push("No GPU was measured: these are the CPU's times alone.".into());
        }
        all
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "format": "tidemill-bench",
            "version": VERSION,
            "tidemill": env!("CARGO_PKG_VERSION"),
            "subject": self.subject,
            "complete": self.complete,
            "threads": self.threads,
            "runs": self.runs,
            "processors": self.processors.iter().map(processor).collect::<Vec<_>>(),
            "cells": self.cells.iter().map(|cell| self.cell(cell)).collect::<Vec<_>>(),
            "verdicts": self.verdicts(),
            "doubts": self.doubts,
            "left_out": self.left_out,
        })
    }

    fn cell(&self, cell: &Cell) -> Value {
        let side = |(at, side): (usize, &Side)| {
            let ratio = (at > 0).then(|| cell.ratio(at)).flatten();
            json!({
                "device": self.processors.get(at).map(|p| &p.device),
                "median_seconds": side.median(),
                "mad_seconds": side.median().map(|_| mad(&side.seconds)),
                "first_seconds": side.first,
                "seconds": side.seconds,
                "cpu_time_over_this": ratio.map(|r| json!({
                    "value": r.value,
                    "low": r.low,
                    "high": r.high,
                    "faster": r.faster().name(),
                })),
                "stage_seconds": side.stages.iter().map(|(name, s)| (name.clone(), json!(s))).collect::<serde_json::Map<_, _>>(),
                "details": side.details,
                "identical": side.identical,
                "problem": side.problem,
            })
        };
        json!({
            "scope": match cell.scope { Scope::Resident => "resident", Scope::EndToEnd => "end_to_end" },
            "workload": cell.workload,
            "groups_asked": cell.ladder,
            "format": cell.format,
            "rows": cell.rows,
            "groups": cell.groups,
            "bytes": cell.bytes,
            "states": cell.states,
            "sides": cell.sides.iter().enumerate().map(side).collect::<Vec<_>>(),
        })
    }
}

fn processor(p: &Processor) -> Value {
    json!({
        "device": p.device,
        "name": p.name,
        "about": p.about,
        "software": p.software,
        "memory_bytes_per_second": p.memory,
        "upload_bytes_per_second": p.upload,
        "readback_bytes_per_second": p.readback,
        "launch_seconds": p.launch,
        "submission_seconds": p.submission,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A cell of two devices with these medians.
    pub fn cell(scope: Scope, rows: u64, cpu: f64, gpu: f64) -> Cell {
        let side = |middle: f64| Side {
            first: middle * 1.1,
            seconds: vec![middle * 0.99, middle, middle * 1.01],
            stages: vec![("read".into(), middle / 4.0), ("merge".into(), middle / 8.0)],
            details: vec!["1 batch <sort>".into()],
            identical: true,
            problem: None,
        };
        Cell {
            scope,
            workload: "uniform keys, sum of floats".into(),
            ladder: Some(100),
            format: if scope == Scope::Resident { "memory".into() } else { "csv".into() },
            rows,
            groups: 100,
            bytes: rows * 16,
            states: 1,
            sides: vec![side(cpu), side(gpu)],
        }
    }

    /// A report with a crossing between 10,000 and 100,000 rows.
    pub fn report() -> Report {
        let processor = |device: &str, upload| Processor {
            device: device.into(),
            name: format!("{device} & co"),
            about: "discrete, vulkan".into(),
            memory: 1e10,
            upload,
            ..Processor::default()
        };
        Report {
            subject: "generated tables".into(),
            processors: vec![processor("cpu", None), processor("gpu:0", Some(5e9))],
            threads: 2,
            runs: 3,
            cells: vec![
                cell(Scope::Resident, 10_000, 0.001, 0.004),
                cell(Scope::Resident, 100_000, 0.008, 0.005),
                cell(Scope::EndToEnd, 100_000, 0.02, 0.4),
            ],
            complete: true,
            ..Report::default()
        }
    }

    #[test]
    fn the_verdict_says_who_wins_where_and_from_when() {
        let verdicts = report().verdicts();
        assert_eq!(
            verdicts[0],
            "resident: the CPU wins 1 and gpu:0 1 of 2 measurements; gpu:0 is at best faster by 1.6 times, at 100,000 rows: \
             uniform keys, sum of floats, 100 groups; the CPU is at best faster by 4.0 times, at 10,000 rows: uniform keys, \
             sum of floats, 100 groups."
        );
        assert!(verdicts[1].starts_with("end to end: the CPU wins 1 of 1 measurements, gpu:0 none"), "{}", verdicts[1]);
        assert!(verdicts[2].ends_with("gpu:0 is faster from about 56,000 rows on."), "{}", verdicts[2]);
        assert_eq!(verdicts.len(), 3);
    }

    #[test]
    fn ratios_in_the_json_are_those_of_its_medians() {
        let json = report().to_json();
        let cells = json["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 3);
        for cell in cells {
            let [cpu, gpu] = [0, 1].map(|at| cell["sides"][at]["median_seconds"].as_f64().unwrap());
            let ratio = cell["sides"][1]["cpu_time_over_this"]["value"].as_f64().unwrap();
            assert!((ratio - cpu / gpu).abs() < 1e-12);
        }
        assert_eq!(json["version"], VERSION);
    }
}
