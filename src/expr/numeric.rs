//! Arithmetic, comparison and common types: which conversions stand between two operands.

use super::bind::Binder;
use super::build::digits;
use super::parse_value::parse_value;
use super::program::{NodeId, Op, Rounding};
use super::text::TextFn;
use super::tree::{BinaryOp, Expr, ExprNode};
use crate::column::{Class, Type, Unit, Value};
use crate::{Error, Result};

/// The decimal an integer or decimal type computes as: (precision, scale).
pub(super) fn as_decimal(ty: &Type) -> (u8, u8) {
    (digits(ty) as u8, ty.scale())
}

/// A decimal type; the precision is cut to 38.
pub(super) fn decimal(precision: u32, scale: u8) -> Type {
    Type::Decimal { precision: precision.clamp(1, 38) as u8, scale }
}

fn is_time(ty: &Type) -> bool {
    matches!(ty, Type::Date | Type::Timestamp(_))
}

/// The unit a date or timestamp is counted in when both are made timestamps.
fn unit_of(ty: &Type) -> Unit {
    if let Type::Timestamp(unit) = ty { *unit } else { Unit::Second }
}

/// Class Int, and a number (dates are not).
fn is_small_integer(ty: &Type) -> bool {
    ty.is_integer() && *ty != Type::UInt64
}

impl Binder<'_> {
    pub(super) fn ty(&self, id: NodeId) -> Type {
        self.node(id).ty.clone()
    }

    /// A number as float64.
    pub(super) fn as_float(&mut self, id: NodeId) -> NodeId {
        let ty = self.ty(id);
        match ty.class() {
            _ if ty == Type::Null => self.retype_null(id, Type::Float64),
            Some(Class::Float) => id,
            Some(Class::Wide) => self.push(Op::WideToFloat { scale: ty.scale() }, vec![id], Type::Float64),
            _ => self.push(Op::IntToFloat, vec![id], Type::Float64),
        }
    }

    /// An integer or decimal as class Wide, at its own scale.
    pub(super) fn as_wide(&mut self, id: NodeId) -> NodeId {
        let ty = self.ty(id);
        if ty.class() == Some(Class::Wide) {
            return id;
        }
        self.push(Op::IntToWide, vec![id], decimal(digits(&ty), 0))
    }

    /// An integer or decimal as class Wide, at a scale not below its own.
    pub(super) fn at_scale(&mut self, id: NodeId, scale: u8) -> NodeId {
        let id = self.as_wide(id);
        let ty = self.ty(id);
        match scale.saturating_sub(ty.scale()) {
            0 => id,
            up => self.push(Op::WideScaleUp { digits: up }, vec![id], decimal(digits(&ty) + u32::from(up), scale)),
        }
    }

    /// A date or timestamp as a timestamp of a unit not coarser than its own; an error in a row that does not fit.
    pub(super) fn at_unit(&mut self, id: NodeId, unit: Unit) -> NodeId {
        let ty = self.ty(id);
        let by = match ty {
            Type::Date => 86_400 * unit.per_second(),
            ty => unit.per_second() / unit_of(&ty).per_second(),
        };
        let ty = Type::Timestamp(unit);
        if by == 1 { self.push(Op::Retype, vec![id], ty) } else { self.push(Op::IntScale(by), vec![id], ty) }
    }

    pub(super) fn negate(&mut self, id: NodeId, expr: &Expr) -> Result<NodeId> {
        let ty = self.ty(id);
        let result = match ty {
            Type::Null => return Ok(id),
            ref t if is_small_integer(t) => Type::Int64,
            ref t if t.is_float() => Type::Float64,
            Type::UInt64 | Type::Decimal { .. } => decimal(digits(&ty), ty.scale()),
            ref t => return Err(self.error(expr, format!("cannot negate {t} in `{expr}`"), &number_help(expr, t))),
        };
        Ok(self.push(Op::Neg, vec![id], result))
    }

    pub(super) fn arithmetic(&mut self, op: BinaryOp, a: NodeId, b: NodeId, expr: &Expr) -> Result<NodeId> {
        let (a, b) = self.type_nulls(a, b);
        let (left, right) = (self.ty(a), self.ty(b));
        if left == Type::Null {
            return Ok(self.push(Op::And, vec![a, b], Type::Null));
        }
        if is_time(&left) || is_time(&right) {
            return self.time_arithmetic(op, a, b, expr);
        }
        if !left.is_numeric() || !right.is_numeric() {
            let (wrong, side) = if left.is_numeric() { (&right, 1) } else { (&left, 0) };
            let operand = expr.children().get(side).map_or_else(|| expr.clone(), |e| (*e).clone());
            let message = format!("cannot compute {left} {} {right} in `{expr}`", op.symbol());
            return Err(self.error(&operand, message, &number_help(&operand, wrong)));
        }
        if op == BinaryOp::Div || left.is_float() || right.is_float() {
            let (a, b) = (self.as_float(a), self.as_float(b));
            let code = match op {
                BinaryOp::Add => Op::Add,
                BinaryOp::Sub => Op::Sub,
                BinaryOp::Mul => Op::Mul,
                BinaryOp::Rem => Op::Rem,
                _ => Op::Div,
            };
            let result = self.push(code, vec![a, b], Type::Float64);
            return Ok(match op {
                BinaryOp::IntDiv => self.push(Op::FloatRound(Rounding::Trunc), vec![result], Type::Float64),
                _ => result,
            });
        }
        let code = match op {
            BinaryOp::Add => Op::Add,
            BinaryOp::Sub => Op::Sub,
            BinaryOp::Mul => Op::Mul,
            BinaryOp::Rem => Op::Rem,
            _ => Op::Div,
        };
        if is_small_integer(&left) && is_small_integer(&right) {
            return Ok(self.push(code, vec![a, b], Type::Int64));
        }
        let ((p1, s1), (p2, s2)) = (as_decimal(&left), as_decimal(&right));
        if op == BinaryOp::Mul {
            let scale = s1 + s2;
            if scale > 38 {
                let message =
                    format!("{left} * {right} has {scale} digits after the point in `{expr}`; the most is 38");
                let help = "cast one side to a decimal with fewer, or to float64";
                return Err(self.error(expr, message, help));
            }
            let (a, b) = (self.as_wide(a), self.as_wide(b));
            return Ok(self.push(Op::Mul, vec![a, b], decimal(u32::from(p1 + p2), scale)));
        }
        let scale = s1.max(s2);
        let whole = u32::from((p1 - s1).max(p2 - s2));
        let (a, b) = (self.at_scale(a, scale), self.at_scale(b, scale));
        let ty = match op {
            BinaryOp::IntDiv => decimal(u32::from(p1 - s1 + scale), 0),
            BinaryOp::Rem => decimal(whole + u32::from(scale), scale),
            _ => decimal(whole + u32::from(scale) + 1, scale),
        };
        Ok(self.push(code, vec![a, b], ty))
    }

    /// Gives a null without a type the type of the other side.
    fn type_nulls(&mut self, a: NodeId, b: NodeId) -> (NodeId, NodeId) {
        match (self.ty(a), self.ty(b)) {
            (Type::Null, Type::Null) => (a, b),
            (Type::Null, ty) => (self.retype_null(a, ty), b),
            (ty, Type::Null) => (a, self.retype_null(b, ty)),
            _ => (a, b),
        }
    }

    fn time_arithmetic(&mut self, op: BinaryOp, a: NodeId, b: NodeId, expr: &Expr) -> Result<NodeId> {
        let (left, right) = (self.ty(a), self.ty(b));
        let days = |binder: &mut Self, code, args| {
            let sum = binder.push(code, args, Type::Int64);
            let range = Op::IntRange { min: i32::MIN.into(), max: i32::MAX.into() };
            binder.push(range, vec![sum], Type::Date)
        };
        match (op, &left, &right) {
            (BinaryOp::Add, Type::Date, ty) if is_small_integer(ty) => Ok(days(self, Op::Add, vec![a, b])),
            (BinaryOp::Add, ty, Type::Date) if is_small_integer(ty) => Ok(days(self, Op::Add, vec![a, b])),
            (BinaryOp::Sub, Type::Date, ty) if is_small_integer(ty) => Ok(days(self, Op::Sub, vec![a, b])),
            (BinaryOp::Sub, Type::Date, Type::Date) => Ok(self.push(Op::Sub, vec![a, b], Type::Int64)),
            (BinaryOp::Sub, _, _) if is_time(&left) && is_time(&right) => {
                let unit = unit_of(&left).max(unit_of(&right));
                let (a, b) = (self.at_unit(a, unit), self.at_unit(b, unit));
                Ok(self.push(Op::Sub, vec![a, b], Type::Int64))
            }
            _ => {
                let help = match (&left, &right) {
                    (Type::Timestamp(unit), _) if right.is_integer() => format!(
                        "a date plus an integer adds days; for ticks write cast(cast(x as int64) {} n as timestamp({}))",
                        op.symbol(),
                        unit.name()
                    ),
                    (Type::Date, Type::Str) | (Type::Str, Type::Date) => "write a date as date '2013-01-31'".to_owned(),
                    _ => "dates know: date + days, date - days, date - date, timestamp - timestamp".to_owned(),
                };
                Err(self.error(expr, format!("cannot compute {left} {} {right} in `{expr}`", op.symbol()), &help))
            }
        }
    }

    /// `a op b` for the six comparisons.
    pub(super) fn compare(&mut self, op: BinaryOp, a: NodeId, b: NodeId, expr: &Expr) -> Result<NodeId> {
        match op {
            BinaryOp::Ne => {
                let equal = self.compare(BinaryOp::Eq, a, b, expr)?;
                Ok(self.not(equal))
            }
            BinaryOp::Gt => self.compare_as(Op::Lt, b, a, true, expr),
            BinaryOp::Ge => self.compare_as(Op::Le, b, a, true, expr),
            BinaryOp::Lt => self.compare_as(Op::Lt, a, b, false, expr),
            BinaryOp::Le => self.compare_as(Op::Le, a, b, false, expr),
            _ => self.compare_as(Op::Eq, a, b, false, expr),
        }
    }

    fn compare_as(&mut self, op: Op, a: NodeId, b: NodeId, swapped: bool, expr: &Expr) -> Result<NodeId> {
        let (a, b) = self.type_nulls(a, b);
        let (a, b) = (self.text_as_time(a, b, expr)?, self.text_as_time(b, a, expr)?);
        let (left, right) = (self.ty(a), self.ty(b));
        if left == right
            || (is_small_integer(&left) && is_small_integer(&right))
            || (left.is_float() && right.is_float())
        {
            if left != Type::Str || (self.builder.constant(a).is_none() && self.builder.constant(b).is_none()) {
                return Ok(self.push(op, vec![a, b], Type::Bool));
            }
            let function = match op {
                Op::Eq => TextFn::Eq,
                Op::Lt => TextFn::Lt,
                _ => TextFn::Le,
            };
            return self.text_call(function, vec![a, b], Type::Bool, expr);
        }
        if left.is_numeric() && right.is_numeric() {
            if left.is_float() || right.is_float() {
                let (a, b) = (self.as_float(a), self.as_float(b));
                return Ok(self.push(op, vec![a, b], Type::Bool));
            }
            let (a, b) = (self.as_wide(a), self.as_wide(b));
            return Ok(self.compare_decimals(op, a, b));
        }
        if is_time(&left) && is_time(&right) {
            let (a, b) = (self.ticks(a), self.ticks(b));
            return Ok(self.compare_decimals(op, a, b));
        }
        let (left, right) = if swapped { (right, left) } else { (left, right) };
        let help = self.mismatch_help(&left, &right, expr);
        Err(self.error(expr, format!("cannot compare {left} with {right} in `{expr}`"), &help))
    }

    /// What would make a comparison right, said with its operands where they are to be had.
    fn mismatch_help(&self, left: &Type, right: &Type, expr: &Expr) -> String {
        let operands = expr.children();
        let pairs =
            [(left, right, operands.first(), operands.get(1)), (right, left, operands.get(1), operands.first())];
        for (text, other, text_expr, other_expr) in pairs {
            if *text != Type::Str {
                continue;
            }
            return match (text_expr.map(|e| &e.node), other_expr) {
                (Some(ExprNode::Literal(Value::Str(t), _)), _) if parse_value(t, other).is_ok() => {
                    format!("write {} without quotes", t.trim())
                }
                (Some(ExprNode::Literal(..)), Some(e)) => format!("write cast({e} as string)"),
                (Some(_), _) => {
                    format!("write cast({} as {other})", text_expr.map_or(String::new(), |e| e.to_string()))
                }
                _ => format!("cast one side: cast(… as {other})"),
            };
        }
        match (left, right) {
            (Type::Bool, ty) | (ty, Type::Bool) if ty.is_numeric() => {
                "write true or false instead of a number".to_owned()
            }
            _ => format!("cast one side: cast(… as {left})"),
        }
    }

    /// A constant string beside a date or timestamp is read as one.
    fn text_as_time(&mut self, id: NodeId, beside: NodeId, expr: &Expr) -> Result<NodeId> {
        let ty = self.ty(beside);
        let (true, Some(Value::Str(text))) = (is_time(&ty), self.builder.constant(id)) else {
            return Ok(id);
        };
        let text = text.clone();
        if let Ok(value) = parse_value(&text, &Type::Date) {
            return Ok(match ty {
                Type::Date => self.builder.literal(value, Type::Date),
                _ => {
                    let date = self.builder.literal(value, Type::Date);
                    self.literal_at(date, &ty)
                }
            });
        }
        // The finest unit that holds the text; a coarser column is compared with it exactly.
        for unit in [Unit::Nano, Unit::Micro, Unit::Milli, Unit::Second] {
            if let Ok(value) = parse_value(&text, &Type::Timestamp(unit)) {
                let literal = self.builder.literal(value, Type::Timestamp(unit));
                return Ok(self.literal_at(literal, &ty));
            }
        }
        let article = if ty == Type::Date { "YYYY-MM-DD" } else { "YYYY-MM-DD hh:mm:ss" };
        Err(self.error(expr, format!("'{text}' cannot be read as {ty} in `{expr}`"), &format!("write '{article}'")))
    }

    /// A constant date or timestamp in the unit of `ty`, if it is exact there; as it is otherwise.
    fn literal_at(&mut self, id: NodeId, ty: &Type) -> NodeId {
        let (from, Some(Value::Int(value))) = (self.ty(id), self.builder.constant(id)) else {
            return id;
        };
        let ticks = |ty: &Type| match ty {
            Type::Date => 86_400_000_000_000,
            ty => 1_000_000_000 / i128::from(unit_of(ty).per_second()),
        };
        let nanos = i128::from(*value) * ticks(&from);
        match i64::try_from(nanos.div_euclid(ticks(ty))) {
            Ok(exact) if nanos % ticks(ty) == 0 => self.builder.literal(Value::Int(exact), ty.clone()),
            _ => id,
        }
    }

    /// A date or timestamp as an exact count of seconds, class Wide.
    fn ticks(&mut self, id: NodeId) -> NodeId {
        let ty = self.ty(id);
        let id = if ty == Type::Date { self.push(Op::IntScale(86_400), vec![id], Type::Int64) } else { id };
        self.push(Op::IntToWide, vec![id], decimal(19 + 9, unit_of(&ty).digits()))
    }

    /// Compares two of class Wide, exactly, whatever their scales.
    fn compare_decimals(&mut self, op: Op, a: NodeId, b: NodeId) -> NodeId {
        let (left, right) = (self.ty(a), self.ty(b));
        let (s1, s2) = (left.scale(), right.scale());
        let up = s1.abs_diff(s2);
        let coarse_is_a = s1 < s2;
        let coarse = if coarse_is_a { &left } else { &right };
        if digits(coarse) + u32::from(up) <= 38 {
            let (a, b) = (self.at_scale(a, s1.max(s2)), self.at_scale(b, s1.max(s2)));
            return self.push(op, vec![a, b], Type::Bool);
        }
        // Scaling the coarse side up might overflow. Cut the fine side instead: for whole n and any x,
        // n < x ⇔ n < ⌈x⌉, n ≤ x ⇔ n ≤ ⌊x⌋, x < n ⇔ ⌊x⌋ < n, x ≤ n ⇔ ⌈x⌉ ≤ n, x = n ⇔ ⌊x⌋ = n = ⌈x⌉.
        let (fine, fine_ty) = if coarse_is_a { (b, right) } else { (a, left.clone()) };
        let ty = decimal(digits(&fine_ty) + 1 - u32::from(up).min(digits(&fine_ty)), s1.min(s2));
        let mut cut = |rounding| self.push(Op::WideRound { digits: up, rounding }, vec![fine], ty.clone());
        let (floor, ceil) = (cut(Rounding::Floor), cut(Rounding::Ceil));
        match (op, coarse_is_a) {
            (Op::Lt, true) => self.push(Op::Lt, vec![a, ceil], Type::Bool),
            (Op::Le, true) => self.push(Op::Le, vec![a, floor], Type::Bool),
            (Op::Lt, false) => self.push(Op::Lt, vec![floor, b], Type::Bool),
            (Op::Le, false) => self.push(Op::Le, vec![ceil, b], Type::Bool),
            (_, coarse_is_a) => {
                let whole = if coarse_is_a { a } else { b };
                let (low, high) = (
                    self.push(Op::Eq, vec![floor, whole], Type::Bool),
                    self.push(Op::Eq, vec![ceil, whole], Type::Bool),
                );
                self.logic(true, low, high)
            }
        }
    }

    /// All of one type, converted without loss.
    pub(super) fn common(&mut self, ids: &[NodeId], what: &str, expr: &Expr) -> Result<Vec<NodeId>> {
        // Constant strings beside dates are read as dates, as in comparisons.
        let time = ids.iter().copied().find(|id| is_time(&self.node(*id).ty));
        let ids = match time {
            Some(time) => ids.iter().map(|id| self.text_as_time(*id, time, expr)).collect::<Result<Vec<_>>>()?,
            None => ids.to_vec(),
        };
        let mut common = Type::Null;
        for id in &ids {
            let ty = self.ty(*id);
            common = match self.common_type(&common, &ty, &ids) {
                Some(ty) => ty,
                None => {
                    let help = match (&common, &ty) {
                        (Type::Str, other) | (other, Type::Str) => format!("cast the {other} to string"),
                        _ => format!("cast one to {common}"),
                    };
                    let message = format!("{what} are {common} and {ty} in `{expr}`; they need one type");
                    return Err(self.error(expr, message, &help));
                }
            };
        }
        ids.iter().map(|id| self.widen_to(*id, &common, expr)).collect()
    }

    fn common_type(&self, a: &Type, b: &Type, ids: &[NodeId]) -> Option<Type> {
        Some(match (a, b) {
            (a, b) if a == b => a.clone(),
            (Type::Null, ty) | (ty, Type::Null) => ty.clone(),
            (a, b) if a.is_float() || b.is_float() => (a.is_numeric() && b.is_numeric()).then_some(Type::Float64)?,
            (a, b) if is_small_integer(a) && is_small_integer(b) => Type::Int64,
            // Constants do not turn a uint64 into a decimal.
            (Type::UInt64, other) | (other, Type::UInt64) if is_small_integer(other) && self.all_natural(ids) => {
                Type::UInt64
            }
            (a, b) if a.is_numeric() && b.is_numeric() => {
                let ((p1, s1), (p2, s2)) = (as_decimal(a), as_decimal(b));
                decimal(u32::from((p1 - s1).max(p2 - s2)) + u32::from(s1.max(s2)), s1.max(s2))
            }
            (a, b) if is_time(a) && is_time(b) => Type::Timestamp(unit_of(a).max(unit_of(b))),
            _ => return None,
        })
    }

    /// Whether every small integer among these is a constant not below zero.
    fn all_natural(&self, ids: &[NodeId]) -> bool {
        ids.iter().all(|id| {
            !is_small_integer(&self.node(*id).ty) || matches!(self.builder.constant(*id), Some(Value::Int(0..)))
        })
    }

    /// `id` as the type [`Binder::common`] chose.
    fn widen_to(&mut self, id: NodeId, ty: &Type, expr: &Expr) -> Result<NodeId> {
        let from = self.ty(id);
        if from == *ty {
            return Ok(id);
        }
        Ok(match ty {
            ty if from == Type::Null => self.retype_null(id, ty.clone()),
            Type::Float64 if from.is_float() => self.push(Op::Retype, vec![id], Type::Float64),
            Type::Float64 => self.as_float(id),
            Type::Int64 => self.push(Op::Retype, vec![id], Type::Int64),
            Type::Timestamp(unit) => self.at_unit(id, *unit),
            Type::UInt64 | Type::Decimal { .. } => {
                let scaled = self.at_scale(id, ty.scale());
                self.push(Op::Retype, vec![scaled], ty.clone())
            }
            ty => return Err(Error::internal(format!("no way from {from} to {ty} in `{expr}`"))),
        })
    }
}

/// What would make a number of it.
fn number_help(expr: &Expr, ty: &Type) -> String {
    match (&expr.node, ty) {
        (ExprNode::Literal(Value::Str(text), _), Type::Str) if parse_value(text, &Type::Float64).is_ok() => {
            format!("write {} without quotes", text.trim())
        }
        (_, Type::Str) => format!("write cast({expr} as float64)"),
        (_, Type::Bool) => format!("write cast({expr} as int64)"),
        (_, Type::Date | Type::Timestamp(_)) => "a date plus an integer adds days".to_owned(),
        _ => String::new(),
    }
}
