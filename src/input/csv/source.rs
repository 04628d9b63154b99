//! The CSV file as a [`Source`]: opening it, and cutting a scan into tasks.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::boundary::{cut, records, skip_blank};
use super::column::{Nulls, trim};
use super::file::File;
use super::infer;
use super::lines::Lines;
use super::parse;
use super::read::{Plan, Wanted, read};
use super::tokenize::split;
use super::{CsvOptions, QUOTE};
use crate::column::{Field, FieldType, Schema, Type};
use crate::input::mmap::Map;
use crate::input::{ChunkTask, Request, Scan, Source};
use crate::{Error, Place, Result};

/// A CSV or TSV file. See the [module](super) for what it reads as what.
pub struct CsvSource {
    file: Arc<File>,
    schema: Schema,
    /// Columns of which the sample held no value.
    empty: Vec<bool>,
}

impl CsvSource {
    /// Opens a file (`-`: standard input), finds out its dialect and infers what `options` leave open.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read; [`Error::Format`] if it is empty and no schema is given, or is no UTF-8 text;
    /// [`Error::Usage`] if the options contradict it or themselves.
    pub fn open(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Self::of(Map::open(path)?, options)?))
    }

    /// Text in memory, the beginning of something longer that messages call `name`.
    pub(in crate::input) fn part(name: &Path, text: &[u8], options: &CsvOptions) -> Result<CsvSource> {
        Self::of(Map::of_bytes(name, text), options)
    }

    /// A part of something longer, after so many bytes and lines of it: without a header, and of the columns that the schema has,
    /// whatever its first record looks like. The delimiter must be given.
    pub(in crate::input) fn shaped(map: Arc<Map>, before: (u64, u64), options: &CsvOptions) -> Result<CsvSource> {
        check_options(options)?;
        let (nulls, delimiter) = (Nulls::new(&options.null_values), options.delimiter.unwrap_or(b','));
        let names: Vec<String> = options.schema.iter().map(|(name, _)| name.clone()).collect();
        let fields = options.schema.iter().map(|(name, ty)| Field::new(name.clone(), ty.clone())).collect();
        let empty = vec![false; names.len()];
        let (before, lines) = (before.0, Lines::after(before.1));
        let file = Arc::new(File { map, delimiter, nulls, names, start: 0, before, lines });
        Ok(CsvSource { file, schema: Schema { fields }, empty })
    }

    /// What stands between fields.
    pub(in crate::input) fn delimiter(&self) -> u8 {
        self.file.delimiter
    }

    /// Where the first record after the header begins.
    pub(in crate::input) fn start(&self) -> usize {
        self.file.start
    }

    pub(in crate::input) fn of(map: Arc<Map>, options: &CsvOptions) -> Result<CsvSource> {
        check_options(options)?;
        let bom = check_text(&map)?;
        let nulls = Nulls::new(&options.null_values);
        let tabs =
            map.path().extension().is_some_and(|e| e.eq_ignore_ascii_case("tsv") || e.eq_ignore_ascii_case("tab"));
        let delimiter =
            options.delimiter.unwrap_or_else(|| infer::delimiter(&map[bom..], if tabs { b'\t' } else { b',' }));
        let first = skip_blank(&map, bom);
        let Some(record) = records(&map, first, map.len(), delimiter, false).next() else {
            return Self::without_rows(map, options, delimiter, nulls);
        };
        check_first(&map, record.clone(), delimiter)?;
        let cells = split(&map[record.clone()], delimiter);
        let named = |cell: &&[u8]| options.schema.iter().any(|(name, _)| *name.as_bytes() == *header_name(cell));
        let header = options.header.unwrap_or_else(|| {
            infer::header(&cells, &nulls) || (!options.schema.is_empty() && cells.iter().any(named))
        });
        let (names, start) = if header {
            (names(&cells)?, cut(&map, first, delimiter, 1, 1).end)
        } else {
            // Blank lines before the first record are rows of a file with one column.
            (numbered(cells.len(), options), if cells.len() == 1 { bom } else { first })
        };
        let declared = declare(&names, options)?;
        // What is declared is not looked at.
        let inferred = match declared.iter().all(Option::is_some) {
            true => vec![infer::Inferred { ty: Type::Str, empty: false }; names.len()],
            false => infer::types(&map, start, names.len(), delimiter, &nulls),
        };
        let mut empty = vec![];
        let mut fields = vec![];
        for ((name, declared), inferred) in names.iter().zip(declared).zip(inferred) {
            empty.push(declared.is_none() && inferred.empty);
            fields.push(Field {
                name: name.clone(),
                inferred: declared.is_none(),
                ty: FieldType::Known(declared.unwrap_or(inferred.ty)),
            });
        }
        let file = Arc::new(File { map, delimiter, nulls, names, start, before: 0, lines: Lines::default() });
        Ok(CsvSource { file, schema: Schema { fields }, empty })
    }

    /// A file without a record: its columns can only be the schema's.
    fn without_rows(map: Arc<Map>, options: &CsvOptions, delimiter: u8, nulls: Nulls) -> Result<CsvSource> {
        if options.schema.is_empty() {
            return Err(Error::Format {
                path: map.path().into(),
                message: "the file is empty".into(),
                help: Some("with --schema 'col:type,…' it is read as 0 rows of those columns".into()),
            });
        }
        let names: Vec<String> = options.schema.iter().map(|(name, _)| name.clone()).collect();
        let fields = options.schema.iter().map(|(name, ty)| Field::new(name.clone(), ty.clone())).collect();
        let start = map.len();
        let empty = vec![false; names.len()];
        let file = Arc::new(File { map, delimiter, nulls, names, start, before: 0, lines: Lines::default() });
        Ok(CsvSource { file, schema: Schema { fields }, empty })
    }
}

impl Source for CsvSource {
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
        "csv"
    }

    fn chunk_bytes(&self) -> usize {
        1 << 20
    }

    fn scan(&self, request: &Request) -> Result<Box<dyn Scan>> {
        let Request { columns, dictionaries, types, chunk_bytes, chunk_rows, threads: _, tolerant } = request;
        request.check()?;
        let mut wanted = vec![];
        for ((&column, ty), dict) in columns.iter().zip(types).zip(dictionaries) {
            let field = self.schema.fields.get(column).ok_or_else(|| Error::internal("no such column"))?;
            let (ty, inferred, interners) = (ty.clone(), field.inferred, Mutex::default());
            wanted.push(Wanted { column, ty, inferred, dict: dict.clone(), interners });
        }
        Ok(Box::new(CsvScan {
            file: Arc::clone(&self.file),
            plan: Arc::new(Plan { wanted, tolerant: *tolerant }),
            at: self.file.start,
            bytes: *chunk_bytes,
            // Rows are numbered with 32 bits inside a chunk.
            rows: (*chunk_rows).min(1 << 31),
        }))
    }

    fn widened(&self, column: &str, ty: &Type) -> Option<Arc<dyn Source>> {
        let index = self.schema.fields.iter().position(|f| f.name == column && f.inferred)?;
        let mut schema = self.schema.clone();
        schema.fields[index].ty = FieldType::Known(ty.clone());
        let mut empty = self.empty.clone();
        empty[index] = false;
        Some(Arc::new(CsvSource { file: Arc::clone(&self.file), schema, empty }))
    }

    fn unseen(&self, column: usize) -> bool {
        self.empty.get(column).copied().unwrap_or(false)
    }
}

/// A scan: only a place in the file.
struct CsvScan {
    file: Arc<File>,
    plan: Arc<Plan>,
    at: usize,
    bytes: usize,
    rows: usize,
}

impl Scan for CsvScan {
    fn next(&mut self) -> Result<Option<ChunkTask>> {
        let map = &self.file.map;
        if !self.file.keeps_blank() {
            self.at = skip_blank(map, self.at);
        }
        if self.at >= map.len() {
            return Ok(None);
        }
        let cut = cut(map, self.at, self.file.delimiter, self.bytes, self.rows);
        let range = self.at..cut.end;
        self.at = range.end;
        let (file, plan) = (Arc::clone(&self.file), Arc::clone(&self.plan));
        Ok(Some(ChunkTask::one(move || read(&file, &plan, range))))
    }
}

fn check_options(options: &CsvOptions) -> Result<()> {
    if let Some(d) = options.delimiter
        && (!d.is_ascii() || matches!(d, QUOTE | b'\n' | b'\r'))
    {
        return Err(Error::Usage {
            message: format!("the delimiter cannot be byte 0x{d:02x}"),
            help: Some("it is one ASCII character, neither a quote nor a line end".into()),
        });
    }
    for (i, (name, ty)) in options.schema.iter().enumerate() {
        if matches!(ty, Type::Null | Type::List(_)) {
            return Err(Error::usage(format!("a CSV column cannot be read as {ty} (column '{name}')")));
        }
        if options.schema[..i].iter().any(|(other, _)| other == name) {
            return Err(Error::usage(format!("the schema names column '{name}' twice")));
        }
    }
    Ok(())
}

/// Refuses what is no UTF-8 text at first sight; returns the length of a byte order mark.
fn check_text(map: &Map) -> Result<usize> {
    let format = |message: &str, help: &str| {
        Err(Error::Format { path: map.path().into(), message: message.into(), help: Some(help.into()) })
    };
    match &map[..] {
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            format("the file is UTF-16 (or UTF-32), not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8")
        }
        [0x1f, 0x8b, ..] => format("the file is compressed with gzip", "decompress it first: gunzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => format("the file is compressed with zstd", "decompress it first: unzstd"),
        _ => Ok(0),
    }
}

/// Refuses a first record that shows that the file is not lines of fields.
fn check_first(map: &Map, record: std::ops::Range<usize>, delimiter: u8) -> Result<()> {
    let cut = cut(map, record.start, delimiter, 1, 1);
    if let Some(open) = cut.unclosed {
        let line = Some(Lines::default().line(map, open));
        let byte = Some(record.start as u64);
        return Err(Error::Data {
            place: Box::new(Place { file: Some(map.path().into()), line, byte, ..Place::default() }),
            message: "nothing closes the quoted field that begins here".into(),
            found: None,
            help: Some("add the closing quote, or quote a field that begins with a quote".into()),
        });
    }
    if !map[..cut.end].contains(&b'\n') && map[record].contains(&b'\r') {
        return Err(Error::Format {
            path: map.path().into(),
            message: "the lines end with CR alone".into(),
            help: Some("convert it: tr '\\r' '\\n'".into()),
        });
    }
    Ok(())
}

/// A header cell's name: what is quoted as it stands, else without spaces around it.
fn header_name(cell: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if parse::quoted(cell).is_some() { parse::unquote(cell) } else { trim(cell).into() }
}

/// The columns' names. One without a name is called by its number (`c3`); where several have the same name, each gets
/// its number among them (`x_1`, `x_2`), so that none is taken for the other.
fn names(cells: &[&[u8]]) -> Result<Vec<String>> {
    let plain: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(i, cell)| match &*header_name(cell) {
            [] => format!("c{}", i + 1),
            name => String::from_utf8_lossy(name).into_owned(),
        })
        .collect();
    let mut counts = std::collections::HashMap::new();
    for name in &plain {
        *counts.entry(name.as_str()).or_insert(0usize) += 1;
    }
    let mut given = std::collections::HashMap::new();
    let mut names = Vec::with_capacity(plain.len());
    for name in &plain {
        if counts[name.as_str()] == 1 {
            names.push(name.clone());
            continue;
        }
        let number = given.entry(name.as_str()).or_insert(0usize);
        names.push(loop {
            *number += 1;
            let numbered = format!("{name}_{number}");
            if !counts.contains_key(numbered.as_str()) {
                break numbered;
            }
        });
    }
    Ok(names)
}

/// The names of a file without a header: the schema's, if it has one type a column, else `c1`, `c2` …
fn numbered(columns: usize, options: &CsvOptions) -> Vec<String> {
    let plain = |i: usize| format!("c{}", i + 1);
    let all_other = options.schema.iter().all(|(name, _)| !(0..columns).any(|i| *name == plain(i)));
    if options.schema.len() == columns && all_other {
        return options.schema.iter().map(|(name, _)| name.clone()).collect();
    }
    (0..columns).map(plain).collect()
}

/// The declared type of each column.
fn declare(names: &[String], options: &CsvOptions) -> Result<Vec<Option<Type>>> {
    let mut declared = vec![None; names.len()];
    let schema = Schema { fields: names.iter().map(|n| Field::new(n.clone(), Type::Str)).collect() };
    for (name, ty) in &options.schema {
        let Some(index) = schema.find(name)? else {
            let help = schema.nearest(name).map(|near| format!("did you mean '{near}'?"));
            let help = help.unwrap_or_else(|| format!("the columns are {}", list(names)));
            return Err(Error::Usage {
                message: format!("the schema names column '{name}', which is not there"),
                help: Some(help),
            });
        };
        declared[index] = Some(ty.clone());
    }
    Ok(declared)
}

/// The first names, for a message.
fn list(names: &[String]) -> String {
    const MOST: usize = 20;
    let more = if names.len() > MOST { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(MOST)].join(", "))
}
