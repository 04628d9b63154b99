//! The stage every backend runs: filter, keys and states over one program.

use std::sync::Arc;

use crate::agg::StateSpec;
use crate::column::{Class, Dictionary, KeyColumn, Type};
use crate::expr::{NodeId, Program};

/// A group key of a stage.
#[derive(Debug, Clone)]
pub struct Key {
    /// What it is called.
    pub name: String,
    /// Its expression.
    pub node: NodeId,
    /// Its type.
    pub ty: Type,
}

/// What happens to every row on a device: drop it or find its group, and feed that group's states.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The expressions; its columns are those of the chunks, in order.
    pub program: Arc<Program>,
    /// Rows where this is not true are filtered.
    pub filter: Option<NodeId>,
    /// The group keys.
    pub keys: Vec<Key>,
    /// The arguments of all states.
    pub args: Vec<NodeId>,
    /// The states; their arguments are indices into `args`.
    pub states: Vec<StateSpec>,
}

impl Stage {
    /// Every node a backend must compute, the filter first, then keys, then arguments.
    pub fn outputs(&self) -> Vec<NodeId> {
        self.filter.iter().copied().chain(self.keys.iter().map(|k| k.node)).chain(self.args.iter().copied()).collect()
    }

    /// Key columns without groups.
    pub fn key_shape(&self) -> Vec<KeyColumn> {
        self.keys.iter().map(|key| KeyColumn::new(self.program.node(key.node).class, None)).collect()
    }

    /// The class of argument `arg`.
    pub fn arg_class(&self, arg: usize) -> Class {
        self.program.node(self.args[arg]).class
    }
}

/// A dictionary for each column of the program that holds strings.
pub fn dictionaries(program: &Program) -> Vec<Option<Arc<Dictionary>>> {
    program.columns.iter().map(|c| (c.ty == Type::Str).then(Dictionary::new)).collect()
}
