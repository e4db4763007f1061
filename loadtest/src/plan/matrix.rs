//! A matrix of a plan, and the cells that it stands for.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{OneOrMany, Server, Time};
use crate::{
    engine::Load,
    relay::Shape,
    results::{Pattern, Purpose, Transport},
};

/// How often a cell may be run.
const REPEAT: std::ops::RangeInclusive<usize> = 1..=1000;

/// Values that are combined with each other. What is left out is as in the comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matrix {
    /// Servers by name; all, if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<OneOrMany<String>>,
    /// Transports; all that the server has, if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<OneOrMany<Transport>>,
    /// Patterns of load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<OneOrMany<Pattern>>,
    /// How many subscribers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<OneOrMany<usize>>,
    /// Events a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<OneOrMany<f64>>,
    /// Events at once (burst).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<OneOrMany<usize>>,
    /// Bytes of data in each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<OneOrMany<usize>>,
    /// From the begin of a poll to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_interval: Option<OneOrMany<Time>>,
    /// Silence before a heartbeat that streams ask for, where the adapter knows how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Time>,
    /// How long long polls ask to be held, where the adapter knows how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longpoll_timeout: Option<Time>,
    /// The round-trip time that the relay adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<OneOrMany<Time>>,
    /// Towards the client, kbit/s for each connection; 0 is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_kbps: Option<OneOrMany<f64>>,
    /// Towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_kbps: Option<OneOrMany<f64>>,
    /// Topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<OneOrMany<usize>>,
    /// Share of subscribers that do not read (slow), or are opened anew each second (churn).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// How long it is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// How long it is not, before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<Time>,
    /// How often. Repetitions of different cells take turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<usize>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
}

/// A cell to measure.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The server's name in the plan.
    pub server: String,
    /// What it is for.
    pub purpose: Purpose,
    /// The how-manyeth run for the noise floor; 0 for all others.
    pub again: usize,
    /// How often.
    pub repeat: usize,
    /// What to do.
    pub load: Load,
    /// What the relay does.
    pub shape: Shape,
}

impl Spec {
    /// What tells it from all others of its plan, readably.
    pub fn id(&self) -> String {
        let load = &self.load;
        let mut id = format!("{}/{}", self.server, load.transport.name());
        if load.transport == Transport::Poll {
            id += &format!(" every {}", humantime::format_duration(load.poll_interval));
        }
        id += &match load.pattern {
            Pattern::Steady => format!(" {} × {}/s", load.subscribers, load.rate),
            Pattern::Burst => format!(" {} × {}/s in bursts of {}", load.subscribers, load.rate, load.burst),
            Pattern::Idle => format!(" {} idle", load.subscribers),
            Pattern::Storm => format!(" {} × {}/s, reconnect storm", load.subscribers, load.rate),
            Pattern::Slow => format!(" {} × {}/s, {} slow", load.subscribers, load.rate, percent(load.share)),
            Pattern::Churn => {
                format!(" {} × {}/s, {}/s renewed", load.subscribers, load.rate, percent(load.share))
            }
        };
        if load.pattern != Pattern::Idle {
            id += &format!(" {} B", load.payload);
        }
        if load.topics > 1 {
            id += &format!(" on {} topics", load.topics);
        }
        if !self.shape.rtt.is_zero() {
            id += &format!(" rtt {} ms", self.shape.rtt.as_secs_f64() * 1000.0);
        }
        if self.shape.down > 0.0 || self.shape.up > 0.0 {
            id += &format!(" {}/{} kbit/s", self.shape.down / 1000.0, self.shape.up / 1000.0);
        }
        if self.again > 0 {
            id += &format!(", A/A {}", self.again);
        }
        id
    }
}

impl Spec {
    /// About how long one run of it takes.
    pub fn estimate(&self) -> Duration {
        let load = &self.load;
        let polls = if load.transport == Transport::Poll { load.poll_interval * 2 } else { Duration::ZERO };
        load.warm_up + load.time + polls + load.rtt * 6 + Duration::from_millis(300)
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}

impl Matrix {
    /// Its cells.
    ///
    /// # Errors
    /// If it names a server or a transport that is not there, or is to be run too often or not at all.
    pub fn specs(&self, servers: &BTreeMap<String, Server>) -> Result<Vec<Spec>, String> {
        let base = Load::new(Transport::Sse);
        let repeat = self.repeat.unwrap_or(1);
        if !REPEAT.contains(&repeat) {
            return Err(format!("`repeat` has to be between {} and {}", REPEAT.start(), REPEAT.end()));
        }
        let named = self.server.as_ref().map_or_else(|| servers.keys().cloned().collect(), OneOrMany::list);
        let mut specs = Vec::new();
        for server in named {
            let held =
                servers.get(&server).ok_or_else(|| format!("there is no server `{server}` in the plan"))?;
            let adapter = held.adapter(&server)?;
            let transports = match &self.transport {
                Some(transports) => transports.list(),
                None => adapter.subscribe.keys().copied().collect(),
            };
            for transport in transports {
                adapter.ready(transport, "", "").map_err(|error| format!("server `{server}`: {error}"))?;
                let load = Load { transport, ..base.clone() };
                specs.push(Spec {
                    server: server.clone(),
                    purpose: self.purpose.unwrap_or(Purpose::Compare),
                    again: 0,
                    repeat,
                    load,
                    shape: Shape::default(),
                });
            }
        }
        let time = |time: &Time| time.0;
        for spec in &mut specs {
            spec.load.time = self.time.as_ref().map_or(base.time, time);
            spec.load.warm_up = self.warm_up.as_ref().map_or(base.warm_up, time);
            spec.load.heartbeat = self.heartbeat.as_ref().map(time);
            spec.load.longpoll_timeout = self.longpoll_timeout.as_ref().map(time);
            spec.load.share = self.share.unwrap_or(base.share);
        }
        let specs = each(specs, &self.rtt, |spec, rtt| (spec.shape.rtt, spec.load.rtt) = (rtt.0, rtt.0));
        let specs = each(specs, &self.pattern, |spec, pattern| spec.load.pattern = pattern);
        let specs = each(specs, &self.subscribers, |spec, subscribers| spec.load.subscribers = subscribers);
        let specs = each(specs, &self.rate, |spec, rate| spec.load.rate = rate);
        let specs = each(specs, &self.burst, |spec, burst| spec.load.burst = burst);
        let specs = each(specs, &self.payload, |spec, payload| spec.load.payload = payload);
        let specs = each(specs, &self.topics, |spec, topics| spec.load.topics = topics);
        let specs = each(specs, &self.poll_interval, |spec, interval| spec.load.poll_interval = interval.0);
        let specs = each(specs, &self.down_kbps, |spec, kbps| spec.shape.down = kbps * 1000.0);
        Ok(each(specs, &self.up_kbps, |spec, kbps| spec.shape.up = kbps * 1000.0))
    }
}

/// Each of `specs` with each of the values; values vary slower than what was there.
fn each<T: Clone>(specs: Vec<Spec>, values: &Option<OneOrMany<T>>, set: impl Fn(&mut Spec, T)) -> Vec<Spec> {
    let Some(values) = values else { return specs };
    let with = |value: &T| {
        let mut specs = specs.clone();
        specs.iter_mut().for_each(|spec| set(spec, value.clone()));
        specs
    };
    values.list().iter().flat_map(with).collect()
}
