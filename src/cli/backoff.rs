//! How long to wait before trying again.

use std::time::Duration;

/// Exponential back-off with full jitter: a random part of a span that doubles.
///
/// Full jitter spreads those who lost the same gateway at the same moment over the whole span, where a
/// fixed share of it would bring them back in waves.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    base: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(base: Duration, most: Duration) -> Self {
        Self { base, most, failures: 0 }
    }

    /// The next wait, at least `least`.
    pub(crate) fn wait(&mut self, least: Option<Duration>) -> Duration {
        let span = self.base.saturating_mul(1 << self.failures.min(16)).min(self.most);
        self.failures += 1;
        // What the gateway asks for is a floor: all who were asked the same still have to spread.
        least.unwrap_or_default() + span.mul_f64(fastrand::f64())
    }

    /// What the gateway says it wants to be the first span.
    pub(crate) fn set_base(&mut self, base: Duration) {
        self.base = base.min(self.most);
    }

    /// Begins anew, once things went well for a while.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_double_up_to_the_most_and_begin_anew() {
        let (base, most) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(base, most);
        let mut longest = Duration::ZERO;
        for failures in 0..100 {
            let wait = backoff.wait(None);
            assert!(wait <= most.min(base * (1 << failures.min(16))), "{failures}: {wait:?}");
            longest = longest.max(wait);
        }
        assert!(longest > base * 4, "a hundred draws never went far: {longest:?}");
        backoff.reset();
        assert!(backoff.wait(None) <= base);
        let asked = Duration::from_secs(9);
        assert!(backoff.wait(Some(asked)) >= asked);
    }
}
