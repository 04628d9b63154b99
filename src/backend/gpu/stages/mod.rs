//! Kernels put together: each function records the dispatches of one primitive.
//!
//! Every function takes the recording, the device's [`Shape`](crate::kernel::Shape), and views whose size it states; it
//! submits nothing. Row counts are known to the host when it records. Where a function takes `rows` or `order`, `None`
//! means 0, 1, 2, ….
//!
//! The data of a chunk is one buffer of `u32` planes ([`kernel::value`](crate::kernel::value) says how values and
//! validity stand in it); a plane is named by its word offset. A status plane holds one word per row.

mod compact;
mod direct;
mod keys;
mod reduce;
mod scan;
mod segments;
mod sort;

pub use compact::{compact, gather};
pub use direct::{direct, direct_keys};
pub use keys::{PackedKeys, exponent_range, key_bits, pack_keys};
pub use reduce::reduce;
pub use scan::scan;
pub use segments::{Segments, segments};
pub use sort::{Sorted, sort};
