//! Kernels put together: each function records the dispatches of one primitive.
//!
//! Every function takes the recording, the device's [`Shape`](crate::kernel::Shape), and views whose size it states; it
//! submits nothing. Row counts are known to the host when it records.

mod compact;
mod scan;
mod sort;

pub use compact::{compact, gather};
pub use scan::scan;
pub use sort::{Sorted, sort};
