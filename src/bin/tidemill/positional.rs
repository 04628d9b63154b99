//! Files and aggregates stand on one list; which is which.
//!
//! 1. `-`, and whatever exists under that name, is a file.
//! 2. Else what parses as an expression with a call in it (`sum(x)`, `mean(a * b) as m, count()`) is an aggregate.
//! 3. Else it is an error: a missing file, or a text that was meant as an aggregate and does not parse.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tidemill::column::{Field, Schema};
use tidemill::expr::{self, Expr, ExprNode};
use tidemill::plan::Named;
use tidemill::{Error, Result, Type};

/// The positional arguments, sorted out.
#[derive(Debug, Default)]
pub struct Positional {
    /// Input files, in order.
    pub files: Vec<PathBuf>,
    /// Aggregates, in order.
    pub aggregates: Vec<Named>,
}

/// Sorts out positional arguments.
///
/// # Errors
/// See the module.
pub fn sort_out(arguments: &[OsString]) -> Result<Positional> {
    let mut sorted = Positional::default();
    for argument in arguments {
        let path = Path::new(argument);
        if argument == "-" || path.exists() {
            sorted.files.push(existing(path)?);
            continue;
        }
        let Some(text) = argument.to_str() else { return Err(missing(path)) };
        match expr::parse_items(text) {
            Ok(items) if items.iter().any(|(expr, _)| has_call(expr)) => {
                sorted.aggregates.extend(items.into_iter().map(|(expr, name)| Named { name, expr }));
            }
            Ok(items) if !looks_like_path(text) => {
                let column = items.iter().all(|(expr, _)| matches!(expr.node, ExprNode::Column(_)));
                return Err(neither(path, text, column));
            }
            // `mean(price * ) ` was meant as an expression, `trips/2024(1).csv` was not.
            Err(error) if text.contains('(') && !looks_like_path(text) => return Err(error),
            _ => return Err(missing(path)),
        }
    }
    Ok(sorted)
}

/// The arguments of a command that takes files only.
///
/// # Errors
/// One that does not exist or is a directory.
pub fn files(arguments: &[OsString]) -> Result<Vec<PathBuf>> {
    let file = |argument: &OsString| {
        let path = Path::new(argument);
        if argument == "-" || path.exists() { existing(path) } else { Err(missing(path)) }
    };
    arguments.iter().map(file).collect()
}

fn existing(path: &Path) -> Result<PathBuf> {
    if path.is_dir() {
        return Err(Error::Usage {
            message: format!("{} is a directory", path.display()),
            help: Some(format!("name its files, for example {}", path.join("*.csv").display())),
        });
    }
    Ok(path.to_owned())
}

fn has_call(expr: &Expr) -> bool {
    matches!(expr.node, ExprNode::Call { .. }) || expr.children().into_iter().any(has_call)
}

/// Whether a text that is no file's name looks like one: it ends as data files do, or begins as paths do.
fn looks_like_path(text: &str) -> bool {
    let extension = Path::new(text).extension().and_then(|e| e.to_str()).unwrap_or("");
    let short = (1..=8).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (short && extension.bytes().any(|b| b.is_ascii_alphabetic()))
        || ["/", "./", "../", "~"].iter().any(|start| text.starts_with(start))
}

fn missing(path: &Path) -> Error {
    let help = near(path).map(|near| format!("did you mean {}?", near.display()));
    Error::Usage { message: format!("no such file: {}", path.display()), help }
}

/// The error of a text that is an expression, but neither a file nor an aggregate.
fn neither(path: &Path, text: &str, column: bool) -> Error {
    let help = match near(path) {
        Some(near) => format!("did you mean the file {}?", near.display()),
        None if column => {
            format!("a column to group by goes into --by {text}; an aggregate is a call, as in count() or sum({text})")
        }
        None => format!("an aggregate is a call, as in sum({text})"),
    };
    Error::Usage { message: format!("'{text}' is neither a file that exists nor an aggregate"), help: Some(help) }
}

/// The file beside it whose name is nearly the same.
fn near(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    let fields = names.map(|name| Field::new(name, Type::Str)).collect();
    let names = Schema { fields };
    let near = names.nearest(path.file_name()?.to_str()?)?;
    Some(folder.map_or_else(|| near.into(), |folder| folder.join(near)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(arguments: &[&str]) -> Result<Positional> {
        sort_out(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_exists_is_a_file_and_a_call_is_an_aggregate() {
        let sorted = sorted(&["Cargo.toml", "-", "max(a) / 2 as half", "count(), -sum(x)"]).unwrap();
        assert_eq!(sorted.files, [PathBuf::from("Cargo.toml"), "-".into()]);
        let titles: Vec<String> = sorted.aggregates.iter().map(Named::title).collect();
        assert_eq!(titles, ["half", "count()", "-sum(x)"]);
    }

    #[test]
    fn everything_else_is_an_error_that_guesses_what_was_meant() {
        for (argument, want) in [
            ("Cargo.tomm", "no such file: Cargo.tomm (did you mean Cargo.toml?)"),
            ("src/main.cvs", "no such file: src/main.cvs"),
            ("./nothing", "no such file: ./nothing"),
            (
                "zzzzzzzzzzzzzz",
                "'zzzzzzzzzzzzzz' is neither a file that exists nor an aggregate (a column to group by goes into --by \
                 zzzzzzzzzzzzzz; an aggregate is a call, as in count() or sum(zzzzzzzzzzzzzz))",
            ),
            (
                "price * quantity",
                "'price * quantity' is neither a file that exists nor an aggregate (an aggregate is a call, as in \
                 sum(price * quantity))",
            ),
            ("src", "src is a directory (name its files, for example src/*.csv)"),
        ] {
            assert_eq!(sorted(&[argument]).unwrap_err().to_string(), want);
        }
        let error = sorted(&["sum(a +)"]).unwrap_err();
        assert!(matches!(error, Error::Query { at: 7, .. }), "{error:?}");
    }
}
