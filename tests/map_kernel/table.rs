//! Columns of every type, and the values of each where things go wrong.

use tidemill::column::{Field, Schema, Type, Unit, Value};

pub const DECIMAL: Type = Type::Decimal { precision: 10, scale: 2 };
pub const WHOLE: Type = Type::Decimal { precision: 38, scale: 0 };
pub const LONG: Type = Type::Decimal { precision: 38, scale: 30 };

/// Name and type of every column.
pub fn columns() -> Vec<(&'static str, Type)> {
    vec![
        ("i8", Type::Int8),
        ("i16", Type::Int16),
        ("i32", Type::Int32),
        ("i64", Type::Int64),
        ("u8", Type::UInt8),
        ("u16", Type::UInt16),
        ("u32", Type::UInt32),
        ("u64", Type::UInt64),
        ("f32", Type::Float32),
        ("f64", Type::Float64),
        ("dec", DECIMAL),
        ("whole", WHOLE),
        ("long", LONG),
        ("b", Type::Bool),
        ("d", Type::Date),
        ("ts", Type::Timestamp(Unit::Second)),
        ("tm", Type::Timestamp(Unit::Milli)),
        ("tu", Type::Timestamp(Unit::Micro)),
        ("tn", Type::Timestamp(Unit::Nano)),
        ("s", Type::Str),
        ("n", Type::Null),
    ]
}

pub fn schema(columns: &[(&str, Type)]) -> Schema {
    Schema { fields: columns.iter().map(|(name, ty)| Field::new(*name, ty.clone())).collect() }
}

/// Values of a type at its edges and at those of every type it is converted to. No nulls.
pub fn hostile(ty: &Type) -> Vec<Value> {
    let ints = |extra: &[i64], (low, high): (i128, i128)| {
        let mut all = vec![0, 1, -1, 2, 7, -7, 10, -100];
        all.extend([low, low + 1, high, high - 1].map(|v| v as i64));
        all.extend(extra);
        all.retain(|v| (low..=high).contains(&i128::from(*v)));
        all.into_iter().map(Value::Int).collect()
    };
    let wides = |most: i128, low: i128, extra: &[i128]| {
        let mut all = vec![0, 1, -1, 5, -5, 50, -50, 149, 151, -150, most, low, most - 1, most / 10, most / 2 + 1];
        all.extend(extra);
        all.retain(|v| (low..=most).contains(v));
        all.into_iter().map(Value::Wide).collect()
    };
    match ty {
        Type::Null | Type::List(_) => vec![],
        Type::Bool => vec![Value::Bool(false), Value::Bool(true)],
        Type::Str => ["", "12", "x", "-3.5", "true", "2013-01-31"].map(|s| Value::Str(s.into())).to_vec(),
        Type::UInt64 => wides(u64::MAX.into(), 0, &[1 << 63, (1 << 63) - 1, 1 << 32, (1 << 53) + 1]),
        Type::Decimal { precision, .. } => {
            let most = 10i128.pow((*precision).into()) - 1;
            wides(
                most,
                -most,
                &[1 << 63, (1 << 63) - 1, -(1 << 63), 1 << 64, 10i128.pow(30), 5 * 10i128.pow(29), 1 << 90],
            )
        }
        Type::Float32 | Type::Float64 => {
            let mut all = vec![0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            all.extend([0.5, -0.5, 1.0, -1.0, 1.5, 2.5, -2.5, 0.1, 1e10, -12.345]);
            all.extend([f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), f32::from_bits(0x7f_ffff)].map(f64::from));
            if *ty == Type::Float32 {
                all.extend([-f32::from_bits(1), 0.1f32, f32::from_bits(0x7f80_0001), 9.223_372e18].map(f64::from));
            } else {
                all.extend([5e-324, -5e-324, f64::MIN_POSITIVE, f64::from_bits(0xf_ffff_ffff_ffff)]);
                all.extend([f64::MAX, f64::MIN, 1.0 - f64::EPSILON / 2.0, 4_503_599_627_370_497.5, 9.3e18, 1e38]);
                all.extend([9_223_372_036_854_774_784.0, 9_223_372_036_854_775_808.0, -9_223_372_036_854_775_808.0]);
                // Ties of binary32: between its subnormals, at its smallest and at its largest.
                all.extend([
                    2f64.powi(-150),
                    3.0 * 2f64.powi(-150),
                    f64::from(f32::MAX) + 2f64.powi(103),
                    0.125,
                    0.005,
                ]);
                all.push(f64::from_bits(0x7ff0_0000_0000_0001));
            }
            let narrow = |v: f64| if *ty == Type::Float32 { f64::from(v as f32) } else { v };
            all.into_iter().map(narrow).map(Value::Float).collect()
        }
        Type::Date => ints(
            // 1969-12-31, 1970-01-01, 2000-02-29, year 0, 9999-12-31, ends and starts of ISO years.
            &[11_016, -719_528, -719_468, 2_932_896, 10_956, 10_957, 14_612, 16_435, 18_261, -141_428, -106_752],
            (i32::MIN.into(), i32::MAX.into()),
        ),
        Type::Timestamp(unit) => {
            let day = 86_400 * unit.per_second();
            ints(
                &[day, day - 1, -day, -day - 1, 11_016 * day + 3_661 * unit.per_second(), 1_359_609_967_089, -1_001],
                (i64::MIN.into(), i64::MAX.into()),
            )
        }
        ty => ints(
            &[1 << 31, (1 << 32) - 1, 1 << 32, 3_037_000_500, 4_294_967_297, (1 << 53) + 1, i64::MIN + 1],
            ty.integer_range().unwrap_or((i64::MIN.into(), i64::MAX.into())),
        ),
    }
}

/// As [`hostile`], and null.
pub fn with_null(ty: &Type) -> Vec<Value> {
    let mut values = hostile(ty);
    values.push(Value::Null);
    values
}

/// All pairs of values of two types.
pub fn pairs(a: &Type, b: &Type) -> Vec<Vec<Value>> {
    let right = with_null(b);
    with_null(a).iter().flat_map(|x| right.iter().map(move |y| vec![x.clone(), y.clone()])).collect()
}
