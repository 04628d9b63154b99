//! Digit counts per partition, digit-major.

use super::shader::{Kernel, Shape, assemble, params};

/// Words of workgroup memory for a tile's items, so that with 256 offsets the floor of 16 KiB holds them.
const TILE_WORDS: u32 = 3584;
/// Keys of a partition, about: its 256 counts cost less than 4 % of what moving so many pairs costs.
const PARTITION_KEYS: u32 = 8192;
/// Tiles of a partition at most.
const MOST_TILES: u32 = 8;

params! {
    /// Parameters of `radix_histogram`.
    RadixHistogramParams {
        /// Keys.
        n,
        /// Partitions that cover them.
        partitions,
        /// The digit is bits `shift..shift + 8`.
        shift,
    }
}

/// Keys of one invocation in a tile of the radix sort.
pub(super) fn items(shape: &Shape) -> u32 {
    shape.items.min(TILE_WORDS / shape.workgroup)
}

/// Keys that one workgroup of the radix sort counts, and later moves: a few tiles, one after another.
pub fn partition(shape: &Shape) -> u32 {
    let tile = items(shape) * shape.workgroup;
    tile * PARTITION_KEYS.div_ceil(tile).min(MOST_TILES)
}

/// The constants of the radix sort's kernels.
pub(super) fn constants(shape: &Shape) -> [(&'static str, u32); 3] {
    let items = items(shape);
    [("RADIX_ITEMS", items), ("RADIX_TILE", items * shape.workgroup), ("PARTITION", partition(shape))]
}

/// The kernel.
pub fn kernel(shape: &Shape) -> Kernel {
    let parts = [include_str!("../../shaders/radix_histogram.wgsl")];
    Kernel::new("radix_histogram", "main", assemble(shape, &constants(shape), &parts))
}

/// `counts[digit · partitions + partition]`.
pub fn reference(keys: &[u32], shift: u32, partition: usize) -> Vec<u32> {
    let partitions = keys.len().div_ceil(partition);
    let mut counts = vec![0; 256 * partitions];
    for (i, key) in keys.iter().enumerate() {
        counts[((key >> shift) & 255) as usize * partitions + i / partition] += 1;
    }
    counts
}
