//! What queries give, compared with the batch engine over the same rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use tidemill::aggregate::{count, sum};
use tidemill::expr::parse;
use tidemill::input::OpenOptions;
use tidemill::output::value_text;
use tidemill::stream::{
    Callback, FileOrder, FolderSource, Guarantee, Limits, OutputMode, Progress, Query, RateSource, Trigger,
};
use tidemill::{Input, Job, col};

use super::engine;

/// Rows as texts.
pub(super) fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let row = |batch: &RecordBatch, row: usize| {
        let cells = batch.columns().iter().map(|column| value_text(column, row).unwrap());
        cells.collect::<Vec<_>>().join(",")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|i| row(batch, i)).collect::<Vec<_>>()).collect()
}

/// The rows of every batch, and its progress.
fn collect(
    query: impl FnOnce(Callback<Box<dyn FnMut(&tidemill::stream::BatchOutput) -> tidemill::Result<()> + Send>>) -> Query,
) -> (Vec<Vec<String>>, Vec<Progress>) {
    let given: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let told: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let sink = {
        let given = Arc::clone(&given);
        Callback::new(Box::new(move |output: &tidemill::stream::BatchOutput| {
            given.lock().unwrap().push(texts(&output.rows));
            Ok(())
        }) as Box<dyn FnMut(&tidemill::stream::BatchOutput) -> tidemill::Result<()> + Send>)
    };
    let listen = {
        let told = Arc::clone(&told);
        move |progress: &Progress| told.lock().unwrap().push(progress.clone())
    };
    query(sink).trigger(Trigger::AvailableNow).listen(listen).start(&engine()).unwrap().wait().unwrap();
    let given = std::mem::take(&mut *given.lock().unwrap());
    let told = std::mem::take(&mut *told.lock().unwrap());
    (given, told)
}

/// Lines `time,city,fare`, a file each, in the order of their names; the folder lives as long as what is returned.
fn files(files: &[&str]) -> (tempfile::TempDir, FolderSource) {
    let dir = tempfile::tempdir().unwrap();
    for (i, lines) in files.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{i:03}.csv")), format!("time,city,fare\n{lines}")).unwrap();
    }
    let source = FolderSource::new(dir.path().to_str().unwrap(), FileOrder::Name, OpenOptions::default()).unwrap();
    (dir, source)
}

fn job() -> Job {
    Job::new().by(["city"]).aggregate(count().named("trips")).aggregate(sum(col("fare")).named("total"))
}

const ONE_FILE: Limits = Limits { files: Some(1), bytes: None, rows: None };

#[test]
fn append_gives_each_window_once_when_the_watermark_has_passed_it() {
    let (_dir, source) = files(&[
        "2026-01-01T00:00:01,Rome,0.1\n2026-01-01T00:00:09,Oslo,1\n2026-01-01T00:00:12,Rome,5\n",
        // The watermark is 00:00:10: what is before it and in a closed window is late.
        "2026-01-01T00:00:02,Rome,100\n2026-01-01T00:00:11,Rome,0.2\n2026-01-01T00:00:25,Rome,1\n",
        "2026-01-01T00:00:13,Rome,7\n2026-01-01T00:00:24,Oslo,3\n,Rome,1\n",
    ]);
    let (rows, progress) = collect(|sink| {
        Query::new(source, job(), sink)
            .window("tumbling 10s on time".parse().unwrap())
            .watermark("2s".parse().unwrap())
            .limits(ONE_FILE)
    });
    let day = "2026-01-01T00:00";
    assert_eq!(
        rows,
        [
            vec![format!("{day}:00,{day}:10,Oslo,1,1.0"), format!("{day}:00,{day}:10,Rome,1,0.1")],
            vec![format!("{day}:10,{day}:20,Rome,2,5.2")],
            vec![],
        ]
    );
    let counts: Vec<_> =
        progress.iter().map(|p| (p.rows_read, p.rows_late, p.rows_untimed, p.rows_grouped, p.groups)).collect();
    assert_eq!(counts, [(3, 0, 0, 3, 1), (3, 1, 0, 2, 1), (3, 1, 1, 1, 2)]);
    let json = progress[1].to_json();
    assert_eq!(json["eventTime"]["watermark"], format!("{day}:23"));
    assert_eq!(json["stateOperators"][0]["numRowsDroppedByWatermark"], 1);
    assert_eq!(json["sink"]["numOutputRows"], 1);
}

#[test]
fn update_gives_what_changed_and_complete_gives_all() {
    let lines = [
        "2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:02,Oslo,1\n",
        "2026-01-01T00:00:03,Rome,2\n2026-01-01T00:00:11,Rome,3\n",
        "2026-01-01T00:00:04,Bern,4\n",
    ];
    let of = |mode: OutputMode, window: Option<&str>| {
        let (_dir, source) = files(&lines);
        let rows = collect(|sink| {
            let query = Query::new(source, job(), sink).mode(mode).limits(ONE_FILE);
            match window {
                Some(window) => query.window(window.parse().unwrap()),
                None => query,
            }
        });
        rows.0.into_iter().map(|rows| rows.iter().map(|r| r.replace("2026-01-01T00:00:", "")).collect()).collect()
    };
    let expect = |rows: Vec<Vec<String>>, expected: &[&[&str]]| {
        assert_eq!(rows.iter().map(|r| r.iter().map(String::as_str).collect::<Vec<_>>()).collect::<Vec<_>>(), expected);
    };
    expect(of(OutputMode::Update, None), &[&["Oslo,1,1", "Rome,1,1"], &["Rome,3,6"], &["Bern,1,4"]]);
    expect(
        of(OutputMode::Complete, None),
        &[&["Oslo,1,1", "Rome,1,1"], &["Oslo,1,1", "Rome,3,6"], &["Bern,1,4", "Oslo,1,1", "Rome,3,6"]],
    );
    expect(
        of(OutputMode::Update, Some("tumbling 10s on time")),
        &[&["00,10,Oslo,1,1", "00,10,Rome,1,1"], &["00,10,Rome,2,3", "10,20,Rome,1,3"], &["00,10,Bern,1,4"]],
    );
    expect(
        of(OutputMode::Update, Some("sliding 10s every 5s on time")),
        &[
            &["2025-12-31T23:59:55,05,Oslo,1,1", "2025-12-31T23:59:55,05,Rome,1,1", "00,10,Oslo,1,1", "00,10,Rome,1,1"],
            &["2025-12-31T23:59:55,05,Rome,2,3", "00,10,Rome,2,3", "05,15,Rome,1,3", "10,20,Rome,1,3"],
            &["2025-12-31T23:59:55,05,Bern,1,4", "00,10,Bern,1,4"],
        ],
    );
}

#[test]
fn windows_are_those_of_a_batch_run_over_the_rows_that_were_not_late() {
    for (window, pane, width, slide) in [
        ("tumbling 3s on timestamp", "3s", 3, 3),
        ("sliding 4s every 2s on timestamp", "2s", 4, 2),
        ("sliding 5s every 3s on timestamp", "1s", 5, 3),
    ] {
        for rows in [1, 7, 100, 1000] {
            let source =
                || RateSource::new(rows, format!("{}ms", rows * 10).parse().unwrap(), Some(1000 / rows)).unwrap();
            let job = Job::new()
                .map("k", parse("value % 7").unwrap())
                .by(["k"])
                .aggregate(sum(parse("value * 0.1").unwrap()).named("s"));
            let (given, progress) = collect(|sink| {
                Query::new(source(), job, sink)
                    .window(window.parse().unwrap())
                    .watermark("0s".parse().unwrap())
                    .finish(true)
            });
            let total: u64 = progress.iter().map(|p| p.rows_grouped).sum();
            assert_eq!(total, 1000 / rows * rows);
            // Every row in each of its windows, by plain recomputation over seconds; the sums by the batch engine.
            let mut expected: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
            for value in 0..(1000 / rows * rows) as i64 {
                let second = value * 10 / 1000;
                for start in (-10..20).map(|i| i * slide).filter(|s| *s <= second && second < s + width) {
                    expected.entry((start, value % 7)).or_default().push(value);
                }
            }
            let given: Vec<String> = given.into_iter().flatten().collect();
            assert_eq!(given.len(), expected.len(), "{window} ({pane}) of {rows} rows a batch");
            for (((start, key), values), row) in expected.iter().zip(&given) {
                let sum = exact(values);
                let end = format!("{key},{sum}");
                assert!(row.ends_with(&end), "{window}: {row} is not …{end} of window {start}");
            }
        }
    }
}

/// The sum of tenths, by the batch engine.
fn exact(values: &[i64]) -> String {
    let array: Arc<dyn arrow_array::Array> = Arc::new(arrow_array::Int64Array::from(values.to_vec()));
    let batch = RecordBatch::try_from_iter([("value", array)]).unwrap();
    let input = Input::batches(batch.schema(), vec![batch]).unwrap();
    let job = Job::new().aggregate(sum(parse("value * 0.1").unwrap()));
    texts(&engine().run(&job, &input).unwrap().batches).remove(0)
}

#[test]
fn an_open_window_stays_in_the_state_unless_it_is_asked_for() {
    let source = || RateSource::new(10, "1s".parse().unwrap(), Some(3)).unwrap();
    let query = |sink, finish| {
        Query::new(source(), Job::new().aggregate(count()), sink)
            .window("tumbling 1s on timestamp".parse().unwrap())
            .watermark("0s".parse().unwrap())
            .finish(finish)
    };
    let (rows, progress) = collect(|sink| query(sink, false));
    assert_eq!((rows.iter().flatten().count(), progress.last().unwrap().groups), (2, 1));
    let (rows, progress) = collect(|sink| query(sink, true));
    assert_eq!((rows.iter().flatten().count(), progress.last().unwrap().groups), (3, 0));
}

#[test]
fn what_cannot_be_promised_is_refused_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let query = |guarantee| {
        let source = RateSource::new(1, "1s".parse().unwrap(), Some(1)).unwrap();
        Query::new(source, Job::new().aggregate(count()), Callback::new(|_| Ok(())))
            .mode(OutputMode::Update)
            .guarantee(guarantee)
    };
    let error = |query: Query| query.start(&engine()).unwrap_err().to_string();
    assert!(error(query(Guarantee::ExactlyOnce)).contains("there is no checkpoint"));
    let checkpoint = dir.path().join("c");
    let twice = error(query(Guarantee::ExactlyOnce).checkpoint(&checkpoint));
    assert!(twice.contains("callback shows a batch that comes twice twice"), "{twice}");
    query(Guarantee::AtLeastOnce).checkpoint(&checkpoint).start(&engine()).unwrap().wait().unwrap();
    // Another job over the same checkpoint, and two at once.
    let other = Query::new(
        RateSource::new(1, "1s".parse().unwrap(), None).unwrap(),
        Job::new().aggregate(sum(col("value"))),
        Callback::new(|_| Ok(())),
    );
    let changed = error(other.mode(OutputMode::Update).checkpoint(&checkpoint));
    assert!(changed.contains("'aggregates' was count() as count(), and is sum(value) as sum(value)"), "{changed}");
    let endless = || {
        let source = RateSource::new(1, "1s".parse().unwrap(), None).unwrap();
        Query::new(source, Job::new().aggregate(count()), Callback::new(|_| Ok(())))
            .mode(OutputMode::Update)
            .checkpoint(dir.path().join("d"))
    };
    let going = endless().start(&engine()).unwrap();
    assert!(error(endless()).contains("in use by another process"));
    going.stop();
    assert!(going.wait().unwrap().batches < 1_000_000);
}

#[test]
fn sessions_are_closed_once_a_gap_has_passed_and_are_those_of_a_plain_walk() {
    let (_dir, source) = files(&[
        "2026-01-01T00:00:00,Rome,1\n2026-01-01T00:00:04,Rome,2\n2026-01-01T00:00:07,Oslo,4\n",
        // Nine seconds after its last row is the same session; ten are not.
        "2026-01-01T00:00:13,Rome,8\n2026-01-01T00:00:17,Oslo,16\n",
        "2026-01-01T00:00:36,Bern,32\n2026-01-01T00:00:26,Oslo,64\n",
        "2026-01-01T00:00:35,Rome,128\n2026-01-01T00:00:59,Bern,1\n",
    ]);
    let (rows, progress) = collect(|sink| {
        Query::new(source, job(), sink)
            .window("session 10s on time".parse().unwrap())
            .watermark("0s".parse().unwrap())
            .limits(ONE_FILE)
            .finish(true)
    });
    let rows: Vec<Vec<String>> =
        rows.iter().map(|rows| rows.iter().map(|r| r.replace("2026-01-01T00:", "")).collect()).collect();
    let expected: [&[&str]; 5] = [
        &[],
        &["00:07,00:17,Oslo,1,4"],
        &["00:00,00:23,Rome,3,11", "00:17,00:36,Oslo,2,80"],
        // Rome at 35 came after 36 had been seen: it is late.
        &["00:36,00:46,Bern,1,32"],
        &["00:59,01:09,Bern,1,1"],
    ];
    assert_eq!(rows, expected);
    assert_eq!(progress.iter().map(|p| p.rows_late).collect::<Vec<_>>(), [0, 0, 0, 1, 0]);
    assert_eq!(progress.last().unwrap().groups, 0);
}

#[test]
fn all_sessions_of_mode_complete_and_of_any_cut_into_batches_are_the_same() {
    // Some keys pause, some never do.
    let line = |i: i64| {
        let (key, at) = (i % 7, i * 3 + if i % 7 < 4 { i / 70 * 100 } else { 0 });
        (at, format!("{},k{key},{}\n", chrono(at), i % 10))
    };
    let mut rows: Vec<(i64, String)> = (0..420).map(line).collect();
    rows.sort();
    let of = |mode: OutputMode, size: usize| {
        let texts: Vec<String> =
            rows.chunks(size).map(|rows| rows.iter().map(|(_, line)| line.as_str()).collect()).collect();
        let (_dir, source) = files(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let (given, _) = collect(|sink| {
            let query = Query::new(source, job(), sink).mode(mode).limits(ONE_FILE).finish(true);
            let query = query.window("session 25s on time".parse().unwrap());
            if mode == OutputMode::Append { query.watermark("2s".parse().unwrap()) } else { query }
        });
        match mode {
            OutputMode::Append => given.concat(),
            _ => given.last().unwrap().clone(),
        }
    };
    let mut whole = of(OutputMode::Complete, 1000);
    whole.sort();
    assert!(whole.len() > 20 && whole.len() < 60, "{}", whole.len());
    for size in [1, 3, 50, 1000] {
        let mut given = of(OutputMode::Append, size);
        given.sort();
        assert_eq!(given, whole, "{size} rows a batch");
        if size > 1 {
            let mut complete = of(OutputMode::Complete, size);
            complete.sort();
            assert_eq!(complete, whole, "{size} rows a batch");
        }
    }
}

/// A time so many seconds after the beginning of a day.
fn chrono(seconds: i64) -> String {
    format!("2026-01-01T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[test]
fn several_windows_of_a_query_each_give_their_rows() {
    let (_dir, source) = files(&[
        "2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:12,Rome,2\n",
        "2026-01-01T00:00:19,Rome,4\n2026-01-01T00:00:31,Rome,8\n",
    ]);
    let (rows, _) = collect(|sink| {
        Query::new(source, job(), sink)
            .window("tumbling 30s on time".parse().unwrap())
            .window("sliding 10s every 10s on time".parse().unwrap())
            .watermark("0s".parse().unwrap())
            .limits(ONE_FILE)
            .finish(true)
    });
    let rows: Vec<Vec<String>> =
        rows.iter().map(|rows| rows.iter().map(|r| r.replace("2026-01-01T00:00:", "")).collect()).collect();
    let expected: [&[&str]; 3] = [
        &["00,10,Rome,1,1"],
        &["10,20,Rome,2,6", "00,30,Rome,3,7"],
        &["30,40,Rome,1,8", "30,2026-01-01T00:01:00,Rome,1,8"],
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_window_of_processing_time_is_that_of_its_batch_and_closes_by_the_clock() {
    let source = RateSource::new(10, "1s".parse().unwrap(), Some(3)).unwrap();
    let (rows, progress) = collect(|sink| {
        Query::new(source, Job::new().aggregate(count()), sink)
            .window("tumbling 1h on processing time".parse().unwrap())
            .finish(true)
    });
    // All within the hour, or two hours if the clock has just turned.
    let given: Vec<String> = rows.into_iter().flatten().collect();
    assert!(!given.is_empty() && given.len() <= 2);
    let total: i64 = given.iter().map(|row| row.rsplit(',').next().unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(total, 30);
    let hour = |at: i64| at - at.rem_euclid(3_600_000);
    let start = tidemill::column::Value::Int(hour(progress[0].at))
        .text(&tidemill::column::Type::Timestamp(tidemill::column::Unit::Milli));
    assert!(given[0].starts_with(&start), "{} {start}", given[0]);
    // Without a row more, a window is given when the clock has passed its end.
    let endless = RateSource::new(10, "1s".parse().unwrap(), Some(1)).unwrap();
    let given: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = {
        let given = Arc::clone(&given);
        Callback::new(move |output: &tidemill::stream::BatchOutput| {
            given.lock().unwrap().extend(texts(&output.rows));
            Ok(())
        })
    };
    let query = Query::new(NeverOver(endless), Job::new().aggregate(count()), sink)
        .window("tumbling 100ms on processing time".parse().unwrap())
        .start(&engine())
        .unwrap();
    let begun = std::time::Instant::now();
    while given.lock().unwrap().is_empty() && begun.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    query.stop();
    query.wait().unwrap();
    let given = given.lock().unwrap();
    assert!(given.len() == 1 && given[0].ends_with(",10"), "{given:?}");
}

#[test]
fn rows_that_are_not_grouped_are_given_as_they_are() {
    let (_dir, source) = files(&[
        "2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:02,Oslo,2\n",
        "2026-01-01T00:00:03,Bern,3\n2026-01-01T00:00:04,Oslo,4\n",
    ]);
    let job = Job::new()
        .filter(col("city").ne(tidemill::lit("Bern")))
        .map("double", parse("fare * 2").unwrap())
        .select(col("city"))
        .select(col("double").named("twice"))
        .select(col("*"));
    let clash = Query::new(source, job, Callback::new(|_| Ok(()))).start(&engine()).unwrap_err().to_string();
    assert!(clash.contains("two output columns are called 'city'"), "{clash}");
    let (_dir, source) = files(&[
        "2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:02,Oslo,2\n",
        "2026-01-01T00:00:03,Bern,3\n2026-01-01T00:00:04,Oslo,4\n",
    ]);
    let job = Job::new().filter(col("city").ne(tidemill::lit("Bern"))).select(col("city")).select(col("fare"));
    let (rows, progress) = collect(|sink| Query::new(source, job, sink).limits(ONE_FILE));
    assert_eq!(rows, [vec!["Rome,1".to_owned(), "Oslo,2".into()], vec!["Oslo,4".into()]]);
    assert_eq!((progress[1].rows_read, progress[1].rows_filtered, progress[1].rows_emitted), (2, 1, 1));
}

#[test]
fn distinct_rows_are_the_first_of_their_keys_over_all_batches() {
    let files_of = || {
        files(&[
            "2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:02,Rome,2\n2026-01-01T00:00:03,Oslo,4\n",
            "2026-01-01T00:00:04,Oslo,8\n2026-01-01T00:00:20,Bern,16\n,Rome,1\n",
            // The watermark is 15: what is before it is late; Rome and Oslo, let through at 2 and 3, have been forgotten.
            "2026-01-01T00:00:09,Bern,32\n2026-01-01T00:00:21,Rome,64\n2026-01-01T00:00:22,Bern,128\n",
        ])
    };
    let (_dir, source) = files_of();
    let job = Job::new().filter(col("fare").ne(tidemill::lit(1))).select(col("city")).select(col("fare"));
    let (rows, progress) = collect(|sink| {
        Query::new(source, job, sink)
            .distinct([tidemill::plan::Named::from(col("city"))])
            .event_time(col("time"))
            .watermark("5s".parse().unwrap())
            .limits(ONE_FILE)
    });
    assert_eq!(rows, [vec!["Rome,2", "Oslo,4"], vec!["Bern,16"], vec!["Rome,64"]]);
    let counts: Vec<_> = progress
        .iter()
        .map(|p| (p.rows_read, p.rows_filtered, p.rows_late, p.rows_untimed, p.rows_duplicate, p.keys_seen))
        .collect();
    assert_eq!(counts, [(3, 1, 0, 0, 0, 2), (3, 1, 0, 0, 1, 1), (3, 0, 1, 0, 1, 2)]);
}

#[test]
fn a_second_stage_is_over_each_window_for_itself() {
    let lines = [
        "2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:02,Rome,2\n2026-01-01T00:00:03,Oslo,4\n2026-01-01T00:00:04,Bern,9\n",
        "2026-01-01T00:00:11,Oslo,8\n2026-01-01T00:00:12,Oslo,8\n2026-01-01T00:00:13,Bern,16\n2026-01-01T00:00:40,Bern,1\n",
    ];
    let short = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
        rows.iter().map(|rows| rows.iter().map(|r| r.replace("2026-01-01T00:00:", "")).collect()).collect()
    };
    let of = |then: Vec<Job>, mode: OutputMode| {
        let (_dir, source) = files(&lines);
        let (rows, _) = collect(|sink| {
            let query = Query::new(source, job(), sink).window("tumbling 10s on time".parse().unwrap()).mode(mode);
            let query = then.into_iter().fold(query, Query::then).limits(ONE_FILE).finish(true);
            if mode == OutputMode::Append { query.watermark("0s".parse().unwrap()) } else { query }
        });
        short(rows)
    };
    let most = Job::new().aggregate(tidemill::aggregate::max(col("trips")).named("most")).aggregate(count().named("n"));
    let expected: [&[&str]; 3] = [&[], &["00,10,2,3", "10,20,2,2"], &["40,50,1,1"]];
    assert_eq!(of(vec![most.clone()], OutputMode::Append), expected);
    let complete: [&[&str]; 2] = [&["00,10,2,3"], &["00,10,2,3", "10,20,2,2", "40,50,1,1"]];
    assert_eq!(of(vec![most.clone()], OutputMode::Complete), complete);
    // The first by trips, then by fares; and a third stage over that.
    let first = Job::new().by(["city", "trips", "total"]).order_by("trips desc, total desc").unwrap().limit(1);
    let expected: [&[&str]; 3] = [&[], &["00,10,Rome,2,3", "10,20,Oslo,2,16"], &["40,50,Bern,1,1"]];
    assert_eq!(of(vec![first.clone()], OutputMode::Append), expected);
    let third = Job::new().filter(col("city").ne(tidemill::lit("Oslo"))).select(col("city"));
    let expected: [&[&str]; 3] = [&[], &["Rome"], &["Bern"]];
    assert_eq!(of(vec![first, third], OutputMode::Append), expected);
}

#[test]
fn rows_are_given_the_columns_of_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cities.csv");
    std::fs::write(&path, "name,country,people\nRome,it,2.8\nOslo,no,0.7\nBern,ch,0.1\n").unwrap();
    let table = || Input::open(&[&path], &OpenOptions::default()).unwrap();
    let lines = [
        "2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:02,Paris,2\n2026-01-01T00:00:03,Oslo,4\n",
        "2026-01-01T00:00:11,Bern,8\n2026-01-01T00:00:12,Rome,8\n2026-01-01T00:00:13,,16\n",
    ];
    let lookup = || tidemill::stream::Lookup::new(table(), "city", "name");
    let job = Job::new()
        .map("place", parse("coalesce(country, 'elsewhere')").unwrap())
        .by(["place"])
        .aggregate(sum(col("fare")).named("total"));
    let (_dir, source) = files(&lines);
    let (rows, progress) = collect(|sink| {
        Query::new(source, job.clone(), sink).lookup(lookup()).mode(OutputMode::Complete).limits(ONE_FILE)
    });
    assert_eq!(rows[1], ["ch,8", "elsewhere,18", "it,9", "no,4"]);
    assert_eq!((progress[1].rows_read, progress[1].rows_grouped), (3, 3));
    // Rows, and distinct ones by a column of the table.
    let rows_of = Job::new().filter(col("people").is_not_null()).select(col("*"));
    let (_dir, source) = files(&lines);
    let (rows, progress) = collect(|sink| {
        Query::new(source, rows_of.clone(), sink)
            .lookup(lookup())
            .distinct([tidemill::plan::Named::from(col("country"))])
            .limits(ONE_FILE)
    });
    assert_eq!(
        rows.concat(),
        ["2026-01-01T00:00:01,Rome,1,it,2.8", "2026-01-01T00:00:03,Oslo,4,no,0.7", "2026-01-01T00:00:11,Bern,8,ch,0.1"]
    );
    assert_eq!((progress[1].rows_filtered, progress[1].rows_duplicate), (1, 1));
    let refused = |lookup, text: &str| {
        let (_dir, source) = files(&lines);
        let query = Query::new(source, rows_of.clone(), Callback::new(|_| Ok(()))).lookup(lookup);
        let error = query.start(&engine()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    };
    refused(tidemill::stream::Lookup::new(table(), "town", "name"), "the stream has no column 'town'");
    refused(tidemill::stream::Lookup::new(table(), "city", "town"), "has no column 'town'");
    std::fs::write(&path, "name,country,people\nRome,it,2.8\nOslo,no,0.7\nRome,us,0.1\n").unwrap();
    refused(lookup(), "has 'Rome' twice as 'name', in rows 1 and 3");
}

#[test]
fn what_is_remembered_of_distinct_rows_is_there_after_a_restart_and_a_changed_table_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, source) = files(&["2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:02,Oslo,2\n"]);
    drop(source);
    let path = dir.path().join("cities.csv");
    let put_table = |country: &str| std::fs::write(&path, format!("name,country\nRome,{country}\n")).unwrap();
    put_table("it");
    let query = |given: &Arc<Mutex<Vec<String>>>, fails: bool| {
        let source =
            FolderSource::new(folder.path().to_str().unwrap(), FileOrder::Name, OpenOptions::default()).unwrap();
        let given = Arc::clone(given);
        let sink = Callback::new(move |output: &tidemill::stream::BatchOutput| {
            if fails {
                return Err(tidemill::Error::usage("the sink fails"));
            }
            given.lock().unwrap().extend(texts(&output.rows));
            Ok(())
        });
        let job = Job::new().select(col("city")).select(col("country")).select(col("fare"));
        Query::new(source, job, sink)
            .distinct([tidemill::plan::Named::from(col("city"))])
            .lookup(tidemill::stream::Lookup::new(
                Input::open(&[&path], &OpenOptions::default()).unwrap(),
                "city",
                "name",
            ))
            .limits(ONE_FILE)
            .checkpoint(dir.path().join("checkpoint"))
            .trigger(Trigger::AvailableNow)
    };
    let given = Arc::default();
    query(&given, false).start(&engine()).unwrap().wait().unwrap();
    std::fs::write(folder.path().join("1.csv"), "time,city,fare\n,Rome,4\n,Bern,8\n").unwrap();
    let failed = query(&given, true).start(&engine()).unwrap().wait().unwrap_err().to_string();
    assert!(failed.contains("the sink fails"));
    put_table("at");
    let changed = query(&given, false).start(&engine()).unwrap().wait().unwrap_err().to_string();
    assert!(changed.contains("has changed since batch 1 was begun"), "{changed}");
    put_table("it");
    query(&given, false).start(&engine()).unwrap().wait().unwrap();
    put_table("at");
    std::fs::write(folder.path().join("2.csv"), "time,city,fare\n,Bern,16\n,Rome,32\n,Bonn,64\n").unwrap();
    query(&given, false).start(&engine()).unwrap().wait().unwrap();
    assert_eq!(*given.lock().unwrap(), ["Rome,it,1", "Oslo,,2", "Bern,,8", "Bonn,,64"]);
}

#[test]
fn strings_of_closed_windows_are_given_back() {
    // Ten thousand texts a window that no other has: half a million in all.
    let job = || {
        let key = parse("concat('a key that is not short ', cast(value - value % 2 as string))").unwrap();
        let last = parse("max(concat('x', cast(value as string)))").unwrap();
        let keys = Job::new().map("key", key).by(["key"]).aggregate(count().named("rows"));
        keys.aggregate(tidemill::plan::Named { name: Some("last".into()), expr: last })
    };
    let source = || RateSource::new(20_000, "1s".parse().unwrap(), Some(50)).unwrap();
    let (given, told) = collect(|sink| {
        let query = Query::new(source(), job(), sink).window("tumbling 1s on timestamp".parse().unwrap());
        query.watermark("0s".parse().unwrap()).finish(true)
    });
    let bytes: Vec<u64> = told.iter().map(|progress| progress.state_bytes).collect();
    let (early, late) = (bytes[..15].iter().max().unwrap(), bytes[15..].iter().max().unwrap());
    assert!(late < &(early * 3 / 2), "{bytes:?}");
    // Each text is there once, with what belongs to it.
    let rows: Vec<String> = given.concat();
    assert_eq!(rows.len(), 500_000);
    let mut seen = std::collections::BTreeSet::new();
    for row in &rows {
        let cells: Vec<&str> = row.split(',').collect();
        let number: u64 = cells[2].rsplit(' ').next().unwrap().parse().unwrap();
        let last = [number, number + 1].map(|value| format!("x{value}")).into_iter().max().unwrap();
        assert_eq!((cells[3], cells[4]), ("2", last.as_str()), "{row}");
        assert!(seen.insert(number));
    }
}

/// A source that may have more at any time.
struct NeverOver(RateSource);
impl tidemill::stream::Source for NeverOver {
    fn description(&self) -> String {
        self.0.description()
    }
    fn is_replayable(&self) -> bool {
        true
    }
    fn schema(
        &mut self,
        known: Option<&tidemill::column::Schema>,
    ) -> tidemill::Result<Option<tidemill::column::Schema>> {
        self.0.schema(known)
    }
    fn plan(&mut self, limits: &Limits) -> tidemill::Result<Option<serde_json::Value>> {
        self.0.plan(limits)
    }
    fn replay(&mut self, range: &serde_json::Value) -> tidemill::Result<()> {
        self.0.replay(range)
    }
    fn open(
        &mut self,
        range: &serde_json::Value,
        schema: &tidemill::column::Schema,
    ) -> tidemill::Result<Arc<dyn tidemill::input::Source>> {
        self.0.open(range, schema)
    }
    fn position(&self) -> serde_json::Value {
        self.0.position()
    }
    fn restore(&mut self, position: &serde_json::Value) -> tidemill::Result<()> {
        self.0.restore(position)
    }
}

#[test]
fn a_source_that_fell_silent_does_not_hold_the_watermark_for_ever() {
    use std::sync::atomic::{AtomicI64, Ordering};
    for (window, mode) in [
        ("tumbling 10s on timestamp", OutputMode::Append),
        ("session 3s on timestamp", OutputMode::Append),
        ("tumbling 10s on timestamp", OutputMode::Update),
    ] {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let given: Arc<Mutex<Vec<String>>> = Arc::default();
        let told: Arc<Mutex<Vec<Progress>>> = Arc::default();
        let sink = {
            let given = Arc::clone(&given);
            Callback::new(move |output: &tidemill::stream::BatchOutput| {
                given.lock().unwrap().extend(texts(&output.rows));
                Ok(())
            })
        };
        let source = NeverOver(RateSource::new(10, "1s".parse().unwrap(), Some(3)).unwrap());
        let query = Query::new(source, Job::new().aggregate(count()), sink)
            .window(window.parse().unwrap())
            .watermark("5s".parse().unwrap())
            .mode(mode)
            .idle("30s".parse().unwrap())
            .clock({
                let clock = Arc::clone(&clock);
                Arc::new(move || clock.load(Ordering::SeqCst))
            })
            .listen({
                let told = Arc::clone(&told);
                move |progress| told.lock().unwrap().push(progress.clone())
            })
            .start(&engine())
            .unwrap();
        let batches = |n: usize| {
            let begun = std::time::Instant::now();
            while told.lock().unwrap().len() < n && begun.elapsed().as_secs() < 20 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            // Long enough for one more look at the source.
            std::thread::sleep(std::time::Duration::from_millis(250));
            told.lock().unwrap().len()
        };
        assert_eq!(batches(3), 3);
        let before = given.lock().unwrap().len();
        clock.fetch_add(29_999, Ordering::SeqCst);
        assert_eq!(batches(3), 3, "{window}");
        clock.fetch_add(1, Ordering::SeqCst);
        // One batch without rows; then there is nothing that time could close.
        assert_eq!(batches(4), 4, "{window}");
        clock.fetch_add(1_000_000, Ordering::SeqCst);
        assert_eq!(batches(4), 4, "{window}");
        query.stop();
        query.wait().unwrap();
        let last = told.lock().unwrap().last().unwrap().clone();
        // The last row was at 2.9 s: less the delay, and the time of silence.
        assert_eq!((last.rows_read, last.groups, last.watermark), (0, 0, Some(2_900 - 5_000 + 30_000)), "{window}");
        let given = given.lock().unwrap();
        match mode {
            OutputMode::Append => assert!(before == 0 && given.len() == 1 && given[0].ends_with(",30"), "{given:?}"),
            _ => assert_eq!(given.len(), before),
        }
    }
    let refused = Query::new(
        RateSource::new(1, "1s".parse().unwrap(), None).unwrap(),
        Job::new().aggregate(count()),
        Callback::new(|_| Ok(())),
    );
    let error = refused.mode(OutputMode::Update).idle("1s".parse().unwrap()).start(&engine()).unwrap_err().to_string();
    assert!(error.contains("there is no watermark"), "{error}");
}

#[test]
fn batches_are_fitted_to_the_time_they_may_take() {
    let source = RateSource::new(1_000_000, "1s".parse().unwrap(), Some(4)).unwrap();
    let (rows, progress) = collect(|sink| {
        Query::new(source, Job::new().aggregate(sum(col("value"))), sink)
            .mode(OutputMode::Update)
            .max_latency("20ms".parse().unwrap())
    });
    assert_eq!(progress[0].rows_read, 10_000);
    assert!(progress.iter().any(|p| p.rows_read > 10_000), "it never grew");
    assert_eq!(progress.iter().map(|p| p.rows_read).sum::<u64>(), 4_000_000);
    let n: i64 = 4_000_000;
    assert_eq!(rows.last().unwrap()[0], (n * (n - 1) / 2).to_string());
}

#[test]
fn a_query_that_was_finished_goes_on_with_what_is_later() {
    for window in ["tumbling 10s on time", "sliding 10s every 5s on time", "session 3s on time"] {
        let (folder, source) = files(&["2026-01-01T00:00:01,Rome,1\n2026-01-01T00:00:02,Rome,2\n"]);
        drop(source);
        let checkpoint = folder.path().join(".checkpoint");
        let run = || {
            let pattern = format!("{}/*.csv", folder.path().display());
            let source = FolderSource::new(&pattern, FileOrder::Name, OpenOptions::default()).unwrap();
            collect(|sink| {
                Query::new(source, job(), sink)
                    .window(window.parse().unwrap())
                    .watermark("0s".parse().unwrap())
                    .checkpoint(&checkpoint)
                    .finish(true)
            })
        };
        let rows =
            |given: &[Vec<String>]| given.concat().iter().map(|r| r.rsplit(',').next().unwrap().into()).collect();
        let first: Vec<String> = rows(&run().0);
        assert!(first.iter().all(|total| total == "3") && !first.is_empty(), "{window}: {first:?}");
        // One row for a window that was given, one for later ones.
        std::fs::write(
            folder.path().join("1.csv"),
            "time,city,fare\n2026-01-01T00:00:01,Rome,4\n2026-01-01T00:00:29,Rome,8\n",
        )
        .unwrap();
        let (given, progress) = run();
        let second: Vec<String> = rows(&given);
        assert_eq!(progress.iter().map(|p| p.rows_late).sum::<u64>(), 1, "{window}");
        assert!(second.iter().all(|total| total == "8") && second.len() == first.len(), "{window}: {second:?}");
    }
}
