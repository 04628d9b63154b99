//! Casts: which operations lead from one type to another.

use super::bind::Binder;
use super::build::{digits, type_range};
use super::numeric::decimal;
use super::program::{NodeId, Op, Rounding};
use super::text::TextFn;
use super::tree::Expr;
use crate::Result;
use crate::column::{Class, Type, Unit, Value};

impl Binder<'_> {
    /// `cast(id as ty)`. Rows whose value does not fit become errors.
    pub(super) fn cast(&mut self, id: NodeId, ty: &Type, expr: &Expr) -> Result<NodeId> {
        let from = self.ty(id);
        match (&from, ty) {
            (from, ty) if from == ty => Ok(id),
            (_, Type::List(_) | Type::Null) => Err(self.error(expr, format!("nothing can be cast to {ty}"), "")),
            (Type::Null, ty) => Ok(self.retype_null(id, ty.clone())),
            (Type::Str, ty) => self.text_call(TextFn::Parse(ty.clone()), vec![id], ty.clone(), expr),
            (_, Type::Str) => Ok(self.push(Op::Format, vec![id], Type::Str)),
            (Type::Bool, ty) if ty.is_numeric() => {
                let int = self.push(Op::BoolToInt, vec![id], Type::Int64);
                self.cast(int, ty, expr)
            }
            (from, Type::Bool) if from.is_numeric() => {
                let zero = match from.class() {
                    Some(Class::Float) => self.float(0.0),
                    Some(Class::Wide) => self.builder.literal(Value::Wide(0), from.clone()),
                    _ => self.int(0),
                };
                let is_zero = self.push(Op::Eq, vec![id, zero], Type::Bool);
                Ok(self.not(is_zero))
            }
            (Type::Date, Type::Timestamp(unit)) => Ok(self.at_unit(id, *unit)),
            (Type::Timestamp(from), Type::Timestamp(unit)) => Ok(if from < unit {
                self.at_unit(id, *unit)
            } else {
                self.push(Op::IntFloorDiv(from.per_second() / unit.per_second()), vec![id], ty.clone())
            }),
            (Type::Timestamp(unit), Type::Date) => {
                let days = self.days_of_ticks(id, *unit);
                Ok(self.within(days, Type::Date))
            }
            // Day numbers and ticks.
            (Type::Date | Type::Timestamp(_), ty) if ty.is_integer() && *ty != Type::UInt64 => {
                Ok(self.within(id, ty.clone()))
            }
            (from, Type::Date | Type::Timestamp(_)) if from.is_integer() && *from != Type::UInt64 => {
                Ok(self.within(id, ty.clone()))
            }
            (from, ty) if from.is_numeric() && ty.is_numeric() => Ok(self.cast_number(id, ty)),
            _ => {
                let help = match (&from, ty) {
                    (Type::Date | Type::Timestamp(_), _) => "cast it to int64 first: days or ticks since 1970-01-01",
                    (_, Type::Date | Type::Timestamp(_)) => "cast it to int64 first, then that to days or ticks",
                    _ => "",
                };
                Err(self.error(expr, format!("cannot cast {from} to {ty} in `{expr}`"), help))
            }
        }
    }

    /// The day number of a timestamp.
    pub(super) fn days_of_ticks(&mut self, id: NodeId, unit: Unit) -> NodeId {
        self.push(Op::IntFloorDiv(86_400 * unit.per_second()), vec![id], Type::Int64)
    }

    /// A node of class Int under a type of class Int, checked where it may not fit.
    fn within(&mut self, id: NodeId, ty: Type) -> NodeId {
        let ((low, high), (min, max)) = (self.node(id).range, type_range(&ty));
        if min <= low && high <= max {
            return self.push(Op::Retype, vec![id], ty);
        }
        self.push(Op::IntRange { min, max }, vec![id], ty)
    }

    fn cast_number(&mut self, id: NodeId, ty: &Type) -> NodeId {
        let from = self.ty(id);
        match (from.class(), ty) {
            (Some(Class::Float), Type::Float64) => self.push(Op::Retype, vec![id], Type::Float64),
            (_, Type::Float64) => self.as_float(id),
            (_, Type::Float32) => {
                let float = self.as_float(id);
                self.push(Op::FloatToFloat32, vec![float], Type::Float32)
            }
            (Some(Class::Float), Type::UInt64 | Type::Decimal { .. }) => {
                let wide = self.push(Op::FloatToWide { scale: ty.scale() }, vec![id], decimal(38, ty.scale()));
                self.within_wide(wide, ty)
            }
            (_, Type::UInt64 | Type::Decimal { .. }) => {
                let wide = self.as_wide(id);
                let scaled = self.rescale(wide, ty.scale());
                self.within_wide(scaled, ty)
            }
            (Some(Class::Float), ty) => {
                let int = self.push(Op::FloatToInt, vec![id], Type::Int64);
                self.within(int, ty.clone())
            }
            (Some(Class::Wide), ty) => {
                let whole = self.rescale(id, 0);
                let int = self.push(Op::WideToInt, vec![whole], Type::Int64);
                self.within(int, ty.clone())
            }
            (_, ty) => self.within(id, ty.clone()),
        }
    }

    /// Class Wide at another scale; digits beyond it are rounded, halves away from zero.
    pub(super) fn rescale(&mut self, id: NodeId, scale: u8) -> NodeId {
        let from = self.ty(id);
        match from.scale().saturating_sub(scale) {
            0 => self.at_scale(id, scale),
            cut => self.cut(id, cut, Rounding::Nearest),
        }
    }

    /// Class Wide without its last `cut` digits.
    pub(super) fn cut(&mut self, id: NodeId, cut: u8, rounding: Rounding) -> NodeId {
        let from = self.ty(id);
        // Rounding up may make one digit more.
        let ty = decimal((digits(&from) + 1).saturating_sub(cut.into()), from.scale().saturating_sub(cut));
        self.push(Op::WideRound { digits: cut, rounding }, vec![id], ty)
    }

    fn within_wide(&mut self, id: NodeId, ty: &Type) -> NodeId {
        let from = self.ty(id);
        let (min, max) = match ty {
            Type::UInt64 => (0, i128::from(u64::MAX)),
            ty => (1 - 10i128.pow(digits(ty)), 10i128.pow(digits(ty)) - 1),
        };
        if *ty != Type::UInt64 && digits(&from) <= digits(ty) {
            return self.push(Op::Retype, vec![id], ty.clone());
        }
        self.push(Op::WideRange { min, max }, vec![id], ty.clone())
    }
}
