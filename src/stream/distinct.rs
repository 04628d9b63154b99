//! Rows whose key has been seen are left out: the first of each key goes on.
//!
//! A key is remembered until the watermark has passed the event time of its first row by more than the delay: two rows no further
//! apart than that are never both let through. Without a watermark it is remembered for ever.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_row::{RowConverter, RowParser};
use arrow_schema::{Field, Schema as ArrowSchema, SchemaRef};
use arrow_select::filter::filter_record_batch;

use super::lookup::{convert, converter};
use crate::{Error, Result};

/// Keys that have been seen.
pub(super) struct Distinct {
    converter: RowConverter,
    parser: RowParser,
    /// The columns of a key, and the time until which it is remembered.
    schema: SchemaRef,
    /// Until which watermark each key is remembered.
    seen: HashMap<Box<[u8]>, i64>,
    /// How long after the event time of its first row, in ticks.
    delay: Option<i64>,
    /// Bytes of the keys.
    bytes: usize,
}

/// What has come of rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub late: u64,
    pub untimed: u64,
    pub duplicates: u64,
    /// The latest event time, of all rows.
    pub latest: Option<i64>,
}

/// What a key is remembered until if there is no watermark.
const FOR_EVER: i64 = i64::MAX;

impl Distinct {
    /// No keys, of columns of these types.
    ///
    /// # Errors
    /// A type that cannot be a key.
    pub fn new(keys: &[&Field], delay: Option<i64>) -> Result<Distinct> {
        let converter = converter(keys.iter().map(|key| key.data_type()))?;
        let until = Field::new("until", arrow_schema::DataType::Int64, false);
        let fields: Vec<Field> = keys.iter().map(|&key| key.clone()).chain([until]).collect();
        let (parser, schema) = (converter.parser(), ArrowSchema::new(fields).into());
        Ok(Distinct { converter, parser, schema, seen: HashMap::new(), delay, bytes: 0 })
    }

    /// The rows that are the first of their keys; `time` has their event times, if they have any. What is new goes to `delta`.
    ///
    /// # Errors
    /// Internal ones.
    pub fn keep(
        &mut self,
        rows: &RecordBatch,
        keys: &[ArrayRef],
        time: Option<&ArrayRef>,
        watermark: Option<i64>,
        counts: &mut Counts,
        delta: Option<&mut Vec<u8>>,
    ) -> Result<RecordBatch> {
        let bytes = convert(&self.converter, keys)?;
        let time = time.map(|time| time.as_primitive::<Int64Type>());
        let mut kept = Vec::with_capacity(rows.num_rows());
        let mut fresh: Vec<(Box<[u8]>, i64)> = Vec::new();
        for (row, key) in bytes.iter().enumerate() {
            let at = time.map(|time| arrow_array::Array::is_valid(time, row).then(|| time.value(row)));
            let until = match (at, self.delay) {
                (Some(None), _) => {
                    counts.untimed += 1;
                    kept.push(false);
                    continue;
                }
                (Some(Some(at)), delay) => {
                    counts.latest = counts.latest.max(Some(at));
                    if watermark.is_some_and(|watermark| at < watermark) {
                        counts.late += 1;
                        kept.push(false);
                        continue;
                    }
                    delay.map_or(FOR_EVER, |delay| at.saturating_add(delay))
                }
                (None, _) => FOR_EVER,
            };
            let is_first = !self.seen.contains_key(key.as_ref());
            if is_first {
                let key: Box<[u8]> = key.as_ref().into();
                self.insert(key.clone(), until);
                fresh.push((key, until));
            } else {
                counts.duplicates += 1;
            }
            kept.push(is_first);
        }
        if let (Some(delta), false) = (delta, fresh.is_empty()) {
            put_rows(&self.table(fresh.iter().map(|(key, until)| (&**key, *until)))?, delta)?;
        }
        filter_record_batch(rows, &BooleanArray::from(kept)).map_err(|e| Error::internal(format!("distinct rows: {e}")))
    }

    fn insert(&mut self, key: Box<[u8]>, until: i64) {
        self.bytes += key.len() + size_of::<(Box<[u8]>, i64)>();
        self.seen.insert(key, until);
    }

    /// Forgets keys that the watermark has passed; how many.
    pub fn evict(&mut self, watermark: i64) -> usize {
        let before = self.seen.len();
        let bytes = &mut self.bytes;
        self.seen.retain(|key, until| {
            let stays = *until >= watermark;
            *bytes -= if stays { 0 } else { key.len() + size_of::<(Box<[u8]>, i64)>() };
            stays
        });
        if self.seen.capacity() > 4 * self.seen.len().max(1024) {
            self.seen.shrink_to_fit();
        }
        before - self.seen.len()
    }

    /// Keys that are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.bytes
    }

    /// Keys as columns, and until when they are remembered.
    fn table<'k>(&self, keys: impl Iterator<Item = (&'k [u8], i64)>) -> Result<RecordBatch> {
        let wrong = |e| Error::internal(format!("keys as columns: {e}"));
        let (keys, until): (Vec<_>, Vec<i64>) = keys.map(|(key, until)| (self.parser.parse(key), until)).unzip();
        let mut columns = self.converter.convert_rows(keys).map_err(wrong)?;
        columns.push(std::sync::Arc::new(Int64Array::from(until)));
        RecordBatch::try_new(std::sync::Arc::clone(&self.schema), columns).map_err(wrong)
    }

    /// Appends all keys, as [`Distinct::take`] reads them.
    ///
    /// # Errors
    /// Internal ones.
    pub fn put(&self, out: &mut Vec<u8>) -> Result<()> {
        // In one order, so that the same state has the same bytes.
        let mut keys: Vec<_> = self.seen.iter().map(|(key, until)| (&**key, *until)).collect();
        keys.sort_unstable();
        if keys.is_empty() { Ok(()) } else { put_rows(&self.table(keys.into_iter())?, out) }
    }

    /// Remembers the keys that bytes hold, which may be those of several batches.
    ///
    /// # Errors
    /// Bytes that are not whole, though their checksum is right.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let table = take_rows(&mut bytes)?;
            if table.schema().fields().len() != self.schema.fields().len() {
                return Err(Error::internal("the keys of a state are of other columns"));
            }
            let (keys, until) = table.columns().split_at(table.num_columns() - 1);
            let until = until[0].as_primitive::<Int64Type>();
            for (row, key) in convert(&self.converter, keys)?.iter().enumerate() {
                self.insert(key.as_ref().into(), until.value(row));
            }
        }
        Ok(())
    }
}

/// Appends rows: their length in bytes (u64, little-endian), and an Arrow IPC stream of them.
pub(super) fn put_rows(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let at = out.len();
    out.extend_from_slice(&[0; 8]);
    let written = (|| {
        let mut writer = StreamWriter::try_new(&mut *out, &rows.schema())?;
        writer.write(rows)?;
        writer.finish()
    })();
    written.map_err(|e| Error::internal(format!("rows as bytes: {e}")))?;
    let length = (out.len() - at - 8) as u64;
    out[at..at + 8].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Reads what [`put_rows`] has appended off the front of `bytes`.
fn take_rows(bytes: &mut &[u8]) -> Result<RecordBatch> {
    let wrong = || Error::internal("a state's checksum is right, and its keys are not");
    let length = bytes.split_off(..8).and_then(|length| length.try_into().ok()).map(u64::from_le_bytes);
    let stream = length.and_then(|length| bytes.split_off(..usize::try_from(length).ok()?)).ok_or_else(wrong)?;
    let mut reader = StreamReader::try_new(stream, None).map_err(|_| wrong())?;
    reader.next().and_then(std::result::Result::ok).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::StringArray;

    use super::*;

    fn rows(keys: &[&str], times: &[i64]) -> (RecordBatch, Vec<ArrayRef>, ArrayRef) {
        let key: ArrayRef = Arc::new(StringArray::from(keys.to_vec()));
        let time: ArrayRef = Arc::new(Int64Array::from(times.to_vec()));
        let batch = RecordBatch::try_from_iter([("k", Arc::clone(&key)), ("t", Arc::clone(&time))]).unwrap();
        (batch, vec![key], time)
    }

    fn keep(
        distinct: &mut Distinct,
        keys: &[&str],
        times: &[i64],
        watermark: Option<i64>,
    ) -> (Vec<i64>, Counts, Vec<u8>) {
        let (batch, keys, time) = rows(keys, times);
        let (mut counts, mut delta) = (Counts::default(), Vec::new());
        let kept = distinct.keep(&batch, &keys, Some(&time), watermark, &mut counts, Some(&mut delta)).unwrap();
        (kept.column(1).as_primitive::<Int64Type>().values().to_vec(), counts, delta)
    }

    #[test]
    fn the_first_row_of_a_key_goes_on_and_the_key_is_forgotten_after_the_delay() {
        let field = Field::new("k", arrow_schema::DataType::Utf8, true);
        let mut distinct = Distinct::new(&[&field], Some(5)).unwrap();
        let (kept, counts, first) = keep(&mut distinct, &["a", "b", "a", "a"], &[1, 2, 3, 9], None);
        assert_eq!((kept, counts), (vec![1, 2], Counts { duplicates: 2, latest: Some(9), ..Counts::default() }));
        assert_eq!(distinct.evict(6), 0);
        let (kept, counts, second) = keep(&mut distinct, &["b", "c", "c"], &[7, 6, 3], Some(6));
        assert_eq!((kept, counts.duplicates, counts.late), (vec![6], 1, 1));
        // Another process takes what was put: deltas, or all.
        let (mut other, mut whole) = (Distinct::new(&[&field], Some(5)).unwrap(), Vec::new());
        other.take(&[first, second].concat()).unwrap();
        assert_eq!(other.seen, distinct.seen);
        distinct.put(&mut whole).unwrap();
        let mut third = Distinct::new(&[&field], Some(5)).unwrap();
        third.take(&whole).unwrap();
        assert_eq!((&third.seen, third.heap_bytes()), (&distinct.seen, distinct.heap_bytes()));
        assert!(third.take(&whole[..whole.len() - 1]).is_err());
        // "a" was first at 1: from watermark 7 on it is new.
        assert_eq!(distinct.evict(7), 1);
        assert_eq!(keep(&mut distinct, &["a", "b"], &[8, 8], Some(7)).0, [8]);
        assert_eq!(distinct.evict(100), 3);
        assert_eq!((distinct.len(), distinct.heap_bytes()), (0, 0));
    }
}
