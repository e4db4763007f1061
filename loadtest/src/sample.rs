//! A small document for tests: made up, but of the shape and size that a run's has.

use std::collections::BTreeMap;

use crate::{
    results::{
        Cell, Comparison, Connecting, Cpu, CpuSource, Estimate, Estimates, Exactly, Floor, Generator, Kinds,
        LedgerBytes, Machine, Manifest, Measures, Memory, Metric, Noise, Pattern, Point, Purpose, Repetition,
        Results, SCHEMA, Segments, Server, SocketBytes, Transport, Validity, Verdict, Wire,
    },
    stats::Latencies,
};

/// What to make a cell of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How events are delivered.
    pub transport: Transport,
    /// What it is for.
    pub purpose: Purpose,
    /// How many.
    pub subscribers: usize,
    /// Events a second.
    pub rate: f64,
    /// Seconds between polls.
    pub interval: f64,
    /// Round-trip time.
    pub rtt_ms: f64,
}

impl Shape {
    /// A cell of 200 subscribers and 10 events a second.
    pub fn new(transport: Transport, rtt_ms: f64) -> Self {
        Self { transport, purpose: Purpose::Compare, subscribers: 200, rate: 10.0, interval: 1.0, rtt_ms }
    }
}

/// A document of all transports at three round-trip times, and cells to fit and check a cost model: its costs follow a
/// simple law with a ripple of some percent.
pub fn results() -> Results {
    let mut cells = Vec::new();
    for rtt_ms in [0.0, 40.0, 200.0] {
        cells.extend(Transport::ALL.map(|transport| cell(Shape::new(transport, rtt_ms))));
    }
    for (purpose, rate, interval) in
        [(Purpose::Fit, 1.0, 0.25), (Purpose::Fit, 20.0, 2.0), (Purpose::Check, 5.0, 0.5)]
    {
        let shape = |transport| Shape { purpose, rate, interval, ..Shape::new(transport, 0.0) };
        cells.extend(Transport::ALL.map(|transport| cell(shape(transport))));
    }
    let mut again = cell(Shape { purpose: Purpose::Noise, ..Shape::new(Transport::Sse, 0.0) });
    again.id += ", again";
    let noise = Noise {
        cells: vec![cells[3].id.clone(), again.id.clone()],
        floors: Metric::ALL.iter().map(|metric| Floor { metric: *metric, relative: 0.031 }).collect(),
    };
    let comparisons = vec![
        compared(&cells[3], &cells[4], Verdict::NoDifference),
        compared(&cells[3], &cells[0], Verdict::Higher),
    ];
    cells.push(again);
    Results {
        schema: SCHEMA.to_owned(),
        manifest: manifest(),
        noise: Some(noise),
        cells,
        comparisons,
        validity: Validity::new(Vec::new(), Vec::new()),
    }
}

/// One cell.
pub fn cell(shape: Shape) -> Cell {
    let Shape { transport, purpose, subscribers, rate, interval, rtt_ms } = shape;
    let polls = transport == Transport::Poll;
    let measures = measures(shape);
    let of = |value: Option<f64>| value.map(|value| estimate(value, 0.03));
    let latency = |quantile| measures.latency.as_ref().and_then(|latency| latency.at(quantile));
    let estimates = Estimates {
        latency_p50: of(latency(0.5)),
        latency_p99: of(latency(0.99)),
        cpu_per_delivery: of(measures.cpu.and_then(|cpu| cpu.total_ns_per_delivery)),
        bytes_per_delivery: of(measures.wire.sockets.bytes_per_delivery),
    };
    let series = (0..8).map(|n| point(n, &measures, shape)).collect();
    let validity = Validity::new(Vec::new(), Vec::new());
    let pause = if polls { format!(" every {interval} s") } else { String::new() };
    Cell {
        id: format!("fanlight/{}{pause} {subscribers} × {rate}/s 200 B rtt {rtt_ms} ms", transport.name()),
        purpose,
        server: "fanlight".to_owned(),
        transport,
        pattern: Pattern::Steady,
        subscribers,
        rate,
        burst: 1,
        payload_bytes: 200,
        topics: 1,
        poll_interval_s: polls.then_some(interval),
        heartbeat_s: None,
        longpoll_timeout_s: None,
        rtt_ms,
        down_kbps: 0.0,
        up_kbps: 0.0,
        repetitions: vec![Repetition {
            at_s: 1.5,
            measures: measures.clone(),
            series,
            validity: validity.clone(),
        }],
        total: measures,
        estimates,
        validity,
    }
}

fn measures(shape: Shape) -> Measures {
    let Shape { transport, subscribers, rate, interval, rtt_ms, .. } = shape;
    let (seconds, wire_seconds) = (2.4, 3.0);
    let published = (seconds * rate) as u64;
    let deliveries = published * subscribers as u64;
    let wire_deliveries = (wire_seconds * rate) as u64 * subscribers as u64;
    // A request's and an event's cost, made up: 6 µs each, and 3 µs more where one answers the other.
    let requests_per_s = match transport {
        Transport::Poll => 1.0 / interval,
        Transport::Longpoll => rate.min(1000.0 / (rtt_ms + 1.0)),
        _ => 0.0,
    };
    let ripple = 1.0 + 0.02 * (transport as u8 as f64 + rate + rtt_ms).sin();
    let cpu = (rate * 6_000.0 + requests_per_s * 9_000.0 + 50.0) * ripple * subscribers as f64;
    let total_ns = (cpu * seconds) as u64;
    let per = |ns: f64| Some(ns / deliveries.max(1) as f64);
    let requests = (requests_per_s * wire_seconds * subscribers as f64) as u64;
    let (inward, out) = kinds(transport, requests, wire_deliveries);
    let bytes = inward.sum() + out.sum();
    let users = (subscribers as f64) * wire_seconds;
    let mut not_measured = BTreeMap::new();
    not_measured.insert("resume".to_owned(), "no connection was broken".to_owned());
    Measures {
        seconds,
        published,
        exactly: Exactly {
            established: subscribers as u64,
            expected: wire_deliveries,
            delivered: wire_deliveries,
            ..Exactly::default()
        },
        latency: latencies(shape).distribution(),
        exchange: None,
        cpu: Some(Cpu {
            source: CpuSource::Proc,
            total_ns,
            user_ns: Some(total_ns / 4),
            kernel_ns: Some(total_ns - total_ns / 4),
            deliveries,
            total_ns_per_delivery: per(total_ns as f64),
            user_ns_per_delivery: per(total_ns as f64 / 4.0),
            kernel_ns_per_delivery: per(total_ns as f64 * 0.75),
            total_ns_per_subscriber_second: cpu / subscribers as f64,
            waited_ns: Some(total_ns / 200),
        }),
        memory: Some(Memory {
            rss_before_bytes: 5 << 20,
            rss_connected_bytes: (5 << 20) + 900 * subscribers as u64,
            rss_peak_bytes: 6 << 20,
            rss_bytes_per_connection: Some(900.0),
            socket_buffer_bytes_per_connection: Some(0.0),
            socket_slab_bytes_per_connection: Some(5200.0),
        }),
        wire: Wire {
            seconds: wire_seconds,
            deliveries: wire_deliveries,
            requests,
            requests_per_event: Some(requests as f64 / wire_deliveries.max(1) as f64),
            empty: inward.empty / 150,
            sockets: SocketBytes {
                in_bytes: inward.sum(),
                out_bytes: out.sum(),
                bytes_per_delivery: Some(bytes as f64 / wire_deliveries.max(1) as f64),
                bytes_per_subscriber_second: bytes as f64 / users,
            },
            ledger: Some(LedgerBytes { inward, out, tcp: Some(Segments::default()) }),
            agree: Some(true),
        },
        connecting: latencies(Shape { rate: 1.0, interval: 0.001, ..shape }).distribution().map(|time| {
            Connecting { time, cpu_ns_per_connection: Some(45_000.0), bytes_per_connection: 900.0 }
        }),
        resume: None,
        generator: Generator {
            cpu_share: 0.07,
            publish_lag_p99_ms: 0.08,
            publish_lag_max_ms: 0.2,
            ..Generator::default()
        },
        not_measured,
    }
}

fn kinds(transport: Transport, requests: u64, deliveries: u64) -> (Kinds, Kinds) {
    let envelope = deliveries * 95;
    let payload = deliveries * 200;
    let events = Kinds { payload, envelope, ..Kinds::default() };
    match transport {
        Transport::Poll | Transport::Longpoll => {
            let full = requests.min(deliveries);
            let empty = requests - full;
            let inward = Kinds { heads: full * 150, empty: empty * 150, ..Kinds::default() };
            (inward, Kinds { heads: full * 180, framing: full * 40, empty: empty * 130, ..events })
        }
        Transport::Chunked => (Kinds::default(), Kinds { framing: deliveries * 8, ..events }),
        Transport::Sse => (Kinds::default(), Kinds { framing: deliveries * 37, ..events }),
        Transport::Websocket => (Kinds::default(), Kinds { framing: deliveries * 4, ..events }),
    }
}

/// A thousand of them: half a round trip, what the server takes, and for a poll the wait.
fn latencies(shape: Shape) -> Latencies {
    let mut latencies = Latencies::default();
    for n in 0..1000_u32 {
        let share = f64::from(n) / 1000.0;
        let server = 0.15 + 0.3 * share + if n > 985 { 4.0 * share } else { 0.0 };
        let trips = match shape.transport {
            Transport::Poll => 1.0 * shape.rtt_ms + shape.interval * 1000.0 * share,
            Transport::Longpoll => shape.rtt_ms * (0.5 + share),
            _ => shape.rtt_ms * 0.5,
        };
        latencies.record_ns(((server + trips) * 1e6) as u64);
    }
    latencies
}

fn point(n: usize, measures: &Measures, shape: Shape) -> Point {
    let part = |value: u64| value / 8;
    let latency = |quantile| measures.latency.as_ref().and_then(|latency| latency.at(quantile));
    Point {
        at_s: n as f64 * 0.3,
        seconds: 0.3,
        published: part(measures.published),
        delivered: part(measures.published) * shape.subscribers as u64,
        arrived: part(measures.published) * shape.subscribers as u64,
        latency_p50_ms: latency(0.5),
        latency_p99_ms: latency(0.99),
        latency_max_ms: latency(1.0),
        cpu_ns: measures.cpu.map(|cpu| part(cpu.total_ns)),
        rss_bytes: Some(6 << 20),
        in_bytes: part(measures.wire.sockets.in_bytes),
        out_bytes: part(measures.wire.sockets.out_bytes),
        requests: part(measures.wire.requests),
        connections: shape.subscribers as u64,
    }
}

fn estimate(value: f64, spread: f64) -> Estimate {
    Estimate { value, low: value * (1.0 - spread), high: value * (1.0 + spread), samples: 8 }
}

fn compared(a: &Cell, b: &Cell, verdict: Verdict) -> Comparison {
    let value = |cell: &Cell| cell.estimates.cpu_per_delivery.map(|estimate| estimate.value);
    let ratio = value(a).zip(value(b)).map(|(a, b)| b / a);
    Comparison {
        metric: Metric::CpuPerDelivery,
        a: a.id.clone(),
        b: b.id.clone(),
        ratio,
        verdict,
        text: format!("Server CPU per delivery: {} against {}: {verdict:?}.", b.id, a.id),
    }
}

fn manifest() -> Manifest {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Manifest {
        title: "A document for tests".to_owned(),
        commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        dirty: true,
        started: "2026-11-25T09:31:02Z".to_owned(),
        seconds: 71.5,
        command: "loadtest".to_owned(),
        plan: "title = \"A document for tests\"\n".to_owned(),
        seed: 1,
        machine: Machine {
            cpu: "Some Processor @ 2.00GHz".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "Linux 6.18.0".to_owned(),
            kind: "virtual".to_owned(),
            server_cores: vec![0],
            generator_cores: vec![1],
        },
        settings: [pair("net.ipv4.tcp_wmem", "4096 16384 4194304")].into(),
        versions: [pair("loadtest", "0.1.0"), pair("fanlight", "0.1.0")].into(),
        servers: vec![Server {
            name: "fanlight".to_owned(),
            own: true,
            command: "fanlight serve --listen 127.0.0.1:0 --cores 1".to_owned(),
            version: Some("0.1.0".to_owned()),
            clock: None,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_document() {
        let results = results();
        let text = serde_json::to_string(&results).expect("it can be written");
        let read: Results = serde_json::from_str(&text).expect("it can be read");
        assert_eq!(read, results);
        let schema: serde_json::Value = serde_json::from_str(&crate::schema()).expect("the schema is JSON");
        let validator = jsonschema::validator_for(&schema).expect("the schema is one");
        let value = serde_json::to_value(&results).expect("it can be written");
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let mut wrong = value;
        wrong["cells"][0]["transport"] = "pigeon".into();
        assert!(!validator.is_valid(&wrong), "the schema lets anything through");
    }
}
