//! Which bits of key words differ between rows.

use super::shader::{Kernel, Shape, assemble, params};

params! {
    /// Parameters of `key_bits`.
    KeyBitsParams {
        /// Items.
        n,
        /// Tiles that cover them.
        tiles,
        /// 1 if item `i` is row `i`.
        iota,
        /// Key words.
        words,
        /// The first key word's plane.
        keys_at,
        /// Words from one plane to the next.
        stride,
    }
}

/// The kernel.
pub fn kernel(shape: &Shape) -> Kernel {
    Kernel::new("key_bits", "main", assemble(shape, &[], &[include_str!("../../shaders/key_bits.wgsl")]))
}

/// The bits of one key word that differ between rows.
pub fn reference(words: &[u32]) -> u32 {
    words.iter().fold(0, |bits, word| bits | (word ^ words[0]))
}
