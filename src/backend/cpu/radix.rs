//! Radix sort on all cores.
//!
//! The first pass partitions by the highest bits in which keys differ: every thread counts its part of the input, then
//! writes its keys to places of its own in every bucket, through small buffers a cache line long, so that the memory
//! sees whole lines and the TLB few pages. A bucket then fits a core's cache, and one thread finishes it there: bit
//! after bit from the top as long as a bucket is large, by comparison when it is small.
//!
//! Every pass is stable, and so is the small sort; equal keys keep their order.

use rayon::prelude::*;

/// Something to be sorted by an unsigned key.
pub trait Keyed: Copy + Default + Send + Sync {
    /// The key. Only its low [`Keyed::BITS`] bits may be set.
    fn key(&self) -> u64;

    /// Bits of the key.
    const BITS: u32;
}

impl Keyed for u32 {
    fn key(&self) -> u64 {
        u64::from(*self)
    }
    const BITS: u32 = 32;
}

impl Keyed for u64 {
    fn key(&self) -> u64 {
        *self
    }
    const BITS: u32 = 64;
}

/// A key and what travels with it.
impl Keyed for (u32, u32) {
    fn key(&self) -> u64 {
        u64::from(self.0)
    }
    const BITS: u32 = 32;
}

/// A key and what travels with it.
impl Keyed for (u64, u32) {
    fn key(&self) -> u64 {
        self.0
    }
    const BITS: u32 = 64;
}

/// Bits of a digit: counters, and a cache line for every bucket to write to, stay in the L1 cache, and the pages written
/// to in the TLB.
const DIGIT: u32 = 8;
/// Values of a digit.
const BUCKETS: usize = 1 << DIGIT;
/// Digits sorted by in one go within the cache.
const DIGITS: u32 = 3;
/// A bucket of so many bytes and its copy stay in a core's L2 cache.
const CACHED: usize = 512 << 10;
/// Below this many items one thread is faster than several.
const ALONE: usize = 1 << 15;
/// Up to so many items are sorted by comparison.
const SMALL: usize = 40;

/// Sorts `items` by key, stably, on the threads of the current pool. Takes as much memory again.
pub fn sort<T: Keyed>(items: &mut [T]) {
    let mut other = vec![T::default(); items.len()];
    sort_with(items, &mut other);
}

/// Sorts `items` by key, stably, with a scratch of the same length (whose content is lost).
pub fn sort_with<T: Keyed>(items: &mut [T], scratch: &mut [T]) {
    assert_eq!(items.len(), scratch.len(), "the scratch is as long as what is sorted");
    if items.len() <= SMALL {
        return small(items);
    }
    let differ = differing(items);
    if differ != 0 {
        sort_by(items, scratch, differ, false);
    }
}

/// The bits in which some keys differ.
fn differing<T: Keyed>(items: &[T]) -> u64 {
    let first = items.first().map_or(0, T::key);
    let fold = |part: &[T]| part.iter().fold(0, |bits, item| bits | (item.key() ^ first));
    if items.len() < ALONE {
        return fold(items);
    }
    items.par_chunks(ALONE).map(fold).reduce(|| 0, |a, b| a | b)
}

/// Sorts `from` by the bits of `differ`; the result is in `from`, or in `to` if `away`.
fn sort_by<T: Keyed>(from: &mut [T], to: &mut [T], differ: u64, away: bool) {
    if differ == 0 || from.len() <= SMALL {
        small(from);
        if away {
            to.copy_from_slice(from);
        }
    } else if size_of_val(from) <= CACHED {
        cached(from, to, differ, away);
    } else {
        partitioned(from, to, differ, away);
    }
}

/// More than a cache holds: partitions by the highest digit, then sorts the buckets.
fn partitioned<T: Keyed>(from: &mut [T], to: &mut [T], differ: u64, away: bool) {
    let low = (64 - differ.leading_zeros()).saturating_sub(DIGIT);
    let ends = scatter(from, to, low);
    let below = differ & ((1 << low) - 1);
    // Now the buckets are in `to`: the roles change.
    let mut buckets = Vec::with_capacity(ends.len());
    let (mut to, mut from, mut start) = (to, from, 0);
    for end in ends {
        let (bucket, rest) = to.split_at_mut(end - start);
        let (copy, rest_copy) = from.split_at_mut(end - start);
        (to, from, start) = (rest, rest_copy, end);
        if !bucket.is_empty() {
            buckets.push((bucket, copy));
        }
    }
    buckets.into_par_iter().with_max_len(1).for_each(|(bucket, copy)| sort_by(bucket, copy, below, !away));
}

/// As much as a cache holds: sorts by the highest digits, the lowest of them first, then every run of items that agree
/// in them by what is left.
#[inline(never)]
fn cached<T: Keyed>(from: &mut [T], to: &mut [T], differ: u64, away: bool) {
    let top = 64 - differ.leading_zeros();
    let low = top.saturating_sub(DIGITS * DIGIT);
    let mut counts = [[0u32; BUCKETS]; DIGITS as usize];
    count(from, low, &mut counts);
    let (mut source, mut target) = (&mut *from, &mut *to);
    let mut moved = false;
    for (pass, counts) in counts.iter_mut().enumerate() {
        let low = low + pass as u32 * DIGIT;
        if counts[digit(&source[0], low)] as usize == source.len() {
            continue; // all agree
        }
        move_by(source, target, low, counts);
        (source, target) = (target, source);
        moved = !moved;
    }
    let below = differ & ((1 << low) - 1);
    if below != 0 {
        let mut start = 0;
        for end in 1..=source.len() {
            if end == source.len() || source[end].key() >> low != source[start].key() >> low {
                if end - start > 1 {
                    sort_by(&mut source[start..end], &mut target[start..end], below, false);
                }
                start = end;
            }
        }
    }
    if moved != away {
        target.copy_from_slice(source);
    }
}

#[inline(never)]
fn count<T: Keyed>(items: &[T], low: u32, counts: &mut [[u32; BUCKETS]; DIGITS as usize]) {
    for item in items.iter() {
        for (pass, counts) in counts.iter_mut().enumerate() {
            counts[digit(item, low + pass as u32 * DIGIT)] += 1;
        }
    }
}

/// Moves `from` to `to` by the digit at bit `low`, whose values are counted.
#[inline(never)]
fn move_by<T: Keyed>(from: &[T], to: &mut [T], low: u32, counts: &mut [u32; BUCKETS]) {
    let mut sum = 0;
    for count in counts.iter_mut() {
        (*count, sum) = (sum, sum + *count);
    }
    for item in from {
        let next = &mut counts[digit(item, low)];
        to[*next as usize] = *item;
        *next += 1;
    }
}

/// Few items: by comparison, in place.
fn small<T: Keyed>(items: &mut [T]) {
    if items.len() <= 20 {
        for i in 1..items.len() {
            let item = items[i];
            let key = item.key();
            let mut at = i;
            while at > 0 && items[at - 1].key() > key {
                items[at] = items[at - 1];
                at -= 1;
            }
            items[at] = item;
        }
    } else {
        items.sort_by_key(T::key);
    }
}

#[inline(always)]
fn digit<T: Keyed>(item: &T, low: u32) -> usize {
    (item.key() >> (low & 63)) as usize % BUCKETS
}

/// Items of a write buffer.
const LINE: usize = 8;

/// Moves `from` to `to` by the digit at bit `low`; the ends of the buckets.
fn scatter<T: Keyed>(from: &[T], to: &mut [T], low: u32) -> Vec<usize> {
    let parts = if from.len() < ALONE { 1 } else { rayon::current_num_threads() };
    let part = from.len().div_ceil(parts).max(1);
    let count = |items: &[T]| {
        let mut counts = [0usize; BUCKETS];
        items.iter().for_each(|item| counts[digit(item, low)] += 1);
        counts
    };
    let counts: Vec<[usize; BUCKETS]> = from.par_chunks(part).map(count).collect();
    // A place for every part in every bucket, parts in order.
    let mut places: Vec<Vec<&mut [T]>> = counts.iter().map(|_| Vec::with_capacity(BUCKETS)).collect();
    let mut ends = Vec::with_capacity(BUCKETS);
    let (mut rest, mut end) = (to, 0);
    for bucket in 0..BUCKETS {
        for (place, counts) in places.iter_mut().zip(&counts) {
            let (slice, tail) = rest.split_at_mut(counts[bucket]);
            place.push(slice);
            rest = tail;
            end += counts[bucket];
        }
        ends.push(end);
    }
    from.par_chunks(part).zip(places).for_each(|(items, mut places)| spread(items, &mut places, low));
    ends
}

#[inline(never)]
fn spread<T: Keyed>(items: &[T], places: &mut [&mut [T]], low: u32) {
    let mut lines = [[T::default(); LINE]; BUCKETS];
    let mut filled = [0u8; BUCKETS];
    for item in items {
        let bucket = digit(item, low);
        let at = usize::from(filled[bucket]) % LINE;
        lines[bucket][at] = *item;
        filled[bucket] = (at as u8 + 1) % LINE as u8;
        if at == LINE - 1 {
            push(&mut places[bucket], &lines[bucket]);
        }
    }
    for ((place, line), filled) in places.iter_mut().zip(&lines).zip(filled) {
        push(place, &line[..usize::from(filled)]);
    }
}

/// Writes `items` to the front of `place`, and moves the front.
#[inline(always)]
fn push<T: Copy>(place: &mut &mut [T], items: &[T]) {
    let (front, rest) = std::mem::take(place).split_at_mut(items.len());
    front.copy_from_slice(items);
    *place = rest;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers that look random: SplitMix64.
    fn random(seed: u64) -> impl Iterator<Item = u64> {
        (1..).map(move |i: u64| {
            let z = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }

    /// Key shapes: uniform, few values, low bits only, high bits only, skewed, sorted, two far clusters.
    fn shaped(shape: u32, len: usize) -> Vec<u64> {
        let keys = random(u64::from(shape)).take(len).enumerate();
        let key = |(i, key): (usize, u64)| match shape {
            0 => key,
            1 => key % 7,
            2 => key % 1_000_003,
            3 => key << 40,
            4 => key >> (key % 64),
            5 => i as u64,
            6 => (key & 0xff) | if key >> 63 == 0 { 0 } else { !0xff },
            _ => 42,
        };
        keys.map(key).collect()
    }

    #[test]
    fn every_shape_at_every_awkward_length_is_sorted_stably() {
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for (threads, pool) in [1, 3].map(|threads| (threads, on(threads))) {
            for shape in 0..8 {
                for len in [0, 1, 2, SMALL, SMALL + 1, 1000, ALONE - 1, ALONE + 1, 300_000] {
                    let keys = shaped(shape, len);
                    let mut items: Vec<(u64, u32)> = keys.iter().copied().zip(0..).collect();
                    let mut want = items.clone();
                    want.sort_by_key(|item| item.0);
                    pool.install(|| sort(&mut items));
                    assert!(items == want, "shape {shape}, {len} pairs, {threads} threads");
                    let mut alone = keys.clone();
                    pool.install(|| sort(&mut alone));
                    assert!(alone.iter().eq(want.iter().map(|item| &item.0)), "shape {shape}, {len} keys");
                    let mut short: Vec<(u32, u32)> = keys.iter().map(|k| *k as u32).zip(0..).collect();
                    let mut want = short.clone();
                    want.sort_by_key(|item| item.0);
                    pool.install(|| sort(&mut short));
                    assert!(short == want, "shape {shape}, {len} short pairs");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn keys_of_any_bits_are_sorted(keys in prop::collection::vec((any::<u64>(), 0..64u32), 0..400)) {
            let mut keys: Vec<u64> = keys.into_iter().map(|(key, shift)| key >> shift).collect();
            let mut want = keys.clone();
            want.sort_unstable();
            sort(&mut keys);
            prop_assert_eq!(keys, want);
        }
    }
}
