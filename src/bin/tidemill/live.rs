//! What a stream is at, in one line on stderr, if somebody looks and it runs long enough to wonder.
//!
//! The query only leaves what there is to say; whoever waits for it draws, so that a slow terminal holds nothing up.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemill::column::Value;
use tidemill::stream::Progress;

use crate::progress::grouped;

/// Streams that end sooner show nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// Rates are those of the last of this time.
const RECENT: Duration = Duration::from_secs(5);

/// The line. A clone is the same line.
#[derive(Clone)]
pub struct Live {
    /// `None` if nobody looks.
    bar: Option<ProgressBar>,
    seen: Arc<Mutex<Seen>>,
}

/// What the batches have said.
struct Seen {
    began: Instant,
    batch: Option<u64>,
    rows: u64,
    late: u64,
    groups: u64,
    state_bytes: u64,
    /// The watermark as it is written, and in seconds since 1970.
    watermark: Option<(String, f64)>,
    /// Rows read until then.
    marks: VecDeque<(Instant, u64)>,
}

impl Live {
    /// A line of a stream that begins now; one that is never drawn unless `draws`.
    pub fn new(draws: bool) -> Live {
        // Hidden until there has been time to wonder.
        let bar = draws.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
        Live { bar, seen: Arc::new(Mutex::new(Seen::new(Instant::now()))) }
    }

    /// Takes what a batch did.
    pub fn note(&self, progress: &Progress) {
        if self.bar.is_some() {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).note(progress);
        }
    }

    /// Draws the line as it is now.
    pub fn draw(&self) {
        let Some(bar) = &self.bar else { return };
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(seen.began) < PATIENCE {
            return;
        }
        if bar.is_hidden() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
        }
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let message = seen.message(now, clock);
        drop(seen);
        bar.set_message(message);
        bar.tick();
    }

    /// Does what writes to the terminal, with the line out of the way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away for good.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Standard output on a terminal that the line is drawn on as well.
pub struct Beside(pub Live);

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.aside(|| {
            let mut out = io::stdout().lock();
            // The line comes back right after: what is written must be there before it.
            out.write_all(bytes).and_then(|()| out.flush()).map(|()| bytes.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seen {
    fn new(now: Instant) -> Seen {
        Seen {
            began: now,
            batch: None,
            rows: 0,
            late: 0,
            groups: 0,
            state_bytes: 0,
            watermark: None,
            marks: VecDeque::from([(now, 0)]),
        }
    }

    fn note(&mut self, progress: &Progress) {
        self.batch = Some(progress.batch);
        self.rows += progress.rows_read;
        self.late += progress.rows_late;
        (self.groups, self.state_bytes) = (progress.groups, progress.state_bytes);
        if let (Some(seconds), Some(ticks), Some(ty)) =
            (progress.seconds(progress.watermark), progress.watermark, &progress.time)
        {
            self.watermark = Some((Value::Int(ticks).text(ty), seconds));
        }
    }

    /// The line at `now`, which is `clock` seconds since 1970.
    fn message(&mut self, now: Instant, clock: f64) -> String {
        self.marks.push_back((now, self.rows));
        // One mark may be older: a rate is over the whole time.
        while self.marks.len() > 2 && now.duration_since(self.marks[1].0) >= RECENT {
            self.marks.pop_front();
        }
        let Some(batch) = self.batch else { return "waiting for the first batch".into() };
        let (since, before) = self.marks[0];
        let seconds = now.duration_since(since).as_secs_f64().max(1e-3);
        let rate = ((self.rows - before) as f64 / seconds).round() as u64;
        let mut text = format!("batch {batch}, {} rows, {} rows/s", grouped(self.rows), grouped(rate));
        if self.late > 0 {
            text += &format!(", {} late", grouped(self.late));
        }
        text += &format!("; {} groups, {}", grouped(self.groups), size(self.state_bytes));
        if let Some((watermark, seconds)) = &self.watermark {
            text += &format!("; watermark {watermark}, {} behind", span(clock - seconds));
        }
        text
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A time that a clock went on; one that is before it was set differently.
fn span(seconds: f64) -> String {
    match seconds.abs() {
        s if s < 60.0 => format!("{seconds:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", seconds / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use tidemill::column::{Type, Unit};

    use super::*;

    #[test]
    fn the_line_says_how_far_how_fast_and_how_late() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let mut seen = Seen::new(began);
        assert_eq!(seen.message(at(500), 0.0), "waiting for the first batch");
        let plain = Progress { batch: 6, rows_read: 3000, groups: 12, state_bytes: 2048, ..Progress::default() };
        seen.note(&plain);
        assert_eq!(seen.message(at(1500), 0.0), "batch 6, 3,000 rows, 2,000 rows/s; 12 groups, 2.0 kB");
        let (watermark, time) = (Some(1_767_225_600_500), Some(Type::Timestamp(Unit::Milli)));
        seen.note(&Progress { batch: 7, rows_late: 5, state_bytes: 3_240_000, watermark, time, ..plain });
        assert_eq!(
            seen.message(at(2000), 1_767_225_603.0),
            "batch 7, 6,000 rows, 3,000 rows/s, 5 late; 12 groups, 3.2 MB; watermark 2026-01-01T00:00:00.500, 2.5 s behind"
        );
        // What was read long ago is not its speed now. At the end the watermark has no time; the last one is shown.
        seen.note(&Progress { batch: 8, rows_read: 100, watermark: Some(i64::MAX), ..Progress::default() });
        let line = seen.message(at(12_000), 1_767_225_603.0);
        assert!(
            line.starts_with("batch 8, 6,100 rows, 10 rows/s, 5 late; 0 groups, 0.0 kB; watermark 2026-"),
            "{line}"
        );
    }

    #[test]
    fn sizes_and_spans_have_their_units() {
        assert_eq!([999, 12_345_678, 7_000_000_000].map(size), ["1.0 kB", "12.3 MB", "7.0 GB"]);
        let spans = [-0.25, 59.9, 90.0, 7200.0, 400_000.0].map(span);
        assert_eq!(spans, ["-0.2 s", "59.9 s", "2 min", "2 h", "5 days"]);
    }
}
