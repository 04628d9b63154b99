// 128-bit integers on u32 words, for UInt64 and decimals.
//
// A value is vec4<u32>: x = lowest word, w = highest; i128_* read it as two's complement, u128_* as unsigned.
// The *_checked forms are for decimals of at most 38 digits: `ok` says that the true result lies within +-(10^38 - 1)
// (v is meaningless where it does not); their operands must lie within that range too.
// The twin, line for line, is src/kernel/i128.rs. Needs i64.wgsl.
//
//   struct I128Result { v: vec4<u32>, ok: bool }          struct U256 { lo: vec4<u32>, hi: vec4<u32> }
//
//   u128_lt(a, b) -> bool           u128_clz(a) -> u32    u128_shl(a, n: u32), u128_shr(a, n: u32)   n < 128
//   u128_mul_wide(a, b) -> U256     u128_div_step(r, digit: u32, d) -> U256   r < d, d >= 2^127, digit < 2^16:
//                                   lo = remainder of (r * 2^16 + digit) / d, hi.x = 16-bit quotient
//   u128_divrem(n, d) -> U256       d != 0: lo = quotient, hi = remainder
//
//   i128_from_i64(a: vec2<u32>)     i128_from_u64(a: vec2<u32>)               i128_to_i64_checked(a) -> I64Result
//   i128_key(a)                     words that order as unsigned (w first); its own inverse
//   i128_add(a, b)  i128_sub(a, b)  i128_neg(a)  i128_abs(a)
//   i128_eq(a, b)   i128_lt(a, b)   i128_le(a, b) -> bool i128_is_zero(a) -> bool    i128_is_neg(a) -> bool
//   i128_in_38_digits(a) -> bool    i128_pow10(k: u32)    k <= 38
//   i128_add_checked(a, b)  i128_sub_checked(a, b)        i128_mul_checked(a, b)
//   i128_div_checked(a, b)  truncates; not ok for b = 0   i128_rem_checked(a, b)  has the sign of a
//   i128_mul_pow10_checked(a, k: u32)                     a * 10^k, k <= 38
//   i128_div_pow10(a, k: u32, mode: u32)                  a / 10^k to an integer, k <= 38; mode is one of
//       ROUND_TRUNC (0)  ROUND_HALF_AWAY (1)  ROUND_FLOOR (2)  ROUND_CEIL (3)  ROUND_HALF_EVEN (4)

struct I128Result {
    v: vec4<u32>,
    ok: bool,
}

struct U256 {
    lo: vec4<u32>,
    hi: vec4<u32>,
}

const ROUND_TRUNC: u32 = 0u;
const ROUND_HALF_AWAY: u32 = 1u;
const ROUND_FLOOR: u32 = 2u;
const ROUND_CEIL: u32 = 3u;
const ROUND_HALF_EVEN: u32 = 4u;

fn u128_lt(a: vec4<u32>, b: vec4<u32>) -> bool {
    let same = a.z == b.z && a.w == b.w;
    return u64_lt(select(a.zw, a.xy, same), select(b.zw, b.xy, same));
}

fn u128_clz(a: vec4<u32>) -> u32 {
    let low = (a.z | a.w) == 0u;
    return u64_clz(select(a.zw, a.xy, low)) + select(0u, 64u, low);
}

fn u128_shl(a: vec4<u32>, n: u32) -> vec4<u32> {
    let zero = vec4<u32>(0u, 0u, 0u, 0u);
    var v = select(a, vec4<u32>(0u, 0u, a.x, a.y), (n & 64u) != 0u);
    v = select(v, vec4<u32>(0u, v.x, v.y, v.z), (n & 32u) != 0u);
    let m = n & 31u;
    let r = 31u - m;
    v = vec4<u32>(
        v.x << m,
        (v.y << m) | ((v.x >> 1u) >> r),
        (v.z << m) | ((v.y >> 1u) >> r),
        (v.w << m) | ((v.z >> 1u) >> r),
    );
    return select(v, zero, n > 127u);
}

fn u128_shr(a: vec4<u32>, n: u32) -> vec4<u32> {
    let zero = vec4<u32>(0u, 0u, 0u, 0u);
    var v = select(a, vec4<u32>(a.z, a.w, 0u, 0u), (n & 64u) != 0u);
    v = select(v, vec4<u32>(v.y, v.z, v.w, 0u), (n & 32u) != 0u);
    let m = n & 31u;
    let r = 31u - m;
    v = vec4<u32>(
        (v.x >> m) | ((v.y << 1u) << r),
        (v.y >> m) | ((v.z << 1u) << r),
        (v.z >> m) | ((v.w << 1u) << r),
        v.w >> m,
    );
    return select(v, zero, n > 127u);
}

// a * word + add, in five words: lo, and hi.x.
fn u128_mul_word(a: vec4<u32>, word: u32, add: vec4<u32>) -> U256 {
    // No word pair overflows: (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1.
    let p0 = i64_add(u32_mul_wide(a.x, word), vec2<u32>(add.x, 0u));
    let p1 = i64_add(i64_add(u32_mul_wide(a.y, word), vec2<u32>(add.y, 0u)), vec2<u32>(p0.y, 0u));
    let p2 = i64_add(i64_add(u32_mul_wide(a.z, word), vec2<u32>(add.z, 0u)), vec2<u32>(p1.y, 0u));
    let p3 = i64_add(i64_add(u32_mul_wide(a.w, word), vec2<u32>(add.w, 0u)), vec2<u32>(p2.y, 0u));
    return U256(vec4<u32>(p0.x, p1.x, p2.x, p3.x), vec4<u32>(p3.y, 0u, 0u, 0u));
}

// The words of b pass by; hi slides down into lo, so that nothing is indexed.
fn u128_mul_wide(a: vec4<u32>, b: vec4<u32>) -> U256 {
    var hi = vec4<u32>(0u, 0u, 0u, 0u);
    var lo = b;
    for (var i = 0u; i < 4u; i++) {
        let p = u128_mul_word(a, lo.x, hi);
        lo = vec4<u32>(lo.y, lo.z, lo.w, p.lo.x);
        hi = vec4<u32>(p.lo.y, p.lo.z, p.lo.w, p.hi.x);
    }
    return U256(lo, hi);
}

// As u64_div_step: the guessed digit is right or at most 2 too high, and d is added back where it was.
fn u128_div_step(r: vec4<u32>, digit: u32, d: vec4<u32>) -> U256 {
    var q = min(r.w / (d.w >> 16u), 0xffffu);
    let n = vec4<u32>((r.x << 16u) | digit, (r.y << 16u) | (r.x >> 16u), (r.z << 16u) | (r.y >> 16u), (r.w << 16u) | (r.z >> 16u));
    let zero = vec4<u32>(0u, 0u, 0u, 0u);
    let p = u128_mul_word(d, q, zero);
    var v = i128_sub(n, p.lo);
    var top = (r.w >> 16u) - p.hi.x - u32(u128_lt(n, p.lo));
    for (var i = 0u; i < 2u; i++) {
        let back = top != 0u;
        let s = i128_add(v, d);
        top = select(top, top + u32(u128_lt(s, d)), back);
        q = select(q, q - 1u, back);
        v = select(v, s, back);
    }
    return U256(v, vec4<u32>(q, 0u, 0u, 0u));
}

fn u128_divrem(n: vec4<u32>, d: vec4<u32>) -> U256 {
    let s = u128_clz(d);
    // The quotient has at most clz(d) - clz(n) + 1 bits: that many digits are worked out.
    let digits = (max(s + 1u, u128_clz(n)) - u128_clz(n) + 15u) / 16u;
    let bits = 16u * digits;
    let e = u128_shl(d, s);
    // n 2^s = r 2^bits + (low's upper digits): r < e, for the quotient is below 2^bits.
    var r = u128_shr(n, max(bits, s) - s);
    r = u128_shl(r, s - min(bits, s));
    var low = select(vec4<u32>(0u, 0u, 0u, 0u), u128_shl(n, 128u + s - bits), bits > s);
    var q = vec4<u32>(0u, 0u, 0u, 0u);
    for (var i = 0u; i < digits; i++) {
        let t = u128_div_step(r, low.w >> 16u, e);
        r = t.lo;
        q = u128_shl(q, 16u);
        q.x |= t.hi.x;
        low = u128_shl(low, 16u);
    }
    return U256(q, u128_shr(r, s));
}

fn i128_from_i64(a: vec2<u32>) -> vec4<u32> {
    let fill = select(0u, 0xffffffffu, i64_is_neg(a));
    return vec4<u32>(a.x, a.y, fill, fill);
}

fn i128_from_u64(a: vec2<u32>) -> vec4<u32> {
    return vec4<u32>(a.x, a.y, 0u, 0u);
}

fn i128_to_i64_checked(a: vec4<u32>) -> I64Result {
    return I64Result(a.xy, i128_eq(a, i128_from_i64(a.xy)));
}

fn i128_key(a: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(a.x, a.y, a.z, a.w ^ 0x80000000u);
}

fn i128_add(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    let lo = i64_add(a.xy, b.xy);
    let hi = i64_add(i64_add(a.zw, b.zw), vec2<u32>(u32(u64_lt(lo, a.xy)), 0u));
    return vec4<u32>(lo.x, lo.y, hi.x, hi.y);
}

fn i128_sub(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    let lo = i64_sub(a.xy, b.xy);
    let hi = i64_sub(i64_sub(a.zw, b.zw), vec2<u32>(u32(u64_lt(a.xy, b.xy)), 0u));
    return vec4<u32>(lo.x, lo.y, hi.x, hi.y);
}

fn i128_neg(a: vec4<u32>) -> vec4<u32> {
    return i128_sub(vec4<u32>(0u, 0u, 0u, 0u), a);
}

fn i128_abs(a: vec4<u32>) -> vec4<u32> {
    return select(a, i128_neg(a), i128_is_neg(a));
}

fn i128_eq(a: vec4<u32>, b: vec4<u32>) -> bool {
    return a.x == b.x && a.y == b.y && a.z == b.z && a.w == b.w;
}

fn i128_lt(a: vec4<u32>, b: vec4<u32>) -> bool {
    return u128_lt(i128_key(a), i128_key(b));
}

fn i128_le(a: vec4<u32>, b: vec4<u32>) -> bool {
    return !u128_lt(i128_key(b), i128_key(a));
}

fn i128_is_zero(a: vec4<u32>) -> bool {
    return (a.x | a.y | a.z | a.w) == 0u;
}

fn i128_is_neg(a: vec4<u32>) -> bool {
    return a.w >= 0x80000000u;
}

fn i128_in_38_digits(a: vec4<u32>) -> bool {
    // 10^38, which also bounds the magnitude of -2^127.
    return u128_lt(i128_abs(a), vec4<u32>(0u, 0x098a2240u, 0x5a86c47au, 0x4b3b4ca8u));
}

fn i128_pow10(k: u32) -> vec4<u32> {
    var v = vec4<u32>(1u, 0u, 0u, 0u);
    let zero = vec4<u32>(0u, 0u, 0u, 0u);
    var rest = min(k, 38u);
    // 10^9 is the largest power in one word.
    while (rest > 0u) {
        let step = min(rest, 9u);
        var ten = 1u;
        for (var i = 0u; i < step; i++) {
            ten *= 10u;
        }
        v = u128_mul_word(v, ten, zero).lo;
        rest -= step;
    }
    return v;
}

// |a|, |b| < 10^38 < 2^127: the wrapped sum is below 2^128 in magnitude, and its sign tells an overflow.
fn i128_add_checked(a: vec4<u32>, b: vec4<u32>) -> I128Result {
    let v = i128_add(a, b);
    let wrapped = i128_is_neg(a) == i128_is_neg(b) && i128_is_neg(v) != i128_is_neg(a);
    return I128Result(v, !wrapped && i128_in_38_digits(v));
}

fn i128_sub_checked(a: vec4<u32>, b: vec4<u32>) -> I128Result {
    return i128_add_checked(a, i128_neg(b));
}

fn i128_mul_checked(a: vec4<u32>, b: vec4<u32>) -> I128Result {
    let p = u128_mul_wide(i128_abs(a), i128_abs(b));
    let ok = i128_is_zero(p.hi) && !i128_is_neg(p.lo) && i128_in_38_digits(p.lo);
    return I128Result(select(p.lo, i128_neg(p.lo), i128_is_neg(a) != i128_is_neg(b)), ok);
}

fn i128_div_checked(a: vec4<u32>, b: vec4<u32>) -> I128Result {
    let zero = i128_is_zero(b);
    let d = select(i128_abs(b), vec4<u32>(1u, 0u, 0u, 0u), zero);
    let q = u128_divrem(i128_abs(a), d).lo;
    return I128Result(select(q, i128_neg(q), i128_is_neg(a) != i128_is_neg(b)), !zero);
}

fn i128_rem_checked(a: vec4<u32>, b: vec4<u32>) -> I128Result {
    let zero = i128_is_zero(b);
    let d = select(i128_abs(b), vec4<u32>(1u, 0u, 0u, 0u), zero);
    let r = u128_divrem(i128_abs(a), d).hi;
    return I128Result(select(r, i128_neg(r), i128_is_neg(a)), !zero);
}

fn i128_mul_pow10_checked(a: vec4<u32>, k: u32) -> I128Result {
    return i128_mul_checked(a, i128_pow10(k));
}

fn i128_div_pow10(a: vec4<u32>, k: u32, mode: u32) -> vec4<u32> {
    let negative = i128_is_neg(a);
    let d = i128_pow10(k);
    let t = u128_divrem(i128_abs(a), d);
    // The remainder against d - remainder, so that nothing is doubled past 128 bits.
    let rest = i128_sub(d, t.hi);
    let more = u128_lt(rest, t.hi);
    let half = i128_eq(rest, t.hi);
    let inexact = !i128_is_zero(t.hi);
    let up = (mode == ROUND_HALF_AWAY && (more || half))
        || (mode == ROUND_HALF_EVEN && (more || (half && (t.lo.x & 1u) == 1u)))
        || (mode == ROUND_FLOOR && negative && inexact)
        || (mode == ROUND_CEIL && !negative && inexact);
    let q = i128_add(t.lo, vec4<u32>(u32(up), 0u, 0u, 0u));
    return select(q, i128_neg(q), negative);
}
