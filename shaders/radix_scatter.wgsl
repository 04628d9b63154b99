// Moves (key, order) pairs to their places by one digit, stably: bases[digit · tiles + tile] from the scanned histogram,
// plus the pair's rank among the tile's equal digits. The rank is the part that differs between devices: `scatter_tile`
// comes from shared/radix_scatter_subgroup.wgsl or its _shared twin.
//
// Pairs go straight to their places. Sorting the tile in workgroup memory first would make the writes of a wide GPU
// coalesce better, at the price of a second trip through memory that software drivers pay in full.

struct Params {
    n: u32,
    tiles: u32,
    // The digit is bits [shift, shift + 8) of the key.
    shift: u32,
    // 1: the order coming in is 0, 1, 2, … and `order_in` is not read.
    iota: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bases: array<u32>;
@group(0) @binding(2) var<storage, read> keys_in: array<u32>;
@group(0) @binding(3) var<storage, read> order_in: array<u32>;
@group(0) @binding(4) var<storage, read_write> keys_out: array<u32>;
@group(0) @binding(5) var<storage, read_write> order_out: array<u32>;

fn digit_of(key: u32) -> u32 {
    return (key >> params.shift) & 255u;
}

fn move_pair(source: u32, place: u32, key: u32) {
    keys_out[place] = key;
    if (params.iota != 0u) {
        order_out[place] = source;
    } else {
        order_out[place] = order_in[source];
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    scatter_tile(at, tile);
}
