//! Choosing rows, and reading through a choice.

use super::scan;
use crate::backend::gpu::record::{Buf, Recording, Traffic, View};
use crate::kernel::compact::{CompactParams, kernel};
use crate::kernel::{Shape, gather as gather_kernel};

/// The indices of the rows `r < n` whose status `planes[status_at + r]` is `want`, ascending, as `n` words of which
/// the first `count` are set, and a view of the one word `count`.
pub fn compact(rec: &mut Recording, shape: &Shape, planes: View, status_at: u32, want: u32, n: u32) -> (Buf, View) {
    let tiles = shape.tiles(n);
    let rows = rec.words("selected rows", n.into());
    let counts = rec.words("tile counts", u64::from(tiles) + 1);
    let total = counts.words(tiles.into(), 1);
    rec.clear(total);
    let params = CompactParams { n, tiles, status_at, want };
    let bindings = [("planes", planes), ("counts", counts.into()), ("rows", rows.into())];
    let words = u64::from(n);
    rec.dispatch(kernel(shape, "count"), params, &bindings, tiles, Traffic::words(words, tiles.into()));
    scan(rec, shape, counts, tiles + 1);
    rec.dispatch(kernel(shape, "write"), params, &bindings, tiles, Traffic::words(words * 2, words));
    (rows, total)
}

/// `source[source_at + index[i]]` for `i < n`, as `n` words.
pub fn gather(rec: &mut Recording, shape: &Shape, source: View, source_at: u32, index: View, n: u32) -> Buf {
    let output = rec.words("gathered", n.into());
    let params = gather_kernel::GatherParams { n, source_at };
    let bindings = [("source", source), ("index", index), ("output", output.into())];
    let traffic = Traffic::words(u64::from(n) * 2, n.into());
    rec.dispatch(gather_kernel::kernel(shape), params, &bindings, shape.tiles(n), traffic);
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::testing::{Random, bytes, everywhere, sizes};
    use crate::kernel::compact::reference;

    #[test]
    fn selected_rows_come_in_order() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(3);
            for n in sizes(&shape) {
                // None, about a third, and all rows; a plane in front of the status moves it.
                for statuses in [[0, 2, 0], [0, 1, 2], [1, 1, 1]] {
                    let status: Vec<u32> = (0..n).map(|_| statuses[random.below(3) as usize]).collect();
                    let planes: Vec<u32> = std::iter::repeat_n(1, n as usize).chain(status.iter().copied()).collect();
                    let mut rec = Recording::new();
                    let buf = rec.upload("planes", bytes(&planes));
                    let (rows, count) = compact(&mut rec, &shape, buf.into(), n, 1, n);
                    let doubled = gather(&mut rec, &shape, buf.into(), n, rows.into(), n);
                    let (rows, count, doubled) = (rec.download(rows), rec.download(count), rec.download(doubled));
                    let mut outcome = engine.run(rec).unwrap();
                    let count = outcome.take_words(count)[0] as usize;
                    let want = reference(&status, 1);
                    assert_eq!(count, want.len(), "{place}: n = {n}");
                    assert_eq!(outcome.take_words(rows)[..count], want, "{place}: n = {n}");
                    assert_eq!(outcome.take_words(doubled)[..count], vec![1; count], "{place}: n = {n}");
                }
            }
        });
    }
}
