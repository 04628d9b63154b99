//! A stable radix sort of row numbers by keys of any number of words.
//!
//! Least significant digit first, eight bits a pass, histogram → scan → scatter, after Merrill and Grimshaw, "High
//! Performance and Scalable Radix Sorting" (2011): workgroups never wait for one another.
//!
//! Keys of several words are sorted one word at a time, each word gathered through the order so far. A pass moves a key
//! word and a row number, eight bytes, whatever the key's width; carrying all W words along would move 4·(W + 1) bytes
//! in every pass to save one random read per row and word.

use super::{gather, scan};
use crate::backend::gpu::record::{Buf, Recording, Traffic, View};
use crate::kernel::Shape;
use crate::kernel::radix_histogram::{self, RadixHistogramParams};
use crate::kernel::radix_scatter::{self, RadixScatterParams};

/// What a sort gives.
#[derive(Clone, Copy, Debug)]
pub struct Sorted {
    /// Position in the input of each output row, `n` words; `None` if no digit varies and the order is 0, 1, 2, …
    pub order: Option<Buf>,
    /// The most significant varying word's keys in sorted order, `n` words, if any digit varies.
    pub keys: Option<Buf>,
}

/// Sorts `n` keys, stably. Word `w` of key `i` is `keys[w · stride + i]`, the least significant word first.
///
/// `varying[w]` holds a one for each bit of word `w` that may differ between keys; digits without one are skipped.
pub fn sort(rec: &mut Recording, shape: &Shape, keys: View, stride: u32, varying: &[u32], n: u32) -> Sorted {
    let mut sorted = Sorted { order: None, keys: None };
    for (word, &bits) in varying.iter().enumerate() {
        if bits == 0 || n < 2 {
            continue;
        }
        let at = word as u32 * stride;
        let mut from = match sorted.order {
            Some(order) => gather(rec, shape, keys, at, order.into(), n).into(),
            None if u64::from(at) * 4 % 256 == 0 => {
                View { offset: keys.offset + u64::from(at) * 4, bytes: u64::from(n) * 4, ..keys }
            }
            None => {
                // The plane cannot be bound where it stands.
                let plane = rec.words("key word", n.into());
                rec.copy(View { offset: keys.offset + u64::from(at) * 4, bytes: u64::from(n) * 4, ..keys }, plane);
                plane.into()
            }
        };
        for shift in (0..32).step_by(8).filter(|shift| (bits >> shift) & 255 != 0) {
            let (keys, order) = pass(rec, shape, from, sorted.order, shift, n);
            sorted = Sorted { order: Some(order), keys: Some(keys) };
            from = keys.into();
        }
    }
    sorted
}

/// One digit.
fn pass(rec: &mut Recording, shape: &Shape, keys: View, order: Option<Buf>, shift: u32, n: u32) -> (Buf, Buf) {
    let tiles = shape.tiles(n);
    let counts = rec.words("digit counts", u64::from(tiles) * 256);
    let params = RadixHistogramParams { n, tiles, shift };
    let bindings = [("keys", keys), ("counts", counts.into())];
    let words = u64::from(n);
    rec.dispatch(
        radix_histogram::kernel(shape),
        params,
        &bindings,
        tiles,
        Traffic::words(words, u64::from(tiles) * 256),
    );
    scan(rec, shape, counts, tiles * 256);
    let (keys_out, order_out) = (rec.words("keys", n.into()), rec.words("order", n.into()));
    let params = RadixScatterParams { n, tiles, shift, iota: u32::from(order.is_none()) };
    let bindings = [
        ("bases", counts.into()),
        ("keys_in", keys),
        // Not read where the order is 0, 1, 2, …: something readable must be bound.
        ("order_in", order.map_or(keys, View::from)),
        ("keys_out", keys_out.into()),
        ("order_out", order_out.into()),
    ];
    let traffic = Traffic::words(words * 2 + u64::from(tiles) * 256, words * 2);
    rec.dispatch(radix_scatter::kernel(shape), params, &bindings, tiles, traffic);
    (keys_out, order_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::testing::{Random, bytes, everywhere, sizes};

    /// The order of rows by plain comparison of their keys, most significant word last in memory.
    fn plain(planes: &[u32], stride: usize, words: usize, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by_key(|&i| (0..words).rev().map(|w| planes[w * stride + i as usize]).collect::<Vec<_>>());
        order
    }

    #[test]
    fn every_kind_of_key_sorts_stably() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(4);
            for n in sizes(&shape) {
                for (name, words, mask) in [
                    ("all distinct", 1, u32::MAX),
                    ("all equal", 1, 0),
                    ("skewed", 1, 0x0100_0001),
                    ("three words", 3, 0x00ff_0003),
                ] {
                    // Strides that are and are not a multiple of 64 words.
                    let stride = if n % 2 == 0 { n.next_multiple_of(64) } else { n + 1 };
                    let mut planes = vec![0u32; (words * stride as usize).max(1)];
                    for w in 0..words {
                        for i in 0..n as usize {
                            planes[w * stride as usize + i] = (random.word() & mask) | (0xab00_0000 & !mask);
                        }
                    }
                    let varying = vec![mask; words];
                    let mut rec = Recording::new();
                    let buf = rec.upload("keys", bytes(&planes));
                    let sorted = sort(&mut rec, &shape, buf.into(), stride, &varying, n);
                    let downloads = (sorted.order.map(|b| rec.download(b)), sorted.keys.map(|b| rec.download(b)));
                    let mut outcome = engine.run(rec).unwrap();
                    let order = match downloads.0 {
                        Some(order) => outcome.take_words(order),
                        None => (0..n).collect(),
                    };
                    let want = plain(&planes, stride as usize, words, n as usize);
                    assert!(order == want, "{place}: {name}, n = {n}");
                    if let Some(keys) = downloads.1 {
                        let top: Vec<u32> =
                            want.iter().map(|&i| planes[(words - 1) * stride as usize + i as usize]).collect();
                        assert!(outcome.take_words(keys) == top, "{place}: {name}, n = {n}: keys");
                    }
                }
            }
        });
    }

    #[test]
    fn a_histogram_and_a_scatter_equal_their_references() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(5);
            for n in sizes(&shape).into_iter().filter(|n| *n > 0) {
                let keys: Vec<u32> = (0..n).map(|_| random.word() & 0xff7f_0f01).collect();
                let tiles = shape.tiles(n);
                let mut rec = Recording::new();
                let buf = rec.upload("keys", bytes(&keys));
                let counts = rec.words("counts", u64::from(tiles) * 256);
                let bindings = [("keys", buf.into()), ("counts", counts.into())];
                let params = RadixHistogramParams { n, tiles, shift: 16 };
                rec.dispatch(radix_histogram::kernel(&shape), params, &bindings, tiles, Traffic::default());
                let counts = rec.download(counts);
                let (keys_out, order_out) = pass(&mut rec, &shape, buf.into(), None, 16, n);
                let (keys_out, order_out) = (rec.download(keys_out), rec.download(order_out));
                let mut outcome = engine.run(rec).unwrap();
                let want = radix_histogram::reference(&keys, 16, shape.tile() as usize);
                assert_eq!(outcome.take_words(counts), want, "{place}: n = {n}");
                let pairs: Vec<_> = keys.iter().copied().zip(0..n).collect();
                let got: Vec<_> = outcome.take_words(keys_out).into_iter().zip(outcome.take_words(order_out)).collect();
                assert!(got == radix_scatter::reference(&pairs, 16), "{place}: n = {n}");
            }
        });
    }

    #[test]
    fn only_varying_digits_cost_a_pass() {
        let shape = Shape { workgroup: 32, items: 4, subgroups: None };
        let mut rec = Recording::new();
        let keys = rec.words("keys", 200);
        sort(&mut rec, &shape, keys.into(), 100, &[0x0000_ff00, 0], 100);
        let one_pass = rec.counters().dispatches;
        let mut rec = Recording::new();
        let keys = rec.words("keys", 200);
        sort(&mut rec, &shape, keys.into(), 100, &[0xffff_ffff, 0], 100);
        assert_eq!(rec.counters().dispatches, one_pass * 4);
    }

    /// Prints pairs per second of a 32-bit sort by shape: `cargo test --release --lib sort_rate -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement, not a check"]
    fn sort_rate() {
        use crate::backend::gpu::testing::on_each;
        use crate::backend::gpu::{Engine, Options};
        let n = 1 << 22;
        let mut random = Random::new(12);
        let data: Vec<u32> = (0..n).map(|_| random.word()).collect();
        for (workgroup, items, subgroups) in [
            (0, 0, true),
            (8, 256, true),
            (8, 512, true),
            (8, 1024, true),
            (8, 2048, true),
            (16, 256, true),
            (64, 64, true),
            (8, 512, false),
            (32, 128, false),
        ] {
            let shape = (workgroup > 0).then_some(Shape { workgroup, items, subgroups: subgroups.then_some(4) });
            let run = |mut engine: Engine| {
                let mut best = f64::MAX;
                let mut slowest = Vec::new();
                for _ in 0..4 {
                    let mut rec = Recording::new();
                    let buf = rec.upload("keys", bytes(&data));
                    rec.keep(buf);
                    let kept = engine.run(rec).unwrap().kept;
                    let mut rec = Recording::new();
                    let buf = rec.import(&kept[0]);
                    let sorted = sort(&mut rec, &engine.shape(), buf.into(), n, &[u32::MAX], n);
                    let out = rec.download(sorted.keys.unwrap().words(0, 4));
                    let start = std::time::Instant::now();
                    let mut outcome = engine.run(rec).unwrap();
                    best = best.min(start.elapsed().as_secs_f64());
                    outcome.take_words(out);
                    slowest = outcome.timings;
                }
                let mut by_stem = std::collections::BTreeMap::<_, u64>::new();
                slowest.iter().for_each(|t| *by_stem.entry(t.stem).or_default() += t.nanos / 1_000_000);
                println!(
                    "{} {:?}: {:.2} M pairs/s, ms: {by_stem:?}",
                    engine.gpu().info.name,
                    engine.shape(),
                    f64::from(n) / best / 1e6
                );
            };
            on_each(&Options { shape, timestamps: true, ..Options::default() }, run);
        }
    }
}
