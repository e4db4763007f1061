//! A subscriber: its connection, and what it does when bytes or time have come.

use std::{io, os::fd::OwnedFd};

use super::{
    Engine,
    session::{Session, Shared},
    sockets,
    timer::{Timer, What},
};
use crate::{
    results::Transport,
    wire::{
        decode::{Cut, Decoder},
        template::Values,
    },
};

/// A subscriber.
#[derive(Debug)]
pub(super) struct Subscriber {
    /// Its socket, while it is connected.
    pub(super) fd: Option<OwnedFd>,
    /// Grows with each connection: what concerned an earlier one is void.
    pub(super) generation: u32,
    decoder: Decoder,
    out: Vec<u8>,
    /// Whether the watcher waits for room.
    writes: bool,
    /// Whether it reads.
    pub(super) reads: bool,
    /// Whether a request is under way.
    pub(super) busy: bool,
    /// When its first poll was due; the others follow at even intervals.
    phase: u64,
    pub(super) session: Session,
}

impl Subscriber {
    pub(super) fn new(topic: usize, kept: usize, cut: Cut) -> Self {
        Self {
            fd: None,
            generation: 0,
            decoder: Decoder::new(cut),
            out: Vec::new(),
            writes: false,
            reads: true,
            busy: false,
            phase: 0,
            session: Session { topic, kept: vec![String::new(); kept], ..Session::default() },
        }
    }

    fn key(&self, n: usize) -> u64 {
        u64::from(self.generation & 0xffff) << 32 | n as u64
    }
}

/// The receive buffer of a subscriber that does not read: the kernel would keep megabytes for it.
const SLOW_BUFFER: usize = 16 << 10;
/// What a subscriber holds back for a server that asks and does not read: a ping costs it as much as its pong costs here.
const MOST_HELD: usize = 1 << 20;
/// Until a connection that broke is made again, in nanoseconds: 50 to 150 ms.
const BACK_OFF: std::ops::Range<u64> = 50_000_000..150_000_000;

impl Engine<'_> {
    /// Connects a subscriber, and asks for its subscription.
    pub(super) fn connect(&mut self, n: usize) {
        let now = self.now();
        let subscriber = &mut self.subscribers[n];
        subscriber.generation += 1;
        subscriber.decoder = Decoder::new(self.goal.ready.cut);
        subscriber.out.clear();
        subscriber.busy = false;
        subscriber.session.began = now;
        subscriber.session.answered = false;
        let buffer = subscriber.session.slow.then_some(SLOW_BUFFER);
        let opened = sockets::begin(self.goal.subscribe, n, buffer).and_then(|fd| {
            self.sockets.add(&fd, subscriber.key(n), true)?;
            Ok(fd)
        });
        match opened {
            Ok(fd) => {
                subscriber.fd = Some(fd);
                subscriber.writes = true;
                self.tally.connections += 1;
                self.ask(n);
            }
            Err(error) => self.failed(n, &format!("connect: {error}")),
        }
    }

    /// Sends the request that subscribes, or goes on.
    pub(super) fn ask(&mut self, n: usize) {
        let now = self.now();
        let subscriber = &mut self.subscribers[n];
        if subscriber.fd.is_none() {
            self.connect(n);
            return;
        }
        if subscriber.busy {
            return;
        }
        subscriber.busy = true;
        subscriber.session.asked = now;
        let values = Values {
            topic: &self.topics[subscriber.session.topic],
            client: &self.load.query,
            kept: &subscriber.session.kept,
            data: &[],
        };
        self.goal.ready.subscribe(values, &mut subscriber.out);
        self.tally.requests += 1;
        self.send(n);
    }

    fn send(&mut self, n: usize) {
        let subscriber = &mut self.subscribers[n];
        let Some(fd) = &subscriber.fd else { return };
        match sockets::flush(fd, &mut subscriber.out) {
            Ok((sent, done)) => {
                self.tally.in_bytes += sent as u64;
                if subscriber.reads && subscriber.writes == done {
                    subscriber.writes = !done;
                    let _ = self.sockets.change(fd, subscriber.key(n), !done);
                }
            }
            Err(error) => self.failed(n, &error.to_string()),
        }
    }

    /// A subscriber's socket has something.
    pub(super) fn hear(&mut self, key: u64, room: bool) {
        let n = (key & 0xffff_ffff) as usize;
        let Some(subscriber) = self.subscribers.get_mut(n).filter(|subscriber| subscriber.key(n) == key)
        else {
            return;
        };
        if room && subscriber.writes {
            self.send(n);
        }
        let now = self.now();
        let subscriber = &mut self.subscribers[n];
        let Some(fd) = &subscriber.fd else { return };
        let count = match sockets::receive(fd, &mut self.scratch) {
            Ok(None) => return,
            Ok(Some(0)) => return self.over(n),
            Ok(Some(count)) => count,
            Err(error) => return self.failed(n, &error.to_string()),
        };
        self.tally.out_bytes += count as u64;
        let mut shared = Shared {
            ready: &self.goal.ready,
            marks: &self.marks,
            tally: &mut self.tally,
            window: &mut self.window,
            now,
            streams: self.load.transport.streams(),
            topics: &self.topics,
            client: &self.load.query,
        };
        let Subscriber { decoder, session, .. } = subscriber;
        let taken = decoder.take(&self.scratch[..count], &mut |item| session.take(item, &mut shared));
        if let Err(text) = taken {
            return self.failed(n, &text);
        }
        self.react(n);
    }

    /// Does what the connection's last words ask for.
    fn react(&mut self, n: usize) {
        let session = &mut self.subscribers[n].session;
        if let Some((_, said)) = session.refused.take_if(|_| session.ended || self.load.transport.streams()) {
            return self.failed(n, &said);
        }
        if let Some(code) = session.closed.take() {
            return self.failed(n, &format!("the server closed a WebSocket with {code}"));
        }
        if !session.replies.is_empty() {
            let replies = std::mem::take(&mut session.replies);
            let out = &mut self.subscribers[n].out;
            out.extend_from_slice(&replies);
            if out.len() > MOST_HELD {
                return self.failed(n, "the server asks and reads no answers: 1 MiB of them wait");
            }
            self.send(n);
        }
        let subscriber = &mut self.subscribers[n];
        if !std::mem::take(&mut subscriber.session.ended) {
            return;
        }
        if self.load.transport.streams() {
            return self.failed(n, "the server ended a stream");
        }
        subscriber.busy = false;
        let more = std::mem::take(&mut subscriber.session.more);
        if self.load.transport == Transport::Longpoll || more {
            self.ask(n);
        } else {
            self.next_poll(n);
        }
    }

    /// Sets when a subscriber polls again: at even intervals from a random phase; a poll that took longer than the
    /// interval is followed by the next at once, and those that were due meanwhile are left out.
    fn next_poll(&mut self, n: usize) {
        let (now, interval) = (self.now(), self.load.poll_interval.as_nanos() as u64);
        let subscriber = &mut self.subscribers[n];
        if subscriber.phase == 0 {
            subscriber.phase = now + self.random.u64(0..interval);
        }
        let due = match now.checked_sub(subscriber.phase) {
            None => subscriber.phase,
            Some(since) => {
                // The slot that this poll was for, and the one behind it.
                let asked = subscriber.session.asked.saturating_sub(subscriber.phase) / interval;
                let next = subscriber.phase + (asked + 1) * interval;
                if next >= now { next } else { subscriber.phase + since / interval * interval }
            }
        };
        let generation = subscriber.generation;
        self.timers.push(Timer { due: due.max(now), subscriber: n as u32, generation, what: What::Ask });
    }

    /// The server closed the connection.
    fn over(&mut self, n: usize) {
        let subscriber = &mut self.subscribers[n];
        if !subscriber.busy {
            // Between two polls: its right. The next poll connects again.
            self.close(n);
            self.next_poll(n);
            return;
        }
        self.failed(n, "the server closed a connection that waited for it");
    }

    /// The connection is of no more use: it counts as an error, and is made again.
    pub(super) fn failed(&mut self, n: usize, text: &str) {
        self.tally.error(text);
        self.close(n);
        let due = self.now() + self.random.u64(BACK_OFF);
        let subscriber = &mut self.subscribers[n];
        subscriber.session.ended = false;
        subscriber.session.refused = None;
        let generation = subscriber.generation;
        self.timers.push(Timer { due, subscriber: n as u32, generation, what: What::Connect });
    }

    /// Closes a connection; what was set for it is void.
    pub(super) fn close(&mut self, n: usize) {
        let subscriber = &mut self.subscribers[n];
        subscriber.generation += 1;
        subscriber.busy = false;
        subscriber.reads = true;
        if subscriber.fd.take().is_some() {
            self.tally.connections -= 1;
        }
    }

    /// Has a subscriber stop reading, or go on.
    pub(super) fn set_reading(&mut self, n: usize, reads: bool) -> io::Result<()> {
        let subscriber = &mut self.subscribers[n];
        let Some(fd) = &subscriber.fd else { return Ok(()) };
        if subscriber.reads == reads {
            return Ok(());
        }
        subscriber.reads = reads;
        if reads {
            self.sockets.add(fd, subscriber.key(n), subscriber.writes)
        } else {
            self.sockets.remove(fd)
        }
    }
}
