//! The bytes of one string, as the dictionary looks at them: short ones as two words, long ones by reference.

use std::cmp::Ordering;
use std::ops::Deref;

/// Texts up to this many bytes fit into a [`Key`] whole.
pub(super) const SHORT: usize = 15;

/// Texts up to this many bytes, but no [`SHORT`] ones, are told from each other by their first and last 16 bytes.
pub(super) const MEDIUM: usize = 31;

/// The top byte of [`Key::hi`] of a text that does not fit; the length of one that does is less.
const LONG: u64 = 0xff;

/// What a text is recognised by. Up to 15 bytes: those bytes, little-endian and padded with zeros, and their number in the
/// top byte, so two texts are equal exactly if their keys are. Longer texts: 24 bits of their hash and 32 of their length;
/// `lo` is all ones, which no view of a dictionary has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) lo: u64,
    pub(super) hi: u64,
}

/// A text to look up: its bytes, its key and its hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<'d> {
    pub(super) bytes: &'d [u8],
    pub(super) key: Key,
    pub(super) hash: u64,
}

impl<'d> Word<'d> {
    /// The text `data[start..end]`. Quicker than [`Word::of`] where 16 bytes of `data` can be read from `start` on.
    ///
    /// # Panics
    /// If the range does not lie in `data`.
    #[inline(always)]
    pub(crate) fn within(data: &'d [u8], start: usize, end: usize) -> Word<'d> {
        let bytes = &data[start..end];
        match data[start..].first_chunk::<16>() {
            Some(chunk) if bytes.len() <= SHORT => Word::short(bytes, u128::from_le_bytes(*chunk) & FIRST[bytes.len()]),
            _ => Word::of(bytes),
        }
    }

    /// Any text.
    #[inline]
    pub(crate) fn of(bytes: &'d [u8]) -> Word<'d> {
        if bytes.len() > SHORT {
            return Word::long(bytes);
        }
        let mut padded = [0; 16];
        padded[..bytes.len()].copy_from_slice(bytes);
        Word::short(bytes, u128::from_le_bytes(padded))
    }

    #[inline(always)]
    fn short(bytes: &'d [u8], padded: u128) -> Word<'d> {
        let key = Key::short(padded, bytes.len());
        Word { bytes, key, hash: key.hash() }
    }

    fn long(bytes: &'d [u8]) -> Word<'d> {
        let mut hash = bytes.len() as u64 ^ SEEDS[2];
        for chunk in bytes.as_chunks::<16>().0 {
            hash = mix(hash, u128::from_le_bytes(*chunk), SEEDS[1]);
        }
        // The end once more, whatever of it was read already: no text is shorter than 16 bytes here.
        if let Some(chunk) = bytes.last_chunk::<16>() {
            hash = mix(hash, u128::from_le_bytes(*chunk), SEEDS[0]);
        }
        // A text of 4 GiB and more is told from others by its bytes.
        let hi = LONG << 56 | hash >> 40 << 32 | bytes.len() as u64 & 0xffff_ffff;
        Word { bytes, key: Key { lo: u64::MAX, hi }, hash }
    }
}

/// The key and hash of the text `data[start..end]` if it is short and 16 bytes can be read from `start` on; if not, a key that no
/// string has.
#[inline(always)]
pub(super) fn within_16(data: &[u8], start: usize, end: usize) -> (Key, u64) {
    let Some(chunk) = data.get(start..).and_then(|rest| rest.first_chunk::<16>()) else { return (NO_KEY, 0) };
    // A longer text gets a length that no short one has.
    let len = end.wrapping_sub(start).min(SHORT + 1);
    let key = Key::short(u128::from_le_bytes(*chunk) & FIRST[len.min(SHORT)], len);
    (key, key.hash())
}

const NO_KEY: Key = Key { lo: 0, hi: (SHORT as u64 + 1) << 56 };

/// The hash of a text of 16 to [`MEDIUM`] bytes from its first and last 16.
#[inline(always)]
pub(super) fn medium_hash(head: u128, tail: u128, len: usize) -> u64 {
    mix(mix(len as u64 ^ SEEDS[2], head, SEEDS[1]), tail, SEEDS[0])
}

#[inline(always)]
fn mix(hash: u64, chunk: u128, seed: u64) -> u64 {
    fold(chunk as u64 ^ hash, (chunk >> 64) as u64 ^ seed)
}

/// The first so many bytes of a word.
const FIRST: [u128; SHORT + 1] = {
    let mut masks = [0; SHORT + 1];
    let mut len = 0;
    while len <= SHORT {
        masks[len] = (1 << (len * 8)) - 1;
        len += 1;
    }
    masks
};

/// Odd constants without a pattern (digits of pi).
const SEEDS: [u64; 3] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345, 0xa409_3822_299f_31d1];

/// Multiplies to 128 bits and folds the halves: every bit of the result depends on every bit of both.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Key {
    /// Of a text that fits, padded with zeros.
    #[inline(always)]
    fn short(padded: u128, len: usize) -> Key {
        Key { lo: padded as u64, hi: (padded >> 64) as u64 | (len as u64) << 56 }
    }

    /// Whether two keys are equal, without a branch.
    #[inline(always)]
    pub(super) fn is(self, other: Key) -> bool {
        (self.lo ^ other.lo) | (self.hi ^ other.hi) == 0
    }

    /// Whether the text does not fit into the key.
    #[inline(always)]
    pub(super) fn is_long(self) -> bool {
        self.hi >> 56 == LONG
    }

    /// The hash of the text that it holds whole.
    #[inline(always)]
    pub(super) fn hash(self) -> u64 {
        fold(self.lo ^ SEEDS[0], self.hi ^ SEEDS[1])
    }
}

/// A string of a dictionary. Reads as a `str`.
#[derive(Clone, Copy)]
pub struct Text<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    Short { bytes: [u8; SHORT], len: u8 },
    Long(&'a str),
}

impl<'a> Text<'a> {
    /// The text of a key that holds it whole.
    #[inline]
    pub(super) fn short(key: Key) -> Text<'a> {
        let mut bytes = [0; SHORT];
        bytes[..8].copy_from_slice(&key.lo.to_le_bytes());
        bytes[8..].copy_from_slice(&key.hi.to_le_bytes()[..7]);
        Text(Repr::Short { bytes, len: (key.hi >> 56).min(SHORT as u64) as u8 })
    }

    pub(super) fn long(text: &'a str) -> Text<'a> {
        Text(Repr::Long(text))
    }

    /// The UTF-8 bytes, without a look at them.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { bytes, len } => &bytes[..*len as usize],
            Repr::Long(text) => text.as_bytes(),
        }
    }

    /// A word that orders as the first 15 bytes do, then a text that ends there before one that goes on. Equal for two texts
    /// only if both are longer than 15 bytes or they are the same.
    #[inline]
    pub(super) fn prefix(&self) -> u128 {
        let mut prefix = [0; 16];
        match &self.0 {
            Repr::Short { bytes, len } => {
                prefix[..SHORT].copy_from_slice(bytes);
                prefix[SHORT] = *len;
            }
            Repr::Long(text) => {
                let bytes = &text.as_bytes()[..SHORT];
                prefix[..SHORT].copy_from_slice(bytes);
                prefix[SHORT] = SHORT as u8 + 1;
            }
        }
        u128::from_be_bytes(prefix)
    }
}

impl Deref for Text<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match &self.0 {
            // Checked when it came into the dictionary; checking some bytes again costs less than unsafe code would.
            Repr::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Long(text) => text,
        }
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<Text<'_>> for std::sync::Arc<str> {
    fn from(text: Text<'_>) -> Self {
        (*text).into()
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text<'_> {}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<String> for Text<'_> {
    fn eq(&self, other: &String) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&String> for Text<'_> {
    fn eq(&self, other: &&String) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.prefix().cmp(&other.prefix()).then_with(|| self.as_bytes().cmp(other.as_bytes()))
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&**self, f)
    }
}

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_wherever_it_stands() {
        let data: Vec<u8> = (1..=60).collect();
        for start in 0..60 {
            for end in start..60 {
                let (a, b) = (Word::within(&data, start, end), Word::of(&data[start..end].to_vec().leak()[..]));
                assert_eq!((a.key, a.hash), (b.key, b.hash), "{start}..{end}");
                assert_eq!(a.key.is_long(), end - start > SHORT);
                if !a.key.is_long() {
                    assert_eq!(Text::short(a.key).as_bytes(), &data[start..end]);
                }
            }
        }
    }

    #[test]
    fn texts_order_as_their_bytes_do() {
        let texts =
            ["", "\0", "a", "a\0", "a\0b", "ab", "fifteen bytes x", "fifteen bytes xy", "fifteen bytes xz", "é", "x"];
        let text = |t: &'static str| match Word::of(t.as_bytes()) {
            word if word.key.is_long() => Text::long(t),
            word => Text::short(word.key),
        };
        for a in texts {
            for b in texts {
                assert_eq!(text(a).cmp(&text(b)), a.as_bytes().cmp(b.as_bytes()), "{a:?} {b:?}");
                assert_eq!(text(a) == text(b), a == b);
            }
            assert_eq!((&*text(a), text(a) == a), (a, true));
        }
    }
}
