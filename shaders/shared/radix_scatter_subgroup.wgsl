// Ranks by ballots. Each subgroup owns ITEMS · lanes consecutive pairs and walks them lanes at a time; eight ballots
// give each lane the set of lanes with its digit.

// places[subgroup · 256 + digit]: counts, then places.
var<workgroup> places: array<atomic<u32>, SUBGROUPS * 256u>;

fn bits_in(lanes: vec4<u32>) -> u32 {
    let ones = countOneBits(lanes);
    return ones.x + ones.y + ones.z + ones.w;
}

fn lanes_below(lane: u32) -> vec4<u32> {
    // Word w holds lanes 32w to 32w + 31; clamped shifts, since a shift by 32 is no shift in WGSL.
    let base = vec4<u32>(0u, 32u, 64u, 96u);
    let count = min(max(vec4<u32>(lane), base) - base, vec4<u32>(32u));
    return select((vec4<u32>(1u) << (count & vec4<u32>(31u))) - 1u, vec4<u32>(0xffffffffu), count == vec4<u32>(32u));
}

fn first_lane(lanes: vec4<u32>) -> u32 {
    if (lanes.x != 0u) { return firstTrailingBit(lanes.x); }
    if (lanes.y != 0u) { return 32u + firstTrailingBit(lanes.y); }
    if (lanes.z != 0u) { return 64u + firstTrailingBit(lanes.z); }
    return 96u + (firstTrailingBit(lanes.w) & 31u);
}

// The lanes that hold the same digit as this one, among those that hold a pair.
fn peers_of(digit: u32, here: bool) -> vec4<u32> {
    var peers = subgroupBallot(here);
    for (var bit = 0u; bit < 8u; bit++) {
        let mine = (digit >> bit) & 1u;
        let votes = subgroupBallot(mine == 1u);
        peers &= votes ^ vec4<u32>(mine - 1u);
    }
    return peers;
}

fn scatter_tile(at: Invocation, tile: u32) {
    // A workgroup smaller than a subgroup fills only part of it.
    let lanes = min(at.lanes, WORKGROUP);
    let subgroups = WORKGROUP / lanes;
    let mine = at.subgroup * 256u;
    let first = tile * TILE + at.subgroup * ITEMS * lanes + at.lane;
    let below = lanes_below(at.lane);
    if (SUBGROUPS == 1u) {
        // A single subgroup needs no counts first: its places start at the bases and move on as it walks.
        for (var d = at.local; d < 256u; d += WORKGROUP) {
            atomicStore(&places[d], bases[d * params.tiles + tile]);
        }
        workgroupBarrier(); // the places are set
        for (var k = 0u; k < ITEMS; k++) {
            let i = first + k * lanes;
            let here = i < params.n;
            var key = 0u;
            if (here) {
                key = keys_in[i];
            }
            let to = claim(0u, digit_of(key), here, below);
            if (here) {
                move_pair(i, to, key);
            }
        }
        return;
    }
    for (var d = at.local; d < subgroups * 256u; d += WORKGROUP) {
        atomicStore(&places[d], 0u);
    }
    workgroupBarrier(); // the counts are clear
    var ranks: array<u32, ITEMS>;
    for (var k = 0u; k < ITEMS; k++) {
        let i = first + k * lanes;
        let here = i < params.n;
        var digit = 0u;
        if (here) {
            digit = digit_of(keys_in[i]);
        }
        ranks[k] = claim(mine, digit, here, below);
    }
    workgroupBarrier(); // every subgroup has its counts
    for (var d = at.local; d < 256u; d += WORKGROUP) {
        var place = bases[d * params.tiles + tile];
        for (var s = 0u; s < subgroups; s++) {
            let count = atomicLoad(&places[s * 256u + d]);
            atomicStore(&places[s * 256u + d], place);
            place += count;
        }
    }
    workgroupBarrier(); // counts have become places
    for (var k = 0u; k < ITEMS; k++) {
        let i = first + k * lanes;
        if (i < params.n) {
            let key = keys_in[i];
            move_pair(i, atomicLoad(&places[mine + digit_of(key)]) + ranks[k], key);
        }
    }
}

// This lane's number in the subgroup's running count of its digit. The first of the peers adds for all of them. Rounds
// of one subgroup follow each other by the barrier and by the data: the shuffled value is the addition's own result.
fn claim(mine: u32, digit: u32, here: bool, below: vec4<u32>) -> u32 {
    let peers = peers_of(digit, here);
    let rank = bits_in(peers & below);
    var before = 0u;
    if (here && rank == 0u) {
        before = atomicAdd(&places[mine + digit], bits_in(peers));
    }
    before = subgroupShuffle(before, first_lane(peers));
    subgroupBarrier();
    return before + rank;
}
