//! The twins of the soft-float, integer and date shaders against the machine: millions of cases here, hundreds of millions
//! with `cargo test --release --test softfloat_twin -- --ignored`.

mod arithmetic;

use std::collections::BTreeSet;
use std::time::Instant;

use arithmetic::{Class, Operation, describe, lean_shader, operations, pairs, shader};
use tidemill::kernel::source;

/// `rounds` times `count` pairs for every operation; the number of cases run.
fn check(rounds: u64, count: impl Fn(&str) -> usize, only: &str) -> u64 {
    let mut cases = 0;
    for operation in operations().iter().filter(|operation| operation.name.contains(only)) {
        let count = count(operation.name);
        for round in 0..rounds {
            for (a, b) in pairs(operation.class, round * 7919 + operation.name.len() as u64, count) {
                let got = (operation.twin)(a, b);
                assert_eq!(got, (operation.expect)(a, b), "{}", describe(operation, a, b, got));
            }
        }
        cases += rounds * count as u64;
    }
    cases
}

#[test]
fn twins_agree_with_the_machine() {
    let count = |name: &str| match name {
        "f64_add" | "f64_mul" | "f64_div" | "f64_sqrt" => 400_000,
        "f64_div_significands" | "f64_sqrt_significand" => 400_000,
        _ => 30_000,
    };
    let cases = check(1, count, "");
    assert!(cases > 4_000_000, "{cases}");
}

/// The names of a text's functions, helpers of one side only left out.
fn functions(text: &str, prefix: &str) -> BTreeSet<String> {
    let names = text.lines().filter_map(|line| line.strip_prefix(prefix)?.split('(').next());
    names.map(str::to_owned).collect()
}

#[test]
fn a_shader_and_its_twin_have_the_same_functions() {
    for (shader, twin) in [
        (source::I64, include_str!("../src/kernel/i64.rs")),
        (source::I128, include_str!("../src/kernel/i128.rs")),
        (source::F64, include_str!("../src/kernel/f64.rs")),
        (source::DATE, include_str!("../src/kernel/date.rs")),
    ] {
        let names = functions(shader, "fn ");
        assert!(!names.is_empty());
        assert_eq!(names, functions(twin, "pub fn "));
        // A header lists what a kernel may call, with its parameters.
        let header: String = shader.lines().take_while(|line| line.starts_with("//")).collect();
        for name in &names {
            // What the header does not list must be of use inside the file.
            let inner = shader.matches(&format!("{name}(")).count() > 1;
            assert!(inner || header.contains(&format!("{name}(")), "{name} is not in its header");
        }
    }
}

#[test]
fn every_call_is_valid_wgsl_without_extensions() {
    let of = |operation: &Operation| match operation.class {
        Class::F | Class::FF => vec![shader(operation), lean_shader(operation)],
        _ => vec![shader(operation)],
    };
    for text in operations().iter().flat_map(of) {
        assert!(!text.lines().any(|line| line.starts_with("enable")));
        assert!(!text.contains("f32>") && !text.contains("f16"));
        let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)));
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
        validator.validate(&module).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&text)));
    }
}

#[test]
#[ignore = "hundreds of millions of cases: minutes in a release build"]
fn twins_agree_with_the_machine_for_long() {
    let start = Instant::now();
    // Every pair of exponents is met within 2^26 pairs of doubles.
    let core = ["f64_add", "f64_mul", "f64_div"].map(|name| check(1, |_| 1 << 26, name));
    let roots = check(16, |_| 1 << 20, "f64_sqrt");
    let all = check(4, |_| 1 << 18, "");
    let cases = core.iter().sum::<u64>() + roots + all;
    println!("{cases} cases in {:.0?}", start.elapsed());
}
