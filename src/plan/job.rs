//! A job: what is to be computed, independent of device, file format, and batch or stream.

use crate::Result;
use crate::expr::{self, Expr};

/// An expression and the name its column gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The name; `None` takes the expression's text.
    pub name: Option<String>,
    /// The expression.
    pub expr: Expr,
}

impl Named {
    /// A list of expressions with or without names, as typed: `carrier, dep_delay > 15 as late`.
    ///
    /// # Errors
    /// As [`parse_items`](expr::parse_items).
    pub fn parse_list(text: &str) -> Result<Vec<Named>> {
        Ok(expr::parse_items(text)?.into_iter().map(|(expr, name)| Named { name, expr }).collect())
    }

    /// The column's name.
    pub fn title(&self) -> String {
        match (&self.name, &self.expr.span) {
            (Some(name), _) => name.clone(),
            (None, _) => match &self.expr.node {
                expr::ExprNode::Column(name) => name.clone(),
                _ => self.expr.to_string(),
            },
        }
    }
}

impl From<Expr> for Named {
    fn from(expr: Expr) -> Self {
        Named { name: None, expr }
    }
}

/// One term of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What to sort by: an output column, a key, or an expression over aggregates.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
    /// Whether nulls come first; the default is last, either way.
    pub nulls_first: bool,
}

/// A group-by job: source rows → filter → mapped columns → groups → aggregates → having → order → limit.
///
/// ```
/// use tidemill::{Job, aggregate::sum, col, lit};
/// let job = Job::new()
///     .filter(col("fare").gt(lit(0)))
///     .map("total", col("fare") + col("tip"))
///     .by(["vendor"])
///     .aggregate(sum(col("total")).named("revenue"))
///     .order_by("revenue desc")?
///     .limit(10);
/// assert_eq!(job.keys.len(), 1);
/// # Ok::<(), tidemill::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Job {
    /// Rows for which this is not true are dropped.
    pub filter: Option<Expr>,
    /// Named expressions, usable in everything below and in later ones.
    pub maps: Vec<(String, Expr)>,
    /// Group keys; none means one group of all rows.
    pub keys: Vec<Named>,
    /// Expressions over aggregates; none means the distinct keys alone.
    pub aggregates: Vec<Named>,
    /// Groups for which this is not true are dropped.
    pub having: Option<Expr>,
    /// The order of the result; empty is key order.
    pub order: Vec<Order>,
    /// The most rows to give.
    pub limit: Option<u64>,
    /// Whether groups may come in any order, when `order` is empty.
    pub unordered: bool,
    /// Columns of a job that does not group: its result are the rows that are kept, in the order of the input. A column `*` stands for
    /// all columns of the input. If there is one, there are no keys and no aggregates.
    pub select: Vec<Named>,
}

impl Job {
    /// A job that gives one empty row; add keys and aggregates.
    pub fn new() -> Self {
        Job::default()
    }

    /// Keeps only rows where `condition` is true; several calls are joined by `and`.
    pub fn filter(mut self, condition: Expr) -> Self {
        self.filter = Some(match self.filter.take() {
            Some(first) => first.and(condition),
            None => condition,
        });
        self
    }

    /// Names an expression.
    pub fn map(mut self, name: impl Into<String>, expr: Expr) -> Self {
        self.maps.push((name.into(), expr));
        self
    }

    /// Adds key columns by name.
    pub fn by<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.keys.extend(names.into_iter().map(|name| Named::from(expr::col(name))));
        self
    }

    /// Adds a key that is an expression.
    pub fn by_expr(mut self, key: impl Into<Named>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Adds an output: an expression over aggregates.
    pub fn aggregate(mut self, output: impl Into<Named>) -> Self {
        self.aggregates.push(output.into());
        self
    }

    /// Keeps only groups where `condition`, over keys and aggregates, is true; several calls are joined by `and`.
    pub fn having(mut self, condition: Expr) -> Self {
        self.having = Some(match self.having.take() {
            Some(first) => first.and(condition),
            None => condition,
        });
        self
    }

    /// Adds terms of an order in SQL: `"revenue desc, vendor"`.
    ///
    /// # Errors
    /// Text that does not parse.
    pub fn order_by(mut self, text: &str) -> Result<Self> {
        self.order.extend(expr::parse_order(text)?.into_iter().map(|term| Order {
            expr: term.expr,
            descending: term.descending,
            nulls_first: term.nulls_first.unwrap_or(false),
        }));
        Ok(self)
    }

    /// Gives at most `rows` rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Adds a column of a job that gives rows instead of groups: `col("*")` stands for all columns.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow_array::{Array, Int64Array, RecordBatch};
    /// use tidemill::{Engine, Input, Job, col, lit};
    /// # let x: Arc<dyn Array> = Arc::new(Int64Array::from(vec![3, 1, 2]));
    /// # let batch = RecordBatch::try_from_iter([("x", x)]).unwrap();
    /// let input = Input::batches(batch.schema(), vec![batch])?;
    /// let job = Job::new().filter(col("x").gt(lit(1))).select(col("*")).select((col("x") * lit(10)).named("tenfold"));
    /// let report = Engine::new().run(&job, &input)?;
    /// assert_eq!((report.rows(), report.ledger.rows_filtered), (2, 1));
    /// # Ok::<(), tidemill::Error>(())
    /// ```
    pub fn select(mut self, column: impl Into<Named>) -> Self {
        self.select.push(column.into());
        self
    }

    /// Whether it gives rows, not groups.
    pub fn is_of_rows(&self) -> bool {
        !self.select.is_empty()
    }

    /// Lets groups come in any order.
    pub fn unordered(mut self) -> Self {
        self.unordered = true;
        self
    }
}
