//! The command line of `tidemill bench`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{GroupingArgs, InputArgs, RunArgs};
use crate::exit;

const BENCH_HELP: &str = "\
What is measured:
  Without FILE: generated tables of an integer key and an integer or float
  value, uniform and skewed keys, over a ladder of rows and group counts.
  With FILE, keys and aggregates as for agg: that job, over the first rows of
  the data, more with every rung.
  resident    the data is in memory and the device is warm
  end to end  from the file to the result, the device opened anew
  CPU and GPU take turns. A ratio is CPU time / GPU time of the medians, with a
  95 % bootstrap interval; where 1 lies inside it, neither is called faster.
  Results are compared: a device that gives other bits is reported.

Examples:
  tidemill bench --html bench.html --json bench.json
  tidemill bench trips.parquet --by vendor 'sum(fare)' 'mean(tip)' --html t.html
  tidemill bench --rows 1e5,1e6,1e7 --groups 100,1e6 --runs 9 --device gpu:1";

/// `tidemill bench`.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "tidemill bench [OPTIONS]\n       tidemill bench FILE… [--by COL,…] [OPTIONS] AGG…",
    after_long_help = format!("{BENCH_HELP}\n\n{}", exit::HELP),
    after_help = "More, with what is measured and how: tidemill bench --help"
)]
pub struct BenchArgs {
    /// Input files ('-' is standard input) and aggregates ('sum(x)'); none: generated data
    #[arg(value_name = "FILE… AGG")]
    pub arguments: Vec<OsString>,

    /// What is grouped.
    #[command(flatten)]
    pub grouping: GroupingArgs,

    /// Rows of each rung, between commas: 10000, 100k, 1e6 [default: 1e4,1e5,1e6,1e7; of a file also all it has]
    #[arg(long, value_name = "LIST", help_heading = "The ladder")]
    pub rows: Option<String>,
    /// Groups of the generated tables, between commas [default: 100,1e4,1e6]
    #[arg(long, value_name = "LIST", help_heading = "The ladder")]
    pub groups: Option<String>,
    /// Counted runs of each measurement and device
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(3..=1000), help_heading = "The ladder")]
    pub runs: u16,
    /// Seconds to measure, about: rungs that would take longer are left out, and named
    #[arg(long, value_name = "S", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..), help_heading = "The ladder")]
    pub seconds: u32,

    /// The GPU to measure; may be given several times (default: the first, hardware before software)
    #[arg(long, value_name = "gpu|gpu:N", help_heading = "The run")]
    pub device: Vec<String>,
    /// How it runs.
    #[command(flatten)]
    pub run: RunArgs,

    /// Write a report with charts: one HTML file that needs no network
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// Write every measurement as JSON (its fields: docs/bench.md)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// How input is read.
    #[command(flatten)]
    pub input: InputArgs,
}
