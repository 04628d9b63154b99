//! The CSV reader against a plain parser, at every chunk size, and every promise of its documentation with values.
//!
//! Longer than a screen because it is a list: the plain parser and what is compared with it, then cases by promise (dialect
//! and schema; widening and errors; size). Each case stands alone.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tidemill::column::{Chunk, Dictionary, FieldType, Type, Unit, Value};
use tidemill::input::{CsvOptions, CsvSource, Read, Reject, Request, Source, read_in_order};
use tidemill::{Error, Place, Result};

/// A file with a text in it; it lives as long as this.
struct Csv {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn file(bytes: impl AsRef<[u8]>) -> Csv {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, bytes).unwrap();
    Csv { _dir: dir, path }
}

impl Csv {
    fn open(&self, options: &CsvOptions) -> Arc<dyn Source> {
        CsvSource::open(&self.path, options).unwrap()
    }
}

fn schema(text: &str) -> CsvOptions {
    let columns = text.split_whitespace().map(|c| c.split_once(':').unwrap());
    let schema = columns.map(|(name, ty)| (name.into(), ty.parse().unwrap())).collect();
    CsvOptions { schema, ..CsvOptions::default() }
}

fn known(source: &dyn Source, column: usize) -> Type {
    match &source.schema().fields[column].ty {
        FieldType::Known(ty) => ty.clone(),
        FieldType::Unsupported(why) => panic!("{why}"),
    }
}

fn request(source: &dyn Source, columns: &[usize]) -> Request {
    let types: Vec<Type> = columns.iter().map(|&c| known(source, c)).collect();
    Request {
        columns: columns.to_vec(),
        dictionaries: types.iter().map(|t| (*t == Type::Str).then(Dictionary::new)).collect(),
        types,
        chunk_bytes: 1 << 20,
        chunk_rows: usize::MAX,
        threads: 2,
        tolerant: false,
    }
}

fn read_all(source: &dyn Source, request: &Request) -> Result<Vec<Read>> {
    let out = read_in_order(source, request)?.collect::<Result<Vec<_>>>()?;
    let bytes: u64 = out.iter().map(|read| read.bytes).sum();
    assert!(bytes <= source.bytes().unwrap());
    Ok(out)
}

/// A row's values as text; null is `~`.
fn row(chunk: &Chunk, row: usize) -> Vec<String> {
    let cell = |c: &tidemill::column::Column| match c.value(row) {
        Value::Null => "~".to_owned(),
        value => value.text(&c.ty),
    };
    chunk.columns.iter().map(cell).collect()
}

fn rows(source: &dyn Source) -> Vec<Vec<String>> {
    let all: Vec<usize> = (0..source.schema().fields.len()).collect();
    rows_of(&read_all(source, &request(source, &all)).unwrap())
}

fn rows_of(reads: &[Read]) -> Vec<Vec<String>> {
    reads.iter().flat_map(|r| (0..r.chunk.rows).map(|i| row(&r.chunk, i))).collect()
}

fn text_rows(text: &str, options: &CsvOptions) -> Vec<Vec<String>> {
    rows(&*file(text).open(options))
}

fn failure(text: impl AsRef<[u8]>, options: &CsvOptions) -> Error {
    let csv = file(text);
    let source = match CsvSource::open(&csv.path, options) {
        Ok(source) => source,
        Err(error) => return error,
    };
    let all: Vec<usize> = (0..source.schema().fields.len()).collect();
    match read_all(&*source, &request(&*source, &all)) {
        Err(error) => error,
        Ok(reads) => panic!("no error: {:?}", rows_of(&reads)),
    }
}

fn names(source: &dyn Source) -> Vec<&str> {
    source.schema().fields.iter().map(|f| f.name.as_str()).collect()
}

// ------------------------------------------------------------------------------------------------ against a plain parser

/// One record: its fields with whether they are quoted, its first byte, its first line; or a broken record.
#[derive(Debug, Clone, PartialEq)]
struct Record {
    fields: Vec<(Vec<u8>, bool)>,
    broken: bool,
    start: usize,
    line: u64,
}

/// CSV as a machine of four states that looks at every byte.
fn reference(data: &[u8], delimiter: u8) -> Vec<Record> {
    #[derive(PartialEq)]
    enum At {
        Start,
        Plain,
        Quoted,
        Closed,
    }
    let mut out: Vec<Record> = vec![];
    let fresh = |start, line| Record { fields: vec![(vec![], false)], broken: false, start, line };
    let mut record = fresh(0, 1);
    let mut at = At::Start;
    let mut line = 1;
    let mut i = 0;
    while i < data.len() {
        let byte = data[i];
        let field = record.fields.last_mut().unwrap();
        line += u64::from(byte == b'\n');
        let ends = byte == b'\n' || byte == b'\r' && matches!(data.get(i + 1), Some(b'\n') | None);
        match at {
            At::Quoted if byte == b'"' && data.get(i + 1) == Some(&b'"') => {
                field.0.push(b'"');
                i += 1;
            }
            At::Quoted if byte == b'"' => at = At::Closed,
            At::Quoted => field.0.push(byte),
            _ if ends => {
                if byte == b'\r' && i + 1 < data.len() {
                    i += 1;
                    line += 1;
                }
                out.push(std::mem::replace(&mut record, fresh(i + 1, line)));
                at = At::Start;
            }
            _ if byte == delimiter => {
                record.fields.push((vec![], false));
                at = At::Start;
            }
            At::Start if byte == b'"' => {
                field.1 = true;
                at = At::Quoted;
            }
            At::Closed => {
                record.broken = true;
                at = At::Plain;
                field.0.push(byte);
            }
            _ => {
                field.0.push(byte);
                at = At::Plain;
            }
        }
        i += 1;
    }
    record.broken |= at == At::Quoted;
    if record.start < data.len() {
        out.push(record);
    }
    out
}

/// Rows, their places, and the start and fault of every bad record.
type Expected = (Vec<Vec<String>>, Vec<Place>, Vec<(usize, &'static str)>);

/// What the reader should give of a file of `columns` string columns without a header.
fn expected(data: &[u8], columns: usize, delimiter: u8) -> Expected {
    let nulls = CsvOptions::default().null_values;
    let (mut rows, mut places, mut bad) = (vec![], vec![], vec![]);
    for record in reference(data, delimiter) {
        let blank = record.fields == [(vec![], false)];
        if blank && columns > 1 {
            continue;
        }
        if record.broken || record.fields.len() != columns {
            bad.push((record.start, if record.broken { "quote" } else { "columns" }));
            continue;
        }
        let cell = |(text, quoted): &(Vec<u8>, bool)| {
            let text = String::from_utf8(text.clone()).unwrap();
            if !quoted && nulls.contains(&text) { "~".into() } else { text }
        };
        rows.push(record.fields.iter().map(cell).collect());
        places.push(Place { line: Some(record.line), byte: Some(record.start as u64), ..Place::default() });
    }
    (rows, places, bad)
}

fn options_for(columns: usize, delimiter: u8) -> CsvOptions {
    let names: Vec<String> = (0..columns).map(|i| format!("s{i}:string")).collect();
    CsvOptions { delimiter: Some(delimiter), header: Some(false), ..schema(&names.join(" ")) }
}

fn check(text: &str, delimiter: u8, sizes: &[(usize, usize)]) {
    let Some(first) = reference(text.as_bytes(), delimiter).into_iter().find(|r| r.fields != [(vec![], false)]) else {
        return;
    };
    let columns = first.fields.len();
    let csv = file(text);
    let source = match CsvSource::open(&csv.path, &options_for(columns, delimiter)) {
        Ok(source) => source,
        // An unclosed quote in the first record, or lines that end with CR alone: tested below.
        Err(Error::Data { .. }) if first.broken => return,
        Err(Error::Format { .. }) if text.contains('\r') && !text.contains('\n') => return,
        Err(error) => panic!("{error}"),
    };
    let (want, places, bad) = expected(text.as_bytes(), columns, delimiter);
    let all: Vec<usize> = (0..columns).collect();
    for &(chunk_bytes, chunk_rows) in sizes {
        let request = Request { chunk_bytes, chunk_rows, tolerant: true, ..request(&*source, &all) };
        let reads = read_all(&*source, &request).unwrap();
        assert_eq!(rows_of(&reads), want, "{text:?} by {chunk_bytes} bytes, {chunk_rows} rows");
        let got: Vec<Place> = reads
            .iter()
            .flat_map(|r| (0..r.chunk.rows).map(|i| r.chunk.origin.place(i)))
            .map(|p| Place { file: None, ..p })
            .collect();
        assert_eq!(got, places, "{text:?}");
        let rejects: Vec<&Reject> = reads.iter().flat_map(|r| &r.rejects).collect();
        let got: Vec<usize> = rejects.iter().map(|r| r.place.byte.unwrap() as usize).collect();
        assert_eq!(got, bad.iter().map(|b| b.0).collect::<Vec<_>>(), "{text:?}");
        for (reject, (_, kind)) in rejects.iter().zip(&bad) {
            assert!(reject.error_type.contains(kind), "{text:?}: {reject:?}");
        }
        for read in &reads {
            assert!(read.chunk.rows + read.rejects.len() > 0, "{text:?}: a chunk without a record");
            assert!(read.chunk.rows <= chunk_rows.max(1));
        }
        // One column alone, and none, see the same rows.
        for columns in [vec![], vec![columns - 1]] {
            let narrow = Request {
                types: columns.iter().map(|_| Type::Str).collect(),
                dictionaries: columns.iter().map(|_| Some(Dictionary::new())).collect(),
                columns,
                ..request.clone()
            };
            let narrow_rows = rows_of(&read_all(&*source, &narrow).unwrap());
            let want: Vec<Vec<String>> =
                want.iter().map(|r| narrow.columns.iter().map(|&c| r[c].clone()).collect()).collect();
            assert_eq!(narrow_rows, want);
        }
    }
}

const SIZES: [(usize, usize); 6] =
    [(1, usize::MAX), (7, usize::MAX), (64, usize::MAX), (1 << 20, usize::MAX), (1 << 20, 1), (1 << 20, 3)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_text_reads_as_the_plain_parser_reads_it(text in "[a\",;\n\r\té 0]{0,60}", delimiter in prop::sample::select(vec![b',', b';', b'\t'])) {
        check(&text, delimiter, &SIZES);
    }

    #[test]
    fn tables_read_as_the_plain_parser_reads_them(
        table in (1usize..5).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(cell(), n), 1..40)),
        crlf: bool,
        last: bool,
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text: String = table.iter().map(|r| r.join(",") + end).collect();
        if !last {
            text.truncate(text.len() - end.len());
        }
        check(&text, b',', &SIZES);
    }
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{1,3}",
        2 => "[0-9]{1,12}",
        1 => Just(String::new()),
        1 => Just("NA".to_owned()),
        3 => "[a,\n\r\"é]{0,6}".prop_map(|s| format!("\"{}\"", s.replace('"', "\"\""))),
        1 => "[a\"]{0,2}x{0,90}".prop_map(|s| format!("x{s}")),
    ]
}

#[test]
fn texts_that_once_were_or_may_be_trouble() {
    for text in [
        "a",
        "\n",
        "\r\n\r\n",
        "a\n\n\nb",
        "a\r",
        "a,b\r\nc,d\r",
        "\"\"",
        "\"\"\n\n\"\"",
        "\"a\"b\nc",
        "a\"b\nc\"d\n",
        "a,b\n\"x\ny\",\"\"\"\"\n",
        "\"a\nb\"\n\"c\r\n\"\r\n",
        "a\n\"b",
        "x,y\n1\n2,3,4\n5,6",
        "x,y\n\"1\"2,3\n4,5",
        "a,b\n\"\r\n\"x,\"\n\"\nc,d",
        ",\n,\n",
        ",,,\n\n,,,",
        "a\n\"\n",
    ] {
        check(text, b',', &SIZES);
    }
    let long = "x".repeat(300);
    check(&format!("{long},\"{long}\n{long}\"\n{long},{long}"), b',', &SIZES);
    check(&"\"a\",\"b\"\n".repeat(50_000), b',', &[(100_000, usize::MAX), (usize::MAX, 9_999)]);
    check(&"aaa,b\n".repeat(100_000), b',', &[(100_000, usize::MAX), (usize::MAX, 9_999)]);
}

// ------------------------------------------------------------------------------------------------ dialect and schema

#[test]
fn header_and_types_are_inferred() {
    let csv = file(
        "\u{feff}carrier, delay ,\"on,time\",day,at,x\r\nUA,2,true,2013-01-01,2013-01-01T05:06:07Z,1.5\r\nNA,,NA,NA,NA,\r\n",
    );
    let source = csv.open(&CsvOptions::default());
    assert_eq!(names(&*source), ["carrier", "delay", "on,time", "day", "at", "x"]);
    let types: Vec<String> = (0..6).map(|c| known(&*source, c).to_string()).collect();
    assert_eq!(types, ["string", "int64", "bool", "date", "timestamp(us)", "float64"]);
    assert!(source.schema().fields.iter().all(|f| f.inferred));
    assert_eq!(
        rows(&*source),
        [["UA", "2", "true", "2013-01-01", "2013-01-01T05:06:07", "1.5"], ["~", "~", "~", "~", "~", "~"]]
    );
    assert_eq!(source.name(), csv.path.display().to_string());
    assert_eq!(source.bytes(), Some(std::fs::metadata(&csv.path).unwrap().len()));
}

#[test]
fn a_file_of_values_alone_has_no_header() {
    let source = file("1,2.5\n3,4\n").open(&CsvOptions::default());
    assert_eq!(names(&*source), ["c1", "c2"]);
    assert_eq!(rows(&*source), [["1", "2.5"], ["3", "4.0"]]);
    let source = file("1,2\n3,4\n").open(&CsvOptions { header: Some(true), ..CsvOptions::default() });
    assert_eq!((names(&*source), rows(&*source)), (vec!["1", "2"], vec![vec!["3".to_owned(), "4".into()]]));
    let named = CsvOptions { header: Some(false), ..schema("a:int64 b:string") };
    let source = file("1,2\n").open(&named);
    assert_eq!((names(&*source), rows(&*source)), (vec!["a", "b"], vec![vec!["1".to_owned(), "2".into()]]));
    // A schema that names a field of the first record tells that it is a header.
    let source = file("2013,2014\n1,2\n").open(&schema("2014:float64"));
    assert_eq!((names(&*source), rows(&*source)), (vec!["2013", "2014"], vec![vec!["1".to_owned(), "2.0".into()]]));
}

#[test]
fn names_are_never_taken_for_one_another() {
    let source = file("x,,x,x_1,\" y \", z \n1,2,3,4,5,6\n").open(&CsvOptions::default());
    assert_eq!(names(&*source), ["x_2", "c2", "x_3", "x_1", " y ", "z"]);
}

#[test]
fn delimiters_are_inferred_or_told() {
    for (text, want) in [("a\tb\n1\t2,5\n", "2,5"), ("a;b\n1;2,5\n", "2,5"), ("a|b\nx|y\n", "y")] {
        assert_eq!(text_rows(text, &CsvOptions::default())[0][1], want);
    }
    let told = CsvOptions { delimiter: Some(b':'), ..CsvOptions::default() };
    assert_eq!(text_rows("a:b\nx,:y\n", &told), [["x,", "y"]]);
    let nul = CsvOptions { delimiter: Some(0), ..CsvOptions::default() };
    assert_eq!(text_rows("a\0b\nx\0y", &nul), [["x", "y"]]);
    for bad in [b'"', b'\n', b'\r', 0xe9] {
        let options = CsvOptions { delimiter: Some(bad), ..CsvOptions::default() };
        assert!(matches!(failure("a\n", &options), Error::Usage { .. }));
    }
}

#[test]
fn blank_lines_are_nothing_but_in_one_column() {
    assert_eq!(text_rows("\n\na,b\n\n1,2\r\n\r\n\n", &CsvOptions::default()), [["1", "2"]]);
    assert_eq!(text_rows("\na\n1\n\n2\n", &CsvOptions::default()), [["1"], ["~"], ["2"]]);
    let headless = CsvOptions { header: Some(false), ..CsvOptions::default() };
    assert_eq!(text_rows("\n1\n", &headless), [["~"], ["1"]]);
}

#[test]
fn files_without_rows() {
    let source = file("a,b\n").open(&CsvOptions::default());
    assert_eq!((names(&*source), rows(&*source)), (vec!["a", "b"], vec![]));
    assert_eq!(known(&*source, 0), Type::Str);
    assert!(source.unseen(0));
    for text in ["", "\u{feff}", "\n\r\n"] {
        let error = failure(text, &CsvOptions::default());
        assert!(error.to_string().contains("the file is empty"), "{error}");
        let source = file(text).open(&schema("a:int64"));
        assert_eq!((names(&*source), rows(&*source)), (vec!["a"], vec![]));
    }
}

#[test]
fn a_schema_that_does_not_fit_is_refused() {
    let error = failure("carrier,x\nUA,1\n", &schema("carier:string")).to_string();
    assert!(error.contains("'carier'") && error.contains("did you mean 'carrier'?"), "{error}");
    let error = failure("a,b\nUA,1\n", &schema("zzzzzzz:string")).to_string();
    assert!(error.contains("the columns are a, b"), "{error}");
    assert!(failure("a\n1\n", &schema("a:int8 a:int8")).to_string().contains("twice"));
}

#[test]
fn what_is_no_utf8_text_is_refused_with_the_remedy() {
    for (bytes, word) in [
        (&b"\xff\xfea\0\n\0"[..], "UTF-16"),
        (b"\xfe\xff\0a\0\n", "UTF-16"),
        (b"\x1f\x8b\x08rest", "gzip"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (b"a,b\r1,2\r3,4\r", "CR alone"),
    ] {
        let error = failure(bytes, &CsvOptions::default());
        assert!(matches!(&error, Error::Format { help: Some(_), .. }) && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn quotes_make_strings_of_null_texts_and_numbers_of_numbers() {
    let text = "s,n\nNA,NA\n\"NA\",\"NA\"\n\"\",\"\"\n\"x\",\"12\"\n";
    assert_eq!(text_rows(text, &CsvOptions::default()), [["~", "~"], ["NA", "~"], ["", "~"], ["x", "12"]]);
    let options = CsvOptions { null_values: vec!["-".into()], ..CsvOptions::default() };
    assert_eq!(text_rows("s,n\n-,-\nNA,1\n,2\n", &options), [["~", "~"], ["NA", "1"], ["", "2"]]);
}

// ------------------------------------------------------------------------------------------------ widening and errors

#[test]
fn a_misfit_names_the_type_that_would_do_and_widening_helps() {
    let text = format!("a,b\n{}1.5,2013-01-01\nx,2013-01-01 10:00\n", "1,2013-01-01\n".repeat(30_000));
    let csv = file(text);
    let mut source = csv.open(&CsvOptions::default());
    let mut seen = vec![];
    let rows = loop {
        match read_all(&*source, &request(&*source, &[1, 0])) {
            Ok(reads) => break rows_of(&reads),
            Err(Error::Misfit { place, found, inferred, wider }) => {
                let column = place.column.clone().unwrap();
                seen.push(format!("{}:{column} {found} {inferred} {wider}", place.line.unwrap()));
                source = source.widened(&column, &wider).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(
        seen,
        ["30002:a 1.5 int64 float64", "30003:a x float64 string", "30003:b 2013-01-01 10:00 date timestamp(us)"]
    );
    assert_eq!(rows.len(), 30_002);
    assert_eq!(rows[30_000], ["2013-01-01T00:00:00", "1.5"]);
    assert_eq!(rows[30_001], ["2013-01-01T10:00:00", "x"]);
    assert!(csv.open(&schema("a:int64")).widened("a", &Type::Str).is_none(), "a declared type stays");
    assert!(source.widened("zzz", &Type::Str).is_none());
}

#[test]
fn integers_beyond_int64_stay_exact() {
    let text = format!("a\n{}18446744073709551615\n", "1\n".repeat(20_000));
    let csv = file(text);
    let source = csv.open(&CsvOptions::default());
    let Err(Error::Misfit { wider, .. }) = read_all(&*source, &request(&*source, &[0])) else { panic!("no misfit") };
    assert_eq!(wider, Type::Decimal { precision: 38, scale: 0 });
    let source = source.widened("a", &wider).unwrap();
    assert_eq!(rows(&*source)[20_000], ["18446744073709551615"]);
}

#[test]
fn a_value_that_does_not_fit_its_declared_type_is_placed_exactly() {
    let text = "id,q\r\n1,7\r\n\r\n\"two\nlines\",300\r\n3,4\r\n";
    let error = failure(text, &schema("q:int8"));
    let Error::Data { place, message, found, help } = &error else { panic!("{error}") };
    assert_eq!((place.line, place.byte, place.column.as_deref()), (Some(4), Some(13), Some("q")));
    assert!(place.file.as_ref().is_some_and(|f| f.ends_with("t.csv")));
    assert_eq!(message, "out of range for int8 (-128 to 127)");
    assert_eq!(found.as_deref(), Some("300"));
    assert!(help.as_ref().is_some_and(|h| h.contains("--schema 'q:decimal(38,0)'")), "{help:?}");
    for (ty, text) in [
        ("int64", "9223372036854775808"),
        ("uint64", "-1"),
        ("decimal(5,2)", "1.001"),
        ("date", "2013-02-29"),
        ("timestamp(ms)", "2013-01-01T00:00:00.0001"),
        ("bool", "maybe"),
        ("float32", "1.0.0"),
    ] {
        let error = failure(format!("q\n{text}\n"), &schema(&format!("q:{ty}")));
        assert!(matches!(&error, Error::Data { found: Some(f), .. } if f == text), "{ty}: {error}");
    }
}

#[test]
fn the_first_bad_row_is_told_whatever_is_wrong_with_it() {
    let options = schema("a:int8 b:int8");
    for (text, line, column) in [
        ("a,b\n1,2\n1,x\n1\ny,1\n", 3, Some("b")),
        ("a,b\n1,2\n1\ny,1\n", 3, None),
        ("a,b\n1,2\ny,x\n1\n", 3, Some("a")),
    ] {
        let error = failure(text, &options);
        let place = error.place().unwrap();
        assert_eq!((place.line, place.column.as_deref()), (Some(line), column), "{error}");
    }
}

#[test]
fn records_with_a_wrong_number_of_fields() {
    let error = failure("a,b\n1,2\n3\n", &CsvOptions::default()).to_string();
    assert!(error.contains("t.csv:3: 1 fields found, 2 expected: found '3'"), "{error}");
    // Also if only the first column is wanted.
    let csv = file("a,b\n1,2\n3,4,5\n");
    let source = csv.open(&CsvOptions::default());
    let error = read_all(&*source, &request(&*source, &[0])).err().unwrap().to_string();
    assert!(error.contains("3 fields found, 2 expected"), "{error}");
}

#[test]
fn an_unclosed_quote_is_told_by_the_line_it_opens_on() {
    let text = "a,b\n1,2\n\"x\ny\",\"unclosed\n5,6\n";
    let error = failure(text, &CsvOptions::default());
    let Error::Data { place, message, .. } = &error else { panic!("{error}") };
    assert_eq!((place.line, place.byte), (Some(4), Some(8)));
    assert!(message.contains("nothing closes the quoted field"), "{message}");
    let error = failure("a,\"b\n1,2\n", &CsvOptions::default());
    assert_eq!(error.place().unwrap().line, Some(1), "{error}");
    let error = failure("a,b\n\"x\"y,1\n", &CsvOptions::default()).to_string();
    assert!(error.contains("t.csv:2: text after the closing quote"), "{error}");
}

#[test]
fn a_tolerant_scan_sets_bad_rows_aside_and_keeps_the_others_aligned() {
    let text = b"a,b,c\n1,x,2\nbad,x,2\n3,\xff\xfe,4\n5,y\n6,\"z\n\",7\n300,w,8\n9,\"v\"\"\",x\n10,u,11\n\"open,1,2\n";
    let csv = file(text);
    let source = csv.open(&schema("a:int8 b:string c:int16"));
    for chunk_bytes in [1, 7, 64, 1 << 20] {
        let request = Request { tolerant: true, chunk_bytes, ..request(&*source, &[2, 1, 0]) };
        let reads = read_all(&*source, &request).unwrap();
        assert_eq!(rows_of(&reads), [["2", "x", "1"], ["7", "z\n", "6"], ["11", "u", "10"]]);
        let rejects: Vec<&Reject> = reads.iter().flat_map(|r| &r.rejects).collect();
        let told: Vec<_> = rejects
            .iter()
            .map(|r| (r.place.line.unwrap(), r.place.byte.unwrap(), r.column_index, r.error_type, r.raw.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (3, 12, Some(1), "cast", "bad,x,2"),
                (4, 20, Some(2), "invalid_utf8", "3,\u{fffd}\u{fffd},4"),
                (5, 27, None, "missing_columns", "5,y"),
                (8, 40, Some(1), "cast", "300,w,8"),
                (9, 48, Some(3), "cast", "9,\"v\"\"\",x"),
                (11, 66, None, "unterminated_quote", "\"open,1,2\n"),
            ]
        );
        assert_eq!(rejects[0].place.column.as_deref(), Some("a"));
        assert_eq!(rejects[0].message, "'bad': not an integer (int8)");
        assert_eq!(rejects[2].message, "2 fields found, 3 expected");
        let mut places = reads.iter().flat_map(|r| (0..r.chunk.rows).map(move |i| (r, i)));
        let (read, i) = places.nth(1).unwrap();
        assert_eq!(read.chunk.origin.place(i).line, Some(6));
        assert_eq!(read.chunk.origin.raw(i).as_deref(), Some("6,\"z\n\",7"));
    }
}

#[test]
fn a_tolerant_scan_still_widens_numbers() {
    let text = format!("a\n{}x\n1.5\n", "1\n".repeat(20_000));
    let csv = file(text);
    let source = csv.open(&CsvOptions::default());
    let wanted = Request { tolerant: true, ..request(&*source, &[0]) };
    let Err(Error::Misfit { place, wider, .. }) = read_all(&*source, &wanted) else { panic!("no misfit") };
    assert_eq!((place.line, &wider), (Some(20_003), &Type::Float64));
    let source = source.widened("a", &wider).unwrap();
    let wanted = Request { tolerant: true, ..request(&*source, &[0]) };
    let reads = read_all(&*source, &wanted).unwrap();
    let rejects: Vec<_> = reads.iter().flat_map(|r| &r.rejects).map(|r| r.place.line).collect();
    assert_eq!((rows_of(&reads).len(), rejects), (20_001, vec![Some(20_002)]));
}

#[test]
fn a_column_is_read_as_the_type_asked_for() {
    let csv = file("a,d\n1,2013-01-01\nNA,1969-12-31\n");
    let source = csv.open(&CsvOptions::default());
    let types = vec![Type::Float64, Type::Timestamp(Unit::Milli)];
    let wanted = Request { types, ..request(&*source, &[0, 1]) };
    let reads = read_all(&*source, &wanted).unwrap();
    assert_eq!(rows_of(&reads), [["1.0", "2013-01-01T00:00:00"], ["~", "1969-12-31T00:00:00"]]);
    assert_eq!(reads[0].chunk.columns[0].ty, Type::Float64);
}

#[test]
fn chunks_share_one_dictionary() {
    let csv = file("a\nx\ny\nx\ny\nz\n");
    let source = csv.open(&CsvOptions::default());
    let wanted = Request { chunk_bytes: 1, ..request(&*source, &[0]) };
    let reads = read_all(&*source, &wanted).unwrap();
    assert_eq!(reads.len(), 5);
    assert_eq!(wanted.dictionaries[0].as_ref().unwrap().len(), 3);
    assert_eq!(rows_of(&reads).concat(), ["x", "y", "x", "y", "z"]);
}

// ------------------------------------------------------------------------------------------------ size

#[test]
fn a_field_of_a_hundred_megabytes() {
    let big = 100 << 20;
    let mut text = b"a,b\nx,1\n\"".to_vec();
    text.resize(text.len() + big, b'\n');
    text.extend_from_slice(b"\",2\ny,3\n");
    let csv = file(text);
    let source = csv.open(&CsvOptions { null_values: vec![], ..schema("a:string b:int64") });
    let wanted = Request { chunk_bytes: 1 << 16, ..request(&*source, &[1, 0]) };
    let reads = read_all(&*source, &wanted).unwrap();
    let last = &reads.last().unwrap().chunk;
    assert_eq!(row(last, last.rows - 1), ["3", "y"]);
    assert_eq!(last.origin.place(last.rows - 1).line, Some(4 + big as u64));
    let lengths: Vec<usize> = reads.iter().flat_map(|r| (0..r.chunk.rows).map(|i| row(&r.chunk, i)[1].len())).collect();
    assert_eq!(lengths, [1, big, 1]);
    let error = failure(format!("a\n{}\n", "9".repeat(1 << 20)), &schema("a:int64")).to_string();
    assert!(error.len() < 600 && error.contains("out of range"), "{} {error:.80}", error.len());
}

#[test]
fn ten_thousand_columns_and_lines_of_delimiters() {
    let columns = 10_000;
    let header: Vec<String> = (0..columns).map(|i| format!("k{i}")).collect();
    let line: Vec<String> = (0..columns).map(|i| i.to_string()).collect();
    let text = format!("{}\n{}\n{}\n", header.join(","), line.join(","), ",".repeat(columns - 1));
    let csv = file(text);
    let source = csv.open(&CsvOptions::default());
    assert_eq!(source.schema().fields.len(), columns);
    let got = rows_of(&read_all(&*source, &request(&*source, &[9_999, 0, 5_000])).unwrap());
    assert_eq!(got, [["9999", "0", "5000"], ["~", "~", "~"]]);
}

#[test]
fn nul_bytes_are_text() {
    assert_eq!(text_rows("a,b\n\0,x\0y\n", &CsvOptions::default()), [["\0", "x\0y"]]);
    assert!(matches!(failure("a\n\0\n", &schema("a:int64")), Error::Data { .. }));
}

#[test]
fn a_missing_file_is_an_io_error_with_its_name() {
    let error = CsvSource::open("no/such/file.csv", &CsvOptions::default()).err().unwrap();
    assert!(error.to_string().starts_with("cannot open no/such/file.csv"), "{error}");
}
