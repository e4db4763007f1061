//! What each transport's bytes mean.

use std::{net::SocketAddr, time::Duration};

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::http::{Answer, Conn, Piece, soon};

use super::{End, Event, Gap, Item, Position};

/// Poll and long poll: request after request, each with the cursor that the last answer left.
pub(super) struct Requests {
    addr: SocketAddr,
    target: String,
    conn: Option<Conn>,
    position: Position,
    waits: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    cursor: String,
    more: Option<bool>,
    gap: Option<Gap>,
}

impl Requests {
    pub(super) fn new(conn: Conn, target: String, position: Position, waits: bool) -> Self {
        let addr = conn.stream().peer_addr().unwrap();
        Self { addr, target, conn: Some(conn), position, waits }
    }

    pub(super) fn stream(&self) -> Option<&TcpStream> {
        self.conn.as_ref().map(Conn::stream)
    }

    pub(super) async fn next(&mut self) -> Vec<Item> {
        let Some(answer) = self.exchange().await else { return vec![Item::End(End::Cut)] };
        let mut items = Vec::new();
        let cursor = match answer.status() {
            200 => {
                let batch: Batch = serde_json::from_slice(&answer.body).unwrap_or_else(|error| {
                    panic!("{error} in {}", String::from_utf8_lossy(&answer.body));
                });
                assert_eq!(answer.head.get("fanlight-cursor"), Some(&*batch.cursor));
                items.extend(batch.gap.map(Item::Gap));
                items.extend(batch.events.iter().map(|doc| Item::Event(Event::parse(doc.get()))));
                let last = batch.events.last().map(|doc| Event::parse(doc.get()).id);
                if batch.more == Some(true) {
                    assert_eq!(
                        last.as_ref(),
                        Some(&batch.cursor),
                        "a cut answer's cursor is its last event's id"
                    );
                }
                if last.as_ref() != Some(&batch.cursor) {
                    items.push(Item::Cursor(batch.cursor.clone()));
                }
                batch.cursor
            }
            204 => {
                let cursor = answer.head.get("fanlight-cursor").expect("a cursor on a 204").to_owned();
                items.push(Item::Cursor(cursor.clone()));
                if !self.waits {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                cursor
            }
            _ => {
                items.extend([Item::Error(answer.json()), Item::End(End::Clean)]);
                return items;
            }
        };
        self.position = Position::after(&cursor);
        items
    }

    /// One request and its answer. A kept connection may have been closed meanwhile: then once more.
    async fn exchange(&mut self) -> Option<Answer> {
        let request = self.position.request(&self.target);
        if let Some(mut conn) = self.conn.take()
            && conn.try_send(&request).await
            && let Some(answer) = conn.try_answer().await
        {
            return Some(self.keep(conn, answer));
        }
        let mut conn = Conn::try_open(self.addr).await?;
        conn.try_send(&request).await;
        let answer = conn.try_answer().await?;
        Some(self.keep(conn, answer))
    }

    fn keep(&mut self, conn: Conn, answer: Answer) -> Answer {
        self.conn = (answer.head.get("connection") != Some("close")).then_some(conn);
        answer
    }
}

/// The body of a stream, cut into its units: NDJSON lines, or the blocks of an event stream.
pub(super) struct Body {
    conn: Conn,
    begun: bool,
    /// What the chunks carried and no unit has taken yet.
    text: Vec<u8>,
}

impl Body {
    pub(super) async fn ask(mut conn: Conn, request: &str) -> Self {
        conn.try_send(request).await;
        Self { conn, begun: false, text: Vec::new() }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.conn.stream()
    }

    pub(super) async fn next_line(&mut self) -> Vec<Item> {
        match self.unit(b"\n").await {
            Ok(line) => vec![message(line.strip_suffix('\n').unwrap())],
            Err(end) => end,
        }
    }

    pub(super) async fn next_block(&mut self) -> Vec<Item> {
        match self.unit(b"\n\n").await {
            Ok(block) => vec![block_item(block.strip_suffix("\n\n").unwrap())],
            Err(end) => end,
        }
    }

    /// Text through `mark`, which a chunk may split anywhere; or else what the end of the body means.
    async fn unit(&mut self, mark: &[u8]) -> Result<String, Vec<Item>> {
        if !self.begun {
            let Some(head) = self.conn.try_head().await else { return Err(vec![Item::End(End::Cut)]) };
            if head.status != 200 {
                let body = self.conn.try_body(&head).await.expect("the body of a refusal");
                return Err(vec![Item::Error(Answer { head, body }.json()), Item::End(End::Clean)]);
            }
            self.begun = true;
        }
        loop {
            if let Some(at) = self.text.windows(mark.len()).position(|window| window == mark) {
                let unit = self.text.drain(..at + mark.len()).collect();
                return Ok(String::from_utf8(unit).expect("UTF-8"));
            }
            match self.conn.piece().await {
                Piece::Data(data) => self.text.extend(data),
                Piece::Last => {
                    assert!(
                        self.text.is_empty(),
                        "a clean end within {:?}",
                        String::from_utf8_lossy(&self.text)
                    );
                    return Err(vec![Item::End(End::Clean)]);
                }
                Piece::Cut => return Err(vec![Item::End(End::Cut)]),
            }
        }
    }
}

/// What one block of an event stream says.
fn block_item(block: &str) -> Item {
    let (mut id, mut event, mut data, mut retry) = (None, None, None, None);
    for line in block.split('\n') {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("not a field: {line}"));
        let field = match name {
            "id" => &mut id,
            "event" => &mut event,
            "data" => &mut data,
            "retry" => &mut retry,
            _ => panic!("an unknown field: {line}"),
        };
        assert_eq!(field.replace(value), None, "{name} stands twice in {block}");
    }
    let item = message(data.expect("data in every block"));
    let moved = match &item {
        Item::Event(event) => Some(&*event.id),
        Item::Hello(cursor) | Item::Cursor(cursor) => Some(&**cursor),
        _ => None,
    };
    assert_eq!(id, moved, "where this block moves the cursor: {block}");
    assert_eq!(event, (!matches!(item, Item::Event(_))).then_some("control"), "{block}");
    if let Some(retry) = retry {
        let retry: u64 = retry.parse().expect("milliseconds");
        assert!(!matches!(item, Item::Reconnect(after) if after != retry), "{block}");
    }
    item
}

/// Opens a WebSocket, or gives the problem that refused it.
pub(super) async fn shake_hands(
    conn: Conn,
    target: &str,
    last_event_id: Option<String>,
) -> Result<Box<WebSocketStream<TcpStream>>, Value> {
    let stream = conn.into_stream();
    let mut request = format!("ws://localhost{target}").into_client_request().unwrap();
    if let Some(cursor) = last_event_id {
        request.headers_mut().insert("last-event-id", cursor.parse().unwrap());
    }
    match soon(client_async(request, stream)).await {
        Ok((socket, _)) => Ok(Box::new(socket)),
        Err(Error::Http(answer)) => {
            Err(serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).expect("a problem"))
        }
        Err(error) => panic!("the handshake: {error}"),
    }
}

pub(super) async fn next_frame(socket: &mut WebSocketStream<TcpStream>) -> Vec<Item> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return vec![message(&text)],
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(Some(frame)))) => {
                let end = End::Close(frame.code.into(), frame.reason.to_string());
                // The answer to the close leaves with the next read.
                let _ = socket.next().await;
                return vec![Item::End(end)];
            }
            Some(Ok(other)) => panic!("not a text frame: {other:?}"),
            Some(Err(_)) | None => return vec![Item::End(End::Cut)],
        }
    }
}

/// One message: an event document, or a control.
fn message(text: &str) -> Item {
    assert!(!text.contains(['\n', '\r']), "a raw line break in {text:?}");
    if text.starts_with(r#"{"id":"#) {
        return Item::Event(Event::parse(text));
    }
    let control: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let cursor = || control["cursor"].as_str().expect("a cursor").to_owned();
    match control["control"].as_str() {
        Some("hello") => Item::Hello(cursor()),
        Some("cursor") => Item::Cursor(cursor()),
        Some("reconnect") => Item::Reconnect(control["after_ms"].as_u64().expect("milliseconds")),
        Some("gap") => {
            let word = |name: &str| control[name].as_str().expect("a string").to_owned();
            Item::Gap(Gap { from: word("from"), to: word("to"), reason: word("reason") })
        }
        Some("error") => Item::Error(control),
        _ => panic!("an unknown message: {text}"),
    }
}

impl Event {
    /// Reads what it is of a document, whatever stands in its data.
    fn parse(doc: &str) -> Self {
        #[derive(Deserialize)]
        struct Envelope {
            id: String,
            topic: String,
        }
        let Envelope { id, topic } =
            serde_json::from_str(doc).unwrap_or_else(|error| panic!("{error}: {doc}"));
        Self { id, topic, doc: doc.to_owned() }
    }
}
