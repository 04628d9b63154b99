//! A run that begins on the CPU and may move to a device, and back.
//!
//! Every reading thread has a CPU worker. A [`Pilot`] is told what chunks cost and says where the next ones go; one more
//! thread opens the device when it is told to, and feeds it. Wherever a chunk was worked on, its partial is merged by the
//! same algebra, so where it was changes no bit.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::run::Shared;
use super::spill::Grouped;
use super::threads::{on_threads, take};
use crate::Result;
use crate::backend::cpu::Cpu;
use crate::backend::{Backend, Course, Pilot, Progress, Rival, UnfinishedChunk, Worker};
use crate::column::Chunk;

/// A device opened by a run, kept for the next one, and why it runs there.
pub(super) type Opened = Arc<Mutex<Option<(Arc<dyn Backend>, String)>>>;

/// Input bytes up to which a run stays where it begins: one thread is through with them before a device has had its first chunk,
/// and another thread, which would open and feed it, costs more than it could give.
pub(super) const SMALL: u64 = 1 << 18;

/// A device that may take over.
pub(super) struct Auto {
    pub rival: Rival,
    pub opened: Opened,
}

impl Auto {
    fn opened(&self) -> Option<Arc<dyn Backend>> {
        let slot = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(|(backend, _)| Arc::clone(backend)).filter(|backend| backend.name() == self.rival.name())
    }

    fn open(&self) -> Result<Arc<dyn Backend>> {
        if let Some(backend) = self.opened() {
            return Ok(backend);
        }
        let backend: Arc<dyn Backend> = Arc::from(self.rival.open()?);
        let mut slot = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some((Arc::clone(&backend), String::new()));
        Ok(backend)
    }
}

/// What goes to the thread of the device.
enum Message {
    Open,
    Chunk(Arc<Chunk>),
}

fn lock(pilot: &Mutex<Pilot>) -> MutexGuard<'_, Pilot> {
    pilot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared<'_> {
    /// Runs on `threads` threads of the CPU, and on the rival when that is faster.
    pub(super) fn run_between(&self, auto: &Auto, threads: usize) -> Result<Vec<Grouped>> {
        let pilot = Mutex::new(auto.rival.pilot(auto.opened().is_some()));
        let cpu = Cpu::new(1);
        let (sender, receiver) = bounded::<Message>(2);
        let receiver = Mutex::new(Some(receiver));
        let mut seats: Vec<Option<Sender<Message>>> = vec![Some(sender); threads.max(1)];
        seats.push(None);
        let work = |sender: Option<Sender<Message>>| match sender {
            Some(sender) => self.steer(&pilot, sender, &cpu),
            None => take(&receiver).map_or_else(Vec::new, |queue| self.serve(&pilot, queue, auto, &cpu)),
        };
        let found = on_threads(None, seats, work).into_iter().flatten().collect();
        let (log, surprises) = pilot.into_inner().unwrap_or_else(PoisonError::into_inner).words();
        let mut account = self.account();
        account.details.splice(0..0, log);
        account.notes.extend(surprises);
        Ok(found)
    }

    fn so_far(&self) -> Progress {
        let reading = self.account().reading.as_secs_f64();
        Progress {
            rows: self.rows.load(Ordering::Relaxed) as f64,
            bytes: self.bytes.load(Ordering::Relaxed) as f64,
            total: self.total_bytes.map(|bytes| bytes as f64),
            reading,
        }
    }

    /// Reads chunks, and works on them or sends them to the device.
    fn steer(&self, pilot: &Mutex<Pilot>, sender: Sender<Message>, cpu: &Cpu) -> Vec<Grouped> {
        let mut worker = match cpu.worker(self.stage) {
            Ok(worker) => worker,
            Err(error) => {
                self.give_up(error);
                return Vec::new();
            }
        };
        for mut chunk in self.reader() {
            let course = lock(pilot).course();
            if course == Course::Gpu {
                match sender.send(Message::Chunk(chunk)) {
                    Ok(()) => continue,
                    Err(unsent) => match unsent.into_inner() {
                        Message::Chunk(back) => chunk = back,
                        Message::Open => continue,
                    },
                }
            }
            let (rows, started) = (chunk.rows as f64, Instant::now());
            self.push(&mut *worker, chunk, &mut Vec::new());
            self.relieve(&mut *worker, &mut Vec::new());
            let (spent, so_far) = (started.elapsed().as_secs_f64(), self.so_far());
            if lock(pilot).cpu_chunk(rows, spent, worker.groups() as f64, so_far) {
                // The receiver is there until every sender is gone.
                _ = sender.send(Message::Open);
            }
        }
        drop(sender);
        self.finish(&mut *worker, &mut Vec::new()).into_iter().collect()
    }

    /// Opens the device when told to, and feeds it. What it does not take goes to the CPU.
    fn serve(&self, pilot: &Mutex<Pilot>, queue: Receiver<Message>, auto: &Auto, cpu: &Cpu) -> Vec<Grouped> {
        let mut device: Option<Box<dyn Worker>> = None;
        let mut left: Vec<UnfinishedChunk> = Vec::new();
        let mut back = false;
        for message in &queue {
            match (message, &mut device) {
                (Message::Open, _) => {
                    let started = Instant::now();
                    match auto.open().and_then(|backend| backend.worker(self.stage)) {
                        Ok(worker) => {
                            device = Some(worker);
                            lock(pilot).opened(started.elapsed().as_secs_f64(), None);
                        }
                        Err(error) => lock(pilot).opened(0.0, Some(&error.to_string())),
                    }
                }
                (Message::Chunk(chunk), None) => left.push(UnfinishedChunk(chunk)),
                (Message::Chunk(chunk), Some(worker)) => {
                    self.account().moved = Some(auto.rival.name().to_owned());
                    let (rows, started) = (chunk.rows as f64, Instant::now());
                    if self.push(&mut **worker, chunk, &mut left) && self.relieve(&mut **worker, &mut left) {
                        let (spent, so_far) = (started.elapsed().as_secs_f64(), self.so_far());
                        lock(pilot).gpu_chunk(rows, spent, so_far);
                    } else {
                        lock(pilot).lost();
                    }
                }
            }
            back = lock(pilot).course() == Course::Back;
            if back {
                break;
            }
        }
        let finished = device.and_then(|mut worker| self.finish(&mut *worker, &mut left));
        let mut found: Vec<Grouped> = finished.into_iter().collect();
        if back || !left.is_empty() {
            let queued = queue.iter().filter_map(|message| match message {
                Message::Chunk(chunk) => Some(chunk),
                Message::Open => None,
            });
            found.extend(self.on_cpu(cpu, left.into_iter().map(|unfinished| unfinished.0).chain(queued)));
        }
        found
    }
}
