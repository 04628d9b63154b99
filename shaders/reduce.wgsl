// One state for all items: each tile gives a record, and records are reduced by the same kernel until one tile holds all.
// Neighbouring invocations read neighbouring items.
//
// `load(i)` is the state of the i-th item; it comes from shared/segmented_reduce_rows.wgsl or its _records twin, whose
// segments are not read here.

// Invocations that combine the workgroup's states before the first of them combines theirs: a tree of two levels waits at
// two barriers, a binary one at as many as the workgroup's size has bits.
const COMBINERS: u32 = min(16u, WORKGROUP);

// Word w of invocation i's state at w · WORKGROUP + i.
var<workgroup> states_of: array<u32, WORDS * WORKGROUP>;

fn put_state(i: u32, state: vec4<u32>) {
    for (var w = 0u; w < WORDS; w++) {
        states_of[w * WORKGROUP + i] = state[w];
    }
}

fn state_at(i: u32) -> vec4<u32> {
    var state = vec4<u32>(0u);
    for (var w = 0u; w < WORDS; w++) {
        state[w] = states_of[w * WORKGROUP + i];
    }
    return state;
}

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
    put_state(at.local, state);
    workgroupBarrier(); // every state is written
    if (at.local < COMBINERS) {
        for (var i = at.local + COMBINERS; i < WORKGROUP; i += COMBINERS) {
            state = combine(state, state_at(i));
        }
        put_state(at.local, state);
    }
    workgroupBarrier(); // the first COMBINERS states hold all
    if (at.local == 0u) {
        for (var i = 1u; i < COMBINERS; i++) {
            state = combine(state, state_at(i));
        }
        if (params.is_last != 0u) {
            for (var w = 0u; w < WORDS; w++) {
                output[w] = state[w];
            }
        } else {
            record_states[tile] = state;
        }
    }
}
