//! A query: what is asked of a stream, and the handle of one that runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::aside::Aside;
use super::log::{Disk, SystemDisk};
use super::runner::Runner;
use super::{Guarantee, Limits, Lookup, OutputMode, Progress, Sink, Source, Trigger, Window};
use crate::expr::{Expr, Interval};
use crate::plan::{Job, Named};
use crate::{Engine, Error, Result};

/// A job over a stream: the same [`Job`] that runs over files, in micro-batches, with its state kept between them.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use tidemill::stream::{Callback, OutputMode, Query, RateSource, Trigger};
/// use tidemill::{Engine, Job, aggregate::{count, sum}, col};
///
/// let job = Job::new().aggregate(count().named("rows")).aggregate(sum(col("value")).named("total"));
/// let source = RateSource::new(100, "1s".parse()?, Some(3))?;
/// let given = Arc::new(Mutex::new(Vec::new()));
/// let sink = {
///     let given = Arc::clone(&given);
///     Callback::new(move |output| Ok(given.lock().unwrap().extend(output.rows.clone())))
/// };
/// let query = Query::new(source, job, sink)
///     .window("tumbling 1s on timestamp".parse()?)
///     .watermark("0s".parse()?)
///     .trigger(Trigger::AvailableNow)
///     .finish(true);
/// let summary = query.start(&Engine::new())?.wait()?;
/// assert_eq!((summary.batches, summary.rows_read, summary.rows_emitted), (4, 300, 3));
/// assert_eq!(given.lock().unwrap().len(), 3);
/// # Ok::<(), tidemill::Error>(())
/// ```
pub struct Query {
    pub(super) source: Box<dyn Source>,
    pub(super) job: Job,
    pub(super) sink: Box<dyn Sink>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) distinct: Vec<Named>,
    pub(super) event_time: Option<Expr>,
    pub(super) then: Vec<Job>,
    pub(super) windows: Vec<Window>,
    pub(super) watermark: Option<Interval>,
    pub(super) mode: OutputMode,
    pub(super) trigger: Trigger,
    pub(super) limits: Limits,
    pub(super) max_latency: Option<Interval>,
    pub(super) idle: Option<Interval>,
    pub(super) clock: Clock,
    pub(super) guarantee: Option<Guarantee>,
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) keep: u64,
    pub(super) finish: bool,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) aside: Aside,
    listener: Option<Listener>,
}

/// Is told of every batch that is done.
pub type Listener = Box<dyn FnMut(&Progress) + Send>;

/// Tells the time in milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

fn system_time() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// What a query did in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Batches done.
    pub batches: u64,
    /// Rows read.
    pub rows_read: u64,
    /// Rows for windows that were closed already.
    pub rows_late: u64,
    /// Rows given to the sink.
    pub rows_emitted: u64,
    /// From the start to the end.
    pub wall: Duration,
}

impl Query {
    /// Batches that can be gone back to, if none is named.
    pub const KEEP: u64 = 10;

    /// `job` over `source`, its results to `sink`: mode append, as soon as there is something to read, without a checkpoint.
    pub fn new(source: impl Source + 'static, job: Job, sink: impl Sink + 'static) -> Query {
        Query::boxed(Box::new(source), job, Box::new(sink))
    }

    /// The same of a source and a sink whose types are not known.
    pub fn boxed(source: Box<dyn Source>, job: Job, sink: Box<dyn Sink>) -> Query {
        Query {
            source,
            job,
            sink,
            lookups: Vec::new(),
            distinct: Vec::new(),
            event_time: None,
            then: Vec::new(),
            windows: Vec::new(),
            watermark: None,
            mode: OutputMode::default(),
            trigger: Trigger::default(),
            limits: Limits::default(),
            max_latency: None,
            idle: None,
            clock: Arc::new(system_time),
            guarantee: None,
            checkpoint: None,
            keep: Self::KEEP,
            finish: false,
            disk: Arc::new(SystemDisk),
            aside: Aside::default(),
            listener: None,
        }
    }

    /// Groups by spans of time, before the keys of the job: the output has `window_start` and `window_end`. There may be several
    /// over the same time, of different widths: each gives its rows, narrow windows first.
    pub fn window(mut self, window: Window) -> Query {
        self.windows.push(window);
        self
    }

    /// Gives rows the columns of a table, by a key, before all else.
    pub fn lookup(mut self, lookup: Lookup) -> Query {
        self.lookups.push(lookup);
        self
    }

    /// Leaves out rows, of those that pass the filter, whose keys have come before: the first of each goes on, in the order of the
    /// source. With a watermark a key is remembered until that has passed the event time of its first row by more than the delay; rows
    /// behind the watermark are late. Without one it is remembered for ever.
    pub fn distinct(mut self, keys: impl IntoIterator<Item = Named>) -> Query {
        self.distinct.extend(keys);
        self
    }

    /// The event time of [`Query::distinct`], where no window has one.
    pub fn event_time(mut self, on: Expr) -> Query {
        self.event_time = Some(on);
        self
    }

    /// A second stage: a job over the rows of each window that is given, or over all groups in mode complete. Its keys begin with those
    /// of the window; its order and limit are those of one window: the three largest of each.
    pub fn then(mut self, job: Job) -> Query {
        self.then.push(job);
        self
    }

    /// How late rows may come: a window is closed when a row is read whose event time is so much later than its end.
    pub fn watermark(mut self, delay: Interval) -> Query {
        self.watermark = Some(delay);
        self
    }

    /// What a batch gives.
    pub fn mode(mut self, mode: OutputMode) -> Query {
        self.mode = mode;
        self
    }

    /// When batches run.
    pub fn trigger(mut self, trigger: Trigger) -> Query {
        self.trigger = trigger;
        self
    }

    /// What a batch reads at most.
    pub fn limits(mut self, limits: Limits) -> Query {
        self.limits = limits;
        self
    }

    /// How long a batch is to take at most, about: what it reads is fitted to that, within the limits. A first batch is small; one that
    /// took too long is followed by one that is that much smaller.
    pub fn max_latency(mut self, target: Interval) -> Query {
        self.max_latency = Some(target);
        self
    }

    /// After so long without a row the watermark goes on with the clock, as if rows came whose event times rise as time does: windows are
    /// closed that would wait for rows of a source that has fallen silent. What it decides is logged, so a batch that is done again
    /// decides alike; rows that come afterwards may be late.
    pub fn idle(mut self, after: Interval) -> Query {
        self.idle = Some(after);
        self
    }

    /// The clock of processing time and of [`Query::idle`]: milliseconds since 1970; the system's unless it is set.
    pub fn clock(mut self, clock: Clock) -> Query {
        self.clock = clock;
        self
    }

    /// What is promised. Unless it is set: exactly once with a checkpoint, if source and sink can, or the most that they can; nothing
    /// without one.
    pub fn guarantee(mut self, guarantee: Guarantee) -> Query {
        self.guarantee = Some(guarantee);
        self
    }

    /// The folder of the log: the query goes on where the last process that had it was.
    pub fn checkpoint(mut self, folder: impl Into<PathBuf>) -> Query {
        self.checkpoint = Some(folder.into());
        self
    }

    /// How many batches can be gone back to, should files of the checkpoint be damaged; at least 1.
    pub fn keep(mut self, batches: u64) -> Query {
        self.keep = batches.max(1);
        self
    }

    /// Whether, once the input is at its end, windows that are still open are closed and given too. If not, they stay in the state
    /// for what may come later.
    pub fn finish(mut self, finish: bool) -> Query {
        self.finish = finish;
        self
    }

    /// The file system of the checkpoint; the system's own unless it is set.
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Query {
        self.disk = disk;
        self
    }

    /// Tells `listener` of every batch that is done, on the thread of the query.
    pub fn listen(mut self, listener: impl FnMut(&Progress) + Send + 'static) -> Query {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Runs the query on a thread of its own. What cannot be is found out before this returns.
    ///
    /// # Errors
    /// What does not go together; a checkpoint that is another query's, or cannot be gone on from; a sink that cannot be written.
    pub fn start(mut self, engine: &Engine) -> Result<Handle> {
        let stop = Arc::new(AtomicBool::new(false));
        let last: Arc<Mutex<Option<Progress>>> = Arc::default();
        let trigger = self.trigger;
        let listener = self.listener.take();
        let runner = Runner::open(self, engine)?;
        let notes = runner.notes().to_vec();
        let name = runner.name().to_owned();
        let thread = {
            let (stop, last) = (Arc::clone(&stop), Arc::clone(&last));
            let run = move || run(runner, trigger, &stop, &last, listener);
            std::thread::Builder::new().name("tidemill-stream".into()).spawn(run)
        };
        let thread = thread
            .map_err(|e| Error::Resource { message: format!("cannot start the thread of a query: {e}"), help: None })?;
        Ok(Handle { stop, last, thread, notes, name })
    }
}

/// A query that runs.
#[derive(Debug)]
pub struct Handle {
    stop: Arc<AtomicBool>,
    last: Arc<Mutex<Option<Progress>>>,
    thread: JoinHandle<Result<Summary>>,
    notes: Vec<String>,
    name: String,
}

impl Handle {
    /// The name of the query, the same over all its processes.
    pub fn query(&self) -> &str {
        &self.name
    }

    /// What did not go as planned when it started, and was mended: damaged files of a checkpoint …
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The account of the last batch that is done.
    pub fn progress(&self) -> Option<Progress> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to end after the batch it is at.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// What ended it. Nothing of the batch that failed is committed.
    pub fn wait(self) -> Result<Summary> {
        match self.thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// From one look at a source that has nothing new to the next: at first soon, for what comes in bursts; then seldom.
const SOONEST: Duration = Duration::from_millis(1);
const LATEST: Duration = Duration::from_millis(100);

fn run(
    mut runner: Runner,
    trigger: Trigger,
    stop: &AtomicBool,
    last: &Mutex<Option<Progress>>,
    mut listener: Option<Listener>,
) -> Result<Summary> {
    let started = Instant::now();
    let mut summary = Summary::default();
    let mut told = |progress: Progress, summary: &mut Summary| {
        summary.batches += 1;
        summary.rows_read += progress.rows_read;
        summary.rows_late += progress.rows_late;
        summary.rows_emitted += progress.rows_emitted;
        if let Some(listener) = &mut listener {
            listener(&progress);
        }
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    };
    let mut pause = SOONEST;
    let mut due = started;
    while !stop.load(Ordering::Acquire) {
        if runner.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if let Trigger::Interval(interval) = trigger {
            let now = Instant::now();
            if now < due {
                // In pieces, so that a stop is heard even if its wake-up came before the wait.
                std::thread::park_timeout((due - now).min(LATEST));
                continue;
            }
            // A batch that took longer than the interval is followed by the next at once, but not by all it has missed.
            due = (due + interval.duration()).max(now);
        }
        match runner.step(trigger == Trigger::Once)? {
            Some(progress) => {
                pause = SOONEST;
                told(progress, &mut summary);
                if trigger == Trigger::Once && !runner.has_again() {
                    break;
                }
            }
            None if runner.is_over() => break,
            // What comes once and is not there yet, a pipe's next lines, is waited for: it ends by itself.
            None if matches!(trigger, Trigger::AvailableNow | Trigger::Once) && runner.is_replayable() => break,
            None => match runner.close_what_is_due()? {
                Some(progress) => told(progress, &mut summary),
                None => {
                    std::thread::park_timeout(pause);
                    pause = (pause * 2).min(LATEST);
                }
            },
        }
    }
    if !stop.load(Ordering::Acquire)
        && let Some(progress) = runner.finish()?
    {
        told(progress, &mut summary);
    }
    summary.wall = started.elapsed();
    Ok(summary)
}
