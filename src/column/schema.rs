//! The columns of an input: names and types.

use super::Type;
use crate::{Error, Result};

/// What is known of a column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    /// tidemill reads it.
    Known(Type),
    /// tidemill cannot read it: the type's name in its format. An error only if the column is used.
    Unsupported(String),
}

/// A column of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: FieldType,
    /// Whether the type was inferred from a sample, so that a later value may not fit it.
    pub inferred: bool,
}

impl Field {
    /// A column of a declared, readable type.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Field { name: name.into(), ty: FieldType::Known(ty), inferred: false }
    }
}

/// The columns of an input, in its order. Names are matched exactly first, then without case if only one fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// The columns.
    pub fields: Vec<Field>,
}

impl Schema {
    /// The index of the column `name`, if there is exactly one.
    ///
    /// # Errors
    /// `Ok(None)` if there is none; an error if the name is ambiguous.
    pub fn find(&self, name: &str) -> Result<Option<usize>> {
        let pick = |same: &dyn Fn(&str) -> bool| -> Result<Option<usize>> {
            let mut found = self.fields.iter().enumerate().filter(|(_, f)| same(&f.name)).map(|(i, _)| i);
            let first = found.next();
            match (first, found.next()) {
                (Some(a), Some(b)) => Err(Error::usage(format!(
                    "column name '{name}' is ambiguous: columns {} and {} both have it",
                    a + 1,
                    b + 1
                ))),
                _ => Ok(first),
            }
        };
        match pick(&|f| f == name)? {
            Some(i) => Ok(Some(i)),
            None => pick(&|f| f.eq_ignore_ascii_case(name)),
        }
    }

    /// The columns that can be read, as Arrow has them; all may hold nulls.
    pub fn to_arrow(&self) -> arrow_schema::SchemaRef {
        let known = self.fields.iter().filter_map(|field| match &field.ty {
            FieldType::Known(ty) => Some(arrow_schema::Field::new(&field.name, ty.to_arrow(), true)),
            FieldType::Unsupported(_) => None,
        });
        std::sync::Arc::new(arrow_schema::Schema::new(known.collect::<Vec<_>>()))
    }

    /// The name nearest to a misspelt one, for "did you mean".
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let lower = name.to_lowercase();
        let near = self.fields.iter().map(|f| (distance(&lower, &f.name.to_lowercase()), f.name.as_str())).min()?;
        (near.0 <= name.chars().count().max(3) / 2).then_some(near.1)
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let next = (diagonal + usize::from(ca != cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(names: &[&str]) -> Schema {
        Schema { fields: names.iter().map(|n| Field::new(*n, Type::Int64)).collect() }
    }

    #[test]
    fn exact_names_win_then_case_is_forgiven_then_ambiguity_is_an_error() {
        let s = schema(&["a", "A", "Bc", "x", "x"]);
        assert_eq!(s.find("A").unwrap(), Some(1));
        assert_eq!(s.find("bC").unwrap(), Some(2));
        assert_eq!(s.find("nope").unwrap(), None);
        assert!(s.find("x").is_err());
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let s = schema(&["carrier", "dep_delay", "distance"]);
        assert_eq!(s.nearest("dep_dely"), Some("dep_delay"));
        assert_eq!(s.nearest("zzzzzzzz"), None);
    }
}
