//! What a worker remembers of its batches, for the ledger and for explanations.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::Timing;
use super::passes::windows;
use super::record::Counters;
use super::strategy::Chosen;
use crate::kernel::exponent_range::ExponentRange;
use crate::kernel::value::Kind;

/// Time by what it was spent on.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// Nodes the host computes, and groups merged.
    pub host: Duration,
    /// Bytes put into staging memory and work encoded.
    pub upload: Duration,
    /// Waited for the device.
    pub kernel: Duration,
    /// Groups unpacked.
    pub readback: Duration,
    /// Uploads of a batch while another was on the device; those during which it was there all the time, and how long
    /// they took.
    pub uploads: u64,
    pub overlapped: u64,
    pub overlap: Duration,
    /// Nanoseconds on the device by kernel, where it measures them.
    pub by_stem: BTreeMap<&'static str, u64>,
}

impl Clock {
    /// An upload of that length has ended; was the batch before it still on the device?
    pub fn count_overlap(&mut self, length: Duration, in_flight: bool) {
        self.uploads += 1;
        if in_flight {
            self.overlapped += 1;
            self.overlap += length;
        }
    }

    pub fn stems(&mut self, timings: &[Timing]) {
        for timing in timings {
            *self.by_stem.entry(timing.stem).or_default() += timing.nanos;
        }
    }
}

/// One batch, or many that went alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BatchNote {
    pub rows: u64,
    pub selected: u64,
    pub groups: u64,
    /// Strategy and bits of a key; `None` where no row was selected.
    pub chosen: Option<(Chosen, u32)>,
    /// The most windows a ranged operand needs.
    pub windows: usize,
    /// Reductions over all rows.
    pub reductions: u64,
    pub counters: Counters,
    pub submissions: u64,
}

impl BatchNote {
    pub fn add(&mut self, counters: &Counters) {
        self.submissions += 1;
        self.counters.add(counters);
    }

    pub fn chosen(&mut self, chosen: Chosen, bits: u32, ranges: impl Iterator<Item = (ExponentRange, Kind)>) {
        self.chosen = Some((chosen, bits));
        self.windows = ranges.map(|(range, kind)| windows(range, kind).len()).max().unwrap_or(0);
    }

    fn absorb(&mut self, other: &BatchNote) {
        self.rows += other.rows;
        self.selected += other.selected;
        self.groups = self.groups.max(other.groups);
        self.windows = self.windows.max(other.windows);
        let submissions = self.submissions + other.submissions;
        self.add(&other.counters);
        self.submissions = submissions;
    }
}

/// All batches of a worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Runs of batches with one strategy and key width, and how many of them.
    runs: Vec<(u64, BatchNote)>,
    /// What went wrong and was put right.
    pub events: Vec<String>,
}

impl Notes {
    pub fn batch(&mut self, note: BatchNote) {
        match self.runs.last_mut() {
            Some((count, last)) if last.chosen == note.chosen && last.reductions == note.reductions => {
                *count += 1;
                last.absorb(&note);
            }
            _ => self.runs.push((1, note)),
        }
    }

    /// One line for each run of batches, then what happened.
    pub fn lines(&self, clock: &Clock) -> Vec<String> {
        let mut lines: Vec<String> = self.runs.iter().map(|(count, note)| line(*count, note)).collect();
        lines.extend(self.events.iter().cloned());
        if clock.uploads > 0 {
            lines.push(format!(
                "{} of {} later uploads ({:.1} of {:.1} ms in all) while the device computed the batch before",
                clock.overlapped,
                clock.uploads,
                clock.overlap.as_secs_f64() * 1e3,
                clock.upload.as_secs_f64() * 1e3,
            ));
        }
        if !clock.by_stem.is_empty() {
            let ms = |nanos: u64| nanos as f64 / 1e6;
            let stems: Vec<String> =
                clock.by_stem.iter().map(|(stem, nanos)| format!("{stem} {:.1} ms", ms(*nanos))).collect();
            lines.push(format!("on the device: {}", stems.join(", ")));
        }
        lines
    }
}

fn line(count: u64, note: &BatchNote) -> String {
    let how = match note.chosen {
        None => "no row selected".to_owned(),
        Some((Chosen::Sort, bits)) => format!("sort, {bits} key bits in {} passes", bits.div_ceil(8)),
        Some((chosen, bits)) => format!("{chosen}, {bits} key bits"),
    };
    let batches = if count == 1 { "1 batch".to_owned() } else { format!("{count} batches") };
    let Counters { dispatches, traffic, uploaded, read_back, .. } = note.counters;
    format!(
        "{batches}, {} rows, {} selected: {how}, {} reductions, {} windows, up to {} groups; {} submissions, {dispatches} \
         dispatches, {} up, {} back, {} read and {} written on the device",
        note.rows,
        note.selected,
        note.reductions,
        note.windows,
        note.groups,
        note.submissions,
        size(uploaded),
        size(read_back),
        size(traffic.read),
        size(traffic.written),
    )
}

/// Bytes in the largest binary unit that leaves a whole part.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_batches_are_one_line() {
        let mut notes = Notes::default();
        let one = BatchNote { rows: 10, selected: 8, groups: 3, ..BatchNote::default() };
        let one = BatchNote { chosen: Some((Chosen::Sort, 17)), ..one };
        notes.batch(one.clone());
        notes.batch(BatchNote { groups: 5, ..one.clone() });
        notes.batch(BatchNote { chosen: Some((Chosen::One, 0)), ..one });
        let lines = notes.lines(&Clock::default());
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("2 batches, 20 rows, 16 selected: sort, 17 key bits in 3 passes"), "{}", lines[0]);
        assert!(lines[0].contains("up to 5 groups"), "{}", lines[0]);
        assert!(lines[1].starts_with("1 batch, 10 rows, 8 selected: one group, 0 key bits"), "{}", lines[1]);
        assert_eq!(size(1536), "1.5 KiB");
    }
}
