//! Runs a map kernel over rows of values and compares what comes out with the plain evaluator.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tidemill::backend::gpu::{Engine, Gpu, Options, Recording, Traffic, adapters_from_env, no_adapter};
use tidemill::column::key::{CANONICAL_NAN, float_word, int_word, wide_word};
use tidemill::column::{Class, Type, Value};
use tidemill::expr::wgsl::{Form, InputFrom, MapKernel, MapOutput, Stored, map_kernel};
use tidemill::expr::{NodeId, Program, eval};
use tidemill::kernel::{Kernel, Params, Shape, assemble, source};

/// Software drivers share the machine's cores: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `case` on every adapter.
pub fn everywhere(mut case: impl FnMut(&mut Engine, &str)) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let found = adapters_from_env();
    if found.is_empty() {
        assert!(
            std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1"),
            "{} (or set TIDEMILL_NO_GPU=1)",
            no_adapter()
        );
        eprintln!("SKIPPED on the GPU: no adapter found and TIDEMILL_NO_GPU=1");
    }
    for adapter in found {
        // Few invocations a workgroup: the workgroups of a small table are already many.
        let shape = Some(Shape { workgroup: 64, items: 1, subgroups: None });
        let gpu = Gpu::open(&adapter, Options { shape, ..Options::default() }).expect("the adapter opens");
        let mut engine = Engine::new(gpu).expect("the device answers");
        case(&mut engine, &format!("{} {}", adapter.info.name, adapter.info.driver));
    }
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct MapParams {
    rows: u32,
    stride: u32,
}

impl Params for MapParams {
    const FIELDS: &'static [&'static str] = &MapKernel::PARAMS;
}

/// The whole text, shared parts included.
pub fn text(shape: &Shape, kernel: &MapKernel) -> String {
    assemble(shape, &[], &[source::I64, source::I128, source::F64, source::DATE, &kernel.text])
}

/// Fails unless naga, which wgpu compiles with, finds nothing wrong and nothing that needs a special device.
pub fn validate(text: &str) {
    let module = naga::front::wgsl::parse_str(text).unwrap_or_else(|e| panic!("{}\n{text}", e.emit_to_string(text)));
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}\n{text}", e.emit_to_string(text)));
}

/// How a type is stored.
pub fn stored(ty: &Type) -> Stored {
    match ty {
        Type::Null | Type::Bool => Stored::Bits,
        Type::Int8 => Stored::I8,
        Type::Int16 => Stored::I16,
        Type::Int32 | Type::Date => Stored::I32,
        Type::UInt8 => Stored::U8,
        Type::UInt16 => Stored::U16,
        Type::UInt32 => Stored::U32,
        Type::UInt64 => Stored::U64,
        Type::Decimal { .. } => Stored::I128,
        Type::Float32 => Stored::F32,
        Type::Float64 => Stored::F64,
        Type::Str => Stored::Code,
        _ => Stored::I64,
    }
}

/// Strings in order of first sight.
#[derive(Default)]
struct Codes(Vec<String>);

impl Codes {
    fn of(&mut self, text: &str) -> u32 {
        let at = self.0.iter().position(|known| known == text).unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        at as u32
    }
}

/// The words of a value; garbage stands under a null.
fn bits(value: &Value, codes: &mut Codes) -> u128 {
    match value {
        Value::Null => 0xa5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5,
        Value::Bool(v) => (*v).into(),
        Value::Int(v) => *v as u64 as u128,
        Value::Wide(v) => *v as u128,
        Value::Float(v) => v.to_bits().into(),
        Value::Str(v) => codes.of(v).into(),
        Value::List(_) => unreachable!("no list is an input"),
    }
}

fn key(value: &Value, codes: &mut Codes) -> u128 {
    match value {
        Value::Int(v) => int_word(*v).into(),
        Value::Wide(v) => wide_word(*v),
        Value::Float(v) => float_word(*v).into(),
        Value::Null => 0,
        other => bits(other, codes),
    }
}

/// Packs values as an Arrow buffer does.
fn pack(values: &[u128], bits: u32) -> Vec<u8> {
    let mut bytes = vec![0u8; (values.len() * bits as usize).div_ceil(8)];
    for (i, value) in values.iter().enumerate() {
        match bits {
            1 => bytes[i / 8] |= ((value & 1) as u8) << (i % 8),
            _ => {
                let size = bits as usize / 8;
                bytes[i * size..(i + 1) * size].copy_from_slice(&value.to_le_bytes()[..size]);
            }
        }
    }
    bytes
}

/// What a kernel has written, by plane, and how long it took from the text to here.
pub struct Got {
    pub kernel: MapKernel,
    planes: Vec<Vec<u32>>,
    pub took: Duration,
}

/// Makes and runs the kernel for `outputs` over rows of the program's columns.
pub fn run(
    engine: &mut Engine,
    program: &Program,
    filter: Option<NodeId>,
    outputs: &[MapOutput],
    rows: &[Vec<Value>],
) -> Got {
    let mut codes = Codes::default();
    run_with(engine, program, filter, outputs, rows, &mut codes)
}

fn run_with(
    engine: &mut Engine,
    program: &Program,
    filter: Option<NodeId>,
    outputs: &[MapOutput],
    rows: &[Vec<Value>],
    codes: &mut Codes,
) -> Got {
    let values = |from: &InputFrom| -> Vec<Value> {
        let host = |id: NodeId| rows.iter().map(move |row| eval(program, id, row));
        match *from {
            InputFrom::Column(column) => rows.iter().map(|row| row[column].clone()).collect(),
            InputFrom::Host(id) => host(id).map(|value| value.unwrap_or(Value::Null)).collect(),
            InputFrom::HostErrors(id) => host(id).map(|value| Value::Int(value.is_err().into())).collect(),
        }
    };
    // Every third row-free of nulls column is said to be nullable all the same.
    let kernel = map_kernel(program, filter, outputs, &|from| match *from {
        InputFrom::HostErrors(_) => (Stored::U8, false),
        InputFrom::Column(column) => {
            (stored(&program.columns[column].ty), column % 3 == 0 || values(from).iter().any(Value::is_null))
        }
        InputFrom::Host(id) => (stored(&program.node(id).ty), true),
    })
    .unwrap_or_else(|e| panic!("{e}"));
    let mut header = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    for input in &kernel.inputs {
        let values = values(&input.from);
        let mut place = |bytes: Vec<u8>| {
            let at = kernel.inputs.len() * 2 + data.len() / 4;
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(4), 0);
            at as u32
        };
        let float32 = input.stored == Stored::F32;
        let words: Vec<u128> = values
            .iter()
            .map(|value| match value {
                Value::Float(v) if float32 => (*v as f32).to_bits().into(),
                value => bits(value, codes),
            })
            .collect();
        let none = matches!(input.from, InputFrom::HostErrors(_)) && words.iter().all(|word| *word == 0);
        header.push(if none { 0 } else { place(pack(&words, input.stored.bits())) });
        let valid: Vec<u128> = values.iter().map(|value| (!value.is_null()).into()).collect();
        let all = !input.nullable || !valid.contains(&0);
        header.push(if all { 0 } else { place(pack(&valid, 1)) });
    }
    let mut arena: Vec<u8> = bytemuck::cast_slice(&header).to_vec();
    arena.extend(data);
    let shape = engine.shape();
    let source = text(&shape, &kernel);
    validate(&source);
    let start = Instant::now();
    let count = rows.len() as u32;
    let stride = count + 3;
    let mut rec = Recording::new();
    let arena = rec.upload("arena", arena);
    let planes = rec.words("planes", u64::from(kernel.planes) * u64::from(stride));
    rec.dispatch(
        Kernel::new("map", MapKernel::ENTRY, source),
        MapParams { rows: count, stride },
        &[("arena", arena.into()), ("planes", planes.into())],
        count.div_ceil(shape.workgroup),
        Traffic::default(),
    );
    let out = rec.download(planes);
    let words = engine.run(rec).unwrap_or_else(|e| panic!("{e}\n{}", kernel.text)).take_words(out);
    let planes = words.chunks(stride as usize).take(kernel.planes as usize).map(|p| p[..rows.len()].to_vec()).collect();
    Got { kernel, planes, took: start.elapsed() }
}

impl Got {
    pub fn status(&self, row: usize) -> u32 {
        self.planes[self.kernel.status as usize][row]
    }

    /// The words of an output, and whether they are valid.
    pub fn output(&self, output: usize, row: usize) -> (u128, bool) {
        let planes = self.kernel.outputs[output];
        let word = |w: u32| u128::from(self.planes[(planes.first + w) as usize][row]) << (32 * w);
        let valid = planes.valid.map(|plane| self.planes[plane as usize][row]);
        assert!(valid.is_none_or(|valid| valid < 2));
        ((0..planes.words).map(word).sum(), valid != Some(0))
    }
}

/// Runs and compares; what differs first.
pub fn check(
    engine: &mut Engine,
    program: &Program,
    filter: Option<NodeId>,
    outputs: &[MapOutput],
    rows: &[Vec<Value>],
) -> Result<Duration, String> {
    let mut codes = Codes::default();
    let got = run_with(engine, program, filter, outputs, rows, &mut codes);
    for (r, row) in rows.iter().enumerate() {
        let wants: Vec<_> = outputs.iter().map(|output| eval(program, output.node, row)).collect();
        let any = u32::from(wants.iter().any(Result::is_err)) + 1;
        let status = match filter.map(|id| eval(program, id, row)) {
            None | Some(Ok(Value::Bool(true))) => any,
            Some(Ok(_)) => 0,
            Some(Err(_)) => 2,
        };
        if got.status(r) != status {
            return Err(format!("status {}, not {status}, for {row:?} ({wants:?})", got.status(r)));
        }
        if status != 1 {
            continue;
        }
        for (o, (output, want)) in outputs.iter().zip(wants).enumerate() {
            let node = program.node(output.node);
            let want = want.map_err(|fault| fault.message)?;
            let (words, valid) = got.output(o, r);
            let right = match (&want, output.form) {
                (Value::Null, Form::Value) => !valid,
                (Value::Null, Form::Key) => !valid && words == 0,
                (Value::Float(v), Form::Value) if v.is_nan() => valid && f64::from_bits(words as u64).is_nan(),
                (want, Form::Value) => valid && words == bits(want, &mut codes),
                (want, Form::Key) => valid && words == key(want, &mut codes),
            };
            if !right {
                let shown = match node.class {
                    Class::Float => format!("{:?}", f64::from_bits(words as u64)),
                    _ => format!("{}", words as i128),
                };
                return Err(format!(
                    "`{}` ({:?}, {:?}): {words:#x} = {shown} (valid: {valid}), not {want:?}, for {row:?}",
                    node.text, node.op, output.form
                ));
            }
        }
    }
    Ok(got.took)
}

/// The NaN of keys is the device's.
#[test]
fn the_canonical_nan_is_one() {
    let nan = tidemill::kernel::f64::F64_NAN.to_u64();
    assert_eq!(nan, CANONICAL_NAN);
}
