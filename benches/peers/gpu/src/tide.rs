//! tidemill's kernels, resident data in and out.

use tidemill::backend::gpu::stages::{Along, reduce_all, scan, sort, sort_words};
use tidemill::backend::gpu::{Adapter, Engine, Gpu, Kept, Options, Recording, Traffic};
use tidemill::kernel::value::{Kind, Op, Reduction, ValuePlanes};
use tidemill::kernel::{Kernel, Params, Shape, assemble, reduce};

pub struct Tide {
    engine: Engine,
}

/// The lowest bit of a sum's window: cents are multiples of more than 2^-60.
const BASE: i32 = -60;

/// A float as the integer the window holds.
pub fn fixed(value: f64) -> i128 {
    let bits = value.to_bits();
    let (biased, fraction) = ((bits >> 52) as i32 & 0x7ff, (bits & ((1 << 52) - 1)) as i128);
    if biased == 0 { 0 } else { (fraction | 1 << 52) << (biased - 1075 - BASE) }
}

/// Parameters of the plain sum.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct PlainParams {
    n: u32,
    tiles: u32,
}

impl Params for PlainParams {
    const FIELDS: &'static [&'static str] = &["n", "tiles"];
}

/// What an exact sum is measured against: the reduce kernel's tiling, one word a state.
const PLAIN: &str = "
struct Params { n: u32, tiles: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read_write> sums: array<u32>;
var<workgroup> sums_of: array<u32, WORKGROUP>;
const COMBINERS: u32 = min(16u, WORKGROUP);

@compute @workgroup_size(WORKGROUP)
fn main(at: Invocation) {
    let tile = tile_of(at);
    if (tile >= params.tiles) {
        return;
    }
    var sum = 0u;
    let end = min(tile * REDUCE_TILE + REDUCE_TILE, params.n);
    for (var first = tile * REDUCE_TILE + at.local; first < end; first += AT_ONCE * WORKGROUP) {
        for (var k = 0u; k < AT_ONCE; k++) { // unrolled
            let i = first + k * WORKGROUP;
            if (i < end) {
                sum += data[i];
            }
        }
    }
    sums_of[at.local] = sum;
    workgroupBarrier();
    if (at.local < COMBINERS) {
        for (var i = at.local + COMBINERS; i < WORKGROUP; i += COMBINERS) {
            sum += sums_of[i];
        }
        sums_of[at.local] = sum;
    }
    workgroupBarrier();
    if (at.local == 0u) {
        for (var i = 1u; i < COMBINERS; i++) {
            sum += sums_of[i];
        }
        sums[tile] = sum;
    }
}
";

impl Tide {
    pub fn open(adapter: &Adapter, shape: Option<Shape>) -> Result<Tide, String> {
        let gpu = Gpu::open(adapter, Options { shape, ..Options::default() });
        let engine = gpu.and_then(Engine::new).map_err(|error| error.to_string())?;
        Ok(Tide { engine })
    }

    pub fn shape(&self) -> Shape {
        self.engine.shape()
    }

    pub fn upload(&mut self, words: &[u32]) -> Kept {
        let mut rec = Recording::new();
        let buf = rec.upload("data", bytemuck::cast_slice::<u32, u8>(words));
        rec.keep(buf);
        self.run(rec).remove(0)
    }

    /// Doubles as two planes.
    pub fn upload_floats(&mut self, values: &[f64]) -> Kept {
        let words = |shift: u32| values.iter().map(move |value| (value.to_bits() >> shift) as u32);
        self.upload(&words(0).chain(words(32)).collect::<Vec<u32>>())
    }

    pub fn read(&mut self, kept: &Kept) -> Vec<u32> {
        let mut rec = Recording::new();
        let buf = rec.import(kept);
        let back = rec.download(buf);
        self.engine.run(rec).expect("the device answers").take_words(back)
    }

    fn run(&mut self, rec: Recording) -> Vec<Kept> {
        self.engine.run(rec).expect("the device answers").kept
    }

    pub fn sort_pairs(&mut self, keys: &Kept, values: &Kept, n: usize) -> (Kept, Kept) {
        let (mut rec, shape) = (Recording::new(), self.shape());
        let [keys, values] = [keys, values].map(|kept| rec.import(kept).all());
        let sorted = sort_words(&mut rec, &shape, keys, Along::Value(values), u32::MAX, n as u32);
        rec.keep(sorted.keys.expect("digits vary"));
        rec.keep(sorted.order.expect("values go along"));
        let mut kept = self.run(rec).into_iter();
        kept.next().zip(kept.next()).expect("two buffers are kept")
    }

    pub fn sort_keys(&mut self, keys: &Kept, n: usize) -> Kept {
        let (mut rec, shape) = (Recording::new(), self.shape());
        let keys = rec.import(keys).all();
        let sorted = sort_words(&mut rec, &shape, keys, Along::Nothing, u32::MAX, n as u32);
        rec.keep(sorted.keys.expect("digits vary"));
        self.run(rec).remove(0)
    }

    pub fn sort_wide(&mut self, keys: &Kept, n: usize) -> Kept {
        let (mut rec, shape) = (Recording::new(), self.shape());
        let keys = rec.import(keys).all();
        let sorted = sort(&mut rec, &shape, keys, n as u32, &[u32::MAX; 2], n as u32);
        rec.keep(sorted.order.expect("digits vary"));
        self.run(rec).remove(0)
    }

    /// In a copy: scans are in place.
    pub fn scan(&mut self, data: &Kept, n: usize) -> Kept {
        let (mut rec, shape) = (Recording::new(), self.shape());
        let from = rec.import(data);
        let to = rec.words("sums", n as u64);
        rec.copy(from.words(0, n as u64), to);
        scan(&mut rec, &shape, to, n as u32);
        rec.keep(to);
        self.run(rec).remove(0)
    }

    fn reduce(&mut self, data: &Kept, reduction: Reduction, base: i32, n: usize) -> Vec<u32> {
        let (mut rec, shape) = (Recording::new(), self.shape());
        let planes = rec.import(data).all();
        let values = ValuePlanes::one(0, None, n as u32);
        let state = reduce_all(&mut rec, &shape, &reduction, planes, values, base, None, n as u32);
        let back = rec.download(state);
        self.engine.run(rec).expect("the device answers").take_words(back)
    }

    pub fn least(&mut self, data: &Kept, n: usize) -> u32 {
        self.reduce(data, Reduction::of(Op::Min, Kind::Word), 0, n)[0]
    }

    pub fn sum_words(&mut self, data: &Kept, n: usize) -> u128 {
        number(&self.reduce(data, Reduction::of(Op::Sum, Kind::Word), 0, n))
    }

    pub fn sum_floats(&mut self, data: &Kept, n: usize) -> i128 {
        number(&self.reduce(data, Reduction::of(Op::Sum, Kind::F64), BASE, n)) as i128
    }

    pub fn plain_sum(&mut self, data: &Kept, n: usize) -> u32 {
        let (mut rec, shape) = (Recording::new(), self.shape());
        let text = assemble(&shape, &reduce::constants(&shape), &[PLAIN]);
        let (mut from, mut n) = (rec.import(data), n as u32);
        loop {
            let tiles = n.div_ceil(reduce::tile(&shape));
            let sums = rec.words("sums", tiles.into());
            let kernel = Kernel::new("plain_sum", "main", text.clone());
            let bindings = [("data", from.into()), ("sums", sums.into())];
            rec.dispatch(kernel, PlainParams { n, tiles }, &bindings, tiles, Traffic::words(n.into(), tiles.into()));
            if tiles == 1 {
                let back = rec.download(sums);
                return self.engine.run(rec).expect("the device answers").take_words(back)[0];
            }
            (from, n) = (sums, tiles);
        }
    }
}

fn number(words: &[u32]) -> u128 {
    words.iter().rev().fold(0, |number, word| number << 32 | u128::from(*word))
}
