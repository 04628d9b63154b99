//! What does not fit the memory goes to disk and comes back partition by partition.
//!
//! While rows are read, a worker that holds too much gives its rows and groups away; they are written one after the other
//! into a temporary file as they are. When all has been read, and so the order of strings is known, they are brought into
//! parts of neighbouring keys in a second file. A part is small enough to be shuffled in memory, and one part after the
//! other is the result in key order: the same bytes as without a limit. Both files have no name (where the system can do
//! that) and vanish with the process, however it ends.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use rayon::prelude::*;

use super::emit::Threads;
use super::memory::{Memory, size};
use super::shuffle::{Bounds, Frame, PARTITION, Shuffled};
use crate::agg::{ArgColumn, KeyRows, Layout, Merger, Partial, Rows, State, StateKind};
use crate::column::{Dictionary, pick};
use crate::plan::Stage;
use crate::{Error, Result};

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;
/// Groups of a block at most.
const BLOCK: usize = 8192;
/// Keys of a block that the bounds of parts are made from.
const SAMPLE: usize = 8;
/// Parts at most.
const MOST_PARTS: usize = 1024;
/// How much more memory parts take than one has bytes of rows on disk: its rows, their shuffled copy, groups and batches, while
/// the last of the part before are still being finished, and what the allocator holds back.
const GROWTH_OF_ROWS: u64 = 8;
/// The same for groups, which are merged from copies and may hold bags of values.
const GROWTH_OF_GROUPS: u64 = 14;
/// How much memory a part of a few groups takes at least: as read, merged, and as their values are put in order.
const GROWTH_OF_VALUES: u64 = 4;

/// A file without a name.
struct Temporary {
    folder: PathBuf,
    /// The file and its length.
    file: Mutex<(File, u64)>,
}

impl std::fmt::Debug for Temporary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Temporary(in {})", self.folder.display())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the run anyway.
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Temporary {
    fn create(memory: &Memory) -> Result<Temporary> {
        let folder = memory.folder.clone();
        let file =
            tempfile::tempfile_in(&folder).map_err(|e| Error::io("cannot create a temporary file in", &folder, e))?;
        Ok(Temporary { folder, file: Mutex::new((file, 0)) })
    }

    /// Appends; the place.
    fn append(&self, bytes: &[u8]) -> Result<u64> {
        let mut file = lock(&self.file);
        let at = file.1;
        let written = file.0.seek(SeekFrom::Start(at)).and_then(|_| file.0.write_all(bytes));
        written.map_err(|error| self.cannot_write(at, error))?;
        file.1 += bytes.len() as u64;
        Ok(at)
    }

    fn cannot_write(&self, written: u64, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge | ErrorKind::WriteZero => {
                Error::Resource {
                    message: format!(
                        "no room for temporary files in {} after {} MiB: {error}",
                        self.folder.display(),
                        written >> 20
                    ),
                    help: Some("name a folder with more room (--temp-dir), or allow more memory (--memory)".into()),
                }
            }
            _ => Error::io("cannot write a temporary file in", &self.folder, error),
        }
    }

    fn read(&self, at: u64, bytes: usize, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        out.resize(bytes, 0);
        let mut file = lock(&self.file);
        let read = file.0.seek(SeekFrom::Start(at)).and_then(|_| file.0.read_exact(out));
        read.map_err(|error| Error::io("cannot read a temporary file in", &self.folder, error))
    }
}

fn damaged() -> Error {
    Error::internal("a temporary file gives back something else than was written")
}

/// What one worker has found.
pub(super) type Grouped = (Partial, Vec<Rows>);

/// Where workers put what they cannot hold.
pub(super) struct Spill<'a> {
    memory: &'a Memory,
    stage: &'a Arc<Stage>,
    dictionaries: Vec<Arc<Dictionary>>,
    threads: usize,
    chunk_bytes: usize,
    state: Mutex<Option<Spilled>>,
}

/// What has been written, and where it is.
#[derive(Debug)]
pub(super) struct Spilled {
    file: Arc<Temporary>,
    blocks: Vec<Block>,
    stage: Arc<Stage>,
    memory: Memory,
    /// Bytes left for the result.
    room: u64,
}

/// Rows or groups on disk.
#[derive(Debug)]
struct Block {
    at: u64,
    bytes: usize,
    rows: usize,
    is_groups: bool,
    layout: Layout,
    like: Arc<Like>,
    /// Some of the keys.
    sample: Vec<Vec<u64>>,
}

/// The classes and dictionaries of what is on disk: columns and states of nothing.
#[derive(Debug, Default)]
struct Like {
    args: Vec<ArgColumn>,
    states: Vec<State>,
}

impl<'a> Spill<'a> {
    pub fn new(
        memory: &'a Memory,
        stage: &'a Arc<Stage>,
        dictionaries: Vec<Arc<Dictionary>>,
        threads: usize,
        chunk_bytes: usize,
    ) -> Spill<'a> {
        Spill { memory, stage, dictionaries, threads, chunk_bytes, state: Mutex::new(None) }
    }

    fn room(&self) -> Result<u64> {
        self.memory.room(self.threads, self.chunk_bytes, &self.dictionaries)
    }

    /// Bytes a worker may hold: shuffling at the end takes as much again, and then come groups and batches.
    pub fn quota(&self) -> Result<u64> {
        Ok(self.room()? / 3 / self.threads as u64)
    }

    /// Takes rows and groups over.
    pub fn write(&self, groups: &Partial, rows: Vec<Rows>) -> Result<()> {
        let file = {
            let mut state = lock(&self.state);
            match &*state {
                Some(spilled) => Arc::clone(&spilled.file),
                None => {
                    let file = Arc::new(Temporary::create(self.memory)?);
                    let stage = Arc::clone(self.stage);
                    let memory = self.memory.clone();
                    *state = Some(Spilled { file: Arc::clone(&file), blocks: Vec::new(), stage, memory, room: 0 });
                    file
                }
            }
        };
        let args = rows.first().map(|rows| rows.gather(&[]).args).unwrap_or_default();
        let states = groups.states.iter().map(|state| state.gather(&[])).collect();
        let like = Arc::new(Like { args, states });
        let mut blocks = Vec::new();
        let mut buffer = Vec::with_capacity(BUFFER + BUFFER / 4);
        // Blocks of the buffer; their places count from its start.
        let mut waiting: Vec<Block> = Vec::new();
        let mut flush = |buffer: &mut Vec<u8>, waiting: &mut Vec<Block>| {
            let start = file.append(buffer)?;
            buffer.clear();
            blocks.extend(waiting.drain(..).map(|block| Block { at: start + block.at, ..block }));
            Ok::<_, Error>(())
        };
        let begin = |rows: usize, is_groups, layout: &Layout, keys: &[Vec<u64>], at: usize| {
            let step = rows.div_ceil(SAMPLE).max(1);
            let some = |plane: &Vec<u64>| plane.iter().skip(step / 2).step_by(step).copied().collect();
            let (layout, like, sample) = (layout.clone(), Arc::clone(&like), keys.iter().map(some).collect());
            Block { at: at as u64, bytes: 0, rows, is_groups, layout, like, sample }
        };
        for rows in rows {
            let mut block = begin(rows.rows, false, &rows.layout, &rows.keys, buffer.len());
            rows.put(&mut buffer);
            block.bytes = buffer.len() - block.at as usize;
            waiting.push(block);
            if buffer.len() >= BUFFER {
                flush(&mut buffer, &mut waiting)?;
            }
        }
        let mut layout = Layout::new(&groups.keys);
        layout.cover(&KeyRows::of(&groups.keys));
        let mut keys = Vec::new();
        layout.pack(&KeyRows::of(&groups.keys), groups.groups, &mut keys);
        let all: Vec<u32> = (0..groups.groups as u32).collect();
        // A block is in memory as a whole: few groups, where each has many values.
        let bytes: usize = groups.states.iter().map(State::heap_bytes).sum();
        let block = (BUFFER / (bytes / groups.groups.max(1)).max(1)).clamp(1, BLOCK);
        for some in all.chunks(block) {
            let keys: Vec<Vec<u64>> = keys.iter().map(|plane| pick(plane, some)).collect();
            let mut block = begin(some.len(), true, &layout, &keys, buffer.len());
            layout.put_keys(&keys, &mut buffer);
            groups.states.iter().for_each(|state| state.gather(some).put(&mut buffer));
            block.bytes = buffer.len() - block.at as usize;
            waiting.push(block);
            if buffer.len() >= BUFFER {
                flush(&mut buffer, &mut waiting)?;
            }
        }
        flush(&mut buffer, &mut waiting)?;
        if let Some(spilled) = &mut *lock(&self.state) {
            spilled.blocks.append(&mut blocks);
        }
        Ok(())
    }

    /// What has been found: all of it on disk, if any of it is, or else all as it was.
    pub fn finish(self, found: Vec<Grouped>) -> Result<(Vec<Grouped>, Option<Spilled>)> {
        if lock(&self.state).is_none() {
            return Ok((found, None));
        }
        for (groups, rows) in found {
            self.write(&groups, rows)?;
        }
        let room = self.room()?;
        let spilled = self.state.into_inner().unwrap_or_else(|e| e.into_inner());
        Ok((Vec::new(), spilled.map(|spilled| Spilled { room, ..spilled })))
    }
}

/// Parts of neighbouring keys on disk.
#[derive(Debug)]
pub(super) struct Distributed {
    file: Temporary,
    /// Where each part's records are.
    parts: Vec<Vec<(u64, usize)>>,
    frame: Arc<Frame>,
    likes: Vec<Arc<Like>>,
    stage: Arc<Stage>,
    room: u64,
}

/// A part in the making.
#[derive(Default)]
struct Part {
    buffer: Vec<u8>,
    extents: Vec<(u64, usize)>,
}

impl Spilled {
    /// Bytes on disk, and the folder.
    pub fn describe(&self) -> String {
        let bytes: u64 = self.blocks.iter().map(|block| block.bytes as u64).sum();
        format!("spilled {} MiB to a temporary file in {}", bytes.div_ceil(1 << 20), self.memory.folder.display())
    }

    /// Brings all of it into parts, each small enough for the memory.
    pub fn distribute(self, threads: &Threads<'_>) -> Result<Distributed> {
        let Spilled { file, blocks, stage, memory, room } = self;
        let (layout, ranks) = Layout::ranked(&stage.key_shape(), blocks.iter().map(|block| &block.layout));
        let frame = Arc::new(Frame { layout, ranks });
        let repack = |layout: &Layout, keys: &[Vec<u64>]| {
            let mut packed = Vec::new();
            layout.repack(keys, &frame.layout, &frame.ranks, &mut packed);
            packed
        };
        let samples: Vec<Vec<Vec<u64>>> = blocks.iter().map(|block| repack(&block.layout, &block.sample)).collect();
        let growth = |block: &Block| if block.is_groups { GROWTH_OF_GROUPS } else { GROWTH_OF_ROWS };
        let needed: u64 = blocks.iter().map(|block| block.bytes as u64 * growth(block)).sum();
        let parts = needed.div_ceil(room.max(1)).clamp(1, MOST_PARTS as u64) as usize;
        let count = samples.iter().map(|keys| keys[0].len()).sum();
        let bounds = Bounds::sample(parts, count, samples.iter(), frame.layout.bits());
        drop(samples);
        let flush_at = usize::try_from(room / 8 / parts as u64).unwrap_or(BUFFER).clamp(1 << 14, BUFFER);
        let parts: Vec<Mutex<Part>> = (0..bounds.partitions()).map(|_| Mutex::default()).collect();
        let out = Temporary::create(&memory)?;
        let mut likes: Vec<Arc<Like>> = Vec::new();
        let numbered: Vec<(u32, Block)> = blocks
            .into_iter()
            .map(|block| {
                // Blocks written together come together.
                if !likes.last().is_some_and(|last| Arc::ptr_eq(last, &block.like)) {
                    likes.push(Arc::clone(&block.like));
                }
                (likes.len() as u32 - 1, block)
            })
            .collect();
        let put = |part: usize, record: &dyn Fn(&mut Vec<u8>)| {
            let mut part = lock(&parts[part]);
            record(&mut part.buffer);
            if part.buffer.len() >= flush_at {
                let at = out.append(&part.buffer)?;
                let bytes = part.buffer.len();
                part.extents.push((at, bytes));
                part.buffer.clear();
            }
            Ok::<_, Error>(())
        };
        let one = |(like, block): (u32, Block)| {
            threads.go_on()?;
            let mut bytes = Vec::new();
            file.read(block.at, block.bytes, &mut bytes)?;
            let mut bytes = &bytes[..];
            if block.is_groups {
                let keys = block.layout.take_keys(&mut bytes, block.rows).ok_or_else(damaged)?;
                let state = |like: &State| State::take(like, &mut bytes, block.rows);
                let states = block.like.states.iter().map(state).collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
                let keys = repack(&block.layout, &keys);
                for (part, groups) in split(&bounds.all(&keys, frame.layout.bits()), parts.len()) {
                    let keys: Vec<Vec<u64>> = keys.iter().map(|plane| pick(plane, &groups)).collect();
                    put(part, &|out: &mut Vec<u8>| {
                        put_header(true, like, groups.len(), out);
                        frame.layout.put_keys(&keys, out);
                        states.iter().for_each(|state| state.gather(&groups).put(out));
                    })?;
                }
            } else {
                let mut rows =
                    Rows::take(&mut bytes, block.rows, &block.layout, &block.like.args).ok_or_else(damaged)?;
                rows.keys = repack(&block.layout, &rows.keys);
                rows.layout = frame.layout.clone();
                for (part, some) in split(&bounds.all(&rows.keys, frame.layout.bits()), parts.len()) {
                    let some = rows.gather(&some);
                    put(part, &|out: &mut Vec<u8>| {
                        put_header(false, like, some.rows, out);
                        some.put(out);
                    })?;
                }
            }
            Ok::<_, Error>(())
        };
        threads.pool.install(|| numbered.into_par_iter().try_for_each(one))?;
        let finish = |part: Mutex<Part>| {
            let mut part = part.into_inner().unwrap_or_else(|e| e.into_inner());
            if !part.buffer.is_empty() {
                part.extents.push((out.append(&part.buffer)?, part.buffer.len()));
            }
            Ok(part.extents)
        };
        let parts = parts.into_iter().map(finish).collect::<Result<_>>()?;
        Ok(Distributed { file: out, parts, frame, likes, stage, room })
    }
}

/// The rows of each partition that has any.
fn split(partitions: &[u16], count: usize) -> Vec<(usize, Vec<u32>)> {
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); count];
    partitions.iter().zip(0..).for_each(|(&partition, row)| rows[partition as usize].push(row));
    rows.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()).collect()
}

fn put_header(is_groups: bool, like: u32, rows: usize, out: &mut Vec<u8>) {
    out.push(is_groups.into());
    out.extend_from_slice(&like.to_le_bytes());
    out.extend_from_slice(&(rows as u32).to_le_bytes());
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    bytes.split_off(..4)?.try_into().ok().map(u32::from_le_bytes)
}

impl Distributed {
    /// Part `part`, in memory; `None` behind the last one.
    pub fn part(&self, part: usize, threads: &Threads<'_>) -> Result<Option<Shuffled>> {
        let Some(extents) = self.parts.get(part) else { return Ok(None) };
        self.fits(extents.iter().map(|&(_, bytes)| bytes as u64).sum())?;
        let (mut rows, mut bytes) = (Vec::new(), Vec::new());
        let mut merger = Merger::new(&self.stage.key_shape(), &self.stage.states);
        for &(at, size) in extents {
            threads.go_on()?;
            self.file.read(at, size, &mut bytes)?;
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                self.record(&mut rest, &mut rows, &mut merger).ok_or_else(damaged)?;
            }
        }
        drop(bytes);
        let groups = merger.finish();
        let mut own = Layout::new(&groups.keys);
        own.cover(&KeyRows::of(&groups.keys));
        let keys = self.frame.pack(&own, &groups);
        let shuffle = || Shuffled::of_packed(&self.frame, groups, keys, rows, &self.stage.states, PARTITION);
        Ok(Some(threads.pool.install(shuffle)))
    }

    /// Whether a part that has `bytes` on disk may be read: the values of one group cannot be parted any further.
    fn fits(&self, bytes: u64) -> Result<()> {
        let bags = self.stage.states.iter().any(|state| matches!(state.kind, StateKind::Bag(..)));
        if !bags || bytes.saturating_mul(GROWTH_OF_VALUES) <= self.room {
            return Ok(());
        }
        Err(Error::Resource {
            message: format!(
                "the values of neighbouring groups (of median, quantile, count_distinct …) take {}, and there is room for {}",
                size(bytes * GROWTH_OF_VALUES),
                size(self.room)
            ),
            help: Some("allow more (--memory)".into()),
        })
    }

    fn record(&self, bytes: &mut &[u8], all: &mut Vec<Rows>, merger: &mut Merger) -> Option<()> {
        let is_groups = *bytes.split_off_first()? != 0;
        let like = self.likes.get(take_u32(bytes)? as usize)?;
        let rows = take_u32(bytes)? as usize;
        let Frame { layout, ranks } = &*self.frame;
        if is_groups {
            let keys = layout.take_keys(bytes, rows)?;
            let states = like.states.iter().map(|like| State::take(like, bytes, rows)).collect::<Option<_>>()?;
            merger.push(&Partial { groups: rows, keys: layout.unpack(&keys, ranks), states });
        } else {
            all.push(Rows::take(bytes, rows, layout, &like.args)?);
        }
        Some(())
    }

    /// Whether `bytes` of the result may stay in memory until all of it can be sorted.
    pub fn keeps(&self, bytes: usize) -> Result<()> {
        if bytes as u64 <= self.room / 2 {
            return Ok(());
        }
        Err(Error::Resource {
            message: "a result that is sorted as a whole takes more memory than is allowed".into(),
            help: Some(
                "keep the first rows only (--limit), leave the order of the keys, or allow more (--memory)".into(),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_read_and_a_full_disk_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory { bytes: 1 << 30, device: 0, folder: folder.path().to_owned() };
        let file = Temporary::create(&memory).unwrap();
        assert_eq!((file.append(b"one").unwrap(), file.append(b"three").unwrap()), (0, 3));
        let mut out = Vec::new();
        file.read(3, 5, &mut out).unwrap();
        assert_eq!(out, b"three");
        assert!(file.read(4, 5, &mut out).is_err());
        let error = file.cannot_write(3 << 20, ErrorKind::StorageFull.into()).to_string();
        let named = [folder.path().to_str().unwrap(), "3 MiB", "--temp-dir"];
        assert!(named.iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn rows_are_split_by_partition() {
        assert_eq!(split(&[2, 0, 2, 2], 4), [(0, vec![1]), (2, vec![0, 2, 3])]);
    }
}
