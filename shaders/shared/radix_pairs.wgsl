// A value goes along with every key.

const PAIRS: bool = true;

@group(0) @binding(4) var<storage, read> values_in: array<u32>;
@group(0) @binding(5) var<storage, read_write> values_out: array<u32>;

fn value_at(i: u32) -> u32 {
    var value = i;
    if (params.iota == 0u) {
        value = values_in[i];
    }
    return value;
}

fn put_value(place: u32, value: u32) {
    values_out[place] = value;
}
