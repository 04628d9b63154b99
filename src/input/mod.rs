//! Readers: memory-mapped CSV, Parquet, Arrow IPC and raw columns become chunks.
