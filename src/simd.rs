//! Loops compiled for the widest registers there are.
//!
//! The crate is built for any processor of its family, which on x86-64 means registers of two 64-bit words. A function
//! defined by [`widest!`] is compiled for AVX-512 and AVX2 as well, from the same text, and the widest that the processor
//! has is chosen when it is called. No result depends on that: operations on floats are neither reordered nor fused.

/// What the processor has.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Avx512,
    Avx2,
    Plain,
}

/// What this processor has; cheap to ask.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn level() -> Level {
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
    {
        Level::Avx512
    } else if is_x86_feature_detected!("avx2") {
        Level::Avx2
    } else {
        Level::Plain
    }
}

/// Has the byte at `at` brought into the second-level cache, if there is one; returns at once.
#[inline(always)]
pub(crate) fn prefetch(data: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(byte) = data.get(at) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which reads nothing.
        #[allow(unsafe_code, reason = "a hint to the processor; the byte is there")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(byte).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, at);
}

/// Defines a function of simple arguments that runs in the widest registers the processor has. Worth it for loops over
/// hundreds of values; what the loop calls must be inlined.
macro_rules! widest {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn plain($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    plain($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    plain($($arg),*)
                }
                match $crate::simd::level() {
                    // SAFETY: the level says that the processor has what the function is compiled for.
                    #[allow(unsafe_code, reason = "a function for certain processors; the level says that this is one")]
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    #[allow(unsafe_code, reason = "a function for certain processors; the level says that this is one")]
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Plain => {}
                }
            }
            plain($($arg),*)
        }
    };
}

pub(crate) use widest;

#[cfg(test)]
mod tests {
    widest! {
        fn dot(xs: &[f64], ys: &[f64], out: &mut [f64]) -> f64 {
            let mut sum = 0.0;
            for ((x, y), out) in xs.iter().zip(ys).zip(out) {
                *out = x * y;
                sum += x * y;
            }
            sum
        }
    }

    /// What wider registers give is what one operation after the other gives, bit by bit.
    #[test]
    fn results_do_not_depend_on_registers() {
        let xs: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.1 - 3.0).collect();
        let ys: Vec<f64> = (0..1000).map(|i| 1e10 / f64::from(i + 1)).collect();
        let mut products = vec![0.0; 1000];
        let sum = dot(&xs, &ys, &mut products);
        let mut expected = 0.0;
        for i in 0..1000 {
            let product = std::hint::black_box(xs[i]) * std::hint::black_box(ys[i]);
            assert_eq!(products[i].to_bits(), product.to_bits());
            expected += std::hint::black_box(product);
        }
        assert_eq!(sum.to_bits(), f64::to_bits(expected));
    }
}
