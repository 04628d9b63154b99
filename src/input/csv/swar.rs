//! 64 bytes compared at once in ordinary 64-bit registers ("SIMD within a register"; the exact zero-byte test is from Warren,
//! "Hacker's Delight", 6-1).

use super::QUOTE;

/// Bytes looked at together: a bit each in a register.
pub(super) const BLOCK: usize = 64;

const ONES: u64 = 0x0101_0101_0101_0101;
const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// For each byte of a block one bit, the first byte's lowest.
pub(super) struct Masks {
    pub(super) newlines: u64,
    /// Quotes, if they were asked for.
    pub(super) quotes: u64,
    /// Any of them, or the delimiter.
    pub(super) hits: u64,
}

impl Masks {
    #[inline(always)]
    pub(super) fn of<const QUOTES: bool>(block: &[u8; BLOCK], delimiter: u8) -> Masks {
        let mut masks = Masks { newlines: 0, quotes: 0, hits: 0 };
        for (i, word) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            let newline = equal(word, b'\n');
            let mut hit = newline | equal(word, delimiter);
            if QUOTES {
                let quote = equal(word, QUOTE);
                masks.quotes |= gather(quote) << (i * 8);
                hit |= quote;
            }
            masks.newlines |= gather(newline) << (i * 8);
            masks.hits |= gather(hit) << (i * 8);
        }
        masks
    }

    /// Only the first `len` bytes (less than a block).
    pub(super) fn first(self, len: usize) -> Masks {
        let real = (1 << len) - 1;
        Masks { newlines: self.newlines & real, quotes: self.quotes & real, hits: self.hits & real }
    }
}

/// Bit i: whether an odd number of the bits 0 to i are set.
#[inline(always)]
pub(super) fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The high bit of each byte that equals `byte`, exactly (no carry runs into the next byte).
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    let x = word ^ (ONES * u64::from(byte));
    !(((x & LOW) + LOW) | x) & !LOW
}

/// The high bits of the eight bytes, as the low eight bits.
#[inline(always)]
fn gather(high: u64) -> u64 {
    (high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_pair_is_compared_right() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                let word = u64::from_le_bytes([a, b, a, a, b, 0, 255, a]);
                let want: u64 = word.to_le_bytes().iter().enumerate().map(|(i, &x)| u64::from(x == b',') << i).sum();
                assert_eq!(gather(equal(word, b',')), want);
            }
        }
    }

    #[test]
    fn parity_counts_from_the_first_byte() {
        assert_eq!(parity(0b1001_0010), 0b0000_1110 | !0u64 << 7);
        assert_eq!(parity(1), !0);
        assert_eq!(parity(1 << 63), 1 << 63);
    }
}
