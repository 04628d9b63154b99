//! Operations on strings: tables over a dictionary, choices between codes, and, where nothing better is possible,
//! row by row.

use std::borrow::Cow;
use std::sync::Arc;

use super::kernels::{Arg, binary};
use super::{Morsel, Vector, VectorData};
use crate::column::{Class, Dictionary, Type, Value};
use crate::expr::lut::{ERROR, NULL, OK, TableData};
use crate::expr::program::{Node, NodeId, Op, Origin};
use crate::{Error, Result};

impl<'c> Morsel<'_, 'c> {
    /// Evaluates a node with strings; `None` if it only passes masks on and the general code can do it.
    pub(super) fn compute_strings(&mut self, id: NodeId, node: &Node) -> Result<Option<Vector<'c>>> {
        Ok(Some(match &node.op {
            Op::Literal(Value::Str(text)) => {
                let dict = Arc::clone(self.program.shared.dictionary(id));
                let code = dict.intern(text)?;
                let mut codes = self.pool.take_codes();
                codes.resize(self.len(), code);
                Vector { data: VectorData::Str { codes: Cow::Owned(codes), dict }, valid: None, error: None }
            }
            Op::Null => {
                let dict = Arc::clone(self.program.shared.dictionary(id));
                let (mut codes, mut valid) = (self.pool.take_codes(), self.pool.take_bytes());
                codes.resize(self.len(), 0);
                valid.resize(self.len(), 0);
                Vector {
                    data: VectorData::Str { codes: Cow::Owned(codes), dict },
                    valid: Some(Cow::Owned(valid)),
                    error: None,
                }
            }
            Op::Try => {
                self.eval(&node.args)?;
                let (codes, dict) = self.codes_of(node.args[0])?;
                let mut out = Vec::with_capacity(codes.len());
                out.extend_from_slice(codes);
                let dict = Arc::clone(dict);
                let valid = self.attempted(node);
                Vector { data: VectorData::Str { codes: Cow::Owned(out), dict }, valid, error: None }
            }
            Op::Eq | Op::Lt | Op::Le => {
                self.eval(&node.args)?;
                self.compare_strings(node)?
            }
            Op::Select | Op::Min2 | Op::Max2 if node.class == Class::Str => {
                self.eval(&node.args)?;
                self.choose_strings(id, node)?
            }
            Op::StrLut(_) => self.look_up(id, node)?,
            _ => return Ok(None),
        }))
    }

    fn codes_of(&self, id: NodeId) -> Result<(&[u32], &Arc<Dictionary>)> {
        match &self.get(id)?.data {
            VectorData::Str { codes, dict } => Ok((codes, dict)),
            _ => Err(Error::internal("a string operation on something else")),
        }
    }

    /// A function of one string by its table.
    fn look_up(&mut self, id: NodeId, node: &Node) -> Result<Vector<'c>> {
        let dict = Arc::clone(self.codes_of(node.args[0])?.1);
        let table = self.program.shared.table(id, node, 0, &dict)?;
        macro_rules! gather {
            ($take:ident, $values:expr, $make:expr) => {{
                let mut out = self.pool.$take();
                let codes = self.codes_of(node.args[0])?.0;
                // A null's code may be any.
                out.extend(codes.iter().map(|&c| $values.get(c as usize).copied().unwrap_or_default()));
                $make(Cow::Owned(out))
            }};
        }
        let data = match &table.data {
            TableData::Bool(v) => gather!(take_bytes, v, VectorData::Bool),
            TableData::Int(v) => gather!(take_ints, v, VectorData::Int),
            TableData::Wide(v) => gather!(take_wides, v, VectorData::Wide),
            TableData::Float(v) => gather!(take_floats, v, VectorData::Float),
            TableData::Str(v) => {
                let own = Arc::clone(self.program.shared.dictionary(id));
                gather!(take_codes, v, |codes| VectorData::Str { codes, dict: own })
            }
        };
        if !node.checks {
            return self.strict(node, data, None);
        }
        let (arg, state) = (node.args[0], &table.state);
        let mut any = false;
        for &code in self.codes_of(arg)?.0 {
            let state = state.get(code as usize).copied().unwrap_or(OK);
            debug_assert_ne!(state, NULL, "string functions give null for null alone");
            any |= state == ERROR;
        }
        let failed =
            |m: &Self, row: usize| Ok(state.get(m.codes_of(arg)?.0[row] as usize).is_some_and(|s| *s == ERROR));
        self.strict(node, data, if any { Some(&failed) } else { None })
    }

    /// Which rows of two strings are in order: `test` of (a ? b).
    fn string_order(&mut self, node: &Node, test: impl Fn(std::cmp::Ordering) -> bool) -> Result<Vec<u8>> {
        let [a, b] = [node.args[0], node.args[1]];
        let mut out = self.pool.take_bytes();
        let ((codes_a, dict_a), (codes_b, dict_b)) = (self.codes_of(a)?, self.codes_of(b)?);
        if Arc::ptr_eq(dict_a, dict_b) {
            let ranks = dict_a.ranks();
            let rank = |code: u32| ranks.get(code as usize).copied().unwrap_or(0);
            binary(self.len(), Arg::Rows(codes_a), Arg::Rows(codes_b), &mut out, |a, b| {
                u8::from(test(rank(a).cmp(&rank(b))))
            });
        } else {
            let (a, b) = (self.values_of(a)?, self.values_of(b)?);
            out.extend(a.iter().zip(&b).map(|(a, b)| {
                u8::from(match (a, b) {
                    (Value::Str(a), Value::Str(b)) => test(a.as_bytes().cmp(b.as_bytes())),
                    _ => false,
                })
            }));
        }
        Ok(out)
    }

    fn compare_strings(&mut self, node: &Node) -> Result<Vector<'c>> {
        let out = match node.op {
            Op::Eq => self.string_order(node, |o| o.is_eq())?,
            Op::Lt => self.string_order(node, |o| o.is_lt())?,
            _ => self.string_order(node, |o| o.is_le())?,
        };
        self.strict(node, VectorData::Bool(Cow::Owned(out)), None)
    }

    /// `Select`, `Min2` and `Max2`: codes of one dictionary, into which those of others are translated.
    fn choose_strings(&mut self, id: NodeId, node: &Node) -> Result<Vector<'c>> {
        let (take_a, a, b, valid, error) = match node.op {
            Op::Select => {
                let take = self.taken(node.args[0])?;
                let (valid, error) = self.select_masks(&take, node);
                (take, 1, 2, valid, error)
            }
            _ => {
                let larger = node.op == Op::Max2;
                let mut take = self.string_order(node, |o| if larger { o.is_ge() } else { o.is_le() })?;
                let (valid_a, valid_b) = (self.valid(node.args[0]), self.valid(node.args[1]));
                for (row, take) in take.iter_mut().enumerate() {
                    let (a, b) = (valid_a.at(row), valid_b.at(row));
                    *take = (*take | (b ^ 1)) & a;
                }
                let valid = self.either_valid(node.args[0], node.args[1]).map(Cow::Owned);
                (take, 0, 1, valid, self.any_error(&node.args))
            }
        };
        let own = self.program.origin(id) == Some(Origin::Node(id));
        let mut dict = Arc::clone(self.program.shared.dictionary(id));
        let mut sides = vec![];
        for side in [a, b] {
            let arg = node.args[side];
            if self.program.node(arg).op == Op::Null {
                sides.push(None);
                continue;
            }
            let from = Arc::clone(self.codes_of(arg)?.1);
            let codes = self.codes_of(arg)?.0;
            if own {
                let table = self.program.shared.table(id, node, side, &from)?;
                let TableData::Str(to) = &table.data else {
                    return Err(Error::internal("a translation that is not of strings"));
                };
                sides.push(Some(Cow::Owned(
                    codes.iter().map(|&c| to.get(c as usize).copied().unwrap_or(0)).collect::<Vec<u32>>(),
                )));
            } else {
                dict = from;
                sides.push(Some(Cow::Borrowed(codes)));
            }
        }
        let code = |side: &Option<Cow<'_, [u32]>>, row: usize| side.as_ref().map_or(0, |codes| codes[row]);
        let out = take_a.iter().enumerate().map(|(row, take)| code(&sides[usize::from(*take == 0)], row)).collect();
        Ok(Vector { data: VectorData::Str { codes: Cow::Owned(out), dict }, valid, error })
    }

    /// An argument as values, a string read once. Null where the row is null or an error.
    fn values_of(&self, id: NodeId) -> Result<Vec<Value>> {
        let vector = self.get(id)?;
        let present = |row: usize| !vector.is_error(row) && !vector.is_null(row);
        let rows = 0..vector.len();
        let pick = |make: &dyn Fn(usize) -> Value| {
            rows.clone().map(|row| if present(row) { make(row) } else { Value::Null }).collect()
        };
        Ok(match &vector.data {
            VectorData::Bool(v) => pick(&|row| Value::Bool(v[row] != 0)),
            VectorData::Int(v) => pick(&|row| Value::Int(v[row])),
            VectorData::Wide(v) => pick(&|row| Value::Wide(v[row])),
            VectorData::Float(v) => pick(&|row| Value::Float(v[row])),
            VectorData::Str { codes, dict } => {
                let strings = dict.read();
                pick(&|row| Value::Str(strings.get(codes[row]).into()))
            }
        })
    }

    /// Functions of several arguments, and the text of values.
    pub(super) fn row_by_row(&mut self, id: NodeId, node: &Node) -> Result<Vector<'c>> {
        self.eval(&node.args)?;
        let args = node.args.iter().map(|arg| self.values_of(*arg)).collect::<Result<Vec<_>>>()?;
        let types: Vec<Type> = node.args.iter().map(|arg| self.program.node(*arg).ty.clone()).collect();
        let mut error = self.any_error(&node.args);
        let n = self.len();
        let mut results: Vec<Value> = Vec::with_capacity(n);
        let mut row_args = vec![Value::Null; args.len()];
        for row in 0..n {
            for (value, arg) in row_args.iter_mut().zip(&args) {
                *value = arg[row].clone();
            }
            let result = match &node.op {
                _ if error.as_ref().is_some_and(|e| e[row] != 0) => Ok(Value::Null),
                Op::StrLut(call) | Op::StrRow(call) => call.apply(&row_args),
                _ if row_args[0].is_null() => Ok(Value::Null),
                _ => Ok(Value::Str(row_args[0].text(&types[0]).into())),
            };
            results.push(result.unwrap_or_else(|_| {
                error.get_or_insert_with(|| vec![0; n])[row] = 1;
                Value::Null
            }));
        }
        macro_rules! collect {
            ($variant:ident, $make:expr, $convert:expr) => {
                $make(Cow::Owned(
                    results
                        .iter()
                        .map(|v| if let Value::$variant(v) = v { $convert(*v) } else { Default::default() })
                        .collect(),
                ))
            };
        }
        let data = match node.class {
            Class::Bool => collect!(Bool, VectorData::Bool, u8::from),
            Class::Int => collect!(Int, VectorData::Int, |v| v),
            Class::Wide => collect!(Wide, VectorData::Wide, |v| v),
            Class::Float => collect!(Float, VectorData::Float, |v| v),
            Class::Str => {
                let dict = Arc::clone(self.program.shared.dictionary(id));
                let texts = results.iter().filter_map(|v| if let Value::Str(text) = v { Some(&**text) } else { None });
                let mut interned = dict.intern_all(texts)?.into_iter();
                let codes = results
                    .iter()
                    .map(|v| if let Value::Str(_) = v { interned.next().unwrap_or(0) } else { 0 })
                    .collect();
                VectorData::Str { codes: Cow::Owned(codes), dict }
            }
        };
        let valid =
            results.iter().any(Value::is_null).then(|| results.iter().map(|v| u8::from(!v.is_null())).collect());
        Ok(Vector { data, valid: valid.map(|v: Vec<u8>| Cow::Owned(v)), error })
    }
}
