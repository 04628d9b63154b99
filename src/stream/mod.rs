//! Micro-batches: a stream is cut into batches, each runs the same [`Job`](crate::Job) through the same engine, and what is found is
//! merged into a state that is kept.
//!
//! ```text
//! Source ─plan─► range ─log: offsets/N─► read, group (the batch engine) ─► Partial by pane ─► State ─► windows that closed, groups
//!                                                                                                       that changed …
//!         ─log: state/N─► Sink (prepare, commit) ─log: commits/N─► the next batch
//! ```
//! A batch that was not committed is done again over the range that was logged: the same rows give the same bytes, on any device, so
//! an idempotent sink shows each exactly once. The protocol and its files: [`log`]. The policies: `docs/streaming.md`.

mod aside;
mod batch;
mod chain;
mod distinct;
mod front;
mod going;
mod late;
pub mod log;
mod lookup;
mod metrics;
mod mode;
mod pace;
mod plan;
mod progress;
mod promise;
mod query;
mod runner;
pub mod sink;
pub mod source;
mod state;
mod strings;
mod then;
mod window;

pub use log::{Disk, DiskFile, SystemDisk};
pub use lookup::Lookup;
pub use metrics::Metrics;
pub use mode::{Guarantee, OutputMode, Trigger};
pub use progress::Progress;
pub use query::{Clock, Handle, Listener, Query, Summary};
pub use sink::{BatchOutput, Callback, FileSink, FolderSink, LinesSink, Sink};
pub use source::{
    FileOrder, FolderSource, Limits, LinesSource, NexmarkRows, NexmarkSource, RateSource, Source, TailSource,
};
pub use window::{Time, Window, WindowKind};

pub use crate::expr::Interval;
