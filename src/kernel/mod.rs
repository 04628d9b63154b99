//! One file per shader stem: host parameters and a plain reference function.
//!
//! The arithmetic below the kernels: `i64`, `i128`, `f64` and `date` are the twins of the files of the same name in
//! `shaders/shared`, on the words of `word`. [`source`] holds the shader texts.

pub mod date;
pub mod f64;
pub mod i128;
pub mod i64;
pub mod word;

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
