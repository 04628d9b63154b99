//! One table in every format, in every way of writing it, read at odd chunk sizes by one thread and by three: the same
//! bytes come out as from the oracle, which never saw a file.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use support::script::clause;
use support::{cpu, difference, finish, gpus, input};
use tidemill::backend::oracle::{self, Table};
use tidemill::column::{Type, Unit, Value};
use tidemill::input::{CsvOptions, MultiSource, OpenOptions, Source, open};
use tidemill::{Input, Job};

const ROWS: usize = 500;

/// Every type; strings that are hard to write down.
fn table() -> Table {
    let strings = ["", "a", "b,c", "NA", "null", "x\ny", "say \"so\"", "\r\n", " padded ", "é", "1", "tab\there"];
    let columns = vec![
        ("b", Type::Bool),
        ("i8", Type::Int8),
        ("i16", Type::Int16),
        ("i32", Type::Int32),
        ("i64", Type::Int64),
        ("u8", Type::UInt8),
        ("u16", Type::UInt16),
        ("u32", Type::UInt32),
        ("u64", Type::UInt64),
        ("f32", Type::Float32),
        ("f64", Type::Float64),
        ("dec", Type::Decimal { precision: 20, scale: 3 }),
        ("day", Type::Date),
        ("secs", Type::Timestamp(Unit::Second)),
        ("nanos", Type::Timestamp(Unit::Nano)),
        ("s", Type::Str),
        ("t", Type::Str),
    ];
    let value = |row: usize, column: usize, ty: &Type| -> Value {
        let mixed = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(column as u32 * 5);
        if mixed % 11 == 3 {
            return Value::Null;
        }
        let int = |low: i64, high: i64| {
            let span = (i128::from(high) - i128::from(low) + 1) as u128;
            Value::Int((i128::from(low) + (u128::from(mixed.wrapping_mul(mixed | 1)) % span) as i128) as i64)
        };
        match ty {
            Type::Bool => Value::Bool(mixed & 64 == 0),
            Type::Int8 => int(-128, 127),
            Type::Int16 => int(-32768, 32767),
            Type::Int32 => int(i32::MIN.into(), i32::MAX.into()),
            Type::UInt8 => int(0, 255),
            Type::UInt16 => int(0, 65535),
            Type::UInt32 => int(0, u32::MAX.into()),
            Type::UInt64 => Value::Wide(mixed.into()),
            Type::Float32 => Value::Float(f32::from_bits(mixed as u32 & 0xbfff_ffff).into()),
            Type::Float64 => match row % 9 {
                0 => Value::Float(f64::NAN),
                1 => Value::Float(f64::NEG_INFINITY),
                2 => Value::Float(-0.0),
                3 => Value::Float(f64::from_bits(mixed & 0xff)),
                _ => Value::Float(f64::from_bits(mixed & 0xbfff_ffff_ffff_ffff)),
            },
            Type::Decimal { .. } => Value::Wide(i128::from(mixed as i64)),
            Type::Date => int(-719_162, 2_932_896),
            Type::Timestamp(Unit::Second) => int(-62_135_596_800, 253_402_300_799),
            Type::Str if column % 2 == 1 => Value::Str(strings[(mixed % strings.len() as u64) as usize].into()),
            Type::Str => Value::Str(format!("id{:03}", mixed % 300).into()),
            _ => int(i64::MIN, i64::MAX),
        }
    };
    Table {
        rows: (0..ROWS).map(|r| columns.iter().enumerate().map(|(c, (_, ty))| value(r, c, ty)).collect()).collect(),
        columns: columns.into_iter().map(|(n, t)| (n.to_owned(), t)).collect(),
    }
}

fn jobs() -> Vec<Job> {
    let job = |clauses: &[(&str, &str)]| {
        clauses.iter().fold(Job::new(), |job, (word, rest)| clause(job, word, rest).unwrap_or_else(|e| panic!("{e}")))
    };
    vec![
        // Every column there is.
        job(&[
            ("by", "s"),
            ("agg", "count()"),
            ("agg", "bool_or(b)"),
            ("agg", "sum(i8)"),
            ("agg", "min(i16)"),
            ("agg", "sum(i32)"),
            ("agg", "max(i64)"),
            ("agg", "sum(u8)"),
            ("agg", "mean(u16)"),
            ("agg", "median(u32)"),
            ("agg", "max(u64)"),
            ("agg", "sum(f32)"),
            ("agg", "sum(f64)"),
            ("agg", "var_pop(f32)"),
            ("agg", "sum(dec)"),
            ("agg", "min(day)"),
            ("agg", "max(secs)"),
            ("agg", "max(nanos)"),
            ("agg", "count_distinct(t)"),
            ("agg", "top_k(t, 2)"),
        ]),
        job(&[("by", "t, b"), ("agg", "sum(f64)"), ("agg", "min(s)")]),
        job(&[("where", "f64 > 0 and s like '%a%'"), ("agg", "sum(f64)"), ("agg", "count(dec)")]),
        job(&[("by", "day, u64"), ("agg", "corr(f32, i32)"), ("order", "day desc"), ("limit", "40")]),
        job(&[("agg", "count()")]),
    ]
}

/// RFC 4180 by the letter: strings in quotes, null is nothing between delimiters.
fn csv(table: &Table, delimiter: char, line_end: &str, end: bool) -> String {
    let mut out = String::new();
    let names: Vec<&str> = table.columns.iter().map(|c| c.0.as_str()).collect();
    out += &names.join(&delimiter.to_string());
    out += line_end;
    for row in &table.rows {
        let cell = |(value, (_, ty)): (&Value, &(String, Type))| match value {
            Value::Str(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            value => value.text(ty),
        };
        let cells: Vec<String> = row.iter().zip(&table.columns).map(cell).collect();
        out += &cells.join(&delimiter.to_string());
        out += line_end;
    }
    if !end {
        out.truncate(out.len() - line_end.len());
    }
    out
}

/// An object a line: nulls are left out by turns, keys come in turns, strings have escapes by turns.
fn ndjson(table: &Table, line_end: &str) -> String {
    let mut out = String::new();
    for (i, row) in table.rows.iter().enumerate() {
        let mut members = Vec::new();
        for (at, (value, (name, ty))) in row.iter().zip(&table.columns).enumerate() {
            let text = |text: &str| match (i + at) % 3 {
                0 => serde_json::to_string(text).unwrap(),
                1 => format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>()),
                _ => serde_json::to_string(text).unwrap().replace("a", "\\u0061"),
            };
            let json = match value {
                Value::Null if (i + at) % 2 == 0 => continue,
                Value::Null => "null".into(),
                Value::Bool(_) | Value::Int(_) | Value::Wide(_) if ty.is_numeric() || *ty == Type::Bool => {
                    value.text(ty)
                }
                Value::Float(float) if float.is_finite() => value.text(ty),
                Value::Str(string) => text(string.as_ref()),
                value => text(&value.text(ty)),
            };
            members.push(format!("{}:{}{json}", text(name), " ".repeat(i % 3)));
        }
        let turn = i % (members.len() + 1);
        members.rotate_left(turn);
        out += &format!("{{{}}}{line_end}", members.join(if i % 2 == 0 { "," } else { " ,\t" }));
    }
    out
}

/// The table's rows as batches of at most `rows`; with `dictionary`, strings as Arrow dictionaries.
fn batches(table: &Table, rows: usize, dictionary: bool) -> Vec<RecordBatch> {
    let mut out = Vec::new();
    for part in table.rows.chunks(rows.max(1)) {
        let fields = table.columns.iter().map(|(name, ty)| {
            let plain = ty.to_arrow();
            let as_dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            Field::new(name, if dictionary && *ty == Type::Str { as_dictionary } else { plain }, true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let arrays = table.columns.iter().enumerate().map(|(i, (_, ty))| -> ArrayRef {
            let values: Vec<Value> = part.iter().map(|row| row[i].clone()).collect();
            let column = tidemill::column::Column::from_values(ty, &values, None).unwrap().to_arrow().unwrap();
            if dictionary && *ty == Type::Str {
                let coded: DictionaryArray<Int32Type> = column.as_string::<i32>().iter().collect();
                Arc::new(coded)
            } else {
                column
            }
        });
        out.push(RecordBatch::try_new(schema, arrays.collect()).unwrap());
    }
    out
}

fn parquet(path: &Path, batches: &[RecordBatch], group: usize, dictionary: bool, compression: Compression) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_dictionary_enabled(dictionary)
        .set_data_page_row_count_limit(13)
        .set_write_batch_size(5)
        .set_compression(compression)
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.close().unwrap();
}

fn arrow(path: &Path, batches: &[RecordBatch]) {
    let file = std::fs::File::create(path).unwrap();
    // A file cannot replace a dictionary, and each batch here brings its own: with dictionaries there is one batch.
    let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &batches[0].schema()).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.finish().unwrap();
}

fn options(table: &Table) -> OpenOptions {
    CsvOptions { schema: table.columns.clone(), ..CsvOptions::default() }.into()
}

/// Every way of writing the table, by name.
fn sources(table: &Table, dir: &Path) -> Vec<(String, Arc<dyn Source>)> {
    let mut all: Vec<(String, Arc<dyn Source>)> = Vec::new();
    let mut add = |name: &str, path: &PathBuf| {
        all.push((name.to_owned(), open(path, &options(table)).unwrap_or_else(|e| panic!("{name}: {e}"))));
    };
    for (name, delimiter, line_end, end) in [
        ("csv", ',', "\n", true),
        ("csv, CRLF", ',', "\r\n", true),
        ("tsv", '\t', "\n", true),
        ("csv, cut", ';', "\n", false),
    ] {
        let path = dir.join(format!("{}.csv", name.replace(", ", "_")));
        std::fs::write(&path, csv(table, delimiter, line_end, end)).unwrap();
        add(name, &path);
    }
    for (name, line_end) in [("ndjson", "\n"), ("ndjson, CRLF", "\r\n \r\n")] {
        let path = dir.join(format!("{}.ndjson", name.replace(", ", "_")));
        std::fs::write(&path, ndjson(table, line_end)).unwrap();
        add(name, &path);
    }
    for (name, group, dictionary, compression) in [
        ("parquet", 1 << 20, true, Compression::SNAPPY),
        ("parquet, small groups", 37, true, Compression::UNCOMPRESSED),
        ("parquet, plain", 120, false, Compression::LZ4_RAW),
    ] {
        let path = dir.join(format!("{}.parquet", name.replace([',', ' '], "_")));
        parquet(&path, &batches(table, ROWS, false), group, dictionary, compression);
        add(name, &path);
    }
    let path = dir.join("coded.parquet");
    parquet(&path, &batches(table, 90, true), 200, true, Compression::SNAPPY);
    add("parquet, Arrow dictionaries", &path);
    for (name, rows, dictionary) in
        [("arrow", ROWS, false), ("arrow, small batches", 41, false), ("arrow, dictionaries", ROWS, true)]
    {
        let path = dir.join(format!("{}.arrow", name.replace([',', ' '], "_")));
        arrow(&path, &batches(table, rows, dictionary));
        add(name, &path);
    }
    // The three formats, each with a part of the rows, as one input.
    let part =
        |range: std::ops::Range<usize>| Table { columns: table.columns.clone(), rows: table.rows[range].to_vec() };
    let paths = ["part.csv", "part.parquet", "part.arrow"].map(|n| dir.join(n));
    std::fs::write(&paths[0], csv(&part(0..100), ',', "\n", true)).unwrap();
    parquet(&paths[1], &batches(&part(100..350), 50, false), 60, true, Compression::SNAPPY);
    arrow(&paths[2], &batches(&part(350..ROWS), 77, false));
    let parts = paths.iter().map(|p| open(p, &options(table)).unwrap()).collect();
    all.push(("three files".into(), MultiSource::new(parts).unwrap()));
    all
}

#[test]
fn every_format_at_every_chunk_size_gives_the_same_bytes() {
    let table = table();
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let expected: Vec<_> = jobs().into_iter().map(|job| (oracle::run(&job, &table, false), job)).collect();
    let memory = ("memory".to_owned(), Arc::clone(input(&table, &[1, 60, 9]).source()));
    let sources: Vec<_> = sources(&table, dir.path()).into_iter().chain([memory]).collect();
    let gpus = gpus();
    for (name, source) in &sources {
        let input = Input::from_source(Arc::clone(source));
        for chunk in [1, 7, 64, 4096, 1 << 24] {
            for target in [cpu(1), cpu(3)] {
                for (expected, job) in &expected {
                    let got = target.engine.clone().chunk_bytes(chunk).run(job, &input);
                    if let Some(text) = difference(expected, &got) {
                        wrong.push(format!("{name}, chunks of {chunk} bytes, {}: {text}", target.name));
                    }
                }
            }
        }
        for target in &gpus {
            for (expected, job) in expected.iter().take(2) {
                if let Some(text) = target.difference(&target.engine.clone().chunk_bytes(4096), job, &input, expected) {
                    wrong.push(format!("{name}, {}: {text}", target.name));
                }
            }
        }
    }
    finish(wrong);
}

#[test]
fn types_that_are_inferred_are_the_declared_ones() {
    let columns = ["i64", "f64", "day", "t"];
    let whole = table();
    let picks: Vec<usize> = columns.iter().map(|c| whole.columns.iter().position(|w| w.0 == *c).unwrap()).collect();
    let table = Table {
        columns: picks.iter().map(|&i| whole.columns[i].clone()).collect(),
        rows: whole.rows.iter().map(|row| picks.iter().map(|&i| row[i].clone()).collect()).collect(),
    };
    let job = ["sum(f64)", "min(i64)", "max(day)"]
        .iter()
        .fold(clause(Job::new(), "by", "t").unwrap(), |job, agg| clause(job, "agg", agg).unwrap());
    let expected = oracle::run(&job, &table, false);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, csv(&table, ',', "\n", true)).unwrap();
    let mut paths = vec![path];
    paths.push(dir.path().join("t.ndjson"));
    std::fs::write(&paths[1], ndjson(&table, "\n")).unwrap();
    let mut wrong = Vec::new();
    for path in paths {
        let input = Input::from_source(open(&path, &OpenOptions::default()).unwrap());
        for chunk in [1, 100, 1 << 20] {
            let got = cpu(3).engine.chunk_bytes(chunk).run(&job, &input);
            wrong.extend(difference(&expected, &got));
        }
    }
    finish(wrong);
}
