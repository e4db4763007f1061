//! The window in which events are measured, and its steps.

use std::time::Duration;

use crate::{results::Point, stats::Latencies};

use super::tally::{Sums, Tally};

/// The window: events belong to it, and to one of its steps, by their intended time.
#[derive(Debug)]
pub(super) struct Window {
    /// Its begin, in nanoseconds since the generator's.
    pub(super) from: u64,
    /// Its end.
    pub(super) to: u64,
    step: u64,
    steps: Vec<Step>,
    /// How many are over.
    over: usize,
    before: Sums,
    cpu_before: Option<u64>,
    /// From an event's intended time to its receipt.
    pub(super) latency: Latencies,
    /// From a request to its whole answer, of those that were answered in the window.
    pub(super) exchange: Latencies,
}

#[derive(Debug)]
struct Step {
    published: u64,
    latency: Latencies,
    sums: Sums,
    cpu_ns: Option<u64>,
    rss_bytes: Option<u64>,
    connections: u64,
}

impl Window {
    /// One that nothing falls into yet.
    pub(super) fn new(step: Duration) -> Self {
        Self {
            from: u64::MAX,
            to: u64::MAX,
            step: (step.as_nanos() as u64).max(1),
            steps: Vec::new(),
            over: 0,
            before: Sums::default(),
            cpu_before: None,
            latency: Latencies::default(),
            exchange: Latencies::default(),
        }
    }

    /// Sets when it is.
    pub(super) fn set(&mut self, from: u64, time: Duration) {
        let length = time.as_nanos() as u64;
        let count = (length as f64 / self.step as f64).round().max(1.0) as u64;
        self.from = from;
        self.to = from + count * self.step;
        let step = || Step {
            published: 0,
            // Two digits: a step's percentiles are for intervals and plots.
            latency: Latencies::with_digits(2),
            sums: Sums::default(),
            cpu_ns: None,
            rss_bytes: None,
            connections: 0,
        };
        self.steps = (0..count).map(|_| step()).collect();
    }

    /// When the next step ends: the time to call [`Window::ended`].
    pub(super) fn next(&self) -> u64 {
        if self.over < self.steps.len() { self.from + (self.over as u64 + 1) * self.step } else { u64::MAX }
    }

    /// It begins.
    pub(super) fn begin(&mut self, sums: Sums, cpu: Option<u64>) {
        (self.before, self.cpu_before) = (sums, cpu);
    }

    /// A step is over.
    pub(super) fn ended(&mut self, tally: &Tally, cpu: Option<u64>, rss: Option<u64>) {
        let sums = tally.sums();
        if let Some(step) = self.steps.get_mut(self.over) {
            step.sums = sums - self.before;
            step.cpu_ns = cpu.zip(self.cpu_before).map(|(now, before)| now.saturating_sub(before));
            step.rss_bytes = rss;
            step.connections = tally.connections;
        }
        self.over += 1;
        (self.before, self.cpu_before) = (sums, cpu);
    }

    fn step(&mut self, due: u64) -> Option<&mut Step> {
        let since = due.checked_sub(self.from)?;
        self.steps.get_mut((since / self.step) as usize)
    }

    /// An event was published that was due then.
    pub(super) fn published(&mut self, due: u64) {
        if let Some(step) = self.step(due) {
            step.published += 1;
        }
    }

    /// An event that was due then was delivered now.
    pub(super) fn delivered(&mut self, due: u64, now: u64) {
        let time = now.saturating_sub(due);
        let Some(step) = self.step(due) else { return };
        step.latency.record_ns(time);
        self.latency.record_ns(time);
    }

    /// A request was answered.
    pub(super) fn exchange(&mut self, asked: u64, now: u64) {
        if (self.from..self.to).contains(&now) {
            self.exchange.record_ns(now.saturating_sub(asked));
        }
    }

    /// Events whose time lies in it.
    pub(super) fn events(&self) -> u64 {
        self.steps.iter().map(|step| step.published).sum()
    }

    /// Its length, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1e9
    }

    /// What happened in it.
    pub(super) fn series(&self) -> Vec<Point> {
        let seconds = self.step as f64 / 1e9;
        let point = |(n, step): (usize, &Step)| Point {
            at_s: n as f64 * seconds,
            seconds,
            published: step.published,
            delivered: step.latency.count(),
            arrived: step.sums.deliveries,
            latency_p50_ms: step.latency.at(0.5),
            latency_p99_ms: step.latency.at(0.99),
            latency_max_ms: step.latency.at(1.0),
            cpu_ns: step.cpu_ns,
            rss_bytes: step.rss_bytes,
            in_bytes: step.sums.in_bytes,
            out_bytes: step.sums.out_bytes,
            requests: step.sums.requests,
            connections: step.connections,
        };
        self.steps.iter().enumerate().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_belongs_where_it_was_due() {
        let mut window = Window::new(Duration::from_millis(250));
        window.delivered(5, 9);
        assert_eq!(window.latency.count(), 0, "there is no window yet");
        window.set(1_000_000_000, Duration::from_secs(1));
        assert_eq!(window.to, 2_000_000_000);
        for due in [999_999_999, 1_000_000_000, 1_249_999_999, 1_250_000_000, 1_999_999_999, 2_000_000_000] {
            window.published(due);
            // It came long after the window was over, and counts all the same.
            window.delivered(due, 5_000_000_000);
        }
        let series = window.series();
        assert_eq!(series.iter().map(|point| point.published).collect::<Vec<_>>(), [2, 1, 0, 1]);
        assert_eq!(series.iter().map(|point| point.delivered).collect::<Vec<_>>(), [2, 1, 0, 1]);
        assert_eq!((window.events(), window.latency.count()), (4, 4));
        assert!(window.latency.at(1.0) > Some(3900.0), "latency counts from the intended time");
    }
}
