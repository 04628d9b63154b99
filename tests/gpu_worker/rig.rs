//! Stages from text, adapters, and a worker run to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tidemill::agg::{Keep, Merger, Partial, State, StateKind, StateSpec};
use tidemill::backend::gpu::{Adapter, GpuBackend, GpuOptions, adapters_from_env, no_adapter};
use tidemill::backend::{Backend, Counts, Failure, Worker};
use tidemill::column::{Chunk, Class, KeyColumn, Schema, Type, Value};
use tidemill::expr::{Binder, parse};
use tidemill::plan::{Key, Stage};

/// Software drivers share the machine's cores: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `case` on every adapter found.
pub fn everywhere(mut case: impl FnMut(&Adapter, &str)) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let found = adapters_from_env();
    if found.is_empty() {
        assert!(
            std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1"),
            "{} (or set TIDEMILL_NO_GPU=1)",
            no_adapter()
        );
        eprintln!("SKIPPED on the GPU: no adapter found and TIDEMILL_NO_GPU=1");
    }
    for adapter in found {
        case(&adapter, &format!("{} {}", adapter.info.name, adapter.info.driver));
    }
}

/// A backend of its own.
pub fn gpu(adapter: &Adapter, options: GpuOptions) -> GpuBackend {
    GpuBackend::open(adapter, options).expect("the adapter is above the floor")
}

/// A stage: `states` are `rows`, or `count|sum|product|min|max|all|distinct|top|bottom` and expressions after `;`.
pub fn stage(schema: &Schema, filter: Option<&str>, keys: &[&str], states: &[&str]) -> Arc<Stage> {
    let mut binder = Binder::new(schema);
    let mut bind = |text: &str| {
        let id = binder.bind(&parse(text).unwrap_or_else(|e| panic!("{e}"))).unwrap_or_else(|e| panic!("{e}"));
        (id, binder.node(id).ty.clone(), binder.node(id).class)
    };
    let filter = filter.map(|text| bind(text).0);
    let keys = keys
        .iter()
        .map(|text| {
            let (node, ty, _) = bind(text);
            Key { name: (*text).to_owned(), node, ty }
        })
        .collect();
    let mut args = Vec::new();
    let specs = states.iter().map(|text| {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let mut class = Class::Bool;
        let of: Vec<usize> = parts
            .map(|text| {
                let (node, _, of) = bind(text);
                class = of;
                args.iter().position(|arg| *arg == node).unwrap_or_else(|| {
                    args.push(node);
                    args.len() - 1
                })
            })
            .collect();
        let kind = match name {
            "rows" => StateKind::Rows,
            "count" => StateKind::Count,
            "sum" => StateKind::Sum(class),
            "product" => StateKind::Product(class),
            "min" => StateKind::Min(class),
            "max" => StateKind::Max(class),
            "all" => StateKind::Bag(class, Keep::All),
            "distinct" => StateKind::Bag(class, Keep::Distinct),
            "top" => StateKind::Bag(class, Keep::Largest(2)),
            "bottom" => StateKind::Bag(class, Keep::Smallest(3)),
            _ => panic!("no state {name}"),
        };
        StateSpec { kind, args: of }
    });
    let states = specs.collect();
    Arc::new(Stage { program: Arc::new(binder.finish()), filter, keys, args, states })
}

/// The columns of chunks that a stage's program reads.
pub fn project(stage: &Stage, chunks: &[Arc<Chunk>]) -> Vec<Arc<Chunk>> {
    chunks
        .iter()
        .map(|chunk| {
            let columns = stage.program.columns.iter().map(|c| chunk.columns[c.column].clone()).collect();
            Arc::new(Chunk { rows: chunk.rows, columns, origin: Arc::clone(&chunk.origin) })
        })
        .collect()
}

/// What a run gives: by key everything that can be read, and what became of rows.
#[derive(Debug, Default, PartialEq)]
pub struct Got {
    pub groups: BTreeMap<Vec<String>, Vec<String>>,
    pub filtered: u64,
    pub grouped: u64,
    /// (chunk, row)
    pub failed: Vec<(usize, u32)>,
}

impl Got {
    pub fn new(partial: Partial, counts: &Counts, chunks: &[Arc<Chunk>]) -> Self {
        let mut failed = Vec::new();
        for rows in &counts.failed {
            let chunk =
                chunks.iter().position(|chunk| Arc::ptr_eq(chunk, &rows.chunk)).expect("a chunk that was pushed");
            assert!(rows.rows.is_sorted());
            failed.extend(rows.rows.iter().map(|row| (chunk, *row)));
        }
        failed.sort_unstable();
        Got { groups: read(partial), filtered: counts.filtered, grouped: counts.grouped, failed }
    }

    /// Fails with the first difference.
    pub fn assert_is(&self, want: &Got, place: &str) {
        for (key, states) in &want.groups {
            assert_eq!(self.groups.get(key), Some(states), "{place}: group {key:?}");
        }
        let extra = self.groups.keys().find(|key| !want.groups.contains_key(*key));
        assert_eq!(extra, None, "{place}: a group that is none");
        assert_eq!(self.failed, want.failed, "{place}: failed rows");
        assert_eq!((self.filtered, self.grouped), (want.filtered, want.grouped), "{place}: filtered, grouped");
    }
}

/// Pushes all chunks.
pub fn run(backend: &dyn Backend, stage: &Arc<Stage>, chunks: &[Arc<Chunk>]) -> Result<(Got, Vec<String>), Failure> {
    let mut worker = backend.worker(stage)?;
    let mut counts = Counts::default();
    for chunk in chunks {
        counts.add(worker.push(Arc::clone(chunk))?);
    }
    let (partial, more) = worker.finish()?;
    counts.add(more);
    Ok((Got::new(partial, &counts, chunks), worker.details()))
}

/// Pushes all chunks; when a device fails, what it hands back and all the rest goes to `other`. Says how often it failed.
pub fn run_with_help(
    worker: &mut dyn Worker,
    other: &mut dyn Worker,
    stage: &Stage,
    chunks: &[Arc<Chunk>],
) -> (Got, usize) {
    let mut counts = Counts::default();
    let mut failures = 0;
    let mut help = |failure: Failure, counts: &mut Counts| match failure {
        Failure::Device { unfinished, .. } => {
            failures += 1;
            for chunk in unfinished {
                counts.add(other.push(chunk.0).expect("the other worker works"));
            }
        }
        Failure::Job(error) => panic!("{error}"),
    };
    for chunk in chunks {
        match worker.push(Arc::clone(chunk)) {
            Ok(more) => counts.add(more),
            Err(failure) => help(failure, &mut counts),
        }
    }
    let (partial, more) = match worker.finish() {
        Ok(done) => done,
        Err(failure) => {
            help(failure, &mut counts);
            worker.finish().expect("what was merged before is there")
        }
    };
    counts.add(more);
    let (rest, more) = other.finish().expect("the other worker works");
    counts.add(more);
    let mut merger = Merger::new(&stage.key_shape(), &stage.states);
    merger.push(&partial);
    merger.push(&rest);
    (Got::new(merger.finish(), &counts, chunks), failures)
}

/// Everything that can be read from a partial.
fn read(partial: Partial) -> BTreeMap<Vec<String>, Vec<String>> {
    let Partial { groups, keys, mut states } = partial;
    let mut texts: Vec<Vec<String>> = vec![Vec::new(); groups];
    for state in &mut states {
        match state {
            State::Count(counts) => texts.iter_mut().zip(counts).for_each(|(t, n)| t.push(n.to_string())),
            State::IntSum(s) => texts.iter_mut().enumerate().for_each(|(g, t)| t.push(format!("{:?}", s.exact(g)))),
            State::IntProduct(s) => texts.iter_mut().enumerate().for_each(|(g, t)| t.push(format!("{:?}", s.exact(g)))),
            State::FloatSum(s) => texts.iter_mut().enumerate().for_each(|(g, t)| t.push(format!("{:?}", s.exact(g)))),
            // Which special a product is decides nothing: see docs/numerics.md.
            State::FloatProduct(s) => texts.iter_mut().enumerate().for_each(|(g, t)| {
                let exact = s.exact(g);
                t.push(exact.finite().map_or("special".to_owned(), |_| format!("{exact:?}")));
            }),
            State::Extreme(e) => texts.iter_mut().enumerate().for_each(|(g, t)| t.push(format!("{:?}", e.value(g)))),
            State::Bag(bag) => {
                let runs: Vec<Vec<(Value, u64)>> = bag.map_groups(|values| values.runs());
                texts.iter_mut().zip(runs).for_each(|(t, runs)| t.push(format!("{runs:?}")));
            }
        }
    }
    let key = |group: usize| keys.iter().map(|key| key_text(key, group)).collect::<Vec<_>>();
    let read: BTreeMap<_, _> = texts.into_iter().enumerate().map(|(group, texts)| (key(group), texts)).collect();
    assert_eq!(read.len(), groups, "keys are distinct");
    read
}

/// A key as text: of strings the string, of all else the words.
pub fn key_text(key: &KeyColumn, group: usize) -> String {
    if !key.is_valid(group) {
        return "null".into();
    }
    match key.class {
        Class::Str => {
            format!("{:?}", key.dict.as_ref().expect("strings have a dictionary").read().get(key.lo[group] as u32))
        }
        Class::Wide => format!("{:x}.{:x}", key.hi[group], key.lo[group]),
        _ => format!("{:x}", key.lo[group]),
    }
}

/// A schema of columns.
pub fn schema(columns: &[(&str, Type)]) -> Schema {
    Schema { fields: columns.iter().map(|(name, ty)| tidemill::column::Field::new(*name, ty.clone())).collect() }
}
