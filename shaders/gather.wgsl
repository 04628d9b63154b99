// output[i] = source[source_at + index[i]].

struct Params {
    n: u32,
    // Word offset of the plane gathered from.
    source_at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let tile = tile_of(at);
    for (var k = 0u; k < ITEMS; k++) {
        let i = tile * TILE + k * WORKGROUP + at.local;
        if (i < params.n) {
            output[i] = source[params.source_at + index[i]];
        }
    }
}
