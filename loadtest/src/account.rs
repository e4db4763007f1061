//! From what the generator found out to the figures of a document. Sums are kept until the last, so that several
//! repetitions can be added up.

use std::collections::BTreeMap;

use crate::{
    engine::{Few, Outcome, Sums},
    ledger,
    relay::Strain,
    results::{
        Connecting, Cpu, CpuSource, Exactly, Generator, LedgerBytes, Measures, Memory, Pattern, Resume,
        SocketBytes, Transport, Wire,
    },
    stats::Latencies,
    watch::{Kernel, Seen},
};

/// Fewer samples than that say nothing of how processor time was split.
const TICKS: u64 = 20;

/// What one run, or several of the same cell, added up to.
#[derive(Clone, Debug)]
pub struct Account {
    /// What was done.
    pub transport: Transport,
    /// What was done.
    pub pattern: Pattern,
    /// Where processor time comes from.
    pub source: Option<CpuSource>,
    seconds: f64,
    looked_seconds: f64,
    published: u64,
    subscribers: u64,
    exactly: Exactly,
    latency: Latencies,
    exchange: Latencies,
    connecting: Latencies,
    resuming: Latencies,
    broken: u64,
    opening: u64,
    connect_cpu_ns: Option<u64>,
    wire: Sums,
    wire_seconds: f64,
    arrived: u64,
    cpu: Option<Seen>,
    memory: Option<[Seen; 2]>,
    rss_peak: u64,
    kernel: Kernel,
    few: Option<Few>,
    /// How the generator fared.
    pub generator: Generator,
    ledger: Result<LedgerBytes, String>,
    /// How many runs.
    runs: u64,
}

impl Account {
    /// Of one run. `ledger` is what the server booked, or why that is not known.
    pub fn new(
        (transport, pattern): (Transport, Pattern),
        source: Option<CpuSource>,
        outcome: Outcome,
        ledger: Result<LedgerBytes, String>,
        strain: Option<Strain>,
    ) -> (Self, Vec<crate::results::Point>) {
        let [first, last] = outcome.looks.map(crate::watch::Look::seen);
        let less = |now: Option<u64>, before: Option<u64>| now.zip(before).map(|(a, b)| a.saturating_sub(b));
        let cpu = first.zip(last).map(|(before, now)| Seen {
            cpu_ns: now.cpu_ns.saturating_sub(before.cpu_ns),
            user_ns: less(now.user_ns, before.user_ns),
            kernel_ns: less(now.kernel_ns, before.kernel_ns),
            waited_ns: less(now.waited_ns, before.waited_ns),
            rss_bytes: now.rss_bytes,
        });
        let mut generator = outcome.generator;
        if let Some(strain) = strain {
            let time = outcome.looked_seconds * 1e9;
            generator.relay_cpu_share = strain.cpu_ns as f64 / time;
            generator.waited_share += strain.waited_ns as f64 / time;
            generator.relay_lag_p99_ms = strain.lag.at(0.99).unwrap_or(0.0);
        }
        let peak = outcome.series.iter().filter_map(|point| point.rss_bytes).max();
        let memory = outcome.seen[0].zip(outcome.seen[1]).map(|(before, connected)| [before, connected]);
        let account = Self {
            transport,
            pattern,
            source,
            seconds: outcome.seconds,
            looked_seconds: outcome.looked_seconds,
            published: outcome.published,
            subscribers: outcome.exactly.established,
            exactly: outcome.exactly,
            latency: outcome.latency,
            exchange: outcome.exchange,
            connecting: outcome.connecting,
            resuming: outcome.resuming,
            broken: outcome.broken,
            opening: outcome.opening.in_bytes + outcome.opening.out_bytes,
            connect_cpu_ns: outcome.connect_cpu_ns,
            wire: outcome.wire,
            wire_seconds: outcome.wire_seconds,
            arrived: outcome.arrived,
            rss_peak: peak.or(cpu.and_then(|cpu| cpu.rss_bytes)).unwrap_or(0),
            cpu,
            memory,
            kernel: outcome.kernel[1],
            few: outcome.few,
            generator,
            ledger,
            runs: 1,
        };
        (account, outcome.series)
    }

    /// Adds another run of the same cell. Memory is that of the first.
    pub fn add(&mut self, other: &Self) {
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b);
        self.seconds += other.seconds;
        self.looked_seconds += other.looked_seconds;
        self.published += other.published;
        let Exactly { established, expected, delivered, missed, duplicated, out_of_order, gaps } =
            other.exactly;
        self.exactly.established = self.exactly.established.min(established);
        self.exactly.expected += expected;
        self.exactly.delivered += delivered;
        self.exactly.missed += missed;
        self.exactly.duplicated += duplicated;
        self.exactly.out_of_order += out_of_order;
        self.exactly.gaps += gaps;
        self.latency.merge(&other.latency);
        self.exchange.merge(&other.exchange);
        self.connecting.merge(&other.connecting);
        self.resuming.merge(&other.resuming);
        self.broken += other.broken;
        self.opening += other.opening;
        self.connect_cpu_ns = sum(self.connect_cpu_ns, other.connect_cpu_ns);
        self.wire = self.wire + other.wire;
        self.wire_seconds += other.wire_seconds;
        self.arrived += other.arrived;
        self.cpu = self.cpu.zip(other.cpu).map(|(a, b)| Seen {
            cpu_ns: a.cpu_ns + b.cpu_ns,
            user_ns: sum(a.user_ns, b.user_ns),
            kernel_ns: sum(a.kernel_ns, b.kernel_ns),
            waited_ns: sum(a.waited_ns, b.waited_ns),
            rss_bytes: a.rss_bytes.max(b.rss_bytes),
        });
        self.rss_peak = self.rss_peak.max(other.rss_peak);
        self.ledger = match (&self.ledger, &other.ledger) {
            (Ok(a), Ok(b)) => Ok(ledger::plus(a, b)),
            (Err(why), _) | (_, Err(why)) => Err(why.clone()),
        };
        self.generator = worse(&self.generator, &other.generator);
        self.runs += other.runs;
    }

    /// The figures.
    pub fn measures(&self) -> Measures {
        let mut not_measured = BTreeMap::new();
        let mut missing = |name: &str, why: &str| {
            not_measured.insert(name.to_owned(), why.to_owned());
        };
        let latency = self.latency.distribution();
        if latency.is_none() {
            let idle = self.pattern == Pattern::Idle;
            missing("latency", if idle { "nothing was published" } else { "nothing was delivered" });
        }
        let exchange = self.exchange.distribution();
        if exchange.is_none() {
            let streams = self.transport.streams();
            missing(
                "exchange",
                if streams { "a stream is one exchange" } else { "no exchange ended in the window" },
            );
        }
        let cpu = self.processor();
        match (&cpu, self.source) {
            (None, None) => {
                missing("cpu", "the server is not a process of this load test, and has no metrics");
            }
            (None, Some(_)) => missing("cpu", "the server could not be looked at"),
            (Some(cpu), _) if cpu.user_ns.is_none() => {
                missing(
                    "cpu.user_ns",
                    "too little processor time for the kernel's samples to tell how it was split",
                );
            }
            _ => {}
        }
        let memory = self.memory();
        match &memory {
            None => missing("memory", "the server could not be looked at"),
            Some(memory) if memory.rss_bytes_per_connection.is_none() => {
                missing(
                    "memory.rss_bytes_per_connection",
                    "fewer than 500 subscribers do not stand out of the noise",
                );
            }
            _ => {}
        }
        let connecting = self.connecting();
        if connecting.is_none() {
            missing("connecting", "the server says nothing before the first event");
        }
        if self.broken == 0 {
            missing("resume", "no connection was broken");
        }
        let wire = self.wire();
        if let Err(why) = &self.ledger {
            missing("wire.ledger", why);
        }
        Measures {
            seconds: self.seconds,
            published: self.published,
            exactly: self.exactly,
            latency,
            exchange,
            cpu,
            memory,
            wire,
            connecting,
            resume: (self.broken > 0).then(|| Resume {
                broken: self.broken,
                resumed: self.resuming.count(),
                time: self.resuming.distribution(),
            }),
            generator: self.generator.clone(),
            not_measured,
        }
    }

    fn processor(&self) -> Option<Cpu> {
        let (seen, source) = (self.cpu?, self.source?);
        let per = |ns: u64| (self.arrived > 0).then(|| ns as f64 / self.arrived as f64);
        // The split is sampled, the sum is exact: the samples say in which parts the sum falls.
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        let split = seen.user_ns.zip(seen.kernel_ns).filter(|(user, kernel)| user + kernel >= TICKS * tick);
        let user = split.map(|(user, kernel)| {
            let share = user as f64 / (user + kernel) as f64;
            (seen.cpu_ns as f64 * share) as u64
        });
        let kernel = user.map(|user| seen.cpu_ns - user);
        let users = (self.subscribers.max(1) as f64) * self.looked_seconds;
        Some(Cpu {
            source,
            total_ns: seen.cpu_ns,
            user_ns: user,
            kernel_ns: kernel,
            deliveries: self.arrived,
            total_ns_per_delivery: per(seen.cpu_ns),
            user_ns_per_delivery: user.and_then(per),
            kernel_ns_per_delivery: kernel.and_then(per),
            total_ns_per_subscriber_second: seen.cpu_ns as f64 / users,
            waited_ns: seen.waited_ns,
        })
    }

    fn memory(&self) -> Option<Memory> {
        let [before, connected] = self.memory?;
        let (before, connected) = (before.rss_bytes?, connected.rss_bytes?);
        let each = |of: &dyn Fn(&Few) -> Option<u64>, now: u64| {
            let few = self.few.as_ref()?;
            let others = self.subscribers.saturating_sub(few.subscribers as u64).max(1);
            Some(now.saturating_sub(of(few)?) as f64 / others as f64)
        };
        Some(Memory {
            rss_before_bytes: before,
            rss_connected_bytes: connected,
            rss_peak_bytes: self.rss_peak.max(connected),
            rss_bytes_per_connection: each(&|few| few.seen?.rss_bytes, connected),
            socket_buffer_bytes_per_connection: each(
                &|few| Some(few.kernel.buffers_bytes),
                self.kernel.buffers_bytes,
            ),
            socket_slab_bytes_per_connection: each(
                &|few| Some(few.kernel.slab_bytes),
                self.kernel.slab_bytes,
            ),
        })
    }

    fn connecting(&self) -> Option<Connecting> {
        let count = (self.subscribers * self.runs).max(1) as f64;
        Some(Connecting {
            time: self.connecting.distribution()?,
            cpu_ns_per_connection: self.connect_cpu_ns.map(|ns| ns as f64 / self.runs as f64),
            bytes_per_connection: self.opening as f64 / count,
        })
    }

    fn wire(&self) -> Wire {
        let Sums { in_bytes, out_bytes, requests, empty, deliveries } = self.wire;
        let per = |sum: u64| (deliveries > 0).then(|| sum as f64 / deliveries as f64);
        let users = self.subscribers.max(1) as f64 * self.wire_seconds;
        let ledger = self.ledger.clone().ok();
        let agree = ledger.as_ref().map(|ledger| {
            ledger::agree(in_bytes, ledger.inward.sum()) && ledger::agree(out_bytes, ledger.out.sum())
        });
        Wire {
            seconds: self.wire_seconds,
            deliveries,
            requests,
            requests_per_event: per(requests),
            empty,
            sockets: SocketBytes {
                in_bytes,
                out_bytes,
                bytes_per_delivery: per(in_bytes + out_bytes),
                bytes_per_subscriber_second: (in_bytes + out_bytes) as f64 / users,
            },
            ledger,
            agree,
        }
    }
}

/// The worse of each.
fn worse(a: &Generator, b: &Generator) -> Generator {
    Generator {
        cpu_share: a.cpu_share.max(b.cpu_share),
        relay_cpu_share: a.relay_cpu_share.max(b.relay_cpu_share),
        waited_share: a.waited_share.max(b.waited_share),
        publish_lag_p99_ms: a.publish_lag_p99_ms.max(b.publish_lag_p99_ms),
        publish_lag_max_ms: a.publish_lag_max_ms.max(b.publish_lag_max_ms),
        relay_lag_p99_ms: a.relay_lag_p99_ms.max(b.relay_lag_p99_ms),
        longest_turn_ms: a.longest_turn_ms.max(b.longest_turn_ms),
        errors: a.errors + b.errors,
        first_error: a.first_error.clone().or_else(|| b.first_error.clone()),
        stolen_share: a.stolen_share.max(b.stolen_share),
    }
}
