//! From the strings of many rows to their codes: what a reader does for every row of a string column.

use super::dictionary::{Dictionary, NO_VIEW, SHARDS, Snapshot, shard, touch};
use super::text::{Key, Word};
use crate::Result;

/// Words that wait to be looked up, at most: their slots are loaded before any is looked at, so that the processor waits for many
/// at once.
const BATCH: usize = 256;
/// Entries of the cache. Only those in use take room in a first-level cache; many are there so that few strings share one.
const CACHE: usize = 1 << 11;
/// Rows between two looks at whether the cache helps.
const PERIOD: usize = 1 << 12;
/// Periods without the cache after one in which it did not help.
const COLD_PERIODS: u32 = 31;
/// Unknown strings that wait to be added together: few at first, since the rows that follow are most often theirs, then more.
const FEWEST_UNKNOWN: usize = 128;
const MOST_UNKNOWN: usize = 1 << 12;
/// New strings up to this many are added in the order of their rows, with all their shards locked; more are added shard by
/// shard.
const AT_ONCE: usize = 64;

/// A short string that was seen, and its code. One that was not has a key that no string has.
#[derive(Clone, Copy)]
struct Seen {
    key: Key,
    code: u32,
}

const UNSEEN: Seen = Seen { key: NO_VIEW, code: 0 };

/// Words on their way, and their rows among the codes.
struct Waiting<'d> {
    words: [Word<'d>; BATCH],
    rows: [usize; BATCH],
    len: usize,
}

/// Gives rows the codes of their strings. Keeps a small cache of common strings, so it pays to keep it for a chunk.
pub(crate) struct Interner {
    /// Empty until first used.
    cache: Vec<Seen>,
    /// Periods to come that do without the cache.
    cold: u32,
    /// Rows of this period, and how many of them were in the cache.
    rows: usize,
    hits: usize,
    /// Whether nearly all words were new of late, so that they are added without being looked up before.
    new: bool,
}

impl Interner {
    pub(crate) fn new() -> Interner {
        Interner { cache: Vec::new(), cold: 0, rows: 0, hits: 0, new: false }
    }

    /// Appends one code for each text (0 for none). Texts that are no UTF-8 are named to `bad` by their index, in ascending
    /// order while it returns true; their code is 0.
    ///
    /// # Errors
    /// The dictionary is full.
    pub(crate) fn extend<'d>(
        &mut self,
        dict: &Dictionary,
        mut words: impl Iterator<Item = Option<Word<'d>>>,
        codes: &mut Vec<u32>,
        mut bad: impl FnMut(usize) -> bool,
    ) -> Result<()> {
        let first = codes.len();
        codes.reserve(words.size_hint().0);
        let mut snapshot = dict.snapshot();
        let mut waiting = Waiting { words: [Word::of(b""); BATCH], rows: [0; BATCH], len: 0 };
        let mut unknown: Vec<(Word<'d>, usize)> = Vec::new();
        let mut most = if self.new { MOST_UNKNOWN } else { FEWEST_UNKNOWN };
        let mut naming = true;
        // Words since some were added.
        let mut looked_at = 0;
        loop {
            // The only place that asks for a word, so that it is made here and not behind a call.
            let (start, from) = (codes.len(), waiting.len);
            let (mut row, mut len) = (start, from);
            let room = BATCH - from;
            while row - start < room {
                let Some(word) = words.next() else { break };
                if let (Some(word), true) = (word, len < BATCH) {
                    waiting.words[len] = word;
                    waiting.rows[len] = row;
                    len += 1;
                }
                row += 1;
            }
            let more = row - start == room;
            looked_at += len - from;
            waiting.len = len;
            codes.resize(row, 0);
            if self.cold == 0 {
                self.recall(&mut waiting, from, codes);
                self.hits += len - waiting.len;
            }
            // Few are left where the cache helps: more rows are waited for.
            if waiting.len > BATCH / 2 || self.cold != 0 || !more {
                if self.new && self.cold != 0 {
                    unknown.extend(std::iter::zip(waiting.words, waiting.rows).take(waiting.len));
                    waiting.len = 0;
                } else {
                    self.look_up(&snapshot, &mut waiting, &mut unknown, codes);
                }
            }
            if !more || unknown.len() >= most {
                let (no_text, added) = add(dict, &unknown, codes)?;
                if looked_at >= BATCH {
                    self.new = added * 8 >= looked_at * 7;
                    looked_at = 0;
                }
                for row in no_text {
                    codes[row] = 0;
                    naming = naming && bad(row - first);
                }
                if !more {
                    return Ok(());
                }
                unknown.clear();
                most = (most * 2).min(MOST_UNKNOWN);
                snapshot = dict.snapshot();
            }
            self.rows += row - start;
            if self.rows >= PERIOD {
                let helped = self.hits * 2 >= self.rows;
                self.cold = if self.cold == 0 && !helped { COLD_PERIODS } else { self.cold.saturating_sub(1) };
                (self.rows, self.hits) = (0, 0);
            }
        }
    }

    /// Gives the rows of those of `waiting` from `from` on that are in the cache their codes; the others stay.
    fn recall(&mut self, waiting: &mut Waiting<'_>, from: usize, codes: &mut [u32]) {
        if self.cache.is_empty() {
            self.cache = vec![UNSEEN; CACHE];
        }
        let Some(cache) = self.cache.first_chunk::<CACHE>() else { return };
        let mut kept = from;
        for i in from..waiting.len {
            let (word, row) = (waiting.words[i], waiting.rows[i]);
            let seen = &cache[word.hash as usize % CACHE];
            // Without a branch, which random strings would often mispredict: a code that is not its own is overwritten later.
            codes[row] = seen.code;
            waiting.words[kept] = word;
            waiting.rows[kept] = row;
            kept += usize::from(seen.key != word.key);
        }
        waiting.len = kept;
    }

    /// Finds the codes of `waiting`, and moves those that are not there to `unknown`.
    ///
    /// In steps over the whole batch, each a loop without branches: so the loads of one step wait for memory together.
    fn look_up<'d>(
        &mut self,
        snapshot: &Snapshot,
        waiting: &mut Waiting<'d>,
        unknown: &mut Vec<(Word<'d>, usize)>,
        codes: &mut [u32],
    ) {
        let words = &waiting.words[..waiting.len];
        let mut candidates = [0; BATCH];
        for (candidate, word) in candidates.iter_mut().zip(words) {
            *candidate = snapshot.candidate(word.hash);
        }
        let mut views = [NO_VIEW; BATCH];
        let mut others = [0; BATCH];
        let mut len = 0;
        for (i, ((word, &row), &code)) in words.iter().zip(&waiting.rows).zip(&candidates).enumerate() {
            let view = snapshot.view_or_none(code);
            views[i] = view;
            codes[row] = code;
            others[len] = i;
            len += usize::from(view != word.key);
        }
        if let (0, Some(cache)) = (self.cold, self.cache.first_chunk_mut::<CACHE>()) {
            // A view and its code belong together, whatever the word was. No word has the key that a long string's view is.
            for ((word, &code), &key) in words.iter().zip(&candidates).zip(&views) {
                cache[word.hash as usize % CACHE] = Seen { key, code };
            }
        }
        if others[..len].iter().any(|&i| words[i].key.is_long()) {
            len = unlike(snapshot, words, &views, &mut others[..len]);
        }
        for &i in &others[..len] {
            let (word, row) = (&words[i], waiting.rows[i]);
            match snapshot.find(word) {
                Some(code) => codes[row] = code,
                None => unknown.push((*word, row)),
            }
        }
        waiting.len = 0;
    }
}

/// Of `others`, moves the indices of words that are not the long strings of their views to the front, and says how many these are.
#[inline(never)]
fn unlike(snapshot: &Snapshot, words: &[Word<'_>], views: &[Key; BATCH], others: &mut [usize]) -> usize {
    let mut texts: [&[u8]; BATCH] = [&[]; BATCH];
    for (text, &i) in texts.iter_mut().zip(&*others) {
        if words[i].key.is_long() && words[i].key.hi == views[i].hi {
            *text = snapshot.long_bytes(views[i]);
        }
    }
    touch(&texts[..others.len()]);
    let mut len = 0;
    for (at, text) in (0..others.len()).zip(texts) {
        let i = others[at];
        others[len] = i;
        // No long string is empty.
        len += usize::from(text.is_empty() || text != words[i].bytes);
    }
    len
}

/// Adds strings and sets their rows' codes. Returns the rows of those that are no UTF-8, ascending, and how many strings were added.
fn add(dict: &Dictionary, unknown: &[(Word<'_>, usize)], codes: &mut [u32]) -> Result<(Vec<usize>, usize)> {
    // Each string once: `numbers` has, for each of `unknown`, its index in `fresh`.
    let mut fresh: Vec<Word<'_>> = Vec::with_capacity(unknown.len());
    let mut numbers = Vec::with_capacity(unknown.len());
    let mut table = vec![0u32; (unknown.len() * 2).next_power_of_two()];
    let mask = table.len() - 1;
    for (word, _) in unknown {
        let mut at = word.hash as usize & mask;
        let number = loop {
            let slot = &mut table[at];
            match fresh.get((*slot).wrapping_sub(1) as usize) {
                None => {
                    fresh.push(*word);
                    *slot = fresh.len() as u32;
                    break *slot - 1;
                }
                Some(known) if known.key == word.key && (!word.key.is_long() || known.bytes == word.bytes) => {
                    break *slot - 1;
                }
                Some(_) => at = (at + 1) & mask,
            }
        };
        numbers.push(number);
    }
    const NOT_TEXT: u32 = u32::MAX;
    let mut given = vec![NOT_TEXT; fresh.len()];
    // Those that are text, and their places in `fresh`; long ones go to one block.
    let mut texts = Vec::with_capacity(fresh.len());
    let long = fresh.iter().filter(|word| word.key.is_long()).map(|word| word.bytes.len());
    let mut block = String::with_capacity(long.sum::<usize>().min(u32::MAX as usize));
    for (number, word) in fresh.iter().enumerate() {
        let Ok(text) = std::str::from_utf8(word.bytes) else { continue };
        let mut word = *word;
        if word.key.is_long() {
            if block.len() + text.len() > u32::MAX as usize && !block.is_empty() {
                place(dict, std::mem::take(&mut block), &mut texts)?;
            }
            // The block's number comes when it is whole.
            word.key.lo = block.len() as u64 | UNPLACED;
            block.push_str(text);
        }
        texts.push((word, number));
    }
    if !block.is_empty() {
        place(dict, block, &mut texts)?;
    }
    let mut added = 0;
    if texts.len() <= AT_ONCE || dict.len() < AT_ONCE * SHARDS {
        added += add_together(dict, texts.iter(), &mut given)?;
    } else {
        let (order, bounds) = by_shard(&texts);
        // Threads begin at different shards, so that they do not wait for one another at each.
        let first = texts.first().map_or(0, |(word, _)| word.hash as usize);
        for shard in (0..SHARDS).map(|i| (first + i) % SHARDS) {
            let texts = order[bounds[shard]..bounds[shard + 1]].iter().map(|&i| &texts[i as usize]);
            added += add_together(dict, texts, &mut given)?;
        }
    }
    let mut bad = Vec::new();
    for (&(_, row), &number) in unknown.iter().zip(&numbers) {
        match given[number as usize] {
            NOT_TEXT => bad.push(row),
            code => codes[row] = code,
        }
    }
    Ok((bad, added))
}

/// The indices of `texts` by their shards, and where each shard's begin.
fn by_shard(texts: &[(Word<'_>, usize)]) -> (Vec<u32>, [usize; SHARDS + 1]) {
    let mut bounds = [0; SHARDS + 1];
    texts.iter().for_each(|(word, _)| bounds[shard(word.hash) + 1] += 1);
    for shard in 0..SHARDS {
        bounds[shard + 1] += bounds[shard];
    }
    let mut next = bounds;
    let mut order = vec![0; texts.len()];
    for (i, (word, _)) in (0..).zip(texts) {
        let next = &mut next[shard(word.hash)];
        order[*next] = i;
        *next += 1;
    }
    (order, bounds)
}

/// A long word whose block has no number yet.
const UNPLACED: u64 = 1 << 63;

/// Makes `block` one of the dictionary's; the texts that lie in it learn its number.
fn place(dict: &Dictionary, block: String, texts: &mut [(Word<'_>, usize)]) -> Result<()> {
    let number = dict.add_block(block)?;
    for (word, _) in texts {
        if word.key.is_long() && word.key.lo & UNPLACED != 0 {
            word.key.lo = u64::from(number) << 32 | word.key.lo & u64::from(u32::MAX);
        }
    }
    Ok(())
}

/// Adds those of `texts` that are not there yet and notes the codes of all by their numbers. How many were added.
fn add_together<'t, 'd: 't>(
    dict: &Dictionary,
    texts: impl Iterator<Item = &'t (Word<'d>, usize)>,
    given: &mut [u32],
) -> Result<usize> {
    let (words, numbers): (Vec<Word<'_>>, Vec<usize>) = texts.copied().unzip();
    if words.is_empty() {
        return Ok(0);
    }
    dict.add(&words, |i, code| given[numbers[i]] = code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_get_the_codes_of_their_texts_through_every_path() {
        let dict = Dictionary::new();
        for distinct in [1u64, 3, 100, 5000, 40_000] {
            let text = |i: u64| match i % 5 {
                0 => format!("a text of more than fifteen bytes {}", i % distinct),
                _ => format!("{}", i % distinct),
            };
            let texts: Vec<String> = (0..60_000).map(|i| text(i * i)).collect();
            let mut interner = Interner::new();
            let mut codes = Vec::new();
            for part in texts.chunks(2500) {
                let words = part.iter().enumerate().map(|(i, t)| (i % 97 != 5).then(|| Word::of(t.as_bytes())));
                interner.extend(&dict, words, &mut codes, |_| false).unwrap();
            }
            let strings = dict.read();
            for (i, (text, &code)) in texts.iter().zip(&codes).enumerate() {
                if i % 2500 % 97 != 5 {
                    assert_eq!(strings.get(code), *text);
                }
            }
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        let dict = Dictionary::new();
        let long = [0xff; 40];
        let texts: [&[u8]; 6] = [b"a", b"\xff", b"a", &long, b"\xff", b"b"];
        let mut codes = vec![7];
        let mut bad = Vec::new();
        let words = || texts.iter().map(|t| Some(Word::of(t)));
        let add = |i| {
            bad.push(i);
            true
        };
        Interner::new().extend(&dict, words(), &mut codes, add).unwrap();
        assert_eq!((codes, &*bad), (vec![7, 0, 0, 0, 0, 0, 1], &[1, 3, 4][..]));
        let mut first = Vec::new();
        Interner::new()
            .extend(&dict, words(), &mut Vec::new(), |i| {
                first.push(i);
                false
            })
            .unwrap();
        assert_eq!((first, dict.len()), (vec![1], 2));
    }
}
