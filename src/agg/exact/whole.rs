//! Sums of whole numbers: 64 bits a group while that is sure to be enough, [`Cells`] for the rest.
//!
//! What a block of rows can add to a group at most is known before it is added, from its largest value; as long as all
//! blocks together stay within 64 bits, no addition can overflow and none is checked. Then the 64-bit sums move to cells.

use super::cells::{Cells, Range};
use super::dyadic::Exact;
use super::fixed::Fixed;
use crate::simd::widest;

#[derive(Debug, Clone)]
pub(super) struct Whole<A> {
    /// What has been added lately.
    near: Vec<i64>,
    /// No |near| is above this.
    most: u64,
    /// What was added before; no cells at all before the first move.
    far: Cells<A>,
}

/// What `near` may grow to.
const ROOM: u64 = i64::MAX as u64;

impl<A: Fixed> Whole<A> {
    pub(super) fn new(groups: usize) -> Self {
        Whole { near: vec![0; groups], most: 0, far: Cells::new(Range::INTEGERS, 0) }
    }

    pub(super) fn len(&self) -> usize {
        self.near.len()
    }

    pub(super) fn resize(&mut self, groups: usize) {
        self.near.resize(groups, 0);
        if self.far.len() > 0 {
            self.far.resize(groups);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.near.capacity() * size_of::<i64>() + self.far.heap_bytes()
    }

    /// Adds `value(i)` to group `groups[i]`, if that is known to fit: no |value| is above `most`. Says whether it did.
    #[inline]
    pub(super) fn add_bounded(&mut self, groups: &[u32], most: u128, value: impl Fn(usize) -> i64) -> bool {
        let Some(sum) = most.checked_mul(groups.len() as u128).and_then(|sum| u64::try_from(sum).ok()) else {
            return false;
        };
        if !self.make_room(sum) {
            return false;
        }
        if let [near] = &mut self.near[..] {
            // One sum after the other would wait for the one before.
            *near += (0..groups.len()).map(value).sum::<i64>();
            return true;
        }
        let near = &mut self.near[..];
        for (i, &group) in groups.iter().enumerate() {
            near[group as usize] += value(i);
        }
        true
    }

    /// Whether `most` may be added to any group; counts it as added.
    fn make_room(&mut self, most: u64) -> bool {
        if most > ROOM {
            return false;
        }
        if most > ROOM - self.most {
            self.settle();
        }
        self.most += most;
        true
    }

    /// Moves all sums to the cells.
    fn settle(&mut self) {
        self.far.resize(self.near.len());
        for (group, near) in self.near.iter_mut().enumerate() {
            self.far.add(group, A::from_i128(std::mem::take(near).into()), 0);
        }
        self.most = 0;
    }

    /// The cells, for values of any size.
    pub(super) fn far(&mut self) -> &mut Cells<A> {
        if self.far.len() < self.near.len() {
            self.far.resize(self.near.len());
        }
        &mut self.far
    }

    pub(super) fn merge_from(&mut self, other: &Whole<A>, map: &[u32]) {
        if other.far.len() > 0 {
            self.far().merge_from(&other.far, map);
        }
        // `other.most` is within ROOM, so there is room.
        self.make_room(other.most);
        for (&near, &group) in other.near.iter().zip(map) {
            self.near[group as usize] += near;
        }
    }

    pub(super) fn gather(&self, groups: &[u32]) -> Self {
        let near = groups.iter().map(|&group| self.near[group as usize]).collect();
        let far = if self.far.len() > 0 { self.far.gather(groups) } else { self.far.clone() };
        Whole { near, most: self.most, far }
    }

    /// The sum, if 128 bits do and there is nothing rare about the group.
    #[inline]
    pub(super) fn simple(&self, group: usize) -> Option<A> {
        let near = A::from_i128(self.near[group].into());
        if self.far.len() == 0 {
            return Some(near);
        }
        self.far.simple(group)?.0.checked_add(near)
    }

    pub(super) fn exact(&self, group: usize) -> Exact {
        if let Some(sum) = self.simple(group) {
            return Exact::Finite(sum.dyadic(0));
        }
        let mut far = self.far.gather(&[group as u32]);
        far.add(0, A::from_i128(self.near[group].into()), 0);
        far.exact(0)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let mut settled = self.clone();
        settled.settle();
        settled.far.put(out);
    }

    pub(super) fn take(bytes: &mut &[u8]) -> Option<Self> {
        let far = Cells::take(Range::INTEGERS, bytes)?;
        Some(Whole { near: vec![0; far.len()], most: 0, far })
    }
}

/// Columns are equal if their sums are.
impl<A: Fixed> PartialEq for Whole<A> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|group| self.exact(group) == other.exact(group))
    }
}

/// An integer of at most 64 bits.
pub trait Integer: Copy + Default + Into<i64> {
    /// Itself if `valid` is 1, and 0 if it is 0.
    fn if_valid(self, valid: u8) -> Self;

    /// The least power of two that is above every magnitude but may equal that of a negative one: bits, not comparisons.
    fn most_of(xs: &[Self]) -> u128;
}

macro_rules! integer {
    ($($name:ident $ty:ident),+) => {$(
        widest! {
            fn $name(xs: &[$ty]) -> u32 {
                $ty::BITS - xs.iter().fold(0, |bits, x| bits | (x ^ (x >> ($ty::BITS - 1)))).leading_zeros()
            }
        }

        impl Integer for $ty {
            #[inline]
            fn if_valid(self, valid: u8) -> Self {
                self & <$ty>::from(valid).wrapping_neg()
            }

            #[inline]
            fn most_of(xs: &[Self]) -> u128 {
                1 << $name(xs)
            }
        }
    )+};
}

integer!(bits_i64 i64, bits_i32 i32);

/// [`Integer::most_of`] of integers of 128 bits; `None` beyond 64.
#[inline]
pub(super) fn most_of_wide(xs: impl Iterator<Item = i128>) -> Option<u128> {
    let bits = xs.fold(0, |bits, x| bits | (x ^ (x >> 127)));
    (bits >> 63 == 0).then(|| 1u128 << (128 - bits.leading_zeros()))
}
