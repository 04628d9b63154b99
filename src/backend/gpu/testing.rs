//! What the GPU tests share: every adapter times every variant of the kernels.

use std::io::Write;
use std::sync::Mutex;

use super::{Adapter, Engine, Gpu, Kind, Options, adapters_from_env, no_adapter};
use crate::kernel::Shape;
use crate::kernel::value::{Kind as ValueKind, NO_PLANE, Op, Reduction, ValuePlanes};

/// Software drivers share the machine's cores, and dozens of devices at once exhaust their memory: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `case` on every adapter with every variant: the default shape, no subgroups, small tiles, wide workgroups.
///
/// With no adapter at all the test fails and says what to install, unless `TIDEMILL_NO_GPU=1` asks for a skip.
pub(super) fn everywhere(case: impl Fn(&mut Engine, &str)) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for adapter in found() {
        for (variant, options) in variants(&adapter) {
            let gpu = Gpu::open(&adapter, options).expect("the adapter opens");
            let mut engine = Engine::new(gpu).expect("the device answers");
            case(&mut engine, &format!("{} {} ({variant})", adapter.info.name, adapter.info.driver));
        }
    }
}

/// Runs `case` once per adapter with the given options.
pub(super) fn on_each(options: &Options, case: impl Fn(Engine)) {
    on_each_with(|_| options.clone(), case);
}

/// Runs `case` once per adapter with options that suit it.
pub(super) fn on_each_with(options: impl Fn(&Adapter) -> Options, case: impl Fn(Engine)) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for adapter in found() {
        let gpu = Gpu::open(&adapter, options(&adapter)).expect("the adapter opens");
        case(Engine::new(gpu).expect("the device answers"));
    }
}

fn found() -> Vec<Adapter> {
    let found = adapters_from_env();
    if found.is_empty() {
        assert!(
            std::env::var("TIDEMILL_NO_GPU").is_ok_and(|v| v == "1"),
            "{} (or set TIDEMILL_NO_GPU=1)",
            no_adapter()
        );
        // Written past the test harness, which would swallow what a passing test prints.
        let _ = writeln!(std::io::stderr(), "SKIPPED on the GPU: no adapter found and TIDEMILL_NO_GPU=1");
    }
    found
}

fn variants(adapter: &Adapter) -> Vec<(&'static str, Options)> {
    let shape = |workgroup, items, subgroups| Options {
        shape: Some(Shape { workgroup, items, subgroups }),
        ..Options::default()
    };
    let smallest = adapter.info.subgroups.map(|(smallest, _)| smallest);
    let mut all = vec![("shared memory, 32 × 2", shape(32, 2, None))];
    if smallest.is_some() {
        all.push(("subgroups, 64 × 3", shape(64, 3, smallest)));
        all.push(("default", Options::default()));
    }
    // A workgroup of half a subgroup, as on a device whose subgroups may be wider than the workgroup.
    if let Some(smallest) = smallest.filter(|smallest| *smallest >= 8) {
        all.push(("half a subgroup", shape(smallest / 2, 7, Some(smallest))));
    }
    // Hardware has no reason to differ from one run of its own width.
    if adapter.info.kind != Kind::Software {
        all.push(("shared memory, 256 × 4", shape(256, 4, None)));
    }
    all
}

/// A repeatable stream of pseudo-random words (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn word(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    pub(super) fn below(&mut self, limit: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(limit)) >> 32) as u32
    }
}

/// Words as bytes.
pub(super) fn bytes(words: &[u32]) -> Vec<u8> {
    bytemuck::cast_slice(words).to_vec()
}

/// Row counts where tiled kernels go wrong: 0, 1, around one tile, several tiles, more than one level of scan (only where
/// tiles are small enough for that to be quick).
pub(super) fn sizes(shape: &Shape) -> Vec<u32> {
    let tile = shape.tile();
    let mut sizes = vec![0, 1, 2, tile - 1, tile, tile + 1, 3 * tile + 7];
    if tile <= 256 {
        sizes.push(tile * tile + tile + 1);
    }
    sizes
}

/// A chunk as kernels see it: planes of hostile values.
pub(super) struct Table {
    pub(super) rows: u32,
    pub(super) planes: Vec<u32>,
    /// Word offsets of the first planes.
    pub(super) floats: u32,
    pub(super) more_floats: u32,
    pub(super) ints: u32,
    pub(super) wides: u32,
    pub(super) valid: u32,
    pub(super) more_valid: u32,
}

impl Table {
    pub(super) fn new(random: &mut Random, rows: u32) -> Self {
        let mut planes = Vec::new();
        let mut column = |words: usize, value: &mut dyn FnMut(u32) -> u128| {
            let at = planes.len();
            planes.resize(at + words * rows as usize, 0);
            for row in 0..rows {
                let value = value(row);
                for word in 0..words {
                    planes[at + word * rows as usize + row as usize] = (value >> (32 * word)) as u32;
                }
            }
            at as u32
        };
        let floats = column(2, &mut |_| hostile_float(random).into());
        let more_floats = column(2, &mut |_| hostile_float(random).into());
        let ints = column(2, &mut |_| match random.below(4) {
            0 => i64::MIN as u64 as u128,
            1 => i64::MAX as u128,
            2 => (random.below(2001) as i64 - 1000) as u64 as u128,
            _ => random.next().into(),
        });
        let wides = column(4, &mut |_| match random.below(4) {
            0 => i128::MIN as u128,
            1 => i128::MAX as u128,
            2 => i128::from(random.below(2001) as i32 - 1000) as u128,
            _ => u128::from(random.next()) << 64 | u128::from(random.next()),
        });
        let valid = column(1, &mut |_| u128::from(random.below(8) != 0));
        let more_valid = column(1, &mut |_| u128::from(random.below(8) != 0));
        Self { rows, planes, floats, more_floats, ints, wides, valid, more_valid }
    }

    /// A value's words, if it is valid.
    pub(super) fn value(&self, kind: ValueKind, at: u32, valid: u32, row: usize) -> Option<[u32; 4]> {
        if valid != NO_PLANE && self.planes[valid as usize + row] == 0 {
            return None;
        }
        let mut words = [0; 4];
        for (w, word) in words.iter_mut().take(kind.words() as usize).enumerate() {
            *word = self.planes[at as usize + w * self.rows as usize + row];
        }
        Some(words)
    }

    /// The state of one row.
    pub(super) fn state(&self, reduction: &Reduction, values: ValuePlanes, base: i32, row: usize) -> [u32; 4] {
        let x = self.value(reduction.x, values.x_at, values.x_valid, row);
        let y = reduction.y.and_then(|kind| self.value(kind, values.y_at, values.y_valid, row));
        reduction.reference(x, y, base)
    }
}

/// Bits of floats of all exponents and signs, with zeros, subnormals, infinities, NaN and plain numbers among them.
fn hostile_float(random: &mut Random) -> u64 {
    match random.below(12) {
        0 => random.next() & 1 << 63,
        1 => f64::INFINITY.to_bits() | random.next() & 1 << 63,
        2 => f64::NAN.to_bits() | random.next() >> 20,
        3 => random.next() >> 12 | random.next() & 1 << 63,
        4 => f64::MAX.to_bits() | random.next() & 1 << 63,
        5 | 6 => random.next(),
        7 => 5e-324f64.to_bits(),
        _ => (f64::from(random.below(2_000_001) as i32 - 1_000_000) / 100.0).to_bits(),
    }
}

/// Every reduction there is, over a table's columns, with windows where its values are and where they are cut.
pub(super) fn reductions(table: &Table) -> Vec<(&'static str, Reduction, ValuePlanes, i32)> {
    let stride = table.rows;
    let x = |at| ValuePlanes::one(at, Some(table.valid), stride);
    let xy = |x, y| ValuePlanes::two((x, Some(table.valid)), (y, Some(table.more_valid)), stride);
    let square = |x| ValuePlanes::two((x, Some(table.valid)), (x, Some(table.valid)), stride);
    let (f, g, i, w) = (table.floats, table.more_floats, table.ints, table.wides);
    let of = Reduction::of;
    vec![
        ("count", of(Op::Count, ValueKind::Word), x(table.valid), 0),
        ("count of all", of(Op::Count, ValueKind::Word), ValuePlanes::one(f, None, stride), 0),
        ("flags", of(Op::Flags, ValueKind::F64), x(f), 0),
        ("sum of ints", of(Op::Sum, ValueKind::I64), x(i), 0),
        ("sum of wides, low", of(Op::Sum, ValueKind::I128), x(w), 0),
        ("sum of wides, high", of(Op::Sum, ValueKind::I128), x(w), 96),
        ("sum of floats", of(Op::Sum, ValueKind::F64), x(f), -40),
        ("sum of floats, low", of(Op::Sum, ValueKind::F64), x(f), -1074),
        ("sum of floats, high", of(Op::Sum, ValueKind::F64), x(f), 975),
        ("sum of floats, cut", of(Op::Sum, ValueKind::F64), x(f), -3),
        ("sum of float products", Reduction::products(ValueKind::F64, ValueKind::F64), xy(f, g), -50),
        ("sum of float squares", Reduction::products(ValueKind::F64, ValueKind::F64), square(f), -2148),
        ("sum of int products", Reduction::products(ValueKind::I64, ValueKind::I64), xy(i, i), 64),
        ("sum of wide squares", Reduction::products(ValueKind::I128, ValueKind::I128), square(w), 192),
        ("sum of mixed products", Reduction::products(ValueKind::I64, ValueKind::F64), xy(i, f), -20),
        ("minimum of floats", of(Op::Min, ValueKind::F64), x(f), 0),
        ("maximum of floats", of(Op::Max, ValueKind::F64), x(f), 0),
        ("minimum of ints", of(Op::Min, ValueKind::I64), x(i), 0),
        ("maximum of wides", of(Op::Max, ValueKind::I128), x(w), 0),
        ("minimum of wides", of(Op::Min, ValueKind::I128), x(w), 0),
        ("maximum of words", of(Op::Max, ValueKind::Word), x(f), 0),
        ("minimum of word pairs", of(Op::Min, ValueKind::TwoWords), x(g), 0),
        ("maximum of four words", of(Op::Max, ValueKind::FourWords), x(w), 0),
    ]
}
