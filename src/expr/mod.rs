//! Expressions: the tree a user writes, its types, and the program every backend runs.
//!
//! ```text
//! text ──parse──► Expr (tree.rs) ──Binder──► Program (program.rs) ──► row.rs     plain, value by value
//!                                                                 ├─► vector/    CPU, morsel by morsel
//!                                                                 └─► wgsl       GPU
//! ```
//! Imports `column` and the error type only.

mod display;
mod lut;
mod parse_value;
mod program;
mod text;
mod tree;

pub use program::{DateField, DatePeriod, InputColumn, Node, NodeId, Op, Origin, Program, Rounding, Split};
pub use text::{TextCall, TextFn};
pub use tree::{BinaryOp, Expr, ExprNode, Span, UnaryOp, call, case, col, lit, null};
