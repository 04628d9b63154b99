//! Where runs of equal keys begin in sorted rows.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `segment_heads`.
    SegmentHeadsParams {
        /// Sorted rows.
        n,
        /// Tiles that cover them.
        tiles,
        /// Words of a key.
        words,
        /// Words from one plane of the keys to the next.
        stride,
        /// 1 if the order is 0, 1, 2, …
        iota,
    }
}

/// The kernel's step: `count` or `write`.
pub fn kernel(shape: &Shape, entry: &'static str) -> Kernel {
    Kernel::new("segment_heads", entry, assemble(shape, &[], &[include_str!("../../shaders/segment_heads.wgsl")]))
}

/// The segment of every sorted row, and the first row of every segment.
pub fn reference<K: PartialEq>(sorted: &[K]) -> (Vec<u32>, Vec<u32>) {
    let (mut segments, mut starts) = (Vec::with_capacity(sorted.len()), Vec::new());
    for (i, key) in (0u32..).zip(sorted) {
        if i == 0 || sorted[i as usize - 1] != *key {
            starts.push(i);
        }
        segments.push(starts.len() as u32 - 1);
    }
    (segments, starts)
}
