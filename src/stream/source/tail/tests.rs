use std::fs::OpenOptions as Open;
use std::io::Write;

use super::*;
use crate::{Engine, Input, Job, aggregate, col};

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add(&self, name: &str, text: &str) {
        let mut file = Open::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn source(&self) -> TailSource {
        TailSource::new(self.path("log"), OpenOptions::default())
    }
}

const ALL: Limits = Limits { files: None, bytes: None, rows: None };

/// The rows of a range: their number, and the sum of x.
fn rows(source: &mut TailSource, range: &Json, schema: &Schema) -> Result<String> {
    let rows = source.open(range, schema)?;
    let job = Job::new().aggregate(aggregate::count()).aggregate(aggregate::sum(col("x")));
    let report = Engine::new().threads(1).run(&job, &Input::from_source(rows))?;
    let cell = |c: usize| crate::output::value_text(report.batches[0].column(c), 0).unwrap();
    Ok(format!("{} {}", cell(0), cell(1)))
}

/// Plans and reads what is there.
fn next(source: &mut TailSource, schema: &Schema) -> Option<String> {
    let range = source.plan(&ALL).unwrap()?;
    Some(rows(source, &range, schema).unwrap())
}

fn told<T>(result: Result<T>, words: &[&str]) {
    let error = result.err().expect("an error").to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

#[test]
fn whole_lines_are_read_as_they_come() {
    let bench = Bench::new();
    let mut source = bench.source();
    assert!(source.is_replayable() && !source.is_over());
    assert_eq!((source.schema(None).unwrap(), source.plan(&ALL).unwrap()), (None, None));
    bench.add("log", "x,y\n");
    assert_eq!((source.schema(None).unwrap(), source.plan(&ALL).unwrap()), (None, None), "a header has no types");
    bench.add("log", "1,a");
    assert_eq!(source.schema(None).unwrap(), None);
    bench.add("log", "\n2");
    let schema = source.schema(None).unwrap().unwrap();
    assert_eq!(schema.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    let range = source.plan(&ALL).unwrap().unwrap();
    let part = &range["parts"][0];
    assert_eq!((part["from"].as_u64(), part["to"].as_u64(), part["afterLine"].as_u64()), (Some(4), Some(8), Some(1)));
    assert_eq!(rows(&mut source, &range, &schema).unwrap(), "1 1");
    assert_eq!(source.plan(&ALL).unwrap(), None, "half a line");
    bench.add("log", "0,b\n30,c\n4");
    assert_eq!(next(&mut source, &schema).unwrap(), "2 50");
    bench.add("log", ",d\n");
    assert_eq!(next(&mut source, &schema).unwrap(), "1 4");
    assert_eq!(next(&mut source, &schema), None);
}

#[test]
fn limits_bound_a_batch() {
    let bench = Bench::new();
    bench.add("log", "{\"x\":1}\n{\"x\":2}\n{\"x\":3}\n{\"x\":4}\n{\"x\":5}\n");
    let mut source = bench.source();
    let schema = source.schema(None).unwrap().unwrap();
    for (limits, want) in [
        (Limits { rows: Some(2), ..ALL }, "2 3"),
        (Limits { bytes: Some(17), ..ALL }, "2 7"),
        // One line is always read.
        (Limits { bytes: Some(1), ..ALL }, "1 5"),
    ] {
        let range = source.plan(&limits).unwrap().unwrap();
        assert_eq!(rows(&mut source, &range, &schema).unwrap(), want, "{limits:?}");
    }
    assert_eq!(source.plan(&ALL).unwrap(), None);
}

#[test]
fn the_rest_of_a_rotated_file_is_read_first() {
    let bench = Bench::new();
    bench.add("log", "x,y\n1,a\n");
    let mut source = bench.source();
    let schema = source.schema(None).unwrap().unwrap();
    assert_eq!(next(&mut source, &schema).unwrap(), "1 1");
    bench.add("log", "2,b\n30");
    bench.rename("log", "log.1");
    assert_eq!(next(&mut source, &schema).unwrap(), "1 2", "half a line waits as long as it may grow");
    bench.add("log", "");
    assert_eq!(next(&mut source, &schema), None, "nothing is in the new one yet");
    bench.add("log.1", ",c");
    bench.add("log", "x,y\n400,d\n5");
    let range = source.plan(&ALL).unwrap().unwrap();
    assert_eq!(range["parts"].as_array().unwrap().len(), 2);
    assert_eq!(rows(&mut source, &range, &schema).unwrap(), "2 430", "the header is no row");
    bench.add("log", "000,e\n");
    assert_eq!(next(&mut source, &schema).unwrap(), "1 5000");
    // Without a header, too.
    bench.rename("log", "log.2");
    bench.add("log", "6,f\n");
    assert_eq!(next(&mut source, &schema).unwrap(), "1 6");
}

#[test]
fn files_that_came_and_went_between_two_looks_are_read() {
    let bench = Bench::new();
    bench.add("log", "x\n1\n");
    let mut source = bench.source();
    let schema = source.schema(None).unwrap().unwrap();
    assert_eq!(next(&mut source, &schema).unwrap(), "1 1");
    bench.rename("log", "log.1");
    bench.add("log", "x\n20\n");
    bench.rename("log.1", "log.2");
    bench.rename("log", "log.1");
    bench.add("log", "x\n300\n");
    // Others of such names are none of it.
    bench.add("log.old", "x\n1000000\n");
    assert_eq!(next(&mut source, &schema).unwrap(), "2 320");
    bench.rename("log", "log.0");
    bench.add("log", "4000\n");
    assert_eq!(next(&mut source, &schema).unwrap(), "1 4000");
    assert_eq!(next(&mut source, &schema), None);
}

#[test]
fn another_process_goes_on_where_the_file_was_renamed() {
    let bench = Bench::new();
    bench.add("log", "x|y\n1|a\n2|b\n");
    let mut first = bench.source();
    let schema = first.schema(None).unwrap().unwrap();
    let one = first.plan(&Limits { rows: Some(1), ..ALL }).unwrap().unwrap();
    let position = first.position();
    let two = first.plan(&ALL).unwrap().unwrap();
    bench.add("log", "3|c\n");
    bench.rename("log", "log-20260101");
    bench.add("log", "x|y\n4|d\n");
    // From the position, with a batch that is done again; and from the ranges alone.
    for by_position in [true, false] {
        let mut other = bench.source();
        if by_position {
            other.restore(&serde_json::from_str(&position.to_string()).unwrap()).unwrap();
        } else {
            other.replay(&one).unwrap();
        }
        assert_eq!(other.schema(Some(&schema)).unwrap().as_ref(), Some(&schema));
        other.replay(&two).unwrap();
        assert_eq!(rows(&mut other, &one, &schema).unwrap(), "1 1");
        assert_eq!(rows(&mut other, &two, &schema).unwrap(), "1 2");
        let range = other.plan(&ALL).unwrap().unwrap();
        assert_eq!(range["parts"][0]["afterLine"].as_u64(), Some(3));
        assert_eq!(rows(&mut other, &range, &schema).unwrap(), "2 7");
        assert_eq!(next(&mut other, &schema), None);
        // What has been read is not read as another file's.
        let mut third = bench.source();
        third.restore(&other.position()).unwrap();
        bench.add("log", "5|e\n");
        assert_eq!(next(&mut third, &schema).unwrap(), "1 5");
        std::fs::write(bench.path("log"), "x|y\n4|d\n").unwrap();
    }
}

#[test]
fn what_is_missing_or_other_is_said() {
    let bench = Bench::new();
    bench.add("log", "x\n1\n2\n");
    let mut source = bench.source();
    let schema = source.schema(None).unwrap().unwrap();
    let range = source.plan(&ALL).unwrap().unwrap();
    let position = source.position();
    let resumed = || {
        let mut other = bench.source();
        other.restore(&position).unwrap();
        other
    };
    // Cut.
    Open::new().write(true).open(bench.path("log")).unwrap().set_len(4).unwrap();
    told(source.plan(&ALL), &["log: it has 4 bytes, and 6 of it have been read", "rotate by renaming"]);
    told(resumed().plan(&ALL), &["bytes", "cut"]);
    told(rows(&mut resumed(), &range, &schema), &["log: it has 4 bytes, and 6 of it have been read: it was cut"]);
    // Written over, to the same length.
    bench.add("log", "3\n");
    told(rows(&mut resumed(), &range, &schema), &["written anew"]);
    told(resumed().plan(&ALL), &["it does not begin as it did"]);
    // Gone.
    std::fs::remove_file(bench.path("log")).unwrap();
    told(resumed().plan(&ALL), &["the file of which 6 bytes (3 lines) have been read is neither there nor beside it"]);
    told(rows(&mut resumed(), &range, &schema), &["bytes 2 to 6 of", "the file is gone"]);
    // Another file by its name is another.
    bench.add("log", "z\n1\n2\n7\n");
    let gone = resumed().plan(&ALL);
    assert!(gone.is_err(), "{gone:?}");
    let folder = TailSource::new(bench.folder.path(), OpenOptions::default()).plan(&ALL);
    told(folder, &["no regular file"]);
    for other in [json!({ "from": 1, "to": 2 }), json!({ "dialect": "csv,", "header": "", "parts": [{}] })] {
        told(bench.source().replay(&other), &["none of tail:"]);
        told(bench.source().restore(&other), &["none of tail:"]);
    }
}

#[test]
fn what_was_changed_in_its_middle_is_not_read_again() {
    let bench = Bench::new();
    let text = format!("x\n{}", "1\n".repeat(300));
    bench.add("log", &text);
    let mut source = bench.source();
    let schema = source.schema(None).unwrap().unwrap();
    let range = source.plan(&ALL).unwrap().unwrap();
    assert_eq!(rows(&mut source, &range, &schema).unwrap(), "300 300");
    assert_eq!(rows(&mut source, &range, &schema).unwrap(), "300 300", "from the file, this time");
    std::fs::write(bench.path("log"), text[..400].to_owned() + "2" + &text[401..]).unwrap();
    told(rows(&mut source, &range, &schema), &["log: bytes 2 to 602 are not those that were logged"]);
    std::fs::write(bench.path("log"), &text[..400]).unwrap();
    told(rows(&mut source, &range, &schema), &["log: bytes 2 to 602 are not those that were logged"]);
}

#[test]
fn errors_name_the_line_of_the_file() {
    let bench = Bench::new();
    bench.add("log", "x,y\n1,a\n2,b\n");
    let mut source = bench.source();
    let schema = source.schema(None).unwrap().unwrap();
    assert_eq!(next(&mut source, &schema).unwrap(), "2 3");
    bench.add("log", "3,c\nfour,d\n");
    let range = source.plan(&ALL).unwrap().unwrap();
    told(rows(&mut source, &range, &schema), &["log:5, column 'x'", "four"]);
}
