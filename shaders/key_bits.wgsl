// Which bits of each key word differ between any two rows: the or of every row's word with the first row's, exclusively
// or-ed. The output, one word per key word, must be zero before.

struct Params {
    n: u32,
    tiles: u32,
    // 1: item i is row i and `rows` is not read.
    iota: u32,
    // Key words: planes from word offset `keys_at`, `stride` apart.
    words: u32,
    keys_at: u32,
    stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> differing: array<atomic<u32>>;

var<workgroup> tile_varying: atomic<u32>;

fn row_of(i: u32) -> u32 {
    if (params.iota != 0u) {
        return i;
    }
    return rows[i];
}

// One workgroup per tile and key word.
@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let word = tile_of(at) / params.tiles;
    let tile = tile_of(at) % params.tiles;
    if (word >= params.words) {
        return;
    }
    if (at.local == 0u) {
        atomicStore(&tile_varying, 0u);
    }
    workgroupBarrier(); // the tile's bits are clear
    let plane = params.keys_at + word * params.stride;
    let first = planes[plane + row_of(0u)];
    var bits = 0u;
    for (var k = 0u; k < ITEMS; k++) {
        let i = tile * TILE + k * WORKGROUP + at.local;
        if (i < params.n) {
            bits |= planes[plane + row_of(i)] ^ first;
        }
    }
    if (bits != 0u) {
        atomicOr(&tile_varying, bits);
    }
    workgroupBarrier(); // every invocation has added its own
    if (at.local == 0u) {
        atomicOr(&differing[word], atomicLoad(&tile_varying));
    }
}
