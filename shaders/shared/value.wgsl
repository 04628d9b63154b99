// What a row contributes to a reduction: the state (shared/state.wgsl) of that row alone.
//
// Sums are exact: a value is a sign, a magnitude of up to 256 bits and an exponent, and contributes the signed slice of
// its fixed-point expansion that falls into bits [base, base + 96). 2^31 slices below 2^96 fit 128 bits in two's
// complement. The host adds the windows' sums.
//
// The kernel declares `planes` and the members x_at, y_at, x_valid, y_valid, stride and base of `values`: its parameters,
// read once before its loop, since drivers that run on a CPU read a uniform block for every lane at every use. X_WORDS and
// Y_WORDS are the words of a value's magnitude, MAGNITUDE those of the product (or of x alone). X_NULLABLE and Y_NULLABLE
// say whether there are validity planes.

// ± magnitude · 2^exponent; a zero stands for NaN and the infinities, which the flags report. The sign is a mask: zeros, or
// ones where the value is negative. Nothing here branches on a value, since the lanes of a subgroup differ.
struct Real {
    magnitude: vec4<u32>,
    exponent: i32,
    sign: u32,
}

fn is_valid(row: u32) -> bool {
    var valid = true;
    if (X_NULLABLE != 0u) {
        valid = planes[values.x_valid + row] != 0u;
    }
    if (Y_NULLABLE != 0u) {
        valid = valid && planes[values.y_valid + row] != 0u;
    }
    return valid;
}

fn words_at(kind: u32, first: u32, row: u32) -> vec4<u32> {
    var words = vec4<u32>(0u);
    words.x = planes[first + row];
    if (kind == KIND_I64 || kind == KIND_F64 || kind == KIND_TWO_WORDS) {
        words.y = planes[first + values.stride + row];
    }
    if (kind == KIND_I128 || kind == KIND_FOUR_WORDS) {
        words.y = planes[first + values.stride + row];
        words.z = planes[first + 2u * values.stride + row];
        words.w = planes[first + 3u * values.stride + row];
    }
    return words;
}

fn real_of(kind: u32, words: vec4<u32>) -> Real {
    if (kind == KIND_F64) {
        let biased = (words.y >> 20u) & 0x7ffu;
        let fraction = vec4<u32>(words.x, (words.y & 0xfffffu) | select(0u, 0x100000u, biased != 0u), 0u, 0u);
        let magnitude = select(fraction, vec4<u32>(0u), biased == 0x7ffu);
        // Numbers without the leading bit have the exponent of the smallest that have it.
        return Real(magnitude, i32(max(biased, 1u)) - 1075, u32(bitcast<i32>(words.y) >> 31u));
    }
    var extended = words;
    if (kind == KIND_I64) {
        let fill = u32(bitcast<i32>(words.y) >> 31u);
        extended = vec4<u32>(words.xy, fill, fill);
    }
    let sign = u32(bitcast<i32>(extended.w) >> 31u);
    return Real(signed(extended, sign), 0, sign);
}

// 1 NaN, 2 +infinity, 4 -infinity; 0 for finite values and integers.
fn flags_of(kind: u32, words: vec4<u32>) -> u32 {
    if (kind != KIND_F64 || ((words.y >> 20u) & 0x7ffu) != 0x7ffu) {
        return 0u;
    }
    if ((words.y & 0xfffffu) != 0u || words.x != 0u) {
        return 1u;
    }
    return 2u << (words.y >> 31u);
}

fn multiply(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let left = (a >> 16u) * (b & 0xffffu);
    let right = (a & 0xffffu) * (b >> 16u);
    let middle = (low >> 16u) + (left & 0xffffu) + (right & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (left >> 16u) + (right >> 16u) + (middle >> 16u);
    return vec2<u32>((low & 0xffffu) | (middle << 16u), high);
}

// The slice of x (of x · y, where there is a y) in bits [base, base + 96), and the sign. The slice is bit by bit the other
// way round where the sign is ones: its negative less one.
fn slice_of(x: Real, y: Real) -> vec4<u32> {
    var magnitude: array<u32, MAGNITUDE>;
    var exponent = x.exponent;
    var sign = x.sign;
    if (Y_KIND == KIND_NONE) {
        for (var i = 0u; i < X_WORDS; i++) { // unrolled
            magnitude[i] = x.magnitude[i];
        }
    } else {
        exponent += y.exponent;
        sign ^= y.sign;
        for (var i = 0u; i < MAGNITUDE; i++) {
            magnitude[i] = 0u;
        }
        for (var i = 0u; i < X_WORDS; i++) {
            var carry = 0u;
            for (var j = 0u; j < Y_WORDS; j++) {
                let product = multiply(x.magnitude[i], y.magnitude[j]);
                let sum = product.x + magnitude[i + j];
                let total = sum + carry;
                carry = product.y + u32(sum < product.x) + u32(total < sum);
                magnitude[i + j] = total;
            }
            magnitude[i + Y_WORDS] = carry;
        }
    }
    // The magnitude moves up by `up` bits: by a part of a word first, then by whole words. No word is picked by an index
    // that differs between lanes: an array in registers has none.
    let up = exponent - bitcast<i32>(values.base);
    let part = u32(up) & 31u;
    // Word i of what was moved goes to word i - down of the slice.
    let down = -(up >> 5u);
    var slice = vec3<u32>(0u);
    var below = 0u;
    for (var i = 0u; i < MAGNITUDE; i++) { // unrolled
        // Two shifts, since one by 32 is no shift in WGSL.
        let moved = (magnitude[i] << part) | ((below >> 1u) >> (31u - part));
        slice = select(slice, vec3<u32>(moved), vec3<i32>(i32(i)) - vec3<i32>(0, 1, 2) == vec3<i32>(down));
        below = magnitude[i];
    }
    let top = (below >> 1u) >> (31u - part);
    slice = select(slice, vec3<u32>(top), vec3<i32>(i32(MAGNITUDE)) - vec3<i32>(0, 1, 2) == vec3<i32>(down));
    return vec4<u32>(slice ^ vec3<u32>(sign), sign);
}

// `slice_of` a row's values; zeros where one is null.
fn slice_at(row: u32) -> vec4<u32> {
    let x = words_at(X_KIND, values.x_at, row);
    var y = vec4<u32>(0u);
    if (Y_KIND != KIND_NONE) {
        y = words_at(Y_KIND, values.y_at, row);
    }
    return select(vec4<u32>(0u), slice_of(real_of(X_KIND, x), real_of(Y_KIND, y)), is_valid(row));
}

// Words whose unsigned order is the value's order; every NaN is the largest.
fn ordered(kind: u32, words: vec4<u32>) -> vec4<u32> {
    var key = words;
    if (kind == KIND_I64) {
        key.y ^= 0x80000000u;
    } else if (kind == KIND_I128) {
        key.w ^= 0x80000000u;
    } else if (kind == KIND_F64) {
        if (flags_of(kind, words) == 1u) {
            key = vec4<u32>(0xffffffffu, 0xffffffffu, 0u, 0u);
        } else if ((words.y >> 31u) != 0u) {
            key = vec4<u32>(~words.xy, 0u, 0u);
        } else {
            key.y ^= 0x80000000u;
        }
    }
    return key;
}

fn value_of(row: u32) -> vec4<u32> {
    if (!is_valid(row)) {
        return identity();
    }
    if (OP == OP_COUNT) {
        return vec4<u32>(1u, 0u, 0u, 0u);
    }
    let x = words_at(X_KIND, values.x_at, row);
    if (OP == OP_MIN || OP == OP_MAX) {
        return ordered(X_KIND, x);
    }
    var y = vec4<u32>(0u);
    if (Y_KIND != KIND_NONE) {
        y = words_at(Y_KIND, values.y_at, row);
    }
    if (OP == OP_FLAGS) {
        return vec4<u32>(flags_of(X_KIND, x) | flags_of(Y_KIND, y), 0u, 0u, 0u);
    }
    let slice = slice_of(real_of(X_KIND, x), real_of(Y_KIND, y));
    return add_words(slice, vec4<u32>(slice.w & 1u, 0u, 0u, 0u));
}
