// How often each of the 256 digits occurs in each tile: counts[digit · tiles + tile], the order in which an exclusive
// scan gives every (digit, tile) its place in the output.

struct Params {
    n: u32,
    tiles: u32,
    // The digit is bits [shift, shift + 8) of the key.
    shift: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

var<workgroup> histogram: array<atomic<u32>, 256>;

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    for (var d = at.local; d < 256u; d += WORKGROUP) {
        atomicStore(&histogram[d], 0u);
    }
    workgroupBarrier(); // the histogram is clear
    for (var k = 0u; k < ITEMS; k++) {
        let i = tile * TILE + k * WORKGROUP + at.local;
        if (i < params.n) {
            atomicAdd(&histogram[(keys[i] >> params.shift) & 255u], 1u);
        }
    }
    workgroupBarrier(); // every key is counted
    for (var d = at.local; d < 256u; d += WORKGROUP) {
        counts[d * params.tiles + tile] = atomicLoad(&histogram[d]);
    }
}
