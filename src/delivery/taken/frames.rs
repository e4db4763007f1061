//! The frames of a WebSocket, and what they ask for.

use bytes::BytesMut;

use super::{
    Taken,
    chair::Chair,
    input::{ANSWERS, Answers, Heard, READS},
    output::GOODBYE,
    record::{Kind, State},
    ticks,
};
use crate::{
    delivery::{
        connections::End,
        session::{self, Rights},
    },
    ledger::{Bill, Direction, Purpose, bill},
    wsframe::{self, Decoder, Incoming, Violation},
};

impl Taken {
    pub(super) fn read_frames(&mut self, key: u32) {
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
        self.due_in(key, ticks(GOODBYE));
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
}
