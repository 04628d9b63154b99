//! Every case on every target: the oracle, the CPU with one thread and with three, and each GPU adapter, each with the
//! input whole and in odd pieces. A case is data and names no target; equal means equal bytes.

#[path = "../support/mod.rs"]
mod support;

mod product;

use support::script::{Outcome, Script};
use support::{check, difference, finish, render, targets};
use tidemill::backend::oracle;

fn run(file: &str, text: &str) {
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
                    let got = target.engine.run(&case.job, &support::input(table, &[3]));
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

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            run(stringify!($name), include_str!(concat!("cases/", stringify!($name), ".txt")));
        })+

        #[test]
        fn every_script_is_run() {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases");
            let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
            let mut found: Vec<String> = files.map(|f| f.file_stem().unwrap().to_str().unwrap().into()).collect();
            found.sort();
            let mut known = vec![$(stringify!($name)),+];
            known.sort();
            assert_eq!(found, known);
        }
    };
}

scripts!(keys, filters, finishing, floats, errors, lists, expressions);
