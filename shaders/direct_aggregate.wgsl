// One state per key for keys below a few thousand: each workgroup accumulates its rows in workgroup memory, without any
// sort, and writes its cells; direct_combine.wgsl reduces them. Order cannot show: additions carry from limb to limb by
// the value each atomic returned, which is exact in any interleaving, and the rest is min, max and or.
//
// The host cuts the keys so that a slice's cells fit, and runs once per slice.

struct Params {
    n: u32,
    // The slice: keys [first_key, first_key + keys).
    first_key: u32,
    keys: u32,
    groups: u32,
    rows_per_group: u32,
    // 1: item i is row i and `rows` is not read.
    iota: u32,
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
// The row of every item, and its key.
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> codes: array<u32>;
// cells[group][key][word]
@group(0) @binding(4) var<storage, read_write> partials: array<u32>;

var<workgroup> cells: array<atomic<u32>, CELLS>;

fn add_to(cell: u32, value: vec4<u32>) {
    var carry = 0u;
    for (var w = 0u; w < 4u; w++) {
        let addend = value[w] + carry;
        // A word of ones and a carry make 2^32: nothing to add here, one to carry on.
        if (addend >= carry && addend != 0u) {
            let before = atomicAdd(&cells[cell + w], addend);
            carry = u32(before + addend < addend);
        } else if (addend >= carry) {
            carry = 0u;
        }
    }
}

// Minimum and maximum go word by word from the most significant: a row takes part in phase p if all words above equal
// the cell's.
fn take_extreme(cell: u32, value: vec4<u32>, word: u32) {
    for (var w = WORDS - 1u; w > word; w--) {
        if (atomicLoad(&cells[cell + w]) != value[w]) {
            return;
        }
    }
    if (OP == OP_MIN) {
        atomicMin(&cells[cell + word], value[word]);
    } else {
        atomicMax(&cells[cell + word], value[word]);
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    values = params;
    let group = tile_of(at);
    if (group >= params.groups) {
        return;
    }
    let used = params.keys * WORDS;
    for (var c = at.local; c < used; c += WORKGROUP) {
        atomicStore(&cells[c], identity()[c % WORDS]);
    }
    workgroupBarrier(); // the cells are clear
    let begin = group * params.rows_per_group;
    let end = min(begin + params.rows_per_group, params.n);
    for (var phase = 0u; phase < PHASES; phase++) {
        for (var i = begin + at.local; i < end; i += WORKGROUP) {
            let key = codes[i] - params.first_key;
            if (key < params.keys) {
                var row = i;
                if (params.iota == 0u) {
                    row = rows[i];
                }
                let value = value_of(row);
                let cell = key * WORDS;
                if (OP == OP_SUM) {
                    add_to(cell, value);
                } else if (OP == OP_COUNT) {
                    atomicAdd(&cells[cell], value.x);
                } else if (OP == OP_FLAGS) {
                    atomicOr(&cells[cell], value.x);
                } else {
                    take_extreme(cell, value, WORDS - 1u - phase);
                }
            }
        }
        workgroupBarrier(); // this phase's word is final
    }
    for (var c = at.local; c < used; c += WORKGROUP) {
        partials[group * used + c] = atomicLoad(&cells[c]);
    }
}
