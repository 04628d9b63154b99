//! Windows over time: how they are written, and which spans of time they are.

use std::fmt;
use std::str::FromStr;

use crate::expr::{self, Expr, Interval};
use crate::{Error, Result};

/// The spans of time that rows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// Spans of one length, one after the other.
    Tumbling {
        /// Their length.
        width: Interval,
    },
    /// Spans of one length that begin every `slide`: a row is in several.
    Sliding {
        /// Their length.
        width: Interval,
        /// From the begin of one to that of the next.
        slide: Interval,
    },
    /// For each key, rows that follow one another in less than `gap`; from the first of them to `gap` after the last.
    Session {
        /// The time after a row within which the next one belongs to the same session.
        gap: Interval,
    },
}

/// What time a window is of.
#[derive(Debug, Clone, PartialEq)]
pub enum Time {
    /// That in each row: a column, or an expression, of type timestamp or date.
    Event(Expr),
    /// That at which the batch of a row was planned, in milliseconds; it is logged, and the same if the batch is done again.
    Processing,
}

/// A window over time.
///
/// ```
/// use tidemill::stream::Window;
///
/// let window: Window = "sliding 10s every 2s on ts".parse()?;
/// assert_eq!(window.to_string(), "sliding 10s every 2s on ts");
/// for other in ["session 30m on clicked", "tumbling 1m on processing time"] {
///     assert_eq!(other.parse::<Window>()?.to_string(), other);
/// }
/// # Ok::<(), tidemill::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The spans. Those of one length are aligned to 1970-01-01T00:00:00.
    pub kind: WindowKind,
    /// The time.
    pub on: Time,
}

/// How processing time is written.
const PROCESSING: &str = "processing time";
/// Sessions are closed in steps of so many parts of their gap.
const STEPS: i64 = 10;

impl Window {
    /// Spans of one length, one after the other.
    pub fn tumbling(width: Interval, on: Time) -> Window {
        Window { kind: WindowKind::Tumbling { width }, on }
    }

    /// Spans of one length that begin every `slide`.
    pub fn sliding(width: Interval, slide: Interval, on: Time) -> Window {
        Window { kind: WindowKind::Sliding { width, slide }, on }
    }

    /// Rows of a key that follow one another in less than `gap`.
    pub fn session(gap: Interval, on: Expr) -> Window {
        Window { kind: WindowKind::Session { gap }, on: Time::Event(on) }
    }
}

/// How windows over one time cut it, in ticks of `tick` nanoseconds.
///
/// # Errors
/// A window that is no whole number of ticks; windows that cannot be beside one another.
pub(crate) fn cut(windows: &[Window], tick: i64) -> Result<Cut> {
    let ticks = |interval: Interval| {
        let nanos = interval.nanos();
        let whole = nanos % tick == 0 && nanos > 0;
        let unit = match tick {
            DAY => "days".to_owned(),
            tick => Interval::from_nanos(tick).map_or_else(|| "ticks".into(), |tick| format!("ticks of {tick}")),
        };
        whole.then_some(nanos / tick).ok_or_else(|| {
            Error::usage(format!("a window of {interval} is no whole number of the {unit} that its time has"))
        })
    };
    if let [Window { kind: WindowKind::Session { gap }, .. }] = windows {
        let gap = ticks(*gap)?;
        return Ok(Cut::Sessions(Sessions { gap, pane: (gap / STEPS).max(1) }));
    }
    let mut each = Vec::new();
    for window in windows {
        let (width, slide) = match window.kind {
            WindowKind::Tumbling { width } => (width, width),
            WindowKind::Sliding { width, slide } => (width, slide),
            WindowKind::Session { .. } => {
                return Err(Error::Usage {
                    message: "a session window cannot be beside another window".into(),
                    help: Some("run a query for each".into()),
                });
            }
        };
        each.push((ticks(width)?, ticks(slide)?));
    }
    let pane = each.iter().fold(0, |pane, (width, slide)| num_integer::gcd(pane, num_integer::gcd(*width, *slide)));
    each.sort_unstable();
    if let Some(two) = each.windows(2).find(|two| two[0].0 == two[1].0) {
        let width = two[0].0.checked_mul(tick).and_then(Interval::from_nanos);
        return Err(Error::Usage {
            message: format!("two windows are of {}", width.map_or_else(String::new, |width| width.to_string())),
            help: Some("which window a row of the output is of is told by its width".into()),
        });
    }
    Ok(Cut::Spans(each.into_iter().map(|(width, slide)| Spans { width, slide, pane }).collect()))
}

/// A day in nanoseconds: the tick of a date.
pub(crate) const DAY: i64 = 86_400_000_000_000;

impl FromStr for Window {
    type Err = Error;

    fn from_str(text: &str) -> Result<Window> {
        let wrong = |message: String| {
            Error::Usage {
            message,
            help: Some(
                "write 'tumbling 10s on ts', 'sliding 10s every 2s on ts', 'session 30m on ts' or 'tumbling 10s on processing time'"
                    .into(),
            ),
        }
        };
        let (spans, on) = text
            .split_once(" on ")
            .ok_or_else(|| wrong(format!("the window '{text}' does not say on which time it is")))?;
        let spans = spans.trim();
        let (kind, lengths) = spans.split_once(char::is_whitespace).unwrap_or((spans, ""));
        let positive = |text: &str| {
            let interval: Interval = text.trim().parse()?;
            if interval.nanos() == 0 { Err(wrong(format!("a window of '{text}' holds nothing"))) } else { Ok(interval) }
        };
        let kind = match kind.to_ascii_lowercase().as_str() {
            "tumbling" => WindowKind::Tumbling { width: positive(lengths)? },
            "sliding" | "hopping" => {
                let (width, slide) = lengths
                    .split_once(" every ")
                    .ok_or_else(|| wrong(format!("the window '{text}' does not say how often one begins")))?;
                let (width, slide) = (positive(width)?, positive(slide)?);
                if slide > width {
                    return Err(wrong(format!("windows of {width} every {slide} leave gaps")));
                }
                WindowKind::Sliding { width, slide }
            }
            "session" => WindowKind::Session { gap: positive(lengths)? },
            _ => return Err(wrong(format!("'{kind}' is no kind of window"))),
        };
        let on = match on.split_whitespace().collect::<Vec<_>>().join(" ") {
            on if on.eq_ignore_ascii_case(PROCESSING) => Time::Processing,
            _ => Time::Event(expr::parse(on)?),
        };
        Ok(Window { kind, on })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            WindowKind::Tumbling { width } => write!(f, "tumbling {width} on {}", self.on),
            WindowKind::Sliding { width, slide } => write!(f, "sliding {width} every {slide} on {}", self.on),
            WindowKind::Session { gap } => write!(f, "session {gap} on {}", self.on),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Time::Event(on) => on.fmt(f),
            Time::Processing => f.write_str(PROCESSING),
        }
    }
}

/// How time is cut, in ticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Windows of different widths, narrow ones first, all of panes of one width. There is at least one.
    Spans(Vec<Spans>),
    /// Sessions.
    Sessions(Sessions),
}

impl Cut {
    /// The width of a pane.
    pub fn pane(&self) -> i64 {
        match self {
            Cut::Spans(spans) => spans.first().map_or(1, |spans| spans.pane),
            Cut::Sessions(sessions) => sessions.pane,
        }
    }

    /// Whether nothing that a pane could be part of is open at the watermark: rows for it are late.
    pub fn is_over(&self, pane: i64, watermark: i64) -> bool {
        match self {
            Cut::Spans(spans) => spans.iter().all(|spans| spans.is_over(pane, watermark)),
            Cut::Sessions(sessions) => sessions.is_over(pane, watermark),
        }
    }
}

/// Sessions in ticks. Rows of a key in one pane, which is not wider than the gap, are always in one session; so groups are kept by
/// pane here too, each with its first and last time, and put together where less than the gap is between them.
///
/// A row is late if its whole pane is before the watermark, and a session is closed when the watermark, taken down to the start
/// of a pane, has reached its end: what is not late then cannot belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sessions {
    pub gap: i64,
    pub pane: i64,
}

impl Sessions {
    /// See [`Cut::is_over`].
    pub fn is_over(self, pane: i64, watermark: i64) -> bool {
        pane.saturating_add(self.pane) <= watermark
    }

    /// Sessions that end up to here are closed.
    pub fn bound(self, watermark: i64) -> i64 {
        if watermark == i64::MAX { watermark } else { self.pane_of(watermark) }
    }

    /// The pane that a time is in.
    pub fn pane_of(self, time: i64) -> i64 {
        time.saturating_sub(time.rem_euclid(self.pane))
    }
}

/// Windows in ticks. Groups are kept by *pane*, the largest span of which every window holds whole ones; a pane is known by its
/// start, and so is a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spans {
    pub width: i64,
    pub slide: i64,
    pub pane: i64,
}

impl Spans {
    /// The end of a window. Times at the very end of what ticks can count share it.
    pub fn end(self, window: i64) -> i64 {
        window.saturating_add(self.width)
    }

    /// The start of the last window that a pane is in.
    fn last(self, pane: i64) -> i64 {
        pane.saturating_sub(pane.rem_euclid(self.slide))
    }

    /// The end of the last window that a pane is in.
    pub fn last_end(self, pane: i64) -> i64 {
        self.end(self.last(pane))
    }

    /// The starts of the windows that a pane is in, ascending.
    pub fn windows(self, pane: i64) -> impl Iterator<Item = i64> {
        let last = self.last(pane);
        let before = (self.width - 1 - (pane - last)) / self.slide;
        (0..=before).rev().filter_map(move |back| last.checked_sub(back * self.slide))
    }

    /// The starts of the panes of a window, ascending.
    pub fn panes(self, window: i64) -> impl Iterator<Item = i64> {
        (0..self.width / self.pane).filter_map(move |i| window.checked_add(i * self.pane))
    }

    /// Whether every window that a pane is in has ended at the watermark: rows for it are late, and it can be forgotten.
    pub fn is_over(self, pane: i64, watermark: i64) -> bool {
        self.last_end(pane) <= watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_read_back() {
        for (text, shown) in [
            ("tumbling 10s on ts", "tumbling 10s on ts"),
            (
                "Sliding 90s every 500 ms on cast(x as timestamp)",
                "sliding 1m 30s every 500ms on cast(x as timestamp(us))",
            ),
        ] {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.to_string(), shown);
            assert_eq!(shown.parse::<Window>().unwrap(), window);
        }
        for text in [
            "tumbling 10s",
            "10s on ts",
            "tumbling on ts",
            "tumbling 0s on ts",
            "sliding 10s on ts",
            "sliding 2s every 10s on ts",
            "session on ts",
            "session 0s on ts",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    #[test]
    fn windows_beside_one_another_are_cut_into_panes_of_all() {
        let windows = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<Window>>();
        let second = 1_000_000_000;
        let cut = |texts: &[&str]| cut(&windows(texts), second).map_err(|e| e.to_string());
        let spans = |width, slide, pane| Spans { width, slide, pane };
        assert_eq!(cut(&["hopping 10s every 4s on ts"]), Ok(Cut::Spans(vec![spans(10, 4, 2)])));
        let two = cut(&["tumbling 1m on ts", "sliding 9s every 3s on ts"]);
        assert_eq!(two, Ok(Cut::Spans(vec![spans(9, 3, 3), spans(60, 60, 3)])));
        assert_eq!(cut(&["session 25s on ts"]), Ok(Cut::Sessions(Sessions { gap: 25, pane: 2 })));
        assert_eq!(cut(&["session 3s on ts"]), Ok(Cut::Sessions(Sessions { gap: 3, pane: 1 })));
        assert!(cut(&["session 3s on ts", "tumbling 1m on ts"]).unwrap_err().contains("beside another"));
        assert!(
            cut(&["sliding 1m every 2s on ts", "tumbling 60s on ts"]).unwrap_err().contains("two windows are of 1m")
        );
        assert!(cut(&["tumbling 1500ms on ts"]).unwrap_err().contains("no whole number of the ticks of 1s"));
    }

    #[test]
    fn panes_and_windows_hold_one_another() {
        for (width, slide) in [(10, 10), (10, 2), (10, 3), (10, 4), (7, 7), (6, 4), (5, 1)] {
            let spans = Spans { width, slide, pane: num_integer::gcd(width, slide) };
            for pane in (-60..60).filter(|p| p % spans.pane == 0) {
                let expected: Vec<i64> =
                    (-100..100).filter(|s: &i64| s.rem_euclid(slide) == 0 && *s <= pane && pane < s + width).collect();
                assert_eq!(spans.windows(pane).collect::<Vec<_>>(), expected, "{width} {slide} {pane}");
                for window in expected {
                    assert!(spans.panes(window).any(|p| p == pane));
                }
                let last = spans.windows(pane).last().unwrap();
                assert!(spans.is_over(pane, last + width) && !spans.is_over(pane, last + width - 1));
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_no_panic() {
        let spans = Spans { width: 10, slide: 3, pane: 1 };
        for pane in [i64::MIN, i64::MIN + 5, i64::MAX - 5, i64::MAX] {
            assert!(spans.windows(pane).count() <= 4);
            assert!(spans.panes(pane).count() <= 10);
            _ = spans.is_over(pane, i64::MAX);
        }
    }
}
