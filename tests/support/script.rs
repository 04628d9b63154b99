//! Cases as text: tables, jobs over them, and what must come out.
//!
//! ```text
//! table trips                      a table: its columns, its rows, an empty line
//! k:string x:float64
//! a 1.5
//! 'b c' null
//!
//! job sums: trips                  a job over it: clauses as on the command line
//! where x > 0
//! by k
//! agg sum(x) as s
//! = rows                           the result; or `= oracle`: what the oracle says;
//! k:string s:float64               or `= error TEXT`: the error has this text
//! a 1.5
//! ```
//! Values stand between spaces; strings with spaces in single quotes; lists as `[1,2]`; a `#` starts a comment line.

use tidemill::Job;
use tidemill::backend::oracle::Table;
use tidemill::column::{Schema, Type, Value};
use tidemill::expr::{Binder, eval, lit, parse, parse_assignment, parse_item, parse_items};
use tidemill::plan::Named;

/// What a case expects.
pub enum Outcome {
    /// Exactly this.
    Rows(Table),
    /// Whatever the oracle says.
    Oracle,
    /// An error with this text.
    Error(String),
}

/// A job over a table.
pub struct Case {
    /// Its name.
    pub name: String,
    /// The table's name.
    pub table: String,
    /// The job.
    pub job: Job,
    /// The result.
    pub outcome: Outcome,
}

/// A file of tables and cases.
pub struct Script {
    /// The tables by name.
    pub tables: Vec<(String, Table)>,
    /// The cases.
    pub cases: Vec<Case>,
}

impl Script {
    /// Reads a script; a mistake in it is a panic that names the line.
    pub fn read(text: &str) -> Script {
        let mut script = Script { tables: Vec::new(), cases: Vec::new() };
        let mut lines = text.lines().filter(|l| !l.starts_with('#')).peekable();
        while let Some(line) = lines.next() {
            let mut block =
                || -> Vec<&str> { std::iter::from_fn(|| lines.next_if(|l| !l.trim().is_empty())).collect() };
            if let Some(name) = line.strip_prefix("table ") {
                script.tables.push((name.trim().into(), table(&block())));
            } else if let Some(head) = line.strip_prefix("job ") {
                let (name, table) = head.split_once(':').unwrap_or_else(|| panic!("a job names its table: {line}"));
                let case = case(name.trim(), table.trim(), &block());
                assert!(script.tables.iter().any(|t| t.0 == case.table), "no table '{}'", case.table);
                script.cases.push(case);
            } else {
                assert!(line.trim().is_empty(), "neither table nor job: {line}");
            }
        }
        script
    }

    /// A table by its name.
    pub fn table(&self, name: &str) -> &Table {
        &self.tables.iter().find(|t| t.0 == name).unwrap_or_else(|| panic!("no table '{name}'")).1
    }
}

/// A table from lines.
pub fn table(lines: &[&str]) -> Table {
    let (head, rows) = lines.split_first().expect("a table has a line of columns");
    let column = |text: String| {
        let (name, ty) = text.rsplit_once(':').unwrap_or_else(|| panic!("no type: {text}"));
        (name.to_owned(), list_or(ty))
    };
    let columns: Vec<(String, Type)> = words(head).into_iter().map(column).collect();
    let row = |line: &&str| -> Vec<Value> {
        let words = words(line);
        assert_eq!(words.len(), columns.len(), "{line}");
        words.iter().zip(&columns).map(|(text, (_, ty))| value(text, ty)).collect()
    };
    Table { rows: rows.iter().map(row).collect(), columns }
}

fn list_or(ty: &str) -> Type {
    match ty.strip_prefix("list(") {
        Some(item) => Type::List(Box::new(item.strip_suffix(')').unwrap().parse().unwrap())),
        None => ty.parse().unwrap_or_else(|e| panic!("{e}")),
    }
}

fn case(name: &str, table: &str, lines: &[&str]) -> Case {
    let mut job = Job::new();
    for (at, line) in lines.iter().enumerate() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "=" {
            let outcome = match rest.split_once(' ').unwrap_or((rest, "")) {
                ("rows", _) => Outcome::Rows(self::table(&lines[at + 1..])),
                ("oracle", _) => Outcome::Oracle,
                ("error", text) => Outcome::Error(text.into()),
                _ => panic!("neither rows, oracle nor error: {line}"),
            };
            return Case { name: name.into(), table: table.into(), job, outcome };
        }
        job = clause(job, word, rest).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    panic!("the job {name} expects nothing");
}

/// Adds a clause to a job.
pub fn clause(job: Job, word: &str, rest: &str) -> tidemill::Result<Job> {
    Ok(match word {
        "where" => job.filter(parse(rest)?),
        "map" => {
            let (name, expr) = parse_assignment(rest)?;
            job.map(name, expr)
        }
        "by" => parse_items(rest)?.into_iter().fold(job, |job, (expr, name)| job.by_expr(Named { name, expr })),
        "agg" => {
            let (expr, name) = parse_item(rest)?;
            job.aggregate(Named { name, expr })
        }
        "having" => job.having(parse(rest)?),
        "order" => job.order_by(rest)?,
        "limit" => job.limit(rest.parse().unwrap()),
        _ => panic!("unknown clause '{word}'"),
    })
}

/// The words of a line: between spaces, or in quotes (kept, so that `'null'` is a text).
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        quoted ^= c == '\'';
        match c {
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|w| !w.is_empty());
    words
}

/// A value of type `ty` from its text.
pub fn value(text: &str, ty: &Type) -> Value {
    match ty {
        _ if text == "null" => Value::Null,
        Type::Float32 => Value::Float(text.parse::<f32>().unwrap_or_else(|e| panic!("{text}: {e}")).into()),
        Type::Float64 => Value::Float(text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))),
        Type::Str => Value::Str(text.trim_matches('\'').into()),
        Type::List(item) => {
            let inner = text.trim_start_matches('[').trim_end_matches(']');
            Value::List(inner.split(',').filter(|t| !t.is_empty()).map(|t| value(t, item)).collect())
        }
        _ => {
            let schema = Schema::default();
            let mut binder = Binder::new(&schema);
            let node = binder.bind(&lit(text).cast(ty.clone())).unwrap_or_else(|e| panic!("{e}"));
            eval(&binder.finish(), node, &[]).unwrap_or_else(|e| panic!("{text} is no {ty}: {}", e.message))
        }
    }
}
