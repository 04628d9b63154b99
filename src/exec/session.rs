//! One plan run again and again, over one part of a stream after the other: what a run opens, a session keeps.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::adapt::{Auto, SMALL};
use super::emit::{Threads, thread_pool};
use super::result::{finish, result_schema};
use super::run::{Settings, run};
use super::shuffle::{Found, PARTITION, Shuffled};
use super::{Engine, Ledger};
use crate::agg::{Merger, Partial, PartialShape};
use crate::backend::Backend;
use crate::column::Dictionary;
use crate::input::{Reject, Source};
use crate::plan::{Plan, dictionaries};
use crate::{Error, Result};

/// A plan, where it runs, and the dictionaries of its strings. Groups of one run merge with those of another.
pub(crate) struct Session {
    engine: Engine,
    plan: Plan,
    backend: Arc<dyn Backend>,
    reason: String,
    auto: Option<Auto>,
    dictionaries: Vec<Option<Arc<Dictionary>>>,
    pool: rayon::ThreadPool,
}

/// What a part of a stream gave.
pub(crate) struct Groups {
    pub partial: Partial,
    /// Rows that were set aside, in the order of the input.
    pub rejects: Vec<Reject>,
    /// Rows, bytes and times, up to the groups.
    pub ledger: Ledger,
}

impl Session {
    /// Opens what the plan needs.
    ///
    /// # Errors
    /// The device that `engine` asks for is not there, or cannot run the plan.
    pub fn new(engine: &Engine, plan: Plan) -> Result<Session> {
        let (backend, reason, auto) = engine.backend(&plan, engine.device_bytes(engine.limit()))?;
        let dictionaries = dictionaries(&plan.stage.program);
        let pool = thread_pool(engine.threads_used())?;
        Ok(Session { engine: engine.clone(), plan, backend, reason, auto, dictionaries, pool })
    }

    /// Goes on with a plan like its own that was just made: with new dictionaries, of which no groups of earlier runs know.
    pub fn renew(&mut self, plan: Plan) {
        self.dictionaries = dictionaries(&plan.stage.program);
        self.plan = plan;
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The schema of [`Session::result`].
    pub fn schema(&self) -> SchemaRef {
        result_schema(&self.plan.outputs)
    }

    /// What bytes of groups are read as, to merge with those of this session.
    pub fn shape(&self) -> PartialShape {
        let stage = &self.plan.stage;
        let dictionary = |node| stage.program.dictionary(node, &self.dictionaries);
        let keys = stage.keys.iter().map(|key| (stage.program.node(key.node).class, dictionary(key.node))).collect();
        // Counts keep no strings, whatever they count.
        let of = |spec: &crate::agg::StateSpec| {
            let keeps = !matches!(spec.kind, crate::agg::StateKind::Rows | crate::agg::StateKind::Count);
            (spec.kind, spec.args.first().filter(|_| keeps).and_then(|&arg| dictionary(stage.args[arg])))
        };
        PartialShape { keys, states: stage.states.iter().map(of).collect() }
    }

    /// Bytes that the dictionaries hold, and their strings: of columns, and of what is computed over rows and groups. They grow with
    /// every new string and never shrink.
    pub fn strings(&self) -> (usize, usize) {
        let of_nodes = self.plan.stage.program.own_dictionaries().chain(self.plan.post.own_dictionaries());
        let mut all: Vec<&Arc<Dictionary>> = self.dictionaries.iter().flatten().chain(of_nodes).collect();
        all.sort_by_key(|dict| Arc::as_ptr(dict));
        all.dedup_by_key(|dict| Arc::as_ptr(dict));
        (all.iter().map(|d| d.heap_bytes()).sum(), all.iter().map(|d| d.len()).sum())
    }

    /// Runs the plan's stage over `source`.
    ///
    /// # Errors
    /// As [`Engine::run`]; a column whose inferred type does not hold is not read again, for what has been read before is done.
    pub fn groups(&self, source: &dyn Source) -> Result<Groups> {
        let started = Instant::now();
        let engine = &self.engine;
        let mut ledger =
            Ledger { device: self.backend.name(), device_reason: self.reason.clone(), ..Ledger::default() };
        let small = source.bytes().is_some_and(|bytes| bytes <= SMALL);
        let settings = Settings {
            // State is in memory, and so are the groups of a part of it.
            memory: None,
            threads: if small { 1 } else { engine.threads_used() },
            chunk_bytes: engine.chunk_bytes_for(source, &*self.backend),
            max_rejects: engine.max_rejects,
            cancel: &engine.cancel,
            observer: engine.observer.as_deref(),
            auto: self.auto.as_ref().filter(|_| !small),
            pool: Some(&self.pool),
        };
        let stage = &self.plan.stage;
        let (found, rejects) = run(stage, source, self.dictionaries.clone(), &*self.backend, &settings, &mut ledger)?;
        let partial = if found.rows.is_empty() {
            found.groups
        } else {
            self.pool.install(|| {
                let shuffled = Shuffled::new(found, &stage.states, PARTITION);
                let mut merger = Merger::new(&stage.key_shape(), &stage.states);
                (0..shuffled.partitions()).for_each(|part| _ = merger.absorb(shuffled.partition(part), 1));
                merger.finish()
            })
        };
        ledger.groups = partial.groups as u64;
        ledger.wall = started.elapsed();
        if !ledger.balances() {
            return Err(Error::internal("a part of a stream does not account for all its rows"));
        }
        Ok(Groups { partial, rejects, ledger })
    }

    /// Finishes groups as the plan says: states become values; having, order and limit.
    ///
    /// # Errors
    /// A value that does not fit its type.
    pub fn result(&self, groups: Partial) -> Result<Vec<RecordBatch>> {
        let threads = Threads { count: self.engine.threads_used(), pool: &self.pool, cancel: &self.engine.cancel };
        let found = Found { groups, rows: Vec::new(), spilled: None };
        let mut batches = Vec::new();
        finish(&self.plan, found, &threads, &mut |batch| {
            batches.push(batch);
            Ok(())
        })?;
        Ok(batches)
    }
}
