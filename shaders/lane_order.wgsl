// Where each invocation sits: subgroup · size + lane. The subgroup kernels rely on it being the local index; WGSL does
// not promise that, so the host looks once per device.

struct Params {
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> seats: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    seats[at.local] = at.subgroup * at.lanes + at.lane + params.unused;
}
