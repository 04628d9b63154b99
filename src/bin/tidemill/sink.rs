//! Where results go: stdout or a file that appears when it is whole.

use std::io::Write;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, types};
use tidemill::column::{Type, Unit, Value};
use tidemill::{Error, Result, RunReport};

use crate::args::FormatName;
use crate::interrupt::Interrupt;
use crate::screen;
use crate::table::{self, Limits};

/// The format and the place of a result.
pub struct Sink<'a> {
    format: FormatName,
    output: Option<&'a Path>,
    limits: Limits,
}

impl<'a> Sink<'a> {
    /// Chooses by what was asked for and by what stdout is.
    pub fn choose(format: Option<FormatName>, output: Option<&'a Path>, limited: bool) -> Result<Sink<'a>> {
        let terminal = output.is_none() && screen::is_terminal();
        let format = format.unwrap_or(if terminal { FormatName::Table } else { FormatName::Csv });
        let limits = if terminal {
            Limits { width: screen::width(), cut_rows: !limited, colour: screen::has_colour() }
        } else {
            Limits::default()
        };
        Ok(Sink { format, output, limits })
    }

    /// Writes a result.
    pub fn write(&self, report: &RunReport, interrupt: &Interrupt) -> Result<()> {
        let text = match self.format {
            FormatName::Table => table::result(report, self.limits)?,
            _ => return Err(Error::usage("not yet")),
        };
        interrupt.check()?;
        match self.output {
            Some(path) => write_file(path, text.as_bytes()),
            None => print(&text),
        }
    }
}

/// Prints to stdout.
pub fn print(text: &str) -> Result<()> {
    let failed = |e| Error::io("cannot write", "standard output", e);
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
}

/// Writes a whole file.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::io("cannot write", path, e))
}

/// Removes files that are not whole.
pub fn remove_unfinished() {}

/// The value of a result column.
pub fn value(array: &ArrayRef, ty: &Type, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    macro_rules! int {
        ($t:ident) => {
            Value::Int(array.as_primitive::<types::$t>().value(row).into())
        };
    }
    Ok(match ty {
        Type::Null => Value::Null,
        Type::Bool => Value::Bool(array.as_boolean().value(row)),
        Type::Int8 => int!(Int8Type),
        Type::Int16 => int!(Int16Type),
        Type::Int32 => int!(Int32Type),
        Type::Int64 => int!(Int64Type),
        Type::UInt8 => int!(UInt8Type),
        Type::UInt16 => int!(UInt16Type),
        Type::UInt32 => int!(UInt32Type),
        Type::UInt64 => Value::Wide(array.as_primitive::<types::UInt64Type>().value(row).into()),
        Type::Float32 => Value::Float(array.as_primitive::<types::Float32Type>().value(row).into()),
        Type::Float64 => Value::Float(array.as_primitive::<types::Float64Type>().value(row)),
        Type::Decimal { .. } => Value::Wide(array.as_primitive::<types::Decimal128Type>().value(row)),
        Type::Date => int!(Date32Type),
        Type::Timestamp(Unit::Second) => int!(TimestampSecondType),
        Type::Timestamp(Unit::Milli) => int!(TimestampMillisecondType),
        Type::Timestamp(Unit::Micro) => int!(TimestampMicrosecondType),
        Type::Timestamp(Unit::Nano) => int!(TimestampNanosecondType),
        Type::Str => Value::Str(array.as_string::<i32>().value(row).into()),
        Type::List(item) => {
            let list = array.as_list::<i32>().value(row);
            Value::List((0..list.len()).map(|i| value(&list, item, i)).collect::<Result<_>>()?)
        }
    })
}
