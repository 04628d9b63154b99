//! Devices that fail, at every submission: nothing is lost and nothing is counted twice.

use std::sync::Arc;

use tidemill::backend::Backend;
use tidemill::backend::cpu::Cpu;
use tidemill::backend::gpu::{Fault, Faults, GpuOptions, Options, Strategy};

use crate::data::{Fill, columns, table};
use crate::oracle;
use crate::rig::{everywhere, gpu, project, run, run_with_help, stage};

const FILL: Fill = Fill { keys: 9, nulls: 7, finite: true };

fn options(faults: Vec<(u64, Fault)>, rows: Option<usize>) -> GpuOptions {
    let device = Options { faults: Faults(faults), ..Options::default() };
    GpuOptions { device, strategy: Strategy::Sort, rows, ..GpuOptions::default() }
}

#[test]
fn a_failure_at_any_submission_hands_back_what_is_not_merged() {
    let stage = stage(&columns(), Some("q > 9"), &["k"], &["rows", "sum; i", "sum; 100 // z"]);
    let chunks = project(&stage, &table(11, &[2000, 1500, 1800], FILL));
    let want = oracle::run(&stage, &chunks);
    everywhere(|adapter, place| {
        let (_, details) = run(&gpu(adapter, options(Vec::new(), None)), &stage, &chunks).expect(place);
        let submissions: u64 = details.iter().map(|line| number_before(line, " submissions")).sum();
        assert!(submissions >= 12, "{details:?}");
        for fault in [Fault::Lost, Fault::Validation, Fault::OutOfMemory] {
            let mut failed = 0;
            for at in 0..submissions + 2 {
                let place = format!("{place}, {fault:?} at {at}");
                let backend = gpu(adapter, options(vec![(at, fault)], None));
                let mut worker = backend.worker(&stage).expect("the device opens");
                let mut other = Cpu::new(1).worker(&stage).expect("the CPU is there");
                let (got, failures) = run_with_help(&mut *worker, &mut *other, &stage, &chunks);
                got.assert_is(&want, &place);
                failed += failures;
                if fault == Fault::OutOfMemory {
                    assert_eq!(failures, 0, "{place}: smaller batches cure it");
                    let events = worker.details().iter().filter(|line| line.contains("batches are of")).count();
                    assert_eq!(events, usize::from(at < submissions), "{place}: {:?}", worker.details());
                }
            }
            assert!(
                fault == Fault::OutOfMemory || failed as u64 >= submissions,
                "{place}: {fault:?} was felt {failed} times"
            );
        }
    });
}

/// The number in front of a word in a line of details.
fn number_before(line: &str, word: &str) -> u64 {
    line.split(word).next().and_then(|s| s.rsplit(' ').next()).and_then(|s| s.parse().ok()).unwrap_or(0)
}

#[test]
fn memory_that_is_never_enough_ends_at_the_floor() {
    let stage = stage(&columns(), None, &["k"], &["sum; i"]);
    let chunks = project(&stage, &table(12, &[9000], FILL));
    let want = oracle::run(&stage, &chunks);
    everywhere(|adapter, place| {
        let always = (0..100).map(|at| (at, Fault::OutOfMemory)).collect();
        let backend = gpu(adapter, options(always, None));
        let mut worker = backend.worker(&stage).expect("the device opens");
        let mut other = Cpu::new(1).worker(&stage).expect("the CPU is there");
        let (got, failures) = run_with_help(&mut *worker, &mut *other, &stage, &chunks);
        got.assert_is(&want, place);
        assert_eq!(failures, 1, "{place}");
        assert!(worker.details().iter().any(|line| line.contains("1 chunks handed back")), "{:?}", worker.details());
    });
}

#[test]
fn a_chunk_cut_into_batches_is_whole_or_not_there() {
    let stage = stage(&columns(), None, &["s"], &["rows", "sum; i"]);
    let chunks = project(&stage, &table(13, &[3000, 2500], FILL));
    let want = oracle::run(&stage, &chunks);
    everywhere(|adapter, place| {
        for at in [4, 7, 10, 13] {
            let backend = gpu(adapter, options(vec![(at, Fault::Lost)], Some(1024)));
            let mut worker = backend.worker(&stage).expect("the device opens");
            let mut other = Cpu::new(1).worker(&stage).expect("the CPU is there");
            let (got, failures) = run_with_help(&mut *worker, &mut *other, &stage, &chunks);
            got.assert_is(&want, &format!("{place}, lost at {at}"));
            assert!(failures >= 1, "{place}, lost at {at}");
        }
    });
}

#[test]
fn after_a_loss_the_next_worker_has_a_new_device() {
    let stage = stage(&columns(), None, &["k"], &["sum; i"]);
    let chunks = project(&stage, &table(14, &[500], FILL));
    let want = oracle::run(&stage, &chunks);
    everywhere(|adapter, place| {
        let backend = gpu(adapter, options(vec![(0, Fault::Lost)], None));
        assert!(run(&backend, &stage, &chunks).is_err(), "{place}");
        let (got, _) = run(&backend, &stage, &chunks).unwrap_or_else(|e| panic!("{place}: {e:?}"));
        got.assert_is(&want, place);
        // Two workers of one device, in turns.
        let (mut a, mut b) = (backend.worker(&stage).expect(place), backend.worker(&stage).expect(place));
        for _ in 0..2 {
            a.push(Arc::clone(&chunks[0])).expect(place);
            b.push(Arc::clone(&chunks[0])).expect(place);
        }
        assert_eq!(a.finish().expect(place).0.groups, b.finish().expect(place).0.groups);
    });
}
