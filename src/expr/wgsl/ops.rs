//! The operations as WGSL: [`Emitter::choice`] has those with rules of their own for nulls and errors, and
//! [`Emitter::operation`] all others.
//!
//! Where the program knows that a check cannot fail, or that integers fit one word, the shorter call is made.

use super::super::program::{DateField, DatePeriod, Node, NodeId, Op, Rounding};
use super::broken;
use super::emit::{Emitter, Made, Term, all, any, zero};
use crate::Result;
use crate::column::{Class, Value};

/// An i64 or the bits of a double.
fn two(bits: u64) -> String {
    format!("vec2<u32>({:#x}u, {:#x}u)", bits as u32, bits >> 32)
}

fn four(bits: u128) -> String {
    let word = |i: u32| (bits >> (32 * i)) as u32;
    format!("vec4<u32>({:#x}u, {:#x}u, {:#x}u, {:#x}u)", word(0), word(1), word(2), word(3))
}

/// A field of one word as an Int.
fn small(word: &str) -> Made {
    Made::always(format!("vec2<u32>({word}, 0u)"))
}

/// Whether all values of class Int are words without a sign.
fn is_word(node: &Node) -> bool {
    node.class == Class::Int && node.range.0 >= 0 && node.range.1 <= u32::MAX.into()
}

/// Whether all values of class Int are words with one.
fn is_signed_word(node: &Node) -> bool {
    node.class == Class::Int && node.range.0 >= i32::MIN.into() && node.range.1 <= i32::MAX.into()
}

impl Emitter<'_> {
    /// Operations that look at the flags of their arguments; `None` for all others.
    pub fn choice(&mut self, id: NodeId, args: &[Term]) -> Result<Option<Term>> {
        let node = self.program.node(id);
        let n = id.0;
        Ok(Some(match (&node.op, args) {
            (Op::Null, []) => Term { value: zero(node.class, false).into(), valid: Some("false".into()), error: None },
            (Op::Retype, [x]) => x.clone(),
            (Op::Try, [x]) => {
                let valid = all(&[x.valid.clone(), x.error.as_ref().map(|error| format!("!{error}"))]);
                Term { value: x.value.clone(), valid: self.bind_flag(format!("n{n}"), valid), error: None }
            }
            (Op::IsNull, [x]) => {
                let value = x.valid.as_ref().map_or("false".to_owned(), |valid| format!("!{valid}"));
                Term { value: self.bind_value(n, value), valid: None, error: x.error.clone() }
            }
            (Op::And | Op::Or, [a, b]) => self.logic(id, a, b),
            (Op::Select, [c, a, b]) => {
                let take = all(&[c.valid.clone(), Some(c.value.clone())]).unwrap_or_default();
                let take = self.bind_flag(format!("t{n}"), Some(take)).unwrap_or_default();
                let value = self.bind(format!("v{n}"), &format!("select({}, {}, {take})", b.value, a.value));
                let flag = |a: &Option<String>, b: &Option<String>, usual: &str| match (a, b) {
                    (None, None) => None,
                    (a, b) if a == b => a.clone(),
                    (a, b) => Some(format!(
                        "select({}, {}, {take})",
                        b.as_deref().unwrap_or(usual),
                        a.as_deref().unwrap_or(usual)
                    )),
                };
                let valid = self.bind_flag(format!("n{n}"), flag(&a.valid, &b.valid, "true"));
                let error = any(&[c.error.clone(), flag(&a.error, &b.error, "false")]);
                Term { value, valid, error: self.bind_flag(format!("e{n}"), error) }
            }
            (Op::Min2 | Op::Max2, [a, b]) => {
                let (low, high) = if node.op == Op::Min2 { (b, a) } else { (a, b) };
                let before = self.before(id, &low.value, &high.value)?;
                // The second where it is better, if both are there; a null gives way.
                let mut second = before;
                if let Some(valid) = &b.valid {
                    second = format!("({valid} & {second})");
                }
                if let Some(valid) = &a.valid {
                    second = format!("(!{valid} | {second})");
                }
                let value = self.bind(format!("v{n}"), &format!("select({}, {}, {second})", a.value, b.value));
                let valid = match (&a.valid, &b.valid) {
                    (Some(_), Some(_)) => any(&[a.valid.clone(), b.valid.clone()]),
                    _ => None,
                };
                let valid = self.bind_flag(format!("n{n}"), valid);
                let error = self.bind_flag(format!("e{n}"), any(&[a.error.clone(), b.error.clone()]));
                Term { value, valid, error }
            }
            _ => return Ok(None),
        }))
    }

    /// `and`, `or`: one argument may decide for both, whatever the other is.
    fn logic(&mut self, id: NodeId, a: &Term, b: &Term) -> Term {
        let n = id.0;
        let and = self.program.node(id).op == Op::And;
        let plain = |x: &Term| x.valid.is_none() && x.error.is_none();
        if plain(a) && plain(b) {
            let operator = if and { "&" } else { "|" };
            let value = self.bind(format!("v{n}"), &format!("{} {operator} {}", a.value, b.value));
            return Term { value, valid: None, error: None };
        }
        let decides = |x: &Term| {
            let value = if and { format!("!{}", x.value) } else { x.value.clone() };
            all(&[x.valid.clone(), x.error.as_ref().map(|error| format!("!{error}")), Some(value)])
        };
        let decided = any(&[decides(a), decides(b)]).unwrap_or_default();
        let decided = self.bind(format!("d{n}"), &decided);
        // Where nothing decides and nothing is null, both are the other truth value.
        let value = if and { self.bind(format!("v{n}"), &format!("!{decided}")) } else { decided.clone() };
        let valid = all(&[a.valid.clone(), b.valid.clone()]).map(|both| format!("({decided} | {both})"));
        let error = any(&[a.error.clone(), b.error.clone()]).map(|either| format!("({either} & !{decided})"));
        Term { value, valid: self.bind_flag(format!("n{n}"), valid), error: self.bind_flag(format!("e{n}"), error) }
    }

    /// Whether `a` stands before `b` in the order of `min` and `max`, for the class of a node.
    fn before(&self, id: NodeId, a: &str, b: &str) -> Result<String> {
        Ok(match self.program.node(id).class {
            Class::Bool => format!("(!{a} & {b})"),
            Class::Int => format!("i64_lt({a}, {b})"),
            Class::Wide => format!("i128_lt({a}, {b})"),
            Class::Float => format!("f64_before({a}, {b})"),
            Class::Str => return Err(broken(self.program, id, "strings have no order here")),
        })
    }

    /// An operation that sees only values.
    pub fn operation(&mut self, id: NodeId, args: &[Term]) -> Result<Made> {
        let program = self.program;
        let node = program.node(id);
        // The class the operation works on.
        let class = node.args.first().map_or(node.class, |arg| program.node(*arg).class);
        let arg = |i: usize| program.node(node.args[i]);
        Ok(match (&node.op, args) {
            (Op::Literal(value), []) => Made::always(match value {
                Value::Bool(v) => v.to_string(),
                Value::Int(v) => two(*v as u64),
                Value::Wide(v) => four(*v as u128),
                Value::Float(v) => two(v.to_bits()),
                _ => return Err(broken(program, id, "not a constant of the device")),
            }),
            (Op::BoolToInt, [x]) => small(&format!("u32({})", x.value)),
            (Op::IntToFloat, [x]) => Made::always(format!("f64_from_i64({})", x.value)),
            (Op::IntToWide, [x]) => Made::always(format!("i128_from_i64({})", x.value)),
            (Op::FloatOrder, [x]) => Made::always(format!("i64_key(f64_key({}))", x.value)),
            (Op::Pair, [x, y]) => Made::always(format!("vec4<u32>(i64_key({}), {})", y.value, x.value)),
            (Op::WideToInt, [x]) if !node.checks => Made::always(format!("{}.xy", x.value)),
            (Op::WideToInt, [x]) => self.checked(node, format!("i128_to_i64_checked({})", x.value)),
            (Op::WideToFloat { scale: 0 }, [x]) => Made::always(format!("f64_from_i128({})", x.value)),
            (Op::WideToFloat { scale }, [x]) => Made::always(format!("f64_from_decimal({}, {scale}u)", x.value)),
            (Op::WideScaleUp { digits }, [x]) => {
                let power = 10u128.checked_pow((*digits).into()).ok_or_else(|| broken(program, id, "beyond 10^38"))?;
                self.checked(node, format!("i128_mul_checked({}, {})", x.value, four(power)))
            }
            (Op::WideRound { digits, rounding }, [x]) => {
                let mode = match rounding {
                    Rounding::Floor => "ROUND_FLOOR",
                    Rounding::Ceil => "ROUND_CEIL",
                    Rounding::Trunc => "ROUND_TRUNC",
                    Rounding::Nearest => "ROUND_HALF_AWAY",
                };
                Made::always(format!("i128_div_pow10({}, {digits}u, {mode})", x.value))
            }
            (Op::FloatToInt, [x]) => self.checked(node, format!("f64_to_i64_checked({})", x.value)),
            (Op::FloatToWide { scale }, [x]) => {
                self.checked(node, format!("f64_to_i128_checked({}, {scale}u)", x.value))
            }
            (Op::FloatToFloat32, [x]) => self.checked(node, format!("f64_to_f32_checked({})", x.value)),
            (Op::IntRange { min, max }, [x]) => {
                let within = format!("i64_within({}, {}, {})", x.value, two(*min as u64), two(*max as u64));
                Made { value: x.value.clone(), ok: node.checks.then_some(within) }
            }
            (Op::WideRange { min, max }, [x]) => {
                let within = format!("i128_within({}, {}, {})", x.value, four(*min as u128), four(*max as u128));
                Made { value: x.value.clone(), ok: node.checks.then_some(within) }
            }
            (Op::IntScale(by), [x]) => self.product(node, (arg(0), &x.value), (None, &two(*by as u64))),
            (Op::IntFloorDiv(by), [x]) if is_word(arg(0)) && u32::try_from(*by).is_ok() => {
                small(&format!("{}.x / {by}u", x.value))
            }
            (Op::IntFloorMod(by), [x]) if is_word(arg(0)) && u32::try_from(*by).is_ok() => {
                small(&format!("{}.x % {by}u", x.value))
            }
            (Op::IntFloorDiv(by), [x]) => {
                let both = self.call(format!("i64_divmod_floor({}, {})", x.value, two(*by as u64)));
                Made::always(format!("{both}.xy"))
            }
            (Op::IntFloorMod(by), [x]) => {
                let both = self.call(format!("i64_divmod_floor({}, {})", x.value, two(*by as u64)));
                Made::always(format!("{both}.zw"))
            }
            (Op::Neg | Op::Abs, [x]) => {
                let name = if node.op == Op::Neg { "neg" } else { "abs" };
                match class {
                    Class::Int if node.checks => self.checked(node, format!("i64_{name}_checked({})", x.value)),
                    Class::Int => Made::always(format!("i64_{name}({})", x.value)),
                    // 38 digits are symmetrical.
                    Class::Wide => Made::always(format!("i128_{name}({})", x.value)),
                    Class::Float => Made::always(format!("f64_{name}({})", x.value)),
                    _ => return Err(broken(program, id, "not of a number")),
                }
            }
            (Op::Sign, [x]) => match class {
                Class::Int => Made::always(format!("i64_sign({})", x.value)),
                Class::Wide => Made::always(format!("i128_sign({})", x.value)),
                Class::Float => Made::always(format!("f64_sign({})", x.value)),
                _ => return Err(broken(program, id, "not of a number")),
            },
            (Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem, [a, b]) => {
                self.arithmetic(id, (arg(0), &a.value), (arg(1), &b.value))?
            }
            (Op::Sqrt, [x]) => Made::always(format!("f64_sqrt({})", x.value)),
            (Op::FloatRound(rounding), [x]) => {
                let name = match rounding {
                    Rounding::Floor => "floor",
                    Rounding::Ceil => "ceil",
                    Rounding::Trunc => "trunc",
                    Rounding::Nearest => "round",
                };
                Made::always(format!("f64_{name}({})", x.value))
            }
            (Op::IsNan, [x]) => Made::always(format!("f64_is_nan({})", x.value)),
            (Op::IsFinite, [x]) => Made::always(format!("f64_is_finite({})", x.value)),
            (Op::Eq | Op::Lt | Op::Le, [a, b]) => {
                Made::always(self.comparison(id, (arg(0), &a.value), (arg(1), &b.value))?)
            }
            (Op::Not, [x]) => Made::always(format!("!{}", x.value)),
            (Op::DatePart(field), [x]) => self.date_part(*field, &x.value),
            (Op::DateTrunc(period), [x]) => {
                let unit = match period {
                    DatePeriod::Year => "UNIT_YEAR",
                    DatePeriod::Quarter => "UNIT_QUARTER",
                    DatePeriod::Month => "UNIT_MONTH",
                    DatePeriod::Week => "UNIT_WEEK",
                };
                Made::always(format!("date_trunc({}, {unit})", x.value))
            }
            _ => return Err(broken(program, id, "not an operation of the device")),
        })
    }

    /// A call that gives `{ v, ok }`.
    fn checked(&mut self, node: &Node, call: String) -> Made {
        let result = self.call(call);
        Made { value: format!("{result}.v"), ok: node.checks.then(|| format!("{result}.ok")) }
    }

    /// An integer product; a factor without a node is a constant.
    fn product(&mut self, node: &Node, a: (&Node, &str), b: (Option<&Node>, &str)) -> Made {
        if node.checks {
            return self.checked(node, format!("i64_mul_checked({}, {})", a.1, b.1));
        }
        if is_word(a.0) && b.0.is_some_and(is_word) {
            return Made::always(format!("u32_mul_wide({}.x, {}.x)", a.1, b.1));
        }
        Made::always(format!("i64_mul({}, {})", a.1, b.1))
    }

    fn arithmetic(&mut self, id: NodeId, a: (&Node, &str), b: (&Node, &str)) -> Result<Made> {
        let node = self.program.node(id);
        let (x, y) = (a.1, b.1);
        let name = match node.op {
            Op::Add => "add",
            Op::Sub => "sub",
            Op::Mul => "mul",
            Op::Div => "div",
            _ => "rem",
        };
        let sum = matches!(node.op, Op::Add | Op::Sub);
        let divides = matches!(node.op, Op::Div | Op::Rem);
        Ok(match node.class {
            Class::Int if node.op == Op::Mul => self.product(node, a, (Some(b.0), y)),
            Class::Int if divides && is_word(a.0) && is_word(b.0) => {
                let operator = if node.op == Op::Div { "/" } else { "%" };
                let mut made = small(&format!("{x}.x {operator} {y}.x"));
                made.ok = node.checks.then(|| format!("({y}.x != 0u)"));
                made
            }
            Class::Int if sum && !node.checks => Made::always(format!("i64_{name}({x}, {y})")),
            Class::Int => self.checked(node, format!("i64_{name}_checked({x}, {y})")),
            Class::Wide if sum && !node.checks => Made::always(format!("i128_{name}({x}, {y})")),
            Class::Wide => self.checked(node, format!("i128_{name}_checked({x}, {y})")),
            Class::Float if divides && node.checks => self.checked(node, format!("f64_{name}_checked({x}, {y})")),
            Class::Float => Made::always(format!("f64_{name}({x}, {y})")),
            _ => return Err(broken(self.program, id, "not of numbers")),
        })
    }

    fn comparison(&self, id: NodeId, a: (&Node, &str), b: (&Node, &str)) -> Result<String> {
        let node = self.program.node(id);
        let (x, y) = (a.1, b.1);
        let operator = match node.op {
            Op::Eq => "==",
            Op::Lt => "<",
            _ => "<=",
        };
        let name = match node.op {
            Op::Eq => "eq",
            Op::Lt => "lt",
            _ => "le",
        };
        Ok(match (a.0.class, &node.op) {
            (Class::Bool, Op::Eq) => format!("({x} == {y})"),
            (Class::Bool, Op::Lt) => format!("(!{x} & {y})"),
            (Class::Bool, _) => format!("(!{x} | {y})"),
            (Class::Int, _) if is_word(a.0) && is_word(b.0) => format!("({x}.x {operator} {y}.x)"),
            (Class::Int, _) if is_signed_word(a.0) && is_signed_word(b.0) => {
                format!("(i32({x}.x) {operator} i32({y}.x))")
            }
            (Class::Int, _) => format!("i64_{name}({x}, {y})"),
            (Class::Wide, _) => format!("i128_{name}({x}, {y})"),
            (Class::Float, _) => format!("f64_{name}({x}, {y})"),
            (Class::Str, _) => return Err(broken(self.program, id, "strings have no order here")),
        })
    }

    /// The fields of one day share its place in the calendar.
    fn date_part(&mut self, field: DateField, days: &str) -> Made {
        let thursday = matches!(field, DateField::Week | DateField::IsoYear);
        let civil = match field {
            DateField::Dow | DateField::IsoDow => self.call(format!("date_day_of_week({days})")),
            _ if thursday => self.call(format!("date_civil(date_thursday({days}))")),
            _ => self.call(format!("date_civil({days})")),
        };
        match field {
            DateField::Year | DateField::IsoYear => Made::always(format!("{civil}.year")),
            DateField::Quarter => small(&format!("({civil}.month + 2u) / 3u")),
            DateField::Month => small(&format!("{civil}.month")),
            DateField::Week => small(&format!("({civil}.day_of_year - 1u) / 7u + 1u")),
            DateField::Day => small(&format!("{civil}.day")),
            DateField::Dow => small(&format!("{civil}.x % 7u")),
            DateField::IsoDow => Made::always(civil),
            DateField::Doy => small(&format!("{civil}.day_of_year")),
        }
    }
}
