//! The order of a dictionary's strings.

use rayon::slice::ParallelSliceMut;

use super::Strings;

/// For every code, the rank of its string in byte order.
///
/// Sorted are 64-bit words that order as the strings do up to ties: what follows the prefix that all strings share. Strings
/// whose words tie are compared in full.
pub(super) fn ranks(strings: &Strings) -> Vec<u32> {
    let shared = shared_prefix(strings);
    let word = |code: u32| {
        let text = strings.get(code);
        let rest = text.as_bytes().get(shared..).unwrap_or_default();
        let mut word = [0; 8];
        let len = rest.len().min(8);
        word[..len].copy_from_slice(&rest[..len]);
        u64::from_be_bytes(word)
    };
    let mut order: Vec<(u64, u32)> = (0..strings.len() as u32).map(|code| (word(code), code)).collect();
    order.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| strings.get(a.1).cmp(&strings.get(b.1))));
    let mut ranks = vec![0; order.len()];
    for (rank, &(_, code)) in (0..).zip(&order) {
        ranks[code as usize] = rank;
    }
    ranks
}

/// Bytes with which all strings begin.
fn shared_prefix(strings: &Strings) -> usize {
    if strings.is_empty() {
        return 0;
    }
    let first = strings.get(0);
    let first = first.as_bytes();
    (1..strings.len() as u32).fold(first.len(), |shared, code| {
        let text = strings.get(code);
        std::iter::zip(&first[..shared], text.as_bytes()).take_while(|(a, b)| a == b).count()
    })
}
