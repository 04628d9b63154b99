// Items are the records of the tiles below.

fn with_item(partial: Partial, i: u32) -> Partial {
    return Partial(combine(partial.state, load(i)), partial.carries);
}

fn state_of(partial: Partial) -> vec4<u32> {
    return partial.state;
}
