//! `tidemill devices`: the adapters there are.

use serde_json::{Value, json};
use tidemill::Result;
use tidemill::backend::gpu::{AdapterInfo, adapters, no_adapter};

use crate::args::{DevicesArgs, Shape};
use crate::exit::say;
use crate::sink;

/// Lists the adapters. A machine without any is not an error: the list is empty, and stderr says what would help.
pub fn run(args: &DevicesArgs) -> Result<()> {
    let found: Vec<AdapterInfo> = adapters(None).into_iter().map(|a| a.info).collect();
    if found.is_empty() {
        say(&format!("tidemill: {}", no_adapter()));
    }
    match args.format {
        Shape::Json => sink::print(&format!("{:#}\n", Value::Array(found.iter().map(as_json).collect()))),
        Shape::Table => sink::print(&found.iter().map(as_text).collect::<Vec<_>>().join("\n")),
    }
}

/// One adapter, some lines.
fn as_text(info: &AdapterInfo) -> String {
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
         {subgroups}, {}\n",
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

fn as_json(info: &AdapterInfo) -> Value {
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
    })
}
