//! The command as a user meets it: the built binary is run, and what it prints, leaves behind and exits with is asserted.
//!
//! Right answers of the flights were computed by Python from the same file (`csv`, `fractions`, `math.fsum`), not by tidemill.

mod bench;
mod errors;
mod formats;
mod inputs;
mod jobs;
mod process;
mod rejects;
mod stream;
mod support;
mod watch;
