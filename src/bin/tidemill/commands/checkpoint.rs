//! `tidemill checkpoint`: what the log of a query holds, and whether it is whole.

use std::sync::Arc;

use tidemill::stream::SystemDisk;
use tidemill::stream::log::{FileReport, inspect};
use tidemill::{Error, Result};

use crate::args::{CheckpointAction, CheckpointArgs};
use crate::sink::print;

/// Shows or checks a checkpoint.
pub fn run(args: &CheckpointArgs) -> Result<()> {
    let report = inspect(Arc::new(SystemDisk), &args.folder)?;
    let damaged: Vec<&FileReport> = report.files.iter().filter(|file| file.wrong.is_some()).collect();
    let mut text = String::new();
    let mut line = |shown: String| {
        text.push_str(&shown);
        text.push('\n');
    };
    match args.action {
        CheckpointAction::Show => {
            line(format!("query    {}", report.query));
            for (part, value) in &report.job {
                line(format!("{part:<8} {value}"));
            }
            line(format!("columns  {}", report.columns.join(", ")));
            for kind in ["offsets", "state", "commits"] {
                let files: Vec<&FileReport> = report.files.iter().filter(|file| file.kind == kind).collect();
                let bytes: u64 = files.iter().map(|file| file.bytes).sum();
                let range = match (files.first(), files.last()) {
                    (Some(first), Some(last)) => format!(" of batches {} to {}", first.batch, last.batch),
                    _ => String::new(),
                };
                line(format!("{kind:<8} {} files{range}, {bytes} bytes", files.len()));
            }
            line(format!("next     {}", report.next));
        }
        CheckpointAction::Verify => {
            line(format!("{} files, {} damaged", report.files.len(), damaged.len()));
            for file in &damaged {
                line(format!("{}: {}", file.path.display(), file.wrong.as_deref().unwrap_or_default()));
            }
            line(report.next.clone());
        }
    }
    print(&text)?;
    if let (CheckpointAction::Verify, Some(first)) = (args.action, damaged.first()) {
        return Err(Error::Format {
            path: first.path.clone(),
            message: first.wrong.clone().unwrap_or_default(),
            help: Some("the query falls back past it by itself, as said above".into()),
        });
    }
    Ok(())
}
