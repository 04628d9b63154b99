//! The functions that cut times: `date_trunc` and `time_bucket`.

use super::bind::Binder;
use super::interval::Interval;
use super::program::{DatePeriod, NodeId, Op};
use super::tree::Expr;
use crate::Result;
use crate::column::{Type, Value};

impl Binder<'_> {
    pub(super) fn not_a_date(&self, name: &str, ty: &Type, arg: &Expr) -> crate::Error {
        let help = match ty {
            Type::Str => format!("write cast({arg} as date) or cast({arg} as timestamp)"),
            Type::Int64 => format!("write cast({arg} as timestamp(s)), or ms, us, ns, if it counts those"),
            _ => String::new(),
        };
        self.error(arg, format!("`{name}` needs a date or timestamp, but `{arg}` is {ty}"), &help)
    }

    pub(super) fn date_trunc(&mut self, ids: &[NodeId], args: &[Expr], expr: &Expr) -> Result<NodeId> {
        const UNITS: &str = "units: year, quarter, month, week, day, hour, minute, second, millisecond, microsecond";
        let name = match self.builder.constant(ids[0]) {
            Some(Value::Str(name)) => name.to_lowercase(),
            _ => {
                let message = format!("the unit of `date_trunc` must be a constant string in `{expr}`");
                return Err(self.error(&args[0], message, "write date_trunc('month', x)"));
            }
        };
        let (id, ty) = (ids[1], self.ty(ids[1]));
        let unit = match ty {
            Type::Null => return Ok(id),
            Type::Date => None,
            Type::Timestamp(unit) => Some(unit),
            ty => return Err(self.not_a_date("date_trunc", &ty, &args[1])),
        };
        let period = match name.strip_suffix('s').unwrap_or(&name) {
            "year" => Some(DatePeriod::Year),
            "quarter" => Some(DatePeriod::Quarter),
            "month" => Some(DatePeriod::Month),
            "week" => Some(DatePeriod::Week),
            "day" | "hour" | "minute" | "second" | "millisecond" | "microsecond" => None,
            _ => return Err(self.error(&args[0], format!("unknown unit '{name}'"), UNITS)),
        };
        match (period, unit) {
            (Some(period), None) => {
                let days = self.push(Op::DateTrunc(period), vec![id], Type::Int64);
                let range = Op::IntRange { min: i32::MIN.into(), max: i32::MAX.into() };
                Ok(self.push(range, vec![days], Type::Date))
            }
            (None, None) => Ok(id),
            (Some(period), Some(unit)) => {
                let days = self.days_of_ticks(id, unit);
                let days = self.push(Op::DateTrunc(period), vec![days], Type::Int64);
                Ok(self.push(Op::IntScale(86_400 * unit.per_second()), vec![days], ty))
            }
            (None, Some(unit)) => {
                let second = unit.per_second();
                let step = match name.strip_suffix('s').unwrap_or(&name) {
                    "day" => 86_400 * second,
                    "hour" => 3_600 * second,
                    "minute" => 60 * second,
                    "second" => second,
                    "millisecond" => (second / 1_000).max(1),
                    _ => (second / 1_000_000).max(1),
                };
                let rest = self.push(Op::IntFloorMod(step), vec![id], Type::Int64);
                Ok(self.push(Op::Sub, vec![id, rest], ty))
            }
        }
    }

    /// The start of the span that a time is in; spans follow one another from 1970-01-01T00:00:00 on, in both directions.
    pub(super) fn time_bucket(&mut self, ids: &[NodeId], args: &[Expr], expr: &Expr) -> Result<NodeId> {
        let width = match self.builder.constant(ids[0]) {
            Some(Value::Str(text)) => text.parse::<Interval>().map_err(|error| match error {
                crate::Error::Usage { message, help } => self.error(&args[0], message, &help.unwrap_or_default()),
                error => error,
            })?,
            _ => {
                let message = format!("the width of `time_bucket` must be a constant string in `{expr}`");
                return Err(self.error(&args[0], message, "write time_bucket('10 seconds', x)"));
            }
        };
        let (id, ty) = (ids[1], self.ty(ids[1]));
        let (ticks, unit) = match &ty {
            Type::Null => return Ok(id),
            Type::Date => {
                (width.ticks(1).filter(|seconds| seconds % 86_400 == 0).map(|seconds| seconds / 86_400), "day")
            }
            Type::Timestamp(unit) => (width.ticks(unit.per_second()), unit.name()),
            ty => return Err(self.not_a_date("time_bucket", ty, &args[1])),
        };
        let Some(ticks) = ticks.filter(|&ticks| ticks > 0) else {
            let message = format!(
                "'{width}' is no whole number of the ticks of `{}`, which is {ty} (a tick is 1 {unit})",
                args[1]
            );
            return Err(self.error(&args[0], message, ""));
        };
        let rest = self.push(Op::IntFloorMod(ticks), vec![id], Type::Int64);
        if ty == Type::Date {
            let days = self.push(Op::Sub, vec![id, rest], Type::Int64);
            return Ok(self.push(Op::IntRange { min: i32::MIN.into(), max: i32::MAX.into() }, vec![days], ty));
        }
        Ok(self.push(Op::Sub, vec![id, rest], ty))
    }
}
