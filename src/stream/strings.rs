//! Strings that no group holds any more are given back.
//!
//! A session's dictionaries only grow. What a filter looked at, and the keys of windows that are closed, stay in them. So once they hold
//! twice what the state does, the state is moved to a session with new ones, the way it moves from one process to the next: as bytes.
//! No output depends on when that happens, for codes of strings are never compared, their strings are.

use std::sync::Arc;

use super::going::Grouping;
use super::plan::StreamPlan;
use super::state::{State, take_panes};
use crate::Result;

/// Strings up to which nobody looks how many of them are needed.
const FEW: usize = 1 << 16;

impl Grouping {
    /// Moves the state to new dictionaries if most of the strings in the old ones are nobody's; whether it did.
    ///
    /// # Errors
    /// Internal ones.
    pub fn give_back_strings(&mut self) -> Result<bool> {
        let (_, held) = self.session.strings();
        // Looking goes through all groups: it is done when there are twice as many strings as the last time, and none of a state so large
        // that they hardly count.
        if held < FEW || held < 2 * self.looked || held < self.state.groups() / 4 {
            return Ok(false);
        }
        let needed = self.state.strings();
        let move_on = held >= 2 * needed;
        if move_on {
            let StreamPlan { plan, .. } = (self.plan)()?;
            let mut bytes = Vec::new();
            self.state.put(&mut bytes);
            self.session.renew(plan);
            self.shape = self.session.shape();
            if let Some(windows) = &self.windows {
                self.shape.keys.drain(..windows.keys());
            }
            self.state = State::new(&self.shape, &self.session.plan().stage.states);
            self.state.take_over(take_panes(&self.shape, &bytes)?);
        }
        self.looked = self.session.strings().1;
        Ok(move_on)
    }
}

impl State {
    /// Distinct strings in all groups.
    fn strings(&self) -> usize {
        let mut all: Vec<_> = self.mergers().flat_map(|merger| merger.strings()).collect();
        all.sort_by_key(|(dict, _)| Arc::as_ptr(dict));
        let same = all.chunk_by(|a, b| Arc::ptr_eq(&a.0, &b.0));
        same.map(|of_one| {
            let mut codes: Vec<u32> = of_one.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
            codes.sort_unstable();
            codes.dedup();
            codes.len()
        })
        .sum()
    }
}
