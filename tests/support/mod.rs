//! What the tests that compare devices share: a job over a table on the oracle and on every target, results rendered so
//! that equal text is equal bytes.
#![allow(dead_code, reason = "every test file uses its own part of this")]

pub mod render;
pub mod script;

use std::io::Write;
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use script::{Outcome, Script};
use tidemill::backend::gpu::{self, GpuOptions, Strategy};
use tidemill::backend::oracle::{self, Answer, Refusal, Table};
use tidemill::column::{Column, Type, Value};
use tidemill::{Device, Engine, Error, Input, Job, RunReport};

/// An engine with a setting; a case does not know which.
pub struct Target {
    /// What it is, for messages and for [`DEVIATIONS`].
    pub name: String,
    /// The engine.
    pub engine: Engine,
    /// The adapter it must have run on, to the end.
    pub gpu: Option<String>,
}

impl Target {
    /// Runs a job and compares; a run that left the GPU is a difference too.
    pub fn difference(&self, engine: &Engine, job: &Job, input: &Input, expected: &Expected) -> Option<String> {
        let got = engine.run(job, input);
        difference(expected, &got).or_else(|| match (&self.gpu, &got) {
            (Some(name), Ok(report)) if !report.ledger.device.contains(name) || !report.ledger.notes.is_empty() => {
                Some(format!("it ran on {}: {:?}", report.ledger.device, report.ledger.notes))
            }
            _ => None,
        })
    }

    /// Of [`SPLITS`], those for a case: a GPU takes one, since software adapters are slow.
    fn splits(&self, case: &str) -> Vec<&'static [usize]> {
        match self.gpu {
            None => SPLITS.to_vec(),
            Some(_) => vec![SPLITS[case.bytes().map(usize::from).sum::<usize>() % SPLITS.len()]],
        }
    }
}

/// What is known to differ: part of a target's name, part of a case's name, why. Reported when it is used.
pub const DEVIATIONS: &[(&str, &str, &str)] = &[];

/// The CPU with these many threads.
pub fn cpu(threads: usize) -> Target {
    let engine = Engine::new().device(Device::Cpu).threads(threads);
    Target { name: format!("cpu, {threads} threads"), engine, gpu: None }
}

/// Every target there is: the CPU with one thread and with three, and every GPU adapter.
///
/// Without an adapter the tests fail, unless `TIDEMILL_NO_GPU=1` asks to go without: then they say so.
pub fn targets() -> &'static [Target] {
    static TARGETS: OnceLock<Vec<Target>> = OnceLock::new();
    TARGETS.get_or_init(|| {
        let mut targets = vec![cpu(1), cpu(3)];
        targets.extend(gpus());
        say(&format!("targets: {}", targets.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(" | ")));
        targets
    })
}

/// A target for every adapter; `TIDEMILL_ADAPTER` (part of a name) chooses among them.
pub fn gpus() -> Vec<Target> {
    if std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1") {
        say("SKIPPED on the GPU: TIDEMILL_NO_GPU=1");
        return Vec::new();
    }
    let found = gpu::adapters_from_env();
    assert!(!found.is_empty(), "{} (or set TIDEMILL_NO_GPU=1)", gpu::no_adapter());
    let mut targets = Vec::new();
    for adapter in found {
        // The second with small batches, so that batches are merged too.
        for (how, strategy, rows) in [("sort", Strategy::Sort, None), ("direct", Strategy::Direct, Some(61))] {
            let options = GpuOptions { strategy, rows, ..GpuOptions::default() };
            let device = Device::Gpu(Some(adapter.info.index));
            targets.push(Target {
                name: format!("gpu:{} {}, {how}", adapter.info.index, adapter.info.name),
                engine: Engine::new().device(device).threads(2).gpu_options(options),
                gpu: Some(adapter.info.name.clone()),
            });
        }
    }
    targets
}

/// Writes past the test harness, which swallows what a passing test prints.
pub fn say(line: &str) {
    _ = writeln!(std::io::stderr(), "{line}");
}

/// The table as one record batch a split: the lengths are taken in turn, over and over.
pub fn input(table: &Table, splits: &[usize]) -> Input {
    let fields: Vec<Field> = table.columns.iter().map(|(n, t)| Field::new(n, t.to_arrow(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut batches = Vec::new();
    let (mut at, mut lengths) = (0, splits.iter().cycle());
    while at < table.rows.len() {
        let length = lengths.next().copied().unwrap_or(usize::MAX).max(1);
        let end = at.saturating_add(length).min(table.rows.len());
        let arrays = table.columns.iter().enumerate().map(|(i, (_, ty))| {
            let values: Vec<Value> = table.rows[at..end].iter().map(|row| row[i].clone()).collect();
            Column::from_values(ty, &values, None).unwrap().to_arrow().unwrap()
        });
        batches.push(RecordBatch::try_new(schema.clone(), arrays.collect()).unwrap());
        at = end;
    }
    Input::batches(schema, batches).unwrap()
}

/// What must come out, or what must go wrong.
pub type Expected = Result<Answer, Refusal>;

/// Compares what an engine says with what must be. The text of the difference, if there is one.
pub fn difference(expected: &Expected, got: &Result<RunReport, Error>) -> Option<String> {
    match (expected, got) {
        (Ok(answer), Ok(report)) => {
            let (wanted, found) = (render::table(&answer.table), render::report(report));
            if wanted != found {
                return Some(render::differing(&wanted, &found));
            }
            let ledger = &report.ledger;
            let counts = (ledger.rows_filtered, ledger.rows_grouped, ledger.rows_rejected);
            let wanted = (answer.filtered, answer.grouped, answer.rejected.len() as u64);
            let rejected: Vec<u64> = report.rejects.iter().filter_map(|r| r.place.row).collect();
            if counts != wanted || rejected != answer.rejected {
                return Some(format!("(filtered, grouped, rejected) is {counts:?} {rejected:?}, not {answer:?}"));
            }
            None
        }
        (Err(refusal), Err(error)) if refusal.is(error) => None,
        (Err(refusal), Err(error)) => Some(format!("expected {refusal:?}, got the error {error:?}")),
        (Err(refusal), Ok(report)) => Some(format!("expected {refusal:?}, got\n{}", render::report(report))),
        (Ok(answer), Err(error)) => Some(format!("expected\n{}got the error {error:?}", render::table(&answer.table))),
    }
}

/// Splits that leave rows in every kind of odd place.
pub const SPLITS: [&[usize]; 3] = [&[usize::MAX], &[1, 2, 3, 7], &[1000, 1, 64]];

/// Runs a job on the oracle and on all targets, whole and split, strictly and, where rows fail, tolerantly. The text of
/// every difference.
pub fn check(case: &str, job: &Job, table: &Table, targets: &[Target]) -> Vec<String> {
    let expected = oracle::run(job, table, false);
    let mut wrong = Vec::new();
    for target in targets.iter().filter(|t| !deviates(&t.name, case)) {
        for splits in target.splits(case) {
            let input = input(table, splits);
            if let Some(text) = target.difference(&target.engine, job, &input, &expected) {
                wrong.push(format!("{case} on {} split {splits:?}: {text}", target.name));
            }
            if let Err(Refusal::Row(_)) = expected {
                let tolerant = oracle::run(job, table, true);
                let engine = target.engine.clone().max_rejects(u64::MAX);
                if let Some(text) = target.difference(&engine, job, &input, &tolerant) {
                    wrong.push(format!("{case} (tolerant) on {} split {splits:?}: {text}", target.name));
                }
            }
        }
    }
    wrong
}

fn deviates(target: &str, case: &str) -> bool {
    let found = DEVIATIONS.iter().find(|(t, c, _)| target.contains(t) && case.contains(c));
    if let Some((_, _, why)) = found {
        say(&format!("SKIPPED {case} on {target}: {why}"));
    }
    found.is_some()
}

/// Runs every case of a script on every target, the oracle first.
pub fn run_script(file: &str, text: &str) {
    let script = Script::read(text);
    assert!(!script.cases.is_empty(), "{file} has no cases");
    let mut wrong = Vec::new();
    for case in &script.cases {
        let name = format!("{file}: {}", case.name);
        let table = script.table(&case.table);
        // What is written down is first the oracle's to give.
        match (&case.outcome, oracle::run(&case.job, table, false)) {
            (Outcome::Rows(expected), Ok(answer)) => {
                let (expected, got) = (render::table(expected), render::table(&answer.table));
                if expected != got {
                    wrong.push(format!("{name} on the oracle: expected\n{expected}got\n{got}"));
                }
            }
            (Outcome::Rows(_), Err(refusal)) => wrong.push(format!("{name} on the oracle: {refusal:?}")),
            (Outcome::Error(_), Ok(answer)) => {
                wrong.push(format!("{name} on the oracle: no error, but\n{}", render::table(&answer.table)));
            }
            (Outcome::Error(text), expected) => {
                for target in targets() {
                    let got = target.engine.run(&case.job, &input(table, &[3]));
                    let message = got.as_ref().err().map(ToString::to_string).unwrap_or_default();
                    if difference(&expected, &got).is_some() || !message.contains(text.as_str()) {
                        wrong.push(format!("{name} on {}: the error is: {message}", target.name));
                    }
                }
            }
            (Outcome::Oracle, _) => {}
        }
        wrong.extend(check(&name, &case.job, table, targets()));
    }
    finish(wrong);
}

/// Fails with all differences, if there are any.
pub fn finish(wrong: Vec<String>) {
    let shown = wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(wrong.is_empty(), "{} differences, of which\n\n{shown}", wrong.len());
}

/// A column's values from texts; see [`script::value`].
pub fn values(ty: &Type, texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|t| script::value(t, ty)).collect()
}
