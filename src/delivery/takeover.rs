//! How a connection leaves hyper: what hyper's inside has to do with it stands here and in `server::core`.
//!
//! The application answers as always, and its answer carries a [`Leaving`] where the connection may go. The
//! server then never hands the answer to hyper: it waits until hyper has written all that it had (answers to
//! earlier, pipelined requests), takes the connection apart and writes the head itself, so that nothing of it
//! can be left in a buffer. A test compares that head byte for byte with hyper's own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response::Parts};

use super::{
    duplex::{Messages, Peer, Times},
    taken::Kind,
};
use crate::{
    bus::{log::Budget, reader::Reader},
    event::Cursor,
};

/// What a request carries that may wait for something to happen, so that whoever has the connection looks whether
/// the peer is still there.
#[derive(Clone, Debug, Default)]
pub struct Waits(Arc<AtomicBool>);

impl Waits {
    /// Says that it waits, until the guard goes.
    pub fn begin(self) -> Waiting {
        self.0.store(true, Ordering::Relaxed);
        Waiting(self)
    }

    /// Whether it waits.
    pub fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request that waits.
#[derive(Debug)]
pub struct Waiting(Waits);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// What a request carries whose connection may leave hyper.
#[derive(Clone, Copy, Debug)]
pub struct MayLeave {
    /// Whether a hub may take it; else it may only become a WebSocket.
    pub taken: bool,
    /// Whether its connection asked the same before: then it will again.
    pub again: bool,
}

/// What an answer carries that the connection is to leave with. Its clones are the same.
#[derive(Clone, Debug)]
pub struct Leaving(Arc<Mutex<Option<Leave>>>);

/// Where a connection goes.
#[derive(Debug)]
pub enum Leave {
    /// To the hub of its core.
    Taken(Entry),
    /// To a task of its own, as a WebSocket.
    Duplex {
        /// What answers there.
        peer: Peer,
        /// The times that it keeps.
        times: Times,
        /// What its messages may be.
        messages: Messages,
    },
}

/// A subscriber that comes to a hub.
#[derive(Debug)]
pub struct Entry {
    /// How it is delivered to.
    pub kind: Kind,
    /// Its place in the log; an echo has none.
    pub reader: Option<Reader>,
    /// The cursor that it is told first.
    pub hello: String,
    /// Silence before a heartbeat.
    pub heartbeat: Duration,
    /// Whether it may publish.
    pub publishes: bool,
    /// Whether its first subscription is still to come.
    pub fresh: bool,
    /// How it waits, if it polls.
    pub wait: Option<Wait>,
    /// What it published, if that is what it came for.
    pub offer: Option<Box<Offer>>,
}

/// What a publisher sent, and may send again.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its first event, which is still to be answered.
    pub id: Cursor,
    /// The request's target, as it came.
    pub target: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The topic that they name.
    pub topic: String,
    /// The type that they name.
    pub kind: Option<String>,
    /// What the body is.
    pub media: Media,
}

/// What the body of a publish is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// A JSON value.
    Json,
    /// A text.
    Text,
    /// Anything else, by its media type.
    Binary(String),
}

/// How a long poll waits.
#[derive(Clone, Debug)]
pub struct Wait {
    /// At most so long.
    pub timeout: Duration,
    /// For at most so much.
    pub budget: Budget,
    /// The cursor as its request has it.
    pub cursor: String,
    /// Whether it stood in `Last-Event-ID`.
    pub presented: bool,
}

impl Leaving {
    /// To be put into an answer.
    pub fn new(leave: Leave) -> Self {
        Self(Arc::new(Mutex::new(Some(leave))))
    }

    /// Takes it out again, once.
    pub fn take(&self) -> Option<Leave> {
        self.0.lock().expect("nothing panics while it holds the lock").take()
    }
}

/// Whether a hub can take the connection of a request with these headers: one that hyper would keep open.
pub fn is_persistent(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::CONNECTION).into_iter();
    lines.map(|line| line.to_str().unwrap_or("unreadable")).flat_map(|line| line.split(',')).all(|token| {
        let token = token.trim();
        token.is_empty() || ["keep-alive", "upgrade"].iter().any(|known| token.eq_ignore_ascii_case(known))
    })
}

/// Writes the head of an answer as hyper does, for a body in chunks if it has one.
pub fn write_head(out: &mut Vec<u8>, head: &Parts) {
    status_line(out, head.status);
    for (name, value) in fields(head) {
        field(out, name.as_str(), value.as_bytes());
    }
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        field(out, "transfer-encoding", b"chunked");
    }
    end_of_head(out);
}

/// The head of an answer to a long poll, but for what differs from answer to answer.
#[derive(Debug, PartialEq, Eq)]
pub struct AnswerHead {
    full: Split,
    empty: Split,
}

/// The fields before and after the cursor's value.
#[derive(Debug, Default, PartialEq, Eq)]
struct Split {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl AnswerHead {
    /// Prepares a head whose field `cursor` is to be filled in.
    pub fn new(head: &Parts, cursor: &str) -> Self {
        let split = |status: StatusCode| {
            let mut split = Split::default();
            status_line(&mut split.before, status);
            let mut seen = false;
            for (name, value) in fields(head) {
                if name == cursor {
                    split.before.extend_from_slice(name.as_str().as_bytes());
                    split.before.extend_from_slice(b": ");
                    seen = true;
                } else if status != StatusCode::NO_CONTENT || name != header::CONTENT_TYPE {
                    field(
                        if seen { &mut split.after } else { &mut split.before },
                        name.as_str(),
                        value.as_bytes(),
                    );
                }
            }
            split
        };
        Self { full: split(StatusCode::OK), empty: split(StatusCode::NO_CONTENT) }
    }

    /// Writes the head of an answer with a body of `length` bytes, or with none; `last` if no other answer
    /// follows on the connection.
    pub fn write(&self, out: &mut Vec<u8>, cursor: &str, length: Option<usize>, last: bool) {
        let split = if length.is_some() { &self.full } else { &self.empty };
        out.extend_from_slice(&split.before);
        out.extend_from_slice(cursor.as_bytes());
        out.extend_from_slice(b"\r\n");
        if last {
            field(out, "connection", b"close");
        }
        out.extend_from_slice(&split.after);
        if let Some(length) = length {
            field(out, "content-length", length.to_string().as_bytes());
        }
        end_of_head(out);
    }
}

/// The head of an answer to a publish, but for its length.
#[derive(Debug, PartialEq, Eq)]
pub struct PublishHead(Vec<u8>);

impl PublishHead {
    /// Prepares a head.
    pub fn new(head: &Parts) -> Self {
        let mut prepared = Vec::new();
        status_line(&mut prepared, head.status);
        for (name, value) in fields(head) {
            field(&mut prepared, name.as_str(), value.as_bytes());
        }
        Self(prepared)
    }

    /// Writes the head of an answer with a body of `length` bytes.
    pub fn write(&self, out: &mut Vec<u8>, length: usize) {
        out.extend_from_slice(&self.0);
        field(out, "content-length", length.to_string().as_bytes());
        end_of_head(out);
    }
}

/// The fields of a head but for the length, which is that of the empty body it came with.
fn fields(head: &Parts) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    head.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH)
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn end_of_head(out: &mut Vec<u8>) {
    field(out, "date", httpdate::fmt_http_date(SystemTime::now()).as_bytes());
    out.extend_from_slice(b"\r\n");
}
