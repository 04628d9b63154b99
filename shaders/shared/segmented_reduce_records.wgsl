// Items are the records of the tiles below.

struct Params {
    n: u32,
    tiles: u32,
    // 1: one tile holds everything, nothing goes on outside.
    is_last: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
var<private> values: Params; // the same, read once
@group(0) @binding(1) var<storage, read> states: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;
@group(0) @binding(4) var<storage, read_write> record_segments: array<u32>;
@group(0) @binding(5) var<storage, read_write> record_states: array<vec4<u32>>;

fn load(i: u32) -> vec4<u32> {
    return states[i];
}
