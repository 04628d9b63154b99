//! The queries of Nexmark over bids, as tidemill says them. What they compute is what Beam and Flink publish; where an answer may have
//! ties, what is given is named here.

use tidemill::expr::parse;
use tidemill::plan::{Job, Named};
use tidemill::stream::{OutputMode, Query, Sink, Source};
use tidemill::{Error, Result};

/// A query, in words of the command line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nexmark {
    /// `q5` …
    pub name: &'static str,
    /// What it answers.
    pub about: &'static str,
    /// `--where`
    pub filter: &'static str,
    /// `--map`
    pub maps: &'static [(&'static str, &'static str)],
    /// `--select`
    pub select: &'static str,
    /// `--by`
    pub by: &'static str,
    /// The aggregates.
    pub give: &'static str,
    /// `--window`
    pub window: &'static str,
    /// Whether it gives what changed, not what is closed.
    pub updates: bool,
    /// `--then-by`, `--then`, `--then-order-by`; one row a window.
    pub then: Option<(&'static str, &'static str, &'static str)>,
}

/// How late bids may come, as Flink's queries have it.
const WATERMARK: &str = "4s";

/// Bids by rank of price, as q15 to q17 count them.
const RANKS: &str = "count() as total_bids, \
    count(case when price < 10000 then 1 end) as rank1_bids, \
    count(case when price >= 10000 and price < 1000000 then 1 end) as rank2_bids, \
    count(case when price >= 1000000 then 1 end) as rank3_bids";

/// And their bidders and auctions.
const DISTINCT: &str = "count() as total_bids, \
    count(case when price < 10000 then 1 end) as rank1_bids, \
    count(case when price >= 10000 and price < 1000000 then 1 end) as rank2_bids, \
    count(case when price >= 1000000 then 1 end) as rank3_bids, \
    count_distinct(bidder) as total_bidders, \
    count_distinct(case when price < 10000 then bidder end) as rank1_bidders, \
    count_distinct(case when price >= 10000 and price < 1000000 then bidder end) as rank2_bidders, \
    count_distinct(case when price >= 1000000 then bidder end) as rank3_bidders, \
    count_distinct(auction) as total_auctions, \
    count_distinct(case when price < 10000 then auction end) as rank1_auctions, \
    count_distinct(case when price >= 10000 and price < 1000000 then auction end) as rank2_auctions, \
    count_distinct(case when price >= 1000000 then auction end) as rank3_auctions";

/// What a query without more words is.
const NONE: Nexmark = Nexmark {
    name: "",
    about: "",
    filter: "",
    maps: &[],
    select: "",
    by: "",
    give: "",
    window: "",
    updates: false,
    then: None,
};

/// All of them.
pub const QUERIES: &[Nexmark] = &[
    Nexmark { name: "q0", about: "every bid, as it is", select: "auction, bidder, price, date_time, extra", ..NONE },
    Nexmark {
        name: "q1",
        about: "every bid, its price in euros",
        select: "auction, bidder, 0.908 * price as price, date_time, extra",
        ..NONE
    },
    Nexmark {
        name: "q2",
        about: "bids on some auctions",
        filter: "auction % 123 = 0",
        select: "auction, price",
        ..NONE
    },
    Nexmark {
        name: "q5",
        about: "hot items: the auctions with the most bids of the last ten seconds, every two seconds; all that share the first place",
        window: "sliding 10s every 2s on date_time",
        by: "auction",
        give: "count() as num",
        then: Some(("num", "bottom_k(auction, 1000) as auctions", "num desc")),
        ..NONE
    },
    Nexmark {
        name: "q7",
        about: "the highest bid of every ten seconds; of several the one of the first auction, bidder and time",
        window: "tumbling 10s on date_time",
        by: "price, auction, bidder, date_time",
        give: "count() as bids",
        then: Some(("price, auction, bidder, date_time", "", "price desc")),
        ..NONE
    },
    Nexmark {
        name: "q11",
        about: "bids of each bidder in a session, which ends when ten seconds pass without one",
        window: "session 10s on date_time",
        by: "bidder",
        give: "count() as bid_count",
        ..NONE
    },
    Nexmark {
        name: "q12",
        about: "bids of each bidder in every ten seconds of processing time",
        window: "tumbling 10s on processing time",
        by: "bidder",
        give: "count() as bid_count",
        ..NONE
    },
    Nexmark {
        name: "q14",
        about: "bids of a range of prices, with the time of day and the number of 'c' in extra",
        filter: "euros > 1000000 and euros < 50000000",
        maps: &[
            ("euros", "0.908 * price"),
            (
                "bid_time_type",
                "case when hour(date_time) between 8 and 18 then 'dayTime' \
                 when hour(date_time) <= 6 or hour(date_time) >= 20 then 'nightTime' else 'otherTime' end",
            ),
            ("c_counts", "length(extra) - length(replace(extra, 'c', ''))"),
        ],
        select: "auction, bidder, euros as price, bid_time_type, date_time, extra, c_counts",
        ..NONE
    },
    Nexmark {
        name: "q15",
        about: "bids, bidders and auctions of each day, by rank of price",
        by: "cast(date_time as date) as day",
        give: DISTINCT,
        updates: true,
        ..NONE
    },
    Nexmark {
        name: "q16",
        about: "the same of each channel and day, and the minute of its last bid",
        by: "channel, cast(date_time as date) as day",
        give: DISTINCT,
        updates: true,
        ..NONE
    },
    Nexmark {
        name: "q17",
        about: "bids of each auction and day, by rank of price, and what prices they are of",
        by: "auction, cast(date_time as date) as day",
        give: RANKS,
        updates: true,
        ..NONE
    },
    Nexmark {
        name: "q18",
        about: "the last bid of each bidder on each auction; of several at one time, the highest",
        by: "bidder, auction",
        give: "max(date_time) as date_time, max_by(price, date_time) as price",
        updates: true,
        ..NONE
    },
    Nexmark {
        name: "q19",
        about: "the ten highest prices of each auction",
        by: "auction",
        give: "top_k(price, 10) as prices",
        updates: true,
        ..NONE
    },
    Nexmark {
        name: "q21",
        about: "bids that came through a channel, and its number",
        filter: "channel_id <> ''",
        maps: &[(
            "channel_id",
            "case lower(channel) when 'apple' then '0' when 'google' then '1' when 'facebook' then '2' when 'baidu' then '3' \
             else regexp_extract(url, '(&|^)channel_id=([^&]*)', 2) end",
        )],
        select: "auction, bidder, price, channel, channel_id",
        ..NONE
    },
    Nexmark {
        name: "q22",
        about: "bids with the folders of their addresses",
        select: "auction, bidder, price, channel, split_part(url, '/', 4) as dir1, split_part(url, '/', 5) as dir2, split_part(url, '/', 6) as dir3",
        ..NONE
    },
];

/// What q16 and q17 give beside.
fn more(name: &str) -> &'static str {
    match name {
        "q16" => "max(60 * hour(date_time) + minute(date_time)) as minute",
        "q17" => "min(price) as min_price, max(price) as max_price, mean(price) as avg_price, sum(price) as sum_price",
        _ => "",
    }
}

fn items(text: &str) -> Result<Vec<Named>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Named::parse_list(text)
}

impl Nexmark {
    /// The query of this name.
    pub fn named(name: &str) -> Result<Nexmark> {
        let names: Vec<&str> = QUERIES.iter().map(|query| query.name).collect();
        let found = QUERIES.iter().find(|query| query.name == name).copied();
        found.ok_or_else(|| Error::Usage {
            message: format!("'{name}' is no query of Nexmark"),
            help: Some(names.join(", ")),
        })
    }

    /// It over bids from `source`.
    pub fn query(&self, source: Box<dyn Source>, sink: Box<dyn Sink>) -> Result<Query> {
        let mut job = Job::new();
        if !self.filter.is_empty() {
            job = job.filter(parse(self.filter)?);
        }
        for (name, text) in self.maps {
            job = job.map(*name, parse(text)?);
        }
        job.select = items(self.select)?;
        job.keys = items(self.by)?;
        job.aggregates = [items(self.give)?, items(more(self.name))?].concat();
        let mode = if self.updates { OutputMode::Update } else { OutputMode::Append };
        let mut query = Query::boxed(source, job, sink).mode(mode);
        if !self.window.is_empty() {
            query = query.window(self.window.parse()?);
            if !self.window.ends_with("processing time") {
                query = query.watermark(WATERMARK.parse()?);
            }
        }
        if let Some((by, give, order)) = self.then {
            let mut then = Job::new().order_by(order)?.limit(1);
            then.keys = items(by)?;
            then.aggregates = items(give)?;
            query = query.then(then);
        }
        Ok(query)
    }
}
