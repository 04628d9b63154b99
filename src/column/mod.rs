//! Columns: types, values, chunks and dictionaries. Imports nothing of tidemill but the error and sorting.

mod build;
mod chunk;
mod dictionary;
mod interner;
pub mod key;
mod rank;
mod recall;
mod schema;
mod slots;
mod text;
mod types;
mod value;

pub use chunk::{Chunk, Column, ColumnData, Locate, RowsFrom};
pub use dictionary::{Dictionary, Strings};
pub(crate) use interner::Interner;
pub use key::KeyColumn;
pub use rank::StringOrder;
pub(crate) use recall::Missed;
pub use schema::{Field, FieldType, Schema};
pub use text::Text;
pub(crate) use text::Word;
pub use types::{Class, Type, Unit};
pub use value::{Value, civil_from_days, days_from_civil, write_float};

/// The values of the listed rows, in the listed order.
pub(crate) fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|&row| values[row as usize]).collect()
}
