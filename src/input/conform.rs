//! A source seen through another's schema: the next file of a stream has the columns of the first, wherever they stand in it.

use std::sync::Arc;

use super::cast::common;
use super::{Request, Scan, Source};
use crate::column::{FieldType, Schema, Type};
use crate::{Error, Result};

/// A source with the columns of a given schema, found by name.
pub struct Conformed {
    source: Arc<dyn Source>,
    schema: Schema,
    /// Where each column of the schema stands in the source.
    columns: Vec<usize>,
}

impl Conformed {
    /// `source` with the columns of `schema`; others that it has are not seen.
    ///
    /// # Errors
    /// [`Error::Format`] if a column is missing, or of a type that does not become the schema's without loss.
    pub fn over(source: Arc<dyn Source>, schema: &Schema) -> Result<Arc<dyn Source>> {
        if source.schema() == schema {
            return Ok(source);
        }
        let columns = schema.fields.iter().map(|wanted| {
            let fields = &source.schema().fields;
            let other = |message: String| Error::Format {
                path: source.name().into(),
                message,
                help: Some("all parts of a stream have the same columns; they may stand in any order".into()),
            };
            let at = fields.iter().position(|field| field.name == wanted.name);
            let at = at.ok_or_else(|| other(format!("there is no column '{}'", wanted.name)))?;
            match (&fields[at].ty, &wanted.ty) {
                (FieldType::Known(found), FieldType::Known(ty)) if common(found, ty).as_ref() != Some(ty) => {
                    Err(other(format!("column '{}' is {found}, and {ty} in the rest of the stream", wanted.name)))
                }
                (FieldType::Unsupported(found), FieldType::Known(ty)) => {
                    Err(other(format!("column '{}' is {found}, and {ty} in the rest of the stream", wanted.name)))
                }
                _ => Ok(at),
            }
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok(Arc::new(Conformed { source, schema: schema.clone(), columns }))
    }
}

impl Source for Conformed {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn bytes(&self) -> Option<u64> {
        self.source.bytes()
    }

    fn rows(&self) -> Option<u64> {
        self.source.rows()
    }

    fn format(&self) -> &'static str {
        self.source.format()
    }

    fn chunk_bytes(&self) -> usize {
        self.source.chunk_bytes()
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let column = |&column: &usize| self.columns.get(column).copied();
        let columns: Option<_> = request.columns.iter().map(column).collect();
        let columns = columns.ok_or_else(|| Error::internal("no such column"))?;
        self.source.scan(&Request { columns, ..request.clone() })
    }

    fn widened(&self, _: &str, _: &Type) -> Option<Arc<dyn Source>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;

    use super::*;
    use crate::column::Field;
    use crate::input::{OpenOptions, open};

    fn schema(columns: &[(&str, Type)]) -> Schema {
        Schema { fields: columns.iter().map(|(name, ty)| Field::new(*name, ty.clone())).collect() }
    }

    #[test]
    fn columns_are_found_by_name_and_types_may_only_widen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.csv");
        std::fs::write(&path, "c,b,a\nx,2,1\ny,4,3\n").unwrap();
        let conform =
            |columns: &[(&str, Type)]| Conformed::over(open(&path, &OpenOptions::default()).unwrap(), &schema(columns));
        let source = conform(&[("a", Type::Float64), ("c", Type::Str)]).unwrap();
        let job = crate::Job::new().by(["c"]).aggregate(crate::aggregate::sum(crate::col("a")));
        let report = crate::Engine::new().run(&job, &crate::Input::from_source(source)).unwrap();
        let sums = report.batches[0].column(1).as_primitive::<arrow_array::types::Float64Type>();
        assert_eq!(sums.values(), &[1.0, 3.0]);
        let missing = conform(&[("d", Type::Int64)]).err().unwrap().to_string();
        assert!(missing.contains("b.csv: there is no column 'd'"), "{missing}");
        let other = conform(&[("c", Type::Int64)]).err().unwrap().to_string();
        assert!(other.contains("column 'c' is string, and int64 in the rest of the stream"), "{other}");
    }
}
