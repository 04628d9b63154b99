//! 64-bit integers on u32 words: the twin of `shaders/shared/i64.wgsl`, function for function and line for line.
//!
//! `i64_*` reads a [`Vec2`] as two's complement, `u64_*` as unsigned. Arithmetic wraps; the `*_checked` forms say in `ok`
//! whether the true result fits (`v` is meaningless where it does not).

use std::cmp::min;

use super::word::{Vec2, Vec3, Vec4, Word, count_leading_zeros, select, vec2, vec3, vec4, word};

/// A 64-bit result, and whether the true one fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct I64Result {
    /// The result.
    pub v: Vec2,
    /// Whether it is the true one.
    pub ok: bool,
}

impl I64Result {
    /// The pair.
    pub fn new(v: Vec2, ok: bool) -> I64Result {
        I64Result { v, ok }
    }
}

/// The whole product of two words, from four 16-bit partial products: WGSL has no high multiply.
pub fn u32_mul_wide(a: Word, b: Word) -> Vec2 {
    let al = a & 0xffff;
    let ah = a >> 16;
    let bl = b & 0xffff;
    let bh = b >> 16;
    let low = al * bl;
    let cross = ah * bl;
    // At most 2 (2^16 - 1) + (2^16 - 1)^2 = 2^32 - 1: no carry is lost.
    let mid = al * bh + (low >> 16) + (cross & 0xffff);
    vec2((mid << 16) | (low & 0xffff), ah * bh + (mid >> 16) + (cross >> 16))
}

/// The high word of the product of two words.
pub fn u32_mul_high(a: Word, b: Word) -> Word {
    let al = a & 0xffff;
    let ah = a >> 16;
    let bl = b & 0xffff;
    let bh = b >> 16;
    let cross = ah * bl;
    let mid = al * bh + ((al * bl) >> 16) + (cross & 0xffff);
    ah * bh + (mid >> 16) + (cross >> 16)
}

/// The whole product of a word and a half word.
pub fn u32_mul_small(a: Word, b: Word) -> Vec2 {
    let low = (a & 0xffff) * b;
    let high = (a >> 16) * b + (low >> 16);
    vec2((high << 16) | (low & 0xffff), high >> 16)
}

/// `a < b`, unsigned.
pub fn u64_lt(a: Vec2, b: Vec2) -> bool {
    a.y < b.y || (a.y == b.y && a.x < b.x)
}

/// Zero bits above the leading one, 64 for 0.
pub fn u64_clz(a: Vec2) -> Word {
    let low = a.y == 0;
    count_leading_zeros(select(a.y, a.x, low)) + select(Word(0), Word(32), low)
}

/// `a << n`, `n < 64`.
pub fn u64_shl(a: Vec2, n: Word) -> Vec2 {
    let far = n >= 32;
    let lo = select(a.x, Word(0), far);
    let hi = select(a.y, a.x, far);
    let m = n & 31;
    vec2(lo << m, (hi << m) | ((lo >> 1) >> (31 - m)))
}

/// `a >> n`, unsigned, `n < 64`.
pub fn u64_shr(a: Vec2, n: Word) -> Vec2 {
    let far = n >= 32;
    let lo = select(a.x, a.y, far);
    let hi = select(a.y, Word(0), far);
    let m = n & 31;
    vec2((lo >> m) | ((hi << 1) << (31 - m)), hi >> m)
}

/// `a >> n`, `n < 64`, the lowest bit also set if a one was shifted out.
pub fn u64_shr_jam(a: Vec2, n: Word) -> Vec2 {
    let far = n >= 32;
    let lo = select(a.x, a.y, far);
    let hi = select(a.y, Word(0), far);
    let m = n & 31;
    let lost = (lo & ((1 << m) - 1)) | select(Word(0), a.x, far);
    vec2((lo >> m) | ((hi << 1) << (31 - m)) | word(lost != 0), hi >> m)
}

/// One digit of a long division to base 2^16 (Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D).
/// The digit guessed from the top 32 bits of n and the top 16 of d is right or at most 2 too high.
pub fn u64_div_step(n: Vec3, d: Vec2) -> Vec3 {
    let mut q = min(((n.z << 16) | (n.y >> 16)) / (d.y >> 16), Word(0xffff));
    let p0 = u32_mul_small(d.x, q);
    let p1 = u32_mul_small(d.y, q);
    let mid = p0.y + p1.x;
    let x = n.x - p0.x;
    let borrow = word(n.x < p0.x);
    let mut r = vec2(x, n.y - mid - borrow);
    // The third word of n - q d: negative while the digit is too high, 0 when it is right.
    let mut z = n.z - p1.y - word(mid < p1.x) - word(n.y < mid || (n.y == mid && borrow != 0));
    for _ in 0..2 {
        let back = z != 0;
        let s = i64_add(r, d);
        z = select(z, z + word(u64_lt(s, d)), back);
        q = select(q, q - 1, back);
        r = select(r, s, back);
    }
    vec3(r.x, r.y, q)
}

/// Unsigned quotient and remainder by `d != 0`.
pub fn u64_divrem(n: Vec2, d: Vec2) -> Vec4 {
    if (n.y | d.y) == 0 {
        return vec4(n.x / d.x, 0, n.x % d.x, 0);
    }
    let s = u64_clz(d);
    let e = u64_shl(d, s);
    // n * 2^s in 128 bits: the high half starts as the remainder, the low half feeds the digits.
    let mut r = u64_shr(u64_shr(n, 63 - s), Word(1));
    let mut low = u64_shl(n, s);
    let mut q = vec2(0, 0);
    for _ in 0..4 {
        let t = u64_div_step(vec3((r.x << 16) | (low.y >> 16), (r.y << 16) | (r.x >> 16), r.y >> 16), e);
        r = t.xy();
        q = vec2((q.x << 16) | t.z, (q.y << 16) | (q.x >> 16));
        low = vec2(low.x << 16, (low.y << 16) | (low.x >> 16));
    }
    r = u64_shr(r, s);
    vec4(q.x, q.y, r.x, r.y)
}

/// A word, widened.
pub fn i64_from_u32(a: Word) -> Vec2 {
    vec2(a, 0)
}

/// A signed word, widened.
pub fn i64_from_i32(a: i32) -> Vec2 {
    vec2(a, a >> 31)
}

/// Words that order as unsigned; its own inverse.
pub fn i64_key(a: Vec2) -> Vec2 {
    vec2(a.x, a.y ^ 0x80000000)
}

/// `a + b`, wrapping.
pub fn i64_add(a: Vec2, b: Vec2) -> Vec2 {
    let lo = a.x + b.x;
    vec2(lo, a.y + b.y + word(lo < a.x))
}

/// `a - b`, wrapping.
pub fn i64_sub(a: Vec2, b: Vec2) -> Vec2 {
    vec2(a.x - b.x, a.y - b.y - word(a.x < b.x))
}

/// `a * b`, wrapping.
pub fn i64_mul(a: Vec2, b: Vec2) -> Vec2 {
    let p = u32_mul_wide(a.x, b.x);
    vec2(p.x, p.y + a.x * b.y + a.y * b.x)
}

/// `-a`, wrapping.
pub fn i64_neg(a: Vec2) -> Vec2 {
    vec2(0 - a.x, 0 - a.y - word(a.x != 0))
}

/// `|a|`, wrapping (or exact, read as unsigned).
pub fn i64_abs(a: Vec2) -> Vec2 {
    select(a, i64_neg(a), i64_is_neg(a))
}

/// `a >> n`, arithmetic, `n < 64`.
pub fn i64_shr(a: Vec2, n: Word) -> Vec2 {
    let fill = select(Word(0), Word(0xffffffff), i64_is_neg(a));
    let s = u64_shr(vec2(a.x ^ fill, a.y ^ fill), n);
    vec2(s.x ^ fill, s.y ^ fill)
}

/// `a == b`.
pub fn i64_eq(a: Vec2, b: Vec2) -> bool {
    a.x == b.x && a.y == b.y
}

/// `a < b`.
pub fn i64_lt(a: Vec2, b: Vec2) -> bool {
    u64_lt(i64_key(a), i64_key(b))
}

/// `a <= b`.
pub fn i64_le(a: Vec2, b: Vec2) -> bool {
    !u64_lt(i64_key(b), i64_key(a))
}

/// `a == 0`.
pub fn i64_is_zero(a: Vec2) -> bool {
    (a.x | a.y) == 0
}

/// `a < 0`.
pub fn i64_is_neg(a: Vec2) -> bool {
    a.y >= 0x80000000
}

/// `a + b`, if it fits.
pub fn i64_add_checked(a: Vec2, b: Vec2) -> I64Result {
    let v = i64_add(a, b);
    I64Result::new(v, ((v.y ^ a.y) & (v.y ^ b.y)) < 0x80000000)
}

/// `a - b`, if it fits.
pub fn i64_sub_checked(a: Vec2, b: Vec2) -> I64Result {
    let v = i64_sub(a, b);
    I64Result::new(v, ((a.y ^ b.y) & (v.y ^ a.y)) < 0x80000000)
}

/// `a * b`, if it fits.
pub fn i64_mul_checked(a: Vec2, b: Vec2) -> I64Result {
    let m = i64_abs(a);
    let n = i64_abs(b);
    let low = u32_mul_wide(m.x, n.x);
    let c0 = u32_mul_wide(m.x, n.y);
    let c1 = u32_mul_wide(m.y, n.x);
    // At least one high word must be 0, and then at most one of the cross products is not.
    let high = low.y + c0.x + c1.x;
    let fits = (m.y == 0 || n.y == 0) && (c0.y | c1.y) == 0 && high >= low.y;
    let negative = i64_is_neg(vec2(0, a.y ^ b.y));
    let p = vec2(low.x, high);
    let most = select(Word(0x80000000), Word(0x80000001), negative && low.x == 0);
    I64Result::new(select(p, i64_neg(p), negative), fits && high < most)
}

/// `-a`, if it fits.
pub fn i64_neg_checked(a: Vec2) -> I64Result {
    I64Result::new(i64_neg(a), a.x != 0 || a.y != 0x80000000)
}

/// `|a|`, if it fits.
pub fn i64_abs_checked(a: Vec2) -> I64Result {
    I64Result::new(i64_abs(a), a.x != 0 || a.y != 0x80000000)
}

/// `a / b` truncated; not for `b = 0`, nor for -2^63 / -1.
pub fn i64_div_checked(a: Vec2, b: Vec2) -> I64Result {
    let zero = i64_is_zero(b);
    let d = i64_abs(b);
    let q = u64_divrem(i64_abs(a), select(d, vec2(1, 0), zero)).xy();
    let negative = i64_is_neg(vec2(0, a.y ^ b.y));
    I64Result::new(select(q, i64_neg(q), negative), !zero && (negative || q.y < 0x80000000))
}

/// `a % b` with the sign of `a`; not for `b = 0` (-2^63 % -1 is 0).
pub fn i64_rem_checked(a: Vec2, b: Vec2) -> I64Result {
    let zero = i64_is_zero(b);
    let d = i64_abs(b);
    let r = u64_divrem(i64_abs(a), select(d, vec2(1, 0), zero)).zw();
    I64Result::new(select(r, i64_neg(r), i64_is_neg(a)), !zero)
}

/// floor(a / b) = !floor(!a / b) for a negative a, and !a is not negative.
pub fn i64_divmod_floor(a: Vec2, b: Vec2) -> Vec4 {
    let negative = i64_is_neg(a);
    let fill = select(Word(0), Word(0xffffffff), negative);
    let t = u64_divrem(vec2(a.x ^ fill, a.y ^ fill), b);
    let r = select(t.zw(), i64_sub(i64_sub(b, vec2(1, 0)), t.zw()), negative);
    vec4(t.x ^ fill, t.y ^ fill, r.x, r.y)
}
