//! The cases on every device that is there: the same bytes from each, and from one that goes on where another was interrupted.

use std::sync::{Arc, Mutex};

use tidemill::stream::{OutputMode, Query};
use tidemill::{Engine, Result};

use super::crashes::Make;
use super::disk::{Crash, SimulatedDisk};
use super::support::{Target, say, targets};
use super::{Files, Output, output, query};

const MODES: [OutputMode; 3] = [OutputMode::Append, OutputMode::Update, OutputMode::Complete];

/// Runs a query and tells which devices its batches were on.
fn run(query: Query, engine: &Engine) -> Result<Vec<String>> {
    let devices: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&devices);
    // A batch that reads nothing is on no device.
    let listen = move |progress: &tidemill::stream::Progress| {
        if !progress.device.is_empty() {
            told.lock().unwrap().push(progress.device.clone());
        }
    };
    query.listen(listen).start(engine)?.wait()?;
    let devices = devices.lock().unwrap().clone();
    Ok(devices)
}

/// Asserts that batches ran on the device of a target, or on the CPU if it names none.
fn on(target: &Target, devices: &[String], what: &str) {
    assert!(!devices.is_empty(), "{what}: no batch was run");
    for device in devices {
        let right = target.gpu.as_ref().map_or(device.contains("cpu"), |name| device.contains(name.as_str()));
        assert!(right, "{what} on {}: a batch ran on {device}", target.name);
    }
}

fn whole(target: &Target, make: Make, what: &str) -> (Output, u64) {
    let disk = SimulatedDisk::new();
    let devices = run(make(&disk), &target.engine).unwrap();
    on(target, &devices, what);
    (output(&disk), disk.operations())
}

#[test]
fn every_device_gives_the_same_bytes() {
    let files = Files::new();
    for mode in MODES {
        let made: [(&str, Make); 2] =
            [("made rows", &|disk| query(disk, mode)), ("files", &|disk| files.query(disk, mode))];
        for (what, make) in made {
            let what = format!("{what}, {mode}");
            let (first, rest) = targets().split_first().unwrap();
            let (expected, _) = whole(first, make, &what);
            assert!(expected.len() >= 3, "{what}: {} files", expected.len());
            for target in rest {
                assert_eq!(whole(target, make, &what).0, expected, "{what} on {}", target.name);
            }
        }
    }
    for (what, make) in files.cases() {
        let run_on = |target: &Target| {
            let disk = SimulatedDisk::new();
            match run(make(&disk), &target.engine) {
                Ok(devices) => on(target, &devices, what),
                Err(error) if target.gpu.is_some() && error.to_string().contains("stay on the CPU") => {
                    say(&format!("SKIPPED {what} on {}: {error}", target.name));
                    return None;
                }
                Err(error) => panic!("{what} on {}: {error}", target.name),
            }
            Some(output(&disk))
        };
        let (first, rest) = targets().split_first().unwrap();
        let expected = run_on(first).unwrap();
        assert!(expected.len() >= 3, "{what}: {} files", expected.len());
        for target in rest {
            if let Some(found) = run_on(target) {
                assert_eq!(found, expected, "{what} on {}", target.name);
            }
        }
    }
}

#[test]
fn what_one_device_began_another_goes_on_with() {
    let files = Files::new();
    let make = |disk: &SimulatedDisk| files.query(disk, OutputMode::Append);
    let (expected, operations) = whole(&targets()[0], &make, "straight");
    let mut interrupted = 0;
    for (i, first) in targets().iter().enumerate() {
        for (j, second) in targets().iter().enumerate().filter(|(j, _)| *j != i) {
            // Other moments for every pair; software adapters are slow.
            for at in ((20 + 3 * i + 5 * j) as u64..operations).step_by(37) {
                let what = format!("killed at {at} on {}, gone on with on {}", first.name, second.name);
                let disk = SimulatedDisk::new().dies_at(at);
                assert!(run(make(&disk), &first.engine).is_err(), "{what}");
                let disk = disk.after([Crash::LosesAll, Crash::KeepsAll][at as usize % 2]);
                let devices = run(make(&disk), &second.engine).unwrap();
                if !devices.is_empty() {
                    on(second, &devices, &what);
                    interrupted += 1;
                }
                assert_eq!(output(&disk), expected, "{what}");
            }
        }
    }
    assert!(interrupted >= 4, "{interrupted}");
}
