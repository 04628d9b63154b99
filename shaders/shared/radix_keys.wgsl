// Keys alone.

const PAIRS: bool = false;

fn value_at(i: u32) -> u32 {
    return i;
}

fn put_value(place: u32, value: u32) {}
