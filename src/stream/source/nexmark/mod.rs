//! The streams of the Nexmark benchmark, made as they are read: `nexmark:bid`, `nexmark:auction`, `nexmark:person`, or all in one.
//!
//! Row `n` is a function of `n`, so a range can be read again. The formulas: `events`.

mod events;

use std::sync::Arc;

use serde_json::Value as Json;

pub use self::events::NexmarkRows;
use self::events::{Kind, START};
use super::numbered::Numbered;
use super::{Limits, Source};
use crate::column::Schema;
use crate::input::{self, MadeSource, Rule};
use crate::{Error, Result};

/// Rows a batch has if nobody says.
const ROWS: u64 = 10_000;
/// Events a second of event time if nobody says, as in Beam and Flink.
const RATE: u64 = 10_000;

/// Events of Nexmark.
pub struct NexmarkSource {
    rows: Arc<NexmarkRows>,
    /// As typed, for a query goes on only as itself.
    words: String,
    at: Numbered,
}

impl NexmarkSource {
    /// As typed: `bid,events=1000000,rows=10000,rate=10000`. First which events, all of them if it is left out; then how many in all
    /// (without end if it is left out), how many a batch, and how many a second of event time.
    ///
    /// # Errors
    /// A word that is not understood.
    pub fn parse(text: &str) -> Result<NexmarkSource> {
        let wrong = |part: &str| Error::Usage {
            message: format!("'{part}' is not understood in nexmark:{text}"),
            help: Some("write nexmark:bid,events=1000000,rows=10000,rate=10000 (or auction, person, all)".into()),
        };
        let (mut kind, mut batch, mut most, mut rate) = (Kind::All, ROWS, None, RATE);
        for (i, part) in text.split(',').map(str::trim).filter(|part| !part.is_empty()).enumerate() {
            let number = |value: &str| value.trim().parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(|| wrong(part));
            match (part.split_once('='), i) {
                (None, 0) => kind = Kind::parse(part).ok_or_else(|| wrong(part))?,
                (Some(("events", value)), _) => most = Some(number(value)?),
                (Some(("rows", value)), _) => batch = number(value)?,
                (Some(("rate", value)), _) => rate = number(value)?,
                _ => return Err(wrong(part)),
            }
        }
        let words = format!("{},rate={rate}", kind.name());
        Ok(NexmarkSource { rows: Arc::new(NexmarkRows::new(kind, START, rate)), words, at: Numbered::new(batch, most) })
    }

    /// The rule that makes the rows.
    pub fn rule(&self) -> Arc<NexmarkRows> {
        Arc::clone(&self.rows)
    }
}

impl Source for NexmarkSource {
    fn description(&self) -> String {
        format!("nexmark:{}", self.words)
    }

    fn is_replayable(&self) -> bool {
        true
    }

    fn schema(&mut self, _: Option<&Schema>) -> Result<Option<Schema>> {
        Ok(Some(input::arrow_columns(&self.rows.schema())))
    }

    fn plan(&mut self, limits: &Limits) -> Result<Option<Json>> {
        Ok(self.at.plan(limits))
    }

    fn extent(&self, range: &Json) -> Limits {
        Numbered::extent(&self.description(), range)
    }

    fn replay(&mut self, range: &Json) -> Result<()> {
        self.at.replay(&self.description(), range)
    }

    fn open(&mut self, range: &Json, _: &Schema) -> Result<Arc<dyn input::Source>> {
        let (from, to) = Numbered::range(&self.description(), range)?;
        Ok(MadeSource::new(self.description(), self.rule(), from..to))
    }

    fn position(&self) -> Json {
        self.at.position()
    }

    fn restore(&mut self, position: &Json) -> Result<()> {
        self.at.restore(&self.description(), position)
    }

    fn is_over(&self) -> bool {
        self.at.is_over()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Engine, Input, Job, aggregate, col};

    #[test]
    fn batches_are_ranges_of_rows_that_can_be_read_again() {
        let mut source = NexmarkSource::parse("bid,events=25000,rows=10000").unwrap();
        assert_eq!(source.description(), "nexmark:bid,rate=10000");
        let schema = source.schema(None).unwrap().unwrap();
        let ranges: Vec<Json> = std::iter::from_fn(|| source.plan(&Limits::default()).unwrap()).collect();
        assert_eq!(ranges.len(), 3);
        assert_eq!(ranges[2], json!({ "from": 20_000, "to": 25_000 }));
        assert!(source.is_over());
        let mut other = NexmarkSource::parse("bid,events=25000,rows=1").unwrap();
        other.replay(&ranges[1]).unwrap();
        assert_eq!(other.position(), json!({ "next": 20_000 }));
        let sum = |source: &mut NexmarkSource| {
            let rows = source.open(&ranges[1], &schema).unwrap();
            let job = Job::new().aggregate(aggregate::sum(col("price"))).aggregate(aggregate::count());
            let report = Engine::new().threads(1).run(&job, &Input::from_source(rows)).unwrap();
            (0..2).map(|c| crate::output::value_text(report.batches[0].column(c), 0).unwrap()).collect::<Vec<_>>()
        };
        let first = sum(&mut source);
        assert_eq!((first[1].as_str(), sum(&mut other)), ("10000", first.clone()));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for text in ["bids", "bid,auction", "bid,rows=0", "events=x", "events", "bid,speed=3"] {
            let error = NexmarkSource::parse(text).err().unwrap().to_string();
            assert!(error.contains(&format!("nexmark:{text}")), "{error}");
        }
        assert!(NexmarkSource::parse("").is_ok() && NexmarkSource::parse(" all , rate=5 ").is_ok());
    }
}
