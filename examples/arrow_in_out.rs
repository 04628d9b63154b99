//! Arrow record batches in, record batches out: `cargo run --release --example arrow_in_out`.
//!
//! The sums are exact: 0.1 + 0.2 + … is rounded once, so the order of rows and batches cannot be seen in the result.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use tidemill::aggregate::{count, sum};
use tidemill::{Engine, Input, Job, col};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let batch = |cities: Vec<&str>, fares: Vec<f64>| {
        let cities: ArrayRef = Arc::new(StringArray::from(cities));
        let fares: ArrayRef = Arc::new(Float64Array::from(fares));
        RecordBatch::try_from_iter([("city", cities), ("fare", fares)])
    };
    let batches = vec![
        batch(vec!["Oslo", "Rome", "Oslo"], vec![1e300, 0.1, 1e-300])?,
        batch(vec!["Oslo", "Rome"], vec![-1e300, 0.2])?,
    ];
    let job = Job::new().by(["city"]).aggregate(sum(col("fare")).named("total")).aggregate(count().named("trips"));

    let forward = Engine::new().run(&job, &Input::batches(batches[0].schema(), batches.clone())?)?;
    let reverse = batches.iter().rev().cloned().collect();
    let backward = Engine::new().threads(1).run(&job, &Input::batches(batches[0].schema(), reverse)?)?;
    assert_eq!(forward.batches, backward.batches);

    let result: &RecordBatch = &forward.batches[0];
    let totals = result.column_by_name("total").ok_or("no such column")?;
    println!("{totals:?}"); // 1e-300 for Oslo: nothing is lost beside 1e300
    Ok(())
}
