//! The position of a source whose rows are functions of their numbers: ranges of numbers, one after the other.

use serde_json::{Value as Json, json};

use super::{Limits, foreign};
use crate::Result;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    /// Rows a batch has.
    pub batch: u64,
    /// Rows in all.
    pub most: Option<u64>,
    /// The number of the next row.
    next: u64,
}

impl Numbered {
    /// From the first row on.
    pub fn new(batch: u64, most: Option<u64>) -> Numbered {
        Numbered { batch, most, next: 0 }
    }

    /// Moves over the next range; `None` at the end.
    pub fn plan(&mut self, limits: &Limits) -> Option<Json> {
        let rows = self.batch.min(limits.rows.unwrap_or(u64::MAX).max(1));
        let to = self.next.saturating_add(rows).min(self.most.unwrap_or(u64::MAX));
        if to <= self.next {
            return None;
        }
        let range = json!({ "from": self.next, "to": to });
        self.next = to;
        Some(range)
    }

    /// The numbers of a range of the source that messages call `name`.
    ///
    /// # Errors
    /// It is none.
    pub fn range(name: &str, range: &Json) -> Result<(u64, u64)> {
        let end = |name| range.get(name).and_then(Json::as_u64);
        match (end("from"), end("to")) {
            (Some(from), Some(to)) if from <= to => Ok((from, to)),
            _ => Err(foreign(name, range)),
        }
    }

    /// How many rows a range has.
    pub fn extent(name: &str, range: &Json) -> Limits {
        Limits { rows: Self::range(name, range).ok().map(|(from, to)| to - from), ..Limits::default() }
    }

    /// Moves behind a range.
    ///
    /// # Errors
    /// It is none.
    pub fn replay(&mut self, name: &str, range: &Json) -> Result<()> {
        self.next = Self::range(name, range)?.1;
        Ok(())
    }

    /// The position, to be kept.
    pub fn position(&self) -> Json {
        json!({ "next": self.next })
    }

    /// Goes to a position that was kept.
    ///
    /// # Errors
    /// It is none.
    pub fn restore(&mut self, name: &str, position: &Json) -> Result<()> {
        self.next = position.get("next").and_then(Json::as_u64).ok_or_else(|| foreign(name, position))?;
        Ok(())
    }

    /// Whether there is no further row.
    pub fn is_over(&self) -> bool {
        self.most.is_some_and(|most| self.next >= most)
    }
}
