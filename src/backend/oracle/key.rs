//! Values with an order: group keys, list items, terms of an order.

use std::cmp::Ordering;

use crate::column::Value;

/// A value by its plain order: false < true, numbers, strings by bytes, null last. −0 is +0, and all NaNs are one, after
/// +∞.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    Wide(i128),
    Float(Total),
    Str(Vec<u8>),
    Null,
}

/// A float in IEEE-754's total order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Total(pub f64);

impl Total {
    /// −0 stays −0; every NaN becomes the one on top.
    pub fn new(v: f64) -> Total {
        Total(if v.is_nan() { f64::from_bits(0x7ff8 << 48) } else { v })
    }
}

impl Ord for Total {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Total {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Total {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Total {}

impl Key {
    /// A value as a key.
    pub fn new(value: &Value) -> Key {
        match value {
            Value::Null | Value::List(_) => Key::Null,
            Value::Bool(v) => Key::Bool(*v),
            Value::Int(v) => Key::Int(*v),
            Value::Wide(v) => Key::Wide(*v),
            Value::Float(v) => Key::Float(Total::new(if *v == 0.0 { 0.0 } else { *v })),
            Value::Str(v) => Key::Str(v.as_bytes().to_vec()),
        }
    }

    /// The value it stands for.
    pub fn value(&self) -> Value {
        match self {
            Key::Null => Value::Null,
            Key::Bool(v) => Value::Bool(*v),
            Key::Int(v) => Value::Int(*v),
            Key::Wide(v) => Value::Wide(*v),
            Key::Float(v) => Value::Float(v.0),
            Key::Str(v) => Value::Str(String::from_utf8_lossy(v).into()),
        }
    }
}
