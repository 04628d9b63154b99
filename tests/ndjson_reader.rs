//! Every promise of the NDJSON reader's documentation with values, and the same rows as CSV has.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tidemill::column::{Chunk, Dictionary, FieldType, Type, Value};
use tidemill::input::{CsvOptions, CsvSource, NdjsonSource, Read, Request, Source, read_in_order};
use tidemill::{Error, Result};

/// A file with a text in it; it lives as long as this.
struct Text {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn file(bytes: impl AsRef<[u8]>) -> Text {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.ndjson");
    std::fs::write(&path, bytes).unwrap();
    Text { _dir: dir, path }
}

fn schema(text: &str) -> Vec<(String, Type)> {
    let columns = text.split_whitespace().map(|c| c.split_once(':').unwrap());
    columns.map(|(name, ty)| (name.into(), ty.parse().unwrap())).collect()
}

fn open(text: &Text, columns: &str) -> Arc<dyn Source> {
    NdjsonSource::open(&text.path, &schema(columns)).unwrap()
}

/// All columns that can be read.
fn request(source: &dyn Source) -> Request {
    let known = |(i, f): (usize, &tidemill::column::Field)| match &f.ty {
        FieldType::Known(ty) => Some((i, ty.clone())),
        FieldType::Unsupported(_) => None,
    };
    let (columns, types): (Vec<usize>, Vec<Type>) = source.schema().fields.iter().enumerate().filter_map(known).unzip();
    Request {
        columns,
        dictionaries: types.iter().map(|t| (*t == Type::Str).then(Dictionary::new)).collect(),
        types,
        chunk_bytes: 1 << 20,
        chunk_rows: usize::MAX,
        threads: 2,
        tolerant: false,
    }
}

fn read(source: &dyn Source, request: &Request) -> Result<Vec<Read>> {
    read_in_order(source, request)?.collect()
}

/// A row's values as text; null is `~`.
fn row(chunk: &Chunk, row: usize) -> Vec<String> {
    let cell = |c: &tidemill::column::Column| match c.value(row) {
        Value::Null => "~".to_owned(),
        value => value.text(&c.ty),
    };
    chunk.columns.iter().map(cell).collect()
}

fn rows_of(reads: &[Read]) -> Vec<Vec<String>> {
    reads.iter().flat_map(|read| (0..read.chunk.rows).map(|i| row(&read.chunk, i))).collect()
}

fn rows(text: &str, columns: &str) -> Vec<Vec<String>> {
    let source = open(&file(text), columns);
    rows_of(&read(&*source, &request(&*source)).unwrap())
}

fn failure(text: impl AsRef<[u8]>, columns: &str) -> Error {
    let source = open(&file(text), columns);
    read(&*source, &request(&*source)).err().unwrap()
}

#[test]
fn objects_in_objects_are_columns_and_what_is_missing_is_null() {
    let text = "{\"a\":1,\"b\":{\"c\":\"x\",\"d\":{\"e\":true}}}\n\n{\"b\":{\"c\":\"NA\"}}\n{\"b\":null,\"a\":null}\n{\"b.c\":\"z\"}\r\n{}";
    let source = open(&file(text), "");
    let names: Vec<_> = source.schema().fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["a", "b.c", "b.d.e"]);
    assert_eq!(
        rows(text, ""),
        [["1", "x", "true"], ["~", "NA", "~"], ["~", "~", "~"], ["~", "z", "~"], ["~", "~", "~"]]
    );
}

#[test]
fn values_are_exact_and_strings_are_what_they_say() {
    let text = concat!(
        "{\"i\":9223372036854775808,\"f\":1e2,\"s\":\"\",\"t\":\"2024-01-01T00:00:00Z\",\"m\":1}\n",
        "{\"i\":-9223372036854775809,\"f\":-0,\"s\":\"\\ud83d\\ude00\\\"\\n\",\"t\":\"2024-01-01\",\"m\":\"x\"}\n",
        "{\"i\":\"7\",\"f\":0.1,\"s\":\"\\\"\",\"t\":null,\"m\":null}",
    );
    assert_eq!(
        rows(text, "i:decimal(38,0)"),
        [
            ["9223372036854775808", "100.0", "", "2024-01-01T00:00:00", "1"],
            ["-9223372036854775809", "-0.0", "😀\"\n", "2024-01-01T00:00:00", "x"],
            ["7", "0.1", "\"", "~", "~"],
        ]
    );
    let text = "{\"a\":[1, 2],\"b\":{\"c\":1}}\n{\"a\":\"x\",\"d\":5}";
    // What only the schema names comes last.
    let want = [["[1, 2]", "1", "~", "{\"c\":1}"], ["x", "~", "5", "~"]];
    assert_eq!(rows(text, "a:string b:string d:int8"), want);
}

#[test]
fn a_column_that_cannot_be_read_is_an_error_only_if_it_is_wanted() {
    let source = open(&file("{\"a\":[1],\"b\":2}"), "");
    let mut wanted = request(&*source);
    assert_eq!(rows_of(&read(&*source, &wanted).unwrap()), [["2"]]);
    wanted = Request { columns: vec![0], types: vec![Type::Str], ..wanted };
    let error = read(&*source, &wanted).err().unwrap().to_string();
    assert!(
        error.contains("column 'a' of ") && error.contains("a JSON array") && error.contains("--schema 'a:string'")
    );
}

#[test]
fn what_is_wrong_is_placed_by_line_and_byte() {
    for (text, columns, line, column, message) in [
        ("{\"a\":1}\n{\"a\":2\n", "", 2, None, "expected ',' or '}', at byte 7 of the line: found '{\"a\":2'"),
        ("{\"a\":1}\n\n  {\"a\":1,\"a\":2}\n", "", 3, Some("a"), "a second value, at byte 14 of the line"),
        ("{\"a\":1} {\"a\":2}\n", "", 1, None, "text after the object, at byte 9 of the line"),
        ("{\"a\":1}\n3\n", "", 2, None, "the line is JSON, but no object"),
        ("{\"a\":1}\n{\"a\":\"\"}\n", "a:int64", 2, Some("a"), "an empty string is no value"),
        ("{\"a\":300}\n", "a:uint8", 1, Some("a"), "out of range for uint8 (0 to 255): found '300'"),
        (
            "{\"a\":{\"b\":1}}\n{\"a\":2}\n",
            "a.b:int64",
            2,
            Some("a.b"),
            "the object it stands in is another value here",
        ),
        ("{\"b\":NaN}\n", "a:int64", 1, None, "JSON has no such number"),
        ("{\"a\":\"\\ud800\"}\n", "a:string", 1, None, "half a surrogate pair"),
    ] {
        let error = failure(text, columns);
        let place = error.place().unwrap();
        assert_eq!((place.line, place.column.as_deref()), (Some(line), column), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    let error = failure(b"{\"a\":1}\n{\"b\":\"\xff\"}\n", "");
    assert!(error.to_string().contains("t.ndjson:2: not valid UTF-8, at byte 7 of the line"), "{error}");
    let long = format!("{{\"a\":\"{}\",\"b\":x}}", "y".repeat(500));
    let error = failure(long, "").to_string();
    assert!(error.contains("found '…yyyy") && error.contains("\"b\":x}'"), "{error}");
}

#[test]
fn a_misfit_names_the_type_that_would_do_and_widening_helps() {
    let sample = "{\"a\":1}\n".repeat(20_000);
    for (value, want, shown) in [
        ("1.5", Type::Float64, "1.5"),
        ("\"x\"", Type::Str, "x"),
        ("true", Type::Str, "true"),
        ("{\"k\":1}", Type::Str, "{\"k\":1}"),
        ("18446744073709551616", Type::Decimal { precision: 38, scale: 0 }, "18446744073709551616"),
    ] {
        let text = file(format!("{sample}{{\"a\":{value}}}\n"));
        let source = open(&text, "");
        let error = read(&*source, &request(&*source)).err().unwrap();
        let Error::Misfit { place, found, inferred, wider } = &error else { panic!("{error}") };
        assert_eq!((place.line, found.as_str(), inferred, wider), (Some(20_001), shown, &Type::Int64, &want));
        let wide = source.widened("a", wider).unwrap();
        assert_eq!(rows_of(&read(&*wide, &request(&*wide)).unwrap())[20_000], [shown]);
    }
}

#[test]
fn a_tolerant_scan_sets_bad_rows_aside_and_keeps_the_others_aligned() {
    let text = concat!(
        "{\"a\":1,\"b\":\"x\"}\n",
        "{\"a\":\"bad\",\"b\":\"y\"}\n",
        "not json\n",
        "{\"a\":2,\"b\":\"\\u0041\"}\n",
        "{\"a\":3,\"a\":4}\n",
        "\n",
        "{\"a\":5,\"b\":{\"c\":1}}\n",
    );
    let source = open(&file(text), "a:int64 b:string");
    for (bytes, batch_rows) in [(1, usize::MAX), (40, 2), (1 << 20, usize::MAX), (1 << 20, 1)] {
        let request = Request {
            tolerant: true,
            chunk_bytes: bytes,
            chunk_rows: batch_rows,
            columns: vec![0, 1],
            ..request(&*source)
        };
        let types = vec![Type::Int64, Type::Str];
        let dictionaries = vec![None, Some(Dictionary::new())];
        let reads = read(&*source, &Request { types, dictionaries, ..request }).unwrap();
        assert_eq!(rows_of(&reads), [["1", "x"], ["2", "A"], ["5", "{\"c\":1}"]]);
        let rejects: Vec<_> = reads.iter().flat_map(|r| &r.rejects).collect();
        let told: Vec<_> =
            rejects.iter().map(|r| (r.place.line, r.error_type, r.column_index, r.raw.as_str())).collect();
        assert_eq!(
            told,
            [
                (Some(2), "cast", Some(1), "{\"a\":\"bad\",\"b\":\"y\"}"),
                (Some(3), "json", None, "not json"),
                (Some(5), "duplicate_key", Some(1), "{\"a\":3,\"a\":4}"),
            ]
        );
        assert_eq!(rejects[0].message, "'bad': not an integer (int64)");
        let lines: Vec<_> =
            reads.iter().flat_map(|r| (0..r.chunk.rows).map(|i| r.chunk.origin.place(i).line)).collect();
        assert_eq!(lines, [Some(1), Some(4), Some(7)]);
    }
}

#[test]
fn a_line_of_many_megabytes() {
    let huge = "z".repeat(40 << 20);
    let text = format!("{{\"a\":1,\"b\":\"{huge}\"}}\n{{\"a\":2,\"b\":\"{huge}\\n\"}}\n{{\"a\":3}}\n");
    let source = open(&file(text), "");
    let got = rows_of(&read(&*source, &request(&*source)).unwrap());
    assert_eq!(
        got.iter().map(|row| (row[0].as_str(), row[1].len())).collect::<Vec<_>>(),
        [("1", huge.len()), ("2", huge.len() + 1), ("3", 1),]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn rows_are_those_of_csv_at_every_chunk_size(
        table in proptest::collection::vec(
            (proptest::option::of(-1000i64..1000), proptest::option::of("[a-zé\"\\\\\n ,{}:]{0,12}"), any::<f64>()),
            1..60,
        ),
        bytes in 1usize..600,
        chunk_rows in 1usize..9,
    ) {
        let (mut csv, mut json) = ("i,s,f\n".to_owned(), String::new());
        for (i, s, f) in &table {
            let f = if f.is_finite() { *f } else { 0.5 };
            let int = i.map_or(String::new(), |i| i.to_string());
            let text = s.as_ref().map_or(String::new(), |s| format!("\"{}\"", s.replace('"', "\"\"")));
            csv += &format!("{int},{text},{f:?}\n");
            json += &format!("{}\n", serde_json::json!({ "f": f, "s": s, "i": i }));
        }
        let columns = "i:int64 s:string f:float64";
        let (csv, json) = (file(csv), file(json));
        let options = CsvOptions { schema: schema(columns), ..CsvOptions::default() };
        let want = CsvSource::open(&csv.path, &options).unwrap();
        let want = rows_of(&read(&*want, &request(&*want)).unwrap());
        let source = open(&json, columns);
        // The columns of NDJSON stand in the order of its keys.
        let by_name = |name: &str| source.schema().fields.iter().position(|f| f.name == name).unwrap();
        let order = ["i", "s", "f"].map(by_name);
        let request = Request {
            columns: order.to_vec(),
            types: vec![Type::Int64, Type::Str, Type::Float64],
            dictionaries: vec![None, Some(Dictionary::new()), None],
            chunk_bytes: bytes,
            chunk_rows,
            threads: 2,
            tolerant: false,
        };
        prop_assert_eq!(rows_of(&read(&*source, &request).unwrap()), want);
    }
}
