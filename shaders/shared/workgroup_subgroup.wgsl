// Workgroup helpers on subgroup operations. The subgroup size is read at run time (4 to 128); SUBGROUPS is only the
// most there can be. The host has checked that invocation `subgroup · lanes + lane` is `local` on this device.

struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) lanes: u32,
    @builtin(subgroup_invocation_id) lane: u32,
}

var<workgroup> subgroup_sums: array<u32, SUBGROUPS>;

// (sum of x over the invocations before this one, sum over the workgroup). All invocations must call it.
fn workgroup_exclusive(at: Invocation, x: u32) -> vec2<u32> {
    let prefix = subgroupExclusiveAdd(x);
    let sum = subgroupAdd(x);
    if (at.lane == 0u) {
        subgroup_sums[at.subgroup] = sum;
    }
    workgroupBarrier(); // every subgroup's sum is written
    let subgroups = (WORKGROUP + at.lanes - 1u) / at.lanes;
    var before = 0u;
    var total = 0u;
    for (var s = 0u; s < subgroups; s++) {
        if (s == at.subgroup) {
            before = total;
        }
        total += subgroup_sums[s];
    }
    workgroupBarrier(); // every sum is read: the next call may overwrite
    return vec2<u32>(before + prefix, total);
}

// Workgroups over 65,535 come folded in two dimensions.
fn tile_of(at: Invocation) -> u32 {
    return at.group.x + at.group.y * at.groups.x;
}
