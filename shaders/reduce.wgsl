// One state for all items: each tile gives a record, and records are reduced by the same kernel until one tile holds all.
// Neighbouring invocations read neighbouring items.
//
// `with_item` takes the i-th item up and `state_of` closes what was taken up: shared/reduce_rows.wgsl or its _records
// twin, with what they read from shared/segmented_reduce_rows.wgsl or its _records twin, whose segments are not read here.

// What an invocation has of its items so far.
struct Partial {
    state: vec4<u32>,
    carries: vec3<u32>,
}

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
    values = params;
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    var partial = Partial(identity(), vec3<u32>(0u));
    let end = min(tile * REDUCE_TILE + REDUCE_TILE, params.n);
    for (var first = tile * REDUCE_TILE + at.local; first < end; first += AT_ONCE * WORKGROUP) {
        for (var k = 0u; k < AT_ONCE; k++) { // unrolled
            let i = first + k * WORKGROUP;
            if (i < end) {
                partial = with_item(partial, i);
            }
        }
    }
    var state = state_of(partial);
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
