//! A run-wide dictionary: every distinct string of a column once, with a 32-bit code.
//!
//! All chunks of a run share one dictionary a column, so codes compare across chunks and threads. Codes are given in the order
//! of arrival, which depends on threads; nothing that leaves the engine may depend on them, only on the strings.
//!
//! How it is laid out (ADR 7):
//! - **Views**, 16 bytes a code: a string of up to 15 bytes itself, or where a longer one lies. Segments of 2 MiB; only the first
//!   is ever moved, while it grows to that.
//! - **Tables**, 64 shards by hash, open addressing: a slot is some bits of hash and a code, in 4 bytes as long as the table is
//!   small, so that tables and views of some 100,000 strings stay in a second-level cache; then in 8. A slot is published
//!   after its view, so look-ups take no lock: a slot and a view tell whether a short string is there.
//! - **Blocks** of text for long strings, each written once.
//!
//! New strings are added shard by shard under the shard's lock; only giving codes and writing views is one at a time.
//! Readers hold a [`Snapshot`]; what was added since is not in it, and looked for again under the lock.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock};

use super::interner::Interner;
use super::rank::StringOrder;
use super::slots::Table;
use super::text::{Key, Text, Word};
use crate::{Error, Result};

/// Shards of a dictionary: more than there are threads to meet in one, few enough that a small dictionary stays in a
/// first-level cache.
pub(super) const SHARDS: usize = 64;

/// Distinct strings and their codes. Grows, never shrinks; a code once given stays.
pub struct Dictionary {
    shards: [Mutex<Filled>; SHARDS],
    views: Mutex<Views>,
    /// Codes given, with their views written.
    len: AtomicUsize,
    snapshot: RwLock<Arc<Snapshot>>,
    order: Mutex<Arc<StringOrder>>,
}

/// Used slots of a shard's table.
#[derive(Default)]
struct Filled(usize);

/// What only the thread that gives codes needs to know.
#[derive(Default)]
struct Views {
    /// Blocks of long strings so far, and their bytes.
    blocks: usize,
    block_bytes: usize,
}

/// The places of all strings, as of some moment. The parts are shared; only their lists are its own.
#[derive(Clone)]
pub(super) struct Snapshot {
    tables: [Table; SHARDS],
    views: Vec<Arc<[[AtomicU64; 2]]>>,
    blocks: Vec<Arc<[OnceLock<Box<str>>]>>,
}

/// A key that no string has.
pub(super) const NO_VIEW: Key = Key { lo: 0, hi: u64::MAX };

/// The place of a view that is not written yet. Whoever holds a snapshot from before the first segment grew may see one: codes given
/// at that moment have their views in the new one only.
fn no_view() -> [AtomicU64; 2] {
    [AtomicU64::new(NO_VIEW.lo), AtomicU64::new(NO_VIEW.hi)]
}

/// Views of the first segment at first; it doubles until it is one of [`VIEWS`].
const FEWEST_VIEWS: usize = 1 << 10;
/// Views of a segment: 2 MiB.
const VIEWS: usize = 1 << 17;
/// Blocks in a list of them.
const BLOCKS: usize = 1 << 10;
/// Strings that are looked for together.
const TOGETHER: usize = 128;
/// Bytes of a block after which another is begun.
const BLOCK_BYTES: usize = u32::MAX as usize;

impl Snapshot {
    /// The code that may be a word's by its hash. Any number if none is.
    #[inline(always)]
    pub(super) fn candidate(&self, hash: u64) -> u32 {
        self.tables[shard(hash)].candidate(hash)
    }

    /// The view of a code; of any other number one that no string has.
    #[inline(always)]
    pub(super) fn view_or_none(&self, code: u32) -> Key {
        self.view(code).unwrap_or(NO_VIEW)
    }

    /// Whether `view` is `word`'s.
    #[inline(always)]
    pub(super) fn is(&self, view: Key, word: &Word<'_>) -> bool {
        if word.key.is_long() {
            view.hi == word.key.hi && self.long_bytes(view) == word.bytes
        } else {
            view == word.key
        }
    }

    /// The code of a word that is there.
    pub(super) fn find(&self, word: &Word<'_>) -> Option<u32> {
        self.tables[shard(word.hash)].candidates(word.hash).find(|&code| self.is(self.view_or_none(code), word))
    }

    /// Calls `with` with the index of each of `codes` and its string's bytes.
    ///
    /// In steps over some codes at a time, so that the loads of each step wait for memory together: where codes are in the order of
    /// strings or hashes, every string lies somewhere else.
    fn each(&self, codes: &[u32], mut with: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let mut views = [NO_VIEW; TOGETHER];
        let mut long: [&[u8]; TOGETHER] = [&[]; TOGETHER];
        for (part, codes) in codes.chunks(TOGETHER).enumerate() {
            for (view, &code) in views.iter_mut().zip(codes) {
                *view = self.view_or_none(code);
            }
            for (long, &view) in long.iter_mut().zip(&views[..codes.len()]) {
                *long = if view.is_long() { self.long_bytes(view) } else { &[] };
            }
            touch(&long[..codes.len()]);
            for (i, (&view, long)) in views[..codes.len()].iter().zip(long).enumerate() {
                let short = Text::short(view);
                with(part * TOGETHER + i, if view.is_long() { long } else { short.as_bytes() })?;
            }
        }
        Ok(())
    }

    /// A long string has the number of its block and its place in the block in `lo`.
    #[inline(always)]
    fn view(&self, code: u32) -> Option<Key> {
        let [lo, hi] = self.views.get(code as usize / VIEWS)?.get(code as usize % VIEWS)?;
        // A code is passed on after its view is written: by a slot's release, or a lock.
        Some(Key { lo: lo.load(Ordering::Relaxed), hi: hi.load(Ordering::Relaxed) })
    }

    /// The block that a long string's view says it is in, and where.
    #[inline]
    fn place(&self, view: Key) -> (&str, Range<usize>) {
        let (block, start) = ((view.lo >> 32) as usize, view.lo as u32 as usize);
        let text = self.blocks.get(block / BLOCKS).and_then(|list| list[block % BLOCKS].get());
        let Some(text) = text else { return ("", 0..0) };
        // The length is stored modulo 2^32; only a text that fills a block of its own can be longer.
        let len = view.hi as u32 as usize;
        (text, start..if text.len() > BLOCK_BYTES { text.len() } else { start + len })
    }

    /// The text of a long string's view.
    fn long(&self, view: Key) -> &str {
        let (block, place) = self.place(view);
        block.get(place).unwrap_or_default()
    }

    /// Its bytes, which are not touched.
    #[inline]
    pub(super) fn long_bytes(&self, view: Key) -> &[u8] {
        let (block, place) = self.place(view);
        block.as_bytes().get(place).unwrap_or_default()
    }

    #[inline]
    fn text(&self, code: u32) -> Text<'_> {
        match self.view(code) {
            Some(view) if view.is_long() => Text::long(self.long(view)),
            view => Text::short(view.unwrap_or(Key { lo: 0, hi: 0 })),
        }
    }
}

/// Loads the ends of `texts`, all at a time.
#[inline]
pub(super) fn touch(texts: &[&[u8]]) {
    let ends = |text: &&[u8]| text.first().copied().unwrap_or(0) ^ text.last().copied().unwrap_or(0);
    // So that the loads are not taken for useless.
    std::hint::black_box(texts.iter().fold(0, |all, text| all ^ ends(text)));
}

/// The shard of a hash: bits that its table does not use.
#[inline(always)]
pub(super) fn shard(hash: u64) -> usize {
    (hash >> 58) as usize
}

impl Default for Dictionary {
    fn default() -> Self {
        let tables = std::array::from_fn(|_| Table::new(8));
        Dictionary {
            shards: std::array::from_fn(|_| Mutex::default()),
            views: Mutex::default(),
            len: AtomicUsize::new(0),
            snapshot: RwLock::new(Arc::new(Snapshot { tables, views: Vec::new(), blocks: Vec::new() })),
            order: Mutex::default(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Dictionary {
    /// Codes stay below this, so that one value of u32 is free to mean "none".
    pub const MOST: u32 = u32::MAX - 1;

    /// An empty dictionary.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The codes of `texts`, in order; new strings get new codes.
    pub fn intern_all<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<u32>> {
        let mut codes = Vec::new();
        // Strings are UTF-8: none is refused.
        let words = texts.into_iter().map(|text| Some(Word::of(text.as_bytes())));
        Interner::new().extend(self, words, &mut codes, |_| true)?;
        Ok(codes)
    }

    /// The code of one string.
    pub fn intern(&self, text: &str) -> Result<u32> {
        match self.find(text) {
            Some(code) => Ok(code),
            None => Ok(self.intern_all([text])?.first().copied().unwrap_or_default()),
        }
    }

    /// The code of a string that is already there.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.snapshot().find(&Word::of(text.as_bytes()))
    }

    /// Distinct strings so far.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether there is no string yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, for memory budgets.
    pub fn heap_bytes(&self) -> usize {
        let snapshot = self.snapshot();
        let tables: usize = snapshot.tables.iter().map(Table::bytes).sum();
        let views: usize = snapshot.views.iter().map(|v| v.len()).sum();
        let texts = locked(&self.views).block_bytes + snapshot.blocks.len() * BLOCKS * size_of::<OnceLock<Box<str>>>();
        tables + views * 16 + texts + locked(&self.order).codes.len() * 8
    }

    /// Read access for many look-ups: to the codes that were given before this call.
    pub fn read(&self) -> Strings {
        // In this order: what is counted is in the snapshot.
        let len = self.len();
        Strings { len, snapshot: self.snapshot() }
    }

    /// For every code, the rank of its string in byte order. Covers at least the codes given before the call.
    pub fn ranks(&self) -> Arc<Vec<u32>> {
        Arc::clone(&self.order().ranks)
    }

    /// The strings in byte order. Covers at least the codes given before the call.
    pub fn order(&self) -> Arc<StringOrder> {
        let mut order = locked(&self.order);
        let strings = self.read();
        if order.codes.len() != strings.len() {
            *order = Arc::new(super::rank::order(&strings));
        }
        Arc::clone(&order)
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(|e| e.into_inner()))
    }

    /// Changes the snapshot that readers get from now on.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut current = self.snapshot.write().unwrap_or_else(|e| e.into_inner());
        change(Arc::make_mut(&mut current));
    }

    /// A block of long texts, whose number is given; strings added later may lie in it.
    pub(super) fn add_block(&self, text: String) -> Result<u32> {
        let mut views = locked(&self.views);
        let number = views.blocks;
        let block = u32::try_from(number).ok().filter(|&b| b < 1 << 31).ok_or_else(too_many)?;
        if number.is_multiple_of(BLOCKS) {
            self.publish(|snapshot| snapshot.blocks.push((0..BLOCKS).map(|_| OnceLock::new()).collect()));
        }
        views.blocks += 1;
        views.block_bytes += text.len();
        if let Some(list) = self.snapshot().blocks.get(number / BLOCKS) {
            // Nobody else has this number.
            _ = list[number % BLOCKS].set(text.into());
        }
        Ok(block)
    }

    /// Adds those of `fresh`, all different, that are not there yet, in their order, and calls `found` with the index of each and
    /// its code. Long ones have their place in a block in `key.lo`. Only the shards of these words are locked. How many were added.
    pub(super) fn add(&self, fresh: &[Word<'_>], mut found: impl FnMut(usize, u32)) -> Result<usize> {
        let involved = fresh.iter().fold(0u64, |bits, word| bits | 1 << shard(word.hash));
        // In ascending order, so that no two threads wait for each other.
        let lock = |(i, shard)| (involved >> i & 1 != 0).then(|| locked(shard));
        let mut filled: Vec<_> = self.shards.iter().enumerate().map(lock).collect();
        let snapshot = self.snapshot();
        let mut missing = Vec::new();
        // All slots at a time: one after the other they would be waited for.
        let slots = fresh.iter().map(|word| snapshot.tables[shard(word.hash)].candidate(word.hash));
        std::hint::black_box(slots.fold(0, std::ops::BitXor::bitxor));
        for (i, word) in fresh.iter().enumerate() {
            match snapshot.find(word) {
                Some(code) => found(i, code),
                None => missing.push(i),
            }
        }
        if missing.is_empty() {
            return Ok(0);
        }
        let first = self.give_codes(missing.iter().map(|&i| fresh[i].key))?;
        // The snapshot's tables may have grown since.
        let mut grown: [Option<Table>; SHARDS] = [const { None }; SHARDS];
        for (code, &i) in (first..).zip(&missing) {
            let word = &fresh[i];
            let shard = shard(word.hash);
            let Some(filled) = &mut filled[shard] else { continue };
            filled.0 += 1;
            let mut table = grown[shard].as_ref().unwrap_or(&snapshot.tables[shard]);
            if !table.holds(filled.0, code) {
                table = grown[shard].insert(self.grow(shard, table, code)?);
            }
            table.add(word.hash, code);
            found(i, code);
        }
        Ok(missing.len())
    }

    /// Gives codes in a row to strings, the first of which is returned, and writes their views.
    fn give_codes(&self, keys: impl ExactSizeIterator<Item = Key>) -> Result<u32> {
        let views = locked(&self.views);
        let first = self.len.load(Ordering::Relaxed);
        let end = first + keys.len();
        if end > Self::MOST as usize {
            return Err(too_many());
        }
        let mut snapshot = self.snapshot();
        let segments = end.div_ceil(VIEWS);
        let first_segment = end.next_power_of_two().clamp(FEWEST_VIEWS, VIEWS);
        if segments > snapshot.views.len() || snapshot.views[0].len() < first_segment {
            // Only the first is ever shorter than the others. Its views are written by no one else now.
            let lengths = (0..segments).map(|segment| if segment == 0 { first_segment } else { VIEWS });
            let views = lengths.enumerate().map(|(segment, len)| match snapshot.views.get(segment) {
                Some(old) if old.len() == len => Arc::clone(old),
                old => {
                    let kept = old
                        .into_iter()
                        .flat_map(|old| old.iter())
                        .map(|[lo, hi]| [lo, hi].map(|half| AtomicU64::new(half.load(Ordering::Relaxed))));
                    kept.chain(std::iter::repeat_with(no_view)).take(len).collect()
                }
            });
            let views = views.collect();
            self.publish(|snapshot| snapshot.views = views);
            snapshot = self.snapshot();
        }
        for (code, key) in (first..).zip(keys) {
            let [lo, hi] = &snapshot.views[code / VIEWS][code % VIEWS];
            lo.store(key.lo, Ordering::Relaxed);
            hi.store(key.hi, Ordering::Relaxed);
        }
        self.len.store(end, Ordering::Release);
        drop(views);
        Ok(first as u32)
    }

    /// A table of twice the size for shard `index`, whose lock the caller holds; `code` is to go into it.
    fn grow(&self, index: usize, table: &Table, code: u32) -> Result<Table> {
        let slots = table.len() * 2;
        let larger = match Table::new(slots) {
            // A wide table does not know enough of its hashes for a narrow one.
            Table::Narrow(_) if matches!(table, Table::Wide(_)) => Table::wide(slots),
            narrow if !narrow.holds(0, code) => Table::wide(slots),
            larger => larger,
        };
        match table.hashes() {
            Some(entries) => entries.for_each(|(hash, code)| larger.add(hash, code)),
            None => {
                let codes = table.codes();
                // Of now: it has the views of all codes of the table.
                let rehash = |i: usize, text: &[u8]| {
                    larger.add(Word::of(text).hash, codes[i]);
                    Ok(())
                };
                self.snapshot().each(&codes, rehash)?;
            }
        }
        self.publish(|snapshot| snapshot.tables[index] = larger.clone());
        Ok(larger)
    }
}

fn too_many() -> Error {
    Error::Resource { message: "a string column has more than 4 billion distinct values".into(), help: None }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({} strings)", self.len())
    }
}

/// Read access to a [`Dictionary`].
pub struct Strings {
    len: usize,
    snapshot: Arc<Snapshot>,
}

impl Strings {
    /// The string of a code that the dictionary gave before this access was asked for.
    #[inline]
    pub fn get(&self, code: u32) -> Text<'_> {
        self.snapshot.text(code)
    }

    /// Calls `with` with the index of each of `codes` and its string's bytes; there are none for a code that was not given.
    pub(super) fn each(&self, codes: &[u32], with: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        self.snapshot.each(codes, with)
    }

    /// Distinct strings.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_has_one_code_for_ever() {
        let dict = Dictionary::new();
        assert_eq!(dict.intern_all(["b", "", "a", "b"]).unwrap(), [0, 1, 2, 0]);
        assert_eq!(dict.intern("a").unwrap(), 2);
        assert_eq!(dict.find("a"), Some(2));
        assert_eq!(dict.find("c"), None);
        let strings = dict.read();
        assert_eq!((&*strings.get(0), &*strings.get(1), &*strings.get(2)), ("b", "", "a"));
    }

    #[test]
    fn ranks_follow_byte_order_and_growth() {
        let dict = Dictionary::new();
        dict.intern_all(["b", "a", "é", "B"]).unwrap();
        assert_eq!(*dict.ranks(), [2, 1, 3, 0]);
        dict.intern("").unwrap();
        assert_eq!(*dict.ranks(), [3, 2, 4, 1, 0]);
    }

    #[test]
    fn many_strings_from_many_threads() {
        let dict = Dictionary::new();
        std::thread::scope(|scope| {
            for t in 0..4 {
                let dict = &dict;
                scope.spawn(move || {
                    let texts: Vec<String> = (0..5000).map(|i| format!("{}", i * (t % 2 + 1))).collect();
                    let codes = dict.intern_all(texts.iter().map(String::as_str)).unwrap();
                    let strings = dict.read();
                    for (text, code) in texts.iter().zip(codes) {
                        assert_eq!(strings.get(code), text);
                    }
                });
            }
        });
        assert_eq!(dict.len(), 7500);
    }

    #[test]
    fn a_table_grows_wide_with_every_hash() {
        let dict = Dictionary::new();
        let texts: Vec<String> = (0..400).map(|i| format!("{i}{}", "x".repeat(i % 30))).collect();
        dict.intern_all(texts.iter().map(String::as_str)).unwrap();
        for index in 0..SHARDS {
            let table = dict.snapshot().tables[index].clone();
            let wide = dict.grow(index, &table, (1 << super::super::slots::NARROW_CODE) - 1).unwrap();
            assert!(matches!(wide, Table::Wide(_)));
            assert!(matches!(dict.grow(index, &wide, 0), Ok(Table::Wide(_))));
        }
        assert!(texts.iter().enumerate().all(|(code, text)| dict.find(text) == Some(code as u32)));
    }

    #[test]
    fn a_view_that_a_snapshot_lacks_is_no_string() {
        let dict = Dictionary::new();
        let texts: Vec<String> = (0..FEWEST_VIEWS + 100).map(|i| i.to_string()).collect();
        let (before, after) = texts.split_at(FEWEST_VIEWS - 100);
        dict.intern_all(before.iter().map(String::as_str)).unwrap();
        let old = dict.snapshot();
        let words: Vec<Word<'_>> = after.iter().map(|text| Word::of(text.as_bytes())).collect();
        dict.add(&words, |_, _| {}).unwrap();
        // Not the empty string, whose view is all zeros.
        assert!((before.len()..texts.len()).all(|code| old.view_or_none(code as u32) == NO_VIEW));
        let new = dict.snapshot();
        assert!((0..).zip(&texts).all(|(code, text)| new.text(code) == *text));
    }

    #[test]
    fn long_strings_lie_in_blocks() {
        let dict = Dictionary::new();
        let texts: Vec<String> = (0..5000).map(|i| format!("{i}{}", "é".repeat(i % 50))).collect();
        for part in texts.chunks(7) {
            dict.intern_all(part.iter().map(String::as_str)).unwrap();
        }
        let codes = dict.intern_all(texts.iter().map(String::as_str)).unwrap();
        assert_eq!(dict.len(), texts.len());
        let strings = dict.read();
        for (text, code) in texts.iter().zip(codes) {
            assert_eq!((&*strings.get(code), dict.find(text)), (text.as_str(), Some(code)));
        }
        let mut sorted: Vec<_> = texts
            .iter()
            .zip(&*dict.intern_all(texts.iter().map(String::as_str)).unwrap())
            .map(|(t, &c)| (t, c))
            .collect();
        sorted.sort();
        let ranks = dict.ranks();
        assert!(sorted.iter().enumerate().all(|(rank, &(_, code))| ranks[code as usize] as usize == rank));
        let text_bytes: usize = texts.iter().map(String::len).sum();
        assert!(dict.heap_bytes() > text_bytes / 2 + texts.len() * 24);
    }

    #[test]
    fn readers_find_what_writers_add_meanwhile() {
        let dict = Dictionary::new();
        let text =
            |i: u32| if i.is_multiple_of(3) { format!("{i}") } else { format!("a longer string with number {i}") };
        std::thread::scope(|scope| {
            for t in 0..3 {
                let dict = &dict;
                scope.spawn(move || {
                    for part in 0..100 {
                        let texts: Vec<String> = (0..300).map(|i| text(part * 100 + i * (t + 1))).collect();
                        let codes = dict.intern_all(texts.iter().map(String::as_str)).unwrap();
                        let strings = dict.read();
                        assert!(texts.iter().zip(&codes).all(|(text, &code)| strings.get(code) == *text));
                        assert!(texts.iter().zip(&codes).all(|(text, &code)| dict.find(text) == Some(code)));
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..200 {
                    let strings = dict.read();
                    let unique: std::collections::HashSet<String> =
                        (0..strings.len() as u32).map(|code| strings.get(code).to_string()).collect();
                    assert_eq!(unique.len(), strings.len(), "every counted code has its string");
                }
            });
        });
    }
}
