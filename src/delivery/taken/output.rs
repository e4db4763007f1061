//! From pieces to sockets, and what becomes of the bytes that the kernel did not take.

use std::time::Duration;

use rustix::{
    io::Errno,
    net::{SendFlags, Shutdown, send, shutdown, sockopt},
};

use super::{
    Taken, piece,
    record::{Kind, NEVER, Record, State},
    ticks,
};
use crate::{
    delivery::{connections::End, hosted::spread},
    event::Cursor,
    ledger::{Bill, Direction, Purpose},
    transport::{Transport as _, control::Control, websocket::Websocket},
    wsframe,
};

/// How long a peer may take to answer our close.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);
/// How long to wait for the kernel to ask for more before trying again.
const RETRY: Duration = Duration::from_secs(1);

impl Taken {
    /// Sends a connection what is pending.
    pub(super) fn deliver(&mut self, key: u32) {
        let record = &mut self.records[key as usize];
        if record.blocked || !matches!(record.state, State::Open | State::Waiting) {
            return;
        }
        let piece = self.pieces.of(&self.settings.bus, record, self.draining);
        if piece.is_empty() {
            record.stalled = NEVER;
            record.caught_up = true;
            if record.kind == Kind::Poll {
                let cursor = piece.cursor();
                return self.say_empty(key, cursor, self.draining);
            }
            if record.kind == Kind::Longpoll && record.half_closed {
                return self.remove(key, End::Closed);
            }
            if self.draining {
                self.end(key);
            }
            return;
        }
        let Ok(sent) = transmit(record, &piece.bytes) else { return self.remove(key, End::Failed) };
        self.sent += sent as u64;
        let (whole, more) = (sent == piece.bytes.len(), piece.has_more());
        let is_answer = record.state == State::Waiting;
        if whole {
            piece.sent_to(record);
            if !is_answer {
                piece.advance(record);
            }
        } else if sent > 0 {
            piece.sent_in_part(record, sent, is_answer, &mut self.sums);
        }
        if is_answer && sent > 0 {
            record.state = State::Asking;
            let asked = std::mem::take(&mut record.permit.figures.meter.asked);
            self.sums.book(record.payer(), Direction::In, &Bill::of(Purpose::Heads, asked as usize));
        }
        record.caught_up = whole && !more;
        if !whole {
            return self.block(key, sent > 0);
        }
        record.stalled = NEVER;
        if is_answer {
            return self.answered(key);
        }
        let heartbeat = record.heartbeat;
        self.due_in(key, heartbeat);
        if more || self.draining {
            self.list(key);
        }
    }

    /// Sends bytes that are no events, but for what the bill says.
    pub(super) fn say(&mut self, key: u32, bytes: &[u8], mut bill: Bill) {
        debug_assert_eq!(bill.total(), bytes.len());
        let record = &mut self.records[key as usize];
        let sent = if record.blocked { Ok(0) } else { transmit(record, bytes) };
        let Ok(sent) = sent else { return self.remove(key, End::Failed) };
        self.sent += sent as u64;
        let left = bill.take(sent);
        self.sums.book(record.payer(), Direction::Out, &left);
        if sent < bytes.len() {
            let backlog = record.backlog();
            backlog.output.extend_from_slice(&bytes[sent..]);
            backlog.owed += bill;
            if !record.blocked {
                self.block(key, sent > 0);
            }
        }
    }

    /// Has a connection wait for the kernel, and tries again after a while: where the kernel is short of memory
    /// for all its sockets it can refuse bytes without ever asking for them later.
    fn block(&mut self, key: u32, took_some: bool) {
        let record = &mut self.records[key as usize];
        if !record.blocked {
            self.settings.metrics.stalled.inc();
        }
        record.blocked = true;
        if took_some || record.stalled == NEVER {
            record.stalled = self.now;
        }
        self.due_in(key, ticks(self.settings.write_stall.min(RETRY)));
    }

    /// Sends what the kernel did not take before.
    pub(super) fn unblock(&mut self, key: u32) {
        let record = &mut self.records[key as usize];
        if let Some(mut backlog) = record.backlog.take() {
            let unsent = &backlog.output[backlog.sent..];
            let sent = if unsent.is_empty() { Ok(0) } else { transmit(record, unsent) };
            let Ok(sent) = sent else { return self.remove(key, End::Failed) };
            self.sent += sent as u64;
            backlog.sent += sent;
            self.sums.book(record.payer(), Direction::Out, &backlog.owed.take(sent));
            let all = backlog.sent == backlog.output.len();
            if all {
                backlog.output = Vec::new();
                backlog.sent = 0;
            }
            record.backlog = Some(backlog);
            record.tidy();
            if !all {
                return self.block(key, sent > 0);
            }
            if sent > 0 {
                record.stalled = NEVER;
            }
        }
        if record.blocked {
            self.settings.metrics.stalled.dec();
        }
        record.blocked = false;
        match record.state {
            State::Ending => self.finish(key),
            State::Asking => self.answered(key),
            State::Closing => self.due_in(key, ticks(GOODBYE)),
            State::Open | State::Waiting => {
                let heartbeat = record.heartbeat;
                self.due_in(key, heartbeat);
                self.list(key);
                if self.records[key as usize].unread {
                    self.unread.push_back(key);
                }
            }
        }
    }

    /// A long poll has its answer: the next request may have come already.
    fn answered(&mut self, key: u32) {
        if self.draining {
            return self.finish(key);
        }
        self.due_in(key, ticks(self.settings.idle));
        let record = &self.records[key as usize];
        if record.unread || record.half_closed {
            self.unread.push_back(key);
        }
    }

    /// What a deadline brings.
    pub(super) fn expire(&mut self, key: u32) {
        let record = &mut self.records[key as usize];
        if record.blocked {
            if self.now.saturating_sub(record.stalled) < ticks(self.settings.write_stall) {
                return self.unblock(key);
            }
            tracing::debug!(cursor = %record.reader.cursor(), "a reader that took nothing was cut");
            // The kernel is not to keep what nobody reads.
            _ = sockopt::set_socket_linger(&record.socket, Some(Duration::ZERO));
            self.settings.metrics.cut.inc();
            return self.remove(key, End::Stalled);
        }
        match record.state {
            State::Open => self.beat(key),
            State::Waiting => self.answer_empty(key, false),
            State::Asking => self.give_up(key),
            State::Closing | State::Ending => self.finish(key),
        }
    }

    /// A sign of life, unless there is something better to say.
    fn beat(&mut self, key: u32) {
        self.pieces.clear();
        let record = &mut self.records[key as usize];
        let piece = self.pieces.of(&self.settings.bus, record, false);
        if !piece.is_empty() {
            return self.deliver(key);
        }
        // What it subscribed to was silent: it has everything up to the log's head.
        let cursor = piece.cursor();
        piece.advance(record);
        let (kind, heartbeat) = (record.kind, record.heartbeat);
        let mut out = Vec::with_capacity(128);
        if kind.is_framed() {
            if record.unanswered == 2 {
                return self.close(key, 1011, "ping_timeout");
            }
            record.unanswered += 1;
        }
        match kind {
            Kind::Echo => wsframe::ping(&mut out, b""),
            _ => piece::put(kind, &mut out, &mut Vec::new(), |out| kind.transport().heartbeat(out, cursor)),
        }
        self.due_in(key, heartbeat);
        let bill = Bill::of(Purpose::Heartbeats, out.len());
        self.say(key, &out, bill);
    }

    /// The gateway goes, and the subscriber has everything.
    fn end(&mut self, key: u32) {
        let record = &self.records[key as usize];
        let kind = record.kind;
        let reconnect = Control::Reconnect(spread(self.settings.retry));
        let mut out = Vec::with_capacity(128);
        match kind {
            Kind::Poll | Kind::Longpoll => self.answer_empty(key, true),
            Kind::Publish => self.finish(key),
            Kind::Echo => self.close(key, 1012, "drain"),
            Kind::Websocket => {
                Websocket.control(&mut out, &reconnect);
                let bill = Bill::of(Purpose::Controls, out.len());
                self.say(key, &out, bill);
                if self.records.contains(key as usize) {
                    self.close(key, 1012, "drain");
                }
            }
            Kind::Chunked | Kind::Sse => {
                piece::put(kind, &mut out, &mut Vec::new(), |out| kind.transport().control(out, &reconnect));
                out.extend_from_slice(b"0\r\n\r\n");
                self.records[key as usize].state = State::Ending;
                let bill = Bill::of(Purpose::Controls, out.len());
                self.say(key, &out, bill);
                if self.records.get(key as usize).is_some_and(|record| !record.blocked) {
                    self.finish(key);
                }
            }
        }
    }

    /// An answer without an event, and the cursor to go on with.
    fn answer_empty(&mut self, key: u32, last: bool) {
        self.pieces.clear();
        let record = &mut self.records[key as usize];
        let piece = self.pieces.of(&self.settings.bus, record, last);
        if !piece.is_empty() {
            return self.deliver(key);
        }
        let cursor = piece.cursor();
        self.say_empty(key, cursor, last);
    }

    fn say_empty(&mut self, key: u32, cursor: Cursor, last: bool) {
        let record = &mut self.records[key as usize];
        let cursor = cursor.to_string();
        let mut out = Vec::with_capacity(256);
        if let Some(question) = &record.question {
            question.head.write(&mut out, &cursor, None, last);
        }
        record.state = State::Asking;
        self.book_asked(key, Purpose::Empty);
        let bill = Bill::of(Purpose::Empty, out.len());
        self.say(key, &out, bill);
        if self.records.get(key as usize).is_some_and(|record| !record.blocked) {
            self.answered(key);
        }
    }

    /// Closes a WebSocket.
    pub(super) fn close(&mut self, key: u32, code: u16, reason: &str) {
        let mut out = Vec::with_capacity(32);
        wsframe::close(&mut out, code, reason);
        self.records[key as usize].state = State::Closing;
        self.due_in(key, ticks(GOODBYE));
        let bill = Bill::of(Purpose::Controls, out.len());
        self.say(key, &out, bill);
    }

    /// Everything was said and heard.
    pub(super) fn finish(&mut self, key: u32) {
        _ = shutdown(&self.records[key as usize].socket, Shutdown::Write);
        self.remove(key, End::Closed);
    }
}

/// One `send()`; how many bytes the kernel took.
fn transmit(record: &mut Record, bytes: &[u8]) -> Result<usize, Errno> {
    match send(&record.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Err(Errno::AGAIN) => Ok(0),
        Ok(sent) => {
            record.permit.figures.sent += sent as u64;
            Ok(sent)
        }
        Err(error) => Err(error),
    }
}
