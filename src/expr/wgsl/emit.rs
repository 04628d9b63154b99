//! Nulls and errors around operations.
use super::super::program::{NodeId, Program};
use super::{InputFrom, MapKernel, MapOutput, Stored};
use crate::{Error, Result};

pub(super) fn kernel(
    _: &Program,
    _: Option<NodeId>,
    _: &[MapOutput],
    _: &dyn Fn(&InputFrom) -> (Stored, bool),
) -> Result<MapKernel> {
    Err(Error::internal("the map kernel is not generated yet"))
}
