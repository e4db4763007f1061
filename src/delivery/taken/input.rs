//! What sockets have to say: whose turn it is to speak, and the end of a peer.

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};

use super::{
    Taken,
    record::{Kind, State},
};
use crate::{
    delivery::connections::End,
    ledger::{Bill, Direction, Purpose, bill},
};

/// Reads of one connection before others get a turn.
pub(super) const READS: usize = 4;
/// Answers that may wait to be sent before no more operations are read.
pub(super) const ANSWERS: usize = 64 << 10;

/// Answers that go out together, and what they are for.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) bytes: Vec<u8>,
    pub(super) bill: Bill,
}

/// What a read came to.
pub(super) enum Heard {
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

    pub(super) fn receive(&mut self, key: u32) -> Heard {
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
    pub(super) fn add(&mut self, purpose: Purpose, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.bill.add(purpose, self.bytes.len() - before);
    }

    pub(super) fn echo(&mut self, payload: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.bill += bill::message(self.bytes.len() - before, payload, payload);
    }
}
