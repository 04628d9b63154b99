@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let row = tile_of(at) * WORKGROUP + at.local;
    if (row >= params.rows) {
        return;
    }
    let v0 = load_two(0u, row);
    let v2 = vec2<u32>(0x0u, 0x0u);
    let v3 = f64_lt(v2, v0);
    let v4 = load_u8(1u, row);
    let v5 = vec2<u32>(0x7u, 0x0u);
    let v6 = (v4.x < v5.x);
    let v7 = v3 & v6;
    if (!(v7)) {
        store(0u, row, 0u);
        return;
    }
    let v1 = vec2<u32>(0x0u, 0x0u);
    let v8 = load_word(2u, row);
    let v9 = load_two(3u, row);
    let c0 = i64_divmod_floor(v9, vec2<u32>(0x15180u, 0x0u));
    let c1 = date_civil(c0.xy);
    let v12 = vec2<u32>(c1.month, 0u);
    let v13 = load_two(4u, row);
    let n13 = load_valid(4u, row);
    let c2 = f64_div_checked(v13, v0);
    let e14 = (n13 & !c2.ok);
    let v15 = load_two(5u, row);
    let c3 = i64_mul_checked(v15, v4);
    let e16 = !c3.ok;
    let c4 = i64_div_checked(v15, v4);
    let e17 = !c4.ok;
    let n18 = !e17;
    let v19 = !n18;
    let v20 = !v19;
    let v21 = select(v1, c4.v, v20);
    let n21 = select(true, n18, v20);
    store(1u, row, v8);
    store_two(2u, row, i64_key(c1.year));
    store_two(4u, row, i64_key(v12));
    store_two(6u, row, c2.v);
    store(8u, row, u32(n13));
    store_two(9u, row, c3.v);
    store_two(11u, row, v21);
    store(13u, row, u32(n21));
    store(0u, row, select(1u, 2u, (e14 | e16)));
}
