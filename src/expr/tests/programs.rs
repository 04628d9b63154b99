//! The program a tree becomes: merged nodes, ranges, what may fail, and the split between host and device.

use std::sync::Arc;

use super::{chunk, chunk_for, column};
use crate::column::{Column, ColumnData, Dictionary, Field, Schema, Type, Unit, Value};
use crate::expr::{Binder, Evaluator, NodeId, Op, Origin, Program, VectorData, eval, eval_row, parse};

fn bind(text: &str) -> (Program, NodeId) {
    let fields = vec![
        Field::new("a", Type::Int32),
        Field::new("b", Type::Int64),
        Field::new("x", Type::Float64),
        Field::new("s", Type::Str),
        Field::new("t", Type::Str),
        Field::new("d", Type::Date),
        Field::new("ts", Type::Timestamp(Unit::Second)),
    ];
    let schema = Schema { fields };
    let mut binder = Binder::new(&schema);
    let id = binder.bind(&parse(text).unwrap()).unwrap_or_else(|e| panic!("{e}"));
    (binder.finish(), id)
}

#[test]
fn equal_parts_are_one_node() {
    let (program, _) = bind("(b + 1) * (b + 1) + (b + 1)");
    let sums = program.nodes.iter().filter(|n| n.op == Op::Add).count();
    assert_eq!(sums, 2);
    assert_eq!(program.columns.len(), 1);
}

#[test]
fn ranges_prove_what_cannot_fail() {
    for (text, can_fail, range) in [
        ("a + 1", false, (i64::from(i32::MIN) + 1, i64::from(i32::MAX) + 1)),
        ("a * a", false, (-(1 << 31) * ((1 << 31) - 1), 1 << 62)),
        ("b + 1", true, (i64::MIN + 1, i64::MAX)),
        ("month(d)", false, (1, 12)),
        ("month(d) * 100 + day(d)", false, (101, 1231)),
        ("hour(ts)", false, (0, 23)),
        ("a // 10", false, (-(1 << 31), 1 << 31)),
        ("a % 10", false, (-9, 9)),
        ("b // a", true, (i64::MIN, i64::MAX)),
        ("abs(a)", false, (0, 1 << 31)),
        ("case when x > 0 then 1 when x < 0 then -1 end", false, (-1, 1)),
        ("length(s)", false, (0, i64::MAX)),
        ("cast(s as int8)", true, (-128, 127)),
        ("try(b + 1)", false, (i64::MIN + 1, i64::MAX)),
        ("date_trunc('month', d)", true, (i64::from(i32::MIN), i64::from(i32::MAX))),
    ] {
        let (program, id) = bind(text);
        let node = program.node(id);
        assert_eq!((node.can_fail, node.range), (can_fail, range), "{text}");
    }
    let (program, id) = bind("x / 2 + 1");
    assert!(!program.node(id).can_fail);
    let (program, id) = bind("x / a");
    assert!(program.node(id).can_fail);
    let (program, id) = bind("coalesce(a, 0)");
    assert!(!program.node(id).nullable);
}

#[test]
fn constants_fold_but_failures_stay() {
    let (program, id) = bind("1 + 2 * 3");
    assert_eq!(program.node(id).op, Op::Literal(Value::Int(7)));
    let (program, id) = bind("a > 0 or 1 // 0 = 1");
    assert!(program.node(id).can_fail);
    assert_eq!(eval(&program, id, &[Value::Int(1)]), Ok(Value::Bool(true)));
    let fault = eval(&program, id, &[Value::Int(0)]).unwrap_err();
    assert_eq!(program.node(fault.node).text, "1 // 0");
    let place = crate::Place { row: Some(5), ..Default::default() };
    assert_eq!(
        fault.into_error(&program, place).to_string(),
        "row 5: 1 // 0 divides by zero in `1 // 0` (try(1 // 0) gives null instead)"
    );
}

#[test]
fn host_and_device_share_the_work() {
    let (program, id) = bind("case when starts_with(s, 'a') and exp(x) > 2 then a + 1 else 0 end");
    let split = program.split(&[id]);
    let ops: Vec<&Op> = split.host.iter().map(|id| &program.node(*id).op).collect();
    assert!(matches!(ops[..], [Op::StrLut(_), Op::Exp]), "{ops:?}");
    let columns: Vec<&str> = split.columns.iter().map(|c| program.columns[*c].name.as_str()).collect();
    assert_eq!(columns, ["a"]);
    assert!(split.device.contains(&id));
    let (program, id) = bind("s");
    assert_eq!(program.split(&[id]).host, []);
    let (program, id) = bind("coalesce(s, 'none')");
    assert_eq!(program.split(&[id]).host, [id]);
}

#[test]
fn strings_have_one_dictionary_all_through_a_run() {
    let origin = |text: &str| {
        let (program, id) = bind(text);
        (program.origin(id), id)
    };
    assert_eq!(origin("s").0, Some(Origin::Column(0)));
    assert_eq!(origin("nullif(s, 'x')").0, Some(Origin::Column(0)));
    assert_eq!(origin("case when a > 0 then s end").0.map(|o| matches!(o, Origin::Column(_))), Some(true));
    let (found, id) = origin("upper(s)");
    assert_eq!(found, Some(Origin::Node(id)));
    let (found, id) = origin("coalesce(s, t)");
    assert_eq!(found, Some(Origin::Node(id)));
    assert_eq!(origin("length(s)").0, None);
}

/// The dictionary grows between chunks; tables follow, and codes given before stay.
#[test]
fn tables_grow_with_their_dictionary() {
    let (program, id) = bind("coalesce(nullif(upper(s), 'B'), t)");
    let program = Arc::new(program);
    let (s, t) = (Dictionary::new(), Dictionary::new());
    let strings = |dict: &Arc<Dictionary>, texts: &[&str]| Column {
        ty: Type::Str,
        data: ColumnData::Str { codes: dict.intern_all(texts.iter().copied()).unwrap().into(), dict: Arc::clone(dict) },
        nulls: None,
    };
    let mut seen: Vec<(u32, String)> = vec![];
    let mut dict: Option<Arc<Dictionary>> = None;
    for (left, right, want) in [
        (&["a", "b"][..], &["x", "y"][..], &["A", "y"][..]),
        (&["c", "a", "b"], &["x", "z", "a"], &["C", "A", "a"]),
        (&[], &[], &[]),
    ] {
        let columns = vec![strings(&s, left), strings(&t, right)];
        let chunk = chunk(columns, left.len());
        let mut evaluator = Evaluator::new(Arc::clone(&program));
        let mut morsel = evaluator.morsel(&chunk, 0..chunk.rows);
        let VectorData::Str { codes, dict: own } = &morsel.vector(id).unwrap().data else { panic!("not strings") };
        assert!(dict.replace(Arc::clone(own)).is_none_or(|d| Arc::ptr_eq(&d, own)));
        let texts: Vec<String> = codes.iter().map(|c| own.read().get(*c).to_string()).collect();
        assert_eq!(texts, want);
        seen.extend(codes.iter().copied().zip(texts));
        for (code, text) in &seen {
            assert_eq!(own.read().get(*code), text);
        }
    }
}

#[test]
fn evaluators_share_tables_across_threads() {
    let (program, id) = bind("length(upper(s) || 'x')");
    let program = Arc::new(program);
    let dict = Dictionary::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (program, dict) = (Arc::clone(&program), Arc::clone(&dict));
            scope.spawn(move || {
                let mut evaluator = Evaluator::new(program);
                for round in 0..50usize {
                    let texts: Vec<String> = (0..40).map(|i| "é".repeat((i * thread + round) % 60)).collect();
                    let codes = dict.intern_all(texts.iter().map(String::as_str)).unwrap();
                    let data = ColumnData::Str { codes: codes.into(), dict: Arc::clone(&dict) };
                    let chunk = chunk(vec![Column { ty: Type::Str, data, nulls: None }], 40);
                    let mut morsel = evaluator.morsel(&chunk, 0..40);
                    let VectorData::Int(lengths) = &morsel.vector(id).unwrap().data else { panic!("not integers") };
                    let want: Vec<i64> = texts.iter().map(|t| t.chars().count() as i64 + 1).collect();
                    assert_eq!(**lengths, want);
                }
            });
        }
    });
}

#[test]
fn plain_columns_are_borrowed() {
    let (program, id) = bind("b");
    let values = column(&Type::Int64, &[Value::Int(1), Value::Int(2), Value::Int(3)]);
    let chunk = chunk(vec![values], 3);
    let mut evaluator = Evaluator::new(Arc::new(program));
    let mut morsel = evaluator.morsel(&chunk, 1..3);
    let VectorData::Int(std::borrow::Cow::Borrowed(rows)) = morsel.vector(id).unwrap().data else { panic!("copied") };
    assert_eq!(rows, [2, 3]);
}

#[test]
fn a_choice_that_is_always_the_same_is_no_work() {
    let (program, id) = bind("case when b is not null then a end");
    let program = Arc::new(program);
    let (a, b) = ([Value::Int(5), Value::Int(6), Value::Int(7)], [Value::Int(1), Value::Null, Value::Int(3)]);
    let of = |b: &[Value]| {
        let values = |name: &str| if name == "a" { &a[..] } else { b };
        chunk(program.columns.iter().map(|c| column(&c.ty, values(&c.name))).collect(), 3)
    };
    let mut evaluator = Evaluator::new(Arc::clone(&program));
    let full = of(&a);
    let mut morsel = evaluator.morsel(&full, 0..3);
    assert_eq!(morsel.stored(id), Some(&[5, 6, 7][..]));
    let vector = morsel.vector(id).unwrap();
    assert!(vector.valid.is_none() && matches!(&vector.data, VectorData::Int(v) if **v == [5, 6, 7]));
    drop(morsel);
    let nulls = of(&b);
    let mut morsel = evaluator.morsel(&nulls, 0..3);
    assert_eq!(morsel.stored(id), None);
    assert_eq!(morsel.vector(id).unwrap().valid.as_deref(), Some(&[1, 0, 1][..]));
}

#[test]
fn a_row_of_a_chunk_can_be_asked_for() {
    let (program, id) = bind("b // a");
    let columns: Vec<Column> = program
        .columns
        .iter()
        .map(|c| column(&c.ty, &[Value::Int(6), if c.name == "a" { Value::Int(0) } else { Value::Int(9) }]))
        .collect();
    let chunk = chunk(columns, 2);
    assert_eq!(eval_row(&program, id, &chunk, 0), Ok(Value::Int(1)));
    assert_eq!(eval_row(&program, id, &chunk, 1).unwrap_err().message, "9 // 0 divides by zero");
    // A morsel in which one row fails fails in that row only.
    let program = Arc::new(program);
    let mut evaluator = Evaluator::new(Arc::clone(&program));
    let mut morsel = evaluator.morsel(&chunk, 0..2);
    assert_eq!(morsel.vector(id).unwrap().error.as_deref(), Some(&[0, 1][..]));
    let _ = chunk_for(&program, &chunk.columns, 2);
}
