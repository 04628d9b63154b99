//! What the GPU tests share: every adapter times every variant of the kernels.

use std::sync::Mutex;

use super::{Adapter, Engine, Gpu, Kind, Options, adapters_from_env, no_adapter};
use crate::kernel::Shape;

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
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for adapter in found() {
        case(
            Engine::new(Gpu::open(&adapter, options.clone()).expect("the adapter opens")).expect("the device answers"),
        );
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
        eprintln!("SKIPPED: TIDEMILL_NO_GPU=1 and no adapter found");
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
