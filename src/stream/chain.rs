//! The states of a checkpoint: a full one, and after it what each batch has changed.

use serde_json::Value as Json;

use super::going::Going;
use super::log::{Kind, Log};
use crate::Result;

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

/// Writes the state after a batch: what the batch changed, or all of it if that has become cheaper to read.
pub(super) fn write_state(
    log: &Log,
    batch: u64,
    chain: Chain,
    mut header: Json,
    delta: &[u8],
    going: &Going,
    position: &Json,
) -> Result<Chain> {
    let after = chain.delta_bytes + delta.len() as u64;
    let keep_on = |full: u64| after <= chain.full_bytes.max(LEAST_DELTAS) && batch - full < MOST_DELTAS;
    if let Some(full) = chain.full.filter(|&full| keep_on(full)) {
        let payload = join_state(&header, |out| {
            out.extend_from_slice(delta);
            Ok(())
        })?;
        log.write(Kind::State, batch, &payload)?;
        let delta_bytes = chain.delta_bytes + payload.len() as u64;
        return Ok(Chain { full: Some(full), delta_bytes, ..chain });
    }
    header["position"] = position.clone();
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

pub(super) fn split_state(mut payload: &[u8]) -> Option<(Json, &[u8])> {
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
