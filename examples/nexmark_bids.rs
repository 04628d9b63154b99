//! Writes the bids of Nexmark to a file: `cargo run --release --example nexmark_bids -- 10000000 bids.parquet`.
//!
//! The format is that of the name: csv, tsv, ndjson, parquet or arrow. The rows are those of `tidemill stream --source nexmark:bid`.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use tidemill::input::Rule;
use tidemill::output::{Format, OutputFile, writer};
use tidemill::stream::NexmarkSource;
use tidemill::{Error, Result};

/// Rows that are made at a time.
const BATCH: u64 = 1 << 16;

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(rows), Some(path)) = (args.next().and_then(|rows| rows.parse().ok()), args.next()) else {
        return Err(Error::usage("nexmark_bids ROWS FILE [COLUMN …]"));
    };
    let path = Path::new(&path);
    let format = Format::of_path(path).ok_or_else(|| Error::usage("the name of the file does not tell its format"))?;
    let rule = NexmarkSource::parse("bid")?.rule();
    // All columns, or those that are named.
    let named: Vec<String> = args.collect();
    let columns: Vec<usize> = (0..rule.schema().fields().len())
        .filter(|&c| named.is_empty() || named.contains(rule.schema().field(c).name()))
        .collect();
    let schema = rule.schema().project(&columns).map_err(|e| Error::usage(e.to_string()))?;
    let schema = Arc::new(schema);
    let file = OutputFile::create(path)?;
    let mut out = writer(format, Arc::clone(&schema), file.sink(), path)?;
    for from in (0..rows).step_by(BATCH as usize) {
        let arrays = columns.iter().map(|&column| rule.column(column, from..rows.min(from + BATCH))).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|e| Error::usage(e.to_string()))?;
        out.write(&batch)?;
    }
    out.finish()?;
    file.commit()
}
