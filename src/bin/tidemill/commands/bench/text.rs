//! The report for a terminal, and how its numbers are written.

use std::fmt::Write;

use super::report::{Report, Scope};
use crate::progress::grouped;
use crate::table::{self, Entry, Limits};

/// A count with its digits in threes.
pub fn count(n: u64) -> String {
    grouped(n)
}

/// A count of which two digits are known.
pub fn rough(n: f64) -> u64 {
    let unit = 10f64.powf((n.max(1.0).log10().floor() - 1.0).max(0.0));
    ((n / unit).round() * unit) as u64
}

/// A factor: two digits that matter at least.
pub fn factor(f: f64) -> String {
    match f {
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 1.0 => format!("{f:.1}"),
        f if f >= 0.1 => format!("{f:.2}"),
        f => format!("{f:.3}"),
    }
}

/// A time in the unit that suits it.
pub fn seconds(s: f64) -> String {
    match s {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 1e-3 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

/// Bytes a second.
pub fn bandwidth(rate: f64) -> String {
    if rate >= 1e9 { format!("{:.1} GB/s", rate / 1e9) } else { format!("{:.0} MB/s", rate / 1e6) }
}

/// The report.
pub fn text(report: &Report, limits: Limits) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    _ = writeln!(out, "{}, {} counted runs each", report.subject, report.runs);
    for p in &report.processors {
        let mut rates = format!("memory {}", bandwidth(p.memory));
        for (name, rate) in [("upload", p.upload), ("readback", p.readback)] {
            if let Some(rate) = rate {
                _ = write!(rates, ", {name} {}", bandwidth(rate));
            }
        }
        if let (Some(launch), Some(submission)) = (p.launch, p.submission) {
            _ = write!(rates, ", launch {}, submission {}", seconds(launch), seconds(submission));
        }
        _ = writeln!(out, "{:<6} {} ({}): {rates}", p.device, p.name, p.about);
    }
    for scope in [Scope::Resident, Scope::EndToEnd] {
        if report.cells.iter().any(|cell| cell.scope == scope) {
            let what = match scope {
                Scope::Resident => "data in memory, device warm",
                Scope::EndToEnd => "from the file to the result, device opened anew",
            };
            _ = writeln!(out, "\n{} ({what})", scope.title());
            out.push_str(&ladder(report, scope, limits));
        }
    }
    let stages = stages(report, limits);
    if !stages.is_empty() {
        _ = writeln!(out, "\nwhere the time goes (added up over threads; they overlap)");
        out.push_str(&stages);
    }
    out.push('\n');
    report.verdicts().iter().for_each(|line| _ = writeln!(out, "{line}"));
    report.doubts.iter().for_each(|line| _ = writeln!(out, "doubtful: {line}"));
    report.left_out.iter().for_each(|line| _ = writeln!(out, "left out: {line}"));
    out
}

fn number(text: String) -> Entry {
    Entry::Number(text)
}

fn ladder(report: &Report, scope: Scope, limits: Limits) -> String {
    let format = scope == Scope::EndToEnd;
    let mut names = vec!["workload".to_owned()];
    names.extend(format.then(|| "from".into()));
    names.extend(["rows", "groups", "cpu"].map(String::from));
    for p in report.processors.iter().skip(1) {
        names.extend([p.device.clone(), format!("cpu / {}", p.device), "±".into(), "faster".into()]);
    }
    let mut rows = Vec::new();
    for cell in report.ladders(scope).into_iter().flatten() {
        let mut row = vec![Entry::Text(cell.workload.clone())];
        row.extend(format.then(|| Entry::Text(cell.format.clone())));
        row.extend([number(count(cell.rows)), number(count(cell.groups))]);
        for (at, side) in cell.sides.iter().enumerate() {
            row.push(side.median().map_or(Entry::Null, |s| number(seconds(s))));
            if at == 0 {
                continue;
            }
            match cell.ratio(at) {
                Some(ratio) => {
                    row.extend([number(factor(ratio.value)), number(factor(ratio.deviation()))]);
                    row.push(Entry::Text(ratio.faster().name().into()));
                }
                None => row.extend([Entry::Null, Entry::Null, Entry::Text("not measured".into())]),
            }
        }
        rows.push(row);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    table::listing(&names, &rows, limits)
}

/// The stages of the largest rungs.
fn stages(report: &Report, limits: Limits) -> String {
    let mut rows = Vec::new();
    let mut names: Vec<&str> = vec!["measured", "device", "rows", "wall"];
    let largest = report.largest();
    let all = largest.iter().flat_map(|cell| &cell.sides).flat_map(|side| &side.stages);
    let mut stages: Vec<&str> = Vec::new();
    for (name, _) in all {
        if !stages.contains(&name.as_str()) {
            stages.push(name);
        }
    }
    names.extend(&stages);
    for cell in largest {
        for (processor, side) in report.processors.iter().zip(&cell.sides) {
            let Some(middle) = side.median() else { continue };
            let mut row = vec![
                Entry::Text(format!("{}, {}", cell.scope.title(), cell.ladder_name())),
                Entry::Text(processor.device.clone()),
                number(count(cell.rows)),
                number(seconds(middle)),
            ];
            row.extend(stages.iter().map(|name| {
                let spent = side.stages.iter().find(|(stage, _)| stage == name);
                spent.map_or(Entry::Text(String::new()), |(_, s)| Entry::Text(seconds(*s)))
            }));
            rows.push(row);
        }
    }
    if rows.is_empty() { String::new() } else { table::listing(&names, &rows, limits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_the_unit_that_suits_them() {
        assert_eq!([12.345, 0.1234, 0.0123, 0.000_045].map(seconds), ["12.35 s", "123 ms", "12.3 ms", "45 µs"]);
        assert_eq!([123.4, 12.34, 0.567, 0.0123].map(factor), ["123", "12.3", "0.57", "0.012"]);
        assert_eq!([55_822.0, 7.3, 1_949_999.0].map(rough), [56_000, 7, 1_900_000]);
        assert_eq!([2.5e10, 3.2e8].map(bandwidth), ["25.0 GB/s", "320 MB/s"]);
    }

    #[test]
    fn the_text_has_a_line_for_each_measurement() {
        let report = super::super::report::tests::report();
        let text = text(&report, Limits::default());
        let resident = text.split("end to end (").next().unwrap();
        assert_eq!(resident.matches("uniform keys, sum of floats").count(), 2, "{text}");
        assert!(text.contains("┆        0.25 ┆ 0.005 ┆ cpu    │"), "{text}");
        assert!(text.contains("resident: the CPU wins 1"), "{text}");
    }
}
