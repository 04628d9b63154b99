//! How threads share a scan: each takes a task, reads its chunks one after the other, and takes the next.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::run::Shared;
use crate::Error;
use crate::column::Chunk;
use crate::input::{ChunkTask, Scan};

/// A chunk's place in the input: the number of its task, and its own in the task.
pub(super) type Sequence = (u64, u64);

/// The place of an error that belongs to no chunk.
pub(super) const NOWHERE: Sequence = (u64::MAX, u64::MAX);

/// The tasks of a scan, in order.
pub(super) struct Tasks {
    /// The scan and the number of the next task; `None` when it is at its end.
    scan: Mutex<Option<(Box<dyn Scan>, u64)>>,
}

impl Tasks {
    pub(super) fn new(scan: Box<dyn Scan>) -> Tasks {
        Tasks { scan: Mutex::new(Some((scan, 0))) }
    }

    /// The next task and its number.
    fn next(&self) -> Result<Option<(u64, ChunkTask)>, (Sequence, Error)> {
        let mut scan = self.scan.lock().unwrap_or_else(|e| e.into_inner());
        let Some((source, number)) = &mut *scan else { return Ok(None) };
        let task = *number;
        match source.next() {
            Ok(Some(next)) => {
                *number += 1;
                Ok(Some((task, next)))
            }
            Ok(None) => {
                *scan = None;
                Ok(None)
            }
            Err(error) => Err(((task, 0), error)),
        }
    }
}

/// One thread's way through the scan: it ends a task before it asks for the next. Gives chunks until the scan is at its end
/// or the run has stopped.
pub(super) struct Reader<'a> {
    shared: &'a Shared<'a>,
    /// The task in hand, and the place of its next chunk.
    task: Option<(ChunkTask, Sequence)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Reader<'a> {
        Reader { shared, task: None }
    }
}

impl Iterator for Reader<'_> {
    type Item = Arc<Chunk>;

    fn next(&mut self) -> Option<Arc<Chunk>> {
        loop {
            let Some((task, sequence)) = &mut self.task else {
                if self.shared.is_stopped() {
                    return None;
                }
                match self.shared.tasks.next() {
                    Ok(Some((number, task))) => self.task = Some((task, (number, 0))),
                    Ok(None) => return None,
                    Err((sequence, error)) => {
                        self.shared.fail(sequence, error);
                        return None;
                    }
                }
                continue;
            };
            let at = *sequence;
            if self.shared.is_over(at) {
                return None;
            }
            sequence.1 += 1;
            let started = Instant::now();
            match task.next() {
                Some(Ok(read)) => {
                    if let Some(chunk) = self.shared.count_in(at, read, started.elapsed())? {
                        return Some(chunk);
                    }
                }
                Some(Err(error)) => {
                    self.shared.fail(at, error);
                    return None;
                }
                None => self.task = None,
            }
        }
    }
}
