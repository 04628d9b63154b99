//! What the subcommands do.

mod agg;
mod bench;
mod checkpoint;
mod devices;
mod schema;
mod stream;

use tidemill::Result;

use crate::args::{Args, Command};

/// Runs a command.
pub fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Agg(args) => agg::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Stream(args) => stream::run(&args),
        Command::Checkpoint(args) => checkpoint::run(&args),
    }
}
