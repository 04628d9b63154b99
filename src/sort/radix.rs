//! A stable radix sort on all cores, almost in place.
//!
//! More than a cache holds is divided by the highest bits first. Every thread takes a stripe of the items and collects
//! them in buffers, one a bucket; a full buffer is written as a block over the front of the stripe, where everything
//! has been read already. So no page is touched but the stripe's and the buffers'. Then whole blocks move to where
//! their buckets are to stand, in order; every block moves once, since the places they leave and take form chains.
//!
//! A bucket is now a run of blocks and what the buffers still hold. It fits a core's cache together with a scratch as
//! long, and one thread finishes it there, by two digits, the lower one first: from blocks and buffers to the scratch,
//! and back to the bucket's final place. Items that still agree then are sorted by the bits left.
//!
//! Every step keeps equal keys in order.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

/// Something to be sorted by an unsigned key.
pub trait Keyed: Copy + Default + Send + Sync {
    /// The key.
    fn key(&self) -> u64;
}

impl Keyed for u32 {
    #[inline(always)]
    fn key(&self) -> u64 {
        u64::from(*self)
    }
}

impl Keyed for u64 {
    #[inline(always)]
    fn key(&self) -> u64 {
        *self
    }
}

/// A key and what travels with it.
impl Keyed for (u32, u32) {
    #[inline(always)]
    fn key(&self) -> u64 {
        u64::from(self.0)
    }
}

/// A key and what travels with it.
impl Keyed for (u64, u32) {
    #[inline(always)]
    fn key(&self) -> u64 {
        self.0
    }
}

/// Bits of the widest digit: two arrays of counters for it fit the L1 cache.
const DIGIT: u32 = 11;
/// Values of the widest digit.
const WIDE: usize = 1 << DIGIT;
/// So many bytes and their copy stay in a core's L2 cache.
const CACHED: usize = 768 << 10;
/// Bytes of the buffers of one thread: they stay in its L2 cache.
const BUFFERS: usize = 1 << 20;
/// Bytes of a block: enough that moving it costs more than finding it.
const BLOCK: usize = 1 << 10;
/// Items of a bucket to aim at, as a power of two: many to a counter, and far from a cache's size.
const BUCKET: u32 = 13;
/// Up to so many items are sorted by comparison.
const SMALL: usize = 40;
/// Keys looked at to guess where keys lie.
const SAMPLE: usize = 1 << 10;

/// Sorts `items` by key, stably, on the threads of the current pool. Takes little memory: buffers of a megabyte a
/// thread.
pub fn sort<T: Keyed>(items: &mut [T]) {
    if items.is_sorted_by_key(T::key) {
        // Nothing to do.
    } else if items.is_sorted_by(|a, b| a.key() > b.key()) {
        items.reverse();
    } else if size_of_val(items) > CACHED {
        let sample = items.iter().step_by(items.len().div_ceil(SAMPLE)).map(T::key);
        let (least, most) = sample.fold((u64::MAX, 0), |(least, most), key| (least.min(key), most.max(key)));
        // Keys outside are few, as a rule; but two keys at least must go to different buckets.
        let (least, most) = if least < most { (least, most) } else { range(items) };
        divide(items, least, most);
    } else {
        let len = items.len();
        finish(items, &[Piece::Here(0..len)], &mut Scratch::default());
    }
}

/// Part of a bucket.
enum Piece<'a, T> {
    /// Within the bucket's final place.
    Here(Range<usize>),
    /// Elsewhere.
    There(&'a [T]),
}

/// A bucket: where it is to stand, and where its items are, in order.
struct Bucket<'a, T> {
    place: &'a mut [T],
    pieces: Vec<Piece<'a, T>>,
}

/// Divides `items` into buckets and sorts these. Buckets are such that the keys `least` and `most` are far apart.
fn divide<T: Keyed>(items: &mut [T], least: u64, most: u64) {
    let buckets = Buckets::new(items.len(), least, most);
    let block = 1 << ((BUFFERS / buckets.count).min(BLOCK) / size_of::<T>()).max(1).ilog2();
    // A stripe is long compared to its buffers.
    let stripes = (items.len() / (4 * block * buckets.count)).clamp(1, rayon::current_num_threads());
    let stripe = items.len().div_ceil(stripes).next_multiple_of(block);
    let stripes: Vec<Stripe<T>> = items.par_chunks_mut(stripe).map(|part| Stripe::new(part, &buckets, block)).collect();

    // Where buckets start and, at the next whole block, their blocks.
    let mut starts = vec![0; buckets.count + 1];
    for stripe in &stripes {
        for (start, len) in starts[1..].iter_mut().zip(stripe.lens(buckets.count)) {
            *start += len;
        }
    }
    for bucket in 0..buckets.count {
        starts[bucket + 1] += starts[bucket];
    }
    let mut spilt = vec![T::default(); buckets.count * block];
    let moves = Moves::plan(&stripes, &starts, stripe, block);
    moves.make(items, &mut spilt, block);

    let (mut large, mut cached) = (Vec::new(), Vec::new());
    let mut rest = items;
    let mut at: Vec<usize> = starts.iter().map(|start| start.next_multiple_of(block) - start).collect();
    let lens: Vec<Vec<usize>> = stripes.iter().map(|stripe| stripe.whole(buckets.count)).collect();
    for bucket in 0..buckets.count {
        let (place, tail) = rest.split_at_mut(starts[bucket + 1] - starts[bucket]);
        rest = tail;
        let mut pieces = Vec::with_capacity(2 * stripes.len() + 1);
        for (stripe, lens) in stripes.iter().zip(&lens) {
            let (start, end) = (at[bucket], at[bucket] + lens[bucket]);
            at[bucket] = end;
            if lens[bucket] > 0 {
                // The last of the blocks may have found no room.
                let fits = end <= place.len();
                pieces.push(Piece::Here(start..if fits { end } else { end - block }));
                if !fits {
                    pieces.push(Piece::There(&spilt[bucket * block..][..block]));
                }
            }
            pieces.push(Piece::There(stripe.partial(bucket)));
        }
        let kind = if size_of_val(place) > CACHED { &mut large } else { &mut cached };
        kind.push(Bucket { place, pieces });
    }
    let threads = rayon::current_num_threads().min(cached.len());
    let queue = Mutex::new(cached.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    rayon::scope(|scope| {
        for Bucket { place, pieces } in large {
            scope.spawn(move |_| {
                gather(place, &pieces);
                let (least, most) = range(place);
                if least < most {
                    divide(place, least, most);
                }
            });
        }
        for _ in 0..threads {
            scope.spawn(|_| {
                let mut scratch = Scratch::default();
                while let Some(Bucket { place, pieces }) = next() {
                    finish(place, &pieces, &mut scratch);
                }
            });
        }
    });
}

/// Which bucket a key belongs to: ascending with the key.
struct Buckets {
    /// The least key but those of the first bucket.
    base: u64,
    shift: u32,
    count: usize,
}

impl Buckets {
    /// Buckets for so many items, mostly with keys from `least` to `most`: the ones below and above belong to the first
    /// and the last.
    fn new(len: usize, least: u64, most: u64) -> Buckets {
        let bits = len.ilog2().saturating_sub(BUCKET).clamp(1, DIGIT);
        let shift = (64 - (most - least).leading_zeros()).saturating_sub(bits);
        Buckets { base: least >> shift << shift, shift, count: 1 << bits }
    }

    #[inline(always)]
    fn of(&self, key: u64) -> usize {
        (key.saturating_sub(self.base) >> self.shift).min(self.count as u64 - 1) as usize
    }
}

/// Part of the input, distributed to buckets.
struct Stripe<T> {
    /// The bucket of every block written over the stripe's front.
    blocks: Vec<u16>,
    /// For every bucket, room for a block.
    buffers: Vec<T>,
    /// Where the next item of a bucket goes in `buffers`.
    ends: Box<[u32; WIDE]>,
    /// Items of a block: a power of two.
    block: usize,
}

impl<T: Keyed> Stripe<T> {
    #[inline(never)]
    fn new(items: &mut [T], buckets: &Buckets, block: usize) -> Stripe<T> {
        let mut buffers = vec![T::default(); buckets.count * block];
        let mut ends: Box<[u32; WIDE]> = Box::new(std::array::from_fn(|bucket| (bucket * block) as u32));
        let mut blocks = Vec::with_capacity(items.len() / block);
        let mut written = 0;
        for read in 0..items.len() {
            let item = items[read];
            let bucket = buckets.of(item.key());
            let end = &mut ends[bucket % WIDE];
            buffers[*end as usize] = item;
            *end += 1;
            if *end & (block as u32 - 1) == 0 {
                *end -= block as u32;
                items[written..][..block].copy_from_slice(&buffers[*end as usize..][..block]);
                written += block;
                blocks.push(bucket as u16);
            }
        }
        Stripe { blocks, buffers, ends, block }
    }

    /// What the buffer of a bucket still holds.
    fn partial(&self, bucket: usize) -> &[T] {
        &self.buffers[bucket * self.block..self.ends[bucket] as usize]
    }

    /// Items of every bucket in whole blocks.
    fn whole(&self, buckets: usize) -> Vec<usize> {
        let mut lens = vec![0; buckets];
        self.blocks.iter().for_each(|bucket| lens[usize::from(*bucket)] += self.block);
        lens
    }

    /// Items of every bucket.
    fn lens(&self, buckets: usize) -> Vec<usize> {
        let mut lens = self.whole(buckets);
        lens.iter_mut().enumerate().for_each(|(bucket, len)| *len += self.partial(bucket).len());
        lens
    }
}

/// Where blocks are to move.
struct Moves {
    /// For every place of a block, the place of the block that is to stand there, or [`Moves::NONE`].
    from: Vec<u32>,
    /// For every bucket, the place of its block that does not fit before the bucket's end, or [`Moves::NONE`].
    spilt: Vec<u32>,
    /// Whether the block at a place is dead: nothing is to be moved from there.
    dead: Vec<bool>,
}

impl Moves {
    const NONE: u32 = u32::MAX;

    /// Blocks of every bucket in order from the first whole block of its place on. They fit, or all but the last do,
    /// because what of the place is before them is less than a block.
    fn plan<T>(stripes: &[Stripe<T>], starts: &[usize], stripe: usize, block: usize) -> Moves {
        let places = starts.last().map_or(0, |end| end / block);
        let mut moves = Moves {
            from: vec![Moves::NONE; places],
            spilt: vec![Moves::NONE; starts.len() - 1],
            dead: vec![true; places],
        };
        let mut next: Vec<usize> = starts.iter().map(|start| start.div_ceil(block)).collect();
        for (number, part) in stripes.iter().enumerate() {
            for (place, bucket) in (number * stripe / block..).zip(&part.blocks) {
                let bucket = usize::from(*bucket);
                let to = next[bucket];
                next[bucket] += 1;
                let fits = (to + 1) * block <= starts[bucket + 1];
                *(if fits { &mut moves.from[to] } else { &mut moves.spilt[bucket] }) = place as u32;
                moves.dead[place] = false;
            }
        }
        moves
    }

    /// From a place on, always to the place that the block for it comes from, until there is none or it is taken.
    fn follow<'a, T>(&self, mut place: u32, places: &mut [Option<&'a mut [T]>], order: &mut Vec<&'a mut [T]>) {
        while let Some(block) = places.get_mut(place as usize).and_then(Option::take) {
            order.push(block);
            place = self.from[place as usize];
        }
    }

    /// Moves the blocks of `items`, and those that do not fit to `spilt`.
    fn make<T: Keyed>(&self, items: &mut [T], spilt: &mut [T], block: usize) {
        let mut places: Vec<Option<&mut [T]>> = items.chunks_exact_mut(block).map(Some).collect();
        let mut order: Vec<&mut [T]> = Vec::with_capacity(places.len());
        let mut ends = Vec::new();
        for (spilt, place) in spilt.chunks_exact_mut(block).zip(&self.spilt) {
            if *place != Moves::NONE {
                order.push(spilt);
                self.follow(*place, &mut places, &mut order);
                ends.push((order.len(), false));
            }
        }
        // Chains start at dead places; what is left then are cycles.
        for cyclic in [false, true] {
            for place in 0..places.len() {
                if self.from[place] != Moves::NONE && (cyclic || self.dead[place]) && self.from[place] != place as u32 {
                    self.follow(place as u32, &mut places, &mut order);
                    ends.push((order.len(), cyclic));
                }
            }
        }
        let mut chains = Vec::with_capacity(ends.len());
        let (mut rest, mut start) = (&mut order[..], 0);
        for (end, cyclic) in ends {
            let (chain, tail) = rest.split_at_mut(end - start);
            (rest, start) = (tail, end);
            if !chain.is_empty() {
                chains.push((chain, cyclic));
            }
        }
        chains.into_par_iter().for_each(|(chain, cyclic)| {
            let first = if cyclic { chain[0].to_vec() } else { Vec::new() };
            for at in 1..chain.len() {
                let (to, from) = chain.split_at_mut(at);
                to[at - 1].copy_from_slice(from[0]);
            }
            if let (true, Some(last)) = (cyclic, chain.last_mut()) {
                last.copy_from_slice(&first);
            }
        });
    }
}

/// The least and the greatest key.
fn range<T: Keyed>(items: &[T]) -> (u64, u64) {
    let both = |(least, most): (u64, u64), (a, b): (u64, u64)| (least.min(a), most.max(b));
    let of = |part: &[T]| part.iter().map(|item| (item.key(), item.key())).fold((u64::MAX, 0), both);
    items.par_chunks(SAMPLE).map(of).reduce(|| (u64::MAX, 0), both)
}

/// The bits in which some key differs from `first`.
#[inline(always)]
fn differing_from<T: Keyed>(first: u64, items: &[T]) -> u64 {
    items.iter().fold(0, |bits, item| bits | (item.key() ^ first))
}

/// Brings the pieces of `place` together, in order.
fn gather<T: Keyed>(place: &mut [T], pieces: &[Piece<T>]) {
    let mut at = 0;
    let mut moves = Vec::with_capacity(pieces.len());
    for piece in pieces {
        moves.push((piece, at));
        at += match piece {
            Piece::Here(range) => range.len(),
            Piece::There(items) => items.len(),
        };
    }
    // Those that move down from the first on, then those that move up from the last on: no piece is written over
    // before it has moved, and those from elsewhere fill the gaps.
    for (piece, to) in &moves {
        if let Piece::Here(range) = piece
            && range.start > *to
        {
            place.copy_within(range.clone(), *to);
        }
    }
    for (piece, to) in moves.iter().rev() {
        if let Piece::Here(range) = piece
            && range.start < *to
        {
            place.copy_within(range.clone(), *to);
        }
    }
    for (piece, to) in &moves {
        if let Piece::There(items) = piece {
            place[*to..][..items.len()].copy_from_slice(items);
        }
    }
}

/// What finishing a bucket needs, used again for the next.
struct Scratch<T> {
    items: Vec<T>,
    counts: Box<[[u32; WIDE]; 2]>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Scratch { items: Vec::new(), counts: Box::new([[0; WIDE]; 2]) }
    }
}

/// Part of a key: so many bits from bit `low` on.
#[derive(Clone, Copy)]
struct Digit {
    low: u32,
    mask: u64,
}

impl Digit {
    fn new(low: u32, bits: u32) -> Digit {
        Digit { low, mask: (1 << bits) - 1 }
    }

    #[inline(always)]
    fn of<T: Keyed>(self, item: &T) -> usize {
        (item.key() >> (self.low & 63) & self.mask) as usize % WIDE
    }
}

/// Sorts as much as a cache holds: the `pieces` of `place`, to there.
fn finish<T: Keyed>(place: &mut [T], pieces: &[Piece<T>], scratch: &mut Scratch<T>) {
    if place.len() <= SMALL {
        gather(place, pieces);
        return place.sort_by_key(T::key);
    }
    let first = pieces.iter().find_map(|piece| piece.items(place).first()).map_or(0, T::key);
    let differ = pieces.iter().fold(0, |bits, piece| bits | differing_from(first, piece.items(place)));
    if differ == 0 {
        return gather(place, pieces);
    }
    let top = 64 - differ.leading_zeros();
    let widest = place.len().ilog2().saturating_sub(1).clamp(4, DIGIT);
    let bits = top.min(2 * widest);
    let low = Digit::new(top - bits, bits - bits / 2);
    let high = Digit::new(top - bits / 2, bits / 2);
    let [low_counts, high_counts] = &mut *scratch.counts;
    low_counts[..=low.mask as usize].fill(0);
    high_counts[..=high.mask as usize].fill(0);
    for piece in pieces {
        count(piece.items(place), [low, high], low_counts, high_counts);
    }
    to_starts(&mut low_counts[..=low.mask as usize]);
    to_starts(&mut high_counts[..=high.mask as usize]);
    if scratch.items.len() < place.len() {
        scratch.items.resize(place.len(), T::default());
    }
    let copy = &mut scratch.items[..place.len()];
    for piece in pieces {
        move_by(piece.items(place), copy, low, low_counts);
    }
    move_by(copy, place, high, high_counts);

    if differ & ((1 << low.low) - 1) != 0 {
        let agree = |a: &T, b: &T| (a.key() ^ b.key()) >> low.low == 0;
        let mut start = 0;
        while let Some(skipped) = place[start..].windows(2).position(|pair| agree(&pair[0], &pair[1])) {
            start += skipped;
            let len = place[start..].iter().take_while(|item| agree(item, &place[start])).count();
            finish(&mut place[start..][..len], &[Piece::Here(0..len)], scratch);
            start += len;
        }
    }
}

impl<T> Piece<'_, T> {
    fn items<'a>(&'a self, place: &'a [T]) -> &'a [T] {
        match self {
            Piece::Here(range) => &place[range.clone()],
            Piece::There(items) => items,
        }
    }
}

#[inline(never)]
fn count<T: Keyed>(items: &[T], [low, high]: [Digit; 2], lows: &mut [u32; WIDE], highs: &mut [u32; WIDE]) {
    for item in items {
        lows[low.of(item)] += 1;
        highs[high.of(item)] += 1;
    }
}

/// Counts to where the counted start.
fn to_starts(counts: &mut [u32]) {
    let mut sum = 0;
    for count in counts {
        (*count, sum) = (sum, sum + *count);
    }
}

/// Moves `from` to `to` by a digit, to where its values start.
#[inline(never)]
fn move_by<T: Keyed>(from: &[T], to: &mut [T], digit: Digit, starts: &mut [u32; WIDE]) {
    for item in from {
        let next = &mut starts[digit.of(item)];
        to[*next as usize] = *item;
        *next += 1;
    }
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

    /// Key shapes: uniform, few values, low bits only, high bits only, skewed, sorted, two far clusters, equal, falling, one far
    /// outlier, sorted but for a few.
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
            7 => 42,
            8 => (len - i) as u64,
            9 => {
                if i == len / 2 {
                    u64::MAX
                } else {
                    key % 100_000
                }
            }
            _ => {
                if key % 100 == 0 {
                    key
                } else {
                    (i as u64) << 20
                }
            }
        };
        keys.map(key).collect()
    }

    #[test]
    fn every_shape_at_every_awkward_length_is_sorted_stably() {
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for (threads, pool) in [1, 3].map(|threads| (threads, on(threads))) {
            for shape in 0..11 {
                for len in [0, 1, 2, SMALL, SMALL + 1, 1000, 30_000, 300_000] {
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
