//! Every function of the soft-float, integer and date library as data: its inputs, its twin, its WGSL call, and what it must
//! give, worked out by the machine's own f64 and i128, by big integers, by the decimal parser or by counting days.

mod expect;
mod generate;

use expect::*;
use tidemill::kernel::date::*;
use tidemill::kernel::f64::*;
use tidemill::kernel::i64::*;
use tidemill::kernel::i128::*;
use tidemill::kernel::source;
use tidemill::kernel::word::*;

pub use generate::{Class, pairs};

/// A result in the one form that all are compared in: four words, then 1 where it is valid. An invalid one has no value.
pub type Out = [u32; 5];

/// One function under test.
pub struct Operation {
    pub name: &'static str,
    /// What its two operands are.
    pub class: Class,
    /// Its call in WGSL, wrapped to give the words of an [`Out`]; `a` and `b` are `vec4<u32>`.
    pub wgsl: String,
    pub twin: fn(u128, u128) -> Out,
    pub expect: fn(u128, u128) -> Out,
}

/// The operands and the result of a failed case, for a message.
pub fn describe(operation: &Operation, a: u128, b: u128, got: Out) -> String {
    let want = (operation.expect)(a, b);
    let floats = match operation.class {
        Class::F | Class::FF | Class::Fk => format!(" ({:e}, {:e})", f(a), f(b)),
        _ => format!(" ({}, {})", a as i128, b as i128),
    };
    let twin = (operation.twin)(a, b);
    format!("{}({a:#x}, {b:#x}){floats}: got {got:x?}, want {want:x?}, the twin gives {twin:x?}", operation.name)
}

/// Turns a twin's result into words.
trait Words {
    /// The WGSL function that does the same.
    const PUT: &'static str;
    fn words(self) -> Out;
}

impl Words for Vec4 {
    const PUT: &'static str = "put4";
    fn words(self) -> Out {
        [self.x.0, self.y.0, self.z.0, self.w.0, 1]
    }
}

impl Words for Vec2 {
    const PUT: &'static str = "put2";
    fn words(self) -> Out {
        [self.x.0, self.y.0, 0, 0, 1]
    }
}

impl Words for Word {
    const PUT: &'static str = "put1";
    fn words(self) -> Out {
        [self.0, 0, 0, 0, 1]
    }
}

impl Words for bool {
    const PUT: &'static str = "put_bool";
    fn words(self) -> Out {
        [self as u32, 0, 0, 0, 1]
    }
}

impl Words for I64Result {
    const PUT: &'static str = "put_i64";
    fn words(self) -> Out {
        if self.ok { self.v.words() } else { [0; 5] }
    }
}

impl Words for I128Result {
    const PUT: &'static str = "put_i128";
    fn words(self) -> Out {
        if self.ok { self.v.words() } else { [0; 5] }
    }
}

/// Workgroups of 64 invocations in a row of the dispatch; an invocation has one case (on lavapipe, a loop over cases costs
/// more than the arithmetic in it).
pub const ROW_OF_WORKGROUPS: u32 = 1024;

/// A kernel that runs one operation over all pairs: `v_out[i]` and `ok_out[i]` from `a_in[i]` and `b_in[i]`.
pub fn shader(operation: &Operation) -> String {
    let call = &operation.wgsl;
    kernel(
        "@group(0) @binding(0) var<storage, read> a_in: array<vec4<u32>>;
        @group(0) @binding(1) var<storage, read> b_in: array<vec4<u32>>;
        @group(0) @binding(2) var<storage, read_write> v_out: array<vec4<u32>>;
        @group(0) @binding(3) var<storage, read_write> ok_out: array<u32>;",
        &format!("let out = {call}; v_out[i] = out.v; ok_out[i] = out.ok;"),
    )
}

/// A kernel for timing one operation on 64-bit values alone, with no more memory traffic than a column would have.
pub fn lean_shader(operation: &Operation) -> String {
    let call = operation.wgsl.replace("a.xy", "a").replace("b.xy", "b");
    kernel(
        "@group(0) @binding(0) var<storage, read> a_in: array<vec2<u32>>;
        @group(0) @binding(1) var<storage, read> b_in: array<vec2<u32>>;
        @group(0) @binding(2) var<storage, read_write> v_out: array<vec2<u32>>;",
        &format!("let out = {call}; v_out[i] = out.v.xy;"),
    )
}

fn kernel(bindings: &str, body: &str) -> String {
    let library = [source::I64, source::I128, source::F64, source::DATE].concat();
    format!(
        "{library}{PUT}
{bindings}
// An override makes naga drop the functions that are not called.
override ROW: u32 = {};

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
    let i = id.y * ROW + id.x;
    if (i < arrayLength(&v_out)) {{
        let a = a_in[i];
        let b = b_in[i];
        {body}
    }}
}}
",
        64 * ROW_OF_WORKGROUPS
    )
}

/// The WGSL side of [`Words`].
const PUT: &str = "
struct Out { v: vec4<u32>, ok: u32 }
fn put4(v: vec4<u32>) -> Out { return Out(v, 1u); }
fn put2(v: vec2<u32>) -> Out { return Out(vec4<u32>(v, 0u, 0u), 1u); }
fn put1(v: u32) -> Out { return Out(vec4<u32>(v, 0u, 0u, 0u), 1u); }
fn put_bool(v: bool) -> Out { return Out(vec4<u32>(u32(v), 0u, 0u, 0u), 1u); }
fn put_i64(v: I64Result) -> Out { return Out(select(vec4<u32>(), vec4<u32>(v.v, 0u, 0u), v.ok), u32(v.ok)); }
fn put_i128(v: I128Result) -> Out { return Out(select(vec4<u32>(), v.v, v.ok), u32(v.ok)); }
fn date_round_trip(days: vec2<u32>) -> vec2<u32> {
    let c = date_civil(days);
    return date_from_civil(c.year, c.month, c.day);
}
";

fn date_round_trip(days: Vec2) -> Vec2 {
    let c = date_civil(days);
    date_from_civil(c.year, c.month, c.day)
}

macro_rules! wgsl_argument {
    (a2) => {
        "a.xy"
    };
    (b2) => {
        "b.xy"
    };
    (a4) => {
        "a"
    };
    (b4) => {
        "b"
    };
    (bx) => {
        "b.x"
    };
    (by) => {
        "b.y"
    };
    (ax) => {
        "a.x"
    };
    (ai) => {
        "i32(a.x)"
    };
}

macro_rules! twin_argument {
    ($a:ident $b:ident a2) => {
        Vec2::from($a as u64)
    };
    ($a:ident $b:ident b2) => {
        Vec2::from($b as u64)
    };
    ($a:ident $b:ident a4) => {
        Vec4::from($a)
    };
    ($a:ident $b:ident b4) => {
        Vec4::from($b)
    };
    ($a:ident $b:ident bx) => {
        Word($b as u32)
    };
    ($a:ident $b:ident by) => {
        Word(($b >> 32) as u32)
    };
    ($a:ident $b:ident ax) => {
        Word($a as u32)
    };
    ($a:ident $b:ident ai) => {
        $a as i32
    };
}

/// `class: function(arguments)[.field] => |a, b| expectation`.
macro_rules! operations {
    ($($class:ident: $name:ident($($argument:ident),*) $(. $field:ident)? => |$x:pat_param, $y:pat_param| $expect:expr;)*) => {
        vec![$({
            fn put<T: Words>(_: fn(u128, u128) -> T) -> &'static str {
                T::PUT
            }
            #[allow(unused_variables, reason = "not every function takes both operands")]
            fn call(a: u128, b: u128) -> Out {
                $name($(twin_argument!(a b $argument)),*)$(.$field)?.words()
            }
            #[allow(unused_variables, reason = "not every function takes both operands")]
            let kind = put(|a, b| $name($(twin_argument!(a b $argument)),*)$(.$field)?);
            let arguments: &[&str] = &[$(wgsl_argument!($argument)),*];
            let field: &str = concat!("" $(, ".", stringify!($field))?);
            Operation {
                name: concat!(stringify!($name) $(, ".", stringify!($field))?),
                class: Class::$class,
                wgsl: format!("{kind}({}({}){field})", stringify!($name), arguments.join(", ")),
                twin: call,
                expect: |$x, $y| $expect,
            }
        }),*]
    };
}

/// All operations.
pub fn operations() -> Vec<Operation> {
    operations! {
        FF: f64_add(a2, b2) => |a, b| float(f(a) + f(b));
        FF: f64_sub(a2, b2) => |a, b| float(f(a) - f(b));
        FF: f64_mul(a2, b2) => |a, b| float(f(a) * f(b));
        FF: f64_div(a2, b2) => |a, b| float(f(a) / f(b));
        FF: f64_rem(a2, b2) => |a, b| float(f(a) % f(b));
        S: f64_mul_significands(a2, b2) => |a, b| jammed((a * b) >> 42, (a * b) & ((1 << 42) - 1));
        Sd: f64_div_significands(a2, b2) => |a, b| jammed((a << 55) / b, (a << 55) % b);
        Sr: f64_sqrt_significand(a2) => |a, _| {
            let root = (a << 56).isqrt();
            jammed(root, (a << 56) - root * root)
        };
        F: f64_sqrt(a2) => |a, _| float(f(a).sqrt());
        F: f64_neg(a2) => |a, _| float(-f(a));
        F: f64_abs(a2) => |a, _| float(f(a).abs());
        F: f64_floor(a2) => |a, _| float(f(a).floor());
        F: f64_ceil(a2) => |a, _| float(f(a).ceil());
        F: f64_trunc(a2) => |a, _| float(f(a).trunc());
        F: f64_round(a2) => |a, _| float(f(a).round());
        F: f64_round_f32(a2) => |a, _| float(f(a) as f32 as f64);
        F: f64_is_nan(a2) => |a, _| flag(f(a).is_nan());
        F: f64_is_finite(a2) => |a, _| flag(f(a).is_finite());
        F: f64_is_zero(a2) => |a, _| flag(f(a) == 0.0);
        F: f64_canonical(a2) => |a, _| float(if f(a) == 0.0 { 0.0 } else { f(a) });
        F: f64_key(a2) => |a, _| two(float_key(f(a)));
        F: f64_from_key(a2) => |a, _| two(if a as u64 >> 63 == 1 { a as u64 ^ 1 << 63 } else { !a as u64 });
        FF: f64_eq(a2, b2) => |a, b| flag(sql_order(f(a), f(b)).is_eq());
        FF: f64_lt(a2, b2) => |a, b| flag(sql_order(f(a), f(b)).is_lt());
        FF: f64_le(a2, b2) => |a, b| flag(sql_order(f(a), f(b)).is_le());
        F: f64_from_f32(ax) => |a, _| float(f32::from_bits(a as u32).into());
        I: f64_from_f32(bx) => |_, b| float(f32::from_bits(b as u32).into());
        I: f64_from_i64(a2) => |a, _| float(a as i64 as f64);
        I: f64_from_u64(a2) => |a, _| float(a as u64 as f64);
        W: f64_from_i128(a4) => |a, _| float(a as i128 as f64);
        Wk: f64_from_decimal(a4, bx) => |a, b| float(parsed_decimal(a as i128, b as u32));
        F: f64_to_i64_checked(a2) => |a, _| float_to_i64(f(a));
        Fk: f64_to_i128_checked(a2, bx) => |a, b| float_to_decimal(f(a), b as u32);

        I: u32_mul_wide(ax, bx) => |a, b| two(a as u32 as u64 * b as u32 as u64);
        I: u32_mul_high(ax, bx) => |a, b| [((a as u32 as u64 * b as u32 as u64) >> 32) as u32, 0, 0, 0, 1];
        I: u64_lt(a2, b2) => |a, b| flag((a as u64) < b as u64);
        I: u64_clz(a2) => |a, _| [(a as u64).leading_zeros(), 0, 0, 0, 1];
        Ik: u64_shl(a2, bx) => |a, b| two((a as u64) << b);
        Ik: u64_shr(a2, bx) => |a, b| two(a as u64 >> b);
        Ik: u64_shr_jam(a2, bx) => |a, b| two(a as u64 >> b | (a as u64 & ((1 << b) - 1) != 0) as u64);
        Ud: u64_divrem(a2, b2) => |a, b| four((a as u64 / b as u64) as u128 | ((a as u64 % b as u64) as u128) << 64);
        I: i64_from_u32(ax) => |a, _| two(a as u32 as u64);
        I: i64_from_i32(ai) => |a, _| two(a as i32 as i64 as u64);
        I: i64_key(a2) => |a, _| two(a as u64 ^ 1 << 63);
        I: i64_add(a2, b2) => |a, b| two((a as u64).wrapping_add(b as u64));
        I: i64_sub(a2, b2) => |a, b| two((a as u64).wrapping_sub(b as u64));
        I: i64_mul(a2, b2) => |a, b| two((a as u64).wrapping_mul(b as u64));
        I: i64_neg(a2) => |a, _| two((a as u64).wrapping_neg());
        I: i64_abs(a2) => |a, _| two((a as i64).unsigned_abs());
        Ik: i64_shr(a2, bx) => |a, b| two((a as i64 >> b) as u64);
        I: i64_eq(a2, b2) => |a, b| flag(a as i64 == b as i64);
        I: i64_lt(a2, b2) => |a, b| flag((a as i64) < b as i64);
        I: i64_le(a2, b2) => |a, b| flag(a as i64 <= b as i64);
        I: i64_is_zero(a2) => |a, _| flag(a as i64 == 0);
        I: i64_is_neg(a2) => |a, _| flag((a as i64) < 0);
        I: i64_add_checked(a2, b2) => |a, b| checked64((a as i64).checked_add(b as i64));
        I: i64_sub_checked(a2, b2) => |a, b| checked64((a as i64).checked_sub(b as i64));
        I: i64_mul_checked(a2, b2) => |a, b| checked64((a as i64).checked_mul(b as i64));
        I: i64_neg_checked(a2) => |a, _| checked64((a as i64).checked_neg());
        I: i64_abs_checked(a2) => |a, _| checked64((a as i64).checked_abs());
        I: i64_div_checked(a2, b2) => |a, b| checked64((a as i64).checked_div(b as i64));
        I: i64_rem_checked(a2, b2) => |a, b| checked64((b as i64 != 0).then(|| (a as i64).wrapping_rem(b as i64)));
        Id: i64_divmod_floor(a2, b2) => |a, b| {
            let (q, r) = ((a as i64).div_euclid(b as i64), (a as i64).rem_euclid(b as i64));
            four(q as u64 as u128 | (r as u128) << 64)
        };

        U: u128_lt(a4, b4) => |a, b| flag(a < b);
        U: u128_clz(a4) => |a, _| [a.leading_zeros(), 0, 0, 0, 1];
        Uk: u128_shl(a4, bx) => |a, b| four(a << b);
        Uk: u128_shr(a4, bx) => |a, b| four(a >> b);
        U: u128_mul_wide(a4, b4).lo => |a, b| four(a.wrapping_mul(b));
        U: u128_mul_wide(a4, b4).hi => |a, b| four(product_high(a, b));
        Un: u128_divrem(a4, b4).lo => |a, b| four(a.checked_div(b).unwrap_or_default());
        Un: u128_divrem(a4, b4).hi => |a, b| four(a.checked_rem(b).unwrap_or_default());
        I: i128_from_i64(a2) => |a, _| four(a as i64 as i128 as u128);
        I: i128_from_u64(a2) => |a, _| four(a as u64 as u128);
        U: i128_to_i64_checked(a4) => |a, _| checked64(i64::try_from(a as i128).ok());
        U: i128_key(a4) => |a, _| four(a ^ 1 << 127);
        U: i128_add(a4, b4) => |a, b| four(a.wrapping_add(b));
        U: i128_sub(a4, b4) => |a, b| four(a.wrapping_sub(b));
        U: i128_neg(a4) => |a, _| four(a.wrapping_neg());
        U: i128_abs(a4) => |a, _| four((a as i128).unsigned_abs());
        U: i128_eq(a4, b4) => |a, b| flag(a == b);
        U: i128_lt(a4, b4) => |a, b| flag((a as i128) < b as i128);
        U: i128_le(a4, b4) => |a, b| flag(a as i128 <= b as i128);
        U: i128_is_zero(a4) => |a, _| flag(a == 0);
        U: i128_is_neg(a4) => |a, _| flag((a as i128) < 0);
        U: i128_in_38_digits(a4) => |a, _| flag((a as i128).unsigned_abs() < 10u128.pow(38));
        Wk: i128_pow10(bx) => |_, b| four(10u128.pow(b as u32));
        W: i128_add_checked(a4, b4) => |a, b| checked128((a as i128).checked_add(b as i128));
        W: i128_sub_checked(a4, b4) => |a, b| checked128((a as i128).checked_sub(b as i128));
        W: i128_mul_checked(a4, b4) => |a, b| checked128((a as i128).checked_mul(b as i128));
        W: i128_div_checked(a4, b4) => |a, b| checked128((a as i128).checked_div(b as i128));
        W: i128_rem_checked(a4, b4) => |a, b| checked128((a as i128).checked_rem(b as i128));
        Wk: i128_mul_pow10_checked(a4, bx) => |a, b| checked128((a as i128).checked_mul(10i128.pow(b as u32)));
        Wk: i128_div_pow10(a4, bx, by) => |a, b| four(quotient_by_pow10(a as i128, b as u32, (b >> 32) as u32) as u128);

        D: date_year(a2) => |a, _| two(Day::of(a as i64).year as u64);
        D: date_quarter(a2) => |a, _| two((Day::of(a as i64).month as u64 - 1) / 3 + 1);
        D: date_month(a2) => |a, _| two(Day::of(a as i64).month as u64);
        D: date_week(a2) => |a, _| two(Day::of(a as i64).week as u64);
        D: date_iso_year(a2) => |a, _| two({
            let a = a as i64;
            Day::of(a + 4 - i64::from(Day::of(a).weekday)).year as u64
        });
        D: date_day(a2) => |a, _| two(Day::of(a as i64).day as u64);
        D: date_day_of_week(a2) => |a, _| two(Day::of(a as i64).weekday as u64);
        D: date_day_of_year(a2) => |a, _| two(Day::of(a as i64).day_of_year as u64);
        D: date_round_trip(a2) => |a, _| two(a as u64);
        D: date_trunc(a2, by) => |a, b| two(day_start(a as i64, (b >> 32) as u32) as u64);
        T: timestamp_days(a2, bx) => |a, b| two((a as i64).div_euclid(86_400 * ticks(b)) as u64);
        D: timestamp_from_days(a2, bx) => |a, b| checked64((a as i64).checked_mul(86_400 * ticks(b)));
        T: timestamp_hour(a2, bx) => |a, b| two(clock(a as i64, b) as u64 / 3600);
        T: timestamp_minute(a2, bx) => |a, b| two(clock(a as i64, b) as u64 / 60 % 60);
        T: timestamp_second(a2, bx) => |a, b| two(clock(a as i64, b) as u64 % 60);
        T: timestamp_trunc(a2, bx, by) => |a, b| checked64(timestamp_start(a as i64, b));
    }
}
