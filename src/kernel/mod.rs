//! One file per shader stem: host parameters and a plain reference function.
//!
//! `shaders/STEM.wgsl` is the kernel, `kernel/STEM.rs` its host side: the parameter struct, the text with its constants
//! filled in, and a reference function in plain Rust that says what the kernel must give. Nothing here touches a device:
//! a [`Kernel`] is text and names. May import `error` and `column` only.
//!
//! The arithmetic below the kernels: `i64`, `i128`, `f64` and `date` are the twins of the files of the same name in
//! `shaders/shared`, on the words of `word`. [`source`] holds the shader texts.

mod shader;

pub mod compact;
pub mod date;
pub mod direct_aggregate;
pub mod direct_combine;
pub mod exponent_range;
pub mod f64;
pub mod gather;
pub mod i128;
pub mod i64;
pub mod key_bits;
pub mod lane_order;
pub mod pack_keys;
pub mod radix_histogram;
pub mod radix_scatter;
pub mod reduce;
pub mod scan;
pub mod segment_heads;
pub mod segmented_reduce;
pub mod value;
pub mod word;

pub use shader::{Kernel, Params, Shape, assemble};

/// WGSL texts, to be joined in any order with each other and with a kernel that calls their functions.
///
/// A kernel with an `override` or several entry points carries only what it calls into its pipeline: naga compacts the rest.
pub mod source {
    /// 64-bit integers; needs no other text.
    pub const I64: &str = include_str!("../../shaders/shared/i64.wgsl");
    /// 128-bit integers; needs [`I64`].
    pub const I128: &str = include_str!("../../shaders/shared/i128.wgsl");
    /// Soft-float binary64; needs [`I64`] and [`I128`].
    pub const F64: &str = include_str!("../../shaders/shared/f64.wgsl");
    /// Dates and timestamps; needs [`I64`].
    pub const DATE: &str = include_str!("../../shaders/shared/date.wgsl");
}
