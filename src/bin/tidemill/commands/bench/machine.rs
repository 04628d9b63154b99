//! The machine: its cores and their load, its GPUs, and the bandwidths that bound any result.

use std::hint::black_box;
use std::time::Instant;

use tidemill::backend::gpu::{AdapterInfo, GpuBackend, GpuOptions, Kind, adapter};
use tidemill::{Device, Error, Result};

use super::report::Processor;

/// Bytes the CPU's memory bandwidth is measured over: larger than most caches.
const STREAM: usize = 256 << 20;

/// The GPUs to measure: those asked for, else the one that `--device gpu` takes; none if there is none.
///
/// # Errors
/// One was asked for that is not there, or that is no GPU.
pub fn gpus(asked: &[String]) -> Result<Vec<AdapterInfo>> {
    let mut numbers: Vec<Option<usize>> = Vec::new();
    for text in asked {
        match text.parse::<Device>()? {
            Device::Gpu(number) if !numbers.contains(&number) => numbers.push(number),
            Device::Gpu(_) => {}
            _ => {
                return Err(Error::Usage {
                    message: format!("--device {text}: bench compares GPUs with the CPU, which is always measured"),
                    help: Some("gpu, or gpu:N with N from 'tidemill devices'".into()),
                });
            }
        }
    }
    if asked.is_empty() {
        // A machine without any is none to complain of: the CPU is measured alone.
        return Ok(adapter(None).map(|adapter| adapter.info).into_iter().collect());
    }
    let mut chosen: Vec<AdapterInfo> = Vec::new();
    for number in numbers {
        let info = adapter(number)?.info;
        if !chosen.iter().any(|known| known.index == info.index) {
            chosen.push(info);
        }
    }
    Ok(chosen)
}

/// What there is to say of an adapter, with its bandwidths measured.
///
/// # Errors
/// A device that cannot be opened or fails.
pub fn gpu(info: &AdapterInfo) -> Result<Processor> {
    let adapter = adapter(Some(info.index))?;
    let measured = GpuBackend::open(&adapter, GpuOptions::default())?.measure()?;
    Ok(Processor {
        device: format!("gpu:{}", info.index),
        name: info.name.clone(),
        about: format!("{}, {}, {}", info.kind, info.backend, info.driver),
        software: info.kind == Kind::Software,
        memory: measured.memory,
        upload: Some(measured.upload),
        readback: Some(measured.readback),
        launch: Some(measured.launch),
        submission: Some(measured.submission),
    })
}

/// The CPU, with the bandwidth at which `threads` threads read memory.
pub fn cpu(threads: usize) -> Processor {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Processor {
        device: "cpu".into(),
        name: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.into()),
        about: format!("{threads} of {cores} hardware threads used"),
        software: false,
        memory: read_bandwidth(threads),
        upload: None,
        readback: None,
        launch: None,
        submission: None,
    }
}

/// Bytes a second; the best of four passes, the first of which also fetches the pages.
fn read_bandwidth(threads: usize) -> f64 {
    let words = vec![1u64; STREAM / 8];
    let mut best = f64::MAX;
    for _ in 0..4 {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for part in words.chunks(words.len().div_ceil(threads.max(1))) {
                scope.spawn(move || black_box(part.iter().fold(0u64, |sum, word| sum.wrapping_add(*word))));
            }
        });
        best = best.min(started.elapsed().as_secs_f64());
    }
    STREAM as f64 / best
}

fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

/// What the kernel says about who used the cores; `None` where it does not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Ticks of all cores in which anything ran.
    busy: f64,
    /// Ticks of all cores.
    all: f64,
    /// Ticks this process ran.
    own: f64,
}

impl Load {
    /// Now.
    pub fn now() -> Option<Load> {
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        Load::parse(&system, &own)
    }

    fn parse(system: &str, own: &str) -> Option<Load> {
        let line = system.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<f64> = line.split_whitespace().filter_map(|t| t.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; what follows is counted in the first two already.
        let all: f64 = ticks.iter().take(8).sum();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        // The name of the process, in parentheses, may hold blanks.
        let after: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
        let tick = |at: usize| after.get(at).and_then(|t| t.parse::<f64>().ok());
        (ticks.len() >= 8).then_some(())?;
        Some(Load { busy: all - idle, all, own: tick(11)? + tick(12)? })
    }

    /// Share of all cores that others used since.
    pub fn others_since(&self, earlier: &Load) -> f64 {
        let all = (self.all - earlier.all).max(1.0);
        ((self.busy - earlier.busy - (self.own - earlier.own)) / all).clamp(0.0, 1.0)
    }
}

/// The policy by which the kernel sets the cores' frequency, if it has one.
pub fn governor() -> Option<String> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").ok()?;
    Some(text.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_others_is_what_is_left() {
        let own = |ticks: u32| format!("12 (a (b) c) R 1 1 1 0 -1 4194304 1 0 0 0 {ticks} 5 0 0 20 0 1 0 1 1");
        let before = Load::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1", &own(10)).unwrap();
        let after = Load::parse("cpu  200 0 50 850 50 0 0 50 0 0\ncpu0 1", &own(90)).unwrap();
        assert_eq!(after.others_since(&before), (150.0 - 80.0) / 200.0);
        assert_eq!(Load::parse("", ""), None);
    }

    #[test]
    fn only_gpus_are_named() {
        let error = gpus(&["cpu".into()]).unwrap_err().to_string();
        assert!(error.starts_with("--device cpu: bench compares GPUs with the CPU"), "{error}");
        assert!(gpus(&["tpu".into()]).is_err());
    }
}
