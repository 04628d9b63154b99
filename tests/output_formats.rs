//! What every output format writes reads back as the same values, hostile strings included.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow_array::types::Float64Type;
use arrow_array::*;
use tidemill::Error;
use tidemill::column::{Dictionary, FieldType, Type, Unit, Value};
use tidemill::input::{CsvOptions, OpenOptions, Request, Source, open, read_in_order};
use tidemill::output::{Format, OutputFile, cell, type_of, value_text, writer};

/// A sink to look into afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bytes(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let sink = Shared::default();
    let mut writer = writer(format, batches[0].schema(), Box::new(sink.clone()), Path::new("sink")).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.finish().unwrap();
    sink.0.lock().unwrap().clone()
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(bytes(format, batches)).unwrap()
}

const HOSTILE: [&str; 24] = [
    "",
    " ",
    " x ",
    "NA",
    "N/A",
    "null",
    "NULL",
    "nan",
    "true",
    "12",
    "1e5",
    "\"",
    "\"\"",
    ",",
    "a,b",
    "a\tb",
    "\n",
    "\r\n",
    "line\rfeed",
    "\u{feff}bom",
    "it's; a | pipe",
    "\\N",
    "\u{0}\u{1}",
    "ж𝄞\u{2028}",
];

fn optional<T: Clone>(values: &[T]) -> Vec<Option<T>> {
    (0..48).map(|i| (i % 7 != 3).then(|| values[i % values.len()].clone())).collect()
}

/// Every type the engine gives but lists and null, in 48 rows with nulls, and a name that needs quotes.
fn every_type() -> RecordBatch {
    let floats = [0.1, -0.0, 0.0, 5e-324, -1.7976931348623157e308, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e21];
    let decimals = Decimal128Array::from(optional(&[0, -1, 10i128.pow(38) - 1, 1 - 10i128.pow(38), 5]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("s,\"tr\n", Arc::new(StringArray::from(optional(&HOSTILE)))),
        ("b", Arc::new(BooleanArray::from(optional(&[true, false])))),
        ("i8", Arc::new(Int8Array::from(optional(&[i8::MIN, 0, i8::MAX])))),
        ("i16", Arc::new(Int16Array::from(optional(&[i16::MIN, 0, i16::MAX])))),
        ("i32", Arc::new(Int32Array::from(optional(&[i32::MIN, 0, i32::MAX])))),
        ("i64", Arc::new(Int64Array::from(optional(&[i64::MIN, 0, i64::MAX])))),
        ("u8", Arc::new(UInt8Array::from(optional(&[u8::MAX, 0])))),
        ("u16", Arc::new(UInt16Array::from(optional(&[u16::MAX, 0])))),
        ("u32", Arc::new(UInt32Array::from(optional(&[u32::MAX, 0])))),
        ("u64", Arc::new(UInt64Array::from(optional(&[u64::MAX, 0])))),
        ("f32", Arc::new(Float32Array::from(optional(&floats.map(|f| f as f32))))),
        ("f64", Arc::new(Float64Array::from(optional(&floats)))),
        ("dec", Arc::new(decimals.with_precision_and_scale(38, 7).unwrap())),
        ("day", Arc::new(Date32Array::from(optional(&[-719_162, -1, 0, 2_932_896])))),
        ("ts", Arc::new(TimestampSecondArray::from(optional(&[-1, 0, 253_402_300_799])))),
        ("tms", Arc::new(TimestampMillisecondArray::from(optional(&[-1, 0, 253_402_300_799_999])))),
        ("tus", Arc::new(TimestampMicrosecondArray::from(optional(&[-1, 0, 1_357_034_400_000_001])))),
        ("tns", Arc::new(TimestampNanosecondArray::from(optional(&[-1, 0, i64::MAX, i64::MIN + 1])))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn file(dir: &tempfile::TempDir, format: Format, batches: &[RecordBatch]) -> PathBuf {
    let path = dir.path().join("out").with_extension(format.name());
    let file = OutputFile::create(&path).unwrap();
    let mut writer = writer(format, batches[0].schema(), file.sink(), &path).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.finish().unwrap();
    file.commit().unwrap();
    path
}

fn read(source: &dyn Source, types: &[Type]) -> Vec<Vec<Value>> {
    let request = Request {
        columns: (0..types.len()).collect(),
        dictionaries: types.iter().map(|ty| (*ty == Type::Str).then(Dictionary::new)).collect(),
        types: types.to_vec(),
        chunk_bytes: usize::MAX,
        chunk_rows: 20,
        threads: 1,
        tolerant: false,
    };
    let mut columns = vec![Vec::new(); types.len()];
    for read in read_in_order(source, &request).unwrap() {
        let chunk = read.unwrap().chunk;
        for (out, column) in columns.iter_mut().zip(&chunk.columns) {
            out.extend((0..column.len()).map(|row| column.value(row)));
        }
    }
    columns
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        _ => a == b,
    }
}

#[test]
fn files_read_back_as_they_were() {
    let batch = every_type();
    let schema = batch.schema();
    let types: Vec<Type> = schema.fields().iter().map(|f| type_of(f.data_type()).unwrap()).collect();
    let batches = [batch.slice(0, 30), batch.slice(30, 0), batch.slice(30, 18)];
    for format in [Format::Csv, Format::Tsv, Format::Parquet, Format::Arrow] {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, format, &batches);
        // Text states no types. Parquet has no seconds.
        let names = schema.fields().iter().map(|f| f.name().clone());
        let options = CsvOptions { schema: names.zip(types.clone()).collect(), ..CsvOptions::default() };
        let source = open(&path, &OpenOptions::from(options)).unwrap();
        let seconds = types.iter().position(|t| *t == Type::Timestamp(Unit::Second)).unwrap();
        let mut types = types.clone();
        if format == Format::Parquet {
            types[seconds] = Type::Timestamp(Unit::Milli);
        }
        for (i, field) in source.schema().fields.iter().enumerate() {
            assert_eq!((&field.name, &field.ty), (schema.field(i).name(), &FieldType::Known(types[i].clone())));
        }
        let found = read(source.as_ref(), &types);
        for (i, found) in found.iter().enumerate() {
            assert_eq!(found.len(), 48);
            for (row, found) in found.iter().enumerate() {
                let expected = match (cell(batch.column(i), row), format) {
                    (Value::Int(s), Format::Parquet) if i == seconds => Value::Int(s * 1000),
                    (expected, _) => expected,
                };
                assert!(same(found, &expected), "{format} column {i} row {row}: {found:?} is not {expected:?}");
            }
        }
    }
}

#[test]
fn json_reads_back_as_it_was() {
    let batch = every_type();
    let lines = text(Format::Ndjson, &[batch.slice(0, 5), batch.slice(5, 43)]);
    let rows: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let array: serde_json::Value =
        serde_json::from_str(&text(Format::Json, &[batch.slice(0, 5), batch.slice(5, 43)])).unwrap();
    assert_eq!(array, serde_json::Value::Array(rows.clone()));
    assert_eq!(rows.len(), 48);
    for (i, field) in batch.schema().fields().iter().enumerate() {
        let ty = type_of(field.data_type()).unwrap();
        for (row, object) in rows.iter().enumerate() {
            let (found, expected) = (&object[field.name()], cell(batch.column(i), row));
            match &expected {
                Value::Null => assert!(found.is_null()),
                Value::Bool(v) => assert_eq!(found.as_bool(), Some(*v)),
                Value::Str(v) => assert_eq!(found.as_str(), Some(&**v)),
                Value::Float(v) if ty == Type::Float64 && v.is_finite() => {
                    assert_eq!(found.as_f64().unwrap().to_bits(), v.to_bits());
                }
                Value::Float(v) if !v.is_finite() => assert_eq!(found.as_str(), Some(&*expected.text(&ty))),
                Value::Int(v) if ty.is_integer() => assert_eq!(found.as_i64(), Some(*v)),
                Value::Int(_) => assert_eq!(found.as_str(), Some(&*expected.text(&ty))),
                // Numbers of more digits than a double has: only their text is exact.
                _ => assert!(lines.lines().nth(row).unwrap().contains(&format!("\":{}", expected.text(&ty)))),
            }
        }
    }
    let none = batch.slice(0, 0);
    assert_eq!(text(Format::Json, std::slice::from_ref(&none)), "[]\n");
    assert_eq!(text(Format::Ndjson, &[none]), "");
}

/// A small result with a list.
fn small() -> RecordBatch {
    let item = Some(vec![Some(1.5), None, Some(f64::NAN)]);
    let lists = ListArray::from_iter_primitive::<Float64Type, _, _>([item, None, Some(vec![])]);
    let words = ["a|b", "c", ""].iter().map(|w| Some(vec![Some(*w), Some("\"")]));
    let mut strings = builder::ListBuilder::new(builder::StringBuilder::new());
    words.for_each(|w| strings.append_value(w.unwrap()));
    RecordBatch::try_from_iter_with_nullable([
        ("k", Arc::new(StringArray::from(vec![Some("x"), Some(""), None])) as ArrayRef, true),
        ("v", Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(1e300)])) as ArrayRef, true),
        ("top", Arc::new(lists) as ArrayRef, true),
        ("words", Arc::new(strings.finish()) as ArrayRef, true),
        ("nothing", Arc::new(NullArray::new(3)) as ArrayRef, true),
    ])
    .unwrap()
}

#[test]
fn text_formats_are_written_exactly_so() {
    let batch = [small()];
    assert_eq!(
        text(Format::Csv, &batch),
        "k,v,top,words,nothing\n\
         x,-0.0,\"[1.5,null,\"\"NaN\"\"]\",\"[\"\"a|b\"\",\"\"\\\"\"\"\"]\",\n\
         \"\",,,\"[\"\"c\"\",\"\"\\\"\"\"\"]\",\n\
         ,1e+300,[],\"[\"\"\"\",\"\"\\\"\"\"\"]\",\n"
            .replace("1e+300", &value_text(batch[0].column(1), 2).unwrap())
    );
    assert_eq!(
        text(Format::Ndjson, &batch).lines().next().unwrap(),
        r#"{"k":"x","v":-0.0,"top":[1.5,null,"NaN"],"words":["a|b","\""],"nothing":null}"#
    );
    assert_eq!(
        text(Format::Markdown, &batch).lines().take(4).collect::<Vec<_>>(),
        [
            "| k | v | top | words | nothing |",
            "| --- | ---: | --- | --- | --- |",
            r#"| x | -0.0 | [1.5,null,"NaN"] | ["a\|b","\\""] |  |"#,
            r#"|  |  |  | ["c","\\""] |  |"#,
        ]
    );
}

#[test]
fn one_column_of_nulls_and_strings_keeps_its_rows() {
    let strings = StringArray::from(vec![None, Some("a"), None, Some(""), None]);
    let batch = RecordBatch::try_from_iter_with_nullable([("only", Arc::new(strings) as ArrayRef, true)]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let source = open(file(&dir, Format::Csv, &[batch]), &OpenOptions::default()).unwrap();
    let text = |s: &str| Value::Str(s.into());
    assert_eq!(read(source.as_ref(), &[Type::Str])[0], [Value::Null, text("a"), Value::Null, text(""), Value::Null]);
}

#[test]
fn native_formats_keep_lists() {
    let dir = tempfile::tempdir().unwrap();
    let batch = small();
    let path = file(&dir, Format::Arrow, std::slice::from_ref(&batch));
    let mut reader = arrow_ipc::reader::FileReader::try_new(std::fs::File::open(path).unwrap(), None).unwrap();
    assert_eq!(format!("{:?}", reader.next().unwrap().unwrap()), format!("{batch:?}"));
    let path = file(&dir, Format::Parquet, std::slice::from_ref(&batch));
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(std::fs::File::open(path).unwrap(), 9);
    let found = reader.unwrap().next().unwrap().unwrap();
    for i in 0..4 {
        for row in 0..3 {
            assert_eq!(value_text(found.column(i), row).unwrap(), value_text(batch.column(i), row).unwrap());
        }
    }
    assert_eq!(bytes(Format::Parquet, std::slice::from_ref(&batch)), bytes(Format::Parquet, &[batch]));
}

#[test]
fn seconds_beyond_parquet_are_an_error() {
    let seconds = TimestampSecondArray::from(vec![i64::MAX]);
    let batch = RecordBatch::try_from_iter([("at", Arc::new(seconds) as ArrayRef)]).unwrap();
    let mut writer = writer(Format::Parquet, batch.schema(), Box::new(io::sink()), Path::new("x")).unwrap();
    assert!(writer.write(&batch).unwrap_err().to_string().contains("column 'at'"));
}

#[test]
fn what_the_engine_never_makes_is_refused() {
    let times: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("t", times)]).unwrap();
    let error = writer(Format::Csv, batch.schema(), Box::new(io::sink()), Path::new("x")).err().unwrap();
    assert!(error.to_string().contains("column 't'"), "{error}");
    assert!(value_text(batch.column(0), 0).is_err());
    assert_eq!(cell(&Decimal128Array::from(vec![Some(7)]), 0), Value::Wide(7));
}

/// A pipe whose reader has gone after some bytes.
struct Closed(usize);

impl Write for Closed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(bytes.len()) {
            Some(left) => {
                self.0 = left;
                Ok(bytes.len())
            }
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_told_as_one_by_every_format() {
    let batch = small();
    for format in Format::ALL {
        for room in [0, 10, 100] {
            let written = || {
                let mut writer = writer(format, batch.schema(), Box::new(Closed(room)), Path::new("standard output"))?;
                writer.write(&batch)?;
                writer.finish()
            };
            match written() {
                Err(Error::Io { source, path, .. }) => {
                    assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
                    assert_eq!(path, Path::new("standard output"));
                }
                other => panic!("{format}, room for {room}: {other:?}"),
            }
        }
    }
}
