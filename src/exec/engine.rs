//! The engine: a job and an input in, batches and a ledger out.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::adapt::{Auto, Opened, SMALL};
use super::emit::{Threads, thread_pool};
use super::memory::Memory;
use super::result::{finish, result_schema};
use super::rows::{Rows, RowsRun, on_cpu};
use super::run::{Settings, run};
use super::{Ledger, Observer, Receiver};
use crate::backend::gpu::GpuOptions;
use crate::backend::{self, Backend, Choice, Device, Feed, Rates};
use crate::column::Type;
use crate::input::{Input, Reject, Source};
use crate::plan::{Job, Plan, RowsPlan, dictionaries, lower, lower_rows};
use crate::{Error, Result};

/// Runs jobs. Cheap to clone; settings are made by the methods that return `Self`.
#[derive(Clone)]
pub struct Engine {
    pub(crate) device: Device,
    threads: usize,
    /// `None`: what suits the source and the backend.
    pub(super) chunk_bytes: Option<usize>,
    pub(super) max_rejects: Option<u64>,
    memory: Option<u64>,
    temp_dir: Option<PathBuf>,
    pub(crate) cancel: Arc<AtomicBool>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    options: GpuOptions,
    rates: Option<Arc<Rates>>,
    /// The GPU that a run needed, and why it ran there: kept from one run to the next, kernels and all.
    opened: Opened,
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// The schema of the result: group keys first, then the aggregates.
    pub schema: SchemaRef,
    /// tidemill's types of the same columns.
    pub types: Vec<Type>,
    /// The result, in order.
    pub batches: Vec<RecordBatch>,
    /// Rows that were set aside, in the order of the input.
    pub rejects: Vec<Reject>,
    /// What became of every row, and what it cost.
    pub ledger: Ledger,
}

impl RunReport {
    /// Rows of the result.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// Chunks for a device are of this size: they fit a binding and are worth an upload. For the CPU the source knows better
    /// ([`Source::chunk_bytes`]).
    pub const CHUNK_BYTES: usize = 16 << 20;

    /// An engine that chooses its device itself and uses all cores.
    pub fn new() -> Self {
        Engine {
            device: Device::Auto,
            threads: 0,
            chunk_bytes: None,
            max_rejects: None,
            memory: None,
            temp_dir: None,
            cancel: Arc::default(),
            observer: None,
            options: GpuOptions::default(),
            rates: None,
            opened: Opened::default(),
        }
    }

    /// Where stages run.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self.opened = Opened::default();
        self
    }

    /// How many threads read and, on the CPU, compute; 0 means one for each core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Input bytes of a chunk, about. The result does not depend on it.
    pub fn chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunk_bytes = Some(bytes.max(1));
        self
    }

    /// Sets up to `most` bad rows aside ([`RunReport::rejects`]) instead of stopping at the first.
    pub fn max_rejects(mut self, most: u64) -> Self {
        self.max_rejects = Some(most);
        self
    }

    /// Bytes the process may take while it runs, mapped files included and within a tenth; rows and groups that do not fit go
    /// to a temporary file. The result does not depend on it. Unless it is set, it is three quarters of the machine's memory, where the system says how much that is.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// The folder for temporary files; else the system's.
    pub fn temp_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.temp_dir = Some(folder.into());
        self
    }

    /// When this becomes true, runs end with [`Error::Cancelled`] after the chunks on their way.
    pub fn cancel_on(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancel = flag;
        self
    }

    /// Tells `observer` of progress.
    pub fn observe(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// How a GPU runs: strategy, memory, and what tests inject. The defaults are right for every job.
    pub fn gpu_options(mut self, options: GpuOptions) -> Self {
        self.options = options;
        self.opened = Opened::default();
        self
    }

    /// Decides between devices by these rates, and not by those kept on this machine.
    pub fn rates(mut self, rates: Rates) -> Self {
        self.rates = Some(Arc::new(rates));
        self.opened = Opened::default();
        self
    }

    pub(crate) fn threads_used(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The plan of a job over an input, without running it.
    ///
    /// # Errors
    /// As [`lower`].
    pub fn plan(&self, job: &Job, input: &Input) -> Result<Plan> {
        lower(job, input.source().schema())
    }

    /// Says what a run would do: the plan, the device and why, the strategy. With `kernels`, also the generated shader text.
    ///
    /// # Errors
    /// Those that [`Engine::run`] would find before reading.
    pub fn explain(&self, job: &Job, input: &Input, kernels: bool) -> Result<String> {
        let plan = self.plan(job, input)?;
        let (backend, reason, _) = self.backend(&plan, self.device_bytes(self.limit()))?;
        super::explain::explain(
            &plan,
            input.source(),
            &*backend,
            &reason,
            self.chunk_bytes_for(&**input.source(), &*backend),
            self.threads_used(),
            kernels,
        )
    }

    /// Runs a job over an input.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow_array::{Array, Float64Array, Int64Array, RecordBatch, StringArray};
    /// use tidemill::{Engine, Input, Job, aggregate::{count, sum}, col};
    /// # let city: Arc<dyn Array> = Arc::new(StringArray::from(vec!["Rome", "Oslo", "Rome"]));
    /// # let fare: Arc<dyn Array> = Arc::new(Float64Array::from(vec![0.1, 7.5, 0.2]));
    /// # let batch = RecordBatch::try_from_iter([("city", city), ("fare", fare)]).unwrap();
    /// let input = Input::batches(batch.schema(), vec![batch])?;
    /// let job = Job::new().by(["city"]).aggregate(count().named("trips")).aggregate(sum(col("fare")).named("total"));
    /// let report = Engine::new().run(&job, &input)?;
    /// assert_eq!(report.rows(), 2);
    /// assert_eq!(report.ledger.rows_grouped, 3);
    /// # Ok::<(), tidemill::Error>(())
    /// ```
    ///
    /// # Errors
    /// Whatever [`Error`] names: a job that does not fit the schema, bad rows, a result that does not fit its type, a
    /// device that is not there.
    pub fn run(&self, job: &Job, input: &Input) -> Result<RunReport> {
        let mut batches = Vec::new();
        let report = self.run_into(job, input, &mut batches)?;
        Ok(RunReport { batches, ..report })
    }

    /// Runs a job over an input and gives the result to `receiver`, batch by batch as far as the job allows: a large result
    /// is never in memory as a whole. The report has no batches.
    ///
    /// # Errors
    /// As [`Engine::run`], and what `receiver` gives. If values of the result are in error, `receiver` sees no batch.
    pub fn run_into(&self, job: &Job, input: &Input, receiver: &mut dyn Receiver) -> Result<RunReport> {
        let started = Instant::now();
        let mut ledger = Ledger::default();
        let mut source = Arc::clone(input.source());
        loop {
            let run = match job.is_of_rows() {
                true => self.run_rows(&lower_rows(job, source.schema())?, &*source, &ledger, started, receiver),
                false => self.run_plan(&lower(job, source.schema())?, &source, ledger.clone(), started, receiver),
            };
            match run {
                // Types only ever widen, and there are few: this ends.
                Err(Error::Misfit { place, found, inferred, wider }) => {
                    let column = place.column.clone().unwrap_or_default();
                    let widened = if wider == Type::Str { None } else { source.widened(&column, &wider) };
                    let Some(widened) = widened else {
                        return Err(Error::Misfit { place, found, inferred, wider });
                    };
                    ledger.notes.push(format!(
                        "column '{column}' was read again as {wider}: {place} has '{found}', the first rows looked like {inferred}"
                    ));
                    source = widened;
                }
                other => return other,
            }
        }
    }

    pub(super) fn chunk_bytes_for(&self, source: &dyn Source, backend: &dyn Backend) -> usize {
        self.chunk_bytes.unwrap_or_else(|| match backend.feed() {
            Feed::Threads(_) => source.chunk_bytes(),
            Feed::Queue => Self::CHUNK_BYTES,
        })
    }

    fn run_plan(
        &self,
        plan: &Plan,
        source: &Arc<dyn Source>,
        mut ledger: Ledger,
        started: Instant,
        receiver: &mut dyn Receiver,
    ) -> Result<RunReport> {
        let limit = self.limit();
        let device_bytes = self.device_bytes(limit);
        let (backend, reason, auto) = self.backend(plan, device_bytes)?;
        ledger.device = backend.name();
        ledger.device_reason = reason;
        let folder = || self.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        let device = match backend.feed() {
            Feed::Threads(_) if auto.is_none() => 0,
            _ => device_bytes,
        };
        let memory = limit.map(|bytes| Memory { bytes, device, folder: folder() });
        let settings = Settings {
            memory: memory.as_ref(),
            threads: self.threads_used(),
            chunk_bytes: self.chunk_bytes_for(&**source, &*backend),
            max_rejects: self.max_rejects,
            cancel: &self.cancel,
            observer: self.observer.as_deref(),
            auto: auto.as_ref().filter(|_| source.bytes().is_none_or(|bytes| bytes > SMALL)),
            pool: None,
        };
        let dictionaries = dictionaries(&plan.stage.program);
        let (found, rejects) = run(&plan.stage, &**source, dictionaries, &*backend, &settings, &mut ledger)?;
        let finishing = Instant::now();
        let pool = thread_pool(settings.threads)?;
        let threads = Threads { count: settings.threads, pool: &pool, cancel: &self.cancel };
        let schema = result_schema(&plan.outputs);
        let finished = receiver
            .begin(&schema, &rejects)
            .and_then(|()| finish(plan, found, &threads, &mut |batch| receiver.batch(batch)));
        if let (Err(_), Some(observer)) = (&finished, settings.observer) {
            observer.failed(&rejects);
        }
        let finished = finished?;
        ledger.spend("finish", finishing.elapsed());
        ledger.groups = finished.groups;
        ledger.rows_emitted = finished.rows;
        ledger.peak_memory = Memory::peak();
        ledger.wall = started.elapsed();
        if !ledger.balances() {
            return Err(Error::internal(format!(
                "{} rows read, but {} filtered + {} rejected + {} grouped",
                ledger.rows_read, ledger.rows_filtered, ledger.rows_rejected, ledger.rows_grouped
            )));
        }
        let types = plan.outputs.iter().map(|o| o.ty.clone()).collect();
        Ok(RunReport { schema, types, batches: Vec::new(), rejects, ledger })
    }

    fn run_rows(
        &self,
        plan: &RowsPlan,
        source: &dyn Source,
        before: &Ledger,
        started: Instant,
        receiver: &mut dyn Receiver,
    ) -> Result<RunReport> {
        if let Device::Gpu(_) = self.device {
            return Err(on_cpu());
        }
        let run = RowsRun { engine: self, plan };
        let schema = run.schema();
        let Rows { batches, rejects, mut ledger } = run.over(source)?;
        receiver.begin(&schema, &rejects)?;
        batches.into_iter().try_for_each(|batch| receiver.batch(batch))?;
        ledger.notes.splice(0..0, before.notes.iter().cloned());
        ledger.peak_memory = Memory::peak();
        ledger.wall = started.elapsed();
        let types = plan.outputs.iter().map(|(_, ty)| ty.clone()).collect();
        Ok(RunReport { schema, types, batches: Vec::new(), rejects, ledger })
    }

    /// Bytes the process may take.
    pub(super) fn limit(&self) -> Option<u64> {
        self.memory.or_else(Memory::usual)
    }

    /// Bytes of memory for a GPU: what its options say, but no more than a quarter of the limit.
    pub(super) fn device_bytes(&self, limit: Option<u64>) -> u64 {
        let wanted = self.options.memory.unwrap_or(GpuOptions::MEMORY);
        limit.map_or(wanted, |limit| wanted.min(limit / 4))
    }

    /// The backend for a plan, why that one, and a device that may take over; a GPU gets `device_bytes` of memory.
    pub(super) fn backend(&self, plan: &Plan, device_bytes: u64) -> Result<(Arc<dyn Backend>, String, Option<Auto>)> {
        let rates = self.rates.as_deref();
        let options = GpuOptions { memory: Some(device_bytes), ..self.options.clone() };
        let choose = || backend::choose(&self.device, self.threads_used(), &options, &plan.stage, rates);
        let Device::Gpu(_) = self.device else {
            let Choice { backend, reason, rival } = choose()?;
            let auto = rival.map(|rival| Auto { rival, opened: Arc::clone(&self.opened) });
            return Ok((Arc::from(backend), reason, auto));
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let (backend, reason) = match &*opened {
            Some(kept) => kept.clone(),
            None => {
                let Choice { backend, reason, .. } = choose()?;
                opened.insert((Arc::from(backend), reason)).clone()
            }
        };
        Ok((backend, reason, None))
    }
}
