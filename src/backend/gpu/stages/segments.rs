//! Segments of equal keys.

use super::scan;
use crate::backend::gpu::record::{Buf, Recording, Traffic, View};
use crate::kernel::Shape;
use crate::kernel::segment_heads::{SegmentHeadsParams, kernel};

/// Runs of equal keys in sorted rows.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    /// The segment of every sorted row: `n` words.
    pub ids: Buf,
    /// The first sorted row of every segment: `n` words, of which as many are set as there are segments.
    pub starts: Buf,
    /// How many segments there are: one word.
    pub count: View,
}

/// The segments of `n` sorted rows. The key of sorted row `i` is that of position `order[i]`; word `w` of position `p`'s
/// key is `keys[w · stride + p]`.
pub fn segments(
    rec: &mut Recording,
    shape: &Shape,
    keys: View,
    stride: u32,
    words: u32,
    order: Option<View>,
    n: u32,
) -> Segments {
    let tiles = shape.tiles(n);
    let (ids, starts) = (rec.words("segments", n.into()), rec.words("segment starts", n.into()));
    let counts = rec.words("tile counts", u64::from(tiles) + 1);
    let count = counts.words(tiles.into(), 1);
    rec.clear(count);
    let params = SegmentHeadsParams { n, tiles, words, stride, iota: u32::from(order.is_none()) };
    let bindings = [
        ("keys", keys),
        ("order", order.unwrap_or(keys)),
        ("counts", counts.into()),
        ("segments", ids.into()),
        ("starts", starts.into()),
    ];
    let read = u64::from(n) * (u64::from(words) + 1);
    rec.dispatch(kernel(shape, "count"), params, &bindings, tiles, Traffic::words(read, tiles.into()));
    scan(rec, shape, counts, tiles + 1);
    rec.dispatch(kernel(shape, "write"), params, &bindings, tiles, Traffic::words(read * 2, u64::from(n) * 2));
    Segments { ids, starts, count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::testing::{Random, bytes, everywhere, sizes};
    use crate::kernel::segment_heads::reference;

    #[test]
    fn heads_are_found_through_any_order() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(6);
            for n in sizes(&shape) {
                for (name, words, distinct) in [("all equal", 1, 1), ("few", 2, 3), ("many", 1, u32::MAX)] {
                    let mut keys: Vec<Vec<u32>> =
                        (0..n).map(|_| (0..words).map(|_| random.below(distinct)).collect()).collect();
                    keys.sort();
                    // Keys lie in memory backwards, unless they are read in place.
                    for backwards in [false, true] {
                        let stride = n + 3;
                        let mut planes = vec![9; words * stride as usize];
                        let order: Vec<u32> = (0..n).map(|i| if backwards { n - 1 - i } else { i }).collect();
                        for (i, key) in keys.iter().enumerate() {
                            for (w, word) in key.iter().enumerate() {
                                planes[w * stride as usize + order[i] as usize] = *word;
                            }
                        }
                        let mut rec = Recording::new();
                        let buf = rec.upload("keys", bytes(&planes));
                        let order = rec.upload("order", bytes(&order));
                        let order = backwards.then_some(order.into());
                        let found = segments(&mut rec, &shape, buf.into(), stride, words as u32, order, n);
                        let downloads =
                            [found.ids.into(), found.starts.into(), found.count].map(|v: View| rec.download(v));
                        let mut outcome = engine.run(rec).unwrap();
                        let [ids, starts, count] = downloads.map(|d| outcome.take_words(d));
                        let (want_ids, want_starts) = reference(&keys);
                        assert_eq!(count[0] as usize, want_starts.len(), "{place}: {name}, n = {n}");
                        assert!(ids[..n as usize] == want_ids, "{place}: {name}, n = {n}");
                        assert!(starts[..want_starts.len()] == want_starts, "{place}: {name}, n = {n}");
                    }
                }
            }
        });
    }
}
