//! One opened adapter: its limits, its errors as values, and faults on demand for tests.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::adapter::{Adapter, AdapterInfo, Kind, check_floor};
use crate::kernel::Shape;
use crate::{Error, Result};

/// A failure a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device has no memory left for this submission.
    OutOfMemory,
    /// The device goes away and stays away.
    Lost,
    /// The submission breaks a rule of the API.
    Validation,
}

/// Which submissions fail, and how. Counted from 0 over the engine's life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<(u64, Fault)>);

impl Faults {
    /// The fault due at submission `n`.
    pub(super) fn at(&self, n: u64) -> Option<Fault> {
        self.0.iter().find(|(at, _)| *at == n).map(|(_, fault)| *fault)
    }
}

/// How to open a device.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The shape of the kernels; `None` lets the adapter's kind choose.
    pub shape: Option<Shape>,
    /// Run the kernels without subgroup operations even where the device has them.
    pub without_subgroups: bool,
    /// Measure each dispatch on the device, where it can.
    pub timestamps: bool,
    /// The folder that keeps the driver's compiled kernels from one process to the next; `None`: nothing is kept.
    pub pipeline_cache: Option<PathBuf>,
    /// Failures to inject, for tests.
    pub faults: Faults,
}

/// An opened device. It runs nothing itself: an [`Engine`](super::Engine) does.
#[derive(Debug)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// The adapter behind it.
    pub info: AdapterInfo,
    pub(super) shape: Shape,
    pub(super) timestamps: bool,
    pub(super) faults: Faults,
    pub(super) pipeline_cache: Option<PathBuf>,
    /// Bytes one binding may have here.
    pub max_binding: u64,
    /// Bytes one buffer may have here.
    pub max_buffer: u64,
    trouble: Arc<Mutex<Trouble>>,
}

/// What the driver reported outside of any call.
#[derive(Debug, Default)]
struct Trouble {
    lost: Option<String>,
    uncaptured: Option<String>,
}

impl Gpu {
    /// Opens `adapter`.
    ///
    /// # Errors
    /// [`Error::Device`] if the adapter is below the portable floor or the driver refuses.
    pub fn open(adapter: &Adapter, options: Options) -> Result<Self> {
        let info = adapter.info.clone();
        check_floor(&info)?;
        let wanted = wgpu::Features::SUBGROUP | wgpu::Features::SUBGROUP_BARRIER;
        let mut features = adapter.inner.features() & wanted;
        if options.timestamps {
            features |= adapter.inner.features() & wgpu::Features::TIMESTAMP_QUERY;
        }
        if options.pipeline_cache.is_some() {
            features |= adapter.inner.features() & wgpu::Features::PIPELINE_CACHE;
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tidemill"),
            required_features: features,
            required_limits: limits(&adapter.inner.limits()),
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(adapter.inner.request_device(&descriptor))
            .map_err(|error| Error::Device { message: format!("cannot open {}: {error}", info.name), help: None })?;
        let trouble = Arc::new(Mutex::new(Trouble::default()));
        let sink = Arc::clone(&trouble);
        device.set_device_lost_callback(move |reason, message| {
            let mut trouble = sink.lock().unwrap_or_else(PoisonError::into_inner);
            trouble.lost.get_or_insert(format!("{message} ({reason:?})"));
        });
        // wgpu's own handler panics. Everything here runs inside error scopes, so what comes by this way is rare, but a
        // driver may report at any time.
        let sink = Arc::clone(&trouble);
        device.on_uncaptured_error(Arc::new(move |error| {
            let mut trouble = sink.lock().unwrap_or_else(PoisonError::into_inner);
            trouble.uncaptured.get_or_insert(error.to_string());
        }));
        let mut shape = options.shape.unwrap_or_else(|| default_shape(&info));
        if options.without_subgroups || !features.contains(wanted) {
            shape.subgroups = None;
        }
        let limits = device.limits();
        Ok(Self {
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            device,
            queue,
            info,
            shape,
            faults: options.faults,
            pipeline_cache: options.pipeline_cache,
            trouble,
        })
    }

    /// Makes the device go away, as a driver's reset would.
    pub(super) fn lose(&self) {
        // wgpu calls back only when it is polled next; the loss is known now.
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.lost.get_or_insert("destroyed at a test's request".into());
        drop(trouble);
        self.device.destroy();
    }

    /// An error if the device is gone.
    pub(super) fn check_alive(&self) -> Result<()> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&trouble.lost, &trouble.uncaptured) {
            (Some(message), _) => Err(self.failed("was lost", message)),
            (None, Some(message)) => Err(self.failed("reported an error", message)),
            (None, None) => Ok(()),
        }
    }

    /// Runs `work` inside error scopes of all three kinds; what the driver reports becomes the error.
    pub(super) fn scoped<T>(&self, doing: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let result = work();
        // Scopes pop innermost first. The memory report goes before the validation one: what follows a failed
        // allocation is invalid too, and the cause is the allocation.
        let validation = pollster::block_on(validation.pop());
        let memory = pollster::block_on(memory.pop());
        let internal = pollster::block_on(internal.pop());
        match memory.or(internal).or(validation) {
            Some(error) => Err(self.reported(doing, &error)),
            None => result,
        }
    }

    fn reported(&self, doing: &str, error: &wgpu::Error) -> Error {
        match error {
            wgpu::Error::OutOfMemory { .. } => self.out_of_memory(),
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                self.failed(&format!("failed while {doing}"), description)
            }
        }
    }

    pub(super) fn out_of_memory(&self) -> Error {
        Error::Resource {
            message: format!("{} is out of memory", self.info.name),
            help: Some("use a smaller --chunk-size".into()),
        }
    }

    pub(super) fn too_large(&self, what: &str, most: u64, bytes: u64) -> Error {
        Error::Resource {
            message: format!("{} allows {what} of {most} bytes; {bytes} are needed", self.info.name),
            help: Some("use a smaller --chunk-size".into()),
        }
    }

    pub(super) fn failed(&self, how: &str, message: &str) -> Error {
        Error::Device {
            message: format!("{} {how}: {}", self.info.name, message.trim()),
            help: Some("--device cpu gives the same result".into()),
        }
    }
}

/// The portable floor for everything that shapes a kernel; the adapter's own where more only helps.
fn limits(adapter: &wgpu::Limits) -> wgpu::Limits {
    let floor = wgpu::Limits::defaults();
    wgpu::Limits {
        max_storage_buffers_per_shader_stage: floor.max_storage_buffers_per_shader_stage,
        max_compute_workgroup_storage_size: floor.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: floor.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: floor.max_compute_workgroup_size_x,
        max_compute_workgroups_per_dimension: floor.max_compute_workgroups_per_dimension,
        ..adapter.clone()
    }
}

/// The shape kernels get on an adapter unless the options name one.
///
/// A GPU hides latency with many invocations. A software driver pays for every barrier and runs one subgroup as one
/// vector, so there a workgroup is one subgroup and each invocation does more.
pub fn default_shape(info: &AdapterInfo) -> Shape {
    match (info.kind, info.subgroups) {
        (Kind::Software, Some((smallest, largest))) => {
            Shape { workgroup: largest.clamp(8, 256), items: 256, subgroups: Some(smallest) }
        }
        (Kind::Software, None) => Shape { workgroup: 8, items: 256, subgroups: None },
        // Eight subgroups' digit counts fill half of the workgroup memory in the radix sort.
        (_, Some((smallest, _))) => {
            Shape { workgroup: (smallest * 8).clamp(32, 256), items: 16, subgroups: Some(smallest) }
        }
        (_, None) => Shape { workgroup: 256, items: 16, subgroups: None },
    }
}
