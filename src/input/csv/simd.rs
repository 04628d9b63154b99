//! The loop that finds every separator of regular records, in the widest registers there are.
//!
//! It goes over 64 bytes at a time: three comparisons give a bit for each delimiter, LF and quote; the places of the separators
//! are stored without a look at them, and the LFs are checked to stand where the number of columns says. Quotes are taken in
//! stride as long as every one opens a field, closes one or is doubled. At the first record that is not so, the loop stops
//! before it, and the [tokenizer](super::tokenize) reads that record its plain way.
//!
//! The registers are chosen when the program runs: AVX-512, AVX2 or the plain 64-bit ones. All do the same work in the same
//! order, and the tests compare them.

use super::swar::{BLOCK, parity};

/// Which registers to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Plain,
}

impl Level {
    /// The levels this processor has, best first.
    pub(super) fn all() -> impl Iterator<Item = Level> {
        #[cfg(target_arch = "x86_64")]
        let wide = {
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("popcnt");
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt");
            [avx512.then_some(Level::Avx512), avx2.then_some(Level::Avx2)].into_iter().flatten()
        };
        #[cfg(not(target_arch = "x86_64"))]
        let wide = std::iter::empty();
        wide.chain([Level::Plain])
    }
}

/// One bit a byte of a block.
#[derive(Clone, Copy)]
struct Bits {
    delimiters: u64,
    newlines: u64,
    quotes: u64,
    /// CRs; only asked for where bits can be extracted.
    returns: u64,
}

/// What the loop reads and writes. Places count from the start of `data`.
pub(super) struct Run<'a> {
    /// The bytes, from the start of a record on.
    pub(super) data: &'a [u8],
    pub(super) delimiter: u8,
    pub(super) columns: usize,
    /// A record that ends here or later is the last.
    pub(super) stop: usize,
    /// Added to every place.
    pub(super) base: u32,
    /// For each row its start.
    pub(super) starts: &'a mut Vec<u32>,
    /// For each row the ends of its fields; what follows the rows is scratch.
    pub(super) ends: &'a mut Vec<u32>,
}

/// Places are less than this, with room for a block.
const MOST: usize = 1 << 31;

impl Run<'_> {
    /// Reads rows until one ends at `stop`, or the next is not regular, or no more end in `data`. Returns where the next record
    /// starts.
    pub(super) fn go(self, level: Level) -> usize {
        match level {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a level is only made where the processor has what it needs.
            #[allow(unsafe_code, reason = "a function for certain processors; the level says that this is one")]
            Level::Avx512 => unsafe { self.avx512() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            #[allow(unsafe_code, reason = "a function for certain processors; the level says that this is one")]
            Level::Avx2 => unsafe { self.avx2() },
            Level::Plain => {
                let delimiter = self.delimiter;
                self.blocks(|block| plain(block, delimiter), each_place, |_, _| None)
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi1,bmi2,popcnt")]
    fn avx512(self) -> usize {
        use std::arch::x86_64::*;
        let delimiter = _mm512_set1_epi8(self.delimiter as i8);
        let newline = _mm512_set1_epi8(b'\n' as i8);
        let quote = _mm512_set1_epi8(super::QUOTE as i8);
        let cr = _mm512_set1_epi8(b'\r' as i8);
        let numbers = x86::numbers();
        self.blocks(
            |block| {
                let bytes = x86::load512(block);
                Bits {
                    delimiters: _mm512_cmpeq_epi8_mask(bytes, delimiter),
                    newlines: _mm512_cmpeq_epi8_mask(bytes, newline),
                    quotes: _mm512_cmpeq_epi8_mask(bytes, quote),
                    returns: _mm512_cmpeq_epi8_mask(bytes, cr),
                }
            },
            |bits, base, out| {
                // The numbers of the set bits, packed, then widened 16 at a time.
                let packed = _mm512_maskz_compress_epi8(bits, numbers);
                let base = _mm512_set1_epi32(base as i32);
                let [first, second, third, fourth] = out.as_chunks_mut::<16>().0 else { return };
                let widen = |bytes| _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes), base);
                x86::store512(first, widen(_mm512_castsi512_si128(packed)));
                if bits.count_ones() > 16 {
                    x86::store512(second, widen(_mm512_extracti32x4_epi32::<1>(packed)));
                    x86::store512(third, widen(_mm512_extracti32x4_epi32::<2>(packed)));
                    x86::store512(fourth, widen(_mm512_extracti32x4_epi32::<3>(packed)));
                }
            },
            |bits, of| Some(_pext_u64(bits, of)),
        )
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,popcnt")]
    fn avx2(self) -> usize {
        use std::arch::x86_64::*;
        let delimiter = _mm256_set1_epi8(self.delimiter as i8);
        let newline = _mm256_set1_epi8(b'\n' as i8);
        let quote = _mm256_set1_epi8(super::QUOTE as i8);
        self.blocks(
            |block| {
                let [low, high] = x86::load256(block);
                let equal = |to| {
                    let bits = |half| _mm256_movemask_epi8(_mm256_cmpeq_epi8(half, to)) as u32;
                    u64::from(bits(low)) | u64::from(bits(high)) << 32
                };
                Bits { delimiters: equal(delimiter), newlines: equal(newline), quotes: equal(quote), returns: 0 }
            },
            each_place,
            // Some processors that have no wider registers take long to extract bits.
            |_, _| None,
        )
    }

    /// The loop itself, with the steps that depend on the registers: the bits of a block; the places of bits; and, if it costs
    /// little, the first bits at the places of the second, packed.
    #[inline(always)]
    fn blocks(
        self,
        bits: impl Fn(&[u8; BLOCK]) -> Bits,
        places: impl Fn(u64, u32, &mut [u32; BLOCK]),
        extract: impl Fn(u64, u64) -> Option<u64>,
    ) -> usize {
        let Run { data, columns, stop, base, starts, ends, .. } = self;
        let mut rows = starts.len();
        let mut count = rows * columns;
        // The index of the field end that must be an LF.
        let mut last = count + columns - 1;
        // Of field ends that follow an LF, the bits of those that are LFs too.
        let period = (0..64).step_by(columns).fold(0u64, |bits, bit| bits | 1 << bit);
        let mut start = 0;
        let mut quoting = Quoting::default();
        let mut after_return = 0;
        let mut tail = [0; BLOCK];
        let mut next = 0;
        let end = 'blocks: loop {
            let at = next;
            if at >= data.len() || at >= MOST {
                break start;
            }
            next = at + BLOCK;
            let (block, real) = match data[at..].first_chunk::<BLOCK>() {
                Some(block) => (block, !0),
                None => {
                    let rest = &data[at..];
                    tail[..rest.len()].copy_from_slice(rest);
                    (&tail, (1 << rest.len()) - 1)
                }
            };
            let mut found = bits(block);
            found.delimiters &= real;
            found.newlines &= real;
            found.quotes &= real;
            if found.quotes | quoting.inside | quoting.after | quoting.cr == 0 {
                quoting.before = (found.delimiters | found.newlines) >> 63;
            } else if !quoting.step(&mut found, block) {
                break start;
            }
            let newlines = found.newlines;
            let hits = found.delimiters | newlines;
            let number = hits.count_ones() as usize;
            let crlf = newlines & (found.returns << 1 | after_return);
            after_return = found.returns >> 63;
            if ends.len() < count + BLOCK {
                ends.resize((count + BLOCK) * 2, 0);
            }
            // One more: where the row begins that does not end here.
            if starts.len() < rows + 1 + BLOCK {
                starts.resize((rows + 1 + BLOCK) * 2, 0);
            }
            starts[rows] = base + start as u32;
            if let Some(out) = ends[count..].first_chunk_mut::<BLOCK>() {
                places(hits, base + at as u32, out);
            }
            // Where every row has its fields, LFs stand in a pattern.
            let due = last - count;
            let regular = if due < 64 { (period << due) & low_bits(number) } else { 0 };
            if crlf == 0 && next < stop && extract(newlines, hits) == Some(regular) {
                if let Some(out) = starts[rows + 1..].first_chunk_mut::<BLOCK>() {
                    places(newlines, base + at as u32 + 1, out);
                }
                rows += newlines.count_ones() as usize;
                last += newlines.count_ones() as usize * columns;
                if newlines != 0 {
                    start = next - newlines.leading_zeros() as usize;
                }
                count += number;
                continue;
            }
            let mut newlines = newlines;
            while newlines != 0 {
                let bit = newlines.trailing_zeros();
                newlines &= newlines - 1;
                let before = (hits & ((1 << bit) - 1)).count_ones() as usize;
                if count + before != last {
                    break 'blocks start;
                }
                let here = at + bit as usize;
                if here > start && data[here - 1] == b'\r' {
                    ends[last] -= 1;
                }
                last += columns;
                rows += 1;
                start = here + 1;
                starts[rows] = base + start as u32;
                if start >= stop {
                    break 'blocks start;
                }
            }
            count += number;
            // More fields than columns: no use to look for the end of it.
            if count > last {
                break start;
            }
        };
        starts.truncate(rows);
        end
    }
}

/// The lowest `count` (up to 64) bits.
#[inline(always)]
fn low_bits(count: usize) -> u64 {
    if count < 64 { (1 << count) - 1 } else { !0 }
}

/// Where the quotes of a block stand in the rules, from block to block.
struct Quoting {
    /// All ones inside quotes.
    inside: u64,
    /// Bit 0: whether the byte before the block is a separator, or there is none.
    before: u64,
    /// Bit 0: whether the byte before the block is a quote that closed.
    after: u64,
    /// Bit 0: whether the byte before the block is a CR after a quote that closed.
    cr: u64,
}

impl Default for Quoting {
    fn default() -> Self {
        Quoting { inside: 0, before: 1, after: 0, cr: 0 }
    }
}

impl Quoting {
    /// Takes separators inside quotes out of a block's. False if a quote stands where none may: one that is text, or is
    /// followed by text.
    ///
    /// Inside is where an odd number of quotes stands before; a doubled quote leaves and enters at once.
    #[inline(always)]
    fn step(&mut self, found: &mut Bits, block: &[u8; BLOCK]) -> bool {
        let quotes = found.quotes;
        let within = parity(quotes) ^ self.inside;
        let (opening, closing) = (quotes & within, quotes & !within);
        found.delimiters &= !within;
        found.newlines &= !within;
        let hits = found.delimiters | found.newlines;
        let after = closing << 1 | self.after;
        // A quote opens after a separator, or after the one that it doubles.
        let opens_well = opening & !(hits << 1 | self.before | after) == 0;
        // What follows a closing quote: its double, a separator, or the CR of a CRLF.
        let crs = after & !hits & !quotes;
        let mut closes_well = (self.cr & !found.newlines) == 0;
        if crs != 0 {
            let mut rest = crs;
            while rest != 0 {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                closes_well &= block[bit] == b'\r';
            }
            closes_well &= (crs << 1) & !found.newlines == 0;
        }
        self.cr = crs >> 63;
        self.inside = 0u64.wrapping_sub(within >> 63);
        self.before = hits >> 63;
        self.after = closing >> 63;
        opens_well && closes_well
    }
}

/// A block without wide registers.
fn plain(block: &[u8; BLOCK], delimiter: u8) -> Bits {
    let masks = super::swar::Masks::of::<true>(block, delimiter);
    let delimiters = masks.hits & !masks.newlines & !masks.quotes;
    Bits { delimiters, newlines: masks.newlines, quotes: masks.quotes, returns: 0 }
}

/// The numbers of the set bits, one after the other.
#[inline(always)]
fn each_place(mut bits: u64, base: u32, out: &mut [u32; BLOCK]) {
    let mut next = out.iter_mut();
    while bits != 0 {
        let Some(place) = next.next() else { return };
        *place = base + bits.trailing_zeros();
        bits &= bits - 1;
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "loads and stores of whole registers take pointers; arrays of their size are behind them"
)]
mod x86 {
    use std::arch::x86_64::*;

    use super::BLOCK;

    #[target_feature(enable = "avx512f")]
    pub(super) fn load512(block: &[u8; BLOCK]) -> __m512i {
        // SAFETY: 64 bytes are there to be read; the load needs no alignment.
        unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn store512(out: &mut [u32; 16], value: __m512i) {
        // SAFETY: 64 bytes are there to be written, any bits are a u32; the store needs no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), value) }
    }

    /// Byte i is i.
    #[target_feature(enable = "avx512f")]
    pub(super) fn numbers() -> __m512i {
        load512(&std::array::from_fn(|i| i as u8))
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn load256(block: &[u8; BLOCK]) -> [__m256i; 2] {
        let at = block.as_ptr().cast::<__m256i>();
        // SAFETY: twice 32 bytes are there to be read; the loads need no alignment.
        unsafe { [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))] }
    }
}
