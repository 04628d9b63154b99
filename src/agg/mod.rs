//! The aggregate algebra: exact sums, mergeable states, and the partial that carries them.

mod arg;
mod bag;
mod extreme;
mod function;
mod group;

pub use arg::{Arg, Slice};
pub use bag::{Bag, Keep};
pub use extreme::Extreme;
pub use function::{Function, Moment, Shape, StateKind, StateSpec};
pub use group::GroupTable;
