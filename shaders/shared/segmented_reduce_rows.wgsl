// Items are rows: values gathered from their planes, through the sorted order if ORDERED is 1, else as they stand.

struct Params {
    n: u32,
    tiles: u32,
    // 1: one tile holds everything, nothing goes on outside.
    is_last: u32,
    // Word offsets of the values' first planes and of their validity planes; the distance between a value's planes.
    x_at: u32,
    y_at: u32,
    x_valid: u32,
    y_valid: u32,
    stride: u32,
    // First bit of the window, as i32.
    base: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
var<private> values: Params; // the same, read once
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> segments: array<u32>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;
@group(0) @binding(5) var<storage, read_write> record_segments: array<u32>;
@group(0) @binding(6) var<storage, read_write> record_states: array<vec4<u32>>;

fn row_of(i: u32) -> u32 {
    if (ORDERED == 0u) {
        return i;
    }
    return order[i];
}

fn load(i: u32) -> vec4<u32> {
    return value_of(row_of(i));
}
