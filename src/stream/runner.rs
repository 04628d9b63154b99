//! One batch after the other: plan, log, group, merge, give, commit.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::batch::{Found, Setting};
use super::chain::{Chain, forget, read_states, write_state};
use super::front::Front;
use super::going::{Going, Grouping};
use super::log::{Kind, Log, Offsets, Payload, ReadOnce, Recovery, pretty, recover};
use super::pace::Pace;
use super::plan::{Beside, WindowTime, check};
use super::promise::{fresh_name, guarantee, lock};
use super::query::Query;
use super::sink::BatchOutput;
use super::{Guarantee, Lookup, OutputMode, Progress, Time};
use crate::column::{Field as Column, FieldType, Schema};
use crate::plan::{Job, Named};
use crate::{Engine, Error, Result};

/// From one step to the next.
struct Lap(Instant);

impl Lap {
    /// Since the last time.
    fn next(&mut self) -> Duration {
        let last = std::mem::replace(&mut self.0, Instant::now());
        self.0 - last
    }
}

/// What `work` gives, and how long it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

/// A query that runs.
pub(super) struct Runner {
    query: Query,
    engine: Engine,
    name: String,
    log: Option<Log>,
    /// Held as long as the query runs, so that no other process writes the same log.
    _lock: Option<File>,
    guarantee: Guarantee,
    notes: Vec<String>,
    /// The columns of the source, as soon as they are known.
    going: Option<Going>,
    recovery: Recovery,
    /// The states that were looked at for it.
    states: BTreeMap<u64, Payload>,
    /// Batches to be done again.
    again: VecDeque<u64>,
    next: u64,
    watermark: Option<i64>,
    /// Since there is nothing new: the watermark as rows have left it, and when that was found, in milliseconds since 1970.
    silent: Option<(i64, i64)>,
    pace: Option<Pace>,
    chain: Chain,
}

/// All of a job, in words.
fn said(job: &Job) -> String {
    let named = |word: &str, list: &[Named]| {
        list.iter().map(|n| format!("{word} {} as {}", n.expr, n.title())).collect::<Vec<_>>()
    };
    let mut all: Vec<String> = job.filter.iter().map(|filter| format!("where {filter}")).collect();
    all.extend(job.maps.iter().map(|(name, expr)| format!("map {name} = {expr}")));
    all.extend([named("by", &job.keys), named("give", &job.aggregates), named("select", &job.select)].concat());
    all.extend(job.having.iter().map(|having| format!("having {having}")));
    let direction = |descending: bool| if descending { " desc" } else { "" };
    all.extend(job.order.iter().map(|term| format!("order by {}{}", term.expr, direction(term.descending))));
    all.extend(job.limit.iter().map(|limit| format!("limit {limit}")));
    all.join(", ")
}

impl Runner {
    pub fn open(query: Query, engine: &Engine) -> Result<Runner> {
        let beside = Beside {
            distinct: !query.distinct.is_empty(),
            event_time: query.event_time.is_some(),
            then: !query.then.is_empty(),
            idle: query.idle.is_some(),
        };
        check(&query.job, &query.windows, query.watermark, query.mode, beside)?;
        let guarantee = guarantee(&query)?;
        let mut runner = Runner {
            engine: engine.clone(),
            name: fresh_name(),
            log: None,
            _lock: None,
            guarantee,
            notes: Vec::new(),
            going: None,
            recovery: Recovery::default(),
            states: BTreeMap::new(),
            again: VecDeque::new(),
            next: 0,
            watermark: None,
            silent: None,
            pace: query.max_latency.map(|target| Pace::new(target.duration(), query.limits)),
            chain: Chain::default(),
            query,
        };
        let mut known = None;
        if let (Some(folder), true) = (runner.query.checkpoint.clone(), guarantee != Guarantee::None) {
            let log = Log::open(Arc::clone(&runner.query.disk), &folder)?;
            runner._lock = Some(lock(&folder)?);
            let (metadata, wrong) = log.metadata()?;
            runner.notes.extend(wrong);
            if let Some(metadata) = metadata {
                known = Some(runner.take_metadata(&metadata, &folder)?);
                let once = ReadOnce::new(&log);
                runner.recovery = recover(&once)?;
                runner.states = once.into_states();
                runner.notes.extend(runner.recovery.warnings.iter().map(|w| format!("{}: {w}", folder.display())));
            }
            runner.log = Some(log);
        }
        if let Some(schema) = runner.query.source.schema(known.as_ref())? {
            runner.begin(schema, known.is_some())?;
        }
        Ok(runner)
    }

    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a batch of an earlier process is still to be done again.
    pub fn has_again(&self) -> bool {
        !self.again.is_empty()
    }

    /// Whether nothing new can come any more.
    pub fn is_over(&self) -> bool {
        self.again.is_empty() && self.query.source.is_over()
    }

    pub fn is_replayable(&self) -> bool {
        self.query.source.is_replayable()
    }

    pub fn is_cancelled(&self) -> bool {
        self.engine.cancel.load(Ordering::Relaxed)
    }

    /// What the query computes, part by part: what may not change from one process to the next.
    fn fingerprint(&self) -> Json {
        let job = &self.query.job;
        let named =
            |list: &[Named]| -> Vec<String> { list.iter().map(|n| format!("{} as {}", n.expr, n.title())).collect() };
        let kind = self.query.source.description();
        json!({
            "source": kind.split(':').next(),
            "where": job.filter.as_ref().map(ToString::to_string),
            "map": job.maps.iter().map(|(name, expr)| format!("{name} = {expr}")).collect::<Vec<_>>(),
            "by": named(&job.keys),
            "aggregates": named(&job.aggregates),
            "having": job.having.as_ref().map(ToString::to_string),
            "select": named(&job.select),
            "lookup": self.query.lookups.iter().map(Lookup::description).collect::<Vec<_>>(),
            "distinct": named(&self.query.distinct),
            "event time": self.query.event_time.as_ref().map(ToString::to_string),
            "then": self.query.then.iter().map(said).collect::<Vec<_>>(),
            "window": self.query.windows.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "mode": self.query.mode.to_string(),
        })
    }

    /// Takes the name and the columns of the query that a checkpoint is of; refuses one that computes something else.
    fn take_metadata(&mut self, metadata: &Json, folder: &std::path::Path) -> Result<Schema> {
        let strange = || Error::Format {
            path: folder.join("metadata"),
            message: "it does not say which query this checkpoint is of".into(),
            help: None,
        };
        self.name = metadata.get("query").and_then(Json::as_str).ok_or_else(strange)?.into();
        let (was, is) = (metadata.get("job").ok_or_else(strange)?, self.fingerprint());
        if let Some((part, _)) =
            is.as_object().into_iter().flatten().find(|(part, json)| was.get(part.as_str()) != Some(json))
        {
            let shown = |json: &Json| match json.get(part) {
                None | Some(Json::Null) => "nothing".to_owned(),
                Some(Json::String(text)) => text.clone(),
                Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "),
                Some(other) => other.to_string(),
            };
            return Err(Error::Usage {
                message: format!(
                    "the checkpoint {} is of another query: '{part}' was {}, and is {}",
                    folder.display(),
                    shown(was),
                    shown(&is)
                ),
                help: Some(
                    "what has been grouped cannot be grouped anew: take another checkpoint, or the same query".into(),
                ),
            });
        }
        let field = |json: &Json| {
            let text = |name| json.get(name).and_then(Json::as_str);
            let ty = match (text("type"), text("unsupported")) {
                (Some(ty), _) => FieldType::Known(ty.parse().ok()?),
                (None, Some(ty)) => FieldType::Unsupported(ty.into()),
                (None, None) => return None,
            };
            // Inferred once; from then on it is what the stream has.
            Some(Column { name: text("name")?.into(), ty, inferred: false })
        };
        let fields = metadata.get("schema").and_then(Json::as_array);
        let fields = fields.and_then(|fields| fields.iter().map(field).collect::<Option<Vec<_>>>());
        Ok(Schema { fields: fields.ok_or_else(strange)? })
    }

    /// Makes all that needs the columns, and goes on from the checkpoint.
    fn begin(&mut self, schema: Schema, known: bool) -> Result<()> {
        let query = &self.query;
        let mut going = Going::new(&self.engine, query, schema)?;
        if let Some(log) = &self.log {
            if known {
                self.load(&mut going)?;
            } else {
                let schema: Vec<Json> = going
                    .schema
                    .fields
                    .iter()
                    .map(|field| match &field.ty {
                        FieldType::Known(ty) => json!({ "name": field.name, "type": ty.to_string() }),
                        FieldType::Unsupported(ty) => json!({ "name": field.name, "unsupported": ty }),
                    })
                    .collect();
                log.write_metadata(&json!({ "query": self.name, "job": self.fingerprint(), "schema": schema }))?;
            }
        }
        // After the name of the query is durable: a folder that is another's for ever would be worse than one that nobody owns.
        self.query.sink.begin(&self.name, &going.output)?;
        self.query.aside.begin(&self.name, going.late.as_ref().map(|late| &late.schema))?;
        self.going = Some(going);
        Ok(())
    }

    /// Reads the state of the last batch that is done.
    fn load(&mut self, going: &mut Going) -> Result<()> {
        self.again = std::mem::take(&mut self.recovery.again).into();
        if !self.query.source.is_replayable() && !self.again.is_empty() {
            let source = self.query.source.description();
            self.notes
                .push(format!("what {source} gave for batch {} is lost with the process that read it", self.again[0]));
            self.again.clear();
        }
        let Some((last, full)) = self.recovery.last else { return Ok(()) };
        let (chain, watermark, source) = (&mut self.chain, &mut self.watermark, &mut self.query.source);
        let states = std::mem::take(&mut self.states);
        read_states(states, (full, last), going, self.engine.threads_used(), |link| {
            if link.batch == full {
                source.restore(link.header.get("position").unwrap_or(&Json::Null))?;
                *chain = Chain { full: Some(full), full_bytes: link.bytes, delta_bytes: 0 };
            } else {
                if let Some(range) = link.header.get("range").filter(|range| !range.is_null()) {
                    source.replay(range)?;
                }
                chain.delta_bytes += link.bytes;
            }
            *watermark = link.header.get("watermark").and_then(Json::as_i64);
            Ok(())
        })?;
        if let (Some(watermark), true) = (self.watermark, self.query.mode != OutputMode::Complete) {
            going.forget(watermark);
        }
        self.next = last + 1;
        Ok(())
    }

    /// Does the next batch, if there is something for it. With `all`, a batch has no limits.
    pub fn step(&mut self, all: bool) -> Result<Option<Progress>> {
        let started = Instant::now();
        if self.going.is_none() {
            match self.query.source.schema(None)? {
                Some(schema) => self.begin(schema, false)?,
                None => return Ok(None),
            }
        }
        if let Some(batch) = self.again.pop_front() {
            return self.do_again(batch, started).map(Some);
        }
        let limits = match (&self.pace, all) {
            (_, true) => super::Limits::default(),
            (Some(pace), _) => pace.limits(),
            (None, _) => self.query.limits,
        };
        let Some(range) = self.query.source.plan(&limits)? else { return Ok(None) };
        self.silent = None;
        let extent = self.pace.as_ref().map(|_| self.query.source.extent(&range));
        let progress = self.do_batch(range, None, started)?;
        if let (Some(pace), Some(extent)) = (&mut self.pace, extent) {
            pace.saw(extent, started.elapsed());
        }
        Ok(Some(progress))
    }

    /// Closes every window that is open, if that was asked for and there is one: the watermark goes to the end of the last of them, and
    /// no further, for what a later run reads is not late for its being later.
    pub fn finish(&mut self) -> Result<Option<Progress>> {
        let started = Instant::now();
        let grouping = self.going.as_ref().and_then(|going| going.grouping.as_ref());
        let gives = self.query.finish && self.query.mode == OutputMode::Append && !self.has_again();
        match grouping.and_then(Grouping::last_end).filter(|_| gives) {
            Some(end) => self.do_batch(Json::Null, Some(end), started).map(Some),
            None => Ok(None),
        }
    }

    /// Does a batch without a range, that moves the watermark to where the clock has got it, if that closes something: windows of
    /// processing time, or those that wait for rows of a source that has fallen silent.
    pub fn close_what_is_due(&mut self) -> Result<Option<Progress>> {
        let started = Instant::now();
        let now = (self.query.clock)();
        let grouping = self.going.as_ref().and_then(|going| going.grouping.as_ref());
        let Some(windows) = grouping.and_then(|grouping| grouping.windows.as_ref()) else { return Ok(None) };
        let to = match (windows.time, self.query.idle, self.watermark) {
            (WindowTime::Processing, ..) => now,
            (WindowTime::Event { .. }, Some(idle), Some(watermark)) => {
                let (reached, since) = *self.silent.get_or_insert((watermark, now));
                let quiet = now.saturating_sub(since);
                if quiet.saturating_mul(1_000_000) < idle.nanos() {
                    return Ok(None);
                }
                reached.saturating_add(windows.ticks_of(quiet))
            }
            _ => return Ok(None),
        };
        let is_due = grouping.is_some_and(|grouping| grouping.is_due(self.query.mode, self.watermark, to));
        if !self.again.is_empty() || !is_due {
            return Ok(None);
        }
        self.do_batch(Json::Null, Some(to), started).map(Some)
    }

    fn do_again(&mut self, batch: u64, started: Instant) -> Result<Progress> {
        let gone = || Error::internal(format!("the offsets of batch {batch} were whole, and are not"));
        let Some(log) = &self.log else { return Err(gone()) };
        let payload = log.read(Kind::Offsets, batch)?.and_then(Result::ok).ok_or_else(gone)?;
        let json: Json = serde_json::from_slice(&payload).map_err(|_| gone())?;
        let offsets = Offsets::of_json(&json).ok_or_else(gone)?;
        if batch != self.next || offsets.watermark != self.watermark {
            return Err(Error::internal(format!(
                "batch {batch} was logged after another state than the one before it"
            )));
        }
        if !offsets.range.is_null() {
            self.query.source.replay(&offsets.range)?;
        }
        if offsets.tables != self.tables() {
            return Err(Error::Usage {
                message: format!("a table that is looked up has changed since batch {batch} was begun"),
                help: Some("put the old one back until that batch is done: its rows would not be the same".into()),
            });
        }
        let progress = Progress { is_again: true, ..Progress::default() };
        self.work(offsets, progress, started)
    }

    fn do_batch(&mut self, range: Json, advance: Option<i64>, started: Instant) -> Result<Progress> {
        let mut progress = Progress::default();
        progress.steps.push(("latestOffset", started.elapsed()));
        let offsets = Offsets { range, watermark: self.watermark, at: self.time(), advance, tables: self.tables() };
        self.work(offsets, progress, started)
    }

    /// The checksums of the tables that are looked up.
    fn tables(&self) -> Vec<u32> {
        let front = self.going.as_ref().and_then(|going| going.front.as_ref());
        front.map(Front::tables).unwrap_or_default()
    }

    /// The time of a batch that is planned now. Processing time never goes back, whatever the clock does.
    fn time(&self) -> i64 {
        let now = (self.query.clock)();
        let processing = self.query.windows.iter().any(|window| window.on == Time::Processing);
        self.watermark.filter(|_| processing).map_or(now, |before| now.max(before))
    }

    /// Does a batch. Unless it is done again its range is logged beside that; nothing it has found is written before that is durable.
    fn work(&mut self, offsets: Offsets, mut progress: Progress, started: Instant) -> Result<Progress> {
        let Some(going) = &mut self.going else { return Err(Error::internal("a batch before its plan")) };
        let batch = self.next;
        let mut lap = Lap(Instant::now());
        let source = match &offsets.range {
            Json::Null => None,
            range => Some(self.query.source.open(range, &going.schema)?),
        };
        let opening = lap.next();
        let setting = Setting {
            engine: &self.engine,
            job: &self.query.job,
            mode: self.query.mode,
            watermark: self.watermark,
            at: offsets.at,
            advance: offsets.advance,
            keeps: self.log.is_some(),
        };
        let is_again = progress.is_again;
        let mut group = || timed(|| going.batch(source.as_deref(), &setting, &mut progress));
        let (found, grouping) = match self.log.as_ref().filter(|_| !is_again) {
            None => group(),
            Some(log) => {
                let payload = pretty(&offsets.to_json());
                let (grouped, logged) = log.both(group, || log.write(Kind::Offsets, batch, &payload))?;
                logged?;
                progress.steps.push(("walCommit", lap.next().saturating_sub(grouped.1)));
                grouped
            }
        };
        progress.steps.push(("addBatch", opening + grouping));
        let Found { rows, late, delta, watermark } = found?;
        let output = BatchOutput { batch, rows };
        progress.rows_emitted = output.len() as u64;
        // Not of the source while the state is written: it stays on this thread.
        let position = self.chain.is_to_be_full(batch, &delta).then(|| self.query.source.position());
        let header = json!({ "range": offsets.range, "watermark": watermark });
        let Query { sink, aside, .. } = &mut self.query;
        let rejects = &progress.rejects;
        let mut prepare = || {
            // First what is not in the output: that must not appear without it.
            aside.give(batch, rejects, &late)?;
            sink.prepare(&output)
        };
        lap.next();
        // The place of the commit is the promise.
        let steps = match &self.log {
            None => {
                prepare()?;
                sink.commit(batch)?;
                vec![("sinkCommit", lap.next())]
            }
            Some(log) => {
                let state = || write_state(log, batch, self.chain, header, position, &delta, going);
                let commit = |chain: Chain| log.write(Kind::Commits, batch, &pretty(&json!({ "full": chain.full })));
                if self.guarantee == Guarantee::AtMostOnce {
                    self.chain = state()?;
                    let state = lap.next();
                    commit(self.chain)?;
                    let commit = lap.next();
                    prepare()?;
                    sink.commit(batch)?;
                    vec![("stateCommit", state), ("commitOffsets", commit), ("sinkCommit", lap.next())]
                } else {
                    let ((prepared, preparing), written) = log.both(|| timed(prepare), state)?;
                    self.chain = written?;
                    prepared?;
                    let state = lap.next().saturating_sub(preparing);
                    sink.commit(batch)?;
                    let sink = preparing + lap.next();
                    commit(self.chain)?;
                    vec![("stateCommit", state), ("sinkCommit", sink), ("commitOffsets", lap.next())]
                }
            }
        };
        progress.steps.extend(steps);
        self.next += 1;
        self.watermark = watermark;
        if let Some(log) = &self.log {
            forget(log, batch, self.query.keep)?;
        }
        progress.query = self.name.clone();
        progress.batch = batch;
        progress.at = offsets.at;
        progress.source = self.query.source.description();
        progress.sink = self.query.sink.description();
        progress.range = offsets.range;
        progress.watermark = watermark;
        progress.wall = started.elapsed();
        if !progress.balances() {
            return Err(Error::internal(format!("batch {batch} does not account for all its rows")));
        }
        Ok(progress)
    }
}
