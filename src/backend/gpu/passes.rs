//! Reductions over all rows of a batch, a window of a sum each, and how they are recorded.

use super::batch::Shelf;
use super::groups::Arranged;
use super::layout::{Layout, Operand, Planned};
use super::record::{Download, Recording};
use super::stages::{direct, pack_keys, reduce, reduce_all};
use crate::Result;
use crate::kernel::Shape;
use crate::kernel::exponent_range::ExponentRange;
use crate::kernel::pack_keys::Packing;
use crate::kernel::value::{Kind, Op, Reduction, ValuePlanes, WINDOW_BITS};

/// Passes of one submission: drivers take a device for hung that is busy with one for seconds.
pub(super) const PASSES: usize = 16;

/// One reduction over all rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// Which of the layout's reductions it is a part of.
    pub planned: usize,
    pub reduction: Reduction,
    x: Operand,
    y: Option<Operand>,
    /// First bit of a sum's window.
    pub base: i32,
}

impl Pass {
    pub fn values(&self, stride: u32) -> ValuePlanes {
        let at = |of: Operand| (of.first * stride, of.valid.map(|plane| plane * stride));
        match self.y {
            None => ValuePlanes::one(at(self.x).0, at(self.x).1, stride),
            Some(y) => ValuePlanes::two(at(self.x), at(y), stride),
        }
    }
}

/// The windows of a sum. Those of integers start at whole words, so that they are limbs to the host.
pub(super) fn windows(range: ExponentRange, kind: Kind) -> Vec<i32> {
    match (kind, range.bits) {
        (Kind::F64, _) => range.windows(),
        (_, Some((low, high))) => (low & !31..=high).step_by(WINDOW_BITS as usize).collect(),
        (_, None) => Vec::new(),
    }
}

/// The passes that fill the layout's reductions, given the bits in use of its ranged operands.
pub(super) fn plan_reductions(layout: &Layout, ranges: &[ExponentRange]) -> Vec<Pass> {
    let range = |of: &Operand| {
        let known = layout.ranged.iter().position(|ranged| ranged == of).and_then(|at| ranges.get(at));
        // An int64 alone is not looked at: all of it is one window.
        known.copied().unwrap_or(ExponentRange { bits: Some((0, 63)), flags: 0 })
    };
    let mut passes = Vec::new();
    for (planned, of) in layout.reductions.iter().enumerate() {
        match *of {
            Planned::Count { valid } => {
                let x = Operand { kind: Kind::Word, first: valid, valid: Some(valid) };
                passes.push(Pass { planned, reduction: Reduction::of(Op::Count, x.kind), x, y: None, base: 0 });
            }
            Planned::Extreme { op, x } => {
                passes.push(Pass { planned, reduction: Reduction::of(op, x.kind), x, y: None, base: 0 });
            }
            Planned::Sum { x, y } => {
                let bits = y.map_or(range(&x), |y| range(&x).times(range(&y)));
                let reduction = Reduction { op: Op::Sum, x: x.kind, y: y.map(|y| y.kind) };
                passes.extend(windows(bits, x.kind).into_iter().map(|base| Pass { planned, reduction, x, y, base }));
                if bits.flags != 0 {
                    passes.push(Pass { planned, reduction: Reduction { op: Op::Flags, ..reduction }, x, y, base: 0 });
                }
            }
        }
    }
    passes
}

/// How the selected rows know their groups.
pub(super) enum Grouping<'a> {
    /// By their place in key order.
    Sorted(&'a Arranged),
    /// By their packed key.
    Direct(&'a Packing),
    /// There is one.
    One,
}

impl Grouping<'_> {
    /// Groups, or cells.
    pub fn groups(&self) -> u32 {
        match self {
            Grouping::Sorted(order) => order.groups,
            Grouping::Direct(packing) => 1 << packing.bits,
            Grouping::One => 1,
        }
    }

    /// Records some passes over the `n` selected rows, and with `counted` how many rows each cell has; the downloads of
    /// that (of the direct grouping alone) and of the passes.
    #[expect(clippy::too_many_arguments, reason = "each is one independent fact about the data")]
    pub fn record(
        &self,
        rec: &mut Recording,
        shape: &Shape,
        shelf: &Shelf,
        passes: &[Pass],
        counted: bool,
        stride: u32,
        n: u32,
    ) -> Result<(Option<Download>, Vec<Download>)> {
        let groups = self.groups();
        let mut counts = None;
        let mut downloads = Vec::with_capacity(passes.len());
        let (planes, rows) = shelf.import(rec);
        let words = |pass: &Pass| u64::from(groups) * u64::from(pass.reduction.words());
        match self {
            Grouping::Direct(packing) => {
                let packed = pack_keys(rec, shape, packing, planes, rows, n);
                let codes = packed.keys.words(0, n.into());
                if counted {
                    let count = Reduction::of(Op::Count, Kind::Word);
                    let all = ValuePlanes::one(0, None, stride);
                    let cells = direct(rec, shape, &count, planes, all, 0, rows, codes, groups, n);
                    counts = Some(rec.download(cells));
                }
                for pass in passes {
                    let (of, values) = (&pass.reduction, pass.values(stride));
                    let states = direct(rec, shape, of, planes, values, pass.base, rows, codes, groups, n);
                    downloads.push(rec.download(states.words(0, words(pass))));
                }
            }
            Grouping::Sorted(_) | Grouping::One if passes.is_empty() => {}
            Grouping::Sorted(order) => {
                let (ids, order) = (order.import_ids(rec)?, order.import_rows(rec).or(rows));
                for pass in passes {
                    let (of, values) = (&pass.reduction, pass.values(stride));
                    let states = reduce(rec, shape, of, planes, values, pass.base, order, ids, n, groups);
                    downloads.push(rec.download(states.words(0, words(pass))));
                }
            }
            Grouping::One => {
                for pass in passes {
                    let (of, values) = (&pass.reduction, pass.values(stride));
                    let state = reduce_all(rec, shape, of, planes, values, pass.base, rows, n);
                    downloads.push(rec.download(state));
                }
            }
        }
        Ok((counts, downloads))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_all_bits_and_integers_start_at_words() {
        let range = |low, high| ExponentRange { bits: Some((low, high)), flags: 0 };
        assert_eq!(windows(range(-1074, 1023), Kind::F64).len(), 22);
        assert_eq!(windows(range(33, 127), Kind::I128), [32]);
        assert_eq!(windows(range(31, 127), Kind::I128), [0, 96]);
        assert_eq!(windows(ExponentRange::default(), Kind::I128), [0i32; 0]);
    }
}
