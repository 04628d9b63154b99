// Items are rows, whose layout comes from segmented_reduce_rows.wgsl.
//
// A sum keeps its carries apart: `state` holds three words, each modulo 2^32, and the number of negative slices, and
// `carries` how often each word overflowed. Nothing ripples until all rows are in.

fn with_item(partial: Partial, i: u32) -> Partial {
    if (OP != OP_SUM) {
        return Partial(combine(partial.state, load(i)), partial.carries);
    }
    let slice = slice_at(row_of(i));
    let words = partial.state.xyz + slice.xyz;
    return Partial(vec4<u32>(words, partial.state.w - slice.w), partial.carries + vec3<u32>(words < slice.xyz));
}

fn state_of(partial: Partial) -> vec4<u32> {
    if (OP != OP_SUM) {
        return partial.state;
    }
    // A slice the other way round is its negative less one: in 128 bits, less 2^96 and with one on top.
    let negatives = partial.state.w;
    let carried = add_words(vec4<u32>(partial.state.xyz, 0u - negatives), vec4<u32>(0u, partial.carries));
    return add_words(carried, vec4<u32>(negatives, 0u, 0u, 0u));
}
