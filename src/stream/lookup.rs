//! A table beside the stream: rows get the columns of the row of the table that has their key.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Schema as ArrowSchema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take;

use crate::column::{FieldType, Schema};
use crate::expr::col;
use crate::plan::{Job, Named};
use crate::{Engine, Error, Input, Result};

/// A table whose columns rows of a stream are given by a key. A row whose key is null or not there gets nulls.
///
/// The table is read once, when the query starts. A batch that is done again is done with the same table: one that has changed
/// since is refused.
#[derive(Clone)]
pub struct Lookup {
    table: Input,
    /// The column of the stream.
    on: String,
    /// The column of the table.
    key: String,
}

impl Lookup {
    /// The columns of `table`, for rows whose column `on` is the table's `key`.
    pub fn new(table: Input, on: impl Into<String>, key: impl Into<String>) -> Lookup {
        Lookup { table, on: on.into(), key: key.into() }
    }

    /// The column of the stream.
    pub(crate) fn on(&self) -> &str {
        &self.on
    }

    /// What it is, for the fingerprint of a query.
    pub(crate) fn description(&self) -> String {
        format!("{} on {} = {}", self.table.source().name(), self.on, self.key)
    }
}

/// The name of the key while the table is read: one that no user can type.
const KEY: &str = "\u{1}key";

/// A table that has been read.
pub(super) struct Table {
    on: String,
    converter: RowConverter,
    /// Rows of `columns` by the bytes of their key.
    rows: HashMap<Box<[u8]>, u32>,
    columns: RecordBatch,
    /// A checksum of what was read.
    pub checksum: u32,
}

impl Table {
    /// Reads those columns of the table that are among `wanted`; all, if that is `None`. `schema` has the columns of the rows.
    ///
    /// # Errors
    /// The table cannot be read; a column is missing, or there already; a key that is there twice.
    pub fn read(engine: &Engine, lookup: &Lookup, schema: &Schema, wanted: Option<&BTreeSet<String>>) -> Result<Table> {
        let name = lookup.table.source().name();
        let refuse = |message: String, help: &str| Err(Error::Usage { message, help: Some(help.into()) });
        let Some(on) = schema.fields.iter().find(|field| field.name == lookup.on) else {
            return refuse(
                format!("the stream has no column '{}' to look up in {name}", lookup.on),
                "name a column of the source: --lookup 'FILE on COLUMN = KEY'",
            );
        };
        let FieldType::Known(ty) = &on.ty else {
            return refuse(format!("column '{}' cannot be read", lookup.on), "look up by another column");
        };
        let fields = &lookup.table.schema().fields;
        if !fields.iter().any(|field| field.name == lookup.key) {
            return refuse(
                format!("{name} has no column '{}'", lookup.key),
                "name its key: --lookup 'FILE on COLUMN = KEY'",
            );
        }
        let key = Named { name: Some(KEY.into()), expr: col(&lookup.key).cast(ty.clone()) };
        let mut job = Job::new().select(key);
        for field in fields.iter().filter(|field| field.name != lookup.key) {
            let is_wanted = wanted.is_none_or(|wanted| wanted.contains(&field.name));
            if !is_wanted || !matches!(field.ty, FieldType::Known(_)) {
                continue;
            }
            if schema.fields.iter().any(|other| other.name == field.name) {
                return refuse(
                    format!("both the stream and {name} have a column '{}'", field.name),
                    "rename it in the table",
                );
            }
            job = job.select(col(&field.name));
        }
        // The device of the query has no part in this.
        let engine = engine.clone().device(crate::Device::Cpu);
        let report = engine.run(&job, &lookup.table)?;
        let table = concat_batches(&report.schema, &report.batches)
            .map_err(|e| Error::Resource { message: format!("{name} is too large: {e}"), help: None })?;
        let converter = converter([table.column(0).data_type()])?;
        let keys = convert(&converter, &table.columns()[..1])?;
        let mut rows = HashMap::with_capacity(table.num_rows());
        for (row, key) in keys.iter().enumerate() {
            if table.column(0).is_null(row) {
                continue;
            }
            if let Some(first) = rows.insert(key.as_ref().into(), row as u32) {
                let value = crate::output::value_text(table.column(0), row)?;
                return refuse(
                    format!("{name} has '{value}' twice as '{}', in rows {} and {}", lookup.key, first + 1, row + 1),
                    "a key of a table is there once",
                );
            }
        }
        let checksum = checksum(&table)?;
        let columns: Vec<usize> = (1..table.num_columns()).collect();
        let columns = table.project(&columns).map_err(|e| Error::internal(format!("the columns of {name}: {e}")))?;
        Ok(Table { on: lookup.on.clone(), converter, rows, columns, checksum })
    }

    /// The columns of rows, with those of the table.
    pub fn schema(&self, rows: &SchemaRef) -> SchemaRef {
        let fields = rows.fields().iter().chain(self.columns.schema_ref().fields()).cloned();
        Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
    }

    /// Rows with the columns of the table.
    ///
    /// # Errors
    /// Internal ones.
    pub fn attach(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let wrong = |e: &dyn std::fmt::Display| Error::internal(format!("a lookup by '{}': {e}", self.on));
        let key = rows.column_by_name(&self.on).ok_or_else(|| wrong(&"its column is gone"))?;
        let keys = convert(&self.converter, std::slice::from_ref(key))?;
        let found: UInt32Array = keys.iter().map(|key| self.rows.get(key.as_ref()).copied()).collect();
        let taken = self.columns.columns().iter().map(|column| take(column, &found, None));
        let columns: Vec<ArrayRef> =
            rows.columns().iter().cloned().map(Ok).chain(taken).collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
        RecordBatch::try_new(self.schema(&rows.schema()), columns).map_err(|e| wrong(&e))
    }
}

/// What makes bytes of columns of these types.
pub(super) fn converter<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Result<RowConverter> {
    let fields = types.into_iter().map(|ty| SortField::new(ty.clone())).collect();
    RowConverter::new(fields).map_err(|e| Error::internal(format!("keys as bytes: {e}")))
}

/// Keys as bytes.
pub(super) fn convert(converter: &RowConverter, columns: &[ArrayRef]) -> Result<arrow_row::Rows> {
    converter.convert_columns(columns).map_err(|e| Error::internal(format!("keys as bytes: {e}")))
}

/// The CRC-32 of all values.
fn checksum(table: &RecordBatch) -> Result<u32> {
    let mut bytes = Vec::new();
    super::distinct::put_rows(table, &mut bytes)?;
    Ok(crc32fast::hash(&bytes))
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lookup({})", self.description())
    }
}
