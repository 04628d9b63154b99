//! Which operation is which loop.
//!
//! An operation computes its data with a loop over its arguments, nulls and errors included, then its masks. Checked
//! loops report whether any row failed; only then a second pass finds the rows, and keeps those that are not null.

use std::borrow::Cow;
use std::sync::Arc;

use super::kernels::{Arg, Mask, binary, binary_checked, select, unary, unary_checked};
use super::number::{date_part, date_trunc, divide, float_to_wide, is_wide, power, wide_to_float};
use super::{Morsel, Vector, VectorData};
use crate::column::key::{float_order, pair, word_int};
use crate::column::{Class, Value};
use crate::expr::program::{Node, NodeId, Op, Program, Rounding};
use crate::{Error, Result};

/// A class's element: how to see a node as an argument of it, and how to keep a result of it.
pub(super) trait Element: Copy + Default + 'static {
    fn rows<'a>(data: &'a VectorData<'_>) -> Option<&'a [Self]>;
    fn constant(value: &Value) -> Option<Self>;
    fn take(morsel: &mut Morsel<'_, '_>) -> Vec<Self>;
    fn data<'c>(values: Vec<Self>) -> VectorData<'c>;
}

macro_rules! element {
    ($ty:ty, $data:ident, $value:pat => $constant:expr, $take:ident) => {
        impl Element for $ty {
            fn rows<'a>(data: &'a VectorData<'_>) -> Option<&'a [Self]> {
                if let VectorData::$data(rows) = data { Some(rows) } else { None }
            }
            fn constant(value: &Value) -> Option<Self> {
                if let $value = value { Some($constant) } else { None }
            }
            fn take(morsel: &mut Morsel<'_, '_>) -> Vec<Self> {
                morsel.pool.$take()
            }
            fn data<'c>(values: Vec<Self>) -> VectorData<'c> {
                VectorData::$data(Cow::Owned(values))
            }
        }
    };
}
element!(u8, Bool, Value::Bool(v) => u8::from(*v), take_bytes);
element!(i64, Int, Value::Int(v) => *v, take_ints);
element!(i128, Wide, Value::Wide(v) => *v, take_wides);
element!(f64, Float, Value::Float(v) => *v, take_floats);

/// Whether a row fails: asked only when some row has.
type Failed<'f, M> = dyn Fn(&M, usize) -> Result<bool> + 'f;

fn wrong_class() -> Error {
    Error::internal("an operation on an argument of another class")
}

impl<'c> Morsel<'_, 'c> {
    /// Evaluates one node whose arguments have been, constants aside.
    pub(super) fn compute(&mut self, id: NodeId) -> Result<Vector<'c>> {
        let program = Arc::clone(&self.program);
        let node = program.node(id);
        let strings = node.class == Class::Str || node.args.iter().any(|a| program.node(*a).class == Class::Str);
        if strings && let Some(vector) = self.compute_strings(id, node)? {
            return Ok(vector);
        }
        match &node.op {
            Op::Column(index) => self.column(*index, node.class),
            Op::Literal(_) | Op::Null => self.constant_rows(id, node),
            // Morsel::root has passed through it.
            Op::Retype => Err(Error::internal("a retype is no work")),

            Op::BoolToInt => self.map(node, |a: u8| i64::from(a)),
            Op::IntToFloat => self.map(node, |a: i64| a as f64),
            Op::IntToWide => self.map(node, |a: i64| i128::from(a)),
            Op::FloatOrder => self.map(node, |a: f64| word_int(float_order(a))),
            Op::Pair => self.zip(node, |a: i64, b: i64| pair(a, b)),
            Op::WideToInt => self.map_checked(node, |a: i128| (a as i64, i64::try_from(a).is_err())),
            Op::WideToFloat { scale } => self.map(node, |a: i128| wide_to_float(a, *scale)),
            Op::WideScaleUp { digits } => {
                let by = power(*digits);
                self.map_checked(node, |a: i128| {
                    let (scaled, overflow) = a.overflowing_mul(by);
                    (scaled, overflow | !is_wide(scaled))
                })
            }
            Op::WideRound { digits, rounding } => {
                let by = power(*digits);
                self.map(node, |a: i128| divide(a, by, *rounding))
            }
            Op::FloatToInt => self.map_checked(node, |a: f64| {
                let rounded = a.round_ties_even();
                const LIMIT: f64 = 9_223_372_036_854_775_808.0;
                (rounded as i64, !(-LIMIT..LIMIT).contains(&rounded))
            }),
            Op::FloatToWide { scale } => self.map_checked(node, |a: f64| {
                let wide = float_to_wide(a, *scale);
                (wide.unwrap_or(0), wide.is_none())
            }),
            Op::FloatToFloat32 => self.map_checked(node, |a: f64| {
                let narrow = a as f32;
                (f64::from(narrow), narrow.is_infinite() & a.is_finite())
            }),
            Op::IntRange { min, max } => self.map_checked(node, |a: i64| (a, (a < *min) | (a > *max))),
            Op::WideRange { min, max } => self.map_checked(node, |a: i128| (a, (a < *min) | (a > *max))),
            Op::IntScale(by) => self.map_checked(node, |a: i64| a.overflowing_mul(*by)),
            Op::IntFloorDiv(by) => self.map(node, |a: i64| a.div_euclid(*by)),
            Op::IntFloorMod(by) => self.map(node, |a: i64| a.rem_euclid(*by)),

            Op::Neg | Op::Abs | Op::Sign => self.sign_op(node, &program),
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem => match node.class {
                Class::Int => self.int_op(node),
                Class::Wide => self.wide_op(node),
                _ => self.float_op(node),
            },
            Op::Sqrt => self.map(node, f64::sqrt),
            Op::FloatRound(rounding) => match rounding {
                Rounding::Floor => self.map(node, f64::floor),
                Rounding::Ceil => self.map(node, f64::ceil),
                Rounding::Trunc => self.map(node, f64::trunc),
                Rounding::Nearest => self.map(node, f64::round),
            },
            Op::IsNan => self.map(node, |a: f64| u8::from(a.is_nan())),
            Op::IsFinite => self.map(node, |a: f64| u8::from(a.is_finite())),
            Op::Pow => self.zip(node, libm::pow),
            Op::Exp => self.map(node, libm::exp),
            Op::Ln => self.map(node, libm::log),
            Op::Log10 => self.map(node, libm::log10),

            Op::Eq | Op::Lt | Op::Le => match program.node(node.args[0]).class {
                Class::Bool => self.ordered(node, |a: u8, b: u8| a == b, |a, b| a < b, |a, b| a <= b),
                Class::Int => self.ordered(node, |a: i64, b: i64| a == b, |a, b| a < b, |a, b| a <= b),
                Class::Wide => self.ordered(node, |a: i128, b: i128| a == b, |a, b| a < b, |a, b| a <= b),
                _ => self.ordered(
                    node,
                    |a: f64, b: f64| (a == b) | (a.is_nan() & b.is_nan()),
                    |a, b| (a < b) | (!a.is_nan() & b.is_nan()),
                    |a, b| (a <= b) | b.is_nan(),
                ),
            },
            Op::Min2 | Op::Max2 => match node.class {
                Class::Bool => self.pick(node, |a: u8, b: u8| a < b),
                Class::Int => self.pick(node, |a: i64, b: i64| a < b),
                Class::Wide => self.pick(node, |a: i128, b: i128| a < b),
                _ => self.pick(node, |a: f64, b: f64| total(a) < total(b)),
            },

            Op::And => self.three_valued(node, true),
            Op::Or => self.three_valued(node, false),
            Op::Not => self.map(node, |a: u8| a ^ 1),
            Op::IsNull => self.is_null(node),
            Op::Select => match node.class {
                Class::Bool => self.select::<u8>(node),
                Class::Int => self.select::<i64>(node),
                Class::Wide => self.select::<i128>(node),
                _ => self.select::<f64>(node),
            },
            Op::Try => match node.class {
                Class::Bool => self.attempt::<u8>(node),
                Class::Int => self.attempt::<i64>(node),
                Class::Wide => self.attempt::<i128>(node),
                _ => self.attempt::<f64>(node),
            },

            Op::DatePart(field) => {
                let part = date_part(*field);
                self.map(node, part)
            }
            Op::DateTrunc(period) => {
                let trunc = date_trunc(*period);
                self.map(node, trunc)
            }

            Op::StrLut(_) | Op::StrRow(_) | Op::Format => self.row_by_row(id, node),
        }
    }

    // Arguments.

    /// An argument's values.
    pub(super) fn arg<T: Element>(&self, id: NodeId) -> Result<Arg<'_, T>> {
        let root = self.root(id);
        if let Some(vector) = &self.slots[root.index()] {
            return T::rows(&vector.data).map(Arg::Rows).ok_or_else(wrong_class);
        }
        match &self.program.node(root).op {
            Op::Literal(value) => T::constant(value).map(Arg::One).ok_or_else(wrong_class),
            Op::Null => Ok(Arg::One(T::default())),
            _ => Err(Error::internal("an argument that has not been evaluated")),
        }
    }

    /// Which rows of an argument are not null.
    pub(super) fn valid(&self, id: NodeId) -> Mask<'_> {
        let root = self.root(id);
        match &self.slots[root.index()] {
            Some(vector) => vector.valid.as_deref().map_or(Arg::One(1), Arg::Rows),
            None => Arg::One(u8::from(self.program.node(root).op != Op::Null)),
        }
    }

    /// Which rows of an argument are errors.
    pub(super) fn error(&self, id: NodeId) -> Mask<'_> {
        let vector = self.slots[self.root(id).index()].as_ref();
        vector.and_then(|v| v.error.as_deref()).map_or(Arg::One(0), Arg::Rows)
    }

    /// The rows where all of these masks are 1; `None` if that is every row.
    pub(super) fn all_of(&mut self, ids: &[NodeId]) -> Option<Vec<u8>> {
        let mut out: Option<Vec<u8>> = None;
        for id in ids {
            if !matches!(self.valid(*id), Arg::One(1)) {
                let mut bytes = out.take().unwrap_or_else(|| self.pool.take_bytes());
                self.merge(self.valid(*id), &mut bytes, |a, b| a & b);
                out = Some(bytes);
            }
        }
        out
    }

    /// The rows where any of these is an error; `None` if that is none.
    pub(super) fn any_error(&mut self, ids: &[NodeId]) -> Option<Vec<u8>> {
        let mut out: Option<Vec<u8>> = None;
        for id in ids {
            if !matches!(self.error(*id), Arg::One(0)) {
                let mut bytes = out.take().unwrap_or_else(|| self.pool.take_bytes());
                self.merge(self.error(*id), &mut bytes, |a, b| a | b);
                out = Some(bytes);
            }
        }
        out
    }

    /// Merges a mask into bytes; into none yet, copies it.
    fn merge(&self, mask: Mask<'_>, bytes: &mut Vec<u8>, f: impl Fn(u8, u8) -> u8) {
        if bytes.is_empty() {
            unary(self.len(), mask, bytes, |m| m);
            return;
        }
        for (row, byte) in bytes.iter_mut().enumerate() {
            *byte = f(*byte, mask.at(row));
        }
    }

    /// A result whose rows are null or errors where an argument's is, and errors where `failed` is and it is not null.
    pub(super) fn strict(
        &mut self,
        node: &Node,
        data: VectorData<'c>,
        failed: Option<&Failed<'_, Self>>,
    ) -> Result<Vector<'c>> {
        let valid = self.all_of(&node.args);
        let mut error = self.any_error(&node.args);
        if let Some(failed) = failed {
            let mut bytes = error.take().unwrap_or_else(|| {
                let mut bytes = self.pool.take_bytes();
                bytes.resize(self.len(), 0);
                bytes
            });
            for (row, byte) in bytes.iter_mut().enumerate() {
                let present = valid.as_ref().is_none_or(|v| v[row] != 0);
                if present && failed(self, row)? {
                    *byte = 1;
                }
            }
            // Only nulls may have failed.
            error = Some(bytes).filter(|e| e.contains(&1));
        }
        Ok(Vector { data, valid: valid.map(Cow::Owned), error })
    }

    // Shapes of operations.

    fn map<T: Element, U: Element>(&mut self, node: &Node, f: impl Fn(T) -> U) -> Result<Vector<'c>> {
        let mut out = U::take(self);
        unary(self.len(), self.arg::<T>(node.args[0])?, &mut out, f);
        self.strict(node, U::data(out), None)
    }

    fn map_checked<T: Element, U: Element>(
        &mut self,
        node: &Node,
        f: impl Fn(T) -> (U, bool) + Copy,
    ) -> Result<Vector<'c>> {
        let mut out = U::take(self);
        let (n, a) = (self.len(), node.args[0]);
        if !node.checks {
            unary(n, self.arg::<T>(a)?, &mut out, |a| f(a).0);
            return self.strict(node, U::data(out), None);
        }
        let any = unary_checked(n, self.arg::<T>(a)?, &mut out, f);
        let failed = |m: &Self, row: usize| Ok(f(m.arg::<T>(a)?.at(row)).1);
        self.strict(node, U::data(out), if any { Some(&failed) } else { None })
    }

    fn zip<T: Element, U: Element>(&mut self, node: &Node, f: impl Fn(T, T) -> U) -> Result<Vector<'c>> {
        let mut out = U::take(self);
        binary(self.len(), self.arg::<T>(node.args[0])?, self.arg::<T>(node.args[1])?, &mut out, f);
        self.strict(node, U::data(out), None)
    }

    fn zip_checked<T: Element, U: Element>(
        &mut self,
        node: &Node,
        f: impl Fn(T, T) -> (U, bool) + Copy,
    ) -> Result<Vector<'c>> {
        let mut out = U::take(self);
        let (n, a, b) = (self.len(), node.args[0], node.args[1]);
        if !node.checks {
            binary(n, self.arg::<T>(a)?, self.arg::<T>(b)?, &mut out, |a, b| f(a, b).0);
            return self.strict(node, U::data(out), None);
        }
        let any = binary_checked(n, self.arg::<T>(a)?, self.arg::<T>(b)?, &mut out, f);
        let failed = |m: &Self, row: usize| Ok(f(m.arg::<T>(a)?.at(row), m.arg::<T>(b)?.at(row)).1);
        self.strict(node, U::data(out), if any { Some(&failed) } else { None })
    }

    fn sign_op(&mut self, node: &Node, program: &Program) -> Result<Vector<'c>> {
        match (&node.op, program.node(node.args[0]).class) {
            (Op::Neg, Class::Int) => self.map_checked(node, i64::overflowing_neg),
            (Op::Neg, Class::Wide) => self.map(node, |a: i128| a.wrapping_neg()),
            (Op::Neg, _) => self.map(node, |a: f64| -a),
            (Op::Abs, Class::Int) => self.map_checked(node, i64::overflowing_abs),
            (Op::Abs, Class::Wide) => self.map(node, |a: i128| a.wrapping_abs()),
            (Op::Abs, _) => self.map(node, f64::abs),
            (_, Class::Int) => self.map(node, i64::signum),
            (_, Class::Wide) => self.map(node, |a: i128| a.signum() as i64),
            (_, _) => self.map(node, |a: f64| i64::from(a > 0.0) - i64::from(a < 0.0)),
        }
    }

    fn int_op(&mut self, node: &Node) -> Result<Vector<'c>> {
        match node.op {
            Op::Add => self.zip_checked(node, i64::overflowing_add),
            Op::Sub => self.zip_checked(node, i64::overflowing_sub),
            Op::Mul => self.zip_checked(node, i64::overflowing_mul),
            // The divisor of a row that fails is replaced, so that every row divides.
            Op::Div => self.zip_checked(node, |a: i64, b: i64| {
                let (quotient, overflow) = a.overflowing_div(if b == 0 { 1 } else { b });
                (quotient, overflow | (b == 0))
            }),
            _ => self.zip_checked(node, |a: i64, b: i64| (a.wrapping_rem(if b == 0 { 1 } else { b }), b == 0)),
        }
    }

    fn wide_op(&mut self, node: &Node) -> Result<Vector<'c>> {
        let limited = |(value, overflow): (i128, bool)| (value, overflow | !is_wide(value));
        match node.op {
            Op::Add => self.zip_checked(node, |a: i128, b: i128| limited(a.overflowing_add(b))),
            Op::Sub => self.zip_checked(node, |a: i128, b: i128| limited(a.overflowing_sub(b))),
            Op::Mul => self.zip_checked(node, |a: i128, b: i128| limited(a.overflowing_mul(b))),
            Op::Div => self.zip_checked(node, |a: i128, b: i128| (a.wrapping_div(if b == 0 { 1 } else { b }), b == 0)),
            _ => self.zip_checked(node, |a: i128, b: i128| (a.wrapping_rem(if b == 0 { 1 } else { b }), b == 0)),
        }
    }

    fn float_op(&mut self, node: &Node) -> Result<Vector<'c>> {
        match node.op {
            Op::Add => self.zip(node, |a: f64, b: f64| a + b),
            Op::Sub => self.zip(node, |a: f64, b: f64| a - b),
            Op::Mul => self.zip(node, |a: f64, b: f64| a * b),
            Op::Div => self.zip_checked(node, |a: f64, b: f64| (a / b, b == 0.0)),
            _ => self.zip_checked(node, |a: f64, b: f64| (a % b, b == 0.0)),
        }
    }

    fn ordered<T: Element>(
        &mut self,
        node: &Node,
        equal: impl Fn(T, T) -> bool,
        less: impl Fn(T, T) -> bool,
        less_or_equal: impl Fn(T, T) -> bool,
    ) -> Result<Vector<'c>> {
        match node.op {
            Op::Eq => self.zip(node, |a, b| u8::from(equal(a, b))),
            Op::Lt => self.zip(node, |a, b| u8::from(less(a, b))),
            _ => self.zip(node, |a, b| u8::from(less_or_equal(a, b))),
        }
    }

    /// The smaller or larger of two, a null ignored.
    fn pick<T: Element>(&mut self, node: &Node, less: impl Fn(T, T) -> bool) -> Result<Vector<'c>> {
        let (n, a, b) = (self.len(), node.args[0], node.args[1]);
        let larger = node.op == Op::Max2;
        let mut take_b = self.pool.take_bytes();
        binary(n, self.arg::<T>(a)?, self.arg::<T>(b)?, &mut take_b, |a, b| {
            u8::from(if larger { less(a, b) } else { less(b, a) })
        });
        let (valid_a, valid_b) = (self.valid(a), self.valid(b));
        if !matches!((valid_a, valid_b), (Arg::One(1), Arg::One(1))) {
            for (row, take_b) in take_b.iter_mut().enumerate() {
                let (a, b) = (valid_a.at(row), valid_b.at(row));
                *take_b = (*take_b | (a ^ 1)) & b;
            }
        }
        let mut out = T::take(self);
        select(&take_b, self.arg::<T>(b)?, self.arg::<T>(a)?, &mut out);
        let valid = self.either_valid(a, b);
        self.pool.bytes.push({
            take_b.clear();
            take_b
        });
        Ok(Vector { data: T::data(out), valid: valid.map(Cow::Owned), error: self.any_error(&node.args) })
    }

    /// The rows where at least one of two is not null; `None` if that is every row.
    pub(super) fn either_valid(&mut self, a: NodeId, b: NodeId) -> Option<Vec<u8>> {
        if matches!(self.valid(a), Arg::One(1)) || matches!(self.valid(b), Arg::One(1)) {
            return None;
        }
        let mut out = self.pool.take_bytes();
        binary(self.len(), self.valid(a), self.valid(b), &mut out, |a, b| a | b);
        Some(out)
    }

    fn three_valued(&mut self, node: &Node, and: bool) -> Result<Vector<'c>> {
        let (n, a, b) = (self.len(), node.args[0], node.args[1]);
        let mut out = self.pool.take_bytes();
        binary(n, self.arg::<u8>(a)?, self.arg::<u8>(b)?, &mut out, |a, b| if and { a & b } else { a | b });
        let masks = [self.valid(a), self.valid(b), self.error(a), self.error(b)];
        if matches!(masks, [Arg::One(1), Arg::One(1), Arg::One(0), Arg::One(0)]) {
            return Ok(Vector { data: VectorData::Bool(Cow::Owned(out)), valid: None, error: None });
        }
        let (mut valid, mut error) = (self.pool.take_bytes(), self.pool.take_bytes());
        let (left, right) = (self.arg::<u8>(a)?, self.arg::<u8>(b)?);
        let [valid_a, valid_b, error_a, error_b] = [self.valid(a), self.valid(b), self.error(a), self.error(b)];
        let decisive = u8::from(!and);
        for (row, out) in out.iter_mut().enumerate() {
            let decides = |value: Mask<'_>, valid: Mask<'_>, error: Mask<'_>| {
                u8::from(value.at(row) == decisive) & valid.at(row) & (error.at(row) ^ 1)
            };
            let decided = decides(left, valid_a, error_a) | decides(right, valid_b, error_b);
            let failed = (error_a.at(row) | error_b.at(row)) & (decided ^ 1);
            *out = if decided == 1 { decisive } else { decisive ^ 1 };
            valid.push(decided | (valid_a.at(row) & valid_b.at(row)));
            error.push(failed);
        }
        let error = Some(error).filter(|e| e.contains(&1));
        Ok(Vector { data: VectorData::Bool(Cow::Owned(out)), valid: Some(Cow::Owned(valid)), error })
    }

    pub(super) fn is_null(&mut self, node: &Node) -> Result<Vector<'c>> {
        let mut out = self.pool.take_bytes();
        unary(self.len(), self.valid(node.args[0]), &mut out, |valid| valid ^ 1);
        Ok(Vector { data: VectorData::Bool(Cow::Owned(out)), valid: None, error: self.any_error(&node.args) })
    }

    /// Which rows take the first branch: the condition is true.
    pub(super) fn taken(&mut self, condition: NodeId) -> Result<Vec<u8>> {
        let mut take = self.pool.take_bytes();
        binary(self.len(), self.arg::<u8>(condition)?, self.valid(condition), &mut take, |c, valid| c & valid);
        Ok(take)
    }

    /// The masks of a choice: (valid, error).
    pub(super) fn select_masks(&mut self, take: &[u8], node: &Node) -> (Option<Cow<'c, [u8]>>, Option<Vec<u8>>) {
        let [condition, a, b] = [node.args[0], node.args[1], node.args[2]];
        let mut valid = None;
        if !matches!((self.valid(a), self.valid(b)), (Arg::One(1), Arg::One(1))) {
            let mut bytes = self.pool.take_bytes();
            select(take, self.valid(a), self.valid(b), &mut bytes);
            // Often no row takes the branch that is null; who reads on is faster without a mask.
            if bytes.contains(&0) {
                valid = Some(Cow::Owned(bytes));
            } else {
                bytes.clear();
                self.pool.bytes.push(bytes);
            }
        }
        let mut error = None;
        if !matches!((self.error(condition), self.error(a), self.error(b)), (Arg::One(0), Arg::One(0), Arg::One(0))) {
            let mut bytes = self.pool.take_bytes();
            select(take, self.error(a), self.error(b), &mut bytes);
            let of_condition = self.error(condition);
            bytes.iter_mut().enumerate().for_each(|(row, byte)| *byte |= of_condition.at(row));
            error = Some(bytes).filter(|e| e.contains(&1));
        }
        (valid, error)
    }

    fn select<T: Element>(&mut self, node: &Node) -> Result<Vector<'c>> {
        let mut take = self.taken(node.args[0])?;
        let mut out = T::take(self);
        select(&take, self.arg::<T>(node.args[1])?, self.arg::<T>(node.args[2])?, &mut out);
        let (valid, error) = self.select_masks(&take, node);
        take.clear();
        self.pool.bytes.push(take);
        Ok(Vector { data: T::data(out), valid, error })
    }

    fn attempt<T: Element>(&mut self, node: &Node) -> Result<Vector<'c>> {
        let mut out = T::take(self);
        unary(self.len(), self.arg::<T>(node.args[0])?, &mut out, |a| a);
        let valid = self.attempted(node);
        Ok(Vector { data: T::data(out), valid, error: None })
    }

    /// The rows that are neither null nor an error.
    pub(super) fn attempted(&mut self, node: &Node) -> Option<Cow<'c, [u8]>> {
        let arg = node.args[0];
        if let Arg::One(0) = self.error(arg) {
            return self.all_of(&[arg]).map(Cow::Owned);
        }
        let mut valid = self.pool.take_bytes();
        binary(self.len(), self.valid(arg), self.error(arg), &mut valid, |valid, error| valid & (error ^ 1));
        Some(Cow::Owned(valid))
    }

    /// A constant in every row, for whom it must be a vector.
    fn constant_rows(&mut self, id: NodeId, node: &Node) -> Result<Vector<'c>> {
        fn rows<'c, T: Element>(morsel: &mut Morsel<'_, 'c>, id: NodeId) -> Result<VectorData<'c>> {
            let mut out = T::take(morsel);
            unary(morsel.len(), morsel.arg::<T>(id)?, &mut out, |a| a);
            Ok(T::data(out))
        }
        let data = match node.class {
            Class::Bool => rows::<u8>(self, id)?,
            Class::Int => rows::<i64>(self, id)?,
            Class::Wide => rows::<i128>(self, id)?,
            _ => rows::<f64>(self, id)?,
        };
        let mut valid = None;
        if node.op == Op::Null {
            let mut bytes = self.pool.take_bytes();
            bytes.resize(self.len(), 0);
            valid = Some(Cow::Owned(bytes));
        }
        Ok(Vector { data, valid, error: None })
    }
}

/// Bits whose integer order is the total order of floats: every NaN above the rest and equal, −0 below +0.
fn total(value: f64) -> i64 {
    if value.is_nan() {
        return i64::MAX;
    }
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}
