//! Behind nginx, configured as `docs/nginx.md` says: what it holds back, cuts or refuses, clients would notice.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rstest::rstest;
use tempfile::TempDir;

use crate::{
    frames::{handshake, receive_close, receive_text},
    harness::{self, Server},
    http::{Conn, Piece, get, get_with, soon, until},
    process::Served,
    subscriber::{Position, Transport, Transport::*},
};

/// A proxy in front of a gateway. It ends when dropped.
struct Nginx {
    child: Child,
    client: Server,
    _prefix: TempDir,
}

impl Nginx {
    async fn before(gateway: SocketAddr) -> Self {
        let document = include_str!("../../docs/nginx.md");
        let (_, rest) = document.split_once("```nginx\n").expect("a configuration");
        let (configuration, _) = rest.split_once("```").expect("its end");
        let addr = harness::unused();
        let replaced = |text: &str, from: &str, to: &str| {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text.replace(from, to)
        };
        let configuration = replaced(configuration, "listen 80;", &format!("listen {addr};"));
        let configuration = replaced(&configuration, "server 127.0.0.1:8080;", &format!("server {gateway};"));
        let prefix = tempfile::tempdir().unwrap();
        let own: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path {name};\n"))
            .concat();
        let whole = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 256; }}\n\
             http {{\n    access_log off;\n{own}{configuration}}}\n"
        );
        let file = prefix.path().join("nginx.conf");
        std::fs::write(&file, whole).unwrap();
        let child = Command::new("/usr/sbin/nginx")
            .args(["-p", prefix.path().to_str().unwrap(), "-e", "stderr", "-c", file.to_str().unwrap()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's nginx is installed");
        until(|| std::net::TcpStream::connect(addr).is_ok()).await;
        Self { child, client: Server::elsewhere(addr), _prefix: prefix }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each event is there before the next is published, so nothing on the way holds it back.
#[rstest]
#[tokio::test]
async fn events_come_through_at_once(
    #[values(Poll, Longpoll, Chunked, Sse, Websocket)] transport: Transport,
) {
    let server = harness::start();
    let nginx = Nginx::before(server.addr).await;
    let client = &nginx.client;
    let start = client.cursor().await;
    let mut subscriber = client.subscribe(transport, &["orders/*"], Position::after(&start)).await;
    subscriber.hello().await;
    let mut last = start;
    for number in 0..20 {
        last = client.publish("orders/1", &number.to_string()).await;
        assert_eq!(subscriber.event().await.id, last, "event {number}");
    }
    drop(subscriber);
    // And on from there, over a new connection.
    let id = client.publish("orders/2", "\"again\"").await;
    let mut subscriber = client.subscribe(transport, &["orders/*"], Position::header(&last)).await;
    subscriber.hello().await;
    assert_eq!(subscriber.event().await.id, id);
}

#[tokio::test]
async fn a_long_poll_is_held() {
    let server = harness::start();
    let nginx = Nginx::before(server.addr).await;
    let start = nginx.client.cursor().await;
    let mut conn = Conn::open(nginx.client.addr).await;
    let began = Instant::now();
    conn.send(get(&format!("/v1/longpoll?topic=a&after={start}&timeout=3"))).await;
    let answer = conn.answer().await;
    assert_eq!(answer.status(), 204);
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert_eq!(answer.head.get("fanlight-cursor"), Some(&*start));
    conn.send(get(&format!("/v1/longpoll?topic=a&after={start}&timeout=60"))).await;
    let id = nginx.client.publish("a", "1").await;
    assert_eq!(conn.answer().await.json()["cursor"], *id);
}

/// A stream ends whole, and a WebSocket with its code, when the gateway drains.
#[tokio::test]
async fn a_drain_is_passed_on() {
    let mut server = harness::start();
    let nginx = Nginx::before(server.addr).await;
    let mut socket = Conn::open(nginx.client.addr).await;
    socket.send(handshake("/v1/websocket?topic=a", &[])).await;
    assert_eq!(socket.head().await.status, 101);
    receive_text(&mut socket).await;
    let mut stream = Conn::open(nginx.client.addr).await;
    stream.send(get("/v1/chunked?topic=a")).await;
    let head = stream.head().await;
    assert!(matches!(stream.piece().await, Piece::Data(_)), "the hello");
    server.shut_down();
    assert!(receive_text(&mut socket).await.contains("reconnect"));
    assert_eq!(receive_close(&mut socket).await, (1012, "drain".to_owned()));
    let rest = soon(stream.try_body(&head)).await.expect("the stream ends whole");
    assert!(String::from_utf8(rest).unwrap().contains("\"control\":\"reconnect\""));
    server.ended().await;
}

/// What an EventSource makes of answers (WHATWG HTML, 9.2): anything but 200 and `text/event-stream` ends it for
/// good, the end of a stream has it come back after `retry:` with the last id.
struct EventSource {
    addr: SocketAddr,
    last_id: String,
    retry: Duration,
    /// Answers that told nothing but when to come back.
    sent_away: usize,
    documents: Vec<String>,
}

impl EventSource {
    /// One connection, to its end or until `enough` documents are there.
    async fn connect(&mut self, enough: usize) {
        let Some(mut conn) = Conn::try_open(self.addr).await else { return };
        let last = format!("Last-Event-ID: {}", self.last_id);
        let headers: &[&str] = if self.last_id.is_empty() { &[] } else { &[&last] };
        conn.send(get_with("/v1/sse?topic=a", headers)).await;
        let Some(head) = conn.try_head().await else { return };
        assert_eq!(head.status, 200, "an EventSource gives up");
        let media_type = head.get("content-type").unwrap_or_default();
        assert!(media_type.starts_with("text/event-stream"), "an EventSource gives up on {media_type}");
        let mut said_hello = false;
        if head.get("transfer-encoding") == Some("chunked") {
            let mut text = String::new();
            while self.documents.len() < enough
                && let Piece::Data(data) = conn.piece().await
            {
                text.push_str(std::str::from_utf8(&data).unwrap());
                while let Some((block, rest)) = text.split_once("\n\n") {
                    said_hello |= block.contains("hello");
                    self.take(block);
                    text = rest.to_owned();
                }
            }
        } else {
            let body = conn.try_body(&head).await.expect("a whole body");
            String::from_utf8(body).unwrap().split("\n\n").for_each(|block| self.take(block));
        }
        self.sent_away += usize::from(!said_hello);
    }

    fn take(&mut self, block: &str) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        if let Some(retry) = field("retry: ") {
            self.retry = Duration::from_millis(retry.parse().unwrap());
        }
        if let Some(id) = field("id: ") {
            self.last_id = id.to_owned();
        }
        if let Some(data) = field("data: ") {
            let is_event = field("event: ").is_none() || data.contains("\"gap\"");
            self.documents.extend(is_event.then(|| data.to_owned()));
        }
    }
}

/// 1. An EventSource listens through nginx.
/// 2. The gateway is told to go, and goes; the EventSource comes back while it is away.
/// 3. It starts again at the same address, and an event is published.
/// 4. The EventSource has that event, and was told that the log is another one.
#[tokio::test]
async fn an_event_source_outlives_a_restart() {
    let listen = harness::unused();
    let args = ["serve", "--listen", &listen.to_string(), "--retry", "200ms"];
    let gateway = Served::run(&args).await;
    let nginx = Nginx::before(listen).await;
    let mut source = EventSource {
        addr: nginx.client.addr,
        last_id: String::new(),
        retry: Duration::from_millis(100),
        sent_away: 0,
        documents: Vec::new(),
    };
    let first = async {
        // The subscription is from now on: it has to be there first.
        until_subscribed(&nginx.client).await;
        nginx.client.publish("a", "1").await;
    };
    tokio::join!(soon(source.connect(1)), first);
    assert_eq!(source.documents.len(), 1);

    gateway.signal("TERM");
    let (status, _) = gateway.ended().await;
    assert!(status.success());
    // A page of another origin must be able to read even that, or its EventSource gives up.
    let page = get_with("/v1/sse?topic=a", &["Origin: https://a.example"]);
    let away = nginx.client.ask(page).await;
    assert_eq!(away.head.get("access-control-allow-origin"), Some("https://a.example"));
    soon(async {
        while source.sent_away < 2 {
            source.connect(2).await;
            assert!(source.retry <= Duration::from_secs(5));
            tokio::time::sleep(source.retry).await;
        }
    })
    .await;

    let gateway = Served::run(&args).await;
    gateway.client().publish("a", "2").await;
    soon(async {
        while source.documents.len() < 3 {
            source.connect(3).await;
            tokio::time::sleep(source.retry.min(Duration::from_millis(200))).await;
        }
    })
    .await;
    assert!(source.documents[1].contains("\"reason\":\"restarted\""), "{:?}", source.documents);
    assert!(source.documents[2].ends_with("\"data\":2}"), "{:?}", source.documents);
}

async fn until_subscribed(client: &Server) {
    soon(async {
        while client.get("/v1/stats").await.json()["topics"]["count"] != 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
