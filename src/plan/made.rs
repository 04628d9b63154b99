//! A plan: the stage that runs on a device, and what is done with its groups.

use std::sync::Arc;

use super::Stage;
use crate::agg::Function;
use crate::column::Type;
use crate::expr::{NodeId, Program, col};

/// A job made ready for a schema.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What runs on a device.
    pub stage: Arc<Stage>,
    /// The aggregate calls, each made from some of the stage's states.
    pub calls: Vec<Call>,
    /// Expressions over the keys (first columns) and the scalar calls (the rest, in order).
    pub post: Arc<Program>,
    /// For each column of `post`: a key or a call.
    pub post_inputs: Vec<PostInput>,
    /// The result's columns.
    pub outputs: Vec<Output>,
    /// Groups where this node of `post` is not true are dropped.
    pub having: Option<NodeId>,
    /// The order of the result; empty is key order.
    pub order: Vec<SortTerm>,
    /// The most rows.
    pub limit: Option<u64>,
    /// Whether groups may come in any order.
    pub unordered: bool,
}

impl Plan {
    /// A node of the post program as it was written, with its aggregates and keys.
    pub fn post_text(&self, node: NodeId) -> String {
        let mut text = self.post.node(node).text.clone();
        for (i, key) in self.stage.keys.iter().enumerate() {
            text = text.replace(&col(key_column(i)).to_string(), &col(&key.name).to_string());
        }
        for (i, call) in self.calls.iter().enumerate() {
            text = text.replace(&col(call_column(i)).to_string(), &call.text);
        }
        text
    }
}

/// One aggregate call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its text.
    pub text: String,
    /// The function.
    pub function: Function,
    /// The types of its arguments.
    pub args: Vec<Type>,
    /// The type of its result.
    pub ty: Type,
    /// Which of the stage's states it is made from, in the order of [`Function::states`].
    pub states: Vec<usize>,
}

/// Where a column of the post program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostInput {
    /// A key of the stage.
    Key(usize),
    /// A scalar call.
    Call(usize),
}

/// A column of the result.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// What it holds.
    pub value: OutputValue,
}

impl Output {
    /// The node it holds, if it is no list.
    pub fn node(&self) -> Option<NodeId> {
        if let OutputValue::Node(node) = self.value { Some(node) } else { None }
    }
}

/// What a column of the result holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputValue {
    /// A node of the post program.
    Node(NodeId),
    /// The lists of a call.
    List(usize),
    /// The lists of a call, one row an item.
    Unnest(usize),
}

/// A term of the result's order.
#[derive(Debug, Clone)]
pub struct SortTerm {
    /// What to sort by.
    pub by: SortBy,
    /// Largest first.
    pub descending: bool,
    /// Nulls before everything.
    pub nulls_first: bool,
}

/// What a term sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// An output column.
    Output(usize),
    /// A node of the post program.
    Node(NodeId),
}

/// Names no user can type: the columns of the post program.
pub(super) fn key_column(key: usize) -> String {
    format!("\u{1}key {key}")
}

pub(super) fn call_column(call: usize) -> String {
    format!("\u{1}call {call}")
}
