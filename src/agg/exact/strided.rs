//! Cells of many groups that lie beside other cells of the same groups.

/// For each of `groups` groups, the cells from number `at` on of its `stride` cells.
pub(in crate::agg) struct Strided<'a, T> {
    cells: &'a mut [T],
    stride: usize,
    at: usize,
    groups: usize,
}

impl<'a, T> Strided<'a, T> {
    pub(in crate::agg) fn new(cells: &'a mut [T], stride: usize, at: usize, groups: usize) -> Self {
        debug_assert!(at < stride && groups * stride <= cells.len());
        Strided { cells, stride, at, groups }
    }

    pub(in crate::agg) fn groups(&self) -> usize {
        self.groups
    }

    /// The first of a group's cells.
    #[inline(always)]
    pub(in crate::agg) fn cell(&mut self, group: u32) -> &mut T {
        &mut self.cells[group as usize * self.stride + self.at]
    }

    /// The first `N` of a group's cells.
    #[inline(always)]
    pub(in crate::agg) fn cells<const N: usize>(&mut self, group: u32) -> &mut [T; N] {
        let start = group as usize * self.stride + self.at;
        match self.cells[start..start + N].first_chunk_mut() {
            Some(cells) => cells,
            None => unreachable!("a slice of {N} has {N}"),
        }
    }

    /// The first `N` cells of every group.
    pub(in crate::agg) fn all<const N: usize>(&self) -> impl Iterator<Item = [T; N]> + '_
    where
        T: Copy,
    {
        let starts = (0..self.groups).map(|group| group * self.stride + self.at);
        starts.map(|start| std::array::from_fn(|i| self.cells[start + i]))
    }
}

/// An integer that holds a sum between blocks of additions, with room for one more block.
pub(in crate::agg) trait Cell: Copy + Default + Into<i64> {
    /// Between blocks, a sum is at least −ROOM and below ROOM; a block adds less than that.
    const ROOM: u64;

    /// The sum with a value of the block.
    fn plus(self, value: i64) -> Self;

    /// Negative if the sum is not to stand so between blocks.
    fn beyond(self) -> Self;
}

macro_rules! cell {
    ($($ty:ident),+) => {$(
        impl Cell for $ty {
            const ROOM: u64 = 1 << ($ty::BITS - 2);

            #[inline(always)]
            fn plus(self, value: i64) -> Self {
                self.wrapping_add(value as $ty)
            }

            #[inline(always)]
            fn beyond(self) -> Self {
                self.wrapping_add(1 << ($ty::BITS - 2))
            }
        }
    )+};
}

cell!(i32, i64);
