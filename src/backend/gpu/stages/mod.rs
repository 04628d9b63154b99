//! Kernels put together: each function records the dispatches of one primitive.
//!
//! Every function takes the recording, the device's [`Shape`](crate::kernel::Shape), and views whose size it states; it
//! submits nothing. Row counts are known to the host when it records. Where a function takes `rows` or `order`, `None`
//! means 0, 1, 2, ….
//!
//! The data of a chunk is one buffer of `u32` planes ([`kernel::value`](crate::kernel::value) says how values and
//! validity stand in it); a plane is named by its word offset. A status plane holds one word per row.

mod compact;
mod direct;
mod keys;
mod reduce;
mod scan;
mod segments;
mod sort;

pub use compact::{compact, gather};
pub use direct::{direct, direct_keys};
pub use keys::{PackedKeys, exponent_range, key_bits, pack_keys};
pub use reduce::{reduce, reduce_all};
pub use scan::scan;
pub use segments::{Segments, segments};
pub use sort::{Along, Sorted, sort, sort_words};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backend::gpu::record::{Recording, View};
    use crate::backend::gpu::testing::{Random, Table, bytes, everywhere};
    use crate::kernel::pack_keys::Packing;
    use crate::kernel::value::{Kind, Op, Reduction, ValuePlanes};

    /// The whole way of a chunk: choose rows, pack their keys, sort, cut into segments, reduce; and the direct way.
    #[test]
    fn a_grouped_sum_comes_out_the_same_by_sort_and_directly_and_plainly() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(14);
            let n = 3 * shape.tile() + 11;
            let mut table = Table::new(&mut random, n);
            // Two key words, the first the more significant, then a status.
            let keys_at = table.planes.len() as u32;
            table.planes.extend((0..n).map(|_| 0x0100_0000 | random.below(5) << 7));
            table.planes.extend((0..n).map(|_| 0xff00_0000 | random.below(9)));
            let status_at = table.planes.len() as u32;
            table.planes.extend((0..n).map(|_| random.below(3)));
            let status = &table.planes[status_at as usize..];
            let values = ValuePlanes::one(table.ints, Some(table.valid), n);
            let sum = Reduction::of(Op::Sum, Kind::I64);

            let mut rec = Recording::new();
            let planes = rec.upload("planes", bytes(&table.planes));
            let (rows, count) = compact(&mut rec, &shape, planes.into(), status_at, 1, n);
            let count = rec.download(count);
            rec.keep(planes);
            rec.keep(rows);
            let mut first = engine.run(rec).unwrap();
            let count = first.take_words(count)[0];
            assert_eq!(count as usize, status.iter().filter(|s| **s == 1).count());

            let mut rec = Recording::new();
            let [planes, rows] = [0, 1].map(|i| rec.import(&first.kept[i]).all());
            let bits = key_bits(&mut rec, &shape, planes, keys_at, n, 2, Some(rows), count);
            let bits = rec.download(bits);
            let bits = engine.run(rec).unwrap().take_words(bits);
            let packing = Packing::new(&[(keys_at, bits[0]), (keys_at + n, bits[1])]);
            assert!(packing.bits <= 7);

            let mut rec = Recording::new();
            let [planes, rows] = [0, 1].map(|i| rec.import(&first.kept[i]).all());
            let packed = pack_keys(&mut rec, &shape, &packing, planes, Some(rows), count);
            let sorted = sort(&mut rec, &shape, packed.keys.into(), packed.stride, &packing.varying(), count);
            let order = sorted.order.unwrap();
            let order_rows = gather(&mut rec, &shape, rows, 0, order.into(), count);
            let keys = sorted.keys.unwrap();
            let segments = segments(&mut rec, &shape, keys.into(), count, 1, None, count);
            let by_sort = reduce(
                &mut rec,
                &shape,
                &sum,
                planes,
                values,
                0,
                Some(order_rows.into()),
                segments.ids.into(),
                count,
                count,
            );
            let codes = packed.keys.into();
            let directly =
                direct(&mut rec, &shape, &sum, planes, values, 0, Some(rows), codes, 1 << packing.bits, count);
            let head_keys = gather(&mut rec, &shape, keys.into(), 0, segments.starts.into(), count);
            let downloads =
                [by_sort.into(), directly.into(), segments.count, head_keys.into()].map(|v: View| rec.download(v));
            let mut outcome = engine.run(rec).unwrap();
            let [by_sort, directly, groups, head_keys] = downloads.map(|d| outcome.take_words(d));

            let mut want = BTreeMap::<(u32, u32), u128>::new();
            for row in (0..n as usize).filter(|row| status[*row] == 1) {
                let word = |w: u32| table.planes[(keys_at + w * n) as usize + row];
                let sum = want.entry((word(0), word(1))).or_default();
                if table.planes[table.valid as usize + row] == 1 {
                    let at = table.ints as usize + row;
                    let bits = u64::from(table.planes[at]) | u64::from(table.planes[at + n as usize]) << 32;
                    *sum = sum.wrapping_add(i128::from(bits as i64) as u128);
                }
            }
            assert_eq!(groups[0] as usize, want.len(), "{place}");
            let state = |states: &[u32], at: usize| {
                crate::kernel::value::from_words(<[u32; 4]>::try_from(&states[at * 4..][..4]).unwrap())
            };
            for (group, (key, sum)) in want.iter().enumerate() {
                let code = head_keys[group];
                let [high, low] =
                    [0, 1].map(|w| packing.unpack(&[code], keys_at + w * n, [0x0100_0000, 0xff00_0000][w as usize]));
                assert_eq!((high, low), *key, "{place}: group {group}");
                assert_eq!(state(&by_sort, group), *sum, "{place}: group {group} by sort");
                assert_eq!(state(&directly, code as usize), *sum, "{place}: group {group} directly");
            }
        });
    }
}
