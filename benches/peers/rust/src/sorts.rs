//! Sorting crates over the same keys: pairs of a u32 key and a u32 value, and u64 keys.
//!
//! All sort the same slice of the same structs, whose pages have been touched. What a sort allocates is in its time.

use std::time::Instant;

use clap::Args as Arguments;
use rayon::prelude::*;
use rdst::{RadixKey, RadixSort as _};
use serde_json::json;
use tidemill::backend::cpu::radix::{self, Keyed};
use voracious_radix_sort::{RadixSort as _, Radixable};

use crate::Result;

#[derive(Arguments)]
pub struct Args {
    /// Threads that sort, where a crate uses several
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Measured runs of each sort, one of each in turn
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// How many keys
    #[arg(long, value_delimiter = ',', default_value = "10000000,100000000")]
    rows: Vec<usize>,
}

/// A key and what travels with it.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    key: u32,
    value: u32,
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.key.partial_cmp(&other.key)
    }
}

impl RadixKey for Pair {
    const LEVELS: usize = 4;

    fn get_level(&self, level: usize) -> u8 {
        (self.key >> (8 * level)) as u8
    }
}

impl Radixable<u32> for Pair {
    type Key = u32;

    fn key(&self) -> u32 {
        self.key
    }
}

impl Keyed for Pair {
    fn key(&self) -> u64 {
        self.key.into()
    }
}

/// A sort by its name, and whether equal keys keep their order; the number is of threads.
type Sort<T> = (&'static str, bool, fn(&mut [T], usize));

trait Item: Copy + Default + Send + Sync {
    const NAME: &'static str;

    fn make(key: u64, row: usize) -> Self;

    fn sorted_by(&self) -> u64;

    /// The row it was made of, where it knows.
    fn row(&self) -> Option<u32>;

    /// Of the whole item: the sum of them tells whether any was lost.
    fn mark(&self) -> u64;

    fn sorts() -> Vec<Sort<Self>>;
}

impl Item for Pair {
    const NAME: &'static str = "u32 + u32";

    fn make(key: u64, row: usize) -> Self {
        Pair { key: (key >> 32) as u32, value: row as u32 }
    }

    fn sorted_by(&self) -> u64 {
        self.key.into()
    }

    fn row(&self) -> Option<u32> {
        Some(self.value)
    }

    fn mark(&self) -> u64 {
        mix(u64::from(self.key) << 32 | u64::from(self.value))
    }

    fn sorts() -> Vec<Sort<Self>> {
        vec![
            ("tidemill", true, |items, _| radix::sort(items)),
            ("rdst", false, |items, _| items.radix_sort_unstable()),
            ("voracious_radix_sort", false, |items, threads| items.voracious_mt_sort(threads)),
            ("radsort", true, |items, _| radsort::sort_by_key(items, |pair| pair.key)),
            ("par_sort_unstable", false, |items, _| items.par_sort_unstable_by_key(|pair| pair.key)),
        ]
    }
}

impl Item for u64 {
    const NAME: &'static str = "u64";

    fn make(key: u64, _: usize) -> Self {
        key
    }

    fn sorted_by(&self) -> u64 {
        *self
    }

    fn row(&self) -> Option<u32> {
        None
    }

    fn mark(&self) -> u64 {
        mix(*self)
    }

    fn sorts() -> Vec<Sort<Self>> {
        vec![
            ("tidemill", true, |items, _| radix::sort(items)),
            ("rdst", false, |items, _| items.radix_sort_unstable()),
            ("voracious_radix_sort", false, |items, threads| items.voracious_mt_sort(threads)),
            ("radsort", true, |items, _| radsort::sort(items)),
            ("par_sort_unstable", false, |items, _| items.par_sort_unstable()),
        ]
    }
}

/// A bijection that leaves no pattern (the finaliser of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// A distribution by its name: the key of a row.
type Distribution = (&'static str, fn(u64) -> u64);

const DISTRIBUTIONS: &[Distribution] = &[
    ("uniform", |row| mix(row.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
    // A million keys, the n-th most frequent of which has 1/n of the share of the first.
    ("skewed", |row| {
        let draw = (mix(row.wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 11) as f64 / (1u64 << 53) as f64;
        mix(1e6f64.powf(draw) as u64)
    }),
];

pub fn run(args: &Args) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build()?;
    for &rows in &args.rows {
        for (data, key) in DISTRIBUTIONS {
            pool.install(|| measure::<Pair>(args, data, *key, rows))?;
            pool.install(|| measure::<u64>(args, data, *key, rows))?;
        }
    }
    Ok(())
}

fn measure<T: Item>(args: &Args, data: &str, key: fn(u64) -> u64, rows: usize) -> Result<()> {
    let mut original = vec![T::default(); rows];
    original.par_iter_mut().enumerate().for_each(|(row, item)| *item = T::make(key(row as u64), row));
    let marks = |items: &[T]| items.par_iter().map(T::mark).reduce(|| 0, u64::wrapping_add);
    let expected = marks(&original);
    let mut items = original.clone();
    let sorts = T::sorts();
    let mut seconds = vec![Vec::new(); sorts.len()];
    // The first round is a warm-up.
    for round in 0..=args.runs {
        for ((name, stable, sort), seconds) in sorts.iter().zip(&mut seconds) {
            items.copy_from_slice(&original);
            let started = Instant::now();
            sort(&mut items, args.threads);
            let spent = started.elapsed().as_secs_f64();
            let place = |item: &T| (item.sorted_by(), item.row().filter(|_| *stable));
            if !items.par_windows(2).all(|pair| place(&pair[0]) <= place(&pair[1])) {
                return Err(format!("{name}: {rows} {data} {} are not in order", T::NAME).into());
            }
            if marks(&items) != expected {
                return Err(format!("{name}: {rows} {data} {} are not what they were", T::NAME).into());
            }
            if round > 0 {
                seconds.push(spent);
            }
        }
    }
    for ((name, _, _), seconds) in sorts.iter().zip(&mut seconds) {
        seconds.sort_by(f64::total_cmp);
        let (median, minimum) = (median(seconds), seconds.first());
        let line = json!({
            "sort": name, "keys": T::NAME, "data": data, "rows": rows,
            "median": median, "minimum": minimum, "runs": seconds,
        });
        println!("{line}");
    }
    Ok(())
}

/// Of sorted numbers; `None` if there are none.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}
