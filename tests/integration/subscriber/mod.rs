//! The five transports behind one interface, for the suite that holds all of them to one contract.
//!
//! Nothing of the gateway's own code is used here, and WebSocket is spoken by a library of other hands, so
//! that the two sides cannot share a mistake. What is not literally as specified panics at once.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;

use crate::http::{Conn, encode, get_with, soon};

use wire::{Body, Requests};

mod wire;

pub(crate) use Transport::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Poll,
    Longpoll,
    Chunked,
    Sse,
    Websocket,
}

impl Transport {
    pub(crate) const ALL: [Self; 5] = [Poll, Longpoll, Chunked, Sse, Websocket];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Poll => "/v1/poll",
            Longpoll => "/v1/longpoll",
            Chunked => "/v1/chunked",
            Sse => "/v1/sse",
            Websocket => "/v1/websocket",
        }
    }

    /// Whether one connection carries event after event, its own hello first.
    pub(crate) fn streams(self) -> bool {
        !matches!(self, Poll | Longpoll)
    }
}

/// Where a subscription starts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    /// A query field and its value.
    query: Option<(&'static str, String)>,
    /// What `Last-Event-ID` carries.
    header: Option<String>,
}

impl Position {
    pub(crate) fn now() -> Self {
        Self::default()
    }

    pub(crate) fn after(cursor: &str) -> Self {
        Self { query: Some(("after", cursor.to_owned())), header: None }
    }

    pub(crate) fn earliest() -> Self {
        Self::after("earliest")
    }

    pub(crate) fn last(count: usize) -> Self {
        Self { query: Some(("last", count.to_string())), header: None }
    }

    pub(crate) fn header(cursor: &str) -> Self {
        Self::now().and_header(cursor)
    }

    /// The same with a `Last-Event-ID` beside it.
    pub(crate) fn and_header(self, cursor: &str) -> Self {
        Self { header: Some(cursor.to_owned()), ..self }
    }

    /// The target with the position's query field.
    fn target(&self, target: &str) -> String {
        match &self.query {
            Some((name, value)) => format!("{target}&{name}={}", encode(value)),
            None => target.to_owned(),
        }
    }

    /// The whole request.
    fn request(&self, target: &str) -> String {
        let header = self.header.as_ref().map(|cursor| format!("Last-Event-ID: {cursor}"));
        let header: Vec<&str> = header.as_deref().into_iter().collect();
        get_with(&self.target(target), &header)
    }

    /// The cursor that is presented, where it is one.
    fn presented(&self) -> Option<&str> {
        let header = self.header.as_deref().filter(|header| !header.is_empty());
        header.or(match &self.query {
            Some(("after", cursor)) if cursor != "earliest" => Some(cursor),
            _ => None,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// The cursor that a subscription starts from, before its first event.
    Hello(String),
    Event(Event),
    Gap(Gap),
    /// A caught-up subscription's cursor.
    Cursor(String),
    /// Milliseconds to wait before coming back.
    Reconnect(u64),
    /// An RFC 9457 problem.
    Error(Value),
    End(End),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) topic: String,
    /// The document as it came.
    pub(crate) doc: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) reason: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// The body was complete.
    Clean,
    /// The connection was gone.
    Cut,
    /// A WebSocket close: code and reason.
    Close(u16, String),
}

/// One subscription on one transport.
pub(crate) struct Subscriber {
    wire: Wire,
    items: VecDeque<Item>,
    /// What a client that has processed every item so far would resume from.
    pub(crate) cursor: Option<String>,
}

enum Wire {
    Requests(Requests),
    Lines(Body),
    Blocks(Body),
    Frames(Box<WebSocketStream<TcpStream>>),
    Ended,
}

impl Subscriber {
    /// Subscribes. Without a position, poll and long poll fix theirs here; a stream does with its hello.
    pub(crate) async fn open(
        addr: SocketAddr,
        transport: Transport,
        topics: &[&str],
        position: Position,
    ) -> Self {
        Self::open_on(Conn::open(addr).await, transport, topics, position).await
    }

    /// The same on a connection that was prepared for it.
    pub(crate) async fn open_on(
        conn: Conn,
        transport: Transport,
        topics: &[&str],
        position: Position,
    ) -> Self {
        let topics: Vec<String> = topics.iter().map(|topic| format!("topic={}", encode(topic))).collect();
        let target = format!("{}?{}", transport.path(), topics.join("&"));
        let mut items = VecDeque::new();
        let wire = match transport {
            Poll | Longpoll => {
                items.extend(position.presented().map(|cursor| Item::Hello(cursor.to_owned())));
                let placed = position.query.is_some() || position.header.is_some();
                let mut requests = Requests::new(conn, target, position, transport == Longpoll);
                if !placed {
                    items.extend(requests.next().await.into_iter().map(|item| match item {
                        Item::Cursor(cursor) => Item::Hello(cursor),
                        other => other,
                    }));
                }
                Wire::Requests(requests)
            }
            Chunked => Wire::Lines(Body::ask(conn, &position.request(&target)).await),
            Sse => Wire::Blocks(Body::ask(conn, &position.request(&target)).await),
            Websocket => match wire::shake_hands(conn, &position.target(&target), position.header).await {
                Ok(socket) => Wire::Frames(socket),
                Err(problem) => {
                    items.push_back(Item::Error(problem));
                    Wire::Ended
                }
            },
        };
        Self { wire, items, cursor: None }
    }

    /// The next thing that happens.
    pub(crate) async fn next(&mut self) -> Item {
        soon(self.try_next()).await
    }

    /// The same without a deadline. Nothing is lost when it is dropped while it waits.
    pub(crate) async fn try_next(&mut self) -> Item {
        while self.items.is_empty() {
            let items = match &mut self.wire {
                Wire::Requests(requests) => requests.next().await,
                Wire::Lines(body) => body.next_line().await,
                Wire::Blocks(body) => body.next_block().await,
                Wire::Frames(socket) => wire::next_frame(socket).await,
                Wire::Ended => vec![Item::End(End::Clean)],
            };
            if let Some(Item::End(_)) = items.last() {
                self.wire = Wire::Ended;
            }
            self.items.extend(items);
        }
        let item = self.items.pop_front().expect("just looked");
        match &item {
            Item::Hello(cursor) | Item::Cursor(cursor) => self.cursor = Some(cursor.clone()),
            Item::Event(event) => self.cursor = Some(event.id.clone()),
            _ => {}
        }
        item
    }

    /// The next item, which must be the hello.
    #[track_caller]
    pub(crate) fn hello(&mut self) -> impl Future<Output = String> {
        self.expect("the hello", |item| if let Item::Hello(cursor) = item { Ok(cursor) } else { Err(item) })
    }

    /// The next item but for heartbeats, which must be an event.
    #[track_caller]
    pub(crate) fn event(&mut self) -> impl Future<Output = Event> {
        self.expect("an event", |item| if let Item::Event(event) = item { Ok(event) } else { Err(item) })
    }

    /// The next item but for heartbeats, which must be a gap.
    #[track_caller]
    pub(crate) fn gap(&mut self) -> impl Future<Output = Gap> {
        self.expect("a gap", |item| if let Item::Gap(gap) = item { Ok(gap) } else { Err(item) })
    }

    /// The next cursor of its own: a heartbeat, or an answer that drained everything.
    pub(crate) async fn heartbeat(&mut self) -> String {
        match self.next().await {
            Item::Cursor(cursor) => cursor,
            other => panic!("a cursor was due, not {other:?}"),
        }
    }

    #[track_caller]
    fn expect<T>(&mut self, what: &str, pick: fn(Item) -> Result<T, Item>) -> impl Future<Output = T> {
        let caller = std::panic::Location::caller();
        async move {
            loop {
                match pick(self.next().await) {
                    Ok(found) => return found,
                    Err(Item::Cursor(_)) => {}
                    Err(other) => panic!("{what} was due at {caller}, not {other:?}"),
                }
            }
        }
    }

    /// The ids of the next events; the last must be `last`.
    pub(crate) async fn ids_through(&mut self, last: &str) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.last().is_none_or(|id| id != last) {
            ids.push(self.event().await.id);
        }
        ids
    }

    /// Ends without a word; with `reset`, even what is under way is lost.
    pub(crate) fn cut(self, reset: bool) {
        let stream = match &self.wire {
            Wire::Requests(requests) => requests.stream(),
            Wire::Lines(body) | Wire::Blocks(body) => Some(body.stream()),
            Wire::Frames(socket) => Some(socket.get_ref()),
            Wire::Ended => None,
        };
        if let Some(stream) = stream.filter(|_| reset) {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}
