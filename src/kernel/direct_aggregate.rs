//! One state per key for small key spaces, without a sort.

use super::shader::{Kernel, Shape, assemble, params};
use super::value::{Op, Reduction, ValuePlanes};

/// Words of workgroup memory for cells: all of the 16 KiB every device has.
pub const CELLS: u32 = 4096;

params! {
    /// Parameters of `direct_aggregate`.
    DirectAggregateParams {
        /// Items.
        n,
        /// First key of the slice.
        first_key,
        /// Keys of the slice.
        keys,
        /// Workgroups.
        groups,
        /// Items per workgroup.
        rows_per_group,
        /// 1 if item `i` is row `i`.
        iota,
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

/// The kernel for values that stand as in `values`: that there are nulls is part of its text.
pub fn kernel(shape: &Shape, reduction: &Reduction, values: &ValuePlanes) -> Kernel {
    let phases = match reduction.op {
        Op::Min | Op::Max => reduction.words(),
        Op::Count | Op::Flags | Op::Sum => 1,
    };
    let mut constants = reduction.constants_for(values);
    constants.extend([("CELLS", CELLS), ("PHASES", phases)]);
    let parts = [
        include_str!("../../shaders/shared/state.wgsl"),
        include_str!("../../shaders/direct_aggregate.wgsl"),
        include_str!("../../shaders/shared/value.wgsl"),
    ];
    Kernel::new("direct_aggregate", "main", assemble(shape, &constants, &parts))
}

/// One state per key below `keys`: `value(i)` is the state of item `i`.
pub fn reference(reduction: &Reduction, codes: &[u32], keys: u32, value: impl Fn(usize) -> [u32; 4]) -> Vec<[u32; 4]> {
    let mut states = vec![reduction.identity(); keys as usize];
    for (i, code) in codes.iter().enumerate() {
        let state = &mut states[*code as usize];
        *state = reduction.combine(*state, value(i));
    }
    states
}
