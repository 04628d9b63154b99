//! The footer: which Arrow type each column is asked for as.

use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{ConvertedType, Type as Physical};
use parquet::schema::types::Type as ParquetType;

use crate::column::Type;

pub(super) type Footer = (ArrowReaderMetadata, Option<ArrowReaderMetadata>, Vec<bool>);

/// Reads it.
pub(super) fn read_footer(bytes: &Bytes) -> parquet::errors::Result<Footer> {
    let plain = match ArrowReaderMetadata::load(bytes, ArrowReaderOptions::new()) {
        Ok(metadata) => metadata,
        // An Arrow schema that was embedded wrongly is no reason to refuse the file.
        Err(_) => ArrowReaderMetadata::load(bytes, ArrowReaderOptions::new().with_skip_arrow_metadata(true))?,
    };
    let roots = plain.parquet_schema().root_schema().get_fields();
    let is_int96 = |t: &Arc<ParquetType>| t.is_primitive() && t.get_physical_type() == Physical::INT96;
    let int96: Vec<bool> = roots.iter().map(is_int96).collect();
    let with = |unit: TimeUnit| {
        let fields = plain.schema().fields().iter().zip(roots).map(|(field, root)| match hint(field, root, unit) {
            Some(ty) => Arc::new(field.as_ref().clone().with_data_type(ty)),
            None => Arc::clone(field),
        });
        let schema = ArrowSchema::new(fields.collect::<Vec<_>>());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options)
    };
    let metadata = with(TimeUnit::Nanosecond)?;
    let micros = int96.contains(&true).then(|| with(TimeUnit::Microsecond)).transpose()?;
    Ok((metadata, micros, int96))
}

/// The Arrow type to ask for instead of the one the file suggests.
fn hint(field: &ArrowField, root: &ParquetType, int96: TimeUnit) -> Option<DataType> {
    if !root.is_primitive() {
        return None;
    }
    let text = Type::from_arrow(field.data_type()) == Some(Type::Str);
    match root.get_physical_type() {
        // Only these are checked to be UTF-8 while decoding; the others are checked by `checked_text`.
        Physical::BYTE_ARRAY if text && root.get_basic_info().converted_type() == ConvertedType::UTF8 => {
            Some(DataType::Utf8View)
        }
        Physical::BYTE_ARRAY if text => Some(DataType::LargeUtf8),
        Physical::INT96 => Some(DataType::Timestamp(int96, None)),
        _ => None,
    }
}
