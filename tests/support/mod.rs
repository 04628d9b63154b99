//! What the tests that compare devices share: a job over a table on the oracle and on every target, results rendered so
//! that equal text is equal bytes.
#![allow(dead_code, reason = "every test file uses its own part of this")]

pub mod render;
pub mod script;

use std::io::Write;
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use tidemill::backend::gpu;
use tidemill::backend::oracle::{self, Answer, Refusal, Table};
use tidemill::column::{Column, Type, Value};
use tidemill::{Device, Engine, Error, Input, Job, RunReport};

/// An engine with a setting; a case does not know which.
pub struct Target {
    /// What it is, for messages and for [`DEVIATIONS`].
    pub name: String,
    /// The engine.
    pub engine: Engine,
}

/// What is known to differ: part of a target's name, part of a case's name, why. Reported when it is used; a deviation
/// that no case needs any more is an error of [`finish`].
pub const DEVIATIONS: &[(&str, &str, &str)] = &[];

/// The CPU with these many threads.
pub fn cpu(threads: usize) -> Target {
    Target { name: format!("cpu, {threads} threads"), engine: Engine::new().device(Device::Cpu).threads(threads) }
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
    let target = |adapter: gpu::Adapter| Target {
        name: format!("gpu:{} {}", adapter.info.index, adapter.info.name),
        engine: Engine::new().device(Device::Gpu(Some(adapter.info.index))).threads(2),
    };
    found.into_iter().map(target).collect()
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
        let end = (at + lengths.next().copied().unwrap_or(usize::MAX).max(1)).min(table.rows.len());
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
                return Some(format!("expected\n{wanted}got\n{found}"));
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
    for (target, splits) in targets.iter().flat_map(|t| SPLITS.iter().map(move |s| (t, *s))) {
        if deviates(&target.name, case) {
            continue;
        }
        let input = input(table, splits);
        let got = target.engine.run(job, &input);
        if let Some(text) = difference(&expected, &got) {
            wrong.push(format!("{case} on {} split {splits:?}: {text}", target.name));
        }
        if let Err(Refusal::Row(_)) = expected {
            let tolerant = oracle::run(job, table, true);
            let got = target.engine.clone().max_rejects(u64::MAX).run(job, &input);
            if let Some(text) = difference(&tolerant, &got) {
                wrong.push(format!("{case} (tolerant) on {} split {splits:?}: {text}", target.name));
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

/// Fails with all differences, if there are any.
pub fn finish(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} differences\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// A column's values from texts; see [`script::value`].
pub fn values(ty: &Type, texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|t| script::value(t, ty)).collect()
}
