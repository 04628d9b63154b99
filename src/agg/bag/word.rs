//! The two widths of a value's word.

/// An order-preserving word of 64 bits, or of 128 for class Wide. `Default` is the lowest.
pub(super) trait Word: Copy + Ord + Default + Send + Sync + std::ops::Not<Output = Self> {
    /// Its width in bytes.
    const BYTES: usize;
    /// Low 64 bits.
    fn low(self) -> u64;
    /// High 64 bits; 0 if there are none.
    fn high(self) -> u64;
    /// Of the two.
    fn join(high: u64, low: u64) -> Self;
}

impl Word for u64 {
    const BYTES: usize = 8;

    #[inline]
    fn low(self) -> u64 {
        self
    }

    #[inline]
    fn high(self) -> u64 {
        0
    }

    #[inline]
    fn join(_: u64, low: u64) -> Self {
        low
    }
}

impl Word for u128 {
    const BYTES: usize = 16;

    #[inline]
    fn low(self) -> u64 {
        self as u64
    }

    #[inline]
    fn high(self) -> u64 {
        (self >> 64) as u64
    }

    #[inline]
    fn join(high: u64, low: u64) -> Self {
        u128::from(high) << 64 | u128::from(low)
    }
}
