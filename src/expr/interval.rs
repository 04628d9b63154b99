//! Spans of time as people write them: `10s`, `10 seconds`, `500ms`, `1 hour 30 minutes`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A span of time of fixed length, in nanoseconds. Never negative. Months and years have no fixed length and are no intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Interval(i64);

/// Names of units, and their nanoseconds. The first name of a length is the one that is printed.
const UNITS: &[(&str, i64)] = &[
    ("d", 86_400_000_000_000),
    ("day", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("hr", 3_600_000_000_000),
    ("hour", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("minute", 60_000_000_000),
    ("s", 1_000_000_000),
    ("sec", 1_000_000_000),
    ("second", 1_000_000_000),
    ("ms", 1_000_000),
    ("millisecond", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("microsecond", 1_000),
    ("ns", 1),
    ("nanosecond", 1),
    ("w", 604_800_000_000_000),
    ("week", 604_800_000_000_000),
];

impl Interval {
    /// Of so many nanoseconds; `None` if negative.
    pub fn from_nanos(nanos: i64) -> Option<Interval> {
        (nanos >= 0).then_some(Interval(nanos))
    }

    /// Its length in nanoseconds.
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// Its length in ticks of which `per_second` make a second; `None` if that is no whole number.
    pub fn ticks(self, per_second: i64) -> Option<i64> {
        let tick = 1_000_000_000 / per_second;
        (self.0 % tick == 0).then_some(self.0 / tick)
    }

    /// As the standard library has it.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.unsigned_abs())
    }
}

impl FromStr for Interval {
    type Err = Error;

    fn from_str(text: &str) -> Result<Interval> {
        parse(text).map(Interval).ok_or_else(|| Error::Usage {
            message: format!("'{text}' is not a span of time"),
            help: Some("spans are like 10s, '10 seconds', 500ms, 5m or '1 hour 30 minutes'".into()),
        })
    }
}

/// Numbers and units by turns.
fn parse(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    let (mut sum, mut parts) = (0i64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: i64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let unit = rest[..letters].to_lowercase();
        let named = |name: &str| UNITS.iter().find(|(known, _)| *known == name).map(|(_, nanos)| *nanos);
        let nanos = named(&unit).or_else(|| unit.strip_suffix('s').filter(|name| name.len() > 1).and_then(named))?;
        sum = sum.checked_add(number.checked_mul(nanos)?)?;
        rest = rest[letters..].trim_start();
        parts += 1;
    }
    (parts > 0).then_some(sum)
}

impl fmt::Display for Interval {
    /// The largest units that leave nothing over: `1h 30m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let (mut rest, mut sep) = (self.0, "");
        for (name, nanos) in
            UNITS.iter().filter(|(name, _)| matches!(*name, "d" | "h" | "m" | "s" | "ms" | "us" | "ns"))
        {
            if rest >= *nanos {
                write!(f, "{sep}{}{name}", rest / nanos)?;
                rest %= nanos;
                sep = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        for (text, nanos, shown) in [
            ("10s", 10_000_000_000, "10s"),
            ("10 seconds", 10_000_000_000, "10s"),
            (" 1 second ", 1_000_000_000, "1s"),
            ("500ms", 500_000_000, "500ms"),
            ("1 Hour 30 minutes", 5_400_000_000_000, "1h 30m"),
            ("1h30m", 5_400_000_000_000, "1h 30m"),
            ("2 weeks", 1_209_600_000_000_000, "14d"),
            ("90s", 90_000_000_000, "1m 30s"),
            ("5us", 5_000, "5us"),
            ("7ns", 7, "7ns"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
        ] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!((interval.nanos(), interval.to_string().as_str()), (nanos, shown), "{text}");
        }
        for text in ["", "s", "10", "-1s", "1.5s", "1 month", "10 s 5", "1y", "ss", "99999999999d", "10ss"] {
            assert!(matches!(text.parse::<Interval>(), Err(Error::Usage { help: Some(_), .. })), "{text}");
        }
    }

    #[test]
    fn ticks_are_whole_or_none() {
        let interval: Interval = "1500ms".parse().unwrap();
        assert_eq!(
            (interval.ticks(1), interval.ticks(1000), interval.ticks(1_000_000_000)),
            (None, Some(1500), Some(1_500_000_000))
        );
    }
}
