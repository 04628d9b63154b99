//! The loops. Each is written once, for any element type and any function.

use arrow_buffer::BooleanBuffer;

/// An argument of a loop: a value a row, or one for all.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a, T> {
    /// A value a row.
    Rows(&'a [T]),
    /// A constant.
    One(T),
}

impl<T: Copy> Arg<'_, T> {
    #[inline]
    pub fn at(self, row: usize) -> T {
        match self {
            Arg::Rows(rows) => rows[row],
            Arg::One(value) => value,
        }
    }
}

/// Appends `f` of each row.
#[inline]
pub(super) fn unary<T: Copy, U>(n: usize, a: Arg<'_, T>, out: &mut Vec<U>, mut f: impl FnMut(T) -> U) {
    match a {
        Arg::Rows(a) => out.extend(a.iter().map(|&a| f(a))),
        Arg::One(a) => out.extend((0..n).map(|_| f(a))),
    }
}

/// Appends `f` of each pair of rows.
#[inline]
pub(super) fn binary<T: Copy, U>(
    n: usize,
    a: Arg<'_, T>,
    b: Arg<'_, T>,
    out: &mut Vec<U>,
    mut f: impl FnMut(T, T) -> U,
) {
    match (a, b) {
        (Arg::Rows(a), Arg::Rows(b)) => out.extend(a.iter().zip(b).map(|(&a, &b)| f(a, b))),
        (Arg::Rows(a), Arg::One(b)) => out.extend(a.iter().map(|&a| f(a, b))),
        (Arg::One(a), Arg::Rows(b)) => out.extend(b.iter().map(|&b| f(a, b))),
        (Arg::One(a), Arg::One(b)) => out.extend((0..n).map(|_| f(a, b))),
    }
}

/// Appends the results of an `f` that can fail (true beside the result), and says whether one did, on whatever row;
/// the caller then asks again which. The common case, none, costs one `or` a row.
#[inline]
pub(super) fn unary_checked<T: Copy, U>(n: usize, a: Arg<'_, T>, out: &mut Vec<U>, f: impl Fn(T) -> (U, bool)) -> bool {
    let mut any = false;
    unary(n, a, out, |a| {
        let (result, failed) = f(a);
        any |= failed;
        result
    });
    any
}

/// [`unary_checked`] for two arguments.
#[inline]
pub(super) fn binary_checked<T: Copy, U>(
    n: usize,
    a: Arg<'_, T>,
    b: Arg<'_, T>,
    out: &mut Vec<U>,
    f: impl Fn(T, T) -> (U, bool),
) -> bool {
    let mut any = false;
    binary(n, a, b, out, |a, b| {
        let (result, failed) = f(a, b);
        any |= failed;
        result
    });
    any
}

/// Which rows are valid, or errors: bytes of 0 and 1, or the same for all.
pub(super) type Mask<'a> = Arg<'a, u8>;

/// Appends where the condition holds `a`, else `b`.
#[inline]
pub(super) fn select<T: Copy>(take: &[u8], a: Arg<'_, T>, b: Arg<'_, T>, out: &mut Vec<T>) {
    match (a, b) {
        (Arg::Rows(a), Arg::Rows(b)) => {
            out.extend(take.iter().zip(a.iter().zip(b)).map(|(&take, (&a, &b))| if take != 0 { a } else { b }));
        }
        (Arg::Rows(a), Arg::One(b)) => out.extend(take.iter().zip(a).map(|(&take, &a)| if take != 0 { a } else { b })),
        (Arg::One(a), Arg::Rows(b)) => out.extend(take.iter().zip(b).map(|(&take, &b)| if take != 0 { a } else { b })),
        (Arg::One(a), Arg::One(b)) => out.extend(take.iter().map(|&take| if take != 0 { a } else { b })),
    }
}

/// Appends each bit as a byte.
pub(super) fn bits_to_bytes(bits: &BooleanBuffer, out: &mut Vec<u8>) {
    let chunks = bits.bit_chunks();
    out.reserve(bits.len());
    for word in chunks.iter() {
        out.extend((0..64).map(|i| (word >> i) as u8 & 1));
    }
    let rest = chunks.remainder_bits();
    out.extend((0..chunks.remainder_len()).map(|i| (rest >> i) as u8 & 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_at_any_offset() {
        for (offset, len) in [(0, 0), (0, 64), (3, 61), (7, 130), (63, 65), (1, 1)] {
            let bits = BooleanBuffer::collect_bool(offset + len, |i| i % 3 == 0 || i % 7 == 2).slice(offset, len);
            let mut bytes = vec![9];
            bits_to_bytes(&bits, &mut bytes);
            let want: Vec<u8> = std::iter::once(9).chain(bits.iter().map(u8::from)).collect();
            assert_eq!(bytes, want, "{offset} {len}");
        }
    }
}
