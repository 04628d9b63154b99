// 64-bit integers on u32 words, for devices that have no wider type.
//
// A value is vec2<u32>: x = low word, y = high word; i64_* read it as two's complement, u64_* as unsigned.
// Arithmetic wraps; the *_checked forms say in `ok` whether the true result fits (v is meaningless where it does not).
// The twin, line for line, is src/kernel/i64.rs. Needs no other file.
//
//   struct I64Result { v: vec2<u32>, ok: bool }
//
//   u32_mul_wide(a: u32, b: u32) -> vec2<u32>             u32_mul_high(a: u32, b: u32) -> u32
//   u32_mul_small(a: u32, b: u32) -> vec2<u32>            b < 2^16
//
//   u64_lt(a, b) -> bool            u64_clz(a) -> u32     u64_shl(a, n: u32), u64_shr(a, n: u32)   n < 64
//   u64_shr_jam(a, n: u32)          n < 64; the lowest bit of the result is also set if a one was shifted out
//   u64_div_step(n: vec3<u32>, d) -> vec3<u32>            n < d * 2^16, d >= 2^63: (remainder, 16-bit quotient)
//   u64_divrem(n, d) -> vec4<u32>                         d != 0: (quotient, remainder)
//
//   i64_from_u32(a: u32)            i64_from_i32(a: i32)  i64_key(a)   words that order as unsigned; its own inverse
//   i64_add(a, b)  i64_sub(a, b)    i64_mul(a, b)         i64_neg(a)   i64_abs(a)   i64_shr(a, n: u32)   n < 64
//   i64_eq(a, b)   i64_lt(a, b)     i64_le(a, b) -> bool  i64_is_zero(a) -> bool    i64_is_neg(a) -> bool
//   i64_add_checked(a, b)  i64_sub_checked(a, b)  i64_mul_checked(a, b)  i64_neg_checked(a)  i64_abs_checked(a)
//   i64_div_checked(a, b)  truncates; not ok for b = 0 and for -2^63 / -1
//   i64_rem_checked(a, b)  has the sign of a; not ok for b = 0 (-2^63 % -1 is 0)
//   i64_divmod_floor(a, b) -> vec4<u32>                   b > 0: (floor(a / b), a - b floor(a / b))

struct I64Result {
    v: vec2<u32>,
    ok: bool,
}

// The whole product of two words, from four 16-bit partial products: WGSL has no high multiply.
fn u32_mul_wide(a: u32, b: u32) -> vec2<u32> {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let low = al * bl;
    let cross = ah * bl;
    // At most 2 (2^16 - 1) + (2^16 - 1)^2 = 2^32 - 1: no carry is lost.
    let mid = al * bh + (low >> 16u) + (cross & 0xffffu);
    return vec2<u32>((mid << 16u) | (low & 0xffffu), ah * bh + (mid >> 16u) + (cross >> 16u));
}

fn u32_mul_high(a: u32, b: u32) -> u32 {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let cross = ah * bl;
    let mid = al * bh + ((al * bl) >> 16u) + (cross & 0xffffu);
    return ah * bh + (mid >> 16u) + (cross >> 16u);
}

// The whole product of a word and a half word.
fn u32_mul_small(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * b;
    let high = (a >> 16u) * b + (low >> 16u);
    return vec2<u32>((high << 16u) | (low & 0xffffu), high >> 16u);
}

fn u64_lt(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn u64_clz(a: vec2<u32>) -> u32 {
    let low = a.y == 0u;
    return countLeadingZeros(select(a.y, a.x, low)) + select(0u, 32u, low);
}

fn u64_shl(a: vec2<u32>, n: u32) -> vec2<u32> {
    let far = n >= 32u;
    let lo = select(a.x, 0u, far);
    let hi = select(a.y, a.x, far);
    let m = n & 31u;
    return vec2<u32>(lo << m, (hi << m) | ((lo >> 1u) >> (31u - m)));
}

fn u64_shr(a: vec2<u32>, n: u32) -> vec2<u32> {
    let far = n >= 32u;
    let lo = select(a.x, a.y, far);
    let hi = select(a.y, 0u, far);
    let m = n & 31u;
    return vec2<u32>((lo >> m) | ((hi << 1u) << (31u - m)), hi >> m);
}

fn u64_shr_jam(a: vec2<u32>, n: u32) -> vec2<u32> {
    let far = n >= 32u;
    let lo = select(a.x, a.y, far);
    let hi = select(a.y, 0u, far);
    let m = n & 31u;
    let lost = (lo & ((1u << m) - 1u)) | select(0u, a.x, far);
    return vec2<u32>((lo >> m) | ((hi << 1u) << (31u - m)) | u32(lost != 0u), hi >> m);
}

// One digit of a long division to base 2^16 (Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D).
// The digit guessed from the top 32 bits of n and the top 16 of d is right or at most 2 too high.
fn u64_div_step(n: vec3<u32>, d: vec2<u32>) -> vec3<u32> {
    var q = min(((n.z << 16u) | (n.y >> 16u)) / (d.y >> 16u), 0xffffu);
    let p0 = u32_mul_small(d.x, q);
    let p1 = u32_mul_small(d.y, q);
    let mid = p0.y + p1.x;
    let x = n.x - p0.x;
    let borrow = u32(n.x < p0.x);
    var r = vec2<u32>(x, n.y - mid - borrow);
    // The third word of n - q d: negative while the digit is too high, 0 when it is right.
    var z = n.z - p1.y - u32(mid < p1.x) - u32(n.y < mid || (n.y == mid && borrow != 0u));
    for (var i = 0u; i < 2u; i++) {
        let back = z != 0u;
        let s = i64_add(r, d);
        z = select(z, z + u32(u64_lt(s, d)), back);
        q = select(q, q - 1u, back);
        r = select(r, s, back);
    }
    return vec3<u32>(r.x, r.y, q);
}

fn u64_divrem(n: vec2<u32>, d: vec2<u32>) -> vec4<u32> {
    if ((n.y | d.y) == 0u) {
        return vec4<u32>(n.x / d.x, 0u, n.x % d.x, 0u);
    }
    let s = u64_clz(d);
    let e = u64_shl(d, s);
    // n * 2^s in 128 bits: the high half starts as the remainder, the low half feeds the digits.
    var r = u64_shr(u64_shr(n, 63u - s), 1u);
    var low = u64_shl(n, s);
    var q = vec2<u32>(0u, 0u);
    for (var i = 0u; i < 4u; i++) {
        let t = u64_div_step(vec3<u32>((r.x << 16u) | (low.y >> 16u), (r.y << 16u) | (r.x >> 16u), r.y >> 16u), e);
        r = t.xy;
        q = vec2<u32>((q.x << 16u) | t.z, (q.y << 16u) | (q.x >> 16u));
        low = vec2<u32>(low.x << 16u, (low.y << 16u) | (low.x >> 16u));
    }
    r = u64_shr(r, s);
    return vec4<u32>(q.x, q.y, r.x, r.y);
}

fn i64_from_u32(a: u32) -> vec2<u32> {
    return vec2<u32>(a, 0u);
}

fn i64_from_i32(a: i32) -> vec2<u32> {
    return vec2<u32>(u32(a), u32(a >> 31u));
}

fn i64_key(a: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x, a.y ^ 0x80000000u);
}

fn i64_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let lo = a.x + b.x;
    return vec2<u32>(lo, a.y + b.y + u32(lo < a.x));
}

fn i64_sub(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x - b.x, a.y - b.y - u32(a.x < b.x));
}

fn i64_mul(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let p = u32_mul_wide(a.x, b.x);
    return vec2<u32>(p.x, p.y + a.x * b.y + a.y * b.x);
}

fn i64_neg(a: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(0u - a.x, 0u - a.y - u32(a.x != 0u));
}

fn i64_abs(a: vec2<u32>) -> vec2<u32> {
    return select(a, i64_neg(a), i64_is_neg(a));
}

fn i64_shr(a: vec2<u32>, n: u32) -> vec2<u32> {
    let fill = select(0u, 0xffffffffu, i64_is_neg(a));
    let s = u64_shr(vec2<u32>(a.x ^ fill, a.y ^ fill), n);
    return vec2<u32>(s.x ^ fill, s.y ^ fill);
}

fn i64_eq(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x == b.x && a.y == b.y;
}

fn i64_lt(a: vec2<u32>, b: vec2<u32>) -> bool {
    return u64_lt(i64_key(a), i64_key(b));
}

fn i64_le(a: vec2<u32>, b: vec2<u32>) -> bool {
    return !u64_lt(i64_key(b), i64_key(a));
}

fn i64_is_zero(a: vec2<u32>) -> bool {
    return (a.x | a.y) == 0u;
}

fn i64_is_neg(a: vec2<u32>) -> bool {
    return a.y >= 0x80000000u;
}

fn i64_add_checked(a: vec2<u32>, b: vec2<u32>) -> I64Result {
    let v = i64_add(a, b);
    return I64Result(v, ((v.y ^ a.y) & (v.y ^ b.y)) < 0x80000000u);
}

fn i64_sub_checked(a: vec2<u32>, b: vec2<u32>) -> I64Result {
    let v = i64_sub(a, b);
    return I64Result(v, ((a.y ^ b.y) & (v.y ^ a.y)) < 0x80000000u);
}

fn i64_mul_checked(a: vec2<u32>, b: vec2<u32>) -> I64Result {
    let m = i64_abs(a);
    let n = i64_abs(b);
    let low = u32_mul_wide(m.x, n.x);
    let c0 = u32_mul_wide(m.x, n.y);
    let c1 = u32_mul_wide(m.y, n.x);
    // At least one high word must be 0, and then at most one of the cross products is not.
    let high = low.y + c0.x + c1.x;
    let fits = (m.y == 0u || n.y == 0u) && (c0.y | c1.y) == 0u && high >= low.y;
    let negative = i64_is_neg(vec2<u32>(0u, a.y ^ b.y));
    let p = vec2<u32>(low.x, high);
    let most = select(0x80000000u, 0x80000001u, negative && low.x == 0u);
    return I64Result(select(p, i64_neg(p), negative), fits && high < most);
}

fn i64_neg_checked(a: vec2<u32>) -> I64Result {
    return I64Result(i64_neg(a), a.x != 0u || a.y != 0x80000000u);
}

fn i64_abs_checked(a: vec2<u32>) -> I64Result {
    return I64Result(i64_abs(a), a.x != 0u || a.y != 0x80000000u);
}

fn i64_div_checked(a: vec2<u32>, b: vec2<u32>) -> I64Result {
    let zero = i64_is_zero(b);
    let d = i64_abs(b);
    let q = u64_divrem(i64_abs(a), select(d, vec2<u32>(1u, 0u), zero)).xy;
    let negative = i64_is_neg(vec2<u32>(0u, a.y ^ b.y));
    return I64Result(select(q, i64_neg(q), negative), !zero && (negative || q.y < 0x80000000u));
}

fn i64_rem_checked(a: vec2<u32>, b: vec2<u32>) -> I64Result {
    let zero = i64_is_zero(b);
    let d = i64_abs(b);
    let r = u64_divrem(i64_abs(a), select(d, vec2<u32>(1u, 0u), zero)).zw;
    return I64Result(select(r, i64_neg(r), i64_is_neg(a)), !zero);
}

// floor(a / b) = ~floor(~a / b) for a negative a, and ~a is not negative.
fn i64_divmod_floor(a: vec2<u32>, b: vec2<u32>) -> vec4<u32> {
    let negative = i64_is_neg(a);
    let fill = select(0u, 0xffffffffu, negative);
    let t = u64_divrem(vec2<u32>(a.x ^ fill, a.y ^ fill), b);
    let r = select(t.zw, i64_sub(i64_sub(b, vec2<u32>(1u, 0u)), t.zw), negative);
    return vec4<u32>(t.x ^ fill, t.y ^ fill, r.x, r.y);
}
