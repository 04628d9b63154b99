//! The one place that submits: a recording becomes staging copies, compute passes and readbacks.
//!
//! How to read it: `submit` checks and encodes inside error scopes (`prepare` → `stage` → `encode`), `wait` polls and
//! reads back. The engine is used by one thread; two recordings may be in flight, so that the upload of one overlaps the
//! work of the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::device::{Fault, Gpu};
use super::pipeline::{BindingKind, Pipelines};
use super::pool::{Kept, Memory, Pool, Use};
use super::record::{Dispatch, Download, Op, Recording, View, fold};
use crate::kernel::{self, Shape};
use crate::{Error, Result};

/// Largest staging buffer; a longer upload uses several.
const STAGING: u64 = 32 << 20;
/// Uniform bindings start at multiples of this on every device.
const UNIFORM_ALIGN: u64 = 256;
/// Timed dispatches per recording: a query set holds 4,096 timestamps.
const MOST_TIMED: usize = 2_048;
/// A submission that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs recordings on one device.
#[derive(Debug)]
pub struct Engine {
    gpu: Gpu,
    pipelines: Pipelines,
    pool: Pool,
    submissions: u64,
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
    index: wgpu::SubmissionIndex,
    readback: Option<Readback>,
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Readback {
    buffer: wgpu::Buffer,
    mapped: Receiver<bool>,
    /// Byte range of each download.
    ranges: Vec<(u64, u64)>,
    /// Kernels whose start and end times stand at the buffer's beginning.
    timed: Vec<&'static str>,
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
        let mut engine = Self { gpu, pipelines: Pipelines::default(), pool: Pool::new(), submissions: 0 };
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
                super::record::Traffic::words(0, shape.workgroup.into()),
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

/// A recording on its way: physical buffers, staged bytes, encoded commands.
struct Submission<'a> {
    gpu: &'a Gpu,
    pipelines: &'a Pipelines,
    pool: &'a mut Pool,
    encoder: wgpu::CommandEncoder,
    /// The device buffer of each recorded buffer, while it lives.
    buffers: Vec<Option<wgpu::Buffer>>,
    /// All parameters, each at its own aligned place, and the next place to use.
    uniform: Option<wgpu::Buffer>,
    uniform_at: u64,
    staging: Vec<Staging>,
    queries: Option<wgpu::QuerySet>,
    timed: Vec<&'static str>,
    readback: Option<wgpu::Buffer>,
    ranges: Vec<(u64, u64)>,
}

struct Staging {
    buffer: wgpu::Buffer,
    used: u64,
}

impl<'a> Submission<'a> {
    fn encode(gpu: &'a Gpu, pipelines: &'a mut Pipelines, pool: &'a mut Pool, rec: &Recording) -> Result<Pending> {
        let dispatches = || {
            rec.ops.iter().filter_map(|op| match op {
                Op::Dispatch(dispatch) => Some(dispatch),
                _ => None,
            })
        };
        for dispatch in dispatches() {
            pipelines.prepare(gpu, dispatch)?;
        }
        let timed = if gpu.timestamps { dispatches().count().min(MOST_TIMED) } else { 0 };
        let encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("recording") });
        let mut buffers = vec![None; rec.buffers.len()];
        for (id, kept) in &rec.imported {
            buffers[*id as usize] = Some(kept.buffer().clone());
        }
        let mut this = Self {
            gpu,
            pipelines,
            pool,
            encoder,
            buffers,
            uniform: None,
            uniform_at: 0,
            staging: Vec::new(),
            queries: None,
            timed: Vec::with_capacity(timed),
            readback: None,
            ranges: Vec::new(),
        };
        this.stage_params(dispatches())?;
        if timed > 0 {
            this.queries = Some(gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: timed as u32 * 2,
            }));
        }
        this.make_readback(rec, timed)?;
        this.ops(rec)?;
        this.finish(rec)
    }

    fn stage_params<'d>(&mut self, dispatches: impl Iterator<Item = &'d Dispatch>) -> Result<()> {
        let mut bytes = Vec::new();
        for dispatch in dispatches {
            bytes.extend_from_slice(&dispatch.params);
            bytes.resize(bytes.len().next_multiple_of(UNIFORM_ALIGN as usize), 0);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let uniform = self.pool.take(self.gpu, Use::Uniform, bytes.len() as u64)?;
        self.upload(&bytes, &uniform, 0)?;
        self.uniform = Some(uniform);
        Ok(())
    }

    fn make_readback(&mut self, rec: &Recording, timed: usize) -> Result<()> {
        let mut bytes = timed as u64 * 16;
        for op in &rec.ops {
            if let Op::Download(view) = op {
                self.ranges.push((bytes, view.bytes));
                bytes += view.bytes.next_multiple_of(8);
            }
        }
        if bytes > 0 {
            self.readback = Some(self.pool.take(self.gpu, Use::Readback, bytes)?);
        }
        Ok(())
    }

    fn ops(&mut self, rec: &Recording) -> Result<()> {
        let last_uses = rec.last_uses();
        let mut downloads = 0;
        for (index, op) in rec.ops.iter().enumerate() {
            match op {
                Op::Upload { to, data } => {
                    if data.len() as u64 > to.bytes {
                        return Err(Error::internal(format!("upload of {} bytes into {to:?}", data.len())));
                    }
                    let target = self.physical(rec, to)?;
                    self.upload(data, &target, to.offset)?;
                }
                Op::Clear(view) => {
                    let target = self.physical(rec, view)?;
                    self.encoder.clear_buffer(&target, view.offset, Some(view.bytes));
                }
                Op::Copy { from, to } => {
                    if from.bytes > to.bytes {
                        return Err(Error::internal(format!("copy of {from:?} into {to:?}")));
                    }
                    let (source, target) = (self.physical(rec, from)?, self.physical(rec, to)?);
                    self.encoder.copy_buffer_to_buffer(&source, from.offset, &target, to.offset, Some(from.bytes));
                }
                Op::Download(view) => {
                    let source = self.physical(rec, view)?;
                    let at = self.ranges[downloads].0;
                    downloads += 1;
                    if let Some(target) = &self.readback {
                        self.encoder.copy_buffer_to_buffer(&source, view.offset, target, at, Some(view.bytes));
                    }
                }
                Op::Dispatch(dispatch) => self.dispatch(rec, dispatch)?,
            }
            self.release(rec, &last_uses, index);
        }
        Ok(())
    }

    /// The device buffer behind a view, from the pool at its first use.
    fn physical(&mut self, rec: &Recording, view: &View) -> Result<wgpu::Buffer> {
        let (label, bytes) = rec.buffers[view.buf.id as usize];
        if view.offset + view.bytes > bytes {
            return Err(Error::internal(format!("{label}: {view:?} is outside of the buffer's {bytes} bytes")));
        }
        let slot = &mut self.buffers[view.buf.id as usize];
        if let Some(buffer) = slot {
            return Ok(buffer.clone());
        }
        let buffer = self.pool.take(self.gpu, Use::Storage, bytes)?;
        *slot = Some(buffer.clone());
        Ok(buffer)
    }

    /// Buffers last used by step `index` go back to the pool at once: later steps, and later submissions, run after it.
    fn release(&mut self, rec: &Recording, last_uses: &[usize], index: usize) {
        for (id, last) in last_uses.iter().enumerate() {
            let stays = rec.kept.contains(&(id as u32)) || rec.imported.iter().any(|(i, _)| *i as usize == id);
            if *last == index
                && !stays
                && let Some(buffer) = self.buffers[id].take()
            {
                self.pool.give(Use::Storage, buffer);
            }
        }
    }

    /// Bytes into mapped staging memory, and the copy from there.
    fn upload(&mut self, mut data: &[u8], target: &wgpu::Buffer, mut at: u64) -> Result<()> {
        while !data.is_empty() {
            let full = self.staging.last().is_none_or(|staging| staging.used >= staging.buffer.size());
            if full {
                let buffer = self.pool.take(self.gpu, Use::Staging, (data.len() as u64).clamp(1 << 20, STAGING))?;
                self.staging.push(Staging { buffer, used: 0 });
            }
            let Some(staging) = self.staging.last_mut() else { continue };
            let len = (data.len() as u64).min(staging.buffer.size() - staging.used);
            // Copies move whole words; a staging buffer's size is one, so only the end of the data can be ragged.
            let padded = len.next_multiple_of(4);
            let (now, rest) = data.split_at(len as usize);
            let mut mapped = staging
                .buffer
                .get_mapped_range_mut(staging.used..staging.used + padded)
                .map_err(|error| self.gpu.failed("failed while uploading", &error.to_string()))?;
            mapped.slice(..len as usize).copy_from_slice(now);
            if padded > len {
                mapped.slice(len as usize..).copy_from_slice(&[0; 4][..(padded - len) as usize]);
            }
            drop(mapped);
            self.encoder.copy_buffer_to_buffer(&staging.buffer, staging.used, target, at, Some(padded));
            // Mapped ranges start at multiples of 8.
            staging.used = (staging.used + padded).next_multiple_of(8);
            at += padded;
            data = rest;
        }
        Ok(())
    }

    fn dispatch(&mut self, rec: &Recording, dispatch: &Dispatch) -> Result<()> {
        let pipeline = self.pipelines.get(&dispatch.kernel)?;
        let mut bound = Vec::with_capacity(pipeline.reflection.bindings.len());
        for binding in &pipeline.reflection.bindings {
            let (buffer, offset, size) = if binding.kind == BindingKind::Params {
                let uniform = self.uniform.clone().ok_or_else(|| Error::internal("no parameters were staged"))?;
                (uniform, self.uniform_at, dispatch.params.len() as u64)
            } else {
                let view = dispatch.bindings.iter().find(|(name, _)| *name == binding.name).map(|(_, view)| view);
                let view = view.ok_or_else(|| {
                    Error::internal(format!("{}: nothing is bound to '{}'", dispatch.kernel.stem, binding.name))
                })?;
                if view.bytes > self.gpu.max_binding {
                    return Err(self.gpu.too_large("bindings", self.gpu.max_binding, view.bytes));
                }
                (self.physical(rec, view)?, view.offset, view.bytes.max(4))
            };
            bound.push((binding.index, buffer, offset, size));
        }
        self.uniform_at += (dispatch.params.len() as u64).next_multiple_of(UNIFORM_ALIGN);
        let entries: Vec<_> = bound
            .iter()
            .map(|(binding, buffer, offset, size)| wgpu::BindGroupEntry {
                binding: *binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: *offset,
                    size: std::num::NonZero::new(*size),
                }),
            })
            .collect();
        let label = Some(dispatch.kernel.stem);
        let layout = &pipeline.layout;
        let group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries });
        let timestamp_writes =
            self.queries.as_ref().filter(|queries| self.timed.len() < queries.count() as usize / 2).map(|query_set| {
                let at = self.timed.len() as u32 * 2;
                wgpu::ComputePassTimestampWrites {
                    query_set,
                    beginning_of_pass_write_index: Some(at),
                    end_of_pass_write_index: Some(at + 1),
                }
            });
        let is_timed = timestamp_writes.is_some();
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes });
        pass.set_pipeline(&pipeline.inner);
        pass.set_bind_group(0, &group, &[]);
        let (x, y) = fold(dispatch.groups);
        pass.dispatch_workgroups(x, y, 1);
        drop(pass);
        if is_timed {
            self.timed.push(dispatch.kernel.stem);
        }
        Ok(())
    }

    fn finish(mut self, rec: &Recording) -> Result<Pending> {
        if let (Some(queries), Some(readback)) = (&self.queries, &self.readback) {
            let bytes = self.timed.len() as u64 * 16;
            let resolved = self.pool.take(self.gpu, Use::Timestamps, bytes)?;
            self.encoder.resolve_query_set(queries, 0..self.timed.len() as u32 * 2, &resolved, 0);
            self.encoder.copy_buffer_to_buffer(&resolved, 0, readback, 0, Some(bytes));
            self.pool.give(Use::Timestamps, resolved);
        }
        let mut kept = Vec::with_capacity(rec.kept.len());
        for id in &rec.kept {
            let bytes = rec.buffers[*id as usize].1;
            let view = View { buf: super::record::Buf { id: *id, bytes }, offset: 0, bytes };
            let buffer = self.physical(rec, &view)?;
            kept.push(match rec.imported.iter().find(|(imported, _)| imported == id) {
                Some((_, again)) => again.clone(),
                None => self.pool.keep(buffer, bytes),
            });
        }
        self.staging.iter().for_each(|staging| staging.buffer.unmap());
        let index = self.gpu.queue.submit([self.encoder.finish()]);
        for staging in self.staging {
            self.pool.give_staging(staging.buffer);
        }
        if let Some(uniform) = self.uniform {
            self.pool.give(Use::Uniform, uniform);
        }
        let (ranges, timed) = (self.ranges, self.timed);
        let readback = self.readback.map(|buffer| {
            let (sender, mapped) = channel();
            buffer.map_async(wgpu::MapMode::Read, .., move |result| {
                // A receiver that is gone has given up waiting.
                let _ = sender.send(result.is_ok());
            });
            Readback { buffer, mapped, ranges, timed }
        });
        Ok(Pending { index, readback, kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::device::{Faults, Options};
    use crate::backend::gpu::record::Traffic;
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
