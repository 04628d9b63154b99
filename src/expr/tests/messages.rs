//! The texts of errors, whole.

use crate::column::{Field, FieldType, Schema, Type, Unit};
use crate::expr::{Binder, parse};

fn schema() -> Schema {
    let mut fields = vec![
        Field::new("carrier", Type::Str),
        Field::new("dep_delay", Type::Int32),
        Field::new("Dep Time", Type::Timestamp(Unit::Micro)),
        Field::new("day", Type::Date),
        Field::new("price", Type::Decimal { precision: 38, scale: 20 }),
        Field::new("late", Type::Bool),
        Field::new("blob", Type::Null),
    ];
    fields[6].ty = FieldType::Unsupported("Binary".into());
    Schema { fields }
}

#[track_caller]
fn message(text: &str, want: &str) {
    let schema = schema();
    let got = parse(text).and_then(|e| Binder::new(&schema).bind_condition(&e));
    let got = got.map(|_| ()).expect_err(text).to_string();
    // The middle of a message is the expression and a caret; `at` is where the caret stands.
    let lines: Vec<&str> = got.split('\n').collect();
    assert_eq!(lines.len(), 4, "{got}");
    let at = lines[2].chars().count() - 3;
    assert_eq!(lines[1].trim_start(), text);
    assert_eq!(format!("{} @{at}{}", lines[0], lines[3].trim_end()), want.trim_end(), "{text}");
}

#[test]
fn names() {
    message("dep_dely > 15", "unknown column `dep_dely` @0  (did you mean `dep_delay`?)");
    message("1 < DepTime", "unknown column `DepTime` @4  (did you mean `\"Dep Time\"`?)");
    message("carrier = AA", "unknown column `AA` @10  (columns: carrier, dep_delay, Dep Time, day, price, late, blob)");
    message(
        "blob is null",
        "column `blob` has type Binary, which tidemill cannot read @0  (use other columns, or convert it in the file)",
    );
    message("lowr(carrier) = 'a'", "unknown function `lowr` @0  (did you mean `lower`?)");
    message(
        "1 + sum(dep_delay) > 2",
        "the aggregate `sum` cannot stand here: there is one row, not a group, in `sum(dep_delay)` @4  (aggregates stand after --by, and in --having and --order-by)",
    );
    message("substr(carrier) = 'a'", "`substr` needs a position @7  (write substr(text, from, length))");
    message("abs(1, 2) > 0", "`abs` takes 1 argument, not 2: `abs(1, 2)` @0 ");
}

#[test]
fn types() {
    message("dep_delay = '5'", "cannot compare int32 with string in `dep_delay = '5'` @0  (write 5 without quotes)");
    message(
        "dep_delay = 'x'",
        "cannot compare int32 with string in `dep_delay = 'x'` @0  (write cast(dep_delay as string))",
    );
    message("carrier > 5", "cannot compare string with int64 in `carrier > 5` @0  (write cast(carrier as int64))");
    message("carrier + 1 > 2", "cannot compute string + int64 in `carrier + 1` @0  (write cast(carrier as float64))");
    message("late = 1", "cannot compare bool with int64 in `late = 1` @0  (write true or false instead of a number)");
    message("dep_delay", "`dep_delay` is int32; a condition must be bool @0  (compare it: dep_delay <> 0)");
    message("late and dep_delay", "`dep_delay` is int32; a condition must be bool @9  (compare it: dep_delay <> 0)");
    message(
        "price * price > 0",
        "decimal(38,20) * decimal(38,20) has 40 digits after the point in `price * price`; the most is 38 @0  (cast one side to a decimal with fewer, or to float64)",
    );
    message(
        "\"Dep Time\" + 1 > 0",
        "cannot compute timestamp(us) + int64 in `\"Dep Time\" + 1` @0  (a date plus an integer adds days; for ticks write cast(cast(x as int64) + n as timestamp(us)))",
    );
    message("day = 'yesterday'", "'yesterday' cannot be read as date in `day = 'yesterday'` @0  (write 'YYYY-MM-DD')");
    message(
        "year(carrier) = 2013",
        "`year` needs a date or timestamp, but `carrier` is string @5  (write cast(carrier as date) or cast(carrier as timestamp))",
    );
    message(
        "case when late then 1 else 'a' end = 1",
        "the branches of `case` are int64 and string in `case when late then 1 else 'a' end`; they need one type @0  (cast the int64 to string)",
    );
    message(
        "lower(dep_delay) = 'a'",
        "`lower` needs a string, but `dep_delay` is int32 @6  (write cast(dep_delay as string))",
    );
    message(
        "cast(late as date) is null",
        "cannot cast bool to date in `cast(late as date)` @5  (cast it to int64 first, then that to days or ticks)",
    );
    message(
        "carrier like dep_delay",
        "`like` needs a string, but `dep_delay` is int32 @13  (write cast(dep_delay as string))",
    );
    message("sqrt(carrier) > 1", "`sqrt` needs a number, but `carrier` is string @5  (write cast(carrier as float64))");
    message(
        "date_trunc('eon', day) is null",
        "unknown unit 'eon' @11  (units: year, quarter, month, week, day, hour, minute, second, millisecond, microsecond)",
    );
    message(
        "time_bucket('5 parsecs', day) is null",
        "'5 parsecs' is not a span of time @12  (spans are like 10s, '10 seconds', 500ms, 5m or '1 hour 30 minutes')",
    );
    message(
        "time_bucket('12h', day) is null",
        "'12h' is no whole number of the ticks of `day`, which is date (a tick is 1 day) @12 ",
    );
    message(
        "round(1.5, dep_delay) > 1",
        "the digits of `round` must be a constant integer, but `dep_delay` is not @11  (write round(x, 2))",
    );
}

#[test]
fn syntax() {
    message("a >", "expected an expression, found the end @3 ");
    message("(a", "expected ), found the end @2 ");
    message("a b", "expected the end of the expression, found `b` @2 ");
    message("count(distinct carrier)", "`distinct` inside `count` is not supported @0  (write count_distinct(x))");
    message("carrier in (select 1)", "subqueries are not supported @0 ");
    message("rank() over (order by a) = 1", "window functions (`rank(…) over`) are not supported @0 ");
    message("dep_delay ^ 2 > 1", "the operator `^` is not supported @0  (for a power write pow(a, b))");
    message(
        "cast(carrier as blob)",
        "unknown type 'blob' @5  (types: bool, int8…int64, uint8…uint64, float32, float64, decimal(p,s), date, timestamp(s|ms|us|ns), string)",
    );
    message("day > date '2013-02-30'", "'2013-02-30' is not a date (YYYY-MM-DD) @11 ");
    message("carrier = 'AA", "unterminated string literal @10 ");
    message(
        "extract(eon from day) = 1",
        "unknown field `eon` @17  (fields: year, quarter, month, week, isoyear, day, dow, isodow, doy, hour, minute, second, millisecond, microsecond)",
    );
    message("1e999 > 1", "the number 1e999 is too large for float64 @0 ");
    message("day + interval '1' day > day", "intervals are not supported @15  (a date plus an integer adds days)");
}
