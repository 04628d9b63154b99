//! The switches of a query: what it gives, when it runs, what it promises.

use std::fmt;
use std::str::FromStr;

use crate::expr::Interval;
use crate::{Error, Result};

/// What a batch gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputMode {
    /// Windows that the watermark has closed, each once.
    #[default]
    Append,
    /// Groups that the batch has changed, as they are now.
    Update,
    /// All groups.
    Complete,
}

/// When batches run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trigger {
    /// As soon as there is something to read.
    #[default]
    AsSoonAsPossible,
    /// At most so often.
    Interval(Interval),
    /// All that is there, in as many batches as its limits ask for; then the query ends.
    AvailableNow,
    /// One batch of all that is there; then the query ends.
    Once,
}

/// What is promised if a process, a machine or a disk fails midway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// Nothing: no checkpoint is kept.
    None,
    /// No row counts twice; those of a batch that failed may be missing. The commit comes before the output.
    AtMostOnce,
    /// No row is missing; the output of a batch may come twice. The commit comes after the output.
    AtLeastOnce,
    /// Each row counts once, and the output is there once.
    ExactlyOnce,
}

macro_rules! words {
    ($type:ty, $what:literal, $($word:literal => $value:expr),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(if *self == $value { return f.write_str($word); })+
                Ok(())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match text.trim().to_ascii_lowercase().as_str() {
                    $($word => Ok($value),)+
                    _ => Err(Error::Usage {
                        message: format!(concat!("'{}' is no ", $what), text),
                        help: Some([$($word),+].join(", ")),
                    }),
                }
            }
        }
    };
}

words!(OutputMode, "output mode", "append" => OutputMode::Append, "update" => OutputMode::Update,
    "complete" => OutputMode::Complete);
words!(Guarantee, "guarantee", "none" => Guarantee::None, "at-most-once" => Guarantee::AtMostOnce,
    "at-least-once" => Guarantee::AtLeastOnce, "exactly-once" => Guarantee::ExactlyOnce);

impl FromStr for Trigger {
    type Err = Error;

    fn from_str(text: &str) -> Result<Trigger> {
        match text.trim().to_ascii_lowercase().as_str() {
            "asap" => Ok(Trigger::AsSoonAsPossible),
            "available-now" => Ok(Trigger::AvailableNow),
            "once" => Ok(Trigger::Once),
            other => other.parse().map(Trigger::Interval).map_err(|_| Error::Usage {
                message: format!("'{text}' is no trigger"),
                help: Some("asap, available-now, once, or an interval such as 1s".into()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for mode in [OutputMode::Append, OutputMode::Update, OutputMode::Complete] {
            assert_eq!(mode.to_string().parse::<OutputMode>().unwrap(), mode);
        }
        for guarantee in [Guarantee::None, Guarantee::AtMostOnce, Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
            assert_eq!(guarantee.to_string().parse::<Guarantee>().unwrap(), guarantee);
        }
        assert_eq!("1s".parse::<Trigger>().unwrap(), Trigger::Interval("1s".parse().unwrap()));
        assert_eq!("available-now".parse::<Trigger>().unwrap(), Trigger::AvailableNow);
        let error = "twice".parse::<Guarantee>().unwrap_err().to_string();
        assert!(error.contains("at-most-once, at-least-once"), "{error}");
        assert!("now".parse::<Trigger>().is_err());
    }
}
