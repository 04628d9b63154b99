//! `tidemill schema`: the columns of an input.

use serde_json::json;
use tidemill::column::FieldType;
use tidemill::{Input, Result};

use crate::args::{SchemaArgs, Shape};
use crate::job::reading;
use crate::table::{self, Entry, Limits};
use crate::{positional, screen, sink};

/// Prints the schema.
pub fn run(args: &SchemaArgs) -> Result<()> {
    let files = positional::files(&args.files)?;
    let input = Input::open(&files, &reading(&args.input)?)?;
    match args.format {
        Shape::Json => sink::print(&format!("{:#}\n", as_json(&input))),
        Shape::Table => sink::print(&as_table(&input)),
    }
}

/// Where a column's type comes from.
fn origin(input: &Input, column: usize) -> &'static str {
    let field = &input.schema().fields[column];
    match (&field.ty, field.inferred) {
        (FieldType::Unsupported(_), _) => "cannot be read",
        (_, true) if input.source().unseen(column) => "guessed: no value seen",
        (_, true) => "inferred",
        (_, false) => "declared",
    }
}

fn type_name(ty: &FieldType) -> String {
    match ty {
        FieldType::Known(ty) => ty.to_string(),
        FieldType::Unsupported(name) => name.clone(),
    }
}

fn as_table(input: &Input) -> String {
    let rows: Vec<Vec<Entry>> = input
        .schema()
        .fields
        .iter()
        .enumerate()
        .map(|(index, field)| {
            vec![
                Entry::Number((index + 1).to_string()),
                Entry::Text(field.name.clone()),
                Entry::Text(type_name(&field.ty)),
                Entry::Text(origin(input, index).into()),
            ]
        })
        .collect();
    let limits = Limits { width: screen::width(), colour: screen::has_colour(), ..Limits::default() };
    let bytes = input.source().bytes().map(|b| format!(", {}", indicatif::HumanBytes(b))).unwrap_or_default();
    let table = table::listing(&["#", "column", "type", "from"], &rows, limits);
    format!("{}{bytes}\n{table}", input.source().name())
}

fn as_json(input: &Input) -> serde_json::Value {
    let columns: Vec<_> = input
        .schema()
        .fields
        .iter()
        .map(|field| {
            json!({
                "name": field.name,
                "type": type_name(&field.ty),
                "inferred": field.inferred,
                "supported": matches!(field.ty, FieldType::Known(_)),
            })
        })
        .collect();
    json!({
        "input": input.source().name(),
        "bytes": input.source().bytes(),
        "columns": columns,
    })
}
