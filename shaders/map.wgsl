// What every generated map kernel starts with: its bindings, and one helper a stored width, class and odd operation.
//
// The entry point is made by src/expr/wgsl: one invocation computes one row. The arena starts with two words for each
// input: the word offsets of its data and of its validity bitmap (0: no row is null).
// Needs i64.wgsl, i128.wgsl and f64.wgsl.

struct Params {
    rows: u32,
    // Words from one plane to the next.
    stride: u32,
}

// Never set: where there is an override, naga drops the functions that are not called before a driver sees them.
override UNUSED: u32 = 0u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> arena: array<u32>;
// Plane p of row r is word p * stride + r.
@group(0) @binding(2) var<storage, read_write> planes: array<u32>;

fn load_bit(at: u32, row: u32) -> bool {
    return ((arena[at + (row >> 5u)] >> (row & 31u)) & 1u) != 0u;
}

fn load_valid(input: u32, row: u32) -> bool {
    let at = arena[2u * input + 1u];
    if (at == 0u) {
        return true;
    }
    return load_bit(at, row);
}

// One byte a row; no bytes, if there is no error.
fn load_error(input: u32, row: u32) -> bool {
    let at = arena[2u * input];
    if (at == 0u) {
        return false;
    }
    return ((arena[at + (row >> 2u)] >> (8u * (row & 3u))) & 0xffu) != 0u;
}

fn load_bits(input: u32, row: u32) -> bool {
    return load_bit(arena[2u * input], row);
}

fn load_u8(input: u32, row: u32) -> vec2<u32> {
    return vec2<u32>((arena[arena[2u * input] + (row >> 2u)] >> (8u * (row & 3u))) & 0xffu, 0u);
}

fn load_i8(input: u32, row: u32) -> vec2<u32> {
    // The byte goes to the top, and back with its sign.
    return i64_from_i32(i32(arena[arena[2u * input] + (row >> 2u)] << (24u - 8u * (row & 3u))) >> 24u);
}

fn load_u16(input: u32, row: u32) -> vec2<u32> {
    return vec2<u32>((arena[arena[2u * input] + (row >> 1u)] >> (16u * (row & 1u))) & 0xffffu, 0u);
}

fn load_i16(input: u32, row: u32) -> vec2<u32> {
    return i64_from_i32(i32(arena[arena[2u * input] + (row >> 1u)] << (16u - 16u * (row & 1u))) >> 16u);
}

// 32-bit unsigned integers, binary32 and dictionary codes, as they are.
fn load_word(input: u32, row: u32) -> u32 {
    return arena[arena[2u * input] + row];
}

fn load_u32(input: u32, row: u32) -> vec2<u32> {
    return vec2<u32>(load_word(input, row), 0u);
}

fn load_i32(input: u32, row: u32) -> vec2<u32> {
    return i64_from_i32(i32(load_word(input, row)));
}

fn load_f32(input: u32, row: u32) -> vec2<u32> {
    return f64_from_f32(load_word(input, row));
}

// 64-bit integers and binary64.
fn load_two(input: u32, row: u32) -> vec2<u32> {
    let at = arena[2u * input] + 2u * row;
    return vec2<u32>(arena[at], arena[at + 1u]);
}

fn load_u64(input: u32, row: u32) -> vec4<u32> {
    return i128_from_u64(load_two(input, row));
}

fn load_four(input: u32, row: u32) -> vec4<u32> {
    let at = arena[2u * input] + 4u * row;
    return vec4<u32>(arena[at], arena[at + 1u], arena[at + 2u], arena[at + 3u]);
}

fn store(plane: u32, row: u32, word: u32) {
    planes[plane * params.stride + row] = word;
}

fn store_two(plane: u32, row: u32, words: vec2<u32>) {
    store(plane, row, words.x);
    store(plane + 1u, row, words.y);
}

fn store_four(plane: u32, row: u32, words: vec4<u32>) {
    store_two(plane, row, words.xy);
    store_two(plane + 2u, row, words.zw);
}

// -1, 0 or 1 of a value by its sign bit.
fn sign_of(negative: bool, zero: bool) -> vec2<u32> {
    let minus = select(0u, 0xffffffffu, negative);
    return select(vec2<u32>(minus | 1u, minus), vec2<u32>(0u, 0u), zero);
}

fn i64_sign(a: vec2<u32>) -> vec2<u32> {
    return sign_of(i64_is_neg(a), i64_is_zero(a));
}

fn i128_sign(a: vec4<u32>) -> vec2<u32> {
    return sign_of(i128_is_neg(a), i128_is_zero(a));
}

fn f64_sign(a: vec2<u32>) -> vec2<u32> {
    return sign_of(i64_is_neg(a), f64_is_zero(a) || f64_is_nan(a));
}

// The total order of min and max: -0 below +0, NaN largest.
fn f64_before(a: vec2<u32>, b: vec2<u32>) -> bool {
    return u64_lt(f64_key(a), f64_key(b));
}

// Not ok where a finite value leaves the range of binary32.
fn f64_to_f32_checked(a: vec2<u32>) -> I64Result {
    let v = f64_round_f32(a);
    return I64Result(v, f64_is_finite(v) || !f64_is_finite(a));
}

fn f64_div_checked(a: vec2<u32>, b: vec2<u32>) -> I64Result {
    return I64Result(f64_div(a, b), !f64_is_zero(b));
}

fn f64_rem_checked(a: vec2<u32>, b: vec2<u32>) -> I64Result {
    return I64Result(f64_rem(a, b), !f64_is_zero(b));
}

fn i64_within(a: vec2<u32>, least: vec2<u32>, most: vec2<u32>) -> bool {
    return i64_le(least, a) && i64_le(a, most);
}

fn i128_within(a: vec4<u32>, least: vec4<u32>, most: vec4<u32>) -> bool {
    return i128_le(least, a) && i128_le(a, most);
}
