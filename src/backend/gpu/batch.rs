//! One batch of rows on its way over the device, in a few submissions:
//!
//! ```text
//! start    upload → map → rows that pass                      (survey too, if all rows must)
//! advance  survey: bits in which keys differ, bits in use by sums
//!          sort by key, find the groups                        (only if sorted, or for bags)
//!          reduce: submitted, not waited for
//! land     groups come back
//! ```
//! Between two of them a few words come back, because the next one's size depends on them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::{Engine, Outcome, Pending};
use super::groups::{Arranged, Heads, Laid, Reduced, arrange, heads};
use super::layout::{Fill, Layout, MapParams};
use super::notes::{BatchNote, Clock};
use super::passes::{Grouping, PASSES, Pass, plan_reductions};
use super::pool::Kept;
use super::record::{Download, Recording, Traffic, View};
use super::stages::{compact, gather};
use super::strategy::{Chosen, Strategy};
use super::survey::{SurveyDownloads, narrow, survey_of};
use super::upload;
use crate::column::{Chunk, Dictionary};
use crate::expr::{Evaluated, NodeId};
use crate::kernel::Shape;
use crate::kernel::pack_keys::Packing;
use crate::plan::Stage;
use crate::{Error, Result};

/// Batches are not made smaller than this: a device that cannot hold so few rows holds nothing.
pub(super) const LEAST_ROWS: usize = 1024;

/// Which rows of which chunk.
pub(super) struct Batch {
    pub layout: Arc<Layout>,
    pub rows: Range<usize>,
}

impl Batch {
    fn n(&self) -> u32 {
        self.rows.len() as u32
    }

    /// Words from one plane to the next: planes can be bound where they stand.
    fn stride(&self) -> u32 {
        self.n().next_multiple_of(64)
    }
}

/// An engine and what is measured while it is used.
pub(super) struct Deck<'e> {
    pub engine: &'e mut Engine,
    pub clock: &'e mut Clock,
}

impl Deck<'_> {
    fn shape(&self) -> Shape {
        self.engine.shape()
    }

    fn submit(&mut self, rec: Recording, note: &mut BatchNote) -> Result<Pending> {
        note.add(&rec.counters());
        self.engine.submit(rec)
    }

    fn wait(&mut self, pending: Pending) -> Result<Outcome> {
        let started = Instant::now();
        let outcome = self.engine.wait(pending);
        self.clock.kernel += started.elapsed();
        if let Ok(outcome) = &outcome {
            self.clock.stems(&outcome.timings);
        }
        outcome
    }

    pub fn run(&mut self, rec: Recording, note: &mut BatchNote) -> Result<Outcome> {
        let pending = self.submit(rec, note)?;
        self.wait(pending)
    }
}

/// A batch whose map kernel is submitted.
pub(super) struct Started {
    batch: Batch,
    pending: Pending,
    /// The counts of rows that pass and of rows that fail; `None` if every row must pass.
    counts: Option<(Download, Option<Download>)>,
    survey: Option<SurveyDownloads>,
    ranks: HashMap<NodeId, (Arc<Dictionary>, Arc<Vec<u32>>)>,
    note: BatchNote,
    /// How long its bytes took into staging memory, and its work to be encoded.
    pub uploading: Duration,
}

/// A batch whose last submissions are on their way.
pub(super) struct Flying {
    pub layout: Arc<Layout>,
    pending: Vec<Pending>,
    laid: Laid,
    note: BatchNote,
}

impl Flying {
    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.laid.rows.len()
    }

    /// Whether the device is still at it.
    pub fn is_in_flight(&self, engine: &Engine) -> bool {
        self.pending.iter().any(|pending| !engine.is_done(pending))
    }
}

/// What a batch has given.
pub(super) struct Landed {
    pub selected: u64,
    pub filtered: u64,
    /// Rows of the chunk that have no result.
    pub failed: Vec<u32>,
    pub groups: Option<Reduced>,
    /// The groups' layout.
    pub layout: Option<Arc<Layout>>,
    pub note: BatchNote,
}

/// Uploads a batch and computes its rows.
pub(super) fn start(
    deck: &mut Deck,
    stage: &Stage,
    batch: Batch,
    chunk: &Chunk,
    hosts: &HashMap<NodeId, Evaluated>,
) -> Result<Started> {
    let begun = Instant::now();
    let (n, stride, shape) = (batch.n(), batch.stride(), deck.shape());
    let layout = Arc::clone(&batch.layout);
    let mut note = BatchNote { rows: u64::from(n), ..BatchNote::default() };
    let mut rec = Recording::new();
    let arena = upload::arena(&mut rec, &layout.map.inputs, chunk, hosts, batch.rows.clone())?;
    let plane_words = u64::from(layout.map.planes) * u64::from(stride);
    let planes = rec.words("planes", plane_words);
    let bindings = [("arena", arena.into()), ("planes", planes.into())];
    let traffic = Traffic { read: arena.bytes(), written: plane_words * 4 };
    let params = MapParams { rows: n, stride };
    rec.dispatch(layout.kernel.clone(), params, &bindings, n.div_ceil(layout.workgroup), traffic);
    let mut ranks = HashMap::new();
    for &(node, plane) in &layout.ranks {
        let dict = upload::dictionary(&stage.program, node, chunk, hosts)?;
        let table = dict.ranks();
        let uploaded = rec.upload("ranks", bytemuck::cast_slice(&table).to_vec());
        let codes = planes.words(u64::from(plane) * u64::from(stride), n.into());
        let of_rows = gather(&mut rec, &shape, uploaded.into(), 0, codes, n);
        rec.copy(of_rows.words(0, n.into()), codes);
        ranks.insert(node, (dict, table));
    }
    rec.keep(planes);
    let mut survey = None;
    let mut counts = None;
    if layout.filtered || layout.can_fail {
        let status = layout.map.status * stride;
        let (rows, selected) = compact(&mut rec, &shape, planes.into(), status, 1, n);
        rec.keep(rows);
        let selected = rec.download(selected);
        let failed = layout.can_fail.then(|| {
            let (rows, failed) = compact(&mut rec, &shape, planes.into(), status, 2, n);
            rec.keep(rows);
            rec.download(failed)
        });
        counts = Some((selected, failed));
    } else {
        survey = Some(survey_of(&mut rec, &shape, &layout, planes.into(), None, stride, n));
    }
    let pending = deck.submit(rec, &mut note)?;
    let uploading = begun.elapsed();
    deck.clock.upload += uploading;
    Ok(Started { batch, pending, counts, survey, ranks, note, uploading })
}

/// Brings a started batch to its last submission.
pub(super) fn advance(deck: &mut Deck, started: Started, strategy: Strategy) -> Result<Flying> {
    let Started { batch, pending, counts, survey, ranks, mut note, .. } = started;
    let (stride, shape, layout) = (batch.stride(), deck.shape(), &batch.layout);
    let mut outcome = deck.wait(pending)?;
    let word = |outcome: &mut Outcome, download| outcome.take_words(download).first().copied().unwrap_or(0);
    let (selected, failed) = match counts {
        None => (batch.n(), 0),
        Some((selected, failed)) => {
            (word(&mut outcome, selected), failed.map_or(0, |failed| word(&mut outcome, failed)))
        }
    };
    if u64::from(selected) + u64::from(failed) > u64::from(batch.n()) {
        return Err(Error::internal(format!("{selected} + {failed} of {} rows", batch.n())));
    }
    let shelf =
        Shelf { planes: kept(&outcome, 0)?, rows: (selected < batch.n()).then(|| kept(&outcome, 1)).transpose()? };
    let failed_rows = (failed > 0).then(|| kept(&outcome, 2)).transpose()?;
    note.selected = u64::from(selected);
    let mut laid = Laid::new(batch.rows.clone(), selected, failed, ranks);
    // What must be known of the rows before they can be grouped.
    let mut survey = match survey {
        Some(survey) => survey.read(layout, &mut outcome, stride),
        None => {
            let mut rec = Recording::new();
            let (planes, rows) = shelf.import(&mut rec);
            let failed_rows = failed_rows.as_ref().map(|rows| {
                let rows = rec.import(rows);
                rec.download(rows.words(0, failed.into()))
            });
            let survey = (selected > 0).then(|| survey_of(&mut rec, &shape, layout, planes, rows, stride, selected));
            if survey.is_none() && failed_rows.is_none() {
                return Ok(Flying { layout: batch.layout, pending: Vec::new(), laid, note });
            }
            let mut outcome = deck.run(rec, &mut note)?;
            laid.failed_rows = failed_rows.map(|rows| outcome.take_words(rows)).unwrap_or_default();
            match survey {
                Some(survey) => survey.read(layout, &mut outcome, stride),
                None => return Ok(Flying { layout: batch.layout, pending: Vec::new(), laid, note }),
            }
        }
    };
    if selected == 0 {
        return Ok(Flying { layout: batch.layout, pending: Vec::new(), laid, note });
    }
    narrow(deck, &mut note, layout, &mut survey, |rec| shelf.import(rec), stride, selected)?;
    let packing = survey.packing(None);
    let chosen = strategy.choose(packing.bits);
    // Bags alone need no groups of their own: their entries name every key, null values among them.
    let grouped =
        layout.bags.is_empty() || layout.fills.iter().any(|fill| !matches!(fill, Fill::Bag(_) | Fill::Nothing));
    note.chosen(chosen, packing.bits, survey.ranges.iter().zip(&layout.ranged).map(|(range, of)| (*range, of.kind)));

    // Groups by sort, and every bag.
    let bag_packings: Vec<Packing> = (0..survey.bags.len()).map(|bag| survey.packing(Some(bag))).collect();
    let mut by_key = None;
    let mut bags: Vec<Arranged> = Vec::new();
    if grouped && chosen == Chosen::Sort || !bag_packings.is_empty() {
        let mut rec = Recording::new();
        let (planes, rows) = shelf.import(&mut rec);
        let mut kept_so_far = 0;
        let mut arrange_by = |rec: &mut Recording, packing: &Packing, reduced: bool| {
            arrange(rec, &shape, packing, planes, rows, selected, reduced, &mut kept_so_far)
        };
        let key_order = (grouped && chosen == Chosen::Sort).then(|| arrange_by(&mut rec, &packing, true));
        let bag_orders: Vec<_> = bag_packings.iter().map(|packing| arrange_by(&mut rec, packing, false)).collect();
        let mut outcome = deck.run(rec, &mut note)?;
        by_key = key_order.map(|order| order.read(&mut outcome)).transpose()?;
        bags = bag_orders.into_iter().map(|order| order.read(&mut outcome)).collect::<Result<_>>()?;
    }

    // The last submissions; the first of them brings the keys.
    let passes = plan_reductions(layout, &survey.ranges);
    note.reductions = passes.len() as u64;
    let grouping = match (&by_key, chosen) {
        (Some(order), _) => Grouping::Sorted(order),
        (None, Chosen::Direct) => Grouping::Direct(&packing),
        (None, _) => Grouping::One,
    };
    let mut pending = Vec::new();
    for (submission, some) in parts(&passes).enumerate() {
        let mut rec = Recording::new();
        if grouped {
            let (counts, states) =
                grouping.record(&mut rec, &shape, &shelf, some, submission == 0, stride, selected)?;
            laid.counts = laid.counts.or(counts);
            laid.states.extend(states.into_iter().map(|states| (submission, states)));
        }
        if submission == 0 {
            if let Grouping::Sorted(order) = grouping {
                let (heads, starts) = heads(&mut rec, &shape, order);
                (laid.heads, laid.starts) = (heads, Some(starts));
            }
            for (order, packing) in bags.iter().zip(&bag_packings) {
                let (heads, starts) = heads(&mut rec, &shape, order);
                laid.bags.push(Heads { packing: packing.clone(), heads, starts, groups: order.groups });
            }
        }
        if rec.counters().readbacks > 0 {
            pending.push(deck.submit(rec, &mut note)?);
        }
    }
    laid.groups = if grouped { grouping.groups() } else { 0 };
    laid.chosen = if grouped { chosen } else { Chosen::One };
    laid.packing = packing;
    laid.reductions = passes;
    laid.survey = survey;
    Ok(Flying { layout: batch.layout, pending, laid, note })
}

/// Passes by submission: at least one, though it have none.
fn parts(passes: &[Pass]) -> impl Iterator<Item = &[Pass]> {
    let none = passes.is_empty().then_some(passes);
    none.into_iter().chain(passes.chunks(PASSES))
}

/// Waits for a batch's groups.
pub(super) fn land(deck: &mut Deck, flying: Flying) -> Result<Landed> {
    let Flying { layout, pending, laid, mut note } = flying;
    let outcomes = pending.into_iter().map(|pending| deck.wait(pending)).collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    let failed: Vec<u32> = laid.failed_rows.iter().map(|row| laid.rows.start as u32 + row).collect();
    let selected = u64::from(laid.selected);
    let filtered = laid.rows.len() as u64 - selected - u64::from(laid.failed);
    let groups = (selected > 0).then(|| laid.read(&layout, outcomes)).transpose()?;
    note.groups = groups.as_ref().map_or(0, |groups| groups.groups as u64);
    deck.clock.readback += begun.elapsed();
    Ok(Landed { selected, filtered, failed, groups, layout: Some(layout), note })
}

/// What stays on the device between a batch's submissions.
pub(super) struct Shelf {
    planes: Kept,
    /// The rows that pass, if not all do.
    rows: Option<Kept>,
}

impl Shelf {
    pub fn import(&self, rec: &mut Recording) -> (View, Option<View>) {
        (rec.import(&self.planes).all(), self.rows.as_ref().map(|rows| rec.import(rows).all()))
    }
}

fn kept(outcome: &Outcome, at: usize) -> Result<Kept> {
    outcome.kept.get(at).cloned().ok_or_else(|| Error::internal(format!("no kept buffer {at}")))
}
