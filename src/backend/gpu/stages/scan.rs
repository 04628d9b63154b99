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
