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

/// Ends the head of a loop that [`assemble`] writes out.
const UNROLLED: &str = "{ // unrolled";
/// Turns of a loop that is written out at most. An array of more items is not one of registers on any device, and the
/// compilers of software drivers, which are the ones to get such loops, break on the text.
const MOST_TURNS: u32 = 64;

/// The text of a kernel: `constants` as `const NAME: u32`, then the shape's prelude, then `parts` in order.
///
/// A loop `for (var k = 0u; k < NAME; k++) { // unrolled`, where `NAME` is one of the constants and at most 64, is written
/// out: `k` is a constant in each copy of the body. Arrays that it indexes are registers with every compiler then, not
/// with those alone that unroll the loop, which naga's guard against endless loops makes harder. The body must not break,
/// continue or assign to `k`.
pub fn assemble(shape: &Shape, constants: &[(&str, u32)], parts: &[&str]) -> String {
    let mut text = String::with_capacity(4096 + parts.iter().map(|part| part.len()).sum::<usize>());
    let shape_constants = [
        ("WORKGROUP", shape.workgroup),
        ("ITEMS", shape.items),
        ("TILE", shape.tile()),
        ("SUBGROUPS", shape.most_subgroups()),
    ];
    let constants: Vec<(&str, u32)> = shape_constants.iter().chain(constants).copied().collect();
    for (name, value) in &constants {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "const {name}: u32 = {value}u;");
    }
    for part in std::iter::once(&shape.prelude()).chain(parts) {
        unroll(&part.lines().collect::<Vec<_>>(), &constants, &mut text);
    }
    text
}

/// Appends `lines`, the marked loops written out.
fn unroll(lines: &[&str], constants: &[(&str, u32)], text: &mut String) {
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        rest = after;
        let Some((counter, times)) = unrolled_head(line, constants) else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        // The body ends where a line closes a brace as far to the left as the head stands.
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = rest.iter().position(|line| line.strip_prefix(indent) == Some("}")).unwrap_or(rest.len());
        for turn in 0..times {
            let _ = writeln!(text, "{indent}{{\n{indent}    const {counter} = {turn}u;");
            unroll(&rest[..end], constants, text);
            let _ = writeln!(text, "{indent}}}");
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
}

/// The counter of a loop to be written out, and how often its body is run.
fn unrolled_head<'l>(line: &'l str, constants: &[(&str, u32)]) -> Option<(&'l str, u32)> {
    let head = line.trim_start().strip_suffix(UNROLLED)?.strip_prefix("for (var ")?;
    let (counter, head) = head.split_once(" = 0u; ")?;
    let bound = head.strip_prefix(counter)?.strip_prefix(" < ")?.split(';').next()?;
    constants.iter().find(|(name, times)| *name == bound && *times <= MOST_TURNS).map(|(_, times)| (counter, *times))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_loops_are_written_out_and_others_stay() {
        let shape = Shape { workgroup: 8, items: 1, subgroups: None };
        let part = "\
fn f() {
    for (var k = 0u; k < PAIR; k++) { // unrolled
        for (var j = 0u; j < PAIR; j++) { // unrolled
            x[k] += j;
        }
    }
    for (var k = 0u; k < PAIR; k++) {
        y();
    }
}";
        let text = assemble(&shape, &[("PAIR", 2)], &[part]);
        let text: String = text[text.find("fn f()").unwrap()..].split_whitespace().collect();
        let inner = "{constj=0u;x[k]+=j;}{constj=1u;x[k]+=j;}";
        let outer = format!("{{constk=0u;{inner}}}{{constk=1u;{inner}}}");
        assert_eq!(text, format!("fnf(){{{outer}for(vark=0u;k<PAIR;k++){{y();}}}}"));
    }

    /// A mark with a head that is not understood would leave a loop that no compiler may unroll.
    #[test]
    fn every_mark_is_understood() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
        let files =
            [folder.clone(), folder.join("shared")].into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let mut marks = 0;
        for path in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some()) {
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text.lines().filter(|line| line.contains("unrolled") && line.contains("for (")) {
                let bound = line.split(" < ").nth(1).and_then(|rest| rest.split(';').next()).unwrap_or_default();
                assert!(unrolled_head(line, &[(bound, 1)]).is_some(), "{}: {line}", path.display());
                marks += 1;
            }
        }
        assert!(marks > 0);
    }
}
