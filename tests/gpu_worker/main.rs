//! The GPU worker over hand-built stages and chunks: against a plain row loop, and against the CPU worker, on every adapter
//! found, state by state.
//!
//! `TIDEMILL_NO_GPU=1` skips, visibly. `TIDEMILL_ADAPTER` names one adapter.

mod cases;
mod data;
mod faults;
mod oracle;
mod rates;
mod rig;
mod steady;
