// Puts the varying bits of key words together into as few words as hold them, in an order that keeps the keys' order.
// A span is (source plane, lowest source bit, bits, place in the packed key); spans come by ascending place, none crosses
// a packed word, and every packed word has at least one.

struct Params {
    n: u32,
    // 1: item i is row i and `rows` is not read.
    iota: u32,
    spans: u32,
    // Words from one plane of the packed keys to the next.
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> spans: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> packed: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let tile = tile_of(at);
    for (var k = 0u; k < ITEMS; k++) {
        let i = tile * TILE + k * WORKGROUP + at.local;
        if (i >= params.n) {
            break;
        }
        var row = i;
        if (params.iota == 0u) {
            row = rows[i];
        }
        var word = 0u;
        var bits = 0u;
        for (var s = 0u; s < params.spans; s++) {
            let span = spans[s];
            if (span.w / 32u != word) {
                packed[word * params.stride + i] = bits;
                word = span.w / 32u;
                bits = 0u;
            }
            let mask = 0xffffffffu >> (32u - span.z);
            bits |= ((planes[span.x + row] >> span.y) & mask) << (span.w % 32u);
        }
        packed[word * params.stride + i] = bits;
    }
}
