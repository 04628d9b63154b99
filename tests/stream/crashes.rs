//! Whatever the disk was doing when the process died, and whatever of it the disk kept: the query goes on, and its output is that
//! of a run that nothing happened to.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use tidemill::stream::OutputMode;

use super::disk::{Crash, SimulatedDisk};
use super::{output, query, run};

type Output = BTreeMap<String, String>;

/// The output of a run that nothing happens to, and the operations that it asks of the disk.
fn straight(mode: OutputMode) -> (Output, u64) {
    let disk = SimulatedDisk::new();
    run(query(&disk, mode)).unwrap();
    (output(&disk), disk.operations())
}

/// The output of a query that dies at an operation and goes on after a crash.
fn killed(disk: SimulatedDisk, mode: OutputMode, at: u64, crash: Crash) -> Result<Output, String> {
    let disk = disk.dies_at(at);
    let died = run(query(&disk, mode));
    if died.is_ok() || !disk.has_failed() {
        return Err(format!("operation {at} did not end it"));
    }
    let disk = disk.after(crash);
    run(query(&disk, mode)).map_err(|e| e.to_string())?;
    Ok(output(&disk))
}

#[test]
fn every_crash_state_gives_the_same_output() {
    for mode in [OutputMode::Append, OutputMode::Update] {
        let (expected, operations) = straight(mode);
        assert!(expected.len() >= 3 && operations > 200, "{} files, {operations} operations", expected.len());
        for at in 0..operations {
            for crash in Crash::ALL {
                let found = killed(SimulatedDisk::new(), mode, at, crash);
                assert_eq!(found.as_ref(), Ok(&expected), "{mode}: killed at {at} of {operations}, the disk {crash:?}");
            }
        }
    }
}

#[test]
fn two_crashes_in_a_row_are_no_worse() {
    let mode = OutputMode::Append;
    let (expected, operations) = straight(mode);
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
    let mode = OutputMode::Append;
    let (expected, operations) = straight(mode);
    let wrong = (0..operations).filter(|&at| {
        Crash::ALL
            .iter()
            .any(|&crash| killed(SimulatedDisk::new().ignores_sync(), mode, at, crash).as_ref() != Ok(&expected))
    });
    assert!(wrong.count() > 0, "a disk that forgets every sync was not noticed");
}

#[test]
fn an_error_of_the_disk_ends_the_query_and_nothing_of_the_batch_counts() {
    let mode = OutputMode::Append;
    let (expected, operations) = straight(mode);
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
    let (expected, operations) = straight(mode);
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
