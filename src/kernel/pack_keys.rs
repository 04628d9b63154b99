//! Key words with their constant bits left out.
//!
//! A bit that is the same in every key cannot change the order, so the varying bits alone, concatenated in the same order of
//! significance, sort alike and are fewer digits to sort by.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `pack_keys`.
    PackKeysParams {
        /// Items.
        n,
        /// 1 if item `i` is row `i`.
        iota,
        /// Spans.
        spans,
        /// Words from one plane of the packed keys to the next.
        stride,
    }
}

/// Consecutive bits of a key word and their place in the packed key.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Span {
    /// Word offset of the key word's plane.
    pub plane_at: u32,
    /// The lowest bit taken.
    pub shift: u32,
    /// Bits taken, 1 to 32.
    pub bits: u32,
    /// The bit of the packed key where the lowest bit taken goes; bit 0 is the least significant of word 0.
    pub place: u32,
}

/// How keys are packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// The spans, by ascending place.
    pub spans: Vec<Span>,
    /// Bits of a packed key.
    pub bits: u32,
}

impl Packing {
    /// A packing for keys whose word `w` stands in the plane at `planes[w].0` and varies in the bits `planes[w].1`, the
    /// **most** significant word first (the order of the key columns).
    pub fn new(planes: &[(u32, u32)]) -> Self {
        let mut packing = Self::default();
        for &(plane_at, varying) in planes.iter().rev() {
            let mut shift = 0;
            while shift < 32 && varying >> shift != 0 {
                shift += (varying >> shift).trailing_zeros();
                let run = (varying >> shift).trailing_ones();
                let bits = run.min(32 - packing.bits % 32);
                packing.spans.push(Span { plane_at, shift, bits, place: packing.bits });
                packing.bits += bits;
                shift += bits;
            }
        }
        packing
    }

    /// Words of a packed key.
    pub fn words(&self) -> u32 {
        self.bits.div_ceil(32)
    }

    /// The bits in use in each packed word, the least significant word first: what the sort has to look at.
    pub fn varying(&self) -> Vec<u32> {
        (0..self.words()).map(|word| u32::MAX >> (32 - (self.bits - word * 32).min(32))).collect()
    }

    /// The key word of the plane at `plane_at`, put back together from a packed key; `constant` is any key's word.
    pub fn unpack(&self, packed: &[u32], plane_at: u32, constant: u32) -> u32 {
        self.spans.iter().filter(|span| span.plane_at == plane_at).fold(constant, |word, span| {
            let mask = u32::MAX >> (32 - span.bits);
            let bits = (packed[span.place as usize / 32] >> (span.place % 32)) & mask;
            (word & !(mask << span.shift)) | bits << span.shift
        })
    }
}

/// The kernel.
pub fn kernel(shape: &Shape) -> Kernel {
    Kernel::new("pack_keys", "main", assemble(shape, &[], &[include_str!("../../shaders/pack_keys.wgsl")]))
}

/// The packed key of one row, the least significant word first.
pub fn reference(packing: &Packing, planes: &[u32], row: usize) -> Vec<u32> {
    let mut packed = vec![0; packing.words() as usize];
    for bit in packing.spans.iter().flat_map(|span| (0..span.bits).map(move |bit| (span, bit))) {
        let (span, bit) = bit;
        let value = (planes[span.plane_at as usize + row] >> (span.shift + bit)) & 1;
        let place = span.place + bit;
        packed[place as usize / 32] |= value << (place % 32);
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_follow_runs_and_stop_at_word_ends() {
        let packing = Packing::new(&[(100, 0xffff_ffff), (200, 0x0000_0ff1)]);
        let spans: Vec<_> = packing.spans.iter().map(|s| (s.plane_at, s.shift, s.bits, s.place)).collect();
        assert_eq!(spans, [(200, 0, 1, 0), (200, 4, 8, 1), (100, 0, 23, 9), (100, 23, 9, 32)]);
        assert_eq!((packing.bits, packing.words()), (41, 2));
        assert_eq!(packing.varying(), [u32::MAX, 0x1ff]);
        assert_eq!(Packing::new(&[(0, 0)]), Packing::default());
        assert_eq!(Packing::new(&[(0, u32::MAX)]).varying(), [u32::MAX]);
    }

    #[test]
    fn packing_keeps_the_order_and_comes_back() {
        // Two key words, the first the more significant; 6 rows.
        let planes = [7, 3, 7, 0x8000_0003, 3, 7, 0x50, 0x10, 0x10, 0xf0, 0xd0, 0x50];
        let varying = |at: usize| crate::kernel::key_bits::reference(&planes[at..at + 6]);
        let packing = Packing::new(&[(0, varying(0)), (6, varying(6))]);
        let key = |row: usize| (planes[row], planes[6 + row]);
        let packed = |row: usize| reference(&packing, &planes, row).into_iter().rev().collect::<Vec<_>>();
        for a in 0..6 {
            for b in 0..6 {
                assert_eq!(key(a).cmp(&key(b)), packed(a).cmp(&packed(b)), "{a} {b}");
            }
            let back = reference(&packing, &planes, a);
            assert_eq!((packing.unpack(&back, 0, planes[0]), packing.unpack(&back, 6, planes[6])), key(a));
        }
    }
}
