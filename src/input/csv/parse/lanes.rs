//! Short plain numbers, many at once: the same steps for every text, without a branch, so that the compiler puts eight of them
//! into a register. What a text needs beyond that (an exponent, more digits, a sign `+`) marks it as left over, for the parsers
//! of one text; the texts that are not left over have exactly the values that those give.

use std::ops::Range;

use super::number::ZEROS;
use crate::simd::widest;

/// Texts taken together.
pub(in super::super) const LANES: usize = 64;

/// Some texts of up to 16 bytes as two little-endian words each, with whatever follows them in the file.
pub(in super::super) struct Texts {
    /// How many there are; what stands in the other lanes is of no account.
    len: usize,
    starts: [usize; LANES],
    lengths: [u64; LANES],
    heads: [u64; LANES],
    tails: [u64; LANES],
    /// No text is longer.
    longest: u64,
}

/// A word for each text: not 0 where it is left over.
pub(in super::super) type Left = [u64; LANES];

impl Texts {
    pub(in super::super) fn new() -> Texts {
        let none = [0; LANES];
        Texts { len: 0, starts: [0; LANES], lengths: none, heads: none, tails: none, longest: 0 }
    }

    /// Takes the next fields of `data`, fewer than [`LANES`] only if there are no more; says how many.
    #[inline(always)]
    pub(in super::super) fn take(&mut self, data: &[u8], fields: &mut impl Iterator<Item = Range<usize>>) -> usize {
        let (mut len, mut longest) = (0, 0);
        let lanes = self.starts.iter_mut().zip(&mut self.lengths).zip(self.heads.iter_mut().zip(&mut self.tails));
        for (((at, length), (head, tail)), Range { start, end }) in lanes.zip(fields) {
            let bytes = match data.get(start..).and_then(|rest| rest.first_chunk::<16>()) {
                Some(bytes) => u128::from_le_bytes(*bytes),
                None => last(data, start),
            };
            (*head, *tail) = (bytes as u64, (bytes >> 64) as u64);
            *at = start;
            *length = end.wrapping_sub(start) as u64;
            longest = longest.max(*length);
            len += 1;
        }
        (self.len, self.longest) = (len, longest);
        len
    }

    /// Where a text stands.
    pub(in super::super) fn place(&self, lane: usize) -> Range<usize> {
        self.starts[lane]..self.starts[lane] + self.lengths[lane] as usize
    }

    /// The values of decimals of up to 15 digits with a sign `-` or none; says which are left over, if any.
    pub(in super::super) fn floats(&self, values: &mut [f64; LANES], left: &mut Left) -> bool {
        if self.longest <= 8 { short_floats(self, values, left) } else { floats(self, values, left) }
    }

    /// The same of integers of up to 16 digits.
    pub(in super::super) fn ints(&self, values: &mut [i64; LANES], left: &mut Left) -> bool {
        if self.longest <= 8 { short_ints(self, values, left) } else { ints(self, values, left) }
    }

    /// The lanes that are left over, in order.
    pub(in super::super) fn left(&self, left: &Left) -> impl Iterator<Item = usize> {
        left[..self.len].iter().enumerate().filter(|(_, left)| **left != 0).map(|(lane, _)| lane)
    }
}

/// The bytes at the end of the file, with zeros after them.
#[cold]
fn last(data: &[u8], start: usize) -> u128 {
    let mut bytes = [0; 16];
    let rest = data.get(start..).unwrap_or_default();
    let len = rest.len().min(16);
    bytes[..len].copy_from_slice(&rest[..len]);
    u128::from_le_bytes(bytes)
}

const POINTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// All ones if `yes`.
#[inline(always)]
fn mask(yes: bool) -> u64 {
    0u64.wrapping_sub(u64::from(yes))
}

/// 0 where bits are pushed out altogether.
#[inline(always)]
fn shl(word: u64, bits: u64) -> u64 {
    if bits < 64 { word << bits } else { 0 }
}

#[inline(always)]
fn shr(word: u64, bits: u64) -> u64 {
    if bits < 64 { word >> bits } else { 0 }
}

/// The lowest `count` bytes of a word.
#[inline(always)]
fn lowest(count: u64) -> u64 {
    shr(!0, 64u64.wrapping_sub(count.wrapping_mul(8)))
}

/// The bytes of a mask of whole bytes.
#[inline(always)]
fn bytes(mask: u64) -> u64 {
    (mask & ONES).wrapping_mul(ONES) >> 56
}

/// The bytes of a word before its first point, of those in `within`; all if there is none, and all ones then too.
#[inline(always)]
fn before_point(word: u64, within: u64) -> u64 {
    // The lowest set bit is exact; a byte after a point may seem to be one (Warren, "Hacker's Delight", 6-1).
    let apart = word ^ POINTS;
    let points = apart.wrapping_sub(ONES) & !apart & HIGHS & within;
    ((points & points.wrapping_neg()) >> 7).wrapping_sub(1)
}

/// High bits where the bytes of a word are no digits less `'0'`.
#[inline(always)]
fn no_digits(word: u64) -> u64 {
    (word.wrapping_add(0x7676_7676_7676_7676) | word) & HIGHS
}

/// The number of eight digits less `'0'` each: pairs first, then three multiplications.
#[inline(always)]
fn number(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    low.wrapping_add(high) >> 32
}

/// `number / 10^places`, with a sign: both are floats, and one division rounds once. `number` is below 2^52, `places` below
/// `MOST` (8 or 16).
#[inline(always)]
fn float<const MOST: u64>(number: u64, places: u64, negative: u64) -> f64 {
    // The bits of 2^52 and a number below are the float of their sum.
    const BASE: f64 = (1u64 << 52) as f64;
    let number = f64::from_bits(BASE.to_bits() | number) - BASE;
    let factor = |bit: u64, power: f64| if places & bit != 0 { power } else { 1.0 };
    let power = factor(1, 1e1) * factor(2, 1e2) * factor(4, 1e4);
    let power = if MOST > 8 { power * factor(8, 1e8) } else { power };
    f64::from_bits((number / power).to_bits() | negative << 63)
}

/// A number without its sign: `words` are its bytes and what follows, `length` how many are its own.
struct Unsigned {
    head: u64,
    tail: u64,
    length: u64,
    negative: u64,
}

impl Unsigned {
    #[inline(always)]
    fn of(head: u64, tail: u64, length: u64) -> Unsigned {
        let negative = u64::from(head & 0xff == u64::from(b'-'));
        let head = if negative != 0 { head >> 8 | tail << 56 } else { head };
        let tail = if negative != 0 { tail >> 8 } else { tail };
        Unsigned { head, tail, length: length.wrapping_sub(negative), negative }
    }
}

/// The first `count` (1 to 16) bytes of two words moved to their end, zeros before them.
#[inline(always)]
fn to_the_end(head: u64, tail: u64, count: u64) -> (u64, u64) {
    let up = 128u64.wrapping_sub(count.wrapping_mul(8));
    let tail = shl(tail, up) | shr(head, 64u64.wrapping_sub(up)) | shl(head, up.wrapping_sub(64));
    (shl(head, up), tail)
}

widest! {
    /// No text is longer than 8 bytes.
    fn short_floats(texts: &Texts, values: &mut [f64; LANES], left: &mut Left) -> bool {
        let mut any = 0;
        for lane in 0..LANES {
            let Unsigned { head, length, negative, .. } = Unsigned::of(texts.heads[lane], 0, texts.lengths[lane]);
            let within = lowest(length);
            let before = before_point(head, within);
            let after = within & !before;
            let point = u64::from(after != 0);
            // The digits behind the point move up to those before it, all of them to the end.
            let digits = length.wrapping_sub(point);
            let word = shl((head & before | head >> 8 & !before) ^ ZEROS, 64u64.wrapping_sub(digits.wrapping_mul(8)));
            values[lane] = float::<8>(number(word), bytes(after).wrapping_sub(point), negative);
            left[lane] = no_digits(word) | mask(digits.wrapping_sub(1) > 7);
            any |= left[lane];
        }
        any != 0
    }
}

widest! {
    fn floats(texts: &Texts, values: &mut [f64; LANES], left: &mut Left) -> bool {
        let mut any = 0;
        for lane in 0..LANES {
            let Unsigned { head, tail, length, negative } =
                Unsigned::of(texts.heads[lane], texts.tails[lane], texts.lengths[lane]);
            let within = [lowest(length.min(8)), lowest(length.wrapping_sub(8)) & mask(length > 8)];
            let first = before_point(head, within[0]);
            let second = before_point(tail, within[1]) & mask(first == !0);
            let places = bytes(within[0] & !first) + bytes(within[1] & !second);
            let point = u64::from(places != 0);
            let digits = length.wrapping_sub(point);
            let behind = [head >> 8 | tail << 56, tail >> 8];
            let head = (head & first | behind[0] & !first) ^ ZEROS;
            let tail = (tail & second | behind[1] & !second) ^ ZEROS;
            let (head, tail) = to_the_end(head, tail, digits);
            values[lane] = float::<16>(number(head) * 100_000_000 + number(tail), places.wrapping_sub(point), negative);
            left[lane] = no_digits(head) | no_digits(tail) | mask(digits.wrapping_sub(1) > 14 || length > 16);
            any |= left[lane];
        }
        any != 0
    }
}

widest! {
    /// No text is longer than 8 bytes.
    fn short_ints(texts: &Texts, values: &mut [i64; LANES], left: &mut Left) -> bool {
        let mut any = 0;
        for lane in 0..LANES {
            let Unsigned { head, length, negative, .. } = Unsigned::of(texts.heads[lane], 0, texts.lengths[lane]);
            let word = shl(head ^ ZEROS, 64u64.wrapping_sub(length.wrapping_mul(8)));
            values[lane] = with_sign(number(word), negative);
            left[lane] = no_digits(word) | mask(length.wrapping_sub(1) > 7);
            any |= left[lane];
        }
        any != 0
    }
}

widest! {
    fn ints(texts: &Texts, values: &mut [i64; LANES], left: &mut Left) -> bool {
        let mut any = 0;
        for lane in 0..LANES {
            let Unsigned { head, tail, length, negative } =
                Unsigned::of(texts.heads[lane], texts.tails[lane], texts.lengths[lane]);
            let (head, tail) = to_the_end(head ^ ZEROS, tail ^ ZEROS, length);
            values[lane] = with_sign(number(head) * 100_000_000 + number(tail), negative);
            left[lane] = no_digits(head) | no_digits(tail) | mask(length.wrapping_sub(1) > 15);
            any |= left[lane];
        }
        any != 0
    }
}

#[inline(always)]
fn with_sign(value: u64, negative: u64) -> i64 {
    (value as i64 ^ -(negative as i64)) + negative as i64
}

#[cfg(test)]
mod tests {
    use super::super::number;
    use super::*;
    use proptest::prelude::*;

    /// What each text of a file gives, all taken in order: `None` where it is left over.
    fn read(texts: &[String], after: &str) -> (Vec<Option<f64>>, Vec<Option<i64>>) {
        let mut data = String::new();
        let mut places = vec![];
        for text in texts {
            places.push(data.len()..data.len() + text.len());
            data += &format!("{text}{after}");
        }
        let (mut floats, mut ints, mut left) = ([0.0; LANES], [0; LANES], [0; LANES]);
        let (mut fields, mut lanes) = (places.iter().cloned(), Texts::new());
        let mut out = (vec![], vec![]);
        loop {
            let first = out.0.len();
            let len = lanes.take(data.as_bytes(), &mut fields);
            assert!((0..len).all(|lane| lanes.place(lane) == places[first + lane]));
            let any = lanes.floats(&mut floats, &mut left);
            let over: Vec<usize> = lanes.left(&left).collect();
            assert!(any || over.is_empty());
            out.0.extend((0..len).map(|lane| (!over.contains(&lane)).then_some(floats[lane])));
            let any = lanes.ints(&mut ints, &mut left);
            let over: Vec<usize> = lanes.left(&left).collect();
            assert!(any || over.is_empty());
            out.1.extend((0..len).map(|lane| (!over.contains(&lane)).then_some(ints[lane])));
            if len < LANES {
                return out;
            }
        }
    }

    #[test]
    fn plain_numbers_are_not_left_over() {
        let texts = ["0", "-0", "-0.0", "12.5", "-12.5", ".5", "5.", "12345678", "-1234567", "0012.340"];
        let mut texts: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
        // Of short texts alone, then among longer ones.
        for _ in 0..2 {
            let (floats, ints) = read(&texts, ";");
            for ((text, float), int) in texts.iter().zip(floats).zip(ints) {
                assert_eq!(float.map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{text}");
                assert_eq!(int, text.parse().ok(), "{text}");
            }
            let more =
                ["123456789.123456", "-12345678.1234567", "1234567890123456", "-123456789012345", "0.00000000000001"];
            texts
                .extend(more.iter().map(|text| text.to_string()).filter(|text| text.len() < 16 || !text.contains('.')));
            texts.retain(|text| text != "1234567890123456");
        }
        // 16 digits are no decimal of 15, but an integer.
        assert_eq!(read(&["1234567890123456".into()], ""), (vec![None], vec![Some(1_234_567_890_123_456)]));
        let none = ["", "-", ".", "-.", "+1", "1e3", "1.2.3", "--1", "1-", "1 ", "nan", "12345678901234567", "\u{e9}"];
        for text in none {
            for long in ["", "1234567.25"] {
                let (floats, ints) = read(&[text.into(), long.into()], "7");
                assert_eq!((floats[0], ints[0]), (None, None), "{text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn many_numbers_are_what_each_is(
            short in proptest::collection::vec("[-+]?[0-9]{0,5}[.,e/:x]?[0-9]{0,3}[0-9.]?", 1..150),
            long in proptest::collection::vec("[-+]?[0-9]{0,9}[.,e/:x-]?[0-9]{0,9}[0-9.]?", 1..150),
            after in "[-0-9.,;]{0,3}",
        ) {
            for texts in [short, long] {
                let (floats, ints) = read(&texts, &after);
                prop_assert_eq!((floats.len(), ints.len()), (texts.len(), texts.len()));
                for ((text, float), int) in texts.iter().zip(floats).zip(ints) {
                    if float.is_some() {
                        let want = number::float64(text.as_bytes());
                        prop_assert_eq!(float.map(f64::to_bits), want.map(f64::to_bits), "{}", text);
                    }
                    if int.is_some() {
                        prop_assert_eq!(int, number::int(text.as_bytes()), "{}", text);
                    }
                }
            }
        }
    }
}
