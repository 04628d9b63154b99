//! The arena: what the map kernel reads, put together from a chunk's buffers as they stand.
//!
//! Bytes are copied once, from the column (often the mapped file itself) into staging memory; only bits that do not
//! start at a byte are shifted on the way.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::BooleanBuffer;

use super::layout::stored_data;
use super::record::{Buf, Recording};
use crate::column::{Chunk, Column, ColumnData, Dictionary};
use crate::expr::wgsl::{InputFrom, MapInput};
use crate::expr::{Evaluated, NodeId, Op, Program};
use crate::{Error, Result};

/// Data starts at multiples of this.
const ALIGN: u64 = 16;

/// Records the upload of rows `rows` of all `inputs`.
pub(super) fn arena<'c>(
    rec: &mut Recording<'c>,
    inputs: &[MapInput],
    chunk: &'c Chunk,
    hosts: &'c HashMap<NodeId, Evaluated>,
    rows: Range<usize>,
) -> Result<Buf> {
    let mut header = vec![0u32; inputs.len() * 2];
    let mut pieces: Vec<(u64, Cow<'c, [u8]>)> = Vec::new();
    let mut end = (header.len() as u64 * 4).next_multiple_of(ALIGN);
    let mut place = |bytes: Cow<'c, [u8]>| -> Result<u32> {
        let at = end;
        end = (end + bytes.len() as u64).next_multiple_of(ALIGN);
        pieces.push((at, bytes));
        u32::try_from(at / 4).map_err(|_| Error::internal("an arena of more than 16 GiB"))
    };
    for (i, input) in inputs.iter().enumerate() {
        let column = match input.from {
            InputFrom::Column(column) => chunk.columns.get(column),
            InputFrom::Host(id) => hosts.get(&id).map(|host| &host.column),
            InputFrom::HostErrors(id) => {
                let errors = hosts.get(&id).and_then(|host| host.errors.as_deref()).map(|errors| &errors[rows.clone()]);
                if let Some(errors) = errors.filter(|errors| errors.contains(&1)) {
                    header[2 * i] = place(errors.into())?;
                }
                continue;
            }
        };
        let column = column.ok_or_else(|| Error::internal(format!("no column for {:?}", input.from)))?;
        if stored_data(&column.data) != input.stored {
            return Err(Error::internal(format!("{:?} is not stored as {:?}", input.from, input.stored)));
        }
        header[2 * i] = place(data(column, rows.clone()))?;
        let nulls = column.nulls.as_ref().filter(|nulls| input.nullable && nulls.null_count() > 0);
        if let Some(nulls) = nulls {
            header[2 * i + 1] = place(bits(nulls.inner(), rows.clone()))?;
        }
    }
    let arena = rec.buffer("arena", end);
    rec.upload_to(arena, bytemuck::cast_slice(&header).to_vec());
    for (at, bytes) in pieces {
        let words = (bytes.len() as u64).div_ceil(4);
        if words > 0 {
            rec.upload_to(arena.words(at / 4, words), bytes);
        }
    }
    Ok(arena)
}

fn data(column: &Column, rows: Range<usize>) -> Cow<'_, [u8]> {
    Cow::Borrowed(match &column.data {
        ColumnData::Bool(v) => return bits(v, rows),
        ColumnData::I8(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::I16(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::I32(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::I64(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::U8(v) => &v[rows],
        ColumnData::U16(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::U32(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::U64(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::F32(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::F64(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::I128(v) => bytemuck::cast_slice(&v[rows]),
        ColumnData::Str { codes, .. } => bytemuck::cast_slice(&codes[rows]),
    })
}

/// Bits from bit 0 of the first byte on; copied only if they stand elsewhere.
fn bits(bits: &BooleanBuffer, rows: Range<usize>) -> Cow<'_, [u8]> {
    let start = bits.offset() + rows.start;
    let bytes = rows.len().div_ceil(8);
    match start % 8 {
        0 => Cow::Borrowed(&bits.values()[start / 8..start / 8 + bytes]),
        _ => Cow::Owned(bits.slice(rows.start, rows.len()).sliced()[..bytes].to_vec()),
    }
}

/// The dictionary of a string-valued node in a chunk.
pub(super) fn dictionary(
    program: &Program,
    mut node: NodeId,
    chunk: &Chunk,
    hosts: &HashMap<NodeId, Evaluated>,
) -> Result<Arc<Dictionary>> {
    while let (Op::Retype | Op::Try, Some(arg)) = (&program.node(node).op, program.node(node).args.first()) {
        node = *arg;
    }
    let column = match program.node(node).op {
        Op::Column(column) => chunk.columns.get(column),
        _ => hosts.get(&node).map(|host| &host.column),
    };
    match column.map(|column| &column.data) {
        Some(ColumnData::Str { dict, .. }) => Ok(Arc::clone(dict)),
        _ => Err(Error::internal(format!("`{}` has no dictionary", program.node(node).text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_start_at_bit_zero_wherever_they_stood() {
        let all: Vec<bool> = (0..200).map(|i| i % 3 == 0 || i % 7 == 0).collect();
        let whole = BooleanBuffer::from(all.clone());
        for offset in [0, 1, 8, 13] {
            let slice = whole.slice(offset, 180);
            for rows in [0..0, 0..180, 3..100, 8..9, 16..175] {
                let got = bits(&slice, rows.clone());
                assert_eq!(got.len(), rows.len().div_ceil(8));
                for (i, row) in rows.enumerate() {
                    assert_eq!(got[i / 8] >> (i % 8) & 1 == 1, all[offset + row], "{offset} {row}");
                }
            }
        }
    }
}
