//! The two delivery paths beside each other: whatever path a connection takes, its client sees the same bytes.

use std::time::Duration;

use bytesize::ByteSize;
use fanlight::config::Config;
use rstest::rstest;

use crate::{
    harness::{self, Server},
    http::{Conn, Piece, get, get_with, post, soon},
    kernel::read_by_peer,
    subscriber::Transport::{self, Chunked, Longpoll, Sse, Websocket},
};

const HANDSHAKE: &[&str] = &[
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// A gateway on one path, whose cursors are as long as those of any other.
async fn on(taken: bool, configure: impl Fn(&mut Config)) -> Server {
    loop {
        let server = harness::start_with(|config| {
            configure(config);
            config.no_takeover = !taken;
        });
        if server.epoch().await.0.len() == 13 {
            return server;
        }
    }
}

fn request(transport: Transport, target: &str, header: &str) -> String {
    let mut headers = vec![header];
    if transport == Websocket {
        headers.extend(HANDSHAKE);
    }
    get_with(target, &headers)
}

/// The digits that differ from run to run: the date, and the pause that is drawn by chance.
fn plain(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        lines.push(match line.split_once(": ") {
            Some(("date", _)) => "date: D\r".to_owned(),
            Some(("retry", _)) => "retry: N".to_owned(),
            _ => match line.split_once(r#""after_ms":"#) {
                Some((before, _)) => format!(r#"{before}"after_ms":N}}"#),
                None => line.to_owned(),
            },
        });
    }
    lines.join("\n")
}

/// What a stream says from its head to its end: a gap, what is held, what comes, and the drain.
async fn whole_stream(taken: bool, transport: Transport, header: &str) -> String {
    let mut server = on(taken, |config| {
        config.history_events = 3;
        config.allow_origin = vec!["https://other.example".to_owned()];
    })
    .await;
    let epoch = server.epoch().await;
    server.publish_all("a", 0..5).await;
    let target = format!("{}?topic=a&topic=b/*&after={}", transport.path(), epoch.at(1));
    let mut conn = Conn::open(server.addr).await;
    conn.send(request(transport, &target, header)).await;
    let head = conn.head().await;
    let mut body = Vec::new();
    let text = format!("{:?}", "x".repeat(50_000));
    for (topic, data) in [("b/1", "1"), ("a", &text), ("c", "2"), ("b/2", "3")] {
        let id = server.publish(topic, data).await;
        // One after the other, so that what is coalesced is the same.
        while topic != "c" && !String::from_utf8_lossy(&body).contains(&id) {
            body.extend(next(&mut conn, transport).await.expect("the stream goes on"));
        }
    }
    server.shut_down();
    let end = if transport == Websocket { "drain" } else { "reconnect" };
    while !String::from_utf8_lossy(&body).contains(end) {
        body.extend(next(&mut conn, transport).await.expect("the stream goes on"));
    }
    if transport != Websocket {
        assert_eq!(soon(conn.piece()).await, Piece::Last);
        assert_eq!(conn.rest().await, b"");
    }
    plain(&format!("{}{}", head.raw, epoch.mask(String::from_utf8_lossy(&body).as_bytes())))
}

async fn next(conn: &mut Conn, transport: Transport) -> Option<Vec<u8>> {
    if transport == Websocket {
        assert!(soon(conn.fill()).await, "the stream goes on");
        conn.take(conn.seen().len()).await
    } else {
        match soon(conn.piece()).await {
            Piece::Data(data) => Some(data),
            Piece::Last | Piece::Cut => None,
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_stream_has_the_same_bytes(
    #[values(Chunked, Sse, Websocket)] transport: Transport,
    #[values("Accept: */*", "Origin: https://other.example")] header: &str,
) {
    let (taken, hosted) =
        (whole_stream(true, transport, header).await, whole_stream(false, transport, header).await);
    assert_eq!(taken, hosted);
    assert!(taken.contains("evicted"), "{taken}");
}

/// What a client hears that asks again and again: events, a gap, nothing, and the drain.
async fn long_polls(taken: bool, header: &str, in_header: bool) -> String {
    let mut server = on(taken, |config| {
        config.history_events = 3;
        config.allow_origin = vec!["https://other.example".to_owned()];
    })
    .await;
    let epoch = server.epoch().await;
    server.publish_all("a", 0..5).await;
    let mut conn = Conn::open(server.addr).await;
    let mut said = String::new();
    let ask = |cursor: &str| {
        if in_header {
            let presented = format!("Last-Event-ID: {cursor}");
            get_with("/v1/longpoll?topic=a&timeout=2&limit=2", &[header, &presented])
        } else {
            get_with(&format!("/v1/longpoll?topic=a&timeout=2&limit=2&after={cursor}"), &[header])
        }
    };
    let mut cursor = epoch.at(1);
    for turn in 0..6 {
        conn.send(ask(&cursor)).await;
        if turn >= 3 {
            read_by_peer(server.addr, &conn).await;
            match turn {
                4 => drop(server.publish("a", r#""live""#).await),
                5 => server.shut_down(),
                _ => {}
            }
        }
        let answer = conn.answer().await;
        cursor = answer.head.get("fanlight-cursor").expect("each answer tells it").to_owned();
        said += &epoch.mask(&answer.head.raw);
        said += &epoch.mask(&answer.body);
        said += "\n";
    }
    assert_eq!(conn.rest().await, b"");
    plain(&said)
}

#[rstest]
#[tokio::test]
async fn long_polls_have_the_same_bytes(
    #[values("Accept: */*", "Origin: https://other.example")] header: &str,
    #[values(false, true)] in_header: bool,
) {
    let (taken, hosted) =
        (long_polls(true, header, in_header).await, long_polls(false, header, in_header).await);
    assert_eq!(taken, hosted);
    for word in ["evicted", "live", "204 No Content", "connection: close"] {
        assert!(taken.contains(word), "{word} is missing in {taken}");
    }
}

/// What a client hears that polls on one connection: the first answer is hyper's, the next are the hub's, and
/// what the hub does not know goes back.
async fn polls(taken: bool, header: &str, in_header: bool) -> String {
    let server = on(taken, |config| {
        config.history_events = 3;
        config.allow_origin = vec!["https://other.example".to_owned()];
    })
    .await;
    let epoch = server.epoch().await;
    server.publish_all("a", 0..5).await;
    let mut conn = Conn::open(server.addr).await;
    let mut said = String::new();
    let mut cursor = epoch.at(1);
    let requests = |cursor: &str, turn: usize| {
        let presented = format!("Last-Event-ID: {cursor}");
        match turn {
            // Another question, then one with an end, then one that is none.
            7 => get_with(&format!("/v1/poll?topic=b&after={cursor}"), &[header]),
            9 => get_with(&format!("/v1/poll?topic=a&after={}&until={cursor}", epoch.at(4)), &[header]),
            10 => get_with("/v1/poll?topic=a&after=nonsense", &[header]),
            _ if in_header => get_with("/v1/poll?topic=a&limit=2", &[header, &presented]),
            _ => get_with(&format!("/v1/poll?topic=a&limit=2&after={cursor}"), &[header]),
        }
    };
    for turn in 0..12 {
        if turn == 5 {
            server.publish("a", r#""live""#).await;
        }
        conn.send(requests(&cursor, turn)).await;
        let answer = conn.answer().await;
        if let Some(next) = answer.head.get("fanlight-cursor") {
            cursor = next.to_owned();
        }
        said += &epoch.mask(&answer.head.raw);
        said += &epoch.mask(&answer.body);
        said += "\n";
    }
    // Two at once are answered in their order.
    conn.send(requests(&cursor, 1) + &requests(&cursor, 1)).await;
    for _ in 0..2 {
        said += &epoch.mask(&conn.answer().await.head.raw);
    }
    plain(&said)
}

#[rstest]
#[tokio::test]
async fn polls_have_the_same_bytes(
    #[values("Accept: */*", "Origin: https://other.example")] header: &str,
    #[values(false, true)] in_header: bool,
) {
    let (taken, hosted) = (polls(true, header, in_header).await, polls(false, header, in_header).await);
    assert_eq!(taken, hosted);
    for word in ["evicted", "live", "204 No Content", "400 Bad Request"] {
        assert!(taken.contains(word), "{word} is missing in {taken}");
    }
}

/// What a publisher hears on one connection, and what it left in the log: most of it is the hub's to read, the rest
/// goes back to hyper.
async fn publishes(taken: bool, header: &str, media_type: &str) -> String {
    let server = on(taken, |config| {
        config.max_event = ByteSize::kib(4);
        config.allow_origin = vec!["https://other.example".to_owned()];
    })
    .await;
    let epoch = server.epoch().await;
    let mut conn = Conn::open(server.addr).await;
    let content = format!("Content-Type: {media_type}");
    let publish = |target: &str, headers: &[&str], body: &str| {
        post(target, &[&[header, &content], headers].concat(), body)
    };
    let usual = |body: &str| publish("/v1/publish?topic=a/b&type=t", &[], body);
    let mut said = String::new();
    let mut hear = async |conn: &mut Conn| {
        let answer = conn.answer().await;
        said += &epoch.mask(answer.head.raw.clone() + answer.text());
        said += "\n";
    };
    for turn in 0..40 {
        let number = format!("{turn}");
        let request = match turn {
            5 => publish("/v1/publish?topic=c", &[], "5"),
            8 => publish("/v1/publish?topic=a/b&type=t", &["Idempotency-Key: k"], "8"),
            12 => usual("{\"broken\":"),
            13 => usual(&"1".repeat(5000)),
            14 => usual(""),
            16 => get("/v1/cursor").into_bytes(),
            _ => usual(&number),
        };
        conn.send(request).await;
        hear(&mut conn).await;
    }
    // Who sent so many others is not expected to send the same again: another connection.
    let mut conn = Conn::open(server.addr).await;
    for number in ["40", "41"] {
        conn.send(usual(number)).await;
        hear(&mut conn).await;
    }
    // Many at once, of which one is cut; then one that comes byte by byte.
    let many: Vec<u8> = (0..100).flat_map(|number| usual(&format!("{number}"))).collect();
    let (first, rest) = many.split_at(many.len() - 30);
    conn.send(first).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    conn.send(rest).await;
    for _ in 0..100 {
        hear(&mut conn).await;
    }
    for byte in usual("\"slow\"") {
        conn.send([byte]).await;
    }
    hear(&mut conn).await;
    // Half of one, and never the rest of it.
    let half = usual("\"half\"");
    conn.send(&half[..half.len() - 2]).await;
    conn.half_close().await;
    said += &epoch.mask(conn.rest().await);
    said += &epoch.mask(&server.get("/v1/poll?topic=**&after=earliest&limit=1000").await.body);
    if media_type == "application/json" {
        let metrics = server.get("/metrics").await;
        let received = "fanlight_socket_bytes_total{direction=\"in\",path=\"taken\"} ";
        let received = metrics.text().lines().find_map(|line| line.strip_prefix(received));
        let received: u64 = received.expect("it is counted").parse().unwrap();
        assert_eq!(received > 10_000, taken, "{received} bytes were the hub's to read");
    }
    plain(&said)
}

#[rstest]
#[tokio::test]
async fn publishes_have_the_same_bytes(
    #[values("Accept: */*", "Origin: https://other.example", "X-Request-Id: seven")] header: &str,
    #[values("application/json", "text/plain", "image/png")] media_type: &str,
) {
    let (taken, hosted) =
        (publishes(true, header, media_type).await, publishes(false, header, media_type).await);
    assert_eq!(taken, hosted);
    for word in ["\"id\":\"E-136\"", " 413 ", " 400 "] {
        assert!(taken.contains(word), "{word} is missing in {taken}");
    }
}

/// Who asks, and then shuts the sending side (`nc -N`), is answered all that has an answer by now. Who would have to
/// wait is gone.
#[rstest]
#[tokio::test]
async fn what_was_asked_before_a_half_close_is_answered(
    #[values(true, false)] taken: bool,
    #[values(1, 2, 3, 50)] requests: usize,
) {
    let server = on(taken, |_| ()).await;
    server.publish("a", "1").await;
    let json = ["Content-Type: application/json"];
    for (request, words) in [
        (post("/v1/publish?topic=b", &json, "2"), "{\"id\":"),
        (get("/v1/poll?topic=a&after=earliest").into_bytes(), "{\"events\":"),
        (get("/v1/longpoll?topic=a&after=earliest").into_bytes(), "{\"events\":"),
    ] {
        let mut conn = Conn::open(server.addr).await;
        conn.send(request.repeat(requests)).await;
        conn.half_close().await;
        let said = String::from_utf8(conn.rest().await).unwrap();
        assert_eq!(said.matches(words).count(), requests, "{said}");
        assert_eq!(said.matches("HTTP/1.1 200").count(), requests, "{said}");
    }
    // With each request once the last is answered, so that they are the hub's to read.
    let cursor = server.cursor().await;
    for (target, words) in [("poll", "HTTP/1.1 204"), ("longpoll", "")] {
        let mut conn = Conn::open(server.addr).await;
        for _ in 0..requests {
            conn.send(get(&format!("/v1/{target}?topic=a&after=earliest"))).await;
            conn.answer().await;
        }
        conn.send(get(&format!("/v1/{target}?topic=a&after={cursor}"))).await;
        conn.half_close().await;
        let said = String::from_utf8(conn.rest().await).unwrap();
        assert!(if words.is_empty() { said.is_empty() } else { said.starts_with(words) }, "{target}: {said}");
    }
}

/// A connection that came in where only publishers do, and left hyper, is still only that when it comes back.
#[tokio::test]
async fn a_publisher_comes_back_as_one() {
    let server = on(true, |config| config.publish_listen = Some(([127, 0, 0, 1], 0).into())).await;
    let mut conn = Conn::open(server.publish_addr.unwrap()).await;
    for turn in 0..4 {
        conn.send(post("/v1/publish?topic=a", &["Content-Type: application/json"], "1")).await;
        assert_eq!(conn.answer().await.status(), 200, "{turn}");
    }
    conn.send(get("/v1/poll?topic=a")).await;
    conn.answer().await.is_problem(404, "not-found", None);
    conn.send(get("/v1/stats")).await;
    assert_eq!(conn.answer().await.json()["events"]["published"], 4);
}

/// All that leans on hyper's inside is that its buffer is empty when a connection leaves it. With answers that
/// do not fit the kernel's buffer before the request that leaves, it is not empty for long.
#[rstest]
#[tokio::test]
async fn what_was_answered_before_goes_out_before(
    #[values(Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    const POLLS: usize = 20;
    let server = on(true, |config| config.send_buffer = ByteSize::kib(4)).await;
    let text = format!("{:?}", "x".repeat(60_000));
    let large = server.publish("large", &text).await;
    let mut conn = Conn::open_narrow(server.addr).await;
    let target = format!("{}?topic=large&after={large}", transport.path());
    let poll = get("/v1/poll?topic=large&after=earliest").repeat(POLLS);
    conn.send(poll + &request(transport, &target, "Accept: */*")).await;
    // The client reads nothing yet, and the gateway cannot have sent it all.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for poll in 0..POLLS {
        let answer = conn.answer().await;
        assert_eq!(answer.json()["events"][0]["id"], *large, "poll {poll}");
    }
    let next = server.publish("large", "1").await;
    if transport == Longpoll {
        assert_eq!(conn.answer().await.json()["events"][0]["id"], *next);
        return;
    }
    let head = conn.head().await;
    assert_eq!(head.status, if transport == Websocket { 101 } else { 200 });
    soon(conn.through(next.as_bytes())).await.expect("the event");
}

// 1. A client sends more requests at once than hyper's buffer and the hub's hold together. 2. The hub gives what it
// read back to hyper, which has read only a part of it when the next request leaves again. 3. The other part was
// lost, and what came behind it was taken for a malformed request.
#[rstest]
#[tokio::test]
async fn however_many_requests_come_at_once_each_is_answered(#[values(true, false)] taken: bool) {
    const TURNS: usize = 300;
    let server = on(taken, |_| {}).await;
    let epoch = server.epoch().await;
    server.publish("a", "1").await;
    let before = received(&server).await;
    let publish = post("/v1/publish?topic=b", &["Content-Type: application/json"], "7");
    let poll = get(&format!("/v1/poll?topic=a&after={}", epoch.at(0)));
    let turn = [poll.repeat(3).as_bytes(), &publish, &publish].concat();
    let mut conn = Conn::open(server.addr).await;
    let (mut said, all) = (Vec::new(), turn.repeat(TURNS));
    conn.send(&all).await;
    for n in 0..TURNS * 5 {
        let answer = conn.answer().await;
        assert_eq!(answer.status(), 200, "answer {n}: {}", answer.text());
        said.push(answer.text().contains("events"));
    }
    assert_eq!(said, [true, true, true, false, false].repeat(TURNS));
    assert_eq!(server.cursor().await, epoch.at(1 + 2 * TURNS as u64), "each published once");
    // Whatever is handed back and forth is counted once: beside it, only what asks for these figures.
    let counted = received(&server).await - before;
    assert!((all.len()..all.len() + 1000).contains(&counted), "{counted} of {}", all.len());
}

/// Bytes that came to the gateway, by its own count.
async fn received(server: &Server) -> usize {
    let metrics = server.get("/metrics").await;
    let lines = metrics
        .text()
        .lines()
        .filter(|line| line.starts_with("fanlight_socket_bytes_total{direction=\"in\""));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

// 1. A client polls without an end and reads no answer. 2. With each request that the hub handed back it read 16 KiB
// more, so that all that was sent came to be held, and was copied for every request anew.
#[rstest]
#[tokio::test]
async fn who_reads_no_answer_is_not_read_from(#[values(true, false)] taken: bool) {
    let server = on(taken, |config| config.send_buffer = ByteSize::kib(4)).await;
    let after = server.cursor().await;
    let conn = Conn::open_narrow(server.addr).await;
    let polls = get(&format!("/v1/poll?topic=a&after={after}")).repeat(100);
    let mut sent = 0;
    // Until the kernel takes no more: the gateway has stopped to read.
    while tokio::time::timeout(Duration::from_secs(1), conn.stream().writable()).await.is_ok() {
        match conn.stream().try_write(polls.as_bytes()) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(sent < 64 << 20, "it is read from without an end");
    }
    let received = received(&server).await;
    assert!(received < 1 << 20, "it has read {received} of {sent}");
}
