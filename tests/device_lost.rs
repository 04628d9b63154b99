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

/// A file with the table, if there is a GPU.
fn table_for_gpu() -> Option<(tempfile::TempDir, Input)> {
    if adapters_from_env().is_empty() {
        assert!(std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1"), "{}", no_adapter());
        eprintln!("SKIPPED: no GPU adapter, and TIDEMILL_NO_GPU=1");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.csv");
    std::fs::write(&path, table()).expect("written");
    let input = Input::open(&[path], &OpenOptions::default()).expect("opened");
    Some((folder, input))
}

#[test]
fn a_gpu_torn_away_midway_changes_no_bit_and_is_in_the_ledger() {
    let Some((_folder, input)) = table_for_gpu() else { return };
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

#[test]
fn groups_of_a_gpu_that_do_not_fit_the_memory_go_to_disk_also_when_it_is_torn_away() {
    let Some((folder, input)) = table_for_gpu() else { return };
    let run = |device, faults, memory: Option<u64>| {
        let options = GpuOptions {
            device: Options { faults: Faults(faults), ..Options::default() },
            memory: Some(1 << 20),
            ..GpuOptions::default()
        };
        let engine = Engine::new().threads(2).chunk_bytes(16 << 10).device(device).gpu_options(options);
        let engine = engine.temp_dir(folder.path());
        let engine = match memory {
            Some(bytes) => engine.memory(bytes),
            None => engine,
        };
        engine.run(&Job { keys: Job::new().by(["n"]).keys, ..job() }, &input).expect("the job runs")
    };
    let spilled = |report: &RunReport| report.ledger.details.iter().any(|d| d.starts_with("spilled"));
    // Some five thousand groups; beside the program, the GPU and its driver there is room for a part of them.
    let little = Some(109 << 20);
    let plain = run(Device::Cpu, vec![], None);
    assert!(plain.ledger.groups > 5000 && !spilled(&plain), "{:?}", plain.ledger);
    let gpu = run(Device::Gpu(None), vec![], little);
    assert!(spilled(&gpu), "{:?}", gpu.ledger);
    assert_eq!(gpu.ledger.notes, Vec::<String>::new());
    assert!(gpu.batches == plain.batches);
    for at in [3, 9, 15, 21] {
        let torn = run(Device::Gpu(None), vec![(at, Fault::Lost)], little);
        assert!(spilled(&torn) && torn.ledger.balances(), "at submission {at}: {:?}", torn.ledger);
        assert!(torn.ledger.notes.iter().any(|n| n.contains("the device failed")), "at submission {at}");
        assert!(torn.batches == plain.batches, "at submission {at}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
}
