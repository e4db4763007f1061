//! How hard the generator has it: what its results are judged by.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use crate::{results::Generator, stats::Latencies};

/// The pressure on the generating thread.
#[derive(Debug)]
pub(super) struct Pressure {
    /// How late publishes left.
    lag: Latencies,
    longest_lag: u64,
    longest_turn: u64,
    before: Marks,
}

#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    at: u64,
    cpu: u64,
    waited: u64,
    stolen: u64,
}

impl Pressure {
    pub(super) fn new() -> Self {
        Self { lag: Latencies::default(), longest_lag: 0, longest_turn: 0, before: Marks::default() }
    }

    /// The window begins.
    pub(super) fn begin(&mut self, now: u64) {
        self.lag.clear();
        (self.longest_lag, self.longest_turn) = (0, 0);
        self.before = marks(now);
    }

    /// An event left that was due then.
    pub(super) fn published(&mut self, due: u64, now: u64) {
        let lag = now.saturating_sub(due);
        self.lag.record_ns(lag);
        self.longest_lag = self.longest_lag.max(lag);
    }

    /// From one look at the sockets to the next.
    pub(super) fn turned(&mut self, ns: u64) {
        self.longest_turn = self.longest_turn.max(ns);
    }

    /// The window ends.
    pub(super) fn end(&self, now: u64) -> Generator {
        let after = marks(now);
        let time = (now - self.before.at).max(1) as f64;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        Generator {
            cpu_share: (after.cpu - self.before.cpu) as f64 / time,
            waited_share: after.waited.saturating_sub(self.before.waited) as f64 / time,
            publish_lag_p99_ms: self.lag.at(0.99).unwrap_or(0.0),
            publish_lag_max_ms: self.longest_lag as f64 / 1e6,
            longest_turn_ms: self.longest_turn as f64 / 1e6,
            stolen_share: after.stolen.saturating_sub(self.before.stolen) as f64 / time / cores,
            ..Generator::default()
        }
    }
}

fn marks(at: u64) -> Marks {
    Marks { at, cpu: thread_cpu(), waited: thread_waited(), stolen: stolen() }
}

/// Processor time of the calling thread, in nanoseconds.
pub(crate) fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How long the calling thread was ready to run and had no core, in nanoseconds.
pub(crate) fn thread_waited() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What hypervisors took away from all cores, in nanoseconds, to 10 ms.
fn stolen() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: u64 = line.split_whitespace().nth(8).and_then(|number| number.parse().ok()).unwrap_or(0);
    ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}
