//! The aggregate algebra: exact sums, mergeable states, and the partial that carries them.

mod arg;
mod bag;
pub mod exact;
mod extreme;
mod finish;
mod function;
mod group;
mod keys;
mod layout;
mod partial;
mod portable;
mod records;
mod rows;
mod state;

pub use arg::{Arg, Slice};
pub use bag::{Bag, GroupValues, Keep};
pub use extreme::Extreme;
pub use finish::{Finished, key_column, key_text};
pub use function::{Function, Moment, Shape, StateKind, StateSpec};
pub use group::GroupTable;
pub use keys::KeyRows;
pub use layout::{Layout, Ranks};
pub use partial::{Merger, Partial};
pub use portable::PartialShape;
pub use rows::{ArgColumn, ArgData, Rows};
pub use state::State;
