// A tile is brought into the order of its digits in workgroup memory before it is written, so that neighbouring lanes
// write neighbouring words. Each subgroup ranks its own RADIX_ITEMS · lanes consecutive items by ballots.

// Counts and then places in the tile, [subgroup][digit]; then the tile's keys in order, then its values.
var<workgroup> places: array<atomic<u32>, max(SUBGROUPS * 256u, RADIX_TILE)>;
// What turns a place in the tile into one in the output, by digit.
var<workgroup> offsets: array<u32, 256>;

// Digits whose bases an invocation keeps.
const DIGITS: u32 = 256u / WORKGROUP;

fn scatter_partition(at: Invocation, part: u32) {
    var running: array<u32, DIGITS>;
    for (var j = 0u; j < DIGITS; j++) {
        running[j] = bases[(at.local * DIGITS + j) * params.partitions + part];
    }
    let begin = part * PARTITION;
    let end = min(begin + PARTITION, params.n);
    for (var first = begin; first < end; first += RADIX_TILE) {
        scatter_tile(at, first, min(first + RADIX_TILE, end), &running);
    }
}

fn scatter_tile(at: Invocation, tile_begin: u32, tile_end: u32, running: ptr<function, array<u32, DIGITS>>) {
    // A workgroup smaller than a subgroup fills only part of it.
    let lanes = min(at.lanes, WORKGROUP);
    let subgroups = WORKGROUP / lanes;
    let mine = at.subgroup * 256u;
    let first = tile_begin + at.subgroup * RADIX_ITEMS * lanes + at.lane;
    let below = lanes_below(at.lane);
    for (var c = at.local; c < subgroups * 256u; c += WORKGROUP) {
        atomicStore(&places[c], 0u);
    }
    workgroupBarrier(); // the counts are clear
    var keys: array<u32, RADIX_ITEMS>;
    var ranks: array<u32, RADIX_ITEMS>;
    for (var k = 0u; k < RADIX_ITEMS; k++) {
        let i = first + k * lanes;
        let here = i < tile_end;
        if (here) {
            keys[k] = keys_in[i];
        }
        ranks[k] = claim(mine, digit_of(keys[k]), here, below);
    }
    workgroupBarrier(); // every subgroup has its counts
    // The tile's digits, one after another, and within a digit the subgroups.
    var total = 0u;
    for (var c = 0u; c < DIGITS * subgroups; c++) {
        total += atomicLoad(&places[(c % subgroups) * 256u + at.local * DIGITS + c / subgroups]);
    }
    var place = workgroup_exclusive(at, total).x;
    for (var j = 0u; j < DIGITS; j++) {
        let digit = at.local * DIGITS + j;
        let start = place;
        for (var s = 0u; s < subgroups; s++) {
            let count = atomicLoad(&places[s * 256u + digit]);
            atomicStore(&places[s * 256u + digit], place);
            place += count;
        }
        offsets[digit] = (*running)[j] - start;
        (*running)[j] += place - start;
    }
    workgroupBarrier(); // counts have become places
    for (var k = 0u; k < RADIX_ITEMS; k++) {
        ranks[k] += atomicLoad(&places[mine + digit_of(keys[k])]);
    }
    workgroupBarrier(); // every place is read: keys may take their room
    for (var k = 0u; k < RADIX_ITEMS; k++) {
        if (first + k * lanes < tile_end) {
            atomicStore(&places[ranks[k]], keys[k]);
        }
    }
    workgroupBarrier(); // the keys are in order
    // From here on `keys` holds where the k-th item to be written goes.
    let count = tile_end - tile_begin;
    for (var k = 0u; k < RADIX_ITEMS; k++) {
        let j = k * WORKGROUP + at.local;
        if (j < count) {
            let key = atomicLoad(&places[j]);
            keys[k] = offsets[digit_of(key)] + j;
            keys_out[keys[k]] = key;
        }
    }
    workgroupBarrier(); // the keys are written: values may take their room, and the next tile its counts
    if (PAIRS) {
        for (var k = 0u; k < RADIX_ITEMS; k++) {
            let i = first + k * lanes;
            if (i < tile_end) {
                atomicStore(&places[ranks[k]], value_at(i));
            }
        }
        workgroupBarrier(); // the values are in order
        for (var k = 0u; k < RADIX_ITEMS; k++) {
            let j = k * WORKGROUP + at.local;
            if (j < count) {
                put_value(keys[k], atomicLoad(&places[j]));
            }
        }
        workgroupBarrier(); // the values are written: the next tile may set its counts
    }
}
