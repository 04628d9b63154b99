//! A job whose GPU is torn away midway gives the same bytes, and its ledger says so.

use std::fmt::Write;

use tidemill::backend::gpu::{Fault, Faults, GpuOptions, Options, adapters_from_env, no_adapter};
use tidemill::expr::parse_item;
use tidemill::input::OpenOptions;
use tidemill::plan::Named;
use tidemill::{Device, Engine, Input, Job, RunReport};

/// A few thousand rows: a key, integers with nulls, floats over hundreds of binary orders of magnitude.
fn table() -> String {
    let mut text = String::from("k,n,x\n");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for row in 0..6000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let n = if state >> 60 == 0 { "NA".to_owned() } else { (state >> 40).to_string() };
        let scale = ((state >> 32) % 200) as i32 - 100;
        // Writing to a String cannot fail.
        _ = writeln!(text, "key {},{n},{:e}", row % 37, (state >> 20) as f64 * 10f64.powi(scale));
    }
    text
}

fn job() -> Job {
    let aggregates =
        ["count()", "sum(n)", "sum(x)", "mean(x)", "var_samp(x)", "min(x)", "max(k)", "median(x)", "top_k(n, 2)"];
    aggregates.iter().fold(Job::new().by(["k"]), |job, text| {
        let (expr, name) = parse_item(text).expect("an aggregate");
        job.aggregate(Named { name, expr })
    })
}

fn run(input: &Input, device: Device, faults: Vec<(u64, Fault)>) -> RunReport {
    let options =
        GpuOptions { device: Options { faults: Faults(faults), ..Options::default() }, ..GpuOptions::default() };
    let engine = Engine::new().threads(2).chunk_bytes(16 << 10).device(device).gpu_options(options);
    engine.run(&job(), input).expect("the job runs")
}

#[test]
fn a_gpu_torn_away_midway_changes_no_bit_and_is_in_the_ledger() {
    if adapters_from_env().is_empty() {
        assert!(std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1"), "{}", no_adapter());
        eprintln!("SKIPPED: no GPU adapter, and TIDEMILL_NO_GPU=1");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.csv");
    std::fs::write(&path, table()).expect("written");
    let input = Input::open(&[path], &OpenOptions::default()).expect("opened");

    let cpu = run(&input, Device::Cpu, vec![]);
    let gpu = run(&input, Device::Gpu(None), vec![]);
    assert_eq!(gpu.batches, cpu.batches);
    assert_eq!(gpu.ledger.notes, Vec::<String>::new());
    assert!(gpu.ledger.chunks > 10, "enough chunks to have a middle: {}", gpu.ledger.chunks);

    for at in [0, 1, 5, 12, 20] {
        for fault in [Fault::Lost, Fault::Validation] {
            let torn = run(&input, Device::Gpu(None), vec![(at, fault)]);
            assert_eq!(torn.batches, cpu.batches, "{fault:?} at submission {at}");
            assert!(torn.ledger.balances());
            assert_eq!(torn.ledger.rows_grouped, 6000);
            let notes = torn.ledger.notes.join("\n");
            assert!(notes.contains("the device failed") && notes.contains("CPU"), "{fault:?} at {at}: {notes:?}");
        }
    }
}
