//! What a run would do, in words.

use std::fmt::Write;

use crate::Result;
use crate::backend::Backend;
use crate::input::Source;
use crate::plan::{OutputValue, Plan, SortBy};

/// The explanation of a plan on a backend.
pub(super) fn explain(
    plan: &Plan,
    source: &std::sync::Arc<dyn Source>,
    backend: &dyn Backend,
    reason: &str,
    chunk_bytes: usize,
    threads: usize,
    kernels: bool,
) -> Result<String> {
    let mut out = String::new();
    let stage = &plan.stage;
    let program = &stage.program;
    // Writing to a String cannot fail.
    let columns: Vec<String> = program.columns.iter().map(|c| format!("{} {}", c.name, c.ty)).collect();
    let all = source.schema().fields.len();
    _ = writeln!(out, "input    {}: {} of {all} columns: {}", source.name(), columns.len(), columns.join(", "));
    if let Some(bytes) = source.bytes() {
        let chunks = bytes.div_ceil(chunk_bytes as u64).max(1);
        _ = writeln!(out, "chunks   about {chunks} of {} KiB, read by {threads} threads", chunk_bytes >> 10);
    }
    _ = writeln!(out, "device   {} ({reason})", backend.name());
    if let Some(filter) = stage.filter {
        _ = writeln!(out, "filter   {}", program.node(filter).text);
    }
    if stage.keys.is_empty() {
        _ = writeln!(out, "group    all rows are one group");
    }
    for key in &stage.keys {
        _ = writeln!(out, "key      {} {} = {}", key.name, key.ty, program.node(key.node).text);
    }
    for state in &stage.states {
        let args: Vec<&str> = state.args.iter().map(|&a| program.node(stage.args[a]).text.as_str()).collect();
        _ = writeln!(out, "state    {:?} of ({})", state.kind, args.join(", "));
    }
    let host: Vec<_> = program.split(&stage.outputs()).host;
    for node in host {
        _ = writeln!(out, "on host  {} (strings and transcendental functions run on the CPU)", program.node(node).text);
    }
    for line in backend.explain(stage, kernels)? {
        _ = writeln!(out, "{line}");
    }
    for output in &plan.outputs {
        let how = match output.value {
            OutputValue::Node(node) => match plan.post.node(node).op {
                crate::expr::Op::Column(column) => match plan.post_inputs[column] {
                    crate::plan::PostInput::Key(_) => "key".to_owned(),
                    crate::plan::PostInput::Call(call) => plan.calls[call].text.clone(),
                },
                _ => "an expression over the groups".to_owned(),
            },
            OutputValue::List(call) => plan.calls[call].text.clone(),
            OutputValue::Unnest(call) => format!("{}, a row for each item", plan.calls[call].text),
        };
        _ = writeln!(out, "output   {} {} = {how}", output.name, output.ty);
    }
    if plan.having.is_some() {
        _ = writeln!(out, "having   on the CPU, once a group");
    }
    for term in &plan.order {
        let what = match term.by {
            SortBy::Output(output) => plan.outputs[output].name.clone(),
            SortBy::Node(node) => plan.post_text(node),
        };
        _ = writeln!(out, "order    {what}{}", if term.descending { " desc" } else { "" });
    }
    if plan.order.is_empty() && !plan.unordered && !stage.keys.is_empty() {
        _ = writeln!(out, "order    by key");
    }
    if let Some(limit) = plan.limit {
        _ = writeln!(out, "limit    {limit}");
    }
    Ok(out)
}
