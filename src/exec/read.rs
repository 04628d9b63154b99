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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::column::{Field, RowsFrom, Schema, Type};
    use crate::input::{Read, Request, Source};
    use crate::{Device, Engine, Input, Job, Result};

    /// A chunk's rows, or what is wrong with it.
    type Planned = std::result::Result<usize, &'static str>;

    /// A source of tasks whose chunks are rows without columns, or errors.
    struct Made {
        tasks: Vec<Vec<Planned>>,
        /// Chunks read so far.
        read: Arc<AtomicUsize>,
    }

    impl Source for Made {
        fn schema(&self) -> &Schema {
            static SCHEMA: std::sync::OnceLock<Schema> = std::sync::OnceLock::new();
            SCHEMA.get_or_init(|| Schema { fields: vec![Field::new("x", Type::Int64)] })
        }

        fn name(&self) -> String {
            "made".into()
        }

        fn bytes(&self) -> Option<u64> {
            None
        }

        fn scan(&self, _: &Request) -> Result<Box<dyn Scan>> {
            struct Going(std::vec::IntoIter<ChunkTask>);
            impl Scan for Going {
                fn next(&mut self) -> Result<Option<ChunkTask>> {
                    Ok(self.0.next())
                }
            }
            let task = |chunks: &Vec<Planned>| {
                let read = Arc::clone(&self.read);
                ChunkTask::new(chunks.clone().into_iter().map(move |chunk| {
                    read.fetch_add(1, Ordering::Relaxed);
                    // So that another thread comes to its error meanwhile.
                    std::thread::sleep(std::time::Duration::from_micros(300));
                    let rows = chunk.map_err(Error::usage)?;
                    let chunk = Chunk { rows, columns: Vec::new(), origin: Arc::new(RowsFrom { first: 0 }) };
                    Ok(Read { bytes: 0, chunk, rejects: Vec::new() })
                }))
            };
            Ok(Box::new(Going(self.tasks.iter().map(task).collect::<Vec<_>>().into_iter())))
        }

        fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
            None
        }
    }

    fn run(tasks: Vec<Vec<Planned>>) -> (Result<u64>, usize) {
        let read = Arc::default();
        let input = Input::from_source(Arc::new(Made { tasks, read: Arc::clone(&read) }));
        let (expr, name) = crate::expr::parse_item("count()").unwrap();
        let job = Job::new().aggregate(crate::plan::Named { name, expr });
        let report = Engine::new().threads(2).device(Device::Cpu).run(&job, &input);
        (report.map(|report| report.ledger.rows_read), read.load(Ordering::Relaxed))
    }

    #[test]
    fn every_chunk_of_every_task_is_read_once() {
        let tasks = (0..20).map(|task| (0..task % 4).map(|chunk| Ok(chunk * 10 + 1)).collect()).collect();
        let (rows, read) = run(tasks);
        assert_eq!((rows.unwrap(), read), (5 * (1 + 1 + 11 + 1 + 11 + 21), 5 * 6));
    }

    #[test]
    fn the_earliest_error_is_told_and_what_comes_after_it_is_not_read() {
        for _ in 0..5 {
            // One thread is at its error long before the other is at the earlier one.
            let slow: Vec<_> = (0..30).map(|_| Ok(1)).chain([Err("the first")]).chain((0..50).map(|_| Ok(1))).collect();
            let quick = vec![Err("the second"), Ok(1)];
            let more = vec![Ok(1); 100];
            let (rows, read) = run(vec![slow, quick, more.clone(), more]);
            assert!(rows.unwrap_err().to_string().contains("the first"));
            assert!((31..=132).contains(&read), "{read} chunks were read");
        }
        // An error in the middle of a task ends the tasks after it.
        let early = vec![Ok(1), Err("the first"), Ok(1)];
        let (rows, read) = run(vec![early, vec![Ok(1); 1000], vec![Ok(1); 1000]]);
        assert!(rows.unwrap_err().to_string().contains("the first"));
        assert!(read < 1000, "{read} chunks were read");
    }
}
