//! Expressions: the tree a user writes, its types, and the program every backend runs.
//!
//! ```text
//! text ──parse──► Expr (tree.rs) ──Binder──► Program (program.rs) ──► row.rs     plain, value by value
//!                                                                 ├─► vector/    CPU, morsel by morsel
//!                                                                 └─► wgsl       GPU
//! ```
//! Imports `column` and the error type only.

mod bind;
mod build;
mod cast;
mod display;
mod functions;
mod interval;
mod lut;
mod numeric;
mod parse;
mod parse_value;
mod program;
mod row;
mod source;
mod text;
mod times;
mod tree;
mod vector;
pub mod wgsl;

pub use bind::Binder;
pub use functions::is_function;
pub use interval::Interval;
pub use parse::{OrderItem, parse, parse_assignment, parse_item, parse_items, parse_order};
pub use program::{DateField, DatePeriod, InputColumn, Node, NodeId, Op, Origin, Program, Rounding, Split};
pub use row::{Fault, eval, eval_row};
pub use text::{TextCall, TextFn};
pub use tree::{BinaryOp, Expr, ExprNode, Span, UnaryOp, call, case, col, lit, null};
pub use vector::{Evaluated, Evaluator, Morsel, Vector, VectorData};

#[cfg(test)]
mod tests;
