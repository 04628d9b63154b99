//! One pass of the radix sort: keys, or pairs, to their places by one digit, stably.

use super::radix_histogram::constants;
use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `radix_scatter`.
    RadixScatterParams {
        /// Items.
        n,
        /// Partitions that cover them.
        partitions,
        /// The digit is bits `shift..shift + 8`.
        shift,
        /// 1 if the values coming in are 0, 1, 2, …
        iota,
    }
}

/// The kernel for `pairs` or for keys alone, with the ranking the shape allows.
pub fn kernel(shape: &Shape, pairs: bool) -> Kernel {
    let items = match pairs {
        true => include_str!("../../shaders/shared/radix_pairs.wgsl"),
        false => include_str!("../../shaders/shared/radix_keys.wgsl"),
    };
    let rank = include_str!("../../shaders/shared/radix_rank.wgsl");
    let (rank, scatter) = match (shape.subgroups, shape.most_subgroups()) {
        (None, _) => ("", include_str!("../../shaders/shared/radix_scatter_shared.wgsl")),
        (Some(_), 1) => (rank, include_str!("../../shaders/shared/radix_scatter_lone.wgsl")),
        (Some(_), _) => (rank, include_str!("../../shaders/shared/radix_scatter_tiles.wgsl")),
    };
    let parts = [include_str!("../../shaders/radix_scatter.wgsl"), items, rank, scatter];
    Kernel::new("radix_scatter", "main", assemble(shape, &constants(shape), &parts))
}

/// The pairs after the pass.
pub fn reference(pairs: &[(u32, u32)], shift: u32) -> Vec<(u32, u32)> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by_key(|(key, _)| (key >> shift) & 255);
    sorted
}
