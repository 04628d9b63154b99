//! The events of Nexmark by number, after the formulas of Apache Beam's generator (`org.apache.beam.sdk.nexmark.sources.generator.model`)
//! with its default configuration.
//!
//! Of 50 events the first is a person, three are auctions, 46 are bids. What is by chance there is here a function of the event's number
//! and of the value's place in it, by integers alone: so a column is made without the others, and on every machine alike.

use std::fmt::Write;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_array::builder::{Int64Builder, StringBuilder, TimestampMillisecondBuilder};
use arrow_array::{ArrayRef, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::input::Rule;

/// 2015-07-15T00:00:00Z, the time of Beam's first event, in milliseconds.
pub(super) const START: i64 = 1_436_918_400_000;

/// People, auctions and bids of so many events.
const PEOPLE: u64 = 1;
const AUCTIONS: u64 = 3;
const BIDS: u64 = 46;
const EVENTS: u64 = PEOPLE + AUCTIONS + BIDS;

/// People who may bid or sell, auctions that may be bid for; how far ahead of what there is.
const ACTIVE_PEOPLE: u64 = 1000;
const IN_FLIGHT: u64 = 100;
const LEAD: u64 = 10;
/// Of so many, one is the hot one.
const HOT_EVERY: u64 = 100;
/// Identifiers begin here.
const FIRST_ID: u64 = 1000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

const CHANNELS: u64 = 10_000;
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// Which events are rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Person,
    Auction,
    Bid,
    All,
}

impl Kind {
    pub(super) fn parse(text: &str) -> Option<Kind> {
        [Kind::Person, Kind::Auction, Kind::Bid, Kind::All].into_iter().find(|kind| kind.name() == text)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Person => "person",
            Kind::Auction => "auction",
            Kind::Bid => "bid",
            Kind::All => "all",
        }
    }

    /// Of event `n`.
    fn of(n: u64) -> Kind {
        match n % EVENTS {
            at if at < PEOPLE => Kind::Person,
            at if at < PEOPLE + AUCTIONS => Kind::Auction,
            _ => Kind::Bid,
        }
    }

    /// The number of the event that is row `row`.
    fn event(self, row: u64) -> u64 {
        let (each, before) = match self {
            Kind::All => return row,
            Kind::Person => (PEOPLE, 0),
            Kind::Auction => (AUCTIONS, PEOPLE),
            Kind::Bid => (BIDS, PEOPLE + AUCTIONS),
        };
        row / each * EVENTS + before + row % each
    }

    fn columns(self) -> &'static [(&'static str, Value)] {
        match self {
            Kind::Person => PERSON,
            Kind::Auction => AUCTION,
            Kind::Bid => BID,
            Kind::All => &[],
        }
    }
}

/// A value of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    EventType,
    Time,
    Id,
    Name,
    Email,
    CreditCard,
    City,
    State,
    Item,
    Description,
    InitialBid,
    Reserve,
    Expires,
    Seller,
    Category,
    BidAuction,
    Bidder,
    Price,
    Channel,
    Url,
    /// Filler, so that events have their size.
    Extra,
}

const PERSON: &[(&str, Value)] = &[
    ("id", Value::Id),
    ("name", Value::Name),
    ("email_address", Value::Email),
    ("credit_card", Value::CreditCard),
    ("city", Value::City),
    ("state", Value::State),
    ("date_time", Value::Time),
    ("extra", Value::Extra),
];
const AUCTION: &[(&str, Value)] = &[
    ("id", Value::Id),
    ("item_name", Value::Item),
    ("description", Value::Description),
    ("initial_bid", Value::InitialBid),
    ("reserve", Value::Reserve),
    ("date_time", Value::Time),
    ("expires", Value::Expires),
    ("seller", Value::Seller),
    ("category", Value::Category),
    ("extra", Value::Extra),
];
const BID: &[(&str, Value)] = &[
    ("auction", Value::BidAuction),
    ("bidder", Value::Bidder),
    ("price", Value::Price),
    ("channel", Value::Channel),
    ("url", Value::Url),
    ("date_time", Value::Time),
    ("extra", Value::Extra),
];

/// The rows of one kind of events, or of all of them.
///
/// Of all events the columns are `event_type` and `date_time`, and those of each kind after its name and a point: `bid.price`; they are
/// null in rows of other kinds.
#[derive(Debug)]
pub struct NexmarkRows {
    kind: Kind,
    /// The time of event 0, in milliseconds since 1970.
    start: i64,
    /// Events a second.
    rate: u64,
    /// Name, the kind it is of, what it is.
    columns: Vec<(String, Kind, Value)>,
}

impl NexmarkRows {
    pub(super) fn new(kind: Kind, start: i64, rate: u64) -> NexmarkRows {
        let columns = match kind {
            Kind::All => {
                let each = [Kind::Person, Kind::Auction, Kind::Bid].into_iter().flat_map(|kind| {
                    kind.columns().iter().map(move |&(name, value)| (format!("{}.{name}", kind.name()), kind, value))
                });
                let first = [("event_type", Value::EventType), ("date_time", Value::Time)];
                first.into_iter().map(|(name, value)| (name.to_owned(), Kind::All, value)).chain(each).collect()
            }
            kind => kind.columns().iter().map(|&(name, value)| (name.to_owned(), kind, value)).collect(),
        };
        NexmarkRows { kind, start, rate, columns }
    }

    /// The time of event `n`, in milliseconds since 1970.
    fn time(&self, n: u64) -> i64 {
        self.start + (u128::from(n) * 1000 / u128::from(self.rate)) as i64
    }

    fn number(&self, value: Value, n: u64) -> i64 {
        let at = n % EVENTS;
        let number = match (value, at) {
            (Value::Time, _) => return self.time(n),
            (Value::Id, ..PEOPLE) => FIRST_ID + last_person(n),
            (Value::Id, _) => FIRST_ID + last_auction(n),
            (Value::InitialBid | Value::Price, _) => price(draw(n, 1)),
            (Value::Reserve, _) => price(draw(n, 1)) + price(draw(n, 2)),
            (Value::Expires, _) => {
                // As long as it takes to bring so many auctions that all in flight are others, on average.
                let horizon = self.time(n + IN_FLIGHT * EVENTS / AUCTIONS) - self.time(n);
                return self.time(n) + 1 + below(draw(n, 3), (horizon as u64 * 2).max(1)) as i64;
            }
            (Value::Seller, _) if below(draw(n, 4), 4) > 0 => FIRST_ID + last_person(n) / HOT_EVERY * HOT_EVERY,
            (Value::Seller, _) => FIRST_ID + any_person(n, draw(n, 5)),
            (Value::Category, _) => FIRST_CATEGORY + below(draw(n, 6), CATEGORIES),
            (Value::BidAuction, _) if below(draw(n, 7), 2) > 0 => FIRST_ID + last_auction(n) / HOT_EVERY * HOT_EVERY,
            (Value::BidAuction, _) => FIRST_ID + any_auction(n, draw(n, 8)),
            // The one after the hot seller, so that the two are not the same.
            (Value::Bidder, _) if below(draw(n, 9), 4) > 0 => FIRST_ID + last_person(n) / HOT_EVERY * HOT_EVERY + 1,
            (Value::Bidder, _) => FIRST_ID + any_person(n, draw(n, 10)),
            _ => 0,
        };
        number as i64
    }

    fn text(&self, value: Value, n: u64, out: &mut String) {
        let of = |words: &[&'static str], place| words[below(draw(n, place), words.len() as u64) as usize];
        match value {
            Value::EventType => out.push_str(Kind::of(n).name()),
            Value::Name => {
                out.push_str(of(&FIRST_NAMES, 11));
                out.push(' ');
                out.push_str(of(&LAST_NAMES, 12));
            }
            Value::Email => {
                letters(n, 13, 7, out);
                out.push('@');
                letters(n, 14, 5, out);
                out.push_str(".com");
            }
            Value::CreditCard => {
                for group in 0..4 {
                    let space = if group > 0 { " " } else { "" };
                    // Writing to a string cannot fail.
                    _ = write!(out, "{space}{:04}", below(draw(n, 15 + group), 10_000));
                }
            }
            Value::City => out.push_str(of(&CITIES, 19)),
            Value::State => out.push_str(of(&STATES, 20)),
            Value::Item => letters(n, 21, 20, out),
            Value::Description => letters(n, 22, 100, out),
            Value::Channel => out.push_str(&channel(n).0),
            Value::Url => out.push_str(&channel(n).1),
            Value::Extra => {
                // What an event of the kind has on average, without what its other columns take.
                let average = match Kind::of(n) {
                    Kind::Person => 200 - 80,
                    Kind::Auction => 500 - 168,
                    _ => 100 - 32,
                };
                let spread = (average + 2) / 5;
                letters(n, 23, average - spread + below(draw(n, 24), 2 * spread), out);
            }
            _ => {}
        }
    }
}

impl Rule for NexmarkRows {
    fn schema(&self) -> SchemaRef {
        let field = |(name, kind, value): &(String, Kind, Value)| {
            let ty = match value {
                Value::Time | Value::Expires => DataType::Timestamp(TimeUnit::Millisecond, None),
                value if is_text(*value) => DataType::Utf8,
                _ => DataType::Int64,
            };
            Field::new(name, ty, *kind != self.kind)
        };
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    fn column(&self, column: usize, rows: Range<u64>) -> ArrayRef {
        let Some(&(_, kind, value)) = self.columns.get(column) else { return Arc::new(StringArray::new_null(0)) };
        let len = (rows.end - rows.start) as usize;
        // Of all events, those of other kinds have no value.
        let has = |n| kind == self.kind || Kind::of(n) == kind;
        let events = rows.map(|row| self.kind.event(row));
        macro_rules! numbers {
            ($builder:expr) => {{
                let mut out = $builder;
                events.for_each(|n| out.append_option(has(n).then(|| self.number(value, n))));
                Arc::new(out.finish())
            }};
        }
        match value {
            Value::Time | Value::Expires => numbers!(TimestampMillisecondBuilder::with_capacity(len)),
            value if is_text(value) => {
                let mut out = StringBuilder::with_capacity(len, len * 8);
                let mut text = String::new();
                for n in events {
                    text.clear();
                    if has(n) {
                        self.text(value, n, &mut text);
                        out.append_value(&text);
                    } else {
                        out.append_null();
                    }
                }
                Arc::new(out.finish())
            }
            _ => numbers!(Int64Builder::with_capacity(len)),
        }
    }
}

fn is_text(value: Value) -> bool {
    use Value::*;
    matches!(value, EventType | Name | Email | CreditCard | City | State | Item | Description | Channel | Url | Extra)
}

/// 64 random bits for place `place` of event `n`: the finaliser of SplitMix64 (Steele, Lea, Flood 2014) over a counter of both.
#[inline]
fn draw(n: u64, place: u64) -> u64 {
    let mut bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ place.wrapping_mul(0xd1b5_4a32_d192_ed03);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// A number below `limit` (Lemire's multiplication).
#[inline]
fn below(bits: u64, limit: u64) -> u64 {
    ((u128::from(bits) * u128::from(limit)) >> 64) as u64
}

/// The last person at event `n`, from 0 on: itself, if it is one.
#[inline]
fn last_person(n: u64) -> u64 {
    // They come first, so that all of these events are there.
    (n / EVENTS + 1) * PEOPLE - 1
}

/// The last auction at event `n`, from 0 on: itself, if it is one. Before the first there is none, and it stands for it.
#[inline]
fn last_auction(n: u64) -> u64 {
    let (epoch, at) = (n / EVENTS, n % EVENTS);
    match at {
        ..PEOPLE => (epoch * AUCTIONS).saturating_sub(1),
        at => epoch * AUCTIONS + (at - PEOPLE).min(AUCTIONS - 1),
    }
}

/// One of the active people, or of those that come next.
#[inline]
fn any_person(n: u64, bits: u64) -> u64 {
    let people = last_person(n) + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + below(bits, active + LEAD)
}

/// One of the auctions in flight, or of those that come next.
#[inline]
fn any_auction(n: u64, bits: u64) -> u64 {
    let last = last_auction(n);
    let first = last.saturating_sub(IN_FLIGHT);
    first + below(bits, last - first + 1 + LEAD)
}

/// A price in cents: 100 to 10^8, its logarithm evenly.
fn price(bits: u64) -> u64 {
    // Between steps of 1/4096 the power is a line: the same integers on every machine, where a power function would not be.
    const STEPS: u64 = 4096;
    static POWERS: OnceLock<Vec<u64>> = OnceLock::new();
    let powers = POWERS.get_or_init(|| {
        let power = |i| (libm::exp10(6.0 * i as f64 / STEPS as f64) * 100.0 * 1024.0) as u64;
        (0..=STEPS).map(power).collect()
    });
    let step = below(bits, STEPS) as usize;
    // The bits that did not choose the step.
    let part = bits << 12 >> 44;
    let (low, high) = (powers[step], powers[step + 1]);
    (low + (((high - low) * part) >> 20) + 512) >> 10
}

/// A channel and its URL: half of the bids come over one of four.
fn channel(n: u64) -> &'static (String, String) {
    static TABLE: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let url = |seed: u64| {
            let mut url = "https://www.nexmark.com".to_owned();
            for part in 0..3 {
                url.push('/');
                letters(seed, 40 + part, 3 + below(draw(seed, 50 + part), 2), &mut url);
            }
            url + "/item.htm?query=1"
        };
        let hot = HOT_CHANNELS.iter().zip(0..).map(|(name, i)| (name.to_string(), url(i)));
        let other = |i: u64| {
            let mut url = url(i);
            if below(draw(i, 60), 10) > 0 {
                _ = write!(url, "&channel_id={}", (i as u32).reverse_bits() & 0x7fff_ffff);
            }
            (format!("channel-{i}"), url)
        };
        hot.chain((0..CHANNELS).map(other)).collect()
    });
    let hot = HOT_CHANNELS.len() as u64;
    let at = if below(draw(n, 25), 2) > 0 { below(draw(n, 26), hot) } else { hot + below(draw(n, 27), CHANNELS) };
    &table[at as usize]
}

/// Appends `len` small letters.
fn letters(n: u64, place: u64, len: u64, out: &mut String) {
    // Of 64 bits, twelve letters: each takes the 4.7 that choose it from the top.
    let mut left = len;
    let mut block = 0;
    while left > 0 {
        let mut bits = draw(n, place << 32 | block);
        for _ in 0..left.min(12) {
            let wide = u128::from(bits) * 26;
            out.push(char::from(b'a' + (wide >> 64) as u8));
            bits = wide as u64;
        }
        left -= left.min(12);
        block += 1;
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, TimestampMillisecondType};

    use super::*;

    fn rows(kind: Kind) -> NexmarkRows {
        NexmarkRows::new(kind, START, 10_000)
    }

    fn column(rows: &NexmarkRows, name: &str, range: Range<u64>) -> ArrayRef {
        rows.column(rows.columns.iter().position(|c| c.0 == name).unwrap(), range)
    }

    fn ints(rows: &NexmarkRows, name: &str, range: Range<u64>) -> Vec<i64> {
        column(rows, name, range).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn of_fifty_events_one_is_a_person_three_are_auctions() {
        let all = rows(Kind::All);
        let kinds = column(&all, "event_type", 100..150);
        let kinds: Vec<_> = kinds.as_string::<i32>().iter().flatten().collect();
        assert_eq!(kinds[..5], ["person", "auction", "auction", "auction", "bid"]);
        assert_eq!(kinds.iter().filter(|k| **k == "bid").count(), 46);
        // The rows of a kind are those of all events.
        for (kind, each) in [(Kind::Person, 1), (Kind::Auction, 3), (Kind::Bid, 46)] {
            let own = rows(kind);
            for (name, ..) in &own.columns {
                let whole = column(&all, &format!("{}.{name}", kind.name()), 0..5000);
                let kept: Vec<u32> = (0..5000u32).filter(|&i| whole.is_valid(i as usize)).collect();
                assert_eq!(kept.len(), 100 * each, "{name}");
                let part = column(&own, name, 0..100 * each as u64);
                for (at, &row) in kept.iter().enumerate() {
                    assert_eq!(part.slice(at, 1).to_data(), whole.slice(row as usize, 1).to_data(), "{name} {row}");
                }
            }
        }
    }

    #[test]
    fn a_row_is_a_function_of_its_number() {
        for kind in [Kind::Person, Kind::Auction, Kind::Bid, Kind::All] {
            let rows = rows(kind);
            for at in 0..rows.columns.len() {
                let whole = rows.column(at, 0..300);
                let parts = [rows.column(at, 0..7), rows.column(at, 7..8), rows.column(at, 8..300)];
                let parts: Vec<&dyn Array> = parts.iter().map(|p| p.as_ref()).collect();
                assert_eq!(*arrow_texts(&parts), *arrow_texts(&[&*whole]), "{:?}", rows.columns[at]);
            }
        }
    }

    fn arrow_texts(arrays: &[&dyn Array]) -> Vec<String> {
        let texts =
            |a: &&dyn Array| (0..a.len()).map(|row| crate::output::value_text(*a, row).unwrap()).collect::<Vec<_>>();
        arrays.iter().flat_map(texts).collect()
    }

    #[test]
    fn identifiers_refer_to_what_there_is_or_soon_will_be() {
        assert_eq!(ints(&rows(Kind::Person), "id", 0..3), [1000, 1001, 1002]);
        assert_eq!(ints(&rows(Kind::Auction), "id", 0..5), [1000, 1001, 1002, 1003, 1004]);
        let bids = rows(Kind::Bid);
        let (first, count) = (4_600_000, 46_000);
        let last = 1000 + 3 * 100_000;
        let auctions = ints(&bids, "auction", first..first + count);
        let hot = auctions.iter().filter(|id| (**id - 1000) % 100 == 0).count() as f64 / count as f64;
        assert!((0.49..0.53).contains(&hot), "{hot}");
        assert!(auctions.iter().all(|id| (last - 210..last + 3020).contains(id)));
        let bidders = ints(&bids, "bidder", first..first + count);
        let hot = bidders.iter().filter(|id| (**id - 1000) % 100 == 1).count() as f64 / count as f64;
        assert!((0.74..0.78).contains(&hot), "{hot}");
        assert!(bidders.iter().all(|id| (100_000..1000 + 101_011).contains(id)));
        let categories = ints(&rows(Kind::Auction), "category", 0..500);
        assert!((10..15).all(|c| categories.iter().filter(|x| **x == c).count() > 50));
    }

    #[test]
    fn prices_are_even_by_their_logarithm() {
        let mut prices = ints(&rows(Kind::Bid), "price", 0..100_000);
        prices.sort_unstable();
        assert!(prices[0] >= 100 && prices[99_999] <= 100_000_000);
        for (at, want) in [(0, 2.0), (16_667, 3.0), (33_333, 4.0), (50_000, 5.0), (83_333, 7.0), (99_999, 8.0)] {
            let got = (prices[at] as f64).log10();
            assert!((got - want).abs() < 0.03, "{at}: {got}");
        }
        assert_eq!((price(0), price(u64::MAX)), (100, 100_000_000));
    }

    #[test]
    fn times_grow_by_the_rate_and_auctions_end() {
        let bids = rows(Kind::Bid);
        let times = column(&bids, "date_time", 0..92);
        let times = times.as_primitive::<TimestampMillisecondType>().values().to_vec();
        assert_eq!((times[0], times[46], times[91]), (START, START + 5, START + 9));
        let auctions = rows(Kind::Auction);
        let ends = column(&auctions, "expires", 0..1000);
        let begins = column(&auctions, "date_time", 0..1000);
        let lengths: Vec<i64> = ends
            .as_primitive::<TimestampMillisecondType>()
            .values()
            .iter()
            .zip(begins.as_primitive::<TimestampMillisecondType>().values())
            .map(|(end, begin)| end - begin)
            .collect();
        let mean = lengths.iter().sum::<i64>() as f64 / 1000.0;
        assert!(lengths.iter().all(|l| *l >= 1) && (155.0..180.0).contains(&mean), "{mean}");
    }

    #[test]
    fn texts_look_as_they_should() {
        let text = |kind, name| {
            let array = column(&rows(kind), name, 0..2000);
            array.as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        };
        let email = &text(Kind::Person, "email_address")[0];
        assert!(email.len() == 17 && email.as_bytes()[7] == b'@' && email.ends_with(".com"), "{email}");
        let card = &text(Kind::Person, "credit_card")[0];
        assert!(card.len() == 19 && card.chars().all(|c| c == ' ' || c.is_ascii_digit()), "{card}");
        let channels = text(Kind::Bid, "channel");
        let hot = channels.iter().filter(|c| HOT_CHANNELS.contains(&c.as_str())).count();
        assert!((900..1100).contains(&hot), "{hot}");
        let urls = text(Kind::Bid, "url");
        assert!(urls.iter().all(|u| u.starts_with("https://www.nexmark.com/") && u.contains("/item.htm?query=1")));
        // A channel has one URL.
        let pairs: std::collections::BTreeMap<_, _> = channels.iter().zip(&urls).collect();
        assert!(channels.iter().zip(&urls).all(|(c, u)| pairs[c] == u));
        let extra: Vec<usize> = text(Kind::Bid, "extra").iter().map(String::len).collect();
        assert!(extra.iter().all(|len| (54..82).contains(len)), "{extra:?}");
        let letters: String = text(Kind::Auction, "description").concat();
        assert!(('a'..='z').all(|c| letters.matches(c).count() > letters.len() / 26 * 9 / 10));
    }
}
