//! Whether lanes sit in local order, which the subgroup kernels rely on.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `lane_order`.
    LaneOrderParams {
        /// Zero.
        unused,
    }
}

/// The probe: writes each invocation's `subgroup · size + lane` to `seats[local]`.
pub fn kernel(shape: &Shape) -> Kernel {
    Kernel::new("lane_order", "main", assemble(shape, &[], &[include_str!("../../shaders/lane_order.wgsl")]))
}

/// What `seats` must hold for the subgroup kernels to be right.
pub fn reference(workgroup: u32) -> Vec<u32> {
    (0..workgroup).collect()
}
