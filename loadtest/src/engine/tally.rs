//! What is counted over all subscribers.

use crate::stats::Latencies;

/// Sums since the begin.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Bytes that subscribers sent.
    pub(super) in_bytes: u64,
    /// Bytes that they received.
    pub(super) out_bytes: u64,
    /// Requests and handshakes.
    pub(super) requests: u64,
    /// Exchanges that brought no event.
    pub(super) empty: u64,
    /// Deliveries, each once.
    pub(super) deliveries: u64,
    /// Gaps that were told.
    pub(super) gaps: u64,
    /// Connections that are open.
    pub(super) connections: u64,
    /// Errors of sockets, and refusals.
    pub(super) errors: u64,
    /// The first of them.
    pub(super) first_error: Option<String>,
    /// Connections that had an answer.
    pub(super) connected: u64,
    /// How long that took.
    pub(super) connecting: Latencies,
    /// Connections that were broken on purpose.
    pub(super) broken: u64,
    /// How long until an event came again.
    pub(super) resuming: Latencies,
}

/// The sums that differences are taken of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) in_bytes: u64,
    pub(crate) out_bytes: u64,
    pub(crate) requests: u64,
    pub(crate) empty: u64,
    pub(crate) deliveries: u64,
}

impl Tally {
    pub(super) fn sums(&self) -> Sums {
        let Self { in_bytes, out_bytes, requests, empty, deliveries, .. } = *self;
        Sums { in_bytes, out_bytes, requests, empty, deliveries }
    }

    pub(super) fn connected(&mut self, ns: u64) {
        self.connected += 1;
        self.connecting.record_ns(ns);
    }

    pub(super) fn resumed(&mut self, ns: u64) {
        self.resuming.record_ns(ns);
    }

    pub(super) fn error(&mut self, text: impl Into<String>) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| text.into());
    }
}

impl std::ops::Sub for Sums {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            in_bytes: self.in_bytes - before.in_bytes,
            out_bytes: self.out_bytes - before.out_bytes,
            requests: self.requests - before.requests,
            empty: self.empty - before.empty,
            deliveries: self.deliveries - before.deliveries,
        }
    }
}

impl std::ops::Add for Sums {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            in_bytes: self.in_bytes + other.in_bytes,
            out_bytes: self.out_bytes + other.out_bytes,
            requests: self.requests + other.requests,
            empty: self.empty + other.empty,
            deliveries: self.deliveries + other.deliveries,
        }
    }
}
