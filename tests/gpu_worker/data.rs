//! Hostile tables.

use std::sync::Arc;

use tidemill::column::{Chunk, Column, Dictionary, FieldType, RowsFrom, Schema, Type, Unit, Value};

use crate::rig::schema;

/// A repeatable stream of pseudo-random words (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        ((self.next() >> 32) * limit) >> 32
    }
}

/// The columns every case draws from.
pub fn columns() -> Schema {
    schema(&[
        ("k", Type::Int32),
        ("id", Type::Int64),
        ("s", Type::Str),
        ("f", Type::Float64),
        ("g", Type::Float64),
        ("i", Type::Int64),
        ("h", Type::Int16),
        ("w", Type::Decimal { precision: 38, scale: 2 }),
        ("u", Type::UInt64),
        ("b", Type::Bool),
        ("d", Type::Date),
        ("t", Type::Timestamp(Unit::Milli)),
        ("e", Type::Float32),
        ("z", Type::Int8),
        ("q", Type::UInt8),
        ("c", Type::Float64),
    ])
}

/// A float of any exponent, sign and kind.
fn hostile(random: &mut Random) -> f64 {
    match random.below(10) {
        0 => [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN][random.below(6) as usize],
        1 => [1e300, -1e300, 1e-300, 5e-324, f64::MAX, f64::MIN_POSITIVE / 4.0][random.below(6) as usize],
        2..5 => f64::from_bits(random.next()),
        _ => (random.below(2_000_001) as f64 - 1e6) / 100.0,
    }
}

/// How a table is filled.
#[derive(Clone, Copy, PartialEq)]
pub struct Fill {
    /// Distinct values of `k`.
    pub keys: u64,
    /// One in how many values is null; 0: none.
    pub nulls: u64,
    /// `f` and `e` are finite numbers of many exponents.
    pub finite: bool,
}

fn value(name: &str, row: u64, fill: &Fill, random: &mut Random) -> Value {
    if fill.nulls > 0 && name != "id" && random.below(fill.nulls) == 0 {
        return Value::Null;
    }
    let finite = |v: f64| if fill.finite && !v.is_finite() { 1.5 } else { v };
    match name {
        // Half of the rows have one key.
        "k" if random.below(2) == 0 => Value::Int(3),
        "k" => Value::Int(random.below(fill.keys) as i64 - 2),
        "id" => Value::Int(row as i64 * 7919 - 100_000),
        "s" => {
            let words = ["", "apple", "Äpfel", "pear", "zebra", "a", "aa", "melon 🍉"];
            match random.below(4) {
                0 => Value::Str(format!("word {}", random.below(40)).into()),
                _ => Value::Str(words[random.below(8) as usize].into()),
            }
        }
        "f" => Value::Float(finite(hostile(random))),
        "g" => Value::Float((random.below(20_001) as f64 - 1e4) / 100.0),
        // Few values, both zeros and several NaNs among them: for keys.
        "c" => Value::Float(
            [0.0, -0.0, f64::NAN, -f64::NAN, 1.5, -1.5, 1e300, f64::NEG_INFINITY][random.below(8) as usize],
        ),
        "i" => Value::Int(match random.below(4) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => random.next() as i64,
            _ => random.below(100) as i64,
        }),
        "h" => Value::Int(random.next() as i16 as i64),
        "w" => Value::Wide(match random.below(3) {
            0 => 10i128.pow(38) - 1,
            1 => -(10i128.pow(37)) + random.next() as i128,
            _ => random.below(1000) as i128 - 500,
        }),
        "u" => Value::Wide(match random.below(3) {
            0 => u64::MAX.into(),
            _ => random.below(1000).into(),
        }),
        "b" => Value::Bool(random.below(3) == 0),
        "d" => Value::Int(random.below(40) as i64 + 15_000),
        "t" => Value::Int(random.next() as i64 >> 20),
        "e" => Value::Float(finite(f64::from(hostile(random) as f32))),
        "z" => Value::Int(random.below(5) as i64 - 2),
        "q" => Value::Int(random.below(256) as i64),
        _ => panic!("no column {name}"),
    }
}

/// Chunks of the given lengths; strings share a dictionary, as in a run.
pub fn table(seed: u64, lengths: &[usize], fill: Fill) -> Vec<Arc<Chunk>> {
    let (schema, mut random) = (columns(), Random::new(seed));
    let dict = Dictionary::new();
    // Codes are not in order of bytes.
    dict.intern_all(["zz", "pear", "apple"]).expect("room for three");
    let mut first = 0;
    lengths
        .iter()
        .enumerate()
        .map(|(at, &rows)| {
            // Nulls come with the second chunk: the first one's kernel knows none.
            let fill = if at == 0 && lengths.len() > 1 { Fill { nulls: 0, ..fill } } else { fill };
            let columns = schema.fields.iter().map(|field| {
                let values: Vec<Value> =
                    (0..rows as u64).map(|row| value(&field.name, first + row, &fill, &mut random)).collect();
                let ty = columns_type(&schema, &field.name);
                Column::from_values(&ty, &values, Some(&dict)).expect("values fit their type")
            });
            let columns = columns.collect();
            let chunk = Chunk { rows, columns, origin: Arc::new(RowsFrom { first }) };
            first += rows as u64;
            Arc::new(chunk)
        })
        .collect()
}

fn columns_type(schema: &Schema, name: &str) -> Type {
    match schema.fields.iter().find(|field| field.name == name).map(|field| &field.ty) {
        Some(FieldType::Known(ty)) => ty.clone(),
        _ => panic!("no column {name}"),
    }
}
