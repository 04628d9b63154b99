//! Decides, while a job runs, where its next chunks go.
//!
//! Every job begins on the CPU: its first chunks tell the rows' true cost there, the groups and the cost of reading, and a
//! device that may never be needed is not opened. When the rows left would pay for it, the device is opened, while the CPU
//! goes on; then the chunks go there. What the device takes for them is measured too, and if the CPU was faster after all,
//! the rest goes back. A job moves at most twice. A pure state machine: it is told of times and has no clock.

use super::model::Work;
use super::rates::{AdapterRates, CpuRates};

/// A move must promise to save at least this share of the time that is left.
const WORTH: f64 = 0.1;

/// Where chunks go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// To the CPU.
    Cpu,
    /// To the CPU, while the device is opened.
    Opening,
    /// To the device.
    Gpu,
    /// To the CPU again, to the end.
    Back,
}

/// How much there is to do: rows, and thread-seconds spent on reading them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Rows read.
    pub rows: f64,
    /// Seconds that threads read.
    pub reading: f64,
    /// Bytes read.
    pub bytes: f64,
    /// Bytes in all, if known.
    pub total: Option<f64>,
}

impl Progress {
    /// Rows left, about. Of an input without a known end, as many as have been.
    fn left(&self) -> f64 {
        match self.total {
            Some(total) if self.bytes > 0.0 => self.rows * (total - self.bytes).max(0.0) / self.bytes,
            _ => self.rows,
        }
    }
}

/// Decides where chunks go.
#[derive(Debug, Clone)]
pub struct Pilot {
    work: Work,
    cpu: CpuRates,
    adapter: AdapterRates,
    threads: usize,
    /// The device is open from a run before.
    open: bool,
    course: Course,
    /// Chunks, rows and thread-seconds on the CPU.
    on_cpu: (u64, f64, f64),
    groups: f64,
    /// Of the device: chunks, rows, seconds; of them the first.
    on_gpu: (u64, f64, f64),
    first: (f64, f64),
    /// What was predicted, what came, and why, in words.
    log: Vec<String>,
    /// What did not come as predicted.
    surprises: Vec<String>,
}

impl Pilot {
    /// A pilot for a stage on `threads` threads and an adapter, which is `open` or not.
    pub fn new(work: Work, cpu: CpuRates, adapter: AdapterRates, threads: usize, open: bool) -> Pilot {
        Pilot {
            work,
            cpu,
            adapter,
            threads: threads.max(1),
            open,
            course: Course::Cpu,
            on_cpu: (0, 0.0, 0.0),
            groups: 1.0,
            on_gpu: (0, 0.0, 0.0),
            first: (0.0, 0.0),
            log: Vec::new(),
            surprises: Vec::new(),
        }
    }

    /// Where chunks go now.
    pub fn course(&self) -> Course {
        self.course
    }

    /// What was predicted, what came, and why; and what did not come as predicted.
    pub fn words(self) -> (Vec<String>, Vec<String>) {
        (self.log, self.surprises)
    }

    fn start(&self) -> f64 {
        if self.open { 0.0 } else { self.adapter.start }
    }

    /// Seconds a row on the CPU, by what was measured in this run, reading included.
    fn cpu_row(&self, progress: &Progress) -> f64 {
        let (_, rows, seconds) = self.on_cpu;
        self.reading(progress) + seconds / rows.max(1.0) / self.threads as f64
    }

    /// Seconds a row to read.
    fn reading(&self, progress: &Progress) -> f64 {
        progress.reading / progress.rows.max(1.0) / self.threads as f64
    }

    /// A chunk of `rows` rows has taken `seconds` of a thread; the worker has seen `groups` groups so far. True if the
    /// device is to be opened now.
    pub fn cpu_chunk(&mut self, rows: f64, seconds: f64, groups: f64, progress: Progress) -> bool {
        let (chunks, all, spent) = self.on_cpu;
        self.on_cpu = (chunks + 1, all + rows, spent + seconds);
        self.groups = self.groups.max(groups);
        if self.course != Course::Cpu {
            return false;
        }
        let chunk = self.on_cpu.1 / self.on_cpu.0 as f64;
        let left = progress.left();
        let here = self.cpu_row(&progress);
        let there = self.work.gpu_row(&self.adapter, self.groups, chunk).max(self.reading(&progress));
        let start = self.start();
        // While the device starts, the CPU goes on.
        let later = left - start / here.max(1e-12);
        let (stay, go) = (left * here, start + later.max(0.0) * there);
        if chunks == 0 {
            let said = self.work.cpu_row(&self.cpu, self.threads, self.groups);
            let came = self.on_cpu.2 / self.on_cpu.1.max(1.0) / self.threads as f64;
            self.log.push(format!(
                "auto: a row was said to take {} on the CPU and took {}, reading it {}; {} groups in {rows:.0} rows",
                nanos(said),
                nanos(came),
                nanos(self.reading(&progress)),
                self.groups
            ));
        }
        let verdict = format!(
            "for about {left:.0} rows left the CPU would need {stay:.3} s, {} {go:.3} s ({} a row, {start:.3} s to start)",
            self.adapter.name,
            nanos(there)
        );
        if later > 0.0 && go < stay * (1.0 - WORTH) {
            self.log.push(format!("auto: {verdict}: it is opened"));
            self.course = Course::Opening;
            return true;
        }
        if chunks == 0 {
            self.log.push(format!("auto: {verdict}: the CPU goes on"));
        }
        false
    }

    /// The device is open, or (with an error) could not be.
    pub fn opened(&mut self, seconds: f64, error: Option<&str>) {
        match error {
            None => {
                self.log.push(format!("auto: {} was open after {seconds:.3} s", self.adapter.name));
                self.course = Course::Gpu;
            }
            Some(error) => {
                self.surprises.push(format!("{} could not be opened ({error}); the CPU went on", self.adapter.name));
                self.course = Course::Back;
            }
        }
    }

    /// The device failed.
    pub fn lost(&mut self) {
        self.course = Course::Back;
    }

    /// A chunk has taken `seconds` on the device. The course may change to [`Course::Back`].
    pub fn gpu_chunk(&mut self, rows: f64, seconds: f64, progress: Progress) {
        if self.on_gpu.0 == 0 {
            self.first = (rows, seconds);
        }
        let (chunks, all, spent) = self.on_gpu;
        self.on_gpu = (chunks + 1, all + rows, spent + seconds);
        if self.course != Course::Gpu {
            return;
        }
        let said = self.work.gpu_row(&self.adapter, self.groups, rows);
        let came = match self.on_gpu {
            // The first chunk's kernels were compiled in its time.
            (1, rows, seconds) => ((seconds - self.adapter.start) / rows.max(1.0)).max(said),
            (_, rows, seconds) => (seconds - self.first.1) / (rows - self.first.0).max(1.0),
        };
        let left = progress.left();
        let (here, there) = (self.cpu_row(&progress), came.max(self.reading(&progress)));
        if left * here < left * there * (1.0 - WORTH) {
            self.surprises.push(format!(
                "{} was said to take {} a row and took {}, the CPU {}: the {left:.0} rows left, about, went back to the CPU",
                self.adapter.name,
                nanos(said),
                nanos(came),
                nanos(here)
            ));
            self.course = Course::Back;
        } else if self.on_gpu.0 == 2 {
            self.log.push(format!(
                "auto: a row was said to take {} on {} and took {}; it takes {} on the CPU",
                nanos(said),
                self.adapter.name,
                nanos(came),
                nanos(here)
            ));
        }
    }
}

fn nanos(seconds: f64) -> String {
    format!("{:.2} ns", seconds * 1e9)
}

#[cfg(test)]
mod tests {
    use super::super::rates::tests::rates;
    use super::*;

    const CHUNK: f64 = 1e6;

    fn pilot(times: f64) -> Pilot {
        let rates = rates(times);
        let work = Work { bytes: 16.0, operations: 0.0, states: [0.0, 0.0, 1.0, 0.0, 0.0, 0.0], keys: 1 };
        Pilot::new(work, rates.cpu, rates.adapters[0].clone(), 2, false)
    }

    /// After `chunks` of `total`, with `reading` thread-seconds for a row.
    fn at(chunks: f64, total: f64, reading: f64) -> Progress {
        let rows = chunks * CHUNK;
        Progress { rows, reading: rows * reading, bytes: rows * 16.0, total: Some(total * CHUNK * 16.0) }
    }

    #[test]
    fn a_long_job_opens_a_fast_card_and_a_short_one_does_not() {
        // The CPU takes 10 ns a row; the card about 2.7, of which a millisecond a chunk is 1; it starts in 0.25 s.
        let cost = 20e-9 * CHUNK;
        assert!(!pilot(10.0).cpu_chunk(CHUNK, cost, 100.0, at(1.0, 20.0, 0.0)), "0.19 s left");
        assert!(!pilot(10.0).cpu_chunk(CHUNK, cost, 100.0, at(1.0, 26.0, 0.0)), "what is left ends with the start");
        let mut long = pilot(10.0);
        assert!(long.cpu_chunk(CHUNK, cost, 100.0, at(1.0, 100.0, 0.0)));
        assert_eq!(long.course(), Course::Opening);
        assert!(!long.cpu_chunk(CHUNK, cost, 100.0, at(2.0, 100.0, 0.0)), "once");
        long.opened(0.3, None);
        assert_eq!(long.course(), Course::Gpu);
        for chunk in 3..90 {
            long.gpu_chunk(CHUNK, 2.7e-9 * CHUNK, at(f64::from(chunk), 100.0, 0.0));
        }
        assert_eq!(long.course(), Course::Gpu);
        let (log, surprises) = long.words();
        assert!(surprises.is_empty() && log.iter().any(|l| l.contains("it is opened")), "{log:?}");
    }

    #[test]
    fn what_reading_costs_hides_the_device_and_is_no_reason_to_move() {
        // Reading takes 50 ns of both threads' time; computing 1 ns: moving could save 2 % at best.
        let mut pilot = pilot(1000.0);
        assert!(!pilot.cpu_chunk(CHUNK, 2e-9 * CHUNK, 100.0, at(1.0, 1e6, 100e-9)));
        let (log, _) = pilot.words();
        assert!(log[1].ends_with("the CPU goes on"), "{log:?}");
    }

    #[test]
    fn rates_that_lie_are_found_out() {
        // The CPU is 100 times as fast as its rates say: nothing is opened.
        assert!(!pilot(10.0).cpu_chunk(CHUNK, 0.2e-9 * CHUNK, 100.0, at(1.0, 1000.0, 0.0)));
        // The card is 100 times as slow as its rates say: the job goes back, to stay.
        let mut lied = pilot(10.0);
        assert!(lied.cpu_chunk(CHUNK, 20e-9 * CHUNK, 100.0, at(1.0, 1000.0, 0.0)));
        lied.opened(0.25, None);
        lied.gpu_chunk(CHUNK, 0.25 + 270e-9 * CHUNK, at(3.0, 1000.0, 0.0));
        assert_eq!(lied.course(), Course::Back);
        assert!(!lied.cpu_chunk(CHUNK, 20e-9 * CHUNK, 100.0, at(4.0, 1000.0, 0.0)));
        lied.gpu_chunk(CHUNK, 1e-9, at(5.0, 1000.0, 0.0));
        assert_eq!(lied.course(), Course::Back);
        let (_, surprises) = lied.words();
        assert_eq!(surprises.len(), 1, "{surprises:?}");
        assert!(surprises[0].contains("went back to the CPU"), "{surprises:?}");
    }

    #[test]
    fn kernels_compiled_in_the_first_chunk_are_no_reason_to_go_back() {
        let mut slow_start = pilot(10.0);
        assert!(slow_start.cpu_chunk(CHUNK, 20e-9 * CHUNK, 100.0, at(1.0, 1000.0, 0.0)));
        slow_start.opened(0.1, None);
        slow_start.gpu_chunk(CHUNK, 0.2, at(2.0, 1000.0, 0.0));
        slow_start.gpu_chunk(CHUNK, 0.003, at(3.0, 1000.0, 0.0));
        assert_eq!(slow_start.course(), Course::Gpu);
    }

    #[test]
    fn a_device_that_does_not_open_leaves_the_cpu_and_is_named() {
        let mut pilot = pilot(10.0);
        assert!(pilot.cpu_chunk(CHUNK, 20e-9 * CHUNK, 100.0, at(1.0, 1000.0, 0.0)));
        pilot.opened(0.0, Some("no such card"));
        assert_eq!(pilot.course(), Course::Back);
        assert_eq!(pilot.words().1, ["card could not be opened (no such card); the CPU went on"]);
    }

    #[test]
    fn without_a_known_end_as_much_is_expected_as_has_been() {
        assert_eq!(Progress { rows: 5.0, bytes: 10.0, ..Progress::default() }.left(), 5.0);
        assert_eq!(Progress { rows: 5.0, bytes: 10.0, total: Some(30.0), ..Progress::default() }.left(), 10.0);
        assert_eq!(Progress { rows: 5.0, bytes: 10.0, total: Some(9.0), ..Progress::default() }.left(), 0.0);
    }
}
