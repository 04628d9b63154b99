//! The house rules that a compiler does not hold: which module imports which, where a crate may be named, that every
//! shader has its reference, where `unsafe` may stand, how long a file may be.
//!
//! Exceptions are data with a reason; one that is not needed any more is a failure too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each module may import. Imports run one way.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("simd", &[]),
    ("sort", &[]),
    ("column", &["error", "sort", "simd"]),
    ("expr", &["error", "column"]),
    ("agg", &["error", "simd", "column"]),
    ("kernel", &["error", "column"]),
    ("plan", &["error", "column", "expr", "agg"]),
    ("input", &["error", "simd", "column"]),
    ("output", &["error", "column"]),
    ("backend", &["error", "sort", "column", "expr", "agg", "plan", "kernel"]),
    ("exec", &["error", "sort", "column", "expr", "agg", "plan", "kernel", "backend", "input"]),
    ("stream", &["error", "column", "expr", "agg", "plan", "input", "output", "exec"]),
];

/// File, what it imports against the rules, why.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("error.rs", "column", "Error::Misfit names the two types the engine decides about")];

/// A crate and the only folders that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("wgpu", &["backend/gpu"]),
    ("pollster", &["backend/gpu"]),
    // agg finishes groups on the pool that exec installs.
    ("rayon", &["agg", "column", "exec", "input", "sort"]),
    ("memmap2", &["input"]),
    ("sqlparser", &["expr"]),
    ("parquet", &["input", "output"]),
    // What a stream remembers of rows is kept as Arrow has it.
    ("arrow_ipc", &["input", "output", "stream"]),
    ("clap", &["bin"]),
    ("comfy_table", &["bin"]),
    ("indicatif", &["bin"]),
    ("ctrlc", &["bin"]),
    ("signal_hook", &["bin"]),
    ("httparse", &["bin"]),
    ("terminal_size", &["bin"]),
];

/// Files outside `backend` and `exec` that name a concrete backend, and why.
const NAMES_A_BACKEND: &[(&str, &str)] = &[
    ("bin/tidemill/commands/devices.rs", "`tidemill devices` lists and measures adapters: they are its subject"),
    ("bin/tidemill/commands/bench/machine.rs", "`tidemill bench` compares the CPU with adapters: they are its subject"),
];

/// The only files with unsafe code.
const UNSAFE: &[&str] = &["backend/gpu/pipeline_cache.rs", "input/csv/simd.rs", "input/mmap.rs", "simd.rs"];

/// Files of more than 500 lines, tests at their end not counted, and why.
const LONG: &[(&str, &str)] =
    &[("expr/vector/ops.rs", "one match from every operation to its loop, which would be no clearer in two")];

/// Shaders without a twin in src/kernel, and why.
const NO_TWIN: &[(&str, &str)] =
    &[("map", "the frame of the generated kernels; what they must give is said by the plain evaluator, expr/row.rs")];

/// A file under src/.
struct File {
    /// Its path below src/, with `/`.
    path: String,
    /// Its code: no comments, no strings, no tests.
    code: String,
    /// Lines before the tests.
    lines: usize,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files() -> Vec<File> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    paths.sort();
    let file = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let own = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let path = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        File { path, code: code(own), lines: own.lines().count() }
    };
    // Files of tests only are free: `mod tests;` stands behind #[cfg(test)].
    let all = paths.iter().map(file);
    all.filter(|f| !f.path.contains("/tests/") && !f.path.ends_with("/tests.rs") && !f.path.ends_with("/testing.rs"))
        .collect()
}

/// Code without comments, strings and characters.
fn code(text: &str) -> String {
    let mut out = String::new();
    let bytes: Vec<char> = text.chars().collect();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            '/' if bytes.get(i + 1) == Some(&'/') => {
                while i < bytes.len() && bytes[i] != '\n' {
                    i += 1;
                }
            }
            '"' => {
                i += 1;
                while i < bytes.len() && bytes[i] != '"' {
                    i += if bytes[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            '\'' if bytes.get(i + 2) == Some(&'\'') => i += 3,
            '\'' if bytes.get(i + 1) == Some(&'\\') => {
                i += 2;
                while i < bytes.len() && bytes[i] != '\'' {
                    i += 1;
                }
                i += 1;
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    out
}

/// Every path the code names, as segments: those of `use`, taken out of their braces, and those in the code.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut rest = code;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(at) = rest.find("::") {
        // The word before the first `::` of a path, and the tree after it.
        let head: String =
            rest[..at].chars().rev().take_while(|c| is_word(*c)).collect::<String>().chars().rev().collect();
        let after = &rest[at + 2..];
        let taken = tree(after, &mut vec![head], &mut all);
        rest = &after[taken..];
    }
    all
}

/// Reads a path's tail, `a::b`, `{a, b::c}`; adds every path in it; the bytes read.
fn tree(text: &str, prefix: &mut Vec<String>, all: &mut Vec<Vec<String>>) -> usize {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if !word.is_empty() {
        let end = word.len();
        prefix.push(word);
        let read = if text[end..].starts_with("::") { end + 2 + tree(&text[end + 2..], prefix, all) } else { end };
        if read == end {
            all.push(prefix.clone());
        }
        prefix.pop();
        return read;
    }
    if !text.starts_with('{') {
        all.push(prefix.clone());
        return 0;
    }
    let mut at = 1;
    while at < text.len() && !text[at..].starts_with('}') {
        let skip: usize = text[at..].chars().take_while(|c| c.is_whitespace() || *c == ',').map(char::len_utf8).sum();
        at += skip;
        let read = tree(&text[at..], prefix, all);
        at += read;
        // `as name`, or something that is no use tree at all.
        if read == 0 && !text[at..].starts_with('}') {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    (at + 1).min(text.len())
}

/// The module path of a file: `agg/exact/sum.rs` is agg, exact, sum.
fn module(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    parts
}

/// The paths a file names within the crate, from its root. What the root re-exports counts as where it lives.
fn inside(file: &File) -> BTreeSet<Vec<String>> {
    let own = module(&file.path);
    let mut all = BTreeSet::new();
    for path in paths(&file.code) {
        let mut full: Vec<String> = match path[0].as_str() {
            "crate" | "tidemill" => Vec::new(),
            "super" => own[..own.len() - 1].iter().map(|s| s.to_string()).collect(),
            _ => continue,
        };
        for part in &path[1..] {
            match part.as_str() {
                "super" => _ = full.pop(),
                part => full.push(part.to_owned()),
            }
        }
        match full.first().map(String::as_str) {
            Some("Error" | "Result" | "Place") => full = vec!["error".into()],
            Some("Type") => full = vec!["column".into()],
            Some("Expr" | "col" | "lit") => full = vec!["expr".into()],
            Some("Job" | "aggregate") => full = vec!["plan".into()],
            Some("Input") => full = vec!["input".into()],
            Some("Device" | "Engine" | "Ledger" | "RunReport") => full = vec!["exec".into()],
            _ => {}
        }
        all.insert(full);
    }
    all
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for file in files() {
        let home = module(&file.path)[0].to_owned();
        let Some((_, allowed)) = LAYERS.iter().find(|l| l.0 == home) else {
            assert!(home == "lib" || home == "bin", "{} is in no layer", file.path);
            continue;
        };
        for path in inside(&file) {
            let Some(to) = path.first().filter(|to| LAYERS.iter().any(|l| l.0 == **to)) else { continue };
            if *to == home || allowed.contains(&to.as_str()) {
                continue;
            }
            match EXCEPTIONS.iter().position(|e| e.0 == file.path && e.1 == *to) {
                Some(exception) => _ = used.insert(exception),
                None => wrong.push(format!("{} imports {}", file.path, path.join("::"))),
            }
        }
    }
    wrong.extend(
        (0..EXCEPTIONS.len()).filter(|i| !used.contains(i)).map(|i| format!("not needed: {:?}", EXCEPTIONS[i])),
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn crates_are_named_where_they_belong() {
    let mut wrong = Vec::new();
    for file in files() {
        for path in paths(&file.code) {
            for (name, folders) in CRATES {
                if path[0] == *name && !folders.iter().any(|f| file.path.starts_with(&format!("{f}/"))) {
                    wrong.push(format!("{} names {}", file.path, path.join("::")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn backends_do_not_know_each_other_and_nobody_above_knows_which() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    let concrete = ["cpu", "gpu", "oracle"];
    for file in files() {
        let home = module(&file.path);
        for path in inside(&file) {
            let [first, second, ..] = path.as_slice() else { continue };
            if first != "backend" || !concrete.contains(&second.as_str()) {
                continue;
            }
            let fine = match home.as_slice() {
                ["backend", own, ..] if concrete.contains(own) => own == second,
                ["backend", ..] | ["exec", ..] => second != "oracle",
                _ => false,
            };
            let exception = NAMES_A_BACKEND.iter().position(|e| e.0 == file.path);
            match exception {
                Some(i) if !fine => _ = used.insert(i),
                _ if fine => {}
                _ => wrong.push(format!("{} names {}", file.path, path.join("::"))),
            }
        }
    }
    wrong.extend(
        (0..NAMES_A_BACKEND.len())
            .filter(|i| !used.contains(i))
            .map(|i| format!("not needed: {:?}", NAMES_A_BACKEND[i])),
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_shader_has_its_reference() {
    let stems = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|e| e.unwrap().path());
        entries
            .filter(|p| p.extension().is_some_and(|e| e == "wgsl"))
            .map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let shaders = stems("shaders");
    assert!(shaders.len() > 5, "the shaders have moved: {shaders:?}");
    for (stem, _) in NO_TWIN {
        assert!(shaders.iter().any(|s| s == stem), "not needed: {stem}");
    }
    for stem in shaders.iter().filter(|s| !NO_TWIN.iter().any(|n| n.0 == **s)) {
        assert!(
            root().join(format!("src/kernel/{stem}.rs")).exists(),
            "shaders/{stem}.wgsl has no src/kernel/{stem}.rs"
        );
    }
}

#[test]
fn unsafe_code_stands_behind_one_door() {
    let found: Vec<String> = files()
        .into_iter()
        .filter(|f| f.code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe"))
        .map(|f| f.path)
        .collect();
    assert_eq!(found, UNSAFE);
}

#[test]
fn a_long_file_has_a_reason() {
    let long: Vec<(String, usize)> = files().into_iter().filter(|f| f.lines > 500).map(|f| (f.path, f.lines)).collect();
    let known: Vec<&str> = LONG.iter().map(|l| l.0).collect();
    let unknown: Vec<_> = long.iter().filter(|(path, _)| !known.contains(&path.as_str())).collect();
    assert!(unknown.is_empty(), "more than 500 lines without a reason: {unknown:?}");
    let gone: Vec<_> = known.iter().filter(|path| !long.iter().any(|(p, _)| p == *path)).collect();
    assert!(gone.is_empty(), "not long any more: {gone:?}");
}

#[test]
fn paths_are_read_out_of_their_braces() {
    let code = code(
        "use crate::{agg::{Arg, exact::{self}}, Error}; // use crate::no\nlet x = super::super::a::b(\"crate::no\");",
    );
    let found: Vec<String> = paths(&code).into_iter().map(|p| p.join("::")).collect();
    assert_eq!(found, ["crate::agg::Arg", "crate::agg::exact::self", "crate::Error", "super::super::a::b"]);
}
