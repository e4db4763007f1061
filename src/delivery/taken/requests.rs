//! The next request of a connection that polls or publishes.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};

use super::{
    Taken,
    input::{ANSWERS, Answers, Heard, READS},
    posting::Found,
    record::State,
    ticks,
};
use crate::ledger::{Bill, Direction, Purpose};

/// How long the rest of a publish may take; hyper, which has longer deadlines, waits for what takes longer.
const REST: Duration = Duration::from_secs(1);

impl Taken {
    pub(super) fn read_request(&mut self, key: u32) {
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
    pub(super) fn read_publishes(&mut self, key: u32) {
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
}
