//! The expression tree: what the parser gives and what library users build.

use std::ops::Range;
use std::sync::Arc;

use crate::column::{Type, Value};

/// Where an expression stands in the text it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The whole text.
    pub source: Arc<str>,
    /// Bytes of it.
    pub range: Range<usize>,
}

/// An expression, untyped: names are not looked up yet.
///
/// Two expressions are equal if their trees are, wherever they came from. `Display` prints SQL that parses back to
/// an equal tree.
///
/// ```
/// use tidemill::expr::{col, lit, parse};
/// let expr = (col("price") * col("qty")).gt(lit(100)).and(col("Dep Time").is_not_null());
/// assert_eq!(expr.to_string(), r#"price * qty > 100 and "Dep Time" is not null"#);
/// assert_eq!(parse(&expr.to_string())?, expr);
/// # Ok::<(), tidemill::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub node: ExprNode,
    /// Where it was written, if it was parsed.
    pub span: Option<Span>,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

/// The kinds of expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprNode {
    /// A column, or a name given by `--map`.
    Column(String),
    /// A constant and its type: `null`, bool, int64, decimal (an integer too large for int64), float64, date,
    /// timestamp, string.
    Literal(Value, Type),
    /// A prefix operator.
    Unary(UnaryOp, Box<Expr>),
    /// An infix operator.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `x is [not] null`
    IsNull {
        /// x
        operand: Box<Expr>,
        /// Whether `not` stands there.
        negated: bool,
    },
    /// `x is [not] true`, `x is [not] false`
    IsBool {
        /// x
        operand: Box<Expr>,
        /// true or false
        value: bool,
        /// Whether `not` stands there.
        negated: bool,
    },
    /// `a is [not] distinct from b`
    IsDistinct {
        /// a
        left: Box<Expr>,
        /// b
        right: Box<Expr>,
        /// Whether `not` stands there.
        negated: bool,
    },
    /// `x [not] between low and high`, both ends included
    Between {
        /// x
        operand: Box<Expr>,
        /// The lower end.
        low: Box<Expr>,
        /// The upper end.
        high: Box<Expr>,
        /// Whether `not` stands there.
        negated: bool,
    },
    /// `x [not] in (a, b, …)`
    InList {
        /// x
        operand: Box<Expr>,
        /// The list; not empty.
        list: Vec<Expr>,
        /// Whether `not` stands there.
        negated: bool,
    },
    /// `case [x] when a then b … [else c] end`
    Case {
        /// x: compared with each `when` if it is there.
        operand: Option<Box<Expr>>,
        /// The `when … then …` pairs; not empty.
        whens: Vec<(Expr, Expr)>,
        /// The value if none holds; null without it.
        else_: Option<Box<Expr>>,
    },
    /// `cast(x as type)`, `x::type`, `try_cast(x as type)`
    Cast {
        /// x
        operand: Box<Expr>,
        /// The type wanted.
        ty: Type,
        /// Whether a value that does not fit gives null instead of an error.
        try_: bool,
    },
    /// `x [not] like pattern`, `x [not] ilike pattern`
    Like {
        /// x
        operand: Box<Expr>,
        /// `%` any text, `_` one character.
        pattern: Box<Expr>,
        /// The character that takes the meaning from the one after it.
        escape: Option<char>,
        /// `ilike`
        case_insensitive: bool,
        /// Whether `not` stands there.
        negated: bool,
    },
    /// A function, an aggregate included. The name is in lower case. `count(*)` is `count` without arguments.
    Call {
        /// Its name.
        name: String,
        /// Its arguments.
        args: Vec<Expr>,
    },
}

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-x`
    Neg,
    /// `not x`
    Not,
}

/// Infix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`: always float64
    Div,
    /// `//`: division truncated to an integer
    IntDiv,
    /// `%`: the remainder of `//`, with the sign of the left side
    Rem,
    /// `||`: strings one after the other
    Concat,
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `and`
    And,
    /// `or`
    Or,
}

impl BinaryOp {
    /// How it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::IntDiv => "//",
            BinaryOp::Rem => "%",
            BinaryOp::Concat => "||",
            BinaryOp::Eq => "=",
            BinaryOp::Ne => "<>",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
        }
    }
}

/// A column by its name.
pub fn col(name: impl Into<String>) -> Expr {
    Expr::from(ExprNode::Column(name.into()))
}

/// A constant: a number, a bool, a string; or an expression, as it is.
pub fn lit(value: impl Into<Expr>) -> Expr {
    value.into()
}

/// The constant null.
pub fn null() -> Expr {
    Expr::from(ExprNode::Literal(Value::Null, Type::Null))
}

/// A call of a function or an aggregate by name.
pub fn call(name: &str, args: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::from(ExprNode::Call { name: name.to_lowercase(), args: args.into_iter().collect() })
}

/// `case when a then b … else c end`. Without pairs it is `otherwise` itself.
pub fn case(whens: impl IntoIterator<Item = (Expr, Expr)>, otherwise: impl Into<Expr>) -> Expr {
    let whens: Vec<_> = whens.into_iter().collect();
    let otherwise = otherwise.into();
    if whens.is_empty() {
        return otherwise;
    }
    Expr::from(ExprNode::Case { operand: None, whens, else_: Some(Box::new(otherwise)) })
}

impl From<ExprNode> for Expr {
    fn from(node: ExprNode) -> Self {
        Expr { node, span: None }
    }
}

macro_rules! literal_from_integers {
    ($($ty:ty),+) => {$(
        impl From<$ty> for Expr {
            fn from(value: $ty) -> Self {
                Expr::integer(value.into())
            }
        }
    )+};
}
literal_from_integers!(i8, i16, i32, i64, u8, u16, u32, u64);

impl From<f64> for Expr {
    /// NaN and the infinities, which have no literal in SQL, become casts of their names.
    fn from(value: f64) -> Self {
        if value.is_finite() {
            return ExprNode::Literal(Value::Float(value), Type::Float64).into();
        }
        let name = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        };
        Expr::from(name).cast(Type::Float64)
    }
}

impl From<bool> for Expr {
    fn from(value: bool) -> Self {
        ExprNode::Literal(Value::Bool(value), Type::Bool).into()
    }
}

impl From<&str> for Expr {
    fn from(value: &str) -> Self {
        ExprNode::Literal(Value::Str(value.into()), Type::Str).into()
    }
}

impl From<String> for Expr {
    fn from(value: String) -> Self {
        value.as_str().into()
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident => $op:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(self, other: impl Into<Expr>) -> Expr {
            self.binary(BinaryOp::$op, other.into())
        }
    )+};
}

impl Expr {
    /// An integer constant: int64, or a decimal where that is too small (|value| < 10³⁸).
    pub(crate) fn integer(value: i128) -> Expr {
        ExprNode::Literal(
            match i64::try_from(value) {
                Ok(small) => Value::Int(small),
                Err(_) => Value::Wide(value),
            },
            match i64::try_from(value) {
                Ok(_) => Type::Int64,
                Err(_) => Type::Decimal { precision: value.unsigned_abs().ilog10() as u8 + 1, scale: 0 },
            },
        )
        .into()
    }

    comparisons! {
        /// `self = other`
        eq => Eq,
        /// `self <> other`
        ne => Ne,
        /// `self < other`
        lt => Lt,
        /// `self <= other`
        le => Le,
        /// `self > other`
        gt => Gt,
        /// `self >= other`
        ge => Ge,
        /// `self and other`
        and => And,
        /// `self or other`
        or => Or,
        /// `self // other`: division truncated to an integer
        int_div => IntDiv,
        /// `self || other`
        concat => Concat,
    }

    /// `self is null`
    pub fn is_null(self) -> Expr {
        ExprNode::IsNull { operand: Box::new(self), negated: false }.into()
    }

    /// `self is not null`
    pub fn is_not_null(self) -> Expr {
        ExprNode::IsNull { operand: Box::new(self), negated: true }.into()
    }

    /// `self between low and high`
    pub fn between(self, low: impl Into<Expr>, high: impl Into<Expr>) -> Expr {
        let (low, high) = (Box::new(low.into()), Box::new(high.into()));
        ExprNode::Between { operand: Box::new(self), low, high, negated: false }.into()
    }

    /// `self in (list)`; `false` if the list is empty.
    pub fn in_list<T: Into<Expr>>(self, list: impl IntoIterator<Item = T>) -> Expr {
        let list: Vec<Expr> = list.into_iter().map(Into::into).collect();
        if list.is_empty() {
            return lit(false);
        }
        ExprNode::InList { operand: Box::new(self), list, negated: false }.into()
    }

    /// `self like pattern`
    pub fn like(self, pattern: impl Into<Expr>) -> Expr {
        let pattern = Box::new(pattern.into());
        ExprNode::Like { operand: Box::new(self), pattern, escape: None, case_insensitive: false, negated: false }
            .into()
    }

    /// `cast(self as ty)`
    pub fn cast(self, ty: Type) -> Expr {
        ExprNode::Cast { operand: Box::new(self), ty, try_: false }.into()
    }

    /// `try_cast(self as ty)`
    pub fn try_cast(self, ty: Type) -> Expr {
        ExprNode::Cast { operand: Box::new(self), ty, try_: true }.into()
    }

    fn binary(self, op: BinaryOp, other: Expr) -> Expr {
        ExprNode::Binary(op, Box::new(self), Box::new(other)).into()
    }

    /// The expressions directly below this one, in the order they are written.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.node {
            ExprNode::Column(_) | ExprNode::Literal(..) => vec![],
            ExprNode::Unary(_, operand)
            | ExprNode::IsNull { operand, .. }
            | ExprNode::IsBool { operand, .. }
            | ExprNode::Cast { operand, .. } => vec![operand],
            ExprNode::Binary(_, left, right) | ExprNode::IsDistinct { left, right, .. } => vec![left, right],
            ExprNode::Between { operand, low, high, .. } => vec![operand, low, high],
            ExprNode::InList { operand, list, .. } => std::iter::once(&**operand).chain(list).collect(),
            ExprNode::Case { operand, whens, else_ } => {
                let pairs = whens.iter().flat_map(|(when, then)| [when, then]);
                operand.as_deref().into_iter().chain(pairs).chain(else_.as_deref()).collect()
            }
            ExprNode::Like { operand, pattern, .. } => vec![operand, pattern],
            ExprNode::Call { args, .. } => args.iter().collect(),
        }
    }

    /// The same expression with every child replaced by what `change` makes of it; the first error ends it.
    pub fn try_map_children<E>(&self, mut change: impl FnMut(&Expr) -> Result<Expr, E>) -> Result<Expr, E> {
        let mut boxed = |e: &Expr| change(e).map(Box::new);
        let node = match &self.node {
            node @ (ExprNode::Column(_) | ExprNode::Literal(..)) => node.clone(),
            ExprNode::Unary(op, x) => ExprNode::Unary(*op, boxed(x)?),
            ExprNode::Binary(op, a, b) => ExprNode::Binary(*op, boxed(a)?, boxed(b)?),
            ExprNode::IsNull { operand, negated } => ExprNode::IsNull { operand: boxed(operand)?, negated: *negated },
            ExprNode::IsBool { operand, value, negated } => {
                ExprNode::IsBool { operand: boxed(operand)?, value: *value, negated: *negated }
            }
            ExprNode::IsDistinct { left, right, negated } => {
                ExprNode::IsDistinct { left: boxed(left)?, right: boxed(right)?, negated: *negated }
            }
            ExprNode::Between { operand, low, high, negated } => {
                ExprNode::Between { operand: boxed(operand)?, low: boxed(low)?, high: boxed(high)?, negated: *negated }
            }
            ExprNode::InList { operand, list, negated } => ExprNode::InList {
                operand: boxed(operand)?,
                list: list.iter().map(&mut change).collect::<Result<_, E>>()?,
                negated: *negated,
            },
            ExprNode::Case { operand, whens, else_ } => ExprNode::Case {
                operand: operand.as_deref().map(&mut boxed).transpose()?,
                whens: whens.iter().map(|(when, then)| Ok((*boxed(when)?, *boxed(then)?))).collect::<Result<_, E>>()?,
                else_: else_.as_deref().map(&mut boxed).transpose()?,
            },
            ExprNode::Cast { operand, ty, try_ } => {
                ExprNode::Cast { operand: boxed(operand)?, ty: ty.clone(), try_: *try_ }
            }
            ExprNode::Like { operand, pattern, escape, case_insensitive, negated } => ExprNode::Like {
                operand: boxed(operand)?,
                pattern: boxed(pattern)?,
                escape: *escape,
                case_insensitive: *case_insensitive,
                negated: *negated,
            },
            ExprNode::Call { name, args } => {
                ExprNode::Call { name: name.clone(), args: args.iter().map(&mut change).collect::<Result<_, E>>()? }
            }
        };
        Ok(Expr { node, span: self.span.clone() })
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident),+) => {$(
        impl<R: Into<Expr>> std::ops::$trait<R> for Expr {
            type Output = Expr;

            fn $method(self, other: R) -> Expr {
                self.binary(BinaryOp::$trait, other.into())
            }
        }
    )+};
}
operators!(Add add, Sub sub, Mul mul, Div div, Rem rem);

impl std::ops::Neg for Expr {
    type Output = Expr;

    fn neg(self) -> Expr {
        ExprNode::Unary(UnaryOp::Neg, Box::new(self)).into()
    }
}

impl std::ops::Not for Expr {
    type Output = Expr;

    fn not(self) -> Expr {
        ExprNode::Unary(UnaryOp::Not, Box::new(self)).into()
    }
}
