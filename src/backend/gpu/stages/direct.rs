//! One state per key for small key spaces, without a sort.

use crate::backend::gpu::record::{Buf, Recording, Traffic, View};
use crate::kernel::Shape;
use crate::kernel::direct_aggregate::{CELLS, DirectAggregateParams, kernel};
use crate::kernel::direct_combine::{self, DirectCombineParams};
use crate::kernel::value::{Reduction, ValuePlanes};

/// Workgroups that accumulate: enough for a large GPU, few enough that their cells are little to combine.
const MOST_GROUPS: u32 = 256;

/// Keys of which the cells fit a workgroup's memory; with more, the rows are read once per that many.
pub fn direct_keys(reduction: &Reduction) -> u32 {
    CELLS / reduction.words()
}

/// Reduces the values of each key below `keys`. Item `i` is row `rows[i]` of `planes` and has the key `codes[i]`. For
/// sums, the window starts at bit `base`.
///
/// Gives `keys` states of [`Reduction::words`] words each; a key that does not occur has the identity.
#[expect(clippy::too_many_arguments, reason = "each is one independent fact about the data")]
pub fn direct(
    rec: &mut Recording,
    shape: &Shape,
    reduction: &Reduction,
    planes: View,
    values: ValuePlanes,
    base: i32,
    rows: Option<View>,
    codes: View,
    keys: u32,
    n: u32,
) -> Buf {
    let words = u64::from(reduction.words());
    let output = rec.words("states", u64::from(keys) * words);
    let rows_per_group = n.div_ceil(MOST_GROUPS).max(shape.tile());
    let groups = n.div_ceil(rows_per_group).max(1);
    let ValuePlanes { x_at, y_at, x_valid, y_valid, stride } = values;
    for first_key in (0..keys).step_by(direct_keys(reduction) as usize) {
        let keys = (keys - first_key).min(direct_keys(reduction));
        let cells = u64::from(groups) * u64::from(keys) * words;
        let partials = rec.words("cells", cells);
        let params = DirectAggregateParams {
            n,
            first_key,
            keys,
            groups,
            rows_per_group,
            iota: u32::from(rows.is_none()),
            x_at,
            y_at,
            x_valid,
            y_valid,
            stride,
            base: base as u32,
        };
        let bindings =
            [("planes", planes), ("rows", rows.unwrap_or(planes)), ("codes", codes), ("partials", partials.into())];
        let per_row = 2 + u64::from(reduction.x.words() + reduction.y.map_or(0, |y| y.words())) + 1;
        let traffic = Traffic::words(u64::from(n) * per_row, cells);
        rec.dispatch(kernel(shape, reduction, &values), params, &bindings, groups, traffic);
        let params = DirectCombineParams { first_key, keys, groups };
        let bindings = [("partials", partials.into()), ("output", output.into())];
        let traffic = Traffic::words(cells, u64::from(keys) * words);
        rec.dispatch(
            direct_combine::kernel(shape, reduction),
            params,
            &bindings,
            keys.div_ceil(shape.workgroup),
            traffic,
        );
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::testing::{Random, Table, bytes, everywhere, reductions};
    use crate::kernel::direct_aggregate::reference;

    #[test]
    fn every_reduction_equals_its_reference() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(9);
            let most = 2 * shape.tile() + 5;
            let table = Table::new(&mut random, most);
            for (name, reduction, values, base) in reductions(&table) {
                // One key, some, and more than one slice of cells.
                for (n, keys) in [(0, 3), (1, 1), (most, 1), (most, 100), (most, direct_keys(&reduction) + 1)] {
                    // Half of the items have one key.
                    let codes: Vec<u32> =
                        (0..n).map(|_| if random.below(2) == 0 { keys / 2 } else { random.below(keys) }).collect();
                    let rows: Vec<u32> = (0..n).map(|_| random.below(table.rows)).collect();
                    for rows in [None, Some(&rows)] {
                        let mut rec = Recording::new();
                        let planes = rec.upload("planes", bytes(&table.planes));
                        let codes_buf = rec.upload("codes", bytes(&codes));
                        let rows_buf = rows.map(|rows| rec.upload("rows", bytes(rows)).into());
                        let states = direct(
                            &mut rec,
                            &shape,
                            &reduction,
                            planes.into(),
                            values,
                            base,
                            rows_buf,
                            codes_buf.into(),
                            keys,
                            n,
                        );
                        let states = rec.download(states);
                        let got = engine.run(rec).unwrap().take_words(states);
                        let row = |i: usize| rows.map_or(i, |rows| rows[i] as usize);
                        let want =
                            reference(&reduction, &codes, keys, |i| table.state(&reduction, values, base, row(i)));
                        let words = reduction.words() as usize;
                        for (key, want) in want.iter().enumerate() {
                            let state = &got[key * words..][..words];
                            assert_eq!(state, &want[..words], "{place}: {name}, n = {n}, key {key} of {keys}");
                        }
                    }
                }
            }
        });
    }
}
