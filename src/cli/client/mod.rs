//! The subscriber's side of the wire: one file a transport, all of one shape.
//!
//! Each is a function `messages(connection)` that gives a stream of what came, until the connection ends.
//! It asks once and never reconnects: that is the same for all, and stands in the command.

mod answer;
mod chunked;
mod document;
mod longpoll;
mod poll;
mod sse;
mod sse_parser;
mod websocket;

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use clap::ValueEnum;
use reqwest::{
    Client, RequestBuilder, Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use tokio_stream::Stream;

pub(crate) use self::document::{Control, Message};
use super::http::{self, Failure, Gateway};

/// A transport, by the name that it has everywhere.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Transport {
    /// Ask again and again
    Poll,
    /// Ask, and be answered when there is something
    Longpoll,
    /// One answer that goes on, a line an event
    Chunked,
    /// Server-Sent Events
    Sse,
    /// RFC 6455
    Websocket,
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Position {
    /// With what comes.
    Now,
    /// After this cursor, which the user gave, or at the `earliest` event.
    After(String),
    /// With so many of the newest events of each topic.
    Last(u32),
    /// After this cursor, which the gateway gave.
    Resume(String),
}

/// What it takes to ask for a subscription.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) gateway: Gateway,
    pub(crate) client: Client,
    pub(crate) topics: Vec<String>,
    pub(crate) position: Position,
    /// How long a poll waits before the next.
    pub(crate) interval: Duration,
}

/// What came over a connection, until it ended or failed.
pub(crate) type Messages = Pin<Box<dyn Stream<Item = Result<Message, Failure>> + Send>>;

/// Asks over the transport.
pub(crate) fn open(transport: Transport, connection: Connection) -> Messages {
    match transport {
        Transport::Poll => Box::pin(poll::messages(connection)),
        Transport::Longpoll => Box::pin(longpoll::messages(connection)),
        Transport::Chunked => Box::pin(chunked::messages(connection)),
        Transport::Sse => Box::pin(sse::messages(connection)),
        Transport::Websocket => Box::pin(websocket::messages(connection)),
    }
}

/// The heartbeat that is asked for, in seconds: what [`DEAD`] is measured by must not be left to the
/// gateway's configuration.
const HEARTBEAT: &str = "15";
/// A connection over which nothing came for this long is dead: two heartbeats and a half, and some.
const DEAD: Duration = Duration::from_secs(45);
/// The longest document that is taken: a gateway allows events of 64 MiB at most, and base64 adds a third.
const MOST: usize = 96 * 1024 * 1024;
/// The longest query that goes into a URL: request heads are bounded, 16 KiB by default.
const LONG_QUERY: usize = 8 * 1024;

/// What the query says.
struct Query(Vec<(&'static str, String)>);

impl Query {
    fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    fn is_long(&self) -> bool {
        self.encoded().len() > LONG_QUERY
    }
}

impl Connection {
    /// The fields that say what is asked for; a cursor that was resumed from goes into the header.
    fn query(&self, more: &[(&'static str, &str)]) -> Query {
        let topics = self.topics.iter().map(|topic| ("topic", topic.clone()));
        let position = match &self.position {
            Position::Now | Position::Resume(_) => None,
            Position::After(cursor) => Some(("after", cursor.clone())),
            Position::Last(count) => Some(("last", count.to_string())),
        };
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        Query(topics.chain(position).chain(more).collect())
    }

    /// A request for `path`: a GET, or a POST of the same fields where the URL would grow too long.
    fn request(&self, path: &str, query: &Query) -> RequestBuilder {
        let mut url = self.gateway.endpoint(path);
        if query.is_long() {
            let form = "application/x-www-form-urlencoded";
            return self.resuming(self.client.post(url).header(CONTENT_TYPE, form).body(query.encoded()));
        }
        url.set_query(Some(&query.encoded()));
        self.resuming(self.client.get(url))
    }

    fn resuming(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.position {
            // The header rather than `after=`: a log that has lost its end answers it with a gap instead
            // of a refusal.
            Position::Resume(cursor) => match HeaderValue::from_bytes(cursor.as_bytes()) {
                Ok(cursor) => request.header("last-event-id", cursor),
                Err(_) => request,
            },
            _ => request,
        }
    }

    /// Asks, and gives the head of the answer.
    async fn get(&self, path: &str, more: &[(&'static str, &str)]) -> Result<Response, Failure> {
        send(self.request(path, &self.query(more))).await
    }
}

async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = within(DEAD, request.send()).await?.map_err(http::lost)?;
    within(DEAD, http::accepted(response)).await?
}

/// The next part of a body that goes on, nothing at its end.
async fn part(response: &mut Response) -> Result<Option<Bytes>, Failure> {
    within(DEAD, response.chunk()).await?.map_err(http::lost)
}

/// Waits for something that a living connection brings in time.
async fn within<T>(time: Duration, what: impl Future<Output = T>) -> Result<T, Failure> {
    let dead = |_| Failure::Lost(format!("nothing came for {} s", time.as_secs()));
    tokio::time::timeout(time, what).await.map_err(dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(position: Position, topics: &[&str]) -> Connection {
        let gateway = Gateway::parse("http://127.0.0.1:1").unwrap();
        Connection {
            client: gateway.client().unwrap(),
            gateway,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            position,
            interval: Duration::from_secs(1),
        }
    }

    #[test]
    fn topics_and_positions_are_encoded() {
        let connection = connection(Position::Last(3), &["a b/*", "ä&c"]);
        let request =
            connection.request("v1/sse", &connection.query(&[("heartbeat", "15")])).build().unwrap();
        let query = "topic=a+b%2F*&topic=%C3%A4%26c&last=3&heartbeat=15";
        assert_eq!(request.url().as_str(), format!("http://127.0.0.1:1/v1/sse?{query}"));
        assert!(request.headers().is_empty());
    }

    #[test]
    fn a_cursor_of_the_gateway_goes_into_the_header() {
        let connection = connection(Position::Resume("e-1".to_owned()), &["a"]);
        let request = connection.request("v1/poll", &connection.query(&[])).build().unwrap();
        assert_eq!(request.url().query(), Some("topic=a"));
        assert_eq!(request.headers()["last-event-id"], "e-1");
    }

    #[test]
    fn a_long_query_becomes_a_form() {
        let topic = "x".repeat(250);
        let connection = connection(Position::After("e-1".to_owned()), &vec![topic.as_str(); 100]);
        let request = connection.request("v1/poll", &connection.query(&[])).build().unwrap();
        assert_eq!((request.method().as_str(), request.url().query()), ("POST", None));
        let body = request.body().and_then(|body| body.as_bytes()).unwrap();
        assert!(body.ends_with(b"&after=e-1"));
    }
}
