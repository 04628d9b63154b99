//! A progress bar on stderr, if somebody looks and the run takes long enough to wonder; and what was set aside by a run that
//! failed.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemill::exec::{Observer, Progress};
use tidemill::input::Reject;

use crate::screen;

/// Runs shorter than this show nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// Watches a run.
pub struct Watch {
    started: Instant,
    draws: bool,
    bar: OnceLock<ProgressBar>,
    rejects: Mutex<Vec<Reject>>,
}

impl Watch {
    /// Watches from now on.
    pub fn new() -> Watch {
        Watch { started: Instant::now(), draws: screen::can_draw(), bar: OnceLock::new(), rejects: Mutex::default() }
    }

    /// The rows a failed run had set aside.
    pub fn set_aside(&self) -> Vec<Reject> {
        self.rejects.lock().map(|rejects| rejects.clone()).unwrap_or_default()
    }

    /// Takes the bar away. Nothing may be drawn after.
    pub fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Watch {
    fn progress(&self, progress: Progress) {
        let elapsed = self.started.elapsed();
        if !self.draws || elapsed < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| draw(progress.total_bytes));
        bar.set_message(message(progress, elapsed));
        bar.set_position(progress.bytes);
    }

    fn failed(&self, rejects: &[Reject]) {
        if let Ok(mut mine) = self.rejects.lock() {
            *mine = rejects.to_vec();
        }
    }
}

fn draw(total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template =
        if total.is_some() { "{wide_bar} {percent:>3}% of {total_bytes}  {msg}" } else { "{spinner} {bytes}  {msg}" };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // A bar of another look is a bar.
        Err(_) => bar,
    }
}

/// Rows, rate, and what is left to do.
fn message(progress: Progress, elapsed: Duration) -> String {
    let rate = progress.bytes as f64 / elapsed.as_secs_f64();
    let left = match progress.total_bytes {
        Some(total) if total > progress.bytes => {
            format!(", {:.0} s left", (total - progress.bytes) as f64 / rate.max(1.0))
        }
        Some(_) => ", finishing".into(),
        None => String::new(),
    };
    format!("{} rows, {:.0} MB/s{left}", grouped(progress.rows), rate / 1e6)
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() + 2) % 3 + 1;
    let (head, rest) = digits.split_at(first.min(digits.len()));
    rest.as_bytes().chunks(3).fold(head.to_owned(), |text, three| text + "," + &String::from_utf8_lossy(three))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_how_far_and_how_long() {
        let progress = |bytes, total_bytes| Progress { bytes, total_bytes, rows: 7_000_001 };
        let second = Duration::from_secs(1);
        assert_eq!(message(progress(50_000_000, Some(150_000_000)), second), "7,000,001 rows, 50 MB/s, 2 s left");
        assert_eq!(message(progress(50_000_000, Some(50_000_000)), second), "7,000,001 rows, 50 MB/s, finishing");
        assert_eq!(message(progress(50_000_000, None), second), "7,000,001 rows, 50 MB/s");
    }

    #[test]
    fn digits_stand_in_threes() {
        for (number, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (7_000_001, "7,000,001")]
        {
            assert_eq!(grouped(number), want);
        }
    }
}
