//! A growing fixed-point accumulator for the few groups whose values do not fit their window.

use num_bigint::{BigInt, BigUint, Sign};

use super::dyadic::Dyadic;

/// Σ digits[i]·2^(32·(low + i)), digits in 64 bits so that carries can wait.
#[derive(Debug, Clone, Default)]
pub(super) struct Wide {
    low: i32,
    digits: Vec<i64>,
    /// Additions since carries were last settled; every one moves a digit by less than 2^32.
    waiting: u32,
}

/// Additions that may pile up before a 64-bit digit could overflow: 2^30 · 2^32 < 2^63.
const PATIENCE: u32 = 1 << 30;

impl Wide {
    /// Adds `value · 2^exponent`.
    pub(super) fn add(&mut self, value: i128, exponent: i32) {
        self.add_magnitude(value < 0, value.unsigned_abs(), exponent);
    }

    /// Adds `±magnitude · 2^exponent`.
    pub(super) fn add_magnitude(&mut self, negative: bool, magnitude: u128, exponent: i32) {
        if magnitude == 0 {
            return;
        }
        // Up to 128 bits moved by up to 31: five digits.
        let bit = exponent.rem_euclid(32) as u32;
        let (low, high) = (magnitude << bit, if bit == 0 { 0 } else { (magnitude >> (128 - bit)) as u32 });
        let parts = [low as u32, (low >> 32) as u32, (low >> 64) as u32, (low >> 96) as u32, high];
        let skip = parts.iter().position(|&part| part != 0).unwrap_or(0);
        let end = parts.iter().rposition(|&part| part != 0).map_or(0, |i| i + 1);
        let first = self.reach(exponent.div_euclid(32) + skip as i32, end - skip);
        for (digit, &part) in self.digits[first..].iter_mut().zip(&parts[skip..end]) {
            let part = i64::from(part);
            *digit += if negative { -part } else { part };
        }
        self.waited(1);
    }

    /// Adds everything `other` holds.
    pub(super) fn merge(&mut self, other: &Wide) {
        if other.digits.is_empty() {
            return;
        }
        let mut other = other.clone();
        other.settle();
        let first = self.reach(other.low, other.digits.len());
        for (digit, part) in self.digits[first..].iter_mut().zip(&other.digits) {
            *digit += part;
        }
        self.waited(1);
    }

    /// The exact value.
    pub(super) fn dyadic(&self) -> Dyadic {
        let mut settled = self.clone();
        settled.settle();
        let negative = settled.digits.last().is_some_and(|&top| top < 0);
        // Only the top digit may be negative: −d·B^k + rest, turned into a magnitude by negating with borrow.
        let mut carry = i64::from(negative);
        let mut words = Vec::with_capacity(settled.digits.len() + 1);
        for &digit in &settled.digits {
            let digit = if negative { (!digit & 0xffff_ffff) + carry } else { digit };
            carry = if negative { digit >> 32 } else { 0 };
            words.push(digit as u32);
        }
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        Dyadic::from_big(BigInt::from_biguint(sign, BigUint::new(words)), settled.low.saturating_mul(32))
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.digits.capacity() * size_of::<i64>()
    }

    /// Makes room for `count` digits from position `low` on, and says at which index that position now is.
    fn reach(&mut self, low: i32, count: usize) -> usize {
        if self.digits.is_empty() {
            self.low = low;
        }
        if low < self.low {
            let front = (self.low - low) as usize;
            self.digits.splice(0..0, std::iter::repeat_n(0, front));
            self.low = low;
        }
        let first = (low - self.low) as usize;
        if self.digits.len() < first + count {
            self.digits.resize(first + count, 0);
        }
        first
    }

    fn waited(&mut self, additions: u32) {
        self.waiting += additions;
        if self.waiting >= PATIENCE {
            self.settle();
        }
    }

    /// Carries: every digit but a possibly negative top one (−1) becomes 32 bits.
    fn settle(&mut self) {
        let mut carry = 0i64;
        for digit in &mut self.digits {
            let sum = *digit + carry;
            *digit = sum & 0xffff_ffff;
            carry = sum >> 32;
        }
        while carry != 0 {
            if carry == -1 {
                self.digits.push(-1);
                break;
            }
            self.digits.push(carry & 0xffff_ffff);
            carry >>= 32;
        }
        // −1 above all ones is −1 one digit lower.
        while let [.., 0xffff_ffff, -1] = self.digits[..] {
            self.digits.pop();
            if let Some(top) = self.digits.last_mut() {
                *top = -1;
            }
        }
        self.waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cancels_to_zero_and_settles_signs() {
        let mut wide = Wide::default();
        assert_eq!(wide.dyadic(), Dyadic::from_i128(0, 0));
        wide.add(i128::MIN, 1000);
        wide.add(1, -1000);
        assert!(wide.dyadic().is_negative());
        wide.add(-1, -1000);
        assert_eq!(wide.dyadic(), Dyadic::from_i128(i128::MIN, 1000));
        wide.add_magnitude(false, 1 << 127, 1000);
        assert_eq!(wide.dyadic(), Dyadic::from_i128(0, 0));
        wide.add(-1, 64);
        wide.settle();
        let digits = wide.digits.len();
        wide.settle();
        assert_eq!(wide.digits.len(), digits);
        assert_eq!(wide.dyadic(), Dyadic::from_i128(-1, 64));
    }

    proptest! {
        #[test]
        fn equals_big_integers(parts in prop::collection::vec((any::<i128>(), 0..128u32, -70..70i32), 0..12), settle in any::<u16>()) {
            let (mut whole, mut left, mut right) = (Wide::default(), Wide::default(), Wide::default());
            let mut want = BigInt::from(0);
            for (i, &(value, cut, exponent)) in parts.iter().enumerate() {
                let value = value >> cut;
                whole.add(value, exponent);
                if settle >> i & 1 == 1 { &mut left } else { &mut right }.add(value, exponent);
                if settle >> (i % 5) & 1 == 1 {
                    left.settle();
                }
                want += BigInt::from(value) << (exponent + 70) as u32;
            }
            let want = Dyadic::from_big(want, -70);
            prop_assert_eq!(&whole.dyadic(), &want);
            left.merge(&right);
            prop_assert_eq!(&left.dyadic(), &want);
        }
    }
}
