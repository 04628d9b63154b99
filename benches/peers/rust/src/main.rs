//! What benches/peers/run.py needs in Rust: `peers memory` times tidemill as a library over an Arrow file's batches in memory,
//! `peers sorts` times sorting crates. Both print a line of JSON a measurement.

mod memory;
mod sorts;

use clap::Parser;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(about = "tidemill as a library over Arrow data in memory; sorting crates")]
enum Command {
    /// Loads an Arrow file, runs a job over its batches once, prints the seconds of the run
    Memory(memory::Args),
    /// Sorts uniform and skewed keys with each crate and checks the order
    Sorts(sorts::Args),
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Memory(args) => memory::run(&args),
        Command::Sorts(args) => sorts::run(&args),
    }
}
