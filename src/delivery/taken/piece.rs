//! What goes out at once: everything that is pending for a connection, encoded once for all that stand at the
//! same place.

use std::{io::Write as _, sync::Arc};

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
}

/// The pieces of a slice.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    unit: Vec<u8>,
    bytes: usize,
}

impl Pieces {
    /// Forgets them: the log may have moved on.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
    }

    /// What is pending for a connection. `last` if an answer is the last of its connection.
    pub(super) fn of(&mut self, bus: &Bus, record: &Record, last: bool) -> &Piece {
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
            let mut piece = Piece { to, from, batch, bytes: Vec::new(), ends: Vec::new() };
            if !piece.batch.is_empty() {
                piece.encode(record, last, &mut self.unit);
            }
            self.bytes += piece.bytes.len();
            self.pieces.push(piece);
            self.pieces.len() - 1
        });
        &self.pieces[at]
    }
}

impl Piece {
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

    /// Moves a reader behind what the kernel took: the rest of the unit that it took a part of.
    pub(super) fn taken(&self, record: &mut Record, sent: usize) -> &[u8] {
        if sent == self.bytes.len() {
            record.reader.advance(&self.batch, self.batch.cursor.offset);
            return &[];
        }
        if sent == 0 {
            return &[];
        }
        let begun = self.ends.partition_point(|end| *end < sent);
        let gaps = usize::from(self.batch.gap.is_some());
        let offset = match begun.checked_sub(gaps) {
            // An answer is one unit, whatever it holds.
            Some(event) if self.ends.len() == self.batch.events.len() + gaps => {
                self.batch.events[event].offset()
            }
            Some(_) => self.batch.cursor.offset,
            None => self.from,
        };
        record.reader.advance(&self.batch, offset);
        &self.bytes[sent..self.ends[begun]]
    }

    fn encode(&mut self, record: &Record, last: bool, unit: &mut Vec<u8>) {
        let transport = record.kind.transport();
        let out = &mut self.bytes;
        if let Some(question) = &record.question {
            unit.clear();
            transport.batch(unit, &self.batch);
            let cursor = self.batch.cursor.to_string();
            question.head.write(out, &cursor, Some(unit.len()), last);
            out.extend_from_slice(unit);
            self.ends.push(out.len());
            return;
        }
        if let Some(gap) = &self.batch.gap {
            put(record.kind, out, unit, |unit| transport.control(unit, &Control::Gap(gap)));
            self.ends.push(out.len());
        }
        for event in &self.batch.events {
            put(record.kind, out, unit, |unit| transport.event(unit, event));
            self.ends.push(out.len());
        }
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
