//! Medians, their spread, and ratios with an interval. Nothing here measures anything.

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

/// The middle value, or the mean of the two in the middle; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The median absolute deviation from the median, scaled to the standard deviation of a normal distribution.
pub fn mad(values: &[f64]) -> f64 {
    let middle = median(values);
    let away: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    1.4826 * median(&away)
}

/// A ratio of two medians, and the 95 % interval of it by a percentile bootstrap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The ratio of the medians.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// Which of two is faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faster {
    /// The CPU.
    Cpu,
    /// The GPU.
    Gpu,
    /// The interval holds 1.
    Neither,
}

impl Faster {
    /// What reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Faster::Cpu => "cpu",
            Faster::Gpu => "gpu",
            Faster::Neither => "neither",
        }
    }
}

impl Ratio {
    /// Median of `over` / median of `under`. The resampling is seeded: equal samples give equal intervals.
    pub fn of(over: &[f64], under: &[f64]) -> Ratio {
        let value = median(over) / median(under);
        let mut random = Random::new(0x5eed);
        let mut ratios: Vec<f64> =
            (0..RESAMPLES).map(|_| median(&random.resample(over)) / median(&random.resample(under))).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| ratios[((RESAMPLES - 1) as f64 * share).round() as usize];
        Ratio { value, low: at(0.025).min(value), high: at(0.975).max(value) }
    }

    /// Half of the interval's width.
    pub fn deviation(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// What a ratio of CPU time to GPU time says.
    pub fn faster(&self) -> Faster {
        match self {
            r if r.low > 1.0 => Faster::Gpu,
            r if r.high < 1.0 => Faster::Cpu,
            _ => Faster::Neither,
        }
    }
}

/// xorshift64*, Vigna 2016: enough for resampling and for generated tables.
pub struct Random(u64);

impl Random {
    /// A generator; a seed of 0 is as good as another.
    pub fn new(seed: u64) -> Random {
        Random(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// In 0 ≤ x < 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn resample(&mut self, values: &[f64]) -> Vec<f64> {
        values.iter().map(|_| values[self.below(values.len() as u64) as usize]).collect()
    }
}

/// Where a ladder of ratios crosses 1 for good, from its rungs `(rows, ratio)` in ascending order of rows: between the last
/// rung on one side and the first of an unbroken run on the other, along a straight line in logarithms.
pub fn crossover(rungs: &[(f64, f64)]) -> Option<f64> {
    let last = rungs.last()?.1;
    let at = rungs.iter().rposition(|(_, ratio)| (*ratio > 1.0) != (last > 1.0))?;
    let ((x0, y0), (x1, y1)) = (rungs[at], rungs[at + 1]);
    let (l0, l1) = (y0.ln(), y1.ln());
    let share = if l0 == l1 { 0.5 } else { -l0 / (l1 - l0) };
    Some((x0.ln() + share.clamp(0.0, 1.0) * (x1.ln() - x0.ln())).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_deviations() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(mad(&[1.0, 1.0, 1.0, 50.0]), 0.0, "one outlier does not matter");
        assert!((mad(&[1.0, 2.0, 3.0, 4.0, 5.0]) - 1.4826).abs() < 1e-12);
    }

    #[test]
    fn a_ratio_knows_how_sure_it_is() {
        let quick = [1.0, 1.01, 0.99, 1.0, 1.02];
        let slow = [2.0, 2.02, 1.98, 2.01, 1.99];
        let ratio = Ratio::of(&slow, &quick);
        assert_eq!(ratio.value, 2.0);
        assert!(ratio.low > 1.9 && ratio.high < 2.1, "{ratio:?}");
        assert_eq!(ratio.faster(), Faster::Gpu);
        assert_eq!(Ratio::of(&quick, &slow).faster(), Faster::Cpu);
        let noisy = Ratio::of(&[1.0, 3.0, 0.5, 2.0, 1.1], &[1.0, 0.4, 2.5, 1.2, 1.6]);
        assert_eq!(noisy.faster(), Faster::Neither, "{noisy:?}");
        assert_eq!(Ratio::of(&slow, &quick), ratio, "seeded");
    }

    #[test]
    fn where_a_ladder_crosses_one() {
        let crossing = crossover(&[(1e3, 0.1), (1e4, 0.5), (1e5, 2.0)]).unwrap();
        assert!((crossing / 10f64.powf(4.5) - 1.0).abs() < 1e-9, "{crossing}");
        assert_eq!(crossover(&[(1e3, 0.1), (1e4, 0.2)]), None);
        assert_eq!(crossover(&[(1e3, 3.0), (1e4, 2.0)]), None);
        assert_eq!(crossover(&[]), None);
        let late = crossover(&[(1e3, 2.0), (1e4, 0.5), (1e5, 2.0)]).unwrap();
        assert!((1e4..1e5).contains(&late), "the last crossing counts: {late}");
    }

    #[test]
    fn drawn_numbers_are_spread() {
        let mut random = Random::new(1);
        let drawn: Vec<u64> = (0..10_000).map(|_| random.below(10)).collect();
        for digit in 0..10 {
            let times = drawn.iter().filter(|d| **d == digit).count();
            assert!((850..1150).contains(&times), "{digit}: {times}");
        }
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.unit())));
    }
}
