//! Whatever the disk was doing when the process died, and whatever of it the disk kept: the query goes on, and its output is that
//! of a run that nothing happened to.

use std::io::ErrorKind;

use tidemill::stream::{OutputMode, Query};

use super::disk::{Crash, SimulatedDisk};
use super::{Files, Output, engine, output, query, run};

const MODES: [OutputMode; 3] = [OutputMode::Append, OutputMode::Update, OutputMode::Complete];

/// What makes a query on a disk.
pub type Make<'a> = &'a dyn Fn(&SimulatedDisk) -> Query;

/// The output of a run that nothing happens to, and the operations that it asks of the disk.
pub fn straight(make: Make) -> (Output, u64) {
    let disk = SimulatedDisk::new();
    run(make(&disk)).unwrap();
    (output(&disk), disk.operations())
}

/// The output of a query that dies at an operation and goes on after a crash.
pub fn killed(disk: SimulatedDisk, make: Make, at: u64, crash: Crash) -> Result<Output, String> {
    let disk = disk.dies_at(at);
    let died = run(make(&disk));
    if died.is_ok() || !disk.has_failed() {
        return Err(format!("operation {at} did not end it"));
    }
    let disk = disk.after(crash);
    let going = make(&disk).start(&engine()).map_err(|e| e.to_string())?;
    // A crash damages nothing that was done: a batch that was committed is there to go on from.
    if let Some(note) = going.notes().iter().find(|note| note.contains("cannot be gone on from")) {
        return Err(note.clone());
    }
    going.wait().map_err(|e| e.to_string())?;
    Ok(output(&disk))
}

/// Kills at every operation, and lets the disk keep what `crashes` says of each.
fn survives(what: &str, make: Make, crashes: impl Fn(u64) -> Vec<Crash>) {
    let (expected, operations) = straight(make);
    assert!(expected.len() >= 3 && operations > 100, "{what}: {} files, {operations} operations", expected.len());
    for at in 0..operations {
        for crash in crashes(at) {
            let found = killed(SimulatedDisk::new(), make, at, crash);
            assert_eq!(found.as_ref(), Ok(&expected), "{what}: killed at {at} of {operations}, the disk {crash:?}");
        }
    }
}

fn every(_: u64) -> Vec<Crash> {
    Crash::ALL.to_vec()
}

/// One kind of crash at each moment, another at the next.
fn in_turn(at: u64) -> Vec<Crash> {
    vec![Crash::ALL[at as usize % Crash::ALL.len()]]
}

#[test]
fn every_crash_state_gives_the_same_output() {
    for mode in MODES {
        for beside_first in [false, true] {
            let what = format!("{mode}, what is beside first: {beside_first}");
            survives(&what, &|disk| query(&disk.clone().beside_first(beside_first), mode), every);
        }
    }
}

#[test]
fn every_crash_state_of_a_query_over_files_gives_the_same_output() {
    let files = Files::new();
    for mode in MODES {
        for beside_first in [false, true] {
            let what = format!("{mode} over files, what is beside first: {beside_first}");
            survives(&what, &|disk| files.query(&disk.clone().beside_first(beside_first), mode), in_turn);
        }
    }
}

#[test]
fn whatever_a_query_remembers_a_crash_takes_none_of_it() {
    let files = Files::new();
    for (what, make) in files.cases() {
        let has_late = straight(&*make).0.keys().any(|name| name.starts_with("late/"));
        assert_eq!(has_late, what.starts_with("late"), "{what}");
        for beside_first in [false, true] {
            let what = format!("{what}, what is beside first: {beside_first}");
            survives(&what, &|disk| make(&disk.clone().beside_first(beside_first)), in_turn);
        }
    }
}

#[test]
fn two_crashes_in_a_row_are_no_worse() {
    let mode = OutputMode::Append;
    let (expected, operations) = straight(&|disk| query(disk, mode));
    for at in (0..operations).step_by(7) {
        let first = SimulatedDisk::new().dies_at(at);
        _ = run(query(&first, mode));
        let second = first.after(Crash::LosesAll).dies_at(operations / 5);
        _ = run(query(&second, mode));
        let third = second.after(Crash::Reorders);
        run(query(&third, mode)).unwrap();
        assert_eq!(output(&third), expected, "killed at {at}");
    }
}

#[test]
fn without_syncs_the_same_test_finds_it() {
    let make: Make = &|disk| query(disk, OutputMode::Append);
    let (expected, operations) = straight(make);
    let wrong = (0..operations).filter(|&at| {
        Crash::ALL
            .iter()
            .any(|&crash| killed(SimulatedDisk::new().ignores_sync(), make, at, crash).as_ref() != Ok(&expected))
    });
    assert!(wrong.count() > 0, "a disk that forgets every sync was not noticed");
}

#[test]
fn an_error_of_the_disk_ends_the_query_and_nothing_of_the_batch_counts() {
    let mode = OutputMode::Append;
    let (expected, operations) = straight(&|disk| query(disk, mode));
    for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied] {
        for at in 0..operations {
            let disk = SimulatedDisk::new().fails_at(at, kind);
            // What cannot be removed, or not be listed while old files are removed, ends nothing.
            let ended = run(query(&disk, mode));
            assert!(disk.has_failed());
            if let Err(error) = &ended {
                let text = error.to_string();
                assert!(text.contains('/') && text.contains(&std::io::Error::from(kind).to_string()), "{text}");
            }
            // The same process image goes on, and so does another after a crash.
            for crash in [Crash::KeepsAll, Crash::LosesAll] {
                let disk = disk.after(crash);
                run(query(&disk, mode)).unwrap();
                assert_eq!(output(&disk), expected, "{kind} at {at}, then {crash:?}");
            }
        }
    }
}

#[test]
fn a_damaged_byte_of_a_checkpoint_is_found_and_never_changes_the_output() {
    let mode = OutputMode::Append;
    let (expected, operations) = straight(&|disk| query(disk, mode));
    // Ended in the middle, with files of every kind there.
    let middle = SimulatedDisk::new().dies_at(operations * 2 / 3);
    _ = run(query(&middle, mode));
    let middle = middle.after(Crash::KeepsAll);
    let mut fell_back = 0;
    for path in middle.paths() {
        let unfinished = path.file_name().unwrap().to_str().unwrap().starts_with('.');
        if !path.starts_with(super::CHECKPOINT) || unfinished {
            continue;
        }
        // That every changed bit is found is a unit test of the frame; here it is what follows from it.
        for at in (0..).step_by(7) {
            let disk = middle.after(Crash::KeepsAll);
            if !disk.damage(&path, at) {
                break;
            }
            let going = match query(&disk, mode).start(&super::engine()) {
                Ok(going) => going,
                Err(error) => {
                    // Refused, with the reason: nothing is made up.
                    assert!(!error.to_string().contains("internal"), "{}: {error}", path.display());
                    continue;
                }
            };
            fell_back += usize::from(!going.notes().is_empty());
            going.wait().unwrap();
            assert_eq!(output(&disk), expected, "byte {at} of {}", path.display());
        }
    }
    assert!(fell_back > 50, "{fell_back}");
}
