//! What the queries of Nexmark give is what plain code gives over the same bids.

#[path = "../examples/nexmark/queries.rs"]
mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use queries::{Nexmark, QUERIES};
use tidemill::column::{Type, Unit, Value};
use tidemill::input::Rule;
use tidemill::output::value_text;
use tidemill::stream::{BatchOutput, Callback, NexmarkSource, Trigger};
use tidemill::{Device, Engine};

/// Bids, 100 a second of event time: some sessions end, and windows have few bids and ties.
const BIDS: u64 = 12_000;
const WORDS: &str = "bid,events=12000,rows=1700,rate=100";

#[derive(Debug, Clone)]
struct Bid {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: String,
    url: String,
    at: i64,
    extra: String,
}

fn bids() -> Vec<Bid> {
    let rule = NexmarkSource::parse(WORDS).unwrap().rule();
    let schema = rule.schema();
    let column = |name: &str| rule.column(schema.index_of(name).unwrap(), 0..BIDS);
    let (auction, bidder, price, at) = (column("auction"), column("bidder"), column("price"), column("date_time"));
    let (channel, url, extra) = (column("channel"), column("url"), column("extra"));
    let text = |column: &arrow_array::ArrayRef, i: usize| column.as_string::<i32>().value(i).to_owned();
    (0..BIDS as usize)
        .map(|i| Bid {
            auction: auction.as_primitive::<Int64Type>().value(i),
            bidder: bidder.as_primitive::<Int64Type>().value(i),
            price: price.as_primitive::<Int64Type>().value(i),
            channel: text(&channel, i),
            url: text(&url, i),
            at: at.as_primitive::<TimestampMillisecondType>().value(i),
            extra: text(&extra, i),
        })
        .collect()
}

fn texts(batch: &RecordBatch) -> Vec<String> {
    let row = |row: usize| batch.columns().iter().map(|c| value_text(c, row).unwrap()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(row).collect()
}

/// The rows that a query gives, batch by batch.
fn run(name: &str) -> Vec<Vec<String>> {
    let given: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let sink = {
        let given = Arc::clone(&given);
        Callback::new(move |output: &BatchOutput| {
            given.lock().unwrap().push(output.rows.iter().flat_map(texts).collect());
            Ok(())
        })
    };
    let source = Box::new(NexmarkSource::parse(WORDS).unwrap());
    let query = Nexmark::named(name).unwrap().query(source, Box::new(sink)).unwrap();
    let query = query.trigger(Trigger::AvailableNow).finish(true);
    let summary = query.start(&Engine::new().device(Device::Cpu).threads(2)).unwrap().wait().unwrap();
    assert_eq!((summary.rows_read, summary.rows_late), (BIDS, 0), "{name}");
    std::mem::take(&mut *given.lock().unwrap())
}

fn all(name: &str) -> Vec<String> {
    run(name).concat()
}

/// What each key was given last; the first `keys` columns are the key.
fn last(name: &str, keys: usize) -> BTreeMap<String, String> {
    let split = |row: String| {
        let at = row.match_indices('|').nth(keys - 1).unwrap().0;
        (row[..at].to_owned(), row[at + 1..].to_owned())
    };
    run(name).concat().into_iter().map(split).collect()
}

fn time(ticks: i64) -> String {
    Value::Int(ticks).text(&Type::Timestamp(Unit::Milli))
}

fn day(at: i64) -> String {
    Value::Int(at.div_euclid(86_400_000)).text(&Type::Date)
}

fn float(value: f64) -> String {
    Value::Float(value).text(&Type::Float64)
}

#[test]
fn every_query_has_its_check() {
    let checked = ["q0", "q1", "q2", "q5", "q7", "q11", "q12", "q14", "q15", "q16", "q17", "q18", "q19", "q21", "q22"];
    assert_eq!(QUERIES.iter().map(|query| query.name).collect::<Vec<_>>(), checked);
    assert!(QUERIES.iter().all(|query| !query.about.is_empty()));
}

#[test]
fn rows_as_they_are() {
    let bids = bids();
    let of = |f: &dyn Fn(&Bid) -> Option<String>| bids.iter().filter_map(f).collect::<Vec<_>>();
    let Bid { .. } = bids[0];
    assert_eq!(all("q0"), of(&|b| Some(format!("{}|{}|{}|{}|{}", b.auction, b.bidder, b.price, time(b.at), b.extra))));
    let euros = |b: &Bid| 0.908 * b.price as f64;
    assert_eq!(
        all("q1"),
        of(&|b| Some(format!("{}|{}|{}|{}|{}", b.auction, b.bidder, float(euros(b)), time(b.at), b.extra)))
    );
    let some = of(&|b| (b.auction % 123 == 0).then(|| format!("{}|{}", b.auction, b.price)));
    assert!(!some.is_empty());
    assert_eq!(all("q2"), some);
    let range = of(&|b| {
        (euros(b) > 1e6 && euros(b) < 5e7).then(|| {
            let hour = b.at.rem_euclid(86_400_000) / 3_600_000;
            let when = match hour {
                8..=18 => "dayTime",
                0..=6 | 20.. => "nightTime",
                _ => "otherTime",
            };
            let c = b.extra.matches('c').count();
            format!("{}|{}|{}|{when}|{}|{}|{c}", b.auction, b.bidder, float(euros(b)), time(b.at), b.extra)
        })
    });
    assert!(range.len() > 100);
    assert_eq!(all("q14"), range);
    let channels = of(&|b| {
        let id = match b.channel.to_lowercase().as_str() {
            "apple" => "0",
            "google" => "1",
            "facebook" => "2",
            "baidu" => "3",
            _ => b.url.split('&').filter_map(|part| part.strip_prefix("channel_id=")).next().unwrap_or(""),
        };
        (!id.is_empty()).then(|| format!("{}|{}|{}|{}|{id}", b.auction, b.bidder, b.price, b.channel))
    });
    assert!(channels.len() > 1000);
    assert_eq!(all("q21"), channels);
    let folders = of(&|b| {
        let mut parts = b.url.split('/').skip(3);
        let mut next = || parts.next().unwrap_or("");
        let (one, two, three) = (next(), next(), next());
        Some(format!("{}|{}|{}|{}|{one}|{two}|{three}", b.auction, b.bidder, b.price, b.channel))
    });
    assert_eq!(all("q22"), folders);
}

#[test]
fn windows() {
    let bids = bids();
    // q5: every window that has a bid.
    let mut counts: BTreeMap<i64, BTreeMap<i64, u64>> = BTreeMap::new();
    for bid in &bids {
        let last = bid.at - bid.at.rem_euclid(2000);
        for start in (0..5).map(|back| last - back * 2000) {
            *counts.entry(start).or_default().entry(bid.auction).or_default() += 1;
        }
    }
    let hot = counts.iter().map(|(start, counts)| {
        let most = counts.values().max().unwrap();
        let first: Vec<String> = counts.iter().filter(|(_, n)| *n == most).map(|(a, _)| a.to_string()).collect();
        format!("{}|{}|{most}|[{}]", time(*start), time(start + 10_000), first.join(", "))
    });
    let hot: Vec<String> = hot.collect();
    let q5 = all("q5");
    assert_eq!(q5.len(), hot.len());
    for (given, expected) in q5.iter().zip(&hot) {
        // How a list is written is not the matter here.
        let plain = |text: &str| text.replace(['[', ']', '"', ' '], "");
        assert_eq!(plain(given), plain(expected));
    }
    // q7
    let mut highest: BTreeMap<i64, Vec<&Bid>> = BTreeMap::new();
    bids.iter().for_each(|bid| highest.entry(bid.at - bid.at.rem_euclid(10_000)).or_default().push(bid));
    let highest = highest.iter().map(|(start, bids)| {
        let best = bids.iter().min_by_key(|b| (-b.price, b.auction, b.bidder, b.at)).unwrap();
        let bid = format!("{}|{}|{}|{}", best.price, best.auction, best.bidder, time(best.at));
        format!("{}|{}|{bid}", time(*start), time(start + 10_000))
    });
    assert_eq!(all("q7"), highest.collect::<Vec<_>>());
    // q11
    let mut times: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    bids.iter().for_each(|bid| times.entry(bid.bidder).or_default().push(bid.at));
    let mut sessions = Vec::new();
    for (bidder, mut times) in times {
        times.sort_unstable();
        let mut runs: Vec<(i64, i64, u64)> = Vec::new();
        for at in times {
            match runs.last_mut() {
                Some((_, last, n)) if at - *last < 10_000 => (*last, *n) = (at, *n + 1),
                _ => runs.push((at, at, 1)),
            }
        }
        let line = |(from, to, n)| format!("{}|{}|{bidder}|{n}", time(from), time(to + 10_000));
        sessions.extend(runs.into_iter().map(line));
    }
    sessions.sort();
    let mut q11 = all("q11");
    q11.sort();
    assert!(sessions.len() > 100);
    assert_eq!(q11, sessions);
    // q12: which window a bid is in is a matter of the clock; how many a bidder has is not.
    let mut totals: BTreeMap<i64, u64> = BTreeMap::new();
    for row in all("q12") {
        let cells: Vec<&str> = row.split('|').collect();
        *totals.entry(cells[2].parse().unwrap()).or_default() += cells[3].parse::<u64>().unwrap();
    }
    let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
    bids.iter().for_each(|bid| *expected.entry(bid.bidder).or_default() += 1);
    assert_eq!(totals, expected);
}

#[test]
fn groups_that_change() {
    let bids = bids();
    let group = |key: &dyn Fn(&Bid) -> String| {
        let mut groups: BTreeMap<String, Vec<Bid>> = BTreeMap::new();
        bids.iter().for_each(|bid| groups.entry(key(bid)).or_default().push(bid.clone()));
        groups
    };
    let in_rank = |bid: &Bid, rank: usize| match rank {
        0 => true,
        1 => bid.price < 10_000,
        2 => (10_000..1_000_000).contains(&bid.price),
        _ => bid.price >= 1_000_000,
    };
    let counts = |bids: &[Bid]| (0..4).map(|r| bids.iter().filter(|b| in_rank(b, r)).count()).collect::<Vec<_>>();
    let distinct = |bids: &[Bid], of: &dyn Fn(&Bid) -> i64| {
        let set = |rank| bids.iter().filter(|b| in_rank(b, rank)).map(of).collect::<BTreeSet<_>>().len();
        (0..4).map(set).collect::<Vec<_>>()
    };
    let line = |bids: &[Bid]| {
        [counts(bids), distinct(bids, &|b| b.bidder), distinct(bids, &|b| b.auction)]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("|")
    };
    let map = |groups: BTreeMap<String, Vec<Bid>>, f: &dyn Fn(&[Bid]) -> String| -> BTreeMap<String, String> {
        groups.into_iter().map(|(key, bids)| (key, f(&bids))).collect()
    };
    assert_eq!(last("q15", 1), map(group(&|b| day(b.at)), &line));
    let q16 = |bids: &[Bid]| {
        let minute = bids.iter().map(|b| b.at.rem_euclid(86_400_000) / 60_000).max().unwrap();
        format!("{}|{minute}", line(bids))
    };
    assert_eq!(last("q16", 2), map(group(&|b| format!("{}|{}", b.channel, day(b.at))), &q16));
    let q17 = |bids: &[Bid]| {
        let counts = counts(bids).iter().map(ToString::to_string).collect::<Vec<_>>().join("|");
        let prices: Vec<i64> = bids.iter().map(|b| b.price).collect();
        let sum: i64 = prices.iter().sum();
        let (least, most) = (prices.iter().min().unwrap(), prices.iter().max().unwrap());
        // Sums below 2^53, so that one division rounds once.
        format!("{counts}|{least}|{most}|{}|{sum}", float(sum as f64 / prices.len() as f64))
    };
    assert_eq!(last("q17", 2), map(group(&|b| format!("{}|{}", b.auction, day(b.at))), &q17));
    let q18 = |bids: &[Bid]| {
        let best = bids.iter().max_by_key(|b| (b.at, b.price)).unwrap();
        format!("{}|{}", time(best.at), best.price)
    };
    assert_eq!(last("q18", 2), map(group(&|b| format!("{}|{}", b.bidder, b.auction)), &q18));
    let plain = |text: String| text.replace(['[', ']', '"', ' '], "");
    let q19 = |bids: &[Bid]| {
        let mut prices: Vec<i64> = bids.iter().map(|b| b.price).collect();
        prices.sort_unstable_by(|a, b| b.cmp(a));
        prices.truncate(10);
        prices.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let given: BTreeMap<String, String> = last("q19", 1).into_iter().map(|(key, row)| (key, plain(row))).collect();
    assert_eq!(given, map(group(&|b| b.auction.to_string()), &q19));
}
