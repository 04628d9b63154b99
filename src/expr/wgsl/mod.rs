//! The map kernel: WGSL text made from a program, that computes the filter, keys and arguments of one row an invocation.
//!
//! ```text
//! arena (columns as they are stored) ──► load ──► one `let` a node ──► planes (value words, validity, status)
//! ```
//! Read in this order: this file (what is asked for and what comes out), `load` (stored widths), `emit` (nulls and
//! errors around an operation), `ops` (the operations). Names no device: the text is joined with the shared parts
//! `i64`, `i128`, `f64` and `date` and with the helpers of a kernel by whoever runs it.

mod emit;
mod load;
mod ops;

use super::program::{NodeId, Program};
use crate::column::Class;
use crate::{Error, Result};

/// How one value is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Its words as they are; anything under a null.
    Value,
    /// Words that order as the value does (`column::key`; a string's is its code); 0 under a null.
    Key,
}

/// One value the kernel writes for every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MapOutput {
    /// Whose value.
    pub node: NodeId,
    /// In which form.
    pub form: Form,
}

/// How an input is stored in the arena: in its own width, packed as in an Arrow buffer, little end first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stored {
    /// Class Bool: a bit, least significant first.
    Bits,
    /// Class Int.
    I8,
    /// Class Int.
    I16,
    /// Class Int: int32, date.
    I32,
    /// Class Int: int64, timestamp.
    I64,
    /// Class Int; also [`InputFrom::HostErrors`].
    U8,
    /// Class Int.
    U16,
    /// Class Int.
    U32,
    /// Class Wide: uint64.
    U64,
    /// Class Float: widened exactly.
    F32,
    /// Class Float.
    F64,
    /// Class Wide: decimal, unscaled.
    I128,
    /// Class Str: a dictionary code of 32 bits.
    Code,
}

impl Stored {
    /// The class a stored value widens to.
    pub fn class(self) -> Class {
        match self {
            Stored::Bits => Class::Bool,
            Stored::U64 | Stored::I128 => Class::Wide,
            Stored::F32 | Stored::F64 => Class::Float,
            Stored::Code => Class::Str,
            Stored::I8 | Stored::I16 | Stored::I32 | Stored::I64 | Stored::U8 | Stored::U16 | Stored::U32 => Class::Int,
        }
    }

    /// Bits of one row.
    pub fn bits(self) -> u32 {
        match self {
            Stored::Bits => 1,
            Stored::I8 | Stored::U8 => 8,
            Stored::I16 | Stored::U16 => 16,
            Stored::I32 | Stored::U32 | Stored::F32 | Stored::Code => 32,
            Stored::I64 | Stored::U64 | Stored::F64 => 64,
            Stored::I128 => 128,
        }
    }
}

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputFrom {
    /// The program's column of this index.
    Column(usize),
    /// The values of a node the host computes ([`Split::host`](super::Split::host)).
    Host(NodeId),
    /// Which rows of a node the host computes are errors: a byte a row, 1 for an error. Asked for wherever such a node
    /// can fail; a word offset of 0 says that no row is one.
    HostErrors(NodeId),
}

/// One input of a map kernel.
///
/// The arena starts with two words for each input, in order: the word offset of its data, and that of its validity
/// bitmap (a bit a row, least significant first), which is read only if the input is nullable; 0 there says that no
/// row is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MapInput {
    /// Whose data.
    pub from: InputFrom,
    /// In which width.
    pub stored: Stored,
    /// Whether there may be a validity bitmap.
    pub nullable: bool,
}

/// Where the kernel writes an output. Plane `p` of row `r` is word `p · stride + r` of `planes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputPlanes {
    /// The plane of the least significant word.
    pub first: u32,
    /// Planes: 1 for classes Bool and Str, 2 for Int and Float, 4 for Wide.
    pub words: u32,
    /// The plane that holds 1 where the value is not null, else 0; `None` if it never is null.
    pub valid: Option<u32>,
}

/// A generated kernel.
///
/// Its entry point is [`MapKernel::ENTRY`]; one invocation does one row, so it takes
/// `rows.div_ceil(workgroup size)` workgroups. It binds `params` (the `u32` members [`MapKernel::PARAMS`]), `arena` (read)
/// and `planes` (written: `planes · stride` words).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapKernel {
    /// WGSL, to be joined with the shared parts it calls.
    pub text: String,
    /// What the arena must hold, in order.
    pub inputs: Vec<MapInput>,
    /// Where each output asked for is, in order. Equal requests share their planes.
    pub outputs: Vec<OutputPlanes>,
    /// The plane of a row's status: 0 if the filter is not true (false or null), else 2 if the filter or an output is an
    /// error, else 1. The other planes hold anything unless it is 1.
    pub status: u32,
    /// Planes in all.
    pub planes: u32,
}

impl MapKernel {
    /// The name of the entry point.
    pub const ENTRY: &'static str = "main";
    /// The members of the parameter struct: rows, and the words from one plane to the next (at least as many).
    pub const PARAMS: [&'static str; 2] = ["rows", "stride"];
}

/// Makes the kernel that computes `outputs` where `filter` is true (everywhere without one).
///
/// `stored` says how an input is stored and whether it may have nulls; it is asked once for each input.
///
/// # Errors
/// An internal one, if `stored` gives an input a width of another class, or a node has an operation of the wrong class.
pub fn map_kernel(
    program: &Program,
    filter: Option<NodeId>,
    outputs: &[MapOutput],
    stored: &dyn Fn(&InputFrom) -> (Stored, bool),
) -> Result<MapKernel> {
    emit::kernel(program, filter, outputs, stored)
}

/// What cannot be, unless the program is broken.
fn broken(program: &Program, id: NodeId, what: &str) -> Error {
    let node = program.node(id);
    Error::internal(format!("node {} ({:?}, `{}`): {what}", id.0, node.op, node.text))
}
