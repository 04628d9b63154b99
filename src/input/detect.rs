//! Chooses the reader of a file: by the bytes it begins with, then by its extension; other text that begins with an object is NDJSON,
//! anything else CSV.

use std::path::Path;
use std::sync::Arc;

use super::mmap::Map;
use super::{ArrowSource, CsvOptions, CsvSource, NdjsonSource, ParquetSource, RawSource, Source, ndjson};
use crate::{Error, Result};

/// How to open files. The default finds everything out.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// How text is read. Its schema is also the layout of a raw file (`.bin`, `.raw`); Parquet and Arrow files state
    /// their types themselves and keep them.
    pub csv: CsvOptions,
    /// What text is; `None`: by the extension, then by how it begins. The schema of `csv` holds for NDJSON too, its other options do
    /// not.
    pub text: Option<TextFormat>,
}

/// The formats of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Records of fields between delimiters.
    Csv,
    /// A JSON object a line.
    Ndjson,
}

impl std::str::FromStr for TextFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<TextFormat> {
        match text {
            "csv" | "tsv" => Ok(TextFormat::Csv),
            "ndjson" | "jsonl" => Ok(TextFormat::Ndjson),
            _ => Err(Error::Usage {
                message: format!("'{text}' is no format of text input"),
                help: Some("csv, ndjson; files of other formats are known by their first bytes".into()),
            }),
        }
    }
}

/// What a file is: text what it is said to be, all else what it is found to be.
fn chosen(bytes: &[u8], path: &Path, options: &OpenOptions) -> Kind {
    match (kind(bytes, path), options.text) {
        (Kind::Csv | Kind::Ndjson, Some(TextFormat::Csv)) => Kind::Csv,
        (Kind::Csv | Kind::Ndjson, Some(TextFormat::Ndjson)) => Kind::Ndjson,
        (found, _) => found,
    }
}

/// Whether a text called `path` that begins with `text` is NDJSON.
pub(super) fn is_ndjson(text: &[u8], path: &Path, options: &OpenOptions) -> bool {
    chosen(text, path, options) == Kind::Ndjson
}

impl From<CsvOptions> for OpenOptions {
    fn from(csv: CsvOptions) -> Self {
        OpenOptions { csv, text: None }
    }
}

/// Opens a file of any format (`-`: standard input).
///
/// # Errors
/// The file cannot be read, is damaged, or is of a format tidemill knows but does not read (compressed text, say).
///
/// ```no_run
/// use tidemill::input::{OpenOptions, open};
///
/// let source = open("trips.parquet", &OpenOptions::default())?;
/// println!("{} columns", source.schema().fields.len());
/// # Ok::<(), tidemill::Error>(())
/// ```
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Arc<dyn Source>> {
    of(Map::open(path)?, options)
}

/// The reader of an opened file.
pub(super) fn of(map: Arc<Map>, options: &OpenOptions) -> Result<Arc<dyn Source>> {
    match chosen(&map, map.path(), options) {
        Kind::Parquet => ParquetSource::of(map),
        Kind::Arrow => ArrowSource::of(map),
        Kind::Raw => RawSource::of(map, &options.csv.schema),
        Kind::Csv => Ok(Arc::new(CsvSource::of(map, &options.csv)?)),
        Kind::Ndjson => Ok(Arc::new(NdjsonSource::of(map, &options.csv.schema)?)),
        Kind::Other { what, help } => {
            Err(Error::Format { path: map.path().into(), message: what.into(), help: Some(help.into()) })
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Parquet,
    Arrow,
    Raw,
    Csv,
    Ndjson,
    /// Known, but not readable.
    Other {
        what: &'static str,
        help: &'static str,
    },
}

fn kind(bytes: &[u8], path: &Path) -> Kind {
    // The layout of raw records is the caller's word; any bytes may stand there.
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if matches!(extension.as_str(), "bin" | "raw") {
        return Kind::Raw;
    }
    // A text may begin with "PAR1" by chance, but the byte after it is then no control character.
    if bytes.starts_with(b"PAR1") && (bytes.ends_with(b"PAR1") || bytes.get(4).is_some_and(|&b| b.is_ascii_control())) {
        return Kind::Parquet;
    }
    if bytes.starts_with(b"ARROW1\0\0") {
        return Kind::Arrow;
    }
    let other = |what, help| Kind::Other { what, help };
    if bytes.starts_with(b"PARE") && bytes.ends_with(b"PARE") {
        return other("an encrypted Parquet file", "decrypt it first");
    }
    if bytes.starts_with(&[0xff; 4]) {
        return other("an Arrow IPC stream", "write it as an Arrow IPC file (Feather version 2)");
    }
    if bytes.starts_with(b"FEA1") {
        return other("a Feather file of version 1", "write it as version 2, which is an Arrow IPC file");
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return other("compressed by gzip", "pipe it in: gzip -dc FILE | tidemill agg -");
    }
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return other("compressed by zstd", "pipe it in: zstd -dc FILE | tidemill agg -");
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return other("a zip archive or a spreadsheet", "export it as CSV");
    }
    match extension.as_str() {
        "parquet" | "pq" => Kind::Parquet,
        "arrow" | "ipc" | "feather" => Kind::Arrow,
        "ndjson" | "jsonl" | "json" => Kind::Ndjson,
        "csv" | "tsv" | "tab" => Kind::Csv,
        _ if ndjson::sniff(bytes) => Kind::Ndjson,
        _ => Kind::Csv,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide_before_names() {
        let kind = |bytes: &[u8], path| kind(bytes, Path::new(path));
        assert_eq!(kind(b"PAR1\x15\x04....PAR1", "x.csv"), Kind::Parquet);
        assert_eq!(kind(b"PAR1\x15\x04 cut short", "x"), Kind::Parquet);
        assert_eq!(kind(b"PAR1,b\n1,2\n", "x.csv"), Kind::Csv);
        assert_eq!(kind(b"ARROW1\0\0", "x.csv"), Kind::Arrow);
        assert_eq!(kind(b"ARROW1,b\n1,2\n", "x.csv"), Kind::Csv);
        assert_eq!(kind(b"a,b\n", "x.parquet"), Kind::Parquet);
        assert_eq!(kind(b"a,b\n", "x.FEATHER"), Kind::Arrow);
        assert_eq!(kind(b"PAR1", "x.bin"), Kind::Raw);
        assert_eq!(kind(b"", "x"), Kind::Csv);
        assert_eq!(kind(b"a,b\n", "x.jsonl"), Kind::Ndjson);
        assert_eq!(kind(b"{\"a\":1}\n", "x.NDJSON"), Kind::Ndjson);
        assert_eq!(kind(b"{\"a\":1}\n", "x.csv"), Kind::Csv);
        assert_eq!(kind(b"\xef\xbb\xbf\n { \"a\":1}\n", "-"), Kind::Ndjson);
        assert_eq!(kind(b"{}", "x.log"), Kind::Ndjson);
        assert_eq!(kind(b"{a},b\n", "-"), Kind::Csv);
        for bytes in [&b"\x1f\x8b\x08"[..], b"\xff\xff\xff\xff\x10", b"PK\x03\x04", b"FEA1", b"\x28\xb5\x2f\xfd"] {
            assert!(matches!(kind(bytes, "x.csv"), Kind::Other { .. }));
        }
    }

    #[test]
    fn what_is_not_readable_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv.gz");
        std::fs::write(&path, b"\x1f\x8b\x08").unwrap();
        let error = open(&path, &OpenOptions::default()).err().unwrap().to_string();
        assert!(error.contains("x.csv.gz") && error.contains("gzip -dc"), "{error}");
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, b"a,b\n1,2\n").unwrap();
        let error = open(&path, &OpenOptions::default()).err().unwrap();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        let path = dir.path().join("x.raw");
        std::fs::write(&path, b"ab").unwrap();
        let error = open(&path, &OpenOptions::default()).err().unwrap().to_string();
        assert!(error.contains("--schema"), "{error}");
        let schema = vec![("b".to_string(), crate::column::Type::UInt8)];
        let source = open(&path, &CsvOptions { schema, ..CsvOptions::default() }.into()).unwrap();
        assert_eq!(source.bytes(), Some(2));
    }
}
