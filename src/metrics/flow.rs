//! What flows to subscribers, by transport and by the path that it takes.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::Latency;
use crate::transport;

/// Which of the two ways a connection is delivered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The socket left hyper.
    Taken,
    /// hyper has the connection.
    Hosted,
}

impl Path {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Taken, Self::Hosted];

    /// The metrics' label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Hosted => "hosted",
        }
    }
}

/// What flows over one transport on one path.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// Who listens at present.
    pub subscribers: Gauge,
    /// Subscriptions that began at a cursor. A poll is no subscription that begins.
    pub resumes: Counter,
    /// Events that were sent.
    pub deliveries: Counter,
}

/// What flows, and how fast.
#[derive(Debug)]
pub struct Flows {
    flows: [[Flow; 2]; transport::ALL.len()],
    bytes: [[Counter; 2]; 2],
    lag: [Latency; 2],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    transport: &'static str,
    path: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Towards {
    direction: &'static str,
    path: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct On {
    path: &'static str,
}

impl Flows {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let subscribers = Family::<Of, Gauge>::default();
        registry.register("subscribers", "Who listens at present", subscribers.clone());
        let resumes = Family::<Of, Counter>::default();
        let about = "Subscriptions that began at a cursor (polls, which always do, are not counted)";
        registry.register("resumes", about, resumes.clone());
        let deliveries = Family::<Of, Counter>::default();
        registry.register("deliveries", "Events that were sent", deliveries.clone());
        let flows = transport::ALL.map(|transport| {
            Path::ALL.map(|path| {
                let of = Of { transport: transport.name(), path: path.as_str() };
                Flow {
                    subscribers: subscribers.get_or_create(&of).clone(),
                    resumes: resumes.get_or_create(&of).clone(),
                    deliveries: deliveries.get_or_create(&of).clone(),
                }
            })
        });
        let bytes = Family::<Towards, Counter>::default();
        registry.register_with_unit("socket", "What went over sockets", Unit::Bytes, bytes.clone());
        let bytes = ["in", "out"].map(|direction| {
            Path::ALL.map(|path| bytes.get_or_create(&Towards { direction, path: path.as_str() }).clone())
        });
        let lag = Family::<On, Latency>::default();
        let about = "From a publish to the write that sent it to a subscriber who had everything before";
        registry.register_with_unit("fanout_lag", about, Unit::Seconds, lag.clone());
        let lag = Path::ALL.map(|path| lag.get_or_create(&On { path: path.as_str() }).clone());
        Self { flows, bytes, lag }
    }

    /// What flows over a transport on a path.
    pub fn of(&self, transport: &str, path: Path) -> &Flow {
        let at = transport::ALL.iter().position(|known| known.name() == transport);
        &self.flows[at.expect("one of the transports")][path as usize]
    }

    /// Bytes that came in.
    pub fn received(&self, path: Path) -> &Counter {
        &self.bytes[0][path as usize]
    }

    /// Bytes that went out.
    pub fn sent(&self, path: Path) -> &Counter {
        &self.bytes[1][path as usize]
    }

    /// From a publish to the write that sent it.
    pub fn lag(&self, path: Path) -> &Latency {
        &self.lag[path as usize]
    }
}
