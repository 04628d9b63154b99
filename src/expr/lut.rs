//! String functions per distinct value: look-up tables from the code of a string to the function's result.
//!
//! A table covers the codes its dictionary had when it was last grown. Evaluators share tables: they ask for one that
//! covers the dictionary as it is now, and keep it as a snapshot while they read a morsel.
//!
//! Locks are taken in this order, so that none waits for another in a circle: a table's mutex, then the argument's
//! dictionary, then (that one released) the node's own dictionary.

use std::sync::{Arc, Mutex, OnceLock};

use super::program::{Node, NodeId, Op};
use crate::column::{Class, Dictionary, Value};
use crate::{Error, Result};

/// A row of a table that holds a value.
pub(crate) const OK: u8 = 0;
/// A row of a table that holds null.
pub(crate) const NULL: u8 = 1;
/// A row of a table that holds an error.
pub(crate) const ERROR: u8 = 2;

/// The function's result for every code of a dictionary.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// The results; anything where the state is not "value".
    pub data: TableData,
    /// For each code: 0 a value, 1 null, 2 an error.
    pub state: Vec<u8>,
}

/// The results by class.
#[derive(Debug, Clone)]
pub(crate) enum TableData {
    /// 0 or 1
    Bool(Vec<u8>),
    /// Class Int.
    Int(Vec<i64>),
    /// Class Wide.
    Wide(Vec<i128>),
    /// Class Float.
    Float(Vec<f64>),
    /// Codes of the node's own dictionary.
    Str(Vec<u32>),
}

impl Table {
    fn empty(class: Class) -> Self {
        let data = match class {
            Class::Bool => TableData::Bool(vec![]),
            Class::Int => TableData::Int(vec![]),
            Class::Wide => TableData::Wide(vec![]),
            Class::Float => TableData::Float(vec![]),
            Class::Str => TableData::Str(vec![]),
        };
        Table { data, state: vec![] }
    }

    /// Codes covered.
    pub fn len(&self) -> usize {
        self.state.len()
    }

    /// Appends the results for the codes from `self.len()` on.
    fn grow(
        &mut self,
        from: &Dictionary,
        own: &Dictionary,
        apply: &dyn Fn(&str) -> Result<Value, String>,
    ) -> Result<()> {
        let start = self.len();
        let results: Vec<Result<Value, String>> = {
            let strings = from.read();
            (start..strings.len()).map(|code| apply(&strings.get(code as u32))).collect()
        };
        self.state.extend(results.iter().map(|r| match r {
            Ok(Value::Null) => NULL,
            Ok(_) => OK,
            Err(_) => ERROR,
        }));
        macro_rules! extend {
            ($out:expr, $variant:ident, $convert:expr) => {
                $out.extend(results.iter().map(|r| match r {
                    Ok(Value::$variant(v)) => $convert(*v),
                    _ => Default::default(),
                }))
            };
        }
        match &mut self.data {
            TableData::Bool(out) => extend!(out, Bool, u8::from),
            TableData::Int(out) => extend!(out, Int, |v| v),
            TableData::Wide(out) => extend!(out, Wide, |v| v),
            TableData::Float(out) => extend!(out, Float, |v| v),
            TableData::Str(out) => {
                let texts = results.iter().filter_map(|r| match r {
                    Ok(Value::Str(text)) => Some(&**text),
                    _ => None,
                });
                let mut codes = own.intern_all(texts)?.into_iter();
                out.extend(results.iter().map(|r| match r {
                    Ok(Value::Str(_)) => codes.next().unwrap_or(0),
                    _ => 0,
                }));
            }
        }
        Ok(())
    }
}

/// What all evaluators of a program share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    nodes: Vec<PerNode>,
}

#[derive(Debug, Default)]
struct PerNode {
    dictionary: OnceLock<Arc<Dictionary>>,
    tables: Mutex<Vec<Known>>,
}

/// A table and what it was made for. Holding the dictionary keeps its address its own.
#[derive(Debug)]
struct Known {
    argument: usize,
    from: Arc<Dictionary>,
    table: Arc<Table>,
}

impl Shared {
    /// For a program of this many nodes.
    pub fn new(nodes: usize) -> Self {
        Shared { nodes: (0..nodes).map(|_| PerNode::default()).collect() }
    }

    /// The dictionary of the node's own strings.
    pub fn dictionary(&self, id: NodeId) -> &Arc<Dictionary> {
        self.nodes[id.index()].dictionary.get_or_init(Dictionary::new)
    }

    /// The dictionaries that nodes have so far.
    pub fn dictionaries(&self) -> impl Iterator<Item = &Arc<Dictionary>> {
        self.nodes.iter().filter_map(|node| node.dictionary.get())
    }

    /// The table of node `id` over the strings of its argument `argument`, covering every code `from` has given.
    ///
    /// For [`Op::StrLut`] that is the function; for every other operation it translates codes of `from` into codes of
    /// the node's own dictionary.
    pub fn table(&self, id: NodeId, node: &Node, argument: usize, from: &Arc<Dictionary>) -> Result<Arc<Table>> {
        /// Programs meet few dictionaries a node: those of one run, and of the run before.
        const MOST: usize = 8;
        let per_node = self.nodes.get(id.index()).ok_or_else(|| Error::internal("a node without its tables"))?;
        let mut tables = per_node.tables.lock().unwrap_or_else(|e| e.into_inner());
        let at = match tables.iter().position(|k| k.argument == argument && Arc::ptr_eq(&k.from, from)) {
            Some(at) => at,
            None => {
                if tables.len() >= MOST {
                    tables.remove(0);
                }
                let table = Arc::new(Table::empty(node.class));
                tables.push(Known { argument, from: Arc::clone(from), table });
                tables.len() - 1
            }
        };
        let known = &mut tables[at];
        if known.table.len() < from.len() {
            // Copies only while another thread still reads the old one.
            let table = Arc::make_mut(&mut known.table);
            let own = self.dictionary(id);
            match &node.op {
                Op::StrLut(call) => table.grow(from, own, &|text| call.apply(&[Value::Str(text.into())]))?,
                _ => table.grow(from, own, &|text| Ok(Value::Str(text.into())))?,
            }
        }
        Ok(Arc::clone(&known.table))
    }
}
