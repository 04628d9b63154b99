//! From a query to a plan: what may go together, and the job of a batch with its windows as a key.

use crate::agg::Function;
use crate::column::{Schema, Type, Unit, Value};
use crate::expr::{self, Binder, Expr, ExprNode, Interval};
use crate::plan::{Job, Named, Output, Plan, PostInput, lower};
use crate::{Error, Result};

use super::OutputMode;
use super::window::{Cut, DAY, Time, Window, WindowKind, cut};

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
    pub cut: Cut,
    /// The type of the time.
    pub ty: Type,
    pub time: WindowTime,
    /// How far the watermark is behind the latest time, in ticks.
    pub delay: Option<i64>,
}

/// Where the times of rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowTime {
    /// In the rows.
    Event {
        /// The state that counts the rows of a group.
        rows: usize,
        /// The state that has the latest event time of a group.
        latest: usize,
        /// With sessions, that of the earliest.
        first: Option<usize>,
    },
    /// All rows of a batch have that of the batch.
    Processing,
}

impl Windows {
    /// So many milliseconds in ticks, begun ones not counted.
    pub fn ticks_of(&self, milliseconds: i64) -> i64 {
        match &self.ty {
            Type::Timestamp(unit) if unit.per_second() >= 1000 => milliseconds.saturating_mul(unit.per_second() / 1000),
            Type::Timestamp(_) => milliseconds / 1000,
            _ => milliseconds / (DAY / 1_000_000),
        }
    }

    /// The keys that a plan has for the window itself, before those of the job.
    pub fn keys(&self) -> usize {
        match self.cut {
            Cut::Spans(_) => 1,
            // A session's end is its own.
            Cut::Sessions(_) => 2,
        }
    }
}

/// What a query has beside its job.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside {
    /// Rows seen before are left out.
    pub distinct: bool,
    /// By this event time.
    pub event_time: bool,
    /// A second stage.
    pub then: bool,
    /// A silent source is to be told from a slow one.
    pub idle: bool,
}

/// Refuses what no stream can give.
///
/// # Errors
/// [`Error::Usage`]: what does not go together, and what would.
pub(crate) fn check(
    job: &Job,
    windows: &[Window],
    watermark: Option<Interval>,
    mode: OutputMode,
    beside: Beside,
) -> Result<()> {
    let refuse = |message: &str, help: &str| Err(Error::Usage { message: message.into(), help: Some(help.into()) });
    if beside.then && (mode == OutputMode::Update || job.is_of_rows()) {
        return refuse(
            "a second stage is over whole windows, or all groups: there is neither",
            "take --window and mode append, or mode complete",
        );
    }
    if beside.idle && watermark.is_none() {
        return refuse("there is no watermark that a silent source could hold", "add --watermark, or leave out --idle");
    }
    if beside.event_time && !beside.distinct {
        return refuse(
            "an event time beside a window is that of distinct rows",
            "add --distinct, or leave out --event-time",
        );
    }
    if job.is_of_rows() {
        match (mode, windows, watermark) {
            (OutputMode::Append, [], None) => return Ok(()),
            (OutputMode::Append, [], Some(_)) if beside.event_time => return Ok(()),
            (OutputMode::Append, [], Some(_)) => {
                return refuse(
                    "rows that are not grouped have no watermark, unless distinct ones are asked for by their event time",
                    "add --distinct and --event-time, or leave out --watermark",
                );
            }
            (OutputMode::Append, ..) => {
                return refuse("rows that are not grouped are in no window", "leave out --window");
            }
            _ => {
                let message = format!("rows that are not grouped never change: there is nothing for mode {mode}");
                return refuse(&message, "take --mode append");
            }
        }
    }
    let is_session = windows.iter().any(|window| matches!(window.kind, WindowKind::Session { .. }));
    let is_processing = windows.iter().any(|window| window.on == Time::Processing);
    if windows.windows(2).any(|two| two[0].on != two[1].on) {
        return refuse("all windows of a query are over one time", "run a query for each");
    }
    match (mode, windows, watermark) {
        (_, [], Some(_)) if !beside.event_time => {
            return refuse(
                "a watermark needs a window, whose event time it is of",
                "add --window 'tumbling 10s on ts'",
            );
        }
        (_, _, Some(_)) if is_processing => {
            return refuse("the time at which rows are processed is never late", "leave out --watermark");
        }
        (_, _, _) if is_processing && is_session => {
            return refuse(
                "sessions are of event times: all rows of a batch have one processing time",
                "name a column of type timestamp: --window 'session 30m on ts'",
            );
        }
        (OutputMode::Append, [], _) => {
            return refuse(
                "mode append gives what will not change any more, and a group without a window may always change",
                "add --window and --watermark, or take --mode update or --mode complete",
            );
        }
        (OutputMode::Append, _, None) if !is_processing => {
            return refuse(
                "mode append gives windows once they are closed, and without a watermark none ever is",
                "add --watermark 5s, or take --mode update or --mode complete",
            );
        }
        (OutputMode::Update, ..) if is_session => {
            return refuse(
                "mode update cannot say that two sessions have become one",
                "take --mode append or --mode complete",
            );
        }
        _ => {}
    }
    let is_ordered = !job.order.is_empty() || job.limit.is_some();
    if mode != OutputMode::Complete && is_ordered {
        return refuse(
            &format!("mode {mode} gives a part of the result at a time: it has no order and no limit"),
            "take --mode complete, or leave out --order-by and --limit",
        );
    }
    if beside.then && is_ordered {
        return refuse("a second stage sees one window after the other", "give it the order and the limit");
    }
    if windows.len() > 1 && is_ordered {
        return refuse("several windows are several results: they have no common order", "run a query for each");
    }
    Ok(())
}

/// Makes the plan of a batch.
///
/// # Errors
/// As [`lower`]; an event time that is none.
pub(crate) fn plan(job: &Job, windows: &[Window], watermark: Option<Interval>, schema: &Schema) -> Result<StreamPlan> {
    let Some(window) = windows.first() else {
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
    let Time::Event(on) = &window.on else {
        // The batch says which pane it is; the key only makes room for it.
        let ty = Type::Timestamp(Unit::Milli);
        let start = Expr { node: ExprNode::Literal(Value::Int(0), ty.clone()), span: None };
        job.keys.insert(0, Named { name: Some(WINDOW_START.into()), expr: start });
        let cut = cut(windows, 1_000_000)?;
        let windows = Windows { cut, ty, time: WindowTime::Processing, delay: Some(0) };
        return Ok(StreamPlan { plan: lower(&job, schema)?, windows: Some(windows) });
    };
    let (ty, tick) = event_ticks(&job.maps, on, schema)?;
    let cut = cut(windows, tick)?;
    let pane = pane_of(&cut, tick, on)?;
    let key = |name: &str| Named { name: Some(name.into()), expr: pane.clone() };
    job.keys.insert(0, key(WINDOW_START));
    let is_session = matches!(cut, Cut::Sessions(_));
    if is_session {
        job.keys.insert(1, key(WINDOW_END));
    }
    // Last, so that they are easily taken away: nobody has asked to see them.
    let hidden = |name: &str, args: &[Expr]| Named {
        name: Some(format!("\u{1}{name}")),
        expr: Expr { node: ExprNode::Call { name: name.into(), args: args.to_vec() }, span: on.span.clone() },
    };
    job.aggregates.push(hidden("count", &[]));
    job.aggregates.push(hidden("max", std::slice::from_ref(on)));
    if is_session {
        job.aggregates.push(hidden("min", std::slice::from_ref(on)));
    }
    let mut plan = lower(&job, schema)?;
    let first = if is_session { Some(taken_away(&mut plan, Function::Min)?) } else { None };
    let latest = taken_away(&mut plan, Function::Max)?;
    let rows = taken_away(&mut plan, Function::CountRows)?;
    // A delay between two ticks is rounded up: the watermark is never ahead of what was asked for.
    let delay = watermark.map(|delay| ceil(delay.nanos(), tick));
    let windows = Windows { cut, ty, time: WindowTime::Event { rows, latest, first }, delay };
    Ok(StreamPlan { plan, windows: Some(windows) })
}

/// The start of the pane that a time is in.
///
/// # Errors
/// It is too long.
pub(crate) fn pane_of(cut: &Cut, tick: i64, on: &Expr) -> Result<Expr> {
    let pane = cut.pane().checked_mul(tick).and_then(Interval::from_nanos);
    let pane = pane.ok_or_else(|| Error::usage("a window is longer than 292 years"))?;
    Ok(expr::call("time_bucket", [expr::lit(format!("{}ns", pane.nanos()).as_str()), on.clone()]))
}

/// The nanoseconds of a tick of a type of time.
pub(crate) fn tick_of(ty: &Type) -> i64 {
    match ty {
        Type::Timestamp(unit) => 1_000_000_000 / unit.per_second(),
        _ => DAY,
    }
}

/// The type of an event time, and the nanoseconds of its tick.
///
/// # Errors
/// It is no time.
pub(crate) fn event_ticks(maps: &[(String, Expr)], on: &Expr, schema: &Schema) -> Result<(Type, i64)> {
    let mut binder = Binder::new(schema);
    for (name, expr) in maps {
        let node = binder.bind(expr)?;
        binder.define(name, node);
    }
    let node = binder.bind(on)?;
    let ty = binder.node(node).ty.clone();
    let tick = match &ty {
        Type::Timestamp(_) | Type::Date => tick_of(&ty),
        ty => {
            let message = format!("`{on}` is {ty}, and no event time");
            return Err(Error::Usage { message, help: Some("an event time is a date or timestamp: cast it".into()) });
        }
    };
    Ok((ty, tick))
}

/// How many ticks a span takes, begun ones too.
pub(crate) fn ceil(nanos: i64, tick: i64) -> i64 {
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
    use super::super::window::Spans;
    use super::*;
    use crate::agg::StateKind;
    use crate::column::{Class, Field};
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
        let planned = plan(&job, &[window], Some("1500us".parse().unwrap()), &schema()).unwrap();
        let names: Vec<&str> = planned.plan.outputs.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, [WINDOW_START, "city", "total"]);
        let windows = planned.windows.unwrap();
        assert_eq!(windows.cut, Cut::Spans(vec![Spans { width: 10_000, slide: 4_000, pane: 2_000 }]));
        // A millisecond and a half is two ticks: the watermark must not be ahead.
        assert_eq!(windows.delay, Some(2));
        let states = &planned.plan.stage.states;
        let WindowTime::Event { rows, latest, first: None } = windows.time else { panic!("{:?}", windows.time) };
        assert_eq!(states[rows].kind, StateKind::Rows);
        assert_eq!(states[latest].kind, StateKind::Max(Class::Int));
    }

    #[test]
    fn a_session_has_its_end_as_a_key_and_the_first_time_as_a_state() {
        let job = Job::new().by(["city"]).aggregate(sum(col("fare")));
        let planned = plan(&job, &["session 10s on ts".parse().unwrap()], None, &schema()).unwrap();
        let names: Vec<&str> = planned.plan.outputs.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, [WINDOW_START, WINDOW_END, "city", "sum(fare)"]);
        let windows = planned.windows.unwrap();
        let WindowTime::Event { latest, first: Some(first), .. } = windows.time else { panic!("{:?}", windows.time) };
        assert_eq!(planned.plan.stage.states[first].kind, StateKind::Min(Class::Int));
        assert_eq!(planned.plan.stage.states[latest].kind, StateKind::Max(Class::Int));
        assert_eq!(windows.keys(), 2);
    }

    #[test]
    fn days_are_ticks_of_dates() {
        let window: Window = "tumbling 1 week on day".parse().unwrap();
        let planned = plan(&Job::new(), &[window], Some("36h".parse().unwrap()), &schema()).unwrap();
        let windows = planned.windows.unwrap();
        assert_eq!((windows.cut.pane(), windows.delay), (7, Some(2)));
        let hours: Window = "tumbling 12h on day".parse().unwrap();
        let error = plan(&Job::new(), &[hours], None, &schema()).unwrap_err().to_string();
        assert!(error.contains("12h is no whole number of the days"), "{error}");
    }

    #[test]
    fn what_no_stream_can_give_is_refused_with_what_would_help() {
        let window: Window = "tumbling 10s on ts".parse().unwrap();
        let delay = Some("5s".parse().unwrap());
        let ordered = Job::new().by(["city"]).order_by("city").unwrap();
        let plain = Job::new().by(["city"]);
        let limited = Job::new().limit(3);
        let check = |job, window: Option<&Window>, delay, mode| {
            let windows: Vec<Window> = window.into_iter().cloned().collect();
            check(job, &windows, delay, mode, Beside::default()).err().map(|e| e.to_string())
        };
        use OutputMode::{Append, Complete, Update};
        assert!(check(&plain, None, delay, Update).unwrap().contains("needs a window"));
        assert!(check(&plain, None, None, Append).unwrap().contains("may always change"));
        assert!(check(&plain, Some(&window), None, Append).unwrap().contains("--watermark 5s"));
        assert!(check(&ordered, Some(&window), delay, Append).unwrap().contains("no order"));
        assert!(check(&limited, None, None, Update).unwrap().contains("no limit"));
        let session: Window = "session 10s on ts".parse().unwrap();
        assert!(check(&plain, Some(&session), delay, Update).unwrap().contains("two sessions have become one"));
        let clock: Window = "tumbling 10s on processing time".parse().unwrap();
        assert!(check(&plain, Some(&clock), delay, Append).unwrap().contains("never late"));
        let clock_session: Window = "session 10s on processing time".parse().unwrap();
        assert!(check(&plain, Some(&clock_session), None, Append).unwrap().contains("event times"));
        let rows = Job::new().select(col("city"));
        assert!(check(&rows, None, None, Update).unwrap().contains("never change"));
        assert!(check(&rows, Some(&window), delay, Append).unwrap().contains("in no window"));
        assert!(check(&rows, None, delay, Append).unwrap().contains("have no watermark"));
        let beside = |job, mode, beside| super::check(job, &[], delay, mode, beside).map_err(|e| e.to_string());
        let distinct = Beside { distinct: true, event_time: true, ..Beside::default() };
        assert_eq!(beside(&rows, Append, distinct), Ok(()));
        assert_eq!(beside(&plain, Update, distinct), Ok(()));
        let then = Beside { then: true, ..Beside::default() };
        assert!(beside(&rows, Append, then).unwrap_err().contains("whole windows"));
        assert!(beside(&ordered, Complete, then).unwrap_err().contains("needs a window"));
        for (job, window, delay, mode) in [
            (&rows, None, None, Append),
            (&plain, Some(&session), delay, Append),
            (&plain, Some(&session), None, Complete),
            (&plain, Some(&clock), None, Append),
            (&plain, Some(&window), delay, Append),
            (&plain, None, None, Update),
            (&plain, Some(&window), None, Update),
            (&ordered, None, None, Complete),
        ] {
            assert_eq!(check(job, window, delay, mode), None);
        }
        let not_a_time: Window = "tumbling 10s on fare".parse().unwrap();
        let error = plan(&plain, &[not_a_time], delay, &schema()).unwrap_err().to_string();
        assert!(error.contains("date or timestamp"), "{error}");
        let taken = Job::new().by_expr(Named { name: Some("window_end".into()), expr: col("city") });
        assert!(plan(&taken, &[window], delay, &schema()).unwrap_err().to_string().contains("window's own"));
    }
}
