//! The Yahoo Streaming Benchmark as one query: `cargo run --release --example ysb [EVENTS]`.
//!
//! Ads are viewed, clicked and bought from; which campaign an ad belongs to stands in a table. Views are counted by campaign in windows of
//! ten seconds (Chintapalli et al., "Benchmarking Streaming Computation Engines", IPDPSW 2016, without its Kafka and Redis). The result
//! is compared with a plain count of the same events.
//!
//! The same from files, in a shell:
//!
//! ```sh
//! tidemill stream --source 'dir:events/*.parquet' --where "event_type = 'view'" --lookup 'ads.csv on ad_id = ad' \
//!   --by campaign 'count() as views' --window 'tumbling 10s on event_time' --watermark 1s --sink csv:views
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
use serde_json::{Value, json};
use tidemill::aggregate::count;
use tidemill::column::Schema;
use tidemill::output::value_text;
use tidemill::stream::{Callback, Limits, Lookup, Query, Source, Trigger};
use tidemill::{Engine, Error, Input, Job, Result, col, input, lit};

const CAMPAIGNS: u64 = 100;
const ADS_PER_CAMPAIGN: u64 = 10;
const EVENTS_PER_SECOND: u64 = 10_000;
const EVENTS_PER_BATCH: u64 = 5_000;
const TYPES: [&str; 3] = ["view", "click", "purchase"];

/// A number that looks random and is a function of another (SplitMix64; Steele, Lea & Flood 2014).
fn scrambled(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The ad, what was done, and the time in milliseconds of an event: a function of its number.
fn event(number: u64) -> (u64, &'static str, i64) {
    let draw = scrambled(number + 1);
    let kind = TYPES[(draw >> 32) as usize % TYPES.len()];
    (draw % (CAMPAIGNS * ADS_PER_CAMPAIGN), kind, (number * 1000 / EVENTS_PER_SECOND) as i64)
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<Input> {
    let wrong = |e: arrow_schema::ArrowError| Error::Usage { message: e.to_string(), help: None };
    let batch = RecordBatch::try_from_iter(columns).map_err(wrong)?;
    Input::batches(batch.schema(), vec![batch])
}

fn name(what: &str, number: u64) -> String {
    format!("{what}-{number:04}")
}

/// The events of a range of numbers as rows.
fn rows(from: u64, to: u64) -> Result<Input> {
    let events: Vec<_> = (from..to).map(event).collect();
    let ads: StringArray = events.iter().map(|(ad, ..)| Some(name("ad", *ad))).collect();
    let kinds: StringArray = events.iter().map(|(_, kind, _)| Some(*kind)).collect();
    let times = TimestampMillisecondArray::from_iter_values(events.iter().map(|(.., time)| *time));
    batch(vec![("ad_id", Arc::new(ads)), ("event_type", Arc::new(kinds)), ("event_time", Arc::new(times))])
}

/// A source of one's own: it knows which numbers come next, and makes any range of them again.
struct Events {
    next: u64,
    end: u64,
}

impl Events {
    fn range(json: &Value) -> Result<(u64, u64)> {
        let end = |name: &str| json.get(name).and_then(Value::as_u64);
        end("from")
            .zip(end("to"))
            .ok_or_else(|| Error::Usage { message: format!("no range of events: {json}"), help: None })
    }
}

impl Source for Events {
    fn description(&self) -> String {
        format!("{} events", self.end)
    }

    fn is_replayable(&self) -> bool {
        true
    }

    fn schema(&mut self, _: Option<&Schema>) -> Result<Option<Schema>> {
        Ok(Some(rows(0, 0)?.source().schema().clone()))
    }

    fn plan(&mut self, _: &Limits) -> Result<Option<Value>> {
        let to = (self.next + EVENTS_PER_BATCH).min(self.end);
        let range = json!({ "from": self.next, "to": to });
        Ok((std::mem::replace(&mut self.next, to) < to).then_some(range))
    }

    fn replay(&mut self, range: &Value) -> Result<()> {
        self.next = Events::range(range)?.1;
        Ok(())
    }

    fn open(&mut self, range: &Value, _: &Schema) -> Result<Arc<dyn input::Source>> {
        let (from, to) = Events::range(range)?;
        Ok(Arc::clone(rows(from, to)?.source()))
    }

    fn position(&self) -> Value {
        json!({ "from": 0, "to": self.next })
    }

    fn restore(&mut self, position: &Value) -> Result<()> {
        self.replay(position)
    }

    fn is_over(&self) -> bool {
        self.next == self.end
    }
}

/// Views by the start of their window and their campaign.
type Views = BTreeMap<(i64, String), u64>;

/// The same in a loop.
fn plain(events: u64) -> Views {
    let mut views = Views::new();
    for (ad, kind, time) in (0..events).map(event) {
        if kind == "view" {
            *views.entry((time - time % 10_000, name("campaign", ad / ADS_PER_CAMPAIGN))).or_default() += 1;
        }
    }
    views
}

fn main() -> Result<()> {
    let wrong = |text: String| Error::Usage { message: format!("'{text}' is no number of events"), help: None };
    let events = std::env::args().nth(1).map(|text| text.parse().map_err(|_| wrong(text)));
    run(events.unwrap_or(Ok(400_000))?)
}

/// Runs the query over so many events, and counts them once more.
pub fn run(events: u64) -> Result<()> {
    let ads = 0..CAMPAIGNS * ADS_PER_CAMPAIGN;
    let campaigns = batch(vec![
        ("ad", Arc::new(ads.clone().map(|ad| Some(name("ad", ad))).collect::<StringArray>())),
        ("campaign", Arc::new(ads.map(|ad| Some(name("campaign", ad / ADS_PER_CAMPAIGN))).collect::<StringArray>())),
    ])?;

    let given: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = {
        let given = Arc::clone(&given);
        Callback::new(move |output| {
            let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
            for rows in &output.rows {
                for row in 0..rows.num_rows() {
                    let cells = rows.columns().iter().map(|column| value_text(column, row));
                    given.push(cells.collect::<Result<Vec<_>>>()?.join(","));
                }
            }
            Ok(())
        })
    };
    let job = Job::new().filter(col("event_type").eq(lit("view"))).by(["campaign"]).aggregate(count().named("views"));
    let summary = Query::new(Events { next: 0, end: events }, job, sink)
        .lookup(Lookup::new(campaigns, "ad_id", "ad"))
        .window("tumbling 10s on event_time".parse()?)
        .watermark("1s".parse()?)
        .trigger(Trigger::AvailableNow)
        .finish(true)
        .start(&Engine::new())?
        .wait()?;

    let expected = plain(events);
    let time =
        |ms: i64| tidemill::column::Value::Int(ms).text(&tidemill::Type::Timestamp(tidemill::column::Unit::Milli));
    let lines = expected
        .iter()
        .map(|((start, campaign), views)| format!("{},{},{campaign},{views}", time(*start), time(start + 10_000)));
    let mut given = given.lock().unwrap_or_else(PoisonError::into_inner).clone();
    given.sort();
    if given != lines.collect::<Vec<_>>() {
        return Err(Error::Usage { message: "the views are not those of a plain count".into(), help: None });
    }
    given.iter().take(3).for_each(|line| println!("{line}"));
    println!("… {} windows of campaigns, all as counted in a loop", given.len());
    eprintln!("{events} events in {} batches, {:.2} s with their making", summary.batches, summary.wall.as_secs_f64());
    Ok(())
}
