//! One state per segment, or one for all.

use crate::backend::gpu::record::{Buf, Recording, Traffic, View};
use crate::kernel::Shape;
use crate::kernel::reduce as all_rows;
use crate::kernel::segmented_reduce::{SegmentedReduceRecordsParams, SegmentedReduceRowsParams, records, rows};
use crate::kernel::value::{NO_PLANE, Reduction, ValuePlanes};

/// Reduces the values of each segment. Sorted row `i` is row `order[i]` of `planes` and belongs to segment `ids[i]`,
/// ascending; there are at most `most` segments. For sums, the window starts at bit `base`.
///
/// Gives `most` states of [`Reduction::words`] words each; those of segments that do not exist are undefined.
#[expect(clippy::too_many_arguments, reason = "each is one independent fact about the data")]
pub fn reduce(
    rec: &mut Recording,
    shape: &Shape,
    reduction: &Reduction,
    planes: View,
    values: ValuePlanes,
    base: i32,
    order: Option<View>,
    ids: View,
    n: u32,
    most: u32,
) -> Buf {
    let words = u64::from(reduction.words());
    let output = rec.words("states", u64::from(most) * words);
    let mut tiles = shape.tiles(n);
    let mut level = Records::new(rec, tiles);
    let params = rows_params(values, base, n, tiles);
    let bindings = [
        ("planes", planes),
        ("order", order.unwrap_or(planes)),
        ("segments", ids),
        ("output", output.into()),
        ("record_segments", level.segments.into()),
        ("record_states", level.states.into()),
    ];
    // A segment, an order, the value's words and a validity word per row.
    let per_row =
        1 + u64::from(order.is_some()) + u64::from(reduction.x.words() + reduction.y.map_or(0, |y| y.words())) + 1;
    let traffic = Traffic::words(u64::from(n) * per_row, u64::from(most) * words);
    rec.dispatch(rows(shape, reduction, &values, order.is_some()), params, &bindings, tiles, traffic);
    while tiles > 1 {
        let n = tiles * 2;
        tiles = shape.tiles(n);
        let next = Records::new(rec, tiles);
        let params = SegmentedReduceRecordsParams { n, tiles, is_last: u32::from(tiles == 1) };
        let bindings = [
            ("states", level.states.into()),
            ("segments", level.segments.into()),
            ("output", output.into()),
            ("record_segments", next.segments.into()),
            ("record_states", next.states.into()),
        ];
        let traffic = Traffic::words(u64::from(n) * 5, u64::from(n) * words);
        rec.dispatch(records(shape, reduction), params, &bindings, tiles, traffic);
        level = next;
    }
    output
}

/// What the first kernel of either way is told: the rows as the tiles see them.
fn rows_params(values: ValuePlanes, base: i32, n: u32, tiles: u32) -> SegmentedReduceRowsParams {
    let ValuePlanes { x_at, y_at, x_valid, y_valid, stride } = values;
    let (is_last, base) = (u32::from(tiles == 1), base as u32);
    SegmentedReduceRowsParams { n, tiles, is_last, x_at, y_at, x_valid, y_valid, stride, base }
}

/// Reduces all values to one state of [`Reduction::words`] words. Item `i` is row `order[i]` of `planes`. For sums, the
/// window starts at bit `base`.
#[expect(clippy::too_many_arguments, reason = "each is one independent fact about the data")]
pub fn reduce_all(
    rec: &mut Recording,
    shape: &Shape,
    reduction: &Reduction,
    planes: View,
    values: ValuePlanes,
    base: i32,
    order: Option<View>,
    n: u32,
) -> Buf {
    let words = u64::from(reduction.words());
    let output = rec.words("state", words);
    // No item at all still gives the identity.
    let tile = all_rows::tile(shape);
    let mut tiles = n.div_ceil(tile).max(1);
    let mut states = rec.words("record states", u64::from(tiles) * 4);
    let params = rows_params(values, base, n, tiles);
    let bindings = [
        ("planes", planes),
        ("order", order.unwrap_or(planes)),
        ("output", output.into()),
        ("record_states", states.into()),
    ];
    let validity = [values.x_valid, values.y_valid].iter().filter(|plane| **plane != NO_PLANE).count() as u64;
    let value = u64::from(reduction.x.words() + reduction.y.map_or(0, |y| y.words()));
    let per_row = u64::from(order.is_some()) + value + validity;
    let traffic = Traffic::words(u64::from(n) * per_row, u64::from(tiles) * 4);
    rec.dispatch(all_rows::rows(shape, reduction, &values, order.is_some()), params, &bindings, tiles, traffic);
    while tiles > 1 {
        let n = tiles;
        tiles = n.div_ceil(tile);
        let next = rec.words("record states", u64::from(tiles) * 4);
        let params = SegmentedReduceRecordsParams { n, tiles, is_last: u32::from(tiles == 1) };
        let bindings = [("states", states.into()), ("output", output.into()), ("record_states", next.into())];
        let traffic = Traffic::words(u64::from(n) * 4, u64::from(tiles) * 4);
        rec.dispatch(all_rows::records(shape, reduction), params, &bindings, tiles, traffic);
        states = next;
    }
    output
}

/// Two records a tile: its first and its last segment's.
struct Records {
    segments: Buf,
    states: Buf,
}

impl Records {
    fn new(rec: &mut Recording, tiles: u32) -> Self {
        let n = u64::from(tiles.max(1)) * 2;
        Self { segments: rec.words("record segments", n), states: rec.words("record states", n * 4) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::Engine;
    use crate::backend::gpu::testing::{Random, Table, bytes, everywhere, reductions, sizes};
    use crate::kernel::segmented_reduce::reference;

    /// Segment ids of `n` sorted rows whose segments have the given lengths, again and again.
    fn ids(n: u32, lengths: &[u32]) -> Vec<u32> {
        let lengths = lengths.iter().cycle();
        let ids = lengths.zip(0u32..).flat_map(|(len, id)| std::iter::repeat_n(id, *len as usize));
        ids.take(n as usize).collect()
    }

    #[test]
    fn every_reduction_equals_its_reference() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let tile = shape.tile();
            let mut random = Random::new(7);
            let table = Table::new(&mut random, 3 * tile + 7);
            for (name, reduction, values, base) in reductions(&table) {
                for n in [0, 1, tile, tile + 1, 3 * tile + 7] {
                    for lengths in [vec![u32::MAX], vec![1], vec![1, 5, 2 * tile + 1, tile / 2]] {
                        let ids = ids(n, &lengths);
                        check(
                            engine,
                            &table,
                            &reduction,
                            values,
                            base,
                            &ids,
                            &mut random,
                            &format!("{place}: {name}, n = {n}"),
                        );
                    }
                }
            }
        });
    }

    #[test]
    fn all_rows_reduce_to_one_state() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(16);
            let tile = all_rows::tile(&shape);
            let most = 3 * tile + 7;
            let table = Table::new(&mut random, most);
            for (name, reduction, values, base) in reductions(&table) {
                for n in [0, 1, shape.tile() + 1, tile, tile + 1, most] {
                    let rows: Vec<u32> = (0..n).map(|_| random.below(table.rows)).collect();
                    for rows in [None, Some(rows)] {
                        let mut rec = Recording::new();
                        let planes = rec.upload("planes", bytes(&table.planes));
                        let order = rows.as_ref().map(|rows| rec.upload("order", bytes(rows)).into());
                        let state = reduce_all(&mut rec, &shape, &reduction, planes.into(), values, base, order, n);
                        let state = rec.download(state);
                        let got = engine.run(rec).unwrap().take_words(state);
                        let row = |i: usize| rows.as_ref().map_or(i, |rows| rows[i] as usize);
                        let want = crate::kernel::reduce::reference(&reduction, n as usize, |i| {
                            table.state(&reduction, values, base, row(i))
                        });
                        assert_eq!(got, want[..reduction.words() as usize], "{place}: {name}, n = {n}");
                    }
                }
            }
        });
    }

    #[test]
    fn one_segment_over_several_levels_of_tiles() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(8);
            let n = sizes(&shape).pop().unwrap();
            let table = Table::new(&mut random, n);
            let (_, reduction, values, base) = reductions(&table).into_iter().find(|r| r.0 == "sum of floats").unwrap();
            for lengths in [vec![u32::MAX], vec![1], vec![3, 2000]] {
                let ids = ids(n, &lengths);
                check(engine, &table, &reduction, values, base, &ids, &mut random, &format!("{place}: n = {n}"));
            }
        });
    }

    #[expect(clippy::too_many_arguments, reason = "a test's facts")]
    fn check(
        engine: &mut Engine,
        table: &Table,
        reduction: &Reduction,
        values: ValuePlanes,
        base: i32,
        ids: &[u32],
        random: &mut Random,
        place: &str,
    ) {
        let n = ids.len() as u32;
        let order: Vec<u32> = (0..n).map(|_| random.below(table.rows)).collect();
        let most = ids.last().map_or(0, |last| last + 1);
        for order in [None, Some(order)] {
            let mut rec = Recording::new();
            let planes = rec.upload("planes", bytes(&table.planes));
            let ids_buf = rec.upload("ids", bytes(ids));
            let order_buf = order.as_ref().map(|order| rec.upload("order", bytes(order)).into());
            let shape = engine.shape();
            let states =
                reduce(&mut rec, &shape, reduction, planes.into(), values, base, order_buf, ids_buf.into(), n, most);
            let states = rec.download(states);
            let got = engine.run(rec).unwrap().take_words(states);
            let row = |i: usize| order.as_ref().map_or(i, |order| order[i] as usize);
            let want = reference(reduction, ids, |i| table.state(reduction, values, base, row(i)));
            let words = reduction.words() as usize;
            for (segment, want) in want.iter().enumerate() {
                assert_eq!(got[segment * words..][..words], want[..words], "{place}: segment {segment}");
            }
        }
    }
}
