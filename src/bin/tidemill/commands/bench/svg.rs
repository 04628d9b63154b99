//! Charts as SVG text: lines with error bars on logarithmic axes, stacked bars, points against ceilings.
//!
//! Colours are CSS variables of the page (`--s0` …), so that light and dark are the page's business. Everything can be
//! read without colour: series differ in their markers, and every mark has its value as a tooltip.

use std::fmt::Write;

/// Width of a chart's drawing, in its own units.
const WIDTH: f64 = 540.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 50.0;

/// Text safe inside of HTML and SVG.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Control characters are not allowed even as references.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A logarithmic axis.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    low: f64,
    high: f64,
}

impl Log {
    /// An axis around all of `values`, with some room at both ends.
    pub fn around(values: impl Iterator<Item = f64>) -> Log {
        let (mut low, mut high) = (f64::MAX, f64::MIN_POSITIVE);
        for value in values.filter(|v| v.is_finite() && *v > 0.0) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.5, 2.0);
        }
        // A tenth of the span, and never less than a third of a decade in all.
        let room = (0.07 * (high / low).log10()).max(0.17);
        Log { low: low / 10f64.powf(room), high: high * 10f64.powf(room) }
    }

    fn share(&self, value: f64) -> f64 {
        ((value.max(f64::MIN_POSITIVE) / self.low).log10() / (self.high / self.low).log10()).clamp(-0.05, 1.05)
    }

    /// Where the lines go: powers of ten, thinned where they are many; with 2 and 5 between where they are few.
    fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let step = ((decades / 7.0).ceil() as i32).max(1);
        let factors: &[f64] = if decades < 2.6 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = (first..=last).filter(|power| power.rem_euclid(step) == 0);
        powers
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|tick| (self.low..=self.high).contains(tick))
            .collect()
    }
}

/// A number for an axis: `0.02`, `1`, `500`, `10k`, `2M`, `1G`.
pub fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v >= 1e12 => (v / 1e12, "T"),
        v if v >= 1e9 => (v / 1e9, "G"),
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e3 => (v / 1e3, "k"),
        v => (v, ""),
    };
    let digits = if scaled >= 1.0 { 1 } else { (1.0 - scaled.log10().floor()) as usize };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

/// A point and its interval along y.
#[derive(Debug, Clone)]
pub struct Point {
    /// Along x.
    pub x: f64,
    /// Along y.
    pub y: f64,
    /// The interval's ends.
    pub low: f64,
    /// The interval's ends.
    pub high: f64,
    /// What a tooltip says.
    pub says: String,
}

/// Points joined by a line.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Which of the page's colours.
    pub colour: usize,
    /// Which marker.
    pub marker: usize,
    /// Whether the line is broken.
    pub dashed: bool,
    /// Its points, ascending in x.
    pub points: Vec<Point>,
}

/// A marker of half-width 4.5 at a place: circle, square, triangle, diamond, cross, and so on again.
fn marker(out: &mut String, shape: usize, colour: usize, x: f64, y: f64) {
    let path = match shape % 5 {
        0 => {
            _ = write!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="4.2" style="fill:var(--s{colour})"/>"#);
            return;
        }
        1 => "M-4,-4H4V4H-4Z",
        2 => "M0,-5L5,4H-5Z",
        3 => "M0,-5.4L5.4,0L0,5.4L-5.4,0Z",
        _ => "M-4.5,-2H-2V-4.5H2V-2H4.5V2H2V4.5H-2V2H-4.5Z",
    };
    _ = write!(out, r#"<path d="{path}" transform="translate({x:.1},{y:.1})" style="fill:var(--s{colour})"/>"#);
}

/// The legend of some series, as an HTML list.
pub fn legend(series: &[Series]) -> String {
    let mut out = String::from(r#"<ul class="legend">"#);
    for s in series {
        let dash = if s.dashed { r#" stroke-dasharray="5 3""# } else { "" };
        let colour = s.colour;
        _ = write!(
            out,
            r#"<li><svg viewBox="0 0 34 14" width="34" height="14" aria-hidden="true"><line x1="1" x2="33" y1="7" y2="7" style="stroke:var(--s{colour})" stroke-width="2"{dash}/>"#
        );
        marker(&mut out, s.marker, colour, 17.0, 7.0);
        _ = write!(out, "</svg>{}</li>", escape(&s.name));
    }
    out + "</ul>"
}

/// The axes of charts that stand beside each other, around all of their points; with `even`, so that both of its sides have
/// room.
pub fn axes<'a>(series: impl Iterator<Item = &'a Series> + Clone, even: Option<f64>) -> (Log, Log) {
    let points = || series.clone().flat_map(|s| &s.points);
    let sides = even.into_iter().flat_map(|even| [even * 2.5, even / 2.5]);
    let y = Log::around(points().flat_map(|p| [p.low, p.high, p.y]).chain(sides));
    (Log::around(points().map(|p| p.x)), y)
}

/// What a chart of lines says around its lines.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    /// Read to those who cannot see it.
    pub label: &'a str,
    /// Title of the x axis.
    pub x: &'a str,
    /// Title of the y axis.
    pub y: &'a str,
    /// A line at this y, and what is above and below it.
    pub even: Option<(f64, &'a str, &'a str)>,
    /// The axes, along x and y.
    pub axes: (Log, Log),
}

/// Lines with error bars; both axes logarithmic.
pub fn lines(series: &[Series], about: Lines<'_>) -> String {
    let height = 330.0;
    let (x_axis, y_axis) = about.axes;
    let (inner_width, inner_height) = (WIDTH - LEFT - RIGHT, height - TOP - BOTTOM);
    let x = |value: f64| LEFT + x_axis.share(value) * inner_width;
    let y = |value: f64| TOP + (1.0 - y_axis.share(value)) * inner_height;
    let (right, bottom) = (WIDTH - RIGHT, height - BOTTOM);
    let mut out = open(about.label, height);
    if let Some((even, _, _)) = about.even {
        let edge = y(even);
        _ = write!(
            out,
            r#"<rect class="above" x="{LEFT}" y="{TOP}" width="{inner_width:.1}" height="{:.1}"/>"#,
            edge - TOP
        );
    }
    for tick in y_axis.ticks() {
        let at = y(tick);
        _ = write!(out, r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/>"#);
        _ = write!(
            out,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 7.0,
            at + 4.0,
            short(tick)
        );
    }
    for tick in x_axis.ticks() {
        let at = x(tick);
        _ = write!(out, r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{bottom:.1}"/>"#);
        _ = write!(
            out,
            r#"<text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            bottom + 17.0,
            short(tick)
        );
    }
    _ = write!(out, r#"<path class="axis" d="M{LEFT},{TOP}V{bottom:.1}H{right}"/>"#);
    let middle = LEFT + inner_width / 2.0;
    _ = write!(
        out,
        r#"<text class="title" x="{middle:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        height - 12.0,
        escape(about.x)
    );
    let centre = TOP + inner_height / 2.0;
    _ = write!(
        out,
        r#"<text class="title" transform="translate(15,{centre:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
        escape(about.y)
    );
    if let Some((even, above, below)) = about.even {
        let edge = y(even);
        _ = write!(out, r#"<line class="even" x1="{LEFT}" x2="{right}" y1="{edge:.1}" y2="{edge:.1}"/>"#);
        // Lines of ratios mostly rise from the lower left: the other two corners are free.
        _ = write!(out, r#"<text class="region" x="{:.1}" y="{:.1}">{}</text>"#, LEFT + 8.0, TOP + 16.0, escape(above));
        _ = write!(
            out,
            r#"<text class="region" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            right - 8.0,
            bottom - 8.0,
            escape(below)
        );
    }
    for s in series {
        let colour = s.colour;
        let path: Vec<String> = s.points.iter().map(|p| format!("{:.1},{:.1}", x(p.x), y(p.y))).collect();
        let dash = if s.dashed { r#" stroke-dasharray="6 4""# } else { "" };
        _ = write!(
            out,
            r#"<polyline class="line" points="{}" style="stroke:var(--s{colour})"{dash}/>"#,
            path.join(" ")
        );
    }
    // Markers above all lines.
    for s in series {
        let colour = s.colour;
        for p in &s.points {
            let (at, top, end) = (x(p.x), y(p.high), y(p.low));
            _ = write!(out, "<g><title>{}</title>", escape(&format!("{}: {}", s.name, p.says)));
            if end - top > 1.0 {
                let (from, to) = (at - 4.0, at + 4.0);
                _ = write!(
                    out,
                    r#"<path class="bar" d="M{from:.1},{top:.1}H{to:.1}M{at:.1},{top:.1}V{end:.1}M{from:.1},{end:.1}H{to:.1}" style="stroke:var(--s{colour})"/>"#
                );
            }
            marker(&mut out, s.marker, colour, at, y(p.y));
            out.push_str("</g>");
        }
    }
    out + "</svg>"
}

/// A bar that is made of parts.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// What stands at its right end.
    pub total: String,
    /// Name, colour and size of each part.
    pub parts: Vec<(String, usize, f64, String)>,
}

/// Bars, each as long as the others: what matters is the shares of their parts.
pub fn shares(bars: &[Bar], label: &str) -> String {
    const ROW: f64 = 46.0;
    const WIDE: f64 = 1000.0;
    let mut out = String::new();
    _ = write!(
        out,
        r#"<svg role="img" aria-label="{}" viewBox="0 0 {WIDE} {:.0}">"#,
        escape(label),
        bars.len() as f64 * ROW
    );
    for (at, bar) in bars.iter().enumerate() {
        let top = at as f64 * ROW;
        _ = write!(out, r#"<text class="tick" x="0" y="{:.1}">{}</text>"#, top + 13.0, escape(&bar.name));
        _ = write!(
            out,
            r#"<text class="tick" x="{WIDE}" y="{:.1}" text-anchor="end">{}</text>"#,
            top + 13.0,
            escape(&bar.total)
        );
        let sum: f64 = bar.parts.iter().map(|part| part.2).sum::<f64>().max(f64::MIN_POSITIVE);
        let mut x = 0.0;
        for (name, colour, size, says) in &bar.parts {
            let width = size / sum * WIDE;
            let percent = size / sum * 100.0;
            _ = write!(
                out,
                r#"<g><title>{}</title><rect class="part" x="{x:.1}" y="{:.1}" width="{width:.1}" height="20" style="fill:var(--p{colour})"/>"#,
                escape(says),
                top + 19.0
            );
            let text = format!("{name} {percent:.0}\u{a0}%");
            if width > text.chars().count() as f64 * 7.2 + 8.0 {
                _ = write!(
                    out,
                    r#"<text class="inside" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                    x + width / 2.0,
                    top + 33.0,
                    escape(&text)
                );
            }
            out.push_str("</g>");
            x += width;
        }
    }
    out + "</svg>"
}

/// A line of points in [`ceilings`].
#[derive(Debug, Clone)]
pub struct Reached {
    /// What it is.
    pub name: String,
    /// Colour and marker, value, tooltip.
    pub points: Vec<(usize, f64, String)>,
}

/// Points on a logarithmic axis against vertical ceilings `(name, colour, value)`.
pub fn ceilings(rows: &[Reached], limits: &[(String, usize, f64)], x_title: &str, label: &str) -> String {
    const ROW: f64 = 26.0;
    const WIDE: f64 = 1000.0;
    const NAMES: f64 = 330.0;
    // The names of ceilings stand above the plot, one a line, so that near ones do not run into each other.
    let top = limits.len() as f64 * 17.0 + 10.0;
    let bottom = top + rows.len() as f64 * ROW + 6.0;
    let height = bottom + 46.0;
    let values = rows.iter().flat_map(|r| r.points.iter().map(|p| p.1)).chain(limits.iter().map(|l| l.2));
    let axis = Log::around(values);
    let x = |value: f64| NAMES + axis.share(value) * (WIDE - NAMES - 16.0);
    let mut out = String::new();
    _ = write!(out, r#"<svg role="img" aria-label="{}" viewBox="0 0 {WIDE} {height:.0}">"#, escape(label));
    for tick in axis.ticks() {
        let at = x(tick);
        _ = write!(out, r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{top:.1}" y2="{bottom:.1}"/>"#);
        _ = write!(
            out,
            r#"<text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{}B/s</text>"#,
            bottom + 17.0,
            short(tick)
        );
    }
    _ = write!(out, r#"<path class="axis" d="M{NAMES},{top:.1}V{bottom:.1}H{:.1}"/>"#, WIDE - 16.0);
    _ = write!(
        out,
        r#"<text class="title" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        NAMES + (WIDE - NAMES) / 2.0,
        height - 8.0,
        escape(x_title)
    );
    let mut sorted: Vec<_> = limits.iter().collect();
    // The largest on top: no line then runs through the name of another, which stands at its line's left.
    sorted.sort_by(|a, b| b.2.total_cmp(&a.2));
    for (at, (name, colour, value)) in sorted.into_iter().enumerate() {
        let (line, text) = (x(*value), at as f64 * 17.0 + 13.0);
        _ = write!(
            out,
            r#"<line class="ceiling" x1="{line:.1}" x2="{line:.1}" y1="{:.1}" y2="{bottom:.1}" style="stroke:var(--s{colour})"/>"#,
            text + 3.0
        );
        let (anchor, from) = if line > NAMES { ("end", line - 5.0) } else { ("start", line + 5.0) };
        _ = write!(
            out,
            r#"<text class="tick" x="{from:.1}" y="{text:.1}" text-anchor="{anchor}">{} {}B/s</text>"#,
            escape(name),
            short(*value)
        );
    }
    for (at, row) in rows.iter().enumerate() {
        let y = top + at as f64 * ROW + ROW / 2.0;
        _ = write!(
            out,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            NAMES - 10.0,
            y + 4.0,
            escape(&row.name)
        );
        _ = write!(out, r#"<line class="grid" x1="{NAMES}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/>"#, WIDE - 16.0);
        for (colour, value, says) in &row.points {
            _ = write!(out, "<g><title>{}</title>", escape(says));
            marker(&mut out, *colour, *colour, x(*value), y);
            out.push_str("</g>");
        }
    }
    out + "</svg>"
}

fn open(label: &str, height: f64) -> String {
    format!(r#"<svg role="img" aria-label="{}" viewBox="0 0 {WIDTH} {height}">"#, escape(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_few_and_round_ticks() {
        let ticks = |values: &[f64]| {
            Log::around(values.iter().copied()).ticks().into_iter().map(short).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ticks(&[1e4, 1e7]), "10k 100k 1M 10M");
        assert_eq!(ticks(&[0.3, 0.9]), "0.5 1");
        assert_eq!(ticks(&[2.0, 2.0]), "2");
        assert_eq!(ticks(&[]), "0.5 1 2");
        let many = Log::around([1e-9, 1e9].into_iter()).ticks();
        assert!((4..=9).contains(&many.len()), "{many:?}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.02, 0.5, 1.0, 1.6, 500.0, 1e4, 2.5e6, 1e9].map(short),
            ["0.02", "0.5", "1", "1.6", "500", "10k", "2.5M", "1G"]
        );
    }

    #[test]
    fn text_cannot_break_out() {
        assert_eq!(escape("<a&\"b\u{1b}>"), "&lt;a&amp;&quot;b &gt;");
    }

    #[test]
    fn a_larger_value_stands_higher_and_further_right() {
        let axis = Log::around([1.0, 100.0].into_iter());
        assert!((axis.share(10.0) - 0.5).abs() < 1e-9);
        assert!(axis.share(1.0) > 0.0 && axis.share(100.0) < 1.0);
    }
}
