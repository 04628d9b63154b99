//! Digit counts per tile, digit-major.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `radix_histogram`.
    RadixHistogramParams {
        /// Keys.
        n,
        /// Tiles that cover them.
        tiles,
        /// The digit is bits `shift..shift + 8`.
        shift,
    }
}

/// The kernel.
pub fn kernel(shape: &Shape) -> Kernel {
    Kernel::new("radix_histogram", "main", assemble(shape, &[], &[include_str!("../../shaders/radix_histogram.wgsl")]))
}

/// `counts[digit · tiles + tile]`.
pub fn reference(keys: &[u32], shift: u32, tile: usize) -> Vec<u32> {
    let tiles = keys.len().div_ceil(tile);
    let mut counts = vec![0; 256 * tiles];
    for (i, key) in keys.iter().enumerate() {
        counts[((key >> shift) & 255) as usize * tiles + i / tile] += 1;
    }
    counts
}
