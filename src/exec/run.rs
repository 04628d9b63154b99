//! The chunk loop: threads read chunks in order of the input, workers take them in, partials are merged.
//!
//! On the CPU every thread reads and works. On a device the threads read, and one thread feeds the device through a short
//! queue. If the device fails midway, the chunks it hands back, and all that follow, go to the CPU: the same algebra, so
//! the same bits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::adapt::Auto;
use super::memory::Memory;
use super::read::{NOWHERE, Reader, Sequence, Tasks};
use super::shuffle::Found;
use super::spill::{Grouped, Spill, Spilled};
use super::threads::{on_threads, take};
use super::{Ledger, Observer, Progress};
use crate::agg::{Merger, Partial};
use crate::backend::cpu::Cpu;
use crate::backend::{Backend, Counts, FailedRows, Failure, Feed, UnfinishedChunk, Worker};
use crate::column::{Chunk, Dictionary};
use crate::expr;
use crate::input::{Read, Reject, Request, Source};
use crate::plan::Stage;
use crate::{Error, Result};

/// What a run needs besides the stage and the source.
pub(super) struct Settings<'a> {
    pub threads: usize,
    pub chunk_bytes: usize,
    /// The most rows to set aside; `None` stops at the first bad row.
    pub max_rejects: Option<u64>,
    pub cancel: &'a AtomicBool,
    pub observer: Option<&'a dyn Observer>,
    /// A device that may take over from the CPU.
    pub auto: Option<&'a Auto>,
    pub memory: Option<&'a Memory>,
    /// Threads that are there already, as many as `threads` at least, for a run on the CPU's: new ones cost more than a small run.
    pub pool: Option<&'a rayon::ThreadPool>,
}

/// Rows of a chunk at most: row numbers within a chunk are u32 with room to spare.
const CHUNK_ROWS: usize = 1 << 24;

/// Runs `stage` over `source` on `backend`; `dictionaries` are those of the program's columns. The ledger gets rows, bytes and
/// times.
pub(super) fn run(
    stage: &Arc<Stage>,
    source: &dyn Source,
    dictionaries: Vec<Option<Arc<Dictionary>>>,
    backend: &dyn Backend,
    settings: &Settings<'_>,
    ledger: &mut Ledger,
) -> Result<(Found, Vec<Reject>)> {
    let threads = settings.threads.max(1);
    let shared = Shared::begin(stage, source, dictionaries, settings)?;
    let found = match (backend.feed(), settings.auto) {
        (Feed::Threads(most), None) => shared.run_on_threads(backend, most.min(threads))?,
        (Feed::Threads(most), Some(auto)) => shared.run_between(auto, most.min(threads))?,
        (Feed::Queue, _) => shared.run_on_queue(backend)?,
    };
    let (rejects, spill) = shared.settle(ledger)?;
    let merging = Instant::now();
    let (found, spilled) = match spill {
        Some(spill) => spill.finish(found)?,
        None => (found, None),
    };
    ledger.details.extend(spilled.iter().map(Spilled::describe));
    let mut rows = Vec::new();
    let mut partials = Vec::new();
    for (partial, more) in found {
        partials.push(partial);
        rows.extend(more);
    }
    let groups = match <[Partial; 1]>::try_from(partials) {
        Ok([one]) => one,
        Err(partials) => {
            let mut merger = Merger::new(&stage.key_shape(), &stage.states);
            partials.into_iter().for_each(|p| _ = merger.absorb(p, threads));
            merger.finish()
        }
    };
    ledger.spend("merge", merging.elapsed());
    Ok((Found { groups, rows, spilled }, rejects))
}

/// What the threads of a run share.
pub(super) struct Shared<'a> {
    pub(super) stage: &'a Arc<Stage>,
    settings: &'a Settings<'a>,
    /// Where workers put what they cannot hold.
    spill: Option<Spill<'a>>,
    pub(super) total_bytes: Option<u64>,
    pub(super) tasks: Tasks,
    account: Mutex<Account>,
    stop: AtomicBool,
    device_failed: AtomicBool,
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// What has happened so far.
#[derive(Default)]
pub(super) struct Account {
    rows_read: u64,
    bytes: u64,
    chunks: u64,
    counts: Counts,
    /// Rejected rows and their chunk.
    rejects: Vec<(Sequence, Reject)>,
    /// The error of the earliest chunk that has one.
    error: Option<(Sequence, Error)>,
    /// The places of chunks on their way, by address: a device names rows of a chunk late.
    sequence: HashMap<usize, Sequence>,
    /// The device that took over.
    pub(super) moved: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) details: Vec<String>,
    pub(super) reading: Duration,
    timings: Vec<(&'static str, Duration)>,
}

fn address(chunk: &Arc<Chunk>) -> usize {
    Arc::as_ptr(chunk) as usize
}

impl<'a> Shared<'a> {
    /// Begins to scan `source` for the columns of the stage's program.
    pub(super) fn begin(
        stage: &'a Arc<Stage>,
        source: &dyn Source,
        dictionaries: Vec<Option<Arc<Dictionary>>>,
        settings: &'a Settings<'a>,
    ) -> Result<Shared<'a>> {
        let program = &stage.program;
        let threads = settings.threads.max(1);
        let chunk_bytes =
            settings.memory.map_or(settings.chunk_bytes, |m| m.chunk_bytes(settings.chunk_bytes, threads));
        let request = Request {
            columns: program.columns.iter().map(|c| c.column).collect(),
            dictionaries,
            types: program.columns.iter().map(|c| c.ty.clone()).collect(),
            chunk_bytes,
            chunk_rows: CHUNK_ROWS,
            threads,
            tolerant: settings.max_rejects.is_some(),
        };
        let dictionaries = || request.dictionaries.iter().flatten().cloned().collect();
        let spill = settings.memory.map(|memory| Spill::new(memory, stage, dictionaries(), threads, chunk_bytes));
        Ok(Shared {
            stage,
            settings,
            spill,
            total_bytes: source.bytes(),
            tasks: Tasks::new(source.scan(&request)?),
            account: Mutex::new(Account::default()),
            stop: AtomicBool::new(false),
            device_failed: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// Ends a run: its error, if there was one; else the rows set aside, in the order of the input. The ledger gets what was counted.
    pub(super) fn settle(self, ledger: &mut Ledger) -> Result<(Vec<Reject>, Option<Spill<'a>>)> {
        let account = self.account.into_inner().unwrap_or_else(|e| e.into_inner());
        let mut rejects = account.rejects;
        // Rows that could not be read come before rows of the same chunk that could not be computed.
        rejects.sort_by_key(|(sequence, r)| (*sequence, r.place.byte, r.place.row));
        let rejects: Vec<Reject> = rejects.into_iter().map(|(_, reject)| reject).collect();
        if let Some((_, error)) = account.error {
            if let Some(observer) = self.settings.observer {
                observer.failed(&rejects);
            }
            return Err(error);
        }
        if self.settings.cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        ledger.rows_read = account.rows_read;
        ledger.rows_filtered = account.counts.filtered;
        ledger.rows_grouped = account.counts.grouped;
        ledger.rows_rejected = rejects.len() as u64;
        ledger.bytes_read = account.bytes;
        ledger.chunks = account.chunks;
        if let Some(name) = account.moved {
            ledger.device = format!("{}, then {name}", ledger.device);
        }
        ledger.notes.extend(account.notes);
        ledger.details.extend(account.details);
        ledger.spend("read", account.reading);
        for (name, time) in account.timings {
            ledger.spend(name, time);
        }
        Ok((rejects, self.spill))
    }
}

impl Shared<'_> {
    /// The place of a chunk that is being worked on.
    pub(super) fn sequence(&self, chunk: &Arc<Chunk>) -> Sequence {
        self.account().sequence.get(&address(chunk)).copied().unwrap_or(NOWHERE)
    }

    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        // A panic elsewhere ends the run anyway; the account is still the best there is.
        self.account.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Records an error of chunk `sequence`. The earliest chunk's error is the run's: tasks are handed out in order, so
    /// when this one fails, all earlier ones are on their way, go on to their end, and will be heard.
    pub(super) fn fail(&self, sequence: Sequence, error: Error) {
        let mut account = self.account();
        if account.error.as_ref().is_none_or(|(first, _)| sequence < *first) {
            account.error = Some((sequence, error));
        }
        self.stop.store(true, Ordering::Release);
    }

    /// Records an error that is no chunk's.
    pub(super) fn give_up(&self, error: Error) {
        self.fail(NOWHERE, error);
    }

    /// Whether no further task is to be begun.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.settings.cancel.load(Ordering::Relaxed)
    }

    /// Whether chunk `sequence`, whose task is begun, is not to be read any more.
    pub(super) fn is_over(&self, sequence: Sequence) -> bool {
        if self.settings.cancel.load(Ordering::Relaxed) {
            return true;
        }
        // An error that is no chunk's will not be another for what is read after it.
        self.stop.load(Ordering::Acquire)
            && self.account().error.as_ref().is_none_or(|(first, _)| sequence >= *first || *first == NOWHERE)
    }

    /// What a thread reads with.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(self)
    }

    /// Takes what was read into the account. The chunk, if it has rows; `None` if the run is over.
    pub(super) fn count_in(&self, sequence: Sequence, read: Read, spent: Duration) -> Option<Option<Arc<Chunk>>> {
        let chunk = Arc::new(read.chunk);
        let rows = chunk.rows as u64 + read.rejects.len() as u64;
        let total = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        let done = self.bytes.fetch_add(read.bytes, Ordering::Relaxed) + read.bytes;
        {
            let mut account = self.account();
            account.reading += spent;
            account.rows_read += rows;
            account.bytes += read.bytes;
            account.chunks += 1;
            account.sequence.insert(address(&chunk), sequence);
        }
        if let Some(observer) = self.settings.observer {
            observer.progress(Progress { bytes: done, total_bytes: self.total_bytes, rows: total });
        }
        if !read.rejects.is_empty() && !self.reject(sequence, read.rejects) {
            return None;
        }
        Some((chunk.rows > 0).then_some(chunk))
    }

    /// Sets rows aside; false if there are too many of them.
    fn reject(&self, sequence: Sequence, rejects: Vec<Reject>) -> bool {
        let limit = self.settings.max_rejects.unwrap_or(0);
        let mut account = self.account();
        account.rejects.extend(rejects.into_iter().map(|r| (sequence, r)));
        let rejected = account.rejects.len() as u64;
        if rejected <= limit {
            return true;
        }
        let last = account.rejects.last().map(|(_, r)| format!("{}: {}", r.place, r.message)).unwrap_or_default();
        drop(account);
        self.fail(sequence, Error::TooManyRejects { rejected, limit, last });
        false
    }

    /// Takes the counts of a push into the account. Rows without a result are rejects, or the error of the run.
    pub(super) fn count(&self, mut counts: Counts) {
        let failed = std::mem::take(&mut counts.failed);
        self.account().counts.add(counts);
        for FailedRows { chunk, rows } in failed {
            let sequence = self.sequence(&chunk);
            if self.settings.max_rejects.is_none() {
                let row = rows.first().map_or(0, |r| *r as usize);
                self.fail(sequence, row_error(self.stage, &chunk, row));
                continue;
            }
            let rejects = rows.iter().map(|&row| {
                let error = row_error(self.stage, &chunk, row as usize);
                Reject {
                    place: chunk.origin.place(row as usize),
                    column_index: None,
                    error_type: "arithmetic",
                    // The place is the reject's own.
                    message: match &error {
                        Error::Arithmetic { message, expr, .. } => format!("{message} in `{expr}`"),
                        other => other.to_string(),
                    },
                    raw: chunk.origin.raw(row as usize).unwrap_or_default(),
                }
            });
            self.reject(sequence, rejects.collect());
        }
    }

    /// Pushes a chunk. False if the device is gone.
    pub(super) fn push(&self, worker: &mut dyn Worker, chunk: Arc<Chunk>, left: &mut Vec<UnfinishedChunk>) -> bool {
        let sequence = self.sequence(&chunk);
        match worker.push(chunk) {
            Ok(counts) => {
                self.count(counts);
                true
            }
            Err(Failure::Job(error)) => {
                self.fail(sequence, error);
                true
            }
            Err(Failure::Device { error, unfinished }) => self.failed_midway(&error, unfinished, left),
        }
    }

    /// Takes rows and groups off a worker that holds more than its share of the memory. False if the device is gone.
    pub(super) fn relieve(&self, worker: &mut dyn Worker, left: &mut Vec<UnfinishedChunk>) -> bool {
        let Some(spill) = &self.spill else { return true };
        let written = match spill.quota() {
            Ok(quota) if worker.held() as u64 <= quota => return true,
            Err(error) => Err(error),
            Ok(_) => match worker.finish() {
                Ok((groups, counts)) => {
                    self.count(counts);
                    spill.write(&groups, worker.rows())
                }
                Err(Failure::Job(error)) => Err(error),
                Err(Failure::Device { error, unfinished }) => return self.failed_midway(&error, unfinished, left),
            },
        };
        if let Err(error) = written {
            self.give_up(error);
        }
        true
    }

    /// A device has failed midway; what it hands back goes to `left`.
    fn failed_midway(&self, error: &Error, unfinished: Vec<UnfinishedChunk>, left: &mut Vec<UnfinishedChunk>) -> bool {
        let rows: usize = unfinished.iter().map(|u| u.0.rows).sum();
        let note = format!("the device failed ({error}); {rows} rows in flight and all that follow ran on the CPU");
        self.device_gone(note, unfinished, left);
        false
    }

    fn device_gone(&self, note: String, unfinished: Vec<UnfinishedChunk>, left: &mut Vec<UnfinishedChunk>) {
        self.device_failed.store(true, Ordering::Relaxed);
        self.account().notes.push(note);
        left.extend(unfinished);
    }

    /// Takes the groups of a worker. A device may fail even here: what it had not finished goes to `left`.
    pub(super) fn finish(&self, worker: &mut dyn Worker, left: &mut Vec<UnfinishedChunk>) -> Option<Grouped> {
        for _ in 0..2 {
            match worker.finish() {
                Ok((partial, counts)) => {
                    self.count(counts);
                    let mut account = self.account();
                    account.timings.extend(worker.timings());
                    account.details.extend(worker.details());
                    return Some((partial, worker.rows()));
                }
                Err(Failure::Job(error)) => {
                    self.give_up(error);
                    return None;
                }
                Err(Failure::Device { error, unfinished }) => {
                    let note = format!("the device failed at the end ({error}); its last chunks ran on the CPU");
                    self.device_gone(note, unfinished, left);
                }
            }
        }
        self.give_up(Error::internal("a device failed twice at the end"));
        None
    }

    fn run_on_threads(&self, backend: &dyn Backend, threads: usize) -> Result<Vec<Grouped>> {
        let workers = (0..threads.max(1)).map(|_| backend.worker(self.stage)).collect::<Result<Vec<_>>>()?;
        let work = |mut worker: Box<dyn Worker>| {
            for chunk in self.reader() {
                self.push(&mut *worker, chunk, &mut Vec::new());
                self.relieve(&mut *worker, &mut Vec::new());
            }
            self.finish(&mut *worker, &mut Vec::new())
        };
        Ok(on_threads(self.settings.pool, workers, work).into_iter().flatten().collect())
    }

    fn run_on_queue(&self, backend: &dyn Backend) -> Result<Vec<Grouped>> {
        let mut device = backend.worker(self.stage)?;
        let (sender, receiver) = bounded::<Arc<Chunk>>(2);
        let cpu = Cpu::new(1);
        // One sender for each reading thread; the thread without one feeds the device.
        let mut threads: Vec<Option<Sender<Arc<Chunk>>>> = vec![Some(sender); self.settings.threads.max(1)];
        threads.push(None);
        let receiver = Mutex::new(Some(receiver));
        let device = Mutex::new(Some(&mut device));
        let work = |sender: Option<Sender<Arc<Chunk>>>| match sender {
            Some(sender) => self.read_for_device(sender, &cpu),
            None => {
                let (device, receiver) = (take(&device), take(&receiver));
                match (device, receiver) {
                    (Some(device), Some(receiver)) => self.feed(&mut **device, receiver, &cpu),
                    _ => Vec::new(),
                }
            }
        };
        Ok(on_threads(None, threads, work).into_iter().flatten().collect())
    }

    /// Reads chunks for the device; when it has failed, works them off here.
    fn read_for_device(&self, sender: Sender<Arc<Chunk>>, cpu: &Cpu) -> Vec<Grouped> {
        let mut rest = Vec::new();
        let mut reader = self.reader();
        for chunk in reader.by_ref() {
            if self.device_failed.load(Ordering::Relaxed) {
                rest.push(chunk);
                break;
            }
            // The feeder reads until every sender is gone; it cannot hang up first.
            if let Err(unsent) = sender.send(chunk) {
                rest.push(unsent.into_inner());
                break;
            }
        }
        drop(sender);
        if rest.is_empty() { Vec::new() } else { self.on_cpu(cpu, rest.into_iter().chain(reader)) }
    }

    /// Feeds the device from the queue; when it has failed, works off what it left and what is still in the queue.
    fn feed(&self, device: &mut dyn Worker, queue: Receiver<Arc<Chunk>>, cpu: &Cpu) -> Vec<Grouped> {
        let mut left = Vec::new();
        for chunk in &queue {
            if !self.push(device, chunk, &mut left) || !self.relieve(device, &mut left) {
                break;
            }
        }
        let mut partials: Vec<Grouped> = self.finish(device, &mut left).into_iter().collect();
        let left: Vec<_> = left.into_iter().map(|u| u.0).collect();
        if !left.is_empty() || self.device_failed.load(Ordering::Relaxed) {
            partials.extend(self.on_cpu(cpu, left.into_iter().chain(queue.iter())));
        }
        partials
    }

    /// Works off `chunks` on the CPU.
    pub(super) fn on_cpu(&self, cpu: &Cpu, chunks: impl IntoIterator<Item = Arc<Chunk>>) -> Vec<Grouped> {
        let mut worker = match cpu.worker(self.stage) {
            Ok(worker) => worker,
            Err(error) => {
                self.give_up(error);
                return Vec::new();
            }
        };
        for chunk in chunks {
            self.push(&mut *worker, chunk, &mut Vec::new());
            self.relieve(&mut *worker, &mut Vec::new());
        }
        self.finish(&mut *worker, &mut Vec::new()).into_iter().collect()
    }
}

/// The error of a row that has no result: the plain evaluator finds out which operation failed, on what.
fn row_error(stage: &Stage, chunk: &Chunk, row: usize) -> Error {
    let fault = stage.outputs().into_iter().find_map(|node| expr::eval_row(&stage.program, node, chunk, row).err());
    match fault {
        Some(fault) => Error::Arithmetic {
            place: Box::new(chunk.origin.place(row)),
            message: fault.message,
            expr: stage.program.node(fault.node).text.clone(),
            help: Some("try(…) gives null instead".into()),
        },
        None => Error::internal(format!("{}: a row failed and then did not", chunk.origin.place(row))),
    }
}
