//! The states of a checkpoint: a full one, and after it what each batch has changed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value as Json;

use super::batch::Kept;
use super::going::Going;
use super::log::{Kind, Log, Payload};
use crate::{Error, Result};

/// A full state is written when the deltas since the last take more than it did, and at least so much: what is written for a batch is
/// in proportion to what it changed, and what is read to go on is at most twice the state.
const LEAST_DELTAS: u64 = 1 << 20;
/// And after so many batches at the latest.
const MOST_DELTAS: u64 = 256;
/// The states since the last full one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chain {
    /// The batch of the full state; `None` if there is none yet.
    pub full: Option<u64>,
    pub full_bytes: u64,
    pub delta_bytes: u64,
}

impl Chain {
    /// Whether all of the state has become cheaper to read than what changed of it, `delta` of the batch too.
    pub fn is_to_be_full(self, batch: u64, delta: &[u8]) -> bool {
        let after = self.delta_bytes + delta.len() as u64;
        let keeps_on = |full: u64| after <= self.full_bytes.max(LEAST_DELTAS) && batch - full < MOST_DELTAS;
        !self.full.is_some_and(keeps_on)
    }
}

/// Writes the state after a batch: what the batch changed; all of it with the position of the source.
pub(super) fn write_state(
    log: &Log,
    batch: u64,
    chain: Chain,
    mut header: Json,
    position: Option<Json>,
    delta: &[u8],
    going: &Going,
) -> Result<Chain> {
    let Some(position) = position else {
        let payload = join_state(&header, |out| {
            out.extend_from_slice(delta);
            Ok(())
        })?;
        log.write(Kind::State, batch, &payload)?;
        return Ok(Chain { delta_bytes: chain.delta_bytes + payload.len() as u64, ..chain });
    };
    header["position"] = position;
    let payload = join_state(&header, |out| going.put(out))?;
    log.write(Kind::State, batch, &payload)?;
    Ok(Chain { full: Some(batch), full_bytes: payload.len() as u64, delta_bytes: 0 })
}

/// The bytes of a state: the length of its header, the header, the groups.
fn join_state(header: &Json, groups: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Vec<u8>> {
    let header = header.to_string();
    let mut payload = (header.len() as u32).to_le_bytes().to_vec();
    payload.extend_from_slice(header.as_bytes());
    groups(&mut payload)?;
    Ok(payload)
}

/// A state of the chain, read.
pub(super) struct Link {
    pub batch: u64,
    pub bytes: u64,
    pub header: Json,
    kept: Kept,
}

/// From so many bytes on, states are decoded on several threads.
const MANY: usize = 1 << 20;

/// Takes the states from batch `full` to batch `last` in; `each` is told of each, in their order.
pub(super) fn read_states(
    mut states: BTreeMap<u64, Payload>,
    (full, last): (u64, u64),
    going: &mut Going,
    threads: usize,
    mut each: impl FnMut(&Link) -> Result<()>,
) -> Result<()> {
    let bytes: usize = states.range(full..=last).map(|(_, payload)| payload.len()).sum();
    let payloads: Vec<(u64, Option<Payload>)> = (full..=last).map(|batch| (batch, states.remove(&batch))).collect();
    let decode = |(batch, payload)| link(batch, payload, going);
    let links =
        if bytes < MANY { payloads.into_iter().map(decode).collect() } else { spread(payloads, threads, decode) };
    let mut all = Vec::new();
    for link in links {
        let link = link?;
        each(&link)?;
        all.push(link.kept);
    }
    going.take(all)
}

/// What `work` makes of each of `items`, in their order, on so many threads.
fn spread<T: Send, R: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let todo = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || todo.lock().unwrap_or_else(PoisonError::into_inner).next();
    let go = || {
        while let Some((at, item)) = next() {
            let made = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, made));
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(go)));
        go();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, made)| made).collect()
}

fn link(batch: u64, payload: Option<Payload>, going: &Going) -> Result<Link> {
    let gone = || Error::internal(format!("the state of batch {batch} was whole, and is not"));
    let payload = payload.ok_or_else(gone)?;
    let (header, groups) = split_state(&payload).ok_or_else(gone)?;
    Ok(Link { batch, bytes: payload.len() as u64, header, kept: going.decode(groups)? })
}

fn split_state(mut payload: &[u8]) -> Option<(Json, &[u8])> {
    let length = u32::from_le_bytes(payload.split_off(..4)?.try_into().ok()?);
    let header = payload.split_off(..length as usize)?;
    Some((serde_json::from_slice(header).ok()?, payload))
}

/// Removes what no batch that can be gone back to needs.
pub(super) fn forget(log: &Log, batch: u64, keep: u64) -> Result<()> {
    let Some(oldest) = (batch + 1).checked_sub(keep) else { return Ok(()) };
    // The names in a folder are read for this: not for every batch.
    if !batch.is_multiple_of(keep) {
        return Ok(());
    }
    let full = match log.read(Kind::Commits, oldest)? {
        Some(Ok(payload)) => {
            serde_json::from_slice(&payload).ok().and_then(|json: Json| json.get("full").and_then(Json::as_u64))
        }
        _ => None,
    };
    log.forget_before(Kind::Commits, oldest)?;
    log.forget_before(Kind::Offsets, oldest)?;
    full.map_or(Ok(()), |full| log.forget_before(Kind::State, full))
}
