//! Which adapters there are, and what each can do.

use std::fmt;

use crate::{Error, Result};

/// What an adapter is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A card with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU handed through by a hypervisor.
    Virtual,
    /// A driver that runs on the CPU.
    Software,
    /// The driver does not say.
    Unknown,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Discrete => "discrete",
            Kind::Integrated => "integrated",
            Kind::Virtual => "virtual",
            Kind::Software => "software",
            Kind::Unknown => "unknown",
        })
    }
}

/// What an adapter is and what it offers. The same card may be listed once per graphics API that reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Position in the list: `gpu:N`.
    pub index: usize,
    /// The adapter's name.
    pub name: String,
    /// The driver's name and version.
    pub driver: String,
    /// The graphics API: `vulkan`, `metal`, `dx12`.
    pub backend: String,
    /// What it is made of.
    pub kind: Kind,
    /// Smallest and largest subgroup, where subgroup operations exist.
    pub subgroups: Option<(u32, u32)>,
    /// Largest storage buffer binding, in bytes.
    pub max_binding: u64,
    /// Largest buffer, in bytes.
    pub max_buffer: u64,
    /// Storage buffers one kernel may bind.
    pub storage_buffers: u32,
    /// Workgroup memory, in bytes.
    pub workgroup_memory: u32,
    /// Invocations in a workgroup.
    pub invocations: u32,
    /// Whether shaders have native 64-bit integers.
    pub int64: bool,
    /// Whether shaders have native 64-bit floats.
    pub float64: bool,
    /// Whether kernels can be timed on the device.
    pub timestamps: bool,
}

/// An adapter that can be opened.
#[derive(Clone, Debug)]
pub struct Adapter {
    pub(super) inner: wgpu::Adapter,
    /// What it is and offers.
    pub info: AdapterInfo,
}

/// All adapters whose name contains `name` (any, if `None`; letter case ignored), in the driver's order.
///
/// A machine without any graphics driver gives an empty list.
pub fn adapters(name: Option<&str>) -> Vec<Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    found
        .into_iter()
        .enumerate()
        .map(|(index, inner)| Adapter { info: describe(index, &inner), inner })
        .filter(|adapter| name.is_none_or(|name| adapter.info.name.to_lowercase().contains(&name.to_lowercase())))
        .collect()
}

/// [`adapters`], restricted by the environment variable `TIDEMILL_ADAPTER` (part of a name) where it is set.
pub fn adapters_from_env() -> Vec<Adapter> {
    adapters(std::env::var("TIDEMILL_ADAPTER").ok().as_deref())
}

/// The adapter number `number` of all there are; without a number the first of those of [`adapters_from_env`], discrete before
/// integrated ones and hardware before software.
///
/// # Errors
/// It is not there.
pub fn adapter(number: Option<usize>) -> Result<Adapter> {
    let Some(number) = number else {
        let rank = |adapter: &Adapter| match adapter.info.kind {
            Kind::Discrete => 0,
            Kind::Integrated => 1,
            Kind::Virtual => 2,
            Kind::Unknown => 3,
            Kind::Software => 4,
        };
        return adapters_from_env().into_iter().min_by_key(rank).ok_or_else(no_adapter);
    };
    let found = adapters(None);
    let count = found.len();
    found.into_iter().find(|adapter| adapter.info.index == number).ok_or_else(|| match count {
        0 => no_adapter(),
        _ => Error::Device {
            message: format!("there is no gpu:{number}"),
            help: Some(format!("'tidemill devices' lists gpu:0 to gpu:{}", count - 1)),
        },
    })
}

/// Why there is nothing to run on, and what would help.
pub fn no_adapter() -> Error {
    Error::Device {
        message: "no GPU adapter found".into(),
        help: Some(
            "install a Vulkan driver: a graphics card's own, or the software driver lavapipe \
             (Debian and Ubuntu: apt install mesa-vulkan-drivers; Fedora: dnf install mesa-vulkan-drivers)"
                .into(),
        ),
    }
}

fn describe(index: usize, adapter: &wgpu::Adapter) -> AdapterInfo {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
        wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
        wgpu::DeviceType::VirtualGpu => Kind::Virtual,
        wgpu::DeviceType::Cpu => Kind::Software,
        wgpu::DeviceType::Other => Kind::Unknown,
    };
    AdapterInfo {
        index,
        name: info.name,
        driver: [info.driver, info.driver_info].iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join(" "),
        backend: info.backend.to_str().to_owned(),
        kind,
        subgroups: features
            .contains(wgpu::Features::SUBGROUP)
            .then_some((info.subgroup_min_size, info.subgroup_max_size)),
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        invocations: limits.max_compute_invocations_per_workgroup,
        int64: features.contains(wgpu::Features::SHADER_INT64),
        float64: features.contains(wgpu::Features::SHADER_F64),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
    }
}

/// Refuses an adapter below what every kernel counts on.
pub(super) fn check_floor(info: &AdapterInfo) -> Result<()> {
    let floor = [
        ("storage buffers per kernel", u64::from(info.storage_buffers), 8),
        ("bytes per binding", info.max_binding, 128 << 20),
        ("bytes per buffer", info.max_buffer, 128 << 20),
        ("invocations per workgroup", u64::from(info.invocations), 256),
        ("bytes of workgroup memory", u64::from(info.workgroup_memory), 16 << 10),
    ];
    match floor.iter().find(|(_, has, needs)| has < needs) {
        Some((what, has, needs)) => Err(Error::Device {
            message: format!("{} offers {has} {what}; tidemill needs {needs}", info.name),
            help: Some("use another adapter (tidemill devices lists them) or --device cpu".into()),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor() -> AdapterInfo {
        AdapterInfo {
            index: 0,
            name: "card".into(),
            driver: String::new(),
            backend: "vulkan".into(),
            kind: Kind::Unknown,
            subgroups: None,
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            storage_buffers: 8,
            workgroup_memory: 16 << 10,
            invocations: 256,
            int64: false,
            float64: false,
            timestamps: false,
        }
    }

    #[test]
    fn the_portable_floor_is_enough_and_less_is_refused_by_name() {
        assert!(check_floor(&floor()).is_ok());
        let error = check_floor(&AdapterInfo { storage_buffers: 4, ..floor() }).unwrap_err().to_string();
        assert!(error.starts_with("card offers 4 storage buffers per kernel; tidemill needs 8"), "{error}");
    }

    #[test]
    fn a_name_that_no_adapter_has_gives_none() {
        assert!(adapters(Some("no such adapter, surely")).is_empty());
    }
}
