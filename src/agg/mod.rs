//! The aggregate algebra: exact sums, mergeable states, and the partial that carries them.

mod arg;
pub mod exact;
mod group;

pub use arg::{Arg, Slice};
pub use group::GroupTable;
