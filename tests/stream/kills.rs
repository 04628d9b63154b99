//! Real processes, killed with SIGKILL at random moments, over a real file system.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs of a query that is killed until it ends by itself. `TIDEMILL_KILL_SEEDS` asks for more.
const SEEDS: u64 = 50;

/// Queries that are killed: windows over made rows; groups of strings without a window over files.
const QUERIES: [&[&str]; 2] = [
    &[
        "--source",
        "rate:rows=500,advance=1s,batches=24",
        "--map",
        "k = value % 5",
        "--by",
        "k",
        "--window",
        "sliding 3s every 1s on timestamp",
        "--watermark",
        "1s",
        "count()",
        "sum(value * 0.1)",
        "max(value)",
    ],
    &[
        "--source",
        "dir:in/*.csv",
        "--max-files",
        "1",
        "--mode",
        "complete",
        "--by",
        "city",
        "count()",
        "sum(fare)",
        "max(city)",
    ],
];

/// A folder in which a query can be run.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    for file in 0..24 {
        let row = |row: i32| {
            format!("{}{},{row}.1\n", ["Rome", "Oslo", "Ulaanbaatar"][(file + row) as usize % 3], row % 7 * file)
        };
        let text = (0..100).map(row).collect::<String>();
        std::fs::write(folder.path().join(format!("in/{file:02}.csv")), format!("city,fare\n{text}")).unwrap();
    }
    folder
}

fn command(folder: &Path, query: &[&str], threads: u64) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.current_dir(folder).arg("stream").args(query).args([
        "--trigger",
        "available-now",
        "--guarantee",
        "exactly-once",
        "--checkpoint",
        "checkpoint",
        "--keep",
        "2",
        "--sink",
        "csv:out",
        "--device",
        "cpu",
        "--threads",
        &threads.to_string(),
    ]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Whether a batch was begun and not done.
fn is_midway(folder: &Path) -> bool {
    let last = |kind: &str| {
        let entries = std::fs::read_dir(folder.join("checkpoint").join(kind)).into_iter().flatten();
        entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u64>().ok()).max()
    };
    last("offsets") > last("commits")
}

fn output(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder.join("out")).unwrap().map(|entry| entry.unwrap().path());
    let parts = entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-"));
    parts
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[cfg(unix)]
#[test]
fn killed_at_random_moments_the_output_is_that_of_a_run_that_was_not() {
    use std::os::unix::process::ExitStatusExt;
    let seeds = std::env::var("TIDEMILL_KILL_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let (mut kills, mut midway, mut most) = (0, 0, 0);
    let straight = QUERIES.map(|query| {
        let folder = folder();
        let started = std::time::Instant::now();
        assert!(command(folder.path(), query, 1).status().unwrap().success());
        let whole = started.elapsed().as_micros() as u64;
        let expected = output(folder.path());
        assert!(expected.len() >= 20, "{} files", expected.len());
        (query, whole, expected)
    });
    for seed in 0..seeds {
        let (query, whole, expected) = &straight[seed as usize % straight.len()];
        let folder = folder();
        let mut random = Random(seed);
        for attempt in 0.. {
            let mut child = command(folder.path(), query, 1 + random.below(3)).spawn().unwrap();
            // The first attempts are killed early or late; later ones are given more and more time, so that it ends.
            std::thread::sleep(Duration::from_micros(random.below(whole + attempt * whole / 4)));
            _ = child.kill();
            let done = child.wait_with_output().unwrap();
            match done.status.signal() {
                Some(9) => {
                    kills += 1;
                    midway += u64::from(is_midway(folder.path()));
                }
                signal => {
                    let said = String::from_utf8_lossy(&done.stderr);
                    assert!(done.status.success(), "seed {seed}: {} {signal:?}: {said}", done.status);
                    most = most.max(attempt);
                    break;
                }
            }
        }
        assert_eq!(&output(folder.path()), expected, "seed {seed}: {query:?}");
    }
    // The faults must have come, and in the middle of batches.
    assert!(kills >= seeds / 2 && midway >= seeds / 10, "{kills} kills, {midway} midway of {seeds} seeds");
    println!("{seeds} seeds: {kills} kills, {midway} of them in the middle of a batch, at most {most} for one seed");
}
