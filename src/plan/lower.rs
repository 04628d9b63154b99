//! From a job and a schema to a plan: the stage that runs on a device, and what is done with its groups.
//!
//! Aggregates are found inside the output expressions, `having` and `order`, and replaced by columns; what is left is an
//! expression over keys and aggregates, evaluated once a group.

use std::sync::Arc;

use super::made::{call_column, key_column};
use super::{Call, Job, Key, Named, Order, Output, OutputValue, Plan, PostInput, SortBy, SortTerm, Stage};
use crate::agg::{Function, Shape, StateSpec};
use crate::column::{Class, Field, Schema, Type, Value};
use crate::expr::{BinaryOp, Binder, Expr, ExprNode, NodeId, UnaryOp, is_function};
use crate::{Error, Result};

/// The columns of `schema` a job uses are found, its expressions typed, and its aggregates taken apart.
///
/// # Errors
/// Whatever does not parse together: unknown columns, wrong types, aggregates where rows are meant.
pub fn lower(job: &Job, schema: &Schema) -> Result<Plan> {
    if job.is_of_rows() {
        return Err(Error::usage("a job that selects rows has no groups"));
    }
    let (mut rows, filter) = before_groups(job, schema)?;
    let mut keys: Vec<Key> = Vec::new();
    for named in &job.keys {
        no_aggregates(&named.expr, "--by")?;
        let node = rows.bind(&named.expr)?;
        let name = named.title();
        if keys.iter().any(|k| k.name == name) {
            return Err(query(
                &named.expr,
                format!("the key '{name}' is given twice"),
                Some("name one with 'as'".into()),
            ));
        }
        keys.push(Key { ty: rows.node(node).ty.clone(), name, node });
    }
    let mut taken = Taken { rows, job, keys, calls: Vec::new(), args: Vec::new(), states: Vec::new() };
    // First take all aggregates out, so that the post program's columns are known.
    let mut outputs = Vec::new();
    for named in &job.aggregates {
        outputs.push(taken.output(named)?);
    }
    let aliases: Vec<String> = job.aggregates.iter().map(Named::title).collect();
    let having = job.having.as_ref().map(|expr| taken.take(expr, &aliases)).transpose()?;
    let order = job
        .order
        .iter()
        .map(|term| match &term.expr.node {
            ExprNode::Column(name) if aliases.contains(name) => Ok(None),
            _ => taken.take(&term.expr, &aliases).map(Some),
        })
        .collect::<Result<Vec<_>>>()?;
    taken.finish(job, filter, outputs, having, order)
}

/// What a job begins with, whether it groups or not: its maps, as names of a binder, and its filter.
pub(super) fn before_groups<'s>(job: &Job, schema: &'s Schema) -> Result<(Binder<'s>, Option<NodeId>)> {
    let mut rows = Binder::new(schema);
    for (name, expr) in &job.maps {
        no_aggregates(expr, "--map")?;
        let node = rows.bind(expr)?;
        rows.define(name, node);
    }
    let filter = match &job.filter {
        Some(expr) => {
            no_aggregates(expr, "--where")?;
            let node = rows.bind(expr)?;
            expect_bool(&rows.node(node).ty, expr, "--where")?;
            Some(node)
        }
        None => None,
    };
    Ok((rows, filter))
}

/// An output expression with its aggregates taken out.
enum Pending {
    Scalar(Expr),
    List(usize),
    Unnest(usize),
}

struct Taken<'a> {
    rows: Binder<'a>,
    job: &'a Job,
    keys: Vec<Key>,
    calls: Vec<Call>,
    args: Vec<NodeId>,
    states: Vec<StateSpec>,
}

impl Taken<'_> {
    fn output(&mut self, named: &Named) -> Result<Pending> {
        if let ExprNode::Call { name, args } = &named.expr.node {
            if name == "unnest" {
                if let [Expr { node: ExprNode::Call { name, args }, .. }] = &args[..]
                    && matches!(name.as_str(), "top_k" | "bottom_k")
                {
                    return self.call(name, args, &named.expr).map(Pending::Unnest);
                }
                return Err(query(&named.expr, "unnest takes top_k(…) or bottom_k(…)".into(), None));
            }
            if matches!(name.as_str(), "top_k" | "bottom_k") {
                return self.call(name, args, &named.expr).map(Pending::List);
            }
        }
        self.take(&named.expr, &[]).map(Pending::Scalar)
    }

    /// `expr` with keys and aggregate calls replaced by columns of the post program.
    fn take(&mut self, expr: &Expr, aliases: &[String]) -> Result<Expr> {
        if let Some(key) = self
            .job
            .keys
            .iter()
            .position(|k| k.expr == *expr || matches!(&expr.node, ExprNode::Column(n) if *n == k.title()))
        {
            return Ok(Expr { node: ExprNode::Column(key_column(key)), span: expr.span.clone() });
        }
        match &expr.node {
            ExprNode::Call { name, args } if Function::by_name(name).is_some() => {
                let call = self.call(name, args, expr)?;
                if matches!(self.calls[call].ty, Type::List(_)) {
                    let message = format!("{name} gives a list: it can only be an output of its own");
                    return Err(query(expr, message, Some(format!("write '{expr}' or 'unnest({expr})'"))));
                }
                Ok(Expr { node: ExprNode::Column(call_column(call)), span: expr.span.clone() })
            }
            // The binder says what was meant; without this the message would be about the columns inside.
            ExprNode::Call { name, .. } if name != "unnest" && !is_function(name) => match self.rows.bind(expr) {
                Err(error) => Err(error),
                Ok(_) => Err(Error::internal(format!("{name} is a function and then is not"))),
            },
            ExprNode::Column(name) if aliases.contains(name) => Ok(expr.clone()),
            ExprNode::Column(name) => Err(query(
                expr,
                format!("column '{name}' is neither in --by nor inside an aggregate"),
                Some(format!("add it to --by, or take min({name}), max({name}), any_value({name})")),
            )),
            _ => expr.try_map_children(|child| self.take(child, aliases)),
        }
    }

    /// The index of an aggregate call, made if it is new.
    fn call(&mut self, name: &str, args: &[Expr], expr: &Expr) -> Result<usize> {
        let Some((mut function, shape)) = Function::by_name(name) else {
            return Err(Error::internal(format!("{name} is no aggregate")));
        };
        let expected = match shape {
            Shape::Count => 0..=1,
            Shape::One => 1..=1,
            Shape::Two | Shape::Fraction | Shape::Whole => 2..=2,
        };
        if !expected.contains(&args.len()) {
            let usage = match shape {
                Shape::Count => "count() or count(x)".to_owned(),
                Shape::One => format!("{name}(x)"),
                Shape::Two => format!("{name}(x, y)"),
                Shape::Fraction => format!("{name}(x, 0.9)"),
                Shape::Whole => format!("{name}(x, 3)"),
            };
            return Err(query(expr, format!("{name} does not take {} arguments", args.len()), Some(usage)));
        }
        for arg in args {
            no_aggregates(arg, &format!("{name}(…)"))?;
        }
        match (shape, args) {
            (Shape::Count, [_]) => function = Function::Count,
            (Shape::Fraction, [_, p]) => {
                let fraction = number(p).filter(|p| (0.0..=1.0).contains(p));
                let Some(fraction) = fraction else {
                    return Err(query(p, format!("{name} needs a constant between 0 and 1, not '{p}'"), None));
                };
                function = Function::Quantile(fraction);
            }
            (Shape::Whole, [_, k]) => {
                let count = number(k).filter(|k| k.fract() == 0.0 && (1.0..=1e6).contains(k));
                let Some(count) = count else {
                    return Err(query(
                        k,
                        format!("{name} needs a constant whole number from 1 to 1000000, not '{k}'"),
                        None,
                    ));
                };
                function = match function {
                    Function::BottomK(_) => Function::BottomK(count as u32),
                    _ => Function::TopK(count as u32),
                };
            }
            _ => {}
        }
        let values = match shape {
            Shape::Two => &args[..2],
            _ => &args[..args.len().min(1)],
        };
        let values = match values {
            [x, y] if matches!(function, Function::MaxBy | Function::MinBy) => vec![x.clone(), y.clone()],
            [x, y] => self.pair(x, y)?,
            values => values.to_vec(),
        };
        let mut nodes = values.iter().map(|arg| self.rows.bind(arg)).collect::<Result<Vec<_>>>()?;
        for (node, arg) in nodes.iter().zip(&values) {
            if let Err(message) = function.result(name, &self.rows.node(*node).ty) {
                let help = match &self.rows.node(*node).ty {
                    Type::Date | Type::Timestamp(_) => Some(format!("cast it: {name}(cast({arg} as int64))")),
                    Type::Bool => Some(format!("cast it: {name}(cast({arg} as int64))")),
                    _ => None,
                };
                return Err(query(arg, message, help));
            }
        }
        let arg = nodes.first().map_or(Type::Null, |n| self.rows.node(*n).ty.clone());
        // The sum of nothing but nulls is null, and needs a number's state all the same.
        if arg == Type::Null && !matches!(function, Function::CountRows | Function::Count) {
            let null = self.rows.bind(&crate::expr::null().cast(Type::Int64))?;
            nodes = vec![null; nodes.len()];
        }
        let mut args: Vec<Type> = nodes.iter().map(|n| self.rows.node(*n).ty.clone()).collect();
        if let (Function::MaxBy | Function::MinBy, [x, by]) = (function, &nodes[..]) {
            // One state, of both.
            nodes = vec![self.rows.pair(*by, *x)];
            args.truncate(1);
        }
        let arg = args.first().cloned().unwrap_or(arg);
        let ty = function.result(name, &arg).map_err(|message| query(expr, message, None))?;
        let class = arg.class().unwrap_or(Class::Bool);
        let arg_ids: Vec<usize> = nodes.iter().map(|node| index_of(&mut self.args, *node)).collect();
        let states = function
            .states(class)
            .into_iter()
            .map(|spec| StateSpec { kind: spec.kind, args: spec.args.iter().map(|&a| arg_ids[a]).collect() })
            .map(|spec| index_of(&mut self.states, spec))
            .collect();
        let call = Call { text: expr.to_string(), function, args, ty, states };
        let same = |c: &Call| c.function == call.function && c.states == call.states && c.ty == call.ty;
        if let Some(found) = self.calls.iter().position(same) {
            return Ok(found);
        }
        self.calls.push(call);
        Ok(self.calls.len() - 1)
    }

    /// The two arguments of a pair function: of one class, and null where the other one is. Beside a float a number is
    /// a float, as in arithmetic; integers and decimals stay exact, each at its own scale.
    fn pair(&mut self, x: &Expr, y: &Expr) -> Result<Vec<Expr>> {
        let (x_node, y_node) = (self.rows.bind(x)?, self.rows.bind(y)?);
        let (x_ty, y_ty) = (self.rows.node(x_node).ty.clone(), self.rows.node(y_node).ty.clone());
        let numeric = x_ty.is_numeric() && y_ty.is_numeric();
        let common = |e: &Expr, ty: &Type| match () {
            _ if !numeric || x_ty.class() == y_ty.class() => e.clone(),
            _ if x_ty.is_float() || y_ty.is_float() => e.clone().cast(Type::Float64),
            // An int64 has 19 digits.
            _ if ty.class() == Some(Class::Int) => e.clone().cast(Type::Decimal { precision: 19, scale: 0 }),
            _ => e.clone(),
        };
        let (x, y) = ((x, common(x, &x_ty)), (y, common(y, &y_ty)));
        let both = |(written, value): &(&Expr, Expr), other: &Expr| {
            let whens = vec![(other.clone().is_not_null(), value.clone())];
            Expr { node: ExprNode::Case { operand: None, whens, else_: None }, span: written.span.clone() }
        };
        Ok(vec![both(&x, y.0), both(&y, x.0)])
    }

    fn finish(
        self,
        job: &Job,
        filter: Option<NodeId>,
        pending: Vec<Pending>,
        having: Option<Expr>,
        order: Vec<Option<Expr>>,
    ) -> Result<Plan> {
        let Taken { rows, keys, calls, args, states, .. } = self;
        let mut fields = Vec::new();
        let mut inputs = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            fields.push(Field::new(key_column(i), key.ty.clone()));
            inputs.push(PostInput::Key(i));
        }
        for (i, call) in calls.iter().enumerate().filter(|(_, c)| !matches!(c.ty, Type::List(_))) {
            fields.push(Field::new(call_column(i), call.ty.clone()));
            inputs.push(PostInput::Call(i));
        }
        let schema = Schema { fields };
        let mut post = Binder::new(&schema);
        let mut outputs = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            let node = post.bind(&crate::expr::col(key_column(i)))?;
            outputs.push(Output { name: key.name.clone(), ty: key.ty.clone(), value: OutputValue::Node(node) });
        }
        for (named, pending) in job.aggregates.iter().zip(pending) {
            let (ty, value) = match pending {
                Pending::Scalar(expr) => {
                    let node = post.bind(&expr)?;
                    post.define(named.title(), node);
                    (post.node(node).ty.clone(), OutputValue::Node(node))
                }
                Pending::List(call) => (calls[call].ty.clone(), OutputValue::List(call)),
                Pending::Unnest(call) => match &calls[call].ty {
                    Type::List(item) => ((**item).clone(), OutputValue::Unnest(call)),
                    ty => (ty.clone(), OutputValue::Unnest(call)),
                },
            };
            outputs.push(Output { name: named.title(), ty, value });
        }
        for (i, output) in outputs.iter().enumerate() {
            if outputs[..i].iter().any(|o| o.name == output.name) {
                return Err(Error::Usage {
                    message: format!("two output columns are called '{}'", output.name),
                    help: Some("give one another name with 'as'".into()),
                });
            }
        }
        let having = match (&having, &job.having) {
            (Some(expr), Some(written)) => {
                let node = post.bind(expr)?;
                expect_bool(&post.node(node).ty, written, "--having")?;
                Some(node)
            }
            _ => None,
        };
        let order = job
            .order
            .iter()
            .zip(order)
            .map(|(term, expr)| sort_term(term, expr, &mut post, &outputs))
            .collect::<Result<Vec<_>>>()?;
        let stage = Stage { program: Arc::new(rows.finish()), filter, keys, args, states };
        // The binder numbers the columns it has met; the inputs follow that numbering.
        let post = post.finish();
        let post_inputs = post.columns.iter().map(|c| inputs[c.column]).collect();
        Ok(Plan {
            stage: Arc::new(stage),
            calls,
            post: Arc::new(post),
            post_inputs,
            outputs,
            having,
            order,
            limit: job.limit,
            unordered: job.unordered,
        })
    }
}

fn sort_term(term: &Order, expr: Option<Expr>, post: &mut Binder<'_>, outputs: &[Output]) -> Result<SortTerm> {
    let named = match &term.expr.node {
        ExprNode::Column(name) => outputs.iter().position(|o| o.name == *name),
        _ => None,
    };
    let by = match (named, expr) {
        (Some(output), _) => {
            if let OutputValue::List(_) = outputs[output].value {
                return Err(query(&term.expr, format!("'{}' is a list and has no order", outputs[output].name), None));
            }
            SortBy::Output(output)
        }
        (None, Some(expr)) => SortBy::Node(post.bind(&expr)?),
        (None, None) => return Err(Error::internal("an order term is neither a column nor an expression")),
    };
    Ok(SortTerm { by, descending: term.descending, nulls_first: term.nulls_first })
}

fn index_of<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|x| *x == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// A constant number.
fn number(expr: &Expr) -> Option<f64> {
    match &expr.node {
        ExprNode::Literal(Value::Int(v), _) => Some(*v as f64),
        ExprNode::Literal(Value::Float(v), _) => Some(*v),
        ExprNode::Unary(UnaryOp::Neg, x) => number(x).map(|v| -v),
        ExprNode::Binary(BinaryOp::Div, a, b) => Some(number(a)? / number(b)?),
        _ => None,
    }
}

pub(super) fn no_aggregates(expr: &Expr, place: &str) -> Result<()> {
    if let ExprNode::Call { name, .. } = &expr.node
        && (Function::by_name(name).is_some() || name == "unnest")
    {
        return Err(query(expr, format!("the aggregate {name} cannot stand inside {place}"), None));
    }
    expr.children().into_iter().try_for_each(|child| no_aggregates(child, place))
}

fn expect_bool(ty: &Type, expr: &Expr, place: &str) -> Result<()> {
    match ty {
        Type::Bool | Type::Null => Ok(()),
        ty => Err(query(expr, format!("{place} needs a condition (bool), this is {ty}"), None)),
    }
}

fn query(expr: &Expr, message: String, help: Option<String>) -> Error {
    let (text, at) = match &expr.span {
        Some(span) => (span.source.to_string(), span.range.start),
        None => (expr.to_string(), 0),
    };
    Error::Query { message, text, at, help }
}
