// Moves items (a key, and mostly a value with it) to their places by one digit, stably: bases[digit · partitions +
// part] from the scanned histogram, plus the item's rank among the partition's equal digits.
//
// A workgroup walks its partition in tiles. How a tile is ranked and moved differs between devices: `scatter_partition`
// comes from shared/radix_scatter_tiles.wgsl, or from _lone or _shared beside it. What goes along with a key comes from
// shared/radix_pairs.wgsl or radix_keys.wgsl.

struct Params {
    n: u32,
    partitions: u32,
    // The digit is bits [shift, shift + 8) of the key.
    shift: u32,
    // 1: the values coming in are 0, 1, 2, … and `values_in` is not read.
    iota: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bases: array<u32>;
@group(0) @binding(2) var<storage, read> keys_in: array<u32>;
@group(0) @binding(3) var<storage, read_write> keys_out: array<u32>;

fn digit_of(key: u32) -> u32 {
    return (key >> params.shift) & 255u;
}

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let part = tile_of(at);
    if (part >= params.partitions) {
        return;
    }
    scatter_partition(at, part);
}
