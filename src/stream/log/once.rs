//! A log whose states are read once: what is looked at to find out how to go on is what is then gone on from.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Kind, Log, Observed, Payload};
use crate::Result;

/// A log that keeps the states it was asked about.
pub(crate) struct ReadOnce<'a> {
    log: &'a Log,
    states: RefCell<BTreeMap<u64, Payload>>,
}

impl<'a> ReadOnce<'a> {
    pub(crate) fn new(log: &'a Log) -> ReadOnce<'a> {
        ReadOnce { log, states: RefCell::default() }
    }

    /// The states that were whole, by batch.
    pub(crate) fn into_states(self) -> BTreeMap<u64, Payload> {
        self.states.into_inner()
    }
}

impl Observed for ReadOnce<'_> {
    fn commits(&self) -> Result<Vec<u64>> {
        self.log.commits()
    }

    fn offsets(&self) -> Result<Vec<u64>> {
        self.log.offsets()
    }

    fn commit(&self, batch: u64) -> Result<Option<Result<u64, String>>> {
        self.log.commit(batch)
    }

    fn state(&self, batch: u64) -> Result<Option<Result<(), String>>> {
        if self.states.borrow().contains_key(&batch) {
            return Ok(Some(Ok(())));
        }
        Ok(self.log.read(Kind::State, batch)?.map(|payload| {
            self.states.borrow_mut().insert(batch, payload?);
            Ok(())
        }))
    }

    fn range(&self, batch: u64) -> Result<Option<Result<(), String>>> {
        self.log.range(batch)
    }
}
