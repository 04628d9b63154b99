//! Runs jobs and times them: CPU and GPU in turns, so that what drifts on the machine hits both.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemill::{Device, Engine, Error, Input, Job, Result, RunReport};

use super::report::{Cell, Report, Side};
use super::text::count;
use crate::interrupt::Interrupt;
use crate::screen;

/// A cell is left out if it would take more than this share of the time that is left.
const SHARE: f64 = 0.34;
/// Fewer counted runs than this say nothing about their spread.
const LEAST_RUNS: usize = 3;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// There is more to measure.
    On,
    /// Ctrl-C came.
    Stop,
}

/// Measures cells into a report.
pub struct Meter {
    /// What has been measured.
    pub report: Report,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    deadline: Instant,
    engine: Engine,
    devices: Vec<Device>,
    /// Engines with their devices kept open, one for each device.
    warm: Vec<Engine>,
    bar: Option<ProgressBar>,
}

/// One run of a cell.
struct Run {
    seconds: f64,
    report: RunReport,
}

impl Meter {
    /// Measures on `devices`, the CPU first, with the settings of `engine`, for about `time`.
    pub fn new(report: Report, engine: Engine, devices: Vec<Device>, time: Duration, interrupt: Interrupt) -> Meter {
        let engine = engine.cancel_on(std::sync::Arc::clone(&interrupt.flag));
        let warm = devices.iter().map(|device| engine.clone().device(device.clone())).collect();
        let bar = screen::can_draw().then(|| {
            let bar = ProgressBar::with_draw_target(Some(time.as_secs()), ProgressDrawTarget::stderr());
            match ProgressStyle::with_template("{wide_bar} {msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Meter { report, interrupt, deadline: Instant::now() + time, engine, devices, warm, bar }
    }

    /// Takes the progress away. Nothing is drawn after.
    pub fn done(self) -> Report {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.report
    }

    fn tell(&self, text: &str) {
        if let Some(bar) = &self.bar {
            let left = self.deadline.saturating_duration_since(Instant::now()).as_secs();
            bar.set_position(bar.length().unwrap_or_default().saturating_sub(left));
            bar.set_message(format!("{text}, at most {left} s left"));
        }
    }

    /// Measures a job over data in memory, with warm devices.
    ///
    /// # Errors
    /// What the job meets on the CPU.
    pub fn resident(&mut self, cell: Cell, job: &Job, input: &Input) -> Result<Go> {
        let warm = self.warm.clone();
        self.cell(cell, |at| warm[at].run(job, input))
    }

    /// Measures a job from opening its input on, each run with an engine that has to open its device.
    ///
    /// # Errors
    /// What opening the input and the job meet on the CPU.
    pub fn end_to_end(&mut self, cell: Cell, job: &Job, open: impl Fn() -> Result<Input>) -> Result<Go> {
        let (engine, devices) = (self.engine.clone(), self.devices.clone());
        self.cell(cell, |at| engine.clone().device(devices[at].clone()).run(job, &open()?))
    }

    /// Whether a cell of so many rows fits in the time that is left, by the times of smaller rungs; if not, that is noted.
    pub fn fits(&mut self, cell: &Cell) -> bool {
        let mut below: Vec<&Cell> =
            self.report.cells.iter().filter(|known| known.same_ladder(cell) && known.rows < cell.rows).collect();
        below.sort_by_key(|known| known.rows);
        let sides = 0..self.devices.len();
        let once: f64 = sides.map(|at| predicted(&times(&below, at), cell.rows as f64)).sum();
        let needed = once * (LEAST_RUNS + 1) as f64;
        let left = self.deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let fits = left > 0.0 && needed <= left * SHARE;
        if !fits {
            self.report.complete = false;
            self.report.left_out.push(format!(
                "{}, {} rows, {}: no time left for about {needed:.0} s (--seconds gives more)",
                cell.scope.title(),
                count(cell.rows),
                cell.ladder_name()
            ));
        }
        fits
    }

    fn cell(&mut self, mut cell: Cell, run: impl Fn(usize) -> Result<RunReport>) -> Result<Go> {
        if !self.fits(&cell) {
            return Ok(Go::On);
        }
        let name = format!("{}, {} rows", cell.scope.title(), count(cell.rows));
        let count = self.devices.len();
        let mut sides = vec![Side::default(); count];
        let mut runs: Vec<Vec<Run>> = (0..count).map(|_| Vec::new()).collect();
        // The first run warms: pages, pools, kernels.
        let mut expected: Option<RunReport> = None;
        for (at, side) in sides.iter_mut().enumerate() {
            self.tell(&format!("{name}, {}, warming", self.report.processors[at].device));
            match timed(at, &run) {
                Err(Error::Cancelled) => return Ok(Go::Stop),
                Err(error) if at == 0 => return Err(error),
                Err(error) => side.problem = Some(error.to_string()),
                Ok(done) => {
                    side.first = done.seconds;
                    side.identical = expected.as_ref().is_none_or(|cpu| cpu.batches == done.report.batches);
                    side.problem = left_the_gpu(at, &done.report);
                    expected = expected.or(Some(done.report));
                }
            }
        }
        if let Some(report) = &expected {
            cell.groups = report.ledger.groups;
        }
        let once: f64 = sides.iter().map(|side| side.first).sum();
        let left = self.deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let affordable = (left * SHARE / once.max(1e-9)) as usize;
        let wanted = affordable.clamp(LEAST_RUNS, self.report.runs.max(LEAST_RUNS));
        for round in 0..wanted {
            for at in 0..count {
                if sides[at].problem.is_some() {
                    continue;
                }
                self.tell(&format!("{name}, {}, run {} of {wanted}", self.report.processors[at].device, round + 1));
                match timed(at, &run) {
                    Err(Error::Cancelled) => return Ok(Go::Stop),
                    Err(error) if at == 0 => return Err(error),
                    Err(error) => sides[at].problem = Some(error.to_string()),
                    Ok(done) => match left_the_gpu(at, &done.report) {
                        Some(problem) => sides[at].problem = Some(problem),
                        None => runs[at].push(done),
                    },
                }
            }
        }
        for (side, mut runs) in sides.iter_mut().zip(runs) {
            if side.problem.is_some() {
                continue;
            }
            side.seconds = runs.iter().map(|run| run.seconds).collect();
            runs.sort_unstable_by(|a, b| a.seconds.total_cmp(&b.seconds));
            if let Some(middle) = runs.get(runs.len() / 2) {
                let ledger = &middle.report.ledger;
                side.stages = ledger.stages.iter().map(|(name, time)| (name.clone(), time.as_secs_f64())).collect();
                side.details.clone_from(&ledger.details);
            }
        }
        cell.sides = sides;
        self.report.cells.push(cell);
        Ok(Go::On)
    }
}

/// `(rows, seconds)` of a side in some cells.
fn times(cells: &[&Cell], side: usize) -> Vec<(f64, f64)> {
    cells.iter().filter_map(|cell| Some((cell.rows as f64, cell.sides.get(side)?.median()?))).collect()
}

/// Seconds a rung of `rows` will take, by the two rungs below it: along their line, since a good part of a short run does not
/// grow. With one rung below it, as if it grew from 10,000 rows on; with none, nothing is known against it.
fn predicted(below: &[(f64, f64)], rows: f64) -> f64 {
    match *below {
        [.., (r1, s1), (r2, s2)] => s2 + ((s2 - s1) / (r2 - r1)).max(0.0) * (rows - r2),
        [(r1, s1)] => s1 * (rows / r1.max(10_000.0)).max(1.0),
        [] => 0.0,
    }
}

fn timed(at: usize, run: &impl Fn(usize) -> Result<RunReport>) -> Result<Run> {
    let started = Instant::now();
    let report = run(at)?;
    Ok(Run { seconds: started.elapsed().as_secs_f64(), report })
}

/// A run that began on a GPU and did not end there is no measurement of it.
fn left_the_gpu(at: usize, report: &RunReport) -> Option<String> {
    (at > 0).then(|| report.ledger.notes.iter().find(|note| note.contains("device failed")).cloned()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_is_predicted_by_those_below_it() {
        assert_eq!(predicted(&[], 1e6), 0.0);
        assert_eq!(predicted(&[(1e5, 0.2)], 1e6), 2.0);
        assert_eq!(predicted(&[(100.0, 0.2)], 5000.0), 0.2, "what a short run takes does not grow");
        assert!((predicted(&[(1e4, 0.5), (1e5, 0.1), (1e6, 1.0)], 1e7) - 10.0).abs() < 1e-9);
        assert_eq!(predicted(&[(1e4, 0.5), (1e5, 0.1)], 1e6), 0.1, "noise does not make it negative");
    }
}
