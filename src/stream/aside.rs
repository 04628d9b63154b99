//! What does not go into the output, and where it goes instead: rejected rows and late ones, each to a sink of its own.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_schema::SchemaRef;

use super::query::Query;
use super::sink::{BatchOutput, Sink};
use crate::input::Reject;
use crate::{Error, Result};

/// The sinks beside that of the output.
#[derive(Default)]
pub(super) struct Aside {
    rejects: Option<Box<dyn Sink>>,
    pub late: Option<Box<dyn Sink>>,
}

impl Query {
    /// Where rows go that could not be read or computed, if the engine sets them aside ([`Engine::max_rejects`](crate::Engine::max_rejects),
    /// which is then for each batch): `file`, `line`, `byte`, `column_index`, `column`, `error_type`, `message`, `raw`. They are given
    /// with the output of their batch, under the same guarantee.
    pub fn rejects(self, sink: impl Sink + 'static) -> Query {
        self.rejects_boxed(Box::new(sink))
    }

    /// The same of a sink whose type is not known.
    pub fn rejects_boxed(mut self, sink: Box<dyn Sink>) -> Query {
        self.aside.rejects = Some(sink);
        self
    }

    /// Where late rows go, with all columns of the source; a column that a map has the name of is as the map has it. They are given
    /// with the output of their batch, under the same guarantee. A batch with late rows reads its range twice.
    pub fn late(self, sink: impl Sink + 'static) -> Query {
        self.late_boxed(Box::new(sink))
    }

    /// The same of a sink whose type is not known.
    pub fn late_boxed(mut self, sink: Box<dyn Sink>) -> Query {
        self.aside.late = Some(sink);
        self
    }
}

impl Aside {
    /// The sinks that there are.
    pub fn sinks(&self) -> impl Iterator<Item = &Box<dyn Sink>> {
        self.rejects.iter().chain(&self.late)
    }

    /// Begins the sinks; `late` are the columns of late rows.
    ///
    /// # Errors
    /// One cannot be written to.
    pub fn begin(&mut self, query: &str, late: Option<&SchemaRef>) -> Result<()> {
        // Names of their own: a folder that the output or the other of them goes to is refused.
        if let Some(sink) = &mut self.rejects {
            sink.begin(&format!("{query} rejects"), &table(&[])?.schema())?;
        }
        match (&mut self.late, late) {
            (Some(sink), Some(schema)) => sink.begin(&format!("{query} late"), schema),
            _ => Ok(()),
        }
    }

    /// Gives what a batch has.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn give(&mut self, batch: u64, rejects: &[Reject], late: &[RecordBatch]) -> Result<()> {
        let give = |sink: &mut Option<Box<dyn Sink>>, rows: Vec<RecordBatch>| {
            let Some(sink) = sink else { return Ok(()) };
            sink.prepare(&BatchOutput { batch, rows })?;
            sink.commit(batch)
        };
        if self.rejects.is_some() {
            give(&mut self.rejects, vec![table(rejects)?])?;
        }
        give(&mut self.late, late.to_vec())
    }
}

/// Rejected rows as a table.
fn table(rejects: &[Reject]) -> Result<RecordBatch> {
    let texts = |text: &dyn Fn(&Reject) -> Option<String>| -> ArrayRef {
        Arc::new(rejects.iter().map(text).collect::<StringArray>())
    };
    let numbers = |number: &dyn Fn(&Reject) -> Option<u64>| -> ArrayRef {
        Arc::new(rejects.iter().map(number).collect::<UInt64Array>())
    };
    let columns = [
        ("file", texts(&|r| r.place.file.as_ref().map(|file| file.display().to_string()))),
        ("line", numbers(&|r| r.place.line)),
        ("byte", numbers(&|r| r.place.byte)),
        ("column_index", numbers(&|r| r.column_index.map(|at| at as u64))),
        ("column", texts(&|r| r.place.column.clone())),
        ("error_type", texts(&|r| Some(r.error_type.to_owned()))),
        ("message", texts(&|r| Some(r.message.clone()))),
        ("raw", texts(&|r| Some(r.raw.clone()))),
    ];
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| Error::internal(format!("rejected rows: {e}")))
}
