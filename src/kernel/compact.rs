//! Row indices of the rows with a given status, in ascending order.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `compact`.
    CompactParams {
        /// Rows.
        n,
        /// Tiles that cover them.
        tiles,
        /// Word offset of the status plane.
        status_at,
        /// The status looked for.
        want,
    }
}

/// The kernel's step: `count` or `write`.
pub fn kernel(shape: &Shape, entry: &'static str) -> Kernel {
    Kernel::new("compact", entry, assemble(shape, &[], &[include_str!("../../shaders/compact.wgsl")]))
}

/// The rows of `status` that are `want`.
pub fn reference(status: &[u32], want: u32) -> Vec<u32> {
    (0u32..).zip(status).filter(|(_, status)| **status == want).map(|(row, _)| row).collect()
}
