//! The OpenAPI document against the gateway: each status that it describes is provoked, and what comes is held
//! against its schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytesize::ByteSize;
use serde_json::{Value, json};

use crate::{
    frames::{handshake, receive_text},
    harness::{self, Server},
    http::{Answer, Conn, Piece, get, get_with, post, soon},
};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const JSON: &str = "Content-Type: application/json";

/// A described operation, and the statuses that were seen of it.
struct Operation<'a> {
    path: &'a str,
    /// Its method.
    verb: String,
    described: &'a Value,
    seen: BTreeSet<String>,
}

/// The gateways that are asked.
struct Gateways {
    /// With small limits.
    strict: Server,
    /// With a connection that is the only one it takes.
    full: Server,
    /// The same, of one address.
    busy: Server,
    _held: Vec<Conn>,
}

impl Gateways {
    async fn start() -> Self {
        let strict = harness::start_with(|config| {
            config.body_timeout = Duration::from_millis(200);
            config.max_event = ByteSize::kib(1);
            config.max_batch = ByteSize::kib(1);
            config.lab = true;
        });
        let full = harness::start_with(|config| {
            config.max_connections = 1;
            config.lab = true;
        });
        let busy = harness::start_with(|config| {
            config.max_connections_per_address = 1;
            config.lab = true;
        });
        let mut held = Vec::new();
        for server in [&full, &busy] {
            let mut conn = Conn::open(server.addr).await;
            conn.send(get("/v1/sse?topic=a")).await;
            conn.head().await;
            held.push(conn);
        }
        Self { strict, full, busy, _held: held }
    }
}

#[tokio::test]
async fn every_described_answer_is_one_that_comes() {
    let gateways = Gateways::start().await;
    let document = gateways.strict.get("/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, described) in item.as_object().expect("operations") {
            assert!(["get", "post", "put", "delete"].contains(&&**method), "{method} {path}");
            operations.push(Operation {
                path,
                verb: method.to_uppercase(),
                described,
                seen: BTreeSet::new(),
            });
        }
    }
    assert!(operations.len() > 15);
    let start = gateways.strict.cursor().await;
    for operation in &mut operations {
        // A line to look at, and to end.
        let opened = post("/v1/lab/x", &[], "");
        let opened = gateways.strict.ask([b"PUT", &opened["POST".len()..]].concat()).await;
        assert_eq!(opened.status(), 200, "{}", opened.text());
        for (server, request) in requests(&gateways, operation, &start) {
            let (answer, messages) = asked(server, &request).await;
            let context = format!("{} answers {}", operation.path, answer.head.raw);
            operation.check(&document, &answer, &messages, &context);
        }
    }
    drained(&document, &mut operations).await;
    let unseen: BTreeMap<String, BTreeSet<String>> = operations
        .iter()
        .map(|operation| {
            let described = operation.described["responses"].as_object().expect("responses");
            let unseen = described.keys().filter(|status| !operation.seen.contains(*status)).cloned();
            (format!("{} {}", operation.verb, operation.path), unseen.collect())
        })
        .filter(|(_, unseen): &(_, BTreeSet<_>)| !unseen.is_empty())
        .collect();
    assert!(unseen.is_empty(), "described, and never seen: {unseen:#?}");
}

/// What is asked of an operation: for what it is there, and in each way that it refuses.
fn requests<'a>(
    gateways: &'a Gateways,
    operation: &Operation<'_>,
    start: &str,
) -> Vec<(&'a Server, Vec<u8>)> {
    let strict = &gateways.strict;
    let path = &*operation.path.replace("{id}", "x");
    let is_post = operation.verb == "POST";
    let subscribes = ["/v1/poll", "/v1/longpoll", "/v1/chunked", "/v1/sse", "/v1/websocket"].contains(&path);
    let query = match path {
        "/v1/ledger" => "?client=c",
        "/v1/publish" => "?topic=a&client=c",
        _ if subscribes => "?topic=a&client=c",
        _ => "",
    };
    let target = format!("{path}{query}");
    let good = |headers: &[&str]| match (path, is_post) {
        ("/v1/lab/x", _) => {
            let asked =
                post(path, &[headers, &[JSON]].concat(), if operation.verb == "PUT" { "{}" } else { "" });
            String::from_utf8(asked).unwrap().replacen("POST", &operation.verb, 1).into_bytes()
        }
        ("/v1/websocket" | "/v1/echo", _) => handshake(&target, headers).into_bytes(),
        ("/v1/publish", _) => post(&target, &[headers, &[JSON]].concat(), "1"),
        (_, true) => post(path, &[headers, &[FORM]].concat(), "topic=a"),
        (_, false) => get_with(&target, headers).into_bytes(),
    };
    let named = |host: &str| {
        let request = String::from_utf8(good(&[])).unwrap();
        request.replacen("Host: localhost", &format!("Host: {host}"), 1).into_bytes()
    };
    let plain = |line: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    let verb = &operation.verb;
    let mut all = vec![
        (strict, good(&[])),
        (&gateways.full, good(&[])),
        (&gateways.busy, good(&[])),
        (strict, good(&["Accept: image/png"])),
        (strict, named("evil.example")),
        (strict, good(&[&format!("X-Long: {}", "x".repeat(17_000))])),
        (strict, [plain(&format!("{verb} {path}?x={}", "x".repeat(9000))), b"\r\n".to_vec()].concat()),
        (strict, [plain(&format!("{verb} {target}")), b"Content-Length: 1\r\n\r\nx".to_vec()].concat()),
    ];
    if path == "/v1/lab/x" {
        let of = |headers: &[&str], body: &[u8]| {
            [verb.as_bytes(), &post(path, headers, body)["POST".len()..]].concat()
        };
        all.push((strict, plain_request(verb, "/v1/lab/a%20b")));
        match &**verb {
            "PUT" => {
                all.push((strict, of(&[JSON], b"{\"rtt_ms\":20,\"loss\":0.25,\"source\":{\"rate\":0}}")));
                all.push((strict, of(&[JSON], b"{\"rtt_ms\":-1}")));
                all.push((strict, of(&[JSON], &[b' '; 17_000])));
                let slow = format!("Content-Length: 9\r\n{JSON}\r\n\r\nslow");
                all.push((strict, [plain(&format!("PUT {path}")), slow.into_bytes()].concat()));
            }
            _ => all.push((strict, plain_request(verb, "/v1/lab/absent"))),
        }
    }
    if subscribes && !is_post {
        all.push((strict, get(&format!("{path}?topic=a&after=z-1&fields=no")).into_bytes()));
    }
    match path {
        "/v1/poll" | "/v1/longpoll" => {
            let timeout = if path == "/v1/longpoll" { "&timeout=0" } else { "" };
            let quiet = format!("topic=quiet&after={start}{timeout}");
            all.push(match is_post {
                true => (strict, post(path, &[FORM], quiet)),
                false => (strict, get(&format!("{path}?{quiet}")).into_bytes()),
            });
            let held = format!("topic=held&after=earliest{timeout}");
            all.push(match is_post {
                true => (strict, post(path, &[FORM], held)),
                false => (strict, get(&format!("{path}?{held}")).into_bytes()),
            });
        }
        "/v1/websocket" | "/v1/echo" => {
            all.push((strict, get(&target).into_bytes()));
            let keyless = handshake(&target, &[]).replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x");
            all.push((strict, keyless.into_bytes()));
        }
        "/metrics" => all.push((strict, good(&["Accept: application/openmetrics-text"]))),
        _ => {}
    }
    if is_post {
        let invalid = if path == "/v1/publish" { "{" } else { "" };
        let kind = if path == "/v1/publish" { JSON } else { FORM };
        all.push((strict, post(&target, &[kind], invalid)));
        all.push((strict, post(path, &[kind], "")));
        all.push((strict, post(&target, &[], "x")));
        all.push((strict, post(&target, &[kind], vec![b'1'; 70_000])));
        let slow = format!("Content-Length: 9\r\n{kind}\r\n\r\nslow");
        all.push((strict, [plain(&format!("POST {target}")), slow.into_bytes()].concat()));
    }
    if path == "/v1/publish" {
        let key = ["Idempotency-Key: k", JSON];
        all.push((strict, post("/v1/publish?topic=held&type=t", &key, "{\"a\":[1,2]}")));
        all.push((strict, post("/v1/publish?topic=held&type=t", &key, "2")));
        all.push((strict, post("/v1/publish?topic=held", &["Content-Type: application/x-ndjson"], "1\n2\n")));
        all.push((strict, post("/v1/publish?topic=held", &["Content-Type: image/png"], b"\x89PNG")));
    }
    all
}

/// A request without a body.
fn plain_request(verb: &str, target: &str) -> Vec<u8> {
    get(target).replacen("GET", verb, 1).into_bytes()
}

/// The answer to a request; of one without an end the first messages.
async fn asked(server: &Server, request: &[u8]) -> (Answer, Vec<Value>) {
    let mut conn = Conn::open(server.addr).await;
    conn.send(request).await;
    let head = conn.head().await;
    let mut messages = Vec::new();
    let endless = head.status == 200
        && head.get("content-length").is_none()
        && head
            .get("content-type")
            .is_some_and(|kind| kind.contains("event-stream") || kind.contains("ndjson"));
    if head.status == 101 {
        if !request.starts_with(b"GET /v1/echo") {
            messages.push(serde_json::from_str(&receive_text(&mut conn).await).expect("a message"));
        }
        return (Answer { head, body: Vec::new() }, messages);
    }
    if endless {
        let Piece::Data(first) = soon(conn.piece()).await else { panic!("a stream has a hello") };
        let text = String::from_utf8(first).unwrap();
        let lines = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        messages.extend(
            lines.filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()),
        );
        assert!(!messages.is_empty(), "{text}");
        return (Answer { head, body: Vec::new() }, messages);
    }
    let body = soon(conn.try_body(&head)).await.expect("a body");
    (Answer { head, body }, messages)
}

/// A gateway that goes is not ready.
async fn drained(document: &Value, operations: &mut [Operation<'_>]) {
    let mut leaving = harness::start_with(|config| config.drain_delay = Duration::from_millis(500));
    leaving.shut_down();
    let answer = soon(async {
        loop {
            let answer = leaving.get("/readyz").await;
            if answer.status() != 200 {
                break answer;
            }
        }
    })
    .await;
    let ready = operations.iter_mut().find(|operation| operation.path == "/readyz").expect("it is described");
    ready.check(document, &answer, &[], "/readyz of one that goes");
}

impl Operation<'_> {
    /// Holds an answer against what is described.
    fn check(&mut self, document: &Value, answer: &Answer, messages: &[Value], context: &str) {
        let status = answer.status().to_string();
        let described = &self.described["responses"][&status];
        assert!(described.is_object(), "not described: {context}{}", answer.text());
        self.seen.insert(status);
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            let sent = answer.head.get(&name.to_ascii_lowercase());
            let sent = sent.unwrap_or_else(|| panic!("{name} is missing: {context}"));
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => sent.parse::<u64>().expect("a number").into(),
                _ => Value::from(sent),
            };
            holds(document, &header["schema"], &value, context);
        }
        if answer.status() == 101 {
            for message in messages {
                holds(document, &json!({"$ref": "#/components/schemas/Message"}), message, context);
            }
            return;
        }
        let Some(kind) = answer.head.get("content-type") else {
            assert!(described["content"].is_null() && answer.body.is_empty(), "no content type: {context}");
            return;
        };
        let kind = kind.split(';').next().unwrap();
        let content = &described["content"][kind];
        assert!(content.is_object(), "{kind} is not described: {context}");
        for message in messages {
            holds(document, &content["itemSchema"], message, context);
        }
        if messages.is_empty() && kind.ends_with("json") {
            holds(document, &content["schema"], &answer.json(), context);
            if answer.status() != 200 {
                assert_eq!(answer.json()["status"], answer.status(), "{context}");
            }
        }
    }
}

/// Holds a value against a schema of the document.
#[track_caller]
fn holds(document: &Value, schema: &Value, value: &Value, context: &str) {
    assert!(schema.is_object(), "no schema: {context}");
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let schema = jsonschema::draft202012::new(&whole).unwrap_or_else(|error| panic!("{error}: {schema}"));
    let faults: Vec<String> = schema.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{value} is not as described: {faults:?}: {context}");
}

/// What is not as described is noticed: the test above can fail.
#[test]
#[should_panic(expected = "not as described")]
fn another_shape_is_noticed() {
    let document =
        json!({"components": {"schemas": {"Cursor": {"type": "string", "pattern": "^[0-9a-z]+-[0-9]+$"}}}});
    let schema = json!({"type": "object", "properties": {"id": {"$ref": "#/components/schemas/Cursor"}}});
    holds(&document, &schema, &json!({"id": "x-1"}), "good");
    holds(&document, &schema, &json!({"id": "x"}), "bad");
}
