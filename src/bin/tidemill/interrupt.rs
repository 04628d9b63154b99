//! Ctrl-C: the first one asks the run to end, the second one ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidemill::output::remove_unfinished;
use tidemill::{Error, Result};

use crate::exit::{Exit, say};

/// What Ctrl-C sets.
#[derive(Clone, Default)]
pub struct Interrupt {
    /// Set by the first Ctrl-C; the engine's cancel flag.
    pub flag: Arc<AtomicBool>,
    /// Whether somebody looks at the flag. Until then (standard input is still being read, say) one Ctrl-C is enough.
    heeded: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens for Ctrl-C (and on Unix for SIGTERM and SIGHUP).
    pub fn listen() -> Result<Interrupt> {
        let interrupt = Interrupt::default();
        let Interrupt { flag, heeded } = interrupt.clone();
        let heard = move || {
            if flag.swap(true, Ordering::SeqCst) || !heeded.load(Ordering::SeqCst) {
                remove_unfinished();
                say("tidemill: interrupted");
                std::process::exit(Exit::Interrupted as i32);
            }
        };
        ctrlc::set_handler(heard).map_err(|e| cannot_listen("Ctrl-C", &e))?;
        // A file that grows beyond the shell's limit is to be an error of its writing, not the end of the process.
        #[cfg(unix)]
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())
            .map_err(|e| cannot_listen("SIGXFSZ", &e))?;
        Ok(interrupt)
    }

    /// From here on the flag is looked at.
    pub fn heed(&self) {
        self.heeded.store(true, Ordering::SeqCst);
    }

    /// Ends a step if Ctrl-C came.
    pub fn check(&self) -> Result<()> {
        if self.flag.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

fn cannot_listen(to: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Resource { message: format!("cannot listen for {to}: {error}"), help: None }
}
