//! Windows over event time: how they are written, and which spans of time they are.

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
}

/// A window over an event time.
///
/// ```
/// use tidemill::stream::Window;
///
/// let window: Window = "sliding 10s every 2s on ts".parse()?;
/// assert_eq!(window.to_string(), "sliding 10s every 2s on ts");
/// # Ok::<(), tidemill::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The spans. They are aligned to 1970-01-01T00:00:00.
    pub kind: WindowKind,
    /// The event time: a column, or an expression, of type timestamp or date.
    pub on: Expr,
}

impl Window {
    /// Spans of one length, one after the other.
    pub fn tumbling(width: Interval, on: Expr) -> Window {
        Window { kind: WindowKind::Tumbling { width }, on }
    }

    /// Spans of one length that begin every `slide`.
    pub fn sliding(width: Interval, slide: Interval, on: Expr) -> Window {
        Window { kind: WindowKind::Sliding { width, slide }, on }
    }

    /// The largest span that every window is made of whole ones of.
    pub(crate) fn pane(&self) -> Interval {
        match self.kind {
            WindowKind::Tumbling { width } => width,
            WindowKind::Sliding { width, slide } => {
                let nanos = num_integer::gcd(width.nanos(), slide.nanos());
                Interval::from_nanos(nanos).unwrap_or(width)
            }
        }
    }

    /// The spans in ticks of which `per_second` make a second.
    pub(crate) fn spans(&self, per_second: i64) -> Result<Spans> {
        let (width, slide) = match self.kind {
            WindowKind::Tumbling { width } => (width, width),
            WindowKind::Sliding { width, slide } => (width, slide),
        };
        let ticks = |interval: Interval| {
            interval.ticks(per_second).ok_or_else(|| {
                Error::usage(format!("a window of {interval} is no whole number of the ticks of `{}`", self.on))
            })
        };
        Ok(Spans { width: ticks(width)?, slide: ticks(slide)?, pane: ticks(self.pane())? })
    }
}

impl FromStr for Window {
    type Err = Error;

    fn from_str(text: &str) -> Result<Window> {
        let wrong = |message: String| Error::Usage {
            message,
            help: Some("write 'tumbling 10s on ts' or 'sliding 10s every 2s on ts'".into()),
        };
        let (spans, on) = text
            .split_once(" on ")
            .ok_or_else(|| wrong(format!("the window '{text}' does not say on which event time it is")))?;
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
            _ => return Err(wrong(format!("'{kind}' is no kind of window"))),
        };
        Ok(Window { kind, on: expr::parse(on)? })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            WindowKind::Tumbling { width } => write!(f, "tumbling {width} on {}", self.on),
            WindowKind::Sliding { width, slide } => write!(f, "sliding {width} every {slide} on {}", self.on),
        }
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
        self.end(self.last(pane)) <= watermark
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
        assert_eq!("hopping 10s every 4s on ts".parse::<Window>().unwrap().pane(), "2s".parse().unwrap());
        for text in [
            "tumbling 10s",
            "10s on ts",
            "tumbling on ts",
            "tumbling 0s on ts",
            "sliding 10s on ts",
            "sliding 2s every 10s on ts",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
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
