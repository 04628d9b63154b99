//! The program an expression becomes: a list of typed operations every backend implements.
//!
//! A [`Program`] is a directed acyclic graph in topological order: the arguments of a node stand before it, and a
//! sub-expression that occurs twice is one node. Every node has one [`Class`]; all implicit conversions are nodes of
//! their own, so an evaluator never looks at two types at once.
//!
//! Each row of a node is a value, null, or an *error* (overflow, division by zero, a cast that does not fit). Unless
//! an operation says otherwise: an error among the arguments gives an error, else a null among them gives null.
//! What stands in the data of a null or an error is arbitrary.

use std::sync::Arc;

use crate::column::{Class, Dictionary, Type, Value};

use super::lut::Shared;
use super::text::TextCall;

/// The index of a node in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index into [`Program::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A column a program reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputColumn {
    /// Its index in the schema the program was bound to.
    pub column: usize,
    /// Its name there.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// One or more expressions, ready to run. Made by [`Binder`](super::Binder).
#[derive(Debug)]
pub struct Program {
    /// The columns read. Column `i` of a chunk given to an evaluator is `columns[i]`, of exactly that type.
    pub columns: Vec<InputColumn>,
    /// The operations, arguments before their users.
    pub nodes: Vec<Node>,
    /// Dictionaries of string-valued nodes and look-up tables, shared by all evaluators of this program.
    pub(super) shared: Shared,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// On what.
    pub args: Vec<NodeId>,
    /// The type of its result.
    pub ty: Type,
    /// The class of its result (`ty.class()`).
    pub class: Class,
    /// Whether a row may be an error. If false, no evaluator needs to keep an error mask for it.
    pub can_fail: bool,
    /// Whether the operation itself may fail, given the ranges of its arguments. If false, an evaluator need not check.
    pub checks: bool,
    /// Whether a row may be null.
    pub nullable: bool,
    /// For class Int: every value (not null, not error) lies in this range, ends included. For others: anything.
    pub range: (i64, i64),
    /// The expression it came from, for messages.
    pub text: String,
}

/// Where the dictionary of a string-valued node comes from. The same all through a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The dictionary of the program's column of this index.
    Column(usize),
    /// A dictionary of the program's own, made for this node.
    Node(NodeId),
}

/// How [`Op::FloatRound`] and [`Op::WideRound`] round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Toward −∞.
    Floor,
    /// Toward +∞.
    Ceil,
    /// Toward zero.
    Trunc,
    /// To nearest, halves away from zero.
    Nearest,
}

/// A field of a date, from its day number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateField {
    /// The year of the proleptic Gregorian calendar; 0 is 1 BC.
    Year,
    /// 1 to 4.
    Quarter,
    /// 1 to 12.
    Month,
    /// The ISO 8601 week, 1 to 53.
    Week,
    /// The year the ISO 8601 week belongs to.
    IsoYear,
    /// The day of the month, 1 to 31.
    Day,
    /// The day of the week, Sunday 0 to Saturday 6.
    Dow,
    /// The day of the week, Monday 1 to Sunday 7.
    IsoDow,
    /// The day of the year, 1 to 366.
    Doy,
}

/// What [`Op::DateTrunc`] cuts a day number to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatePeriod {
    /// 1 January.
    Year,
    /// The first day of January, April, July or October.
    Quarter,
    /// The first of the month.
    Month,
    /// Monday.
    Week,
}

/// The operations. Which class they work on is the class of the node (of the arguments, where the result's is fixed
/// and `(class)` is written).
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The program's column of this index, widened to its class.
    Column(usize),
    /// A constant, not null, of the node's class.
    Literal(Value),
    /// Null in every row.
    Null,
    /// The argument unchanged, under another type of the same class.
    Retype,

    // Conversions.
    /// Bool → Int: 0 or 1.
    BoolToInt,
    /// Int → Float, to nearest, ties to even.
    IntToFloat,
    /// Int → Wide, exact.
    IntToWide,
    /// Float → Int: numbers in the order of `min` and `max` (−0 before +0, NaN last).
    FloatOrder,
    /// Int, Int → Wide: what is ordered by the first and then by the second, in all 128 bits; no decimal.
    Pair,
    /// Wide → Int; an error if it does not fit i64.
    WideToInt,
    /// Wide → Float: value · 10^−scale, the real quotient rounded once, to nearest, ties to even.
    WideToFloat {
        /// Digits after the point of the argument.
        scale: u8,
    },
    /// Wide: times 10^digits; an error if the result has more than 38 digits.
    WideScaleUp {
        /// 1 to 38.
        digits: u8,
    },
    /// Wide: divided by 10^digits and rounded to an integer.
    WideRound {
        /// 1 to 38.
        digits: u8,
        /// How.
        rounding: Rounding,
    },
    /// Float → Int, to nearest, ties to even; NaN, infinities and what does not fit i64 are errors.
    FloatToInt,
    /// Float → Wide: the real value · 10^scale, to nearest, ties to even; NaN, infinities and results of more than 38
    /// digits are errors.
    FloatToWide {
        /// Digits after the point of the result.
        scale: u8,
    },
    /// Float: rounded to binary32 (to nearest, ties to even; subnormals kept) and widened again; an error if a finite
    /// value becomes infinite.
    FloatToFloat32,
    /// Int: the argument; an error outside this range, ends included.
    IntRange {
        /// The least.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Wide: the argument; an error outside this range, ends included.
    WideRange {
        /// The least.
        min: i128,
        /// The largest.
        max: i128,
    },
    /// Int: times a positive constant; an error on overflow.
    IntScale(i64),
    /// Int: divided by a positive constant, rounded toward −∞.
    IntFloorDiv(i64),
    /// Int: what remains of [`Op::IntFloorDiv`], 0 to constant − 1.
    IntFloorMod(i64),

    // Arithmetic: Int, Wide (both of one scale for +, −, // and %), Float; arguments and result of one class.
    /// −x. Int and Wide: checked. Float: flips the sign bit.
    Neg,
    /// |x|. Int and Wide: checked. Float: clears the sign bit.
    Abs,
    /// −1, 0 or 1 as Int, of Int, Wide or Float; 0 for NaN and −0.
    Sign,
    /// x + y. Int: an error beyond i64; Wide: beyond 38 digits. Float: IEEE-754.
    Add,
    /// x − y, likewise.
    Sub,
    /// x · y, likewise.
    Mul,
    /// x / y; an error if y is zero (−0 too). Int and Wide: truncated, an error on overflow. Float: IEEE-754.
    Div,
    /// x − y · trunc(x / y), with the sign of x; an error if y is zero (−0 too). Int and Wide: MIN % −1 = 0. Float:
    /// exact (C's `fmod`).
    Rem,
    /// Float: the square root, correctly rounded; NaN below zero.
    Sqrt,
    /// Float: rounded to an integral value; the sign of zero is kept.
    FloatRound(Rounding),
    /// Float → Bool.
    IsNan,
    /// Float → Bool: neither NaN nor infinite.
    IsFinite,

    // Comparisons: two arguments of one class (Bool, Int, Wide of one scale, Float, Str) → Bool. Floats: −0 = +0,
    // NaN = NaN, NaN above everything. false < true. Strings by bytes.
    /// x = y
    Eq,
    /// x < y
    Lt,
    /// x ≤ y
    Le,
    /// The smaller of two (the class of the node); a null is ignored, so null only if both are; an error in either
    /// is an error. Floats in the total order −NaN = NaN largest, −0 < +0. Of two equal ones the first.
    Min2,
    /// The larger of two, likewise.
    Max2,

    // Logic.
    /// Three-valued: false if either is false, else an error if either is one, else null if either is null, else true.
    And,
    /// Three-valued: true if either is true, else an error if either is one, else null if either is null, else false.
    Or,
    /// Bool.
    Not,
    /// Any class → Bool; an error stays an error.
    IsNull,
    /// (condition, a, b): a where the condition is true, b where it is false or null, an error where it is one. The
    /// one not taken may be null or an error; that is dropped.
    Select,
    /// The argument, with null for an error.
    Try,

    // Dates: Int, from a day number. It is a date's, which fits i32, or a timestamp's, at most 2^63 seconds: |days| < 2^47.
    /// A field of the date.
    DatePart(DateField),
    /// The day number of the start of the period. Never fails.
    DateTrunc(DatePeriod),

    // On the host only (see Node::is_host_only).
    /// A function of one string, and constants: evaluated once for each distinct string. Result of any class.
    StrLut(TextCall),
    /// A function of several arguments, strings among them, row by row. Result of any class.
    StrRow(TextCall),
    /// Any class but Str → Str: the text of the value as a value of the argument's type.
    Format,
    /// Float: x to the power y.
    Pow,
    /// Float: e to the power x.
    Exp,
    /// Float: the natural logarithm.
    Ln,
    /// Float: the logarithm to base 10.
    Log10,
}

impl Node {
    /// Whether only the host can compute it, whatever device a job runs on: string functions, transcendental
    /// functions (by the `libm` crate, so that every machine gives the same bits), and everything that compares or
    /// makes strings. A string *column* is not: its codes travel.
    pub fn is_host_only(&self, program: &Program) -> bool {
        match self.op {
            Op::StrLut(_) | Op::StrRow(_) | Op::Format | Op::Pow | Op::Exp | Op::Ln | Op::Log10 => true,
            Op::Column(_) | Op::Retype | Op::Try | Op::IsNull => false,
            _ => self.class == Class::Str || self.args.iter().any(|a| program.nodes[a.index()].class == Class::Str),
        }
    }
}

/// How a program divides between host and device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// What the host computes and hands to the device, as columns: host-only nodes that a device node or an output
    /// needs. Give them to [`Evaluator::columns`](super::Evaluator::columns).
    pub host: Vec<NodeId>,
    /// What the device computes, in topological order; `Op::Column` nodes are among them.
    pub device: Vec<NodeId>,
    /// The program's columns whose raw values the device needs.
    pub columns: Vec<usize>,
}

impl Program {
    /// The node of an id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The nodes needed for `outputs`, themselves included, in topological order.
    pub fn needed(&self, outputs: &[NodeId]) -> Vec<NodeId> {
        self.reach(outputs, |_| false)
    }

    /// Divides the computation of `outputs` between host and device.
    pub fn split(&self, outputs: &[NodeId]) -> Split {
        let mut split = Split::default();
        for id in self.reach(outputs, |node| node.is_host_only(self)) {
            let node = self.node(id);
            if node.is_host_only(self) {
                split.host.push(id);
                continue;
            }
            if let Op::Column(column) = node.op {
                split.columns.push(column);
            }
            split.device.push(id);
        }
        split
    }

    /// Walks from `outputs` to their arguments, not beyond nodes where `stop` holds.
    fn reach(&self, outputs: &[NodeId], stop: impl Fn(&Node) -> bool) -> Vec<NodeId> {
        let mut wanted = vec![false; self.nodes.len()];
        for id in outputs {
            wanted[id.index()] = true;
        }
        for i in (0..self.nodes.len()).rev() {
            if wanted[i] && !stop(&self.nodes[i]) {
                for arg in &self.nodes[i].args {
                    wanted[arg.index()] = true;
                }
            }
        }
        (0..self.nodes.len()).filter(|&i| wanted[i]).map(|i| NodeId(i as u32)).collect()
    }

    /// The dictionary that the codes of a string-valued node are of, where `columns` has those of the program's columns;
    /// `None` for other classes.
    pub fn dictionary(&self, id: NodeId, columns: &[Option<Arc<Dictionary>>]) -> Option<Arc<Dictionary>> {
        match self.origin(id)? {
            Origin::Column(column) => columns.get(column).cloned().flatten(),
            Origin::Node(node) => Some(Arc::clone(self.shared.dictionary(node))),
        }
    }

    /// The dictionaries of strings that nodes have made so far.
    pub fn own_dictionaries(&self) -> impl Iterator<Item = &Arc<Dictionary>> {
        self.shared.dictionaries()
    }

    /// Where the dictionary of a string-valued node comes from; `None` for other classes.
    pub fn origin(&self, id: NodeId) -> Option<Origin> {
        let node = self.node(id);
        if node.class != Class::Str {
            return None;
        }
        Some(match node.op {
            Op::Column(column) => Origin::Column(column),
            Op::Retype | Op::Try => return self.origin(node.args[0]),
            // A choice between strings of one dictionary stays in it.
            Op::Select | Op::Min2 | Op::Max2 => {
                let strings =
                    node.args.iter().filter(|a| self.node(**a).op != Op::Null).filter_map(|a| self.origin(*a));
                let mut origins: Vec<Origin> = strings.collect();
                origins.dedup();
                match origins[..] {
                    [one] => one,
                    _ => Origin::Node(id),
                }
            }
            _ => Origin::Node(id),
        })
    }
}
