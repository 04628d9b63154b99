//! From pieces of the result to record batches: made by several threads, given away in order.
//!
//! Pieces come as large as partitions happen to be; batches have a fixed number of rows, so that the bytes of a result do not
//! depend on how the work was cut. Threads take batches that can be cut before they make more pieces, and wait when the
//! receiver does not keep up: what is in memory stays small.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use arrow_array::{ArrayRef, ListArray, RecordBatch, RecordBatchOptions};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{Field, SchemaRef};
use crossbeam_channel::{Sender, bounded};

use super::result::result_schema;
use crate::column::{Column, Type};
use crate::plan::Plan;
use crate::{Error, Result};

/// Rows of a record batch of the result.
pub(super) const BATCH_ROWS: usize = 65_536;
/// Batches that may wait for the receiver.
const WAITING: usize = 4;

/// The threads that finish a result.
pub(super) struct Threads<'a> {
    pub count: usize,
    pub pool: &'a rayon::ThreadPool,
    pub cancel: &'a AtomicBool,
}

/// A pool of `threads` threads.
pub(super) fn thread_pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::Resource { message: format!("cannot start threads: {e}"), help: None })
}

impl Threads<'_> {
    /// Ends a step if the run was cancelled.
    pub fn go_on(&self) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Some rows of the result.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub rows: usize,
    /// One for each output.
    pub columns: Vec<PieceColumn>,
}

#[derive(Debug)]
pub(super) enum PieceColumn {
    Flat(Column),
    /// The list of row `i` is `items[starts[i]..ends[i]]`.
    Lists {
        items: Column,
        starts: Vec<u32>,
        ends: Vec<u32>,
    },
}

/// Some rows of a piece.
type Cut = (Arc<Piece>, Range<usize>);

/// Makes a piece.
pub(super) type Make<'a> = Box<dyn FnOnce() -> Result<Piece> + Send + 'a>;

/// Gives the next piece to be made, in the order of the result; asked by one thread at a time.
pub(super) type Source<'a> = Box<dyn FnMut() -> Result<Option<Make<'a>>> + Send + 'a>;

/// What the threads share.
struct State {
    /// Pieces that have been given out to be made, and the next one to be cut.
    taken: usize,
    cut: usize,
    /// Whether there is no further piece.
    ended: bool,
    /// Pieces that came before their turn.
    early: BTreeMap<usize, Piece>,
    /// Rows that are not in a batch yet.
    pending: VecDeque<Cut>,
    pending_rows: usize,
    /// Rows that may still be cut.
    left: u64,
    /// Batches to be made.
    batches: VecDeque<(usize, Vec<Cut>)>,
    batch: usize,
    /// The error of the earliest piece that has one.
    error: Option<(usize, Error)>,
    stop: bool,
}

struct Emitter<'a> {
    plan: &'a Plan,
    schema: SchemaRef,
    threads: &'a Threads<'a>,
    source: Mutex<Source<'a>>,
    state: Mutex<State>,
    changed: Condvar,
}

/// Makes the pieces of `source`, cuts them into batches of at most `limit` rows altogether, and gives those to `sink` in
/// order. Rows given.
pub(super) fn emit<'a>(
    plan: &'a Plan,
    threads: &'a Threads<'a>,
    source: Source<'a>,
    limit: Option<u64>,
    sink: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<u64> {
    let state = State {
        taken: 0,
        cut: 0,
        ended: false,
        early: BTreeMap::new(),
        pending: VecDeque::new(),
        pending_rows: 0,
        left: limit.unwrap_or(u64::MAX),
        batches: VecDeque::new(),
        batch: 0,
        error: None,
        stop: false,
    };
    let schema = result_schema(&plan.outputs);
    let source = Mutex::new(source);
    let emitter = Emitter { plan, schema, threads, source, state: Mutex::new(state), changed: Condvar::new() };
    // A pool of one for each thread: what would use all threads for one piece stays on the thread that makes it.
    let pools = (0..threads.count.max(1)).map(|_| thread_pool(1)).collect::<Result<Vec<_>>>()?;
    let (sender, receiver) = bounded(WAITING);
    let mut rows = 0;
    let given = std::thread::scope(|scope| {
        for pool in &pools {
            let (emitter, sender) = (&emitter, sender.clone());
            scope.spawn(move || pool.install(|| emitter.work(&sender)));
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut next = 0;
        let mut give = |receiver: &crossbeam_channel::Receiver<(usize, RecordBatch)>| {
            for (number, batch) in receiver {
                early.insert(number, batch);
                while let Some(batch) = early.remove(&next) {
                    rows += batch.num_rows() as u64;
                    sink(batch)?;
                    next += 1;
                }
            }
            Ok(())
        };
        let given = give(&receiver);
        if given.is_err() {
            emitter.lock().stop = true;
            emitter.changed.notify_all();
        }
        // Whoever waits to send finds nobody there any more.
        drop(receiver);
        given
    });
    let state = emitter.state.into_inner().unwrap_or_else(|e| e.into_inner());
    given.and(state.error.map_or(Ok(rows), |(_, error)| Err(error)))
}

/// One piece, no longer than a batch, as a batch: nothing to cut, and nothing to share out.
pub(super) fn emit_one(plan: &Plan, piece: Piece, sink: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<u64> {
    let rows = piece.rows;
    if rows > 0 {
        let schema = result_schema(&plan.outputs);
        sink(batch(plan, &schema, &[(Arc::new(piece), 0..rows)])?)?;
    }
    Ok(rows as u64)
}

impl Emitter<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere ends the run anyway.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn work(&self, sender: &Sender<(usize, RecordBatch)>) {
        let _ends = EndOnPanic(self);
        let mut state = self.lock();
        loop {
            if state.stop {
                return;
            }
            if let Some((number, cuts)) = state.batches.pop_front() {
                drop(state);
                let batch = self.threads.go_on().and_then(|()| self.batch(&cuts));
                match batch {
                    Ok(batch) => {
                        if sender.send((number, batch)).is_err() {
                            return;
                        }
                    }
                    Err(error) => self.fail(usize::MAX, error),
                }
                state = self.lock();
            } else if !state.ended {
                drop(state);
                self.next_piece();
                state = self.lock();
            } else if state.cut >= state.taken {
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
            }
        }
    }

    /// Makes the next piece, if there is one.
    fn next_piece(&self) {
        let mut source = self.source.lock().unwrap_or_else(|e| e.into_inner());
        if self.lock().ended {
            return;
        }
        let next = self.threads.go_on().and_then(|()| source());
        let mut state = self.lock();
        let piece = state.taken;
        let make = match next {
            Ok(Some(make)) => make,
            Ok(None) => {
                state.ended = true;
                return self.cut(&mut state);
            }
            Err(error) => {
                drop(state);
                return self.fail(piece, error);
            }
        };
        state.taken += 1;
        drop(state);
        drop(source);
        match make() {
            Ok(made) => {
                let mut state = self.lock();
                state.early.insert(piece, made);
                self.cut(&mut state);
            }
            Err(error) => self.fail(piece, error),
        }
    }

    /// An error of an earlier piece counts before that of a later one: pieces are taken in order, so all earlier ones are
    /// being made and will be heard.
    fn fail(&self, piece: usize, error: Error) {
        let mut state = self.lock();
        state.stop = true;
        if state.error.as_ref().is_none_or(|(first, _)| piece < *first) {
            state.error = Some((piece, error));
        }
        self.changed.notify_all();
    }

    /// Cuts what has come into batches.
    fn cut(&self, state: &mut State) {
        while let Some(mut piece) = state.early.remove(&state.cut) {
            state.cut += 1;
            let rows = piece.rows.min(usize::try_from(state.left).unwrap_or(usize::MAX));
            piece.rows = rows;
            state.left -= rows as u64;
            if rows > 0 {
                state.pending_rows += rows;
                state.pending.push_back((Arc::new(piece), 0..rows));
            }
        }
        let last = state.ended && state.cut == state.taken || state.left == 0;
        while state.pending_rows >= BATCH_ROWS || last && state.pending_rows > 0 {
            let mut cuts = Vec::new();
            let mut missing = BATCH_ROWS.min(state.pending_rows);
            state.pending_rows -= missing;
            while let (1.., Some((piece, range))) = (missing, state.pending.front_mut()) {
                let taken = range.len().min(missing);
                cuts.push((Arc::clone(piece), range.start..range.start + taken));
                range.start += taken;
                missing -= taken;
                if range.start == range.end {
                    state.pending.pop_front();
                }
            }
            state.batches.push_back((state.batch, cuts));
            state.batch += 1;
        }
        self.changed.notify_all();
    }

    fn batch(&self, cuts: &[Cut]) -> Result<RecordBatch> {
        batch(self.plan, &self.schema, cuts)
    }
}

/// What was cut as one batch.
fn batch(plan: &Plan, schema: &SchemaRef, cuts: &[Cut]) -> Result<RecordBatch> {
    let rows = cuts.iter().map(|(_, range)| range.len()).sum();
    let array = |(index, output): (usize, &crate::plan::Output)| {
        let (mut flat, mut lists) = (Vec::new(), Vec::new());
        for (piece, range) in cuts {
            match &piece.columns[index] {
                PieceColumn::Flat(column) => flat.push(column.slice(range.clone())),
                PieceColumn::Lists { items, starts, ends } => {
                    lists.push((items, &starts[range.clone()], &ends[range.clone()]));
                }
            }
        }
        if lists.is_empty() { Column::join_to_arrow(&flat) } else { list_array(&lists, &output.ty) }
    };
    let arrays = plan.outputs.iter().enumerate().map(array).collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options);
    batch.map_err(|e| Error::internal(format!("result batch: {e}")))
}

/// A thread that panics leaves a piece unmade: nobody may wait for it.
struct EndOnPanic<'a, 'e>(&'a Emitter<'e>);

impl Drop for EndOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().stop = true;
            self.0.changed.notify_all();
        }
    }
}

/// Lists one after the other.
fn list_array(lists: &[(&Column, &[u32], &[u32])], ty: &Type) -> Result<ArrayRef> {
    let item = match ty {
        Type::List(item) => item.to_arrow(),
        other => other.to_arrow(),
    };
    let mut lengths = Vec::new();
    let mut parts = Vec::new();
    for (items, starts, ends) in lists {
        let ranges = || starts.iter().zip(*ends).map(|(&start, &end)| start..end);
        lengths.extend(ranges().map(|range| range.len()));
        parts.push(items.take(&ranges().flatten().collect::<Vec<_>>()));
    }
    let values = Column::join_to_arrow(&parts)?;
    let field = Arc::new(Field::new("item", item, true));
    let array = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None);
    Ok(Arc::new(array.map_err(|e| Error::internal(format!("list column: {e}")))?))
}
