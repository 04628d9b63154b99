//! The command line of `tidemill stream`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{GroupingArgs, InputArgs, RunArgs};
use crate::exit;

const STREAM_HELP: &str = "\
Sources (--source):
  dir:PATTERN    files that appear: 'dir:incoming/*.csv'. Place them whole: write
                 elsewhere, or under a name that begins with a dot, and rename
  tail:FILE      a file that grows, by lines of CSV or NDJSON; it may be rotated
  -              lines of CSV or NDJSON on standard input
  tcp:HOST:PORT  lines of CSV or NDJSON from a server
  rate:WORDS     made rows: 'rate:rows=1000,advance=1s,batches=20'
  nexmark:WORDS  events of Nexmark: 'nexmark:bid,events=1000000,rows=10000',
                 auction, person, or all in one table
Sinks (--sink):
  FORMAT:FOLDER  a file for each batch that has rows, and its marker:
                 parquet, arrow, csv, tsv, ndjson
  csv, tsv, ndjson   lines on standard output (default: csv, but on a terminal)
  table          tables on standard output, for eyes (default on a terminal); there
                 modes update and complete draw one in its place, anew

Modes:
  append    windows that the watermark has closed, each once
  update    groups that a batch has changed
  complete  all groups, after every batch

Guarantees, and what they need:
  exactly-once   --checkpoint, a source that can be read again, a folder
  at-least-once  --checkpoint, a source that can be read again
  at-most-once   --checkpoint
  none           the default without --checkpoint; with one it is the most that
                 source and sink can

A batch that did not come to its end is done again from the checkpoint; its rows
are the same bytes. Ctrl-C ends after the batch that is running; a second one
ends at once, and nothing is lost by it.

Examples:
  tidemill stream --source 'dir:incoming/*.csv' --by region 'sum(amount)' \\
      --window 'tumbling 10s on ts' --watermark 5s --trigger 1s \\
      --checkpoint ckpt --sink parquet:out
  tidemill stream --source 'dir:trips/*.parquet' --by vendor 'count()' \\
      --mode complete --trigger available-now";

/// `tidemill stream`.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "tidemill stream --source SOURCE [--by COL,…] [OPTIONS] AGG…",
    after_long_help = format!("{STREAM_HELP}\n\n{}", exit::HELP),
    after_help = "More, with sources, sinks and guarantees: tidemill stream --help"
)]
pub struct StreamArgs {
    /// Aggregates: 'sum(x)', 'mean(a * b) as m'
    #[arg(value_name = "AGG")]
    pub aggregates: Vec<String>,

    /// Where rows come from
    #[arg(
        long,
        value_name = "dir:PATTERN|tail:FILE|-|tcp:HOST:PORT|rate:…|nexmark:…",
        allow_hyphen_values = true,
        help_heading = "The stream"
    )]
    pub source: String,
    /// Group by spans of time: 'tumbling 10s on ts', 'sliding 10s every 2s on ts', 'session 30m on ts', '… on processing time'; may be given several times
    #[arg(long, value_name = "WINDOW", help_heading = "The stream")]
    pub window: Vec<String>,
    /// Give rows the columns of a table, by a key: 'FILE on COLUMN', 'FILE on COLUMN = KEY'; may be given several times
    #[arg(long, value_name = "TABLE", help_heading = "The stream")]
    pub lookup: Vec<String>,
    /// Leave out rows whose keys have come before (within the watermark, if there is one)
    #[arg(long, value_name = "COL,…", help_heading = "The stream", allow_hyphen_values = true)]
    pub distinct: Vec<String>,
    /// The event time of --distinct, where no window has one
    #[arg(long, value_name = "EXPR", help_heading = "The stream", allow_hyphen_values = true)]
    pub event_time: Option<String>,
    /// A second stage over the rows of each window: aggregates or, with --then-by alone, distinct keys
    #[arg(long, value_name = "AGG,…", help_heading = "The second stage", allow_hyphen_values = true)]
    pub then: Vec<String>,
    /// Group keys of the second stage, beside the window
    #[arg(long, value_name = "COL,…", help_heading = "The second stage", allow_hyphen_values = true)]
    pub then_by: Vec<String>,
    /// Keep only rows of the first stage for which this is true
    #[arg(long, value_name = "EXPR", help_heading = "The second stage", allow_hyphen_values = true)]
    pub then_where: Vec<String>,
    /// Sort the rows of a window
    #[arg(long, value_name = "COL [desc]", help_heading = "The second stage", allow_hyphen_values = true)]
    pub then_order_by: Vec<String>,
    /// Give at most N rows a window
    #[arg(long, value_name = "N", help_heading = "The second stage")]
    pub then_limit: Option<u64>,
    /// How late rows may come: a window closes when an event time so much later than its end is read
    #[arg(long, value_name = "SPAN", help_heading = "The stream")]
    pub watermark: Option<String>,
    /// Write rows that came too late to a file of csv or ndjson, or to a folder, with all columns of the source
    #[arg(long, value_name = "FILE|FORMAT:FOLDER", help_heading = "The stream")]
    pub late: Option<String>,
    /// Set bad rows aside in a file of csv or ndjson, or in a folder, instead of stopping at the first
    #[arg(long, value_name = "FILE|FORMAT:FOLDER", help_heading = "The stream")]
    pub rejects: Option<String>,
    /// The most rows to set aside of a batch
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "rejects", help_heading = "The stream")]
    pub max_rejects: u64,
    /// What a batch gives
    #[arg(long, value_name = "append|update|complete", default_value = "append", help_heading = "The stream")]
    pub mode: String,
    /// When batches run: asap, an interval (1s), available-now (all that is there, then end), once (the same in one batch)
    #[arg(long, value_name = "WHEN", default_value = "asap", help_heading = "The stream")]
    pub trigger: String,
    /// What is promised if something fails (default: the most that source and sink can, with --checkpoint)
    #[arg(long, value_name = "GUARANTEE", help_heading = "The stream")]
    pub guarantee: Option<String>,
    /// The folder of the log: the query goes on from there
    #[arg(long, value_name = "FOLDER", help_heading = "The stream")]
    pub checkpoint: Option<PathBuf>,
    /// Batches of the checkpoint that can be gone back to
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..), help_heading = "The stream")]
    pub keep: u64,
    /// Where results go (default: table on a terminal, csv in a pipe)
    #[arg(long, value_name = "FORMAT[:FOLDER]|table", help_heading = "The stream")]
    pub sink: Option<String>,
    /// How long a batch is to take at most, about: what it reads is fitted to that
    #[arg(long, value_name = "SPAN", help_heading = "The stream")]
    pub max_latency: Option<String>,
    /// After so long without a row the watermark goes on with the clock
    #[arg(long, value_name = "SPAN", help_heading = "The stream")]
    pub idle: Option<String>,
    /// Files a batch reads at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "The stream")]
    pub max_files: Option<u64>,
    /// Input bytes a batch reads at most (one file is always read)
    #[arg(long, value_name = "SIZE", help_heading = "The stream")]
    pub max_bytes: Option<String>,
    /// Rows a batch reads at most, of sources that count them before (all but dir)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "The stream")]
    pub max_rows: Option<u64>,
    /// The order of files of dir: name or mtime
    #[arg(long, value_name = "ORDER", default_value = "name", help_heading = "The stream")]
    pub file_order: String,
    /// At the end of the input give windows that are still open, too; else they stay in the state
    #[arg(long, help_heading = "The stream")]
    pub finish: bool,
    /// Print a JSON object to stderr for every batch
    #[arg(long, help_heading = "The stream")]
    pub progress: bool,
    /// Serve metrics over HTTP, in the text format of Prometheus: a port of the loopback address, or HOST:PORT; any free port if
    /// none is named, and the address is printed
    #[arg(long, value_name = "ADDR", num_args = 0..=1, require_equals = true, default_missing_value = "0", help_heading = "The stream")]
    pub metrics: Option<String>,

    /// What is grouped.
    #[command(flatten)]
    pub grouping: GroupingArgs,
    /// Give rows, not groups: columns or expressions between commas; '*' is all columns
    #[arg(long, value_name = "COL,…", help_heading = "The job", allow_hyphen_values = true)]
    pub select: Vec<String>,
    /// Keep only groups for which this is true; may use aggregates and their names
    #[arg(long, value_name = "EXPR", help_heading = "The job", allow_hyphen_values = true)]
    pub having: Vec<String>,
    /// Sort the result (mode complete)
    #[arg(long, value_name = "COL [desc]", help_heading = "The job", allow_hyphen_values = true)]
    pub order_by: Vec<String>,
    /// Give at most N rows (mode complete)
    #[arg(long, value_name = "N", help_heading = "The job")]
    pub limit: Option<u64>,

    /// Where to compute; auto never picks a software adapter, gpu may and says so
    #[arg(long, value_name = "auto|cpu|gpu|gpu:N", default_value = "auto", help_heading = "The run")]
    pub device: String,
    /// How it runs.
    #[command(flatten)]
    pub run: RunArgs,

    /// How input is read.
    #[command(flatten)]
    pub input: InputArgs,
}
