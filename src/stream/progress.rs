//! What a batch has done, as one object: the names are those of Spark's `StreamingQueryProgress`, and our own after them.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::column::{Type, Unit, Value};
use crate::input::Reject;

/// The account of a batch.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The query: the same over all its processes.
    pub query: String,
    /// The batch, from 0.
    pub batch: u64,
    /// When it was planned, in milliseconds since 1970.
    pub at: i64,
    /// Whether it was begun by an earlier process and is done again.
    pub is_again: bool,
    /// What it read, in its source's words; null for one that reads nothing.
    pub range: Json,
    /// The source, as messages call it.
    pub source: String,
    /// The sink, likewise.
    pub sink: String,
    /// Rows read: `= filtered + rejected + late + untimed + duplicate + grouped`.
    pub rows_read: u64,
    /// Rows for which the filter was not true.
    pub rows_filtered: u64,
    /// Rows that could not be read or computed.
    pub rows_rejected: u64,
    /// Those rows, if the engine sets them aside.
    pub rejects: Vec<Reject>,
    /// Rows for windows that were closed already.
    pub rows_late: u64,
    /// Rows without an event time.
    pub rows_untimed: u64,
    /// Rows whose keys had been seen.
    pub rows_duplicate: u64,
    /// Keys that are remembered for that, after it.
    pub keys_seen: u64,
    /// Rows that went into a group, or were given as they are.
    pub rows_grouped: u64,
    /// Rows given to the sink.
    pub rows_emitted: u64,
    /// Input bytes.
    pub bytes_read: u64,
    /// Groups of the state, after it.
    pub groups: u64,
    /// Groups that it changed.
    pub groups_changed: u64,
    /// Groups forgotten, for their windows are closed.
    pub groups_evicted: u64,
    /// Bytes that the state and the strings in it take.
    pub state_bytes: u64,
    /// The latest event time of its rows, and the watermark after it, in ticks of `time`.
    pub latest: Option<i64>,
    /// See `latest`.
    pub watermark: Option<i64>,
    /// The type of the event time.
    pub time: Option<Type>,
    /// The device that grouped its rows.
    pub device: String,
    /// Time by step: `latestOffset`, `walCommit`, `addBatch`, `stateCommit`, `sinkCommit`, `commitOffsets`. Offsets are logged while the
    /// batch is grouped, and state while the sink prepares: their times are those that were waited for them after that.
    pub steps: Vec<(&'static str, Duration)>,
    /// Time on the device by name: `upload`, `kernel`, `readback`, `read` …, added up over threads.
    pub device_steps: Vec<(String, Duration)>,
    /// From its plan to its commit.
    pub wall: Duration,
}

impl Progress {
    /// Whether every row read is accounted for.
    pub fn balances(&self) -> bool {
        let gone = self.rows_filtered + self.rows_rejected + self.rows_late + self.rows_untimed + self.rows_duplicate;
        self.rows_read == gone + self.rows_grouped
    }

    /// One JSON object; times in milliseconds.
    pub fn to_json(&self) -> Json {
        let ms = |d: Duration| (d.as_secs_f64() * 1e6).round() / 1e3;
        let seconds = self.wall.as_secs_f64().max(1e-9);
        let mut durations: serde_json::Map<String, Json> =
            self.steps.iter().map(|(name, time)| ((*name).into(), json!(ms(*time)))).collect();
        durations.insert("triggerExecution".into(), json!(ms(self.wall)));
        let on_device = |name: &str| {
            self.device_steps.iter().find(|(step, _)| step == name).map_or(Json::Null, |(_, time)| json!(ms(*time)))
        };
        let time = |ticks: Option<i64>| match (&self.time, ticks) {
            (Some(ty), Some(ticks)) => json!(shown(ty, ticks)),
            _ => Json::Null,
        };
        let per_second = (self.rows_read as f64 / seconds).round();
        json!({
            "id": self.query,
            "batchId": self.batch,
            "timestamp": shown(&Type::Timestamp(Unit::Milli), self.at),
            "numInputRows": self.rows_read,
            "processedRowsPerSecond": per_second,
            "durationMs": durations,
            "eventTime": { "max": time(self.latest), "watermark": time(self.watermark) },
            "stateOperators": [{
                "numRowsTotal": self.groups,
                "numRowsUpdated": self.groups_changed,
                "numRowsRemoved": self.groups_evicted,
                "numRowsDroppedByWatermark": self.rows_late,
                "numKeysSeen": self.keys_seen,
                "memoryUsedBytes": self.state_bytes,
            }],
            "sources": [{ "description": self.source, "range": self.range, "numInputRows": self.rows_read }],
            "sink": { "description": self.sink, "numOutputRows": self.rows_emitted },
            "rows": {
                "filtered": self.rows_filtered,
                "rejected": self.rows_rejected,
                "late": self.rows_late,
                "withoutEventTime": self.rows_untimed,
                "duplicate": self.rows_duplicate,
                "grouped": self.rows_grouped,
            },
            "inputBytes": self.bytes_read,
            "isReplay": self.is_again,
            "device": self.device,
            "uploadMs": on_device("upload"),
            "kernelMs": on_device("kernel"),
            "readbackMs": on_device("readback"),
        })
    }
}

/// A time as ISO 8601 has it.
fn shown(ty: &Type, ticks: i64) -> String {
    Value::Int(ticks).text(ty)
}
