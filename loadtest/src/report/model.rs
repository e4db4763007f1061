//! The run's own cost model: what a subscriber costs in a second, by transport, as a function of how often its topic
//! changes, how it polls, how far away it is, and how large its events are.
//!
//! Each cost is a sum of physical terms ([`Term`]): so much per request that brought something, per empty answer, per
//! event, per byte of payload, per publish that the subscribers share, per heartbeat. Merely to be there costs nothing. The
//! coefficients are fitted to the run's cells ([`fitting`]), kind by kind where the server keeps a ledger, and the
//! predictions are held against cells that the fit has not seen ([`checking`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::results::Transport;

mod checking;
mod drivers;
mod fitting;

pub(crate) use self::{
    checking::{Check, Error},
    drivers::{Drivers, HEARTBEAT, LONGPOLL_TIMEOUT, Load, Term, staleness},
    fitting::build,
};

/// The quantile at which a tolerated staleness has to be met.
pub(crate) const QUANTILE: f64 = 0.99;

/// What is paid for, per subscriber and second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cost {
    /// Bytes on the wire, both directions; TCP/IP's own where the server knows them.
    Bytes,
    /// The server's processor time, in seconds.
    Cpu,
    /// Requests.
    Requests,
}

impl Cost {
    /// In the order of the report.
    pub(crate) const ALL: [Self; 3] = [Self::Bytes, Self::Cpu, Self::Requests];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Cpu => "server CPU",
            Self::Requests => "requests",
        }
    }

    /// For ids and classes.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Cpu => "cpu",
            Self::Requests => "requests",
        }
    }
}

/// One summand of a cost: a ledger kind, or the whole.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) terms: &'static [Term],
    pub(crate) coefficients: Vec<f64>,
}

/// What is known of one transport.
#[derive(Clone, Debug)]
pub(crate) struct Technique {
    /// The summands of each cost; a cost that was not measured is not there.
    pub(crate) parts: BTreeMap<Cost, Vec<Part>>,
    /// What server, relay and client add to the staleness that follows from the round-trip time alone, in seconds.
    pub(crate) extra: f64,
    /// Cells that were fitted.
    pub(crate) cells: usize,
    /// How wrong its predictions were where they could be checked.
    pub(crate) errors: BTreeMap<Cost, Error>,
}

/// The model of one server.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) server: String,
    pub(crate) techniques: BTreeMap<Transport, Technique>,
    /// Predictions beside measurements that the fit had not seen.
    pub(crate) checks: Vec<Check>,
    /// Differences below this share are noise, by cost.
    pub(crate) floors: BTreeMap<Cost, f64>,
    /// What was taken for granted, in sentences.
    pub(crate) notes: Vec<String>,
    /// What was measured.
    pub(crate) range: Range,
    /// Transports that were measured, but of which no cell can be used.
    pub(crate) missing: BTreeSet<Transport>,
}

/// The conditions under which cells with events were measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    /// Subscribers that each event went to, least and most.
    pub(crate) sharing: Option<(f64, f64)>,
    /// The payload of most cells, in bytes.
    pub(crate) usual_payload: f64,
}

impl Technique {
    /// What each term costs in all, in the order of [`Term::ALL`]; `None` where the cost was not measured.
    pub(crate) fn coefficients(&self, cost: Cost) -> Option<[f64; Term::ALL.len()]> {
        let parts = self.parts.get(&cost)?;
        let each = || parts.iter().flat_map(|part| part.terms.iter().zip(&part.coefficients));
        Some(
            Term::ALL.map(|term| {
                each().filter(|(own, _)| **own == term).map(|(_, coefficient)| coefficient).sum()
            }),
        )
    }
}

/// The load that keeps [`QUANTILE`] of the events younger than `tolerated` when they are shown, or `None` where the
/// transport cannot. What polls, polls as rarely as that allows. `extra` is the transport's [`Technique::extra`].
pub(crate) fn within(transport: Transport, extra: f64, tolerated: f64, load: &Load) -> Option<Load> {
    let left = tolerated - extra - staleness(transport, &Load { interval: 0.0, ..*load });
    if left < 0.0 {
        return None;
    }
    if transport != Transport::Poll {
        return Some(*load);
    }
    let interval = left / QUANTILE;
    // One poll at a time: the next cannot leave before the last is answered.
    (interval > 0.0 && interval >= load.rtt + extra).then_some(Load { interval, ..*load })
}

impl Model {
    /// Two predictions nearer to each other than this share cannot be told apart.
    pub(crate) fn tolerance(&self, a: Transport, b: Transport, cost: Cost) -> f64 {
        let floor = self.floors.get(&cost).copied().unwrap_or(0.0);
        let error =
            |transport| self.techniques.get(&transport).and_then(|technique| technique.errors.get(&cost));
        let error = |transport| error(transport).map_or(f64::INFINITY, |error| error.relative);
        floor.max(error(a)).max(error(b))
    }
}
