//! What a kernel is before a device sees it: WGSL text, an entry point, and the shape it is cut to.

use std::fmt::Write;
use std::sync::Arc;

/// A compute kernel as text. `stem` names the shader file, the host file and the dispatch label alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The shader's stem, e.g. `radix_scatter`; also the dispatch label.
    pub stem: &'static str,
    /// The entry point in `source`.
    pub entry: &'static str,
    /// The whole WGSL text, constants and shared parts included.
    pub source: Arc<str>,
}

impl Kernel {
    /// A kernel from its parts.
    pub fn new(stem: &'static str, entry: &'static str, source: impl Into<Arc<str>>) -> Self {
        Self { stem, entry, source: source.into() }
    }
}

/// How kernels are cut for one device.
///
/// Every kernel works for any shape; the shape is chosen for speed and for what the device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Invocations in a workgroup: a power of two, 8 to 256.
    pub workgroup: u32,
    /// Rows one invocation handles in a tiled kernel.
    pub items: u32,
    /// The smallest subgroup the device may run, if kernels shall use subgroup operations; `None` picks the variant
    /// in workgroup memory alone.
    pub subgroups: Option<u32>,
}

impl Shape {
    /// Rows one workgroup handles in a tiled kernel.
    pub fn tile(&self) -> u32 {
        self.workgroup * self.items
    }

    /// Workgroups (tiles) that cover `n` rows.
    pub fn tiles(&self, n: u32) -> u32 {
        n.div_ceil(self.tile())
    }

    /// The most subgroups a workgroup can have.
    pub(crate) fn most_subgroups(&self) -> u32 {
        self.subgroups.map_or(1, |smallest| self.workgroup.div_ceil(smallest.max(1)))
    }

    /// The shared part every kernel starts with: the `Invocation` struct and the workgroup-wide exclusive sum, with
    /// subgroup operations or without.
    pub(crate) fn prelude(&self) -> &'static str {
        match self.subgroups {
            Some(_) => include_str!("../../shaders/shared/workgroup_subgroup.wgsl"),
            None => include_str!("../../shaders/shared/workgroup_shared.wgsl"),
        }
    }
}

/// The text of a kernel: `constants` as `const NAME: u32`, then the shape's prelude, then `parts` in order.
pub fn assemble(shape: &Shape, constants: &[(&str, u32)], parts: &[&str]) -> String {
    let mut text = String::with_capacity(4096 + parts.iter().map(|part| part.len()).sum::<usize>());
    let shape_constants = [
        ("WORKGROUP", shape.workgroup),
        ("ITEMS", shape.items),
        ("TILE", shape.tile()),
        ("SUBGROUPS", shape.most_subgroups()),
    ];
    for (name, value) in shape_constants.iter().chain(constants) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "const {name}: u32 = {value}u;");
    }
    for part in std::iter::once(&shape.prelude()).chain(parts) {
        text.push_str(part);
        text.push('\n');
    }
    text
}

/// Host parameters of a kernel: the members of its WGSL `Params` struct, all `u32`, in order.
///
/// The engine compares [`FIELDS`](Params::FIELDS) with the struct naga reflects when it builds the pipeline, so a
/// parameter added on one side alone cannot run.
pub trait Params: bytemuck::Pod {
    /// Member names, in order.
    const FIELDS: &'static [&'static str];
}

/// Declares a kernel's parameter struct: all members `u32`.
macro_rules! params {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: u32,)*
        }

        impl $crate::kernel::Params for $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }
    };
}
pub(crate) use params;
