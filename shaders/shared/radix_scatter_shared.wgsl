// Ranks without subgroup operations: the workgroup is one wide ballot. Each invocation sets its bit in its digit's mask;
// the bits below its own are its rank.

const MASK_WORDS: u32 = (WORKGROUP + 31u) / 32u;

var<workgroup> places: array<u32, 256>;
var<workgroup> masks: array<atomic<u32>, 256u * MASK_WORDS>;

fn scatter_partition(at: Invocation, part: u32) {
    for (var d = at.local; d < 256u; d += WORKGROUP) {
        places[d] = bases[d * params.partitions + part];
        for (var w = 0u; w < MASK_WORDS; w++) {
            atomicStore(&masks[d * MASK_WORDS + w], 0u);
        }
    }
    workgroupBarrier(); // places are set, masks are clear
    let begin = part * PARTITION;
    let end = min(begin + PARTITION, params.n);
    for (var first = begin; first < end; first += WORKGROUP) {
        let i = first + at.local;
        let here = i < end;
        var key = 0u;
        if (here) {
            key = keys_in[i];
            atomicOr(&masks[digit_of(key) * MASK_WORDS + at.local / 32u], 1u << (at.local % 32u));
        }
        workgroupBarrier(); // every bit of this round is set
        let digit = digit_of(key);
        var rank = 0u;
        var count = 0u;
        for (var w = 0u; w < MASK_WORDS; w++) {
            let mask = atomicLoad(&masks[digit * MASK_WORDS + w]);
            count += countOneBits(mask);
            if (w < at.local / 32u) {
                rank += countOneBits(mask);
            } else if (w == at.local / 32u) {
                rank += countOneBits(mask & ((1u << (at.local % 32u)) - 1u));
            }
        }
        if (here) {
            let place = places[digit] + rank;
            keys_out[place] = key;
            if (PAIRS) {
                put_value(place, value_at(i));
            }
        }
        workgroupBarrier(); // masks and places of this round are read
        if (here && rank + 1u == count) {
            places[digit] += count;
            for (var w = 0u; w < MASK_WORDS; w++) {
                atomicStore(&masks[digit * MASK_WORDS + w], 0u);
            }
        }
        workgroupBarrier(); // the next round may set bits
    }
}
