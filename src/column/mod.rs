//! Columns: types, chunks, dictionaries and key words.
