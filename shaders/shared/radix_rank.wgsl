// Ranks by ballots: eight of them give each lane the set of lanes with its digit.

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

// The lanes that hold the same digit as this one. `everyone` are those that there are: a workgroup may be smaller than a
// subgroup.
fn peers_of(digit: u32, everyone: vec4<u32>) -> vec4<u32> {
    var peers = everyone;
    for (var bit = 0u; bit < 8u; bit++) {
        let mine = (digit >> bit) & 1u;
        let votes = subgroupBallot(mine == 1u);
        peers &= votes ^ vec4<u32>(mine - 1u);
    }
    return peers;
}

// The key of item i; past the end the greatest, which goes after every item that there is, whatever its digit.
fn key_or_last(i: u32, end: u32) -> u32 {
    if (i < end) {
        return keys_in[i];
    }
    return 0xffffffffu;
}

// This lane's number in the running count `places[mine + digit]`. The first of the peers adds for all of them. Rounds of
// one subgroup follow each other by the barrier and by the data: the shuffled value is the addition's own result.
fn claim(mine: u32, digit: u32, everyone: vec4<u32>, below: vec4<u32>) -> u32 {
    let peers = peers_of(digit, everyone);
    let rank = bits_in(peers & below);
    var before = 0u;
    if (rank == 0u) {
        before = atomicAdd(&places[mine + digit], bits_in(peers));
    }
    before = subgroupShuffle(before, first_lane(peers));
    subgroupBarrier();
    return before + rank;
}
