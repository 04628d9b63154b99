//! Rows made by a rule, so many a batch: for tests, and for measuring what everything but reading costs.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};
use serde_json::Value as Json;

use super::numbered::Numbered;
use super::{Limits, Source};
use crate::column::Schema;
use crate::expr::Interval;
use crate::input::{self, MemorySource};
use crate::{Error, Result};

/// `rows` a batch: row `n` has `value` n, and a `timestamp` that grows evenly, by `advance` a batch, from 1970 on. The columns are those
/// of Spark's `rate-micro-batch`.
#[derive(Debug, Clone)]
pub struct RateSource {
    at: Numbered,
    advance: i64,
}

impl RateSource {
    /// `rows` a batch, whose event times lie within `advance`; it ends after `batches`.
    ///
    /// # Errors
    /// No rows, or times that cannot be counted.
    pub fn new(rows: u64, advance: Interval, batches: Option<u64>) -> Result<RateSource> {
        let most = batches.map(|batches| batches.checked_mul(rows));
        match most {
            _ if rows == 0 || rows > u64::from(u32::MAX) => {
                Err(Error::usage("a rate is from 1 to 4294967295 rows a batch"))
            }
            Some(None) => Err(Error::usage("so many rows cannot be counted")),
            most => Ok(RateSource { at: Numbered::new(rows, most.flatten()), advance: advance.nanos() / 1_000_000 }),
        }
    }

    /// As typed: `rows=1000,advance=1s,batches=20`.
    ///
    /// # Errors
    /// A word that is not understood.
    pub fn parse(text: &str) -> Result<RateSource> {
        let wrong = |part: &str| Error::Usage {
            message: format!("'{part}' is not understood in rate:{text}"),
            help: Some("write rate:rows=1000,advance=1s,batches=20".into()),
        };
        let (mut rows, mut advance, mut batches) = (1000, "1s".parse()?, None);
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| wrong(part))?;
            match name.trim() {
                "rows" => rows = value.trim().parse().map_err(|_| wrong(part))?,
                "advance" => advance = value.parse()?,
                "batches" => batches = Some(value.trim().parse().map_err(|_| wrong(part))?),
                _ => return Err(wrong(part)),
            }
        }
        RateSource::new(rows, advance, batches)
    }

    fn arrow(&self) -> SchemaRef {
        Arc::new(ArrowSchema::new(vec![
            Field::new("timestamp", DataType::Timestamp(TimeUnit::Millisecond, None), false),
            Field::new("value", DataType::Int64, false),
        ]))
    }
}

impl Source for RateSource {
    fn description(&self) -> String {
        format!("rate:rows={},advance={}ms", self.at.batch, self.advance)
    }

    fn is_replayable(&self) -> bool {
        true
    }

    fn schema(&mut self, _: Option<&Schema>) -> Result<Option<Schema>> {
        Ok(Some(input::arrow_columns(&self.arrow())))
    }

    fn plan(&mut self, limits: &Limits) -> Result<Option<Json>> {
        Ok(self.at.plan(limits))
    }

    fn extent(&self, range: &Json) -> Limits {
        Numbered::extent("rate", range)
    }

    fn replay(&mut self, range: &Json) -> Result<()> {
        self.at.replay("rate", range)
    }

    fn open(&mut self, range: &Json, _: &Schema) -> Result<Arc<dyn input::Source>> {
        let (from, to) = Numbered::range("rate", range)?;
        let time = |row: u64| {
            let (advance, rows) = (i128::from(self.advance), i128::from(self.at.batch));
            i64::try_from(i128::from(row) * advance / rows).unwrap_or(i64::MAX)
        };
        let times: TimestampMillisecondArray = (from..to).map(time).collect::<Vec<_>>().into();
        let values: Int64Array = (from..to).map(|row| row as i64).collect::<Vec<_>>().into();
        let batch = RecordBatch::try_new(self.arrow(), vec![Arc::new(times), Arc::new(values)]);
        let batch = batch.map_err(|e| Error::internal(format!("a batch of rate: {e}")))?;
        MemorySource::new(self.arrow(), vec![batch])
    }

    fn position(&self) -> Json {
        self.at.position()
    }

    fn restore(&mut self, position: &Json) -> Result<()> {
        self.at.restore("rate", position)
    }

    fn is_over(&self) -> bool {
        self.at.is_over()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_a_function_of_their_number() {
        let mut source = RateSource::parse("rows=4,advance=1s,batches=2").unwrap();
        let schema = source.schema(None).unwrap().unwrap();
        let first = source.plan(&Limits::default()).unwrap().unwrap();
        let second = source.plan(&Limits { rows: Some(3), ..Limits::default() }).unwrap().unwrap();
        assert_eq!((first, &second), (json!({ "from": 0, "to": 4 }), &json!({ "from": 4, "to": 7 })));
        assert!(!source.is_over());
        assert_eq!(source.plan(&Limits::default()).unwrap().unwrap(), json!({ "from": 7, "to": 8 }));
        assert!(source.is_over() && source.plan(&Limits::default()).unwrap().is_none());
        let job = crate::Job::new().aggregate(crate::aggregate::max(crate::col("timestamp")));
        let report = crate::Engine::new().run(&job, &crate::Input::from_source(source.open(&second, &schema).unwrap()));
        assert_eq!(format!("{:?}", report.unwrap().batches[0].column(0)).matches("1970-01-01T00:00:01.500").count(), 1);
        for text in ["rows=0", "rows=x", "speed=3", "rows", "advance=soon"] {
            assert!(RateSource::parse(text).is_err(), "{text}");
        }
    }
}
