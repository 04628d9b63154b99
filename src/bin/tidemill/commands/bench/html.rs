//! The report as one HTML page: no network, no script, light and dark.

use std::fmt::Write;

use super::doubts::{NOISE, SHORT};
use super::report::{Cell, Report, Scope};
use super::stats::mad;
use super::svg::{self, Bar, Lines, Point, Reached, Series, escape};
use super::text::{bandwidth, count, factor, seconds};

/// Stages in the order in which they happen; each has its colour.
const STAGES: [&str; 8] = ["read", "upload", "kernel", "readback", "host", "compute", "merge", "finish"];

/// The page.
pub fn page(report: &Report) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    _ = writeln!(
        out,
        "<title>tidemill bench: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        escape(&report.subject)
    );
    let against: Vec<String> = report.processors.iter().skip(1).map(|p| escape(&p.name)).collect();
    let heading = if against.is_empty() { "CPU".into() } else { format!("CPU against {}", against.join(" and ")) };
    _ = writeln!(
        out,
        "<header><h1>{heading}</h1><p class=\"sub\">tidemill bench on {}</p></header>",
        escape(&report.subject)
    );
    list(&mut out, "verdict", "Which wins where", &report.verdicts());
    list(&mut out, "doubts", "Reasons to doubt these numbers", &report.doubts);
    for gpu in 1..report.processors.len() {
        crossover(&mut out, report, gpu);
    }
    throughput(&mut out, report);
    stages(&mut out, report);
    roofline(&mut out, report);
    table(&mut out, report);
    machine(&mut out, report);
    method(&mut out, report);
    list(&mut out, "left", "Left out", &report.left_out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn list(out: &mut String, class: &str, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    _ = write!(out, "<section class=\"{class}\"><h2>{title}</h2><ul>");
    lines.iter().for_each(|line| _ = write!(out, "<li>{}</li>", escape(line)));
    out.push_str("</ul></section>\n");
}

fn figure(out: &mut String, title: &str, legend: &str, chart: &str, caption: &str) {
    _ = write!(out, "<figure><h3>{}</h3>{legend}{chart}", escape(title));
    if !caption.is_empty() {
        _ = write!(out, "<figcaption>{}</figcaption>", escape(caption));
    }
    out.push_str("</figure>\n");
}

/// Ladders that share a chart: one scope, one workload (one format is a line of its own).
fn panels(report: &Report) -> Vec<(String, Vec<Vec<&Cell>>)> {
    let mut panels: Vec<(String, Vec<Vec<&Cell>>)> = Vec::new();
    for scope in [Scope::Resident, Scope::EndToEnd] {
        for ladder in report.ladders(scope) {
            let title = format!("{}: {}", capital(scope.title()), ladder[0].workload);
            match panels.iter_mut().find(|panel| panel.0 == title) {
                Some(panel) => panel.1.push(ladder),
                None => panels.push((title, vec![ladder])),
            }
        }
    }
    panels
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

/// What tells a ladder from the others of its panel.
fn line_name(cell: &Cell) -> String {
    match (cell.scope, cell.ladder) {
        (Scope::EndToEnd, Some(groups)) => format!("{} file, {} groups", cell.format, count(groups)),
        (Scope::EndToEnd, None) => format!("{} file", cell.format),
        (Scope::Resident, Some(groups)) => format!("{} groups", count(groups)),
        (Scope::Resident, None) => "in memory".into(),
    }
}

fn crossover(out: &mut String, report: &Report, gpu: usize) {
    let device = &report.processors[gpu].device;
    let mut drawn: Vec<(String, Vec<Series>)> = Vec::new();
    for (title, ladders) in panels(report) {
        let mut series = Vec::new();
        for (at, ladder) in ladders.iter().enumerate() {
            let point = |cell: &&Cell| {
                let ratio = cell.ratio(gpu)?;
                let says = format!(
                    "{} rows: {} ({} to {})",
                    count(cell.rows),
                    factor(ratio.value),
                    factor(ratio.low),
                    factor(ratio.high)
                );
                Some(Point { x: cell.rows as f64, y: ratio.value, low: ratio.low, high: ratio.high, says })
            };
            let points: Vec<Point> = ladder.iter().filter_map(point).collect();
            if !points.is_empty() {
                series.push(Series { name: line_name(ladder[0]), colour: at + 2, marker: at, dashed: false, points });
            }
        }
        if !series.is_empty() {
            drawn.push((title, series));
        }
    }
    // One pair of axes for all, so that charts can be compared.
    let axes = svg::axes(drawn.iter().flat_map(|panel| &panel.1), Some(1.0));
    let (above, below) = (format!("{device} faster"), "CPU faster".to_owned());
    let mut charts = String::new();
    for (title, series) in drawn {
        let about = Lines {
            label: &format!("{title}: CPU time divided by {device} time, by rows"),
            x: "rows",
            y: &format!("CPU time / {device} time"),
            even: Some((1.0, &above, &below)),
            axes,
        };
        figure(&mut charts, &title, &svg::legend(&series), &svg::lines(&series, about), "");
    }
    if !charts.is_empty() {
        _ = writeln!(
            out,
            "<section><h2>Crossover: CPU time / {device} time</h2><p>Above the line at 1, {device} is faster. Bars are 95 % \
             bootstrap intervals of the ratio of medians. Both axes are logarithmic.</p><div class=\"grid\">{charts}</div></section>"
        );
    }
}

fn throughput(out: &mut String, report: &Report) {
    let mut drawn: Vec<(String, Vec<Series>)> = Vec::new();
    for (title, ladders) in panels(report) {
        let mut series = Vec::new();
        for (at, ladder) in ladders.iter().enumerate() {
            for (device, processor) in report.processors.iter().enumerate() {
                let point = |cell: &&Cell| {
                    let side = cell.sides.get(device)?;
                    let middle = side.median()?;
                    let (rows, spread) = (cell.rows as f64, mad(&side.seconds));
                    let rate = |s: f64| rows / s.max(middle / 10.0);
                    let says = format!("{} rows in {}", count(cell.rows), seconds(middle));
                    Some(Point {
                        x: rows,
                        y: rate(middle),
                        low: rate(middle + spread),
                        high: rate(middle - spread),
                        says,
                    })
                };
                let points: Vec<Point> = ladder.iter().filter_map(point).collect();
                if !points.is_empty() {
                    let name = format!("{}, {}", processor.device, line_name(ladder[0]));
                    series.push(Series { name, colour: device.min(1), marker: at, dashed: device > 1, points });
                }
            }
        }
        if !series.is_empty() {
            drawn.push((title, series));
        }
    }
    let axes = svg::axes(drawn.iter().flat_map(|panel| &panel.1), None);
    let mut charts = String::new();
    for (title, series) in drawn {
        let about = Lines {
            label: &format!("{title}: rows a second on every device, by rows"),
            x: "rows",
            y: "rows a second",
            even: None,
            axes,
        };
        figure(&mut charts, &title, &svg::legend(&series), &svg::lines(&series, about), "");
    }
    if !charts.is_empty() {
        _ = writeln!(
            out,
            "<section><h2>Throughput</h2><p>Rows of the input a second, by the median time; bars are one robust standard \
             deviation (1.4826 × MAD) to either side. Both axes are logarithmic.</p><div class=\"grid\">{charts}</div></section>"
        );
    }
}

fn stages(out: &mut String, report: &Report) {
    let mut bars = Vec::new();
    let mut seen = Vec::new();
    for cell in report.largest() {
        for (processor, side) in report.processors.iter().zip(&cell.sides) {
            let Some(middle) = side.median().filter(|_| !side.stages.is_empty()) else { continue };
            let mut parts: Vec<_> = side
                .stages
                .iter()
                .filter(|stage| stage.1 > 0.0)
                .map(|(name, s)| {
                    let colour = STAGES.iter().position(|known| known == name).unwrap_or(STAGES.len());
                    (name.clone(), colour, *s, format!("{name}: {}", seconds(*s)))
                })
                .collect();
            parts.sort_by_key(|part| part.1);
            for (name, colour, ..) in &parts {
                if !seen.contains(&(*colour, name.clone())) {
                    seen.push((*colour, name.clone()));
                }
            }
            let sum: f64 = parts.iter().map(|part| part.2).sum();
            bars.push(Bar {
                name: format!(
                    "{} · {}, {}, {} rows",
                    processor.device,
                    cell.scope.title(),
                    line_name(cell),
                    count(cell.rows)
                ),
                total: format!("{} of thread time, {} wall", seconds(sum), seconds(middle)),
                parts,
            });
        }
    }
    if bars.is_empty() {
        return;
    }
    seen.sort();
    let mut legend = String::from("<ul class=\"legend\">");
    for (colour, name) in &seen {
        _ = write!(
            legend,
            "<li><span class=\"swatch\" style=\"background:var(--p{colour})\"></span>{}</li>",
            escape(name)
        );
    }
    legend.push_str("</ul>");
    let workload = report.cells.first().map(|cell| cell.workload.clone()).unwrap_or_default();
    out.push_str("<section><h2>Where the time goes</h2>");
    figure(
        out,
        &format!("Shares of each device's time: {workload}, the largest tables measured"),
        &legend,
        &svg::shares(&bars, "Shares of time by stage"),
        "Bars are equally long: compare shares within a bar, and totals at the right. Stages are added up over threads and \
         overlap (reading goes on while a device computes), so they can exceed the wall time. read: find and parse rows; upload: \
         bytes put where the device reads them, and work encoded; kernel: waiting for the device; readback: groups unpacked; \
         host: what the CPU does for the device; compute: the CPU's own filter, group and aggregate; merge, finish: partial results to \
         values.",
    );
    out.push_str("</section>\n");
}

fn roofline(out: &mut String, report: &Report) {
    let mut limits = Vec::new();
    for (at, p) in report.processors.iter().enumerate() {
        limits.push((format!("{} memory", p.device), at.min(1), p.memory));
        if let Some(upload) = p.upload {
            limits.push((format!("upload to {}", p.device), at.min(1), upload));
        }
    }
    let mut rows = Vec::new();
    for ladder in report.ladders(Scope::Resident) {
        let Some(cell) = ladder.last().filter(|cell| cell.bytes > 0) else { continue };
        let mut points = Vec::new();
        for (at, (processor, side)) in report.processors.iter().zip(&cell.sides).enumerate() {
            if let Some(middle) = side.median() {
                let rate = cell.bytes as f64 / middle;
                points.push((at.min(1), rate, format!("{}: {} of input", processor.device, bandwidth(rate))));
            }
        }
        rows.push(Reached { name: cell.ladder_name(), points });
    }
    if rows.is_empty() {
        return;
    }
    let legend: Vec<Series> = report
        .processors
        .iter()
        .enumerate()
        .map(|(at, p)| Series {
            name: p.device.clone(),
            colour: at.min(1),
            marker: at.min(1),
            dashed: false,
            points: Vec::new(),
        })
        .collect();
    out.push_str("<section><h2>Roofline</h2>");
    figure(
        out,
        "Input bytes a second, against the bandwidths measured here",
        &svg::legend(&legend),
        &svg::ceilings(
            &rows,
            &limits,
            "bytes of the input columns a second, resident, largest table of each ladder (logarithmic)",
            "Throughput in bytes a second against measured bandwidths",
        ),
        "Every input byte is read at least once, so no device can go right of its own memory's line, nor of the upload line: \
         resident data lies in the host's memory and travels in every run. How far left of them a point lies is what grouping costs.",
    );
    out.push_str("</section>\n");
}

fn table(out: &mut String, report: &Report) {
    out.push_str("<section><h2>All measurements</h2><div class=\"wide\"><table><thead><tr><th>scope</th><th>workload</th><th>from</th>");
    out.push_str("<th class=\"n\">rows</th><th class=\"n\">groups</th><th class=\"n\">cpu</th>");
    for p in report.processors.iter().skip(1) {
        _ = write!(
            out,
            "<th class=\"n\">{0}</th><th class=\"n\">cpu / {0}</th><th class=\"n\">95 %</th><th>faster</th>",
            p.device
        );
    }
    out.push_str("</tr></thead><tbody>");
    for scope in [Scope::Resident, Scope::EndToEnd] {
        for cell in report.ladders(scope).into_iter().flatten() {
            _ = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
                scope.title(),
                escape(&cell.workload),
                escape(&cell.format),
                count(cell.rows),
                count(cell.groups)
            );
            for (at, side) in cell.sides.iter().enumerate() {
                match side.median() {
                    Some(middle) => {
                        _ = write!(
                            out,
                            "<td class=\"n\">{} <span class=\"dim\">± {:.0} %</span></td>",
                            seconds(middle),
                            side.noise() * 100.0
                        )
                    }
                    None => out.push_str("<td class=\"n\">–</td>"),
                }
                if at == 0 {
                    continue;
                }
                match cell.ratio(at) {
                    Some(ratio) => {
                        let faster = ratio.faster().name();
                        _ = write!(
                            out,
                            "<td class=\"n\">{}</td><td class=\"n dim\">{} to {}</td><td>{faster}</td>",
                            factor(ratio.value),
                            factor(ratio.low),
                            factor(ratio.high)
                        );
                    }
                    None => out.push_str("<td class=\"n\">–</td><td class=\"n\">–</td><td>not measured</td>"),
                }
            }
            out.push_str("</tr>");
        }
    }
    out.push_str("</tbody></table></div></section>\n");
}

fn machine(out: &mut String, report: &Report) {
    out.push_str(
        "<section><h2>The machine</h2><div class=\"wide\"><table><thead><tr><th>device</th><th>name</th><th>about</th>",
    );
    for name in ["memory", "upload", "readback", "launch", "submission"] {
        _ = write!(out, "<th class=\"n\">{name}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for p in &report.processors {
        let rate = |rate: Option<f64>| rate.map_or("–".into(), bandwidth);
        let time = |time: Option<f64>| time.map_or("–".into(), seconds);
        _ = write!(out, "<tr><td>{}</td><td>{}</td><td>{}</td>", escape(&p.device), escape(&p.name), escape(&p.about));
        for text in [bandwidth(p.memory), rate(p.upload), rate(p.readback), time(p.launch), time(p.submission)] {
            _ = write!(out, "<td class=\"n\">{text}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></section>\n");
}

fn method(out: &mut String, report: &Report) {
    _ = writeln!(
        out,
        "<section><h2>How it was measured</h2><p>tidemill {}, {} threads. Each number is the median of up to {} counted runs after one \
         that is not counted; devices take turns, run by run, so that what drifts on the machine hits all. <b>Resident</b>: the data is \
         in the host's memory as Arrow columns, the device is open and its kernels are compiled; a GPU's time includes the upload. \
         <b>End to end</b>: from opening the file to the result, with the device opened and its kernels compiled anew in each run; \
         the file is in the page cache. A ratio is called a win where its 95 % bootstrap interval leaves out 1. A measurement is called \
         noisy where 1.4826 × MAD exceeds {:.0} % of its median, and short below {}. Float sums are exact on every device, and every \
         GPU result was compared with the CPU's, bit by bit.</p></section>",
        env!("CARGO_PKG_VERSION"),
        report.threads,
        report.runs,
        NOISE * 100.0,
        seconds(SHORT)
    );
}

/// Colours by Okabe and Ito (series) and Tol (parts), which colour-blind readers can tell apart.
const STYLE: &str = "
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2024;--dim:#5b6470;--line:#dfe3e8;--card:#f7f8fa;--above:#00000008;--even:#1c2024;
--s0:#0072b2;--s1:#d55e00;--s2:#5b3fa0;--s3:#00806a;--s4:#b8860b;--s5:#c0447d;--s6:#3b7dd8;--s7:#7a7a00;
--p0:#8fb8de;--p1:#f0a868;--p2:#7fc29b;--p3:#e3d26f;--p4:#d98fb5;--p5:#6fc0d6;--p6:#b9bec6;--p7:#989fa9;--p8:#cfcfcf}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--dim:#9aa4af;--line:#2b3138;--card:#1b1f24;--above:#ffffff0a;--even:#e6e9ec;
--s0:#56b4e9;--s1:#ff8c42;--s2:#b79cf2;--s3:#3ccfae;--s4:#e8c04a;--s5:#f08cbc;--s6:#8ab8ff;--s7:#d0d060}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
main{max-width:1160px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px}h2{font-size:19px;margin:36px 0 8px}h3{font-size:15px;margin:0 0 6px;font-weight:600}
p{margin:0 0 12px;max-width:76em}.sub,.dim,figcaption{color:var(--dim)}
.verdict,.doubts{border-left:4px solid var(--s0);background:var(--card);padding:12px 18px;margin:20px 0;border-radius:0 6px 6px 0}
.doubts{border-color:var(--s1)}.verdict h2,.doubts h2{margin:0 0 4px;font-size:16px}
section ul{margin:0;padding-left:20px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:18px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px}
figure>svg{display:block;width:100%;height:auto}
figcaption{font-size:13px;margin-top:8px;max-width:80em}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 16px;padding:0;margin:0 0 6px;font-size:13px}
.legend li{display:flex;align-items:center;gap:6px}.swatch{width:12px;height:12px;border-radius:2px;display:inline-block}
svg text{fill:var(--fg);font:12px system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif}
svg .title{fill:var(--dim)}svg .region{fill:var(--dim);font-style:italic}svg .inside{fill:#14171a;font-size:11.5px}
svg .grid{stroke:var(--line);stroke-width:1}svg .axis{stroke:var(--dim);fill:none}svg .even{stroke:var(--even);stroke-width:1.2}
svg .above{fill:var(--above)}svg .line{fill:none;stroke-width:2;stroke-linejoin:round}svg .bar{fill:none;stroke-width:1.4}
svg .part{stroke:var(--card);stroke-width:1.5}svg .ceiling{stroke-width:1.6;stroke-dasharray:5 4}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13.5px;white-space:nowrap;font-variant-numeric:tabular-nums}
th,td{padding:4px 12px 4px 0;border-bottom:1px solid var(--line);text-align:left}th{color:var(--dim);font-weight:600}.n{text-align:right}
@media print{figure{break-inside:avoid}}
";

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    /// Every tag is closed by its own, in order; void elements close themselves.
    fn well_formed(html: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            let end = at + rest[at..].find('>').expect("a tag ends");
            let tag = &rest[at + 1..end];
            rest = &rest[end + 1..];
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            if tag.starts_with('!') || tag.ends_with('/') || name == "meta" {
                continue;
            }
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "before {}", &rest[..rest.len().min(80)]);
            } else {
                open.push(name);
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }

    #[test]
    fn the_page_is_well_formed_and_alone() {
        let page = page(&report());
        well_formed(&page);
        for outside in ["http", "src=", "href=", "url(", "@import", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("gpu:0 &amp; co"), "names are escaped");
        assert_eq!(page.matches("<svg role=\"img\"").count(), 2 + 2 + 1 + 1, "crossover, throughput, stages, roofline");
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn without_a_gpu_there_is_a_page_too() {
        let mut report = report();
        report.processors.truncate(1);
        report.cells.iter_mut().for_each(|cell| cell.sides.truncate(1));
        let page = page(&report);
        well_formed(&page);
        assert!(page.contains("No GPU was measured"));
    }
}
