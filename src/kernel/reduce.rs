//! One state for all items.

use super::segmented_reduce::rows_constants;
use super::shader::{Kernel, Shape, assemble};
use super::value::{Reduction, ValuePlanes};

/// The kernel over rows, for values that stand as in `values`, and through an order if `ordered`; its parameters are
/// [`SegmentedReduceRowsParams`](super::segmented_reduce::SegmentedReduceRowsParams).
pub fn rows(shape: &Shape, reduction: &Reduction, values: &ValuePlanes, ordered: bool) -> Kernel {
    let parts = [
        include_str!("../../shaders/shared/state.wgsl"),
        include_str!("../../shaders/shared/segmented_reduce_rows.wgsl"),
        include_str!("../../shaders/shared/value.wgsl"),
        include_str!("../../shaders/reduce.wgsl"),
    ];
    Kernel::new("reduce", "main", assemble(shape, &rows_constants(reduction, values, ordered), &parts))
}

/// The kernel over the tiles' records; its parameters are
/// [`SegmentedReduceRecordsParams`](super::segmented_reduce::SegmentedReduceRecordsParams).
pub fn records(shape: &Shape, reduction: &Reduction) -> Kernel {
    let parts = [
        include_str!("../../shaders/shared/state.wgsl"),
        include_str!("../../shaders/shared/segmented_reduce_records.wgsl"),
        include_str!("../../shaders/reduce.wgsl"),
    ];
    Kernel::new("reduce", "main", assemble(shape, &reduction.constants(), &parts))
}

/// The state of `n` items, `value(i)` being the i-th one's.
pub fn reference(reduction: &Reduction, n: usize, value: impl Fn(usize) -> [u32; 4]) -> [u32; 4] {
    (0..n).fold(reduction.identity(), |state, i| reduction.combine(state, value(i)))
}
