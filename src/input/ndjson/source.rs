//! The NDJSON file as a [`Source`]: opening it, and cutting a scan into tasks.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use super::infer::{self, Found};
use super::json::space;
use super::keys::Keys;
use super::read::{Plan, read};
use crate::column::{Field, FieldType, Locate, Schema, Type};
use crate::input::csv::{Lines, Wanted, lossy};
use crate::input::mmap::Map;
use crate::input::{ChunkTask, Request, Scan, Source};
use crate::{Error, Place, Result};

/// An NDJSON file. See the [module](super) for what it reads as what.
pub struct NdjsonSource {
    file: Arc<File>,
    schema: Schema,
    /// Columns of which the sample held no value.
    empty: Vec<bool>,
}

/// An opened file: its bytes and its columns.
pub(super) struct File {
    pub(super) map: Arc<Map>,
    /// Column names.
    pub(super) names: Vec<String>,
    /// For each column: the ways of keys that lead to it.
    paths: Vec<Vec<Vec<Vec<u8>>>>,
    /// The first byte after a byte order mark.
    start: usize,
    /// Bytes that came before these, if they are a part of something longer.
    before: u64,
    lines: Lines,
}

impl File {
    /// The place of the record whose line starts at `start`.
    pub(super) fn place(&self, start: usize) -> Place {
        let line = Some(self.lines.line(&self.map, start));
        Place { file: Some(self.map.path().into()), line, byte: Some(self.before + start as u64), ..Place::default() }
    }

    /// What is left of a line from `at` on.
    pub(super) fn rest(&self, at: usize) -> &[u8] {
        let rest = &self.map[at.min(self.map.len())..];
        rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())].trim_ascii_end()
    }

    /// The text of the line that starts at `start`, for a message.
    pub(super) fn raw(&self, start: usize) -> String {
        lossy(self.rest(start))
    }
}

/// Finds the rows of a chunk again, by looking for its lines once more when first asked.
pub(super) struct Origin {
    pub(super) file: Arc<File>,
    /// The chunk's bytes.
    pub(super) range: Range<usize>,
    /// Where the lines start that are not rows of the chunk, ascending.
    pub(super) rejected: Vec<usize>,
    pub(super) starts: OnceLock<Vec<usize>>,
}

impl Origin {
    fn start(&self, row: usize) -> Option<usize> {
        let starts = self.starts.get_or_init(|| {
            let data = &self.file.map[..self.range.end];
            let mut starts = vec![];
            let mut at = self.range.start;
            while at < data.len() {
                if !matches!(data.get(space(data, at)), None | Some(b'\n')) && self.rejected.binary_search(&at).is_err()
                {
                    starts.push(at);
                }
                at = line_end(data, at);
            }
            starts
        });
        starts.get(row).copied()
    }
}

impl Locate for Origin {
    fn place(&self, row: usize) -> Place {
        match self.start(row) {
            Some(start) => self.file.place(start),
            None => Place { file: Some(self.file.map.path().into()), ..Place::default() },
        }
    }

    fn raw(&self, row: usize) -> Option<String> {
        self.start(row).map(|start| self.file.raw(start))
    }
}

/// The place after the line that `at` lies in.
fn line_end(data: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |i| at + i + 1)
}

impl NdjsonSource {
    /// Opens a file (`-`: standard input), and infers the columns that `schema` does not name. Columns that only the schema names are
    /// keys that no record of the sample has.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Format`] if it is empty and no schema is given, or does not begin with an object;
    /// [`Error::Usage`] if the schema contradicts itself.
    pub fn open(path: impl AsRef<Path>, schema: &[(String, Type)]) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Self::of(Map::open(path)?, schema)?))
    }

    /// Text in memory, the beginning of something longer that messages call `name`.
    pub(in crate::input) fn part(name: &Path, text: &[u8], schema: &[(String, Type)]) -> Result<NdjsonSource> {
        Self::of(Map::of_bytes(name, text), schema)
    }

    /// A part of something longer, after so many bytes and lines of it, with the columns of `schema` and no others.
    pub(in crate::input) fn shaped(map: Arc<Map>, before: (u64, u64), schema: &Schema) -> Result<NdjsonSource> {
        let start = check_text(&map, true)?;
        let as_declared = |field: &Field| Field {
            name: field.name.clone(),
            ty: match &field.ty {
                FieldType::Known(Type::Null) => FieldType::Known(Type::Str),
                ty => ty.clone(),
            },
            inferred: false,
        };
        let fields: Vec<Field> = schema.fields.iter().map(as_declared).collect();
        let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        let paths = names.iter().map(|name| ways(name)).collect();
        let empty = vec![false; names.len()];
        let (before, lines) = (before.0, Lines::after(before.1));
        let file = Arc::new(File { map, names, paths, start, before, lines });
        Ok(NdjsonSource { file, schema: Schema { fields }, empty })
    }

    pub(in crate::input) fn of(map: Arc<Map>, schema: &[(String, Type)]) -> Result<NdjsonSource> {
        let start = check_text(&map, !schema.is_empty())?;
        let mut all: Vec<(String, Found, bool)> =
            infer::columns(&map, start).into_iter().map(|found| (found.name(), found, true)).collect();
        declare(&mut all, schema)?;
        let (mut names, mut paths, mut empty, mut fields) = (vec![], vec![], vec![], vec![]);
        for (name, found, inferred) in all {
            empty.push(inferred && found.empty);
            names.push(name.clone());
            paths.push(found.paths);
            fields.push(Field { name, ty: found.ty, inferred });
        }
        let file = Arc::new(File { map, names, paths, start, before: 0, lines: Lines::default() });
        Ok(NdjsonSource { file, schema: Schema { fields }, empty })
    }
}

/// The ways to a column of that name: the key, and keys in keys.
fn ways(name: &str) -> Vec<Vec<Vec<u8>>> {
    let mut ways = vec![vec![name.as_bytes().to_vec()]];
    if name.contains('.') {
        ways.push(name.split('.').map(|key| key.as_bytes().to_vec()).collect());
    }
    ways
}

/// Gives columns the types that are declared; those that are not there yet are added.
fn declare(all: &mut Vec<(String, Found, bool)>, schema: &[(String, Type)]) -> Result<()> {
    let known = Schema { fields: all.iter().map(|(name, ..)| Field::new(name.clone(), Type::Str)).collect() };
    for (i, (name, ty)) in schema.iter().enumerate() {
        if matches!(ty, Type::Null | Type::List(_)) {
            return Err(Error::usage(format!("an NDJSON column cannot be read as {ty} (column '{name}')")));
        }
        if schema[..i].iter().any(|(other, _)| other == name) {
            return Err(Error::usage(format!("the schema names column '{name}' twice")));
        }
        match known.find(name)? {
            Some(at) => {
                all[at].1.ty = FieldType::Known(ty.clone());
                all[at].2 = false;
            }
            None => {
                let found = Found { paths: ways(name), ty: FieldType::Known(ty.clone()), empty: false };
                all.push((name.clone(), found, false));
            }
        }
    }
    Ok(())
}

/// Refuses what is no NDJSON at first sight; returns the length of a byte order mark.
fn check_text(map: &Map, has_schema: bool) -> Result<usize> {
    let refuse = |message: &str, help: &str| {
        Err(Error::Format { path: map.path().into(), message: message.into(), help: Some(help.into()) })
    };
    let start = if map.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    match (&map[..], map[start..].trim_ascii_start().first()) {
        ([0xff, 0xfe, ..] | [0xfe, 0xff, ..], _) => {
            refuse("the file is UTF-16 (or UTF-32), not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8")
        }
        (_, None) if !has_schema => {
            refuse("the file is empty", "with --schema 'col:type,…' it is read as 0 rows of those columns")
        }
        (_, Some(b'[')) => refuse("a JSON array, and not an object a line", "write a line for each: jq -c '.[]' FILE"),
        (_, Some(first)) if *first != b'{' => refuse(
            &format!("not NDJSON: it begins with '{}'", first.escape_ascii()),
            "NDJSON has one whole JSON object a line; for CSV say --input-format csv",
        ),
        _ => Ok(start),
    }
}

impl Source for NdjsonSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn name(&self) -> String {
        self.file.map.path().display().to_string()
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.file.map.len() as u64)
    }

    fn format(&self) -> &'static str {
        "ndjson"
    }

    fn chunk_bytes(&self) -> usize {
        1 << 20
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let Request { columns, dictionaries, types, chunk_bytes, chunk_rows, threads: _, tolerant } = request;
        request.check()?;
        let mut plan = Plan {
            wanted: vec![],
            keys: Keys::default(),
            slots: vec![],
            columns: vec![],
            strings: vec![],
            tolerant: *tolerant,
        };
        for ((&column, ty), dict) in columns.iter().zip(types).zip(dictionaries) {
            let field = self.schema.fields.get(column).ok_or_else(|| Error::internal("no such column"))?;
            if let FieldType::Unsupported(what) = &field.ty {
                return Err(Error::Usage {
                    message: format!(
                        "column '{}' of {} is a {what}, which tidemill cannot read",
                        field.name,
                        self.name()
                    ),
                    help: Some(format!("--schema '{}:string' reads its JSON as text", field.name)),
                });
            }
            let slot = plan.columns.iter().position(|c| *c == column).unwrap_or_else(|| {
                plan.columns.push(column);
                plan.strings.push(false);
                plan.columns.len() - 1
            });
            plan.strings[slot] |= *ty == Type::Str;
            plan.slots.push(slot);
            self.file.paths.get(column).into_iter().flatten().for_each(|path| plan.keys.add(path, slot));
            let (ty, inferred, interners) = (ty.clone(), field.inferred, Mutex::default());
            plan.wanted.push(Wanted { column, ty, inferred, dict: dict.clone(), interners });
        }
        let (file, at) = (Arc::clone(&self.file), self.file.start);
        // Rows are numbered with 32 bits inside a chunk.
        Ok(Box::new(NdjsonScan {
            file,
            plan: Arc::new(plan),
            at,
            bytes: *chunk_bytes,
            rows: (*chunk_rows).min(1 << 31),
        }))
    }

    fn widened(&self, column: &str, ty: &Type) -> Option<Arc<dyn Source>> {
        let index = self.schema.fields.iter().position(|f| f.name == column && f.inferred)?;
        let (mut schema, mut empty) = (self.schema.clone(), self.empty.clone());
        schema.fields[index].ty = FieldType::Known(ty.clone());
        empty[index] = false;
        Some(Arc::new(NdjsonSource { file: Arc::clone(&self.file), schema, empty }))
    }

    fn unseen(&self, column: usize) -> bool {
        self.empty.get(column).copied().unwrap_or(false)
    }
}

/// A scan: only a place in the file.
struct NdjsonScan {
    file: Arc<File>,
    plan: Arc<Plan>,
    at: usize,
    bytes: usize,
    rows: usize,
}

impl Scan for NdjsonScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        if self.at >= self.file.map.len() {
            return Ok(None);
        }
        let range = self.at..cut(&self.file.map, self.at, self.bytes, self.rows);
        self.at = range.end;
        let (file, plan) = (Arc::clone(&self.file), Arc::clone(&self.plan));
        Ok(Some(ChunkTask::one(move || read(&file, &plan, range))))
    }
}

/// The end of a piece that begins at `from`: as many whole lines as fit into `bytes` and number at most `rows`, but one at least.
fn cut(data: &[u8], from: usize, bytes: usize, rows: usize) -> usize {
    let target = from.saturating_add(bytes.max(1)).min(data.len());
    // No record is shorter than two bytes.
    if rows < target - from {
        let ends = memchr::memchr_iter(b'\n', &data[from..target]).take(rows.max(1)).map(|i| from + i + 1);
        let mut last = (0, 0);
        ends.for_each(|end| last = (last.0 + 1, end));
        if last.0 == rows.max(1) {
            return last.1;
        }
    }
    if target == data.len() {
        return target;
    }
    memchr::memrchr(b'\n', &data[from..target]).map_or_else(|| line_end(data, target), |i| from + i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_the_last_line_end_in_reach() {
        let data = b"{}\n{\"a\":1}\n\n{}";
        for (from, bytes, rows, want) in [
            (0, 1, 9, 3),
            (0, 3, 9, 3),
            (0, 10, 9, 3),
            (0, 11, 9, 11),
            (0, 12, 9, 12),
            (0, 13, 9, 12),
            (0, 14, 9, 14),
            (0, 99, 9, 14),
            (0, 99, 1, 3),
            (0, 99, 2, 11),
            (3, 2, 9, 11),
            (12, 1, 9, 14),
        ] {
            assert_eq!(cut(data, from, bytes, rows), want, "{from} {bytes} {rows}");
        }
    }

    #[test]
    fn what_is_no_ndjson_is_refused_with_what_would_help() {
        let open = |text: &str, schema: &[(String, Type)]| {
            NdjsonSource::part("x.json".as_ref(), text.as_bytes(), schema).err().map(|e| e.to_string())
        };
        for (text, want) in [
            ("[{\"a\":1}]", "jq -c '.[]'"),
            ("a,b\n1,2\n", "begins with 'a'"),
            (" \n", "the file is empty"),
            ("\u{feff}", "the file is empty"),
        ] {
            let error = open(text, &[]).unwrap();
            assert!(error.starts_with("x.json: ") && error.contains(want), "{error}");
        }
        assert_eq!(open("", &[("a".into(), Type::Int64)]), None);
        let twice = [("a".to_owned(), Type::Int64), ("a".to_owned(), Type::Str)];
        assert!(open("{}", &twice).unwrap().contains("twice"));
        assert!(open("{}", &[("a".to_owned(), Type::Null)]).unwrap().contains("cannot be read as null"));
    }

    #[test]
    fn a_schema_may_name_what_the_sample_lacks() {
        let schema = [("b.c".to_owned(), Type::Int64), ("A".to_owned(), Type::Float64)];
        let source = NdjsonSource::part("-".as_ref(), b"{\"a\":1}", &schema).unwrap();
        let names: Vec<_> = source.schema.fields.iter().map(|f| (f.name.as_str(), f.ty.clone(), f.inferred)).collect();
        let known = |ty| FieldType::Known(ty);
        assert_eq!(names, [("a", known(Type::Float64), false), ("b.c", known(Type::Int64), false)]);
        assert_eq!(source.file.paths[1].len(), 2);
    }
}
