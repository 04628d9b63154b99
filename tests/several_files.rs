//! Several files as one input: columns by name, types in common, dictionaries shared.

use std::path::Path;
use std::sync::Arc;

use tidemill::column::{Dictionary, Field, FieldType, Schema, Type, Value};
use tidemill::input::{CsvOptions, CsvSource, MultiSource, Request, Scan, Source, read_in_order};
use tidemill::{Error, Result};

fn csv(dir: &Path, name: &str, text: &str, schema: &[(&str, Type)]) -> Arc<dyn Source> {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    let schema = schema.iter().map(|(n, t)| (n.to_string(), t.clone())).collect();
    CsvSource::open(path, &CsvOptions { schema, ..CsvOptions::default() }).unwrap()
}

fn types(source: &dyn Source) -> Vec<String> {
    let show = |f: &Field| match &f.ty {
        FieldType::Known(ty) => format!("{}:{ty}{}", f.name, if f.inferred { "?" } else { "" }),
        FieldType::Unsupported(why) => format!("{}: {}", f.name, why.rsplit('/').next().unwrap()),
    };
    source.schema().fields.iter().map(show).collect()
}

fn read(source: &dyn Source, columns: &[usize]) -> Result<Vec<Vec<String>>> {
    let types: Vec<Type> = columns
        .iter()
        .map(|&c| match &source.schema().fields[c].ty {
            FieldType::Known(ty) => ty.clone(),
            FieldType::Unsupported(_) => Type::Str,
        })
        .collect();
    let request = Request {
        columns: columns.to_vec(),
        dictionaries: types.iter().map(|t| (*t == Type::Str).then(Dictionary::new)).collect(),
        types,
        chunk_bytes: 8,
        chunk_rows: usize::MAX,
        threads: 2,
        tolerant: false,
    };
    let mut rows = vec![];
    for read in read_in_order(source, &request)? {
        let chunk = read?.chunk;
        for row in 0..chunk.rows {
            rows.push(
                chunk
                    .columns
                    .iter()
                    .map(|c| match c.value(row) {
                        Value::Null => "~".into(),
                        value => value.text(&c.ty),
                    })
                    .collect(),
            );
        }
    }
    Ok(rows)
}

#[test]
fn columns_are_matched_by_name_and_widened() {
    let dir = tempfile::tempdir().unwrap();
    let a = csv(dir.path(), "a.csv", "k,x,d\nu,1,2013-01-01\nv,2,2013-01-02\n", &[]);
    let b = csv(dir.path(), "b.csv", "d,x,k\n2013-01-03T10:00:00,2.5,u\n", &[]);
    let c = csv(dir.path(), "c.csv", "k,d,x\nw,NA,NA\n", &[]);
    for files in [[&a, &b, &c], [&c, &b, &a]] {
        let all = MultiSource::new(files.map(Arc::clone).to_vec()).unwrap();
        let mut names = types(&*all);
        names.sort();
        assert_eq!(names, ["d:timestamp(us)?", "k:string?", "x:float64?"]);
        assert_eq!(all.bytes(), files.iter().map(|f| f.bytes()).sum());
        assert!(all.name().ends_with(".csv and 2 more files"));
        let find = |name| all.schema().find(name).unwrap().unwrap();
        let mut rows = read(&*all, &[find("k"), find("x"), find("d")]).unwrap();
        rows.sort();
        assert_eq!(
            rows,
            [
                ["u", "1.0", "2013-01-01T00:00:00"],
                ["u", "2.5", "2013-01-03T10:00:00"],
                ["v", "2.0", "2013-01-02T00:00:00"],
                ["w", "~", "~"]
            ]
        );
    }
}

#[test]
fn declared_types_join_by_width_and_win_over_guesses() {
    let dir = tempfile::tempdir().unwrap();
    let dec = |precision, scale| Type::Decimal { precision, scale };
    let head = "a,b,c,d,e\n1,2,3,4,5\n";
    let a = csv(dir.path(), "a.csv", head, &[("a", Type::Int8), ("b", dec(5, 2)), ("c", dec(9, 4)), ("d", Type::Str)]);
    let b = csv(dir.path(), "b.csv", "a,b,c,d,e\n7,8,1.5,9,x\n", &[("a", Type::UInt16), ("b", Type::Int32)]);
    let all = MultiSource::new(vec![a, b]).unwrap();
    assert_eq!(types(&*all), ["a:int32", "b:decimal(12,2)", "c:decimal(9,4)?", "d:string?", "e:string?"]);
    assert_eq!(
        read(&*all, &[0, 1, 2, 3, 4]).unwrap(),
        [["1", "2.00", "3.0000", "4", "5"], ["7", "8.00", "1.5000", "9", "x"]]
    );
}

#[test]
fn what_does_not_fit_together_is_an_error_only_if_used() {
    let dir = tempfile::tempdir().unwrap();
    let a = csv(dir.path(), "a.csv", "k,x,y\nu,1,1\n", &[("x", Type::Date), ("k", Type::Str)]);
    let b = csv(dir.path(), "b.csv", "k,x\nv,2\n", &[("x", Type::Int64)]);
    let all = MultiSource::new(vec![a, b]).unwrap();
    assert_eq!(types(&*all)[2], "y: b.csv");
    assert_eq!(read(&*all, &[0]).unwrap(), [["u"], ["v"]]);
    let error = read(&*all, &[1]).unwrap_err();
    assert!(matches!(error, Error::Usage { .. }));
    let text = error.to_string();
    assert!(text.contains("date in ") && text.contains("a.csv and int64 in ") && text.contains("b.csv"), "{text}");
    let text = read(&*all, &[2]).unwrap_err().to_string();
    assert!(text.contains("column 'y'") && text.contains("missing in ") && text.contains("b.csv"), "{text}");
}

#[test]
fn a_misfit_in_one_file_widens_all() {
    let dir = tempfile::tempdir().unwrap();
    let a = csv(dir.path(), "a.csv", "x\n1\n", &[]);
    let b = csv(dir.path(), "b.csv", &format!("x\n{}abc\n", "2\n".repeat(20_000)), &[]);
    let empty = csv(dir.path(), "c.csv", &format!("x\n{}2.5\n", "NA\n".repeat(20_000)), &[]);
    let mut all = MultiSource::new(vec![a, empty, b]).unwrap();
    let mut seen = vec![];
    let rows = loop {
        match read(&*all, &[0]) {
            Ok(rows) => break rows,
            Err(Error::Misfit { place, wider, .. }) => {
                assert_eq!((place.line, place.column.as_deref()), (Some(20_002), Some("x")));
                all = all.widened("x", &wider).unwrap();
                seen.push(types(&*all)[0].clone());
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(seen, ["x:float64?", "x:string?"]);
    assert_eq!((rows[0][0].as_str(), rows[20_001][0].as_str(), rows[40_002][0].as_str()), ("1", "2.5", "abc"));
    assert!(all.widened("x", &Type::Str).is_none(), "nothing is gained");
}

#[test]
fn one_source_is_itself_and_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let a = csv(dir.path(), "a.csv", "x\n1\n", &[]);
    assert_eq!(MultiSource::new(vec![Arc::clone(&a)]).unwrap().name(), a.name());
    assert!(matches!(MultiSource::new(vec![]), Err(Error::Usage { .. })));
}

#[test]
fn a_column_twice_in_one_file_is_an_error_if_used() {
    struct Twice(Schema);
    impl Source for Twice {
        fn schema(&self) -> &Schema {
            &self.0
        }
        fn name(&self) -> String {
            "twice".into()
        }
        fn bytes(&self) -> Option<u64> {
            None
        }
        fn scan(&self, _: &Request) -> Result<Box<dyn Scan>> {
            Err(Error::Cancelled)
        }
        fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
            None
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let fields = vec![Field::new("x", Type::Int64), Field::new("x", Type::Int64)];
    let twice = Arc::new(Twice(Schema { fields }));
    let all = MultiSource::new(vec![csv(dir.path(), "a.csv", "x\n1\n", &[]), twice]).unwrap();
    assert_eq!(types(&*all), ["x: of two columns in twice"]);
    assert_eq!(all.bytes(), None);
}
