//! A job that gives rows: a filter, and expressions over each row that passes it.

use std::sync::Arc;

use super::lower::{before_groups, no_aggregates};
use super::{Job, Stage};
use crate::column::{FieldType, Schema, Type};
use crate::expr::{Expr, ExprNode, col};
use crate::{Error, Result};

/// A job of rows made ready for a schema.
#[derive(Debug, Clone)]
pub struct RowsPlan {
    /// The filter and, as its arguments, the columns; no keys and no states.
    pub stage: Arc<Stage>,
    /// Names and types of the columns.
    pub outputs: Vec<(String, Type)>,
    /// The most rows.
    pub limit: Option<u64>,
}

/// As [`lower`](super::lower), for a job with [`Job::select`].
///
/// # Errors
/// As there; keys, aggregates, or an order beside the columns.
pub fn lower_rows(job: &Job, schema: &Schema) -> Result<RowsPlan> {
    let refuse = |what: &str, help: &str| {
        let message = format!("a job that selects rows has no {what}");
        Err(Error::Usage { message, help: Some(help.into()) })
    };
    match job {
        Job { keys, .. } if !keys.is_empty() => return refuse("keys", "leave out --by, or --select"),
        Job { aggregates, .. } if !aggregates.is_empty() => {
            return refuse("aggregates", "leave out the aggregates, or --select");
        }
        Job { having: Some(_), .. } => return refuse("having", "take --where"),
        Job { order, .. } if !order.is_empty() => {
            return refuse("order: rows come as they are read", "leave out --order-by");
        }
        _ => {}
    }
    let (mut rows, filter) = before_groups(job, schema)?;
    let (mut args, mut outputs) = (Vec::new(), Vec::<(String, Type)>::new());
    let mut column = |name: String, expr: &Expr| -> Result<()> {
        no_aggregates(expr, "--select")?;
        let node = rows.bind(expr)?;
        if outputs.iter().any(|(other, _)| *other == name) {
            return Err(Error::Usage {
                message: format!("two output columns are called '{name}'"),
                help: Some("give one another name with 'as'".into()),
            });
        }
        outputs.push((name, rows.node(node).ty.clone()));
        args.push(node);
        Ok(())
    };
    for named in &job.select {
        match &named.expr.node {
            ExprNode::Column(all) if all == "*" => {
                for field in &schema.fields {
                    if let FieldType::Known(_) = field.ty {
                        column(field.name.clone(), &col(&field.name))?;
                    }
                }
            }
            _ => column(named.title(), &named.expr)?,
        }
    }
    let stage = Stage { program: Arc::new(rows.finish()), filter, keys: Vec::new(), args, states: Vec::new() };
    Ok(RowsPlan { stage: Arc::new(stage), outputs, limit: job.limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Field;
    use crate::lit;

    #[test]
    fn a_star_is_all_columns_that_can_be_read() {
        let mut schema = Schema { fields: vec![Field::new("a", Type::Int64), Field::new("b", Type::Str)] };
        schema.fields.push(Field { name: "c".into(), ty: FieldType::Unsupported("Map".into()), inferred: false });
        let job = Job::new().map("half", col("a") / lit(2)).select(col("*")).select(col("half").named("h"));
        let plan = lower_rows(&job, &schema).unwrap();
        assert_eq!(plan.outputs, [("a".into(), Type::Int64), ("b".into(), Type::Str), ("h".into(), Type::Float64)]);
        let error = |job: Job| lower_rows(&job, &schema).unwrap_err().to_string();
        assert!(error(job.clone().select(col("a"))).contains("two output columns are called 'a'"));
        assert!(error(job.clone().by(["a"])).contains("has no keys"));
        assert!(error(job.clone().order_by("a").unwrap()).contains("rows come as they are read"));
        assert!(error(Job::new().select(col("d"))).contains('d'));
        assert!(error(Job::new().select(col("*")).filter(col("a"))).contains("bool"));
    }
}
