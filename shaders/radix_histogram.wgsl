// How often each of the 256 digits occurs in each partition: counts[digit · partitions + part], the order in which an
// exclusive scan gives every (digit, part) its place in the output.

struct Params {
    n: u32,
    partitions: u32,
    // The digit is bits [shift, shift + 8) of the key.
    shift: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

var<workgroup> histogram: array<atomic<u32>, 256>;

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let part = tile_of(at);
    if (part >= params.partitions) {
        return;
    }
    for (var d = at.local; d < 256u; d += WORKGROUP) {
        atomicStore(&histogram[d], 0u);
    }
    workgroupBarrier(); // the histogram is clear
    let begin = part * PARTITION;
    let end = min(begin + PARTITION, params.n);
    for (var i = begin + at.local; i < end; i += WORKGROUP) {
        atomicAdd(&histogram[(keys[i] >> params.shift) & 255u], 1u);
    }
    workgroupBarrier(); // every key is counted
    for (var d = at.local; d < 256u; d += WORKGROUP) {
        counts[d * params.partitions + part] = atomicLoad(&histogram[d]);
    }
}
