//! The ledger against a capture of the packets, made by tshark: what the two count is the same.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use rstest::rstest;
use serde_json::Value;

use super::{JSON, Seen, chunk, ledger, on};
use crate::{
    frames::{self, handshake, receive, receive_text},
    harness::Server,
    http::{Conn, DEADLINE, get, post},
};

/// What was captured in one direction of a connection: bytes of payload, and segments.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    bytes: usize,
    segments: usize,
}

/// Packets to and from a gateway, as they pass over loopback.
struct Capture {
    tshark: Child,
    lines: Receiver<String>,
    /// By the client's port: to the gateway, and from it.
    counted: HashMap<u16, [Counted; 2]>,
    gateway: SocketAddr,
}

impl Capture {
    /// Begins to capture, and waits until packets are really seen.
    async fn start(gateway: SocketAddr) -> Self {
        let mut tshark = Command::new("tshark")
            .args(["-i", "lo", "-l", "-n", "-B", "16", "-f", &format!("tcp port {}", gateway.port())])
            .args(["-T", "fields", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "tcp.len"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tshark is there (cargo xtask test installs it)");
        let (sender, lines) = channel();
        let stdout = BufReader::new(tshark.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                _ = sender.send(line);
            }
        });
        let mut capture = Self { tshark, lines, counted: HashMap::new(), gateway };
        let start = Instant::now();
        // What it shows is of a connection that was made once it captured.
        while !capture.sees_a_connection(Duration::from_millis(200)).await && capture.counted.is_empty() {
            if let Some(status) = capture.tshark.try_wait().expect("a child") {
                let said = std::io::read_to_string(capture.tshark.stderr.take().expect("a pipe"));
                panic!("tshark may not capture on loopback, which this test needs ({status}): {said:?}");
            }
            assert!(start.elapsed() < DEADLINE, "tshark captures nothing");
        }
        capture
    }

    /// Whether a connection that is made now is captured to its end: so is everything before it then.
    async fn sees_a_connection(&mut self, within: Duration) -> bool {
        let mut conn = Conn::open(self.gateway).await;
        let port = conn.port();
        conn.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        conn.rest().await;
        drop(conn);
        let deadline = Instant::now() + within;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.count(&line);
            // The end of each side, and the acknowledgement of the last.
            if self.counted.get(&port).is_some_and(|[to, from]| to.segments >= 5 && from.segments >= 3) {
                return true;
            }
        }
        false
    }

    fn count(&mut self, line: &str) {
        let numbers: Vec<u16> = line.split('\t').map(|number| number.parse().expect("a number")).collect();
        let &[from, to, bytes] = &numbers[..] else { panic!("three numbers: {line:?}") };
        let (port, way) = if to == self.gateway.port() { (from, 0) } else { (to, 1) };
        let counted = &mut self.counted.entry(port).or_default()[way];
        counted.bytes += usize::from(bytes);
        counted.segments += 1;
    }

    /// What passed over these connections, once all of it was seen.
    async fn of(mut self, ports: &[u16]) -> [Counted; 2] {
        assert!(self.sees_a_connection(DEADLINE).await, "the end of the capture");
        let mut sums = [Counted::default(); 2];
        for port in ports {
            let counted = self.counted.get(port).unwrap_or_else(|| panic!("nothing of port {port}"));
            for (sum, counted) in sums.iter_mut().zip(counted) {
                sum.bytes += counted.bytes;
                sum.segments += counted.segments;
            }
        }
        sums
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // So that it ends the program that captures for it too.
        _ = Command::new("kill").args(["-INT", &self.tshark.id().to_string()]).status();
        _ = self.tshark.wait();
    }
}

/// Waits until nobody is on the account any more, so that all segments are booked; what is there.
async fn closed(server: &Server, transport: &str) -> Value {
    let start = Instant::now();
    loop {
        let row = ledger(server, "c").await["transports"][transport].clone();
        if row["open"] == 0 {
            return row;
        }
        assert!(start.elapsed() < DEADLINE, "{row}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Holds the ledger of a transport against the packets of its connections.
async fn agree(server: &Server, capture: Capture, transport: &str, ports: &[u16]) {
    let row = closed(server, transport).await;
    let captured = capture.of(ports).await;
    for (way, captured) in ["in", "out"].into_iter().zip(captured) {
        let booked = Seen::of(&row[way]).total();
        let context = format!("{transport} {way}: {captured:?} captured, {row} booked");
        println!("{context}");
        assert!(captured.bytes > 100, "{context}");
        assert!(booked.abs_diff(captured.bytes) * 100 <= captured.bytes, "{context}");
        let segments = row["tcp"][format!("segments_{way}")].as_u64().expect("a number") as usize;
        let apart = segments.abs_diff(captured.segments);
        assert!(apart <= 6 || apart * 20 <= captured.segments, "{apart} segments apart: {context}");
    }
}

#[rstest]
#[case::chunked("chunked")]
#[case::sse("sse")]
#[tokio::test]
async fn streams_are_what_passes(#[case] transport: &str, #[values(true, false)] taken: bool) {
    let server = on(taken);
    let capture = Capture::start(server.addr).await;
    let mut ports = Vec::new();
    for _ in 0..6 {
        let mut conn = Conn::open(server.addr).await;
        ports.push(conn.port());
        conn.send(get(&format!("/v1/{transport}?topic=a&client=c"))).await;
        conn.head().await;
        chunk(&mut conn).await;
        for turn in 0..20 {
            let data = format!("{:?}", "x".repeat(turn * 300));
            server.publish("a", &data).await;
            chunk(&mut conn).await;
        }
    }
    agree(&server, capture, transport, &ports).await;
}

#[rstest]
#[tokio::test]
async fn websockets_are_what_passes(#[values(true, false)] taken: bool) {
    let server = on(taken);
    let capture = Capture::start(server.addr).await;
    let mut ports = Vec::new();
    for _ in 0..6 {
        let mut conn = Conn::open(server.addr).await;
        ports.push(conn.port());
        conn.send(handshake("/v1/websocket?topic=a&client=c", &[])).await;
        conn.head().await;
        receive_text(&mut conn).await;
        for turn in 0..20 {
            let data = format!("{:?}", "x".repeat(turn * 300));
            conn.send(frames::text(&format!(r#"{{"op":"publish","topic":"a","data":{data}}}"#))).await;
            receive_text(&mut conn).await;
            receive_text(&mut conn).await;
        }
        conn.send(frames::frame(0x89, b"still there?")).await;
        receive(&mut conn).await.expect("a pong");
        conn.send(frames::close(1000)).await;
        receive(&mut conn).await.expect("a close");
    }
    agree(&server, capture, "websocket", &ports).await;
}

#[rstest]
#[case::poll("poll", "")]
#[case::longpoll("longpoll", "&timeout=1")]
#[tokio::test]
async fn polls_are_what_passes(
    #[case] transport: &str,
    #[case] wait: &str,
    #[values(true, false)] taken: bool,
    #[values(true, false)] keeps: bool,
) {
    let server = on(taken);
    let capture = Capture::start(server.addr).await;
    let mut cursor = server.cursor().await;
    let mut ports = Vec::new();
    for _ in 0..if keeps { 2 } else { 12 } {
        let mut conn = Conn::open(server.addr).await;
        ports.push(conn.port());
        for turn in 0..if keeps { 20 } else { 1 } {
            if turn != 7 {
                server.publish("a", &format!("{:?}", "x".repeat(turn * 300))).await;
            }
            conn.send(get(&format!("/v1/{transport}?topic=a&client=c{wait}&after={cursor}"))).await;
            let answer = conn.answer().await;
            assert_eq!(answer.status(), if turn == 7 { 204 } else { 200 });
            cursor = answer.head.get("fanlight-cursor").expect("a cursor").to_owned();
        }
    }
    agree(&server, capture, transport, &ports).await;
}

#[rstest]
#[tokio::test]
async fn publishes_are_what_passes(#[values(true, false)] taken: bool) {
    let server = on(taken);
    let capture = Capture::start(server.addr).await;
    let mut ports = Vec::new();
    for _ in 0..4 {
        let mut conn = Conn::open(server.addr).await;
        ports.push(conn.port());
        for turn in 0..20 {
            let data = format!("{:?}", "x".repeat(turn * 300));
            conn.send(post("/v1/publish?topic=a&client=c", &[JSON], data)).await;
            assert_eq!(conn.answer().await.status(), 200);
        }
    }
    agree(&server, capture, "publish", &ports).await;
}
