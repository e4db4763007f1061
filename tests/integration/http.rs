//! A raw HTTP/1.1 client: a request is the bytes that a test writes, an answer the bytes that came.

use std::{future::Future, net::SocketAddr, panic::Location, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// How long a test waits for what must come. Far beyond what it takes, so that a busy machine fails nothing.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The future's output; when it takes longer than [`DEADLINE`] the test fails, naming the line that waited.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        match timeout(DEADLINE, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing came within {DEADLINE:?} at {caller}"),
        }
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn until(mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    soon(async move {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// A GET on the open loopback.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// A GET with further header lines, each without its line break.
pub(crate) fn get_with(target: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// A POST with a body; its headers are each without a line break.
pub(crate) fn post(target: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let mut request =
        format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n")
            .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Percent-encodes one value of a query or a form.
pub(crate) fn encode(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// One connection, and what came over it but was not asked for yet.
pub(crate) struct Conn {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Conn {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        Self::try_open(addr).await.expect("a connection")
    }

    /// `None` where nobody listens any more.
    pub(crate) async fn try_open(addr: SocketAddr) -> Option<Self> {
        let stream = soon(TcpStream::connect(addr)).await.ok()?;
        stream.set_nodelay(true).unwrap();
        Some(Self { stream, seen: Vec::new() })
    }

    /// A peer whose kernel keeps little of what it does not read.
    pub(crate) async fn open_narrow(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = soon(socket.connect(addr)).await.expect("a connection");
        Self { stream, seen: Vec::new() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.stream.write_all(bytes.as_ref())).await.expect("the peer takes it");
    }

    /// Sends to a peer that may be gone, or may refuse to read all of it.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        soon(self.stream.write_all(bytes.as_ref())).await.is_ok()
    }

    /// Shuts the sending side: nothing more is to come from this peer.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Ends it with a reset, as a lost network or a killed process would.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The plain stream, for a client that brings its own protocol. Nothing may have been read.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.seen.is_empty());
        self.stream
    }

    /// More bytes from the peer; false at its end, however that came.
    pub(crate) async fn fill(&mut self) -> bool {
        self.seen.reserve(16 * 1024);
        matches!(self.stream.read_buf(&mut self.seen).await, Ok(count) if count > 0)
    }

    /// What came and was not taken yet.
    pub(crate) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Exactly `count` bytes, or `None` when the peer ended before them.
    pub(crate) async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.seen.len() < count {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.seen.drain(..count).collect())
    }

    /// Everything up to and including `mark`.
    pub(crate) async fn through(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.seen.windows(mark.len()).position(|window| window == mark) {
                return Some(self.seen.drain(..at + mark.len()).collect());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Everything until the peer ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        soon(async { while self.fill().await {} }).await;
        std::mem::take(&mut self.seen)
    }

    pub(crate) async fn head(&mut self) -> Head {
        soon(self.try_head()).await.expect("a response head")
    }

    pub(crate) async fn try_head(&mut self) -> Option<Head> {
        let raw = self.through(b"\r\n\r\n").await?;
        Some(Head::parse(String::from_utf8(raw).expect("a head in ASCII")))
    }

    /// A whole answer, its body as its framing says.
    pub(crate) async fn answer(&mut self) -> Answer {
        soon(self.try_answer()).await.expect("an answer")
    }

    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        let head = self.try_head().await?;
        let body = self.try_body(&head).await?;
        Some(Answer { head, body })
    }

    /// The body that follows `head`; `None` when the connection ended within it.
    pub(crate) async fn try_body(&mut self, head: &Head) -> Option<Vec<u8>> {
        if matches!(head.status, 100..=199 | 204 | 304) {
            return Some(Vec::new());
        }
        if let Some(length) = head.get("content-length") {
            return self.take(length.parse().expect("a length")).await;
        }
        if head.get("transfer-encoding") != Some("chunked") {
            return Some(self.rest().await);
        }
        let mut body = Vec::new();
        loop {
            match self.piece().await {
                Piece::Data(data) => body.extend(data),
                Piece::Last => return Some(body),
                Piece::Cut => return None,
            }
        }
    }

    /// The next chunk of a chunked body.
    pub(crate) async fn piece(&mut self) -> Piece {
        loop {
            if let Some(end) = self.seen.windows(2).position(|window| window == b"\r\n") {
                let size = std::str::from_utf8(&self.seen[..end]).expect("a chunk size in ASCII");
                let size = usize::from_str_radix(size, 16).expect("a chunk size without extensions");
                let (start, stop) = (end + 2, end + 2 + size);
                if self.seen.len() >= stop + 2 {
                    assert_eq!(&self.seen[stop..stop + 2], b"\r\n", "a chunk ends with its line break");
                    let data = self.seen[start..stop].to_vec();
                    self.seen.drain(..stop + 2);
                    return if size == 0 { Piece::Last } else { Piece::Data(data) };
                }
            }
            if !self.fill().await {
                return Piece::Cut;
            }
        }
    }
}

/// One step through a chunked body.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Data(Vec<u8>),
    /// The chunk of size 0: the body is complete.
    Last,
    /// The connection ended before that.
    Cut,
}

/// A response head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) raw: String,
    pub(crate) status: u16,
    pub(crate) lines: Vec<(String, String)>,
}

impl Head {
    fn parse(raw: String) -> Self {
        let mut lines = raw.trim_end().split("\r\n");
        let first = lines.next().unwrap();
        assert!(first.starts_with("HTTP/1."), "not a status line: {first}");
        let status = first[9..12].parse().expect("a status");
        let lines = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("not a header line: {line}")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { raw, status, lines }
    }

    /// A header's value; it must not stand there twice.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.lines.iter().filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands twice in\n{}", self.raw);
        value
    }

    /// Asserts each header's exact value; an empty one must be absent.
    #[track_caller]
    pub(crate) fn has(&self, headers: &[(&str, &str)]) {
        for (name, value) in headers {
            assert_eq!(self.get(name).unwrap_or(""), *value, "{name} in\n{}", self.raw);
        }
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Asserts a whole RFC 9457 problem: status, media type, members and their order.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str, field: Option<&str>) {
        assert_eq!(self.status(), status, "{}{}", self.head.raw, String::from_utf8_lossy(&self.body));
        self.head.has(&[("content-type", "application/problem+json")]);
        is_problem(self.text(), status, code, field);
    }
}

/// Asserts a problem's members in their order; `field` as given, or absent.
#[track_caller]
pub(crate) fn is_problem(text: &str, status: u16, code: &str, field: Option<&str>) {
    let problem: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let word =
        |name: &str| problem[name].as_str().unwrap_or_else(|| panic!("no {name} in {text}")).to_owned();
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let (title, detail) = (word("title"), word("detail"));
    assert!(!title.is_empty() && !detail.is_empty(), "{text}");
    let field = field.map(|field| format!(r#","field":{}"#, quoted(field))).unwrap_or_default();
    let expected = format!(
        r#"{{"type":"/docs/errors#{code}","title":{},"status":{status},"detail":{}{field}}}"#,
        quoted(&title),
        quoted(&detail),
    );
    assert_eq!(text, expected);
}
