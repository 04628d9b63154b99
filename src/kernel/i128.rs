//! 128-bit integers on u32 words: the twin of `shaders/shared/i128.wgsl`, function for function and line for line.
//!
//! `i128_*` reads a [`Vec4`] as two's complement, `u128_*` as unsigned. The `*_checked` forms are for decimals of at most 38
//! digits: `ok` says that the true result lies within ±(10^38 - 1) (`v` is meaningless where it does not); their operands
//! must lie within that range too.

use std::cmp::{max, min};

use super::i64::*;
use super::word::{Vec2, Vec4, Word, select, vec2, vec4, word};

/// A 128-bit result, and whether the true one fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct I128Result {
    /// The result.
    pub v: Vec4,
    /// Whether it is the true one.
    pub ok: bool,
}

/// Two 128-bit values: a double-wide product, or a quotient and a remainder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct U256 {
    /// The lower half, or the quotient.
    pub lo: Vec4,
    /// The upper half, or the remainder.
    pub hi: Vec4,
}

/// Round towards zero.
pub const ROUND_TRUNC: Word = Word(0);
/// Round to nearest, halves away from zero.
pub const ROUND_HALF_AWAY: Word = Word(1);
/// Round down.
pub const ROUND_FLOOR: Word = Word(2);
/// Round up.
pub const ROUND_CEIL: Word = Word(3);
/// Round to nearest, halves to even.
pub const ROUND_HALF_EVEN: Word = Word(4);

impl I128Result {
    /// The pair.
    pub fn new(v: Vec4, ok: bool) -> I128Result {
        I128Result { v, ok }
    }
}

impl U256 {
    /// The pair.
    pub fn new(lo: Vec4, hi: Vec4) -> U256 {
        U256 { lo, hi }
    }
}

/// `a < b`, unsigned.
pub fn u128_lt(a: Vec4, b: Vec4) -> bool {
    let same = a.z == b.z && a.w == b.w;
    u64_lt(select(a.zw(), a.xy(), same), select(b.zw(), b.xy(), same))
}

/// Zero bits above the leading one, 128 for 0.
pub fn u128_clz(a: Vec4) -> Word {
    let low = (a.z | a.w) == 0;
    u64_clz(select(a.zw(), a.xy(), low)) + select(Word(0), Word(64), low)
}

/// `a << n`; 0 from 128 on.
pub fn u128_shl(a: Vec4, n: Word) -> Vec4 {
    let zero = vec4(0, 0, 0, 0);
    let mut v = select(a, vec4(0, 0, a.x, a.y), (n & 64) != 0);
    v = select(v, vec4(0, v.x, v.y, v.z), (n & 32) != 0);
    let m = n & 31;
    let r = 31 - m;
    v = vec4(v.x << m, (v.y << m) | ((v.x >> 1) >> r), (v.z << m) | ((v.y >> 1) >> r), (v.w << m) | ((v.z >> 1) >> r));
    select(v, zero, n > 127)
}

/// `a >> n`, unsigned; 0 from 128 on.
pub fn u128_shr(a: Vec4, n: Word) -> Vec4 {
    let zero = vec4(0, 0, 0, 0);
    let mut v = select(a, vec4(a.z, a.w, 0, 0), (n & 64) != 0);
    v = select(v, vec4(v.y, v.z, v.w, 0), (n & 32) != 0);
    let m = n & 31;
    let r = 31 - m;
    v = vec4((v.x >> m) | ((v.y << 1) << r), (v.y >> m) | ((v.z << 1) << r), (v.z >> m) | ((v.w << 1) << r), v.w >> m);
    select(v, zero, n > 127)
}

/// a * word + add, in five words: lo, and hi.x.
pub fn u128_mul_word(a: Vec4, word: Word, add: Vec4) -> U256 {
    // No word pair overflows: (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1.
    let p0 = i64_add(u32_mul_wide(a.x, word), vec2(add.x, 0));
    let p1 = i64_add(i64_add(u32_mul_wide(a.y, word), vec2(add.y, 0)), vec2(p0.y, 0));
    let p2 = i64_add(i64_add(u32_mul_wide(a.z, word), vec2(add.z, 0)), vec2(p1.y, 0));
    let p3 = i64_add(i64_add(u32_mul_wide(a.w, word), vec2(add.w, 0)), vec2(p2.y, 0));
    U256::new(vec4(p0.x, p1.x, p2.x, p3.x), vec4(p3.y, 0, 0, 0))
}

/// The words of b pass by; hi slides down into lo, so that nothing is indexed.
pub fn u128_mul_wide(a: Vec4, b: Vec4) -> U256 {
    let mut hi = vec4(0, 0, 0, 0);
    let mut lo = b;
    for _ in 0..4 {
        let p = u128_mul_word(a, lo.x, hi);
        lo = vec4(lo.y, lo.z, lo.w, p.lo.x);
        hi = vec4(p.lo.y, p.lo.z, p.lo.w, p.hi.x);
    }
    U256::new(lo, hi)
}

/// As u64_div_step: the guessed digit is right or at most 2 too high, and d is added back where it was.
pub fn u128_div_step(r: Vec4, digit: Word, d: Vec4) -> U256 {
    let mut q = min(r.w / (d.w >> 16), Word(0xffff));
    let n = vec4((r.x << 16) | digit, (r.y << 16) | (r.x >> 16), (r.z << 16) | (r.y >> 16), (r.w << 16) | (r.z >> 16));
    let zero = vec4(0, 0, 0, 0);
    let p = u128_mul_word(d, q, zero);
    let mut v = i128_sub(n, p.lo);
    let mut top = (r.w >> 16) - p.hi.x - word(u128_lt(n, p.lo));
    for _ in 0..2 {
        let back = top != 0;
        let s = i128_add(v, d);
        top = select(top, top + word(u128_lt(s, d)), back);
        q = select(q, q - 1, back);
        v = select(v, s, back);
    }
    U256::new(v, vec4(q, 0, 0, 0))
}

/// Unsigned quotient (`lo`) and remainder (`hi`) by `d != 0`.
pub fn u128_divrem(n: Vec4, d: Vec4) -> U256 {
    let s = u128_clz(d);
    // The quotient has at most clz(d) - clz(n) + 1 bits: that many digits are worked out.
    let digits = (max(s + 1, u128_clz(n)) - u128_clz(n) + 15) / 16;
    let bits = 16 * digits;
    let e = u128_shl(d, s);
    // n 2^s = r 2^bits + (low's upper digits): r < e, for the quotient is below 2^bits.
    let mut r = u128_shr(n, max(bits, s) - s);
    r = u128_shl(r, s - min(bits, s));
    let mut low = select(vec4(0, 0, 0, 0), u128_shl(n, 128 + s - bits), bits > s);
    let mut q = vec4(0, 0, 0, 0);
    for _ in 0..digits.0 {
        let t = u128_div_step(r, low.w >> 16, e);
        r = t.lo;
        q = u128_shl(q, Word(16));
        q.x |= t.hi.x;
        low = u128_shl(low, Word(16));
    }
    U256::new(q, u128_shr(r, s))
}

/// Widened with the sign.
pub fn i128_from_i64(a: Vec2) -> Vec4 {
    let fill = select(Word(0), Word(0xffffffff), i64_is_neg(a));
    vec4(a.x, a.y, fill, fill)
}

/// Widened with zeros.
pub fn i128_from_u64(a: Vec2) -> Vec4 {
    vec4(a.x, a.y, 0, 0)
}

/// Narrowed, if it fits.
pub fn i128_to_i64_checked(a: Vec4) -> I64Result {
    I64Result::new(a.xy(), i128_eq(a, i128_from_i64(a.xy())))
}

/// Words that order as unsigned; its own inverse.
pub fn i128_key(a: Vec4) -> Vec4 {
    vec4(a.x, a.y, a.z, a.w ^ 0x80000000)
}

/// `a + b`, wrapping.
pub fn i128_add(a: Vec4, b: Vec4) -> Vec4 {
    let lo = i64_add(a.xy(), b.xy());
    let hi = i64_add(i64_add(a.zw(), b.zw()), vec2(u64_lt(lo, a.xy()), 0));
    vec4(lo.x, lo.y, hi.x, hi.y)
}

/// `a - b`, wrapping.
pub fn i128_sub(a: Vec4, b: Vec4) -> Vec4 {
    let lo = i64_sub(a.xy(), b.xy());
    let hi = i64_sub(i64_sub(a.zw(), b.zw()), vec2(word(u64_lt(a.xy(), b.xy())), 0));
    vec4(lo.x, lo.y, hi.x, hi.y)
}

/// `-a`, wrapping.
pub fn i128_neg(a: Vec4) -> Vec4 {
    i128_sub(vec4(0, 0, 0, 0), a)
}

/// `|a|`, wrapping (or exact, read as unsigned).
pub fn i128_abs(a: Vec4) -> Vec4 {
    select(a, i128_neg(a), i128_is_neg(a))
}

/// `a == b`.
pub fn i128_eq(a: Vec4, b: Vec4) -> bool {
    a.x == b.x && a.y == b.y && a.z == b.z && a.w == b.w
}

/// `a < b`.
pub fn i128_lt(a: Vec4, b: Vec4) -> bool {
    u128_lt(i128_key(a), i128_key(b))
}

/// `a <= b`.
pub fn i128_le(a: Vec4, b: Vec4) -> bool {
    !u128_lt(i128_key(b), i128_key(a))
}

/// `a == 0`.
pub fn i128_is_zero(a: Vec4) -> bool {
    (a.x | a.y | a.z | a.w) == 0
}

/// `a < 0`.
pub fn i128_is_neg(a: Vec4) -> bool {
    a.w >= 0x80000000
}

/// `|a| < 10^38`.
pub fn i128_in_38_digits(a: Vec4) -> bool {
    // 10^38, which also bounds the magnitude of -2^127.
    u128_lt(i128_abs(a), vec4(0, 0x098a2240, 0x5a86c47a, 0x4b3b4ca8))
}

/// `10^k`, `k <= 38`.
pub fn i128_pow10(k: Word) -> Vec4 {
    let mut v = vec4(1, 0, 0, 0);
    let zero = vec4(0, 0, 0, 0);
    let mut rest = min(k, Word(38));
    // 10^9 is the largest power in one word.
    while rest > 0 {
        let step = min(rest, Word(9));
        let mut ten = Word(1);
        for _ in 0..step.0 {
            ten *= 10;
        }
        v = u128_mul_word(v, ten, zero).lo;
        rest -= step;
    }
    v
}

/// |a|, |b| < 10^38 < 2^127: the wrapped sum is below 2^128 in magnitude, and its sign tells an overflow.
pub fn i128_add_checked(a: Vec4, b: Vec4) -> I128Result {
    let v = i128_add(a, b);
    let wrapped = i128_is_neg(a) == i128_is_neg(b) && i128_is_neg(v) != i128_is_neg(a);
    I128Result::new(v, !wrapped && i128_in_38_digits(v))
}

/// `a - b`, if it has at most 38 digits.
pub fn i128_sub_checked(a: Vec4, b: Vec4) -> I128Result {
    i128_add_checked(a, i128_neg(b))
}

/// `a * b`, if it has at most 38 digits.
pub fn i128_mul_checked(a: Vec4, b: Vec4) -> I128Result {
    let p = u128_mul_wide(i128_abs(a), i128_abs(b));
    let ok = i128_is_zero(p.hi) && !i128_is_neg(p.lo) && i128_in_38_digits(p.lo);
    I128Result::new(select(p.lo, i128_neg(p.lo), i128_is_neg(a) != i128_is_neg(b)), ok)
}

/// `a / b` truncated; not for `b = 0`.
pub fn i128_div_checked(a: Vec4, b: Vec4) -> I128Result {
    let zero = i128_is_zero(b);
    let d = select(i128_abs(b), vec4(1, 0, 0, 0), zero);
    let q = u128_divrem(i128_abs(a), d).lo;
    I128Result::new(select(q, i128_neg(q), i128_is_neg(a) != i128_is_neg(b)), !zero)
}

/// `a % b` with the sign of `a`; not for `b = 0`.
pub fn i128_rem_checked(a: Vec4, b: Vec4) -> I128Result {
    let zero = i128_is_zero(b);
    let d = select(i128_abs(b), vec4(1, 0, 0, 0), zero);
    let r = u128_divrem(i128_abs(a), d).hi;
    I128Result::new(select(r, i128_neg(r), i128_is_neg(a)), !zero)
}

/// `a * 10^k`, if it has at most 38 digits; `k <= 38`.
pub fn i128_mul_pow10_checked(a: Vec4, k: Word) -> I128Result {
    i128_mul_checked(a, i128_pow10(k))
}

/// `a / 10^k` rounded to an integer by one of the `ROUND_` modes; `k <= 38`.
pub fn i128_div_pow10(a: Vec4, k: Word, mode: Word) -> Vec4 {
    let negative = i128_is_neg(a);
    let d = i128_pow10(k);
    let t = u128_divrem(i128_abs(a), d);
    // The remainder against d - remainder, so that nothing is doubled past 128 bits.
    let rest = i128_sub(d, t.hi);
    let more = u128_lt(rest, t.hi);
    let half = i128_eq(rest, t.hi);
    let inexact = !i128_is_zero(t.hi);
    let up = (mode == ROUND_HALF_AWAY && (more || half))
        || (mode == ROUND_HALF_EVEN && (more || (half && (t.lo.x & 1) == 1)))
        || (mode == ROUND_FLOOR && negative && inexact)
        || (mode == ROUND_CEIL && !negative && inexact);
    let q = i128_add(t.lo, vec4(up, 0, 0, 0));
    select(q, i128_neg(q), negative)
}
