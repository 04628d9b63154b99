//! Digit counts per partition, digit-major.

use super::shader::{Kernel, Shape, assemble, params};

/// Words of workgroup memory for a slice of items, so that with 256 offsets the floor of 16 KiB holds them.
const SLICE_WORDS: u32 = 3584;
/// Keys of a partition that is walked, about: its 256 counts cost less than 4 % of what moving so many pairs costs.
const PARTITION_KEYS: u32 = 8192;
/// Tiles of such a partition at most.
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

/// Keys of one invocation that has its whole part of a partition in registers: 32 as a GPU is cut. More registers than
/// another kernel takes are worth it here: the more keys a partition has, the less its counts cost and the longer are the
/// runs that it writes.
fn items(shape: &Shape) -> u32 {
    2 * shape.items
}

/// Keys that one workgroup of the radix sort counts, and later moves.
pub fn partition(shape: &Shape) -> u32 {
    match shape.most_subgroups() {
        // Walked by one subgroup, or by a workgroup without any.
        1 => shape.tile() * PARTITION_KEYS.div_ceil(shape.tile()).min(MOST_TILES),
        _ => items(shape) * shape.workgroup,
    }
}

/// The constants of the radix sort's kernels.
pub(super) fn constants(shape: &Shape) -> [(&'static str, u32); 5] {
    let slices = (items(shape) * shape.workgroup).div_ceil(SLICE_WORDS);
    let slice_items = items(shape).div_ceil(slices);
    [
        ("RADIX_ITEMS", items(shape)),
        ("PARTITION", partition(shape)),
        ("SLICE", slice_items * shape.workgroup),
        ("SLICE_ITEMS", slice_items),
        // Counts of digits that an invocation turns into places.
        ("COUNTS", 256 / shape.workgroup * shape.most_subgroups()),
    ]
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
