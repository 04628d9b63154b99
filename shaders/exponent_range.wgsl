// Which bits the valid, finite, nonzero values of a column use: the lowest bit set in any and the highest, as powers of
// two, biased so that both are positive; and which values are no numbers. The host chooses the windows of exact sums by
// it. The output must be zero before: the lowest is kept as its complement, so that all three words only grow.

struct Params {
    n: u32,
    tiles: u32,
    // 1: item i is row i and `rows` is not read.
    iota: u32,
    x_at: u32,
    y_at: u32,
    x_valid: u32,
    y_valid: u32,
    stride: u32,
    base: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
var<private> values: Params; // the same, read once
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
// [complement of the lowest bit + BIAS, highest bit + BIAS, flags]; the first two 0 if there is no such value.
@group(0) @binding(3) var<storage, read_write> range: array<atomic<u32>, 3>;

var<workgroup> tile_range: array<atomic<u32>, 3>;

fn lowest_bit(words: vec4<u32>) -> u32 {
    if (words.x != 0u) { return firstTrailingBit(words.x); }
    if (words.y != 0u) { return 32u + firstTrailingBit(words.y); }
    if (words.z != 0u) { return 64u + firstTrailingBit(words.z); }
    return 96u + firstTrailingBit(words.w);
}

fn highest_bit(words: vec4<u32>) -> u32 {
    if (words.w != 0u) { return 96u + firstLeadingBit(words.w); }
    if (words.z != 0u) { return 64u + firstLeadingBit(words.z); }
    if (words.y != 0u) { return 32u + firstLeadingBit(words.y); }
    return firstLeadingBit(words.x);
}

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    values = params;
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    if (at.local < 3u) {
        atomicStore(&tile_range[at.local], 0u);
    }
    workgroupBarrier(); // the tile's range is clear
    var low = 0u;
    var high = 0u;
    var flags = 0u;
    for (var k = 0u; k < ITEMS; k++) {
        let i = tile * TILE + k * WORKGROUP + at.local;
        if (i >= params.n) {
            break;
        }
        var row = i;
        if (params.iota == 0u) {
            row = rows[i];
        }
        if (!is_valid(row)) {
            continue;
        }
        let words = words_at(X_KIND, params.x_at, row);
        flags |= flags_of(X_KIND, words);
        let real = real_of(X_KIND, words);
        if (any(real.magnitude != vec4<u32>(0u))) {
            let scale = u32(real.exponent + i32(BIAS));
            low = max(low, ~(lowest_bit(real.magnitude) + scale));
            high = max(high, highest_bit(real.magnitude) + scale);
        }
    }
    atomicMax(&tile_range[0], low);
    atomicMax(&tile_range[1], high);
    atomicOr(&tile_range[2], flags);
    workgroupBarrier(); // every invocation has added its own
    if (at.local == 0u) {
        atomicMax(&range[0], atomicLoad(&tile_range[0]));
        atomicMax(&range[1], atomicLoad(&tile_range[1]));
        atomicOr(&range[2], atomicLoad(&tile_range[2]));
    }
}
