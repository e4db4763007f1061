//! The ledger against what was really sent: to the byte, by what each was for, on both paths.

mod capture;
mod live;

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    frames::{self, handshake, receive, receive_text},
    harness::{self, Server},
    http::{Conn, Piece, get, get_with, post, soon},
};

const JSON: &str = "Content-Type: application/json";
const NDJSON: &str = "Content-Type: application/x-ndjson";
/// The kinds, in the order in which a row of this file's tables has them.
const KINDS: [&str; 7] = ["heads", "payload", "envelope", "framing", "heartbeats", "empty", "controls"];

/// A gateway whose connections take one of the two paths.
fn on(taken: bool) -> Server {
    harness::start_with(|config| config.no_takeover = !taken)
}

/// What was seen on a connection, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    heads: usize,
    payload: usize,
    envelope: usize,
    framing: usize,
    heartbeats: usize,
    empty: usize,
    controls: usize,
}

impl Seen {
    fn of(row: &Value) -> Self {
        let [heads, payload, envelope, framing, heartbeats, empty, controls] =
            KINDS.map(|kind| row[kind].as_u64().unwrap_or_else(|| panic!("no {kind} in {row}")) as usize);
        Self { heads, payload, envelope, framing, heartbeats, empty, controls }
    }

    fn total(&self) -> usize {
        let Self { heads, payload, envelope, framing, heartbeats, empty, controls } = self;
        heads + payload + envelope + framing + heartbeats + empty + controls
    }

    /// Adds an event's bytes: all of them, of which some are its document, of which some are its data.
    fn event(&mut self, all: usize, document: &str) {
        let data = document.split_once(r#","data":"#).expect("a document has data").1.len() - 1;
        self.payload += data;
        self.envelope += document.len() - data;
        self.framing += all - document.len();
    }
}

/// What a client has on one transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Row {
    requests: u64,
    events: u64,
    open: u64,
    into: Seen,
    out: Seen,
}

/// The ledger of a client as it stands.
async fn ledger(server: &Server, id: &str) -> Value {
    let mut conn = Conn::open(server.publish_addr.unwrap_or(server.addr)).await;
    conn.send(get(&format!("/v1/ledger?client={id}"))).await;
    let answer = conn.answer().await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.head.has(&[("content-type", "application/json"), ("cache-control", "no-store")]);
    answer.json()
}

/// Waits until the ledger of a client is as expected: what is read here may be booked a moment later.
#[track_caller]
fn expect(server: &Server, id: &str, transport: &str, expected: Row) -> impl Future<Output = Value> {
    let caller = std::panic::Location::caller();
    async move {
        let start = std::time::Instant::now();
        loop {
            let whole = ledger(server, id).await;
            let row = &whole["transports"][transport];
            if row.is_object() {
                let number = |name: &str| row[name].as_u64().expect("a number");
                let found = Row {
                    requests: number("requests"),
                    events: number("events"),
                    open: number("open"),
                    into: Seen::of(&row["in"]),
                    out: Seen::of(&row["out"]),
                };
                if found == expected {
                    return row.clone();
                }
                assert!(
                    start.elapsed().as_secs() < 5,
                    "at {caller}: {transport}\n   found {found:?}\nexpected {expected:?}"
                );
            } else {
                assert!(start.elapsed().as_secs() < 5, "at {caller}: no {transport} in {whole}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// The next chunk: how many bytes it is on the wire, and what it holds.
async fn chunk(conn: &mut Conn) -> (usize, String) {
    let Piece::Data(data) = soon(conn.piece()).await else { panic!("the stream goes on") };
    let all = format!("{:X}\r\n\r\n", data.len()).len() + data.len();
    (all, String::from_utf8(data).expect("UTF-8"))
}

/// The document of an event as a stream has it.
fn document(unit: &str) -> &str {
    let line = unit.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(unit);
    line.trim_end()
}

#[tokio::test]
async fn a_client_that_asked_for_nothing_has_nothing() {
    let server = harness::start();
    let empty = ledger(&server, "nobody").await;
    assert_eq!((&empty["client"], &empty["transports"]), (&json!("nobody"), &json!({})));
    for (query, field) in
        [("", "client"), ("?client=", "client"), ("?client=a%20b", "client"), ("?client=a&x=1", "x")]
    {
        let answer = server.get(&format!("/v1/ledger{query}")).await;
        answer.is_problem(400, "invalid-request", Some(field));
    }
    let apart = harness::start_with(|config| config.publish_listen = Some(config.listen[0]));
    apart.get("/v1/ledger?client=a").await.is_problem(404, "not-found", None);
    assert_eq!(ledger(&apart, "a").await["client"], "a");
}

#[rstest]
#[tokio::test]
async fn a_stream_is_booked_to_the_byte(
    #[values(true, false)] taken: bool,
    #[values("chunked", "sse")] transport: &str,
) {
    let server = on(taken);
    let request = get(&format!("/v1/{transport}?topic=a&client=c"));
    let mut conn = Conn::open(server.addr).await;
    conn.send(&request).await;
    let mut row = Row { requests: 1, open: 1, ..Row::default() };
    row.into.heads = request.len();
    row.out.heads = conn.head().await.raw.len();
    row.out.controls = chunk(&mut conn).await.0;
    expect(&server, "c", transport, row).await;

    for data in ["7", r#"{"x": [1, "y"]}"#, &format!("{:?}", "z".repeat(3000))] {
        server.publish("a", data).await;
        let (all, unit) = chunk(&mut conn).await;
        row.out.event(all, document(&unit));
        row.events += 1;
        assert!(document(&unit).ends_with(&format!(r#","data":{data}}}"#)));
        expect(&server, "c", transport, row).await;
    }

    // Nothing can follow such a request.
    conn.send("more").await;
    row.into.heads += 4;
    expect(&server, "c", transport, row).await;
}

#[rstest]
#[case::chunked("chunked")]
#[case::sse("sse")]
#[case::websocket("websocket")]
#[tokio::test]
async fn a_sign_of_life_is_booked_as_one(#[case] transport: &str, #[values(true, false)] taken: bool) {
    let server = harness::start_with(|config| {
        config.no_takeover = !taken;
        config.heartbeat = std::time::Duration::from_secs(1);
    });
    let mut conn = Conn::open(server.addr).await;
    let target = format!("/v1/{transport}?topic=a&client=c");
    let mut row = Row { requests: 1, open: 1, ..Row::default() };
    if transport == "websocket" {
        let request = handshake(&target, &[]);
        conn.send(&request).await;
        row.into.heads = request.len();
        row.out.heads = conn.head().await.raw.len();
        row.out.controls = receive_text(&mut conn).await.len() + 2;
        row.out.heartbeats = receive_text(&mut conn).await.len() + 2;
        assert_eq!(receive(&mut conn).await, Some((0x89, Vec::new())));
        row.out.heartbeats += 2;
        let pong = frames::frame(0x8A, b"");
        conn.send(&pong).await;
        row.into.heartbeats = pong.len();
    } else {
        let request = get(&target);
        conn.send(&request).await;
        row.into.heads = request.len();
        row.out.heads = conn.head().await.raw.len();
        row.out.controls = chunk(&mut conn).await.0;
        let (all, unit) = chunk(&mut conn).await;
        assert!(unit.contains(r#""control":"cursor""#), "{unit}");
        row.out.heartbeats = all;
    }
    expect(&server, "c", transport, row).await;
}

#[rstest]
#[tokio::test]
async fn a_websocket_is_booked_to_the_byte(#[values(true, false)] taken: bool) {
    let server = on(taken);
    let request = handshake("/v1/websocket?client=c", &[]);
    let mut conn = Conn::open(server.addr).await;
    conn.send(&request).await;
    let mut row = Row { requests: 1, open: 1, ..Row::default() };
    row.into.heads = request.len();
    row.out.heads = conn.head().await.raw.len();
    row.out.controls = receive_text(&mut conn).await.len() + 2;

    // An operation, whole and in two frames around a ping; one that is refused.
    for message in [
        frames::text(r#"{"op":"subscribe","topic":"a"}"#),
        [
            frames::frame(0x01, br#"{"op":"subsc"#),
            frames::frame(0x89, b"hi"),
            frames::frame(0x80, br#"ribe","topic":"b"}"#),
        ]
        .concat(),
        frames::text(r#"{"op":"publish","topic":"a","data":1,"nonsense":2}"#),
    ] {
        conn.send(&message).await;
        row.into.controls += message.len();
        if message[0] == 0x01 {
            let ping = frames::frame(0x89, b"hi").len();
            row.into.controls -= ping;
            row.into.heartbeats += ping;
            assert_eq!(receive(&mut conn).await, Some((0x8A, b"hi".to_vec())));
            row.out.heartbeats += 4;
        }
        let answer = receive_text(&mut conn).await;
        row.out.controls += answer.len() + if answer.len() > 125 { 4 } else { 2 };
    }
    expect(&server, "c", "websocket", row).await;

    // What is published is an event on its way in too.
    let operation = r#"{"op":"publish","topic":"a","data":{"x":1}}"#;
    let message = frames::text(operation);
    conn.send(&message).await;
    row.into.payload += r#"{"x":1}"#.len();
    row.into.envelope += operation.len() - r#"{"x":1}"#.len();
    row.into.framing += message.len() - operation.len();
    for _ in 0..2 {
        let text = receive_text(&mut conn).await;
        let header = if text.len() > 125 { 4 } else { 2 };
        if text.contains("control") {
            row.out.controls += header + text.len();
        } else {
            row.out.event(header + text.len(), &text);
            row.events += 1;
        }
    }
    let long = format!("{:?}", "z".repeat(70_000 - 5000));
    server.publish("b", &long).await;
    let text = receive_text(&mut conn).await;
    row.out.event(text.len() + 4, &text);
    row.events += 1;
    expect(&server, "c", "websocket", row).await;

    let close = frames::close(1000);
    conn.send(&close).await;
    row.into.controls += close.len();
    row.out.controls += 2 + receive(&mut conn).await.expect("the echo").1.len();
    row.open = 0;
    expect(&server, "c", "websocket", row).await;
}

#[rstest]
#[tokio::test]
async fn polls_are_booked_to_the_byte(
    #[values(true, false)] taken: bool,
    #[values("poll", "longpoll")] transport: &str,
) {
    let server = on(taken);
    let mut conn = Conn::open(server.addr).await;
    let wait = if transport == "longpoll" { "&timeout=1" } else { "" };
    let target = |after: &str| get(&format!("/v1/{transport}?topic=a&client=c{wait}{after}"));
    let mut row = Row { open: 1, ..Row::default() };

    // The cursor to begin with is no event, and an answer all the same.
    let request = target("");
    conn.send(&request).await;
    let answer = conn.answer().await;
    row.requests += 1;
    row.into.heads += request.len();
    row.out.heads += answer.head.raw.len();
    row.out.framing += answer.body.len();
    let mut cursor = answer.head.get("fanlight-cursor").expect("a cursor").to_owned();
    expect(&server, "c", transport, row).await;

    for turn in 0..6 {
        let documents = if turn % 3 == 2 { 0 } else { turn % 3 + 1 };
        for number in 0..documents {
            server.publish("a", &format!("[{turn},{number}]")).await;
        }
        let request = target(&format!("&after={cursor}"));
        conn.send(&request).await;
        let answer = conn.answer().await;
        cursor = answer.head.get("fanlight-cursor").expect("a cursor").to_owned();
        row.requests += 1;
        if documents == 0 {
            assert_eq!(answer.status(), 204);
            row.into.empty += request.len();
            row.out.empty += answer.head.raw.len();
        } else {
            row.into.heads += request.len();
            row.out.heads += answer.head.raw.len();
            let shell = format!(r#"{{"events":[],"cursor":"{cursor}"}}"#).len() + documents - 1;
            row.out.framing += shell;
            row.out.payload += documents * "[0,0]".len();
            row.out.envelope += answer.body.len() - shell - documents * "[0,0]".len();
            row.events += documents as u64;
        }
        expect(&server, "c", transport, row).await;
    }

    // A request that is never answered was made.
    if transport == "longpoll" {
        let request = target(&format!("&after={cursor}")).replace("timeout=1", "timeout=30");
        conn.send(&request).await;
        crate::kernel::read_by_peer(server.addr, &conn).await;
        row.requests += 1;
        row.into.heads += request.len();
    }
    drop(conn);
    row.open = 0;
    expect(&server, "c", transport, row).await;
}

#[rstest]
#[tokio::test]
async fn a_gap_in_an_answer_is_a_control(#[values(true, false)] taken: bool) {
    let server = harness::start_with(|config| {
        config.no_takeover = !taken;
        config.history_events = 1;
    });
    let start = server.cursor().await;
    server.publish_all("a", 0..3).await;
    let mut conn = Conn::open(server.addr).await;
    let request = get(&format!("/v1/poll?topic=a&client=c&after={start}"));
    let mut row = Row { requests: 3, events: 3, open: 1, ..Row::default() };
    for _ in 0..3 {
        conn.send(&request).await;
        let answer = conn.answer().await;
        let text = answer.text();
        let gap = text.len() - text.find(r#","gap":"#).expect("a gap") - 1;
        row.into.heads += request.len();
        row.out.heads += answer.head.raw.len();
        row.out.controls += gap;
        row.out.payload += 1;
        let shell = format!(r#"{{"events":[],"cursor":"{start}"}}"#).len();
        row.out.framing += shell;
        row.out.envelope += text.len() - gap - shell - 1;
    }
    expect(&server, "c", "poll", row).await;
}

#[rstest]
#[tokio::test]
async fn what_a_publisher_sends_is_booked_to_the_byte(#[values(true, false)] taken: bool) {
    let server = on(taken);
    let mut conn = Conn::open(server.addr).await;
    let mut row = Row { open: 1, ..Row::default() };
    let mut ask = async |row: &mut Row, request: Vec<u8>, body: usize| {
        conn.send(&request).await;
        let answer = conn.answer().await;
        row.requests += 1;
        row.into.heads += request.len() - body;
        row.out.heads += answer.head.raw.len();
        row.out.controls += answer.body.len();
        answer.status()
    };
    let target = "/v1/publish?topic=a&client=c";
    // The first by hyper, the others in the hub.
    for body in ["7", r#"{"x":1}"#, "null", "[8]"] {
        assert_eq!(ask(&mut row, post(target, &[JSON], body), body.len()).await, 200);
        row.into.payload += body.len();
        row.events += 1;
        expect(&server, "c", "publish", row).await;
    }
    let batch = "1\n22\n\n333\r\n";
    assert_eq!(ask(&mut row, post(target, &[NDJSON], batch), batch.len()).await, 200);
    row.into.payload += 6;
    row.into.framing += batch.len() - 6;
    row.events += 3;
    let own = "{\"topic\":\"a\",\"data\":11}\n{\"topic\":\"b\",\"data_base64\":\"AP8H\"}";
    let own_topics = "/v1/publish?client=c";
    assert_eq!(ask(&mut row, post(own_topics, &[NDJSON], own), own.len()).await, 200);
    row.into.payload += 2 + r#""AP8H""#.len();
    row.into.envelope += own.len() - 2 - r#""AP8H""#.len();
    row.events += 2;
    // What is refused is no event.
    assert_eq!(ask(&mut row, post(target, &[JSON], "{"), 1).await, 400);
    row.into.controls += 1;
    let chunks = "3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\n\r\n";
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(ask(&mut row, [head.as_bytes(), chunks.as_bytes()].concat(), chunks.len()).await, 200);
    row.into.payload += 5;
    row.into.framing += chunks.len() - 5;
    row.events += 1;
    expect(&server, "c", "publish", row).await;
}

/// Reads end anywhere: here in the first line of the request that comes second.
#[rstest]
#[tokio::test]
async fn a_request_that_comes_in_pieces_is_one(#[values(true, false)] taken: bool) {
    let server = on(taken);
    let mut conn = Conn::open(server.addr).await;
    let mut row = Row { open: 1, ..Row::default() };
    let request = get("/v1/poll?topic=a&client=c");
    for cut in [0, 1, 3, 20] {
        conn.send(&request).await;
        conn.send(&request[..cut]).await;
        let first = conn.answer().await;
        // The first was answered, and the piece was read.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        conn.send(&request[cut..]).await;
        for answer in [first, conn.answer().await] {
            row.requests += 1;
            row.into.heads += request.len();
            row.out.heads += answer.head.raw.len();
            row.out.framing += answer.body.len();
        }
        expect(&server, "c", "poll", row).await;
    }
}

#[rstest]
#[case::chunked("chunked")]
#[case::sse("sse")]
#[case::websocket("websocket")]
#[tokio::test]
async fn a_slow_reader_is_booked_what_it_took(#[case] transport: &str, #[values(true, false)] taken: bool) {
    let server = on(taken);
    let mut conn = Conn::open_narrow(server.addr).await;
    let target = format!("/v1/{transport}?topic=a&client=c");
    let request = if transport == "websocket" { handshake(&target, &[]) } else { get(&target) };
    conn.send(&request).await;
    let mut out = conn.head().await.raw.len();
    let data = format!("{:?}", "x".repeat(50_000));
    let mut publisher = server.publisher().await;
    for _ in 0..40 {
        publisher.publish("a", &data).await;
    }
    let last = publisher.publish("a", r#""last""#).await;
    let mut tail = Vec::new();
    while !String::from_utf8_lossy(&tail).contains(&format!(r#"{{"id":"{last}""#))
        || !tail.ends_with(b"}\n\n\r\n")
    {
        if (transport == "chunked" && tail.ends_with(b"\"last\"}\n\r\n"))
            || (transport == "websocket" && tail.ends_with(b"\"last\"}"))
        {
            break;
        }
        if conn.seen().is_empty() {
            assert!(soon(conn.fill()).await, "the stream goes on");
        }
        let some = conn.take(conn.seen().len()).await.expect("what was seen");
        out += some.len();
        tail.extend(some);
        let old = tail.len().saturating_sub(1000);
        tail.drain(..old);
    }
    let row = soon(async {
        loop {
            let row = ledger(&server, "c").await["transports"][transport].clone();
            if Seen::of(&row["out"]).total() >= out {
                return row;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    let seen = Seen::of(&row["out"]);
    assert_eq!(seen.total(), out, "{row}");
    assert_eq!(row["events"], 41);
    assert_eq!(seen.payload, 40 * data.len() + r#""last""#.len());
    assert_eq!(Seen::of(&row["in"]).total(), request.len());
}

/// What everything together came to, as `/metrics` tells it: of the sockets, and of the ledger.
async fn sums(server: &Server, direction: &str) -> (u64, u64) {
    let text = server.get("/metrics").await;
    let sum = |name: &str| -> u64 {
        let label = format!("direction=\"{direction}\"");
        let lines = text.text().lines().filter(|line| line.starts_with(name) && line.contains(&label));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
    };
    (sum("fanlight_socket_bytes_total"), sum("fanlight_ledger_bytes_total"))
}

#[rstest]
#[tokio::test]
async fn no_byte_is_missing_whatever_is_asked(#[values(true, false)] taken: bool) {
    let server = on(taken);
    let closing = |request: String| request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
    let old = |target: &str| format!("GET {target} HTTP/1.0\r\n\r\n");
    let chunked = "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                   Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let waits = "POST /v1/publish?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                 Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc";
    let head = "HEAD /v1/poll?topic=a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let options = "OPTIONS /v1/sse HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\
                   Access-Control-Request-Method: GET\r\n\r\n";
    let conversations: Vec<Vec<u8>> = vec![
        closing(get("/")).into(),
        closing(get("/nowhere")).into(),
        old("/v1/cursor").into(),
        old("/v1/poll?topic=a").into(),
        head.into(),
        options.into(),
        "nonsense\r\n\r\n".into(),
        "GET / HT".into(),
        "\r\n\r\nGET /v1/cursor HTTP/1.1\nHost: localhost\n\n".into(),
        closing(get_with("/v1/cursor", &[&format!("X-Long: {}", "x".repeat(20_000))])).into(),
        // What follows each other at once.
        [get("/v1/cursor"), get("/v1/poll?topic=a"), get("/v1/poll?topic=a"), closing(get("/healthz"))]
            .concat()
            .into(),
        [chunked, chunked, waits, &get("/v1/cursor")].concat().into(),
        [
            post("/v1/publish?topic=a", &[JSON], "1"),
            post("/v1/publish?topic=a", &[JSON], "22"),
            post("/v1/publish?topic=a", &[JSON], "333"),
            get("/v1/poll?topic=a&last=9").into(),
        ]
        .concat(),
        post("/v1/publish?topic=a", &[JSON], vec![b'1'; 100_000]),
        post("/v1/sse", &["Content-Type: application/x-www-form-urlencoded"], "topic=a&heartbeat=9"),
        [get("/v1/longpoll?topic=a&after=earliest"), get("/v1/chunked?topic=a&last=2"), "rest".to_owned()]
            .concat()
            .into(),
        [
            handshake("/v1/echo", &[]).into_bytes(),
            frames::text("hello"),
            frames::frame(0x82, b"\x00\xFF"),
            frames::frame(0x01, b"begun"),
        ]
        .concat(),
        [handshake("/v1/websocket?topic=a&after=x", &[]).into_bytes(), frames::close(1000)].concat(),
        [
            handshake("/v1/websocket?topic=a", &[]).into_bytes(),
            frames::text("{"),
            b"\xFF\xFFnonsense".to_vec(),
        ]
        .concat(),
        [
            handshake("/v1/echo", &["Sec-WebSocket-Extensions: permessage-deflate"]).into_bytes(),
            frames::text(&"squeeze ".repeat(50)),
            frames::close(1000),
        ]
        .concat(),
    ];
    for conversation in &conversations {
        let mut conn = Conn::open(server.addr).await;
        conn.send(conversation).await;
        // Until there is an answer, if there is to be one; then the end.
        tokio::time::timeout(std::time::Duration::from_millis(150), async { while conn.fill().await {} })
            .await
            .ok();
        drop(conn);
        agrees(&server, &String::from_utf8_lossy(conversation)).await;
    }
}

/// Waits until the ledger holds every byte that went over sockets.
async fn agrees(server: &Server, what: &str) {
    let metrics = get("/metrics").len() as u64;
    for direction in ["in", "out"] {
        let start = std::time::Instant::now();
        loop {
            let (socket, ledger) = sums(server, direction).await;
            // The request that asks is not answered yet.
            let asking = if direction == "in" { metrics } else { 0 };
            if socket == ledger + asking {
                break;
            }
            assert!(
                start.elapsed().as_secs() < 5,
                "{direction}: {socket} on sockets, {ledger} in the ledger, after {what:.200}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}
