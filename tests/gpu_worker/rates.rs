//! Where the time of a batch goes: `cargo test --test gpu_worker rates_of -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use tidemill::backend::Backend;
use tidemill::backend::gpu::{GpuOptions, Options};
use tidemill::column::{Chunk, Column, ColumnData, Dictionary, RowsFrom, Type};

use crate::data::Random;
use crate::rig::{everywhere, gpu, project, schema, stage};

#[test]
#[ignore = "a measurement, not a check"]
fn rates_of_the_group_by_benchmark() {
    const ROWS: usize = 1 << 20;
    let mut random = Random::new(20);
    let types = [Type::Str, Type::Str, Type::Str, Type::Int32, Type::Int32, Type::Int32, Type::Int32, Type::Int32];
    let names = ["id1", "id2", "id3", "id4", "id5", "id6", "v1", "v2"];
    let mut fields: Vec<(&str, Type)> = names.into_iter().zip(types.clone()).collect();
    fields.push(("v3", Type::Float64));
    let limits = [100, 100, 10_000, 100, 100, 10_000, 5, 15];
    let mut columns = Vec::new();
    for (ty, limit) in types.iter().zip(limits) {
        let mut drawn = || random.below(limit) as u32;
        let data = match ty {
            Type::Str => {
                let dict = Dictionary::new();
                let texts: Vec<String> = (0..limit).map(|i| format!("id{i:010}")).collect();
                dict.intern_all(texts.iter().map(String::as_str)).expect("room");
                ColumnData::Str { codes: (0..ROWS).map(|_| drawn()).collect(), dict }
            }
            _ => ColumnData::I32((0..ROWS).map(|_| drawn() as i32 + 1).collect()),
        };
        columns.push(Column { ty: ty.clone(), data, nulls: None });
    }
    let v3 = (0..ROWS).map(|_| (random.below(100_000_000) as f64) / 1e6).collect();
    columns.push(Column { ty: Type::Float64, data: ColumnData::F64(v3), nulls: None });
    let chunk = Arc::new(Chunk { rows: ROWS, columns, origin: Arc::new(RowsFrom { first: 0 }) });
    everywhere(|adapter, place| {
        for (name, keys, states) in [
            ("q1", &["id1"][..], &["sum; v1"][..]),
            ("q2", &["id1", "id2"], &["sum; v1"]),
            ("q3", &["id3"], &["sum; v1", "sum; v3", "count; v3"]),
            ("q4", &["id4"], &["sum; v1", "sum; v2", "sum; v3"]),
            ("q5", &["id6"], &["sum; v1", "sum; v2", "sum; v3"]),
            ("q6", &["id4", "id5"], &["all; v3", "sum; v3", "product; v3; v3"]),
            ("q7", &["id3"], &["max; v1", "min; v2"]),
            ("q8", &["id6"], &["top; v3"]),
            ("q9", &["id2", "id4"], &["sum; v1", "sum; v2", "product; v1; v2", "product; v1; v1", "product; v2; v2"]),
            ("q10", &["id1", "id2", "id3", "id4", "id5", "id6"], &["sum; v3", "rows"]),
        ] {
            let stage = stage(&schema(&fields), None, keys, states);
            let chunks = project(&stage, &[Arc::clone(&chunk)]);
            let device = Options { timestamps: true, ..Options::default() };
            let backend = gpu(adapter, GpuOptions { device, ..GpuOptions::default() });
            for round in 0..2 {
                let mut worker = backend.worker(&stage).expect(place);
                let begun = Instant::now();
                worker.push(Arc::clone(&chunks[0])).expect(place);
                let (partial, _) = worker.finish().expect(place);
                if round == 1 {
                    println!("{name}: {:.0?}, {} groups, {:.0?}", begun.elapsed(), partial.groups, worker.timings());
                    worker.details().iter().for_each(|line| println!("    {line}"));
                }
            }
        }
    });
}
