//! The GPU: adapters, a device, and work recorded as data that one engine turns into submissions.
//!
//! All use of `wgpu` is in this folder. Read in this order: `adapter` (what is there), `device` (one opened adapter and
//! its errors), `record` (work as data), `pipeline` (kernels compiled once, their bindings reflected), `pool` (buffers
//! that outlive recordings), `encode` and `engine` (the only place that submits), `stages` (kernels put together into
//! scans, sorts and reductions). May import `error`, `column` and `kernel`.

mod adapter;
mod device;
mod encode;
mod engine;
mod pipeline;
mod pool;
mod record;
pub mod stages;

pub use adapter::{Adapter, AdapterInfo, Kind, adapters, adapters_from_env, no_adapter};
pub use device::{Fault, Faults, Gpu, Options};
pub use engine::{Engine, Outcome, Pending, Timing};
pub use pool::{Kept, Memory};
pub use record::{Buf, Counters, Dispatch, Download, Op, Recording, Traffic, View};

#[cfg(test)]
mod testing;
