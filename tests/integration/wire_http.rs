//! The exact bytes of the endpoints over HTTP. That they are the same on both paths is what `paths` shows.

use std::time::Duration;

use bytesize::ByteSize;
use rstest::rstest;

use crate::{
    harness::{self, Epoch, Server},
    http::{Answer, Conn, Piece, get, get_with, post, soon},
    kernel::read_by_peer,
};

fn undated(head: &str) -> String {
    let lines = head.split_inclusive("\r\n").filter(|line| !line.starts_with("date: "));
    lines.collect()
}

fn whole(epoch: &Epoch, answer: &Answer) -> String {
    let lengthless: String = undated(&answer.head.raw)
        .split_inclusive("\r\n")
        .map(|line| if line.starts_with("content-length: ") { "content-length: L\r\n" } else { line })
        .collect();
    epoch.mask(lengthless + answer.text())
}

#[tokio::test]
async fn a_poll() {
    let server = harness::start();
    let epoch = server.epoch().await;
    let asked = async |query: &str| whole(&epoch, &server.get(&format!("/v1/poll?topic=a&{query}")).await);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\n";
    assert_eq!(
        asked("").await,
        format!(
            "{head}fanlight-cursor: E-0\r\ncontent-length: L\r\n\r\n{{\"events\":[],\"cursor\":\"E-0\"}}"
        )
    );
    server.publish_all("a", 0..3).await;
    assert_eq!(
        asked(&format!("after={}", epoch.at(1))).await,
        format!(
            "{head}fanlight-cursor: E-3\r\ncontent-length: L\r\n\r\n{{\"events\":[\
             {{\"id\":\"E-2\",\"topic\":\"a\",\"time\":\"T\",\"data\":1}},\
             {{\"id\":\"E-3\",\"topic\":\"a\",\"time\":\"T\",\"data\":2}}],\"cursor\":\"E-3\"}}"
        )
    );
    assert_eq!(
        asked("last=2&limit=1").await,
        format!(
            "{head}fanlight-cursor: E-2\r\ncontent-length: L\r\n\r\n{{\"events\":[\
             {{\"id\":\"E-2\",\"topic\":\"a\",\"time\":\"T\",\"data\":1}}],\"cursor\":\"E-2\",\"more\":true}}"
        )
    );
    assert_eq!(
        asked(&format!("after={}&until={}", epoch.at(0), epoch.at(1))).await,
        format!(
            "{head}fanlight-cursor: E-1\r\ncontent-length: L\r\n\r\n{{\"events\":[\
             {{\"id\":\"E-1\",\"topic\":\"a\",\"time\":\"T\",\"data\":0}}],\"cursor\":\"E-1\"}}"
        )
    );
    assert_eq!(
        asked(&format!("after={}", epoch.at(3))).await,
        "HTTP/1.1 204 No Content\r\ncache-control: no-store\r\nfanlight-cursor: E-3\r\n\r\n"
    );
    let form = post(
        "/v1/poll",
        &["Content-Type: application/x-www-form-urlencoded"],
        "topic=a&after=earliest&limit=1",
    );
    let answer = server.ask(form).await;
    assert_eq!(answer.json()["events"][0]["data"], 0);
    let presented = format!("Last-Event-ID: {}", epoch.at(2));
    let answer = server.ask(get_with("/v1/poll?topic=a&after=earliest", &[&presented])).await;
    assert_eq!(answer.json()["events"][0]["data"], 2, "the header beats the query");
}

#[rstest]
#[case("chunked", "application/x-ndjson", [
    "{\"control\":\"hello\",\"cursor\":\"E-1\"}\n",
    "{\"control\":\"gap\",\"from\":\"E-1\",\"to\":\"E-2\",\"reason\":\"evicted\"}\n",
    "{\"id\":\"E-3\",\"topic\":\"a\",\"time\":\"T\",\"data\":2}\n",
])]
#[case("sse", "text/event-stream", [
    "retry: 2000\nid: E-1\nevent: control\ndata: {\"control\":\"hello\",\"cursor\":\"E-1\"}\n\n",
    "event: control\ndata: {\"control\":\"gap\",\"from\":\"E-1\",\"to\":\"E-2\",\"reason\":\"evicted\"}\n\n",
    "id: E-3\ndata: {\"id\":\"E-3\",\"topic\":\"a\",\"time\":\"T\",\"data\":2}\n\n",
])]
#[tokio::test]
async fn a_stream(#[case] name: &str, #[case] media_type: &str, #[case] units: [&str; 3]) {
    let server = harness::start_with(|config| {
        config.history_events = 1;
        config.heartbeat = Duration::from_millis(300);
    });
    let epoch = server.epoch().await;
    server.publish_all("a", 0..3).await;
    let mut conn = Conn::open(server.addr).await;
    conn.send(get(&format!("/v1/{name}?topic=a&after={}", epoch.at(1)))).await;
    let head = conn.head().await;
    assert_eq!(
        undated(&head.raw),
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncache-control: no-cache, no-transform\r\n\
             x-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n"
        )
    );
    let mut body = Vec::new();
    // The heartbeat comes when the rest has, and moves the cursor.
    server.publish("other", "0").await;
    let beat = format!("\"cursor\":\"{}\"}}", epoch.at(4));
    while !String::from_utf8_lossy(&body).contains(&beat) {
        let Piece::Data(data) = soon(conn.piece()).await else { panic!("the stream ended") };
        body.extend(data);
    }
    let masked = epoch.mask(&body);
    let rest = masked.strip_prefix(&*units.concat()).unwrap_or_else(|| panic!("{masked}"));
    let beat = match name {
        "sse" => "id: E-4\nevent: control\ndata: {\"control\":\"cursor\",\"cursor\":\"E-4\"}\n\n",
        _ => "{\"control\":\"cursor\",\"cursor\":\"E-4\"}\n",
    };
    assert_eq!(rest, beat);
}

/// The hub, hyper, and the hub again: whatever is asked on one connection is answered, in order.
#[tokio::test]
async fn one_connection_asks_this_and_that() {
    let server = harness::start();
    let epoch = server.epoch().await;
    let mut conn = Conn::open(server.addr).await;
    let long = |cursor: &str| get(&format!("/v1/longpoll?topic=a&timeout=20&after={cursor}"));
    let mut cursor = epoch.at(0);
    for turn in 0..4 {
        conn.send(long(&cursor)).await;
        read_by_peer(server.addr, &conn).await;
        cursor = server.publish("a", &turn.to_string()).await;
        let answer = conn.answer().await;
        assert_eq!(answer.head.get("fanlight-cursor"), Some(&*cursor));
        assert_eq!(answer.json()["events"][0]["data"], turn);
        // Another question; another path; one that waits for nothing; one that is refused.
        conn.send(get(&format!("/v1/longpoll?topic=b&timeout=1&after={cursor}"))).await;
        if turn == 2 {
            assert_eq!(conn.answer().await.status(), 204);
        } else {
            let id = server.publish("b", "0").await;
            assert_eq!(conn.answer().await.json()["cursor"], *id);
            cursor = id;
        }
        conn.send(get("/v1/cursor")).await;
        assert_eq!(conn.answer().await.json()["cursor"], *cursor);
        conn.send(get("/v1/longpoll?topic=a&after=earliest")).await;
        assert_eq!(conn.answer().await.json()["events"][0]["data"], 0);
        conn.send(long(&epoch.at(999))).await;
        conn.answer().await.is_problem(400, "invalid-request", Some("after"));
    }
}

#[tokio::test]
async fn what_is_sent_behind_a_waiting_long_poll_waits() {
    let server = harness::start();
    let epoch = server.epoch().await;
    for first in ["/v1/longpoll?topic=a&timeout=20", "/v1/longpoll?topic=a&topic=b&timeout=20"] {
        let mut conn = Conn::open(server.addr).await;
        let start = server.cursor().await;
        let same = get(&format!("{first}&after={start}"));
        // All in one piece: the same again, and then something else.
        conn.send(format!("{same}{same}{}", get("/v1/cursor"))).await;
        read_by_peer(server.addr, &conn).await;
        let id = server.publish("a", "1").await;
        for _ in 0..2 {
            assert_eq!(conn.answer().await.json()["events"][0]["id"], *id);
        }
        assert_eq!(conn.answer().await.json()["cursor"], *id);
    }
    drop(epoch);
}

#[rstest]
#[case::old("HTTP/1.0", "")]
#[case::last("HTTP/1.1", "Connection: close\r\n")]
#[tokio::test]
async fn a_connection_that_is_to_close_closes(#[case] version: &str, #[case] header: &str) {
    let server = harness::start();
    let cursor = server.cursor().await;
    for path in ["poll", "longpoll"] {
        let mut conn = Conn::open(server.addr).await;
        let target = format!("/v1/{path}?topic=a&after={cursor}&timeout=1");
        let target = if path == "poll" { target.replace("&timeout=1", "") } else { target };
        conn.send(format!("GET {target} {version}\r\nHost: localhost\r\n{header}\r\n")).await;
        let answer = conn.answer().await;
        assert_eq!(answer.status(), 204);
        assert_eq!(conn.rest().await, b"", "{path}");
    }
    for path in ["chunked", "sse"] {
        let mut conn = Conn::open(server.addr).await;
        conn.send(format!("GET /v1/{path}?topic=a HTTP/1.0\r\nHost: localhost\r\n\r\n")).await;
        let head = conn.head().await;
        assert_eq!(head.get("transfer-encoding"), None, "HTTP/1.0 has no chunks");
        let id = server.publish("a", "1").await;
        soon(conn.through(id.as_bytes())).await.expect("the event");
    }
}

#[rstest]
#[case("/v1/poll?topic=a", "content-type: application/json")]
#[case("/v1/longpoll?topic=a&after=earliest", "content-type: application/json")]
#[case("/v1/chunked?topic=a", "content-type: application/x-ndjson")]
#[case("/v1/sse?topic=a", "content-type: text/event-stream")]
#[case("/v1/cursor", "content-type: application/json")]
#[case("/healthz", "content-type: text/plain; charset=utf-8")]
#[tokio::test]
async fn a_head_alone(#[case] target: &str, #[case] field: &str) {
    let server = harness::start();
    let mut conn = Conn::open(server.addr).await;
    for _ in 0..2 {
        conn.send(format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let head = conn.head().await;
        assert_eq!(head.status, 200);
        assert!(head.raw.contains(field), "{}", head.raw);
    }
    conn.send(get("/healthz")).await;
    assert_eq!(conn.answer().await.text(), "ok\n", "no body came in between");
}

#[rstest]
#[case("/v1/poll?topic=a", "application/json")]
#[case("/v1/longpoll?topic=a", "application/json")]
#[case("/v1/chunked?topic=a", "application/x-ndjson")]
#[case("/v1/sse?topic=a", "text/event-stream")]
#[case("/v1/cursor", "application/json")]
#[tokio::test]
async fn what_a_client_does_not_accept_is_not_sent(#[case] target: &str, #[case] sent: &str) {
    let server = harness::start();
    let answer = server.ask(get_with(target, &["Accept: image/png"])).await;
    answer.is_problem(406, "not-acceptable", Some("Accept"));
    assert!(answer.text().contains(sent));
    let request = post("/v1/publish?topic=a", &["Accept: text/html", "Content-Type: application/json"], "1");
    server.ask(request).await.is_problem(406, "not-acceptable", Some("Accept"));
}

/// What a request has wrong, the status, the problem and the field.
#[rstest]
#[case("GET /v1/poll", 400, "topic")]
#[case("GET /v1/poll?topic=", 400, "topic")]
#[case("GET /v1/poll?topic=a//b", 400, "topic")]
#[case("GET /v1/poll?topic=a*", 400, "topic")]
#[case("GET /v1/poll?topic=**/a", 400, "topic")]
#[case("GET /v1/poll?topic=%ff", 400, "topic")]
#[case("GET /v1/poll?topic=a&after=x", 400, "after")]
#[case("GET /v1/poll?topic=a&after=z-01", 400, "after")]
#[case("GET /v1/poll?topic=a&last=0", 400, "last")]
#[case("GET /v1/poll?topic=a&last=1&after=z-1", 400, "last")]
#[case("GET /v1/poll?topic=a&limit=1001", 400, "limit")]
#[case("GET /v1/poll?topic=a&until=z-1", 400, "until")]
#[case("GET /v1/poll?topic=a&after=z-1&until=y-1", 400, "until")]
#[case("GET /v1/poll?topic=a&timeout=1", 400, "timeout")]
#[case("GET /v1/longpoll?topic=a&timeout=61", 400, "timeout")]
#[case("GET /v1/sse?topic=a&heartbeat=4", 400, "heartbeat")]
#[case("GET /v1/chunked?topic=a&heartbeat=nan", 400, "heartbeat")]
#[case("GET /v1/chunked?topics=a", 400, "topics")]
#[case("POST /v1/publish", 400, "topic")]
#[case("POST /v1/publish?topic=a/*", 400, "topic")]
#[case("POST /v1/publish?topic=$a", 403, "topic")]
#[case("POST /v1/publish?topic=a&type=%0a", 400, "type")]
#[case("POST /v1/publish?topic=a&x=1", 400, "x")]
#[case("POST /v1/publish?topic=a&topic=b", 400, "topic")]
#[tokio::test]
async fn a_fault_names_its_field(#[case] request: &str, #[case] status: u16, #[case] field: &str) {
    let server = harness::start();
    let (method, target) = request.split_once(' ').unwrap();
    let body = if method == "POST" { "1" } else { "" };
    let content =
        if method == "POST" { "Content-Type: application/json\r\nContent-Length: 1\r\n" } else { "" };
    let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{content}\r\n{body}");
    let answer = server.ask(request).await;
    let word = if status == 403 { "not-allowed" } else { "invalid-request" };
    answer.is_problem(status, word, Some(field));
    assert!(server.cursor().await.ends_with("-0"), "nothing was left behind");
}

#[tokio::test]
async fn what_hyper_cannot_read_is_a_problem_too() {
    let server = harness::start();
    for (request, status, word) in [
        ("nonsense\r\n\r\n".to_owned(), 400, "invalid-request"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nx\0y: 1\r\n\r\n".to_owned(), 400, "invalid-request"),
        (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(9000)), 414, "uri-too-long"),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nx: {}\r\n\r\n", "x".repeat(17_000)),
            431,
            "head-too-large",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nx: {}\r\n\r\n", "x".repeat(70_000)),
            431,
            "head-too-large",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "x: y\r\n".repeat(200)),
            431,
            "head-too-large",
        ),
    ] {
        let mut conn = Conn::open(server.addr).await;
        // A good one before it is answered as always.
        conn.send(format!("{}{request}", get("/healthz"))).await;
        assert_eq!(conn.answer().await.text(), "ok\n");
        conn.answer().await.is_problem(status, word, None);
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_a_problem() {
    let server = harness::start_with(|config| config.head_timeout = Duration::from_millis(300));
    let mut conn = Conn::open(server.addr).await;
    conn.send("GET / HTTP/1.1\r\nHost: loc").await;
    conn.answer().await.is_problem(408, "request-timeout", None);
    assert_eq!(conn.rest().await, b"");
}

#[tokio::test]
async fn other_refusals() {
    let server = harness::start_with(|config| config.body_timeout = Duration::from_millis(300));
    server.get("/nothing").await.is_problem(404, "not-found", None);
    let answer = server.ask("DELETE /v1/poll?topic=a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    answer.is_problem(405, "method-not-allowed", None);
    assert_eq!(answer.head.get("allow"), Some("GET,HEAD,POST"));
    let body = "GET /v1/poll?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    server.ask(body).await.is_problem(400, "invalid-request", Some("body"));
    let form = post("/v1/poll?topic=a", &["Content-Type: application/json"], "{}");
    server.ask(form).await.is_problem(415, "unsupported-media-type", Some("Content-Type"));
    let slow = "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                Content-Length: 9\r\n\r\nslow";
    server.ask(slow).await.is_problem(408, "request-timeout", Some("body"));
    let foreign = server.ask("GET /v1/cursor HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    foreign.is_problem(403, "not-allowed", Some("Host"));
    assert!(foreign.text().contains("evil.example"));
    for (target, hosts) in [
        ("", ""),
        ("", "Host: localhost\r\nHost: evil.example\r\n"),
        ("", "Host: evil.example@localhost\r\n"),
        ("http://evil.example", "Host: localhost\r\n"),
    ] {
        let answer = server.ask(format!("GET {target}/v1/cursor HTTP/1.1\r\n{hosts}\r\n")).await;
        answer.is_problem(400, "invalid-request", Some("Host"));
    }
    let absolute = server.ask("GET http://localhost/v1/cursor HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(absolute.status(), 200);
    // What it says would be published as if it were not compressed.
    for (coding, status, word) in [
        ("Content-Encoding: gzip", 415, "unsupported-media-type"),
        ("Transfer-Encoding: gzip, chunked", 400, "invalid-request"),
        // Another server would take the one for the coding of the other.
        ("Transfer-Encoding: chunked\r\nTransfer-encoding: chunked", 400, "invalid-request"),
    ] {
        let request = format!(
            "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
             {coding}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
        );
        let request = match status {
            400 => request.replacen("Transfer-Encoding: chunked\r\n", "", 1),
            _ => request,
        };
        server.ask(request).await.is_problem(status, word, coding.split(':').next());
    }
    let page = server.ask(get_with("/v1/cursor", &["Origin: https://evil.example"])).await;
    page.is_problem(403, "not-allowed", Some("Origin"));
    assert!(server.cursor().await.ends_with("-0"));
}

#[tokio::test]
async fn pages_of_other_origins() {
    let server = harness::start_with(|config| config.allow_origin = vec!["https://a.example".to_owned()]);
    let answer = server.ask(get_with("/v1/cursor", &["Origin: https://a.example"])).await;
    answer.head.has(&[
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-expose-headers", "fanlight-cursor,retry-after"),
        ("vary", "origin"),
    ]);
    let preflight = "OPTIONS /v1/publish HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.example\r\n\
                     Access-Control-Request-Method: POST\r\n\
                     Access-Control-Request-Headers: idempotency-key\r\n\r\n";
    let answer = server.ask(preflight).await;
    assert_eq!(answer.status(), 200);
    answer.head.has(&[
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-headers", "content-type,authorization,last-event-id,idempotency-key"),
        ("access-control-max-age", "7200"),
    ]);
    let plain = server.get("/v1/cursor").await;
    assert!(!plain.head.raw.contains("vary") && !plain.head.raw.contains("access-control"));
}

#[tokio::test]
async fn too_many_connections_are_told_so() {
    let server = harness::start_with(|config| config.max_connections = 1);
    let mut first = Conn::open(server.addr).await;
    first.send(get("/v1/sse?topic=a")).await;
    first.head().await;
    let refused = server.get("/v1/poll?topic=a").await;
    refused.is_problem(503, "unavailable", None);
    assert!(refused.head.get("retry-after").is_some());
    assert_eq!(refused.head.get("connection"), Some("close"));
    // An EventSource would give up for good on anything but 200.
    let mut second = Conn::open(server.addr).await;
    second.send(get("/v1/sse?topic=a")).await;
    let answer = second.answer().await;
    assert_eq!(answer.status(), 200);
    assert!(
        answer.text().starts_with("retry: ") && answer.text().contains("\"status\":503"),
        "{}",
        answer.text()
    );
    assert_eq!(server.get("/healthz").await.text(), "ok\n");
    assert!(server.get("/metrics").await.text().contains("\nfanlight_connections "));
}

// 1. Subscribers fill the gateway. 2. Publishers, who have a listener of their own, were refused as well.
#[tokio::test]
async fn however_many_subscribers_there_are_publishers_get_through() {
    let mut server = harness::start_with(|config| {
        config.max_connections = 1;
        config.publish_listen = Some(([127, 0, 0, 1], 0).into());
    });
    let mut subscriber = Conn::open(server.addr).await;
    subscriber.send(get("/v1/sse?topic=a")).await;
    subscriber.head().await;
    server.get("/v1/cursor").await.is_problem(503, "unavailable", None);
    // They have a limit of the same size for themselves, which one connection reaches here.
    let inside = server.publish_addr.unwrap();
    let mut publisher = Conn::open(inside).await;
    publisher.send(post("/v1/publish?topic=a", &["Content-Type: application/json"], "1")).await;
    let id = harness::id_of(&publisher.answer().await);
    soon(subscriber.through(id.as_bytes())).await.expect("the event");
    Server::elsewhere(inside).get("/v1/cursor").await.is_problem(503, "unavailable", None);
    publisher.send(get("/v1/stats")).await;
    assert_eq!(publisher.answer().await.status(), 200);
    // The gateway waits for them too at its end.
    server.shut_down();
    assert_eq!(publisher.rest().await, b"");
    soon(server.ended()).await;
}

#[tokio::test]
async fn what_each_listener_takes() {
    let server = harness::start_with(|config| config.publish_listen = Some(([127, 0, 0, 1], 0).into()));
    let inside = Server::elsewhere(server.publish_addr.unwrap());
    server.ask(post("/v1/publish?topic=a", &["Content-Type: application/json"], "1")).await.is_problem(
        404,
        "not-found",
        None,
    );
    inside.get("/v1/poll?topic=a").await.is_problem(404, "not-found", None);
    let id = inside.publish("a", "1").await;
    assert_eq!(server.cursor().await, id);
    for listener in [&server, &inside] {
        assert_eq!(listener.get("/docs/errors").await.status(), 200);
        assert_eq!(listener.get("/readyz").await.text(), "ready\n");
    }
}

/// Another application's server: everything works under a path of its own, over the hosted path.
#[tokio::test]
async fn nested_under_a_path() {
    let config = fanlight::config::Config {
        history_age: Duration::from_millis(500),
        history_bytes: ByteSize::mib(1),
        ..fanlight::config::Config::default()
    };
    let gateway = fanlight::app::Gateway::new(config);
    let app = axum::Router::new().nest("/realtime", gateway.router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::elsewhere(listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let start = server.get("/realtime/v1/cursor").await.json()["cursor"].as_str().unwrap().to_owned();
    let mut streams = Vec::new();
    for path in ["sse", "chunked", "websocket", "longpoll"] {
        let mut conn = Conn::open(server.addr).await;
        let target = format!("/realtime/v1/{path}?topic=a&after={start}");
        let request = if path == "websocket" { crate::frames::handshake(&target, &[]) } else { get(&target) };
        conn.send(request).await;
        streams.push(conn);
    }
    let id = gateway.publish_json("a", None, b"1").unwrap().to_string();
    for conn in &mut streams {
        soon(conn.through(format!("\"id\":\"{id}\"").as_bytes())).await.expect("the event");
    }
    let held = async || server.get("/realtime/v1/poll?topic=a&after=earliest").await.status() == 200;
    soon(async {
        while held().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    serving.abort();
}

/// The page that every problem points to names them all, and how each closes a WebSocket.
#[tokio::test]
async fn the_page_of_problems_is_whole() {
    let page = harness::start().get("/docs/errors").await;
    let page = page.text();
    for code in fanlight::error::ALL {
        let kind = code.kind();
        let row = page.lines().find(|line| line.contains(&format!("<a id=\"{}\"></a>", kind.word)));
        let row = row.unwrap_or_else(|| panic!("{} is missing", kind.word));
        assert!(row.contains(&format!("| {} |", kind.status)), "{row}");
        let close = format!("{} `{}`", kind.close.0, kind.close.1);
        assert!(row.contains(&close) || row.contains("| – |"), "{row}: {close}");
    }
    for word in ["text_only", "ping_timeout", "drain", "message_too_big", "invalid_utf8", "invalid_deflate"] {
        assert!(page.contains(&format!("`{word}`")), "{word} is missing");
    }
}
