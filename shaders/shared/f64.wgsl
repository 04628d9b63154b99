// IEEE-754 binary64 on u32 words: round to nearest even, subnormals kept, nothing fused.
//
// Integer arithmetic only: no shader compiler's float rules can touch it, and it needs no f64 on the device.
// A value is vec2<u32>, the bits of the double: x = low word, y = high word. Every NaN that comes out is F64_NAN.
// The twin, line for line, is src/kernel/f64.rs. Needs i64.wgsl and i128.wgsl.
//
//   const F64_NAN, F64_INF: vec2<u32>
//
//   f64_add(a, b)  f64_sub(a, b)  f64_mul(a, b)  f64_div(a, b)  f64_sqrt(a)  f64_rem(a, b)  fmod: sign of a, exact
//   f64_neg(a)     f64_abs(a)
//   f64_floor(a)   f64_ceil(a)    f64_trunc(a)   f64_round(a)  half away from zero
//   f64_round_f32(a)              to the nearest binary32, and back
//
//   f64_eq(a, b)   f64_lt(a, b)   f64_le(a, b) -> bool      SQL order: -0 = +0, NaN = NaN, NaN above everything
//   f64_is_nan(a)  f64_is_zero(a)  f64_is_finite(a) -> bool
//   f64_canonical(a)              -0 becomes +0 and every NaN F64_NAN: equal bits = equal group
//   f64_key(a)                    words that order as unsigned 64 bit: -inf < .. < -0 < +0 < .. < +inf < NaN
//   f64_from_key(k)               its inverse
//
//   f64_from_f32(a: u32)          the bits of a binary32, widened exactly
//   f64_from_i64(a: vec2<u32>)    f64_from_u64(a: vec2<u32>)    f64_from_i128(a: vec4<u32>)    rounded once
//   f64_from_decimal(a: vec4<u32>, scale: u32)              a / 10^scale, rounded once; scale <= 38
//   f64_to_i64_checked(a) -> I64Result                      half to even; not ok for NaN, inf and beyond 64 bits
//   f64_to_i128_checked(a, scale: u32) -> I128Result        a * 10^scale exactly, then half to even; not ok
//                                                           for NaN, inf and beyond 38 digits; scale <= 38
//
// Inside, a significand is 53 bits, or is placed with its leading one at bit 62 with 10 bits below to round by.

const F64_NAN: vec2<u32> = vec2<u32>(0u, 0x7ff80000u);
const F64_INF: vec2<u32> = vec2<u32>(0u, 0x7ff00000u);

fn f64_is_nan(a: vec2<u32>) -> bool {
    return u64_lt(F64_INF, vec2<u32>(a.x, a.y & 0x7fffffffu));
}

fn f64_is_zero(a: vec2<u32>) -> bool {
    return (a.x | (a.y << 1u)) == 0u;
}

fn f64_is_finite(a: vec2<u32>) -> bool {
    return (a.y & 0x7ff00000u) != 0x7ff00000u;
}

// (significand with its leading one at bit 52, biased exponent as i32 bits) of a finite value that is not zero.
// A subnormal gets an exponent below 1.
fn f64_unpack(a: vec2<u32>) -> vec3<u32> {
    let e = (a.y >> 20u) & 0x7ffu;
    let f = vec2<u32>(a.x, a.y & 0xfffffu);
    if (e == 0u) {
        let s = u64_clz(f) - 11u;
        let m = u64_shl(f, s & 63u);
        return vec3<u32>(m.x, m.y, 1u - s);
    }
    return vec3<u32>(f.x, f.y | 0x100000u, e);
}

// Rounds sig * 2^(e - 1085), e >= 1, sig < 2^63, and sets the sign bit. A sig below 2^62 is right for e = 1 alone.
fn f64_pack(sign: u32, e: u32, sig: vec2<u32>) -> vec2<u32> {
    let lo = (sig.x >> 10u) | (sig.y << 22u);
    // 1 above half and, for an odd lo, at half.
    let up = ((sig.x & 0x3ffu) + 0x1ffu + (lo & 1u)) >> 10u;
    let x = lo + up;
    // The leading one adds 1 to the exponent, and so does a carry out of the significand.
    let y = (sig.y >> 10u) + ((e - 1u) << 20u) + u32(x < lo);
    return select(vec2<u32>(x, y | sign), vec2<u32>(0u, 0x7ff00000u | sign), e >= 0x7ffu);
}

// f64_pack for any exponent (i32 bits), leading one at bit 62: below the normal range the result is a subnormal.
fn f64_round_pack(sign: u32, e: u32, sig: vec2<u32>) -> vec2<u32> {
    let exponent = i32(e);
    let down = u32(clamp(1 - exponent, 0, 63));
    return f64_pack(sign, u32(max(exponent, 1)), u64_shr_jam(sig, down));
}

fn f64_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let am = vec2<u32>(a.x, a.y & 0x7fffffffu);
    let bm = vec2<u32>(b.x, b.y & 0x7fffffffu);
    let swap = u64_lt(am, bm);
    let p = select(am, bm, swap);
    let q = select(bm, am, swap);
    let sign = select(a.y, b.y, swap) & 0x80000000u;
    let differ = (a.y ^ b.y) >= 0x80000000u;
    // Leading ones at bit 61: a carry goes to bit 62. A subnormal has no leading one and the exponent 1.
    let pn = min(p.y >> 20u, 1u);
    let qn = min(q.y >> 20u, 1u);
    let e = (p.y >> 20u) + 1u - pn;
    let d = e - ((q.y >> 20u) + 1u - qn);
    let ps = vec2<u32>(p.x << 9u, (((p.y & 0xfffffu) | (pn << 20u)) << 9u) | (p.x >> 23u));
    let qw = vec2<u32>(q.x << 9u, (((q.y & 0xfffffu) | (qn << 20u)) << 9u) | (q.x >> 23u));
    let qs = u64_shr_jam(qw, min(d, 63u));
    let flip = select(0u, 0xffffffffu, differ);
    let sum = i64_add(i64_add(ps, vec2<u32>(qs.x ^ flip, qs.y ^ flip)), vec2<u32>(flip & 1u, 0u));
    // Up to bit 62, but not below the exponent of the subnormals. The sum of subnormals is exact.
    let s = min(u64_clz(sum) - 1u, e);
    let zero = i64_is_zero(sum);
    let exact_zero = vec2<u32>(0u, select(sign, 0u, differ));
    var r = select(f64_pack(sign, e + 1u - s, u64_shl(sum, s)), exact_zero, zero);
    // inf - inf, or a NaN: the larger magnitude is the NaN if either is.
    let nan = u64_lt(F64_INF, p) || (differ && q.y >= 0x7ff00000u);
    r = select(r, vec2<u32>(0u, 0x7ff00000u | sign), p.y >= 0x7ff00000u);
    return select(r, F64_NAN, nan);
}

fn f64_sub(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return f64_add(a, vec2<u32>(b.x, b.y ^ 0x80000000u));
}

// 53 x 53 bits in limbs of 14: four products of 28 bits add up without a carry, so one pass of carries is enough.
// The result is the product shifted down by 42, its lowest bit also set if a one was lost.
fn f64_mul_significands(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let m = 0x3fffu;
    let a0 = a.x & m;
    let a1 = (a.x >> 14u) & m;
    let a2 = ((a.x >> 28u) | (a.y << 4u)) & m;
    let a3 = a.y >> 10u;
    let b0 = b.x & m;
    let b1 = (b.x >> 14u) & m;
    let b2 = ((b.x >> 28u) | (b.y << 4u)) & m;
    let b3 = b.y >> 10u;
    let c0 = a0 * b0;
    let c1 = a0 * b1 + a1 * b0 + (c0 >> 14u);
    let c2 = a0 * b2 + a1 * b1 + a2 * b0 + (c1 >> 14u);
    let c3 = a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + (c2 >> 14u);
    let c4 = a1 * b3 + a2 * b2 + a3 * b1 + (c3 >> 14u);
    let c5 = a2 * b3 + a3 * b2 + (c4 >> 14u);
    let c6 = a3 * b3 + (c5 >> 14u);
    let lost = u32(((c0 | c1 | c2) & m) != 0u);
    return vec2<u32>((c3 & m) | ((c4 & m) << 14u) | (c5 << 28u) | lost, ((c5 & m) >> 4u) | (c6 << 10u));
}

fn f64_mul(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let sign = (a.y ^ b.y) & 0x80000000u;
    let am = a.y & 0x7fffffffu;
    let bm = b.y & 0x7fffffffu;
    let p = f64_unpack(a);
    let q = f64_unpack(b);
    let v = f64_mul_significands(p.xy, q.xy);
    // The leading one is at bit 62 or 63.
    let over = v.y >> 31u;
    let sig = u64_shr_jam(v, over);
    var r = f64_round_pack(sign, p.z + q.z - 1023u + over, sig);
    let zero = (am | a.x) == 0u || (bm | b.x) == 0u;
    let special = am >= 0x7ff00000u || bm >= 0x7ff00000u;
    r = select(r, vec2<u32>(0u, sign), zero);
    r = select(r, vec2<u32>(0u, 0x7ff00000u | sign), special);
    let nan = (special && zero) || f64_is_nan(a) || f64_is_nan(b);
    return select(r, F64_NAN, nan);
}

// Below 2^84 / b for a significand b, by no more than 5.3 parts in 2^31; b's words shifted: top = floor(b / 2^21).
fn f64_reciprocal(top: u32) -> u32 {
    // A quotient of 16 bits, then one step of Newton. v0 (top + 1) < 2^48, so the error e = 1 - v0 (top + 1) / 2^48
    // is positive, below 1.26 / 2^15, and v0 (1 + e) = (1 - e^2) / (top + 1) is again too small.
    let v0 = 0xffffffffu / ((top >> 16u) + 1u);
    let p = i64_add(u32_mul_wide(top, v0), vec2<u32>(v0, 0u));
    let e = i64_sub(vec2<u32>(0u, 0x10000u), p);
    let v = v0 << 15u;
    return v + (u32_mul_high(v, (e.x >> 2u) | (e.y << 30u)) >> 14u);
}

// (a - q b) mod 2^64, q < 2^32.
fn f64_sub_product(a: vec2<u32>, q: u32, b: vec2<u32>) -> vec2<u32> {
    let p = u32_mul_wide(q, b.x);
    return i64_sub(a, vec2<u32>(p.x, p.y + q * b.y));
}

// a / b for significands b <= a < 2 b, as 56 bits of quotient; the lowest bit is also set if it is not exact.
fn f64_div_significands(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let v = f64_reciprocal((b.y << 11u) | (b.x >> 21u));
    // Two digits to base 2^28, each a little too small: what is missed moves into the next remainder.
    // First: 2^27 a - q1 b is below 1.8 b.
    let q1 = u32_mul_high((a.y << 10u) | (a.x >> 22u), v) >> 3u;
    let r1 = f64_sub_product(vec2<u32>(a.x << 27u, (a.y << 27u) | (a.x >> 5u)), q1, b);
    // Second: 2^28 r1 - q2 b is below 2.5 b, so that two more may be due.
    let q2 = u32_mul_high((r1.y << 10u) | (r1.x >> 22u), v) >> 2u;
    var r = f64_sub_product(vec2<u32>(r1.x << 28u, (r1.y << 28u) | (r1.x >> 4u)), q2, b);
    var q = i64_add(vec2<u32>(q1 << 28u, q1 >> 4u), vec2<u32>(q2, 0u));
    for (var i = 0u; i < 2u; i++) {
        let more = !u64_lt(r, b);
        r = select(r, i64_sub(r, b), more);
        q = i64_add(q, vec2<u32>(u32(more), 0u));
    }
    return vec2<u32>(q.x | select(1u, 0u, i64_is_zero(r)), q.y);
}

fn f64_div(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let sign = (a.y ^ b.y) & 0x80000000u;
    let am = a.y & 0x7fffffffu;
    let bm = b.y & 0x7fffffffu;
    let p = f64_unpack(a);
    let q = f64_unpack(b);
    // Where a's significand is the smaller one it is doubled: the quotient is in [1, 2).
    let small = u64_lt(p.xy, q.xy);
    let n = select(p.xy, vec2<u32>(p.x << 1u, (p.y << 1u) | (p.x >> 31u)), small);
    let v = f64_div_significands(n, q.xy);
    let sig = vec2<u32>(v.x << 7u, (v.y << 7u) | (v.x >> 25u));
    var r = f64_round_pack(sign, p.z + 1023u - q.z - u32(small), sig);
    let zero_a = (am | a.x) == 0u;
    let zero_b = (bm | b.x) == 0u;
    let high_a = am >= 0x7ff00000u;
    let high_b = bm >= 0x7ff00000u;
    r = select(r, vec2<u32>(0u, sign), zero_a || high_b);
    r = select(r, vec2<u32>(0u, 0x7ff00000u | sign), zero_b || high_a);
    let nan = (zero_a && zero_b) || (high_a && high_b) || f64_is_nan(a) || f64_is_nan(b);
    return select(r, F64_NAN, nan);
}

// Below 2^32 / sqrt(x / 2^30), x >= 2^30, by no more than 8 parts in 2^31.
fn f64_reciprocal_sqrt(x: u32) -> u32 {
    // A straight line on [1, 2) and one on [2, 4), right to 1 part in 44, and three steps of Newton:
    // y' = y (3 - x y^2) / 2, whose error is 1.5 times the square of y's and makes y' too small.
    let wide = x >= 0x80000000u;
    // The first line starts at 1.26: what is above 1 wraps away here and comes back in the difference.
    let start = select(0x43b2f786u, 0xe4e3cb52u, wide);
    var y = start - (u32_mul_high(x, select(0x4954c247u, 0x19ed2c2du, wide)) << 2u);
    for (var i = 0u; i < 3u; i++) {
        // Two below 3, for what the two products have lost.
        y = u32_mul_high(y, 0xbffffffeu - u32_mul_high(x, u32_mul_high(y, y))) << 1u;
    }
    return y - 2u;
}

// sqrt(m) for 2^52 <= m < 2^54, as 55 bits; the lowest bit is also set if it is not exact.
fn f64_sqrt_significand(m: vec2<u32>) -> vec2<u32> {
    let x = (m.y << 10u) | (m.x >> 22u);
    let y = f64_reciprocal_sqrt(x);
    // 29 bits, below sqrt(16 m) by less than 3.3; then 26 more from what is left of 16 m, which fits a word.
    let r1 = u32_mul_high(x, y) >> 2u;
    let r2 = u32_mul_high((m.x << 4u) - r1 * r1, y) >> 3u;
    var r = i64_add(vec2<u32>(r1 << 26u, r1 >> 6u), vec2<u32>(r2, 0u));
    // 2^56 m - r^2 mod 2^64; the root is right or at most 2 too small.
    let p = u32_mul_wide(r.x, r.x);
    var rest = i64_sub(vec2<u32>(0u, m.x << 24u), vec2<u32>(p.x, p.y + ((r.x * r.y) << 1u)));
    for (var i = 0u; i < 2u; i++) {
        let twice = vec2<u32>(r.x << 1u, (r.y << 1u) | (r.x >> 31u));
        let more = u64_lt(twice, rest);
        rest = select(rest, i64_sub(rest, vec2<u32>(twice.x | 1u, twice.y)), more);
        r = i64_add(r, vec2<u32>(u32(more), 0u));
    }
    return vec2<u32>(r.x | select(1u, 0u, i64_is_zero(rest)), r.y);
}

fn f64_sqrt(a: vec2<u32>) -> vec2<u32> {
    let p = f64_unpack(a);
    // An even power of two goes out of the root, an odd one leaves a factor of 2 inside.
    let odd = (p.z & 1u) == 0u;
    let m = select(p.xy, vec2<u32>(p.x << 1u, (p.y << 1u) | (p.x >> 31u)), odd);
    let v = f64_sqrt_significand(m);
    let e = u32((i32(p.z) - 1023) >> 1u) + 1023u;
    let r = f64_pack(0u, e, vec2<u32>(v.x << 8u, (v.y << 8u) | (v.x >> 24u)));
    let same = f64_is_zero(a) || i64_eq(a, F64_INF);
    let nan = !same && (a.y >= 0x7ff00000u);
    return select(select(r, a, same), F64_NAN, nan);
}

// The remainder of long division, 16 bits of the quotient at a time: at most 132 steps.
fn f64_rem(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let am = vec2<u32>(a.x, a.y & 0x7fffffffu);
    let bm = vec2<u32>(b.x, b.y & 0x7fffffffu);
    if (am.y >= 0x7ff00000u || u64_lt(F64_INF, bm) || i64_is_zero(bm)) {
        return F64_NAN;
    }
    if (u64_lt(am, bm)) {
        return a;
    }
    let p = f64_unpack(am);
    let q = f64_unpack(bm);
    let d = u64_shl(q.xy, 11u);
    var r = u64_shl(p.xy, 11u);
    r = select(r, i64_sub(r, d), !u64_lt(r, d));
    var left = p.z - q.z;
    while (left > 0u && !i64_is_zero(r)) {
        let n = min(left, 16u);
        let t = u64_div_step(vec3<u32>(r.x << n, (r.y << n) | (r.x >> (32u - n)), r.y >> (32u - n)), d);
        r = t.xy;
        left -= n;
    }
    // The remainder is a multiple of the smaller of the two last places: nothing is rounded.
    let s = u64_clz(r);
    let sign = a.y & 0x80000000u;
    let v = f64_round_pack(sign, q.z - s, u64_shr(u64_shl(r, s & 63u), 1u));
    return select(v, vec2<u32>(0u, sign), i64_is_zero(r));
}

fn f64_neg(a: vec2<u32>) -> vec2<u32> {
    return select(vec2<u32>(a.x, a.y ^ 0x80000000u), F64_NAN, f64_is_nan(a));
}

fn f64_abs(a: vec2<u32>) -> vec2<u32> {
    return select(vec2<u32>(a.x, a.y & 0x7fffffffu), F64_NAN, f64_is_nan(a));
}

// Cuts the fraction off after adding a part of one: nothing, a half, or all but the last place.
fn f64_to_integer(a: vec2<u32>, mode: u32) -> vec2<u32> {
    let e = (a.y >> 20u) & 0x7ffu;
    let sign = a.y & 0x80000000u;
    let up = (mode == ROUND_CEIL && sign == 0u) || (mode == ROUND_FLOOR && sign != 0u);
    // Below 1 in magnitude: 0 or 1.
    let one = (up && !f64_is_zero(a)) || (mode == ROUND_HALF_AWAY && e == 1022u);
    let tiny = vec2<u32>(0u, sign | select(0u, 0x3ff00000u, one));
    // The places of the fraction; the sum may carry into the exponent, as it should.
    let n = 1075u - clamp(e, 1023u, 1075u);
    let mask = i64_sub(u64_shl(vec2<u32>(1u, 0u), n), vec2<u32>(1u, 0u));
    let half = vec2<u32>(mask.x ^ (mask.x >> 1u) ^ (mask.y << 31u), mask.y ^ (mask.y >> 1u));
    let zero = vec2<u32>(0u, 0u);
    let part = select(select(zero, half, mode == ROUND_HALF_AWAY), mask, up);
    let s = i64_add(a, part);
    let v = select(vec2<u32>(s.x & ~mask.x, s.y & ~mask.y), tiny, e < 1023u);
    return select(v, F64_NAN, f64_is_nan(a));
}

fn f64_floor(a: vec2<u32>) -> vec2<u32> {
    return f64_to_integer(a, ROUND_FLOOR);
}

fn f64_ceil(a: vec2<u32>) -> vec2<u32> {
    return f64_to_integer(a, ROUND_CEIL);
}

fn f64_trunc(a: vec2<u32>) -> vec2<u32> {
    return f64_to_integer(a, ROUND_TRUNC);
}

fn f64_round(a: vec2<u32>) -> vec2<u32> {
    return f64_to_integer(a, ROUND_HALF_AWAY);
}

fn f64_round_f32(a: vec2<u32>) -> vec2<u32> {
    let e = (a.y >> 20u) & 0x7ffu;
    let sign = a.y & 0x80000000u;
    // 926 - 897 = 29 places go, and more below the smallest normal binary32, 2^-126; all 53 below 2^-149.
    let n = 926u - clamp(e, 873u, 897u);
    let unit = u64_shl(vec2<u32>(1u, 0u), n);
    let mask = i64_sub(unit, vec2<u32>(1u, 0u));
    // At 2^-149 the last place kept is the leading one.
    let odd = select(u64_shr(a, n).x & 1u, 1u, n == 52u);
    // Half a unit less one, and one more where the last place kept is odd.
    let s = i64_add(a, i64_add(u64_shr(mask, 1u), vec2<u32>(odd, 0u)));
    var v = vec2<u32>(s.x & ~mask.x, s.y & ~mask.y);
    // From 2^-150 (a tie, which goes to 0) to 2^-149.
    let last = e == 873u && (a.x | (a.y & 0xfffffu)) != 0u;
    v = select(v, vec2<u32>(0u, sign | select(0u, 0x36a00000u, last)), e <= 873u);
    v = select(v, vec2<u32>(0u, sign | 0x7ff00000u), (v.y & 0x7fffffffu) >= 0x47f00000u);
    return select(v, F64_NAN, f64_is_nan(a));
}

fn f64_canonical(a: vec2<u32>) -> vec2<u32> {
    let v = select(a, vec2<u32>(0u, 0u), f64_is_zero(a));
    return select(v, F64_NAN, f64_is_nan(a));
}

fn f64_key(a: vec2<u32>) -> vec2<u32> {
    let v = select(a, F64_NAN, f64_is_nan(a));
    let flip = select(0u, 0xffffffffu, i64_is_neg(v));
    return vec2<u32>(v.x ^ flip, v.y ^ (flip | 0x80000000u));
}

fn f64_from_key(k: vec2<u32>) -> vec2<u32> {
    let flip = select(0xffffffffu, 0u, i64_is_neg(k));
    return vec2<u32>(k.x ^ flip, k.y ^ (flip | 0x80000000u));
}

fn f64_eq(a: vec2<u32>, b: vec2<u32>) -> bool {
    return i64_eq(f64_canonical(a), f64_canonical(b));
}

fn f64_lt(a: vec2<u32>, b: vec2<u32>) -> bool {
    return u64_lt(f64_key(f64_canonical(a)), f64_key(f64_canonical(b)));
}

fn f64_le(a: vec2<u32>, b: vec2<u32>) -> bool {
    return !f64_lt(b, a);
}

fn f64_from_f32(a: u32) -> vec2<u32> {
    let sign = a & 0x80000000u;
    let m = a & 0x7fffffffu;
    // A subnormal's leading one goes to bit 23; its exponent is 897 - s, and the leading one adds 1.
    let s = countLeadingZeros(m) - 8u;
    let n = m << (s & 31u);
    let tiny = vec2<u32>(n << 29u, (n >> 3u) + ((896u - s) << 20u));
    let v = select(vec2<u32>(m << 29u, (m >> 3u) + 0x38000000u), tiny, m < 0x800000u);
    var r = vec2<u32>(v.x, v.y | sign);
    r = select(r, vec2<u32>(0u, sign), m == 0u);
    r = select(r, vec2<u32>(0u, 0x7ff00000u | sign), m == 0x7f800000u);
    return select(r, F64_NAN, m > 0x7f800000u);
}

fn f64_from_u64(a: vec2<u32>) -> vec2<u32> {
    let s = u64_clz(a);
    let v = f64_pack(0u, 1086u - s, u64_shr_jam(u64_shl(a, s & 63u), 1u));
    return select(v, vec2<u32>(0u, 0u), i64_is_zero(a));
}

fn f64_from_i64(a: vec2<u32>) -> vec2<u32> {
    let v = f64_from_u64(i64_abs(a));
    return vec2<u32>(v.x, v.y | (a.y & 0x80000000u));
}

fn f64_from_i128(a: vec4<u32>) -> vec2<u32> {
    let m = i128_abs(a);
    let s = u128_clz(m);
    let n = u128_shl(m, s);
    let low = u32((n.x | n.y) != 0u);
    let v = f64_pack(a.w & 0x80000000u, 1150u - s, u64_shr_jam(vec2<u32>(n.z | low, n.w), 1u));
    return select(v, vec2<u32>(0u, 0u), i128_is_zero(a));
}

fn f64_from_decimal(a: vec4<u32>, scale: u32) -> vec2<u32> {
    let m = i128_abs(a);
    let ten = i128_pow10(scale);
    let sa = u128_clz(m);
    let sd = u128_clz(ten);
    let n = u128_shl(m, sa);
    let d = u128_shl(ten, sd);
    // n / d is in (1/2, 2): its bit before the point, then 64 bits behind it.
    let one = !u128_lt(n, d);
    var r = select(n, i128_sub(n, d), one);
    var q = vec2<u32>(0u, 0u);
    for (var i = 0u; i < 4u; i++) {
        let t = u128_div_step(r, 0u, d);
        r = t.lo;
        q = vec2<u32>((q.x << 16u) | t.hi.x, (q.y << 16u) | (q.x >> 16u));
    }
    q.x |= select(1u, 0u, i128_is_zero(r));
    var sig = u64_shr_jam(q, select(1u, 2u, one));
    sig.y |= select(0u, 0x40000000u, one);
    let e = 1022u + sd - sa + u32(one);
    let v = f64_pack(a.w & 0x80000000u, e, sig);
    return select(v, vec2<u32>(0u, 0u), i128_is_zero(a));
}

fn f64_to_i64_checked(a: vec2<u32>) -> I64Result {
    let e = (a.y >> 20u) & 0x7ffu;
    let negative = i64_is_neg(a);
    let f = vec2<u32>(a.x, (a.y & 0xfffffu) | (min(e, 1u) << 20u));
    // Ten places of fraction below 2^53, where there is one to round.
    let t = u64_shr_jam(u64_shl(f, 10u), min(1075u - min(e, 1075u), 63u));
    let lo = (t.x >> 10u) | (t.y << 22u);
    let up = ((t.x & 0x3ffu) + 0x1ffu + (lo & 1u)) >> 10u;
    let rounded = i64_add(vec2<u32>(lo, t.y >> 10u), vec2<u32>(up, 0u));
    let m = u64_shl(rounded, min(max(e, 1075u) - 1075u, 11u));
    let least = negative && e == 1086u && (f.x | (f.y & 0xfffffu)) == 0u;
    return I64Result(select(m, i64_neg(m), negative), e < 1086u || least);
}

fn f64_to_i128_checked(a: vec2<u32>, scale: u32) -> I128Result {
    let e = (a.y >> 20u) & 0x7ffu;
    let f = vec4<u32>(a.x, (a.y & 0xfffffu) | (min(e, 1u) << 20u), 0u, 0u);
    let p = u128_mul_wide(f, i128_pow10(scale));
    let zero = vec4<u32>(0u, 0u, 0u, 0u);
    let x = max(e, 1u);
    // The product times 2^(x - 1075). Up: if it stays below 2^127.
    let left = max(x, 1075u) - 1075u;
    let up_fits = i128_is_zero(p.hi) && left < u128_clz(p.lo);
    let up = u128_shl(p.lo, min(left, 127u));
    // Down: to one place of fraction; of the 180 bits of p none is left after 182.
    let right = min(max(1075u - min(x, 1075u), 1u) - 1u, 255u);
    let near = u128_shr(p.lo, right);
    let next = select(u128_shl(p.hi, 128u - right), zero, right == 0u || right > 127u);
    let far = u128_shr(p.hi, right & 127u);
    let big = right > 127u;
    let t = select(vec4<u32>(near.x | next.x, near.y | next.y, near.z | next.z, near.w | next.w), far, big);
    let down_fits = big || i128_is_zero(far);
    // Whether nothing but zeros lies below that place.
    let kept = u128_shl(select(near, far, big), right & 127u);
    let exact = i128_eq(kept, select(p.lo, p.hi, big)) && (!big || i128_is_zero(p.lo));
    let odd = select((t.x >> 1u) | 1u, t.x >> 1u, exact);
    let down = i128_add(u128_shr(t, 1u), vec4<u32>(t.x & odd & 1u, 0u, 0u, 0u));
    let whole = x >= 1075u;
    let m = select(down, up, whole);
    let fits = select(down_fits, up_fits, whole) && e < 0x7ffu && i128_in_38_digits(m);
    return I128Result(select(m, i128_neg(m), i64_is_neg(a)), fits);
}
