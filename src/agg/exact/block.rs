//! Sums of blocks without error, in vector registers: 512 floats become 16 or 24 with the same exact sum.
//!
//! Adding 1.5·2^(52+k) to x and taking it away again rounds x to a multiple of 2^k; what is left over is exact, and
//! at most 2^(k−1). The rounded parts of 64 values below 2^(k+47) add up below 2^(k+53), so their sum is exact
//! too. A second slice does the same to what is left over, 48 bits further down, and a third if need be.
//! (Error-free vector transformation: Rump, Ogita, Oishi, "Accurate floating-point summation", 2008.)

/// Values in a block.
pub(super) const VALUES: usize = 512;
/// Sums that run side by side: each adds 64 = 2^6 values.
const LANES: usize = 8;
/// Bits a slice takes off: 53 less the 6 that adding 64 values may grow.
const BITS: i32 = 47;

/// The sums of `SLICES` slices; `None` if values are left over, not finite, or near the ends of the range.
pub(super) fn condense<const SLICES: usize>(xs: &[f64]) -> Option<[[f64; LANES]; SLICES]> {
    let mut most = [0.0f64; LANES];
    for xs in xs.chunks_exact(LANES) {
        for (most, x) in most.iter_mut().zip(xs) {
            *most = if x.abs() > *most { x.abs() } else { *most };
        }
    }
    let most = most.iter().fold(0.0f64, |a, &b| a.max(b));
    // Every |x| is below 2^top.
    let top = (most.to_bits() >> 52) as i32 - 1022;
    if top > 1000 {
        return None;
    }
    let mut rounders = [0.0; SLICES];
    for (i, rounder) in rounders.iter_mut().enumerate() {
        let unit = (top - BITS - i as i32 * (BITS + 1)).max(-1074);
        // 1.5 · 2^(52 + unit), by its bits.
        *rounder = f64::from_bits((((52 + unit + 1023) as u64) << 52) | 1 << 51);
    }
    let mut sums = [[0.0f64; LANES]; SLICES];
    let mut left = [0u64; LANES];
    for xs in xs.chunks_exact(LANES) {
        for lane in 0..LANES {
            let mut x = xs[lane];
            for slice in 0..SLICES {
                let rounded = (x + rounders[slice]) - rounders[slice];
                sums[slice][lane] += rounded;
                x -= rounded;
            }
            left[lane] |= x.to_bits();
        }
    }
    // NaN and infinity leave NaN behind; −0 is nothing left.
    let left = left.iter().fold(0, |a, &b| a | b);
    (left << 1 == 0).then_some(sums)
}
