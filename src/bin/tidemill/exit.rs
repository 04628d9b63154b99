//! Exit codes, and the one message an error gets.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use tidemill::Error;

/// How a run ended. Part of the command's interface: `--help` lists the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well; also when whoever reads the output has read enough (a broken pipe).
    Done = 0,
    /// The data, a file or a resource was not as it must be.
    Failed = 1,
    /// The command line or an expression cannot be.
    Usage = 2,
    /// The device that was asked for is not there or failed.
    Device = 3,
    /// Ctrl-C, as shells have it: 128 + SIGINT.
    Interrupted = 130,
}

/// The table of codes in `--help`.
pub const HELP: &str = "\
Exit codes:
  0    done (also when the reader of a pipe has read enough)
  1    bad data, a file that cannot be read or written, too many rejects
  2    a wrong option or expression, no such file or column
  3    the device asked for is not there or cannot run the job
  130  interrupted (Ctrl-C); nothing is left half-written";

impl Exit {
    /// The code an error ends with.
    pub fn of(error: &Error) -> Exit {
        match error {
            Error::Usage { .. } | Error::Query { .. } => Exit::Usage,
            Error::Device { .. } => Exit::Device,
            Error::Cancelled => Exit::Interrupted,
            Error::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe => Exit::Done,
            _ => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Writes a line to stderr; a closed stderr is nobody's problem.
pub fn say(line: &str) {
    _ = writeln!(std::io::stderr().lock(), "{}", harmless(line.trim_end()));
}

/// A message may quote a file, and a file may hold what would reprogram a terminal.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Says what went wrong, if anything did.
pub fn report(error: &Error) -> Exit {
    let exit = Exit::of(error);
    match exit {
        Exit::Done => {}
        Exit::Interrupted => say("tidemill: interrupted"),
        _ => say(&format!("tidemill: {error}")),
    }
    exit
}

/// Shows help or the version, or says what is wrong with the arguments.
pub fn refuse(refused: &clap::Error) -> Exit {
    if refused.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        say(&refused.render().to_string());
        return Exit::Usage;
    }
    if refused.use_stderr() {
        let text = refused.render().to_string();
        say(&format!("tidemill: {}", text.strip_prefix("error: ").unwrap_or(&text)));
        return Exit::Usage;
    }
    // A reader of the help who has read enough is no error.
    _ = refused.print();
    Exit::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_code() {
        let io = |kind: ErrorKind| Error::io("cannot write", "x", kind.into());
        let device = Error::Device { message: "no GPU".into(), help: None };
        let query = Error::Query { message: String::new(), text: String::new(), at: 0, help: None };
        let rejects = Error::TooManyRejects { rejected: 2, limit: 1, last: String::new() };
        for (error, code) in [
            (io(ErrorKind::BrokenPipe), 0),
            (io(ErrorKind::StorageFull), 1),
            (rejects, 1),
            (Error::internal("x"), 1),
            (Error::usage("x"), 2),
            (query, 2),
            (device, 3),
            (Error::Cancelled, 130),
        ] {
            assert_eq!(Exit::of(&error) as u8, code, "{error}");
        }
    }

    #[test]
    fn a_quoted_file_cannot_talk_to_the_terminal() {
        assert_eq!(harmless("found '\u{1b}[2Jé'\n  a\tb\r"), "found '\\u{1b}[2Jé'\n  a\tb\\r");
    }

    #[test]
    fn the_help_lists_every_code() {
        for exit in [Exit::Done, Exit::Failed, Exit::Usage, Exit::Device, Exit::Interrupted] {
            let line = format!("\n  {:<5}", exit as u8);
            assert!(HELP.contains(&line), "{exit:?}");
        }
    }
}
