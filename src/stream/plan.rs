//! From a query to a plan: what may go together, and the job of a batch with its windows as a key.

use crate::agg::Function;
use crate::column::{Schema, Type};
use crate::expr::{self, Expr, ExprNode, Interval};
use crate::plan::{Job, Named, Output, Plan, PostInput, lower};
use crate::{Error, Result};

use super::OutputMode;
use super::window::{Spans, Window};

/// The name of the key of windows.
pub(crate) const WINDOW_START: &str = "window_start";
/// The name of the column that is made from it.
pub(crate) const WINDOW_END: &str = "window_end";

/// A query made ready for a schema.
#[derive(Debug, Clone)]
pub(crate) struct StreamPlan {
    /// The job of a batch. With windows, its first key is the start of the pane, and its first output that of the window.
    pub plan: Plan,
    pub windows: Option<Windows>,
}

/// What is needed to know of windows.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    pub spans: Spans,
    /// The type of the event time.
    pub ty: Type,
    /// The state that counts the rows of a group.
    pub rows: usize,
    /// The state that has the latest event time of a group.
    pub latest: usize,
    /// How far the watermark is behind the latest event time, in ticks.
    pub delay: Option<i64>,
}

/// Refuses what no stream can give.
///
/// # Errors
/// [`Error::Usage`]: what does not go together, and what would.
pub(crate) fn check(job: &Job, window: Option<&Window>, watermark: Option<Interval>, mode: OutputMode) -> Result<()> {
    let refuse = |message: &str, help: &str| Err(Error::Usage { message: message.into(), help: Some(help.into()) });
    match (mode, window, watermark) {
        (_, None, Some(_)) => {
            return refuse(
                "a watermark needs a window, whose event time it is of",
                "add --window 'tumbling 10s on ts'",
            );
        }
        (OutputMode::Append, None, _) => {
            return refuse(
                "mode append gives what will not change any more, and a group without a window may always change",
                "add --window and --watermark, or take --mode update or --mode complete",
            );
        }
        (OutputMode::Append, Some(_), None) => {
            return refuse(
                "mode append gives windows once they are closed, and without a watermark none ever is",
                "add --watermark 5s, or take --mode update or --mode complete",
            );
        }
        _ => {}
    }
    if mode != OutputMode::Complete && (!job.order.is_empty() || job.limit.is_some()) {
        return refuse(
            &format!("mode {mode} gives a part of the result at a time: it has no order and no limit"),
            "take --mode complete, or leave out --order-by and --limit",
        );
    }
    Ok(())
}

/// Makes the plan of a batch.
///
/// # Errors
/// As [`lower`]; an event time that is none.
pub(crate) fn plan(
    job: &Job,
    window: Option<&Window>,
    watermark: Option<Interval>,
    schema: &Schema,
) -> Result<StreamPlan> {
    let Some(window) = window else {
        return Ok(StreamPlan { plan: lower(job, schema)?, windows: None });
    };
    for name in job.keys.iter().map(Named::title).chain(job.aggregates.iter().map(Named::title)) {
        if name == WINDOW_START || name == WINDOW_END {
            return Err(Error::Usage {
                message: format!("'{name}' is what a window's own column is called"),
                help: Some(format!("give yours another name with 'as', not '{name}'")),
            });
        }
    }
    let mut job = job.clone();
    let pane = expr::lit(format!("{}ns", window.pane().nanos()).as_str());
    let start = expr::call("time_bucket", [pane, window.on.clone()]);
    job.keys.insert(0, Named { name: Some(WINDOW_START.into()), expr: start });
    // Last, so that they are easily taken away: nobody has asked to see them.
    let hidden = |name: &str, args: &[Expr]| Named {
        name: Some(format!("\u{1}{name}")),
        expr: Expr { node: ExprNode::Call { name: name.into(), args: args.to_vec() }, span: window.on.span.clone() },
    };
    job.aggregates.push(hidden("count", &[]));
    job.aggregates.push(hidden("max", std::slice::from_ref(&window.on)));
    let mut plan = lower(&job, schema)?;
    let ty = plan.outputs.first().map_or(Type::Null, |output| output.ty.clone());
    let per_second = match &ty {
        Type::Timestamp(unit) => Some(unit.per_second()),
        // A day is a tick, of which no whole number makes a second: the width is measured in days below.
        Type::Date => None,
        ty => {
            let message = format!("`{}` is {ty}, and no event time", window.on);
            return Err(Error::Usage { message, help: Some("an event time is a timestamp or a date: cast it".into()) });
        }
    };
    let latest = taken_away(&mut plan, Function::Max)?;
    let rows = taken_away(&mut plan, Function::CountRows)?;
    let (spans, delay) = match per_second {
        Some(per_second) => {
            // A delay between two ticks is rounded up: the watermark is never ahead of what was asked for.
            let tick = 1_000_000_000 / per_second;
            (window.spans(per_second)?, watermark.map(|delay| ceil(delay.nanos(), tick)))
        }
        None => {
            const DAY: i64 = 86_400;
            let Spans { width, slide, pane } = window.spans(1)?;
            let days = Spans { width: width / DAY, slide: slide / DAY, pane: pane / DAY };
            (days, watermark.map(|delay| ceil(delay.nanos(), DAY * 1_000_000_000)))
        }
    };
    Ok(StreamPlan { plan, windows: Some(Windows { spans, ty, rows, latest, delay }) })
}

/// How many ticks a span takes, begun ones too.
fn ceil(nanos: i64, tick: i64) -> i64 {
    nanos / tick + i64::from(nanos % tick != 0)
}

/// Takes the last output, a call of `function`, away; the state that it is made from.
fn taken_away(plan: &mut Plan, function: Function) -> Result<usize> {
    let call = plan.outputs.pop().as_ref().and_then(Output::node).and_then(|node| match plan.post.node(node).op {
        expr::Op::Column(column) => plan.post_inputs.get(column).copied(),
        _ => None,
    });
    match call {
        Some(PostInput::Call(call)) if plan.calls[call].function == function => {
            plan.calls[call].states.first().copied().ok_or_else(|| Error::internal("a call without a state"))
        }
        _ => Err(Error::internal("a window's own aggregate is not where it was put")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agg::StateKind;
    use crate::column::{Class, Field, Unit};
    use crate::plan::aggregate::sum;
    use crate::{col, lit};

    fn schema() -> Schema {
        let fields = vec![
            Field::new("ts", Type::Timestamp(Unit::Milli)),
            Field::new("day", Type::Date),
            Field::new("city", Type::Str),
            Field::new("fare", Type::Float64),
        ];
        Schema { fields }
    }

    #[test]
    fn a_window_is_the_first_key_and_its_own_aggregates_are_not_seen() {
        let job = Job::new().by(["city"]).aggregate(sum(col("fare")).named("total")).having(col("total").gt(lit(1)));
        let window: Window = "sliding 10s every 4s on ts".parse().unwrap();
        let planned = plan(&job, Some(&window), Some("1500us".parse().unwrap()), &schema()).unwrap();
        let names: Vec<&str> = planned.plan.outputs.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, [WINDOW_START, "city", "total"]);
        let windows = planned.windows.unwrap();
        assert_eq!(windows.spans, Spans { width: 10_000, slide: 4_000, pane: 2_000 });
        // A millisecond and a half is two ticks: the watermark must not be ahead.
        assert_eq!(windows.delay, Some(2));
        let states = &planned.plan.stage.states;
        assert_eq!(states[windows.rows].kind, StateKind::Rows);
        assert_eq!(states[windows.latest].kind, StateKind::Max(Class::Int));
    }

    #[test]
    fn days_are_ticks_of_dates() {
        let window: Window = "tumbling 1 week on day".parse().unwrap();
        let planned = plan(&Job::new(), Some(&window), Some("36h".parse().unwrap()), &schema()).unwrap();
        let windows = planned.windows.unwrap();
        assert_eq!((windows.spans.width, windows.delay), (7, Some(2)));
        let hours: Window = "tumbling 12h on day".parse().unwrap();
        assert!(plan(&Job::new(), Some(&hours), None, &schema()).is_err());
    }

    #[test]
    fn what_no_stream_can_give_is_refused_with_what_would_help() {
        let window: Window = "tumbling 10s on ts".parse().unwrap();
        let delay = Some("5s".parse().unwrap());
        let ordered = Job::new().by(["city"]).order_by("city").unwrap();
        let plain = Job::new().by(["city"]);
        let limited = Job::new().limit(3);
        let check = |job, window, delay, mode| check(job, window, delay, mode).err().map(|e| e.to_string());
        use OutputMode::{Append, Complete, Update};
        assert!(check(&plain, None, delay, Update).unwrap().contains("needs a window"));
        assert!(check(&plain, None, None, Append).unwrap().contains("may always change"));
        assert!(check(&plain, Some(&window), None, Append).unwrap().contains("--watermark 5s"));
        assert!(check(&ordered, Some(&window), delay, Append).unwrap().contains("no order"));
        assert!(check(&limited, None, None, Update).unwrap().contains("no limit"));
        for (job, window, delay, mode) in [
            (&plain, Some(&window), delay, Append),
            (&plain, None, None, Update),
            (&plain, Some(&window), None, Update),
            (&ordered, None, None, Complete),
        ] {
            assert_eq!(check(job, window, delay, mode), None);
        }
        let not_a_time: Window = "tumbling 10s on fare".parse().unwrap();
        let error = plan(&plain, Some(&not_a_time), delay, &schema()).unwrap_err().to_string();
        assert!(error.contains("date or timestamp"), "{error}");
        let taken = Job::new().by_expr(Named { name: Some("window_end".into()), expr: col("city") });
        assert!(plan(&taken, Some(&window), delay, &schema()).unwrap_err().to_string().contains("window's own"));
    }
}
