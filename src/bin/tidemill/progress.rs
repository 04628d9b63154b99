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
        if !self.draws || self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_init(|| draw(progress.total_bytes));
        bar.set_position(progress.bytes);
        bar.set_message(format!("{} rows", grouped(progress.rows)));
    }

    fn failed(&self, rejects: &[Reject]) {
        if let Ok(mut mine) = self.rejects.lock() {
            *mine = rejects.to_vec();
        }
    }
}

fn draw(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
            "{bar:30} {percent:>3}%  {bytes} of {total_bytes}  {bytes_per_sec}  {msg}  {eta} left",
        ),
        None => (
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            "{spinner} {bytes}  {bytes_per_sec}  {msg}",
        ),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // A bar of another look is a bar.
        Err(_) => bar,
    }
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
    use super::grouped;

    #[test]
    fn digits_stand_in_threes() {
        for (number, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (7_000_001, "7,000,001")]
        {
            assert_eq!(grouped(number), want);
        }
    }
}
