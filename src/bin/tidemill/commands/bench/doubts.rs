//! What makes measurements doubtful.

use super::machine::{Load, governor};
use super::report::{Report, Scope};
use super::text::{count, seconds};

/// A spread of more than this share of the median is noise.
pub const NOISE: f64 = 0.05;
/// Runs shorter than this measure the starting of threads as much as the work.
pub const SHORT: f64 = 1e-3;
/// A first run this many times as long as the median read a cold page cache.
pub const COLD: f64 = 1.5;
/// … and at least this much longer: less is the first touch of memory.
const COLD_SECONDS: f64 = 0.02;
/// A share of the cores used by others that is worth a word.
pub const OTHERS: f64 = 0.10;

/// All doubts about a report, measured since `before`.
pub fn doubts(report: &Report, before: Option<Load>) -> Vec<String> {
    let others = before.and_then(|before| Some(Load::now()?.others_since(&before)));
    let mut all = of_machine(others, governor().as_deref(), cfg!(debug_assertions));
    all.extend(of_report(report));
    all
}

fn of_machine(others: Option<f64>, governor: Option<&str>, debug: bool) -> Vec<String> {
    let mut all = Vec::new();
    if debug {
        all.push("this tidemill was built without optimisation: nothing here says how fast it is".into());
    }
    if let Some(share) = others.filter(|share| *share > OTHERS) {
        all.push(format!(
            "other processes used {:.0} % of the machine's cores meanwhile (more than {:.0} %)",
            share * 100.0,
            OTHERS * 100.0
        ));
    }
    if let Some(governor) = governor.filter(|name| *name != "performance") {
        all.push(format!("the CPU's frequency is scaled ('{governor}'): short runs may see a slow clock"));
    }
    all
}

fn of_report(report: &Report) -> Vec<String> {
    let mut all = Vec::new();
    for p in report.processors.iter().filter(|p| p.software) {
        all.push(format!(
            "{} ({}) is a software adapter: it runs on the CPU and says nothing about a GPU's speed",
            p.device, p.name
        ));
    }
    let mut all_sides = Vec::new();
    for cell in &report.cells {
        for (p, side) in report.processors.iter().zip(&cell.sides) {
            all_sides.push((cell, p.device.as_str(), side));
        }
    }
    let sides = || all_sides.iter().copied();
    let of = sides().filter(|(_, _, side)| !side.seconds.is_empty()).count();
    let noisy: Vec<_> = sides().filter(|(_, _, side)| side.noise() > NOISE).collect();
    let worst = noisy.iter().max_by(|a, b| a.2.noise().total_cmp(&b.2.noise()));
    if let Some((cell, device, side)) = worst {
        all.push(format!(
            "{} of {of} measurements spread by more than {:.0} % of their median; the worst by {:.0} %: {device}, {}, {}, {} \
             rows",
            noisy.len(),
            NOISE * 100.0,
            side.noise() * 100.0,
            cell.scope.title(),
            cell.ladder_name(),
            count(cell.rows)
        ));
    }
    let short = sides().filter(|(_, _, side)| side.median().is_some_and(|s| s < SHORT)).count();
    if short > 0 {
        all.push(format!(
            "{short} of {of} measurements are shorter than {}: starting threads is a good part of them",
            seconds(SHORT)
        ));
    }
    // The device's own start is part of every end-to-end run; on the CPU a slow first run is the file's.
    for cell in report.cells.iter().filter(|cell| cell.scope == Scope::EndToEnd) {
        let Some(cpu) = cell.sides.first() else { continue };
        if cpu.median().is_some_and(|middle| cpu.first > (COLD * middle).max(middle + COLD_SECONDS)) {
            all.push(format!(
                "the page cache was cold: the first run over {} rows from {} took {}, the counted runs {}; a file read once \
                 costs the former",
                count(cell.rows),
                cell.format,
                seconds(cpu.first),
                seconds(cpu.median().unwrap_or_default())
            ));
        }
    }
    for (cell, device, side) in sides() {
        let place = || format!("{device}, {}, {}, {} rows", cell.scope.title(), cell.ladder_name(), count(cell.rows));
        match &side.problem {
            Some(problem) => all.push(format!("not measured: {}: {problem}", place())),
            None if !side.identical => all.push(format!("WRONG: {} gave other bits than the CPU", place())),
            None => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn a_quiet_report_has_none_and_each_doubt_has_its_reason() {
        assert_eq!(of_report(&report()), Vec::<String>::new());
        assert_eq!(of_machine(Some(0.02), Some("performance"), false), Vec::<String>::new());
        let texts = of_machine(Some(0.5), Some("powersave"), true).join("\n");
        for want in ["without optimisation", "used 50 % of the machine's cores", "'powersave'"] {
            assert!(texts.contains(want), "{texts}");
        }
        let mut doubtful = report();
        doubtful.processors[1].software = true;
        doubtful.cells[0].sides[1].seconds = vec![0.004, 0.005, 0.009];
        doubtful.cells[1].sides[0].seconds = vec![0.0001; 3];
        doubtful.cells[2].sides[0].first = 0.2;
        doubtful.cells[1].sides[1].identical = false;
        doubtful.cells[2].sides[1].problem = Some("the device failed".into());
        let texts = of_report(&doubtful).join("\n");
        for want in [
            "gpu:0 (gpu:0 & co) is a software adapter",
            "1 of 6 measurements spread by more than 5 % of their median; the worst by 30 %: gpu:0, resident",
            "1 of 6 measurements are shorter than 1.0 ms",
            "the page cache was cold: the first run over 100,000 rows from csv took 200 ms, the counted runs 20.0 ms",
            "WRONG: gpu:0, resident, uniform keys, sum of floats, 100 groups, 100,000 rows gave other bits",
            "not measured: gpu:0, end to end, uniform keys, sum of floats, from csv, 100 groups, 100,000 rows: the device failed",
        ] {
            assert!(texts.contains(want), "{want}\n{texts}");
        }
    }
}
