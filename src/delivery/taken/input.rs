//! From sockets to answers: the frames of a WebSocket, the next request of a long poll, the end of a peer.

use std::{net::TcpStream, sync::Arc, time::Duration};

use bytes::{Buf as _, BytesMut};
use rustix::{
    event::epoll,
    io::Errno,
    net::{RecvFlags, recv},
};
use slab::Slab;

use super::{
    Back, Taken,
    groups::Groups,
    posting::Found,
    record::{Kind, Record, State},
    ticks,
};
use crate::{
    bus::{
        Bus,
        reader::{Ahead, Position},
    },
    delivery::{
        connections::End,
        session::{self, Rights, Seat},
    },
    event::Cursor,
    ledger::{Bill, Direction, Purpose, bill},
    topic::{Pattern, Subscription},
    wsframe::{self, Decoder, Incoming, Violation},
};

/// Reads of one connection before others get a turn.
const READS: usize = 4;
/// How long the rest of a publish may take; hyper, which has longer deadlines, waits for what takes longer.
const REST: Duration = Duration::from_secs(1);
/// Answers that may wait to be sent before no more operations are read.
const ANSWERS: usize = 64 << 10;

/// Answers that go out together, and what they are for.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
    bill: Bill,
}

/// What a read came to.
enum Heard {
    Bytes(usize),
    Nothing,
    Gone,
}

impl Taken {
    /// Reads what a connection has to say, if it is its turn to speak.
    pub(super) fn read(&mut self, key: u32) {
        let record = &self.records[key as usize];
        match record.kind {
            Kind::Chunked | Kind::Sse => self.read_past(key),
            Kind::Poll | Kind::Longpoll if record.state == State::Asking && !record.blocked => {
                self.read_request(key);
            }
            // It has to wait for its answer.
            Kind::Poll | Kind::Longpoll => {}
            Kind::Publish if record.blocked => {}
            Kind::Publish => self.read_publishes(key),
            Kind::Websocket | Kind::Echo => self.read_frames(key),
        }
    }

    /// A peer that shuts its sending side is gone. What it said before is heard, and what has an answer by now is
    /// answered.
    pub(super) fn hang_up(&mut self, key: u32) {
        let record = &mut self.records[key as usize];
        record.half_closed = true;
        let kind = record.kind;
        if matches!(kind, Kind::Poll | Kind::Longpoll) {
            return if record.state == State::Waiting { self.list(key) } else { self.read(key) };
        }
        if kind.is_framed() || kind == Kind::Publish {
            self.read(key);
            if self.records.get(key as usize).is_some_and(|record| record.unread && !record.blocked) {
                return;
            }
        }
        match self.records.get_mut(key as usize) {
            // What it published is answered to the end.
            Some(record) if record.blocked && kind == Kind::Publish => record.state = State::Ending,
            Some(_) if kind == Kind::Publish => self.give_up(key),
            Some(_) => self.remove(key, End::Closed),
            None => {}
        }
    }

    /// Nothing more comes from a publisher. What it has begun to send is hyper's to answer.
    pub(super) fn give_up(&mut self, key: u32) {
        match self.records[key as usize].backlog.take() {
            Some(backlog) if !backlog.input.is_empty() => self.give_back(key, backlog.input.to_vec()),
            _ => self.finish(key),
        }
    }

    /// Nothing can follow a request for a stream, so nothing that does is looked at.
    fn read_past(&mut self, key: u32) {
        for _ in 0..READS {
            match self.receive(key) {
                Heard::Bytes(count) => self.book(key, Direction::In, &Bill::of(Purpose::Heads, count)),
                Heard::Nothing => return,
                Heard::Gone => return self.remove(key, End::Closed),
            }
        }
        self.unread.push_back(key);
    }

    fn read_request(&mut self, key: u32) {
        let record = &mut self.records[key as usize];
        let mut early = record.backlog.as_mut().map(|backlog| std::mem::take(&mut backlog.input));
        record.tidy();
        // Who sends requests without waiting for answers is not read from faster than answered.
        let is_whole = early.as_ref().is_some_and(|early| early.windows(4).any(|four| four == b"\r\n\r\n"));
        let count = match is_whole {
            true => 0,
            false => match self.receive(key) {
                Heard::Bytes(count) => count,
                Heard::Nothing => 0,
                Heard::Gone if early.as_ref().is_none_or(|early| early.is_empty()) => {
                    return self.finish(key);
                }
                Heard::Gone => 0,
            },
        };
        let read = &self.scratch[..count];
        let request: &[u8] = match &mut early {
            Some(early) => {
                early.extend_from_slice(read);
                early
            }
            None => read,
        };
        if request.is_empty() {
            return;
        }
        let record = &mut self.records[key as usize];
        let position = record.question.as_ref().and_then(|question| question.matches(request));
        let opened =
            position.map(|position| self.settings.bus.open(record.reader.subscription().clone(), position));
        match (opened, &record.question) {
            (Some(Ok((reader, _))), Some(question)) => {
                let timeout = ticks(question.timeout);
                record.reader = reader;
                record.state = State::Waiting;
                record.caught_up = false;
                record.permit.figures.requests += 1;
                record.permit.figures.meter.asked = request.len() as u32;
                record.payer().note_request();
                self.due_in(key, timeout);
                self.list(key);
            }
            // Another question, or none that has an answer: hyper's to read.
            _ => {
                let request = request.to_vec();
                self.give_back(key, request);
            }
        }
    }

    /// Publishes what was sent, and answers it, in one write for all that came at once. What is no request like the
    /// last, or would be refused, is hyper's to read.
    fn read_publishes(&mut self, key: u32) {
        let record = &mut self.records[key as usize];
        let mut input =
            record.backlog.as_mut().map(|backlog| std::mem::take(&mut backlog.input)).unwrap_or_default();
        record.tidy();
        let mut answers = Answers::default();
        let mut is_other = record.posting.is_none();
        for _ in 0..READS {
            match self.receive(key) {
                Heard::Bytes(count) => input.extend_from_slice(&self.scratch[..count]),
                Heard::Nothing => {}
                // Where the peer is gone the kernel says so besides.
                Heard::Gone => self.records[key as usize].unread = false,
            }
            is_other |= self.publish(key, &mut input, &mut answers);
            if is_other || !self.records[key as usize].unread || answers.bytes.len() >= ANSWERS {
                break;
            }
        }
        if !answers.bytes.is_empty() {
            self.say(key, &answers.bytes, answers.bill);
        }
        let Some(record) = self.records.get_mut(key as usize) else { return };
        if record.blocked {
            record.unread |= !input.is_empty();
            if !input.is_empty() {
                record.backlog().input = input;
            }
            return;
        }
        if is_other && !input.is_empty() {
            record.permit.figures.misses = record.permit.figures.misses.saturating_add(1);
            return self.give_back(key, input.to_vec());
        }
        let wait = if input.is_empty() { self.settings.idle } else { REST };
        if !input.is_empty() {
            record.backlog().input = input;
        }
        self.due_in(key, ticks(wait));
        if self.records[key as usize].unread {
            self.unread.push_back(key);
        }
    }

    /// Publishes the requests at the beginning of `input`, and takes them off it; whether something else follows.
    fn publish(&mut self, key: u32, input: &mut BytesMut, answers: &mut Answers) -> bool {
        let record = &mut self.records[key as usize];
        let Some(posting) = &record.posting else { return true };
        let publisher = &self.settings.publisher;
        loop {
            let (body, length) = match posting.find(input) {
                Found::Same(body, length) => (body, length),
                Found::Part => return false,
                Found::Other => return true,
            };
            let arrived = publisher.now();
            let published =
                posting.draft(publisher, body).and_then(|draft| publisher.publish(vec![draft], None));
            let Ok(ids) = published else { return true };
            self.settings.metrics.publishing.observe(publisher.now().saturating_sub(arrived));
            answers.bill += posting.answer(&mut answers.bytes, ids[0]);
            let asked = Bill::of(Purpose::Heads, length - body.len()).and(Purpose::Payload, body.len());
            let payer = record.permit.figures.meter.payer();
            self.sums.book(payer, Direction::In, &asked);
            payer.note_request();
            payer.note_events(1);
            record.permit.figures.requests = record.permit.figures.requests.saturating_add(1);
            input.advance(length);
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

    fn read_frames(&mut self, key: u32) {
        let mut out = Answers::default();
        for _ in 0..READS {
            let record = &mut self.records[key as usize];
            if record.unsent() >= ANSWERS {
                // Read on when the peer has taken its answers.
                record.unread = true;
                return;
            }
            let backlog = record.backlog.as_deref_mut();
            let (mut input, decoder, mut heard) = backlog.map_or((BytesMut::new(), None, 0), |backlog| {
                let heard = std::mem::take(&mut backlog.heard);
                (std::mem::take(&mut backlog.input), backlog.decoder.take(), heard)
            });
            let mut decoder = decoder.unwrap_or_else(|| Decoder::new(self.settings.max_message));
            let gone = match self.receive(key) {
                Heard::Bytes(count) => {
                    input.extend_from_slice(&self.scratch[..count]);
                    self.records[key as usize].unanswered = 0;
                    false
                }
                Heard::Nothing if input.is_empty() => {
                    self.keep(key, input, decoder, heard);
                    return;
                }
                Heard::Nothing => false,
                Heard::Gone => true,
            };
            while let State::Open | State::Closing = self.records[key as usize].state {
                let before = input.len();
                let decoded = decoder.decode(&mut input);
                heard += before - input.len();
                match decoded {
                    Ok(Some(incoming)) => {
                        let bill = self.take(key, incoming, heard, &mut out);
                        self.book(key, Direction::In, &bill);
                        heard -= bill.total();
                    }
                    Ok(None) => break,
                    Err(Violation { code, reason }) => {
                        let rest = std::mem::take(&mut heard) + input.len();
                        self.book(key, Direction::In, &Bill::of(Purpose::Controls, rest));
                        // All that is still heard is the answer to our close, at the head of a read.
                        input.clear();
                        decoder = Decoder::new(self.settings.max_message);
                        if self.records[key as usize].state == State::Open {
                            self.violated(key, code, reason, &mut out);
                        }
                        break;
                    }
                }
            }
            let whole = !self.records[key as usize].unread;
            self.keep(key, input, decoder, heard);
            if !out.bytes.is_empty() {
                self.say(key, &out.bytes, std::mem::take(&mut out.bill));
                out.bytes.clear();
            }
            let Some(record) = self.records.get(key as usize) else { return };
            match record.state {
                _ if gone => return self.remove(key, End::Closed),
                State::Ending if record.blocked => return,
                State::Ending => return self.finish(key),
                _ if whole => return,
                _ => {}
            }
        }
        self.unread.push_back(key);
    }

    /// Keeps what is no whole message yet.
    fn keep(&mut self, key: u32, input: BytesMut, decoder: Decoder, heard: usize) {
        let record = &mut self.records[key as usize];
        if !input.is_empty() || !decoder.is_idle() {
            let backlog = record.backlog();
            backlog.input = input;
            backlog.heard = heard;
            backlog.decoder = Some(decoder);
        }
        record.tidy();
    }

    fn violated(&mut self, key: u32, code: u16, reason: &str, out: &mut Answers) {
        out.add(Purpose::Controls, |out| wsframe::close(out, code, reason));
        self.records[key as usize].state = State::Closing;
        self.due_in(key, ticks(super::output::GOODBYE));
    }

    /// Carries out what was decoded from so many bytes; what they were for. Of those of a message that is under way
    /// around it, nothing is known yet.
    fn take(&mut self, key: u32, incoming: Incoming, bytes: usize, out: &mut Answers) -> Bill {
        let record = &mut self.records[key as usize];
        if record.state == State::Closing {
            // We closed, and wait for nothing but the answer.
            if matches!(incoming, Incoming::Close(_)) {
                record.state = State::Ending;
            }
            return Bill::of(Purpose::Controls, bytes);
        }
        let whole = Bill::of(Purpose::Controls, bytes);
        match (incoming, record.kind) {
            (Incoming::Ping(payload), _) => {
                out.add(Purpose::Heartbeats, |out| wsframe::pong(out, &payload));
                return bill::control_frame(payload.len());
            }
            (Incoming::Pong(payload), _) => return bill::control_frame(payload.len()),
            (Incoming::Deflated(..), _) => {}
            (Incoming::Close(reason), _) => {
                out.add(Purpose::Controls, |out| match reason {
                    Some((code, reason)) => wsframe::close(out, code, &reason),
                    None => wsframe::close_empty(out),
                });
                record.state = State::Ending;
            }
            (Incoming::Text(text), Kind::Echo) => {
                out.echo(text.len(), |out| wsframe::text(out, &text));
                return bill::message(bytes, text.len(), text.len());
            }
            (Incoming::Binary(data), Kind::Echo) => {
                out.echo(data.len(), |out| wsframe::binary(out, &data));
                return bill::message(bytes, data.len(), data.len());
            }
            (Incoming::Binary(_), _) => self.violated(key, 1003, "text_only", out),
            (Incoming::Text(text), _) => {
                let text = str::from_utf8(&text).expect("a decoded text is UTF-8");
                let mut fresh = record.fresh;
                let rights = Rights {
                    publisher: record.publishes.then_some(&self.settings.publisher),
                    max_topics: self.settings.max_topics,
                    metrics: &self.settings.metrics,
                };
                let mut chair = Chair {
                    key,
                    records: &mut self.records,
                    groups: &mut self.groups,
                    bus: &self.settings.bus,
                };
                let mut published = None;
                out.add(Purpose::Controls, |out| {
                    published = session::operate(text, &mut chair, rights, &mut fresh, out);
                });
                self.records[key as usize].fresh = fresh;
                self.list(key);
                if let Some(data) = published {
                    return bill::message(bytes, text.len(), data);
                }
            }
        }
        whole
    }

    fn receive(&mut self, key: u32) -> Heard {
        let record = &mut self.records[key as usize];
        match recv(&record.socket, &mut *self.scratch, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Heard::Gone,
            Ok((_, count)) => {
                self.received += count as u64;
                record.permit.figures.received += count as u64;
                // A full buffer may have left something behind.
                record.unread = count == self.scratch.len();
                Heard::Bytes(count)
            }
            Err(Errno::AGAIN | Errno::INTR) => {
                record.unread = false;
                Heard::Nothing
            }
            Err(_) => Heard::Gone,
        }
    }
}

impl Answers {
    fn add(&mut self, purpose: Purpose, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.bill.add(purpose, self.bytes.len() - before);
    }

    fn echo(&mut self, payload: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.bill += bill::message(self.bytes.len() - before, payload, payload);
    }
}

/// A taken connection as its WebSocket's operations see it.
struct Chair<'a> {
    key: u32,
    records: &'a mut Slab<Record>,
    groups: &'a mut Groups,
    bus: &'a Bus,
}

impl Chair<'_> {
    fn record(&mut self) -> &mut Record {
        &mut self.records[self.key as usize]
    }

    /// Goes over to the group of what the reader is subscribed to now.
    fn change_group(&mut self) {
        let subscription = self.record().reader.subscription().clone();
        let (group, seat) = (self.record().group, self.record().seat);
        // Entered before the log is read again, and left after.
        let joined = self.groups.join(subscription, self.key);
        if let Some(moved) = self.groups.leave(group, seat) {
            self.records[moved as usize].seat = seat;
        }
        let record = self.record();
        // In the same group it has just taken its own old seat.
        record.seat = if joined.0 == group { seat } else { joined.1 };
        record.group = joined.0;
        record.reader.share(joined.2);
    }
}

impl Seat for Chair<'_> {
    fn subscription(&self) -> &Subscription {
        self.records[self.key as usize].reader.subscription()
    }

    fn cursor(&self) -> Cursor {
        self.records[self.key as usize].reader.cursor()
    }

    fn subscribe(&mut self, patterns: Vec<Pattern>) {
        self.record().reader.subscribe(patterns);
        self.change_group();
    }

    fn unsubscribe(&mut self, patterns: &[Pattern]) {
        self.record().reader.unsubscribe(patterns);
        self.change_group();
    }

    fn restart(&mut self, subscription: Subscription, position: Position) -> Result<(), Ahead> {
        let (reader, _) = self.bus.open(Arc::new(subscription), position)?;
        self.record().reader = reader;
        self.change_group();
        Ok(())
    }
}
