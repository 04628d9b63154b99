//! Where a stage runs: the trait, the oracle, the CPU and the GPU.

pub mod gpu;
