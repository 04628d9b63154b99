//! Buffers that outlive recordings: by size class, so that after the first chunk nothing is allocated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::device::Gpu;
use crate::Result;

/// What a buffer is for; buffers are reused within their use alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// Kernels read and write it.
    Storage,
    /// Kernels' parameters.
    Uniform,
    /// The host writes it, the device copies from it.
    Staging,
    /// The device copies to it, the host reads it.
    Readback,
    /// Timestamps are resolved into it.
    Timestamps,
}

impl Use {
    fn usages(self) -> wgpu::BufferUsages {
        use wgpu::BufferUsages as U;
        match self {
            Use::Storage => U::STORAGE | U::COPY_SRC | U::COPY_DST,
            Use::Uniform => U::UNIFORM | U::COPY_DST,
            Use::Staging => U::MAP_WRITE | U::COPY_SRC,
            Use::Readback => U::MAP_READ | U::COPY_DST,
            Use::Timestamps => U::QUERY_RESOLVE | U::COPY_SRC,
        }
    }
}

/// What the pool has asked of the device so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Buffers allocated.
    pub allocations: u64,
    /// Bytes allocated and not given back to the driver.
    pub bytes: u64,
}

/// A device buffer that an earlier recording kept. It returns to the pool when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Kept(Arc<KeptBuffer>);

#[derive(Debug)]
struct KeptBuffer {
    buffer: wgpu::Buffer,
    bytes: u64,
    home: Arc<Mutex<Vec<wgpu::Buffer>>>,
}

impl Kept {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        &self.0.buffer
    }
}

impl Drop for KeptBuffer {
    fn drop(&mut self) {
        // Later recordings run after everything already submitted, so the buffer may be reused at once.
        self.home.lock().unwrap_or_else(PoisonError::into_inner).push(self.buffer.clone());
    }
}

/// Free buffers by use and size.
#[derive(Debug)]
pub(super) struct Pool {
    free: BTreeMap<(Use, u64), Vec<wgpu::Buffer>>,
    /// Kept buffers whose last owner is gone.
    returned: Arc<Mutex<Vec<wgpu::Buffer>>>,
    memory: Memory,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { free: BTreeMap::new(), returned: Arc::default(), memory: Memory::default() }
    }

    pub(super) fn memory(&self) -> Memory {
        self.memory
    }

    /// A free buffer of at least `bytes`, or a new one. Staging buffers come mapped.
    pub(super) fn take(&mut self, gpu: &Gpu, kind: Use, bytes: u64) -> Result<wgpu::Buffer> {
        self.collect();
        let size = size_class(bytes).min(gpu.max_buffer.max(bytes));
        if bytes > gpu.max_buffer {
            return Err(gpu.too_large("buffers", gpu.max_buffer, bytes));
        }
        // One somewhat too large is better than a new one: chunks differ a little in their groups.
        let fitting = self.free.range_mut((kind, size)..=(kind, size.saturating_mul(2)));
        if let Some(buffer) = fitting.map(|(_, buffers)| buffers).find_map(Vec::pop) {
            return Ok(buffer);
        }
        self.memory.allocations += 1;
        self.memory.bytes += size;
        Ok(gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: kind.usages(),
            mapped_at_creation: kind == Use::Staging,
        }))
    }

    /// Makes `buffer` free for the next taker.
    pub(super) fn give(&mut self, kind: Use, buffer: wgpu::Buffer) {
        self.free.entry((kind, buffer.size())).or_default().push(buffer);
    }

    /// Hands `buffer` out as kept.
    pub(super) fn keep(&self, buffer: wgpu::Buffer, bytes: u64) -> Kept {
        Kept(Arc::new(KeptBuffer { buffer, bytes, home: Arc::clone(&self.returned) }))
    }

    /// Drops every free buffer, after the device ran out of memory.
    pub(super) fn clear(&mut self) {
        self.collect();
        for buffer in std::mem::take(&mut self.free).into_values().flatten() {
            self.memory.bytes = self.memory.bytes.saturating_sub(buffer.size());
            buffer.destroy();
        }
    }

    fn collect(&mut self) {
        let returned = std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner));
        returned.into_iter().for_each(|buffer| self.give(Use::Storage, buffer));
    }
}

/// Sizes come in four steps per power of two from 4 KiB on: at most a fifth of a buffer is unused.
fn size_class(bytes: u64) -> u64 {
    const SMALLEST: u64 = 4 << 10;
    if bytes <= SMALLEST {
        return SMALLEST;
    }
    let step = (bytes - 1).ilog2().saturating_sub(2);
    bytes.next_multiple_of(1 << step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_hold_their_bytes_and_waste_at_most_a_fifth() {
        let mut classes = std::collections::BTreeSet::new();
        for bytes in (1..200_000).step_by(7).chain([1 << 20, (1 << 20) + 1, 128 << 20, (128 << 20) + 4]) {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(4));
            assert!(bytes <= 4096 || (class - bytes) * 4 < bytes, "{bytes} in {class}");
            classes.insert(class);
        }
        assert!(classes.len() < 40, "{classes:?}");
    }
}
