//! What the gateway says of itself agrees with what was done to it.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::Duration,
};

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    frames::{handshake, receive_text, text},
    harness::{self, Server},
    http::{Conn, get, get_with, post, soon},
    process::{Served, fanlight},
    subscriber::{Position, Subscriber, Transport, Transport::*},
};

/// The samples of `/metrics`, by name and labels as they stand there.
struct Metrics(HashMap<String, f64>);

impl Metrics {
    async fn of(server: &Server) -> Self {
        let mut conn = Conn::open(server.publish_addr.unwrap_or(server.addr)).await;
        conn.send(get("/metrics")).await;
        let answer = conn.answer().await;
        assert_eq!(answer.status(), 200);
        answer.head.has(&[("content-type", "text/plain; version=0.0.4; charset=utf-8")]);
        Self::parse(answer.text())
    }

    /// Every line is a comment or a sample, every sample belongs to the type that was last told, and none comes
    /// twice (the text format of Prometheus, 0.0.4).
    fn parse(text: &str) -> Self {
        let (mut samples, mut family) = (HashMap::new(), String::new());
        for line in text.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                family = told.split(' ').next().unwrap().to_owned();
                continue;
            }
            if line.starts_with("# ") {
                continue;
            }
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            assert!(name.starts_with(&family), "{name} stands under {family}");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}: no number"));
            assert_eq!(samples.insert(name.to_owned(), value), None, "{name} twice");
        }
        Self(samples)
    }

    fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// A sample by transport, over both paths.
    fn by_transport(&self, name: &str, transport: Transport) -> f64 {
        let transport = format!("transport=\"{}\"", transport.path().trim_start_matches("/v1/"));
        let samples = self.0.iter().filter(|(key, _)| key.starts_with(name) && key.contains(&transport));
        samples.map(|(_, value)| value).sum()
    }
}

/// Waits until the metrics are as they should be: a connection that is gone is noticed soon, not at once.
async fn until_metrics(server: &Server, mut holds: impl FnMut(&Metrics) -> bool) -> Metrics {
    soon(async {
        loop {
            let metrics = Metrics::of(server).await;
            if holds(&metrics) {
                return metrics;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[rstest]
#[tokio::test]
async fn what_is_delivered_is_counted(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    let start = server.cursor().await;
    let before = Metrics::of(&server).await;
    assert_eq!(before.get("fanlight_events_total"), 0.0);

    let mut subscriber = server.subscribe(transport, &["a/*"], Position::after(&start)).await;
    subscriber.hello().await;
    for number in 0..7 {
        let id = server.publish("a/b", &number.to_string()).await;
        assert_eq!(subscriber.event().await.id, id);
    }
    let metrics =
        until_metrics(&server, |metrics| metrics.by_transport("fanlight_deliveries_total", transport) == 7.0)
            .await;
    for other in Transport::ALL.into_iter().filter(|other| *other != transport) {
        assert_eq!(metrics.by_transport("fanlight_deliveries_total", other), 0.0, "{other:?}");
        assert_eq!(metrics.by_transport("fanlight_subscribers", other), 0.0, "{other:?}");
    }
    let streams = f64::from(u8::from(transport.streams()));
    assert_eq!(metrics.by_transport("fanlight_resumes_total", transport), streams);
    if transport.streams() {
        assert_eq!(metrics.by_transport("fanlight_subscribers", transport), 1.0);
        let lag = |path| metrics.get(&format!("fanlight_fanout_lag_seconds_count{{path=\"{path}\"}}"));
        assert!(
            (1.0..=7.0).contains(&(lag("taken") + lag("hosted"))),
            "each that did not find it all at once"
        );
    }
    assert_eq!(metrics.get("fanlight_events_total"), 7.0);
    assert_eq!(metrics.get("fanlight_publish_seconds_count"), 7.0);
    assert_eq!(metrics.get("fanlight_log_events"), 7.0);
    assert_eq!(metrics.get("fanlight_log_topics"), 1.0);
    assert!(metrics.get("process_resident_memory_bytes") > 1e6);
    assert!(metrics.get("process_open_fds") > 3.0);

    drop(subscriber);
    until_metrics(&server, |metrics| {
        // Only the connection that asks is left.
        metrics.by_transport("fanlight_subscribers", transport) == 0.0
            && metrics.get("fanlight_connections") == 1.0
    })
    .await;
}

/// The bytes that a client got are the bytes that were counted.
#[rstest]
#[tokio::test]
async fn bytes_are_counted_in_both_directions(#[values(Chunked, Sse, Websocket)] transport: Transport) {
    let server = harness::start();
    let sums = |metrics: &Metrics| {
        let sum = |direction| {
            let samples = metrics
                .0
                .iter()
                .filter(|(key, _)| key.starts_with("fanlight_socket_bytes_total") && key.contains(direction));
            samples.map(|(_, value)| value).sum::<f64>()
        };
        (sum("in"), sum("out"))
    };
    // What one look at the metrics itself costs grows with the figures in them, so it is measured beside.
    let (subscriber, _) = server.subscribe_now(transport, &["a"]).await;
    let (received, sent) = sums(&Metrics::of(&server).await);
    let data = format!("{:?}", "x".repeat(40_000));
    server.publish("a", &data).await;
    let mut subscriber = subscriber;
    subscriber.event().await;
    // The client may have the bytes before they are counted.
    let mut looks = 0.0;
    let after = until_metrics(&server, |metrics| {
        looks += 1.0;
        sums(metrics).1 - sent >= 40_000.0 + 10_000.0 * looks
    });
    let (received_after, sent_after) = sums(&after.await);
    let (received, sent) = (received_after - received, sent_after - sent);
    // A publish in, an event out, and each look beside: some 500 bytes, and 10 to 25 kB.
    assert!((40_000.0..41_000.0 + 500.0 * looks).contains(&received), "{received}, {looks} looks");
    assert!((40_000.0..45_000.0 + 25_000.0 * looks).contains(&sent), "{sent}, {looks} looks");
}

/// Each new connection goes to the core that has the fewest, and every subscriber gets every event, so the cores
/// have equal shares of both.
#[rstest]
#[tokio::test]
async fn connections_are_spread_over_the_cores(
    #[values(Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| config.cores = 2);
    let start = server.cursor().await;
    let mut all = Vec::new();
    for _ in 0..60 {
        let mut subscriber = server.subscribe(transport, &["a"], Position::after(&start)).await;
        subscriber.hello().await;
        all.push(subscriber);
    }
    let shares = |metrics: &Metrics| {
        [0, 1].map(|core| metrics.get(&format!("fanlight_core_connections{{core=\"{core}\"}}")))
    };
    // A long poll that is not open at the moment, and the one that asks, tip it by a little.
    let metrics = until_metrics(&server, |metrics| {
        let [one, other] = shares(metrics);
        (one - other).abs() <= 2.0 && (!transport.streams() || one + other >= 61.0)
    })
    .await;
    let [one, other] = shares(&metrics);
    assert_eq!(one + other, metrics.get("fanlight_connections"));
    let id = server.publish("a", "1").await;
    for subscriber in &mut all {
        assert_eq!(subscriber.event().await.id, id);
    }
}

#[tokio::test]
async fn refusals_are_counted_by_their_problem() {
    let server = harness::start();
    server.get("/v1/poll").await.is_problem(400, "invalid-request", Some("topic"));
    server.get("/nothing").await.is_problem(404, "not-found", None);
    server.ask("GET /\0 HTTP/1.1\r\n\r\n").await.is_problem(400, "invalid-request", None);
    let json = ["Content-Type: application/json"];
    let ended = server.ask(post("/v1/publish?topic=$a", &json, "1")).await;
    ended.is_problem(403, "not-allowed", Some("topic"));
    let mut socket = Conn::open(server.addr).await;
    socket.send(handshake("/v1/websocket?topic=a", &[])).await;
    socket.send(text(r#"{"op":"publish","topic":"a//b","data":1}"#)).await;
    until_metrics(&server, |metrics| {
        let count = |problem| metrics.get(&format!("fanlight_refusals_total{{problem=\"{problem}\"}}"));
        (count("invalid-request"), count("not-found"), count("not-allowed")) == (3.0, 1.0, 1.0)
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn gaps_are_counted_by_their_reason(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| config.history_events = 2);
    let start = server.cursor().await;
    server.publish_all("a", 0..5).await;
    let mut subscriber = server.subscribe(transport, &["a"], Position::after(&start)).await;
    subscriber.hello().await;
    subscriber.gap().await;
    until_metrics(&server, |metrics| metrics.get("fanlight_gaps_total{reason=\"evicted\"}") == 1.0).await;
    let metrics = Metrics::of(&server).await;
    assert_eq!(metrics.get("fanlight_gaps_total{reason=\"unknown\"}"), 0.0);
    assert_eq!(metrics.get("fanlight_log_evictions_total"), 3.0);
}

#[rstest]
#[tokio::test]
async fn a_reader_that_stalls_is_counted_and_then_cut(
    #[values(Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start_with(|config| config.write_stall = Duration::from_secs(1));
    let start = server.cursor().await;
    let conn = Conn::open_narrow(server.addr).await;
    let mut stalled = Subscriber::open_on(conn, transport, &["a"], Position::after(&start)).await;
    stalled.hello().await;
    let large = format!("{:?}", "x".repeat(60_000));
    for _ in 0..100 {
        server.publish("a", &large).await;
    }
    until_metrics(&server, |metrics| metrics.get("fanlight_stalled") == 1.0).await;
    let metrics = until_metrics(&server, |metrics| metrics.get("fanlight_stalled_cut_total") == 1.0).await;
    assert_eq!(metrics.get("fanlight_stalled"), 0.0);
    until_metrics(&server, |metrics| metrics.by_transport("fanlight_subscribers", transport) == 0.0).await;
}

#[tokio::test]
async fn open_metrics_is_for_who_asks_for_it() {
    let server = harness::start();
    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3,*/*;q=0.1";
    let answer = server.ask(get_with("/metrics", &[accept])).await;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    answer.head.has(&[("content-type", media_type), ("cache-control", "no-store")]);
    assert!(answer.text().ends_with("# EOF\n"));
    let version = env!("CARGO_PKG_VERSION");
    assert!(answer.text().contains(&format!("fanlight_build_info{{version=\"{version}\"}} 1")));
}

async fn stats(server: &Server, query: &str) -> Value {
    let answer = server.get(&format!("/v1/stats{query}")).await;
    assert_eq!(answer.status(), 200);
    answer.head.has(&[("content-type", "application/json"), ("cache-control", "no-store")]);
    answer.json()
}

#[tokio::test]
async fn statistics_tell_who_listens_to_what() {
    let server = harness::start();
    let mut socket = Conn::open(server.addr).await;
    socket.send(handshake("/v1/websocket?topic=a/b&topic=a/*", &[])).await;
    socket.head().await;
    receive_text(&mut socket).await;
    let mut all = Vec::new();
    for transport in [Chunked, Sse] {
        all.push(server.subscribe_now(transport, &["a/b", "a/*"]).await.0);
    }
    all.push(server.subscribe_now(Sse, &["c/**"]).await.0);
    server.publish("a/b", "1").await;
    let told = stats(&server, "").await;
    let listed = json!([
        {"topic": "a/*", "subscribers": 3, "by_transport": {"chunked": 1, "sse": 1, "websocket": 1}},
        {"topic": "a/b", "subscribers": 3, "by_transport": {"chunked": 1, "sse": 1, "websocket": 1}},
        {"topic": "c/**", "subscribers": 1, "by_transport": {"sse": 1}},
    ]);
    assert_eq!(told["topics"], json!({"count": 3, "listed": listed}));
    assert_eq!(told["events"]["published"], 1);
    assert_eq!(told["log"]["events"], 1);
    assert_eq!(told["log"]["cursor"], server.cursor().await);
    let sse = &told["transports"]["sse"]["subscribers"];
    assert_eq!(sse["taken"].as_u64().unwrap() + sse["hosted"].as_u64().unwrap(), 2);

    let told = stats(&server, "?topic=c/**&limit=5").await;
    assert_eq!(told["topics"]["listed"], json!([listed[2]]));
    let told = stats(&server, "?limit=1").await;
    assert_eq!((&told["topics"]["count"], &told["topics"]["listed"]), (&json!(3), &json!([listed[0]])));
    server.get("/v1/stats?limit=x").await.is_problem(400, "invalid-request", Some("limit"));
    server.get("/v1/stats?limit=10001").await.is_problem(400, "invalid-request", Some("limit"));
    server.get("/v1/stats?topic=a//b").await.is_problem(400, "invalid-request", Some("topic"));
    server.get("/v1/stats?colour=red").await.is_problem(400, "invalid-request", Some("colour"));

    // Who changes or leaves is counted where it is then.
    socket.send(text(r#"{"op":"unsubscribe","topic":["a/*"]}"#)).await;
    all.remove(0);
    soon(async {
        while stats(&server, "?topic=a/*").await["topics"]["listed"][0]["subscribers"] != 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn with_a_publish_listener_they_are_told_there_only() {
    let server = harness::start_with(|config| config.publish_listen = Some("127.0.0.1:0".parse().unwrap()));
    for path in ["/metrics", "/v1/stats"] {
        server.get(path).await.is_problem(404, "not-found", None);
        let mut conn = Conn::open(server.publish_addr.unwrap()).await;
        conn.send(get(path)).await;
        assert_eq!(conn.answer().await.status(), 200, "{path}");
    }
}

/// A connection leaves one line, with what its client called its last request.
#[rstest]
#[tokio::test]
async fn the_log_has_a_line_for_a_connection(#[values("taken", "hosted")] path: &str) {
    let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    args.extend((path == "hosted").then_some("--no-takeover"));
    let mut command = fanlight(&args);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on http://").unwrap().parse().unwrap();
    let server = Server::elsewhere(addr);

    let mut conn = Conn::open(addr).await;
    let port = conn.port();
    conn.send(get_with("/v1/sse?topic=a&access_token=hush", &["X-Request-Id: r-17"])).await;
    // What is unknown is refused, and repeats the name too.
    let answer = conn.answer().await;
    answer.is_problem(400, "invalid-request", Some("access_token"));
    answer.head.has(&[("x-request-id", "r-17")]);
    // A poll, before a connection is taken by the stream.
    server.publish("a", "0").await;
    conn.send(get("/v1/poll?topic=a&last=1")).await;
    assert_eq!(conn.answer().await.status(), 200);
    conn.send(get_with("/v1/sse?topic=a", &["X-Request-Id: r-18"])).await;
    let head = conn.head().await;
    head.has(&[("x-request-id", "r-18")]);
    server.publish("a", "1").await;
    conn.through(b"\"data\":1}\n\n").await.unwrap();
    drop(conn);

    let stderr = child.stderr.take().unwrap();
    let found = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(stderr).lines().map(|line| line.unwrap());
        let found = lines.find(|line| line.contains(&format!(":{port}\"")));
        (found, lines)
    });
    let (found, lines) = soon(found).await.unwrap();
    let found = found.expect("a line for the connection");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    assert!(!found.contains("hush"));
    let told: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(told["target"], "fanlight::connection");
    assert_eq!((&told["transport"], &told["path"]), (&json!("sse"), &json!(path)));
    assert_eq!((&told["requests"], &told["events"]), (&json!(3), &json!(2)));
    assert_eq!((&told["end"], &told["request_id"]), (&json!("closed"), &json!("r-18")));
    assert!(told["sent"].as_u64().unwrap() > 400 && told["received"].as_u64().unwrap() > 100);
    assert!(told["seconds"].as_f64().unwrap() < 20.0);
}

// 1. Every user has a topic of his own, with one event. 2. What a topic itself takes was not counted, so that a log of
// 256 MiB took 512.
#[tokio::test]
async fn what_is_held_takes_as_much_memory_as_is_told() {
    const BATCHES: usize = 10;
    let served = Served::start(&["--log-level", "warn"]).await;
    let gateway = served.client();
    let publish = async |batch: usize| {
        let lines = (0..10_000).map(|n| format!("{{\"topic\":\"users/{batch}/{n}\",\"data\":1}}\n"));
        let body: String = lines.collect();
        let answer = gateway.ask(post("/v1/publish", &["Content-Type: application/x-ndjson"], body)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
    };
    let told = async || stats(gateway, "").await["log"]["bytes"].as_u64().unwrap() as usize;
    publish(0).await;
    let (before, told_before) = (served.resident(), told().await);
    for batch in 1..=BATCHES {
        publish(batch).await;
    }
    let (taken, told) = (served.resident() - before, told().await - told_before);
    assert!(taken < told * 3 / 2, "{taken} bytes, of which {told} are told");
}
