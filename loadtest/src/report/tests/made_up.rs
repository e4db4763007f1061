//! A run that nobody measured, for tests only: large, with everything that a report can have to show, and costs that
//! follow a law that the tests know.

use crate::{
    report::model::{Drivers, Load, staleness},
    results::{
        Cell, Comparison, Distribution, Estimate, Estimates, Exactly, Kinds, LedgerBytes, Memory, Metric,
        Pattern, Percentile, Point, Purpose, Repetition, Results, Resume, Segments, Server, Transport,
        Validity, Verdict,
    },
    sample::{self, Shape},
};

/// What things cost under the law, in bytes and in seconds of the server's processor.
pub(super) const HEADS: (f64, f64) = (118.0, 182.0);
pub(super) const EMPTY: (f64, f64) = (118.0, 123.0);
pub(super) const ENVELOPE: f64 = 104.0;
pub(super) const SEGMENT: f64 = 52.0;
pub(super) const CPU_REQUEST: f64 = 9.5e-6;
pub(super) const CPU_EMPTY: f64 = 7.0e-6;
pub(super) const CPU_EVENT: f64 = 5.2e-6;
pub(super) const CPU_BYTE: f64 = 0.4e-9;
pub(super) const CPU_PUBLISH: f64 = 31e-6;
pub(super) const CPU_BEAT: f64 = 6.1e-6;

/// Bytes of framing per event (streams) or per answer, and of a heartbeat.
pub(super) fn framing(transport: Transport) -> (f64, f64) {
    match transport {
        Transport::Poll | Transport::Longpoll => (52.0, 0.0),
        Transport::Chunked => (8.0, 54.0),
        Transport::Sse => (35.0, 96.0),
        Transport::Websocket => (4.0, 51.0),
    }
}

/// One cell's conditions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) server: &'static str,
    pub(super) transport: Transport,
    pub(super) purpose: Purpose,
    pub(super) pattern: Pattern,
    pub(super) subscribers: usize,
    pub(super) rate: f64,
    pub(super) payload: usize,
    pub(super) interval: f64,
    pub(super) rtt_ms: f64,
    /// Everything costs so many times as much.
    pub(super) dearer: f64,
}

pub(super) const SPEC: Spec = Spec {
    server: "fanlight",
    transport: Transport::Sse,
    purpose: Purpose::Compare,
    pattern: Pattern::Steady,
    subscribers: 200,
    rate: 10.0,
    payload: 200,
    interval: 1.0,
    rtt_ms: 0.0,
    dearer: 1.0,
};

/// A number between −1 and 1 that depends on its arguments alone.
fn ripple(a: f64, b: f64) -> f64 {
    let x = (a * 12.9898 + b * 78.233).sin() * 43_758.545;
    (x - x.floor()) * 2.0 - 1.0
}

/// The whole run.
pub(super) fn run() -> Results {
    let mut specs = Vec::new();
    for rtt_ms in [0.0, 40.0, 200.0] {
        specs.extend(Transport::ALL.map(|transport| Spec { transport, rtt_ms, ..SPEC }));
    }
    specs.extend(Transport::ALL.map(|transport| Spec {
        transport,
        rate: 0.0,
        pattern: Pattern::Idle,
        subscribers: 2000,
        interval: 5.0,
        ..SPEC
    }));
    let storm = [Transport::Longpoll, Transport::Sse, Transport::Websocket];
    specs.extend(storm.map(|transport| Spec {
        transport,
        pattern: Pattern::Storm,
        subscribers: 1000,
        ..SPEC
    }));
    let rivals = [
        ("nchan", Transport::Longpoll, 1.9),
        ("nchan", Transport::Sse, 1.45),
        ("nchan", Transport::Websocket, 1.35),
        ("socketio", Transport::Websocket, 2.5),
    ];
    specs.extend(rivals.map(|(server, transport, dearer)| Spec {
        server,
        transport,
        dearer,
        rtt_ms: 40.0,
        ..SPEC
    }));
    specs.extend(Transport::ALL.into_iter().flat_map(|transport| points(Spec { transport, ..SPEC })));
    specs.push(Spec { purpose: Purpose::Noise, ..SPEC });
    let mut cells: Vec<Cell> = specs.into_iter().map(cell).collect();
    let spoiled = cells
        .iter_mut()
        .find(|cell| cell.transport == Transport::Longpoll && cell.rtt_ms == 200.0)
        .expect("it is there");
    spoil(spoiled);
    let mut results = sample::results();
    results.comparisons = comparisons(&cells);
    results.cells = cells;
    let invalid = results.cells.iter().filter(|cell| !cell.validity.valid);
    let reasons = invalid.map(|cell| format!("{}: {}", cell.id, cell.validity.reasons.join(" "))).collect();
    results.validity = Validity::new(reasons, Vec::new());
    results.manifest.title = "A run that nobody measured".into();
    results.manifest.command = "loadtest --plan made-up.toml".into();
    let server = |name: &str| Server {
        name: name.into(),
        own: true,
        command: format!("{name} …"),
        version: Some("1.0".into()),
        clock: None,
    };
    results.manifest.servers.extend([server("nchan"), server("socketio")]);
    results
}

/// Points to fit the model, and two to check it.
pub(super) fn points(spec: Spec) -> Vec<Spec> {
    let mut specs = Vec::new();
    for (rate, interval, payload, subscribers, rtt_ms, purpose) in [
        (1.0, 0.25, 200, 200, 0.0, Purpose::Fit),
        (20.0, 2.0, 200, 200, 40.0, Purpose::Fit),
        (2.0, 0.2, 1000, 50, 0.0, Purpose::Fit),
        (0.5, 5.0, 200, 400, 0.0, Purpose::Fit),
        (5.0, 0.5, 500, 200, 40.0, Purpose::Check),
        (8.0, 0.1, 200, 100, 0.0, Purpose::Check),
    ] {
        specs.push(Spec { purpose, rate, interval, payload, subscribers, rtt_ms, ..spec });
    }
    specs
}

/// The load of a spec.
pub(super) fn load(spec: Spec) -> Load {
    Load {
        rate: spec.rate,
        interval: spec.interval,
        heartbeat: if spec.pattern == Pattern::Idle { 5.0 } else { 15.0 },
        timeout: if spec.pattern == Pattern::Idle { 2.0 } else { 25.0 },
        rtt: spec.rtt_ms / 1e3,
        payload: spec.payload as f64,
        sharing: spec.subscribers as f64,
    }
}

/// Processor seconds per subscriber and second, by the law.
pub(super) fn cpu(spec: Spec) -> f64 {
    let d = Drivers::of(spec.transport, &load(spec));
    let sum = d.full * CPU_REQUEST
        + d.empty * CPU_EMPTY
        + d.events * CPU_EVENT
        + d.payload * CPU_BYTE
        + d.publishes * CPU_PUBLISH;
    (sum + d.beats * CPU_BEAT) * spec.dearer
}

/// A cell that follows the law to a percent or two.
pub(super) fn cell(spec: Spec) -> Cell {
    let noise = |what: f64| {
        1.0 + 0.012
            * ripple(
                what + spec.rate + spec.payload as f64,
                spec.transport as u8 as f64 + spec.rtt_ms + spec.interval,
            )
    };
    exact(spec, noise)
}

/// A cell under the law, each figure times what `noise` says.
pub(super) fn exact(spec: Spec, noise: impl Fn(f64) -> f64) -> Cell {
    let Spec { transport, subscribers, rate, .. } = spec;
    let shape = Shape {
        transport,
        purpose: spec.purpose,
        subscribers,
        rate,
        interval: spec.interval,
        rtt_ms: spec.rtt_ms,
    };
    let mut cell = sample::cell(shape);
    cell.server = spec.server.into();
    cell.pattern = spec.pattern;
    cell.payload_bytes = spec.payload;
    if spec.pattern == Pattern::Idle {
        (cell.heartbeat_s, cell.longpoll_timeout_s) = (Some(5.0), Some(2.0));
    }
    let idle = spec.pattern == Pattern::Idle;
    cell.id = format!(
        "{}/{:?} {}",
        spec.server,
        spec.pattern,
        cell.id.split_once('/').expect("server/transport").1
    )
    .replace("200 B", &format!("{} B", spec.payload));
    if spec.purpose == Purpose::Noise {
        cell.id += ", again";
    }
    let seconds = 20.0;
    let users = subscribers as f64 * seconds;
    let drivers = Drivers::of(transport, &load(spec));
    let events = (drivers.events * users).round();
    let total = &mut cell.total;
    (total.seconds, total.published) = (seconds, (rate * seconds) as u64);
    total.latency = (!idle).then(|| latency(spec, events as u64));
    let mut processor = total.cpu.expect("the sample has it");
    let ns = cpu(spec) * noise(1.0) * users * 1e9;
    processor.total_ns = ns as u64;
    processor.deliveries = events as u64;
    let per = |share: f64| (!idle).then(|| ns * share / events);
    (processor.total_ns_per_delivery, processor.user_ns_per_delivery, processor.kernel_ns_per_delivery) =
        (per(1.0), per(0.13), per(0.87));
    processor.total_ns_per_subscriber_second = ns / users;
    total.cpu = Some(processor);
    total.memory = Some(Memory {
        rss_before_bytes: 5 << 20,
        rss_connected_bytes: (5 << 20) + 900 * subscribers as u64,
        rss_peak_bytes: 6 << 20,
        rss_bytes_per_connection: (subscribers >= 500)
            .then(|| 850.0 * noise(2.0) * spec.dearer + if transport.streams() { 0.0 } else { 240.0 }),
        socket_buffer_bytes_per_connection: Some(if transport.streams() { 0.0 } else { 310.0 }),
        socket_slab_bytes_per_connection: Some(5210.0 * noise(3.0)),
    });
    let bytes = |value: f64| (value * users) as u64;
    let (per_event, beat) = framing(transport);
    let polls = !transport.streams();
    let framing = if polls { drivers.full } else { drivers.events } * per_event;
    let inward = Kinds {
        heads: bytes(drivers.full * HEADS.0),
        empty: bytes(drivers.empty * EMPTY.0),
        ..Kinds::default()
    };
    let out = Kinds {
        heads: bytes(drivers.full * HEADS.1 * noise(4.0)),
        payload: bytes(drivers.payload),
        envelope: bytes(drivers.events * ENVELOPE * noise(5.0)),
        framing: bytes(framing),
        heartbeats: bytes(drivers.beats * beat),
        empty: bytes(drivers.empty * EMPTY.1),
        controls: 0,
    };
    let exchanges = drivers.full + drivers.empty;
    let writes = if polls { exchanges } else { drivers.events + drivers.beats };
    let segments = Segments {
        segments_in: bytes(writes),
        segments_out: bytes(writes),
        retransmits: 0,
        bytes_in: bytes(writes * SEGMENT),
        bytes_out: bytes(writes * SEGMENT),
    };
    let wire = &mut total.wire;
    (wire.seconds, wire.deliveries, wire.requests, wire.empty) =
        (seconds, events as u64, bytes(exchanges), bytes(drivers.empty));
    wire.requests_per_event = (!idle).then(|| exchanges / drivers.events);
    (wire.sockets.in_bytes, wire.sockets.out_bytes) = (inward.sum(), out.sum());
    let sum = (inward.sum() + out.sum()) as f64;
    (wire.sockets.bytes_per_delivery, wire.sockets.bytes_per_subscriber_second) =
        ((!idle).then(|| sum / events), sum / users);
    let fanlight = spec.server == "fanlight";
    wire.ledger = fanlight.then_some(LedgerBytes { inward, out, tcp: Some(segments) });
    wire.agree = fanlight.then_some(true);
    let due = events as u64;
    total.exactly =
        Exactly { established: subscribers as u64, expected: due, delivered: due, ..Exactly::default() };
    if spec.pattern == Pattern::Storm {
        total.resume = Some(Resume {
            broken: subscribers as u64,
            resumed: subscribers as u64,
            time: total.latency.clone(),
        });
    }
    let about = |value: Option<f64>, spread: f64| {
        value.map(|value| Estimate {
            value,
            low: value * (1.0 - spread),
            high: value * (1.0 + spread),
            samples: 20,
        })
    };
    cell.estimates = Estimates {
        latency_p50: about(total.latency.as_ref().and_then(|latency| latency.at(0.5)), 0.01),
        latency_p99: about(total.latency.as_ref().and_then(|latency| latency.at(0.99)), 0.06),
        cpu_per_delivery: about(processor.total_ns_per_delivery, 0.03),
        bytes_per_delivery: about(total.wire.sockets.bytes_per_delivery, 0.002),
    };
    cell.repetitions = vec![Repetition {
        at_s: 3.0,
        measures: cell.total.clone(),
        series: series(&cell),
        validity: cell.validity.clone(),
    }];
    cell
}

/// Waiting and distance, what the server takes, and a tail.
fn latency(spec: Spec, count: u64) -> Distribution {
    let load = load(spec);
    let even = |quantile: f64| {
        let least = staleness(spec.transport, &Load { interval: 0.0, ..load });
        let way = load.rtt / 2.0;
        let wait = match spec.transport {
            Transport::Poll => load.interval * quantile,
            _ => (least - way) * quantile,
        };
        let tail = 0.35e-3 * (-(1.0_f64 - quantile).max(1e-5).ln() / 4.0).powi(3);
        (way + wait + 0.25e-3 + 0.1e-3 * quantile + tail * (1.0 + spec.transport as u8 as f64 * 0.05)) * 1e3
    };
    let quantiles = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0];
    let percentiles: Vec<Percentile> =
        quantiles.iter().map(|quantile| Percentile { quantile: *quantile, ms: even(*quantile) }).collect();
    Distribution {
        count,
        min_ms: even(0.0),
        mean_ms: even(0.5) * 1.02,
        max_ms: even(1.0),
        percentiles,
        histogram: Vec::new(),
    }
}

fn series(cell: &Cell) -> Vec<Point> {
    let at = |quantile| cell.total.latency.as_ref().and_then(|latency| latency.at(quantile));
    let second = |n: u64| {
        let wave = 1.0 + 0.08 * ripple(n as f64, cell.transport as u8 as f64);
        let delivered = (cell.total.exactly.delivered as f64 / 20.0) as u64;
        Point {
            at_s: n as f64,
            seconds: 1.0,
            published: cell.rate as u64,
            delivered,
            arrived: delivered,
            latency_p50_ms: at(0.5).map(|ms| ms * wave),
            latency_p99_ms: at(0.99).map(|ms| ms * wave * wave * 1.1),
            latency_max_ms: at(1.0),
            cpu_ns: cell.total.cpu.map(|cpu| cpu.total_ns / 20),
            rss_bytes: Some(6 << 20),
            in_bytes: cell.total.wire.sockets.in_bytes / 20,
            out_bytes: cell.total.wire.sockets.out_bytes / 20,
            requests: cell.total.wire.requests / 20,
            connections: cell.subscribers as u64,
        }
    };
    (0..20).map(second).collect()
}

/// Makes a cell invalid.
pub(super) fn spoil(cell: &mut Cell) {
    let reasons = vec![
        "The generating thread used 93 % of its core; its figures may be its own.".into(),
        "Publishes left up to 41 ms late (99th percentile).".into(),
    ];
    cell.validity = Validity::new(reasons, Vec::new());
    cell.repetitions[0].validity = cell.validity.clone();
    cell.total.generator.cpu_share = 0.93;
}

/// All pairs of cells under the same conditions.
pub(super) fn comparisons(cells: &[Cell]) -> Vec<Comparison> {
    let mut found = Vec::new();
    let conditions = |cell: &Cell| {
        (cell.pattern, cell.subscribers, cell.rate.to_bits(), cell.payload_bytes, cell.rtt_ms.to_bits())
    };
    let compare = |cell: &&Cell| cell.purpose == Purpose::Compare;
    for (i, a) in cells.iter().filter(compare).enumerate() {
        for b in cells.iter().filter(compare).skip(i + 1).filter(|b| conditions(a) == conditions(b)) {
            for metric in Metric::ALL {
                found.push(compared(a, b, metric));
            }
        }
    }
    found
}

fn compared(a: &Cell, b: &Cell, metric: Metric) -> Comparison {
    let both =
        a.estimates.of(metric).zip(b.estimates.of(metric)).filter(|_| a.validity.valid && b.validity.valid);
    let verdict = match both {
        None => Verdict::NotComparable,
        Some((x, y)) if y.low > x.high * 1.01 => Verdict::Higher,
        Some((x, y)) if y.high < x.low * 0.99 => Verdict::Lower,
        Some(_) => Verdict::NoDifference,
    };
    Comparison {
        metric,
        a: a.id.clone(),
        b: b.id.clone(),
        ratio: both.map(|(x, y)| y.value / x.value),
        verdict,
        text: String::new(),
    }
}
