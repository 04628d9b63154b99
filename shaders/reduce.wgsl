// One state for all items: each tile gives a record, and records are reduced by the same kernel until one tile holds all.
// Neighbouring invocations read neighbouring items.
//
// `load(i)` is the state of the i-th item; it comes from shared/segmented_reduce_rows.wgsl or its _records twin, whose
// segments are not read here.

var<workgroup> states_of: array<vec4<u32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    var state = identity();
    let end = min(tile * TILE + TILE, params.n);
    for (var i = tile * TILE + at.local; i < end; i += WORKGROUP) {
        state = combine(state, load(i));
    }
    states_of[at.local] = state;
    workgroupBarrier(); // every state is written
    for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
        if (at.local < half) {
            states_of[at.local] = combine(states_of[at.local], states_of[at.local + half]);
        }
        workgroupBarrier(); // the lower half holds all
    }
    if (at.local == 0u) {
        if (params.is_last != 0u) {
            for (var w = 0u; w < WORDS; w++) {
                output[w] = states_of[0][w];
            }
        } else {
            record_states[tile] = states_of[0];
        }
    }
}
