//! Statistics of few time measurements: ratios with confidence intervals.
//!
//! Times are compared by their logarithms, since disturbances (a busy neighbor, a cold disk) multiply rather than add.
//! Interleaved rounds are compared in pairs, so that a slow minute affects both sides: the interval is Student's, of
//! the mean difference of logarithms. Independent measurements are compared by Welch's interval of the same difference.
//! Both are the intervals that Georges, Buytaert and Eeckhout recommend for fewer than 30 measurements ("Statistically
//! rigorous Java performance evaluation", OOPSLA 2007, section 3.2), applied to logarithms, which makes them intervals
//! of a ratio.
//!
//! One disturbed run widens such an interval so much that a difference of 10 % is lost. From ten measurements on, the
//! fifth at each end is therefore trimmed, with the error by Yuen ("The two-sample trimmed t for unequal population
//! variances", Biometrika 61, 1974): trimmed values count as the outermost remaining ones. With fewer measurements
//! nothing is trimmed.
//!
//! The computation is deterministic.

use serde::Serialize;

/// Confidence level of the intervals. At 95 %, one of twenty comparisons of equal commands would report a difference;
/// here it is one of a hundred.
pub(crate) const CONFIDENCE_LEVEL: f64 = 0.99;

/// A ratio of times and its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TimeRatio {
    /// After divided by before: below 1 is faster.
    pub(crate) ratio: f64,
    /// Lower bound.
    pub(crate) low: f64,
    /// Upper bound.
    pub(crate) high: f64,
}

/// Verdict of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComparisonVerdict {
    /// After takes less time.
    Faster,
    /// After takes more time.
    Slower,
    /// The interval contains 1.
    NoDifferenceShown,
    /// A side has fewer than two measurements.
    TooFew,
}

impl TimeRatio {
    /// Computes the ratio from paired measurements of the same rounds, or returns `None` for fewer than two pairs.
    pub(crate) fn from_pairs(before: &[f64], after: &[f64]) -> Option<Self> {
        let differences: Vec<f64> =
            log_times(before).zip(log_times(after)).map(|(before, after)| after - before).collect();
        let difference = TrimmedMean::from_values(&differences)?;
        Some(Self::from_log_interval(difference.mean, difference.squared_error.sqrt(), difference.degrees_of_freedom))
    }

    /// Computes the ratio from independent measurements, or returns `None` if a side has fewer than two.
    pub(crate) fn from_independent(before: &[f64], after: &[f64]) -> Option<Self> {
        let (old, new) = (log_times(before).collect::<Vec<_>>(), log_times(after).collect::<Vec<_>>());
        let (old, new) = (TrimmedMean::from_values(&old)?, TrimmedMean::from_values(&new)?);
        let sum = old.squared_error + new.squared_error;
        let weights = old.squared_error * old.squared_error / old.degrees_of_freedom
            + new.squared_error * new.squared_error / new.degrees_of_freedom;
        // Without variance, use the maximum degrees of freedom.
        let freedom = if weights > 0.0 { sum * sum / weights } else { old.degrees_of_freedom + new.degrees_of_freedom };
        Some(Self::from_log_interval(new.mean - old.mean, sum.sqrt(), freedom))
    }

    fn from_log_interval(mean: f64, error: f64, freedom: f64) -> Self {
        let half_width = error * student_quantile(0.5 + CONFIDENCE_LEVEL / 2.0, freedom);
        Self { ratio: mean.exp(), low: (mean - half_width).exp(), high: (mean + half_width).exp() }
    }

    /// Returns the interval around another estimate, such as the ratio of medians; it is extended if that is outside.
    pub(crate) fn with_center(self, ratio: f64) -> Self {
        Self { ratio, low: self.low.min(ratio), high: self.high.max(ratio) }
    }

    /// Returns the verdict.
    pub(crate) fn verdict(self) -> ComparisonVerdict {
        // Indistinguishable times leave only the rounding error of the logarithms.
        if self.high < 1.0 - 1e-9 {
            ComparisonVerdict::Faster
        } else if self.low > 1.0 + 1e-9 {
            ComparisonVerdict::Slower
        } else {
            ComparisonVerdict::NoDifferenceShown
        }
    }

    /// Formats the ratio: `0.61× (0.57 to 0.66)`.
    pub(crate) fn to_text(self) -> String {
        let figure = |value: f64| match value {
            0.1..10.0 => format!("{value:.2}"),
            10.0..1_000.0 => format!("{value:.0}"),
            value if value >= 1_000.0 => "> 1000".to_owned(),
            _ => format!("{value:.3}"),
        };
        format!("{}× ({} to {})", figure(self.ratio), figure(self.low), figure(self.high))
    }
}

impl ComparisonVerdict {
    /// Returns the verdict on a ratio; without one there are too few measurements.
    pub(crate) fn from_ratio(ratio: Option<TimeRatio>) -> Self {
        ratio.map_or(Self::TooFew, TimeRatio::verdict)
    }

    /// Returns the verdict in words.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifferenceShown => "no difference shown",
            Self::TooFew => "too few runs",
        }
    }
}

/// A median and the confidence interval of the center.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MedianInterval {
    /// Median.
    pub(crate) median: f64,
    /// Lower bound, or `None` with a single measurement.
    pub(crate) low: Option<f64>,
    /// Upper bound.
    pub(crate) high: Option<f64>,
    /// Number of measurements.
    pub(crate) count: usize,
}

impl MedianInterval {
    /// Computes the interval, or returns `None` without measurements.
    pub(crate) fn from_times(times: &[f64]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => return None,
            odd if !odd.is_multiple_of(2) => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        let logs: Vec<f64> = log_times(times).collect();
        let interval = TrimmedMean::from_values(&logs).map(|middle| {
            TimeRatio::from_log_interval(middle.mean, middle.squared_error.sqrt(), middle.degrees_of_freedom)
        });
        // The interval is of the geometric mean; the median of skewed times may lie outside.
        let low = interval.map(|interval| interval.low.min(median));
        let high = interval.map(|interval| interval.high.max(median));
        Some(Self { median, low, high, count: times.len() })
    }
}

/// Returns the logarithms; a time of 0 counts as a millisecond, the smallest measured time.
fn log_times(times: &[f64]) -> impl Iterator<Item = f64> {
    times.iter().map(|time| time.max(0.001).ln())
}

/// From this number of values on, the extremes are trimmed.
const MIN_TRIMMED_SAMPLES: usize = 10;

/// Mean of the trimmed values, with its error.
struct TrimmedMean {
    mean: f64,
    /// Square of the standard error.
    squared_error: f64,
    degrees_of_freedom: f64,
}

impl TrimmedMean {
    /// Computes the mean, or returns `None` for fewer than two values.
    fn from_values(values: &[f64]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let trim_count = if sorted.len() < MIN_TRIMMED_SAMPLES { 0 } else { sorted.len() / 5 };
        let trimmed = &sorted[trim_count..sorted.len() - trim_count];
        let count = trimmed.len() as f64;
        let mean = trimmed.iter().sum::<f64>() / count;
        let (first, last) = (trimmed[0], trimmed[trimmed.len() - 1]);
        let winsorized: Vec<f64> = sorted.iter().map(|value| value.clamp(first, last)).collect();
        let winsorized_mean = winsorized.iter().sum::<f64>() / winsorized.len() as f64;
        let squares: f64 = winsorized.iter().map(|value| (value - winsorized_mean).powi(2)).sum();
        Some(Self { mean, squared_error: squares / (count * (count - 1.0)), degrees_of_freedom: count - 1.0 })
    }
}

/// Returns the quantile of Student's t-distribution by bisection, for `level` above one half.
fn student_quantile(level: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_cdf(high, freedom) < level && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if student_cdf(middle, freedom) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Returns the cumulative probability of Student's t-distribution at `t`, which is not negative.
fn student_cdf(t: f64, freedom: f64) -> f64 {
    1.0 - incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t)) / 2.0
}

/// Returns the regularized incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast only below the mean.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let tiny = 1e-300;
    let nonzero = |value: f64| if value.abs() < tiny { tiny } else { value };
    let (mut c, mut d) = (1.0, 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for step in [even, odd] {
            d = 1.0 / nonzero(1.0 + step * d);
            c = nonzero(1.0 + step / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    front * fraction
}

/// Returns the logarithm of the gamma function by the Lanczos approximation (g = 7, nine coefficients).
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let sum = COEFFICIENTS
        .iter()
        .zip(1..)
        .fold(0.999_999_999_999_809_9, |sum, (coefficient, step)| sum + coefficient / (x + f64::from(step)));
    let base = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * base.ln() - base + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 1e-3, "{value} is not {expected}");
    }

    #[test]
    fn quantiles_match_published_tables() {
        for (freedom, expected) in
            [(1.0, 63.657), (2.0, 9.925), (4.0, 4.604), (9.0, 3.250), (19.0, 2.861), (120.0, 2.617)]
        {
            near(student_quantile(0.995, freedom), expected);
        }
        near(student_quantile(0.975, 9.0), 2.262);
        near(student_quantile(0.995, 1e7), 2.5758);
        assert_eq!((incomplete_beta(1.0, 2.0, 0.0), incomplete_beta(1.0, 2.0, 1.0)), (0.0, 1.0));
    }

    #[test]
    fn pairs_tolerate_a_slow_minute() {
        // Both sides are three times slower in the middle; after is 20 % faster in each round.
        let before = [10.0, 10.2, 30.0, 31.0, 9.9];
        let after = [8.0, 8.2, 24.1, 24.7, 7.9];
        let ratio = TimeRatio::from_pairs(&before, &after).unwrap();
        near(ratio.ratio, 0.80);
        assert_eq!(ratio.verdict(), ComparisonVerdict::Faster);
        let independent = TimeRatio::from_independent(&before, &after).unwrap();
        assert_eq!(independent.verdict(), ComparisonVerdict::NoDifferenceShown);
        assert!(independent.low < ratio.low && ratio.high < independent.high);
        assert_eq!(TimeRatio::from_pairs(&after, &before).unwrap().verdict(), ComparisonVerdict::Slower);
    }

    #[test]
    fn one_disturbed_run_of_ten_hides_nothing() {
        let before = [10.0, 10.2, 9.9, 10.1, 10.0, 9.8, 10.3, 10.1, 9.9, 10.0];
        let mut after = before.map(|time| time * 0.9);
        after[2] *= 1.01;
        after[5] *= 0.99;
        after[7] *= 2.0;
        let ratio = TimeRatio::from_pairs(&before, &after).unwrap();
        near(ratio.ratio, 0.9);
        assert_eq!(ratio.verdict(), ComparisonVerdict::Faster);
        let nine = TimeRatio::from_pairs(&before[..9], &after[..9]).unwrap();
        assert_eq!(nine.verdict(), ComparisonVerdict::NoDifferenceShown, "with nine measurements nothing is trimmed");
    }

    #[test]
    fn few_or_equal_times_show_nothing() {
        assert_eq!(ComparisonVerdict::from_ratio(TimeRatio::from_pairs(&[1.0], &[2.0])), ComparisonVerdict::TooFew);
        assert_eq!(
            ComparisonVerdict::from_ratio(TimeRatio::from_independent(&[1.0, 1.0], &[2.0])),
            ComparisonVerdict::TooFew
        );
        let same = TimeRatio::from_independent(&[1.0, 1.0, 1.0], &[1.0, 1.0]).unwrap();
        assert_eq!((same.verdict(), same.ratio), (ComparisonVerdict::NoDifferenceShown, 1.0));
        assert_eq!(
            TimeRatio::from_pairs(&[0.0, 0.0], &[0.0, 0.0]).unwrap().verdict(),
            ComparisonVerdict::NoDifferenceShown
        );
        assert_eq!(
            TimeRatio::from_independent(&[2.0, 2.0], &[1.0, 1.0]).unwrap().verdict(),
            ComparisonVerdict::Faster,
            "times without variance"
        );
        assert_eq!(MedianInterval::from_times(&[]), None);
    }

    #[test]
    fn the_interval_contains_the_median() {
        let one = MedianInterval::from_times(&[10.0, 10.4, 9.8, 10.1]).unwrap();
        near(one.median, 10.05);
        assert!(one.low.unwrap() < 10.0 && one.high.unwrap() > 10.2 && one.count == 4);
        let single = MedianInterval::from_times(&[10.0]).unwrap();
        assert!(single.low.is_none());
        near(MedianInterval::from_times(&[1.0, 1.0, 1.0, 50.0, 1.0]).unwrap().median, 1.0);
    }

    #[test]
    fn ratios_are_formatted_briefly() {
        let text = |ratio, low, high| TimeRatio { ratio, low, high }.to_text();
        assert_eq!(text(0.614, 0.57, 0.66), "0.61× (0.57 to 0.66)");
        assert_eq!(text(12.3, 0.004, 5e9), "12× (0.004 to > 1000)");
        assert_eq!(ComparisonVerdict::NoDifferenceShown.label(), "no difference shown");
    }
}
