//! Prefix sums of any length.

use crate::backend::gpu::record::{Recording, Traffic, View};
use crate::kernel::Shape;
use crate::kernel::scan::{ScanParams, kernel};

/// Replaces `data[0..n]` by its exclusive prefix sums, modulo 2³².
///
/// To have the total too, make `data` one word longer, clear that word and count it in `n`.
pub fn scan(rec: &mut Recording, shape: &Shape, data: impl Into<View>, n: u32) {
    let data = data.into();
    let tiles = shape.tiles(n);
    let params = ScanParams { n, tiles };
    let words = u64::from(n);
    if tiles <= 1 {
        rec.dispatch(kernel(shape, "single"), params, &[("data", data)], tiles, Traffic::words(words * 2, words));
        return;
    }
    let sums = rec.words("tile sums", tiles.into());
    let bindings = [("data", data), ("sums", sums.into())];
    rec.dispatch(kernel(shape, "reduce"), params, &bindings, tiles, Traffic::words(words, tiles.into()));
    scan(rec, shape, sums, tiles);
    rec.dispatch(kernel(shape, "write"), params, &bindings, tiles, Traffic::words(words * 2, words));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::testing::{Random, bytes, everywhere, sizes};
    use crate::kernel::scan::reference;

    #[test]
    fn prefix_sums_equal_the_reference() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(1);
            for n in sizes(&shape) {
                // Full words make the sums wrap; zeros and ones are what flags look like.
                for limit in [u32::MAX, 2] {
                    let data: Vec<u32> = (0..n).map(|_| random.below(limit)).collect();
                    let mut rec = Recording::new();
                    let buf = rec.upload("data", bytes(&data));
                    scan(&mut rec, &shape, buf, n);
                    let out = rec.download(buf.words(0, n.into()));
                    let got = engine.run(rec).unwrap().take_words(out);
                    assert_eq!(got, reference(&data), "{place}: n = {n}");
                }
            }
        });
    }
}
