//! The kernels by themselves, CPU against GPU, over a ladder of sizes and group counts.
//!
//! ```sh
//! cargo bench --bench kernels               # some minutes on a software adapter
//! cargo bench --bench kernels -- --quick    # a look
//! cargo bench --bench kernels -- sort       # what has `sort` in its name
//! ```
//! `cpu` is what the CPU backend does for the same answer, on all cores where it uses them. `kernel` is the time on the
//! device with its data there, by timestamps, or by the clock with submission and waiting where the device has none
//! (the first line says which). What it costs to bring the data there and back is `transfer`, by bytes. `TIDEMILL_ADAPTER`
//! names an adapter; without any the GPU's half is skipped, and said so.

use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use tidemill::agg::exact::{IntSumColumn, SumColumn};
use tidemill::backend::cpu::radix;
use tidemill::backend::gpu::stages::{Along, direct, reduce, reduce_all, scan, sort, sort_words};
use tidemill::backend::gpu::{Engine, Gpu, Kept, Options, Recording, Traffic, adapters_from_env};
use tidemill::column::{Chunk, Column, ColumnData, Field, RowsFrom, Schema, Type};
use tidemill::expr::wgsl::{Form, InputFrom, MapKernel, MapOutput, Stored, map_kernel};
use tidemill::expr::{Binder, Evaluator, parse};
use tidemill::kernel::value::{Kind, Op, Reduction, ValuePlanes};
use tidemill::kernel::{Kernel, Params, Shape, assemble, source};

/// Items, where the number of groups is not what varies.
const SIZES: [usize; 3] = [1 << 12, 1 << 16, 1 << 20];
/// Items, where the number of groups varies.
const ROWS: usize = 1 << 20;

/// The device, if there is one.
struct Device(Option<Mutex<Engine>>);

impl Device {
    fn open() -> Self {
        let skip = std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1");
        let Some(adapter) = adapters_from_env().into_iter().next().filter(|_| !skip) else {
            eprintln!("SKIPPED on the GPU: no adapter found, or TIDEMILL_NO_GPU=1; only the CPU is measured");
            return Self(None);
        };
        let options = Options { timestamps: true, ..Options::default() };
        match Gpu::open(&adapter, options).and_then(Engine::new) {
            Ok(engine) => {
                let clock = if engine.gpu().info.timestamps { "timestamps" } else { "the clock" };
                eprintln!("{} ({}), kernels timed by {clock}", adapter.info.name, adapter.info.driver);
                Self(Some(Mutex::new(engine)))
            }
            Err(error) => {
                eprintln!("SKIPPED on the GPU: {error}");
                Self(None)
            }
        }
    }

    /// Runs `f` with the engine, if there is one.
    fn with<T>(&self, f: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        self.0.as_ref().map(|engine| f(&mut engine.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn upload(&self, words: &[u32]) -> Option<Kept> {
        self.with(|engine| {
            let mut rec = Recording::new();
            let buf = rec.upload("data", bytemuck::cast_slice::<u32, u8>(words));
            rec.keep(buf);
            engine.run(rec).expect("the upload works").kept.remove(0)
        })
    }

    /// Benches what `record` records, on the device's own clock.
    fn kernel(
        &self,
        group: &mut BenchmarkGroup<WallTime>,
        size: impl ToString,
        record: impl Fn(&mut Recording, &Shape),
    ) {
        if self.0.is_none() {
            return;
        }
        group.bench_function(BenchmarkId::new("kernel", size.to_string()), |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds).filter_map(|_| self.with(|engine| device_time(engine, &record))).sum()
            });
        });
    }
}

fn device_time(engine: &mut Engine, record: impl Fn(&mut Recording, &Shape)) -> Duration {
    let mut rec = Recording::new();
    record(&mut rec, &engine.shape());
    let begun = Instant::now();
    let outcome = engine.run(rec).expect("the kernels run");
    let on_the_clock = begun.elapsed();
    match outcome.timings.iter().map(|timing| timing.nanos).sum() {
        0 => on_the_clock,
        nanos => Duration::from_nanos(nanos),
    }
}

/// A repeatable stream of words (splitmix64).
fn words(seed: u64, n: usize) -> Vec<u32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    };
    std::iter::repeat_with(next).take(n).collect()
}

fn transfers(c: &mut Criterion, device: &Device) {
    let mut group = c.benchmark_group("transfer");
    for bytes in [1 << 12, 1 << 18, 1 << 24] {
        let data = words(1, bytes / 4);
        let Some(kept) = device.upload(&data) else { return };
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("upload", bytes), |bencher| bencher.iter(|| device.upload(&data)));
        group.bench_function(BenchmarkId::new("readback", bytes), |bencher| {
            bencher.iter(|| {
                device.with(|engine| {
                    let mut rec = Recording::new();
                    let buf = rec.import(&kept);
                    let back = rec.download(buf);
                    engine.run(rec).expect("the readback works").take(back)
                })
            });
        });
    }
}

fn scans(c: &mut Criterion, device: &Device) {
    let mut group = c.benchmark_group("scan");
    for n in SIZES {
        let data = words(2, n);
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("cpu", n), |bencher| {
            bencher.iter_batched_ref(
                || data.clone(),
                |data| {
                    let mut sum = 0u32;
                    for x in data {
                        let before = sum;
                        sum = sum.wrapping_add(*x);
                        *x = before;
                    }
                },
                BatchSize::LargeInput,
            );
        });
        let kept = device.upload(&data);
        device.kernel(&mut group, n, |rec, shape| {
            if let Some(kept) = &kept {
                let buf = rec.import(kept);
                scan(rec, shape, buf, n as u32);
            }
        });
    }
}

/// Benches one kind of key.
fn sort_of<T: radix::Keyed>(
    c: &mut Criterion,
    device: &Device,
    name: &str,
    item: impl Fn(u32, u32) -> T,
    record: impl Fn(&mut Recording, &Shape, &Kept, u32),
) {
    let mut group = c.benchmark_group(name);
    for n in SIZES {
        let data = words(3, 2 * n);
        let items: Vec<T> = data[..n].iter().zip(&data[n..]).map(|(low, high)| item(*low, *high)).collect();
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("cpu", n), |bencher| {
            bencher.iter_batched_ref(|| items.clone(), |items| radix::sort(items), BatchSize::LargeInput);
        });
        let kept = device.upload(&data);
        device.kernel(&mut group, n, |rec, shape| {
            if let Some(kept) = &kept {
                record(rec, shape, kept, n as u32);
            }
        });
    }
}

fn sorts(c: &mut Criterion, device: &Device) {
    sort_of(
        c,
        device,
        "sort u32 keys",
        |low, _| low,
        |rec, shape, kept, n| {
            let keys = rec.import(kept).words(0, n.into());
            sort_words(rec, shape, keys, Along::Nothing, u32::MAX, n);
        },
    );
    sort_of(
        c,
        device,
        "sort u32 pairs",
        |low, high| (low, high),
        |rec, shape, kept, n| {
            let buf = rec.import(kept);
            let (keys, values) = (buf.words(0, n.into()), buf.words(n.into(), n.into()));
            sort_words(rec, shape, keys, Along::Value(values), u32::MAX, n);
        },
    );
    // On the device the answer is the order of the rows; on the CPU that is what travels along.
    let wide = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low), 0u32);
    sort_of(c, device, "sort u64 keys", wide, |rec, shape, kept, n| {
        let keys = rec.import(kept).all();
        sort(rec, shape, keys, n, &[u32::MAX; 2], n);
    });
}

/// Values to be summed: integers and floats of two decimals, as planes and as they are.
struct Values {
    ints: Vec<i64>,
    floats: Vec<f64>,
    planes: Vec<u32>,
}

impl Values {
    fn new(n: usize) -> Self {
        let ints: Vec<i64> = words(4, n).into_iter().map(|x| i64::from(x as i32)).collect();
        let floats: Vec<f64> = words(5, n).into_iter().map(|x| f64::from(x % 10_000_000) / 100.0).collect();
        let mut planes = Vec::new();
        for shift in [0, 32] {
            planes.extend(ints.iter().map(|x| (*x as u64 >> shift) as u32));
        }
        for shift in [0, 32] {
            planes.extend(floats.iter().map(|x| (x.to_bits() >> shift) as u32));
        }
        Self { ints, floats, planes }
    }
}

/// Exact sums in one window: the floats' bits lie between 2^-60 and 2^35.
const WINDOW: i32 = -60;

/// Sums of both kinds over groups that come as `ids`, in runs or not.
fn sums(
    c: &mut Criterion,
    device: &Device,
    name: &str,
    counts: &[usize],
    ids: impl Fn(usize) -> Vec<u32>,
    record: impl Fn(&mut Recording, &Shape, &Reduction, (&Kept, ValuePlanes, i32), &Kept, u32),
) {
    let values = Values::new(ROWS);
    let planes = device.upload(&values.planes);
    let n = ROWS as u32;
    for (kind, at, base) in [(Kind::I64, 0, 0), (Kind::F64, 2 * n, WINDOW)] {
        let mut group = c.benchmark_group(format!("{name} {}", if kind == Kind::I64 { "i64" } else { "f64" }));
        group.throughput(Throughput::Elements(ROWS as u64));
        for &groups in counts {
            let ids = ids(groups);
            group.bench_function(BenchmarkId::new("cpu", groups), |bencher| match kind {
                Kind::I64 => bencher.iter(|| {
                    let mut sums = IntSumColumn::new(groups);
                    sums.add_all(&ids, &values.ints);
                    black_box(sums)
                }),
                _ => bencher.iter(|| {
                    let mut sums = SumColumn::new(groups);
                    sums.add_all(&ids, &values.floats);
                    black_box(sums)
                }),
            });
            let kept = device.upload(&ids);
            device.kernel(&mut group, groups, |rec, shape| {
                if let (Some(planes), Some(ids)) = (&planes, &kept) {
                    let of = Reduction::of(Op::Sum, kind);
                    record(rec, shape, &of, (planes, ValuePlanes::one(at, None, n), base), ids, groups as u32);
                }
            });
        }
    }
}

fn reductions(c: &mut Criterion, device: &Device) {
    let n = ROWS as u32;
    let in_runs = |groups: usize| (0..ROWS).map(|row| (row * groups / ROWS) as u32).collect();
    sums(c, device, "segmented sum of", &[1, 100, 10_000, 1_000_000], in_runs, |rec, shape, of, value, ids, groups| {
        let (planes, ids) = (rec.import(value.0).all(), rec.import(ids).all());
        reduce(rec, shape, of, planes, value.1, value.2, None, ids, n, groups);
    });
    let mixed = |groups: usize| words(6, ROWS).into_iter().map(|x| x % groups as u32).collect();
    sums(c, device, "direct sum of", &[2, 100, 1000], mixed, |rec, shape, of, value, ids, groups| {
        let (planes, codes) = (rec.import(value.0).all(), rec.import(ids).all());
        direct(rec, shape, of, planes, value.1, value.2, None, codes, groups, n);
    });
    sums(
        c,
        device,
        "sum of all",
        &[1],
        |_| vec![0; ROWS],
        |rec, shape, of, value, _, _| {
            let planes = rec.import(value.0).all();
            reduce_all(rec, shape, of, planes, value.1, value.2, None, n);
        },
    );
}

/// Parameters of the soft-float and map kernels.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct RowParams {
    rows: u32,
    stride: u32,
}

impl Params for RowParams {
    const FIELDS: &'static [&'static str] = &MapKernel::PARAMS;
}

/// One operation, memory to memory.
const SOFT: &str = "
struct Params { rows: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> b: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> c: array<vec2<u32>>;
override UNUSED: u32 = 0u;

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let i = tile_of(at) * WORKGROUP + at.local;
    if (i < params.rows) {
        c[i] = f64_OPERATION(a[i], b[i]);
    }
}
";

fn softfloat(c: &mut Criterion, device: &Device) {
    let n = ROWS;
    let doubles = |seed| -> Vec<f64> { words(seed, n).into_iter().map(|x| f64::from(x) / 1000.0 + 0.001).collect() };
    let (a, b) = (doubles(7), doubles(8));
    let [kept_a, kept_b] = [&a, &b].map(|x| device.upload(bytemuck::cast_slice(x)));
    let mut group = c.benchmark_group("soft-float");
    group.throughput(Throughput::Elements(n as u64));
    type Operation = fn(f64, f64) -> f64;
    let operations: [(&str, Operation); 3] = [("add", |a, b| a + b), ("mul", |a, b| a * b), ("div", |a, b| a / b)];
    for (name, apply) in operations {
        let mut out = vec![0.0; n];
        group.bench_function(BenchmarkId::new("cpu", name), |bencher| {
            bencher.iter(|| {
                out.iter_mut().zip(a.iter().zip(&b)).for_each(|(out, (a, b))| *out = apply(*a, *b));
                black_box(&mut out);
            });
        });
        device.kernel(&mut group, name, |rec, shape| {
            let (Some(a), Some(b)) = (&kept_a, &kept_b) else { return };
            let shape = Shape { workgroup: shape.workgroup.max(64), items: 1, subgroups: None };
            let text = SOFT.replace("OPERATION", name);
            let text = assemble(&shape, &[], &[source::I64, source::I128, source::F64, &text]);
            let bindings = [
                ("a", rec.import(a).all()),
                ("b", rec.import(b).all()),
                ("c", rec.words("results", 2 * n as u64).all()),
            ];
            let params = RowParams { rows: n as u32, stride: 0 };
            let groups = (n as u32).div_ceil(shape.workgroup);
            rec.dispatch(Kernel::new("softfloat", "main", text), params, &bindings, groups, Traffic::default());
        });
    }
}

fn maps(c: &mut Criterion, device: &Device) {
    let mut group = c.benchmark_group("map");
    let schema = Schema { fields: vec![Field::new("i", Type::Int32), Field::new("f", Type::Float64)] };
    for text in ["i * 3 + 1", "f * 1.1 - i", "case when i > 0 then f else -f end"] {
        let mut binder = Binder::new(&schema);
        let node = binder.bind(&parse(text).expect("it parses")).expect("it binds");
        let program = Arc::new(binder.finish());
        let data = |name: &str| match name {
            "i" => ColumnData::I32(words(9, ROWS).into_iter().map(|x| x as i32 >> 8).collect()),
            _ => ColumnData::F64(words(10, ROWS).into_iter().map(|x| f64::from(x) / 100.0).collect()),
        };
        let columns: Vec<Column> = program
            .columns
            .iter()
            .map(|column| Column { ty: column.ty.clone(), data: data(&column.name), nulls: None })
            .collect();
        let chunk = Chunk { rows: ROWS, columns, origin: Arc::new(RowsFrom { first: 0 }) };
        group.throughput(Throughput::Elements(ROWS as u64));
        let mut evaluator = Evaluator::new(Arc::clone(&program));
        group.bench_function(BenchmarkId::new("cpu", text), |bencher| {
            bencher.iter(|| black_box(evaluator.columns(&chunk, &[node]).expect("no row fails")));
        });
        // Int32 and float64 are stored as they are, and the program has nothing for the host to do.
        let stored = |from: &InputFrom| match from {
            InputFrom::Column(i) if program.columns[*i].ty == Type::Int32 => (Stored::I32, false),
            _ => (Stored::F64, false),
        };
        let kernel = map_kernel(&program, None, &[MapOutput { node, form: Form::Value }], &stored);
        let kernel = kernel.expect("the kernel can be made");
        let mut arena = vec![0u32; kernel.inputs.len() * 2];
        for (at, column) in chunk.columns.iter().enumerate() {
            arena[2 * at] = arena.len() as u32;
            match &column.data {
                ColumnData::I32(v) => arena.extend_from_slice(bytemuck::cast_slice(v)),
                ColumnData::F64(v) => arena.extend_from_slice(bytemuck::cast_slice(v)),
                _ => {}
            }
        }
        let kept = device.upload(&arena);
        device.kernel(&mut group, text, |rec, shape| {
            let Some(kept) = &kept else { return };
            let shape = Shape { workgroup: shape.workgroup.max(64), items: 1, subgroups: None };
            let shared = [source::I64, source::I128, source::F64, source::DATE, &kernel.text];
            let text = assemble(&shape, &[], &shared);
            let planes = rec.words("planes", u64::from(kernel.planes) * ROWS as u64);
            let bindings = [("arena", rec.import(kept).all()), ("planes", planes.into())];
            let params = RowParams { rows: ROWS as u32, stride: ROWS as u32 };
            let groups = (ROWS as u32).div_ceil(shape.workgroup);
            rec.dispatch(Kernel::new("map", MapKernel::ENTRY, text), params, &bindings, groups, Traffic::default());
        });
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let device = Device::open();
    transfers(&mut criterion, &device);
    scans(&mut criterion, &device);
    sorts(&mut criterion, &device);
    reductions(&mut criterion, &device);
    softfloat(&mut criterion, &device);
    maps(&mut criterion, &device);
    criterion.final_summary();
}
