//! The ledger: what became of every row, and what the run cost.

use std::time::Duration;

use serde_json::json;

/// The account of a run. `rows_read = rows_filtered + rows_rejected + rows_grouped`, always.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// Rows found in the inputs.
    pub rows_read: u64,
    /// Rows for which the filter was not true.
    pub rows_filtered: u64,
    /// Rows set aside because they could not be read or computed.
    pub rows_rejected: u64,
    /// Rows that went into a group.
    pub rows_grouped: u64,
    /// Rows of the result.
    pub rows_emitted: u64,
    /// Groups found, before having and limit.
    pub groups: u64,
    /// Input bytes covered (compressed size, for formats that skip columns: of what was read).
    pub bytes_read: u64,
    /// Chunks run.
    pub chunks: u64,
    /// Where the stage ran.
    pub device: String,
    /// Why there.
    pub device_reason: String,
    /// What did not go as planned and was mended: a device lost, a type widened …
    pub notes: Vec<String>,
    /// What the device did, chunk by chunk: strategy, key bits, passes, bytes moved.
    pub details: Vec<String>,
    /// The most memory the process has had so far, in bytes, mapped files included, by the system's own account; `None`
    /// where the system does not say.
    pub peak_memory: Option<u64>,
    /// Wall time of the whole run.
    pub wall: Duration,
    /// Time by stage, added up over threads.
    pub stages: Vec<(String, Duration)>,
}

impl Ledger {
    /// Whether every row read is accounted for.
    pub fn balances(&self) -> bool {
        self.rows_read == self.rows_filtered + self.rows_rejected + self.rows_grouped
    }

    /// Adds time to a stage.
    pub fn spend(&mut self, stage: &str, time: Duration) {
        match self.stages.iter_mut().find(|(name, _)| name == stage) {
            Some((_, sum)) => *sum += time,
            None => self.stages.push((stage.to_owned(), time)),
        }
    }

    /// The ledger as one JSON object; times in milliseconds.
    pub fn to_json(&self) -> serde_json::Value {
        let ms = |d: &Duration| d.as_secs_f64() * 1e3;
        let stages: serde_json::Map<String, serde_json::Value> =
            self.stages.iter().map(|(name, time)| (name.clone(), json!(ms(time)))).collect();
        json!({
            "rows_read": self.rows_read,
            "rows_filtered": self.rows_filtered,
            "rows_rejected": self.rows_rejected,
            "rows_grouped": self.rows_grouped,
            "rows_emitted": self.rows_emitted,
            "groups": self.groups,
            "bytes_read": self.bytes_read,
            "chunks": self.chunks,
            "device": self.device,
            "device_reason": self.device_reason,
            "notes": self.notes,
            "details": self.details,
            "peak_memory_bytes": self.peak_memory,
            "wall_ms": ms(&self.wall),
            "stage_ms": stages,
        })
    }
}

impl std::fmt::Display for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = self.bytes_read as f64 / 1e6;
        let seconds = self.wall.as_secs_f64();
        writeln!(
            f,
            "rows     {} read = {} filtered + {} rejected + {} grouped",
            self.rows_read, self.rows_filtered, self.rows_rejected, self.rows_grouped
        )?;
        writeln!(f, "result   {} rows of {} groups", self.rows_emitted, self.groups)?;
        writeln!(f, "input    {mb:.1} MB in {} chunks, {:.0} MB/s", self.chunks, mb / seconds.max(1e-9))?;
        writeln!(f, "device   {} ({})", self.device, self.device_reason)?;
        for note in &self.notes {
            writeln!(f, "note     {note}")?;
        }
        for detail in &self.details {
            writeln!(f, "         {detail}")?;
        }
        if let Some(bytes) = self.peak_memory {
            writeln!(f, "memory   {} MiB at the peak of the process", bytes.div_ceil(1 << 20))?;
        }
        write!(f, "time     {:.1} ms wall", seconds * 1e3)?;
        for (name, time) in &self.stages {
            write!(f, "; {name} {:.1} ms", time.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}
