//! A scan of a file, and the reading of one task: a range of a row group, chunk after chunk.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow_array::ArrayRef;

use super::batches::Batches;
use super::leaf::{self, Leaf, Trouble};
use super::{ChunkTask, ParquetFile, ParquetSource, Request, Scan, Source};
use crate::column::Column;
use crate::input::Read;
use crate::input::from_arrow::column;
use crate::input::projection::{FileRows, Projection, guarded, rows_per_chunk, width};
use crate::{Error, Result};

/// Bytes of the file read between two times that what was read is given back.
const RELEASE: u64 = 4 << 20;

/// Rows of a row group.
pub(super) struct Piece {
    pub(super) group: usize,
    /// Rows of the file before the row group.
    pub(super) first: u64,
    /// The rows, in the row group.
    pub(super) range: Range<u64>,
}

/// What the tasks of a scan share.
struct Shared {
    file: Arc<ParquetFile>,
    projection: Arc<Projection>,
    /// Whether columns may be read without the arrow reader.
    direct: bool,
    /// Readers that a task has done with, one for each column of the projection: their buffers are for the next.
    idle: Mutex<Vec<Vec<Option<Leaf>>>>,
}

pub(super) struct ParquetScan {
    shared: Arc<Shared>,
    /// For each row group: rows of a chunk.
    chunks: Vec<u64>,
    threads: u64,
    /// Where the next task begins.
    next: Piece,
    /// Rows from there on.
    left: u64,
}

impl ParquetScan {
    /// With `direct` false every column goes through the arrow reader.
    pub(super) fn new(source: &ParquetSource, request: &Request, direct: bool) -> Result<ParquetScan> {
        let (schema, file) = (&source.schema, Arc::clone(&source.file));
        let projection = Projection::new(&source.name(), schema, request)?;
        let shared = Shared { file, projection, direct, idle: Mutex::default() };
        let groups = shared.file.metadata.metadata().row_groups();
        let chunk = |(group, meta): (usize, &parquet::file::metadata::RowGroupMetaData)| {
            let rows = meta.num_rows() as u64;
            let held = |(slot, &root): (usize, &usize)| {
                let values = rows.saturating_mul(width(&schema.fields[root].ty));
                // The arrow reader holds strings themselves.
                let stored = |leaf: usize| meta.column(leaf).uncompressed_size().max(0) as u64;
                match shared.direct_leaf(group, slot) {
                    Some(_) => values,
                    None => shared.file.leaves(root).map(stored).fold(0, u64::saturating_add).max(values),
                }
            };
            let held = shared.projection.decode().iter().enumerate().map(held).fold(0, u64::saturating_add);
            rows_per_chunk(request, rows, held)
        };
        let chunks = groups.iter().enumerate().map(chunk).collect();
        let left = groups.iter().map(|group| group.num_rows() as u64).fold(0, u64::saturating_add);
        let next = Piece { group: 0, first: 0, range: 0..0 };
        Ok(ParquetScan { shared: Arc::new(shared), chunks, threads: request.threads.max(1) as u64, next, left })
    }
}

#[cfg(test)]
impl ParquetScan {
    /// For each column of the projection, whether it is read in `group` without the arrow reader.
    pub(super) fn direct_columns(&self, group: usize) -> Vec<bool> {
        let columns = 0..self.shared.projection.decode().len();
        columns.map(|slot| self.shared.direct_leaf(group, slot).is_some()).collect()
    }
}

impl Scan for ParquetScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        let groups = self.shared.file.metadata.metadata().row_groups();
        let (rows, chunk) = loop {
            let Some(group) = groups.get(self.next.group) else { return Ok(None) };
            let rows = group.num_rows() as u64;
            if self.next.range.start < rows {
                break (rows, self.chunks[self.next.group]);
            }
            self.next = Piece { group: self.next.group + 1, first: self.next.first.saturating_add(rows), range: 0..0 };
        };
        // A whole row group, as long as there are enough of them: a task that begins within one reads its dictionaries once
        // more. Towards the end smaller tasks, so that all threads come to theirs at the same time.
        let start = self.next.range.start;
        let rest = rows - start;
        let share = (self.left / (2 * self.threads)).max(2 * chunk);
        let tasks = (rest / share).max(1);
        let most = rest.div_ceil(tasks).div_ceil(chunk).saturating_mul(chunk).min(rest);
        let piece = Piece { group: self.next.group, first: self.next.first, range: start..start + most };
        self.next.range.start += most;
        self.left = self.left.saturating_sub(most);
        let shared = Arc::clone(&self.shared);
        Ok(Some(ChunkTask::new(Task {
            at: start,
            released: start,
            shared,
            piece,
            chunk,
            leaves: None,
            batches: vec![],
        })))
    }
}

impl Shared {
    /// The leaf of the row group's column `slot` of the projection, if it is read without the arrow reader.
    fn direct_leaf(&self, group: usize, slot: usize) -> Option<usize> {
        let root = *self.projection.decode().get(slot)?;
        let mut leaves = self.file.leaves(root);
        let (Some(leaf), None) = (leaves.next(), leaves.next()) else { return None };
        let (ty, _) = self.projection.sole(slot)?;
        let chunk = self.file.metadata.metadata().row_group(group).column(leaf);
        (self.direct && leaf::reads(chunk, ty)).then_some(leaf)
    }
}

/// A piece being read.
struct Task {
    shared: Arc<Shared>,
    piece: Piece,
    /// Rows of a chunk.
    chunk: u64,
    /// The next row, in the row group.
    at: u64,
    /// Where what was not given back begins.
    released: u64,
    /// For each column of the projection its reader; not before the first chunk.
    leaves: Option<Vec<Option<Leaf>>>,
    /// Readers of the other columns.
    batches: Vec<Batches>,
}

/// A column of the projection.
enum Made {
    Column(Column),
    Array(ArrayRef),
}

impl Iterator for Task {
    type Item = Result<Read>;

    fn next(&mut self) -> Option<Result<Read>> {
        let rows = self.chunk.min(self.piece.range.end - self.at);
        if rows == 0 {
            return None;
        }
        let read = self.read(rows as usize);
        match &read {
            Ok(_) => self.at += rows,
            Err(_) => self.at = self.piece.range.end,
        }
        self.release();
        Some(read)
    }
}

impl Task {
    fn read(&mut self, rows: usize) -> Result<Read> {
        let shared = Arc::clone(&self.shared);
        let first = self.piece.first.saturating_add(self.at);
        let made = match shared.projection.decode() {
            [] => Vec::new(),
            columns => {
                if self.leaves.is_none() {
                    self.open()?;
                }
                self.columns(first, rows, columns)?
            }
        };
        let origin = FileRows { path: Arc::clone(&shared.file.path), first, width: None };
        let group = shared.file.metadata.metadata().row_group(self.piece.group);
        let share = rows as u128 * group.compressed_size().max(0) as u128 / group.num_rows().max(1) as u128;
        shared.projection.assemble(rows, share as u64, Arc::new(origin), |slot, target, faults| match made.get(slot) {
            Some(Made::Column(column)) => Ok(column.clone()),
            Some(Made::Array(array)) if array.len() == rows => column(array.as_ref(), target, faults),
            _ => Err(Error::internal("a decoded column is missing or short")),
        })
    }

    /// Opens the readers of all columns at the piece's first row.
    fn open(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let (file, group) = (&shared.file, self.piece.group);
        let idle = shared.idle.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let mut leaves = idle.unwrap_or_default();
        leaves.resize_with(shared.projection.decode().len(), || None);
        let meta = file.metadata.metadata().row_group(group);
        let mut others = Vec::new();
        for (slot, reader) in leaves.iter_mut().enumerate() {
            let root = shared.projection.decode()[slot];
            let (Some(leaf), Some((ty, dict))) = (shared.direct_leaf(group, slot), shared.projection.sole(slot)) else {
                *reader = None;
                others.push(root);
                continue;
            };
            let chunk = meta.column(leaf);
            if reader.is_none() {
                *reader = Leaf::new(chunk, ty, dict);
            }
            let Some(open) = reader else {
                others.push(root);
                continue;
            };
            let (rows, skip) = (meta.num_rows() as usize, self.piece.range.start as usize);
            let opened = guarded(&file.path, || Ok::<_, Error>(open.open(&file.bytes, chunk, rows, skip)))?;
            match opened {
                Ok(()) => {}
                Err(Trouble::Foreign) => {
                    *reader = None;
                    others.push(root);
                }
                Err(trouble) => return Err(self.error(trouble, root)),
            }
        }
        if !others.is_empty() {
            self.batches.push(Batches::new(file, &self.piece, others, 0, self.chunk as usize)?);
        }
        self.leaves = Some(leaves);
        Ok(())
    }

    /// The next `rows` rows of all columns.
    fn columns(&mut self, first: u64, rows: usize, columns: &[usize]) -> Result<Vec<Made>> {
        let shared = Arc::clone(&self.shared);
        let (file, group) = (&shared.file, self.piece.group);
        let meta = file.metadata.metadata().row_group(group);
        let mut made: Vec<Option<Made>> = columns.iter().map(|_| None).collect();
        let mut leaves = self.leaves.take().unwrap_or_default();
        for (slot, reader) in leaves.iter_mut().enumerate() {
            let (Some(open), Some(leaf)) = (&mut *reader, shared.direct_leaf(group, slot)) else { continue };
            let Some((ty, _)) = shared.projection.sole(slot) else { continue };
            let read = guarded(&file.path, || Ok::<_, Error>(open.read(meta.column(leaf), ty, rows)))?;
            match read {
                Ok(column) => made[slot] = Some(Made::Column(column)),
                // The column's other pages may be what is not read here: from this chunk on it goes the other way.
                Err(Trouble::Foreign) => {
                    *reader = None;
                    let skip = (self.at - self.piece.range.start) as usize;
                    let batches = Batches::new(file, &self.piece, vec![columns[slot]], skip, self.chunk as usize)?;
                    self.batches.push(batches);
                }
                Err(trouble) => return Err(self.error(trouble, columns[slot])),
            }
        }
        self.leaves = Some(leaves);
        for batches in &mut self.batches {
            for (root, array) in batches.next(file, &self.piece, first, rows)? {
                if let Ok(slot) = columns.binary_search(&root) {
                    made[slot] = Some(Made::Array(array));
                }
            }
        }
        let made: Option<Vec<Made>> = made.into_iter().collect();
        made.ok_or_else(|| Error::internal("a column was read in no way"))
    }

    fn error(&self, trouble: Trouble, root: usize) -> Error {
        let file = &self.shared.file;
        match trouble {
            Trouble::Damaged(message) => {
                let name = file.metadata.schema().field(root).name();
                file.broken(self.piece.group, format_args!("column '{name}': {message}"))
            }
            Trouble::Foreign => Error::internal("a column that is to be read in another way"),
            Trouble::Failed(error) => error,
        }
    }

    /// Gives pages of the map back whose rows are read, if they are many or the last. Where in a column chunk a row is, is
    /// guessed: what is given back too early is mapped again, and what is given back too late is so at the end.
    fn release(&mut self) {
        let file = &self.shared.file;
        let group = file.metadata.metadata().row_group(self.piece.group);
        let rows = group.num_rows().max(1) as u128;
        let leaves = self.shared.projection.decode().iter().flat_map(|&root| file.leaves(root));
        let places = leaves.map(|leaf| group.column(leaf).byte_range());
        let read: u64 = places.clone().map(|(_, length)| length).fold(0, u64::saturating_add);
        let last = self.at == self.piece.range.end;
        if !last && read as u128 * u128::from(self.at - self.released) / rows < RELEASE.into() {
            return;
        }
        let from = if last { self.piece.range.start } else { self.released };
        for (start, length) in places {
            let place = |row: u64| {
                let place = start.saturating_add((u128::from(row) * u128::from(length)).div_ceil(rows) as u64);
                usize::try_from(place).unwrap_or(usize::MAX)
            };
            file.map.release(place(from)..place(self.at));
        }
        self.released = self.at;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(leaves) = self.leaves.take() {
            self.shared.idle.lock().unwrap_or_else(|e| e.into_inner()).push(leaves);
        }
    }
}
