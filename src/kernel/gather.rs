//! `output[i] = source[index[i]]`.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `gather`.
    GatherParams {
        /// Elements.
        n,
        /// Word offset of the plane gathered from.
        source_at,
    }
}

/// The kernel.
pub fn kernel(shape: &Shape) -> Kernel {
    Kernel::new("gather", "main", assemble(shape, &[], &[include_str!("../../shaders/gather.wgsl")]))
}

/// What the output must hold.
pub fn reference(source: &[u32], index: &[u32]) -> Vec<u32> {
    index.iter().map(|&i| source[i as usize]).collect()
}
