//! Group a file by a column: `cargo run --release --example group_by [FILE]`.
//!
//! The same job as `tidemill agg examples/data/flights.csv --where 'dep_delay is not null' --map 'late = dep_delay > 15'
//! --by carrier 'count()' 'mean(dep_delay)' …`, through the library.

use tidemill::aggregate::{count, max, mean, quantile};
use tidemill::input::OpenOptions;
use tidemill::{Engine, Input, Job, col, lit};

fn main() -> tidemill::Result<()> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "examples/data/flights.csv".into());
    let input = Input::open(&[file], &OpenOptions::default())?;

    let job = Job::new()
        .filter(col("dep_delay").is_not_null())
        .map("late", col("dep_delay").gt(lit(15)))
        .by(["carrier"])
        .aggregate(count().named("flights"))
        .aggregate(mean(col("dep_delay")).named("mean_delay"))
        .aggregate(quantile(col("dep_delay"), 0.9).named("p90_delay"))
        .aggregate(max(col("distance")).named("longest"))
        .having(col("flights").gt(lit(20)))
        .order_by("mean_delay desc")?
        .limit(10);

    let report = Engine::new().run(&job, &input)?;

    let names: Vec<&str> = report.schema.fields().iter().map(|f| f.name().as_str()).collect();
    println!("{}", names.join("\t"));
    for batch in &report.batches {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|array| tidemill::output::value_text(array, row));
            println!("{}", values.collect::<tidemill::Result<Vec<_>>>()?.join("\t"));
        }
    }
    eprintln!("{}", report.ledger);
    Ok(())
}
