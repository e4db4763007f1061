//! What goes out at once: everything that is pending for a connection, encoded once for all that stand at the
//! same place.

use std::{io::Write as _, sync::Arc, time::Duration};

use super::{
    question::Question,
    record::{Kind, Record},
};
use crate::{
    bus::{
        Bus,
        log::Budget,
        reader::{Batch, Place},
    },
    event::Cursor,
    ledger::{Bill, Direction, Purpose, Sums, Via},
    metrics::{Metrics, Path},
    transport::control::Control,
};

/// What a connection gets in a turn.
const TURN: Budget = Budget { events: usize::MAX, bytes: 256 << 10 };
/// Bytes of pieces that are kept within a slice.
const KEPT: usize = 1 << 20;

/// Everything that is pending at one place, as it goes out.
#[derive(Debug)]
pub(super) struct Piece {
    to: Option<(Kind, *const Question, Place)>,
    from: u64,
    batch: Batch,
    pub(super) bytes: Vec<u8>,
    /// Where each of its units ends: the gap if there is one, then the events; or the one answer.
    ends: Vec<usize>,
    /// What its bytes are for, and whether that is events and nothing else.
    bill: Bill,
    is_plain: bool,
    kind: Kind,
    via: Via,
    sends: Sends,
}

/// How often a piece was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sends {
    all: u64,
    /// To those who had everything before.
    prompt: u64,
    /// Of which not all went at once.
    in_part: u64,
}

/// The pieces of a slice.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    unit: Vec<u8>,
    bytes: usize,
    /// Those that were sent, and are not counted yet.
    sent: Vec<(Kind, Via, Bill, Batch, Sends)>,
}

impl Pieces {
    /// Forgets them: the log may have moved on.
    pub(super) fn clear(&mut self) {
        let sent = self.pieces.drain(..).filter(|piece| piece.sends.all > 0);
        self.sent.extend(sent.map(|piece| (piece.kind, piece.via, piece.bill, piece.batch, piece.sends)));
        self.bytes = 0;
    }

    /// Counts what was sent since the last time.
    pub(super) fn count(&mut self, metrics: &Metrics, sums: &mut Sums, now: impl FnOnce() -> Duration) {
        self.clear();
        if self.sent.is_empty() {
            return;
        }
        let now = now();
        for (kind, via, bill, batch, sends) in self.sent.drain(..) {
            sums.add(via, Direction::Out, &bill, sends.all - sends.in_part);
            metrics.delivered(kind.transport().name(), Path::Taken, &batch, sends.all);
            if let Some(first) = batch.events.first()
                && sends.prompt > 0
            {
                let lag = now.saturating_sub(first.published());
                metrics.flows.lag(Path::Taken).observe_many(lag, sends.prompt);
            }
        }
    }

    /// What is pending for a connection. `last` if an answer is the last of its connection.
    pub(super) fn of(&mut self, bus: &Bus, record: &Record, last: bool) -> &mut Piece {
        let question = record.question.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
        let to = record.reader.place().map(|place| (record.kind, question, place));
        let known = self.pieces.iter().position(|piece| to.is_some() && piece.to == to);
        let at = known.unwrap_or_else(|| {
            if self.bytes > KEPT {
                self.clear();
            }
            let budget = record.question.as_ref().map_or(TURN, |question| question.budget);
            let batch = bus.peek(&record.reader, budget);
            let from = record.reader.cursor().offset;
            let kind = record.kind;
            let mut piece = Piece {
                to,
                from,
                batch,
                bytes: Vec::new(),
                ends: Vec::new(),
                bill: Bill::default(),
                is_plain: false,
                kind,
                via: record.payer().via(),
                sends: Sends::default(),
            };
            if !piece.batch.is_empty() {
                piece.encode(record, last, &mut self.unit);
            }
            self.bytes += piece.bytes.len();
            self.pieces.push(piece);
            self.pieces.len() - 1
        });
        &mut self.pieces[at]
    }
}

impl Piece {
    /// Notes that it went to a connection.
    pub(super) fn sent_to(&mut self, record: &mut Record) {
        self.count(record);
        if self.is_plain {
            return record.payer().note_only_events(&self.bill, self.batch.events.len());
        }
        record.payer().note(Direction::Out, &self.bill);
        record.payer().note_events(self.batch.events.len());
    }

    /// Notes that some of it went to a connection, which is to get the rest of the unit that the kernel took a part
    /// of, and goes on behind that. It is counted all the same, with what it belongs to, but each byte is booked
    /// when it goes.
    #[cold]
    pub(super) fn sent_in_part(
        &mut self,
        record: &mut Record,
        sent: usize,
        is_answer: bool,
        sums: &mut Sums,
    ) {
        self.count(record);
        self.sends.in_part += 1;
        // An answer is one unit: what was begun is sent to its end, for its length is told.
        let begun = self.ends.partition_point(|end| *end < sent);
        let end = self.ends[begun];
        let (mut owed, events) = self.up_to(end);
        sums.book(record.payer(), Direction::Out, &owed.take(sent));
        record.payer().note_events(events);
        let backlog = record.backlog();
        backlog.output.extend_from_slice(&self.bytes[sent..end]);
        backlog.owed += owed;
        if !is_answer {
            let gaps = usize::from(self.batch.gap.is_some());
            let offset = match begun.checked_sub(gaps) {
                Some(event) => self.batch.events[event].offset(),
                None => self.from,
            };
            record.reader.advance(&self.batch, offset);
        }
    }

    fn count(&mut self, record: &mut Record) {
        self.sends.all += 1;
        self.sends.prompt += u64::from(record.caught_up);
        record.permit.figures.events += self.batch.events.len() as u64;
    }

    /// What the units up to this byte are for, and how many events they are.
    fn up_to(&self, end: usize) -> (Bill, usize) {
        if end == self.bytes.len() {
            return (self.bill, self.batch.events.len());
        }
        let gaps = usize::from(self.batch.gap.is_some());
        let gap = if gaps > 0 { self.ends[0].min(end) } else { 0 };
        let events = self.ends.partition_point(|unit| *unit <= end).saturating_sub(gaps);
        let mut bill = Bill::of(Purpose::Controls, gap);
        bill.add_events(&self.batch.events[..events], end - gap);
        (bill, events)
    }

    /// Whether nothing is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether there is more than fits one piece.
    pub(super) fn has_more(&self) -> bool {
        self.batch.more
    }

    /// Where a connection stands that has nothing pending, or took it all.
    pub(super) fn cursor(&self) -> Cursor {
        self.batch.cursor
    }

    /// Moves a reader behind it.
    pub(super) fn advance(&self, record: &mut Record) {
        record.reader.advance(&self.batch, self.batch.cursor.offset);
    }

    fn encode(&mut self, record: &Record, last: bool, unit: &mut Vec<u8>) {
        let transport = record.kind.transport();
        let out = &mut self.bytes;
        if let Some(question) = &record.question {
            unit.clear();
            transport.batch(unit, &self.batch);
            let cursor = self.batch.cursor.to_string();
            question.head.write(out, &cursor, Some(unit.len()), last);
            self.bill = Bill::of(Purpose::Heads, out.len());
            self.bill += transport.bill(&self.batch, unit.len());
            out.extend_from_slice(unit);
            self.ends.push(out.len());
            return;
        }
        if let Some(gap) = &self.batch.gap {
            put(record.kind, out, unit, |unit| transport.control(unit, &Control::Gap(gap)));
            self.ends.push(out.len());
            self.bill.add(Purpose::Controls, out.len());
        }
        self.is_plain = self.batch.gap.is_none();
        let begin = out.len();
        for event in &self.batch.events {
            put(record.kind, out, unit, |unit| transport.event(unit, event));
            self.ends.push(out.len());
        }
        self.bill.add_events(&self.batch.events, out.len() - begin);
    }
}

/// Appends one unit, in a chunk of its own (RFC 9112, 7.1) where the body is in chunks.
pub(super) fn put(kind: Kind, out: &mut Vec<u8>, unit: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if kind.is_framed() {
        return write(out);
    }
    unit.clear();
    write(unit);
    write!(out, "{:X}\r\n", unit.len()).expect("a Vec takes every byte");
    out.extend_from_slice(unit);
    out.extend_from_slice(b"\r\n");
}
