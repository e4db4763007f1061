//! How many connections there are, in all and from one address, and what became of each.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::Notify, time::Instant};

use super::told::Tally;
use crate::{
    config::Config,
    error::Code,
    ledger::Meter,
    metrics::{Metrics, Path},
    transport,
};

/// Connections beyond the limit that are accepted all the same, so that they can be told why they are
/// refused. What comes on top of those is closed without a word.
const REFUSALS: usize = 256;

/// The connections of a server.
#[derive(Debug)]
pub(crate) struct Connections {
    counts: Mutex<Counts>,
    max: usize,
    max_per_address: usize,
    none: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    crowded: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place among them, given back when the socket closes.
#[derive(Debug)]
pub(crate) struct Permit {
    connections: Arc<Connections>,
    peer: SocketAddr,
    crowded: Option<Code>,
    load: Option<Gauge>,
    pub(crate) figures: Figures,
}

/// What a connection came to, for the line that is logged at its end.
#[derive(Debug)]
pub(crate) struct Figures {
    number: u64,
    began: Instant,
    pub(crate) requests: u32,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// Events that it was sent but for those of the tally.
    pub(crate) events: u64,
    /// Where those are counted that hyper sends.
    tally: Option<Tally>,
    pub(crate) taken: bool,
    /// Where among the transports its last request's is, if that was for one.
    transport: Option<u8>,
    /// Whether its last request published.
    publishes: bool,
    /// How often a publisher's next request was another than was expected.
    pub(crate) misses: u8,
    pub(crate) end: End,
    /// What it carries of the ledger.
    pub(crate) meter: Meter,
    /// What its last request was called by the client, or by a proxy before us.
    pub(crate) request_id: Option<Box<Box<str>>>,
}

/// After so many a publisher's requests are not expected to be alike.
const MISSES: u8 = 3;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// All was said, or the peer left.
    #[default]
    Closed,
    /// The peer took nothing for too long.
    Stalled,
    /// The socket failed: a reset, mostly.
    Failed,
}

impl Connections {
    pub(crate) fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        Self {
            counts: Mutex::default(),
            max: config.max_connections,
            max_per_address: config.max_connections_per_address,
            none: Notify::new(),
            metrics,
        }
    }

    /// A place for a connection, if need be one that only serves to be refused.
    pub(crate) fn admit(self: &Arc<Self>, peer: SocketAddr) -> Option<Permit> {
        let address = peer.ip();
        let mut counts = self.counts();
        let from_address = counts.by_address.get(&address).copied().unwrap_or_default();
        let crowded = match counts.all - counts.crowded >= self.max {
            true => Some(Code::Unavailable),
            false => (from_address >= self.max_per_address).then_some(Code::TooManyRequests),
        };
        if crowded.is_some() {
            if counts.crowded >= REFUSALS {
                self.metrics.dropped.inc();
                return None;
            }
            counts.crowded += 1;
        }
        counts.all += 1;
        *counts.by_address.entry(address).or_default() += 1;
        self.metrics.connections.inc();
        let figures = Figures {
            number: self.metrics.accepted.inc() + 1,
            began: Instant::now(),
            requests: 0,
            received: 0,
            sent: 0,
            events: 0,
            tally: None,
            taken: false,
            transport: None,
            publishes: false,
            misses: 0,
            end: End::default(),
            meter: Meter::default(),
            request_id: None,
        };
        Some(Permit { connections: self.clone(), peer, crowded, load: None, figures })
    }

    pub(crate) fn len(&self) -> usize {
        self.counts().all
    }

    /// Waits until there is no connection.
    pub(crate) async fn ended(&self) {
        loop {
            let none = self.none.notified();
            if self.len() == 0 {
                return;
            }
            none.await;
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().expect("nothing panics while it holds the lock")
    }
}

impl Permit {
    /// Why the connection is one too many, if it is.
    pub(crate) fn crowded(&self) -> Option<Code> {
        self.crowded
    }

    /// Where everything is counted, and what the connection came to.
    pub(crate) fn parts(&mut self) -> (&Metrics, &mut Figures) {
        (&self.connections.metrics, &mut self.figures)
    }

    /// Counts the connection among those of a core.
    pub(crate) fn load_on(&mut self, load: Gauge) {
        load.inc();
        self.load = Some(load);
    }
}

impl Figures {
    /// Where it is told what hyper sends.
    pub(crate) fn tally(&mut self) -> &Tally {
        self.tally.get_or_insert_default()
    }

    /// hyper sends nothing more: what it sent is added up.
    pub(crate) fn leave_hyper(&mut self) {
        self.events = self.delivered();
        self.tally = None;
    }

    fn delivered(&self) -> u64 {
        self.events + self.tally.as_ref().map_or(0, Tally::events)
    }

    /// Notes a request: the path that it asks for, and what it is called. Whether it is over the same transport as
    /// the last.
    pub(crate) fn request(&mut self, path: &str, id: Option<&str>) -> bool {
        self.requests = self.requests.saturating_add(1);
        let name = path.rsplit('/').next().unwrap_or_default();
        let transport = transport::ALL.iter().position(|known| known.name() == name);
        let transport = transport.map(|at| at as u8);
        let publishes = name == "publish";
        let again = (transport.is_some() && transport == self.transport)
            || (publishes && self.publishes && self.misses < MISSES);
        self.transport = transport;
        self.publishes = publishes;
        self.request_id = id.map(|id| Box::new(id.into()));
        again
    }

    fn log(&self, peer: SocketAddr) {
        let path = if self.taken { Path::Taken } else { Path::Hosted };
        tracing::info!(
            target: "fanlight::connection",
            connection = self.number,
            %peer,
            transport = self.transport.map(|at| transport::ALL[usize::from(at)].name()),
            path = path.as_str(),
            requests = self.requests,
            events = self.delivered(),
            received = self.received,
            sent = self.sent,
            seconds = (self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            end = match self.end {
                End::Closed => "closed",
                End::Stalled => "stalled",
                End::Failed => "failed",
            },
            request_id = self.request_id.as_ref().map(|id| &***id),
            "connection ended"
        );
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.figures.log(self.peer);
        self.connections.metrics.connections.dec();
        if let Some(load) = &self.load {
            load.dec();
        }
        let mut counts = self.connections.counts();
        counts.all -= 1;
        counts.crowded -= usize::from(self.crowded.is_some());
        if let Some(from_address) = counts.by_address.get_mut(&self.peer.ip()) {
            *from_address -= 1;
            if *from_address == 0 {
                counts.by_address.remove(&self.peer.ip());
            }
        }
        if counts.all == 0 {
            self.connections.none.notify_waiters();
        }
    }
}
