//! tidemill: group-by over memory-mapped files, on the CPU (rayon) and on the GPU (wgpu + WGSL), with the same bits out.
#![deny(missing_docs)]

pub mod agg;
pub mod backend;
pub mod column;
mod error;
pub mod exec;
pub mod expr;
pub mod input;
pub mod kernel;
pub mod output;
pub mod plan;

pub use backend::Device;
pub use column::Type;
pub use error::{Error, Place, Result};
pub use exec::{Engine, Ledger, RunReport};
pub use expr::{Expr, col, lit};
pub use input::Input;
pub use plan::{Job, aggregate};
