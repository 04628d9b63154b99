//! `tidemill devices`: the adapters there are, and with `--measure` their rates, kept for `--device auto`.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::{Value, json};
use tidemill::aggregate::sum;
use tidemill::backend::Rates;
use tidemill::backend::gpu::{Adapter, AdapterInfo, GpuBackend, GpuOptions, Kind, Measured, adapters, no_adapter};
use tidemill::{Device, Engine, Error, Input, Job, Result, col};

use crate::args::{DevicesArgs, Shape};
use crate::exit::say;
use crate::sink;

/// An adapter and its rates, or why there are none; `None` if nobody asked.
type Listed = (AdapterInfo, Option<Result<Measured>>);

/// Lists the adapters. A machine without any is not an error: the list is empty, and stderr says what would help.
pub fn run(args: &DevicesArgs) -> Result<()> {
    let measure = |adapter: &Adapter| GpuBackend::open(adapter, GpuOptions::default())?.measure();
    let found: Vec<Listed> =
        adapters(None).iter().map(|adapter| (adapter.info.clone(), args.measure.then(|| measure(adapter)))).collect();
    if found.is_empty() {
        say(&format!("tidemill: {}", no_adapter()));
    }
    let cpu = args.measure.then(cpu_rows_per_second).transpose()?;
    match args.format {
        Shape::Json => {
            let adapters: Vec<Value> = found.iter().map(as_json).collect();
            sink::print(&format!("{:#}\n", json!({ "cpu": { "rows_per_second": cpu }, "adapters": adapters })))?;
        }
        Shape::Table => {
            let mut texts: Vec<String> = found.iter().map(as_text).collect();
            texts.extend(cpu.map(|rows| format!("cpu    exact sum of int64 by key: {}\n", millions(rows))));
            sink::print(&texts.join("\n"))?;
        }
    }
    match cpu {
        Some(cpu_rows) => keep(&found, cpu_rows),
        None => Ok(()),
    }
}

/// Keeps the rates of the fastest adapter that is hardware for `--device auto`.
fn keep(found: &[Listed], cpu_rows: f64) -> Result<()> {
    let hardware = found.iter().filter_map(|(info, rates)| match rates {
        Some(Ok(rates)) if info.kind != Kind::Software => Some((info, rates)),
        _ => None,
    });
    let Some((info, rates)) = hardware.max_by(|a, b| a.1.reduce.total_cmp(&b.1.reduce)) else {
        say("tidemill: note: no hardware adapter was measured; --device auto stays with the CPU");
        return Ok(());
    };
    let rates = Rates { adapter: info.name.clone(), upload: rates.upload, gpu_rows: rates.reduce, cpu_rows };
    let path = rates.save()?;
    say(&format!("tidemill: note: --device auto will use these rates, kept in {}", path.display()));
    Ok(())
}

/// Rows a second that all cores take into a sum; finding the group counts as much as the sum. The best of three runs.
fn cpu_rows_per_second() -> Result<f64> {
    const ROWS: i64 = 1 << 22;
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| row % (ROWS / 100))));
    let value: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| row * 31)));
    let batch = RecordBatch::try_from_iter([("k", key), ("v", value)]).map_err(|e| Error::internal(e.to_string()))?;
    let input = Input::batches(batch.schema(), vec![batch])?;
    let job = Job::new().by(["k"]).aggregate(sum(col("v")));
    let engine = Engine::new().device(Device::Cpu).chunk_bytes(4 << 20);
    let mut best = f64::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        engine.run(&job, &input)?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(2.0 * ROWS as f64 / best)
}

fn gigabytes(rate: f64) -> String {
    format!("{:.2} GB/s", rate / 1e9)
}

fn millions(rate: f64) -> String {
    format!("{:.1} million rows/s", rate / 1e6)
}

/// One adapter, some lines.
fn as_text((info, rates): &Listed) -> String {
    let rates = match rates {
        None => String::new(),
        Some(Err(error)) => format!("       not measured: {error}\n"),
        Some(Ok(m)) => format!(
            "       upload {}, readback {}, kernel launch {:.1} us, submission {:.0} us\n       exact sum of int64: {}\n",
            gigabytes(m.upload),
            gigabytes(m.readback),
            m.launch * 1e6,
            m.submission * 1e6,
            millions(m.reduce)
        ),
    };
    let mib = |bytes: u64| indicatif::BinaryBytes(bytes).to_string();
    let subgroups = match info.subgroups {
        Some((low, high)) if low == high => format!("subgroups of {low}"),
        Some((low, high)) => format!("subgroups of {low} to {high}"),
        None => "no subgroups".into(),
    };
    let has = |yes: bool, what: &str| format!("{}{what}", if yes { "" } else { "no " });
    let features = [has(info.int64, "int64"), has(info.float64, "float64"), has(info.timestamps, "timestamps")];
    format!(
        "gpu:{}  {}\n       {}, {}, {}\n       binding {}, buffer {}, {} storage buffers, workgroup {} and {} invocations\n       \
         {subgroups}, {}\n{rates}",
        info.index,
        info.name,
        info.kind,
        info.backend,
        if info.driver.is_empty() { "driver unknown" } else { &info.driver },
        mib(info.max_binding),
        mib(info.max_buffer),
        info.storage_buffers,
        mib(info.workgroup_memory.into()),
        info.invocations,
        features.join(", "),
    )
}

fn as_json((info, rates): &Listed) -> Value {
    let measured = rates.as_ref().map(|rates| match rates {
        Err(error) => json!({ "error": error.to_string() }),
        Ok(m) => json!({
            "upload_bytes_per_second": m.upload,
            "readback_bytes_per_second": m.readback,
            "launch_seconds": m.launch,
            "submission_seconds": m.submission,
            "sum_rows_per_second": m.reduce,
        }),
    });
    json!({
        "device": format!("gpu:{}", info.index),
        "name": info.name,
        "driver": info.driver,
        "backend": info.backend,
        "kind": info.kind.to_string(),
        "max_binding_bytes": info.max_binding,
        "max_buffer_bytes": info.max_buffer,
        "storage_buffers": info.storage_buffers,
        "workgroup_memory_bytes": info.workgroup_memory,
        "workgroup_invocations": info.invocations,
        "subgroup_min": info.subgroups.map(|s| s.0),
        "subgroup_max": info.subgroups.map(|s| s.1),
        "int64": info.int64,
        "float64": info.float64,
        "timestamps": info.timestamps,
        "measured": measured,
    })
}
