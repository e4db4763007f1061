//! Where a connection comes in from hyper, and where it leaves: for hyper, or for good.

use std::{net::TcpStream, os::fd::OwnedFd};

use http::response::Parts;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::{
    Taken, piece,
    posting::{self, Posting},
    record::{Kind, NEVER, Record, State},
    ticks,
};
use crate::{
    bus::reader::Position,
    delivery::{
        connections::{End, Permit},
        takeover::{self, Entry, PublishHead},
    },
    ledger::{Bill, Direction, Purpose},
    metrics::Path,
    topic::Subscription,
    transport::{Transport as _, websocket::Websocket},
};

/// A connection that leaves hyper.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) stream: TcpStream,
    pub(crate) permit: Permit,
    /// What the client sent after its request.
    pub(crate) early: Vec<u8>,
    /// The request as it came, if that is known.
    pub(crate) request: Option<Vec<u8>>,
    pub(crate) head: Parts,
    pub(crate) entry: Entry,
}

/// A connection that goes back to hyper, with what was read of its next request.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) stream: TcpStream,
    pub(crate) permit: Permit,
    pub(crate) read: Vec<u8>,
    /// Whether publishing is taken where it came in, and whether subscribing is.
    pub(crate) publishes: bool,
    pub(crate) subscribes: bool,
}

impl Taken {
    /// A connection's first turn: its head, its hello, and what is pending.
    pub(super) fn enter(&mut self, arrival: Arrival) {
        let Arrival { stream, mut permit, early, request, head, entry } = arrival;
        permit.figures.taken = true;
        if let Some(transport) = entry.kind.counted() {
            self.settings.metrics.flows.of(transport, Path::Taken).subscribers.inc();
        }
        let kind = entry.kind;
        let reader = entry.reader.unwrap_or_else(|| {
            let nothing = self.settings.bus.open(Subscription::default(), Position::Now);
            nothing.expect("now is never ahead").0
        });
        let question = entry
            .wait
            .as_ref()
            .map(|wait| self.questions.ask(request.as_deref(), &head, self.settings.cursor_field, wait));
        let first = entry.offer.as_ref().map(|offer| (PublishHead::new(&head), offer.id));
        let posting = entry.offer.and_then(|offer| Posting::new(request.as_deref(), &head, *offer));
        let slot = self.records.vacant_entry();
        let key = slot.key() as u32;
        let (group, seat, shared) = self.groups.join(reader.subscription().clone(), key);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let socket = OwnedFd::from(stream);
        let added = epoll::add(self.epoll.get_ref(), &socket, EventData::new_u64(key.into()), flags);
        let record = slot.insert(Record {
            socket,
            reader,
            kind,
            state: match kind {
                Kind::Publish => State::Asking,
                _ if question.is_some() => State::Waiting,
                _ => State::Open,
            },
            listed: false,
            blocked: false,
            stalled: NEVER,
            unread: !early.is_empty(),
            half_closed: false,
            fresh: entry.fresh,
            caught_up: false,
            publishes: entry.publishes,
            unanswered: 0,
            heartbeat: ticks(entry.heartbeat),
            group,
            seat,
            question,
            posting: posting.map(Box::new),
            backlog: None,
            permit,
        });
        record.reader.share(shared);
        if record.payer().has_account() {
            self.accounted.insert(key);
        }
        match kind {
            // Nothing can follow such a request.
            Kind::Chunked | Kind::Sse => {
                let heads = Bill::of(Purpose::Heads, early.len());
                self.sums.book(record.payer(), Direction::In, &heads);
            }
            _ if early.is_empty() => {}
            _ => record.backlog().input = early[..].into(),
        }
        if self.due.len() <= key as usize {
            self.due.resize(key as usize + 1, NEVER);
        }
        if let Err(error) = added {
            tracing::warn!(%error, "a connection could not be watched and was closed");
            return self.remove(key, End::Failed);
        }
        let wait = match (&record.question, kind) {
            (_, Kind::Publish) => ticks(self.settings.idle),
            (Some(question), _) => ticks(question.timeout),
            (None, _) => record.heartbeat,
        };
        self.due_in(key, wait);
        if let Some((head, id)) = first {
            let mut opening = Vec::with_capacity(256);
            let bill = posting::answer(&head, &mut opening, id);
            self.say(key, &opening, bill);
        } else if self.records[key as usize].question.is_none() {
            let mut opening = Vec::with_capacity(512);
            takeover::write_head(&mut opening, &head);
            let bill = Bill::of(Purpose::Heads, opening.len());
            match kind {
                Kind::Echo | Kind::Publish => {}
                Kind::Websocket => Websocket.hello(&mut opening, &entry.hello, self.settings.retry),
                _ => piece::put(kind, &mut opening, &mut Vec::new(), |out| {
                    kind.transport().hello(out, &entry.hello, self.settings.retry);
                }),
            }
            let hello = opening.len() - bill.total();
            self.say(key, &opening, bill.and(Purpose::Controls, hello));
        }
        let unread = self.records.get(key as usize).is_some_and(|record| record.unread);
        if unread && (kind.is_framed() || kind == Kind::Publish) {
            self.read(key);
        }
        if self.records.contains(key as usize) {
            self.list(key);
        }
    }

    pub(super) fn give_back(&mut self, key: u32, read: Vec<u8>) {
        let record = self.take_out(key);
        if epoll::delete(self.epoll.get_ref(), &record.socket).is_ok() {
            let Record { socket, permit, kind, publishes, .. } = record;
            let (publishes, subscribes) =
                if kind == Kind::Publish { (true, publishes) } else { (publishes, true) };
            let stream = TcpStream::from(socket);
            _ = self.backs.send(Back { stream, permit, read, publishes, subscribes });
        }
    }

    pub(super) fn remove(&mut self, key: u32, end: End) {
        self.book_rest(key);
        let mut record = self.take_out(key);
        let (ledger, is_orderly) = (&self.settings.metrics.ledger, end == End::Closed);
        record.permit.figures.meter.settle_to_the_end(ledger, &record.socket, is_orderly);
        record.permit.figures.end = end;
    }

    /// Takes a connection out of everything that knows it.
    pub(super) fn take_out(&mut self, key: u32) -> Record {
        let mut record = self.records.remove(key as usize);
        if record.payer().has_account() {
            self.accounted.remove(&key);
        }
        if let Some(transport) = record.kind.counted() {
            self.settings.metrics.flows.of(transport, Path::Taken).subscribers.dec();
        }
        if record.blocked {
            self.settings.metrics.stalled.dec();
        }
        self.due[key as usize] = NEVER;
        if let Some(moved) = self.groups.leave(record.group, record.seat) {
            self.records[moved as usize].seat = record.seat;
        }
        if let Some(question) = record.question.take() {
            self.questions.drop(question);
        }
        record
    }
}
