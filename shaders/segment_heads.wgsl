// Where runs of equal keys begin in sorted rows: the segment of every row, and the first row of every segment.
// `count` heads per tile, the counts are scanned, `write`. Key words are read through the order.

struct Params {
    n: u32,
    tiles: u32,
    // Words of a key and the distance between their planes.
    words: u32,
    stride: u32,
    // 1: the order is 0, 1, 2, … and `order` is not read.
    iota: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
// One word per tile: written by `count`, read by `write` once scanned.
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> segments: array<u32>;
@group(0) @binding(5) var<storage, read_write> starts: array<u32>;

fn place_of(i: u32) -> u32 {
    if (params.iota != 0u) {
        return i;
    }
    return order[i];
}

fn differ(a: u32, b: u32) -> bool {
    var differs = false;
    for (var w = 0u; w < params.words; w++) {
        differs = differs || keys[w * params.stride + a] != keys[w * params.stride + b];
    }
    return differs;
}

// The heads among this invocation's rows.
fn count_items(first: u32) -> u32 {
    var count = 0u;
    if (first >= params.n) {
        return count;
    }
    var before = 0u;
    if (first > 0u) {
        before = place_of(first - 1u);
    }
    for (var i = first; i < min(first + ITEMS, params.n); i++) {
        let here = place_of(i);
        if (i == 0u || differ(before, here)) {
            count++;
        }
        before = here;
    }
    return count;
}

@compute @workgroup_size(WORKGROUP)
fn count(at: Invocation) {
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    let total = workgroup_exclusive(at, count_items(tile * TILE + at.local * ITEMS)).y;
    if (at.local == 0u) {
        counts[tile] = total;
    }
}

@compute @workgroup_size(WORKGROUP)
fn write(at: Invocation) {
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    let first = tile * TILE + at.local * ITEMS;
    // Heads up to and with the row before this invocation's first.
    var heads = counts[tile] + workgroup_exclusive(at, count_items(first)).x;
    if (first >= params.n) {
        return;
    }
    var before = 0u;
    if (first > 0u) {
        before = place_of(first - 1u);
    }
    for (var i = first; i < min(first + ITEMS, params.n); i++) {
        let here = place_of(i);
        if (i == 0u || differ(before, here)) {
            starts[heads] = i;
            heads++;
        }
        before = here;
        segments[i] = heads - 1u;
    }
}
