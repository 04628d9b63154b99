//! The scalar functions by name: their arguments, their types, and the operations they become.

use super::bind::Binder;
use super::numeric::decimal;
use super::program::{DateField, NodeId, Op, Rounding};
use super::text::TextFn;
use super::tree::{BinaryOp, Expr};
use crate::Result;
use crate::column::{Class, Type, Unit, Value};

/// The fields `extract` knows; each is a function too.
pub(super) const DATE_FIELDS: &[&str] = &[
    "year",
    "quarter",
    "month",
    "week",
    "isoyear",
    "day",
    "dow",
    "isodow",
    "doy",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
];

/// The function for a field of `extract`, its other names included.
pub(super) fn date_field(name: &str) -> Option<&'static str> {
    let name = match name {
        "dayofweek" | "weekday" => "dow",
        "dayofyear" => "doy",
        "weekofyear" => "week",
        "dayofmonth" => "day",
        "milliseconds" => "millisecond",
        "microseconds" => "microsecond",
        name => name,
    };
    let singular = name.strip_suffix('s').unwrap_or(name);
    DATE_FIELDS.iter().find(|f| **f == name || **f == singular).copied()
}

/// Aggregates, for the message when one stands where there is a row.
const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "mean",
    "avg",
    "min",
    "max",
    "var_samp",
    "var_pop",
    "stddev_samp",
    "stddev_pop",
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
    "unnest",
];

/// Name, least and most arguments.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("abs", 1, 1),
    ("sign", 1, 1),
    ("floor", 1, 1),
    ("ceil", 1, 1),
    ("ceiling", 1, 1),
    ("trunc", 1, 1),
    ("round", 1, 2),
    ("sqrt", 1, 1),
    ("pow", 2, 2),
    ("power", 2, 2),
    ("exp", 1, 1),
    ("ln", 1, 1),
    ("log10", 1, 1),
    ("is_nan", 1, 1),
    ("isnan", 1, 1),
    ("is_finite", 1, 1),
    ("isfinite", 1, 1),
    ("greatest", 1, usize::MAX),
    ("least", 1, usize::MAX),
    ("coalesce", 1, usize::MAX),
    ("ifnull", 2, 2),
    ("nullif", 2, 2),
    ("if", 3, 3),
    ("try", 1, 1),
    ("date_trunc", 2, 2),
    ("time_bucket", 2, 2),
    ("lower", 1, 1),
    ("upper", 1, 1),
    ("trim", 1, 2),
    ("ltrim", 1, 2),
    ("rtrim", 1, 2),
    ("length", 1, 1),
    ("substr", 2, 3),
    ("substring", 2, 3),
    ("left", 2, 2),
    ("right", 2, 2),
    ("replace", 3, 3),
    ("concat", 1, usize::MAX),
    ("starts_with", 2, 2),
    ("ends_with", 2, 2),
    ("contains", 2, 2),
    ("regexp_matches", 2, 2),
    ("regexp_extract", 2, 3),
    ("split_part", 3, 3),
];

/// Whether there is a scalar function of this name.
pub fn is_function(name: &str) -> bool {
    date_field(name).is_some() || FUNCTIONS.iter().any(|f| f.0 == name)
}

impl Binder<'_> {
    /// A call of a scalar function.
    pub(super) fn call(&mut self, name: &str, args: &[Expr], expr: &Expr) -> Result<NodeId> {
        let field = date_field(name);
        let arity = match field {
            Some(_) => Some((1, 1)),
            None => FUNCTIONS.iter().find(|f| f.0 == name).map(|f| (f.1, f.2)),
        };
        let Some((least, most)) = arity else {
            return Err(self.unknown_function(name, expr));
        };
        if args.len() < least || args.len() > most {
            let want = match (least, most) {
                (least, usize::MAX) => format!("{least} or more arguments"),
                (1, 1) => "1 argument".to_owned(),
                (least, most) if least == most => format!("{least} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            return Err(self.error(expr, format!("`{name}` takes {want}, not {}: `{expr}`", args.len()), ""));
        }
        let ids = args.iter().map(|arg| self.bind(arg)).collect::<Result<Vec<_>>>()?;
        if let Some(field) = field {
            return self.date_part(field, ids[0], &args[0]);
        }
        match name {
            "abs" | "sign" | "floor" | "ceil" | "ceiling" | "trunc" | "round" => self.rounding(name, &ids, args, expr),
            "sqrt" => self.float_function(Op::Sqrt, ids, args, name),
            "pow" | "power" => self.float_function(Op::Pow, ids, args, name),
            "exp" => self.float_function(Op::Exp, ids, args, name),
            "ln" => self.float_function(Op::Ln, ids, args, name),
            "log10" => self.float_function(Op::Log10, ids, args, name),
            "is_nan" | "isnan" => self.float_test(Op::IsNan, ids[0], &args[0], name),
            "is_finite" | "isfinite" => self.float_test(Op::IsFinite, ids[0], &args[0], name),
            "greatest" | "least" => {
                let op = if name == "greatest" { Op::Max2 } else { Op::Min2 };
                let ids = self.common(&ids, &format!("the arguments of `{name}`"), expr)?;
                let ty = self.ty(ids[0]);
                let mut result = ids[0];
                for id in &ids[1..] {
                    result = self.push(op.clone(), vec![result, *id], ty.clone());
                }
                Ok(result)
            }
            "coalesce" | "ifnull" => {
                let ids = self.common(&ids, &format!("the arguments of `{name}`"), expr)?;
                let present: Vec<NodeId> = ids[..ids.len() - 1]
                    .iter()
                    .map(|id| {
                        let is_null = self.push(Op::IsNull, vec![*id], Type::Bool);
                        self.not(is_null)
                    })
                    .collect();
                self.choose(&present, &ids)
            }
            "nullif" => {
                let equal = self.compare(BinaryOp::Eq, ids[0], ids[1], expr)?;
                let ty = self.ty(ids[0]);
                let null = self.null(ty.clone());
                Ok(self.push(Op::Select, vec![equal, null, ids[0]], ty))
            }
            "if" => {
                let condition = self.boolean(ids[0], &args[0])?;
                let values = self.common(&ids[1..], "the branches of `if`", expr)?;
                self.choose(&[condition], &values)
            }
            "try" => {
                let ty = self.ty(ids[0]);
                Ok(self.push(Op::Try, ids, ty))
            }
            "date_trunc" => self.date_trunc(&ids, args, expr),
            "time_bucket" => self.time_bucket(&ids, args, expr),
            _ => self.text_function(name, ids, args, expr),
        }
    }

    fn unknown_function(&self, name: &str, expr: &Expr) -> crate::Error {
        if AGGREGATES.contains(&name) {
            let message =
                format!("the aggregate `{name}` cannot stand here: there is one row, not a group, in `{expr}`");
            let help = match name {
                "min" => "least(a, b) is the smaller of two values",
                "max" => "greatest(a, b) is the larger of two values",
                _ => "aggregates stand after --by, and in --having and --order-by",
            };
            return self.error(expr, message, help);
        }
        let names = FUNCTIONS.iter().map(|f| f.0).chain(DATE_FIELDS.iter().copied()).chain(AGGREGATES.iter().copied());
        let fields = names.map(|n| crate::column::Field::new(n, Type::Bool)).collect();
        let help = match (name, crate::column::Schema { fields }.nearest(name)) {
            ("log", _) => "write ln(x) or log10(x)".to_owned(),
            ("len", _) => "write length(x)".to_owned(),
            (_, Some(near)) => format!("did you mean `{near}`?"),
            _ => "docs/expressions.md lists the functions".to_owned(),
        };
        self.error(expr, format!("unknown function `{name}`"), &help)
    }

    fn must_be_number(&self, id: NodeId, arg: &Expr, name: &str) -> Result<()> {
        match &self.node(id).ty {
            Type::Null => Ok(()),
            ty if ty.is_numeric() => Ok(()),
            ty => {
                let help = match ty {
                    Type::Str => format!("write cast({arg} as float64)"),
                    Type::Bool => format!("write cast({arg} as int64)"),
                    _ => format!("write cast({arg} as int64): days or ticks since 1970-01-01"),
                };
                Err(self.error(arg, format!("`{name}` needs a number, but `{arg}` is {ty}"), &help))
            }
        }
    }

    fn float_function(&mut self, op: Op, ids: Vec<NodeId>, args: &[Expr], name: &str) -> Result<NodeId> {
        for (id, arg) in ids.iter().zip(args) {
            self.must_be_number(*id, arg, name)?;
        }
        let floats = ids.iter().map(|id| self.as_float(*id)).collect();
        Ok(self.push(op, floats, Type::Float64))
    }

    fn float_test(&mut self, op: Op, id: NodeId, arg: &Expr, name: &str) -> Result<NodeId> {
        self.must_be_number(id, arg, name)?;
        let float = self.as_float(id);
        Ok(self.push(op, vec![float], Type::Bool))
    }

    /// abs, sign and the roundings, which keep integers integers and decimals decimals.
    fn rounding(&mut self, name: &str, ids: &[NodeId], args: &[Expr], expr: &Expr) -> Result<NodeId> {
        let id = ids[0];
        self.must_be_number(id, &args[0], name)?;
        let ty = self.ty(id);
        if ty == Type::Null {
            return Ok(id);
        }
        match name {
            "abs" => {
                let ty = if ty == Type::Int64 || ty.class() != Some(Class::Int) { ty } else { Type::Int64 };
                return Ok(self.push(Op::Abs, vec![id], ty));
            }
            "sign" => return Ok(self.push(Op::Sign, vec![id], Type::Int64)),
            _ => {}
        }
        let mode = match name {
            "floor" => Rounding::Floor,
            "ceil" | "ceiling" => Rounding::Ceil,
            "trunc" => Rounding::Trunc,
            _ => Rounding::Nearest,
        };
        let places = match ids.get(1).map(|p| self.builder.constant(*p).cloned()) {
            None => 0,
            Some(Some(Value::Int(places))) if (-400..=400).contains(&places) => places,
            _ => {
                let message = format!("the digits of `round` must be a constant integer, but `{}` is not", args[1]);
                return Err(self.error(&args[1], message, "write round(x, 2)"));
            }
        };
        match ty.class() {
            Some(Class::Float) => Ok(self.round_float(id, mode, places)),
            Some(Class::Wide) => {
                let drop = i64::from(ty.scale()) - places;
                if drop <= 0 {
                    return Ok(id);
                }
                Ok(self.round_wide(id, drop, mode, places))
            }
            _ if places >= 0 => Ok(id),
            _ => {
                let wide = self.as_wide(id);
                let rounded = self.round_wide(wide, -places, mode, places);
                self.cast(rounded, &Type::Int64, expr)
            }
        }
    }

    fn round_wide(&mut self, id: NodeId, drop: i64, mode: Rounding, places: i64) -> NodeId {
        // 38 digits or more dropped leave nothing but what one more digit would round to.
        let ty = self.ty(id);
        if drop > 38 {
            let zero = self.builder.literal(Value::Wide(0), decimal(1, 0));
            // Nulls stay null.
            let none = self.push(Op::WideRound { digits: 38, rounding: Rounding::Trunc }, vec![id], decimal(1, 0));
            return self.push(Op::Mul, vec![none, zero], decimal(1, 0));
        }
        let cut = self.cut(id, drop as u8, mode);
        let up = (-places).max(0) as u8;
        if up == 0 {
            return cut;
        }
        // Back to whole units: the scale says nothing now, the value is a multiple of 10^up.
        let digits = super::build::digits(&ty) + 1;
        self.push(Op::WideScaleUp { digits: up }, vec![cut], decimal(digits.max(u32::from(up) + 1), 0))
    }

    /// `round(x, d)` = round(x · 10^d) / 10^d, each step in binary64; x itself where that is not finite.
    fn round_float(&mut self, id: NodeId, mode: Rounding, places: i64) -> NodeId {
        let f64_op = |binder: &mut Self, op, args| binder.push(op, args, Type::Float64);
        if places == 0 {
            return f64_op(self, Op::FloatRound(mode), vec![id]);
        }
        let power = self.float(format!("1e{}", places.unsigned_abs().min(308)).parse().unwrap_or(1.0));
        let (there, back) = if places > 0 { (Op::Mul, Op::Div) } else { (Op::Div, Op::Mul) };
        let scaled = f64_op(self, there, vec![id, power]);
        let rounded = f64_op(self, Op::FloatRound(mode), vec![scaled]);
        let result = f64_op(self, back, vec![rounded, power]);
        let finite = self.push(Op::IsFinite, vec![result], Type::Bool);
        f64_op(self, Op::Select, vec![finite, result, id])
    }

    /// A field of a date or timestamp.
    fn date_part(&mut self, name: &str, id: NodeId, arg: &Expr) -> Result<NodeId> {
        let unit = match self.ty(id) {
            Type::Null => return Ok(self.retype_null(id, Type::Int64)),
            Type::Date => None,
            Type::Timestamp(unit) => Some(unit),
            ty => return Err(self.not_a_date(name, &ty, arg)),
        };
        let field = match name {
            "year" => DateField::Year,
            "quarter" => DateField::Quarter,
            "month" => DateField::Month,
            "week" => DateField::Week,
            "isoyear" => DateField::IsoYear,
            "day" => DateField::Day,
            "dow" => DateField::Dow,
            "isodow" => DateField::IsoDow,
            "doy" => DateField::Doy,
            _ => return Ok(self.time_part(name, id, unit)),
        };
        let days = match unit {
            None => id,
            Some(unit) => self.days_of_ticks(id, unit),
        };
        Ok(self.push(Op::DatePart(field), vec![days], Type::Int64))
    }

    /// hour, minute, second, millisecond, microsecond; the last two count from the start of the minute.
    fn time_part(&mut self, name: &str, id: NodeId, unit: Option<Unit>) -> NodeId {
        let Some(unit) = unit else {
            // A date's time is midnight; null stays null.
            return self.push(Op::IntFloorMod(1), vec![id], Type::Int64);
        };
        let second = unit.per_second();
        // The field is the rest of `span` in steps of `step` ticks, or of 1/finer of a tick.
        let (span, step, finer) = match name {
            "hour" => (86_400 * second, 3_600 * second, 1),
            "minute" => (3_600 * second, 60 * second, 1),
            "second" => (60 * second, second, 1),
            "millisecond" => (60 * second, (second / 1_000).max(1), (1_000 / second).max(1)),
            _ => (60 * second, (second / 1_000_000).max(1), (1_000_000 / second).max(1)),
        };
        let mut result = self.push(Op::IntFloorMod(span), vec![id], Type::Int64);
        if step > 1 {
            result = self.push(Op::IntFloorDiv(step), vec![result], Type::Int64);
        }
        if finer > 1 {
            result = self.push(Op::IntScale(finer), vec![result], Type::Int64);
        }
        result
    }

    fn text_function(&mut self, name: &str, ids: Vec<NodeId>, args: &[Expr], expr: &Expr) -> Result<NodeId> {
        let (function, result) = match name {
            "lower" => (TextFn::Lower, Type::Str),
            "upper" => (TextFn::Upper, Type::Str),
            "trim" => (TextFn::Trim { start: true, end: true }, Type::Str),
            "ltrim" => (TextFn::Trim { start: true, end: false }, Type::Str),
            "rtrim" => (TextFn::Trim { start: false, end: true }, Type::Str),
            "length" => (TextFn::Length, Type::Int64),
            "substr" | "substring" => (TextFn::Substr, Type::Str),
            "left" => (TextFn::Left, Type::Str),
            "right" => (TextFn::Right, Type::Str),
            "replace" => (TextFn::Replace, Type::Str),
            "concat" => (TextFn::ConcatSkipNull, Type::Str),
            "starts_with" => (TextFn::StartsWith, Type::Bool),
            "ends_with" => (TextFn::EndsWith, Type::Bool),
            "contains" => (TextFn::Contains, Type::Bool),
            "regexp_matches" => (TextFn::Regexp, Type::Bool),
            "regexp_extract" => (TextFn::RegexpExtract, Type::Str),
            "split_part" => (TextFn::SplitPart, Type::Str),
            _ => return Err(self.unknown_function(name, expr)),
        };
        // From which argument on there are numbers.
        let counts = match function {
            TextFn::Substr | TextFn::Left | TextFn::Right => 1,
            TextFn::RegexpExtract | TextFn::SplitPart => 2,
            _ => usize::MAX,
        };
        for (i, (id, arg)) in ids.iter().zip(args).enumerate() {
            if i < counts {
                self.must_be_text(*id, arg, name)?;
                continue;
            }
            let ty = self.ty(*id);
            if ty != Type::Null && (!ty.is_integer() || ty == Type::UInt64) {
                let message = format!("`{name}` needs an integer, but `{arg}` is {ty}");
                return Err(self.error(arg, message, &format!("write cast({arg} as int64)")));
            }
        }
        self.text_call(function, ids, result, expr)
    }
}
