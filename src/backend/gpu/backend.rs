//! The backend: an adapter, opened when it is first needed, and its measured rates.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::adapter::{Adapter, check_floor};
use super::device::{Faults, Gpu, Options};
use super::engine::{Engine, Outcome, Totals};
use super::explain::Explanation;
use super::layout::{Layout, Nulls};
use super::record::Recording;
use super::stages::{gather, reduce};
use super::strategy::GpuOptions;
use super::worker::{GpuWorker, Shared, lock};
use crate::backend::{Backend, Feed, Worker};
use crate::kernel::value::{Kind, Op, Reduction, ValuePlanes};
use crate::plan::Stage;
use crate::{Error, Result};

/// One adapter that runs stages.
///
/// The device is opened with the first worker and shared by all; after it was lost, the next worker opens it anew.
#[derive(Debug)]
pub struct GpuBackend {
    adapter: Adapter,
    options: GpuOptions,
    engine: Mutex<Option<Shared>>,
}

/// Rates measured on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Bytes per second from the host to the device.
    pub upload: f64,
    /// Bytes per second from the device to the host.
    pub readback: f64,
    /// Seconds from one kernel of a submission to the next.
    pub launch: f64,
    /// Seconds of a submission that does almost nothing, with its wait.
    pub submission: f64,
    /// Rows per second of an exact sum of int64 in groups of 100 rows.
    pub reduce: f64,
    /// Bytes per second that a streaming kernel reads and writes in device memory.
    pub memory: f64,
}

impl GpuBackend {
    /// A backend for `adapter`. Opens nothing yet.
    ///
    /// # Errors
    /// [`Error::Device`] if the adapter is below the portable floor.
    pub fn open(adapter: &Adapter, options: GpuOptions) -> Result<GpuBackend> {
        check_floor(&adapter.info)?;
        Ok(GpuBackend { adapter: adapter.clone(), options, engine: Mutex::new(None) })
    }

    /// The adapter.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// What the device has done so far; `None` while none is open.
    pub fn totals(&self) -> Option<Totals> {
        let slot = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().map(|engine| lock(engine).totals())
    }

    /// The device, opened if it is not, or not any more.
    fn engine(&self) -> Result<Shared> {
        let mut slot = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let mut options = self.options.device.clone();
        if let Some(engine) = &*slot {
            if lock(engine).gpu().check_alive().is_ok() {
                return Ok(Arc::clone(engine));
            }
            // The faults were those of the device that is gone.
            options.faults = Faults::default();
        }
        let engine = Arc::new(Mutex::new(Engine::new(Gpu::open(&self.adapter, options)?)?));
        *slot = Some(Arc::clone(&engine));
        Ok(engine)
    }

    /// What the device will do with a stage.
    ///
    /// # Errors
    /// A stage no map kernel can be made for, or a device that cannot be opened.
    pub fn explanation(&self, stage: &Stage) -> Result<Explanation> {
        let engine = self.engine()?;
        let engine = lock(&engine);
        let layout = Layout::new(stage, &engine.shape(), &Nulls::all(&stage.program))?;
        let rows = layout.most_rows(engine.gpu(), self.options.memory.unwrap_or(GpuOptions::MEMORY));
        let rows = self.options.rows.map_or(rows, |asked| asked.min(rows));
        Ok(Explanation::new(stage, &layout, self.options.strategy, rows))
    }

    /// Measures the device: some tenths of a second. The best of three runs of each.
    ///
    /// # Errors
    /// Whatever the device meets.
    pub fn measure(&self) -> Result<Measured> {
        // A device of its own: faults and timestamps asked for elsewhere have no part in this.
        let options = Options { faults: Faults::default(), timestamps: false, ..self.options.device.clone() };
        let mut engine = Engine::new(Gpu::open(&self.adapter, options)?)?;
        let shape = engine.shape();
        const BYTES: usize = 32 << 20;
        const ROWS: u32 = 1 << 20;
        const LAUNCHES: u32 = 64;
        let data: Vec<u8> = (0..BYTES).map(|i| (i * 31) as u8).collect();
        let mut best = [f64::MAX; 6];
        for _ in 0..3 {
            let mut timed = |at: usize, engine: &mut Engine, rec: Recording| -> Result<Outcome> {
                let begun = Instant::now();
                let outcome = engine.run(rec)?;
                best[at] = best[at].min(begun.elapsed().as_secs_f64());
                Ok(outcome)
            };
            let mut rec = Recording::new();
            let buf = rec.upload("measured", &data[..]);
            rec.keep(buf);
            let kept = timed(0, &mut engine, rec)?.kept;
            let kept = kept.first().ok_or_else(|| Error::internal("nothing was kept"))?;
            let mut rec = Recording::new();
            let buf = rec.import(kept);
            rec.download(buf);
            timed(1, &mut engine, rec)?;
            for (at, launches) in [(2, LAUNCHES), (3, 1)] {
                let mut rec = Recording::new();
                let planes = rec.import(kept).all();
                for _ in 0..launches {
                    gather(&mut rec, &shape, planes, 0, planes, 1);
                }
                timed(at, &mut engine, rec)?;
            }
            let ids: Vec<u32> = (0..ROWS).map(|row| row / 100).collect();
            let mut rec = Recording::new();
            let ids = rec.upload("segments", bytemuck::cast_slice(&ids).to_vec());
            rec.keep(ids);
            let kept_ids = engine.run(rec)?.kept;
            let mut rec = Recording::new();
            let planes = rec.import(kept).all();
            let ids = kept_ids.first().map(|ids| rec.import(ids)).ok_or_else(|| Error::internal("nothing was kept"))?;
            let sum = Reduction::of(Op::Sum, Kind::I64);
            let values = ValuePlanes::one(0, None, ROWS);
            reduce(&mut rec, &shape, &sum, planes, values, 0, None, ids.into(), ROWS, ROWS / 100 + 1);
            timed(4, &mut engine, rec)?;
            let words = (BYTES / 4) as u32;
            let mut rec = Recording::new();
            let in_order = rec.upload("in order", bytemuck::cast_slice(&(0..words).collect::<Vec<u32>>()).to_vec());
            rec.keep(in_order);
            let in_order = engine.run(rec)?.kept;
            let mut rec = Recording::new();
            let planes = rec.import(kept).all();
            let index =
                in_order.first().map(|index| rec.import(index)).ok_or_else(|| Error::internal("nothing was kept"))?;
            gather(&mut rec, &shape, planes, 0, index.into(), words);
            timed(5, &mut engine, rec)?;
        }
        let [upload, readback, launches, submission, reduced, streamed] = best;
        Ok(Measured {
            upload: BYTES as f64 / upload,
            readback: BYTES as f64 / readback,
            launch: (launches - submission).max(0.0) / f64::from(LAUNCHES - 1),
            submission,
            reduce: f64::from(ROWS) / reduced,
            // A word of the index and a word of data read, one written.
            memory: 3.0 * BYTES as f64 / (streamed - submission).max(streamed / 10.0),
        })
    }
}

impl Backend for GpuBackend {
    fn name(&self) -> String {
        self.adapter.info.name.clone()
    }

    fn feed(&self) -> Feed {
        Feed::Queue
    }

    fn worker(&self, stage: &Arc<Stage>) -> Result<Box<dyn Worker>> {
        Ok(Box::new(GpuWorker::new(self.engine()?, stage, self.options.clone())))
    }

    fn explain(&self, stage: &Arc<Stage>, kernels: bool) -> Result<Vec<String>> {
        Ok(self.explanation(stage)?.lines(kernels))
    }
}
