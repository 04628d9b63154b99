//! The job, its lowering to a stage, and its explanation.

pub mod aggregate;
mod job;
mod lower;
mod made;
mod rows;
mod stage;

pub use job::{Job, Named, Order};
pub use lower::lower;
pub use made::{Call, Output, OutputValue, Plan, PostInput, SortBy, SortTerm};
pub use rows::{RowsPlan, lower_rows};
pub use stage::{Key, Stage, dictionaries};
