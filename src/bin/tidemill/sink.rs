//! Where results go: stdout, or a file that appears when it is whole.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use tidemill::output::{Format, OutputFile, Writer, writer};
use tidemill::{Error, Result, RunReport};

use crate::args::FormatName;
use crate::interrupt::Interrupt;
use crate::screen;
use crate::table::{self, Limits};

/// What stdout is called in messages.
const STDOUT: &str = "standard output";

/// The format and the place of a result, chosen before a run.
pub struct Choice {
    /// `None`: a table for eyes.
    format: Option<Format>,
    /// `None`: stdout.
    output: Option<PathBuf>,
    limits: Limits,
}

impl Choice {
    /// Chooses by what was asked for, by the output's extension, and by what stdout is. With `limited` the user has said how
    /// many rows are wanted, and a table shows them all.
    pub fn make(format: Option<FormatName>, output: Option<&Path>, limited: bool) -> Result<Choice> {
        let output = output.filter(|path| path.as_os_str() != "-");
        let terminal = output.is_none() && screen::is_terminal();
        let format = match (format, output) {
            (Some(format), _) => format.format(),
            (None, Some(path)) => Some(format_of(path)?),
            (None, None) if terminal => None,
            (None, None) => Some(Format::Csv),
        };
        if let (Some(format), true) = (format.filter(|f| f.is_binary()), terminal) {
            return Err(Error::Usage {
                message: format!("{} is binary and cannot be shown on a terminal", format.name()),
                help: Some("give --output FILE, or send stdout to a file or a pipe".into()),
            });
        }
        let limits = if terminal {
            let most_rows = (!limited).then_some(table::MOST_ROWS);
            Limits { width: screen::width(), screen: true, most_rows, colour: screen::has_colour() }
        } else {
            Limits::default()
        };
        Ok(Choice { format, output: output.map(Path::to_owned), limits })
    }

    /// Begins the output file, so that a folder that cannot be written is found out before the run.
    pub fn begin(self) -> Result<Sink> {
        let file = self.output.as_ref().map(OutputFile::create).transpose()?;
        Ok(Sink { format: self.format, limits: self.limits, file, writer: None })
    }
}

fn format_of(path: &Path) -> Result<Format> {
    Format::of_path(path).ok_or_else(|| Error::Usage {
        message: format!("the name of the output file {} does not say its format", path.display()),
        help: Some("give --format, or an extension: csv, tsv, json, ndjson, md, parquet, arrow".into()),
    })
}

/// A place that waits for its result. If it is dropped before it is finished, there is no file.
pub struct Sink {
    format: Option<Format>,
    limits: Limits,
    file: Option<OutputFile>,
    writer: Option<Box<dyn Writer>>,
}

impl Sink {
    /// Whether it wants the batches as they come; a table needs them all at once.
    pub fn streams(&self) -> bool {
        self.format.is_some()
    }

    fn place(&self) -> (Box<dyn Write + Send>, &Path) {
        match &self.file {
            Some(file) => (file.sink(), file.path()),
            None => (Box::new(std::io::stdout()), Path::new(STDOUT)),
        }
    }

    /// The writer, made when there is something to write: a run that fails before has written nothing.
    fn writer(&mut self, format: Format, schema: &SchemaRef) -> Result<&mut Box<dyn Writer>> {
        let fresh = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let (sink, name) = self.place();
                writer(format, Arc::clone(schema), sink, name)?
            }
        };
        Ok(self.writer.insert(fresh))
    }

    /// Writes a batch.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self.format {
            Some(format) => self.writer(format, &batch.schema())?.write(batch),
            None => Ok(()),
        }
    }

    /// Writes what is still missing and gives a file its name.
    pub fn finish(mut self, report: &RunReport, interrupt: &Interrupt) -> Result<()> {
        match self.format {
            Some(format) => {
                self.writer(format, &report.schema)?;
                if let Some(writer) = self.writer.take() {
                    writer.finish()?;
                }
            }
            None => {
                let text = table::result(report, self.limits);
                let (mut sink, name) = self.place();
                let written = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
                written.map_err(|e| Error::io("cannot write", name, e))?;
            }
        }
        interrupt.check()?;
        self.file.map_or(Ok(()), OutputFile::commit)
    }
}

/// Prints to stdout.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io("cannot write", STDOUT, e))
}
