//! Arrow IPC files: memory-mapped, and what is not compressed is used where it lies in the map.
//!
//! A record batch is decoded once, by the first task that needs it, and shared by all slices of its rows; but plain strings are
//! read by each task for itself (`arrow_text`). The dictionaries of the requested columns are decoded when a scan starts; their keys become run-wide codes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, GenericStringArray, OffsetSizeTrait, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::{DataType, SchemaRef};

use super::arrow_text::{TextColumn, Texts};
use super::from_arrow::column;
use super::memory::arrow_columns;
use super::mmap::Map;
use super::projection::{FileRows, Projection, damaged, guarded, ranges, rows_per_chunk, width};
use super::{ChunkTask, Request, Scan, Source};
use crate::column::{Column, ColumnData, Locate, Schema, Type};
use crate::{Error, Place, Result};

/// An Arrow IPC file (also known as Feather, version 2).
pub struct ArrowSource {
    schema: Schema,
    arrow_schema: SchemaRef,
    path: Arc<PathBuf>,
    map: Arc<Map>,
    buffer: Buffer,
    version: MetadataVersion,
    dictionaries: Vec<Block>,
    /// Record batches with their rows.
    batches: Vec<(Block, u64)>,
    /// Whether one of them is compressed.
    compressed: bool,
}

/// Magic, padding, footer length, magic again.
const SMALLEST: usize = 8 + 4 + 6;

impl ArrowSource {
    /// Opens the file at `path` and reads its footer.
    ///
    /// # Errors
    /// It cannot be read, or is no Arrow IPC file (the stream format is not one), or it is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<dyn Source>> {
        ArrowSource::of(Map::open(path)?)
    }

    pub(super) fn of(map: Arc<Map>) -> Result<Arc<dyn Source>> {
        let source = guarded(map.path(), || ArrowSource::read_footer(&map))?;
        Ok(Arc::new(source))
    }

    fn read_footer(map: &Arc<Map>) -> Result<ArrowSource, String> {
        let buffer = map.buffer();
        if !buffer.starts_with(b"ARROW1") {
            return Err("not an Arrow IPC file".into());
        }
        let tail = buffer.len().checked_sub(10).filter(|_| buffer.len() >= SMALLEST).ok_or("the file is cut short")?;
        let length = <[u8; 10]>::try_from(&buffer[tail..]).map_err(|e| e.to_string())?;
        let length = read_footer_length(length).map_err(|_| "the file is cut short: its footer is missing")?;
        let start = tail.checked_sub(length).ok_or("the footer is longer than the file")?;
        let footer = root_as_footer(&buffer[start..tail]).map_err(|e| format!("the footer is damaged: {e}"))?;
        let schema = footer.schema().ok_or("the footer has no schema")?;
        if !schema.endianness().equals_to_target_endianness() {
            return Err("the file's byte order is not this machine's".into());
        }
        let arrow_schema = Arc::new(arrow_ipc::convert::fb_to_schema(schema));
        let mut source = ArrowSource {
            schema: arrow_columns(&arrow_schema),
            arrow_schema,
            path: Arc::new(map.path().into()),
            map: Arc::clone(map),
            version: footer.version(),
            dictionaries: footer.dictionaries().iter().flatten().copied().collect(),
            batches: Vec::new(),
            compressed: false,
            buffer: buffer.clone(),
        };
        for (i, block) in footer.recordBatches().iter().flatten().enumerate() {
            let (rows, compressed) = source.about(block).map_err(|e| format!("record batch {}: {e}", i + 1))?;
            source.batches.push((*block, rows));
            source.compressed |= compressed;
        }
        Ok(source)
    }

    /// The rows of a record batch, and whether it is compressed.
    fn about(&self, block: &Block) -> Result<(u64, bool), String> {
        let bytes = block_bytes(&self.buffer, block)?;
        let message = message(&bytes[..block.metaDataLength() as usize])?;
        let batch = message.header_as_record_batch().ok_or("no record batch is there")?;
        let rows = u64::try_from(batch.length()).map_err(|_| "it has a negative number of rows")?;
        Ok((rows, batch.compression().is_some()))
    }

    /// A decoder for `columns` that knows the dictionaries these need.
    fn decoder(&self, columns: &[usize]) -> Result<FileDecoder> {
        let decoder = FileDecoder::new(Arc::clone(&self.arrow_schema), self.version);
        let mut decoder = decoder.with_projection(columns.to_vec());
        #[allow(deprecated, reason = "the ids are still how a dictionary is found in a file")]
        let wanted: Vec<i64> = columns.iter().filter_map(|&c| self.arrow_schema.field(c).dict_id()).collect();
        for (i, block) in self.dictionaries.iter().enumerate() {
            guarded(&self.path, || {
                let bytes = block_bytes(&self.buffer, block)?;
                let header = message(&bytes[..block.metaDataLength() as usize])?;
                let dictionary = header.header_as_dictionary_batch().ok_or("no dictionary is there")?;
                check_lengths(dictionary.data(), &bytes[block.metaDataLength() as usize..])?;
                match wanted.contains(&dictionary.id()) {
                    true => decoder.read_dictionary(block, &bytes).map_err(|e| e.to_string()),
                    false => Ok(()),
                }
            })
            .map_err(|e| part_of(e, "dictionary", i))?;
        }
        Ok(decoder)
    }
}

/// The bytes of a block: metadata and body.
fn block_bytes(buffer: &Buffer, block: &Block) -> Result<Buffer, String> {
    let field = |value: i64| usize::try_from(value).map_err(|_| "a block of negative length".to_string());
    let (start, meta) = (field(block.offset())?, field(block.metaDataLength().into())?);
    let length = meta.checked_add(field(block.bodyLength())?).ok_or("a block longer than any file")?;
    match start.checked_add(length) {
        Some(end) if end <= buffer.len() && meta >= 8 => Ok(buffer.slice_with_length(start, length)),
        _ => Err("a block reaches beyond the file".into()),
    }
}

/// The message at the start of a block (at least 8 bytes long), with or without the marker of format V5.
fn message(bytes: &[u8]) -> Result<arrow_ipc::Message<'_>, String> {
    let skip = if bytes.starts_with(&[0xff; 4]) { 8 } else { 4 };
    root_as_message(&bytes[skip..]).map_err(|e| format!("its metadata is damaged: {e}"))
}

/// Checks the lengths that compressed buffers say they decompress to, which decoders allocate before they look.
fn check_lengths(batch: Option<arrow_ipc::RecordBatch>, body: &[u8]) -> Result<(), String> {
    /// A zstd block of 128 KiB takes four bytes at least; LZ4 does not come near that.
    const MOST_RATIO: u64 = 1 << 15;
    let Some(batch) = batch.filter(|b| b.compression().is_some()) else { return Ok(()) };
    for buffer in batch.buffers().into_iter().flatten() {
        let start = usize::try_from(buffer.offset()).map_err(|_| "a buffer at a negative offset")?;
        let length = usize::try_from(buffer.length()).map_err(|_| "a buffer of negative length")?;
        let bytes = start.checked_add(length).and_then(|end| body.get(start..end));
        let bytes = bytes.ok_or("a buffer reaches beyond its block")?;
        // -1 means not compressed; no bytes mean none.
        let says = bytes.first_chunk().map_or(0, |first| i64::from_le_bytes(*first));
        if says > 0 && says as u64 / MOST_RATIO > bytes.len() as u64 {
            return Err(format!("a buffer of {} bytes cannot decompress to {says}", bytes.len()));
        }
    }
    Ok(())
}

/// Says which part of the file is damaged.
fn part_of(error: Error, part: &str, index: usize) -> Error {
    match error {
        Error::Format { path, message, help } => {
            Error::Format { path, message: format!("{part} {}: {message}", index + 1), help }
        }
        other => other,
    }
}

impl Source for ArrowSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.buffer.len() as u64)
    }

    fn rows(&self) -> Option<u64> {
        Some(self.batches.iter().map(|(_, rows)| rows).sum())
    }

    fn format(&self) -> &'static str {
        "arrow"
    }

    fn chunk_bytes(&self) -> usize {
        1 << 20
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let projection = Projection::new(&self.name(), &self.schema, request)?;
        let text = |&column: &usize| match self.compressed {
            true => None,
            false => TextColumn::of(&self.arrow_schema, column, self.version),
        };
        let texts: Vec<_> = projection.decode().iter().map(text).collect();
        let others = projection.decode().iter().zip(&texts).filter(|(_, text)| text.is_none());
        let decoded: Vec<usize> = others.map(|(&column, _)| column).collect();
        let decoder = self.decoder(&decoded)?;
        let row_bytes: u64 = projection.decode().iter().map(|&c| width(&self.schema.fields[c].ty)).sum();
        let mut pieces = Vec::new();
        let mut first = 0;
        for (index, (block, rows)) in self.batches.iter().enumerate() {
            let batch =
                Arc::new(SharedBatch { map: Arc::clone(&self.map), range: range_of(block), decoded: OnceLock::new() });
            let size = block.bodyLength() as u128 + block.metaDataLength() as u128;
            for range in ranges(*rows, rows_per_chunk(request, *rows, rows.saturating_mul(row_bytes))) {
                let bytes = (size * (range.end - range.start) as u128 / (*rows).max(1) as u128) as u64;
                let first = first + range.start;
                pieces.push(Piece { index, block: *block, first, range, bytes, batch: Arc::clone(&batch) });
            }
            first += rows;
        }
        let file = ScannedFile {
            path: Arc::clone(&self.path),
            map: Arc::clone(&self.map),
            buffer: self.buffer.clone(),
            decoder,
            texts,
            decodes: !decoded.is_empty(),
        };
        Ok(Box::new(ArrowScan { file: Arc::new(file), projection, pieces: pieces.into_iter() }))
    }

    fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
        None
    }
}

/// A record batch, decoded by whoever needs it first. When the last chunk of it is gone, so are its pages.
struct SharedBatch {
    map: Arc<Map>,
    range: Range<usize>,
    decoded: OnceLock<Result<RecordBatch, String>>,
}

impl Drop for SharedBatch {
    fn drop(&mut self) {
        if self.decoded.get().is_some() {
            self.map.release(self.range.clone());
        }
    }
}

/// Where the rows of a chunk stand in the file. The columns of a chunk may lie in the map: they live as long as this.
struct Origin {
    rows: FileRows,
    batch: Arc<SharedBatch>,
    /// What of the map the columns are.
    pages: Vec<Range<usize>>,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.pages.drain(..).for_each(|pages| self.batch.map.release(pages));
    }
}

impl Locate for Origin {
    fn place(&self, row: usize) -> Place {
        self.rows.place(row)
    }

    fn raw(&self, row: usize) -> Option<String> {
        self.rows.raw(row)
    }
}

/// The bytes of a block that has been found to lie in the file.
fn range_of(block: &Block) -> Range<usize> {
    let at = |bytes: i64| usize::try_from(bytes).unwrap_or_default();
    let start = at(block.offset());
    start..start.saturating_add(at(block.bodyLength())).saturating_add(at(block.metaDataLength().into()))
}

/// The bytes of all strings of a slice of an array.
fn strings<O: OffsetSizeTrait>(text: &GenericStringArray<O>) -> &[u8] {
    let ends = text.value_offsets();
    let end = |at: Option<&O>| at.map_or(0, |end| end.as_usize());
    text.value_data().get(end(ends.first())..end(ends.last())).unwrap_or_default()
}

/// What of `map` the values of `lanes` are, as far as it is easily said; the rest goes with the record batch.
fn pages(map: &Map, lanes: &[Lane]) -> Vec<Range<usize>> {
    let start = map.as_ptr() as usize;
    let mut pages = Vec::new();
    let mut add = |bytes: &[u8]| {
        let at = (bytes.as_ptr() as usize).wrapping_sub(start);
        if at < map.len() && bytes.len() <= map.len() - at {
            pages.push(at..at + bytes.len());
        }
    };
    for lane in lanes {
        let array = match lane {
            Lane::Array(array) => array,
            Lane::Texts(texts) => {
                texts.read().into_iter().for_each(&mut add);
                continue;
            }
        };
        if let Some(text) = array.as_string_opt::<i32>() {
            add(text.offsets().inner().inner());
            add(strings(text));
        } else if let Some(text) = array.as_string_opt::<i64>() {
            add(text.offsets().inner().inner());
            add(strings(text));
        } else if array.data_type().is_primitive() || matches!(array.data_type(), DataType::Dictionary(..)) {
            array.to_data().buffers().iter().for_each(|buffer| add(buffer));
        }
    }
    pages
}

/// A column of a piece.
enum Lane {
    Array(ArrayRef),
    Texts(Texts),
}

/// Some rows of a record batch.
struct Piece {
    index: usize,
    block: Block,
    /// Rows of the file before this piece.
    first: u64,
    range: Range<u64>,
    bytes: u64,
    batch: Arc<SharedBatch>,
}

struct ScannedFile {
    path: Arc<PathBuf>,
    map: Arc<Map>,
    buffer: Buffer,
    /// Of the columns that are decoded, if there are any.
    decoder: FileDecoder,
    decodes: bool,
    /// Of the columns wanted, those that are read where they are.
    texts: Vec<Option<TextColumn>>,
}

struct ArrowScan {
    file: Arc<ScannedFile>,
    projection: Arc<Projection>,
    pieces: std::vec::IntoIter<Piece>,
}

impl Scan for ArrowScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        let Some(piece) = self.pieces.next() else { return Ok(None) };
        let (file, projection) = (Arc::clone(&self.file), Arc::clone(&self.projection));
        let read = move || {
            let rows = (piece.range.end - piece.range.start) as usize;
            let lanes = file.lanes(&piece, rows)?;
            let index = piece.index;
            let origin = Origin {
                rows: FileRows { path: Arc::clone(&file.path), first: piece.first, width: None },
                pages: pages(&file.map, &lanes),
                batch: piece.batch,
            };
            projection.assemble(rows, piece.bytes, Arc::new(origin), |slot, target, faults| match lanes.get(slot) {
                Some(Lane::Array(array)) => column(array.as_ref(), target, faults),
                Some(Lane::Texts(texts)) => {
                    let dict = target.dict()?;
                    let codes = texts
                        .codes(dict)?
                        .ok_or_else(|| part_of(damaged(&file.path, "a string is not UTF-8"), "record batch", index))?;
                    let data = ColumnData::Str { codes: codes.into(), dict: Arc::clone(dict) };
                    Ok(Column { ty: target.ty.clone(), data, nulls: texts.nulls.clone() })
                }
                None => Err(Error::internal("a decoded column is missing")),
            })
        };
        Ok(Some(ChunkTask::one(read)))
    }
}

impl ScannedFile {
    /// The columns wanted.
    fn lanes(&self, piece: &Piece, rows: usize) -> Result<Vec<Lane>> {
        let mut arrays = if self.decodes { self.arrays(piece, rows)? } else { Vec::new() }.into_iter();
        let texts = guarded(&self.path, || {
            let bytes = block_bytes(&self.buffer, &piece.block)?;
            let (meta, body) = (piece.block.metaDataLength() as usize, bytes.len());
            let header = message(&bytes[..meta])?;
            let batch = header.header_as_record_batch().ok_or("no record batch is there")?;
            let body = bytes.slice_with_length(meta, body - meta);
            let start = piece.range.start as usize;
            let text = |column: &Option<TextColumn>| match column {
                Some(column) => column.rows(&batch, &body, start..start + rows).map(Some),
                None => Ok(None),
            };
            self.texts.iter().map(text).collect::<Result<Vec<_>, String>>()
        });
        let texts = texts.map_err(|e| part_of(e, "record batch", piece.index))?;
        let lane = |texts: Option<Texts>| match texts {
            Some(texts) => Some(Lane::Texts(texts)),
            None => arrays.next().map(Lane::Array),
        };
        Ok(texts.into_iter().map_while(lane).collect())
    }

    fn arrays(&self, piece: &Piece, rows: usize) -> Result<Vec<ArrayRef>> {
        let decode = || {
            guarded(&self.path, || {
                let bytes = block_bytes(&self.buffer, &piece.block)?;
                let (meta, body) = bytes.split_at(piece.block.metaDataLength() as usize);
                check_lengths(message(meta)?.header_as_record_batch(), body)?;
                let batch = self.decoder.read_record_batch(&piece.block, &bytes).map_err(|e| e.to_string())?;
                batch.ok_or_else(|| "no record batch is there".to_string())
            })
            .map_err(|e| match e {
                Error::Format { message, .. } => message,
                other => other.to_string(),
            })
        };
        let batch = piece.batch.decoded.get_or_init(decode).as_ref();
        let batch = batch.map_err(|e| part_of(damaged(&self.path, e), "record batch", piece.index))?;
        let start = piece.range.start as usize;
        if batch.num_rows() < start + rows {
            return Err(part_of(damaged(&self.path, "fewer rows than it says"), "record batch", piece.index));
        }
        Ok(batch.columns().iter().map(|c| c.slice(start, rows)).collect())
    }
}
