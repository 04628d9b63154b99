//! What a run costs once it is under way, counted from the recorded work: no new buffer and no new kernel after the first
//! chunk, every input byte up once, nothing back but groups, and uploads while the device computes.

use std::sync::Arc;

use tidemill::backend::Backend;
use tidemill::backend::gpu::{GpuBackend, GpuOptions, Options, Strategy, Totals};
use tidemill::column::{Chunk, Column, ColumnData, Dictionary, RowsFrom, Type};
use tidemill::plan::Stage;

use crate::data::Random;
use crate::rig::{everywhere, gpu, project, schema, stage};

const COLUMNS: [(&str, Type); 4] = [("k", Type::Int32), ("s", Type::Str), ("i", Type::Int32), ("f", Type::Float64)];

/// A float of two decimals.
fn cents(random: &mut Random) -> f64 {
    random.below(1_000_000) as f64 / 100.0
}

/// Drivers that run a submission before `submit` returns, so that nothing of the host's can overlap it.
const SYNCHRONOUS: [&str; 1] = ["llvmpipe"];

/// Chunks alike: keys `k` below `keys`, 50 strings, integers and floats.
fn chunks(count: usize, rows: usize, keys: u64, float: impl Fn(&mut Random) -> f64) -> Vec<Arc<Chunk>> {
    let mut random = Random::new(31);
    let dict = Dictionary::new();
    let texts: Vec<String> = (0..50).map(|i| format!("text {i}")).collect();
    dict.intern_all(texts.iter().map(String::as_str)).expect("room");
    let column = |ty: Type, data| Column { ty, data, nulls: None };
    (0..count)
        .map(|at| {
            let mut int = |limit| ColumnData::I32((0..rows).map(|_| random.below(limit) as i32).collect());
            let (k, i) = (int(keys), int(1000));
            let codes = (0..rows).map(|_| random.below(50) as u32).collect();
            let floats = (0..rows).map(|_| float(&mut random)).collect();
            let columns = vec![
                column(Type::Int32, k),
                column(Type::Str, ColumnData::Str { codes, dict: Arc::clone(&dict) }),
                column(Type::Int32, i),
                column(Type::Float64, ColumnData::F64(floats)),
            ];
            Arc::new(Chunk { rows, columns, origin: Arc::new(RowsFrom { first: (at * rows) as u64 }) })
        })
        .collect()
}

/// Totals after the first chunk and after all, and the groups of all.
fn totals(backend: &GpuBackend, stage: &Arc<Stage>, chunks: &[Arc<Chunk>]) -> (Totals, Totals, Vec<String>) {
    let mut worker = backend.worker(stage).expect("a worker");
    let mut first = None;
    for chunk in project(stage, chunks) {
        worker.push(chunk).expect("the chunk is taken in");
        first.get_or_insert(backend.totals().expect("the device is open"));
    }
    worker.finish().expect("groups");
    (first.expect("a chunk"), backend.totals().expect("the device is open"), worker.details())
}

#[test]
fn after_the_first_chunk_nothing_is_allocated_and_nothing_compiled() {
    everywhere(|adapter, place| {
        let schema = schema(&COLUMNS);
        for (strategy, filter, keys, states) in [
            (Strategy::Sort, None, &["k", "s"][..], &["sum; f", "sum; i", "rows"][..]),
            (Strategy::Direct, Some("i < 900"), &["s"], &["sum; f", "max; i", "count; i"]),
            (Strategy::Auto, Some("i >= 100"), &["k"], &["distinct; i", "product; f; f"]),
            (Strategy::Auto, None, &[], &["sum; f", "min; s"]),
        ] {
            let stage = stage(&schema, filter, keys, states);
            // Four batches a chunk: both of those that may be in flight have their buffers then.
            let options = GpuOptions { strategy, rows: Some(2048), ..GpuOptions::default() };
            let (first, all, _) = totals(&gpu(adapter, options), &stage, &chunks(4, 8192, 400, cents));
            assert!(first.memory.allocations > 0 && first.compiled > 0, "{place}: {first:?}");
            assert_eq!(all.memory, first.memory, "{place}: {keys:?} {states:?}: allocations");
            assert_eq!(all.compiled, first.compiled, "{place}: {keys:?} {states:?}: kernels");
        }
    });
}

#[test]
fn every_input_byte_goes_up_once_and_only_groups_come_back() {
    everywhere(|adapter, place| {
        let stage = stage(&schema(&COLUMNS), Some("i < 900"), &["k"], &["sum; f", "sum; i", "rows"]);
        let (rows, count, keys) = (40_000, 2, 300);
        for strategy in [Strategy::Sort, Strategy::Direct] {
            let options = GpuOptions { strategy, ..GpuOptions::default() };
            let (_, all, _) = totals(&gpu(adapter, options), &stage, &chunks(count, rows, keys, cents));
            let counters = all.counters;
            // k and i of four bytes, f of eight; the string is not used. Beside them a header, spans, ragged ends.
            let input = (count * rows * 16) as u64;
            let up = counters.uploaded;
            assert!((input..input + 2048).contains(&up), "{place}: {strategy:?}: {up} bytes up for {input}");
            // A group's key, where it starts or how many rows it has, and two sums of four words each; the direct
            // strategy brings all cells, and a few words say how many there are and which bits they use.
            let cells = if strategy == Strategy::Direct { 512 } else { keys };
            let most = count as u64 * (cells * (4 + 4 + 16 + 16) + 1024);
            let back = counters.read_back;
            assert!(back <= most, "{place}: {strategy:?}: {back} bytes back, {most} at most");
        }
    });
}

/// Two batches in flight: the bytes of one go into staging memory while the device is at the one before.
#[test]
fn uploads_overlap_the_work_of_the_batch_before() {
    everywhere(|adapter, place| {
        // Much to compute for few bytes: floats of all exponents, whose products need some forty windows.
        let stage = stage(&schema(&COLUMNS), None, &["k"], &["product; f; f", "sum; f"]);
        let options = GpuOptions { strategy: Strategy::Sort, rows: Some(1 << 14), ..GpuOptions::default() };
        let device = Options { timestamps: true, ..Options::default() };
        let backend = gpu(adapter, GpuOptions { device, ..options });
        let (_, _, details) =
            totals(&backend, &stage, &chunks(3, 1 << 15, 5000, |random| f64::from_bits(random.next())));
        let line = details.iter().find(|line| line.contains("later uploads")).expect("a line about uploads");
        let overlapped: u64 = line.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        let possible = !SYNCHRONOUS.iter().any(|driver| adapter.info.driver.contains(driver));
        assert_eq!(overlapped >= 1, possible, "{place}: {line}");
        assert!(line.contains("of 5 later uploads"), "{place}: {line}");
    });
}
