//! The keys that are wanted, as a tree: what is not in it is gone over.

/// An object's wanted keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    names: Vec<Box<[u8]>>,
    below: Vec<Below>,
}

/// What is wanted of the value of a key.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// The slot that takes the value.
    pub(super) slot: Option<usize>,
    /// What is wanted of it if it is an object.
    pub(super) keys: Keys,
}

impl Keys {
    /// Adds the value at the end of `path`.
    pub(super) fn add<S: AsRef<[u8]>>(&mut self, path: &[S], slot: usize) {
        let Some((first, rest)) = path.split_first() else { return };
        let name = first.as_ref();
        let at = self.names.iter().position(|n| **n == *name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.below.push(Below::default());
            self.names.len() - 1
        });
        match rest {
            [] => self.below[at].slot = Some(slot),
            rest => self.below[at].keys.add(rest, slot),
        }
    }

    /// Whether none is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What is wanted of the value of key `name`. Records have their keys in the same order, mostly: `expected` is the one after the
    /// last that was found.
    #[inline]
    pub(super) fn find(&self, name: &[u8], expected: &mut usize) -> Option<&Below> {
        let mut at = *expected;
        if self.names.get(at).is_none_or(|n| **n != *name) {
            at = self.names.iter().position(|n| n.len() == name.len() && **n == *name)?;
        }
        *expected = at + 1;
        self.below.get(at)
    }

    /// The first slot of the tree.
    pub(super) fn slot(&self) -> Option<usize> {
        self.below.iter().find_map(|below| below.slot.or_else(|| below.keys.slot()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_any_order() {
        let mut keys = Keys::default();
        keys.add(&["a"], 0);
        keys.add(&["b", "c"], 1);
        keys.add(&["b", "d"], 2);
        keys.add(&["b"], 3);
        let mut expected = 0;
        assert_eq!(keys.find(b"a", &mut expected).unwrap().slot, Some(0));
        let b = keys.find(b"b", &mut expected).unwrap();
        assert_eq!((b.slot, b.keys.slot(), expected), (Some(3), Some(1), 2));
        assert!(keys.find(b"c", &mut expected).is_none());
        assert_eq!(keys.find(b"a", &mut expected).unwrap().slot, Some(0));
        assert_eq!(b.keys.find(b"d", &mut 0).unwrap().slot, Some(2));
    }
}
