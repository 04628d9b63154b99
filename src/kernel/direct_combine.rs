//! Combines the cells of the workgroups that ran `direct_aggregate`.

use super::shader::{Kernel, Shape, assemble, params};
use super::value::Reduction;

params! {
    /// Parameters of `direct_combine`.
    DirectCombineParams {
        /// First key of the slice.
        first_key,
        /// Keys of the slice.
        keys,
        /// Workgroups whose cells are combined.
        groups,
    }
}

/// The kernel.
pub fn kernel(shape: &Shape, reduction: &Reduction) -> Kernel {
    let parts = [include_str!("../../shaders/shared/state.wgsl"), include_str!("../../shaders/direct_combine.wgsl")];
    Kernel::new("direct_combine", "main", assemble(shape, &reduction.constants(), &parts))
}

/// One state per key: `partials[group][key]` combined over the groups.
pub fn reference(reduction: &Reduction, partials: &[[u32; 4]], keys: usize) -> Vec<[u32; 4]> {
    let mut states = vec![reduction.identity(); keys];
    for (i, partial) in partials.iter().enumerate() {
        states[i % keys] = reduction.combine(states[i % keys], *partial);
    }
    states
}
