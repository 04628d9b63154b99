//! What the device will do with a stage, in words.

use super::layout::{Layout, Planned};
use super::strategy::Strategy;
use crate::expr::Op;
use crate::expr::wgsl::InputFrom;
use crate::kernel::value::Kind;
use crate::plan::Stage;

/// A stage on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The map kernel's own text; the shared arithmetic it calls is not repeated.
    pub wgsl: String,
    /// The map kernel's whole text, as compiled.
    pub source: String,
    /// What is uploaded: columns and results of the host, with their stored width.
    pub inputs: Vec<String>,
    /// What the host computes, and why.
    pub host: Vec<String>,
    /// What the map kernel writes for every row.
    pub planes: Vec<String>,
    /// What is reduced.
    pub reductions: Vec<String>,
    /// How groups are found.
    pub strategy: String,
    /// The most rows of one batch.
    pub rows: usize,
}

impl Explanation {
    pub(super) fn new(stage: &Stage, layout: &Layout, strategy: Strategy, rows: usize) -> Self {
        let program = &stage.program;
        let inputs = layout.map.inputs.iter().map(|input| {
            let what = match input.from {
                InputFrom::Column(column) => format!("column {}", program.columns[column].name),
                InputFrom::Host(id) => format!("`{}`, from the host", program.node(id).text),
                InputFrom::HostErrors(id) => format!("errors of `{}`, from the host", program.node(id).text),
            };
            let nulls = if input.nullable { ", with nulls" } else { "" };
            format!("{what}: {:?}{nulls}", input.stored)
        });
        let host = super::layout::host_nodes(stage).into_iter().map(|id| {
            let node = program.node(id);
            format!("`{}`: {}", node.text, why_host(&node.op))
        });
        let values = |planes: &crate::expr::wgsl::OutputPlanes| {
            let valid = planes.valid.map_or(String::new(), |plane| format!(", validity in {plane}"));
            format!("planes {} to {}{valid}", planes.first, planes.first + planes.words - 1)
        };
        let mut planes = vec![format!("plane {}: status (0 filtered, 1 selected, 2 error)", layout.map.status)];
        planes.extend(
            stage.keys.iter().zip(&layout.keys).map(|(key, of)| format!("{}: key {}", values(&of.planes), key.name)),
        );
        let rest = layout.map.outputs.get(layout.keys.len()..).unwrap_or_default();
        let mut shown = Vec::new();
        for of in rest.iter().filter(|of| !layout.keys.iter().any(|key| key.planes == **of)) {
            if !shown.contains(&of.first) {
                shown.push(of.first);
                planes.push(format!("{}: an argument", values(of)));
            }
        }
        let mut reductions: Vec<String> = layout.reductions.iter().map(reduction).collect();
        reductions.extend(layout.bags.iter().map(|bag| {
            format!("values of `{}`: sort by key and value, equal ones counted", program.node(bag.node).text)
        }));
        if !layout.ranks.is_empty() {
            let count = layout.ranks.len();
            reductions
                .push(format!("least or largest of {count} string columns: by rank, from tables made on the host"));
        }
        Explanation {
            wgsl: layout.map.text.clone(),
            source: layout.kernel.source.to_string(),
            inputs: inputs.collect(),
            host: host.collect(),
            planes,
            reductions,
            strategy: strategy.rule(),
            rows,
        }
    }

    /// All of it, a line each, the first word saying what the line is about.
    pub fn lines(&self, kernels: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let mut about =
            |word: &str, texts: &[String]| lines.extend(texts.iter().map(|text| format!("{word:<8} {text}")));
        about("upload", &self.inputs);
        about("host", &self.host);
        about("map", &self.planes);
        about("reduce", &self.reductions);
        about("strategy", std::slice::from_ref(&self.strategy));
        lines.push(format!("batch    up to {} rows; the next is uploaded while one is reduced", self.rows));
        if kernels {
            lines.extend(self.wgsl.lines().map(str::to_owned));
        }
        lines
    }
}

fn reduction(planned: &Planned) -> String {
    let kind = |kind: Kind| match kind {
        Kind::I64 => "int64",
        Kind::I128 => "128-bit integers",
        Kind::F64 => "float64",
        Kind::Word | Kind::TwoWords | Kind::FourWords => "words",
    };
    match planned {
        Planned::Count { valid } => format!("count of validity plane {valid}"),
        Planned::Sum { x, y: None } if x.kind == Kind::I64 => {
            format!("exact sum of {}, plane {}, in 128 bits", kind(x.kind), x.first)
        }
        Planned::Sum { x, y: None } => {
            format!(
                "exact sum of {}, plane {}, in as many windows of 96 bits as the batch's values span",
                kind(x.kind),
                x.first
            )
        }
        Planned::Sum { x, y: Some(y) } => format!(
            "exact sum of products of {}, planes {} and {}, in as many windows of 96 bits as they span",
            kind(x.kind),
            x.first,
            y.first
        ),
        Planned::Extreme { op, x } => format!("{op:?} of {}, plane {}", kind(x.kind), x.first).to_lowercase(),
    }
}

fn why_host(op: &Op) -> &'static str {
    match op {
        Op::Pow | Op::Exp | Op::Ln | Op::Log10 => "by libm on the host, so that every device gives the same bits",
        Op::StrLut(_) => "text, once per distinct value",
        Op::StrRow(_) | Op::Format => "makes text",
        _ => "compares or chooses text",
    }
}
