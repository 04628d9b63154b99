// Workgroup helpers in workgroup memory alone, for devices without subgroup operations.

struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
}

var<workgroup> scan_memory: array<u32, WORKGROUP>;

// (sum of x over the invocations before this one, sum over the workgroup). All invocations must call it.
fn workgroup_exclusive(at: Invocation, x: u32) -> vec2<u32> {
    scan_memory[at.local] = x;
    workgroupBarrier(); // every x is written
    for (var step = 1u; step < WORKGROUP; step <<= 1u) {
        var left = 0u;
        if (at.local >= step) {
            left = scan_memory[at.local - step];
        }
        workgroupBarrier(); // every left neighbour is read before any is overwritten
        scan_memory[at.local] += left;
        workgroupBarrier(); // this step's sums are written
    }
    let inclusive = scan_memory[at.local];
    let total = scan_memory[WORKGROUP - 1u];
    workgroupBarrier(); // every sum is read: the next call may overwrite
    return vec2<u32>(inclusive - x, total);
}

// Workgroups over 65,535 come folded in two dimensions.
fn tile_of(at: Invocation) -> u32 {
    return at.group.x + at.group.y * at.groups.x;
}
