//! Durations in an HDR histogram, and the distribution that a document has of them.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::results::{Bucket, Distribution, Percentile};

/// The longest that is told from longer ones: ten minutes, in microseconds.
const LONGEST: u64 = 600_000_000;
/// Microseconds in a millisecond.
const MILLI: f64 = 1000.0;
/// Where percentile curves have points, as shares of what remains: even on a logarithmic axis.
const QUANTILES: [f64; 24] = [
    0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 0.995,
    0.999, 0.9995, 0.9999, 0.99999, 1.0,
];

/// Durations to a microsecond and three significant digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self::with_digits(3)
    }
}

impl Latencies {
    /// None yet, with so many significant digits (1 to 5).
    pub fn with_digits(digits: u8) -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, digits).expect("bounds and digits are in range"))
    }

    /// Adds a duration in nanoseconds.
    pub fn record_ns(&mut self, ns: u64) {
        self.0.saturating_record(ns / 1000);
    }

    /// Adds a duration.
    pub fn record(&mut self, time: Duration) {
        self.record_ns(time.as_nanos() as u64);
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// The value at a quantile (0 to 1), in milliseconds; `None` without any.
    pub fn at(&self, quantile: f64) -> Option<f64> {
        (self.count() > 0).then(|| self.0.value_at_quantile(quantile) as f64 / MILLI)
    }

    /// What a document says of them; `None` without any.
    pub fn distribution(&self) -> Option<Distribution> {
        if self.count() == 0 {
            return None;
        }
        let percentiles = QUANTILES.iter().map(|quantile| Percentile {
            quantile: *quantile,
            // The 0th is the smallest, not the smallest's bucket's upper end.
            ms: if *quantile == 0.0 { self.0.min() } else { self.0.value_at_quantile(*quantile) } as f64
                / MILLI,
        });
        // A bucket of the first is between 0 and 1 µs; ends grow by a tenth.
        let logarithmic = self.0.iter_log(1, 1.1).filter(|step| step.count_since_last_iteration() > 0);
        let histogram = logarithmic.map(|step| Bucket {
            to_ms: step.value_iterated_to() as f64 / MILLI,
            count: step.count_since_last_iteration(),
        });
        Some(Distribution {
            count: self.count(),
            min_ms: self.0.min() as f64 / MILLI,
            mean_ms: self.0.mean() / MILLI,
            max_ms: self.0.max() as f64 / MILLI,
            percentiles: percentiles.collect(),
            histogram: histogram.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_says_what_was_recorded() {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|ms| latencies.record(Duration::from_millis(ms)));
        let distribution = latencies.distribution().expect("there are some");
        assert_eq!(distribution.count, 1000);
        for (quantile, ms) in [(0.0, 1.0), (0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = distribution.at(quantile).expect("it is listed");
            assert!((found / ms - 1.0).abs() < 0.002, "{quantile}: {found} instead of {ms}");
        }
        let counted: u64 = distribution.histogram.iter().map(|bucket| bucket.count).sum();
        assert_eq!(counted, 1000);
        assert!(
            distribution.histogram.len() < 100,
            "{} buckets are not compact",
            distribution.histogram.len()
        );
        assert!(distribution.histogram.windows(2).all(|two| two[0].to_ms < two[1].to_ms));
        assert!((distribution.mean_ms - 500.5).abs() < 1.0);
    }

    #[test]
    fn nothing_is_no_distribution() {
        assert_eq!(Latencies::default().distribution(), None);
        assert_eq!(Latencies::default().at(0.5), None);
    }

    #[test]
    fn merging_adds() {
        let (mut one, mut other) = (Latencies::with_digits(2), Latencies::with_digits(2));
        one.record(Duration::from_millis(1));
        other.record(Duration::from_secs(3));
        one.merge(&other);
        assert_eq!(one.count(), 2);
        assert!(one.at(1.0) > Some(2900.0));
    }
}
