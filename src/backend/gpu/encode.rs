//! One recording on its way to the device: physical buffers, staged bytes, encoded commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use super::device::Gpu;
use super::engine::{Pending, Readback};
use super::pipeline::{BindingKind, Pipelines};
use super::pool::{Pool, Use};
use super::record::{Buf, Dispatch, Op, Recording, View, fold};
use crate::{Error, Result};

/// Largest staging buffer; a longer upload uses several.
pub(super) const STAGING: u64 = 32 << 20;
/// Uniform bindings start at multiples of this on every device.
const UNIFORM_ALIGN: u64 = 256;
/// Timed dispatches per recording: a query set holds 4,096 timestamps.
const MOST_TIMED: usize = 2_048;

/// A recording on its way: physical buffers, staged bytes, encoded commands.
pub(super) struct Submission<'a> {
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
    pub(super) fn encode(
        gpu: &'a Gpu,
        pipelines: &'a mut Pipelines,
        pool: &'a mut Pool,
        rec: &Recording,
    ) -> Result<Pending> {
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
            let view = View { buf: Buf { id: *id, bytes }, offset: 0, bytes };
            let buffer = self.physical(rec, &view)?;
            kept.push(match rec.imported.iter().find(|(imported, _)| imported == id) {
                Some((_, again)) => again.clone(),
                None => self.pool.keep(buffer, bytes),
            });
        }
        self.staging.iter().for_each(|staging| staging.buffer.unmap());
        let index = self.gpu.queue.submit([self.encoder.finish()]);
        let (sender, staging) = channel();
        for Staging { buffer, .. } in self.staging {
            let (sender, mapped) = (sender.clone(), buffer.clone());
            buffer.map_async(wgpu::MapMode::Write, .., move |result| {
                if result.is_ok() {
                    // A receiver that is gone has given up waiting; the buffer goes with it.
                    let _ = sender.send(mapped);
                }
            });
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
        let done = Arc::new(AtomicBool::new(false));
        let signal = Arc::clone(&done);
        self.gpu.queue.on_submitted_work_done(move || signal.store(true, Ordering::Release));
        Ok(Pending { index, readback, kept, staging, done })
    }
}
