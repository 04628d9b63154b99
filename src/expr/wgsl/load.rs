//! Inputs: columns in their stored width, and what the host has computed.

use super::super::program::NodeId;
use super::emit::{Emitter, Term};
use super::{InputFrom, Stored, broken};
use crate::Result;
use crate::column::Type;

impl Emitter<'_> {
    /// A column of the program.
    pub fn column(&mut self, id: NodeId, column: usize) -> Result<Term> {
        if self.program.node(id).ty == Type::Null {
            return Ok(Term { value: "false".into(), valid: Some("false".into()), error: None });
        }
        self.load(id, InputFrom::Column(column))
    }

    /// A node the host computes.
    pub fn host(&mut self, id: NodeId) -> Result<Term> {
        let mut term = self.load(id, InputFrom::Host(id))?;
        if self.program.node(id).can_fail {
            let (at, input) = self.input(InputFrom::HostErrors(id));
            if input.stored != Stored::U8 {
                return Err(broken(self.program, id, "its errors are not bytes"));
            }
            term.error = Some(self.bind(format!("e{}", id.0), &format!("load_error({at}u, row)")));
        }
        Ok(term)
    }

    fn load(&mut self, id: NodeId, from: InputFrom) -> Result<Term> {
        let (at, input) = self.input(from);
        if input.stored.class() != self.program.node(id).class {
            return Err(broken(self.program, id, &format!("it cannot be stored as {:?}", input.stored)));
        }
        let load = match input.stored {
            Stored::Bits => "load_bits",
            Stored::I8 => "load_i8",
            Stored::I16 => "load_i16",
            Stored::I32 => "load_i32",
            Stored::I64 | Stored::F64 => "load_two",
            Stored::U8 => "load_u8",
            Stored::U16 => "load_u16",
            Stored::U32 => "load_u32",
            Stored::U64 => "load_u64",
            Stored::F32 => "load_f32",
            Stored::I128 => "load_four",
            Stored::Code => "load_word",
        };
        let value = self.bind(format!("v{}", id.0), &format!("{load}({at}u, row)"));
        let valid = input.nullable.then(|| self.bind(format!("n{}", id.0), &format!("load_valid({at}u, row)")));
        Ok(Term { value, valid, error: None })
    }
}
