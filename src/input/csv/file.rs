//! What all scans of one CSV file share, and where the rows of a chunk stand in it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::boundary::records;
use super::column::Nulls;
use super::lines::Lines;
use super::trouble::lossy;
use crate::Place;
use crate::column::Locate;
use crate::input::mmap::Map;

/// An opened file: its bytes, its dialect, its columns.
pub(super) struct File {
    pub(super) map: Arc<Map>,
    pub(super) delimiter: u8,
    pub(super) nulls: Nulls,
    /// Column names; their number is what every record must have.
    pub(super) names: Vec<String>,
    /// The byte the first record after the header starts at.
    pub(super) start: usize,
    /// Bytes that came before these, if they are a part of something longer.
    pub(super) before: u64,
    pub(super) lines: Lines,
}

impl File {
    /// The 1-based line of a byte.
    pub(super) fn line(&self, at: usize) -> u64 {
        self.lines.line(&self.map, at)
    }

    /// The place of the record that starts at `start`, but its line.
    pub(super) fn place(&self, start: usize) -> Place {
        Place { file: Some(self.map.path().into()), byte: Some(self.before + start as u64), ..Place::default() }
    }

    /// The text of the record that starts at `start`, for a message.
    pub(super) fn raw(&self, start: usize) -> String {
        let record = records(&self.map, start, self.map.len(), self.delimiter, true).next();
        lossy(&self.map[record.unwrap_or_default()])
    }

    /// Whether a blank line is a record. In a file of one column it is a null; elsewhere it is nothing.
    pub(super) fn keeps_blank(&self) -> bool {
        self.names.len() == 1
    }
}

/// Finds the rows of a chunk again, by reading its records once more when first asked.
pub(super) struct Origin {
    pub(super) file: Arc<File>,
    /// The chunk's bytes.
    pub(super) range: Range<usize>,
    /// Where the records start that are not rows of the chunk, ascending.
    pub(super) rejected: Vec<usize>,
    pub(super) starts: OnceLock<Vec<usize>>,
}

impl Origin {
    fn start(&self, row: usize) -> Option<usize> {
        let starts = self.starts.get_or_init(|| {
            let Range { start, end } = self.range;
            records(&self.file.map, start, end, self.file.delimiter, self.file.keeps_blank())
                .map(|record| record.start)
                .filter(|start| self.rejected.binary_search(start).is_err())
                .collect()
        });
        starts.get(row).copied()
    }
}

impl Locate for Origin {
    fn place(&self, row: usize) -> Place {
        match self.start(row) {
            Some(start) => Place { line: Some(self.file.line(start)), ..self.file.place(start) },
            None => Place { file: Some(self.file.map.path().into()), ..Place::default() },
        }
    }

    fn raw(&self, row: usize) -> Option<String> {
        self.start(row).map(|start| self.file.raw(start))
    }
}
