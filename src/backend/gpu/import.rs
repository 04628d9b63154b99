//! A batch's groups into the host's states.

use std::collections::HashMap;

use super::groups::Reduced;
use super::layout::{Fill, Layout};
use super::upload::dictionary;
use crate::agg::{Extreme, Merger, State};
use crate::column::key::float_order;
use crate::column::{Chunk, Class};
use crate::expr::{Evaluated, NodeId};
use crate::kernel::value::{Op, from_words};
use crate::plan::Stage;
use crate::{Error, Result};

/// Merges the groups of one batch in.
///
/// # Errors
/// Only what cannot be: states that do not fit their reductions. The merger is of no use then.
pub(super) fn import(
    merger: &mut Merger,
    stage: &Stage,
    layout: &Layout,
    chunk: &Chunk,
    hosts: &HashMap<NodeId, Evaluated>,
    mut reduced: Reduced,
) -> Result<()> {
    let dict = |node| dictionary(&stage.program, node, chunk, hosts);
    for (key, of) in stage.keys.iter().zip(reduced.keys.iter_mut()) {
        if of.class == Class::Str {
            of.dict = Some(dict(key.node)?);
        }
    }
    {
        let (ids, states) = merger.intern(reduced.groups, &reduced.keys);
        for ((state, fill), spec) in states.iter_mut().zip(&layout.fills).zip(&stage.states) {
            let filled = match fill {
                Fill::Rows => rows(state, ids, &reduced.rows),
                Fill::Planned(planned) => sums(state, ids, &reduced, *planned),
                Fill::Extreme { planned, seen, node } => match state {
                    State::Extreme(extreme) => {
                        let Some(seen) = seen_groups(&reduced, *seen) else {
                            return Err(wrong(spec.kind));
                        };
                        let class = stage.program.node(*node).class;
                        extremes(extreme, class, ids, &reduced, *planned, *node, &seen)
                    }
                    _ => None,
                },
                Fill::Bag(_) | Fill::Nothing => Some(()),
            };
            filled.ok_or_else(|| wrong(spec.kind))?;
        }
    }
    for (at, (bag, words)) in reduced.bags.iter_mut().zip(&layout.bags).enumerate() {
        for (key, of) in bag.keys.iter_mut().zip(&reduced.keys) {
            key.dict.clone_from(&of.dict);
        }
        let dict = (words.class == Class::Str).then(|| dict(words.node)).transpose()?;
        let (ids, states) = merger.intern(bag.count, &bag.keys);
        for (state, fill) in states.iter_mut().zip(&layout.fills) {
            if let (Fill::Bag(of), State::Bag(state)) = (fill, state)
                && *of == at
            {
                let values = &bag.values;
                let entries = (0..bag.count).filter(|&i| values.is_valid(i)).map(|i| {
                    let hi = values.hi.get(i).copied().unwrap_or(0);
                    (ids[i], hi, values.lo[i], bag.times[i])
                });
                state.import(dict.as_ref(), entries);
            }
        }
    }
    Ok(())
}

fn wrong(kind: crate::agg::StateKind) -> Error {
    Error::internal(format!("a state {kind:?} cannot take its reductions in"))
}

fn rows(state: &mut State, ids: &[u32], rows: &[u64]) -> Option<()> {
    let State::Count(counts) = state else { return None };
    ids.iter().zip(rows).for_each(|(&group, rows)| counts[group as usize] += rows);
    Some(())
}

/// Counts and sums: all passes of one planned reduction.
fn sums(state: &mut State, ids: &[u32], reduced: &Reduced, planned: usize) -> Option<()> {
    for (pass, states) in reduced.passes.iter().filter(|(pass, _)| pass.planned == planned) {
        let base = pass.base;
        let values =
            || states.chunks_exact(4).map(|words| from_words([words[0], words[1], words[2], words[3]]) as i128);
        let groups = || ids.iter().map(|&group| group as usize);
        match (pass.reduction.op, &mut *state) {
            (Op::Count, State::Count(counts)) => {
                groups().zip(states).for_each(|(group, n)| counts[group] += u64::from(*n));
            }
            (Op::Sum, State::FloatSum(sums)) => {
                sums.add_scaled_all(ids, &values().collect::<Vec<_>>(), base);
            }
            (Op::Sum, State::FloatProduct(sums)) => {
                groups().zip(values()).for_each(|(group, value)| sums.add_scaled(group, value, base));
            }
            (Op::Sum, State::IntSum(sums)) if base == 0 => {
                groups().zip(values()).for_each(|(group, value)| sums.add(group, value));
            }
            (Op::Sum, State::IntSum(sums)) => {
                groups()
                    .zip(states.chunks_exact(4))
                    .for_each(|(group, words)| sums.add_limbs(group, &limbs(base, words)));
            }
            (Op::Sum, State::IntProduct(sums)) => {
                groups()
                    .zip(states.chunks_exact(4))
                    .for_each(|(group, words)| sums.add_limbs(group, &limbs(base, words)));
            }
            (Op::Flags, State::FloatSum(sums)) => {
                for (group, flags) in groups().zip(states) {
                    sums.add_special(group, flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
                }
            }
            // A product with a factor that is no number makes every moment NaN, whatever its sign.
            (Op::Flags, State::FloatProduct(sums)) => {
                groups().zip(states).for_each(|(group, flags)| sums.add_special(group, *flags != 0, false, false));
            }
            _ => return None,
        }
    }
    Some(())
}

/// A window's words as limbs from bit 0 on; windows of integers start at whole words.
fn limbs(base: i32, words: &[u32]) -> Vec<u32> {
    let mut limbs = vec![0; base as usize / 32];
    limbs.extend_from_slice(words);
    limbs
}

/// Which groups have a value, by the count of it: all, if it never is null. `None` if the count is missing.
fn seen_groups(reduced: &Reduced, seen: Option<usize>) -> Option<Vec<bool>> {
    match seen {
        None => Some(vec![true; reduced.groups]),
        Some(seen) => {
            let (_, counts) = reduced.passes.iter().find(|(pass, _)| pass.planned == seen)?;
            Some(counts.iter().map(|n| *n > 0).collect())
        }
    }
}

fn extremes(
    extreme: &mut Extreme,
    class: Class,
    ids: &[u32],
    reduced: &Reduced,
    planned: usize,
    node: NodeId,
    seen: &[bool],
) -> Option<()> {
    let (pass, states) = reduced.passes.iter().find(|(pass, _)| pass.planned == planned)?;
    let words = pass.reduction.words() as usize;
    let found = || {
        let values =
            states.chunks_exact(words).map(|words| words.iter().rev().fold(0u128, |v, w| v << 32 | u128::from(*w)));
        ids.iter().zip(values).zip(seen).filter(|(_, seen)| **seen).map(|((&group, value), _)| (group, value))
    };
    match class {
        Class::Wide => found().for_each(|(group, word)| extreme.combine_wide(group as usize, word)),
        Class::Bool | Class::Int => found().for_each(|(group, word)| extreme.combine_word(group as usize, word as u64)),
        Class::Float => found().for_each(|(group, word)| {
            // The device's NaN is all ones.
            let word = if word as u64 == u64::MAX { float_order(f64::NAN) } else { word as u64 };
            extreme.combine_word(group as usize, word);
        }),
        Class::Str => {
            let (dict, ranks) = reduced.ranks.get(&node)?;
            let mut codes = vec![0u32; ranks.len()];
            ranks.iter().zip(0..).for_each(|(&rank, code)| codes[rank as usize] = code);
            let pairs: Option<Vec<(u32, u32)>> =
                found().map(|(group, rank)| Some((group, *codes.get(rank as usize)?))).collect();
            extreme.combine_codes(dict, pairs?.into_iter());
        }
    }
    Some(())
}
