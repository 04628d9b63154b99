//! The CPU backend: every worker runs morsels through the program and into group states of its own; nothing is shared
//! while it runs, and the caller merges the workers' partials.

mod select;
mod worker;

use std::sync::Arc;

use super::{Backend, Feed, Worker};
use crate::Result;
use crate::plan::Stage;
pub use crate::sort::radix;

/// All cores, or as many as asked for.
#[derive(Debug, Clone)]
pub struct Cpu {
    threads: usize,
}

impl Cpu {
    /// A backend with `threads` workers; 0 means one for each core.
    pub fn new(threads: usize) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Cpu { threads: if threads == 0 { cores() } else { threads } }
    }
}

impl Backend for Cpu {
    fn name(&self) -> String {
        format!("cpu ({} thread{})", self.threads, if self.threads == 1 { "" } else { "s" })
    }

    fn feed(&self) -> Feed {
        Feed::Threads(self.threads)
    }

    fn worker(&self, stage: &Arc<Stage>) -> Result<Box<dyn Worker>> {
        Ok(Box::new(worker::CpuWorker::new(stage)))
    }

    fn explain(&self, _: &Arc<Stage>, _: bool) -> Result<Vec<String>> {
        let rule = "keys packed into the bits they need: an array up to 16 bits (22 where keys are many), a hash table beyond; a table a thread, merged at the end; with nearly as many groups as rows no table, rows sorted by key";
        Ok(vec![format!("strategy {rule}")])
    }
}
