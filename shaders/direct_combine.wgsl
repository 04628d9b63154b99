// Combines the workgroups' cells of direct_aggregate.wgsl, one invocation per key.

struct Params {
    first_key: u32,
    keys: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let key = tile_of(at) * WORKGROUP + at.local;
    if (key >= params.keys) {
        return;
    }
    var state = identity();
    for (var g = 0u; g < params.groups; g++) {
        var partial = vec4<u32>(0u);
        for (var w = 0u; w < WORDS; w++) {
            partial[w] = partials[(g * params.keys + key) * WORDS + w];
        }
        state = combine(state, partial);
    }
    for (var w = 0u; w < WORDS; w++) {
        output[(params.first_key + key) * WORDS + w] = state[w];
    }
}
