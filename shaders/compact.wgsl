// Indices of the rows whose status is `want`, in ascending order: `count` per tile, the counts are scanned, `write`.

struct Params {
    n: u32,
    tiles: u32,
    // Word offset of the status plane.
    status_at: u32,
    want: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> planes: array<u32>;
// One word per tile: written by `count`, read by `write` once scanned.
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;

fn selected(row: u32) -> bool {
    return row < params.n && planes[params.status_at + row] == params.want;
}

fn count_items(first: u32) -> u32 {
    var count = 0u;
    for (var k = 0u; k < ITEMS; k++) {
        count += u32(selected(first + k));
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
    var place = counts[tile] + workgroup_exclusive(at, count_items(first)).x;
    for (var k = 0u; k < ITEMS; k++) {
        if (selected(first + k)) {
            rows[place] = first + k;
            place++;
        }
    }
}
