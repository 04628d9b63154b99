//! The hybrid of runs and bit-packed groups that definition levels and dictionary keys are stored in.
//!
//! A run is one value and how often it stands there; a packed part is groups of eight values of `width` bits each, from the
//! lowest bit up. Both may end anywhere in what is asked for, so a [`Hybrid`] goes on where it stopped.

use std::ops::Range;

use arrow_buffer::bit_chunk_iterator::UnalignedBitChunk;
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

use super::leaf::Trouble;

/// Values of a packed group, which has as many bytes as a value has bits.
const GROUP: usize = 8;

/// A place in a sequence of values, whose bytes are kept elsewhere: they are the `data` of every method.
pub(super) struct Hybrid {
    /// The bytes not yet looked at.
    rest: Range<usize>,
    width: usize,
    part: Part,
}

/// What is left of the part in hand.
enum Part {
    Run {
        value: u32,
        left: usize,
    },
    /// Packed from byte `start` on, up to byte `end`; the next value is the `next`th.
    Packed {
        start: usize,
        end: usize,
        next: usize,
        left: usize,
    },
}

impl Hybrid {
    /// Values of `width` bits in `rest`.
    pub(super) fn new(rest: Range<usize>, width: u8) -> Result<Hybrid, Trouble> {
        match width {
            0..=32 => Ok(Hybrid { rest, width: width.into(), part: Part::Run { value: 0, left: 0 } }),
            _ => Err(Trouble::damaged(format_args!("dictionary keys of {width} bits"))),
        }
    }

    /// Begins the next part, so that at least one value is left in it.
    fn turn(&mut self, data: &[u8]) -> Result<(), Trouble> {
        let short = || Trouble::damaged("a page has fewer values than it says");
        loop {
            let bytes = data.get(self.rest.clone()).ok_or_else(short)?;
            let (mut header, mut at) = (0u64, 0);
            loop {
                // Five bytes of seven bits hold the 32 that there may be.
                let byte = *bytes.get(at).filter(|_| at < 5).ok_or_else(short)?;
                header |= u64::from(byte & 0x7f) << (7 * at);
                at += 1;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let count = usize::try_from(header >> 1).map_err(|_| short())?;
            let start = self.rest.start + at;
            let left = if header & 1 == 1 {
                // Some writers leave out the end of the last groups.
                let end = start.saturating_add(count.saturating_mul(self.width)).min(self.rest.end);
                let there = ((end - start) * 8).checked_div(self.width).unwrap_or(usize::MAX);
                let left = count.saturating_mul(GROUP).min(there);
                self.part = Part::Packed { start, end, next: 0, left };
                self.rest.start = end;
                left
            } else {
                let size = self.width.div_ceil(8);
                let stored = bytes.get(at..at + size).ok_or_else(short)?;
                let value = stored.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
                self.part = Part::Run { value, left: count };
                self.rest.start = start + size;
                count
            };
            if left > 0 {
                return Ok(());
            }
        }
    }

    /// Goes over `values` values.
    pub(super) fn skip(&mut self, data: &[u8], mut values: usize) -> Result<(), Trouble> {
        while values > 0 {
            let gone = match &mut self.part {
                Part::Run { left: 0, .. } | Part::Packed { left: 0, .. } => {
                    self.turn(data)?;
                    continue;
                }
                Part::Run { left, .. } => {
                    let gone = values.min(*left);
                    *left -= gone;
                    gone
                }
                Part::Packed { next, left, .. } => {
                    let gone = values.min(*left);
                    *next += gone;
                    *left -= gone;
                    gone
                }
            };
            values -= gone;
        }
        Ok(())
    }

    /// Reads `values` levels of one bit and says how many are 1.
    pub(super) fn levels(&mut self, data: &[u8], mut values: usize, valid: &mut Validity) -> Result<usize, Trouble> {
        let mut ones = 0;
        while values > 0 {
            let read = match &mut self.part {
                Part::Run { left: 0, .. } | Part::Packed { left: 0, .. } => {
                    self.turn(data)?;
                    continue;
                }
                Part::Run { value, left } => {
                    let read = values.min(*left);
                    *left -= read;
                    valid.run(read, *value != 0);
                    ones += if *value != 0 { read } else { 0 };
                    read
                }
                Part::Packed { start, end, next, left } => {
                    let read = values.min(*left);
                    ones += valid.packed(&data[*start..*end], *next, read);
                    *next += read;
                    *left -= read;
                    read
                }
            };
            values -= read;
        }
        Ok(ones)
    }

    /// Fills `out` with the entries of `dictionary` that the next values are the numbers of.
    pub(super) fn look_up<T: Copy>(&mut self, data: &[u8], dictionary: &[T], mut out: &mut [T]) -> Result<(), Trouble> {
        let beyond = || {
            let entries = dictionary.len();
            Trouble::damaged(format_args!("a key points beyond the {entries} entries of its dictionary"))
        };
        while !out.is_empty() {
            match &mut self.part {
                Part::Run { left: 0, .. } | Part::Packed { left: 0, .. } => self.turn(data)?,
                Part::Run { value, left } => {
                    let most = out.len().min(*left);
                    let (now, rest) = std::mem::take(&mut out).split_at_mut(most);
                    now.fill(*dictionary.get(*value as usize).ok_or_else(beyond)?);
                    *left -= now.len();
                    out = rest;
                }
                Part::Packed { start, end, next, left } => {
                    let packed = &data[*start + *next / GROUP * self.width..*end];
                    let most = out.len().min(*left);
                    let read = match *next % GROUP {
                        0 if most >= GROUP => groups(packed, self.width, dictionary, &mut out[..most]),
                        // The rest of a group, or the beginning of one.
                        before => {
                            one_group(packed, self.width, before, dictionary, &mut out[..most.min(GROUP - before)])
                        }
                    };
                    let read = read.ok_or_else(beyond)?;
                    *next += read;
                    *left -= read;
                    out = &mut out[read..];
                }
            }
        }
        Ok(())
    }
}

/// Looks values of one group up, from its `before`th on; the group may lack its end.
fn one_group<T: Copy>(packed: &[u8], width: usize, before: usize, dictionary: &[T], out: &mut [T]) -> Option<usize> {
    let mut bytes = [0; 32];
    let there = width.min(packed.len());
    bytes[..there].copy_from_slice(&packed[..there]);
    let bit = |i: usize| (bytes[i / 8] >> (i % 8) & 1) as usize;
    for (i, out) in (before..).zip(&mut *out) {
        let number = (0..width).rev().fold(0, |number, at| number << 1 | bit(i * width + at));
        *out = *dictionary.get(number)?;
    }
    Some(out.len())
}

/// Looks the values of as many whole groups up as `out` has room for. Their number, or `None` if one is no entry.
fn groups<T: Copy>(packed: &[u8], width: usize, dictionary: &[T], out: &mut [T]) -> Option<usize> {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                $($width => unpacked::<$width, T>(packed, dictionary, out),)*
                _ => {
                    out.fill(*dictionary.first()?);
                    Some(out.len())
                }
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}

fn unpacked<const WIDTH: usize, T: Copy>(packed: &[u8], dictionary: &[T], out: &mut [T]) -> Option<usize> {
    let (packed, out) = (packed.as_chunks::<WIDTH>().0, out.as_chunks_mut::<GROUP>().0);
    for (group, out) in packed.iter().zip(&mut *out) {
        for (out, number) in out.iter_mut().zip(unpack(group)) {
            *out = *dictionary.get(number as usize)?;
        }
    }
    Some(packed.len().min(out.len()) * GROUP)
}

/// The eight values of a group.
#[inline(always)]
fn unpack<const WIDTH: usize>(group: &[u8; WIDTH]) -> [u32; GROUP] {
    let mask = (1u64 << WIDTH) - 1;
    if WIDTH <= 8 {
        let mut bytes = [0; 8];
        bytes[..WIDTH].copy_from_slice(group);
        let word = u64::from_le_bytes(bytes);
        return std::array::from_fn(|i| (word >> (i * WIDTH) & mask) as u32);
    }
    std::array::from_fn(|i| {
        // Eight bytes that hold the value and lie in the group.
        let start = (i * WIDTH / 8).min(WIDTH - 8);
        let word = group[start..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (word >> (i * WIDTH - start * 8) & mask) as u32
    })
}

/// Which rows of a chunk are not null. Bits are only kept from the first null on.
#[derive(Default)]
pub(super) struct Validity {
    rows: usize,
    bits: Option<BooleanBufferBuilder>,
}

impl Validity {
    /// `rows` more rows that are all the same.
    pub(super) fn run(&mut self, rows: usize, valid: bool) {
        if let Some(bits) = self.begun(valid) {
            bits.append_n(rows, valid);
        }
        self.rows += rows;
    }

    /// `rows` more rows, whose bits are those of `packed` from `first` on. Says how many are not null.
    fn packed(&mut self, packed: &[u8], first: usize, rows: usize) -> usize {
        let ones = UnalignedBitChunk::new(packed, first, rows).count_ones();
        if let Some(bits) = self.begun(ones == rows) {
            bits.append_packed_range(first..first + rows, packed);
        }
        self.rows += rows;
        ones
    }

    /// The bits, if there are any or there must be from now on.
    fn begun(&mut self, valid: bool) -> Option<&mut BooleanBufferBuilder> {
        if self.bits.is_none() && !valid {
            let mut bits = BooleanBufferBuilder::new(self.rows + 1);
            bits.append_n(self.rows, true);
            self.bits = Some(bits);
        }
        self.bits.as_mut()
    }

    /// Whether row `row` is not null.
    #[inline]
    pub(super) fn get(&self, row: usize) -> bool {
        self.bits.as_ref().is_none_or(|bits| bits.get_bit(row))
    }

    pub(super) fn finish(self) -> Option<NullBuffer> {
        self.bits.map(|bits| NullBuffer::new(bits.build()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as runs and packed groups, by turns as `runs` says: how many values each part has.
    fn encode(values: &[u32], width: usize, parts: &[(bool, usize)]) -> Vec<u8> {
        let mut out = Vec::new();
        let header = |out: &mut Vec<u8>, mut header: usize| {
            while header > 0x7f {
                out.push(header as u8 | 0x80);
                header >>= 7;
            }
            out.push(header as u8);
        };
        let mut at = 0;
        for &(packed, count) in parts {
            let part = &values[at..at + count];
            at += count;
            if packed {
                header(&mut out, ((count / GROUP) << 1) | 1);
                let mut bits: Vec<u8> = Vec::new();
                part.iter().for_each(|value| bits.extend((0..width).map(|bit| (value >> bit & 1) as u8)));
                out.extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit)));
            } else {
                header(&mut out, count << 1);
                out.extend(&part[0].to_le_bytes()[..width.div_ceil(8)]);
            }
        }
        assert_eq!(at, values.len());
        out
    }

    const PARTS: [(bool, usize); 7] =
        [(true, 504), (false, 5), (true, 8), (false, 1000), (true, 24), (true, 1024), (false, 1)];

    /// Values below `most` for the parts, the same in all of a run.
    fn sample(most: u64) -> Vec<u32> {
        let mut seed = most;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        let part = |&(packed, count): &(bool, usize)| {
            let first = next();
            (0..count).map(|_| if packed { next() } else { first } as u32).collect::<Vec<_>>()
        };
        PARTS.iter().flat_map(part).collect()
    }

    #[test]
    fn keys_of_every_width_are_looked_up_wherever_one_stops() {
        for width in 0..=32 {
            let most = (1u64 << width).min(700);
            let values = sample(most);
            let data = [vec![9; 3], encode(&values, width, &PARTS)].concat();
            let dictionary: Vec<u64> = (0..most).map(|i| i * i + 7).collect();
            let expected: Vec<u64> = values.iter().map(|&v| dictionary[v as usize]).collect();
            for step in [1, 3, 8, 31, 100, 5000] {
                let mut hybrid = Hybrid::new(3..data.len(), width as u8).ok().unwrap();
                let mut found = Vec::new();
                while found.len() < expected.len() {
                    let mut out = vec![0; step.min(expected.len() - found.len())];
                    assert!(hybrid.look_up(&data, &dictionary, &mut out).is_ok());
                    found.extend(out);
                    // Every other piece is gone over.
                    let skip = step.min(expected.len() - found.len());
                    assert!(hybrid.skip(&data, skip).is_ok());
                    found.extend_from_slice(&expected[found.len()..found.len() + skip]);
                }
                assert!(found == expected, "width {width}, step {step}");
                assert!(hybrid.look_up(&data, &dictionary, &mut [0]).is_err(), "there is no more");
            }
        }
    }

    #[test]
    fn a_key_beyond_the_dictionary_is_an_error() {
        let entries = [1u32, 2, 3, 4, 5];
        for (at, packed) in [(0, false), (0, true), (17, true), (23, true)] {
            let mut values = vec![4; 24];
            values[at] = 5;
            if !packed {
                values = vec![5; 24];
            }
            let data = encode(&values, 3, &[(packed, 24)]);
            for count in [24, at + 1] {
                let mut hybrid = Hybrid::new(0..data.len(), 3).ok().unwrap();
                let error = hybrid.look_up(&data, &entries, &mut vec![0; count]).err();
                assert!(matches!(error, Some(Trouble::Damaged(m)) if m.contains("5 entries")), "{at} {packed} {count}");
            }
            let mut hybrid = Hybrid::new(0..data.len(), 3).ok().unwrap();
            assert!(hybrid.look_up(&data, &entries, &mut vec![0; at]).is_ok());
            let mut hybrid = Hybrid::new(0..data.len(), 3).ok().unwrap();
            assert!(hybrid.look_up(&data, &[0u32; 0], &mut [0]).is_err());
        }
        assert!(Hybrid::new(0..0, 33).is_err());
    }

    #[test]
    fn the_last_group_may_lack_its_end() {
        let values = [1u32, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 0, 0, 0, 0, 0];
        let whole = encode(&values, 3, &[(true, 16)]);
        let data = &whole[..whole.len() - 1];
        let dictionary: Vec<u32> = (0..8).collect();
        let mut out = [9; 13];
        let mut hybrid = Hybrid::new(0..data.len(), 3).ok().unwrap();
        assert!(hybrid.look_up(data, &dictionary, &mut out).is_ok());
        assert_eq!(out, values[..13]);
        assert!(hybrid.look_up(data, &dictionary, &mut [0]).is_err());
    }

    #[test]
    fn levels_are_bits() {
        let values = sample(2);
        let data = encode(&values, 1, &PARTS);
        for step in [1, 7, 64, 1000, 5000] {
            let mut hybrid = Hybrid::new(0..data.len(), 1).ok().unwrap();
            let (mut valid, mut ones, mut rows) = (Validity::default(), 0, 0);
            while rows < values.len() {
                let now = step.min(values.len() - rows);
                ones += hybrid.levels(&data, now, &mut valid).ok().unwrap();
                rows += now;
            }
            assert_eq!(ones as u32, values.iter().sum::<u32>());
            assert!(values.iter().enumerate().all(|(row, &value)| valid.get(row) == (value == 1)));
            let nulls = valid.finish().unwrap();
            assert_eq!((nulls.len(), nulls.null_count()), (values.len(), values.len() - ones));
            assert!(hybrid.levels(&data, 1, &mut Validity::default()).is_err());
        }
        let mut valid = Validity::default();
        let data = encode(&[1; 16], 1, &[(true, 8), (false, 8)]);
        let ones = Hybrid::new(0..data.len(), 1).ok().unwrap().levels(&data, 16, &mut valid).ok().unwrap();
        assert!(ones == 16 && valid.get(15) && valid.finish().is_none(), "no bits without a null");
    }
}
