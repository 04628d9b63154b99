//! Sorting on all cores. Imports nothing of tidemill.

pub mod radix;
