//! Printing and parsing back.

use proptest::prelude::*;

use crate::column::{Type, Unit, Value};
use crate::expr::{
    BinaryOp, Expr, ExprNode, UnaryOp, case, col, lit, null, parse, parse_assignment, parse_item, parse_items,
    parse_order,
};

#[track_caller]
fn reads(text: &str, want: Expr, printed: &str) {
    let got = parse(text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(got, want, "{text}");
    assert_eq!(got.to_string(), printed, "{text}");
}

#[test]
fn builders_and_text_make_the_same_trees() {
    reads("a + b * 2", col("a") + col("b") * 2, "a + b * 2");
    reads("(a + b) * 2", (col("a") + col("b")) * 2, "(a + b) * 2");
    reads("a - (b - c)", col("a") - (col("b") - col("c")), "a - (b - c)");
    reads("a-b-c", col("a") - col("b") - col("c"), "a - b - c");
    reads("not a and b or c", (!col("a")).and(col("b")).or(col("c")), "not a and b or c");
    reads("\"Dep Time\" IS NOT NULL", col("Dep Time").is_not_null(), "\"Dep Time\" is not null");
    reads("\"a\"\"b\"", col("a\"b"), "\"a\"\"b\"");
    reads("Sepal.Length / 2", col("Sepal.Length") / 2, "\"Sepal.Length\" / 2");
    reads("-x", -col("x"), "-x");
    reads("- 5", lit(-5), "-5");
    reads("-(5)", -lit(5), "-(5)");
    reads("-9223372036854775808", lit(i64::MIN), "-9223372036854775808");
    reads("1.50", lit(1.5), "1.5");
    reads("1e300", lit(1e300), "1e+300");
    reads("-0.0", lit(-0.0), "-0.0");
    reads("'it''s'", lit("it's"), "'it''s'");
    reads("NULL", null(), "null");
    reads("TRUE", lit(true), "true");
    reads("x in (1, 2)", col("x").in_list([1, 2]), "x in (1, 2)");
    reads("x::int64", col("x").cast(Type::Int64), "cast(x as int64)");
    reads(
        "try_cast(x as timestamp(ms))",
        col("x").try_cast(Type::Timestamp(Unit::Milli)),
        "try_cast(x as timestamp(ms))",
    );
    reads("case when a then 1 else 2 end", case([(col("a"), lit(1))], 2), "case when a then 1 else 2 end");
    reads("x like 'a%'", col("x").like("a%"), "x like 'a%'");
    reads("x between 1 and 2 and y", col("x").between(1, 2).and(col("y")), "x between 1 and 2 and y");
    reads("COUNT(*)", crate::expr::call("count", []), "count()");
    reads("if(a = 1, b, c)", crate::expr::call("if", [col("a").eq(1), col("b"), col("c")]), "if(a = 1, b, c)");
    reads(
        "unnest(top_k(x, 2))",
        crate::expr::call("unnest", [crate::expr::call("top_k", [col("x"), lit(2)])]),
        "unnest(top_k(x, 2))",
    );
    reads("a // b", col("a").int_div(col("b")), "a // b");
    reads("date '2013-01-31'", ExprNode::Literal(Value::Int(15_736), Type::Date).into(), "date '2013-01-31'");
    assert_eq!(parse(&lit(f64::NAN).to_string()).unwrap(), lit(f64::NAN));
    assert_eq!(lit(u64::MAX).to_string(), "18446744073709551615");
}

#[test]
fn items_names_and_orders() {
    let (expr, name) = parse_item("max(v1) - min(v2) as spread").unwrap();
    assert_eq!((expr.to_string().as_str(), name.as_deref()), ("max(v1) - min(v2)", Some("spread")));
    assert_eq!(parse_item("count()").unwrap().1, None);
    assert_eq!(parse_item("sum(x) as \"the sum\"").unwrap().1.as_deref(), Some("the sum"));
    let items = parse_items("carrier, substr(d, 1, 2) as p").unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[1].1.as_deref(), Some("p"));
    let (name, expr) = parse_assignment("late = dep_delay >= 15").unwrap();
    assert_eq!((name.as_str(), expr.to_string().as_str()), ("late", "dep_delay >= 15"));
    assert_eq!(parse_assignment("\"a b\" = 1").unwrap().0, "a b");
    let order = parse_order("sum(x) desc, a nulls first, b asc nulls last").unwrap();
    let flags: Vec<_> = order.iter().map(|o| (o.descending, o.nulls_first)).collect();
    assert_eq!(flags, [(true, None), (false, Some(true)), (false, Some(false))]);
}

#[test]
fn every_word_the_parser_knows_can_name_a_column() {
    let mut wrong = vec![];
    for word in sqlparser::keywords::ALL_KEYWORDS {
        let name = word.to_lowercase();
        let x = || col(name.as_str());
        for expr in [
            x(),
            x() + 1,
            lit(1) + x(),
            x().eq("a"),
            (!x()).and(x()),
            x().is_null(),
            x().between(x(), x()),
            x().in_list([x(), x()]),
            -x(),
            case([(x(), x())], x()),
            crate::expr::call("f", [x(), x()]),
            x().cast(Type::Date),
            x().like(x()),
        ] {
            let text = expr.to_string();
            if parse(&text).ok() != Some(expr) {
                wrong.push((word, text));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        prop::sample::select(vec!["a", "b c", "Über", "select", "x1", "date"]).prop_map(col),
        any::<i64>().prop_map(lit),
        any::<u64>().prop_map(lit),
        prop::num::f64::ANY.prop_map(lit),
        any::<bool>().prop_map(lit),
        "[a-z'%_ é\\\\]{0,4}".prop_map(lit),
        Just(null()),
        (-800_000i64..3_000_000).prop_map(|d| ExprNode::Literal(Value::Int(d), Type::Date).into()),
        (any::<i64>(), prop::sample::select(vec![Unit::Second, Unit::Milli, Unit::Micro, Unit::Nano]))
            .prop_map(|(t, unit)| ExprNode::Literal(Value::Int(t / 1_000_000), Type::Timestamp(unit)).into()),
    ]
}

pub(super) fn tree() -> impl Strategy<Value = Expr> {
    let ops = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::IntDiv,
        BinaryOp::Rem,
        BinaryOp::Concat,
        BinaryOp::Eq,
        BinaryOp::Ne,
        BinaryOp::Lt,
        BinaryOp::Le,
        BinaryOp::Gt,
        BinaryOp::Ge,
        BinaryOp::And,
        BinaryOp::Or,
    ];
    let types = vec![
        Type::Int8,
        Type::UInt64,
        Type::Float32,
        Type::Str,
        Type::Bool,
        Type::Decimal { precision: 9, scale: 2 },
        Type::Timestamp(Unit::Nano),
        Type::Date,
    ];
    leaf().prop_recursive(5, 40, 4, move |inner| {
        let e = inner.clone();
        let b = move || e.clone().prop_map(Box::new);
        prop_oneof![
            4 => (prop::sample::select(ops.to_vec()), b(), b()).prop_map(|(op, l, r)| ExprNode::Binary(op, l, r).into()),
            1 => b().prop_map(|x| ExprNode::Unary(UnaryOp::Neg, x).into()),
            1 => b().prop_map(|x| ExprNode::Unary(UnaryOp::Not, x).into()),
            1 => (b(), any::<bool>()).prop_map(|(operand, negated)| ExprNode::IsNull { operand, negated }.into()),
            1 => (b(), any::<bool>(), any::<bool>()).prop_map(|(operand, value, negated)| ExprNode::IsBool { operand, value, negated }.into()),
            1 => (b(), b(), any::<bool>()).prop_map(|(left, right, negated)| ExprNode::IsDistinct { left, right, negated }.into()),
            1 => (b(), b(), b(), any::<bool>()).prop_map(|(operand, low, high, negated)| ExprNode::Between { operand, low, high, negated }.into()),
            1 => (b(), prop::collection::vec(inner.clone(), 1..3), any::<bool>()).prop_map(|(operand, list, negated)| ExprNode::InList { operand, list, negated }.into()),
            1 => (prop::option::of(b()), prop::collection::vec((inner.clone(), inner.clone()), 1..3), prop::option::of(b())).prop_map(|(operand, whens, else_)| ExprNode::Case { operand, whens, else_ }.into()),
            1 => (b(), prop::sample::select(types.clone()), any::<bool>()).prop_map(|(operand, ty, try_)| ExprNode::Cast { operand, ty, try_ }.into()),
            1 => (b(), b(), prop::option::of(prop::sample::select(vec!['!', '\\', '\''])), any::<bool>(), any::<bool>()).prop_map(|(operand, pattern, escape, case_insensitive, negated)| ExprNode::Like { operand, pattern, escape, case_insensitive, negated }.into()),
            1 => (prop::sample::select(vec!["f", "substr", "trim", "floor", "left", "sum", "replace"]), prop::collection::vec(inner.clone(), 1..2)).prop_map(|(name, mut args)| {
                if name == "substr" { args.push(lit(1)); }
                crate::expr::call(name, args)
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back(expr in tree()) {
        let text = expr.to_string();
        let back = parse(&text);
        prop_assert!(back.is_ok(), "{text}: {:?}", back);
        prop_assert_eq!(back.unwrap(), expr, "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z0-9 ()'\",.*+=<>|%é-]{0,40}") {
        let _ = parse(&text);
        let _ = parse_item(&text);
        let _ = parse_order(&text);
        let _ = parse_assignment(&text);
    }
}

#[test]
fn chains_and_nests_too_deep_are_refused_not_overflowed() {
    for text in [
        format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)),
        "a+".repeat(100_000) + "a",
        "a-".repeat(100_000) + "a",
        "not ".repeat(10_000) + "a",
        "-".repeat(3).replace('-', "- ").repeat(2_000) + "a",
        "a or ".repeat(3_000) + "a",
        "case when a then ".repeat(5_000),
        "case when a then ".repeat(14),
        "case when a then ".repeat(14) + "end" + &" end".repeat(13),
        format!("{}a{}", "case when a then ".repeat(20), " end".repeat(20)),
        "f(".repeat(5_000),
    ] {
        assert!(parse(&text).is_err());
    }
    let long = format!("x in ({}1)", "-5, ".repeat(20_000));
    assert!(parse(&long).is_ok());
    let schema = crate::column::Schema { fields: vec![crate::column::Field::new("a", Type::Bool)] };
    let chain = parse(&("a or ".repeat(150) + "not a")).unwrap();
    assert!(crate::expr::Binder::new(&schema).bind(&chain).is_ok());
    assert!(parse(&format!("{}a{}", "case when a then ".repeat(14), " end".repeat(14))).is_ok());
    assert!(parse(&format!("case {} end", "when a = 1 and b then c + 1 ".repeat(1_000))).is_ok());
}
