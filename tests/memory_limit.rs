//! `--memory`: what the process takes by the kernel's own account, and what it leaves behind when it is stopped or the disk for
//! temporary files is full.
#![cfg(target_os = "linux")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const ROWS: u64 = 4_000_000;
const FORMATS: [&str; 3] = ["csv", "parquet", "arrow"];
const MIB: u64 = 1 << 20;

/// A table in which every row has a key of its own, in three formats.
struct Data {
    folder: tempfile::TempDir,
}

fn data() -> &'static Data {
    static DATA: OnceLock<Data> = OnceLock::new();
    DATA.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::from("a,b,c,x\n");
        for i in 0..ROWS {
            // An odd factor: no two rows have the same number.
            let key = i.wrapping_mul(0x9e37_79b1) & 0xffff_ffff;
            writeln!(text, "name{},{key},{},{}.25", key % 5000, i % 977, key % 1000).unwrap();
        }
        let csv = folder.path().join("t.csv");
        std::fs::write(&csv, text).unwrap();
        for format in ["parquet", "arrow"] {
            let to = folder.path().join(format!("t.{format}"));
            let made = tidemill(&["agg"]).arg(&csv).args(["--by", "a,b,c,x", "--output"]).arg(to).output().unwrap();
            assert!(made.status.success(), "{made:?}");
        }
        Data { folder }
    })
}

impl Data {
    fn file(&self, format: &str) -> PathBuf {
        self.folder.path().join(format!("t.{format}"))
    }
}

fn tidemill(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.args(args).env("TIDEMILL_CACHE", "/nonexistent").stderr(Stdio::piped()).stdin(Stdio::null());
    command
}

/// The job: a group for each row.
fn job(format: &str, memory: Option<&str>, temp: &Path, output: &Path) -> Command {
    job_on("cpu", format, memory, temp, output)
}

fn job_on(device: &str, format: &str, memory: Option<&str>, temp: &Path, output: &Path) -> Command {
    let mut command = tidemill(&["agg"]);
    command.arg(data().file(format)).args(["--by", "a,b,c", "sum(x)", "count()", "--device", device, "--threads", "2"]);
    command.args(memory.iter().flat_map(|size| ["--memory", size])).arg("--temp-dir").arg(temp);
    command.args(["--stats=json", "--output"]).arg(output);
    command
}

/// The most memory the kernel says process `id` has had until now.
fn peak_now(id: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Runs a job; its ledger, and the peak seen from outside.
fn measured(mut command: Command) -> (serde_json::Value, u64) {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut seen = 0;
    // The ledger is one line, less than a pipe holds: nobody waits for a reader.
    while child.try_wait().unwrap().is_none() {
        seen = seen.max(peak_now(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    let done = child.wait_with_output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{err}");
    (serde_json::from_str(&err).unwrap(), seen)
}

fn spilled(ledger: &serde_json::Value) -> bool {
    ledger["details"].as_array().unwrap().iter().any(|d| d.as_str().unwrap().starts_with("spilled"))
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_process_keeps_to_the_limit_and_the_bytes_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let temp = folder.path().join("temp");
    std::fs::create_dir(&temp).unwrap();
    for format in FORMATS {
        let plain = folder.path().join("plain.arrow");
        let (ledger, _) = measured(job(format, None, &temp, &plain));
        let unlimited = ledger["peak_memory_bytes"].as_u64().unwrap();
        assert!(!spilled(&ledger));
        for limit in [72, 100] {
            let limited = folder.path().join("limited.arrow");
            let (ledger, seen) = measured(job(format, Some(&format!("{limit}MiB")), &temp, &limited));
            let peak = ledger["peak_memory_bytes"].as_u64().unwrap();
            println!("{format}, {limit} MiB: {} MiB at the peak, {} without a limit", peak / MIB, unlimited / MIB);
            assert!(spilled(&ledger), "{format}, {limit} MiB");
            assert!(peak <= limit * MIB * 11 / 10, "{format}: {} MiB, the limit was {limit} MiB", peak / MIB);
            assert!(unlimited > limit * MIB * 11 / 10, "{format}: {} MiB is no need of a limit", unlimited / MIB);
            // What the process says of itself is what can be seen from outside, give or take what the kernel counts late.
            assert!(seen <= peak + 2 * MIB && seen >= peak / 2, "{format}: seen {seen}, said {peak}");
            assert!(std::fs::read(&limited).unwrap() == std::fs::read(&plain).unwrap(), "{format}, {limit} MiB");
        }
        assert_eq!(entries(&temp), [""; 0]);
    }
}

/// A folder for temporary files and one for results, in one that goes when the first of the three does.
fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (temp, out) = (folder.path().join("temp"), folder.path().join("out"));
    std::fs::create_dir(&temp).unwrap();
    std::fs::create_dir(&out).unwrap();
    (folder, temp, out)
}

/// How many files without a name in `folder` process `id` has open.
fn nameless(id: u32, folder: &Path) -> usize {
    let Ok(open) = std::fs::read_dir(format!("/proc/{id}/fd")) else { return 0 };
    let links = open.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    links.filter(|to| to.starts_with(folder) && to.to_string_lossy().ends_with("(deleted)")).count()
}

/// Waits until `there` says that the child has come so far, and stops it with `signal`.
fn stop(mut child: Child, signal: &str, mut there: impl FnMut(u32) -> bool) -> Output {
    let started = Instant::now();
    while !there(child.id()) {
        assert!(child.try_wait().unwrap().is_none(), "the run was over before it could be stopped");
        assert!(started.elapsed() < Duration::from_secs(60), "the run never came so far");
        std::thread::sleep(Duration::from_millis(1));
    }
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait_with_output().unwrap()
}

#[test]
fn a_run_that_is_stopped_leaves_no_file_wherever_it_was() {
    let (_folder, temp, out) = folders();
    let output = out.join("o.csv");
    std::fs::write(&output, "old\n").unwrap();
    let begun = |_| entries(&out).len() > 1;
    let written =
        |_: u32| std::fs::read_dir(&out).unwrap().any(|e| e.unwrap().metadata().is_ok_and(|m| m.len() > 1 << 16));
    let stages: [(&str, &dyn Fn(u32) -> bool); 4] = [
        ("reading", &begun),
        ("spilling", &|id| nameless(id, &temp) == 1),
        ("coming back", &|id| nameless(id, &temp) == 2),
        ("being written", &written),
    ];
    for (stage, there) in stages {
        for signal in ["INT", "TERM"] {
            let child = job("csv", Some("72MiB"), &temp, &output).spawn().unwrap();
            let done = stop(child, signal, there);
            let err = String::from_utf8(done.stderr).unwrap();
            assert_eq!((done.status.code(), err.as_str()), (Some(130), "tidemill: interrupted\n"), "{stage}, {signal}");
            assert_eq!(entries(&temp), [""; 0], "{stage}, {signal}");
            assert_eq!(entries(&out), ["o.csv"], "{stage}, {signal}");
            assert_eq!(std::fs::read_to_string(&output).unwrap(), "old\n", "{stage}, {signal}");
        }
    }
}

/// A run that finds no room for its temporary files says so, and where, and what to do, and leaves nothing.
fn no_room(done: &Output, temp: &Path, out: &Path) {
    let err = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{err}");
    let parts = [
        "tidemill: no room for temporary files in ",
        temp.to_str().unwrap(),
        " after ",
        " MiB",
        "--temp-dir",
        "--memory",
    ];
    assert!(parts.iter().all(|part| err.contains(part)), "{err}");
    assert_eq!(entries(temp), [""; 0]);
    assert_eq!(entries(out), [""; 0]);
}

#[test]
fn a_full_disk_for_temporary_files_is_an_error_that_names_it() {
    let (_folder, temp, out) = folders();
    // The first file finds no room, and the second one.
    for size in ["4m", "28m"] {
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&temp).output();
        if !mount.is_ok_and(|m| m.status.success()) {
            println!("skipped: this user cannot mount a small tmpfs");
            return;
        }
        let done = job("parquet", Some("72MiB"), &temp, &out.join("o.csv")).output().unwrap();
        let checked = std::panic::catch_unwind(|| no_room(&done, &temp, &out));
        assert!(Command::new("umount").arg(&temp).status().unwrap().success());
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn a_limit_of_the_size_of_files_is_an_error_that_names_the_folder() {
    let (_folder, temp, out) = folders();
    let plain = job("parquet", Some("72MiB"), &temp, &out.join("o.csv"));
    // 4 MiB in blocks of 512 bytes.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 8192; exec \"$0\" \"$@\""]).arg(plain.get_program());
    let done = limited.args(plain.get_args()).env("TIDEMILL_CACHE", "/nonexistent").output().unwrap();
    no_room(&done, &temp, &out);
}

#[test]
fn strings_that_do_not_fit_the_memory_are_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("s,x\n");
    for i in 0..400_000u64 {
        writeln!(text, "a string that no other row has and as long as most of them: {i},1").unwrap();
    }
    let file = folder.path().join("s.csv");
    std::fs::write(&file, text).unwrap();
    let output = folder.path().join("o.csv");
    let mut command = tidemill(&["agg"]);
    command.arg(&file).args(["--by", "s", "count(x)", "--device", "cpu", "--memory", "64MiB", "--output"]).arg(&output);
    let done = command.output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{err}");
    let parts = ["tidemill: 64 MiB of memory are not enough", "distinct strings of text columns take", "--memory"];
    assert!(parts.iter().all(|part| err.contains(part)), "{err}");
    assert_eq!(entries(folder.path()), ["s.csv"]);
}

/// A job whose groups hold all of their values, or the values of all rows in one group.
fn median(by: &[&str], memory: &str, temp: &Path, output: &Path) -> Command {
    let mut command = tidemill(&["agg"]);
    command.arg(data().file("csv")).args(by).args([
        "median(b)",
        "--device",
        "cpu",
        "--threads",
        "2",
        "--memory",
        memory,
    ]);
    command.arg("--temp-dir").arg(temp).args(["--stats=json", "--output"]).arg(output);
    command
}

#[test]
fn values_of_groups_keep_to_the_limit_too() {
    let folder = tempfile::tempdir().unwrap();
    for by in [&["--by", "c"][..], &["--by", "a"]] {
        let (plain, limited) = (folder.path().join("plain.csv"), folder.path().join("limited.csv"));
        let (ledger, _) = measured(median(by, "4GiB", folder.path(), &plain));
        assert!(!spilled(&ledger));
        let (ledger, _) = measured(median(by, "64MiB", folder.path(), &limited));
        let peak = ledger["peak_memory_bytes"].as_u64().unwrap();
        println!("{by:?}: {} MiB at the peak", peak / MIB);
        assert!(spilled(&ledger) && peak <= 64 * MIB * 11 / 10, "{by:?}: {} MiB", peak / MIB);
        assert!(std::fs::read(&limited).unwrap() == std::fs::read(&plain).unwrap(), "{by:?}");
    }
}

#[test]
fn values_of_one_group_that_do_not_fit_are_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("o.csv");
    let done = median(&[], "64MiB", folder.path(), &output).output().unwrap();
    let err = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{err}");
    assert!(err.contains("the values of neighbouring groups") && err.contains("--memory"), "{err}");
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[test]
fn a_gpu_is_within_the_limit() {
    let without = std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1");
    if without {
        eprintln!("SKIPPED: no GPU adapter, and TIDEMILL_NO_GPU=1");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (plain, limited) = (folder.path().join("plain.arrow"), folder.path().join("limited.arrow"));
    measured(job("csv", None, folder.path(), &plain));
    let (ledger, _) = measured(job_on("gpu", "csv", Some("256MiB"), folder.path(), &limited));
    let peak = ledger["peak_memory_bytes"].as_u64().unwrap();
    println!("{} MiB at the peak", peak / MIB);
    assert!(peak <= 256 * MIB * 11 / 10, "{} MiB", peak / MIB);
    assert!(std::fs::read(&limited).unwrap() == std::fs::read(&plain).unwrap());
}
