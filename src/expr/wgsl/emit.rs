//! The kernel around the operations: which nodes, in which order, what becomes of their nulls and errors, and the stores.
//!
//! A node is a [`Term`]: the WGSL expression of its value, and of its two flags where it needs them. A flag nobody
//! needs is `None` and costs nothing. Flags are joined with `&` and `|`, which have no branches, unlike `&&` and `||`.

use std::collections::HashMap;

use super::super::program::{NodeId, Op, Program};
use super::{Form, InputFrom, MapInput, MapKernel, MapOutput, OutputPlanes, Stored, broken};
use crate::Result;
use crate::column::Class;

/// A boolean expression; `None` where it never departs from the usual: valid, no error.
pub(super) type Flag = Option<String>;

/// What a node is in the text.
#[derive(Debug, Clone)]
pub(super) struct Term {
    /// Its value: `bool`, `vec2<u32>` (Int, Float), `vec4<u32>` (Wide) or `u32` (Str). Anything under a null or an error.
    pub value: String,
    /// True where it is not null; anything under an error.
    pub valid: Flag,
    /// True where it is an error.
    pub error: Flag,
}

/// What one operation gives where all its arguments have values.
pub(super) struct Made {
    /// The value.
    pub value: String,
    /// True where it has one.
    pub ok: Flag,
}

impl Made {
    /// An operation that has a value for all values.
    pub fn always(value: String) -> Made {
        Made { value, ok: None }
    }
}

/// True where all are: of validity flags.
pub(super) fn all(flags: &[Flag]) -> Flag {
    join(flags, " & ")
}

/// True where any is: of error flags.
pub(super) fn any(flags: &[Flag]) -> Flag {
    join(flags, " | ")
}

fn join(flags: &[Flag], operator: &str) -> Flag {
    let mut parts: Vec<&str> = Vec::new();
    for flag in flags.iter().flatten() {
        if !parts.contains(&flag.as_str()) {
            parts.push(flag);
        }
    }
    match parts[..] {
        [] => None,
        [one] => Some(one.to_owned()),
        _ => Some(format!("({})", parts.join(operator))),
    }
}

/// A kernel being written.
pub(super) struct Emitter<'p> {
    pub program: &'p Program,
    stored: &'p dyn Fn(&InputFrom) -> (Stored, bool),
    pub inputs: Vec<MapInput>,
    body: String,
    terms: Vec<Option<Term>>,
    /// Names of calls that several nodes share, by their text.
    calls: HashMap<String, String>,
}

impl Emitter<'_> {
    fn line(&mut self, line: &str) {
        self.body.push_str("    ");
        self.body.push_str(line);
        self.body.push('\n');
    }

    /// Names an expression.
    pub fn bind(&mut self, name: String, expression: &str) -> String {
        self.line(&format!("let {name} = {expression};"));
        name
    }

    /// Names a flag; a plain name or constant keeps its own.
    pub fn bind_flag(&mut self, name: String, flag: Flag) -> Flag {
        flag.map(|f| if f.contains([' ', '(', '!', '.']) { self.bind(name, &f) } else { f })
    }

    /// The name of a call, written once for all nodes that make it.
    pub fn call(&mut self, call: String) -> String {
        if let Some(name) = self.calls.get(&call) {
            return name.clone();
        }
        let name = self.bind(format!("c{}", self.calls.len()), &call);
        self.calls.insert(call, name.clone());
        name
    }

    /// What was made of an argument.
    pub fn term(&self, id: NodeId) -> Result<Term> {
        self.terms[id.index()].clone().ok_or_else(|| broken(self.program, id, "it stands after its user"))
    }

    /// The place of an input, which is asked for once.
    pub fn input(&mut self, from: InputFrom) -> (usize, MapInput) {
        if let Some(at) = self.inputs.iter().position(|input| input.from == from) {
            return (at, self.inputs[at]);
        }
        let (stored, nullable) = (self.stored)(&from);
        self.inputs.push(MapInput { from, stored, nullable });
        (self.inputs.len() - 1, self.inputs[self.inputs.len() - 1])
    }

    /// Writes what `outputs` need and is not written yet.
    fn nodes(&mut self, outputs: &[NodeId]) -> Result<()> {
        let split = self.program.split(outputs);
        let mut ids = [split.host, split.device].concat();
        ids.sort_unstable();
        for id in ids {
            if self.terms[id.index()].is_none() {
                self.terms[id.index()] = Some(self.node(id)?);
            }
        }
        Ok(())
    }

    fn node(&mut self, id: NodeId) -> Result<Term> {
        let node = self.program.node(id);
        if node.is_host_only(self.program) {
            return self.host(id);
        }
        if let Op::Column(column) = node.op {
            return self.column(id, column);
        }
        let args = node.args.iter().map(|arg| self.term(*arg)).collect::<Result<Vec<Term>>>()?;
        if let Some(term) = self.choice(id, &args)? {
            return Ok(term);
        }
        let made = self.operation(id, &args)?;
        let n = id.0;
        let value = self.bind_value(n, made.value);
        let valid = all(&args.iter().map(|arg| arg.valid.clone()).collect::<Vec<_>>());
        let valid = self.bind_flag(format!("n{n}"), valid);
        // An operation fails only on values.
        let failed = made.ok.map(|ok| match &valid {
            Some(valid) => format!("({valid} & !{ok})"),
            None => format!("!{ok}"),
        });
        let mut errors: Vec<Flag> = args.iter().map(|arg| arg.error.clone()).collect();
        errors.push(failed);
        let error = self.bind_flag(format!("e{n}"), any(&errors));
        Ok(Term { value, valid, error })
    }

    /// Names a value, unless it is a name or the member of one.
    pub fn bind_value(&mut self, n: u32, value: String) -> String {
        if value.contains([' ', '(', '!']) { self.bind(format!("v{n}"), &value) } else { value }
    }

    /// Stores one output, from plane `first` on.
    fn store(&mut self, output: &MapOutput, first: u32) -> Result<OutputPlanes> {
        let term = self.term(output.node)?;
        let class = self.program.node(output.node).class;
        let (store, words) = match class {
            Class::Bool | Class::Str => ("store", 1),
            Class::Int | Class::Float => ("store_two", 2),
            Class::Wide => ("store_four", 4),
        };
        let value = match (output.form, class) {
            (_, Class::Bool) => format!("u32({})", term.value),
            (_, Class::Str) | (Form::Value, _) => term.value,
            (Form::Key, Class::Int) => format!("i64_key({})", term.value),
            (Form::Key, Class::Wide) => format!("i128_key({})", term.value),
            (Form::Key, Class::Float) => format!("f64_key(f64_canonical({}))", term.value),
        };
        let value = match (output.form, &term.valid) {
            (Form::Key, Some(valid)) => format!("select({}, {value}, {valid})", zero(class, true)),
            _ => value,
        };
        self.line(&format!("{store}({first}u, row, {value});"));
        let valid = term.valid.map(|valid| {
            self.line(&format!("store({}u, row, u32({valid}));", first + words));
            first + words
        });
        Ok(OutputPlanes { first, words, valid })
    }
}

/// Zero as the words of a class (`stored`), or as the value of one.
pub(super) fn zero(class: Class, stored: bool) -> &'static str {
    match class {
        Class::Bool if !stored => "false",
        Class::Bool | Class::Str => "0u",
        Class::Int | Class::Float => "vec2<u32>(0u, 0u)",
        Class::Wide => "vec4<u32>(0u, 0u, 0u, 0u)",
    }
}

/// See [`super::map_kernel`].
pub(super) fn kernel(
    program: &Program,
    filter: Option<NodeId>,
    outputs: &[MapOutput],
    stored: &dyn Fn(&InputFrom) -> (Stored, bool),
) -> Result<MapKernel> {
    const STATUS: u32 = 0;
    let mut emitter = Emitter {
        program,
        stored,
        inputs: Vec::new(),
        body: String::new(),
        terms: vec![None; program.nodes.len()],
        calls: HashMap::new(),
    };
    if let Some(filter) = filter {
        emitter.nodes(&[filter])?;
        let Term { value, valid, error } = emitter.term(filter)?;
        // What is filtered computes nothing else.
        let chosen = all(&[valid, Some(value)]).unwrap_or_default();
        let status = match error {
            Some(error) => {
                emitter.line(&format!("if (({error}) | !({chosen})) {{"));
                format!("select(0u, 2u, {error})")
            }
            None => {
                emitter.line(&format!("if (!({chosen})) {{"));
                "0u".to_owned()
            }
        };
        emitter.line(&format!("    store({STATUS}u, row, {status});"));
        emitter.line("    return;");
        emitter.line("}");
    }
    emitter.nodes(&outputs.iter().map(|output| output.node).collect::<Vec<_>>())?;
    let mut planes = STATUS + 1;
    let mut stores: Vec<(MapOutput, OutputPlanes)> = Vec::new();
    let mut places = Vec::new();
    let mut errors = Vec::new();
    for output in outputs {
        let known = stores.iter().find(|(stored, _)| stored == output).map(|(_, place)| *place);
        places.push(match known {
            Some(place) => place,
            None => {
                let place = emitter.store(output, planes)?;
                planes += place.words + u32::from(place.valid.is_some());
                stores.push((*output, place));
                place
            }
        });
        errors.push(emitter.term(output.node)?.error);
    }
    let status = any(&errors).map_or("1u".to_owned(), |error| format!("select(1u, 2u, {error})"));
    emitter.line(&format!("store({STATUS}u, row, {status});"));
    let text = format!(
        "{}
@compute @workgroup_size(WORKGROUP)
fn {}(at: Invocation) {{
    let row = tile_of(at) * WORKGROUP + at.local;
    if (row >= params.rows) {{
        return;
    }}
{}}}
",
        include_str!("../../../shaders/map.wgsl"),
        MapKernel::ENTRY,
        emitter.body
    );
    Ok(MapKernel { text, inputs: emitter.inputs, outputs: places, status: STATUS, planes })
}
