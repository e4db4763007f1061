//! The lab: lines are opened and changed, what goes over them is shaped as they say, and the contract holds there
//! as anywhere.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use fanlight::config::Config;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    frames::{handshake, receive_close, receive_text, text},
    harness::{self, Server, offset},
    http::{Answer, Conn, Piece, get, get_with, post, soon},
    process::Served,
    subscriber::{End, Item, Position, Transport, Transport::*},
};

const JSON: &str = "Content-Type: application/json";

fn start() -> Server {
    start_with(|_| {})
}

fn start_with(configure: impl FnOnce(&mut Config)) -> Server {
    harness::start_with(|config| {
        config.lab = true;
        configure(config);
    })
}

/// A POST made into another method.
fn with_method(method: &str, request: &[u8]) -> Vec<u8> {
    [method.as_bytes(), &request["POST".len()..]].concat()
}

/// A request as a browser sends it: `Host` has the port.
fn at(gateway: &Server, request: &str) -> String {
    request.replacen("Host: localhost", &format!("Host: localhost:{}", gateway.addr.port()), 1)
}

impl Server {
    async fn put(&self, id: &str, body: &str) -> Answer {
        self.ask(with_method("PUT", &post(&format!("/v1/lab/{id}"), &[JSON], body))).await
    }

    async fn delete(&self, id: &str) -> Answer {
        self.ask(with_method("DELETE", &post(&format!("/v1/lab/{id}"), &[], ""))).await
    }

    /// Opens or changes a line, and gives the gateway as it is seen through it.
    async fn line(&self, id: &str, body: &str) -> Server {
        let answer = self.put(id, body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        Server::elsewhere(port(&answer.json()))
    }

    /// What the gateway says of a line.
    async fn look(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v1/lab/{id}")).await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until so many connections are on the line.
    async fn has_connections(&self, id: &str, count: u64) {
        soon(async {
            while self.look(id).await["connections"] != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

fn port(line: &Value) -> SocketAddr {
    let port = line["port"].as_u64().expect("a port").try_into().unwrap();
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[tokio::test]
async fn without_the_lab_there_is_nothing() {
    let server = harness::start();
    for path in ["/v1/lab", "/v1/lab/x"] {
        server.get(path).await.is_problem(404, "not-found", None);
    }
    server.put("x", "{}").await.is_problem(404, "not-found", None);
    let metrics = server.get("/metrics").await;
    assert!(metrics.text().contains("\nfanlight_lab_lines 0\n"), "{}", metrics.text());
    assert!(!server.get("/openapi.json").await.text().contains("/v1/lab"));
}

#[tokio::test]
async fn a_line_is_opened_changed_looked_at_and_ended() {
    let server = start();
    let lab = server.get("/v1/lab").await;
    lab.head.has(&[("cache-control", "no-store"), ("content-type", "application/json")]);
    assert_eq!(lab.text(), r#"{"lab":true,"lines":0,"max":64}"#);

    let opened = server.ask(with_method("PUT", &post("/v1/lab/A.b-c_1", &[], ""))).await;
    let line = opened.json();
    let expected = format!(
        r#"{{"id":"A.b-c_1","port":{},"conditions":{{"rtt_ms":0,"down_kbps":0,"up_kbps":0,"loss":0.0,"buffering":false,"cut":false}},"source":null,"connections":0,"lost":0}}"#,
        line["port"]
    );
    assert_eq!(opened.text(), expected);

    let changed =
        server.put("A.b-c_1", r#"{"rtt_ms":20,"loss":0.25,"source":{"rate":0,"size":9}}"#).await.json();
    assert_eq!(changed["port"], line["port"], "the port stays");
    let changed = server.put("A.b-c_1", r#"{"up_kbps":5,"source":{"burst":2}}"#).await.json();
    let conditions = json!({"rtt_ms":20,"down_kbps":0,"up_kbps":5,"loss":0.25,"buffering":false,"cut":false});
    assert_eq!(changed["conditions"], conditions);
    assert_eq!(changed["source"], json!({"topic":"lab/A.b-c_1","rate":0.0,"size":9,"burst":2}));
    assert_eq!(server.look("A.b-c_1").await, changed);
    assert_eq!(server.put("A.b-c_1", r#"{"source":null}"#).await.json()["source"], Value::Null);
    assert_eq!(server.get("/v1/lab").await.json()["lines"], 1);
    assert!(server.get("/metrics").await.text().contains("\nfanlight_lab_lines 1\n"));

    let ended = server.delete("A.b-c_1").await;
    assert_eq!((ended.status(), ended.text()), (204, ""));
    for answer in [server.delete("A.b-c_1").await, server.get("/v1/lab/A.b-c_1").await] {
        answer.is_problem(404, "not-found", Some("id"));
    }
    soon(async { while Conn::try_open(port(&line)).await.is_some() {} }).await;
    assert!(server.get("/metrics").await.text().contains("\nfanlight_lab_lines 0\n"));
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let server = start_with(|config| config.max_event = bytesize::ByteSize::kib(1));
    server.line("x", r#"{"rtt_ms":7}"#).await;
    let before = server.look("x").await;
    for (body, field) in [
        ("{", "body"),
        ("[1]", "body"),
        (r#"{"rtt_ms":5001}"#, "rtt_ms"),
        (r#"{"down_kbps":-1}"#, "down_kbps"),
        (r#"{"up_kbps":1000001}"#, "up_kbps"),
        (r#"{"rtt_ms":1,"loss":0.6}"#, "loss"),
        (r#"{"buffering":"on"}"#, "buffering"),
        (r#"{"cut":1}"#, "cut"),
        (r#"{"speed":1}"#, "speed"),
        (r#"{"source":{"topic":"host/load"}}"#, "source.topic"),
        (r#"{"source":{"topic":"lab/**"}}"#, "source.topic"),
        (r#"{"source":{"rate":1001}}"#, "source.rate"),
        (r#"{"source":{"size":1025}}"#, "source.size"),
        (r#"{"source":{"burst":1001}}"#, "source.burst"),
        (r#"{"source":{"colour":1}}"#, "source.colour"),
    ] {
        server.put("x", body).await.is_problem(400, "invalid-request", Some(field));
        server.put("new", body).await.is_problem(400, "invalid-request", Some(field));
    }
    for id in ["a%20b", "%2e", &"x".repeat(65), "é"] {
        server.put(id, "{}").await.is_problem(400, "invalid-request", Some("id"));
    }
    let form = post("/v1/lab/x", &["Content-Type: application/x-www-form-urlencoded"], "rtt_ms=1");
    let answer = server.ask(with_method("PUT", &form)).await;
    answer.is_problem(415, "unsupported-media-type", Some("Content-Type"));
    server.put("x", &" ".repeat(17_000)).await.is_problem(413, "too-large", Some("body"));
    let answer = server.ask(post("/v1/lab/x", &[JSON], "{}")).await;
    answer.is_problem(405, "method-not-allowed", None);
    answer.head.has(&[("allow", "GET,HEAD,PUT,DELETE")]);
    assert_eq!(server.look("x").await, before);
    assert_eq!(server.get("/v1/lab").await.json()["lines"], 1);
}

#[tokio::test]
async fn lines_are_bounded() {
    let server = start();
    for number in 0..64 {
        assert_eq!(server.put(&number.to_string(), "{}").await.status(), 200);
    }
    let answer = server.put("more", "{}").await;
    answer.is_problem(429, "too-many-requests", None);
    assert_eq!(answer.head.get("retry-after"), Some("60"));
    assert_eq!(server.put("63", r#"{"rtt_ms":1}"#).await.status(), 200);
    server.delete("0").await;
    assert_eq!(server.put("more", "{}").await.status(), 200);
    assert_eq!(server.get("/v1/lab").await.text(), r#"{"lab":true,"lines":64,"max":64}"#);
}

/// A round trip takes as long as it was told to, and a new connection one more; `localhost` may be either address.
#[tokio::test]
async fn a_round_trip_takes_as_long_as_it_should() {
    let server = start();
    let line = server.line("x", r#"{"rtt_ms":80}"#).await;
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, line.addr.port()));
    let has_v6 = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    for addr in [Some(line.addr), has_v6.then_some(v6)].into_iter().flatten() {
        let (mut first, mut next) = (Duration::MAX, Duration::MAX);
        for _ in 0..3 {
            let mut conn = Conn::open(addr).await;
            let mut exchange = async || {
                let began = Instant::now();
                conn.send(get("/v1/cursor")).await;
                assert_eq!(conn.answer().await.status(), 200);
                began.elapsed()
            };
            first = first.min(exchange().await);
            for _ in 0..5 {
                next = next.min(exchange().await);
            }
        }
        // A machine that is busy makes some of them late, and none early.
        let millis = Duration::from_millis;
        assert!(next >= millis(76) && next < millis(90), "{next:?}");
        assert!(first >= millis(156) && first < millis(180), "{first:?}");
    }
    server.line("x", r#"{"rtt_ms":0}"#).await;
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(line.get("/v1/cursor").await.status(), 200);
    }
    assert!(began.elapsed() < Duration::from_millis(700), "the change took effect: {:?}", began.elapsed());
}

/// A large answer takes what the bandwidth makes of it, in each direction.
#[tokio::test]
async fn bandwidth_is_what_it_should_be() {
    let server = start_with(|config| config.max_event = bytesize::ByteSize::mib(1));
    let large = format!("\"{}\"", "x".repeat(199_998));
    server.publish("large", &large).await;
    let line = server.line("x", r#"{"down_kbps":4000,"up_kbps":2000}"#).await;
    // 500 and 250 bytes a millisecond. A machine that is busy makes some of them late, and none early.
    let (mut down, mut up) = (u128::MAX, u128::MAX);
    for _ in 0..3 {
        let began = Instant::now();
        assert!(line.get("/v1/poll?topic=large&last=1").await.text().len() > 200_000);
        down = down.min(began.elapsed().as_millis());
        let began = Instant::now();
        line.publish("large", &large).await;
        up = up.min(began.elapsed().as_millis());
    }
    assert!((395..500).contains(&down) && (795..900).contains(&up), "{down} ms down, {up} ms up");
}

/// Every event, once, in order, on a line that delays, narrows and loses.
#[rstest]
#[tokio::test]
async fn a_bad_line_keeps_the_order(#[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport) {
    let server = start();
    let line = server.line("x", r#"{"rtt_ms":8,"down_kbps":8000,"up_kbps":8000,"loss":0.02}"#).await;
    let (mut subscriber, _) = line.subscribe_now(transport, &["a"]).await;
    let ids = server.publish_all("a", 0..300).await;
    assert_eq!(subscriber.ids_through(&ids[299]).await, ids);
}

/// A line that loses says so.
#[tokio::test]
async fn losses_are_counted() {
    let server = start();
    let line = server.line("x", r#"{"loss":0.5}"#).await;
    soon(async {
        while server.look("x").await["lost"].as_u64().unwrap() < 3 {
            let asked = tokio::time::timeout(Duration::from_millis(200), line.get("/v1/cursor"));
            drop(asked.await);
        }
    })
    .await;
}

/// Connections are cut at any moment under a running source, and resumed: nothing is lost, nothing comes twice.
#[rstest]
#[tokio::test]
async fn cuts_lose_and_repeat_nothing(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = start();
    let start = server.cursor().await;
    let line = server.line("x", r#"{"rtt_ms":10,"loss":0.005,"source":{"rate":200,"size":60}}"#).await;
    let (mut cursor, mut due) = (start, 1);
    for round in 0..6 {
        let mut subscriber = line.subscribe(transport, &["lab/x"], Position::after(&cursor)).await;
        let cut = async {
            tokio::time::sleep(Duration::from_millis(60 + 30 * round)).await;
            server.put("x", r#"{"cut":true}"#).await;
        };
        let read = async {
            loop {
                match subscriber.next().await {
                    Item::Event(event) => {
                        let data = event.doc.rsplit_once(r#""data":{"n":"#).expect("of the source").1;
                        assert_eq!(data.split_once(',').unwrap().0.parse(), Ok(due), "{}", event.doc);
                        (cursor, due) = (event.id, due + 1);
                    }
                    Item::Hello(told) | Item::Cursor(told) => assert!(offset(&told) >= offset(&cursor)),
                    Item::End(End::Cut) => break,
                    other => panic!("{other:?}"),
                }
            }
        };
        tokio::join!(cut, read);
        assert!(Conn::try_open(line.addr).await.is_none(), "nobody listens on a line that is cut");
        server.has_connections("x", 0).await;
        server.line("x", r#"{"cut":false}"#).await;
    }
    assert!(due > 50, "events came: {due}");
}

/// A line that is cut does not listen, so another program may take its port: then it ends, and can be opened anew.
#[tokio::test]
async fn a_line_that_lost_its_port_is_opened_anew() {
    let server = start();
    let line = server.line("x", r#"{"cut":true}"#).await;
    let thief = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    thief.set_reuse_address(true).unwrap();
    thief.bind(&line.addr.into()).unwrap();
    thief.listen(1).unwrap();
    server.put("x", r#"{"cut":false}"#).await.is_problem(503, "unavailable", None);
    server.get("/v1/lab/x").await.is_problem(404, "not-found", Some("id"));
    let again = server.line("x", "{}").await;
    assert_ne!(again.addr, line.addr);
    assert_eq!(again.get("/v1/cursor").await.status(), 200);
}

/// A drain reaches those who are far away, and what was published before it as well.
#[rstest]
#[tokio::test]
async fn a_drain_goes_the_whole_way(#[values(Chunked, Sse, Websocket)] transport: Transport) {
    let mut server = start_with(|config| config.drain_timeout = Duration::from_secs(20));
    let line = server.line("x", r#"{"rtt_ms":300,"loss":0.01}"#).await;
    let (mut subscriber, _) = line.subscribe_now(transport, &["a"]).await;
    let ids = server.publish_all("a", 0..50).await;
    server.shut_down();
    assert_eq!(subscriber.ids_through(&ids[49]).await, ids);
    let mut items = Vec::new();
    let end = loop {
        match subscriber.next().await {
            Item::End(end) => break end,
            Item::Cursor(_) => {}
            item => items.push(item),
        }
    };
    assert!(matches!(items[..], [Item::Reconnect(_)]), "{items:?}");
    let expected = if transport == Websocket { End::Close(1012, "drain".to_owned()) } else { End::Clean };
    assert_eq!(end, expected);
    server.ended().await;
    assert!(Conn::try_open(line.addr).await.is_none());
}

/// A WebSocket works through a line, and tells the time.
#[tokio::test]
async fn a_websocket_publishes_and_asks_for_the_time() {
    let server = start();
    let line = server.line("x", r#"{"rtt_ms":20}"#).await;
    let origin = format!("Origin: http://127.0.0.1:{}", server.addr.port());
    for gateway in [&server, &line] {
        let mut conn = Conn::open(gateway.addr).await;
        conn.send(at(gateway, &handshake("/v1/websocket?topic=a", &[&origin]))).await;
        assert_eq!(conn.head().await.status, 101);
        assert!(receive_text(&mut conn).await.contains("hello"));
        conn.send(text(r#"{"op":"publish","ref":1,"topic":"a","data":1}"#)).await;
        let mut told = [receive_text(&mut conn).await, receive_text(&mut conn).await];
        told.sort_unstable();
        assert!(told[0].starts_with(r#"{"control":"ack","ref":1,"id":""#), "{told:?}");
        assert!(told[1].contains(r#""topic":"a""#), "{told:?}");

        let before = std::time::SystemTime::now();
        conn.send(text(r#"{"op":"clock","ref":"r"}"#)).await;
        let clock = receive_text(&mut conn).await;
        let after = std::time::SystemTime::now();
        let time = clock.strip_prefix(r#"{"control":"ack","ref":"r","time":""#).expect(&clock);
        let time = time.strip_suffix(r#""}"#).expect(&clock);
        assert_eq!(time.len(), "2026-11-25T09:31:02.123456Z".len());
        let time = humantime::parse_rfc3339(time).unwrap();
        assert!(before - Duration::from_micros(1) <= time && time <= after, "{clock}");
        conn.send(text(r#"{"op":"clock","ref":2,"zone":"UTC"}"#)).await;
        let refused: Value = serde_json::from_str(&receive_text(&mut conn).await).unwrap();
        assert_eq!((&refused["ref"], &refused["field"]), (&json!(2), &json!("zone")));
        conn.send(crate::frames::close(1000)).await;
        assert_eq!(receive_close(&mut conn).await.0, 1000);
    }
}

/// The gateway's own pages may use its lines; others may not, and a page may not use another gateway.
#[tokio::test]
async fn the_gateways_own_pages_may_use_its_lines() {
    let server = start();
    let line = server.line("x", "{}").await;
    let page = server.addr.port();
    let asks = async |gateway: &Server, origin: &str| {
        gateway.ask(at(gateway, &get_with("/v1/cursor", &[&format!("Origin: {origin}")]))).await
    };
    for origin in [format!("http://127.0.0.1:{page}"), format!("http://localhost:{page}")] {
        let answer = asks(&line, &origin).await;
        assert_eq!(answer.status(), 200, "{origin}");
        answer.head.has(&[
            ("access-control-allow-origin", &*origin),
            ("access-control-expose-headers", "fanlight-cursor,retry-after"),
            ("timing-allow-origin", &*origin),
        ]);
    }
    // A WebSocket is timed by nobody, and its handshake is as it is elsewhere.
    let mut conn = Conn::open(line.addr).await;
    let origin = format!("Origin: http://localhost:{page}");
    conn.send(at(&line, &handshake("/v1/websocket?topic=a", &[&origin]))).await;
    let head = conn.head().await;
    assert_eq!((head.status, head.get("timing-allow-origin")), (101, None));
    // A page that came over the line is the line's own; but it is no page of the gateway's.
    let port = line.addr.port();
    assert_eq!(asks(&line, &format!("http://localhost:{port}")).await.status(), 200);
    asks(&server, &format!("http://localhost:{port}")).await.is_problem(403, "not-allowed", Some("Origin"));
    let other = harness::unused().port();
    for origin in
        [format!("http://localhost:{other}"), format!("http://evil.example:{page}"), "null".to_owned()]
    {
        asks(&line, &origin).await.is_problem(403, "not-allowed", Some("Origin"));
    }
    let named = get("/v1/cursor").replace("Host: localhost", "Host: evil.example");
    line.ask(named).await.is_problem(403, "not-allowed", Some("Host"));

    let preflight = |method: &str, page: u16| {
        let request = get_with(
            "/v1/lab/x",
            &[
                &format!("Origin: http://localhost:{page}"),
                &format!("Access-Control-Request-Method: {method}"),
            ],
        );
        request.replacen("GET", "OPTIONS", 1)
    };
    for gateway in [&server, &line] {
        let answer = gateway.ask(at(gateway, &preflight("PUT", page))).await;
        assert_eq!(answer.status(), 200);
        answer.head.has(&[("access-control-allow-methods", "GET,HEAD,POST,PUT,DELETE")]);
        assert_eq!(gateway.ask(at(gateway, &preflight("PUT", other))).await.status(), 403);
    }
    let put = post("/v1/lab/x", &[JSON, &format!("Origin: http://127.0.0.1:{page}")], r#"{"rtt_ms":1}"#);
    let put = at(&server, str::from_utf8(&put).unwrap());
    assert_eq!(server.ask(with_method("PUT", put.as_bytes())).await.status(), 200);
    let foreign = post("/v1/lab/x", &[JSON, "Origin: http://evil.example"], r#"{"rtt_ms":2}"#);
    server.ask(with_method("PUT", &foreign)).await.is_problem(403, "not-allowed", Some("Origin"));
    assert_eq!(server.look("x").await["conditions"]["rtt_ms"], 1);
}

/// What a buffering proxy does to each transport: it spoils the streams of HTTP, and nothing else.
#[tokio::test]
async fn a_buffering_proxy_spoils_streams() {
    let server = start();
    let line = server.line("x", r#"{"buffering":true}"#).await;
    let mut streams = Vec::new();
    for path in ["/v1/sse", "/v1/chunked"] {
        let mut conn = Conn::open(line.addr).await;
        conn.send(get(&format!("{path}?topic=a"))).await;
        streams.push(conn);
    }
    server.has_connections("x", 2).await;
    let (mut websocket, hello) = line.subscribe_now(Websocket, &["a"]).await;
    let mut longpoll = line.subscribe(Longpoll, &["a"], Position::after(&hello)).await;
    longpoll.hello().await;
    let stats =
        async || server.get("/v1/stats?topic=a").await.json()["topics"]["listed"][0]["subscribers"].clone();
    soon(async { while stats().await.as_u64() < Some(3) {} }).await;
    let id = server.publish("a", "1").await;
    assert_eq!(websocket.event().await.id, id);
    assert_eq!(longpoll.event().await.id, id);
    for conn in &mut streams {
        let waited = tokio::time::timeout(Duration::from_millis(300), conn.fill()).await;
        assert!(waited.is_err(), "not even the head came: {:?}", String::from_utf8_lossy(conn.seen()));
    }
    let large = format!("\"{}\"", "x".repeat(5000));
    let last = server.publish("a", &large).await;
    for conn in &mut streams {
        assert_eq!(conn.head().await.status, 200);
        soon(conn.through(format!("\"id\":\"{last}\"").as_bytes())).await.expect("all of it");
    }
}

/// Generated events have the size, the rate and the bursts that they should, and end with their line.
#[tokio::test]
async fn a_source_publishes_as_it_is_told() {
    let server = start();
    let (mut subscriber, _) = server.subscribe_now(Chunked, &["lab/**"]).await;
    let body = r#"{"source":{"topic":"lab/deep/down","rate":100,"size":77,"burst":5}}"#;
    server.line("x", body).await;
    let data = |doc: &str| {
        let data = doc.rsplit_once(r#","data":"#).unwrap().1;
        data[..data.len() - 1].to_owned()
    };
    let mut began = Instant::now();
    for number in 1..=200 {
        let event = subscriber.event().await;
        if number == 1 {
            began = Instant::now();
        }
        assert_eq!(event.topic, "lab/deep/down");
        let data = data(&event.doc);
        assert_eq!(data.len(), 77, "{data}");
        assert!(data.starts_with(&format!(r#"{{"n":{number},"pad":""#)), "{data}");
    }
    // The fortieth burst comes 39 spans of 50 ms after the first.
    let took = began.elapsed().as_millis();
    assert!((1900..3000).contains(&took), "{took} ms");
    // The change goes on counting.
    server.line("x", r#"{"source":{"topic":"lab/x","size":2,"rate":1000,"burst":1000}}"#).await;
    let event = soon(async {
        loop {
            let event = subscriber.event().await;
            if event.topic == "lab/x" {
                break event;
            }
        }
    })
    .await;
    assert_eq!(data(&event.doc), "{}");
    server.delete("x").await;
    // A span of the source is a second.
    let quiet = async || {
        let before = server.cursor().await;
        tokio::time::sleep(Duration::from_millis(1200)).await;
        before == server.cursor().await
    };
    soon(async { while !quiet().await {} }).await;
    let metrics = server.get("/metrics").await;
    let counted = metrics.text().lines().find_map(|line| line.strip_prefix("fanlight_events_total "));
    let head = offset(&server.cursor().await);
    assert_eq!(counted.unwrap().parse::<f64>().unwrap(), head as f64, "they are counted like any other");
}

/// A client that half-closes or resets is noticed, and leaves nothing behind.
#[tokio::test]
async fn ends_of_clients_go_the_whole_way() {
    let server = start();
    let line = server.line("x", r#"{"rtt_ms":50}"#).await;
    for transport in [Longpoll, Chunked, Sse, Websocket] {
        let cursor = server.cursor().await;
        for reset in [false, true] {
            let target = format!("{}?topic=a&after={cursor}", transport.path());
            let mut conn = Conn::open(line.addr).await;
            let request = if transport == Websocket { handshake(&target, &[]) } else { get(&target) };
            conn.send(request).await;
            if transport.streams() {
                soon(conn.through(b"hello")).await.expect("the hello");
            }
            server.has_connections("x", 1).await;
            match reset {
                true => conn.reset(),
                false => {
                    conn.half_close().await;
                    conn.rest().await;
                }
            }
            server.has_connections("x", 0).await;
        }
    }
}

/// A refusal of the HTTP library's own comes as a problem here too, and keeps its way.
#[tokio::test]
async fn limits_hold_on_lines() {
    let server = start_with(|config| config.max_connections = 3);
    let line = server.line("x", r#"{"rtt_ms":10}"#).await;
    line.ask(b"GET / HTTP/9.9\r\n\r\n").await.is_problem(400, "invalid-request", None);
    line.get(&format!("/v1/poll?x={}", "x".repeat(9000))).await.is_problem(414, "uri-too-long", None);
    server.has_connections("x", 0).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut conn = Conn::open(line.addr).await;
        conn.send(get("/v1/chunked?topic=a")).await;
        assert_eq!(conn.head().await.status, 200);
        assert!(matches!(soon(conn.piece()).await, Piece::Data(_)));
        streams.push(conn);
    }
    line.get("/v1/cursor").await.is_problem(503, "unavailable", None);
}

/// Lines that come and go, with connections in every state, leave no descriptor behind.
#[tokio::test]
async fn nothing_stays_of_a_line() {
    let served = Served::start(&["--lab", "--cores", "2", "--log-level", "warn"]).await;
    let server = served.client();
    // Each core has been at work once, and nobody is there but who asks.
    for _ in 0..4 {
        server.get("/v1/lab").await;
    }
    let alone = async || {
        soon(async {
            while !server.get("/metrics").await.text().contains("\nfanlight_connections 1\n") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    };
    alone().await;
    let baseline = served.descriptors();
    let settles = async |most: usize| {
        soon(async {
            while served.descriptors() > most {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    };
    for round in 0..10 {
        let mut held = Vec::new();
        for number in 0..4 {
            let id = format!("line-{number}");
            let line = server.line(&id, r#"{"rtt_ms":10,"loss":0.01,"source":{"rate":50}}"#).await;
            for path in ["/v1/sse?topic=lab/**", "/v1/longpoll?topic=none&last=1", "/v1/cursor"] {
                let mut conn = Conn::open(line.addr).await;
                conn.send(get(path)).await;
                if round % 2 == 0 {
                    conn.head().await;
                }
                held.push(conn);
            }
            let mut conn = Conn::open(line.addr).await;
            conn.send(handshake("/v1/websocket?topic=lab/**", &[])).await;
            held.push(conn);
            if number % 2 == 0 {
                held.clear();
            }
            if number == 1 {
                server.line(&id, r#"{"cut":true}"#).await;
            }
        }
        for number in 0..4 {
            assert_eq!(server.delete(&format!("line-{number}")).await.status(), 204);
        }
        // Those that are still held were reset by the gateway.
        settles(baseline).await;
    }
    alone().await;
    let id = server.publish("after", "1").await;
    let line = server.line("again", r#"{"rtt_ms":5}"#).await;
    let mut subscriber = line.subscribe(Sse, &["after"], Position::earliest()).await;
    subscriber.hello().await;
    assert_eq!(subscriber.event().await.id, id);
}
