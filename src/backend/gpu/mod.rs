//! The GPU: adapters, a device, and work recorded as data that one engine turns into submissions.
//!
//! All use of `wgpu` is in this folder. Read in this order: `adapter` (what is there), `device` (one opened adapter and
//! its errors), `record` (work as data), `pipeline` (kernels compiled once, their bindings reflected; `pipeline_cache` keeps them), `pool` (buffers
//! that outlive recordings), `encode` and `engine` (the only place that submits), `stages` (kernels put together into
//! scans, sorts and reductions). Then what runs a job's stage: `strategy` (options), `layout` (the stage as planes and
//! reductions), `batch` (one batch's way over the device, with `upload`, `survey`, `groups`, `passes` and `unpack`), `import` (its
//! groups into states), `worker` (chunks, failures), `backend`, `explain` and `notes`.
//!
//! May import what stands before `backend`; of `plan` the stage alone.

mod adapter;
mod backend;
mod batch;
mod device;
mod encode;
mod engine;
mod explain;
mod groups;
mod import;
mod layout;
mod notes;
mod passes;
mod pipeline;
mod pipeline_cache;
mod pool;
mod record;
pub mod stages;
mod strategy;
mod survey;
mod unpack;
mod upload;
mod worker;

pub use adapter::{Adapter, AdapterInfo, Kind, adapter, adapters, adapters_from_env, no_adapter};
pub use backend::{GpuBackend, Measured};
pub use device::{Fault, Faults, Gpu, Options, default_shape};
pub use engine::{Engine, Outcome, Pending, Timing, Totals};
pub use explain::Explanation;
pub use pool::{Kept, Memory};
pub use record::{Buf, Counters, Dispatch, Download, Op, Recording, Traffic, View};
pub use strategy::{Chosen, GpuOptions, Strategy};

#[cfg(test)]
mod testing;
