//! Group-by over files, on all cores or on a GPU, with the same bits out.
//!
//! A [`Job`] says what is to be computed: filter, mapped columns, group keys, aggregates, having, order. An [`Input`] says over
//! what: files (CSV, NDJSON, Parquet, Arrow IPC, raw records) or Arrow batches in memory. An [`Engine`] runs the one over the other,
//! on the CPU (rayon) or on a GPU (wgpu and WGSL), and gives a [`RunReport`]: Arrow batches, and a [`Ledger`] that accounts for every
//! row.
//!
//! ```
//! use tidemill::aggregate::{count, mean, top_k};
//! use tidemill::input::OpenOptions;
//! use tidemill::{Engine, Input, Job, col, lit};
//!
//! let input = Input::open(&["examples/data/flights.csv"], &OpenOptions::default())?;
//! let job = Job::new()
//!     .filter(col("dep_delay").is_not_null())
//!     .by(["carrier"])
//!     .aggregate(count().named("flights"))
//!     .aggregate(mean(col("dep_delay")).named("mean_delay"))
//!     .aggregate(top_k(col("dep_delay"), 3).named("worst"))
//!     .having(col("flights").gt(lit(100)));
//! let report = Engine::new().run(&job, &input)?;
//! assert_eq!(report.batches[0].schema().field(2).name(), "mean_delay");
//! assert_eq!(report.ledger.rows_read, 5027);
//! # Ok::<(), tidemill::Error>(())
//! ```
//!
//! The result is a function of the multiset of input rows alone: not of the device, the number of threads, the size of chunks, the
//! split into files, or the order of rows. Float sums are exact and rounded once ([`agg::exact`]); integers never wrap. The
//! policies are written down in `docs/numerics.md` and `docs/expressions.md`, the way of a row through the modules in
//! `ARCHITECTURE.md`.
//!
//! Expressions can also be parsed from SQL text: [`expr::parse`], [`expr::parse_item`].
#![deny(missing_docs)]

pub mod agg;
pub mod backend;
pub mod column;
mod error;
pub mod exec;
pub mod expr;
pub mod input;
pub mod kernel;
pub mod output;
pub mod plan;
mod simd;
mod sort;
pub mod stream;

pub use backend::Device;
pub use column::Type;
pub use error::{Error, Place, Result};
pub use exec::{Engine, Ledger, RunReport};
pub use expr::{Expr, col, lit};
pub use input::Input;
pub use plan::{Job, aggregate};

/// The README's example, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
