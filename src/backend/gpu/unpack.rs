//! Keys of groups, put together again from packed words.

use super::layout::Words;
use super::survey::{KeyShape, KeyWord};
use crate::column::key::{int_word, wide_word};
use crate::column::{Class, KeyColumn};
use crate::kernel::pack_keys::Packing;

/// The keys of groups, put together from packed ones.
pub(super) fn key_column(
    of: &Words,
    shape: &KeyShape,
    packing: &Packing,
    heads: &[Vec<u32>],
    groups: usize,
) -> KeyColumn {
    let mut planes = shape.words.iter().map(|word| unpack(word, packing, heads, groups));
    let mut key = KeyColumn::new(of.class, None);
    if of.planes.valid.is_some() {
        let valid: Vec<u8> = planes.next().unwrap_or_default().into_iter().map(|word| word as u8).collect();
        key.valid = Some(valid).filter(|valid| valid.contains(&0));
    }
    let mut pair = |words: u32| -> Vec<u64> {
        let mut out = vec![0u64; groups];
        for plane in planes.by_ref().take(words as usize) {
            for (out, word) in out.iter_mut().zip(plane) {
                *out = *out << 32 | u64::from(word);
            }
        }
        out
    };
    if of.class == Class::Wide {
        key.hi = pair(2);
    }
    key.lo = pair(of.planes.words.min(2));
    if let Some(narrow) = shape.narrow {
        for group in 0..groups {
            let hi = key.hi.get(group).copied().unwrap_or(0);
            let value = narrow.extend(u128::from(hi) << 64 | u128::from(key.lo[group]));
            // The word under a null is 0.
            let word = match (key.is_valid(group), of.class) {
                (false, _) => 0,
                (true, Class::Wide) => wide_word(value),
                (true, _) => int_word(value as i64).into(),
            };
            key.lo[group] = word as u64;
            if let Some(hi) = key.hi.get_mut(group) {
                *hi = (word >> 64) as u64;
            }
        }
    }
    key
}

/// One key word of all groups.
fn unpack(word: &KeyWord, packing: &Packing, heads: &[Vec<u32>], groups: usize) -> Vec<u32> {
    let mut out = vec![word.constant & !word.varying; groups];
    for span in packing.spans.iter().filter(|span| span.plane_at == word.plane_at) {
        let mask = u32::MAX >> (32 - span.bits);
        let packed = heads.get(span.place as usize / 32).map_or(&[][..], |head| head);
        for (out, packed) in out.iter_mut().zip(packed) {
            *out |= ((packed >> (span.place % 32)) & mask) << span.shift;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::survey::Narrow;
    use super::*;
    use crate::expr::NodeId;
    use crate::expr::wgsl::OutputPlanes;

    #[test]
    fn keys_come_back_from_their_packed_words() {
        let planes = OutputPlanes { first: 1, words: 2, valid: Some(3) };
        let of = Words { node: NodeId(0), class: Class::Int, planes };
        // Valid varies, the high word is constant, the low one varies in bits 4 to 6.
        let words = [(300, 1, 1), (200, 0, 0x8000_0000), (100, 0x70, 0x1f)];
        let words = words.map(|(plane_at, varying, constant)| KeyWord { plane_at, varying, constant });
        let packing = Packing::new(&words.map(|word| (word.plane_at, word.varying)));
        assert_eq!(packing.bits, 4);
        let mut shape = KeyShape { words: words.to_vec(), narrow: None };
        let key = key_column(&of, &shape, &packing, &[vec![0b1010, 0b1111, 0b0000]], 3);
        assert_eq!(key.valid.as_deref(), Some(&[1, 1, 0][..]));
        assert_eq!(key.lo, [0x8000_0000_0000_002f, 0x8000_0000_0000_007f, 0x8000_0000_0000_000f]);
        shape.narrow = Some(Narrow { bits: 7, signed: true });
        let key = key_column(&of, &shape, &packing, &[vec![0b1010, 0b1111, 0b0000]], 3);
        assert_eq!(key.lo, [int_word(0x2f), int_word(-1), 0]);
    }
}
