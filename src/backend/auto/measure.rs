//! Measures rates: the workers that run jobs are run over small tables, and what each part costs is the difference
//! between two that differ in it.

use std::sync::Arc;
use std::time::Instant;

use super::rates::{AdapterRates, CpuRates, Row};
use crate::backend::cpu::Cpu;
use crate::backend::gpu::{Adapter, GpuBackend, GpuOptions, Kind};
use crate::backend::{Backend, Failure, Worker};
use crate::column::{Chunk, Column, ColumnData, Field, RowsFrom, Schema, Type};
use crate::expr::{Expr, col, lit};
use crate::plan::aggregate::{count, count_distinct, max, sum, var_pop};
use crate::plan::{Job, Stage, lower};
use crate::{Error, Result};

/// Rows of a table.
const ROWS: usize = 1 << 20;
/// Of a table for a software adapter, which takes its time.
const SOFTWARE_ROWS: usize = 1 << 17;
/// Rows of a table that is almost none.
const FEW: usize = 1 << 12;
/// Groups of tables with few: an array on the CPU, cells on a GPU.
const DIRECT: usize = 64;
/// Groups whose keys are sorted in two digits on a GPU.
const SORTED: usize = 1 << 12;
/// As many digits and more groups to bring back.
const MANY: usize = 1 << 16;

/// A stage over `k`, `i` and `x` with one aggregate.
fn stage(aggregate: Expr) -> Result<Arc<Stage>> {
    let fields = [("k", Type::Int64), ("i", Type::Int64), ("x", Type::Float64)];
    let schema = Schema { fields: fields.map(|(name, ty)| Field::new(name, ty)).to_vec() };
    Ok(lower(&Job::new().by(["k"]).aggregate(aggregate), &schema)?.stage)
}

/// A table for `stage`: keys in no order, no value 0.
fn table(stage: &Stage, rows: usize, groups: usize) -> Arc<Chunk> {
    // An odd factor permutes what is below a power of two.
    let key = |row: usize| (row.wrapping_mul(0x9e37_79b1) % groups) as i64;
    let column = |name: &str| match name {
        "k" => (Type::Int64, ColumnData::I64((0..rows).map(key).collect())),
        "i" => (Type::Int64, ColumnData::I64((0..rows).map(|row| row as i64 * 31 + 1).collect())),
        _ => (Type::Float64, ColumnData::F64((0..rows).map(|row| row as f64 * 0.37 + 1.0).collect())),
    };
    let columns = stage.program.columns.iter().map(|c| {
        let (ty, data) = column(&c.name);
        Column { ty, data, nulls: None }
    });
    Arc::new(Chunk { rows, columns: columns.collect(), origin: Arc::new(RowsFrom { first: 0 }) })
}

/// Seconds a worker takes for a chunk, all of it.
fn work(worker: &mut dyn Worker, chunk: &Arc<Chunk>) -> Result<f64> {
    let failed = |failure| match failure {
        Failure::Job(error) | Failure::Device { error, .. } => error,
    };
    let started = Instant::now();
    worker.push(Arc::clone(chunk)).map_err(failed)?;
    worker.finish().map_err(failed)?;
    Ok(started.elapsed().as_secs_f64())
}

/// Each state of [`super::Cost::ALL`], as the aggregate that has it beside what one without it has.
fn aggregates() -> [Expr; 6] {
    let (i, x) = (|| col("i"), || col("x"));
    [count(), sum(i()), sum(x()), var_pop(x()), max(i()), count_distinct(i())]
}

/// The costs of a row, from the time that a row takes with each of [`aggregates`], where `time(stage)` is that.
fn row(mut time: impl FnMut(&Arc<Stage>) -> Result<f64>) -> Result<Row> {
    let mut times = [0.0; 6];
    for (seconds, aggregate) in times.iter_mut().zip(aggregates()) {
        *seconds = time(&stage(aggregate)?)?;
    }
    let [counted, int, float, moments, extreme, bag] = times;
    // A count reads nothing but the groups: a tenth of finding them, about. var_pop is a count, a sum and a product.
    let group = counted * 0.9;
    let beyond = |seconds: f64| (seconds - group).max(counted * 0.05);
    let states = [
        counted * 0.1,
        beyond(int),
        beyond(float),
        (moments - float).max(counted * 0.05),
        beyond(extreme),
        beyond(bag),
    ];
    Ok(Row { group, states })
}

/// Measures the CPU with `threads` threads: some seconds.
///
/// # Errors
/// None that can be foreseen.
pub fn measure_cpu(threads: usize) -> Result<CpuRates> {
    let cpu = Cpu::new(1);
    // All threads at once, since they share caches and memory.
    let time = |stage: &Arc<Stage>, groups: usize| -> Result<f64> {
        let chunk = table(stage, ROWS, groups);
        let mut best = f64::MAX;
        for _ in 0..2 {
            let workers = (0..threads).map(|_| cpu.worker(stage)).collect::<Result<Vec<_>>>()?;
            let started = Instant::now();
            std::thread::scope(|scope| {
                let chunk = &chunk;
                let running: Vec<_> =
                    workers.into_iter().map(|mut worker| scope.spawn(move || work(&mut *worker, chunk))).collect();
                running.into_iter().try_for_each(|thread| match thread.join() {
                    Ok(done) => done.map(|_| ()),
                    Err(panic) => std::panic::resume_unwind(panic),
                })
            })?;
            best = best.min(started.elapsed().as_secs_f64());
        }
        Ok(best / (ROWS * threads) as f64)
    };
    let mut rows = Vec::new();
    for groups in [DIRECT, 1 << 14, ROWS] {
        rows.push((groups as u64, row(|stage| time(stage, groups))?));
    }
    let plain = time(&stage(sum(col("x")))?, DIRECT)?;
    let mapped = time(&stage(sum(col("x") * lit(1.5) + lit(2.0)))?, DIRECT)?;
    Ok(CpuRates { threads, rows, operation: ((mapped - plain) / 2.0).max(0.0) })
}

/// Measures an adapter: a second or two, of a software adapter more.
///
/// # Errors
/// Whatever the device meets.
pub fn measure_adapter(adapter: &Adapter) -> Result<AdapterRates> {
    let software = adapter.info.kind == Kind::Software;
    let rows = if software { SOFTWARE_ROWS } else { ROWS };
    let moved = GpuBackend::open(adapter, GpuOptions::default())?.measure()?;
    // Opened anew: the first chunk of a job pays for that, and for its kernels.
    let started = Instant::now();
    let backend = GpuBackend::open(adapter, GpuOptions::default())?;
    let first = stage(sum(col("x")))?;
    let few = table(&first, FEW, DIRECT);
    work(&mut *backend.worker(&first)?, &few)?;
    let cold = started.elapsed().as_secs_f64();
    let warm = |stage: &Arc<Stage>, chunk: &Arc<Chunk>| -> Result<f64> {
        let mut worker = backend.worker(stage)?;
        work(&mut *worker, chunk)?;
        Ok(work(&mut *worker, chunk)?.min(work(&mut *worker, chunk)?))
    };
    let chunk = warm(&first, &few)?;
    // What a row takes beyond its chunk's constant and its bytes' way.
    let time = |stage: &Arc<Stage>, groups: usize| -> Result<f64> {
        let all = warm(stage, &table(stage, rows, groups))?;
        let bytes = 8.0 * stage.program.columns.len() as f64 / moved.upload;
        Ok(((all - chunk) / rows as f64 - bytes).max(1e-12))
    };
    let direct = row(|stage| time(stage, DIRECT))?;
    let mut sorted = row(|stage| time(stage, SORTED))?;
    let counted = stage(count())?;
    let group = (time(&counted, MANY)? - time(&counted, SORTED)?) * rows as f64 / (MANY - SORTED) as f64;
    sorted.group /= 2.0;
    let plain = time(&first, DIRECT)?;
    let mapped = time(&stage(sum(col("x") * lit(1.5) + lit(2.0)))?, DIRECT)?;
    let start = cold - chunk;
    if !start.is_finite() {
        return Err(Error::internal("a device that took no time"));
    }
    Ok(AdapterRates {
        name: adapter.info.name.clone(),
        driver: adapter.info.driver.clone(),
        software,
        start: start.max(0.0),
        upload: moved.upload,
        readback: moved.readback,
        chunk,
        direct,
        sorted,
        group: group.max(0.0),
        operation: ((mapped - plain) / 2.0).max(0.0),
    })
}
