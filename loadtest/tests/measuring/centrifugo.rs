//! Centrifugo's template against a stand-in that speaks what Centrifugo documents of its unidirectional transports.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use loadtest::results::Transport;
use serde_json::{Value, json};

use crate::support::ran;

#[test]
fn its_template_speaks_what_centrifugo_documents() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let url = format!("http://{}", listener.local_addr().expect("it has one"));
    std::thread::spawn(move || serve(&listener));
    let folder = tempfile::tempdir().expect("there is room");
    let plan = folder.path().join("plan.toml");
    let text = format!(
        "noise = 0\n[servers.centrifugo]\nurl = \"{url}\"\npublish_headers = {{ X-API-Key = \"sesame\" }}\n\
         [[cells]]\ntransport = [\"chunked\", \"sse\", \"websocket\"]\nsubscribers = 6\ntopics = 2\nrate = 50\n\
         time = \"500ms\"\nwarm_up = \"100ms\"\n"
    );
    std::fs::write(&plan, text).expect("there is room");
    let (results, ..) = ran(&["--plan", &plan.to_string_lossy()]);
    let transports: Vec<Transport> = results.cells.iter().map(|cell| cell.transport).collect();
    assert_eq!(transports, [Transport::Chunked, Transport::Sse, Transport::Websocket]);
    for cell in &results.cells {
        let exactly = cell.total.exactly;
        assert!(exactly.holds() && exactly.established == 6, "{}: {exactly:?}", cell.id);
        assert_eq!(cell.total.generator.errors, 0, "{}: {:?}", cell.id, cell.total.generator.first_error);
    }
    assert!(!serde_json::to_string(&results).unwrap().contains("sesame"), "the key stays out of the results");
}

type Subscribers = Arc<Mutex<Vec<Subscriber>>>;

struct Subscriber {
    transport: Transport,
    channels: Vec<String>,
    socket: TcpStream,
}

impl Subscriber {
    fn push(&mut self, push: &Value) {
        let text = push.to_string();
        let framed = match self.transport {
            Transport::Sse => format!("data: {text}\n\n").into_bytes(),
            Transport::Websocket => {
                let length = u16::try_from(text.len()).expect("it is short").to_be_bytes();
                let head = if length[0] == 0 && length[1] < 126 {
                    vec![0x81, length[1]]
                } else {
                    vec![0x81, 126, length[0], length[1]]
                };
                [head, text.into_bytes()].concat()
            }
            _ => format!("{:x}\r\n{text}\n\r\n", text.len() + 1).into_bytes(),
        };
        let _ = self.socket.write_all(&framed);
    }
}

fn serve(listener: &TcpListener) {
    let subscribers = Subscribers::default();
    for stream in listener.incoming().map_while(Result::ok) {
        let subscribers = Arc::clone(&subscribers);
        std::thread::spawn(move || connection(stream, &subscribers));
    }
}

fn connection(mut socket: TcpStream, subscribers: &Subscribers) -> Option<()> {
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
            if line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let field =
            |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let mut body = vec![0; field("Content-Length: ").parse().unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let target = head[0].split(' ').nth(1)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (transport, connect) = match path {
            "/api/publish" if field("X-API-Key: ") == "sesame" => {
                let published: Value = serde_json::from_slice(&body).expect("a publish is JSON");
                let channel = published["channel"].as_str().expect("it names a channel");
                let push = json!({ "channel": channel, "pub": { "data": published["data"] } });
                let mut all = subscribers.lock().unwrap();
                let theirs = all.iter_mut().filter(|one| one.channels.iter().any(|held| held == channel));
                theirs.for_each(|subscriber| subscriber.push(&push));
                let said = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"result\":{}}";
                socket.write_all(said.as_bytes()).ok()?;
                continue;
            }
            "/connection/uni_http_stream" if head[0].starts_with("POST ") => (Transport::Chunked, body),
            "/connection/uni_sse" => {
                let sent = query.strip_prefix("cf_connect=").expect("it connects");
                (Transport::Sse, percent_encoding::percent_decode_str(sent).collect())
            }
            "/connection/uni_websocket" => (Transport::Websocket, Vec::new()),
            _ => {
                socket.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok()?;
                continue;
            }
        };
        let answer = match transport {
            // What RFC 6455 has for the key of its own example.
            Transport::Websocket => {
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            }
            Transport::Sse => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        };
        socket.write_all(answer.as_bytes()).ok()?;
        let connect = if transport == Transport::Websocket { message(&mut reader)? } else { connect };
        let connect: Value = serde_json::from_slice(&connect).expect("a connect request is JSON");
        let channels: Vec<String> =
            connect["subs"].as_object().expect("it subscribes").keys().cloned().collect();
        let mut subscriber = Subscriber { transport, channels, socket };
        subscriber.push(&json!({ "connect": { "client": "c", "subs": connect["subs"], "ping": 25 } }));
        subscriber.push(&json!({}));
        subscribers.lock().unwrap().push(subscriber);
        return None;
    }
}

/// A client's short message: the mask is nothing.
fn message(reader: &mut impl Read) -> Option<Vec<u8>> {
    let mut head = [0; 6];
    reader.read_exact(&mut head).ok()?;
    let mut text = vec![0; usize::from(head[1] & 0x7f)];
    reader.read_exact(&mut text).ok()?;
    Some(text)
}
