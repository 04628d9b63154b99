//! `--device auto` with rates handed in: rates that lie are found out while the job runs, and no bit changes.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use tidemill::aggregate::{count, sum, var_pop};
use tidemill::backend::gpu::{Adapter, Fault, Faults, GpuOptions, Options, adapters_from_env, no_adapter};
use tidemill::backend::{AdapterRates, CpuRates, Rates, Row, measure_adapter, measure_cpu};
use tidemill::{Device, Engine, Input, Job, col};

/// The first adapter; `None`, said aloud, where the tests are to go without.
fn adapter() -> Option<Adapter> {
    let found = adapters_from_env().into_iter().next();
    if found.is_none() {
        assert!(std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1"), "{}", no_adapter());
        eprintln!("SKIPPED: no GPU adapter, and TIDEMILL_NO_GPU=1");
    }
    found
}

/// So many chunks that a device has the time to take over, on a busy machine too.
const ROWS: i64 = 1_500_000;

fn input(rows: i64, groups: i64) -> Input {
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 7919 % groups)));
    let value: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 * 0.1 + 1e-9)));
    let batch = RecordBatch::try_from_iter([("k", key), ("x", value)]).expect("equally long");
    Input::batches(batch.schema(), vec![batch]).expect("one schema")
}

fn job() -> Job {
    Job::new().by(["k"]).aggregate(count()).aggregate(sum(col("x"))).aggregate(var_pop(col("x")))
}

/// Rates by which a row costs these seconds on the CPU and on an adapter, which starts at once.
fn lies(adapter: &Adapter, cpu: f64, gpu: f64) -> Rates {
    let row = |group: f64| Row { group, states: [0.0; 6] };
    Rates {
        cpu: CpuRates { threads: 2, rows: vec![(64, row(cpu))], operation: 0.0 },
        adapters: vec![AdapterRates {
            name: adapter.info.name.clone(),
            driver: adapter.info.driver.clone(),
            software: true,
            start: 0.0,
            upload: 1e15,
            readback: 1e15,
            chunk: 0.0,
            direct: row(gpu),
            sorted: row(gpu),
            group: 0.0,
            operation: 0.0,
        }],
    }
}

fn engine() -> Engine {
    Engine::new().threads(2).chunk_bytes(64 << 10)
}

#[test]
fn a_gpu_that_is_slower_than_its_rates_loses_the_rest_of_the_job() {
    let Some(adapter) = adapter() else { return };
    let input = input(ROWS, 1000);
    let cpu = engine().device(Device::Cpu).run(&job(), &input).expect("the job runs");
    // A row on the CPU takes some tens of nanoseconds; no software adapter takes a hundredth of one.
    let auto = engine().rates(lies(&adapter, 1e-6, 1e-13));
    // The first run opens the device, perhaps too late for itself; the second one has it from the start.
    for run in 0..2 {
        let moved = auto.run(&job(), &input).expect("the job runs");
        assert_eq!(moved.batches, cpu.batches);
        assert!(moved.ledger.balances());
        assert_eq!(moved.ledger.rows_grouped, ROWS as u64);
        let ledger = moved.ledger.to_string();
        assert!(ledger.contains("it is opened"), "{ledger}");
        if run == 1 {
            assert_eq!(moved.ledger.device, format!("cpu (2 threads), then {}", adapter.info.name), "{ledger}");
            assert_eq!(moved.ledger.notes.len(), 1, "{ledger}");
            assert!(moved.ledger.notes[0].contains("went back to the CPU"), "{ledger}");
            assert!(
                moved.ledger.details.iter().any(|line| line.contains("batch")),
                "the device did something: {ledger}"
            );
        }
    }
}

#[test]
fn a_cpu_that_is_faster_than_its_rates_keeps_the_job() {
    let Some(adapter) = adapter() else { return };
    let input = input(100_000, 1000);
    let cpu = engine().device(Device::Cpu).run(&job(), &input).expect("the job runs");
    // By the rates the GPU wins a hundred times over; by what the first chunk takes it loses.
    let kept = engine().rates(lies(&adapter, 1e-3, 1e-5)).run(&job(), &input).expect("the job runs");
    assert_eq!(kept.batches, cpu.batches);
    assert_eq!(kept.ledger.device, "cpu (2 threads)");
    let ledger = kept.ledger.to_string();
    assert!(ledger.contains("the CPU goes on") && kept.ledger.notes.is_empty(), "{ledger}");
    assert!(ledger.contains("takes over when the rows left pay for that"), "{ledger}");
    assert!(kept.ledger.stages.iter().all(|(name, _)| name != "upload"), "{ledger}");
}

#[test]
fn a_gpu_that_cannot_win_is_named_in_the_explanation() {
    let Some(adapter) = adapter() else { return };
    let engine = engine().rates(lies(&adapter, 1e-9, 1e-6));
    let text = engine.explain(&job(), &input(1000, 10), false).expect("a plan");
    assert!(
        text.contains("device   cpu (2 threads) (by the measured rates") && text.contains("2000.0 times as long"),
        "{text}"
    );
}

#[test]
fn a_gpu_that_fails_after_it_took_over_changes_no_bit() {
    let Some(adapter) = adapter() else { return };
    let input = input(ROWS, 1000);
    let cpu = engine().device(Device::Cpu).run(&job(), &input).expect("the job runs");
    let device = Options { faults: Faults(vec![(1, Fault::Lost)]), ..Options::default() };
    let options = GpuOptions { device, ..GpuOptions::default() };
    let auto = engine().gpu_options(options).rates(lies(&adapter, 1e-6, 1e-13));
    let mut failed = 0;
    for _ in 0..3 {
        let report = auto.run(&job(), &input).expect("the job runs");
        assert_eq!(report.batches, cpu.batches);
        assert!(report.ledger.balances());
        failed += usize::from(report.ledger.notes.iter().any(|note| note.contains("the device failed")));
    }
    assert!(failed > 0, "the fault was met");
}

#[test]
fn a_device_that_is_not_there_any_more_is_noted() {
    let Some(adapter) = adapter() else { return };
    let mut rates = lies(&adapter, 1e-6, 1e-13);
    rates.adapters[0].driver = "an older one".into();
    let report = engine().rates(rates).run(&job(), &input(200_000, 1000)).expect("the job runs");
    assert_eq!(report.ledger.device, "cpu (2 threads)");
    assert!(report.ledger.notes[0].contains("could not be opened"), "{:?}", report.ledger.notes);
}

/// How near `auto` comes to the better device: `cargo test --release --test auto -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: what others do on the machine shows in it"]
fn auto_is_within_a_tenth_of_the_better_device() {
    let Some(adapter) = adapter() else { return };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = measure_cpu(threads).expect("measured");
    let rates = Rates { cpu, adapters: vec![measure_adapter(&adapter).expect("measured")] };
    println!("{:#}", rates.to_json());
    let engines = [
        Engine::new().device(Device::Cpu),
        Engine::new().device(Device::Gpu(Some(adapter.info.index))),
        Engine::new().rates(rates),
    ];
    let mut worst: f64 = 0.0;
    for rows in [10_000, 100_000, 1_000_000, 3_000_000] {
        for groups in [100, 10_000, 1_000_000] {
            let input = input(rows, groups);
            let mut best = [f64::MAX; 3];
            for _ in 0..7 {
                for (best, engine) in best.iter_mut().zip(&engines) {
                    let started = Instant::now();
                    engine.run(&job(), &input).expect("the job runs");
                    *best = best.min(started.elapsed().as_secs_f64());
                }
            }
            let [cpu, gpu, auto] = best;
            // A tenth of a millisecond is what a clock and a scheduler differ by.
            let times = (auto - 1e-4) / cpu.min(gpu);
            println!("{rows} rows, {groups} groups: cpu {cpu:.5} s, gpu {gpu:.5} s, auto {auto:.5} s: {times:.3}");
            worst = worst.max(times);
        }
    }
    println!("auto / better device, at worst: {worst:.3}");
    assert!(worst <= 1.1, "{worst:.3}");
}
