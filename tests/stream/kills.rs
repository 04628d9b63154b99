//! Real processes, killed with SIGKILL at random moments, over a real file system.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs of a query that is killed until it ends by itself. `TIDEMILL_KILL_SEEDS` asks for more.
const SEEDS: u64 = 50;

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.current_dir(folder).args([
        "stream",
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
        "count()",
        "sum(value * 0.1)",
        "max(value)",
    ]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
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
    let folder = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    assert!(command(folder.path()).status().unwrap().success());
    let whole = started.elapsed().as_micros() as u64;
    let expected = output(folder.path());
    assert!(expected.len() >= 20, "{} files", expected.len());
    let seeds = std::env::var("TIDEMILL_KILL_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let (mut kills, mut most) = (0, 0);
    for seed in 0..seeds {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        for attempt in 0.. {
            let mut child = command(folder.path()).spawn().unwrap();
            // The first attempts are killed early or late; later ones are given more and more time, so that it ends.
            std::thread::sleep(Duration::from_micros(random.below(whole + attempt * whole / 4)));
            _ = child.kill();
            let done = child.wait_with_output().unwrap();
            match done.status.signal() {
                Some(9) => kills += 1,
                signal => {
                    let said = String::from_utf8_lossy(&done.stderr);
                    assert!(done.status.success(), "seed {seed}: {} {signal:?}: {said}", done.status);
                    most = most.max(attempt);
                    break;
                }
            }
        }
        assert_eq!(output(folder.path()), expected, "seed {seed}");
    }
    // The faults must have come.
    assert!(kills >= seeds / 2, "{kills} kills of {seeds} seeds, at most {most} for one");
}
