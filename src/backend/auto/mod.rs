//! Which device a stage runs on.
//!
//! `auto` compares rates that were measured on this machine (`tidemill devices --measure`) and never guesses: without
//! them, and without an adapter that is hardware, it is the CPU, and no graphics driver is even loaded. With them, a job
//! begins on the CPU and moves when the rows left would pay for it.
//!
//! Read in this order: `rates` (what was measured, and its file), `measure`, `model` (what a job costs by rates), `pilot` (where
//! the next chunks go).

mod measure;
mod model;
mod pilot;
mod rates;

pub use measure::{measure_adapter, measure_cpu};
pub use model::Work;
pub use pilot::{Course, Pilot, Progress};
pub use rates::{AdapterRates, Cost, CpuRates, Rates, Row};

use super::cpu::Cpu;
use super::gpu::{self, Adapter, GpuBackend, GpuOptions, Kind};
use super::{Backend, Device};
use crate::plan::Stage;
use crate::{Error, Result};

/// Where a stage runs.
pub struct Choice {
    /// Where it begins.
    pub backend: Box<dyn Backend>,
    /// Why there.
    pub reason: String,
    /// A device that may take over.
    pub rival: Option<Rival>,
}

/// A GPU that may take over from the CPU, not opened yet.
#[derive(Debug, Clone)]
pub struct Rival {
    rates: AdapterRates,
    cpu: CpuRates,
    work: Work,
    threads: usize,
    options: GpuOptions,
}

impl Rival {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.rates.name
    }

    /// One who decides when it takes over; the device is `open` already, or not.
    pub fn pilot(&self, open: bool) -> Pilot {
        Pilot::new(self.work.clone(), self.cpu.clone(), self.rates.clone(), self.threads, open)
    }

    /// The device.
    ///
    /// # Errors
    /// It is not there any more, or has another driver than the one that was measured.
    pub fn open(&self) -> Result<Box<dyn Backend>> {
        let same = |a: &Adapter| a.info.name == self.rates.name && a.info.driver == self.rates.driver;
        let adapter = gpu::adapters_from_env().into_iter().find(same).ok_or_else(|| Error::Device {
            message: format!(
                "{} with driver {}, whose rates were measured, is not there",
                self.rates.name, self.rates.driver
            ),
            help: Some("'tidemill devices --measure' takes new rates".into()),
        })?;
        Ok(Box::new(GpuBackend::open(&adapter, self.options.clone())?))
    }
}

/// The backend for a stage, and why that one. With `rates`, `auto` goes by them, software adapters included; without, by
/// those kept on this machine.
///
/// # Errors
/// A GPU was asked for that is not there. There is no quiet fallback.
pub fn choose(
    device: &Device,
    threads: usize,
    options: &GpuOptions,
    stage: &Stage,
    rates: Option<&Rates>,
) -> Result<Choice> {
    let mut options = options.clone();
    options.device.pipeline_cache = options.device.pipeline_cache.or_else(rates::cache_folder);
    let cpu = |reason: String, rival| Choice { backend: Box::new(Cpu::new(threads)), reason, rival };
    match device {
        Device::Cpu => Ok(cpu("asked for".into(), None)),
        Device::Gpu(number) => {
            let adapter = gpu::adapter(*number)?;
            let reason = match adapter.info.kind {
                Kind::Software => "asked for; a software adapter: it runs on the CPU and proves correctness, not speed",
                _ => "asked for",
            };
            let backend = GpuBackend::open(&adapter, options)?;
            Ok(Choice { backend: Box::new(backend), reason: reason.into(), rival: None })
        }
        Device::Auto => {
            let kept = if rates.is_none() { Rates::load() } else { None };
            let (reason, rival) = rival(rates.or(kept.as_ref()), rates.is_some(), threads, &options, stage);
            Ok(cpu(reason, rival))
        }
    }
}

/// The adapter that may take over a stage from the CPU, if any may, and why.
fn rival(
    rates: Option<&Rates>,
    software: bool,
    threads: usize,
    options: &GpuOptions,
    stage: &Stage,
) -> (String, Option<Rival>) {
    let Some(rates) = rates else {
        return ("no rates of a GPU are known here; 'tidemill devices --measure' takes them".into(), None);
    };
    let work = Work::of(stage);
    let cost = |of: &&AdapterRates| work.gpu_row(of, TYPICAL.0, TYPICAL.1);
    let usable = rates.adapters.iter().filter(|adapter| software || !adapter.software);
    let Some(best) = usable.min_by(|a, b| cost(a).total_cmp(&cost(b))) else {
        return ("no GPU that is hardware was measured here".into(), None);
    };
    let times = cost(&best) / work.cpu_row(&rates.cpu, threads, TYPICAL.0).max(1e-15);
    if !work.gpu_may_win(&rates.cpu, threads, best) {
        let reason = format!("by the measured rates {} would need {times:.1} times as long for a row", best.name);
        return (reason, None);
    }
    let reason = format!(
        "by the measured rates {} needs {times:.2} of the CPU's time for a row, and {:.2} s to start: it takes over when \
         the rows left pay for that",
        best.name, best.start
    );
    let rival = Rival { rates: best.clone(), cpu: rates.cpu.clone(), work, threads, options: options.clone() };
    (reason, Some(rival))
}

/// Groups, and rows of a chunk, for which adapters are compared before anything is known of the data.
const TYPICAL: (f64, f64) = (1e4, 1e6);

#[cfg(test)]
mod tests {
    use super::rates::tests::rates;
    use super::*;
    use crate::column::{Field, Schema, Type};
    use crate::plan::{Job, aggregate, lower};

    fn stage() -> std::sync::Arc<Stage> {
        let schema = Schema { fields: vec![Field::new("k", Type::Int64), Field::new("x", Type::Float64)] };
        let job = Job::new().by(["k"]).aggregate(aggregate::sum(crate::expr::col("x")));
        lower(&job, &schema).unwrap().stage
    }

    fn chosen(rates: Option<&Rates>, software: bool) -> (String, Option<Rival>) {
        rival(rates, software, 2, &GpuOptions::default(), &stage())
    }

    #[test]
    fn a_gpu_that_cannot_win_is_no_rival_and_the_reason_says_so() {
        let (reason, none) = chosen(None, false);
        assert!(reason.contains("tidemill devices --measure") && none.is_none(), "{reason}");
        let (reason, rival) = chosen(Some(&rates(10.0)), false);
        assert_eq!(rival.unwrap().name(), "card");
        assert!(reason.contains("card needs 0.") && reason.contains("0.25 s to start"), "{reason}");
        let (reason, none) = chosen(Some(&rates(0.1)), false);
        assert!(reason.contains("card would need") && none.is_none(), "{reason}");
    }

    #[test]
    fn software_is_no_rival_unless_its_rates_were_handed_in() {
        let mut rates = rates(10.0);
        rates.adapters[0].software = true;
        let (reason, none) = chosen(Some(&rates), false);
        assert!(reason.contains("hardware") && none.is_none(), "{reason}");
        assert!(chosen(Some(&rates), true).1.is_some());
    }

    #[test]
    fn the_best_of_several_adapters_is_the_rival() {
        let mut all = rates(10.0);
        let mut second = rates(30.0).adapters[0].clone();
        second.name = "faster card".into();
        all.adapters.push(second);
        assert_eq!(chosen(Some(&all), false).1.unwrap().name(), "faster card");
    }

    #[test]
    fn a_rival_that_is_gone_is_an_error() {
        let error = chosen(Some(&rates(10.0)), false).1.unwrap().open().err().unwrap().to_string();
        assert!(error.starts_with("card with driver 1.0, whose rates were measured, is not there"), "{error}");
    }
}
