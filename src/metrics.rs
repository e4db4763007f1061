//! What the gateway counts of itself, for `/metrics` and `/v1/stats`.
//!
//! Everything here is cheap enough to be counted always: where deliveries are many, their core counts them for
//! itself and hands over sums.

mod collect;
mod flow;
mod latency;

use std::sync::Arc;

use prometheus_client::{
    encoding::{EncodeLabelSet, prometheus_text, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};

pub use self::{
    flow::{Flow, Flows, Path},
    latency::Latency,
};
use crate::{
    bus::{
        Bus,
        reader::{Batch, Reason},
    },
    error::{self, Code},
    ledger::Ledger,
};

/// The media type of [`Metrics::open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of [`Metrics::plain`].
pub const PLAIN: &str = prometheus_text::CONTENT_TYPE;

/// What the gateway counts of itself.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// By transport and path.
    pub flows: Flows,
    /// What every byte was for.
    pub ledger: Ledger,
    /// Connections that are open.
    pub connections: Gauge,
    cores: Family<Core, Gauge>,
    /// Connections that were accepted.
    pub accepted: Counter,
    /// Connections that were closed without a word, since there were too many even to refuse them.
    pub dropped: Counter,
    /// Events that were published.
    pub events: Counter,
    /// Bytes of their documents.
    pub event_bytes: Counter,
    /// From the arrival of a publish to its answer.
    pub publishing: Latency,
    /// Connections that take nothing at present.
    pub stalled: Gauge,
    /// Connections that were cut because they took nothing for too long.
    pub cut: Counter,
    /// Lines of the lab.
    pub lines: Gauge,
    refusals: Family<Problem, Counter>,
    gaps: Family<Because, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Core {
    core: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Problem {
    problem: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Because {
    reason: &'static str,
}

impl Metrics {
    /// Counts from nothing. Of the bus it says what it holds.
    pub fn new(bus: &Arc<Bus>) -> Self {
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("fanlight");
        own.register("build", "What runs here", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let flows = Flows::new(own);
        let ledger = Ledger::new(own);

        let connections = Gauge::default();
        own.register("connections", "Connections that are open", connections.clone());
        let cores = Family::default();
        own.register("core_connections", "Connections that are open, by core", cores.clone());
        let accepted = Counter::default();
        own.register("connections_accepted", "Connections that were accepted", accepted.clone());
        let dropped = Counter::default();
        let about = "Connections closed without a word: too many even to be refused";
        own.register("connections_dropped", about, dropped.clone());
        let stalled = Gauge::default();
        own.register("stalled", "Connections that take nothing at present", stalled.clone());
        let cut = Counter::default();
        let about = "Connections that were cut because they took nothing for too long";
        own.register("stalled_cut", about, cut.clone());
        let lines = Gauge::default();
        own.register("lab_lines", "Lines of the lab", lines.clone());

        let events = Counter::default();
        own.register("events", "Events that were published", events.clone());
        let event_bytes = Counter::default();
        own.register_with_unit("event", "Documents of the events", Unit::Bytes, event_bytes.clone());
        let publishing = Latency::default();
        let about = "From the arrival of a publish to its answer";
        own.register_with_unit("publish", about, Unit::Seconds, publishing.clone());
        own.register_collector(Box::new(collect::Held(bus.clone())));

        let refusals: Family<Problem, Counter> = Family::default();
        own.register("refusals", "Requests and operations that got a problem", refusals.clone());
        for code in error::ALL {
            drop(refusals.get_or_create(&Problem { problem: code.kind().word }));
        }
        let gaps: Family<Because, Counter> = Family::default();
        own.register("gaps", "Gaps that subscribers were told of", gaps.clone());
        for reason in [Reason::Evicted, Reason::Restarted, Reason::Overrun, Reason::Unknown] {
            drop(gaps.get_or_create(&Because { reason: reason.as_str() }));
        }
        registry.register_collector(Box::new(collect::Process));
        Self {
            registry,
            flows,
            ledger,
            connections,
            cores,
            accepted,
            dropped,
            events,
            event_bytes,
            publishing,
            stalled,
            cut,
            lines,
            refusals,
            gaps,
        }
    }

    /// The connections of one core.
    pub fn core(&self, number: usize) -> Gauge {
        self.cores.get_or_create(&Core { core: number as u32 }).clone()
    }

    /// Counts a refusal.
    pub fn refused(&self, code: Code) {
        self.refusals.get_or_create(&Problem { problem: code.kind().word }).inc();
    }

    /// Counts what so many subscribers are sent.
    pub fn delivered(&self, transport: &str, path: Path, batch: &Batch, subscribers: u64) {
        let events = batch.events.len() as u64;
        self.flows.of(transport, path).deliveries.inc_by(events * subscribers);
        if let Some(gap) = &batch.gap {
            self.gaps.get_or_create(&Because { reason: gap.reason.as_str() }).inc_by(subscribers);
        }
    }

    /// Everything, as [`OPEN_METRICS`].
    pub fn open_metrics(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a String takes every character");
        out
    }

    /// Everything, as [`PLAIN`], which whatever reads metrics understands.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        prometheus_text::encode(&mut out, &self.registry).expect("a String takes every character");
        out
    }
}
