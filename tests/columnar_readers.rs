//! Every columnar reader against the plain array value, at odd chunk sizes, and against damaged files.
//!
//! The batch with every type comes first, then the plain value (the oracle), the comparison, and the cases.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{PrimitiveDictionaryBuilder, StringDictionaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::NullBuffer;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use tidemill::Error;
use tidemill::column::{Chunk, Dictionary, FieldType, Type, Unit, Value};
use tidemill::input::{ArrowSource, MemorySource, ParquetSource, RawSource, Reject, Request, Source, read_in_order};

/// A small generator, so that every run sees the same data.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let x = self.0 ^ (self.0 >> 33);
        x.wrapping_mul(0xff51afd7ed558ccd) ^ (x >> 29)
    }

    /// A value, or null one time in five.
    fn maybe<T>(&mut self, make: impl FnOnce(u64) -> T) -> Option<T> {
        let (null, value) = (self.next().is_multiple_of(5), self.next());
        (!null).then(|| make(value))
    }
}

fn list<T>(rows: usize, r: &mut Random, make: impl Fn(u64) -> T) -> Vec<Option<T>> {
    (0..rows).map(|_| r.maybe(&make)).collect()
}

const WORDS: [&str; 10] =
    ["", "a", "null", "NA", "é", "\"quoted\"", "a,b", "line\nbreak", "more than twelve bytes of text", "\u{feff}x"];

/// A batch with every type that can be read, and two that cannot.
fn every_type(rows: usize, seed: u64) -> RecordBatch {
    let r = &mut Random(seed);
    let word = |v: u64| WORDS[v as usize % WORDS.len()].to_string();
    let day = 86_400_000i64;
    let mut keys = StringDictionaryBuilder::<Int8Type>::new();
    list(rows, r, word).into_iter().for_each(|w| keys.append_option(w));
    let mut numbers = PrimitiveDictionaryBuilder::<UInt16Type, Int64Type>::new();
    list(rows, r, |v| v as i64 % 7).into_iter().for_each(|v| numbers.append_option(v));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new(BooleanArray::from(list(rows, r, |v| v % 2 == 0)))),
        ("i8", Arc::new(Int8Array::from(list(rows, r, |v| v as i8)))),
        ("i16", Arc::new(Int16Array::from(list(rows, r, |v| v as i16)))),
        ("i32", Arc::new(Int32Array::from(list(rows, r, |v| v as i32)))),
        ("i64", Arc::new(Int64Array::from(list(rows, r, |v| v as i64)))),
        ("u8", Arc::new(UInt8Array::from(list(rows, r, |v| v as u8)))),
        ("u16", Arc::new(UInt16Array::from(list(rows, r, |v| v as u16)))),
        ("u32", Arc::new(UInt32Array::from(list(rows, r, |v| v as u32)))),
        ("u64", Arc::new(UInt64Array::from(list(rows, r, |v| v)))),
        ("f32", Arc::new(Float32Array::from(list(rows, r, |v| f32::from_bits(v as u32))))),
        ("f64", Arc::new(Float64Array::from(list(rows, r, f64::from_bits)))),
        ("d32", Arc::new(Date32Array::from(list(rows, r, |v| v as i32 % 100_000)))),
        ("d64", Arc::new(Date64Array::from(list(rows, r, |v| (v as i64 % 100_000) * day)))),
        ("ts", Arc::new(TimestampSecondArray::from(list(rows, r, |v| v as i64 / 1_000_000)))),
        ("tms", Arc::new(TimestampMillisecondArray::from(list(rows, r, |v| v as i64 / 1_000)))),
        ("tus", Arc::new(TimestampMicrosecondArray::from(list(rows, r, |v| v as i64)).with_timezone("Europe/Berlin"))),
        ("tns", Arc::new(TimestampNanosecondArray::from(list(rows, r, |v| v as i64)).with_timezone("+02:00"))),
        ("dec9", decimal(list(rows, r, |v| v as i128 % 1_000_000_000), 9, 2)),
        ("dec18", decimal(list(rows, r, |v| v as i128 % 10i128.pow(18)), 18, 0)),
        ("dec38", decimal(list(rows, r, |v| v as i128 * -4_294_967_296), 38, 38)),
        ("text", Arc::new(StringArray::from(list(rows, r, word)))),
        ("unique", Arc::new(StringArray::from(list(rows, r, |v| format!("{v:x}"))))),
        ("large", Arc::new(LargeStringArray::from(list(rows, r, word)))),
        ("view", Arc::new(StringViewArray::from_iter(list(rows, r, word)))),
        ("key", Arc::new(keys.finish())),
        ("number", Arc::new(numbers.finish())),
        ("no_null", Arc::new(Int32Array::from_iter_values(0..rows as i32))),
        ("only_null", Arc::new(Int64Array::from(vec![None; rows]))),
        ("nothing", Arc::new(NullArray::new(rows))),
        ("time", Arc::new(Time64MicrosecondArray::from(list(rows, r, |v| (v % 1000) as i64)))),
        ("binary", Arc::new(BinaryArray::from_iter(list(rows, r, |v| v.to_le_bytes().to_vec())))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn decimal(values: Vec<Option<i128>>, precision: u8, scale: i8) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
}

/// The value at `row`, read in the plainest way.
fn plain(array: &dyn Array, row: usize) -> Value {
    if array.data_type() == &DataType::Null || array.is_null(row) {
        return Value::Null;
    }
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        return plain(dictionary.values().as_ref(), dictionary.normalized_keys()[row]);
    }
    macro_rules! int {
        ($ty:ty) => {
            Value::Int(array.as_primitive::<$ty>().value(row) as i64)
        };
    }
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => int!(Int8Type),
        DataType::Int16 => int!(Int16Type),
        DataType::Int32 => int!(Int32Type),
        DataType::Int64 => int!(Int64Type),
        DataType::UInt8 => int!(UInt8Type),
        DataType::UInt16 => int!(UInt16Type),
        DataType::UInt32 => int!(UInt32Type),
        DataType::UInt64 => Value::Wide(array.as_primitive::<UInt64Type>().value(row).into()),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => int!(Date32Type),
        DataType::Date64 => Value::Int(array.as_primitive::<Date64Type>().value(row) / 86_400_000),
        DataType::Timestamp(TimeUnit::Second, _) => int!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => int!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => int!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => int!(TimestampNanosecondType),
        DataType::Decimal128(..) => Value::Wide(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Utf8 => Value::Str(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Value::Str(array.as_string::<i64>().value(row).into()),
        DataType::Utf8View => Value::Str(array.as_string_view().value(row).into()),
        other => panic!("no plain value of {other}"),
    }
}

/// Equal, NaN payloads included.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

fn own_types(source: &dyn Source, columns: &[usize]) -> Vec<Type> {
    let ty = |&c: &usize| match &source.schema().fields[c].ty {
        FieldType::Known(ty) => ty.clone(),
        FieldType::Unsupported(_) => Type::Null,
    };
    columns.iter().map(ty).collect()
}

fn request(columns: &[usize], types: Vec<Type>, chunk_rows: usize) -> Request {
    Request {
        columns: columns.to_vec(),
        dictionaries: types.iter().map(|ty| (*ty == Type::Str).then(Dictionary::new)).collect(),
        types,
        chunk_bytes: usize::MAX,
        chunk_rows,
        threads: 2,
        tolerant: false,
    }
}

fn first_chunk(source: &dyn Source, request: &Request) -> Chunk {
    read_in_order(source, request).unwrap().next().unwrap().unwrap().chunk
}

/// Reads everything, a column each, and checks the places on the way.
fn read(source: &dyn Source, request: &Request) -> Result<(Vec<Vec<Value>>, Vec<Reject>), Error> {
    let mut columns = vec![Vec::new(); request.columns.len()];
    let (mut rejects, mut seen) = (Vec::new(), 0);
    for read in read_in_order(source, request)? {
        let mut read = read?;
        assert!(read.chunk.rows <= request.chunk_rows);
        assert_eq!(read.chunk.columns.len(), columns.len());
        for ((out, column), ty) in columns.iter_mut().zip(&read.chunk.columns).zip(&request.types) {
            assert_eq!((column.len(), &column.ty), (read.chunk.rows, ty));
            assert!(column.nulls.as_ref().is_none_or(|n| n.null_count() > 0));
            out.extend((0..column.len()).map(|row| column.value(row)));
        }
        if read.rejects.is_empty() {
            for row in 0..read.chunk.rows {
                assert_eq!(read.chunk.origin.place(row).row, Some((seen + row) as u64 + 1));
            }
        }
        seen += read.chunk.rows + read.rejects.len();
        rejects.append(&mut read.rejects);
    }
    Ok((columns, rejects))
}

/// Reads `source` at several chunk sizes and compares with `batches`. Columns come in another order than they lie.
fn compare(source: &dyn Source, batches: &[RecordBatch]) {
    let schema = batches[0].schema();
    let known = |c: &usize| Type::from_arrow(schema.field(*c).data_type()).is_some();
    let mut columns: Vec<usize> = (0..schema.fields().len()).filter(known).collect();
    columns.reverse();
    columns.swap(3, 11);
    let all = |&c: &usize| -> Vec<Value> {
        batches.iter().flat_map(|b| (0..b.num_rows()).map(|row| plain(b.column(c), row))).collect()
    };
    let expected: Vec<Vec<Value>> = columns.iter().map(all).collect();
    for chunk_rows in [1, 7, 64, 1000, 1 << 20] {
        if chunk_rows < expected[0].len() / 150 {
            continue; // Only slow.
        }
        let request = request(&columns, own_types(source, &columns), chunk_rows);
        let (found, rejects) = read(source, &request).unwrap();
        assert!(rejects.is_empty());
        for (at, &column) in columns.iter().enumerate() {
            let name = schema.field(column).name();
            assert_eq!(found[at].len(), expected[at].len(), "{name}");
            for (row, (a, b)) in found[at].iter().zip(&expected[at]).enumerate() {
                assert!(same(a, b), "{name}, row {row}: {a:?} is not {b:?} (chunks of {chunk_rows})");
            }
        }
    }
    // Bytes bound a chunk, too.
    let mut by_bytes = request(&columns[..1], own_types(source, &columns[..1]), usize::MAX);
    by_bytes.chunk_bytes = 64;
    let first = first_chunk(source, &by_bytes);
    assert!((1..=64).contains(&first.rows));
    // No column at all counts rows.
    let counted = read_in_order(source, &request(&[], vec![], 13)).unwrap().map(|read| read.unwrap().chunk.rows);
    assert_eq!(counted.sum::<usize>(), expected[0].len());
    // The same column twice.
    let twice = [columns[4], columns[4]];
    let (found, _) = read(source, &request(&twice, own_types(source, &twice), 100)).unwrap();
    assert!(found[0].iter().zip(&found[1]).all(|(a, b)| same(a, b)));
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        // A mapped file must not change under its map: the old one is unlinked, not overwritten.
        let path = self.0.path().join(name);
        _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn parquet_bytes(batches: &[RecordBatch], properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batches[0].schema(), Some(properties)).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.close().unwrap();
    bytes
}

fn arrow_bytes(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn memory_gives_every_value() {
    let batches = [every_type(100, 1), every_type(0, 2), every_type(57, 3).slice(3, 50)];
    compare(MemorySource::new(batches[0].schema(), batches.to_vec()).unwrap().as_ref(), &batches);
    let other = RecordBatch::try_from_iter([("x", Arc::new(Int8Array::from(vec![1])) as ArrayRef)]).unwrap();
    assert!(matches!(MemorySource::new(other.schema(), batches.to_vec()), Err(Error::Usage { .. })));
    let none = MemorySource::new(other.schema(), vec![]).unwrap();
    assert_eq!(read(none.as_ref(), &request(&[0], vec![Type::Int8], 10)).unwrap().0, [vec![]]);
}

#[test]
fn memory_and_uncompressed_arrow_files_are_not_copied() {
    use tidemill::column::ColumnData;
    let values: Int64Array = (0..1000).collect();
    let start = values.values().as_ptr() as usize;
    let batch = RecordBatch::try_from_iter([("x", Arc::new(values) as ArrayRef)]).unwrap();
    let source = MemorySource::new(batch.schema(), vec![batch]).unwrap();
    let second =
        read_in_order(&*source, &request(&[0], vec![Type::Int64], 500)).unwrap().nth(1).unwrap().unwrap().chunk;
    let ColumnData::I64(values) = &second.columns[0].data else { panic!("not int64") };
    assert_eq!(values.as_ptr() as usize, start + 500 * 8);

    // A second scan of a mapped file finds its values at the same address.
    let batch = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from_iter_values(0..1000)) as ArrayRef)]);
    let dir = Dir::new();
    let source = ArrowSource::open(dir.file("a", &arrow_bytes(&[batch.unwrap()], Default::default()))).unwrap();
    let chunk = || first_chunk(&*source, &request(&[0], vec![Type::Int64], 2000));
    let (a, b) = (chunk(), chunk());
    let (ColumnData::I64(a), ColumnData::I64(b)) = (&a.columns[0].data, &b.columns[0].data) else {
        panic!("not int64")
    };
    assert_eq!((a.as_ptr(), a[999]), (b.as_ptr(), 999));
}

#[test]
fn parquet_gives_every_value() {
    let dir = Dir::new();
    let batches = [every_type(400, 4), every_type(1, 5), every_type(150, 6)];
    let base = || WriterProperties::builder().set_max_row_group_row_count(Some(230)).set_data_page_row_count_limit(50);
    let pages = || base().set_write_batch_size(16);
    let (v2, zstd) = (WriterVersion::PARQUET_2_0, Compression::ZSTD(ZstdLevel::default()));
    let (gzip, brotli) = (Compression::GZIP(Default::default()), Compression::BROTLI(Default::default()));
    let files = [
        ("plain", base().set_dictionary_enabled(false).build()),
        ("dictionary", base().build()),
        ("pages_v1", pages().set_compression(Compression::SNAPPY).build()),
        ("pages_v2", pages().set_writer_version(v2).set_compression(Compression::LZ4_RAW).build()),
        ("spilling_dictionary", pages().set_dictionary_page_size_limit(100).set_compression(zstd).build()),
        ("gzip", base().set_compression(gzip).set_offset_index_disabled(true).build()),
        ("brotli", base().set_compression(brotli).build()),
    ];
    for (name, properties) in files {
        let path = dir.file(name, &parquet_bytes(&batches, properties));
        let source = ParquetSource::open(&path).unwrap();
        compare(source.as_ref(), &batches);
        assert_eq!(source.bytes(), Some(fs::metadata(&path).unwrap().len()));
    }
}

#[test]
fn parquet_without_an_arrow_schema_gives_every_value() {
    let dir = Dir::new();
    // Without it Parquet has no seconds, no Date64, no dictionaries of other types.
    let batch = every_type(300, 7);
    let schema = batch.schema();
    let known = |c: &usize| !["ts", "d64", "number", "key"].contains(&schema.field(*c).name().as_str());
    let batch = batch.project(&(0..batch.num_columns()).filter(known).collect::<Vec<_>>()).unwrap();
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    compare(ParquetSource::open(dir.file("bare", &bytes)).unwrap().as_ref(), &[batch]);
}

#[test]
fn arrow_files_give_every_value() {
    let dir = Dir::new();
    let shared = every_type(450, 8);
    // Slices of one batch share its dictionaries, which a file may not replace.
    let batches = [shared.slice(0, 200), shared.slice(200, 0), shared.slice(200, 33), shared.slice(233, 217)];
    let plain = IpcWriteOptions::default;
    let files = [
        ("plain", plain()),
        ("lz4", plain().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap()),
        ("zstd", plain().try_with_compression(Some(CompressionType::ZSTD)).unwrap()),
        ("aligned_8", IpcWriteOptions::try_new(8, false, arrow_ipc::MetadataVersion::V5).unwrap()),
        ("version_4", IpcWriteOptions::try_new(64, false, arrow_ipc::MetadataVersion::V4).unwrap()),
        ("legacy", IpcWriteOptions::try_new(8, true, arrow_ipc::MetadataVersion::V4).unwrap()),
    ];
    for (name, options) in files {
        let source = ArrowSource::open(dir.file(name, &arrow_bytes(&batches, options))).unwrap();
        compare(source.as_ref(), &batches);
    }
}

#[test]
fn delta_dictionaries_are_read() {
    let dir = Dir::new();
    let batch = |values: &[&str], keys: Vec<Option<i32>>| {
        let values = Arc::new(StringArray::from(values.to_vec()));
        let array = DictionaryArray::<Int32Type>::new(Int32Array::from(keys), values);
        RecordBatch::try_from_iter_with_nullable([("k", Arc::new(array) as ArrayRef, true)]).unwrap()
    };
    let batches = [batch(&["a", "b"], vec![Some(1), None, Some(0)]), batch(&["a", "b", "c"], vec![Some(2), Some(1)])];
    let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    let source = ArrowSource::open(dir.file("delta", &arrow_bytes(&batches, options))).unwrap();
    let found = read(source.as_ref(), &request(&[0], vec![Type::Str], 2)).unwrap().0;
    let text = |s: &str| Value::Str(s.into());
    assert_eq!(found[0], [text("b"), Value::Null, text("a"), text("c"), text("b")]);
}

#[test]
fn halves_small_decimals_and_dictionaries_that_hold_null() {
    type Half = <Float16Type as ArrowPrimitiveType>::Native;
    let halves: Float16Array = [1.5f32, -0.0, f32::INFINITY].iter().map(|&v| Some(Half::from_f32(v))).collect();
    let values = Arc::new(StringArray::from(vec![Some("x"), None]));
    let keys = Int8Array::new(vec![0, 1, 1].into(), Some(NullBuffer::from(vec![true, true, false])));
    let d32 = Decimal32Array::from(vec![Some(-5), None, Some(999)]).with_precision_and_scale(3, 1).unwrap();
    let d64 = Decimal64Array::from(vec![Some(-5), None, Some(999)]).with_precision_and_scale(12, 1).unwrap();
    let empty = StringArray::from(Vec::<&str>::new());
    let nothing = DictionaryArray::<Int32Type>::new(Int32Array::from(vec![None; 3]), Arc::new(empty));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("half", Arc::new(halves) as ArrayRef, true),
        ("key", Arc::new(DictionaryArray::<Int8Type>::new(keys, values)) as ArrayRef, true),
        ("d32", Arc::new(d32) as ArrayRef, true),
        ("d64", Arc::new(d64) as ArrayRef, true),
        ("nothing", Arc::new(nothing) as ArrayRef, true),
    ])
    .unwrap();
    let dir = Dir::new();
    let arrow = arrow_bytes(std::slice::from_ref(&batch), Default::default());
    let parquet = parquet_bytes(std::slice::from_ref(&batch), WriterProperties::default());
    let sources = [
        MemorySource::new(batch.schema(), vec![batch]).unwrap(),
        ArrowSource::open(dir.file("a", &arrow)).unwrap(),
        ParquetSource::open(dir.file("p", &parquet)).unwrap(),
    ];
    for source in sources {
        let types = own_types(source.as_ref(), &[0, 1, 2, 3, 4]);
        let decimal = |precision| Type::Decimal { precision, scale: 1 };
        assert_eq!(types, [Type::Float32, Type::Str, decimal(3), decimal(12), Type::Str], "{}", source.name());
        let found = read(source.as_ref(), &request(&[0, 1, 2, 3, 4], types, 2)).unwrap().0;
        assert_eq!(found[0], [Value::Float(1.5), Value::Float(-0.0), Value::Float(f64::INFINITY)]);
        assert_eq!(found[1], [Value::Str("x".into()), Value::Null, Value::Null]);
        assert_eq!(found[2], [Value::Wide(-5), Value::Null, Value::Wide(999)]);
        assert_eq!(found[3], found[2]);
        assert_eq!(found[4], [Value::Null, Value::Null, Value::Null]);
    }
}

#[test]
fn codes_are_shared_by_all_chunks_and_files() {
    let dir = Dir::new();
    let batch = |words: &[&str]| {
        [RecordBatch::try_from_iter([("w", Arc::new(StringArray::from(words.to_vec())) as ArrayRef)]).unwrap()]
    };
    let (a, b) = (batch(&["x", "y", "x", "z"]), batch(&["z", "q", "x"]));
    let sources = [
        ParquetSource::open(dir.file("p", &parquet_bytes(&a, WriterProperties::default()))).unwrap(),
        ArrowSource::open(dir.file("a", &arrow_bytes(&b, Default::default()))).unwrap(),
    ];
    let dict = Dictionary::new();
    let mut request = request(&[0], vec![Type::Str], 2);
    request.dictionaries = vec![Some(Arc::clone(&dict))];
    for source in &sources {
        read(source.as_ref(), &request).unwrap();
    }
    assert_eq!(dict.len(), 4);
}

#[test]
fn columns_that_cannot_be_read_are_errors_only_when_used() {
    let dir = Dir::new();
    let batch = every_type(20, 9);
    let nested = ListArray::from_iter_primitive::<Int32Type, _, _>((0..20).map(|i| Some(vec![Some(i)])));
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.insert(0, Arc::new(Field::new("nest", nested.data_type().clone(), true)));
    let mut columns = batch.columns().to_vec();
    columns.insert(0, Arc::new(nested));
    let batch = RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).unwrap();
    let arrow = arrow_bytes(std::slice::from_ref(&batch), Default::default());
    let parquet = parquet_bytes(std::slice::from_ref(&batch), WriterProperties::default());
    let sources = [
        MemorySource::new(batch.schema(), vec![batch.clone()]).unwrap(),
        ArrowSource::open(dir.file("a", &arrow)).unwrap(),
        ParquetSource::open(dir.file("p", &parquet)).unwrap(),
    ];
    for source in sources {
        compare(source.as_ref(), std::slice::from_ref(&batch));
        for name in ["nest", "time", "binary"] {
            let at = source.schema().find(name).unwrap().unwrap();
            assert!(matches!(source.schema().fields[at].ty, FieldType::Unsupported(_)));
            let error = read(source.as_ref(), &request(&[1, at], vec![Type::Bool, Type::Null], 5)).unwrap_err();
            assert!(matches!(error, Error::Usage { .. }));
            assert!(error.to_string().contains(&format!("column '{name}'")), "{error}");
        }
    }
}

#[test]
fn a_wider_type_is_given_where_asked_for() {
    let dir = Dir::new();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("i", Arc::new(Int32Array::from(vec![Some(1), None, Some(-7)])) as ArrayRef, true),
        ("d", Arc::new(Date32Array::from(vec![Some(0), Some(1), None])) as ArrayRef, true),
    ])
    .unwrap();
    let source = ParquetSource::open(dir.file("p", &parquet_bytes(&[batch], WriterProperties::default()))).unwrap();
    let types = vec![Type::Float64, Type::Timestamp(Unit::Milli), Type::Date];
    let found = read(source.as_ref(), &request(&[0, 1, 1], types, 2)).unwrap().0;
    assert_eq!(found[0], [Value::Float(1.0), Value::Null, Value::Float(-7.0)]);
    assert_eq!(found[1], [Value::Int(0), Value::Int(86_400_000), Value::Null]);
    assert_eq!(found[2], [Value::Int(0), Value::Int(1), Value::Null]);
}

#[test]
fn bad_values_stop_a_strict_scan_and_are_set_aside_by_a_tolerant_one() {
    let days = Date64Array::from(vec![Some(0), Some(86_400_001), None, Some(-86_400_000), Some(i64::MAX)]);
    let wide = Decimal128Array::from(vec![0, 0, 0, 0, 10i128.pow(38)]);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5])) as ArrayRef, true),
        ("day", Arc::new(days) as ArrayRef, true),
        ("wide", Arc::new(wide) as ArrayRef, true),
    ])
    .unwrap();
    let source = MemorySource::new(batch.schema(), vec![batch.clone()]).unwrap();
    let types = vec![Type::Decimal { precision: 38, scale: 10 }, Type::Int32, Type::Date];
    let mut request = request(&[2, 0, 1], types, 100);
    let error = read(source.as_ref(), &request).unwrap_err();
    assert_eq!(error.place().unwrap().row, Some(2), "the first bad row, not the first bad column: {error}");
    assert!(error.to_string().contains("column 'day'") && error.to_string().contains("86400001"), "{error}");
    request.tolerant = true;
    let (found, rejects) = read(source.as_ref(), &request).unwrap();
    assert_eq!(found[1], [Value::Int(1), Value::Int(3), Value::Int(4)]);
    assert_eq!(found[2], [Value::Int(0), Value::Null, Value::Int(-1)]);
    let about: Vec<_> = rejects.iter().map(|r| (r.place.row, r.column_index)).collect();
    assert_eq!(about, [(Some(2), Some(2)), (Some(5), Some(3))]);
    // After rows were set aside the others still know their place.
    let chunk = first_chunk(&*source, &request);
    assert_eq!(chunk.origin.place(1).row, Some(3));
}

#[test]
fn raw_records_are_read() {
    let dir = Dir::new();
    let schema = [
        ("flag", Type::Bool),
        ("id", Type::Int32),
        ("v", Type::Float64),
        ("big", Type::UInt64),
        ("price", Type::Decimal { precision: 10, scale: 2 }),
        ("day", Type::Date),
        ("at", Type::Timestamp(Unit::Micro)),
        ("small", Type::Int16),
    ]
    .map(|(n, t)| (n.to_string(), t));
    let mut bytes = Vec::new();
    for i in 0..100i64 {
        bytes.push((i % 2) as u8);
        bytes.extend((i as i32 - 50).to_le_bytes());
        bytes.extend((i as f64 / 3.0).to_le_bytes());
        bytes.extend((u64::MAX - i as u64).to_le_bytes());
        bytes.extend((i as i128 * -12345).to_le_bytes());
        bytes.extend((i as i32).to_le_bytes());
        bytes.extend((i * 1_000_001).to_le_bytes());
        bytes.extend((-i as i16).to_le_bytes());
    }
    let path = dir.file("r.bin", &bytes);
    let source = RawSource::open(&path, &schema).unwrap();
    for chunk_rows in [1, 9, 1000] {
        let columns = [7, 0, 1, 2, 3, 4, 5, 6];
        let request = request(&columns, own_types(source.as_ref(), &columns), chunk_rows);
        let found = read(source.as_ref(), &request).unwrap().0;
        for i in 0..100i64 {
            let at = i as usize;
            assert_eq!(found[0][at], Value::Int(-i));
            assert_eq!(found[1][at], Value::Bool(i % 2 == 1));
            assert_eq!(found[2][at], Value::Int(i - 50));
            assert_eq!(found[3][at], Value::Float(i as f64 / 3.0));
            assert_eq!(found[4][at], Value::Wide(u64::MAX as i128 - i as i128));
            assert_eq!(found[5][at], Value::Wide(i as i128 * -12345));
            assert_eq!(found[6][at], Value::Int(i));
            assert_eq!(found[7][at], Value::Int(i * 1_000_001));
        }
    }
    let chunk = first_chunk(&*source, &request(&[0], vec![Type::Bool], 10));
    assert_eq!(chunk.origin.place(2).byte, Some(2 * 51));

    bytes.push(0);
    let error = RawSource::open(dir.file("long.bin", &bytes), &schema).err().unwrap().to_string();
    assert!(error.contains("5101 bytes") && error.contains("records of 51 bytes"), "{error}");
    let error = RawSource::open(&path, &[("name".into(), Type::Str)]).err().unwrap().to_string();
    assert!(error.contains("column 'name'"), "{error}");
    assert!(matches!(RawSource::open(&path, &[]), Err(Error::Usage { .. })));

    let flags = RawSource::open(dir.file("flags.bin", &[0, 1, 2, 1]), &[("f".into(), Type::Bool)]).unwrap();
    let mut request = request(&[0], vec![Type::Bool], 10);
    let error = read(flags.as_ref(), &request).unwrap_err();
    assert_eq!((error.place().unwrap().row, error.place().unwrap().byte), (Some(3), Some(2)));
    request.tolerant = true;
    let found = read(flags.as_ref(), &request).unwrap().0;
    assert_eq!(found[0], [Value::Bool(false), Value::Bool(true), Value::Bool(true)]);
}

#[test]
fn int96_timestamps_are_read_and_never_wrap() {
    use parquet::data_type::{Int32Type as Int32, Int96, Int96Type};
    use parquet::file::writer::SerializedFileWriter;
    let dir = Dir::new();
    let write = |values: &[Int96]| {
        let message = "message m { optional int96 t; required int32 n; }";
        let schema = Arc::new(parquet::schema::parser::parse_message_type(message).unwrap());
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, Default::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let levels: Vec<i16> = (0..values.len() as i16 + 1).map(|i| (i != 1).into()).collect();
        column.typed::<Int96Type>().write_batch(values, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let numbers: Vec<i32> = (0..levels.len() as i32).collect();
        column.typed::<Int32>().write_batch(&numbers, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        bytes
    };
    let at = |day: u32, nanos: u64| {
        let mut value = Int96::new();
        value.set_data(nanos as u32, (nanos >> 32) as u32, 2_440_588u32.wrapping_add(day));
        value
    };
    let good = [at(0, 5), at(1, 86_399_999_999_999), at(-1i32 as u32, 1)];
    let source = ParquetSource::open(dir.file("ok", &write(&good))).unwrap();
    let ty = Type::Timestamp(Unit::Nano);
    assert_eq!(own_types(source.as_ref(), &[0, 1]), [ty.clone(), Type::Int32]);
    let found = read(source.as_ref(), &request(&[1, 0], vec![Type::Int32, ty.clone()], 2)).unwrap().0;
    let day = 86_400_000_000_000;
    assert_eq!(found[1], [Value::Int(5), Value::Null, Value::Int(2 * day - 1), Value::Int(1 - day)]);
    let source = ParquetSource::open(dir.file("far", &write(&[at(0, 5), at(2_932_896, 0)]))).unwrap();
    let error = read(source.as_ref(), &request(&[0], vec![ty], 100)).unwrap_err();
    assert_eq!(error.place().unwrap().row, Some(3), "{error}");
}

type Open<'a> = &'a dyn Fn(&Path) -> tidemill::Result<Arc<dyn Source>>;

/// Opens and reads everything that can be read.
fn read_whole(open: Open, path: &Path) -> Result<Vec<Vec<Value>>, Error> {
    let source = open(path)?;
    let known = |c: &usize| matches!(source.schema().fields[*c].ty, FieldType::Known(_));
    let columns: Vec<usize> = (0..source.schema().fields.len()).filter(known).collect();
    read(source.as_ref(), &request(&columns, own_types(source.as_ref(), &columns), 64)).map(|(found, _)| found)
}

/// Damage may be found or may change values unseen (there is no checksum over them), but it never panics and every
/// error names the file.
fn survive(open: Open, bytes: &[u8], every: usize) {
    let dir = Dir::new();
    for length in (0..bytes.len()).step_by(every) {
        let path = dir.file("short", &bytes[..length]);
        let error = read_whole(open, &path).map(|_| panic!("{length} of {} bytes were read", bytes.len())).unwrap_err();
        assert!(matches!(error, Error::Format { .. } | Error::Io { .. }), "{error}");
        assert!(error.to_string().contains("short"), "{error}");
    }
    let (r, mut failed) = (&mut Random(bytes.len() as u64), 0);
    for _ in 0..300 {
        let mut damaged = bytes.to_vec();
        for _ in 0..1 + r.next() % 8 {
            let at = r.next() as usize % bytes.len();
            damaged[at] = r.next() as u8;
        }
        if let Err(error) = read_whole(open, &dir.file("broken", &damaged)) {
            failed += 1;
            assert!(error.to_string().contains("broken"), "{error}");
        }
    }
    assert!(failed > 15, "only {failed} of 300 damaged files were noticed");
}

/// The decoders' panics are caught; their messages would only fill the log. Those of the tests stay.
fn hush() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.location().is_some_and(|l| l.file().starts_with("tests")) {
            usual(info);
        }
    }));
}

#[test]
fn damaged_parquet_is_an_error_that_names_the_file() {
    hush();
    let batches = [every_type(300, 10)];
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(128)).build();
    survive(&|p| ParquetSource::open(p), &parquet_bytes(&batches, properties), 997);
    let properties = WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0);
    let properties = properties.set_compression(Compression::SNAPPY).build();
    survive(&|p| ParquetSource::open(p), &parquet_bytes(&batches, properties), 997);
}

#[test]
fn damaged_arrow_files_are_an_error_that_names_the_file() {
    hush();
    let bytes = arrow_bytes(&[every_type(100, 11)], Default::default());
    survive(&|p| ArrowSource::open(p), &bytes, 499);
    let zstd = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    survive(&|p| ArrowSource::open(p), &arrow_bytes(&[every_type(100, 12)], zstd), 499);
}

#[test]
fn a_missing_file_is_named() {
    for open in [|p: &str| ParquetSource::open(p), |p: &str| ArrowSource::open(p)] {
        let error = open("no/such.file").err().unwrap();
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("no/such.file"), "{error}");
    }
}
