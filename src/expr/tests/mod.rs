//! What expressions mean: literal expectations, each checked on both evaluators; agreement of the two on random
//! programs; the texts of errors; printing and parsing back.

mod agree;
mod messages;
mod programs;
mod semantics;
mod syntax;

use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, NullBuffer};

use super::{Binder, Expr, ExprNode, NodeId, Program, VectorData, eval, parse};
use crate::column::{Chunk, Column, ColumnData, Dictionary, Field, RowsFrom, Schema, Type, Value};

/// A column of these values.
fn column(ty: &Type, values: &[Value]) -> Column {
    let int = |v: &Value| if let Value::Int(v) = v { *v } else { 77 };
    let wide = |v: &Value| if let Value::Wide(v) = v { *v } else { 77 };
    let float = |v: &Value| if let Value::Float(v) = v { *v } else { 77.0 };
    macro_rules! ints {
        ($variant:ident, $ty:ty) => {
            ColumnData::$variant(values.iter().map(|v| int(v) as $ty).collect())
        };
    }
    let data = match ty {
        Type::Null | Type::Bool => {
            ColumnData::Bool(BooleanBuffer::collect_bool(values.len(), |i| values[i] == Value::Bool(true)))
        }
        Type::Int8 => ints!(I8, i8),
        Type::Int16 => ints!(I16, i16),
        Type::Int32 | Type::Date => ints!(I32, i32),
        Type::UInt8 => ints!(U8, u8),
        Type::UInt16 => ints!(U16, u16),
        Type::UInt32 => ints!(U32, u32),
        Type::UInt64 => ColumnData::U64(values.iter().map(|v| wide(v) as u64).collect()),
        Type::Decimal { .. } => ColumnData::I128(values.iter().map(wide).collect()),
        Type::Float32 => ColumnData::F32(values.iter().map(|v| float(v) as f32).collect()),
        Type::Float64 => ColumnData::F64(values.iter().map(float).collect()),
        Type::Str => {
            let dict = Dictionary::new();
            let codes = values
                .iter()
                .map(|v| if let Value::Str(text) = v { dict.intern(text).unwrap() } else { 1_000_000 })
                .collect();
            ColumnData::Str { codes, dict }
        }
        _ => ints!(I64, i64),
    };
    let nulls = NullBuffer::from_iter(values.iter().map(|v| !v.is_null()));
    Column { ty: ty.clone(), data, nulls: (nulls.null_count() > 0).then_some(nulls) }
}

fn chunk(columns: Vec<Column>, rows: usize) -> Chunk {
    Chunk { rows, columns, origin: Arc::new(RowsFrom { first: 0 }) }
}

/// The chunk a program reads, from all columns of a schema.
fn chunk_for(program: &Program, columns: &[Column], rows: usize) -> Chunk {
    chunk(program.columns.iter().map(|c| columns[c.column].clone()).collect(), rows)
}

/// The vector evaluator's results for one node: a value, or `None` for an error.
fn vector_results(program: Arc<Program>, id: NodeId, chunk: &Chunk) -> Vec<Option<Value>> {
    let mut evaluator = super::Evaluator::new(program);
    let mut morsel = evaluator.morsel(chunk, 0..chunk.rows);
    let vector = morsel.vector(id).unwrap();
    assert_eq!(vector.len(), chunk.rows);
    (0..chunk.rows)
        .map(|row| {
            if vector.is_error(row) {
                return None;
            }
            if vector.is_null(row) {
                return Some(Value::Null);
            }
            Some(match &vector.data {
                VectorData::Bool(v) => Value::Bool(v[row] != 0),
                VectorData::Int(v) => Value::Int(v[row]),
                VectorData::Wide(v) => Value::Wide(v[row]),
                VectorData::Float(v) => Value::Float(v[row]),
                VectorData::Str { codes, dict } => Value::Str(dict.read().get(codes[row]).into()),
            })
        })
        .collect()
}

/// Equal, floats by their bits (but every NaN is one).
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        (a, b) => a == b,
    }
}

/// Binds without columns and evaluates by rows: `value type`, `! message` for an error of the row.
fn constant(expr: &Expr) -> crate::Result<String> {
    let schema = Schema::default();
    let mut binder = Binder::new(&schema);
    let id = binder.bind(expr)?;
    let program = binder.finish();
    Ok(show(&eval(&program, id, &[]), &program.node(id).ty))
}

fn show(result: &Result<Value, super::Fault>, ty: &Type) -> String {
    match result {
        Ok(Value::Null) => format!("null {ty}"),
        Ok(value) => format!("{} {ty}", value.text(ty)),
        Err(fault) => format!("! {}", fault.message),
    }
}

/// The same expression with every literal in a column of its own: nothing is constant then.
fn with_columns(expr: &Expr, columns: &mut Vec<(Type, Value)>) -> Expr {
    if let ExprNode::Literal(value, ty) = &expr.node {
        columns.push((ty.clone(), value.clone()));
        return super::col(format!("c{}", columns.len() - 1));
    }
    expr.try_map_children(|child| Ok::<_, ()>(with_columns(child, columns))).unwrap()
}

/// Checks an expression of literals: constant, by rows, and as vectors.
#[track_caller]
fn expect(text: &str, want: &str) {
    let expr = parse(text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(constant(&expr).unwrap_or_else(|e| panic!("{e}")), want, "{text} (constant)");
    let mut literals = vec![];
    let varying = with_columns(&expr, &mut literals);
    let fields = literals.iter().enumerate().map(|(i, (ty, _))| Field::new(format!("c{i}"), ty.clone())).collect();
    let schema = Schema { fields };
    let mut binder = Binder::new(&schema);
    // Some arguments must be constant.
    let Ok(id) = binder.bind(&varying) else { return };
    let program = Arc::new(binder.finish());
    let ty = program.node(id).ty.clone();
    let row: Vec<Value> = program.columns.iter().map(|c| literals[c.column].1.clone()).collect();
    let result = eval(&program, id, &row);
    assert_eq!(show(&result, &ty), want, "{text} (row)");
    // Three rows: all as given, one of nulls, as given again.
    let columns: Vec<Column> =
        literals.iter().map(|(ty, value)| column(ty, &[value.clone(), Value::Null, value.clone()])).collect();
    let chunk = chunk_for(&program, &columns, 3);
    let got = vector_results(Arc::clone(&program), id, &chunk);
    let nulls = vec![Value::Null; row.len()];
    for (got, result) in got.iter().zip([&result, &eval(&program, id, &nulls), &result]) {
        match (got, result) {
            (Some(got), Ok(want)) => assert!(same(got, want), "{text} (vector): {got:?}, not {want:?}"),
            (None, Err(_)) => {}
            (got, want) => panic!("{text} (vector): {got:?}, not {want:?}"),
        }
    }
}
