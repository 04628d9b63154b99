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

// This lane's number in the running count `places[mine + digit]`, which belongs to this subgroup alone: the lanes of a
// digit read it together, and the last of them writes what is next. That is no atomic addition, which costs more on some
// devices, but loads and stores are atomic, so that no compiler keeps a count of the round before.
fn claim(mine: u32, digit: u32, everyone: vec4<u32>, below: vec4<u32>) -> u32 {
    let peers = peers_of(digit, everyone);
    let rank = bits_in(peers & below);
    let place = atomicLoad(&places[mine + digit]) + rank;
    subgroupBarrier(); // the counts of this round are read
    if (rank + 1u == bits_in(peers)) {
        atomicStore(&places[mine + digit], place + 1u);
    }
    subgroupBarrier(); // they are those of the next
    return place;
}
