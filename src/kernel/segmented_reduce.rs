//! One state per segment of sorted rows.

use super::shader::{Kernel, Shape, assemble, params};
use super::value::{Reduction, ValuePlanes};

params! {
    /// Parameters of `segmented_reduce` over rows.
    SegmentedReduceRowsParams {
        /// Sorted rows.
        n,
        /// Tiles that cover them.
        tiles,
        /// 1 if there is one tile.
        is_last,
        /// The first value's first plane.
        x_at,
        /// The second value's first plane.
        y_at,
        /// The first value's validity plane, or [`NO_PLANE`](super::value::NO_PLANE).
        x_valid,
        /// The second value's validity plane.
        y_valid,
        /// Words from one plane of a value to the next.
        stride,
        /// First bit of the window, an `i32`.
        base,
    }
}

params! {
    /// Parameters of `segmented_reduce` over the records of the tiles below.
    SegmentedReduceRecordsParams {
        /// Records.
        n,
        /// Tiles that cover them.
        tiles,
        /// 1 if there is one tile.
        is_last,
    }
}

/// The kernel over rows, for values that stand as in `values`: that there are nulls is part of its text, and so is whether
/// there is an order.
pub fn rows(shape: &Shape, reduction: &Reduction, values: &ValuePlanes, ordered: bool) -> Kernel {
    let parts = [
        include_str!("../../shaders/shared/state.wgsl"),
        include_str!("../../shaders/shared/segmented_reduce_rows.wgsl"),
        include_str!("../../shaders/shared/value.wgsl"),
        include_str!("../../shaders/segmented_reduce.wgsl"),
    ];
    Kernel::new("segmented_reduce", "main", assemble(shape, &rows_constants(reduction, values, ordered), &parts))
}

/// The constants of a reduction of rows.
pub(super) fn rows_constants(reduction: &Reduction, values: &ValuePlanes, ordered: bool) -> Vec<(&'static str, u32)> {
    let mut constants = reduction.constants_for(values);
    constants.push(("ORDERED", ordered.into()));
    constants
}

/// The kernel over records.
pub fn records(shape: &Shape, reduction: &Reduction) -> Kernel {
    let parts = [
        include_str!("../../shaders/shared/state.wgsl"),
        include_str!("../../shaders/shared/segmented_reduce_records.wgsl"),
        include_str!("../../shaders/segmented_reduce.wgsl"),
    ];
    Kernel::new("segmented_reduce", "main", assemble(shape, &reduction.constants(), &parts))
}

/// One state per segment: `value(i)` is the state of sorted row `i`.
pub fn reference(reduction: &Reduction, segments: &[u32], value: impl Fn(usize) -> [u32; 4]) -> Vec<[u32; 4]> {
    let mut states = vec![reduction.identity(); segments.last().map_or(0, |last| *last as usize + 1)];
    for (i, segment) in segments.iter().enumerate() {
        let state = &mut states[*segment as usize];
        *state = reduction.combine(*state, value(i));
    }
    states
}
