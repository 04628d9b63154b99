//! The one place that submits: a recording goes to the device and its results come back.
//!
//! `submit` encodes (see `encode`) inside error scopes, `wait` polls and reads back. The engine is used by one thread;
//! several recordings may be in flight, so that the upload of one overlaps the work of another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::device::{Fault, Gpu};
use super::encode::Submission;
use super::pipeline::Pipelines;
use super::pool::{Kept, Memory, Pool, Use};
use super::record::{Counters, Download, Recording, Traffic};
use crate::kernel::{self, Shape};
use crate::{Error, Result};

/// A submission that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs recordings on one device.
#[derive(Debug)]
pub struct Engine {
    gpu: Gpu,
    pipelines: Pipelines,
    pool: Pool,
    submissions: u64,
    counters: Counters,
}

/// What an engine has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Buffers allocated.
    pub memory: Memory,
    /// Kernels compiled.
    pub compiled: u64,
    /// What all its recordings have planned together.
    pub counters: Counters,
}

/// Time one dispatch took on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The kernel's stem.
    pub stem: &'static str,
    /// Nanoseconds.
    pub nanos: u64,
}

/// A submitted recording.
#[derive(Debug)]
#[must_use = "a submission's results are read by Engine::wait"]
pub struct Pending {
    pub(super) index: wgpu::SubmissionIndex,
    pub(super) readback: Option<Readback>,
    pub(super) kept: Vec<Kept>,
    /// Staging buffers, mapped again once the device has read them. They are free when the submission has been waited
    /// for and not before, so that how many there are does not depend on who was quicker.
    pub(super) staging: Receiver<wgpu::Buffer>,
    /// Set by wgpu, when it is polled, once the device has done everything.
    pub(super) done: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(super) struct Readback {
    pub(super) buffer: wgpu::Buffer,
    pub(super) mapped: Receiver<bool>,
    /// Byte range of each download.
    pub(super) ranges: Vec<(u64, u64)>,
    /// Kernels whose start and end times stand at the buffer's beginning.
    pub(super) timed: Vec<&'static str>,
}

/// What a recording gave.
#[derive(Debug, Default)]
pub struct Outcome {
    downloads: Vec<Vec<u8>>,
    /// Buffers kept on the device, in the order of [`Recording::keep`].
    pub kept: Vec<Kept>,
    /// Time per dispatch, where the device measures it and it was asked to.
    pub timings: Vec<Timing>,
}

impl Outcome {
    /// Takes a download's bytes.
    pub fn take(&mut self, download: Download) -> Vec<u8> {
        self.downloads.get_mut(download.0).map(std::mem::take).unwrap_or_default()
    }

    /// Takes a download as 32-bit words.
    pub fn take_words(&mut self, download: Download) -> Vec<u32> {
        bytemuck::pod_collect_to_vec(&self.take(download))
    }
}

impl Engine {
    /// An engine for `gpu`. Looks once whether the device's lanes sit as the subgroup kernels need them, and does
    /// without subgroups if not.
    ///
    /// # Errors
    /// What the first, tiny submission met.
    pub fn new(gpu: Gpu) -> Result<Self> {
        let pipelines = Pipelines::new(&gpu);
        let mut engine = Self { gpu, pipelines, pool: Pool::new(), submissions: 0, counters: Counters::default() };
        let shape = engine.gpu.shape;
        if shape.subgroups.is_some() {
            let mut rec = Recording::new();
            let seats = rec.words("seats", shape.workgroup.into());
            let params = kernel::lane_order::LaneOrderParams::default();
            rec.dispatch(
                kernel::lane_order::kernel(&shape),
                params,
                &[("seats", seats.into())],
                1,
                Traffic::words(0, shape.workgroup.into()),
            );
            let seats = rec.download(seats);
            let mut outcome = engine.run_probe(rec)?;
            if outcome.take_words(seats) != kernel::lane_order::reference(shape.workgroup) {
                engine.gpu.shape.subgroups = None;
            }
        }
        Ok(engine)
    }

    /// The probe is no submission of the caller's: it does not count, and no fault hits it.
    fn run_probe(&mut self, rec: Recording) -> Result<Outcome> {
        let faults = std::mem::take(&mut self.gpu.faults);
        let outcome = self.run(rec);
        self.gpu.faults = faults;
        self.submissions = 0;
        self.counters = Counters::default();
        outcome
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The shape kernels are to be cut to.
    pub fn shape(&self) -> Shape {
        self.gpu.shape
    }

    /// What has been allocated so far.
    pub fn memory(&self) -> Memory {
        self.pool.memory()
    }

    /// What has been done so far.
    pub fn totals(&self) -> Totals {
        Totals { memory: self.memory(), compiled: self.pipelines.compiled(), counters: self.counters }
    }

    /// Keeps the compiled kernels for the next process, if the options name a folder for them.
    pub fn save_pipelines(&mut self) {
        self.pipelines.save();
    }

    /// Whether a submission is done, without waiting for it.
    pub fn is_done(&self, pending: &Pending) -> bool {
        // A lost device is found out by whoever waits.
        let polled = catch_unwind(AssertUnwindSafe(|| self.gpu.device.poll(wgpu::PollType::Poll)));
        polled.is_err() || pending.done.load(Ordering::Acquire)
    }

    /// Submits `rec` and waits for it.
    ///
    /// # Errors
    /// As [`submit`](Self::submit) and [`wait`](Self::wait).
    pub fn run(&mut self, rec: Recording) -> Result<Outcome> {
        let pending = self.submit(rec)?;
        self.wait(pending)
    }

    /// Submits `rec` as one submission, without waiting.
    ///
    /// # Errors
    /// [`Error::Resource`] if the device is out of memory: the recording had no effect, and a smaller one may succeed.
    /// [`Error::Device`] if the device was lost or refused.
    pub fn submit(&mut self, rec: Recording) -> Result<Pending> {
        self.gpu.check_alive()?;
        let fault = self.gpu.faults.at(self.submissions);
        self.submissions += 1;
        self.counters.add(&rec.counters());
        match fault {
            Some(Fault::Lost) => {
                self.gpu.lose();
                self.gpu.check_alive()?;
            }
            Some(Fault::OutOfMemory) => return Err(self.gpu.out_of_memory()),
            Some(Fault::Validation) | None => {}
        }
        let Self { gpu, pipelines, pool, .. } = self;
        let result = gpu.scoped("submitting", || {
            if fault == Some(Fault::Validation) {
                // A mapped usage that no buffer may have: the driver's own report comes back through the scope.
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
                let _ = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    size: 4,
                    usage,
                    mapped_at_creation: false,
                });
            }
            Submission::encode(gpu, pipelines, pool, &rec)
        });
        if matches!(result, Err(Error::Resource { .. })) {
            self.pool.clear();
        }
        result
    }

    /// Waits for a submission and reads back what it downloads.
    ///
    /// # Errors
    /// [`Error::Device`] if the device was lost on the way.
    pub fn wait(&mut self, pending: Pending) -> Result<Outcome> {
        self.poll(pending.index)?;
        self.gpu.check_alive()?;
        pending.staging.try_iter().for_each(|buffer| self.pool.give(Use::Staging, buffer));
        let mut outcome = Outcome { kept: pending.kept, ..Outcome::default() };
        let Some(readback) = pending.readback else { return Ok(outcome) };
        if readback.mapped.try_recv() != Ok(true) {
            return Err(self.gpu.failed("did not give results", "a readback buffer could not be mapped"));
        }
        {
            let bytes = readback
                .buffer
                .get_mapped_range(..)
                .map_err(|error| self.gpu.failed("did not give results", &error.to_string()))?;
            outcome.downloads =
                readback.ranges.iter().map(|&(at, len)| bytes[at as usize..(at + len) as usize].to_vec()).collect();
            let stamps = &bytes[..readback.timed.len() * 16];
            let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(stamps);
            let period = f64::from(self.gpu.queue.get_timestamp_period());
            outcome.timings = readback
                .timed
                .iter()
                .zip(stamps.chunks_exact(2))
                .map(|(stem, pair)| Timing { stem, nanos: (pair[1].saturating_sub(pair[0]) as f64 * period) as u64 })
                .collect();
        }
        readback.buffer.unmap();
        self.pool.give(Use::Readback, readback.buffer);
        Ok(outcome)
    }

    /// Blocks until the submission is done. wgpu panics in `poll` where a driver reports an error there, a lost device
    /// above all; that must not take the process down, so the panic is caught and becomes the error it is.
    fn poll(&self, index: wgpu::SubmissionIndex) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(PATIENCE) };
        match catch_unwind(AssertUnwindSafe(|| self.gpu.device.poll(wait))) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                self.gpu.check_alive()?;
                Err(self.gpu.failed("did not finish", &error.to_string()))
            }
            Err(_) => Err(self.gpu.failed("was lost", "the driver failed while waiting for results")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::device::{Faults, Options};
    use crate::backend::gpu::encode::STAGING;
    use crate::backend::gpu::stages::scan;
    use crate::backend::gpu::testing::{Random, bytes, on_each};
    use crate::kernel::scan::{ScanParams, kernel, reference};

    #[test]
    fn bytes_come_back_as_they_went_across_staging_buffers() {
        on_each(&Options::default(), |mut engine| {
            let mut random = Random::new(2);
            // Ragged, tiny, and longer than one staging buffer.
            for len in [0usize, 1, 3, 4, 5, 4097, (STAGING + 12_345) as usize] {
                let data: Vec<u8> = (0..len).map(|_| random.word() as u8).collect();
                let mut rec = Recording::new();
                let small = rec.upload("small", &b"tide"[..]);
                let buf = rec.upload("data", &data[..]);
                let copy = rec.buffer("copy", len as u64);
                rec.copy(buf, copy);
                let (small, out) = (rec.download(small), rec.download(copy));
                let mut outcome = engine.run(rec).unwrap();
                assert_eq!(outcome.take(small), b"tide");
                let mut got = outcome.take(out);
                got.truncate(len);
                assert!(got == data, "{len} bytes differ");
            }
        });
    }

    /// Both software drivers seat lanes in order; the subgroup kernels are tested there for what they are.
    #[test]
    fn subgroups_are_used_where_the_adapter_has_them_and_left_out_on_request() {
        on_each(&Options::default(), |engine| {
            let has = engine.gpu().info.subgroups.map(|(smallest, _)| smallest);
            assert_eq!(engine.shape().subgroups, has, "{:?}", engine.gpu().info);
        });
        on_each(&Options { without_subgroups: true, ..Options::default() }, |engine| {
            assert_eq!(engine.shape().subgroups, None);
        });
    }

    fn scan_once(engine: &mut Engine, n: u32) -> Result<Vec<u32>> {
        let data: Vec<u32> = (0..n).map(|i| i % 7).collect();
        let mut rec = Recording::new();
        let buf = rec.upload("data", bytes(&data));
        scan(&mut rec, &engine.shape(), buf, n);
        let out = rec.download(buf.words(0, n.into()));
        let got = engine.run(rec)?.take_words(out);
        assert_eq!(got, reference(&data));
        Ok(got)
    }

    #[test]
    fn more_workgroups_than_one_dimension_holds_are_folded() {
        let shape = Some(Shape { workgroup: 8, items: 1, subgroups: None });
        on_each(&Options { shape, ..Options::default() }, |mut engine| {
            scan_once(&mut engine, 8 * 65_537 + 3).unwrap();
        });
    }

    #[test]
    fn after_the_first_chunk_nothing_is_allocated() {
        on_each(&Options::default(), |mut engine| {
            scan_once(&mut engine, 50_000).unwrap();
            let first = engine.memory();
            for _ in 0..5 {
                scan_once(&mut engine, 50_000).unwrap();
            }
            assert_eq!(engine.memory(), first);
        });
    }

    #[test]
    fn kept_buffers_stay_on_the_device_between_recordings() {
        on_each(&Options::default(), |mut engine| {
            let data: Vec<u32> = (0..3000).collect();
            let mut rec = Recording::new();
            let buf = rec.upload("data", bytes(&data));
            rec.keep(buf);
            let kept = engine.run(rec).unwrap().kept;
            // Others of the same size must not be given its memory.
            scan_once(&mut engine, 3000).unwrap();
            let mut rec = Recording::new();
            let buf = rec.import(&kept[0]);
            let out = rec.download(buf);
            assert_eq!(engine.run(rec).unwrap().take_words(out), data);
            let before = engine.memory();
            drop(kept);
            scan_once(&mut engine, 3000).unwrap();
            scan_once(&mut engine, 3000).unwrap();
            assert_eq!(engine.memory(), before);
        });
    }

    #[test]
    fn two_recordings_may_be_in_flight() {
        on_each(&Options::default(), |mut engine| {
            let shape = engine.shape();
            let mut flying = Vec::new();
            for round in 0..3u32 {
                let data: Vec<u32> = (0..40_000).map(|i| i % (round + 2)).collect();
                let mut rec = Recording::new();
                let buf = rec.upload("data", bytes(&data));
                scan(&mut rec, &shape, buf, 40_000);
                let out = rec.download(buf);
                flying.push((engine.submit(rec).unwrap(), out, data));
            }
            for (pending, out, data) in flying {
                assert_eq!(engine.wait(pending).unwrap().take_words(out), reference(&data));
            }
        });
    }

    #[test]
    fn out_of_memory_is_an_error_and_the_next_submission_works() {
        let options = Options { faults: Faults(vec![(1, Fault::OutOfMemory)]), ..Options::default() };
        on_each(&options, |mut engine| {
            scan_once(&mut engine, 5000).unwrap();
            let error = scan_once(&mut engine, 5000).unwrap_err();
            assert!(matches!(error, Error::Resource { .. }), "{error}");
            scan_once(&mut engine, 5000).unwrap();
        });
    }

    #[test]
    fn a_broken_rule_is_an_error_with_the_drivers_words() {
        let options = Options { faults: Faults(vec![(0, Fault::Validation)]), ..Options::default() };
        on_each(&options, |mut engine| {
            let error = scan_once(&mut engine, 5000).unwrap_err();
            assert!(matches!(error, Error::Device { .. }), "{error}");
            assert!(error.to_string().contains("submitting"), "{error}");
            scan_once(&mut engine, 5000).unwrap();
        });
    }

    #[test]
    fn a_lost_device_stays_lost_and_panics_nowhere() {
        let options = Options { faults: Faults(vec![(2, Fault::Lost)]), ..Options::default() };
        on_each(&options, |mut engine| {
            scan_once(&mut engine, 5000).unwrap();
            // One recording is in flight when the device goes.
            let mut rec = Recording::new();
            let buf = rec.upload("data", vec![1u8; 1 << 20]);
            rec.download(buf);
            let flying = engine.submit(rec).unwrap();
            for _ in 0..2 {
                let error = scan_once(&mut engine, 5000).unwrap_err();
                assert!(matches!(error, Error::Device { .. }) && error.to_string().contains("lost"), "{error}");
            }
            // Whether the driver still finished it is its own affair: a result or an error, never a panic.
            if let Err(error) = engine.wait(flying) {
                assert!(matches!(error, Error::Device { .. }), "{error}");
            }
        });
    }

    #[test]
    fn a_forgotten_binding_and_a_wrong_parameter_are_named() {
        on_each(&Options::default(), |mut engine| {
            let shape = engine.shape();
            let mut rec = Recording::new();
            rec.dispatch(kernel(&shape, "single"), ScanParams { n: 1, tiles: 1 }, &[], 1, Traffic::default());
            let error = engine.run(rec).unwrap_err().to_string();
            assert!(error.contains("nothing is bound to 'data'"), "{error}");
            let mut rec = Recording::new();
            let data = rec.words("data", 4);
            let other = crate::kernel::lane_order::LaneOrderParams::default();
            rec.dispatch(kernel(&shape, "single"), other, &[("data", data.into())], 1, Traffic::default());
            let error = engine.run(rec).unwrap_err().to_string();
            assert!(error.contains("parameters of scan differ"), "{error}");
        });
    }

    #[test]
    fn a_binding_over_the_limit_asks_for_a_smaller_chunk() {
        on_each(&Options::default(), |mut engine| {
            let mut rec = Recording::new();
            let data = rec.buffer("data", engine.gpu().max_binding + 4);
            let kernel = kernel(&engine.shape(), "single");
            rec.dispatch(kernel, ScanParams { n: 1, tiles: 1 }, &[("data", data.into())], 1, Traffic::default());
            let error = engine.run(rec).unwrap_err();
            assert!(matches!(error, Error::Resource { .. }) && error.to_string().contains("bindings"), "{error}");
        });
    }

    #[test]
    fn timings_name_their_kernels_where_the_device_measures() {
        on_each(&Options { timestamps: true, ..Options::default() }, |mut engine| {
            let n = engine.shape().tile() + 1;
            let data = vec![1u32; n as usize];
            let mut rec = Recording::new();
            let buf = rec.upload("data", bytes(&data));
            scan(&mut rec, &engine.shape(), buf, n);
            let out = rec.download(buf);
            let mut outcome = engine.run(rec).unwrap();
            assert_eq!(outcome.take_words(out), reference(&data));
            let stems: Vec<_> = outcome.timings.iter().map(|timing| timing.stem).collect();
            assert_eq!(stems, if engine.gpu().timestamps { vec!["scan"; 3] } else { vec![] });
        });
    }
}
