//! The exact-sum algebra against big integers, the plainest way there is, and against Python.
//!
//! The oracle holds every value as an integer over 2^2200 and rounds by searching all floats for the nearest. It
//! shares no code with what it judges.

#![cfg(not(feature = "fast-float"))]

use num_bigint::{BigInt, BigUint};
use proptest::prelude::*;
use tidemill::agg::exact::{
    Dyadic, Exact, IntProductColumn, IntSumColumn, ProductColumn, SumColumn, corr, covar_pop, covar_samp, mean,
    stddev_pop, stddev_samp, sum, var_pop, var_samp,
};

/// Every float and every product of two is a whole number of 2^−2200.
const UNIT: i32 = 2200;

/// A finite float as an integer over 2^2200.
fn fixed(x: f64) -> BigInt {
    let (bits, field) = (x.to_bits() & ((1 << 52) - 1), (x.to_bits() >> 52) & 0x7ff);
    let mantissa = if field == 0 { bits } else { bits | 1 << 52 };
    let magnitude = BigInt::from(mantissa) << (field.max(1) as i32 - 1075 + UNIT) as u32;
    if x.is_sign_negative() { -magnitude } else { magnitude }
}

fn fixed_exact(value: &Exact) -> BigInt {
    let value = value.finite().expect("a number");
    value.mantissa() << (value.exponent() + UNIT) as u32
}

/// The float nearest to a rational, ties to even: by binary search over all floats.
fn nearest(num: &BigInt, den: &BigInt) -> f64 {
    search(num, |x, num| (x * den).cmp(&(num << UNIT as u32)))
}

/// The float nearest to a root of a rational: the same search, comparing squares.
fn nearest_root(num: &BigInt, den: &BigInt) -> f64 {
    search(num, |x, num| (x * x * den).cmp(&(num << (2 * UNIT) as u32)))
}

fn search(num: &BigInt, compare: impl Fn(&BigInt, &BigInt) -> std::cmp::Ordering) -> f64 {
    if num.magnitude() == &BigUint::from(0u8) {
        return 0.0;
    }
    let size = BigInt::from(num.magnitude().clone());
    // Infinity stands for 2^1024 in a search; its bits follow the largest float's.
    let place = |bits: u64| {
        if bits == f64::INFINITY.to_bits() {
            BigInt::from(1) << (1024 + UNIT) as u32
        } else {
            fixed(f64::from_bits(bits))
        }
    };
    let (mut low, mut high) = (0, f64::INFINITY.to_bits());
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if compare(&place(middle), &size).is_le() { low = middle } else { high = middle - 1 }
    }
    if low < f64::INFINITY.to_bits() {
        let middle: BigInt = (place(low) + place(low + 1)) / 2;
        let order = compare(&middle, &size);
        low += u64::from(order.is_lt() || (order.is_eq() && low & 1 == 1));
    }
    let size = f64::from_bits(low);
    if num < &BigInt::from(0) { -size } else { size }
}

/// Finite floats of every nasty kind.
fn hostile() -> impl Strategy<Value = f64> {
    let finite = |bits: u64| Some(f64::from_bits(bits)).filter(|x| x.is_finite()).unwrap_or(-f64::MAX);
    prop_oneof![
        3 => any::<u64>().prop_map(finite),
        3 => (0u64..10_000_000_000).prop_map(|cents| cents as f64 / 1e6),
        2 => prop::sample::select(vec![
            1e300, -1e300, 1e-300, -1e-300, 0.0, -0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -5e-324, 1.0,
            -1.0, 9007199254740992.0, 9007199254740993.0, 0.1,
        ]),
        1 => (0..1u64 << 54).prop_map(f64::from_bits),
        1 => any::<i32>().prop_map(f64::from),
    ]
}

/// Rows of up to five groups, some values with their opposites beside them.
fn rows() -> impl Strategy<Value = Vec<(u32, f64)>> {
    prop::collection::vec((0..5u32, hostile(), any::<bool>()), 0..48)
        .prop_map(|rows| {
            let pair = |(group, x, opposite): (u32, f64, bool)| [Some((group, x)), opposite.then_some((group, -x))];
            rows.into_iter().flat_map(pair).flatten().collect::<Vec<_>>()
        })
        .prop_shuffle()
}

/// Limbs that carry, borrow and repeat the sign.
fn limb() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), Just(0), Just(u32::MAX), Just(1 << 31)]
}

const GROUPS: usize = 5;

fn sums_one_by_one(rows: &[(u32, f64)]) -> SumColumn {
    let mut column = SumColumn::new(GROUPS);
    rows.iter().for_each(|&(group, x)| column.add(group as usize, x));
    column
}

/// The same sums by one of the other doors.
fn sums_by(door: usize, rows: &[(u32, f64)], mut column: SumColumn) -> SumColumn {
    let (groups, xs): (Vec<u32>, Vec<f64>) = rows.iter().copied().unzip();
    match door {
        0 => column.add_all(&groups, &xs),
        1 => {
            column.add_valid(&groups, &xs, |i| i % 3 == 0);
            column.add_valid(&groups, &xs, |i| i % 3 != 0);
        }
        2 => {
            for group in 0..GROUPS as u32 {
                let xs: Vec<f64> = rows.iter().filter(|row| row.0 == group).map(|row| row.1).collect();
                column.add_slice(group as usize, &xs);
            }
        }
        3 => {
            for &(group, x) in rows {
                let value = fixed(x) >> (UNIT - 1074) as u32;
                let mut limbs = value.to_signed_bytes_le();
                let sign = if value < BigInt::from(0) { 255 } else { 0 };
                limbs.resize(limbs.len().next_multiple_of(4), sign);
                let limbs: Vec<u32> = limbs.chunks(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
                column.add_limbs(group as usize, &limbs, -1074);
            }
        }
        4 => {
            for &(group, x) in rows {
                // As a window that starts 40 bits lower would hold it.
                if let (Some(value), true) = (Exact::from_f64(x).finite(), true) {
                    let mantissa = i128::try_from(value.mantissa()).expect("53 bits");
                    column.add_scaled(group as usize, mantissa << 40, value.exponent() - 40);
                }
            }
        }
        _ => rows.iter().for_each(|&(group, x)| column.add(group as usize, x)),
    }
    column
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sums_are_exact_and_rounded_once(rows in rows()) {
        let column = sums_one_by_one(&rows);
        for group in 0..GROUPS {
            let want: BigInt = rows.iter().filter(|row| row.0 as usize == group).map(|row| fixed(row.1)).sum();
            prop_assert_eq!(fixed_exact(&column.exact(group)), want.clone());
            let rounded = nearest(&want, &(BigInt::from(1) << UNIT as u32));
            prop_assert_eq!(column.value(group).to_bits(), rounded.to_bits());
            prop_assert_eq!(column.exact(group).to_f64().to_bits(), rounded.to_bits());
        }
    }

    #[test]
    fn every_door_and_every_window_holds_the_same_sums(rows in rows(), door in 0..6usize, first in hostile()) {
        let want = sums_one_by_one(&rows);
        prop_assert_eq!(&sums_by(door, &rows, SumColumn::new(GROUPS)), &want);
        // A window chosen from a foreign value changes nothing either.
        let mut foreign = SumColumn::new(GROUPS);
        foreign.add(0, first);
        foreign.add(0, -first);
        prop_assert_eq!(&sums_by(door, &rows, foreign.clone()), &want);
        prop_assert_eq!(&sums_by(door, &rows, foreign.new_like(GROUPS)), &want);
    }

    #[test]
    fn order_does_not_matter((rows, shuffled) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))) {
        prop_assert_eq!(sums_one_by_one(&rows), sums_one_by_one(&shuffled));
    }

    /// Identity, commutativity, associativity, and merge ∘ split = id.
    #[test]
    fn merging_is_a_commutative_monoid(
        rows in rows(), cuts in [0..100usize, 0..100usize],
        map in Just((0..GROUPS as u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let whole = sums_one_by_one(&rows);
        let all: Vec<u32> = (0..GROUPS as u32).collect();
        let (mut from, mut to) = (cuts[0].min(rows.len()), cuts[1].min(rows.len()));
        if from > to {
            (from, to) = (to, from);
        }
        let (a, b, c) = (sums_one_by_one(&rows[..from]), sums_by(0, &rows[from..to], SumColumn::new(GROUPS)), sums_one_by_one(&rows[to..]));
        let merged = |left: &SumColumn, right: &SumColumn| {
            let mut left = left.clone();
            left.merge_from(right, &all);
            left
        };
        prop_assert_eq!(&merged(&merged(&a, &b), &c), &whole);
        prop_assert_eq!(&merged(&a, &merged(&b, &c)), &whole);
        prop_assert_eq!(&merged(&merged(&c, &b), &a), &whole);
        prop_assert_eq!(&merged(&whole, &SumColumn::new(GROUPS)), &whole);
        prop_assert_eq!(&merged(&SumColumn::new(GROUPS), &whole), &whole);
        // Taking groups apart, in any order, and putting them back where they were.
        let taken = whole.gather(&map);
        for (i, &group) in map.iter().enumerate() {
            prop_assert_eq!(taken.exact(i), whole.exact(group as usize));
        }
        let mut back = SumColumn::new(GROUPS);
        back.merge_from(&taken.gather(&[0, 1]), &map[..2]);
        back.merge_from(&taken.gather(&[2, 3, 4]), &map[2..]);
        prop_assert_eq!(&back, &whole);
        // Several groups into one.
        let mut one = SumColumn::new(1);
        one.merge_from(&whole, &[0; GROUPS]);
        let want: BigInt = rows.iter().map(|row| fixed(row.1)).sum();
        prop_assert_eq!(fixed_exact(&one.exact(0)), want);
    }

    #[test]
    fn products_are_exact(rows in prop::collection::vec((0..3u32, hostile(), hostile()), 0..40), cut in 0..40usize) {
        let whole = |rows: &[(u32, f64, f64)]| {
            let mut column = ProductColumn::new(3);
            rows.iter().for_each(|&(group, x, y)| column.add(group as usize, x, y));
            column
        };
        let column = whole(&rows);
        let (groups, xs, ys): (Vec<u32>, Vec<f64>, Vec<f64>) =
            rows.iter().map(|&(group, x, y)| (group, (x, y))).fold(Default::default(), |mut all, (group, (x, y))| {
                all.0.push(group);
                all.1.push(x);
                all.2.push(y);
                all
            });
        let mut batch = ProductColumn::new(3);
        batch.add_all(&groups, &ys, &xs);
        prop_assert_eq!(&batch, &column);
        let mut halves = ProductColumn::new(3);
        halves.add_valid(&groups, &xs, &ys, |i| i % 2 == 1);
        halves.add_valid(&groups, &xs, &ys, |i| i % 2 == 0);
        prop_assert_eq!(&halves, &column);
        let cut = cut.min(rows.len());
        let (mut left, right) = (whole(&rows[..cut]), whole(&rows[cut..]));
        left.merge_from(&right, &[0, 1, 2]);
        prop_assert_eq!(&left, &column);
        for group in 0..3 {
            let products = rows.iter().filter(|row| row.0 as usize == group).map(|row| fixed(row.1) * fixed(row.2));
            let want: BigInt = products.sum();
            prop_assert_eq!(fixed_exact(&column.exact(group)) << UNIT as u32, want.clone());
            let rounded = nearest(&want, &(BigInt::from(1) << (2 * UNIT) as u32));
            prop_assert_eq!(column.value(group).to_bits(), rounded.to_bits());
        }
    }

    /// Blocks of values as data has them, with a stranger now and then, stay in the limbs of a group.
    #[test]
    fn ordinary_products_are_exact(
        rows in prop::collection::vec((0..3u32, -10_000_000_000..10_000_000_000i64, 1..1_000_000i64), 0..700),
        strangers in prop::collection::vec((0..700usize, hostile()), 0..3),
    ) {
        let groups: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let mut xs: Vec<f64> = rows.iter().map(|row| row.1 as f64 / 1e6).collect();
        let ys: Vec<f64> = rows.iter().map(|row| row.2 as f64 / 3e4).collect();
        for (at, stranger) in strangers {
            if let Some(x) = xs.get_mut(at) {
                *x = stranger;
            }
        }
        let mut column = ProductColumn::new(3);
        column.add_all(&groups, &xs, &ys);
        for group in 0..3 {
            let products = (0..rows.len()).filter(|&i| groups[i] == group).map(|i| fixed(xs[i]) * fixed(ys[i]));
            let want: BigInt = products.sum();
            prop_assert_eq!(fixed_exact(&column.exact(group as usize)) << UNIT as u32, want);
        }
    }

    #[test]
    fn integers_are_exact_past_128_bits(
        rows in prop::collection::vec((0..3u32, any::<i128>(), any::<i128>(), 0..128u32), 0..40), cut in 0..40usize,
    ) {
        let build = |rows: &[(u32, i128, i128, u32)]| {
            let (mut sums, mut products) = (IntSumColumn::new(3), IntProductColumn::new(3));
            for &(group, x, y, cut) in rows {
                sums.add(group as usize, x >> cut);
                products.add(group as usize, x >> cut, y);
            }
            (sums, products)
        };
        let (sums, products) = build(&rows);
        let cut = cut.min(rows.len());
        let ((mut left_sums, mut left_products), (right_sums, right_products)) = (build(&rows[..cut]), build(&rows[cut..]));
        left_sums.merge_from(&right_sums, &[0, 1, 2]);
        left_products.merge_from(&right_products, &[0, 1, 2]);
        prop_assert_eq!(&left_sums, &sums);
        prop_assert_eq!(&left_products, &products);
        for group in 0..3 {
            let mine = || rows.iter().filter(|row| row.0 as usize == group);
            let sum: BigInt = mine().map(|row| BigInt::from(row.1 >> row.3)).sum();
            let product: BigInt = mine().map(|row| BigInt::from(row.1 >> row.3) * row.2).sum();
            prop_assert_eq!(sums.value_i128(group), i128::try_from(&sum).ok());
            prop_assert_eq!(fixed_exact(&sums.exact(group)), sum << UNIT as u32);
            prop_assert_eq!(products.value_i128(group), i128::try_from(&product).ok());
            prop_assert_eq!(fixed_exact(&products.exact(group)), product << UNIT as u32);
        }
    }

    /// Windows of any width, as devices hold them.
    #[test]
    fn limbs_are_twos_complement(
        parts in prop::collection::vec((prop::collection::vec(limb(), 0..20), -90..90i32), 1..6),
    ) {
        let (mut sums, mut products) = (SumColumn::new(1), ProductColumn::new(1));
        let (mut int_sums, mut int_products) = (IntSumColumn::new(1), IntProductColumn::new(1));
        let (mut want, mut want_int) = (BigInt::from(0), BigInt::from(0));
        for (limbs, exponent) in &parts {
            sums.add_limbs(0, limbs, *exponent);
            products.add_limbs(0, limbs, *exponent);
            int_sums.add_limbs(0, limbs);
            int_products.add_limbs(0, limbs);
            let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
            let value = BigInt::from_signed_bytes_le(&bytes);
            want += &value << (exponent + UNIT) as u32;
            want_int += value << UNIT as u32;
        }
        prop_assert_eq!(fixed_exact(&sums.exact(0)), want.clone());
        prop_assert_eq!(fixed_exact(&products.exact(0)), want);
        prop_assert_eq!(fixed_exact(&int_sums.exact(0)), want_int.clone());
        prop_assert_eq!(fixed_exact(&int_products.exact(0)), want_int);
    }

    #[test]
    fn int_batches_equal_single_additions(rows in prop::collection::vec((0..3u32, any::<i64>(), any::<i64>()), 0..40)) {
        let (mut sums, mut products) = (IntSumColumn::new(3), IntProductColumn::new(3));
        let (mut groups, mut xs, mut ys) = (vec![], vec![], vec![]);
        for &(group, x, y) in &rows {
            sums.add(group as usize, x.into());
            products.add(group as usize, x.into(), y.into());
            groups.push(group);
            xs.push(x);
            ys.push(y);
        }
        let wide = |xs: &[i64]| xs.iter().map(|&x| i128::from(x)).collect::<Vec<_>>();
        for door in 0..4 {
            let (mut other, mut other_products) = (IntSumColumn::new(3), IntProductColumn::new(3));
            match door {
                0 => {
                    other.add_all(&groups, &xs);
                    other_products.add_all(&groups, &xs, &ys);
                }
                1 => {
                    other.add_all_i128(&groups, &wide(&xs));
                    other_products.add_all_i128(&groups, &wide(&xs), &wide(&ys));
                }
                2 => {
                    // Every row in one of three parts; what is not in a part must not matter to it.
                    let part = |k: usize| -> Vec<u8> { (0..xs.len()).map(|i| u8::from(i % 3 == k)).collect() };
                    let not = |valid: &[u8]| -> Vec<u8> { valid.iter().map(|ok| 1 - ok).collect() };
                    let [a, b, c] = [part(0), part(1), part(2)];
                    [&a, &b, &c].iter().for_each(|valid| other.add_valid(&groups, &xs, valid));
                    other_products.add_valid(&groups, (&xs, Some(&a)), (&ys, None));
                    other_products.add_valid(&groups, (&xs, None), (&ys, Some(&b)));
                    other_products.add_valid(&groups, (&xs, Some(&not(&a))), (&ys, Some(&not(&b))));
                }
                _ => {
                    other.add_valid(&groups, &xs, &vec![1; xs.len()]);
                    for group in 0..3u32 {
                        let of = |values: &[i64]| -> Vec<i64> {
                            values.iter().zip(&groups).filter(|(_, g)| **g == group).map(|(x, _)| *x).collect()
                        };
                        other_products.add_slice(group as usize, &of(&xs), &of(&ys));
                    }
                }
            }
            prop_assert_eq!(&other, &sums);
            prop_assert_eq!(&other_products, &products);
        }
    }

    /// Every finished value against rationals of big integers, over floats and scaled integers.
    #[test]
    fn results_round_the_exact_quotient_once(
        rows in prop::collection::vec((hostile(), hostile()), 1..12), tame: bool, scale in -4..30i32,
    ) {
        let tame = |x: f64| if tame { (x % 1000.0 * 1e6).round() / 1e6 } else { x };
        let rows: Vec<(f64, f64)> = rows.iter().map(|&(x, y)| (tame(x), tame(y))).collect();
        let n = rows.len() as u64;
        let (mut s, mut p) = (SumColumn::new(2), ProductColumn::new(3));
        for &(x, y) in &rows {
            s.add(0, x);
            s.add(1, y);
            p.add(0, x, x);
            p.add(1, y, y);
            p.add(2, x, y);
        }
        let (sx, sy, sxx, syy, sxy) = (s.exact(0), s.exact(1), p.exact(0), p.exact(1), p.exact(2));
        let one = || BigInt::from(1);
        let big = |f: &dyn Fn(&(f64, f64)) -> BigInt| rows.iter().map(f).sum::<BigInt>();
        let (bx, by) = (big(&|r| fixed(r.0)), big(&|r| fixed(r.1)));
        let (bxx, byy, bxy) = (big(&|r| fixed(r.0).pow(2)), big(&|r| fixed(r.1).pow(2)), big(&|r| fixed(r.0) * fixed(r.1)));
        let (unit, unit2) = (one() << UNIT as u32, one() << (2 * UNIT) as u32);
        let ten = |scale: i32| BigInt::from(10).pow(scale.unsigned_abs());
        let scaled = |num: &BigInt, den: &BigInt, scale: i32| match scale {
            0.. => (num.clone(), den * ten(scale)),
            _ => (num * ten(scale), den.clone()),
        };
        let bits = |x: Option<f64>| x.map(f64::to_bits);
        let near = |(num, den): (BigInt, BigInt)| Some(nearest(&num, &den).to_bits());
        let near_root = |(num, den): (BigInt, BigInt)| Some(nearest_root(&num, &den).to_bits());

        prop_assert_eq!(bits(sum(&sx, n)), near((bx.clone(), unit.clone())));
        prop_assert_eq!(bits(mean(&sx, n, scale)), near(scaled(&bx, &(n * &unit), scale)));
        let (spread_x, spread_y, spread) = (n * &bxx - &bx * &bx, n * &byy - &by * &by, n * &bxy - &bx * &by);
        let pop: BigInt = BigInt::from(n) * n * &unit2;
        prop_assert_eq!(bits(var_pop(&sx, &sxx, n, scale)), near(scaled(&spread_x, &pop, 2 * scale)));
        prop_assert_eq!(bits(stddev_pop(&sx, &sxx, n, scale)), near_root(scaled(&spread_x, &pop, 2 * scale)));
        prop_assert_eq!(bits(covar_pop(&sx, &sy, &sxy, n, scale, 1)), near(scaled(&spread, &pop, scale + 1)));
        if n > 1 {
            let samp: BigInt = BigInt::from(n) * (n - 1) * &unit2;
            prop_assert_eq!(bits(var_samp(&sx, &sxx, n, scale)), near(scaled(&spread_x, &samp, 2 * scale)));
            prop_assert_eq!(bits(stddev_samp(&sy, &syy, n, scale)), near_root(scaled(&spread_y, &samp, 2 * scale)));
            prop_assert_eq!(bits(covar_samp(&sx, &sy, &sxy, n, scale, 1)), near(scaled(&spread, &samp, scale + 1)));
        }
        let both: BigInt = &spread_x * &spread_y;
        let want = (both != BigInt::from(0)).then(|| {
            let root = nearest_root(&(&spread * &spread), &both);
            if spread < BigInt::from(0) { -root } else { root }
        });
        prop_assert_eq!(bits(corr(&sx, &sy, &sxx, &syy, &sxy, n)), bits(want));
        prop_assert!(want.is_none_or(|r| (-1.0..=1.0).contains(&r)));
    }
}

/// A small generator for tests too large for proptest.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Long batches move the window several times, and blocks of 512 go through the vector path.
#[test]
fn long_batches_in_many_ranges_stay_exact() {
    let mut next = numbers(7);
    let (mut batch, mut single, mut sliced) = (SumColumn::new(3), SumColumn::new(3), SumColumn::new(1));
    let mut product = ProductColumn::new(3);
    let (mut want, mut want_product, mut want_slice) =
        (vec![BigInt::from(0); 3], vec![BigInt::from(0); 3], BigInt::from(0));
    for (phase, exponent) in [0, -200, 150, -1060, 960, 3, -40, -70, 40].into_iter().enumerate() {
        let spread = [1, 20, 60, 100, 2][phase % 5];
        let count = 4000 + phase;
        let mut xs: Vec<f64> = (0..count)
            .map(|_| {
                let fraction = (next() >> 11) as f64 / 2f64.powi(53) - 0.5;
                let power = (exponent + (next() % spread) as i32).clamp(-1073, 1020);
                fraction * 2f64.powi(power / 2) * 2f64.powi(power - power / 2)
            })
            .collect();
        (0..phase * 10).for_each(|i| xs[i * 7] = 0.0);
        let groups: Vec<u32> = (0..count).map(|_| (next() % 3) as u32).collect();
        batch.add_all(&groups, &xs);
        sliced.add_slice(0, &xs);
        product.add_all(&groups, &xs, &xs);
        for (&group, &x) in groups.iter().zip(&xs) {
            single.add(group as usize, x);
            want[group as usize] += fixed(x);
            want_slice += fixed(x);
            want_product[group as usize] += fixed(x).pow(2);
        }
        for group in 0..3 {
            assert_eq!(fixed_exact(&batch.exact(group)), want[group], "phase {phase}");
            assert_eq!(fixed_exact(&product.exact(group)) << UNIT as u32, want_product[group], "phase {phase}");
        }
        assert_eq!(fixed_exact(&sliced.exact(0)), want_slice, "phase {phase}");
        assert_eq!(batch, single);
    }
}

/// The vector path must notice what it cannot hold: specials, −0, and the ends of the range.
#[test]
fn blocks_with_odd_values_stay_exact() {
    let odd = [f64::MAX, 5e-324, -0.0, f64::MIN_POSITIVE, 1e-300, 2f64.powi(1000), 2f64.powi(999), -2f64.powi(-1074)];
    for value in odd {
        for base in [0.0, 1.5, 3e-310, value] {
            let mut xs = vec![base; 1024];
            xs[77] = value;
            xs[600] = -value;
            xs[601] = value;
            let mut column = SumColumn::new(1);
            column.add_slice(0, &xs);
            let want: BigInt = xs.iter().map(|&x| fixed(x)).sum();
            assert_eq!(fixed_exact(&column.exact(0)), want, "{value} among {base}");
        }
    }
    for (value, want) in [(f64::NAN, Exact::Nan), (f64::INFINITY, Exact::PosInf), (f64::NEG_INFINITY, Exact::NegInf)] {
        for place in [0, 511, 512, 700, 1030] {
            let mut xs = vec![0.25; 1100];
            xs[place] = value;
            let mut column = SumColumn::new(1);
            column.add_slice(0, &xs);
            assert_eq!(column.exact(0), want);
        }
    }
}

/// A device's whole window at once, over and over at other exponents.
#[test]
fn scaled_windows_of_many_groups() {
    let mut next = numbers(11);
    let groups: Vec<u32> = (0..4000).collect();
    let mut column = SumColumn::new(groups.len());
    let mut want = vec![BigInt::from(0); groups.len()];
    for exponent in [-90, -100, -60, -130, 200, -90] {
        let values: Vec<i128> = groups.iter().map(|_| (next() as i64 as i128) << (next() % 40)).collect();
        column.add_scaled_all(&groups, &values, exponent);
        for (want, &value) in want.iter_mut().zip(&values) {
            *want += BigInt::from(value) << (exponent + UNIT) as u32;
        }
    }
    for (group, want) in want.iter().enumerate() {
        assert_eq!(&fixed_exact(&column.exact(group)), want);
    }
}

#[test]
fn specials_survive_merging_gathering_and_resizing() {
    let mut column = SumColumn::new(4);
    column.add_all(&[0, 1, 2, 3, 0], &[f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 2.0, 1.0]);
    let exact = |column: &SumColumn| (0..column.len()).map(|group| column.exact(group)).collect::<Vec<_>>();
    let two = Exact::from_f64(2.0);
    assert_eq!(exact(&column), [Exact::PosInf, Exact::NegInf, Exact::Nan, two.clone()]);
    assert_eq!(exact(&column.gather(&[3, 2, 0])), [two.clone(), Exact::Nan, Exact::PosInf]);
    let mut merged = SumColumn::new(2);
    merged.merge_from(&column, &[0, 0, 1, 1]);
    assert_eq!(exact(&merged), [Exact::Nan, Exact::Nan]); // +∞ and −∞ make NaN
    column.resize(1);
    column.resize(2);
    assert_eq!(exact(&column), [Exact::PosInf, Exact::from_f64(0.0)]);
    assert_ne!(column, SumColumn::new(2));
    let mut product = ProductColumn::new(2);
    product.add_all(&[0, 1, 1], &[f64::INFINITY, f64::INFINITY, -1.0], &[0.0, -2.0, 5.0]);
    assert_eq!((product.exact(0), product.exact(1)), (Exact::Nan, Exact::NegInf));
}

#[test]
fn memory_is_counted() {
    let mut column = SumColumn::new(1000);
    assert!(column.heap_bytes() < 1000, "sums of nothing need nothing");
    column.add_all(&[1, 2, 3], &[1.0, 2.0, 1e-3]);
    assert!((16_000..17_000).contains(&column.heap_bytes()));
    column.add_all(&[1, 2, 3], &[1.0, 1e300, 1e-300]);
    let before = column.heap_bytes();
    assert!(before > 32_000);
    (0..1000).for_each(|group| column.add(group, 1e-200 * group as f64));
    assert!(column.heap_bytes() > before + 1000 * 24, "what does not fit the window is counted too");
}

#[test]
fn long_sums_outgrow_their_words() {
    // 15 + 2^-40, near the top of the first window: 2^18 of them fill a word.
    let (mantissa, exponent) = ((15i64 << 40) + 1, -40);
    let x = mantissa as f64 * f64::from(exponent).exp2();
    let rows = 1 << 20;
    let groups: Vec<u32> = (0..rows).map(|i| i % 3 % 2).collect();
    let mut column = SumColumn::new(2);
    column.add_all(&groups, &vec![x; rows as usize]);
    let mut halves = SumColumn::new(2);
    let half = rows as usize / 2;
    halves.add_all(&groups[..half], &vec![x; half]);
    let mut other = SumColumn::new(2);
    other.add_all(&groups[half..], &vec![x; half]);
    halves.merge_from(&other, &[0, 1]);
    let times = |group: u32| groups.iter().filter(|g| **g == group).count() as i128;
    for group in 0..2 {
        let want = Exact::Finite(Dyadic::from_i128(times(group) * i128::from(mantissa), exponent));
        assert_eq!(column.exact(group as usize), want);
        assert_eq!(halves.exact(group as usize), want);
    }
    let (mut sums, mut products) = (IntSumColumn::new(2), IntProductColumn::new(2));
    let large = i64::MAX >> 13;
    for _ in 0..20 {
        sums.add_all(&[0, 1, 1], &[large, -large, -large]);
        products.add_all(&[0, 1, 1], &[1 << 30, 1 << 30, -1], &[1 << 31, -1 << 31, i64::MAX]);
    }
    (0..1000).for_each(|_| sums.add_all(&[1; 9], &[large; 9]));
    assert_eq!(
        (sums.value_i128(0), sums.value_i128(1)),
        (Some(20 * i128::from(large)), Some(8960 * i128::from(large)))
    );
    assert_eq!(products.value_i128(0), Some(20 << 61));
    assert_eq!(products.value_i128(1), Some(-(20 << 61) - 20 * i128::from(i64::MAX)));
}

#[test]
fn bytes_carry_a_column_and_damage_is_noticed() {
    let mut sums = SumColumn::new(4);
    sums.add_all(&[0, 1, 2, 0, 3], &[1e300, 0.1, f64::NAN, -1e-300, f64::NEG_INFINITY]);
    let mut products = IntProductColumn::new(2);
    products.add(0, i128::MIN, i128::MIN);
    (0..4).for_each(|_| products.add(1, i128::MIN, i128::MAX));
    let mut bytes = Vec::new();
    sums.put(&mut bytes);
    let end = bytes.len();
    products.put(&mut bytes);
    let mut rest = &bytes[..];
    assert_eq!(SumColumn::take(&mut rest), Some(sums));
    assert_eq!(rest.len(), bytes.len() - end);
    assert_eq!(IntProductColumn::take(&mut rest), Some(products));
    assert!(rest.is_empty());
    for cut in 0..end {
        assert_eq!(SumColumn::take(&mut &bytes[..cut]), None, "cut at {cut}");
    }
    for place in 0..end {
        for bit in 0..8 {
            // Damage is noticed or gives another sound column; it never panics.
            let mut damaged = bytes[..end].to_vec();
            damaged[place] ^= 1 << bit;
            if let Some(column) = SumColumn::take(&mut &damaged[..]) {
                let mut again = Vec::new();
                column.put(&mut again);
                assert_eq!(SumColumn::take(&mut &again[..]), Some(column));
            }
        }
    }
}

/// `cargo test --release --test exact -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, for --release"]
fn speed() {
    const N: usize = 1 << 15;
    let mut next = numbers(5);
    let xs: Vec<f64> = (0..N).map(|_| (next() % 100_000_000) as f64 / 1e6).collect();
    let groups: Vec<u32> = (0..N).map(|_| (next() % 100) as u32).collect();
    let report = |name: &str, work: &mut dyn FnMut()| {
        let once = |work: &mut dyn FnMut()| {
            let start = std::time::Instant::now();
            work();
            start.elapsed().as_secs_f64()
        };
        let best = (0..300).map(|_| once(work)).fold(f64::INFINITY, f64::min);
        println!("{name:24} {:.2} ns/value", best * 1e9 / N as f64);
    };
    let (mut sums, mut products) = (SumColumn::new(100), ProductColumn::new(100));
    report("sum, 100 groups", &mut || sums.add_all(&groups, &xs));
    report("sum, one by one", &mut || groups.iter().zip(&xs).for_each(|(&group, &x)| sums.add(group as usize, x)));
    report("sum, one group", &mut || sums.add_slice(7, &xs));
    report("products, 100 groups", &mut || products.add_all(&groups, &xs, &xs));
    let mut plain = [0.0; 100];
    report("inexact f64 sum", &mut || groups.iter().zip(&xs).for_each(|(&group, &x)| plain[group as usize] += x));
    assert!(plain[0] > 0.0 && sums.value(0) > 0.0 && products.value(0) > 0.0);
}

fn float(word: &str) -> Option<f64> {
    (word != "null").then(|| f64::from_bits(u64::from_str_radix(word, 16).expect("16 hexadecimal digits")))
}

fn floats(list: &str) -> Vec<f64> {
    list.split(',').filter_map(float).collect()
}

/// So many addends that the limbs of a group overflow again and again.
#[test]
fn millions_of_products_are_exact() {
    let (x, rows) = (123_456.789_f64, 1 << 21);
    for groups in [1, 2] {
        let mut column = ProductColumn::new(groups);
        let ids: Vec<u32> = (0..1 << 16).map(|i| i % groups as u32).collect();
        for _ in 0..rows >> 16 {
            column.add_all(&ids, &vec![x; 1 << 16], &vec![-x; 1 << 16]);
        }
        let want = fixed(x) * fixed(-x) * (rows / groups);
        for group in 0..groups {
            assert_eq!(fixed_exact(&column.exact(group)) << UNIT as u32, want);
        }
    }
}

/// tests/data/exact_vectors.py says how these were made: `math.fsum`, `fractions`, `statistics`.
#[test]
fn results_equal_python() {
    let mut lines = 0;
    for line in include_str!("data/exact_vectors.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let bits = |x: Option<f64>| x.map_or("null".to_owned(), |x| format!("{:016x}", x.to_bits()));
        let (got, want) = match words[..] {
            ["float", xs, ref want @ ..] => {
                let xs = floats(xs);
                let (mut s, mut p) = (SumColumn::new(1), ProductColumn::new(1));
                s.add_slice(0, &xs);
                p.add_slice(0, &xs, &xs);
                let (n, s, p) = (xs.len() as u64, s.exact(0), p.exact(0));
                let moments = [var_pop(&s, &p, n, 0), var_samp(&s, &p, n, 0)];
                let roots = [stddev_pop(&s, &p, n, 0), stddev_samp(&s, &p, n, 0)];
                ([&[sum(&s, n), mean(&s, n, 0)][..], &moments, &roots].concat(), want)
            }
            ["pair", xs, ys, ref want @ ..] => {
                let (xs, ys) = (floats(xs), floats(ys));
                let (mut s, mut p) = (SumColumn::new(2), ProductColumn::new(3));
                s.add_slice(0, &xs);
                s.add_slice(1, &ys);
                p.add_slice(0, &xs, &xs);
                p.add_slice(1, &ys, &ys);
                p.add_slice(2, &xs, &ys);
                let (n, x, y, xy) = (xs.len() as u64, s.exact(0), s.exact(1), p.exact(2));
                let corr = corr(&x, &y, &p.exact(0), &p.exact(1), &xy, n);
                (vec![covar_pop(&x, &y, &xy, n, 0, 0), covar_samp(&x, &y, &xy, n, 0, 0), corr], want)
            }
            ["decimal", scale, xs, ref want @ ..] => {
                let scale: i32 = scale.parse().expect("a scale");
                let xs: Vec<i128> = xs.split(',').map(|x| x.parse().expect("an integer")).collect();
                let (mut s, mut p) = (IntSumColumn::new(1), IntProductColumn::new(1));
                let groups = vec![0; xs.len()];
                s.add_all_i128(&groups, &xs);
                p.add_all_i128(&groups, &xs, &xs);
                let (n, s, p) = (xs.len() as u64, s.exact(0), p.exact(0));
                let moments = [var_pop(&s, &p, n, scale), var_samp(&s, &p, n, scale)];
                let roots = [stddev_pop(&s, &p, n, scale), stddev_samp(&s, &p, n, scale)];
                ([&[mean(&s, n, scale)][..], &moments, &roots].concat(), want)
            }
            _ => panic!("unknown line: {line}"),
        };
        assert_eq!(got.into_iter().map(bits).collect::<Vec<_>>(), want, "{line}");
        lines += 1;
    }
    assert!(lines > 150, "{lines} lines");
}

#[test]
fn results_of_integers_are_the_rationals() {
    let exact = |value: i128| Exact::Finite(Dyadic::from_i128(value, 0));
    // 1, 2, 4: Σx = 7, Σx² = 21.
    assert_eq!(mean(&exact(7), 3, 0), Some(7.0 / 3.0));
    assert_eq!(var_pop(&exact(7), &exact(21), 3, 0), Some(14.0 / 9.0));
    assert_eq!(var_samp(&exact(7), &exact(21), 3, 0), Some(14.0 / 6.0));
    assert_eq!(stddev_samp(&exact(7), &exact(21), 3, 0), Some((14.0f64 / 6.0).sqrt()));
    assert_eq!(mean(&exact(-1), u64::MAX, 0), Some(-1.0 / 18446744073709551615.0));
}
