//! IEEE-754 binary64 on u32 words: the twin of `shaders/shared/f64.wgsl`, function for function and line for line.
//!
//! Round to nearest even, subnormals kept, nothing fused; every NaN that comes out is [`F64_NAN`]. Inside, a significand is 53
//! bits, or is placed with its leading one at bit 62 with 10 bits below to round by.
//!
//! One family of functions on one representation: it stays in one file, as its shader does. Read `f64_unpack` and `f64_pack`
//! first; every operation is between the two.

use std::cmp::{max, min};

use super::i64::*;
use super::i128::*;
use super::word::{Vec2, Vec3, Vec4, Word, count_leading_zeros, i32_of, select, vec2, vec3, vec4, word};

/// The one NaN that comes out.
pub const F64_NAN: Vec2 = Vec2 { x: Word(0), y: Word(0x7ff80000) };
/// Positive infinity.
pub const F64_INF: Vec2 = Vec2 { x: Word(0), y: Word(0x7ff00000) };

fn clamp<T: Ord>(value: T, least: T, most: T) -> T {
    max(least, min(value, most))
}

/// Whether `a` is a NaN, of any sign and payload.
pub fn f64_is_nan(a: Vec2) -> bool {
    u64_lt(F64_INF, vec2(a.x, a.y & 0x7fffffff))
}

/// Whether `a` is +0 or -0.
pub fn f64_is_zero(a: Vec2) -> bool {
    (a.x | (a.y << 1)) == 0
}

/// Whether `a` is neither NaN nor infinite.
pub fn f64_is_finite(a: Vec2) -> bool {
    (a.y & 0x7ff00000) != 0x7ff00000
}

/// (significand with its leading one at bit 52, biased exponent as i32 bits) of a finite value that is not zero.
/// A subnormal gets an exponent below 1.
pub fn f64_unpack(a: Vec2) -> Vec3 {
    let e = (a.y >> 20) & 0x7ff;
    let f = vec2(a.x, a.y & 0xfffff);
    if e == 0 {
        let s = u64_clz(f) - 11;
        let m = u64_shl(f, s & 63);
        return vec3(m.x, m.y, 1 - s);
    }
    vec3(f.x, f.y | 0x100000, e)
}

/// Rounds sig * 2^(e - 1085), e >= 1, sig < 2^63, and sets the sign bit. A sig below 2^62 is right for e = 1 alone.
pub fn f64_pack(sign: Word, e: Word, sig: Vec2) -> Vec2 {
    let lo = (sig.x >> 10) | (sig.y << 22);
    // 1 above half and, for an odd lo, at half.
    let up = ((sig.x & 0x3ff) + 0x1ff + (lo & 1)) >> 10;
    let x = lo + up;
    // The leading one adds 1 to the exponent, and so does a carry out of the significand.
    let y = (sig.y >> 10) + ((e - 1) << 20) + word(x < lo);
    select(vec2(x, y | sign), vec2(0, 0x7ff00000 | sign), e >= 0x7ff)
}

/// f64_pack for any exponent (i32 bits), leading one at bit 62: below the normal range the result is a subnormal.
pub fn f64_round_pack(sign: Word, e: Word, sig: Vec2) -> Vec2 {
    let exponent = i32_of(e);
    let down = word(clamp(1 - exponent, 0, 63));
    f64_pack(sign, word(max(exponent, 1)), u64_shr_jam(sig, down))
}

/// `a + b`.
pub fn f64_add(a: Vec2, b: Vec2) -> Vec2 {
    let am = vec2(a.x, a.y & 0x7fffffff);
    let bm = vec2(b.x, b.y & 0x7fffffff);
    let swap = u64_lt(am, bm);
    let p = select(am, bm, swap);
    let q = select(bm, am, swap);
    let sign = select(a.y, b.y, swap) & 0x80000000;
    let differ = (a.y ^ b.y) >= 0x80000000;
    // Leading ones at bit 61: a carry goes to bit 62. A subnormal has no leading one and the exponent 1.
    let pn = min(p.y >> 20, Word(1));
    let qn = min(q.y >> 20, Word(1));
    let e = (p.y >> 20) + 1 - pn;
    let d = e - ((q.y >> 20) + 1 - qn);
    let ps = vec2(p.x << 9, (((p.y & 0xfffff) | (pn << 20)) << 9) | (p.x >> 23));
    let qw = vec2(q.x << 9, (((q.y & 0xfffff) | (qn << 20)) << 9) | (q.x >> 23));
    let qs = u64_shr_jam(qw, min(d, Word(63)));
    let flip = select(Word(0), Word(0xffffffff), differ);
    let sum = i64_add(i64_add(ps, vec2(qs.x ^ flip, qs.y ^ flip)), vec2(flip & 1, 0));
    // Up to bit 62, but not below the exponent of the subnormals. The sum of subnormals is exact.
    let s = min(u64_clz(sum) - 1, e);
    let zero = i64_is_zero(sum);
    let exact_zero = vec2(0, select(sign, Word(0), differ));
    let mut r = select(f64_pack(sign, e + 1 - s, u64_shl(sum, s)), exact_zero, zero);
    // inf - inf, or a NaN: the larger magnitude is the NaN if either is.
    let nan = u64_lt(F64_INF, p) || (differ && q.y >= 0x7ff00000);
    r = select(r, vec2(0, 0x7ff00000 | sign), p.y >= 0x7ff00000);
    select(r, F64_NAN, nan)
}

/// `a - b`.
pub fn f64_sub(a: Vec2, b: Vec2) -> Vec2 {
    f64_add(a, vec2(b.x, b.y ^ 0x80000000))
}

/// 53 x 53 bits in limbs of 14: four products of 28 bits add up without a carry, so one pass of carries is enough.
/// The result is the product shifted down by 42, its lowest bit also set if a one was lost.
pub fn f64_mul_significands(a: Vec2, b: Vec2) -> Vec2 {
    let m = Word(0x3fff);
    let a0 = a.x & m;
    let a1 = (a.x >> 14) & m;
    let a2 = ((a.x >> 28) | (a.y << 4)) & m;
    let a3 = a.y >> 10;
    let b0 = b.x & m;
    let b1 = (b.x >> 14) & m;
    let b2 = ((b.x >> 28) | (b.y << 4)) & m;
    let b3 = b.y >> 10;
    let c0 = a0 * b0;
    let c1 = a0 * b1 + a1 * b0 + (c0 >> 14);
    let c2 = a0 * b2 + a1 * b1 + a2 * b0 + (c1 >> 14);
    let c3 = a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + (c2 >> 14);
    let c4 = a1 * b3 + a2 * b2 + a3 * b1 + (c3 >> 14);
    let c5 = a2 * b3 + a3 * b2 + (c4 >> 14);
    let c6 = a3 * b3 + (c5 >> 14);
    let lost = word(((c0 | c1 | c2) & m) != 0);
    vec2((c3 & m) | ((c4 & m) << 14) | (c5 << 28) | lost, ((c5 & m) >> 4) | (c6 << 10))
}

/// `a * b`.
pub fn f64_mul(a: Vec2, b: Vec2) -> Vec2 {
    let sign = (a.y ^ b.y) & 0x80000000;
    let am = a.y & 0x7fffffff;
    let bm = b.y & 0x7fffffff;
    let p = f64_unpack(a);
    let q = f64_unpack(b);
    let v = f64_mul_significands(p.xy(), q.xy());
    // The leading one is at bit 62 or 63.
    let over = v.y >> 31;
    let sig = u64_shr_jam(v, over);
    let mut r = f64_round_pack(sign, p.z + q.z - 1023 + over, sig);
    let zero = (am | a.x) == 0 || (bm | b.x) == 0;
    let special = am >= 0x7ff00000 || bm >= 0x7ff00000;
    r = select(r, vec2(0, sign), zero);
    r = select(r, vec2(0, 0x7ff00000 | sign), special);
    let nan = (special && zero) || f64_is_nan(a) || f64_is_nan(b);
    select(r, F64_NAN, nan)
}

/// Below 2^84 / b for a significand b, by no more than 5.3 parts in 2^31; b's words shifted: top = floor(b / 2^21).
pub fn f64_reciprocal(top: Word) -> Word {
    // A quotient of 16 bits, then one step of Newton. v0 (top + 1) < 2^48, so the error e = 1 - v0 (top + 1) / 2^48
    // is positive, below 1.26 / 2^15, and v0 (1 + e) = (1 - e^2) / (top + 1) is again too small.
    let v0 = 0xffffffff / ((top >> 16) + 1);
    let p = i64_add(u32_mul_wide(top, v0), vec2(v0, 0));
    let e = i64_sub(vec2(0, 0x10000), p);
    let v = v0 << 15;
    v + (u32_mul_high(v, (e.x >> 2) | (e.y << 30)) >> 14)
}

/// (a - q b) mod 2^64, q < 2^32.
pub fn f64_sub_product(a: Vec2, q: Word, b: Vec2) -> Vec2 {
    let p = u32_mul_wide(q, b.x);
    i64_sub(a, vec2(p.x, p.y + q * b.y))
}

/// a / b for significands b <= a < 2 b, as 56 bits of quotient; the lowest bit is also set if it is not exact.
pub fn f64_div_significands(a: Vec2, b: Vec2) -> Vec2 {
    let v = f64_reciprocal((b.y << 11) | (b.x >> 21));
    // Two digits to base 2^28, each a little too small: what is missed moves into the next remainder.
    // First: 2^27 a - q1 b is below 1.8 b.
    let q1 = u32_mul_high((a.y << 10) | (a.x >> 22), v) >> 3;
    let r1 = f64_sub_product(vec2(a.x << 27, (a.y << 27) | (a.x >> 5)), q1, b);
    // Second: 2^28 r1 - q2 b is below 2.5 b, so that two more may be due.
    let q2 = u32_mul_high((r1.y << 10) | (r1.x >> 22), v) >> 2;
    let mut r = f64_sub_product(vec2(r1.x << 28, (r1.y << 28) | (r1.x >> 4)), q2, b);
    let mut q = i64_add(vec2(q1 << 28, q1 >> 4), vec2(q2, 0));
    for _ in 0..2 {
        let more = !u64_lt(r, b);
        r = select(r, i64_sub(r, b), more);
        q = i64_add(q, vec2(more, 0));
    }
    vec2(q.x | select(Word(1), Word(0), i64_is_zero(r)), q.y)
}

/// `a / b`.
pub fn f64_div(a: Vec2, b: Vec2) -> Vec2 {
    let sign = (a.y ^ b.y) & 0x80000000;
    let am = a.y & 0x7fffffff;
    let bm = b.y & 0x7fffffff;
    let p = f64_unpack(a);
    let q = f64_unpack(b);
    // Where a's significand is the smaller one it is doubled: the quotient is in [1, 2).
    let small = u64_lt(p.xy(), q.xy());
    let n = select(p.xy(), vec2(p.x << 1, (p.y << 1) | (p.x >> 31)), small);
    let v = f64_div_significands(n, q.xy());
    let sig = vec2(v.x << 7, (v.y << 7) | (v.x >> 25));
    let mut r = f64_round_pack(sign, p.z + 1023 - q.z - word(small), sig);
    let zero_a = (am | a.x) == 0;
    let zero_b = (bm | b.x) == 0;
    let high_a = am >= 0x7ff00000;
    let high_b = bm >= 0x7ff00000;
    r = select(r, vec2(0, sign), zero_a || high_b);
    r = select(r, vec2(0, 0x7ff00000 | sign), zero_b || high_a);
    let nan = (zero_a && zero_b) || (high_a && high_b) || f64_is_nan(a) || f64_is_nan(b);
    select(r, F64_NAN, nan)
}

/// Below 2^32 / sqrt(x / 2^30), x >= 2^30, by no more than 8 parts in 2^31.
pub fn f64_reciprocal_sqrt(x: Word) -> Word {
    // A straight line on [1, 2) and one on [2, 4), right to 1 part in 44, and three steps of Newton:
    // y' = y (3 - x y^2) / 2, whose error is 1.5 times the square of y's and makes y' too small.
    let wide = x >= 0x80000000;
    // The first line starts at 1.26: what is above 1 wraps away here and comes back in the difference.
    let start = select(Word(0x43b2f786), Word(0xe4e3cb52), wide);
    let mut y = start - (u32_mul_high(x, select(Word(0x4954c247), Word(0x19ed2c2d), wide)) << 2);
    for _ in 0..3 {
        // Two below 3, for what the two products have lost.
        y = u32_mul_high(y, 0xbffffffe - u32_mul_high(x, u32_mul_high(y, y))) << 1;
    }
    y - 2
}

/// sqrt(m) for 2^52 <= m < 2^54, as 55 bits; the lowest bit is also set if it is not exact.
pub fn f64_sqrt_significand(m: Vec2) -> Vec2 {
    let x = (m.y << 10) | (m.x >> 22);
    let y = f64_reciprocal_sqrt(x);
    // 29 bits, below sqrt(16 m) by less than 3.3; then 26 more from what is left of 16 m, which fits a word.
    let r1 = u32_mul_high(x, y) >> 2;
    let r2 = u32_mul_high((m.x << 4) - r1 * r1, y) >> 3;
    let mut r = i64_add(vec2(r1 << 26, r1 >> 6), vec2(r2, 0));
    // 2^56 m - r^2 mod 2^64; the root is right or at most 2 too small.
    let p = u32_mul_wide(r.x, r.x);
    let mut rest = i64_sub(vec2(0, m.x << 24), vec2(p.x, p.y + ((r.x * r.y) << 1)));
    for _ in 0..2 {
        let twice = vec2(r.x << 1, (r.y << 1) | (r.x >> 31));
        let more = u64_lt(twice, rest);
        rest = select(rest, i64_sub(rest, vec2(twice.x | 1, twice.y)), more);
        r = i64_add(r, vec2(more, 0));
    }
    vec2(r.x | select(Word(1), Word(0), i64_is_zero(rest)), r.y)
}

/// The square root; NaN below 0, -0 for -0.
pub fn f64_sqrt(a: Vec2) -> Vec2 {
    let p = f64_unpack(a);
    // An even power of two goes out of the root, an odd one leaves a factor of 2 inside.
    let odd = (p.z & 1) == 0;
    let m = select(p.xy(), vec2(p.x << 1, (p.y << 1) | (p.x >> 31)), odd);
    let v = f64_sqrt_significand(m);
    let e = word((i32_of(p.z) - 1023) >> 1) + 1023;
    let r = f64_pack(Word(0), e, vec2(v.x << 8, (v.y << 8) | (v.x >> 24)));
    let same = f64_is_zero(a) || i64_eq(a, F64_INF);
    let nan = !same && (a.y >= 0x7ff00000);
    select(select(r, a, same), F64_NAN, nan)
}

/// The remainder of long division, 16 bits of the quotient at a time: at most 132 steps.
pub fn f64_rem(a: Vec2, b: Vec2) -> Vec2 {
    let am = vec2(a.x, a.y & 0x7fffffff);
    let bm = vec2(b.x, b.y & 0x7fffffff);
    if am.y >= 0x7ff00000 || u64_lt(F64_INF, bm) || i64_is_zero(bm) {
        return F64_NAN;
    }
    if u64_lt(am, bm) {
        return a;
    }
    let p = f64_unpack(am);
    let q = f64_unpack(bm);
    let d = u64_shl(q.xy(), Word(11));
    let mut r = u64_shl(p.xy(), Word(11));
    r = select(r, i64_sub(r, d), !u64_lt(r, d));
    let mut left = p.z - q.z;
    while left > 0 && !i64_is_zero(r) {
        let n = min(left, Word(16));
        let t = u64_div_step(vec3(r.x << n, (r.y << n) | (r.x >> (32 - n)), r.y >> (32 - n)), d);
        r = t.xy();
        left -= n;
    }
    // The remainder is a multiple of the smaller of the two last places: nothing is rounded.
    let s = u64_clz(r);
    let sign = a.y & 0x80000000;
    let v = f64_round_pack(sign, q.z - s, u64_shr(u64_shl(r, s & 63), Word(1)));
    select(v, vec2(0, sign), i64_is_zero(r))
}

/// `-a`.
pub fn f64_neg(a: Vec2) -> Vec2 {
    select(vec2(a.x, a.y ^ 0x80000000), F64_NAN, f64_is_nan(a))
}

/// `|a|`.
pub fn f64_abs(a: Vec2) -> Vec2 {
    select(vec2(a.x, a.y & 0x7fffffff), F64_NAN, f64_is_nan(a))
}

/// Cuts the fraction off after adding a part of one: nothing, a half, or all but the last place.
pub fn f64_to_integer(a: Vec2, mode: Word) -> Vec2 {
    let e = (a.y >> 20) & 0x7ff;
    let sign = a.y & 0x80000000;
    let up = (mode == ROUND_CEIL && sign == 0) || (mode == ROUND_FLOOR && sign != 0);
    // Below 1 in magnitude: 0 or 1.
    let one = (up && !f64_is_zero(a)) || (mode == ROUND_HALF_AWAY && e == 1022);
    let tiny = vec2(0, sign | select(Word(0), Word(0x3ff00000), one));
    // The places of the fraction; the sum may carry into the exponent, as it should.
    let n = 1075 - clamp(e, Word(1023), Word(1075));
    let mask = i64_sub(u64_shl(vec2(1, 0), n), vec2(1, 0));
    let half = vec2(mask.x ^ (mask.x >> 1) ^ (mask.y << 31), mask.y ^ (mask.y >> 1));
    let zero = vec2(0, 0);
    let part = select(select(zero, half, mode == ROUND_HALF_AWAY), mask, up);
    let s = i64_add(a, part);
    let v = select(vec2(s.x & !mask.x, s.y & !mask.y), tiny, e < 1023);
    select(v, F64_NAN, f64_is_nan(a))
}

/// The integer at or below.
pub fn f64_floor(a: Vec2) -> Vec2 {
    f64_to_integer(a, ROUND_FLOOR)
}

/// The integer at or above.
pub fn f64_ceil(a: Vec2) -> Vec2 {
    f64_to_integer(a, ROUND_CEIL)
}

/// The integer towards zero.
pub fn f64_trunc(a: Vec2) -> Vec2 {
    f64_to_integer(a, ROUND_TRUNC)
}

/// The nearest integer, halves away from zero.
pub fn f64_round(a: Vec2) -> Vec2 {
    f64_to_integer(a, ROUND_HALF_AWAY)
}

/// The nearest binary32, widened again.
pub fn f64_round_f32(a: Vec2) -> Vec2 {
    let e = (a.y >> 20) & 0x7ff;
    let sign = a.y & 0x80000000;
    // 926 - 897 = 29 places go, and more below the smallest normal binary32, 2^-126; all 53 below 2^-149.
    let n = 926 - clamp(e, Word(873), Word(897));
    let unit = u64_shl(vec2(1, 0), n);
    let mask = i64_sub(unit, vec2(1, 0));
    // At 2^-149 the last place kept is the leading one.
    let odd = select(u64_shr(a, n).x & 1, Word(1), n == 52);
    // Half a unit less one, and one more where the last place kept is odd.
    let s = i64_add(a, i64_add(u64_shr(mask, Word(1)), vec2(odd, 0)));
    let mut v = vec2(s.x & !mask.x, s.y & !mask.y);
    // From 2^-150 (a tie, which goes to 0) to 2^-149.
    let last = e == 873 && (a.x | (a.y & 0xfffff)) != 0;
    v = select(v, vec2(0, sign | select(Word(0), Word(0x36a00000), last)), e <= 873);
    v = select(v, vec2(0, sign | 0x7ff00000), (v.y & 0x7fffffff) >= 0x47f00000);
    select(v, F64_NAN, f64_is_nan(a))
}

/// One form per group: -0 becomes +0, and every NaN [`F64_NAN`].
pub fn f64_canonical(a: Vec2) -> Vec2 {
    let v = select(a, vec2(0, 0), f64_is_zero(a));
    select(v, F64_NAN, f64_is_nan(a))
}

/// Words that order as an unsigned 64-bit value: -inf < .. < -0 < +0 < .. < +inf < NaN.
pub fn f64_key(a: Vec2) -> Vec2 {
    let v = select(a, F64_NAN, f64_is_nan(a));
    let flip = select(Word(0), Word(0xffffffff), i64_is_neg(v));
    vec2(v.x ^ flip, v.y ^ (flip | 0x80000000))
}

/// The double of a key.
pub fn f64_from_key(k: Vec2) -> Vec2 {
    let flip = select(Word(0xffffffff), Word(0), i64_is_neg(k));
    vec2(k.x ^ flip, k.y ^ (flip | 0x80000000))
}

/// SQL's `a = b`: -0 equals +0, NaN equals NaN.
pub fn f64_eq(a: Vec2, b: Vec2) -> bool {
    i64_eq(f64_canonical(a), f64_canonical(b))
}

/// SQL's `a < b`: NaN is above everything.
pub fn f64_lt(a: Vec2, b: Vec2) -> bool {
    u64_lt(f64_key(f64_canonical(a)), f64_key(f64_canonical(b)))
}

/// SQL's `a <= b`.
pub fn f64_le(a: Vec2, b: Vec2) -> bool {
    !f64_lt(b, a)
}

/// The bits of a binary32, widened exactly.
pub fn f64_from_f32(a: Word) -> Vec2 {
    let sign = a & 0x80000000;
    let m = a & 0x7fffffff;
    // A subnormal's leading one goes to bit 23; its exponent is 897 - s, and the leading one adds 1.
    let s = count_leading_zeros(m) - 8;
    let n = m << (s & 31);
    let tiny = vec2(n << 29, (n >> 3) + ((896 - s) << 20));
    let v = select(vec2(m << 29, (m >> 3) + 0x38000000), tiny, m < 0x800000);
    let mut r = vec2(v.x, v.y | sign);
    r = select(r, vec2(0, sign), m == 0);
    r = select(r, vec2(0, 0x7ff00000 | sign), m == 0x7f800000);
    select(r, F64_NAN, m > 0x7f800000)
}

/// Of an unsigned integer, rounded once.
pub fn f64_from_u64(a: Vec2) -> Vec2 {
    let s = u64_clz(a);
    let v = f64_pack(Word(0), 1086 - s, u64_shr_jam(u64_shl(a, s & 63), Word(1)));
    select(v, vec2(0, 0), i64_is_zero(a))
}

/// Of an integer, rounded once.
pub fn f64_from_i64(a: Vec2) -> Vec2 {
    let v = f64_from_u64(i64_abs(a));
    vec2(v.x, v.y | (a.y & 0x80000000))
}

/// Of a wide integer, rounded once.
pub fn f64_from_i128(a: Vec4) -> Vec2 {
    let m = i128_abs(a);
    let s = u128_clz(m);
    let n = u128_shl(m, s);
    let low = word((n.x | n.y) != 0);
    let v = f64_pack(a.w & 0x80000000, 1150 - s, u64_shr_jam(vec2(n.z | low, n.w), Word(1)));
    select(v, vec2(0, 0), i128_is_zero(a))
}

/// `a / 10^scale`, rounded once; `scale <= 38`.
pub fn f64_from_decimal(a: Vec4, scale: Word) -> Vec2 {
    let m = i128_abs(a);
    let ten = i128_pow10(scale);
    let sa = u128_clz(m);
    let sd = u128_clz(ten);
    let n = u128_shl(m, sa);
    let d = u128_shl(ten, sd);
    // n / d is in (1/2, 2): its bit before the point, then 64 bits behind it.
    let one = !u128_lt(n, d);
    let mut r = select(n, i128_sub(n, d), one);
    let mut q = vec2(0, 0);
    for _ in 0..4 {
        let t = u128_div_step(r, Word(0), d);
        r = t.lo;
        q = vec2((q.x << 16) | t.hi.x, (q.y << 16) | (q.x >> 16));
    }
    q.x |= select(Word(1), Word(0), i128_is_zero(r));
    let mut sig = u64_shr_jam(q, select(Word(1), Word(2), one));
    sig.y |= select(Word(0), Word(0x40000000), one);
    let e = 1022 + sd - sa + word(one);
    let v = f64_pack(a.w & 0x80000000, e, sig);
    select(v, vec2(0, 0), i128_is_zero(a))
}

/// The nearest integer, halves to even; not for NaN, infinities and beyond 64 bits.
pub fn f64_to_i64_checked(a: Vec2) -> I64Result {
    let e = (a.y >> 20) & 0x7ff;
    let negative = i64_is_neg(a);
    let f = vec2(a.x, (a.y & 0xfffff) | (min(e, Word(1)) << 20));
    // Ten places of fraction below 2^53, where there is one to round.
    let t = u64_shr_jam(u64_shl(f, Word(10)), min(1075 - min(e, Word(1075)), Word(63)));
    let lo = (t.x >> 10) | (t.y << 22);
    let up = ((t.x & 0x3ff) + 0x1ff + (lo & 1)) >> 10;
    let rounded = i64_add(vec2(lo, t.y >> 10), vec2(up, 0));
    let m = u64_shl(rounded, min(max(e, Word(1075)) - 1075, Word(11)));
    let least = negative && e == 1086 && (f.x | (f.y & 0xfffff)) == 0;
    I64Result::new(select(m, i64_neg(m), negative), e < 1086 || least)
}

/// `a * 10^scale` exactly, then rounded, halves to even; not for NaN, infinities and beyond 38 digits.
pub fn f64_to_i128_checked(a: Vec2, scale: Word) -> I128Result {
    let e = (a.y >> 20) & 0x7ff;
    let f = vec4(a.x, (a.y & 0xfffff) | (min(e, Word(1)) << 20), 0, 0);
    let p = u128_mul_wide(f, i128_pow10(scale));
    let zero = vec4(0, 0, 0, 0);
    let x = max(e, Word(1));
    // The product times 2^(x - 1075). Up: if it stays below 2^127.
    let left = max(x, Word(1075)) - 1075;
    let up_fits = i128_is_zero(p.hi) && left < u128_clz(p.lo);
    let up = u128_shl(p.lo, min(left, Word(127)));
    // Down: to one place of fraction; of the 180 bits of p none is left after 182.
    let right = min(max(1075 - min(x, Word(1075)), Word(1)) - 1, Word(255));
    let near = u128_shr(p.lo, right);
    let next = select(u128_shl(p.hi, 128 - right), zero, right == 0 || right > 127);
    let far = u128_shr(p.hi, right & 127);
    let big = right > 127;
    let t = select(vec4(near.x | next.x, near.y | next.y, near.z | next.z, near.w | next.w), far, big);
    let down_fits = big || i128_is_zero(far);
    // Whether nothing but zeros lies below that place.
    let kept = u128_shl(select(near, far, big), right & 127);
    let exact = i128_eq(kept, select(p.lo, p.hi, big)) && (!big || i128_is_zero(p.lo));
    let odd = select((t.x >> 1) | 1, t.x >> 1, exact);
    let down = i128_add(u128_shr(t, Word(1)), vec4(t.x & odd & 1, 0, 0, 0));
    let whole = x >= 1075;
    let m = select(down, up, whole);
    let fits = select(down_fits, up_fits, whole) && e < 0x7ff && i128_in_38_digits(m);
    I128Result::new(select(m, i128_neg(m), i64_is_neg(a)), fits)
}
