//! Aggregate calls for library callers; each is [`call`] with the function's name.

use super::Named;
use crate::expr::{Expr, call};

macro_rules! one {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(x: Expr) -> Expr {
            call(stringify!($name), [x])
        }
    )+};
}

macro_rules! two {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(x: Expr, y: Expr) -> Expr {
            call(stringify!($name), [x, y])
        }
    )+};
}

/// Rows.
///
/// ```
/// use tidemill::{aggregate::{count, max, min}, col};
/// let spread = (max(col("v1")) - min(col("v2"))).named("spread");
/// assert_eq!(spread.expr.to_string(), "max(v1) - min(v2)");
/// assert_eq!(count().to_string(), "count()");
/// ```
pub fn count() -> Expr {
    call("count", [])
}

/// Rows where `x` is not null.
pub fn count_of(x: Expr) -> Expr {
    call("count", [x])
}

one! {
    /// The exact sum, rounded once.
    sum,
    /// The exact sum over the count, rounded once.
    mean,
    /// The smallest value.
    min,
    /// The largest value.
    max,
    /// Sample variance.
    var_samp,
    /// Population variance.
    var_pop,
    /// Sample standard deviation.
    stddev_samp,
    /// Population standard deviation.
    stddev_pop,
    /// Whether every value is true.
    bool_and,
    /// Whether any value is true.
    bool_or,
    /// A value of the group: the smallest, so that it is always the same one.
    any_value,
    /// The middle value, or the mean of the two.
    median,
    /// Distinct values.
    count_distinct,
}

two! {
    /// The `x` where `y` is largest; of several, the largest.
    max_by,
    /// The `x` where `y` is smallest; of several, the smallest.
    min_by,
    /// Sample covariance.
    covar_samp,
    /// Population covariance.
    covar_pop,
    /// Pearson's correlation.
    corr,
}

/// The quantile at `p` (0 to 1), by linear interpolation.
pub fn quantile(x: Expr, p: f64) -> Expr {
    call("quantile", [x, p.into()])
}

/// The `k` largest values, largest first, as a list.
pub fn top_k(x: Expr, k: u32) -> Expr {
    call("top_k", [x, k.into()])
}

/// The `k` smallest values, smallest first, as a list.
pub fn bottom_k(x: Expr, k: u32) -> Expr {
    call("bottom_k", [x, k.into()])
}

/// One row for each item of a list.
pub fn unnest(list: Expr) -> Expr {
    call("unnest", [list])
}

impl Expr {
    /// Gives the expression a column name.
    pub fn named(self, name: impl Into<String>) -> Named {
        Named { name: Some(name.into()), expr: self }
    }
}
