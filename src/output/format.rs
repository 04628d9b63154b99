//! The names of the output formats.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::Error;

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Comma-separated values (RFC 4180, lines ending in LF) with a header.
    Csv,
    /// The same separated by tabs.
    Tsv,
    /// One JSON array of objects.
    Json,
    /// A JSON object a line.
    Ndjson,
    /// A Markdown (GFM) table.
    Markdown,
    /// Parquet.
    Parquet,
    /// Arrow IPC file (Feather version 2).
    Arrow,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 7] =
        [Format::Csv, Format::Tsv, Format::Json, Format::Ndjson, Format::Markdown, Format::Parquet, Format::Arrow];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Markdown => "markdown",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        }
    }

    /// Whether it is not text, so that a terminal is no place for it.
    pub fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    /// The format a file's extension stands for.
    pub fn of_path(path: &Path) -> Option<Format> {
        Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Format::Csv,
            "tsv" | "tab" => Format::Tsv,
            "json" => Format::Json,
            "ndjson" | "jsonl" => Format::Ndjson,
            "md" | "markdown" => Format::Markdown,
            "parquet" | "pq" => Format::Parquet,
            "arrow" | "ipc" | "feather" => Format::Arrow,
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Format, Error> {
        let lower = text.to_ascii_lowercase();
        Format::ALL.into_iter().find(|f| f.name() == lower).ok_or_else(|| Error::Usage {
            message: format!("unknown output format '{text}'"),
            help: Some(format!("formats: {}", Format::ALL.map(Format::name).join(", "))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_extensions_are_known() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
            assert_eq!(Format::of_path(Path::new("x").with_extension(format.name()).as_path()), Some(format));
        }
        assert!("xlsx".parse::<Format>().unwrap_err().to_string().contains("ndjson"));
        assert_eq!(Format::of_path(Path::new("csv")), None);
    }
}
