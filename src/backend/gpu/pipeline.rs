//! Kernels compiled once. Bindings, their order, the parameter struct and the workgroup size are reflected from the
//! shader by naga; nothing on the host repeats them.

use std::collections::HashMap;

use wgpu::naga;

use super::device::Gpu;
use super::pipeline_cache::PipelineCache;
use super::record::Dispatch;
use crate::kernel::Kernel;
use crate::{Error, Result};

/// The name of every kernel's uniform parameter block.
const PARAMS: &str = "params";

/// One binding of an entry point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) kind: BindingKind,
}

/// What is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingKind {
    Params,
    Read,
    Write,
}

/// What naga says about an entry point.
#[derive(Clone, Debug)]
pub(super) struct Reflection {
    pub(super) bindings: Vec<Binding>,
    /// Members of the parameter struct with their byte offsets, and its size.
    pub(super) fields: Vec<(String, u32)>,
    pub(super) params_size: u32,
    #[cfg(test)]
    pub(super) workgroup: u32,
    #[cfg(test)]
    pub(super) workgroup_memory: u32,
}

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) inner: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) reflection: Reflection,
}

/// Compiled kernels by their text and entry point (constants are part of the text).
#[derive(Debug)]
pub(super) struct Pipelines {
    by_kernel: HashMap<Kernel, Pipeline>,
    cache: Option<PipelineCache>,
    /// Whether something was compiled since the cache was saved.
    fresh: bool,
}

impl Pipelines {
    pub(super) fn new(gpu: &Gpu) -> Self {
        let cache = gpu.pipeline_cache.as_deref().and_then(|folder| PipelineCache::open(gpu, folder));
        Pipelines { by_kernel: HashMap::new(), cache, fresh: false }
    }

    /// How many were compiled.
    pub(super) fn compiled(&self) -> u64 {
        self.by_kernel.len() as u64
    }

    /// Keeps them for the next process, where there is a cache.
    pub(super) fn save(&mut self) {
        if let Some(cache) = self.cache.as_mut().filter(|_| self.fresh) {
            cache.save();
            self.fresh = false;
        }
    }

    /// Compiles what `dispatch` runs, unless that is done already, and checks its parameters.
    pub(super) fn prepare(&mut self, gpu: &Gpu, dispatch: &Dispatch) -> Result<()> {
        if !self.by_kernel.contains_key(&dispatch.kernel) {
            let pipeline = build(gpu, &dispatch.kernel, self.cache.as_ref().map(|cache| &cache.inner))?;
            self.by_kernel.insert(dispatch.kernel.clone(), pipeline);
            self.fresh = true;
        }
        check_params(&self.get(&dispatch.kernel)?.reflection, dispatch)
    }

    /// A kernel that was prepared.
    pub(super) fn get(&self, kernel: &Kernel) -> Result<&Pipeline> {
        self.by_kernel.get(kernel).ok_or_else(|| Error::internal(format!("kernel {} was not prepared", kernel.stem)))
    }
}

fn check_params(reflection: &Reflection, dispatch: &Dispatch) -> Result<()> {
    let same = reflection.fields.len() == dispatch.fields.len()
        && reflection.fields.iter().zip(dispatch.fields).all(|((shader, _), host)| shader == host)
        && reflection.fields.iter().enumerate().all(|(i, (_, offset))| *offset as usize == i * 4)
        && reflection.params_size as usize == dispatch.params.len();
    if same {
        return Ok(());
    }
    Err(Error::internal(format!(
        "parameters of {} differ: shader {:?}, host {:?}",
        dispatch.kernel.stem, reflection.fields, dispatch.fields
    )))
}

fn build(gpu: &Gpu, kernel: &Kernel, cache: Option<&wgpu::PipelineCache>) -> Result<Pipeline> {
    let reflection = reflect(kernel)?;
    let entries: Vec<_> = reflection
        .bindings
        .iter()
        .map(|binding| wgpu::BindGroupLayoutEntry {
            binding: binding.index,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match binding.kind {
                    BindingKind::Params => wgpu::BufferBindingType::Uniform,
                    kind => wgpu::BufferBindingType::Storage { read_only: kind == BindingKind::Read },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let device = &gpu.device;
    let label = Some(kernel.stem);
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    // Bounds checks stay on: leaving them out gained nothing measurable.
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label,
        source: wgpu::ShaderSource::Wgsl(std::borrow::Cow::Borrowed(&kernel.source)),
    });
    let inner = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some(kernel.entry),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[],
            // Kernels clear by hand what they need; naga's clearing makes SwiftShader compile for seconds.
            zero_initialize_workgroup_memory: false,
        },
        cache,
    });
    Ok(Pipeline { inner, layout, reflection })
}

/// Reads an entry point's bindings, parameters and workgroup size out of the WGSL text.
pub(super) fn reflect(kernel: &Kernel) -> Result<Reflection> {
    let bad = |message: String| Error::internal(format!("kernel {}: {message}", kernel.stem));
    let module = naga::front::wgsl::parse_str(&kernel.source).map_err(|e| bad(e.emit_to_string(&kernel.source)))?;
    let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all())
        .validate(&module)
        .map_err(|e| bad(e.emit_to_string(&kernel.source)))?;
    let at = module
        .entry_points
        .iter()
        .position(|entry| entry.name == kernel.entry)
        .ok_or_else(|| bad(format!("no entry point {}", kernel.entry)))?;
    let used = info.get_entry_point(at);
    let mut reflection = Reflection {
        bindings: Vec::new(),
        fields: Vec::new(),
        params_size: 0,
        #[cfg(test)]
        workgroup: module.entry_points[at].workgroup_size.iter().product(),
        #[cfg(test)]
        workgroup_memory: 0,
    };
    for (handle, global) in module.global_variables.iter() {
        let layout = &module.types[global.ty].inner;
        if used[handle].is_empty() {
            continue;
        }
        #[cfg(test)]
        if global.space == naga::AddressSpace::WorkGroup {
            reflection.workgroup_memory =
                reflection.workgroup_memory.saturating_add(layout.try_size(module.to_ctx()).unwrap_or(u32::MAX));
        }
        let (Some(binding), Some(name)) = (&global.binding, &global.name) else { continue };
        let kind = match global.space {
            naga::AddressSpace::Uniform => {
                if let naga::TypeInner::Struct { members, span } = layout {
                    reflection.fields =
                        members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset)).collect();
                    reflection.params_size = *span;
                }
                BindingKind::Params
            }
            naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => BindingKind::Write,
            _ => BindingKind::Read,
        };
        if binding.group != 0 || (kind == BindingKind::Params) != (name == PARAMS) {
            return Err(bad(format!("binding {name} is not in group 0, or is a uniform not called {PARAMS}")));
        }
        reflection.bindings.push(Binding { name: name.clone(), index: binding.binding, kind });
    }
    Ok(reflection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::value::{Kind, Op, Reduction, ValuePlanes};
    use crate::kernel::{self, Shape};

    /// Every kernel in a shape.
    fn kernels(shape: &Shape) -> Vec<Kernel> {
        use kernel::*;
        let mut all: Vec<Kernel> = ["reduce", "write", "single"].map(|entry| scan::kernel(shape, entry)).into();
        all.extend(["count", "write"].map(|entry| compact::kernel(shape, entry)));
        all.extend(["count", "write"].map(|entry| segment_heads::kernel(shape, entry)));
        all.extend([gather::kernel(shape), key_bits::kernel(shape), pack_keys::kernel(shape)]);
        all.push(radix_histogram::kernel(shape));
        all.extend([true, false].map(|pairs| radix_scatter::kernel(shape, pairs)));
        let values = ValuePlanes::two((0, Some(8)), (0, Some(9)), 1);
        all.extend([Kind::I64, Kind::I128, Kind::F64].map(|kind| exponent_range::kernel(shape, kind, &values)));
        for op in [Op::Count, Op::Flags, Op::Sum, Op::Min, Op::Max] {
            let reduction = Reduction { op, x: Kind::I128, y: (op == Op::Sum).then_some(Kind::I128) };
            all.extend([
                segmented_reduce::rows(shape, &reduction, &values, true),
                segmented_reduce::records(shape, &reduction),
            ]);
            all.extend([reduce::rows(shape, &reduction, &values, true), reduce::records(shape, &reduction)]);
            all.extend([
                direct_aggregate::kernel(shape, &reduction, &values),
                direct_combine::kernel(shape, &reduction),
            ]);
        }
        all.extend(shape.subgroups.map(|_| lane_order::kernel(shape)));
        all
    }

    #[test]
    fn every_kernel_stays_within_the_portable_floor() {
        for (workgroup, subgroups) in
            [(256, None), (32, None), (8, Some(8)), (32, Some(4)), (256, Some(32)), (256, Some(128))]
        {
            let shape = Shape { workgroup, items: 16, subgroups };
            for kernel in kernels(&shape) {
                let reflection = reflect(&kernel).unwrap();
                let name = format!("{}/{} {shape:?}", kernel.stem, kernel.entry);
                assert_eq!(reflection.workgroup, workgroup, "{name}");
                assert!(reflection.workgroup_memory <= 16 << 10, "{name}: {} bytes", reflection.workgroup_memory);
                let storage = reflection.bindings.iter().filter(|b| b.kind != BindingKind::Params).count();
                assert!((1..=8).contains(&storage), "{name}: {storage} storage buffers");
                assert!(!reflection.fields.is_empty(), "{name}: no parameters");
            }
        }
    }

    #[test]
    fn a_kernel_that_is_no_wgsl_is_an_error_that_shows_the_place() {
        let error = reflect(&Kernel::new("broken", "main", "fn main( {")).unwrap_err().to_string();
        assert!(error.contains("kernel broken") && error.contains("fn main( {"), "{error}");
    }
}
