//! Which device a stage runs on.
//!
//! `auto` compares rates that were measured on this machine (`tidemill devices --measure`) and never guesses: without
//! them, and without an adapter that is hardware, it is the CPU, and no graphics driver is even loaded.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::cpu::Cpu;
use super::gpu::{self, Adapter, GpuBackend, GpuOptions, Kind};
use super::{Backend, Device};
use crate::column::Class;
use crate::plan::Stage;
use crate::{Error, Result};

/// The backend for a stage, and why that one.
///
/// # Errors
/// A GPU was asked for that is not there. There is no quiet fallback.
pub fn choose(
    device: &Device,
    threads: usize,
    options: &GpuOptions,
    stage: &Stage,
) -> Result<(Box<dyn Backend>, String)> {
    let mut options = options.clone();
    options.device.pipeline_cache = options.device.pipeline_cache.or_else(cache_folder);
    let cpu = |reason: &str| Ok((Box::new(Cpu::new(threads)) as Box<dyn Backend>, reason.to_owned()));
    match device {
        Device::Cpu => cpu("asked for"),
        Device::Gpu(number) => {
            let adapter = adapter(*number)?;
            let reason = match adapter.info.kind {
                Kind::Software => "asked for; a software adapter: it runs on the CPU and proves correctness, not speed",
                _ => "asked for",
            };
            let backend = GpuBackend::open(&adapter, options)?;
            Ok((Box::new(backend), reason.into()))
        }
        Device::Auto => {
            let Some(rates) = Rates::load() else {
                return cpu("no rates of a GPU are known here; 'tidemill devices --measure' takes them");
            };
            let (on_cpu, on_gpu) = (rates.cpu_seconds(stage), rates.gpu_seconds(stage));
            if on_gpu >= on_cpu {
                return cpu(&format!(
                    "by the measured rates {} would need {:.1} times as long for a row",
                    rates.adapter,
                    on_gpu / on_cpu
                ));
            }
            let same = |a: &Adapter| a.info.name == rates.adapter && a.info.kind != Kind::Software;
            match gpu::adapters_from_env().into_iter().find(same) {
                Some(adapter) => {
                    let reason =
                        format!("by the measured rates it needs {:.2} of the CPU's time for a row", on_gpu / on_cpu);
                    Ok((Box::new(GpuBackend::open(&adapter, options)?), reason))
                }
                None => cpu(&format!("{}, whose rates were measured, is not there", rates.adapter)),
            }
        }
    }
}

/// The adapter of a number; without one the first, hardware before software.
fn adapter(number: Option<usize>) -> Result<Adapter> {
    let found = match number {
        Some(_) => gpu::adapters(None),
        None => gpu::adapters_from_env(),
    };
    let count = found.len();
    let rank = |a: &Adapter| match a.info.kind {
        Kind::Discrete => 0,
        Kind::Integrated => 1,
        Kind::Virtual => 2,
        Kind::Unknown => 3,
        Kind::Software => 4,
    };
    match number {
        None => found.into_iter().min_by_key(rank).ok_or_else(gpu::no_adapter),
        Some(number) => found.into_iter().find(|a| a.info.index == number).ok_or_else(|| match count {
            0 => gpu::no_adapter(),
            _ => Error::Device {
                message: format!("there is no gpu:{number}"),
                help: Some(format!("'tidemill devices' lists gpu:0 to gpu:{}", count - 1)),
            },
        }),
    }
}

/// Rates measured on this machine, kept in a file for `auto`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// The adapter they belong to.
    pub adapter: String,
    /// Bytes a second from host to device.
    pub upload: f64,
    /// Rows a second the adapter takes into an exact sum.
    pub gpu_rows: f64,
    /// Rows a second all cores take into the same sum.
    pub cpu_rows: f64,
}

impl Rates {
    /// Seconds a row needs on the device: its columns travel, then each state reads it once, and finding its group is
    /// about as much work again.
    fn gpu_seconds(&self, stage: &Stage) -> f64 {
        let bytes: usize = stage.program.columns.iter().map(|c| c.ty.class().map_or(0, width)).sum();
        bytes as f64 / self.upload + (stage.states.len() + 1) as f64 / self.gpu_rows
    }

    fn cpu_seconds(&self, stage: &Stage) -> f64 {
        (stage.states.len() + 1) as f64 / self.cpu_rows
    }

    /// Where they are kept: in [`cache_folder`].
    pub fn path() -> Option<PathBuf> {
        Some(cache_folder()?.join("rates.json"))
    }

    /// The rates kept, if there are any that make sense.
    pub fn load() -> Option<Rates> {
        let value: Value = serde_json::from_slice(&std::fs::read(Rates::path()?).ok()?).ok()?;
        let rate = |name: &str| value[name].as_f64().filter(|r| r.is_finite() && *r > 0.0);
        Some(Rates {
            adapter: value["adapter"].as_str()?.to_owned(),
            upload: rate("upload_bytes_per_second")?,
            gpu_rows: rate("gpu_rows_per_second")?,
            cpu_rows: rate("cpu_rows_per_second")?,
        })
    }

    /// Keeps them.
    ///
    /// # Errors
    /// The folder cannot be made or the file not written.
    pub fn save(&self) -> Result<PathBuf> {
        let path = Rates::path().ok_or_else(|| Error::usage("no cache folder: set TIDEMILL_CACHE"))?;
        let text = json!({
            "adapter": self.adapter,
            "upload_bytes_per_second": self.upload,
            "gpu_rows_per_second": self.gpu_rows,
            "cpu_rows_per_second": self.cpu_rows,
        });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("cannot make", folder, e))?;
        }
        std::fs::write(&path, format!("{text:#}\n")).map_err(|e| Error::io("cannot write", &path, e))?;
        Ok(path)
    }
}

/// Where things are kept between runs: `$TIDEMILL_CACHE`, or `tidemill` in the user's cache folder.
pub fn cache_folder() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    var("TIDEMILL_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|p| p.join("tidemill")))
        .or_else(|| var("HOME").map(|p| p.join(".cache/tidemill")))
}

fn width(class: Class) -> usize {
    match class {
        Class::Bool => 1,
        Class::Int | Class::Float => 8,
        Class::Wide => 16,
        Class::Str => 4,
    }
}
