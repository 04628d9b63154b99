//! SQL text → expression tree, by `sqlparser`; whatever it accepts beyond this crate's expressions is refused here,
//! with the place.

use std::sync::Arc;

use sqlparser::ast::{self, BinaryOperator as Infix};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::parse_value::parse_value;
use super::source::Text;
use super::tree::{BinaryOp, Expr, ExprNode, Span, UnaryOp, call};
use crate::column::{Type, Value};
use crate::{Error, Result};

/// Nesting beyond this is refused: every later step recurses as deep as the tree.
const DEEPEST: usize = 160;
/// Parses one expression.
///
/// ```
/// use tidemill::expr::{col, lit, parse};
/// assert_eq!(parse("dep_delay > 15 and carrier = 'AA'")?, col("dep_delay").gt(15).and(col("carrier").eq("AA")));
/// # Ok::<(), tidemill::Error>(())
/// ```
///
/// # Errors
/// [`Error::Query`] with the position.
pub fn parse(text: &str) -> Result<Expr> {
    Text::new(text).run(|text, parser| text.expr(parser))
}

/// Parses an expression and its name, if it has one: `sum(x) as total`.
///
/// # Errors
/// [`Error::Query`] with the position.
pub fn parse_item(text: &str) -> Result<(Expr, Option<String>)> {
    Text::new(text).run(|text, parser| text.item(parser))
}

/// Parses a list of expressions with or without names, between commas: `carrier, dep_delay > 15 as late`.
///
/// # Errors
/// [`Error::Query`] with the position.
pub fn parse_items(text: &str) -> Result<Vec<(Expr, Option<String>)>> {
    Text::new(text).run(|text, parser| {
        let mut items = vec![text.item(parser)?];
        while parser.consume_token(&Token::Comma) {
            items.push(text.item(parser)?);
        }
        Ok(items)
    })
}

/// Parses `name = expression`.
///
/// # Errors
/// [`Error::Query`] with the position.
pub fn parse_assignment(text: &str) -> Result<(String, Expr)> {
    Text::new(text).run(|text, parser| {
        let help = "write NAME = EXPRESSION";
        let name = parser.parse_identifier().map_err(|e| text.parser_error(e, parser))?;
        if !parser.consume_token(&Token::Eq) {
            let at = text.offset(parser.peek_token().span.start);
            return Err(text.error("expected `=` after the name", at, Some(help)));
        }
        Ok((name.value, text.expr(parser)?))
    })
}

/// One sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderItem {
    /// What to sort by.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
    /// Where nulls go, if it is said.
    pub nulls_first: Option<bool>,
}

/// Parses sort keys between commas: `total desc, carrier nulls first`.
///
/// # Errors
/// [`Error::Query`] with the position.
pub fn parse_order(text: &str) -> Result<Vec<OrderItem>> {
    Text::new(text).run(|text, parser| {
        let mut items = vec![];
        loop {
            let item = parser.parse_order_by_expr().map_err(|e| text.parser_error(e, parser))?;
            items.push(OrderItem {
                expr: text.convert(&item.expr, 0)?,
                descending: item.options.asc == Some(false),
                nulls_first: item.options.nulls_first,
            });
            if !parser.consume_token(&Token::Comma) {
                return Ok(items);
            }
        }
    })
}

impl Text {
    fn expr(&self, parser: &mut Parser) -> Result<Expr> {
        let parsed = parser.parse_expr().map_err(|e| self.parser_error(e, parser))?;
        self.convert(&parsed, 0)
    }

    fn item(&self, parser: &mut Parser) -> Result<(Expr, Option<String>)> {
        if parser.peek_token().token == Token::Mul {
            // Where all columns may stand; elsewhere it is a column that nobody has.
            parser.next_token();
            return Ok((super::col("*"), None));
        }
        let expr = self.expr(parser)?;
        if !parser.parse_keyword(Keyword::AS) {
            return Ok((expr, None));
        }
        let alias = parser.parse_identifier().map_err(|e| self.parser_error(e, parser))?;
        Ok((expr, Some(alias.value)))
    }

    fn convert(&self, sql: &ast::Expr, depth: usize) -> Result<Expr> {
        if depth > DEEPEST {
            let help = "use `in (…)` for a long chain of `or`, or name a part with --map";
            return self.refuse(sql, "the expression nests too deeply", help);
        }
        // Apart from the rest, whose frame is large: chains of operators are what nests deepest.
        match sql {
            ast::Expr::BinaryOp { left, op, right } => {
                let op = self.infix(sql, op)?;
                let (left, right) = (self.convert(left, depth + 1)?, self.convert(right, depth + 1)?);
                Ok(self.placed(sql, ExprNode::Binary(op, Box::new(left), Box::new(right))))
            }
            ast::Expr::Nested(inner) => self.convert(inner, depth + 1),
            other => self.convert_other(other, depth),
        }
    }

    fn convert_other(&self, sql: &ast::Expr, depth: usize) -> Result<Expr> {
        let go = |e: &ast::Expr| self.convert(e, depth + 1);
        let boxed = |e: &ast::Expr| go(e).map(Box::new);
        let node = match sql {
            ast::Expr::Identifier(name) => ExprNode::Column(name.value.clone()),
            // Names such as Sepal.Length are common in files.
            ast::Expr::CompoundIdentifier(names) => {
                ExprNode::Column(names.iter().map(|n| n.value.as_str()).collect::<Vec<_>>().join("."))
            }
            ast::Expr::Value(value) => return self.literal(sql, &value.value),
            ast::Expr::TypedString(typed) => {
                let ty = self.data_type(sql, &typed.data_type)?;
                let text = typed.value.value.clone().into_string();
                let text = text.ok_or_else(|| self.error("expected a text in quotes", self.range(sql).start, None))?;
                match parse_value(&text, &ty) {
                    Ok(value) if matches!(ty, Type::Date | Type::Timestamp(_)) => ExprNode::Literal(value, ty),
                    Ok(_) => ExprNode::Cast { operand: Box::new(text.into()), ty, try_: false },
                    Err(message) => return self.refuse(sql, message, ""),
                }
            }
            ast::Expr::UnaryOp { op, expr } => match op {
                ast::UnaryOperator::Plus => return go(expr),
                ast::UnaryOperator::Not => ExprNode::Unary(UnaryOp::Not, boxed(expr)?),
                ast::UnaryOperator::Minus => return self.negate(sql, expr, depth),
                op => return self.refuse(sql, format!("the operator `{op}` is not supported"), ""),
            },
            ast::Expr::IsNull(x) | ast::Expr::IsUnknown(x) => ExprNode::IsNull { operand: boxed(x)?, negated: false },
            ast::Expr::IsNotNull(x) | ast::Expr::IsNotUnknown(x) => {
                ExprNode::IsNull { operand: boxed(x)?, negated: true }
            }
            ast::Expr::IsTrue(x) => ExprNode::IsBool { operand: boxed(x)?, value: true, negated: false },
            ast::Expr::IsNotTrue(x) => ExprNode::IsBool { operand: boxed(x)?, value: true, negated: true },
            ast::Expr::IsFalse(x) => ExprNode::IsBool { operand: boxed(x)?, value: false, negated: false },
            ast::Expr::IsNotFalse(x) => ExprNode::IsBool { operand: boxed(x)?, value: false, negated: true },
            ast::Expr::IsDistinctFrom(a, b) | ast::Expr::IsNotDistinctFrom(a, b) => {
                if let ast::Expr::BinaryOp { op: Infix::And | Infix::Or, .. } = **b {
                    // sqlparser reads on to the end: `a is distinct from b and c` would become b and c.
                    return self.refuse(
                        b,
                        "what ends `is distinct from` here is not clear",
                        "put parentheses around it",
                    );
                }
                let negated = matches!(sql, ast::Expr::IsNotDistinctFrom(..));
                ExprNode::IsDistinct { left: boxed(a)?, right: boxed(b)?, negated }
            }
            ast::Expr::Between { expr, negated, low, high } => {
                ExprNode::Between { operand: boxed(expr)?, low: boxed(low)?, high: boxed(high)?, negated: *negated }
            }
            ast::Expr::InList { expr, list, negated } => {
                if list.is_empty() {
                    return self.refuse(sql, "`in` needs a value", "write in (a, b)");
                }
                let list = list.iter().map(go).collect::<Result<_>>()?;
                ExprNode::InList { operand: boxed(expr)?, list, negated: *negated }
            }
            ast::Expr::Like { negated, any: false, expr, pattern, escape_char }
            | ast::Expr::ILike { negated, any: false, expr, pattern, escape_char } => ExprNode::Like {
                operand: boxed(expr)?,
                pattern: boxed(pattern)?,
                escape: match escape_char {
                    None => None,
                    Some(value) => match value.value.clone().into_string().map(|s| single_char(&s)) {
                        Some(Some(c)) => Some(c),
                        _ => return self.refuse(sql, "`escape` needs one character in quotes", "write escape '!'"),
                    },
                },
                case_insensitive: matches!(sql, ast::Expr::ILike { .. }),
                negated: *negated,
            },
            ast::Expr::Case { operand, conditions, else_result, .. } => ExprNode::Case {
                operand: operand.as_deref().map(boxed).transpose()?,
                whens: conditions
                    .iter()
                    .map(|when| Ok((go(&when.condition)?, go(&when.result)?)))
                    .collect::<Result<_>>()?,
                else_: else_result.as_deref().map(boxed).transpose()?,
            },
            ast::Expr::Cast { kind, expr, data_type, array: false, format: None } => ExprNode::Cast {
                operand: boxed(expr)?,
                ty: self.data_type(sql, data_type)?,
                try_: matches!(kind, ast::CastKind::TryCast | ast::CastKind::SafeCast),
            },
            ast::Expr::Extract { field, expr, .. } => {
                let field = field.to_string().to_lowercase().trim_matches('\'').to_owned();
                ExprNode::Call { name: self.date_field(sql, &field)?, args: vec![go(expr)?] }
            }
            ast::Expr::Ceil { expr, field } | ast::Expr::Floor { expr, field } => {
                if !matches!(field, ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime)) {
                    return self.refuse(
                        sql,
                        "`floor` and `ceil` take one argument",
                        "use date_trunc or round(x, digits)",
                    );
                }
                let name = if matches!(sql, ast::Expr::Ceil { .. }) { "ceil" } else { "floor" };
                ExprNode::Call { name: name.into(), args: vec![go(expr)?] }
            }
            ast::Expr::Substring { expr, substring_from, substring_for, .. } => {
                let Some(from) = substring_from else {
                    return self.refuse(sql, "`substr` needs a position", "write substr(text, from, length)");
                };
                let args = [Some(expr), Some(from), substring_for.as_ref()];
                let args = args.into_iter().flatten().map(|e| go(e)).collect::<Result<_>>()?;
                ExprNode::Call { name: "substr".into(), args }
            }
            ast::Expr::Trim { expr, trim_where, trim_what, trim_characters } => {
                let name = match trim_where {
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                    _ => "trim",
                };
                let what = trim_what.as_deref().into_iter().chain(trim_characters.iter().flatten());
                let args = std::iter::once(&**expr).chain(what).map(go).collect::<Result<_>>()?;
                ExprNode::Call { name: name.into(), args }
            }
            ast::Expr::Function(function) => self.function(sql, function, depth)?,
            other => return self.unsupported(other),
        };
        Ok(self.placed(sql, node))
    }

    fn placed(&self, sql: &ast::Expr, node: ExprNode) -> Expr {
        Expr { node, span: Some(Span { source: Arc::clone(&self.source), range: self.range(sql) }) }
    }

    fn literal(&self, sql: &ast::Expr, value: &ast::Value) -> Result<Expr> {
        let expr = match value {
            ast::Value::Number(text, _) => {
                if text.bytes().all(|b| b.is_ascii_digit()) {
                    match text.parse::<i128>() {
                        Ok(v) if v < 10i128.pow(38) => Expr::integer(v),
                        _ => {
                            let help = "the most is 38 digits; write it with a point for a float64";
                            return self.refuse(sql, format!("the integer {text} is too large"), help);
                        }
                    }
                } else {
                    match text.parse::<f64>() {
                        Ok(v) if v.is_finite() => Expr::from(v),
                        Ok(_) => return self.refuse(sql, format!("the number {text} is too large for float64"), ""),
                        Err(_) => return self.refuse(sql, format!("`{text}` is not a number"), ""),
                    }
                }
            }
            ast::Value::SingleQuotedString(text) => Expr::from(text.as_str()),
            ast::Value::Boolean(value) => Expr::from(*value),
            ast::Value::Null => super::tree::null(),
            other => {
                return self.refuse(
                    sql,
                    format!("the literal `{other}` is not supported"),
                    "texts stand in single quotes",
                );
            }
        };
        Ok(self.placed(sql, expr.node))
    }

    /// `-x`; `-1` is a literal, so that the smallest int64 can be written.
    fn negate(&self, sql: &ast::Expr, operand: &ast::Expr, depth: usize) -> Result<Expr> {
        let inner = self.convert(operand, depth + 1)?;
        let negative = match (&inner.node, operand) {
            (ExprNode::Literal(Value::Int(v), Type::Int64), ast::Expr::Value(_)) => {
                Some(Expr::integer(-i128::from(*v)))
            }
            (ExprNode::Literal(Value::Wide(v), _), ast::Expr::Value(_)) => Some(Expr::integer(-v)),
            (ExprNode::Literal(Value::Float(v), _), ast::Expr::Value(_)) => Some(Expr::from(-v)),
            _ => None,
        };
        let node = negative.map_or_else(|| ExprNode::Unary(UnaryOp::Neg, Box::new(inner)), |e| e.node);
        Ok(self.placed(sql, node))
    }

    fn infix(&self, sql: &ast::Expr, op: &Infix) -> Result<BinaryOp> {
        Ok(match op {
            Infix::Plus => BinaryOp::Add,
            Infix::Minus => BinaryOp::Sub,
            Infix::Multiply => BinaryOp::Mul,
            Infix::Divide => BinaryOp::Div,
            Infix::DuckIntegerDivide | Infix::MyIntegerDivide => BinaryOp::IntDiv,
            Infix::Modulo => BinaryOp::Rem,
            Infix::StringConcat => BinaryOp::Concat,
            Infix::Eq => BinaryOp::Eq,
            Infix::NotEq => BinaryOp::Ne,
            Infix::Lt => BinaryOp::Lt,
            Infix::LtEq => BinaryOp::Le,
            Infix::Gt => BinaryOp::Gt,
            Infix::GtEq => BinaryOp::Ge,
            Infix::And => BinaryOp::And,
            Infix::Or => BinaryOp::Or,
            op => {
                let help = match op {
                    Infix::BitwiseXor => "for a power write pow(a, b)",
                    Infix::PGRegexMatch => "write regexp_matches(text, pattern)",
                    _ => "",
                };
                return self.refuse(sql, format!("the operator `{op}` is not supported"), help);
            }
        })
    }

    fn data_type(&self, sql: &ast::Expr, ty: &ast::DataType) -> Result<Type> {
        let zone = matches!(ty, ast::DataType::Timestamp(_, zone) if !matches!(zone, ast::TimezoneInfo::None | ast::TimezoneInfo::WithoutTimeZone));
        if zone {
            return self.refuse(sql, "timestamps with a time zone are not supported", "write timestamp");
        }
        let text = ty.to_string().to_lowercase().replace(" without time zone", "");
        text.parse().map_err(|e| match e {
            Error::Usage { message, help } => self.error(message, self.range(sql).start, help.as_deref()),
            other => other,
        })
    }

    fn date_field(&self, sql: &ast::Expr, field: &str) -> Result<String> {
        let known = super::functions::date_field(field);
        known.map(str::to_owned).ok_or_else(|| {
            let help = format!("fields: {}", super::functions::DATE_FIELDS.join(", "));
            self.error(format!("unknown field `{field}`"), self.range(sql).start, Some(&help))
        })
    }

    fn function(&self, sql: &ast::Expr, function: &ast::Function, depth: usize) -> Result<ExprNode> {
        let name = function.name.to_string().replace('"', "").to_lowercase();
        if function.over.is_some() {
            return self.refuse(sql, format!("window functions (`{name}(…) over`) are not supported"), "");
        }
        if function.filter.is_some() {
            let help = format!("write {name}(case when CONDITION then x end)");
            return self.refuse(sql, "`filter (where …)` is not supported", &help);
        }
        if function.null_treatment.is_some() || !function.within_group.is_empty() {
            return self.refuse(sql, format!("this form of `{name}` is not supported"), "");
        }
        let list = match &function.args {
            ast::FunctionArguments::List(list) => list,
            ast::FunctionArguments::None => return Ok(ExprNode::Column(name)),
            ast::FunctionArguments::Subquery(_) => return self.refuse(sql, "subqueries are not supported", ""),
        };
        if let Some(ast::DuplicateTreatment::Distinct) = list.duplicate_treatment {
            let help = match name.as_str() {
                "count" => "write count_distinct(x)".to_owned(),
                _ => "group by the column first".to_owned(),
            };
            return self.refuse(sql, format!("`distinct` inside `{name}` is not supported"), &help);
        }
        if !list.clauses.is_empty() {
            return self.refuse(sql, format!("this form of `{name}` is not supported"), "");
        }
        let mut args = vec![];
        for arg in &list.args {
            match arg {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e)) => args.push(self.convert(e, depth + 1)?),
                // count(*) counts rows, as count() does.
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard)
                    if name == "count" && list.args.len() == 1 => {}
                _ => return self.refuse(sql, format!("`{name}` cannot take `{arg}`"), ""),
            }
        }
        Ok(call(&name, args).node)
    }

    fn unsupported<T>(&self, sql: &ast::Expr) -> Result<T> {
        let (what, help) = match sql {
            ast::Expr::Subquery(_) | ast::Expr::InSubquery { .. } | ast::Expr::Exists { .. } => ("subqueries are", ""),
            ast::Expr::Interval(_) => ("intervals are", "a date plus an integer adds days"),
            ast::Expr::AtTimeZone { .. } => ("time zones are", ""),
            ast::Expr::SimilarTo { .. } | ast::Expr::RLike { .. } => {
                ("this kind of pattern is", "write regexp_matches(text, pattern)")
            }
            ast::Expr::Position { .. } => ("`position` is", "contains(text, part) says whether it is there"),
            ast::Expr::Tuple(_) => ("lists of values are", "only `in (…)` takes one"),
            ast::Expr::Array(_) | ast::Expr::CompoundFieldAccess { .. } => ("arrays are", ""),
            ast::Expr::Like { .. } | ast::Expr::ILike { .. } => ("`like any` is", "join several `like` with `or`"),
            ast::Expr::Wildcard(_) | ast::Expr::QualifiedWildcard(..) => ("`*` alone is", "count(*) counts rows"),
            ast::Expr::Lambda(_) => ("`->` is", ""),
            ast::Expr::Convert { .. } => ("`convert` is", "write cast(x as type)"),
            _ => ("this expression is", ""),
        };
        self.refuse(sql, format!("{what} not supported"), help)
    }
}

fn single_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}
