//! The lines of docs/numerics.md that the exact-sum algebra itself can prove; each test names its line.

#![cfg(not(feature = "fast-float"))]

use tidemill::agg::exact::{
    Dyadic, Exact, IntProductColumn, IntSumColumn, ProductColumn, SumColumn, corr, covar_pop, covar_samp, interpolate,
    mean, stddev_pop, stddev_samp, sum, var_pop, var_samp,
};

const MAX: f64 = f64::MAX;
const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
/// The next above 1.
const ONE_UP: f64 = 1.0 + f64::EPSILON;

fn exact_sum(xs: &[f64]) -> Exact {
    let mut column = SumColumn::new(1);
    column.add_slice(0, xs);
    column.exact(0)
}

fn exact_product(xs: &[f64], ys: &[f64]) -> Exact {
    let mut column = ProductColumn::new(1);
    column.add_slice(0, xs, ys);
    column.exact(0)
}

fn int_sum(xs: &[i128]) -> IntSumColumn {
    let mut column = IntSumColumn::new(1);
    column.add_all_i128(&vec![0; xs.len()], xs);
    column
}

fn int_product(xs: &[i128], ys: &[i128]) -> Exact {
    let mut column = IntProductColumn::new(1);
    column.add_all_i128(&vec![0; xs.len()], xs, ys);
    column.exact(0)
}

fn sum_of(xs: &[f64]) -> Option<f64> {
    sum(&exact_sum(xs), xs.len() as u64)
}

fn mean_of(xs: &[f64]) -> Option<f64> {
    mean(&exact_sum(xs), xs.len() as u64, 0)
}

/// One of the four single-argument moments.
fn moment(f: fn(&Exact, &Exact, u64, i32) -> Option<f64>, xs: &[f64]) -> Option<f64> {
    f(&exact_sum(xs), &exact_product(xs, xs), xs.len() as u64, 0)
}

/// One of the two covariances.
fn covar(f: fn(&Exact, &Exact, &Exact, u64, i32, i32) -> Option<f64>, xs: &[f64], ys: &[f64]) -> Option<f64> {
    f(&exact_sum(xs), &exact_sum(ys), &exact_product(xs, ys), xs.len() as u64, 0, 0)
}

fn corr_of(xs: &[f64], ys: &[f64]) -> Option<f64> {
    let [xx, yy, xy] = [(xs, xs), (ys, ys), (xs, ys)].map(|(a, b)| exact_product(a, b));
    corr(&exact_sum(xs), &exact_sum(ys), &xx, &yy, &xy, xs.len() as u64)
}

fn bits(x: Option<f64>) -> Option<u64> {
    x.map(f64::to_bits)
}

/// A null is neither NaN nor a zero, and a NaN is the one canonical NaN.
fn is_nan(x: Option<f64>) -> bool {
    bits(x) == Some(0x7ff8_0000_0000_0000)
}

fn is_plus_zero(x: Option<f64>) -> bool {
    bits(x) == Some(0)
}

#[test]
fn numbers_of_lines_are_unique_and_ascend() {
    let text = include_str!("../docs/numerics.md");
    let lines = text.lines().filter_map(|line| line.strip_prefix("- **N")?.split_once("**")?.0.parse::<u32>().ok());
    let numbers: Vec<u32> = lines.collect();
    assert!(numbers.len() > 60 && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(numbers.len(), text.matches("- **N").count());
}

#[test]
fn n103_nothing_sums_and_averages_to_null() {
    assert_eq!((sum_of(&[]), mean_of(&[])), (None, None));
}

#[test]
fn n201_the_sum_is_exact_and_rounded_once() {
    assert_eq!(sum_of(&[0.1; 10]), Some(1.0));
    // Adding one after the other loses each 1 to a tie.
    assert_eq!(sum_of(&[9007199254740992.0, 1.0, 1.0]), Some(9007199254740994.0));
    // A tie goes to even; a tie and a hair goes up.
    assert_eq!(sum_of(&[9007199254740992.0, 1.0]), Some(9007199254740992.0));
    assert_eq!(sum_of(&[9007199254740992.0, 1.0, 1e-300]), Some(9007199254740994.0));
}

#[test]
fn n202_nothing_is_lost_on_the_way() {
    assert_eq!(sum_of(&[1e300, 1e-300, -1e300]), Some(1e-300));
    assert_eq!(sum_of(&[MAX, 5e-324, -MAX]), Some(5e-324));
}

#[test]
fn n203_an_exact_zero_is_plus_zero() {
    for xs in [&[-0.0, -0.0][..], &[-0.0], &[1e10, -1e10], &[-5e-324, 5e-324, -0.0]] {
        assert!(is_plus_zero(sum_of(xs)), "{xs:?}");
    }
}

#[test]
fn n204_nan_makes_nan() {
    let odd_nan = f64::from_bits(0xfff0_0000_0000_0001);
    for xs in [&[1.0, NAN][..], &[odd_nan], &[INF, NAN], &[-INF, odd_nan, 2.0]] {
        assert!(is_nan(sum_of(xs)), "{xs:?}");
    }
}

#[test]
fn n205_one_infinity_is_the_sum() {
    assert_eq!(sum_of(&[INF, -MAX, -MAX, INF]), Some(INF));
    assert_eq!(sum_of(&[-INF, MAX, 1.0]), Some(-INF));
}

#[test]
fn n206_both_infinities_make_nan() {
    assert!(is_nan(sum_of(&[INF, 1.0, -INF])));
}

#[test]
fn n207_only_the_final_sum_can_overflow() {
    assert_eq!(sum_of(&[MAX, MAX]), Some(INF));
    assert_eq!(sum_of(&[-MAX, -MAX]), Some(-INF));
    assert_eq!(sum_of(&[MAX, MAX, -MAX]), Some(MAX));
    // Half a unit in the last place above the largest is a tie, which goes to infinity; less does not.
    assert_eq!(sum_of(&[MAX, 2f64.powi(970)]), Some(INF));
    assert_eq!(sum_of(&[MAX, 2f64.powi(970), -5e-324]), Some(MAX));
}

#[test]
fn n208_subnormals_count_fully() {
    assert_eq!(sum_of(&[5e-324, 5e-324]), Some(1e-323));
    assert_eq!(sum_of(&[f64::MIN_POSITIVE, -5e-324]).map(f64::to_bits), Some((1 << 52) - 1));
    assert_eq!(sum_of(&[5e-324; 4096]), Some(f64::from_bits(4096)));
}

#[test]
fn n209_float32_is_widened_exactly() {
    // As floats of 32 bits, ten times 0.1 would be 1.0000001.
    assert_eq!(sum_of(&[f64::from(0.1f32); 10]), Some(1.0000000149011612));
}

#[test]
fn n210_order_and_splits_change_no_bit() {
    let xs = [1e300, 0.1, -1e300, 1e-300, 3.0, -0.1, 5e-324, 1e17];
    let want = bits(sum_of(&xs));
    for turn in 0..xs.len() {
        let mut turned = xs;
        turned.rotate_left(turn);
        assert_eq!(bits(sum_of(&turned)), want);
        let (mut left, mut right) = (SumColumn::new(1), SumColumn::new(1));
        left.add_slice(0, &xs[..turn]);
        right.add_slice(0, &xs[turn..]);
        right.merge_from(&left, &[0]);
        assert_eq!(bits(sum(&right.exact(0), 8)), want);
    }
}

#[test]
fn n301_the_mean_is_rounded_once() {
    assert_eq!(mean_of(&[0.1; 10]), Some(0.1));
    assert_eq!(mean_of(&[1.0, 1.0, 2.0]), Some(4.0 / 3.0));
    // The sum is no float: rounding it first would give 1.
    assert_eq!(mean_of(&[1.0, ONE_UP, ONE_UP]), Some(ONE_UP));
}

#[test]
fn n302_a_sum_beyond_the_range_does_not_hurt() {
    assert_eq!(mean_of(&[MAX, MAX]), Some(MAX));
    assert_eq!(mean_of(&[-MAX; 3]), Some(-MAX));
}

#[test]
fn n303_mean_of_specials() {
    assert!(is_nan(mean_of(&[NAN, 1.0])) && is_nan(mean_of(&[INF, -INF])));
    assert_eq!((mean_of(&[INF, 1.0]), mean_of(&[-INF, 1.0])), (Some(INF), Some(-INF)));
}

#[test]
fn n304_the_mean_of_integers_cannot_overflow() {
    let most = i128::from(i64::MAX);
    assert_eq!(mean(&int_sum(&[most, most, most]).exact(0), 3, 0), Some(9223372036854775807.0));
    assert_eq!(mean(&int_sum(&[1, 1, 2]).exact(0), 3, 0), Some(4.0 / 3.0));
    assert_eq!(mean(&int_sum(&[i128::MAX, i128::MAX, 2]).exact(0), 3, 0), Some(2f64.powi(128) / 3.0));
}

#[test]
fn n305_the_mean_of_decimals_takes_the_scale() {
    // 0.01, 0.01, 0.02
    assert_eq!(mean(&int_sum(&[1, 1, 2]).exact(0), 3, 2), Some(4.0 / 300.0));
    assert_eq!(mean(&int_sum(&[1]).exact(0), 1, 38), Some(1e-38));
    assert_eq!(mean(&int_sum(&[7]).exact(0), 1, -3), Some(7000.0));
}

#[test]
fn n306_zeros_of_means() {
    assert!(is_plus_zero(mean_of(&[-0.0, 0.0])) && is_plus_zero(mean_of(&[1.0, -1.0])));
    assert_eq!(bits(mean_of(&[-5e-324, 0.0, 0.0])), Some((-0.0f64).to_bits()));
    assert!(is_plus_zero(mean_of(&[5e-324, 0.0, 0.0])));
}

#[test]
fn n401_n402_the_variances_are_the_rationals() {
    assert_eq!(moment(var_pop, &[1.0, 2.0, 4.0]), Some(14.0 / 9.0));
    assert_eq!(moment(var_samp, &[1.0, 2.0, 4.0]), Some(14.0 / 6.0));
    // (2^-52)²·2/9: no float keeps Σx² and (Σx)² far enough apart for this.
    assert_eq!(moment(var_pop, &[1.0, ONE_UP, 1.0]), Some(2f64.powi(-104) * 2.0 / 9.0));
}

#[test]
fn n403_deviations_round_once() {
    // n = 2: |a − b| / 2 and |a − b| / √2; squaring 1e-200 first would underflow.
    assert_eq!(moment(stddev_pop, &[1e-200, 3e-200]), Some((3e-200 - 1e-200) / 2.0));
    assert_eq!(moment(stddev_samp, &[1.0, 2.0, 4.0]), Some((14.0f64 / 6.0).sqrt()));
    assert_eq!(moment(stddev_samp, &[0.0, 2.0]), Some(2f64.sqrt()));
}

#[test]
fn n404_large_means_do_not_cancel() {
    assert_eq!(moment(var_samp, &[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]), Some(30.0));
    assert_eq!(moment(var_pop, &[1e15 + 1.0, 1e15 + 2.0]), Some(0.25));
}

#[test]
fn n405_equal_values_do_not_vary() {
    for f in [var_pop, var_samp, stddev_pop, stddev_samp] {
        assert!(is_plus_zero(moment(f, &[0.1, 0.1, 0.1])) && is_plus_zero(moment(f, &[-0.0, 0.0])));
    }
}

#[test]
fn n406_specials_make_variances_nan() {
    for f in [var_pop, var_samp, stddev_pop, stddev_samp] {
        assert!(is_nan(moment(f, &[1.0, NAN])) && is_nan(moment(f, &[1.0, INF])) && is_nan(moment(f, &[-INF, INF])));
    }
}

#[test]
fn n407_a_sample_needs_two() {
    for f in [var_samp, stddev_samp] {
        assert_eq!([moment(f, &[]), moment(f, &[1.0]), moment(f, &[NAN])], [None; 3]);
    }
}

#[test]
fn n408_a_population_needs_one() {
    for f in [var_pop, stddev_pop] {
        assert_eq!(moment(f, &[]), None);
        assert!(is_plus_zero(moment(f, &[0.1])));
        assert!(is_nan(moment(f, &[NAN])));
    }
}

#[test]
fn n409_a_variance_may_overflow_and_its_root_not() {
    assert_eq!(moment(var_pop, &[1e300, -1e300]), Some(INF));
    assert_eq!(moment(stddev_pop, &[1e300, -1e300]), Some(1e300));
}

#[test]
fn n410_variances_of_integers_and_decimals() {
    let moments = |xs: &[i128], scale| {
        let (s, p) = (int_sum(xs).exact(0), int_product(xs, xs));
        [var_pop, var_samp, stddev_pop].map(|f| f(&s, &p, xs.len() as u64, scale).unwrap_or(-1.0))
    };
    assert_eq!(moments(&[1, 2, 4], 0), [14.0 / 9.0, 14.0 / 6.0, (14.0f64 / 9.0).sqrt()]);
    assert_eq!(moments(&[100, 200], 2), [0.25, 0.5, 0.5]);
    // Factors of 127 bits.
    let far = 1i128 << 126;
    assert_eq!(moments(&[far, far + 2], 0), [1.0, 2.0, 1.0]);
}

#[test]
fn n501_n502_covariances() {
    let (xs, ys) = ([1.0, 2.0, 4.0], [3.0, 2.0, 0.0]);
    assert_eq!(covar(covar_pop, &xs, &ys), Some(-14.0 / 9.0));
    assert_eq!(covar(covar_samp, &xs, &ys), Some(-14.0 / 6.0));
    assert!(is_plus_zero(covar(covar_pop, &[1.0, 2.0], &[-5.0, -5.0])));
    assert_eq!(covar(covar_pop, &[1e15 + 1.0, 1e15 + 2.0], &[1e15 + 2.0, 1e15 + 1.0]), Some(-0.25));
}

#[test]
fn n503_correlation() {
    // nΣxy − ΣxΣy = 4, nΣx² − (Σx)² = 14, nΣy² − (Σy)² = 2: √(4/7) = 0.75592894601845445…, rounded up; the root of
    // the rounded 4/7 is one unit less.
    assert_eq!(corr_of(&[1.0, 2.0, 4.0], &[1.0, 2.0, 2.0]), Some(0.7559289460184545));
    assert!(is_plus_zero(corr_of(&[1.0, 2.0, 3.0], &[1.0, 0.0, 1.0])));
    assert_eq!(corr_of(&[1e-300, 2e-300], &[1e300, 3e300]), Some(1.0));
}

#[test]
fn n504_correlation_with_itself_is_one() {
    let xs = [0.1, 1e300, -3.7, 1e-300, 5e-324];
    assert_eq!(corr_of(&xs, &xs), Some(1.0));
    assert_eq!(corr_of(&xs, &xs.map(|x| -x)), Some(-1.0));
}

#[test]
fn n505_specials_make_pairs_nan() {
    for (xs, ys) in
        [([1.0, NAN], [1.0, 2.0]), ([1.0, 2.0], [INF, 0.0]), ([INF, 2.0], [0.0, 1.0]), ([NAN, 1.0], [3.0; 2])]
    {
        assert!(is_nan(covar(covar_pop, &xs, &ys)) && is_nan(covar(covar_samp, &xs, &ys)) && is_nan(corr_of(&xs, &ys)));
    }
    assert!(is_nan(corr_of(&[NAN], &[1.0])));
}

#[test]
fn n506_pairs_need_values() {
    assert_eq!([covar(covar_samp, &[], &[]), covar(covar_samp, &[1.0], &[NAN])], [None; 2]);
    assert_eq!([covar(covar_pop, &[], &[]), corr_of(&[], &[])], [None; 2]);
    assert!(is_plus_zero(covar(covar_pop, &[1.0], &[2.0])));
}

#[test]
fn n507_no_variance_no_correlation() {
    assert_eq!(
        [corr_of(&[1.0], &[2.0]), corr_of(&[0.1, 0.1], &[1.0, 2.0]), corr_of(&[1.0, 2.0], &[7.0, 7.0])],
        [None; 3]
    );
}

#[test]
fn n508_pairs_of_integers_and_decimals() {
    let (xs, ys) = ([1, 2, 4], [1, 2, 2]);
    let sums = [int_sum(&xs).exact(0), int_sum(&ys).exact(0)];
    let products = [int_product(&xs, &xs), int_product(&ys, &ys), int_product(&xs, &ys)];
    assert_eq!(covar_pop(&sums[0], &sums[1], &products[2], 3, 0, 0), Some(4.0 / 9.0));
    assert_eq!(covar_pop(&sums[0], &sums[1], &products[2], 3, 2, 1), Some(4.0 / 9000.0));
    let corr = corr(&sums[0], &sums[1], &products[0], &products[1], &products[2], 3);
    assert_eq!(corr, corr_of(&[1.0, 2.0, 4.0], &[1.0, 2.0, 2.0]));
}

#[test]
fn n604_only_the_final_integer_sum_must_fit() {
    let most = i128::from(i64::MAX);
    assert_eq!(int_sum(&[most, 1, -1]).value_i128(0), Some(most));
    assert_eq!(int_sum(&[most, 1]).value_i128(0), Some(1 << 63));
}

#[test]
fn n605_integer_sums_have_no_limit_inside() {
    assert_eq!(int_sum(&[i128::MAX, i128::MAX]).value_i128(0), None);
    assert_eq!(int_sum(&[i128::MAX, i128::MAX]).exact(0), Exact::Finite(Dyadic::from_i128(i128::MAX, 1)));
    assert_eq!(int_sum(&[i128::MAX, i128::MAX, i128::MIN, i128::MIN]).value_i128(0), Some(-2));
    assert_eq!(int_sum(&[i128::MIN, i128::MIN, i128::MAX, i128::MAX, 7]).value_i128(0), Some(5));
}

#[test]
fn n707_between_neighbours_it_is_linear() {
    let between = |low, high, weight| interpolate(&Exact::from_f64(low), &Exact::from_f64(high), weight, 0);
    assert_eq!(between(1.0, 2.0, 0.5), 1.5);
    assert_eq!(between(-MAX, MAX, 0.5).to_bits(), 0); // the difference is beyond the range, the result is not
    assert_eq!(between(MAX, MAX, 0.5), MAX);
    assert_eq!(between(0.1, 0.9, 0.25), 0.3); // rounded once: in steps it is 0.30000000000000004
    let decimal = |unscaled| Exact::Finite(Dyadic::from_i128(unscaled, 0));
    assert_eq!(interpolate(&decimal(101), &decimal(102), 0.5, 2), 1.015);
}

#[test]
fn n708_n709_n710_neighbours_that_are_special() {
    let between = |low, high, weight| interpolate(&Exact::from_f64(low), &Exact::from_f64(high), weight, 0);
    assert_eq!([between(1.0, NAN, 0.0), between(1.0, INF, 0.0), between(INF, INF, 0.5)], [1.0, 1.0, INF]);
    assert_eq!(between(INF, NAN, 0.0), INF);
    assert!(between(1.0, NAN, 0.5).is_nan() && between(NAN, NAN, 0.5).is_nan() && between(-INF, INF, 0.5).is_nan());
    assert_eq!([between(-INF, 1.0, 0.5), between(1.0, INF, 0.5)], [-INF, INF]);
    assert_eq!(between(-0.0, -0.0, 0.0).to_bits(), 0);
}
