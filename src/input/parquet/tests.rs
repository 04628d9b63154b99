//! Both ways of reading a column give the same, over files of every encoding; and damage is never more than an error.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{
    ArrayRef, Date32Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};

use super::task::ParquetScan;
use super::*;
use crate::column::{Dictionary, Value};
use crate::input::Read;

/// Numbers without a pattern, the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// How the values of a table come about.
#[derive(Debug, Clone, Copy)]
struct Shape {
    rows: usize,
    distinct: u64,
    /// Every value stands in runs of about so many.
    runs: u64,
    /// Of a hundred rows, so many are null.
    nulls: u64,
    seed: u64,
}

/// A column of every type that is read without the arrow reader, and two that are not.
fn table(shape: Shape) -> RecordBatch {
    let mut column = 0;
    let mut values = || {
        column += 1;
        let mut random = Random(shape.seed << 8 | column);
        let mut value = None;
        let next = |row| {
            if row == 0 || random.next().is_multiple_of(shape.runs) {
                let bits = random.next() % shape.distinct;
                let null = random.next() % 100 < shape.nulls;
                value = (!null).then_some(bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (bits % 60));
            }
            value
        };
        (0..shape.rows).map(next).collect::<Vec<_>>()
    };
    let text = |v: Option<u64>| {
        v.map(|v| match v % 7 {
            0 => String::new(),
            1 => format!("{v} is a text of more than fifteen bytes"),
            2 => format!("für {}", v % 1000),
            _ => format!("id{}", v % 100_000),
        })
    };
    macro_rules! numbers {
        ($array:ty, $native:ty) => {
            Arc::new(values().into_iter().map(|v| v.map(|v| v as $native)).collect::<$array>()) as ArrayRef
        };
    }
    let floats = values().into_iter().map(|v| v.map(f64::from_bits)).collect::<Float64Array>();
    let texts: Vec<Option<String>> = values().into_iter().map(text).collect();
    RecordBatch::try_from_iter([
        ("i8", numbers!(Int8Array, i8)),
        ("i16", numbers!(Int16Array, i16)),
        ("i32", numbers!(Int32Array, i32)),
        ("i64", numbers!(Int64Array, i64)),
        ("u8", numbers!(UInt8Array, u8)),
        ("u16", numbers!(UInt16Array, u16)),
        ("u32", numbers!(UInt32Array, u32)),
        ("u64", numbers!(UInt64Array, u64)),
        ("f32", numbers!(Float32Array, f32)),
        ("f64", Arc::new(floats)),
        ("date", numbers!(Date32Array, i32)),
        ("time", numbers!(TimestampMicrosecondArray, i64)),
        ("text", Arc::new(texts.iter().map(|t| t.as_deref()).collect::<StringArray>())),
        ("long", Arc::new(values().into_iter().map(text).collect::<LargeStringArray>())),
    ])
    .unwrap()
}

fn bytes(batch: &RecordBatch, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let options = ArrowWriterOptions::new().with_properties(properties.build());
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// The footer of a file, and where it begins.
fn footer(file: &[u8]) -> (ParquetMetaData, usize) {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(file.to_vec())).unwrap();
    let length = u32::from_le_bytes(file[file.len() - 8..][..4].try_into().unwrap()) as usize;
    (metadata, file.len() - 8 - length)
}

/// The file with a footer that knows of no encodings but PLAIN.
fn with_lying_footer(file: &[u8]) -> Vec<u8> {
    let (metadata, at) = footer(file);
    let mut builder = metadata.clone().into_builder();
    let groups = metadata.row_groups().iter().map(|group| {
        let plain = |column: &parquet::file::metadata::ColumnChunkMetaData| {
            let column = column.clone().into_builder().set_encodings(vec![Encoding::PLAIN]);
            column
                .clear_page_encoding_stats()
                .set_offset_index_offset(None)
                .set_column_index_offset(None)
                .build()
                .unwrap()
        };
        let columns = group.columns().iter().map(plain).collect();
        group.clone().into_builder().set_column_metadata(columns).build().unwrap()
    });
    builder = builder.set_row_groups(groups.collect());
    let mut out = file[..at].to_vec();
    ParquetMetaDataWriter::new(&mut out, &builder.build()).finish().unwrap();
    out
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    fn open(&self, bytes: &[u8]) -> Result<ParquetSource> {
        // A mapped file must not change under its map: the old one is unlinked, not overwritten.
        let path = self.0.path().join("file");
        _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
        ParquetSource::new(Map::open(Path::new(&path))?)
    }
}

fn request(source: &ParquetSource, chunk_rows: usize, threads: usize) -> Request {
    let types = source.schema.fields.iter().map(|field| match &field.ty {
        FieldType::Known(ty) => ty.clone(),
        FieldType::Unsupported(ty) => panic!("{ty} is unknown"),
    });
    let types: Vec<Type> = types.collect();
    Request {
        columns: (0..types.len()).collect(),
        dictionaries: types.iter().map(|ty| (*ty == Type::Str).then(Dictionary::new)).collect(),
        types,
        chunk_bytes: usize::MAX,
        chunk_rows,
        threads,
        tolerant: false,
    }
}

/// Every chunk, task by task.
fn reads(source: &ParquetSource, request: &Request, direct: bool) -> Result<Vec<Vec<Read>>> {
    let mut scan = ParquetScan::new(source, request, direct)?;
    let mut tasks = Vec::new();
    while let Some(task) = scan.next()? {
        tasks.push(task.collect::<Result<Vec<Read>>>()?);
    }
    Ok(tasks)
}

/// The values of a column as text that tells NaNs and zeros apart.
fn values(tasks: &[Vec<Read>], column: usize) -> Vec<String> {
    let chunks = tasks.iter().flatten().map(|read| &read.chunk);
    let value = |v: Value| match v {
        Value::Float(f) => format!("{:x}", f.to_bits()),
        other => format!("{other:?}"),
    };
    chunks.flat_map(|chunk| (0..chunk.rows).map(|row| value(chunk.columns[column].value(row)))).collect()
}

fn agree(source: &ParquetSource, what: &str, sizes: &[usize]) {
    let expected = reads(source, &request(source, 1 << 20, 1), false).unwrap();
    let expected: Vec<_> = (0..source.schema.fields.len()).map(|column| values(&expected, column)).collect();
    for (&chunk_rows, threads) in sizes.iter().zip([1, 3, 1, 2].into_iter().cycle()) {
        let request = request(source, chunk_rows, threads);
        let found = reads(source, &request, true).unwrap();
        let mut row = 0;
        for read in found.iter().flatten() {
            assert!((1..=chunk_rows).contains(&read.chunk.rows), "{what}");
            assert_eq!(read.chunk.origin.place(0).row, Some(row + 1));
            assert!(read.chunk.columns.iter().all(|c| c.nulls.as_ref().is_none_or(|n| n.null_count() > 0)));
            row += read.chunk.rows as u64;
        }
        for (column, expected) in expected.iter().enumerate() {
            let found = values(&found, column);
            assert_eq!(found.len(), expected.len(), "{what}");
            let differs = found.iter().zip(expected).position(|(a, b)| a != b);
            let name = &source.schema.fields[column].name;
            assert_eq!(differs, None, "{what}: column {name} in chunks of {chunk_rows}");
        }
    }
}

fn direct_columns(source: &ParquetSource) -> Vec<bool> {
    let request = request(source, 100, 1);
    ParquetScan::new(source, &request, true).unwrap().direct_columns(0)
}

#[test]
fn both_ways_give_the_same_over_every_encoding() {
    let dir = Dir::new();
    let shapes = [
        Shape { rows: 3000, distinct: 5, runs: 1, nulls: 0, seed: 1 },
        Shape { rows: 3000, distinct: 200, runs: 9, nulls: 5, seed: 2 },
        Shape { rows: 3000, distinct: 3000, runs: 1, nulls: 50, seed: 3 },
        Shape { rows: 1500, distinct: 1 << 40, runs: 1, nulls: 0, seed: 4 },
        Shape { rows: 1500, distinct: 70, runs: 200, nulls: 30, seed: 5 },
        Shape { rows: 500, distinct: 1, runs: 1, nulls: 0, seed: 6 },
        Shape { rows: 500, distinct: 9, runs: 1, nulls: 100, seed: 7 },
        Shape { rows: 0, distinct: 9, runs: 1, nulls: 0, seed: 8 },
    ];
    let compressions = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
    ];
    let mut random = Random(99);
    let mut pick = |most: &[usize]| most[random.next() as usize % most.len()];
    for (number, shape) in shapes.iter().cycle().take(96).enumerate() {
        let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][number / 8 % 2];
        let compression = compressions[number / 16 % 6];
        let (page, group) = (pick(&[1, 7, 64, 1000, 1 << 20]), pick(&[100, 777, 1 << 20]));
        let (dictionary, limit) = (pick(&[0, 1, 1, 1]) == 1, pick(&[64, 4000, 1 << 20]));
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(compression)
            .set_dictionary_enabled(dictionary)
            // Beyond it values are plain in version 1, and of other encodings in version 2.
            .set_dictionary_page_size_limit(limit)
            .set_data_page_row_count_limit(page)
            .set_write_batch_size(page.min(100))
            .set_max_row_group_row_count(Some(group));
        let what = format!("{shape:?}, {version:?}, {compression}, dictionary {dictionary} {limit}, {page}, {group}");
        let file = bytes(&table(*shape), properties);
        let source = dir.open(&file).unwrap();
        if version == WriterVersion::PARQUET_1_0 && shape.rows > 0 {
            assert_eq!(direct_columns(&source), vec![true; 14], "{what}");
        }
        let sizes: &[usize] = if group == 100 { &[37, 1 << 20] } else { &[1, 7, 100, 1000, 1 << 20] };
        let sizes = if shape.rows > 1000 && sizes[0] == 1 { &sizes[1..] } else { sizes };
        agree(&source, &what, sizes);
    }
}

#[test]
fn required_columns_have_no_levels() {
    let shape = Shape { rows: 2000, distinct: 300, runs: 2, nulls: 0, seed: 21 };
    let optional = table(shape);
    let required =
        optional.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(false)).collect::<Vec<_>>();
    let schema = Arc::new(arrow_schema::Schema::new(required));
    let batch = RecordBatch::try_new(schema, optional.columns().to_vec()).unwrap();
    let dir = Dir::new();
    for (dictionary, version) in
        [(true, WriterVersion::PARQUET_1_0), (false, WriterVersion::PARQUET_1_0), (true, WriterVersion::PARQUET_2_0)]
    {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(dictionary)
            .set_writer_version(version)
            .set_data_page_row_count_limit(300)
            .set_write_batch_size(100)
            .set_compression(Compression::SNAPPY);
        let source = dir.open(&bytes(&batch, properties)).unwrap();
        assert_eq!(direct_columns(&source), vec![true; 14]);
        agree(&source, "required", &[13, 700, 1 << 20]);
    }
}

#[test]
fn encodings_that_the_footer_does_not_tell_of_are_read_the_other_way() {
    let dir = Dir::new();
    let batch = table(Shape { rows: 3000, distinct: 2000, runs: 1, nulls: 10, seed: 31 });
    // Version 2 goes on with DELTA encodings once a dictionary is full; without one it begins with them.
    for (dictionary, limit) in [(true, 500), (true, 3000), (false, 1)] {
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_dictionary_enabled(dictionary)
            .set_dictionary_page_size_limit(limit)
            .set_data_page_row_count_limit(250)
            .set_write_batch_size(50)
            .set_max_row_group_row_count(Some(1700));
        let file = bytes(&batch, properties);
        assert!(!direct_columns(&dir.open(&file).unwrap())[3]);
        let source = dir.open(&with_lying_footer(&file)).unwrap();
        assert_eq!(direct_columns(&source), vec![true; 14]);
        agree(&source, "a lying footer", &[10, 200, 1 << 20]);
    }
}

#[test]
fn what_is_not_flat_or_of_another_encoding_goes_the_other_way() {
    let dir = Dir::new();
    let batch = table(Shape { rows: 1000, distinct: 1 << 30, runs: 1, nulls: 20, seed: 41 });
    for encoding in [Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT] {
        let properties = WriterProperties::builder().set_dictionary_enabled(false);
        let properties =
            properties.set_column_encoding("i64".into(), encoding).set_column_encoding("i32".into(), encoding);
        let source = dir.open(&bytes(&batch, properties.set_compression(Compression::SNAPPY))).unwrap();
        let expected: Vec<bool> = (0..14).map(|column| column != 2 && column != 3).collect();
        assert_eq!(direct_columns(&source), expected);
        agree(&source, "some of another encoding", &[10, 300, 1 << 20]);
    }
}

#[test]
fn buffers_are_used_again_once_nobody_holds_them() {
    let dir = Dir::new();
    let batch = table(Shape { rows: 4000, distinct: 1 << 30, runs: 1, nulls: 0, seed: 51 });
    let source = dir.open(&bytes(&batch, WriterProperties::builder())).unwrap();
    let request = request(&source, 1000, 1);
    let place = |read: &Read| match &read.chunk.columns[3].data {
        crate::column::ColumnData::I64(values) => values.as_ptr() as usize,
        _ => panic!("not int64"),
    };
    let mut task = ParquetScan::new(&source, &request, true).unwrap().next().unwrap().unwrap();
    let first = task.next().unwrap().unwrap();
    let at = place(&first);
    let second = task.next().unwrap().unwrap();
    // The first is still held, and as it was.
    assert_ne!(place(&second), at);
    let again = reads(&source, &request, true).unwrap();
    assert_eq!(values(&[vec![first, second]], 3), values(&again, 3)[..2000]);
    let mut scan = ParquetScan::new(&source, &request, true).unwrap();
    let places: Vec<usize> = scan.next().unwrap().unwrap().map(|read| place(&read.unwrap())).collect();
    assert!(places.iter().all(|&place| place == places[0]), "{places:?}");
}

#[test]
fn a_string_that_is_no_text_is_an_error_that_names_its_column() {
    let dir = Dir::new();
    for dictionary in [true, false] {
        let texts: StringArray = (0..100).map(|i| Some(format!("name {}", i % 50))).collect();
        let batch = RecordBatch::try_from_iter([("who", Arc::new(texts) as ArrayRef)]).unwrap();
        let properties = WriterProperties::builder().set_dictionary_enabled(dictionary);
        let mut file =
            bytes(&batch, properties.set_statistics_enabled(parquet::file::properties::EnabledStatistics::None));
        let at = file.windows(7).position(|w| w == b"name 49").unwrap();
        file[at + 3] = 0xff;
        let source = dir.open(&file).unwrap();
        let error = reads(&source, &request(&source, 10, 1), true).err().unwrap().to_string();
        assert!(error.contains("column 'who': a string is no UTF-8") && error.contains("row group 1"), "{error}");
    }
}

/// Whether code of this module panicked.
static PANICKED: AtomicBool = AtomicBool::new(false);

#[test]
fn every_damaged_byte_is_an_error_or_another_value() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let here = std::thread::current().name().is_some_and(|name| name.contains("every_damaged_byte"));
        let ours = info.location().is_some_and(|l| l.file().replace('\\', "/").contains("src/input/parquet"));
        PANICKED.fetch_or(here && ours, Ordering::Relaxed);
        // Those of the decoders are caught.
        if ours || !here || !info.location().is_some_and(|l| l.file().contains("parquet")) {
            usual(info);
        }
    }));
    let dir = Dir::new();
    let batch = table(Shape { rows: 120, distinct: 40, runs: 2, nulls: 10, seed: 61 });
    let columns = [2, 9, 12];
    let batch = batch.project(&columns).unwrap();
    let (mut errors, mut read) = (0, 0);
    for (version, dictionary, compression) in [
        (WriterVersion::PARQUET_1_0, true, Compression::SNAPPY),
        (WriterVersion::PARQUET_1_0, false, Compression::UNCOMPRESSED),
        (WriterVersion::PARQUET_2_0, true, Compression::UNCOMPRESSED),
        (WriterVersion::PARQUET_2_0, true, Compression::SNAPPY),
    ] {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_dictionary_enabled(dictionary)
            .set_compression(compression)
            .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
            .set_data_page_row_count_limit(50)
            .set_write_batch_size(50);
        let file = bytes(&batch, properties);
        let pages = footer(&file).1;
        let mut check = |bytes: &[u8], what: std::fmt::Arguments| {
            let found = dir.open(bytes).and_then(|source| {
                let request = request(&source, 64, 1);
                reads(&source, &request, true)
            });
            assert!(!PANICKED.load(Ordering::Relaxed), "{what}");
            match found {
                Ok(_) => read += 1,
                Err(error) => {
                    errors += 1;
                    assert!(matches!(error, Error::Format { .. } | Error::Data { .. }), "{what}: {error}");
                }
            }
        };
        let mut random = Random(7);
        for at in 0..file.len() {
            for bits in [0xff, 1 << (random.next() % 8), (random.next() % 255 + 1) as u8] {
                let mut damaged = file.clone();
                damaged[at] ^= bits;
                check(&damaged, format_args!("byte {at} of {} ^ {bits}, {version:?} {compression}", file.len()));
            }
        }
        // Pages cut short, their footer as it was.
        for at in (0..pages).step_by(5) {
            let mut short = file.clone();
            short.drain(at..(at + 9).min(pages));
            check(&short, format_args!("nine bytes fewer at {at}, {version:?} {compression}"));
        }
    }
    assert!(errors > 1000 && read > 1000, "{errors} errors, {read} read");
}
