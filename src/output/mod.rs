//! Writers: table-free text formats, JSON, Parquet and Arrow.
