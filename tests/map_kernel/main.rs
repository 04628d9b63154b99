//! The generated map kernel against the plain evaluator: every operation on hostile values, and random programs, on every
//! adapter found, bit for bit (every NaN is one).
//!
//! `TIDEMILL_NO_GPU=1` skips what needs an adapter, visibly; `TIDEMILL_MAP_CASES=N` sets the number of random programs.

mod generate;
mod golden;
mod operations;
mod random;
mod run;
mod table;
