//! From cells to coefficients.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Cost, Load, Model, Part, Range, Technique, Term,
    checking::{check, errors},
    drivers::{Drivers, HEARTBEAT, LONGPOLL_TIMEOUT, staleness},
};
use crate::{
    report::fit::{self, Row},
    results::{Cell, Metric, Pattern, Purpose, Results, Transport},
};

const FULL: &[Term] = &[Term::Full];
const FRAMING: &[Term] = &[Term::Full, Term::Event];
/// What bytes come of: not of a publish that others share.
const BYTES: &[Term] = &[Term::Full, Term::Empty, Term::Event, Term::PayloadByte, Term::Beat];
const CPU: &[Term] = &Term::ALL;
const CPU_BUT_PUBLISH: &[Term] = &[Term::Full, Term::Empty, Term::Event, Term::PayloadByte, Term::Beat];
const CPU_WITH_PUBLISH: &[Term] =
    &[Term::Full, Term::Empty, Term::Event, Term::PayloadByte, Term::Beat, Term::Publish];
const REQUESTS: &[Term] = &[Term::Full, Term::Empty];

/// The kinds of the ledger, and what each can depend on.
const KINDS: [(&str, &[Term]); 7] = [
    ("payload", &[Term::PayloadByte]),
    ("envelope", &[Term::Event]),
    ("framing", FRAMING),
    ("heads", FULL),
    ("empty", &[Term::Empty]),
    ("heartbeats", &[Term::Beat]),
    ("controls", &[Term::Full, Term::Beat]),
];

/// How the costs of a server's cells are taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anatomy {
    ledger: bool,
    tcp: bool,
    cpu: bool,
    /// What a publish costs the server, once that is known: the same whatever carries the event on.
    publish: Option<f64>,
}

/// The model of a server; `None` where no valid cell of it can be fitted.
pub(crate) fn build(results: &Results, server: &str) -> Option<Model> {
    let usable: Vec<&Cell> =
        results.cells.iter().filter(|cell| cell.server == server && usable(cell)).collect();
    let (held_out, fitted): (Vec<&Cell>, Vec<&Cell>) =
        usable.iter().copied().partition(|cell| cell.purpose == Purpose::Check);
    if fitted.is_empty() {
        return None;
    }
    let anatomy = Anatomy {
        ledger: usable.iter().all(|cell| cell.total.wire.ledger.is_some()),
        tcp: usable
            .iter()
            .all(|cell| cell.total.wire.ledger.as_ref().is_some_and(|ledger| ledger.tcp.is_some())),
        cpu: usable.iter().all(|cell| cell.total.cpu.is_some()),
        publish: None,
    };
    let anatomy = Anatomy { publish: Some(publish(&fitted, anatomy)), ..anatomy };
    let mut notes = anatomy.notes();
    let mut techniques = BTreeMap::new();
    let mut checks = Vec::new();
    for transport in Transport::ALL {
        let (fitted, held_out) = (over(transport, &fitted), over(transport, &held_out));
        if fitted.is_empty() {
            continue;
        }
        let mut technique = technique(transport, &fitted, anatomy);
        let checked = check(transport, &technique, &fitted, &held_out, anatomy);
        technique.errors = errors(&checked);
        checks.extend(checked);
        notes.extend(assumptions(transport, &fitted));
        techniques.insert(transport, technique);
    }
    let range = range(&usable);
    if let Some((least, most)) = range.sharing
        && least == most
    {
        notes.push(format!(
            "Each event went to {least} subscribers everywhere: what a publish costs could not be told from what an event costs. Maps of server CPU are for that number."
        ));
    }
    let measured = results.cells.iter().filter(|cell| cell.server == server);
    let missing: BTreeSet<Transport> =
        measured.map(|cell| cell.transport).filter(|transport| !techniques.contains_key(transport)).collect();
    let noise = |metric| results.noise.as_ref().and_then(|noise| noise.of(metric)).unwrap_or(0.0);
    Some(Model {
        server: server.to_owned(),
        techniques,
        checks,
        floors: [
            (Cost::Bytes, noise(Metric::BytesPerDelivery)),
            (Cost::Cpu, noise(Metric::CpuPerDelivery)),
            (Cost::Requests, 0.0),
        ]
        .into(),
        notes,
        range,
        missing,
    })
}

/// What a publish costs the server: the median of what the transports' own fits say. One of them alone is easily
/// wrong, since what few subscribers share is much like what each of them costs.
fn publish(fitted: &[&Cell], anatomy: Anatomy) -> f64 {
    let own = |transport| {
        let cells = Some(over(transport, fitted)).filter(|cells| !cells.is_empty())?;
        let coefficients = technique(transport, &cells, anatomy).coefficients(Cost::Cpu)?;
        Some(coefficients[Term::Publish as usize])
    };
    median(Transport::ALL.into_iter().filter_map(own).collect())
}

fn over<'a>(transport: Transport, cells: &[&'a Cell]) -> Vec<&'a Cell> {
    cells.iter().copied().filter(|cell| cell.transport == transport).collect()
}

/// Whether a cell says what a subscriber costs while nothing unusual happens.
fn usable(cell: &Cell) -> bool {
    cell.validity.valid && matches!(cell.pattern, Pattern::Steady | Pattern::Idle) && cell.subscribers > 0
}

impl Anatomy {
    fn notes(self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.ledger {
            notes.push(
                "The server keeps no ledger: bytes are those of the load test's own sockets, in one sum."
                    .into(),
            );
        }
        if !self.tcp {
            notes.push(
                "TCP/IP's own bytes are not in the model, since they were not measured everywhere.".into(),
            );
        }
        if !self.cpu {
            notes.push("There is no map of server CPU, since it was not measured everywhere.".into());
        }
        notes
    }
}

/// Fits all costs of a transport.
pub(super) fn technique(transport: Transport, cells: &[&Cell], anatomy: Anatomy) -> Technique {
    let mut parts = BTreeMap::new();
    let fit_part = |name, terms: &'static [Term], cost, of: &dyn Fn(&Cell) -> f64| {
        let row = |cell: &&Cell| {
            let drivers = drivers(transport, cell, cost);
            let values = terms.iter().map(|term| drivers.of_term(*term)).collect();
            // A kind that is a thousandth of the whole need not be right to a percent of itself.
            Row::relative(values, of(cell), measured(cell, cost, anatomy).unwrap_or(0.0) * 0.005)
        };
        Part { name, terms, coefficients: fit::fit(&cells.iter().map(row).collect::<Vec<_>>()) }
    };
    let mut bytes = Vec::new();
    if anatomy.ledger {
        for (name, terms) in KINDS {
            bytes.push(fit_part(name, terms, Cost::Bytes, &|cell| kind(cell, name)));
        }
    } else {
        bytes.push(fit_part("HTTP and WebSocket", BYTES, Cost::Bytes, &sockets));
    }
    if anatomy.tcp {
        bytes.push(fit_part("TCP/IP", BYTES, Cost::Bytes, &tcp));
    }
    parts.insert(Cost::Bytes, bytes);
    if anatomy.cpu {
        let cpu = |cell: &Cell| measured(cell, Cost::Cpu, anatomy).unwrap_or(0.0);
        let part = match anatomy.publish {
            None => fit_part("server CPU", CPU, Cost::Cpu, &cpu),
            Some(each) => {
                let rest =
                    |cell: &Cell| (cpu(cell) - each * drivers(transport, cell, Cost::Cpu).publishes).max(0.0);
                let part = fit_part("server CPU", CPU_BUT_PUBLISH, Cost::Cpu, &rest);
                let coefficients = part.coefficients.into_iter().chain([each]).collect();
                Part { terms: CPU_WITH_PUBLISH, coefficients, ..part }
            }
        };
        parts.insert(Cost::Cpu, vec![part]);
    }
    let requests = |cell: &Cell| measured(cell, Cost::Requests, anatomy).unwrap_or(0.0);
    parts.insert(Cost::Requests, vec![fit_part("requests", REQUESTS, Cost::Requests, &requests)]);
    if asks(transport) && never_empty(cells) {
        assume_empty(&mut parts);
    }
    let extras = cells.iter().filter_map(|cell| {
        let p99 = cell.total.latency.as_ref()?.at(super::QUANTILE)? / 1e3;
        Some((p99 - staleness(transport, &load(cell))).max(0.0))
    });
    Technique { parts, extra: median(extras.collect()), cells: cells.len(), errors: BTreeMap::new() }
}

/// Where no answer was empty, an empty one is taken to cost what a full one does without its events.
fn assume_empty(parts: &mut BTreeMap<Cost, Vec<Part>>) {
    let coefficient = |part: &Part, term| {
        part.terms.iter().position(|t| *t == term).map_or(0.0, |index| part.coefficients[index])
    };
    let heads = parts[&Cost::Bytes]
        .iter()
        .find(|part| part.name == "heads")
        .map_or(0.0, |part| coefficient(part, Term::Full));
    for part in parts.values_mut().flatten() {
        let full = if part.name == "empty" { heads } else { coefficient(part, Term::Full) };
        if let Some(index) = part.terms.iter().position(|term| *term == Term::Empty) {
            part.coefficients[index] = full;
        }
    }
}

fn assumptions(transport: Transport, cells: &[&Cell]) -> Vec<String> {
    let name = transport.name();
    if asks(transport) {
        let note = format!(
            "No {name} came back empty while measured; its empty answers are taken to cost what a full one costs without its events."
        );
        return if never_empty(cells) { vec![note] } else { Vec::new() };
    }
    if cells.iter().all(|cell| drivers(transport, cell, Cost::Bytes).beats == 0.0) {
        return vec![format!("No heartbeat of {name} fell into what was measured; the model has none.")];
    }
    Vec::new()
}

fn asks(transport: Transport) -> bool {
    !transport.streams()
}

fn never_empty(cells: &[&Cell]) -> bool {
    cells.iter().all(|cell| cell.total.wire.empty == 0)
}

/// The load of a cell as it was planned.
pub(super) fn load(cell: &Cell) -> Load {
    let topics = cell.topics.max(1) as f64;
    Load {
        rate: if cell.pattern == Pattern::Idle { 0.0 } else { cell.rate / topics },
        interval: cell.poll_interval_s.unwrap_or(0.0),
        heartbeat: cell.heartbeat_s.unwrap_or(HEARTBEAT),
        timeout: cell.longpoll_timeout_s.unwrap_or(LONGPOLL_TIMEOUT),
        rtt: cell.rtt_ms / 1e3,
        payload: cell.payload_bytes as f64,
        sharing: cell.subscribers as f64 / topics,
    }
}

/// What drove a cost. The bytes' interval is longer than the window and holds parts without load, so its rate is that
/// of what was delivered in it.
pub(super) fn drivers(transport: Transport, cell: &Cell, cost: Cost) -> Drivers {
    let planned = load(cell);
    let mut load = planned;
    if cost != Cost::Cpu {
        load.rate = per_subscriber_second(cell, cell.total.wire.deliveries as f64);
    }
    let mut drivers = Drivers::of(transport, &load);
    if cell.pattern == Pattern::Idle {
        // Silence began before the interval, a little earlier for each connection: so many fit into it.
        let seconds = if cost == Cost::Cpu { cell.total.seconds } else { cell.total.wire.seconds };
        let fit_in =
            |every: f64| if seconds > 0.0 { (seconds / every + 0.02).floor() / seconds } else { 0.0 };
        drivers.beats = if transport.streams() { fit_in(load.heartbeat) } else { 0.0 };
        if transport == Transport::Longpoll {
            drivers.empty = fit_in(load.timeout);
        }
    }
    if asks(transport) && cell.total.wire.empty == 0 {
        drivers.empty = 0.0;
    }
    drivers
}

/// What a cell measured of a cost, per subscriber and second.
pub(super) fn measured(cell: &Cell, cost: Cost, anatomy: Anatomy) -> Option<f64> {
    match cost {
        Cost::Bytes => Some(sockets(cell) + if anatomy.tcp { tcp(cell) } else { 0.0 }),
        Cost::Cpu => cell.total.cpu.map(|cpu| cpu.total_ns_per_subscriber_second / 1e9),
        Cost::Requests => Some(per_subscriber_second(cell, cell.total.wire.requests as f64)),
    }
}

fn sockets(cell: &Cell) -> f64 {
    let sockets = cell.total.wire.sockets;
    per_subscriber_second(cell, (sockets.in_bytes + sockets.out_bytes) as f64)
}

fn tcp(cell: &Cell) -> f64 {
    let segments = cell.total.wire.ledger.as_ref().and_then(|ledger| ledger.tcp).unwrap_or_default();
    per_subscriber_second(cell, (segments.bytes_in + segments.bytes_out) as f64)
}

fn kind(cell: &Cell, name: &str) -> f64 {
    let Some(ledger) = &cell.total.wire.ledger else { return 0.0 };
    let both = ledger.inward.list().into_iter().chain(ledger.out.list());
    let bytes: u64 = both.filter(|(kind, _)| *kind == name).map(|(_, bytes)| bytes).sum();
    per_subscriber_second(cell, bytes as f64)
}

fn per_subscriber_second(cell: &Cell, total: f64) -> f64 {
    let seconds = cell.total.wire.seconds;
    if seconds > 0.0 { total / seconds / cell.subscribers as f64 } else { 0.0 }
}

fn range(cells: &[&Cell]) -> Range {
    let busy = cells.iter().filter(|cell| cell.pattern != Pattern::Idle).map(|cell| load(cell));
    let span = busy.clone().map(|load| load.sharing);
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    busy.for_each(|load| *counts.entry(load.payload as u64).or_default() += 1);
    let usual = counts.into_iter().max_by_key(|(bytes, count)| (*count, std::cmp::Reverse(*bytes)));
    Range {
        sharing: span.fold(None, |range, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((f64::min(low, value), f64::max(high, value)))
        }),
        usual_payload: usual.map_or(0.0, |(bytes, _)| bytes as f64),
    }
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
