//! Partials as bytes that outlive a run: strings stand in them as text, not as the codes of a run's dictionary.

use std::sync::Arc;

use super::{Partial, State, StateKind};
use crate::column::{Class, Dictionary, KeyColumn};
use crate::{Error, Result};

/// What the bytes of a partial are read as. Where a key or a state is of strings, their codes will be those of its dictionary.
#[derive(Debug, Clone)]
pub struct PartialShape {
    /// The class of each key, and its dictionary.
    pub keys: Vec<(Class, Option<Arc<Dictionary>>)>,
    /// What each state keeps, and its dictionary.
    pub states: Vec<(StateKind, Option<Arc<Dictionary>>)>,
}

impl Partial {
    /// Appends the bytes of all groups; [`PartialShape::take`] reads them back, in this process or another.
    ///
    /// Little-endian: the number of groups (u64); each key as a byte that says whether validity follows, the validity (a byte a group),
    /// and the words (u64, two for class Wide) or, of strings, a list of texts and a u32 index into it for each group; each state
    /// as its own bytes, after a list of its texts if it is of strings.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_groups(self.groups, &self.keys, &self.states, out);
    }
}

/// Appends the bytes of groups, as [`Partial::put`].
pub(super) fn put_groups(groups: usize, keys: &[KeyColumn], states: &[State], out: &mut Vec<u8>) {
    put_length(groups, out);
    for key in keys {
        out.push(u8::from(key.valid.is_some()));
        out.extend_from_slice(key.valid.as_deref().unwrap_or_default());
        if key.class == Class::Str {
            let present = |group: &usize| key.is_valid(*group);
            let mut codes: Vec<u32> = (0..groups).filter(present).map(|group| key.lo[group] as u32).collect();
            codes.sort_unstable();
            codes.dedup();
            put_texts(key.dict.as_ref(), &codes, out);
            for group in 0..groups {
                let index = codes.binary_search(&(key.lo[group] as u32)).unwrap_or(0) as u32;
                out.extend_from_slice(&index.to_le_bytes());
            }
        } else {
            put_words(&key.lo, out);
            put_words(&key.hi, out);
        }
    }
    for state in states {
        match state.strings() {
            Some((dict, codes)) => {
                put_texts(Some(dict), &codes, out);
                let mut state = state.clone();
                state.recode(None, |code| codes.binary_search(&code).unwrap_or(0) as u32);
                state.put(out);
            }
            None => {
                put_length(0, out);
                state.put(out);
            }
        }
    }
}

impl PartialShape {
    /// Reads a partial off the front of `bytes`; `None` if they are not whole or not sound.
    ///
    /// # Errors
    /// A dictionary is full.
    pub fn take(&self, bytes: &mut &[u8]) -> Result<Option<Partial>> {
        let mut full = None;
        match self.read(bytes, &mut full) {
            Some(partial) => Ok(Some(partial)),
            None => full.map_or(Ok(None), Err),
        }
    }

    fn read(&self, bytes: &mut &[u8], full: &mut Option<Error>) -> Option<Partial> {
        let groups = take_length(bytes)?;
        let mut keys = Vec::with_capacity(self.keys.len());
        for (class, dict) in &self.keys {
            let mut key = KeyColumn::new(*class, dict.clone());
            key.valid = match take_byte(bytes)? {
                0 => None,
                1 => Some(bytes.split_off(..groups)?.to_vec()),
                _ => return None,
            };
            if *class == Class::Str {
                let codes = take_texts(dict.as_ref(), bytes, full)?;
                for index in bytes.split_off(..groups.checked_mul(4)?)?.chunks_exact(4) {
                    let index = u32::from_le_bytes(index.try_into().ok()?) as usize;
                    // Under a null there may be no text at all.
                    let code = if codes.is_empty() { 0 } else { *codes.get(index)? };
                    key.lo.push(code.into());
                }
                let present = |group: usize| key.is_valid(group);
                if codes.is_empty() && (0..groups).any(present) {
                    return None;
                }
                // As everywhere, the word under a null is 0.
                (0..groups).for_each(|group| key.lo[group] *= u64::from(key.is_valid(group)));
            } else {
                key.lo = take_words(bytes, groups)?;
                if *class == Class::Wide {
                    key.hi = take_words(bytes, groups)?;
                }
            }
            keys.push(key);
        }
        let mut states = Vec::with_capacity(self.states.len());
        for (kind, dict) in &self.states {
            let codes = take_texts(dict.as_ref(), bytes, full)?;
            let mut state = State::take(&State::new(*kind), bytes, groups)?;
            if dict.is_some() {
                let mut sound = true;
                state.recode(dict.as_ref(), |index| {
                    codes.get(index as usize).copied().unwrap_or_else(|| {
                        sound = false;
                        0
                    })
                });
                if !sound {
                    return None;
                }
            }
            states.push(state);
        }
        Some(Partial { groups, keys, states })
    }
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes.split_off(..8)?.try_into().ok()?)).ok()
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    bytes.split_off_first().copied()
}

fn take_words(bytes: &mut &[u8], count: usize) -> Option<Vec<u64>> {
    let words = bytes.split_off(..count.checked_mul(8)?)?.chunks_exact(8);
    Some(words.map(|word| word.try_into().map_or(0, u64::from_le_bytes)).collect())
}

/// Appends words; as many at a time as the machine copies.
pub(super) fn put_words(words: &[u64], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + size_of_val(words), 0);
    out[start..].chunks_exact_mut(8).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_le_bytes()));
}

/// The texts of codes: how many, the length of each, and then all of them.
fn put_texts(dict: Option<&Arc<Dictionary>>, codes: &[u32], out: &mut Vec<u8>) {
    let Some(dict) = dict else { return put_length(0, out) };
    let strings = dict.read();
    put_length(codes.len(), out);
    codes.iter().for_each(|&code| put_length(strings.get(code).len(), out));
    codes.iter().for_each(|&code| out.extend_from_slice(strings.get(code).as_bytes()));
}

/// The codes that texts have in `dict`.
fn take_texts(dict: Option<&Arc<Dictionary>>, bytes: &mut &[u8], full: &mut Option<Error>) -> Option<Vec<u32>> {
    let count = take_length(bytes)?;
    // No text takes less than its length's bytes: a wrong count cannot ask for more memory than there are bytes.
    let lengths = take_words(bytes, count)?;
    let mut texts = Vec::with_capacity(count);
    for length in lengths {
        texts.push(std::str::from_utf8(bytes.split_off(..usize::try_from(length).ok()?)?).ok()?);
    }
    match dict {
        Some(dict) => dict.intern_all(texts).map_err(|error| *full = Some(error)).ok(),
        None => texts.is_empty().then(Vec::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agg::{Arg, Keep, KeyRows, Merger, Slice, StateSpec};
    use crate::column::Value;
    use crate::column::key::int_word;

    /// A partial with keys (string, int, wide) and states of every kind, strings among them.
    fn partial(texts: &[&str]) -> (Partial, Vec<StateSpec>) {
        let dict = Dictionary::new();
        let codes = dict.intern_all(texts.iter().copied()).unwrap();
        let mut name = KeyColumn::new(Class::Str, Some(Arc::clone(&dict)));
        name.lo = codes.iter().map(|&code| code.into()).collect();
        name.valid = Some(texts.iter().map(|t| u8::from(!t.is_empty())).collect());
        name.lo.iter_mut().zip(texts).for_each(|(word, text)| *word *= u64::from(!text.is_empty()));
        let mut number = KeyColumn::new(Class::Int, None);
        number.lo = texts.iter().map(|t| int_word(-(t.len() as i64))).collect();
        let mut wide = KeyColumn::new(Class::Wide, None);
        wide.lo = texts.iter().map(|t| t.len() as u64).collect();
        wide.hi = vec![7; texts.len()];
        let specs: Vec<StateSpec> = [
            (StateKind::Rows, vec![]),
            (StateKind::Count, vec![1]),
            (StateKind::Sum(Class::Float), vec![0]),
            (StateKind::Sum(Class::Int), vec![2]),
            (StateKind::Product(Class::Float), vec![0, 0]),
            (StateKind::Product(Class::Int), vec![2, 2]),
            (StateKind::Min(Class::Str), vec![1]),
            (StateKind::Max(Class::Str), vec![1]),
            (StateKind::Bag(Class::Str, Keep::All), vec![1]),
            (StateKind::Bag(Class::Str, Keep::Distinct), vec![1]),
            (StateKind::Bag(Class::Float, Keep::Largest(2)), vec![0]),
        ]
        .map(|(kind, args)| StateSpec { kind, args })
        .to_vec();
        let floats: Vec<f64> = (0..texts.len()).map(|i| 0.1 * i as f64 - 1e300 * (i % 3) as f64).collect();
        let ints: Vec<i64> = (0..texts.len() as i64).map(|i| i * i - 50).collect();
        let args = [
            Arg { values: Slice::Float(&floats), valid: None },
            Arg { values: Slice::Str(&codes, &dict), valid: name.valid.as_deref() },
            Arg { values: Slice::Int(&ints), valid: None },
        ];
        let keys = [name.clone(), number, wide];
        let mut merger = Merger::new(&keys.clone().map(|k| KeyColumn::new(k.class, k.dict)), &specs);
        merger.update(texts.len(), &keys.each_ref().map(KeyRows::Words), &specs, &args);
        (merger.finish(), specs)
    }

    /// All that can be read of a partial, by the text of its keys.
    fn read(partial: &Partial) -> Vec<String> {
        let Partial { groups, keys, states } = partial;
        let mut all = Vec::new();
        for group in 0..*groups {
            let text = |key: &KeyColumn| match (key.is_valid(group), key.class) {
                (false, _) => "null".to_owned(),
                (true, Class::Str) => key.dict.as_ref().unwrap().read().get(key.lo[group] as u32).to_string(),
                _ => format!("{} {}", key.hi.get(group).unwrap_or(&0), key.lo[group]),
            };
            let mut line: Vec<String> = keys.iter().map(text).collect();
            line.extend(states.iter().map(|state| match state {
                State::Count(n) => n[group].to_string(),
                State::FloatSum(s) => format!("{:x}", s.value(group).to_bits()),
                State::FloatProduct(s) => format!("{:x}", s.value(group).to_bits()),
                State::IntSum(s) => format!("{:?}", s.value_i128(group)),
                State::IntProduct(s) => format!("{:?}", s.value_i128(group)),
                State::Extreme(e) => format!("{:?}", e.value(group)),
                State::Bag(bag) => {
                    let mut runs = bag.map_groups(|values| values.runs())[group].clone();
                    runs.sort_by_key(|(value, _)| match value {
                        Value::Str(text) => text.to_string(),
                        other => format!("{other:?}"),
                    });
                    format!("{runs:?}")
                }
            }));
            all.push(line.join("|"));
        }
        all.sort();
        all
    }

    fn shape(partial: &Partial, specs: &[StateSpec]) -> PartialShape {
        let dict = Dictionary::new();
        // Codes that the bytes know nothing of.
        dict.intern_all(["zebra", "other"]).unwrap();
        let of = |class| (class == Class::Str).then(|| Arc::clone(&dict));
        let states = specs.iter().map(|spec| {
            let strings = matches!(
                spec.kind,
                StateKind::Min(Class::Str) | StateKind::Max(Class::Str) | StateKind::Bag(Class::Str, _)
            );
            (spec.kind, strings.then(|| Arc::clone(&dict)))
        });
        PartialShape { keys: partial.keys.iter().map(|k| (k.class, of(k.class))).collect(), states: states.collect() }
    }

    const TEXTS: [&str; 9] = ["pear", "apple", "", "pear", "fig", "a text of more than fifteen bytes", "é", "", "fig"];

    #[test]
    fn what_is_put_is_taken_by_another_dictionary() {
        for texts in [&TEXTS[..], &TEXTS[..1], &["", ""], &[]] {
            let (partial, specs) = partial(texts);
            let mut bytes = Vec::new();
            partial.put(&mut bytes);
            bytes.extend_from_slice(b"more");
            let mut rest = &bytes[..];
            let taken = shape(&partial, &specs).take(&mut rest).unwrap().unwrap();
            assert_eq!(rest, b"more");
            assert_eq!(read(&taken), read(&partial));
            // And it merges with one that was never bytes.
            let mut merger = Merger::new(&taken.gather(&[]).keys, &specs);
            merger.push(&taken);
            merger.push(&taken.gather(&(0..taken.groups as u32).rev().collect::<Vec<_>>()));
            assert_eq!(merger.groups(), partial.groups);
        }
    }

    #[test]
    fn what_is_cut_short_or_changed_is_no_panic() {
        let (partial, specs) = partial(&TEXTS);
        let shape = shape(&partial, &specs);
        let mut bytes = Vec::new();
        partial.put(&mut bytes);
        for end in 0..bytes.len() {
            assert!(shape.take(&mut &bytes[..end]).unwrap().is_none(), "{end} bytes of {}", bytes.len());
        }
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                // A checksum is what finds it; here it must only not panic or ask for the moon.
                _ = shape.take(&mut &changed[..]);
            }
        }
    }
}
