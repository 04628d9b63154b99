//! One file per shader stem: host parameters and a plain reference function.
//!
//! `shaders/STEM.wgsl` is the kernel, `kernel/STEM.rs` its host side: the parameter struct, the text with its constants
//! filled in, and a reference function in plain Rust that says what the kernel must give. Nothing here touches a device:
//! a [`Kernel`] is text and names. May import `error` and `column` only.

mod shader;

pub mod compact;
pub mod direct_aggregate;
pub mod direct_combine;
pub mod exponent_range;
pub mod gather;
pub mod key_bits;
pub mod lane_order;
pub mod pack_keys;
pub mod radix_histogram;
pub mod radix_scatter;
pub mod scan;
pub mod segment_heads;
pub mod segmented_reduce;
pub mod value;

pub use shader::{Kernel, Params, Shape, assemble};
