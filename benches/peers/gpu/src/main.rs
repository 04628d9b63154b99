//! tidemill's GPU kernels beside lampshade's, on one adapter and in one run.
//!
//! ```sh
//! cargo run --release -- [--adapter NAME] [--rounds N] [--shape WORKGROUPxITEMSxSUBGROUP] [LOG2 …]
//! ```
//! Data is on the device before and after; a time is that of recording, submitting and waiting. The two take turns, after
//! one run each to warm up; printed are the median and the minimum. Every answer is brought back and compared with a
//! plain one. Without `--shape` the kernels are cut as the adapter's kind chooses, and again as for a real GPU.

mod peer;
mod tide;

use std::time::Instant;

use tidemill::backend::gpu::{AdapterInfo, Kind, default_shape};
use tidemill::kernel::Shape;

/// Sizes sorted, as powers of two.
const SIZES: [u32; 2] = [22, 24];
struct Arguments {
    adapter: Option<String>,
    rounds: usize,
    shape: Option<Shape>,
    sizes: Vec<u32>,
}

fn arguments() -> Result<Arguments, String> {
    let mut given = Arguments { adapter: None, rounds: 5, shape: None, sizes: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--adapter" => given.adapter = Some(value()?),
            "--rounds" => given.rounds = value()?.parse().map_err(|e| format!("--rounds: {e}"))?,
            "--shape" => {
                let parts: Vec<u32> = value()?.split('x').filter_map(|part| part.parse().ok()).collect();
                let &[workgroup, items, subgroup] = parts.as_slice() else {
                    return Err("--shape is WORKGROUPxITEMSxSUBGROUP; 0 for no subgroups".into());
                };
                given.shape = Some(Shape { workgroup, items, subgroups: (subgroup > 0).then_some(subgroup) });
            }
            size => given.sizes.push(size.parse().map_err(|e| format!("{size}: {e}"))?),
        }
    }
    if given.sizes.is_empty() {
        given.sizes = SIZES.to_vec();
    }
    given.rounds = given.rounds.max(1);
    Ok(given)
}

/// Times of a piece of work, in seconds.
struct Times(Vec<f64>);

impl Times {
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::MAX, f64::min)
    }

    /// `M items a second: median, and of the fastest run`.
    fn rate(&self, n: usize) -> String {
        format!("{:8.1} ({:8.1})", n as f64 / self.median() / 1e6, n as f64 / self.least() / 1e6)
    }
}

/// Runs both in turns; the first run of each is not counted.
fn turns(rounds: usize, mut ours: impl FnMut(), theirs: Option<&mut dyn FnMut()>) -> (Times, Option<Times>) {
    let timed = |work: &mut dyn FnMut()| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64()
    };
    let mut times = (Times(Vec::new()), theirs.is_some().then(|| Times(Vec::new())));
    let mut theirs = theirs;
    for round in 0..=rounds {
        let own = timed(&mut ours);
        let other = theirs.as_mut().map(|theirs| timed(theirs));
        if round > 0 {
            times.0.0.push(own);
            if let (Some(times), Some(other)) = (&mut times.1, other) {
                times.0.push(other);
            }
        }
    }
    times
}

fn line(what: &str, n: usize, (ours, theirs): (Times, Option<Times>)) {
    match theirs {
        Some(theirs) => println!(
            "{what:34} {n:>9}  tidemill {}  lampshade {}  ratio {:5.2}",
            ours.rate(n),
            theirs.rate(n),
            theirs.median() / ours.median()
        ),
        None => println!("{what:34} {n:>9}  tidemill {}", ours.rate(n)),
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

/// The commit tidemill is built from, where git knows it.
fn tree() -> String {
    let git = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    git.map_or_else(|_| "here".into(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let given = arguments()?;
    let adapters = tidemill::backend::gpu::adapters(given.adapter.as_deref());
    let adapter = adapters.first().ok_or("no GPU adapter found")?;
    let mut peer = peer::Peer::open(&adapter.info.name)?;
    println!("adapter: {}; {}; {}", adapter.info.name, adapter.info.driver, adapter.info.backend);
    println!("tidemill {}, lampshade 0.13.0, both on wgpu 30", tree());
    println!("command: {}", std::env::args().collect::<Vec<_>>().join(" "));
    println!("million items a second: median of {} runs in turns (fastest)", given.rounds);
    let shapes = match given.shape {
        Some(shape) => vec![Some(shape)],
        // As the adapter's kind chooses, and as if it were hardware.
        None => vec![None, Some(default_shape(&AdapterInfo { kind: Kind::Discrete, ..adapter.info.clone() }))],
    };
    for shape in shapes {
        let mut tide = tide::Tide::open(adapter, shape)?;
        println!("\ntidemill's kernels cut to {:?}", tide.shape());
        for &size in &given.sizes {
            compare(&mut tide, &mut peer, 1 << size, given.rounds)?;
        }
    }
    Ok(())
}

fn compare(tide: &mut tide::Tide, peer: &mut peer::Peer, n: usize, rounds: usize) -> Result<(), String> {
    let (keys, values) = (words(1, n), words(2, n));
    let (buf, along) = (tide.upload(&keys), tide.upload(&values));

    // Stable sort of pairs.
    let items: Vec<lampshade::KeyValue> =
        keys.iter().zip(&values).map(|(&key, &value)| lampshade::KeyValue { key, value }).collect();
    let mut sort = peer.sort_pairs(&items);
    let mut got = None;
    line(
        "sort of u32 pairs",
        n,
        turns(rounds, || got = Some(tide.sort_pairs(&buf, &along, n)), Some(&mut || sort.run())),
    );
    let mut want: Vec<(u32, u32)> = keys.iter().copied().zip(values.iter().copied()).collect();
    want.sort_by_key(|(key, _)| *key);
    let (sorted_keys, sorted_values): (Vec<u32>, Vec<u32>) = want.iter().copied().unzip();
    let (got_keys, got_values) = got.take().ok_or("no run")?;
    check("tidemill's pairs", tide.read(&got_keys) == sorted_keys && tide.read(&got_values) == sorted_values)?;
    let theirs: Vec<lampshade::KeyValue> = sort.read();
    check("lampshade's pairs", theirs.iter().map(|item| (item.key, item.value)).eq(want.iter().copied()))?;
    drop((sort, got_keys, got_values, theirs, items));

    // Keys alone.
    let mut sort = peer.sort_keys(&keys);
    let mut got = None;
    line("sort of u32 keys", n, turns(rounds, || got = Some(tide.sort_keys(&buf, n)), Some(&mut || sort.run())));
    check("tidemill's keys", tide.read(&got.take().ok_or("no run")?) == sorted_keys)?;
    check("lampshade's keys", sort.read::<u32>() == sorted_keys)?;
    drop(sort);

    // u64 keys with their positions: lampshade has no such keys.
    let wide: Vec<u32> = keys.iter().chain(&values).copied().collect();
    let wide = tide.upload(&wide);
    let mut got = None;
    line("sort of positions by u64 keys", n, turns(rounds, || got = Some(tide.sort_wide(&wide, n)), None));
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.sort_by_key(|&i| (values[i as usize], keys[i as usize]));
    check("tidemill's order", tide.read(&got.take().ok_or("no run")?) == order)?;
    drop((wide, order, want, sorted_keys, sorted_values));

    // Exclusive sums.
    let mut scan = peer.scan(&keys);
    let mut got = None;
    line("exclusive scan of u32", n, turns(rounds, || got = Some(tide.scan(&buf, n)), Some(&mut || scan.run())));
    let mut sum = 0u32;
    let before = |x: &u32| {
        let before = sum;
        sum = sum.wrapping_add(*x);
        before
    };
    let want: Vec<u32> = keys.iter().map(before).collect();
    check("tidemill's scan", tide.read(&got.take().ok_or("no run")?) == want)?;
    check("lampshade's scan", scan.read::<u32>() == want)?;
    drop((scan, want));

    // Reductions of all to one. lampshade's minimum is tidemill's; its wrapping sum is tidemill's exact one.
    let mut least = peer.reduce(&keys, lampshade::U32Reduction::Min);
    let mut got = 0;
    line("minimum of u32", n, turns(rounds, || got = tide.least(&buf, n), Some(&mut || least.run())));
    let want = keys.iter().copied().min().unwrap_or(u32::MAX);
    check("the minima", got == want && least.read::<u32>() == [want])?;
    let mut total = peer.reduce(&keys, lampshade::U32Reduction::Sum);
    let mut got = 0;
    line("sum of u32 (tidemill: exact)", n, turns(rounds, || got = tide.sum_words(&buf, n), Some(&mut || total.run())));
    let exact: u128 = keys.iter().map(|x| u128::from(*x)).sum();
    check("the sums", got == exact && total.read::<u32>() == [sum])?;

    // The price of exactness: floats in cents, a sum of words with the same tiling, no answer but the sum.
    let cents: Vec<f64> = keys.iter().map(|x| f64::from(*x % 10_000_000) / 100.0).collect();
    let floats = tide.upload_floats(&cents);
    let mut got = 0;
    let plain = turns(rounds, || got = tide.plain_sum(&buf, n), None).0;
    check("the plain sum", got == sum)?;
    let mut got = 0;
    let exact = turns(rounds, || got = tide.sum_floats(&floats, n), None).0;
    check("the exact sum", got == cents.iter().map(|x| tide::fixed(*x)).sum::<i128>())?;
    println!(
        "{:34} {n:>9}  exact    {}  plain u32 {}  ratio {:5.2}",
        "exact sum of f64",
        exact.rate(n),
        plain.rate(n),
        plain.median() / exact.median()
    );
    Ok(())
}

fn check(what: &str, holds: bool) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what} are wrong")) }
}
