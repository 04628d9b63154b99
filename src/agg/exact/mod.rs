//! Exact sums: a multiset of numbers in, the real-number sum out, rounded once.
//!
//! Every number tidemill sums is an integer times a power of two, so every sum can be held exactly, addition is
//! associative, and the order of rows, chunks, threads and devices cannot be seen in a result. In reading order:
//!
//! - [`SumColumn`], [`ProductColumn`], [`IntSumColumn`], [`IntProductColumn`]: one state per group, as columns.
//!   They share `cells`: a small fixed-point window per group, and a growing accumulator (`wide`) for the few
//!   groups whose values do not fit it.
//! - [`Exact`]: what a group's state is worth, as a mathematical value ([`Dyadic`]) or a special (NaN, ±∞).
//! - [`sum`], [`mean`], [`var_pop`] …: from exact sums to the one rounded `f64` of SQL (`None` is null).
//! - [`round_ratio`], [`round_sqrt_ratio`]: the rounding core, nearest-even, subnormals and overflow included.
//!
//! The policy for NaN, infinities, −0, overflow and empty groups is `docs/numerics.md`, by line number.
//! Imports nothing of the crate but what compiles loops for wide registers.
//!
//! The window is Kulisch's long accumulator (Kulisch & Miranker, 1986) cut down to the exponents in use; the block
//! sum of [`SumColumn::add_slice`] is the error-free vector extraction of Rump, Ogita & Oishi (2008).

#![cfg_attr(feature = "fast-float", allow(dead_code, reason = "the exact columns are not what is measured then"))]

mod block;
mod cells;
mod dyadic;
#[cfg(feature = "fast-float")]
mod fast;
mod finish;
mod fixed;
mod int;
mod near;
mod product;
mod round;
mod strided;
mod sum;
mod whole;
mod wide;

pub use dyadic::{Dyadic, Exact};
pub use finish::{corr, covar_pop, covar_samp, interpolate, mean, stddev_pop, stddev_samp, sum, var_pop, var_samp};
pub use int::{IntProductColumn, IntSumColumn};
pub use round::{decimal_to_f64, round_ratio, round_sqrt_ratio};
pub(in crate::agg) use strided::Strided;
pub use whole::Integer;

// What exactness costs is measured against the same columns without it.
#[cfg(feature = "fast-float")]
pub use fast::{ProductColumn, SumColumn};
#[cfg(not(feature = "fast-float"))]
pub use {product::ProductColumn, sum::SumColumn};
