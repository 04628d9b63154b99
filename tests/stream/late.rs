//! Any rows in any order, cut into any batches: each is accounted for, the late ones are those that the rule in docs/streaming.md says, and
//! what is given is what a run of the batch engine gives over the rows that were accepted.
//!
//! The rule is written here once more, row by row, in the plainest way; nothing of it is shared with the engine but the text of a window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value as Json, json};
use tidemill::aggregate::{count, max, sum};
use tidemill::column::Schema;
use tidemill::expr::parse;
use tidemill::stream::{BatchOutput, Callback, Limits, OutputMode, Progress, Query, Sink, Source, Trigger};
use tidemill::{Input, Job, Result, col, input};

use super::engine;
use super::queries::texts;

/// A row; times are milliseconds since 1970.
#[derive(Debug, Clone)]
struct Row {
    at: Option<i64>,
    key: Option<&'static str>,
    number: i64,
    /// Whether the filter is true for it.
    kept: bool,
    /// Whether its number can be read.
    sound: bool,
}

/// Batches of rows as a source.
struct Rows {
    batches: Vec<Vec<Row>>,
    next: usize,
}

fn columns(rows: &[Row]) -> RecordBatch {
    let text = |row: &Row| if row.sound { row.number.to_string() } else { "no number".into() };
    let times: TimestampMillisecondArray = rows.iter().map(|row| row.at).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("at", Arc::new(times)),
        ("key", Arc::new(rows.iter().map(|row| row.key).collect::<StringArray>())),
        ("text", Arc::new(rows.iter().map(|row| Some(text(row))).collect::<StringArray>())),
        ("kept", Arc::new(rows.iter().map(|row| Some(row.kept)).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn table(rows: &[Row]) -> Input {
    let batch = columns(rows);
    Input::batches(batch.schema(), vec![batch]).unwrap()
}

impl Rows {
    fn batch(range: &Json) -> usize {
        range["batch"].as_u64().unwrap() as usize
    }
}

impl Source for Rows {
    fn description(&self) -> String {
        "rows of a test".into()
    }

    fn is_replayable(&self) -> bool {
        true
    }

    fn schema(&mut self, _: Option<&Schema>) -> Result<Option<Schema>> {
        Ok(Some(table(&[]).source().schema().clone()))
    }

    fn plan(&mut self, _: &Limits) -> Result<Option<Json>> {
        let range = (self.next < self.batches.len()).then(|| json!({ "batch": self.next }));
        self.next += usize::from(range.is_some());
        Ok(range)
    }

    fn replay(&mut self, range: &Json) -> Result<()> {
        self.next = Rows::batch(range) + 1;
        Ok(())
    }

    fn open(&mut self, range: &Json, _: &Schema) -> Result<Arc<dyn input::Source>> {
        Ok(Arc::clone(table(&self.batches[Rows::batch(range)]).source()))
    }

    fn position(&self) -> Json {
        json!({ "batch": self.next })
    }

    fn restore(&mut self, position: &Json) -> Result<()> {
        self.next = Rows::batch(position);
        Ok(())
    }
}

/// What is known of a row that was accepted.
#[derive(Debug, Clone)]
struct Accepted {
    at: i64,
    key: Option<&'static str>,
    number: i64,
    /// The watermark before its batch, where it decides.
    watermark: Option<i64>,
}

/// A kind of windows, in plain words.
trait Rule: std::fmt::Debug {
    /// As a user writes them.
    fn texts(&self) -> Vec<String>;
    /// Whether a row at this time is late at a watermark.
    fn is_late(&self, at: i64, watermark: i64) -> bool;
    /// Whether a window that ends here is closed at a watermark.
    fn is_closed(&self, end: i64, watermark: i64) -> bool {
        end <= watermark
    }
    /// The groups of rows: their windows and keys.
    fn groups(&self, rows: &[Accepted]) -> BTreeMap<Group, Vec<i64>>;
    /// Whether groups never become one: what mode update needs.
    fn is_fixed(&self) -> bool {
        true
    }
}

/// Windows that begin every `slide` milliseconds.
#[derive(Debug, Clone, Copy)]
struct Grid {
    width: i64,
    slide: i64,
}

impl Grid {
    fn text(&self) -> String {
        match self.width == self.slide {
            true => format!("tumbling {}ms on at", self.width),
            false => format!("sliding {}ms every {}ms on at", self.width, self.slide),
        }
    }

    fn windows(&self, at: i64) -> Vec<(i64, i64)> {
        // Every multiple of the slide anywhere near is asked whether its window has the time in it.
        let near = (at - self.width) / self.slide - 2..=at / self.slide + 2;
        let starts = near.map(|n| n * self.slide).filter(|start| *start <= at && at < start + self.width);
        starts.map(|start| (start, start + self.width)).collect()
    }
}

/// One grid, or several beside one another.
#[derive(Debug, Clone)]
struct Grids(Vec<Grid>);

impl Grids {
    fn windows(&self, at: i64) -> Vec<(i64, i64)> {
        self.0.iter().flat_map(|grid| grid.windows(at)).collect()
    }
}

/// Rows in each of their windows that had not ended before.
fn in_each(rows: &[Accepted], windows: impl Fn(i64) -> Vec<(i64, i64)>) -> BTreeMap<Group, Vec<i64>> {
    let mut groups: BTreeMap<Group, Vec<i64>> = BTreeMap::new();
    for row in rows {
        for window in windows(row.at) {
            if row.watermark.is_none_or(|watermark| window.1 > watermark) {
                groups.entry((window, row.key)).or_default().push(row.number);
            }
        }
    }
    groups
}

impl Rule for Grids {
    fn texts(&self) -> Vec<String> {
        self.0.iter().map(Grid::text).collect()
    }

    fn is_late(&self, at: i64, watermark: i64) -> bool {
        self.windows(at).iter().all(|(_, end)| *end <= watermark)
    }

    fn groups(&self, rows: &[Accepted]) -> BTreeMap<Group, Vec<i64>> {
        in_each(rows, |at| self.windows(at))
    }
}

/// Rows of a key that follow one another in less than a gap. What is late, and what is closed, is decided in steps of a tenth of it.
#[derive(Debug, Clone, Copy)]
struct Session(i64);

impl Session {
    fn step(self, time: i64) -> (i64, i64) {
        let width = (self.0 / 10).max(1);
        let start = time.div_euclid(width) * width;
        (start, start + width)
    }
}

impl Rule for Session {
    fn texts(&self) -> Vec<String> {
        vec![format!("session {}ms on at", self.0)]
    }

    fn is_late(&self, at: i64, watermark: i64) -> bool {
        self.step(at).1 <= watermark
    }

    fn is_closed(&self, end: i64, watermark: i64) -> bool {
        end <= self.step(watermark).0
    }

    fn groups(&self, rows: &[Accepted]) -> BTreeMap<Group, Vec<i64>> {
        let mut by_key: BTreeMap<_, Vec<(i64, i64)>> = BTreeMap::new();
        rows.iter().for_each(|row| by_key.entry(row.key).or_default().push((row.at, row.number)));
        let mut groups = BTreeMap::new();
        for (key, mut rows) in by_key {
            rows.sort_unstable();
            for session in rows.chunk_by(|before, after| after.0 - before.0 < self.0) {
                let window = (session[0].0, session[session.len() - 1].0 + self.0);
                groups.insert((window, key), session.iter().map(|row| row.1).collect());
            }
        }
        groups
    }

    fn is_fixed(&self) -> bool {
        false
    }
}

type Group = ((i64, i64), Option<&'static str>);

/// What the rule says of a batch.
#[derive(Debug, Default, PartialEq)]
struct Verdict {
    read: u64,
    filtered: u64,
    rejected: u64,
    late: u64,
    untimed: u64,
    grouped: u64,
    watermark: Option<i64>,
    /// The groups that are given, each with its numbers so far.
    given: BTreeMap<Group, Vec<i64>>,
    /// The late rows.
    late_rows: Vec<String>,
}

/// Goes through the rows, batch by batch. Also gives the groups of all that were accepted.
fn judge(
    batches: &[Vec<Row>],
    rule: &dyn Rule,
    delay: Option<i64>,
    mode: OutputMode,
) -> (Vec<Verdict>, BTreeMap<Group, Vec<i64>>) {
    let mut accepted: Vec<Accepted> = Vec::new();
    let mut groups: BTreeMap<Group, Vec<i64>> = BTreeMap::new();
    let mut watermark: Option<i64> = None;
    let mut verdicts = Vec::new();
    for rows in batches {
        let mut verdict = Verdict { read: rows.len() as u64, ..Verdict::default() };
        let mut latest = None;
        let mut late: Vec<Row> = Vec::new();
        // In mode complete nothing is forgotten, and so nothing is late.
        let decides = watermark.filter(|_| mode != OutputMode::Complete);
        for row in rows {
            match row.at {
                _ if !row.kept => verdict.filtered += 1,
                _ if !row.sound => verdict.rejected += 1,
                None => verdict.untimed += 1,
                Some(at) => {
                    // A late row has been seen, too.
                    latest = latest.max(Some(at));
                    if decides.is_some_and(|watermark| rule.is_late(at, watermark)) {
                        verdict.late += 1;
                        late.push(row.clone());
                    } else {
                        verdict.grouped += 1;
                        accepted.push(Accepted { at, key: row.key, number: row.number, watermark: decides });
                    }
                }
            }
        }
        verdict.late_rows = texts(&[columns(&late)]);
        let before = watermark;
        if let (Some(latest), Some(delay)) = (latest, delay) {
            watermark = watermark.max(Some(latest - delay));
        }
        let now = rule.groups(&accepted);
        let closed = |end: i64, at: Option<i64>| at.is_some_and(|watermark| rule.is_closed(end, watermark));
        let given = |group: &Group, numbers: &[i64]| match mode {
            OutputMode::Append => closed(group.0.1, watermark) && !closed(group.0.1, before),
            OutputMode::Update => groups.get(group).is_none_or(|before| before.len() < numbers.len()),
            OutputMode::Complete => true,
        };
        verdict.given = now.iter().filter(|(g, n)| given(g, n)).map(|(g, n)| (*g, n.clone())).collect();
        verdict.watermark = watermark;
        verdicts.push(verdict);
        groups = now;
    }
    (verdicts, groups)
}

/// The aggregates, of what the rows are called in a query and in a table of accepted rows.
fn aggregates(job: Job) -> Job {
    job.aggregate(count().named("rows"))
        .aggregate(sum(col("number")).named("sum"))
        .aggregate(max(col("number")).named("max"))
        .aggregate(sum(parse("number * 0.1").unwrap()).named("tenths"))
}

/// The accepted rows, a row for each window, through the batch engine.
fn batch_engine(groups: &BTreeMap<Group, Vec<i64>>) -> BTreeSet<String> {
    let rows: Vec<(Group, i64)> =
        groups.iter().flat_map(|(group, numbers)| numbers.iter().map(|number| (*group, *number))).collect();
    let times = |of: fn(&Group) -> i64| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|(group, _)| of(group))))
    };
    let columns: [(&str, ArrayRef); 4] = [
        ("window_start", times(|group| group.0.0)),
        ("window_end", times(|group| group.0.1)),
        ("key", Arc::new(rows.iter().map(|(group, _)| group.1).collect::<StringArray>())),
        ("number", Arc::new(rows.iter().map(|(_, number)| Some(*number)).collect::<Int64Array>())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    let input = Input::batches(batch.schema(), vec![batch]).unwrap();
    let job = aggregates(Job::new().by(["window_start", "window_end", "key"]));
    texts(&engine().run(&job, &input).unwrap().batches).into_iter().collect()
}

/// What a row of the output says: its group and its whole numbers, by plain arithmetic.
fn plain(group: &Group, numbers: &[i64]) -> String {
    let time = |ms: i64| {
        // Half a minute around 1970 is all that is drawn.
        let (day, second) = if ms < 0 { ("1969-12-31T23:59", ms + 60_000) } else { ("1970-01-01T00", ms) };
        let (minutes, rest) = (second / 60_000, second % 60_000);
        let clock = if ms < 0 { String::new() } else { format!(":{minutes:02}") };
        let thousandths = match rest % 1000 {
            0 => String::new(),
            n => format!(".{n:03}"),
        };
        format!("{day}{clock}:{:02}{thousandths}", rest / 1000)
    };
    let ((start, end), key) = group;
    let (sum, max) = (numbers.iter().sum::<i64>(), numbers.iter().max().unwrap());
    format!("{},{},{},{},{sum},{max},", time(*start), time(*end), key.unwrap_or(""), numbers.len())
}

/// A sink that keeps the rows of every batch as texts.
fn keeper() -> (Arc<Mutex<Vec<Vec<String>>>>, impl Sink + 'static) {
    let given: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let kept = Arc::clone(&given);
    let sink = Callback::new(move |output: &BatchOutput| {
        kept.lock().unwrap().push(texts(&output.rows));
        Ok(())
    });
    (given, sink)
}

/// What a query gave, batch by batch.
struct Given {
    rows: Vec<Vec<String>>,
    late: Vec<Vec<String>>,
    rejects: Vec<Vec<String>>,
    told: Vec<Progress>,
}

/// The rows of every batch, and its account.
fn stream(batches: &[Vec<Row>], rule: &dyn Rule, delay: Option<i64>, mode: OutputMode) -> Given {
    let job =
        aggregates(Job::new().filter(col("kept")).map("number", parse("cast(text as int64)").unwrap()).by(["key"]));
    let told: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let ((given, sink), (late, late_sink), (rejects, rejects_sink)) = (keeper(), keeper(), keeper());
    let listen = {
        let told = Arc::clone(&told);
        move |progress: &Progress| told.lock().unwrap().push(progress.clone())
    };
    let source = Rows { batches: batches.to_vec(), next: 0 };
    let query = Query::new(source, job, sink).mode(mode).trigger(Trigger::AvailableNow).finish(true).listen(listen);
    let query = query.rejects(rejects_sink);
    let mut query = rule.texts().iter().fold(query, |query, text| query.window(text.parse().unwrap()));
    if let Some(delay) = delay {
        query = query.watermark(format!("{delay}ms").parse().unwrap()).late(late_sink);
    }
    query.start(&engine().max_rejects(u64::MAX)).unwrap().wait().unwrap();
    let take = |kept: &Mutex<Vec<Vec<String>>>| std::mem::take(&mut *kept.lock().unwrap());
    let told = std::mem::take(&mut *told.lock().unwrap());
    Given { rows: take(&given), late: take(&late), rejects: take(&rejects), told }
}

/// What is wrong with what a query over these batches gives, if anything.
fn check(batches: &[Vec<Row>], rule: &dyn Rule, delay: Option<i64>, mode: OutputMode) -> Result<(), TestCaseError> {
    compare(batches, rule, judge(batches, rule, delay, mode), delay, mode)
}

fn compare(
    batches: &[Vec<Row>],
    rule: &dyn Rule,
    judged: (Vec<Verdict>, BTreeMap<Group, Vec<i64>>),
    delay: Option<i64>,
    mode: OutputMode,
) -> Result<(), TestCaseError> {
    let (verdicts, accepted) = judged;
    let Given { rows: given, late, rejects, told } = stream(batches, rule, delay, mode);
    // One more if windows were open at the end.
    prop_assert!(told.len() == batches.len() || (mode == OutputMode::Append && told.len() == batches.len() + 1));
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for (at, (verdict, progress)) in verdicts.iter().zip(&told).enumerate() {
        let counted = Verdict {
            read: progress.rows_read,
            filtered: progress.rows_filtered,
            rejected: progress.rows_rejected,
            late: progress.rows_late,
            untimed: progress.rows_untimed,
            grouped: progress.rows_grouped,
            watermark: progress.watermark,
            given: verdict.given.clone(),
            late_rows: late.get(at).cloned().unwrap_or_default(),
        };
        prop_assert_eq!(verdict, &counted, "batch {}", at);
        prop_assert_eq!(progress.rejects.len() as u64, progress.rows_rejected);
        prop_assert_eq!(rejects[at].len() as u64, progress.rows_rejected);
        prop_assert!(rejects[at].iter().all(|row| row.contains("'no number'")), "{:?}", rejects[at]);
        let accounted = verdict.filtered + verdict.rejected + verdict.late + verdict.untimed + verdict.grouped;
        prop_assert_eq!(accounted, verdict.read);
        // The whole numbers of what was given, by plain arithmetic.
        let expected: BTreeSet<String> = verdict.given.iter().map(|(group, numbers)| plain(group, numbers)).collect();
        let found: BTreeSet<String> = given[at].iter().map(|row| row[..=row.rfind(',').unwrap()].to_owned()).collect();
        prop_assert_eq!(given[at].len(), found.len(), "a row twice in batch {}", at);
        prop_assert_eq!(&found, &expected, "batch {}", at);
    }
    // In all: each window once, or its last state; all of it is what the batch engine gives over the accepted rows.
    let total = |of: fn(&Progress) -> u64| told.iter().map(of).sum::<u64>();
    let rows: usize = batches.iter().map(Vec::len).sum();
    let gone = total(|p| p.rows_filtered + p.rows_rejected + p.rows_late + p.rows_untimed);
    prop_assert_eq!(total(|p| p.rows_grouped) + gone, rows as u64);
    let shown: Box<dyn Iterator<Item = &String>> = match mode {
        OutputMode::Complete => Box::new(given.last().into_iter().flatten()),
        _ => Box::new(given.iter().flatten()),
    };
    let mut count = 0;
    for row in shown {
        let group: String = row.split(',').take(3).collect::<Vec<_>>().join(",");
        let before = last.insert(group, row.clone());
        prop_assert!(before.is_none() || mode == OutputMode::Update, "{} came twice", row);
        count += 1;
    }
    prop_assert!(count >= last.len());
    prop_assert_eq!(last.into_values().collect::<BTreeSet<_>>(), batch_engine(&accepted));
    // Windows in their order, batch by batch; several kinds come one after the other.
    if rule.texts().len() == 1 {
        for rows in &given {
            let starts: Vec<&str> = rows.iter().map(|row| row.split(',').next().unwrap()).collect();
            prop_assert!(starts.is_sorted(), "{:?}", starts);
        }
    }
    Ok(())
}

fn row() -> impl Strategy<Value = Row> {
    let at = prop_oneof![20 => (-20_000i64..90_000).prop_map(Some), 1 => Just(None)];
    let key = prop::sample::select(vec![Some("a"), Some("b"), Some("a longer key than twelve bytes"), None]);
    let fate = prop_oneof![12 => Just((true, true)), 1 => Just((false, true)), 1 => Just((true, false))];
    (at, key, -50i64..50, fate).prop_map(|(at, key, number, (kept, sound))| Row { at, key, number, kept, sound })
}

/// Rows that come more or less in the order of their times, or in none, cut anywhere; a batch may be empty.
fn batches() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let rows = prop::collection::vec(row(), 1..60);
    (rows, prop::option::of(0i64..30_000), prop::collection::vec(0usize..9, 1..20)).prop_map(
        |(mut rows, jitter, sizes)| {
            if let Some(jitter) = jitter {
                // The number serves as the draw of the delay.
                rows.sort_by_key(|row| row.at.map(|at| at + (row.number + 50) * jitter / 100));
            }
            let mut batches = Vec::new();
            let mut sizes = sizes.into_iter().cycle();
            let mut empty = 0;
            while !rows.is_empty() {
                // Sizes that are all 0 would never come to an end.
                let size = if empty > 3 { 5 } else { sizes.next().unwrap_or(5) };
                empty = if size == 0 { empty + 1 } else { 0 };
                batches.push(rows.drain(..size.min(rows.len())).collect());
            }
            batches
        },
    )
}

/// Draws cases of a kind of windows; how many rows were late, grouped, and gone another way.
fn draw(rules: Vec<Arc<dyn Rule>>, cases: u32) -> (u64, u64, u64) {
    let delay = prop_oneof![Just(0), Just(1), 0i64..25_000];
    let mode = prop::sample::select(vec![OutputMode::Append, OutputMode::Update, OutputMode::Complete]);
    let drawn = (batches(), prop::sample::select(rules), delay, mode, any::<bool>());
    let seen = Mutex::new((0u64, 0u64, 0u64));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let done = runner.run(&drawn, |(batches, rule, delay, mode, watermark)| {
        let mode = if mode == OutputMode::Update && !rule.is_fixed() { OutputMode::Append } else { mode };
        // Append cannot do without one.
        let delay = (watermark || mode == OutputMode::Append).then_some(delay);
        let (verdicts, _) = judge(&batches, &*rule, delay, mode);
        let mut seen = seen.lock().unwrap();
        seen.0 += verdicts.iter().map(|v| v.late).sum::<u64>();
        seen.1 += verdicts.iter().map(|v| v.grouped).sum::<u64>();
        seen.2 += verdicts.iter().map(|v| v.rejected + v.filtered + v.untimed).sum::<u64>();
        drop(seen);
        check(&batches, &*rule, delay, mode)
    });
    if let Err(error) = done {
        panic!("{error}");
    }
    seen.into_inner().unwrap()
}

/// What was drawn must have had some of everything.
fn assert_varied((late, grouped, others): (u64, u64, u64), cases: u64) {
    assert!(
        late > cases && grouped > 10 * cases && others > 2 * cases,
        "{late} late, {grouped} grouped, {others} others"
    );
}

#[test]
fn every_row_is_accounted_for_and_windows_are_those_of_a_batch_run() {
    let grids = [(10_000, 10_000), (10_000, 2_000), (10_000, 3_000), (7_500, 7_500), (6_000, 4_000), (1_000, 1_000)];
    let rules = grids.map(|(width, slide)| Arc::new(Grids(vec![Grid { width, slide }])) as Arc<dyn Rule>);
    assert_varied(draw(rules.to_vec(), 300), 300);
}

#[test]
fn several_windows_are_each_those_of_a_batch_run() {
    let grid = |width, slide| Grid { width, slide };
    let rules: [Arc<dyn Rule>; 2] = [
        Arc::new(Grids(vec![grid(4_000, 4_000), grid(10_000, 10_000)])),
        Arc::new(Grids(vec![grid(1_500, 1_500), grid(6_000, 4_000), grid(9_000, 3_000)])),
    ];
    assert_varied(draw(rules.to_vec(), 100), 100);
}

#[test]
fn sessions_are_those_of_a_batch_run_and_of_a_plain_walk() {
    let rules = [10_000, 2_000, 777, 1].map(|gap| Arc::new(Session(gap)) as Arc<dyn Rule>);
    assert_varied(draw(rules.to_vec(), 300), 300);
}

/// A rule that thinks that a window has its end in it.
#[derive(Debug)]
struct WithEnds(Grid);

impl Rule for WithEnds {
    fn texts(&self) -> Vec<String> {
        vec![self.0.text()]
    }

    fn is_late(&self, at: i64, watermark: i64) -> bool {
        Grids(vec![self.0]).is_late(at, watermark)
    }

    fn groups(&self, rows: &[Accepted]) -> BTreeMap<Group, Vec<i64>> {
        let Grid { width, slide } = self.0;
        in_each(rows, |at| {
            let starts = ((at - width) / slide - 2..=at / slide + 2).map(|n| n * slide);
            starts.filter(|start| *start <= at && at <= start + width).map(|start| (start, start + width)).collect()
        })
    }
}

#[test]
fn another_rule_is_told_from_this_one() {
    let second = Grid { width: 1_000, slide: 1_000 };
    let grid = Grids(vec![second]);
    let row = |at| Row { at: Some(at), key: Some("a"), number: 1, kept: true, sound: true };
    let mode = OutputMode::Append;
    // Two seconds, one of them begun by the row that stands at the end of the other; then a row that is late by one millisecond.
    let batches = [vec![row(0), row(1_000)], vec![row(2_005)], vec![row(999)], vec![row(1_000)]];
    check(&batches, &grid, Some(1_000), mode).unwrap();
    let with_ends = WithEnds(second);
    assert!(check(&batches, &with_ends, Some(1_000), mode).is_err());
    for other in [999, 1_006, 0] {
        let judged = judge(&batches, &grid, Some(other), mode);
        assert!(compare(&batches, &grid, judged, Some(1_000), mode).is_err(), "{other}");
    }
    // The watermark as it is after a batch instead of before it, for the batch's own rows: as if each row were a batch.
    let rows: Vec<Row> = batches[0].iter().chain([&row(2_005), &row(3)]).cloned().collect();
    check(std::slice::from_ref(&rows), &grid, Some(0), mode).unwrap();
    let single: Vec<Vec<Row>> = rows.iter().map(|row| vec![row.clone()]).collect();
    let late = |batches: &[Vec<Row>]| judge(batches, &grid, Some(0), mode).0.iter().map(|v| v.late).sum::<u64>();
    assert_eq!((late(&[rows]), late(&single)), (0, 1));
    check(&single, &grid, Some(0), mode).unwrap();
}
