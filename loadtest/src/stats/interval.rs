//! How well a figure is known (percentile bootstrap: Efron, 1979), and when two differ.

use crate::results::{Estimate, Estimates, Metric, Point, Verdict};

/// Resamples: enough for the ends of a 95 % interval.
const RESAMPLES: usize = 1000;
/// Fewer stretches than that have no interval.
const FEWEST: usize = 3;

/// One stretch of time: a value, and what it weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// The value is above over below.
    above: f64,
    below: f64,
}

impl Sample {
    fn ratio(above: f64, below: f64) -> Option<Self> {
        (below > 0.0).then_some(Self { above, below })
    }
}

/// How samples make a figure.
#[derive(Clone, Copy, Debug)]
enum By {
    /// The mean of the middle three fifths of the stretches' values: one bad stretch does not move it, and it is known
    /// better than a median.
    Middle,
    /// All that was spent over all that came of it.
    Ratio,
}

impl By {
    fn figure(self, samples: &[Sample], scratch: &mut Vec<f64>) -> f64 {
        match self {
            Self::Ratio => {
                let (above, below) = samples.iter().fold((0.0, 0.0), |(a, b), s| (a + s.above, b + s.below));
                above / below
            }
            Self::Middle => {
                scratch.clear();
                scratch.extend(samples.iter().map(|sample| sample.above / sample.below));
                scratch.sort_by(f64::total_cmp);
                let cut = scratch.len() / 5;
                let middle = &scratch[cut..scratch.len() - cut];
                middle.iter().sum::<f64>() / middle.len() as f64
            }
        }
    }
}

fn estimate(samples: &[Sample], by: By, random: &mut fastrand::Rng) -> Option<Estimate> {
    if samples.len() < FEWEST {
        return None;
    }
    let mut scratch = Vec::with_capacity(samples.len());
    let mut drawn = Vec::with_capacity(samples.len());
    let mut figures: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            drawn.clear();
            drawn.extend((0..samples.len()).map(|_| samples[random.usize(0..samples.len())]));
            by.figure(&drawn, &mut scratch)
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    let end = |share: f64| figures[((RESAMPLES - 1) as f64 * share).round() as usize];
    Some(Estimate {
        value: by.figure(samples, &mut scratch),
        low: end(0.025),
        high: end(0.975),
        samples: samples.len(),
    })
}

/// The estimates that a series allows; several repetitions' series are one after the other.
pub fn estimates(series: &[Point], seed: u64) -> Estimates {
    let of = |metric| estimate_of(series, metric, seed);
    Estimates {
        latency_p50: of(Metric::LatencyP50),
        latency_p99: of(Metric::LatencyP99),
        cpu_per_delivery: of(Metric::CpuPerDelivery),
        bytes_per_delivery: of(Metric::BytesPerDelivery),
    }
}

/// One of them.
pub fn estimate_of(series: &[Point], metric: Metric, seed: u64) -> Option<Estimate> {
    let sample = |point: &Point| match metric {
        Metric::LatencyP50 => Sample::ratio(point.latency_p50_ms?, 1.0),
        Metric::LatencyP99 => Sample::ratio(point.latency_p99_ms?, 1.0),
        Metric::CpuPerDelivery => Sample::ratio(point.cpu_ns? as f64, point.arrived as f64),
        Metric::BytesPerDelivery => {
            Sample::ratio((point.in_bytes + point.out_bytes) as f64, point.arrived as f64)
        }
    };
    let samples: Vec<Sample> = series.iter().filter_map(sample).collect();
    let by = match metric {
        // Other programs' cache misses and interrupts are in a stretch's time, not in its bytes.
        Metric::LatencyP50 | Metric::LatencyP99 | Metric::CpuPerDelivery => By::Middle,
        Metric::BytesPerDelivery => By::Ratio,
    };
    estimate(&samples, by, &mut fastrand::Rng::with_seed(seed))
}

/// What can be said of `b` against `a`: they differ if their intervals do not overlap, and by more than the noise.
pub fn verdict(a: Option<Estimate>, b: Option<Estimate>, floor: f64) -> Verdict {
    let (Some(a), Some(b)) = (a, b) else { return Verdict::NotComparable };
    if [a.value, b.value, a.low, b.high].iter().any(|value| !value.is_finite()) {
        return Verdict::NotComparable;
    }
    let apart = (a.value - b.value).abs() > floor * a.value.min(b.value).abs();
    match () {
        () if apart && b.low > a.high => Verdict::Higher,
        () if apart && b.high < a.low => Verdict::Lower,
        () => Verdict::NoDifference,
    }
}

/// The largest difference between two of several runs of the same thing, as a share of the smaller.
pub fn floor(runs: &[Estimates], metric: Metric) -> Option<f64> {
    let values: Vec<f64> =
        runs.iter().filter_map(|run| run.of(metric)).map(|estimate| estimate.value).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (values.len() > 1 && least > 0.0).then(|| (most - least) / least)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stretches whose processor time scatters by so much around a mean, as logarithms of a normal distribution do.
    fn stretches(count: usize, mean: f64, spread: f64, random: &mut fastrand::Rng) -> Vec<Point> {
        (0..count)
            .map(|_| {
                // Twelve uniform numbers: nearly normal (Irwin and Hall).
                let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                let value = mean * (spread * normal).exp();
                Point {
                    at_s: 0.0,
                    seconds: 0.25,
                    published: 10,
                    delivered: 1000,
                    arrived: 1000,
                    latency_p50_ms: Some(value / 1e4),
                    latency_p99_ms: Some(value / 1e3),
                    latency_max_ms: None,
                    cpu_ns: Some((value * 1000.0) as u64),
                    rss_bytes: None,
                    in_bytes: 0,
                    out_bytes: 300_000,
                    requests: 0,
                    connections: 100,
                }
            })
            .collect()
    }

    /// Of 200 pairs, how many are called different, `b` being `handicap` times `a`.
    fn different(handicap: f64, metric: Metric) -> usize {
        let mut random = fastrand::Rng::with_seed(11);
        let mut count = 0;
        for seed in 0..200 {
            let a = stretches(16, 9_000.0, 0.06, &mut random);
            let b = stretches(16, 9_000.0 * handicap, 0.06, &mut random);
            let (a, b) = (estimate_of(&a, metric, seed), estimate_of(&b, metric, seed + 1000));
            count += usize::from(verdict(a, b, 0.02) != Verdict::NoDifference);
        }
        count
    }

    #[test]
    fn equal_things_are_seldom_called_different() {
        for metric in Metric::ALL {
            let count = different(1.0, metric);
            assert!(count <= 14, "{metric:?}: {count} of 200 pairs of the same are called different");
        }
    }

    #[test]
    fn a_tenth_is_found() {
        for metric in [Metric::LatencyP50, Metric::CpuPerDelivery] {
            let count = different(1.1, metric);
            assert!(count >= 180, "{metric:?}: a tenth is found in {count} of 200 pairs");
        }
    }

    #[test]
    fn the_noise_floor_hides_what_is_smaller() {
        let estimate =
            |value: f64| Some(Estimate { value, low: value * 0.999, high: value * 1.001, samples: 8 });
        assert_eq!(verdict(estimate(100.0), estimate(104.0), 0.0), Verdict::Higher);
        assert_eq!(verdict(estimate(100.0), estimate(96.0), 0.0), Verdict::Lower);
        assert_eq!(verdict(estimate(100.0), estimate(104.0), 0.05), Verdict::NoDifference);
        assert_eq!(verdict(None, estimate(104.0), 0.05), Verdict::NotComparable);
        assert_eq!(verdict(estimate(f64::NAN), estimate(1.0), 0.0), Verdict::NotComparable);
    }

    #[test]
    fn nothing_comes_of_too_little() {
        let mut random = fastrand::Rng::with_seed(1);
        let few = stretches(2, 1.0, 0.1, &mut random);
        assert_eq!(estimates(&few, 1), Estimates::default());
        let mut idle = stretches(8, 1.0, 0.1, &mut random);
        idle.iter_mut().for_each(|point| point.arrived = 0);
        assert_eq!(estimates(&idle, 1).cpu_per_delivery, None);
    }

    #[test]
    fn the_floor_is_the_largest_difference() {
        let run = |value: f64| Estimates {
            latency_p50: Some(Estimate { value, low: 0.0, high: 0.0, samples: 8 }),
            ..Estimates::default()
        };
        let found = floor(&[run(1.0), run(1.05), run(1.02)], Metric::LatencyP50).unwrap();
        assert!((found - 0.05).abs() < 1e-9);
        assert_eq!(floor(&[run(1.0)], Metric::LatencyP50), None);
        assert_eq!(floor(&[run(1.0), run(2.0)], Metric::LatencyP99), None);
    }
}
