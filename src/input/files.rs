//! Several inputs as one: columns are matched by name, types widen to what they have in common.
//!
//! The rule for a column's type, the same in whatever order the files come:
//! 1. declared types (of a schema, or of a file that stores its types) join to their [`common`](super::cast::common) type;
//! 2. inferred types join likewise, or to float64 among numbers, or to string (the values are text still);
//! 3. a column whose sample held no value has no say;
//! 4. the two join to their common type; else a declared string or a declared number type among numbers wins.
//!
//! A column without a type everywhere is an error only if it is used.

use std::collections::HashMap;
use std::sync::Arc;

use super::cast::common;
use super::{ChunkTask, Request, Scan, Source};
use crate::column::{Field, FieldType, Schema, Type};
use crate::{Error, Result};

/// Several sources read one after the other as one.
pub struct MultiSource {
    sources: Vec<Arc<dyn Source>>,
    schema: Schema,
    /// For each source: where each column of the schema stands in it.
    columns: Vec<Vec<Option<usize>>>,
}

impl MultiSource {
    /// Joins sources. The schema holds every column of any of them, in the order of first appearance.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no source. Columns that do not fit together are errors when scanned.
    #[allow(clippy::new_ret_no_self, reason = "one source needs no wrapping")]
    pub fn new(sources: Vec<Arc<dyn Source>>) -> Result<Arc<dyn Source>> {
        match sources.len() {
            0 => Err(Error::usage("no input file")),
            1 => sources.into_iter().next().ok_or_else(|| Error::internal("a source vanished")),
            _ => Ok(Arc::new(Self::of(sources))),
        }
    }

    fn of(sources: Vec<Arc<dyn Source>>) -> MultiSource {
        let mut names = vec![];
        let mut index = HashMap::new();
        for field in sources.iter().flat_map(|s| &s.schema().fields) {
            index.entry(field.name.as_str()).or_insert_with(|| {
                names.push(field.name.clone());
                names.len() - 1
            });
        }
        let mut columns = vec![vec![None; names.len()]; sources.len()];
        let mut twice = HashMap::new();
        for (s, (source, columns)) in sources.iter().zip(&mut columns).enumerate() {
            for (i, field) in source.schema().fields.iter().enumerate() {
                let column = index[field.name.as_str()];
                if columns[column].replace(i).is_some() {
                    twice.insert(column, s);
                }
            }
        }
        let fields = names.into_iter().enumerate().map(|(column, name)| {
            let members =
                Vec::from_iter(sources.iter().zip(&columns).map(|(s, at)| Member { source: &**s, at: at[column] }));
            let inferred = members.iter().any(|m| m.field().is_some_and(|f| f.inferred));
            let ty = match twice.get(&column) {
                Some(&s) => Err(format!("of two columns in {}", sources[s].name())),
                None => join(&members),
            };
            Field { name, inferred, ty: ty.map_or_else(FieldType::Unsupported, FieldType::Known) }
        });
        let schema = Schema { fields: fields.collect() };
        MultiSource { sources, schema, columns }
    }
}

/// A column in one of the sources.
struct Member<'a> {
    source: &'a dyn Source,
    at: Option<usize>,
}

impl<'a> Member<'a> {
    fn field(&self) -> Option<&'a Field> {
        self.source.schema().fields.get(self.at?)
    }
}

/// The type of one column over all files, or why it has none.
fn join(members: &[Member<'_>]) -> Result<Type, String> {
    let mut declared: Option<(Type, String)> = None;
    let mut inferred: Option<(Type, String)> = None;
    for member in members {
        let file = member.source.name();
        let (Some(field), Some(at)) = (member.field(), member.at) else { return Err(format!("missing in {file}")) };
        let ty = match &field.ty {
            FieldType::Known(ty) => ty.clone(),
            FieldType::Unsupported(name) => return Err(format!("{name} in {file}")),
        };
        if !field.inferred {
            declared = Some(match declared {
                None => (ty, file),
                Some((other, first)) => match common(&other, &ty) {
                    Some(ty) => (ty, first),
                    None => return Err(format!("{other} in {first} and {ty} in {file}")),
                },
            });
        } else if !member.source.unseen(at) {
            inferred = Some(match inferred {
                None => (ty, file),
                Some((other, first)) => (join_text(&other, &ty), first),
            });
        }
    }
    Ok(match (declared, inferred) {
        (None, None) => Type::Str,
        (Some((ty, _)), None) | (None, Some((ty, _))) => ty,
        (Some((stored, file)), Some((guess, other))) => match common(&stored, &guess) {
            Some(ty) => ty,
            None if stored == Type::Str || stored.is_numeric() && guess.is_numeric() => stored,
            None => return Err(format!("{stored} in {file} and {guess} in {other}")),
        },
    })
}

/// The join of two inferred types: their values are text, which a string always holds.
fn join_text(a: &Type, b: &Type) -> Type {
    common(a, b).unwrap_or(if a.is_numeric() && b.is_numeric() { Type::Float64 } else { Type::Str })
}

impl Source for MultiSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn name(&self) -> String {
        let first = self.sources.first().map(|s| s.name()).unwrap_or_default();
        match self.sources.len() {
            2 => format!("{first} and 1 more file"),
            n => format!("{first} and {} more files", n.saturating_sub(1)),
        }
    }

    fn bytes(&self) -> Option<u64> {
        self.sources.iter().map(|s| s.bytes()).sum()
    }

    fn rows(&self) -> Option<u64> {
        self.sources.iter().map(|s| s.rows()).sum()
    }

    fn format(&self) -> &'static str {
        match self.sources.split_first() {
            Some((first, rest)) if rest.iter().all(|s| s.format() == first.format()) => first.format(),
            _ => "several",
        }
    }

    fn chunk_bytes(&self) -> usize {
        self.sources.iter().map(|s| s.chunk_bytes()).max().unwrap_or(1)
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let mut parts = vec![];
        for (source, at) in self.sources.iter().zip(&self.columns) {
            let mut columns = vec![];
            for &column in &request.columns {
                let field = self.schema.fields.get(column).ok_or_else(|| Error::internal("no such column"))?;
                if let FieldType::Unsupported(why) = &field.ty {
                    return Err(Error::Usage {
                        message: format!("column '{}' has no type that all files share: {why}", field.name),
                        help: Some("aggregate the files one at a time, or give the column a type with --schema".into()),
                    });
                }
                columns.push(at[column].ok_or_else(|| Error::internal("a column is missing that has a type"))?);
            }
            parts.push((Arc::clone(source), Request { columns, ..request.clone() }));
        }
        parts.reverse();
        Ok(Box::new(MultiScan { parts, current: None }))
    }

    fn widened(&self, column: &str, ty: &Type) -> Option<Arc<dyn Source>> {
        let known = |source: &MultiSource| -> Option<Type> {
            match &source.schema.fields.iter().find(|f| f.name == column)?.ty {
                FieldType::Known(ty) => Some(ty.clone()),
                FieldType::Unsupported(_) => None,
            }
        };
        let widen = |s: &Arc<dyn Source>| s.widened(column, ty).unwrap_or_else(|| Arc::clone(s));
        let wide = MultiSource::of(self.sources.iter().map(widen).collect());
        // Where a declared type has its way, nothing is gained, and to say otherwise would have the caller try for ever.
        if known(&wide)? == known(self)? { None } else { Some(Arc::new(wide)) }
    }

    fn unseen(&self, column: usize) -> bool {
        self.sources
            .iter()
            .zip(&self.columns)
            .all(|(s, at)| at.get(column).copied().flatten().is_some_and(|i| s.unseen(i)))
    }
}

/// The scans of the sources, one after the other; each starts when its turn comes.
struct MultiScan {
    /// What is still to come, last first.
    parts: Vec<(Arc<dyn Source>, Request)>,
    current: Option<Box<dyn Scan>>,
}

impl Scan for MultiScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        loop {
            if let Some(scan) = &mut self.current {
                if let Some(task) = scan.next()? {
                    return Ok(Some(task));
                }
                self.current = None;
            }
            let Some((source, request)) = self.parts.pop() else { return Ok(None) };
            self.current = Some(source.scan(&request)?);
        }
    }
}
