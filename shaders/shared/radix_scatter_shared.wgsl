// Ranks without subgroup operations: the workgroup is one wide ballot. Each invocation sets its bit in its digit's mask;
// the bits below its own are its rank.

const MASK_WORDS: u32 = (WORKGROUP + 31u) / 32u;

var<workgroup> places: array<u32, 256>;
var<workgroup> masks: array<atomic<u32>, 256u * MASK_WORDS>;

fn scatter_tile(at: Invocation, tile: u32) {
    for (var d = at.local; d < 256u; d += WORKGROUP) {
        places[d] = bases[d * params.tiles + tile];
        for (var w = 0u; w < MASK_WORDS; w++) {
            atomicStore(&masks[d * MASK_WORDS + w], 0u);
        }
    }
    workgroupBarrier(); // places are set, masks are clear
    for (var k = 0u; k < ITEMS; k++) {
        let i = tile * TILE + k * WORKGROUP + at.local;
        let here = i < params.n;
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
            move_pair(i, places[digit] + rank, key);
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
