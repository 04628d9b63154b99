//! The plain evaluator: one row, one [`Value`] at a time. It makes the messages of failed rows, runs expressions over
//! few rows, folds constants, and is what the fast evaluators are tested against; its arithmetic (wide integers,
//! decimal texts) shares nothing with theirs.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

use super::program::{DateField, DatePeriod, Node, NodeId, Op, Program, Rounding};
use crate::column::key::{float_order, pair, word_int};
use crate::column::{Chunk, Class, Type, Value, civil_from_days, days_from_civil};
use crate::{Error, Place};

/// Why a row has no value.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The operation that failed; its [`Node::text`] is the expression.
    pub node: NodeId,
    /// What happened, with the operands.
    pub message: String,
}

impl Fault {
    /// As an error of a row at `place`.
    pub fn into_error(self, program: &Program, place: Place) -> Error {
        let expr = program.node(self.node).text.clone();
        let help = Some(format!("try({expr}) gives null instead"));
        Error::Arithmetic { place: Box::new(place), message: self.message, expr, help }
    }
}

/// The value of node `id` in row `row` of a chunk whose columns are the program's.
///
/// # Errors
/// The fault, if the row is an error.
pub fn eval_row(program: &Program, id: NodeId, chunk: &Chunk, row: usize) -> Result<Value, Fault> {
    let values: Vec<Value> = chunk.columns.iter().take(program.columns.len()).map(|c| c.value(row)).collect();
    eval(program, id, &values)
}

/// The value of node `id` in a row whose columns, in the order of [`Program::columns`], are `row`.
///
/// # Errors
/// The fault, if the row is an error.
pub fn eval(program: &Program, id: NodeId, row: &[Value]) -> Result<Value, Fault> {
    let mut results: Vec<Option<Result<Value, Fault>>> = vec![None; id.index() + 1];
    for id in program.needed(&[id]) {
        let node = program.node(id);
        let result = match node.op {
            Op::Column(column) => Ok(row.get(column).cloned().unwrap_or(Value::Null)),
            _ => {
                let args: Vec<_> = node.args.iter().filter_map(|a| results[a.index()].clone()).collect();
                apply(node, id, &args, &|arg| program.node(arg).ty.clone())
            }
        };
        results[id.index()] = Some(result);
    }
    results.pop().flatten().unwrap_or(Ok(Value::Null))
}

/// One operation on its arguments' results.
pub(super) fn apply(
    node: &Node,
    id: NodeId,
    args: &[Result<Value, Fault>],
    type_of: &dyn Fn(NodeId) -> Type,
) -> Result<Value, Fault> {
    match node.op {
        Op::And | Op::Or => return logic(node.op == Op::And, &args[0], &args[1]),
        Op::Select => {
            return match args[0].clone()? {
                Value::Bool(true) => args[1].clone(),
                _ => args[2].clone(),
            };
        }
        Op::Try => return Ok(args[0].clone().unwrap_or(Value::Null)),
        _ => {}
    }
    let values = args.iter().cloned().collect::<Result<Vec<Value>, Fault>>()?;
    let types: Vec<Type> = node.args.iter().map(|a| type_of(*a)).collect();
    operate(node, &values, &types).map_err(|message| Fault { node: id, message })
}

fn logic(and: bool, a: &Result<Value, Fault>, b: &Result<Value, Fault>) -> Result<Value, Fault> {
    let decided = Ok(Value::Bool(!and));
    if *a == decided || *b == decided {
        return decided;
    }
    match (a.clone()?, b.clone()?) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        _ => Ok(Value::Bool(and)),
    }
}

/// What goes wrong is said in a message that shows the operands.
fn operate(node: &Node, args: &[Value], types: &[Type]) -> Result<Value, String> {
    let shown = |i: usize| args[i].text(&types[i]);
    match &node.op {
        Op::Literal(value) => return Ok(value.clone()),
        Op::IsNull => return Ok(Value::Bool(args[0].is_null())),
        Op::Min2 | Op::Max2 => return Ok(pick(node.op == Op::Max2, &args[0], &args[1])),
        Op::StrLut(call) | Op::StrRow(call) => return call.apply(args),
        _ if args.iter().any(Value::is_null) => return Ok(Value::Null),
        _ => {}
    }
    Ok(match (&node.op, args) {
        (Op::Retype, [x]) => x.clone(),
        (Op::BoolToInt, [Value::Bool(x)]) => Value::Int(i64::from(*x)),
        (Op::IntToFloat, [Value::Int(x)]) => Value::Float(nearest(&format!("{x}"))),
        (Op::IntToWide, [Value::Int(x)]) => Value::Wide(i128::from(*x)),
        (Op::FloatOrder, [Value::Float(x)]) => Value::Int(word_int(float_order(*x))),
        (Op::Pair, [Value::Int(x), Value::Int(y)]) => Value::Wide(pair(*x, *y)),
        (Op::WideToInt, [Value::Wide(x)]) => int(*x).ok_or_else(|| format!("{} does not fit int64", shown(0)))?,
        (Op::WideToFloat { scale }, [Value::Wide(x)]) => Value::Float(nearest(&format!("{x}e-{scale}"))),
        (Op::WideScaleUp { digits }, [Value::Wide(x)]) => {
            let scaled = BigInt::from(*x) * power(*digits);
            wide(&scaled).ok_or_else(|| format!("{} does not fit {}", shown(0), node.ty))?
        }
        (Op::WideRound { digits, rounding }, [Value::Wide(x)]) => {
            Value::Wide(divide(&BigInt::from(*x), &power(*digits), *rounding).to_i128().unwrap_or_default())
        }
        (Op::FloatToInt, [Value::Float(x)]) => {
            let rounded = round_even(*x);
            if !(rounded >= -(2f64.powi(63)) && rounded < 2f64.powi(63)) {
                return Err(format!("{} does not fit int64", shown(0)));
            }
            Value::Int(rounded as i64)
        }
        (Op::FloatToWide { scale }, [Value::Float(x)]) => float_to_wide(*x, *scale)
            .and_then(|v| wide(&v))
            .ok_or_else(|| format!("{} does not fit {}", shown(0), node.ty))?,
        (Op::FloatToFloat32, [Value::Float(x)]) => {
            let narrow = *x as f32;
            if narrow.is_infinite() && x.is_finite() {
                return Err(format!("{} does not fit float32", shown(0)));
            }
            Value::Float(narrow.into())
        }
        (Op::IntRange { min, max }, [Value::Int(x)]) => {
            if x < min || x > max {
                return Err(format!(
                    "{} does not fit {}",
                    if node.ty == Type::Date { "the day number".into() } else { shown(0) },
                    node.ty
                ));
            }
            args[0].clone()
        }
        (Op::WideRange { min, max }, [Value::Wide(x)]) => {
            if x < min || x > max {
                return Err(format!("{} does not fit {}", shown(0), node.ty));
            }
            args[0].clone()
        }
        (Op::IntScale(by), [Value::Int(x)]) => {
            int(i128::from(*x) * i128::from(*by)).ok_or_else(|| format!("{} does not fit {}", shown(0), node.ty))?
        }
        (Op::IntFloorDiv(by), [Value::Int(x)]) => Value::Int(x.div_euclid(*by)),
        (Op::IntFloorMod(by), [Value::Int(x)]) => Value::Int(x.rem_euclid(*by)),
        (Op::Neg, [Value::Float(x)]) => Value::Float(-x),
        (Op::Abs, [Value::Float(x)]) => Value::Float(x.abs()),
        (Op::Neg | Op::Abs, [x]) => {
            let negated = if node.op == Op::Neg { -big(x) } else { big(x).abs() };
            let sign = if node.op == Op::Neg { "-" } else { "abs " };
            integral(&negated, node).ok_or_else(|| format!("{sign}({}) overflows {}", shown(0), limit(node)))?
        }
        (Op::Sign, [Value::Float(x)]) => Value::Int(i64::from(*x > 0.0) - i64::from(*x < 0.0)),
        (Op::Sign, [x]) => Value::Int(big(x).signum().to_i64().unwrap_or_default()),
        (Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem, [a, b]) => {
            let symbol = match node.op {
                Op::Add => "+",
                Op::Sub => "-",
                Op::Mul => "*",
                Op::Rem => "%",
                _ if node.class == Class::Float => "/",
                _ => "//",
            };
            let zero = match b {
                Value::Float(b) => *b == 0.0,
                b => big(b).is_zero(),
            };
            if zero && matches!(node.op, Op::Div | Op::Rem) {
                return Err(format!("{} {symbol} {} divides by zero", shown(0), shown(1)));
            }
            if let (Value::Float(a), Value::Float(b)) = (a, b) {
                return Ok(Value::Float(match node.op {
                    Op::Add => a + b,
                    Op::Sub => a - b,
                    Op::Mul => a * b,
                    Op::Div => a / b,
                    _ => a % b,
                }));
            }
            let (x, y) = (big(a), big(b));
            let exact = match node.op {
                Op::Add => x + y,
                Op::Sub => x - y,
                Op::Mul => x * y,
                Op::Div => x / y,
                _ => x % y,
            };
            integral(&exact, node)
                .ok_or_else(|| format!("{} {symbol} {} overflows {}", shown(0), shown(1), limit(node)))?
        }
        (Op::Sqrt, [Value::Float(x)]) => Value::Float(x.sqrt()),
        (Op::FloatRound(rounding), [Value::Float(x)]) => Value::Float(match rounding {
            Rounding::Floor => x.floor(),
            Rounding::Ceil => x.ceil(),
            Rounding::Trunc => x.trunc(),
            Rounding::Nearest => x.round(),
        }),
        (Op::IsNan, [Value::Float(x)]) => Value::Bool(x.is_nan()),
        (Op::IsFinite, [Value::Float(x)]) => Value::Bool(x.is_finite()),
        (Op::Eq, [a, b]) => Value::Bool(order(a, b) == Ordering::Equal),
        (Op::Lt, [a, b]) => Value::Bool(order(a, b) == Ordering::Less),
        (Op::Le, [a, b]) => Value::Bool(order(a, b) != Ordering::Greater),
        (Op::Not, [Value::Bool(x)]) => Value::Bool(!x),
        (Op::DatePart(field), [Value::Int(days)]) => Value::Int(date_part(*days, *field)),
        (Op::DateTrunc(period), [Value::Int(days)]) => Value::Int(date_trunc(*days, *period) as i64),
        (Op::Format, [x]) => Value::Str(x.text(&types[0]).into()),
        (Op::Pow, [Value::Float(x), Value::Float(y)]) => Value::Float(libm::pow(*x, *y)),
        (Op::Exp, [Value::Float(x)]) => Value::Float(libm::exp(*x)),
        (Op::Ln, [Value::Float(x)]) => Value::Float(libm::log(*x)),
        (Op::Log10, [Value::Float(x)]) => Value::Float(libm::log10(*x)),
        // Op::Null, and what the binder never makes.
        _ => Value::Null,
    })
}

/// The double nearest to a decimal text.
fn nearest(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn power(digits: u8) -> BigInt {
    BigInt::from(10).pow(digits.into())
}

fn big(value: &Value) -> BigInt {
    match value {
        Value::Int(v) => BigInt::from(*v),
        Value::Wide(v) => BigInt::from(*v),
        _ => BigInt::zero(),
    }
}

fn int(value: i128) -> Option<Value> {
    i64::try_from(value).ok().map(Value::Int)
}

fn wide(value: &BigInt) -> Option<Value> {
    if value.abs() < power(38) { value.to_i128().map(Value::Wide) } else { None }
}

fn integral(value: &BigInt, node: &Node) -> Option<Value> {
    if node.class == Class::Int { value.to_i64().map(Value::Int) } else { wide(value) }
}

fn limit(node: &Node) -> &'static str {
    if node.class == Class::Int { "int64" } else { "38 digits" }
}

fn divide(a: &BigInt, by: &BigInt, rounding: Rounding) -> BigInt {
    let (quotient, rest) = (a / by, a % by);
    let away = match rounding {
        Rounding::Trunc => false,
        Rounding::Floor => rest.is_negative(),
        Rounding::Ceil => rest.is_positive(),
        Rounding::Nearest => rest.abs() * 2 >= *by,
    };
    if !away {
        quotient
    } else if rest.is_negative() {
        quotient - 1
    } else {
        quotient + 1
    }
}

/// To nearest, ties to even, by the definition.
fn round_even(x: f64) -> f64 {
    let (low, rest) = (x.floor(), x - x.floor());
    if rest > 0.5 || (rest == 0.5 && low % 2.0 != 0.0) { low + 1.0 } else { low }
}

fn float_to_wide(x: f64, scale: u8) -> Option<BigInt> {
    if !x.is_finite() {
        return None;
    }
    let bits = x.abs().to_bits();
    let (exponent, fraction) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | (1 << 52), exponent - 1075) };
    let scaled = BigInt::from(mantissa) * power(scale);
    let rounded = if exponent >= 0 {
        scaled << exponent
    } else {
        let unit = BigInt::from(1) << -exponent;
        let (quotient, twice) = (&scaled / &unit, (&scaled % &unit) * 2);
        let up = twice > unit || (twice == unit && (&quotient % 2u8) == BigInt::from(1));
        if up { quotient + 1 } else { quotient }
    };
    Some(if x < 0.0 { -rounded } else { rounded })
}

/// The order of comparisons: −0 = +0, NaN = NaN, NaN above everything.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        },
        (Value::Str(a), Value::Str(b)) => a.as_bytes().cmp(b.as_bytes()),
        (a, b) => big(a).cmp(&big(b)),
    }
}

fn pick(larger: bool, a: &Value, b: &Value) -> Value {
    if a.is_null() || b.is_null() {
        return if a.is_null() { b.clone() } else { a.clone() };
    }
    let ordering = order(b, a).then_with(|| match (a, b) {
        // Here −0 is below +0.
        (Value::Float(a), Value::Float(b)) if *a == 0.0 => a.is_sign_negative().cmp(&b.is_sign_negative()),
        _ => Ordering::Equal,
    });
    if ordering == (if larger { Ordering::Greater } else { Ordering::Less }) { b.clone() } else { a.clone() }
}

/// Monday 1 to Sunday 7. Day 0 was a Thursday.
fn iso_weekday(days: i128) -> i128 {
    (days + 3).rem_euclid(7) + 1
}

fn first_of(year: i64, month: u32) -> i128 {
    // Beyond the years an i64 day number reaches there is nothing to ask for.
    days_from_civil(year, month, 1).map_or(0, i128::from)
}

fn date_part(days: i64, field: DateField) -> i64 {
    let (year, month, day) = civil_from_days(days);
    let day_of_year = i128::from(days) - first_of(year, 1) + 1;
    let weekday = iso_weekday(days.into());
    // The week belongs to the year its Thursday is in.
    let thursday = i128::from(days) - weekday + 4;
    let thursday_year = || civil_from_days(thursday.clamp(i64::MIN.into(), i64::MAX.into()) as i64).0;
    match field {
        DateField::Year => year,
        DateField::Quarter => i64::from(month.div_ceil(3)),
        DateField::Month => month.into(),
        DateField::Week => ((thursday - first_of(thursday_year(), 1)) / 7 + 1) as i64,
        DateField::IsoYear => thursday_year(),
        DateField::Day => day.into(),
        DateField::Dow => (weekday % 7) as i64,
        DateField::IsoDow => weekday as i64,
        DateField::Doy => day_of_year as i64,
    }
}

fn date_trunc(days: i64, period: DatePeriod) -> i128 {
    let (year, month, day) = civil_from_days(days);
    match period {
        DatePeriod::Year => first_of(year, 1),
        DatePeriod::Quarter => first_of(year, (month - 1) / 3 * 3 + 1),
        DatePeriod::Month => i128::from(days) - i128::from(day) + 1,
        DatePeriod::Week => i128::from(days) - iso_weekday(days.into()) + 1,
    }
}
