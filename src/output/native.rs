//! Parquet and Arrow IPC files. The same batches give the same bytes.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampSecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::Writer;
use super::sink::{Failure, WatchedSink};
use crate::{Error, Result};

pub(super) struct Parquet {
    schema: SchemaRef,
    writer: ArrowWriter<WatchedSink>,
    failure: Failure,
}

impl Parquet {
    pub fn start(schema: &Schema, sink: Box<dyn Write + Send>, name: &Path) -> Result<Self> {
        let field = |f: &Arc<Field>| match f.data_type() {
            DataType::Timestamp(TimeUnit::Second, zone) => {
                let ty = DataType::Timestamp(TimeUnit::Millisecond, zone.clone());
                Arc::new(f.as_ref().clone().with_data_type(ty))
            }
            _ => Arc::clone(f),
        };
        let schema = Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("tidemill version ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let (sink, failure) = WatchedSink::new(sink, name);
        let writer = ArrowWriter::try_new(sink, Arc::clone(&schema), Some(properties));
        Ok(Parquet { schema, writer: writer.map_err(|e| failure.explain(e))?, failure })
    }
}

impl Writer for Parquet {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(c, f)| in_milliseconds(c, f.name()));
        let columns = columns.collect::<Result<_>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        self.writer.write(&batch.map_err(|e| self.failure.explain(e))?).map_err(|e| self.failure.explain(e))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Parquet { writer, failure, .. } = *self;
        let mut sink = writer.into_inner().map_err(|e| failure.explain(e))?;
        sink.flush().map_err(|e| failure.explain(e))
    }
}

/// Timestamps in seconds as milliseconds; everything else as it is.
fn in_milliseconds(array: &ArrayRef, name: &str) -> Result<ArrayRef> {
    let (DataType::Timestamp(_, zone), Some(seconds)) =
        (array.data_type(), array.as_primitive_opt::<TimestampSecondType>())
    else {
        return Ok(Arc::clone(array));
    };
    let scaled = seconds.try_unary::<_, arrow_array::types::TimestampMillisecondType, Error>(|s| {
        s.checked_mul(1000).ok_or_else(|| Error::Usage {
            message: format!("column '{name}': a timestamp of {s} s does not fit the milliseconds of Parquet"),
            help: Some("write another format".into()),
        })
    })?;
    let scaled: TimestampMillisecondArray = scaled.with_timezone_opt(zone.clone());
    Ok(Arc::new(scaled))
}

pub(super) struct Arrow {
    writer: FileWriter<WatchedSink>,
    failure: Failure,
}

impl Arrow {
    pub fn start(schema: &Schema, sink: Box<dyn Write + Send>, name: &Path) -> Result<Self> {
        let (sink, failure) = WatchedSink::new(sink, name);
        let writer = FileWriter::try_new(sink, schema).map_err(|e| failure.explain(e))?;
        Ok(Arrow { writer, failure })
    }
}

impl Writer for Arrow {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(|e| self.failure.explain(e))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let failure = self.failure;
        self.writer.finish().map_err(|e| failure.explain(e))?;
        self.writer.flush().map_err(|e| failure.explain(e))
    }
}
