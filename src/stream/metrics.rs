//! What a query has done and holds, as metrics: the text format of Prometheus, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Progress;
use crate::column::Type;

/// The upper ends of the histogram of batch durations, in seconds; the last, infinity, is not written here.
const BUCKETS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The metrics of one query, from the batches that it is told of.
///
/// A clone is the same metrics: one listens to the query, another is asked for the text.
///
/// ```
/// use tidemill::stream::{Callback, Metrics, OutputMode, Query, RateSource, Trigger};
/// use tidemill::{Engine, Job, aggregate::count};
///
/// let metrics = Metrics::new();
/// let source = RateSource::new(100, "1s".parse()?, Some(3))?;
/// let query = Query::new(source, Job::new().aggregate(count()), Callback::new(|_| Ok(())))
///     .mode(OutputMode::Update)
///     .trigger(Trigger::AvailableNow)
///     .listen(metrics.listener());
/// query.start(&Engine::new())?.wait()?;
/// assert!(metrics.render().contains("\ntidemill_stream_rows_read_total 300\n"));
/// # Ok::<(), tidemill::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Totals>>);

/// What is added up over batches, and the last of them.
#[derive(Debug, Clone, Default)]
struct Totals {
    batches: u64,
    again: u64,
    read: u64,
    /// Rows by what became of them, as in the ledger of a batch.
    fates: [u64; FATES.len()],
    emitted: u64,
    bytes: u64,
    changed: u64,
    evicted: u64,
    /// Batches by the end of the bucket that they fall in; beyond the last end none counts them.
    buckets: [u64; BUCKETS.len()],
    wall: Duration,
    steps: BTreeMap<&'static str, Duration>,
    device_steps: BTreeMap<String, Duration>,
    devices: BTreeMap<String, u64>,
    /// The latest event time of all batches, in seconds since 1970.
    latest: Option<f64>,
    last: Progress,
}

const FATES: [&str; 6] = ["grouped", "filtered", "rejected", "late", "without_event_time", "duplicate"];

impl Progress {
    /// A time of `latest` or `watermark` in seconds since 1970; `None` where the query has no event time, and at the end of input
    /// that was finished, when every window is closed.
    pub fn seconds(&self, ticks: Option<i64>) -> Option<f64> {
        let ticks = ticks.filter(|&ticks| ticks != i64::MAX)? as f64;
        match self.time.as_ref()? {
            Type::Timestamp(unit) => Some(ticks / unit.per_second() as f64),
            Type::Date => Some(ticks * 86_400.0),
            _ => None,
        }
    }
}

impl Metrics {
    /// Metrics of a query that has done nothing yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// What [`Query::listen`](super::Query::listen) takes.
    pub fn listener(&self) -> impl FnMut(&Progress) + Send + 'static {
        let metrics = self.clone();
        move |progress| metrics.note(progress)
    }

    /// Adds a batch, for who has a listener of their own.
    pub fn note(&self, progress: &Progress) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(progress);
    }

    /// The text. It does not hold the query up: what is said is copied first.
    pub fn render(&self) -> String {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        totals.render(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()))
    }
}

impl Totals {
    fn note(&mut self, p: &Progress) {
        self.batches += 1;
        self.again += u64::from(p.is_again);
        self.read += p.rows_read;
        let fates = [p.rows_grouped, p.rows_filtered, p.rows_rejected, p.rows_late, p.rows_untimed, p.rows_duplicate];
        self.fates.iter_mut().zip(fates).for_each(|(sum, rows)| *sum += rows);
        self.emitted += p.rows_emitted;
        self.bytes += p.bytes_read;
        self.changed += p.groups_changed;
        self.evicted += p.groups_evicted;
        let seconds = p.wall.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|end| seconds <= *end) {
            self.buckets[bucket] += 1;
        }
        self.wall += p.wall;
        for (name, time) in &p.steps {
            *self.steps.entry(name).or_default() += *time;
        }
        for (name, time) in &p.device_steps {
            *self.device_steps.entry(name.clone()).or_default() += *time;
        }
        if !p.device.is_empty() {
            *self.devices.entry(p.device.clone()).or_default() += 1;
        }
        if let Some(latest) = p.seconds(p.latest) {
            self.latest = Some(self.latest.map_or(latest, |before| before.max(latest)));
        }
        // Neither rows set aside nor ranges are metrics, and they can be large.
        let words = |text: &str| text.to_owned();
        self.last = Progress {
            query: words(&p.query),
            source: words(&p.source),
            sink: words(&p.sink),
            batch: p.batch,
            at: p.at,
            groups: p.groups,
            state_bytes: p.state_bytes,
            keys_seen: p.keys_seen,
            watermark: p.watermark,
            // A batch that reads nothing does not say of which type times are.
            time: p.time.clone().or_else(|| self.last.time.take()),
            ..Progress::default()
        };
    }

    fn render(&self, now: f64) -> String {
        let mut page = Page(String::new());
        let last = &self.last;
        page.counter("batches", "Batches done by this process.", self.batches);
        page.counter("replayed_batches", "Of these, begun by an earlier process and done again.", self.again);
        page.counter("rows_read", "Rows read.", self.read);
        page.family("rows", "counter", "Rows read, by what became of them; they add up to those read.");
        for (fate, rows) in FATES.iter().zip(self.fates) {
            page.sample("rows_total", &[("fate", fate)], rows);
        }
        page.counter("rows_emitted", "Rows given to the sink.", self.emitted);
        page.counter("input_bytes", "Input bytes read.", self.bytes);
        page.counter("groups_changed", "Groups that batches changed.", self.changed);
        page.counter("groups_evicted", "Groups forgotten, for their windows are closed.", self.evicted);
        page.gauge("state_groups", "Groups of the state.", last.groups);
        page.gauge("state_bytes", "Bytes that the state and the strings in it take.", last.state_bytes);
        page.gauge("state_keys_seen", "Keys remembered to leave out rows that come again.", last.keys_seen);
        if let Some(latest) = self.latest {
            page.gauge("event_time_max_seconds", "The latest event time, in seconds since 1970.", latest);
        }
        if let Some(watermark) = last.seconds(last.watermark) {
            page.gauge("watermark_seconds", "The watermark, in seconds since 1970.", watermark);
            page.gauge("watermark_lag_seconds", "How far the watermark is behind the clock.", now - watermark);
        }
        self.durations(&mut page);
        page.family("device_batches", "counter", "Batches by the device that grouped their rows.");
        for (device, batches) in &self.devices {
            page.sample("device_batches_total", &[("device", device)], batches);
        }
        if self.batches > 0 {
            page.gauge("last_batch", "The number of the last batch that is done.", last.batch);
            let at = last.at as f64 / 1e3;
            page.gauge("last_batch_seconds", "When it was planned, in seconds since 1970.", at);
            page.family("info", "gauge", "The query, in words; always 1.");
            let words = [("query", &*last.query), ("source", &*last.source), ("sink", &*last.sink)];
            page.sample("info", &words, 1);
        }
        page.0
    }

    fn durations(&self, page: &mut Page) {
        page.family("batch_duration_seconds", "histogram", "From the plan of a batch to its commit.");
        let mut below = 0;
        for (end, batches) in BUCKETS.iter().zip(self.buckets) {
            below += batches;
            page.sample("batch_duration_seconds_bucket", &[("le", &end.to_string())], below);
        }
        page.sample("batch_duration_seconds_bucket", &[("le", "+Inf")], self.batches);
        page.sample("batch_duration_seconds_sum", &[], self.wall.as_secs_f64());
        page.sample("batch_duration_seconds_count", &[], self.batches);
        page.family("step_seconds", "counter", "Time by step of a batch.");
        for (step, time) in &self.steps {
            page.sample("step_seconds_total", &[("step", step)], time.as_secs_f64());
        }
        page.family("device_step_seconds", "counter", "Time on the device by step, added up over threads.");
        for (step, time) in &self.device_steps {
            page.sample("device_step_seconds_total", &[("step", step)], time.as_secs_f64());
        }
    }
}

/// The text as it grows.
struct Page(String);

impl Page {
    /// What stands before the samples of a metric. In this version of the format the name of a counter has its `_total` here too.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let total = if kind == "counter" { "_total" } else { "" };
        _ = writeln!(self.0, "# HELP tidemill_stream_{name}{total} {help}");
        _ = writeln!(self.0, "# TYPE tidemill_stream_{name}{total} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        _ = write!(self.0, "tidemill_stream_{name}");
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            _ = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
        }
        _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(&format!("{name}_total"), &[], value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::column::Unit;

    /// The samples of a text, each with its value; fails where the text is not as the format has it: every line a comment or a sample
    /// in its grammar, `HELP` and `TYPE` once and before the samples of their metric, those together, and none twice.
    fn parse(text: &str) -> BTreeMap<String, f64> {
        let name = |text: &str| {
            let ok = |(i, c): (usize, char)| {
                c.is_ascii_alphabetic() || c == '_' || c == ':' || (i > 0 && c.is_ascii_digit())
            };
            assert!(!text.is_empty() && text.chars().enumerate().all(ok), "a name: {text:?}");
            text.to_owned()
        };
        assert!(text.ends_with('\n'));
        let (mut samples, mut seen, mut helped) = (BTreeMap::new(), BTreeSet::new(), String::new());
        let mut family = (String::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (of, help) = rest.split_once(' ').unwrap();
                helped = name(of);
                assert!(!help.is_empty() && !help.contains('\\'), "{line}");
                assert!(seen.insert(helped.clone()), "twice: {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (of, kind) = rest.split_once(' ').unwrap();
                assert!(helped == of && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                family = (of.to_owned(), kind.to_owned());
            } else {
                let (id, value) = line.rsplit_once(' ').unwrap();
                let (base, labels) = id.split_once('{').map_or((id, None), |(base, rest)| (base, Some(rest)));
                let base = name(base);
                let own = match family.1.as_str() {
                    "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| base == family.0.clone() + end),
                    "counter" => base == family.0 && base.ends_with("_total"),
                    _ => base == family.0,
                };
                assert!(own, "{line} below {family:?}");
                let mut rest = labels.map_or("", |labels| labels.strip_suffix('}').unwrap());
                while !rest.is_empty() {
                    let (label, after) = rest.split_once("=\"").unwrap();
                    assert!(!name(label).contains(':'));
                    let (mut end, bytes) = (0, after.as_bytes());
                    while bytes[end] != b'"' {
                        if bytes[end] == b'\\' {
                            end += 1;
                            assert!(matches!(bytes[end], b'\\' | b'"' | b'n'), "{line}");
                        }
                        end += 1;
                    }
                    rest = &after[end + 1..];
                    if !rest.is_empty() {
                        rest = rest.strip_prefix(',').unwrap();
                    }
                }
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
                assert!(samples.insert(id.to_owned(), value).is_none(), "twice: {line}");
            }
        }
        samples
    }

    fn batch(number: u64, wall_ms: u64) -> Progress {
        Progress {
            query: "q".into(),
            batch: number,
            at: 5_000,
            source: "dir:a\\b \"c\"\nd".into(),
            sink: "callback".into(),
            rows_read: 21,
            rows_grouped: 6,
            rows_filtered: 5,
            rows_rejected: 4,
            rows_late: 3,
            rows_untimed: 2,
            rows_duplicate: 1,
            rows_emitted: 7,
            bytes_read: 1000,
            groups: 40 + number,
            state_bytes: 4096,
            latest: Some(90_000 - number as i64 * 1000),
            watermark: Some(80_500),
            time: Some(Type::Timestamp(Unit::Milli)),
            device: "cpu".into(),
            steps: vec![("addBatch", Duration::from_millis(wall_ms))],
            device_steps: vec![("upload".into(), Duration::from_millis(250))],
            wall: Duration::from_millis(wall_ms),
            ..Progress::default()
        }
    }

    #[test]
    fn batches_add_up_in_the_grammar_of_the_format() {
        let mut totals = Totals::default();
        let none = parse(&totals.render(0.0));
        assert_eq!(none["tidemill_stream_batches_total"], 0.0);
        assert!(!none.keys().any(|name| name.contains("watermark")), "{none:?}");
        for (number, wall) in [(0, 3), (1, 5), (2, 90_000)] {
            totals.note(&Progress { is_again: number == 0, ..batch(number, wall) });
        }
        let text = totals.render(100.0);
        let samples = parse(&text);
        for (name, value) in [
            ("batches_total", 3.0),
            ("replayed_batches_total", 1.0),
            ("rows_read_total", 63.0),
            ("rows_total{fate=\"grouped\"}", 18.0),
            ("rows_total{fate=\"filtered\"}", 15.0),
            ("rows_total{fate=\"rejected\"}", 12.0),
            ("rows_total{fate=\"late\"}", 9.0),
            ("rows_total{fate=\"without_event_time\"}", 6.0),
            ("rows_total{fate=\"duplicate\"}", 3.0),
            ("rows_emitted_total", 21.0),
            ("input_bytes_total", 3000.0),
            ("state_groups", 42.0),
            ("state_bytes", 4096.0),
            ("event_time_max_seconds", 90.0),
            ("watermark_seconds", 80.5),
            ("watermark_lag_seconds", 19.5),
            ("batch_duration_seconds_bucket{le=\"0.0025\"}", 0.0),
            ("batch_duration_seconds_bucket{le=\"0.005\"}", 2.0),
            ("batch_duration_seconds_bucket{le=\"60\"}", 2.0),
            ("batch_duration_seconds_bucket{le=\"+Inf\"}", 3.0),
            ("batch_duration_seconds_sum", 90.008),
            ("batch_duration_seconds_count", 3.0),
            ("step_seconds_total{step=\"addBatch\"}", 90.008),
            ("device_step_seconds_total{step=\"upload\"}", 0.75),
            ("device_batches_total{device=\"cpu\"}", 3.0),
            ("last_batch", 2.0),
            ("last_batch_seconds", 5.0),
            ("info{query=\"q\",source=\"dir:a\\\\b \\\"c\\\"\\nd\",sink=\"callback\"}", 1.0),
        ] {
            assert_eq!(samples.get(&format!("tidemill_stream_{name}")), Some(&value), "{name} in\n{text}");
        }
        // The batch that closes what is open moves the watermark beyond all times: there is none to show.
        totals.note(&Progress { watermark: Some(i64::MAX), time: None, ..batch(3, 1) });
        assert!(!totals.render(100.0).contains("watermark"));
    }
}
