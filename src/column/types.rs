//! The types a column can have, their names, and the five classes every backend computes in.

use std::fmt;
use std::str::FromStr;

use arrow_schema::{DataType, TimeUnit};

use crate::{Error, Result};

/// The tick of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// One second.
    Second,
    /// 10⁻³ s.
    Milli,
    /// 10⁻⁶ s.
    Micro,
    /// 10⁻⁹ s.
    Nano,
}

impl Unit {
    /// Ticks in a second.
    pub fn per_second(self) -> i64 {
        match self {
            Unit::Second => 1,
            Unit::Milli => 1_000,
            Unit::Micro => 1_000_000,
            Unit::Nano => 1_000_000_000,
        }
    }

    /// Decimal digits after the second.
    pub fn digits(self) -> u8 {
        match self {
            Unit::Second => 0,
            Unit::Milli => 3,
            Unit::Micro => 6,
            Unit::Nano => 9,
        }
    }

    /// The short name: `s`, `ms`, `us`, `ns`.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Second => "s",
            Unit::Milli => "ms",
            Unit::Micro => "us",
            Unit::Nano => "ns",
        }
    }
}

/// The type of a column or an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// Only null: the literal `null`, a column without a value.
    Null,
    /// true or false.
    Bool,
    /// 8-bit signed integer.
    Int8,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer; the type of integer arithmetic.
    Int64,
    /// 8-bit unsigned integer.
    UInt8,
    /// 16-bit unsigned integer.
    UInt16,
    /// 32-bit unsigned integer.
    UInt32,
    /// 64-bit unsigned integer; arithmetic on it is done as decimal(38,0).
    UInt64,
    /// IEEE-754 binary32; widened exactly when read.
    Float32,
    /// IEEE-754 binary64.
    Float64,
    /// A decimal with `precision` digits (1 to 38), `scale` of them after the point (0 to `precision`).
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Days since 1970-01-01.
    Date,
    /// Ticks since 1970-01-01T00:00:00 (no time zone is applied).
    Timestamp(Unit),
    /// UTF-8 text, kept as dictionary codes.
    Str,
    /// A list: what `top_k` gives. Never an input.
    List(Box<Type>),
}

/// What a backend computes with. Every type is one of these five inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A truth value.
    Bool,
    /// A 64-bit signed integer: all integers up to int64, dates, timestamps.
    Int,
    /// A 128-bit signed integer: uint64 and unscaled decimals.
    Wide,
    /// A binary64.
    Float,
    /// A 32-bit code into a dictionary.
    Str,
}

impl Type {
    /// The class this type is computed in; `None` for lists. `Null` computes as Bool (its values are all null).
    pub fn class(&self) -> Option<Class> {
        Some(match self {
            Type::Null | Type::Bool => Class::Bool,
            Type::Int8
            | Type::Int16
            | Type::Int32
            | Type::Int64
            | Type::UInt8
            | Type::UInt16
            | Type::UInt32
            | Type::Date
            | Type::Timestamp(_) => Class::Int,
            Type::UInt64 | Type::Decimal { .. } => Class::Wide,
            Type::Float32 | Type::Float64 => Class::Float,
            Type::Str => Class::Str,
            Type::List(_) => return None,
        })
    }

    /// Any integer type.
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Type::Int8
                | Type::Int16
                | Type::Int32
                | Type::Int64
                | Type::UInt8
                | Type::UInt16
                | Type::UInt32
                | Type::UInt64
        )
    }

    /// An integer, a decimal or a float.
    pub fn is_numeric(&self) -> bool {
        self.is_integer() || self.is_float() || matches!(self, Type::Decimal { .. })
    }

    /// float32 or float64.
    pub fn is_float(&self) -> bool {
        matches!(self, Type::Float32 | Type::Float64)
    }

    /// The scale of a value of class Wide: digits after the point; 0 for every other type.
    pub fn scale(&self) -> u8 {
        match self {
            Type::Decimal { scale, .. } => *scale,
            _ => 0,
        }
    }

    /// The range of an integer type, inclusive, as i128.
    pub fn integer_range(&self) -> Option<(i128, i128)> {
        Some(match self {
            Type::Int8 => (i8::MIN.into(), i8::MAX.into()),
            Type::Int16 => (i16::MIN.into(), i16::MAX.into()),
            Type::Int32 => (i32::MIN.into(), i32::MAX.into()),
            Type::Int64 => (i64::MIN.into(), i64::MAX.into()),
            Type::UInt8 => (0, u8::MAX.into()),
            Type::UInt16 => (0, u16::MAX.into()),
            Type::UInt32 => (0, u32::MAX.into()),
            Type::UInt64 => (0, u64::MAX.into()),
            _ => return None,
        })
    }

    /// The Arrow type of an output column of this type.
    pub fn to_arrow(&self) -> DataType {
        match self {
            Type::Null => DataType::Null,
            Type::Bool => DataType::Boolean,
            Type::Int8 => DataType::Int8,
            Type::Int16 => DataType::Int16,
            Type::Int32 => DataType::Int32,
            Type::Int64 => DataType::Int64,
            Type::UInt8 => DataType::UInt8,
            Type::UInt16 => DataType::UInt16,
            Type::UInt32 => DataType::UInt32,
            Type::UInt64 => DataType::UInt64,
            Type::Float32 => DataType::Float32,
            Type::Float64 => DataType::Float64,
            Type::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Type::Date => DataType::Date32,
            Type::Timestamp(unit) => DataType::Timestamp(
                match unit {
                    Unit::Second => TimeUnit::Second,
                    Unit::Milli => TimeUnit::Millisecond,
                    Unit::Micro => TimeUnit::Microsecond,
                    Unit::Nano => TimeUnit::Nanosecond,
                },
                None,
            ),
            Type::Str => DataType::Utf8,
            Type::List(item) => DataType::new_list(item.to_arrow(), true),
        }
    }

    /// The type of an Arrow column read as input, or `None` where tidemill cannot read it (nested, intervals, …).
    pub fn from_arrow(ty: &DataType) -> Option<Type> {
        Some(match ty {
            DataType::Null => Type::Null,
            DataType::Boolean => Type::Bool,
            DataType::Int8 => Type::Int8,
            DataType::Int16 => Type::Int16,
            DataType::Int32 => Type::Int32,
            DataType::Int64 => Type::Int64,
            DataType::UInt8 => Type::UInt8,
            DataType::UInt16 => Type::UInt16,
            DataType::UInt32 => Type::UInt32,
            DataType::UInt64 => Type::UInt64,
            DataType::Float16 | DataType::Float32 => Type::Float32,
            DataType::Float64 => Type::Float64,
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s)
                if *s >= 0 && *s as u8 <= *p =>
            {
                Type::Decimal { precision: *p, scale: *s as u8 }
            }
            DataType::Date32 | DataType::Date64 => Type::Date,
            DataType::Timestamp(unit, _) => Type::Timestamp(match unit {
                TimeUnit::Second => Unit::Second,
                TimeUnit::Millisecond => Unit::Milli,
                TimeUnit::Microsecond => Unit::Micro,
                TimeUnit::Nanosecond => Unit::Nano,
            }),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::Str,
            DataType::Dictionary(_, values) => Type::from_arrow(values)?,
            _ => return None,
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Null => "null",
            Type::Bool => "bool",
            Type::Int8 => "int8",
            Type::Int16 => "int16",
            Type::Int32 => "int32",
            Type::Int64 => "int64",
            Type::UInt8 => "uint8",
            Type::UInt16 => "uint16",
            Type::UInt32 => "uint32",
            Type::UInt64 => "uint64",
            Type::Float32 => "float32",
            Type::Float64 => "float64",
            Type::Decimal { precision, scale } => return write!(f, "decimal({precision},{scale})"),
            Type::Date => "date",
            Type::Timestamp(unit) => return write!(f, "timestamp({})", unit.name()),
            Type::Str => "string",
            Type::List(item) => return write!(f, "list({item})"),
        })
    }
}

impl FromStr for Type {
    type Err = Error;

    /// Reads a type name, as in `--schema` and `cast`: the names `Display` prints, and their SQL aliases.
    fn from_str(text: &str) -> Result<Type> {
        let unknown = || Error::Usage {
            message: format!("unknown type '{text}'"),
            help: Some(
                "types: bool, int8…int64, uint8…uint64, float32, float64, decimal(p,s), date, timestamp(s|ms|us|ns), \
                 string"
                    .into(),
            ),
        };
        let lower = text.trim().to_ascii_lowercase();
        let (name, args) = match lower.split_once('(') {
            Some((name, rest)) => (name.trim(), Some(rest.strip_suffix(')').ok_or_else(unknown)?.trim())),
            None => (lower.as_str(), None),
        };
        let plain = |ty: Type| if args.is_none() { Ok(ty) } else { Err(unknown()) };
        match name {
            "bool" | "boolean" => plain(Type::Bool),
            "int8" | "i8" | "tinyint" => plain(Type::Int8),
            "int16" | "i16" | "smallint" => plain(Type::Int16),
            "int32" | "i32" | "int" | "integer" => plain(Type::Int32),
            "int64" | "i64" | "bigint" | "long" => plain(Type::Int64),
            "uint8" | "u8" | "utinyint" => plain(Type::UInt8),
            "uint16" | "u16" | "usmallint" => plain(Type::UInt16),
            "uint32" | "u32" | "uinteger" => plain(Type::UInt32),
            "uint64" | "u64" | "ubigint" => plain(Type::UInt64),
            "float32" | "f32" | "real" | "float4" => plain(Type::Float32),
            "float64" | "f64" | "float" | "double" | "double precision" | "float8" => plain(Type::Float64),
            "string" | "str" | "text" | "varchar" | "utf8" | "char" => Ok(Type::Str),
            "date" | "date32" => plain(Type::Date),
            "timestamp" | "datetime" => Ok(Type::Timestamp(match args.unwrap_or("us") {
                "s" | "0" => Unit::Second,
                "ms" | "3" => Unit::Milli,
                "us" | "6" => Unit::Micro,
                "ns" | "9" => Unit::Nano,
                _ => return Err(unknown()),
            })),
            "decimal" | "numeric" => {
                let (precision, scale) = match args {
                    None => (38, 0),
                    Some(args) => {
                        let (p, s) = args.split_once(',').unwrap_or((args, "0"));
                        (p.trim().parse().map_err(|_| unknown())?, s.trim().parse().map_err(|_| unknown())?)
                    }
                };
                if precision == 0 || precision > 38 || scale > precision {
                    return Err(Error::Usage {
                        message: format!("decimal({precision},{scale}) is out of range"),
                        help: Some("precision is 1 to 38, scale is 0 to precision".into()),
                    });
                }
                Ok(Type::Decimal { precision, scale })
            }
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let mut types = vec![
            Type::Bool,
            Type::Int8,
            Type::UInt64,
            Type::Float32,
            Type::Float64,
            Type::Decimal { precision: 38, scale: 6 },
            Type::Date,
            Type::Str,
        ];
        types.extend([Unit::Second, Unit::Milli, Unit::Micro, Unit::Nano].map(Type::Timestamp));
        for ty in types {
            assert_eq!(ty.to_string().parse::<Type>().unwrap(), ty);
            assert_eq!(Type::from_arrow(&ty.to_arrow()), Some(ty));
        }
    }

    #[test]
    fn wrong_names_say_what_is_right() {
        for text in ["decimal(39,0)", "decimal(5,6)", "int64(3)", "timestamp(h)", "blob", "decimal(x)", "bool("] {
            assert!(matches!(text.parse::<Type>(), Err(Error::Usage { help: Some(_), .. })), "{text}");
        }
    }
}
