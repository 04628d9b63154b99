//! The aggregate algebra: exact sums, mergeable states, and the partial that carries them.
