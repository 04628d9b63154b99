//! Jobs with nearly as many groups as rows: rows are shuffled by key instead of grouped as they come, and the result is
//! made by several threads. What comes out is compared with a plain map.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use tidemill::aggregate::{count, count_distinct, max, median, min, sum, top_k};
use tidemill::exec::Receiver;
use tidemill::{Device, Engine, Error, Input, Job, col, lit};

const ROWS: u64 = 150_000;

#[derive(Clone)]
struct Row {
    text: Option<String>,
    number: Option<i64>,
    value: Option<f64>,
    whole: i64,
}

/// Numbers without a pattern (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn rows(spread: u64) -> Vec<Row> {
    (0..ROWS)
        .map(|i| {
            let at = |n: u64| mix(i * 4 + n);
            Row {
                text: (at(0) % 50 != 0).then(|| format!("t{}", at(0) % 3000)),
                // Most keys lie together, some far out.
                number: match at(1) % 100 {
                    0 => None,
                    1 => Some(at(1) as i64),
                    _ => Some((at(1) >> 8) as i64 % spread as i64),
                },
                value: (at(2) % 7 != 0).then(|| (at(2) % 4096) as f64 * 0.25 - 300.0),
                whole: (at(3) % 1000) as i64 - 500,
            }
        })
        .collect()
}

fn input(rows: &[Row]) -> Input {
    let batch = |rows: &[Row]| {
        let text: ArrayRef = Arc::new(rows.iter().map(|r| r.text.as_deref()).collect::<StringArray>());
        let number: ArrayRef = Arc::new(rows.iter().map(|r| r.number).collect::<Int64Array>());
        let value: ArrayRef = Arc::new(rows.iter().map(|r| r.value).collect::<Float64Array>());
        let whole: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.whole)).collect::<Int64Array>());
        RecordBatch::try_from_iter_with_nullable([
            ("text", text, true),
            ("number", number, true),
            ("value", value, true),
            ("whole", whole, true),
        ])
        .unwrap()
    };
    let batches: Vec<_> = rows.chunks(20_000).map(batch).collect();
    Input::batches(batches[0].schema(), batches).unwrap()
}

/// A key as it sorts, null last, and sum, rows, min and max.
type Group = ((bool, Option<String>, bool, Option<i64>), (Option<f64>, i64, i64, Option<f64>));

fn expected(rows: &[Row]) -> Vec<Group> {
    let mut groups: BTreeMap<_, (Option<f64>, i64, i64, Option<f64>)> = BTreeMap::new();
    for row in rows {
        let key = (row.text.is_none(), row.text.clone(), row.number.is_none(), row.number);
        let group = groups.entry(key).or_insert((None, 0, i64::MAX, None));
        if let Some(v) = row.value {
            // Quarters of small integers: every sum is exact.
            group.0 = Some(group.0.unwrap_or(0.0) + v);
            group.3 = Some(group.3.map_or(v, |m: f64| m.max(v)));
        }
        group.1 += 1;
        group.2 = group.2.min(row.whole);
    }
    groups.into_iter().collect()
}

fn job() -> Job {
    Job::new()
        .by(["text", "number"])
        .aggregate(sum(col("value")).named("total"))
        .aggregate(count().named("rows"))
        .aggregate(min(col("whole")).named("least"))
        .aggregate(max(col("value")).named("most"))
}

fn read(batches: &[RecordBatch]) -> Vec<Group> {
    let mut out = Vec::new();
    for batch in batches {
        let (text, number) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        let (total, rows) =
            (batch.column(2).as_primitive::<Float64Type>(), batch.column(3).as_primitive::<Int64Type>());
        let (least, most) =
            (batch.column(4).as_primitive::<Int64Type>(), batch.column(5).as_primitive::<Float64Type>());
        for i in 0..batch.num_rows() {
            let text = text.is_valid(i).then(|| text.value(i).to_owned());
            let number = number.is_valid(i).then(|| number.value(i));
            let float = |a: &Float64Array| a.is_valid(i).then(|| a.value(i));
            let values = (float(total), rows.value(i), least.value(i), float(most));
            out.push(((text.is_none(), text, number.is_none(), number), values));
        }
    }
    out
}

fn engine(threads: usize) -> Engine {
    Engine::new().device(Device::Cpu).threads(threads)
}

#[test]
fn groups_are_those_of_a_map_in_key_order() {
    for spread in [60_000, 1_000_000] {
        let rows = rows(spread);
        let expected = expected(&rows);
        for threads in [1, 3] {
            for chunk in [1 << 16, Engine::CHUNK_BYTES] {
                let report = engine(threads).chunk_bytes(chunk).run(&job(), &input(&rows)).unwrap();
                assert_eq!(report.ledger.groups, expected.len() as u64);
                assert_eq!(report.ledger.rows_emitted, expected.len() as u64);
                let sizes: Vec<_> = report.batches.iter().map(RecordBatch::num_rows).collect();
                assert!(sizes[..sizes.len() - 1].iter().all(|rows| *rows == 65_536), "{sizes:?}");
                assert!(read(&report.batches) == expected, "spread {spread}, {threads} threads, chunks of {chunk}");
            }
        }
    }
}

#[test]
fn having_order_and_limit_stand_over_all_partitions() {
    let rows = rows(1_000_000);
    let groups = expected(&rows);
    let few = read(&engine(2).run(&Job { limit: Some(70_000), ..job() }, &input(&rows)).unwrap().batches);
    assert!(few == groups[..70_000]);
    let job = job().having(col("least").gt(lit(400)));
    let kept: Vec<_> = groups.iter().filter(|g| g.1.2 > 400).cloned().collect();
    let report = engine(2).run(&job, &input(&rows)).unwrap();
    assert!(read(&report.batches) == kept);
    let job = job.order_by("least desc").unwrap();
    let mut sorted = kept;
    sorted.sort_by_key(|g| -g.1.2); // stable: ties stay in key order
    let report = engine(2).run(&Job { limit: Some(100), ..job.clone() }, &input(&rows)).unwrap();
    assert!(read(&report.batches) == sorted[..100]);
    let mut unordered = read(&engine(2).run(&Job { unordered: true, ..self::job() }, &input(&rows)).unwrap().batches);
    let key = |g: &Group| g.0.clone();
    unordered.sort_by_key(key);
    assert!(unordered == groups);
}

#[test]
fn the_first_group_in_order_that_overflows_is_the_error() {
    let mut rows = rows(1_000_000);
    // Two of a key too large for their sum, at both ends of the order.
    for (text, at) in [("zz", 10), ("a", 149_000)] {
        for i in [at, at + 1] {
            rows[i] = Row { text: Some(text.into()), number: Some(1), value: None, whole: i64::MAX };
        }
    }
    let job = job().aggregate(sum(col("whole")).named("all"));
    match engine(2).run(&job, &input(&rows)).unwrap_err() {
        Error::Overflow { key, .. } => assert_eq!(key, "(a, 1)"),
        other => panic!("{other}"),
    }
}

#[test]
fn lists_of_many_groups_come_in_key_order() {
    let rows = rows(1_000_000);
    let job = job().aggregate(top_k(col("whole"), 1).named("top"));
    let report = engine(2).run(&job, &input(&rows)).unwrap();
    assert!(read(&report.batches) == expected(&rows));
    let tops: usize = report.batches.iter().map(|b| b.column(6).as_list::<i32>().values().len()).sum();
    assert_eq!(tops, report.rows());
}

/// So little memory that rows and groups go to disk.
const LITTLE: u64 = 47 << 20;

#[test]
fn what_does_not_fit_the_memory_comes_back_from_disk_the_same() {
    let rows = rows(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let value = || col("value");
    let bags = job()
        .aggregate(median(value()).named("middle"))
        .aggregate(count_distinct(col("text")).named("texts"))
        .aggregate(top_k(col("whole"), 2).named("top"))
        .aggregate(min(col("text")).named("first"));
    let jobs = [
        job(),
        Job { limit: Some(70_000), ..job() },
        job().aggregate(sum(col("whole")).named("all")),
        bags.having(col("least").gt(lit(-400))),
        Job { limit: Some(500), ..job().order_by("least desc, most").unwrap() },
        Job::new().aggregate(sum(value()).named("total")).aggregate(count().named("rows")),
    ];
    for (at, job) in jobs.iter().enumerate() {
        let plain = engine(2).run(job, &input(&rows)).unwrap();
        assert!(!plain.ledger.details.iter().any(|d| d.starts_with("spilled")), "{:?}", plain.ledger.details);
        let little = engine(2).chunk_bytes(1 << 16).memory(LITTLE).temp_dir(folder.path());
        let spilled = little.run(job, &input(&rows)).unwrap();
        let expected = at + 1 < jobs.len(); // a job without keys holds one group
        assert_eq!(spilled.ledger.details.iter().any(|d| d.starts_with("spilled")), expected, "job {at}");
        assert!(spilled.batches == plain.batches, "job {at}");
        assert_eq!(spilled.ledger.groups, plain.ledger.groups);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn too_little_memory_and_no_room_on_disk_are_errors_that_say_so() {
    let rows = rows(1_000_000);
    // Without a limit all of it would have to be sorted in memory.
    let sorted = job().order_by("least desc").unwrap();
    let error = engine(2).chunk_bytes(1 << 16).memory(LITTLE).run(&sorted, &input(&rows)).unwrap_err();
    assert!(error.to_string().contains("--limit"), "{error}");
    let error = engine(2).memory(20 << 20).run(&job(), &input(&rows)).unwrap_err();
    assert!(matches!(error, Error::Resource { .. }), "{error}");
    assert!(error.to_string().contains("--memory"), "{error}");
    let nowhere = engine(2).chunk_bytes(1 << 16).memory(LITTLE).temp_dir("/no/such/folder");
    let error = nowhere.run(&job(), &input(&rows)).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("/no/such/folder"), "{error}");
}

#[test]
fn a_result_is_given_away_batch_by_batch() {
    struct Counts(usize, Vec<usize>);
    impl Receiver for Counts {
        fn begin(&mut self, _: &arrow_schema::SchemaRef, rejects: &[tidemill::input::Reject]) -> tidemill::Result<()> {
            assert!(rejects.is_empty() && self.1.is_empty());
            self.0 += 1;
            Ok(())
        }
        fn batch(&mut self, batch: RecordBatch) -> tidemill::Result<()> {
            self.1.push(batch.num_rows());
            if self.1.len() == 2 { Err(Error::Cancelled) } else { Ok(()) }
        }
    }
    let mut counts = Counts(0, Vec::new());
    let error = engine(2).run_into(&job(), &input(&rows(1_000_000)), &mut counts).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!((counts.0, counts.1), (1, vec![65_536, 65_536]));
}
