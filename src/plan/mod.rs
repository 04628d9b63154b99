//! The job, its lowering to a stage, and its explanation.

pub mod aggregate;
mod job;
mod lower;
mod stage;

pub use job::{Job, Named, Order};
pub use lower::{Call, Output, OutputValue, Plan, PostInput, SortBy, SortTerm, lower};
pub use stage::{Key, Stage, dictionaries};
