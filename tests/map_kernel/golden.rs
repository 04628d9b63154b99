//! One generated kernel as text, and what the generator refuses. `TIDEMILL_BLESS=1` writes the golden file anew.

use tidemill::column::Type;
use tidemill::expr::wgsl::{Form, InputFrom, MapInput, MapOutput, Stored, map_kernel};
use tidemill::expr::{Binder, parse};
use tidemill::kernel::Shape;

use crate::run::{stored, text, validate};
use crate::table::schema;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/map_kernel/golden.wgsl");

#[test]
fn the_text_of_a_kernel() {
    let schema = schema(&[
        ("vendor", Type::Str),
        ("pickup", Type::Timestamp(tidemill::column::Unit::Second)),
        ("fare", Type::Float64),
        ("tip", Type::Float64),
        ("seats", Type::UInt8),
        ("total", Type::Int64),
    ]);
    let mut binder = Binder::new(&schema);
    let mut bind = |text: &str| binder.bind(&parse(text).unwrap()).unwrap();
    let filter = bind("fare > 0 and seats < 7");
    let keys = ["vendor", "year(pickup)", "month(pickup)"].map(&mut bind);
    let values = ["tip / fare", "total * seats", "coalesce(try(total // seats), 0)"].map(&mut bind);
    let program = binder.finish();
    let outputs: Vec<MapOutput> = keys
        .iter()
        .map(|node| MapOutput { node: *node, form: Form::Key })
        .chain(values.iter().map(|node| MapOutput { node: *node, form: Form::Value }))
        .collect();
    let kernel = map_kernel(&program, Some(filter), &outputs, &|from| match *from {
        InputFrom::Column(column) => (stored(&program.columns[column].ty), program.columns[column].name == "tip"),
        _ => unreachable!("the host computes nothing here"),
    })
    .unwrap();
    validate(&text(&Shape { workgroup: 64, items: 1, subgroups: None }, &kernel));
    // The part before the entry point is shaders/map.wgsl.
    let body = &kernel.text[kernel.text.find("@compute").unwrap()..];
    if std::env::var("TIDEMILL_BLESS").is_ok_and(|v| v == "1") {
        std::fs::write(GOLDEN, body).unwrap();
    }
    assert_eq!(body, std::fs::read_to_string(GOLDEN).unwrap());
    assert_eq!(kernel.inputs[0], MapInput { from: InputFrom::Column(0), stored: Stored::F64, nullable: false });
    assert_eq!(kernel.planes, 1 + 1 + 2 + 2 + 3 + 2 + 3);
    assert_eq!(kernel.outputs[3].valid, Some(kernel.outputs[3].first + 2));
}

#[test]
fn an_input_of_another_class_is_refused() {
    let schema = schema(&[("a", Type::Int64)]);
    let mut binder = Binder::new(&schema);
    let node = binder.bind(&parse("a").unwrap()).unwrap();
    let program = binder.finish();
    let outputs = [MapOutput { node, form: Form::Value }];
    let error = map_kernel(&program, None, &outputs, &|_| (Stored::F64, false)).unwrap_err();
    assert!(error.to_string().contains("cannot be stored as F64"), "{error}");
}
