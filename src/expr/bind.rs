//! Expression trees → programs: looks names up, checks types, and writes every conversion down as an operation.
//!
//! The rules are in `docs/expressions.md`. `numeric.rs` has arithmetic, comparison and common types, `cast.rs` the
//! casts, `functions.rs` the functions.

use super::build::Builder;
use super::program::{Node, NodeId, Op, Program};
use super::text::{TextCall, TextFn};
use super::tree::{BinaryOp, Expr, ExprNode, UnaryOp};
use crate::column::{Class, FieldType, Schema, Type, Value};
use crate::{Error, Result};

/// Binds expressions to the columns of a schema, all into one program.
///
/// ```
/// use tidemill::column::{Field, Schema, Type, Value};
/// use tidemill::expr::{Binder, eval, parse};
/// let schema = Schema { fields: vec![Field::new("a", Type::Int32), Field::new("b", Type::Float64)] };
/// let mut binder = Binder::new(&schema);
/// let half = binder.bind(&parse("a / 2")?)?;
/// binder.define("half", half);
/// let test = binder.bind(&parse("half > b")?)?;
/// let program = binder.finish();
/// assert_eq!(program.node(half).ty, Type::Float64);
/// assert_eq!(eval(&program, test, &[Value::Int(3), Value::Float(1.0)]), Ok(Value::Bool(true)));
/// # Ok::<(), tidemill::Error>(())
/// ```
#[derive(Debug)]
pub struct Binder<'s> {
    schema: &'s Schema,
    /// Names beside the columns; the last definition of a name counts.
    names: Vec<(String, NodeId)>,
    pub(super) builder: Builder,
    /// The text of the expression being bound, for the nodes made for it.
    text: String,
}

impl<'s> Binder<'s> {
    /// A binder without names beside the schema's.
    pub fn new(schema: &'s Schema) -> Self {
        Binder { schema, names: vec![], builder: Builder::default(), text: String::new() }
    }

    /// From now on `name` means the node; it hides a column of that name.
    pub fn define(&mut self, name: impl Into<String>, node: NodeId) {
        self.names.push((name.into(), node));
    }

    /// A node made so far.
    pub fn node(&self, id: NodeId) -> &Node {
        self.builder.node(id)
    }

    /// The program of everything bound.
    pub fn finish(self) -> Program {
        self.builder.finish()
    }

    /// Binds one expression and returns its node.
    ///
    /// # Errors
    /// [`Error::Query`] for an unknown name, an operation its types do not allow, an aggregate where there is a row.
    pub fn bind(&mut self, expr: &Expr) -> Result<NodeId> {
        let outer = std::mem::replace(&mut self.text, expr.to_string());
        let result = match &expr.node {
            // Apart from the rest, whose frame is large: chains of operators are what nests deepest.
            ExprNode::Binary(op, a, b) => self.binary(*op, a, b, expr),
            _ => self.bind_node(expr),
        };
        self.text = outer;
        result
    }

    /// Binds an expression that must be a condition.
    ///
    /// # Errors
    /// As [`Binder::bind`]; also if its type is not bool.
    pub fn bind_condition(&mut self, expr: &Expr) -> Result<NodeId> {
        let id = self.bind(expr)?;
        self.boolean(id, expr)
    }

    fn bind_node(&mut self, expr: &Expr) -> Result<NodeId> {
        match &expr.node {
            ExprNode::Column(name) => self.column(name, expr),
            ExprNode::Literal(value, ty) => Ok(self.builder.literal(value.clone(), ty.clone())),
            ExprNode::Unary(UnaryOp::Neg, x) => {
                let id = self.bind(x)?;
                self.negate(id, expr)
            }
            ExprNode::Unary(UnaryOp::Not, x) => {
                let id = self.bind_condition(x)?;
                Ok(self.not(id))
            }
            ExprNode::Binary(..) => Err(Error::internal("an infix operator among the others")),
            ExprNode::IsNull { operand, negated } => {
                let id = self.bind(operand)?;
                let is_null = self.push(Op::IsNull, vec![id], Type::Bool);
                Ok(self.not_if(*negated, is_null))
            }
            ExprNode::IsBool { operand, value, negated } => {
                let id = self.bind_condition(operand)?;
                let (yes, no) = (self.bool(true), self.bool(false));
                let id = if *value { id } else { self.not(id) };
                let is = self.push(Op::Select, vec![id, yes, no], Type::Bool);
                Ok(self.not_if(*negated, is))
            }
            ExprNode::IsDistinct { left, right, negated } => {
                let (a, b) = (self.bind(left)?, self.bind(right)?);
                let equal = self.compare(BinaryOp::Eq, a, b, expr)?;
                let (null_a, null_b) =
                    (self.push(Op::IsNull, vec![a], Type::Bool), self.push(Op::IsNull, vec![b], Type::Bool));
                let both = self.logic(true, null_a, null_b);
                let yes = self.bool(true);
                let same = self.push(Op::Select, vec![equal, yes, both], Type::Bool);
                Ok(self.not_if(!*negated, same))
            }
            ExprNode::Between { operand, low, high, negated } => {
                let (x, low, high) = (self.bind(operand)?, self.bind(low)?, self.bind(high)?);
                let above = self.compare(BinaryOp::Ge, x, low, expr)?;
                let below = self.compare(BinaryOp::Le, x, high, expr)?;
                let within = self.logic(true, above, below);
                Ok(self.not_if(*negated, within))
            }
            ExprNode::InList { operand, list, negated } => {
                let x = self.bind(operand)?;
                let items = list.iter().map(|item| self.bind(item)).collect::<Result<Vec<_>>>()?;
                let found = self.in_list(x, &items, expr)?;
                Ok(self.not_if(*negated, found))
            }
            ExprNode::Case { operand, whens, else_ } => self.case(operand.as_deref(), whens, else_.as_deref(), expr),
            ExprNode::Cast { operand, ty, try_ } => {
                let id = self.bind(operand)?;
                let cast = self.cast(id, ty, expr)?;
                Ok(if *try_ { self.push(Op::Try, vec![cast], ty.clone()) } else { cast })
            }
            ExprNode::Like { operand, pattern, escape, case_insensitive, negated } => {
                let function = TextFn::Like { case_insensitive: *case_insensitive, escape: *escape };
                let args = vec![self.bind(operand)?, self.bind(pattern)?];
                for (id, arg) in args.iter().zip([operand, pattern]) {
                    self.must_be_text(*id, arg, "like")?;
                }
                let found = self.text_call(function, args, Type::Bool, expr)?;
                Ok(self.not_if(*negated, found))
            }
            ExprNode::Call { name, args } => self.call(name, args, expr),
        }
    }

    fn binary(&mut self, op: BinaryOp, a: &Expr, b: &Expr, expr: &Expr) -> Result<NodeId> {
        let (left, right) = (self.bind(a)?, self.bind(b)?);
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let (left, right) = (self.boolean(left, a)?, self.boolean(right, b)?);
                Ok(self.logic(op == BinaryOp::And, left, right))
            }
            BinaryOp::Concat => {
                self.must_be_text(left, a, "||")?;
                self.must_be_text(right, b, "||")?;
                self.text_call(TextFn::Concat, vec![left, right], Type::Str, expr)
            }
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::IntDiv | BinaryOp::Rem => {
                self.arithmetic(op, left, right, expr)
            }
            _ => self.compare(op, left, right, expr),
        }
    }

    fn column(&mut self, name: &str, expr: &Expr) -> Result<NodeId> {
        let defined = |same: &dyn Fn(&str) -> bool| self.names.iter().rev().find(|(n, _)| same(n)).map(|(_, id)| *id);
        if let Some(id) = defined(&|n| n == name) {
            return Ok(id);
        }
        let found = self.schema.find(name).map_err(|e| self.error(expr, e.to_string(), "use the exact name"))?;
        let exact = found.filter(|&i| self.schema.fields[i].name == name);
        if let (None, Some(id)) = (exact, defined(&|n| n.eq_ignore_ascii_case(name))) {
            return Ok(id);
        }
        let Some(index) = found else {
            let defined = self.names.iter().map(|(n, _)| crate::column::Field::new(n, Type::Bool));
            let all = Schema { fields: self.schema.fields.iter().cloned().chain(defined).collect() };
            let help = match all.nearest(name) {
                Some(near) => format!("did you mean `{}`?", super::display::quote_name(near)),
                None if all.fields.len() <= 20 && !all.fields.is_empty() => {
                    let names: Vec<&str> = all.fields.iter().map(|f| f.name.as_str()).collect();
                    format!("columns: {}", names.join(", "))
                }
                None => "`tidemill schema FILE` lists the columns; a text stands in single quotes".to_owned(),
            };
            return Err(self.error(expr, format!("unknown column `{name}`"), &help));
        };
        let field = &self.schema.fields[index];
        match &field.ty {
            FieldType::Known(ty) if ty.class().is_some() => {
                let (field_name, ty) = (field.name.clone(), ty.clone());
                Ok(self.builder.column(index, &field_name, ty))
            }
            FieldType::Known(ty) => Err(self.error(
                expr,
                format!("column `{name}` is a {ty}; expressions cannot use lists"),
                "unnest it first",
            )),
            FieldType::Unsupported(ty) => Err(self.error(
                expr,
                format!("column `{name}` has type {ty}, which tidemill cannot read"),
                "use other columns, or convert it in the file",
            )),
        }
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        whens: &[(Expr, Expr)],
        else_: Option<&Expr>,
        expr: &Expr,
    ) -> Result<NodeId> {
        let operand = operand.map(|x| self.bind(x)).transpose()?;
        let mut conditions = vec![];
        let mut values = vec![];
        for (when, then) in whens {
            conditions.push(match operand {
                None => self.bind_condition(when)?,
                Some(x) => {
                    let id = self.bind(when)?;
                    self.compare(BinaryOp::Eq, x, id, when)?
                }
            });
            values.push(self.bind(then)?);
        }
        values.push(match else_ {
            Some(e) => self.bind(e)?,
            None => self.builder.literal(Value::Null, Type::Null),
        });
        let values = self.common(&values, "the branches of `case`", expr)?;
        self.choose(&conditions, &values)
    }

    /// The first value whose condition holds; the last value if none does.
    pub(super) fn choose(&mut self, conditions: &[NodeId], values: &[NodeId]) -> Result<NodeId> {
        let Some((last, values)) = values.split_last() else {
            return Err(Error::internal("a choice without values"));
        };
        let mut result = *last;
        for (condition, value) in conditions.iter().zip(values).rev() {
            let ty = self.node(result).ty.clone();
            result = self.push(Op::Select, vec![*condition, *value, result], ty);
        }
        Ok(result)
    }

    fn in_list(&mut self, x: NodeId, items: &[NodeId], expr: &Expr) -> Result<NodeId> {
        let texts: Option<Vec<Value>> = items
            .iter()
            .map(|i| self.builder.constant(*i).filter(|v| matches!(v, Value::Str(_) | Value::Null)).cloned())
            .collect();
        if let (Type::Str, Some(texts)) = (&self.node(x).ty, texts) {
            let known: Vec<Option<Value>> = texts.iter().filter(|v| !v.is_null()).cloned().map(Some).collect();
            let found = if known.is_empty() {
                self.bool(false)
            } else {
                let params = std::iter::once(None).chain(known).collect();
                let call = TextCall::new(TextFn::In, params).map_err(|e| self.error(expr, e, ""))?;
                self.push(Op::StrLut(call), vec![x], Type::Bool)
            };
            if !texts.iter().any(Value::is_null) {
                return Ok(found);
            }
            let null =
                self.compare(BinaryOp::Eq, x, items[texts.iter().position(Value::is_null).unwrap_or(0)], expr)?;
            return Ok(self.logic(false, found, null));
        }
        let mut tests = items.iter().map(|i| self.compare(BinaryOp::Eq, x, *i, expr)).collect::<Result<Vec<_>>>()?;
        // A balanced tree, so that a long list does not make a deep program.
        while tests.len() > 1 {
            tests = tests
                .chunks(2)
                .map(|pair| if let [a, b] = pair { self.logic(false, *a, *b) } else { pair[0] })
                .collect();
        }
        tests.pop().ok_or_else(|| self.error(expr, "`in` needs a value", "write in (a, b)"))
    }

    // What the other files build with.

    /// Adds an operation for the expression being bound.
    /// What is ordered by node `by` and then by node `x`, each of class Int or Float; for aggregates that find the value beside an
    /// extreme.
    pub(crate) fn pair(&mut self, by: NodeId, x: NodeId) -> NodeId {
        let args = [by, x].map(|node| match self.node(node).class {
            Class::Float => self.push(Op::FloatOrder, vec![node], Type::Int64),
            _ => node,
        });
        // All bits are in use: the type says only how wide it is.
        self.push(Op::Pair, args.to_vec(), Type::Decimal { precision: 38, scale: 0 })
    }

    pub(super) fn push(&mut self, op: Op, args: Vec<NodeId>, ty: Type) -> NodeId {
        self.builder.push(op, args, ty, &self.text)
    }

    pub(super) fn bool(&mut self, value: bool) -> NodeId {
        self.builder.literal(Value::Bool(value), Type::Bool)
    }

    pub(super) fn int(&mut self, value: i64) -> NodeId {
        self.builder.literal(Value::Int(value), Type::Int64)
    }

    pub(super) fn float(&mut self, value: f64) -> NodeId {
        self.builder.literal(Value::Float(value), Type::Float64)
    }

    pub(super) fn null(&mut self, ty: Type) -> NodeId {
        self.builder.literal(Value::Null, ty)
    }

    pub(super) fn not(&mut self, id: NodeId) -> NodeId {
        self.push(Op::Not, vec![id], Type::Bool)
    }

    pub(super) fn not_if(&mut self, negated: bool, id: NodeId) -> NodeId {
        if negated { self.not(id) } else { id }
    }

    pub(super) fn logic(&mut self, and: bool, a: NodeId, b: NodeId) -> NodeId {
        self.push(if and { Op::And } else { Op::Or }, vec![a, b], Type::Bool)
    }

    pub(super) fn boolean(&mut self, id: NodeId, expr: &Expr) -> Result<NodeId> {
        match self.node(id).ty.clone() {
            Type::Bool => Ok(id),
            Type::Null => Ok(self.retype_null(id, Type::Bool)),
            ty => {
                let help = match ty.class() {
                    Some(Class::Str) => format!("compare it: {expr} = '…'"),
                    _ => format!("compare it: {expr} <> 0"),
                };
                Err(self.error(expr, format!("`{expr}` is {ty}; a condition must be bool"), &help))
            }
        }
    }

    /// A node of type null as null of another type (an error stays an error).
    pub(super) fn retype_null(&mut self, id: NodeId, ty: Type) -> NodeId {
        if !self.node(id).can_fail {
            return self.null(ty);
        }
        // Select keeps the error of its condition.
        let (a, b) = (self.null(ty.clone()), self.null(ty.clone()));
        self.push(Op::Select, vec![id, a, b], ty)
    }

    pub(super) fn must_be_text(&self, id: NodeId, expr: &Expr, what: &str) -> Result<()> {
        match &self.node(id).ty {
            Type::Str | Type::Null => Ok(()),
            ty => Err(self.error(
                expr,
                format!("`{what}` needs a string, but `{expr}` is {ty}"),
                &format!("write cast({expr} as string)"),
            )),
        }
    }

    /// A string function: per distinct string if one string varies, else row by row.
    pub(super) fn text_call(&mut self, function: TextFn, args: Vec<NodeId>, ty: Type, expr: &Expr) -> Result<NodeId> {
        let mut open = vec![];
        let mut params = vec![];
        for arg in args {
            let constant = self.builder.constant(arg).cloned();
            if constant.is_none() {
                open.push(arg);
            }
            params.push(constant);
        }
        let call = TextCall::new(function, params).map_err(|e| self.error(expr, e, ""))?;
        if call.function != TextFn::ConcatSkipNull
            && call.params.contains(&Some(Value::Null))
            && open.iter().all(|a| !self.node(*a).can_fail)
        {
            return Ok(self.null(ty));
        }
        // A table has no row for null, which concat makes something of; and tables hold no nulls.
        let per_distinct = match open[..] {
            [one] if !call.params.contains(&Some(Value::Null)) => {
                let node = self.node(one);
                node.class == Class::Str && !(call.function == TextFn::ConcatSkipNull && node.nullable)
            }
            _ => false,
        };
        Ok(self.push(if per_distinct { Op::StrLut(call) } else { Op::StrRow(call) }, open, ty))
    }

    /// An error at an expression.
    pub(super) fn error(&self, expr: &Expr, message: impl Into<String>, help: &str) -> Error {
        let (text, at) = match &expr.span {
            Some(span) => (span.source.to_string(), span.range.start),
            None => (expr.to_string(), 0),
        };
        Error::Query { message: message.into(), text, at, help: (!help.is_empty()).then(|| help.to_owned()) }
    }
}
