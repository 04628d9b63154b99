//! The pages of a column chunk, decompressed into one buffer.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::leaf::Trouble;

/// Reads the pages of a column chunk, one after the other.
pub(super) struct Pages {
    reader: SerializedPageReader<Bytes>,
    /// Whether pages come as they lie in the file, and are Snappy's.
    snappy: bool,
    /// Whether rows can be null.
    optional: bool,
}

/// The bytes of a page.
#[derive(Default)]
pub(super) struct PageBytes {
    /// The page as the reader gave it, if it is usable so.
    stored: Bytes,
    /// The page decompressed here. The buffer is used for page after page.
    buffer: Vec<u8>,
    in_buffer: bool,
}

impl PageBytes {
    pub(super) fn data(&self) -> &[u8] {
        if self.in_buffer { &self.buffer } else { &self.stored }
    }

    /// Forgets the page, not the room for one.
    pub(super) fn clear(&mut self) {
        *self = PageBytes { buffer: std::mem::take(&mut self.buffer), ..PageBytes::default() };
    }
}

/// What a page is; ranges are of its bytes.
pub(super) enum Head {
    Dictionary {
        entries: usize,
    },
    Data {
        rows: usize,
        /// Whether values are keys of the dictionary.
        keys: bool,
        /// Definition levels.
        levels: Option<Range<usize>>,
        values: Range<usize>,
    },
}

impl Pages {
    /// Those of the column chunk `chunk` of a row group of `rows` rows in `file`.
    pub(super) fn new(file: &Bytes, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Pages, Trouble> {
        // Told that nothing is compressed, the reader hands pages out as they lie in the file, without a buffer for each.
        let snappy = chunk.compression() == Compression::SNAPPY;
        let as_stored = || chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build();
        let raw = if snappy { Some(as_stored()?) } else { None };
        let reader = SerializedPageReader::new(Arc::new(file.clone()), raw.as_ref().unwrap_or(chunk), rows, None)?;
        Ok(Pages { reader, snappy, optional: chunk.column_descr().max_def_level() == 1 })
    }

    /// The rows of the next page, if it is known to be one of data.
    pub(super) fn rows_ahead(&mut self) -> Result<Option<usize>, Trouble> {
        Ok(self.reader.peek_next_page()?.filter(|page| !page.is_dict).and_then(|page| page.num_levels))
    }

    /// Passes over the next page.
    pub(super) fn skip(&mut self) -> Result<(), Trouble> {
        Ok(self.reader.skip_next_page()?)
    }

    /// Puts the next page into `bytes`.
    pub(super) fn next(&mut self, bytes: &mut PageBytes) -> Result<Option<Head>, Trouble> {
        bytes.clear();
        let Some(page) = self.reader.get_next_page()? else { return Ok(None) };
        let head = match page {
            Page::DictionaryPage { buf, num_values, encoding, .. } => {
                if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
                    return Err(Trouble::Foreign);
                }
                self.put(buf, 0, true, bytes)?;
                Head::Dictionary { entries: num_values as usize }
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } => {
                if self.optional && def_level_encoding != Encoding::RLE {
                    return Err(Trouble::Foreign);
                }
                let keys = are_keys(encoding)?;
                self.put(buf, 0, true, bytes)?;
                let data = bytes.data();
                let levels = match data.split_first_chunk() {
                    _ if !self.optional => None,
                    Some((length, rest)) if u32::from_le_bytes(*length) as usize <= rest.len() => {
                        Some(4..4 + u32::from_le_bytes(*length) as usize)
                    }
                    _ => return Err(Trouble::damaged("definition levels go beyond their page")),
                };
                let values = levels.as_ref().map_or(0, |levels| levels.end)..data.len();
                Head::Data { rows: num_values as usize, keys, levels, values }
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                let keys = are_keys(encoding)?;
                let first = rep_levels_byte_len as usize;
                let levels = first..first.saturating_add(def_levels_byte_len as usize);
                self.put(buf, levels.end, is_compressed, bytes)?;
                let values = levels.end..bytes.data().len();
                let levels = self.optional.then_some(levels);
                Head::Data { rows: num_values as usize, keys, levels, values }
            }
        };
        Ok(Some(head))
    }

    /// Makes `page`, which is compressed from byte `from` on, usable.
    fn put(&self, page: Bytes, from: usize, compressed: bool, bytes: &mut PageBytes) -> Result<(), Trouble> {
        let (Some(plain), Some(packed)) = (page.get(..from), page.get(from..)) else {
            return Err(Trouble::damaged("levels go beyond their page"));
        };
        // A page of nothing but nulls may have no values, not even compressed ones.
        if !self.snappy || !compressed || packed.is_empty() {
            bytes.stored = page;
            return Ok(());
        }
        let length = snap::raw::decompress_len(packed).map_err(Trouble::damaged)?;
        // A copy of 64 bytes takes three: no page can be longer than this, whatever it says of itself.
        if length / 22 > packed.len() {
            return Err(Trouble::damaged("a page says that it is longer than it can be"));
        }
        let whole = from + length;
        if bytes.buffer.len() < whole {
            bytes.buffer.resize(whole, 0);
        }
        bytes.buffer.truncate(whole);
        bytes.buffer[..from].copy_from_slice(plain);
        snap::raw::Decoder::new().decompress(packed, &mut bytes.buffer[from..]).map_err(Trouble::damaged)?;
        bytes.in_buffer = true;
        Ok(())
    }
}

/// Whether values of this encoding are keys of a dictionary; they are plain otherwise.
fn are_keys(encoding: Encoding) -> Result<bool, Trouble> {
    match encoding {
        Encoding::PLAIN => Ok(false),
        Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => Ok(true),
        _ => Err(Trouble::Foreign),
    }
}
