// A partition is brought into the order of its digits before it is written, so that neighbouring lanes write neighbouring
// words. Each subgroup ranks its own RADIX_ITEMS · lanes consecutive items by ballots; keys, places and values stay in
// registers, and workgroup memory orders them slice by slice.

// Counts and then places in the partition, [subgroup][digit]; then a slice's keys in order, then its values.
var<workgroup> places: array<atomic<u32>, max(SUBGROUPS * 256u, SLICE)>;
// What turns a place in the partition into one in the output, by digit.
var<workgroup> offsets: array<u32, 256>;

// Digits whose places an invocation finds.
const DIGITS: u32 = 256u / WORKGROUP;

fn scatter_partition(at: Invocation, part: u32) {
    let begin = part * PARTITION;
    let count = min(PARTITION, params.n - begin);
    // A workgroup smaller than a subgroup fills only part of it.
    let lanes = min(at.lanes, WORKGROUP);
    let first = at.subgroup * RADIX_ITEMS * lanes + at.lane;
    let mine = at.subgroup * 256u;
    for (var c = at.local; c < SUBGROUPS * 256u; c += WORKGROUP) {
        atomicStore(&places[c], 0u);
    }
    workgroupBarrier(); // the counts are clear
    let everyone = subgroupBallot(true);
    let below = lanes_below(at.lane);
    var keys: array<u32, RADIX_ITEMS>;
    for (var k = 0u; k < RADIX_ITEMS; k++) { // unrolled
        keys[k] = key_or_last(begin + first + k * lanes, begin + count);
    }
    var place: array<u32, RADIX_ITEMS>;
    for (var k = 0u; k < RADIX_ITEMS; k++) { // unrolled
        place[k] = claim(mine, digit_of(keys[k]), everyone, below);
    }
    workgroupBarrier(); // every subgroup has its counts
    find_places(at, part);
    for (var k = 0u; k < RADIX_ITEMS; k++) { // unrolled
        place[k] += atomicLoad(&places[mine + digit_of(keys[k])]);
    }
    var values: array<u32, RADIX_ITEMS>;
    if (PAIRS) {
        for (var k = 0u; k < RADIX_ITEMS; k++) { // unrolled
            let i = first + k * lanes;
            if (i < count) {
                values[k] = value_at(begin + i);
            }
        }
    }
    for (var low = 0u; low < PARTITION; low += SLICE) {
        workgroupBarrier(); // every place, and every value of the slice before, is read: keys may take their room
        for (var k = 0u; k < RADIX_ITEMS; k++) { // unrolled
            if (SLICE == PARTITION || place[k] - low < SLICE) {
                atomicStore(&places[place[k] - low], keys[k]);
            }
        }
        workgroupBarrier(); // the slice's keys are in order
        var to: array<u32, SLICE_ITEMS>;
        for (var k = 0u; k < SLICE_ITEMS; k++) { // unrolled
            let j = k * WORKGROUP + at.local;
            if (low + j < count) {
                let key = atomicLoad(&places[j]);
                to[k] = offsets[digit_of(key)] + low + j;
                keys_out[to[k]] = key;
            }
        }
        if (PAIRS) {
            workgroupBarrier(); // the keys are read: values may take their room
            for (var k = 0u; k < RADIX_ITEMS; k++) { // unrolled
                if (SLICE == PARTITION || place[k] - low < SLICE) {
                    atomicStore(&places[place[k] - low], values[k]);
                }
            }
            workgroupBarrier(); // the slice's values are in order
            for (var k = 0u; k < SLICE_ITEMS; k++) { // unrolled
                let j = k * WORKGROUP + at.local;
                if (low + j < count) {
                    put_value(to[k], atomicLoad(&places[j]));
                }
            }
        }
    }
}

// Counts become places: the digits one after another, and within a digit the subgroups.
fn find_places(at: Invocation, part: u32) {
    // An invocation's digits, and within a digit the subgroups.
    var counts: array<u32, COUNTS>;
    var total = 0u;
    for (var c = 0u; c < COUNTS; c++) { // unrolled
        counts[c] = atomicLoad(&places[(c % SUBGROUPS) * 256u + at.local * DIGITS + c / SUBGROUPS]);
        total += counts[c];
    }
    var place = workgroup_exclusive(at, total).x;
    for (var c = 0u; c < COUNTS; c++) { // unrolled
        let digit = at.local * DIGITS + c / SUBGROUPS;
        if (c % SUBGROUPS == 0u) {
            offsets[digit] = bases[digit * params.partitions + part] - place;
        }
        atomicStore(&places[(c % SUBGROUPS) * 256u + digit], place);
        place += counts[c];
    }
    workgroupBarrier(); // counts have become places
}
