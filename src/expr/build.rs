//! Puts a program together: merges equal nodes, folds constants, and works out for each node whether it can fail, be
//! null, and what range it has.
//!
//! Folding never changes which rows are errors: a constant operation that fails stays in the program and fails where
//! its value is needed.

use std::collections::HashMap;

use super::lut::Shared;
use super::program::{DateField, InputColumn, Node, NodeId, Op, Program};
use super::row;
use super::text::TextFn;
use crate::column::{Class, Type, Value};

/// Everything: the range of a node nothing is known of.
pub(super) const ANY: (i64, i64) = (i64::MIN, i64::MAX);

/// A program being made.
#[derive(Debug, Default)]
pub(super) struct Builder {
    columns: Vec<InputColumn>,
    nodes: Vec<Node>,
    known: HashMap<String, NodeId>,
}

impl Builder {
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The constant a node is; `Value::Null` for null.
    pub fn constant(&self, id: NodeId) -> Option<&Value> {
        match &self.node(id).op {
            Op::Literal(value) => Some(value),
            Op::Null => Some(&Value::Null),
            _ => None,
        }
    }

    pub fn finish(self) -> Program {
        let shared = Shared::new(self.nodes.len());
        Program { columns: self.columns, nodes: self.nodes, shared }
    }

    pub fn column(&mut self, column: usize, name: &str, ty: Type) -> NodeId {
        let index = self.columns.iter().position(|c| c.column == column).unwrap_or_else(|| {
            self.columns.push(InputColumn { column, name: name.to_owned(), ty: ty.clone() });
            self.columns.len() - 1
        });
        self.push(Op::Column(index), vec![], ty, &super::display::quote_name(name))
    }

    /// A constant of type `ty`.
    pub fn literal(&mut self, value: Value, ty: Type) -> NodeId {
        let text = if value.is_null() { "null".to_owned() } else { value.text(&ty) };
        let op = if value.is_null() { Op::Null } else { Op::Literal(value) };
        self.push(op, vec![], ty, &text)
    }

    /// Adds an operation, or finds what makes it needless.
    pub fn push(&mut self, op: Op, args: Vec<NodeId>, ty: Type, text: &str) -> NodeId {
        if let Some(id) = self.simpler(&op, &args, &ty) {
            return id;
        }
        let key = format!("{op:?} {args:?} {ty:?}");
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let id = NodeId(self.nodes.len() as u32);
        let class = ty.class().unwrap_or(Class::Bool);
        let mut node = Node {
            op,
            args,
            ty,
            class,
            can_fail: false,
            checks: false,
            nullable: true,
            range: ANY,
            text: text.to_owned(),
        };
        node.range = self.range(&node);
        node.checks = self.checks(&node);
        node.can_fail = node.op != Op::Try && (node.checks || node.args.iter().any(|a| self.node(*a).can_fail));
        node.nullable = self.nullable(&node);
        if let Some(folded) = self.fold(&node, id) {
            return self.literal(folded, node.ty);
        }
        self.nodes.push(node);
        self.known.insert(key, id);
        id
    }

    /// The value of an operation on constants, if it has one.
    fn fold(&self, node: &Node, id: NodeId) -> Option<Value> {
        if matches!(node.op, Op::Column(_) | Op::Literal(_) | Op::Null) {
            return None;
        }
        let args: Option<Vec<_>> = node.args.iter().map(|a| self.constant(*a).cloned().map(Ok)).collect();
        row::apply(node, id, &args?, &|arg| self.node(arg).ty.clone()).ok()
    }

    /// A node that gives the same rows as this operation would, errors included.
    fn simpler(&mut self, op: &Op, args: &[NodeId], ty: &Type) -> Option<NodeId> {
        let constant = |i: usize| args.get(i).and_then(|a| self.constant(*a));
        match op {
            Op::Column(_) | Op::Literal(_) | Op::Null => None,
            Op::Retype if self.node(args[0]).ty == *ty => Some(args[0]),
            Op::Try if !self.node(args[0]).can_fail => Some(args[0]),
            Op::IsNull if !self.node(args[0]).nullable && !self.node(args[0]).can_fail => {
                Some(self.literal(Value::Bool(false), Type::Bool))
            }
            Op::And | Op::Or => {
                let decisive = Value::Bool(*op == Op::Or);
                for (this, other) in [(0, args[1]), (1, args[0])] {
                    match constant(this) {
                        Some(v) if *v == decisive => return Some(args[this]),
                        Some(Value::Bool(_)) => return Some(other),
                        _ => {}
                    }
                }
                (args[0] == args[1]).then_some(args[0])
            }
            Op::Select => match constant(0) {
                Some(Value::Bool(true)) => Some(args[1]),
                Some(_) => Some(args[2]),
                None => None,
            },
            Op::Min2 | Op::Max2 => match (constant(0), constant(1)) {
                (Some(Value::Null), _) => Some(args[1]),
                (_, Some(Value::Null)) => Some(args[0]),
                _ if args[0] == args[1] => Some(args[0]),
                _ => None,
            },
            Op::StrRow(call) if call.function == TextFn::ConcatSkipNull => None,
            // Null in, null out; unless there may be an error, which is stronger.
            _ if (0..args.len()).any(|i| constant(i) == Some(&Value::Null))
                && args.iter().all(|a| !self.node(*a).can_fail)
                && *op != Op::IsNull =>
            {
                Some(self.literal(Value::Null, ty.clone()))
            }
            _ => None,
        }
    }

    fn arg(&self, node: &Node, i: usize) -> &Node {
        self.node(node.args[i])
    }

    fn nullable(&self, node: &Node) -> bool {
        let any = || node.args.iter().any(|a| self.node(*a).nullable);
        match &node.op {
            Op::Column(_) | Op::Null => true,
            Op::Literal(_) | Op::IsNull => false,
            Op::Try => any() || self.arg(node, 0).can_fail,
            Op::Select => {
                let not = self.arg(node, 0);
                let tested =
                    not.args.first().map(|id| self.node(*id)).filter(|n| not.op == Op::Not && n.op == Op::IsNull);
                // `coalesce`: taken only where it is not null.
                let present = tested.is_some_and(|is_null| is_null.args[0] == node.args[1]);
                (self.arg(node, 1).nullable && !present) || self.arg(node, 2).nullable
            }
            Op::Min2 | Op::Max2 => node.args.iter().all(|a| self.node(*a).nullable),
            Op::StrLut(call) | Op::StrRow(call) => {
                call.function != TextFn::ConcatSkipNull && (any() || call.params.contains(&Some(Value::Null)))
            }
            _ => any(),
        }
    }

    /// Whether the operation itself can fail, whatever its arguments' errors.
    fn checks(&self, node: &Node) -> bool {
        let outside = |exact: Option<(i128, i128)>| exact.is_none_or(|(low, high)| !fits(low) || !fits(high));
        let wide = || node.args.iter().map(|a| digits(&self.node(*a).ty)).collect::<Vec<u32>>();
        match &node.op {
            Op::Add | Op::Sub | Op::Mul | Op::Neg | Op::Abs if node.class == Class::Int => {
                outside(self.exact_range(node))
            }
            Op::IntScale(_) => outside(self.exact_range(node)),
            Op::Add | Op::Sub if node.class == Class::Wide => wide().into_iter().max().unwrap_or(38) + 1 > 38,
            Op::Mul if node.class == Class::Wide => wide().into_iter().sum::<u32>() > 38,
            Op::Div | Op::Rem => {
                let (a, b) = (self.arg(node, 0), self.arg(node, 1));
                let zero = match (self.constant(node.args[1]), node.class) {
                    (Some(Value::Int(v)), _) => *v == 0,
                    (Some(Value::Wide(v)), _) => *v == 0,
                    (Some(Value::Float(v)), _) => *v == 0.0,
                    (_, Class::Int) => (b.range.0..=b.range.1).contains(&0),
                    _ => true,
                };
                let overflow = node.op == Op::Div
                    && node.class == Class::Int
                    && a.range.0 == i64::MIN
                    && (b.range.0..=b.range.1).contains(&-1);
                zero || overflow
            }
            Op::WideToInt => digits(&self.arg(node, 0).ty) > 18,
            Op::WideScaleUp { digits: up } => digits(&self.arg(node, 0).ty) + u32::from(*up) > 38,
            Op::FloatToInt | Op::FloatToWide { .. } | Op::FloatToFloat32 => true,
            Op::IntRange { min, max } => {
                let (low, high) = self.arg(node, 0).range;
                low < *min || high > *max
            }
            Op::WideRange { min, max } => {
                let most = 10i128.pow(digits(&self.arg(node, 0).ty)) - 1;
                *min > -most || *max < most
            }
            Op::StrLut(call) | Op::StrRow(call) => call.can_fail(),
            _ => false,
        }
    }

    /// The range of an operation of class Int in exact arithmetic; `None` if it overflows even i128.
    fn exact_range(&self, node: &Node) -> Option<(i128, i128)> {
        let range = |i: usize| {
            let (low, high) = self.arg(node, i).range;
            (i128::from(low), i128::from(high))
        };
        let hull = |values: &[i128]| Some((*values.iter().min()?, *values.iter().max()?));
        match &node.op {
            Op::Add => Some((range(0).0 + range(1).0, range(0).1 + range(1).1)),
            Op::Sub => Some((range(0).0 - range(1).1, range(0).1 - range(1).0)),
            Op::Mul => {
                let ((a, b), (c, d)) = (range(0), range(1));
                hull(&[a * c, a * d, b * c, b * d])
            }
            Op::Neg => Some((-range(0).1, -range(0).0)),
            Op::Abs => {
                let (low, high) = range(0);
                let least = if low <= 0 && high >= 0 { 0 } else { low.abs().min(high.abs()) };
                Some((least, low.abs().max(high.abs())))
            }
            Op::IntScale(by) => Some((range(0).0 * i128::from(*by), range(0).1 * i128::from(*by))),
            Op::IntFloorDiv(by) => Some((range(0).0.div_euclid((*by).into()), range(0).1.div_euclid((*by).into()))),
            Op::IntFloorMod(by) => Some((0, i128::from(*by) - 1)),
            Op::Div => {
                // |x // y| ≤ |x|, and the sign is not traced.
                let most = range(0).0.abs().max(range(0).1.abs());
                Some((if range(0).0 >= 0 && range(1).0 >= 0 { 0 } else { -most }, most))
            }
            Op::Rem => {
                let most = (range(1).0.abs().max(range(1).1.abs()) - 1).max(0);
                let (low, high) = range(0);
                Some((if low >= 0 { 0 } else { (-most).max(low) }, if high <= 0 { 0 } else { most.min(high) }))
            }
            _ => None,
        }
    }

    fn range(&self, node: &Node) -> (i64, i64) {
        if node.class != Class::Int {
            return ANY;
        }
        let hull = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        // What a null contributes to a choice is nothing.
        let arm = |i: usize| (!matches!(self.arg(node, i).op, Op::Null)).then(|| self.arg(node, i).range);
        match &node.op {
            Op::Column(_) => type_range(&node.ty),
            Op::Literal(Value::Int(v)) => (*v, *v),
            Op::Null => (0, 0),
            Op::BoolToInt => (0, 1),
            Op::Sign => (-1, 1),
            Op::Retype | Op::Try => self.arg(node, 0).range,
            Op::IntRange { min, max } => {
                let (low, high) = self.arg(node, 0).range;
                let (low, high) = (low.max(*min), high.min(*max));
                if low <= high { (low, high) } else { (*min, *max) }
            }
            Op::Select => match (arm(1), arm(2)) {
                (Some(a), Some(b)) => hull(a, b),
                (a, b) => a.or(b).unwrap_or((0, 0)),
            },
            Op::Min2 | Op::Max2 => hull(self.arg(node, 0).range, self.arg(node, 1).range),
            Op::DatePart(field) => match field {
                DateField::Year | DateField::IsoYear => {
                    // A year has 365 to 366 days.
                    let (low, high) = self.arg(node, 0).range;
                    let low = if low < 0 { low / 365 } else { low / 366 };
                    let high = if high < 0 { high / 366 } else { high / 365 };
                    (low + 1970 - 2, high + 1970 + 2)
                }
                DateField::Quarter => (1, 4),
                DateField::Month => (1, 12),
                DateField::Week => (1, 53),
                DateField::Day => (1, 31),
                DateField::Dow => (0, 6),
                DateField::IsoDow => (1, 7),
                DateField::Doy => (1, 366),
            },
            Op::DateTrunc(_) => {
                let (low, high) = self.arg(node, 0).range;
                (low.saturating_sub(366), high)
            }
            Op::StrLut(call) | Op::StrRow(call) => match &call.function {
                TextFn::Length => (0, i64::MAX),
                TextFn::Parse(ty) => type_range(ty),
                _ => ANY,
            },
            _ => match self.exact_range(node) {
                Some((low, high)) => (clamp(low), clamp(high)),
                None => ANY,
            },
        }
    }
}

fn fits(value: i128) -> bool {
    i64::try_from(value).is_ok()
}

fn clamp(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// The values a type of class Int holds.
pub(super) fn type_range(ty: &Type) -> (i64, i64) {
    match ty {
        Type::Date => (i32::MIN.into(), i32::MAX.into()),
        ty => ty.integer_range().map_or(ANY, |(low, high)| (clamp(low), clamp(high))),
    }
}

/// Decimal digits of the values of a type of class Wide or Int.
pub(super) fn digits(ty: &Type) -> u32 {
    match ty {
        Type::Decimal { precision, .. } => (*precision).into(),
        Type::UInt64 => 20,
        Type::Int8 | Type::UInt8 => 3,
        Type::Int16 | Type::UInt16 => 5,
        Type::Int32 | Type::UInt32 => 10,
        _ => 19,
    }
}
