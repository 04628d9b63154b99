//! One state for all items.

use super::segmented_reduce::rows_constants;
use super::shader::{Kernel, Shape, assemble};
use super::value::{Reduction, ValuePlanes};

/// Items of a tile at least. Combining the invocations' states costs a tile the same, however many items they stand for.
const LEAST_TILE: u32 = 4096;
/// Items that an invocation loads before it waits for the first of them.
const AT_ONCE: u32 = 4;

/// Items that one workgroup reduces.
pub fn tile(shape: &Shape) -> u32 {
    shape.tile().max(LEAST_TILE)
}

/// The constants of the reduction's own loop.
pub fn constants(shape: &Shape) -> [(&'static str, u32); 2] {
    [("REDUCE_TILE", tile(shape)), ("AT_ONCE", AT_ONCE)]
}

/// The kernel over rows, for values that stand as in `values`, and through an order if `ordered`; its parameters are
/// [`SegmentedReduceRowsParams`](super::segmented_reduce::SegmentedReduceRowsParams).
pub fn rows(shape: &Shape, reduction: &Reduction, values: &ValuePlanes, ordered: bool) -> Kernel {
    let parts = [
        include_str!("../../shaders/shared/state.wgsl"),
        include_str!("../../shaders/shared/segmented_reduce_rows.wgsl"),
        include_str!("../../shaders/shared/value.wgsl"),
        include_str!("../../shaders/shared/reduce_rows.wgsl"),
        include_str!("../../shaders/reduce.wgsl"),
    ];
    let mut all = rows_constants(reduction, values, ordered);
    all.extend(constants(shape));
    Kernel::new("reduce", "main", assemble(shape, &all, &parts))
}

/// The kernel over the tiles' records; its parameters are
/// [`SegmentedReduceRecordsParams`](super::segmented_reduce::SegmentedReduceRecordsParams).
pub fn records(shape: &Shape, reduction: &Reduction) -> Kernel {
    let parts = [
        include_str!("../../shaders/shared/state.wgsl"),
        include_str!("../../shaders/shared/segmented_reduce_records.wgsl"),
        include_str!("../../shaders/shared/reduce_records.wgsl"),
        include_str!("../../shaders/reduce.wgsl"),
    ];
    let mut all = reduction.constants();
    all.extend(constants(shape));
    Kernel::new("reduce", "main", assemble(shape, &all, &parts))
}

/// The state of `n` items, `value(i)` being the i-th one's.
pub fn reference(reduction: &Reduction, n: usize, value: impl Fn(usize) -> [u32; 4]) -> [u32; 4] {
    (0..n).fold(reduction.identity(), |state, i| reduction.combine(state, value(i)))
}
