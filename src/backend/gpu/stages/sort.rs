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
    /// Position in the input of each output row, or the value that went along with its key: `n` words. `None` if no
    /// digit varies and everything stays where it is, and where keys are sorted alone.
    pub order: Option<Buf>,
    /// The most significant varying word's keys in sorted order, `n` words, if any digit varies.
    pub keys: Option<Buf>,
}

/// What goes along with each key.
#[derive(Clone, Copy, Debug)]
pub enum Along {
    /// Nothing.
    Nothing,
    /// Its position in the input.
    Position,
    /// A word.
    Value(View),
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
        let plane = View { offset: keys.offset + u64::from(at) * 4, bytes: u64::from(n) * 4, ..keys };
        let from = match sorted.order {
            Some(order) => gather(rec, shape, keys, at, order.into(), n).into(),
            None if u64::from(at) * 4 % 256 == 0 => plane,
            None => {
                // The plane cannot be bound where it stands.
                let copy = rec.words("key word", n.into());
                rec.copy(plane, copy);
                copy.into()
            }
        };
        let along = sorted.order.map_or(Along::Position, |order| Along::Value(order.into()));
        sorted = sort_words(rec, shape, from, along, bits, n);
    }
    sorted
}

/// Sorts `n` keys of one word, stably, and what goes along with them.
///
/// `varying` holds a one for each bit that may differ between keys; digits without one are skipped.
pub fn sort_words(rec: &mut Recording, shape: &Shape, keys: View, along: Along, varying: u32, n: u32) -> Sorted {
    let (mut from, mut along) = (keys, along);
    let mut sorted = Sorted { order: None, keys: None };
    if n < 2 {
        return sorted;
    }
    for shift in (0..32).step_by(8).filter(|shift| (varying >> shift) & 255 != 0) {
        let (keys, values) = pass(rec, shape, from, along, shift, n);
        sorted = Sorted { order: values, keys: Some(keys) };
        from = keys.into();
        along = values.map_or(Along::Nothing, |values| Along::Value(values.into()));
    }
    sorted
}

/// One digit.
fn pass(rec: &mut Recording, shape: &Shape, keys: View, along: Along, shift: u32, n: u32) -> (Buf, Option<Buf>) {
    let partitions = n.div_ceil(radix_histogram::partition(shape));
    let cells = u64::from(partitions) * 256;
    let counts = rec.words("digit counts", cells);
    let params = RadixHistogramParams { n, partitions, shift };
    let bindings = [("keys", keys), ("counts", counts.into())];
    let words = u64::from(n);
    rec.dispatch(radix_histogram::kernel(shape), params, &bindings, partitions, Traffic::words(words, cells));
    scan(rec, shape, counts, partitions * 256);
    let keys_out = rec.words("keys", words);
    let mut bindings = vec![("bases", counts.into()), ("keys_in", keys), ("keys_out", keys_out.into())];
    let mut values_out = None;
    let iota = matches!(along, Along::Position);
    // Words that move with an item: the key, and a value that is read and written.
    let (mut read, mut written) = (1, 1);
    if !matches!(along, Along::Nothing) {
        let values = rec.words("order", words);
        // Not read where it is 0, 1, 2, …: something readable must be bound.
        let values_in = if let Along::Value(values) = along { values } else { keys };
        bindings.extend([("values_in", values_in), ("values_out", values.into())]);
        values_out = Some(values);
        read += u64::from(!iota);
        written += 1;
    }
    let params = RadixScatterParams { n, partitions, shift, iota: iota.into() };
    let traffic = Traffic::words(words * read + cells, words * written);
    rec.dispatch(radix_scatter::kernel(shape, values_out.is_some()), params, &bindings, partitions, traffic);
    (keys_out, values_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::testing::{Random, bytes, everywhere, on_each_with, sizes};
    use crate::backend::gpu::{Adapter, Options};

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
                let partition = radix_histogram::partition(&shape);
                let partitions = n.div_ceil(partition);
                let mut rec = Recording::new();
                let buf = rec.upload("keys", bytes(&keys));
                let counts = rec.words("counts", u64::from(partitions) * 256);
                let bindings = [("keys", buf.into()), ("counts", counts.into())];
                let params = RadixHistogramParams { n, partitions, shift: 16 };
                rec.dispatch(radix_histogram::kernel(&shape), params, &bindings, partitions, Traffic::default());
                let counts = rec.download(counts);
                let (keys_out, order_out) = pass(&mut rec, &shape, buf.into(), Along::Position, 16, n);
                let (keys_out, order_out) = (rec.download(keys_out), rec.download(order_out.unwrap()));
                let mut outcome = engine.run(rec).unwrap();
                let want = radix_histogram::reference(&keys, 16, partition as usize);
                assert_eq!(outcome.take_words(counts), want, "{place}: n = {n}");
                let pairs: Vec<_> = keys.iter().copied().zip(0..n).collect();
                let got: Vec<_> = outcome.take_words(keys_out).into_iter().zip(outcome.take_words(order_out)).collect();
                assert!(got == radix_scatter::reference(&pairs, 16), "{place}: n = {n}");
            }
        });
    }

    #[test]
    fn values_go_along_with_their_keys_and_keys_go_alone() {
        everywhere(|engine, place| {
            let shape = engine.shape();
            let mut random = Random::new(15);
            // More than one partition too.
            let several = radix_histogram::partition(&shape) + 3 * shape.tile() + 1;
            for n in sizes(&shape).into_iter().chain([several]) {
                for mask in [0x0000_01ff, 0xff00_00f0] {
                    let keys: Vec<u32> = (0..n).map(|_| random.word() & mask).collect();
                    let values: Vec<u32> = (0..n).map(|_| random.word()).collect();
                    let mut rec = Recording::new();
                    let buf = rec.upload("keys", bytes(&keys));
                    let along = Along::Value(rec.upload("values", bytes(&values)).into());
                    let pairs = sort_words(&mut rec, &shape, buf.into(), along, mask, n);
                    let alone = sort_words(&mut rec, &shape, buf.into(), Along::Nothing, mask, n);
                    assert_eq!(alone.order, None);
                    let downloads = [pairs.keys, pairs.order, alone.keys].map(|b| b.map(|b| rec.download(b)));
                    let mut outcome = engine.run(rec).unwrap();
                    let [got, along, alone] = downloads.map(|d| d.map(|d| outcome.take_words(d)));
                    let mut want: Vec<(u32, u32)> = keys.into_iter().zip(values).collect();
                    want.sort_by_key(|(key, _)| *key);
                    let (keys, values): (Vec<u32>, Vec<u32>) = want.into_iter().unzip();
                    if n < 2 {
                        assert_eq!((got, along, alone), (None, None, None), "{place}: n = {n}");
                        continue;
                    }
                    assert!(got == Some(keys.clone()) && along == Some(values), "{place}: n = {n}, {mask:x}: pairs");
                    assert!(alone == Some(keys), "{place}: n = {n}, {mask:x}: keys");
                }
            }
        });
    }

    /// More items than a slice of workgroup memory holds, as where subgroups are wide.
    #[test]
    fn a_partition_is_ordered_in_several_slices() {
        let options = |adapter: &Adapter| {
            let smallest = adapter.info.subgroups.map(|(smallest, _)| smallest);
            let workgroup = smallest.map_or(32, |smallest| 8 * smallest).min(256);
            let shape = Shape { workgroup, items: 1800 / workgroup + 1, subgroups: smallest };
            Options { shape: Some(shape), ..Options::default() }
        };
        on_each_with(options, |mut engine| {
            let shape = engine.shape();
            let mut random = Random::new(19);
            let partition = radix_histogram::partition(&shape);
            for n in [partition / 2 + 1, partition, 2 * partition + 77] {
                let pairs: Vec<(u32, u32)> = (0..n).map(|_| (random.word(), random.word())).collect();
                let (keys, values): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
                let mut rec = Recording::new();
                let [keys, values] = [keys, values].map(|words| rec.upload("words", bytes(&words)));
                let (keys, values) = pass(&mut rec, &shape, keys.into(), Along::Value(values.into()), 8, n);
                let (keys, values) = (rec.download(keys), rec.download(values.unwrap()));
                let mut outcome = engine.run(rec).unwrap();
                let got: Vec<_> = outcome.take_words(keys).into_iter().zip(outcome.take_words(values)).collect();
                assert!(got == radix_scatter::reference(&pairs, 8), "{shape:?}, n = {n}");
            }
        });
    }

    #[test]
    fn a_sort_of_pairs_moves_what_the_plan_says() {
        // What a GPU gets, and what a software driver gets.
        for shape in [
            Shape { workgroup: 256, items: 16, subgroups: Some(32) },
            Shape { workgroup: 256, items: 16, subgroups: None },
            Shape { workgroup: 8, items: 256, subgroups: Some(8) },
        ] {
            for n in [1 << 20, 1 << 22, 1 << 24] {
                let mut rec = Recording::new();
                let [keys, values] = ["keys", "values"].map(|label| rec.words(label, n.into()));
                sort_words(&mut rec, &shape, keys.into(), Along::Value(values.into()), u32::MAX, n);
                let counters = rec.counters();
                // Four digits: the histogram reads a key, the scatter reads and writes a pair.
                let bytes = (counters.traffic.read + counters.traffic.written) as f64 / f64::from(n);
                assert!((80.0..=84.0).contains(&bytes), "{shape:?}, n = {n}: {bytes} bytes a pair");
                // A histogram, a scatter, and a scan of reduce, scan of the sums and write.
                assert_eq!(counters.dispatches, 4 * 5, "{shape:?}, n = {n}");
                assert_eq!((counters.uploads, counters.readbacks), (0, 0));
            }
        }
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
}
