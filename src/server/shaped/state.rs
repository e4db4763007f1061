//! What the two ends of a shaped connection share: its flights, and who waits for them.

use std::{io, task::Waker};

use bytes::Bytes;
use tokio::{io::ReadBuf, time::Instant};

use crate::lab::{
    conditions::Conditions,
    flight::{Cargo, Direction, Flight},
    line::Guest,
};

/// What a buffering proxy waits for (nginx: a page).
const BUFFER: usize = 4 << 10;
/// The end of a chunked body (RFC 9112, 7.1). No event ends in it: none has a carriage return.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A connection between its two ends.
#[derive(Debug)]
pub(super) struct State {
    pub(super) guest: Guest,
    pub(super) conditions: Conditions,
    pub(super) up: Flight,
    pub(super) down: Flight,
    /// What a buffering proxy has of an answer.
    pub(super) held: Vec<u8>,
    /// Whether what is written is an answer without an end.
    pub(super) streams: bool,
    /// Nothing more is written.
    pub(super) shut: bool,
    /// Nothing more is read or written.
    pub(super) left: bool,
    /// The connection is gone without a word.
    pub(super) dead: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) task: Option<Waker>,
}

impl State {
    /// Sends over one of the two links.
    pub(super) fn send(&mut self, direction: Direction, bytes: Bytes) {
        let line = self.guest.line().clone();
        let flight = if direction == Direction::Up { &mut self.up } else { &mut self.down };
        let lost = flight.send(Instant::now(), bytes, &mut line.link(direction), &self.conditions);
        line.lose(lost);
    }

    pub(super) fn end(&mut self, direction: Direction, end: Cargo) {
        let line = self.guest.line().clone();
        let flight = if direction == Direction::Up { &mut self.up } else { &mut self.down };
        flight.end(Instant::now(), end, &mut line.link(direction), &self.conditions);
    }

    pub(super) fn change(&mut self, conditions: Conditions) {
        if conditions == self.conditions {
            return;
        }
        self.conditions = conditions;
        if !conditions.buffering {
            self.release();
        }
        let (line, now) = (self.guest.line().clone(), Instant::now());
        self.up.change(now, &mut line.link(Direction::Up), &conditions);
        self.down.change(now, &mut line.link(Direction::Down), &conditions);
        // There may be more room.
        self.wake_writer();
    }

    /// Takes what there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.dead || self.shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = self.down.room(&self.conditions).saturating_sub(self.held.len());
        let bytes = &bytes[..bytes.len().min(room)];
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.conditions.buffering && self.streams {
            self.held.extend_from_slice(bytes);
            if self.held.len() >= BUFFER || self.held.ends_with(LAST_CHUNK) {
                self.release();
            }
        } else {
            self.release();
            self.send(Direction::Down, Bytes::copy_from_slice(bytes));
        }
        self.wake_task();
        Ok(bytes.len())
    }

    /// Sends what was held back.
    pub(super) fn release(&mut self) {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.send(Direction::Down, held.into());
        }
    }

    pub(super) fn shut_down(&mut self) {
        if !self.shut && !self.dead {
            self.release();
            self.end(Direction::Down, Cargo::End);
            self.shut = true;
            self.wake_task();
        }
    }

    /// Whether all has arrived at the gateway that comes.
    pub(super) fn has_ended(&mut self) -> bool {
        self.dead || matches!(self.up.arrived(Instant::now()), Some(Cargo::End | Cargo::Reset))
    }

    /// What has arrived at the gateway; how many bytes, none being the end.
    pub(super) fn read(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<usize>> {
        if self.dead {
            return Some(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let (before, now) = (buf.filled().len(), Instant::now());
        let mut ended = false;
        while buf.remaining() > 0 {
            match self.up.arrived(now) {
                Some(Cargo::Bytes(bytes)) => {
                    let count = bytes.len().min(buf.remaining());
                    buf.put_slice(&bytes[..count]);
                    self.up.take(count);
                }
                // They stay, so that whoever asks again is told again.
                Some(Cargo::End) => {
                    ended = true;
                    break;
                }
                Some(Cargo::Reset) if buf.filled().len() == before => {
                    return Some(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Some(Cargo::Reset) | None => break,
            }
        }
        let count = buf.filled().len() - before;
        if count > 0 {
            // There is room, and another to wait for.
            self.wake_task();
        }
        (count > 0 || ended).then_some(Ok(count))
    }

    /// The peer is gone: what was under way to it is lost.
    pub(super) fn broken(&mut self) {
        self.down.clear();
        self.held.clear();
        self.shut = true;
        self.end(Direction::Up, Cargo::Reset);
        self.wake_writer();
    }

    pub(super) fn die(&mut self) {
        self.up.clear();
        self.down.clear();
        self.held.clear();
        self.dead = true;
        self.wake_writer();
        self.wake_reader();
    }

    pub(super) fn wake_task(&mut self) {
        self.task.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn wake_writer(&mut self) {
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    pub(super) fn wake_reader(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}
