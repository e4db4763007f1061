//! WebSocket, frame by frame: the handshake, the operations, and a close code for each cause.

use std::time::Duration;

use bytesize::ByteSize;
use rstest::rstest;

use crate::{
    frames::{close, frame, handshake, receive, receive_close, receive_text, text},
    harness::{self, Server},
    http::{Conn, get, get_with},
};

async fn open(server: &Server, target: &str) -> Conn {
    let mut conn = Conn::open(server.addr).await;
    conn.send(handshake(target, &[])).await;
    assert_eq!(conn.head().await.status, 101);
    conn
}

#[tokio::test]
async fn the_handshake() {
    let server = harness::start();
    let mut conn = Conn::open(server.addr).await;
    conn.send(handshake("/v1/websocket?topic=a", &["Sec-WebSocket-Protocol: x, fanlight.v1"])).await;
    let head = conn.head().await;
    let undated: Vec<&str> = head.raw.split("\r\n").filter(|line| !line.starts_with("date: ")).collect();
    assert_eq!(
        undated,
        [
            "HTTP/1.1 101 Switching Protocols",
            "upgrade: websocket",
            "connection: Upgrade",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "sec-websocket-protocol: fanlight.v1",
            "",
            ""
        ]
    );
    let epoch = server.epoch().await;
    assert_eq!(epoch.mask(receive_text(&mut conn).await), r#"{"control":"hello","cursor":"E-0"}"#);
    server.publish("a", "7").await;
    assert_eq!(epoch.mask(receive_text(&mut conn).await), r#"{"id":"E-1","topic":"a","time":"T","data":7}"#);

    let plain = server.get("/v1/websocket?topic=a").await;
    plain.is_problem(426, "upgrade-required", Some("Upgrade"));
    plain.head.has(&[("upgrade", "websocket"), ("connection", "upgrade")]);
    let old = get_with(
        "/v1/websocket?topic=a",
        &["Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 8"],
    );
    let old = server.ask(old).await;
    old.is_problem(426, "upgrade-required", Some("Sec-WebSocket-Version"));
    old.head.has(&[("sec-websocket-version", "13")]);
    let keyless = handshake("/v1/echo", &[]).replace("dGhlIHNhbXBsZSBub25jZQ==", "short");
    server.ask(keyless).await.is_problem(400, "invalid-request", Some("Sec-WebSocket-Key"));
    let foreign = handshake("/v1/websocket?topic=a", &["Origin: https://evil.example"]);
    server.ask(foreign).await.is_problem(403, "not-allowed", Some("Origin"));
}

/// Everything in one piece: the client does not wait for our answer.
#[tokio::test]
async fn frames_that_come_with_the_handshake_are_heard() {
    let server = harness::start();
    let mut conn = Conn::open(server.addr).await;
    let mut bytes = handshake("/v1/websocket", &[]).into_bytes();
    bytes.extend(text(r#"{"op":"subscribe","ref":1,"topic":"a"}"#));
    bytes.extend(text(r#"{"op":"publish","ref":2,"topic":"a","data":1}"#));
    // A ping that comes in two pieces.
    let ping = frame(0x89, b"ping");
    bytes.extend(&ping[..3]);
    conn.send(bytes).await;
    conn.head().await;
    let epoch = server.epoch().await;
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.push(epoch.mask(receive_text(&mut conn).await));
    }
    assert_eq!(
        heard[..2],
        [r#"{"control":"hello","cursor":"E-0"}"#, r#"{"control":"ack","ref":1,"cursor":"E-0"}"#]
    );
    assert!(heard.contains(&r#"{"control":"ack","ref":2,"id":"E-1"}"#.to_owned()), "{heard:?}");
    assert!(heard.contains(&r#"{"id":"E-1","topic":"a","time":"T","data":1}"#.to_owned()), "{heard:?}");
    conn.send(&ping[3..]).await;
    assert_eq!(receive(&mut conn).await, Some((0x8A, b"ping".to_vec())));
}

#[tokio::test]
async fn the_subscription_changes_on_a_live_connection() {
    let server = harness::start();
    let epoch = server.epoch().await;
    let mut conn = open(&server, "/v1/websocket?topic=a").await;
    receive_text(&mut conn).await;
    server.publish("b", "0").await;
    let said = async |conn: &mut Conn, op: &str| {
        conn.send(text(op)).await;
        epoch.mask(receive_text(conn).await)
    };
    let ack = said(&mut conn, r#"{"op":"subscribe","ref":"x","topic":["b","c/*"]}"#).await;
    assert!(ack.starts_with(r#"{"control":"ack","ref":"x","cursor":"E-"#), "{ack}");
    // Where it joined lies before or behind the event on b: as the acknowledgement says.
    if ack.ends_with("E-0\"}") {
        assert!(epoch.mask(receive_text(&mut conn).await).contains("E-1"));
    }
    for (topic, expected) in [("a", 2), ("b", 3), ("c/1", 4)] {
        let id = server.publish(topic, "1").await;
        assert_eq!(id, epoch.at(expected));
        assert!(receive_text(&mut conn).await.contains(&id));
    }
    let ack = said(&mut conn, r#"{"op":"unsubscribe","ref":2,"topic":"a"}"#).await;
    assert_eq!(ack, r#"{"control":"ack","ref":2,"cursor":"E-4"}"#);
    server.publish("a", "1").await;
    let id = server.publish("c/2", "1").await;
    assert!(receive_text(&mut conn).await.contains(&id), "nothing of what was left");

    for (op, field) in [
        ("nonsense", "body"),
        (r#"{"op":"dance","ref":1}"#, "op"),
        (r#"{"op":"subscribe","ref":1}"#, "topic"),
        (r#"{"op":"subscribe","ref":1,"topic":"a//b"}"#, "topic"),
        (r#"{"op":"subscribe","ref":1,"topic":"z","after":"earliest"}"#, "after"),
        (r#"{"op":"subscribe","ref":1,"topic":"z","last":3}"#, "last"),
        (r#"{"op":"unsubscribe","ref":1,"topic":"a"}"#, "topic"),
        (r#"{"op":"publish","ref":1,"topic":"a"}"#, "data"),
        (r#"{"op":"publish","ref":1,"topic":"a/*","data":1}"#, "topic"),
        (r#"{"op":"publish","ref":1,"topic":"$a","data":1}"#, "topic"),
        (r#"{"op":"publish","ref":1,"topic":"a","data":1,"key":""}"#, "key"),
        (r#"{"op":"publish","ref":1,"topic":"a","data":1,"type":""}"#, "type"),
        (r#"{"op":"publish","ref":1,"topic":"a","data":1,"x":1}"#, "x"),
        (r#"{"op":"subscribe","ref":[],"topic":"a"}"#, "ref"),
    ] {
        let error = said(&mut conn, op).await;
        assert!(error.starts_with(r#"{"control":"error","#), "{error}");
        assert!(error.ends_with(&format!(r#","field":"{field}"}}"#)), "{op}: {error}");
        assert_eq!(error.contains(r#""ref":1,"#), op.contains(r#""ref":1"#), "{error}");
    }
    assert_eq!(server.cursor().await, id);

    // The same key, once with the same content and once with another.
    let keyed = |data: u8| format!(r#"{{"op":"publish","ref":1,"topic":"k","data":{data},"key":"k"}}"#);
    let first = said(&mut conn, &keyed(1)).await;
    assert_eq!(said(&mut conn, &keyed(1)).await, first);
    let error = said(&mut conn, &keyed(2)).await;
    assert!(error.contains("idempotency-mismatch") && error.ends_with(r#""field":"key"}"#), "{error}");
    let large = format!(r#"{{"op":"publish","ref":1,"topic":"k","data":"{}"}}"#, "x".repeat(65_536));
    let error = said(&mut conn, &large).await;
    assert!(error.contains("too-large") && error.ends_with(r#""field":"data"}"#), "{error}");
}

#[tokio::test]
async fn the_first_subscription_may_say_where_to_begin() {
    let server = harness::start();
    let ids = server.publish_all("a", 0..5).await;
    for (position, first) in [(r#""after":"earliest""#, 0), (r#""last":2"#, 3)] {
        let mut conn = open(&server, "/v1/websocket").await;
        receive_text(&mut conn).await;
        conn.send(text(&format!(r#"{{"op":"subscribe","ref":1,"topic":"a",{position}}}"#))).await;
        assert!(receive_text(&mut conn).await.contains("ack"));
        for id in &ids[first..] {
            assert!(receive_text(&mut conn).await.contains(id));
        }
    }
}

/// What a client does, the code, the reason.
#[rstest]
#[case::done(close(1000), 1000, "")]
#[case::leaves(close(1001), 1001, "")]
#[case::own(close(3000), 3000, "")]
#[case::bad_code(close(1005), 1002, "invalid_close_code")]
#[case::unmasked(b"\x81\x01x".to_vec(), 1002, "unmasked_frame")]
#[case::reserved(frame(0xC1, b"x"), 1002, "reserved_bits")]
#[case::continuation(frame(0x80, b"x"), 1002, "unexpected_continuation")]
#[case::not_utf8(frame(0x81, b"\xFF"), 1007, "invalid_utf8")]
#[case::binary(frame(0x82, b"x"), 1003, "text_only")]
#[case::too_big(frame(0x81, &[b'x'; 80_000]), 1009, "message_too_big")]
#[tokio::test]
async fn each_cause_has_its_close(#[case] bytes: Vec<u8>, #[case] code: u16, #[case] reason: &str) {
    let server = harness::start();
    let mut conn = open(&server, "/v1/websocket?topic=a").await;
    receive_text(&mut conn).await;
    conn.send(bytes).await;
    assert_eq!(receive_close(&mut conn).await, (code, reason.to_owned()));
    if reason.is_empty() {
        assert_eq!(conn.rest().await, b"", "both have closed");
    } else {
        conn.send(close(code)).await;
        assert_eq!(conn.rest().await, b"", "our close was answered");
    }
}

#[tokio::test]
async fn what_a_client_must_understand_comes_after_the_handshake() {
    let server = harness::start();
    let mut conn = open(&server, "/v1/websocket?topic=a//b").await;
    let error = receive_text(&mut conn).await;
    assert!(error.starts_with(r#"{"control":"error","type":"/docs/errors#invalid-request""#), "{error}");
    assert_eq!(receive_close(&mut conn).await, (1008, "invalid_request".to_owned()));

    let full = harness::start_with(|config| config.max_connections = 1);
    let _first = open(&full, "/v1/websocket?topic=a").await;
    let mut conn = open(&full, "/v1/websocket?topic=a").await;
    assert!(receive_text(&mut conn).await.contains("\"status\":503"));
    assert_eq!(receive_close(&mut conn).await, (1013, "unavailable".to_owned()));
}

#[rstest]
#[tokio::test]
async fn a_drain_is_told(#[values("/v1/websocket?topic=a", "/v1/echo")] target: &str) {
    let mut server = harness::start();
    let mut conn = open(&server, target).await;
    if target != "/v1/echo" {
        receive_text(&mut conn).await;
    }
    server.shut_down();
    if target != "/v1/echo" {
        assert!(receive_text(&mut conn).await.starts_with(r#"{"control":"reconnect","after_ms":"#));
    }
    assert_eq!(receive_close(&mut conn).await, (1012, "drain".to_owned()));
    conn.send(close(1012)).await;
    assert_eq!(conn.rest().await, b"");
    server.ended().await;
}

#[rstest]
#[tokio::test]
async fn a_peer_that_answers_no_ping_is_closed(#[values("/v1/websocket?topic=a", "/v1/echo")] target: &str) {
    let server = harness::start_with(|config| config.heartbeat = Duration::from_millis(200));
    let mut conn = open(&server, target).await;
    let mut pings = 0;
    let (code, reason) = loop {
        let (first, payload) = receive(&mut conn).await.expect("a frame");
        match first {
            0x81 => assert!(String::from_utf8(payload).unwrap().contains("control")),
            0x89 => pings += 1,
            0x88 => break (u16::from_be_bytes([payload[0], payload[1]]), payload[2..].to_vec()),
            other => panic!("{other:#x}"),
        }
    };
    assert_eq!((code, &*reason, pings), (1011, &b"ping_timeout"[..], 2));

    let mut conn = open(&server, target).await;
    for _ in 0..5 {
        while receive(&mut conn).await.expect("a frame").0 != 0x89 {}
        conn.send(frame(0x8A, b"")).await;
    }
}

#[tokio::test]
async fn an_echo_says_the_same() {
    let server = harness::start_with(|config| config.max_event = ByteSize::kib(64));
    let mut conn = open(&server, "/v1/echo").await;
    for length in [0, 1, 125, 126, 65_535, 65_536] {
        let payload = vec![b'x'; length];
        for first in [0x81, 0x82] {
            conn.send(frame(first, &payload)).await;
            assert_eq!(receive(&mut conn).await, Some((first, payload.clone())));
        }
    }
    // In fragments, with a ping between them.
    conn.send([frame(0x01, "é".as_bytes()[..1].as_ref()), frame(0x89, b"p")].concat()).await;
    assert_eq!(receive(&mut conn).await, Some((0x8A, b"p".to_vec())));
    conn.send(frame(0x80, &"é".as_bytes()[1..])).await;
    assert_eq!(receive_text(&mut conn).await, "é");
    conn.send(frame(0x88, b"")).await;
    assert_eq!(receive(&mut conn).await, Some((0x88, Vec::new())));
    assert_eq!(conn.rest().await, b"");
}

/// `Hello` as RFC 7692, 7.2.3.1 compresses it.
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[tokio::test]
async fn compression_is_for_those_who_ask() {
    let offer = ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"];
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let server = harness::start();
    let mut conn = Conn::open(server.addr).await;
    conn.send(handshake("/v1/echo", &offer)).await;
    assert_eq!(conn.head().await.get("sec-websocket-extensions"), Some(agreed));
    conn.send(frame(0xC1, HELLO)).await;
    assert_eq!(receive(&mut conn).await, Some((0xC1, HELLO.to_vec())));
    conn.send(frame(0xC1, b"\xFF\xFF")).await;
    assert_eq!(receive_close(&mut conn).await.0, 1007);

    let mut conn = Conn::open(server.addr).await;
    conn.send(handshake("/v1/websocket?topic=a", &offer)).await;
    assert_eq!(conn.head().await.get("sec-websocket-extensions"), None, "off unless asked for");

    let server = harness::start_with(|config| config.websocket_compression = true);
    let mut conn = Conn::open(server.addr).await;
    conn.send(handshake("/v1/websocket?topic=a", &offer)).await;
    assert_eq!(conn.head().await.get("sec-websocket-extensions"), Some(agreed));
    let (first, hello) = receive(&mut conn).await.unwrap();
    assert_eq!(first, 0xC1);
    assert!(!hello.starts_with(b"{"));
    // Who offers nothing gets it plain.
    let mut plain = open(&server, "/v1/websocket?topic=a").await;
    assert!(receive_text(&mut plain).await.contains("hello"));
    assert_eq!(server.ask(get("/healthz")).await.status(), 200);
}
