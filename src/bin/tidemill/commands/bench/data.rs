//! The tables that are measured: generated ones, and a user's own data held in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use tidemill::input::{Request, read_in_order};
use tidemill::{Error, Input, Job, Result, Type, plan};

use super::stats::Random;

/// Rows of a record batch.
const BATCH: usize = 1 << 20;

/// How the keys of a generated table are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// All equally often.
    Uniform,
    /// Key `n` about 1/n as often as the first (Zipf's law with exponent 1).
    Skewed,
}

/// What the values of a generated table are. None of them is 0, which devices and compressors find too easy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// int64, either sign, up to a million.
    Ints,
    /// float64, positive, over 16 binary orders of magnitude, all 53 bits in use.
    Floats,
}

/// A table in memory.
#[derive(Clone)]
pub struct Table {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

impl Table {
    /// A table of columns `k` and `v`. `None` if `stop` was set meanwhile.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn generate(keys: Keys, values: Values, rows: u64, groups: u64, stop: &AtomicBool) -> Result<Option<Table>> {
        let ty = if values == Values::Ints { DataType::Int64 } else { DataType::Float64 };
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, false), Field::new("v", ty, false)]));
        let mut random = Random::new(groups);
        let mut batches = Vec::new();
        let mut left = usize::try_from(rows).map_err(|_| no_room(rows))?;
        let key = |random: &mut Random| match keys {
            Keys::Uniform => random.below(groups) as i64 + 1,
            Keys::Skewed => (groups as f64).powf(random.unit()) as i64,
        };
        while left > 0 {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let n = left.min(BATCH);
            left -= n;
            let mut k: Vec<i64> = room(n, rows)?;
            k.extend((0..n).map(|_| key(&mut random)));
            let v: Arc<dyn arrow_array::Array> = match values {
                Values::Ints => {
                    let mut v: Vec<i64> = room(n, rows)?;
                    v.extend((0..n).map(|_| {
                        let bits = random.bits();
                        let size = (bits >> 1) as i64 % 1_000_000 + 1;
                        if bits & 1 == 0 { size } else { -size }
                    }));
                    Arc::new(Int64Array::from(v))
                }
                Values::Floats => {
                    let mut v: Vec<f64> = room(n, rows)?;
                    v.extend((0..n).map(|_| (1.0 + random.unit()) * f64::from(1u32 << (random.bits() & 15))));
                    Arc::new(Float64Array::from(v))
                }
            };
            batches.push(batch(&schema, vec![Arc::new(Int64Array::from(k)), v])?);
        }
        Ok(Some(Table { schema, batches }))
    }

    /// The columns that `job` uses, of at most the first `most` rows. `None` if `stop` was set meanwhile.
    ///
    /// # Errors
    /// Whatever reading the input meets.
    pub fn load(job: &Job, input: &Input, most: u64, stop: &AtomicBool) -> Result<Option<Table>> {
        let mut source = Arc::clone(input.source());
        loop {
            match load(job, &source, most, stop) {
                // As the engine does: read the column again as the wider type.
                Err(Error::Misfit { place, found, inferred, wider }) => {
                    let column = place.column.clone().unwrap_or_default();
                    let widened = if wider == Type::Str { None } else { source.widened(&column, &wider) };
                    source = widened.ok_or(Error::Misfit { place, found, inferred, wider })?;
                }
                other => return other,
            }
        }
    }

    /// Rows.
    pub fn rows(&self) -> u64 {
        self.batches.iter().map(|b| b.num_rows() as u64).sum()
    }

    /// The first `rows` rows, without a copy.
    pub fn first(&self, rows: u64) -> Table {
        let mut left = rows;
        let mut batches = Vec::new();
        for batch in &self.batches {
            let n = (batch.num_rows() as u64).min(left);
            left -= n;
            if n > 0 {
                batches.push(batch.slice(0, n as usize));
            }
        }
        Table { schema: Arc::clone(&self.schema), batches }
    }

    /// Bytes of a row as a device is given it: strings are codes.
    pub fn row_bytes(&self) -> u64 {
        self.schema.fields().iter().map(|f| f.data_type().primitive_width().unwrap_or(4) as u64).sum()
    }

    /// As an input.
    ///
    /// # Errors
    /// None that can be foreseen.
    pub fn input(&self) -> Result<Input> {
        Input::batches(Arc::clone(&self.schema), self.batches.clone())
    }
}

fn load(job: &Job, source: &Arc<dyn tidemill::input::Source>, most: u64, stop: &AtomicBool) -> Result<Option<Table>> {
    let stage = plan::lower(job, source.schema())?.stage;
    let columns = &stage.program.columns;
    let fields = columns.iter().map(|c| Field::new(&c.name, c.ty.to_arrow(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let request = Request {
        columns: columns.iter().map(|c| c.column).collect(),
        dictionaries: plan::dictionaries(&stage.program),
        types: columns.iter().map(|c| c.ty.clone()).collect(),
        chunk_bytes: 16 << 20,
        chunk_rows: BATCH,
        threads: 1,
        tolerant: false,
    };
    let mut reads = read_in_order(&**source, &request)?;
    let mut left = most;
    let mut batches = Vec::new();
    while left > 0
        && let Some(read) = reads.next()
    {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let chunk = read?.chunk;
        let rows = (chunk.rows as u64).min(left) as usize;
        left -= rows as u64;
        if rows > 0 {
            let arrays = chunk.columns.iter().map(|c| c.to_arrow().map(|a| a.slice(0, rows)));
            batches.push(whole(&schema, arrays.collect::<Result<_>>()?, rows)?);
        }
    }
    Ok(Some(Table { schema, batches }))
}

fn batch(schema: &SchemaRef, arrays: Vec<Arc<dyn arrow_array::Array>>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|e| Error::internal(e.to_string()))
}

/// A batch that keeps its rows even without columns (`count()` alone needs none).
fn whole(schema: &SchemaRef, arrays: Vec<Arc<dyn arrow_array::Array>>, rows: usize) -> Result<RecordBatch> {
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|e| Error::internal(e.to_string()))
}

fn no_room(rows: u64) -> Error {
    Error::Resource {
        message: format!("a table of {rows} rows does not fit in memory"),
        help: Some("give smaller --rows".into()),
    }
}

fn room<T>(n: usize, rows: u64) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(n).map_err(|_| no_room(rows))?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    use std::collections::HashMap;

    fn keys(table: &Table) -> HashMap<i64, usize> {
        let mut seen = HashMap::new();
        for batch in &table.batches {
            batch.column(0).as_primitive::<Int64Type>().values().iter().for_each(|k| *seen.entry(*k).or_default() += 1);
        }
        seen
    }

    #[test]
    fn generated_tables_have_the_keys_asked_for_and_no_zeros() {
        let never = AtomicBool::new(false);
        let uniform = Table::generate(Keys::Uniform, Values::Ints, 50_000, 100, &never).unwrap().unwrap();
        assert_eq!(uniform.rows(), 50_000);
        let seen = keys(&uniform);
        assert_eq!(seen.len(), 100);
        assert!(seen.values().all(|n| (350..650).contains(n)), "{seen:?}");
        assert!(uniform.batches.iter().all(|b| !b.column(1).as_primitive::<Int64Type>().values().contains(&0)));
        let skewed = Table::generate(Keys::Skewed, Values::Floats, 50_000, 1000, &never).unwrap().unwrap();
        let seen = keys(&skewed);
        assert!(seen.keys().all(|k| (1..=1000).contains(k)));
        assert!(seen[&1] > 4 * seen[&10], "{} {}", seen[&1], seen[&10]);
        assert!(
            skewed.batches.iter().all(|b| b.column(1).as_primitive::<Float64Type>().values().iter().all(|v| *v >= 1.0))
        );
    }

    #[test]
    fn the_first_rows_are_the_first_rows() {
        let never = AtomicBool::new(false);
        let table = Table::generate(Keys::Uniform, Values::Ints, BATCH as u64 + 10, 7, &never).unwrap().unwrap();
        assert_eq!(table.batches.len(), 2);
        for rows in [1, 1000, BATCH as u64, BATCH as u64 + 3, u64::MAX] {
            assert_eq!(table.first(rows).rows(), rows.min(table.rows()));
        }
        assert!(Table::generate(Keys::Uniform, Values::Ints, 10, 7, &AtomicBool::new(true)).unwrap().is_none());
    }
}
