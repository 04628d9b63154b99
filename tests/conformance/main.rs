//! Every case on every target: the oracle, the CPU with one thread and with three, and each GPU adapter, each with the
//! input whole and in odd pieces. A case is data and names no target; equal means equal bytes.

#![cfg(not(feature = "fast-float"))]

#[path = "../support/mod.rs"]
mod support;

mod product;

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            support::run_script(stringify!($name), include_str!(concat!("cases/", stringify!($name), ".txt")));
        })+

        #[test]
        fn every_script_is_run() {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases");
            let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
            let mut found: Vec<String> = files.map(|f| f.file_stem().unwrap().to_str().unwrap().into()).collect();
            found.sort();
            let mut known = vec![$(stringify!($name)),+];
            known.sort();
            assert_eq!(found, known);
        }
    };
}

scripts!(keys, filters, finishing, floats, errors, lists, expressions);
