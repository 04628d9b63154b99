// States of a reduction: up to four words, the least significant first. Combining is associative and commutative, so no
// order of rows or tiles can show in the result.

fn add_words(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    var sum = a + b;
    // A carry out of word w arrives in word w + 1, which may then carry on.
    let carries = vec4<u32>(sum < a);
    var carry = carries.x;
    sum.y += carry;
    carry = carries.y | u32(sum.y < carry);
    sum.z += carry;
    carry = carries.z | u32(sum.z < carry);
    sum.w += carry;
    return sum;
}

// a, or -a where the sign is ones.
fn signed(a: vec4<u32>, sign: u32) -> vec4<u32> {
    return add_words(a ^ vec4<u32>(sign), vec4<u32>(sign & 1u, 0u, 0u, 0u));
}

fn identity() -> vec4<u32> {
    if (OP == OP_MIN) {
        return select(vec4<u32>(0u), vec4<u32>(0xffffffffu), vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(WORDS));
    }
    return vec4<u32>(0u);
}

fn is_less(a: vec4<u32>, b: vec4<u32>) -> bool {
    if (WORDS > 3u && a.w != b.w) { return a.w < b.w; }
    if (WORDS > 2u && a.z != b.z) { return a.z < b.z; }
    if (WORDS > 1u && a.y != b.y) { return a.y < b.y; }
    return a.x < b.x;
}

fn combine(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    if (OP == OP_SUM) {
        return add_words(a, b);
    }
    // Words beyond WORDS are zero on both sides; a compiler does not know it.
    if (OP == OP_FLAGS) {
        return vec4<u32>(a.x | b.x, 0u, 0u, 0u);
    }
    if (OP == OP_COUNT) {
        return vec4<u32>(a.x + b.x, 0u, 0u, 0u);
    }
    if (WORDS == 1u) {
        return vec4<u32>(select(max(a.x, b.x), min(a.x, b.x), OP == OP_MIN), 0u, 0u, 0u);
    }
    return select(b, a, is_less(a, b) == (OP == OP_MIN));
}
