// One state per segment of sorted rows, without atomics. Each tile reduces its rows; a segment that lies inside the tile
// is done, and the tile's first and last segment, which may go on outside, become two records. Records are sorted by
// segment as the rows were, so the same kernel reduces them, until one tile holds all.
//
// `load(i)` is the state of the i-th item; it comes from shared/segmented_reduce_rows.wgsl or its _records twin.

const NO_SEGMENT: u32 = 0xffffffffu;

// Two runs per invocation: its first segment's and its last segment's.
var<workgroup> run_segments: array<u32, 2u * WORKGROUP>;
var<workgroup> run_states: array<vec4<u32>, 2u * WORKGROUP>;

fn emit(segment: u32, state: vec4<u32>) {
    for (var w = 0u; w < WORDS; w++) {
        output[segment * WORDS + w] = state[w];
    }
}

// A run's state on top of the run `step` places to the left, if that is the same segment's.
fn run_with_left(run: u32, step: u32) -> vec4<u32> {
    if (run >= step && run_segments[run - step] == run_segments[run]) {
        return combine(run_states[run - step], run_states[run]);
    }
    return run_states[run];
}

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    values = params;
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    let begin = tile * TILE + at.local * ITEMS;
    var met = 0u;
    var first = NO_SEGMENT;
    var first_state = identity();
    var segment = NO_SEGMENT;
    var state = identity();
    for (var i = begin; i < min(begin + ITEMS, params.n); i++) {
        let s = segments[i];
        if (met == 0u) {
            first = s;
            segment = s;
            met = 1u;
        } else if (s != segment) {
            if (met == 1u) {
                first_state = state;
            } else {
                emit(segment, state);
            }
            segment = s;
            state = identity();
            met++;
        }
        state = combine(state, load(i));
    }
    if (met == 1u) {
        first_state = state;
        state = identity();
    }
    let run = 2u * at.local;
    run_segments[run] = first;
    run_states[run] = first_state;
    run_segments[run + 1u] = segment;
    run_states[run + 1u] = state;
    workgroupBarrier(); // every run is written

    for (var step = 1u; step < 2u * WORKGROUP; step <<= 1u) {
        let even = run_with_left(run, step);
        let odd = run_with_left(run + 1u, step);
        workgroupBarrier(); // every left neighbour is read before any is overwritten
        run_states[run] = even;
        run_states[run + 1u] = odd;
        workgroupBarrier(); // this step's states are written
    }

    let tile_first = run_segments[0];
    let tile_last = segments[min(tile * TILE + TILE, params.n) - 1u];
    for (var r = run; r < run + 2u; r++) {
        let s = run_segments[r];
        if (s == NO_SEGMENT) {
            continue;
        }
        if (r + 1u < 2u * WORKGROUP) {
            if (run_segments[r + 1u] == s) {
                continue;
            }
        }
        if (params.is_last != 0u) {
            emit(s, run_states[r]);
        } else if (s == tile_first) {
            record_segments[2u * tile] = s;
            record_states[2u * tile] = run_states[r];
        } else if (s == tile_last) {
            record_segments[2u * tile + 1u] = s;
            record_states[2u * tile + 1u] = run_states[r];
        } else {
            emit(s, run_states[r]);
        }
    }
    if (params.is_last == 0u && at.local == 0u && tile_first == tile_last) {
        record_segments[2u * tile + 1u] = tile_last;
        record_states[2u * tile + 1u] = identity();
    }
}
