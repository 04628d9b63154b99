//! Operands: every second one random over its whole domain, the others hard cases of many kinds.

/// What the two operands of a function are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Two doubles.
    FF,
    /// A double.
    F,
    /// A double and a scale.
    Fk,
    /// Two significands of 53 bits.
    S,
    /// A dividend and a divisor of 53 bits, the dividend not below it and below twice it.
    Sd,
    /// 2^52 up to 2^54.
    Sr,
    /// Two i64.
    I,
    /// An i64 and a positive one.
    Id,
    /// A u64 and one that is not 0.
    Ud,
    /// A u64 and a shift below 64.
    Ik,
    /// Two 128-bit values.
    U,
    /// A 128-bit value and one that is not 0.
    Un,
    /// A 128-bit value and a shift below 128.
    Uk,
    /// Two decimals of up to 38 digits.
    W,
    /// A decimal; a power of ten up to 38 and, in the second word, a rounding mode.
    Wk,
    /// A day; ticks per second and, in the second word, a unit.
    D,
    /// A timestamp; ticks per second and, in the second word, a unit.
    T,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// -3 to 3.
    fn nudge(&mut self) -> u64 {
        self.below(7).wrapping_sub(3)
    }
}

/// `count` pairs of a class, the same for the same seed.
pub fn pairs(class: Class, seed: u64, count: usize) -> Vec<(u128, u128)> {
    let mut random = Random(seed);
    (0..count).map(|i| pair(class, &mut random, i)).collect()
}

fn pair(class: Class, r: &mut Random, i: usize) -> (u128, u128) {
    let (a, b) = match class {
        Class::FF => return floats(r, i),
        Class::F => (floats_one(r, i) as u128, 0),
        Class::Fk => return (decimal_like(r, i) as u128, r.below(39) as u128),
        Class::S => ((fraction(r) | 1 << 52) as u128, (fraction(r) | 1 << 52) as u128),
        Class::Sd => return divisible(r, i),
        Class::Sr => (square(r, i) as u128, 0),
        Class::I => (integer(r, i) as u128, integer(r, i + 1) as u128),
        Class::Id => (integer(r, i) as u128, (integer(r, i + 1) & (u64::MAX >> 1)).max(1) as u128),
        Class::Ud => return quotient64(r, i),
        Class::Ik => (integer(r, i) as u128, r.below(64) as u128),
        Class::U => (wide(r, i), wide(r, i + 1)),
        Class::Un => return quotient128(r, i),
        Class::Uk => (wide(r, i), r.below(128) as u128),
        Class::W => return decimals(r, i),
        Class::Wk => return (scaled(r, i) as u128, r.below(39) as u128 | (r.below(5) as u128) << 32),
        Class::D => (day(r, i) as u128, unit(r)),
        Class::T => return timestamp(r, i),
    };
    (a, b)
}

const SPECIAL: [u64; 32] = [
    0,
    1,
    2,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x0010_0000_0000_0001,
    0x001f_ffff_ffff_ffff,
    0x0008_0000_0000_0000,
    0x3ff0_0000_0000_0000,
    0x3ff0_0000_0000_0001,
    0x3fef_ffff_ffff_ffff,
    0x3fe0_0000_0000_0000,
    0x3fdf_ffff_ffff_ffff,
    0x3ff8_0000_0000_0000,
    0x4000_0000_0000_0000,
    0x4008_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x7fe0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0x7ff8_0000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x4330_0000_0000_0000,
    0x4340_0000_0000_0000,
    0x432f_ffff_ffff_ffff,
    0x4330_0000_0000_0001,
    0x43e0_0000_0000_0000,
    0x43df_ffff_ffff_ffff,
    0x47ef_ffff_e000_0000,
    0x47ef_ffff_efff_ffff,
    0x3690_0000_0000_0000,
    0x380f_ffff_ffff_ffff,
];

fn special(r: &mut Random) -> u64 {
    SPECIAL[r.below(32) as usize] | r.next() << 63
}

/// A significand with few ones, few zeros or one run, besides random ones.
fn fraction(r: &mut Random) -> u64 {
    let few = 1 << r.below(52) | 1 << r.below(52);
    let bits = match r.below(6) {
        0 => few,
        1 => !few,
        2 => (1u64 << r.below(53)) - 1,
        3 => !((1u64 << r.below(53)) - 1),
        4 => r.next() & r.next() & r.next(),
        _ => r.next(),
    };
    bits & ((1 << 52) - 1)
}

fn compose(r: &mut Random, exponent: u64) -> u64 {
    fraction(r) | exponent.min(2047) << 52 | r.next() << 63
}

fn floats(r: &mut Random, i: usize) -> (u128, u128) {
    let both = |a: u64, b: u64| (a as u128, b as u128);
    let low = (1u64 << 52) - 1;
    match i % 16 {
        0..5 => both(r.next(), r.next()),
        5 => both(special(r), special(r)),
        6 => {
            let a = r.next();
            both(a, special(r))
        }
        // Every pair of exponents in turn.
        7 => {
            let turn = i / 16;
            let (x, y) = ((turn % 2048) as u64, (turn / 2048 % 2048) as u64);
            both(compose(r, x), compose(r, y))
        }
        // Near in exponent: alignment, rounding and cancellation in addition.
        8 => {
            let x = r.below(2047);
            let y = (x + r.below(140)).saturating_sub(70);
            both(compose(r, x), compose(r, y))
        }
        // The same but for the last places: cancellation, and remainders near 0.
        9 => {
            let a = compose(r, 1 + r.0 % 2046);
            both(a, a.wrapping_add(r.nudge()) ^ (r.next() & 1) << 63)
        }
        // Half a last place of a, and near it: ties in addition.
        10 => {
            let x = 54 + r.below(1990);
            let a = compose(r, x);
            both(a, ((x - 53) << 52).wrapping_add(r.nudge()) | r.next() << 63)
        }
        // Products and quotients around the smallest normal and subnormal numbers.
        11 => {
            let x = 1 + r.below(1100);
            let product = 1024 + r.below(120);
            let y = (product + 1023).saturating_sub(x + 1060).max(1);
            both(compose(r, x), compose(r, y))
        }
        12 => {
            let x = r.below(130);
            let y = x + 960 + r.below(120);
            both(compose(r, x), compose(r, y))
        }
        // Factors short enough for a product that is exact, or a tie.
        13 => {
            let (m, n) = (r.next() >> (37 + r.below(4)), r.next() >> (37 + r.below(4)));
            let scale = 2f64.powi(r.below(1000) as i32 - 500);
            both((m as f64 * scale).to_bits(), (n as f64 / scale).to_bits())
        }
        // Quotients near a double or near the middle of two.
        14 => {
            let (q, d) = (f64::from_bits(fraction(r) | 1023 << 52), f64::from_bits(fraction(r) | 1023 << 52));
            both((q * d).to_bits().wrapping_add(r.nudge()), d.to_bits())
        }
        // Subnormals, and integers.
        _ => {
            if r.next() & 1 == 0 {
                both(r.next() & low | r.next() << 63, compose(r, r.0 % 60))
            } else {
                both((r.nudge() as i64 as f64).to_bits(), ((r.next() >> r.below(64)) as f64).to_bits())
            }
        }
    }
}

fn floats_one(r: &mut Random, i: usize) -> u64 {
    match i % 8 {
        0..3 => r.next(),
        3 => special(r),
        4 => compose(r, (i / 8 % 2048) as u64),
        // Around integers and halves.
        5 => {
            let n = (r.next() >> r.below(64)) as f64;
            (n * 0.5).to_bits().wrapping_add(r.nudge()) ^ r.next() << 63
        }
        // Near squares, for the root; and the edges of binary32.
        6 => {
            let root = f64::from_bits(fraction(r) | (1023 + r.below(2)) << 52);
            (root * root).to_bits().wrapping_add(r.nudge())
        }
        _ => {
            let f32_bits = f32::from_bits(r.next() as u32 >> r.below(32));
            let next = f32::from_bits(f32_bits.to_bits().wrapping_add(1));
            ((f32_bits as f64 + next as f64) * 0.5).to_bits().wrapping_add(r.nudge())
        }
    }
}

/// Doubles near decimal fractions, and any.
fn decimal_like(r: &mut Random, i: usize) -> u64 {
    match i % 4 {
        0 => floats_one(r, i / 4),
        1 => compose(r, 1023 + 127 - r.0 % 256),
        2 => {
            let n = (r.next() >> r.below(64)) as f64 / 10f64.powi(r.below(20) as i32);
            n.to_bits().wrapping_add(r.nudge()) ^ r.next() << 63
        }
        // Halves of the last decimal place.
        _ => ((r.next() >> (11 + r.below(50))) as f64 / 2f64.powi(r.below(40) as i32)).to_bits() ^ r.next() << 63,
    }
}

/// Every second quotient is near a whole number of last places, so that one digit more or less shows.
fn divisible(r: &mut Random, i: usize) -> (u128, u128) {
    let b = (fraction(r) | 1 << 52) as u128;
    let a = match i % 2 {
        0 => (fraction(r) | 1 << 52) as u128,
        _ => ((b * (fraction(r) | 1 << 52) as u128) >> 52).wrapping_add(r.nudge() as i64 as i128 as u128),
    };
    let a = if a < b { 2 * a } else { a };
    (a.clamp(b, 2 * b - 1), b)
}

/// Every second one is near a square.
fn square(r: &mut Random, i: usize) -> u64 {
    let root = (fraction(r) | 1 << 52) as u128;
    let m = match i % 2 {
        0 => r.next() >> 10,
        _ => (((root * root) >> (52 + (i / 2 % 2))) as u64).wrapping_add(r.nudge()),
    };
    m.clamp(1 << 52, (1 << 54) - 1)
}

fn integer(r: &mut Random, i: usize) -> u64 {
    match i % 5 {
        0 => r.next(),
        1 => (r.next() as i64 >> r.below(64)) as u64,
        2 => (1u64 << r.below(64)).wrapping_add(r.nudge()) ^ 0u64.wrapping_sub(r.next() & 1),
        3 => [0, 1, u64::MAX, i64::MIN as u64, i64::MAX as u64, u32::MAX as u64, 1 << 32, 10][r.below(8) as usize],
        // Near the square root of the range, for products that just fit.
        _ => (3_037_000_500u64.wrapping_add(r.nudge())) >> r.below(2) ^ 0u64.wrapping_sub(r.next() & 1),
    }
}

fn quotient64(r: &mut Random, i: usize) -> (u128, u128) {
    let d = integer(r, i).max(1);
    // Multiples of the divisor, and one beside: where a digit is guessed wrong.
    let n = if i.is_multiple_of(3) {
        d.wrapping_mul(r.next() >> r.below(64)).wrapping_add(r.nudge())
    } else {
        integer(r, i / 5)
    };
    (n as u128, d as u128)
}

fn wide(r: &mut Random, i: usize) -> u128 {
    let any = r.next() as u128 | (r.next() as u128) << 64;
    let nudge = r.nudge() as i64 as i128 as u128;
    match i % 5 {
        0 => any,
        1 => (any as i128 >> r.below(128)) as u128,
        2 => (1u128 << r.below(128)).wrapping_add(nudge) ^ 0u128.wrapping_sub(any & 1),
        3 => 10u128.pow(r.below(39) as u32).wrapping_add(nudge) ^ 0u128.wrapping_sub(any & 1),
        _ => {
            [0, 1, u128::MAX, i128::MIN as u128, i128::MAX as u128, u64::MAX as u128, 1 << 64, i64::MIN as i128 as u128]
                [r.below(8) as usize]
        }
    }
}

fn quotient128(r: &mut Random, i: usize) -> (u128, u128) {
    let d = (wide(r, i) >> r.below(128)).max(1);
    let q = (r.next() as u128 | (r.next() as u128) << 64) >> r.below(128);
    let nudge = r.nudge() as i64 as i128 as u128;
    (if i.is_multiple_of(3) { d.wrapping_mul(q).wrapping_add(nudge) } else { wide(r, i / 5) }, d)
}

const MOST: i128 = 10i128.pow(38) - 1;

fn decimal(r: &mut Random, i: usize) -> i128 {
    let v = wide(r, i) as i128;
    // As many digits as bits: a power of ten is cut off at random.
    let v = if i.is_multiple_of(2) { v / 10i128.pow(r.below(38) as u32) } else { v };
    v.clamp(-MOST, MOST)
}

fn decimals(r: &mut Random, i: usize) -> (u128, u128) {
    let a = decimal(r, i);
    let b = match i % 4 {
        // Sums and products just inside and just outside.
        0 => MOST.wrapping_sub(a).wrapping_add(r.nudge() as i64 as i128),
        1 if a != 0 => (MOST / a).wrapping_add(r.nudge() as i64 as i128),
        _ => decimal(r, i / 4),
    };
    (a as u128, b.clamp(-MOST, MOST) as u128)
}

/// Decimals, the halves of powers of ten and what is beside them among them.
fn scaled(r: &mut Random, i: usize) -> i128 {
    if !i.is_multiple_of(3) {
        return decimal(r, i / 3);
    }
    let k = r.below(38) as u32;
    let half = 10i128.pow(k) * 5;
    let whole = (r.next() >> r.below(64)) as i128;
    let v = whole.wrapping_mul(10i128.pow(k + 1)).wrapping_add(half).wrapping_add(r.nudge() as i64 as i128);
    (if r.next() & 1 == 0 { v } else { v.wrapping_neg() }).clamp(-MOST, MOST)
}

fn unit(r: &mut Random) -> u128 {
    let tps = [1u128, 1_000, 1_000_000, 1_000_000_000][r.below(4) as usize];
    tps | (r.below(8) as u128) << 32
}

fn day(r: &mut Random, i: usize) -> u64 {
    match i % 4 {
        // Each day of some centuries.
        0 => (i as i64 / 4 - 200_000) as u64,
        1 => (r.below(6_000_000) as i64 - 3_000_000) as u64,
        2 => r.next() as i32 as i64 as u64,
        // Not the year at either end, where weeks and starts wrap.
        _ => (r.next() as i64 >> (1 + r.below(60))) as u64,
    }
}

fn timestamp(r: &mut Random, i: usize) -> (u128, u128) {
    let b = unit(r);
    let tps = b as u32 as i64;
    let t = match i % 4 {
        0 => r.next() as i64,
        1 => (r.below(400 * 366 * 86_400) as i64 - 200 * 366 * 86_400).wrapping_mul(tps).wrapping_add(r.nudge() as i64),
        2 => (day(r, i / 4) as i64).wrapping_mul(86_400).wrapping_mul(tps).wrapping_add(r.nudge() as i64),
        _ => r.nudge() as i64 >> 2 ^ if r.next() & 1 == 0 { i64::MIN } else { i64::MAX } >> 1 << 1,
    };
    // In seconds, dates run close to the ends of i64 / 86400: far from where they would wrap.
    (t as u64 as u128, b)
}
