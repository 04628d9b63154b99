//! From what is found in a log to what is to be done: a function of what it is shown, and of nothing else.

use crate::{Error, Result};

/// What a log shows. `None` is a file that is not there; an inner error says what is wrong with one that is.
pub(crate) trait Observed {
    /// Batches with a file of their commit, ascending.
    fn commits(&self) -> Result<Vec<u64>>;
    /// Batches with a file of their offsets, ascending.
    fn offsets(&self) -> Result<Vec<u64>>;
    /// The batch of the full state that a commit names.
    fn commit(&self, batch: u64) -> Result<Option<Result<u64, String>>>;
    /// Whether a state is whole.
    fn state(&self, batch: u64) -> Result<Option<Result<(), String>>>;
    /// Whether a batch's offsets are whole.
    fn range(&self, batch: u64) -> Result<Option<Result<(), String>>>;
}

/// How a query goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recovery {
    /// The last batch that counts as done, and the full state that its own begins with; `None`: from the beginning.
    pub last: Option<(u64, u64)>,
    /// Batches to be done over the ranges that were logged for them, in this order, before new ones are planned.
    pub again: Vec<u64>,
    /// What was found damaged, and what it means.
    pub warnings: Vec<String>,
}

/// How to go on: from the newest batch whose commit and states are whole, and again over every range logged after it.
///
/// # Errors
/// A range that was logged cannot be read and a later batch was begun: rows between would be lost, or come twice.
pub(crate) fn recover(log: &dyn Observed) -> Result<Recovery> {
    let mut warnings = Vec::new();
    let mut last = None;
    let commits = log.commits()?;
    for &batch in commits.iter().rev() {
        match whole(log, batch)? {
            Ok(full) => {
                last = Some((batch, full));
                break;
            }
            Err(wrong) => warnings.push(format!("batch {batch} cannot be gone on from: {wrong}")),
        }
    }
    if let (None, Some(oldest)) = (last, commits.first()) {
        if *oldest > 0 {
            return Err(Error::Resource {
                message: format!("no batch of the checkpoint can be gone on from: {}", warnings.join("; ")),
                help: Some("restore the folder, or begin anew with an empty one".into()),
            });
        }
        warnings.push("it begins again with the first batch".into());
    }
    let next = last.map_or(0, |(batch, _)| batch + 1);
    let logged: Vec<u64> = log.offsets()?.into_iter().filter(|batch| *batch >= next).collect();
    let mut again = Vec::new();
    for (expected, &batch) in (next..).zip(&logged) {
        let sound = if batch == expected { log.range(batch)? } else { None };
        match sound {
            Some(Ok(())) => again.push(batch),
            // Nothing was done of the last one unless its state was written, and then it is known from there.
            Some(Err(wrong)) if logged.last() == Some(&batch) && log.state(batch)?.is_none() => {
                warnings.push(format!(
                    "the offsets of batch {batch}: {wrong}; it had not been worked on and is planned anew"
                ));
            }
            Some(Err(wrong)) => return Err(gap(expected, &wrong)),
            None => return Err(gap(expected, "the file is missing")),
        }
    }
    if !warnings.is_empty()
        && let Some((batch, _)) = last
    {
        warnings.push(format!("it goes on after batch {batch}"));
    }
    Ok(Recovery { last, again, warnings })
}

/// The full state of a batch, if its commit, that state and all deltas between are whole.
fn whole(log: &dyn Observed, batch: u64) -> Result<Result<u64, String>> {
    let full = match log.commit(batch)? {
        Some(Ok(full)) if full <= batch => full,
        Some(Ok(full)) => return Ok(Err(format!("its commit names a state of batch {full}"))),
        Some(Err(wrong)) => return Ok(Err(format!("its commit: {wrong}"))),
        None => return Ok(Err("its commit is gone".into())),
    };
    for state in full..=batch {
        match log.state(state)? {
            Some(Ok(())) => {}
            Some(Err(wrong)) => return Ok(Err(format!("the state of batch {state}: {wrong}"))),
            None => return Ok(Err(format!("the state of batch {state} is missing"))),
        }
    }
    Ok(Ok(full))
}

fn gap(batch: u64, wrong: &str) -> Error {
    Error::Resource {
        message: format!(
            "what batch {batch} read cannot be known any more ({wrong}): going on would lose rows or count them twice"
        ),
        help: Some(format!("restore offsets/{batch}, or begin anew with an empty folder")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A log as maps: the full state of commits, states, offsets; an error is a damaged file.
    #[derive(Default)]
    struct Shown {
        commits: BTreeMap<u64, Result<u64, String>>,
        states: BTreeMap<u64, Result<(), String>>,
        offsets: BTreeMap<u64, Result<(), String>>,
    }

    impl Shown {
        /// A log after batches 0 to `done`, with a full state each `period`, and one more begun.
        fn after(done: u64, period: u64) -> Shown {
            Shown {
                commits: (0..=done).map(|b| (b, Ok(b / period * period))).collect(),
                states: (0..=done).map(|b| (b, Ok(()))).collect(),
                offsets: (0..=done + 1).map(|b| (b, Ok(()))).collect(),
            }
        }
    }

    impl Observed for Shown {
        fn commits(&self) -> Result<Vec<u64>> {
            Ok(self.commits.keys().copied().collect())
        }
        fn offsets(&self) -> Result<Vec<u64>> {
            Ok(self.offsets.keys().copied().collect())
        }
        fn commit(&self, batch: u64) -> Result<Option<Result<u64, String>>> {
            Ok(self.commits.get(&batch).cloned())
        }
        fn state(&self, batch: u64) -> Result<Option<Result<(), String>>> {
            Ok(self.states.get(&batch).cloned())
        }
        fn range(&self, batch: u64) -> Result<Option<Result<(), String>>> {
            Ok(self.offsets.get(&batch).cloned())
        }
    }

    fn damage<T>(files: &mut BTreeMap<u64, Result<T, String>>, batch: u64) {
        files.insert(batch, Err("its checksum is wrong".into()));
    }

    #[test]
    fn a_new_log_begins_and_a_whole_one_goes_on() {
        assert_eq!(recover(&Shown::default()).unwrap(), Recovery::default());
        let recovery = recover(&Shown::after(7, 4)).unwrap();
        assert_eq!(recovery, Recovery { last: Some((7, 4)), again: vec![8], warnings: vec![] });
        // Killed after the first offsets.
        let begun = Shown { offsets: [(0, Ok(()))].into(), ..Shown::default() };
        assert_eq!(recover(&begun).unwrap().again, [0]);
    }

    #[test]
    fn past_a_damaged_file_it_falls_back_and_says_so() {
        for (what, last, again) in
            [("commit", 6, vec![7, 8]), ("state", 4, vec![5, 6, 7, 8]), ("full", 3, vec![4, 5, 6, 7, 8])]
        {
            let mut log = Shown::after(7, 4);
            match what {
                "commit" => damage(&mut log.commits, 7),
                "state" => damage(&mut log.states, 5),
                _ => damage(&mut log.states, 4),
            }
            let recovery = recover(&log).unwrap();
            assert_eq!((recovery.last.unwrap().0, &recovery.again), (last, &again), "{what}");
            assert!(recovery.warnings[0].contains("checksum"), "{:?}", recovery.warnings);
            assert!(recovery.warnings.last().unwrap().contains(&format!("after batch {last}")));
        }
    }

    #[test]
    fn all_damaged_begins_anew_only_where_the_first_offsets_are_still_there() {
        let mut log = Shown::after(3, 4);
        damage(&mut log.states, 0);
        let recovery = recover(&log).unwrap();
        assert_eq!((recovery.last, recovery.again), (None, vec![0, 1, 2, 3, 4]));
        log.commits.remove(&0);
        log.offsets.remove(&0);
        assert!(recover(&log).is_err());
    }

    #[test]
    fn a_range_that_is_lost_is_an_error_unless_nothing_was_done_with_it() {
        let mut log = Shown::after(7, 4);
        damage(&mut log.offsets, 8);
        let recovery = recover(&log).unwrap();
        assert_eq!((recovery.last, recovery.again.len()), (Some((7, 4)), 0));
        assert!(recovery.warnings[0].contains("planned anew"));
        // Its state is there: its output may be, too.
        log.states.insert(8, Ok(()));
        assert!(recover(&log).unwrap_err().to_string().contains("batch 8"));
        // A hole among those to be done again.
        let mut log = Shown::after(7, 4);
        damage(&mut log.states, 4);
        log.offsets.remove(&5);
        assert!(recover(&log).unwrap_err().to_string().contains("offsets/5"));
        // Old offsets that are forgotten are no hole.
        let mut log = Shown::after(7, 4);
        (0..4).for_each(|b| drop(log.offsets.remove(&b)));
        assert_eq!(recover(&log).unwrap().last, Some((7, 4)));
    }
}
