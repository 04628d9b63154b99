//! One pass of the radix sort: pairs to their places by one digit, stably.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `radix_scatter`.
    RadixScatterParams {
        /// Pairs.
        n,
        /// Tiles that cover them.
        tiles,
        /// The digit is bits `shift..shift + 8`.
        shift,
        /// 1 if the order coming in is 0, 1, 2, …
        iota,
    }
}

/// The kernel, with the ranking the shape allows.
pub fn kernel(shape: &Shape) -> Kernel {
    let ranking = match shape.subgroups {
        Some(_) => include_str!("../../shaders/shared/radix_scatter_subgroup.wgsl"),
        None => include_str!("../../shaders/shared/radix_scatter_shared.wgsl"),
    };
    let parts = [include_str!("../../shaders/radix_scatter.wgsl"), ranking];
    Kernel::new("radix_scatter", "main", assemble(shape, &[], &parts))
}

/// The pairs after the pass.
pub fn reference(pairs: &[(u32, u32)], shift: u32) -> Vec<(u32, u32)> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by_key(|(key, _)| (key >> shift) & 255);
    sorted
}
