//! Exclusive prefix sum of `u32`, modulo 2³², in place.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `scan`.
    ScanParams {
        /// Elements.
        n,
        /// Tiles that cover them.
        tiles,
    }
}

/// The kernel's step: `reduce`, `write` or `single`.
pub fn kernel(shape: &Shape, entry: &'static str) -> Kernel {
    Kernel::new("scan", entry, assemble(shape, &[], &[include_str!("../../shaders/scan.wgsl")]))
}

/// What the data must hold after the scan.
pub fn reference(data: &[u32]) -> Vec<u32> {
    let mut sum = 0u32;
    data.iter()
        .map(|&x| {
            let before = sum;
            sum = sum.wrapping_add(x);
            before
        })
        .collect()
}
