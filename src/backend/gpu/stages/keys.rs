//! Looking at columns before they are sorted or summed: bits in use, and keys packed into them.

use crate::backend::gpu::record::{Buf, Recording, Traffic, View};
use crate::kernel::exponent_range::{self, ExponentRangeParams};
use crate::kernel::key_bits::{self, KeyBitsParams};
use crate::kernel::pack_keys::{self, PackKeysParams, Packing};
use crate::kernel::value::{Kind, NO_PLANE};
use crate::kernel::{Shape, value};

/// The range of bits that a column's values use, as three words for
/// [`ExponentRange::from_words`](exponent_range::ExponentRange::from_words).
#[expect(clippy::too_many_arguments, reason = "each is one independent fact about the data")]
pub fn exponent_range(
    rec: &mut Recording,
    shape: &Shape,
    kind: Kind,
    planes: View,
    at: u32,
    valid: Option<u32>,
    stride: u32,
    rows: Option<View>,
    n: u32,
) -> Buf {
    let range = rec.words("range", 3);
    rec.clear(range);
    let tiles = shape.tiles(n);
    let values = value::ValuePlanes::one(at, valid, stride);
    let value::ValuePlanes { x_at, y_at, x_valid, .. } = values;
    let iota = u32::from(rows.is_none());
    let params = ExponentRangeParams { n, tiles, iota, x_at, y_at, x_valid, y_valid: NO_PLANE, stride, base: 0 };
    let bindings = [("planes", planes), ("rows", rows.unwrap_or(planes)), ("range", range.into())];
    let traffic = Traffic::words(u64::from(n) * (2 + u64::from(kind.words())), 0);
    rec.dispatch(exponent_range::kernel(shape, kind, &values), params, &bindings, tiles, traffic);
    range
}

/// For each of `words` key words, whose planes start at `keys_at` and lie `stride` apart, the bits that differ between
/// rows: `words` words.
#[expect(clippy::too_many_arguments, reason = "each is one independent fact about the data")]
pub fn key_bits(
    rec: &mut Recording,
    shape: &Shape,
    planes: View,
    keys_at: u32,
    stride: u32,
    words: u32,
    rows: Option<View>,
    n: u32,
) -> Buf {
    let varying = rec.words("varying bits", words.into());
    rec.clear(varying);
    let tiles = shape.tiles(n);
    let params = KeyBitsParams { n, tiles, iota: u32::from(rows.is_none()), words, keys_at, stride };
    let bindings = [("planes", planes), ("rows", rows.unwrap_or(planes)), ("differing", varying.into())];
    let traffic = Traffic::words(u64::from(n) * u64::from(words) * 2, 0);
    rec.dispatch(key_bits::kernel(shape), params, &bindings, tiles * words, traffic);
    varying
}

/// Packed keys: word `w` of item `i` is at `w · stride + i`, the least significant word first.
#[derive(Clone, Copy, Debug)]
pub struct PackedKeys {
    /// The planes.
    pub keys: Buf,
    /// Words from one plane to the next; planes can be bound where they stand.
    pub stride: u32,
}

/// Packs the keys of `n` items. A packing of no bits at all gives one word of zeros per item.
pub fn pack_keys(
    rec: &mut Recording,
    shape: &Shape,
    packing: &Packing,
    planes: View,
    rows: Option<View>,
    n: u32,
) -> PackedKeys {
    let stride = n.next_multiple_of(64);
    let words = packing.words().max(1);
    let keys = rec.words("packed keys", u64::from(stride) * u64::from(words));
    if packing.spans.is_empty() {
        rec.clear(keys);
        return PackedKeys { keys, stride };
    }
    let spans = rec.upload("spans", bytemuck::cast_slice(&packing.spans).to_vec());
    let params = PackKeysParams { n, iota: u32::from(rows.is_none()), spans: packing.spans.len() as u32, stride };
    let bindings =
        [("planes", planes), ("rows", rows.unwrap_or(planes)), ("spans", spans.into()), ("packed", keys.into())];
    let traffic = Traffic::words(u64::from(n) * (1 + packing.spans.len() as u64), u64::from(n) * u64::from(words));
    rec.dispatch(pack_keys::kernel(shape), params, &bindings, shape.tiles(n), traffic);
    PackedKeys { keys, stride }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::testing::{Random, Table, bytes, everywhere, sizes};
    use crate::kernel::exponent_range::ExponentRange;

    #[test]
    fn ranges_hold_every_finite_value() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(10);
            for n in sizes(&shape).into_iter().take(6) {
                let table = Table::new(&mut random, n.max(1));
                let rows: Vec<u32> = (0..n).filter(|_| random.below(2) == 0).collect();
                for (kind, at) in [(Kind::F64, table.floats), (Kind::I64, table.ints), (Kind::I128, table.wides)] {
                    for rows in [None, Some(&rows)] {
                        let mut rec = Recording::new();
                        let planes = rec.upload("planes", bytes(&table.planes));
                        let rows_buf = rows.map(|rows| rec.upload("rows", bytes(rows)).into());
                        let items = rows.map_or(n, |rows| rows.len() as u32);
                        let (valid, stride) = (Some(table.valid), table.rows);
                        let range =
                            exponent_range(&mut rec, &shape, kind, planes.into(), at, valid, stride, rows_buf, items);
                        let range = rec.download(range);
                        let words = engine.run(rec).unwrap().take_words(range);
                        let got = ExponentRange::from_words([words[0], words[1], words[2]]);
                        let row = |i: u32| rows.map_or(i, |rows| rows[i as usize]) as usize;
                        let valid = (0..items).map(row).filter_map(|row| table.value(kind, at, table.valid, row));
                        assert_eq!(got, exponent_range::reference(kind, valid), "{place}: {kind:?}, n = {n}");
                    }
                }
            }
        });
    }

    #[test]
    fn keys_pack_into_their_varying_bits() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(11);
            for n in sizes(&shape).into_iter().filter(|n| (1..20_000).contains(n)) {
                for masks in [[0xffu32, 0x10f0_0001, u32::MAX], [0, 0, 0], [3, u32::MAX, u32::MAX]] {
                    let mut planes = vec![5; 7];
                    for mask in masks {
                        planes.extend((0..n).map(|_| (random.word() & mask) | (0x4321_8765 & !mask)));
                    }
                    let rows: Vec<u32> = (0..n).map(|_| random.below(n)).collect();
                    let mut rec = Recording::new();
                    let buf = rec.upload("planes", bytes(&planes));
                    let rows_buf = rec.upload("rows", bytes(&rows));
                    let varying = key_bits(&mut rec, &shape, buf.into(), 7, n, 3, Some(rows_buf.into()), n);
                    let varying = rec.download(varying);
                    let varying = engine.run(rec).unwrap().take_words(varying);
                    let word = |w: u32| rows.iter().map(|&r| planes[(7 + w * n + r) as usize]).collect::<Vec<_>>();
                    let want: Vec<_> = (0..3).map(|w| key_bits::reference(&word(w))).collect();
                    assert_eq!(varying, want, "{place}: n = {n}");

                    let packing = Packing::new(&[0, 1, 2].map(|w| (7 + w * n, varying[w as usize])));
                    let mut rec = Recording::new();
                    let buf = rec.upload("planes", bytes(&planes));
                    let rows_buf = rec.upload("rows", bytes(&rows));
                    let packed = pack_keys(&mut rec, &shape, &packing, buf.into(), Some(rows_buf.into()), n);
                    let keys = rec.download(packed.keys);
                    let keys = engine.run(rec).unwrap().take_words(keys);
                    for (i, row) in rows.iter().enumerate() {
                        let want = pack_keys::reference(&packing, &planes, *row as usize);
                        let got: Vec<_> = (0..want.len()).map(|w| keys[w * packed.stride as usize + i]).collect();
                        assert_eq!(got, want, "{place}: n = {n}, item {i}");
                    }
                }
            }
        });
    }
}
