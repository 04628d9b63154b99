//! How much a batch reads, for a batch to take as long as was asked for.
//!
//! A batch shows how much is done in how long; the next is allowed what would take four fifths of the target at that rate. So
//! many times less than before at once, for a batch that takes too long is late already; at most twice as much, and only if the last
//! took all it was allowed, for a small batch says little of a large one. The first is small.

use std::time::Duration;

use super::Limits;

/// What the first batch is allowed.
const FIRST: Limits = Limits { files: Some(1), bytes: Some(1 << 20), rows: Some(10_000) };
/// What part of the target is aimed at.
const PART: f64 = 0.8;
/// Less than a batch took by no more than this is all that it was allowed: files and lines are not cut.
const USED: f64 = 0.75;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    target: Duration,
    /// What a batch may read whatever it takes.
    most: Limits,
    allowed: Limits,
}

impl Pace {
    /// Batches of no more than `most` that take about `target`.
    pub fn new(target: Duration, most: Limits) -> Pace {
        Pace { target, most, allowed: each(FIRST, most, |first, most| first.min(most.unwrap_or(u64::MAX))) }
    }

    /// What the next batch may read.
    pub fn limits(&self) -> Limits {
        self.allowed
    }

    /// A batch of this extent has taken so long.
    pub fn saw(&mut self, extent: Limits, took: Duration) {
        let rate = PART * self.target.as_secs_f64() / took.as_secs_f64().max(1e-6);
        // If it used up what it was allowed of anything, it could have had more.
        let is_used = |took: Option<u64>, allowed: Option<u64>| matches!((took, allowed), (Some(took), Some(allowed)) if took as f64 >= USED * allowed as f64);
        let (took, allowed) = (extent, self.allowed);
        let used = is_used(took.files, allowed.files)
            || is_used(took.bytes, allowed.bytes)
            || is_used(took.rows, allowed.rows);
        let next = |allowed: u64, took: Option<u64>| {
            let Some(took) = took.filter(|took| *took > 0) else { return allowed };
            let fits = took as f64 * rate;
            match fits < allowed as f64 {
                true => (fits as u64).max(1),
                false if used => (fits.min(2.0 * allowed as f64) as u64).max(allowed.saturating_add(1)),
                false => allowed,
            }
        };
        let next = each(self.allowed, extent, next);
        self.allowed = each(next, self.most, |next, most| next.min(most.unwrap_or(u64::MAX)));
    }
}

/// What comes of each of the limits of `a`, which are all there, with that of `b`.
fn each(a: Limits, b: Limits, f: impl Fn(u64, Option<u64>) -> u64) -> Limits {
    Limits {
        files: a.files.map(|a| f(a, b.files)),
        bytes: a.bytes.map(|a| f(a, b.bytes)),
        rows: a.rows.map(|a| f(a, b.rows)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of a source that always has more, at `micros` a batch and `nanos` a row; how long each took.
    fn run(pace: &mut Pace, batches: usize, micros: f64, nanos: impl Fn(usize) -> f64) -> Vec<f64> {
        let batch = |at: usize| {
            let rows = pace.limits().rows.unwrap();
            let took = micros / 1e6 + rows as f64 * nanos(at) / 1e9;
            pace.saw(Limits { rows: Some(rows), ..Limits::default() }, Duration::from_secs_f64(took));
            took
        };
        (0..batches).map(batch).collect()
    }

    fn pace(most: Limits) -> Pace {
        Pace::new(Duration::from_millis(500), most)
    }

    #[test]
    fn batches_come_to_take_what_was_asked_for_and_never_more_at_an_even_rate() {
        for (micros, nanos) in [(200.0, 50.0), (5_000.0, 1_000.0), (50_000.0, 20.0), (0.0, 30_000.0)] {
            let took = run(&mut pace(Limits::default()), 40, micros, |_| nanos);
            assert!(took.iter().all(|took| *took <= 0.5), "{micros} {nanos}: {took:?}");
            assert!(took.iter().skip(25).all(|took| (0.3..0.5).contains(took)), "{micros} {nanos}: {took:?}");
        }
    }

    #[test]
    fn a_batch_that_took_too_long_is_followed_by_a_small_one_and_noise_is_borne() {
        let mut pace = pace(Limits::default());
        // A stall of ten times at batch 30, and noise of up to a quarter.
        let took = run(&mut pace, 80, 1_000.0, |at| {
            let noise = 1.0 + 0.25 * ((at * 7919) % 13) as f64 / 13.0;
            if at == 30 { 1_000.0 * noise } else { 100.0 * noise }
        });
        assert!(took[30] > 2.0 && took[31] < 0.1, "{took:?}");
        let late = took.iter().enumerate().filter(|(at, took)| *at != 30 && **took > 0.5).count();
        assert_eq!(late, 0, "{took:?}");
        assert!(took[45..].iter().all(|took| *took > 0.25), "{took:?}");
    }

    #[test]
    fn what_was_not_used_does_not_grow_and_what_was_asked_for_holds() {
        let most = Limits { files: Some(3), bytes: None, rows: Some(50_000) };
        let mut pace = pace(most);
        assert_eq!(pace.limits(), Limits { files: Some(1), bytes: Some(1 << 20), rows: Some(10_000) });
        for _ in 0..10 {
            pace.saw(Limits { rows: Some(100), ..Limits::default() }, Duration::from_millis(1));
        }
        assert_eq!(pace.limits().rows, Some(10_000));
        for _ in 0..10 {
            let Limits { files, rows, .. } = pace.limits();
            pace.saw(Limits { files, rows, bytes: None }, Duration::from_millis(1));
        }
        assert_eq!(pace.limits(), Limits { files: Some(3), bytes: Some(1 << 20), rows: Some(50_000) });
        // Something is always read.
        pace.saw(Limits { files: Some(3), rows: Some(2), bytes: None }, Duration::from_secs(1000));
        assert_eq!((pace.limits().files, pace.limits().rows), (Some(1), Some(1)));
    }
}
