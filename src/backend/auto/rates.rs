//! Rates measured on this machine, and the file they are kept in.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::agg::StateKind;
use crate::column::Class;
use crate::{Error, Result};

/// The version of the file's fields; a file of another version is as good as none.
const VERSION: u64 = 2;

/// What states cost alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Rows and values that are not null.
    Count,
    /// Exact sums of integers.
    IntSum,
    /// Exact sums of floats.
    FloatSum,
    /// Exact sums of products.
    Product,
    /// min and max.
    Extreme,
    /// Values kept: quantiles, distinct counts, the largest.
    Bag,
}

impl Cost {
    /// All of them, in the order in which rates list them.
    pub const ALL: [Cost; 6] = [Cost::Count, Cost::IntSum, Cost::FloatSum, Cost::Product, Cost::Extreme, Cost::Bag];

    /// That of a state.
    pub fn of(kind: StateKind) -> Cost {
        match kind {
            StateKind::Rows | StateKind::Count => Cost::Count,
            StateKind::Sum(Class::Float) => Cost::FloatSum,
            StateKind::Sum(_) => Cost::IntSum,
            StateKind::Product(_) => Cost::Product,
            StateKind::Min(_) | StateKind::Max(_) => Cost::Extreme,
            StateKind::Bag(..) => Cost::Bag,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Cost::Count => "count",
            Cost::IntSum => "int_sum",
            Cost::FloatSum => "float_sum",
            Cost::Product => "product",
            Cost::Extreme => "extreme",
            Cost::Bag => "bag",
        }
    }
}

/// Seconds a row: of finding its group, and of each kind of state, in the order of [`Cost::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Row {
    /// Finding the group.
    pub group: f64,
    /// A state.
    pub states: [f64; 6],
}

/// The CPU's rates.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuRates {
    /// The threads they were measured with; all of them together take the time below for a row.
    pub threads: usize,
    /// By the number of groups, ascending.
    pub rows: Vec<(u64, Row)>,
    /// An operation on a row.
    pub operation: f64,
}

/// An adapter's rates.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterRates {
    /// Its name.
    pub name: String,
    /// Its driver; after an update the rates are not its any more.
    pub driver: String,
    /// A driver that runs on the CPU. `auto` does not use such rates from the file.
    pub software: bool,
    /// Seconds to open the device and to compile the kernels of a stage.
    pub start: f64,
    /// Bytes a second from the host.
    pub upload: f64,
    /// Bytes a second to the host.
    pub readback: f64,
    /// Seconds a chunk takes however few rows it has.
    pub chunk: f64,
    /// A row, where keys have few bits.
    pub direct: Row,
    /// A row, where keys are sorted; `group` is for each digit of 8 bits.
    pub sorted: Row,
    /// Seconds a group of a chunk takes to come back and to be merged.
    pub group: f64,
    /// An operation on a row.
    pub operation: f64,
}

/// Where things are kept between runs: `$TIDEMILL_CACHE`, or `tidemill` in the user's cache folder.
pub(super) fn cache_folder() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    var("TIDEMILL_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|p| p.join("tidemill")))
        .or_else(|| var("HOME").map(|p| p.join(".cache/tidemill")))
}

/// Rates measured on this machine, kept in a file for `auto`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// The CPU's.
    pub cpu: CpuRates,
    /// Each adapter's.
    pub adapters: Vec<AdapterRates>,
}

impl Rates {
    /// Where they are kept: `rates.json` in the cache folder.
    pub fn path() -> Option<PathBuf> {
        Some(cache_folder()?.join("rates.json"))
    }

    /// The rates kept, if there are any that make sense.
    pub fn load() -> Option<Rates> {
        Rates::from_json(&serde_json::from_slice(&std::fs::read(Rates::path()?).ok()?).ok()?)
    }

    /// Keeps them.
    ///
    /// # Errors
    /// The folder cannot be made or the file not written.
    pub fn save(&self) -> Result<PathBuf> {
        let path = Rates::path().ok_or_else(|| Error::usage("no cache folder: set TIDEMILL_CACHE"))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("cannot make", folder, e))?;
        }
        std::fs::write(&path, format!("{:#}\n", self.to_json())).map_err(|e| Error::io("cannot write", &path, e))?;
        Ok(path)
    }

    /// As the file has them: seconds, and bytes a second.
    pub fn to_json(&self) -> Value {
        let row = |row: &Row| {
            let states = Cost::ALL.iter().zip(row.states).map(|(cost, s)| (cost.name().to_owned(), json!(s)));
            json!({ "group": row.group, "states": states.collect::<serde_json::Map<_, _>>() })
        };
        let adapter = |a: &AdapterRates| {
            json!({
                "name": a.name,
                "driver": a.driver,
                "software": a.software,
                "start": a.start,
                "upload_bytes_per_second": a.upload,
                "readback_bytes_per_second": a.readback,
                "chunk": a.chunk,
                "direct": row(&a.direct),
                "sorted": row(&a.sorted),
                "group": a.group,
                "operation": a.operation,
            })
        };
        let by_groups = |(groups, of): &(u64, Row)| json!({ "groups": groups, "row": row(of) });
        json!({
            "version": VERSION,
            "cpu": {
                "threads": self.cpu.threads,
                "rows": self.cpu.rows.iter().map(by_groups).collect::<Vec<_>>(),
                "operation": self.cpu.operation,
            },
            "adapters": self.adapters.iter().map(adapter).collect::<Vec<_>>(),
        })
    }

    /// Reads what [`Rates::to_json`] gave; `None` for anything else, and for numbers that cannot be.
    pub fn from_json(value: &Value) -> Option<Rates> {
        let number = |value: &Value| value.as_f64().filter(|n| n.is_finite() && *n >= 0.0);
        let row = |value: &Value| {
            let mut states = [0.0; 6];
            for (state, cost) in states.iter_mut().zip(Cost::ALL) {
                *state = number(&value["states"][cost.name()])?;
            }
            Some(Row { group: number(&value["group"])?, states })
        };
        let adapter = |value: &Value| {
            Some(AdapterRates {
                name: value["name"].as_str()?.to_owned(),
                driver: value["driver"].as_str()?.to_owned(),
                software: value["software"].as_bool()?,
                start: number(&value["start"])?,
                upload: number(&value["upload_bytes_per_second"]).filter(|n| *n > 0.0)?,
                readback: number(&value["readback_bytes_per_second"]).filter(|n| *n > 0.0)?,
                chunk: number(&value["chunk"])?,
                direct: row(&value["direct"])?,
                sorted: row(&value["sorted"])?,
                group: number(&value["group"])?,
                operation: number(&value["operation"])?,
            })
        };
        let by_groups = |value: &Value| Some((value["groups"].as_u64()?, row(&value["row"])?));
        if value["version"].as_u64() != Some(VERSION) {
            return None;
        }
        let rows = value["cpu"]["rows"].as_array()?.iter().map(by_groups).collect::<Option<Vec<_>>>()?;
        if rows.is_empty() || !rows.is_sorted_by(|a, b| a.0 < b.0) {
            return None;
        }
        let threads = value["cpu"]["threads"].as_u64().filter(|threads| *threads > 0)?;
        Some(Rates {
            cpu: CpuRates {
                threads: usize::try_from(threads).ok()?,
                rows,
                operation: number(&value["cpu"]["operation"])?,
            },
            adapters: value["adapters"].as_array()?.iter().map(adapter).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A CPU of two threads, and a card that is `times` as fast in everything but its start and its bus.
    pub fn rates(times: f64) -> Rates {
        let row = |group: f64| Row { group, states: [0.5e-9, 1e-9, 2e-9, 4e-9, 1e-9, 2e-8] };
        let scaled = |row: Row| Row { group: row.group / times, states: row.states.map(|s| s / times) };
        Rates {
            cpu: CpuRates {
                threads: 2,
                rows: vec![(64, row(2e-9)), (1 << 14, row(4e-9)), (1 << 20, row(4e-8))],
                operation: 0.5e-9,
            },
            adapters: vec![AdapterRates {
                name: "card".into(),
                driver: "1.0".into(),
                software: false,
                start: 0.25,
                upload: 12e9,
                readback: 12e9,
                chunk: 1e-3,
                direct: scaled(row(2e-9)),
                sorted: scaled(row(2e-9)),
                group: 1e-8,
                operation: 0.5e-9 / times,
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_and_nonsense_is_none() {
        let rates = rates(10.0);
        let json = rates.to_json();
        assert_eq!(Rates::from_json(&json), Some(rates));
        let with = |pointer: &str, value: Value| {
            let mut wrong = json.clone();
            *wrong.pointer_mut(pointer).unwrap() = value;
            Rates::from_json(&wrong)
        };
        assert_eq!(with("/version", json!(1)), None);
        assert_eq!(with("/cpu/operation", json!(-1.0)), None);
        assert_eq!(with("/cpu/threads", json!(0)), None);
        assert_eq!(with("/cpu/rows", json!([])), None);
        assert_eq!(with("/cpu/rows/0/groups", json!(1 << 30)), None);
        assert_eq!(with("/adapters/0/upload_bytes_per_second", json!(0.0)), None);
        assert_eq!(with("/adapters/0/direct/states/bag", json!("much")), None);
        assert_eq!(Rates::from_json(&json!({ "adapter": "of version 1" })), None);
    }
}
