//! Text that comes bit by bit: what its beginning tells, and parts of it as inputs.

use std::path::Path;
use std::sync::Arc;

use super::mmap::Map;
use super::{Conformed, CsvSource, NdjsonSource, OpenOptions, Source, is_ndjson};
use crate::Result;
use crate::column::{FieldType, Schema, Type};

/// What the beginning of a text tells of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// CSV, with a delimiter.
    Csv(u8),
    /// NDJSON.
    Ndjson,
}

/// The beginning of a text.
pub(crate) struct Beginning {
    pub(crate) dialect: Dialect,
    /// Its columns.
    pub(crate) schema: Schema,
    /// Bytes of the header.
    pub(crate) header: usize,
}

impl Dialect {
    /// Reads the beginning of what messages call `name`: whole lines, some of them not blank.
    ///
    /// # Errors
    /// They are neither CSV nor NDJSON.
    pub(crate) fn begin(name: &Path, text: &[u8], options: &OpenOptions) -> Result<Beginning> {
        if is_ndjson(text, name, options) {
            let source = NdjsonSource::part(name, text, &options.csv.schema)?;
            return Ok(Beginning { dialect: Dialect::Ndjson, schema: Source::schema(&source).clone(), header: 0 });
        }
        let source = CsvSource::part(name, text, &options.csv)?;
        let schema = Source::schema(&source).clone();
        Ok(Beginning { dialect: Dialect::Csv(source.delimiter()), schema, header: source.start() })
    }

    /// A part of the text, after so many bytes and lines of it, with the columns of `schema`: whole lines, without a header.
    ///
    /// # Errors
    /// It is not what the beginning was.
    pub(crate) fn part(
        self,
        name: &Path,
        text: &[u8],
        before: (u64, u64),
        options: &OpenOptions,
        schema: &Schema,
    ) -> Result<Arc<dyn Source>> {
        let map = Map::of_bytes(name, text);
        let source: Arc<dyn Source> = match self {
            Dialect::Ndjson => Arc::new(NdjsonSource::shaped(map, before, schema)?),
            Dialect::Csv(delimiter) => {
                let mut options = options.csv.clone();
                options.delimiter = Some(delimiter);
                options.schema = typed(schema, Some(&Type::Str));
                Arc::new(CsvSource::shaped(map, before, &options)?)
            }
        };
        Conformed::over(source, schema)
    }

    /// Its word in a log.
    pub(crate) fn to_word(self) -> String {
        match self {
            Dialect::Csv(delimiter) => format!("csv{}", char::from(delimiter)),
            Dialect::Ndjson => "ndjson".into(),
        }
    }

    /// Of a word in a log.
    pub(crate) fn of_word(word: &str) -> Option<Dialect> {
        match (word, word.strip_prefix("csv").map(str::as_bytes)) {
            ("ndjson", _) => Some(Dialect::Ndjson),
            (_, Some(&[delimiter])) if delimiter.is_ascii() => Some(Dialect::Csv(delimiter)),
            _ => None,
        }
    }
}

/// Opens a file whose columns are known: those of `schema`, wherever they stand in it.
///
/// # Errors
/// It cannot be read, or has not these columns.
pub(crate) fn open_as(path: &Path, options: &OpenOptions, schema: &Schema) -> Result<Arc<dyn Source>> {
    let map = Map::open(path)?;
    if is_ndjson(&map, path, options) {
        return Conformed::over(Arc::new(NdjsonSource::shaped(map, (0, 0), schema)?), schema);
    }
    let mut options = options.clone();
    options.csv.schema = typed(schema, None);
    Conformed::over(super::detect::of(map, &options)?, schema)
}

/// The types of columns that have one; `null` is that of columns without a value.
fn typed(schema: &Schema, null: Option<&Type>) -> Vec<(String, Type)> {
    let field = |field: &crate::column::Field| match &field.ty {
        FieldType::Known(Type::Null) => Some((field.name.clone(), null?.clone())),
        FieldType::Known(ty) => Some((field.name.clone(), ty.clone())),
        FieldType::Unsupported(_) => None,
    };
    schema.fields.iter().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Request, read_in_order};

    fn rows(source: &dyn Source, tolerant: bool) -> (Vec<String>, usize) {
        let request = Request {
            columns: vec![0],
            dictionaries: vec![None],
            types: vec![Type::Int64],
            chunk_bytes: 1 << 20,
            chunk_rows: 1 << 20,
            threads: 1,
            tolerant,
        };
        let reads: Vec<_> = read_in_order(source, &request).unwrap().collect::<Result<_>>().unwrap();
        let texts = reads.iter().flat_map(|r| (0..r.chunk.rows).map(|i| format!("{:?}", r.chunk.columns[0].value(i))));
        (texts.collect(), reads.iter().map(|r| r.rejects.len()).sum())
    }

    #[test]
    fn a_part_is_read_as_the_beginning_was() {
        let options = OpenOptions::default();
        for (first, part, bad) in [
            // By itself the part would be divided by `;`, and its first record has too few fields.
            ("x|y\n1|a\n", "7\n8|b;c\n9|d;e\n", "7"),
            ("{\"x\":1,\"y\":\"a\"}\n", "{\"y\":\n{\"x\":8}\n{\"y\":\"b\",\"x\":9}\n", "{"),
        ] {
            let begin = Dialect::begin("-".as_ref(), first.as_bytes(), &options).unwrap();
            assert_eq!(Dialect::of_word(&begin.dialect.to_word()), Some(begin.dialect));
            let source = begin.dialect.part("-".as_ref(), part.as_bytes(), (100, 41), &options, &begin.schema).unwrap();
            assert_eq!(rows(&*source, true), (vec!["Int(8)".to_owned(), "Int(9)".to_owned()], 1), "{bad}");
            let request = Request {
                columns: vec![0],
                dictionaries: vec![None],
                types: vec![Type::Int64],
                chunk_bytes: 1,
                chunk_rows: 1,
                threads: 1,
                tolerant: false,
            };
            let error = read_in_order(&*source, &request).unwrap().find_map(|read| read.err()).unwrap();
            assert_eq!(error.place().unwrap().line, Some(42), "{error}");
        }
    }

    #[test]
    fn words_of_other_logs_are_none() {
        for word in ["", "csv", "csv,,", "json", "csvé"] {
            assert_eq!(Dialect::of_word(word), None, "{word}");
        }
    }
}
