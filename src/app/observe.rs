//! What operators look at: `/metrics` and `/v1/stats`.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response, header},
    response::IntoResponse,
};
use serde_json::{Map, Value, json};

use super::{App, request};
use crate::{
    delivery::{
        audit::Audit,
        census::{Census, Listeners},
        hub::Hub,
        taken::Door,
    },
    error::Problem,
    fields::Fields,
    ledger::Client,
    metrics::{Metrics, OPEN_METRICS, PLAIN, Path},
    topic::{Pattern, Topic},
    transport,
};

/// Rates are of so many seconds.
const WINDOW: usize = 10;
/// Topics that are told where the request does not say.
const TOPICS: usize = 100;
/// Topics that are told at most.
const MAX_TOPICS: usize = 10_000;

/// `/metrics`, in the format that is asked for.
pub(super) async fn metrics(State(app): State<App>, headers: HeaderMap) -> impl IntoResponse {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let wants_open = accepted.into_iter().any(|line| line.contains("application/openmetrics-text"));
    let metrics = app.gateway.metrics();
    let (media_type, body) =
        if wants_open { (OPEN_METRICS, metrics.open_metrics()) } else { (PLAIN, metrics.plain()) };
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-store")], body)
}

/// `/v1/stats`: who listens to what, and how much flows.
pub(super) async fn stats(State(app): State<App>, request: Request) -> Result<Response<Body>, Problem> {
    request::accepts(request.headers(), "application/json")?;
    let mut fields =
        Fields::split("stats", &["topic", "limit"], [request.uri().query().unwrap_or_default(), ""])?;
    let wanted = fields.take_all("topic");
    let wanted: Vec<Pattern> = wanted
        .iter()
        .map(|text| {
            Pattern::parse(text).map_err(|error| Problem::invalid("topic", format!("{text:?}: {error}")))
        })
        .collect::<Result<_, _>>()?;
    let limit = match fields.take("limit").map(|limit| limit.parse::<usize>()) {
        None => TOPICS,
        Some(Ok(limit)) if limit <= MAX_TOPICS => limit,
        Some(_) => return Err(Problem::invalid("limit", format!("it must be a number up to {MAX_TOPICS}"))),
    };

    let gateway = &app.gateway;
    let mut topics = gateway.0.watch.census().await.ranked();
    topics.retain(|(name, _)| wanted.is_empty() || wanted.iter().any(|wanted| wanted.as_str() == &**name));
    let in_all = topics.len();
    let topics: Vec<Value> =
        topics.into_iter().take(limit).map(|(name, listeners)| topic(&name, listeners)).collect();
    let metrics = gateway.metrics();
    let (held, rates) = (gateway.bus().held(), gateway.0.watch.rates());
    let head = gateway.bus().head();
    let transports: Map<String, Value> = transport::ALL
        .iter()
        .enumerate()
        .map(|(at, transport)| {
            let flow = |path| metrics.flows.of(transport.name(), path);
            let told = json!({
                "subscribers": {
                    "taken": flow(Path::Taken).subscribers.get(),
                    "hosted": flow(Path::Hosted).subscribers.get(),
                },
                "deliveries": Path::ALL.iter().map(|path| flow(*path).deliveries.get()).sum::<u64>(),
                "deliveries_per_second": rates.deliveries[at],
            });
            (transport.name().to_owned(), told)
        })
        .collect();
    let stats = json!({
        "uptime_seconds": gateway.0.publisher.now().as_secs(),
        "connections": metrics.connections.get(),
        "stalled": metrics.stalled.get(),
        "events": { "published": metrics.events.get(), "per_second": rates.events },
        "log": {
            "cursor": head.to_string(),
            "events": held.events,
            "topics": held.topics,
            "bytes": held.bytes,
        },
        "transports": transports,
        "topics": { "count": in_all, "listed": topics },
    });
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, stats.to_string()).into_response())
}

fn topic(name: &str, listeners: Listeners) -> Value {
    let by_transport: Map<String, Value> = transport::ALL
        .iter()
        .zip(listeners)
        .filter(|(_, count)| *count > 0)
        .map(|(transport, count)| (transport.name().to_owned(), count.into()))
        .collect();
    json!({ "topic": name, "subscribers": listeners.iter().sum::<u64>(), "by_transport": by_transport })
}

/// What looks at a gateway from outside its cores: they are asked who is there, and how much flows is noted
/// once a second.
#[derive(Debug, Default)]
pub(super) struct Watch {
    cores: Mutex<Vec<(Arc<Hub>, Option<Door>)>>,
    samples: Mutex<VecDeque<Sample>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at: Duration,
    events: u64,
    deliveries: Listeners,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    events: f64,
    deliveries: [f64; transport::ALL.len()],
}

impl Watch {
    /// Notes a core, which has a door if connections are taken there.
    pub(super) fn core(&self, hub: Arc<Hub>, door: Option<Door>) {
        locked(&self.cores).push((hub, door));
    }

    async fn census(&self) -> Census {
        let cores = locked(&self.cores).clone();
        let mut census = Census::default();
        for (hub, door) in cores {
            census.add(hub.census());
            if let Some(door) = door {
                census.add(door.census().await);
            }
        }
        census
    }

    /// Asks every core about accounts; see [`Audit`].
    pub(super) async fn audit(&self, clients: &Arc<[(Arc<Client>, Topic)]>, settles: bool) -> Vec<bool> {
        let cores = locked(&self.cores).clone();
        let mut listened = vec![false; clients.len()];
        for (hub, door) in cores {
            for ((_, topic), listened) in clients.iter().zip(&mut listened) {
                *listened |= hub.is_listened_to(topic);
            }
            let Some(door) = door else { continue };
            let (audit, answer) = Audit::new(clients.clone(), settles);
            door.audit(audit);
            // A core that has ended has nobody.
            let answer = answer.await.unwrap_or_default();
            listened.iter_mut().zip(answer).for_each(|(listened, there)| *listened |= there);
        }
        listened
    }

    /// Notes how much has flowed.
    pub(super) fn sample(&self, at: Duration, metrics: &Metrics) {
        let deliveries = transport::ALL.map(|transport| {
            Path::ALL.iter().map(|path| metrics.flows.of(transport.name(), *path).deliveries.get()).sum()
        });
        let mut samples = locked(&self.samples);
        if samples.len() > WINDOW {
            samples.pop_front();
        }
        samples.push_back(Sample { at, events: metrics.events.get(), deliveries });
    }

    fn rates(&self) -> Rates {
        let samples = locked(&self.samples);
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return Rates::default() };
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let rate = |from: u64, to: u64| match seconds > 0.0 {
            true => ((to - from) as f64 / seconds * 10.0).round() / 10.0,
            false => 0.0,
        };
        let mut deliveries = [0.0; transport::ALL.len()];
        for (at, rated) in deliveries.iter_mut().enumerate() {
            *rated = rate(first.deliveries[at], last.deliveries[at]);
        }
        Rates { events: rate(first.events, last.events), deliveries }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds the lock")
}
