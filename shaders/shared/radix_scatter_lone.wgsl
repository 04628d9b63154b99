// A workgroup that is one subgroup needs no counts first: its places start at the bases and move on as it walks, and items
// go straight to them. Nothing is gained by bringing a tile into order first where there are no wide writes to fill.

var<workgroup> places: array<atomic<u32>, 256>;

fn scatter_partition(at: Invocation, part: u32) {
    let everyone = subgroupBallot(true);
    let below = lanes_below(at.lane);
    for (var d = at.local; d < 256u; d += WORKGROUP) {
        atomicStore(&places[d], bases[d * params.partitions + part]);
    }
    workgroupBarrier(); // the places are set
    let begin = part * PARTITION;
    let end = min(begin + PARTITION, params.n);
    // All lanes go round as often as the first: they vote together.
    for (var first = begin; first < end; first += WORKGROUP) {
        let i = first + at.lane;
        let key = key_or_last(i, end);
        let place = claim(0u, digit_of(key), everyone, below);
        if (i < end) {
            keys_out[place] = key;
            if (PAIRS) {
                put_value(place, value_at(i));
            }
        }
    }
}
