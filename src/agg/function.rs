//! The aggregate functions: what they are called, what they take and give, and which states they are made from.
//!
//! A function is no code of its own on any device. It is a few *states*, each of which every backend can fill and merge
//! ([`super::State`]), and a way to finish them. `mean`, `sum` and `var_samp` of one argument share their states.

use super::Keep;
use crate::column::{Class, Type};

/// An aggregate function with its constant parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `count()`, `count(*)`: rows.
    CountRows,
    /// `count(x)`: rows where x is not null.
    Count,
    /// `sum(x)`.
    Sum,
    /// `mean(x)`, `avg(x)`.
    Mean,
    /// `min(x)`, `any_value(x)`, `bool_and(x)`.
    Min,
    /// `max(x)`, `bool_or(x)`.
    Max,
    /// Variance, covariance and what follows from them.
    Moment(Moment),
    /// `median(x)`, `quantile(x, p)`.
    Quantile(f64),
    /// `count_distinct(x)`.
    CountDistinct,
    /// `top_k(x, k)`: largest first.
    TopK(u32),
    /// `bottom_k(x, k)`: smallest first.
    BottomK(u32),
    /// `max_by(x, y)`, `arg_max(x, y)`: the x where y is largest; of several, the largest x.
    MaxBy,
    /// `min_by(x, y)`, `arg_min(x, y)`: the x where y is smallest; of several, the smallest x.
    MinBy,
}

/// A function of Σx, Σy, Σx², Σy², Σxy and n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `var_pop(x)`
    VarPop,
    /// `var_samp(x)`, `var`, `variance`
    VarSamp,
    /// `stddev_pop(x)`
    StddevPop,
    /// `stddev_samp(x)`, `stddev`, `std`
    StddevSamp,
    /// `covar_pop(x, y)`
    CovarPop,
    /// `covar_samp(x, y)`
    CovarSamp,
    /// `corr(x, y)`
    Corr,
}

impl Moment {
    /// Whether it takes two arguments.
    pub fn is_pair(self) -> bool {
        matches!(self, Moment::CovarPop | Moment::CovarSamp | Moment::Corr)
    }
}

/// What a call must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No argument, or one.
    Count,
    /// One argument.
    One,
    /// Two arguments.
    Two,
    /// One argument and a constant between 0 and 1.
    Fraction,
    /// One argument and a constant whole number.
    Whole,
}

/// What one state keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Rows.
    Rows,
    /// Rows whose argument is not null.
    Count,
    /// Σx, exactly.
    Sum(Class),
    /// Σxy over rows where neither is null, exactly.
    Product(Class),
    /// The smallest x.
    Min(Class),
    /// The largest x.
    Max(Class),
    /// All x, or those that may matter.
    Bag(Class, Keep),
}

/// A state and which arguments feed it, as indices into a list of arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StateSpec {
    /// What it keeps.
    pub kind: StateKind,
    /// What it is fed: none, one, or two for products.
    pub args: Vec<usize>,
}

impl Function {
    /// Every name an aggregate is known by.
    pub const NAMES: [&'static str; 29] = [
        "count",
        "sum",
        "mean",
        "avg",
        "min",
        "max",
        "var_samp",
        "var_pop",
        "variance",
        "var",
        "stddev_samp",
        "stddev_pop",
        "stddev",
        "std",
        "covar_samp",
        "covar_pop",
        "corr",
        "bool_and",
        "bool_or",
        "any_value",
        "median",
        "quantile",
        "count_distinct",
        "top_k",
        "bottom_k",
        "max_by",
        "arg_max",
        "min_by",
        "arg_min",
    ];

    /// The function called `name` (in lower case) and the shape of its calls; parameters are still to be filled in.
    pub fn by_name(name: &str) -> Option<(Function, Shape)> {
        use Function::*;
        Some(match name {
            "count" => (CountRows, Shape::Count),
            "sum" => (Sum, Shape::One),
            "mean" | "avg" => (Mean, Shape::One),
            "min" | "any_value" | "bool_and" => (Min, Shape::One),
            "max" | "bool_or" => (Max, Shape::One),
            "var_samp" | "variance" | "var" => (Moment(self::Moment::VarSamp), Shape::One),
            "var_pop" => (Moment(self::Moment::VarPop), Shape::One),
            "stddev_samp" | "stddev" | "std" => (Moment(self::Moment::StddevSamp), Shape::One),
            "stddev_pop" => (Moment(self::Moment::StddevPop), Shape::One),
            "covar_samp" => (Moment(self::Moment::CovarSamp), Shape::Two),
            "covar_pop" => (Moment(self::Moment::CovarPop), Shape::Two),
            "corr" => (Moment(self::Moment::Corr), Shape::Two),
            "median" => (Quantile(0.5), Shape::One),
            "quantile" => (Quantile(0.0), Shape::Fraction),
            "count_distinct" => (CountDistinct, Shape::One),
            "top_k" => (TopK(0), Shape::Whole),
            "bottom_k" => (BottomK(0), Shape::Whole),
            "max_by" | "arg_max" => (MaxBy, Shape::Two),
            "min_by" | "arg_min" => (MinBy, Shape::Two),
            _ => return None,
        })
    }

    /// The type of the result for an argument of type `ty`, or why there is none.
    pub fn result(&self, name: &str, ty: &Type) -> Result<Type, String> {
        let numeric = || match ty {
            Type::Null => Ok(()),
            t if t.is_numeric() => Ok(()),
            t => Err(format!("{name} needs numbers, not {t}")),
        };
        match self {
            Function::CountRows | Function::Count | Function::CountDistinct => Ok(Type::Int64),
            Function::Sum => numeric().map(|()| match ty {
                Type::Decimal { scale, .. } => Type::Decimal { precision: 38, scale: *scale },
                Type::UInt64 => Type::UInt64,
                Type::Float32 | Type::Float64 => Type::Float64,
                _ => Type::Int64,
            }),
            Function::Mean | Function::Moment(_) | Function::Quantile(_) => numeric().map(|()| Type::Float64),
            Function::Min | Function::Max if name.starts_with("bool") && !matches!(ty, Type::Bool | Type::Null) => {
                Err(format!("{name} needs bool, not {ty}"))
            }
            Function::Min | Function::Max => Ok(ty.clone()),
            Function::TopK(_) | Function::BottomK(_) => Ok(Type::List(Box::new(ty.clone()))),
            Function::MaxBy | Function::MinBy => match ty.class() {
                Some(Class::Int | Class::Float) => Ok(ty.clone()),
                _ => Err(format!("{name} is of numbers, dates and timestamps of at most 64 bits, not of {ty}")),
            },
        }
    }

    /// The states it is made from; their arguments are indices into the call's own arguments (of class `class`).
    pub fn states(&self, class: Class) -> Vec<StateSpec> {
        let spec = |kind, args: &[usize]| StateSpec { kind, args: args.to_vec() };
        let sum = |arg| spec(StateKind::Sum(class), &[arg]);
        let product = |a, b| spec(StateKind::Product(class), &[a, b]);
        let count = spec(StateKind::Count, &[0]);
        match self {
            Function::CountRows => vec![spec(StateKind::Rows, &[])],
            Function::Count => vec![count],
            Function::Sum | Function::Mean => vec![count, sum(0)],
            Function::Min => vec![spec(StateKind::Min(class), &[0])],
            Function::Max => vec![spec(StateKind::Max(class), &[0])],
            Function::Moment(Moment::Corr) => {
                vec![count, sum(0), sum(1), product(0, 1), product(0, 0), product(1, 1)]
            }
            Function::Moment(Moment::CovarPop | Moment::CovarSamp) => vec![count, sum(0), sum(1), product(0, 1)],
            Function::Moment(_) => vec![count, sum(0), product(0, 0)],
            Function::Quantile(_) => vec![spec(StateKind::Bag(class, Keep::All), &[0])],
            Function::CountDistinct => vec![spec(StateKind::Bag(class, Keep::Distinct), &[0])],
            Function::TopK(k) => vec![spec(StateKind::Bag(class, Keep::Largest(*k)), &[0])],
            Function::BottomK(k) => vec![spec(StateKind::Bag(class, Keep::Smallest(*k)), &[0])],
            // Of the pair (y, x).
            Function::MaxBy => vec![spec(StateKind::Max(Class::Wide), &[0])],
            Function::MinBy => vec![spec(StateKind::Min(Class::Wide), &[0])],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known() {
        for name in Function::NAMES {
            assert!(Function::by_name(name).is_some(), "{name}");
        }
        assert!(Function::by_name("mode").is_none());
    }

    #[test]
    fn sums_keep_their_kind() {
        let decimal = Type::Decimal { precision: 5, scale: 2 };
        assert_eq!(Function::Sum.result("sum", &decimal), Ok(Type::Decimal { precision: 38, scale: 2 }));
        assert_eq!(Function::Sum.result("sum", &Type::UInt8), Ok(Type::Int64));
        assert_eq!(Function::Sum.result("sum", &Type::UInt64), Ok(Type::UInt64));
        assert_eq!(Function::Sum.result("sum", &Type::Str), Err("sum needs numbers, not string".into()));
        assert_eq!(Function::Max.result("bool_or", &Type::Int64), Err("bool_or needs bool, not int64".into()));
    }
}
