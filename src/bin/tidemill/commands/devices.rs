//! `tidemill devices`: the adapters there are, and with `--measure` their rates, kept for `--device auto`.

use serde_json::{Value, json};
use tidemill::Result;
use tidemill::backend::gpu::{Adapter, AdapterInfo, GpuBackend, GpuOptions, Measured, adapters, no_adapter};
use tidemill::backend::{Rates, Row, measure_adapter, measure_cpu};

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
    let rates = if args.measure { Some(rates()?) } else { None };
    match args.format {
        Shape::Json => {
            let adapters: Vec<Value> = found.iter().map(as_json).collect();
            let rates = rates.as_ref().map(Rates::to_json);
            sink::print(&format!("{:#}\n", json!({ "adapters": adapters, "rates": rates })))?;
        }
        Shape::Table => {
            let mut texts: Vec<String> = found.iter().map(as_text).collect();
            texts.extend(rates.iter().map(rates_as_text));
            sink::print(&texts.join("\n"))?;
        }
    }
    rates.map_or(Ok(()), |rates| keep(&rates))
}

/// The rates by which `--device auto` decides: of the CPU, and of every adapter that can be measured.
fn rates() -> Result<Rates> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = measure_cpu(threads)?;
    let mut measured = Vec::new();
    for adapter in adapters(None) {
        match measure_adapter(&adapter) {
            Ok(rates) => measured.push(rates),
            Err(error) => say(&format!("tidemill: note: {} is left out of the rates: {error}", adapter.info.name)),
        }
    }
    Ok(Rates { cpu, adapters: measured })
}

/// Keeps the rates for `--device auto`.
fn keep(rates: &Rates) -> Result<()> {
    let path = rates.save()?;
    let hardware = rates.adapters.iter().any(|adapter| !adapter.software);
    let what = if hardware {
        "will use these rates"
    } else {
        "stays with the CPU, since no adapter is hardware; the rates are"
    };
    say(&format!("tidemill: note: --device auto {what}{} kept in {}", if hardware { "," } else { "" }, path.display()));
    Ok(())
}

fn rates_as_text(rates: &Rates) -> String {
    let nanos = |seconds: f64| format!("{:.2} ns", seconds * 1e9);
    let row = |row: &Row| {
        format!("group {}, int sum {}, float sum {}", nanos(row.group), nanos(row.states[1]), nanos(row.states[2]))
    };
    let mut text = String::new();
    for (groups, of) in &rates.cpu.rows {
        text.push_str(&format!("{:<6} a row, {groups} groups, {} threads: {}\n", "cpu", rates.cpu.threads, row(of)));
    }
    for adapter in &rates.adapters {
        text.push_str(&format!(
            "{}: starts in {:.2} s, a chunk {:.2} ms\n",
            adapter.name,
            adapter.start,
            adapter.chunk * 1e3
        ));
        text.push_str(&format!(
            "       a row, direct: {}\n       a row, sorted (group: a digit): {}\n",
            row(&adapter.direct),
            row(&adapter.sorted)
        ));
    }
    text
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
