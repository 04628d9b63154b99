//! After a signal no unfinished output file is left. In a process of its own: it closes the process's outputs for good.

use std::io::Write;

use tidemill::Error;
use tidemill::output::{OutputFile, remove_unfinished};

#[test]
fn nothing_unfinished_is_left_and_nothing_new_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let names = || std::fs::read_dir(dir.path()).unwrap().count();
    let done = OutputFile::create(dir.path().join("done")).unwrap();
    done.commit().unwrap();
    let open = OutputFile::create(dir.path().join("open")).unwrap();
    open.sink().write_all(b"half").unwrap();
    assert_eq!(names(), 2);
    remove_unfinished();
    assert_eq!(names(), 1);
    assert!(matches!(open.commit(), Err(Error::Cancelled)));
    assert!(matches!(OutputFile::create(dir.path().join("late")), Err(Error::Cancelled)));
    assert_eq!(names(), 1);
}
