//! Prints an expression as SQL that parses back to the same tree.

use std::fmt::{self, Formatter, Write};

use super::tree::{BinaryOp, Expr, ExprNode, UnaryOp};
use crate::column::{Type, Unit, Value};

/// How tightly an expression binds; a child that binds less than its place demands stands in parentheses.
/// Comparisons do not chain, so both their sides must bind tighter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tightness {
    Any,
    Or,
    And,
    Not,
    Compare,
    Sum,
    Product,
    Prefix,
    Primary,
}

fn tightness(node: &ExprNode) -> Tightness {
    match node {
        ExprNode::Binary(op, ..) => match op {
            BinaryOp::Or => Tightness::Or,
            BinaryOp::And => Tightness::And,
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
                Tightness::Compare
            }
            BinaryOp::Add | BinaryOp::Sub => Tightness::Sum,
            // sqlparser puts || with * and /; printing it in parentheses everywhere spares the reader from knowing.
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::IntDiv | BinaryOp::Rem | BinaryOp::Concat => Tightness::Product,
        },
        ExprNode::Unary(UnaryOp::Not, _) => Tightness::Not,
        ExprNode::Unary(UnaryOp::Neg, _) => Tightness::Prefix,
        ExprNode::IsNull { .. }
        | ExprNode::IsBool { .. }
        | ExprNode::Between { .. }
        | ExprNode::InList { .. }
        | ExprNode::Like { .. } => Tightness::Compare,
        // Its right side is read to the end of the text.
        ExprNode::IsDistinct { .. } => Tightness::Any,
        _ => Tightness::Primary,
    }
}

/// Writes `expr`, in parentheses unless it binds at least as tightly as `least`.
fn child(f: &mut Formatter<'_>, expr: &Expr, least: Tightness) -> fmt::Result {
    if tightness(&expr.node) < least { write!(f, "({expr})") } else { write!(f, "{expr}") }
}

fn list(f: &mut Formatter<'_>, items: &[Expr]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
    }
    Ok(())
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { "not " } else { "" };
        match &self.node {
            ExprNode::Column(name) => f.write_str(&quote_name(name)),
            ExprNode::Literal(value, ty) => literal(f, value, ty),
            ExprNode::Unary(UnaryOp::Not, operand) => {
                f.write_str("not ")?;
                child(f, operand, Tightness::Not)
            }
            ExprNode::Unary(UnaryOp::Neg, operand) => {
                // `--` starts a comment, and `-1` is a literal.
                let number = matches!(&operand.node, ExprNode::Literal(v, _) if !matches!(v, Value::Str(_)));
                f.write_char('-')?;
                if number { write!(f, "({operand})") } else { child(f, operand, Tightness::Primary) }
            }
            ExprNode::Binary(op, left, right) => {
                let own = tightness(&self.node);
                let (left_least, right_least) = match own {
                    Tightness::Or => (Tightness::Or, Tightness::And),
                    Tightness::And => (Tightness::And, Tightness::Not),
                    Tightness::Compare => (Tightness::Sum, Tightness::Sum),
                    Tightness::Sum => (Tightness::Sum, Tightness::Product),
                    _ => (Tightness::Product, Tightness::Prefix),
                };
                child(f, left, left_least)?;
                write!(f, " {} ", op.symbol())?;
                child(f, right, right_least)
            }
            ExprNode::IsNull { operand, negated } => {
                child(f, operand, Tightness::Sum)?;
                write!(f, " is {}null", not(negated))
            }
            ExprNode::IsBool { operand, value, negated } => {
                child(f, operand, Tightness::Sum)?;
                write!(f, " is {}{value}", not(negated))
            }
            ExprNode::IsDistinct { left, right, negated } => {
                child(f, left, Tightness::Sum)?;
                write!(f, " is {}distinct from ", not(negated))?;
                child(f, right, Tightness::Primary)
            }
            ExprNode::Between { operand, low, high, negated } => {
                child(f, operand, Tightness::Sum)?;
                write!(f, " {}between ", not(negated))?;
                child(f, low, Tightness::Sum)?;
                f.write_str(" and ")?;
                child(f, high, Tightness::Sum)
            }
            ExprNode::InList { operand, list: items, negated } => {
                child(f, operand, Tightness::Sum)?;
                write!(f, " {}in (", not(negated))?;
                list(f, items)?;
                f.write_char(')')
            }
            ExprNode::Case { operand, whens, else_ } => {
                f.write_str("case ")?;
                if let Some(operand) = operand {
                    write!(f, "{operand} ")?;
                }
                for (when, then) in whens {
                    write!(f, "when {when} then {then} ")?;
                }
                if let Some(else_) = else_ {
                    write!(f, "else {else_} ")?;
                }
                f.write_str("end")
            }
            ExprNode::Cast { operand, ty, try_ } => {
                write!(f, "{}cast({operand} as {ty})", if *try_ { "try_" } else { "" })
            }
            ExprNode::Like { operand, pattern, escape, case_insensitive, negated } => {
                child(f, operand, Tightness::Sum)?;
                write!(f, " {}{} ", not(negated), if *case_insensitive { "ilike" } else { "like" })?;
                child(f, pattern, Tightness::Sum)?;
                match escape {
                    Some(c) => write!(f, " escape {}", quote_text(&c.to_string())),
                    None => Ok(()),
                }
            }
            ExprNode::Call { name, args } => {
                write!(f, "{name}(")?;
                list(f, args)?;
                f.write_char(')')
            }
        }
    }
}

fn literal(f: &mut Formatter<'_>, value: &Value, ty: &Type) -> fmt::Result {
    let text = value.text(ty);
    match (value, ty) {
        (Value::Null, _) => f.write_str("null"),
        (Value::Str(text), _) => f.write_str(&quote_text(text)),
        (_, Type::Date) => write!(f, "date '{text}'"),
        (_, Type::Timestamp(Unit::Micro)) => write!(f, "timestamp '{text}'"),
        (_, Type::Timestamp(unit)) => write!(f, "timestamp({}) '{text}'", unit.digits()),
        (_, Type::Decimal { scale: 1.., .. }) => write!(f, "cast('{text}' as {ty})"),
        _ => f.write_str(&text),
    }
}

fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A column name as it is written in SQL: in double quotes unless it is a plain word that means nothing else.
pub(crate) fn quote_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(name));
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Words that do not parse as a column name everywhere (a test tries every word the parser knows).
const KEYWORDS: &str = "all and any array as asc between case cast desc distinct else end escape except exists false \
    from having in interval intersect is like ilike limit not null nulls or order over returning select some then trim \
    true union when where";
