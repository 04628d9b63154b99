//! The command. Thin: arguments in, a command run, one message and one exit code out.
//!
//! Read in this order: `args` (as typed), `positional` and `values` (what the typed texts mean), `job` (resolved: input, job,
//! engine), `commands` (what is done), `table`, `progress`, `interrupt`, `exit` (how it shows), `board`, `live`, `metrics` (how a
//! stream shows). All terminal code of tidemill is here; the library has none.

mod args;
mod board;
mod commands;
mod exit;
mod interrupt;
mod job;
mod live;
mod metrics;
mod positional;
mod progress;
mod rejects;
mod screen;
mod sink;
mod table;
mod values;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let done = match args::Args::try_parse() {
        Ok(args) => commands::run(args).map_or_else(|error| exit::report(&error), |()| exit::Exit::Done),
        Err(refused) => exit::refuse(&refused),
    };
    done.into()
}
