// Exclusive prefix sum of u32 (mod 2^32), in place, reduce-then-scan: `reduce` sums each tile, the sums are scanned by the
// same kernels, `write` scans each tile on top of its base. No workgroup waits for another.

struct Params {
    n: u32,
    tiles: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> data: array<u32>;
// One word per tile: written by `reduce`, read by `write` once scanned.
@group(0) @binding(2) var<storage, read_write> sums: array<u32>;

fn sum_of_items(first: u32) -> u32 {
    var sum = 0u;
    for (var k = 0u; k < ITEMS; k++) {
        if (first + k < params.n) {
            sum += data[first + k];
        }
    }
    return sum;
}

fn write_items(first: u32, base: u32) {
    var sum = base;
    for (var k = 0u; k < ITEMS; k++) {
        if (first + k < params.n) {
            let x = data[first + k];
            data[first + k] = sum;
            sum += x;
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn reduce(at: Invocation) {
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    let sum = sum_of_items(tile * TILE + at.local * ITEMS);
    let total = workgroup_exclusive(at, sum).y;
    if (at.local == 0u) {
        sums[tile] = total;
    }
}

@compute @workgroup_size(WORKGROUP)
fn write(at: Invocation) {
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    let first = tile * TILE + at.local * ITEMS;
    let before = workgroup_exclusive(at, sum_of_items(first)).x;
    write_items(first, sums[tile] + before);
}

// The whole array fits one tile: no sums.
@compute @workgroup_size(WORKGROUP)
fn single(at: Invocation) {
    let first = at.local * ITEMS;
    let before = workgroup_exclusive(at, sum_of_items(first)).x;
    write_items(first, before);
}
