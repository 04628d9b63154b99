//! What a stage becomes on the device: the map kernel, where its planes are, and which reductions fill which states.
//!
//! Made once for a stage, and again when a column turns out to have nulls: what never is null costs no plane.

use std::collections::HashMap;

use super::device::Gpu;
use crate::agg::StateKind;
use crate::column::{Chunk, Class, ColumnData};
use crate::expr::wgsl::{Form, InputFrom, MapKernel, MapOutput, OutputPlanes, Stored, map_kernel};
use crate::expr::{Evaluated, NodeId, Program};
use crate::kernel::value::{Kind, Op};
use crate::kernel::{Kernel, Params, Shape, assemble, source};
use crate::plan::Stage;
use crate::{Error, Result, Type};

/// Parameters of the map kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct MapParams {
    pub rows: u32,
    pub stride: u32,
}

impl Params for MapParams {
    const FIELDS: &'static [&'static str] = &MapKernel::PARAMS;
}

/// Which inputs have had nulls so far. It only grows, so a kernel is compiled a few times at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Nulls {
    columns: Vec<usize>,
    hosts: Vec<NodeId>,
}

impl Nulls {
    /// Notes the nulls of a chunk; true if there are new ones.
    pub fn note(&mut self, chunk: &Chunk, hosts: &HashMap<NodeId, Evaluated>) -> bool {
        let before = self.columns.len() + self.hosts.len();
        for (i, column) in chunk.columns.iter().enumerate() {
            if !self.columns.contains(&i) && column.nulls.as_ref().is_some_and(|n| n.null_count() > 0) {
                self.columns.push(i);
            }
        }
        for (id, host) in hosts {
            if !self.hosts.contains(id) && host.column.nulls.is_some() {
                self.hosts.push(*id);
            }
        }
        self.columns.len() + self.hosts.len() > before
    }

    /// Whatever may be null by its type, for explanations.
    pub fn all(program: &Program) -> Self {
        let ids = (0..program.nodes.len() as u32).map(NodeId);
        Nulls {
            columns: (0..program.columns.len()).collect(),
            hosts: ids.filter(|id| program.node(*id).nullable).collect(),
        }
    }
}

/// Planes of one value of every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub node: NodeId,
    pub class: Class,
    pub planes: OutputPlanes,
}

impl Words {
    /// Its planes, the most significant first: nulls stand before (that is, below) everything.
    pub fn by_significance(&self) -> impl Iterator<Item = u32> {
        let OutputPlanes { first, words, valid } = self.planes;
        valid.into_iter().chain((first..first + words).rev())
    }
}

/// A value a reduction reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    pub kind: Kind,
    pub first: u32,
    pub valid: Option<u32>,
}

/// A reduction over the rows of each group. Sums become one device reduction a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// Rows where the plane is not 0.
    Count { valid: u32 },
    /// Σx, or Σxy.
    Sum { x: Operand, y: Option<Operand> },
    /// The least or the largest.
    Extreme { op: Op, x: Operand },
}

/// How a state of the stage is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// With the rows of the group.
    Rows,
    /// With a count or a sum.
    Planned(usize),
    /// With an extreme; groups where the count `seen` is 0 have none.
    Extreme { planned: usize, seen: Option<usize>, node: NodeId },
    /// With a sorted bag.
    Bag(usize),
    /// Its argument has no values.
    Nothing,
}

/// A stage on the device.
#[derive(Debug)]
pub(super) struct Layout {
    pub map: MapKernel,
    pub kernel: Kernel,
    /// Rows of one workgroup of the map kernel.
    pub workgroup: u32,
    pub keys: Vec<Words>,
    /// Arguments of bags.
    pub bags: Vec<Words>,
    /// Planes of codes that become ranks before anything is reduced.
    pub ranks: Vec<(NodeId, u32)>,
    pub reductions: Vec<Planned>,
    /// Operands of sums whose bits in use must be known.
    pub ranged: Vec<Operand>,
    pub fills: Vec<Fill>,
    /// Whether there is a filter.
    pub filtered: bool,
    /// Whether a row may be an error.
    pub can_fail: bool,
}

/// Where one argument stands.
#[derive(Clone, Copy, Default)]
struct ArgPlanes {
    value: Option<OutputPlanes>,
    key: Option<OutputPlanes>,
}

/// The nodes the device must give, in the forms it needs: keys first.
fn outputs(stage: &Stage, nulls: &Nulls) -> Vec<(Option<usize>, MapOutput)> {
    let mut outputs: Vec<_> =
        stage.keys.iter().map(|key| (None, MapOutput { node: key.node, form: Form::Key })).collect();
    for (arg, &node) in stage.args.iter().enumerate() {
        let users = || stage.states.iter().filter(move |state| state.args.contains(&arg));
        if users().any(|state| matches!(state.kind, StateKind::Bag(..))) {
            outputs.push((Some(arg), MapOutput { node, form: Form::Key }));
        }
        // A bag's argument has its validity and its errors beside its words.
        let counted = stage.program.node(node).can_fail || may_be_null(stage, node, nulls);
        let valued =
            users().any(|state| !matches!(state.kind, StateKind::Bag(..) | StateKind::Count | StateKind::Rows));
        if valued || counted && !users().any(|state| matches!(state.kind, StateKind::Bag(..))) {
            outputs.push((Some(arg), MapOutput { node, form: Form::Value }));
        }
    }
    outputs
}

/// Whether a node can be null, given the inputs that are: a column that never was is not.
fn may_be_null(stage: &Stage, node: NodeId, nulls: &Nulls) -> bool {
    let program = &stage.program;
    match program.node(node).op {
        crate::expr::Op::Column(column) => program.node(node).ty == Type::Null || nulls.columns.contains(&column),
        _ => program.node(node).nullable,
    }
}

/// The nodes the host computes for `stage`.
pub(super) fn host_nodes(stage: &Stage) -> Vec<NodeId> {
    stage.program.split(&stage.outputs()).host
}

impl Layout {
    /// The layout of `stage` for kernels of `shape`.
    pub fn new(stage: &Stage, shape: &Shape, nulls: &Nulls) -> Result<Self> {
        let program = &stage.program;
        let asked = outputs(stage, nulls);
        let map_outputs: Vec<MapOutput> = asked.iter().map(|(_, output)| *output).collect();
        let map = map_kernel(program, stage.filter, &map_outputs, &|from| match from {
            InputFrom::Column(column) => (stored(&program.columns[*column].ty), nulls.columns.contains(column)),
            InputFrom::Host(id) => (stored(&program.node(*id).ty), nulls.hosts.contains(id)),
            InputFrom::HostErrors(_) => (Stored::U8, false),
        })?;
        // No barriers inside: wide workgroups cost nothing anywhere.
        let shape = Shape { workgroup: shape.workgroup.max(64), items: 1, subgroups: None };
        let text = assemble(&shape, &[], &[source::I64, source::I128, source::F64, source::DATE, &map.text]);
        let mut args = vec![ArgPlanes::default(); stage.args.len()];
        let mut keys = Vec::new();
        for ((arg, output), planes) in asked.iter().zip(&map.outputs) {
            match (arg, output.form) {
                (None, _) => {
                    keys.push(Words { node: output.node, class: program.node(output.node).class, planes: *planes });
                }
                (Some(arg), Form::Key) => args[*arg].key = Some(*planes),
                (Some(arg), Form::Value) => args[*arg].value = Some(*planes),
            }
        }
        let mut layout = Layout {
            kernel: Kernel::new("map", MapKernel::ENTRY, text),
            workgroup: shape.workgroup,
            keys,
            bags: Vec::new(),
            ranks: Vec::new(),
            reductions: Vec::new(),
            ranged: Vec::new(),
            fills: Vec::new(),
            filtered: stage.filter.is_some(),
            can_fail: stage
                .filter
                .iter()
                .chain(map_outputs.iter().map(|o| &o.node))
                .any(|id| program.node(*id).can_fail),
            map,
        };
        for state in &stage.states {
            let fill = layout.fill(stage, state.kind, &state.args, &args)?;
            layout.fills.push(fill);
        }
        Ok(layout)
    }

    fn fill(&mut self, stage: &Stage, kind: StateKind, of: &[usize], args: &[ArgPlanes]) -> Result<Fill> {
        let class = |at: usize| stage.arg_class(of[at]);
        let wrong = || Error::internal(format!("a state {kind:?} of {} arguments", of.len()));
        let value = |at: usize| args[of[at]].value.ok_or_else(wrong);
        let needs = match kind {
            StateKind::Rows => 0,
            StateKind::Product(_) => 2,
            _ => 1,
        };
        if of.len() < needs {
            return Err(wrong());
        }
        Ok(match kind {
            StateKind::Rows => Fill::Rows,
            StateKind::Count => {
                let planes = args[of[0]].value.or(args[of[0]].key);
                match planes.and_then(|planes| planes.valid) {
                    Some(valid) => Fill::Planned(self.planned(Planned::Count { valid })),
                    None => Fill::Rows,
                }
            }
            // Null alone has class Bool; nothing else without a sum gets here.
            StateKind::Sum(_) | StateKind::Product(_) if (0..needs).any(|at| number(class(at)).is_none()) => {
                Fill::Nothing
            }
            StateKind::Sum(_) => {
                let x = operand(class(0), value(0)?);
                if x.kind != Kind::I64 {
                    self.range(x);
                }
                Fill::Planned(self.planned(Planned::Sum { x, y: None }))
            }
            StateKind::Product(_) => {
                let (x, y) = (operand(class(0), value(0)?), operand(class(1), value(1)?));
                self.range(x);
                self.range(y);
                Fill::Planned(self.planned(Planned::Sum { x, y: Some(y) }))
            }
            StateKind::Min(_) | StateKind::Max(_) => {
                let planes = value(0)?;
                let op = if matches!(kind, StateKind::Min(_)) { Op::Min } else { Op::Max };
                let node = stage.args[of[0]];
                if class(0) == Class::Str && !self.ranks.iter().any(|(_, plane)| *plane == planes.first) {
                    self.ranks.push((node, planes.first));
                }
                let planned = self.planned(Planned::Extreme { op, x: operand(class(0), planes) });
                let seen = planes.valid.map(|valid| self.planned(Planned::Count { valid }));
                Fill::Extreme { planned, seen, node }
            }
            StateKind::Bag(..) => {
                let planes = args[of[0]].key.ok_or_else(wrong)?;
                let words = Words { node: stage.args[of[0]], class: class(0), planes };
                Fill::Bag(place(&mut self.bags, words))
            }
        })
    }

    fn planned(&mut self, planned: Planned) -> usize {
        place(&mut self.reductions, planned)
    }

    fn range(&mut self, operand: Operand) {
        place(&mut self.ranged, operand);
    }

    /// Bytes of the arena that one row takes, rounded up.
    pub fn arena_bytes(&self) -> u64 {
        let bits: u32 = self.map.inputs.iter().map(|input| input.stored.bits() + u32::from(input.nullable)).sum();
        u64::from(bits.div_ceil(8))
    }

    /// The most rows of a batch on `gpu` within `memory` bytes: no binding exceeds the device's limit, and two batches fit.
    pub fn most_rows(&self, gpu: &Gpu, memory: u64) -> usize {
        let words = |of: &Words| u64::from(of.planes.words + 1);
        let keys: u64 = self.keys.iter().map(words).sum();
        let packed = keys + self.bags.iter().map(words).max().unwrap_or(0);
        let (arena, planes) = (self.arena_bytes(), u64::from(self.map.planes) * 4);
        // Word offsets are u32; the header and ragged ends stand beside the rows.
        let binding = gpu.max_binding.min(gpu.max_buffer).min(1 << 33) - (64 << 10);
        let widest = arena.max(planes).max(packed * 4).max(16);
        // Sort: keys and order before and after, gathered words, segments, their starts, a reduction's states.
        let working = arena + planes + packed * 4 + 64;
        // If every row is a group, all of their states come back in one buffer.
        let back = |planned: &Planned| match planned {
            Planned::Count { .. } => 4,
            Planned::Sum { .. } => 16,
            Planned::Extreme { x, .. } => u64::from(x.kind.words()) * 4,
        };
        let back = (packed + 2) * 4 + self.reductions.iter().map(back).sum::<u64>();
        let rows = (binding / widest).min(gpu.max_buffer / back).min(memory / 2 / working).min(1 << 28);
        (rows as usize / 64 * 64).max(super::batch::LEAST_ROWS)
    }
}

fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

fn number(class: Class) -> Option<Kind> {
    match class {
        Class::Int => Some(Kind::I64),
        Class::Wide => Some(Kind::I128),
        Class::Float => Some(Kind::F64),
        Class::Bool | Class::Str => None,
    }
}

fn operand(class: Class, planes: OutputPlanes) -> Operand {
    Operand { kind: number(class).unwrap_or(Kind::Word), first: planes.first, valid: planes.valid }
}

/// How columns of a type are stored, here and in the arena.
pub(super) fn stored(ty: &Type) -> Stored {
    match ty {
        Type::Null | Type::Bool | Type::List(_) => Stored::Bits,
        Type::Int8 => Stored::I8,
        Type::Int16 => Stored::I16,
        Type::Int32 | Type::Date => Stored::I32,
        Type::Int64 | Type::Timestamp(_) => Stored::I64,
        Type::UInt8 => Stored::U8,
        Type::UInt16 => Stored::U16,
        Type::UInt32 => Stored::U32,
        Type::UInt64 => Stored::U64,
        Type::Float32 => Stored::F32,
        Type::Float64 => Stored::F64,
        Type::Decimal { .. } => Stored::I128,
        Type::Str => Stored::Code,
    }
}

/// How a column's buffer is stored.
pub(super) fn stored_data(data: &ColumnData) -> Stored {
    match data {
        ColumnData::Bool(_) => Stored::Bits,
        ColumnData::I8(_) => Stored::I8,
        ColumnData::I16(_) => Stored::I16,
        ColumnData::I32(_) => Stored::I32,
        ColumnData::I64(_) => Stored::I64,
        ColumnData::U8(_) => Stored::U8,
        ColumnData::U16(_) => Stored::U16,
        ColumnData::U32(_) => Stored::U32,
        ColumnData::U64(_) => Stored::U64,
        ColumnData::F32(_) => Stored::F32,
        ColumnData::F64(_) => Stored::F64,
        ColumnData::I128(_) => Stored::I128,
        ColumnData::Str { .. } => Stored::Code,
    }
}
