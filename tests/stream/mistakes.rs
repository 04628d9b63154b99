//! Mistakes made on purpose, each of which the checks of the other tests must find: a test that cannot fail shows nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow_schema::SchemaRef;
use tidemill::output::value_text;
use tidemill::stream::{BatchOutput, Disk, DiskFile, Limits, OutputMode, Query, Sink};
use tidemill::{Error, Result};

use super::crashes::{Make, killed, straight};
use super::disk::{Crash, SimulatedDisk};
use super::{CHECKPOINT, OUTPUT, Output, folder_sink, query, query_on};

/// Crashes, one at each operation, after which the output, or what is said of the checkpoint, is not that of a run that nothing happened to.
fn wrong(make: Make) -> usize {
    let (expected, operations) = straight(make);
    assert!(expected.values().map(String::len).sum::<usize>() > 300, "{expected:?}");
    let crash = |at: u64| Crash::ALL[at as usize % Crash::ALL.len()];
    let found = (0..operations).map(|at| killed(SimulatedDisk::new(), make, at, crash(at)));
    found.filter(|found| found.as_ref() != Ok(&expected)).count()
}

/// A disk that puts off every rename below a folder until the commit that should come after it is durable.
struct CommitsFirst {
    disk: SimulatedDisk,
    folder: PathBuf,
    put_off: Mutex<Vec<(PathBuf, PathBuf)>>,
}

impl CommitsFirst {
    fn new(disk: &SimulatedDisk, folder: &str) -> Arc<CommitsFirst> {
        Arc::new(CommitsFirst { disk: disk.clone(), folder: folder.into(), put_off: Mutex::default() })
    }

    /// The name of the query is written before any batch, and stays where it is.
    fn is_put_off(&self, path: &Path) -> bool {
        path.starts_with(&self.folder) && !path.ends_with("query")
    }
}

impl Disk for CommitsFirst {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.create_folder(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.is_put_off(to) {
            self.put_off.lock().unwrap().push((from.into(), to.into()));
            return Ok(());
        }
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)?;
        if folder == Path::new(CHECKPOINT).join("commits") {
            for (from, to) in self.put_off.lock().unwrap().drain(..) {
                self.disk.rename(&from, &to)?;
                self.disk.sync_folder(to.parent().unwrap_or(&to))?;
            }
        }
        Ok(())
    }

    fn both(&self, here: &mut dyn FnMut(), beside: &mut (dyn FnMut() + Send)) {
        self.disk.both(here, beside);
    }
}

fn commits_first(disk: &SimulatedDisk, folder: &str) -> Query {
    let swapped = CommitsFirst::new(disk, folder);
    query_on(swapped.clone(), folder_sink(swapped), OutputMode::Append)
}

#[test]
fn a_commit_before_the_output_is_found() {
    // The same disk that puts nothing off makes no difference.
    assert_eq!(wrong(&|disk| commits_first(disk, "/nowhere")), 0);
    let found = wrong(&|disk| commits_first(disk, OUTPUT));
    // In each batch with output there are some moments between, of which one crash in four is drawn.
    assert!(found >= 4, "{found}");
}

#[test]
fn a_commit_before_the_state_is_found() {
    let found = wrong(&|disk| commits_first(disk, "/checkpoint/state"));
    assert!(found >= 4, "{found}");
}

#[test]
fn a_range_that_is_logged_after_its_output_is_found() {
    // A process that goes on cuts new batches smaller: a range that was not logged is another one then.
    let limited = |disk: &SimulatedDisk, folder: &str| {
        let rows = if disk.paths().is_empty() { 17 } else { 3 };
        commits_first(disk, folder).limits(Limits { rows: Some(rows), ..Limits::default() })
    };
    // Batches differ, and so do the files; all rows are there once.
    let rows = |output: &Output| {
        let mut rows: Vec<String> = output.values().flat_map(|text| text.lines().skip(1)).map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    };
    let wrong = |folder: &str| {
        let make: Make = &|disk| limited(disk, folder);
        let (expected, operations) = straight(make);
        let crash = |at: u64| Crash::ALL[at as usize % Crash::ALL.len()];
        let found = (0..operations).map(|at| killed(SimulatedDisk::new(), make, at, crash(at)));
        found.filter(|found| found.as_ref().map(rows) != Ok(rows(&expected))).count()
    };
    assert_eq!(wrong("/nowhere"), 0);
    let found = wrong("/checkpoint/offsets");
    assert!(found >= 4, "{found}");
}

/// A disk that hides the markers of batches from whoever reads them.
struct HidesMarkers(SimulatedDisk);

impl Disk for HidesMarkers {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.0.create_folder(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.create(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.parent().is_some_and(|folder| folder.ends_with("_tidemill")) && !path.ends_with("query") {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.0.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.sync_folder(folder)
    }

    fn both(&self, here: &mut dyn FnMut(), beside: &mut (dyn FnMut() + Send)) {
        self.0.both(here, beside);
    }
}

#[test]
fn a_folder_needs_its_markers_only_so_that_nothing_is_written_twice() {
    // A batch that is done again gives the same bytes, under the same name.
    let hidden: Make =
        &|disk| query_on(Arc::new(disk.clone()), folder_sink(Arc::new(HidesMarkers(disk.clone()))), OutputMode::Append);
    assert_eq!(straight(hidden).0, straight(&|disk| query(disk, OutputMode::Append)).0);
    assert_eq!(wrong(hidden), 0);
}

/// A sink of a user's own: one file, to which every batch adds its rows; which batches it has stands in the same file.
struct Appends {
    disk: SimulatedDisk,
    heeds_markers: bool,
    waiting: String,
}

impl Appends {
    fn path(&self) -> PathBuf {
        Path::new(OUTPUT).join("all.txt")
    }

    fn io(&self, error: io::Error) -> Error {
        Error::Resource { message: format!("{}: {error}", self.path().display()), help: None }
    }
}

impl Sink for Appends {
    fn description(&self) -> String {
        "a file that grows".into()
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    fn begin(&mut self, _: &str, _: &SchemaRef) -> Result<()> {
        self.disk.create_folder(Path::new(OUTPUT)).map_err(|e| self.io(e))
    }

    fn prepare(&mut self, output: &BatchOutput) -> Result<()> {
        self.waiting.clear();
        for rows in &output.rows {
            for row in 0..rows.num_rows() {
                let cells = rows.columns().iter().map(|column| value_text(column, row).unwrap());
                self.waiting += &format!("{},{}\n", output.batch, cells.collect::<Vec<_>>().join(","));
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: u64) -> Result<()> {
        let marker = format!("batch {batch}\n");
        let written = (|| {
            let before = match self.disk.read(&self.path()) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
                other => other?,
            };
            if self.heeds_markers && String::from_utf8_lossy(&before).contains(&marker) {
                return Ok(());
            }
            // Rows and marker become visible together.
            let part = Path::new(OUTPUT).join(".all");
            let mut file = self.disk.create(&part)?;
            file.write_all(&before)?;
            file.write_all(marker.as_bytes())?;
            file.write_all(self.waiting.as_bytes())?;
            file.sync()?;
            self.disk.rename(&part, &self.path())?;
            self.disk.sync_folder(Path::new(OUTPUT))
        })();
        written.map_err(|e| self.io(e))
    }
}

#[test]
fn a_sink_that_ignores_its_marker_is_found() {
    let appends = |disk: &SimulatedDisk, heeds_markers| {
        let sink = Appends { disk: disk.clone(), heeds_markers, waiting: String::new() };
        query_on(Arc::new(disk.clone()), sink, OutputMode::Append)
    };
    assert_eq!(wrong(&|disk| appends(disk, true)), 0);
    let found = wrong(&|disk| appends(disk, false));
    assert!(found >= 4, "{found}");
}
