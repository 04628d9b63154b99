//! Plain string columns of an Arrow IPC file, read where they lie in the map.
//!
//! Arrow's decoder looks at every string of a record batch, on the thread that asks for its first chunk: whether it is UTF-8, and
//! whether the offsets ascend. The dictionary looks at every distinct string anyway, so here each chunk checks its own offsets
//! and no string is looked at twice.

use std::ops::Range;

use arrow_array::OffsetSizeTrait;
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_ipc::{MetadataVersion, RecordBatch};
use arrow_schema::{DataType, Schema, UnionMode};

use super::from_arrow::intern_within;
use crate::Result;
use crate::column::Dictionary;

/// How many of a record batch's nodes and buffers come before a column's.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    nodes: usize,
    buffers: usize,
    /// Columns of views, each of which has as many more buffers as the batch says.
    views: usize,
}

impl Before {
    /// Counts a column of type `ty` (Arrow columnar format, "Buffer listing for each layout").
    fn add(&mut self, ty: &DataType, version: MetadataVersion) {
        use DataType as D;
        self.nodes += 1;
        self.buffers += match ty {
            D::Null | D::RunEndEncoded(..) => 0,
            D::Struct(_) | D::FixedSizeList(..) => 1,
            D::Utf8 | D::LargeUtf8 | D::Binary | D::LargeBinary | D::ListView(_) | D::LargeListView(_) => 3,
            D::Union(_, mode) => {
                usize::from(version < MetadataVersion::V5) + 1 + usize::from(matches!(mode, UnionMode::Dense))
            }
            _ => 2,
        };
        self.views += usize::from(matches!(ty, D::Utf8View | D::BinaryView));
        match ty {
            D::List(child)
            | D::LargeList(child)
            | D::ListView(child)
            | D::LargeListView(child)
            | D::FixedSizeList(child, _)
            | D::Map(child, _) => self.add(child.data_type(), version),
            D::Struct(fields) => fields.iter().for_each(|field| self.add(field.data_type(), version)),
            D::Union(fields, _) => fields.iter().for_each(|(_, field)| self.add(field.data_type(), version)),
            D::RunEndEncoded(ends, values) => {
                self.add(ends.data_type(), version);
                self.add(values.data_type(), version);
            }
            _ => {}
        }
    }
}

/// Where a column of plain strings is in every record batch of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextColumn {
    before: Before,
    /// Whether its offsets have 64 bits.
    large: bool,
}

impl TextColumn {
    /// `None` if column `index` is none of plain strings.
    pub(super) fn of(schema: &Schema, index: usize, version: MetadataVersion) -> Option<TextColumn> {
        let large = match schema.fields().get(index)?.data_type() {
            DataType::Utf8 => false,
            DataType::LargeUtf8 => true,
            _ => return None,
        };
        let mut before = Before::default();
        schema.fields()[..index].iter().for_each(|field| before.add(field.data_type(), version));
        Some(TextColumn { before, large })
    }

    /// Its rows `rows` in a batch that is not compressed and whose body is `body`.
    pub(super) fn rows(&self, batch: &RecordBatch<'_>, body: &Buffer, rows: Range<usize>) -> Result<Texts, String> {
        let nodes = batch.nodes().filter(|nodes| self.before.nodes < nodes.len());
        let node = *nodes.ok_or("a string column is missing")?.get(self.before.nodes);
        if usize::try_from(node.length()).is_ok_and(|length| length < rows.end) {
            return Err("fewer rows than it says".into());
        }
        let mut first = self.before.buffers;
        if self.before.views > 0 {
            let counts = batch.variadicBufferCounts().filter(|counts| counts.len() >= self.before.views);
            for count in counts.ok_or("the numbers of its buffers are missing")?.iter().take(self.before.views) {
                let count = usize::try_from(count).map_err(|_| "a negative number of buffers")?;
                first = first.saturating_add(count);
            }
        }
        let buffer = |number: usize| -> Result<Buffer, String> {
            let index = first.saturating_add(number);
            let buffers = batch.buffers().filter(|buffers| index < buffers.len());
            let buffer = buffers.ok_or("a buffer is missing")?.get(index);
            let start = usize::try_from(buffer.offset()).map_err(|_| "a buffer at a negative offset")?;
            let length = usize::try_from(buffer.length()).map_err(|_| "a buffer of negative length")?;
            match start.checked_add(length) {
                Some(end) if end <= body.len() => Ok(body.slice_with_length(start, length)),
                _ => Err("a buffer reaches beyond its block".into()),
            }
        };
        let nulls = match node.null_count() {
            0 => None,
            _ => {
                let bits = buffer(0)?;
                if bits.len() < rows.end.div_ceil(8) {
                    return Err("the validity of a string column is cut short".into());
                }
                let nulls = NullBuffer::new(BooleanBuffer::new(bits, rows.start, rows.len()));
                Some(nulls).filter(|nulls| nulls.null_count() > 0)
            }
        };
        let (all, width) = (buffer(1)?, if self.large { 8 } else { 4 });
        let range = (rows.start.saturating_mul(width), (rows.len() + 1).saturating_mul(width));
        if range.0.saturating_add(range.1) > all.len() {
            return Err("the offsets of a string column are cut short".into());
        }
        let edges = all.slice_with_length(range.0, range.1);
        let (texts, large) = (buffer(2)?, self.large);
        let (start, end) = if large { ends::<i64>(&edges, &texts) } else { ends::<i32>(&edges, &texts) }?;
        Ok(Texts { nulls, edges, bytes: texts, used: start..end, large })
    }
}

/// The first and the last of some offsets, which ascend and lie in `texts`.
fn ends<O: OffsetSizeTrait + bytemuck::Pod>(edges: &[u8], texts: &[u8]) -> Result<(usize, usize), String> {
    let edges = whole::<O>(edges);
    // To see that all ascend takes no branch.
    let ascend = edges.windows(2).fold(true, |ascend, pair| ascend & (pair[0] <= pair[1]));
    let (start, end) = match *edges {
        [start, .., end] => (start.to_usize(), end.to_usize()),
        _ => return Err("a string column without offsets".into()),
    };
    match (start, end) {
        (Some(start), Some(end)) if ascend && end <= texts.len() => Ok((start, end)),
        _ => Err("the offsets of a string column do not ascend within its text".into()),
    }
}

/// Bytes as numbers: where they are, if they are aligned.
fn whole<O: bytemuck::Pod>(bytes: &[u8]) -> std::borrow::Cow<'_, [O]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(aligned) => aligned.into(),
        Err(_) => bytemuck::pod_collect_to_vec(bytes).into(),
    }
}

/// The strings of some rows.
pub(super) struct Texts {
    pub(super) nulls: Option<NullBuffer>,
    edges: Buffer,
    bytes: Buffer,
    used: Range<usize>,
    large: bool,
}

impl Texts {
    /// The bytes that were read for them.
    pub(super) fn read(&self) -> [&[u8]; 2] {
        [&self.edges, &self.bytes[self.used.clone()]]
    }

    /// Their codes, any under a null; `None` if one is no UTF-8.
    pub(super) fn codes(&self, dict: &Dictionary) -> Result<Option<Vec<u32>>> {
        let mut good = true;
        let mut bad = |_| {
            good = false;
            false
        };
        let (bytes, nulls) = (&self.bytes[..], self.nulls.as_ref());
        let codes = if self.large {
            intern_within::<i64>(&whole(&self.edges), bytes, nulls, dict, &mut bad)
        } else {
            intern_within::<i32>(&whole(&self.edges), bytes, nulls, dict, &mut bad)
        }?;
        Ok(good.then_some(codes))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{Field, Fields};

    use super::*;

    #[test]
    fn what_comes_before_a_column_is_counted_by_its_layout() {
        let field = |ty: DataType| Arc::new(Field::new("x", ty, true));
        let list = DataType::List(field(DataType::Int8));
        let columns = vec![
            DataType::Null,
            DataType::Boolean,
            DataType::Struct(Fields::from(vec![field(DataType::Utf8View), field(list.clone())])),
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
            DataType::FixedSizeList(field(DataType::Float64), 3),
            DataType::RunEndEncoded(field(DataType::Int32), field(DataType::Utf8)),
            DataType::LargeUtf8,
        ];
        let schema = Schema::new(columns.into_iter().map(|ty| Field::new("x", ty, true)).collect::<Vec<_>>());
        let column = TextColumn::of(&schema, 6, MetadataVersion::V5).unwrap();
        let Before { nodes, buffers, views } = column.before;
        // 0 + 2 + (1 + 2 + 2 + 2) + 2 + (1 + 2) + (0 + 2 + 3) buffers.
        assert_eq!((nodes, buffers, views, column.large), (1 + 1 + 4 + 1 + 2 + 3, 19, 1, true));
        assert!((0..6).all(|index| TextColumn::of(&schema, index, MetadataVersion::V5).is_none()));
    }

    #[test]
    fn offsets_are_believed_only_when_checked() {
        let edges = |edges: &[i32]| ends::<i32>(bytemuck::cast_slice(edges), &[b'x'; 10]).ok();
        assert_eq!(edges(&[2, 2, 5, 10]), Some((2, 10)));
        for wrong in [&[0, 11][..], &[3, 2, 5], &[-1, 4], &[5, 0], &[0], &[]] {
            assert_eq!(edges(wrong), None, "{wrong:?}");
        }
        let mut bytes = vec![0];
        bytes.extend_from_slice(bytemuck::cast_slice(&[1i64, 4, 4]));
        assert_eq!(*whole::<i64>(&bytes[1..]), [1, 4, 4]);
    }
}
