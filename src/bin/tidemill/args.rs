//! The command line as it is typed. What the texts mean is found out later, where an error can name more than a flag.

mod bench;
mod stream;

use std::ffi::OsString;
use std::path::PathBuf;

pub use bench::BenchArgs;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
pub use stream::StreamArgs;

use tidemill::output::Format;

use crate::exit;

/// Group-by over CSV, NDJSON, Parquet and Arrow files, on the CPU and on the GPU, with the same bits out.
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, about, after_help = exit::HELP, max_term_width = 110)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Group rows and aggregate them
    Agg(Box<Agg>),
    /// Show the columns of a file and their types
    Schema(SchemaArgs),
    /// List the GPU adapters, what they offer, and (with --measure) how fast they are
    Devices(DevicesArgs),
    /// Measure the CPU against the GPU, on your own data or on generated data
    Bench(Box<BenchArgs>),
    /// Run a job over a stream, in micro-batches
    Stream(Box<StreamArgs>),
    /// Show what a checkpoint of a stream holds, or check all its files
    Checkpoint(CheckpointArgs),
}

const AGG_HELP: &str = "\
Files and aggregates:
  '-' (standard input), and whatever exists under its name, is a file. Any
  other argument that is an expression with a call in it, such as 'sum(x)' or
  'max(v1) - min(v2) as spread', is an aggregate. An argument that is neither
  is an error. An aggregate that begins with a minus goes behind '--'.
  Several files are one input; their columns match by name. CSV, TSV, Parquet
  and Arrow IPC files are known by their content; .bin and .raw files are
  packed records and need --schema.

Aggregates:
  count() count(x) sum mean avg min max median quantile(x, p) count_distinct
  var_samp var_pop stddev_samp stddev_pop covar_samp(x, y) covar_pop(x, y)
  corr(x, y) bool_and bool_or any_value top_k(x, k) bottom_k(x, k)
  unnest(top_k(x, k)); with expressions inside them and over them.

Null and order:
  NA, N/A, NULL, null and the empty field are null. Groups come in key order,
  null last. Floats print as the shortest text that reads back to the same
  bits.

Examples:
  tidemill agg flights.csv --by carrier 'count()' 'mean(dep_delay)'
  tidemill agg trips/*.parquet --where 'fare > 0' --by 'year(ts) as y' \\
      'sum(fare + tip) as revenue' --order-by 'revenue desc' --limit 10
  zcat log.csv.gz | tidemill agg - --by status 'count()' -o status.parquet";

/// `tidemill agg`.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "tidemill agg FILE… [--by COL,…] [OPTIONS] AGG…",
    after_long_help = format!("{AGG_HELP}\n\n{}", exit::HELP),
    after_help = "More, with examples and exit codes: tidemill agg --help"
)]
pub struct Agg {
    /// Input files ('-' is standard input) and aggregates ('sum(x)', 'mean(a * b) as m')
    #[arg(value_name = "FILE… AGG", required = true)]
    pub arguments: Vec<OsString>,

    /// What is grouped.
    #[command(flatten)]
    pub grouping: GroupingArgs,
    /// Keep only groups for which this is true; may use aggregates and their names
    #[arg(long, value_name = "EXPR", help_heading = "The job", allow_hyphen_values = true)]
    pub having: Vec<String>,
    /// Sort the result: 'revenue desc, carrier'
    #[arg(long, value_name = "COL [desc]", help_heading = "The job", allow_hyphen_values = true)]
    pub order_by: Vec<String>,
    /// Give at most N rows
    #[arg(long, value_name = "N", help_heading = "The job")]
    pub limit: Option<u64>,
    /// Let groups come in any order (key order otherwise)
    #[arg(long, help_heading = "The job")]
    pub unordered: bool,

    /// Where to compute; auto never picks a software adapter, gpu may and says so
    #[arg(long, value_name = "auto|cpu|gpu|gpu:N", default_value = "auto", help_heading = "The run")]
    pub device: String,
    /// How it runs.
    #[command(flatten)]
    pub run: RunArgs,
    /// The most memory the process may take, within a tenth: 512MB, 4GiB; rows and groups that do not fit go to temporary
    /// files (default: three quarters of the machine's)
    #[arg(long, value_name = "SIZE", help_heading = "The run")]
    pub memory: Option<String>,
    /// The folder for temporary files of rows and groups that do not fit --memory (default: the system's)
    #[arg(long, value_name = "DIR", help_heading = "The run")]
    pub temp_dir: Option<PathBuf>,
    /// Print the plan (with wgsl: also the generated kernel) and do not run
    #[arg(long, value_name = "wgsl", num_args = 0..=1, require_equals = true, default_missing_value = "plan", help_heading = "The run")]
    pub explain: Option<Explain>,
    /// Print the ledger to stderr: what became of every row, time by stage, the device and why
    #[arg(long, value_name = "json", num_args = 0..=1, require_equals = true, default_missing_value = "text", help_heading = "The run")]
    pub stats: Option<Stats>,
    /// Set bad rows aside in this CSV file instead of stopping at the first; written also when there are too many
    #[arg(long, value_name = "FILE", help_heading = "The run")]
    pub rejects: Option<PathBuf>,
    /// The most rows to set aside
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "rejects", help_heading = "The run")]
    pub max_rejects: u64,

    /// How the result is written (default: by the extension of --output; else table on a terminal, csv in a pipe)
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<FormatName>,
    /// Write the result to a file, which appears when it is whole
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// How input is read.
    #[command(flatten)]
    pub input: InputArgs,
}

/// `tidemill checkpoint`.
#[derive(Debug, ClapArgs)]
#[command(after_help = exit::HELP)]
pub struct CheckpointArgs {
    /// What to do
    #[arg(value_enum)]
    pub action: CheckpointAction,
    /// The folder of the checkpoint
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// What `tidemill checkpoint` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckpointAction {
    /// Show the query, its batches and how it would go on
    Show,
    /// Read every file and check it; the exit code is 1 if one is damaged
    Verify,
}

/// What is grouped, by what.
#[derive(Debug, ClapArgs)]
pub struct GroupingArgs {
    /// Group keys: columns, mapped names or expressions, between commas: 'year(ts) as y, carrier'
    #[arg(long, value_name = "COL,…", help_heading = "The job", allow_hyphen_values = true)]
    pub by: Vec<String>,
    /// Keep only rows for which this is true (several are joined by and)
    #[arg(long = "where", value_name = "EXPR", help_heading = "The job", allow_hyphen_values = true)]
    pub filter: Vec<String>,
    /// Name an expression; later ones may use earlier ones
    #[arg(long, value_name = "NAME = EXPR", help_heading = "The job")]
    pub map: Vec<String>,
}

/// How a run goes about it.
#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// Threads that read and compute (default: one for each core)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "The run")]
    pub threads: Option<u16>,
    /// Input bytes a chunk has, about: 65536, 512K, 64MB, 1MiB; the result does not depend on it
    #[arg(long, value_name = "SIZE", help_heading = "The run")]
    pub chunk_size: Option<String>,
}

/// How input is read.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Types of columns; the others are inferred (raw files: all columns, in order)
    #[arg(long, value_name = "col:type,…")]
    pub schema: Option<String>,
    /// What text input is: csv or ndjson (default: by the name, then by how it begins)
    #[arg(long, value_name = "FORMAT")]
    pub input_format: Option<String>,
    /// The delimiter of CSV input: one character, '\t' or tab (default: found out)
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    pub delimiter: Option<String>,
    /// The first record of CSV input is data; columns are c1, c2 …
    #[arg(long)]
    pub no_header: bool,
    /// The first record of CSV input is the header, even if it looks like data
    #[arg(long, conflicts_with = "no_header")]
    pub header: bool,
    /// Texts that mean null in CSV input, between commas [default: ',NA,N/A,NULL,null']
    #[arg(long, value_name = "TEXT,…", allow_hyphen_values = true)]
    pub null_values: Option<String>,
}

/// `tidemill schema`.
#[derive(Debug, ClapArgs)]
#[command(after_help = exit::HELP)]
pub struct SchemaArgs {
    /// Input files ('-' is standard input); several are one input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<OsString>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Shape,
    /// How input is read.
    #[command(flatten)]
    pub input: InputArgs,
}

/// `tidemill devices`.
#[derive(Debug, ClapArgs)]
#[command(after_help = exit::HELP)]
pub struct DevicesArgs {
    /// Measure upload, readback and kernel rates of every adapter
    #[arg(long)]
    pub measure: bool,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Shape,
}

/// How a listing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// For eyes.
    Table,
    /// For programs.
    Json,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// For eyes
    Table,
    /// RFC 4180
    Csv,
    /// Between tabs
    Tsv,
    /// An array of objects
    Json,
    /// An object a line
    Ndjson,
    /// A Markdown table
    Markdown,
    /// Apache Parquet
    Parquet,
    /// Arrow IPC file
    Arrow,
}

impl FormatName {
    /// The writer's format; `None` for a table.
    pub fn format(self) -> Option<Format> {
        Some(match self {
            FormatName::Table => return None,
            FormatName::Csv => Format::Csv,
            FormatName::Tsv => Format::Tsv,
            FormatName::Json => Format::Json,
            FormatName::Ndjson => Format::Ndjson,
            FormatName::Markdown => Format::Markdown,
            FormatName::Parquet => Format::Parquet,
            FormatName::Arrow => Format::Arrow,
        })
    }
}

/// What `--explain` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Explain {
    /// The plan.
    Plan,
    /// The plan and the generated kernel.
    Wgsl,
}

/// What `--stats` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stats {
    /// Lines for eyes.
    Text,
    /// One JSON object.
    Json,
}
